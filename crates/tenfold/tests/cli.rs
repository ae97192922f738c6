//! The command line as a script uses it: the real binary against the real server, each in a directory of its own.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod bench;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use bench::{Bench, PASSWORD, code, err, text};

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_script_tells_done_from_failed_from_refused() {
    let b = Bench::start();
    let refused = b.run(&["status", "--server", &b.url]);
    assert_eq!(code(&refused), 3, "{}", err(&refused));
    assert!(err(&refused).contains("tenfold login") && text(&refused).is_empty(), "{}", err(&refused));

    b.set_up();
    let status = b.run(&["status"]);
    assert_eq!(code(&status), 0, "{}", err(&status));
    assert!(text(&status).contains("nothing fires"), "{}", text(&status));
    let json = b.run(&["status", "--json"]);
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).expect("--json is JSON and nothing else");
    assert!(value["week"]["sentence"].is_string(), "{value}");

    let missing = b.run(&["deploy", "photos"]);
    assert_eq!((code(&missing), text(&missing)), (1, String::new()), "{}", err(&missing));
    assert!(err(&missing).contains("photos"), "{}", err(&missing));
    let misuse = b.run(&["mute", "service=photos", "--for", "soon", "--reason", "x"]);
    assert_eq!(code(&misuse), 2);
    assert!(err(&misuse).contains("45m"), "{}", err(&misuse));
    let nobody = b.run_with(&["status"], &[("TENFOLD_TOKEN", "tf_robot_wrong")], "");
    assert_eq!(code(&nobody), 3, "{}", err(&nobody));
    let away = b.run(&["status", "--server", "http://127.0.0.1:1"]);
    assert_eq!(code(&away), 1);
    assert!(err(&away).contains("cannot be reached"), "{}", err(&away));
}

#[test]
fn what_cannot_be_asked_says_why() {
    let b = Bench::start();
    b.set_up();
    // TLS at a port that speaks plain HTTP.
    let tls = b.run(&["status", "--server", &b.url.replace("http:", "https:")]);
    assert_eq!(code(&tls), 1, "{}", err(&tls));
    assert!(err(&tls).contains("cannot be reached: ") && err(&tls).contains("speak TLS"), "{}", err(&tls));
    let away = b.run(&["status", "--server", "http://127.0.0.1:1"]);
    assert!(err(&away).contains("cannot be reached: Connection refused"), "{}", err(&away));
    // A proxy that sends everybody to https.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let answers = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(&stream).lines();
        assert!(lines.map_while(Result::ok).take_while(|line| !line.is_empty()).count() > 0);
        let head = "HTTP/1.1 308 Permanent Redirect\r\nLocation: https://tenfold.example.org/api/status";
        let _ = write!(stream, "{head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    let moved = b.run_with(&["status"], &[("TENFOLD_URL", proxy.as_str()), ("TENFOLD_TOKEN", "tf_robot_x")], "");
    answers.join().unwrap();
    assert_eq!(code(&moved), 1, "{}", err(&moved));
    assert!(err(&moved).contains("points to https://tenfold.example.org\n"), "{}", err(&moved));
    // What a shell sets to nothing, and what a file of Windows ends with.
    let nowhere = b.run_with(&["status"], &[("TENFOLD_URL", "")], "");
    assert!(code(&nowhere) == 2 && err(&nowhere).contains("unset TENFOLD_URL"), "{}", err(&nowhere));
    let empty = b.run_with(&["status"], &[("TENFOLD_TOKEN", "")], "");
    assert!(code(&empty) == 3 && err(&empty).contains("the token is empty"), "{}", err(&empty));
    let token = text(&b.run(&["token", "create", "ci", "--role", "viewer"])).trim().to_owned() + "\r";
    let windows = b.run_with(&["status"], &[("TENFOLD_URL", b.url.as_str()), ("TENFOLD_TOKEN", token.as_str())], "");
    assert_eq!(code(&windows), 0, "{}", err(&windows));
}

#[test]
fn what_is_exported_can_be_put_one_by_one() {
    let b = Bench::start();
    b.set_up();
    let file = |name: &str, text: &str| {
        let path = b.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let policy = "steps: [{delay_ms: 60000, targets: [{kind: person, name: ana}]}]\n";
    assert_eq!(code(&b.run(&["policies", "put", "web", &file("policy.yaml", policy)])), 0);
    let dir = b.dir.path().join("config");
    assert_eq!(code(&b.run(&["export", dir.to_str().unwrap()])), 0);
    let exported = dir.join("policies/web.yaml");
    assert!(std::fs::read_to_string(&exported).unwrap().starts_with("name: web"));
    let put = |name: &str, file: &str| b.run(&["policies", "put", name, file]);
    let again = put("web", exported.to_str().unwrap());
    assert_eq!(code(&again), 0, "{}", err(&again));
    let other = put("db", exported.to_str().unwrap());
    assert!(code(&other) == 2 && err(&other).contains("`name` is `web`"), "{}", err(&other));
    let empty = put("db", &file("empty.yaml", "\r\n"));
    assert!(code(&empty) == 2 && err(&empty).contains("nothing in the file"), "{}", err(&empty));
    let typo = put("db", &file("typo.yaml", "stepps: []\n"));
    assert!(err(&typo).contains("unknown field `stepps`") && !err(&typo).contains("column"), "{}", err(&typo));
    let then = b.run(&["query", "time()", "--at", "2026-11-28T02:51:00Z"]);
    assert_eq!(text(&then), "1795834260\n", "{}", err(&then));
    let range = b.run(&["query", "time()", "--at", "2026-11-28T02:51:00Z", "--range", "1m", "--step", "1m"]);
    assert!(text(&range).ends_with(" 1795834260\n"), "{}{}", text(&range), err(&range));
    let nothing = b.run(&["query", "up{job=\"nothing\"}"]);
    assert_eq!((code(&nothing), text(&nothing)), (0, String::new()), "{}", err(&nothing));
    assert!(err(&nothing).contains("no series"), "{}", err(&nothing));
}

#[test]
fn what_somebody_does_is_in_the_record_under_the_name_and_by_this_door() {
    let b = Bench::start();
    b.set_up();
    assert_eq!(code(&b.run(&["doing", "rebooting", "db2"])), 0);
    let found = b.run(&["search", "rebooting"]);
    assert!(text(&found).contains("ana: rebooting db2"), "{}", text(&found));
    let open = b.run(&["incident", "open", "uploads are slow", "--severity", "warning"]);
    assert_eq!(code(&open), 0, "{}", err(&open));
    assert_eq!(code(&b.run(&["ack", "1"])), 0);
    let draft = b.run(&["incident", "postmortem", "1"]);
    assert_eq!(code(&draft), 0, "{}", err(&draft));
    assert!(text(&draft).starts_with("# ") && text(&draft).contains("uploads are slow"), "{}", text(&draft));
    assert_eq!(code(&b.run(&["incident", "postmortem", "2"])), 1, "there is none");
    let events = b.run(&["events", "--kind", "incident.acknowledged", "--json"]);
    let value: serde_json::Value = serde_json::from_slice(&events.stdout).unwrap();
    assert_eq!((&value["items"][0]["actor"]["id"], &value["items"][0]["source"]), (&"ana".into(), &"cli".into()));

    let token = text(&b.run(&["token", "create", "ci", "--role", "viewer"]));
    let (url, token) = (b.url.as_str(), token.trim());
    let read = b.run_with(&["status"], &[("TENFOLD_TOKEN", token), ("TENFOLD_URL", url)], "");
    assert_eq!(code(&read), 0, "{}", err(&read));
    let write = b.run_with(&["ack", "1"], &[("TENFOLD_TOKEN", token), ("TENFOLD_URL", url)], "");
    assert_eq!(code(&write), 3, "a viewer acknowledges nothing: {}", err(&write));
}

#[test]
fn deploys_are_listed_and_one_is_found_by_its_number() {
    let b = Bench::start();
    b.set_up();
    let none = b.run(&["deploys", "photos", "--state", "failed", "--by", "ana", "--json"]);
    assert_eq!(code(&none), 0, "{}", err(&none));
    let value: serde_json::Value = serde_json::from_slice(&none.stdout).unwrap();
    assert_eq!(value["items"], serde_json::json!([]));
    let wrong = b.run(&["deploys", "--state", "gone"]);
    assert_eq!((code(&wrong), text(&wrong)), (2, String::new()));
    assert!(err(&wrong).contains("not a state of a deploy"), "{}", err(&wrong));
    for verb in ["deploys", "log", "watch-log", "promote", "hold", "abort", "cancel", "retry"] {
        let missing = b.run(&[verb, "12"]);
        assert_eq!(code(&missing), 1, "{verb}: {}", err(&missing));
        assert!(err(&missing).contains("there is no deploy 12"), "{verb}: {}", err(&missing));
    }
    assert_eq!(code(&b.run(&["deploys", "12", "--in", "staging"])), 2, "a number says which one it is");
    assert_eq!(code(&b.run(&["log"])), 2, "a log is of a deploy");
}

#[test]
fn exported_files_apply_to_an_empty_difference() {
    let b = Bench::start();
    b.set_up();
    let dir = b.dir.path().join("config");
    let dir = dir.to_str().unwrap();
    let empty = b.run(&["apply", b.home().to_str().unwrap()]);
    assert_eq!(code(&empty), 2, "{}", err(&empty));
    let export = b.run(&["export", dir]);
    assert_eq!(code(&export), 0, "{}", err(&export));
    assert!(text(&export).contains("people/ana.yaml"), "{}", text(&export));
    let again = b.run(&["apply", dir]);
    assert_eq!((code(&again), text(&again)), (0, String::new()), "{}", err(&again));
    assert!(err(&again).contains("nothing to change"));
}

#[test]
fn signing_out_forgets_the_session() {
    let b = Bench::start();
    b.set_up();
    assert_eq!(code(&b.run(&["logout"])), 0);
    assert_eq!(code(&b.run(&["status"])), 3);
    let wrong = b.run_with(&["login", "ana", "--server", &b.url], &[], "wrong password here\n");
    assert_eq!(code(&wrong), 3, "{}", err(&wrong));
    assert!(!err(&wrong).contains("tenfold login"), "that is what was done: {}", err(&wrong));
    let right = b.run_with(&["login", "ana", "--server", &b.url], &[], &format!("{PASSWORD}\n"));
    assert_eq!(code(&right), 0, "{}", err(&right));
    assert!(!err(&right).contains(PASSWORD));
    assert_eq!(code(&b.run(&["status"])), 0);
}

#[test]
fn a_query_is_answered_and_explained() {
    let b = Bench::start();
    b.set_up();
    let asked = b.run(&["query", "1 + 1"]);
    assert_eq!((code(&asked), text(&asked).trim()), (0, "2"), "{}", err(&asked));
    let plan = b.run(&["query", "--explain", "sum by (job) (rate(up[5m]))", "--range", "1h", "--step", "1m"]);
    assert_eq!(code(&plan), 0, "{}", err(&plan));
    let shown = text(&plan);
    for part in ["samples", "sum by (job)  sum by (job) (rate(up[5m]))", "    range of 300 s  up[5m]", "thread(s)"] {
        assert!(shown.contains(part), "{part:?} is not in {shown}");
    }
    let wrong = b.run(&["query", "sum("]);
    assert_eq!(code(&wrong), 2);
    assert!(err(&wrong).contains("1:5"), "{}", err(&wrong));
}

#[test]
fn a_query_is_followed_step_by_step() {
    let b = Bench::start();
    b.set_up();
    let wrong = b.run(&["query", "sum(", "--follow"]);
    assert_eq!(code(&wrong), 2, "{}", err(&wrong));
    assert_eq!(code(&b.run(&["query", "up", "--step", "1m"])), 2, "a step of one instant");
    let mut following = b.command(&["query", "vector(7)", "--follow"]).spawn().unwrap();
    let lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let seen: Vec<String> = lines.take(3).map(Result::unwrap).collect();
    following.kill().unwrap();
    following.wait().unwrap();
    let at = |line: &String| {
        let (at, value) = line.strip_prefix("{} ").unwrap().split_once(' ').unwrap();
        assert_eq!(value, "7");
        at.parse::<f64>().unwrap()
    };
    let at: Vec<f64> = seen.iter().map(at).collect();
    assert_eq!((at[1] - at[0], at[2] - at[1]), (1.0, 1.0), "{seen:?}");
}

#[test]
fn the_store_of_samples_is_looked_into_thinned_out_and_copied() {
    let b = Bench::start();
    b.set_up();
    let token = text(&b.run(&["token", "create", "sender", "--kind", "metrics"]));
    let lines = "disk,host=a used=1\ndisk,host=b used=2\ncpu,host=a idle=3\n";
    let sent = Command::new("curl")
        .args(["-sf", "-H", &format!("Authorization: Bearer {}", token.trim()), "--data-binary", lines])
        .arg(format!("{}/api/v2/write?bucket=t", b.url))
        .status()
        .unwrap();
    assert!(sent.success());

    let top = b.run(&["metrics", "cardinality", "--limit", "1000"]);
    assert_eq!(code(&top), 0, "{}", err(&top));
    let row = text(&top)
        .lines()
        .find(|l| l.starts_with("disk_used "))
        .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "));
    assert_eq!(row.as_deref(), Some("disk_used 2 2"), "{}", text(&top));
    let find = |args: &[&str]| {
        let found = b.run(&[&["metrics", "find", "--limit", "1000"][..], args].concat());
        assert_eq!(code(&found), 0, "{}", err(&found));
        text(&found)
    };
    let found = find(&["USED", "disk"]);
    assert!(found.starts_with("found: 1, with 2 series\n"), "{found}");
    assert!(found.lines().any(|l| l.starts_with("disk_used ")), "{found}");
    // No dashboard and no rule names it.
    let unnamed = find(&["idle", "--unnamed"]);
    assert!(unnamed.lines().any(|l| l.starts_with("cpu_idle ")), "{unnamed}");
    let sources = b.run(&["metrics", "sources", "--json"]);
    let sources: serde_json::Value = serde_json::from_slice(&sources.stdout).unwrap();
    assert_eq!((&sources["items"][0]["name"], &sources["items"][0]["samples"]), (&"sender".into(), &3.into()));
    assert_eq!(sources["items"][0]["exceeded"], serde_json::json!([]));

    let store = b.run(&["metrics", "store"]);
    assert_eq!(code(&store), 0, "{}", err(&store));
    let lines: Vec<String> = text(&store).lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in ["retention in days 15", "samples may come late by ms 1800000", "damaged files 0"] {
        assert!(lines.iter().any(|l| l == line), "{line:?} is not in {lines:?}");
    }

    let asked = b.run(&["metrics", "delete", "disk_used{host=\"a\"}", "--dry-run"]);
    assert_eq!(code(&asked), 0, "{}", err(&asked));
    assert!(text(&asked).starts_with("disk_used{") && err(&asked).contains("would be deleted from 1 series"));
    let left = || text(&b.run(&["query", "sum by (host) (disk_used)"]));
    assert_eq!(left().lines().count(), 2, "a question deletes nothing");
    let done = b.run(&["metrics", "delete", "disk_used{host=\"a\"}"]);
    assert_eq!(code(&done), 0, "{}", err(&done));
    assert_eq!(left().trim(), "{host=\"b\"} 2");
    assert_eq!(code(&b.run(&["metrics", "clean"])), 0);
    let wrong = b.run(&["metrics", "delete", "disk_used{"]);
    assert_eq!(code(&wrong), 2, "{}", err(&wrong));

    let taken = b.run(&["metrics", "snapshot"]);
    assert_eq!(code(&taken), 0, "{}", err(&taken));
    let copy = std::path::PathBuf::from(text(&taken).trim());
    let opened = tenfold_tsdb::Tsdb::open(&copy, tenfold_tsdb::Options::default()).unwrap().0;
    assert!(opened.stats().series > 2);
    let events = b.run(&["events", "--kind", "metrics.deleted"]);
    assert!(text(&events).contains("ana deletes the samples of 1 series"), "{}", text(&events));

    let viewer = text(&b.run(&["token", "create", "reader", "--role", "deployer"]));
    let (url, viewer) = (b.url.as_str(), viewer.trim());
    let refused = b.run_with(&["metrics", "snapshot"], &[("TENFOLD_TOKEN", viewer), ("TENFOLD_URL", url)], "");
    assert_eq!(code(&refused), 3, "{}", err(&refused));
}

#[test]
fn readiness_says_who_could_not_be_paged() {
    let b = Bench::start();
    b.set_up();
    assert_eq!(text(&b.run(&["oncall", "readiness"])).trim(), "", "nobody may be paged");
    let policies = b.dir.path().join("config/policies");
    std::fs::create_dir_all(&policies).unwrap();
    let policy = "steps: [{delay_ms: 60000, targets: [{kind: person, name: ana}]}]\n";
    std::fs::write(policies.join("photos.yaml"), policy).unwrap();
    let applied = b.run(&["apply", "config"]);
    assert_eq!(code(&applied), 0, "{}", err(&applied));
    let said = b.run(&["oncall", "readiness"]);
    let lines = text(&said);
    let lines: Vec<&str> = lines.lines().collect();
    let nobody = "the policy photos pages nobody who can be reached, now";
    assert_eq!(lines, ["Ana  has no address for a channel that is set up", nobody], "{}", err(&said));
    assert!(err(&applied).contains(nobody), "{}", err(&applied));
    let json = b.run(&["oncall", "readiness", "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(found["people"][0]["troubles"][0]["kind"], "no_way", "{found}");
}

#[test]
fn schedules_are_put_shown_and_deleted() {
    let b = Bench::start();
    b.set_up();
    let plan = "timezone: UTC\nrotation: {people: [ana], start: \"2026-11-23T08:00:00\", shift_length: 1w}\n";
    std::fs::write(b.dir.path().join("plan.yaml"), plan).unwrap();
    let put = b.run(&["schedules", "put", "web", "plan.yaml"]);
    assert_eq!(code(&put), 0, "{}", err(&put));
    assert!(text(&put).contains("version 1, UTC"), "{}", text(&put));
    let listed = text(&b.run(&["schedules", "list"]));
    assert!(listed.starts_with("web  ana until "), "{listed}");
    let shown = b.run(&["schedules", "show", "web", "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["plan"]["timezone"], "UTC", "{shown}");
    let policy = "steps: [{delay_ms: 60000, targets: [{kind: schedule, name: web}]}]\n";
    std::fs::write(b.dir.path().join("policy.yaml"), policy).unwrap();
    assert_eq!(code(&b.run(&["policies", "put", "web", "policy.yaml"])), 0);
    let kept = b.run(&["schedules", "delete", "web"]);
    assert!(code(&kept) != 0 && err(&kept).contains("the policy web pages the schedule web"), "{}", err(&kept));
    assert_eq!(code(&b.run(&["policies", "delete", "web"])), 0);
    assert_eq!(code(&b.run(&["schedules", "delete", "web"])), 0);
    let none = b.run(&["schedules", "list"]);
    assert!(text(&none).trim().is_empty() && err(&none).contains("nobody is on call"), "{}", err(&none));
}

/// A metrics page that is there for as long as the test runs.
fn metrics_page() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // All of the head, so that it is not broken off.
            let lines = BufReader::new(&stream).lines();
            if lines.map_while(Result::ok).take_while(|line| !line.is_empty()).count() == 0 {
                continue;
            }
            let (head, body) = ("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close", "x 1\n");
            let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        }
    });
    address
}

#[test]
fn targets_are_listed_with_what_is_down_first() {
    let there = metrics_page();
    // Nobody listens on the port that was free.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let of = |job: &str, address: &str| {
        let url = format!("http://{address}/metrics");
        format!("[[metrics.static_targets]]\njob = \"{job}\"\nurl = \"{url}\"\nlabels = {{zone = \"eu\"}}\n")
    };
    let settings = format!("[metrics]\nscrape_interval_ms = 200\n{}{}", of("a", &there), of("b", &gone));
    let b = Bench::start_with(&settings);
    b.set_up();
    let json = |args: &[&str]| -> serde_json::Value {
        let out = b.run(&[&["metrics", "targets", "--json"][..], args].concat());
        assert_eq!(code(&out), 0, "{}", err(&out));
        serde_json::from_slice(&out.stdout).unwrap()
    };
    let end = Instant::now() + PATIENCE;
    let scraped = loop {
        let list = json(&[]);
        if list["counts"]["unknown"] == 0 {
            break list;
        }
        assert!(Instant::now() < end, "both are scraped: {list}");
    };
    let jobs: Vec<&str> = scraped["items"].as_array().unwrap().iter().filter_map(|one| one["job"].as_str()).collect();
    assert_eq!(jobs, ["b", "a"], "{scraped}");
    let lines = b.run(&["metrics", "targets", "ZONE=eu"]);
    let told = text(&lines);
    let told: Vec<&str> = told.lines().collect();
    assert!(told.len() == 2 && told[0].starts_with("▲ down  b  ") && told[1].starts_with("● up  a  "), "{told:?}");
    assert!(err(&lines).contains("1 down, 0 not scraped yet, 1 up, in 2 job(s); listed: 2"), "{}", err(&lines));
    let one = json(&["--health", "up", "--job", "a", "--limit", "1"]);
    let items = one["items"].as_array().unwrap();
    assert!(items.len() == 1 && items[0]["job"] == "a", "{one}");
    let first = json(&["--limit", "1"]);
    assert!(first["items"][0]["job"] == "b" && first["next"].is_string(), "{first}");
    let none = b.run(&["metrics", "targets", "nowhere"]);
    assert!(text(&none).is_empty() && err(&none).contains("no target is like this"), "{}", err(&none));
    let wrong = b.run(&["metrics", "targets", "--health", "bad"]);
    assert_eq!(code(&wrong), 2, "{}", err(&wrong));
    assert!(err(&wrong).contains("`bad` is not a health of a target"), "{}", err(&wrong));
}
