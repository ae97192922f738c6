//! A power cut: the file system forgets everything that was not flushed. What `sync` covered must be there again, whole
//! and in order; what came after may be there or not. And a disk that refuses writes loses nothing it acknowledged.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use proptest::prelude::*;
use tenfold_tsdb::{Fs, FsFile, Options, Sample, Tsdb};
use tenfold_types::Labels;

#[derive(Default)]
struct Content {
    bytes: Vec<u8>,
    durable: usize,
}

/// Files in memory. Names are durable once their directory is flushed, bytes once the file is.
#[derive(Default, Clone)]
struct MemFs {
    names: Arc<Mutex<BTreeMap<PathBuf, Arc<Mutex<Content>>>>>,
    durable_names: Arc<Mutex<BTreeMap<PathBuf, Arc<Mutex<Content>>>>>,
    full: Arc<AtomicBool>,
    flush_fails: Arc<AtomicBool>,
}

struct MemFile {
    content: Arc<Mutex<Content>>,
    fs: MemFs,
}

impl MemFs {
    /// What a machine finds after the power came back: the durable names, and of each file the durable bytes plus part
    /// of the rest.
    fn after_power_cut(&self, keep_permille: usize) -> Self {
        let after = Self::default();
        for (path, content) in self.durable_names.lock().unwrap().iter() {
            let c = content.lock().unwrap();
            let durable = c.durable.min(c.bytes.len());
            let kept = durable + (c.bytes.len() - durable) * keep_permille / 1000;
            let copy = Arc::new(Mutex::new(Content { bytes: c.bytes[..kept].to_vec(), durable: kept }));
            after.names.lock().unwrap().insert(path.clone(), copy.clone());
            after.durable_names.lock().unwrap().insert(path.clone(), copy);
        }
        after
    }
}

impl FsFile for MemFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut c = self.content.lock().unwrap();
        if self.fs.full.load(Ordering::SeqCst) {
            c.bytes.extend_from_slice(&bytes[..bytes.len() / 2]);
            return Err(io::ErrorKind::StorageFull.into());
        }
        c.bytes.extend_from_slice(bytes);
        Ok(())
    }
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let c = self.content.lock().unwrap();
        let from = offset as usize;
        let bytes = c.bytes.get(from..from + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
    fn len(&self) -> io::Result<u64> {
        Ok(self.content.lock().unwrap().bytes.len() as u64)
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        self.content.lock().unwrap().bytes.truncate(len as usize);
        Ok(())
    }
    fn sync(&self) -> io::Result<()> {
        if self.fs.flush_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is gone"));
        }
        let mut c = self.content.lock().unwrap();
        c.durable = c.bytes.len();
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
        self.names.lock().unwrap().insert(path.into(), Arc::default());
        self.open(path)
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn FsFile>> {
        let content = self.names.lock().unwrap().get(path).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(MemFile { content, fs: self.clone() }))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut names = self.names.lock().unwrap();
        let content = names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        names.insert(to.into(), content);
        Ok(())
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.names.lock().unwrap().remove(path).map(drop).ok_or(io::ErrorKind::NotFound.into())
    }
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut names = self.names.lock().unwrap();
        let content = names.get(from).cloned().ok_or(io::ErrorKind::NotFound)?;
        names.insert(to.into(), content);
        Ok(())
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
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

fn open(fs: &MemFs) -> Tsdb {
    let options = Options { block_ms: 1000, segment_bytes_max: 3000, ..Options::default() };
    Tsdb::open_with(Arc::new(fs.clone()), Path::new("db"), options).unwrap().0
}

fn batch(i: i64) -> Vec<Sample> {
    ["a", "b"].iter().map(|s| Sample::new(Labels::from_pairs([("s", *s)]), i * 10, i as f64)).collect()
}

fn instants(db: &Tsdb) -> Vec<Vec<i64>> {
    db.select(&[], i64::MIN, i64::MAX)
        .unwrap()
        .iter()
        .map(|s| {
            let mut points = Vec::new();
            s.chunks.read(&mut points).unwrap();
            assert!(points.iter().all(|p| p.value == (p.t_ms / 10) as f64));
            points.iter().map(|p| p.t_ms / 10).collect()
        })
        .collect()
}

#[derive(Debug, Clone)]
enum Step {
    Append,
    Sync,
    Maintain,
    PowerCut(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        30 => Just(Step::Append),
        4 => Just(Step::Sync),
        3 => Just(Step::Maintain),
        1 => (0usize..=1000).prop_map(Step::PowerCut),
    ];
    prop::collection::vec(step, 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn what_was_flushed_survives_a_power_cut(steps in steps()) {
        let mut fs = MemFs::default();
        let mut db = open(&fs);
        let (mut next, mut flushed) = (1i64, 0i64);
        for step in steps.into_iter().chain([Step::PowerCut(0)]) {
            match step {
                Step::Append => {
                    prop_assert_eq!(db.append(&batch(next)).unwrap().rejected_count(), 0);
                    next += 1;
                }
                Step::Sync => {
                    db.sync().unwrap();
                    flushed = next - 1;
                }
                Step::Maintain => {
                    db.maintain(next * 10).unwrap();
                }
                Step::PowerCut(kept) => {
                    drop(db);
                    fs = fs.after_power_cut(kept);
                    db = open(&fs);
                    let mut reached = 0;
                    for found in instants(&db) {
                        let n = found.len() as i64;
                        prop_assert!(found.iter().copied().eq(1..=n), "a gap: {:?}", found);
                        prop_assert!(n >= flushed, "{} of {} flushed samples are left", n, flushed);
                        reached = n;
                    }
                    prop_assert!(reached >= flushed);
                    next = reached + 1;
                    flushed = flushed.min(reached);
                }
            }
        }
    }
}

#[test]
fn a_full_disk_refuses_and_later_goes_on() {
    let fs = MemFs::default();
    let db = open(&fs);
    db.append(&batch(1)).unwrap();
    fs.full.store(true, Ordering::SeqCst);
    let error = db.append(&batch(2)).unwrap_err();
    assert!(error.is_disk_full(), "{error}");
    assert_eq!(instants(&db), [[1], [1]]);
    fs.full.store(false, Ordering::SeqCst);
    assert_eq!(db.append(&batch(2)).unwrap().appended, 2);
    drop(db);
    assert_eq!(instants(&open(&fs)), [[1, 2], [1, 2]]);
}

#[test]
fn a_failed_flush_fences_the_store() {
    let fs = MemFs::default();
    let db = open(&fs);
    db.append(&batch(1)).unwrap();
    fs.flush_fails.store(true, Ordering::SeqCst);
    assert!(db.sync().is_err());
    fs.flush_fails.store(false, Ordering::SeqCst);
    assert!(matches!(db.append(&batch(2)), Err(tenfold_tsdb::TsdbError::Fenced)));
}
