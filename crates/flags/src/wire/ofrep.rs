//! OpenFeature Remote Evaluation Protocol 0.3: the question out of a body, and the answers' bodies.
//!
//! Every success carries a value and a variant: several providers cannot read an answer without. A flag that is split by
//! person is not answered for a context that names nobody; a static one is.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tenfold_types::Timestamp;

use crate::{Context, Evaluation, Reason};

/// A hidden browser tab gives its stream up after this long.
const INACTIVITY_DELAY_SEC: u32 = 120;

/// A successful evaluation.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = OfrepSuccess)]
pub struct Success<'a> {
    key: &'a str,
    value: &'a Value,
    variant: &'a str,
    reason: &'a str,
}

/// A failed evaluation.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OfrepFailure)]
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

#[derive(Serialize)]
#[serde(untagged)]
enum Answer<'a> {
    Success(Success<'a>),
    Failure(Failure<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bulk<'a> {
    flags: Vec<Answer<'a>>,
    event_streams: [Value; 1],
    metadata: Value,
}

/// The context of a request.
#[derive(Deserialize, utoipa::ToSchema)]
#[schema(as = OfrepRequest)]
#[expect(dead_code, reason = "only for the OpenAPI document; the body is read by hand for OFREP's own errors")]
pub struct EvaluationRequest {
    /// `targetingKey` and any properties.
    #[schema(value_type = Object)]
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

fn answer<'a>(found: &Evaluation<'a>, asked: &Asked) -> Answer<'a> {
    if found.reason == Reason::Chance && !asked.names_key {
        return Answer::Failure(nobody(found.key()));
    }
    Answer::Success(Success {
        key: found.key(),
        value: found.value(),
        variant: found.variant(),
        reason: found.reason.name(),
    })
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

/// The body for one flag, of a success or of a failure.
pub fn single(found: &Evaluation<'_>, asked: &Asked) -> Result<Vec<u8>, Vec<u8>> {
    match answer(found, asked) {
        Answer::Success(success) => Ok(serde_json::to_vec(&success).unwrap_or_default()),
        Answer::Failure(failure) => Err(failure.body()),
    }
}

/// The body for all flags. `stream` is the address of the stream that tells of changes.
pub fn bulk<'a>(
    answers: impl Iterator<Item = Evaluation<'a>>,
    asked: &Asked,
    environment: &str,
    version: &str,
    stream: &str,
) -> Vec<u8> {
    let document = Bulk {
        flags: answers.map(|found| answer(&found, asked)).collect(),
        event_streams: [json!({
            "type": "sse",
            "endpoint": {"requestUri": stream},
            "inactivityDelaySec": INACTIVITY_DELAY_SEC,
        })],
        metadata: json!({"flagSetId": environment, "version": version}),
    };
    serde_json::to_vec(&document).unwrap_or_default()
}

/// What a stream of changes says: fetch again. `version` is the configuration's, as [`bulk`] gave it.
pub fn refetch(version: &str, changed_at: Timestamp) -> String {
    json!({"type": "refetchEvaluation", "etag": version, "lastModified": changed_at.millis() / 1000}).to_string()
}
