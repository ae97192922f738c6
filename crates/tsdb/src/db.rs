//! The store as its owner sees it: open, append, flush, count.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use tenfold_types::{Exemplar, HistogramPoint, Labels, Point};

use crate::{
    block::Block,
    error::TsdbError,
    fs::{Fs, OsFs},
    head::HeadSeries,
    index::Index,
    options::{AppendReport, INSTANT_MS_MAX, Options, Reason, Sample, SeriesWrite},
    postings::SeriesId,
    record::{Kind, SampleCoder, put_series, read_samples, read_series},
    select::NOT_READ_BITS,
    wal::{Part, Wal, put_frame, read_part, replay_order},
};

/// Samples that go into one log frame.
const FRAME_SAMPLES_MAX: usize = 100_000;
/// More segments than this at the start are folded into a checkpoint at the next maintenance.
const SEGMENTS_KEPT: usize = 8;
/// Series definitions that go into one log frame.
pub(crate) const FRAME_SERIES_BYTES_MAX: usize = 4 << 20;

/// The time-series store of one directory. Share it in an `Arc`; every method takes `&self`.
pub struct Tsdb {
    pub(crate) options: Options,
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) dir: PathBuf,
    pub(crate) state: RwLock<State>,
    /// One maintenance at a time.
    pub(crate) maintenance: Mutex<()>,
    /// Blocks were written since the log was last shortened.
    pub(crate) checkpoint_due: AtomicBool,
    fenced: AtomicBool,
    appended: AtomicU64,
    rejected: AtomicU64,
    /// Keeps a second process out.
    _lock: Box<dyn Send + Sync>,
}

pub(crate) struct State {
    pub index: Index,
    /// By series number.
    pub head: Vec<HeadSeries>,
    /// Oldest first; they do not overlap.
    pub blocks: Vec<Arc<Block>>,
    /// Samples before this instant are refused: they belong to blocks.
    pub min_valid_t: i64,
    pub max_t: i64,
    pub wal: Wal,
    /// Native histograms and exemplars by series.
    pub extras: std::collections::HashMap<SeriesId, (Vec<HistogramPoint>, Vec<Exemplar>)>,
}

/// What was found at the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OpenReport {
    pub replayed_samples: u64,
    pub blocks: usize,
    /// Bytes after the last whole record, cut off.
    pub torn_bytes: u64,
    /// Samples in the log whose series could not be told (after damage).
    pub orphan_samples: u64,
    /// Damaged files, moved aside.
    pub quarantined: Vec<PathBuf>,
}

/// Counts for the own metrics and the status page.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Stats {
    pub series: usize,
    pub head_samples: usize,
    pub blocks: usize,
    pub block_samples: u64,
    pub block_bytes: u64,
    pub wal_segment_bytes: u64,
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
        let (wal_dir, block_dir) = (dir.join("wal"), dir.join("blocks"));
        for d in [dir, &wal_dir, &block_dir] {
            fs.create_dir_all(d).map_err(TsdbError::io("create", d))?;
        }
        let lock = fs.lock(&dir.join("lock")).map_err(|e| match e.kind() {
            std::io::ErrorKind::WouldBlock => TsdbError::Locked { path: dir.into() },
            _ => TsdbError::io("lock", dir)(e),
        })?;
        let mut report = OpenReport::default();
        let mut index = Index::default();
        let mut head: Vec<HeadSeries> = Vec::new();
        let blocks = open_blocks(&*fs, dir, &block_dir, &mut index, &mut head, &mut report)?;
        let min_valid_t = blocks.iter().map(|b| b.end_t).max().unwrap_or(i64::MIN);
        let (parts, last) = replay_order(&*fs, &wal_dir)?;
        let mut replay = Replay { index, head, min_valid_t, max_t: min_valid_t.saturating_sub(1), report };
        for part in &parts {
            replay.part(&*fs, dir, part)?;
        }
        let wal = Wal::start(fs.clone(), &wal_dir, last)?;
        let Replay { index, head, max_t, mut report, .. } = replay;
        report.blocks = blocks.len();
        let state = State { index, head, blocks, min_valid_t, max_t, wal, extras: std::collections::HashMap::new() };
        let store = Self {
            options,
            fs,
            dir: dir.into(),
            state: RwLock::new(state),
            maintenance: Mutex::new(()),
            checkpoint_due: AtomicBool::new(parts.len() > SEGMENTS_KEPT),
            fenced: AtomicBool::new(false),
            appended: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            _lock: lock,
        };
        Ok((store, report))
    }

    /// Takes samples in. Those accepted are in the kernel's hands when this returns: killing the process loses none.
    /// Refused ones are reported by reason; an error means that none was taken.
    pub fn append(&self, samples: &[Sample]) -> Result<AppendReport, TsdbError> {
        if self.fenced.load(Ordering::Acquire) {
            return Err(TsdbError::Fenced);
        }
        let mut report = AppendReport::default();
        let mut staged: Vec<(SeriesId, Point)> = Vec::with_capacity(samples.len());
        let mut state = self.state.write();
        let state = &mut *state;
        for sample in samples {
            let point = Point::new(sample.t_ms, sample.value);
            if point.t_ms.unsigned_abs() > INSTANT_MS_MAX.unsigned_abs() {
                report.reject(Reason::OutOfRange, || explain(Reason::OutOfRange, sample, &self.options));
                continue;
            }
            let outcome = self.series_of(state, &sample.labels, &mut report).and_then(|id| {
                if point.t_ms < state.min_valid_t {
                    return Err(Reason::TooOld);
                }
                Ok((id, state.head[id as usize].stage(point)?))
            });
            match outcome {
                Ok((id, fresh)) => {
                    report.appended += 1;
                    if fresh {
                        staged.push((id, point));
                    }
                }
                Err(reason) => report.reject(reason, || explain(reason, sample, &self.options)),
            }
        }
        if let Err(e) = log(state, &staged, self.options.segment_bytes_max) {
            for (id, _) in &staged {
                state.head[*id as usize].unstage();
            }
            return Err(e);
        }
        for (id, point) in staged {
            state.head[id as usize].push(point);
            state.max_t = state.max_t.max(point.t_ms);
        }
        self.appended.fetch_add(report.appended as u64, Ordering::Relaxed);
        self.rejected.fetch_add(report.rejected_count() as u64, Ordering::Relaxed);
        Ok(report)
    }

    /// Takes a batch in: float samples, native histograms and exemplars, by series. What is accepted is in the kernel's
    /// hands when this returns. Refused samples are reported by reason; an error means that none was taken.
    pub fn write(&self, batch: &[SeriesWrite<'_>]) -> Result<AppendReport, TsdbError> {
        let mut samples = Vec::new();
        for series in batch {
            let labels = Labels::from_pairs(series.labels.iter().copied());
            samples.extend(series.points.iter().map(|p| Sample::new(labels.clone(), p.t_ms, p.value)));
        }
        let mut report = self.append(&samples)?;
        let mut state = self.state.write();
        let state = &mut *state;
        for series in batch.iter().filter(|s| !s.histograms.is_empty() || !s.exemplars.is_empty()) {
            let labels = Labels::from_pairs(series.labels.iter().copied());
            let Ok(id) = self.series_of(state, &labels, &mut report) else { continue };
            let (histograms, exemplars) = state.extras.entry(id).or_default();
            histograms.extend_from_slice(series.histograms);
            exemplars.extend_from_slice(series.exemplars);
            report.appended += series.histograms.len();
        }
        Ok(report)
    }

    fn series_of(&self, state: &mut State, labels: &Labels, report: &mut AppendReport) -> Result<SeriesId, Reason> {
        if let Some(id) = state.index.get(labels) {
            return Ok(id);
        }
        let o = &self.options;
        if labels.is_empty() || labels.iter().any(|(n, _)| n.is_empty()) {
            return Err(Reason::NoLabels);
        }
        if labels.len() > o.labels_per_series_max {
            return Err(Reason::TooManyLabels);
        }
        if labels.iter().any(|(n, _)| n.len() > o.label_name_bytes_max) {
            return Err(Reason::LabelNameTooLong);
        }
        if labels.iter().any(|(_, v)| v.len() > o.label_value_bytes_max) {
            return Err(Reason::LabelValueTooLong);
        }
        if state.index.len() >= o.series_max {
            return Err(Reason::TooManySeries);
        }
        report.new_series += 1;
        Ok(add_series(&mut state.index, &mut state.head, Arc::new(labels.clone())))
    }

    /// Makes everything appended so far survive a power cut. To be called at least once a second. When it fails, the
    /// store takes no more samples: what the kernel still holds is unknown from then on.
    pub fn sync(&self) -> Result<(), TsdbError> {
        let (file, path) = self.state.read().wal.file();
        file.sync().map_err(|e| {
            self.fenced.store(true, Ordering::Release);
            TsdbError::io("flush", path)(e)
        })
    }

    pub fn stats(&self) -> Stats {
        let state = self.state.read();
        let head_min = state.head.iter().filter_map(HeadSeries::min_t).min();
        Stats {
            series: state.index.len(),
            head_samples: state.head.iter().map(HeadSeries::sample_count).sum(),
            blocks: state.blocks.len(),
            block_samples: state.blocks.iter().map(|b| b.samples).sum(),
            block_bytes: state.blocks.iter().map(|b| b.bytes).sum(),
            wal_segment_bytes: state.wal.bytes(),
            appended_total: self.appended.load(Ordering::Relaxed),
            rejected_total: self.rejected.load(Ordering::Relaxed),
            min_t_ms: state.blocks.first().map(|b| b.min_t).or(head_min),
            max_t_ms: (head_min.is_some() || !state.blocks.is_empty()).then_some(state.max_t),
        }
    }
}

pub(crate) fn add_series(index: &mut Index, head: &mut Vec<HeadSeries>, labels: Arc<Labels>) -> SeriesId {
    let id = index.insert(labels);
    if id as usize == head.len() {
        head.push(HeadSeries::new());
    }
    id
}

/// Writes the staged samples, and the series this segment does not name yet, to the log.
fn log(state: &mut State, staged: &[(SeriesId, Point)], segment_bytes_max: u64) -> Result<(), TsdbError> {
    if staged.is_empty() {
        return Ok(());
    }
    if state.wal.bytes() >= segment_bytes_max {
        state.wal.rotate()?;
    }
    let segment = state.wal.number();
    let (mut frames, mut payload, mut named) = (Vec::new(), Vec::new(), Vec::new());
    for (id, _) in staged {
        let series = &mut state.head[*id as usize];
        if series.logged_in == segment {
            continue;
        }
        named.push((*id, series.logged_in));
        series.logged_in = segment;
        put_series(&mut payload, *id, state.index.labels(*id).expect("staged series have labels"));
        if payload.len() > FRAME_SERIES_BYTES_MAX {
            put_frame(&mut frames, Kind::Series, &payload);
            payload.clear();
        }
    }
    if !payload.is_empty() {
        put_frame(&mut frames, Kind::Series, &payload);
    }
    for part in staged.chunks(FRAME_SAMPLES_MAX) {
        payload.clear();
        let mut coder = SampleCoder::default();
        for (id, point) in part {
            coder.put(&mut payload, *id, *point);
        }
        put_frame(&mut frames, Kind::Samples, &payload);
    }
    state.wal.write(&frames).inspect_err(|_| {
        for (id, before) in named {
            state.head[id as usize].logged_in = before;
        }
    })
}

fn explain(reason: Reason, sample: &Sample, o: &Options) -> String {
    let (series, t) = (&sample.labels, sample.t_ms);
    match reason {
        Reason::OutOfOrder => format!("{series} at {t} ms is older than the newest sample of its series"),
        Reason::Duplicate => format!("{series} has another value at {t} ms already"),
        Reason::TooOld => format!("{series} at {t} ms lies in time that is already closed"),
        Reason::OutOfRange => format!("{series} at {t} ms is farther than {INSTANT_MS_MAX} ms from 1970"),
        Reason::NoLabels => "a series needs at least one label, and no label name may be empty".into(),
        Reason::TooManyLabels => {
            format!("{series} has {} labels; at most {} are allowed", series.len(), o.labels_per_series_max)
        }
        Reason::LabelNameTooLong => {
            format!("a label name of {series} is longer than {} bytes", o.label_name_bytes_max)
        }
        Reason::LabelValueTooLong => {
            format!(
                "a label value of {} is longer than {} bytes",
                series.metric_name().unwrap_or("a series"),
                o.label_value_bytes_max
            )
        }
        Reason::TooManySeries => {
            format!("{series} would be a new series, and the limit of {} series is reached", o.series_max)
        }
    }
}

fn open_blocks(
    fs: &dyn Fs,
    dir: &Path,
    block_dir: &Path,
    index: &mut Index,
    head: &mut Vec<HeadSeries>,
    report: &mut OpenReport,
) -> Result<Vec<Arc<Block>>, TsdbError> {
    let mut paths = fs.list(block_dir).map_err(TsdbError::io("list", block_dir))?;
    paths.sort();
    let mut blocks = Vec::new();
    for path in paths {
        match path.extension().and_then(|e| e.to_str()) {
            Some("tmp") => fs.remove(&path).map_err(TsdbError::io("remove", &path))?,
            Some("blk") => {
                let mut newest = Vec::new();
                let opened = Block::open(
                    fs,
                    &path,
                    |labels| add_series(index, head, Arc::new(labels)),
                    |id, t| newest.push((id, t)),
                );
                match opened {
                    Ok(block) => {
                        blocks.push(Arc::new(block));
                        for (id, t) in newest {
                            head[id as usize].note_last(Point::new(t, f64::from_bits(NOT_READ_BITS)));
                        }
                    }
                    Err(TsdbError::Damaged { .. }) => report.quarantined.push(quarantine(fs, dir, &path)?),
                    Err(e) => return Err(e),
                }
            }
            _ => {}
        }
    }
    Ok(blocks)
}

/// Moves a damaged file aside and returns where it is now.
pub(crate) fn quarantine(fs: &dyn Fs, dir: &Path, path: &Path) -> Result<PathBuf, TsdbError> {
    let aside = dir.join("quarantine");
    fs.create_dir_all(&aside).map_err(TsdbError::io("create", &aside))?;
    let to = aside.join(path.file_name().unwrap_or_default());
    fs.rename(path, &to).map_err(TsdbError::io("move", path))?;
    Ok(to)
}

/// Rebuilds the head from the log.
struct Replay {
    index: Index,
    head: Vec<HeadSeries>,
    min_valid_t: i64,
    max_t: i64,
    report: OpenReport,
}

impl Replay {
    fn part(&mut self, fs: &dyn Fs, dir: &Path, part: &Part) -> Result<(), TsdbError> {
        // Numbers are dense from 0, so a plain vector maps the segment's to ours.
        let mut ids: Vec<Option<SeriesId>> = Vec::new();
        let end = read_part(fs, part, |kind, payload| match kind {
            Kind::Series => read_series(payload, |old, labels| {
                let id = add_series(&mut self.index, &mut self.head, labels);
                let slot = old as usize;
                if ids.len() <= slot {
                    ids.resize(slot + 1, None);
                }
                ids[slot] = Some(id);
            }),
            Kind::Samples => read_samples(payload, |old, point| {
                let Some(id) = ids.get(old as usize).copied().flatten() else {
                    self.report.orphan_samples += 1;
                    return;
                };
                if point.t_ms < self.min_valid_t {
                    return;
                }
                if matches!(self.head[id as usize].stage(point), Ok(true)) {
                    self.head[id as usize].push(point);
                    self.max_t = self.max_t.max(point.t_ms);
                    self.report.replayed_samples += 1;
                }
            }),
        })?;
        self.report.torn_bytes += end.torn_bytes;
        if part.checkpoint && end.torn_bytes > 0 {
            // A checkpoint is renamed only when whole: this is damage, and what could be read of it is in memory now.
            self.report.quarantined.push(quarantine(fs, dir, &part.path)?);
        }
        Ok(())
    }
}
