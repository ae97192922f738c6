//! What the relay answers: the flag protocols, the question about tokens for relays behind it, and how it is doing.

mod browser;
mod client;
mod ofrep;
mod streams;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts};
use axum::http::header;
use axum::http::request::Parts;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tenfold_httpkit::ApiError;
use tenfold_types::{ErrorCode, Fault};

use crate::tokens::{Kind, Known};
use crate::{Relay, answers, page};

/// Body of one request.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Everything the relay serves.
pub fn router(relay: Relay) -> Router {
    Router::new()
        .route("/api/client/features", get(client::features))
        .route("/api/client/delta", get(client::delta))
        .route("/api/client/streaming", get(streams::definitions))
        .route("/api/client/register", post(client::register))
        .route("/api/client/metrics", post(client::metrics))
        .route("/api/frontend", get(browser::evaluate).post(browser::evaluate_post))
        .route("/api/frontend/client/register", post(browser::register))
        .route("/api/frontend/client/metrics", post(browser::metrics))
        .route("/ofrep/v1/evaluate/flags", post(ofrep::bulk))
        .route("/ofrep/v1/evaluate/flags/{key}", post(ofrep::single))
        .route("/ofrep/v1/events", get(streams::changes))
        .route("/edge/validate", post(client::validate))
        .route("/", get(page::page))
        .route("/status", get(page::status))
        .route("/metrics", get(page::metrics))
        .route("/healthz", get(page::healthz))
        .route("/readyz", get(page::readyz))
        .fallback(nothing)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(relay.clone(), answers::answer))
        .with_state(relay)
}

async fn nothing() -> Response {
    let fault = Fault::not_found("a relay serves flags and nothing else").advice("GET / says how it is doing");
    ApiError(fault).into_response()
}

fn secret(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    Some(value.strip_prefix("Bearer ").unwrap_or(value).trim()).filter(|secret| !secret.is_empty())
}

/// A token that reads definitions.
pub(super) struct Client(pub(super) Arc<Known>);

/// A token that reads answers: of the kind `frontend` or `client`.
pub(super) struct Browser(pub(super) Arc<Known>);

async fn known(parts: &Parts, relay: &Relay) -> Result<Arc<Known>, ApiError> {
    match secret(parts) {
        Some(secret) => Ok(relay.admit(secret).await?),
        None => Err(Fault::new(ErrorCode::Unauthenticated, "send a token first")
            .advice("in the header Authorization: TOKEN")
            .into()),
    }
}

impl FromRequestParts<Relay> for Client {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, relay: &Relay) -> Result<Self, ApiError> {
        let known = known(parts, relay).await?;
        if known.kind != Kind::Client {
            return Err(Fault::forbidden("a browser's token does not read definitions")
                .advice("use a token of the kind client")
                .into());
        }
        Ok(Self(known))
    }
}

impl FromRequestParts<Relay> for Browser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, relay: &Relay) -> Result<Self, ApiError> {
        Ok(Self(known(parts, relay).await?))
    }
}

/// JSON out of a body, or what is wrong with it.
fn json<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|e| Fault::new(ErrorCode::BadRequest, format!("the request body does not fit: {e}")).into())
}
