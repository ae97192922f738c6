//! The server's store beside Debian's Prometheus and VictoriaMetrics in one run: the same remote write by the same client,
//! then the same queries. Reports processor time, peak memory and bytes on disk of each server's process.
//!
//! `cargo run --release -p tenfold --example store_bench -- [SERIES] [SAMPLES]`; `TENFOLD_BIN` names the server (by default the
//! release build beside this example).

#![expect(clippy::unwrap_used, reason = "a benchmark that fails may panic")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tenfold_protocols::remote_write::{Outgoing, compress, put_series};
use tenfold_protocols::wire_out::Writer;
use tenfold_types::Point;

/// Milliseconds between samples: 3,000 of them are 25 hours.
const PACE_MS: i64 = 30_000;
/// Instants of one request, and series.
const REQUEST_INSTANTS: usize = 5;
const REQUEST_SERIES: usize = 1_000;
const CONNECTIONS: usize = 4;
const JOBS: usize = 10;
/// Each query so often; the median counts.
const ROUNDS: usize = 5;
/// So long a store may tidy up before its bytes are counted, in seconds.
const SETTLE_S: u64 = 75;

struct Server {
    name: &'static str,
    child: Child,
    port: u16,
    token: String,
    data: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start(name: &'static str, mut command: Command, ready: &str, port: u16, data: PathBuf) -> Option<Server> {
    let Ok(mut child) = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() else {
        eprintln!("{name} is not installed and is left out");
        return None;
    };
    let (send, lines) = std::sync::mpsc::channel();
    let pipes: [Box<dyn Read + Send>; 2] =
        [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
    for pipe in pipes {
        let send = send.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
    }
    drop(send);
    let mut server = Server { name, child, port, token: String::new(), data };
    for line in &lines {
        if line.contains(ready) {
            if let Some((_, secret)) = line.split_once("/setup?token=") {
                secret.trim().clone_into(&mut server.token);
            }
            std::thread::spawn(move || lines.iter().for_each(drop));
            return Some(server);
        }
    }
    panic!("{name} ended before it was ready");
}

impl Server {
    /// One request on a connection of its own.
    fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let mut connection = Connection::open(self);
        connection.ask(method, path, headers, body)
    }

    fn cpu_s(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        // utime and stime, in hundredths.
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
    }

    fn peak_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }
}

struct Connection {
    reader: BufReader<TcpStream>,
    token: String,
}

impl Connection {
    fn open(server: &Server) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { reader: BufReader::new(stream), token: server.token.clone() }
    }

    fn ask(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let token = &self.token;
        let authorization = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\n{authorization}{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        let stream = self.reader.get_mut();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let (mut status, mut length, mut chunked) = (0, 0, false);
        loop {
            let mut line = String::new();
            assert!(self.reader.read_line(&mut line).unwrap() > 0, "the connection broke off");
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if status == 0 {
                status = line.split(' ').nth(1).unwrap().parse().unwrap();
            }
            if let Some(n) = line.strip_prefix("content-length:") {
                length = n.trim().parse().unwrap();
            }
            chunked |= line.starts_with("transfer-encoding:") && line.contains("chunked");
        }
        let mut out = Vec::new();
        if chunked {
            loop {
                let mut line = String::new();
                self.reader.read_line(&mut line).unwrap();
                let len = usize::from_str_radix(line.trim(), 16).unwrap();
                let mut part = vec![0; len + 2];
                self.reader.read_exact(&mut part).unwrap();
                if len == 0 {
                    break;
                }
                out.extend_from_slice(&part[..len]);
            }
        } else {
            out.resize(length, 0);
            self.reader.read_exact(&mut out).unwrap();
        }
        (status, out)
    }
}

fn tenfold(dir: &Path) -> Option<Server> {
    let beside = std::env::current_exe().unwrap().parent()?.parent()?.join("tenfold");
    let binary = std::env::var_os("TENFOLD_BIN").map_or(beside, PathBuf::from);
    let (port, data) = (free_port(), dir.join("tenfold"));
    std::fs::create_dir_all(&data).unwrap();
    let config = data.join("tenfold.toml");
    std::fs::write(&config, "[statsd]\nlisten = \"\"\n").unwrap();
    let mut command = Command::new(binary);
    command.args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data"]).arg(&data).arg("--config").arg(config);
    let mut server = start("tenfold", command, "/setup?token=", port, data)?;
    let setup = std::mem::take(&mut server.token);
    let body = format!(
        "{{\"token\":\"{setup}\",\"login\":\"ana\",\"name\":\"Ana\",\"password\":\"correct horse battery staple\"}}"
    );
    let json = "Content-Type: application/json\r\nSec-Fetch-Site: none\r\n";
    let mut connection = Connection::open(&server);
    let (status, answer) = connection.ask("POST", "/api/setup", json, body.as_bytes());
    assert!(status < 300, "{}", String::from_utf8_lossy(&answer));
    let cookie = login(&server);
    let headers = format!("{json}Cookie: {cookie}\r\n");
    let new = br#"{"name":"bench","kind":"robot","role":"admin"}"#;
    let (made, answer) = connection.ask("POST", "/api/tokens", &headers, new);
    assert!(made < 300, "{}", String::from_utf8_lossy(&answer));
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    answer["secret"].as_str().unwrap().clone_into(&mut server.token);
    Some(server)
}

/// Signs in; the cookie of the session.
fn login(server: &Server) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let body = r#"{"login":"ana","password":"correct horse battery staple"}"#;
    write!(
        stream,
        "POST /api/session HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nSec-Fetch-Site: none\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let line = answer.lines().find(|l| l.to_ascii_lowercase().starts_with("set-cookie:")).expect("a session");
    line[11..].trim().split(';').next().unwrap().to_owned()
}

fn prometheus(dir: &Path) -> Option<Server> {
    let (port, data) = (free_port(), dir.join("prometheus"));
    std::fs::create_dir_all(&data).unwrap();
    let config = data.join("prometheus.yml");
    std::fs::write(&config, "global: {scrape_interval: 1h}\n").unwrap();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", data.display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--web.enable-remote-write-receiver");
    start("Prometheus", command, "ready to receive web requests", port, data)
}

fn victoria(dir: &Path) -> Option<Server> {
    let (port, data) = (free_port(), dir.join("victoria"));
    let mut command = Command::new("victoria-metrics");
    command
        .arg(format!("-storageDataPath={}", data.display()))
        .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
        .args(["-search.latencyOffset=0s", "-search.disableCache"]);
    start("VictoriaMetrics", command, "started VictoriaMetrics", port, data)
}

/// Numbers that look like chance and are the same for every server.
struct Noise(u64);

impl Noise {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }
}

/// The requests of one connection, in order: its share of the series, at all instants. Six of ten series hardly move, as on
/// real hosts; two are counters that grow unevenly, two gauges that walk.
fn send(server: &Server, connection: usize, (series, samples): (usize, usize), start_ms: i64) -> f64 {
    let mut noise = Noise(0x9E37_79B9_7F4A_7C15 ^ (connection as u64 + 1));
    let mine: Vec<usize> = (connection..series).step_by(CONNECTIONS).collect();
    let mut values: Vec<f64> = mine.iter().map(|_| noise.next(1_000_000) as f64).collect();
    let texts: Vec<[String; 3]> =
        mine.iter().map(|s| [format!("job-{}", s % JOBS), format!("host-{}:9100", s / JOBS), s.to_string()]).collect();
    let mut link = Connection::open(server);
    let headers = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n";
    let mut sending = 0.0;
    for first in (0..samples).step_by(REQUEST_INSTANTS) {
        let instants = first..(first + REQUEST_INSTANTS).min(samples);
        for part in (0..mine.len()).step_by(REQUEST_SERIES) {
            let mut body = Writer::default();
            for i in part..(part + REQUEST_SERIES).min(mine.len()) {
                let points: Vec<Point> = instants
                    .clone()
                    .map(|n| {
                        match mine[i] / JOBS % 10 {
                            0..=5 => {
                                if noise.next(200) == 0 {
                                    values[i] += 1.0;
                                }
                            }
                            6 | 7 => values[i] += noise.next(500) as f64,
                            _ => values[i] += (noise.next(201) as f64 - 100.0) / 100.0,
                        }
                        Point::new(start_ms + n as i64 * PACE_MS, values[i])
                    })
                    .collect();
                let [job, instance, number] = &texts[i];
                let labels = [
                    ("__name__", "bench_total"),
                    ("instance", instance.as_str()),
                    ("job", job.as_str()),
                    ("series", number.as_str()),
                ];
                put_series(&mut body, &Outgoing { labels: &labels, points: &points, ..Outgoing::default() });
            }
            let body = compress(&body.into_bytes()).unwrap();
            let begun = Instant::now();
            let (status, answer) = link.ask("POST", "/api/v1/write", headers, &body);
            assert!(status < 300, "{} answered {status}: {}", server.name, String::from_utf8_lossy(&answer));
            sending += begun.elapsed().as_secs_f64();
        }
    }
    sending
}

fn bytes_on_disk(dir: &Path) -> u64 {
    let mut sum = 0;
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let meta = std::fs::symlink_metadata(&path);
        sum += if path.is_dir() { bytes_on_disk(&path) } else { meta.map_or(0, |m| m.len()) };
    }
    sum
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

#[expect(clippy::disallowed_methods, reason = "real stores go by the real time")]
fn now_ms() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64
}

fn main() {
    let mut args = std::env::args().skip(1).map(|a| a.parse::<usize>().unwrap());
    let size = (args.next().unwrap_or(10_000), args.next().unwrap_or(3_000));
    let dir = tempfile::tempdir().unwrap();
    let now_ms = now_ms();
    let end_ms = now_ms / PACE_MS * PACE_MS;
    let start_ms = end_ms - (size.1 as i64 - 1) * PACE_MS;
    let total = (size.0 * size.1) as f64;
    println!("{} series x {} samples, one each {} s", size.0, size.1, PACE_MS / 1000);
    let servers: Vec<Server> =
        [tenfold(dir.path()), prometheus(dir.path()), victoria(dir.path())].into_iter().flatten().collect();
    for server in &servers {
        let (before, begun) = (server.cpu_s(), Instant::now());
        std::thread::scope(|scope| {
            (0..CONNECTIONS).for_each(|c| drop(scope.spawn(move || send(server, c, size, start_ms))));
        });
        let (cpu, wall) = (server.cpu_s() - before, begun.elapsed().as_secs_f64());
        println!(
            "{:16} {cpu:7.1} s of processor, {:9.0} samples a processor second, {wall:6.1} s, peak {} MiB",
            server.name,
            total / cpu,
            server.peak_mib()
        );
    }
    // Blocks are made and merged by themselves; VictoriaMetrics is asked to.
    let (_keep, wait) = std::sync::mpsc::channel::<()>();
    let _ = wait.recv_timeout(std::time::Duration::from_secs(SETTLE_S));
    for server in &servers {
        if server.name == "VictoriaMetrics" {
            server.ask("GET", "/internal/force_flush", "", b"");
            server.ask("GET", "/internal/force_merge", "", b"");
            let _ = wait.recv_timeout(std::time::Duration::from_secs(10));
        }
        let bytes = bytes_on_disk(&server.data);
        println!(
            "{:16} {:7.1} MB on disk, {:.2} bytes a sample; {:.1} s of processor until now, peak {} MiB",
            server.name,
            bytes as f64 / 1e6,
            bytes as f64 / total,
            server.cpu_s(),
            server.peak_mib()
        );
    }
    let queries = [
        ("one series, 24 h", "bench_total{series=\"67\"}", 24, 60),
        ("rate of one series, 24 h", "rate(bench_total{series=\"67\"}[5m])", 24, 60),
        ("sum by (job) (rate), 1 h", "sum by (job) (rate(bench_total[5m]))", 1, 15),
        ("sum by (job) (rate), 6 h", "sum by (job) (rate(bench_total[5m]))", 6, 60),
        ("sum by (job) (rate), 24 h", "sum by (job) (rate(bench_total[5m]))", 24, 300),
    ];
    for (what, expr, hours, step) in queries {
        for server in &servers {
            let body = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("query", expr)
                .append_pair("start", &(end_ms / 1000 - hours * 3600).to_string())
                .append_pair("end", &(end_ms / 1000).to_string())
                .append_pair("step", &step.to_string())
                .finish();
            let form = "Content-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: none\r\n";
            let (mut walls, before, mut rows) = (Vec::new(), server.cpu_s(), 0);
            for _ in 0..ROUNDS {
                let begun = Instant::now();
                let (status, answer) = server.ask("POST", "/api/v1/query_range", form, body.as_bytes());
                walls.push(begun.elapsed().as_secs_f64() * 1000.0);
                assert_eq!(status, 200, "{}: {}", server.name, String::from_utf8_lossy(&answer));
                let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
                rows = answer["data"]["result"].as_array().map_or(0, Vec::len);
            }
            let cpu = (server.cpu_s() - before) * 1000.0 / ROUNDS as f64;
            println!("{what:26} {:16} {:8.1} ms (processor {cpu:.0} ms), {rows} series", server.name, median(walls));
        }
    }
}
