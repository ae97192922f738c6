//! Samples in order that come hours late: time stays open for them within a bound, and closed time takes them too.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use std::collections::BTreeMap;

use proptest::prelude::*;
use tenfold_tsdb::{BlockStatus, Options, Point, Reason, SeriesWrite, Tsdb, TsdbError};
use tenfold_types::Matcher;

use common::{HOUR, all, histogram, read};

const MINUTE: i64 = 60_000;

fn labels(instance: &str) -> [(&str, &str); 2] {
    [("__name__", "m"), ("instance", instance)]
}

/// How many of them were taken, and why the first of the others was not.
fn write(db: &Tsdb, instance: &str, points: &[Point]) -> Result<(usize, Option<Reason>), TsdbError> {
    let report = db.write(&[SeriesWrite { labels: &labels(instance), points, ..SeriesWrite::default() }])?;
    Ok((report.appended, report.rejected.first().map(|r| r.reason)))
}

/// One a minute.
fn minutes(from_ms: i64, count: i64, value: f64) -> Vec<Point> {
    (0..count).map(|i| Point::new(from_ms + i * MINUTE, value)).collect()
}

const NOW: i64 = 40 * HOUR;

/// A series has twelve hours up to now, another the first two of them; the time up to two hours ago is closed.
fn begin(db: &Tsdb) {
    assert_eq!(write(db, "here", &minutes(NOW - 12 * HOUR, 12 * 60, 1.0)).unwrap(), (720, None));
    assert_eq!(write(db, "away", &minutes(NOW - 12 * HOUR, 120, 1.0)).unwrap(), (120, None));
    assert_eq!(db.maintain(NOW).unwrap().blocks_written, 5);
}

/// How many samples of a series have each of these values.
fn counts(db: &Tsdb, instance: &str, values: [f64; 3]) -> [usize; 3] {
    let found = read(db, &[Matcher::equal("instance", instance)], i64::MIN, i64::MAX).remove(0).1;
    assert!(found.is_sorted_by(|a, b| a.t_ms < b.t_ms));
    let counts = values.map(|v| found.iter().filter(|p| p.value == v).count());
    assert_eq!(counts.iter().sum::<usize>(), found.len());
    counts
}

#[test]
fn closed_time_takes_what_is_newer_than_all_its_series_has() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { block_ms_max: 2 * HOUR, ..Options::default() };
    let open = || Tsdb::open(dir.path(), options.clone()).unwrap().0;
    let db = open();
    begin(&db);
    // The sender comes back: what it sent last it sends again, with other values, and then what followed.
    assert_eq!(write(&db, "away", &minutes(NOW - 11 * HOUR, 60, 2.0)).unwrap(), (60, None));
    assert_eq!(write(&db, "away", &minutes(NOW - 10 * HOUR, 600, 3.0)).unwrap(), (600, None));
    // A day before the end of closed time and no more, and what is older than its own series as ever.
    let (oldest, too_old) = (Point::new(14 * HOUR, 1.0), Point::new(14 * HOUR - 1, 1.0));
    let batch = SeriesWrite { labels: &labels("new"), points: &[too_old], ..SeriesWrite::default() };
    let report = db.write(&[batch]).unwrap();
    let refused = &report.rejected[0];
    assert!(refused.reason == Reason::TooOld && refused.example.contains("86400000 ms"), "{refused:?}");
    assert_eq!(write(&db, "new", &[oldest]).unwrap(), (1, None));
    assert_eq!(write(&db, "here", &[Point::new(NOW - 5 * HOUR + 1, 1.0)]).unwrap(), (0, Some(Reason::TooOld)));
    // What is in blocks stands.
    let check = |db: &Tsdb| assert_eq!(counts(db, "away", [1.0, 2.0, 3.0]), [120, 0, 600]);
    check(&db);
    drop(db);
    let db = open();
    check(&db);
    assert_eq!(db.maintain(NOW).unwrap().blocks_written, 0, "they wait for others");
    // Two hours in order, and beside them six of those that came late; five of them are of the time of another.
    let report = db.maintain(NOW + HOUR).unwrap();
    assert_eq!((report.blocks_written, report.blocks_merged, db.stats().blocks), (7, 10, 7), "{report:?}");
    check(&db);
    drop(db);
    let db = open();
    check(&db);
    assert_eq!((counts(&db, "here", [1.0, 2.0, 3.0]), counts(&db, "new", [1.0, 2.0, 3.0])), ([720, 0, 0], [1, 0, 0]));
}

#[test]
fn late_samples_get_blocks_also_where_nothing_comes_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let db = Tsdb::open(dir.path(), Options::default()).unwrap().0;
    write(&db, "a", &minutes(30 * HOUR, 120, 1.0)).unwrap();
    assert_eq!(db.maintain(33 * HOUR).unwrap().blocks_written, 1);
    let written = |minute: i64| db.maintain(34 * HOUR + minute * MINUTE).unwrap().blocks_written;
    assert_eq!(write(&db, "b", &minutes(31 * HOUR, 10, 1.0)).unwrap(), (10, None));
    assert_eq!(((0..120).map(written).sum::<usize>(), db.stats().head_samples), (0, 10));
    assert_eq!((written(120), db.stats().head_samples), (1, 0));
    // The next ones wait as long: not a block a minute.
    assert_eq!(write(&db, "b", &minutes(31 * HOUR + 10 * MINUTE, 10, 1.0)).unwrap(), (10, None));
    assert_eq!((121..=240).map(written).sum::<usize>(), 0);
    assert_eq!(written(241), 1);
    assert_eq!(all(&db).iter().map(|(_, points)| points.len()).collect::<Vec<_>>(), [120, 20]);
}

#[test]
fn time_stays_open_while_samples_in_order_come_for_it() {
    let dir = tempfile::tempdir().unwrap();
    // What comes for closed time is refused.
    let options = Options { out_of_order_ms: 0, behind_ms: 0, block_ms_max: 2 * HOUR, ..Options::default() };
    let db = Tsdb::open(dir.path(), options).unwrap().0;
    let (from, now) = (60 * HOUR, 72 * HOUR);
    db.maintain(now).unwrap();
    let mut written = 0;
    // Two senders write half an hour of the past in a minute; the second is an hour and a half behind the first.
    for step in 0..27_i64 {
        for (sender, behind) in [("a", 0), ("b", 3)] {
            if (0..24).contains(&(step - behind)) {
                let points = minutes(from + (step - behind) * HOUR / 2, 30, 1.0);
                assert_eq!(write(&db, sender, &points).unwrap(), (30, None), "{sender} at {step}");
            }
        }
        written += db.maintain(now + (step + 1) * MINUTE).unwrap().blocks_written;
    }
    let starts: Vec<i64> = db.blocks().iter().map(|b| b.start_t_ms / HOUR).collect();
    assert_eq!((written, starts), (5, vec![60, 62, 64, 66, 68]));
    // Nobody writes any more.
    assert_eq!(db.maintain(now + 90 * MINUTE).unwrap().blocks_written, 1);
    assert_eq!(all(&db).iter().map(|(_, points)| points.len()).collect::<Vec<_>>(), [720, 720]);
}

#[test]
fn no_more_is_held_open_than_there_is_room_for() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { held_samples_per_series_max: 100, block_ms_max: 2 * HOUR, ..Options::default() };
    let db = Tsdb::open(dir.path(), options).unwrap().0;
    let (from, now) = (60 * HOUR, 72 * HOUR);
    db.maintain(now).unwrap();
    for step in 0..12_i64 {
        // What is left of the block that was closed comes late.
        let points = minutes(from + step * 45 * MINUTE, 45, 1.0);
        assert_eq!(write(&db, "a", &points).unwrap(), (45, None), "at {step}");
        db.maintain(now + (step + 1) * MINUTE).unwrap();
        assert!(db.stats().head_samples <= 100, "{} samples at {step}", db.stats().head_samples);
    }
    assert!(db.stats().blocks >= 3);
    assert_eq!(all(&db).remove(0).1.len(), 540);
}

#[test]
fn where_too_many_wait_for_their_blocks_more_are_refused_until_they_have_them() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Tsdb::open(dir.path(), Options { behind_samples_max: 100, ..Options::default() }).unwrap().0;
    let db = open();
    begin(&db);
    assert_eq!(write(&db, "a", &minutes(30 * HOUR, 60, 1.0)).unwrap(), (60, None));
    assert!(db.is_pressed());
    assert_eq!(write(&db, "a", &minutes(31 * HOUR, 60, 1.0)).unwrap(), (60, None));
    let more = minutes(32 * HOUR, 10, 1.0);
    let is_refused = |db: &Tsdb| matches!(write(db, "a", &more), Err(TsdbError::TooManyBehind { most: 100 }));
    assert!(is_refused(&db));
    assert_eq!(write(&db, "here", &minutes(NOW, 10, 1.0)).unwrap(), (10, None), "what is in order is taken");
    drop(db);
    let db = open();
    assert!(db.is_pressed() && is_refused(&db), "they are counted at a start");
    let report = db.maintain(NOW).unwrap();
    assert_eq!((report.blocks_written, report.blocks_merged), (1, 0), "what would soon be merged again is not");
    assert!(!db.is_pressed());
    assert_eq!(write(&db, "a", &more).unwrap(), (10, None));
    assert_eq!(db.maintain(NOW + MINUTE).unwrap().blocks_merged, 2);
    assert!(!db.is_pressed());
    // Native histograms take more room.
    let histograms: Vec<_> = (0..3).map(|i| histogram(33 * HOUR + i * MINUTE, 1.0)).collect();
    let batch = SeriesWrite { labels: &labels("h"), histograms: &histograms, ..SeriesWrite::default() };
    assert_eq!(db.write(&[batch]).unwrap().appended, 3);
    assert!(db.is_pressed());
    assert_eq!(counts(&db, "a", [1.0, 2.0, 3.0]), [130, 0, 0]);
}

#[test]
fn what_comes_for_deleted_time_that_is_closed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Tsdb::open(dir.path(), Options::default()).unwrap().0;
    let db = open();
    begin(&db);
    assert_eq!(db.delete(&[Matcher::equal("instance", "away")], NOW - 11 * HOUR, i64::MAX).unwrap(), 1);
    let outage = minutes(NOW - 10 * HOUR, 60, 2.0);
    assert_eq!(write(&db, "away", &outage).unwrap(), (0, Some(Reason::Deleted)));
    assert_eq!(write(&db, "here", &[Point::new(NOW, 1.0)]).unwrap(), (1, None));
    // What is of later time is not deleted, nor what is imported.
    assert_eq!(write(&db, "away", &minutes(NOW - 2 * HOUR, 60, 3.0)).unwrap(), (60, None));
    let batch = SeriesWrite { labels: &labels("away"), points: &outage, ..SeriesWrite::default() };
    assert_eq!(db.import(&[batch], NOW).unwrap().appended, 60);
    assert_eq!(counts(&db, "away", [1.0, 2.0, 3.0]), [60, 60, 60]);
    drop(db);
    let db = open();
    db.maintain(NOW + 4 * HOUR).unwrap();
    assert_eq!(counts(&db, "away", [1.0, 2.0, 3.0]), [60, 60, 60]);
}

#[test]
fn what_came_late_before_an_import_of_its_instants_stands() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Tsdb::open(dir.path(), Options::default()).unwrap().0;
    let db = open();
    begin(&db);
    assert_eq!(write(&db, "away", &minutes(NOW - 10 * HOUR, 60, 2.0)).unwrap(), (60, None));
    let points = minutes(NOW - 10 * HOUR, 90, 3.0);
    let batch = SeriesWrite { labels: &labels("away"), points: &points, ..SeriesWrite::default() };
    assert_eq!(db.import(&[batch], NOW).unwrap().appended, 90);
    assert_eq!(counts(&db, "away", [1.0, 2.0, 3.0]), [120, 60, 30]);
    drop(db);
    let db = open();
    db.maintain(NOW + 4 * HOUR).unwrap();
    assert_eq!(counts(&db, "away", [1.0, 2.0, 3.0]), [120, 60, 30]);
}

/// So many times half an hour: of a sender, of another that gets on by five minutes each time, and of a series that ends. How
/// many samples were in memory at most.
fn half_hours(db: &Tsdb, count: i64) -> usize {
    let start = 60 * HOUR;
    db.maintain(start).unwrap();
    let one = |n: i64| {
        let now = start + n * 30 * MINUTE;
        let (half_hour_ago, behind) = (now - 30 * MINUTE, start - 2 * HOUR + (n - 1) * 5 * MINUTE);
        let ends = format!("ends-{n}");
        for (sender, from, count) in
            [("here", half_hour_ago, 30), ("away", behind, 5), (ends.as_str(), half_hour_ago, 5)]
        {
            let points = minutes(from, count, 1.0);
            assert_eq!(write(db, sender, &points).unwrap(), (points.len(), None), "{sender} in half an hour {n}");
        }
        db.maintain(now).unwrap();
        db.stats().head_samples
    };
    let most = (1..=count).map(one).max().unwrap();
    let found: usize = all(db).iter().map(|(_, points)| points.len()).sum();
    assert_eq!(found as i64, count * (30 + 5 + 5));
    most
}

#[test]
fn series_that_ended_make_no_room_to_hold_time_open() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { held_samples_per_series_max: 100, block_ms_max: 2 * HOUR, ..Options::default() };
    let db = Tsdb::open(dir.path(), options).unwrap().0;
    let most = half_hours(&db, 48);
    // Ten series have room: both senders, five that ended within two hours, and three close to the one that is behind.
    assert!((500..=700).contains(&most), "{most} samples");
    assert!(db.stats().blocks >= 8, "{} blocks", db.stats().blocks);
}

#[test]
fn no_time_is_held_open_where_new_series_would_find_no_room() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { series_max: 20, block_ms_max: 2 * HOUR, ..Options::default() };
    let db = Tsdb::open(dir.path(), options).unwrap().0;
    half_hours(&db, 40);
    assert!(db.stats().head_series <= 12, "{} series", db.stats().head_series);
}

#[test]
fn new_series_of_what_began_hours_ago_do_not_hold_time_open() {
    let dir = tempfile::tempdir().unwrap();
    let db = Tsdb::open(dir.path(), Options { block_ms_max: 2 * HOUR, ..Options::default() }).unwrap().0;
    let start = 60 * HOUR;
    db.maintain(start).unwrap();
    for n in 1..=24_i64 {
        let now = start + n * 30 * MINUTE;
        let points = minutes(now - 30 * MINUTE, 30, 1.0);
        assert_eq!(write(&db, "here", &points).unwrap(), (30, None));
        // Zero when the process began, and what has been counted since.
        let points = [Point::new(start, 0.0), Point::new(now - MINUTE, 1.0)];
        assert_eq!(write(&db, &format!("new-{n}"), &points).unwrap(), (2, None), "in half an hour {n}");
        let (name, began) = (n.to_string(), [histogram(start, 1.0)]);
        let batch = SeriesWrite { labels: &[("h", name.as_str())], histograms: &began, ..SeriesWrite::default() };
        assert_eq!(db.write(&[batch]).unwrap().appended, 1);
        db.maintain(now).unwrap();
    }
    assert_eq!(db.stats().blocks, 5);
    assert_eq!(all(&db).iter().map(|(_, points)| points.len()).sum::<usize>(), 24 * (30 + 2));
}

/// How many times the bytes of a day's block were written to blocks longer than the smallest, in tenths, where one of sixty
/// hosts is ever so many hours behind.
fn tenths_of_a_day_written(behind: i64) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    // The late way at once, and a block of a day at most.
    let options = Options { held_samples_per_series_max: 0, block_ms_max: 24 * HOUR, ..Options::default() };
    let open = || Tsdb::open(dir.path(), options.clone()).unwrap().0;
    let db = open();
    let day = 240 * HOUR;
    let of_day = |db: &Tsdb| {
        let mut blocks = db.blocks();
        blocks.retain(|b| b.start_t_ms >= day && b.end_t_ms <= day + 24 * HOUR);
        blocks
    };
    let (mut bytes, mut seen, mut noise) = (0, 0, 1_u64);
    for hour in 1..=49 {
        let now = day + hour * HOUR;
        for host in 0..60 {
            let from = now - HOUR - if host == 0 { behind * HOUR } else { 0 };
            let mut points = minutes(from, 60, 0.0);
            for point in &mut points {
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                point.value = (noise >> 50) as f64;
            }
            assert_eq!(write(&db, &format!("host-{host}"), &points).unwrap(), (60, None), "{host} in hour {hour}");
        }
        db.maintain(now).unwrap();
        let blocks = of_day(&db);
        let is_long = |b: &&BlockStatus| b.number > seen && b.end_t_ms - b.start_t_ms > 2 * HOUR;
        bytes += blocks.iter().filter(is_long).map(|b| b.bytes).sum::<u64>();
        seen = blocks.iter().map(|b| b.number).fold(seen, u64::max);
        let found = read(&db, &[Matcher::equal("instance", "host-0")], i64::MIN, i64::MAX).remove(0).1;
        assert_eq!(found.len() as i64, hour * 60, "what came late is seen at once");
        assert!(found.is_sorted_by(|a, b| a.t_ms < b.t_ms));
    }
    drop(db);
    // Nobody knows how long blocks waited before a start.
    let db = open();
    db.maintain(day + 49 * HOUR).unwrap();
    let blocks = of_day(&db);
    assert_eq!(blocks.iter().map(|b| b.samples).collect::<Vec<_>>(), [60 * 24 * 60]);
    bytes * 10 / blocks[0].bytes
}

#[test]
fn a_host_that_is_ever_behind_does_not_have_the_days_block_written_with_each_of_its_own() {
    // Three and a half times; each time at once it was five and twelve.
    for (behind, most) in [(5, 42), (20, 60)] {
        let tenths = tenths_of_a_day_written(behind);
        assert!((10..most).contains(&tenths), "{behind} hours behind: {tenths} tenths");
    }
}

/// Waiting goes by the clock, whatever that does meanwhile.
#[test]
fn a_block_that_came_late_waits_half_a_day_beside_a_large_one() {
    let dir = tempfile::tempdir().unwrap();
    let db = Tsdb::open(dir.path(), Options { block_ms_max: 8 * HOUR, ..Options::default() }).unwrap().0;
    // Eight hours and what follows, of many series.
    for host in 0..200 {
        let points: Vec<Point> = (0..600).map(|i| Point::new(NOW + i * MINUTE, (i * i % 1009 * host) as f64)).collect();
        assert_eq!(write(&db, &format!("host-{host}"), &points).unwrap(), (600, None));
    }
    let begun = NOW + 12 * HOUR;
    let blocks = |now: i64| {
        db.maintain(now).unwrap();
        db.blocks().iter().filter(|b| b.end_t_ms <= NOW + 8 * HOUR).count()
    };
    assert_eq!(blocks(begun), 1);
    let late =
        |minute: i64| assert_eq!(write(&db, "late", &minutes(NOW + minute * MINUTE, 1, 1.0)).unwrap(), (1, None));
    late(0);
    assert_eq!([blocks(begun), blocks(begun + 2 * HOUR), blocks(begun + 13 * HOUR)], [1, 2, 2]);
    assert_eq!(blocks(begun + 14 * HOUR), 1);
    late(1);
    assert_eq!([blocks(begun + 20 * HOUR), blocks(begun + 22 * HOUR)], [1, 2]);
    // It was set back by eight hours, and the block waits no longer than from then on.
    assert_eq!([blocks(begun + 14 * HOUR), blocks(begun + 25 * HOUR), blocks(begun + 26 * HOUR)], [2, 2, 1]);
}

const BLOCK_MS: i64 = 1000;
const REACH_MS: i64 = 20_000;
const STEP_MS: i64 = 10;
const SERIES: u8 = 4;

#[derive(Debug, Clone)]
enum Step {
    /// So many samples of a series in order, from so long before now on.
    Write {
        series: u8,
        back: i64,
        count: i64,
    },
    /// The same from where the series ended.
    GoOn {
        series: u8,
        count: i64,
    },
    Forward(i64),
    Maintain,
    Checkpoint,
    Shorten,
    Reopen,
    /// From and to, counted back from now.
    Delete {
        series: u8,
        from: i64,
        to: i64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let back = prop_oneof![0i64..1500, 0i64..25_000];
    let step = prop_oneof![
        8 => (0..SERIES, back, 1i64..60).prop_map(|(series, back, count)| Step::Write { series, back, count }),
        10 => (0..SERIES, 1i64..200).prop_map(|(series, count)| Step::GoOn { series, count }),
        8 => (1i64..4000).prop_map(Step::Forward),
        6 => Just(Step::Maintain),
        1 => Just(Step::Checkpoint),
        2 => Just(Step::Shorten),
        2 => Just(Step::Reopen),
        1 => (0..SERIES, 0i64..9000, 0i64..9000).prop_map(|(series, from, to)| Step::Delete { series, from, to }),
    ];
    prop::collection::vec(step, 1..60)
}

struct Model {
    samples: BTreeMap<u8, BTreeMap<i64, f64>>,
    /// The newest that was taken of each series, deleted or not.
    newest: BTreeMap<u8, i64>,
    deleted: Vec<(u8, i64, i64)>,
    now: i64,
    counter: f64,
}

impl Model {
    /// Whether all were taken. A store that is full of late samples takes them once a maintenance was there.
    fn send(&mut self, db: &Tsdb, series: u8, times: &[i64]) -> bool {
        let name = series.to_string();
        let value = |t: &i64| {
            self.counter += 1.0;
            Point::new(*t, self.counter)
        };
        let points: Vec<Point> = times.iter().map(value).collect();
        let sent = match write(db, &name, &points) {
            Err(TsdbError::TooManyBehind { .. }) => {
                db.maintain(self.now).unwrap();
                write(db, &name, &points)
            }
            sent => sent,
        };
        let all = sent.unwrap().0 == points.len();
        if all {
            for p in &points {
                self.samples.entry(series).or_default().entry(p.t_ms).or_insert(p.value);
                let newest = self.newest.entry(series).or_insert(p.t_ms);
                *newest = p.t_ms.max(*newest);
            }
        }
        all
    }

    fn write(&mut self, db: &Tsdb, series: u8, from: i64, count: i64) {
        let times: Vec<i64> = (0..count).map(|i| from + i * STEP_MS).filter(|t| *t <= self.now).collect();
        let gone: Vec<(i64, i64)> =
            self.deleted.iter().filter(|(of, ..)| *of == series).map(|(_, from, to)| (*from, *to)).collect();
        let is_gone = |t: i64| gone.iter().any(|(from, to)| (*from..=*to).contains(&t));
        let newest = |model: &Self| model.newest.get(&series).copied().unwrap_or(i64::MIN);
        let closed = (self.now - BLOCK_MS / 2).div_euclid(BLOCK_MS) * BLOCK_MS;
        if from > newest(self) && from >= closed - REACH_MS && !times.iter().any(|t| is_gone(*t)) {
            assert!(self.send(db, series, &times), "{times:?} at {} are in order and within reach", self.now);
            return;
        }
        for t in times {
            // Into deleted time that is in memory late samples may or may not come back.
            if t > newest(self) || !is_gone(t) {
                self.send(db, series, &[t]);
            }
        }
    }

    fn delete(&mut self, db: &Tsdb, series: u8, from: i64, to: i64) {
        db.delete(&[Matcher::equal("instance", series.to_string())], from, to).unwrap();
        if let Some(samples) = self.samples.get_mut(&series) {
            samples.retain(|t, _| !(from..=to).contains(t));
        }
        self.deleted.push((series, from, to));
    }

    fn check(&self, db: &Tsdb) {
        for series in 0..SERIES {
            let found = read(db, &[Matcher::equal("instance", series.to_string())], i64::MIN, i64::MAX);
            let found: Vec<(i64, f64)> =
                found.into_iter().flat_map(|(_, points)| points).map(|p| (p.t_ms, p.value)).collect();
            let wanted: Vec<(i64, f64)> =
                self.samples.get(&series).into_iter().flatten().map(|(t, v)| (*t, *v)).collect();
            assert_eq!(found, wanted, "series {series} at {}", self.now);
        }
    }
}

fn run(steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        block_ms: BLOCK_MS,
        block_ms_max: 12 * BLOCK_MS,
        segment_bytes_max: 4000,
        replay_bytes_max: 20_000,
        replay_samples_max: 200,
        out_of_order_ms: 700,
        behind_ms: REACH_MS,
        behind_samples_max: 150,
        held_samples_per_series_max: 60,
        ..Options::default()
    };
    let open = || {
        let (db, report) = Tsdb::open(dir.path(), options.clone()).unwrap();
        assert!(report.quarantined.is_empty() && report.orphan_samples == 0, "{report:?}");
        db
    };
    let mut db = open();
    let mut model = Model {
        samples: BTreeMap::new(),
        newest: BTreeMap::new(),
        deleted: Vec::new(),
        now: 100 * BLOCK_MS,
        counter: 0.0,
    };
    for step in steps.into_iter().chain([Step::Maintain, Step::Reopen]) {
        match step {
            Step::Write { series, back, count } => model.write(&db, series, model.now - back, count),
            Step::GoOn { series, count } => {
                let from = model.newest.get(&series).map_or(model.now - 2000, |newest| newest + STEP_MS);
                model.write(&db, series, from, count);
            }
            Step::Forward(ms) => model.now += ms,
            Step::Maintain => drop(db.maintain(model.now).unwrap()),
            Step::Checkpoint => db.checkpoint().unwrap(),
            Step::Shorten => {
                db.shorten_log().unwrap();
            }
            Step::Reopen => {
                drop(db);
                db = open();
            }
            Step::Delete { series, from, to } => {
                model.delete(&db, series, model.now - from.max(to), model.now - from.min(to));
            }
        }
        model.check(&db);
    }
}

/// `MODEL_CASES` asks for another number.
fn cases() -> u32 {
    std::env::var("MODEL_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]
    #[test]
    fn what_was_taken_hours_late_is_there_once_and_the_first_stands(steps in steps()) {
        run(steps);
    }
}
