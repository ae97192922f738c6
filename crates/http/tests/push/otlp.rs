//! OTLP in all its wrappings: JSON, protobuf, gzip, gRPC.

use std::io::Write;

use axum::http::StatusCode;
use prost::Message;
use serde_json::{Value, json};
use tenfold_protocols::otlp::{Request, from_json};

use crate::common::{world, world_with};

const T: i64 = 1_795_424_000_000;
const GRPC: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

fn body(at_ms: i64, value: f64) -> Value {
    let nanos = (at_ms * 1_000_000).to_string();
    json!({"resourceMetrics": [{
        "resource": {"attributes": [
            {"key": "service.name", "value": {"stringValue": "photos"}},
            {"key": "host.name", "value": {"stringValue": "h1"}}]},
        "scopeMetrics": [{"metrics": [
            {"name": "uploads", "sum": {"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [
                {"timeUnixNano": nanos, "asDouble": value}]}},
            {"name": "size", "unit": "By", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [
                {"timeUnixNano": nanos, "count": 3, "sum": 7, "scale": 0,
                 "positive": {"offset": 0, "bucketCounts": [1, 2]}}]}},
        ]}],
    }]})
}

fn proto(at_ms: i64, value: f64) -> Vec<u8> {
    let request: Request = from_json(body(at_ms, value).to_string().as_bytes()).expect("it is OTLP");
    request.encode_to_vec()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// A frame of one block as it is (RFC 8878, sections 3.1.1.1 and 3.1.1.2).
fn zstd(bytes: &[u8]) -> Vec<u8> {
    let size = bytes.len() as u32;
    let block = (size << 3 | 1).to_le_bytes();
    [&[0x28, 0xb5, 0x2f, 0xfd, 0xa0][..], &size.to_le_bytes(), &block[..3], bytes].concat()
}

fn frame(flags: u8, message: &[u8]) -> Vec<u8> {
    [&[flags][..], &(message.len() as u32).to_be_bytes(), message].concat()
}

const JSON: (&str, &str) = ("content-type", "application/json");
const PROTO: (&str, &str) = ("content-type", "application/x-protobuf");

#[tokio::test]
async fn every_wrapping_is_kept() {
    let world = world().await;
    let token = world.metrics_token().await;
    let grpc = ("content-type", "application/grpc");
    let gzipped = ("content-encoding", "gzip");
    for (i, (path, headers, body)) in [
        ("/v1/metrics", vec![JSON], body(T, 1.0).to_string().into_bytes()),
        ("/v1/metrics", vec![PROTO], proto(T + 1_000, 2.0)),
        ("/api/v1/otlp/v1/metrics", vec![PROTO, gzipped], gzip(&proto(T + 2_000, 3.0))),
        (GRPC, vec![grpc], frame(0, &proto(T + 3_000, 4.0))),
        (GRPC, vec![grpc, ("grpc-encoding", "gzip")], frame(1, &gzip(&proto(T + 4_000, 5.0)))),
        (GRPC, vec![grpc, ("grpc-encoding", "zstd")], frame(1, &zstd(&proto(T + 5_000, 6.0)))),
        ("/v1/metrics", vec![PROTO, ("content-encoding", "zstd")], zstd(&proto(T + 6_000, 7.0))),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = world.post(path, &token, &headers, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{i}: {}", answer.text());
        let whole = match i {
            0 => b"{}".to_vec(),
            1 | 2 | 6 => Vec::new(),
            _ => frame(0, b""),
        };
        assert_eq!(answer.bytes, whole, "{i}");
        let at = T + i as i64 * 1_000;
        assert_eq!(world.values("uploads_total", at), [("uploads_total{job=\"photos\"}".into(), (i + 1) as f64)]);
    }
    let at = T + 4_000;
    assert_eq!(world.values("histogram_count(size_bytes)", at), [("{job=\"photos\"}".into(), 3.0)]);
    assert_eq!(world.values("target_info", at), [("target_info{host_name=\"h1\",job=\"photos\"}".into(), 1.0)]);
    let joined = "uploads_total * on (job) group_left (host_name) target_info";
    assert_eq!(world.values(joined, at), [("{host_name=\"h1\",job=\"photos\"}".into(), 5.0)]);
    assert_eq!(world.app.metrics.metadata()["size_bytes"].kind, "histogram");
}

#[tokio::test]
async fn what_is_refused_is_a_partial_success() {
    let world = world().await;
    let token = world.metrics_token().await;
    let late = world.app.now().millis() + 11 * 60_000;
    let mut request = body(T, 1.0);
    request["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["sum"]["dataPoints"]
        .as_array_mut()
        .expect("points")
        .push(json!({"timeUnixNano": (late * 1_000_000).to_string(), "asInt": 1, "attributes": [
            {"key": "a", "value": {"stringValue": "b"}}]}));
    let answer = world.post("/v1/metrics", &token, &[JSON], request.to_string().into_bytes()).await;
    let told: Value = serde_json::from_slice(&answer.bytes).expect("JSON");
    assert_eq!((answer.status, &told["partialSuccess"]["rejectedDataPoints"]), (StatusCode::OK, &json!("1")));
    let message = told["partialSuccess"]["errorMessage"].as_str().expect("a text");
    assert!(message.contains("too_far_ahead") && message.contains("uploads_total{a=\"b\""), "{message}");
    assert_eq!(world.values("uploads_total", T).len(), 1, "the rest is kept");
}

#[tokio::test]
async fn errors_are_in_the_words_of_their_transport() {
    let world = world_with(|s| s.metrics.push.samples_per_second_max = 1).await;
    let token = world.metrics_token().await;
    let grpc = [("content-type", "application/grpc")];
    let broken = world.post(GRPC, &token, &grpc, frame(0, b"\x0a\xff")).await;
    assert_eq!((broken.status, broken.headers["grpc-status"].as_bytes()), (StatusCode::OK, &b"3"[..]));
    let cut = world.post(GRPC, &token, &grpc, b"\0\0\0\0\x09x".to_vec()).await;
    assert_eq!(cut.headers["grpc-message"], "the frame announces 9 bytes and 1 follow");
    for (headers, body, status) in [
        (vec![JSON], b"{".to_vec(), 400),
        (vec![PROTO], b"\x0a\xff".to_vec(), 400),
        (vec![PROTO, ("content-encoding", "gzip")], b"plain".to_vec(), 400),
        (vec![PROTO, ("content-encoding", "zstd")], b"plain".to_vec(), 400),
        (vec![PROTO, ("content-encoding", "br")], b"plain".to_vec(), 415),
        (vec![("content-type", "text/plain")], b"plain".to_vec(), 415),
        (vec![PROTO, ("content-encoding", "gzip")], gzip(&vec![0; 17 << 20]), 413),
    ] {
        let answer = world.post("/v1/metrics", &token, &headers, body).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
    }
    for i in 0..6 {
        world.post("/v1/metrics", &token, &[PROTO], proto(T + i, 1.0)).await;
    }
    let slower = world.post("/v1/metrics", &token, &[JSON], body(T + 10, 1.0).to_string().into_bytes()).await;
    assert_eq!(slower.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(slower.headers.contains_key("retry-after") && slower.text().contains("\"code\":14"), "{}", slower.text());
    let slower = world.post(GRPC, &token, &grpc, frame(0, &proto(T + 11, 1.0))).await;
    assert_eq!(slower.headers["grpc-status"], "14", "which exporters repeat");
    let nobody = world.post(GRPC, "", &grpc, frame(0, b"")).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED, "which gRPC reads as UNAUTHENTICATED");
}
