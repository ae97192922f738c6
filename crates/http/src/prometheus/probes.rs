//! What others ask of a Prometheus before they use it: whether it lives, whether it is ready, and to whom it sends alerts.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tenfold_app::App;

use super::success;

/// The process runs.
#[utoipa::path(get, path = "/-/healthy", responses((status = 200, content_type = "text/plain")))]
pub(super) async fn healthy() -> &'static str {
    "tenfold is healthy.\n"
}

/// The store answers, so that queries and samples are taken.
#[utoipa::path(get, path = "/-/ready", responses((status = 200, content_type = "text/plain"), (status = 503, content_type = "text/plain")))]
pub(super) async fn ready(State(app): State<App>) -> Response {
    match app.setup_needed().await {
        Ok(_) => "tenfold is ready.\n".into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n").into_response(),
    }
}

/// How far the write-ahead log was read again: whole, or nobody would answer yet.
#[utoipa::path(get, path = "/api/v1/status/walreplay", responses((status = 200, content_type = "application/json")))]
pub(super) async fn walreplay() -> Response {
    success(json!({"min": 0, "max": 0, "current": 0, "state": "done"}))
}

/// Where alerts of rules go: here, where others may send theirs as well, and to the Alertmanagers they are sent on to. One of
/// these that is this server itself is dropped.
#[utoipa::path(get, path = "/api/v1/alertmanagers", responses((status = 200, content_type = "application/json")))]
pub(super) async fn alertmanagers(State(app): State<App>) -> Response {
    let (mut active, mut dropped) = (vec![json!({"url": app.settings.link("/api/v2/alerts")})], Vec::new());
    for (url, is_sent_to) in app.forward_receivers() {
        let list = if is_sent_to { &mut active } else { &mut dropped };
        list.push(json!({"url": url}));
    }
    success(json!({"activeAlertmanagers": active, "droppedAlertmanagers": dropped}))
}
