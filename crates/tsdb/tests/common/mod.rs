//! A store in a folder, and what is in it.

#![allow(dead_code, clippy::allow_attributes, reason = "each test binary uses its part")]

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use tenfold_tsdb::{Fs, FsFile, HistogramPoint, Options, OsFs, Point, Sample, Tsdb};
use tenfold_types::{Histogram, Labels, Matcher, histogram::Buckets};

pub const HOUR: i64 = 3_600_000;

pub fn series(name: &str, instance: &str) -> Labels {
    Labels::from_pairs([("__name__", name), ("instance", instance)])
}

pub fn sample(instance: &str, t_ms: i64, value: f64) -> Sample {
    Sample::new(series("m", instance), t_ms, value)
}

pub fn open(dir: &Path) -> Tsdb {
    Tsdb::open(dir, strict()).unwrap().0
}

/// Nothing late is taken, and blocks are not merged.
pub fn strict() -> Options {
    Options { out_of_order_ms: 0, behind_ms: 0, block_ms_max: 2 * HOUR, ..Options::default() }
}

pub fn read(db: &Tsdb, matchers: &[Matcher], start: i64, end: i64) -> Vec<(String, Vec<Point>)> {
    let mut out: Vec<_> = db
        .select(matchers, start, end)
        .unwrap()
        .into_iter()
        .map(|s| {
            let mut points = Vec::new();
            s.chunks.read(&mut points).unwrap();
            (s.labels.to_string(), points)
        })
        .collect();
    out.sort_by(|a, b| a.0.cmp(&b.0));
    out
}

pub fn all(db: &Tsdb) -> Vec<(String, Vec<Point>)> {
    read(db, &[Matcher::equal("__name__", "m")], i64::MIN, i64::MAX)
}

pub fn histogram(t_ms: i64, n: f64) -> HistogramPoint {
    let positive = Buckets::single(1, vec![n, n + 1.0]);
    let h = Histogram { schema: 3, count: 2.0 * n + 1.0, sum: n, positive, ..Histogram::default() };
    HistogramPoint { t_ms, histogram: Arc::new(h) }
}

/// What happens while a block is begun; whether it does so again with the next one.
pub type Event = Box<dyn FnMut() -> bool + Send>;

/// The system's files, and what happens meanwhile.
#[derive(Default)]
pub struct Meanwhile(pub Mutex<Option<Event>>);

impl Fs for Meanwhile {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        OsFs.create_dir_all(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        OsFs.list(dir)
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn FsFile>> {
        if path.parent().is_some_and(|dir| dir.ends_with("blocks")) {
            // Not held while it happens.
            let event = self.0.lock().unwrap().take();
            if let Some(again) = event.and_then(|mut event| event().then_some(event)) {
                *self.0.lock().unwrap() = Some(again);
            }
        }
        OsFs.create(path)
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn FsFile>> {
        OsFs.open(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsFs.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        OsFs.remove(path)
    }
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsFs.hard_link(from, to)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        OsFs.sync_dir(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        OsFs.lock(path)
    }
}
