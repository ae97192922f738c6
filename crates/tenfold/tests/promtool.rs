//! `promtool` asks our API, checks our metrics page, and reads the configurations and rules of the guide. Debian's is used;
//! what it asks is also asked of Debian's Prometheus on the same samples, and what it prints must be the same.
//! Skipped in one line where `promtool` or `prometheus` is not installed.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod bench;
mod calls;
mod house;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use bench::{Bench, code, err, text};
use calls::{Caller, Prometheus, REMOTE_WRITE, remote_write};
use tenfold_protocols::remote_write::compress;
use tenfold_protocols::wire_out::Writer;
use tenfold_types::Point;

const T: i64 = 1_700_000_000;
const SETTINGS: &str = "[metrics]\nretention_days = 36500\n";

fn promtool(args: &[&str], stdin: &str) -> Output {
    let mut child = Command::new("promtool")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that only prints its help may be gone before it has read.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

fn installed() -> bool {
    let there = Command::new("promtool").arg("--version").output().is_ok();
    if !there {
        tenfold_testkit::peer_is_missing("promtool is not installed (Debian: prometheus)");
    }
    there
}

fn token(b: &Bench, args: &[&str]) -> String {
    let out = b.run(&[&["token", "create"][..], args].concat());
    assert_eq!(code(&out), 0, "{}", err(&out));
    text(&out).trim().to_owned()
}

/// What it prints, in an order that does not depend on who answers.
fn lines(out: &Output) -> Vec<String> {
    let mut lines: Vec<_> = text(out).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn queries_print_what_they_print_for_prometheus() {
    let dir = tempfile::tempdir().unwrap();
    let Some(prometheus) = installed().then(|| Prometheus::start(dir.path())).flatten() else {
        tenfold_testkit::peer_is_missing("prometheus is not installed");
        return;
    };
    let b = Bench::start_with(SETTINGS);
    b.set_up();
    let (sender, reader) = (token(&b, &["sender", "--kind", "metrics"]), token(&b, &["reader", "--role", "viewer"]));
    let at = |i: i64| T * 1000 + i * 15_000;
    let mut series = Vec::new();
    for (job, own) in [("api", 0.5), ("web", 100.25)] {
        let points = (0..20).map(|i| Point::new(at(i), own + (i * i) as f64)).collect();
        series.push((vec![("__name__", "requests_total"), ("job", job), ("path", "/a \"b\"")], points));
        series.push((vec![("__name__", "up"), ("job", job)], (0..20).map(|i| Point::new(at(i), 1.0)).collect()));
    }
    let body = remote_write(&series);
    for (url, token) in [(&b.url, Some(sender.as_str())), (&prometheus.url, None)] {
        let answer = Caller::new(url, token).send("POST", "/api/v1/write", &REMOTE_WRITE, &body).unwrap();
        assert_eq!(answer.status, 204, "{}", answer.text());
    }
    // The token is the password of the address, whatever the name.
    let ours = b.url.replace("http://", &format!("http://promtool:{reader}@"));
    let (start, time, end) = (T.to_string(), format!("{}.5", T + 200), format!("{}.5", T + 280));
    let (time, end) = (time.as_str(), end.as_str());
    let span = ["--start", &start, "--end", end];
    let cases: Vec<(Vec<&str>, Vec<&str>)> = vec![
        (vec!["instant", "--time", time], vec!["requests_total"]),
        (vec!["instant", "--time", time], vec!["sum by (job) (rate(requests_total[1m]))"]),
        (vec!["instant", "--time", time], vec!["requests_total{job=\"web\"}[1m]"]),
        (vec!["instant", "--time", time], vec!["1 / 3"]),
        (vec!["instant", "--time", time], vec!["nothing"]),
        (vec!["instant", "-o", "json", "--time", time], vec!["requests_total / 3"]),
        ([&["range"][..], &span[..], &["--step", "30s"]].concat(), vec!["requests_total"]),
        ([&["range"][..], &span[..], &["--step", "1m", "-o", "json"]].concat(), vec!["irate(requests_total[1m])"]),
        ([&["series"][..], &span[..], &["--match", "up", "--match", "{job=\"api\"}"]].concat(), vec![]),
        ([&["labels"][..], &span[..]].concat(), vec!["path"]),
        ([&["labels"][..], &span[..], &["--match", "up"]].concat(), vec!["job"]),
        ([&["labels"][..], &span[..]].concat(), vec!["none"]),
    ];
    for (flags, query) in &cases {
        let run = |url: &str| promtool(&[&["query"][..], &flags[..], &[url], &query[..]].concat(), "");
        let (mine, other) = (run(&ours), run(&prometheus.url));
        assert_eq!((code(&mine), code(&other)), (0, 0), "{flags:?} {query:?}: {}{}", err(&mine), err(&other));
        assert_eq!(lines(&mine), lines(&other), "{flags:?} {query:?}");
    }
    // What is wrong is told as Prometheus' kinds of errors, and without the token nothing is told.
    for (query, kind) in [("sum(", "bad_data"), ("up + on() up", "execution")] {
        let run = |url: &str| promtool(&["query", "instant", "--time", time, url, query], "");
        for out in [run(&ours), run(&prometheus.url)] {
            assert!(code(&out) != 0 && err(&out).contains(kind), "{query}: {}{}", text(&out), err(&out));
        }
    }
    for url in [&b.url, &b.url.replace("http://", "http://promtool:wrong@")] {
        let out = promtool(&["query", "instant", url, "up"], "");
        assert!(code(&out) != 0 && text(&out).is_empty(), "{}{}", text(&out), err(&out));
    }
    println!("promtool: {} queries print the same", cases.len());
}

#[test]
fn our_metrics_page_is_read() {
    if !installed() {
        return;
    }
    let b = Bench::start();
    b.set_up();
    let reader = token(&b, &["reader", "--role", "viewer"]);
    let mut caller = Caller::new(&b.url, Some(&reader));
    // Something to count.
    assert_eq!(caller.form("/api/v1/query", &[("query", "up")]).unwrap().status, 200);
    let page = caller.get("/metrics").unwrap().text() + "\n";
    let out = promtool(&["check", "metrics"], &page);
    // 1 is a page that cannot be read, 3 one that could be better: ours has no help texts.
    let better: Vec<_> = err(&out).lines().filter(|l| !l.ends_with(" no help text")).map(str::to_owned).collect();
    assert!(matches!(code(&out), 0 | 3) && better.is_empty(), "{better:?} {}{}", text(&out), err(&out));
    assert!(page.contains("tenfold_build_info{"), "{page}");
}

/// The blocks of YAML in a page of the guide that begin like this.
fn blocks(page: &str, begins: &str) -> Vec<String> {
    let path = house::root().join("docs/guide").join(page);
    let guide = std::fs::read_to_string(path).unwrap();
    let blocks = guide.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|b| b.starts_with(begins)).map(str::to_owned).collect()
}

#[test]
fn the_guides_configurations_and_rules_pass() {
    if !installed() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let check = |kind: &str, name: &str, text_of: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text_of).unwrap();
        let out = promtool(&["check", kind, path.to_str().unwrap()], "");
        assert_eq!(code(&out), 0, "{text_of}\n{}{}", text(&out), err(&out));
    };
    // What the example's job reads from beside the file.
    std::fs::write(dir.path().join("token"), "secret").unwrap();
    std::fs::create_dir(dir.path().join("targets")).unwrap();
    std::fs::write(dir.path().join("targets/a.json"), "[{\"targets\": [\"web:80\"]}]").unwrap();
    std::fs::write(dir.path().join("more.yml"), "- targets: [more:80]\n").unwrap();
    let configs = [
        blocks("scraping.md", "# prometheus.yml"),
        blocks("metrics.md", "# prometheus.yml"),
        blocks("alerts.md", "alerting:"),
    ]
    .concat();
    assert_eq!(configs.len(), 4);
    for config in &configs {
        // Prometheus has had this key since 3.
        check("config", "prometheus.yml", &config.replace("    scrape_native_histograms: true\n", ""));
    }
    let rules = blocks("alerts.md", "groups:");
    assert_eq!(rules.len(), 1);
    check("rules", "photos.yaml", &rules[0]);
    let tests = blocks("alerts.md", "rule_files:");
    assert_eq!(tests.len(), 1);
    std::fs::write(dir.path().join("tests.yaml"), &tests[0]).unwrap();
    let out = promtool(&["test", "rules", dir.path().join("tests.yaml").to_str().unwrap()], "");
    assert_eq!(code(&out), 0, "{}{}", text(&out), err(&out));
}

const PAGE: &str = "# HELP pushed_jobs_total Jobs that were done.
# TYPE pushed_jobs_total counter
pushed_jobs_total{job=\"night\",kind=\"backup\"} 17
# HELP pushed_queue How many wait.
# TYPE pushed_queue gauge
pushed_queue 0
# HELP pushed_seconds How long one took.
# TYPE pushed_seconds histogram
pushed_seconds_bucket{le=\"0.5\"} 3
pushed_seconds_bucket{le=\"+Inf\"} 4
pushed_seconds_sum 2.25
pushed_seconds_count 4
";

/// The bytes that `promtool push metrics` makes of [`PAGE`] with `--label run=7`: families by name, the labels of each series
/// sorted, a label `job` of the page renamed, the metadata after all series, and no field that is zero (its encoder leaves
/// those out).
fn pushed(t_ms: i64) -> Vec<u8> {
    let mut body = Writer::default();
    let mut put = |labels: &[(&str, &str)], value: f64| {
        body.message(1, |series| {
            for (name, value) in labels {
                series.message(1, |label| {
                    label.text(1, name);
                    label.text(2, value);
                });
            }
            series.message(2, |sample| {
                if value != 0.0 {
                    sample.double(1, value);
                }
                sample.number(2, t_ms as u64);
            });
        });
    };
    put(&[("__name__", "pushed_jobs_total"), ("exported_job", "night"), ("kind", "backup"), ("run", "7")], 17.0);
    put(&[("__name__", "pushed_queue"), ("run", "7")], 0.0);
    put(&[("__name__", "pushed_seconds_bucket"), ("le", "0.5"), ("run", "7")], 3.0);
    put(&[("__name__", "pushed_seconds_bucket"), ("le", "+Inf"), ("run", "7")], 4.0);
    put(&[("__name__", "pushed_seconds_sum"), ("run", "7")], 2.25);
    put(&[("__name__", "pushed_seconds_count"), ("run", "7")], 4.0);
    for (kind, name, help) in [
        (1, "pushed_jobs_total", "Jobs that were done."),
        (2, "pushed_queue", "How many wait."),
        (3, "pushed_seconds", "How long one took."),
    ] {
        body.message(3, |m| {
            m.number(1, kind);
            m.text(2, name);
            m.text(4, help);
        });
    }
    compress(&body.into_bytes()).unwrap()
}

#[test]
fn pushed_metrics_are_taken() {
    let b = Bench::start();
    b.set_up();
    let (sender, reader) = (token(&b, &["sender", "--kind", "metrics"]), token(&b, &["reader", "--role", "viewer"]));
    let address = format!("{}/api/v1/write", b.url);
    let real = Command::new("promtool").args(["push", "metrics", "--help"]).output().is_ok_and(|o| o.status.success());
    let mut caller = Caller::new(&b.url, Some(&reader));
    let now_ms = |caller: &mut Caller| {
        let answer = caller.form("/api/v1/query", &[("query", "time()")]).unwrap().json();
        (answer["data"]["result"][0].as_f64().unwrap() * 1000.0) as i64
    };
    if real {
        let file = b.dir.path().join("page.prom");
        std::fs::write(&file, PAGE).unwrap();
        let header = format!("Authorization=Bearer {sender}");
        let args = ["push", "metrics", "--header", &header, "--label", "run=7", &address, file.to_str().unwrap()];
        let out = promtool(&args, "");
        assert_eq!(code(&out), 0, "{}{}", text(&out), err(&out));
    } else {
        println!("promtool is older than `push metrics`: what a newer one sends is replayed");
        let t_ms = now_ms(&mut caller);
        let mut sends = Caller::new(&b.url, Some(&sender));
        let headers = [&REMOTE_WRITE[..], &[("User-Agent", "promtool/3.5.0"), ("X-Run", "7")]].concat();
        let answer = sends.send("POST", "/api/v1/write", &headers, &pushed(t_ms)).unwrap();
        assert_eq!((answer.status, answer.text()), (204, String::new()));
    }
    let mut first = |query: &str| {
        let answer = caller.form("/api/v1/query", &[("query", query)]).unwrap().json();
        answer["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
    };
    for (query, value) in [
        ("pushed_jobs_total{exported_job=\"night\",kind=\"backup\",run=\"7\"}", "17"),
        ("pushed_queue{run=\"7\"}", "0"),
        ("histogram_quantile(0.5, pushed_seconds_bucket{run=\"7\"})", "0.3333333333333333"),
        ("pushed_seconds_sum / pushed_seconds_count", "0.5625"),
        ("count({run=\"7\"})", "6"),
    ] {
        assert_eq!(first(query).as_deref(), Some(value), "{query}");
    }
    let metadata = caller.get("/api/v1/metadata?metric=pushed_seconds").unwrap().json();
    let entry = &metadata["data"]["pushed_seconds"][0];
    assert_eq!((&entry["type"], &entry["help"]), (&"histogram".into(), &"How long one took.".into()), "{metadata}");
}
