//! Streams that a person's session opened end with it: signing out, a new password, a closed account.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod common;

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode, header};
use common::World;
use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json};
use tenfold_app::people::{PersonUpdate, TokenKind};
use tenfold_app::{Caller, Role};
use tower::ServiceExt;

/// What a stream may take to end.
const SOON: Duration = Duration::from_secs(5);

async fn change(world: &World, update: Value) {
    let update: PersonUpdate = serde_json::from_value(update).unwrap();
    world.app.person_put(&Caller::system(), "ana", update).await.unwrap();
}

/// A world in which Ana, a viewer, is signed in; the secret of her session.
async fn signed_in() -> (World, String) {
    let world = common::world().await;
    change(&world, json!({"name": "Ana", "password": "a long enough password", "disabled": false})).await;
    let flag = serde_json::from_value(json!({"environments": {"production": {"enabled": true}}})).unwrap();
    world.app.flag_put(&Caller::system(), "a", flag).await.unwrap();
    let secret = world.app.open_session("ana").await.unwrap().secret;
    (world, secret)
}

fn request(world: &World, method: &str, uri: &str, secret: &str) -> axum::http::request::Builder {
    let name = tenfold_http::auth::cookie_name(&world.app);
    let request = Request::builder().method(method).uri(uri).header("sec-fetch-site", "same-origin");
    if secret.is_empty() { request } else { request.header(header::COOKIE, format!("{name}={secret}")) }
}

async fn open(world: &World, uri: &str, secret: &str) -> BodyDataStream {
    let request = request(world, "GET", uri, secret).body(Body::empty()).unwrap();
    let response = world.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{uri}");
    response.into_body().into_data_stream()
}

/// The address that a bulk evaluation gives a browser, which then sends neither token nor cookie.
async fn channel(world: &World, secret: &str) -> String {
    let body = Body::from(json!({"context": {"targetingKey": "7"}}).to_string());
    let request = request(world, "POST", "/ofrep/v1/evaluate/flags", secret)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .unwrap();
    let response = world.router.clone().oneshot(request).await.unwrap();
    let body: Value =
        serde_json::from_slice(&axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap()).unwrap();
    body["eventStreams"][0]["endpoint"]["requestUri"].as_str().unwrap().to_owned()
}

/// flagd's stream, as its web provider opens it.
async fn flagd(world: &World, secret: &str) -> BodyDataStream {
    let request = request(world, "POST", "/flagd.evaluation.v2.Service/EventStream", secret)
        .header(header::CONTENT_TYPE, "application/connect+json")
        .header("flagd-selector", "flagSetId=production")
        .body(Body::from(b"\x00\x00\x00\x00\x02{}".to_vec()))
        .unwrap();
    let response = world.router.clone().oneshot(request).await.unwrap();
    let mut stream = response.into_body().into_data_stream();
    let first = stream.next().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&first).contains("provider_ready"), "{first:?}");
    stream
}

async fn ends(what: &str, mut stream: BodyDataStream) {
    let rest = async { while stream.next().await.is_some_and(|piece| piece.is_ok()) {} };
    assert!(tokio::time::timeout(SOON, rest).await.is_ok(), "{what} goes on after its session ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_with_the_session_that_opened_them() {
    for how in ["sign out", "a new password", "a closed account"] {
        let (world, secret) = signed_in().await;
        let address = channel(&world, &secret).await;
        let streams = [
            ("the record", open(&world, "/api/stream", &secret).await),
            ("definitions", open(&world, "/api/client/streaming", &secret).await),
            ("changes", open(&world, &address, "").await),
            ("flagd's events", flagd(&world, &secret).await),
        ];
        let other = world.app.open_session("ana").await.unwrap().secret;
        let mut staying = open(&world, "/api/stream", &other).await;
        match how {
            "sign out" => world.app.sign_out(&secret).await.unwrap(),
            "a new password" => change(&world, json!({"password": "another long password"})).await,
            _ => change(&world, json!({"disabled": true})).await,
        }
        for (what, stream) in streams {
            ends(&format!("{how}: {what}"), stream).await;
        }
        let again = request(&world, "GET", &address, "").body(Body::empty()).unwrap();
        let again = world.router.clone().oneshot(again).await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_FOUND, "{how}: the address stands for nobody any more");
        if how == "sign out" {
            let next = staying.next().now_or_never();
            assert!(next.is_none_or(|piece| piece.is_some()), "the stream of another session goes on");
        } else {
            ends(how, staying).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_s_stream_ends_with_its_token() {
    let world = common::world().await;
    let secret = world.token(TokenKind::Robot, Some(Role::Viewer)).await;
    let bearer = format!("Bearer {secret}");
    let request = Request::get("/api/stream").header(header::AUTHORIZATION, bearer).body(Body::empty()).unwrap();
    let stream = world.router.clone().oneshot(request).await.unwrap().into_body().into_data_stream();
    let id = world.app.token_by_secret(&secret).unwrap().id.clone();
    world.app.token_revoke(&Caller::system(), &id).await.unwrap();
    ends("the record", stream).await;
}
