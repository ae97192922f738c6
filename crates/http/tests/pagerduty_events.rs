//! PagerDuty's Events API v2 as far as it is not about firing and ending: links and images of an alert, and change events.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod common;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use common::World;
use serde_json::{Value, json};
use tenfold_app::people::TokenKind;
use tenfold_app::{Caller, Role};
use tenfold_store::events::EventQuery;
use tower::ServiceExt;

async fn post(world: &World, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .expect("a request");
    let response = world.router.clone().oneshot(request).await.expect("an answer");
    let status = response.status();
    let bytes = to_bytes(response.into_body(), 1 << 20).await.expect("a body that ends");
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

fn trigger(key: &str, dedup: &str, more: &Value) -> Value {
    let mut event = json!({
        "routing_key": key, "event_action": "trigger", "dedup_key": dedup,
        "payload": {"summary": "the disk is full", "source": "db1", "severity": "critical",
            "custom_details": {"service": "photos", "environment": "production"}},
    });
    for (name, value) in more.as_object().unwrap() {
        event[name] = value.clone();
    }
    event
}

#[tokio::test]
async fn links_images_and_the_client_stand_on_the_alert() {
    let world = common::world().await;
    let key = world.token(TokenKind::Robot, Some(Role::Responder)).await;
    let more = json!({
        "client": "Disk watcher",
        "links": [
            {"href": "https://example.org/runbook", "text": "How to\nmake room"},
            {"href": "javascript:alert(1)", "text": "no page"},
            {"href": "https://example.org/plain"},
        ],
        "images": [{"src": "https://example.org/graph.png", "alt": "the graph"},
            {"src": "https://example.org/small.png", "href": "https://example.org/large", "alt": "large"}],
    });
    let (status, body) = post(&world, "/v2/enqueue", &trigger(&key, "disk", &more)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    let alert = &world.app.alerts_list(Some("firing")).await.expect("alerts")[0];
    assert_eq!(
        alert.annotations["links"],
        "https://example.org/runbook How to make room\nhttps://example.org/plain\nhttps://example.org/graph.png the graph\n\
         https://example.org/large large"
    );
    assert_eq!(alert.annotations["client"], "Disk watcher");
    let many: Vec<Value> = (0..50).map(|n| json!({"href": format!("https://example.org/{n}")})).collect();
    post(&world, "/v2/enqueue", &trigger(&key, "many", &json!({"links": many}))).await;
    let alerts = world.app.alerts_list(Some("firing")).await.expect("alerts");
    let most = alerts.iter().map(|a| a.annotations["links"].lines().count()).max();
    assert_eq!(most, Some(10));
}

/// Programs in some languages write `null` for what is not there.
#[tokio::test]
async fn lists_of_nothing_lose_no_page() {
    let world = common::world().await;
    let key = world.token(TokenKind::Robot, Some(Role::Responder)).await;
    let more = json!({"links": null, "images": null, "client": null, "client_url": null});
    let (status, body) = post(&world, "/v2/enqueue", &trigger(&key, "disk", &more)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    assert_eq!(world.app.alerts_list(Some("firing")).await.expect("alerts").len(), 1);
    let change = json!({"routing_key": key, "payload": {"summary": "rebuilt", "custom_details": null}, "links": null});
    let (status, body) = post(&world, "/v2/change/enqueue", &change).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
}

/// The end of an alert that was refused would be lost: clients do not send again what was answered 400.
#[tokio::test]
async fn an_end_needs_no_payload_and_a_trigger_is_told_what_it_lacks() {
    let world = common::world().await;
    let key = world.token(TokenKind::Robot, Some(Role::Responder)).await;
    let payloads =
        [json!({}), json!({"summary": "all is well"}), json!({"source": null, "severity": null}), Value::Null];
    for (n, payload) in payloads.iter().enumerate() {
        // Another one each time: one that comes and goes so often flaps.
        let dedup = format!("disk {n}");
        let (status, body) = post(&world, "/v2/enqueue", &trigger(&key, &dedup, &json!({}))).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        assert_eq!(world.app.alerts_list(Some("firing")).await.expect("alerts").len(), 1);
        for action in ["acknowledge", "resolve"] {
            let event = json!({"routing_key": key, "event_action": action, "dedup_key": dedup, "payload": payload});
            let (status, body) = post(&world, "/v2/enqueue", &event).await;
            assert_eq!(status, StatusCode::ACCEPTED, "{action} with {payload}: {body}");
        }
        assert_eq!(world.app.alerts_list(Some("firing")).await.expect("alerts").len(), 0, "{payload}");
    }
    let lacks = trigger(&key, "disk", &json!({"payload": {"summary": "the disk is full"}}));
    let (status, body) = post(&world, "/v2/enqueue", &lacks).await;
    assert_eq!((status, body["errors"].as_array().map(Vec::len)), (StatusCode::BAD_REQUEST, Some(2)), "{body}");
}

/// A client that is answered 400 takes its event for wrong.
#[tokio::test]
async fn an_acknowledgement_of_what_somebody_has_resolved_is_taken() {
    let world = common::world().await;
    let key = world.token(TokenKind::Robot, Some(Role::Responder)).await;
    let (status, body) = post(&world, "/v2/enqueue", &trigger(&key, "disk", &json!({}))).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    for _ in 0..2 {
        world.clock.advance_ms(1_000);
        world.app.alerts_tick().await.expect("its group is looked at");
    }
    let open = world.app.incidents_list(None, None, None).await.expect("incidents");
    assert_eq!(open.len(), 1);
    let by_hand = serde_json::from_value(json!({"text": "it was a drill"})).unwrap();
    world.app.incident_resolve(&Caller::system(), open[0].number, by_hand).await.expect("resolved");
    let acknowledge = json!({"routing_key": key, "event_action": "acknowledge", "dedup_key": "disk"});
    let (status, body) = post(&world, "/v2/enqueue", &acknowledge).await;
    assert_eq!((status, &body["status"]), (StatusCode::ACCEPTED, &json!("success")), "{body}");
}

#[tokio::test]
async fn a_change_is_in_the_record_and_a_suspect_of_what_begins_after_it() {
    let world = common::world().await;
    let key = world.token(TokenKind::Robot, Some(Role::Responder)).await;
    let change = |details: Value| {
        json!({"routing_key": key, "payload": {"summary": "the index was rebuilt", "source": "cron", "custom_details": details},
            "links": [{"href": "https://example.org/job/7", "text": "the job"}]})
    };
    let place = json!({"service": "photos", "environment": "production", "rows": 7});
    let (status, body) = post(&world, "/v2/change/enqueue", &change(place)).await;
    assert_eq!((status, &body["status"]), (StatusCode::ACCEPTED, &json!("success")), "{body}");
    let (status, _) = post(&world, "/v2/change/enqueue", &change(json!({}))).await;
    assert_eq!(status, StatusCode::ACCEPTED, "of no service");
    let query = EventQuery { kinds: vec!["change.told".into()], limit: 10, ..EventQuery::default() };
    let events = world.app.read(move |tx| Ok(tenfold_store::events::list(tx, &query)?)).await.expect("events");
    assert_eq!(events.len(), 2);
    let told = events.iter().find(|e| e.subject.service.is_some()).expect("that of the service");
    assert_eq!(told.text, "the index was rebuilt (cron)");
    assert_eq!((&told.data["details"]["rows"], &told.data["links"][0]["text"]), (&json!(7), &json!("the job")));

    post(&world, "/v2/enqueue", &trigger(&key, "disk", &json!({}))).await;
    let alert = &world.app.alerts_list(Some("firing")).await.expect("alerts")[0];
    let suspects: Vec<&str> = alert.suspects.iter().map(|s| s.text.as_str()).collect();
    assert_eq!(suspects, ["the index was rebuilt (cron)"], "and the one of no service is none");

    // What is wrong is said, and nobody without a token tells of anything.
    let long = change(json!({"text": "x".repeat(20_000)}));
    let blank = json!({"routing_key": key, "payload": {"summary": " "}});
    let stranger = json!({"routing_key": "nobody", "payload": {"summary": "it was me"}});
    for (body, word) in
        [(&long, "at most 16384 bytes"), (&blank, "summary"), (&stranger, "routing_key"), (&json!({}), "routing_key")]
    {
        let (status, said) = post(&world, "/v2/change/enqueue", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
        assert!(said["errors"][0].as_str().unwrap().contains(word), "{said}");
    }
}
