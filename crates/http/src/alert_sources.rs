//! Senders of alerts with a secret of their own: their webhooks, and managing them.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Request, State};
use serde::Serialize;
use tenfold_app::sources::{
    AlertHookAnswer, AlertSourceList, AlertSourcePut, AlertSourceSpec, AlertSourceTry, AlertSourceView, HeartbeatAnswer,
};
use tenfold_app::{App, Role};
use tenfold_protocols::alert_hook::BODY_BYTES_MAX;
use tenfold_types::Fault;
use utoipa_axum::routes;

use crate::auth::Who;
use crate::{Api, ApiError, Body, PathOf, Policy, push};

/// A sender sends its few kilobytes at once.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// What a heartbeat may send along; nobody reads it.
const BEAT_BYTES_MAX: usize = 64 << 10;

pub fn api() -> Api {
    Api::new("alert sources")
        // The signature says who sends; it is checked before anything is read.
        .add(Policy::Public, routes!(hook))
        // The secret in the address does.
        .add(Policy::Public, routes!(beat, beat_by_get))
        .add(Policy::Viewer, routes!(list))
        .add(Policy::Viewer, routes!(show))
        .add(Policy::Role(Role::Deployer), routes!(put, delete))
        .add(Policy::Role(Role::Deployer), routes!(secret))
        .add(Policy::Role(Role::Responder), routes!(try_body))
}

#[derive(Serialize, utoipa::ToSchema)]
struct AlertSourceDeleted {
    done: bool,
}

/// Takes the alerts of a source, signed with its secret: any JSON as its mapping reads it, or Grafana's webhook.
#[utoipa::path(post, path = "/hooks/alerts/{name}", operation_id = "alert_hook", params(("name" = String, Path)), request_body(content = String, content_type = "application/json"), responses(
    (status = 200, body = AlertHookAnswer, description = "Taken, or taken before."),
    (status = 401, description = "The signature does not fit, or is too old; nothing was written."),
    (status = 404, description = "No such source."),
    (status = 413, description = "The body is larger than 4 MiB."),
    (status = 422, description = "The signature fits and the body cannot be read."),
    (status = 503, description = "Too many at once, or too many wait for a node that takes alerts; to be sent again."),
))]
async fn hook(
    State(app): State<App>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Json<AlertHookAnswer>, ApiError> {
    let headers = request.headers().clone();
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // anybody may send here, so few are heard at a time and none for long, and those that cannot fit take no place
    app.alert_hook_known(&name, header).await?;
    let _place = app.sources.place().await?;
    let body = push::whole_within(request, BODY_BYTES_MAX, BODY_TIMEOUT).await?;
    Ok(Json(app.alert_hook(&name, header, &body).await?))
}

/// A heartbeat is heard. What is in the body is not looked at.
#[utoipa::path(post, path = "/api/heartbeats/{name}/{secret}", operation_id = "heartbeat", params(("name" = String, Path), ("secret" = String, Path)), responses(
    (status = 200, body = HeartbeatAnswer),
    (status = 404, description = "No heartbeat has this name and secret; nothing was written."),
    (status = 413, description = "The body is larger than 64 KiB. The heartbeat was heard."),
    (status = 503, description = "Too many at once; to be sent again."),
))]
async fn beat(
    State(app): State<App>,
    PathOf((name, secret)): PathOf<(String, String)>,
    request: Request,
) -> Result<Json<HeartbeatAnswer>, ApiError> {
    heard(&app, &name, &secret, request).await
}

/// The same for senders that can only fetch an address.
#[utoipa::path(get, path = "/api/heartbeats/{name}/{secret}", operation_id = "heartbeat_by_get", params(("name" = String, Path), ("secret" = String, Path)), responses(
    (status = 200, body = HeartbeatAnswer),
    (status = 404, description = "No heartbeat has this name and secret; nothing was written."),
    (status = 503, description = "Too many at once; to be sent again."),
))]
async fn beat_by_get(
    State(app): State<App>,
    PathOf((name, secret)): PathOf<(String, String)>,
    request: Request,
) -> Result<Json<HeartbeatAnswer>, ApiError> {
    heard(&app, &name, &secret, request).await
}

async fn heard(app: &App, name: &str, secret: &str, request: Request) -> Result<Json<HeartbeatAnswer>, ApiError> {
    let place = app.sources.beat_place().await?;
    let answer = app.heartbeat(name, secret).await?;
    // a body that comes slowly, or never, keeps no other heartbeat from being heard
    drop(place);
    push::whole_within(request, BEAT_BYTES_MAX, BODY_TIMEOUT).await.map_err(heard_all_the_same)?;
    Ok(Json(answer))
}

fn heard_all_the_same(mut fault: Fault) -> Fault {
    fault.message.push_str("; the heartbeat was heard all the same");
    "send no body with a heartbeat, nobody reads it".clone_into(&mut fault.advice);
    fault
}

/// All sources of alerts, without their secrets.
#[utoipa::path(get, path = "/api/alert-sources", operation_id = "alert_sources", responses((status = 200, body = AlertSourceList)))]
async fn list(State(app): State<App>) -> Result<Json<AlertSourceList>, ApiError> {
    Ok(Json(app.alert_sources().await?))
}

/// One source of alerts.
#[utoipa::path(get, path = "/api/alert-sources/{name}", operation_id = "alert_source", params(("name" = String, Path)), responses((status = 200, body = AlertSourceView)))]
async fn show(State(app): State<App>, PathOf(name): PathOf<String>) -> Result<Json<AlertSourceView>, ApiError> {
    Ok(Json(app.alert_source(&name).await?))
}

/// Makes or changes a source. The answer to a new one holds its secret, which is shown this once.
#[utoipa::path(put, path = "/api/alert-sources/{name}", operation_id = "alert_source_put", params(("name" = String, Path)), request_body = AlertSourceSpec, responses((status = 200, body = AlertSourcePut)))]
async fn put(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    Body(spec): Body<AlertSourceSpec>,
) -> Result<Json<AlertSourcePut>, ApiError> {
    Ok(Json(app.alert_source_put(&who, &name, spec).await?))
}

/// Deletes a source; its alerts go on until somebody resolves them.
#[utoipa::path(delete, path = "/api/alert-sources/{name}", operation_id = "alert_source_delete", params(("name" = String, Path)), responses((status = 200, body = AlertSourceDeleted)))]
async fn delete(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
) -> Result<Json<AlertSourceDeleted>, ApiError> {
    app.alert_source_delete(&who, &name).await?;
    Ok(Json(AlertSourceDeleted { done: true }))
}

/// Makes a new secret, which is shown this once; the old one lets nobody in any more.
#[utoipa::path(post, path = "/api/alert-sources/{name}/secret", operation_id = "alert_source_secret", params(("name" = String, Path)), responses((status = 200, body = AlertSourcePut)))]
async fn secret(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
) -> Result<Json<AlertSourcePut>, ApiError> {
    Ok(Json(app.alert_source_secret(&who, &name).await?))
}

/// Says what a body (of a mail source: a mail) would become, and keeps nothing.
#[utoipa::path(post, path = "/api/alert-sources/{name}/try", operation_id = "alert_source_try", params(("name" = String, Path)), request_body(content = String, content_type = "application/octet-stream"), responses((status = 200, body = AlertSourceTry)))]
async fn try_body(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    request: Request,
) -> Result<Json<AlertSourceTry>, ApiError> {
    // as much as a delivery may have
    let bytes = push::body(&app, request, BODY_BYTES_MAX).await?;
    Ok(Json(app.alert_source_try(&who, &name, &bytes).await?))
}
