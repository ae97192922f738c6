//! flagd's evaluation service: the bytes of gRPC as its clients read them, Connect's JSON, and the event stream.

use std::convert::Infallible;
use std::pin::Pin;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::Response;
use futures_util::future::poll_fn;
use serde_json::{Value, json};
use tenfold_app::Caller;
use tenfold_app::people::TokenKind;
use tower::{Service, ServiceExt};

use crate::common::World;

/// A request's protobuf: the key, and a context of texts. Lengths stay under 128, so that each is one byte.
fn question(key: &str, context: &[(&str, &str)]) -> Vec<u8> {
    fn field(number: u8, body: &[u8]) -> Vec<u8> {
        assert!(body.len() < 128, "one byte holds the length");
        [&[number << 3 | 2, body.len() as u8], body].concat()
    }
    let mut fields = Vec::new();
    for (name, value) in context {
        let value = field(3, value.as_bytes());
        fields.extend(field(1, &[field(1, name.as_bytes()), field(2, &value)].concat()));
    }
    let message = [field(1, key.as_bytes()), field(2, &fields)].concat();
    [&[0, 0, 0, 0, message.len() as u8], &message[..]].concat()
}

struct Called {
    status: StatusCode,
    headers: HeaderMap,
    data: Vec<u8>,
    trailers: HeaderMap,
}

impl Called {
    fn grpc_status(&self) -> &str {
        let status = self.trailers.get("grpc-status").or(self.headers.get("grpc-status"));
        status.and_then(|s| s.to_str().ok()).unwrap_or("none")
    }
}

async fn call(
    routes: impl Service<Request<Body>, Response = Response, Error = Infallible>,
    path: &str,
    token: &str,
    body: Vec<u8>,
) -> Called {
    let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/grpc").header("te", "trailers");
    if !token.is_empty() {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let response = routes.oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let (mut body, mut data, mut trailers) = (response.into_body(), Vec::new(), HeaderMap::new());
    while let Some(frame) = poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut body), cx)).await {
        match frame.unwrap().into_data() {
            Ok(bytes) => data.extend_from_slice(&bytes),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    Called { status, headers, data, trailers }
}

#[tokio::test]
async fn grpc_answers_in_frames_and_ends_in_trailers() {
    let (world, tokens) = World::with_flags().await;
    for version in ["v1", "v2"] {
        let ask = |method: &str, body: Vec<u8>| {
            let path = format!("/flagd.evaluation.{version}.Service/{method}");
            let (router, token) = (world.router.clone(), tokens.frontend.clone());
            async move { call(router, &path, &token, body).await }
        };
        let on = ask("ResolveBoolean", question("new_uploader", &[("targetingKey", "7")])).await;
        assert_eq!((on.status, on.grpc_status()), (StatusCode::OK, "0"));
        assert_eq!(on.headers[header::CONTENT_TYPE], "application/grpc");
        let (message, metadata) = on.data[5..].split_at(14);
        assert_eq!(message, b"\x08\x01\x12\x06STATIC\x1a\x02on");
        assert_eq!(
            (metadata[0], metadata.len(), on.data[4]),
            (4 << 3 | 2, 2 + usize::from(metadata[1]), on.data.len() as u8 - 5)
        );
        let said = String::from_utf8_lossy(metadata);
        assert!(["flagSetId", "version", "project", "kind"].iter().all(|name| said.contains(name)), "{said}");
        let off = ask("ResolveBoolean", question("dark", &[])).await;
        assert_eq!(&off.data[5..22], b"\x08\x00\x12\x08DISABLED\x1a\x03off", "a zero is said");
        let float = ask("ResolveFloat", question("limit", &[])).await;
        assert_eq!(float.data[5..14], [&[0x09][..], &1f64.to_le_bytes()].concat(), "a double");
        for (method, body, wanted) in [
            ("ResolveBoolean", question("ghost", &[]), "5"),
            ("ResolveString", question("new_uploader", &[]), "3"),
            ("ResolveBoolean", question("half", &[]), "9"),
            ("ResolveBoolean", b"\x00\x00\x00\x00\x05\x0a".to_vec(), "3"),
            ("ResolveBoolean", b"\x01\x00\x00\x00\x00".to_vec(), "3"),
            ("ResolveEverything", question("half", &[]), "12"),
        ] {
            let wrong = ask(method, body).await;
            assert_eq!((wrong.status, wrong.grpc_status()), (StatusCode::OK, wanted), "{version} {method}");
            assert!(wrong.headers.contains_key("grpc-message"), "a reason is given");
        }
        let all = ask("ResolveAll", b"\x00\x00\x00\x00\x00".to_vec()).await;
        assert_eq!(all.grpc_status(), if version == "v1" { "0" } else { "12" });
    }
    let nobody =
        call(world.router.clone(), "/flagd.evaluation.v1.Service/ResolveBoolean", "", question("dark", &[])).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED, "which gRPC reads as UNAUTHENTICATED");
}

#[tokio::test]
async fn connect_answers_in_json() {
    let (world, tokens) = World::with_flags().await;
    let off = json!({"value_type": "string", "environments": {"production": {"enabled": false}}});
    world.put_flag(&tokens.admin, "title", off).await;
    let limit = json!({"value_type": "int", "environments": {"production": {"enabled": true, "off_value": 1,
        "variants": [{"name": "many", "weight": 1, "value": 9}]}}});
    world.put_flag(&tokens.admin, "count", limit).await;
    let ask = |method: &'static str, body: Value| {
        let (world, token) = (&world, &tokens.frontend);
        async move { world.ask("POST", &format!("/flagd.evaluation.v1.Service/{method}"), token, &[], body).await }
    };
    let on = ask("ResolveBoolean", json!({"flagKey": "new_uploader", "context": {"targetingKey": "7"}})).await;
    let version = on.body["metadata"]["version"].clone();
    assert!(version.as_str().unwrap().starts_with("production:"), "{version}");
    let metadata = json!({"flagSetId": "production", "version": version, "project": "default", "kind": "release"});
    assert_eq!(on.body, json!({"value": true, "reason": "STATIC", "variant": "on", "metadata": metadata}));
    let int = ask("ResolveInt", json!({"flagKey": "count"})).await;
    assert_eq!((&int.body["value"], &int.body["variant"]), (&json!("9"), &json!("many")));
    let as_float = ask("ResolveFloat", json!({"flagKey": "count"})).await;
    assert_eq!(as_float.body["value"].to_string(), "9.0");
    let title = ask("ResolveString", json!({"flagKey": "title"})).await;
    assert_eq!(
        title.body,
        json!({"reason": "DISABLED", "metadata": metadata}),
        "nobody set a value, so the caller's counts"
    );
    let missing = ask("ResolveBoolean", json!({"flagKey": "ghost"})).await;
    assert_eq!((missing.status, &missing.body["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
    let all = ask("ResolveAll", json!({"context": {"targetingKey": "7"}})).await;
    assert_eq!(all.body["flags"]["dark"]["boolValue"], false);
    assert_eq!(all.body["flags"]["count"]["doubleValue"], 9);
    assert_eq!(all.body["metadata"], json!({"flagSetId": "production", "version": version}));
    assert_eq!(all.body["flags"]["dark"]["metadata"], json!({"project": "default", "kind": "release"}));
    let nobody = ask("ResolveAll", json!({})).await;
    assert!(nobody.body["flags"].get("half").is_none(), "what is split by person is not guessed");
}

#[tokio::test]
async fn a_rule_that_led_to_the_default_says_so() {
    let (world, tokens) = World::with_flags().await;
    let rule = |c: &str| json!({"if": [{"==": [{"var": "targetingKey"}, "7"]}, c, null]});
    let document = json!({"flags": {
        "text": {"state": "ENABLED", "variants": {"hit": "hit", "miss": "miss"}, "defaultVariant": "miss", "targeting": rule("hit")},
        "none": {"state": "ENABLED", "variants": {"hit": "hit"}, "defaultVariant": null, "targeting": rule("hit")},
        "up": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on", "targeting": rule("off")},
        "down": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off", "targeting": rule("on")}}});
    let taken = world.ask("POST", "/api/flags/import", &tokens.admin, &[], json!({"document": document})).await;
    assert_eq!(taken.body["created"].as_array().map(Vec::len), Some(4), "{}", taken.body);
    for (key, person, value, reason) in [
        ("text", "7", json!("hit"), "TARGETING_MATCH"),
        ("text", "8", json!("miss"), "DEFAULT"),
        ("none", "8", Value::Null, "DEFAULT"),
        // Of a switch only who gets it is kept, not whether a rule or the default said so.
        ("up", "8", json!(true), "TARGETING_MATCH"),
        ("up", "7", json!(false), "TARGETING_MATCH"),
        ("down", "7", json!(true), "TARGETING_MATCH"),
        ("down", "8", json!(false), "TARGETING_MATCH"),
    ] {
        let method = if value.is_boolean() { "ResolveBoolean" } else { "ResolveString" };
        let path = format!("/flagd.evaluation.v1.Service/{method}");
        let body = json!({"flagKey": key, "context": {"targetingKey": person}});
        let answer = world.ask("POST", &path, &tokens.frontend, &[], body).await;
        assert_eq!((&answer.body["value"], &answer.body["reason"]), (&value, &json!(reason)), "{key} {person}");
    }
}

/// The next frame of a stream as JSON, with its flags.
async fn frame(body: &mut Body) -> Option<(u8, Value)> {
    let frame = poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut *body), cx)).await?.unwrap();
    let data: Bytes = frame.into_data().unwrap();
    Some((data[0], serde_json::from_slice(&data[5..]).unwrap()))
}

#[tokio::test]
async fn the_stream_names_what_changed_and_ends_with_its_token() {
    let (world, tokens) = World::with_flags().await;
    let made = world.token_for(TokenKind::Frontend, &[]).await;
    let request = Request::post("/flagd.evaluation.v2.Service/EventStream")
        .header(header::CONTENT_TYPE, "application/connect+json")
        .header(header::AUTHORIZATION, &made.secret)
        .body(Body::from(b"\x00\x00\x00\x00\x02{}".to_vec()))
        .unwrap();
    let mut body = world.router.clone().oneshot(request).await.unwrap().into_body();
    assert_eq!(frame(&mut body).await, Some((0, json!({"type": "provider_ready", "data": {}}))));
    world.switch(&tokens.admin, "dark", true).await;
    let (_, changed) = frame(&mut body).await.unwrap();
    assert_eq!(changed["type"], "configuration_change");
    assert_eq!(changed["data"]["flags"], json!({"dark": {"type": "update", "flagKey": "dark"}}));
    world.app.token_revoke(&Caller::system(), &made.token.id).await.unwrap();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(5), frame(&mut body)).await.expect("within 5 s");
    let (flags, last) = ended.unwrap();
    assert_eq!((flags, &last["error"]["code"]), (2, &json!("unauthenticated")));
    assert_eq!(frame(&mut body).await, None);
}

#[tokio::test]
async fn a_listener_of_its_own_answers_without_a_token() {
    let (world, _) = World::with_flags().await;
    let open = tenfold_http::flagd_router(world.app.clone(), "production");
    let path = "/flagd.evaluation.v2.Service/ResolveBoolean";
    let on = call(open.clone(), path, "", question("new_uploader", &[])).await;
    assert_eq!(on.grpc_status(), "0");
    let elsewhere = call(open, "/api/client/features", "", Vec::new()).await;
    assert_eq!(elsewhere.status, StatusCode::NOT_FOUND, "nothing else is served there");
}
