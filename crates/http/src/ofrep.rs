//! OpenFeature Remote Evaluation Protocol 0.3: single and bulk evaluation, and the stream that tells of changes.
//!
//! Every success carries a value and a variant: several providers cannot read an answer without. A flag that is split by
//! person is not answered for a context that names nobody; a static one is.

use std::borrow::Cow;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use tenfold_app::App;
use tenfold_app::flags::{ChannelReader, Environment, Form};
use tenfold_flags::Evaluation;
use tenfold_flags::wire::ofrep::{self as wire, EvaluationRequest, Failure, Success};
use tenfold_httpkit::streams::Opening;
use tenfold_types::{ErrorCode, Fault, Timestamp};
use utoipa_axum::routes;

use crate::auth::WithToken;
use crate::flag_streams::FlagStreams;
use crate::flags::book_of;
use crate::standing::Standing;
use crate::{Api, ApiError, Policy, QueryOf, etag};

pub fn api() -> Api {
    Api::new("ofrep")
        .add(Policy::FlagFrontend, routes!(single))
        .add(Policy::FlagFrontend, routes!(bulk))
        .add(Policy::Public, routes!(events))
}

fn reply(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// What is kept beside the flag, so that most answers are copied and not written.
fn start<'k>(environment: &'k Environment, found: &Evaluation<'_>) -> Cow<'k, [u8]> {
    environment.text(found, Form::Ofrep, || wire::start(found)).into()
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct SingleQuery {
    /// Only for callers whose token names none.
    environment: Option<String>,
}

/// Evaluates one flag.
#[utoipa::path(post, path = "/ofrep/v1/evaluate/flags/{key}", params(("key" = String, Path), SingleQuery), request_body = EvaluationRequest,
    responses((status = 200, body = Success), (status = 400, body = Failure), (status = 404, body = Failure)))]
async fn single(
    State(app): State<App>,
    WithToken(token): WithToken,
    q: Result<QueryOf<SingleQuery>, ApiError>,
    Path(key): Path<String>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let q = match q {
        Ok(QueryOf(q)) => q,
        Err(ApiError(fault)) => return Ok(misdirected(Some(&key), fault.message)),
    };
    let environment = book_of(&app, token.as_ref(), q.environment.as_deref()).await?;
    let asked = match wire::asked(&environment.name, Some(&key), &body) {
        Ok(asked) => asked,
        Err(failure) => return Ok(reply(StatusCode::BAD_REQUEST, failure.body())),
    };
    let Some(found) = environment.evaluate(&key, &asked.context, app.flag_moment()) else {
        return Ok(reply(StatusCode::NOT_FOUND, wire::unknown(&key, &environment.name).body()));
    };
    Ok(match wire::single(&found, &asked, |found| start(&environment, found)) {
        Ok(body) => reply(StatusCode::OK, body),
        Err(failure) => reply(StatusCode::BAD_REQUEST, failure.body()),
    })
}

/// What is wrong with the address, as OFREP's clients read it.
fn misdirected(key: Option<&str>, why: String) -> Response {
    reply(StatusCode::BAD_REQUEST, Failure { key, error_code: "GENERAL", error_details: why }.body())
}

/// Where the configuration stands that an event told of; the tag over the answer makes them unnecessary here.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct BulkQuery {
    /// Only for callers whose token names none.
    environment: Option<String>,
    #[expect(dead_code, reason = "clients send it; the answer is evaluated anew in any case")]
    flag_config_etag: Option<String>,
    /// Seconds since 1970, or an instant as in RFC 3339. Looked at only so that a wrong one is said.
    flag_config_last_modified: Option<String>,
}

/// Evaluates every flag for one context.
#[utoipa::path(post, path = "/ofrep/v1/evaluate/flags", params(BulkQuery), request_body = EvaluationRequest,
    responses((status = 200, body = Value), (status = 304), (status = 400, body = Failure)))]
async fn bulk(
    State(app): State<App>,
    WithToken(token): WithToken,
    standing: Standing,
    q: Result<QueryOf<BulkQuery>, ApiError>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let q = match q {
        Ok(QueryOf(q)) => q,
        Err(ApiError(fault)) => return Ok(misdirected(None, fault.message)),
    };
    let readable = |at: &str| at.parse::<u64>().is_ok() || Timestamp::parse_rfc3339(at).is_some();
    if let Some(at) = q.flag_config_last_modified.as_deref().filter(|at| !readable(at)) {
        let why = format!(
            "`flagConfigLastModified` is seconds since 1970 or an instant as in RFC 3339, not `{at}`; leave it out"
        );
        return Ok(misdirected(None, why));
    }
    let environment = book_of(&app, token.as_ref(), q.environment.as_deref()).await?;
    let asked = match wire::asked(&environment.name, None, &body) {
        Ok(asked) => asked,
        Err(failure) => return Ok(reply(StatusCode::BAD_REQUEST, failure.body())),
    };
    let version = environment.etag.trim_matches('"');
    let channel = app.flag_channel(&environment.name, token.as_deref(), standing.session());
    let stream = format!("/ofrep/v1/events?channel={channel}&since={version}");
    let origin = wire::Origin { environment: &environment.name, version, stream: &stream };
    let answers = environment.evaluate_all(&asked.context, app.flag_moment());
    let body = wire::bulk(answers, &asked, &origin, |found| start(&environment, found));
    Ok(etag::json(&headers, &etag::of(&body), body.into()))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct EventsQuery {
    /// As given in `eventStreams` of a bulk evaluation.
    channel: Option<String>,
    /// The version the client has; an older one is told to fetch again at once.
    since: Option<String>,
}

/// Tells a client to fetch again whenever a flag changed: server-sent events with `{"type":"refetchEvaluation"}`.
#[utoipa::path(get, path = "/ofrep/v1/events", params(EventsQuery), responses((status = 200, content_type = "text/event-stream")))]
async fn events(
    State(app): State<App>,
    WithToken(token): WithToken,
    Extension(streams): Extension<FlagStreams>,
    QueryOf(q): QueryOf<EventsQuery>,
    opening: Opening,
) -> Result<Response, ApiError> {
    let reader = match q.channel.as_deref() {
        Some(channel) => app.flag_channel_reader(channel).await,
        None => token.and_then(|token| {
            Some(ChannelReader { environment: token.environment.clone()?, token: Some(token), session: None })
        }),
    };
    let reader = reader.ok_or_else(|| {
        Fault::new(ErrorCode::NotFound, "there is no such stream")
            .advice("take its address out of `eventStreams` of a bulk evaluation")
    })?;
    streams.changes(&app, &reader, q.since.as_deref(), opening)
}
