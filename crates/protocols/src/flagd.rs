//! flagd's evaluation protocol, versions 1 and 2 (`flagd.evaluation.v1`, `flagd.evaluation.v2`), as messages and bytes.
//!
//! The two versions have the same messages but for one thing: version 2 tells an absent value from a zero. What is written
//! here always says which it is, and readers of version 1 understand that as well. Messages travel as protobuf or as JSON
//! (Connect), alone or in frames (gRPC, Connect streams).

mod json;
mod messages;
mod structs;

pub use json::{answer_json, error_json, event_json, request_from_json};
pub use messages::{AnswerKind, answer_proto, answers_proto, event_proto, request_from_proto};

use std::fmt::Write;

use serde_json::{Map, Value};

/// The packages of the service, by version.
pub const SERVICES: [&str; 2] = ["flagd.evaluation.v1.Service", "flagd.evaluation.v2.Service"];

/// A request to resolve one flag or, without a key, all of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    pub flag_key: String,
    pub context: Map<String, Value>,
}

/// What a flag resolved to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// Absent when the caller's own default counts.
    pub value: Option<Value>,
    pub reason: String,
    /// Absent together with the value.
    pub variant: Option<String>,
    pub metadata: Map<String, Value>,
}

/// Codes of gRPC and of Connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    FailedPrecondition,
    Unimplemented,
    Internal,
    Unavailable,
    Unauthenticated,
}

impl Status {
    /// gRPC's number.
    pub const fn number(self) -> u8 {
        match self {
            Self::InvalidArgument => 3,
            Self::NotFound => 5,
            Self::ResourceExhausted => 8,
            Self::FailedPrecondition => 9,
            Self::Unimplemented => 12,
            Self::Internal => 13,
            Self::Unavailable => 14,
            Self::Unauthenticated => 16,
        }
    }

    /// Connect's word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::NotFound => "not_found",
            Self::ResourceExhausted => "resource_exhausted",
            Self::FailedPrecondition => "failed_precondition",
            Self::Unimplemented => "unimplemented",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::Unauthenticated => "unauthenticated",
        }
    }

    /// The HTTP status of a Connect error.
    pub const fn http(self) -> u16 {
        match self {
            Self::InvalidArgument | Self::FailedPrecondition => 400,
            Self::Unauthenticated => 401,
            Self::NotFound => 404,
            Self::ResourceExhausted => 429,
            Self::Internal => 500,
            Self::Unimplemented => 501,
            Self::Unavailable => 503,
        }
    }
}

/// Bytes before a framed message: flags and length.
pub const FRAME_HEAD_BYTES: usize = 5;

/// Marks the last frame of a Connect stream.
pub const FRAME_END: u8 = 0b10;

/// A message in a frame.
pub fn frame(flags: u8, message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(FRAME_HEAD_BYTES + message.len());
    out.push(flags);
    out.extend_from_slice(&(message.len() as u32).to_be_bytes());
    out.extend_from_slice(message);
    out
}

/// The one message of a request's only frame.
pub fn unframe(body: &[u8]) -> Result<&[u8], String> {
    let Some((head, message)) = body.split_first_chunk::<FRAME_HEAD_BYTES>() else {
        return Err(format!("a message is in a frame of at least {FRAME_HEAD_BYTES} bytes, not {}", body.len()));
    };
    if head[0] != 0 {
        return Err("compressed messages are not read here; send them as they are".into());
    }
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if length != message.len() {
        return Err(format!("the frame announces {length} bytes and {} follow", message.len()));
    }
    Ok(message)
}

/// Text for the header `grpc-message`: everything but plain ASCII is percent-encoded.
pub fn header_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            out.push(char::from(byte));
        } else {
            // Writing into memory does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_go_there_and_back() {
        for message in [&b""[..], b"x", &[0; 300]] {
            assert_eq!(unframe(&frame(0, message)), Ok(message));
        }
        for broken in [&b""[..], b"\0\0\0\0", b"\0\0\0\0\x02x", b"\0\0\0\0\0x", b"\x01\0\0\0\x01x"] {
            assert!(unframe(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn headers_hold_any_text() {
        assert_eq!(header_text("there is no flag `ä%`\n"), "there is no flag `%C3%A4%25`%0A");
    }
}
