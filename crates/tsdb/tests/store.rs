//! The store from outside: order rules, limits, restart, blocks, retention, damage.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use std::fs;

use tenfold_tsdb::{
    Exemplar, HistogramPoint, Options, Point, Reason, STALE_NAN, Sample, SelectedSeries, SeriesWrite, Tsdb, TsdbError,
    is_stale,
};
use tenfold_types::{Histogram, Labels, Matcher, MatcherOp};

use common::{HOUR, all, histogram, open, read, sample, series, strict};

#[test]
fn order_rules_are_prometheus_rules() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let report = db
        .append(&[
            sample("a", 1000, 1.0),
            sample("a", 1000, 1.0), // an exact repetition is fine
            sample("a", 1000, 2.0), // another value is not
            sample("a", 999, 1.0),
            sample("b", 10, 5.0), // another series has its own order
            sample("a", 2000, 3.0),
        ])
        .unwrap();
    assert_eq!(report.appended, 4);
    assert_eq!(report.new_series, 2);
    let reasons: Vec<_> = report.rejected.iter().map(|r| (r.reason, r.count)).collect();
    assert_eq!(reasons, [(Reason::Duplicate, 1), (Reason::OutOfOrder, 1)]);
    assert!(report.rejected[1].example.contains("m{instance=\"a\"} at 999 ms"), "{}", report.rejected[1].example);
    assert_eq!(
        all(&db),
        [
            ("m{instance=\"a\"}".into(), vec![Point::new(1000, 1.0), Point::new(2000, 3.0)]),
            ("m{instance=\"b\"}".into(), vec![Point::new(10, 5.0)]),
        ]
    );
}

#[test]
fn limits_say_their_number() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { series_max: 2, labels_per_series_max: 3, label_value_bytes_max: 10, ..strict() };
    let db = Tsdb::open(dir.path(), options).unwrap().0;
    let wide = Labels::from_pairs([("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")]);
    let report = db
        .append(&[
            Sample::new(wide, 1, 1.0),
            sample("0123456789x", 1, 1.0),
            Sample::new(Labels::new(), 1, 1.0),
            sample("a", 1, 1.0),
            sample("b", 1, 1.0),
            sample("c", 1, 1.0),
            sample("a", 2, 1.0),
        ])
        .unwrap();
    assert_eq!(report.appended, 3);
    let text: Vec<_> = report.rejected.iter().map(|r| (r.reason.name(), r.example.as_str())).collect();
    assert_eq!(text.len(), 4);
    assert!(text.iter().any(|(r, e)| *r == "too_many_labels" && e.contains("at most 3")), "{text:?}");
    assert!(text.iter().any(|(r, e)| *r == "label_value_too_long" && e.contains("10 bytes")), "{text:?}");
    assert!(text.iter().any(|(r, e)| *r == "too_many_series" && e.contains("limit of 2 with")), "{text:?}");
    assert!(text.iter().any(|(r, _)| *r == "no_labels"), "{text:?}");
}

#[test]
fn instants_out_of_any_calendar_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let report = db.append(&[sample("a", i64::MIN, 1.0), sample("b", i64::MAX, 1.0), sample("c", 1, 1.0)]).unwrap();
    assert_eq!((report.appended, report.rejected[0].reason, report.rejected[0].count), (1, Reason::OutOfRange, 2));
    assert_eq!(db.maintain(HOUR).unwrap().blocks_written, 0);
}

#[test]
fn a_restart_finds_everything_and_cuts_a_torn_end() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    for i in 0..500 {
        db.append(&[sample("a", i * 1000, i as f64), sample("b", i * 1000, if i == 499 { STALE_NAN } else { 1.0 })])
            .unwrap();
    }
    let before = all(&db);
    drop(db);
    let segment = fs::read_dir(dir.path().join("wal")).unwrap().next().unwrap().unwrap().path();
    let whole = fs::metadata(&segment).unwrap().len();
    let mut bytes = fs::read(&segment).unwrap();
    bytes.extend_from_slice(&[200, 0, 0, 0, 1, 2, 3, 4, 2, 9, 9]);
    fs::write(&segment, bytes).unwrap();

    let (db, report) = Tsdb::open(dir.path(), strict()).unwrap();
    assert_eq!(report.torn_bytes, 11);
    assert_eq!(report.replayed_samples, 1000);
    assert_eq!(fs::metadata(&segment).unwrap().len(), whole);
    let after = all(&db);
    assert_eq!(after[0], before[0]);
    assert!(is_stale(after[1].1.last().unwrap().value));
    assert_eq!(db.append(&[sample("a", 499_000, 0.5)]).unwrap().rejected[0].reason, Reason::Duplicate);
    assert_eq!(db.append(&[sample("a", 500_000, 0.5)]).unwrap().appended, 1);
    drop(db);
    assert_eq!(open(dir.path()).select(&[], 500_000, 500_000).unwrap().len(), 1);
}

#[test]
fn a_second_opener_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let _db = open(dir.path());
    let error = Tsdb::open(dir.path(), strict()).err().unwrap();
    assert!(error.to_string().contains("another process"), "{error}");
}

#[test]
fn old_head_data_becomes_blocks_and_reads_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let end = 9 * HOUR;
    let mut t = 0;
    while t < end {
        db.append(&[sample("a", t, (t % 7919) as f64), sample("b", t, 2.5)]).unwrap();
        t += 15_000;
    }
    let before = all(&db);
    let report = db.maintain(end).unwrap();
    assert_eq!(report.blocks_written, 4);
    assert_eq!(all(&db), before);
    assert_eq!(db.stats().blocks, 4);
    assert_eq!(db.append(&[sample("new", 7 * HOUR, 1.0)]).unwrap().rejected[0].reason, Reason::TooOld);
    let (from, to) = (3 * HOUR + 1, 5 * HOUR);
    let part = read(&db, &[Matcher::equal("instance", "a")], from, to);
    let expected: Vec<_> = before[0].1.iter().copied().filter(|p| (from..=to).contains(&p.t_ms)).collect();
    assert_eq!(part[0].1, expected);
    drop(db);

    let (db, report) = Tsdb::open(dir.path(), strict()).unwrap();
    assert_eq!((report.blocks, report.torn_bytes), (4, 0));
    assert_eq!(all(&db), before);
    // The time of the last block stays closed, also between its newest sample and its end.
    assert_eq!(db.append(&[sample("late", 8 * HOUR - 1, 1.0)]).unwrap().rejected[0].reason, Reason::TooOld);
    assert_eq!(db.append(&[sample("late", 8 * HOUR, 1.0)]).unwrap().appended, 1);
}

#[test]
fn retention_drops_blocks_and_forgets_series() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { retention_ms: 6 * HOUR, ..strict() };
    let db = Tsdb::open(dir.path(), options).unwrap().0;
    db.append(&[sample("gone", 0, 1.0)]).unwrap();
    db.append(&[sample("here", 10 * HOUR, 1.0)]).unwrap();
    let report = db.maintain(12 * HOUR).unwrap();
    assert_eq!((report.blocks_written, report.blocks_dropped, report.series_forgotten), (1, 1, 1));
    assert_eq!(db.label_values("instance", &[], i64::MIN, i64::MAX).unwrap(), ["here"]);
    assert!(fs::read_dir(dir.path().join("blocks")).unwrap().next().is_none());
    // A forgotten series may come back.
    db.append(&[sample("gone", 11 * HOUR, 2.0)]).unwrap();
    assert_eq!(all(&db).len(), 2);
    drop(db);
    assert_eq!(all(&open(dir.path())).len(), 2);
}

#[test]
fn retention_by_size_drops_the_oldest_of_all_files_and_keeps_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let day = 24 * HOUR;
    let whole = Options {
        coarse_retention_ms: Some([1000 * day; 2]),
        coarse_after_ms: 0,
        retention_ms: 1000 * day,
        block_ms: 6 * HOUR,
        block_ms_max: 6 * HOUR,
        ..strict()
    };
    let mut db = Tsdb::open(dir.path(), whole.clone()).unwrap().0;
    // Noise, so that each block takes about as much as the next. `gone` is in the first alone, and in the first day's rows.
    let noise = |i: i64| f64::from_bits(0x3ff0_0000_0000_0000 | (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 12);
    db.append(&[sample("gone", 60_000, 1.0)]).unwrap();
    for i in 1..3 * 1440 {
        db.append(&[sample("a", i * 60_000, noise(i))]).unwrap();
    }
    let now = 3 * day + 4 * HOUR;
    db.maintain(now).unwrap();
    let before = db.stats();
    assert!(before.blocks == 12 && before.coarse_bytes > 0 && before.wal_bytes > 0, "{before:?}");
    let used = |db: &Tsdb| db.stats().block_bytes + db.stats().coarse_bytes + db.stats().wal_bytes;
    let on_disk: u64 = ["wal", "blocks", "blocks-5m", "blocks-1h"]
        .iter()
        .flat_map(|d| fs::read_dir(dir.path().join(d)).unwrap())
        .map(|e| e.unwrap().metadata().unwrap().len())
        .sum();
    assert_eq!(used(&db), on_disk);
    let limited = |db: &mut Tsdb, bytes| {
        let (mut options, other) = (whole.clone(), tempfile::tempdir().unwrap());
        options.retention_bytes_max = Some(bytes);
        // One store at a time in a directory.
        drop(std::mem::replace(db, Tsdb::open(other.path(), strict()).unwrap().0));
        *db = Tsdb::open(dir.path(), options).unwrap().0;
        db.maintain(now).unwrap()
    };
    assert_eq!(limited(&mut db, on_disk + 1000).blocks_dropped, 0);
    // The log counts: were it the blocks alone that matter, nothing would go.
    let limit = used(&db) - 1;
    assert!(limit > before.block_bytes + before.coarse_bytes);
    let report = limited(&mut db, limit);
    assert_eq!((report.blocks_dropped, db.stats().min_t_ms), (1, Some(6 * HOUR)), "{report:?}");
    assert!(before.coarse_bytes == db.stats().coarse_bytes && db.stats().series == 2);
    // Rows go with the samples of their age, and younger ones of both stay.
    let limit = used(&db) / 2;
    limited(&mut db, limit);
    let stats = db.stats();
    assert!(used(&db) <= limit && (3..8).contains(&stats.blocks), "{stats:?}");
    assert!(stats.coarse_bytes > 0 && stats.coarse_bytes < before.coarse_bytes && stats.series == 1, "{stats:?}");
    let oldest = stats.min_t_ms.unwrap();
    let points = all(&db).remove(0).1;
    assert_eq!((points[0].t_ms, points.len() as i64), (oldest, (3 * day - oldest) / 60_000), "no gap");
    // No limit is small enough to take the newest block, or what is in memory.
    db.append(&[sample("a", now, 5.0)]).unwrap();
    limited(&mut db, 1);
    limited(&mut db, 1);
    let stats = db.stats();
    assert_eq!((stats.blocks, stats.coarse_bytes, stats.head_samples), (1, 0, 1), "{stats:?}");
    let points = all(&db).remove(0).1;
    assert_eq!((points.len(), points.last()), (361, Some(&Point::new(now, 5.0))));
}

#[test]
fn a_damaged_block_is_quarantined_not_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    for t in 0..2000 {
        db.append(&[sample("a", t * 15_000, (t as f64).sqrt())]).unwrap();
    }
    db.maintain(9 * HOUR).unwrap();
    let blocks = db.stats().blocks;
    let mut paths: Vec<_> = fs::read_dir(dir.path().join("blocks")).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    // A flipped bit in a chunk shows when the chunk is read.
    let mut bytes = fs::read(&paths[0]).unwrap();
    bytes[100] ^= 1;
    fs::write(&paths[0], &bytes).unwrap();
    let selected = db.select(&[Matcher::equal("instance", "a")], 0, HOUR).unwrap();
    let error = selected[0].chunks.read(&mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
    let report = db.maintain(9 * HOUR).unwrap();
    assert_eq!(report.quarantined.len(), 1);
    assert!(report.quarantined[0].exists());
    assert_eq!(db.stats().blocks, blocks - 1);
    drop(db);
    // A cut-off file and a flipped bit in the index show at the start.
    let bytes = fs::read(&paths[1]).unwrap();
    fs::write(&paths[1], &bytes[..bytes.len() - 5]).unwrap();
    let (db, report) = Tsdb::open(dir.path(), strict()).unwrap();
    assert_eq!(report.quarantined.len(), 1);
    assert!(!all(&db)[0].1.is_empty());
}

#[test]
fn many_series_are_found_on_several_threads_as_on_one() {
    const SERIES: usize = 5_000;
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    for t_ms in [0, 3 * HOUR, 9 * HOUR] {
        let batch: Vec<_> = (0..SERIES).map(|n| sample(&n.to_string(), t_ms, n as f64)).collect();
        assert_eq!(db.append(&batch).unwrap().appended, SERIES);
    }
    db.maintain(9 * HOUR).unwrap();
    assert!(db.stats().blocks > 0 && db.stats().head_samples > 0, "both are asked");
    for (span, count) in
        [((0, HOUR), SERIES), ((i64::MIN, i64::MAX), SERIES), ((HOUR, 2 * HOUR), 0), ((9 * HOUR, 9 * HOUR), SERIES)]
    {
        let points = |series: SelectedSeries| {
            let mut points = Vec::new();
            series.chunks.read(&mut points).unwrap();
            (series.labels.to_string(), points)
        };
        let found = |threads| db.select_on(threads, &[Matcher::equal("__name__", "m")], span, points).unwrap();
        let by_one = found(1);
        assert_eq!(by_one.len(), count);
        assert!(by_one.iter().all(|(_, points)| !points.is_empty()));
        assert_eq!(found(3), by_one, "the same, in the same order");
    }
}

#[test]
fn labels_values_and_series_within_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    db.append(&[sample("old", 0, 1.0), Sample::new(series("other", "new").with("zone", "eu"), 10 * HOUR, 1.0)])
        .unwrap();
    db.append(&[sample("new", 10 * HOUR, 7.0)]).unwrap();
    db.maintain(10 * HOUR).unwrap();
    let recent = (9 * HOUR, 11 * HOUR);
    assert_eq!(db.label_names(&[], i64::MIN, i64::MAX).unwrap(), ["__name__", "instance", "zone"]);
    assert_eq!(
        db.label_names(&[Matcher::equal("__name__", "m")], recent.0, recent.1).unwrap(),
        ["__name__", "instance"]
    );
    assert_eq!(db.label_values("instance", &[], recent.0, recent.1).unwrap(), ["new"]);
    assert_eq!(db.label_values("__name__", &[Matcher::equal("zone", "eu")], 0, recent.1).unwrap(), ["other"]);
    let names: Vec<_> = db
        .series(&[Matcher::new("instance", MatcherOp::Regex, "new|x")], 0, recent.1)
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["m{instance=\"new\"}", "other{instance=\"new\",zone=\"eu\"}"]);
    let last = db.last_samples(&[Matcher::equal("__name__", "m")]).unwrap();
    assert_eq!(last.iter().find(|(l, _)| l.get("instance") == Some("new")).unwrap().1, Point::new(10 * HOUR, 7.0));
}

#[test]
fn histograms_and_exemplars_are_kept_in_memory_log_and_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let labels = [("__name__", "latency"), ("job", "web")];
    for i in 0..720 {
        let exemplar =
            Exemplar { labels: Labels::from_pairs([("trace_id", i.to_string())]), value: 0.5, t_ms: i * 15_000 };
        let batch = SeriesWrite {
            labels: &labels,
            histograms: &[histogram(i * 15_000, i as f64)],
            exemplars: if i % 100 == 0 { std::slice::from_ref(&exemplar) } else { &[] },
            ..SeriesWrite::default()
        };
        db.write(&[batch]).unwrap();
    }
    let read = |db: &Tsdb| {
        let mut found = Vec::new();
        for s in db.select(&[Matcher::equal("job", "web")], 0, i64::MAX).unwrap() {
            s.chunks.read_histograms(&mut found).unwrap();
        }
        found
    };
    let exemplars = |db: &Tsdb, start, end| {
        let found = db.exemplars(&[Matcher::equal("__name__", "latency")], start, end).unwrap();
        found.iter().flat_map(|(_, list)| list.iter().map(|e| e.t_ms)).collect::<Vec<_>>()
    };
    let check = |db: &Tsdb| {
        let found = read(db);
        assert_eq!(found.len(), 720);
        for (i, h) in found.iter().enumerate() {
            assert!(h.t_ms == i as i64 * 15_000 && h.histogram.same_as(&histogram(0, i as f64).histogram), "{h:?}");
        }
        assert_eq!(exemplars(db, 0, i64::MAX).len(), 8);
        assert_eq!(exemplars(db, 1_500_000, 3_000_000), [1_500_000, 3_000_000]);
    };
    check(&db);
    drop(db);
    let (db, report) = Tsdb::open(dir.path(), strict()).unwrap();
    assert_eq!(report.replayed_samples, 720);
    check(&db);
    assert_eq!(db.maintain(3 * HOUR).unwrap().blocks_written, 1);
    check(&db);
    drop(db);
    let db = open(dir.path());
    check(&db);
    // The rules of order hold across kinds, and a histogram that contradicts itself is refused.
    let mut bad = Histogram { schema: 99, ..Histogram::default() };
    bad.count = 1.0;
    let bad = HistogramPoint { t_ms: 3 * HOUR, histogram: std::sync::Arc::new(bad) };
    let batch = [
        SeriesWrite { labels: &labels, histograms: &[histogram(5000, 1.0), bad], ..SeriesWrite::default() },
        SeriesWrite { labels: &labels, points: &[Point::new(719 * 15_000, 1.0)], ..SeriesWrite::default() },
    ];
    let report = db.write(&batch).unwrap();
    let reasons: Vec<_> = report.rejected.iter().map(|r| r.reason).collect();
    assert_eq!(reasons, [Reason::TooOld, Reason::BadHistogram, Reason::Duplicate], "{report:?}");
}

#[test]
fn an_exemplar_with_very_long_labels_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let labels = [("__name__", "latency")];
    let of = |len: usize, t_ms: i64| {
        let id = "x".repeat(len - "trace_id".len());
        Exemplar { labels: Labels::from_pairs([("trace_id", id)]), value: 1.0, t_ms }
    };
    let exemplars = [of(1024, 1000), of(1025, 2000)];
    let batch = [SeriesWrite { labels: &labels, exemplars: &exemplars, ..SeriesWrite::default() }];
    let report = db.write(&batch).unwrap();
    assert_eq!((report.appended, report.rejected[0].reason), (1, Reason::ExemplarTooLong), "{report:?}");
    assert!(report.rejected[0].example.contains("1024 bytes"), "{report:?}");
    let report = db.import(&batch, 10 * HOUR).unwrap();
    assert_eq!((report.appended, report.rejected[0].reason), (1, Reason::ExemplarTooLong), "{report:?}");
    let found = db.exemplars(&[], 0, i64::MAX).unwrap();
    assert_eq!(found[0].1, exemplars[..1]);
}

#[test]
fn an_exemplar_of_time_without_samples_of_its_series_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let labels = [("__name__", "latency")];
    let exemplars = [Exemplar { labels: Labels::from_pairs([("trace_id", "1")]), value: 1.0, t_ms: 2 * HOUR - 1 }];
    for i in 0..200 {
        let points = [Point::new(2 * HOUR + i * 60_000, 1.0)];
        let exemplars = if i == 0 { &exemplars[..] } else { &[] };
        db.write(&[SeriesWrite { labels: &labels, points: &points, exemplars, ..SeriesWrite::default() }]).unwrap();
    }
    db.maintain(6 * HOUR).unwrap();
    drop(db);
    let found = open(dir.path()).exemplars(&[Matcher::equal("__name__", "latency")], 2 * HOUR - 10, 2 * HOUR).unwrap();
    assert_eq!(found[0].1, exemplars);
}

#[test]
fn unsorted_labels_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    for labels in [&[("b", "1"), ("a", "1")][..], &[("a", "1"), ("a", "2")], &[("a", "")]] {
        let report =
            db.write(&[SeriesWrite { labels, points: &[Point::new(1, 1.0)], ..SeriesWrite::default() }]).unwrap();
        assert_eq!(report.rejected[0].reason, Reason::LabelOrder, "{labels:?}");
    }
    assert_eq!(db.stats().series, 0);
}

#[test]
fn blocks_are_merged_into_larger_ones_and_weigh_less() {
    let dir = tempfile::tempdir().unwrap();
    let db = Tsdb::open(dir.path(), Options::default()).unwrap().0;
    for i in 0..26 * 240 {
        db.append(&[sample("a", i * 15_000, ((i % 97) * 13) as f64), sample("b", i * 15_000, 2.0)]).unwrap();
    }
    let before = all(&db);
    let report = db.maintain(26 * HOUR).unwrap();
    assert_eq!(report.blocks_written, 12);
    assert_eq!(all(&db), before);
    let names: Vec<_> = fs::read_dir(dir.path().join("blocks")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!((db.stats().blocks, names.len()), (1, 1), "{names:?}");
    drop(db);
    let (db, report) = Tsdb::open(dir.path(), Options::default()).unwrap();
    assert_eq!(report.blocks, 1);
    assert_eq!(all(&db), before);
}

#[test]
fn deleted_samples_are_gone_at_once_and_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let db = Tsdb::open(dir.path(), Options::default()).unwrap().0;
    for i in 0..5 * 240 {
        db.append(&[sample("a", i * 15_000, i as f64), sample("b", i * 15_000, 1.0)]).unwrap();
    }
    db.maintain(5 * HOUR).unwrap();
    assert_eq!(db.delete(&[Matcher::equal("instance", "a")], HOUR, i64::MAX).unwrap(), 1);
    db.append(&[sample("a", 5 * HOUR, 7.0)]).unwrap();
    let check = |db: &Tsdb| {
        let found = all(db);
        assert_eq!((found[0].1.len(), found[1].1.len()), (241, 1200));
        assert_eq!(found[0].1.last(), Some(&Point::new(5 * HOUR, 7.0)));
    };
    check(&db);
    drop(db);
    let db = Tsdb::open(dir.path(), Options::default()).unwrap().0;
    check(&db);
    let samples = db.stats().block_samples;
    let mut t = 5 * HOUR;
    while t < 8 * HOUR {
        t += 15_000;
        db.append(&[sample("c", t, 0.0)]).unwrap();
    }
    for _ in 0..4 {
        db.maintain(t).unwrap();
    }
    assert!(db.stats().block_samples < samples + 480 * 4, "the bytes are gone");
    assert_eq!(db.stats().tombstones, 0);
    let found = all(&db);
    assert_eq!((found[0].1.len(), found[1].1.len()), (241, 1200));
}

#[test]
fn a_snapshot_opens_by_itself_and_does_not_change() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir.path().join("live"));
    for i in 0..1000 {
        db.append(&[sample("a", i * 15_000, (i as f64).sqrt())]).unwrap();
    }
    db.maintain(1000 * 15_000).unwrap();
    let before = all(&db);
    let to = dir.path().join("snapshot");
    db.snapshot(&to).unwrap();
    assert!(matches!(db.snapshot(&to), Err(TsdbError::NotEmpty { .. })));
    for i in 1000..3000 {
        db.append(&[sample("a", i * 15_000, 1.0)]).unwrap();
    }
    db.maintain(3000 * 15_000).unwrap();
    assert_eq!(all(&open(&to)), before);
    assert_eq!(all(&db)[0].1.len(), 3000);
}

#[test]
fn a_snapshot_is_taken_while_writers_begin_new_segments() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes_max: 1, ..strict() };
    let db = Tsdb::open(dir.path().join("live"), options).unwrap().0;
    db.append(&[sample("a", 0, 0.0)]).unwrap();
    let snapshot = |i: i32| dir.path().join(format!("snapshot-{i}"));
    let done = std::sync::atomic::AtomicBool::new(false);
    let taken: Vec<_> = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut t = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                t += 1;
                db.append(&[sample("a", t, t as f64)]).unwrap();
            }
        });
        let taken = (0..10).map(|i| db.snapshot(&snapshot(i))).collect();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        taken
    });
    assert!(taken.iter().all(Result::is_ok), "{taken:?}");
    let live = all(&db).remove(0).1;
    for i in 0..10 {
        let there = all(&open(&snapshot(i))).remove(0).1;
        assert_eq!(there, live[..there.len()]);
    }
}

#[test]
fn the_number_of_a_block_is_not_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    for i in 0..600 {
        db.append(&[sample("a", i * 60_000, 1.0)]).unwrap();
    }
    db.maintain(10 * HOUR).unwrap();
    let highest = db.blocks().iter().map(|b| b.number).max().unwrap();
    drop(db);
    // Dropped, and no checkpoint was written since: it still says that the series of these are known.
    for block in fs::read_dir(dir.path().join("blocks")).unwrap() {
        fs::remove_file(block.unwrap().path()).unwrap();
    }
    let db = open(dir.path());
    db.append(&[sample("b", 10 * HOUR, 1.0)]).unwrap();
    db.maintain(14 * HOUR).unwrap();
    let blocks = db.blocks();
    assert!(!blocks.is_empty() && blocks.iter().all(|b| b.number > highest), "{blocks:?} after {highest}");
}

/// Long values fill the strings of a checkpoint, which has to be read again.
#[test]
fn a_bomb_of_long_values_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let count = 16_500;
    for part in (0..count).collect::<Vec<_>>().chunks(500) {
        let bomb: Vec<_> =
            part.iter().map(|i| Sample::new(Labels::from_pairs([("id", format!("{i:02048}"))]), 1000, 1.0)).collect();
        assert_eq!(db.append(&bomb).unwrap().appended, part.len());
    }
    db.checkpoint().unwrap();
    drop(db);
    let (db, report) = Tsdb::open(dir.path(), strict()).unwrap();
    assert!(report.quarantined.is_empty() && report.torn_bytes == 0, "{report:?}");
    assert_eq!((db.stats().series, db.stats().head_samples), (count, count));
    let last = [Matcher::equal("id", format!("{:02048}", count - 1))];
    assert_eq!(read(&db, &last, 0, i64::MAX)[0].1, [Point::new(1000, 1.0)]);
}

#[test]
fn a_bomb_of_labels_is_stopped_by_the_limit_and_memory_stays_small() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { series_max: 20_000, ..strict() };
    let db = Tsdb::open(dir.path(), options.clone()).unwrap().0;
    db.append(&[sample("good", 1000, 1.0)]).unwrap();
    let mut refused = 0;
    for round in 0..30 {
        let bomb: Vec<_> = (0..2000)
            .map(|i| {
                Sample::new(
                    series("bomb", &format!("{round}-{i}")).with("id", format!("{}", round * 2000 + i)),
                    1000,
                    1.0,
                )
            })
            .collect();
        let report = db.append(&bomb).unwrap();
        refused += report.rejected_count();
        if let Some(r) = report.rejected.first() {
            assert!(r.reason == Reason::TooManySeries && r.example.contains("20000"), "{r:?}");
        }
    }
    assert_eq!(refused, 60_000 - 19_999);
    // Known series are not hurt, the index says who it was, and a series costs no more than a few hundred bytes.
    assert_eq!(db.append(&[sample("good", 2000, 1.0)]).unwrap().appended, 1);
    assert_eq!(db.cardinality(1).metrics[0].name, "bomb");
    let each = db.memory_bytes() / db.stats().series;
    assert!(each < 700, "{each} bytes a series");
    drop(db);
    let (db, report) = Tsdb::open(dir.path(), options).unwrap();
    assert_eq!((report.series, db.stats().series), (20_000, 20_000));
}
