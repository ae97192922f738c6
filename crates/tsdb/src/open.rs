//! Opening a directory: blocks, the checkpoint and the addition to it, then the log since.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    block::{Block, number_of, start_of},
    coarse::{RESOLUTIONS, incomplete_day, read_again},
    codec::Reader,
    created::{Created, read_marks},
    db::{OpenReport, State, quarantine},
    error::{FLUSH_NAMES, TsdbError},
    fs::Fs,
    head::{Head, HeadSeries, LateTimes},
    index::Index,
    record::{Kept, Kind, read_head, read_series, read_since, read_symbol_series, read_tombstones},
    replay::{Replay, know_series, know_tombstone},
    symbols::Symbol,
    threads::{joined, threads},
    wal::{Part, PartKind, Payload, Wal, read_part, replay_order},
    write::Staged,
};

pub(crate) struct Opened {
    pub state: State,
    pub report: OpenReport,
    pub next_block: u64,
    pub checkpoint_bytes: u64,
    pub addition_bytes: u64,
    pub damaged_checkpoint: bool,
    /// The checkpoint knew every block.
    pub known: bool,
}

/// Descriptions of runs that are read ahead at a start.
const READ_AHEAD_BYTES_MAX: u64 = 64 << 20;

/// Reads all parts of a directory.
pub(crate) fn open_parts(fs: &Arc<dyn Fs>, dir: &Path) -> Result<Opened, TsdbError> {
    let mut report = OpenReport::default();
    let (wal_dir, block_dir) = (dir.join("wal"), dir.join("blocks"));
    let (blocks, mut next_block) = open_blocks(&**fs, dir, &block_dir, &mut report)?;
    let mut coarse = Vec::new();
    let mut again = read_again(&**fs, dir);
    for (_, name) in RESOLUTIONS {
        let before = report.quarantined.len();
        let (opened, next) = open_blocks(&**fs, dir, &dir.join(name), &mut report)?;
        next_block = next_block.max(next);
        coarse.push(opened);
        again.extend(report.quarantined[before..].iter().filter_map(|path| start_of(path)));
    }
    again.extend(incomplete_day(&coarse[0], &coarse[1]));
    let (parts, last) = replay_order(&**fs, &wal_dir)?;
    // After a kill a name may be known to the kernel alone. What follows builds on it: blocks stand for what leaves the log.
    let [fine, hours] = RESOLUTIONS.map(|(_, name)| dir.join(name));
    for d in [dir, &wal_dir, &block_dir, &fine, &hours] {
        fs.sync_dir(d).map_err(TsdbError::io(FLUSH_NAMES, d))?;
    }
    // The segment comes first: a place to write is needed in any case, and `State` is not without one.
    let wal = Wal::start(fs.clone(), &wal_dir, last)?;
    let mut state = State {
        index: Index::default(),
        head: Head::default(),
        blocks: Vec::new(),
        coarse: [Vec::new(), Vec::new()],
        coarse_until: coarse.iter().flatten().map(|b| b.meta.end_t).max().unwrap_or(i64::MIN),
        coarse_again: again,
        tombstones: HashMap::new(),
        min_valid_t: i64::MIN,
        came_from: i64::MAX,
        looked_ms: i64::MIN,
        late_since: None,
        // How long they have waited before a start nobody knows: they have for long.
        apart_since: Some(i64::MIN),
        max_t: i64::MIN,
        created: Created::default(),
        wal,
        exemplars: 0,
        unlogged: Vec::new(),
        renumbered: HashMap::new(),
        staged: Staged::default(),
        frames: Vec::new(),
        batch: 0,
        shrunk: 0,
        suspect: Arc::default(),
    };
    let mut checkpoint = Checkpoint::default();
    let (mut checkpoint_bytes, mut addition_bytes, mut damaged_checkpoint) = (0, 0, false);
    for part in parts.iter().filter(|p| p.kind != PartKind::Segment) {
        let (bytes, whole) = checkpoint.read(&**fs, part, &mut state)?;
        if part.kind == PartKind::Checkpoint {
            (checkpoint_bytes, checkpoint.whole) = (bytes, whole);
        } else {
            addition_bytes = bytes;
        }
        if !whole {
            damaged_checkpoint = true;
            report.quarantined.push(copy_aside(&**fs, dir, &part.path)?);
        }
    }
    report.orphan_samples += checkpoint.orphans;
    let known = blocks.iter().chain(coarse.iter().flatten()).all(|b| checkpoint.blocks.contains(&b.meta.number));
    for (i, blocks) in [blocks].into_iter().chain(coarse).enumerate() {
        for block in blocks {
            let trusted = checkpoint.whole && checkpoint.blocks.contains(&block.meta.number);
            if trusted || learn_labels(&mut state, &block) {
                let list = if i == 0 { &mut state.blocks } else { &mut state.coarse[i - 1] };
                list.push(Arc::new(block));
            } else {
                report.quarantined.push(quarantine(&**fs, dir, &block.path)?);
                state.coarse_again.extend((i > 0).then_some(block.meta.start_t));
            }
        }
    }
    state.blocks.sort_by_key(|b| (b.meta.min_t, b.meta.number));
    report.blocks = state.blocks.len();
    if checkpoint.leave_to_blocks(&mut state) > 0 {
        damaged_checkpoint = true;
        for part in parts.iter().filter(|p| p.kind != PartKind::Segment) {
            report.quarantined.push(copy_aside(&**fs, dir, &part.path)?);
        }
    }
    // The newest blocks are asked first after a start; while the log is read, the disk brings what that begins with.
    let ahead = |left: u64, block: &Arc<Block>| Some(left - block.read_ahead(left)?);
    let _left = state.blocks.iter().rev().try_fold(READ_AHEAD_BYTES_MAX, ahead);
    let mut bytes = 0;
    for part in parts.iter().filter(|p| p.kind == PartKind::Segment) {
        let (more, readable) = read_segment(&**fs, part, &mut state, &mut report)?;
        bytes += more;
        if !readable {
            // What could be read goes into a checkpoint, which removes the segment.
            damaged_checkpoint = true;
            report.quarantined.push(copy_aside(&**fs, dir, &part.path)?);
        }
    }
    state.renumbered = HashMap::new();
    state.wal.set_closed(bytes, report.replayed_samples);
    report.series = state.index.len();
    state.created.begin(state.index.id_end());
    // A number stands for one block for ever, also for one that is gone: the checkpoint tells by it whose series it knows,
    // and a deletion which blocks it concerns.
    let named = checkpoint.blocks.iter().map(|number| number.saturating_add(1));
    let named = named.chain(state.tombstones.values().flatten().map(|t| t.block));
    next_block = next_block.max(named.max().unwrap_or(0));
    Ok(Opened { state, report, next_block, checkpoint_bytes, addition_bytes, damaged_checkpoint, known })
}

/// The blocks that can be used, without those another one replaces, and the number of the next.
fn open_blocks(
    fs: &dyn Fs,
    dir: &Path,
    block_dir: &Path,
    report: &mut OpenReport,
) -> Result<(Vec<Block>, u64), TsdbError> {
    let mut paths = fs.list(block_dir).map_err(TsdbError::io("list", block_dir))?;
    paths.sort();
    let mut blocks = Vec::new();
    let mut unreadable = Vec::new();
    let mut next = 0;
    for path in paths {
        match path.extension().and_then(|e| e.to_str()) {
            Some("tmp") => fs.remove(&path).map_err(TsdbError::io("remove", &path))?,
            Some("blk") => {
                next = next.max(number_of(&path).map_or(0, |n| n.saturating_add(1)));
                match Block::open(fs, &path) {
                    Ok(block) => blocks.push(block),
                    Err(TsdbError::Damaged { .. }) => report.quarantined.push(quarantine(fs, dir, &path)?),
                    Err(e) if e.is_unreadable() => unreadable.push((path.clone(), e)),
                    Err(e) => return Err(e),
                }
            }
            _ => {}
        }
    }
    // Where the disk gives some blocks and not others, the store goes on with those. One that gives none at all may be back soon.
    if blocks.is_empty() && unreadable.len() > 1 {
        return Err(unreadable.remove(0).1);
    }
    for (path, _) in unreadable {
        report.quarantined.push(quarantine(fs, dir, &path)?);
    }
    let replaced: Vec<u64> = blocks.iter().flat_map(|b| b.sources.iter().copied()).collect();
    let (gone, kept): (Vec<_>, Vec<_>) = blocks.into_iter().partition(|b| replaced.contains(&b.meta.number));
    if !gone.is_empty() {
        // After a kill the kernel alone may know the name of the block that replaces them.
        fs.sync_dir(block_dir).map_err(TsdbError::io(FLUSH_NAMES, block_dir))?;
    }
    for block in gone {
        fs.remove(&block.path).map_err(TsdbError::io("remove", &block.path))?;
    }
    let highest = replaced.iter().max().map_or(0, |n| n.saturating_add(1));
    Ok((kept, next.max(highest)))
}

/// Takes over a block's series; whether that was possible.
fn learn_labels(state: &mut State, block: &Block) -> bool {
    let index = std::cell::RefCell::new(&mut state.index);
    let symbols = std::cell::RefCell::new(Vec::new());
    let mut fits = true;
    let read = block.labels(
        |text| symbols.borrow_mut().push(index.borrow_mut().symbols.intern(text)),
        |id, pairs| {
            let symbols = symbols.borrow();
            let pairs: Option<Vec<(Symbol, Symbol)>> =
                pairs.iter().map(|(n, v)| Some((*symbols.get(*n as usize)?, *symbols.get(*v as usize)?))).collect();
            // A number that stands for other labels here: the block comes from another store.
            fits &= pairs.is_some_and(|pairs| index.borrow_mut().restore(id, &pairs).is_ok());
        },
    );
    read.is_ok() && fits
}

/// Keeps a second name of a damaged file.
pub(crate) fn copy_aside(fs: &dyn Fs, dir: &Path, path: &Path) -> Result<PathBuf, TsdbError> {
    let aside = dir.join("quarantine");
    fs.create_dir_all(&aside).map_err(TsdbError::io("create", &aside))?;
    let to = aside.join(path.file_name().unwrap_or_default());
    match fs.hard_link(path, &to) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(TsdbError::io("link", path)(e)),
        _ => Ok(to),
    }
}

/// Reads a checkpoint into an empty state, then the addition to it.
#[derive(Default)]
struct Checkpoint {
    symbols: Vec<Option<Symbol>>,
    blocks: Vec<u64>,
    min_valid_t: Option<i64>,
    whole: bool,
    ended: bool,
    /// The addition is read.
    adding: bool,
    /// Samples of the addition whose series could not be told.
    orphans: u64,
}

/// What one series has in memory, behind what is there of it already; the number stands in it.
type Taken = (Kept, HeadSeries);

impl Checkpoint {
    /// The size of the file, and whether all of it could be read.
    fn read(&mut self, fs: &dyn Fs, part: &Part, state: &mut State) -> Result<(u64, bool), TsdbError> {
        (self.ended, self.adding) = (false, part.kind == PartKind::Addition);
        let end = read_part(fs, part, |frames| self.frames(frames, state))?;
        if end.foreign {
            return Err(TsdbError::Format { path: part.path.clone() });
        }
        let whole = self.ended && end.torn_bytes == 0 && end.damaged_bytes == 0;
        Ok((end.bytes, whole && !end.unreadable))
    }

    /// How many bytes of them make no sense. While this thread makes the index, others take the runs over.
    fn frames(&mut self, frames: &[Payload<'_>], state: &mut State) -> u64 {
        let is_series = |kind: Kind| matches!(kind, Kind::Head | Kind::Since);
        let series: Vec<Payload<'_>> = frames.iter().filter(|(kind, _)| is_series(*kind)).copied().collect();
        let share = series.len().div_ceil(threads().saturating_sub(1).max(1)).max(1);
        let mut malformed = 0;
        let taken: Vec<(Vec<Taken>, u64)> = std::thread::scope(|scope| {
            let others: Vec<_> = series.chunks(share).map(|part| scope.spawn(move || take_series(part))).collect();
            for (kind, payload) in frames.iter().filter(|(kind, _)| !is_series(*kind)) {
                malformed += self.frame(*kind, payload, state).map_or(payload.len() as u64, |()| 0);
            }
            others.into_iter().map(joined).collect()
        });
        for (list, damaged) in taken {
            malformed += damaged;
            for (kept, series) in list {
                self.put(kept, series, state);
            }
        }
        malformed
    }

    fn put(&mut self, kept: Kept, series: HeadSeries, state: &mut State) {
        let id = series.id;
        if !state.index.is_live(id) {
            // Checkpoints may have the first samples of series that came while they were written: those are in the log.
            self.orphans += if self.adding { series.sample_count() as u64 } else { 0 };
            return;
        }
        let late = series.extra.as_ref().and_then(|e| {
            let (float, histogram) = (e.late.last(), e.late_histograms.last());
            float.map(|p| p.t_ms).max(histogram.map(|h| h.t_ms))
        });
        state.max_t = state.max_t.max(series.last_t().max(late).unwrap_or(i64::MIN));
        let slot = state.index.slot(id).unwrap_or_else(|| {
            let slot = state.head.add(id);
            state.index.set_slot(id, slot);
            slot
        });
        state.head.get_mut(slot).replace_behind(kept, series);
    }

    /// What blocks have that were cut after the checkpoint was written goes from memory. To be called when it is known which
    /// blocks can be used: of the others the checkpoint and the log are all there is. How many runs made no sense.
    fn leave_to_blocks(&self, state: &mut State) -> usize {
        let mut damaged = 0;
        let closed = state.blocks.iter().map(|b| b.meta.end_t).max().unwrap_or(i64::MIN);
        if self.min_valid_t.is_none_or(|t| t < closed) {
            for slot in 0..state.head.end() {
                damaged += state.head.get_mut(slot).drop_before(closed, &LateTimes::default());
            }
        }
        state.min_valid_t = state.min_valid_t.max(closed);
        state.max_t = state.blocks.iter().map(|b| b.meta.max_t).fold(state.max_t, i64::max);
        state.exemplars = state.head.iter().filter_map(|s| s.extra.as_ref()).map(|e| e.exemplars.len()).sum();
        damaged
    }

    fn frame(&mut self, kind: Kind, payload: &[u8], state: &mut State) -> Option<()> {
        match kind {
            Kind::Meta => self.meta(payload, state),
            Kind::Symbols => {
                let mut r = Reader::new(payload);
                let first = r.usize().filter(|n| *n <= 1 << 30)?;
                self.symbols.resize(first, None);
                while !r.is_empty() {
                    self.symbols.push(Some(state.index.symbols.intern(r.str()?)));
                }
                Some(())
            }
            Kind::SymbolSeries => {
                let mut pairs = Vec::new();
                read_symbol_series(payload, |id, numbers| {
                    pairs.clear();
                    for (n, v) in numbers {
                        // A label whose text was damaged: the series cannot be told.
                        let (Some(Some(n)), Some(Some(v))) =
                            (self.symbols.get(*n as usize), self.symbols.get(*v as usize))
                        else {
                            return Some(());
                        };
                        pairs.push((*n, *v));
                    }
                    let _known = state.index.restore(id, &pairs);
                    Some(())
                })
            }
            Kind::Series => read_series(payload, |id, labels| know_series(state, id, labels)),
            Kind::Tombstones => read_tombstones(payload, |id, t| know_tombstone(state, id, t)),
            Kind::Created => read_marks(payload, |mark| state.created.push(mark)),
            Kind::End => {
                self.ended = true;
                Some(())
            }
            _ => Some(()),
        }
    }

    fn meta(&mut self, payload: &[u8], state: &mut State) -> Option<()> {
        let mut r = Reader::new(payload);
        let id_end = u32::try_from(r.varint()?).ok()?;
        let series = r.usize().filter(|n| *n <= id_end as usize)?;
        let min_valid_t = r.zigzag()?;
        let max_t = r.zigzag()?;
        while !r.is_empty() {
            self.blocks.push(r.varint()?);
        }
        state.index.reserve_ids(id_end);
        state.index.reserve(series);
        self.min_valid_t = Some(min_valid_t);
        state.min_valid_t = state.min_valid_t.max(min_valid_t);
        state.max_t = state.max_t.max(max_t);
        Some(())
    }
}

/// What a thread takes of series in memory, and how many bytes made no sense.
fn take_series(frames: &[Payload<'_>]) -> (Vec<Taken>, u64) {
    let (mut taken, mut malformed) = (Vec::new(), 0);
    for (kind, payload) in frames {
        let read = if *kind == Kind::Head {
            read_head(payload, |series| taken.push((Kept::default(), series)))
        } else {
            read_since(payload, |kept, series| taken.push((kept, series)))
        };
        malformed += read.map_or(payload.len() as u64, |()| 0);
    }
    (taken, malformed)
}

/// The size of the file, and whether the disk could give all of it.
fn read_segment(
    fs: &dyn Fs,
    part: &Part,
    state: &mut State,
    report: &mut OpenReport,
) -> Result<(u64, bool), TsdbError> {
    let mut replay = Replay::new(state);
    let end = read_part(fs, part, |frames| replay.segment(frames))?;
    if end.foreign {
        return Err(TsdbError::Format { path: part.path.clone() });
    }
    report.replayed_samples += replay.samples;
    report.orphan_samples += replay.orphans;
    report.torn_bytes += end.torn_bytes;
    report.damaged_bytes += end.damaged_bytes;
    Ok((end.bytes, !end.unreadable))
}
