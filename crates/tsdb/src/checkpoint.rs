//! The checkpoint: all that is in memory, as one file that a start reads instead of the log before it. Series stand in it
//! with numbered strings and their samples as the coded runs they are, so that reading it is little more than copying.

use std::{path::Path, sync::atomic::Ordering};

use crate::{
    coarse::RESOLUTIONS,
    codec::{put_str, put_varint, put_zigzag},
    db::Tsdb,
    error::TsdbError,
    maintain::LOCKED_SERIES_MAX,
    postings::SeriesId,
    record::{Kind, put_head, put_symbol_series, put_tombstone},
    wal::{put_frame, write_checkpoint},
};

/// Strings and series of one frame at most, also for how long the lock is held.
const FRAME_STRINGS: usize = 16_384;

impl Tsdb {
    /// Replaces the log so far by a checkpoint of what is in memory, so that the next start reads that alone. To be called
    /// before an orderly stop; [`Tsdb::maintain`] does it when the log has grown.
    pub fn checkpoint(&self) -> Result<(), TsdbError> {
        let _one_at_a_time = self.maintenance.lock();
        self.write_checkpoint()
    }

    pub(crate) fn write_checkpoint(&self) -> Result<(), TsdbError> {
        // Leaves little to flush while the rotation below holds up appends.
        self.sync()?;
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
            let mut frame = Vec::new();
            let mut put = |kind, fill: &mut dyn FnMut(&mut Vec<u8>)| {
                frame.clear();
                put_frame(&mut frame, kind, |out| fill(out));
                append(&frame)
            };
            put(Kind::Meta, &mut |out| out.extend_from_slice(&meta))?;
            for from in (0..ends.0).step_by(FRAME_STRINGS) {
                put(Kind::Symbols, &mut |out| self.put_symbols(out, from, ends.0))?;
            }
            for from in (0..ends.1).step_by(FRAME_STRINGS) {
                put(Kind::SymbolSeries, &mut |out| self.put_series(out, from, ends.1))?;
            }
            for from in (0..ends.2).step_by(LOCKED_SERIES_MAX) {
                put(Kind::Head, &mut |out| self.put_heads(out, from, ends.2))?;
            }
            put(Kind::Tombstones, &mut |out| {
                for (id, list) in &tombstones {
                    for t in list {
                        put_tombstone(out, *id, *t);
                    }
                }
            })?;
            put(Kind::Created, &mut |out| created.put(out))?;
            put(Kind::End, &mut |_| {})
        })?;
        self.state.write().wal.subtract_closed_bytes(covered);
        self.checkpoint_bytes.store(size, Ordering::Relaxed);
        self.checkpoint_due.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn put_symbols(&self, out: &mut Vec<u8>, from: usize, end: usize) {
        let state = self.state.read();
        put_varint(out, from as u64);
        for symbol in from..end.min(from + FRAME_STRINGS) {
            put_str(out, state.index.symbols.get(symbol as u32));
        }
    }

    fn put_series(&self, out: &mut Vec<u8>, from: SeriesId, end: SeriesId) {
        let state = self.state.read();
        for id in state.index.live().range(from..end.min(from + FRAME_STRINGS as u32)) {
            put_symbol_series(out, id, state.index.pairs(id));
        }
    }

    fn put_heads(&self, out: &mut Vec<u8>, from: u32, end: u32) {
        let state = self.state.read();
        for slot in from..end.min(from + LOCKED_SERIES_MAX as u32) {
            let series = state.head.get(slot);
            if series.id != SeriesId::MAX {
                put_head(out, series);
            }
        }
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
        self.write_checkpoint()?;
        let (blocks, number) = {
            let state = self.state.read();
            (state.all_blocks().cloned().collect::<Vec<_>>(), state.wal.number() - 1)
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
        Ok(())
    }
}
