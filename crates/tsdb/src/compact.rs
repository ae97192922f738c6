//! Merging blocks: neighbours into larger ones, late samples into the block of their time, deletions into the data, and
//! what is left of a damaged block into a whole one.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use roaring::RoaringBitmap;

use crate::{
    block::{Block, BlockReader, BlockWriter},
    db::Tsdb,
    error::TsdbError,
    maintain::LOCKED_SERIES_MAX,
    postings::SeriesId,
    select::{Settle, readers},
};

/// Merged blocks are written once and read often: more effort.
const MERGE_LEVEL: usize = 8;
/// Each size of block is this many times the one before.
const GROWTH: [i64; 4] = [1, 4, 3, 3];
/// Beside a block of its whole time what came late waits until it is this part of that block's bytes, is more blocks than
/// so many, or has waited as long as so many of the smallest blocks are: twelve hours.
const APART_PART: u64 = 10;
const APART_BLOCKS_MAX: usize = 32;
const APART_WAIT_BLOCKS: u64 = 6;

/// A stretch of time and the blocks in it.
type Merge = ((i64, i64), Vec<Arc<Block>>);

impl Tsdb {
    /// Merges wherever several blocks lie within one closed stretch of time. How many blocks went into others.
    pub(crate) fn merge_blocks(&self, now_ms: i64) -> Result<usize, TsdbError> {
        let all = self.has_waited(now_ms) || self.are_many_apart();
        let mut count = 0;
        while let Some((span, inputs)) = self.next_merge(all) {
            // Each takes minutes, and senders whose samples wait for blocks would be refused meanwhile.
            if count > 0 && self.is_pressed() && !self.are_many_apart() {
                return Ok(count);
            }
            match self.rewrite(span, &inputs, false) {
                Ok(()) => count += inputs.len(),
                // Marked; the next maintenance sets it aside.
                Err(TsdbError::Damaged { .. }) => return Ok(count),
                Err(e) => return Err(e),
            }
        }
        let is_any_left = self.next_merge(true).is_some();
        let mut state = self.state.write();
        let since = state.apart_since.unwrap_or(now_ms);
        state.apart_since = is_any_left.then_some(since);
        Ok(count)
    }

    /// Whether the first of the blocks that wait beside larger ones has done so for long.
    fn has_waited(&self, now_ms: i64) -> bool {
        let mut state = self.state.write();
        let Some(since) = state.apart_since else { return false };
        // Where the clock was set back it waits from then on: not for the old time to come again.
        let since = since.min(now_ms);
        state.apart_since = Some(since);
        now_ms.abs_diff(since) >= self.options.block_ms.unsigned_abs().saturating_mul(APART_WAIT_BLOCKS)
    }

    /// The next stretch whose blocks are to be one; with `all` also where few came late beside a block of all of it.
    fn next_merge(&self, all: bool) -> Option<Merge> {
        let state = self.state.read();
        let longest = self.options.block_ms_max.min(self.options.retention_ms / 8).max(self.options.block_ms);
        let mut size = self.options.block_ms;
        for growth in GROWTH {
            size = size.saturating_mul(growth);
            if size > longest {
                break;
            }
            let mut stretches: BTreeMap<i64, Vec<&Arc<Block>>> = BTreeMap::new();
            for block in &state.blocks {
                let start = block.meta.start_t.div_euclid(size) * size;
                // Within no other stretch than that where it begins; within none when it is longer.
                if block.meta.end_t <= start + size {
                    stretches.entry(start).or_default().push(block);
                }
            }
            let at_once = all || size == self.options.block_ms;
            let due = stretches.into_iter().find(|(start, inputs)| {
                inputs.len() > 1
                    && start + size <= state.min_valid_t
                    && (at_once || are_worth_it(inputs, size))
                    && inputs.iter().all(|b| !b.is_damaged())
            });
            if let Some((start, inputs)) = due {
                return Some(((start, start + size), inputs.into_iter().cloned().collect()));
            }
        }
        None
    }

    /// Writes a block anew when samples of it were deleted; at most one each time.
    pub(crate) fn rewrite_deleted(&self) -> Result<usize, TsdbError> {
        let found = {
            let state = self.state.read();
            let affected = |b: &&Arc<Block>| {
                !b.is_damaged()
                    && state
                        .tombstones
                        .iter()
                        .any(|(id, list)| b.ids().contains(*id) && list.iter().any(|t| t.applies_to(b)))
            };
            state.blocks.iter().find(affected).cloned()
        };
        let Some(block) = found else { return Ok(0) };
        match self.rewrite((block.meta.start_t, block.meta.end_t), &[block], false) {
            Err(TsdbError::Damaged { .. }) => Ok(0),
            done => done.map(|()| 1),
        }
    }

    /// Writes what can be read of a damaged block anew, in its place. The file itself stays for the caller to remove.
    pub(crate) fn salvage(&self, block: &Arc<Block>) -> Result<(), TsdbError> {
        self.rewrite((block.meta.start_t, block.meta.end_t), std::slice::from_ref(block), true)
    }

    fn rewrite(&self, span: (i64, i64), inputs: &[Arc<Block>], salvage: bool) -> Result<(), TsdbError> {
        let number = self.next_block.fetch_add(1, Ordering::Relaxed);
        let dir = self.dir.join("blocks");
        let mut writer = BlockWriter::create(&*self.fs, &dir, span, number, MERGE_LEVEL)?;
        if let Err(e) = self.copy_rows(&mut writer, inputs, salvage) {
            writer.abandon()?;
            return Err(e);
        }
        self.put_labels(&mut writer);
        let mut sources: Vec<u64> = inputs.iter().map(|b| b.meta.number).collect();
        let first = inputs.iter().map(|b| b.rank()).min().filter(|first| !sources.contains(first));
        sources.extend(first);
        let output = writer.finish(&sources)?;
        {
            let mut state = self.state.write();
            state.blocks.retain(|b| !sources.contains(&b.meta.number));
            state.blocks.extend(output.map(Arc::new));
            state.blocks.sort_by_key(|b| (b.meta.min_t, b.meta.number));
        }
        if salvage { Ok(()) } else { self.remove_blocks(inputs.iter()) }
    }

    fn copy_rows(&self, writer: &mut BlockWriter<'_>, inputs: &[Arc<Block>], salvage: bool) -> Result<(), TsdbError> {
        let readers = readers(inputs.iter());
        let all: RoaringBitmap = inputs.iter().fold(RoaringBitmap::new(), |all, b| all | b.ids());
        let (order, deleted) = {
            let state = self.state.read();
            let mut order: Vec<_> = all.iter().map(|id| state.index.block_order(id)).collect();
            order.sort_unstable();
            (order, state.tombstones.clone())
        };
        let (mut floats, mut histograms) = (Vec::new(), Vec::new());
        for part in order.chunks(LOCKED_SERIES_MAX) {
            for (_, id) in part {
                floats.clear();
                histograms.clear();
                let mut settle = Settle::default();
                let deleted = deleted.get(id).map_or(&[][..], Vec::as_slice);
                for reader in &readers {
                    read_or_skip(reader, *id, &mut floats, &mut histograms, salvage)?;
                    let deleted = deleted.iter().filter(|d| d.applies_to(&reader.block));
                    settle.source(&mut floats, &mut histograms, deleted);
                }
                settle.end(&mut floats, &mut histograms);
                writer.add(*id, &floats, &histograms)?;
            }
        }
        for block in inputs {
            match block.exemplars() {
                Ok(list) => {
                    for (id, e) in &list {
                        writer.add_exemplar(*id, e);
                    }
                }
                Err(TsdbError::Damaged { .. }) if salvage => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// Whether the blocks of a stretch are worth writing the largest anew, where that is of all of it: a host that is ever behind
/// would have it written with each block of its own.
fn are_worth_it(blocks: &[&Arc<Block>], size: i64) -> bool {
    let of_all = blocks.iter().filter(|b| b.meta.end_t - b.meta.start_t == size);
    let Some(whole) = of_all.map(|b| b.bytes).max() else { return true };
    let beside = blocks.iter().map(|b| b.bytes).sum::<u64>() - whole;
    blocks.len() - 1 > APART_BLOCKS_MAX || beside.saturating_mul(APART_PART) >= whole
}

/// A series whose bytes are damaged keeps what was read before the damage, when only the whole is to be saved.
fn read_or_skip(
    reader: &BlockReader,
    id: SeriesId,
    floats: &mut Vec<tenfold_types::Point>,
    histograms: &mut Vec<tenfold_types::HistogramPoint>,
    salvage: bool,
) -> Result<(), TsdbError> {
    match reader.samples(id, (i64::MIN, i64::MAX), floats, histograms) {
        Err(TsdbError::Damaged { .. }) if salvage => Ok(()),
        other => other.map(drop),
    }
}
