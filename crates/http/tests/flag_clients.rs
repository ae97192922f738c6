//! The flag protocols over HTTP: what each client asks, what it may read, and that nothing is sent twice.

mod common;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use common::World;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tenfold_app::Role;
use tenfold_app::people::TokenKind;
use tower::ServiceExt;

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl World {
    async fn ask(&self, method: &str, path: &str, token: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let response = self.router.clone().oneshot(request.body(body).expect("a request")).await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = to_bytes(response.into_body(), 1 << 20).await.expect("a body that ends");
        Answer { status, headers, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
    }

    /// A world with a boolean, a split, a typed and an off flag.
    async fn with_flags() -> (Self, Tokens) {
        let world = common::world().await;
        let tokens = Tokens {
            admin: world.token(TokenKind::Robot, Some(Role::Admin)).await,
            client: world.token(TokenKind::Client, None).await,
            frontend: world.token(TokenKind::Frontend, None).await,
        };
        for (key, body) in [
            ("new_uploader", json!({"environments": {"production": {"enabled": true}}})),
            ("half", json!({"environments": {"production": {"enabled": true, "rollout_percent": 50}}})),
            (
                "limit",
                json!({"value_type": "float", "environments": {"production": {
                    "enabled": true, "off_value": 0.5, "variants": [{"name": "wide", "weight": 1, "value": 1}],
                }}}),
            ),
            ("dark", json!({"environments": {"production": {"enabled": false}}})),
        ] {
            let put = world.ask("PUT", &format!("/api/flags/{key}"), &tokens.admin, &[], body).await;
            assert_eq!(put.status, StatusCode::OK, "{key}: {}", put.body);
        }
        (world, tokens)
    }

    async fn switch(&self, token: &str, key: &str, enabled: bool) {
        let body = json!({"environment": "production", "enabled": enabled});
        let done = self.ask("POST", &format!("/api/flags/{key}/switch"), token, &[], body).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    }
}

struct Tokens {
    admin: String,
    client: String,
    frontend: String,
}

fn user(id: &str) -> Value {
    json!({"context": {"targetingKey": id}})
}

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
    // A browser's stream carries no token.
    let open = |last: Option<&str>| {
        let mut request = Request::get(&uri);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let (router, request) = (world.router.clone(), request.body(Body::empty()).unwrap());
        async move { router.oneshot(request).await.unwrap().into_body().into_data_stream() }
    };
    let mut stream = open(None).await;
    world.switch(&tokens.admin, "new_uploader", false).await;
    let event = String::from_utf8(stream.next().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(event.contains("\"type\":\"refetchEvaluation\"") && event.contains("\"etag\":\"production:"), "{event}");
    let id = event.lines().find_map(|l| l.strip_prefix("id: ")).unwrap().to_owned();
    world.switch(&tokens.admin, "new_uploader", true).await;
    let mut resumed = open(Some(&id)).await;
    let missed = String::from_utf8(resumed.next().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(missed.contains("refetchEvaluation") && !missed.contains(&id), "{missed}");
    for wrong in ["/ofrep/v1/events", "/ofrep/v1/events?channel=00"] {
        assert_eq!(world.ask("GET", wrong, "", &[], Value::Null).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn unleash_clients_get_definitions_once_until_they_change() {
    let (world, tokens) = World::with_flags().await;
    let first = world.ask("GET", "/api/client/features", &tokens.client, &[], Value::Null).await;
    assert_eq!(first.body["version"], 2);
    assert_eq!(first.body["features"].as_array().unwrap().len(), 4);
    let half = &first.body["features"][1];
    assert_eq!(
        half["strategies"][0]["parameters"],
        json!({"groupId": "half", "rollout": "50", "stickiness": "default"})
    );
    let etag = first.headers[header::ETAG].to_str().unwrap().to_owned();
    let again =
        world.ask("GET", "/api/client/features", &tokens.client, &[("if-none-match", &etag)], Value::Null).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    let delta = world.ask("GET", "/api/client/delta", &tokens.client, &[], Value::Null).await;
    assert_eq!(delta.body["events"][0]["type"], "hydration");
    // SDKs that read 32 bits turn every flag off when a number does not fit.
    let number = delta.body["events"][0]["eventId"].as_u64().expect("a number");
    assert!((1..u64::from(u32::MAX)).contains(&number), "{number}");
    assert_eq!(delta.body["events"][0]["features"], first.body["features"]);
    world.switch(&tokens.admin, "dark", true).await;
    let changed =
        world.ask("GET", "/api/client/features", &tokens.client, &[("if-none-match", &etag)], Value::Null).await;
    assert_eq!((changed.status, &changed.body["features"][0]["enabled"]), (StatusCode::OK, &json!(true)));
    let refused = world.ask("GET", "/api/client/features", &tokens.frontend, &[], Value::Null).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "a browser's token does not read definitions");
}

#[tokio::test]
async fn unleash_streams_start_with_everything_and_follow_changes() {
    let (world, tokens) = World::with_flags().await;
    let request = Request::get("/api/client/streaming").header(header::AUTHORIZATION, &tokens.client);
    let response = world.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let mut stream = response.into_body().into_data_stream();
    let connected = String::from_utf8(stream.next().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(connected.contains("event: unleash-connected") && connected.contains("\"hydration\""), "{connected}");
    world.switch(&tokens.admin, "dark", true).await;
    let updated = String::from_utf8(stream.next().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(updated.contains("event: unleash-updated"), "{updated}");
}

#[tokio::test]
async fn unleash_frontends_get_what_is_on_for_them() {
    let (world, tokens) = World::with_flags().await;
    let get = world.ask("GET", "/api/frontend?userId=7&properties[plan]=pro", &tokens.frontend, &[], Value::Null).await;
    let names: Vec<_> = get.body["toggles"].as_array().unwrap().iter().map(|t| t["name"].clone()).collect();
    assert!(names.contains(&json!("new_uploader")) && !names.contains(&json!("dark")));
    let limit = get.body["toggles"].as_array().unwrap().iter().find(|t| t["name"] == "limit").unwrap();
    assert_eq!(limit["variant"]["payload"], json!({"type": "number", "value": "1.0"}));
    let etag = get.headers[header::ETAG].to_str().unwrap().to_owned();
    let body = json!({"context": {"userId": "7", "properties": {"plan": "pro"}}});
    let post = world.ask("POST", "/api/frontend", &tokens.frontend, &[("if-none-match", &etag)], body).await;
    assert_eq!(post.status, StatusCode::NOT_MODIFIED, "the same context is the same answer");
}

#[tokio::test]
async fn what_sdks_counted_is_added_up() {
    let (world, tokens) = World::with_flags().await;
    let report = json!({"appName": "photos", "instanceId": "i", "bucket": {
        "start": "2026-11-23T09:00:00Z", "stop": "2026-11-23T09:01:00Z",
        "toggles": {"half": {"yes": 3, "no": 2, "variants": {"a": 1}}, "ghost": {"yes": 1, "no": 0}},
    }});
    let hello = world.ask("POST", "/api/client/register", &tokens.client, &[], json!({"appName": "photos"})).await;
    assert_eq!(hello.status, StatusCode::ACCEPTED);
    let sent = world.ask("POST", "/api/client/metrics", &tokens.client, &[], report.clone()).await;
    assert_eq!(sent.status, StatusCode::ACCEPTED);
    world.ask("POST", "/api/frontend/client/metrics", &tokens.frontend, &[], report).await;
    let flag = world.ask("GET", "/api/flags/half", &tokens.admin, &[], Value::Null).await;
    let usage = &flag.body["environments"]["production"]["usage"];
    assert_eq!(usage, &json!({"yes": 6, "no": 4, "by_variant": {"a": 2}}));
    let page = world.app.own_metrics_page();
    let wanted = "tenfold_flag_evaluations_total{enabled=\"true\",environment=\"production\",flag=\"half\"} 6\n";
    assert!(page.contains(wanted), "{page}");
}

#[tokio::test]
async fn what_the_code_behind_a_flag_measured_becomes_series() {
    let (world, tokens) = World::with_flags().await;
    let labels = json!({"appName": "photos", "environment": "made-up"});
    let report = json!({"appName": "photos", "bucket": {"toggles": {}}, "impactMetrics": [
        {"name": "purchases", "help": "h", "type": "counter", "samples": [{"labels": labels, "value": 42}]},
        {"name": "open", "help": "h", "type": "gauge", "samples": [{"labels": labels, "value": 1.5}]},
        {"name": "time", "help": "h", "type": "histogram", "samples": [{"labels": labels, "count": 3, "sum": 0.5,
            "buckets": [{"le": 0.1, "count": 1}, {"le": "+Inf", "count": 3}]}]},
        {"name": "new", "help": "h", "type": "summary", "samples": [{"value": 1}]},
    ]});
    for _ in 0..2 {
        let sent = world.ask("POST", "/api/client/metrics", &tokens.client, &[], report.clone()).await;
        assert_eq!(sent.status, StatusCode::ACCEPTED);
    }
    let page = world.app.own_metrics_page();
    for line in [
        "impact_purchases_total{appName=\"photos\",environment=\"production\"} 84\n",
        "impact_open{appName=\"photos\",environment=\"production\"} 1.5\n",
        "impact_time_bucket{appName=\"photos\",environment=\"production\",le=\"0.1\"} 2\n",
        "impact_time_bucket{appName=\"photos\",environment=\"production\",le=\"+Inf\"} 6\n",
        "impact_time_sum{appName=\"photos\",environment=\"production\"} 1\n",
        "tenfold_impact_samples_refused_total 2\n",
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
}

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
