//! A sender that makes up series without end and people who ask for too much, against a server that may have 512 MB: the
//! limits hold both, and everybody else goes on.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod bench;
mod calls;
mod cgroup;

use std::fmt::Write as _;
use std::process::Command;

use bench::{Bench, code, err, text};
use calls::{Caller, Reply};
use cgroup::Cgroup;

const MEMORY_BYTES: u64 = 512 << 20;
const REQUESTS: usize = 12;
const SERIES_EACH: usize = 20_000;
const LIMIT: usize = 100_000;
/// Those who ask for much at one time.
const ASKERS: usize = 3;

fn peak_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// What the server is started by, so that it may not have more memory.
fn limited() -> (Option<Cgroup>, Vec<String>) {
    match Cgroup::new("tenfold-bomb", MEMORY_BYTES) {
        Ok(group) => {
            let entering = group.entering();
            (Some(group), entering)
        }
        Err(why) => {
            let there = Command::new("prlimit").arg("--version").output().is_ok();
            let instead = if there { "prlimit limits its data" } else { "nothing limits its memory" };
            println!("no control group can be made for the server ({why}): {instead}");
            (None, if there { vec!["prlimit".into(), format!("--data={MEMORY_BYTES}")] } else { Vec::new() })
        }
    }
}

struct World {
    b: Bench,
    group: Option<Cgroup>,
    good: String,
    bad: String,
    reader: String,
}

impl World {
    fn new() -> Self {
        let (group, under) = limited();
        let b = Bench::start_under(under, &format!("[metrics.push]\nseries_per_source_max = {LIMIT}\n"));
        b.set_up();
        let new = |args: &[&str]| text(&b.run(&[&["token", "create"][..], args].concat())).trim().to_owned();
        let good = new(&["good", "--kind", "metrics"]);
        let bad = new(&["bomb", "--kind", "metrics"]);
        let reader = new(&["reader", "--role", "viewer"]);
        Self { b, group, good, bad, reader }
    }

    fn post(&self, token: &str, body: &str) -> u16 {
        let mut caller = Caller::new(&self.b.url, Some(token));
        caller.send("POST", "/api/v2/write?bucket=t", &[], body.as_bytes()).unwrap().status
    }

    fn asker(&self) -> Caller {
        Caller::new(&self.b.url, Some(&self.reader))
    }

    /// The server lives, and was not restarted nor killed by the kernel.
    fn lives(&mut self, after: &str) {
        let ended = self.b.server.try_wait().unwrap();
        let kills = self.group.as_ref().map_or(0, Cgroup::kills);
        assert!(ended.is_none() && kills == 0, "after {after}: {ended:?}, killed {kills} times for its memory");
        let up = self.asker().form("/api/v1/query", &[("query", "sum(last_over_time(good[1h]))")]).unwrap();
        assert_eq!((up.status, up.json()["data"]["result"][0]["value"][1].as_str()), (200, Some("3")), "{after}");
    }
}

fn bomb(world: &World) {
    let mut answers = Vec::new();
    for request in 0..REQUESTS {
        let mut body = String::new();
        for series in 0..SERIES_EACH {
            let _ = writeln!(body, "bomb,host=h{request},id=x{series} value={series}");
        }
        answers.push(world.post(&world.bad, &body));
    }
    assert_eq!(answers[..LIMIT / SERIES_EACH], vec![204; LIMIT / SERIES_EACH], "{answers:?}");
    assert!(answers[LIMIT / SERIES_EACH..].iter().all(|a| *a == 400), "{answers:?}");
}

/// An answer, or a clear reason for none: which limit, with its number or the time, and nothing else.
fn answered_or_refused(query: &str, reply: &Reply) {
    if reply.status == 200 {
        return;
    }
    let json = reply.json();
    let (kind, why) = (json["errorType"].as_str().unwrap_or_default(), json["error"].as_str().unwrap_or_default());
    assert!(matches!(reply.status, 422 | 503), "{query}: {} {}", reply.status, reply.text());
    assert!(matches!(kind, "execution" | "timeout" | "unavailable"), "{query}: {kind}");
    assert!(why.contains(|c: char| c.is_ascii_digit()) && why.len() > 20, "{query}: {why}");
}

/// A series of each second from now on: the newest sample counts for five minutes.
fn range<'a>(query: &'a str, from: &'a str, to: &'a str) -> [(&'a str, &'a str); 4] {
    [("query", query), ("start", from), ("end", to), ("step", "1")]
}

fn heavy_queries(world: &mut World) {
    let now = world.asker().form("/api/v1/query", &[("query", "time()")]).unwrap().json();
    let now = now["data"]["result"][0].as_f64().unwrap();
    let (from, to, late) = (format!("{now}"), format!("{}", now + 190.0), format!("{}", now + 10_000.0));
    for query in [
        "bomb",
        "count_values(\"v\", bomb{host=\"h0\"})",
        "bomb{host=\"h0\"} * 2 + bomb{host=\"h0\"}",
        "sort_desc(bomb{host=\"h1\"})",
        "label_replace(bomb{host=\"h0\"}, \"other\", \"$1-$1-$1\", \"id\", \"(.*)\")",
        "bomb{host=\"h0\"} * on(host, id) group_left() bomb{host=\"h0\"}",
        "bomb{host=\"h0\"} or bomb{host=\"h1\"} offset 1s",
        "max_over_time(bomb[4m:100ms])",
        "sum by (host) (rate(bomb[4m:1s]))",
        "topk(50, bomb)",
    ] {
        let reply = world.asker().form("/api/v1/query", &[("query", query), ("time", &to)]);
        world.lives(query);
        answered_or_refused(query, &reply.unwrap());
    }
    for (query, end) in [("bomb", &to), ("bomb", &late), ("sum by (host) (bomb)", &to)] {
        let reply = world.asker().form("/api/v1/query_range", &range(query, &from, end));
        world.lives(&format!("{query} over a range"));
        answered_or_refused(query, &reply.unwrap());
    }
    // Several ask for much at one time.
    std::thread::scope(|scope| {
        for host in 0..ASKERS {
            let (world, from, to) = (&*world, &from, &to);
            scope.spawn(move || {
                let query = format!("bomb{{host=\"h{}\"}} * 2", host % (LIMIT / SERIES_EACH));
                let reply = world.asker().form("/api/v1/query_range", &range(&query, from, to));
                answered_or_refused(&query, &reply.unwrap());
            });
        }
    });
    world.lives("many at one time");
}

#[test]
fn a_bomb_of_labels_and_heavy_queries_are_held_within_512_mb_and_the_others_go_on() {
    let mut world = World::new();
    assert_eq!(world.post(&world.good, "good,host=a value=1\n"), 204);
    bomb(&world);
    assert_eq!(world.post(&world.good, "good,host=b value=2\n"), 204, "the others go on");
    world.lives("the bomb");
    let asked = world.b.run(&["query", "sum(good)"]);
    assert_eq!((code(&asked), text(&asked).trim()), (0, "{} 3"), "{}", err(&asked));
    let sources = text(&world.b.run(&["metrics", "sources"]));
    let line = sources.lines().find(|l| l.contains("bomb")).unwrap();
    assert!(line.ends_with("series") && line.contains("140000"), "who it was is seen: {sources}");
    let top = text(&world.b.run(&["metrics", "cardinality", "--limit", "1"]));
    assert!(top.contains("bomb") && top.contains("100000"), "{top}");
    let all = world.b.run(&["query", "count by (host) (bomb)"]);
    assert_eq!((code(&all), text(&all).lines().count()), (0, LIMIT / SERIES_EACH), "{}", err(&all));
    println!("peak {} MiB after {} series were tried", peak_bytes(world.b.server.id()) >> 20, REQUESTS * SERIES_EACH);
    heavy_queries(&mut world);
    let peak = peak_bytes(world.b.server.id());
    let charged = world.group.as_ref().and_then(Cgroup::peak_bytes).unwrap_or_default();
    println!("peak {} MiB after heavy queries, {} MiB charged", peak >> 20, charged >> 20);
    assert!(peak < MEMORY_BYTES);
}
