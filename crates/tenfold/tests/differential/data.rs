//! The samples that both stores get: counters with resets, gauges with gaps, series that end with and without a mark,
//! classic histograms, and values that are none.
//!
//! Instants lie half a second and more behind whole seconds, and queries are asked at others, so that no window ends on a
//! sample. Values are sums of small powers of two, so that their sums are exact in any order. A counter never resets
//! within a gap: how far a rate reaches back to the start of such a one changed between 2.42 and 3.

use tenfold_types::{Point, STALE_NAN};

use crate::calls::remote_write;
use crate::random::Random;

pub const START_MS: i64 = 1_700_002_000_500;
pub const SAMPLES: i64 = 400;
pub const INTERVAL_MS: i64 = 15_000;
pub const END_MS: i64 = START_MS + SAMPLES * INTERVAL_MS;
/// Points of each series in one request. Prometheus takes nothing older than an hour before the newest.
const BATCH: i64 = 80;

pub struct Series {
    pub labels: Vec<(&'static str, String)>,
    pub points: Vec<Point>,
}

struct Maker {
    random: Random,
    all: Vec<Series>,
}

impl Maker {
    /// A series whose value at each instant is told by `value`; `None` is a gap.
    fn series(&mut self, labels: &[(&'static str, &str)], mut value: impl FnMut(&mut Random, i64) -> Option<f64>) {
        let mut labels: Vec<_> = labels.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
        labels.sort();
        let jitter = i64::from(self.random.chance(0.3)) * 100;
        let mut points = Vec::new();
        for i in 0..SAMPLES {
            let t_ms = START_MS + i * INTERVAL_MS + jitter * self.random.below(4) as i64;
            points.extend(value(&mut self.random, i).map(|v| Point::new(t_ms, v)));
        }
        self.all.push(Series { labels, points });
    }
}

/// True within gaps of four to twelve samples, each of which begins with a chance of `p`.
fn gap(random: &mut Random, left: &mut i64, p: f64) -> bool {
    if *left == 0 && random.chance(p) {
        *left = 4 + random.below(9) as i64;
    }
    *left = (*left - 1).max(0);
    *left > 0
}

fn counters(m: &mut Maker) {
    let mut base = 50_000.0;
    for job in ["api", "web"] {
        for instance in ["a", "b", "c"] {
            for code in ["200", "500"] {
                base += 10_000.0;
                let (mut value, mut left, mut since_gap) = (base, 0, 0);
                let labels = [("__name__", "requests_total"), ("job", job), ("instance", instance), ("code", code)];
                let begins = if code == "500" && instance == "c" { 120 } else { 0 };
                m.series(&labels, move |random, i| {
                    value += random.below(50) as f64;
                    if gap(random, &mut left, 0.008) || i < begins {
                        since_gap = 0;
                        return None;
                    }
                    since_gap += 1;
                    if since_gap > 3 && random.chance(0.012) {
                        value = random.below(20) as f64;
                    }
                    Some(value)
                });
            }
        }
    }
}

fn gauges(m: &mut Maker) {
    for (n, job) in ["api", "web"].into_iter().enumerate() {
        for (k, instance) in ["a", "b", "c"].into_iter().enumerate() {
            let mut left = 0;
            // Its own sixty-fourths keep two series from ever being equal.
            let own = (n * 3 + k) as f64 / 64.0;
            m.series(&[("__name__", "load"), ("job", job), ("instance", instance)], move |random, _| {
                let value = random.below(640) as f64 / 8.0 - 24.0 + own;
                (!random.chance(0.12) && !gap(random, &mut left, 0.01)).then_some(value)
            });
        }
        for (k, zone) in ["north", "south"].into_iter().enumerate() {
            let mut value = 20.0 + (n * 2 + k) as f64 / 64.0;
            m.series(&[("__name__", "temperature"), ("job", job), ("zone", zone)], move |random, _| {
                value += random.below(5) as f64 / 4.0 - 0.5;
                Some(value)
            });
        }
        for instance in ["a", "b", "c"] {
            m.series(&[("__name__", "up"), ("job", job), ("instance", instance)], |random, _| {
                Some(f64::from(u8::from(random.chance(0.9))))
            });
        }
    }
    for (instance, limit) in [("a", 16.0), ("b", 32.0), ("c", 48.0)] {
        m.series(&[("__name__", "limits"), ("instance", instance)], move |_, _| Some(limit));
    }
    m.series(&[("__name__", "owner"), ("job", "api"), ("team", "core")], |_, _| Some(1.0));
    m.series(&[("__name__", "owner"), ("job", "web"), ("team", "front")], |_, _| Some(1.0));
    for (path, value) in [("/a\"b\\c", 1.0), ("/ü/日本", 2.0), ("", 3.0), ("/x.y", 4.0)] {
        m.series(&[("__name__", "paths"), ("job", "api"), ("path", path)], move |_, _| Some(value));
    }
}

fn ends(m: &mut Maker) {
    let labels = |instance| [("__name__", "ended"), ("job", "api"), ("instance", instance)];
    m.series(&labels("a"), |random, i| match i {
        0..150 => Some(random.below(64) as f64),
        150 => Some(STALE_NAN),
        _ => None,
    });
    m.series(&labels("b"), |random, i| match i {
        200 => Some(STALE_NAN),
        201..260 => None,
        _ => Some(64.0 + random.below(64) as f64),
    });
    m.series(&labels("c"), |random, i| (i < 300).then(|| 128.0 + random.below(64) as f64));
    m.series(&[("__name__", "sparse"), ("instance", "a")], |_, i| (i % 16 == 3).then_some(i as f64));
    m.series(&[("__name__", "sparse"), ("instance", "b")], |_, i| (i % 28 == 5).then_some(-i as f64));
}

fn odd(m: &mut Maker) {
    let labels = |kind| [("__name__", "odd"), ("kind", kind)];
    m.series(&labels("nan"), |_, _| Some(f64::NAN));
    m.series(&labels("inf"), |random, _| Some(if random.chance(0.5) { f64::INFINITY } else { 7.0 }));
    m.series(&labels("minus_inf"), |_, _| Some(f64::NEG_INFINITY));
    m.series(&labels("mixed"), |random, _| {
        Some(*random.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.5, -2.0, 0.0]))
    });
    m.series(&labels("zero"), |random, _| Some(*random.pick(&[0.0, -0.0, 1.0])));
    m.series(&labels("huge"), |random, _| Some(1e100 * (1 + random.below(4)) as f64));
    m.series(&labels("tiny"), |random, _| Some(1e-100 * (1 + random.below(4)) as f64));
}

fn histograms(m: &mut Maker) {
    for job in ["api", "web"] {
        for instance in ["a", "b"] {
            // All parts of a histogram reset at once, so that they are computed together and told one by one.
            let (mut counts, mut sum) = ([400.0, 700.0, 900.0, 1000.0, 1010.0], 5_000.0);
            let mut rows = Vec::new();
            for _ in 0..SAMPLES {
                if m.random.chance(0.01) {
                    (counts, sum) = ([0.0; 5], 0.0);
                }
                let mut more = 0.0;
                for count in &mut counts {
                    more += m.random.below(6) as f64;
                    *count += more;
                }
                sum += m.random.below(64) as f64 / 8.0;
                rows.push((counts, sum));
            }
            for (b, le) in ["0.1", "0.5", "1", "2.5", "+Inf"].into_iter().enumerate() {
                let name = "latency_seconds_bucket";
                let rows = &rows;
                m.series(&[("__name__", name), ("job", job), ("instance", instance), ("le", le)], move |_, i| {
                    Some(rows[i as usize].0[b])
                });
            }
            for (name, count) in [("latency_seconds_sum", false), ("latency_seconds_count", true)] {
                let rows = &rows;
                m.series(&[("__name__", name), ("job", job), ("instance", instance)], move |_, i| {
                    let (counts, sum) = rows[i as usize];
                    Some(if count { counts[4] } else { sum })
                });
            }
        }
    }
}

pub fn series(seed: u64) -> Vec<Series> {
    let mut m = Maker { random: Random::new(seed), all: Vec::new() };
    counters(&mut m);
    gauges(&mut m);
    ends(&mut m);
    odd(&mut m);
    histograms(&mut m);
    m.all
}

/// The series as bodies of remote write, older ones first.
pub fn requests(all: &[Series]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let span = BATCH * INTERVAL_MS;
    for first in (START_MS..END_MS).step_by(usize::try_from(span).expect("a span is positive")) {
        let mut some = Vec::new();
        for s in all {
            let labels = s.labels.iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| (*n, v.as_str())).collect();
            let points: Vec<_> = s.points.iter().filter(|p| (first..first + span).contains(&p.t_ms)).copied().collect();
            if !points.is_empty() {
                some.push((labels, points));
            }
        }
        out.push(remote_write(&some));
    }
    out
}
