//! Immutable block files: `header, columns, groups, labels, exemplars, sources, directory, footer`. Written once under a
//! temporary name, flushed, renamed.
//!
//! A *column* is the timestamps or the values of one run (module `column`). A *group* describes the runs of 64 series:
//! where their columns lie, or the columns themselves when they are short. What runs have in common, their time and
//! their timestamps, stands at the beginning of the group once: all series of a target are alike in it. The *directory*
//! leads from a series' number to its group; it is read when the file is opened, and is all that is. *Labels* repeat the
//! label sets of the block's series, so that a block can be read without the rest of the directory; they are asked only
//! when the checkpoint does not know the block. Every part has a CRC-32, checked when it is read.
//!
//! Files are read with positioned reads through a small window, not mapped into memory: a mapping needs `unsafe`, turns
//! a disk error or a file cut short into a signal that kills the process, and hides from the tests' file system. The
//! window makes neighbouring runs, which a query reads one after the other, cost one call.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use roaring::RoaringBitmap;

use crate::{
    codec::Reader,
    error::TsdbError,
    fs::{Fs, FsFile},
    postings::SeriesId,
    record::read_exemplars,
    symbols::Symbol,
};

pub(crate) use read::BlockReader;
pub(crate) use write::BlockWriter;

/// What every version of the format begins with; its number and two zeros follow.
const MAGIC_ANY: &[u8] = b"TFBLK";
const MAGIC_BYTES: usize = 8;
/// The version that is written.
const VERSION: u8 = PACKED_COLUMNS;
/// The oldest version that is read: each run says all of itself, labels are not compressed, and a place takes four bytes.
const VERSION_MIN: u8 = 2;
/// Since this version runs share what they have in common, labels are compressed, and places are differences.
const SHARED_HEADS: u8 = 3;
/// Since this version columns may be packed to their bits, which older programs would take for damage.
const PACKED_COLUMNS: u8 = 4;
/// The labels of a block at most, uncompressed: more is damage.
const LABELS_BYTES_MAX: u64 = 4 << 30;
const GROUP_SERIES: usize = 64;
/// Columns of at most this many bytes stand in the group.
const INLINE_BYTES_MAX: usize = 32;

/// A checked stretch of the file.
#[derive(Debug, Clone, Copy, Default)]
struct Section {
    offset: u64,
    len: u32,
    crc: u32,
}

const SECTIONS: usize = 4;
/// sections, first and last instant, its time, samples, CRC, magic
const FOOTER_BYTES: usize = SECTIONS * 16 + 5 * 8 + 4 + 8;

/// Which block a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockMeta {
    pub min_t: i64,
    pub max_t: i64,
    /// The time it was cut or compacted for: `start_t <= t < end_t`.
    pub start_t: i64,
    pub end_t: i64,
    /// Ascending over all blocks ever written to the directory.
    pub number: u64,
    pub samples: u64,
}

/// An open block file.
pub(crate) struct Block {
    pub path: PathBuf,
    pub meta: BlockMeta,
    pub bytes: u64,
    /// Blocks this one replaces, and the first that is in it.
    pub sources: Vec<u64>,
    /// Of the format.
    version: u8,
    file: Arc<dyn FsFile>,
    ids: RoaringBitmap,
    /// By rank of the id: its place in the groups.
    places: Vec<u32>,
    groups: Vec<Section>,
    labels: Section,
    exemplars: Section,
    damaged: AtomicBool,
}

pub(crate) fn block_path(dir: &Path, start: i64, end: i64, number: u64) -> PathBuf {
    dir.join(format!("{start:016}-{end:016}-{number:08}.blk"))
}

/// The number in a block's name.
pub(crate) fn number_of(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.rsplit_once('-')?.1.parse().ok()
}

/// Where the time begins for which a block was written, as its name says.
pub(crate) fn start_of(path: &Path) -> Option<i64> {
    path.file_stem()?.to_str()?.get(..16)?.parse().ok()
}

impl Block {
    pub fn ids(&self) -> &RoaringBitmap {
        &self.ids
    }
    pub fn overlaps(&self, start: i64, end: i64) -> bool {
        self.meta.min_t <= end && self.meta.max_t >= start
    }
    /// The number of the first block whose samples are in it. Of two samples at one instant the one from the lower came first,
    /// however often its block was written anew.
    pub fn rank(&self) -> u64 {
        self.sources.iter().copied().fold(self.meta.number, u64::min)
    }
    pub fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }
    fn damage(&self, what: &'static str) -> TsdbError {
        self.damaged.store(true, Ordering::Relaxed);
        TsdbError::Damaged { path: self.path.clone(), what }
    }
    /// Where a series stands in the order of the groups.
    fn place(&self, id: SeriesId) -> Option<u32> {
        if !self.ids.contains(id) {
            return None;
        }
        self.places.get(self.ids.rank(id) as usize - 1).copied()
    }
    fn section(&self, section: Section, what: &'static str) -> Result<Vec<u8>, TsdbError> {
        if section.offset.saturating_add(u64::from(section.len)) > self.bytes {
            return Err(self.damage(what));
        }
        let bytes = read_section(&*self.file, section).map_err(TsdbError::io("read", &self.path))?;
        bytes.ok_or_else(|| self.damage(what))
    }
    /// Calls `each` with the strings, then with every series and the numbers of its strings.
    pub fn labels(
        &self,
        mut string: impl FnMut(&str),
        mut each: impl FnMut(SeriesId, &[(Symbol, Symbol)]),
    ) -> Result<(), TsdbError> {
        let mut bytes = self.section(self.labels, "its labels' checksum does not match")?;
        if self.version >= SHARED_HEADS {
            bytes = unpacked(&bytes).ok_or_else(|| self.damage("its labels are malformed"))?;
        }
        let mut r = Reader::new(&bytes);
        let mut parse = || {
            for _ in 0..r.usize()? {
                string(r.str()?);
            }
            crate::record::read_symbol_series(r.rest(), |id, pairs| {
                each(id, pairs);
                Some(())
            })
        };
        parse().ok_or_else(|| self.damage("its labels are malformed"))
    }
    /// Every exemplar with its series.
    pub fn exemplars(&self) -> Result<Vec<(SeriesId, tenfold_types::Exemplar)>, TsdbError> {
        let bytes = self.section(self.exemplars, "its exemplars' checksum does not match")?;
        let mut out = Vec::new();
        read_exemplars(&bytes, |id, e| out.push((id, e))).ok_or_else(|| self.damage("its exemplars are malformed"))?;
        Ok(out)
    }
    /// Where the descriptions of runs lie: the first byte and how many.
    fn groups_span(&self) -> (u64, u64) {
        let begin = self.groups.first().map_or(0, |g| g.offset);
        (begin, self.groups.last().map_or(0, |g| g.offset + u64::from(g.len) - begin))
    }
    /// Has the descriptions of runs read ahead, which every query begins with, unless they are longer than that; how many
    /// bytes they are.
    pub fn read_ahead(&self, bytes_max: u64) -> Option<u64> {
        let (begin, len) = self.groups_span();
        (len <= bytes_max).then(|| {
            self.file.will_read(begin, len);
            len
        })
    }
    /// Opens a block. A [`TsdbError::Damaged`] one is to be set aside.
    pub fn open(fs: &dyn Fs, path: &Path) -> Result<Self, TsdbError> {
        let damaged = |what| TsdbError::Damaged { path: path.into(), what };
        let io = || TsdbError::io("read", path);
        let file = fs.open(path).map_err(TsdbError::io("open", path))?;
        let bytes = file.len().map_err(io())?;
        let footer_at = bytes
            .checked_sub(FOOTER_BYTES as u64)
            .filter(|at| *at >= MAGIC_BYTES as u64)
            .ok_or_else(|| damaged("it is too short"))?;
        let mut head = [0; MAGIC_BYTES];
        file.read_exact_at(&mut head, 0).map_err(io())?;
        let mut footer = [0; FOOTER_BYTES];
        file.read_exact_at(&mut footer, footer_at).map_err(io())?;
        if !head.starts_with(MAGIC_ANY) || !footer.ends_with(&head) {
            return Err(damaged("its beginning or its end is missing"));
        }
        let version = head[MAGIC_ANY.len()];
        if head != magic(version) || !(VERSION_MIN..=VERSION).contains(&version) {
            return Err(TsdbError::Format { path: path.into() });
        }
        let mut footer = Footer::parse(&footer, footer_at).ok_or_else(|| damaged("its footer is malformed"))?;
        footer.meta.number = number_of(path).ok_or_else(|| damaged("its name has no number"))?;
        let read = |s: Section, what| {
            read_section(&*file, s).map_err(io()).and_then(|bytes| bytes.ok_or_else(|| damaged(what)))
        };
        let sources = read(footer.sources, "its sources' checksum does not match")?;
        let directory = read(footer.directory, "its directory's checksum does not match")?;
        let (ids, places, groups) = parse_directory(&directory, footer.directory.offset, version)
            .ok_or_else(|| damaged("its directory is malformed"))?;
        let sources = parse_sources(&sources).ok_or_else(|| damaged("its sources are malformed"))?;
        Ok(Self {
            path: path.into(),
            meta: footer.meta,
            bytes,
            sources,
            version,
            file,
            ids,
            places,
            groups,
            labels: footer.labels,
            exemplars: footer.exemplars,
            damaged: AtomicBool::new(false),
        })
    }
}

/// What a file of a version begins and ends with.
const fn magic(version: u8) -> [u8; MAGIC_BYTES] {
    [b'T', b'F', b'B', b'L', b'K', version, 0, 0]
}

/// Strings and numbers of labels, which repeat all over, with little effort: every block has them.
fn packed(plain: &[u8]) -> Vec<u8> {
    let mut out = DeflateEncoder::new(Vec::new(), Compression::fast());
    out.write_all(plain).and_then(|()| out.finish()).expect("a vector takes every write")
}

/// What was packed; `None` when it is damaged.
fn unpacked(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let read = DeflateDecoder::new(bytes).take(LABELS_BYTES_MAX).read_to_end(&mut out).ok()?;
    ((read as u64) < LABELS_BYTES_MAX).then_some(out)
}

struct Footer {
    directory: Section,
    labels: Section,
    exemplars: Section,
    sources: Section,
    meta: BlockMeta,
}

impl Footer {
    fn bytes(&self, version: u8) -> Vec<u8> {
        let mut out = Vec::with_capacity(FOOTER_BYTES);
        for s in [self.directory, self.labels, self.exemplars, self.sources] {
            out.extend_from_slice(&s.offset.to_le_bytes());
            out.extend_from_slice(&s.len.to_le_bytes());
            out.extend_from_slice(&s.crc.to_le_bytes());
        }
        let m = &self.meta;
        for field in [m.min_t as u64, m.max_t as u64, m.start_t as u64, m.end_t as u64, m.samples] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&magic(version));
        out
    }
    fn parse(bytes: &[u8], footer_at: u64) -> Option<Self> {
        let (fields, rest) = bytes.split_at_checked(FOOTER_BYTES - 12)?;
        let mut r = Reader::new(fields);
        let mut sections = [Section::default(); SECTIONS];
        for section in &mut sections {
            *section = Section { offset: r.u64()?, len: r.u32()?, crc: r.u32()? };
            if section.offset.checked_add(u64::from(section.len))? > footer_at {
                return None;
            }
        }
        let (min_t, max_t, start_t, end_t, samples) = (r.i64()?, r.i64()?, r.i64()?, r.i64()?, r.u64()?);
        let crc = u32::from_le_bytes(rest.get(..4)?.try_into().ok()?);
        if crc32fast::hash(fields) != crc {
            return None;
        }
        let [directory, labels, exemplars, sources] = sections;
        let meta = BlockMeta { min_t, max_t, start_t, end_t, number: 0, samples };
        Some(Self { directory, labels, exemplars, sources, meta })
    }
}

/// The bytes of a section; `None` when they are damaged.
fn read_section(file: &dyn FsFile, section: Section) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; section.len as usize];
    file.read_exact_at(&mut bytes, section.offset)?;
    Ok((crc32fast::hash(&bytes) == section.crc).then_some(bytes))
}

type Directory = (RoaringBitmap, Vec<u32>, Vec<Section>);

fn parse_directory(bytes: &[u8], end: u64, version: u8) -> Option<Directory> {
    let mut r = Reader::new(bytes);
    let len = r.usize()?;
    let ids = RoaringBitmap::deserialize_from(r.bytes(len)?).ok()?;
    let count = r.usize().filter(|n| *n as u64 == ids.len())?;
    let mut places = Vec::with_capacity(count.min(bytes.len()));
    let mut next = 0;
    for _ in 0..count {
        let place =
            if version < SHARED_HEADS { r.u32()? } else { u32::try_from(r.zigzag()?.checked_add(next)?).ok()? };
        next = i64::from(place) + 1;
        places.push(Some(place).filter(|p| (*p as usize) < count)?);
    }
    let mut groups = Vec::new();
    for _ in 0..r.usize()? {
        let (offset, len, crc) = (r.u64()?, r.u32()?, r.u32()?);
        if offset.checked_add(u64::from(len))? > end {
            return None;
        }
        groups.push(Section { offset, len, crc });
    }
    (r.is_empty() && groups.len() == count.div_ceil(GROUP_SERIES)).then_some((ids, places, groups))
}

fn parse_sources(bytes: &[u8]) -> Option<Vec<u64>> {
    let mut r = Reader::new(bytes);
    let mut out = Vec::new();
    while !r.is_empty() {
        out.push(r.varint()?);
    }
    Some(out)
}
