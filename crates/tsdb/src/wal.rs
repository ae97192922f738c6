//! The write-ahead log: numbered segments of framed records (`length, CRC-32, kind, payload`) and checkpoints.
//!
//! A segment needs no other: it repeats every series it mentions. Checkpoint `N` replaces the segments up to `N`. A torn
//! end (the process or the power went away in mid-write) is cut off at the last whole frame.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    error::TsdbError,
    fs::{Fs, FsFile, read_all},
    record::Kind,
};

const MAGIC: &[u8; 8] = b"TFWAL\x01\0\0";
const FRAME_HEADER_BYTES: usize = 8;
/// A frame's kind and payload; longer ones are split by the writer and refused by the reader.
pub(crate) const FRAME_BYTES_MAX: usize = 32 << 20;

/// Appends one frame to a buffer.
pub(crate) fn put_frame(out: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[kind as u8]);
    hasher.update(payload);
    out.extend_from_slice(&(payload.len() as u32 + 1).to_le_bytes());
    out.extend_from_slice(&hasher.finalize().to_le_bytes());
    out.push(kind as u8);
    out.extend_from_slice(payload);
}

/// The log being written.
pub(crate) struct Wal {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    number: u32,
    file: Arc<dyn FsFile>,
    path: PathBuf,
    bytes: u64,
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
        Ok(Self { fs, dir: dir.into(), number: last + 1, file, path, bytes: MAGIC.len() as u64, torn: false })
    }
    pub fn number(&self) -> u32 {
        self.number
    }
    pub fn bytes(&self) -> u64 {
        self.bytes
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
        self.number += 1;
        self.file = file;
        self.path = path;
        self.bytes = MAGIC.len() as u64;
        self.torn = false;
        Ok(())
    }
}

/// Writes checkpoint `number` from frames produced by `fill`, then removes what it replaces.
pub(crate) fn write_checkpoint(
    fs: &dyn Fs,
    dir: &Path,
    number: u32,
    fill: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<(), TsdbError>) -> Result<(), TsdbError>,
) -> Result<(), TsdbError> {
    let path = dir.join(format!("{number:08}.ckpt"));
    let temporary = path.with_extension("tmp");
    let file = fs.create(&temporary).map_err(TsdbError::io("create", &temporary))?;
    let mut append = |bytes: &[u8]| file.append(bytes).map_err(TsdbError::io("write", &temporary));
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
    Ok(())
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
pub(crate) struct ReadEnd {
    /// Bytes after the last whole frame.
    pub torn_bytes: u64,
}

/// Calls `each` with every whole frame of a part, and cuts a torn end off the file.
pub(crate) fn read_part(
    fs: &dyn Fs,
    part: &Part,
    mut each: impl FnMut(Kind, &[u8]) -> Option<()>,
) -> Result<ReadEnd, TsdbError> {
    let file = fs.open(&part.path).map_err(TsdbError::io("open", &part.path))?;
    let bytes = read_all(&*file).map_err(TsdbError::io("read", &part.path))?;
    let mut good = 0;
    if bytes.starts_with(MAGIC) {
        good = MAGIC.len();
        while let Some((kind, payload, next)) = frame(&bytes, good) {
            if let Some(kind) = Kind::from_byte(kind)
                && each(kind, payload).is_none()
            {
                break;
            }
            good = next;
        }
    }
    let torn_bytes = (bytes.len() - good) as u64;
    if torn_bytes > 0 {
        file.truncate(good as u64).map_err(TsdbError::io("repair", &part.path))?;
    }
    Ok(ReadEnd { torn_bytes })
}

/// The frame at `offset`: kind, payload and where the next one starts; `None` when it is not whole.
fn frame(bytes: &[u8], offset: usize) -> Option<(u8, &[u8], usize)> {
    let header = bytes.get(offset..offset + FRAME_HEADER_BYTES)?;
    let len = u32::from_le_bytes(header[..4].try_into().ok()?) as usize;
    let crc = u32::from_le_bytes(header[4..].try_into().ok()?);
    if len == 0 || len > FRAME_BYTES_MAX {
        return None;
    }
    let start = offset + FRAME_HEADER_BYTES;
    let body = bytes.get(start..start + len)?;
    (crc32fast::hash(body) == crc).then(|| (body[0], &body[1..], start + len))
}
