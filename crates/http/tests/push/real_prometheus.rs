//! Debian's Prometheus scrapes itself and writes everything to us. Skipped in one line where it is not installed.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use axum::http::StatusCode;
use serde_json::Value;
use tenfold_testkit::ProcessGuard;

use crate::common::world_ahead;
use crate::world::Listening;

struct Prometheus {
    _process: ProcessGuard,
    address: String,
    _dir: tempfile::TempDir,
}

/// Scrapes itself every second under the job `self` and writes to `target`.
fn start(target: std::net::SocketAddr, token: &str) -> Option<Prometheus> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let port = tenfold_testkit::free_port();
    let config = format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs:\n- {{job_name: self, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}\n\
         remote_write:\n- url: http://{target}/api/v1/write\n  authorization: {{credentials: '{token}'}}\n  \
         send_exemplars: true\n  metadata_config: {{send_interval: 1s}}\n"
    );
    std::fs::write(dir.path().join("prometheus.yml"), config).expect("the configuration is written");
    let mut child = Command::new("prometheus")
        .arg(format!("--config.file={}", dir.path().join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let process = ProcessGuard::new(child);
    let ready = lines.by_ref().map_while(Result::ok).any(|l| l.contains("ready to receive web requests"));
    assert!(ready, "prometheus did not start");
    // Its further messages must go somewhere, or it stops when the pipe is full.
    std::thread::spawn(move || lines.for_each(drop));
    Some(Prometheus { _process: process, address: format!("127.0.0.1:{port}"), _dir: dir })
}

async fn ask(address: &str, query: &str) -> Value {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("prometheus listens");
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("query", query).finish();
    let request = format!("GET /api/v1/query?{query} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("the request is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    serde_json::from_str(answer.split_once("\r\n\r\n").expect("a body").1).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_writes_what_it_scrapes() {
    let world = world_ahead(|_| {}).await;
    let mut listening = Listening::start(&world).await;
    let token = world.metrics_token().await;
    let Some(prometheus) = start(listening.address, &token) else {
        tenfold_testkit::peer_is_missing("prometheus is not installed");
        return;
    };
    // Its clock is the real one, ours is in the time of the test, which is later: nothing lies ahead.
    let mut scrapes = 0.0;
    while scrapes < 4.0 {
        let status = listening.answered("/api/v1/write").await;
        let sources = world.app.metrics.push_sources(world.app.now());
        assert_eq!((status, sources[0].refused.len()), (StatusCode::NO_CONTENT, 0), "{sources:?}");
        let newest = world.app.metrics.last_points("up").into_values().map(|p| p.t_ms).max().unwrap_or_default();
        scrapes = world.values("sum(count_over_time(up[1m]))", newest).first().map_or(0.0, |(_, count)| *count);
    }
    // Every series of the newest whole scrape has the value that Prometheus itself answers with at that instant.
    let up = world.app.metrics.last_points("up").into_values().map(|p| p.t_ms).min().expect("it was scraped");
    let at_ms = up - 1_000;
    let (mut same, mut checked) = (0, 0);
    let query = "{job=\"self\"}";
    let theirs = ask(&prometheus.address, &format!("{query} @ {}", at_ms as f64 / 1_000.0)).await;
    let ours: std::collections::BTreeMap<_, _> = world.values(query, at_ms).into_iter().collect();
    for row in theirs["data"]["result"].as_array().expect("a vector") {
        let labels: tenfold_types::Labels = serde_json::from_value(row["metric"].clone()).expect("labels");
        let value: f64 = row["value"][1].as_str().expect("a text").parse().expect("a number");
        checked += 1;
        let our = ours.get(&labels.to_string());
        assert!(our.is_some(), "{labels} did not arrive");
        same += usize::from(our.is_some_and(|our| *our == value || (our.is_nan() && value.is_nan())));
    }
    assert!(checked > 200, "{checked} series");
    assert_eq!(same, checked, "all have the same value");
    let sources = world.app.metrics.push_sources(world.app.now());
    assert_eq!(sources[0].refused.len(), 0, "{:?}", sources[0].refused);
    println!("prometheus: {checked} series the same, {} samples taken", sources[0].samples);
}
