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
    weigh(body, 0, &mut weight).map_err(|e| OtlpError::Proto(e.to_string()))?;
    if weight > MESSAGES_MAX {
        return Err(OtlpError::TooMuch);
    }
    Request::decode(body).map_err(|e| OtlpError::Proto(e.to_string()))
}

/// Reads a request in JSON (proto3's mapping, with OTLP's hexadecimal ids and enums as numbers).
pub fn from_json(body: &[u8]) -> Result<Request, OtlpError> {
    // Each message takes a brace; one in a text is counted with them, which a request has room for.
    if body.split(|b| *b == b'{').nth(MESSAGES_MAX + 1).is_some() {
        return Err(OtlpError::TooMuch);
    }
    serde_json::from_slice(body).map_err(|e| OtlpError::Json(e.to_string()))
}

/// Counts messages before they are made: an empty one is two bytes here and a hundred in memory. Looks as deep as a data
/// point's own fields.
fn weigh(message: &[u8], depth: u32, weight: &mut usize) -> Result<(), WireError> {
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.read()? {
        let Value::Bytes(inner) = value else { continue };
        *weight += 1;
        if *weight > MESSAGES_MAX {
            return Ok(());
        }
        // Which field leads on: resource metrics, scope metrics, metrics, the data of any kind, its points. Besides them
        // the attributes of a resource.
        let leads = match depth {
            0 | 4 => field == 1,
            1 => field <= 2,
            2 => field == 2,
            3 => matches!(field, 5 | 7 | 9..=11),
            _ => false,
        };
        if leads {
            let resource = depth == 1 && field == 1;
            weigh(inner, if resource { 5 } else { depth + 1 }, weight)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
