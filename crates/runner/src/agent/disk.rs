//! Where things stand in the agent's folder, and writing so that a power cut leaves the old or the new.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use tenfold_deploys::Digest;

use super::slots::Slots;

/// How often the lock of the folder is asked for, and how long it is waited in between.
const LOCK_TRIES: usize = 20;
const LOCK_AGAIN: Duration = Duration::from_millis(50);

/// The folders of one service:
/// `services/NAME/{releases/DIGEST/, releases/DIGEST.json, current -> releases/DIGEST, state.a, state.b, log/, shared/}`.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub root: PathBuf,
}

impl Place {
    /// `service` was checked to be a plain name by the decoder of the protocol.
    pub fn new(dir: &Path, service: &str) -> Self {
        Self { root: dir.join("services").join(service) }
    }
    pub fn make(&self) -> io::Result<()> {
        own_folder(&self.root)?;
        own_folder(&self.releases())?;
        // these an operator may have put elsewhere
        for folder in ["log", "shared"] {
            fs::create_dir_all(self.root.join(folder))?;
        }
        Ok(())
    }
    pub fn releases(&self) -> PathBuf {
        self.root.join("releases")
    }
    pub fn release(&self, digest: Digest) -> PathBuf {
        self.releases().join(digest.to_string())
    }
    /// How the release was run last.
    pub fn release_note(&self, digest: Digest) -> PathBuf {
        self.releases().join(format!("{digest}.json"))
    }
    pub fn current(&self) -> PathBuf {
        self.root.join("current")
    }
    pub fn state(&self) -> Slots {
        Slots::new(["state.a", "state.b"].map(|name| self.root.join(name)))
    }
    /// Where an agent of an earlier version wrote the same.
    pub fn state_before(&self) -> PathBuf {
        self.root.join("state.json")
    }
    pub fn log(&self, digest: Digest) -> PathBuf {
        self.root.join("log").join(format!("{}.log", digest.short()))
    }
    pub fn shared(&self) -> PathBuf {
        self.root.join("shared")
    }
    /// Points `current` to a release, or to none, and waits until the disk has it.
    pub fn flip(&self, digest: Option<Digest>) -> io::Result<()> {
        self.turn(digest)?;
        sync_dir(&self.root)
    }
    /// Points `current` to a release: the link that lies aside, or a new one, is renamed over the old one. After a power cut
    /// it may be the old one again.
    pub fn turn(&self, digest: Option<Digest>) -> io::Result<()> {
        let current = self.current();
        let Some(digest) = digest else {
            return match fs::remove_file(&current) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
                _ => Ok(()),
            };
        };
        fs::rename(self.lay(digest)?, &current)
    }
    /// Lays the link to a release ready, so that its flip is a rename and nothing else.
    pub fn lay(&self, digest: Digest) -> io::Result<PathBuf> {
        let (aside, target) = (self.root.join("current.new"), Path::new("releases").join(digest.to_string()));
        if fs::read_link(&aside).is_ok_and(|laid| laid == target) {
            return Ok(aside);
        }
        let _ = fs::remove_file(&aside);
        std::os::unix::fs::symlink(target, &aside)?;
        Ok(aside)
    }
}

/// One agent per folder. Of one that has just ended, a process that it was about to begin may still hold the lock, until it
/// becomes another program.
pub(crate) async fn lock(dir: &Path) -> io::Result<File> {
    let file = File::create(dir.join("lock"))?;
    for _ in 0..LOCK_TRIES {
        if file.try_lock().is_ok() {
            return Ok(file);
        }
        tokio::time::sleep(LOCK_AGAIN).await;
    }
    let why = format!("another agent uses {}; give every agent a folder of its own", dir.display());
    Err(io::Error::other(why))
}

/// Makes a folder of our own. A link in its place would have what is written, and what is pruned, happen elsewhere.
pub(crate) fn own_folder(path: &Path) -> io::Result<()> {
    if path.is_symlink() {
        let why = format!("{} is a link and no folder of the agent's own; remove it", path.display());
        return Err(io::Error::other(why));
    }
    fs::create_dir_all(path)
}

/// A new file in the place of whatever stood there; what that led to is not touched.
pub(crate) fn fresh(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    File::options().write(true).create_new(true).open(path)
}

/// Writes aside, to disk, and renames.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("part");
    let mut file = fresh(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    path.parent().map_or(Ok(()), sync_dir)
}

pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn the_link_that_lies_ready_is_turned_and_another_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(dir.path(), "photos");
        place.make().unwrap();
        let [one, two] = [b"one", b"two"].map(|bytes| Digest::of(bytes));
        let inode = |path: &Path| fs::symlink_metadata(path).unwrap().ino();
        let laid = inode(&place.lay(one).unwrap());
        place.turn(Some(one)).unwrap();
        assert_eq!(inode(&place.current()), laid);
        place.lay(one).unwrap();
        place.turn(Some(two)).unwrap();
        assert!(fs::read_link(place.current()).unwrap().ends_with(two.to_string()));
    }
}
