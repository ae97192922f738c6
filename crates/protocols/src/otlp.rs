//! OTLP metrics: the OpenTelemetry protocol's request in protobuf or JSON, translated into series as Prometheus' own
//! receiver does.
//!
//! Sources: `opentelemetry/proto/metrics/v1/metrics.proto` 1.x, the OTLP specification (answers, JSON), and OpenTelemetry's
//! "Prometheus and OpenMetrics compatibility" (names, units, resource attributes).

mod answer;
mod delta;
mod histograms;
mod json;
mod messages;
mod names;
mod translate;

pub use answer::{answer_json, answer_proto, status_json, status_proto};
pub use delta::{Deltas, STREAMS_MAX};
pub use messages::Request;
pub use names::{Naming, label_name};
pub use translate::{Promoted, Rules, Translated, translate};

use prost::Message;

use crate::wire::{Fields, Value, WireError};

/// Largest body as it is sent and after decompression, in bytes.
pub const BODY_BYTES_MAX: usize = 16 << 20;
/// Largest body in JSON, which takes more memory for its size.
pub const JSON_BYTES_MAX: usize = 8 << 20;
/// Messages (points, attributes, exemplars) inside one request.
pub const MESSAGES_MAX: usize = 500_000;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtlpError {
    #[error("the request is not OTLP in protobuf: {0}")]
    Proto(String),
    #[error("the request is not OTLP in JSON: {0}")]
    Json(String),
    #[error("the request holds more than {MESSAGES_MAX} points and attributes; send smaller ones")]
    TooMuch,
}

/// Reads a request in protobuf.
pub fn from_proto(body: &[u8]) -> Result<Request, OtlpError> {
    let mut weight = 0;
    weigh(body, (Kind::Request, 0), &mut weight).map_err(|e| OtlpError::Proto(e.to_string()))?;
    if weight > MESSAGES_MAX {
        return Err(OtlpError::TooMuch);
    }
    Request::decode(body).map_err(|e| OtlpError::Proto(e.to_string()))
}

/// Reads a request in JSON (proto3's mapping, with OTLP's hexadecimal ids and enums as numbers).
pub fn from_json(body: &[u8]) -> Result<Request, OtlpError> {
    // Each message takes a brace, or a bracket where its fields stand without their names; one in a text is counted with them, which
    // a request has room for.
    let too_many = |sign: u8| body.split(|b| *b == sign).nth(MESSAGES_MAX + 1).is_some();
    if too_many(b'{') || too_many(b'[') {
        return Err(OtlpError::TooMuch);
    }
    serde_json::from_slice(body).map_err(|e| OtlpError::Json(e.to_string()))
}

/// Messages in which others are counted.
#[derive(Clone, Copy)]
enum Kind {
    Request,
    ResourceMetrics,
    Resource,
    ScopeMetrics,
    Scope,
    Metric,
    /// By the field that it is of its metric: a gauge, a sum, ...
    Data(u32),
    Point(u32),
    Exemplar,
    KeyValue,
    AnyValue,
    Array,
    Kvlist,
}

impl Kind {
    /// What a field of it holds, where there may be many messages inside.
    fn of(self, field: u32) -> Option<Self> {
        Some(match (self, field) {
            (Self::Request, 1) => Self::ResourceMetrics,
            (Self::ResourceMetrics, 1) => Self::Resource,
            (Self::ResourceMetrics, 2) => Self::ScopeMetrics,
            (Self::ScopeMetrics, 1) => Self::Scope,
            (Self::ScopeMetrics, 2) => Self::Metric,
            (Self::Metric, 5 | 7 | 9..=11) => Self::Data(field),
            (Self::Data(data), 1) => Self::Point(data),
            (Self::Point(5 | 7), 5) | (Self::Point(9), 8) | (Self::Point(10), 11) => Self::Exemplar,
            (Self::Point(5 | 7 | 11) | Self::Exemplar, 7)
            | (Self::Point(9), 9)
            | (Self::Point(10) | Self::Resource | Self::Kvlist, 1)
            | (Self::Scope, 3) => Self::KeyValue,
            (Self::KeyValue, 2) | (Self::Array, 1) => Self::AnyValue,
            (Self::AnyValue, 5) => Self::Array,
            (Self::AnyValue, 6) => Self::Kvlist,
            _ => return None,
        })
    }

    /// Whether what its fields hold has a place of its own in memory. Texts of the larger ones are counted as well: there are few.
    fn is_counted(self, inside: Option<Self>) -> bool {
        match self {
            Self::KeyValue | Self::AnyValue => false,
            Self::Scope | Self::Exemplar | Self::Array | Self::Kvlist => inside.is_some(),
            _ => true,
        }
    }
}

/// Lists within one another. The reading of the request itself ends at as many messages.
const DEPTH_MAX: u32 = 100;

/// Counts messages before they are made: an empty one is two bytes here and a hundred in memory.
fn weigh(message: &[u8], (kind, depth): (Kind, u32), weight: &mut usize) -> Result<(), WireError> {
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.read()? {
        let Value::Bytes(inner) = value else { continue };
        let inside = kind.of(field);
        *weight += usize::from(kind.is_counted(inside));
        if *weight > MESSAGES_MAX {
            return Ok(());
        }
        if let Some(inside) = inside.filter(|_| depth < DEPTH_MAX) {
            weigh(inner, (inside, depth + 1), weight)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
