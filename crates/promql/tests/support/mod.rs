//! A table of samples to query, and the reader of Prometheus' test scripts.

pub mod script;
pub mod store;
