//! What a template makes of a match, as Go's `Regexp.Expand` has it. The crate `regex` ends a name at the first letter that is
//! not of ASCII, and takes `$01` for the first group.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What Go takes for letters and digits; Rust knows more of both.
static LETTER_OR_DIGIT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[\p{L}\p{Nd}]$").expect("the pattern is right"));

/// Appends what `template` makes of a match: `$1`, `$name`, `${1}` and `${name}` stand for what that group found, which is nothing
/// where there is no such group, and `$$` for a dollar. Any other dollar is one.
pub fn expand(found: &Captures<'_>, template: &str, out: &mut String) {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = after;
        if let Some(behind) = after.strip_prefix('$') {
            out.push('$');
            rest = behind;
        } else if let Some((name, behind)) = reference(after) {
            out.push_str(group(found, name));
            rest = behind;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
}

/// The name that stands behind a dollar, as long as it can be, and what follows.
fn reference(text: &str) -> Option<(&str, &str)> {
    let braced = text.strip_prefix('{');
    let body = braced.unwrap_or(text);
    let end = body.find(|c: char| !is_of_name(c)).unwrap_or(body.len());
    let (name, rest) = body.split_at(end);
    let rest = if braced.is_some() { rest.strip_prefix('}')? } else { rest };
    (!name.is_empty()).then_some((name, rest))
}

fn is_of_name(c: char) -> bool {
    if c.is_ascii() {
        return c == '_' || c.is_ascii_alphanumeric();
    }
    LETTER_OR_DIGIT.is_match(c.encode_utf8(&mut [0; 4]))
}

/// A number without leading zeros is that of a group.
fn group<'t>(found: &Captures<'t>, name: &str) -> &'t str {
    let is_number = name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    let group = if is_number { name.parse::<usize>().ok().and_then(|n| found.get(n)) } else { found.name(name) };
    group.map_or("", |m| m.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::whole_with_groups;

    /// What `regexp.MustCompile("^(?s:(a+)(?P<city>b+)(c)?)$").ReplaceAllString("aabb", template)` gives in Go.
    #[test]
    fn templates_make_what_they_make_in_go() {
        let pattern = whole_with_groups("(a+)(?P<city>b+)(c)?").expect("a pattern");
        let found = pattern.captures("aabb").expect("a match");
        for (template, wanted) in [
            ("", ""),
            ("x", "x"),
            ("$0", "aabb"),
            ("$1-$2", "aa-bb"),
            ("${1}x$1x", "aax"),
            ("$city,${city}", "bb,bb"),
            ("$cityhall", ""),
            ("$3$4$99999999999999999999", ""),
            ("$01$1_1$00${02}", ""),
            ("$1é", ""),
            ("${1}é", "aaé"),
            ("$1٣", ""),
            ("$1½$1ⅷ", "aa½aaⅷ"),
            ("$1-é", "aa-é"),
            ("$$1$$", "$1$"),
            ("$", "$"),
            ("a$ b", "a$ b"),
            ("${1", "${1"),
            ("${}", "${}"),
            ("${1-}$1", "${1-}aa"),
            ("$$$1", "$aa"),
        ] {
            let mut made = String::new();
            expand(&found, template, &mut made);
            assert_eq!(made, wanted, "{template}");
        }
    }
}
