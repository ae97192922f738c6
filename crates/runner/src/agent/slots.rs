//! A small file that is written often, kept in two slots of fixed size. Each write goes over the older one, in place, and the
//! disk is waited for once: no file is made, renamed or removed, so nothing waits for the filesystem's journal. A power cut
//! in the middle tears the one that is written, and the other still says what was there before.
//!
//! A slot is a line `1 NUMBER LENGTH BLAKE3`, then as many bytes as that says; what comes behind them counts for nothing.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::fcntl::OFlag;

use super::disk::write_whole;

/// A slot is a multiple of this; it grows, by a new file, where what is kept does not fit.
const SLOT_BYTES: usize = 16 * 1024;
/// Nothing that large is ours.
const SLOT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Of how slots are written.
const FORMAT: &str = "1";

pub(crate) struct Slots {
    paths: [PathBuf; 2],
}

impl Slots {
    pub const fn new(paths: [PathBuf; 2]) -> Self {
        Self { paths }
    }

    /// What was written last and is whole.
    pub fn load(&self) -> Option<Vec<u8>> {
        self.newest().map(|(_, _, body)| body)
    }

    /// Returns once the disk has it.
    pub fn write(&self, body: &[u8]) -> io::Result<()> {
        let (last, number) = self.newest().map_or((1, 0), |(at, number, _)| (at, number));
        let [a, b] = &self.paths;
        overwrite(if last == 0 { b } else { a }, &slot(number + 1, body))
    }

    /// Place, number and content.
    fn newest(&self) -> Option<(usize, u64, Vec<u8>)> {
        let whole = self.paths.iter().enumerate().filter_map(|(at, path)| {
            let (number, body) = read(path)?;
            Some((at, number, body))
        });
        whole.max_by_key(|(_, number, _)| *number)
    }
}

fn hash(number: u64, body: &[u8]) -> blake3::Hash {
    blake3::Hasher::new().update(&number.to_le_bytes()).update(body).finalize()
}

fn slot(number: u64, body: &[u8]) -> Vec<u8> {
    let mut text = format!("{FORMAT} {number} {} {}\n", body.len(), hash(number, body).to_hex()).into_bytes();
    text.extend_from_slice(body);
    text
}

/// The same path never leads elsewhere, and never blocks.
fn flags() -> i32 {
    (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits()
}

fn read(path: &Path) -> Option<(u64, Vec<u8>)> {
    let file = File::options().read(true).custom_flags(flags()).open(path).ok()?;
    let mut all = Vec::new();
    file.take(SLOT_BYTES_MAX).read_to_end(&mut all).ok()?;
    let end = all.iter().position(|byte| *byte == b'\n')?;
    let head = std::str::from_utf8(all.get(..end)?).ok()?;
    let mut words = head.split(' ');
    if words.next() != Some(FORMAT) {
        return None;
    }
    let number: u64 = words.next()?.parse().ok()?;
    let length: usize = words.next()?.parse().ok()?;
    let told = words.next()?;
    let body = all.get(end + 1..)?.get(..length)?.to_vec();
    (hash(number, &body).to_hex().as_str() == told).then_some((number, body))
}

fn overwrite(path: &Path, text: &[u8]) -> io::Result<()> {
    if let Ok(file) = File::options().write(true).custom_flags(flags()).open(path) {
        let there = file.metadata()?;
        if there.is_file() && there.len() >= text.len() as u64 {
            file.write_all_at(text, 0)?;
            return file.sync_data();
        }
    }
    let mut whole = text.to_vec();
    let size = text.len().div_ceil(SLOT_BYTES) * SLOT_BYTES;
    whole.resize(size, b'\n');
    write_whole(path, &whole)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::MetadataExt};

    use super::*;

    fn slots(dir: &Path) -> Slots {
        Slots::new(["a", "b"].map(|end| dir.join(format!("state.{end}"))))
    }

    #[test]
    fn each_write_goes_over_the_older_one_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let slots = slots(dir.path());
        assert_eq!(slots.load(), None);
        slots.write(b"one").unwrap();
        slots.write(b"two").unwrap();
        let inodes = || slots.paths.clone().map(|path| fs::metadata(path).unwrap().ino());
        let (before, texts) = (inodes(), ["three, which is longer", "four", ""]);
        for text in texts {
            slots.write(text.as_bytes()).unwrap();
            assert_eq!(slots.load().unwrap(), text.as_bytes());
        }
        assert_eq!(inodes(), before, "no new file");
        assert!(slots.paths.iter().all(|path| fs::metadata(path).unwrap().len() == SLOT_BYTES as u64));
    }

    #[test]
    fn a_torn_slot_gives_what_the_other_has_and_is_written_next() {
        let dir = tempfile::tempdir().unwrap();
        for torn in [0, 1] {
            let slots = slots(dir.path());
            let texts = ["before".repeat(1_000), "after".repeat(1_000)];
            // so that the one that is torn is the newer one
            for text in &texts {
                slots.write(text.as_bytes()).unwrap();
            }
            let (newer, _, _) = slots.newest().unwrap();
            if newer != torn {
                slots.write(texts[0].as_bytes()).unwrap();
                slots.write(texts[0].as_bytes()).unwrap();
                slots.write(texts[1].as_bytes()).unwrap();
            }
            let (newer, number, _) = slots.newest().unwrap();
            assert_eq!(newer, torn);
            // the head reached the disk and half of the rest did not
            let whole = fs::read(&slots.paths[torn]).unwrap();
            let mut half = whole.clone();
            half[2_000..].fill(b'\n');
            fs::write(&slots.paths[torn], &half).unwrap();
            assert_eq!(slots.load().unwrap(), texts[0].as_bytes());
            slots.write(b"again").unwrap();
            let (at, next, body) = slots.newest().unwrap();
            assert_eq!((at, next, body.as_slice()), (torn, number, b"again".as_slice()), "the whole one is left");
        }
    }

    #[test]
    fn what_does_not_fit_grows_and_a_link_in_its_place_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let slots = slots(dir.path());
        let large = vec![b'x'; 3 * SLOT_BYTES];
        for _ in 0..3 {
            slots.write(&large).unwrap();
        }
        assert_eq!(slots.load().unwrap(), large);
        assert_eq!(fs::metadata(&slots.paths[0]).unwrap().len(), 4 * SLOT_BYTES as u64);
        let other = dir.path().join("other");
        fs::write(&other, vec![b'o'; SLOT_BYTES]).unwrap();
        let (newer, _, _) = slots.newest().unwrap();
        let next = &slots.paths[1 - newer];
        fs::remove_file(next).unwrap();
        std::os::unix::fs::symlink(&other, next).unwrap();
        slots.write(b"small").unwrap();
        assert_eq!(slots.load().unwrap(), b"small");
        assert!(fs::read(&other).unwrap().iter().all(|byte| *byte == b'o'));
    }
}
