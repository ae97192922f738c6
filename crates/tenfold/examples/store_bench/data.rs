//! What is written: numbers that look like chance and are the same for every server, sent as remote write.

use std::ops::Range;

use tenfold_protocols::remote_write::{Outgoing, compress, put_series};
use tenfold_protocols::wire_out::Writer;
use tenfold_types::Point;

use crate::server::{Connection, Server};

/// Connections that write at the same time.
const CONNECTIONS: usize = 4;
/// Instants of one request, and series.
const REQUEST_INSTANTS: usize = 5;
const REQUEST_SERIES: usize = 1_000;
const JOBS: usize = 10;
const BOUNDS: [&str; 12] = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];

struct Noise(u64);

impl Noise {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }
}

/// What the numbers of a set are.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// Six of ten series hardly move, as on real hosts; two are counters that grow unevenly, two gauges that walk.
    Mixed,
    /// Twelve series make a histogram; its buckets are cumulative.
    Buckets,
}

#[derive(Clone, Copy)]
pub struct Set {
    pub name: &'static str,
    pub kind: Kind,
    pub series: usize,
    pub samples: usize,
    pub pace_ms: i64,
    /// The newest sample.
    pub end_ms: i64,
}

/// What one connection sends of a set: some of its series, at all instants.
struct Share {
    mine: Vec<usize>,
    labels: Vec<[(&'static str, String); 4]>,
    values: Vec<f64>,
    noise: Noise,
    link: Connection,
}

impl Set {
    pub fn total(&self) -> f64 {
        (self.series * self.samples) as f64
    }

    /// The label sets by number, sorted by name; the last label tells the series of a job and host apart.
    fn labels(&self, n: usize) -> [(&'static str, String); 4] {
        let own = if self.kind == Kind::Buckets { n / BOUNDS.len() } else { n };
        let [job, instance] = [format!("job-{}", own % JOBS), format!("host-{}:9100", own / JOBS)];
        let name = ("__name__", self.name.to_owned());
        if self.kind == Kind::Buckets {
            let bound = BOUNDS[n % BOUNDS.len()].to_owned();
            return [name, ("instance", instance), ("job", job), ("le", bound)];
        }
        [name, ("instance", instance), ("job", job), ("series", n.to_string())]
    }

    fn step(&self, n: usize, value: &mut f64, noise: &mut Noise) {
        if self.kind == Kind::Buckets {
            // Wider bounds grow more, so that a bucket is never below the one before it.
            let bound = n % BOUNDS.len() + 1;
            *value += bound as f64 * 10.0 + noise.next(10) as f64;
            return;
        }
        match n / JOBS % 10 {
            0..=5 => *value += if noise.next(200) == 0 { 1.0 } else { 0.0 },
            6 | 7 => *value += noise.next(500) as f64,
            // Hundredths, as programs print them, and not the sum of rounding errors.
            _ => *value = ((*value * 100.0).round() + noise.next(201) as f64 - 100.0) / 100.0,
        }
    }

    /// Bytes a sample that no coder goes below: how a series goes on is chance, of which the store is not told.
    pub fn chance_bytes(&self) -> Option<f64> {
        let rarely = -(0.005 * 0.005_f64.log2() + 0.995 * 0.995_f64.log2());
        let bits = 0.6 * rarely + 0.2 * 500_f64.log2() + 0.2 * 201_f64.log2();
        (self.kind == Kind::Mixed).then_some(bits / 8.0)
    }

    /// Sends all of it; an answer other than success ends the run.
    pub fn send(&self, server: &Server) {
        let mut shares: Vec<Share> = (0..CONNECTIONS).map(|c| self.share(server, c)).collect();
        // All wait for each other after each round of instants: Prometheus refuses what is an hour behind the newest.
        for first in (0..self.samples).step_by(REQUEST_INSTANTS) {
            let instants = first..(first + REQUEST_INSTANTS).min(self.samples);
            std::thread::scope(|scope| {
                for share in &mut shares {
                    let instants = instants.clone();
                    scope.spawn(move || self.send_round(server.name, share, &instants));
                }
            });
        }
    }

    fn share(&self, server: &Server, connection: usize) -> Share {
        let mut noise = Noise(0x9E37_79B9_7F4A_7C15 ^ (connection as u64 + 1));
        let mine: Vec<usize> = (connection..self.series).step_by(CONNECTIONS).collect();
        let start = |noise: &mut Noise| if self.kind == Kind::Buckets { 0.0 } else { noise.next(1_000_000) as f64 };
        let values = mine.iter().map(|_| start(&mut noise)).collect();
        let labels = mine.iter().map(|n| self.labels(*n)).collect();
        Share { mine, labels, values, noise, link: Connection::open(server).unwrap() }
    }

    /// The requests of one connection for some instants, in order.
    fn send_round(&self, name: &str, share: &mut Share, instants: &Range<usize>) {
        let Share { mine, labels, values, noise, link } = share;
        let first_ms = self.end_ms - (self.samples as i64 - 1) * self.pace_ms;
        for part in (0..mine.len()).step_by(REQUEST_SERIES) {
            let mut body = Writer::default();
            for i in part..(part + REQUEST_SERIES).min(mine.len()) {
                let mut point = |n: usize| {
                    self.step(mine[i], &mut values[i], noise);
                    Point::new(first_ms + n as i64 * self.pace_ms, values[i])
                };
                let points: Vec<Point> = instants.clone().map(&mut point).collect();
                let labels = labels[i].each_ref().map(|(name, value)| (*name, value.as_str()));
                put_series(&mut body, &Outgoing { labels: &labels, points: &points, ..Outgoing::default() });
            }
            post(link, name, &body.into_bytes());
        }
    }
}

/// Writes one request of remote write; an answer other than success ends the run.
pub fn post(link: &mut Connection, name: &str, body: &[u8]) {
    let headers = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n";
    let (status, answer) = link.ask("POST", "/api/v1/write", headers, &compress(body).unwrap()).unwrap();
    assert!(status < 300, "{name} answered {status}: {}", String::from_utf8_lossy(&answer));
}
