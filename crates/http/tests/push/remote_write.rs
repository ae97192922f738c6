//! Remote write with bodies made by hand: what is kept, what is refused, and with which status.

use axum::http::StatusCode;
use prost::Message;
use serde_json::{Value, json};
use tenfold_app::Role;
use tenfold_app::metrics::{Scraped, Target};
use tenfold_app::people::TokenKind;
use tenfold_app::settings::SourceLimits;
use tenfold_protocols::exposition::Format;
use tenfold_types::Labels;

use crate::common::{World, world, world_with};
use crate::world::Answer;

pub const T: i64 = 1_795_424_000_000;
const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

#[derive(Clone, PartialEq, Message)]
struct Pair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}
#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}
#[derive(Clone, PartialEq, Message)]
struct Exemplar1 {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Pair>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(int64, tag = "3")]
    timestamp: i64,
}
#[derive(Clone, PartialEq, Message)]
struct Series1 {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Pair>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    exemplars: Vec<Exemplar1>,
}
#[derive(Clone, PartialEq, Message)]
struct Request1 {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<Series1>,
}
#[derive(Clone, PartialEq, Message)]
struct Metadata2 {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(uint32, tag = "3")]
    help_ref: u32,
}
#[derive(Clone, PartialEq, Message)]
struct Series2 {
    #[prost(uint32, repeated, tag = "1")]
    labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, optional, tag = "5")]
    metadata: Option<Metadata2>,
    #[prost(int64, tag = "6")]
    created_timestamp: i64,
}
#[derive(Clone, PartialEq, Message)]
struct Request2 {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    timeseries: Vec<Series2>,
}

fn pair(name: &str, value: &str) -> Pair {
    Pair { name: name.into(), value: value.into() }
}

fn series(name: &str, samples: &[(i64, f64)]) -> Series1 {
    let samples = samples.iter().map(|(t, value)| Sample { value: *value, timestamp: T + t }).collect();
    Series1 { labels: vec![pair("__name__", name), pair("job", "web")], samples, exemplars: Vec::new() }
}

fn packed(message: &impl Message) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(&message.encode_to_vec()).expect("it is small")
}

async fn send(world: &World, token: &str, timeseries: Vec<Series1>) -> Answer {
    world.post("/api/v1/write", token, &[], packed(&Request1 { timeseries })).await
}

fn written(answer: &Answer) -> [&str; 3] {
    ["samples", "histograms", "exemplars"]
        .map(|what| answer.headers[format!("x-prometheus-remote-write-{what}-written")].to_str().expect("a number"))
}

#[tokio::test]
async fn what_is_kept_is_204_and_what_never_will_be_is_400() {
    let world = world().await;
    let token = world.metrics_token().await;
    let good = send(&world, &token, vec![series("up", &[(0, 1.0), (15_000, 0.0)]), series("x", &[(0, 7.5)])]).await;
    assert_eq!((good.status, written(&good), good.text().as_str()), (StatusCode::NO_CONTENT, ["3", "0", "0"], ""));
    assert_eq!(world.values("up", T + 15_000), [("up{job=\"web\"}".into(), 0.0)]);

    let again = send(&world, &token, vec![series("up", &[(15_000, 0.0)])]).await;
    assert_eq!((again.status, written(&again)[0]), (StatusCode::NO_CONTENT, "1"), "a repetition changes nothing");

    let far = world.app.now().millis() - T + 11 * 60_000;
    let mixed = vec![series("up", &[(15_000, 5.0), (30_000, 1.0), (far, 1.0)]), series("", &[(0, 1.0)])];
    let partly = send(&world, &token, mixed).await;
    assert_eq!((partly.status, written(&partly)[0]), (StatusCode::BAD_REQUEST, "1"));
    let told = partly.text();
    for reason in ["duplicate", "no_metric_name", "too_far_ahead"] {
        assert!(told.contains(&format!("1 refused ({reason})")), "{told}");
    }
    assert_eq!(world.values("up", T + 30_000), [("up{job=\"web\"}".into(), 1.0)], "the rest is kept");
    assert_eq!(world.values("count({__name__=~\".+\"})", T + 30_000)[0].1, 2.0);

    let own = &world.app.metrics.own;
    let source = [("protocol", "remote_write"), ("source", "metrics")];
    assert_eq!(own.get("tenfold_push_samples_total", &source), 5.0);
    let because = [source[0], source[1], ("reason", "too_far_ahead")];
    assert_eq!(own.get("tenfold_push_refused_total", &because), 1.0);
    let viewer = world.token(TokenKind::Robot, Some(Role::Viewer)).await;
    let listed = world.get("/api/metrics/sources", &viewer).await;
    assert_eq!(listed["items"][0]["name"], "metrics");
    assert_eq!((&listed["items"][0]["samples"], &listed["items"][0]["series"]), (&json!(5), &json!(2)));
    let reasons = listed["items"][0]["refused"].as_array().expect("a list");
    assert!(
        reasons.iter().any(|r| r["reason"] == "duplicate" && r["example"].as_str().is_some_and(|e| e.contains("up")))
    );
}

#[tokio::test]
async fn an_exemplar_that_is_refused_is_no_failed_request() {
    let world = world().await;
    let token = world.metrics_token().await;
    let exemplar = |trace: &str| Exemplar1 { labels: vec![pair("trace_id", trace)], value: 1.0, timestamp: T };
    let exemplars = vec![exemplar("4bf92f3577b34da6"), exemplar(&"x".repeat(1_100))];
    let answer = send(&world, &token, vec![Series1 { exemplars, ..series("up", &[(0, 1.0)]) }]).await;
    assert_eq!(
        (answer.status, written(&answer), answer.text().as_str()),
        (StatusCode::NO_CONTENT, ["1", "0", "1"], "")
    );
    let because = [("reason", "exemplar_too_long")];
    assert_eq!(world.app.metrics.own.get("tenfold_exemplars_rejected_total", &because), 1.0);
}

impl World {
    async fn get(&self, path: &str, token: &str) -> Value {
        use tower::ServiceExt;
        let request = axum::http::Request::get(path).header("authorization", token).body(axum::body::Body::empty());
        let response = self.router.clone().oneshot(request.expect("a request")).await.expect("an answer");
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body");
        serde_json::from_slice(&bytes).expect("JSON")
    }
}

#[tokio::test]
async fn version_2_brings_metadata_and_the_start_of_counters() {
    let world = world().await;
    let token = world.metrics_token().await;
    let request = |t: i64, value: f64| Request2 {
        symbols: ["", "__name__", "requests_total", "How many."].map(str::to_owned).to_vec(),
        timeseries: vec![Series2 {
            labels_refs: vec![1, 2],
            samples: vec![Sample { value, timestamp: T + t }],
            metadata: Some(Metadata2 { kind: 1, help_ref: 3 }),
            created_timestamp: T - 60_000,
        }],
    };
    for (t, value) in [(0, 4.0), (15_000, 5.0)] {
        let headers = [("content-type", V2), ("content-encoding", "snappy")];
        let answer = world.post("/api/v1/write", &token, &headers, packed(&request(t, value))).await;
        assert_eq!((answer.status, written(&answer)), (StatusCode::NO_CONTENT, ["1", "0", "0"]), "{}", answer.text());
    }
    assert_eq!(world.values("count_over_time(requests_total[2m])", T + 15_000), [("{}".into(), 3.0)]);
    assert_eq!(world.values("requests_total", T - 60_000), [("requests_total".into(), 0.0)]);
    assert_eq!(world.app.metrics.metadata()["requests_total"].help, "How many.");
    let refused = world.app.metrics.push_sources(world.app.now())[0].refused.len();
    assert_eq!(refused, 0, "the start that was written before is no refusal");
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_for_good() {
    let world = world().await;
    let token = world.metrics_token().await;
    let body = packed(&Request1 { timeseries: vec![series("up", &[(0, 1.0)])] });
    for (headers, body, status, told) in [
        (vec![("content-type", "application/json")], body.clone(), 415, "`application/json` is not read here"),
        (vec![("content-encoding", "gzip")], body.clone(), 415, "compress with snappy"),
        (vec![("content-type", "application/x-protobuf;proto=x.Y")], body.clone(), 415, "`x.Y` is not read here"),
        (vec![], b"not snappy".to_vec(), 400, "snappy"),
        (vec![], packed(&Request1::default()), 204, ""),
        (vec![], snap::raw::Encoder::new().compress_vec(&[0x0a, 9]).expect("it is small"), 400, "middle of a field"),
        (vec![], vec![0xff, 0xff, 0xff, 0xff, 0x0f], 413, "4294967295 bytes after decompression"),
        (vec![], vec![0; (16 << 20) + 1], 413, "larger than 16777216 bytes"),
    ] {
        let answer = world.post("/api/v1/write", &token, &headers, body).await;
        assert_eq!(answer.status.as_u16(), status, "{headers:?} {}", answer.text());
        assert!(answer.text().contains(told), "{}", answer.text());
        assert_eq!(written(&answer), ["0", "0", "0"]);
    }
    let viewer = world.token(TokenKind::Robot, Some(Role::Viewer)).await;
    assert_eq!(world.post("/api/v1/write", &viewer, &[], body.clone()).await.status, StatusCode::FORBIDDEN);
    assert_eq!(world.post("/api/v1/write", "", &[], body).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn limits_hold_for_each_source() {
    let world = world_with(|s| {
        s.metrics.push.series_per_source_max = 2;
        s.metrics.push.samples_per_second_max = 1;
    })
    .await;
    let token = world.metrics_token().await;
    let many = vec![series("a", &[(0, 1.0)]), series("b", &[(0, 1.0)]), series("c", &[(0, 1.0), (1, 1.0)])];
    let partly = send(&world, &token, many).await;
    assert_eq!((partly.status, written(&partly)[0]), (StatusCode::BAD_REQUEST, "2"));
    assert!(
        partly.text().starts_with("2 refused (source_series), the first: c{job=\"web\"} would be"),
        "{}",
        partly.text()
    );
    let burst: Vec<_> = (1..=20).map(|t| (t, 1.0)).collect();
    assert_eq!(send(&world, &token, vec![series("a", &burst)]).await.status, StatusCode::NO_CONTENT);
    let slower = send(&world, &token, vec![series("a", &[(30, 1.0)])]).await;
    assert_eq!(
        (slower.status, slower.headers["retry-after"].to_str().ok()),
        (StatusCode::TOO_MANY_REQUESTS, Some("14"))
    );
    assert!(slower.text().contains("more than 1 samples a second"), "{}", slower.text());
    assert!(world.values("a", T + 30).iter().all(|(_, v)| *v == 1.0));
}

#[tokio::test]
async fn a_source_has_the_limits_that_name_it() {
    let limits = |series_max, samples_per_second_max| SourceLimits { series_max, samples_per_second_max };
    let world = world_with(|s| {
        s.metrics.push.series_per_source_max = 3;
        s.metrics.sources.insert("metrics".into(), limits(Some(1), None));
        s.metrics.sources.insert("otlp/metrics".into(), limits(Some(2), None));
        s.metrics.scrape.samples_max = 1;
    })
    .await;
    let token = world.metrics_token().await;
    let two = vec![series("a", &[(0, 1.0)]), series("b", &[(0, 1.0)])];
    let partly = send(&world, &token, two).await;
    assert_eq!((partly.status, written(&partly)[0]), (StatusCode::BAD_REQUEST, "1"));
    assert!(partly.text().contains("at most 1 are allowed"), "{}", partly.text());

    let target = Target::reported("http://db1/metrics".into(), Labels::from_pairs([("job", "db")]), "db1");
    let page = Ok(("one 1\ntwo 2\n".into(), Format::default()));
    world.app.metrics.scraped(&target, Scraped { at: world.app.now(), duration_ms: 1, page }).expect("it is kept");

    let viewer = world.token(TokenKind::Robot, Some(Role::Viewer)).await;
    let listed = world.get("/api/metrics/sources", &viewer).await;
    let now = json!(world.app.now());
    let source = &listed["items"][0];
    assert_eq!((&source["series_max"], &source["own_limits"]), (&json!(1), &json!(true)), "{listed}");
    let over = &source["exceeded"][0];
    assert_eq!((&over["limit"], &over["count"], &over["last_at"]), (&json!("series"), &json!(1), &now), "{listed}");
    let job = &listed["jobs"][0];
    let over = &job["exceeded"][0];
    assert_eq!((&job["job"], &over["limit"], &over["last_at"]), (&json!("db"), &json!("sample_limit"), &now));
}
