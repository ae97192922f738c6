//! OFREP: one flag, all flags, the stream that tells of changes.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::common::World;
use crate::world::user;

#[tokio::test]
async fn ofrep_answers_one_flag() {
    let (world, tokens) = World::with_flags().await;
    let ask = |key: &'static str, body: Value| {
        let world = &world;
        let token = &tokens.frontend;
        async move { world.ask("POST", &format!("/ofrep/v1/evaluate/flags/{key}"), token, &[], body).await }
    };
    let on = ask("new_uploader", user("7")).await;
    assert_eq!(on.body, json!({"key": "new_uploader", "value": true, "variant": "on", "reason": "STATIC"}));
    let off = ask("dark", user("7")).await;
    assert_eq!(off.body, json!({"key": "dark", "value": false, "variant": "off", "reason": "DISABLED"}));
    let typed = ask("limit", user("7")).await;
    assert_eq!(typed.body["value"].to_string(), "1.0", "a float stays a float");
    assert_eq!(typed.body["variant"], "wide");
    assert_eq!(ask("half", user("7")).await.body["reason"], "SPLIT");

    let missing = ask("ghost", user("7")).await;
    assert_eq!((missing.status, &missing.body["errorCode"]), (StatusCode::NOT_FOUND, &json!("FLAG_NOT_FOUND")));
    assert!(missing.body["errorDetails"].is_string() && missing.body["key"] == "ghost");
    for (body, code) in [
        (json!({"context": {}}), "TARGETING_KEY_MISSING"),
        (json!({"context": {"targetingKey": 7}}), "INVALID_CONTEXT"),
        (json!({"context": []}), "INVALID_CONTEXT"),
        (json!({}), "INVALID_CONTEXT"),
        (Value::Null, "PARSE_ERROR"),
    ] {
        let wrong = ask("half", body.clone()).await;
        assert_eq!((wrong.status, &wrong.body["errorCode"]), (StatusCode::BAD_REQUEST, &json!(code)), "{body}");
    }
    let nobody = ask("new_uploader", json!({"context": {}})).await;
    assert_eq!(nobody.status, StatusCode::OK, "what is the same for everybody needs no targeting key");
    assert_eq!(ask("half", user("")).await.status, StatusCode::OK, "an empty key is a key");
    assert_eq!(ask("half", json!({"context": {"sessionId": "s"}})).await.status, StatusCode::OK);
}

#[tokio::test]
async fn ofrep_bulk_is_sent_once_until_it_changes() {
    let (world, tokens) = World::with_flags().await;
    let path = "/ofrep/v1/evaluate/flags";
    let first = world.ask("POST", path, &tokens.frontend, &[], user("7")).await;
    let keys: Vec<_> = first.body["flags"].as_array().unwrap().iter().map(|f| f["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["dark", "half", "limit", "new_uploader"]);
    assert!(
        first.body["flags"].as_array().unwrap().iter().all(|f| f.get("value").is_some() && f["variant"].is_string())
    );
    assert_eq!(first.body["eventStreams"][0]["type"], "sse");
    let etag = first.headers[header::ETAG].to_str().unwrap();
    let known = [("if-none-match", etag)];
    let again = world.ask("POST", path, &tokens.frontend, &known, user("7")).await;
    assert_eq!((again.status, again.body), (StatusCode::NOT_MODIFIED, Value::Null));
    assert_eq!(again.headers[header::ETAG], etag);
    world.switch(&tokens.admin, "new_uploader", false).await;
    let told = format!("{path}?flagConfigEtag=x&flagConfigLastModified=1");
    let changed = world.ask("POST", &told, &tokens.frontend, &known, user("7")).await;
    assert_eq!(changed.status, StatusCode::OK);
    assert_eq!(changed.body["flags"][3]["value"], false);
    let nobody = world.ask("POST", path, &tokens.frontend, &[], json!({"context": {}})).await;
    assert_eq!(nobody.status, StatusCode::OK);
    assert_eq!(nobody.body["flags"][1]["errorCode"], "TARGETING_KEY_MISSING", "only what is split by person fails");
}

#[tokio::test]
async fn ofrep_stream_tells_of_changes_and_of_what_was_missed() {
    let (world, tokens) = World::with_flags().await;
    let bulk = world.ask("POST", "/ofrep/v1/evaluate/flags", &tokens.frontend, &[], user("7")).await;
    let uri = bulk.body["eventStreams"][0]["endpoint"]["requestUri"].as_str().unwrap().to_owned();
    // A browser's stream carries no token; it begins with the time after which to come back.
    let open = |last: Option<&str>| {
        let mut request = Request::get(&uri);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let (router, request) = (world.router.clone(), request.body(Body::empty()).unwrap());
        async move { router.oneshot(request).await.unwrap().into_body().into_data_stream() }
    };
    let mut stream = open(None).await.skip(1);
    world.switch(&tokens.admin, "new_uploader", false).await;
    let event = String::from_utf8(stream.next().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(event.contains("\"type\":\"refetchEvaluation\"") && event.contains("\"etag\":\"production:"), "{event}");
    let id = event.lines().find_map(|l| l.strip_prefix("id: ")).unwrap().to_owned();
    world.switch(&tokens.admin, "new_uploader", true).await;
    let mut resumed = open(Some(&id)).await.skip(1);
    let missed = String::from_utf8(resumed.next().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(missed.contains("refetchEvaluation") && !missed.contains(&id), "{missed}");
    for wrong in ["/ofrep/v1/events", "/ofrep/v1/events?channel=00"] {
        assert_eq!(world.ask("GET", wrong, "", &[], Value::Null).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_wrong_address_is_said_in_ofrep_s_terms() {
    let (world, tokens) = World::with_flags().await;
    for (query, status) in [
        ("?flagConfigLastModified=1771622898", StatusCode::OK),
        ("?flagConfigLastModified=2026-02-20T21:28:18Z&flagConfigEtag=x", StatusCode::OK),
        ("?flagConfigLastModified=yesterday", StatusCode::BAD_REQUEST),
        ("?environment=production&environment=development", StatusCode::BAD_REQUEST),
    ] {
        let path = format!("/ofrep/v1/evaluate/flags{query}");
        let bulk = world.ask("POST", &path, &tokens.frontend, &[], user("7")).await;
        assert_eq!(bulk.status, status, "{query}");
        assert_eq!(bulk.body["errorCode"].is_string(), status == StatusCode::BAD_REQUEST, "{}", bulk.body);
    }
    let path = "/ofrep/v1/evaluate/flags/dark?environment=production&environment=development";
    let single = world.ask("POST", path, &tokens.frontend, &[], user("7")).await;
    assert_eq!((&single.body["key"], &single.body["errorCode"]), (&json!("dark"), &json!("GENERAL")));
}
