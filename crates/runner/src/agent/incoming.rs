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
use tenfold_deploys::Digest;
use tokio::sync::oneshot;

/// Read only, so that a service does not change what other releases share.
const MODE: u32 = 0o444;
const MODE_EXECUTABLE: u32 = 0o555;

pub(crate) struct Incoming {
    dir: PathBuf,
    open: Mutex<HashMap<Digest, Partial>>,
}

struct Partial {
    file: File,
    path: PathBuf,
    hasher: blake3::Hasher,
    have: u64,
    size: u64,
    waiting: Vec<oneshot::Sender<Result<(), String>>>,
}

impl Incoming {
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.join("blobs"), open: Mutex::default() }
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
    pub fn expect(&self, digest: Digest, size: u64) -> io::Result<(oneshot::Receiver<Result<(), String>>, bool)> {
        let (done, waiter) = oneshot::channel();
        let mut open = self.open.lock();
        if let Some(partial) = open.get_mut(&digest) {
            partial.waiting.push(done);
            return Ok((waiter, false));
        }
        let path = self.path(digest, false).with_extension("part");
        fs::create_dir_all(path.parent().unwrap_or(&self.dir))?;
        let file = File::create(&path)?;
        let partial = Partial { file, path, hasher: blake3::Hasher::new(), have: 0, size, waiting: vec![done] };
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

    /// Takes a chunk from the server. Chunks nobody waits for are dropped.
    pub fn chunk(&self, digest: Digest, chunk: &[u8]) {
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
        let (mut waiter, first) = incoming.expect(digest, 5).unwrap();
        assert!(first);
        incoming.chunk(digest, b"hel");
        assert!(waiter.try_recv().is_err());
        incoming.chunk(digest, b"lo");
        assert_eq!(waiter.try_recv().unwrap(), Ok(()));
        assert!(incoming.verify(digest, 5, false));

        let other = Digest::of(b"other");
        let (mut waiter, _) = incoming.expect(other, 5).unwrap();
        incoming.chunk(other, b"wrong");
        assert!(waiter.try_recv().unwrap().unwrap_err().contains("digest"));
        assert!(!incoming.path(other, false).exists());
        let (mut waiter, _) = incoming.expect(other, 5).unwrap();
        incoming.chunk(other, b"too long");
        assert!(waiter.try_recv().unwrap().is_err());
    }

    #[test]
    fn damage_is_found_and_empty_blobs_need_no_server() {
        let dir = tempfile::tempdir().unwrap();
        let incoming = Incoming::new(dir.path());
        let empty = Digest::of(b"");
        let (mut waiter, ask) = incoming.expect(empty, 0).unwrap();
        assert!(!ask && waiter.try_recv().unwrap().is_ok());
        let path = incoming.path(empty, false);
        fs::remove_file(&path).unwrap();
        fs::write(&path, b"x").unwrap();
        assert!(!incoming.verify(empty, 0, false));
        assert!(!path.exists());
    }
}
