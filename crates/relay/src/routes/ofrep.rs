//! OpenFeature Remote Evaluation Protocol: single and bulk evaluation, evaluated here.

use std::borrow::Cow;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tenfold_flags::Evaluation;
use tenfold_flags::wire::ofrep as wire;
use tenfold_httpkit::{ApiError, etag};

use super::{Browser, streams};
use crate::Relay;

fn reply(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// A relay keeps no texts.
fn start(found: &Evaluation<'_>) -> Cow<'static, [u8]> {
    wire::start(found).into()
}

pub(super) async fn single(
    State(relay): State<Relay>,
    Browser(known): Browser,
    Path(key): Path<String>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let view = relay.view(&known)?;
    let asked = match wire::asked(view.environment(), Some(&key), &body) {
        Ok(asked) => asked,
        Err(failure) => return Ok(reply(StatusCode::BAD_REQUEST, failure.body())),
    };
    let Some(found) = view.evaluate(&key, &asked.context, relay.moment(), &relay.usage) else {
        return Ok(reply(StatusCode::NOT_FOUND, wire::unknown(&key, view.environment()).body()));
    };
    Ok(match wire::single(&found, &asked, start) {
        Ok(body) => reply(StatusCode::OK, body),
        Err(failure) => reply(StatusCode::BAD_REQUEST, failure.body()),
    })
}

pub(super) async fn bulk(
    State(relay): State<Relay>,
    Browser(known): Browser,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let view = relay.view(&known)?;
    let asked = match wire::asked(view.environment(), None, &body) {
        Ok(asked) => asked,
        Err(failure) => return Ok(reply(StatusCode::BAD_REQUEST, failure.body())),
    };
    let found = view.evaluate_all(&asked.context, relay.moment(), &relay.usage);
    let stream = streams::address(&relay, &known, &view.version);
    let origin = wire::Origin { environment: view.environment(), version: &view.version, stream: &stream };
    let body = wire::bulk(found, &asked, &origin, start);
    Ok(etag::json(&headers, &etag::of(&body), body.into()))
}
