//! Old days: their rows, what is deleted of them, and what is filled in later.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use tenfold_tsdb::{Exemplar, HistogramPoint, Options, Point, Reason, SeriesWrite, Tsdb};
use tenfold_types::{Histogram, Labels, Matcher};

use common::{HOUR, all, open, sample};

/// Days have rows when they are a day old, and keep them for so long by resolution.
fn with_rows(coarse_retention_ms: Option<[i64; 2]>) -> Options {
    Options { coarse_retention_ms, coarse_after_ms: 24 * HOUR, ..Options::default() }
}

fn rows_of(found: &tenfold_tsdb::Coarse) -> Vec<tenfold_tsdb::Row> {
    let mut rows = Vec::new();
    found.series[0].read(&mut rows).unwrap();
    rows
}

#[test]
fn old_days_get_rows_and_the_step_chooses_them() {
    let dir = tempfile::tempdir().unwrap();
    let day = 24 * HOUR;
    let options = Options { retention_ms: 5 * day, ..with_rows(Some([10 * day, 100 * day])) };
    let db = Tsdb::open(dir.path(), options.clone()).unwrap().0;
    let mut t = 0;
    while t <= 4 * day {
        // A counter that starts again each 1,000 minutes, and a gauge.
        db.append(&[sample("a", t, (t / 60_000 % 1000) as f64), sample("b", t, ((t / 60_000) as f64).sin())]).unwrap();
        t += 60_000;
    }
    db.maintain(4 * day).unwrap();
    let counter = [Matcher::equal("instance", "a")];
    let check = |db: &Tsdb| {
        assert!(db.select_coarse(&counter, 0, i64::MAX, 60_000).unwrap().is_none());
        for (step, resolution) in [(300_000, 300_000), (HOUR - 1, 300_000), (HOUR, HOUR), (day, HOUR)] {
            let found = db.select_coarse(&counter, i64::MIN, i64::MAX, step).unwrap().unwrap();
            assert_eq!((found.resolution_ms, found.until_ms, found.series.len()), (resolution, 2 * day, 1), "{step}");
            let rows = rows_of(&found);
            // The first sample, at 0, belongs to the day before, which is there too.
            assert_eq!(rows.len() as i64, 2 * day / resolution + 1);
            assert_eq!(rows.iter().map(|r| r.count).sum::<f64>(), 2880.0 + 1.0);
            assert!(rows.iter().all(|r| r.max >= r.last && r.min <= r.last && !r.ended));
            assert_eq!(rows.iter().map(|r| r.increase).sum::<f64>(), 2880.0 - 2.0, "each reset hides one step");
        }
        let hour = db.select_coarse(&counter, 3 * HOUR, 3 * HOUR, HOUR).unwrap().unwrap();
        let row = rows_of(&hour)[0];
        assert_eq!((row.t_ms, row.min, row.max, row.count, row.increase), (3 * HOUR, 121.0, 180.0, 60.0, 60.0));
    };
    check(&db);
    drop(db);
    let db = Tsdb::open(dir.path(), options.clone()).unwrap().0;
    check(&db);
    // Samples go with their retention, rows stay; deleted time has none.
    db.maintain(9 * day).unwrap();
    let left = db.select_coarse(&counter, i64::MIN, 2 * day, HOUR).unwrap().unwrap();
    assert_eq!(rows_of(&left).len(), 49);
    assert!(db.select(&counter, 0, day).unwrap().is_empty());
    db.delete(&counter, 90 * 60_000, 100 * 60_000).unwrap();
    let hours = |db: &Tsdb| {
        let left = db.select_coarse(&counter, 0, day, HOUR).unwrap().unwrap();
        rows_of(&left).iter().map(|r| r.t_ms / HOUR).take(3).collect::<Vec<_>>()
    };
    assert_eq!(hours(&db), [0, 1, 3]);
    db.maintain(40 * day).unwrap();
    assert!(db.select_coarse(&counter, 0, day, 300_000).unwrap().is_none());
    assert_eq!((hours(&db), db.stats().tombstones), (vec![0, 1, 3], 0), "the row is gone from the disk");
    // The row of the first hour stands at its end, later than what is deleted of it.
    db.delete(&counter, 10 * 60_000, 20 * 60_000).unwrap();
    assert_eq!(hours(&db), [0, 3, 4]);
    db.maintain(40 * day).unwrap();
    assert_eq!((hours(&db), db.stats().tombstones), (vec![0, 3, 4], 0));
    drop(db);
    assert_eq!(hours(&Tsdb::open(dir.path(), options).unwrap().0), [0, 3, 4]);
}

#[test]
fn days_whose_samples_go_after_a_long_stop_have_rows() {
    let dir = tempfile::tempdir().unwrap();
    let day = 24 * HOUR;
    let options = Options { retention_ms: 5 * day, ..with_rows(Some([100 * day; 2])) };
    let db = Tsdb::open(dir.path(), options.clone()).unwrap().0;
    for t in (600_000..=4 * day).step_by(600_000) {
        db.append(&[sample("a", t, 1.0)]).unwrap();
    }
    db.maintain(4 * day).unwrap();
    drop(db);
    let db = Tsdb::open(dir.path(), options).unwrap().0;
    db.maintain(24 * day).unwrap();
    let matchers = [Matcher::equal("instance", "a")];
    assert!(db.select(&matchers, 0, 3 * day).unwrap().is_empty());
    let found = db.select_coarse(&matchers, 0, 3 * day, HOUR).unwrap().unwrap();
    assert_eq!(found.until_ms, 3 * day);
    assert_eq!(rows_of(&found).iter().map(|r| r.count).sum::<f64>(), 3.0 * 144.0);
}

#[test]
fn days_have_rows_also_where_samples_are_kept_for_one() {
    let dir = tempfile::tempdir().unwrap();
    let day = 24 * HOUR;
    let kept = with_rows(Some([100 * day; 2]));
    let db = Tsdb::open(dir.path(), Options { retention_ms: day, coarse_after_ms: 2 * day, ..kept }).unwrap().0;
    for hour in 0..4 * 24 {
        for part in 1..=6 {
            db.append(&[sample("a", hour * HOUR + part * 600_000, (hour * 6 + part) as f64)]).unwrap();
        }
        db.maintain((hour + 1) * HOUR).unwrap();
    }
    let matchers = [Matcher::equal("instance", "a")];
    assert!(db.select(&matchers, 0, day).unwrap().is_empty());
    let found = db.select_coarse(&matchers, 0, 3 * day, HOUR).unwrap().unwrap();
    assert_eq!(found.until_ms, 3 * day);
    let rows = rows_of(&found);
    assert_eq!(rows.iter().map(|r| r.count).sum::<f64>(), 3.0 * 144.0);
    assert_eq!(rows.iter().map(|r| r.increase).sum::<f64>(), 3.0 * 144.0 - 1.0, "also from one day to the next");
}

#[test]
fn labels_of_time_that_has_rows_alone_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let day = 24 * HOUR;
    let options = Options { retention_ms: 5 * day, ..with_rows(Some([10 * day, 100 * day])) };
    let db = Tsdb::open(dir.path(), options).unwrap().0;
    for t in (30_000..=4 * day).step_by(5 * 60_000) {
        let instance = if t < day { "a" } else { "b" };
        db.append(&[sample(instance, t, 1.0)]).unwrap();
    }
    db.maintain(4 * day).unwrap();
    for now in [9 * day, 40 * day] {
        db.maintain(now).unwrap();
        assert!(db.select(&[], i64::MIN, i64::MAX).unwrap().is_empty());
        let values = |start, end| db.label_values("instance", &[], start, end).unwrap();
        // Also within the first hour, of which the row stands at its end.
        assert_eq!(values(10 * 60_000, 20 * 60_000), ["a"]);
        assert_eq!(values(day + 2 * HOUR, day + 3 * HOUR), ["b"]);
        assert_eq!(values(HOUR, 2 * day), ["a", "b"]);
        // Rows of a day are made before its samples go; of the last, which was not over, there are none.
        assert_eq!(values(2 * day + HOUR, 3 * day), ["b"]);
        assert!(values(3 * day + 1, 4 * day).is_empty(), "that day has no rows");
        assert_eq!(db.label_names(&[], HOUR, 2 * HOUR).unwrap(), ["__name__", "instance"]);
        let found = db.series(&[Matcher::equal("__name__", "m")], HOUR, 2 * HOUR).unwrap();
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ["m{instance=\"a\"}"]);
    }
}

#[test]
fn rows_that_are_made_after_a_deletion_say_what_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let (day, minute) = (24 * HOUR, 60_000);
    let options = Options { block_ms_max: 2 * HOUR, ..with_rows(Some([100 * day; 2])) };
    let db = Tsdb::open(dir.path(), options).unwrap().0;
    let write = |from: i64, to: i64| {
        for t in (from..to).step_by(10 * minute as usize) {
            db.append(&[sample("a", t, 1.0)]).unwrap();
        }
    };
    write(0, day + 5 * HOUR);
    db.maintain(day + 5 * HOUR).unwrap();
    // Of two blocks, of which the next maintenance writes one anew: the mark stays.
    let all = [Matcher::equal("__name__", "m")];
    db.delete(&all, 90 * minute, 150 * minute).unwrap();
    write(day + 5 * HOUR, 3 * day);
    db.maintain(3 * day).unwrap();
    assert_eq!(db.stats().tombstones, 1);
    let counts = |db: &Tsdb| {
        let found = db.select_coarse(&all, HOUR, 4 * HOUR, HOUR).unwrap().unwrap();
        rows_of(&found).iter().map(|r| (r.t_ms / HOUR, r.count)).collect::<Vec<_>>()
    };
    assert_eq!(counts(&db), [(1, 6.0), (2, 2.0), (3, 3.0), (4, 6.0)]);
    // What is deleted afterwards is in them.
    db.delete(&all, 210 * minute, 220 * minute).unwrap();
    assert_eq!(counts(&db), [(1, 6.0), (2, 2.0), (3, 3.0)]);
    // Until the day is made again: then they say what is left, and the deletion is done with.
    db.maintain(3 * day).unwrap();
    assert_eq!((counts(&db), db.stats().tombstones), (vec![(1, 6.0), (2, 2.0), (3, 3.0), (4, 4.0)], 0));
    // So when it is asked for.
    db.delete(&all, 10 * minute, 20 * minute).unwrap();
    assert_eq!(counts(&db)[0], (2, 2.0));
    assert_eq!(db.clean_tombstones().unwrap(), 3, "a block of samples and two of rows");
    assert_eq!((counts(&db)[0], db.stats().tombstones), ((1, 4.0), 0));
}

/// Wrong samples are corrected so.
#[test]
fn what_is_imported_after_a_deletion_stays() {
    let (day, minute) = (24 * HOUR, 60_000);
    for coarse_retention_ms in [None, Some([100 * day; 2])] {
        let dir = tempfile::tempdir().unwrap();
        let open = || {
            let kept = with_rows(coarse_retention_ms);
            let options = Options { retention_ms: 30 * day, block_ms_max: 8 * HOUR, ..kept };
            Tsdb::open(dir.path(), options).unwrap().0
        };
        let db = open();
        let now = 2 * day + 6 * HOUR;
        for t in (0..now).step_by(minute as usize) {
            db.append(&[sample("a", t, 1.0)]).unwrap();
        }
        db.maintain(now).unwrap();
        let matchers = [Matcher::equal("instance", "a")];
        // How many there are of the first three hours, and how many of them were imported.
        let counts = |db: &Tsdb| {
            let points = common::read(db, &matchers, 0, 3 * HOUR - 1).remove(0).1;
            assert!(points.is_sorted_by(|a, b| a.t_ms < b.t_ms));
            (points.len(), points.iter().filter(|p| p.value == 2.0).count())
        };
        assert_eq!(db.delete(&matchers, HOUR, 2 * HOUR - 1).unwrap(), 1);
        assert_eq!(counts(&db), (120, 0));
        let labels = [("__name__", "m"), ("instance", "a")];
        let points: Vec<_> = (60..120).map(|i| Point::new(i * minute, 2.0)).collect();
        let batch = [SeriesWrite { labels: &labels, points: &points, ..SeriesWrite::default() }];
        assert_eq!(db.import(&batch, now).unwrap().appended, 60);
        assert_eq!(counts(&db), (180, 60));
        drop(db);
        let db = open();
        assert_eq!(counts(&db), (180, 60));
        for _ in 0..3 {
            db.maintain(now).unwrap();
            assert_eq!(counts(&db), (180, 60));
        }
        db.clean_tombstones().unwrap();
        assert_eq!((counts(&db), db.stats().tombstones), ((180, 60), 0));
        if coarse_retention_ms.is_some() {
            let found = db.select_coarse(&matchers, 2 * HOUR, 2 * HOUR, HOUR).unwrap().unwrap();
            let row = rows_of(&found)[0];
            assert_eq!((row.count, row.sum), (60.0, 59.0 * 2.0 + 1.0), "the last was not deleted");
        }
        // Of the newest time, which is in no block yet, an import says that it cannot.
        let (last, other) = (now - minute, now - 2 * minute);
        assert_eq!(db.delete(&matchers, last, last).unwrap(), 1);
        let points = [Point::new(other, 2.0), Point::new(last, 2.0)];
        let batch = [SeriesWrite { labels: &labels, points: &points, ..SeriesWrite::default() }];
        let report = db.import(&batch, now).unwrap();
        assert_eq!((report.appended, report.rejected[0].reason), (1, Reason::Deleted), "{report:?}");
        assert!(report.rejected[0].example.contains("180 minutes later"), "{report:?}");
        // The next deletion takes what was imported as well.
        db.delete(&matchers, HOUR + 30 * minute, HOUR + 40 * minute - 1).unwrap();
        assert_eq!(counts(&db), (170, 50));
        db.maintain(now).unwrap();
        assert_eq!(counts(&db), (170, 50));
        drop(db);
        assert_eq!(counts(&open()), (170, 50));
    }
}

#[test]
fn a_time_whose_samples_are_all_deleted_is_cut_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let db = Tsdb::open(dir.path(), Options { block_ms_max: 2 * HOUR, ..Options::default() }).unwrap().0;
    for minute in 0..300 {
        db.append(&[sample("a", minute * 60_000, 1.0)]).unwrap();
    }
    // Late ones too, which have blocks of their own.
    db.append(&[sample("a", 299 * 60_000 - 1, 2.0)]).unwrap();
    db.delete(&[Matcher::equal("instance", "a")], i64::MIN, i64::MAX).unwrap();
    let report = db.maintain(12 * HOUR).unwrap();
    assert_eq!((report.blocks_written, report.series_forgotten), (0, 1), "{report:?}");
    assert_eq!((all(&db), db.stats().head_samples, db.stats().tombstones), (vec![], 0, 0));
    db.append(&[sample("a", 12 * HOUR, 3.0)]).unwrap();
    drop(db);
    assert_eq!(all(&open(dir.path())), [("m{instance=\"a\"}".to_owned(), vec![Point::new(12 * HOUR, 3.0)])]);
}

#[test]
fn old_time_is_filled_in_beside_what_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { retention_ms: 30 * 24 * HOUR, ..Options::default() };
    let db = Tsdb::open(dir.path(), options.clone()).unwrap().0;
    let now = 200 * HOUR;
    // What is in memory now, some of it old enough for a block.
    for minute in 0..8 * 60 {
        db.append(&[sample("a", now - 8 * HOUR + minute * 60_000, 1.0)]).unwrap();
    }
    let labels = [("__name__", "m"), ("instance", "a")];
    let import = |from: i64, to: i64, value: f64| {
        let instants = (0..(to - from) / 60_000).rev().map(|i| from + i * 60_000);
        let points: Vec<_> = instants.map(|t| Point::new(t, value)).collect();
        db.import(&[SeriesWrite { labels: &labels, points: &points, ..SeriesWrite::default() }], now).unwrap()
    };
    let report = import(now - 20 * HOUR, now - 7 * HOUR, 2.0);
    assert_eq!((report.appended, report.rejected_count()), (13 * 60, 0), "{report:?}");
    let new = [("__name__", "h")];
    let histogram = |t_ms| HistogramPoint {
        t_ms,
        histogram: std::sync::Arc::new(Histogram { count: 3.0, sum: 1.0, zero_count: 3.0, ..Histogram::default() }),
    };
    let histograms: Vec<_> = (0..10).map(|i| histogram(now - 90 * HOUR + i * HOUR)).collect();
    let exemplars = [Exemplar { labels: Labels::from_pairs([("id", "1")]), value: 1.0, t_ms: now - 90 * HOUR }];
    let write = SeriesWrite { labels: &new, histograms: &histograms, exemplars: &exemplars, ..SeriesWrite::default() };
    assert_eq!(db.import(&[write], now).unwrap().appended, 11);
    let report = import(now - 31 * 24 * HOUR, now - 30 * 24 * HOUR + HOUR, 3.0);
    assert_eq!((report.appended, report.rejected[0].reason, report.rejected[0].count), (60, Reason::TooOld, 24 * 60));
    // The newest hours go the way of all samples.
    let report = import(now - 20 * 60_000, now + 60_000, 4.0);
    assert_eq!(report.appended, 21, "{report:?}");

    let check = |db: &Tsdb| {
        let found = all(db);
        let points = &found[0].1;
        assert!(points.is_sorted_by(|a, b| a.t_ms < b.t_ms));
        let count = |v: f64| points.iter().filter(|p| p.value == v).count();
        // What was there first stays where both say something.
        assert_eq!((count(1.0), count(2.0), count(3.0), count(4.0)), (480, 12 * 60, 60, 1));
        let mut histograms = Vec::new();
        let found = db.select(&[Matcher::equal("__name__", "h")], i64::MIN, i64::MAX).unwrap();
        found[0].chunks.read_histograms(&mut histograms).unwrap();
        assert_eq!(histograms.len(), 10);
        assert_eq!(db.exemplars(&[Matcher::equal("__name__", "h")], i64::MIN, i64::MAX).unwrap()[0].1.len(), 1);
    };
    check(&db);
    drop(db);
    let db = Tsdb::open(dir.path(), options.clone()).unwrap().0;
    check(&db);
    let many = db.stats().blocks;
    db.maintain(now).unwrap();
    assert!(db.stats().blocks < many);
    check(&db);
    drop(db);
    check(&Tsdb::open(dir.path(), options).unwrap().0);
}

/// The end of the last block is the end of closed time at a start: newer samples in order come from the log alone.
#[test]
fn old_samples_come_in_beside_new_ones_after_blocks_got_longer() {
    let dir = tempfile::tempdir().unwrap();
    let with_blocks = |hours: i64| {
        let options = Options { block_ms: hours * HOUR, block_ms_max: hours * HOUR, ..Options::default() };
        Tsdb::open(dir.path(), options).unwrap().0
    };
    let db = with_blocks(2);
    for i in 0..300 {
        db.append(&[sample("a", i * 60_000, i as f64)]).unwrap();
    }
    assert_eq!(db.maintain(5 * HOUR).unwrap().blocks_written, 2);
    drop(db);
    let db = with_blocks(6);
    let (labels, points) = ([("__name__", "m"), ("instance", "b")], [Point::new(3 * HOUR, 1.0)]);
    let batch = [SeriesWrite { labels: &labels, points: &points, ..SeriesWrite::default() }];
    assert_eq!(db.import(&batch, 5 * HOUR).unwrap().appended, 1);
    let before = all(&db);
    assert_eq!((before[0].1.len(), before[1].1.len()), (300, 1));
    drop(db);
    assert_eq!(all(&with_blocks(6)), before);
}
