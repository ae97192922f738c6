//! Samples to other stores and back, with real ones: Debian's Prometheus and VictoriaMetrics take what is sent on, answer
//! instead of the own store, read what is here, and their blocks are imported.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod bench;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bench::{Bench, code, err, text};
use serde_json::Value;
use tenfold_protocols::batch::Exemplar;
use tenfold_protocols::exposition::Metadata;
use tenfold_protocols::remote_write::{Outgoing, Version, compress, put_series, to_v2};
use tenfold_protocols::wire_out::Writer;
use tenfold_types::histogram::Buckets;
use tenfold_types::{Histogram, HistogramPoint, Point};

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
         [[metrics.remote_write]]\nname = \"victoria\"\nurl = \"http://127.0.0.1:{v}/api/v1/write\"\nversion = \"2.0\"\n"
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
    // Debian's reads no version 2.0, and does not say so.
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

/// The head of one request, and the connection on which it is to be answered.
fn request(stream: TcpStream) -> (String, TcpStream) {
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
    (head, reader.into_inner())
}

/// A receiver of the test's own: answers requests one by one, as told, and hands over their heads.
fn scripted(answers: Vec<&'static str>) -> (u16, std::sync::mpsc::Receiver<(String, Instant)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for answer in answers {
            let Ok((stream, _)) = listener.accept() else { return };
            let (head, mut stream) = request(stream);
            let _ = tell.send((head, Instant::now()));
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (port, told)
}

#[test]
fn a_receiver_says_when_to_come_again_and_what_it_will_never_take() {
    const LATER: &str = "HTTP/1.1 429 Too Many\r\nRetry-After: 2\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    // Of a 400 the halves would be sent: other tests.
    const NEVER: &str = "HTTP/1.1 422 Bad\r\nContent-Length: 7\r\nConnection: close\r\n\r\ntoo old";
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
        let told = one["last_error"].as_str()?.contains("422") && one["last_error"].as_str()?.contains("too old");
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
        let explained = b.run(&["query", "--explain", "count(work_done)"]);
        let plan = text(&explained);
        assert!(plan.contains("cluster  count(work_done)"), "{kind}: {plan}{}", err(&explained));
        assert!(plan.contains(" ms in the cluster, "), "{kind}: {plan}");
        let wrong = b.run(&["query", "sum("]);
        assert_eq!(code(&wrong), 2, "{kind}: {}", err(&wrong));
        drop(store);
        let away = b.run(&["query", "count(work_done)"]);
        assert_eq!(code(&away), 1, "{kind}");
        assert!(err(&away).contains("does not answer"), "{kind}: {}", err(&away));
    }
}

/// A cluster that has nothing to answer, and hands over the heads of the questions.
fn scripted_cluster() -> (u16, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (head, mut stream) = request(stream);
            let kind = if head.contains("/query_range ") { "matrix" } else { "vector" };
            let data = if head.contains("/query") {
                format!("{{\"resultType\":\"{kind}\",\"result\":[]}}")
            } else {
                "[\"of-the-cluster\"]".to_owned()
            };
            let body = format!("{{\"status\":\"success\",\"data\":{data}}}");
            let length = body.len();
            let head_sent = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
            let _ = tell.send(head);
            let _ = stream.write_all(head_sent.as_bytes());
        }
    });
    (port, told)
}

#[test]
fn every_question_to_a_cluster_names_the_tenant() {
    let (port, told) = scripted_cluster();
    let dir = tempfile::tempdir().unwrap();
    let token_file = dir.path().join("cluster.token");
    std::fs::write(&token_file, "of-the-cluster\n").unwrap();
    let b = Bench::start_with(&format!(
        "[metrics]\nengine = \"remote\"\n[metrics.remote]\nurl = \"http://127.0.0.1:{port}/tenants\"\ntoken_file = {token_file:?}\n\
         headers = {{ X-Scope-OrgID = \"team-a\" }}\n"
    ));
    b.set_up();
    let bearer = format!("Authorization: Bearer {}", b.reader());
    let form = ["-d", "match[]=up"];
    for (ours, more, theirs) in [
        ("/api/v1/query?query=up", &[][..], "post /tenants/api/v1/query "),
        ("/api/v1/query_range?query=up&start=1&end=2&step=1", &[], "post /tenants/api/v1/query_range "),
        ("/api/v1/labels", &[], "post /tenants/api/v1/labels "),
        ("/api/v1/labels", &form, "post /tenants/api/v1/labels "),
        ("/api/v1/label/job/values", &[], "get /tenants/api/v1/label/job/values?"),
        ("/api/v1/label/http.route%20%2F/values", &[], "get /tenants/api/v1/label/http%2eroute%20%2f/values?"),
        ("/api/v1/metadata?metric=none_such", &[], "get /tenants/api/v1/metadata?metric=none_such"),
        ("/api/v1/query_exemplars?query=up", &[], "post /tenants/api/v1/query_exemplars "),
        ("/api/v1/series?match[]=up", &[], "post /tenants/api/v1/series "),
        ("/api/v1/series", &form, "post /tenants/api/v1/series "),
    ] {
        let answer = json(&[&["-H", bearer.as_str()][..], more, &[&format!("{}{ours}", b.url)]].concat());
        assert_eq!(answer["status"], "success", "{ours}: {answer}");
        // Rules and the like may ask in between: each with the tenant as well.
        loop {
            let head = told.recv_timeout(Duration::from_secs(30)).expect("the cluster is asked");
            let head = head.to_ascii_lowercase();
            for wanted in ["\nx-scope-orgid: team-a\r", "\nauthorization: bearer of-the-cluster\r"] {
                assert!(head.contains(wanted), "{wanted:?} is not in {head}");
            }
            if head.starts_with(theirs) {
                break;
            }
        }
    }
}

/// A counter with an exemplar, a native histogram and a series that is not sent on, in version 2.0 with what is known of them.
fn whole_samples(t_ms: i64) -> Vec<u8> {
    let points = [Point::new(t_ms, 7.0)];
    let histogram =
        Histogram { count: 3.0, sum: 4.5, positive: Buckets::single(0, vec![1.0, 2.0]), ..Histogram::default() };
    let histograms = [HistogramPoint { t_ms, histogram: histogram.into() }];
    let exemplars = [Exemplar { labels: vec![("trace_id", "abc")], value: 0.5, t_ms: Some(t_ms) }];
    let mut out = Writer::default();
    for series in [
        Outgoing {
            labels: &[("__name__", "work_total")],
            points: &points,
            exemplars: &exemplars,
            created_ms: Some(t_ms - 5_000),
            ..Outgoing::default()
        },
        Outgoing { labels: &[("__name__", "latency")], histograms: &histograms, ..Outgoing::default() },
        Outgoing { labels: &[("__name__", "go_goroutines")], points: &points, ..Outgoing::default() },
    ] {
        put_series(&mut out, &series);
    }
    let about = |name: &str| {
        let known = Metadata { kind: "counter".into(), help: "Work done.".into(), unit: String::new() };
        (name == "work_total").then_some(known)
    };
    compress(&to_v2(&out.into_bytes(), about).unwrap().body).unwrap()
}

#[test]
fn a_second_tenfold_takes_version_2_with_all_that_belongs_to_a_sample() {
    let there = Bench::start();
    there.set_up();
    let dir = tempfile::tempdir().unwrap();
    let token_file = dir.path().join("there.token");
    std::fs::write(&token_file, there.sender()).unwrap();
    let b = Bench::start_with(&format!(
        "[[metrics.remote_write]]\nname = \"there\"\nurl = \"{}/api/v1/write\"\nversion = \"2.0\"\ntoken_file = {token_file:?}\n\
         write_relabel_configs = [{{ source_labels = [\"__name__\"], regex = \"(go|tenfold)_.*\", action = \"drop\" }},\n\
         {{ target_label = \"site\", replacement = \"north\" }}]\n",
        there.url
    ));
    b.set_up();
    let end = now_s();
    let body = dir.path().join("body");
    std::fs::write(&body, whole_samples(end * 1000)).unwrap();
    let (kind, token) =
        (format!("Content-Type: {}", Version::V2.content_type()), format!("Authorization: Bearer {}", b.sender()));
    let status = curl(
        &[
            &[
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
                "-H",
                kind.as_str(),
                "-H",
                "Content-Encoding: snappy",
                "-H",
                token.as_str(),
            ][..],
            &["--data-binary", &format!("@{}", body.display()), &format!("{}/api/v1/write", b.url)],
        ]
        .concat(),
    );
    assert_eq!(status, "204");

    let bearer = format!("Authorization: Bearer {}", there.reader());
    let at = end.to_string();
    let ask = |expr: &str| first(&query(&there.url, expr, &at, &["-H", &bearer]));
    wait_for("the counter", || (ask("work_total{site=\"north\"}")? == 7.0).then_some(()));
    wait_for("the histogram", || (ask("histogram_count(latency{site=\"north\"})")? == 3.0).then_some(()));
    let begun = (end - 3).to_string();
    let began = query(&there.url, "work_total{site=\"north\"}", &begun, &["-H", &bearer]);
    assert_eq!(first(&began), Some(0.0), "the counter began: {began}");
    let list = |path: &str| json(&["-H", &bearer, &format!("{}{path}", there.url)])["data"].clone();
    let exemplars = list(&format!("/api/v1/query_exemplars?query=work_total&start={}&end={}", end - 60, end + 60));
    assert_eq!(exemplars[0]["exemplars"][0]["labels"]["trace_id"], "abc", "{exemplars}");
    assert_eq!(exemplars[0]["seriesLabels"]["site"], "north", "{exemplars}");
    let about = list("/api/v1/metadata?metric=work_total");
    assert_eq!(
        (&about["work_total"][0]["type"], &about["work_total"][0]["help"]),
        (&"counter".into(), &"Work done.".into())
    );
    let status: Value = serde_json::from_slice(&b.run(&["metrics", "receivers", "--json"]).stdout).unwrap_or_default();
    let one = &status["items"][0];
    assert_eq!((&one["version"], &one["refused"]), (&"2.0".into(), &0.into()), "{status}");
    assert!(one["left_out"].as_u64() > Some(0), "{status}");
    assert!(list("/api/v1/series?match[]=go_goroutines").as_array().unwrap().is_empty());
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
    let blocks = dir.path().join("p/data");
    let made =
        Command::new("promtool").args(["tsdb", "create-blocks-from", "openmetrics"]).args([&file, &blocks]).output();
    let Ok(made) = made else { return };
    assert!(made.status.success(), "{made:?}");
    // What somebody deleted there stays deleted, and what is in no block yet is told.
    let Some(store) = prometheus(&dir.path().join("p"), free_port(), "") else { return };
    let address = format!("{}/api/v1/admin/tsdb/delete_series", store.url);
    assert_eq!(curl(&["--data-urlencode", "match[]=blocky_total{s=\"4\"}", &address]), "");
    drop(store);
    std::fs::write(blocks.join("wal/00000007"), [0; 8]).unwrap();
    let done = b.run(&["metrics", "import", blocks.to_str().unwrap()]);
    assert_eq!(code(&done), 0, "{}{}", text(&done), err(&done));
    assert!(text(&done).starts_with("1440 samples imported, 4 new series"), "{}", text(&done));
    assert!(err(&done).contains("/wal is not read"), "{}", err(&done));
    for expr in ["sum(increase(blocky_total[2h]))", "sum(count_over_time(blocky_total[7h]))", "max(blocky_total)"] {
        let old = expr.replace("blocky_total", "old_total{s!=\"4\"}");
        assert_eq!(ours(expr), ours(&old), "{expr}");
    }

    // Once more changes nothing.
    b.run(&["metrics", "import", blocks.to_str().unwrap()]);
    assert_eq!(ours("sum(count_over_time(blocky_total[7h]))"), Some(1440.0));
    let wrong = b.run(&["metrics", "import", dir.path().to_str().unwrap()]);
    assert_eq!(code(&wrong), 2, "{}", err(&wrong));
    let events = text(&b.run(&["events", "--kind", "metrics.imported"]));
    assert!(events.contains("ana imports samples from"), "{events}");
}

#[test]
fn openmetrics_brings_exemplars_and_families_and_says_what_to_do_about_new_time() {
    let dir = tempfile::tempdir().unwrap();
    let b = Bench::start();
    b.set_up();
    let (end, old) = (now_s(), now_s() - 2 * 86_400);
    let file = dir.path().join("old.om");
    let text_of = |body: &str| std::fs::write(&file, format!("{body}# EOF\n")).unwrap();
    let import = || b.run(&["metrics", "import", file.to_str().unwrap()]);
    text_of(&format!(
        "# TYPE jobs counter\n# UNIT jobs things\n# HELP jobs Jobs that were done.\n\
         jobs_total 1 {old}\njobs_total 2 {} # {{trace_id=\"abc\"}} 0.5 {}.25\n\
         # TYPE took histogram\ntook_bucket{{le=\"1\"}} 3 {old} # {{trace_id=\"def\"}} 0.75\n",
        old + 60,
        old + 59
    ));
    let done = import();
    assert_eq!(code(&done), 0, "{}{}", text(&done), err(&done));
    let bearer = format!("Authorization: Bearer {}", b.reader());
    let list = |path: &str| json(&["-H", &bearer, &format!("{}{path}", b.url)])["data"].clone();
    let about = list("/api/v1/metadata?metric=jobs");
    assert_eq!(
        about["jobs"],
        serde_json::json!([{"type": "counter", "help": "Jobs that were done.", "unit": "things"}])
    );
    let exemplars = |query: &str| {
        let path = format!("/api/v1/query_exemplars?query={query}&start={}&end={}", old - 60, old + 120);
        let found = list(&path)[0]["exemplars"][0].clone();
        (found["labels"]["trace_id"].clone(), found["timestamp"].as_f64())
    };
    assert_eq!(exemplars("jobs_total"), ("abc".into(), Some((old + 59) as f64 + 0.25)));
    assert_eq!(exemplars("took_bucket"), ("def".into(), Some(old as f64)), "the time of its sample");
    let value = |expr: &str, at: i64| first(&query(&b.url, expr, &at.to_string(), &["-H", &bearer]));
    assert_eq!(value("took_bucket{le=\"1.0\"}", old), Some(3.0), "bounds are written as scrapes write them");

    // Time that is not in blocks yet: in any order, and later than samples that are sent may come.
    b.send_lines(&b.sender(), &format!("work done=9 {end}\n"));
    let (late, later) = (end - 600, end - 2_400);
    text_of(&format!(
        "fresh 2 {late}\nfresh 1 {later}\nwork_done{{db=\"t\"}} 5 {late}\nwork_done{{db=\"t\"}} 4 {later}\n"
    ));
    let done = import();
    assert_eq!(code(&done), 0, "{}{}", text(&done), err(&done));
    assert_eq!((value("fresh", late), value("fresh", later)), (Some(2.0), Some(1.0)));
    assert_eq!((value("work_done", late), value("work_done", later)), (Some(5.0), Some(4.0)));
}
