//! The newest samples, in memory: per series the runs they are coded into as they come, what came late, and the rarer
//! kinds (histograms, exemplars) in a box that most series do not have.

use tenfold_types::{Exemplar, HistogramPoint, Point};

use crate::{
    gorilla::{Appender, Chunk},
    histograms::{HistogramChunk, RUN_HISTOGRAMS_MAX, runs},
    postings::SeriesId,
    record::Kept,
};

/// A run is closed at this many samples: short queries need not decode more, and a run's fixed bytes stay few.
const RUN_SAMPLES_MAX: u32 = 120;
/// Of [`HeadSeries::reached`]: a run that is not closed has fewer samples than these bits count.
const REACHED_SAMPLES_BITS: u32 = 8;
const REACHED_RUNS_BITS: u32 = 32 - REACHED_SAMPLES_BITS;
/// A native histogram takes the room of so many float samples, roughly.
pub(crate) const HISTOGRAM_AS_SAMPLES: usize = 16;
/// So many samples of one series that came late are put in place together.
const LATE_AT_ONCE: usize = 8;

pub(crate) struct HeadSeries {
    pub id: SeriesId,
    /// The batch that last had something for this series.
    pub mark: u32,
    open: Appender,
    sealed: Vec<Chunk>,
    /// The newest sample, also after it has been cut into a block.
    last: Option<Point>,
    pub extra: Option<Box<Extra>>,
}

#[derive(Default)]
pub(crate) struct Extra {
    /// Samples older than the newest when they came, each kind in order; both kinds together have one at an instant.
    pub late: Vec<Point>,
    pub late_histograms: Vec<HistogramPoint>,
    pub histograms: Vec<HistogramChunk>,
    pub open_histograms: Vec<HistogramPoint>,
    pub last_histogram: Option<HistogramPoint>,
    pub exemplars: Vec<Exemplar>,
}

/// The instants of samples that came late, in order.
#[derive(Default)]
pub(crate) struct LateTimes {
    floats: Vec<i64>,
    histograms: Vec<i64>,
}

impl LateTimes {
    pub fn of(slice: &HeadSlice) -> Self {
        Self {
            floats: slice.late.iter().map(|p| p.t_ms).collect(),
            histograms: slice.late_histograms.iter().map(|h| h.t_ms).collect(),
        }
    }
}

/// A copy of what one series has within a time.
#[derive(Default, Clone)]
pub(crate) struct HeadSlice {
    pub chunks: Vec<Chunk>,
    pub histograms: Vec<HistogramChunk>,
    pub open_histograms: Vec<HistogramPoint>,
    pub late: Vec<Point>,
    pub late_histograms: Vec<HistogramPoint>,
}

impl HeadSlice {
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
            && self.histograms.is_empty()
            && self.open_histograms.is_empty()
            && self.late.is_empty()
            && self.late_histograms.is_empty()
    }
    /// Appends the samples in order of the time, both kinds. How many runs make no sense and were left out: for those that
    /// came from a checkpoint only its checksum speaks.
    pub fn read_in_order(
        &self,
        (start, end): (i64, i64),
        floats: &mut Vec<Point>,
        histograms: &mut Vec<HistogramPoint>,
    ) -> usize {
        let mut damaged = 0;
        for chunk in &self.chunks {
            let from = floats.len();
            if chunk.decode_range(start, end, floats).is_none() {
                floats.truncate(from);
                damaged += 1;
            }
        }
        for chunk in &self.histograms {
            let from = histograms.len();
            if chunk.decode_range(start, end, histograms).is_none() {
                histograms.truncate(from);
                damaged += 1;
            }
        }
        histograms.extend_from_slice(&self.open_histograms);
        damaged
    }
    /// Appends the samples that came late, both kinds.
    pub fn read_late(&self, floats: &mut Vec<Point>, histograms: &mut Vec<HistogramPoint>) {
        floats.extend_from_slice(&self.late);
        histograms.extend_from_slice(&self.late_histograms);
    }
}

impl HeadSeries {
    pub fn new(id: SeriesId) -> Self {
        Self { id, mark: 0, open: Appender::default(), sealed: Vec::new(), last: None, extra: None }
    }
    pub fn last(&self) -> Option<Point> {
        self.last
    }
    /// The newest instant of either kind.
    pub fn last_t(&self) -> Option<i64> {
        self.last.map(|p| p.t_ms).max(self.last_histogram().map(|h| h.t_ms))
    }
    pub fn last_histogram(&self) -> Option<&HistogramPoint> {
        self.extra.as_ref()?.last_histogram.as_ref()
    }
    pub fn extra_mut(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }
    pub fn push(&mut self, point: Point) {
        if self.open.count >= RUN_SAMPLES_MAX {
            self.seal();
        }
        self.open.push(point);
        self.last = Some(point);
    }
    fn seal(&mut self) {
        if let Some(chunk) = std::mem::take(&mut self.open).chunk() {
            self.sealed.reserve_exact(1);
            self.sealed.push(chunk);
        }
    }
    /// Takes a run over as it is.
    pub fn restore(&mut self, chunk: Chunk) {
        self.sealed.push(chunk);
    }
    pub fn restore_last(&mut self, last: Option<Point>) {
        self.last = last;
    }
    /// Closed runs behind the first so many, and the one that still grows.
    pub fn runs_behind(&self, kept: usize) -> (&[Chunk], Option<Chunk>) {
        (self.sealed.get(kept..).unwrap_or_default(), self.open.chunk())
    }
    /// How far its floats have come: closed runs and samples behind them, which only grow while nothing is dropped. The upper
    /// bits are the runs; too many for them count as none.
    pub fn reached(&self) -> u32 {
        match u32::try_from(self.sealed.len()) {
            Ok(runs) if runs < 1 << REACHED_RUNS_BITS => runs << REACHED_SAMPLES_BITS | self.open.count,
            _ => 0,
        }
    }
    /// The closed runs of what was [`Self::reached`].
    pub fn reached_runs(reached: u32) -> usize {
        (reached >> REACHED_SAMPLES_BITS) as usize
    }
    /// Takes over what an addition has: the runs behind those that stay, and all that is not in closed runs.
    pub fn replace_behind(&mut self, kept: Kept, since: Self) {
        self.open = Appender::default();
        self.sealed.truncate(kept.floats);
        // After damage there may be a run that was still open in the checkpoint and is part of one here.
        match self.sealed.last().map(|c| c.max_t) {
            None => self.sealed = since.sealed,
            Some(end) => self.sealed.extend(since.sealed.into_iter().filter(|c| c.min_t > end)),
        }
        self.last = since.last.or(self.last);
        let Some(mut since) = since.extra else { return };
        if let Some(known) = self.extra.take() {
            let mut histograms = known.histograms;
            histograms.truncate(kept.histograms);
            let end = histograms.last().map(|c| c.max_t);
            histograms.extend(since.histograms.into_iter().filter(|c| end.is_none_or(|end| c.min_t > end)));
            since.histograms = histograms;
        }
        self.extra = Some(since);
    }
    /// Keeps a sample that came late. One that has the instant of an earlier one is dropped: the first stands.
    pub fn push_late(&mut self, point: Point) {
        let extra = self.extra_mut();
        let taken = extra.late_histograms.binary_search_by_key(&point.t_ms, |h| h.t_ms).is_ok();
        if let (Err(i), false) = (extra.late.binary_search_by_key(&point.t_ms, |p| p.t_ms), taken) {
            extra.late.insert(i, point);
        }
    }
    /// The same for many, in order of their time: each by itself would move all that are later.
    pub fn push_late_all(&mut self, points: impl ExactSizeIterator<Item = Point>) {
        if points.len() < LATE_AT_ONCE {
            return points.for_each(|point| self.push_late(point));
        }
        let Extra { late, late_histograms, .. } = self.extra_mut();
        late.extend(points.filter(|p| late_histograms.binary_search_by_key(&p.t_ms, |h| h.t_ms).is_err()));
        // Two runs in order, which are merged; what was there first stays first.
        late.sort_by_key(|p| p.t_ms);
        late.dedup_by_key(|p| p.t_ms);
    }
    /// The same for a native histogram. What it says about the one before it was said before it came in between.
    pub fn push_late_histogram(&mut self, mut point: HistogramPoint) {
        point.forget_hint();
        let extra = self.extra_mut();
        let taken = extra.late.binary_search_by_key(&point.t_ms, |p| p.t_ms).is_ok();
        if let (Err(i), false) = (extra.late_histograms.binary_search_by_key(&point.t_ms, |h| h.t_ms), taken) {
            extra.late_histograms.insert(i, point);
        }
    }
    pub fn push_histogram(&mut self, point: HistogramPoint) {
        let extra = self.extra_mut();
        extra.last_histogram = Some(point.clone());
        extra.open_histograms.push(point);
        if extra.open_histograms.len() >= RUN_HISTOGRAMS_MAX {
            extra.seal_histograms();
        }
    }
    pub fn is_empty(&self) -> bool {
        self.sealed.is_empty() && self.open.count == 0 && self.extra.as_ref().is_none_or(|e| e.is_empty())
    }
    pub fn sample_count(&self) -> usize {
        let floats = self.open.count as usize + self.sealed.iter().map(|c| c.count as usize).sum::<usize>();
        let more = self.extra.as_ref().map_or(0, |e| {
            e.late.len()
                + e.late_histograms.len()
                + e.open_histograms.len()
                + e.histograms.iter().map(|c| c.count as usize).sum::<usize>()
        });
        floats + more
    }
    pub fn chunk_count(&self) -> usize {
        let more = self.extra.as_ref().map_or(0, |e| e.histograms.len() + usize::from(!e.open_histograms.is_empty()));
        self.sealed.len() + usize::from(self.open.count > 0) + more
    }
    /// Heap and inline bytes, roughly.
    pub fn bytes(&self) -> usize {
        let chunks = self.sealed.iter().map(|c| c.bytes.len() + 16).sum::<usize>();
        let extra = self.extra.as_ref().map_or(0, |e| {
            size_of::<Extra>()
                + 16 * e.late.capacity()
                + e.histograms.iter().map(|c| c.bytes.len() + size_of::<HistogramChunk>()).sum::<usize>()
                + e.open_histograms.iter().chain(&e.late_histograms).map(|p| p.histogram.bytes()).sum::<usize>()
        });
        size_of::<Self>() + self.open.capacity_bytes() + size_of::<Chunk>() * self.sealed.capacity() + chunks + extra
    }
    /// The oldest instant in order; late ones do not count.
    pub fn min_t(&self) -> Option<i64> {
        let floats = self.sealed.first().map(|c| c.min_t).or_else(|| self.open.first_t());
        let histograms = self
            .extra
            .as_ref()
            .and_then(|e| e.histograms.first().map(|c| c.min_t).or_else(|| e.open_histograms.first().map(|p| p.t_ms)));
        [floats, histograms].into_iter().flatten().min()
    }
    pub fn oldest_t(&self) -> Option<i64> {
        [self.min_t(), self.oldest_late_t()].into_iter().flatten().min()
    }
    /// The oldest instant that a block must be cut for: of samples in order and of exemplars.
    pub fn oldest_to_cut(&self) -> Option<i64> {
        let exemplars = self.extra.as_ref().and_then(|e| e.exemplars.iter().map(|e| e.t_ms).min());
        [self.min_t(), exemplars].into_iter().flatten().min()
    }
    /// The oldest instant of what came late.
    pub fn oldest_late_t(&self) -> Option<i64> {
        self.oldest_late_from(i64::MIN)
    }
    /// The same without what is of before an instant.
    pub fn oldest_late_from(&self, t_ms: i64) -> Option<i64> {
        let extra = self.extra.as_ref()?;
        let float = extra.late.get(extra.late.partition_point(|p| p.t_ms < t_ms));
        let histograms = &extra.late_histograms;
        let histogram = histograms.get(histograms.partition_point(|h| h.t_ms < t_ms));
        [float.map(|p| p.t_ms), histogram.map(|h| h.t_ms)].into_iter().flatten().min()
    }
    /// What came late and is of before an instant, in the room of float samples.
    pub fn late_before(&self, t_ms: i64) -> usize {
        self.extra.as_ref().map_or(0, |e| {
            let floats = e.late.partition_point(|p| p.t_ms < t_ms);
            floats + HISTOGRAM_AS_SAMPLES * e.late_histograms.partition_point(|h| h.t_ms < t_ms)
        })
    }
    /// The newest instant there is in memory, of what came late too.
    pub fn max_t(&self) -> Option<i64> {
        let floats = self.open.last().map(|p| p.t_ms).or_else(|| self.sealed.last().map(|c| c.max_t));
        let more = self.extra.as_ref().and_then(|e| {
            let histograms = e.open_histograms.last().map(|p| p.t_ms).or_else(|| e.histograms.last().map(|c| c.max_t));
            histograms.max(e.late.last().map(|p| p.t_ms)).max(e.late_histograms.last().map(|h| h.t_ms))
        });
        floats.max(more)
    }
    pub fn overlaps(&self, start: i64, end: i64) -> bool {
        self.oldest_t().is_some_and(|t| t <= end) && self.max_t().is_some_and(|t| t >= start)
    }
    /// What overlaps the time; runs as a whole (cheap copies).
    pub fn slice(&self, start: i64, end: i64) -> HeadSlice {
        let mut out = HeadSlice::default();
        out.chunks.extend(self.sealed.iter().filter(|c| c.min_t <= end && c.max_t >= start).cloned());
        if let (Some(first), Some(last)) = (self.open.first_t(), self.open.last())
            && first <= end
            && last.t_ms >= start
        {
            out.chunks.extend(self.open.chunk());
        }
        if let Some(extra) = &self.extra {
            out.late = extra.late.iter().filter(|p| (start..=end).contains(&p.t_ms)).copied().collect();
            out.late_histograms =
                extra.late_histograms.iter().filter(|p| (start..=end).contains(&p.t_ms)).cloned().collect();
            out.histograms = extra.histograms.iter().filter(|c| c.min_t <= end && c.max_t >= start).cloned().collect();
            out.open_histograms =
                extra.open_histograms.iter().filter(|p| (start..=end).contains(&p.t_ms)).cloned().collect();
        }
        out
    }
    pub fn exemplars(&self, start: i64, end: i64) -> impl Iterator<Item = &Exemplar> {
        let all = self.extra.as_ref().map_or(&[][..], |e| &e.exemplars);
        all.iter().filter(move |e| (start..=end).contains(&e.t_ms))
    }
    /// Drops every sample in order before `t_ms`, and of the late ones those that were `written` to a block.
    /// How many runs went as a whole, since they make no sense.
    pub fn drop_before(&mut self, t_ms: i64, written: &LateTimes) -> usize {
        let mut damaged = 0;
        if self.min_t().is_some_and(|t| t < t_ms) {
            damaged += self.drop_floats_before(t_ms);
        }
        let Some(extra) = &mut self.extra else { return damaged };
        if !written.floats.is_empty() {
            extra.late.retain(|p| written.floats.binary_search(&p.t_ms).is_err());
            extra.late.shrink_to_fit();
        }
        if !written.histograms.is_empty() {
            extra.late_histograms.retain(|h| written.histograms.binary_search(&h.t_ms).is_err());
            extra.late_histograms.shrink_to_fit();
        }
        let kept = extra.histograms.partition_point(|c| c.max_t < t_ms);
        extra.histograms.drain(..kept);
        if let Some(first) = extra.histograms.first_mut().filter(|c| c.min_t < t_ms) {
            let mut points = Vec::new();
            let whole = first.decode_range(t_ms, i64::MAX, &mut points);
            if let Some(left) = whole.and_then(|()| HistogramChunk::encode(&points)) {
                *first = left;
            } else {
                extra.histograms.remove(0);
                damaged += 1;
            }
        }
        extra.open_histograms.retain(|p| p.t_ms >= t_ms);
        extra.exemplars.retain(|e| e.t_ms >= t_ms);
        // Most series have late samples once at most.
        if extra.is_empty() && extra.last_histogram.is_none() {
            self.extra = None;
        }
        damaged
    }
    /// Drops the runs that make no sense; how many those were.
    pub fn drop_damaged(&mut self) -> usize {
        let (mut points, mut histograms) = (Vec::new(), Vec::new());
        let before = self.sealed.len();
        self.sealed.retain(|c| {
            points.clear();
            c.decode_range(i64::MIN, i64::MAX, &mut points).is_some()
        });
        let mut dropped = before - self.sealed.len();
        if let Some(extra) = &mut self.extra {
            let before = extra.histograms.len();
            extra.histograms.retain(|c| {
                histograms.clear();
                c.decode_range(i64::MIN, i64::MAX, &mut histograms).is_some()
            });
            dropped += before - extra.histograms.len();
        }
        dropped
    }
    fn drop_floats_before(&mut self, t_ms: i64) -> usize {
        let mut damaged = 0;
        let gone = self.sealed.partition_point(|c| c.max_t < t_ms);
        self.sealed.drain(..gone);
        self.sealed.shrink_to_fit();
        if let Some(first) = self.sealed.first_mut().filter(|c| c.min_t < t_ms) {
            let mut points = Vec::new();
            let whole = first.decode_range(t_ms, i64::MAX, &mut points);
            if let Some(left) = whole.and_then(|()| Chunk::encode(&points)) {
                *first = left;
            } else {
                self.sealed.remove(0);
                damaged += 1;
            }
        }
        if self.open.first_t().is_some_and(|t| t < t_ms) {
            let open = std::mem::take(&mut self.open);
            let mut points = Vec::new();
            if let Some(chunk) = open.chunk() {
                chunk.decode_range(t_ms, i64::MAX, &mut points).expect("a run that grows was encoded by this process");
            }
            for point in points {
                self.open.push(point);
            }
        }
        damaged
    }
}

impl Extra {
    fn is_empty(&self) -> bool {
        self.late.is_empty()
            && self.late_histograms.is_empty()
            && self.histograms.is_empty()
            && self.open_histograms.is_empty()
            && self.exemplars.is_empty()
    }
    pub fn seal_histograms(&mut self) {
        let points = std::mem::take(&mut self.open_histograms);
        self.histograms.extend(runs(&points, RUN_HISTOGRAMS_MAX).filter_map(HistogramChunk::encode));
    }
}

/// The series that have something in memory, by place.
#[derive(Default)]
pub(crate) struct Head {
    series: Vec<HeadSeries>,
    free: Vec<u32>,
}

impl Head {
    pub fn add(&mut self, id: SeriesId) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.series[slot as usize] = HeadSeries::new(id);
            return slot;
        }
        self.series.push(HeadSeries::new(id));
        self.series.len() as u32 - 1
    }
    pub fn get(&self, slot: u32) -> &HeadSeries {
        &self.series[slot as usize]
    }
    pub fn get_mut(&mut self, slot: u32) -> &mut HeadSeries {
        &mut self.series[slot as usize]
    }
    /// All of them, by place.
    pub fn all_mut(&mut self) -> &mut [HeadSeries] {
        &mut self.series
    }
    /// One more than the highest place.
    pub fn end(&self) -> u32 {
        self.series.len() as u32
    }
    /// Gives a place back.
    pub fn remove(&mut self, slot: u32) {
        self.series[slot as usize] = HeadSeries::new(SeriesId::MAX);
        self.free.push(slot);
    }
    /// Those in use.
    pub fn iter(&self) -> impl Iterator<Item = &HeadSeries> {
        self.series.iter().filter(|s| s.id != SeriesId::MAX)
    }
    pub fn used(&self) -> usize {
        self.series.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// A run of a checkpoint that says nothing, though its checksum fits.
    fn senseless(min_t: i64, max_t: i64) -> Chunk {
        Chunk { min_t, max_t, count: 90, bytes: vec![0xff; 20].into() }
    }

    #[test]
    fn a_run_that_makes_no_sense_is_left_out_and_dropped() {
        let mut series = HeadSeries::new(1);
        series.restore(senseless(0, 90));
        (100..400).for_each(|t| series.push(Point::new(t, 1.0)));
        let bytes: std::sync::Arc<[u8]> = vec![0xff; 20].into();
        series.extra_mut().histograms.push(HistogramChunk { min_t: 0, max_t: 90, count: 90, bytes });
        let (mut floats, mut histograms) = (Vec::new(), Vec::new());
        let slice = series.slice(i64::MIN, i64::MAX);
        assert_eq!(slice.read_in_order((i64::MIN, i64::MAX), &mut floats, &mut histograms), 2);
        assert_eq!((floats.len(), histograms.len()), (300, 0));
        // What is before an instant goes, though the run cannot be taken apart.
        let mut cut = HeadSeries::new(1);
        cut.restore(senseless(0, 90));
        cut.extra_mut().histograms.clone_from(&series.extra.as_ref().unwrap().histograms);
        assert_eq!(cut.drop_before(50, &LateTimes::default()), 2);
        assert!(cut.is_empty());
        assert_eq!((series.drop_damaged(), series.drop_damaged()), (2, 0));
        assert_eq!(series.sample_count(), 300);
    }

    #[test]
    fn what_an_addition_has_stands_behind_what_its_checkpoint_has() {
        let mut series = HeadSeries::new(1);
        (0..300).for_each(|t| series.push(Point::new(t, t as f64)));
        let read = |put: &dyn Fn(&mut Vec<u8>)| {
            let (mut bytes, mut found) = (Vec::new(), HeadSeries::new(1));
            put(&mut bytes);
            crate::record::read_head(&bytes, |series| found = series).unwrap();
            found
        };
        let (reached, before) = (series.reached(), read(&|out| crate::record::put_head(out, &series)));
        let kept = Kept { floats: HeadSeries::reached_runs(reached), histograms: 0 };
        assert_eq!(kept.floats, 2);
        (300..700).for_each(|t| series.push(Point::new(t, t as f64)));
        assert!(series.reached() > reached);
        let mut bytes = Vec::new();
        crate::record::put_since(&mut bytes, &series, kept);
        let mut restored = HeadSeries::new(1);
        restored.replace_behind(Kept::default(), before);
        crate::record::read_since(&bytes, |kept, since| restored.replace_behind(kept, since)).unwrap();
        let points = |series: &HeadSeries| {
            let mut points = Vec::new();
            series.slice(i64::MIN, i64::MAX).read_in_order((i64::MIN, i64::MAX), &mut points, &mut Vec::new());
            points
        };
        assert_eq!(points(&restored), points(&series));
        assert_eq!((points(&restored).len(), restored.last()), (700, series.last()));
    }

    #[test]
    fn many_late_samples_at_once_are_kept_as_one_by_one() {
        // Two batches in order of their time, with instants that come again.
        let first: Vec<Point> = (0..40).map(|i| Point::new(i * 3, 1.0)).collect();
        let second: Vec<Point> = (0..60).map(|i| Point::new(i * 2 / 3 * 3 + i % 2, 2.0 + i as f64)).collect();
        let (mut one_by_one, mut at_once) = (HeadSeries::new(1), HeadSeries::new(1));
        for series in [&mut one_by_one, &mut at_once] {
            series.push_late_histogram(HistogramPoint { t_ms: 33, histogram: Arc::default() });
        }
        for mut batch in [first, second] {
            batch.sort_by_key(|p| p.t_ms);
            for p in &batch {
                one_by_one.push_late(*p);
            }
            at_once.push_late_all(batch.iter().copied());
        }
        let late = |series: &HeadSeries| series.extra.as_ref().unwrap().late.clone();
        assert_eq!(late(&at_once), late(&one_by_one));
        assert!(late(&at_once).len() > 50 && late(&at_once).iter().all(|p| p.t_ms != 33));
    }
}
