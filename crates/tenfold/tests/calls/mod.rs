//! HTTP over one connection that is kept, for tests that ask thousands of times; and a real Prometheus to ask beside us.

// Each test file is a crate of its own and uses a part of this.
#![allow(dead_code, clippy::allow_attributes, reason = "every test file compiles this module and uses only some of it")]

use std::io::{BufRead, BufReader, Error, Read, Result, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tenfold_protocols::remote_write::{Outgoing, compress, put_series};
use tenfold_protocols::wire_out::Writer;
use tenfold_types::Point;

/// An answer that does not come within this time fails the test instead of holding it.
const PATIENCE: Duration = Duration::from_mins(1);
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// What goes with a body of remote write 1.0.
pub const REMOTE_WRITE: [(&str, &str); 3] = [
    ("Content-Type", "application/x-protobuf"),
    ("Content-Encoding", "snappy"),
    ("X-Prometheus-Remote-Write-Version", "0.1.0"),
];

/// Labels, sorted by name, and samples.
pub type Written<'a> = (Vec<(&'a str, &'a str)>, Vec<Point>);

/// A body of remote write 1.0 with these series.
pub fn remote_write(series: &[Written<'_>]) -> Vec<u8> {
    let mut body = Writer::default();
    for (labels, points) in series {
        put_series(&mut body, &Outgoing { labels, points, ..Outgoing::default() });
    }
    compress(&body.into_bytes()).expect("a body is small")
}

pub struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim().to_owned()
    }
}

/// Asks one server, over one connection as long as that lasts.
pub struct Caller {
    address: String,
    token: Option<String>,
    stream: Option<BufReader<TcpStream>>,
}

impl Caller {
    pub fn new(url: &str, token: Option<&str>) -> Self {
        let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Self { address, token: token.map(str::to_owned), stream: None }
    }

    /// Sends a form and reads the answer.
    pub fn form(&mut self, path: &str, pairs: &[(&str, &str)]) -> Result<Reply> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.send("POST", path, &[FORM], body.as_bytes())
    }

    pub fn get(&mut self, path: &str) -> Result<Reply> {
        self.send("GET", path, &[], b"")
    }

    /// A connection that was kept may have been closed meanwhile; then another is opened, once.
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Reply> {
        let kept = self.stream.is_some();
        match self.exchange(method, path, headers, body) {
            Err(_) if kept => self.exchange(method, path, headers, body),
            other => other,
        }
    }

    fn exchange(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Reply> {
        let mut stream = if let Some(stream) = self.stream.take() {
            stream
        } else {
            let stream = TcpStream::connect(&self.address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            BufReader::new(stream)
        };
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n", self.address, body.len());
        if let Some(token) = &self.token {
            head.extend(["Authorization: Bearer ", token, "\r\n"]);
        }
        for (name, value) in headers {
            head.extend([*name, ": ", *value, "\r\n"]);
        }
        head.push_str("\r\n");
        let request = [head.as_bytes(), body].concat();
        stream.get_mut().write_all(&request)?;
        let (reply, goes_on) = read(&mut stream)?;
        self.stream = goes_on.then_some(stream);
        Ok(reply)
    }
}

fn line(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(Error::other("the connection ended"));
    }
    Ok(line.trim_end().to_owned())
}

fn read(stream: &mut BufReader<TcpStream>) -> Result<(Reply, bool)> {
    let first = line(stream)?;
    let status = first.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(|| Error::other(first))?;
    let (mut length, mut chunked, mut goes_on) = (0, false, true);
    loop {
        let header = line(stream)?.to_ascii_lowercase();
        match header.split_once(':').map(|(name, value)| (name, value.trim())) {
            None => break,
            Some(("content-length", n)) => length = n.parse().map_err(Error::other)?,
            Some(("transfer-encoding", "chunked")) => chunked = true,
            Some(("connection", "close")) => goes_on = false,
            Some(_) => {}
        }
    }
    let mut body = Vec::new();
    if chunked {
        loop {
            let size = usize::from_str_radix(&line(stream)?, 16).map_err(Error::other)?;
            let from = body.len();
            body.resize(from + size, 0);
            stream.read_exact(&mut body[from..])?;
            line(stream)?;
            if size == 0 {
                break;
            }
        }
    } else {
        body.resize(length, 0);
        stream.read_exact(&mut body)?;
    }
    Ok((Reply { status, body }, goes_on))
}

/// Debian's Prometheus, ended with the test.
pub struct Prometheus {
    child: Child,
    pub url: String,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// Takes remote write and scrapes nobody; `None` where it is not installed.
    pub fn start(dir: &Path) -> Option<Self> {
        let config = dir.join("prometheus.yml");
        std::fs::write(&config, "global: {scrape_interval: 1h}\n").expect("the configuration is written");
        let mut child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("prometheus").display()))
            .args(["--storage.tsdb.retention.time=100y", "--web.listen-address=127.0.0.1:0"])
            .args(["--web.enable-remote-write-receiver"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        // Under load it may say that it is ready before it says where.
        let (mut url, mut ready) = (String::new(), false);
        for line in lines.by_ref().map_while(std::result::Result::ok) {
            if line.contains("msg=\"Listening on\"") {
                url = format!("http://{}", line.rsplit("address=").next().unwrap_or_default().trim());
            }
            ready |= line.contains("ready to receive web requests");
            if ready && !url.is_empty() {
                break;
            }
        }
        // Its further messages must go somewhere, or it stops when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        assert!(!url.is_empty(), "prometheus did not say where it listens");
        Some(Self { child, url })
    }
}
