//! Blobs on the host: those that are here, and those on their way from the server.
//!
//! A blob gets its name only when all of it is on disk and its content has that digest.

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
use tokio::sync::oneshot;

/// Read only, so that a service does not change what other releases share.
const MODE: u32 = 0o444;
const MODE_EXECUTABLE: u32 = 0o555;
/// Bytes of a blob made of a delta that are written at a time.
const CHUNK_BYTES: usize = 256 * 1024;

pub(crate) struct Incoming {
    dir: PathBuf,
    open: Mutex<HashMap<Digest, Partial>>,
    /// Deltas on their way, by their own digest.
    deltas: Mutex<HashMap<Digest, Delta>>,
}

/// A delta of which some bytes are here.
struct Delta {
    blob: Digest,
    base: PathBuf,
    size: u64,
    bytes: Vec<u8>,
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
        Self { dir: dir.join("blobs"), open: Mutex::default(), deltas: Mutex::default() }
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
        if hash_file(&twin).is_ok_and(|found| found == (digest, size)) {
            return Ok(twin);
        }
        let aside = twin.with_extension("part-x");
        fs::copy(self.path(digest, false), &aside)?;
        fs::set_permissions(&aside, fs::Permissions::from_mode(MODE_EXECUTABLE))?;
        File::open(&aside)?.sync_all()?;
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
        fs::create_dir_all(path.parent().unwrap_or(&self.dir))?;
        let file = File::create(&path)?;
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

    /// Takes a chunk from the server: of a blob, or of a delta. Chunks nobody waits for are dropped. The answer is a blob
    /// that must be asked for as a whole, since its delta is of no use.
    pub fn chunk(&self, digest: Digest, chunk: &[u8]) -> Option<Digest> {
        let whole = {
            let mut deltas = self.deltas.lock();
            match deltas.get_mut(&digest) {
                None => None,
                Some(delta) if (delta.bytes.len() + chunk.len()) as u64 > delta.size => Some(deltas.remove(&digest)?),
                Some(delta) => {
                    delta.bytes.extend_from_slice(chunk);
                    if (delta.bytes.len() as u64) < delta.size {
                        return None;
                    }
                    Some(deltas.remove(&digest)?)
                }
            }
        };
        if let Some(delta) = whole {
            return self.undo(digest, &delta);
        }
        self.content(digest, chunk);
        None
    }

    /// The server announces a delta over what was named as the blob's base.
    pub fn delta(&self, blob: Digest, base: Digest, delta: Digest, size: u64) {
        let open = self.open.lock();
        let known = open.get(&blob).and_then(|p| p.base.clone()).filter(|(digest, _)| *digest == base);
        if let Some((_, path)) = known
            && size <= DELTA_BYTES_MAX
        {
            self.deltas.lock().insert(delta, Delta { blob, base: path, size, bytes: Vec::new() });
        }
    }

    /// Makes the blob of its base and a whole delta; a blob that could not be made is given back.
    fn undo(&self, digest: Digest, delta: &Delta) -> Option<Digest> {
        let size = self.open.lock().get(&delta.blob)?.size;
        match made(digest, delta, size) {
            Ok(content) => {
                for chunk in content.chunks(CHUNK_BYTES) {
                    self.content(delta.blob, chunk);
                }
                None
            }
            Err(error) => {
                tracing::warn!(%error, blob = %delta.blob, "a delta cannot be used; the whole file is asked for");
                if let Some(partial) = self.open.lock().get_mut(&delta.blob) {
                    partial.base = None;
                }
                Some(delta.blob)
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
        self.deltas.lock().clear();
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
            .and_then(|()| partial.file.sync_all())
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
        for folder in folders.flatten() {
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

/// The new file's content, checked against its digest before any of it is kept.
fn made(digest: Digest, delta: &Delta, size: u64) -> Result<Vec<u8>, String> {
    use tenfold_deploys::delta::{FILE_BYTES_MAX, Op, read};
    if Digest::of(&delta.bytes) != digest {
        return Err("the delta has another digest".to_owned());
    }
    let base = fs::read(&delta.base).map_err(|e| e.to_string())?;
    if size > FILE_BYTES_MAX || base.len() as u64 > FILE_BYTES_MAX {
        return Err("the file is too large for a delta".to_owned());
    }
    let mut out = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    for op in read(&delta.bytes, base.len() as u64, size).map_err(|e| e.to_string())? {
        match op {
            Op::Bytes(bytes) => out.extend_from_slice(bytes),
            Op::Copy { from, len } => {
                let from = usize::try_from(from).map_err(|e| e.to_string())?;
                let len = usize::try_from(len).map_err(|e| e.to_string())?;
                out.extend_from_slice(base.get(from..from + len).ok_or("the base is shorter than it was")?);
            }
        }
    }
    if Digest::of(&out) == delta.blob { Ok(out) } else { Err("what it makes has another digest".to_owned()) }
}

fn give_up(partial: Partial, why: &str) {
    let _ = fs::remove_file(&partial.path);
    for waiter in partial.waiting {
        let _ = waiter.send(Err(why.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_content_gets_a_name() {
        let dir = tempfile::tempdir().unwrap();
        let incoming = Incoming::new(dir.path());
        let digest = Digest::of(b"hello");
        let (mut waiter, first) = incoming.expect(digest, 5, None).unwrap();
        assert!(first);
        incoming.chunk(digest, b"hel");
        assert!(waiter.try_recv().is_err());
        incoming.chunk(digest, b"lo");
        assert_eq!(waiter.try_recv().unwrap(), Ok(()));
        assert!(incoming.verify(digest, 5, false));

        let other = Digest::of(b"other");
        let (mut waiter, _) = incoming.expect(other, 5, None).unwrap();
        incoming.chunk(other, b"wrong");
        assert!(waiter.try_recv().unwrap().unwrap_err().contains("digest"));
        assert!(!incoming.path(other, false).exists());
        let (mut waiter, _) = incoming.expect(other, 5, None).unwrap();
        incoming.chunk(other, b"too long");
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
        assert_eq!((incoming.chunk(delta, first), waiter.try_recv().is_err()), (None, true));
        assert_eq!((incoming.chunk(delta, second), waiter.try_recv().unwrap()), (None, Ok(())));
        assert!(incoming.verify(blob, new.len() as u64, false));

        // the base was changed since: what came of it is not kept, and the blob itself still may come
        fs::remove_file(incoming.path(blob, false)).unwrap();
        fs::write(&place, old.iter().map(|b| b ^ 1).collect::<Vec<u8>>()).unwrap();
        let mut waiter = expect();
        incoming.delta(blob, base, delta, bytes.len() as u64);
        assert_eq!(incoming.chunk(delta, &bytes), Some(blob));
        assert!(waiter.try_recv().is_err());
        assert_eq!((incoming.chunk(blob, &new), waiter.try_recv().unwrap()), (None, Ok(())));

        // more than was announced, and a base that was never named
        fs::remove_file(incoming.path(blob, false)).unwrap();
        let _waiter = expect();
        incoming.delta(blob, base, delta, 5);
        assert_eq!(incoming.chunk(delta, &bytes), Some(blob));
        incoming.delta(blob, Digest::of(b"other"), delta, bytes.len() as u64);
        assert_eq!(incoming.chunk(delta, &bytes), None, "nobody waits for it");
    }
}
