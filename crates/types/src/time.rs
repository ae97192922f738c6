//! Instants with millisecond precision, and the two ports through which time and randomness enter.

use std::ops::Range;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Instants that are written without the calendar of all times: from 1970 to the end of 9999.
const PLAIN_MS: Range<i64> = 0..253_402_300_800_000;
const DAY_MS: i64 = 86_400_000;
/// How they are written.
const PLAIN: &[u8; 24] = b"0000-00-00T00:00:00.000Z";

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
        let read = |text: &str| text.parse::<jiff::Timestamp>().ok().map(|t| Self(t.as_millisecond()));
        // The calendar ends before the last day of 9999, by which many say that there is no end.
        let in_last_year = || {
            let year_before = format!("9998-{}", text.strip_prefix("9999-")?);
            read(&year_before).map(|at| at.plus_ms(365 * DAY_MS)).filter(|at| PLAIN_MS.contains(&at.0))
        };
        read(text).or_else(in_last_year)
    }
    /// Reads RFC 2822 (`Mon, 23 Nov 2026 06:09:40 GMT`), as HTTP and mail write instants.
    pub fn parse_rfc2822(text: &str) -> Option<Self> {
        jiff::fmt::rfc2822::parse(text).ok().map(|t| Self(t.timestamp().as_millisecond()))
    }
    /// As it is written, where it is one of [`PLAIN_MS`]: nearly all are, and each event and each message has some.
    fn plain(self, out: &mut [u8; PLAIN.len()]) -> Option<&str> {
        if !PLAIN_MS.contains(&self.0) {
            return None;
        }
        let (year, month, day) = civil_date(self.0 / DAY_MS);
        let ms = self.0 % DAY_MS;
        out.copy_from_slice(PLAIN);
        for (place, number) in [
            (0_usize..4, year),
            (5..7, month),
            (8..10, day),
            (11..13, ms / 3_600_000),
            (14..16, ms / 60_000 % 60),
            (17..19, ms / 1_000 % 60),
            (20..23, ms % 1_000),
        ] {
            let mut rest = number;
            for digit in out[place].iter_mut().rev() {
                *digit += (rest % 10) as u8;
                rest /= 10;
            }
        }
        std::str::from_utf8(out).ok()
    }
}

/// Year, month 1..=12 and day 1..=31 of the proleptic Gregorian calendar, so many days after 1970-01-01: `civil_from_days` of Howard
/// Hinnant's "chrono-compatible low-level date algorithms", in which years begin in March.
pub fn civil_date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let years = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * years + years / 4 - years / 100);
    let months = (5 * of_year + 2) / 153;
    let day = of_year - (153 * months + 2) / 5 + 1;
    let month = if months < 10 { months + 3 } else { months - 9 };
    (years + era * 400 + i64::from(month <= 2), month, day)
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(text) = self.plain(&mut [0; PLAIN.len()]) {
            return f.write_str(text);
        }
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => write!(f, "{t:.3}"),
            Err(_) => write!(f, "@{}ms", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.plain(&mut [0; PLAIN.len()]) {
            Some(text) => s.serialize_str(text),
            None => s.collect_str(self),
        }
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

    #[test]
    fn every_day_is_written_as_the_calendar_has_it() {
        let check = |ms: i64| {
            let t = Timestamp(ms);
            let wanted = format!("{:.3}", jiff::Timestamp::from_millisecond(ms).unwrap());
            assert_eq!(t.to_string(), wanted);
            assert_eq!(serde_json::to_string(&t).unwrap(), format!("\"{wanted}\""));
        };
        // The last two are the beginning of 9999, and as far as the calendar goes.
        for at in
            [-1, PLAIN_MS.start, -62_135_596_800_000, 253_370_764_799_999, 253_370_764_800_000, 253_402_207_200_000]
        {
            check(at);
        }
        // Each day until 2130, and then every 41st, each at another time of day.
        let near = (0..58_500_i64).map(|day| day * 86_400_000 + day * 1_477_013 % 86_400_000);
        let far = (0..70_000_i64).map(|n| n * 41 * 86_400_000 + n * 7_919_017 % 86_400_000);
        near.chain(far).for_each(check);
    }

    #[test]
    fn the_last_day_of_9999_is_read_and_written() {
        for (text, written) in [
            ("9999-12-31T23:59:59Z", Some("9999-12-31T23:59:59.000Z")),
            // The last instant of .NET.
            ("9999-12-31T23:59:59.9999999Z", Some("9999-12-31T23:59:59.999Z")),
            ("9999-12-31T01:00:00+02:00", Some("9999-12-30T23:00:00.000Z")),
            ("9999-12-30T22:00:00Z", Some("9999-12-30T22:00:00.000Z")),
            ("9999-12-31T23:59:59-05:00", None),
            ("9999-02-29T00:00:00Z", None),
            ("9999-12-32T00:00:00Z", None),
            ("10000-01-01T00:00:00Z", None),
        ] {
            let read = Timestamp::parse_rfc3339(text);
            assert_eq!(read.map(|at| at.to_string()).as_deref(), written, "{text}");
            assert_eq!(read.and_then(|at| Timestamp::parse_rfc3339(&at.to_string())), read, "{text}");
        }
    }
}
