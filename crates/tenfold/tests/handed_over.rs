//! Samples to other stores and back, with real ones: Debian's Prometheus and VictoriaMetrics take what is sent on, answer
//! instead of the own store, read what is here, and their blocks are imported.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod bench;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bench::{Bench, code, err, text};
use serde_json::Value;

/// A store that is ended with the test.
struct Store {
    child: Child,
    url: String,
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn started(mut command: Command, ready: &str, url: String) -> Option<Store> {
    let name = command.get_program().display().to_string();
    let Ok(mut child) = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn() else {
        eprintln!("{name} is not installed: nothing is handed over to it");
        return None;
    };
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let store = Store { child, url };
    let mut said = Vec::new();
    for line in lines.by_ref().map_while(Result::ok) {
        if line.contains(ready) {
            // Its further messages must go somewhere, or it stops when the pipe is full.
            std::thread::spawn(move || lines.for_each(drop));
            return Some(store);
        }
        said.push(line);
    }
    panic!("{name} ended: {said:#?}");
}

fn prometheus(dir: &Path, port: u16, config: &str) -> Option<Store> {
    std::fs::create_dir_all(dir).unwrap();
    let path = dir.join("prometheus.yml");
    std::fs::write(&path, format!("global: {{scrape_interval: 1h}}\n{config}")).unwrap();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", path.display()))
        .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .args(["--web.enable-remote-write-receiver", "--web.enable-admin-api", "--enable-feature=native-histograms"]);
    started(command, "ready to receive web requests", format!("http://127.0.0.1:{port}"))
}

fn victoria(dir: &Path, port: u16) -> Option<Store> {
    let mut command = Command::new("victoria-metrics");
    command
        .arg(format!("-storageDataPath={}", dir.join("vm").display()))
        .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
        .args(["-search.latencyOffset=0s", "-search.disableCache"]);
    started(command, "started VictoriaMetrics", format!("http://127.0.0.1:{port}"))
}

fn curl(args: &[&str]) -> String {
    let out = Command::new("curl").args(["-s", "--max-time", "20"]).args(args).output().unwrap();
    String::from_utf8(out.stdout).unwrap()
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&curl(args)).unwrap_or_default()
}

fn query(url: &str, expr: &str, at: &str, more: &[&str]) -> Value {
    let (query, time) = (format!("query={expr}"), format!("time={at}"));
    let address = format!("{url}/api/v1/query");
    json(&[more, &["--data-urlencode", &query, "--data-urlencode", &time, &address]].concat())
}

/// The number of the first series of an answer.
fn first(answer: &Value) -> Option<f64> {
    answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
}

/// Asks until it is so; what comes over a network takes as long as it takes.
fn wait_for(what: &str, mut ask: impl FnMut() -> Option<()>) {
    let end = Instant::now() + Duration::from_mins(1);
    while ask().is_none() {
        assert!(Instant::now() < end, "{what} did not come");
        let (_keep, wait) = std::sync::mpsc::channel::<()>();
        let _ = wait.recv_timeout(Duration::from_millis(100));
    }
}

impl Bench {
    fn sender(&self) -> String {
        text(&self.run(&["token", "create", "sender", "--kind", "metrics"])).trim().to_owned()
    }
    fn reader(&self) -> String {
        text(&self.run(&["token", "create", "reader", "--role", "viewer"])).trim().to_owned()
    }
    fn send_lines(&self, token: &str, lines: &str) {
        let authorization = format!("Authorization: Bearer {token}");
        let address = format!("{}/api/v2/write?bucket=t&precision=s", self.url);
        let status =
            curl(&["-o", "/dev/null", "-w", "%{http_code}", "-H", &authorization, "--data-binary", lines, &address]);
        assert_eq!(status, "204");
    }
}

#[expect(clippy::disallowed_methods, reason = "real stores go by the real time")]
fn now_s() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64
}

/// So many series at so many instants, the last one now.
fn lines(instants: i64, end_s: i64) -> String {
    let mut out = String::new();
    for i in 0..instants {
        for series in 0..50 {
            let _ = writeln!(out, "work,s={series} done={} {}", i * 10 + series, end_s - (instants - 1 - i) * 5);
        }
    }
    out
}

#[test]
fn what_waits_for_a_receiver_survives_kill_9_and_arrives() {
    let dir = tempfile::tempdir().unwrap();
    let (p, v) = (free_port(), free_port());
    let mut b = Bench::start_with(&format!(
        "[[metrics.remote_write]]\nname = \"prometheus\"\nurl = \"http://127.0.0.1:{p}/api/v1/write\"\nshards = 3\n\
         [[metrics.remote_write]]\nname = \"victoria\"\nurl = \"http://127.0.0.1:{v}/api/v1/write\"\n"
    ));
    b.set_up();
    let token = b.sender();
    // Nobody listens yet; the server is killed while everything waits, twice.
    let end = now_s();
    for round in 0..3 {
        b.send_lines(&token, &lines(40, end - (2 - round) * 200));
        b.kill_and_start();
    }
    let waiting = b.run(&["metrics", "receivers", "--json", "--server", &b.url]);
    assert_eq!(code(&waiting), 3, "the session belongs to the address before");
    let (url, reader) =
        (b.url.clone(), b.run_with(&["login", "ana", "--server", &b.url], &[], &format!("{}\n", bench::PASSWORD)));
    assert_eq!(code(&reader), 0, "{}", err(&reader));
    let status = |b: &Bench| -> Value {
        serde_json::from_slice(&b.run(&["metrics", "receivers", "--json"]).stdout).unwrap_or_default()
    };
    let before = status(&b);
    assert_eq!(
        (before["items"][0]["sent"].as_u64(), &before["items"][0]["waiting"]),
        (Some(0), &true.into()),
        "{before}"
    );
    wait_for("a retry", || (status(&b)["items"][0]["retries"].as_u64()? > 0).then_some(()));

    let (Some(prometheus), victoria) = (prometheus(&dir.path().join("p"), p, ""), victoria(dir.path(), v)) else {
        return;
    };
    let at = end.to_string();
    let all = "sum(count_over_time(work_done[20m]))";
    wait_for("everything at Prometheus", || (first(&query(&prometheus.url, all, &at, &[]))? == 6000.0).then_some(()));
    if let Some(victoria) = victoria {
        wait_for("everything at VictoriaMetrics", || {
            (first(&query(&victoria.url, all, &at, &[]))? == 6000.0).then_some(())
        });
    }
    wait_for("an empty queue", || (status(&b)["items"][0]["waiting"] == false).then_some(()));
    let after = status(&b);
    assert_eq!((&after["items"][0]["refused"], &after["items"][0]["dropped"]), (&0.into(), &0.into()), "{after}");
    let shown = text(&b.run(&["metrics", "receivers"]));
    assert!(shown.contains("prometheus"), "{shown}");
    assert!(!url.is_empty());
}

/// A receiver of the test's own: answers requests one by one, as told, and hands over their heads.
fn scripted(answers: Vec<&'static str>) -> (u16, std::sync::mpsc::Receiver<(String, Instant)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for answer in answers {
            let Ok((stream, _)) = listener.accept() else { return };
            let mut reader = BufReader::new(stream);
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                    break;
                }
                if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = n.trim().parse().unwrap_or(0);
                }
                head += &line;
            }
            let mut body = vec![0; length];
            let _ = reader.read_exact(&mut body);
            let _ = tell.send((head, Instant::now()));
            let _ = reader.into_inner().write_all(answer.as_bytes());
        }
    });
    (port, told)
}

#[test]
fn a_receiver_says_when_to_come_again_and_what_it_will_never_take() {
    const LATER: &str = "HTTP/1.1 429 Too Many\r\nRetry-After: 2\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    const NEVER: &str = "HTTP/1.1 400 Bad\r\nContent-Length: 7\r\nConnection: close\r\n\r\ntoo old";
    const TAKEN: &str = "HTTP/1.1 204 Taken\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let (port, told) = scripted(vec![LATER, NEVER, TAKEN]);
    let b = Bench::start_with(&format!(
        "[metrics]\nscrape_interval_ms = 3600000\n[[metrics.remote_write]]\nname = \"scripted\"\nshards = 1\n\
         url = \"http://127.0.0.1:{port}/push\"\nheaders = {{ X-Scope-OrgID = \"team-a\" }}\n"
    ));
    b.set_up();
    let first = told.recv_timeout(Duration::from_secs(30)).expect("the server's own samples come");
    let second = told.recv_timeout(Duration::from_secs(30)).expect("they come again");
    assert!(second.1 - first.1 >= Duration::from_millis(1900), "{:?}", second.1 - first.1);
    for wanted in
        ["post /push", "x-scope-orgid: team-a", "content-encoding: snappy", "x-prometheus-remote-write-version: 0.1.0"]
    {
        assert!(first.0.to_ascii_lowercase().contains(wanted), "{wanted:?} is not in {}", first.0);
    }
    b.send_lines(&b.sender(), &format!("work done=1 {}\n", now_s()));
    told.recv_timeout(Duration::from_secs(30)).expect("what is next comes");
    wait_for("the counts", || {
        let status: Value =
            serde_json::from_slice(&b.run(&["metrics", "receivers", "--json"]).stdout).unwrap_or_default();
        let one = &status["items"][0];
        let told = one["last_error"].as_str()?.contains("400") && one["last_error"].as_str()?.contains("too old");
        (one["refused"].as_u64()? > 0 && one["sent"].as_u64()? > 0 && one["retries"] == 1 && told).then_some(())
    });
}

#[test]
fn a_cluster_keeps_the_samples_and_answers() {
    let dir = tempfile::tempdir().unwrap();
    for kind in ["prometheus", "victoria"] {
        let port = free_port();
        let store =
            if kind == "victoria" { victoria(dir.path(), port) } else { prometheus(&dir.path().join("p"), port, "") };
        let Some(store) = store else { continue };
        let b = Bench::start_with(&format!(
            "[metrics]\nengine = \"remote\"\n[metrics.remote]\nurl = \"{0}\"\nheaders = {{ X-Scope-OrgID = \"team-a\" }}\n\
             [[metrics.remote_write]]\nname = \"cluster\"\nurl = \"{0}/api/v1/write\"\n",
            store.url
        ));
        b.set_up();
        let end = now_s();
        b.send_lines(&b.sender(), &lines(30, end));
        let bearer = format!("Authorization: Bearer {}", b.reader());
        let authorization = ["-H", bearer.as_str()];
        let at = end.to_string();
        let ask = |expr: &str| query(&b.url, expr, &at, &authorization);
        wait_for("the samples", || (first(&ask("sum(count_over_time(work_done[10m]))"))? == 1500.0).then_some(()));
        assert_eq!(first(&ask("sum(work_done{s=\"7\"})")), Some(297.0));
        let range = json(
            &[
                &authorization[..],
                &[&format!("{}/api/v1/query_range?query=sum(work_done)&start={}&end={end}&step=5", b.url, end - 20)],
            ]
            .concat(),
        );
        assert_eq!(range["data"]["result"][0]["values"].as_array().map(Vec::len), Some(5), "{range}");
        let list = |path: &str| json(&[&authorization[..], &[&format!("{}{path}", b.url)]].concat())["data"].clone();
        assert_eq!(list("/api/v1/label/s/values").as_array().map(Vec::len), Some(50));
        assert!(list("/api/v1/labels").as_array().unwrap().contains(&"s".into()));
        assert_eq!(list("/api/v1/series?match[]=work_done").as_array().map(Vec::len), Some(50));
        // The command line asks the same way, and a mistake is told in the cluster's words.
        let asked = b.run(&["query", "count(work_done)"]);
        assert_eq!((code(&asked), text(&asked).trim()), (0, "{} 50"), "{kind}: {}", err(&asked));
        let wrong = b.run(&["query", "sum("]);
        assert_eq!(code(&wrong), 2, "{kind}: {}", err(&wrong));
        drop(store);
        let away = b.run(&["query", "count(work_done)"]);
        assert_eq!(code(&away), 1, "{kind}");
        assert!(err(&away).contains("does not answer"), "{kind}: {}", err(&away));
    }
}

#[test]
fn a_real_prometheus_reads_what_is_here() {
    let dir = tempfile::tempdir().unwrap();
    let b = Bench::start();
    b.set_up();
    let end = now_s();
    b.send_lines(&b.sender(), &lines(60, end));
    let config = |more: &str| {
        format!(
            "remote_read:\n  - url: {}/api/v1/read\n    read_recent: true\n    authorization: {{credentials: {}}}\n{more}",
            b.url,
            b.reader()
        )
    };
    let Some(prometheus) = prometheus(dir.path(), free_port(), &config("")) else { return };
    let at = end.to_string();
    assert_eq!(first(&query(&prometheus.url, "sum(count_over_time(work_done[10m]))", &at, &[])), Some(3000.0));
    assert_eq!(first(&query(&prometheus.url, "work_done{s=~\"1|2\", s!=\"2\"}", &at, &[])), Some(591.0));
    assert_eq!(first(&query(&prometheus.url, "sum(rate(work_done[4m]))", &at, &[])), Some(100.0));
    assert!(query(&prometheus.url, "nothing_here", &at, &[])["data"]["result"].as_array().unwrap().is_empty());
}

#[test]
fn blocks_of_prometheus_and_openmetrics_are_imported() {
    let dir = tempfile::tempdir().unwrap();
    let b = Bench::start_with("[metrics]\nretention_days = 30\n");
    b.set_up();
    // Text: two days ago, six hours of it.
    let start = now_s() - 2 * 86_400;
    let mut om = String::from("# TYPE old counter\n");
    for i in 0..6 * 60 {
        for s in 0..5 {
            let _ = writeln!(om, "old_total{{s=\"{s}\"}} {} {}", i * (s + 1), start + i * 60);
        }
    }
    let file = dir.path().join("old.om");
    std::fs::write(&file, format!("{om}# EOF\n")).unwrap();
    let done = b.run(&["metrics", "import", file.to_str().unwrap()]);
    assert_eq!(code(&done), 0, "{}{}", text(&done), err(&done));
    assert!(text(&done).starts_with("1800 samples imported, 5 new series"), "{}", text(&done));
    let bearer = format!("Authorization: Bearer {}", b.reader());
    let at = (start + 6 * 3600).to_string();
    let ours = |expr: &str| first(&query(&b.url, expr, &at, &["-H", &bearer]));
    assert_eq!(ours("sum(count_over_time(old_total[7h]))"), Some(1800.0));
    assert_eq!(ours("sum(increase(old_total[2h]))"), Some(15.0 * 120.0));

    // The same through blocks that promtool makes, under another name: both say the same.
    let named = om.replace("old", "blocky");
    std::fs::write(&file, format!("{named}# EOF\n")).unwrap();
    let blocks = dir.path().join("blocks");
    let made =
        Command::new("promtool").args(["tsdb", "create-blocks-from", "openmetrics"]).args([&file, &blocks]).output();
    let Ok(made) = made else { return };
    assert!(made.status.success(), "{made:?}");
    let done = b.run(&["metrics", "import", blocks.to_str().unwrap()]);
    assert_eq!(code(&done), 0, "{}{}", text(&done), err(&done));
    assert!(text(&done).starts_with("1800 samples imported"), "{}", text(&done));
    for expr in ["sum(increase(blocky_total[2h]))", "sum(count_over_time(blocky_total[7h]))", "max(blocky_total)"] {
        assert_eq!(ours(expr), ours(&expr.replace("blocky", "old")), "{expr}");
    }

    // Once more changes nothing.
    b.run(&["metrics", "import", blocks.to_str().unwrap()]);
    assert_eq!(ours("sum(count_over_time(blocky_total[7h]))"), Some(1800.0));
    let wrong = b.run(&["metrics", "import", dir.path().to_str().unwrap()]);
    assert_eq!(code(&wrong), 2, "{}", err(&wrong));
    let events = text(&b.run(&["events", "--kind", "metrics.imported"]));
    assert!(events.contains("ana imports samples from"), "{events}");
}
