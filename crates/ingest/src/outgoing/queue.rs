//! A queue on disk for one shard of one receiver: frames in segments, and the place up to which everything was taken.
//!
//! What was appended is in the kernel's hands: a killed process loses none of it, a power cut what was not synced. The place
//! is written after an answer, so that a kill in between sends something twice and never loses it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A segment is closed at this size, and removed once all of it was taken.
pub(super) const SEGMENT_BYTES: u64 = 8 << 20;
/// Length, checksum, samples.
const HEAD_BYTES: usize = 12;
/// A frame that claims to be larger is damage.
const FRAME_BYTES_MAX: usize = 96 << 20;

/// A place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    pub segment: u64,
    pub offset: u64,
}

/// What is sent at one time, and where the rest begins.
#[derive(Debug, Default)]
pub struct Taken {
    pub body: Vec<u8>,
    pub samples: u64,
    pub next: Place,
}

pub struct Queue {
    dir: PathBuf,
    file: File,
    end: Place,
    /// Everything before was taken.
    start: Place,
    /// Bytes of all segments there are.
    bytes: u64,
    /// Samples lost to damage or to the limit.
    lost: u64,
}

fn path(dir: &Path, segment: u64) -> PathBuf {
    dir.join(format!("{segment:010}.q"))
}

fn segments(dir: &Path) -> io::Result<Vec<u64>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        all.extend(name.to_str().and_then(|n| n.strip_suffix(".q")?.parse::<u64>().ok()));
    }
    all.sort_unstable();
    Ok(all)
}

/// The next frame of a reader; `None` at the end or at damage. A disk that does not read now is an error, and no damage.
fn read_frame(reader: &mut impl Read) -> io::Result<Option<(u32, Vec<u8>)>> {
    let mut head = [0; HEAD_BYTES];
    match reader.read_exact(&mut head) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(e),
    }
    let word = |i: usize| u32::from_le_bytes([head[i], head[i + 1], head[i + 2], head[i + 3]]);
    let (len, crc, samples) = (word(0) as usize, word(4), word(8));
    if len > FRAME_BYTES_MAX {
        return Ok(None);
    }
    let mut payload = Vec::new();
    reader.take(len as u64).read_to_end(&mut payload)?;
    Ok((payload.len() == len && checksum(samples, &payload) == crc).then_some((samples, payload)))
}

fn checksum(samples: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&samples.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

impl Queue {
    /// Opens or makes the queue in a directory. A torn end is cut off.
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let all = segments(dir)?;
        let last = all.last().copied().unwrap_or(1);
        let file = OpenOptions::new().create(true).append(true).open(path(dir, last))?;
        let mut reader = io::BufReader::new(File::open(path(dir, last))?);
        let mut whole = 0;
        while let Some((_, payload)) = read_frame(&mut reader)? {
            whole += (HEAD_BYTES + payload.len()) as u64;
        }
        file.set_len(whole)?;
        let mut bytes = 0;
        for segment in segments(dir)? {
            bytes += fs::metadata(path(dir, segment))?.len();
        }
        let first = Place { segment: all.first().copied().unwrap_or(1), offset: 0 };
        let start = Self::read_place(dir).map_or(first, |p| p.max(first));
        let end = Place { segment: last, offset: whole };
        Ok(Self { dir: dir.to_owned(), file, end, start: start.min(end), bytes, lost: 0 })
    }

    fn read_place(dir: &Path) -> Option<Place> {
        let text = fs::read_to_string(dir.join("place")).ok()?;
        let (segment, offset) = text.trim().split_once(' ')?;
        Some(Place { segment: segment.parse().ok()?, offset: offset.parse().ok()? })
    }

    /// Puts a message at the end.
    pub fn append(&mut self, payload: &[u8], samples: u32) -> io::Result<()> {
        if payload.len() > FRAME_BYTES_MAX {
            let text = format!("a message of {} bytes is larger than {FRAME_BYTES_MAX}", payload.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        if self.end.offset >= SEGMENT_BYTES {
            self.file.sync_data()?;
            let next = Place { segment: self.end.segment + 1, offset: 0 };
            self.file = OpenOptions::new().create(true).append(true).open(path(&self.dir, next.segment))?;
            File::open(&self.dir)?.sync_all()?;
            self.end = next;
        }
        let mut frame = Vec::with_capacity(HEAD_BYTES + payload.len());
        frame.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        frame.extend_from_slice(&checksum(samples, payload).to_le_bytes());
        frame.extend_from_slice(&samples.to_le_bytes());
        frame.extend_from_slice(payload);
        if let Err(e) = self.file.write_all(&frame) {
            // Half a frame must not stand before a whole one.
            self.file.set_len(self.end.offset)?;
            return Err(e);
        }
        self.end.offset += frame.len() as u64;
        self.bytes += frame.len() as u64;
        Ok(())
    }

    /// Messages from the first that was not taken on, joined, up to about `bytes_max`; nothing when there is none.
    pub fn peek(&mut self, bytes_max: usize) -> io::Result<Option<Taken>> {
        loop {
            if self.start >= self.end {
                return Ok(None);
            }
            let mut taken = Taken { next: self.start, ..Taken::default() };
            let opened = match File::open(path(&self.dir, self.start.segment)) {
                Ok(file) => Some(file),
                Err(e) if e.kind() == io::ErrorKind::NotFound => None,
                Err(e) => return Err(e),
            };
            if let Some(mut file) = opened {
                file.seek(SeekFrom::Start(self.start.offset))?;
                let mut reader = io::BufReader::new(file);
                while taken.body.len() < bytes_max && taken.next < self.end {
                    let Some((samples, payload)) = read_frame(&mut reader)? else { break };
                    if !taken.body.is_empty() && taken.body.len() + payload.len() > bytes_max {
                        break;
                    }
                    taken.next.offset += (HEAD_BYTES + payload.len()) as u64;
                    taken.samples += u64::from(samples);
                    taken.body.extend_from_slice(&payload);
                }
            }
            if !taken.body.is_empty() {
                return Ok(Some(taken));
            }
            if self.start.segment == self.end.segment {
                // What stands here cannot be read, and never will.
                tracing::error!(dir = %self.dir.display(), "a damaged part of the queue is passed over");
                self.lost += 1;
                self.start = self.end;
            } else {
                let left = fs::metadata(path(&self.dir, self.start.segment)).map_or(0, |m| m.len());
                if self.start.offset < left {
                    tracing::error!(dir = %self.dir.display(), "a damaged part of the queue is passed over");
                    self.lost += 1;
                }
                let next = segments(&self.dir)?.into_iter().find(|s| *s > self.start.segment);
                let next = Place { segment: next.unwrap_or(self.end.segment), offset: 0 };
                self.take(next)?;
            }
        }
    }

    /// Everything before `next` was taken.
    pub fn take(&mut self, next: Place) -> io::Result<()> {
        self.start = next;
        let part = self.dir.join("place.part");
        fs::write(&part, format!("{} {}\n", next.segment, next.offset))?;
        fs::rename(&part, self.dir.join("place"))?;
        for segment in segments(&self.dir)?.into_iter().filter(|s| *s < next.segment) {
            self.drop_segment(segment)?;
        }
        Ok(())
    }

    fn drop_segment(&mut self, segment: u64) -> io::Result<()> {
        let path = path(&self.dir, segment);
        let len = fs::metadata(&path)?.len();
        fs::remove_file(&path)?;
        self.bytes = self.bytes.saturating_sub(len);
        Ok(())
    }

    /// Drops the oldest closed segment; how many samples were lost with it. Nothing when there is none.
    pub fn drop_oldest(&mut self) -> io::Result<Option<u64>> {
        let all = segments(&self.dir)?;
        let Some(first) = all.first().copied().filter(|s| *s < self.end.segment) else { return Ok(None) };
        let mut file = File::open(path(&self.dir, first))?;
        if self.start.segment == first {
            file.seek(SeekFrom::Start(self.start.offset))?;
        }
        let mut reader = io::BufReader::new(file);
        let mut samples = 0;
        while let Some((count, _)) = read_frame(&mut reader)? {
            samples += u64::from(count);
        }
        let next = Place { segment: all.get(1).copied().unwrap_or(self.end.segment), offset: 0 };
        self.take(self.start.max(next))?;
        Ok(Some(samples))
    }

    /// Removes the files of a queue of which all was taken; nothing is put into it any more.
    pub fn remove(&mut self) -> io::Result<()> {
        if !self.is_empty() {
            return Ok(());
        }
        fs::remove_dir_all(&self.dir)?;
        self.bytes = 0;
        // It goes with the last queue in it.
        if let Some(home) = self.dir.parent() {
            let _ = fs::remove_dir(home);
        }
        Ok(())
    }

    pub fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }
    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
    /// Damaged parts that were passed over.
    pub fn damaged(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(n: u32, len: usize) -> Vec<u8> {
        let mut out = n.to_le_bytes().to_vec();
        out.resize(len.max(4), n as u8);
        out
    }

    /// Takes all there is, in parts.
    fn drain(queue: &mut Queue, part: usize) -> (Vec<u8>, u64) {
        let (mut all, mut samples) = (Vec::new(), 0);
        while let Some(taken) = queue.peek(part).expect("readable") {
            all.extend_from_slice(&taken.body);
            samples += taken.samples;
            queue.take(taken.next).expect("writable");
        }
        (all, samples)
    }

    #[test]
    fn what_goes_in_comes_out_once_and_in_order_over_restarts() {
        let dir = tempfile::tempdir().expect("a directory");
        let (mut wanted, mut found) = (Vec::new(), Vec::new());
        let mut next = 0;
        for round in 0..20_usize {
            let mut queue = Queue::open(dir.path()).expect("it opens");
            for _ in 0..40 {
                let message = message(next, 100 + next as usize * 977 % 70_000);
                queue.append(&message, 2).expect("it takes");
                wanted.extend_from_slice(&message);
                next += 1;
            }
            for _ in 0..round * 3 {
                if let Some(taken) = queue.peek(100_000).expect("readable") {
                    found.extend_from_slice(&taken.body);
                    queue.take(taken.next).expect("writable");
                }
            }
        }
        let mut queue = Queue::open(dir.path()).expect("it opens");
        found.extend_from_slice(&drain(&mut queue, 1 << 20).0);
        assert!(found == wanted, "{} of {} bytes", found.len(), wanted.len());
        assert!(queue.is_empty() && queue.bytes() <= SEGMENT_BYTES + 70_000, "{} bytes are left", queue.bytes());
    }

    #[test]
    fn a_torn_end_is_cut_off_and_damage_costs_no_more_than_its_segment() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut queue = Queue::open(dir.path()).expect("it opens");
        for n in 0..300 {
            queue.append(&message(n, 60_000), 1).expect("it takes");
        }
        drop(queue);
        let all = segments(dir.path()).expect("segments");
        assert!(all.len() >= 3);
        let last = path(dir.path(), all[all.len() - 1]);
        let len = fs::metadata(&last).expect("there").len();
        File::options().write(true).open(&last).expect("there").set_len(len - 10).expect("cut");
        let mut bytes = fs::read(path(dir.path(), all[1])).expect("there");
        bytes[100_000] ^= 1;
        fs::write(path(dir.path(), all[1]), bytes).expect("written");
        let mut queue = Queue::open(dir.path()).expect("it opens");
        queue.append(&message(999, 100), 1).expect("it takes");
        let (found, samples) = drain(&mut queue, 1 << 20);
        assert!(samples > 150 && samples < 299, "{samples}");
        assert_eq!(queue.damaged(), 1);
        assert!(found.ends_with(&message(999, 100)), "what came after the cut is there");
    }

    #[test]
    fn the_oldest_goes_first_when_there_is_no_room() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut queue = Queue::open(dir.path()).expect("it opens");
        for n in 0..300 {
            queue.append(&message(n, 60_000), 1).expect("it takes");
        }
        let lost = queue.drop_oldest().expect("readable").expect("a closed segment");
        assert!(lost > 100);
        let (_, samples) = drain(&mut queue, 1 << 20);
        assert_eq!(samples + lost, 300);
        assert_eq!(queue.drop_oldest().expect("readable"), None);
    }
}
