//! Streams of server-sent events: a deploy until it ends, the record as it is written.

use futures_util::StreamExt;
use serde_json::Value;

use super::client::Client;
use super::out::{Exit, Failure, Out, number, short, talk, text};

/// How often a stream that broke is opened again before it is given up.
const TRIES_MAX: u32 = 5;
const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// One event of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub id: Option<i64>,
    pub name: String,
    pub data: String,
}

/// Cuts bytes into events (the `text/event-stream` format of HTML).
#[derive(Debug, Default)]
pub struct Cutter {
    buffer: Vec<u8>,
    event: Event,
}

impl Cutter {
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>, Failure> {
        self.buffer.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                if !event.data.is_empty() {
                    events.push(event);
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut self.event.name),
                "id" => self.event.id = value.parse().ok(),
                "data" => {
                    if !self.event.data.is_empty() {
                        self.event.data.push('\n');
                    }
                    self.event.data.push_str(value);
                }
                _ => {}
            }
        }
        if self.buffer.len() + self.event.data.len() > EVENT_BYTES_MAX {
            return Err(Failure::failed(format!("the server sent an event of more than {EVENT_BYTES_MAX} bytes")));
        }
        Ok(events)
    }
}

/// Reads a stream until `each` has enough; opens it again where it broke off.
pub async fn stream(
    client: &Client,
    path: &str,
    query: &[(&str, &str)],
    each: impl FnMut(&Event, &Value) -> bool,
) -> Result<(), Failure> {
    reopened(client, path, query, None, each).await
}

/// The same of a question with a body.
pub async fn stream_of(
    client: &Client,
    path: &str,
    body: &Value,
    each: impl FnMut(&Event, &Value) -> bool,
) -> Result<(), Failure> {
    reopened(client, path, &[], Some(body), each).await
}

async fn reopened(
    client: &Client,
    path: &str,
    query: &[(&str, &str)],
    body: Option<&Value>,
    mut each: impl FnMut(&Event, &Value) -> bool,
) -> Result<(), Failure> {
    let mut last = None;
    let mut tries = 0;
    loop {
        let mut cutter = Cutter::default();
        match client.stream(path, query, body, last).await {
            Ok(response) => {
                let mut bytes = response.bytes_stream();
                while let Some(Ok(chunk)) = bytes.next().await {
                    tries = 0;
                    for event in cutter.feed(&chunk)? {
                        last = event.id.or(last);
                        let value = serde_json::from_str(&event.data).unwrap_or(Value::Null);
                        if each(&event, &value) {
                            return Ok(());
                        }
                    }
                }
            }
            Err(failure) if failure.exit != Exit::Failed || tries >= TRIES_MAX => return Err(failure),
            Err(_) => {}
        }
        tries += 1;
        if tries > TRIES_MAX {
            return Err(Failure::new(Exit::Inconclusive, format!("the stream broke {tries} times; giving up")));
        }
        tokio::time::sleep(std::time::Duration::from_millis(200 << tries)).await;
    }
}

/// Follows a deploy to its end: its log to stderr, the deploy itself to stdout. The exit tells how it went.
pub async fn deploy(client: &Client, out: Out, deploy: i64) -> Result<Exit, Failure> {
    let path = format!("/api/deploys/{deploy}/log");
    let mut state = String::new();
    stream(client, &path, &[("follow", "true")], |event, value| match event.name.as_str() {
        "line" => {
            talk(&log_line(value));
            false
        }
        "deploy" => {
            if text(value, "state") != state {
                text(value, "state").clone_into(&mut state);
                talk(&format!("-- {}", state.replace('_', " ")));
            }
            // One that waits for a person goes on without us.
            waits(&state)
        }
        "end" => true,
        _ => false,
    })
    .await?;
    let done = client.get(&format!("/api/deploys/{deploy}"), &[]).await?;
    out.answer(&done, |d| vec![deploy_line(d, out)]);
    Ok(exit_of(&done))
}

fn waits(state: &str) -> bool {
    matches!(state, "awaiting_approval" | "held" | "needs_human")
}

/// What a deploy's state means for a script.
pub fn exit_of(deploy: &Value) -> Exit {
    let rollback = text(deploy, "kind") == "rollback";
    match text(deploy, "state") {
        "succeeded" => Exit::Done,
        "rolled_back" if rollback => Exit::Done,
        "failed" | "rolled_back" | "cancelled" => Exit::Failed,
        _ => Exit::Inconclusive,
    }
}

pub fn deploy_line(deploy: &Value, out: Out) -> String {
    let from = deploy.get("from_sha").and_then(Value::as_str).map_or("nothing", short);
    let mut line = format!(
        "{} {} of {} to {} by {}: {}, {from} -> {}",
        text(deploy, "kind"),
        number(deploy, "number"),
        text(deploy, "service"),
        text(deploy, "environment"),
        text(deploy, "actor_name"),
        out.state(text(deploy, "state")),
        short(text(deploy, "to_sha"))
    );
    let error = text(deploy, "error");
    if !error.is_empty() {
        line = format!("{line} ({error})");
    }
    line
}

pub fn log_line(line: &Value) -> String {
    match line.get("host").and_then(Value::as_str) {
        Some(host) => format!("{host}: {}", text(line, "text")),
        None => text(line, "text").to_owned(),
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn events_are_cut_wherever_the_bytes_break() {
        let stream = "event: line\nid: 7\ndata: {\"a\":\ndata: 1}\n\n: comment\r\n\r\nevent: end\r\ndata: {}\r\n\r\n";
        for cut in 0..stream.len() {
            let mut cutter = Cutter::default();
            let mut events = cutter.feed(&stream.as_bytes()[..cut]).unwrap();
            events.extend(cutter.feed(&stream.as_bytes()[cut..]).unwrap());
            let line = Event { id: Some(7), name: "line".into(), data: "{\"a\":\n1}".into() };
            let end = Event { id: None, name: "end".into(), data: "{}".into() };
            assert_eq!(events, [line, end], "cut at {cut}");
        }
    }

    #[test]
    fn what_is_not_over_is_inconclusive() {
        let exit = |kind: &str, state: &str| exit_of(&serde_json::json!({"kind": kind, "state": state}));
        assert_eq!(exit("deploy", "succeeded"), Exit::Done);
        assert_eq!(exit("deploy", "rolled_back"), Exit::Failed);
        assert_eq!(exit("rollback", "rolled_back"), Exit::Done);
        for state in ["awaiting_approval", "held", "needs_human", "interrupted", "canary", ""] {
            assert_eq!(exit("deploy", state), Exit::Inconclusive, "{state}");
        }
    }
}
