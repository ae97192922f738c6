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
    /// A sample that many milliseconds before the newest, for one series.
    Late {
        series: u8,
        back: i64,
    },
    Maintain,
    Checkpoint,
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
        6 => (0u8..4, 1i64..WINDOW_MS + 100).prop_map(|(series, back)| Step::Late { series, back }),
        3 => Just(Step::Maintain),
        1 => Just(Step::Checkpoint),
        2 => Just(Step::Reopen),
        1 => (0u8..4, 0i64..4000, 0i64..4000).prop_map(|(series, from, to)| Step::Delete { series, from, to }),
        3 => (0i64..8000, 0i64..8000).prop_map(|(from, to)| Step::Read { from, to }),
    ];
    prop::collection::vec(step, 1..40)
}

/// Series 0 to 3 are floats, 4 is one of native histograms.
const FLOATS: usize = 4;

fn name(series: usize) -> String {
    format!("s{series}")
}

#[derive(Default)]
struct Model {
    floats: BTreeMap<usize, BTreeMap<i64, u64>>,
    histograms: BTreeMap<i64, Arc<Histogram>>,
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
            self.floats.entry(s).or_default().insert(self.now, point.value.to_bits());
        }
        let [histogram] = histogram;
        self.histograms.insert(self.now, histogram.histogram);
        if !exemplars.is_empty() {
            self.exemplars.insert(self.now);
        }
    }

    fn late(&mut self, db: &Tsdb, series: usize, back: i64) {
        // Between the regular instants, so that no question arises which of two samples stands.
        let t = self.now - back / STEP_MS * STEP_MS - 3;
        if self.floats.is_empty()
            || t <= 0
            || self.deleted.iter().any(|(s, a, b)| *s == series && (*a..=*b).contains(&t))
        {
            return;
        }
        let text = name(series);
        let report = db
            .write(&[SeriesWrite {
                labels: &[("__name__", "m"), ("series", &text)],
                points: &[Point::new(t, 0.5)],
                ..SeriesWrite::default()
            }])
            .unwrap();
        assert_eq!(report.appended == 1, self.now - t <= WINDOW_MS, "{t} of {}: {report:?}", self.now);
        if report.appended == 1 {
            self.floats.entry(series).or_default().entry(t).or_insert(0.5f64.to_bits());
        }
    }

    fn check(&self, db: &Tsdb, from: i64, to: i64) {
        let found = db.select(&[Matcher::new("series", MatcherOp::Regex, "s.*")], from, to).unwrap();
        let mut seen = BTreeMap::new();
        let mut histograms = Vec::new();
        for series in &found {
            let mut points = Vec::new();
            series.chunks.read_all(&mut points, &mut histograms).unwrap();
            let index: usize = series.labels.get("series").unwrap()[1..].parse().unwrap();
            if !points.is_empty() {
                seen.insert(index, points.iter().map(|p| (p.t_ms, p.value.to_bits())).collect::<Vec<_>>());
            }
        }
        let wanted: BTreeMap<usize, Vec<(i64, u64)>> = self
            .floats
            .iter()
            .map(|(s, points)| (*s, points.range(from..=to.max(from)).map(|(t, v)| (*t, *v)).collect::<Vec<_>>()))
            .filter(|(_, points)| !points.is_empty() && from <= to)
            .collect();
        assert_eq!(seen, wanted, "{from}..={to}");
        let wanted: Vec<_> = self.histograms.range(from..=to.max(from)).filter(|_| from <= to).collect();
        assert_eq!(histograms.len(), wanted.len());
        for (found, (t, h)) in histograms.iter().zip(wanted) {
            assert!(found.t_ms == *t && found.histogram.same_as(h), "{t}: {found:?}");
        }
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
            Step::Late { series, back } => model.late(&db, series as usize, back),
            Step::Maintain => drop(db.maintain(model.now).unwrap()),
            Step::Checkpoint => db.checkpoint().unwrap(),
            Step::Reopen => {
                drop(db);
                db = open();
                model.check(&db, i64::MIN, i64::MAX);
                model.check_exemplars(&db);
            }
            Step::Delete { series, from, to } => {
                let (from, to) = (model.now - from.max(to), model.now - from.min(to));
                db.delete(&[Matcher::equal("series", name(series as usize))], from, to).unwrap();
                if let Some(points) = model.floats.get_mut(&(series as usize)) {
                    points.retain(|t, _| !(from..=to).contains(t));
                }
                model.deleted.push((series as usize, from, to));
            }
            Step::Read { from, to } => model.check(&db, model.now - from, model.now - to),
        }
        model.check(&db, i64::MIN, i64::MAX);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn answers_as_a_plain_map(steps in steps()) {
        run(steps);
    }
}
