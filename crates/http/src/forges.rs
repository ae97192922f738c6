//! Webhooks of the places where repositories live. The address is open to everybody; the signature is what lets a delivery in.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{ConnectInfo, Path, Request, State};
use axum::{Extension, Json};
use tenfold_app::forges::HookAnswer;
use tenfold_app::{App, Role};
use tenfold_httpkit::body::Pace;
use tenfold_protocols::{cdevents, forge::BODY_BYTES_MAX};
use utoipa_axum::routes;

use crate::auth::Who;
use crate::{Api, ApiError, Policy, push};

/// A forge sends its few kilobytes at once, and a large push still at the pace of a slow line.
const PACE: Pace = Pace { grace: Duration::from_secs(2), bytes_per_second: 256 * 1024, most: Duration::from_secs(10) };
/// How long a tool may take to send a CDEvent.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

pub fn api() -> Api {
    Api::new("git").add(Policy::Public, routes!(hook)).add(Policy::Role(Role::Responder), routes!(take_cdevent))
}

/// Takes a webhook of GitHub, GitLab, Gitea or Forgejo, as the settings name it; its signature must fit.
#[utoipa::path(post, path = "/hooks/git/{name}", params(("name" = String, Path)), request_body(content = String, content_type = "application/json"), responses(
    (status = 200, body = HookAnswer, description = "Recorded, known already, or of no use here."),
    (status = 401, description = "The signature does not fit; nothing was written."),
    (status = 503, description = "Too many webhooks at once, and this one took longest; to be sent again."),
    (status = 504, description = "The body was slow; to be sent again."),
    (status = 404, description = "No such forge, or it takes no webhooks."),
    (status = 413, description = "The body is larger than 8 MiB."),
    (status = 422, description = "The signature fits and the body cannot be read."),
))]
async fn hook(
    State(app): State<App>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Json<HookAnswer>, ApiError> {
    let headers = request.headers().clone();
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    app.forge_hears(&name, header)?;
    // anybody may send here, so few are heard at a time, none for long, and the slowest gives way
    let place = app.forges.places.take(peer.map(|Extension(ConnectInfo(peer))| peer.ip().to_canonical()));
    let body = tokio::select! {
        biased;
        body = push::whole_at_pace(request, BODY_BYTES_MAX, PACE) => body?,
        fault = place.gone() => return Err(ApiError(fault)),
    };
    Ok(Json(app.forge_hook(&name, header, &body).await?))
}

/// Takes a CDEvent of another tool into the record: a CloudEvent 1.0 in structured or in binary mode.
#[utoipa::path(post, path = "/hooks/cdevents", request_body(content = String, content_type = "application/cloudevents+json"), responses(
    (status = 200, body = HookAnswer, description = "Recorded, or known already."),
    (status = 413, description = "The body is larger than 1 MiB."),
    (status = 415, description = "No CloudEvent."),
    (status = 504, description = "The body was slow; to be sent again."),
    (status = 422, description = "It is not what CDEvents lay down; the answer names the field."),
))]
async fn take_cdevent(State(app): State<App>, Who(who): Who, request: Request) -> Result<Json<HookAnswer>, ApiError> {
    let headers = request.headers().clone();
    let body = push::whole_within(request, cdevents::BODY_BYTES_MAX, BODY_TIMEOUT).await?;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Ok(Json(app.cdevent_take(&who, header, &body).await?))
}
