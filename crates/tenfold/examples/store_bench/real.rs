//! Bytes on disk of what a real host says, beside what the values tell: by their entropy alone, and for a coder that has to
//! learn them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::{Duration, Instant};

use tenfold_protocols::exposition::Format;
use tenfold_protocols::prom_text;
use tenfold_protocols::remote_write::{Outgoing, put_series};
use tenfold_protocols::wire_out::Writer;
use tenfold_types::{Labels, Point};

use crate::server::{self, Connection, Server, bytes_on_disk};

/// Scrapes are told as so far apart.
const PACE_MS: i64 = 15_000;
/// So many instants are sent in one request.
const REQUEST_INSTANTS: usize = 10;

type Set = BTreeMap<Labels, Vec<Point>>;

fn scrape(scrapes: usize) -> Set {
    let port = server::free_port();
    let args = vec![format!("--web.listen-address=127.0.0.1:{port}")];
    let exporter = Server::plain("node_exporter", Path::new("prometheus-node-exporter"), args, port)
        .expect("prometheus-node-exporter is Debian's package of that name");
    let (mut set, begun) = (Set::new(), Instant::now());
    let first_ms = (crate::now_ms() - crate::AGO_MS) / PACE_MS * PACE_MS - scrapes as i64 * PACE_MS;
    for n in 0..scrapes {
        let due = Duration::from_secs(n as u64);
        if let Some(early) = due.checked_sub(begun.elapsed()) {
            let (_keep, wait) = std::sync::mpsc::channel::<()>();
            let _ = wait.recv_timeout(early);
        }
        let (status, page) = exporter.ask("GET", "/metrics", "", b"");
        assert_eq!(status, 200);
        let page = prom_text::parse(&String::from_utf8(page).unwrap(), Format::Prometheus).unwrap();
        for sample in page.samples {
            set.entry(sample.labels).or_default().push(Point::new(first_ms + n as i64 * PACE_MS, sample.value));
        }
    }
    set
}

/// Bits of the values, if their distribution cost nothing: no coder of single values needs less.
fn entropy(values: &[f64]) -> f64 {
    let mut counts: HashMap<u64, f64> = HashMap::new();
    for v in values {
        *counts.entry(v.to_bits()).or_default() += 1.0;
    }
    counts.values().map(|n| -n * (n / values.len() as f64).log2()).sum()
}

/// Bits of the values, if a coder has to learn them: probabilities of what was seen so far with an escape to new values as in
/// PPM's method C (Moffat, 1990), and for a new value its digits in Elias' gamma code.
fn learnt(values: &[f64]) -> f64 {
    let digits = |v: f64| {
        let scaled = (0..4).map(|p| v * 10f64.powi(p)).find(|x| *x == x.round() && x.abs() < 1e15);
        scaled.map_or(64.0, |x| 2.0 * (x.abs() + 1.0).log2() + 2.0)
    };
    let mut counts: HashMap<u64, f64> = HashMap::new();
    let mut bits = 0.0;
    for (n, v) in values.iter().enumerate() {
        let (distinct, seen) = (counts.len() as f64, counts.entry(v.to_bits()).or_default());
        let new = *seen == 0.0;
        let share = if new { distinct.max(1.0) } else { *seen } / (n as f64 + distinct.max(1.0));
        bits += -share.log2() + if new { digits(*v) } else { 0.0 };
        *seen += 1.0;
    }
    bits
}

/// Of a series' values, their differences and the differences of those, the one that needs the fewest bits.
fn bits(points: &[Point], of: fn(&[f64]) -> f64) -> f64 {
    let differences = |all: &[f64]| all.windows(2).map(|w| w[1] - w[0]).collect::<Vec<_>>();
    let values: Vec<f64> = points.iter().map(|p| p.value).collect();
    let first = differences(&values);
    of(&values).min(of(&first)).min(of(&differences(&first)))
}

fn send(set: &Set, server: &Server) {
    let mut link = Connection::open(server).unwrap();
    let instants = set.values().map(Vec::len).max().unwrap_or_default();
    for from in (0..instants).step_by(REQUEST_INSTANTS) {
        let mut body = Writer::default();
        for (labels, points) in set {
            let labels: Vec<(&str, &str)> = labels.iter().collect();
            let points = points.get(from..(from + REQUEST_INSTANTS).min(points.len())).unwrap_or_default();
            if !points.is_empty() {
                put_series(&mut body, &Outgoing { labels: &labels, points, ..Outgoing::default() });
            }
        }
        crate::data::post(&mut link, server.name, &body.into_bytes());
    }
}

pub fn run(scrapes: usize) {
    let set = scrape(scrapes);
    let samples: usize = set.values().map(Vec::len).sum();
    let each = |of: fn(&[f64]) -> f64| set.values().map(|points| bits(points, of)).sum::<f64>() / 8.0 / samples as f64;
    println!(
        "{} series, {samples} samples; bytes a sample that the values tell: {:.3} if their distributions are known, {:.3} if \
         they are learnt",
        set.len(),
        each(entropy),
        each(learnt)
    );
    let dir = tempfile::tempdir().unwrap();
    let ours = server::tenfold(dir.path(), server::SETTINGS);
    // Prometheus keeps its newest hours in the head; its bytes are of nothing that is comparable.
    let servers: Vec<Server> = [ours, server::victoria(dir.path())].into_iter().flatten().collect();
    for server in &servers {
        send(&set, server);
    }
    crate::settle(&servers);
    let mut ours = 0.0;
    for server in &servers {
        // The index of series of VictoriaMetrics stands beside its parts; ours is in the blocks, labels and all.
        let bytes = bytes_on_disk(&server.blocks, &["wal", "cache"]) as f64 / samples as f64;
        ours = if server.name == "tenfold" { bytes } else { ours };
        println!("{:16} {bytes:.3} bytes a sample, index and all; ours is {:.2} of it", server.name, ours / bytes);
    }
}
