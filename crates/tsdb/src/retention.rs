//! What is dropped for its age or for the room it takes, always by whole blocks and the oldest first.

use std::sync::{Arc, atomic::Ordering};

use crate::{
    block::Block,
    coarse::DAY_MS,
    db::{State, Tsdb},
    error::TsdbError,
    maintain::MaintainReport,
};

impl Tsdb {
    /// Drops blocks that are past the retention, which needs no room either.
    pub(crate) fn drop_too_old(&self, now_ms: i64, report: &mut MaintainReport) -> Result<(), TsdbError> {
        let gone = self.take_too_old(&mut self.state.write(), now_ms);
        self.remove_dropped(gone, report)
    }

    /// The same once the days that go have their rows. After a stop as long as the retention none would have any.
    pub(crate) fn drop_too_old_with_rows(&self, now_ms: i64, report: &mut MaintainReport) -> Result<(), TsdbError> {
        let made = if self.lacks_rows(now_ms) { self.write_coarse(now_ms) } else { Ok(0) };
        if made.as_ref().is_err_and(TsdbError::is_names_lost) {
            return made.map(drop);
        }
        // Without room for rows the samples go all the same: that makes some.
        self.drop_too_old(now_ms, report)?;
        match made {
            Err(e) if e.is_disk_full() => {}
            made => report.blocks_written += made?,
        }
        Ok(())
    }

    /// Whether a block that is past the retention is of time that has no rows yet.
    fn lacks_rows(&self, now_ms: i64) -> bool {
        if self.options.coarse_retention_ms.is_none() {
            return false;
        }
        let oldest = now_ms.saturating_sub(self.samples_kept_ms());
        let state = self.state.read();
        state.blocks.iter().any(|b| b.meta.max_t < oldest && b.meta.max_t > state.coarse_until)
    }

    /// How long samples are kept. With rows for two days at least: those of a day are made of all its samples, when it is over.
    pub(crate) fn samples_kept_ms(&self) -> i64 {
        let least = if self.options.coarse_retention_ms.is_some() { 2 * DAY_MS } else { 0 };
        self.options.retention_ms.max(least)
    }

    /// Drops the oldest blocks until all files keep within the limit. Needs no room itself: it comes before all that does.
    pub(crate) fn drop_too_large(&self, report: &mut MaintainReport) -> Result<(), TsdbError> {
        let gone = self.take_too_large(&mut self.state.write());
        self.remove_dropped(gone, report)
    }

    fn remove_dropped(&self, gone: Vec<Arc<Block>>, report: &mut MaintainReport) -> Result<(), TsdbError> {
        report.blocks_dropped += gone.len();
        self.remove_blocks(gone.iter())
    }

    fn take_too_old(&self, state: &mut State, now_ms: i64) -> Vec<Arc<Block>> {
        let mut gone = Vec::new();
        let mut take = |list: &mut Vec<Arc<Block>>, kept_ms: i64| {
            let oldest = now_ms.saturating_sub(kept_ms);
            gone.extend(list.extract_if(.., |block| block.meta.max_t < oldest));
        };
        take(&mut state.blocks, self.samples_kept_ms());
        // Without the setting the rows there are stay as they are.
        for (list, kept) in state.coarse.iter_mut().zip(self.options.coarse_retention_ms.unwrap_or([i64::MAX; 2])) {
            take(list, kept);
        }
        gone
    }

    /// The oldest blocks, of samples and of rows, without which the rest keeps within the limit.
    fn take_too_large(&self, state: &mut State) -> Vec<Arc<Block>> {
        let Some(bytes_max) = self.options.retention_bytes_max else { return Vec::new() };
        let mut bytes = self.wal_bytes(state) + state.all_blocks().map(|b| b.bytes).sum::<u64>();
        if bytes <= bytes_max {
            return Vec::new();
        }
        let newest = state.blocks.iter().max_by_key(|b| (b.meta.max_t, b.meta.number)).map(|b| b.meta.number);
        // Of the same age the samples first: their rows take little and say most of it.
        let samples = state.blocks.iter().filter(|b| Some(b.meta.number) != newest).map(|b| (b, 0));
        let mut oldest: Vec<_> = samples
            .chain(state.coarse.iter().flatten().map(|b| (b, 1)))
            .map(|(b, order)| ((b.meta.max_t, order, b.meta.number), b.bytes))
            .collect();
        oldest.sort_unstable();
        let mut numbers = Vec::new();
        for ((_, _, number), size) in oldest {
            if bytes <= bytes_max {
                break;
            }
            bytes -= size;
            numbers.push(number);
        }
        let mut gone = Vec::new();
        for list in std::iter::once(&mut state.blocks).chain(&mut state.coarse) {
            gone.extend(list.extract_if(.., |b| numbers.contains(&b.meta.number)));
        }
        gone
    }

    /// What the log takes on the disk.
    pub(crate) fn wal_bytes(&self, state: &State) -> u64 {
        let written = &self.checkpoint_bytes;
        state.wal.replay_bytes() + written.load(Ordering::Relaxed) + self.addition_bytes.load(Ordering::Relaxed)
    }
}
