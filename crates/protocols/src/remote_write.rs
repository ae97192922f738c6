//! Prometheus remote write, 1.0 and 2.0: snappy-compressed protobuf in, a [`Batch`] that borrows from it out.
//!
//! Sources: the two specifications at prometheus.io and the messages `prometheus.WriteRequest` and
//! `io.prometheus.write.v2.Request`. Version 2 names strings by their place in a table of symbols, and carries metadata
//! and the created timestamp with each series.

mod encode;
mod encode_v2;
pub(crate) mod histogram;
mod v1;
mod v2;

use encode::CREATED_FIELD;
pub use encode::{Outgoing, compress, put_metadata, put_series};
pub(crate) use encode::{put_histogram, put_labels, put_point};
pub use encode_v2::{RequestV2, to_v2};

use crate::batch::{Batch, TooMuch};
use crate::prom_text::Metadata;
use crate::wire::WireError;

/// Largest body as it is sent, in bytes.
pub const BODY_BYTES_MAX: usize = 16 << 20;
/// Largest body after decompression, in bytes.
pub const PLAIN_BYTES_MAX: usize = 64 << 20;
/// Metric families one request may describe.
pub const FAMILIES_MAX: usize = 50_000;
/// Buckets of one native histogram.
pub const HISTOGRAM_BUCKETS_MAX: usize = 4_096;

/// Which message a body holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V1,
    V2,
}

impl Version {
    /// By the `Content-Type`, whose parameter `proto` names the message; without one it is version 1.
    pub fn of(content_type: &str) -> Result<Self, String> {
        let mut parts = content_type.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        if !media.is_empty() && !media.eq_ignore_ascii_case("application/x-protobuf") {
            return Err(format!("`{media}` is not read here; send application/x-protobuf"));
        }
        let message = parts.find_map(|p| p.strip_prefix("proto=")).map(|m| m.trim_matches('"'));
        match message {
            None | Some("prometheus.WriteRequest") => Ok(Self::V1),
            Some("io.prometheus.write.v2.Request") => Ok(Self::V2),
            Some(other) => Err(format!(
                "the message `{other}` is not read here; send prometheus.WriteRequest or io.prometheus.write.v2.Request"
            )),
        }
    }

    /// What a sender puts into `Content-Type`. That of version 1 is without the parameter, which older receivers do not know.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::V1 => "application/x-protobuf",
            Self::V2 => "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        }
    }

    /// What a sender puts into `X-Prometheus-Remote-Write-Version`.
    pub const fn header(self) -> &'static str {
        match self {
            Self::V1 => "0.1.0",
            Self::V2 => "2.0.0",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteWriteError {
    #[error("the body is not compressed with snappy's block format: {0}")]
    Snappy(String),
    #[error("the body would be {bytes} bytes after decompression; at most {PLAIN_BYTES_MAX} are read")]
    TooLarge { bytes: usize },
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
    #[error("the request describes more than {FAMILIES_MAX} metric families; send smaller ones")]
    Families,
    #[error("symbol {at} is named, and the table holds {len}")]
    Symbol { at: u64, len: usize },
    #[error("the table of symbols does not begin with the empty text")]
    FirstSymbol,
    #[error("a series names an odd number of symbols for its labels")]
    OddLabels,
}

/// What one request says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Written<'a> {
    pub batch: Batch<'a>,
    /// Metric families with what is known of them; the last word counts.
    pub metadata: Vec<(&'a str, Metadata)>,
}

/// Undoes snappy's block format, within [`PLAIN_BYTES_MAX`].
pub fn decompress(body: &[u8]) -> Result<Vec<u8>, RemoteWriteError> {
    let wrong = |e: snap::Error| RemoteWriteError::Snappy(e.to_string());
    let bytes = snap::raw::decompress_len(body).map_err(wrong)?;
    if bytes > PLAIN_BYTES_MAX {
        return Err(RemoteWriteError::TooLarge { bytes });
    }
    snap::raw::Decoder::new().decompress_vec(body).map_err(wrong)
}

/// Reads a decompressed body.
pub fn decode(body: &[u8], version: Version) -> Result<Written<'_>, RemoteWriteError> {
    match version {
        Version::V1 => v1::decode(body),
        Version::V2 => v2::decode(body),
    }
}

/// Kinds by the numbers of `MetricType`, which are the same in both versions.
static KINDS: [&str; 8] = ["unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"];

fn kind(number: u64) -> &'static str {
    usize::try_from(number).ok().and_then(|at| KINDS.get(at).copied()).unwrap_or("unknown")
}

fn kind_number(kind: &str) -> u64 {
    KINDS.iter().position(|known| *known == kind).unwrap_or(0) as u64
}

/// Of a series with a label that is not UTF-8. Others of its request may be sound.
const NOT_UTF8: &str = "another label of it is not UTF-8";

#[cfg(test)]
mod tests;
