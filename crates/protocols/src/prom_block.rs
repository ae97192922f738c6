//! Blocks of Prometheus' own store: the index of series and the segments of chunks, bytes in and samples out.
//!
//! Sources: `tsdb/docs/format/index.md` and `chunks.md`, and `tsdb/chunkenc` for the coding of chunks. Read is version 2 of
//! the index, which Prometheus has written since 2.1. Everything is checked against the bytes there are, and against the
//! checksums; nothing is reserved by what a file merely claims.

pub(crate) mod histograms;
mod tombstones;
mod xor2;

use tenfold_types::{HistogramPoint, Labels, Point};

use crate::{crc32c::crc32c, xor_chunk};
pub use tombstones::Tombstones;

/// Series of one block.
pub const SERIES_MAX: usize = 20_000_000;
/// Chunks of one series.
const CHUNKS_MAX: u64 = 10_000_000;
/// Labels of one series.
const LABELS_MAX: u64 = 1_000;

const INDEX_MAGIC: u32 = 0xBAAA_D700;
const CHUNKS_MAGIC: u32 = 0x85BD_40DD;
const TOC_BYTES: usize = 6 * 8 + 4;
/// Each series begins at a multiple of this; how many of them come before is its reference.
const SERIES_ALIGNED: u64 = 16;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    #[error("this is no {0} of a block of Prometheus")]
    Magic(&'static str),
    #[error("the {what} is of version {version}, which is not read")]
    Version { what: &'static str, version: u8 },
    #[error("the {0} ends early")]
    Truncated(&'static str),
    #[error("the checksum of the {0} is wrong")]
    Checksum(&'static str),
    #[error("the {0} contradicts itself")]
    Damaged(&'static str),
    #[error("the coding {0} of a chunk is not known")]
    Encoding(u8),
}

/// Where a chunk is: its segment, counted from 0, and its place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkRef {
    pub segment: usize,
    pub offset: usize,
    pub min_ms: i64,
    pub max_ms: i64,
}

/// A series of the index.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BlockSeries {
    /// By which tombstones name it.
    pub reference: u64,
    pub labels: Labels,
    pub chunks: Vec<ChunkRef>,
}

struct Cursor<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Cursor<'a> {
    fn bytes(&mut self, len: usize) -> Result<&'a [u8], BlockError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(BlockError::Truncated(self.what))?;
        self.rest = rest;
        Ok(taken)
    }
    fn u32(&mut self) -> Result<u32, BlockError> {
        self.bytes(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }
    fn u64(&mut self) -> Result<u64, BlockError> {
        Ok(u64::from(self.u32()?) << 32 | u64::from(self.u32()?))
    }
    fn uvarint(&mut self) -> Result<u64, BlockError> {
        let mut out = 0_u64;
        for i in 0..10 {
            let byte = self.bytes(1)?[0];
            out |= u64::from(byte & 0x7F) << (7 * i);
            if byte < 0x80 {
                return Ok(out);
            }
        }
        Err(BlockError::Damaged(self.what))
    }
    fn varint(&mut self) -> Result<i64, BlockError> {
        self.uvarint().map(crate::wire::unzigzag)
    }
    fn len(&mut self) -> Result<usize, BlockError> {
        usize::try_from(self.uvarint()?).map_err(|_| BlockError::Truncated(self.what))
    }
    /// So many bytes, with the checksum that follows them.
    fn checked(&mut self, len: usize) -> Result<&'a [u8], BlockError> {
        let bytes = self.bytes(len)?;
        if self.u32()? == crc32c(bytes) { Ok(bytes) } else { Err(BlockError::Checksum(self.what)) }
    }
}

/// The index of a block.
pub struct Index<'a> {
    bytes: &'a [u8],
    symbols: Vec<&'a str>,
    at: usize,
    end: usize,
    read: usize,
}

impl<'a> Index<'a> {
    /// Reads the table of contents and the symbols.
    pub fn open(bytes: &'a [u8]) -> Result<Self, BlockError> {
        let mut head = Cursor { rest: bytes, what: "index" };
        if head.u32()? != INDEX_MAGIC {
            return Err(BlockError::Magic("index"));
        }
        match head.bytes(1)?[0] {
            2 => {}
            version => return Err(BlockError::Version { what: "index", version }),
        }
        let toc_at = bytes.len().checked_sub(TOC_BYTES).ok_or(BlockError::Truncated("index"))?;
        let mut toc = Cursor { rest: &bytes[toc_at..], what: "table of contents" };
        let mut toc = Cursor { rest: toc.checked(TOC_BYTES - 4)?, what: "table of contents" };
        let mut section = || toc.u64();
        let (symbols, series) = (section()?, section()?);
        let after = [section()?, section()?, section()?, section()?];
        let place = |at: u64| {
            usize::try_from(at).ok().filter(|at| *at <= toc_at).ok_or(BlockError::Damaged("table of contents"))
        };
        let series = place(series)?;
        // The series end where the next section begins.
        let mut end = toc_at;
        for at in after {
            let at = place(at)?;
            if at > series {
                end = end.min(at);
            }
        }
        let mut table = Cursor { rest: &bytes[place(symbols)?..], what: "table of symbols" };
        let len = table.u32()? as usize;
        let mut table = Cursor { rest: table.checked(len)?, what: "table of symbols" };
        let count = table.u32()? as usize;
        let mut symbols = Vec::with_capacity(count.min(len));
        for _ in 0..count {
            let len = table.len()?;
            let text = std::str::from_utf8(table.bytes(len)?).map_err(|_| BlockError::Damaged("table of symbols"))?;
            symbols.push(text);
        }
        Ok(Self { bytes, symbols, at: series, end, read: 0 })
    }

    fn symbol(&self, number: u64) -> Result<&'a str, BlockError> {
        let found = usize::try_from(number).ok().and_then(|n| self.symbols.get(n));
        found.copied().ok_or(BlockError::Damaged("series"))
    }

    /// The next series, in the order of their labels; `None` after the last.
    pub fn next_series(&mut self) -> Result<Option<BlockSeries>, BlockError> {
        let at = self.at.next_multiple_of(SERIES_ALIGNED as usize);
        if at >= self.end || self.read >= SERIES_MAX {
            return Ok(None);
        }
        let what = "series";
        let mut c = Cursor { rest: &self.bytes[at..self.end], what };
        let len = c.len()?;
        let mut s = Cursor { rest: c.checked(len)?, what };
        self.at = self.end - c.rest.len();
        self.read += 1;
        let mut out = BlockSeries { reference: at as u64 / SERIES_ALIGNED, ..BlockSeries::default() };
        let count = s.uvarint()?;
        if count > LABELS_MAX {
            return Err(BlockError::Damaged(what));
        }
        let mut pairs = Vec::new();
        for _ in 0..count {
            pairs.push((self.symbol(s.uvarint()?)?, self.symbol(s.uvarint()?)?));
        }
        out.labels = Labels::from_pairs(pairs);
        let count = s.uvarint()?;
        if count > CHUNKS_MAX {
            return Err(BlockError::Damaged(what));
        }
        let (mut max_ms, mut reference) = (0_i64, 0_i64);
        for i in 0..count {
            let min_ms = if i == 0 { s.varint()? } else { max_ms.wrapping_add(s.uvarint()? as i64) };
            max_ms = min_ms.wrapping_add(s.uvarint()? as i64);
            reference = if i == 0 { s.uvarint()? as i64 } else { reference.wrapping_add(s.varint()?) };
            let (segment, offset) = (reference as u64 >> 32, reference as u64 & 0xFFFF_FFFF);
            out.chunks.push(ChunkRef { segment: segment as usize, offset: offset as usize, min_ms, max_ms });
        }
        Ok(Some(out))
    }
}

/// Whether these are the bytes of a segment of chunks.
pub fn check_segment(bytes: &[u8]) -> Result<(), BlockError> {
    let mut head = Cursor { rest: bytes, what: "segment of chunks" };
    if head.u32()? != CHUNKS_MAGIC {
        return Err(BlockError::Magic("segment of chunks"));
    }
    match head.bytes(1)?[0] {
        1 => Ok(()),
        version => Err(BlockError::Version { what: "segment of chunks", version }),
    }
}

/// Appends the samples of a chunk of a segment.
pub fn read_chunk(
    segment: &[u8],
    offset: usize,
    floats: &mut Vec<Point>,
    histograms: &mut Vec<HistogramPoint>,
) -> Result<(), BlockError> {
    let what = "chunk";
    let mut c = Cursor { rest: segment.get(offset..).ok_or(BlockError::Truncated(what))?, what };
    let len = c.len()?;
    let len = len.checked_add(1).ok_or(BlockError::Truncated(what))?;
    let (encoding, data) = c.checked(len)?.split_first().ok_or(BlockError::Truncated(what))?;
    let read = match encoding {
        1 => xor_chunk::decode(data, floats),
        2 => histograms::decode(data, false, histograms),
        3 => histograms::decode(data, true, histograms),
        4 => xor2::decode(data, floats),
        5 => histograms::decode_with_starts(data, false, histograms),
        6 => histograms::decode_with_starts(data, true, histograms),
        other => return Err(BlockError::Encoding(*other)),
    };
    read.ok_or(BlockError::Damaged(what))
}

#[cfg(test)]
mod tests;
