//! The engine against the plainest store there can be: a map from series and instant to what was accepted there. Whatever
//! mixture of writes, late samples, cuts, merges, deletions, checkpoints and restarts runs, both answer the same.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::prelude::*;
use tenfold_tsdb::{Exemplar, HistogramPoint, Options, Point, SeriesWrite, Tsdb};
use tenfold_types::{Histogram, Labels, Matcher, MatcherOp, histogram::Buckets};

const BLOCK_MS: i64 = 1000;
const WINDOW_MS: i64 = 700;
const STEP_MS: i64 = 10;

fn options() -> Options {
    Options {
        block_ms: BLOCK_MS,
        block_ms_max: 12 * BLOCK_MS,
        segment_bytes_max: 4000,
        replay_bytes_max: 20_000,
        replay_samples_max: 100,
        out_of_order_ms: WINDOW_MS,
        ..Options::default()
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// Rounds of one sample for every series, of one of several shapes.
    Write {
        rounds: u8,
        shape: u8,
    },
    /// A sample that many milliseconds before the newest, for one series: of either kind, whatever the series has
    /// else, and at an instant that has one already or between two.
    Late {
        series: u8,
        back: i64,
        histogram: bool,
        between: bool,
    },
    /// A float of closed time, that many milliseconds before the newest, at an instant that nothing else has. Unlike a
    /// late one it is kept where something was deleted before.
    Import {
        series: u8,
        back: i64,
    },
    Maintain,
    Checkpoint,
    /// Writes down what came since the checkpoint, when that is much.
    Shorten,
    Reopen,
    /// Series, from and to, counted back from now.
    Delete {
        series: u8,
        from: i64,
        to: i64,
    },
    Read {
        from: i64,
        to: i64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (1u8..60, 0u8..5).prop_map(|(rounds, shape)| Step::Write { rounds, shape }),
        9 => (0u8..5, 1i64..WINDOW_MS + 100, any::<bool>(), any::<bool>())
            .prop_map(|(series, back, histogram, between)| Step::Late { series, back, histogram, between }),
        3 => (0u8..5, 0i64..6000).prop_map(|(series, back)| Step::Import { series, back }),
        3 => Just(Step::Maintain),
        1 => Just(Step::Checkpoint),
        3 => Just(Step::Shorten),
        2 => Just(Step::Reopen),
        1 => (0u8..5, 0i64..4000, 0i64..4000).prop_map(|(series, from, to)| Step::Delete { series, from, to }),
        3 => (0i64..8000, 0i64..8000).prop_map(|(from, to)| Step::Read { from, to }),
    ];
    prop::collection::vec(step, 1..40)
}

/// Series 0 to 3 are floats, 4 is one of native histograms.
const FLOATS: usize = 4;

fn name(series: usize) -> String {
    format!("s{series}")
}

/// A sample as the model keeps it.
#[derive(Debug, Clone)]
enum Kept {
    Float(u64),
    Histogram(Arc<Histogram>),
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::Histogram(a), Self::Histogram(b)) => a.same_as(b),
            _ => false,
        }
    }
}

#[derive(Default)]
struct Model {
    samples: BTreeMap<usize, BTreeMap<i64, Kept>>,
    exemplars: BTreeSet<i64>,
    /// Deleted time, into which late samples may or may not come back.
    deleted: Vec<(usize, i64, i64)>,
    now: i64,
    counter: f64,
}

impl Model {
    fn value(&mut self, series: usize, shape: u8) -> f64 {
        self.counter += 1.0;
        match shape {
            0 => 7.5,
            1 => self.counter * 3.0 + series as f64,
            2 => (self.counter * 0.37).sin() * 100.0,
            3 => (self.counter * 0.37).sin().floor(),
            _ if self.counter as i64 % 17 == 0 => tenfold_tsdb::STALE_NAN,
            _ => self.counter,
        }
    }

    fn histogram(&self) -> Arc<Histogram> {
        let n = self.counter.floor();
        // The shape changes now and then.
        let counts = if self.counter as i64 / 40 % 2 == 0 { vec![n, 2.0 * n] } else { vec![n, 1.0, 2.0 * n] };
        Arc::new(Histogram {
            schema: 2,
            zero_threshold: 1e-9,
            zero_count: 1.0,
            count: counts.iter().sum::<f64>() + 1.0,
            sum: n * 1.25,
            positive: Buckets::single(-3, counts),
            ..Histogram::default()
        })
    }

    fn write(&mut self, db: &Tsdb, shape: u8) {
        self.now += STEP_MS;
        let points: Vec<[Point; 1]> = (0..FLOATS).map(|s| [Point::new(self.now, self.value(s, shape))]).collect();
        let histogram = [HistogramPoint { t_ms: self.now, histogram: self.histogram() }];
        let exemplar = [Exemplar { labels: Labels::from_pairs([("trace", "a")]), value: 1.0, t_ms: self.now }];
        let names: Vec<String> = (0..=FLOATS).map(name).collect();
        let labels: Vec<[(&str, &str); 2]> =
            names.iter().map(|n| [("__name__", "m"), ("series", n.as_str())]).collect();
        let mut batch: Vec<SeriesWrite<'_>> = labels
            .iter()
            .zip(&points)
            .map(|(labels, points)| SeriesWrite { labels, points, ..SeriesWrite::default() })
            .collect();
        let exemplars = if self.now % 70 == 0 { &exemplar[..] } else { &[] };
        batch.push(SeriesWrite {
            labels: &labels[FLOATS],
            histograms: &histogram,
            exemplars,
            ..SeriesWrite::default()
        });
        let report = db.write(&batch).unwrap();
        assert_eq!(report.rejected_count(), 0, "{report:?}");
        for (s, [point]) in points.iter().enumerate() {
            self.samples.entry(s).or_default().insert(self.now, Kept::Float(point.value.to_bits()));
        }
        let [histogram] = histogram;
        self.samples.entry(FLOATS).or_default().insert(self.now, Kept::Histogram(histogram.histogram));
        if !exemplars.is_empty() {
            self.exemplars.insert(self.now);
        }
    }

    fn late(&mut self, db: &Tsdb, series: usize, back: i64, histogram: bool, between: bool) {
        let t = self.now - back / STEP_MS * STEP_MS - if between { 3 } else { 0 };
        if self.samples.is_empty()
            || t <= 0
            || self.deleted.iter().any(|(s, a, b)| *s == series && (*a..=*b).contains(&t))
        {
            return;
        }
        self.counter += 1.0;
        let text = name(series);
        let labels = [("__name__", "m"), ("series", text.as_str())];
        let (point, point_h) = (
            [Point::new(t, 0.5)],
            [HistogramPoint { t_ms: t, histogram: Arc::new(Histogram::clone(&self.histogram())) }],
        );
        let write = if histogram {
            SeriesWrite { labels: &labels, histograms: &point_h, ..SeriesWrite::default() }
        } else {
            SeriesWrite { labels: &labels, points: &point, ..SeriesWrite::default() }
        };
        let report = db.write(&[write]).unwrap();
        // The newest instant takes no other sample, an older one keeps the first.
        let taken = t < self.now && self.now - t <= WINDOW_MS;
        assert_eq!(report.appended == 1, taken, "{t} of {}: {report:?}", self.now);
        if taken {
            let [HistogramPoint { histogram: kept, .. }] = point_h;
            let kept = if histogram { Kept::Histogram(kept) } else { Kept::Float(0.5f64.to_bits()) };
            self.samples.entry(series).or_default().entry(t).or_insert(kept);
        }
    }

    fn import(&mut self, db: &Tsdb, series: usize, back: i64) {
        let t = self.now - back / STEP_MS * STEP_MS - 6;
        let closed = (self.now - BLOCK_MS / 2).div_euclid(BLOCK_MS) * BLOCK_MS;
        if t <= 0 || t >= closed {
            return;
        }
        self.counter += 1.0;
        let (text, point) = (name(series), [Point::new(t, self.counter + 0.25)]);
        let labels = [("__name__", "m"), ("series", text.as_str())];
        let write = SeriesWrite { labels: &labels, points: &point, ..SeriesWrite::default() };
        let report = db.import(&[write], self.now).unwrap();
        assert_eq!(report.appended, 1, "{t} of {}: {report:?}", self.now);
        // The first that was imported there stands, unless it was deleted since.
        self.samples.entry(series).or_default().entry(t).or_insert(Kept::Float(point[0].value.to_bits()));
    }

    fn check(&self, db: &Tsdb, from: i64, to: i64) {
        let found = db.select(&[Matcher::new("series", MatcherOp::Regex, "s.*")], from, to).unwrap();
        let mut seen: BTreeMap<usize, Vec<(i64, Kept)>> = BTreeMap::new();
        for series in &found {
            let (mut points, mut histograms) = (Vec::new(), Vec::new());
            series.chunks.read_all(&mut points, &mut histograms).unwrap();
            assert!(points.is_sorted_by(|a, b| a.t_ms < b.t_ms) && histograms.is_sorted_by(|a, b| a.t_ms < b.t_ms));
            let floats = points.iter().map(|p| (p.t_ms, Kept::Float(p.value.to_bits())));
            let mut all: Vec<_> =
                floats.chain(histograms.into_iter().map(|h| (h.t_ms, Kept::Histogram(h.histogram)))).collect();
            all.sort_by_key(|(t, _)| *t);
            let index: usize = series.labels.get("series").unwrap()[1..].parse().unwrap();
            if !all.is_empty() {
                seen.insert(index, all);
            }
        }
        let wanted: BTreeMap<usize, Vec<(i64, Kept)>> = self
            .samples
            .iter()
            .map(|(s, kept)| (*s, kept.range(from..=to.max(from)).map(|(t, v)| (*t, v.clone())).collect::<Vec<_>>()))
            .filter(|(_, kept)| !kept.is_empty() && from <= to)
            .collect();
        assert_eq!(seen, wanted, "{from}..={to}");
    }

    fn check_exemplars(&self, db: &Tsdb) {
        let found = db.exemplars(&[Matcher::equal("series", name(FLOATS))], i64::MIN, i64::MAX).unwrap();
        let instants: Vec<i64> = found.iter().flat_map(|(_, list)| list.iter().map(|e| e.t_ms)).collect();
        assert_eq!(instants, self.exemplars.iter().copied().collect::<Vec<_>>());
    }
}

fn run(steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let (db, report) = Tsdb::open(dir.path(), options()).unwrap();
        assert!(report.quarantined.is_empty() && report.orphan_samples == 0, "{report:?}");
        db
    };
    let (mut db, mut model) = (open(), Model::default());
    for step in steps.into_iter().chain([Step::Maintain, Step::Reopen]) {
        match step {
            Step::Write { rounds, shape } => (0..rounds).for_each(|_| model.write(&db, shape)),
            Step::Late { series, back, histogram, between } => {
                model.late(&db, series as usize, back, histogram, between);
            }
            Step::Import { series, back } => model.import(&db, series as usize, back),
            Step::Maintain => drop(db.maintain(model.now).unwrap()),
            Step::Checkpoint => db.checkpoint().unwrap(),
            Step::Shorten => {
                db.shorten_log().unwrap();
            }
            Step::Reopen => {
                drop(db);
                db = open();
                model.check(&db, i64::MIN, i64::MAX);
                model.check_exemplars(&db);
            }
            Step::Delete { series, from, to } => {
                let (from, to) = (model.now - from.max(to), model.now - from.min(to));
                db.delete(&[Matcher::equal("series", name(series as usize))], from, to).unwrap();
                if let Some(points) = model.samples.get_mut(&(series as usize)) {
                    points.retain(|t, _| !(from..=to).contains(t));
                }
                model.deleted.push((series as usize, from, to));
            }
            Step::Read { from, to } => model.check(&db, model.now - from, model.now - to),
        }
        model.check(&db, i64::MIN, i64::MAX);
    }
}

/// `MODEL_CASES` asks for another number.
fn cases() -> u32 {
    std::env::var("MODEL_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]
    #[test]
    fn answers_as_a_plain_map(steps in steps()) {
        run(steps);
    }
}
