//! A disk that loses power: a filesystem in memory, mounted by FUSE, on which only what was synced is
//! sure to survive [`PowerCutDisk::cut`]. What was written since is kept, dropped or torn by chance. Without power every change fails with EIO; reads go on until the
//! next mount, so that a program that maps a file lives to be asked.
//!
//! It is stricter than common filesystems: syncing a file does not sync its name, only syncing its
//! directory does. It can also refuse writes (disk full) and fail syncs, after which the data is gone
//! from the queue although reads still show it, as on Linux.
//!
//! A program that maps files of the disk must run in another process than the one that mounted it:
//! the kernel holds a mapping's lock while it asks this process, which then waits for itself.

mod disk;
mod fuse;

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use fuser::{BackgroundSession, Config, Errno, MountOption};
use tempfile::TempDir;

use self::disk::Disk;

/// The disk; it outlives its mounts. Clones are the same disk.
#[derive(Clone)]
pub struct PowerCutDisk(Arc<Mutex<Disk>>);

impl PowerCutDisk {
    /// An empty disk whose accidents follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Disk::new(seed))))
    }

    /// Gives it power and mounts it. Where FUSE cannot be used, prints why the test is skipped and
    /// returns `None`.
    pub fn mount(&self) -> Option<Mounted> {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        self.with(Disk::power_on);
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("power-cut".into()), MountOption::NoAtime];
        match fuser::Session::new(fuse::Fuse(self.0.clone()), dir.path(), &config).and_then(fuser::Session::spawn) {
            Ok(session) => Some(Mounted { session: Some(session), dir }),
            Err(error) => {
                println!("skipped: a FUSE filesystem cannot be mounted here: {error}");
                None
            }
        }
    }

    /// Takes the power away now: every change fails until the next mount.
    pub fn cut(&self) {
        self.with(Disk::cut);
    }

    /// Takes the power away after so many more writes, truncations, syncs and name changes.
    pub fn cut_after(&self, operations: u64) {
        self.with(|disk| disk.cut_after(operations));
    }

    /// Lets every sync fail with EIO, or no longer.
    pub fn fail_syncs(&self, fail: bool) {
        self.with(|disk| disk.sync_error = fail.then_some(Errno::EIO));
    }

    /// Lets writes that would need more space fail with ENOSPC, or no longer.
    pub fn fill(&self, full: bool) {
        self.with(|disk| disk.full = full);
    }

    fn with<T>(&self, f: impl FnOnce(&mut Disk) -> T) -> T {
        f(&mut self.0.lock().expect("no operation panics"))
    }
}

/// A mounted disk, unmounted when dropped. Close every file on it first.
pub struct Mounted {
    session: Option<BackgroundSession>,
    dir: TempDir,
}

impl Mounted {
    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.session.take().map(BackgroundSession::umount_and_join) {
            println!("the power-cut disk did not unmount cleanly: {error}");
        }
    }
}
