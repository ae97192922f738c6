//! The write-ahead log: numbered segments of framed records (`length, CRC-32, kind, payload`), checkpoints and additions.
//!
//! Checkpoint `N` holds all that was in memory when segment `N` was closed, so it replaces the segments up to `N`. Addition
//! `M` holds what came to memory between checkpoint `N` and the end of segment `M`: the two together replace the segments up
//! to `M`, and the addition replaces those before it. Each is written aside, flushed, and counts from its renaming on. A
//! torn end (the process or the power went away in mid-write) is cut off at the last whole frame; a damaged frame in the
//! middle is passed over and what stands after it is read.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    error::{FLUSH_NAMES, TsdbError},
    fs::{Fs, FsFile},
    record::Kind,
    threads::{in_parts, threads},
};

const MAGIC: &[u8; 8] = b"TFWAL\x02\0\0";
/// Of additions, and of the segment behind one: a version that knows no additions must not read past them.
const MAGIC_ADDED: &[u8; 8] = b"TFWAL\x03\0\0";
/// What every version of the format begins with.
const MAGIC_ANY: &[u8] = b"TFWAL";
/// Versions are counted up from one, and there will not be so many: such a byte has rotted.
const VERSION_NEVER: u8 = 16;
/// At one file a second this takes 68 years: such a name is none of the store's, and the next number would have no room.
const NUMBER_NEVER: u32 = 1 << 31;
const FRAME_HEADER_BYTES: usize = 8;
/// A frame's kind and payload; a reader takes longer ones for damage. The writer keeps far below it.
const FRAME_BYTES_MAX: usize = 1 << 30;
/// A frame that has grown to this is closed: it bounds what one damaged byte takes along.
pub(crate) const FRAME_BYTES: usize = 256 << 10;

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

/// Writes as many frames as the items need: a frame is over [`FRAME_BYTES`] by one item at most.
pub(crate) fn put_frames<T>(
    out: &mut Vec<u8>,
    kind: Kind,
    items: impl IntoIterator<Item = T>,
    mut put: impl FnMut(&mut Vec<u8>, T),
) {
    let mut items = items.into_iter().peekable();
    while items.peek().is_some() {
        put_frame(out, kind, |out| {
            let from = out.len();
            while out.len() - from < FRAME_BYTES {
                let Some(item) = items.next() else { break };
                put(out, item);
            }
        });
    }
}

/// The log being written.
pub(crate) struct Wal {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    number: u32,
    /// None while the disk has had no room for one since the start.
    file: Option<Arc<dyn FsFile>>,
    path: PathBuf,
    bytes: u64,
    /// Of the segments closed since the last checkpoint.
    closed_bytes: u64,
    /// Samples in all segments since the last checkpoint.
    samples: u64,
    /// The file may end in part of a frame that could not be taken back.
    torn: bool,
    /// A flush failed: what of the log is on the disk is unknown from then on, whatever later flushes say.
    fenced: Arc<AtomicBool>,
}

fn segment_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:08}.seg"))
}

fn create_segment(fs: &dyn Fs, dir: &Path, number: u32, magic: &[u8]) -> Result<(Arc<dyn FsFile>, PathBuf), TsdbError> {
    let path = segment_path(dir, number);
    let file = fs.create(&path).map_err(TsdbError::io("create", &path))?;
    file.append(magic).map_err(TsdbError::io("write", &path))?;
    fs.sync_dir(dir).map_err(TsdbError::io(FLUSH_NAMES, dir))?;
    Ok((file, path))
}

impl Wal {
    /// Starts a new segment after `last`. On a full disk the first write does: what there is can be read until then.
    pub fn start(fs: Arc<dyn Fs>, dir: &Path, last: u32) -> Result<Self, TsdbError> {
        let mut wal = Self {
            fs,
            dir: dir.into(),
            number: last,
            file: None,
            path: dir.into(),
            bytes: 0,
            closed_bytes: 0,
            samples: 0,
            torn: false,
            fenced: Arc::default(),
        };
        match wal.rotate() {
            Err(e) if !e.is_disk_full() => Err(e),
            _ => Ok(wal),
        }
    }
    pub fn fenced(&self) -> Arc<AtomicBool> {
        self.fenced.clone()
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
    /// What was found in closed segments at a start.
    pub fn set_closed(&mut self, bytes: u64, samples: u64) {
        (self.closed_bytes, self.samples) = (bytes, samples);
    }
    pub fn samples(&self) -> u64 {
        self.samples
    }
    /// The frames written last had that many samples.
    pub fn add_samples(&mut self, samples: usize) {
        self.samples += samples as u64;
    }
    /// That much of the closed segments stands in a checkpoint now.
    pub fn subtract(&mut self, bytes: u64, samples: u64) {
        self.closed_bytes = self.closed_bytes.saturating_sub(bytes);
        self.samples = self.samples.saturating_sub(samples);
    }
    /// What is to be flushed.
    pub fn file(&self) -> Option<(Arc<dyn FsFile>, PathBuf)> {
        Some((self.file.clone()?, self.path.clone()))
    }
    /// Hands whole frames to the kernel. On an error nothing of them stays.
    pub fn write(&mut self, frames: &[u8]) -> Result<(), TsdbError> {
        if self.torn || self.file.is_none() {
            self.rotate()?;
        }
        let Some(file) = &self.file else { return Err(TsdbError::Fenced) };
        match file.append(frames) {
            Ok(()) => {
                self.bytes += frames.len() as u64;
                Ok(())
            }
            Err(e) => {
                self.torn = file.truncate(self.bytes).is_err();
                Err(TsdbError::io("write", &self.path)(e))
            }
        }
    }
    /// Closes the segment (flushed) and starts the next one. A failed flush fences: the kernel tells of it once.
    pub fn rotate(&mut self) -> Result<(), TsdbError> {
        self.rotate_to(MAGIC)
    }
    /// The same, where an addition is to stand before the next one.
    pub fn rotate_behind_addition(&mut self) -> Result<(), TsdbError> {
        self.rotate_to(MAGIC_ADDED)
    }
    fn rotate_to(&mut self, magic: &[u8]) -> Result<(), TsdbError> {
        if let Some(file) = self.file.as_ref().filter(|_| !self.fenced.load(Ordering::Acquire)) {
            file.sync().map_err(|e| {
                self.fenced.store(true, Ordering::Release);
                TsdbError::io("flush", &self.path)(e)
            })?;
        }
        let created = create_segment(&*self.fs, &self.dir, self.number + 1, magic);
        if created.as_ref().is_err_and(TsdbError::is_names_lost) {
            self.fenced.store(true, Ordering::Release);
        }
        let (file, path) = created?;
        self.closed_bytes += self.bytes;
        self.number += 1;
        self.file = Some(file);
        self.path = path;
        self.bytes = magic.len() as u64;
        self.torn = false;
        Ok(())
    }
}

/// Writes checkpoint or addition `number` from frames produced by `fill`, then removes what it replaces. Its size.
pub(crate) fn write_part(
    fs: &dyn Fs,
    dir: &Path,
    (number, kind): (u32, PartKind),
    fill: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<(), TsdbError>) -> Result<(), TsdbError>,
) -> Result<u64, TsdbError> {
    let is_checkpoint = kind == PartKind::Checkpoint;
    let (extension, magic) = if is_checkpoint { ("ckpt", MAGIC) } else { ("add", MAGIC_ADDED) };
    let path = dir.join(format!("{number:08}.{extension}"));
    let temporary = path.with_extension("tmp");
    let file = fs.create(&temporary).map_err(TsdbError::io("create", &temporary))?;
    let mut size = 0;
    let mut append = |bytes: &[u8]| {
        size += bytes.len() as u64;
        file.append(bytes).map_err(TsdbError::io("write", &temporary))
    };
    let written = append(magic)
        .and_then(|()| fill(&mut append))
        .and_then(|()| file.sync().map_err(TsdbError::io("flush", &temporary)));
    if let Err(e) = written {
        // A full disk gets back what it holds of this.
        fs.remove(&temporary).map_err(TsdbError::io("remove", &temporary))?;
        return Err(e);
    }
    fs.rename(&temporary, &path).map_err(TsdbError::io("rename", &temporary))?;
    fs.sync_dir(dir).map_err(TsdbError::io(FLUSH_NAMES, dir))?;
    for part in list(fs, dir)? {
        let before = part.number < number || (part.number == number && part.kind == PartKind::Segment);
        // An addition stands beside its checkpoint.
        if before && (is_checkpoint || part.kind != PartKind::Checkpoint) {
            fs.remove(&part.path).map_err(TsdbError::io("remove", &part.path))?;
        }
    }
    Ok(size)
}

/// What a file of the log is; in this order they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PartKind {
    Checkpoint,
    Addition,
    Segment,
}

/// A file of the log.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub number: u32,
    pub kind: PartKind,
    pub path: PathBuf,
}

/// Every file of the log, oldest first.
fn list(fs: &dyn Fs, dir: &Path) -> Result<Vec<Part>, TsdbError> {
    let mut parts: Vec<Part> = fs
        .list(dir)
        .map_err(TsdbError::io("list", dir))?
        .into_iter()
        .filter_map(|path| {
            let kind = match path.extension()?.to_str()? {
                "seg" => PartKind::Segment,
                "add" => PartKind::Addition,
                "ckpt" => PartKind::Checkpoint,
                _ => return None,
            };
            let number = path.file_stem()?.to_str()?.parse::<u32>().ok().filter(|number| *number < NUMBER_NEVER)?;
            Some(Part { number, kind, path })
        })
        .collect();
    parts.sort_by_key(|p| (p.number, p.kind));
    Ok(parts)
}

/// What is to be read, in order, and the highest number ever used: the newest checkpoint, the newest addition behind it, and
/// the segments behind both.
pub(crate) fn replay_order(fs: &dyn Fs, dir: &Path) -> Result<(Vec<Part>, u32), TsdbError> {
    for path in fs.list(dir).map_err(TsdbError::io("list", dir))? {
        if path.extension().is_some_and(|e| e == "tmp") {
            fs.remove(&path).map_err(TsdbError::io("remove", &path))?;
        }
    }
    let parts = list(fs, dir)?;
    let last = parts.last().map_or(0, |p| p.number);
    let newest = |kind| parts.iter().rev().find(|p| p.kind == kind).cloned();
    let checkpoint = newest(PartKind::Checkpoint);
    let covered = checkpoint.as_ref().map(|p| p.number);
    let addition = newest(PartKind::Addition).filter(|p| Some(p.number) > covered);
    let covered = addition.as_ref().map(|p| p.number).or(covered);
    let segments = parts.iter().filter(|p| p.kind == PartKind::Segment && Some(p.number) > covered).cloned();
    let parts = checkpoint.into_iter().chain(addition).chain(segments).collect();
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
    /// The disk could not give all of it.
    pub unreadable: bool,
}

/// Longer files are read by several threads: most of the time goes into the memory that takes them.
const READ_ALONE_BYTES: usize = 16 << 20;
/// What is read by itself where a file cannot be read as a whole.
const READ_PIECE_BYTES: usize = 4096;

/// The bytes of a file, and whether the disk could give all of them: the others are zeros, which are no frame. A disk that
/// gives nothing at all is an error.
fn read_bytes(file: &dyn FsFile, path: &Path) -> Result<(Vec<u8>, bool), TsdbError> {
    let len = file.len().map_err(TsdbError::io("read", path))?;
    let too_large = |_| TsdbError::io("read", path)(std::io::ErrorKind::FileTooLarge.into());
    let mut bytes = vec![0; usize::try_from(len).map_err(too_large)?];
    let share = bytes.len().div_ceil(threads()).max(READ_ALONE_BYTES);
    let parts: Vec<_> = bytes.chunks_mut(share).enumerate().collect();
    let read = in_parts(parts, |(i, part)| file.read_exact_at(part, (i * share) as u64));
    let read: std::io::Result<()> = read.into_iter().collect();
    let Err(error) = read.map_err(TsdbError::io("read", path)) else { return Ok((bytes, true)) };
    let mut any = false;
    if error.is_unreadable() {
        for (i, piece) in bytes.chunks_mut(READ_PIECE_BYTES).enumerate() {
            match file.read_exact_at(piece, (i * READ_PIECE_BYTES) as u64) {
                Ok(()) => any = true,
                Err(_) => piece.fill(0),
            }
        }
    }
    if any { Ok((bytes, false)) } else { Err(error) }
}

/// A frame's payload, or part of one.
pub(crate) type Payload<'b> = (Kind, &'b [u8]);

/// Gives `take` every whole frame of a part, also where its beginning is damaged; it tells how many bytes of them made no
/// sense. Cuts a torn end off a segment that has no other damage; what is damaged otherwise is left as it is until a checkpoint
/// replaces it.
pub(crate) fn read_part(
    fs: &dyn Fs,
    part: &Part,
    take: impl FnOnce(&[Payload<'_>]) -> u64,
) -> Result<ReadEnd, TsdbError> {
    let file = fs.open(&part.path).map_err(TsdbError::io("open", &part.path))?;
    let (bytes, readable) = read_bytes(&*file, &part.path)?;
    let mut end = ReadEnd { bytes: bytes.len() as u64, unreadable: !readable, ..ReadEnd::default() };
    let begins = bytes.starts_with(MAGIC) || bytes.starts_with(MAGIC_ADDED);
    end.foreign = !begins
        && bytes.len() >= MAGIC.len()
        && bytes.starts_with(MAGIC_ANY)
        && bytes[MAGIC_ANY.len()] < VERSION_NEVER
        && bytes[MAGIC_ANY.len() + 1..MAGIC.len()] == [0, 0];
    if end.foreign {
        return Ok(end);
    }
    let (mut good, mut at) = (if begins { MAGIC.len() } else { 0 }, MAGIC.len());
    let mut checked_bytes_left = RESYNC_CHECKED_BYTES_MAX;
    let mut frames = Vec::new();
    while at < bytes.len() {
        // Looks on for the next frame where there is none: a checksum that fits does not happen by chance.
        let Some(found) = frame(&bytes, at) else {
            at = resume(&bytes, at, &mut checked_bytes_left);
            continue;
        };
        end.damaged_bytes += (at - good) as u64;
        frames.extend(Kind::from_byte(found.kind).map(|kind| (kind, found.payload)));
        at = found.next;
        good = at;
    }
    end.damaged_bytes += take(&frames);
    end.torn_bytes = (bytes.len() - good) as u64;
    let is_segment = part.kind == PartKind::Segment;
    if end.torn_bytes > 0 && end.damaged_bytes == 0 && readable && is_segment {
        file.truncate(good as u64).map_err(TsdbError::io("repair", &part.path))?;
    }
    if is_segment {
        // After a kill the kernel alone may have the end of it. What is written from now on builds on it, above all on its
        // series, and is flushed without it.
        file.sync().map_err(TsdbError::io("flush", &part.path))?;
    }
    Ok(end)
}

/// Where the next whole frame after a damaged one may begin.
fn resume(bytes: &[u8], at: usize, checked_bytes_left: &mut usize) -> usize {
    // The length may still be right: then the next frame follows, and nothing need be searched.
    if let Some(next) = declared_end(bytes, at).filter(|next| frame(bytes, *next).is_some()) {
        return next;
    }
    for at in at + 1..bytes.len() {
        let Some(len) = plausible(bytes, at) else { continue };
        if frame(bytes, at).is_some() {
            return at;
        }
        let Some(left) = checked_bytes_left.checked_sub(len) else { break };
        *checked_bytes_left = left;
    }
    bytes.len()
}

/// While searching, longer frames are not taken into account; the writer's are shorter unless one series is very large.
const RESYNC_FRAME_BYTES_MAX: usize = 4 * FRAME_BYTES;
/// Bytes that are checksummed in vain while searching in one file: a second of work. Then the rest counts as torn.
const RESYNC_CHECKED_BYTES_MAX: usize = 2 << 30;

fn declared_end(bytes: &[u8], at: usize) -> Option<usize> {
    let len = u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize;
    (len > 0 && len <= FRAME_BYTES_MAX).then_some(at + FRAME_HEADER_BYTES + len)
}

/// How long the frame is, when a header of a known kind stands here: spares most checksums while searching.
fn plausible(bytes: &[u8], at: usize) -> Option<usize> {
    let end = declared_end(bytes, at).filter(|end| *end <= bytes.len())?;
    Kind::from_byte(*bytes.get(at + FRAME_HEADER_BYTES)?)?;
    Some(end - at).filter(|len| *len <= RESYNC_FRAME_BYTES_MAX)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::OsFs;

    /// Reads a segment with these bytes: the length of each payload, and what was said of the end.
    fn read(bytes: &[u8]) -> (Vec<usize>, ReadEnd, u64) {
        let dir = tempfile::tempdir().unwrap();
        let part = Part { number: 1, kind: PartKind::Segment, path: segment_path(dir.path(), 1) };
        std::fs::write(&part.path, bytes).unwrap();
        let mut found = Vec::new();
        let end = read_part(&OsFs, &part, |frames| {
            found.extend(frames.iter().map(|(_, payload)| payload.len()));
            0
        });
        (found, end.unwrap(), std::fs::metadata(&part.path).unwrap().len())
    }

    fn segment(payloads: &[usize]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for len in payloads {
            put_frame(&mut bytes, Kind::Samples, |out| out.resize(out.len() + len, 0xa5));
        }
        bytes
    }

    #[test]
    fn frames_are_closed_by_their_size_and_lose_nothing() {
        let mut bytes = MAGIC.to_vec();
        let each = FRAME_BYTES / 10 + 1;
        put_frames(&mut bytes, Kind::Series, 0..35u8, |out, n| out.resize(out.len() + each, n));
        put_frames(&mut bytes, Kind::Series, [0u8; 0], |_, _| {});
        let (found, end, _) = read(&bytes);
        assert_eq!(found, [10 * each, 10 * each, 10 * each, 5 * each]);
        assert_eq!((end.torn_bytes, end.damaged_bytes), (0, 0));
    }

    #[test]
    fn a_frame_of_one_very_large_item_is_read() {
        let payloads = [40 << 20, 7];
        assert_eq!(read(&segment(&payloads)).0, payloads);
    }

    #[test]
    fn a_damaged_beginning_takes_no_frame_along() {
        let mut bytes = segment(&[10, 20, 30]);
        bytes[0] ^= 0x55;
        let (found, end, left) = read(&bytes);
        assert_eq!((found, end.damaged_bytes, end.torn_bytes), (vec![10, 20, 30], 8, 0));
        assert_eq!(left, bytes.len() as u64, "it is left as it is");
        // Nothing whole is behind it: torn.
        let (found, end, left) = read(&bytes[..12]);
        assert_eq!((found, end.damaged_bytes, end.torn_bytes, left), (vec![], 0, 12, 0));
    }

    #[test]
    fn a_version_that_rotted_is_no_other_version() {
        let mut bytes = segment(&[10, 20]);
        for (version, foreign) in [(2, false), (3, false), (1, true), (4, true), (0x42, false)] {
            bytes[MAGIC_ANY.len()] = version;
            let (found, end, _) = read(&bytes);
            assert_eq!((end.foreign, found.len()), (foreign, if foreign { 0 } else { 2 }), "version {version}");
        }
    }

    #[test]
    fn an_addition_is_read_behind_its_checkpoint_and_before_what_came_since() {
        let dir = tempfile::tempdir().unwrap();
        let order = |names: &[&str]| {
            for name in names {
                std::fs::write(dir.path().join(name), b"").unwrap();
            }
            let (parts, last) = replay_order(&OsFs, dir.path()).unwrap();
            let name = |p: &Part| p.path.file_name().unwrap().to_str().unwrap().to_owned();
            (parts.iter().map(name).collect::<Vec<_>>().join(" "), last)
        };
        assert_eq!(order(&["00000001.seg", "00000002.seg"]).0, "00000001.seg 00000002.seg");
        assert_eq!(order(&["00000001.ckpt"]).0, "00000001.ckpt 00000002.seg");
        assert_eq!(order(&["00000002.add", "00000003.seg"]), ("00000001.ckpt 00000002.add 00000003.seg".into(), 3));
        assert_eq!(order(&["00000004.add", "00000003.tmp"]), ("00000001.ckpt 00000004.add".into(), 4));
        assert_eq!(order(&["00000005.seg", "00000004.ckpt"]), ("00000004.ckpt 00000005.seg".into(), 5));
    }

    #[test]
    fn the_next_frame_is_found_however_far_it_is() {
        let payloads = [3, 3 << 20, 5, 3 << 19, 6];
        let whole = segment(&payloads);
        let second = MAGIC.len() + FRAME_HEADER_BYTES + 1 + payloads[0];
        // A length that is wrong leads nowhere.
        let mut bytes = whole.clone();
        bytes[second + 2] ^= 0x40;
        let (found, end, left) = read(&bytes);
        assert_eq!(found, [3, 5, 3 << 19, 6]);
        assert_eq!(end.damaged_bytes, (FRAME_HEADER_BYTES + 1 + payloads[1]) as u64);
        assert_eq!((end.torn_bytes, left), (0, whole.len() as u64));
    }

    #[test]
    fn a_torn_end_is_cut_off_at_the_last_whole_frame() {
        let whole = segment(&[10, 20]);
        let (found, end, left) = read(&whole[..whole.len() - 1]);
        assert_eq!((found, end.torn_bytes), (vec![10], 28));
        assert_eq!(left, (whole.len() - 29) as u64);
    }
}
