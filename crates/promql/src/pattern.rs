//! Regular expressions of matchers, as Prometheus reads them.

use tenfold_types::pattern::{listed, whole};

/// Checks a pattern: whether it had to be compiled for that. A list of texts is none to compile, however long it is: no store
/// does.
///
/// # Errors
/// What is wrong with it, in one line.
pub(crate) fn check(pattern: &str) -> Result<bool, String> {
    if listed(pattern).is_some() { Ok(false) } else { whole(pattern).map(|_| true) }
}

/// Whether a pattern that was checked matches the empty text.
pub(crate) fn matches_empty(pattern: &str) -> bool {
    listed(pattern).map_or_else(
        || whole(pattern).is_ok_and(|regex| regex.is_match("")),
        |texts| texts.iter().any(String::is_empty),
    )
}
