//! Deleting samples: a mark at once, applied by every read; the bytes go when a block is written anew.

use std::sync::atomic::Ordering;

use tenfold_types::Matcher;

use crate::{
    db::{State, Tsdb},
    error::TsdbError,
    matcher::CompiledMatcher,
    postings::SeriesId,
    record::{Kind, Tombstone, put_tombstone},
    wal::put_frames,
};

impl Tsdb {
    /// Deletes the samples of matching series with `start_ms <= t <= end_ms`, up to the newest sample of each that there is
    /// now: those that come later are kept. Returns how many series that concerns. Survives a power cut when this returns.
    /// What is imported afterwards for time that is closed is kept; what is sent for it is refused as long as the deletion is
    /// remembered. Samples that come late for deleted time while it is in memory are gone with it, and an import refuses them.
    /// Exemplars stay until the retention drops them.
    pub fn delete(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<usize, TsdbError> {
        if self.fenced.load(Ordering::Acquire) {
            return Err(TsdbError::Fenced);
        }
        let compiled = CompiledMatcher::all(matchers)?;
        let mut state = self.state.write();
        let end = end_ms.min(state.max_t);
        if end < start_ms {
            return Ok(0);
        }
        let ids = state.index.select(&compiled);
        let block = self.next_block.load(Ordering::Relaxed);
        let deleted = |id: SeriesId| Tombstone { start: start_ms, end: end.min(state.newest(id)), block };
        let list = ids.iter().map(|id| (id, deleted(id)));
        let list: Vec<_> = list.filter(|(_, tombstone)| tombstone.start <= tombstone.end).collect();
        let mut frames = Vec::new();
        put_frames(&mut frames, Kind::Tombstones, &list, |out, (id, tombstone)| put_tombstone(out, *id, *tombstone));
        state.wal.write(&frames)?;
        // Blocks and rows are written by what was deleted: a power cut must not undo it for some of them.
        if let Some((file, path)) = state.wal.file() {
            file.sync().map_err(|e| {
                self.fenced.store(true, Ordering::Release);
                TsdbError::io("flush", path)(e)
            })?;
        }
        for (id, tombstone) in list {
            state.tombstones.entry(id).or_default().push(tombstone);
        }
        Ok(ids.len() as usize)
    }

    /// Gives the bytes of deleted samples back now instead of one block at each maintenance: writes every block anew that
    /// holds any. Those still in memory go when their time is cut. Returns how many blocks that were.
    pub fn clean_tombstones(&self) -> Result<usize, TsdbError> {
        let _one_at_a_time = self.maintenance.lock();
        if self.fenced.load(Ordering::Acquire) {
            return Err(TsdbError::Fenced);
        }
        self.fencing(self.clean_blocks())
    }

    fn clean_blocks(&self) -> Result<usize, TsdbError> {
        let mut count = 0;
        loop {
            let rewritten = self.rewrite_deleted()? + self.rewrite_deleted_rows()?;
            if rewritten == 0 {
                break;
            }
            count += rewritten;
        }
        if count > 0 {
            let mut base = self.base.lock();
            self.forget_series();
            self.write_checkpoint(&mut base)?;
        }
        Ok(count)
    }
}

impl State {
    /// No sample of the series is newer now. Another may be far ahead, by a wrong clock; and what is not in memory is in
    /// blocks, of closed time, or in rows.
    fn newest(&self, id: SeriesId) -> i64 {
        let in_memory = self.index.slot(id).and_then(|slot| self.head.get(slot).max_t());
        in_memory.unwrap_or(i64::MIN).max(self.min_valid_t.saturating_sub(1)).max(self.coarse_until)
    }
}
