//! Disks that fail in part: one flush, the names of a directory, what cannot be read any more, no room; and what is removed
//! for good.

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use tenfold_tsdb::{Fs, Options, Point, SeriesWrite, Tsdb, TsdbError};
use tenfold_types::Matcher;

use crate::mem_fs::{Left, MemFs};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Of what was not flushed.
const NOTHING: Left = Left { permille: 0, torn: 0 };

fn options() -> Options {
    Options { block_ms: 2 * HOUR_MS, block_ms_max: 2 * HOUR_MS, segment_bytes_max: 2000, ..Options::default() }
}

fn open(fs: &MemFs, options: Options) -> Tsdb {
    Tsdb::open_with(Arc::new(fs.clone()), Path::new("db"), options).unwrap().0
}

fn write(db: &Tsdb, t_ms: i64) -> Result<usize, TsdbError> {
    let points = [Point::new(t_ms, t_ms as f64 + 0.5)];
    let report = db.write(&[SeriesWrite { labels: &[("s", "a")], points: &points, ..SeriesWrite::default() }])?;
    Ok(report.appended)
}

/// One sample a minute.
fn write_minutes(db: &Tsdb, minutes: std::ops::Range<i64>) {
    for minute in minutes {
        assert_eq!(write(db, minute * MINUTE_MS).unwrap(), 1);
    }
}

fn instants(db: &Tsdb) -> Vec<i64> {
    let mut points = Vec::new();
    for series in db.select(&[], i64::MIN, i64::MAX).unwrap() {
        series.chunks.read(&mut points).unwrap();
    }
    assert!(points.iter().all(|p| p.value == p.t_ms as f64 + 0.5));
    points.iter().map(|p| p.t_ms).collect()
}

#[test]
fn a_flush_that_fails_when_a_segment_is_closed_fences_the_store() {
    let fs = MemFs::default();
    let db = open(&fs, options());
    write(&db, 1).unwrap();
    fs.flush_fails.store(true, Ordering::SeqCst);
    let failed = (2..1000).find(|t| write(&db, *t).is_err()).unwrap();
    assert!(failed > 10, "nothing is flushed before the segment is full");
    // The disk says that all is well again, but not what became of the bytes it was to flush.
    fs.flush_fails.store(false, Ordering::SeqCst);
    assert!(matches!(write(&db, failed + 1), Err(TsdbError::Fenced)));
    assert!(matches!(db.sync(), Err(TsdbError::Fenced)));
    assert!(matches!(db.maintain(HOUR_MS), Err(TsdbError::Fenced)));
    assert!(matches!(db.clean_tombstones(), Err(TsdbError::Fenced)));
    // What was acknowledged is in memory, and a checkpoint brings it to a file of its own.
    db.checkpoint().unwrap();
    assert!(matches!(write(&db, failed + 2), Err(TsdbError::Fenced)));
    let db = open(&fs.after_power_cut(NOTHING), options());
    assert_eq!(instants(&db), (1..failed).collect::<Vec<_>>());
}

#[test]
fn names_that_do_not_reach_the_disk_fence_the_store() {
    let fs = MemFs::default();
    let db = open(&fs, options());
    write_minutes(&db, 0..400);
    fs.names_fail.store(true, Ordering::SeqCst);
    assert!(db.maintain(400 * MINUTE_MS).is_err());
    fs.names_fail.store(false, Ordering::SeqCst);
    assert!(matches!(write(&db, 400 * MINUTE_MS), Err(TsdbError::Fenced)));
    drop(db);
    let db = open(&fs, options());
    assert_eq!(instants(&db).len(), 400);
    assert_eq!(write(&db, 400 * MINUTE_MS).unwrap(), 1);
}

/// After a kill the kernel still has what was not flushed: the store that is started then builds on it.
#[test]
fn what_a_killed_store_left_to_the_kernel_survives_a_power_cut_later() {
    let fs = MemFs::default();
    write_minutes(&open(&fs, options()), 0..10);
    let db = open(&fs, options());
    write_minutes(&db, 10..20);
    db.sync().unwrap();
    let db = open(&fs.after_power_cut(NOTHING), options());
    assert_eq!(instants(&db), (0..20).map(|minute| minute * MINUTE_MS).collect::<Vec<_>>());
}

#[test]
fn a_block_whose_name_the_kernel_alone_knew_survives_a_power_cut_later() {
    let fs = MemFs::default();
    let db = open(&fs, options());
    write_minutes(&db, 0..200);
    db.sync().unwrap();
    // It is killed between the renaming of its block and the flush of the name.
    fs.names_fail.store(true, Ordering::SeqCst);
    assert!(db.maintain(200 * MINUTE_MS).is_err());
    fs.names_fail.store(false, Ordering::SeqCst);
    drop(db);
    let db = open(&fs, options());
    assert_eq!(db.stats().blocks, 1);
    db.checkpoint().unwrap();
    let db = open(&fs.after_power_cut(NOTHING), options());
    assert_eq!(instants(&db).len(), 200);
}

#[test]
fn a_store_on_a_full_disk_opens_and_is_read() {
    let fs = MemFs::default();
    write_minutes(&open(&fs, options()), 0..20);
    fs.full.store(true, Ordering::SeqCst);
    let db = open(&fs, options());
    assert_eq!(instants(&db).len(), 20);
    db.sync().unwrap();
    assert!(write(&db, 20 * MINUTE_MS).unwrap_err().is_disk_full());
    assert!(db.delete(&[], 0, 1).unwrap_err().is_disk_full());
    assert!(db.checkpoint().unwrap_err().is_disk_full());
    fs.full.store(false, Ordering::SeqCst);
    write_minutes(&db, 20..30);
    assert_eq!(instants(&db).len(), 30);
    db.checkpoint().unwrap();
    drop(db);
    assert_eq!(instants(&open(&fs, options())).len(), 30);
}

#[test]
fn what_was_deleted_whole_does_not_come_back_with_the_power() {
    let fs = MemFs::default();
    let db = open(&fs, options());
    write_minutes(&db, 0..300);
    assert_eq!(db.maintain(300 * MINUTE_MS).unwrap().blocks_written, 2);
    assert_eq!(db.delete(&[Matcher::equal("s", "a")], 0, 4 * HOUR_MS - 1).unwrap(), 1);
    assert_eq!(db.clean_tombstones().unwrap(), 2);
    let stats = db.stats();
    assert_eq!((stats.blocks, stats.tombstones), (0, 0), "nothing is left to remember it for");
    let db = open(&fs.after_power_cut(NOTHING), options());
    assert_eq!(instants(&db), (240..300).map(|minute| minute * MINUTE_MS).collect::<Vec<_>>());
}

#[test]
fn a_full_disk_gets_room_from_what_is_past_the_retention() {
    let fs = MemFs::default();
    let db = open(&fs, Options { retention_ms: 6 * HOUR_MS, ..options() });
    write_minutes(&db, 0..300);
    assert_eq!(db.maintain(300 * MINUTE_MS).unwrap().blocks_written, 2);
    fs.full.store(true, Ordering::SeqCst);
    let error = db.maintain(20 * HOUR_MS).unwrap_err();
    assert!(error.is_disk_full(), "{error}");
    assert_eq!(db.stats().blocks, 0);
    fs.full.store(false, Ordering::SeqCst);
    db.maintain(20 * HOUR_MS).unwrap();
    assert_eq!(db.stats().head_samples, 0);
}

#[test]
fn a_block_that_cannot_be_read_does_not_keep_the_log_from_being_shortened() {
    let fs = MemFs::default();
    let db = open(&fs, options());
    write_minutes(&db, 0..600);
    assert_eq!(db.maintain(600 * MINUTE_MS).unwrap().blocks_written, 4);
    drop(db);
    let db = open(&fs, Options { block_ms_max: 8 * HOUR_MS, ..options() });
    write_minutes(&db, 600..640);
    let before = db.stats().wal_segment_bytes;
    fs.reads_fail.store(true, Ordering::SeqCst);
    let error = db.maintain(640 * MINUTE_MS).unwrap_err();
    assert!(error.to_string().contains("cannot read"), "{error}");
    fs.reads_fail.store(false, Ordering::SeqCst);
    let after = db.stats().wal_segment_bytes;
    assert!(after < 100 && before > 500, "{before} bytes, then {after}");
    assert_eq!(instants(&db).len(), 640);
    assert_eq!(db.maintain(640 * MINUTE_MS).unwrap().blocks_merged, 4);
    assert_eq!(instants(&db).len(), 640);
}

/// A sector of a block is gone: the rest of the store does not wait for it.
#[test]
fn a_block_that_the_disk_cannot_read_is_set_aside_at_a_start() {
    let fs = MemFs::default();
    let db = open(&fs, options());
    write_minutes(&db, 0..600);
    assert_eq!(db.maintain(600 * MINUTE_MS).unwrap().blocks_written, 4);
    drop(db);
    let gone = fs.list(Path::new("db/blocks")).unwrap().remove(1);
    *fs.unreadable.lock().unwrap() = Some((gone.clone(), 0..usize::MAX));
    let (db, report) = Tsdb::open_with(Arc::new(fs.clone()), Path::new("db"), options()).unwrap();
    assert_eq!((report.quarantined.len(), report.blocks), (1, 3), "{report:?}");
    assert_eq!(report.quarantined[0].file_name(), gone.file_name());
    let left: Vec<i64> = (0..600).filter(|m| !(120..240).contains(m)).map(|m| m * MINUTE_MS).collect();
    assert_eq!(instants(&db), left);
    write_minutes(&db, 600..610);
    db.maintain(610 * MINUTE_MS).unwrap();
    drop(db);
    assert_eq!(instants(&open(&fs, options())).len(), left.len() + 10);
}

/// The same in the log: what stands before and behind is read, and the file is kept for whoever can read more of it.
#[test]
fn a_sector_of_the_log_that_the_disk_cannot_read_takes_no_more_along() {
    let fs = MemFs::default();
    let roomy = || Options { segment_bytes_max: 1 << 20, ..options() };
    let db = open(&fs, roomy());
    write_minutes(&db, 0..1500);
    drop(db);
    let log = fs.list(Path::new("db/wal")).unwrap().remove(0);
    *fs.unreadable.lock().unwrap() = Some((log, 8200..8300));
    let (db, report) = Tsdb::open_with(Arc::new(fs.clone()), Path::new("db"), roomy()).unwrap();
    assert_eq!(report.quarantined.len(), 1, "{report:?}");
    let found = instants(&db);
    assert!((1200..1450).contains(&found.len()), "{} of 1500 are left", found.len());
    assert!(found.contains(&0) && found.contains(&(1499 * MINUTE_MS)));
    drop(db);
    let (db, report) = Tsdb::open_with(Arc::new(fs.clone()), Path::new("db"), roomy()).unwrap();
    assert!(report.quarantined.is_empty(), "{report:?}");
    assert_eq!(instants(&db), found);
    // A disk that gives nothing is not one with a bad sector: nothing is given up.
    fs.reads_fail.store(true, Ordering::SeqCst);
    assert!(Tsdb::open_with(Arc::new(fs.clone()), Path::new("db"), roomy()).is_err());
    fs.reads_fail.store(false, Ordering::SeqCst);
    assert_eq!(instants(&open(&fs, roomy())), found);
}

#[test]
fn a_fenced_store_takes_samples_again_once_all_it_took_is_written_anew() {
    let fs = MemFs::default();
    let db = open(&fs, options());
    assert!(!db.recover().unwrap(), "nothing is wrong");
    write_minutes(&db, 0..300);
    db.sync().unwrap();
    write_minutes(&db, 300..310);
    fs.flush_fails.store(true, Ordering::SeqCst);
    assert!(db.sync().is_err());
    // The disk takes nothing yet.
    assert!(db.recover().is_err());
    assert!(matches!(write(&db, 310 * MINUTE_MS), Err(TsdbError::Fenced)));
    assert!(!db.shorten_log().unwrap());
    fs.flush_fails.store(false, Ordering::SeqCst);
    assert!(db.recover().unwrap());
    // What was acknowledged before the failed flush needs nothing of the old segment.
    let again = open(&fs.after_power_cut(NOTHING), options());
    assert_eq!(instants(&again).len(), 310);
    write_minutes(&db, 310..320);
    db.sync().unwrap();
    let again = open(&fs.after_power_cut(NOTHING), options());
    assert_eq!(instants(&again), (0..320).map(|minute| minute * MINUTE_MS).collect::<Vec<_>>());
}

#[test]
fn a_block_whose_name_was_not_flushed_is_no_longer_there_when_samples_are_taken_again() {
    let fs = MemFs::default();
    let db = open(&fs, options());
    write_minutes(&db, 0..400);
    fs.names_fail.store(true, Ordering::SeqCst);
    assert!(db.maintain(400 * MINUTE_MS).is_err());
    assert!(db.recover().is_err());
    fs.names_fail.store(false, Ordering::SeqCst);
    assert!(db.recover().unwrap());
    assert_eq!(fs.list(Path::new("db/blocks")).unwrap().len(), db.stats().blocks);
    write_minutes(&db, 400..410);
    db.maintain(410 * MINUTE_MS).unwrap();
    db.sync().unwrap();
    let again = open(&fs.after_power_cut(NOTHING), options());
    for db in [&db, &again] {
        assert_eq!(instants(db), (0..410).map(|minute| minute * MINUTE_MS).collect::<Vec<_>>());
    }
}

/// A start takes what is older than the end of any block for written: a block of late samples must not be the first to say so.
#[test]
fn closed_time_without_room_for_its_blocks_gets_them_before_what_came_late_for_it() {
    let options = || Options { behind_samples_max: 10, ..options() };
    for operations in 0.. {
        let fs = MemFs::default();
        let db = open(&fs, options());
        db.maintain(600 * MINUTE_MS).unwrap();
        // Ten hours of a past, for which time would be held open.
        write_minutes(&db, 0..600);
        fs.full.store(true, Ordering::SeqCst);
        assert!(db.import(&[], 600 * MINUTE_MS).unwrap_err().is_disk_full());
        fs.full.store(false, Ordering::SeqCst);
        let late: Vec<i64> = (0..10).map(|i| 470 * MINUTE_MS + 1 + i).collect();
        let late: Vec<Point> = late.iter().map(|t| Point::new(*t, *t as f64 + 0.5)).collect();
        let batch = SeriesWrite { labels: &[("s", "b")], points: &late, ..SeriesWrite::default() };
        assert_eq!(db.write(&[batch]).unwrap().appended, 10);
        assert!(db.is_pressed());
        db.sync().unwrap();
        fs.cut_after(operations, NOTHING);
        // The last of them has what came late, too.
        assert_eq!(db.maintain(601 * MINUTE_MS).unwrap().blocks_written, 4);
        let Some((image, _)) = fs.image() else {
            assert!(operations > 10, "a maintenance of only {operations} operations");
            break;
        };
        assert_eq!(instants(&open(&image, options())).len(), 610, "after {operations} operations");
    }
}

/// A start that finds both a damaged block and the one that has what was left of it removes the first.
#[test]
fn a_damaged_block_is_kept_wherever_the_power_goes_while_it_is_set_aside() {
    let base = MemFs::default();
    let db = open(&base, options());
    for minute in 0..200 {
        // Noise, which is not so short that both series stand in one part of the file.
        let bits = |salt: u64| (minute as u64 + salt).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 12;
        for (series, salt) in [("a", 0), ("b", 1000)] {
            let points = [Point::new(minute * MINUTE_MS, f64::from_bits(0x3ff0_0000_0000_0000 | bits(salt)))];
            db.write(&[SeriesWrite { labels: &[("s", series)], points: &points, ..SeriesWrite::default() }]).unwrap();
        }
    }
    assert_eq!(db.maintain(200 * MINUTE_MS).unwrap().blocks_written, 1);
    db.checkpoint().unwrap();
    drop(db);
    let path = base.list(Path::new("db/blocks")).unwrap().remove(0);
    let file = base.open(&path).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    let damaged = |at: usize| {
        let (fs, mut bytes) = (base.after_power_cut(NOTHING), bytes.clone());
        bytes[at] ^= 1;
        let file = fs.create(&path).unwrap();
        file.append(&bytes).and_then(|()| file.sync()).unwrap();
        fs.sync_dir(Path::new("db/blocks")).unwrap();
        fs
    };
    let count = |db: &Tsdb| {
        let mut points = Vec::new();
        db.select(&[], i64::MIN, i64::MAX)?.iter().try_for_each(|series| series.chunks.read(&mut points))?;
        Ok::<usize, TsdbError>(points.len())
    };
    // What shows only when samples are read, and concerns one of the two: 80 of each are in memory.
    let shows_late = |at: &usize| {
        let (db, report) = Tsdb::open_with(Arc::new(damaged(*at)), Path::new("db"), options()).unwrap();
        report.quarantined.is_empty()
            && count(&db).is_err()
            && db.maintain(200 * MINUTE_MS).unwrap().quarantined.len() == 1
            && count(&db).is_ok_and(|count| count == 2 * 80 + 120)
    };
    let at = (8..bytes.len()).find(shows_late).unwrap();
    for operations in 0.. {
        let fs = damaged(at);
        let db = open(&fs, options());
        assert!(count(&db).is_err());
        fs.cut_after(operations, NOTHING);
        db.maintain(200 * MINUTE_MS).unwrap();
        let Some((image, _)) = fs.image() else {
            assert!(operations > 5, "only {operations} operations");
            break;
        };
        let again = open(&image, options());
        let kept = |dir: &str| {
            let names = image.list(Path::new(dir)).unwrap();
            names.iter().any(|name| name.file_name() == path.file_name())
        };
        assert!(kept("db/quarantine") || kept("db/blocks"), "gone after {operations} operations");
        if count(&again).is_err() {
            again.maintain(200 * MINUTE_MS).unwrap();
        }
        assert_eq!(count(&again).unwrap(), 2 * 80 + 120, "after {operations} operations");
        assert!(kept("db/quarantine"));
    }
}
