//! What flag clients send and are sent, as bytes and values: read once, rendered once, whoever serves them.
//!
//! The server and a relay answer the same questions; neither may render an answer of its own.

pub mod context;
pub mod ofrep;
pub mod unleash;

pub use context::{CONTEXT_FIELDS_MAX, context_from_json, context_in};
