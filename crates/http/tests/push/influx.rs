//! InfluxDB's line protocol over HTTP.

use std::io::Write;

use axum::http::StatusCode;
use serde_json::Value;
use tower::ServiceExt;

use crate::common::{world, world_with};

const T_S: i64 = 1_795_424_000;

#[tokio::test]
async fn both_addresses_take_lines() {
    let world = world().await;
    let token = world.metrics_token().await;
    let body = format!("cpu,host=h1 usage=0.5,name=\"x\" {T_S}\nup value=t {T_S}\n");
    let first = world.post("/write?db=telegraf&precision=s", &token, &[], body.into_bytes()).await;
    assert_eq!((first.status, first.text().as_str()), (StatusCode::NO_CONTENT, ""));
    assert_eq!(first.headers["x-influxdb-version"], "1.8.10");
    assert_eq!(world.values("cpu_usage", T_S * 1_000), [("cpu_usage{db=\"telegraf\",host=\"h1\"}".into(), 0.5)]);
    assert_eq!(world.values("up", T_S * 1_000), [("up{db=\"telegraf\"}".into(), 1.0)]);
    assert_eq!(world.app.metrics.own.get("tenfold_influx_texts_ignored_total", &[]), 1.0);

    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    write!(gzip, "cpu,host=h2 usage=1i {}", T_S * 1_000_000_000).expect("memory takes it");
    let body = gzip.finish().expect("memory takes it");
    let second = world.post("/api/v2/write?org=o&bucket=b", &token, &[("content-encoding", "gzip")], body).await;
    assert_eq!(second.status, StatusCode::NO_CONTENT, "{}", second.text());
    assert!(second.headers.contains_key("x-influxdb-version"));
    assert_eq!(world.values("cpu_usage{host=\"h2\"}", T_S * 1_000)[0].0, "cpu_usage{db=\"b\",host=\"h2\"}");
}

#[tokio::test]
async fn what_clients_ask_first_is_answered() {
    let world = world().await;
    let token = world.metrics_token().await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    let made = world.post("/query", &token, &[form], b"q=CREATE+DATABASE+%22telegraf%22".to_vec()).await;
    assert_eq!((made.status, made.text().as_str()), (StatusCode::OK, "{\"results\":[{\"statement_id\":0}]}"));
    assert!(made.headers.contains_key("x-influxdb-version"));
    let in_address = world.post("/query?q=SHOW%20DATABASES", &token, &[], Vec::new()).await;
    assert_eq!(in_address.status, StatusCode::OK, "{}", in_address.text());
    let select = world.post("/query?q=SELECT%201", &token, &[], Vec::new()).await;
    assert_eq!(select.status, StatusCode::BAD_REQUEST);
    assert!(select.text().contains("PromQL"), "{}", select.text());
    assert_eq!(world.post("/query?q=SHOW%20DATABASES", "", &[], Vec::new()).await.status, StatusCode::UNAUTHORIZED);
    for (path, status) in
        [("/ping", StatusCode::NO_CONTENT), ("/ping?verbose=true", StatusCode::OK), ("/health", StatusCode::OK)]
    {
        let request = axum::http::Request::get(path).body(axum::body::Body::empty()).expect("a request");
        let answer = world.router.clone().oneshot(request).await.expect("an answer");
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.headers()["x-influxdb-version"], "1.8.10");
    }
}

#[tokio::test]
async fn what_is_refused_is_a_partial_write() {
    let world = world_with(|s| s.metrics.push.samples_per_second_max = 1).await;
    let token = world.metrics_token().await;
    let post = |path: &'static str, body: String| world.post(path, &token, &[], body.into_bytes());
    let partly = post("/write?precision=s", format!("a v=1 {T_S}\nbroken\n")).await;
    let told: Value = serde_json::from_slice(&partly.bytes).expect("JSON");
    assert_eq!((partly.status, &told["code"]), (StatusCode::BAD_REQUEST, &Value::from("invalid")));
    let wanted = "partial write: 1 refused (bad_line), the first: line 2: it has no field dropped=1";
    assert_eq!(told["error"], wanted);
    assert_eq!(world.values("a_v", T_S * 1_000).len(), 1, "the rest is kept");
    assert_eq!(post("/write?precision=week", String::new()).await.status, StatusCode::BAD_REQUEST);
    let many: Vec<String> = (0..20).map(|t| format!("a v=1 {}", T_S + t)).collect();
    assert_eq!(post("/api/v2/write?precision=s", many.join("\n")).await.status, StatusCode::NO_CONTENT);
    let slower = post("/write", "a v=1".into()).await;
    assert_eq!(slower.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(slower.headers.contains_key("retry-after"), "{}", slower.text());
    let viewer = world.token(tenfold_app::people::TokenKind::Robot, Some(tenfold_app::Role::Viewer)).await;
    assert_eq!(world.post("/write", &viewer, &[], b"a v=1".to_vec()).await.status, StatusCode::FORBIDDEN);
}
