//! The reader of Prometheus' test scripts.

pub mod script;
