//! Label matchers: compiled sets of them, and how they are written.

mod written;

pub use written::read_matchers;

use regex::Regex;
use tenfold_types::pattern::whole;
use tenfold_types::{Labels, Matcher, MatcherOp};

pub const MATCHERS_MAX: usize = 20;
/// Bytes of one matcher's value.
pub const VALUE_BYTES_MAX: usize = 1_000;

/// Matchers ready to be applied; all must hold.
#[derive(Debug, Clone)]
pub struct MatcherSet(Vec<(Matcher, Option<Regex>)>);

impl MatcherSet {
    /// Compiles the matchers of a mute. At least one must demand a value, so that a mute of everything is never made by
    /// mistake.
    ///
    /// # Errors
    /// One sentence saying which matcher is wrong.
    pub fn new(matchers: &[Matcher]) -> Result<Self, String> {
        if matchers.is_empty() {
            return Err(format!("a mute has 1 to {MATCHERS_MAX} matchers, this one has 0"));
        }
        let set = Self::any(matchers)?;
        if set.matches(&Labels::new()) {
            return Err("these matchers match every alert; at least one must demand a value".to_owned());
        }
        Ok(set)
    }

    /// Compiles matchers that may match everything, as those of a route do.
    ///
    /// # Errors
    /// One sentence saying which matcher is wrong.
    pub fn any(matchers: &[Matcher]) -> Result<Self, String> {
        if matchers.len() > MATCHERS_MAX {
            return Err(format!("there are at most {MATCHERS_MAX} matchers in one place, here are {}", matchers.len()));
        }
        let mut set = Vec::with_capacity(matchers.len());
        for matcher in matchers {
            if matcher.name.is_empty() || matcher.value.len() > VALUE_BYTES_MAX {
                return Err(format!(
                    "the matcher {matcher} needs a label name and a value of at most {VALUE_BYTES_MAX} bytes"
                ));
            }
            let regex = match matcher.op {
                MatcherOp::Equal | MatcherOp::NotEqual => None,
                MatcherOp::Regex | MatcherOp::NotRegex => Some(
                    whole(&matcher.value)
                        .map_err(|e| format!("the pattern of {matcher} is not a regular expression: {e}"))?,
                ),
            };
            set.push((matcher.clone(), regex));
        }
        Ok(Self(set))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first matcher that does not hold.
    pub fn failing(&self, labels: &Labels) -> Option<&Matcher> {
        self.0.iter().find(|(matcher, regex)| !holds(matcher, regex.as_ref(), labels)).map(|(matcher, _)| matcher)
    }

    /// Whether what they ask of one label holds where it has this value; the empty one is that of a missing label.
    pub fn allows(&self, name: &str, value: &str) -> bool {
        let labels = Labels::from_pairs([(name, value)]);
        self.0.iter().filter(|(matcher, _)| matcher.name == name).all(|(m, regex)| holds(m, regex.as_ref(), &labels))
    }

    /// The values that one label has to have, where they are named.
    pub fn wanted<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let asks = |matcher: &&Matcher| matcher.op == MatcherOp::Equal && !matcher.value.is_empty();
        let of = self.0.iter().map(|(matcher, _)| matcher).filter(move |matcher| matcher.name == name);
        of.filter(asks).map(|matcher| matcher.value.as_str())
    }

    /// Whether all matchers hold; a missing label counts as the empty string.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.failing(labels).is_none()
    }
}

/// `{a="b",c!="d"}`
impl std::fmt::Display for MatcherSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<String> = self.0.iter().map(|(matcher, _)| matcher.to_string()).collect();
        write!(f, "{{{}}}", words.join(","))
    }
}

fn holds(matcher: &Matcher, regex: Option<&Regex>, labels: &Labels) -> bool {
    let value = labels.get(&matcher.name).unwrap_or("");
    match matcher.op {
        MatcherOp::Equal => value == matcher.value,
        MatcherOp::NotEqual => value != matcher.value,
        MatcherOp::Regex => regex.is_some_and(|r| r.is_match(value)),
        MatcherOp::NotRegex => regex.is_some_and(|r| !r.is_match(value)),
    }
}

/// Reads matchers as chat and the command line write them: `service=photos, severity=~"warn.*"` (commas or spaces
/// between, quotes where the value has either, optional braces around).
///
/// # Errors
/// One sentence with an example.
pub fn parse_matchers(text: &str) -> Result<Vec<Matcher>, String> {
    let wrong = || format!("`{text}` is not a list of matchers; write it like service=photos severity=~\"warn.*\"");
    let text_inner = text.trim();
    let mut rest = text_inner.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text_inner).trim();
    let mut out = Vec::new();
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).ok_or_else(wrong)?;
        let name = &rest[..end];
        if name.is_empty() {
            return Err(wrong());
        }
        rest = rest[end..].trim_start();
        let (op, n) = match rest.as_bytes() {
            [b'=', b'~', ..] => (MatcherOp::Regex, 2),
            [b'!', b'~', ..] => (MatcherOp::NotRegex, 2),
            [b'!', b'=', ..] => (MatcherOp::NotEqual, 2),
            [b'=', ..] => (MatcherOp::Equal, 1),
            _ => return Err(wrong()),
        };
        rest = rest[n..].trim_start();
        let value = if let Some(quoted) = rest.strip_prefix('"') {
            let mut value = String::new();
            let mut chars = quoted.char_indices();
            let closed = loop {
                match chars.next() {
                    None => return Err(wrong()),
                    Some((i, '"')) => break i,
                    Some((_, '\\')) => match chars.next() {
                        Some((_, 'n')) => value.push('\n'),
                        Some((_, c)) => value.push(c),
                        None => return Err(wrong()),
                    },
                    Some((_, c)) => value.push(c),
                }
            };
            rest = &quoted[closed + 1..];
            value
        } else {
            let end = rest.find([',', ' ']).unwrap_or(rest.len());
            let value = rest[..end].to_owned();
            rest = &rest[end..];
            value
        };
        out.push(Matcher::new(name, op, value));
        rest = rest.trim_start_matches([',', ' ']);
        if out.len() > MATCHERS_MAX {
            return Err(format!("at most {MATCHERS_MAX} matchers"));
        }
    }
    if out.is_empty() { Err(wrong()) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_and_match() {
        let labels = Labels::from_pairs([("service", "photos"), ("severity", "warning")]);
        let cases = [
            ("service=photos", true),
            ("service=\"photos\", severity=~\"warn.*\"", true),
            ("{service=photos severity!=critical}", true),
            ("service=photo", false),
            ("service=~photo", false),
            ("service=photos host!~.+", true),
            ("service=photos,host=\"\"", true),
            // As Alertmanager reads them, whose regular expressions are Go's.
            ("service=~\"[^[]+\"", true),
            ("service=~\"\\\\Qphotos\\\\E\"", true),
            ("service=~\"[a-z&&p]+\"", true),
        ];
        for (text, expected) in cases {
            let set = MatcherSet::new(&parse_matchers(text).unwrap()).unwrap();
            assert_eq!(set.matches(&labels), expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_would_mute_everything() {
        for text in ["host=\"\"", "host!=x", "host=~.*"] {
            let e = MatcherSet::new(&parse_matchers(text).unwrap()).unwrap_err();
            assert!(e.contains("every alert"), "{e}");
        }
        assert!(MatcherSet::new(&[]).is_err());
        assert!(
            MatcherSet::new(&[Matcher::new("a", MatcherOp::Regex, "(")]).unwrap_err().contains("regular expression")
        );
        for text in ["", "service", "=x", "a=\"x", "a>1"] {
            assert!(parse_matchers(text).is_err(), "{text}");
        }
    }
}
