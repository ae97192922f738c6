//! Instants with millisecond precision, and the two ports through which time and randomness enter.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since 1970-01-01T00:00:00Z. In JSON an RFC 3339 string in UTC (`2026-11-23T06:09:40.123Z`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }
    pub const fn millis(self) -> i64 {
        self.0
    }
    /// Seconds since the epoch with fraction, as Prometheus' API writes instants.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }
    /// Milliseconds from `earlier` to `self`; negative when `earlier` is later.
    pub const fn since_ms(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
    /// Reads RFC 3339 (`2026-11-23T06:09:40Z`, any offset).
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|t| Self(t.as_millisecond()))
    }
    /// Reads RFC 2822 (`Mon, 23 Nov 2026 06:09:40 GMT`), as HTTP and mail write instants.
    pub fn parse_rfc2822(text: &str) -> Option<Self> {
        jiff::fmt::rfc2822::parse(text).ok().map(|t| Self(t.timestamp().as_millisecond()))
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => write!(f, "{t:.3}"),
            Err(_) => write!(f, "@{}ms", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse_rfc3339(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is not an RFC 3339 instant; write it like 2026-11-23T06:09:40Z"))
        })
    }
}

/// Where the time comes from. The one real implementation stands in the binary; tests move theirs.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// Where random bytes come from.
pub trait Entropy: Send + Sync {
    fn fill(&self, bytes: &mut [u8]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_rfc3339_in_utc() {
        let t = Timestamp(1_763_878_180_123);
        assert_eq!(serde_json::to_string(&t).unwrap(), "\"2025-11-23T06:09:40.123Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>("\"2025-11-23T07:09:40.123+01:00\"").unwrap(), t);
        assert!(serde_json::from_str::<Timestamp>("\"yesterday\"").unwrap_err().to_string().contains("RFC 3339"));
    }
}
