//! flagd's evaluation service, versions 1 and 2, over gRPC and over Connect (plain HTTP with JSON or protobuf).
//!
//! It stands on the server's own port: both transports are HTTP POST, and gRPC comes over HTTP/2 without TLS as well. The
//! token in `authorization` names the environment. Most flagd providers can send no token; for these there is a listener
//! of its own on loopback ([`open_router`]), which answers for one environment and needs none.

mod resolve;
mod transport;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::HeaderMap;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use tenfold_app::App;
use tenfold_app::people::{Token, TokenKind};
use tenfold_protocols::flagd::{AnswerKind, Status};
use tenfold_types::Timestamp;
use utoipa_axum::routes;

use crate::auth::{Identity, WithToken};
use crate::extract::BODY_BYTES_MAX;
use crate::flags::environment_of;
use crate::standing::Standing;
use crate::{Api, PathOf, Policy};
use resolve::{Problem, Reader};
use transport::Transport;

pub fn api() -> Api {
    Api::new("flagd").add(Policy::FlagFrontend, routes!(call_v1)).add(Policy::FlagFrontend, routes!(call_v2))
}

/// Whom a listener without tokens answers: everybody who reaches it, for this environment.
pub fn open_router(app: App, environment: &str) -> Router {
    let token = Arc::new(Token {
        // Without an id it is no token of anybody's and cannot be revoked.
        id: String::new(),
        name: "flagd".into(),
        kind: TokenKind::Frontend,
        role: None,
        service: None,
        environment: Some(environment.to_owned()),
        projects: Vec::new(),
        created_by: "system".into(),
        created_at: Timestamp::default(),
        expires_at: None,
        last_used_at: None,
    });
    let identify = move |mut request: Request, next: Next| {
        request.extensions_mut().insert(Identity::Token(token.clone()));
        next.run(request)
    };
    Router::new()
        .route("/flagd.evaluation.v1.Service/{method}", axum::routing::post(call_v1))
        .route("/flagd.evaluation.v2.Service/{method}", axum::routing::post(call_v2))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn(identify))
        .with_state(app)
}

/// Resolves flags, or follows changes (flagd's protocol, version 1): `ResolveBoolean`, `ResolveString`, `ResolveInt`,
/// `ResolveFloat`, `ResolveObject`, `ResolveAll`, `EventStream`.
#[utoipa::path(post, path = "/flagd.evaluation.v1.Service/{method}", params(("method" = String, Path)), request_body = Value, responses((status = 200, body = Value)))]
async fn call_v1(
    State(app): State<App>,
    WithToken(token): WithToken,
    standing: Standing,
    PathOf(method): PathOf<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    call(&app, (token, standing), &method, true, &headers, &body).await
}

/// Resolves flags, or follows changes (flagd's protocol, version 2, which has no `ResolveAll`).
#[utoipa::path(post, path = "/flagd.evaluation.v2.Service/{method}", params(("method" = String, Path)), request_body = Value, responses((status = 200, body = Value)))]
async fn call_v2(
    State(app): State<App>,
    WithToken(token): WithToken,
    standing: Standing,
    PathOf(method): PathOf<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    call(&app, (token, standing), &method, false, &headers, &body).await
}

async fn call(
    app: &App,
    who: (Option<Arc<Token>>, Standing),
    method: &str,
    with_all: bool,
    headers: &HeaderMap,
    body: &[u8],
) -> Response {
    let Some(transport) = Transport::of(headers) else { return transport::unsupported() };
    match answer(app, who, method, with_all, headers, body, transport).await {
        Ok(response) => response,
        Err(problem) => transport.error(problem.status, &problem.message),
    }
}

async fn answer(
    app: &App,
    who: (Option<Arc<Token>>, Standing),
    method: &str,
    with_all: bool,
    headers: &HeaderMap,
    body: &[u8],
    transport: Transport,
) -> Result<Response, Problem> {
    let (token, standing) = who;
    let reader = Reader::new(app, token.as_ref(), selected(headers)).await?;
    if method == "EventStream" {
        return Ok(transport.stream(resolve::events(app.clone(), reader.environment, standing)?));
    }
    let all = with_all && method == "ResolveAll";
    let kind = AnswerKind::of_method(method);
    if !all && kind.is_none() {
        return Err(Problem::new(Status::Unimplemented, format!("there is no method `{method}`")));
    }
    let request = transport.request(body, all).map_err(|m| Problem::new(Status::InvalidArgument, m))?;
    if let Some(kind) = kind {
        return Ok(transport.answer(&reader.one(app, &request, kind)?, kind));
    }
    let (answers, set) = reader.all(app, &request)?;
    Ok(transport.answers(&answers, &set))
}

/// The environment in flagd's selector, `flagSetId=NAME`: what this server calls an environment is a flag set there.
fn selected(headers: &HeaderMap) -> Option<&str> {
    headers.get("flagd-selector")?.to_str().ok()?.split(',').find_map(|part| part.trim().strip_prefix("flagSetId="))
}

/// The environment a caller reads.
fn environment_name(token: Option<&Arc<Token>>, selected: Option<&str>) -> Result<String, Problem> {
    environment_of(token, selected).map_err(|e| Problem::from(e.0))
}
