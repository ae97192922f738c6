//! A schedule that follows a calendar on a real server: set on the command line, kept over a kill while the calendar is away.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod bench;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bench::{Bench, code, err, text};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);
/// ana, each day; nobody knows bob.
const ICS: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n\
    BEGIN:VEVENT\r\nUID:1\r\nSUMMARY:On call: ana\r\nDTSTART:20260101T000000Z\r\nDURATION:P1D\r\nRRULE:FREQ=DAILY\r\nEND:VEVENT\r\n\
    BEGIN:VEVENT\r\nUID:2\r\nSUMMARY:bob\r\nDTSTART:20260101T000000Z\r\nDURATION:PT1H\r\nRRULE:FREQ=DAILY\r\nEND:VEVENT\r\n\
    END:VCALENDAR\r\n";

/// The calendar's host, which answers as it is told.
fn site(status: Arc<Mutex<&'static str>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/private-s3cret/basic.ics", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let lines = BufReader::new(&stream).lines();
            // All of the head, so that it is not broken off.
            let read = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).count();
            let status = *status.lock().unwrap();
            let body = if read > 0 && status.starts_with("200") { ICS } else { "" };
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nETag: \"1\"\r\nConnection: close\r\n\r\n{body}"
            );
        }
    });
    address
}

/// What a command says in JSON, by a token that outlives the server's address.
fn asked(bench: &Bench, token: &str, args: &[&str]) -> Value {
    let env = [("TENFOLD_URL", bench.url.as_str()), ("TENFOLD_TOKEN", token)];
    let out = bench.run_with(&[args, &["--json"]].concat(), &env, "");
    assert_eq!(code(&out), 0, "{args:?}: {}", err(&out));
    serde_json::from_slice(&out.stdout).unwrap()
}

fn until(bench: &Bench, token: &str, what: &str, so: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let shown = asked(bench, token, &["schedules", "show", "photos"]);
        if so(&shown["calendar"]) {
            return shown;
        }
        assert!(Instant::now() < end, "{what}: {shown}");
    }
}

#[test]
fn it_is_followed_and_outlives_a_kill_while_its_host_is_away() {
    let status = Arc::new(Mutex::new("200 OK"));
    let url = site(status.clone());
    let mut bench = Bench::start();
    bench.set_up();
    let made = bench.run(&["token", "create", "reader", "--kind", "robot", "--role", "viewer", "--json"]);
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let token = made["secret"].as_str().unwrap().to_owned();

    std::fs::write(bench.dir.path().join("plan.yaml"), format!("timezone: UTC\ncalendar: {{url: \"{url}\"}}\n"))
        .unwrap();
    let put = bench.run(&["schedules", "put", "photos", "plan.yaml"]);
    assert_eq!(code(&put), 0, "{}", err(&put));
    let shown = until(&bench, &token, "it is read", |calendar| calendar["read_at"].is_string());
    assert_eq!(shown["on_call"]["person"]["login"], "ana", "{shown}");
    let said = text(&bench.run(&["schedules", "show", "photos"]));
    assert!(said.contains("calendar at 127.0.0.1:") && said.contains("`bob`"), "{said}");
    let preview = asked(&bench, &token, &["oncall", "preview", "photos", "--for", "90d"]);
    assert_eq!((&preview["gap_ms"], &preview["spans"][0]["people"][0]), (&0.into(), &"ana".into()), "{preview}");
    let export = text(&bench.run(&["export", "out"]));
    let file = std::fs::read_to_string(bench.dir.path().join("out/schedules/photos.yaml")).unwrap();
    assert!(file.contains("/hidden") && !file.contains("s3cret"), "{file}{export}");

    *status.lock().unwrap() = "503 Service Unavailable";
    bench.kill_and_start();
    let shown = until(&bench, &token, "it cannot be read", |calendar| calendar["failing_since"].is_string());
    assert_eq!(shown["on_call"]["person"]["login"], "ana", "{shown}");
    assert_eq!(shown["calendar"]["failure"], "it answers 503 Service Unavailable");
    let readiness = asked(&bench, &token, &["oncall", "readiness"]).to_string();
    assert!(readiness.contains("cannot be read from 127.0.0.1:"), "{readiness}");
    let events = asked(&bench, &token, &["events", "--kind", "schedule."]).to_string();
    for kind in ["schedule.changed", "schedule.calendar_changed", "schedule.calendar_failing"] {
        assert!(events.contains(&format!("\"{kind}\"")), "{kind}: {events}");
    }
    for shown in [shown.to_string(), readiness, events] {
        assert!(!shown.contains("s3cret"), "{shown}");
    }
    *status.lock().unwrap() = "304 Not Modified";
    bench.kill_and_start();
    until(&bench, &token, "it is read again", |calendar| !calendar["failing_since"].is_string());
}
