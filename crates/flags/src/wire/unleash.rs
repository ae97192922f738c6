//! The frontend API's answer: flags that are on for a context. And the names of what streams say.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::{Map, Value};
use tenfold_types::Fault;

use crate::{Context, DISABLED_VARIANT, Evaluation, Payload};

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = UnleashToggles)]
pub struct Toggles<'a> {
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

fn toggle<'a>(answer: &Evaluation<'a>) -> Toggle<'a> {
    let variant = answer.unleash_variant();
    Toggle {
        name: answer.key(),
        enabled: answer.enabled,
        impression_data: answer.impression_data(),
        variant: VariantOf {
            name: variant.map_or(DISABLED_VARIANT, |v| v.0),
            enabled: variant.is_some(),
            payload: variant.and_then(|v| v.1),
            feature_enabled: answer.enabled,
        },
    }
}

/// The body of an answer of the frontend API.
pub fn toggles<'a>(answers: impl Iterator<Item = Evaluation<'a>>) -> Vec<u8> {
    let document = Toggles { toggles: answers.filter(|a| a.enabled).map(|a| toggle(&a)).collect() };
    serde_json::to_vec(&document).unwrap_or_default()
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
