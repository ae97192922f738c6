//! How much of samples is kept, how late they may come, what one query may take, and what one source may send.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, de::Error as _};
use tenfold_types::Fault;

use super::{Metrics, Push, origins};

const DAY_MS: i64 = 24 * 3_600_000;
/// Less than this is a slip of the pen: one block of a handful of series is larger.
const RETENTION_BYTES_MIN: u64 = 1 << 20;
/// With fewer active series the server's own would leave little room.
const SERIES_MIN: usize = 10_000;
const SERIES_MOST: usize = 100_000_000;
/// The protocol of scraped jobs among the sources.
pub const SCRAPE: &str = "scrape";
/// Sources that may have limits of their own.
const SOURCES_MAX: usize = 500;

/// A size as Prometheus writes it: `10GB` or `10GiB`, both in steps of 1,024. 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size(pub u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        tenfold_scrape::parse_bytes(&text).map(Self).map_err(D::Error::custom)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        let (mut left, mut unit) = (self.0, 0);
        while left > 0 && left.is_multiple_of(1024) && unit + 1 < UNITS.len() {
            left /= 1024;
            unit += 1;
        }
        write!(f, "{left}{}", UNITS[unit])
    }
}

/// A span of time as Prometheus writes it: `30m`, in milliseconds here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub i64);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        tenfold_types::parse_duration_ms(&text).map(Self).map_err(D::Error::custom)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&tenfold_types::format_duration_ms(self.0))
    }
}

/// What one query may take, and how many run at a time.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueryLimits {
    /// A query that takes longer is ended.
    pub timeout_ms: u64,
    /// Queries of people and programs at one time; further ones wait, within their time. Rules do not wait here.
    pub concurrency_max: usize,
    /// Samples read, over all selectors.
    pub samples_max: u64,
    /// Series one selector may match.
    pub series_max: usize,
    /// Values (series times steps) that one node of the expression may hold.
    pub values_max: u64,
    /// Bytes of values and histograms that all nodes together may hold.
    pub bytes_max: u64,
}

impl Default for QueryLimits {
    fn default() -> Self {
        let limits = tenfold_promql::Limits::default();
        Self {
            timeout_ms: 30_000,
            concurrency_max: 16,
            samples_max: limits.samples_max,
            series_max: limits.series_max,
            values_max: limits.values_max,
            bytes_max: limits.bytes_max,
        }
    }
}

impl QueryLimits {
    pub fn limits(&self) -> tenfold_promql::Limits {
        tenfold_promql::Limits {
            samples_max: self.samples_max,
            series_max: self.series_max,
            values_max: self.values_max,
            bytes_max: self.bytes_max,
            ..tenfold_promql::Limits::default()
        }
    }

    fn check(&self) -> Result<(), Fault> {
        for (key, value, least, most) in [
            ("timeout_ms", self.timeout_ms, 100, 600_000),
            ("concurrency_max", self.concurrency_max as u64, 1, 1_000),
            ("samples_max", self.samples_max, 1_000, 100_000_000_000),
            ("series_max", self.series_max as u64, 10, 100_000_000),
            ("values_max", self.values_max, 1_000, 100_000_000_000),
            ("bytes_max", self.bytes_max, 1 << 20, 1 << 40),
        ] {
            if value < least || value > most {
                return Err(Fault::invalid(format!("metrics.query.{key} is {value}; it may be {least} to {most}"))
                    .advice("change it in the settings, or leave it out"));
            }
        }
        Ok(())
    }
}

/// Limits of one source that differ from those under `metrics.push`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceLimits {
    /// Different series within an hour.
    pub series_max: Option<usize>,
    /// Samples a second; 0 for no limit.
    pub samples_per_second_max: Option<u64>,
}

/// What each source may send: one that pushes, or a scraped job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushLimits {
    usual: Push,
    own: BTreeMap<String, SourceLimits>,
}

impl PushLimits {
    /// The limits of a source, and whether it has its own. `PROTOCOL/NAME` counts before `NAME`, which is no scraped job: a
    /// token may be called as one is.
    pub fn of(&self, protocol: &str, name: &str) -> (Push, bool) {
        let mut limits = self.usual.clone();
        let found = self.own.get(&format!("{protocol}/{name}"));
        let found = found.or_else(|| self.own.get(name).filter(|_| protocol != SCRAPE));
        if let Some(found) = found {
            limits.series_per_source_max = found.series_max.unwrap_or(limits.series_per_source_max);
            limits.samples_per_second_max = found.samples_per_second_max.unwrap_or(limits.samples_per_second_max);
        }
        (limits, found.is_some())
    }
}

impl Metrics {
    /// How long samples are kept here, in milliseconds. Of what a cluster keeps, parts of the server look at the newest.
    pub fn retention_ms(&self) -> i64 {
        i64::from(if self.is_remote() { 1 } else { self.retention_days }) * DAY_MS
    }

    /// The size over which the oldest samples are dropped.
    pub fn retention_bytes_max(&self) -> Option<u64> {
        (self.retention_size.0 > 0).then_some(self.retention_size.0)
    }

    /// The limits of sources that push.
    pub fn push_limits(&self) -> PushLimits {
        PushLimits { usual: self.push.clone(), own: self.sources.clone() }
    }

    /// What the types alone do not say.
    pub fn check(&self) -> Result<(), Fault> {
        let size = self.retention_size;
        if size.0 > 0 && size.0 < RETENTION_BYTES_MIN {
            return Err(Fault::invalid(format!(
                "metrics.retention_size is {size}; it may be {} or more, or 0 for no limit",
                Size(RETENTION_BYTES_MIN)
            )));
        }
        let (window, most) = (self.out_of_order_time_window, Span(self.retention_ms().max(DAY_MS)));
        if window.0 > most.0 {
            return Err(Fault::invalid(format!(
                "metrics.out_of_order_time_window is {window}; it may be at most the {most} that samples are kept"
            ))
            .advice("older samples are taken by `tenfold metrics import`"));
        }
        if !(SERIES_MIN..=SERIES_MOST).contains(&self.series_max) {
            let given = self.series_max;
            return Err(Fault::invalid(format!(
                "metrics.series_max is {given}; it may be {SERIES_MIN} to {SERIES_MOST}"
            ))
            .advice("an active series takes about a kilobyte of memory"));
        }
        self.query.check()?;
        self.otlp.check()?;
        origins::check(&self.cors_origins)?;
        if self.sources.len() > SOURCES_MAX {
            let count = self.sources.len();
            return Err(Fault::invalid(format!(
                "metrics.sources has {count} sources; at most {SOURCES_MAX} may be there"
            )));
        }
        for (name, limits) in &self.sources {
            let wrong = match limits {
                SourceLimits { series_max: None, samples_per_second_max: None } => {
                    "sets nothing; name series_max or samples_per_second_max"
                }
                SourceLimits { series_max: Some(0), .. } => {
                    "has a series_max of 0; revoke the token to keep a source out"
                }
                _ => continue,
            };
            return Err(Fault::invalid(format!("metrics.sources.\"{name}\" {wrong}")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Line {
        size: Option<Size>,
        span: Option<Span>,
    }

    #[test]
    fn sizes_and_spans_are_written_as_in_prometheus() {
        let read = |text: &str| serde_json::from_str::<Line>(text).map_err(|e| e.to_string());
        for (text, bytes, shown) in [
            ("10GB", 10 << 30, "10GiB"),
            ("1536MiB", 1536 << 20, "1536MiB"),
            ("0", 0, "0B"),
            ("5B", 5, "5B"),
            ("1TB", 1 << 40, "1TiB"),
        ] {
            let size = read(&format!("{{\"size\": \"{text}\"}}")).unwrap().size.unwrap();
            assert_eq!((size, size.to_string().as_str()), (Size(bytes), shown), "{text}");
        }
        let wrong = read("{\"size\": \"10 gigabytes\"}").unwrap_err();
        assert!(wrong.contains("512KB, 10MB or 1GB"), "{wrong}");
        let span = read("{\"span\": \"1h30m\"}").unwrap().span.unwrap();
        assert_eq!((span, span.to_string().as_str()), (Span(5_400_000), "1h30m"));
        let wrong = read("{\"span\": \"90\"}").unwrap_err();
        assert!(wrong.contains("not a duration"), "{wrong}");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        type Change = fn(&mut Metrics);
        let refused = |change: fn(&mut Metrics)| {
            let mut metrics = Metrics::default();
            change(&mut metrics);
            metrics.check().map_err(|fault| fault.message)
        };
        assert_eq!(refused(|_| {}), Ok(()));
        let cases: [(Change, &str); 9] = [
            (|m| m.retention_size = Size(1000), "retention_size is 1000B; it may be 1MiB or more"),
            (|m| m.out_of_order_time_window = Span(16 * DAY_MS), "window is 16d; it may be at most the 15d"),
            (|m| m.series_max = 0, "metrics.series_max is 0; it may be 10000 to 100000000"),
            (|m| m.series_max = 200_000_000, "series_max is 200000000; it may be"),
            (|m| m.query.timeout_ms = 0, "metrics.query.timeout_ms is 0; it may be 100 to 600000"),
            (|m| m.query.concurrency_max = 5_000, "concurrency_max is 5000; it may be 1 to 1000"),
            (|m| m.query.samples_max = 1, "samples_max is 1; it may be 1000 to"),
            (|m| m.query.bytes_max = u64::MAX, "bytes_max is"),
            (|m| m.sources = BTreeMap::from([("ci".into(), SourceLimits::default())]), "\"ci\" sets nothing"),
        ];
        for (change, said) in cases {
            let text = refused(change).unwrap_err();
            assert!(text.contains(said), "{text}");
        }
        let window = Span(31 * DAY_MS);
        let long = Metrics { retention_days: 60, out_of_order_time_window: window, ..Metrics::default() };
        assert_eq!(long.check(), Ok(()));
    }

    #[test]
    fn a_source_may_have_limits_of_its_own() {
        let own = |series_max, samples_per_second_max| SourceLimits { series_max, samples_per_second_max };
        let metrics = Metrics {
            push: Push { series_per_source_max: 100, samples_per_second_max: 5 },
            sources: BTreeMap::from([("ci".into(), own(Some(7), None)), ("otlp/ci".into(), own(None, Some(0)))]),
            ..Metrics::default()
        };
        let of = |protocol: &str, name: &str| {
            let (push, own) = metrics.push_limits().of(protocol, name);
            (push.series_per_source_max, push.samples_per_second_max, own)
        };
        assert_eq!(of("remote_write", "ci"), (7, 5, true));
        assert_eq!(of("otlp", "ci"), (100, 0, true));
        assert_eq!(of("otlp", "cd"), (100, 5, false));
        assert_eq!(of(SCRAPE, "ci"), (100, 5, false), "a job is no token of the same name");
    }
}
