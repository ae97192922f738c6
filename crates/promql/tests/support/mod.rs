//! A table of samples to query, and the reader of Prometheus' test scripts.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

pub mod script;
pub mod store;
