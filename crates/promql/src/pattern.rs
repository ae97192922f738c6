//! Regular expressions of matchers and functions, as Prometheus reads them.

use regex::{Regex, RegexBuilder};
use tenfold_types::pattern::{go_regex, listed, regex_bytes_max};

/// A pattern that the whole of a text has to match; `.` matches line ends too.
///
/// # Errors
/// What is wrong with it, in one line.
pub(crate) fn whole(pattern: &str) -> Result<Regex, String> {
    let text = go_regex(pattern)?;
    RegexBuilder::new(&format!("^(?s:{text})$")).size_limit(regex_bytes_max(pattern)).build().map_err(|error| {
        let text = error.to_string();
        text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned()
    })
}

/// Checks a pattern. A list of texts is none to compile, however long it is: no store does.
///
/// # Errors
/// What is wrong with it, in one line.
pub(crate) fn check(pattern: &str) -> Result<(), String> {
    if listed(pattern).is_some() { Ok(()) } else { whole(pattern).map(drop) }
}

/// Whether a pattern that was checked matches the empty text.
pub(crate) fn matches_empty(pattern: &str) -> bool {
    listed(pattern).map_or_else(
        || whole(pattern).is_ok_and(|regex| regex.is_match("")),
        |texts| texts.iter().any(String::is_empty),
    )
}
