//! What pages of other origins may do, and what the list tells.

use axum::http::{StatusCode, header};
use serde_json::{Value, json};

use crate::common::World;
use crate::world::user;

#[tokio::test]
async fn pages_of_other_origins_may_ask_the_browser_endpoints_only() {
    let (world, tokens) = World::with_flags().await;
    let origin = [("origin", "https://photos.example.org"), ("access-control-request-method", "POST")];
    for path in ["/ofrep/v1/evaluate/flags", "/api/frontend"] {
        let asked = world.ask("OPTIONS", path, "", &origin, Value::Null).await;
        assert_eq!(asked.status, StatusCode::NO_CONTENT, "{path}");
        assert_eq!(asked.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    }
    let answer = world.ask("POST", "/ofrep/v1/evaluate/flags/half", &tokens.frontend, &origin, user("7")).await;
    assert_eq!(answer.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    let refused = world.ask("POST", "/ofrep/v1/evaluate/flags/half", "wrong", &origin, user("7")).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(refused.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), "so that the page can read why");
    for path in ["/api/flags", "/api/client/features"] {
        let closed = world.ask("GET", path, &tokens.admin, &origin, Value::Null).await;
        assert!(!closed.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), "{path}");
    }
}

#[tokio::test]
async fn a_token_reads_its_own_environment() {
    let (world, tokens) = World::with_flags().await;
    let other = "/ofrep/v1/evaluate/flags/half?environment=development";
    let refused = world.ask("POST", other, &tokens.frontend, &[], user("7")).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let admin = world.ask("POST", other, &tokens.admin, &[], user("7")).await;
    assert_eq!(admin.body["reason"], "DISABLED");
    let ghost =
        world.ask("POST", "/ofrep/v1/evaluate/flags/half?environment=ghost", &tokens.admin, &[], user("7")).await;
    assert_eq!(ghost.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_edit_names_the_version_it_was_made_on() {
    let (world, tokens) = World::with_flags().await;
    let read = world.ask("GET", "/api/flags/half", &tokens.admin, &[], Value::Null).await;
    let tag = read.headers[header::ETAG].to_str().unwrap().to_owned();
    assert_eq!(tag, format!("\"{}\"", read.body["version"]));
    let change = |text: &str| json!({"description": text});
    let put =
        async |path: &str, headers: &[(&str, &str)], body| world.ask("PUT", path, &tokens.admin, headers, body).await;
    let mine = put("/api/flags/half", &[("if-match", &tag)], change("mine")).await;
    assert_eq!(mine.status, StatusCode::OK);
    let late = put("/api/flags/half", &[("if-match", &tag)], change("late")).await;
    assert_eq!((late.status, &late.body["error"]["code"]), (StatusCode::PRECONDITION_FAILED, &json!("changed")));
    let odd = put("/api/flags/half", &[("if-match", "yesterday")], change("odd")).await;
    assert_eq!(odd.status, StatusCode::BAD_REQUEST);
    let taken = put("/api/flags/half", &[("if-none-match", "*")], change("new")).await;
    assert_eq!(taken.status, StatusCode::PRECONDITION_FAILED);
    let rows = world.ask("GET", "/api/flag-summaries", &tokens.admin, &[], Value::Null).await;
    let half = rows.body["items"].as_array().unwrap().iter().find(|f| f["key"] == "half").unwrap();
    assert_eq!(
        (&half["description"], &half["environments"]["production"]["rollout_percent"]),
        (&json!("mine"), &json!(50.0))
    );
}
