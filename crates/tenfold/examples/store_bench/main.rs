//! The server's store beside Debian's Prometheus and VictoriaMetrics in one run: the same remote write by the same client,
//! then the same questions in turns. Reports processor time, memory and bytes on disk of each server's process.
//!
//! `cargo run --release -p tenfold --example store_bench -- [SERIES] [SAMPLES] [WIDE] [WIDE_SAMPLES]`: SERIES x SAMPLES over
//! 25 hours (10,000 x 3,000), WIDE series x WIDE_SAMPLES, one each 15 s, up to now (100,000 x 40); where those are more than
//! an hour the first set ends before them. `TENFOLD_BIN` names the server (by default the release build beside this example),
//! `TENFOLD_BEFORE` an older build to be measured in the same run.
//!
//! `-- real [SCRAPES]` writes what a real node_exporter says, scraped each second and told as each 15 s, and compares bytes
//! on disk with what the values tell at least.
//!
//! `-- disk [SERIES] [SAMPLES]` writes the first set alone, so old that every store has put all of it away, and compares bytes on
//! disk with what chance tells at least.
//!
//! `-- statsd [DATAGRAMS]` measures StatsD beside Etsy's server instead.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails may panic")]

mod data;
mod queries;
mod real;
mod server;
mod statsd;

use std::time::{Duration, Instant};

use data::{Kind, Set};
use nix::sys::signal::Signal;
use server::{Server, bytes_on_disk};

/// So long a store may tidy up before its bytes are counted, in seconds.
const SETTLE_S: u64 = 135;
/// A merge that was asked for may take so long.
const MERGE_S: u64 = 600;
/// Before a server is written to, the others may go on for so long, and rest when they use less than so many processors.
const REST_S: usize = 60;
const RESTING: f64 = 0.05;
/// Starts after a kill; the median counts.
const KILLS: usize = 3;
/// The first set covers this much time.
const COVERED_MS: i64 = 25 * 3_600_000;
/// The others have one sample in so much.
const PACE_MS: i64 = 15_000;
/// Prometheus takes what is so far behind the newest sample, and no more.
const BEHIND_MS: i64 = 3_600_000;

pub fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

pub fn pause(seconds: u64) {
    let (_keep, wait) = std::sync::mpsc::channel::<()>();
    let _ = wait.recv_timeout(Duration::from_secs(seconds));
}

#[expect(clippy::disallowed_methods, reason = "real stores go by the real time")]
pub fn now_ms() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64
}

fn sets(series: usize, samples: usize, wide: usize, wide_samples: usize) -> [Set; 3] {
    let end_ms = now_ms() / PACE_MS * PACE_MS;
    let pace_ms = COVERED_MS / samples as i64 / 1_000 * 1_000;
    let set = |name, kind, series, samples, pace_ms| Set { name, kind, series, samples, pace_ms, end_ms };
    let mut first = set("bench_total", Kind::Mixed, series, samples, pace_ms.max(1_000));
    let wide_ms = wide_samples as i64 * PACE_MS;
    if wide_ms > BEHIND_MS {
        first.end_ms -= wide_ms;
    }
    [
        first,
        set("wide_total", Kind::Mixed, wide, wide_samples, PACE_MS),
        set("lat_bucket", Kind::Buckets, 12_000, 240, PACE_MS),
    ]
}

/// Each set begins with another server, and each server when the others have rested from what they put away afterwards.
fn write(turn: usize, set: &Set, servers: &[Server]) {
    println!("\n{}: {} series x {} samples, one each {} s", set.name, set.series, set.samples, set.pace_ms / 1_000);
    for server in (0..servers.len()).map(|i| &servers[(i + turn) % servers.len()]) {
        rest(servers);
        let (before, begun) = (server.cpu_s(), Instant::now());
        set.send(server);
        let (cpu, wall) = (server.cpu_s() - before, begun.elapsed().as_secs_f64());
        println!(
            "{:16} {:9.0} samples a processor second ({cpu:.1} s; {wall:.1} s of wall time), peak {}",
            server.name,
            set.total() / cpu,
            server.peak()
        );
    }
}

/// Resident KiB and those of them that are no pages of files.
fn memory(server: &Server) -> [f64; 2] {
    [server.memory_kib("VmRSS"), server.memory_kib("RssAnon")]
}

fn tell_memory(what: &str, servers: &[Server], before: &[[f64; 2]], series: usize) {
    println!("\nmemory a series {what}: resident (without pages of files), bytes");
    for (server, before) in servers.iter().zip(before) {
        let now = memory(server);
        let each = |i: usize| (now[i] - before[i]) * 1024.0 / series as f64;
        println!("{:16} {:7.0} ({:.0})", server.name, each(0), each(1));
    }
}

/// Waits until nobody has anything to do, within bounds.
fn rest(servers: &[Server]) {
    let used = || servers.iter().map(Server::cpu_s).sum::<f64>();
    for _ in 0..REST_S {
        let before = used();
        pause(1);
        if used() - before < RESTING {
            return;
        }
    }
}

/// Waits until stores have tidied up. Blocks are cut and merged by themselves; VictoriaMetrics is asked to.
pub fn settle(servers: &[Server]) {
    pause(SETTLE_S);
    for server in servers.iter().filter(|s| s.name == "VictoriaMetrics") {
        server.ask("GET", "/internal/force_flush", "", b"");
        server.ask("GET", "/internal/force_merge", "", b"");
        // The answer says that it has begun.
        let merging = || server.metric("vm_active_force_merges").is_some_and(|merges| merges > 0.0);
        pause(2);
        (0..MERGE_S).take_while(|_| merging()).for_each(|_| pause(1));
        pause(5);
    }
}

/// How many samples the blocks hold: ours and Prometheus keep the newest in memory, which their blocks must not be praised for.
fn samples_in_blocks(server: &Server, all: f64) -> f64 {
    match server.name {
        "VictoriaMetrics" => all,
        "Prometheus" => {
            let blocks = std::fs::read_dir(&server.blocks).into_iter().flatten().flatten();
            let meta = blocks.filter_map(|block| std::fs::read(block.path().join("meta.json")).ok());
            let meta = meta.filter_map(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
            meta.filter_map(|meta| meta["stats"]["numSamples"].as_f64()).sum()
        }
        _ => all - server.metric("tenfold_tsdb_head_samples").unwrap(),
    }
}

fn tell_disk(servers: &[Server], all_samples: f64) {
    println!("\non disk: all files, and what is no log of the newest samples");
    for server in servers {
        // Prometheus' log and what it maps of its head; ours has its own directory of blocks.
        let settled = bytes_on_disk(&server.blocks, &["wal", "chunks_head", "cache"]);
        let all = bytes_on_disk(&server.data, &[]);
        let samples = samples_in_blocks(server, all_samples);
        println!(
            "{:16} {:6.1} MB, {:6.1} MB in blocks: {:.3} bytes a sample of the {:.1} million there; {:.1} s of processor until now",
            server.name,
            all as f64 / 1e6,
            settled as f64 / 1e6,
            settled as f64 / samples,
            samples / 1e6,
            server.cpu_s()
        );
    }
}

/// So long ago that nothing of it is in memory.
const AGO_MS: i64 = 6 * 3_600_000;

fn disk(series: usize, samples: usize) {
    let [mut set, ..] = sets(series, samples, 0, 0);
    set.end_ms -= AGO_MS;
    let dir = tempfile::tempdir().unwrap();
    let ours = server::tenfold(dir.path(), server::SETTINGS);
    let servers: Vec<Server> = [ours, server::victoria(dir.path())].into_iter().flatten().collect();
    write(0, &set, &servers);
    settle(&servers);
    tell_disk(&servers, set.total());
    println!("what chance tells at least: {:.3} bytes a sample", set.chance_bytes().unwrap_or_default());
}

fn main() {
    let mut args = std::env::args().skip(1).peekable();
    if args.next_if_eq("disk").is_some() {
        let mut size = |usual| args.next().map_or(usual, |a| a.parse().unwrap());
        return disk(size(10_000), size(3_000));
    }
    if args.next_if_eq("statsd").is_some() {
        return statsd::run(args.next().map_or(200_000, |a| a.parse().unwrap()));
    }
    if args.next_if_eq("real").is_some() {
        return real::run(args.next().map_or(480, |a| a.parse().unwrap()));
    }
    let mut args = args.map(|a| a.parse::<usize>().unwrap());
    let mut size = |usual| args.next().unwrap_or(usual);
    let sets = sets(size(10_000), size(3_000), size(100_000), size(40));
    let dir = tempfile::tempdir().unwrap();
    let ours = server::tenfold(dir.path(), server::SETTINGS);
    let before = std::env::var_os("TENFOLD_BEFORE").and_then(|b| server::older(dir.path(), server::SETTINGS, b.into()));
    let mut servers: Vec<Server> =
        [ours, server::prometheus(dir.path()), server::victoria(dir.path()), before].into_iter().flatten().collect();
    // What a start and a sign-in took is given back by then.
    pause(10);
    let empty: Vec<_> = servers.iter().map(memory).collect();
    let (mut series, mut samples) = (0, 0.0);
    for (turn, set) in sets.iter().enumerate() {
        write(turn, set, &servers);
        (series, samples) = (series + set.series, samples + set.total());
    }
    tell_memory("right after writing", &servers, &empty, series);
    settle(&servers);
    tell_memory("later", &servers, &empty, series);
    tell_disk(&servers, samples);
    // Of a series that nothing is asked of below.
    let probe = format!("/api/v1/query?query=bench_total%7Bseries%3D%22131%22%7D&time={}", sets[0].end_ms / 1_000);
    println!("\nseconds from a start to the first answer");
    for server in &mut servers {
        let again = |_| {
            server.stop(Signal::SIGKILL);
            server.start_again(&probe)
        };
        let seconds = median((0..KILLS).map(again).collect());
        println!("{:16} {seconds:.2} after a kill", server.name);
    }
    println!("\nmilliseconds: cold, warm (processor time, warm) | the faster of the peers by ours");
    let mut starts = vec![Vec::new(); servers.len()];
    for question in &queries::QUESTIONS {
        // Of label values no set is named: they are asked of the wide one, which ends with the last.
        let asked = sets.iter().find(|set| question.expr.contains(set.name)).unwrap_or(&sets[2]);
        for (all, one) in starts.iter_mut().zip(question.run(&mut servers, asked.end_ms, &probe)) {
            all.push(one);
        }
    }
    println!("\nseconds from a start to the first answer, after an orderly end, nothing in the page cache");
    for (server, starts) in servers.iter().zip(starts) {
        println!("{:16} {:.2}", server.name, median(starts));
    }
}
