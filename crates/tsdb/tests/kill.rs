//! kill -9 loses nothing that was acknowledged. The test starts itself as a child that appends and prints what it
//! appended, kills it in mid-flight, and opens the directory again.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use tenfold_tsdb::{Options, Sample, Tsdb};
use tenfold_types::{Labels, Matcher};

const ROUNDS: usize = 5;
const NAME: &str = "kill_9_loses_nothing_acknowledged";

fn batch(i: i64) -> Vec<Sample> {
    (0..20)
        .map(|s| Sample::new(Labels::from_pairs([("__name__", "m".to_string()), ("s", s.to_string())]), i, i as f64))
        .collect()
}

fn child(dir: &str, from: i64) {
    let options = Options { segment_bytes_max: 20_000, ..Options::default() };
    let db = Tsdb::open(dir, options).expect("the child opens the store").0;
    let mut out = std::io::stdout();
    for i in from.. {
        assert_eq!(db.append(&batch(i)).expect("the child appends").appended, 20);
        if i % 50 == 0 {
            db.maintain(i + 200).expect("the child maintains");
        }
        writeln!(out, "{i}").expect("the parent reads");
    }
}

fn parent() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut next = 1;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().expect("this executable"))
            .args(["--child", dir.path().to_str().expect("a plain path"), &next.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the child starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut line = String::new();
        for _ in 0..(200 + round * 37) {
            line = lines.next().expect("the child goes on").expect("the pipe is whole");
        }
        child.kill().expect("SIGKILL is sent");
        // What the child had printed before it died was acknowledged too.
        let acknowledged: i64 = lines.map_while(Result::ok).last().unwrap_or(line).parse().expect("a number");
        child.wait().expect("the child is gone");

        let (db, report) = Tsdb::open(dir.path(), Options::default()).expect("the store opens again");
        assert!(report.quarantined.is_empty(), "{report:?}");
        let found = db.select(&[Matcher::equal("__name__", "m")], i64::MIN, i64::MAX).expect("a selection");
        assert_eq!(found.len(), 20);
        for series in &found {
            let mut points = Vec::new();
            series.chunks.read(&mut points).expect("whole chunks");
            let instants: Vec<i64> = points.iter().map(|p| p.t_ms).collect();
            assert!(instants.len() as i64 >= acknowledged, "{} of {acknowledged} samples are left", instants.len());
            assert!(instants.iter().copied().eq(1..=instants.len() as i64), "samples are missing in the middle");
            next = next.max(instants.len() as i64 + 1);
        }
    }
    println!("{NAME}: {} batches over {ROUNDS} kills", next - 1);
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
