//! Many late samples at once: a maintenance ends while senders go on, its blocks make room for them, and merging waits.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use tenfold_tsdb::{Options, Point, SeriesWrite, Tsdb, TsdbError};

use common::{HOUR, Meanwhile, all};

const MINUTE: i64 = 60_000;
const NOW: i64 = 40 * HOUR;

fn options() -> Options {
    Options { behind_samples_max: 100, block_ms_max: 2 * HOUR, ..Options::default() }
}

fn open(dir: &Path, fs: &Arc<Meanwhile>, options: Options) -> Arc<Tsdb> {
    Arc::new(Tsdb::open_with(fs.clone(), dir, options).unwrap().0)
}

/// One a minute; how many were taken.
fn write(db: &Tsdb, instance: &str, from_ms: i64, count: i64) -> Result<usize, TsdbError> {
    let labels = [("__name__", "m"), ("instance", instance)];
    let points: Vec<Point> = (0..count).map(|i| Point::new(from_ms + i * MINUTE, 1.0)).collect();
    let report = db.write(&[SeriesWrite { labels: &labels, points: &points, ..SeriesWrite::default() }])?;
    assert_eq!(report.rejected, []);
    Ok(report.appended)
}

/// A series has thirty hours up to now; all but the last two are in blocks.
fn begin(db: &Tsdb) {
    assert_eq!(write(db, "here", NOW - 30 * HOUR, 30 * 60).unwrap(), 1800);
    assert_eq!(db.maintain(NOW).unwrap().blocks_written, 14);
}

/// How many samples each series has.
fn counts(db: &Tsdb) -> Vec<usize> {
    all(db).iter().map(|(_, points)| points.len()).collect()
}

#[test]
fn a_maintenance_ends_while_late_samples_go_on_coming() {
    let (dir, fs) = (tempfile::tempdir().unwrap(), Arc::new(Meanwhile::default()));
    let db = open(dir.path(), &fs, options());
    begin(&db);
    assert_eq!(write(&db, "away", 30 * HOUR, 60).unwrap(), 60);
    // While a block is begun there is one more for the other of two.
    let (other, mut came) = (Arc::clone(&db), 0);
    let event = move || {
        let hour = if came % 2 == 0 { 33 } else { 31 };
        assert_eq!(write(&other, "away", hour * HOUR + came * MINUTE, 1).unwrap(), 1);
        came += 1;
        came < 50
    };
    *fs.0.lock().unwrap() = Some(Box::new(event));
    let report = db.maintain(NOW).unwrap();
    drop(fs.0.lock().unwrap().take());
    assert_eq!(report.blocks_written, 2, "{report:?}");
    assert_eq!(counts(&db), [62, 1800]);
    // What came last is in memory, and gets its block with the next.
    assert_eq!(db.stats().head_samples, 120 + 1);
    assert_eq!(db.maintain(NOW + HOUR).unwrap().blocks_written, 2);
    assert_eq!((counts(&db), db.stats().head_samples), (vec![62, 1800], 0));
}

#[test]
fn each_block_makes_room_for_more_late_samples() {
    let (dir, fs) = (tempfile::tempdir().unwrap(), Arc::new(Meanwhile::default()));
    let db = open(dir.path(), &fs, options());
    begin(&db);
    assert_eq!(write(&db, "away", 30 * HOUR, 60).unwrap(), 60);
    assert_eq!(write(&db, "away", 32 * HOUR, 60).unwrap(), 60);
    // There is no room while the first block is begun, and some while the second one is.
    let (other, taken) = (Arc::clone(&db), Arc::new(Mutex::new(Vec::new())));
    let told = Arc::clone(&taken);
    let event = move || {
        let mut told = told.lock().unwrap();
        told.push(write(&other, "away", 34 * HOUR, 10).is_ok());
        told.len() < 2
    };
    *fs.0.lock().unwrap() = Some(Box::new(event));
    db.maintain(NOW).unwrap();
    assert_eq!(*taken.lock().unwrap(), [false, true]);
    assert_eq!(counts(&db), [130, 1800]);
}

#[test]
fn merging_ends_when_late_samples_press_meanwhile() {
    let (dir, fs) = (tempfile::tempdir().unwrap(), Arc::new(Meanwhile::default()));
    let db = open(dir.path(), &fs, options());
    begin(&db);
    drop(db);
    let db = open(dir.path(), &fs, Options { block_ms_max: 8 * HOUR, ..options() });
    let other = Arc::clone(&db);
    let event = move || {
        assert_eq!(write(&other, "away", 30 * HOUR, 60).unwrap(), 60);
        false
    };
    *fs.0.lock().unwrap() = Some(Box::new(event));
    let done = |minute: i64| {
        let report = db.maintain(NOW + minute * MINUTE).unwrap();
        (report.blocks_written, report.blocks_merged)
    };
    // Three stretches of eight hours are due.
    assert_eq!(done(1), (0, 3));
    assert!(db.is_pressed());
    assert_eq!(done(2), (1, 0));
    assert_eq!(done(3), (0, 2 + 4 + 4));
    assert_eq!(counts(&db), [60, 1800]);
}

#[test]
fn blocks_that_were_merged_do_not_count_where_merging_is_put_off() {
    let (dir, fs) = (tempfile::tempdir().unwrap(), Arc::new(Meanwhile::default()));
    let times = |from: i64, step: i64, count: i64| -> Vec<Point> {
        (0..count).map(|i| Point::new(from + i * step, 1.0)).collect()
    };
    let write = |db: &Tsdb, name: &str, points: &[Point]| {
        let batch = SeriesWrite { labels: &[("__name__", name)], points, ..SeriesWrite::default() };
        assert_eq!(db.write(&[batch]).unwrap().appended, points.len());
    };
    let db = open(dir.path(), &fs, Options { block_ms: 4000, block_ms_max: 4000, ..options() });
    write(&db, "here", &times(0, 2000, 520));
    assert_eq!(db.maintain(1_050_000).unwrap().blocks_written, 260);
    drop(db);
    // As if each were of four.
    let db = open(dir.path(), &fs, Options { block_ms: 1000, block_ms_max: 4000, ..options() });
    write(&db, "away", &times(1_000_001, 1, 60));
    let report = db.maintain(1_050_000).unwrap();
    assert_eq!((report.blocks_written, report.blocks_merged), (1, 0), "{report:?}");
    assert_eq!(db.maintain(1_050_000).unwrap().blocks_merged, 2);
}
