//! Writing down what is in memory, so that a start reads that instead of the log before it.
//!
//! A *checkpoint* is all of it as one file. Series stand in it with numbered strings and their samples as the coded runs they
//! are, so that reading it is little more than copying. At a million series it is a gigabyte: too much to be written each time
//! the log has grown by what a start may read in half a second. In between, *additions* have what came since the checkpoint:
//! new series, runs that were closed, the runs that still grow, and all that is rare in whole (late samples, exemplars,
//! deletions). An addition is complete beside its checkpoint: it replaces the one before, and is longer than that. Once that
//! has cost what a checkpoint does, a checkpoint is written in its place; and whenever anything but appending has changed what
//! is in memory.

use std::{collections::HashMap, path::Path, sync::atomic::Ordering};

use crate::{
    coarse::{RESOLUTIONS, write_again},
    codec::{put_str, put_varint, put_zigzag},
    created::Created,
    db::{State, Tsdb},
    error::TsdbError,
    head::HeadSeries,
    maintain::LOCKED_SERIES_MAX,
    postings::SeriesId,
    record::{Kept, Kind, Tombstone, put_head, put_series, put_since, put_symbol_series, put_tombstone},
    wal::{FRAME_BYTES, PartKind, put_frame, put_frames, write_part},
};

/// Strings and series that are put under one hold of the lock.
const FRAME_STRINGS: usize = 16_384;
/// An addition is written when the log has grown to this part of the one before, where that is more than the options ask for:
/// writing costs so many bytes for one of the log at most.
const ADDITION_PER_LOG: u64 = 16;

/// What the last checkpoint holds, so that additions can leave it out. Only appending has happened since.
#[derive(Default)]
pub(crate) struct Base {
    /// [`State::shrunk`] when it was begun.
    shrunk: u64,
    /// Series from this number on are not in it.
    id_end: SeriesId,
    /// How far floats had come ([`HeadSeries::reached`]), by place in the head.
    reached: Vec<u32>,
    /// Closed runs of histograms, by place in the head.
    histograms: HashMap<u32, usize>,
    bytes: u64,
    /// How long the first addition to it was; 0 before there is one.
    first: u64,
    /// By how much the others were longer, together.
    longer: u64,
}

impl Base {
    /// With every addition the next one gets longer: a new checkpoint is due when that has cost as much as one.
    fn is_worth_an_addition(&self, last: u64) -> bool {
        self.longer <= self.bytes && last <= self.bytes / 2
    }

    fn added(&mut self, bytes: u64) {
        self.first = if self.first == 0 { bytes } else { self.first };
        self.longer += bytes.saturating_sub(self.first);
    }

    fn note(&mut self, slot: u32, series: &HeadSeries) {
        if self.reached.len() <= slot as usize {
            self.reached.resize(slot as usize + 1, 0);
        }
        self.reached[slot as usize] = series.reached();
        let closed = series.extra.as_ref().map_or(0, |extra| extra.histograms.len());
        if closed > 0 {
            self.histograms.insert(slot, closed);
        }
    }

    /// What it has of a series; `None` when that is all there is.
    fn kept(&self, slot: u32, series: &HeadSeries) -> Option<Kept> {
        if series.id >= self.id_end {
            return Some(Kept::default());
        }
        let reached = self.reached.get(slot as usize).copied().unwrap_or(0);
        if reached > 0 && reached == series.reached() && series.extra.is_none() {
            return None;
        }
        let histograms = self.histograms.get(&slot).copied().unwrap_or(0);
        Some(Kept { floats: HeadSeries::reached_runs(reached), histograms })
    }
}

/// Where the log was cut in two: what is before goes into the file.
struct Cut {
    number: u32,
    bytes: u64,
    samples: u64,
    id_end: SeriesId,
    head_end: u32,
    tombstones: HashMap<SeriesId, Vec<Tombstone>>,
    created: Created,
}

impl Cut {
    fn of(state: &State, number: u32) -> Self {
        Self {
            number,
            bytes: state.wal.closed_bytes(),
            samples: state.wal.samples(),
            id_end: state.index.id_end(),
            head_end: state.head.end(),
            tombstones: state.tombstones.clone(),
            created: state.created.clone(),
        }
    }

    /// What both kinds of files end with.
    fn put_end(&self, out: &mut Vec<u8>) {
        let all = self.tombstones.iter().flat_map(|(id, list)| list.iter().map(move |t| (*id, *t)));
        put_frames(out, Kind::Tombstones, all, |out, (id, t)| put_tombstone(out, id, t));
        put_frame(out, Kind::Created, |out| self.created.put(out));
        put_frame(out, Kind::End, |_| {});
    }
}

impl Tsdb {
    /// Replaces the log so far by a checkpoint of what is in memory, so that the next start reads that alone. To be called
    /// before an orderly stop. It is worth a try also after a failed flush: all that was taken is in memory still, and goes
    /// into a file of its own.
    pub fn checkpoint(&self) -> Result<(), TsdbError> {
        let _one_at_a_time = self.maintenance.lock();
        let mut base = self.base.lock();
        self.fencing(self.write_checkpoint(&mut base)).map(|_| ())
    }

    /// Writes down what came to memory, if the log has grown so far that reading it would hold up a start. To be called once a
    /// second; [`Tsdb::maintain`] does it too. Merging blocks does not keep it waiting; while blocks are cut it does nothing.
    /// Whether anything was written.
    pub fn shorten_log(&self) -> Result<bool, TsdbError> {
        if self.fenced.load(Ordering::Acquire) || !self.is_log_long() {
            return Ok(false);
        }
        let Some(mut base) = self.base.try_lock() else { return Ok(false) };
        self.fencing(self.write_down(&mut base)).map(|()| true)
    }

    /// Makes a store that was fenced by a failed flush take samples again, once the disk takes files again: all that was taken
    /// is in memory, and goes into a checkpoint of its own, behind which a new segment begins. Nothing rests on what the failed
    /// flush left. Whether it was fenced; on an error it stays so.
    pub fn recover(&self) -> Result<bool, TsdbError> {
        if !self.fenced.load(Ordering::Acquire) {
            return Ok(false);
        }
        let _one_at_a_time = self.maintenance.lock();
        let mut base = self.base.lock();
        self.write_checkpoint(&mut base)?;
        self.remove_strangers()?;
        self.fenced.store(false, Ordering::Release);
        Ok(true)
    }

    pub(crate) fn is_log_long(&self) -> bool {
        let state = self.state.read();
        let (bytes, samples) = (state.wal.replay_bytes(), state.wal.samples());
        let long = bytes > self.options.replay_bytes_max || samples > self.options.replay_samples_max;
        long && bytes >= self.addition_bytes.load(Ordering::Relaxed) / ADDITION_PER_LOG
    }

    /// Shortens the log by an addition where that is possible and cheaper, else by a checkpoint.
    pub(crate) fn write_down(&self, base: &mut Option<Base>) -> Result<(), TsdbError> {
        let due = self.checkpoint_due.load(Ordering::Relaxed);
        let shrunk = self.state.read().shrunk;
        let added = self.addition_bytes.load(Ordering::Relaxed);
        let fits = |known: &&mut Base| !due && known.shrunk == shrunk && known.is_worth_an_addition(added);
        if let Some(known) = base.as_mut().filter(fits) {
            return self.write_addition(known);
        }
        self.write_checkpoint(base).map(|_| ())
    }

    /// The number of the checkpoint. Nothing but appends may change memory meanwhile, for which the base stands.
    pub(crate) fn write_checkpoint(&self, base: &mut Option<Base>) -> Result<u32, TsdbError> {
        if !self.fenced.load(Ordering::Acquire) {
            // Leaves little to flush while the rotation below holds up appends.
            self.sync()?;
        }
        let (cut, meta, symbols_end, shrunk) = {
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
            (Cut::of(&state, number), meta, state.index.symbols.len(), state.shrunk)
        };
        // Until the file is whole no addition may rest on it; one that rests on the checkpoint before is not written either.
        *base = None;
        let mut new = Base { shrunk, id_end: cut.id_end, ..Base::default() };
        let place = (cut.number, PartKind::Checkpoint);
        new.bytes = write_part(&*self.fs, &self.dir.join("wal"), place, |append| {
            let mut frames = Vec::new();
            let mut put = |fill: &mut dyn FnMut(&mut Vec<u8>)| {
                frames.clear();
                fill(&mut frames);
                append(&frames)
            };
            put(&mut |out| put_frame(out, Kind::Meta, |out| out.extend_from_slice(&meta)))?;
            for from in (0..symbols_end).step_by(FRAME_STRINGS) {
                put(&mut |out| self.put_symbols(out, from, symbols_end))?;
            }
            for from in (0..cut.id_end).step_by(FRAME_STRINGS) {
                put(&mut |out| self.put_series(out, from, cut.id_end))?;
            }
            for from in (0..cut.head_end).step_by(LOCKED_SERIES_MAX) {
                put(&mut |out| self.put_heads(out, from, &cut, &mut new))?;
            }
            put(&mut |out| cut.put_end(out))
        })?;
        self.state.write().wal.subtract(cut.bytes, cut.samples);
        self.checkpoint_bytes.store(new.bytes, Ordering::Relaxed);
        self.addition_bytes.store(0, Ordering::Relaxed);
        self.checkpoint_due.store(false, Ordering::Relaxed);
        *base = Some(new);
        Ok(cut.number)
    }

    fn write_addition(&self, base: &mut Base) -> Result<(), TsdbError> {
        self.sync()?;
        let cut = {
            let mut state = self.state.write();
            let number = state.wal.number();
            state.wal.rotate_behind_addition()?;
            Cut::of(&state, number)
        };
        let place = (cut.number, PartKind::Addition);
        let bytes = write_part(&*self.fs, &self.dir.join("wal"), place, |append| {
            let mut frames = Vec::new();
            let mut put = |fill: &mut dyn FnMut(&mut Vec<u8>)| {
                frames.clear();
                fill(&mut frames);
                append(&frames)
            };
            for from in (base.id_end..cut.id_end).step_by(FRAME_STRINGS) {
                put(&mut |out| self.put_new_series(out, from, cut.id_end))?;
            }
            for from in (0..cut.head_end).step_by(LOCKED_SERIES_MAX) {
                put(&mut |out| self.put_since(out, from, &cut, base))?;
            }
            put(&mut |out| cut.put_end(out))
        })?;
        self.state.write().wal.subtract(cut.bytes, cut.samples);
        self.addition_bytes.store(bytes, Ordering::Relaxed);
        base.added(bytes);
        Ok(())
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
        let ids = state.index.live().range(from..end.min(from.saturating_add(FRAME_STRINGS as u32)));
        put_frames(out, Kind::SymbolSeries, ids, |out, id| put_symbol_series(out, id, state.index.pairs(id)));
    }

    /// Series that a checkpoint does not have, with their labels as strings: numbers of strings are the checkpoint's own.
    fn put_new_series(&self, out: &mut Vec<u8>, from: SeriesId, end: SeriesId) {
        let state = self.state.read();
        let ids = state.index.live().range(from..end.min(from.saturating_add(FRAME_STRINGS as u32)));
        put_frames(out, Kind::Series, ids, |out, id| {
            let labels: Vec<_> = state.index.texts(id).collect();
            put_series(out, id, labels.into_iter());
        });
    }

    fn put_heads(&self, out: &mut Vec<u8>, from: u32, cut: &Cut, base: &mut Base) {
        let state = self.state.read();
        put_frames(out, Kind::Head, used(&state, from, cut), |out, (slot, series)| {
            base.note(slot, series);
            put_head(out, series);
        });
    }

    fn put_since(&self, out: &mut Vec<u8>, from: u32, cut: &Cut, base: &Base) {
        let state = self.state.read();
        let changed = used(&state, from, cut).filter_map(|(slot, series)| Some((series, base.kept(slot, series)?)));
        put_frames(out, Kind::Since, changed, |out, (series, kept)| put_since(out, series, kept));
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
        // Held to the end: the checkpoint stays until there is a link to it. Writers may have begun further segments by now.
        let mut base = self.base.lock();
        let number = self.fencing(self.write_checkpoint(&mut base))?;
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

/// Series that stand in some places of the head and had their numbers when the log was cut; the others are in the log since.
fn used<'s>(state: &'s State, from: u32, cut: &Cut) -> impl Iterator<Item = (u32, &'s HeadSeries)> {
    let (end, id_end) = (cut.head_end.min(from + LOCKED_SERIES_MAX as u32), cut.id_end);
    (from..end).map(move |slot| (slot, state.head.get(slot))).filter(move |(_, series)| series.id < id_end)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::{Options, Sample, Tsdb, TsdbError, gorilla::Chunk};
    use tenfold_types::Labels;

    #[test]
    fn a_run_that_makes_no_sense_is_an_error_until_the_next_maintenance() {
        let dir = tempfile::tempdir().unwrap();
        let (db, _) = Tsdb::open(dir.path(), Options::default()).unwrap();
        let labels = Labels::from_pairs([("__name__", "m")]);
        db.append(&[Sample::new(labels.clone(), 1000, 1.0), Sample::new(labels, 2000, 2.0)]).unwrap();
        let bytes: Arc<[u8]> = vec![0xff; 20].into();
        db.state.write().head.get_mut(0).restore(Chunk { min_t: 0, max_t: 90, count: 90, bytes });
        let read = |db: &Tsdb| {
            let mut points = Vec::new();
            db.select(&[], i64::MIN, i64::MAX).unwrap()[0].chunks.read(&mut points).map(|()| points.len())
        };
        assert!(matches!(read(&db), Err(TsdbError::DamagedRun)));
        let report = db.maintain(3000).unwrap();
        assert_eq!((report.damaged_runs, report.checkpointed), (1, true));
        assert_eq!(read(&db).unwrap(), 2);
        assert_eq!(db.maintain(3000).unwrap().damaged_runs, 0);
        drop(db);
        assert_eq!(read(&Tsdb::open(dir.path(), Options::default()).unwrap().0).unwrap(), 2);
    }
}
