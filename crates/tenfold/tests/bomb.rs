//! A sender that makes up series without end, against a server that may have 512 MB: the limits hold it, and everybody
//! else goes on.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod bench;

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use bench::{Bench, code, err, text};

const MEMORY_BYTES: u64 = 512 << 20;
const REQUESTS: usize = 12;
const SERIES_EACH: usize = 20_000;
const LIMIT: usize = 100_000;

fn post(b: &Bench, token: &str, body: &str) -> String {
    let mut child = Command::new("curl")
        .args(["-s", "--max-time", "100", "-o", "/dev/null", "-w", "%{http_code}", "--data-binary", "@-"])
        .args(["-H", &format!("Authorization: Bearer {token}"), &format!("{}/api/v2/write?bucket=t", b.url)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

fn peak_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_bomb_of_labels_is_held_within_512_mb_and_the_others_go_on() {
    let mut b = Bench::start_with(&format!("[metrics.push]\nseries_per_source_max = {LIMIT}\n"));
    b.set_up();
    let new = |b: &Bench, name: &str| text(&b.run(&["token", "create", name, "--kind", "metrics"])).trim().to_owned();
    let (good, bad) = (new(&b, "good"), new(&b, "bomb"));
    let limit =
        Command::new("prlimit").args(["--pid", &b.server.id().to_string(), &format!("--data={MEMORY_BYTES}")]).status();
    if !limit.is_ok_and(|s| s.success()) {
        eprintln!("prlimit is not installed: the server's memory is not limited");
    }
    assert_eq!(post(&b, &good, "good,host=a value=1\n"), "204");
    let mut answers = Vec::new();
    for request in 0..REQUESTS {
        let mut body = String::new();
        for series in 0..SERIES_EACH {
            let _ = writeln!(body, "bomb,host=h{request},id=x{series} value={series}");
        }
        answers.push(post(&b, &bad, &body));
    }
    assert_eq!(answers[..LIMIT / SERIES_EACH], vec!["204"; LIMIT / SERIES_EACH], "{answers:?}");
    assert!(answers[LIMIT / SERIES_EACH..].iter().all(|a| a == "400"), "{answers:?}");
    assert_eq!(post(&b, &good, "good,host=b value=2\n"), "204", "the others go on");
    let asked = b.run(&["query", "sum(good)"]);
    assert_eq!((code(&asked), text(&asked).trim()), (0, "{} 3"), "{}", err(&asked));
    let sources = text(&b.run(&["metrics", "sources"]));
    let line = sources.lines().find(|l| l.contains("bomb")).unwrap();
    assert!(line.ends_with("series") && line.contains("140000"), "who it was is seen: {sources}");
    let top = text(&b.run(&["metrics", "cardinality", "--limit", "1"]));
    assert!(top.contains("bomb") && top.contains("100000"), "{top}");
    // A query over all of it is answered or refused; the server stays.
    let all = b.run(&["query", "count by (host) (bomb)"]);
    assert_eq!((code(&all), text(&all).lines().count()), (0, LIMIT / SERIES_EACH), "{}", err(&all));
    let peak = peak_bytes(b.server.id());
    println!("peak {} MiB after {} series were tried", peak >> 20, REQUESTS * SERIES_EACH);
    assert!(peak < MEMORY_BYTES);
    assert!(b.server.try_wait().unwrap().is_none(), "the server still runs");
}
