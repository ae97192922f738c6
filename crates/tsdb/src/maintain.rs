//! What the owner calls now and then: cut old head data into blocks, merge blocks, drop what is past the retention or
//! damaged, shorten the log.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use roaring::RoaringBitmap;
use serde::Serialize;

use crate::{
    block::{Block, BlockWriter},
    db::{State, Tsdb, quarantine},
    error::{FLUSH_NAMES, TsdbError},
    head::{HeadSeries, LateTimes},
    open::copy_aside,
    options::Options,
    postings::SeriesId,
    record::Tombstone,
    select::Settle,
};

/// Series handled under one hold of the lock: appends wait for no more than that.
pub(crate) const LOCKED_SERIES_MAX: usize = 1024;
/// Where there are so many blocks that were not merged yet they are also while more come that would be merged into the same.
const BLOCKS_APART_MAX: usize = 256;
/// In the room for time that is held open a series counts as this part of what it may have at least: where many end they have
/// few samples each.
const HELD_LEAST_PART: usize = 4;
/// Effort of compression when a block is cut; merging takes more, once.
pub(crate) const CUT_LEVEL: usize = 4;

/// What one maintenance did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MaintainReport {
    pub blocks_written: usize,
    /// Blocks that were merged or written anew without deleted samples.
    pub blocks_merged: usize,
    pub blocks_dropped: usize,
    pub series_forgotten: usize,
    pub checkpointed: bool,
    /// Damaged blocks, moved aside; what could still be read of them was written anew.
    pub quarantined: Vec<PathBuf>,
    /// Runs of samples in memory that made no sense, dropped: a checkpoint's bytes are vouched for by a checksum alone.
    pub damaged_runs: u64,
}

/// What one series gives to a block.
struct CutRow {
    slot: u32,
    late: LateTimes,
}

impl Tsdb {
    /// Cuts every whole block of time that ended more than half a block before `now_ms`, unless samples in order still come for
    /// it, merges blocks and applies the retention (in size to what the last call left). Appends and queries go on meanwhile.
    /// To be called once a minute, and when [`Tsdb::is_pressed`].
    pub fn maintain(&self, now_ms: i64) -> Result<MaintainReport, TsdbError> {
        let _one_at_a_time = self.maintenance.lock();
        if self.fenced.load(Ordering::Acquire) {
            return Err(TsdbError::Fenced);
        }
        self.fencing(self.maintain_all(now_ms))
    }

    fn maintain_all(&self, now_ms: i64) -> Result<MaintainReport, TsdbError> {
        let mut report = MaintainReport::default();
        // What needs no room comes first: with a full disk the rest may fail each time.
        self.drop_too_large(&mut report)?;
        self.drop_too_old_with_rows(now_ms, &mut report)?;
        self.mark_created(now_ms)?;
        let damaged_before = self.damaged_runs.load(Ordering::Relaxed);
        let pressed = self.is_pressed();
        let cut = {
            let _base = self.base.lock();
            self.drop_damaged_runs();
            self.cut_closed(now_ms, true, &mut report)
        };
        report.damaged_runs = self.damaged_runs.load(Ordering::Relaxed) - damaged_before;
        let cut = cut?;
        self.drop_blocks(now_ms, &mut report)?;
        // Merging takes minutes: others may shorten the log meanwhile. A block that the disk cannot read any more must not
        // keep it from being shortened here.
        let rewritten = self.rewrite_blocks(now_ms, pressed, &mut report);
        if rewritten.as_ref().is_err_and(TsdbError::is_names_lost) {
            // A block that was to go may come back with the power: what was deleted of it is not forgotten.
            return rewritten.map(|()| report);
        }
        let mut base = self.base.lock();
        let changed = report.blocks_written + report.blocks_merged + report.blocks_dropped > 0;
        if cut || changed {
            report.series_forgotten = self.forget_series();
            self.checkpoint_due.store(true, Ordering::Relaxed);
        }
        let half = self.checkpoint_bytes.load(Ordering::Relaxed) / 2;
        // Where it fails each time nothing is written each time.
        let failed_and_long = rewritten.is_err() && self.state.read().wal.replay_bytes() > half;
        if self.checkpoint_due.load(Ordering::Relaxed) || failed_and_long || self.is_log_long() {
            self.write_down(&mut base)?;
            report.checkpointed = true;
        }
        rewritten.map(|()| report)
    }

    fn rewrite_blocks(&self, now_ms: i64, pressed: bool, report: &mut MaintainReport) -> Result<(), TsdbError> {
        // While many samples come for closed time, what is merged now would be merged again soon.
        if !pressed || self.are_many_apart() {
            report.blocks_merged += self.merge_blocks(now_ms)?;
        }
        report.blocks_merged += self.rewrite_deleted()?;
        report.blocks_written += self.write_coarse(now_ms)?;
        report.blocks_merged += self.rewrite_deleted_rows()?;
        Ok(())
    }

    /// Whether merging cannot be put off. Those that were merged do not count: years have hundreds of them.
    pub(crate) fn are_many_apart(&self) -> bool {
        let state = self.state.read();
        let apart = |b: &&Arc<Block>| b.meta.end_t - b.meta.start_t <= self.options.block_ms;
        state.blocks.iter().filter(apart).count() > BLOCKS_APART_MAX
    }

    /// Cuts every block of time that is over, and what came late for it; whether there was any. With `hold` time stays open
    /// while samples in order come for it, and late ones may wait for more.
    pub(crate) fn cut_closed(&self, now_ms: i64, hold: bool, report: &mut MaintainReport) -> Result<bool, TsdbError> {
        let mut cut = false;
        while let Some((start, end)) = self.close_next(now_ms, hold) {
            cut = true;
            report.blocks_written += usize::from(self.cut(start, end, true)?);
        }
        if hold {
            let mut state = self.state.write();
            (state.came_from, state.looked_ms) = (i64::MAX, now_ms);
        }
        // What came before an import stands, so that it is in a block before that.
        if self.is_late_due(now_ms, cut || !hold) {
            cut = true;
            report.blocks_written += self.cut_late()?;
            self.state.write().late_since = None;
        }
        Ok(cut)
    }

    /// Whether so many samples of closed time wait for their blocks that maintenance is due.
    pub fn is_pressed(&self) -> bool {
        self.behind.load(Ordering::Relaxed) > self.options.behind_samples_max / 2
    }

    /// Whether samples that came late for closed time get blocks now: beside others that are cut, when they are many, or when
    /// they have waited as long as a block is. Each by itself would make a block a minute, and merge it.
    fn is_late_due(&self, now_ms: i64, cut: bool) -> bool {
        let behind = {
            let state = self.state.read();
            let behind = state.behind();
            self.behind.store(behind, Ordering::Relaxed);
            behind
        };
        let mut state = self.state.write();
        if behind == 0 {
            state.late_since = None;
            return false;
        }
        let since = *state.late_since.get_or_insert(now_ms);
        cut || self.is_pressed() || since.abs_diff(now_ms) >= self.options.block_ms.unsigned_abs()
    }

    /// Drops runs in memory that make no sense, when somebody met one.
    fn drop_damaged_runs(&self) {
        let suspect = self.state.read().suspect.clone();
        if !suspect.swap(false, Ordering::Relaxed) {
            return;
        }
        let end = self.state.read().head.end();
        for from in (0..end).step_by(LOCKED_SERIES_MAX) {
            let mut state = self.state.write();
            state.shrunk += 1;
            let slots = from..end.min(from + LOCKED_SERIES_MAX as u32);
            let dropped: usize = slots.map(|slot| state.head.get_mut(slot).drop_damaged()).sum();
            self.damaged_runs.fetch_add(dropped as u64, Ordering::Relaxed);
        }
        self.checkpoint_due.store(true, Ordering::Relaxed);
    }

    /// Closes the time of the next block to be cut; which that is.
    fn close_next(&self, now_ms: i64, hold: bool) -> Option<(i64, i64)> {
        let block = self.options.block_ms;
        let hold = {
            let state = self.state.read();
            let hold = hold && state.is_held(&self.options);
            // Mostly there is none, and queries need not wait.
            state.next_cut(block, now_ms, hold)?;
            hold
        };
        let mut state = self.state.write();
        // Looked for anew: a sender that was away may bring what is older, and would lose it to a block that begins later.
        let (start, end) = state.next_cut(block, now_ms, hold)?;
        state.min_valid_t = state.min_valid_t.max(end);
        Some((start, end))
    }

    /// Writes one block of head data; whether there was any. In `order` means all samples, else only those come late.
    fn cut(&self, start: i64, end: i64, order: bool) -> Result<bool, TsdbError> {
        let number = self.next_block.fetch_add(1, Ordering::Relaxed);
        let dir = self.dir.join("blocks");
        let mut writer = BlockWriter::create(&*self.fs, &dir, (start, end), number, CUT_LEVEL)?;
        let mut slots = Vec::new();
        {
            let state = self.state.read();
            for slot in 0..state.head.end() {
                let series = state.head.get(slot);
                // An exemplar may lie where its series has no sample.
                let exemplars = order && series.exemplars(start, end - 1).next().is_some();
                if series.id != SeriesId::MAX && (series.overlaps(start, end - 1) || exemplars) {
                    slots.push((state.index.block_order(series.id), slot));
                }
            }
        }
        slots.sort_unstable();
        let mut written = Vec::with_capacity(slots.len());
        for part in slots.chunks(LOCKED_SERIES_MAX) {
            let part = part.iter().map(|(_, slot)| *slot);
            if let Err(e) = self.cut_part(&mut writer, part, (start, end - 1), order, &mut written) {
                // A full disk gets back what it holds of this.
                writer.abandon()?;
                return Err(e);
            }
        }
        self.put_labels(&mut writer);
        let block = writer.finish(&[])?;
        // Without a block everything of this time was deleted, and leaves the memory all the same.
        let any = block.is_some();
        if let Some(block) = block {
            self.state.write().take_block(Arc::new(block));
        }
        // Until a series is done its samples stand in both places, which reading allows for.
        for part in written.chunks(LOCKED_SERIES_MAX) {
            let mut state = self.state.write();
            for row in part {
                state.drop_before(row.slot, if order { end } else { i64::MIN }, &row.late);
            }
        }
        Ok(any)
    }

    fn cut_part(
        &self,
        writer: &mut BlockWriter<'_>,
        slots: impl Iterator<Item = u32>,
        (start, end): (i64, i64),
        order: bool,
        written: &mut Vec<CutRow>,
    ) -> Result<(), TsdbError> {
        let state = self.state.read();
        let mut copied = Vec::with_capacity(LOCKED_SERIES_MAX);
        for slot in slots {
            let series = state.head.get(slot);
            let exemplars: Vec<_> = if order { series.exemplars(start, end).cloned().collect() } else { Vec::new() };
            let deleted = state.tombstones.get(&series.id).cloned().unwrap_or_default();
            copied.push((slot, series.id, series.slice(start, end), exemplars, deleted));
        }
        drop(state);
        let (mut floats, mut histograms) = (Vec::new(), Vec::new());
        for (slot, id, slice, exemplars, deleted) in copied {
            floats.clear();
            histograms.clear();
            let mut settle = Settle::default();
            if order {
                let damaged = slice.read_in_order((start, end), &mut floats, &mut histograms);
                self.damaged_runs.fetch_add(damaged as u64, Ordering::Relaxed);
                settle.source(&mut floats, &mut histograms, deleted.iter());
            }
            slice.read_late(&mut floats, &mut histograms);
            settle.source(&mut floats, &mut histograms, deleted.iter());
            settle.end(&mut floats, &mut histograms);
            writer.add(id, &floats, &histograms)?;
            for e in &exemplars {
                writer.add_exemplar(id, e);
            }
            written.push(CutRow { slot, late: LateTimes::of(&slice) });
        }
        Ok(())
    }

    /// Gives blocks of their own to samples that came late for time already cut. It goes through that time once: what comes
    /// meanwhile for what it has passed waits for the next maintenance, or while senders go on this would not end.
    fn cut_late(&self) -> Result<usize, TsdbError> {
        let (mut count, mut from) = (0, i64::MIN);
        loop {
            let (oldest, closed) = {
                let state = self.state.read();
                let late = state.head.iter().filter_map(|series| series.oldest_late_from(from));
                (late.min(), state.min_valid_t)
            };
            let Some(oldest) = oldest.filter(|t| *t < closed) else { return Ok(count) };
            let start = oldest.div_euclid(self.options.block_ms) * self.options.block_ms;
            // Not beyond what is closed, also where blocks had another length once: a start takes the end of the last block
            // for the end of closed time.
            let end = (start + self.options.block_ms).min(closed);
            self.make_again(std::iter::once(start))?;
            count += usize::from(self.cut(start, end, false)?);
            from = end;
            // Senders wait for this room.
            let state = self.state.read();
            self.behind.store(state.behind(), Ordering::Relaxed);
        }
    }

    /// Repeats the label sets of the writer's series in its block.
    pub(crate) fn put_labels(&self, writer: &mut BlockWriter<'_>) {
        let ids = writer.ids().to_vec();
        for part in ids.chunks(LOCKED_SERIES_MAX) {
            let state = self.state.read();
            for id in part {
                writer.add_labels(*id, state.index.texts(*id));
            }
        }
    }

    /// Sets damaged blocks aside, and drops those that are too old.
    fn drop_blocks(&self, now_ms: i64, report: &mut MaintainReport) -> Result<(), TsdbError> {
        let rows: Vec<Arc<Block>> =
            self.state.read().coarse.iter().flatten().filter(|b| b.is_damaged()).cloned().collect();
        self.make_days_again(rows.iter().map(|b| b.meta.start_t))?;
        for block in rows {
            self.state.write().coarse.iter_mut().for_each(|list| list.retain(|b| b.meta.number != block.meta.number));
            report.quarantined.push(quarantine(&*self.fs, &self.dir, &block.path)?);
            report.blocks_dropped += 1;
        }
        let damaged: Vec<Arc<Block>> = self.state.read().blocks.iter().filter(|b| b.is_damaged()).cloned().collect();
        for block in damaged {
            report.quarantined.push(self.set_aside(&block)?);
            report.blocks_dropped += 1;
        }
        self.drop_too_old(now_ms, report)
    }

    /// Moves a damaged block to the quarantine, and writes anew what can be read of it.
    fn set_aside(&self, block: &Arc<Block>) -> Result<PathBuf, TsdbError> {
        let Ok(aside) = copy_aside(&*self.fs, &self.dir, &block.path) else {
            // A file system without second names.
            self.salvage(block)?;
            return quarantine(&*self.fs, &self.dir, &block.path);
        };
        // First of all: a start that finds the new block removes what that replaces.
        for dir in aside.parent().into_iter().chain([self.dir.as_path()]) {
            self.fs.sync_dir(dir).map_err(TsdbError::io(FLUSH_NAMES, dir))?;
        }
        self.salvage(block)?;
        self.remove_blocks(std::iter::once(block))?;
        Ok(aside)
    }

    /// Forgets series that have no sample left, and gives back their places.
    pub(crate) fn forget_series(&self) -> usize {
        let mut state = self.state.write();
        let state = &mut *state;
        state.shrunk += 1;
        let mut keep = RoaringBitmap::new();
        for slot in 0..state.head.end() {
            let series = state.head.get(slot);
            if series.id == SeriesId::MAX {
                continue;
            }
            if series.is_empty() {
                state.index.set_slot(series.id, crate::entries::NO_SLOT);
                state.head.remove(slot);
            } else {
                keep.insert(series.id);
            }
        }
        for block in state.all_blocks() {
            keep |= block.ids();
        }
        state.forget_tombstones();
        let count = state.index.retain(&keep);
        let index = &state.index;
        state.unlogged.retain(|id| index.is_live(*id));
        count
    }
}

impl State {
    /// The time of the oldest block that is to be cut; with `hold`, unless samples in order still come for it.
    fn next_cut(&self, block_ms: i64, now_ms: i64, hold: bool) -> Option<(i64, i64)> {
        let oldest = self.head.iter().filter_map(HeadSeries::oldest_to_cut).min()?;
        let start = oldest.div_euclid(block_ms) * block_ms;
        let end = start + block_ms;
        let waits = (hold && end > self.came_from) || end + block_ms / 2 > now_ms;
        // Where a block of closed time could not be written it comes before any that ends later: by those a start judges what
        // of the log is in blocks.
        let is_closed = end <= self.min_valid_t;
        (is_closed || !waits).then_some((start, end))
    }

    /// Whether samples in order came for time that was over when a maintenance last looked, and there is room for more. What
    /// comes afterwards for closed time costs more, in memory and by merging.
    fn is_held(&self, o: &Options) -> bool {
        let is_behind = self.came_from < self.looked_ms.saturating_sub(o.block_ms / 2);
        // Series that ended stay in memory as long: they must not be what new ones find no room for.
        if !is_behind || self.head.used() > o.series_max / 2 {
            return false;
        }
        // Nor do they make room: a sender that is slower than the time would hold all that ended since for ever.
        let (lately, next) = (self.looked_ms - o.block_ms, self.came_from..self.came_from + o.block_ms);
        let goes_on = |s: &&HeadSeries| s.last_t().is_some_and(|t| t >= lately || next.contains(&t));
        let most = o.held_samples_per_series_max;
        let room = self.head.iter().filter(goes_on).count().saturating_mul(most);
        let counts = self.head.iter().map(HeadSeries::sample_count).filter(|count| *count > 0);
        counts.map(|count| count.max(most / HELD_LEAST_PART)).sum::<usize>() <= room
    }

    /// Late samples of closed time in memory; a native histogram counts as several.
    pub(crate) fn behind(&self) -> usize {
        self.head.iter().map(|series| series.late_before(self.min_valid_t)).sum()
    }

    fn drop_before(&mut self, slot: u32, t_ms: i64, written: &LateTimes) {
        self.shrunk += 1;
        let series = self.head.get_mut(slot);
        let exemplars = |s: &HeadSeries| s.extra.as_ref().map_or(0, |e| e.exemplars.len());
        let before = exemplars(series);
        // Runs that make no sense were counted when they were to be written.
        let _counted = series.drop_before(t_ms, written);
        let after = exemplars(series);
        self.exemplars = self.exemplars.saturating_sub(before - after);
    }

    /// Forgets deletions that nothing older than them is left for.
    fn forget_tombstones(&mut self) {
        if self.tombstones.is_empty() {
            return;
        }
        let mut tombstones = std::mem::take(&mut self.tombstones);
        let head_min = self.head.iter().filter_map(HeadSeries::oldest_t).min().unwrap_or(i64::MAX);
        let needed = |id: SeriesId, t: &Tombstone| {
            let samples = || self.blocks.iter().any(|b| t.applies_to(b) && b.ids().contains(id));
            head_min <= t.end || samples() || self.has_rows_of(id, t)
        };
        tombstones.retain(|id, list| {
            list.retain(|t| needed(*id, t));
            !list.is_empty()
        });
        self.tombstones = tombstones;
    }
}

impl Tombstone {
    /// Whether the block may still hold samples that this deleted. Those that were imported since are not of them.
    pub(crate) fn applies_to(&self, block: &Block) -> bool {
        block.meta.number < self.block && block.overlaps(self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use tenfold_types::Labels;

    use super::HeadSeries;
    use crate::{Options, Sample, Tsdb};

    #[test]
    fn nothing_older_than_a_block_comes_to_its_closed_time_in_order() {
        for _ in 0..30 {
            let dir = tempfile::tempdir().unwrap();
            let (db, _) = Tsdb::open(dir.path(), Options { block_ms: 1000, ..Options::default() }).unwrap();
            let (start, _) = std::thread::scope(|scope| {
                scope.spawn(|| {
                    // Each series is older than all before it.
                    for n in 0..400_i64 {
                        let labels = Labels::from_pairs([("__name__", "m".to_owned()), ("n", n.to_string())]);
                        let report = db.append(&[Sample::new(labels, 1_000_000 - n * 1000, 1.0)]).unwrap();
                        assert_eq!(report.appended, 1);
                    }
                });
                loop {
                    if let Some(closed) = db.close_next(2_000_000, false) {
                        break closed;
                    }
                }
            });
            let oldest = db.state.read().head.iter().filter_map(HeadSeries::min_t).min();
            assert!(oldest >= Some(start), "{oldest:?} is older than the block from {start} on");
        }
    }
}
