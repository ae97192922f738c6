//! kill -9 loses nothing that was acknowledged. The test starts itself as a child that appends and prints what it
//! appended, kills it in mid-flight, and opens the directory again.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use tenfold_tsdb::{Exemplar, HistogramPoint, Options, Point, SeriesWrite, Tsdb};
use tenfold_types::{Histogram, Labels, Matcher, histogram::Buckets};

/// `KILL_ROUNDS` asks for more.
const ROUNDS: usize = 12;
const SERIES: usize = 20;
const NAME: &str = "kill_9_loses_nothing_acknowledged";

fn options() -> Options {
    Options {
        segment_bytes_max: 20_000,
        replay_bytes_max: 60_000,
        replay_samples_max: 300,
        block_ms: 400,
        ..Options::default()
    }
}

fn histogram(i: i64) -> Histogram {
    Histogram {
        schema: 1,
        count: 2.0 * i as f64,
        sum: i as f64 * 0.5,
        positive: Buckets::single(0, vec![i as f64, i as f64]),
        ..Histogram::default()
    }
}

fn write(db: &Tsdb, i: i64) {
    let names: Vec<String> = (0..SERIES).map(|s| s.to_string()).collect();
    let labels: Vec<[(&str, &str); 2]> = names.iter().map(|s| [("__name__", "m"), ("s", s.as_str())]).collect();
    let points = [Point::new(i, i as f64)];
    let histograms = [HistogramPoint { t_ms: i, histogram: std::sync::Arc::new(histogram(i)) }];
    let exemplars = [Exemplar { labels: Labels::from_pairs([("trace_id", i.to_string())]), value: i as f64, t_ms: i }];
    let mut batch: Vec<SeriesWrite<'_>> =
        labels.iter().map(|labels| SeriesWrite { labels, points: &points, ..SeriesWrite::default() }).collect();
    batch.push(SeriesWrite {
        labels: &[("__name__", "h")],
        histograms: &histograms,
        exemplars: &exemplars,
        ..SeriesWrite::default()
    });
    let report = db.write(&batch).expect("the child writes");
    assert_eq!(report.appended, SERIES + 2, "{report:?}");
}

fn child(dir: &str, from: i64) {
    let db = Tsdb::open(dir, options()).expect("the child opens the store").0;
    let mut out = std::io::stdout();
    for i in from.. {
        write(&db, i);
        if i % 50 == 0 {
            db.maintain(i + 200).expect("the child maintains");
        }
        if i % 7 == 0 {
            db.shorten_log().expect("the child shortens the log");
        }
        writeln!(out, "{i}").expect("the parent reads");
    }
}

/// The newest instant that a store, which holds every instant from 1 on, has in all three kinds: of a batch that was being written
/// the kernel may have taken the beginning, which is written again then.
fn check(db: &Tsdb, acknowledged: i64) -> i64 {
    let whole = |instants: Vec<i64>| {
        assert!(instants.len() as i64 >= acknowledged, "{} of {acknowledged} samples are left", instants.len());
        assert!(instants.iter().copied().eq(1..=instants.len() as i64), "samples are missing in the middle");
        instants.len() as i64
    };
    let found = db.select(&[Matcher::equal("__name__", "m")], i64::MIN, i64::MAX).expect("a selection");
    assert_eq!(found.len(), SERIES);
    let mut newest = i64::MAX;
    for series in &found {
        let mut points = Vec::new();
        series.chunks.read(&mut points).expect("whole runs");
        assert!(points.iter().all(|p| p.value == p.t_ms as f64));
        newest = newest.min(whole(points.iter().map(|p| p.t_ms).collect()));
    }
    let mut histograms = Vec::new();
    for series in db.select(&[Matcher::equal("__name__", "h")], i64::MIN, i64::MAX).expect("a selection") {
        series.chunks.read_histograms(&mut histograms).expect("whole runs");
    }
    assert!(histograms.iter().all(|h| h.histogram.same_as(&histogram(h.t_ms))));
    newest = newest.min(whole(histograms.iter().map(|h| h.t_ms).collect()));
    let exemplars = db.exemplars(&[Matcher::equal("__name__", "h")], i64::MIN, i64::MAX).expect("exemplars");
    newest.min(whole(exemplars.iter().flat_map(|(_, list)| list.iter().map(|e| e.t_ms)).collect()))
}

fn parent() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let rounds = std::env::var("KILL_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    let mut next = 1;
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().expect("this executable"))
            .args(["--child", dir.path().to_str().expect("a plain path"), &next.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the child starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut line = String::new();
        for _ in 0..(30 + round * 37 % 211) {
            line = lines.next().expect("the child goes on").expect("the pipe is whole");
        }
        child.kill().expect("SIGKILL is sent");
        // What the child had printed before it died was acknowledged too.
        let acknowledged: i64 = lines.map_while(Result::ok).last().unwrap_or(line).parse().expect("a number");
        child.wait().expect("the child is gone");

        let (db, report) = Tsdb::open(dir.path(), options()).expect("the store opens again");
        assert!(report.quarantined.is_empty() && report.orphan_samples == 0, "{report:?}");
        next = check(&db, acknowledged) + 1;
    }
    println!("{NAME}: {} batches over {rounds} kills", next - 1);
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("--child") => child(&args[2], args[3].parse().expect("a number")),
        // What cargo-nextest asks of a test that is its own harness.
        Some("--list") if args.iter().any(|a| a == "--ignored") => {}
        Some("--list") => println!("{NAME}: test"),
        _ => parent(),
    }
}
