//! OpenFeature Remote Evaluation Protocol 0.3: the question out of a body, and the answers' bodies.
//!
//! Every success carries a value and a variant: several providers cannot read an answer without. A flag that is split by
//! person is not answered for a context that names nobody; a static one is.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tenfold_types::Timestamp;

use crate::{Context, Evaluation, Reason};

/// A hidden browser tab gives its stream up after this long.
const INACTIVITY_DELAY_SEC: u32 = 120;
/// Bytes an answer takes about; a better guess saves copies.
const ANSWER_BYTES: usize = 128;

/// A successful evaluation.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = OfrepSuccess))]
pub struct Success<'a> {
    key: &'a str,
    value: &'a Value,
    variant: &'a str,
    reason: &'a str,
}

/// A failed evaluation.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = OfrepFailure))]
#[serde(rename_all = "camelCase")]
pub struct Failure<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<&'a str>,
    /// `FLAG_NOT_FOUND`, `PARSE_ERROR`, `INVALID_CONTEXT`, `TARGETING_KEY_MISSING` or `GENERAL`.
    pub error_code: &'static str,
    pub error_details: String,
}

impl Failure<'_> {
    pub fn body(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// The context of a request.
#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = OfrepRequest))]
#[expect(dead_code, reason = "only for the OpenAPI document; the body is read by hand for OFREP's own errors")]
pub struct EvaluationRequest {
    /// `targetingKey` and any properties.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    context: Map<String, Value>,
}

/// Whom a request asks about.
pub struct Asked {
    pub context: Context,
    /// A `targetingKey` was given. An empty one stands for nobody in particular: chance may answer for it.
    names_key: bool,
}

/// The context out of a request's body, or what is wrong with it; `key` is the flag that was asked for.
pub fn asked<'a>(environment: &str, key: Option<&'a str>, body: &[u8]) -> Result<Asked, Failure<'a>> {
    let wrong = |error_code, error_details| Failure { key, error_code, error_details };
    let body: Value =
        serde_json::from_slice(body).map_err(|e| wrong("PARSE_ERROR", format!("the body is not JSON: {e}")))?;
    let fields = match body.get("context") {
        Some(Value::Object(fields)) => fields,
        Some(_) => return Err(wrong("INVALID_CONTEXT", "`context` is not an object".into())),
        None => return Err(wrong("INVALID_CONTEXT", "the body has no `context`".into())),
    };
    if fields.get("targetingKey").is_some_and(|k| !k.is_string()) {
        return Err(wrong("INVALID_CONTEXT", "`targetingKey` is not a string".into()));
    }
    let context = super::context_in(environment, fields).map_err(|fault| wrong("INVALID_CONTEXT", fault.message))?;
    Ok(Asked { context, names_key: fields.contains_key("targetingKey") })
}

/// A success as it is written, up to its reason: what stays the same from one question to the next and may be kept.
pub fn start(found: &Evaluation<'_>) -> Vec<u8> {
    let whole = Success { key: found.key(), value: found.value(), variant: found.variant(), reason: "" };
    // Plain data without maps that could fail.
    let mut text = serde_json::to_vec(&whole).unwrap_or_default();
    text.truncate(text.len().saturating_sub(b"\"}".len()));
    text
}

/// An answer's JSON at the end of `out`; an error when the context names nobody the answer could stick to.
fn write<'a, 'k>(
    out: &mut Vec<u8>,
    found: &Evaluation<'a>,
    asked: &Asked,
    start: impl Fn(&Evaluation<'a>) -> Cow<'k, [u8]>,
) -> Result<(), Failure<'a>> {
    if found.reason == Reason::Chance && !asked.names_key {
        return Err(nobody(found.key()));
    }
    out.extend_from_slice(&start(found));
    out.extend_from_slice(found.reason.name().as_bytes());
    out.extend_from_slice(b"\"}");
    Ok(())
}

fn nobody(key: &str) -> Failure<'_> {
    Failure {
        key: Some(key),
        error_code: "TARGETING_KEY_MISSING",
        error_details: format!("`{key}` is split by person and the context has no targetingKey"),
    }
}

/// There is no such flag.
pub fn unknown<'a>(key: &'a str, environment: &str) -> Failure<'a> {
    Failure {
        key: Some(key),
        error_code: "FLAG_NOT_FOUND",
        error_details: format!("there is no flag `{key}` in {environment}"),
    }
}

/// The body for one flag. `start` hands out what [`start()`] makes, which may be kept.
pub fn single<'a, 'k>(
    found: &Evaluation<'a>,
    asked: &Asked,
    start: impl Fn(&Evaluation<'a>) -> Cow<'k, [u8]>,
) -> Result<Vec<u8>, Failure<'a>> {
    let mut body = Vec::with_capacity(ANSWER_BYTES);
    write(&mut body, found, asked, start)?;
    Ok(body)
}

/// Which configuration a bulk answer is of, and where its changes are told.
pub struct Origin<'a> {
    pub environment: &'a str,
    pub version: &'a str,
    /// The address of the stream that tells of changes.
    pub stream: &'a str,
}

/// The body for all flags. `start` as in [`single`].
pub fn bulk<'a, 'k>(
    answers: impl ExactSizeIterator<Item = Evaluation<'a>>,
    asked: &Asked,
    origin: &Origin<'_>,
    start: impl Fn(&Evaluation<'a>) -> Cow<'k, [u8]>,
) -> Vec<u8> {
    let mut body = Vec::with_capacity(answers.len() * ANSWER_BYTES + 512);
    body.extend_from_slice(b"{\"flags\":[");
    for found in answers {
        if body.last() != Some(&b'[') {
            body.push(b',');
        }
        if let Err(failure) = write(&mut body, &found, asked, &start) {
            body.extend_from_slice(&failure.body());
        }
    }
    let stream = json!({
        "type": "sse",
        "endpoint": {"requestUri": origin.stream},
        "inactivityDelaySec": INACTIVITY_DELAY_SEC,
    });
    let metadata = json!({"flagSetId": origin.environment, "version": origin.version});
    body.extend_from_slice(format!("],\"eventStreams\":[{stream}],\"metadata\":{metadata}}}").as_bytes());
    body
}

/// What a stream of changes says: fetch again. `version` is the configuration's, as [`bulk`] gave it.
pub fn refetch(version: &str, changed_at: Timestamp) -> String {
    json!({"type": "refetchEvaluation", "etag": version, "lastModified": changed_at.millis() / 1000}).to_string()
}
