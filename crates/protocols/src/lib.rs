//! Codecs: bytes in and values out, and back. No IO, no clock, no randomness.

pub mod agent;
pub mod batch;
pub mod body;
pub mod certificate;
pub mod flagd;
pub mod graphite;
pub mod inflate;
pub mod influx;
pub mod irc;
pub mod nagios;
pub mod nrpe;
pub mod otlp;
pub mod plugin;
pub mod prom_page;
pub mod prom_text;
pub mod remote_write;
pub mod sse;
pub mod statsd;
pub mod wire;
