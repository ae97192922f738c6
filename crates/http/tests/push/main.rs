//! Metrics that are pushed: by hand-made bodies and by real senders.

mod collectd;
#[path = "../common/mod.rs"]
mod common;
mod influx;
mod otlp;
mod real_prometheus;
mod remote_write;
mod world;
