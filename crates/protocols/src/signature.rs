//! Signatures of what is sent in: HMAC-SHA256, compared in constant time, and the time that is signed with it.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// How far a signed time may lie from now, as Standard Webhooks has it.
pub const TIME_OFF_MS_MAX: i64 = 5 * 60 * 1000;
/// Of HMAC-SHA256.
const MAC_BYTES: usize = 32;

/// Says no more than it must.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("the signature does not fit")]
    Signature,
    #[error("the signed time is more than 5 minutes off")]
    Time,
}

/// Standard Webhooks (<https://www.standardwebhooks.com>): one of the signatures in the header fits `id.time.body`, and the
/// time is about now.
pub(crate) fn standard(
    secret: &[u8],
    id: &str,
    time: &str,
    signatures: &str,
    body: &[u8],
    now_ms: i64,
) -> Result<(), SignatureError> {
    let key = match secret.strip_prefix(b"whsec_") {
        Some(text) => STANDARD.decode(text).map_err(|_| SignatureError::Signature)?,
        None => secret.to_vec(),
    };
    let signed = mac(&key, &[id.as_bytes(), b".", time.as_bytes(), b".", body]);
    let fits = given_in(signatures).fold(subtle::Choice::from(0), |any, given| any | given.ct_eq(&signed));
    if !bool::from(fits) {
        return Err(SignatureError::Signature);
    }
    about_now(time, now_ms)
}

/// The signatures of a header of Standard Webhooks.
fn given_in(signatures: &str) -> impl Iterator<Item = Vec<u8>> {
    signatures.split(' ').filter_map(|s| STANDARD.decode(s.strip_prefix("v1,")?).ok())
}

/// Whether a header of Standard Webhooks holds what may be a signature.
pub(crate) fn is_standard(signatures: &str) -> Result<(), SignatureError> {
    if given_in(signatures).any(|given| given.len() == MAC_BYTES) { Ok(()) } else { Err(SignatureError::Signature) }
}

/// Whether a text may be a signature in hex.
pub(crate) fn is_hex_mac(given: &str) -> Result<(), SignatureError> {
    let given = given.trim();
    let is_one = given.len() == 2 * MAC_BYTES && given.bytes().all(|b| b.is_ascii_hexdigit());
    if is_one { Ok(()) } else { Err(SignatureError::Signature) }
}

/// A time in seconds since 1970, no further from now than [`TIME_OFF_MS_MAX`].
pub(crate) fn about_now(time: &str, now_ms: i64) -> Result<(), SignatureError> {
    let seconds: i64 = time.parse().map_err(|_| SignatureError::Time)?;
    let off = now_ms.saturating_sub(seconds.saturating_mul(1000)).saturating_abs();
    if off > TIME_OFF_MS_MAX { Err(SignatureError::Time) } else { Ok(()) }
}

/// A signature in hex over the parts.
pub(crate) fn hex_fits(secret: &[u8], parts: &[&[u8]], given: &str) -> Result<(), SignatureError> {
    let given = hex::decode(given.trim()).map_err(|_| SignatureError::Signature)?;
    if bool::from(given.ct_eq(&mac(secret, parts))) { Ok(()) } else { Err(SignatureError::Signature) }
}

/// HMAC-SHA256 over the parts, one after the other.
pub fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}
