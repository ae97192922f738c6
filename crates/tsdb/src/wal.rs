//! The write-ahead log: numbered segments of framed records (`length, CRC-32, kind, payload`) and checkpoints.
//!
//! Checkpoint `N` holds all that was in memory when segment `N` was closed, so it replaces the segments up to `N`. A
//! torn end (the process or the power went away in mid-write) is cut off at the last whole frame; a damaged frame in the
//! middle is passed over and what stands after it is read.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    error::TsdbError,
    fs::{Fs, FsFile, read_all},
    record::Kind,
};

const MAGIC: &[u8; 8] = b"TFWAL\x02\0\0";
/// What every version of the format begins with.
const MAGIC_ANY: &[u8] = b"TFWAL";
const FRAME_HEADER_BYTES: usize = 8;
/// A frame's kind and payload; longer ones are split by the writer and refused by the reader.
pub(crate) const FRAME_BYTES_MAX: usize = 32 << 20;

/// Writes a frame in place: what `fill` appends is its payload.
pub(crate) fn put_frame(out: &mut Vec<u8>, kind: Kind, fill: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
    out.push(kind as u8);
    fill(out);
    let body = at + FRAME_HEADER_BYTES;
    let (len, crc) = ((out.len() - body) as u32, crc32fast::hash(&out[body..]));
    out[at..at + 4].copy_from_slice(&len.to_le_bytes());
    out[at + 4..body].copy_from_slice(&crc.to_le_bytes());
}

/// The log being written.
pub(crate) struct Wal {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    number: u32,
    file: Arc<dyn FsFile>,
    path: PathBuf,
    bytes: u64,
    /// Of the segments closed since the last checkpoint.
    closed_bytes: u64,
    /// The file may end in part of a frame that could not be taken back.
    torn: bool,
}

fn segment_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:08}.seg"))
}

fn create_segment(fs: &dyn Fs, dir: &Path, number: u32) -> Result<(Arc<dyn FsFile>, PathBuf), TsdbError> {
    let path = segment_path(dir, number);
    let file = fs.create(&path).map_err(TsdbError::io("create", &path))?;
    file.append(MAGIC).map_err(TsdbError::io("write", &path))?;
    fs.sync_dir(dir).map_err(TsdbError::io("flush", dir))?;
    Ok((file, path))
}

impl Wal {
    /// Starts a new segment after `last`.
    pub fn start(fs: Arc<dyn Fs>, dir: &Path, last: u32) -> Result<Self, TsdbError> {
        let (file, path) = create_segment(&*fs, dir, last + 1)?;
        Ok(Self {
            fs,
            dir: dir.into(),
            number: last + 1,
            file,
            path,
            bytes: MAGIC.len() as u64,
            closed_bytes: 0,
            torn: false,
        })
    }
    pub fn number(&self) -> u32 {
        self.number
    }
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
    /// What a start would have to read beside the checkpoint.
    pub fn replay_bytes(&self) -> u64 {
        self.closed_bytes + self.bytes
    }
    pub fn closed_bytes(&self) -> u64 {
        self.closed_bytes
    }
    pub fn set_closed_bytes(&mut self, bytes: u64) {
        self.closed_bytes = bytes;
    }
    /// That much of the closed segments stands in a checkpoint now.
    pub fn subtract_closed_bytes(&mut self, bytes: u64) {
        self.closed_bytes = self.closed_bytes.saturating_sub(bytes);
    }
    pub fn file(&self) -> (Arc<dyn FsFile>, PathBuf) {
        (self.file.clone(), self.path.clone())
    }
    /// Hands whole frames to the kernel. On an error nothing of them stays.
    pub fn write(&mut self, frames: &[u8]) -> Result<(), TsdbError> {
        if self.torn {
            self.rotate()?;
        }
        match self.file.append(frames) {
            Ok(()) => {
                self.bytes += frames.len() as u64;
                Ok(())
            }
            Err(e) => {
                self.torn = self.file.truncate(self.bytes).is_err();
                Err(TsdbError::io("write", &self.path)(e))
            }
        }
    }
    /// Closes the segment (flushed) and starts the next one.
    pub fn rotate(&mut self) -> Result<(), TsdbError> {
        self.file.sync().map_err(TsdbError::io("flush", &self.path))?;
        let (file, path) = create_segment(&*self.fs, &self.dir, self.number + 1)?;
        self.closed_bytes += self.bytes;
        self.number += 1;
        self.file = file;
        self.path = path;
        self.bytes = MAGIC.len() as u64;
        self.torn = false;
        Ok(())
    }
}

/// Writes checkpoint `number` from frames produced by `fill`, then removes what it replaces. Its size.
pub(crate) fn write_checkpoint(
    fs: &dyn Fs,
    dir: &Path,
    number: u32,
    fill: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<(), TsdbError>) -> Result<(), TsdbError>,
) -> Result<u64, TsdbError> {
    let path = dir.join(format!("{number:08}.ckpt"));
    let temporary = path.with_extension("tmp");
    let file = fs.create(&temporary).map_err(TsdbError::io("create", &temporary))?;
    let mut size = 0;
    let mut append = |bytes: &[u8]| {
        size += bytes.len() as u64;
        file.append(bytes).map_err(TsdbError::io("write", &temporary))
    };
    append(MAGIC)?;
    fill(&mut append)?;
    file.sync().map_err(TsdbError::io("flush", &temporary))?;
    fs.rename(&temporary, &path).map_err(TsdbError::io("rename", &temporary))?;
    fs.sync_dir(dir).map_err(TsdbError::io("flush", dir))?;
    for part in list(fs, dir)? {
        if part.number < number || (part.number == number && !part.checkpoint) {
            fs.remove(&part.path).map_err(TsdbError::io("remove", &part.path))?;
        }
    }
    Ok(size)
}

/// A file of the log.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub number: u32,
    pub checkpoint: bool,
    pub path: PathBuf,
}

/// Every segment and checkpoint, oldest first, a checkpoint before the segment of the same number.
fn list(fs: &dyn Fs, dir: &Path) -> Result<Vec<Part>, TsdbError> {
    let mut parts: Vec<Part> = fs
        .list(dir)
        .map_err(TsdbError::io("list", dir))?
        .into_iter()
        .filter_map(|path| {
            let checkpoint = match path.extension()?.to_str()? {
                "seg" => false,
                "ckpt" => true,
                _ => return None,
            };
            let number = path.file_stem()?.to_str()?.parse().ok()?;
            Some(Part { number, checkpoint, path })
        })
        .collect();
    parts.sort_by_key(|p| (p.number, !p.checkpoint));
    Ok(parts)
}

/// What is to be replayed, in order, and the highest number ever used.
pub(crate) fn replay_order(fs: &dyn Fs, dir: &Path) -> Result<(Vec<Part>, u32), TsdbError> {
    for path in fs.list(dir).map_err(TsdbError::io("list", dir))? {
        if path.extension().is_some_and(|e| e == "tmp") {
            fs.remove(&path).map_err(TsdbError::io("remove", &path))?;
        }
    }
    let parts = list(fs, dir)?;
    let last = parts.last().map_or(0, |p| p.number);
    let from = parts.iter().rposition(|p| p.checkpoint).unwrap_or(0);
    let checkpoint = parts.get(from).filter(|p| p.checkpoint).map(|p| p.number);
    let parts = parts[from..].iter().filter(|p| p.checkpoint || Some(p.number) != checkpoint).cloned().collect();
    Ok((parts, last))
}

/// How far a part of the log could be read.
#[derive(Default)]
pub(crate) struct ReadEnd {
    /// Bytes after the last whole frame, cut off.
    pub torn_bytes: u64,
    /// Bytes of damaged frames in the middle, passed over.
    pub damaged_bytes: u64,
    /// The file is of another format.
    pub foreign: bool,
    /// What was read.
    pub bytes: u64,
}

/// Calls `each` with every whole frame of a part, and cuts a torn end off the file.
pub(crate) fn read_part(
    fs: &dyn Fs,
    part: &Part,
    mut each: impl FnMut(Kind, &[u8]) -> Option<()>,
) -> Result<ReadEnd, TsdbError> {
    let file = fs.open(&part.path).map_err(TsdbError::io("open", &part.path))?;
    let bytes = read_all(&*file).map_err(TsdbError::io("read", &part.path))?;
    let mut end = ReadEnd { bytes: bytes.len() as u64, ..ReadEnd::default() };
    if !bytes.starts_with(MAGIC) {
        end.foreign = bytes.len() >= MAGIC.len() && bytes.starts_with(MAGIC_ANY) && bytes[6..8] == [0, 0];
        end.torn_bytes = bytes.len() as u64;
        if !end.foreign && !bytes.is_empty() && !part.checkpoint {
            file.truncate(0).map_err(TsdbError::io("repair", &part.path))?;
        }
        return Ok(end);
    }
    let (mut good, mut at) = (MAGIC.len(), MAGIC.len());
    while at < bytes.len() {
        let whole = frame(&bytes, at).filter(|f| Kind::from_byte(f.kind).is_none_or(|k| each(k, f.payload).is_some()));
        match whole {
            Some(f) => {
                end.damaged_bytes += (at - good) as u64;
                at = f.next;
                good = at;
            }
            // Looks on for the next frame: a checksum that fits does not happen by chance.
            None => at = resume(&bytes, at),
        }
    }
    end.torn_bytes = (bytes.len() - good) as u64;
    if end.torn_bytes > 0 {
        file.truncate(good as u64).map_err(TsdbError::io("repair", &part.path))?;
    }
    Ok(end)
}

/// Where the next whole frame after a damaged one may begin.
fn resume(bytes: &[u8], at: usize) -> usize {
    // The length may still be right: then the next frame follows, and nothing need be searched.
    if let Some(next) = declared_end(bytes, at).filter(|next| frame(bytes, *next).is_some()) {
        return next;
    }
    (at + 1..bytes.len().min(at + RESYNC_BYTES_MAX))
        .find(|at| plausible(bytes, *at) && frame(bytes, *at).is_some())
        .unwrap_or(bytes.len())
}

/// After damage the next frame is searched this far; frames of a busy log are far shorter.
const RESYNC_BYTES_MAX: usize = 1 << 20;

fn declared_end(bytes: &[u8], at: usize) -> Option<usize> {
    let len = u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize;
    (len > 0 && len <= FRAME_BYTES_MAX).then_some(at + FRAME_HEADER_BYTES + len)
}

/// Whether a header of a known kind stands here: spares most checksums while searching.
fn plausible(bytes: &[u8], at: usize) -> bool {
    let end = declared_end(bytes, at).is_some_and(|end| end <= bytes.len() && end - at <= RESYNC_BYTES_MAX);
    end && bytes.get(at + FRAME_HEADER_BYTES).is_some_and(|kind| Kind::from_byte(*kind).is_some())
}

struct Frame<'a> {
    kind: u8,
    payload: &'a [u8],
    /// Where the next one starts.
    next: usize,
}

/// The frame at `offset`; `None` when it is not whole.
fn frame(bytes: &[u8], offset: usize) -> Option<Frame<'_>> {
    let header = bytes.get(offset..offset + FRAME_HEADER_BYTES)?;
    let crc = u32::from_le_bytes(header[4..].try_into().ok()?);
    let next = declared_end(bytes, offset)?;
    let body = bytes.get(offset + FRAME_HEADER_BYTES..next)?;
    (crc32fast::hash(body) == crc).then(|| Frame { kind: body[0], payload: &body[1..], next })
}
