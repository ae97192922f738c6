//! Writing a block, one series after the other.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use hashbrown::DefaultHashBuilder;
use roaring::RoaringBitmap;
use std::hash::BuildHasher;
use tenfold_types::{Exemplar, HistogramPoint, Point};

use super::{
    Block, BlockMeta, Footer, GROUP_SERIES, INLINE_BYTES_MAX, SHARED_HEADS, Section, VERSION, block_path, magic, packed,
};
use crate::{
    coarse::{Row, put_rows},
    codec::{put_str, put_varint, put_zigzag},
    column::{put_times, put_values},
    error::{FLUSH_NAMES, TsdbError},
    fs::{Fs, FsFile},
    histograms::{RUN_HISTOGRAMS_MAX, put_run, runs},
    postings::SeriesId,
    record::{put_exemplar, put_symbol_series},
    symbols::Symbols,
};

/// A run of floats at most: a day at a minute, six hours at 15 s. Longer ones hardly get smaller, and a short query
/// decodes all of one.
pub(crate) const RUN_SAMPLES_MAX: usize = 1440;
const WRITE_BYTES: usize = 1 << 20;
/// Distinct columns of timestamps remembered, to be shared: all series of one target have the same ones.
const TIMES_KEPT: usize = 4096;

enum Place {
    Inline(Vec<u8>),
    Stored(Section),
}

pub(crate) struct BlockWriter<'a> {
    fs: &'a dyn Fs,
    dir: &'a Path,
    path: PathBuf,
    temporary: PathBuf,
    file: Arc<dyn FsFile>,
    buffer: Vec<u8>,
    flushed: u64,
    level: usize,
    meta: BlockMeta,
    ids: Vec<SeriesId>,
    groups: Vec<Section>,
    group: Vec<u8>,
    in_group: usize,
    /// What runs of the group have in common, and by those bytes which of them it is.
    heads: Vec<u8>,
    head_numbers: HashMap<Vec<u8>, u64, DefaultHashBuilder>,
    /// Of the format; tests write older ones.
    version: u8,
    times: HashMap<u64, (Vec<i64>, Section), DefaultHashBuilder>,
    hasher: DefaultHashBuilder,
    symbols: Symbols,
    labels: Vec<u8>,
    exemplars: Vec<u8>,
}

impl<'a> BlockWriter<'a> {
    /// `level` is the effort of compression.
    pub fn create(
        fs: &'a dyn Fs,
        dir: &'a Path,
        (start_t, end_t): (i64, i64),
        number: u64,
        level: usize,
    ) -> Result<Self, TsdbError> {
        let path = block_path(dir, start_t, end_t, number);
        let temporary = path.with_extension("tmp");
        let file = fs.create(&temporary).map_err(TsdbError::io("create", &temporary))?;
        Ok(Self {
            fs,
            dir,
            path,
            temporary,
            file,
            buffer: magic(VERSION).to_vec(),
            flushed: 0,
            level,
            meta: BlockMeta { min_t: i64::MAX, max_t: i64::MIN, start_t, end_t, number, samples: 0 },
            ids: Vec::new(),
            groups: Vec::new(),
            group: Vec::new(),
            in_group: 0,
            heads: Vec::new(),
            head_numbers: HashMap::default(),
            version: VERSION,
            times: HashMap::default(),
            hasher: DefaultHashBuilder::default(),
            symbols: Symbols::default(),
            labels: Vec::new(),
            exemplars: Vec::new(),
        })
    }

    /// Writes an older version of the format.
    #[cfg(test)]
    pub fn in_version(mut self, version: u8) -> Self {
        self.version = version;
        self.buffer = magic(version).to_vec();
        self
    }

    /// The samples of one series, each kind in order of time. One without any is left out.
    pub fn add(&mut self, id: SeriesId, floats: &[Point], histograms: &[HistogramPoint]) -> Result<(), TsdbError> {
        if floats.is_empty() && histograms.is_empty() {
            return Ok(());
        }
        let parts = floats.len().div_ceil(RUN_SAMPLES_MAX).max(1);
        let each = floats.len().div_ceil(parts).max(1);
        let float_runs = floats.chunks(each);
        let histogram_runs: Vec<_> = runs(histograms, RUN_HISTOGRAMS_MAX).collect();
        let mut body = Vec::new();
        put_varint(&mut body, (float_runs.len() + histogram_runs.len()) as u64);
        for run in float_runs {
            let times: Vec<i64> = run.iter().map(|p| p.t_ms).collect();
            let values: Vec<f64> = run.iter().map(|p| p.value).collect();
            let mut column = Vec::new();
            put_values(&mut column, &values, self.level);
            self.put_run(&mut body, 0, &times, column);
        }
        for run in histogram_runs {
            let times: Vec<i64> = run.iter().map(|p| p.t_ms).collect();
            let mut column = Vec::new();
            put_run(&mut column, run, self.level);
            self.put_run(&mut body, 1, &times, column);
        }
        self.add_body(id, &body)
    }

    /// The rows of one series, in order. One without any is left out.
    pub fn add_rows(&mut self, id: SeriesId, rows: &[Row]) -> Result<(), TsdbError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut body = Vec::new();
        put_varint(&mut body, rows.len().div_ceil(RUN_SAMPLES_MAX) as u64);
        for run in rows.chunks(RUN_SAMPLES_MAX) {
            let times: Vec<i64> = run.iter().map(|r| r.t_ms).collect();
            let mut column = Vec::new();
            put_rows(&mut column, run, self.level);
            self.put_run(&mut body, 2, &times, column);
        }
        self.add_body(id, &body)
    }

    fn add_body(&mut self, id: SeriesId, body: &[u8]) -> Result<(), TsdbError> {
        put_varint(&mut self.group, body.len() as u64);
        self.group.extend_from_slice(body);
        self.ids.push(id);
        self.in_group += 1;
        if self.in_group == GROUP_SERIES {
            self.close_group();
        }
        if self.buffer.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    fn put_run(&mut self, body: &mut Vec<u8>, kind: u8, times: &[i64], values: Vec<u8>) {
        let (min_t, max_t) = (times[0], times[times.len() - 1]);
        self.meta.min_t = self.meta.min_t.min(min_t);
        self.meta.max_t = self.meta.max_t.max(max_t);
        self.meta.samples += times.len() as u64;
        let mut head = vec![kind];
        put_zigzag(&mut head, min_t.wrapping_sub(self.meta.start_t));
        put_varint(&mut head, max_t.wrapping_sub(min_t) as u64);
        put_varint(&mut head, times.len() as u64);
        let place = self.place_times(times);
        put_place(&mut head, &place);
        if self.version < SHARED_HEADS {
            body.append(&mut head);
        } else {
            put_varint(body, self.head_number(head));
        }
        let place = self.place(values);
        put_place(body, &place);
    }

    /// Which head of the group this is.
    fn head_number(&mut self, head: Vec<u8>) -> u64 {
        if let Some(known) = self.head_numbers.get(&head) {
            return *known;
        }
        let number = self.head_numbers.len() as u64;
        self.heads.extend_from_slice(&head);
        self.head_numbers.insert(head, number);
        number
    }

    fn place(&mut self, column: Vec<u8>) -> Place {
        if column.len() <= INLINE_BYTES_MAX {
            return Place::Inline(column);
        }
        Place::Stored(self.store(&column))
    }

    fn store(&mut self, bytes: &[u8]) -> Section {
        let offset = self.flushed + self.buffer.len() as u64;
        self.buffer.extend_from_slice(bytes);
        Section { offset, len: bytes.len() as u32, crc: crc32fast::hash(bytes) }
    }

    fn place_times(&mut self, times: &[i64]) -> Place {
        let step = times.get(1).map_or(0, |t| t - times[0]);
        let regular = times.windows(2).all(|w| w[1] - w[0] == step);
        let hash = self.hasher.hash_one(times);
        if !regular
            && let Some((known, section)) = self.times.get(&hash)
            && known == times
        {
            return Place::Stored(*section);
        }
        let mut column = Vec::new();
        put_times(&mut column, times);
        let place = self.place(column);
        if let Place::Stored(section) = &place {
            if self.times.len() >= TIMES_KEPT {
                self.times.clear();
            }
            self.times.insert(hash, (times.to_vec(), *section));
        }
        place
    }

    fn close_group(&mut self) {
        let mut group = Vec::with_capacity(self.heads.len() + self.group.len() + 2);
        if self.version >= SHARED_HEADS {
            put_varint(&mut group, self.head_numbers.len() as u64);
            group.append(&mut self.heads);
            self.head_numbers.clear();
        }
        group.append(&mut self.group);
        let section = self.store(&group);
        self.groups.push(section);
        self.in_group = 0;
    }

    pub fn add_exemplar(&mut self, id: SeriesId, exemplar: &Exemplar) {
        put_exemplar(&mut self.exemplars, id, exemplar);
    }

    /// The series added since the last call for labels.
    pub fn ids(&self) -> &[SeriesId] {
        &self.ids
    }

    pub fn add_labels<'l>(&mut self, id: SeriesId, labels: impl Iterator<Item = (&'l str, &'l str)>) {
        let pairs: Vec<_> =
            labels.map(|(name, value)| (self.symbols.intern(name), self.symbols.intern(value))).collect();
        put_symbol_series(&mut self.labels, id, &pairs);
    }

    fn flush(&mut self) -> Result<(), TsdbError> {
        self.file.append(&self.buffer).map_err(TsdbError::io("write", &self.temporary))?;
        self.flushed += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Gives the file its name; `None` when nothing was added. It replaces the blocks with the numbers in `sources`.
    pub fn finish(mut self, sources: &[u64]) -> Result<Option<Block>, TsdbError> {
        if self.ids.is_empty() && self.exemplars.is_empty() {
            self.abandon()?;
            return Ok(None);
        }
        if self.ids.is_empty() {
            // Exemplars alone: the block's time is what it was cut for.
            (self.meta.min_t, self.meta.max_t) = (self.meta.start_t, self.meta.end_t - 1);
        }
        if self.in_group > 0 {
            self.close_group();
        }
        let mut labels = Vec::new();
        put_varint(&mut labels, self.symbols.len() as u64);
        for symbol in 0..self.symbols.len() as u32 {
            put_str(&mut labels, self.symbols.get(symbol));
        }
        labels.append(&mut self.labels);
        if self.version >= SHARED_HEADS {
            labels = packed(&labels);
        }
        let labels = self.store(&labels);
        let exemplars = std::mem::take(&mut self.exemplars);
        let exemplars = self.store(&exemplars);
        let mut numbers = Vec::new();
        for number in sources {
            put_varint(&mut numbers, *number);
        }
        let sources = self.store(&numbers);
        let directory = self.directory();
        let directory = self.store(&directory);
        let footer = Footer { directory, labels, exemplars, sources, meta: self.meta };
        self.buffer.extend_from_slice(&footer.bytes(self.version));
        let written = self.flush().and_then(|()| self.file.sync().map_err(TsdbError::io("flush", &self.temporary)));
        if let Err(e) = written {
            self.abandon()?;
            return Err(e);
        }
        self.fs.rename(&self.temporary, &self.path).map_err(TsdbError::io("rename", &self.temporary))?;
        self.fs.sync_dir(self.dir).map_err(TsdbError::io(FLUSH_NAMES, self.dir))?;
        Block::open(self.fs, &self.path).map(Some)
    }

    /// Removes what was written so far.
    pub fn abandon(self) -> Result<(), TsdbError> {
        self.fs.remove(&self.temporary).map_err(TsdbError::io("remove", &self.temporary))
    }

    fn directory(&self) -> Vec<u8> {
        let mut by_id: Vec<(SeriesId, u32)> =
            self.ids.iter().enumerate().map(|(place, id)| (*id, place as u32)).collect();
        by_id.sort_unstable();
        let mut set: RoaringBitmap = by_id.iter().map(|(id, _)| *id).collect();
        set.optimize();
        let (mut bitmap, mut out) = (Vec::new(), Vec::new());
        set.serialize_into(&mut bitmap).expect("a vector takes every write");
        put_varint(&mut out, bitmap.len() as u64);
        out.extend_from_slice(&bitmap);
        put_varint(&mut out, by_id.len() as u64);
        let mut next = 0;
        for (_, place) in by_id {
            if self.version < SHARED_HEADS {
                out.extend_from_slice(&place.to_le_bytes());
            } else {
                put_zigzag(&mut out, i64::from(place) - next);
                next = i64::from(place) + 1;
            }
        }
        put_varint(&mut out, self.groups.len() as u64);
        for group in &self.groups {
            out.extend_from_slice(&group.offset.to_le_bytes());
            out.extend_from_slice(&group.len.to_le_bytes());
            out.extend_from_slice(&group.crc.to_le_bytes());
        }
        out
    }
}

fn put_place(out: &mut Vec<u8>, place: &Place) {
    match place {
        Place::Inline(bytes) => {
            put_varint(out, (bytes.len() as u64) << 1);
            out.extend_from_slice(bytes);
        }
        Place::Stored(section) => {
            put_varint(out, u64::from(section.len) << 1 | 1);
            put_varint(out, section.offset);
            out.extend_from_slice(&section.crc.to_le_bytes());
        }
    }
}
