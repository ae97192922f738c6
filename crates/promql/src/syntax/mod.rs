//! From text to a checked syntax tree. No evaluation, no data.

pub mod ast;
mod check;
mod lex;
mod parse;
mod print;
mod selector;
mod tree;

pub use lex::string_at;
pub(crate) use lex::{duration as read_duration, number as read_number};
pub use parse::{Dialect, EXPRESSION_BYTES_MAX, parse, parse_any_matchers, parse_as, parse_matchers};
pub(crate) use print::label as written_label;
