//! What there is room for in memory: active series, and the newest exemplars.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use tenfold_tsdb::{Exemplar, Options, Point, Reason, Sample, SeriesWrite, Tsdb};
use tenfold_types::Labels;

use common::{HOUR, sample, strict};

#[test]
fn series_that_ended_take_no_room_from_active_ones() {
    let dir = tempfile::tempdir().unwrap();
    let db = Tsdb::open(dir.path(), Options { series_max: 10, ..strict() }).unwrap().0;
    let at = |round: i64| round * 10 * HOUR;
    let round = |n: i64| -> Vec<Sample> { (0..10).map(|i| sample(&format!("{n}-{i}"), at(n), 1.0)).collect() };
    let told = |samples: &[Sample]| {
        let report = db.append(samples).unwrap();
        (report.appended, report.rejected.first().map(|r| (r.reason, r.count)))
    };
    for n in 0..10 {
        assert_eq!(told(&round(n)), (10, None), "round {n}");
        assert_eq!(told(&[sample("more", at(n), 1.0)]), (0, Some((Reason::TooManySeries, 1))), "round {n}");
        db.maintain(at(n + 1)).unwrap();
    }
    assert_eq!((db.stats().series, db.stats().head_series), (100, 0));
    // Known are ten times as many at most.
    let report = db.append(&round(10)).unwrap();
    assert_eq!((report.appended, report.rejected[0].reason), (0, Reason::TooManyKnownSeries));
    assert!(report.rejected[0].example.contains("limit of 100 that are kept"), "{report:?}");
    // One that ended and comes again is active like any other.
    let again: Vec<Sample> = (0..11).map(|i| sample(&format!("{}-{}", i / 10, i % 10), at(10), 2.0)).collect();
    assert_eq!(told(&again), (10, Some((Reason::TooManySeries, 1))));
    let bad = Sample::new(Labels::new(), at(10), 1.0);
    assert_eq!(told(&[bad]), (0, Some((Reason::NoLabels, 1))), "what is wrong with it is told");
}

#[test]
fn the_newest_exemplars_stay_where_there_are_too_many() {
    const MOST: usize = 10;
    let dir = tempfile::tempdir().unwrap();
    let open = || Tsdb::open(dir.path(), Options { exemplars_max: MOST, ..strict() }).unwrap().0;
    let write = |db: &Tsdb, series: &str, t_ms: i64| {
        let labels = [("__name__", "latency"), ("le", series)];
        let trace = Labels::from_pairs([("trace_id", t_ms.to_string())]);
        let (points, exemplars) = ([Point::new(t_ms, 1.0)], [Exemplar { labels: trace, value: 1.0, t_ms }]);
        let batch = SeriesWrite { labels: &labels, points: &points, exemplars: &exemplars, ..SeriesWrite::default() };
        let report = db.write(&[batch]).unwrap();
        assert_eq!((report.appended, report.rejected), (2, vec![]));
    };
    let instants = |db: &Tsdb| {
        let found = db.exemplars(&[], i64::MIN, i64::MAX).unwrap();
        let mut all: Vec<i64> = found.iter().flat_map(|(_, list)| list.iter().map(|e| e.t_ms)).collect();
        all.sort_unstable();
        assert_eq!(db.stats().exemplars, all.len(), "they are counted");
        all
    };
    let db = open();
    for t_ms in 1..=20 {
        write(&db, "0.1", t_ms);
        let all = instants(&db);
        let first = t_ms + 1 - all.len() as i64;
        assert_eq!(all, (first..=t_ms).collect::<Vec<_>>(), "the oldest go");
        assert!(all.len() <= MOST && all.len() + MOST / 4 >= MOST.min(t_ms as usize), "{all:?}");
    }
    // A series that has none yet has room as well, and of those of one instant no more go than have to.
    (0..30).for_each(|series| write(&db, &format!("1.{series}"), 100));
    let all = instants(&db);
    assert!(all.len() <= MOST && all.len() >= MOST - MOST / 4 && all.iter().all(|t| *t == 100), "{all:?}");
    // The log has all of them; what comes next makes room.
    drop(db);
    let db = open();
    write(&db, "0.1", 101);
    let all = instants(&db);
    assert!(all.len() <= MOST && all.last() == Some(&101), "{all:?}");
}
