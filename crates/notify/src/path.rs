//! Paths of addresses.

use std::fmt::Write;

/// One part of a path: everything but unreserved characters (RFC 3986) is percent-encoded, slashes included.
pub(crate) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(b));
        } else {
            write!(out, "%{b:02X}").unwrap_or_default();
        }
    }
    out
}
