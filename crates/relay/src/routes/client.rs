//! What server-side SDKs and relays behind this one ask.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use tenfold_httpkit::{ApiError, etag};
use tenfold_types::Fault;

use super::{Client, json};
use crate::Relay;
use crate::definitions::Definitions;
use crate::upstream::{EdgeToken, EdgeTokens, TOKENS_ASKED_MAX};

pub(super) async fn features(
    State(relay): State<Relay>,
    Client(known): Client,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let view = relay.view(&known)?;
    Ok(etag::kept(&headers, &view.tag(), view, Definitions::document).await)
}

/// The difference to the version that the client has, or everything.
pub(super) async fn delta(
    State(relay): State<Relay>,
    Client(known): Client,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let view = relay.view(&known)?;
    let since = headers.get("if-none-match").and_then(|v| v.to_str().ok());
    let since = since.map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"'));
    match view.delta_since(since) {
        Some(delta) => Ok(etag::json(&headers, &view.tag(), delta.into())),
        None => Ok(etag::kept(&headers, &view.tag(), view, Definitions::hydration).await),
    }
}

pub(super) async fn register(_: Client) -> StatusCode {
    StatusCode::ACCEPTED
}

pub(super) async fn metrics(
    State(relay): State<Relay>,
    Client(known): Client,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    relay.report(&known, json(&body)?)?;
    Ok(StatusCode::ACCEPTED)
}

#[derive(Deserialize)]
struct Asked {
    tokens: Vec<String>,
}

/// Which of these tokens are good, and for what. A relay behind this one asks.
pub(super) async fn validate(State(relay): State<Relay>, _: Client, body: Bytes) -> Result<Json<EdgeTokens>, ApiError> {
    let asked: Asked = json(&body)?;
    if asked.tokens.len() > TOKENS_ASKED_MAX {
        return Err(Fault::invalid(format!("at most {TOKENS_ASKED_MAX} tokens are asked about at once")).into());
    }
    // "Not known" would end streams of tokens about which nobody can say anything now: then it is an error.
    let good = relay.admit_all(asked.tokens).await?;
    let tokens = good.into_iter().map(|(token, known)| EdgeToken {
        token,
        kind: known.kind,
        environment: Some(known.scope.environment.clone()),
        projects: known.scope.projects().to_vec(),
        expires_at: known.expires_at,
    });
    Ok(Json(EdgeTokens { tokens: tokens.collect() }))
}
