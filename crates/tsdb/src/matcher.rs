//! Matchers made ready for many label values: regular expressions compiled once, the common shapes without one.

use regex::Regex;
use tenfold_types::{Labels, Matcher, MatcherOp};

use crate::error::TsdbError;

/// A compiled regular expression may take this much memory.
const REGEX_BYTES_MAX: usize = 1 << 20;

enum Test {
    /// One of these strings (sorted).
    OneOf(Vec<String>),
    Any,
    NonEmpty,
    Prefix(String),
    Regex(Box<Regex>),
}

/// A [`Matcher`] ready to be asked; a missing label counts as the empty string.
pub struct CompiledMatcher {
    name: String,
    test: Test,
    negated: bool,
}

/// Whether the text has no character that means something in a regular expression.
fn is_literal(text: &str) -> bool {
    !text.contains(|c: char| r"\.+*?()|[]{}^$".contains(c))
}

fn regex_test(label: &str, pattern: &str) -> Result<Test, TsdbError> {
    match pattern {
        ".*" => return Ok(Test::Any),
        ".+" => return Ok(Test::NonEmpty),
        _ => {}
    }
    if pattern.split('|').all(is_literal) {
        let mut values: Vec<String> = pattern.split('|').map(Into::into).collect();
        values.sort_unstable();
        return Ok(Test::OneOf(values));
    }
    if let Some(prefix) = pattern.strip_suffix(".*").filter(|p| is_literal(p)) {
        return Ok(Test::Prefix(prefix.into()));
    }
    let anchored = format!("^(?s:{pattern})$");
    regex::RegexBuilder::new(&anchored)
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .map(|r| Test::Regex(Box::new(r)))
        .map_err(|e| TsdbError::Regex { label: label.into(), pattern: pattern.into(), reason: short(&e) })
}

/// The last line of the regex crate's several-line message says what is wrong.
fn short(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_string()
}

impl CompiledMatcher {
    pub fn new(matcher: &Matcher) -> Result<Self, TsdbError> {
        let (test, negated) = match matcher.op {
            MatcherOp::Equal => (Test::OneOf(vec![matcher.value.clone()]), false),
            MatcherOp::NotEqual => (Test::OneOf(vec![matcher.value.clone()]), true),
            MatcherOp::Regex => (regex_test(&matcher.name, &matcher.value)?, false),
            MatcherOp::NotRegex => (regex_test(&matcher.name, &matcher.value)?, true),
        };
        Ok(Self { name: matcher.name.clone(), test, negated })
    }
    pub fn all(matchers: &[Matcher]) -> Result<Vec<Self>, TsdbError> {
        matchers.iter().map(Self::new).collect()
    }
    pub fn name(&self) -> &str {
        &self.name
    }
    pub fn matches(&self, value: &str) -> bool {
        let hit = match &self.test {
            Test::OneOf(values) => values.binary_search_by(|v| v.as_str().cmp(value)).is_ok(),
            Test::Any => true,
            Test::NonEmpty => !value.is_empty(),
            Test::Prefix(prefix) => value.starts_with(prefix),
            Test::Regex(regex) => regex.is_match(value),
        };
        hit != self.negated
    }
    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.get(&self.name).unwrap_or_default())
    }
    /// The only values that can match, when they are few and known.
    pub(crate) fn candidates(&self) -> Option<&[String]> {
        match &self.test {
            Test::OneOf(values) if !self.negated => Some(values),
            _ => None,
        }
    }
    /// The only values that do *not* match, when they are few and known.
    pub(crate) fn excluded(&self) -> Option<&[String]> {
        match &self.test {
            Test::OneOf(values) if self.negated => Some(values),
            _ => None,
        }
    }
    /// Whether every series that has the label at all matches.
    pub(crate) fn is_presence(&self) -> bool {
        matches!(self.test, Test::NonEmpty) && !self.negated
    }
    pub(crate) fn matches_everything(&self) -> bool {
        matches!(self.test, Test::Any) && !self.negated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        use MatcherOp::{Equal, NotEqual, NotRegex, Regex};
        let cases = [
            (Equal, "a", "a", true),
            (Equal, "a", "b", false),
            (Equal, "", "", true),
            (NotEqual, "a", "", true),
            (Regex, "a|b", "b", true),
            (Regex, "a|b", "ab", false),
            (Regex, "a|", "", true),
            (Regex, "a.*", "abc", true),
            (Regex, "a.*", "ba", false),
            (Regex, ".+", "", false),
            (Regex, ".*", "", true),
            (Regex, "a.c", "a\nc", true),
            (Regex, "x|a.c", "abc", true),
            (Regex, "x|a.c", "abcd", false),
            (NotRegex, "4..", "404", false),
            (NotRegex, "4..", "200", true),
        ];
        for (op, pattern, value, expected) in cases {
            let m = CompiledMatcher::new(&Matcher::new("l", op, pattern)).unwrap();
            assert_eq!(m.matches(value), expected, "{op:?} {pattern:?} on {value:?}");
        }
        let error = CompiledMatcher::new(&Matcher::new("l", Regex, "(a")).err().unwrap();
        assert!(error.to_string().contains("unclosed group"), "{error}");
    }
}
