//! Lists of series, names and values of labels, and how they are bounded.

use axum::http::StatusCode;
use serde_json::json;
use tenfold_app::Role;
use tenfold_app::people::TokenKind;
use tenfold_tsdb::Sample;
use tenfold_types::Labels;

use super::{Asker, T, common, data};

/// A list that would take more memory than one answer may names the limit; the first of it are told all the same.
#[tokio::test]
async fn long_lists_are_refused_by_their_memory() {
    let world = common::world_with(|s| s.metrics.query.bytes_max = 1 << 20).await;
    let token = world.token(TokenKind::Robot, Some(Role::Viewer)).await;
    let asker = Asker { world, token };
    let long = "x".repeat(500);
    let sample = |n: i32| {
        let id = format!("{n:05}{long}");
        Sample::new(Labels::from_pairs([("__name__", "m"), ("id", id.as_str())]), T, 1.0)
    };
    asker.world.app.metrics.append(&(0..2_000).map(sample).collect::<Vec<_>>()).expect("samples are taken");
    for path in ["/api/v1/series", "/api/v1/label/id/values"] {
        let (status, body) = asker.get(path, &[("match[]", "m")]).await;
        assert_eq!((status, &body["errorType"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("execution")), "{body}");
        assert!(body["error"].as_str().unwrap().contains("metrics.query.bytes_max"), "{body}");
        let (status, body) = asker.get(path, &[("match[]", "m"), ("limit", "2")]).await;
        assert_eq!((status, body["data"].as_array().map(Vec::len)), (StatusCode::OK, Some(2)), "{body}");
        assert_eq!(body["warnings"], json!(["results truncated due to limit"]));
    }
    assert_eq!(asker.get("/api/v1/labels", &[("match[]", "m")]).await, data(json!(["__name__", "id"])));
}

/// A selector may have a hundred; a request with thousands of them would be compiled for minutes.
#[tokio::test]
async fn patterns_are_counted_over_all_selectors() {
    let asker = Asker::new().await;
    let selector = format!("up{{{}}}", "job=~'.+',".repeat(100));
    let ask = |count: usize| vec![("match[]", selector.as_str()); count];
    let (status, body) = asker.post("/api/v1/series", &ask(5)).await;
    assert_eq!((status, body["data"].as_array().map(Vec::len)), (StatusCode::OK, Some(2)), "{body}");
    let (status, body) = asker.post("/api/v1/series", &ask(6)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    assert!(body["error"].as_str().unwrap().contains("more than 500 regular expressions"), "{body}");
    let (status, body) = asker.get("/api/v1/rules", &[("match[]", "{job=~'a.*'}"); 101]).await;
    assert_eq!((status, &body["errorType"]), (StatusCode::BAD_REQUEST, &json!("bad_data")), "{body}");
    assert_eq!(asker.get("/api/v1/rules", &[("match[]", "{job=~'a.*'}"); 100]).await.0, StatusCode::OK);
    let selector = format!("{{{}}}", "job=~'a.*',".repeat(20));
    let ask = |count: usize| vec![("match[]", selector.as_str()); count];
    assert_eq!(asker.get("/api/v1/rules", &ask(25)).await.0, StatusCode::OK);
    let (status, body) = asker.get("/api/v1/rules", &ask(26)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    assert!(body["error"].as_str().unwrap().contains("more than 500 regular expressions"), "{body}");
}
