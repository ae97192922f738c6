//! StatsD observations become series: counters `NAME_total` (summed since the start), gauges `NAME`, timers the summary
//! `NAME_seconds`, bare values the summary `NAME`, sets the gauge `NAME` with the number of members of the last interval.
//! Service checks are a gauge of their status. Quantiles are exact over one flush interval. What was silent for an hour is no
//! longer written.
//!
//! What sums up begins at zero, a moment before it is first counted: a rate sees nothing of a counter that begins with what it
//! counts first.
//!
//! A counter or gauge that comes with a time (DogStatsD's `|T`) was put together by its client: it is written at that time, and
//! not again at the end of the interval.

use std::collections::btree_map::Entry as Place;
use std::collections::{BTreeMap, HashSet};

use tenfold_protocols::exposition::Metadata;
use tenfold_protocols::statsd::{Metric, Observation, SERVICE_CHECK, metric_name};
use tenfold_tsdb::Sample;
use tenfold_types::{Labels, STALE_NAN, Timestamp};

use super::AHEAD_MS_MAX;
use super::statsd_families::Families;

/// Series clients may make up; observations of further ones are refused and counted.
const SERIES_MAX: usize = 50_000;
/// Values one timer may hold between two flushes; later ones still count in sum and count. Members of a set as well, of which
/// further ones are refused.
const VALUES_MAX: usize = 20_000;
const IDLE_MS_MAX: i64 = 3_600_000;
/// Values with a time of their own that wait to be written; further ones are refused.
const TIMED_MAX: usize = 100_000;
/// Counters and gauges that changed are written as often as that, so that a query sees a datagram within a second.
pub(super) const FRESH: std::time::Duration = std::time::Duration::from_millis(500);
/// Series written so early at one time. Where more of them change each gets its turn, and all are written at the end of the
/// interval anyway.
const FRESH_SERIES_MAX: usize = 2_000;
const QUANTILES: [(f64, &str); 4] = [(0.5, "0.5"), (0.9, "0.9"), (0.95, "0.95"), (0.99, "0.99")];

enum Value {
    Counter(f64),
    Gauge(f64),
    /// Each value with the observations that it stands for.
    Summary {
        values: Vec<(f64, f64)>,
        sum: f64,
        count: f64,
    },
    Set(HashSet<String>),
}

struct Entry {
    value: Value,
    touched: Timestamp,
    /// Since it was written.
    changed: bool,
    /// Whether all that came of it had times of their own.
    timed: bool,
    /// The newest time that was written, or waits to be.
    newest_ms: i64,
}

/// Collects observations between two flushes.
#[derive(Default)]
pub struct Aggregator {
    series: BTreeMap<Labels, Entry>,
    /// The last one written before the end of its interval.
    turn: Labels,
    /// Values with a time of their own.
    timed: Vec<Sample>,
    /// Zeros with which counters, sums and counts began: at most two of each series.
    starts: Vec<Sample>,
    pub(super) families: Families,
}

impl Aggregator {
    /// Takes observations in; gives how many were refused because there are too many series or members of a set, two kinds of
    /// one name, a counter that is to fall, or a time that lies ahead.
    pub fn observe(&mut self, metrics: Vec<Metric>, now: Timestamp) -> usize {
        metrics.into_iter().filter(|m| !self.take(m, now)).count()
    }

    fn take(&mut self, metric: &Metric, now: Timestamp) -> bool {
        let ahead = now.millis().saturating_add(AHEAD_MS_MAX);
        if metric.t_ms.is_some_and(|t| t > ahead || self.timed.len() >= TIMED_MAX) {
            return false;
        }
        let name = metric_name(&metric.name);
        let (name, fresh) = match &metric.observation {
            // Not a number is no more a count than what is to fall.
            Observation::Count(by) if by.is_nan() || *by < 0.0 => return false,
            Observation::Count(_) => {
                let bare = name.strip_suffix("_total").unwrap_or(&name);
                (format!("{bare}_total"), Value::Counter(0.0))
            }
            Observation::GaugeSet(_) | Observation::GaugeAdd(_) => (name, Value::Gauge(0.0)),
            Observation::Timing { .. } => (format!("{name}_seconds"), Value::empty_summary()),
            Observation::Value { .. } => (name, Value::empty_summary()),
            Observation::Member(_) => (name, Value::Set(HashSet::new())),
        };
        let mut labels = Labels::from_pairs(metric.tags.iter().map(|(n, v)| (metric_name(n), v.clone())));
        labels.set(Labels::NAME, name);
        if self.series.len() >= SERIES_MAX && !self.series.contains_key(&labels) {
            return false;
        }
        let of_series = metric.t_ms.map(|_| labels.clone());
        let entry = match self.series.entry(labels) {
            Place::Occupied(known) => known.into_mut(),
            Place::Vacant(place) => {
                let unit = if matches!(metric.observation, Observation::Timing { .. }) { "seconds" } else { "" };
                self.families.add(place.key().metric_name().unwrap_or_default(), fresh.family(), unit);
                begin(&mut self.starts, place.key(), &fresh, metric.t_ms.unwrap_or(now.millis()).saturating_sub(1));
                place.insert(Entry { value: fresh, touched: now, changed: false, timed: true, newest_ms: i64::MIN })
            }
        };
        entry.touched = now;
        let late = metric.t_ms.filter(|t| *t <= entry.newest_ms);
        match (&mut entry.value, &metric.observation) {
            (Value::Counter(total), Observation::Count(by)) => *total += by,
            (Value::Gauge(_), Observation::GaugeSet(to)) if late.is_some() => {
                // How it was then says nothing of how it is now.
                let sample = of_series.zip(late).map(|(labels, t_ms)| Sample::new(labels, t_ms, *to));
                self.timed.extend(sample);
                return true;
            }
            (Value::Gauge(gauge), Observation::GaugeSet(to)) => *gauge = *to,
            (Value::Gauge(gauge), Observation::GaugeAdd(by)) => *gauge += by,
            (Value::Summary { values, sum, count }, Observation::Timing { ms, weight }) => {
                add(values, sum, count, ms / 1000.0, *weight);
            }
            (Value::Summary { values, sum, count }, Observation::Value { value, weight }) => {
                add(values, sum, count, *value, *weight);
            }
            (Value::Set(members), Observation::Member(member)) => {
                // How many more there are is not known: that is said rather than kept quiet.
                if members.len() >= VALUES_MAX && !members.contains(member) {
                    return false;
                }
                members.insert(member.clone());
            }
            _ => return false,
        }
        let told = (&entry.value, of_series, metric.t_ms.filter(|_| late.is_none()));
        if let (Value::Counter(value) | Value::Gauge(value), Some(labels), Some(t_ms)) = told {
            self.timed.push(Sample::new(labels, t_ms, *value));
            entry.newest_ms = t_ms;
        } else {
            entry.changed = true;
            entry.timed &= metric.t_ms.is_some();
        }
        true
    }

    /// Counters and gauges that changed since they were written, as they are now, after starts and what has times of its own.
    pub fn changed(&mut self, now: Timestamp) -> Vec<Sample> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let mut out = Vec::new();
        let turn = self.turn.clone();
        'all: for half in [(Excluded(turn.clone()), Unbounded), (Unbounded, Included(turn))] {
            for (labels, entry) in self.series.range_mut(half) {
                let (true, Value::Counter(value) | Value::Gauge(value)) = (entry.changed, &entry.value) else {
                    continue;
                };
                if out.len() >= FRESH_SERIES_MAX {
                    break 'all;
                }
                out.push(Sample::new(labels.clone(), now.millis(), *value));
                entry.changed = false;
                entry.newest_ms = entry.newest_ms.max(now.millis());
            }
        }
        if let Some(last) = out.last() {
            self.turn.clone_from(&last.labels);
        }
        let mut all = self.waiting();
        all.extend(out);
        all
    }

    /// What is older than all that is made now: starts, then what has times of its own.
    fn waiting(&mut self) -> Vec<Sample> {
        let mut out = std::mem::take(&mut self.starts);
        out.append(&mut self.timed);
        out
    }

    /// The samples of this interval; forgets what was silent too long, with a mark that ends its series.
    pub fn flush(&mut self, now: Timestamp) -> Vec<Sample> {
        let mut out = self.waiting();
        let at = now.millis();
        for (labels, entry) in &mut self.series {
            let ended = now.since_ms(entry.touched) > IDLE_MS_MAX;
            let changed = std::mem::take(&mut entry.changed);
            if entry.timed && !changed && !ended {
                continue;
            }
            entry.newest_ms = entry.newest_ms.max(at);
            let mut put = |labels: Labels, value: f64| {
                out.push(Sample::new(labels, at, if ended { STALE_NAN } else { value }));
            };
            match &mut entry.value {
                Value::Counter(value) | Value::Gauge(value) => put(labels.clone(), *value),
                Value::Set(members) => put(labels.clone(), std::mem::take(members).len() as f64),
                Value::Summary { values, sum, count } => {
                    values.sort_by(|a, b| a.0.total_cmp(&b.0));
                    for (q, text) in QUANTILES {
                        let value = quantile(values, q);
                        put(labels.clone().with("quantile", text), value.unwrap_or(STALE_NAN));
                    }
                    values.clear();
                    let [of_sum, of_count] = summed(labels);
                    put(of_sum, *sum);
                    put(of_count, *count);
                }
            }
        }
        self.series.retain(|_, e| now.since_ms(e.touched) <= IDLE_MS_MAX);
        out
    }
}

/// What is counted of what comes in, by transport.
const PACKETS: &str = "tenfold_statsd_packets_total";
const BAD_LINES: &str = "tenfold_statsd_bad_lines_total";
const EVENTS: &str = "tenfold_statsd_events_total";
const EVENTS_IGNORED: &str = "tenfold_statsd_events_ignored_total";
const SERVICE_CHECKS: &str = "tenfold_statsd_service_checks_total";
const REFUSED: &str = "tenfold_statsd_refused_total";

impl super::State {
    /// Begins the counters of a transport at zero: a rate sees nothing of a counter that begins with what it counts first.
    pub fn statsd_listens(&self, transport: &str) {
        for name in [PACKETS, BAD_LINES, EVENTS, EVENTS_IGNORED, SERVICE_CHECKS, REFUSED] {
            self.own.add(name, &[("transport", transport)], 0.0);
        }
    }

    /// A datagram from a StatsD client, or a piece of whole lines; `transport` is `udp`, `tcp`, `unix`
    /// or `unixstream`.
    pub fn statsd_packet(&self, transport: &str, packet: &[u8], now: Timestamp) {
        let mut read = tenfold_protocols::statsd::parse(packet);
        if !self.statsd_container_label.is_empty() {
            for metric in &mut read.metrics {
                let container = metric.container.take();
                metric.tags.extend(container.map(|id| (self.statsd_container_label.clone(), id)));
            }
        }
        if !self.statsd_gauge_deltas {
            for metric in &mut read.metrics {
                if let Observation::GaugeAdd(value) = metric.observation {
                    metric.observation = Observation::GaugeSet(value);
                }
            }
        }
        let of = [("transport", transport)];
        self.own.add(PACKETS, &of, 1.0);
        if read.service_checks > 0 {
            let help = "Status of a service check: 0 is OK, 1 a warning, 2 critical, 3 unknown.".to_owned();
            let about = Metadata { kind: "gauge".to_owned(), help, ..Metadata::default() };
            self.keep_metadata([(SERVICE_CHECK.to_owned(), about)]);
        }
        let refused = self.statsd.lock().observe(read.metrics, now);
        let events = read.events.len() + read.events_left;
        let mut ignored = read.events_left;
        if !read.events.is_empty() {
            let mut waiting = self.statsd_events.lock();
            let most = self.statsd_events_max;
            for event in read.events {
                ignored += usize::from(!waiting.take(event, most, now));
            }
        }
        for (name, count) in [
            (BAD_LINES, read.bad_lines),
            (EVENTS, events),
            (EVENTS_IGNORED, ignored),
            (SERVICE_CHECKS, read.service_checks),
            (REFUSED, refused),
        ] {
            if count > 0 {
                self.own.add(name, &of, count as f64);
            }
        }
    }
}

impl Value {
    const fn family(&self) -> &'static str {
        match self {
            Self::Counter(_) => "counter",
            Self::Gauge(_) | Self::Set(_) => "gauge",
            Self::Summary { .. } => "summary",
        }
    }

    fn empty_summary() -> Self {
        Self::Summary { values: Vec::new(), sum: 0.0, count: 0.0 }
    }
}

/// The zeros with which a new series begins.
fn begin(starts: &mut Vec<Sample>, labels: &Labels, value: &Value, t_ms: i64) {
    match value {
        Value::Counter(_) => starts.push(Sample::new(labels.clone(), t_ms, 0.0)),
        Value::Summary { .. } => starts.extend(summed(labels).map(|labels| Sample::new(labels, t_ms, 0.0))),
        Value::Gauge(_) | Value::Set(_) => {}
    }
}

/// The series of a summary that sum up: its sum and its count.
fn summed(labels: &Labels) -> [Labels; 2] {
    let name = labels.metric_name().unwrap_or_default();
    ["_sum", "_count"].map(|end| labels.clone().with(Labels::NAME, format!("{name}{end}")))
}

fn add(values: &mut Vec<(f64, f64)>, sum: &mut f64, count: &mut f64, value: f64, weight: f64) {
    *sum += value * weight;
    *count += weight;
    if values.len() < VALUES_MAX {
        values.push((value, weight));
    }
}

/// Nearest rank: the smallest value that at least `q` of all do not exceed, each with its weight.
fn quantile(sorted: &[(f64, f64)], q: f64) -> Option<f64> {
    /// Of all: what adding up weights may be off by.
    const SLACK: f64 = 1e-9;
    let whole: f64 = sorted.iter().map(|(_, weight)| weight).sum();
    let mut below = 0.0;
    let found = sorted.iter().find(|(_, weight)| {
        below += weight;
        below >= whole * (q - SLACK)
    });
    found.or(sorted.last()).map(|(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flushed(aggregator: &mut Aggregator, at: i64) -> Vec<String> {
        let samples = aggregator.flush(Timestamp(at));
        samples
            .iter()
            .filter(|s| !s.value.is_nan())
            .map(|s| format!("{} {}", s.labels, (s.value * 1e9).round() / 1e9))
            .collect()
    }

    fn observe(aggregator: &mut Aggregator, lines: &str, at: i64) -> usize {
        aggregator.observe(tenfold_protocols::statsd::parse(lines.as_bytes()).metrics, Timestamp(at))
    }

    #[test]
    fn each_kind_becomes_its_series() {
        let mut a = Aggregator::default();
        assert_eq!(
            observe(
                &mut a,
                "photos.uploads:2|c|@0.5|#host:h1\nphotos.queue:7|g\nphotos.queue:-2|g\nu:a|s\nu:b|s\nu:a|s",
                0
            ),
            0
        );
        for ms in 1..=100 {
            observe(&mut a, &format!("resize:{ms}|ms"), 0);
        }
        assert_eq!(
            flushed(&mut a, 10),
            [
                "photos_uploads_total{host=\"h1\"} 0",
                "resize_seconds_sum 0",
                "resize_seconds_count 0",
                "photos_queue 5",
                "photos_uploads_total{host=\"h1\"} 4",
                "resize_seconds{quantile=\"0.5\"} 0.05",
                "resize_seconds{quantile=\"0.9\"} 0.09",
                "resize_seconds{quantile=\"0.95\"} 0.095",
                "resize_seconds{quantile=\"0.99\"} 0.099",
                "resize_seconds_sum 5.05",
                "resize_seconds_count 100",
                "u 2",
            ]
        );
        observe(&mut a, "photos.uploads:1|c|#host:h1", 20);
        let second = flushed(&mut a, 20);
        assert!(second.contains(&"photos_uploads_total{host=\"h1\"} 5".to_owned()), "counters go on");
        assert!(second.contains(&"u 0".to_owned()), "sets start anew");
        assert!(!second.iter().any(|s| s.contains("quantile")), "no timings, no quantiles");
    }

    #[test]
    fn a_service_check_keeps_its_status_until_the_next() {
        let mut a = Aggregator::default();
        assert_eq!(observe(&mut a, "_sc|db|2|h:h1|#env:prod|m:no route\n_sc|db|0|h:h2", 0), 0);
        let wanted = [
            "statsd_service_check{check=\"db\",env=\"prod\",host=\"h1\"} 2",
            "statsd_service_check{check=\"db\",host=\"h2\"} 0",
        ];
        assert_eq!(flushed(&mut a, 10), wanted);
        assert_eq!(flushed(&mut a, 20), wanted, "nobody told of it again");
        observe(&mut a, "_sc|db|0|h:h1|#env:prod", 30);
        assert!(flushed(&mut a, 40)[0].ends_with("} 0"));
    }

    #[test]
    fn what_is_silent_for_long_ends() {
        let mut a = Aggregator::default();
        observe(&mut a, "x:1|c", 0);
        let samples = a.flush(Timestamp(IDLE_MS_MAX + 1));
        assert_eq!(samples.len(), 2, "its start and its end");
        assert!(tenfold_types::is_stale(samples[1].value));
        assert!(a.flush(Timestamp(IDLE_MS_MAX + 2)).is_empty());
    }

    #[test]
    fn what_is_counted_first_is_an_increase() {
        let mut a = Aggregator::default();
        // How much a rate sees: what each value has more than the one before it, also after an end.
        let mut seen: BTreeMap<String, (Option<f64>, f64)> = BTreeMap::new();
        let mut newest_ms = i64::MIN;
        let mut grown = |a: &mut Aggregator, at: i64| {
            for s in a.flush(Timestamp(at)) {
                let (before, grown) = seen.entry(s.labels.to_string()).or_default();
                if !s.value.is_nan() && !s.labels.iter().any(|(name, _)| name == "quantile") {
                    *grown += before.map_or(0.0, |b| if s.value < b { s.value } else { s.value - b });
                    *before = Some(s.value);
                }
                assert!(s.t_ms >= newest_ms || s.value == 0.0, "{} at {}", s.labels, s.t_ms);
                newest_ms = newest_ms.max(s.t_ms);
            }
            let of = |name: &str| seen.get(name).map(|(_, grown)| *grown);
            [of("errors_total"), of("took_seconds_count"), of("took_seconds_sum")].map(Option::unwrap_or_default)
        };
        let rare = "errors:3|c\ntook:500|ms|@0.5";
        assert_eq!(observe(&mut a, rare, 1_000), 0);
        assert_eq!(grown(&mut a, 10_000), [3.0, 2.0, 1.0]);
        let end = 10_000 + IDLE_MS_MAX + 1;
        assert_eq!(grown(&mut a, end), [3.0, 2.0, 1.0]);
        assert_eq!(observe(&mut a, rare, end + 10), 0);
        let again = a.waiting();
        assert_eq!(again.iter().map(|s| (s.t_ms, s.value)).collect::<Vec<_>>(), [(end + 9, 0.0); 3], "after its end");
        a.starts = again;
        assert_eq!(grown(&mut a, end + 10_000), [6.0, 4.0, 2.0]);
    }

    #[test]
    fn a_query_sees_what_was_counted_first() {
        const NOW: i64 = 1_795_424_400_000;
        let dir = tempfile::tempdir().unwrap();
        let settings = crate::Settings { data_dir: dir.path().to_owned(), ..crate::Settings::default() };
        let state = crate::metrics::State::open(&settings).unwrap();
        let mut a = Aggregator::default();
        observe(&mut a, "errors:3|c", NOW);
        let report = state.append(&a.flush(Timestamp(NOW + 10_000))).unwrap();
        assert_eq!((report.appended, report.rejected.len()), (2, 0));
        let at = Timestamp(NOW + 20_000);
        let tenfold_promql::Value::Vector(rows) =
            state.query_instant("increase(errors_total[5m] anchored)", at).unwrap()
        else {
            panic!("a vector is answered")
        };
        assert_eq!(rows.iter().map(|row| row.value.float()).collect::<Vec<_>>(), [Some(3.0)]);
    }

    #[test]
    fn a_sign_is_part_of_a_gauge_where_the_settings_say_so() {
        for (gauge_deltas, wanted) in [(true, "t -7"), (false, "t -4")] {
            let dir = tempfile::tempdir().unwrap();
            let mut settings = crate::Settings { data_dir: dir.path().to_owned(), ..crate::Settings::default() };
            settings.statsd.gauge_deltas = gauge_deltas;
            let state = crate::metrics::State::open(&settings).unwrap();
            state.statsd_packet("udp", b"t:-3|g|#\nt:-4|g", Timestamp(0));
            assert_eq!(flushed(&mut state.statsd.lock(), 10), [wanted]);
        }
    }

    #[test]
    fn a_gauge_below_zero_with_a_time_is_written_as_it_is() {
        let mut a = Aggregator::default();
        assert_eq!(observe(&mut a, "t:-3|g|T90\nt:-4|g|T95\nt:-5|g|T80", 100_000), 0);
        let told: Vec<_> = a.changed(Timestamp(100_000)).iter().map(|s| (s.t_ms, s.value)).collect();
        assert_eq!(told, [(90_000, -3.0), (95_000, -4.0), (80_000, -5.0)]);
    }

    #[test]
    fn two_kinds_of_one_name_do_not_mix() {
        let mut a = Aggregator::default();
        assert_eq!(observe(&mut a, "x:1|g\nx:a|s", 0), 1);
    }

    #[test]
    fn members_that_find_no_room_are_counted() {
        let mut a = Aggregator::default();
        let refused: usize = (0..VALUES_MAX + 2).map(|n| observe(&mut a, &format!("u:{n}|s"), 0)).sum();
        assert_eq!((refused, observe(&mut a, "u:0|s", 0)), (2, 0), "those that are known are no more");
        assert_eq!(flushed(&mut a, 10), [format!("u {VALUES_MAX}")]);
        assert_eq!(observe(&mut a, "u:new|s", 20), 0, "a new interval has room");
    }

    #[test]
    fn what_changed_is_written_before_the_end_of_the_interval() {
        let mut a = Aggregator::default();
        let changed = |a: &mut Aggregator, at: i64| {
            let samples = a.changed(Timestamp(at));
            samples.iter().map(|s| format!("{} {} {}", s.labels, s.value, s.t_ms)).collect::<Vec<_>>()
        };
        observe(&mut a, "hits:2|c\nload:7|g\ntook:5|ms\nwho:ana|s", 0);
        let early =
            ["hits_total 0 -1", "took_seconds_sum 0 -1", "took_seconds_count 0 -1", "hits_total 2 500", "load 7 500"];
        assert_eq!(changed(&mut a, 500), early, "quantiles are of a whole interval");
        assert!(changed(&mut a, 1_000).is_empty());
        observe(&mut a, "hits:1|c", 1_100);
        assert_eq!(changed(&mut a, 1_500), ["hits_total 3 1500"]);
        observe(&mut a, "load:+1|g", 1_600);
        let all = flushed(&mut a, 2_000);
        assert!(all.contains(&"hits_total 3".to_owned()) && all.contains(&"load 8".to_owned()), "{all:?}");
        assert!(changed(&mut a, 2_500).is_empty(), "the end of the interval wrote all");
    }

    #[test]
    fn what_has_a_time_is_written_then_and_not_again() {
        let mut a = Aggregator::default();
        let all = |samples: Vec<Sample>| {
            samples.iter().map(|s| format!("{} {} {}", s.labels, s.value, s.t_ms)).collect::<Vec<_>>()
        };
        let now = 100_000;
        assert_eq!(observe(&mut a, "c:2|c|T90\nc:3|c|T95\ng:7|g|T90\ng:5|g|T80", now), 0);
        let told = ["c_total 0 89999", "c_total 2 90000", "c_total 5 95000", "g 7 90000", "g 5 80000"];
        assert_eq!(all(a.changed(Timestamp(now))), told);
        assert!(a.flush(Timestamp(now + 10)).is_empty());
        // One that is late is counted from now on.
        observe(&mut a, "c:1|c|T94", now + 20);
        assert_eq!(all(a.flush(Timestamp(now + 30))), [format!("c_total 6 {}", now + 30)]);
        assert!(a.flush(Timestamp(now + 40)).is_empty());
        observe(&mut a, "g:8|g", now + 50);
        assert_eq!(all(a.flush(Timestamp(now + 60))), [format!("g 8 {}", now + 60)]);
        assert_eq!(a.flush(Timestamp(now + 70)).len(), 1, "without a time it goes on");
        let ahead = (now + AHEAD_MS_MAX) / 1_000 + 1;
        assert_eq!(observe(&mut a, &format!("c:1|c|T{ahead}"), now), 1);
    }

    #[test]
    fn times_that_wait_keep_nothing_out_that_has_none() {
        let full = vec![Sample::new(Labels::default(), 0, 0.0); TIMED_MAX];
        let mut a = Aggregator { timed: full, ..Aggregator::default() };
        assert_eq!(observe(&mut a, "g:1|g|T90\nc:1|c", 100_000), 1);
        assert_eq!(a.changed(Timestamp(100_000)).len(), TIMED_MAX + 2, "with the counter's start");
    }

    #[test]
    fn a_counter_does_not_fall() {
        let mut a = Aggregator::default();
        assert_eq!(observe(&mut a, "c:2|c\nc:-1|c", 0), 1);
        assert_eq!(flushed(&mut a, 10), ["c_total 0", "c_total 2"]);
        let mut a = Aggregator::default();
        assert_eq!(observe(&mut a, "c:-1|c", 0), 1);
        assert!(a.flush(Timestamp(IDLE_MS_MAX + 1)).is_empty(), "there is nothing to begin or to end");
    }

    #[test]
    fn sampled_timings_weigh_in_quantiles() {
        let mut a = Aggregator::default();
        observe(&mut a, "t:10|ms|@0.01\nt:1000|ms\nt:2000|ms", 0);
        let all = flushed(&mut a, 10);
        assert!(all.contains(&"t_seconds{quantile=\"0.95\"} 0.01".to_owned()), "{all:?}");
        assert!(all.contains(&"t_seconds{quantile=\"0.99\"} 1".to_owned()), "{all:?}");
        assert!(all.contains(&"t_seconds_count 102".to_owned()), "{all:?}");
    }

    #[test]
    fn where_very_many_change_each_gets_its_turn() {
        let mut a = Aggregator::default();
        let all = FRESH_SERIES_MAX * 2 + 10;
        let touch = |a: &mut Aggregator, at| {
            (0..all).for_each(|n| {
                observe(a, &format!("c{n}:1|c"), at);
            });
        };
        touch(&mut a, 0);
        let mut seen = HashSet::new();
        for round in 0..3 {
            let mut samples = a.changed(Timestamp(round * 500));
            samples.retain(|s| s.value > 0.0);
            assert!(samples.len() <= FRESH_SERIES_MAX);
            seen.extend(samples.into_iter().map(|s| s.labels));
            touch(&mut a, round * 500 + 1);
        }
        assert_eq!(seen.len(), all);
    }
}
