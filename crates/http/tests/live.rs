//! Queries that are followed: one evaluation for all who look, points as their steps come, an end with the token.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod common;

use std::time::Duration;

use axum::body::{Body, BodyDataStream, to_bytes};
use axum::http::{Request, StatusCode, header};
use common::World;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tenfold_app::people::TokenKind;
use tenfold_app::{Caller, Role};
use tenfold_tsdb::Sample;
use tenfold_types::{Labels, Timestamp};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// What anything here may take.
const SOON: Duration = Duration::from_mins(1);

/// A server whose loops run, at the beginning of a second.
struct Served {
    world: World,
    token: String,
    start: Timestamp,
    stop: CancellationToken,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A stream of events, read one after the other.
struct Events {
    body: BodyDataStream,
    text: String,
}

impl Events {
    /// The next event that is no heartbeat; `None` when the stream ended.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
                let read = (field("event: ").to_owned(), serde_json::from_str(field("data: ")).unwrap_or_default());
                if read.0 != "ping" {
                    return Some(read);
                }
            }
            let piece = tokio::time::timeout(SOON, self.body.next()).await.expect("an event in time")?;
            self.text.push_str(&String::from_utf8_lossy(&piece.ok()?));
        }
    }
}

impl Served {
    async fn new() -> Self {
        let world = common::world().await;
        let token = world.token(TokenKind::Robot, Some(Role::Viewer)).await;
        let start = Timestamp(world.app.now().millis().div_euclid(10_000) * 10_000 + 10_000);
        world.clock.set(start);
        let stop = CancellationToken::new();
        tokio::spawn(tenfold_app::metrics::run(world.app.clone(), stop.clone()));
        Self { world, token, start, stop }
    }

    /// A sample of each of these jobs at this moment.
    fn up(&self, jobs: &[&str], value: f64) {
        let series = |job: &str| Labels::from_pairs([("__name__", "up"), ("job", job)]);
        let now_ms = self.world.app.now().millis();
        let samples: Vec<Sample> = jobs.iter().map(|job| Sample::new(series(job), now_ms, value)).collect();
        self.world.app.metrics.append(&samples).unwrap();
    }

    async fn ask(&self, question: &Value) -> (StatusCode, Body) {
        let request = Request::post("/api/metrics/live")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(question.to_string()))
            .unwrap();
        let response = self.world.router.clone().oneshot(request).await.unwrap();
        (response.status(), response.into_body())
    }

    async fn follow(&self, queries: &[&str]) -> Events {
        let queries: Vec<Value> = queries.iter().map(|query| json!({"query": query, "step_ms": 1_000})).collect();
        let (status, body) = self.ask(&json!({"queries": queries})).await;
        assert_eq!(status, StatusCode::OK);
        let mut events = Events { body: body.into_data_stream(), text: String::new() };
        let ready = events.next().await.unwrap();
        assert_eq!((ready.0.as_str(), &ready.1["queries"]), ("ready", &json!(queries.len())));
        events
    }

    /// Why a question is refused.
    async fn refused(&self, question: Value) -> (StatusCode, String) {
        let (status, body) = self.ask(&question).await;
        let body: Value = serde_json::from_slice(&to_bytes(body, 1 << 16).await.unwrap()).unwrap();
        (status, body["error"]["message"].as_str().unwrap().to_owned())
    }

    fn evaluations(&self) -> f64 {
        let counted = |result| self.world.app.metrics.own.get("tenfold_live_evaluations_total", &[("result", result)]);
        counted("ok") + counted("failed")
    }

    fn seconds(&self, after: i64) -> f64 {
        self.start.plus_ms(after * 1_000).seconds()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_look_at_one_graph_cost_one_evaluation() {
    let s = Served::new().await;
    s.up(&["web"], 1.0);
    let (mut first, mut second) = (s.follow(&["up", "sum(up)"]).await, s.follow(&["sum(up)"]).await);
    for after in 1..=3 {
        s.world.clock.advance_ms(1_000);
        s.up(&["web"], after as f64);
        let mut told = [first.next().await.unwrap(), first.next().await.unwrap()];
        told.sort_by_key(|(_, data)| data["query"].as_u64());
        let other = second.next().await.unwrap();
        for (name, data) in told.iter().chain([&other]) {
            assert_eq!((name.as_str(), &data["missed"]), ("points", &json!(false)), "{data}");
            let steps = (data["from"].as_f64(), data["to"].as_f64());
            assert_eq!(steps, (Some(s.seconds(after - 2)), Some(s.seconds(after))), "{data}");
        }
        assert_eq!(told[0].1["result"][0]["metric"], json!({"__name__": "up", "job": "web"}));
        assert_eq!(told[1].1["result"], other.1["result"], "both are told the same");
        assert_eq!(s.evaluations(), (after * 2) as f64, "two queries, however many look at them");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_fails_later_says_so_and_goes_on() {
    let s = Served::new().await;
    let mut events = s.follow(&["up + on() up"]).await;
    s.up(&["web", "db"], 1.0);
    s.world.clock.advance_ms(1_000);
    let (name, data) = events.next().await.unwrap();
    assert_eq!((name.as_str(), &data["query"]), ("fault", &json!(0)), "{data}");
    assert!(!data["message"].as_str().unwrap().is_empty());
    s.world.clock.advance_ms(400_000);
    let (name, data) = events.next().await.unwrap();
    assert_eq!((name.as_str(), &data["result"]), ("points", &json!([])), "both series have ended by then: {data}");
    assert_eq!(data["missed"], json!(true), "more steps than one answer covers: {}", data["from"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_followed_is_refused_by_its_place() {
    let s = Served::new().await;
    let of = |query: Value| json!({"queries": [{"query": "up", "step_ms": 1_000}, query]});
    let long = "a".repeat(5_000);
    for (question, status, wanted) in [
        (json!({"queries": []}), 422, "1 to 128 queries"),
        (json!({"queries": vec![json!({"query": "up", "step_ms": 1_000}); 129]}), 422, "not 129"),
        (of(json!({"query": "sum(up", "step_ms": 1_000})), 400, "query 1: "),
        (of(json!({"query": long, "step_ms": 1_000})), 422, "query 1: it has 5000 bytes"),
        (of(json!({"query": "up", "step_ms": 10})), 422, "`step_ms` is 10"),
        (of(json!({"query": "up", "step_ms": 1_000, "offset_ms": 1_000})), 422, "`offset_ms` is 1000"),
    ] {
        let refused = s.refused(question.clone()).await;
        assert_eq!(refused.0.as_u16(), status, "{question}: {refused:?}");
        assert!(refused.1.contains(wanted), "{question}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_token() {
    let s = Served::new().await;
    let mut events = s.follow(&["up"]).await;
    let id = s.world.app.token_by_secret(&s.token).unwrap().id.clone();
    s.world.app.token_revoke(&Caller::system(), &id).await.unwrap();
    assert_eq!(events.next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_the_guide_follows() {
    let guide = include_str!("../../../docs/guide/metrics.md");
    let (_, after) = guide.split_once("/api/metrics/live\"").expect("it has the command");
    let (example, _) = after.split_once("-d '").and_then(|(_, rest)| rest.split_once('\'')).expect("with a body");
    let s = Served::new().await;
    s.up(&["web", "db"], 1.0);
    let (status, body) = s.ask(&serde_json::from_str(example).unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    let mut events = Events { body: body.into_data_stream(), text: String::new() };
    assert_eq!(events.next().await.unwrap().0, "ready");
    s.world.clock.advance_ms(1_000);
    let (name, data) = events.next().await.unwrap();
    assert_eq!((name.as_str(), data["result"].as_array().map(Vec::len)), ("points", Some(2)), "{data}");
}
