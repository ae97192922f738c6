//! PagerDuty's Events API v2 in: what sends events there sends them here, with a robot's token as the routing key.
//!
//! An event is an alert with the labels `integration` (the token's name) and `dedup_key`. `trigger` fires it or goes on with it, `resolve` ends it, `acknowledge`
//! acknowledges its incidents. A sender of this kind says an event once, so the alert is believed until it is resolved.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tenfold_app::App;
use tenfold_app::alerts::{INTEGRATION_LABEL, ToldChange};
use tenfold_app::people::Token;
use tenfold_protocols::alert_hook::{KeyedAlert, SaidState};
use tenfold_types::{ErrorCode, Fault, Timestamp};
use utoipa_axum::routes;

use crate::{Api, Policy};

/// Bytes of one event, as at PagerDuty.
const EVENT_BYTES_MAX: usize = 512 << 10;
const DEDUP_KEY_CHARS_MAX: usize = 255;
const SUMMARY_CHARS_MAX: usize = 1_024;
const DETAIL_BYTES_MAX: usize = 4_000;
/// Links and images of one event together.
const LINKS_MAX: usize = 10;
const LINK_BYTES_MAX: usize = 600;
const LINK_TEXT_CHARS_MAX: usize = 50;

pub fn api() -> Api {
    // The routing key in the body says who sends; it is asked for in the handler.
    Api::new("pagerduty").add(Policy::Public, routes!(enqueue)).add(Policy::Public, routes!(change_enqueue))
}

#[derive(Deserialize)]
struct Event {
    routing_key: String,
    #[serde(rename = "event_action")]
    action: String,
    #[serde(default)]
    dedup_key: Option<String>,
    #[serde(default)]
    payload: Option<Payload>,
    #[serde(default)]
    client: Option<String>,
    #[serde(default)]
    client_url: Option<String>,
    #[serde(default, deserialize_with = "or_none")]
    links: Vec<LinkTo>,
    #[serde(default, deserialize_with = "or_none")]
    images: Vec<Image>,
}

/// Senders write `null` for a list of nothing, or for a text; no page is lost over it.
fn or_none<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(d: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

#[derive(Deserialize)]
struct LinkTo {
    href: String,
    #[serde(default)]
    text: Option<String>,
}

#[derive(Deserialize)]
struct Image {
    src: String,
    /// Where a click leads.
    #[serde(default)]
    href: Option<String>,
    #[serde(default)]
    alt: Option<String>,
}

/// A change, which fires nothing.
#[derive(Deserialize)]
struct ChangeEvent {
    routing_key: String,
    payload: ChangePayload,
    #[serde(default, deserialize_with = "or_none")]
    links: Vec<LinkTo>,
    #[serde(default, deserialize_with = "or_none")]
    images: Vec<Image>,
}

#[derive(Deserialize)]
struct ChangePayload {
    summary: String,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    timestamp: Option<String>,
    #[serde(default)]
    custom_details: Value,
}

/// An event that ends something or acknowledges it needs none of this, and may have part of it. What a trigger needs is asked
/// for in [`wrong`].
#[derive(Default, Deserialize)]
#[serde(default)]
struct Payload {
    #[serde(deserialize_with = "or_none")]
    summary: String,
    #[serde(deserialize_with = "or_none")]
    source: String,
    #[serde(deserialize_with = "or_none")]
    severity: String,
    timestamp: Option<String>,
    component: Option<String>,
    group: Option<String>,
    class: Option<String>,
    custom_details: Value,
}

fn refused(errors: &[String]) -> Response {
    let body = json!({"status": "invalid event", "message": "Event object is invalid", "errors": errors});
    (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
}

/// What clients are answered; none where the event itself is wrong. They send again after 429 and 5xx, and never after 400.
fn again_status(code: ErrorCode) -> Option<StatusCode> {
    match code {
        ErrorCode::BadRequest
        | ErrorCode::Invalid
        | ErrorCode::Unauthenticated
        | ErrorCode::Forbidden
        | ErrorCode::NotFound
        | ErrorCode::MethodNotAllowed
        | ErrorCode::Gone
        | ErrorCode::TooLarge
        | ErrorCode::UnsupportedMedia => None,
        ErrorCode::TooMany => Some(StatusCode::TOO_MANY_REQUESTS),
        ErrorCode::Timeout | ErrorCode::Unavailable | ErrorCode::DiskFull => Some(StatusCode::SERVICE_UNAVAILABLE),
        ErrorCode::Conflict | ErrorCode::Changed | ErrorCode::Locked | ErrorCode::Internal => {
            Some(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

fn failed(fault: &Fault) -> Response {
    let Some(status) = again_status(fault.code) else { return refused(std::slice::from_ref(&fault.message)) };
    (status, axum::Json(json!({"status": "error", "message": fault.message}))).into_response()
}

/// Takes an event of PagerDuty's Events API v2; the routing key is the secret of a robot's token.
#[utoipa::path(post, path = "/v2/enqueue", operation_id = "pagerduty_enqueue", request_body = Object, responses((status = 202, body = Object), (status = 400, body = Object)))]
async fn enqueue(State(app): State<App>, bytes: Bytes) -> Response {
    if bytes.len() > EVENT_BYTES_MAX {
        return refused(&[format!("an event has at most {EVENT_BYTES_MAX} bytes")]);
    }
    let event: Event = match serde_json::from_slice(&bytes) {
        Ok(event) => event,
        Err(e) => return refused(&[format!("the event cannot be read: {e}")]),
    };
    let Some(token) = app.token_by_secret(&event.routing_key) else {
        return refused(&["'routing_key' is not the secret of a token here".to_owned()]);
    };
    let errors = wrong(&event);
    if !errors.is_empty() {
        return refused(&errors);
    }
    let key = event.dedup_key.clone().filter(|k| !k.is_empty()).unwrap_or_else(|| app.random_text(16));
    let done = match event.action.as_str() {
        "trigger" => trigger(&app, &token, &event, &key).await,
        "resolve" => resolve(&app, &token, &key).await,
        _ => acknowledge(&app, &token, &key).await,
    };
    match done {
        Ok(()) => {
            let body = json!({"status": "success", "message": "Event processed", "dedup_key": key});
            (StatusCode::ACCEPTED, axum::Json(body)).into_response()
        }
        Err(fault) => failed(&fault),
    }
}

/// Takes a change of PagerDuty's Change Events API: it is in the record, and a suspect of the alerts of its service.
#[utoipa::path(post, path = "/v2/change/enqueue", operation_id = "pagerduty_change_enqueue", request_body = Object, responses((status = 202, body = Object), (status = 400, body = Object)))]
async fn change_enqueue(State(app): State<App>, bytes: Bytes) -> Response {
    if bytes.len() > EVENT_BYTES_MAX {
        return refused(&[format!("a change has at most {EVENT_BYTES_MAX} bytes")]);
    }
    let event: ChangeEvent = match serde_json::from_slice(&bytes) {
        Ok(event) => event,
        Err(e) => return refused(&[format!("the change cannot be read: {e}")]),
    };
    let Some(token) = app.token_by_secret(&event.routing_key) else {
        return refused(&["'routing_key' is not the secret of a token here".to_owned()]);
    };
    let ChangePayload { summary, source, timestamp, custom_details } = event.payload;
    let detail = |name: &str| custom_details[name].as_str().filter(|v| !v.is_empty()).map(str::to_owned);
    let change = ToldChange {
        summary,
        source: cut(source.as_deref().unwrap_or_default(), SUMMARY_CHARS_MAX),
        at: timestamp.as_deref().and_then(Timestamp::parse_rfc3339),
        service: token.service.clone().or_else(|| detail("service")),
        environment: token.environment.clone().or_else(|| detail("environment")),
        links: addresses(&event.links, &event.images),
        details: custom_details,
    };
    match app.change_told(&token.caller(), change).await {
        Ok(()) => {
            let body = json!({"status": "success", "message": "Change event processed"});
            (StatusCode::ACCEPTED, axum::Json(body)).into_response()
        }
        Err(fault) => failed(&fault),
    }
}

/// Addresses that a person may open, each with its text; an image leads where it says, or to itself.
fn addresses(links: &[LinkTo], images: &[Image]) -> Vec<(String, String)> {
    let of_links = links.iter().map(|link| (link.href.as_str(), link.text.as_deref()));
    let of_images = images.iter().map(|image| (image.href.as_deref().unwrap_or(&image.src), image.alt.as_deref()));
    let opens = |href: &str| href.starts_with("https://") || href.starts_with("http://");
    of_links
        .chain(of_images)
        .filter(|&(href, _)| opens(href) && href.len() <= LINK_BYTES_MAX && !href.contains(char::is_whitespace))
        .take(LINKS_MAX)
        .map(|(href, text)| {
            let text = text.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).unwrap_or_default();
            (href.to_owned(), cut(&text, LINK_TEXT_CHARS_MAX))
        })
        .collect()
}

fn wrong(event: &Event) -> Vec<String> {
    let mut errors = Vec::new();
    let action = event.action.as_str();
    if !matches!(action, "trigger" | "acknowledge" | "resolve") {
        errors.push("'event_action' is one of trigger, acknowledge, resolve".to_owned());
    }
    if event.dedup_key.as_ref().is_some_and(|k| k.chars().count() > DEDUP_KEY_CHARS_MAX) {
        errors.push(format!("'dedup_key' has at most {DEDUP_KEY_CHARS_MAX} characters"));
    }
    match (&event.payload, action) {
        (None, "trigger") => errors.push("'payload' is missing".to_owned()),
        (Some(payload), "trigger") => {
            if payload.summary.is_empty() {
                errors.push("'payload.summary' is missing or blank".to_owned());
            }
            if payload.source.is_empty() {
                errors.push("'payload.source' is missing or blank".to_owned());
            }
            if !matches!(payload.severity.as_str(), "critical" | "error" | "warning" | "info") {
                errors.push("'payload.severity' is one of critical, error, warning, info".to_owned());
            }
        }
        _ if event.dedup_key.as_ref().is_none_or(String::is_empty) && action != "trigger" => {
            errors.push("'dedup_key' is missing".to_owned());
        }
        _ => {}
    }
    errors
}

fn cut(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

async fn trigger(app: &App, token: &Token, event: &Event, key: &str) -> Result<(), Fault> {
    let payload = event.payload.as_ref().ok_or_else(|| Fault::invalid("'payload' is missing"))?;
    let mut labels = BTreeMap::new();
    let mut put = |name: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            labels.insert(name.to_owned(), cut(value, SUMMARY_CHARS_MAX));
        }
    };
    put("alertname", payload.class.as_deref().or(Some("event")));
    put("source", Some(&payload.source));
    put("component", payload.component.as_deref());
    put("group", payload.group.as_deref());
    put("severity", Some(&payload.severity));
    let detail = |name: &str| payload.custom_details[name].as_str();
    put("service", token.service.as_deref().or_else(|| detail("service")));
    put("environment", token.environment.as_deref().or_else(|| detail("environment")));
    let mut annotations = BTreeMap::from([("summary".to_owned(), cut(&payload.summary, SUMMARY_CHARS_MAX))]);
    if !payload.custom_details.is_null() {
        let text = payload.custom_details.as_str().map_or_else(|| payload.custom_details.to_string(), str::to_owned);
        annotations.insert("description".to_owned(), cut(&text, DETAIL_BYTES_MAX / 4));
    }
    // One a line: the address, and behind it what it is called.
    let links = addresses(&event.links, &event.images);
    if !links.is_empty() {
        let lines: Vec<String> =
            links.iter().map(|(href, text)| format!("{href} {text}").trim_end().to_owned()).collect();
        annotations.insert("links".to_owned(), lines.join("\n"));
    }
    if let Some(client) = event.client.as_deref().filter(|client| !client.is_empty()) {
        annotations.insert("client".to_owned(), cut(client, LINK_TEXT_CHARS_MAX));
    }
    let said = KeyedAlert {
        key: key.to_owned(),
        state: SaidState::Firing,
        labels,
        annotations,
        starts_at: payload.timestamp.as_deref().and_then(Timestamp::parse_rfc3339),
        url: event.client_url.clone(),
    };
    app.alerts_keyed(&token.caller(), (INTEGRATION_LABEL, &token.name), vec![said]).await
}

async fn resolve(app: &App, token: &Token, key: &str) -> Result<(), Fault> {
    let over = KeyedAlert {
        key: key.to_owned(),
        state: SaidState::Resolved,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        starts_at: None,
        url: None,
    };
    app.alerts_keyed(&token.caller(), (INTEGRATION_LABEL, &token.name), vec![over]).await
}

async fn acknowledge(app: &App, token: &Token, key: &str) -> Result<(), Fault> {
    let Some(alert) = app.alert_keyed((INTEGRATION_LABEL, &token.name), key).await? else { return Ok(()) };
    let alert = app.alert_get(&alert.fingerprint).await?;
    let mut done = Ok(());
    for incident in alert.incident.into_iter().chain(alert.further_incidents) {
        match app.incident_acknowledge(&token.caller(), incident).await {
            Ok(_) => {}
            // Somebody has resolved it: there is nothing left to acknowledge.
            Err(fault) if fault.code == ErrorCode::Conflict => {}
            // It must not keep the others from it.
            Err(fault) => done = Err(fault),
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_taken_later_is_not_refused_for_good() {
        let cases = [
            (ErrorCode::Invalid, 400),
            (ErrorCode::Forbidden, 400),
            (ErrorCode::TooMany, 429),
            (ErrorCode::DiskFull, 503),
            (ErrorCode::Unavailable, 503),
            (ErrorCode::Changed, 500),
            (ErrorCode::Internal, 500),
        ];
        for (code, wanted) in cases {
            assert_eq!(failed(&Fault::new(code, "it is so")).status().as_u16(), wanted, "{code:?}");
        }
    }
}
