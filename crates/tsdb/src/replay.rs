//! Putting into memory what the log holds; everything in it was judged when it was written.
//!
//! Most of a log are floats in order, and most of the time goes into coding them into their series' runs. Each series has its
//! place in the head, so that stretches of the head take their samples side by side.

use std::sync::Arc;

use tenfold_types::{Exemplar, HistogramPoint, Point};

use crate::{
    created::read_marks,
    db::State,
    head::HeadSeries,
    postings::SeriesId,
    record::{Kind, Tombstone, read_exemplars, read_histograms, read_samples, read_series, read_tombstones},
    threads::{in_parts, threads},
    wal::Payload,
};

/// A number farther than this past the known ones is taken for damage.
const IDS_SKIPPED_MAX: u32 = 50_000_000;
/// A checkpoint may hold exemplars that stand in the log again: so many of a series are compared.
const EXEMPLARS_COMPARED: usize = 1000;
/// Samples that wait to be put into memory together, 24 bytes each.
const WAITING_MAX: usize = 1 << 20;
/// Fewer than these are put there sooner than a thread has begun.
const WORTH_THREADS: usize = 1 << 14;

pub(crate) struct Replay<'a> {
    pub state: &'a mut State,
    pub samples: u64,
    pub orphans: u64,
    /// By place in the head.
    waiting: Vec<(u32, Point)>,
}

/// A series of the log, known under its number from then on. One that was forgotten and came again before a checkpoint told of
/// it has two: the one that is known already stands.
pub(crate) fn know_series(state: &mut State, id: SeriesId, labels: &[(&str, &str)]) {
    let symbols = &mut state.index.symbols;
    let pairs: Vec<_> = labels.iter().map(|(n, v)| (symbols.intern(n), symbols.intern(v))).collect();
    // A number that is known already can only be this one: numbers are never given twice.
    if let Err(Some(known)) = state.index.restore(id, &pairs) {
        state.index.reserve_ids(id.saturating_add(1));
        state.renumbered.insert(id, known);
    }
}

/// A deletion, which a checkpoint and the log may both tell of.
pub(crate) fn know_tombstone(state: &mut State, id: SeriesId, tombstone: Tombstone) {
    let known = state.tombstones.entry(id).or_default();
    if !known.contains(&tombstone) {
        known.push(tombstone);
    }
}

impl<'a> Replay<'a> {
    pub fn new(state: &'a mut State) -> Self {
        Self { state, samples: 0, orphans: 0, waiting: Vec::new() }
    }

    /// Takes a segment's frames in; how many bytes of them make no sense. What is of different kinds does not depend on each
    /// other, but for series, which come before all that is theirs.
    pub fn segment(&mut self, frames: &[Payload<'_>]) -> u64 {
        let mut malformed = 0;
        for (_, payload) in frames.iter().filter(|(kind, _)| *kind == Kind::Series) {
            let read = read_series(payload, |id, labels| know_series(self.state, id, labels));
            malformed += read.map_or(payload.len() as u64, |()| 0);
        }
        for (_, payload) in frames.iter().filter(|(kind, _)| *kind == Kind::Samples) {
            let read = read_samples(payload, |id, point| self.float(id, point));
            malformed += read.map_or(payload.len() as u64, |()| 0);
            if self.waiting.len() >= WAITING_MAX {
                self.put_floats();
            }
        }
        self.put_floats();
        for (kind, payload) in frames {
            let read = match kind {
                Kind::Late => read_samples(payload, |id, point| self.late(id, point)),
                Kind::Histograms => read_histograms(payload, |id, point| self.histogram(id, point)),
                Kind::LateHistograms => read_histograms(payload, |id, point| self.late_histogram(id, point)),
                Kind::Exemplars => read_exemplars(payload, |id, exemplar| self.exemplar(id, exemplar)),
                Kind::Tombstones => read_tombstones(payload, |id, t| self.tombstone(id, t)),
                Kind::Created => read_marks(payload, |mark| self.state.created.push(mark)),
                _ => Some(()),
            };
            malformed += read.map_or(payload.len() as u64, |()| 0);
        }
        malformed
    }

    fn slot(&mut self, id: SeriesId) -> Option<u32> {
        if let Some(slot) = self.state.index.slot(id) {
            return Some(slot);
        }
        if !self.state.index.is_live(id) {
            if let Some(known) = self.state.renumbered.get(&id).copied() {
                return self.slot(known);
            }
            self.orphans += 1;
            // Its labels are lost, but the number must not be given to another series: this log may be read again.
            if id < self.state.index.id_end().saturating_add(IDS_SKIPPED_MAX) {
                self.state.index.reserve_ids(id.saturating_add(1));
            }
            return None;
        }
        let slot = self.state.head.add(id);
        self.state.index.set_slot(id, slot);
        Some(slot)
    }

    fn float(&mut self, id: SeriesId, point: Point) {
        if point.t_ms < self.state.min_valid_t {
            return;
        }
        if let Some(slot) = self.slot(id) {
            self.waiting.push((slot, point));
        }
    }

    /// Puts the floats that wait into memory.
    fn put_floats(&mut self) {
        let threads = if self.waiting.len() < WORTH_THREADS { 1 } else { threads() };
        let waiting = self.waiting.as_slice();
        let series = self.state.head.all_mut();
        let width = series.len().div_ceil(threads).max(1);
        let parts: Vec<_> = series.chunks_mut(width).enumerate().collect();
        for (samples, max_t) in in_parts(parts, |(i, part)| put_part(waiting, i * width, part)) {
            self.samples += samples;
            self.state.max_t = self.state.max_t.max(max_t);
        }
        self.waiting.clear();
    }

    fn late(&mut self, id: SeriesId, point: Point) {
        let Some(slot) = self.slot(id) else { return };
        self.state.head.get_mut(slot).push_late(point);
        self.state.max_t = self.state.max_t.max(point.t_ms);
        self.samples += 1;
    }

    fn histogram(&mut self, id: SeriesId, point: HistogramPoint) {
        if point.t_ms < self.state.min_valid_t {
            return;
        }
        let Some(slot) = self.slot(id) else { return };
        let series = self.state.head.get_mut(slot);
        // As with floats: each kind by itself, for floats come first here.
        if series.last_histogram().is_some_and(|h| h.t_ms >= point.t_ms) {
            return;
        }
        self.state.max_t = self.state.max_t.max(point.t_ms);
        series.push_histogram(HistogramPoint { t_ms: point.t_ms, histogram: Arc::clone(&point.histogram) });
        self.samples += 1;
    }

    fn late_histogram(&mut self, id: SeriesId, point: HistogramPoint) {
        let Some(slot) = self.slot(id) else { return };
        self.state.max_t = self.state.max_t.max(point.t_ms);
        self.state.head.get_mut(slot).push_late_histogram(point);
        self.samples += 1;
    }

    fn tombstone(&mut self, id: SeriesId, tombstone: Tombstone) {
        let known = self.state.renumbered.get(&id).copied().filter(|_| !self.state.index.is_live(id));
        know_tombstone(self.state, known.unwrap_or(id), tombstone);
    }

    fn exemplar(&mut self, id: SeriesId, exemplar: Exemplar) {
        if exemplar.t_ms < self.state.min_valid_t {
            return;
        }
        let Some(slot) = self.slot(id) else { return };
        let kept = &mut self.state.head.get_mut(slot).extra_mut().exemplars;
        if !kept.iter().rev().take(EXEMPLARS_COMPARED).any(|e| *e == exemplar) {
            kept.push(exemplar);
            self.state.exemplars += 1;
        }
    }
}

/// Puts the samples of one stretch of the head there, of which the first place is given; how many those were, and the newest.
fn put_part(waiting: &[(u32, Point)], first: usize, part: &mut [HeadSeries]) -> (u64, i64) {
    let (mut samples, mut max_t) = (0, i64::MIN);
    for (slot, point) in waiting {
        let Some(series) = (*slot as usize).checked_sub(first).and_then(|at| part.get_mut(at)) else { continue };
        // A checkpoint may hold more than the log before it.
        if series.last().is_none_or(|last| last.t_ms < point.t_ms) {
            series.push(*point);
            samples += 1;
            max_t = max_t.max(point.t_ms);
        }
    }
    (samples, max_t)
}

#[cfg(test)]
mod tests {
    use tenfold_types::Labels;

    use crate::{Options, Sample, Tsdb, head::LateTimes};

    #[test]
    fn a_series_that_came_again_before_a_checkpoint_told_that_it_had_gone_keeps_its_samples() {
        let dir = tempfile::tempdir().unwrap();
        let labels = Labels::from_pairs([("__name__", "m")]);
        let open = || Tsdb::open(dir.path(), Options::default()).unwrap();
        let write = |db: &Tsdb, t_ms: i64| db.append(&[Sample::new(labels.clone(), t_ms, 1.0)]).unwrap().new_series;
        let (db, _) = open();
        write(&db, 1000);
        db.checkpoint().unwrap();
        db.state.write().head.get_mut(0).drop_before(1500, &LateTimes::default());
        assert_eq!(db.forget_series(), 1);
        assert_eq!(write(&db, 2000), 1, "it has a new number");
        assert_eq!(db.delete(&[], 2000, 2000).unwrap(), 1);
        write(&db, 3000);
        drop(db);
        for t_ms in [4000, 5000] {
            let (db, report) = open();
            assert_eq!((report.orphan_samples, report.series), (0, 1), "{report:?}");
            assert_eq!(write(&db, t_ms), 0);
            let mut points = Vec::new();
            db.select(&[], 1500, i64::MAX).unwrap()[0].chunks.read(&mut points).unwrap();
            let found: Vec<i64> = points.iter().map(|p| p.t_ms).collect();
            assert_eq!(found, (3000..=t_ms).step_by(1000).collect::<Vec<i64>>());
        }
    }
}
