//! The frontend API of the Unleash protocol: flags evaluated here, for browsers and phones.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tenfold_app::App;
use tenfold_app::flags::Form;
use tenfold_app::people::Token;
use tenfold_flags::{DISABLED_VARIANT, Evaluation, Payload};
use utoipa_axum::routes;

use super::environment;
use crate::auth::WithToken;
use crate::{Api, ApiError, Body, Policy, etag};

pub fn api() -> Api {
    Api::new("unleash").add(Policy::FlagFrontend, routes!(frontend, frontend_post))
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = UnleashToggles)]
struct Toggles<'a> {
    toggles: Vec<Toggle<'a>>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UnleashToggle)]
struct Toggle<'a> {
    name: &'a str,
    enabled: bool,
    impression_data: bool,
    variant: VariantOf<'a>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = UnleashVariant)]
struct VariantOf<'a> {
    name: &'a str,
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a Payload>,
    feature_enabled: bool,
}

fn toggle(answer: &Evaluation<'_>) -> Vec<u8> {
    let variant = answer.unleash_variant();
    let toggle = Toggle {
        name: answer.key(),
        enabled: answer.enabled,
        impression_data: answer.impression_data(),
        variant: VariantOf {
            name: variant.map_or(DISABLED_VARIANT, |v| v.0),
            enabled: variant.is_some(),
            payload: variant.and_then(|v| v.1),
            feature_enabled: answer.enabled,
        },
    };
    // Plain data without maps that could fail.
    serde_json::to_vec(&toggle).unwrap_or_default()
}

/// Flags that are on for a context, evaluated here.
#[utoipa::path(get, path = "/api/frontend", responses((status = 200, body = Toggles), (status = 304)))]
async fn frontend(
    State(app): State<App>,
    WithToken(token): WithToken,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let mut fields = Map::new();
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let name = name.strip_prefix("properties[").and_then(|n| n.strip_suffix(']')).unwrap_or(&name);
        fields.insert(name.to_owned(), Value::String(value.into_owned()));
    }
    evaluated(&app, token.as_ref(), &fields, peer, &headers).await
}

#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = UnleashContext)]
struct FrontendRequest {
    #[serde(default)]
    #[schema(value_type = Object)]
    context: Map<String, Value>,
}

/// The same with the context in the body, where no log keeps it.
#[utoipa::path(post, path = "/api/frontend", request_body = FrontendRequest, responses((status = 200, body = Toggles), (status = 304)))]
async fn frontend_post(
    State(app): State<App>,
    WithToken(token): WithToken,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    Body(request): Body<FrontendRequest>,
) -> Result<Response, ApiError> {
    evaluated(&app, token.as_ref(), &request.context, peer, &headers).await
}

/// Bytes a toggle takes about; a better guess saves copies, a worse one costs some.
const TOGGLE_BYTES: usize = 160;

async fn evaluated(
    app: &App,
    token: Option<&Arc<Token>>,
    fields: &Map<String, Value>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let environment = environment(app, token).await?;
    let mut context = app.flag_context(&environment.name, fields)?;
    // The token names the environment; a page cannot choose another.
    context.set("environment", environment.name.as_str());
    if let Some(Extension(ConnectInfo(peer))) = peer
        && !context.has("remoteAddress")
    {
        context.set("remoteAddress", peer.ip().to_string());
    }
    let mut body = Vec::with_capacity(environment.snapshot.len() * TOGGLE_BYTES + 32);
    body.extend_from_slice(b"{\"toggles\":[");
    for answer in environment.evaluate_all(&context, app.flag_moment()).filter(|a| a.enabled) {
        if body.last() != Some(&b'[') {
            body.push(b',');
        }
        body.extend_from_slice(environment.text(&answer, Form::Toggle, || toggle(&answer)));
    }
    body.extend_from_slice(b"]}");
    Ok(etag::json(headers, &etag::of(&body), body.into()))
}
