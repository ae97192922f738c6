//! Reading: which series match, and their samples within a time, decoded only when asked for.

use std::{collections::BTreeSet, sync::Arc};

use tenfold_types::{Exemplar, HistogramPoint, Labels, Matcher, Point};

use crate::{
    block::{Block, ChunkRef},
    chunk::Chunk,
    db::{State, Tsdb},
    error::TsdbError,
    matcher::CompiledMatcher,
    postings::SeriesId,
};

/// A series that matched, with its samples still encoded.
pub struct SelectedSeries {
    pub labels: Arc<Labels>,
    pub chunks: SeriesChunks,
}

/// The samples of one series within one time. Holds on to what it reads from; later appends do not show.
pub struct SeriesChunks {
    start: i64,
    end: i64,
    blocks: Vec<(Arc<Block>, Vec<ChunkRef>)>,
    sealed: Vec<Chunk>,
    open: Vec<Point>,
    histograms: Vec<HistogramPoint>,
}

impl SeriesChunks {
    /// Appends the native histograms, oldest first.
    pub fn read_histograms(&self, out: &mut Vec<HistogramPoint>) -> Result<(), TsdbError> {
        out.extend_from_slice(&self.histograms);
        Ok(())
    }
    /// Appends the samples, oldest first.
    pub fn read(&self, out: &mut Vec<Point>) -> Result<(), TsdbError> {
        for (block, refs) in &self.blocks {
            for chunk in refs {
                block.read(chunk, self.start, self.end, out)?;
            }
        }
        for chunk in &self.sealed {
            chunk.decode_range(self.start, self.end, out).expect("chunks in memory were encoded by this process");
        }
        out.extend_from_slice(&self.open);
        Ok(())
    }
    fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.sealed.is_empty() && self.open.is_empty() && self.histograms.is_empty()
    }
}

impl Tsdb {
    /// The series that satisfy every matcher and have samples with `start_ms <= t <= end_ms`, in no particular order.
    pub fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SelectedSeries>, TsdbError> {
        let compiled = CompiledMatcher::all(matchers)?;
        let state = self.state.read();
        let blocks: Vec<&Arc<Block>> = state.blocks_within(start_ms, end_ms).collect();
        let mut out = Vec::new();
        for id in state.index.select(&compiled) {
            let chunks = state.chunks(id, &blocks, start_ms, end_ms);
            if !chunks.is_empty() {
                out.push(SelectedSeries { labels: state.labels(id), chunks });
            }
        }
        Ok(out)
    }

    /// The exemplars of every matching series with `start_ms <= t <= end_ms`, oldest first.
    pub fn exemplars(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<(Arc<Labels>, Vec<Exemplar>)>, TsdbError> {
        let compiled = CompiledMatcher::all(matchers)?;
        let state = self.state.read();
        let mut out = Vec::new();
        for id in state.index.select(&compiled) {
            let Some((_, exemplars)) = state.extras.get(&id) else { continue };
            let found: Vec<_> = exemplars.iter().filter(|e| (start_ms..=end_ms).contains(&e.t_ms)).cloned().collect();
            if !found.is_empty() {
                out.push((state.labels(id), found));
            }
        }
        Ok(out)
    }

    /// The label sets that satisfy every matcher and have samples about the time (to the precision of a chunk), sorted.
    pub fn series(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<Arc<Labels>>, TsdbError> {
        let compiled = CompiledMatcher::all(matchers)?;
        let state = self.state.read();
        let mut out: Vec<_> =
            state.active(&compiled, start_ms, end_ms).into_iter().map(|id| state.labels(id)).collect();
        drop(state);
        out.sort_unstable();
        Ok(out)
    }

    /// The names of the labels of matching series, sorted.
    pub fn label_names(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<String>, TsdbError> {
        let compiled = CompiledMatcher::all(matchers)?;
        let state = self.state.read();
        if compiled.is_empty() && start_ms == i64::MIN && end_ms == i64::MAX {
            return Ok(state.index.label_names().map(Into::into).collect());
        }
        let mut names = BTreeSet::new();
        for id in state.active(&compiled, start_ms, end_ms) {
            for (name, _) in state.labels(id).iter() {
                if !names.contains(name) {
                    names.insert(name.to_string());
                }
            }
        }
        Ok(names.into_iter().collect())
    }

    /// The values one label has on matching series, sorted.
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<String>, TsdbError> {
        let compiled = CompiledMatcher::all(matchers)?;
        let state = self.state.read();
        let blocks: Vec<&Arc<Block>> = state.blocks_within(start_ms, end_ms).collect();
        let wanted = (!compiled.is_empty()).then(|| state.index.select(&compiled));
        let live = |id: &SeriesId| {
            wanted.as_ref().is_none_or(|w| w.binary_search(id).is_ok())
                && state.has_data(*id, &blocks, start_ms, end_ms)
        };
        Ok(state.index.label_values(name).filter(|(_, ids)| ids.iter().any(live)).map(|(v, _)| v.into()).collect())
    }

    /// The newest sample of every matching series that has one in memory or had one since the start.
    pub fn last_samples(&self, matchers: &[Matcher]) -> Result<Vec<(Arc<Labels>, Point)>, TsdbError> {
        let compiled = CompiledMatcher::all(matchers)?;
        let state = self.state.read();
        let ids = state.index.select(&compiled);
        Ok(ids
            .into_iter()
            .filter_map(|id| Some((state.labels(id), state.head[id as usize].last()?)))
            .filter(|(_, p)| !p.value.is_nan() || p.value.to_bits() != NOT_READ_BITS)
            .collect())
    }
}

/// Stands for a newest sample of which only the instant is known (it lies in a block); never written anywhere.
pub(crate) const NOT_READ_BITS: u64 = 0x7ff0_0000_0000_0b10;

impl State {
    pub(crate) fn labels(&self, id: SeriesId) -> Arc<Labels> {
        self.index.labels(id).expect("selected series have labels").clone()
    }
    fn blocks_within(&self, start: i64, end: i64) -> impl Iterator<Item = &Arc<Block>> {
        self.blocks.iter().filter(move |b| b.min_t <= end && b.max_t >= start)
    }
    fn has_data(&self, id: SeriesId, blocks: &[&Arc<Block>], start: i64, end: i64) -> bool {
        self.head[id as usize].overlaps(start, end)
            || blocks.iter().any(|b| b.chunks_of(id).iter().any(|c| c.min_t <= end && c.max_t >= start))
    }
    fn active(&self, compiled: &[CompiledMatcher], start: i64, end: i64) -> Vec<SeriesId> {
        let blocks: Vec<&Arc<Block>> = self.blocks_within(start, end).collect();
        let mut ids = self.index.select(compiled);
        ids.retain(|id| self.has_data(*id, &blocks, start, end));
        ids
    }
    fn chunks(&self, id: SeriesId, blocks: &[&Arc<Block>], start: i64, end: i64) -> SeriesChunks {
        let mut from_blocks = Vec::new();
        for block in blocks {
            let refs: Vec<ChunkRef> =
                block.chunks_of(id).iter().filter(|c| c.min_t <= end && c.max_t >= start).copied().collect();
            if !refs.is_empty() {
                from_blocks.push((Arc::clone(block), refs));
            }
        }
        let (sealed, open) = self.head[id as usize].slice(start, end);
        let extra = self.extras.get(&id);
        let histograms = extra.map(|e| e.0.iter().filter(|h| (start..=end).contains(&h.t_ms)).cloned().collect());
        SeriesChunks { start, end, blocks: from_blocks, sealed, open, histograms: histograms.unwrap_or_default() }
    }
}
