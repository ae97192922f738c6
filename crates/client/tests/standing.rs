//! What stands when the server does not: cold starts, files that are torn, answers that never come, and the end.

mod support;

use std::sync::mpsc;
use std::time::{Duration, Instant};

use support::{LONG, Reply, Server, client, document, told};
use tenfold_client::{Client, Context, Event, Mode, Origin, StartError};

/// Nobody listens here: the discard port, on loopback.
const NOBODY: &str = "http://127.0.0.1:9";

fn serving(document: String) -> Server {
    Server::start(move |request| match &request.line {
        line if line.contains("/features") => Reply::Full("200 OK\r\nETag: \"1\"", document.clone().into()),
        line if line.contains("/streaming") => Reply::Full("501 Not Implemented", Vec::new()),
        _ => Reply::Full("202 Accepted", Vec::new()),
    })
}

#[test]
fn a_cold_start_without_the_server_has_the_last_state() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flags.state");
    let server = serving(document("a", true));
    let (builder, events) = client(&server.url);
    let flags = builder.state_file(&path).start().unwrap();
    told(&events, "definitions", |e| matches!(e, Event::Updated { origin: Origin::Server, .. }));
    drop(flags); // writes what is not written yet
    let (builder, events) = client(NOBODY);
    let flags = builder.state_file(&path).bootstrap(document("a", false)).start().unwrap();
    assert!(flags.bool("a", &Context::new(), false), "at once, and the file before the bootstrap");
    assert_eq!(events.recv().unwrap(), Event::Updated { origin: Origin::File, flags: 1 });
    told(&events, "that nobody is there", |e| matches!(e, Event::Unreachable { .. }));
    assert!(flags.bool("a", &Context::new(), false));
}

#[test]
fn a_torn_file_is_told_and_the_bootstrap_serves() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flags.state");
    for content in ["", "tenfold-flags-1 900 00000000\n{\"docu", "\0\0\0\0"] {
        std::fs::write(&path, content).unwrap();
        let (builder, events) = client(NOBODY);
        let flags = builder.state_file(&path).bootstrap(document("a", true)).start().unwrap();
        told(&events, "the torn file", |e| matches!(e, Event::StateIgnored { .. }));
        assert!(flags.bool("a", &Context::new(), false), "{content:?}");
    }
}

#[test]
fn with_nothing_at_all_the_defaults_of_the_calls_are_answered() {
    let (builder, _events) = client(NOBODY);
    let flags = builder.start().unwrap();
    let nobody = Context::new();
    assert!(!flags.wait_for_definitions(Duration::from_millis(1)));
    assert!(flags.bool("a", &nobody, true));
    assert_eq!(flags.string("a", &nobody, "x"), "x");
    assert_eq!(flags.int("a", &nobody, 7), 7);
    assert_eq!(flags.float("a", &nobody, 0.5), 0.5);
    assert_eq!(flags.object("a", &nobody, serde_json::json!({"k": 1})), serde_json::json!({"k": 1}));
    assert_eq!(flags.variant("a", &nobody).name, "disabled");
    assert_eq!(flags.details("a", &nobody), None);
    assert!(!flags.is_enabled("a", &nobody));
}

#[test]
fn typed_values_and_what_does_not_fit_the_type() {
    let features = serde_json::json!({"version": 2, "features": [
        {"name": "colour", "enabled": true, "valueType": "string", "offValue": "grey", "strategies": [],
         "variants": [{"name": "r", "weight": 1, "payload": {"type": "string", "value": "red"}}]},
        {"name": "limit", "enabled": false, "valueType": "int", "offValue": 10, "strategies": []},
        {"name": "share", "enabled": true, "valueType": "float", "offValue": 1, "strategies": []},
        {"name": "box", "enabled": true, "valueType": "object", "offValue": {"w": 3}, "strategies": []}]});
    let flags = Client::builder("", "").mode(Mode::Offline).bootstrap(features.to_string()).start().unwrap();
    let person = flags.context().with("userId", "7");
    assert_eq!(flags.string("colour", &person, ""), "red");
    assert_eq!(flags.variant("colour", &person).payload.unwrap().value, "red");
    assert_eq!(flags.int("limit", &person, -1), 10, "off: its off value");
    assert_eq!((flags.float("share", &person, -1.0), flags.int("share", &person, -1)), (1.0, -1));
    assert_eq!(flags.object("box", &person, serde_json::json!({})), serde_json::json!({"w": 3}));
    assert!(flags.bool("colour", &person, true) && flags.is_enabled("colour", &person), "a string is no bool");
    let details = flags.details("limit", &person).unwrap();
    assert_eq!((details.enabled, details.variant.as_str(), details.reason.name()), (false, "off", "DISABLED"));
}

#[test]
fn a_server_that_never_answers_delays_nobody() {
    let server = Server::start(|_| Reply::Silence);
    let (builder, _events) = client(&server.url);
    let flags = builder.bootstrap(document("a", true)).start().unwrap();
    server.request("/streaming");
    let started = Instant::now();
    for _ in 0..10_000 {
        assert!(flags.bool("a", &Context::new(), false));
    }
    assert!(started.elapsed() < LONG, "it waited for the server");
    let started = Instant::now();
    drop(flags); // a read is under way, and the last counts find no taker
    assert!(started.elapsed() < Duration::from_secs(5), "the end took {:?}", started.elapsed());
}

#[test]
fn a_silent_stream_is_given_up() {
    let (send, pieces) = mpsc::channel();
    let mut pieces = Some(pieces);
    let server = Server::start(move |request| match pieces.take_if(|_| request.line.contains("/streaming")) {
        Some(pieces) => Reply::Stream(pieces),
        None => Reply::Full("503 Service Unavailable", Vec::new()),
    });
    let (builder, events) = client(&server.url);
    let flags = builder.idle_limit(Duration::from_millis(300)).start().unwrap();
    send.send("event: unleash-connected\ndata: {\"events\":[{\"type\":\"hydration\",\"eventId\":1,\"features\":[{\"name\":\"a\",\"enabled\":true}]}]}\n\n".into()).unwrap();
    told(&events, "that it ended", |e| matches!(e, Event::StreamEnded { .. }));
    assert!(flags.is_enabled("a", &Context::new()));
    drop(send);
}

#[test]
fn a_listener_that_panics_stops_nothing() {
    let server = serving(document("a", true));
    let (tell, told) = mpsc::channel();
    let (builder, _) = client(&server.url);
    let flags = builder
        .on_event(move |event| {
            let _ = tell.send(event.clone());
            panic!("a listener's own trouble");
        })
        .start()
        .unwrap();
    assert!(flags.wait_for_definitions(LONG));
    assert!(told.recv_timeout(LONG).is_ok());
    server.request("/features");
    server.request("/features");
    assert!(flags.is_enabled("a", &Context::new()));
}

#[test]
fn counts_arrive_also_those_of_a_failed_report_and_of_the_last_moment() {
    let mut reports = 0;
    let server = Server::start(move |request| match &request.line {
        line if line.contains("/features") => Reply::Full("200 OK\r\nETag: \"1\"", document("a", true).into()),
        line if line.contains("/metrics") => {
            reports += 1;
            Reply::Full(if reports == 1 { "500 Internal Server Error" } else { "202 Accepted" }, Vec::new())
        }
        _ => Reply::Full("202 Accepted", Vec::new()),
    });
    let (builder, events) = client(&server.url);
    let builder = builder.mode(Mode::Polling).app_name("photos").counts_interval(Duration::from_millis(50));
    let builder = builder.farewell_limit(LONG);
    let flags = builder.start().unwrap();
    assert!(flags.wait_for_definitions(LONG));
    for _ in 0..3 {
        flags.is_enabled("a", &Context::new());
    }
    told(&events, "the failed report", |e| matches!(e, Event::CountsNotSent { .. }));
    flags.is_enabled("a", &Context::new());
    drop(flags);
    let mut sum = 0;
    let mut failed = true;
    while let Ok(request) = server.requests.try_recv() {
        if request.line.contains("POST /api/client/metrics") {
            let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
            assert_eq!(body["appName"], "photos");
            if !std::mem::take(&mut failed) {
                sum += body["bucket"]["toggles"]["a"]["yes"].as_u64().unwrap();
            }
        }
    }
    assert_eq!(sum, 4);
}

#[test]
fn threads_share_one_client() {
    let flags = Client::builder("", "").mode(Mode::Offline).bootstrap(document("a", true)).start().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1_000).all(|_| flags.is_enabled("a", &Context::new())));
        }
    });
}

#[test]
fn wrong_arguments_are_named() {
    let error = |builder: tenfold_client::Builder| builder.start().err().unwrap();
    for url in ["", "localhost:4000", "ftp://x", "http://", "http:///x"] {
        assert!(matches!(error(Client::builder(url, "t")), StartError::Url(_)), "{url}");
    }
    assert!(matches!(error(Client::builder(NOBODY, "a\nb")), StartError::Header("authorization")));
    assert!(matches!(error(Client::builder(NOBODY, "t").bootstrap("{")), StartError::Bootstrap(_)));
}
