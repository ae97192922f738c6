//! A power cut: the file system forgets everything that was not flushed, in whole or in sectors. What `sync` covered must
//! be there again, whole and in order; what came after may be there or not. A disk that refuses writes loses nothing it
//! acknowledged. A disk that lies about flushing may lose anything, but what is read after is what was written.

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
    /// Flushing says that it is done and does nothing.
    lies: Arc<AtomicBool>,
}

const SECTOR_BYTES: usize = 512;

struct MemFile {
    content: Arc<Mutex<Content>>,
    fs: MemFs,
}

impl MemFs {
    /// What a machine finds after the power came back: the durable names, and of each file the durable bytes plus part
    /// of the rest; sectors of that part may be missing (zeros), as the bits of `torn` say.
    fn after_power_cut(&self, keep_permille: usize, torn: u64) -> Self {
        let after = Self::default();
        for (path, content) in self.durable_names.lock().unwrap().iter() {
            let c = content.lock().unwrap();
            let durable = c.durable.min(c.bytes.len());
            let kept = durable + (c.bytes.len() - durable) * keep_permille / 1000;
            let mut bytes = c.bytes[..kept].to_vec();
            for (i, sector) in bytes[durable..].chunks_mut(SECTOR_BYTES).enumerate() {
                if torn >> (i % 64) & 1 == 1 {
                    sector.fill(0);
                }
            }
            let copy = Arc::new(Mutex::new(Content { bytes, durable: kept }));
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
        let mut c = self.content.lock().unwrap();
        c.bytes.truncate(len as usize);
        c.durable = c.durable.min(len as usize);
        Ok(())
    }
    fn sync(&self) -> io::Result<()> {
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
        if self.full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
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
    Checkpoint,
    /// The disk is full from here on, or no longer.
    Full(bool),
    /// How much of what was not flushed is kept, and which sectors of it are missing.
    PowerCut(usize, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        60 => Just(Step::Append),
        8 => Just(Step::Sync),
        6 => Just(Step::Maintain),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Full(true)),
        4 => Just(Step::Full(false)),
        1 => (0usize..=1000).prop_map(|kept| Step::PowerCut(kept, 0)),
        1 => (0usize..=1000, any::<u64>()).prop_map(|(kept, torn)| Step::PowerCut(kept, torn)),
    ];
    prop::collection::vec(step, 1..400)
}

/// Runs the steps; with `lies`, flushing does nothing.
fn run(steps: Vec<Step>, lies: bool) {
    let mut fs = MemFs::default();
    let mut db = open(&fs);
    fs.lies.store(lies, Ordering::SeqCst);
    // What was acknowledged, in order, and how much of it was flushed.
    let (mut acknowledged, mut flushed, mut next) = (Vec::<i64>::new(), 0usize, 1i64);
    for step in steps.into_iter().chain([Step::Full(false), Step::Append, Step::Maintain, Step::PowerCut(0, 0)]) {
        let full = fs.full.load(Ordering::SeqCst);
        match step {
            Step::Append => {
                match db.append(&batch(next)) {
                    Ok(report) => {
                        assert_eq!(report.rejected_count(), 0, "{report:?}");
                        acknowledged.push(next);
                    }
                    Err(e) => assert!(full && e.is_disk_full(), "{e}"),
                }
                next += 1;
            }
            Step::Sync => {
                db.sync().unwrap();
                flushed = acknowledged.len();
            }
            Step::Maintain | Step::Checkpoint => {
                let done = match step {
                    Step::Maintain => db.maintain(next * 10).map(drop),
                    _ => db.checkpoint(),
                };
                assert!(done.is_ok() || full, "{done:?}");
                if !lies {
                    for found in instants(&db) {
                        assert_eq!(found, acknowledged);
                    }
                }
            }
            Step::Full(on) => fs.full.store(on, Ordering::SeqCst),
            Step::PowerCut(kept, torn) => {
                drop(db);
                fs = fs.after_power_cut(kept, torn);
                db = open(&fs);
                fs.lies.store(lies, Ordering::SeqCst);
                let mut left = acknowledged.clone();
                for found in instants(&db) {
                    if lies {
                        assert!(found.iter().all(|t| acknowledged.contains(t)), "never written: {found:?}");
                    } else {
                        assert_eq!(found[..flushed.min(found.len())], acknowledged[..flushed], "flushed ones are lost");
                        assert!(found.iter().all(|t| acknowledged.contains(t)), "never written: {found:?}");
                        assert!(torn != 0 || acknowledged.starts_with(&found), "a gap: {found:?}");
                    }
                    left.retain(|t| found.contains(t));
                }
                // A batch of which one series' samples are left in part is not told apart from here on.
                let seen: Vec<Vec<i64>> = instants(&db);
                acknowledged = if seen.len() == 2 { left } else { Vec::new() };
                if seen.iter().any(|s| *s != acknowledged) {
                    // With lies or torn sectors the two series may differ: begin anew.
                    fs = MemFs::default();
                    drop(db);
                    db = open(&fs);
                    fs.lies.store(lies, Ordering::SeqCst);
                    acknowledged.clear();
                }
                flushed = flushed.min(acknowledged.len());
            }
        }
    }
}

/// `POWER_CASES` asks for another number.
fn cases(usual: u32) -> u32 {
    std::env::var("POWER_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(150)))]
    #[test]
    fn what_was_flushed_survives_a_power_cut(steps in steps()) {
        run(steps, false);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(60)))]
    #[test]
    fn a_disk_that_lies_gives_back_nothing_that_was_not_written(steps in steps()) {
        run(steps, true);
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
