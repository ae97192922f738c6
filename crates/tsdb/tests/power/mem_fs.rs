//! Files in memory that know what a power cut leaves of them.

use std::{
    collections::BTreeMap,
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use tenfold_tsdb::{Fs, FsFile};

const SECTOR_BYTES: usize = 512;

#[derive(Default)]
struct Content {
    bytes: Vec<u8>,
    durable: usize,
}

type Names = BTreeMap<PathBuf, Arc<Mutex<Content>>>;

/// What is left of the bytes that were not flushed: so many of a thousand, of which sectors may be missing (zeros), as
/// the bits say.
#[derive(Debug, Clone, Copy)]
pub struct Left {
    pub permille: usize,
    pub torn: u64,
}

/// The power goes so many operations from now.
struct Cut {
    operations: usize,
    left: Left,
    image: Option<MemFs>,
}

/// Bytes of a file.
type Stretch = (PathBuf, Range<usize>);

/// Names are durable once their directory is flushed, bytes once the file is.
#[derive(Default, Clone)]
pub struct MemFs {
    names: Arc<Mutex<Names>>,
    durable_names: Arc<Mutex<Names>>,
    pub full: Arc<AtomicBool>,
    pub flush_fails: Arc<AtomicBool>,
    /// The same for directories.
    pub names_fail: Arc<AtomicBool>,
    /// Nothing can be read.
    pub reads_fail: Arc<AtomicBool>,
    /// These bytes of a file cannot be read.
    pub unreadable: Arc<Mutex<Option<Stretch>>>,
    /// Flushing says that it is done and does nothing.
    pub lies: Arc<AtomicBool>,
    /// Held by each operation, so that a power cut falls between two.
    cut: Arc<Mutex<Option<Cut>>>,
}

struct MemFile {
    path: PathBuf,
    content: Arc<Mutex<Content>>,
    fs: MemFs,
}

impl MemFs {
    /// What a machine finds after the power came back: the durable names, and of each file the durable bytes plus part
    /// of the rest.
    pub fn after_power_cut(&self, left: Left) -> Self {
        let after = Self::default();
        for (path, content) in self.durable_names.lock().unwrap().iter() {
            let c = content.lock().unwrap();
            let durable = c.durable.min(c.bytes.len());
            let kept = durable + (c.bytes.len() - durable) * left.permille / 1000;
            let mut bytes = c.bytes[..kept].to_vec();
            for (i, sector) in bytes[durable..].chunks_mut(SECTOR_BYTES).enumerate() {
                if left.torn >> (i % 64) & 1 == 1 {
                    sector.fill(0);
                }
            }
            let copy = Arc::new(Mutex::new(Content { bytes, durable: kept }));
            after.names.lock().unwrap().insert(path.clone(), copy.clone());
            after.durable_names.lock().unwrap().insert(path.clone(), copy);
        }
        after
    }

    /// The power will go within what is done next: that many operations on files from now.
    pub fn cut_after(&self, operations: usize, left: Left) {
        *self.cut.lock().unwrap() = Some(Cut { operations, left, image: None });
    }

    /// What the power cut left, once it came.
    pub fn image(&self) -> Option<(Self, Left)> {
        let cut = self.cut.lock().unwrap();
        let cut = cut.as_ref()?;
        Some((cut.image.clone()?, cut.left))
    }

    /// Whether the power still has to go.
    pub fn cut_is_due(&self) -> bool {
        self.cut.lock().unwrap().as_ref().is_some_and(|c| c.image.is_none())
    }

    /// Begins an operation. Whatever is done after the power cut is not seen by anybody.
    fn operation(&self) -> MutexGuard<'_, Option<Cut>> {
        let mut guard = self.cut.lock().unwrap();
        if let Some(cut) = guard.as_mut().filter(|c| c.image.is_none()) {
            if cut.operations == 0 {
                cut.image = Some(self.after_power_cut(cut.left));
            } else {
                cut.operations -= 1;
            }
        }
        guard
    }
}

impl FsFile for MemFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let _operation = self.fs.operation();
        let mut c = self.content.lock().unwrap();
        if self.fs.full.load(Ordering::SeqCst) {
            c.bytes.extend_from_slice(&bytes[..bytes.len() / 2]);
            return Err(io::ErrorKind::StorageFull.into());
        }
        c.bytes.extend_from_slice(bytes);
        Ok(())
    }
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let (from, to) = (offset as usize, offset as usize + buffer.len());
        let unreadable = self.fs.unreadable.lock().unwrap();
        let unreadable =
            unreadable.as_ref().is_some_and(|(path, part)| *path == self.path && part.start < to && part.end > from);
        if unreadable || self.fs.reads_fail.load(Ordering::SeqCst) {
            return Err(io::Error::other("a sector cannot be read"));
        }
        let c = self.content.lock().unwrap();
        let bytes = c.bytes.get(from..to).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
    fn len(&self) -> io::Result<u64> {
        Ok(self.content.lock().unwrap().bytes.len() as u64)
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        let _operation = self.fs.operation();
        let mut c = self.content.lock().unwrap();
        c.bytes.truncate(len as usize);
        c.durable = c.durable.min(len as usize);
        Ok(())
    }
    fn sync(&self) -> io::Result<()> {
        let _operation = self.fs.operation();
        if self.fs.flush_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is gone"));
        }
        if !self.fs.lies.load(Ordering::SeqCst) {
            let mut c = self.content.lock().unwrap();
            c.durable = c.bytes.len();
        }
        Ok(())
    }
}

impl Fs for MemFs {
    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.names.lock().unwrap().keys().filter(|p| p.parent() == Some(dir)).cloned().collect())
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn FsFile>> {
        {
            let _operation = self.operation();
            if self.full.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.names.lock().unwrap().insert(path.into(), Arc::default());
        }
        self.open(path)
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn FsFile>> {
        let content = self.names.lock().unwrap().get(path).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(MemFile { path: path.into(), content, fs: self.clone() }))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _operation = self.operation();
        let mut names = self.names.lock().unwrap();
        let content = names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        names.insert(to.into(), content);
        Ok(())
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        let _operation = self.operation();
        self.names.lock().unwrap().remove(path).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _operation = self.operation();
        let mut names = self.names.lock().unwrap();
        let content = names.get(from).cloned().ok_or(io::ErrorKind::NotFound)?;
        names.insert(to.into(), content);
        Ok(())
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let _operation = self.operation();
        if self.names_fail.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is gone"));
        }
        let names = self.names.lock().unwrap();
        let mut durable = self.durable_names.lock().unwrap();
        durable.retain(|p, _| p.parent() != Some(dir));
        durable.extend(names.iter().filter(|(p, _)| p.parent() == Some(dir)).map(|(p, c)| (p.clone(), c.clone())));
        Ok(())
    }
    fn lock(&self, _: &Path) -> io::Result<Box<dyn Send + Sync>> {
        Ok(Box::new(()))
    }
}
