//! Everything that is pushed goes through here, whatever the protocol: limits by source, samples into the store, counts
//! of what was taken and what was refused, and the first refusals in words.
//!
//! A source is one token or one listener in one protocol, so that who floods the store is known and stopped alone.

mod jobs;

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;
use parking_lot::Mutex;
use serde::Serialize;
use tenfold_protocols::batch::{Batch, Refused, Series, refuse};
use tenfold_protocols::exposition::Metadata;
use tenfold_protocols::otlp;
use tenfold_types::{ErrorCode, Fault, Timestamp};

use super::exceeded::is_recent;
use super::{AHEAD_MS_MAX, ExceededLimit, State};
use crate::settings::Push;

/// Sources kept apart; further ones share the name `other`.
const SOURCES_MAX: usize = 500;
const OTHER: &str = "other";
/// A series that a source did not send for this long no longer counts against its limit.
const ACTIVE_MS: i64 = 3_600_000;
/// A refusal for the same reason is told in the log no more often.
const TELL_MS: i64 = 60_000;
/// How much of its rate a source may send at once.
const BURST_S: f64 = 10.0;
/// Requests decoded and written at once; further ones wait.
pub const PUSHES_MAX: usize = 8;
/// Bodies received at once: what they hold of memory has a limit.
pub(super) const BODIES_MAX: usize = 64;

/// Who pushes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
pub struct Source {
    /// `remote_write`, `otlp`, ...
    pub protocol: String,
    /// The token's or person's name, or the listener's address.
    pub name: String,
}

impl Source {
    pub fn new(protocol: &str, name: impl Into<String>) -> Self {
        Self { protocol: protocol.to_owned(), name: name.into() }
    }

    fn labels(&self) -> [(&str, &str); 2] {
        [("protocol", &self.protocol), ("source", &self.name)]
    }
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pushed {
    /// Float samples in the store now, repetitions included.
    pub samples: usize,
    pub histograms: usize,
    pub exemplars: usize,
    /// What will never be taken, however often it is sent.
    pub refused: Vec<Refused>,
}

impl Pushed {
    pub fn refused_count(&self) -> usize {
        self.refused.iter().map(|r| r.count).sum()
    }

    /// One line for each reason.
    pub fn refused_text(&self) -> String {
        let line = |r: &Refused| format!("{} refused ({}), the first: {}", r.count, r.reason, r.example);
        self.refused.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// A push of which nothing was taken, and which may be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushFault {
    pub fault: Fault,
    /// When to come again, where that is known.
    pub retry_after_s: Option<u64>,
}

/// A refusal that a person should see.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct RefusedOf {
    pub reason: String,
    pub count: u64,
    /// The last one told, in words.
    pub example: String,
    #[schema(value_type = String)]
    pub last_at: Timestamp,
}

/// What a source sent since the server started.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct SourceStatus {
    #[serde(flatten)]
    pub source: Source,
    #[schema(value_type = String)]
    pub last_at: Timestamp,
    /// Series sent within the last hour.
    pub series: usize,
    pub series_max: usize,
    /// How many samples a second it may send; 0 for no limit.
    pub samples_per_second_max: u64,
    /// Whether the settings have limits for this source alone.
    pub own_limits: bool,
    /// Requests that had to wait because it sent faster.
    pub throttled: u64,
    /// Limits it went over within the last hour.
    pub exceeded: Vec<ExceededLimit>,
    pub samples: u64,
    pub histograms: u64,
    pub exemplars: u64,
    pub refused: Vec<RefusedOf>,
}

/// Every source that was seen.
#[derive(Default)]
pub(super) struct Sources(Mutex<BTreeMap<Source, Arc<Mutex<Seen>>>>);

#[derive(Default)]
struct Seen {
    /// By the hash of a series' labels: one for each sample that comes, so that it has to be quick. Its seed is this source's own.
    series: HashMap<u64, Sent, DefaultHashBuilder>,
    hasher: DefaultHashBuilder,
    tidied: Timestamp,
    /// Samples it may send at once; below zero it waits.
    allowance: f64,
    refilled: Option<Timestamp>,
    last_at: Timestamp,
    throttled: u64,
    throttled_at: Option<Timestamp>,
    samples: u64,
    histograms: u64,
    exemplars: u64,
    refused: BTreeMap<&'static str, Told>,
}

struct Sent {
    at_ms: i64,
    /// The start that is in the store already.
    created_ms: Option<i64>,
}

struct Told {
    count: u64,
    example: String,
    last_at: Timestamp,
    logged_at: Timestamp,
}

impl Sources {
    /// One that has limits of its own keeps its name, however many there are.
    fn of(&self, source: &Source, own_limits: bool) -> (Source, Arc<Mutex<Seen>>) {
        let mut all = self.0.lock();
        let source = if own_limits || all.contains_key(source) || all.len() < SOURCES_MAX {
            source.clone()
        } else {
            Source::new(&source.protocol, OTHER)
        };
        let seen = all.entry(source.clone()).or_default().clone();
        (source, seen)
    }
}

impl Seen {
    /// Takes `count` samples out of the allowance, or tells how many seconds to wait.
    fn spend(&mut self, count: usize, per_second: u64, now: Timestamp) -> Result<(), u64> {
        if per_second == 0 {
            return Ok(());
        }
        let rate = per_second as f64;
        let full = rate * BURST_S;
        let passed_s = self.refilled.map_or(BURST_S, |t| now.since_ms(t).max(0) as f64 / 1_000.0);
        self.allowance = (self.allowance + passed_s * rate).min(full);
        self.refilled = Some(now);
        if self.allowance <= 0.0 {
            return Err((-self.allowance / rate).ceil().max(1.0) as u64);
        }
        self.allowance -= count as f64;
        Ok(())
    }

    /// Whether the series may be written, and under which hash it is known. A start that is in the store already is
    /// marked as known.
    fn admit(&mut self, series: &mut Series<'_, '_>, max: usize, now: Timestamp) -> Option<u64> {
        let mut hasher = self.hasher.build_hasher();
        for text in series.labels.iter().flat_map(|(name, value)| [name, value]) {
            hasher.write(text.as_bytes());
            hasher.write_u8(0xff);
        }
        let key = hasher.finish();
        if let Some(sent) = self.series.get_mut(&key) {
            sent.at_ms = now.millis();
            series.start_is_known = series.created_ms == sent.created_ms;
            return Some(key);
        }
        if self.series.len() >= max && now.since_ms(self.tidied) > TELL_MS {
            self.tidied = now;
            self.series.retain(|_, sent| now.millis() - sent.at_ms < ACTIVE_MS);
        }
        let room = self.series.len() < max;
        if room {
            self.series.insert(key, Sent { at_ms: now.millis(), created_ms: None });
        }
        room.then_some(key)
    }

    /// The starts of these series are in the store now.
    fn started(&mut self, starts: impl IntoIterator<Item = (u64, i64)>) {
        for (key, created_ms) in starts {
            if let Some(sent) = self.series.get_mut(&key) {
                sent.created_ms = Some(created_ms);
            }
        }
    }

    /// The limits gone over within the last hour.
    fn exceeded(&self, limits: &Push, now: Timestamp) -> Vec<ExceededLimit> {
        let series = self.refused.get("source_series").map(|told| ExceededLimit {
            limit: "series".to_owned(),
            last_at: told.last_at,
            count: told.count,
            example: told.example.clone(),
        });
        let rate = self.throttled_at.map(|last_at| ExceededLimit {
            limit: "samples_per_second".to_owned(),
            last_at,
            count: self.throttled,
            example: format!("it sent more than {} samples a second", limits.samples_per_second_max),
        });
        [series, rate].into_iter().flatten().filter(|over| is_recent(over.last_at, now)).collect()
    }

    /// Keeps count, and says whether a refusal is to be logged.
    fn tell(&mut self, refused: &Refused, now: Timestamp) -> bool {
        let fresh = !self.refused.contains_key(refused.reason);
        let told = self.refused.entry(refused.reason).or_insert_with(|| Told {
            count: 0,
            example: String::new(),
            last_at: now,
            logged_at: now,
        });
        told.count += refused.count as u64;
        told.last_at = now;
        refused.example.clone_into(&mut told.example);
        let log = fresh || now.since_ms(told.logged_at) >= TELL_MS;
        if log {
            told.logged_at = now;
        }
        log
    }
}

impl State {
    /// A place to decode and write a pushed body; waits while all are taken.
    pub async fn push_place(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Fault> {
        self.pushes.acquire().await.map_err(|_| Fault::unavailable("the server is stopping"))
    }

    /// A place to receive a body.
    pub async fn body_place(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Fault> {
        self.bodies.acquire().await.map_err(|_| Fault::unavailable("the server is stopping"))
    }

    /// Takes in what a source sent. An error means that nothing was taken and that sending it again may help; what is in
    /// [`Pushed::refused`] will never be taken.
    pub fn push(&self, source: &Source, batch: &Batch<'_>, now: Timestamp) -> Result<Pushed, PushFault> {
        let (limits, own_limits) = self.push_limits.of(&source.protocol, &source.name);
        let (source, seen) = self.sources.of(source, own_limits);
        let pushed = self.take(&source, &seen, batch, &limits, now);
        let outcome = match &pushed {
            Ok(pushed) if pushed.refused.is_empty() => "taken",
            Ok(_) => "partly_refused",
            Err(_) => "failed",
        };
        let [protocol, name] = source.labels();
        self.own.add("tenfold_push_requests_total", &[protocol, name, ("outcome", outcome)], 1.0);
        pushed
    }

    fn take(
        &self,
        source: &Source,
        seen: &Mutex<Seen>,
        batch: &Batch<'_>,
        limits: &Push,
        now: Timestamp,
    ) -> Result<Pushed, PushFault> {
        let mut refused = batch.refused().to_vec();
        let (mut wanted, mut starts) = (Vec::with_capacity(batch.series_count()), Vec::new());
        let count = batch.point_count() + batch.histogram_count();
        {
            let mut seen = seen.lock();
            seen.last_at = now;
            if let Err(wait_s) = seen.spend(count, limits.samples_per_second_max, now) {
                seen.throttled += 1;
                seen.throttled_at = Some(now);
                return Err(too_fast(source, limits, wait_s));
            }
            for mut series in batch.series() {
                if let Some(key) = seen.admit(&mut series, limits.series_per_source_max, now) {
                    starts.extend(series.created_ms.filter(|_| !series.start_is_known).map(|ms| (key, ms)));
                    wanted.push(series);
                } else {
                    refuse(&mut refused, "source_series", series.points.len() + series.histograms.len(), || {
                        format!(
                            "{} would be a new series of `{}`, which sent {} within the hour; at most {} are allowed",
                            series.owned_labels(),
                            source.name,
                            limits.series_per_source_max,
                            limits.series_per_source_max
                        )
                    });
                }
            }
        }
        let latest_ms = now.millis().saturating_add(AHEAD_MS_MAX);
        let mut pushed = self.write(&wanted, latest_ms).map_err(|fault| {
            // It will come again, and is not to pay twice.
            seen.lock().allowance += count as f64;
            PushFault { fault, retry_after_s: Some(5) }
        })?;
        for more in std::mem::take(&mut pushed.refused) {
            refuse(&mut refused, more.reason, more.count, || more.example);
        }
        pushed.refused = refused;
        let mut seen = seen.lock();
        seen.started(starts);
        self.count(source, &mut seen, &pushed, now);
        Ok(pushed)
    }

    fn count(&self, source: &Source, seen: &mut Seen, pushed: &Pushed, now: Timestamp) {
        let [protocol, name] = source.labels();
        for (metric, count) in [
            ("tenfold_push_samples_total", pushed.samples),
            ("tenfold_push_histograms_total", pushed.histograms),
            ("tenfold_push_exemplars_total", pushed.exemplars),
        ] {
            if count > 0 {
                self.own.add(metric, &[protocol, name], count as f64);
            }
        }
        self.own.set("tenfold_push_series", &[protocol, name], seen.series.len() as f64);
        seen.samples += pushed.samples as u64;
        seen.histograms += pushed.histograms as u64;
        seen.exemplars += pushed.exemplars as u64;
        for refused in &pushed.refused {
            let labels = [protocol, name, ("reason", refused.reason)];
            self.own.add("tenfold_push_refused_total", &labels, refused.count as f64);
            if seen.tell(refused, now) {
                tracing::warn!(
                    protocol = source.protocol,
                    source = source.name,
                    reason = refused.reason,
                    count = refused.count,
                    "samples were refused: {}",
                    refused.example
                );
            }
        }
    }

    /// Takes in an OTLP request.
    pub fn push_otlp(&self, source: &Source, request: &otlp::Request, now: Timestamp) -> Result<Pushed, PushFault> {
        let mut deltas = self.deltas.lock();
        let translated = otlp::translate(request, &self.otlp_rules, &mut deltas, now);
        self.own.set("tenfold_otlp_delta_streams", &[], deltas.len() as f64);
        // Deltas count once they are kept; until then nothing is added to them.
        let unsettled = deltas.is_unsettled().then_some(deltas);
        let too_large = |e: tenfold_protocols::batch::TooMuch| PushFault {
            fault: Fault::new(ErrorCode::TooLarge, e.to_string()),
            retry_after_s: None,
        };
        let pushed = translated.batch().map_err(too_large).and_then(|batch| self.push(source, &batch, now));
        if let Some(mut deltas) = unsettled {
            if pushed.is_ok() { deltas.settle() } else { deltas.take_back() }
        }
        let mut pushed = pushed?;
        // A point is several samples where it is a histogram; what is told are points.
        let mut left = translated.points;
        for refused in &mut pushed.refused {
            refused.count = refused.count.min(left);
            left -= refused.count;
        }
        self.keep_metadata(translated.metadata);
        Ok(pushed)
    }

    /// What a pushed body says of metric families.
    pub fn push_metadata<'a>(&self, families: impl IntoIterator<Item = (&'a str, Metadata)>) {
        self.keep_metadata(families.into_iter().map(|(name, about)| (name.to_owned(), about)));
    }

    /// A body that could not be read at all.
    pub fn push_unreadable(&self, source: &Source) {
        let (_, own_limits) = self.push_limits.of(&source.protocol, &source.name);
        let (source, _) = self.sources.of(source, own_limits);
        let [protocol, name] = source.labels();
        self.own.add("tenfold_push_requests_total", &[protocol, name, ("outcome", "unreadable")], 1.0);
    }

    /// Who pushed since the server started.
    pub fn push_sources(&self, now: Timestamp) -> Vec<SourceStatus> {
        let all: Vec<_> = self.sources.0.lock().iter().map(|(s, seen)| (s.clone(), seen.clone())).collect();
        let status = |(source, seen): (Source, Arc<Mutex<Seen>>)| {
            let seen = seen.lock();
            let (limits, own_limits) = self.push_limits.of(&source.protocol, &source.name);
            let refused = |(reason, told): (&&'static str, &Told)| RefusedOf {
                reason: (*reason).to_owned(),
                count: told.count,
                example: told.example.clone(),
                last_at: told.last_at,
            };
            SourceStatus {
                source,
                last_at: seen.last_at,
                series: seen.series.values().filter(|sent| now.millis() - sent.at_ms < ACTIVE_MS).count(),
                series_max: limits.series_per_source_max,
                samples_per_second_max: limits.samples_per_second_max,
                own_limits,
                throttled: seen.throttled,
                exceeded: seen.exceeded(&limits, now),
                samples: seen.samples,
                histograms: seen.histograms,
                exemplars: seen.exemplars,
                refused: seen.refused.iter().map(refused).collect(),
            }
        };
        all.into_iter().map(status).collect()
    }
}

fn too_fast(source: &Source, limits: &Push, wait_s: u64) -> PushFault {
    let max = limits.samples_per_second_max;
    let fault = Fault::new(
        ErrorCode::TooMany,
        format!("`{}` sends more than {max} samples a second, which is its limit", source.name),
    )
    .advice(format!(
        "send again in {wait_s} s; an operator sets samples_per_second_max under metrics.push or metrics.sources.\"{}\"",
        source.name
    ));
    PushFault { fault, retry_after_s: Some(wait_s) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenfold_types::Point;

    fn batch(names: &[&'static str]) -> Batch<'static> {
        let mut batch = Batch::default();
        for name in names {
            batch.label("__name__", name).unwrap();
            batch.point(Point::new(1_000, 1.0)).unwrap();
            batch.end().unwrap();
        }
        batch
    }

    #[test]
    fn one_source_cannot_make_up_series_without_end() {
        let mut seen = Seen::default();
        let (one, two) = (batch(&["a"]), batch(&["b", "c"]));
        let admit = |seen: &mut Seen, batch: &Batch<'_>, at| {
            batch.series().map(|mut s| seen.admit(&mut s, 2, Timestamp(at)).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(admit(&mut seen, &one, 0), [true]);
        assert_eq!(admit(&mut seen, &two, ACTIVE_MS / 2), [true, false]);
        assert_eq!(admit(&mut seen, &one, ACTIVE_MS / 2), [true], "what is known goes on");
        let later = ACTIVE_MS / 2 + ACTIVE_MS;
        assert_eq!(admit(&mut seen, &batch(&["c"]), later), [true], "what was silent for an hour gives its place");
    }

    #[test]
    fn a_start_is_written_until_it_is_in_the_store() {
        let mut one = Batch::default();
        one.label("__name__", "a_total").unwrap();
        one.created(500);
        one.point(Point::new(1_000, 1.0)).unwrap();
        one.end().unwrap();
        let mut seen = Seen::default();
        let admit = |seen: &mut Seen| {
            let mut series = one.series().next().unwrap();
            (seen.admit(&mut series, 2, Timestamp(0)).unwrap(), series.start_is_known, series.created_ms)
        };
        let (key, first, _) = admit(&mut seen);
        assert_eq!((first, admit(&mut seen).1), (false, false), "writing it may have failed");
        seen.started([(key, 500)]);
        let (_, is_known, created_ms) = admit(&mut seen);
        assert_eq!((is_known, created_ms), (true, Some(500)), "receivers are told of it with each sample");
    }

    #[test]
    fn a_source_that_is_too_fast_waits() {
        let mut seen = Seen::default();
        let at = |s: i64| Timestamp(1_800_000_000_000 + s * 1_000);
        assert_eq!(seen.spend(1_500, 100, at(0)), Ok(()), "a burst is taken whole");
        assert_eq!(seen.spend(1, 100, at(0)), Err(5));
        assert_eq!(seen.spend(1, 100, at(4)), Err(1));
        assert_eq!(seen.spend(1, 100, at(6)), Ok(()));
        assert_eq!(Seen::default().spend(usize::MAX, 0, at(0)), Ok(()), "zero is no limit");
    }

    #[test]
    fn deltas_that_were_sent_too_fast_count_when_they_come_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = crate::Settings { data_dir: dir.path().to_owned(), ..crate::Settings::default() };
        settings.metrics.push.samples_per_second_max = 1;
        let state = State::open(&settings).unwrap();
        let source = Source::new("otlp", "test");
        let at = |s: i64| Timestamp(1_795_424_000_000 + s * 1_000);
        let delta = |second: i64| {
            let nanos = |t: Timestamp| (t.millis() * 1_000_000).to_string();
            let point = serde_json::json!({
                "startTimeUnixNano": nanos(at(second - 10)), "timeUnixNano": nanos(at(second)), "asDouble": 2.0,
            });
            let sum = serde_json::json!({"aggregationTemporality": 1, "isMonotonic": true, "dataPoints": [point]});
            let metric = serde_json::json!({"name": "uploads", "sum": sum});
            let text = serde_json::json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]});
            otlp::from_json(text.to_string().as_bytes()).unwrap()
        };
        state.push_otlp(&source, &delta(0), at(0)).unwrap();
        let names: Vec<String> = (0..20).map(|n| format!("m{n}")).collect();
        let mut burst = Batch::default();
        for name in &names {
            burst.label("__name__", name).unwrap();
            burst.point(Point::new(at(0).millis(), 1.0)).unwrap();
            burst.end().unwrap();
        }
        state.push(&source, &burst, at(0)).unwrap();
        let wait = state.push_otlp(&source, &delta(10), at(0)).unwrap_err();
        assert!(wait.retry_after_s.is_some());
        let pushed = state.push_otlp(&source, &delta(10), at(60)).unwrap();
        assert_eq!((pushed.samples, pushed.refused_count()), (1, 0), "{}", pushed.refused_text());
        let tenfold_promql::Value::Vector(sum) = state.query_instant("uploads_total", at(10)).unwrap() else {
            panic!()
        };
        assert_eq!(sum[0].value.float(), Some(4.0));
    }

    #[test]
    fn a_refusal_is_told_once_a_minute() {
        let mut seen = Seen::default();
        let refused = Refused { reason: "duplicate", count: 2, example: "x".into() };
        assert!(seen.tell(&refused, Timestamp(0)));
        assert!(!seen.tell(&refused, Timestamp(TELL_MS - 1)));
        assert!(seen.tell(&refused, Timestamp(TELL_MS)));
        assert_eq!(seen.refused["duplicate"].count, 6);
    }

    #[test]
    fn sources_beyond_the_limit_share_one_place() {
        let sources = Sources::default();
        for n in 0..SOURCES_MAX {
            sources.of(&Source::new("otlp", n.to_string()), false);
        }
        assert_eq!(sources.of(&Source::new("otlp", "late"), false).0.name, OTHER);
        assert_eq!(sources.of(&Source::new("otlp", "7"), false).0.name, "7");
        assert_eq!(sources.of(&Source::new("otlp", "set"), true).0.name, "set", "the settings name it");
    }
}
