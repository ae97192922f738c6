//! Immutable block files: `header, chunks, index, footer`. Written once under a temporary name, flushed, renamed.
//!
//! The index (strings, series, where each chunk lies and its CRC-32) is read and checked when the file is opened; chunks
//! are read when a query wants them and checked then.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tenfold_types::{Labels, Point};

use crate::{
    chunk::{Chunk, Encoding, decode},
    codec::{Reader, put_str, put_varint, put_zigzag},
    error::TsdbError,
    fs::{Fs, FsFile},
    postings::SeriesId,
};

const MAGIC: &[u8; 8] = b"TFBLK\x01\0\0";
/// index offset, index length, index CRC, first and last instant, samples, magic
const FOOTER_BYTES: usize = 8 + 8 + 4 + 8 + 8 + 8 + 8;
/// Longer runs are split, so that a short query need not decode a whole block of a busy series.
const CHUNK_SAMPLES_MAX: usize = 1024;
const WRITE_BYTES: usize = 1 << 20;

#[derive(Debug, Clone, Copy)]
pub(crate) struct ChunkRef {
    pub min_t: i64,
    pub max_t: i64,
    offset: u64,
    len: u32,
    crc: u32,
    count: u32,
    encoding: Encoding,
}

/// An open block file.
pub(crate) struct Block {
    pub path: PathBuf,
    pub min_t: i64,
    pub max_t: i64,
    /// Time before this is closed: the end in the file's name, past the newest sample.
    pub end_t: i64,
    pub samples: u64,
    pub bytes: u64,
    file: Arc<dyn FsFile>,
    /// (series, its first chunk); sorted by series, with one entry past the end.
    series: Vec<(SeriesId, u32)>,
    chunks: Vec<ChunkRef>,
    damaged: AtomicBool,
}

impl Block {
    pub fn series_ids(&self) -> impl Iterator<Item = SeriesId> {
        self.series[..self.series.len().saturating_sub(1)].iter().map(|(id, _)| *id)
    }
    pub fn contains(&self, id: SeriesId) -> bool {
        !self.chunks_of(id).is_empty()
    }
    pub fn chunks_of(&self, id: SeriesId) -> &[ChunkRef] {
        match self.series[..self.series.len().saturating_sub(1)].binary_search_by_key(&id, |(id, _)| *id) {
            Ok(i) => &self.chunks[self.series[i].1 as usize..self.series[i + 1].1 as usize],
            Err(_) => &[],
        }
    }
    pub fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }
    /// Reads one chunk's samples within the time.
    pub fn read(&self, chunk: &ChunkRef, start: i64, end: i64, out: &mut Vec<Point>) -> Result<(), TsdbError> {
        let mut bytes = vec![0; chunk.len as usize];
        self.file.read_exact_at(&mut bytes, chunk.offset).map_err(TsdbError::io("read", &self.path))?;
        let whole = crc32fast::hash(&bytes) == chunk.crc;
        if !whole || decode(&bytes, chunk.encoding, chunk.count, start, end, out).is_none() {
            self.damaged.store(true, Ordering::Relaxed);
            return Err(TsdbError::Damaged { path: self.path.clone(), what: "a chunk's checksum does not match" });
        }
        Ok(())
    }
    /// Opens a block; `intern` gives the number of a label set. An [`TsdbError::Damaged`] block is to be set aside.
    pub fn open(
        fs: &dyn Fs,
        path: &Path,
        mut intern: impl FnMut(Labels) -> SeriesId,
        mut newest: impl FnMut(SeriesId, i64),
    ) -> Result<Self, TsdbError> {
        let damaged = |what| TsdbError::Damaged { path: path.into(), what };
        let file = fs.open(path).map_err(TsdbError::io("open", path))?;
        let bytes = file.len().map_err(TsdbError::io("read", path))?;
        let footer_at = bytes.checked_sub(FOOTER_BYTES as u64).ok_or_else(|| damaged("it is too short"))?;
        let mut footer = [0; FOOTER_BYTES];
        file.read_exact_at(&mut footer, footer_at).map_err(TsdbError::io("read", path))?;
        if !footer.ends_with(MAGIC) {
            return Err(damaged("its end is missing"));
        }
        let mut r = Reader::new(&footer);
        let fields = (|| Some((r.u64()?, r.u64()?, r.u32()?, r.i64()?, r.i64()?, r.u64()?)))();
        let (at, len, crc, min_t, max_t, samples) = fields.expect("the footer has its fixed length");
        if at.checked_add(len) != Some(footer_at) {
            return Err(damaged("its footer contradicts its length"));
        }
        let mut index = vec![0; len as usize];
        file.read_exact_at(&mut index, at).map_err(TsdbError::io("read", path))?;
        if crc32fast::hash(&index) != crc {
            return Err(damaged("the index's checksum does not match"));
        }
        let parsed = parse_index(&index, min_t, at).ok_or_else(|| damaged("its index is malformed"))?;
        let mut rows: Vec<(SeriesId, Vec<ChunkRef>)> = Vec::with_capacity(parsed.len());
        for (labels, chunks) in parsed {
            let id = intern(labels);
            if let Some(last) = chunks.last() {
                newest(id, last.max_t);
            }
            rows.push((id, chunks));
        }
        Ok(Self::assemble(path, file, bytes, (min_t, max_t, samples), rows))
    }
    fn assemble(
        path: &Path,
        file: Arc<dyn FsFile>,
        bytes: u64,
        (min_t, max_t, samples): (i64, i64, u64),
        mut rows: Vec<(SeriesId, Vec<ChunkRef>)>,
    ) -> Self {
        rows.sort_unstable_by_key(|(id, _)| *id);
        let mut series = Vec::with_capacity(rows.len() + 1);
        let mut chunks = Vec::new();
        for (id, refs) in rows {
            series.push((id, chunks.len() as u32));
            chunks.extend(refs);
        }
        series.push((SeriesId::MAX, chunks.len() as u32));
        let named_end = path.file_stem().and_then(|n| n.to_str()?.rsplit_once('-')?.1.parse().ok());
        Self {
            path: path.into(),
            min_t,
            max_t,
            end_t: named_end.unwrap_or(i64::MIN).max(max_t.saturating_add(1)),
            samples,
            bytes,
            file,
            series,
            chunks,
            damaged: AtomicBool::new(false),
        }
    }
}

fn parse_index(bytes: &[u8], base_t: i64, chunks_end: u64) -> Option<Vec<(Labels, Vec<ChunkRef>)>> {
    let mut r = Reader::new(bytes);
    let mut strings = Vec::new();
    for _ in 0..r.usize()? {
        strings.push(r.str()?);
    }
    let mut rows = Vec::new();
    for _ in 0..r.usize()? {
        let mut labels = Labels::new();
        for _ in 0..r.usize()? {
            let (name, value) = (r.usize()?, r.usize()?);
            labels.set(*strings.get(name)?, *strings.get(value)?);
        }
        let mut chunks = Vec::new();
        for _ in 0..r.usize()? {
            let min_t = base_t.checked_add(r.zigzag()?)?;
            let max_t = min_t.checked_add(i64::try_from(r.varint()?).ok()?)?;
            let count = u32::try_from(r.varint()?).ok()?;
            let encoding = Encoding::from_byte(r.byte()?)?;
            let (offset, len, crc) = (r.varint()?, u32::try_from(r.varint()?).ok()?, r.u32()?);
            if offset.checked_add(u64::from(len))? > chunks_end {
                return None;
            }
            chunks.push(ChunkRef { min_t, max_t, offset, len, crc, count, encoding });
        }
        rows.push((labels, chunks));
    }
    r.is_empty().then_some(rows)
}

/// One series to be written.
pub(crate) struct Row {
    pub id: SeriesId,
    pub labels: Arc<Labels>,
    pub sealed: Vec<Chunk>,
    pub open: Vec<Point>,
}

/// Writes the rows' samples within `start..end` as a block and opens it; `None` when there are none.
pub(crate) fn write(
    fs: &dyn Fs,
    dir: &Path,
    start: i64,
    end: i64,
    mut rows: Vec<Row>,
) -> Result<Option<Block>, TsdbError> {
    rows.sort_by(|a, b| a.labels.cmp(&b.labels));
    let path = dir.join(format!("{start:016}-{end:016}.blk"));
    let temporary = path.with_extension("tmp");
    let file = fs.create(&temporary).map_err(TsdbError::io("create", &temporary))?;
    let put = |bytes: &[u8]| file.append(bytes).map_err(TsdbError::io("write", &temporary));
    let mut buffer = MAGIC.to_vec();
    let (mut offset, mut samples) = (MAGIC.len() as u64, 0u64);
    let (mut min_t, mut max_t) = (i64::MAX, i64::MIN);
    let mut written: Vec<(Row, Vec<ChunkRef>)> = Vec::with_capacity(rows.len());
    let mut points = Vec::new();
    for row in rows {
        points.clear();
        for chunk in &row.sealed {
            chunk.decode_range(start, end - 1, &mut points).expect("chunks in memory were encoded by this process");
        }
        points.extend(row.open.iter().filter(|p| (start..end).contains(&p.t_ms)));
        let mut refs = Vec::new();
        for chunk in points.chunks(CHUNK_SAMPLES_MAX).filter_map(Chunk::encode) {
            let crc = crc32fast::hash(&chunk.bytes);
            refs.push(ChunkRef {
                min_t: chunk.min_t,
                max_t: chunk.max_t,
                offset,
                len: chunk.bytes.len() as u32,
                crc,
                count: chunk.count,
                encoding: chunk.encoding,
            });
            buffer.extend_from_slice(&chunk.bytes);
            offset += chunk.bytes.len() as u64;
            samples += u64::from(chunk.count);
            min_t = min_t.min(chunk.min_t);
            max_t = max_t.max(chunk.max_t);
        }
        if buffer.len() >= WRITE_BYTES {
            put(&buffer)?;
            buffer.clear();
        }
        if !refs.is_empty() {
            written.push((row, refs));
        }
    }
    if written.is_empty() {
        fs.remove(&temporary).map_err(TsdbError::io("remove", &temporary))?;
        return Ok(None);
    }
    let index = index_bytes(&written, min_t);
    buffer.extend_from_slice(&index);
    for field in [offset, index.len() as u64] {
        buffer.extend_from_slice(&field.to_le_bytes());
    }
    buffer.extend_from_slice(&crc32fast::hash(&index).to_le_bytes());
    for field in [min_t as u64, max_t as u64, samples] {
        buffer.extend_from_slice(&field.to_le_bytes());
    }
    buffer.extend_from_slice(MAGIC);
    put(&buffer)?;
    file.sync().map_err(TsdbError::io("flush", &temporary))?;
    fs.rename(&temporary, &path).map_err(TsdbError::io("rename", &temporary))?;
    fs.sync_dir(dir).map_err(TsdbError::io("flush", dir))?;
    let bytes = file.len().map_err(TsdbError::io("read", &path))?;
    let rows = written.into_iter().map(|(row, refs)| (row.id, refs)).collect();
    Ok(Some(Block::assemble(&path, file, bytes, (min_t, max_t, samples), rows)))
}

fn index_bytes(rows: &[(Row, Vec<ChunkRef>)], base_t: i64) -> Vec<u8> {
    let mut numbers: HashMap<&str, u64> = HashMap::new();
    let mut strings: Vec<&str> = Vec::new();
    let mut body = Vec::new();
    for (row, refs) in rows {
        put_varint(&mut body, row.labels.len() as u64);
        for (name, value) in row.labels.iter() {
            for text in [name, value] {
                let number = *numbers.entry(text).or_insert_with(|| {
                    strings.push(text);
                    strings.len() as u64 - 1
                });
                put_varint(&mut body, number);
            }
        }
        put_varint(&mut body, refs.len() as u64);
        for c in refs {
            put_zigzag(&mut body, c.min_t - base_t);
            put_varint(&mut body, (c.max_t - c.min_t) as u64);
            put_varint(&mut body, u64::from(c.count));
            body.push(c.encoding as u8);
            put_varint(&mut body, c.offset);
            put_varint(&mut body, u64::from(c.len));
            body.extend_from_slice(&c.crc.to_le_bytes());
        }
    }
    let mut out = Vec::new();
    put_varint(&mut out, strings.len() as u64);
    for text in strings {
        put_str(&mut out, text);
    }
    put_varint(&mut out, rows.len() as u64);
    out.extend_from_slice(&body);
    out
}
