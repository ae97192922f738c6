//! The frontend API's answer: flags that are on for a context. And the names of what streams say.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Serialize;
use serde_json::{Map, Value};
use tenfold_types::Fault;

use crate::{Context, DISABLED_VARIANT, Evaluation, Payload};

/// Bytes a toggle takes about; a better guess saves copies, a worse one costs some.
const TOGGLE_BYTES: usize = 160;

/// The shape of the answer, for the API's description.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = UnleashToggles))]
pub struct Toggles<'a> {
    toggles: Vec<Toggle<'a>>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", schema(as = UnleashToggle))]
struct Toggle<'a> {
    name: &'a str,
    enabled: bool,
    impression_data: bool,
    variant: VariantOf<'a>,
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = UnleashVariant))]
struct VariantOf<'a> {
    name: &'a str,
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a Payload>,
    feature_enabled: bool,
}

/// One element of the frontend API's answer.
pub fn toggle(answer: &Evaluation<'_>) -> Vec<u8> {
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

/// The body of an answer of the frontend API: the flags that are on. `text` hands out what [`toggle`] makes, which may
/// be kept.
pub fn toggles<'a, 'k>(
    answers: impl ExactSizeIterator<Item = Evaluation<'a>>,
    text: impl Fn(&Evaluation<'a>) -> Cow<'k, [u8]>,
) -> Vec<u8> {
    let mut body = Vec::with_capacity(answers.len() * TOGGLE_BYTES + 32);
    body.extend_from_slice(b"{\"toggles\":[");
    for answer in answers.filter(|a| a.enabled) {
        if body.last() != Some(&b'[') {
            body.push(b',');
        }
        body.extend_from_slice(&text(&answer));
    }
    body.extend_from_slice(b"]}");
    body
}

/// The context out of a query: fields as they are, others as `properties[name]`.
pub fn fields_of_query(query: &str) -> Map<String, Value> {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    let plain =
        |name: &str| name.strip_prefix("properties[").and_then(|n| n.strip_suffix(']')).unwrap_or(name).to_owned();
    pairs.map(|(name, value)| (plain(&name), Value::String(value.into_owned()))).collect()
}

/// The context of a browser that sent `fields` from the address `peer`. The token names the environment; a page cannot
/// choose another.
pub fn browser_context(environment: &str, fields: &Map<String, Value>, peer: Option<IpAddr>) -> Result<Context, Fault> {
    let mut context = super::context_in(environment, fields)?;
    context.set("environment", environment);
    if let Some(peer) = peer.filter(|_| !context.has("remoteAddress")) {
        context.set("remoteAddress", peer.to_string());
    }
    Ok(context)
}

/// The name of an event that carries definitions on a stream: the first one says that the client is connected.
pub const fn stream_event(opening: bool) -> &'static str {
    if opening { "unleash-connected" } else { "unleash-updated" }
}
