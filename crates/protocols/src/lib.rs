//! Codecs: bytes in and values out, and back. No IO, no clock, no randomness.

pub mod agent;
pub mod batch;
mod bit_reader;
pub mod body;
mod crc32c;
pub mod dns;
pub mod exposition;
pub mod flagd;
pub mod forge;
pub mod ganglia;
pub mod grafana;
pub mod graphite;
pub mod inflate;
pub mod influx;
pub mod irc;
pub mod otlp;
pub mod prom_block;
pub mod prom_page;
pub mod prom_proto;
pub mod prom_text;
pub mod remote_read;
pub mod remote_write;
pub mod sse;
pub mod statsd;
pub mod wire;
pub mod wire_out;
pub mod xor_chunk;
