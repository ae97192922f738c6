//! The store as its owner sees it: open, flush, count.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use parking_lot::{Mutex, RwLock};
use serde::Serialize;

use crate::{
    block::Block,
    checkpoint::Base,
    coarse::{RESOLUTIONS, read_again},
    created::Created,
    error::{FLUSH_NAMES, TsdbError},
    fs::{Fs, OsFs},
    head::Head,
    index::Index,
    open::{Opened, open_parts},
    options::Options,
    postings::SeriesId,
    record::Tombstone,
    wal::Wal,
    write::Staged,
};

/// The time-series store of one directory. Share it in an `Arc`; every method takes `&self`.
pub struct Tsdb {
    pub(crate) options: Options,
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) dir: PathBuf,
    pub(crate) state: RwLock<State>,
    /// One maintenance at a time.
    pub(crate) maintenance: Mutex<()>,
    /// The set of blocks or of series changed since the last checkpoint.
    pub(crate) checkpoint_due: AtomicBool,
    pub(crate) checkpoint_bytes: AtomicU64,
    /// Of the addition beside it; 0 without one.
    pub(crate) addition_bytes: AtomicU64,
    /// What the last checkpoint holds, when additions to it can be written. Held by whatever changes memory otherwise than by
    /// appending, and by whoever writes it down; taken after `maintenance`.
    pub(crate) base: Mutex<Option<Base>>,
    /// Runs in memory that made no sense and were dropped.
    pub(crate) damaged_runs: AtomicU64,
    /// The number of the next block.
    pub(crate) next_block: AtomicU64,
    /// A flush failed: what is on the disk is unknown, and nothing more is taken.
    pub(crate) fenced: Arc<AtomicBool>,
    pub(crate) appended: AtomicU64,
    pub(crate) rejected: AtomicU64,
    /// Late samples of closed time in memory, as [`State::behind`] counts them; changed under the state's lock.
    pub(crate) behind: AtomicUsize,
    /// Keeps a second process out.
    _lock: Box<dyn Send + Sync>,
}

pub(crate) struct State {
    pub index: Index,
    pub head: Head,
    /// Oldest first. They may overlap: samples that came late have blocks of their own until they are merged.
    pub blocks: Vec<Arc<Block>>,
    /// Blocks of rows, by resolution.
    pub coarse: [Vec<Arc<Block>>; 2],
    /// Days before this instant have their rows.
    pub coarse_until: i64,
    /// But for those days, of which samples came afterwards.
    pub coarse_again: std::collections::BTreeSet<i64>,
    pub tombstones: HashMap<SeriesId, Vec<Tombstone>>,
    /// Time before this instant is closed: samples in order belong to blocks.
    pub min_valid_t: i64,
    /// The oldest sample that came in order since a maintenance last looked, none that was its series' first, and when that was
    /// by its clock.
    pub came_from: i64,
    pub looked_ms: i64,
    /// When a maintenance first left late samples of closed time in memory, which are there since.
    pub late_since: Option<i64>,
    /// When a maintenance first left blocks of late samples beside larger ones, where some are since.
    pub apart_since: Option<i64>,
    pub max_t: i64,
    pub created: Created,
    pub wal: Wal,
    /// Exemplars in memory.
    pub exemplars: usize,
    /// Series whose labels the log does not hold yet.
    pub unlogged: Vec<SeriesId>,
    /// While the log is read: numbers of series whose labels are known under another one.
    pub renumbered: HashMap<SeriesId, SeriesId>,
    pub staged: Staged,
    pub frames: Vec<u8>,
    pub batch: u32,
    /// How often anything but appending changed what is in memory.
    pub shrunk: u64,
    /// Somebody met a run that makes no sense.
    pub suspect: Arc<AtomicBool>,
}

/// What was found at the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OpenReport {
    /// Samples read from the log, those in the checkpoint not counted.
    pub replayed_samples: u64,
    pub series: usize,
    pub blocks: usize,
    /// Bytes after the last whole record, cut off.
    pub torn_bytes: u64,
    /// Bytes of damaged records in the middle of the log, passed over.
    pub damaged_bytes: u64,
    /// Samples in the log whose series could not be told (after damage).
    pub orphan_samples: u64,
    /// Damaged files, moved aside.
    pub quarantined: Vec<PathBuf>,
}

/// A block of samples on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BlockStatus {
    /// Ascending over all blocks ever written to the directory.
    pub number: u64,
    /// The time it was written for: `start_t_ms <= t < end_t_ms`.
    pub start_t_ms: i64,
    pub end_t_ms: i64,
    pub samples: u64,
    pub series: u64,
    pub bytes: u64,
    /// Numbers of the blocks it was merged from, and of the first that is in it.
    pub sources: Vec<u64>,
}

/// Counts for the own metrics and the status page.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Stats {
    pub series: usize,
    /// Series with something in memory.
    pub head_series: usize,
    pub head_samples: usize,
    /// Coded runs of samples in memory.
    pub head_chunks: usize,
    pub exemplars: usize,
    pub blocks: usize,
    pub block_samples: u64,
    pub block_bytes: u64,
    /// Of the blocks of rows.
    pub coarse_bytes: u64,
    pub wal_segment_bytes: u64,
    /// The whole log: the last checkpoint, the addition to it, and every segment since.
    pub wal_bytes: u64,
    pub tombstones: usize,
    pub appended_total: u64,
    pub rejected_total: u64,
    pub min_t_ms: Option<i64>,
    pub max_t_ms: Option<i64>,
}

impl Tsdb {
    /// Opens or creates a store in a directory of the operating system.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<(Self, OpenReport), TsdbError> {
        Self::open_with(Arc::new(OsFs), dir.as_ref(), options)
    }

    /// The same over a given file system.
    pub fn open_with(fs: Arc<dyn Fs>, dir: &Path, options: Options) -> Result<(Self, OpenReport), TsdbError> {
        let [fine, hours] = RESOLUTIONS.map(|(_, name)| dir.join(name));
        for d in [dir, &dir.join("wal"), &dir.join("blocks"), &fine, &hours] {
            fs.create_dir_all(d).map_err(TsdbError::io("create", d))?;
        }
        let lock = fs.lock(&dir.join("lock")).map_err(|e| match e.kind() {
            std::io::ErrorKind::WouldBlock => TsdbError::Locked { path: dir.into() },
            _ => TsdbError::io("lock", dir)(e),
        })?;
        let opened = open_parts(&fs, dir)?;
        let Opened { state, report, next_block, checkpoint_bytes, addition_bytes, damaged_checkpoint, known } = opened;
        let fenced = state.wal.fenced();
        let behind = state.behind();
        let store = Self {
            options,
            fs,
            dir: dir.into(),
            state: RwLock::new(state),
            maintenance: Mutex::new(()),
            checkpoint_due: AtomicBool::new(!known || damaged_checkpoint),
            checkpoint_bytes: AtomicU64::new(checkpoint_bytes),
            addition_bytes: AtomicU64::new(addition_bytes),
            base: Mutex::new(None),
            damaged_runs: AtomicU64::new(0),
            next_block: AtomicU64::new(next_block),
            fenced,
            appended: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            behind: AtomicUsize::new(behind),
            _lock: lock,
        };
        if damaged_checkpoint {
            // Written anew before anything else happens, unless there is no room: then the next start finds the same damage.
            unless_full(store.checkpoint())?;
        }
        let again = store.state.read().coarse_again.clone();
        if again != read_again(&*store.fs, &store.dir) {
            // The files that say it lie in quarantine now: the next start would not know.
            unless_full(store.keep_again(&again))?;
        }
        Ok((store, report))
    }

    /// Makes everything appended so far survive a power cut. To be called at least once a second. When it fails, the
    /// store takes no more samples: what the kernel still holds is unknown from then on, and it tells of it only once.
    pub fn sync(&self) -> Result<(), TsdbError> {
        if self.fenced.load(Ordering::Acquire) {
            return Err(TsdbError::Fenced);
        }
        let Some((file, path)) = self.state.read().wal.file() else { return Ok(()) };
        file.sync().map_err(|e| {
            self.fenced.store(true, Ordering::Release);
            TsdbError::io("flush", path)(e)
        })
    }

    /// Fences the store when names of files may be lost.
    pub(crate) fn fencing<T>(&self, done: Result<T, TsdbError>) -> Result<T, TsdbError> {
        if done.as_ref().is_err_and(TsdbError::is_names_lost) {
            self.fenced.store(true, Ordering::Release);
        }
        done
    }

    /// Removes the files of blocks, so that they do not come back with the power: what was deleted of them is forgotten.
    pub(crate) fn remove_blocks<'b>(&self, blocks: impl Iterator<Item = &'b Arc<Block>>) -> Result<(), TsdbError> {
        let (mut dirs, mut done) = (std::collections::BTreeSet::<&Path>::new(), Ok(()));
        for block in blocks {
            let removed = self.fs.remove(&block.path).map_err(TsdbError::io("remove", &block.path));
            done = done.and(removed);
            dirs.extend(block.path.parent());
        }
        for dir in dirs {
            self.fs.sync_dir(dir).map_err(TsdbError::io(FLUSH_NAMES, dir))?;
        }
        done
    }

    /// Removes files of blocks that are none of the store's: their names did not reach the disk for sure, and whatever is in them
    /// is in memory or in other blocks. Has all names flushed, as a start does.
    pub(crate) fn remove_strangers(&self) -> Result<(), TsdbError> {
        let known: HashSet<PathBuf> = self.state.read().all_blocks().map(|b| b.path.clone()).collect();
        let [fine, hours] = RESOLUTIONS.map(|(_, name)| self.dir.join(name));
        for dir in [self.dir.join("blocks"), fine, hours, self.dir.join("wal"), self.dir.clone()] {
            for path in self.fs.list(&dir).map_err(TsdbError::io("list", &dir))? {
                if path.extension().is_some_and(|e| e == "blk") && !known.contains(&path) {
                    self.fs.remove(&path).map_err(TsdbError::io("remove", &path))?;
                }
            }
            self.fs.sync_dir(&dir).map_err(TsdbError::io(FLUSH_NAMES, &dir))?;
        }
        Ok(())
    }

    /// What the series in memory and the index take, roughly, in bytes. Walks over all of them: not for every scrape.
    pub fn memory_bytes(&self) -> usize {
        let state = self.state.read();
        state.head.iter().map(super::head::HeadSeries::bytes).sum::<usize>() + state.index.bytes()
    }

    /// The blocks of samples, the oldest first.
    pub fn blocks(&self) -> Vec<BlockStatus> {
        let state = self.state.read();
        let status = |block: &Arc<Block>| BlockStatus {
            number: block.meta.number,
            start_t_ms: block.meta.start_t,
            end_t_ms: block.meta.end_t,
            samples: block.meta.samples,
            series: block.ids().len(),
            bytes: block.bytes,
            sources: block.sources.clone(),
        };
        state.blocks.iter().map(status).collect()
    }

    pub fn stats(&self) -> Stats {
        let state = self.state.read();
        let head_min = state.head.iter().filter_map(super::head::HeadSeries::oldest_t).min();
        let block_min = state.blocks.iter().map(|b| b.meta.min_t).min();
        Stats {
            series: state.index.len(),
            head_series: state.head.used(),
            head_chunks: state.head.iter().map(super::head::HeadSeries::chunk_count).sum(),
            head_samples: state.head.iter().map(super::head::HeadSeries::sample_count).sum(),
            exemplars: state.exemplars,
            blocks: state.blocks.len(),
            block_samples: state.blocks.iter().map(|b| b.meta.samples).sum(),
            block_bytes: state.blocks.iter().map(|b| b.bytes).sum(),
            coarse_bytes: state.coarse.iter().flatten().map(|b| b.bytes).sum(),
            wal_segment_bytes: state.wal.bytes(),
            wal_bytes: self.wal_bytes(&state),
            tombstones: state.tombstones.values().map(Vec::len).sum(),
            appended_total: self.appended.load(Ordering::Relaxed),
            rejected_total: self.rejected.load(Ordering::Relaxed),
            min_t_ms: [block_min, head_min].into_iter().flatten().min(),
            max_t_ms: (head_min.is_some() || !state.blocks.is_empty()).then_some(state.max_t),
        }
    }
}

/// A store opens on a full disk too: reading needs no room.
fn unless_full(done: Result<(), TsdbError>) -> Result<(), TsdbError> {
    match done {
        Err(e) if e.is_disk_full() => Ok(()),
        done => done,
    }
}

/// Moves a damaged file aside and returns where it is now.
pub(crate) fn quarantine(fs: &dyn Fs, dir: &Path, path: &Path) -> Result<PathBuf, TsdbError> {
    let aside = dir.join("quarantine");
    fs.create_dir_all(&aside).map_err(TsdbError::io("create", &aside))?;
    let to = aside.join(path.file_name().unwrap_or_default());
    fs.rename(path, &to).map_err(TsdbError::io("move", path))?;
    for d in std::iter::once(aside.as_path()).chain(path.parent()) {
        fs.sync_dir(d).map_err(TsdbError::io(FLUSH_NAMES, d))?;
    }
    Ok(to)
}
