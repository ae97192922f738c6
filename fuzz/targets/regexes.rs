//! Regular expressions of Go's syntax: each is read or refused, and one that lists texts matches these alone.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_tsdb::CompiledMatcher;
use tenfold_types::pattern::{go_regex, listed};
use tenfold_types::{Matcher, MatcherOp};

fuzz_target!(|input: (&str, &str)| {
    let (pattern, value) = input;
    let read = go_regex(pattern);
    let texts = listed(pattern);
    assert!(texts.is_none() || read.is_ok(), "a list is a regular expression");
    let Ok(matcher) = CompiledMatcher::new(&Matcher::new("l", MatcherOp::Regex, pattern)) else { return };
    let matches = matcher.matches(value);
    if let Some(texts) = texts {
        assert_eq!(matches, texts.iter().any(|text| text == value));
    }
});
