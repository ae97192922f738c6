//! What newer versions of Prometheus answer besides: notifications as they come, the own metrics as JSON, and `HEAD`.

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tenfold_app::Role;
use tenfold_app::people::TokenKind;
use tower::ServiceExt;

use super::common::world_with;
use super::{Asker, data};

#[tokio::test]
async fn what_newer_versions_say_of_themselves() {
    let asker = Asker::new().await;
    assert_eq!(asker.get("/api/v1/notifications", &[]).await, data(json!([])));
    asker.world.app.metrics.set_config_trouble(Some("line 3: no such key".to_owned()));
    let (_, body) = asker.get("/api/v1/notifications", &[]).await;
    assert_eq!(body["data"][0]["text"], json!("line 3: no such key"), "{body}");
    assert_eq!(body["data"][0]["active"], json!(true), "{body}");
    assert_eq!(asker.get("/api/v1/status/tsdb/blocks", &[]).await, data(json!({"blocks": []})), "all is in memory");
    let (status, body) = asker.get("/api/v1/features", &[]).await;
    assert_eq!(status, StatusCode::OK);
    for (part, name) in [("promql_functions", "rate"), ("promql", "duration_expr"), ("api", "exclude_alerts")] {
        assert_eq!(body["data"][part][name], json!(true), "{part}: {name}");
    }
}

#[tokio::test]
async fn notifications_are_told_as_they_come_and_go() {
    let asker = Asker::new().await;
    let metrics = &asker.world.app.metrics;
    metrics.set_config_trouble(Some("line 3: no such key".to_owned()));
    let open = async || {
        let request = Request::get("/api/v1/notifications/live").header(header::AUTHORIZATION, &asker.token);
        asker.world.router.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("an answer")
    };
    let response = open().await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut frames = response.into_body().into_data_stream();
    let mut next = async || -> Value {
        let frame = frames.next().await.expect("the stream goes on").expect("a frame");
        let text = String::from_utf8(frame.to_vec()).expect("text");
        serde_json::from_str(text.trim().strip_prefix("data:").expect("an event without a name")).expect("JSON")
    };
    let first = next().await;
    assert_eq!((&first["text"], &first["active"]), (&json!("line 3: no such key"), &json!(true)));
    metrics.set_config_trouble(None);
    let last = next().await;
    assert_eq!((&last["text"], &last["active"]), (&first["text"], &json!(false)));
    assert_eq!(last["date"], first["date"], "since when it was told");
    // As many as Prometheus has places for; whoever comes then is told so by an empty answer.
    let mut others = Vec::new();
    for _ in 1..16 {
        let other = open().await;
        assert_eq!(other.status(), StatusCode::OK);
        others.push(other);
    }
    assert_eq!(open().await.status(), StatusCode::NO_CONTENT);
    others.pop();
    assert_eq!(open().await.status(), StatusCode::OK, "who went away left a place");
}

#[tokio::test]
async fn own_metrics_are_families_in_json() {
    let asker = Asker::new().await;
    let own = [("metric_name_pattern", "tenfold_(build_info|record_events_total)")];
    let (status, body) = asker.get("/api/v1/status/self_metrics", &own).await;
    assert_eq!(status, StatusCode::OK);
    let families = body["data"].as_array().expect("families");
    let names: Vec<_> = families.iter().map(|f| (&f["name"], &f["type"])).collect();
    let [build, events] = [json!("tenfold_build_info"), json!("tenfold_record_events_total")];
    assert_eq!(names, [(&build, &json!("GAUGE")), (&events, &json!("COUNTER"))]);
    let metric = &families[0]["metric"][0];
    assert_eq!((&metric["label"][0]["name"], &metric["gauge"]["value"]), (&json!("version"), &json!(1.0)));
    assert!(families[1]["metric"][0]["counter"]["value"].is_number(), "{body}");
    let (_, all) = asker.get("/api/v1/status/self_metrics", &[]).await;
    assert!(all["data"].as_array().is_some_and(|all| all.len() > 2), "{all}");
    // A pattern is one of Go's.
    for pattern in [r"\Qtenfold_build_info\E", r"(?s)tenfold_.uild_info\z", r"[a-z&&t]+ld_build\pN*_info"] {
        let (status, some) = asker.get("/api/v1/status/self_metrics", &[("metric_name_pattern", pattern)]).await;
        let families = some["data"].as_array().map(Vec::len);
        assert_eq!((status, families), (StatusCode::OK, Some(1)), "{pattern}: {some}");
    }
    for (pattern, wrong) in [
        ("(", "unclosed group"),
        (r"(?x)tenfold", "neither a group nor flags"),
        (r"\p{Nowhere}", "Unicode property not found"),
        (r"\pL{300}", "size limit"),
    ] {
        let (status, body) = asker.get("/api/v1/status/self_metrics", &[("metric_name_pattern", pattern)]).await;
        assert_eq!((status, &body["errorType"]), (StatusCode::BAD_REQUEST, &json!("bad_data")));
        let error = body["error"].as_str().expect("what is wrong");
        assert!(error.contains(wrong) && error.lines().count() == 1, "{error}");
    }
}

/// Typed clients read nothing where one of these is missing.
#[tokio::test]
async fn the_runtime_is_told_as_a_whole() {
    let asker = Asker::new().await;
    let (_, body) = asker.get("/api/v1/status/runtimeinfo", &[]).await;
    let (told, started) = (&body["data"], json!(asker.world.app.now()));
    assert_eq!((&told["startTime"], &told["lastConfigTime"]), (&started, &started));
    for name in ["CWD", "GOGC", "GODEBUG", "hostname", "storageRetention"] {
        assert!(told[name].is_string(), "{name}: {told}");
    }
    for name in ["GOMAXPROCS", "GOMEMLIMIT", "goroutineCount", "corruptionCount", "timeSeriesCount"] {
        assert!(told[name].is_u64(), "{name}: {told}");
    }
}

/// Thanos reads there which labels tell one server from another, and asks nothing of one that has none.
#[tokio::test]
async fn the_configuration_has_the_labels_of_the_server() {
    let world = world_with(|s| {
        s.alerts.evaluation_interval_ms = 30_000;
        s.alerts.external_labels = [("region".to_owned(), "e\"u: x".to_owned())].into();
    })
    .await;
    let token = world.token(TokenKind::Robot, Some(Role::Viewer)).await;
    let (_, body) = Asker { world, token }.get("/api/v1/status/config", &[]).await;
    let yaml = body["data"]["yaml"].as_str().expect("a text");
    let labels = "  evaluation_interval: 30000ms\n  external_labels: {\"region\":\"e\\\"u: x\"}\nstorage:\n";
    assert!(yaml.contains(labels), "{yaml}");
}

#[tokio::test]
async fn heads_are_answered_without_a_body() {
    let asker = Asker::new().await;
    for path in ["/-/healthy", "/-/ready", "/api/v1/query?query=up", "/api/v1/labels", "/federate?match[]=up"] {
        let request = Request::builder().method(Method::HEAD).uri(path).header(header::AUTHORIZATION, &asker.token);
        let request = request.body(Body::empty()).expect("a request");
        let response = asker.world.router.clone().oneshot(request).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert!(to_bytes(response.into_body(), 1 << 20).await.expect("a body that ends").is_empty(), "{path}");
    }
}
