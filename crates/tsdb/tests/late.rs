//! What comes late: samples of both kinds, within the window and after it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use std::sync::Arc;

use tenfold_tsdb::{HistogramPoint, Options, Point, Reason, SeriesWrite, Tsdb};
use tenfold_types::{Matcher, ResetHint};

use common::{HOUR, Meanwhile, all, histogram, read, sample, strict};

#[test]
fn late_samples_are_merged_within_the_window() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { out_of_order_ms: 3 * HOUR, ..Options::default() };
    let db = Tsdb::open(dir.path(), options.clone()).unwrap().0;
    for i in 0..4 * 240 {
        db.append(&[sample("a", i * 15_000, i as f64)]).unwrap();
    }
    assert_eq!(db.maintain(4 * HOUR).unwrap().blocks_written, 1);
    let newest = 959 * 15_000;
    let report = db
        .append(&[
            sample("a", newest - 1, -1.0),
            sample("a", newest - 3 * HOUR, -2.0), // in time already cut; the instant is taken, the first sample stands
            sample("a", newest - 3 * HOUR + 1, -3.0),
            sample("a", newest - 3 * HOUR - 1, -4.0),
        ])
        .unwrap();
    assert_eq!((report.appended, report.rejected[0].reason), (3, Reason::TooOld), "{report:?}");
    assert!(report.rejected[0].example.contains("10800000 ms"), "{}", report.rejected[0].example);
    let check = |db: &Tsdb| {
        let points = all(db).remove(0).1;
        assert_eq!(points.len(), 962);
        assert!(points.is_sorted_by(|a, b| a.t_ms < b.t_ms));
        let late: Vec<f64> = points.iter().map(|p| p.value).filter(|v| *v < 0.0).collect();
        assert_eq!(late, [-3.0, -1.0]);
    };
    check(&db);
    drop(db);
    let db = Tsdb::open(dir.path(), options.clone()).unwrap().0;
    check(&db);
    for i in 960..6 * 240 {
        db.append(&[sample("b", i * 15_000, 0.0)]).unwrap();
    }
    let report = db.maintain(6 * HOUR).unwrap();
    assert!(report.blocks_merged >= 2, "{report:?}");
    check(&db);
    drop(db);
    check(&Tsdb::open(dir.path(), options).unwrap().0);
}

#[test]
fn a_histogram_after_a_deleted_one_says_nothing_of_what_happened_since() {
    let dir = tempfile::tempdir().unwrap();
    let db = Tsdb::open(dir.path(), strict()).unwrap().0;
    let labels = [("__name__", "latency")];
    for i in 0..6 {
        let mut point = histogram(i * 15_000, i as f64);
        std::sync::Arc::make_mut(&mut point.histogram).reset_hint = ResetHint::NotReset;
        db.write(&[SeriesWrite { labels: &labels, histograms: &[point], ..SeriesWrite::default() }]).unwrap();
    }
    db.delete(&[Matcher::equal("__name__", "latency")], 30_000, 45_000).unwrap();
    let check = || {
        let mut found = Vec::new();
        for series in db.select(&[], i64::MIN, i64::MAX).unwrap() {
            series.chunks.read_histograms(&mut found).unwrap();
        }
        let found: Vec<_> = found.iter().map(|h| (h.t_ms, h.histogram.reset_hint)).collect();
        let (same, unknown) = (ResetHint::NotReset, ResetHint::Unknown);
        assert_eq!(found, [(0, same), (15_000, same), (60_000, unknown), (75_000, same)]);
    };
    check();
    assert_eq!(db.maintain(4 * HOUR).unwrap().blocks_written, 1);
    check();
}

#[test]
fn a_histogram_after_a_deleted_one_of_another_block_says_nothing_either() {
    let dir = tempfile::tempdir().unwrap();
    let db = Tsdb::open(dir.path(), strict()).unwrap().0;
    let (labels, half) = ([("__name__", "latency")], HOUR / 2);
    for i in 0..10 {
        let mut point = histogram(i * half, i as f64);
        std::sync::Arc::make_mut(&mut point.histogram).reset_hint = ResetHint::NotReset;
        db.write(&[SeriesWrite { labels: &labels, histograms: &[point], ..SeriesWrite::default() }]).unwrap();
    }
    // Two blocks, and the newest hour in memory.
    assert_eq!(db.maintain(5 * HOUR).unwrap().blocks_written, 2);
    db.delete(&[Matcher::equal("__name__", "latency")], 3 * half, 3 * half).unwrap();
    db.delete(&[Matcher::equal("__name__", "latency")], 7 * half, 7 * half).unwrap();
    let mut found = Vec::new();
    for series in db.select(&[], i64::MIN, i64::MAX).unwrap() {
        series.chunks.read_histograms(&mut found).unwrap();
    }
    let unknown = found.iter().filter(|h| h.histogram.reset_hint == ResetHint::Unknown).map(|h| h.t_ms / half);
    assert_eq!((found.len(), unknown.collect::<Vec<_>>()), (8, vec![4, 8]));
}

#[test]
fn late_histograms_are_merged_as_late_floats_are() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { out_of_order_ms: 3 * HOUR, ..Options::default() };
    let open = |options: &Options| Tsdb::open(dir.path(), options.clone()).unwrap().0;
    let labels = [("__name__", "latency")];
    // Each says that there was no reset since the one before.
    let hinted = |t_ms: i64, n: f64| {
        let mut point = histogram(t_ms, n);
        std::sync::Arc::make_mut(&mut point.histogram).reset_hint = ResetHint::NotReset;
        point
    };
    let write = |db: &Tsdb, points: &[Point], histograms: &[HistogramPoint]| {
        let report =
            db.write(&[SeriesWrite { labels: &labels, points, histograms, ..SeriesWrite::default() }]).unwrap();
        (report.appended, report.rejected.iter().map(|r| (r.reason, r.count)).collect::<Vec<_>>())
    };
    let db = open(&options);
    for i in 0..960 {
        assert_eq!(write(&db, &[], &[hinted(i * 15_000, i as f64)]), (1, vec![]));
    }
    assert_eq!(db.maintain(4 * HOUR).unwrap().blocks_written, 1);
    let newest = 959 * 15_000;
    let old = newest - 3 * HOUR;
    let late = [
        hinted(newest - 1, 5000.0),
        hinted(newest - 1, 5001.0), // the instant is taken: the first stands
        hinted(old, 5002.0),        // so too in time already cut
        hinted(old + 1, 5003.0),
        hinted(old - 1, 5004.0),
    ];
    assert_eq!(write(&db, &[], &late), (4, vec![(Reason::TooOld, 1)]));
    // At the newest instant only the very same is taken: neither other counts nor a float, whatever its value.
    assert_eq!(write(&db, &[], &[histogram(newest, 959.0)]), (1, vec![]));
    assert_eq!(write(&db, &[], &[histogram(newest, 1.0)]), (0, vec![(Reason::Duplicate, 1)]));
    assert_eq!(write(&db, &[Point::new(newest, 959.0)], &[]), (0, vec![(Reason::Duplicate, 1)]));
    // One instant has one sample, whatever its kind: in time that was cut, beside late ones and beside those in order.
    let floats = [old, old + 1, old + 2, newest - 1, newest - 15_000].map(|t| Point::new(t, 1.0));
    assert_eq!(write(&db, &floats, &[]), (5, vec![]));
    assert_eq!(write(&db, &[], &[hinted(old + 2, 5005.0)]), (1, vec![]));
    let check = |db: &Tsdb| {
        let (mut floats, mut histograms) = (Vec::new(), Vec::new());
        for series in
            db.select(&[], i64::MIN, i64::MAX).unwrap().iter().filter(|s| s.labels.get("__name__") == Some("latency"))
        {
            series.chunks.read_all(&mut floats, &mut histograms).unwrap();
        }
        assert_eq!(floats, [Point::new(old + 2, 1.0)]);
        assert_eq!(histograms.len(), 962);
        assert!(histograms.is_sorted_by(|a, b| a.t_ms < b.t_ms));
        let sums: Vec<f64> = histograms.iter().map(|h| h.histogram.sum).filter(|s| *s >= 5000.0).collect();
        assert_eq!(sums, [5003.0, 5000.0]);
        // What each said of the one before it holds no longer where another came in between.
        // Nor is it known where a block begins that was written before the one of the time before it.
        let unknown = histograms.iter().filter(|h| h.histogram.reset_hint == ResetHint::Unknown).map(|h| h.t_ms);
        let told: Vec<i64> = unknown.filter(|t| *t != 2 * HOUR).collect();
        assert_eq!(told, [old + 1, old + 15_000, newest - 1, newest]);
    };
    check(&db);
    drop(db);
    let db = open(&options);
    check(&db);
    db.checkpoint().unwrap();
    drop(db);
    let db = open(&options);
    check(&db);
    for i in 960..6 * 240 {
        db.append(&[sample("b", i * 15_000, 0.0)]).unwrap();
    }
    let report = db.maintain(6 * HOUR).unwrap();
    assert!(report.blocks_merged >= 2, "{report:?}");
    assert_eq!(db.stats().blocks, 2, "the late ones are in the block of their time");
    check(&db);
    db.delete(&[Matcher::equal("__name__", "latency")], old + 1, old + 2).unwrap();
    drop(db);
    let db = Tsdb::open(dir.path(), strict()).unwrap().0;
    let found = db.select(&[Matcher::equal("__name__", "latency")], old + 1, old + 2).unwrap();
    let (mut floats, mut histograms) = (Vec::new(), Vec::new());
    for series in &found {
        series.chunks.read_all(&mut floats, &mut histograms).unwrap();
    }
    assert!(floats.is_empty() && histograms.is_empty());
    // Without a window nothing late is taken.
    let batch = [SeriesWrite {
        labels: &[("__name__", "w")],
        histograms: &[histogram(7 * HOUR, 1.0), histogram(7 * HOUR - 1, 1.0)],
        ..SeriesWrite::default()
    }];
    assert_eq!(db.write(&batch).unwrap().rejected[0].reason, Reason::OutOfOrder);
}

/// A block that is written anew has a higher number than one that came after it and has samples of the same instants.
#[test]
fn of_two_samples_at_one_instant_the_first_stands_however_often_its_block_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { block_ms_max: 2 * HOUR, ..Options::default() };
    let db = Tsdb::open(dir.path(), options.clone()).unwrap().0;
    for i in 0..240 {
        db.append(&[sample("a", i * 60_000, 1.0), sample("b", i * 60_000, 1.0)]).unwrap();
    }
    assert_eq!(db.maintain(4 * HOUR).unwrap().blocks_written, 1);
    let labels = [("__name__", "m"), ("instance", "a")];
    let points: Vec<Point> = (100..110).map(|i| Point::new(i * 60_000, 2.0)).collect();
    let batch = [SeriesWrite { labels: &labels, points: &points, ..SeriesWrite::default() }];
    assert_eq!(db.import(&batch, 4 * HOUR).unwrap().appended, 10);
    assert_eq!(db.stats().blocks, 2);
    let values = |db: &Tsdb| {
        let found = read(db, &[Matcher::equal("instance", "a")], 0, 2 * HOUR - 1).remove(0).1;
        assert_eq!(found.len(), 120);
        found.iter().map(|p| p.value).sum::<f64>()
    };
    assert_eq!(values(&db), 120.0);
    for minute in [10, 30] {
        let (from, to) = (minute * 60_000, minute * 60_000 + 60_000);
        assert_eq!(db.delete(&[Matcher::equal("instance", "b")], from, to).unwrap(), 1);
        assert_eq!(db.clean_tombstones().unwrap(), 1);
        assert_eq!(values(&db), 120.0);
    }
    drop(db);
    let db = Tsdb::open(dir.path(), options).unwrap().0;
    assert_eq!(values(&db), 120.0);
    assert_eq!(db.maintain(4 * HOUR).unwrap().blocks_merged, 2);
    assert_eq!(values(&db), 120.0);
}

fn of_one<'a>(labels: &'a [(&'a str, &'a str)], points: &'a [Point]) -> [SeriesWrite<'a>; 1] {
    [SeriesWrite { labels, points, ..SeriesWrite::default() }]
}

#[test]
fn an_import_may_be_as_late_as_it_is() {
    for out_of_order_ms in [0, 60_000] {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { out_of_order_ms, ..Options::default() };
        let db = Tsdb::open(dir.path(), options.clone()).unwrap().0;
        for i in 0..240 {
            db.append(&[sample("a", 2 * HOUR + i * 30_000, 1.0)]).unwrap();
        }
        let labels = [("__name__", "m"), ("instance", "a")];
        let points: Vec<Point> = (0..240).map(|i| Point::new(2 * HOUR + i * 30_000 + 10_000, 2.0)).collect();
        let same = [Point::new(2 * HOUR, 9.0)];
        assert_ne!(
            db.write(&of_one(&labels, &points[..10])).unwrap().rejected_count(),
            0,
            "what is sent so late is refused"
        );
        let report = db.import(&of_one(&labels, &points), 4 * HOUR).unwrap();
        assert_eq!((report.appended, report.rejected_count()), (240, 0), "{report:?}");
        assert_eq!(db.import(&of_one(&labels, &same), 4 * HOUR).unwrap().rejected_count(), 0);
        // So at the newest instant of a series, where what is sent is refused.
        let newest = [Point::new(points[239].t_ms, 9.0)];
        assert_eq!(db.write(&of_one(&labels, &newest)).unwrap().rejected[0].reason, Reason::Duplicate);
        let report = db.import(&of_one(&labels, &newest), 4 * HOUR).unwrap();
        assert_eq!((report.appended, report.rejected_count()), (1, 0), "{report:?}");
        let check = |db: &Tsdb| {
            let found = all(db).remove(0).1;
            assert_eq!((found.len(), found[0].value), (480, 1.0), "what was there first stays");
            assert_eq!(found[479].value, 2.0, "also at the newest instant");
            assert!(found.is_sorted_by(|a, b| a.t_ms < b.t_ms));
        };
        check(&db);
        drop(db);
        let db = Tsdb::open(dir.path(), options).unwrap().0;
        check(&db);
        db.maintain(8 * HOUR).unwrap();
        check(&db);
    }
}

#[test]
fn what_comes_while_an_import_closes_old_time_survives_a_start() {
    let (dir, fs) = (tempfile::tempdir().unwrap(), Arc::new(Meanwhile::default()));
    let options = Options { out_of_order_ms: 3 * HOUR, ..Options::default() };
    let db = Arc::new(Tsdb::open_with(fs.clone(), dir.path(), options.clone()).unwrap().0);
    let write = |from: i64, to: i64| {
        for t_ms in (from..to).step_by(60_000) {
            assert_eq!(db.append(&[sample("a", t_ms, 1.0)]).unwrap().appended, 1);
        }
    };
    write(0, 2 * HOUR);
    assert_eq!(db.maintain(4 * HOUR).unwrap().blocks_written, 1);
    write(2 * HOUR, 3 * HOUR);
    // It waits for the next cut, and is in the second block of that.
    assert_eq!(db.append(&[sample("a", HOUR + 1, 2.0)]).unwrap().appended, 1);
    let other = Arc::clone(&db);
    let mut begun = 0;
    let event = move || {
        begun += 1;
        if begun == 2 {
            assert_eq!(other.append(&[sample("b", 5 * HOUR, 3.0)]).unwrap().appended, 1);
        }
        begun < 2
    };
    *fs.0.lock().unwrap() = Some(Box::new(event));
    let labels = [("__name__", "m"), ("instance", "c")];
    let report = db.import(&of_one(&labels, &[Point::new(7 * HOUR, 4.0)]), 9 * HOUR).unwrap();
    assert_eq!((report.appended, fs.0.lock().unwrap().is_some()), (1, false), "{report:?}");
    let counts = |db: &Tsdb| all(db).iter().map(|(_, points)| points.len()).collect::<Vec<_>>();
    assert_eq!(counts(&db), [181, 1, 1]);
    drop(db);
    let db = Tsdb::open(dir.path(), options).unwrap().0;
    assert_eq!(counts(&db), [181, 1, 1]);
}

#[test]
fn what_comes_after_a_deletion_is_kept_however_far_another_series_is() {
    let dir = tempfile::tempdir().unwrap();
    let db = Tsdb::open(dir.path(), strict()).unwrap().0;
    // The clock of one host is a year ahead.
    db.append(&[sample("a", HOUR, 1.0), sample("b", 9_000 * HOUR, 1.0)]).unwrap();
    let of_a = [Matcher::equal("instance", "a")];
    assert_eq!(db.delete(&of_a, 0, i64::MAX).unwrap(), 1);
    assert_eq!(db.append(&[sample("a", HOUR + 1, 2.0)]).unwrap().appended, 1);
    let check = |db: &Tsdb| assert_eq!(read(db, &of_a, 0, i64::MAX).remove(0).1, [Point::new(HOUR + 1, 2.0)]);
    check(&db);
    drop(db);
    let db = Tsdb::open(dir.path(), strict()).unwrap().0;
    check(&db);
    assert_eq!(db.maintain(4 * HOUR).unwrap().blocks_written, 1);
    check(&db);
}
