//! Requests of alerts that were kept aside: who looks at them, and who settles those that were looked at.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod common;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use common::World;
use serde_json::{Value, json};
use tenfold_app::Role;
use tenfold_app::people::TokenKind;
use tenfold_store::alert_inbox;
use tenfold_types::Timestamp;
use tower::ServiceExt;

const PATH: &str = "/api/alerts/refused";

async fn ask(world: &World, token: &str, method: Method, path: &str) -> (StatusCode, Value) {
    let request = Request::builder().method(method).uri(path);
    let request = request
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json");
    let response = world.router.clone().oneshot(request.body(Body::from("{}")).unwrap()).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// As the node that takes alerts keeps a request aside.
async fn keep_aside(world: &World, refused_at: Timestamp) {
    let body = json!({"posted": [{"labels": {"alertname": "Late", "service": "photos"}}]}).to_string();
    let kept = world.app.housekeeping(move |t| {
        let id = alert_inbox::put(t.tx(), &body, refused_at)?;
        Ok(alert_inbox::refuse(t.tx(), id, refused_at, "the store is broken")?)
    });
    kept.await.unwrap();
}

#[tokio::test]
async fn what_came_since_somebody_looked_is_not_forgotten_with_the_rest() {
    let world = common::world().await;
    let viewer = world.token(TokenKind::Robot, Some(Role::Viewer)).await;
    let responder = world.token(TokenKind::Robot, Some(Role::Responder)).await;
    let deployer = world.token(TokenKind::Robot, Some(Role::Deployer)).await;
    let listed = async || ask(&world, &viewer, Method::GET, PATH).await;
    assert_eq!(listed().await, (StatusCode::OK, json!({"items": [], "total": 0})));
    let now = world.app.now();
    keep_aside(&world, now.plus_ms(-1_000)).await;
    keep_aside(&world, now).await;
    let (_, seen) = listed().await;
    assert_eq!((&seen["total"], &seen["items"][1]["alerts"]), (&json!(2), &json!(["Late"])), "{seen}");
    let newest = seen["items"][0]["refused_at"].as_str().unwrap().to_owned();
    assert_eq!(Timestamp::parse_rfc3339(&newest), Some(now), "the newest is the first");

    keep_aside(&world, now.plus_ms(1)).await;
    let until = format!("{PATH}?until={newest}");
    for token in [&viewer, &responder] {
        for (method, path) in [(Method::DELETE, until.as_str()), (Method::DELETE, PATH), (Method::POST, PATH)] {
            assert_eq!(ask(&world, token, method, path).await.0, StatusCode::FORBIDDEN, "{path}");
        }
    }
    let wrong = ask(&world, &deployer, Method::DELETE, &format!("{PATH}?until=soon")).await;
    assert!(wrong.0.is_client_error(), "{wrong:?}");
    assert_eq!(listed().await.1["total"], 3, "nothing has changed");

    assert_eq!(
        ask(&world, &deployer, Method::DELETE, &until).await,
        (StatusCode::OK, json!({"requests": 2, "over": 0}))
    );
    let (_, left) = listed().await;
    assert_eq!((&left["total"], left["items"].as_array().unwrap().len()), (&json!(1), 1), "{left}");
    assert_eq!(ask(&world, &deployer, Method::DELETE, &until).await.1, json!({"requests": 0, "over": 0}));
    assert_eq!(ask(&world, &deployer, Method::POST, PATH).await, (StatusCode::OK, json!({"requests": 1, "over": 0})));
    assert_eq!(listed().await.1, json!({"items": [], "total": 0}), "it waits again");
    let waiting = world.app.read(|tx| Ok(alert_inbox::waiting(tx)?)).await.unwrap();
    assert_eq!(waiting.requests, 1);
}
