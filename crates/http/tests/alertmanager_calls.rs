//! What Karma and Grafana's Alertmanager data source ask of an Alertmanager, in the order in which they ask, with the fields of
//! the answers that they read. Learnt from their public sources (Karma's `internal/verprobe` and `internal/mapper`, Grafana's
//! `datasource/alertmanager`); neither runs here.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod common;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use base64::Engine;
use common::World;
use serde_json::{Value, json};
use tenfold_app::people::TokenKind;
use tenfold_app::{Caller, Role};
use tower::ServiceExt;

/// A program that has been given an address and a token, as the password of basic authentication.
struct Reader {
    world: World,
    authorization: String,
}

impl Reader {
    /// With one alert of a disk and one of the web, which senders have brought.
    async fn new() -> Self {
        let world = common::world().await;
        let token = world.token(TokenKind::Robot, Some(Role::Responder)).await;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("karma:{token}"));
        let reader = Self { world, authorization: format!("Basic {pair}") };
        let alert = |name: &str, service: &str| {
            json!({"labels": {"alertname": name, "service": service, "severity": "warning"},
                "annotations": {"summary": format!("{name} it is")}, "generatorURL": "http://sender.example/graph"})
        };
        let (status, body) = reader
            .send(Method::POST, "/api/v2/alerts", Some(json!([alert("Full", "disk"), alert("Slow", "web")])))
            .await;
        assert_eq!(status, StatusCode::OK, "{body}");
        reader
    }

    async fn text(&self, method: Method, uri: &str, body: Option<Value>) -> (StatusCode, String, String) {
        let mut request = Request::builder().method(method).uri(uri).header(header::AUTHORIZATION, &self.authorization);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let response =
            self.world.router.clone().oneshot(request.body(body).expect("a request")).await.expect("an answer");
        let status = response.status();
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
        let bytes = to_bytes(response.into_body(), 1 << 22).await.expect("a body that ends");
        (status, kind, String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn send(&self, method: Method, uri: &str, body: Option<Value>) -> (StatusCode, Value) {
        let (status, _, text) = self.text(method, uri, body).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn get(&self, uri: &str) -> Value {
        let (status, body) = self.send(Method::GET, uri, None).await;
        assert_eq!(status, StatusCode::OK, "{uri}: {body}");
        body
    }
}

/// Every field is there and is a text.
fn texts(of: &Value, fields: &[&str]) {
    for field in fields {
        assert!(of[*field].is_string(), "{field} of {of}");
    }
}

/// What both programs read of an alert. Go's clients stop at an instant that is none, and at a list that is null.
fn an_alert(alert: &Value) {
    texts(alert, &["fingerprint", "startsAt", "updatedAt", "endsAt", "generatorURL"]);
    for instant in ["startsAt", "updatedAt", "endsAt"] {
        let text = alert[instant].as_str().unwrap();
        assert!(tenfold_types::Timestamp::parse_rfc3339(text).is_some(), "{instant}: {text}");
    }
    assert!(alert["labels"]["alertname"].is_string() && alert["annotations"].is_object(), "{alert}");
    assert!(matches!(alert["status"]["state"].as_str(), Some("active" | "suppressed")), "{alert}");
    for list in ["silencedBy", "inhibitedBy", "mutedBy"] {
        assert!(alert["status"][list].is_array(), "{list} of {alert}");
    }
    assert!(alert["receivers"].as_array().unwrap().iter().all(|r| r["name"].is_string()), "{alert}");
}

/// A silence for the two hours to come, with an id to change that one.
fn silence(reader: &Reader, matchers: &Value, id: Option<&str>) -> Value {
    let now = reader.world.app.now();
    let mut body = json!({"matchers": matchers, "startsAt": now, "endsAt": now.plus_ms(2 * 3_600_000),
        "createdBy": "raj", "comment": "moving disks"});
    if let Some(id) = id {
        body["id"] = json!(id);
    }
    body
}

#[tokio::test]
async fn karma() {
    let reader = Reader::new().await;
    // First whom it speaks to: the version chooses its client, and the text must be one that Prometheus' own parser reads.
    let (status, kind, page) = reader.text(Method::GET, "/metrics", None).await;
    assert_eq!(status, StatusCode::OK);
    assert!(kind.starts_with("text/plain"), "{kind}");
    let line = page.lines().find(|l| l.starts_with("alertmanager_build_info{")).expect("the version");
    let version = line.split("version=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a label");
    let parts: Vec<u32> = version.split('.').map(|part| part.parse().expect("a number")).collect();
    assert!(parts.len() == 3 && (parts[0], parts[1]) >= (0, 22), "{version}");
    // Then what it shows: whether the cluster is well, silences, groups.
    let said = reader.get("/api/v2/status").await;
    texts(&said["cluster"], &["name", "status"]);
    assert!(
        said["cluster"]["peers"].as_array().unwrap().iter().all(|p| p["name"].is_string() && p["address"].is_string())
    );
    texts(&said["versionInfo"], &["version", "revision", "branch", "buildUser", "buildDate", "goVersion"]);
    assert_eq!(said["versionInfo"]["version"], version);
    texts(&said, &["uptime"]);
    texts(&said["config"], &["original"]);
    assert_eq!(reader.get("/api/v2/silences").await, json!([]));
    let groups = reader.get("/api/v2/alerts/groups").await;
    assert_eq!(groups.as_array().unwrap().iter().map(|g| g["alerts"].as_array().unwrap().len()).sum::<usize>(), 2);
    for group in groups.as_array().unwrap() {
        texts(&group["receiver"], &["name"]);
        assert!(group["labels"].is_object(), "{group}");
        group["alerts"].as_array().unwrap().iter().for_each(an_alert);
    }
    // Its proxy makes, changes and ends silences.
    let matchers = json!([{"name": "service", "value": "disk", "isRegex": false, "isEqual": true}]);
    let (status, made) = reader.send(Method::POST, "/api/v2/silences", Some(silence(&reader, &matchers, None))).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    let id = made["silenceID"].as_str().expect("its id").to_owned();
    let (status, changed) =
        reader.send(Method::POST, "/api/v2/silences", Some(silence(&reader, &matchers, Some(&id)))).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    let id = changed["silenceID"].as_str().expect("its id").to_owned();
    let list = reader.get("/api/v2/silences").await;
    let active: Vec<&Value> = list.as_array().unwrap().iter().filter(|s| s["status"]["state"] == "active").collect();
    assert_eq!(active.len(), 1, "{list}");
    texts(active[0], &["id", "startsAt", "endsAt", "updatedAt", "createdBy", "comment"]);
    assert_eq!((active[0]["id"].as_str(), &active[0]["matchers"]), (Some(id.as_str()), &matchers));
    let groups = reader.get("/api/v2/alerts/groups").await;
    let all = groups.as_array().unwrap().iter().flat_map(|g| g["alerts"].as_array().unwrap());
    let quiet: Vec<&Value> = all.filter(|a| a["status"]["state"] == "suppressed").collect();
    assert!(quiet.len() == 1 && quiet[0]["status"]["silencedBy"] == json!([id]), "{groups}");
    let (status, _) = reader.send(Method::DELETE, &format!("/api/v2/silence/{id}"), None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(reader.get(&format!("/api/v2/silence/{id}")).await["status"]["state"], "expired");
}

#[tokio::test]
async fn grafana_save_and_test() {
    let reader = Reader::new().await;
    // What it is: no `features`, or it would be taken for Mimir and configured lazily.
    let info = reader.get("/api/v1/status/buildinfo").await;
    assert!(info["data"].get("features").is_none(), "{info}");
    // With the implementation Prometheus it first makes sure that this is no Mimir or Cortex.
    let (status, body) = reader.send(Method::GET, "/alertmanager/api/v2/status", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{body}");
    assert!(reader.get("/api/v2/status").await.is_object());
}

#[tokio::test]
async fn grafana_lists_and_silences() {
    let reader = Reader::new().await;
    let all = reader.get("/api/v2/alerts?silenced=true&active=true&inhibited=true").await;
    assert_eq!(all.as_array().unwrap().len(), 2);
    all.as_array().unwrap().iter().for_each(an_alert);
    let some = reader.get("/api/v2/alerts?filter=service%3D%22disk%22&filter=severity%3D~%22w.*%22").await;
    assert_eq!(some.as_array().unwrap().len(), 1, "{some}");
    assert_eq!(some[0]["labels"]["alertname"], "Full");
    let groups = reader.get("/api/v2/alerts/groups?silenced=true&active=true&inhibited=true&receiver=on-call").await;
    assert!(groups.as_array().is_some_and(|g| !g.is_empty()), "{groups}");
    let quoted = reader.get("/api/v2/alerts/groups?receiver=%5CQon-call%5CE").await;
    assert_eq!(quoted.as_array().map(Vec::len), groups.as_array().map(Vec::len), "a pattern is one of Go's");
    let (status, why) = reader.send(Method::GET, "/api/v2/alerts/groups?receiver=%5Cp%7BNowhere%7D", None).await;
    let why = why.as_str().unwrap_or_default();
    assert!(status == StatusCode::BAD_REQUEST && why.ends_with("Unicode property not found"), "{status} {why}");
    // Its form: a pattern and a negation.
    let matchers = json!([{"name": "service", "value": "d.*", "isRegex": true, "isEqual": true},
        {"name": "severity", "value": "info", "isRegex": false, "isEqual": false}]);
    let mut annotated = silence(&reader, &matchers, None);
    annotated["annotations"] = json!({"ticket": "OPS-7"});
    let (status, made) = reader.send(Method::POST, "/api/v2/silences", Some(annotated.clone())).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    let id = made["silenceID"].as_str().expect("its id");
    let one = reader.get(&format!("/api/v2/silence/{id}")).await;
    assert_eq!((&one["matchers"], &one["annotations"]), (&matchers, &json!({"ticket": "OPS-7"})));
    annotated["annotations"] = json!({"ticket": "x".repeat(5_000)});
    let (status, why) = reader.send(Method::POST, "/api/v2/silences", Some(annotated)).await;
    assert!(status == StatusCode::BAD_REQUEST && why.as_str().is_some_and(|why| why.contains("annotations")), "{why}");
    let left = reader.get("/api/v2/alerts?silenced=false").await;
    assert_eq!(left.as_array().unwrap().iter().map(|a| &a["labels"]["service"]).collect::<Vec<_>>(), ["web"]);
    // What it shows when something is wrong: the text of the answer.
    let (status, why) = reader.send(Method::POST, "/api/v2/silences", Some(silence(&reader, &json!([]), None))).await;
    assert!(status == StatusCode::BAD_REQUEST && why.is_string(), "{status} {why}");
    let (status, _) = reader.send(Method::DELETE, &format!("/api/v2/silence/{id}"), None).await;
    assert_eq!(status, StatusCode::OK);
}

/// A silence has neither a kind nor times to come back at; whoever writes one back must not take them away.
#[tokio::test]
async fn a_maintenance_that_a_client_changes_stays_one() {
    let reader = Reader::new().await;
    let app = &reader.world.app;
    let new = json!({"matchers": "service=disk", "reason": "vacuum", "kind": "maintenance", "recurs_text": "sun 02:00-04:00",
        "expires_at": app.now().plus_ms(60 * 86_400_000), "annotations": {"ticket": "OPS-7"}});
    let made = app.mute_create(&Caller::system(), serde_json::from_value(new).unwrap()).await.expect("a maintenance");
    let mut shown = reader.get("/api/v2/silences").await[0].take();
    assert_eq!(shown["annotations"], json!({"ticket": "OPS-7", "kind": "maintenance"}));
    shown["comment"] = json!("vacuum, new ticket");
    let (status, answer) = reader.send(Method::POST, "/api/v2/silences", Some(shown.clone())).await;
    assert_eq!((status, &answer["silenceID"]), (StatusCode::OK, &shown["id"]), "{answer}");
    let changed = app.mute(made.id).await.expect("it is there");
    assert_eq!((changed.kind.as_str(), changed.reason.as_str()), ("maintenance", "vacuum, new ticket"));
    assert_eq!((&changed.recurs, &changed.annotations), (&made.recurs, &made.annotations));
    assert!(!changed.holds, "it waits for Sunday");
    // Of other alerts it is another one, with the same times.
    shown["matchers"] = json!([{"name": "service", "value": "web", "isRegex": false, "isEqual": true}]);
    let (status, answer) = reader.send(Method::POST, "/api/v2/silences", Some(shown.clone())).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_ne!(answer["silenceID"], shown["id"]);
    let open = app.mutes().await.expect("mutes");
    let kinds: Vec<_> = open.iter().map(|mute| (mute.kind.as_str(), mute.recurs == made.recurs, mute.holds)).collect();
    assert_eq!(kinds, [("maintenance", true, false)]);
    assert_eq!(reader.get("/api/v2/alerts?silenced=false").await.as_array().unwrap().len(), 2, "nothing is muted");
}

/// A viewer's token reads all of this and changes nothing.
#[tokio::test]
async fn who_only_reads_makes_no_silence() {
    let mut reader = Reader::new().await;
    let new = tenfold_app::people::NewToken {
        name: "wall".into(),
        kind: TokenKind::Robot,
        role: Some(Role::Viewer),
        service: None,
        environment: None,
        projects: Vec::new(),
        expires_at: None,
    };
    let token = reader.world.app.token_create(&Caller::system(), new).await.expect("a token").secret;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("wall:{token}"));
    reader.authorization = format!("Basic {pair}");
    for uri in ["/metrics", "/api/v2/status", "/api/v2/silences", "/api/v2/alerts/groups", "/api/v2/receivers"] {
        assert_eq!(reader.text(Method::GET, uri, None).await.0, StatusCode::OK, "{uri}");
    }
    let matchers = json!([{"name": "service", "value": "disk", "isRegex": false}]);
    let (status, why) = reader.send(Method::POST, "/api/v2/silences", Some(silence(&reader, &matchers, None))).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{why}");
}

#[tokio::test]
async fn the_alertmanagers_that_alerts_are_sent_on_to_are_listed_and_our_own_alerts_refused() {
    let other = "http://am.example:9093";
    let world = common::world_with(|settings| {
        settings.alerts.forward = vec![serde_json::from_value(json!(other)).unwrap()];
    })
    .await;
    let viewer = world.token(TokenKind::Robot, Some(Role::Responder)).await;
    let ask = |request: axum::http::request::Builder, body: &'static str| {
        let request = request.header(header::AUTHORIZATION, format!("Bearer {viewer}"));
        world.router.clone().oneshot(request.body(Body::from(body)).unwrap())
    };
    let response = ask(Request::get("/api/v1/alertmanagers"), "").await.unwrap();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let listed: Value = serde_json::from_slice(&body).unwrap();
    let urls: Vec<&str> =
        listed["data"]["activeAlertmanagers"].as_array().unwrap().iter().map(|m| m["url"].as_str().unwrap()).collect();
    let own = world.app.settings.link("/api/v2/alerts");
    assert_eq!(urls, [own.as_str(), "http://am.example:9093/api/v2/alerts"], "{listed}");
    assert_eq!(listed["data"]["droppedAlertmanagers"], json!([]));

    let name = world.app.read(|tx| Ok(tenfold_store::cursors::get_text(tx, "forward:name")?)).await.unwrap().unwrap();
    for (from, wanted) in [(name.as_str(), StatusCode::LOOP_DETECTED), ("another", StatusCode::OK)] {
        let request = Request::post("/api/v2/alerts")
            .header(header::CONTENT_TYPE, "application/json")
            .header(tenfold_app::alerts::FORWARDED_BY, from);
        let response = ask(request, r#"[{"labels": {"alertname": "X"}}]"#).await.unwrap();
        assert_eq!(response.status(), wanted, "{from}");
    }
}

/// A Prometheus that gets 413 sends the same batch again and again, and nobody hears of it.
#[tokio::test]
async fn a_batch_with_long_annotations_is_taken() {
    let reader = Reader::new().await;
    let alert = |n: usize| {
        json!({"labels": {"alertname": "Long", "instance": n.to_string(), "severity": "warning"},
            "annotations": {"description": "d".repeat(2_000)}})
    };
    let batch: Vec<Value> = (0..1_000).map(alert).collect();
    let (status, body) = reader.send(Method::POST, "/api/v2/alerts", Some(json!(batch))).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let seen = reader.world.app.alerts_list(None).await.expect("alerts");
    assert_eq!(seen.iter().filter(|a| a.rule == "Long").count(), 1_000);
    let too_long = json!([{"labels": {"alertname": "Long"}, "annotations": {"description": "d".repeat(16 << 20)}}]);
    let (status, body) = reader.send(Method::POST, "/api/v2/alerts", Some(too_long)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{body}");
}
