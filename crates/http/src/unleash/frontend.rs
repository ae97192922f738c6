//! The frontend API of the Unleash protocol: flags evaluated here, for browsers and phones.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};
use tenfold_app::App;
use tenfold_app::flags::Form;
use tenfold_app::people::Token;
use tenfold_flags::wire::unleash::{self as wire, Toggles};
use utoipa_axum::routes;

use super::environment;
use crate::auth::WithToken;
use crate::{Api, ApiError, Body, Policy, etag};

pub fn api() -> Api {
    Api::new("unleash").add(Policy::FlagFrontend, routes!(frontend, frontend_post))
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
    let fields = wire::fields_of_query(&query.unwrap_or_default());
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

async fn evaluated(
    app: &App,
    token: Option<&Arc<Token>>,
    fields: &Map<String, Value>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let environment = environment(app, token).await?;
    let peer = peer.map(|Extension(ConnectInfo(peer))| peer.ip());
    let context = wire::browser_context(&environment.name, fields, peer)?;
    let answers = environment.evaluate_all(&context, app.flag_moment());
    let body = wire::toggles(answers, |answer| environment.text(answer, Form::Toggle, || wire::toggle(answer)).into());
    Ok(etag::json(headers, &etag::of(&body), body.into()))
}
