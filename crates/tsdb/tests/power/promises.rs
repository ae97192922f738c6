//! What the store has promised so far, and whether it is kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tenfold_tsdb::{AppendReport, CoarseReach, Exemplar, HistogramPoint, Point, SeriesWrite, Tsdb, TsdbError};
use tenfold_types::{Histogram, Labels, Matcher, histogram::Buckets};

pub const STEP_MS: i64 = 20 * 60_000;
/// Two series of floats, the first with exemplars, and one of native histograms.
pub const SERIES: [&str; 3] = ["a", "b", "h"];
const HISTOGRAMS: usize = 2;

/// Every sample's value follows from its place: one that was never written is told from one that was.
fn value(series: usize, t_ms: i64) -> f64 {
    (t_ms / 60_000) as f64 * 0.5 + series as f64
}

fn histogram(t_ms: i64) -> HistogramPoint {
    let n = (t_ms / 60_000) as f64;
    let positive = Buckets::single(2, vec![n, 3.0]);
    let h = Histogram { schema: 1, count: n + 3.0, sum: n * 0.25, positive, ..Histogram::default() };
    HistogramPoint { t_ms, histogram: Arc::new(h) }
}

fn exemplar(t_ms: i64) -> Exemplar {
    Exemplar { labels: Labels::from_pairs([("trace_id", t_ms.to_string())]), value: 1.0, t_ms }
}

/// Hands over one sample of one series.
fn with_one<T>(series: usize, t_ms: i64, take: impl FnOnce(&[SeriesWrite<'_>]) -> T) -> T {
    let labels = [("s", SERIES[series])];
    let (points, histograms) = ([Point::new(t_ms, value(series, t_ms))], [histogram(t_ms)]);
    let (points, histograms) = if series == HISTOGRAMS { (&[][..], &histograms[..]) } else { (&points[..], &[][..]) };
    take(&[SeriesWrite { labels: &labels, points, histograms, ..SeriesWrite::default() }])
}

/// Writes one sample of one series.
pub fn write_one(db: &Tsdb, series: usize, t_ms: i64) -> Result<AppendReport, TsdbError> {
    with_one(series, t_ms, |batch| db.write(batch))
}

/// Imports one of old time.
pub fn import_one(db: &Tsdb, series: usize, t_ms: i64, now_ms: i64) -> Result<AppendReport, TsdbError> {
    with_one(series, t_ms, |batch| db.import(batch, now_ms))
}

/// Writes one sample of every series, and an exemplar.
pub fn write_all(db: &Tsdb, i: i64) -> Result<AppendReport, TsdbError> {
    let t = i * STEP_MS;
    let labels = SERIES.map(|s| [("s", s)]);
    let points = [0, 1].map(|s| [Point::new(t, value(s, t))]);
    let (histograms, exemplars) = ([histogram(t)], [exemplar(t)]);
    db.write(&[
        SeriesWrite { labels: &labels[0], points: &points[0], exemplars: &exemplars, ..SeriesWrite::default() },
        SeriesWrite { labels: &labels[1], points: &points[1], ..SeriesWrite::default() },
        SeriesWrite { labels: &labels[2], histograms: &histograms, ..SeriesWrite::default() },
    ])
}

/// A sample that was acknowledged.
#[derive(Debug, Clone, Copy, Default)]
struct Kept {
    flushed: bool,
    deleted: bool,
    deletion_flushed: bool,
}

type Found = BTreeSet<(usize, i64)>;

#[derive(Default)]
pub struct Promises {
    samples: BTreeMap<(usize, i64), Kept>,
    /// By instant: whether it was flushed.
    exemplars: BTreeMap<i64, bool>,
    /// Whatever was handed over, acknowledged or not: the power may go in the middle of it.
    attempted: Found,
    deleted: Vec<(usize, i64, i64)>,
    pub next: i64,
}

impl Promises {
    /// The number of the next round, which is about to be written.
    pub fn attempt(&mut self) -> i64 {
        self.next += 1;
        self.attempted.extend((0..SERIES.len()).map(|s| (s, self.next * STEP_MS)));
        self.next
    }
    pub fn acknowledge(&mut self, i: i64) {
        for s in 0..SERIES.len() {
            self.samples.insert((s, i * STEP_MS), Kept::default());
        }
        self.exemplars.insert(i * STEP_MS, false);
    }
    /// The instant of a late sample, unless that time was deleted, where it may or may not be seen.
    pub fn attempt_late(&mut self, series: usize, back: i64) -> Option<i64> {
        let t = (self.next - back) * STEP_MS - 7 * 60_000;
        let deleted = self.deleted.iter().any(|(s, from, to)| *s == series && (*from..=*to).contains(&t));
        (t > 0 && !deleted).then(|| {
            self.attempted.insert((series, t));
            t
        })
    }
    pub fn acknowledge_late(&mut self, series: usize, t: i64) {
        self.samples.entry((series, t)).or_default();
    }
    /// The instant of a sample to be imported, when it is before `closed_ms`. What was deleted there may come back by it.
    pub fn attempt_import(&mut self, series: usize, back: i64, closed_ms: i64) -> Option<i64> {
        let t = (self.next - back) * STEP_MS - 11 * 60_000;
        if t <= 0 || t >= closed_ms {
            return None;
        }
        self.attempted.insert((series, t));
        if let Some(kept) = self.samples.get_mut(&(series, t)) {
            kept.deletion_flushed = false;
        }
        Some(t)
    }
    /// It survives a power cut from then on, also where something was deleted before.
    pub fn acknowledge_import(&mut self, series: usize, t: i64) {
        self.samples.insert((series, t), Kept { flushed: true, ..Kept::default() });
    }
    pub fn delete(&mut self, series: usize, from: i64, to: i64) {
        self.deleted.push((series, from, to));
        for (_, kept) in self.samples.range_mut((series, from)..=(series, to)) {
            kept.deleted = true;
        }
    }
    pub fn flushed(&mut self) {
        for kept in self.samples.values_mut() {
            (kept.flushed, kept.deletion_flushed) = (true, kept.deleted);
        }
        self.exemplars.values_mut().for_each(|flushed| *flushed = true);
    }

    /// Nothing happened to the power: all is there that was acknowledged, and nothing else.
    pub fn check_all(&self, db: &Tsdb) {
        let wanted: Found = self.samples.iter().filter(|(_, k)| !k.deleted).map(|(at, _)| *at).collect();
        assert_eq!(samples(db).unwrap(), wanted);
        assert!(exemplars(db).unwrap().iter().eq(self.exemplars.keys()));
        for series in 0..HISTOGRAMS {
            self.check_rows(db, series);
        }
    }

    /// Rows say of their time what its samples say. Of time of which something was deleted they say no more than that.
    fn check_rows(&self, db: &Tsdb, series: usize) {
        for CoarseReach { resolution_ms, until_ms, .. } in db.coarse_reach().0 {
            let matcher = [Matcher::equal("s", SERIES[series])];
            let found = db.select_coarse(&matcher, i64::MIN, i64::MAX, resolution_ms).unwrap().unwrap();
            assert_eq!(found.resolution_ms, resolution_ms);
            let mut rows = Vec::new();
            for one in &found.series {
                one.read(&mut rows).unwrap();
            }
            let rows: BTreeMap<i64, _> = rows.iter().map(|r| (r.t_ms, r)).collect();
            let mut wanted: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
            for ((_, t), kept) in self.samples.range((series, i64::MIN)..=(series, i64::MAX)) {
                if !kept.deleted {
                    let row =
                        wanted.entry((t - 1).div_euclid(resolution_ms) * resolution_ms + resolution_ms).or_default();
                    *row = (row.0 + 1.0, row.1 + value(series, *t));
                }
            }
            let touched = |row: i64| {
                self.deleted.iter().any(|(s, from, to)| *s == series && *from <= row && *to > row - resolution_ms)
            };
            for (t, (count, sum)) in wanted.range(..=until_ms).filter(|(t, _)| !touched(**t)) {
                let row = rows.get(t).unwrap_or_else(|| panic!("the row at {t} of {} is missing", SERIES[series]));
                assert_eq!((row.count, row.sum), (*count, *sum), "the row at {t} of {}", SERIES[series]);
            }
            for (t, row) in &rows {
                let count = wanted.get(t).map_or(0.0, |w| w.0);
                assert!(row.count <= count, "the row at {t} of {} has {} of {count}", SERIES[series], row.count);
            }
        }
    }

    /// The power came back. With `gaps` parts of what was not flushed may be missing in the middle.
    pub fn check_after_power_cut(&mut self, db: &Tsdb, gaps: bool) {
        let (found, found_exemplars) = (samples(db).unwrap(), exemplars(db).unwrap());
        assert!(found.is_subset(&self.attempted), "never written: {:?}", found.difference(&self.attempted));
        for (at, kept) in &self.samples {
            assert!(found.contains(at) || !kept.flushed || kept.deleted, "the flushed one at {at:?} is lost");
            assert!(!found.contains(at) || !kept.deletion_flushed, "the deleted one at {at:?} came back");
        }
        for (t, flushed) in &self.exemplars {
            assert!(!flushed || found_exemplars.contains(t), "the flushed exemplar at {t} is lost");
        }
        assert!(
            found_exemplars.iter().all(|t| self.attempted.contains(&(0, *t))),
            "an exemplar that was never written"
        );
        for series in (0..SERIES.len()).filter(|_| !gaps) {
            let in_order = self.samples.range((series, i64::MIN)..=(series, i64::MAX));
            let in_order = in_order.filter(|((_, t), kept)| t % STEP_MS == 0 && !kept.deleted);
            let there: Vec<bool> = in_order.map(|(at, _)| found.contains(at)).collect();
            assert!(there.is_sorted_by(|a, b| a >= b), "a gap in {}: {there:?}", SERIES[series]);
        }
        self.take_over(&found, &found_exemplars);
    }

    /// The disk lied about flushing: whatever is there was written once.
    pub fn check_after_lies(&mut self, db: &Tsdb, now_ms: i64) {
        let read = || Ok::<_, TsdbError>((samples(db)?, exemplars(db)?));
        for _ in 0..20 {
            match read() {
                Ok((found, found_exemplars)) => {
                    assert!(found.is_subset(&self.attempted), "never written: {found:?}");
                    return self.take_over(&found, &found_exemplars);
                }
                Err(TsdbError::Damaged { .. }) => assert!(!db.maintain(now_ms).unwrap().quarantined.is_empty()),
                Err(e) => panic!("{e}"),
            }
        }
        panic!("the damage does not end");
    }

    /// What is there now was read from the disk: it is flushed.
    fn take_over(&mut self, found: &Found, exemplars: &BTreeSet<i64>) {
        let kept = Kept { flushed: true, ..Kept::default() };
        // A deletion stays as long as samples would come back without it.
        let deleted = self.samples.iter().filter(|(at, k)| k.deleted && !found.contains(at));
        let deleted: Vec<_> = deleted.map(|(at, _)| (*at, Kept { deleted: true, ..kept })).collect();
        self.samples = found.iter().map(|at| (*at, kept)).chain(deleted).collect();
        self.exemplars = exemplars.iter().map(|t| (*t, true)).collect();
    }
}

/// Every sample there is, by series and instant; each has the value it must have.
fn samples(db: &Tsdb) -> Result<Found, TsdbError> {
    let mut found = Found::new();
    for series in db.select(&[], i64::MIN, i64::MAX)? {
        let name = series.labels.get("s").unwrap();
        let s = SERIES.iter().position(|n| *n == name).unwrap();
        let (mut points, mut histograms) = (Vec::new(), Vec::new());
        series.chunks.read_all(&mut points, &mut histograms)?;
        assert!(if s == HISTOGRAMS { points.is_empty() } else { histograms.is_empty() });
        for p in &points {
            assert_eq!(p.value, value(s, p.t_ms), "{name} at {}", p.t_ms);
            assert!(found.insert((s, p.t_ms)), "{name} at {} stands twice", p.t_ms);
        }
        for h in &histograms {
            assert!(h.histogram.same_as(&histogram(h.t_ms).histogram), "{name} at {}: {h:?}", h.t_ms);
            assert!(found.insert((s, h.t_ms)), "{name} at {} stands twice", h.t_ms);
        }
    }
    Ok(found)
}

fn exemplars(db: &Tsdb) -> Result<BTreeSet<i64>, TsdbError> {
    let found = db.exemplars(&[], i64::MIN, i64::MAX)?;
    assert!(found.iter().flat_map(|(_, list)| list).all(|e| *e == exemplar(e.t_ms)));
    Ok(found.iter().flat_map(|(_, list)| list.iter().map(|e| e.t_ms)).collect())
}
