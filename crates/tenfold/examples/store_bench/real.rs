//! Bytes on disk of what a real host says, beside what the values tell at least: per series the entropy of its values, of
//! their differences or of the differences of those, whichever is less, as if a coder knew the distribution for nothing.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::{Duration, Instant};

use tenfold_protocols::exposition::Format;
use tenfold_protocols::prom_text;
use tenfold_protocols::remote_write::{Outgoing, put_series};
use tenfold_protocols::wire_out::Writer;
use tenfold_types::{Labels, Point};

use crate::server::{self, Connection, Server, bytes_on_disk};

/// Scrapes are told as so far apart, and end so long ago that every store has put them away.
const PACE_MS: i64 = 15_000;
const AGO_MS: i64 = 6 * 3_600_000;
/// So many instants are sent in one request.
const REQUEST_INSTANTS: usize = 10;

type Set = BTreeMap<Labels, Vec<Point>>;

fn scrape(scrapes: usize) -> Set {
    let port = server::free_port();
    let args = vec![format!("--web.listen-address=127.0.0.1:{port}")];
    let exporter = Server::plain("node_exporter", Path::new("prometheus-node-exporter"), args, port)
        .expect("prometheus-node-exporter is Debian's package of that name");
    let (mut set, begun) = (Set::new(), Instant::now());
    let first_ms = (crate::now_ms() - AGO_MS) / PACE_MS * PACE_MS - scrapes as i64 * PACE_MS;
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

/// Bits of each of the values, if their distribution cost nothing.
fn entropy(values: impl Iterator<Item = u64>) -> f64 {
    let mut counts: HashMap<u64, f64> = HashMap::new();
    let mut all = 0.0;
    for value in values {
        *counts.entry(value).or_default() += 1.0;
        all += 1.0;
    }
    counts.values().map(|n| -n * (n / all).log2()).sum()
}

fn bits(points: &[Point]) -> f64 {
    let differences: Vec<f64> = points.windows(2).map(|w| w[1].value - w[0].value).collect();
    let second = differences.windows(2).map(|w| (w[1] - w[0]).to_bits());
    let plain = entropy(points.iter().map(|p| p.value.to_bits()));
    plain.min(entropy(differences.iter().map(|d| d.to_bits()))).min(entropy(second))
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
    let least: f64 = set.values().map(|points| bits(points)).sum::<f64>() / 8.0;
    println!(
        "{} series, {samples} samples; what they tell at least: {:.3} bytes a sample",
        set.len(),
        least / samples as f64
    );
    let dir = tempfile::tempdir().unwrap();
    let ours = server::tenfold(dir.path(), "[statsd]\nlisten = \"\"\n");
    // Prometheus keeps its newest hours in the head; its bytes are of nothing that is comparable.
    let servers: Vec<Server> = [ours, server::victoria(dir.path())].into_iter().flatten().collect();
    for server in &servers {
        send(&set, server);
    }
    crate::settle(&servers);
    let mut ours = 0.0;
    for server in &servers {
        let bytes = bytes_on_disk(&server.blocks, &["wal"]) as f64 / samples as f64;
        ours = if server.name == "tenfold" { bytes } else { ours };
        println!(
            "{:16} {bytes:.3} bytes a sample, labels and index of its blocks and all; ours is {:.2} of it",
            server.name,
            ours / bytes
        );
    }
}
