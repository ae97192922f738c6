//! What the edges that speak HTTP stand on: the listener with its limits, the form of errors, conditional answers, answers in
//! gzip, what pages of other origins may ask, bodies within a cap, streams of server-sent events for very many clients, and
//! requests to others as an `http_config` says.
//!
//! Knows no use case and no store; an edge puts its own routes on top.

pub mod body;
pub mod cors;
pub mod error;
pub mod etag;
pub mod front;
pub mod outgoing;
pub mod packed;
pub mod server;
pub mod streams;

pub use error::ApiError;
