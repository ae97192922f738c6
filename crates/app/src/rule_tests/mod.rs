//! Rule files judged away from a server: what is wrong with one, line by line, and what unit tests say of its rules.
//!
//! The tests are those of `promtool test rules`: series by hand, evaluations on a grid, expected alerts and samples.
//! Nothing here reads a file or a clock; the caller brings texts.

mod check;
mod file;
mod suite;

pub use check::{CheckedRules, Problem, check_rules};
pub use file::{TestFile, TestGroup, read_tests};
pub use suite::{Outcome, run_tests};
