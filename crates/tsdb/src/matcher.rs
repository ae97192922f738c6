//! Matchers made ready for many label values: regular expressions compiled once, the common shapes without one.

use regex::Regex;
use tenfold_types::pattern::{listed, literal, whole};
use tenfold_types::{Labels, Matcher, MatcherOp};

use crate::error::TsdbError;

enum Test {
    /// One of these strings (sorted).
    OneOf(Vec<String>),
    Any,
    NonEmpty,
    /// Pieces in this order with anything between them; the value begins with the first and ends in the last.
    Pieces(Vec<String>),
    Regex(Box<Regex>),
}

/// A [`Matcher`] ready to be asked; a missing label counts as the empty string.
pub struct CompiledMatcher {
    name: String,
    /// As it was written.
    text: String,
    test: Test,
    negated: bool,
}

/// Whether the pieces stand in the value one after the other. Each is taken where it stands first: that leaves the most for
/// those after it. A hundred thousand values are asked at once, mostly of pieces of one byte or none.
fn has_pieces(value: &str, pieces: &[String]) -> bool {
    let [first, between @ .., last] = pieces else { return false };
    let Some(mut rest) = between_ends(value, first, last) else { return false };
    for piece in between {
        let at = match piece.as_bytes() {
            [byte] => rest.bytes().position(|b| b == *byte),
            _ => rest.find(piece.as_str()),
        };
        let Some(after) = at.and_then(|at| rest.get(at + piece.len()..)) else { return false };
        rest = after;
    }
    true
}

/// What stands between a beginning and an end that do not overlap.
fn between_ends<'v>(value: &'v str, first: &str, last: &str) -> Option<&'v str> {
    let rest = value.get(first.len()..value.len().checked_sub(last.len())?)?;
    let (ours, bytes) = (rest.len(), value.as_bytes());
    // Comparing by a call costs more than all else where a piece is a byte.
    let same = |from: usize, piece: &str| match piece.as_bytes() {
        [] => true,
        [byte] => bytes.get(from) == Some(byte),
        piece => bytes[from..].starts_with(piece),
    };
    (same(first.len() + ours, last) && same(0, first)).then_some(rest)
}

fn regex_test(label: &str, pattern: &str) -> Result<Test, TsdbError> {
    match pattern {
        ".*" => return Ok(Test::Any),
        ".+" => return Ok(Test::NonEmpty),
        _ => {}
    }
    if let Some(mut values) = listed(pattern) {
        values.sort_unstable();
        values.dedup();
        return Ok(Test::OneOf(values));
    }
    if let Some(pieces) = pattern.split(".*").map(literal).collect::<Option<Vec<_>>>() {
        return Ok(Test::Pieces(pieces));
    }
    whole(pattern).map(|regex| Test::Regex(Box::new(regex))).map_err(|reason| TsdbError::Regex {
        label: label.into(),
        pattern: pattern.into(),
        reason,
    })
}

impl CompiledMatcher {
    pub fn new(matcher: &Matcher) -> Result<Self, TsdbError> {
        let (test, negated) = match matcher.op {
            MatcherOp::Equal => (Test::OneOf(vec![matcher.value.clone()]), false),
            MatcherOp::NotEqual => (Test::OneOf(vec![matcher.value.clone()]), true),
            MatcherOp::Regex => (regex_test(&matcher.name, &matcher.value)?, false),
            MatcherOp::NotRegex => (regex_test(&matcher.name, &matcher.value)?, true),
        };
        Ok(Self { name: matcher.name.clone(), text: matcher.value.clone(), test, negated })
    }
    pub fn all(matchers: &[Matcher]) -> Result<Vec<Self>, TsdbError> {
        matchers.iter().map(Self::new).collect()
    }
    pub fn name(&self) -> &str {
        &self.name
    }
    pub fn matches(&self, value: &str) -> bool {
        self.hits(value) != self.negated
    }
    /// Whether the value is what is asked for, or, where the matcher is negated, what is not.
    pub(crate) fn hits(&self, value: &str) -> bool {
        match &self.test {
            Test::OneOf(values) => values.binary_search_by(|v| v.as_str().cmp(value)).is_ok(),
            Test::Any => true,
            Test::NonEmpty => !value.is_empty(),
            Test::Pieces(pieces) => has_pieces(value, pieces),
            Test::Regex(regex) => regex.is_match(value),
        }
    }
    pub(crate) fn is_negated(&self) -> bool {
        self.negated
    }
    /// The pattern, when values have to be asked one by one.
    pub(crate) fn pattern(&self) -> Option<&str> {
        matches!(self.test, Test::Pieces(_) | Test::Regex(_)).then_some(self.text.as_str())
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
    /// Whether every value that a series can have is hit: none is empty.
    pub(crate) fn hits_every_value(&self) -> bool {
        matches!(self.test, Test::Any | Test::NonEmpty)
    }
    pub(crate) fn matches_everything(&self) -> bool {
        matches!(self.test, Test::Any) && !self.negated
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever shape was recognised, the regular expression says the same.
        #[test]
        fn shapes_say_what_the_expression_says(
            pattern in r"(\(|\(\?:)?([abé]|\.\*|\.|\||\\\.|\*|\?){0,7}\)?",
            value in "[abé.]{0,6}",
        ) {
            let Ok(whole) = whole(&pattern) else { return Ok(()) };
            let Ok(test) = CompiledMatcher::new(&Matcher::new("l", MatcherOp::Regex, pattern.as_str())) else {
                return Ok(());
            };
            prop_assert_eq!((&pattern, test.matches(&value)), (&pattern, whole.is_match(&value)));
        }
    }

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
            (Regex, "(a|b)", "b", true),
            (Regex, "(?:a|b)", "a", true),
            (Regex, "(a|b)", "(b", false),
            (Regex, "(a)|(b)", "b", true),
            (Regex, r"a\.b|c", "a.b", true),
            (Regex, r"a\.b|c", "axb", false),
            (Regex, r"a\d", "a1", true),
            (Regex, r"a\.*", "a..", true),
            (Regex, r"a\.*", "ab", false),
            (Regex, ".*7.*3", "173", true),
            (Regex, ".*7.*3", "73", true),
            (Regex, ".*7.*3", "37", false),
            (Regex, ".*7.*3", "7\n3", true),
            (Regex, "ab.*bc", "abc", false),
            (Regex, "ab.*bc", "abbc", true),
            (Regex, ".*é.*x.*", "aéxb", true),
            (Regex, "a.*b.*bb", "abbb", true),
            (Regex, "a.*b.*bb", "abb", false),
            (Regex, r"a\<.*", "a<b", true),
            (Regex, r"a\d", "a٣", false),
            (Regex, "[^[]+", "a]", true),
            (Regex, r"\Qa.b\E|c", "a.b", true),
            (Regex, r"\Qa.b\E|c", "axb", false),
            (Regex, "a{x}", "a{x}", true),
            (NotRegex, ".*7.*3", "37", true),
            (NotRegex, "4..", "404", false),
            (NotRegex, "4..", "200", true),
        ];
        for (op, pattern, value, expected) in cases {
            let m = CompiledMatcher::new(&Matcher::new("l", op, pattern)).unwrap();
            assert_eq!(m.matches(value), expected, "{op:?} {pattern:?} on {value:?}");
        }
        for (pattern, message) in
            [("(a", "unclosed group"), ("a)|(b", "unopened group"), (r"a\C+", r"`\C` is no escape")]
        {
            let error = CompiledMatcher::new(&Matcher::new("l", Regex, pattern)).err().unwrap();
            assert!(error.to_string().contains(message), "{error}");
        }
    }
}
