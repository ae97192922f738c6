//! A real Prometheus on a free port.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use serde_json::Value as Json;

pub fn installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// A server that is ended with the test.
pub struct Prometheus {
    child: Child,
    address: String,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    pub fn start(dir: &std::path::Path) -> Self {
        let config = dir.join("prometheus.yml");
        fs::write(&config, "global:\n  scrape_interval: 1h\n").expect("the configuration is written");
        let mut child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
            .args(["--storage.tsdb.retention.time=100y", "--web.listen-address=127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("prometheus starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        // Under load it may say that it is ready before it says where.
        let (mut address, mut ready) = (String::new(), false);
        for line in lines.by_ref().map_while(Result::ok) {
            if line.contains("msg=\"Listening on\"") {
                address = line.rsplit("address=").next().unwrap_or_default().trim().to_string();
            }
            ready |= line.contains("ready to receive web requests");
            if ready && !address.is_empty() {
                break;
            }
        }
        // Its further messages must go somewhere, or it stops when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        assert!(!address.is_empty(), "prometheus did not say where it listens");
        Self { child, address }
    }

    /// Asks by form and reads the JSON.
    pub fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Json {
        let mut body = String::new();
        for (name, value) in parameters {
            let _ = write!(body, "{}{name}=", if body.is_empty() { "" } else { "&" });
            for b in value.bytes() {
                let _ = write!(body, "%{b:02x}");
            }
        }
        let mut stream = TcpStream::connect(&self.address).expect("prometheus listens");
        write!(
            stream,
            "POST {path} HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("the request is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer comes");
        serde_json::from_str(answer.split_once("\r\n\r\n").expect("a body").1).expect("the body is JSON")
    }
}
