//! What is asked, of each server in turns: cold after a start with an empty page cache, then warm.

use std::collections::BTreeMap;
use std::time::Instant;

use nix::sys::signal::Signal;

use crate::median;
use crate::server::{Connection, Server, wake_client};

/// Starts before a cold question, each time of all servers; the median counts.
const COLD_TURNS: usize = 3;
/// As many where an answer takes no longer than this: of so little the machine's own noise is a large part.
const SHORT_COLD_TURNS: usize = 11;
const SHORT_MS: f64 = 2.0;
/// Turns of warm questions; the median of them counts.
const TURNS: usize = 5;
/// A turn lasts so long at least, since processor time is told in hundredths of a second.
const TURN_S: f64 = 0.4;
const TURN_QUESTIONS_MAX: usize = 200;

pub struct Question {
    pub what: &'static str,
    pub expr: &'static str,
    /// Over so many hours; an instant query when 0.
    hours: i64,
    step_s: i64,
    path: &'static str,
}

const fn range(what: &'static str, expr: &'static str, hours: i64, step_s: i64) -> Question {
    Question { what, expr, hours, step_s, path: "/api/v1/query_range" }
}

const fn instant(what: &'static str, expr: &'static str) -> Question {
    Question { what, expr, hours: 0, step_s: 0, path: "/api/v1/query" }
}

/// What any request costs, whatever it asks: connecting, and waking two processes.
const HEALTH: &str = "/-/healthy";

pub const QUESTIONS: [Question; 12] = [
    Question { what: "nothing", expr: "", hours: 0, step_s: 0, path: HEALTH },
    range("one series, 1 h", "bench_total{series=\"67\"}", 1, 15),
    range("one series, 24 h", "bench_total{series=\"67\"}", 24, 60),
    range("rate of one series, 24 h", "rate(bench_total{series=\"67\"}[5m])", 24, 60),
    range("sum by (job) (rate), 1 h", "sum by (job) (rate(bench_total[5m]))", 1, 15),
    range("sum by (job) (rate), 6 h", "sum by (job) (rate(bench_total[5m]))", 6, 60),
    range("sum by (job) (rate), 24 h", "sum by (job) (rate(bench_total[5m]))", 24, 300),
    range("histogram_quantile, 1 h", "histogram_quantile(0.99, sum by (job, le) (rate(lat_bucket[5m])))", 1, 15),
    instant("histogram_quantile of each", "histogram_quantile(0.99, rate(lat_bucket[5m]))"),
    instant("regex over the wide set", "count(wide_total{series=~\".*7.*3\"})"),
    instant("regex, sum of rates", "sum by (job) (rate(wide_total{series=~\".*7.*3\"}[5m]))"),
    Question { what: "label values, wide", expr: "", hours: 0, step_s: 0, path: "/api/v1/label/series/values" },
];

/// Labels of a row, as text, to its points.
type Rows = BTreeMap<String, Vec<(f64, f64)>>;

impl Question {
    fn request(&self, end_ms: i64) -> String {
        if self.path == HEALTH {
            return HEALTH.to_owned();
        }
        // Between two samples: Prometheus 2 counts a sample at the very beginning of a window, 3 and ours do not.
        let end = end_ms / 1_000 + 7;
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        if self.expr.is_empty() {
            form.append_pair("match[]", "wide_total");
            form.append_pair("start", &(end - 3_600).to_string()).append_pair("end", &end.to_string());
        } else if self.hours == 0 {
            form.append_pair("query", self.expr).append_pair("time", &end.to_string());
        } else {
            form.append_pair("query", self.expr).append_pair("start", &(end - self.hours * 3_600).to_string());
            form.append_pair("end", &end.to_string()).append_pair("step", &self.step_s.to_string());
        }
        format!("{}?{}", self.path, form.finish())
    }

    /// On a new connection, which is part of what is measured: after a start nobody has one.
    fn ask_cold(&self, server: &Server, request: &str) -> (f64, Vec<u8>) {
        let begun = Instant::now();
        let answer = self.answer(&mut Connection::open(server).unwrap(), server, request);
        (begun.elapsed().as_secs_f64() * 1_000.0, answer)
    }

    /// On a kept connection, as Grafana and whoever else asks often does.
    fn ask_warm(&self, link: &mut Connection, server: &Server, request: &str) -> f64 {
        let begun = Instant::now();
        self.answer(link, server, request);
        begun.elapsed().as_secs_f64() * 1_000.0
    }

    fn answer(&self, link: &mut Connection, server: &Server, request: &str) -> Vec<u8> {
        let (status, answer) = link.ask("GET", request, "", b"").unwrap();
        assert_eq!(status, 200, "{} {}: {}", server.name, self.what, String::from_utf8_lossy(&answer));
        answer
    }

    fn rows(&self, answer: &[u8]) -> Rows {
        if self.path == HEALTH {
            return Rows::new();
        }
        let answer: serde_json::Value = serde_json::from_slice(answer).unwrap();
        let number = |v: &serde_json::Value| v.as_str().unwrap_or_default().parse::<f64>().unwrap();
        let point = |p: &serde_json::Value| (p[0].as_f64().unwrap(), number(&p[1]));
        let row = |r: &serde_json::Value| {
            let points = match (r["values"].as_array(), r.get("value")) {
                (Some(all), _) => all.iter().map(point).collect(),
                (None, Some(one)) => vec![point(one)],
                (None, None) => Vec::new(),
            };
            // Label values are bare strings.
            (if points.is_empty() { r.to_string() } else { r["metric"].to_string() }, points)
        };
        let rows = answer["data"]["result"].as_array().or_else(|| answer["data"].as_array());
        rows.unwrap().iter().map(row).collect()
    }

    /// Asks every server and prints a row: milliseconds of wall time cold, warm, and of processor time warm.
    pub fn run(&self, servers: &mut [Server], end_ms: i64, probe: &str) -> Vec<f64> {
        let request = self.request(end_ms);
        let count = servers.len();
        let (mut starts, mut colds) = (vec![Vec::new(); count], vec![Vec::new(); count]);
        let mut answers = vec![Vec::new(); count];
        let is_short = |colds: &[Vec<f64>]| colds[0].iter().all(|ms| *ms < SHORT_MS);
        for turn in 0..SHORT_COLD_TURNS {
            if turn == COLD_TURNS && !is_short(&colds) {
                break;
            }
            // Each turn another one is the first, to be started and to be asked.
            for i in (0..count).map(|i| (i + turn) % count) {
                servers[i].stop(Signal::SIGTERM);
                servers[i].forget_pages();
                starts[i].push(servers[i].start_again(probe));
            }
            // What a server does after its start is not what is measured here.
            crate::pause(3);
            wake_client();
            for i in (0..count).map(|i| (i + turn) % count) {
                let (ms, answer) = self.ask_cold(&servers[i], &request);
                colds[i].push(ms);
                answers[i] = answer;
            }
        }
        let colds: Vec<f64> = colds.into_iter().map(median).collect();
        let rows: Vec<Rows> = answers.iter().map(|answer| self.rows(answer)).collect();
        let (mut walls, mut cpus) = (vec![Vec::new(); servers.len()], vec![Vec::new(); servers.len()]);
        let mut links: Vec<Connection> = servers.iter().map(|s| Connection::open(s).unwrap()).collect();
        let warm: Vec<f64> = links.iter_mut().zip(&*servers).map(|(l, s)| self.ask_warm(l, s, &request)).collect();
        for _ in 0..TURNS {
            for (i, server) in servers.iter().enumerate() {
                let count = ((TURN_S * 1_000.0 / warm[i]).ceil() as usize).clamp(1, TURN_QUESTIONS_MAX);
                let before = server.cpu_s();
                walls[i].extend((0..count).map(|_| self.ask_warm(&mut links[i], server, &request)));
                cpus[i].push((server.cpu_s() - before) * 1_000.0 / count as f64);
            }
        }
        let cpus: Vec<f64> = cpus.into_iter().map(median).collect();
        let walls: Vec<f64> = walls.into_iter().map(median).collect();
        print!("{:27}", self.what);
        for (i, server) in servers.iter().enumerate() {
            print!(" | {} {}, {} ({})", server.name, told(colds[i]), told(walls[i]), told(cpus[i]));
        }
        let is_peer = |i: &usize| !matches!(servers[*i].name, "tenfold" | "before");
        let others =
            |all: &[f64]| (0..all.len()).filter(is_peer).map(|i| all[i]).fold(f64::INFINITY, f64::min) / all[0];
        let rows_count: Vec<String> = rows.iter().map(|r| r.len().to_string()).collect();
        println!(
            " | {:.1}, {:.1} ({:.1}) | {} rows",
            others(&colds),
            others(&walls),
            others(&cpus),
            rows_count.join("/")
        );
        if let Some(difference) = differ(servers, &rows) {
            println!("  not the same answer: {difference}");
        }
        starts.into_iter().map(median).collect()
    }
}

/// Milliseconds; what is short to a hundredth.
fn told(ms: f64) -> String {
    format!("{ms:.*}", if ms < 10.0 { 2 } else { 1 })
}

/// Where ours answers otherwise than Prometheus. VictoriaMetrics computes rates otherwise on purpose, and is not compared.
fn differ(servers: &[Server], rows: &[Rows]) -> Option<String> {
    let oracle = servers.iter().position(|s| s.name == "Prometheus")?;
    let (ours, theirs) = (&rows[0], &rows[oracle]);
    if ours.keys().ne(theirs.keys()) {
        return Some(format!("{} rows and {} of Prometheus", ours.len(), theirs.len()));
    }
    for ((labels, a), b) in ours.iter().zip(theirs.values()) {
        if a.len() != b.len() {
            return Some(format!("{labels}: {} points and {} of Prometheus", a.len(), b.len()));
        }
        let close = |(x, y): &(&(f64, f64), &(f64, f64))| (x.1 - y.1).abs() <= 1e-9 * x.1.abs().max(y.1.abs());
        if let Some((x, y)) = a.iter().zip(b).find(|pair| !close(pair)) {
            return Some(format!("{labels} at {}: {} and {} of Prometheus", x.0, x.1, y.1));
        }
    }
    None
}
