//! Which metrics and labels have the most series, and which had the most new ones of late.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use tenfold_tsdb::{Sample, Tsdb};

use common::{HOUR, open, series};

#[test]
fn cardinality_is_told_from_the_index() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let mut batch = Vec::new();
    for i in 0..50 {
        batch.push(Sample::new(series("old", &i.to_string()).with("zone", "eu"), 1000, 1.0));
    }
    db.append(&batch).unwrap();
    let busy: Vec<_> = (0..20).map(|i| Sample::new(series("busy", &i.to_string()), 9 * HOUR, 1.0)).collect();
    db.append(&busy).unwrap();
    db.maintain(10 * HOUR).unwrap();
    let c = db.cardinality(2);
    assert_eq!((c.series, c.active_series, c.labels), (70, 20, 3));
    let shown: Vec<_> = c.metrics.iter().map(|m| (m.name.as_str(), m.series, m.active)).collect();
    assert_eq!(shown, [("old", 50, 0), ("busy", 20, 20)]);
    assert_eq!(c.churn.len(), 1);
    assert_eq!((c.label_values[0].label.as_str(), c.label_values[0].values), ("instance", 50));
    assert_eq!((c.label_pairs[0].name.as_str(), c.label_pairs[0].series), ("zone=eu", 50));
    // Ten of one digit and forty of two, and the busy ones; each value for every series that has it.
    let bytes: Vec<_> = db.cardinality(9).label_bytes.into_iter().map(|l| (l.label, l.bytes)).collect();
    let wanted = [("__name__", 50 * 3 + 20 * 4), ("instance", 10 + 40 * 2 + 10 + 10 * 2), ("zone", 100)];
    assert_eq!(bytes, wanted.map(|(label, bytes)| (label.to_owned(), bytes)));
}

#[test]
fn metrics_are_found_by_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    for (name, n) in [("http_requests", 3), ("http_errors", 5), ("up", 9), ("http_bytes", 5)] {
        let batch: Vec<_> = (0..n).map(|i| Sample::new(series(name, &i.to_string()), 1000, 1.0)).collect();
        db.append(&batch).unwrap();
    }
    let found = db.metrics_where(2, |name| name.starts_with("http_"));
    assert_eq!((found.metrics, found.series), (3, 13));
    let shown: Vec<_> = found.greatest.iter().map(|m| (m.name.as_str(), m.series, m.active)).collect();
    assert_eq!(shown, [("http_bytes", 5, 5), ("http_errors", 5, 5)]);
    assert_eq!(db.metrics_where(2, |_| false).metrics, 0);
}

#[test]
fn the_greatest_pair_is_told_however_many_are_of_one_series() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let own: Vec<String> = (0..9).map(|label| format!("own_{label}")).collect();
    let batch: Vec<_> = (0..1100)
        .map(|i| {
            let labels =
                own.iter().fold(series("m", &i.to_string()), |all, name| all.with(name, format!("{name}-{i}")));
            Sample::new(if i % 400 == 0 { labels.with("zone", "eu") } else { labels }, 1000, 1.0)
        })
        .collect();
    assert_eq!(db.append(&batch).unwrap().appended, 1100);
    let pairs = db.cardinality(2).label_pairs;
    assert_eq!((pairs.len(), pairs[0].name.as_str(), pairs[0].series), (2, "zone=eu", 3));
}

#[test]
fn series_of_the_last_hour_are_told_by_metric_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut db = open(dir.path());
    let add = |db: &Tsdb, name: &str, from: i64, to: i64, t: i64| {
        let batch: Vec<_> = (from..to).map(|i| Sample::new(series(name, &i.to_string()), t, 1.0)).collect();
        db.append(&batch).unwrap();
    };
    let shown = |db: &Tsdb| {
        let c = db.cardinality(5);
        let list: Vec<_> = c.created.into_iter().map(|m| (m.name, m.created_last_hour, m.series)).collect();
        (c.created_last_hour, list)
    };
    add(&db, "old", 0, 30, HOUR);
    assert_eq!(shown(&db).0, 30, "all of a store that just began");
    db.maintain(HOUR).unwrap();
    for minute in 1..=90 {
        add(&db, "steady", minute, minute + 1, HOUR + minute * 60_000);
        add(&db, "old", 0, 30, HOUR + minute * 60_000);
        db.maintain(HOUR + minute * 60_000).unwrap();
    }
    // A sample from the time to come changes nothing, nor does one of old time.
    add(&db, "burst", 0, 500, 100 * HOUR);
    add(&db, "burst", 500, 600, 2 * HOUR);
    let wanted = (660, vec![("burst".to_owned(), 600, 600), ("steady".to_owned(), 60, 90)]);
    assert_eq!(shown(&db), wanted);
    for checkpoint in [false, true] {
        if checkpoint {
            db.checkpoint().unwrap();
        }
        drop(db);
        db = open(dir.path());
        assert_eq!(shown(&db), wanted, "checkpoint: {checkpoint}");
    }
    db.maintain(2 * HOUR + 31 * 60_000).unwrap();
    assert_eq!(shown(&db).0, 659);
    db.maintain(3 * HOUR + 31 * 60_000).unwrap();
    assert_eq!(shown(&db), (0, vec![]));
}
