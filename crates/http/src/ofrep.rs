//! OpenFeature Remote Evaluation Protocol 0.3: single and bulk evaluation, and the stream that tells of changes.
//!
//! Every success carries a value and a variant: several providers cannot read an answer without. A flag that is split by
//! person is not answered for a context that names nobody; a static one is.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tenfold_app::App;
use tenfold_app::flags::{Environment, Form};
use tenfold_flags::{Context, Evaluation, Reason};
use tenfold_httpkit::streams::Opening;
use tenfold_types::{ErrorCode, Fault};
use utoipa_axum::routes;

use crate::auth::WithToken;
use crate::flag_streams::FlagStreams;
use crate::flags::book_of;
use crate::{Api, ApiError, Policy, QueryOf, etag};

pub fn api() -> Api {
    Api::new("ofrep")
        .add(Policy::FlagFrontend, routes!(single))
        .add(Policy::FlagFrontend, routes!(bulk))
        .add(Policy::Public, routes!(events))
}

/// Bytes an answer takes about; a better guess saves copies.
const ANSWER_BYTES: usize = 128;
/// A hidden browser tab gives its stream up after this long.
const INACTIVITY_DELAY_SEC: u32 = 120;

/// A successful evaluation.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = OfrepSuccess)]
struct Success<'a> {
    key: &'a str,
    value: &'a Value,
    variant: &'a str,
    reason: &'a str,
}

/// A failed evaluation.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = OfrepFailure)]
#[serde(rename_all = "camelCase")]
struct Failure<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    /// `FLAG_NOT_FOUND`, `PARSE_ERROR`, `INVALID_CONTEXT`, `TARGETING_KEY_MISSING` or `GENERAL`.
    error_code: &'static str,
    error_details: String,
}

/// The context of a request.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = OfrepRequest)]
#[expect(dead_code, reason = "only for the OpenAPI document; the body is read by hand for OFREP's own errors")]
struct EvaluationRequest {
    /// `targetingKey` and any properties.
    #[schema(value_type = Object)]
    context: Map<String, Value>,
}

fn failure(status: StatusCode, key: Option<&str>, error_code: &'static str, error_details: String) -> Response {
    (status, Json(Failure { key, error_code, error_details })).into_response()
}

/// An answer's JSON at the end of `out`; an error when the context names nobody the answer could stick to.
///
/// All but the reason is kept beside the flag, so that this copies and writes nothing.
fn write<'a>(
    out: &mut Vec<u8>,
    environment: &Environment,
    found: &Evaluation<'a>,
    asked: &Asked,
) -> Result<(), Failure<'a>> {
    if found.reason == Reason::Chance && !asked.names_key {
        return Err(nobody(found.key()));
    }
    out.extend_from_slice(environment.text(found, Form::Ofrep, || start(found)));
    out.extend_from_slice(found.reason.name().as_bytes());
    out.extend_from_slice(b"\"}");
    Ok(())
}

/// A success as it is written, up to its reason.
fn start(found: &Evaluation<'_>) -> Vec<u8> {
    let whole = Success { key: found.key(), value: found.value(), variant: found.variant(), reason: "" };
    // Plain data without maps that could fail.
    let mut text = serde_json::to_vec(&whole).unwrap_or_default();
    text.truncate(text.len().saturating_sub(b"\"}".len()));
    text
}

fn nobody(key: &str) -> Failure<'_> {
    Failure {
        key: Some(key),
        error_code: "TARGETING_KEY_MISSING",
        error_details: format!("`{key}` is split by person and the context has no targetingKey"),
    }
}

/// Whom a request asks about.
struct Asked {
    context: Context,
    /// A `targetingKey` was given. An empty one stands for nobody in particular: chance may answer for it.
    names_key: bool,
}

/// The context out of a request body, or OFREP's code and words for what is wrong with it.
fn asked(app: &App, environment: &str, body: &[u8]) -> Result<Asked, (&'static str, String)> {
    let body: Value =
        serde_json::from_slice(body).map_err(|e| ("PARSE_ERROR", format!("the body is not JSON: {e}")))?;
    let fields = match body.get("context") {
        Some(Value::Object(fields)) => fields,
        Some(_) => return Err(("INVALID_CONTEXT", "`context` is not an object".into())),
        None => return Err(("INVALID_CONTEXT", "the body has no `context`".into())),
    };
    if fields.get("targetingKey").is_some_and(|k| !k.is_string()) {
        return Err(("INVALID_CONTEXT", "`targetingKey` is not a string".into()));
    }
    let context = app.flag_context(environment, fields).map_err(|fault| ("INVALID_CONTEXT", fault.message))?;
    Ok(Asked { context, names_key: fields.contains_key("targetingKey") })
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
    QueryOf(q): QueryOf<SingleQuery>,
    Path(key): Path<String>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let environment = book_of(&app, token.as_ref(), q.environment.as_deref()).await?;
    let asked = match asked(&app, &environment.name, &body) {
        Ok(asked) => asked,
        Err((code, details)) => return Ok(failure(StatusCode::BAD_REQUEST, Some(&key), code, details)),
    };
    let Some(found) = environment.evaluate(&key, &asked.context, app.flag_moment()) else {
        let details = format!("there is no flag `{key}` in {}", environment.name);
        return Ok(failure(StatusCode::NOT_FOUND, Some(&key), "FLAG_NOT_FOUND", details));
    };
    let mut body = Vec::with_capacity(ANSWER_BYTES);
    Ok(match write(&mut body, &environment, &found, &asked) {
        Ok(()) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(failure) => (StatusCode::BAD_REQUEST, Json(failure)).into_response(),
    })
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
    #[expect(dead_code, reason = "clients send it; the answer is evaluated anew in any case")]
    flag_config_last_modified: Option<String>,
}

/// Evaluates every flag for one context.
#[utoipa::path(post, path = "/ofrep/v1/evaluate/flags", params(BulkQuery), request_body = EvaluationRequest,
    responses((status = 200, body = Value), (status = 304), (status = 400, body = Failure)))]
async fn bulk(
    State(app): State<App>,
    WithToken(token): WithToken,
    QueryOf(q): QueryOf<BulkQuery>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let environment = book_of(&app, token.as_ref(), q.environment.as_deref()).await?;
    let asked = match asked(&app, &environment.name, &body) {
        Ok(asked) => asked,
        Err((code, details)) => return Ok(failure(StatusCode::BAD_REQUEST, None, code, details)),
    };
    let mut body = Vec::with_capacity(environment.snapshot.len() * ANSWER_BYTES + 512);
    body.extend_from_slice(b"{\"flags\":[");
    for found in environment.evaluate_all(&asked.context, app.flag_moment()) {
        if body.last() != Some(&b'[') {
            body.push(b',');
        }
        if let Err(failure) = write(&mut body, &environment, &found, &asked) {
            serde_json::to_writer(&mut body, &failure).map_err(|e| Fault::internal(e.to_string()))?;
        }
    }
    let version = environment.etag.trim_matches('"');
    let channel = app.flags.channel(&environment.name);
    let stream = json!({
        "type": "sse",
        "endpoint": {"requestUri": format!("/ofrep/v1/events?channel={channel}&since={version}")},
        "inactivityDelaySec": INACTIVITY_DELAY_SEC,
    });
    let metadata = json!({"flagSetId": environment.name, "version": version});
    body.extend_from_slice(format!("],\"eventStreams\":[{stream}],\"metadata\":{metadata}}}").as_bytes());
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
    let by_channel = q.channel.as_deref().and_then(|c| app.flags.channel_environment(c));
    let by_token = token.as_ref().and_then(|t| t.environment.clone());
    let environment = by_channel.or(by_token).ok_or_else(|| {
        Fault::new(ErrorCode::NotFound, "there is no such stream")
            .advice("take its address out of `eventStreams` of a bulk evaluation")
    })?;
    streams.changes(&app, &environment, token.as_deref(), q.since.as_deref(), opening)
}
