//! The checkpoint: all that is in memory, as one file that a start reads instead of the log before it. Series stand in it
//! with numbered strings and their samples as the coded runs they are, so that reading it is little more than copying.

use std::{path::Path, sync::atomic::Ordering};

use crate::{
    coarse::{RESOLUTIONS, write_again},
    codec::{put_str, put_varint, put_zigzag},
    db::Tsdb,
    error::TsdbError,
    maintain::LOCKED_SERIES_MAX,
    postings::SeriesId,
    record::{Kind, put_head, put_symbol_series, put_tombstone},
    wal::{FRAME_BYTES, put_frame, put_frames, write_checkpoint},
};

/// Strings and series that are put under one hold of the lock.
const FRAME_STRINGS: usize = 16_384;

impl Tsdb {
    /// Replaces the log so far by a checkpoint of what is in memory, so that the next start reads that alone. To be called
    /// before an orderly stop; [`Tsdb::maintain`] does it when the log has grown. It is worth a try also after a failed
    /// flush: all that was taken is in memory still, and goes into a file of its own.
    pub fn checkpoint(&self) -> Result<(), TsdbError> {
        let _one_at_a_time = self.maintenance.lock();
        self.fencing(self.write_checkpoint()).map(|_| ())
    }

    /// The number of the checkpoint.
    pub(crate) fn write_checkpoint(&self) -> Result<u32, TsdbError> {
        if !self.fenced.load(Ordering::Acquire) {
            // Leaves little to flush while the rotation below holds up appends.
            self.sync()?;
        }
        let (number, covered, meta, ends, tombstones, created) = {
            let mut state = self.state.write();
            let number = state.wal.number();
            state.wal.rotate()?;
            let mut meta = Vec::new();
            put_varint(&mut meta, u64::from(state.index.id_end()));
            put_varint(&mut meta, state.index.len() as u64);
            put_zigzag(&mut meta, state.min_valid_t);
            put_zigzag(&mut meta, state.max_t);
            for block in state.all_blocks() {
                put_varint(&mut meta, block.meta.number);
            }
            let ends = (state.index.symbols.len(), state.index.id_end(), state.head.end());
            (number, state.wal.closed_bytes(), meta, ends, state.tombstones.clone(), state.created.clone())
        };
        let size = write_checkpoint(&*self.fs, &self.dir.join("wal"), number, |append| {
            let mut frames = Vec::new();
            let mut put = |fill: &mut dyn FnMut(&mut Vec<u8>)| {
                frames.clear();
                fill(&mut frames);
                append(&frames)
            };
            put(&mut |out| put_frame(out, Kind::Meta, |out| out.extend_from_slice(&meta)))?;
            for from in (0..ends.0).step_by(FRAME_STRINGS) {
                put(&mut |out| self.put_symbols(out, from, ends.0))?;
            }
            for from in (0..ends.1).step_by(FRAME_STRINGS) {
                put(&mut |out| self.put_series(out, from, ends.1))?;
            }
            for from in (0..ends.2).step_by(LOCKED_SERIES_MAX) {
                put(&mut |out| self.put_heads(out, from, ends.2))?;
            }
            put(&mut |out| {
                let all = tombstones.iter().flat_map(|(id, list)| list.iter().map(move |t| (*id, *t)));
                put_frames(out, Kind::Tombstones, all, |out, (id, t)| put_tombstone(out, id, t));
            })?;
            put(&mut |out| put_frame(out, Kind::Created, |out| created.put(out)))?;
            put(&mut |out| put_frame(out, Kind::End, |_| {}))
        })?;
        self.state.write().wal.subtract_closed_bytes(covered);
        self.checkpoint_bytes.store(size, Ordering::Relaxed);
        self.checkpoint_due.store(false, Ordering::Relaxed);
        Ok(number)
    }

    fn put_symbols(&self, out: &mut Vec<u8>, from: usize, end: usize) {
        let state = self.state.read();
        let mut symbols = (from..end.min(from + FRAME_STRINGS)).peekable();
        while let Some(first) = symbols.peek().copied() {
            put_frame(out, Kind::Symbols, |out| {
                let begin = out.len();
                put_varint(out, first as u64);
                while out.len() - begin < FRAME_BYTES {
                    let Some(symbol) = symbols.next() else { break };
                    put_str(out, state.index.symbols.get(symbol as u32));
                }
            });
        }
    }

    fn put_series(&self, out: &mut Vec<u8>, from: SeriesId, end: SeriesId) {
        let state = self.state.read();
        let ids = state.index.live().range(from..end.min(from + FRAME_STRINGS as u32));
        put_frames(out, Kind::SymbolSeries, ids, |out, id| put_symbol_series(out, id, state.index.pairs(id)));
    }

    fn put_heads(&self, out: &mut Vec<u8>, from: u32, end: u32) {
        let state = self.state.read();
        let slots = from..end.min(from + LOCKED_SERIES_MAX as u32);
        let used = slots.map(|slot| state.head.get(slot)).filter(|series| series.id != SeriesId::MAX);
        put_frames(out, Kind::Head, used, put_head);
    }

    /// A second directory with all samples as they are now, which can be opened by itself, copied or kept. It must be on
    /// the same file system: files are linked, not copied. The directory must not hold a store yet.
    pub fn snapshot(&self, to: &Path) -> Result<(), TsdbError> {
        let _one_at_a_time = self.maintenance.lock();
        let dirs = ["wal", "blocks", RESOLUTIONS[0].1, RESOLUTIONS[1].1].map(|name| to.join(name));
        for d in &dirs {
            self.fs.create_dir_all(d).map_err(TsdbError::io("create", d))?;
            if !self.fs.list(d).map_err(TsdbError::io("list", d))?.is_empty() {
                return Err(TsdbError::NotEmpty { path: to.into() });
            }
        }
        // Writers may have begun further segments by now.
        let number = self.fencing(self.write_checkpoint())?;
        let (blocks, again) = {
            let state = self.state.read();
            (state.all_blocks().cloned().collect::<Vec<_>>(), state.coarse_again.clone())
        };
        let link = |from: &Path, dir: &Path| {
            let name = from.file_name().unwrap_or_default();
            self.fs.hard_link(from, &dir.join(name)).map_err(TsdbError::io("link", from))
        };
        for block in blocks {
            let home = block.path.parent().and_then(Path::file_name).unwrap_or_default();
            link(&block.path, &to.join(home))?;
        }
        link(&self.dir.join("wal").join(format!("{number:08}.ckpt")), &dirs[0])?;
        for d in &dirs {
            self.fs.sync_dir(d).map_err(TsdbError::io("flush", d))?;
        }
        write_again(&*self.fs, to, &again)
    }
}
