//! The store from outside: order rules, limits, restart, blocks, retention, damage.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::{fs, path::Path};

use tenfold_tsdb::{Options, Point, Reason, STALE_NAN, Sample, Tsdb, is_stale};
use tenfold_types::{Labels, Matcher, MatcherOp};

const HOUR: i64 = 3_600_000;

fn series(name: &str, instance: &str) -> Labels {
    Labels::from_pairs([("__name__", name), ("instance", instance)])
}

fn sample(instance: &str, t_ms: i64, value: f64) -> Sample {
    Sample::new(series("m", instance), t_ms, value)
}

fn open(dir: &Path) -> Tsdb {
    Tsdb::open(dir, strict()).unwrap().0
}

/// Nothing late is taken, and blocks are not merged.
fn strict() -> Options {
    Options { out_of_order_ms: 0, block_ms_max: 2 * HOUR, ..Options::default() }
}

fn read(db: &Tsdb, matchers: &[Matcher], start: i64, end: i64) -> Vec<(String, Vec<Point>)> {
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

fn all(db: &Tsdb) -> Vec<(String, Vec<Point>)> {
    read(db, &[Matcher::equal("__name__", "m")], i64::MIN, i64::MAX)
}

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
    assert!(text.iter().any(|(r, e)| *r == "too_many_series" && e.contains("limit of 2 series")), "{text:?}");
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
