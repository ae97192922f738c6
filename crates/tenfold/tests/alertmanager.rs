//! Alertmanager's own tool and a real Prometheus against the real server: they take it for an Alertmanager.
//! Needs `amtool` and `prometheus` (Debian: prometheus-alertmanager, prometheus); without them each test says so in a line.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod bench;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use bench::{BINARY, Bench, code, err, text};
use serde_json::Value;
use tenfold_testkit::FakeWebhook;

fn installed(name: &str, package: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    if !found {
        tenfold_testkit::peer_is_missing(format_args!("{name} is not installed (Debian: {package})"));
    }
    found
}

/// A process that ends with the test.
struct Running(Child);
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct World {
    bench: Bench,
    token: String,
}

impl World {
    fn new() -> Self {
        let bench = Bench::start();
        bench.set_up();
        let made = bench.run(&["token", "create", "sender", "--kind", "robot", "--role", "responder", "--json"]);
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        let token = made["secret"].as_str().unwrap().to_owned();
        let http = format!("authorization: {{type: Bearer, credentials: {token}}}\n");
        std::fs::write(bench.dir.path().join("http.yml"), http).unwrap();
        Self { bench, token }
    }

    fn amtool(&self, args: &[&str]) -> Result<String, String> {
        let out = Command::new("amtool")
            .args(["--no-version-check", "--alertmanager.url", &self.bench.url, "--http.config.file"])
            .arg(self.bench.dir.path().join("http.yml"))
            .args(args)
            .output()
            .unwrap();
        let said = String::from_utf8(out.stdout).unwrap();
        if out.status.success() { Ok(said) } else { Err(said + &String::from_utf8_lossy(&out.stderr)) }
    }

    fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["-o", "json"]).collect();
        serde_json::from_str(&self.amtool(&args).unwrap()).unwrap()
    }

    fn names(&self, args: &[&str]) -> Vec<String> {
        let name = |a: &Value| a["labels"]["alertname"].as_str().unwrap().to_owned();
        self.json(args).as_array().unwrap().iter().map(name).collect()
    }

    fn kinds(&self, kind: &str) -> Vec<String> {
        let out = self.bench.run(&["events", "--kind", kind, "--json"]);
        let events: Value = serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{}", err(&out)));
        let items = events["items"].as_array().unwrap();
        items.iter().rev().map(|e| e["kind"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn amtool_adds_queries_silences_and_expires() {
    if !installed("amtool", "prometheus-alertmanager") {
        return;
    }
    let w = World::new();
    w.amtool(&["alert", "add", "Full", "service=disk", "severity=critical", "--annotation=summary=the disk is full"])
        .unwrap();
    w.amtool(&["alert", "add", "Slow", "service=web", "severity=warning"]).unwrap();
    assert_eq!(w.names(&["alert", "query"]).len(), 2);
    assert_eq!(w.names(&["alert", "query", "service=disk"]), ["Full"]);
    assert_eq!(w.kinds("incident.opened").len(), 1, "a critical alert opens an incident at once, a warning does not");

    let made = w.amtool(&["silence", "add", "service=~d.*", "-a", "raj", "-c", "moving disks", "-d", "1h"]).unwrap();
    let id = made.trim();
    assert_eq!(w.names(&["alert", "query"]), ["Slow"]);
    assert_eq!(w.names(&["alert", "query", "--silenced"]), ["Full"]);
    let silences = w.json(&["silence", "query"]);
    let silence = &silences[0];
    assert_eq!((silence["id"].as_str(), silence["createdBy"].as_str()), (Some(id), Some("raj")), "{silences}");
    assert_eq!((silence["comment"].as_str(), &silence["matchers"][0]["isRegex"]), (Some("moving disks"), &true.into()));
    let same = w.amtool(&["silence", "update", id, "-c", "still moving", "-d", "2h"]).unwrap();
    assert!(same.contains("still moving"), "{same}");
    let holding = w.json(&["silence", "query"]);
    assert_eq!(holding.as_array().unwrap().len(), 1, "{holding}");
    let id = holding[0]["id"].as_str().unwrap();
    w.amtool(&["silence", "expire", id]).unwrap();
    assert!(w.json(&["silence", "query"]).as_array().unwrap().is_empty());
    assert!(!w.json(&["silence", "query", "--expired"]).as_array().unwrap().is_empty());
    assert!(w.amtool(&["silence", "expire", "00000000-0000-8000-8000-0000000000ff"]).is_err());
    let nothing = w.amtool(&["silence", "add", "service=~.*", "-a", "raj", "-c", "all", "-d", "1h"]).unwrap_err();
    assert!(nothing.contains("every alert"), "{nothing}");

    assert_eq!(w.amtool(&["config", "routes", "test", "service=disk"]).unwrap().trim(), "on-call");
    assert!(w.amtool(&["config", "show"]).unwrap().contains("on-call"));
    w.amtool(&["alert", "add", "Full", "service=disk", "severity=critical", "--end=2020-01-01T00:00:00Z"]).unwrap();
    assert_eq!(w.names(&["alert", "query"]), ["Slow"]);
    assert_eq!(w.kinds("incident."), ["incident.opened", "incident.resolved"]);
}

#[test]
fn a_viewer_may_look_and_not_send() {
    if !installed("amtool", "prometheus-alertmanager") {
        return;
    }
    let w = World::new();
    let made = w.bench.run(&["token", "create", "eyes", "--kind", "robot", "--role", "viewer", "--json"]);
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let http = format!("authorization: {{type: Bearer, credentials: {}}}\n", made["secret"].as_str().unwrap());
    std::fs::write(w.bench.dir.path().join("http.yml"), http).unwrap();
    assert!(w.names(&["alert", "query"]).is_empty());
    assert!(w.amtool(&["alert", "add", "X", "a=b"]).is_err());
    assert!(w.amtool(&["silence", "add", "a=b", "-c", "x", "-a", "x"]).is_err());
}

const RULES: &str = "
groups:
- name: g
  interval: 1s
  rules:
  - alert: Soon
    expr: vector(1) > LIMIT
    labels: {severity: critical, service: batch}
    annotations: {summary: 'the batch is late'}
";

#[test]
fn a_prometheus_sends_here_and_its_alert_pages_and_resolves() {
    if !installed("prometheus", "prometheus") {
        return;
    }
    let w = World::new();
    let dir = w.bench.dir.path();
    let write_rules = |limit: &str| std::fs::write(dir.join("rules.yml"), RULES.replace("LIMIT", limit)).unwrap();
    write_rules("0");
    let config = format!(
        "global: {{evaluation_interval: 1s}}\nrule_files: [rules.yml]\nalerting:\n  alertmanagers:\n  - authorization: {{credentials: {}}}\n    static_configs: [{{targets: ['{}']}}]\n",
        w.token,
        w.bench.url.trim_start_matches("http://")
    );
    std::fs::write(dir.join("prometheus.yml"), config).unwrap();
    // What it refuses it would end with, and this test would wait for nothing.
    let checked =
        Command::new("promtool").args(["check", "config", "prometheus.yml"]).current_dir(dir).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    // Follows the record, so that there is nothing to wait for but what happens.
    let mut follow = Command::new("timeout")
        .args(["120", BINARY, "events", "--follow", "--json", "--server", &w.bench.url])
        .env("TENFOLD_TOKEN", &w.token)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let record = BufReader::new(follow.stdout.take().unwrap());
    let _follow = Running(follow);
    let prometheus = Command::new("prometheus")
        .args(["--config.file", "prometheus.yml", "--storage.tsdb.path", "tsdb", "--web.listen-address", "127.0.0.1:0"])
        // It takes five seconds, at the start and after a change of its rules, until it knows where to send; what it said
        // before is said again after this time, and an alert counts as going on for four times as long.
        .args(["--rules.alert.resend-delay", "5s"])
        .current_dir(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = prometheus.id().to_string();
    let _prometheus = Running(prometheus);
    let mut seen = Vec::new();
    for line in record.lines() {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let kind = event["kind"].as_str().unwrap_or_default().to_owned();
        if kind.starts_with("alert.") || kind.starts_with("incident.") {
            let over = kind == "incident.resolved";
            if kind == "incident.opened" {
                // The same alert, whose expression no longer holds.
                write_rules("2");
                assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
            }
            seen.push((kind, event["text"].as_str().unwrap_or_default().to_owned()));
            if over {
                break;
            }
        }
    }
    let kinds: Vec<&str> = seen.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds[..2], ["alert.fired", "incident.opened"], "{seen:?}");
    assert_eq!(kinds[kinds.len() - 2..], ["alert.resolved", "incident.resolved"], "{seen:?}");
    assert!(seen[0].1.contains("the batch is late"), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_of_our_rules_reach_a_real_alertmanager_and_are_resolved_there() {
    if !installed("prometheus-alertmanager", "prometheus-alertmanager") {
        return;
    }
    let (hook, port) = (FakeWebhook::start().await, tenfold_testkit::free_port());
    // It is not there yet: what is sent waits for it. A second receiver never will be.
    let bench = Bench::start_with(&format!(
        "[alerts]\nforward = [\"http://127.0.0.1:1\", \"http://127.0.0.1:{port}\"]\nexternal_labels = {{ region = \"eu\" }}\n"
    ));
    bench.set_up();
    let dir = bench.dir.path();
    let put_rules = |limit: &str| {
        std::fs::write(dir.join("rules.yml"), RULES.replace("LIMIT", limit)).unwrap();
        let put = bench.run(&["rules", "put", "g", "rules.yml"]);
        assert_eq!(code(&put), 0, "{}", err(&put));
    };
    put_rules("0");
    let config = format!(
        "route: {{receiver: hook, group_wait: 0s, group_interval: 1s}}\nreceivers: [{{name: hook, webhook_configs: [{{url: '{}'}}]}}]\n",
        hook.url("/hook")
    );
    std::fs::write(dir.join("alertmanager.yml"), config).unwrap();
    let listen = format!("127.0.0.1:{port}");
    let alertmanager = Command::new("prometheus-alertmanager")
        .args(["--config.file", "alertmanager.yml", "--storage.path", "am", "--cluster.listen-address="])
        .args(["--web.listen-address", &listen])
        .current_dir(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _alertmanager = Running(alertmanager);
    let first: Value = serde_json::from_str(&hook.wait_for(1).await[0].body).unwrap();
    let alert = &first["alerts"][0];
    assert_eq!(alert["status"], "firing", "{first}");
    assert_eq!((&alert["labels"]["alertname"], &alert["labels"]["region"]), (&"Soon".into(), &"eu".into()), "{first}");
    assert_eq!(alert["annotations"]["summary"], "the batch is late", "{first}");
    assert!(alert["generatorURL"].as_str().unwrap().contains("/alerts/"), "{first}");
    put_rules("2");
    let second: Value = serde_json::from_str(&hook.wait_for(2).await[1].body).unwrap();
    assert_eq!(second["alerts"][0]["status"], "resolved", "{second}");
    assert_eq!(second["alerts"][0]["startsAt"], alert["startsAt"], "{second}");
}

#[test]
fn the_command_line_says_where_an_alert_goes_and_why() {
    let b = Bench::start();
    b.set_up();
    let guide = format!("{}/../../docs/guide/alerts.md", env!("CARGO_MANIFEST_DIR"));
    let guide = std::fs::read_to_string(guide).unwrap();
    let (_, example) = guide.split_once(" title=alertmanager.yml\n").unwrap();
    std::fs::write(b.dir.path().join("example.yml"), example.split("\n```").next().unwrap()).unwrap();
    let taken = b.run(&["routes", "put", "example.yml"]);
    assert_eq!(code(&taken), 0, "{}", err(&taken));
    // All of it is taken. The policy that it names is for the reader to make.
    let said = text(&taken);
    assert!(said.lines().all(|line| line.ends_with("names the policy web-primary, which is not there")), "{said}");
    let routing = "\
route:
  receiver: web
  group_by: [service]
  group_wait: 0s
  routes:
  - {matchers: ['team=\"db\"'], receiver: db, group_wait: 1h}
receivers: [{name: web, policy: default}, {name: db, slack_configs: [{channel: '#db'}]}]
";
    std::fs::write(b.dir.path().join("alertmanager.yml"), routing).unwrap();
    let dry = b.run(&["routes", "put", "alertmanager.yml", "--dry-run"]);
    assert_eq!(code(&dry), 0, "{}", err(&dry));
    assert!(text(&dry).contains("receivers[1].slack_configs"), "{}", text(&dry));
    assert_eq!(code(&b.run(&["routes", "put", "alertmanager.yml"])), 0);
    let told = b.run(&["simulate", "alertname=Down service=photos severity=critical"]);
    assert!(text(&told).contains("web") && text(&told).contains("send"), "{}{}", text(&told), err(&told));
    let told = b.run(&["why-not", "alertname=Down team=db severity=critical"]);
    assert!(text(&told).contains("wait"), "{}{}", text(&told), err(&told));
    let muted = b.run(&["mute", "service=photos", "--for", "1h", "--reason", "moving disks"]);
    assert_eq!(code(&muted), 0, "{}", err(&muted));
    let told = b.run(&["why-not", "alertname=Down service=photos severity=critical"]);
    assert!(text(&told).contains("moving disks") && text(&told).contains("suppress"), "{}", text(&told));
    std::fs::write(b.dir.path().join("alertmanager.yml"), "route: {receiver: none}\nreceivers: []\n").unwrap();
    let wrong = b.run(&["routes", "put", "alertmanager.yml"]);
    assert_eq!(code(&wrong), 2, "{}", err(&wrong));
    assert!(err(&wrong).contains("route.receiver"), "{}", err(&wrong));
    assert_eq!(code(&b.run(&["routes", "remove"])), 0);
    assert!(text(&b.run(&["routes", "show"])).contains("on-call"));
}
