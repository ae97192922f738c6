//! The one table of error codes: what a client sees, with its HTTP status.

use serde::{Deserialize, Serialize};

macro_rules! error_codes {
    ($($variant:ident, $code:literal, $status:literal;)*) => {
        /// A stable, machine-readable reason. The table in the API documentation is generated from here.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode { $(#[serde(rename = $code)] $variant,)* }

        impl ErrorCode {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            pub const fn code(self) -> &'static str { match self { $(Self::$variant => $code,)* } }
            pub const fn http_status(self) -> u16 { match self { $(Self::$variant => $status,)* } }
        }
    };
}

error_codes! {
    BadRequest, "bad_request", 400;
    Invalid, "invalid", 422;
    Unauthenticated, "unauthenticated", 401;
    Forbidden, "forbidden", 403;
    NotFound, "not_found", 404;
    MethodNotAllowed, "method_not_allowed", 405;
    Conflict, "conflict", 409;
    Gone, "gone", 410;
    Changed, "changed", 412;
    Locked, "locked", 423;
    TooLarge, "too_large", 413;
    UnsupportedMedia, "unsupported_media_type", 415;
    TooMany, "too_many_requests", 429;
    Timeout, "timeout", 504;
    Unavailable, "unavailable", 503;
    DiskFull, "disk_full", 507;
    Internal, "internal", 500;
}

/// What went wrong, for the one who asked: a code, one sentence, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    pub code: ErrorCode,
    /// One sentence, for a person.
    pub message: String,
    /// What to do; empty when the message says it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub advice: String,
}

impl Fault {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), advice: String::new() }
    }
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Invalid, message)
    }
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Conflict, message)
    }
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Forbidden, message)
    }
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unavailable, message)
    }
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<_> = ErrorCode::ALL.iter().map(|c| c.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ErrorCode::ALL.len());
    }
}
