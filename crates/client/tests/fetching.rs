//! How definitions reach the client: polling with entity tags, the stream, and what happens when either does not work.

mod support;

use std::io::Write;
use std::sync::mpsc;
use std::time::Duration;

use flate2::{Compression, write::GzEncoder};
use support::{Reply, Server, client, document, told};
use tenfold_client::{Context, Event, Mode, Origin};

const JSON: &str = "200 OK\r\nContent-Type: application/json\r\nETag: \"1\"";

fn updated(event: &Event) -> bool {
    matches!(event, Event::Updated { origin: Origin::Server, .. })
}

#[test]
fn polls_with_the_entity_tag_and_sees_a_change() {
    let mut asked = 0;
    let server = Server::start(move |request| {
        if !request.line.contains("/api/client/features") {
            return Reply::Full("202 Accepted", Vec::new());
        }
        asked += 1;
        match (asked, request.header("if-none-match")) {
            (1, None) => Reply::Full(JSON, document("a", false).into()),
            (2, Some("\"1\"")) => Reply::Full("304 Not Modified", Vec::new()),
            (_, Some(_)) => Reply::Full("200 OK\r\nETag: \"2\"", document("a", true).into()),
            (n, None) => panic!("request {n} without an entity tag"),
        }
    });
    let (builder, events) = client(&server.url);
    let flags = builder.mode(Mode::Polling).app_name("photos").start().unwrap();
    told(&events, "definitions", updated);
    assert!(!flags.bool("a", &Context::new(), true));
    let first = server.request("GET /api/client/features");
    assert_eq!(first.header("authorization"), Some("the token"));
    assert_eq!(first.header("unleash-appname"), Some("photos"));
    told(&events, "the change", updated);
    assert!(flags.bool("a", &Context::new(), false));
}

#[test]
fn definitions_come_in_gzip() {
    let server = Server::start(|request| match request.header("accept-encoding") {
        Some(encodings) if encodings.contains("gzip") => {
            let mut packed = GzEncoder::new(Vec::new(), Compression::default());
            packed.write_all(document("a", true).as_bytes()).unwrap();
            Reply::Full("200 OK\r\nContent-Encoding: gzip", packed.finish().unwrap())
        }
        _ => Reply::Silence,
    });
    let (builder, events) = client(&server.url);
    let flags = builder.mode(Mode::Polling).start().unwrap();
    told(&events, "definitions", updated);
    assert!(flags.bool("a", &Context::new(), false));
}

#[test]
fn a_stream_hydrates_and_changes_one_flag() {
    let (send, pieces) = mpsc::channel();
    let mut pieces = Some(pieces);
    let server = Server::start(move |request| match pieces.take_if(|_| request.line.contains("/streaming")) {
        Some(pieces) => Reply::Stream(pieces),
        None => Reply::Silence,
    });
    let (builder, events) = client(&server.url);
    let flags = builder.start().unwrap();
    let hydration = r#"{"events":[{"type":"hydration","eventId":1,"features":[{"name":"a","enabled":false},{"name":"b","enabled":true}],"segments":[]}]}"#;
    send.send(format!("event: unleash-connected\nid: 1\ndata: {hydration}\n\n")).unwrap();
    told(&events, "hydration", updated);
    assert_eq!((flags.is_enabled("a", &Context::new()), flags.flags()), (false, 2));
    let change = r#"{"events":[{"type":"feature-updated","eventId":2,"feature":{"name":"a","enabled":true}},{"type":"of-the-future","eventId":3},{"type":"feature-removed","eventId":4,"featureName":"b","project":"default"}]}"#;
    send.send(format!(": keep-alive\n\nevent: unleash-updated\nid: 4\ndata: {change}\n\n")).unwrap();
    told(&events, "the change", updated);
    assert_eq!((flags.is_enabled("a", &Context::new()), flags.flags()), (true, 1));
    // The stream breaks: what is known stands, and the next one says how far this one came.
    assert_eq!(server.request("/streaming").header("last-event-id"), None);
    drop(send);
    told(&events, "the end", |e| matches!(e, Event::StreamEnded { .. }));
    assert!(flags.is_enabled("a", &Context::new()));
    assert_eq!(server.request("/streaming").header("last-event-id"), Some("4"));
}

#[test]
fn without_a_stream_it_polls() {
    let server = Server::start(|request| {
        if request.line.contains("/streaming") {
            Reply::Full("404 Not Found", Vec::new())
        } else {
            Reply::Full(JSON, document("a", true).into())
        }
    });
    let (builder, events) = client(&server.url);
    let flags = builder.start().unwrap();
    told(&events, "definitions", updated);
    assert!(flags.is_enabled("a", &Context::new()));
}

#[test]
fn a_page_in_place_of_the_stream_is_no_stream() {
    let server = Server::start(|request| {
        if request.line.contains("/streaming") {
            Reply::Full("200 OK\r\nContent-Type: text/html", "<h1>Sign in</h1>".into())
        } else {
            Reply::Full(JSON, document("a", true).into())
        }
    });
    let (builder, events) = client(&server.url);
    let _flags = builder.start().unwrap();
    told(&events, "definitions", updated);
}

#[test]
fn waits_as_long_as_the_server_asks() {
    for (head, asked) in [
        ("503 Service Unavailable\r\nRetry-After: 7", Duration::from_secs(7)),
        // An hour, of all that it asks for.
        ("503 Service Unavailable\r\nRetry-After: Thu, 31 Dec 2099 23:59:59 GMT", Duration::from_hours(1)),
    ] {
        let server = Server::start(move |_| Reply::Full(head, Vec::new()));
        let (builder, events) = client(&server.url);
        let _flags = builder.start().unwrap();
        let event = told(&events, "the wait", |e| matches!(e, Event::Unreachable { .. }));
        let Event::Unreachable { reason, retry_in } = event else { unreachable!() };
        assert!(reason.contains("503"), "{reason}");
        assert!((asked..asked + Duration::from_secs(1)).contains(&retry_in), "{retry_in:?}");
    }
}

#[test]
fn a_refused_token_leaves_the_last_state() {
    let mut asked = 0;
    let server = Server::start(move |_| {
        asked += 1;
        if asked == 1 {
            Reply::Full(JSON, document("a", true).into())
        } else {
            Reply::Full("401 Unauthorized", "{}".into())
        }
    });
    let (builder, events) = client(&server.url);
    let flags = builder.mode(Mode::Polling).start().unwrap();
    told(&events, "the refusal", |e| matches!(e, Event::Refused { status: 401, .. }));
    assert!(flags.is_enabled("a", &Context::new()));
}

#[test]
fn what_cannot_be_read_is_not_taken() {
    let mut asked = 0;
    let server = Server::start(move |request| {
        if !request.line.contains("/features") {
            return Reply::Full("202 Accepted", Vec::new());
        }
        asked += 1;
        match asked {
            1 => Reply::Full(JSON, document("a", true).into()),
            2 => Reply::Full("200 OK", "<html>".into()),
            3 => Reply::Full("200 OK", r#"{"version":2,"features":[{"name":1}]}"#.into()),
            _ => Reply::Full("200 OK", document("b", true).into()),
        }
    });
    let (builder, events) = client(&server.url);
    let flags = builder.mode(Mode::Polling).start().unwrap();
    for _ in 0..2 {
        told(&events, "the refusal", |e| matches!(e, Event::DocumentIgnored { .. }));
        assert!(flags.is_enabled("a", &Context::new()));
    }
    told(&events, "the next document", updated);
    assert!(flags.is_enabled("b", &Context::new()));
}

#[test]
fn a_change_that_cannot_be_read_brings_everything_again() {
    let hydration = |enabled| {
        format!(
            "event: unleash-connected\nid: 1\ndata: {{\"events\":[{{\"type\":\"hydration\",\"eventId\":1,\"features\":[{{\"name\":\"a\",\"enabled\":{enabled}}}]}}]}}\n\n"
        )
    };
    let mut opened = 0;
    let mut open = Vec::new();
    let server = Server::start(move |request| {
        if !request.line.contains("/streaming") {
            return Reply::Full("202 Accepted", Vec::new());
        }
        opened += 1;
        let (send, pieces) = mpsc::channel();
        if opened == 1 {
            send.send(hydration(false)).unwrap();
            send.send("event: unleash-updated\nid: 2\ndata: {\"events\":[{\"type\":\"feature-updated\",\"eventId\":2,\"feature\":{\"name\":\"a\",\"enabled\":true}},{\"type\":\"feature-updated\",\"eventId\":3,\"feature\":7}]}\n\n".into()).unwrap();
        } else {
            send.send(hydration(true)).unwrap();
        }
        open.push(send);
        Reply::Stream(pieces)
    });
    let (builder, events) = client(&server.url);
    let flags = builder.start().unwrap();
    told(&events, "what was wrong", |e| matches!(e, Event::DocumentIgnored { .. }));
    assert!(!flags.is_enabled("a", &Context::new()), "nothing of a broken change is taken");
    told(&events, "everything again", updated);
    assert!(flags.is_enabled("a", &Context::new()));
    server.request("/streaming");
    assert_eq!(server.request("/streaming").header("last-event-id"), None);
}
