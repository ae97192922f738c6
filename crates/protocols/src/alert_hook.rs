//! Alerts that come as signed webhooks: any JSON, by a small declared mapping, and Grafana's own.
//!
//! Nothing of a body is read before its signature fits. Two ways to sign are understood, both HMAC-SHA256 over a time and
//! the body:
//! - Standard Webhooks: `webhook-signature` over `id.time.body`, in base64;
//! - Grafana's: `X-Grafana-Alerting-Signature` over `time:body` in hex, the time in `X-Grafana-Alerting-Timestamp`; what is
//!   not Grafana may call them `X-Signature` and `X-Timestamp`.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use tenfold_types::Timestamp;

use crate::signature::{SignatureError, about_now, hex_fits, standard};

mod grafana;
mod mapping;

pub use grafana::grafana;
pub use mapping::{MAPPED_LABELS_MAX, Mapping, Paths, ResolvedWhen};

/// Largest body that is read.
pub const BODY_BYTES_MAX: usize = 4 << 20;
/// Alerts in one body.
pub const ALERTS_MAX: usize = 10_000;
/// Longest key by which an alert is known.
pub const KEY_CHARS_MAX: usize = 255;
/// Longest text of a label or an annotation; what is longer is cut.
pub const TEXT_CHARS_MAX: usize = 1_024;
const ID_BYTES_MAX: usize = 128;

/// What a sender says of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SaidState {
    Firing,
    Resolved,
    /// It says nothing of it any more, which is not the same as that it is over.
    Silent,
}

/// An alert that its sender knows by a key.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeyedAlert {
    pub key: String,
    pub state: SaidState,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub starts_at: Option<Timestamp>,
    /// Where the sender explains it.
    pub url: Option<String>,
}

/// Why a webhook was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    #[error("no signature: send {0}")]
    NoHeader(&'static str),
    #[error(transparent)]
    Signed(#[from] SignatureError),
    #[error("the delivery's id is longer than {ID_BYTES_MAX} bytes or holds control characters")]
    Id,
    #[error("the body cannot be read: {0}")]
    Body(String),
}

const NO_SIGNATURE: HookError = HookError::NoHeader("X-Signature with X-Timestamp, or webhook-signature");
const NO_TIME: HookError = HookError::NoHeader(
    "X-Timestamp beside the signature, over TIMESTAMP:BODY (Grafana: set the timestamp header to X-Grafana-Alerting-Timestamp)",
);

/// Checks who sends. `header` looks a header up by its lower-case name. The answer is a digest over what was signed: the
/// same delivery, sent again by anybody, has the same.
pub fn verify<'a>(
    secret: &[u8],
    header: impl Fn(&str) -> Option<&'a str>,
    body: &[u8],
    now_ms: i64,
) -> Result<String, HookError> {
    let mut hash = Sha256::new();
    if let Some(signatures) = header("webhook-signature") {
        let id = header("webhook-id").ok_or(HookError::NoHeader("webhook-id"))?;
        let time = header("webhook-timestamp").ok_or(HookError::NoHeader("webhook-timestamp"))?;
        if id.is_empty() || id.len() > ID_BYTES_MAX || id.chars().any(char::is_control) {
            return Err(HookError::Id);
        }
        standard(secret, id, time, signatures, body, now_ms)?;
        // A sender tries again with the id it had, and a time of its own.
        hash.update(id.as_bytes());
    } else {
        let either = |a: &str, b: &str| header(a).or_else(|| header(b));
        let given = either("x-grafana-alerting-signature", "x-signature").ok_or(NO_SIGNATURE)?;
        let time = either("x-grafana-alerting-timestamp", "x-timestamp").ok_or(NO_TIME)?;
        hex_fits(secret, &[time.as_bytes(), b":", body], given)?;
        about_now(time, now_ms)?;
        hash.update(time.as_bytes());
    }
    hash.update([0]);
    hash.update(body);
    Ok(hex::encode(hash.finalize()))
}

/// Whether a delivery can fit at all, before its body is read: it names a signature and a time about now. It says nothing
/// of who sends.
pub fn may_fit<'a>(header: impl Fn(&str) -> Option<&'a str>, now_ms: i64) -> Result<(), HookError> {
    let time = if header("webhook-signature").is_some() {
        header("webhook-id").ok_or(HookError::NoHeader("webhook-id"))?;
        header("webhook-timestamp").ok_or(HookError::NoHeader("webhook-timestamp"))?
    } else {
        header("x-grafana-alerting-signature").or_else(|| header("x-signature")).ok_or(NO_SIGNATURE)?;
        header("x-grafana-alerting-timestamp").or_else(|| header("x-timestamp")).ok_or(NO_TIME)?
    };
    Ok(about_now(time, now_ms)?)
}

/// At most so many characters of a text, without those that only control.
pub(crate) fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).take(TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
