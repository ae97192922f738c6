//! Additions: what is written beside a checkpoint when the log has grown, and what a start makes of it.

use std::{path::Path, sync::Arc};

use tenfold_tsdb::{Fs, OpenReport, Options, Point, SeriesWrite, Tsdb};

use crate::mem_fs::{Left, MemFs};

const MINUTE_MS: i64 = 60_000;
/// Of what was not flushed.
const NOTHING: Left = Left { permille: 0, torn: 0 };
const ALL: Left = Left { permille: 1000, torn: 0 };

/// Nothing is cut, and the log is long at fifty samples.
fn options() -> Options {
    Options { replay_samples_max: 50, segment_bytes_max: 2000, ..Options::default() }
}

fn open(fs: &MemFs) -> (Tsdb, OpenReport) {
    Tsdb::open_with(Arc::new(fs.clone()), Path::new("db"), options()).unwrap()
}

/// One sample a minute of one series; its value is its instant.
fn write(db: &Tsdb, series: &str, minutes: std::ops::Range<i64>) {
    for minute in minutes {
        let points = [Point::new(minute * MINUTE_MS, (minute * MINUTE_MS) as f64)];
        let labels = [("s", series)];
        let report = db.write(&[SeriesWrite { labels: &labels, points: &points, ..SeriesWrite::default() }]).unwrap();
        assert_eq!(report.appended, 1, "{report:?}");
    }
}

/// Every series with the minutes it has.
fn read(db: &Tsdb) -> Vec<(String, Vec<i64>)> {
    let mut all = Vec::new();
    for series in db.select(&[], i64::MIN, i64::MAX).unwrap() {
        let mut points = Vec::new();
        series.chunks.read(&mut points).unwrap();
        assert!(points.iter().all(|p| p.value == p.t_ms as f64));
        let name = series.labels.get("s").unwrap().to_owned();
        all.push((name, points.iter().map(|p| p.t_ms / MINUTE_MS).collect()));
    }
    all.sort();
    all
}

/// Of which kinds the files of the log are.
fn kinds(fs: &MemFs) -> Vec<String> {
    let files = fs.list(Path::new("db/wal")).unwrap();
    let mut kinds: Vec<String> = files.iter().map(|p| p.extension().unwrap().to_str().unwrap().to_owned()).collect();
    kinds.sort();
    kinds
}

#[test]
fn additions_replace_the_log_and_each_other() {
    let fs = MemFs::default();
    let (db, _) = open(&fs);
    write(&db, "a", 0..1500);
    write(&db, "ended", 0..130);
    db.checkpoint().unwrap();
    assert!(!db.shorten_log().unwrap(), "the log is short");
    let size = db.stats().wal_bytes;
    for round in 0..5 {
        let (from, to) = (1500 + round * 60, 1560 + round * 60);
        write(&db, "a", from..to);
        let new = format!("new-{round}");
        write(&db, &new, from..from + 2);
        assert!(db.shorten_log().unwrap());
        assert_eq!(kinds(&fs), ["add", "ckpt", "seg"], "in round {round}");
        assert!(!db.shorten_log().unwrap(), "the log is short again");
        assert!(db.stats().wal_bytes < size * 3 / 2 + 100, "the checkpoint is not written again");
        // What came after it is in the log.
        write(&db, "a", to..to + 1);
        for left in [NOTHING, ALL] {
            let (again, report) = open(&fs.after_power_cut(left));
            let more = i64::from(left.permille > 0);
            assert_eq!(report.replayed_samples, more as u64);
            assert!(report.quarantined.is_empty() && report.orphan_samples == 0, "{report:?}");
            let found = read(&again);
            assert_eq!(found[0], ("a".to_owned(), (0..to + more).collect::<Vec<i64>>()));
            assert_eq!(found[1], ("ended".to_owned(), (0..130).collect::<Vec<i64>>()));
            assert_eq!(found.len() as i64, 3 + round);
        }
        // The next round begins with another sample than this.
        let (again, _) = open(&fs.after_power_cut(NOTHING));
        write(&again, "a", to + 5..to + 70);
        again.checkpoint().unwrap();
        assert_eq!(read(&again)[0].1.len() as i64, to + 65);
    }
    // An orderly end leaves nothing that an earlier version would not know.
    db.checkpoint().unwrap();
    assert_eq!(kinds(&fs), ["ckpt", "seg"]);
}

#[test]
fn an_earlier_version_does_not_read_past_an_addition() {
    let version = |fs: &MemFs| {
        let files = fs.list(Path::new("db/wal")).unwrap();
        let segment = files.iter().rfind(|p| p.extension().is_some_and(|e| e == "seg")).unwrap();
        let mut magic = [0; 8];
        fs.open(segment).unwrap().read_exact_at(&mut magic, 0).unwrap();
        magic[5]
    };
    let fs = MemFs::default();
    let (db, _) = open(&fs);
    write(&db, "a", 0..100);
    db.checkpoint().unwrap();
    assert_eq!(version(&fs), 2);
    write(&db, "a", 100..200);
    assert!(db.shorten_log().unwrap());
    assert_eq!(version(&fs), 3);
    db.checkpoint().unwrap();
    assert_eq!(version(&fs), 2);
}

#[test]
fn a_block_that_was_cut_after_an_addition_takes_its_samples_from_it() {
    let fs = MemFs::default();
    let (db, _) = open(&fs);
    write(&db, "a", 0..300);
    db.checkpoint().unwrap();
    write(&db, "a", 300..360);
    assert!(db.shorten_log().unwrap());
    write(&db, "a", 360..380);
    db.sync().unwrap();
    // The power goes between the cutting of blocks and the checkpoint that follows.
    let mut operations = 0;
    loop {
        let fs = fs.after_power_cut(NOTHING);
        let (db, _) = open(&fs);
        fs.cut_after(operations, NOTHING);
        db.maintain(380 * MINUTE_MS).unwrap();
        let Some((image, _)) = fs.image() else { break };
        let (again, report) = open(&image);
        assert!(report.quarantined.is_empty(), "{report:?}");
        let all: Vec<i64> = (0..380).collect();
        assert_eq!(read(&again), [("a".to_owned(), all)], "after {operations} operations");
        operations += 1;
    }
    assert!(operations > 10, "a maintenance of only {operations} operations");
}
