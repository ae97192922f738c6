//! Blobs on the host: those that are here, and those on their way from the server.
//!
//! A blob gets its name only when its content has that digest. It need not be on disk by then: whoever makes a release of blobs
//! compares them with their digests first, and brings them to disk together.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use parking_lot::Mutex;
use tenfold_app::deploys::hash_file;
use tenfold_deploys::{Digest, delta::DELTA_BYTES_MAX};
use tenfold_protocols::{
    agent::{PackPart, TEXT_FRAME_BYTES_MAX},
    inflate::gunzip,
};
use tokio::sync::oneshot;

use super::disk::{fresh, own_folder};

/// Read only, so that a service does not change what other releases share.
const MODE: u32 = 0o444;
const MODE_EXECUTABLE: u32 = 0o555;
/// Bytes of a blob made of a delta that are written at a time.
const CHUNK_BYTES: usize = 256 * 1024;

fn is_plain(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|m| m.is_file())
}

pub(crate) struct Incoming {
    dir: PathBuf,
    open: Mutex<HashMap<Digest, Partial>>,
    /// What comes in the place of blobs, by its own digest.
    announced: Mutex<HashMap<Digest, Announced>>,
}

/// Something of which some bytes are here.
struct Announced {
    what: What,
    size: u64,
    bytes: Vec<u8>,
}

enum What {
    Delta {
        blob: Digest,
        base: PathBuf,
    },
    Pack(Vec<PackPart>),
    /// A text frame of that many bytes.
    Text(u64),
}

/// What came of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// Nothing that concerns anybody else.
    Nothing,
    /// These must be asked for as a whole, since their deltas are of no use.
    Again(Vec<Digest>),
    /// A text frame.
    Text(String),
}

struct Partial {
    file: File,
    path: PathBuf,
    hasher: blake3::Hasher,
    have: u64,
    size: u64,
    waiting: Vec<oneshot::Sender<Result<(), String>>>,
    /// What this host has in its place: digest and file.
    base: Option<(Digest, PathBuf)>,
}

impl Incoming {
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.join("blobs"), open: Mutex::default(), announced: Mutex::default() }
    }

    /// The blob as a file of a release; the executable bit belongs to the inode, so such blobs stand apart.
    pub fn path(&self, digest: Digest, executable: bool) -> PathBuf {
        let name = digest.to_string();
        self.dir.join(&name[..2]).join(if executable { format!("{name}.x") } else { name })
    }

    /// The blob is here, with or without the executable bit, and has its content. What is damaged is removed, so that it
    /// is fetched anew. Blocks.
    pub fn verify(&self, digest: Digest, size: u64, executable: bool) -> bool {
        let path = self.path(digest, executable);
        // a link would end up in releases, and lead wherever it is turned to later
        if !is_plain(&path) {
            let _ = fs::remove_file(&path);
            return false;
        }
        match hash_file(&path) {
            Ok(found) if found == (digest, size) => true,
            Ok(_) => {
                let _ = fs::remove_file(&path);
                false
            }
            Err(_) => false,
        }
    }

    /// Makes the executable twin of a blob. Blocks.
    pub fn make_executable(&self, digest: Digest, size: u64) -> io::Result<PathBuf> {
        let twin = self.path(digest, true);
        if is_plain(&twin) && hash_file(&twin).is_ok_and(|found| found == (digest, size)) {
            return Ok(twin);
        }
        let aside = twin.with_extension("part-x");
        let _ = fs::remove_file(&aside);
        fs::copy(self.path(digest, false), &aside)?;
        fs::set_permissions(&aside, fs::Permissions::from_mode(MODE_EXECUTABLE))?;
        fs::rename(&aside, &twin)?;
        Ok(twin)
    }

    /// Waits for a blob. The first to wait for it must ask the server: then the flag is true.
    /// `base` is a file that may be like it.
    pub fn expect(
        &self,
        digest: Digest,
        size: u64,
        base: Option<(Digest, PathBuf)>,
    ) -> io::Result<(oneshot::Receiver<Result<(), String>>, bool)> {
        let (done, waiter) = oneshot::channel();
        let mut open = self.open.lock();
        if let Some(partial) = open.get_mut(&digest) {
            partial.waiting.push(done);
            return Ok((waiter, false));
        }
        let path = self.path(digest, false).with_extension("part");
        own_folder(path.parent().unwrap_or(&self.dir))?;
        let file = fresh(&path)?;
        let partial = Partial { file, path, hasher: blake3::Hasher::new(), have: 0, size, waiting: vec![done], base };
        open.insert(digest, partial);
        if size == 0 {
            let partial = open.remove(&digest);
            drop(open);
            if let Some(partial) = partial {
                self.finish(digest, partial);
            }
            return Ok((waiter, false));
        }
        Ok((waiter, true))
    }

    /// Takes a chunk from the server: of a blob, or of what was announced. Chunks nobody waits for are dropped. An error means
    /// that the line cannot be trusted. Blocks.
    pub fn chunk(&self, digest: Digest, chunk: &[u8]) -> Result<Came, String> {
        let whole = {
            let mut announced = self.announced.lock();
            match announced.get_mut(&digest) {
                None => None,
                Some(held) if (held.bytes.len() + chunk.len()) as u64 > held.size => announced.remove(&digest),
                Some(held) => {
                    held.bytes.extend_from_slice(chunk);
                    if (held.bytes.len() as u64) < held.size {
                        return Ok(Came::Nothing);
                    }
                    announced.remove(&digest)
                }
            }
        };
        let Some(Announced { what, bytes, .. }) = whole else {
            self.content(digest, chunk);
            return Ok(Came::Nothing);
        };
        match what {
            What::Delta { blob, base } => Ok(again(self.undo(blob, &base, digest, &bytes).into_iter().collect())),
            What::Pack(parts) => Ok(again(self.unpack(&parts, digest, &bytes))),
            What::Text(size) => {
                let text = undone(digest, &bytes, size).map_err(|e| format!("a message cannot be read: {e}"))?;
                String::from_utf8(text).map(Came::Text).map_err(|e| format!("a message is no text: {e}"))
            }
        }
    }

    /// The server announces a delta over what was named as the blob's base.
    pub fn delta(&self, blob: Digest, base: Digest, delta: Digest, size: u64) {
        if let Some(base) = self.base(blob, base)
            && size <= DELTA_BYTES_MAX
        {
            self.announce(delta, size, What::Delta { blob, base });
        }
    }

    /// The server announces several blobs, or pieces of them; their limits were checked.
    pub fn pack(&self, pack: Digest, size: u64, parts: Vec<PackPart>) {
        self.announce(pack, size, What::Pack(parts));
    }

    /// The server announces a text frame of `bytes` when it is undone.
    pub fn text(&self, pack: Digest, size: u64, bytes: u64) {
        self.announce(pack, size, What::Text(bytes));
    }

    fn announce(&self, digest: Digest, size: u64, what: What) {
        self.announced.lock().insert(digest, Announced { what, size, bytes: Vec::new() });
    }

    /// The file of a blob's base, where it is the one that was named.
    fn base(&self, blob: Digest, base: Digest) -> Option<PathBuf> {
        let open = self.open.lock();
        let (named, path) = open.get(&blob)?.base.as_ref()?;
        (*named == base).then(|| path.clone())
    }

    /// Takes a pack apart; answers blobs whose deltas are of no use. One that is broken is of no use to any of its blobs.
    fn unpack(&self, parts: &[PackPart], digest: Digest, bytes: &[u8]) -> Vec<Digest> {
        let size = parts.iter().fold(0u64, |sum, part| sum.saturating_add(part.bytes));
        let content = match undone(digest, bytes, size) {
            Ok(content) => content,
            Err(error) => {
                for part in parts {
                    self.refuse(Digest::from_bytes(part.blob.0), &format!("what the server sent is broken: {error}"));
                }
                return Vec::new();
            }
        };
        let (mut rest, mut again) = (&content[..], Vec::new());
        for part in parts {
            let blob = Digest::from_bytes(part.blob.0);
            let (piece, after) = rest.split_at(usize::try_from(part.bytes).unwrap_or(usize::MAX).min(rest.len()));
            rest = after;
            let Some(base) = part.base else {
                self.content(blob, piece);
                continue;
            };
            match self.base(blob, Digest::from_bytes(base.0)) {
                Some(path) => again.extend(self.undo(blob, &path, Digest::of(piece), piece)),
                None => again.extend(self.open.lock().contains_key(&blob).then_some(blob)),
            }
        }
        again
    }

    /// Makes the blob of its base and a whole delta; a blob that could not be made is given back.
    fn undo(&self, blob: Digest, base: &Path, digest: Digest, delta: &[u8]) -> Option<Digest> {
        let size = self.open.lock().get(&blob)?.size;
        match made(blob, base, digest, delta, size) {
            Ok(content) => {
                for chunk in content.chunks(CHUNK_BYTES) {
                    self.content(blob, chunk);
                }
                None
            }
            Err(error) => {
                tracing::warn!(%error, %blob, "a delta cannot be used; the whole file is asked for");
                if let Some(partial) = self.open.lock().get_mut(&blob) {
                    partial.base = None;
                }
                Some(blob)
            }
        }
    }

    fn content(&self, digest: Digest, chunk: &[u8]) {
        let mut open = self.open.lock();
        let Some(partial) = open.get_mut(&digest) else { return };
        partial.have += chunk.len() as u64;
        partial.hasher.update(chunk);
        let error = if partial.have > partial.size {
            Some("the server sent more than the manifest says".to_owned())
        } else {
            partial.file.write_all(chunk).err().map(|e| e.to_string())
        };
        let done = partial.have == partial.size;
        if error.is_none() && !done {
            return;
        }
        let Some(partial) = open.remove(&digest) else { return };
        drop(open);
        match error {
            Some(error) => give_up(partial, &error),
            None => self.finish(digest, partial),
        }
    }

    /// The server does not have it.
    pub fn refuse(&self, digest: Digest, why: &str) {
        if let Some(partial) = self.open.lock().remove(&digest) {
            give_up(partial, why);
        }
    }

    /// The connection is gone: nothing more will come.
    pub fn refuse_all(&self, why: &str) {
        self.announced.lock().clear();
        for (_, partial) in self.open.lock().drain() {
            give_up(partial, why);
        }
    }

    fn finish(&self, digest: Digest, partial: Partial) {
        let found = Digest::from_bytes(*partial.hasher.finalize().as_bytes());
        if found != digest {
            return give_up(partial, "what the server sent has another digest");
        }
        let to = self.path(digest, false);
        let kept = fs::set_permissions(&partial.path, fs::Permissions::from_mode(MODE))
            .and_then(|()| fs::rename(&partial.path, &to));
        match kept {
            Ok(()) => {
                for waiter in partial.waiting {
                    let _ = waiter.send(Ok(()));
                }
            }
            Err(error) => give_up(partial, &error.to_string()),
        }
    }

    /// Removes blobs no release links to. Blocks.
    pub fn prune(&self) {
        use std::os::unix::fs::MetadataExt;
        let open = self.open.lock();
        let Ok(folders) = fs::read_dir(&self.dir) else { return };
        // behind a link is somebody else's
        for folder in folders.flatten().filter(|folder| folder.file_type().is_ok_and(|t| t.is_dir())) {
            let Ok(files) = fs::read_dir(folder.path()) else { continue };
            for file in files.flatten() {
                let busy = file.path().extension().is_some_and(|e| e == "part" || e == "part-x") && !open.is_empty();
                if !busy && file.metadata().is_ok_and(|m| m.is_file() && m.nlink() == 1) {
                    let _ = fs::remove_file(file.path());
                }
            }
        }
    }
}

fn again(blobs: Vec<Digest>) -> Came {
    if blobs.is_empty() { Came::Nothing } else { Came::Again(blobs) }
}

/// What was compressed: exactly so many bytes, and what is compressed was told by its digest.
fn undone(digest: Digest, bytes: &[u8], size: u64) -> Result<Vec<u8>, String> {
    if Digest::of(bytes) != digest {
        return Err("it has another digest".to_owned());
    }
    let size = usize::try_from(size).ok().filter(|size| *size <= TEXT_FRAME_BYTES_MAX).ok_or("it is too large")?;
    let content = gunzip(bytes, size).map_err(|e| e.to_string())?;
    if content.len() == size { Ok(content) } else { Err(format!("it has {} bytes, not {size}", content.len())) }
}

/// The new file's content, checked against its digest before any of it is kept.
fn made(blob: Digest, base: &Path, digest: Digest, delta: &[u8], size: u64) -> Result<Vec<u8>, String> {
    use tenfold_deploys::delta::{FILE_BYTES_MAX, Op, read};
    if Digest::of(delta) != digest {
        return Err("the delta has another digest".to_owned());
    }
    let base = fs::read(base).map_err(|e| e.to_string())?;
    if size > FILE_BYTES_MAX || base.len() as u64 > FILE_BYTES_MAX {
        return Err("the file is too large for a delta".to_owned());
    }
    let mut out = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    for op in read(delta, base.len() as u64, size).map_err(|e| e.to_string())? {
        match op {
            Op::Bytes(bytes) => out.extend_from_slice(bytes),
            Op::Copy { from, len } => {
                let from = usize::try_from(from).map_err(|e| e.to_string())?;
                let len = usize::try_from(len).map_err(|e| e.to_string())?;
                out.extend_from_slice(base.get(from..from + len).ok_or("the base is shorter than it was")?);
            }
        }
    }
    if Digest::of(&out) == blob { Ok(out) } else { Err("what it makes has another digest".to_owned()) }
}

fn give_up(partial: Partial, why: &str) {
    let _ = fs::remove_file(&partial.path);
    for waiter in partial.waiting {
        let _ = waiter.send(Err(why.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use tenfold_protocols::{agent::BlobDigest, inflate::gzip};

    use super::*;

    #[test]
    fn only_the_right_content_gets_a_name() {
        let dir = tempfile::tempdir().unwrap();
        let incoming = Incoming::new(dir.path());
        let digest = Digest::of(b"hello");
        let (mut waiter, first) = incoming.expect(digest, 5, None).unwrap();
        assert!(first);
        incoming.chunk(digest, b"hel").unwrap();
        assert!(waiter.try_recv().is_err());
        incoming.chunk(digest, b"lo").unwrap();
        assert_eq!(waiter.try_recv().unwrap(), Ok(()));
        assert!(incoming.verify(digest, 5, false));

        let other = Digest::of(b"other");
        let (mut waiter, _) = incoming.expect(other, 5, None).unwrap();
        incoming.chunk(other, b"wrong").unwrap();
        assert!(waiter.try_recv().unwrap().unwrap_err().contains("digest"));
        assert!(!incoming.path(other, false).exists());
        let (mut waiter, _) = incoming.expect(other, 5, None).unwrap();
        incoming.chunk(other, b"too long").unwrap();
        assert!(waiter.try_recv().unwrap().is_err());
    }

    #[test]
    fn damage_is_found_and_empty_blobs_need_no_server() {
        let dir = tempfile::tempdir().unwrap();
        let incoming = Incoming::new(dir.path());
        let empty = Digest::of(b"");
        let (mut waiter, ask) = incoming.expect(empty, 0, None).unwrap();
        assert!(!ask && waiter.try_recv().unwrap().is_ok());
        let path = incoming.path(empty, false);
        fs::remove_file(&path).unwrap();
        fs::write(&path, b"x").unwrap();
        assert!(!incoming.verify(empty, 0, false));
        assert!(!path.exists());
    }

    #[test]
    fn a_delta_makes_the_blob_or_the_blob_is_asked_for() {
        use tenfold_deploys::delta::make;
        let dir = tempfile::tempdir().unwrap();
        let incoming = Incoming::new(dir.path());
        let old: Vec<u8> = (0..40_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let mut new = old.clone();
        new.splice(70_000..70_000, *b"sixty-four bytes, more or less");
        let place = dir.path().join("old");
        fs::write(&place, &old).unwrap();
        let (base, blob) = (Digest::of(&old), Digest::of(&new));
        let bytes = make(&old, &new).unwrap();
        let delta = Digest::of(&bytes);
        let expect = || incoming.expect(blob, new.len() as u64, Some((base, place.clone()))).unwrap().0;

        let mut waiter = expect();
        incoming.delta(blob, base, delta, bytes.len() as u64);
        let (first, second) = bytes.split_at(bytes.len() / 2);
        assert_eq!((incoming.chunk(delta, first), waiter.try_recv().is_err()), (Ok(Came::Nothing), true));
        assert_eq!((incoming.chunk(delta, second), waiter.try_recv().unwrap()), (Ok(Came::Nothing), Ok(())));
        assert!(incoming.verify(blob, new.len() as u64, false));

        // the base was changed since: what came of it is not kept, and the blob itself still may come
        fs::remove_file(incoming.path(blob, false)).unwrap();
        fs::write(&place, old.iter().map(|b| b ^ 1).collect::<Vec<u8>>()).unwrap();
        let mut waiter = expect();
        incoming.delta(blob, base, delta, bytes.len() as u64);
        assert_eq!(incoming.chunk(delta, &bytes), Ok(Came::Again(vec![blob])));
        assert!(waiter.try_recv().is_err());
        assert_eq!((incoming.chunk(blob, &new), waiter.try_recv().unwrap()), (Ok(Came::Nothing), Ok(())));

        // more than was announced, and a base that was never named
        fs::remove_file(incoming.path(blob, false)).unwrap();
        let _waiter = expect();
        incoming.delta(blob, base, delta, 5);
        assert_eq!(incoming.chunk(delta, &bytes), Ok(Came::Again(vec![blob])));
        incoming.delta(blob, Digest::of(b"other"), delta, bytes.len() as u64);
        assert_eq!(incoming.chunk(delta, &bytes), Ok(Came::Nothing), "nobody waits for it");
    }

    /// A pack of these pieces: its digest, its bytes, its parts.
    fn packed(pieces: &[(Digest, &[u8], Option<Digest>)]) -> (Digest, Vec<u8>, Vec<PackPart>) {
        let blob = |digest: Digest| BlobDigest(*digest.bytes());
        let content: Vec<u8> = pieces.iter().flat_map(|(_, bytes, _)| bytes.iter().copied()).collect();
        let part = |(digest, bytes, base): &(Digest, &[u8], Option<Digest>)| PackPart {
            blob: blob(*digest),
            bytes: bytes.len() as u64,
            base: base.map(blob),
        };
        let bytes = gzip(&content);
        (Digest::of(&bytes), bytes, pieces.iter().map(part).collect())
    }

    #[test]
    fn a_pack_brings_blobs_pieces_and_deltas() {
        let dir = tempfile::tempdir().unwrap();
        let incoming = Incoming::new(dir.path());
        let old: Vec<u8> = (0..4_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let new = [&old[..9_000], b"more", &old[9_000..]].concat();
        let place = dir.path().join("old");
        fs::write(&place, &old).unwrap();
        let [small, large, changed, lost] =
            [Digest::of(b"small"), Digest::of(b"large"), Digest::of(&new), Digest::of(b"lost")];
        let base = Digest::of(&old);
        let delta = tenfold_deploys::delta::make(&old, &new).unwrap();
        let mut waiters = [
            incoming.expect(small, 5, None).unwrap().0,
            incoming.expect(large, 5, None).unwrap().0,
            incoming.expect(changed, new.len() as u64, Some((base, place))).unwrap().0,
            incoming.expect(lost, 4, None).unwrap().0,
        ];
        // the second half of the large one comes with the next; the last names a base that this host never named
        let (first, bytes, parts) = packed(&[
            (small, b"small".as_slice(), None),
            (large, b"la".as_slice(), None),
            (changed, delta.as_slice(), Some(base)),
            (lost, b"x".as_slice(), Some(base)),
        ]);
        incoming.pack(first, bytes.len() as u64, parts);
        assert_eq!(incoming.chunk(first, &bytes[..20]), Ok(Came::Nothing));
        assert_eq!(incoming.chunk(first, &bytes[20..]), Ok(Came::Again(vec![lost])));
        assert_eq!(waiters[0].try_recv().unwrap(), Ok(()));
        assert!(waiters[1].try_recv().is_err() && waiters[3].try_recv().is_err());
        assert_eq!(waiters[2].try_recv().unwrap(), Ok(()));
        assert!(incoming.verify(changed, new.len() as u64, false));
        let (second, bytes, parts) = packed(&[(large, b"rge".as_slice(), None)]);
        incoming.pack(second, bytes.len() as u64, parts);
        assert_eq!(incoming.chunk(second, &bytes), Ok(Came::Nothing));
        assert_eq!(waiters[1].try_recv().unwrap(), Ok(()));
    }

    #[test]
    fn a_pack_that_is_not_what_was_said_brings_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let incoming = Incoming::new(dir.path());
        let blob = Digest::of(b"blob");
        let (pack, bytes, parts) = packed(&[(blob, b"blob".as_slice(), None)]);
        let said = |bytes: &[u8], pack, parts: &[PackPart]| {
            let mut waiter = incoming.expect(blob, 4, None).unwrap().0;
            incoming.pack(pack, bytes.len() as u64, parts.to_vec());
            assert_eq!(incoming.chunk(pack, bytes), Ok(Came::Nothing));
            waiter.try_recv().unwrap().unwrap_err()
        };
        let other = [&bytes[..bytes.len() - 1], b"x"].concat();
        assert!(said(&other, pack, &parts).contains("another digest"));
        // a bomb, and less than was said
        let bomb = gzip(&vec![0; 50 << 20]);
        assert!(said(&bomb, Digest::of(&bomb), &parts).contains("more than 4 bytes"));
        let more = [PackPart { bytes: 9, ..parts[0].clone() }];
        assert!(said(&bytes, pack, &more).contains("4 bytes, not 9"));
        // more bytes than were announced
        let mut waiter = incoming.expect(blob, 4, None).unwrap().0;
        incoming.pack(pack, 5, parts);
        assert_eq!(incoming.chunk(pack, &bytes), Ok(Came::Nothing));
        assert!(waiter.try_recv().unwrap().is_err());
    }

    #[test]
    fn a_long_message_is_undone_within_what_was_said() {
        let dir = tempfile::tempdir().unwrap();
        let incoming = Incoming::new(dir.path());
        let bytes = gzip(b"a message");
        let digest = Digest::of(&bytes);
        incoming.text(digest, bytes.len() as u64, 9);
        assert_eq!(incoming.chunk(digest, &bytes), Ok(Came::Text("a message".into())));
        incoming.text(digest, bytes.len() as u64, 8);
        assert!(incoming.chunk(digest, &bytes).is_err());
        let bytes = gzip(&[0xff, 0xfe]);
        let digest = Digest::of(&bytes);
        incoming.text(digest, bytes.len() as u64, 2);
        assert!(incoming.chunk(digest, &bytes).unwrap_err().contains("no text"));
    }
}
