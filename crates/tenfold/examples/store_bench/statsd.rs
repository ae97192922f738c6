//! Counters by StatsD beside Etsy's own server, one process each: datagrams taken a second and a processor second, how many
//! are lost at which pace, and how old a datagram is when a query sees it.
//!
//! Etsy's server is the npm package `statsd` of `e2e/clients` (`npm --prefix e2e/clients ci`).

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::server::{self, Server, free_port};

/// Datagrams a second at which loss is measured; 0 for as fast as one thread can send.
const PACES: [usize; 4] = [20_000, 50_000, 100_000, 0];
const NAMES: usize = 100;
/// Datagrams whose age is measured.
const PROBES: usize = 60;

fn pause(time: Duration) {
    let (_keep, wait) = std::sync::mpsc::channel::<()>();
    let _ = wait.recv_timeout(time);
}

/// Sends counters, each datagram one, at an even pace; seconds it took.
fn send(port: u16, count: usize, pace: usize) -> f64 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(("127.0.0.1", port)).unwrap();
    let texts: Vec<String> = (0..NAMES).map(|n| format!("bench.requests.{n}:1|c")).collect();
    let begun = Instant::now();
    for n in 0..count {
        // In small bursts, as programs send: a timer for each datagram would measure the timer.
        if pace > 0 && n % 50 == 0 {
            let due = Duration::from_secs_f64(n as f64 / pace as f64);
            if let Some(early) = due.checked_sub(begun.elapsed()).filter(|early| early.as_micros() > 200) {
                pause(early);
            }
        }
        // A full queue of the sender is loss as well.
        let _ = socket.send(texts[n % NAMES].as_bytes());
    }
    begun.elapsed().as_secs_f64()
}

/// Sum of a counter on our own page, which may not have counted yet.
fn own(server: &Server, name: &str) -> f64 {
    server.metric(name).unwrap_or_default()
}

/// What the counters of Etsy's server have come to since its last flush, which is an hour away.
fn counted(management: u16) -> f64 {
    let mut stream = TcpStream::connect(("127.0.0.1", management)).unwrap();
    stream.write_all(b"counters\n").unwrap();
    let mut sum = 0.0;
    for line in BufReader::new(stream).lines() {
        let line = line.unwrap();
        if line == "END" {
            break;
        }
        if let Some((_, value)) = line.split_once(':').filter(|(name, _)| name.contains("bench.requests.")) {
            sum += value.trim().trim_end_matches(',').parse::<f64>().unwrap();
        }
    }
    sum
}

/// Waits until a count stands still, and gives it.
fn settled(mut count: impl FnMut() -> f64) -> f64 {
    let mut before = count();
    loop {
        pause(Duration::from_millis(300));
        let now = count();
        if now <= before {
            return now;
        }
        before = now;
    }
}

fn measure(server: &Server, port: u16, datagrams: usize, count: &dyn Fn() -> f64) {
    for pace in PACES {
        let (taken, cpu) = (settled(count), server.cpu_s());
        let seconds = send(port, datagrams, pace);
        let taken = settled(count) - taken;
        let cpu = server.cpu_s() - cpu;
        println!(
            "{:10} sent {:7.0} a second: {:5.2} % lost, {:8.0} taken a processor second",
            server.name,
            datagrams as f64 / seconds,
            100.0 * (1.0 - taken / datagrams as f64),
            taken / cpu
        );
    }
}

/// Milliseconds from sending a gauge to the first query that tells its new value.
fn age_ms(server: &Server, port: u16, value: usize) -> f64 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (sent, wanted) = (Instant::now(), value.to_string());
    socket.send_to(format!("bench.probe:{value}|g").as_bytes(), ("127.0.0.1", port)).unwrap();
    loop {
        let (status, answer) = server.ask("GET", "/api/v1/query?query=bench_probe", "", b"");
        assert_eq!(status, 200);
        let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        if answer["data"]["result"][0]["value"][1] == wanted {
            return sent.elapsed().as_secs_f64() * 1_000.0;
        }
        assert!(sent.elapsed() < Duration::from_secs(30), "{answer}");
        pause(Duration::from_millis(5));
    }
}

pub fn run(datagrams: usize) {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let ours = server::tenfold(dir.path(), &format!("[statsd]\nlisten = \"127.0.0.1:{port}\"\n")).unwrap();
    measure(&ours, port, datagrams, &|| own(&ours, "tenfold_statsd_packets_total"));
    println!("of them the kernel dropped {} by our own count", own(&ours, "tenfold_statsd_dropped_total"));
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e/clients/node_modules/statsd/stats.js");
    if home.exists() {
        let (port, management) = (free_port(), free_port());
        let config = dir.path().join("statsd.js");
        let text = format!("{{port: {port}, mgmt_port: {management}, flushInterval: 3600000, backends: []}}");
        std::fs::write(&config, text).unwrap();
        let args = vec![home.display().to_string(), config.display().to_string()];
        let etsy = Server::plain("Etsy", Path::new("node"), args, management).unwrap();
        measure(&etsy, port, datagrams, &|| counted(management));
    } else {
        eprintln!("Etsy's server is left out: npm --prefix e2e/clients ci brings it");
    }
    let mut ages: Vec<f64> = (0..PROBES)
        .map(|n| {
            // At no fixed moment of a second.
            pause(Duration::from_millis(37 * (n as u64 % 11)));
            age_ms(&ours, port, n + 1)
        })
        .collect();
    ages.sort_by(f64::total_cmp);
    let at = |share: f64| ages[(share * (PROBES - 1) as f64) as usize];
    println!(
        "age of a datagram when a query sees it: {:.0} ms (p50), {:.0} ms (p95), {:.0} ms at most",
        at(0.5),
        at(0.95),
        at(1.0)
    );
}
