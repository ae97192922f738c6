//! The frontend API: flags that are on for a context, evaluated here.

use std::net::{IpAddr, SocketAddr};

use axum::Extension;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};
use tenfold_flags::wire::unleash as wire;
use tenfold_httpkit::{ApiError, etag};

use super::{Browser, json};
use crate::Relay;
use crate::tokens::Known;

type Peer = Option<Extension<ConnectInfo<SocketAddr>>>;

pub(super) async fn evaluate(
    State(relay): State<Relay>,
    Browser(known): Browser,
    peer: Peer,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    evaluated(&relay, &known, &wire::fields_of_query(&query.unwrap_or_default()), peer, &headers)
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    context: Map<String, Value>,
}

pub(super) async fn evaluate_post(
    State(relay): State<Relay>,
    Browser(known): Browser,
    peer: Peer,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let asked: Asked = json(&body)?;
    evaluated(&relay, &known, &asked.context, peer, &headers)
}

fn evaluated(
    relay: &Relay,
    known: &Known,
    fields: &Map<String, Value>,
    peer: Peer,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let view = relay.view(known)?;
    let peer: Option<IpAddr> = peer.map(|Extension(ConnectInfo(peer))| peer.ip());
    let context = wire::browser_context(view.environment(), fields, peer)?;
    let body =
        wire::toggles(view.evaluate_all(&context, relay.moment(), &relay.usage), |answer| wire::toggle(answer).into());
    Ok(etag::json(headers, &etag::of(&body), body.into()))
}

pub(super) async fn register(_: Browser) -> StatusCode {
    StatusCode::ACCEPTED
}

pub(super) async fn metrics(
    State(relay): State<Relay>,
    Browser(known): Browser,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    relay.report(&known, json(&body)?)?;
    Ok(StatusCode::ACCEPTED)
}
