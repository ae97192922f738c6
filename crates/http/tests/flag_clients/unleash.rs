//! The Unleash protocol as its SDKs use it.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::common::World;

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
    // It begins with the time after which to come back.
    let mut stream = response.into_body().into_data_stream().skip(1);
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
        "tenfold_impact_samples_refused_total{environment=\"production\"} 2\n",
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
}

#[tokio::test]
async fn unleash_deltas_bring_a_client_from_where_it_is() {
    let (world, tokens) = World::with_flags().await;
    let path = "/api/client/delta";
    let first = world.ask("GET", path, &tokens.client, &[], Value::Null).await;
    assert_eq!(first.body["events"][0]["type"], "hydration");
    let etag = first.headers[header::ETAG].to_str().unwrap().to_owned();
    let ask = |etag: String| {
        let (world, token) = (&world, &tokens.client);
        async move { world.ask("GET", path, token, &[("if-none-match", &etag)], Value::Null).await }
    };
    assert_eq!(ask(etag.clone()).await.status, StatusCode::NOT_MODIFIED);
    world.switch(&tokens.admin, "dark", true).await;
    world.switch(&tokens.admin, "half", false).await;
    let archived = world.ask("DELETE", "/api/flags/new_uploader", &tokens.admin, &[], Value::Null).await;
    assert_eq!(archived.status, StatusCode::OK);
    world.switch(&tokens.admin, "half", true).await;
    let delta = ask(etag.clone()).await;
    let told: Vec<_> = delta.body["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| {
            let name = e["feature"]["name"].as_str().or(e["featureName"].as_str()).unwrap();
            (e["type"].as_str().unwrap(), name)
        })
        .collect();
    let wanted = [("feature-updated", "dark"), ("feature-updated", "half"), ("feature-removed", "new_uploader")];
    assert_eq!(told, wanted, "each flag once, as it is now");
    let ids = delta.body["events"].as_array().unwrap().iter().map(|e| e["eventId"].as_u64().unwrap());
    assert!(ids.min().unwrap() > first.body["events"][0]["eventId"].as_u64().unwrap());
    let newer = delta.headers[header::ETAG].to_str().unwrap().to_owned();
    assert_eq!(ask(newer.clone()).await.status, StatusCode::NOT_MODIFIED);
    // Back to what it was once: the client with that state is told nothing it has already.
    world.switch(&tokens.admin, "dark", false).await;
    let back = ask(format!("W/{newer}")).await;
    assert_eq!(back.body["events"].as_array().unwrap().len(), 1, "a weak tag is the same tag: {}", back.body);
    for unknown in ["\"production:0000000000000000\"", "7"] {
        assert_eq!(ask(unknown.into()).await.body["events"][0]["type"], "hydration", "{unknown}");
    }
}

/// What a gzip body of this server's own holds.
#[expect(clippy::disallowed_types, reason = "the body is our own and small")]
fn gunzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Read;
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
    out
}

#[tokio::test]
async fn unleash_definitions_come_compressed_to_whom_takes_it() {
    let (world, tokens) = World::with_flags().await;
    let small =
        world.ask("GET", "/api/client/features", &tokens.client, &[("accept-encoding", "gzip")], Value::Null).await;
    assert!(!small.headers.contains_key(header::CONTENT_ENCODING), "a small body is sent as it is");
    for n in 0..5 {
        world.put_flag(&tokens.admin, &format!("more-{n}"), json!({})).await;
    }
    for path in ["/api/client/features", "/api/client/delta"] {
        let plain = world.ask("GET", path, &tokens.client, &[], Value::Null).await;
        let packed = world.ask("GET", path, &tokens.client, &[("accept-encoding", "gzip, br")], Value::Null).await;
        assert_eq!(packed.headers[header::CONTENT_ENCODING], "gzip");
        assert_eq!(packed.headers[header::VARY], "Accept-Encoding");
        assert!(packed.bytes.len() < plain.bytes.len());
        assert_eq!(gunzip(&packed.bytes), plain.bytes);
        let etag = packed.headers[header::ETAG].to_str().unwrap();
        assert_eq!(etag, format!("W/{}", plain.headers[header::ETAG].to_str().unwrap()));
        let known = [("accept-encoding", "gzip"), ("if-none-match", etag)];
        let again = world.ask("GET", path, &tokens.client, &known, Value::Null).await;
        assert_eq!((again.status, again.bytes.len()), (StatusCode::NOT_MODIFIED, 0));
    }
}

#[tokio::test]
async fn one_flag_is_asked_by_its_name() {
    let (world, tokens) = World::with_flags().await;
    let half = world.ask("GET", "/api/client/features/half", &tokens.client, &[], Value::Null).await;
    assert_eq!(half.body["name"], "half");
    let ghost = world.ask("GET", "/api/client/features/ghost", &tokens.client, &[], Value::Null).await;
    assert_eq!(ghost.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_asks_is_known_and_what_a_proxy_collected_is_added_up() {
    let (world, tokens) = World::with_flags().await;
    let sdk = [("unleash-appname", "photos"), ("unleash-instanceid", "i1"), ("unleash-sdk", "unleash-node-sdk:6.12.1")];
    world.ask("GET", "/api/client/features", &tokens.client, &sdk, Value::Null).await;
    let hello = json!({"appName": "shop", "instanceId": "i2", "sdkVersion": "java:9", "strategies": ["default"], "interval": 10});
    assert_eq!(
        world.ask("POST", "/api/client/register", &tokens.client, &[], hello).await.status,
        StatusCode::ACCEPTED
    );
    let bulk = json!({
        "applications": [{"appName": "carts", "instanceId": "i3", "environment": "production", "interval": 60,
            "started": "2026-11-23T09:00:00Z", "strategies": []}],
        "metrics": [
            {"featureName": "half", "appName": "carts", "environment": "production",
                "timestamp": "2026-11-23T09:00:00Z", "yes": 3, "no": 2, "variants": {"a": 1}},
            {"featureName": "half", "appName": "carts", "environment": "development",
                "timestamp": "2026-11-23T09:00:00Z", "yes": 100, "no": 0, "variants": {}},
        ],
    });
    for path in ["/api/client/metrics/bulk", "/edge/metrics"] {
        let sent = world.ask("POST", path, &tokens.client, &[], bulk.clone()).await;
        assert_eq!(sent.status, StatusCode::ACCEPTED, "{}", sent.body);
    }
    let flag = world.ask("GET", "/api/flags/half", &tokens.admin, &[], Value::Null).await;
    assert_eq!(flag.body["environments"]["production"]["usage"], json!({"yes": 6, "no": 4, "by_variant": {"a": 2}}));
    assert_eq!(flag.body["environments"]["development"]["usage"]["yes"], 0, "a token counts for its own environment");
    let clients = world.ask("GET", "/api/flag-clients", &tokens.admin, &[], Value::Null).await;
    let mut seen: Vec<_> = clients.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| {
            (i["app_name"].as_str().unwrap(), i["instance_id"].as_str().unwrap(), i["sdk_version"].as_str().unwrap())
        })
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, [("carts", "i3", ""), ("photos", "i1", "unleash-node-sdk:6.12.1"), ("shop", "i2", "java:9")]);
    let bulk_of_robot = world.ask("POST", "/api/client/metrics/bulk", &tokens.frontend, &[], bulk).await;
    assert_eq!(bulk_of_robot.status, StatusCode::FORBIDDEN);
}
