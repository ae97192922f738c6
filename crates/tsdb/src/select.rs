//! Reading: which series match, and their samples within a time, decoded only when asked for.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use roaring::RoaringBitmap;
use tenfold_types::{Exemplar, HistogramPoint, Labels, Matcher, Point};

use crate::{
    block::{Block, BlockReader},
    db::{State, Tsdb},
    error::TsdbError,
    head::HeadSlice,
    matcher::CompiledMatcher,
    postings::SeriesId,
    record::Tombstone,
    threads::in_parts,
};

/// A series that matched, with its samples still encoded.
pub struct SelectedSeries {
    pub labels: Arc<Labels>,
    pub chunks: SeriesChunks,
}

/// The samples of one series within one time. Holds on to what it reads from; later appends do not show.
pub struct SeriesChunks {
    id: SeriesId,
    start: i64,
    end: i64,
    /// The older block first: of two samples at one instant the first read stands.
    blocks: Vec<Arc<BlockReader>>,
    head: HeadSlice,
    deleted: Vec<Tombstone>,
    /// Told when what is in memory makes no sense.
    suspect: Arc<AtomicBool>,
}

impl SeriesChunks {
    /// Appends the float samples, oldest first.
    pub fn read(&self, out: &mut Vec<Point>) -> Result<(), TsdbError> {
        self.read_all(out, &mut Vec::new())
    }

    /// Appends the native histograms, oldest first.
    pub fn read_histograms(&self, out: &mut Vec<HistogramPoint>) -> Result<(), TsdbError> {
        self.read_all(&mut Vec::new(), out)
    }

    /// Appends both kinds, each oldest first. At one instant there is one sample: the one that came first.
    pub fn read_all(&self, floats: &mut Vec<Point>, histograms: &mut Vec<HistogramPoint>) -> Result<(), TsdbError> {
        let mut settle = Settle::new(floats, histograms);
        let span = (self.start, self.end);
        let mut ordered = true;
        for block in &self.blocks {
            let from = floats.len();
            ordered &= block.samples(self.id, span, floats, histograms)?;
            ordered &= settle.follows(floats, from);
            let deleted = self.deleted.iter().filter(|d| d.applies_to(&block.block));
            settle.source(floats, histograms, deleted);
        }
        if ordered {
            settle.ordered_so_far(floats);
        }
        if self.head.read_in_order(span, floats, histograms) > 0 {
            self.suspect.store(true, Ordering::Relaxed);
            return Err(TsdbError::DamagedRun);
        }
        settle.source(floats, histograms, self.deleted.iter());
        self.head.read_late(floats, histograms);
        settle.source(floats, histograms, self.deleted.iter());
        settle.end(floats, histograms);
        Ok(())
    }
    /// How many encoded runs reading decodes.
    pub fn chunks(&self) -> usize {
        self.blocks.len() + self.head.chunks.len() + self.head.histograms.len()
    }
}

/// Samples whose order is looked at together.
const ORDERED_AT_ONCE: usize = 64;
/// Fewer series are found sooner than another thread has begun.
const WORTH_THREADS: u64 = 4_096;

/// Puts what was appended after `from` in order, each instant once. Up to `sorted_to` it is in order.
pub(crate) fn settle<T: Clone>(list: &mut Vec<T>, from: usize, sorted_to: usize, t: impl Fn(&T) -> i64) {
    let new = &list[from.max(sorted_to.saturating_sub(1)).min(list.len())..];
    // Many at a time without a branch in between: most are in order.
    let ordered = |part: &[T]| part.iter().zip(&part[1..]).fold(true, |all, (a, b)| all & (t(a) < t(b)));
    let starts = (0..new.len().saturating_sub(1)).step_by(ORDERED_AT_ONCE);
    if !starts.into_iter().all(|at| ordered(&new[at..new.len().min(at + ORDERED_AT_ONCE + 1)])) {
        let mut tail = list.split_off(from);
        tail.sort_by_key(&t);
        tail.dedup_by_key(|p| t(p));
        list.append(&mut tail);
    }
}

/// Brings the samples of one series together that were read from several sources, the one that came first before the
/// others: each instant has one sample, of one kind.
#[derive(Default)]
pub(crate) struct Settle {
    /// Where the samples begin that concern this.
    start: (usize, usize),
    /// Where those of the source at hand begin.
    at: (usize, usize),
    /// The floats before this are in order, each instant once.
    ordered: usize,
    /// The last histogram that was read was deleted.
    after_deleted: bool,
    /// The instants of floats and of histograms up to a place, of a series that has both.
    known: (HashSet<i64>, HashSet<i64>),
    known_to: (usize, usize),
}

impl Settle {
    pub fn new(floats: &[Point], histograms: &[HistogramPoint]) -> Self {
        let start = (floats.len(), histograms.len());
        Self { start, at: start, known_to: start, ..Self::default() }
    }

    /// Whether the first float from a place on is later than the one before it.
    fn follows(&self, floats: &[Point], from: usize) -> bool {
        from <= self.start.0 || floats.get(from).is_none_or(|p| floats[from - 1].t_ms < p.t_ms)
    }

    /// The sources know that all floats up to here are in order.
    fn ordered_so_far(&mut self, floats: &[Point]) {
        self.ordered = floats.len();
    }

    /// A source was read to its end. What was `deleted` of it goes: another source may have the same instant anew.
    pub fn source<'d>(
        &mut self,
        floats: &mut Vec<Point>,
        histograms: &mut Vec<HistogramPoint>,
        deleted: impl Iterator<Item = &'d Tombstone>,
    ) {
        let deleted: Vec<(i64, i64)> = deleted.map(|d| (d.start, d.end)).collect();
        if !deleted.is_empty() || self.after_deleted {
            self.drop_deleted(floats, histograms, &deleted);
        }
        // Hardly a series has both kinds.
        if floats.len() > self.start.0 && histograms.len() > self.start.1 {
            let (from, to) = (self.known_to, self.at);
            let (of_floats, of_histograms) = &mut self.known;
            of_floats.extend(floats[from.0..to.0].iter().map(|p| p.t_ms));
            of_histograms.extend(histograms[from.1..to.1].iter().map(|h| h.t_ms));
            self.known_to = to;
            drop_from(floats, to.0, |p| of_histograms.contains(&p.t_ms));
            drop_from(histograms, to.1, |h| of_floats.contains(&h.t_ms));
        }
        self.at = (floats.len(), histograms.len());
    }

    /// Histograms that follow a deleted one say no more what happened since: the one before is another now.
    fn drop_deleted(&mut self, floats: &mut Vec<Point>, histograms: &mut Vec<HistogramPoint>, deleted: &[(i64, i64)]) {
        let gone = |t: i64| deleted.iter().any(|(start, end)| (*start..=*end).contains(&t));
        drop_from(floats, self.at.0, |p| gone(p.t_ms));
        for h in &mut histograms[self.at.1..] {
            if self.after_deleted {
                h.forget_hint();
            }
            self.after_deleted = gone(h.t_ms);
        }
        drop_from(histograms, self.at.1, |h| gone(h.t_ms));
    }

    /// All sources were read.
    pub fn end(self, floats: &mut Vec<Point>, histograms: &mut Vec<HistogramPoint>) {
        settle(floats, self.start.0, self.ordered, |p| p.t_ms);
        let from = self.start.1;
        if !histograms[from..].is_sorted_by(|a, b| a.t_ms < b.t_ms) {
            let mut tail: Vec<_> = histograms.split_off(from).into_iter().enumerate().collect();
            tail.sort_by_key(|(_, h)| h.t_ms);
            tail.dedup_by_key(|(_, h)| h.t_ms);
            let mut before = None;
            histograms.extend(tail.into_iter().map(|(i, mut h)| {
                if before.replace(i).is_some_and(|before| before + 1 != i) {
                    h.forget_hint();
                }
                h
            }));
        }
        settle(histograms, from, from, |h| h.t_ms);
    }
}

/// Drops of what stands from a place on. It is called once for each part of a list that grows: what is before is not walked.
pub(crate) fn drop_from<T>(list: &mut Vec<T>, from: usize, gone: impl Fn(&T) -> bool) {
    list.extract_if(from.., |item| gone(item)).for_each(drop);
}

/// A series with its exemplars, oldest first.
pub type SeriesExemplars = (Arc<Labels>, Vec<Exemplar>);

impl Tsdb {
    /// The series that satisfy every matcher and have samples with `start_ms <= t <= end_ms`, in no particular order.
    pub fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SelectedSeries>, TsdbError> {
        self.select_some(matchers, start_ms, end_ms, usize::MAX)
    }

    /// At most so many of them.
    pub fn select_some(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        most: usize,
    ) -> Result<Vec<SelectedSeries>, TsdbError> {
        let compiled = CompiledMatcher::all(matchers)?;
        let state = self.state.read();
        let ids = state.index.select(&compiled);
        let readers = readers(state.blocks_within(start_ms, end_ms));
        let found = state.taken(ids.iter(), &readers, (start_ms, end_ms), most);
        drop(state);
        // Descriptions of runs are read without the lock.
        narrowed(found)
    }

    /// What `make` makes of the series that [`Self::select`] finds, in the same order. Many are found on so many threads at
    /// a time, the asking one among them.
    pub fn select_on<T: Send>(
        &self,
        threads: usize,
        matchers: &[Matcher],
        (start_ms, end_ms): (i64, i64),
        make: impl Fn(SelectedSeries) -> T + Sync,
    ) -> Result<Vec<T>, TsdbError> {
        let compiled = CompiledMatcher::all(matchers)?;
        let state = self.state.read();
        let ids = state.index.select(&compiled);
        let readers = readers(state.blocks_within(start_ms, end_ms));
        let span = (start_ms, end_ms);
        let parts = if threads > 1 && ids.len() >= WORTH_THREADS {
            let ids: Vec<SeriesId> = ids.iter().collect();
            let (state, readers) = (&*state, readers.as_slice());
            let shares: Vec<&[SeriesId]> = ids.chunks(ids.len().div_ceil(threads)).collect();
            in_parts(shares, |share: &[SeriesId]| state.taken(share.iter().copied(), readers, span, usize::MAX))
        } else {
            vec![state.taken(ids.iter(), &readers, span, usize::MAX)]
        };
        drop(state);
        let made = in_parts(parts, |part| narrowed(part).map(|found| found.into_iter().map(&make).collect::<Vec<T>>()));
        let mut all = Vec::new();
        for part in made {
            let mut part = part?;
            if all.is_empty() {
                all = part;
            } else {
                all.append(&mut part);
            }
        }
        Ok(all)
    }

    /// At most so many series satisfy every matcher, as far as those tell that name a value; nothing is searched for.
    /// `None` while the store is being written to: whoever asks does not want to wait.
    pub fn series_at_most(&self, matchers: &[Matcher]) -> Option<u64> {
        Some(self.state.try_read()?.index.at_most(matchers))
    }

    /// The exemplars of every matching series with `start_ms <= t <= end_ms`, oldest first.
    pub fn exemplars(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<SeriesExemplars>, TsdbError> {
        let compiled = CompiledMatcher::all(matchers)?;
        let state = self.state.read();
        let ids = state.index.select(&compiled);
        let blocks: Vec<Arc<Block>> = state.blocks_within(start_ms, end_ms).cloned().collect();
        let mut found: std::collections::BTreeMap<SeriesId, Vec<Exemplar>> = std::collections::BTreeMap::new();
        for id in &ids {
            if let Some(slot) = state.index.slot(id) {
                let here: Vec<_> = state.head.get(slot).exemplars(start_ms, end_ms).cloned().collect();
                if !here.is_empty() {
                    found.insert(id, here);
                }
            }
        }
        drop(state);
        for block in blocks {
            for (id, exemplar) in block.exemplars()? {
                if ids.contains(id) && (start_ms..=end_ms).contains(&exemplar.t_ms) {
                    found.entry(id).or_default().push(exemplar);
                }
            }
        }
        let sorted = |mut list: Vec<Exemplar>| {
            list.sort_by_key(|e| e.t_ms);
            list.dedup();
            list
        };
        let state = self.state.read();
        let live = found.into_iter().filter(|(id, _)| state.index.is_live(*id));
        Ok(live.map(|(id, list)| (Arc::new(state.index.labels(id)), sorted(list))).collect())
    }

    /// The label sets that satisfy every matcher and have samples about the time (to the precision of a block), sorted.
    pub fn series(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<Arc<Labels>>, TsdbError> {
        let mut out = Vec::new();
        self.each_series(matchers, start_ms, end_ms, &mut |labels| {
            out.push(Arc::new(labels));
            true
        })?;
        out.sort_unstable();
        Ok(out)
    }

    /// Hands them over one by one, in no particular order, until no more is wanted. Nothing is written meanwhile: `each` only
    /// puts them somewhere.
    pub fn each_series(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        each: &mut dyn FnMut(Labels) -> bool,
    ) -> Result<(), TsdbError> {
        let compiled = CompiledMatcher::all(matchers)?;
        let state = self.state.read();
        for id in &state.active(&compiled, start_ms, end_ms) {
            if !each(state.index.labels(id)) {
                break;
            }
        }
        Ok(())
    }

    /// The names of the labels of matching series, sorted.
    pub fn label_names(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<String>, TsdbError> {
        let compiled = CompiledMatcher::all(matchers)?;
        let state = self.state.read();
        let active = state.active(&compiled, start_ms, end_ms);
        let names: BTreeSet<&str> =
            state.index.label_names().filter(|(_, ids)| !ids.is_disjoint(&active)).map(|(name, _)| name).collect();
        Ok(names.into_iter().map(Into::into).collect())
    }

    /// The values one label has on matching series, sorted.
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<String>, TsdbError> {
        let mut values = Vec::new();
        self.each_label_value(name, matchers, (start_ms, end_ms), &mut |value| {
            values.push(value.to_owned());
            true
        })?;
        values.sort_unstable();
        Ok(values)
    }

    /// Tells them one by one, in no particular order, until no more is wanted; as [`Self::each_series`].
    pub fn each_label_value(
        &self,
        name: &str,
        matchers: &[Matcher],
        (start_ms, end_ms): (i64, i64),
        each: &mut dyn FnMut(&str) -> bool,
    ) -> Result<(), TsdbError> {
        let compiled = CompiledMatcher::all(matchers)?;
        let state = self.state.read();
        let active = state.active(&compiled, start_ms, end_ms);
        for (value, ids) in state.index.label_values(name) {
            if ids.intersects(&active) && !each(value) {
                break;
            }
        }
        Ok(())
    }

    /// The newest sample of every matching series that has one in memory.
    pub fn last_samples(&self, matchers: &[Matcher]) -> Result<Vec<(Arc<Labels>, Point)>, TsdbError> {
        let compiled = CompiledMatcher::all(matchers)?;
        let state = self.state.read();
        let ids = state.index.select(&compiled);
        let deleted = |id: &SeriesId, p: &Point| {
            let list = state.tombstones.get(id);
            list.is_some_and(|list| list.iter().any(|d| (d.start..=d.end).contains(&p.t_ms)))
        };
        let last = |id| state.head.get(state.index.slot(id)?).last().filter(|p| !deleted(&id, p));
        Ok(ids.iter().filter_map(|id| Some((Arc::new(state.index.labels(id)), last(id)?))).collect())
    }
}

/// Leaves of the series those that have something within their time.
fn narrowed(mut found: Vec<SelectedSeries>) -> Result<Vec<SelectedSeries>, TsdbError> {
    let mut done = Ok(());
    found.retain_mut(|series| {
        let left = if done.is_ok() { series.chunks.narrow() } else { Ok(false) };
        left.unwrap_or_else(|error| {
            done = Err(error);
            false
        })
    });
    done.map(|()| found)
}

pub(crate) fn readers<'a>(blocks: impl Iterator<Item = &'a Arc<Block>>) -> Vec<Arc<BlockReader>> {
    let mut blocks: Vec<_> = blocks.cloned().collect();
    // In the order of time, so that what is read need not be sorted; where blocks overlap, in the order in which what they have
    // came.
    blocks.sort_by_key(|b| b.meta.min_t);
    if blocks.windows(2).any(|pair| pair[0].meta.max_t >= pair[1].meta.min_t) {
        blocks.sort_by_key(|b| (b.rank(), b.meta.number));
    }
    blocks.into_iter().map(|b| Arc::new(BlockReader::new(b))).collect()
}

impl SeriesChunks {
    /// Leaves only the blocks that have runs within the time; whether anything is left.
    fn narrow(&mut self) -> Result<bool, TsdbError> {
        let mut kept = Vec::with_capacity(self.blocks.len());
        for block in self.blocks.drain(..) {
            let meta = &block.block.meta;
            // Within a block's whole time nothing needs be looked up.
            let all = self.start <= meta.min_t && self.end >= meta.max_t;
            if all || block.overlaps(self.id, self.start, self.end)? {
                kept.push(block);
            }
        }
        self.blocks = kept;
        Ok(!self.blocks.is_empty() || !self.head.is_empty())
    }
}

impl State {
    /// What of these series may lie within the time, at most so many, in the same order.
    fn taken(
        &self,
        ids: impl Iterator<Item = SeriesId>,
        readers: &[Arc<BlockReader>],
        (start, end): (i64, i64),
        most: usize,
    ) -> Vec<SelectedSeries> {
        // As long as it can become: growing would copy, and touch, twice as much memory.
        let mut out = Vec::with_capacity(ids.size_hint().0.min(most));
        for id in ids {
            if out.len() >= most {
                break;
            }
            let head = self.head_slice(id, start, end);
            let blocks: Vec<_> = readers.iter().filter(|r| r.block.ids().contains(id)).cloned().collect();
            if head.is_empty() && blocks.is_empty() {
                continue;
            }
            let deleted = self.tombstones.get(&id).cloned().unwrap_or_default();
            let suspect = self.suspect.clone();
            let chunks = SeriesChunks { id, start, end, blocks, head, deleted, suspect };
            out.push(SelectedSeries { labels: Arc::new(self.index.labels(id)), chunks });
        }
        out
    }
    pub(crate) fn blocks_within(&self, start: i64, end: i64) -> impl Iterator<Item = &Arc<Block>> {
        self.blocks.iter().filter(move |b| b.overlaps(start, end))
    }
    pub(crate) fn head_slice(&self, id: SeriesId, start: i64, end: i64) -> HeadSlice {
        self.index.slot(id).map(|slot| self.head.get(slot).slice(start, end)).unwrap_or_default()
    }
    fn active(&self, compiled: &[CompiledMatcher], start: i64, end: i64) -> RoaringBitmap {
        let ids = if compiled.is_empty() { self.index.live().clone() } else { self.index.select(compiled) };
        if start == i64::MIN && end == i64::MAX {
            return ids;
        }
        let mut active: RoaringBitmap = ids
            .iter()
            .filter(|id| self.index.slot(*id).is_some_and(|slot| self.head.get(slot).overlaps(start, end)))
            .collect();
        for block in self.blocks_within(start, end).chain(self.rows_within(start, end)) {
            active |= block.ids() & &ids;
        }
        active
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tenfold_types::Histogram;

    use super::*;

    #[test]
    fn only_what_stands_from_a_place_on_is_dropped() {
        for (from, gone, left) in [
            (0, vec![1], vec![2, 3, 2, 3]),
            (2, vec![1, 2], vec![1, 2, 3, 3]),
            (3, vec![1, 2, 3], vec![1, 2, 3]),
            (4, vec![9], vec![1, 2, 3, 1, 2, 3]),
            (6, vec![1], vec![1, 2, 3, 1, 2, 3]),
        ] {
            let (mut list, asked) = (vec![1, 2, 3, 1, 2, 3], Cell::new(0));
            drop_from(&mut list, from, |n| {
                asked.set(asked.get() + 1);
                gone.contains(n)
            });
            assert_eq!((list, asked.get()), (left, 6 - from), "{gone:?} from {from} on");
        }
    }

    #[test]
    fn of_many_sources_the_first_sample_of_an_instant_stands_whatever_its_kind() {
        // The first float is of another series.
        let (mut floats, mut histograms) = (vec![Point::new(2, 0.0)], Vec::new());
        let mut settle = Settle::new(&floats, &histograms);
        let sources: [(&[i64], &[i64]); 4] = [(&[1], &[]), (&[3], &[1, 2]), (&[2, 4], &[3, 5]), (&[5, 6], &[4, 7])];
        for (of_floats, of_histograms) in sources {
            floats.extend(of_floats.iter().map(|t| Point::new(*t, 1.0)));
            let histogram = |t: &i64| HistogramPoint { t_ms: *t, histogram: Arc::new(Histogram::default()) };
            histograms.extend(of_histograms.iter().map(histogram));
            settle.source(&mut floats, &mut histograms, std::iter::empty());
        }
        settle.end(&mut floats, &mut histograms);
        assert_eq!(floats.iter().map(|p| p.t_ms).collect::<Vec<_>>(), [2, 1, 3, 4, 6]);
        assert_eq!(histograms.iter().map(|h| h.t_ms).collect::<Vec<_>>(), [2, 5, 7]);
    }
}
