//! Alertmanager's API v2 over our alerts and mutes: a Prometheus sends alerts here, and amtool, Karma and Grafana read them.
//!
//! Shapes, parameters and errors are those of Alertmanager's own OpenAPI document. A silence is a mute of the kind silence;
//! its id is the mute's number written as a UUID.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenfold_alerting::{MatcherSet, MuteKind, read_matchers};
use tenfold_app::alerts::{ALERTMANAGER_VERSION, FORWARDED_BY, Matchers, MuteView, NewMute, PostedAlert, SeenAlert};
use tenfold_app::{App, Role};
use tenfold_types::{ErrorCode, Fault, Labels, Matcher, MatcherOp, Timestamp, pattern::whole};
use utoipa_axum::routes;

use crate::auth::Who;
use crate::{Api, Policy, push};

/// Bytes of the alerts that a sender brings at once: more than 10,000 with long annotations.
const ALERTS_BYTES_MAX: usize = 16 << 20;
/// Regular expressions of one address, in all that it asks for.
const PATTERNS_MAX: usize = 50;
/// How long a sender may take to bring them.
const ALERTS_TIMEOUT: Duration = Duration::from_secs(30);
/// The annotation of a mute that says which kind it is, when it is no silence.
const KIND: &str = "kind";

pub fn api() -> Api {
    Api::new("alertmanager")
        .add(Policy::Viewer, routes!(status))
        .add(Policy::Viewer, routes!(receivers))
        .add(Policy::Viewer, routes!(alerts))
        .add(Policy::Role(Role::Responder), routes!(alerts_post))
        .add(Policy::Viewer, routes!(groups))
        .add(Policy::Viewer, routes!(silences))
        .add(Policy::Role(Role::Responder), routes!(silences_post))
        .add(Policy::Viewer, routes!(silence))
        .add(Policy::Role(Role::Responder), routes!(silence_delete))
}

/// A fault as Alertmanager's clients read it: a JSON text.
struct Refusal(Fault);

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self.0.code {
            ErrorCode::BadRequest | ErrorCode::Invalid | ErrorCode::Conflict => StatusCode::BAD_REQUEST,
            ErrorCode::NotFound => StatusCode::NOT_FOUND,
            ErrorCode::Forbidden => StatusCode::FORBIDDEN,
            ErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
            ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::TooMany => StatusCode::TOO_MANY_REQUESTS,
            ErrorCode::Unavailable | ErrorCode::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, axum::Json(self.0.message)).into_response()
    }
}

type Answer<T> = Result<axum::Json<T>, Refusal>;

fn bad(message: impl Into<String>) -> Fault {
    Fault::new(ErrorCode::BadRequest, message)
}

fn body<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|e| bad(format!("the request body does not fit: {e}")))
}

/// What the address asks for.
struct Filter {
    matchers: Vec<MatcherSet>,
    receiver: Option<regex::Regex>,
    flags: BTreeMap<String, bool>,
    /// Our receivers have no labels, so only matchers that hold for none let any through.
    any_receiver: bool,
}

impl Filter {
    fn read(query: Option<&str>) -> Result<Self, Fault> {
        let mut filter = Self { matchers: Vec::new(), receiver: None, flags: BTreeMap::new(), any_receiver: true };
        let mut room = PATTERNS_MAX;
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match name.as_ref() {
                "filter" => filter.matchers.push(matchers(&value, &mut room)?),
                "receiver_matchers" => filter.any_receiver &= matchers(&value, &mut room)?.matches(&Labels::new()),
                "receiver" if !value.is_empty() => {
                    take(&mut room, 1)?;
                    let pattern = whole(&value).map_err(|e| bad(format!("failed to parse receiver param: {e}")))?;
                    filter.receiver = Some(pattern);
                }
                "active" | "silenced" | "inhibited" | "unprocessed" | "muted" | "expired" | "pending" => {
                    let flag = match value.as_ref() {
                        "true" | "1" => true,
                        "false" | "0" => false,
                        _ => return Err(bad(format!("{name} in query must be of type boolean: {value:?}"))),
                    };
                    filter.flags.insert(name.into_owned(), flag);
                }
                _ => {}
            }
        }
        Ok(filter)
    }

    fn wants(&self, flag: &str) -> bool {
        self.flags.get(flag).copied().unwrap_or(true)
    }

    fn receives(&self, receiver: &str) -> bool {
        self.any_receiver && self.receiver.as_ref().is_none_or(|r| r.is_match(receiver))
    }

    fn takes(&self, alert: &SeenAlert) -> bool {
        let suppressed = !alert.muted_by.is_empty() || !alert.inhibited_by.is_empty();
        (self.wants("active") || suppressed)
            && (self.wants("silenced") || alert.muted_by.is_empty())
            && (self.wants("inhibited") || alert.inhibited_by.is_empty())
            && self.matchers.iter().all(|m| m.matches(&alert.labels))
    }
}

/// Each takes milliseconds and up to megabytes.
fn take(room: &mut usize, patterns: usize) -> Result<(), Fault> {
    let left = room.checked_sub(patterns);
    *room = left.ok_or_else(|| bad(format!("there are at most {PATTERNS_MAX} regular expressions in one address")))?;
    Ok(())
}

fn matchers(text: &str, room: &mut usize) -> Result<MatcherSet, Fault> {
    let list = read_matchers(text).map_err(bad)?;
    take(room, list.iter().filter(|matcher| matcher.is_compiled()).count())?;
    if list.is_empty() {
        return Err(bad(format!("bad matcher format: {text}")));
    }
    MatcherSet::any(&list).map_err(bad)
}

#[derive(Serialize, utoipa::ToSchema)]
struct ReceiverRef {
    name: String,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct AlertStatusShape {
    /// `active` or `suppressed`.
    state: &'static str,
    silenced_by: Vec<String>,
    inhibited_by: Vec<String>,
    muted_by: Vec<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct GettableAlert {
    #[schema(value_type = Object)]
    labels: Labels,
    #[schema(value_type = Object)]
    annotations: BTreeMap<String, String>,
    fingerprint: String,
    receivers: Vec<ReceiverRef>,
    #[schema(value_type = String)]
    starts_at: Timestamp,
    #[schema(value_type = String)]
    updated_at: Timestamp,
    #[schema(value_type = String)]
    ends_at: Timestamp,
    #[serde(rename = "generatorURL", skip_serializing_if = "String::is_empty")]
    generator_url: String,
    status: AlertStatusShape,
}

fn gettable(alert: &SeenAlert) -> GettableAlert {
    let suppressed = !(alert.muted_by.is_empty() && alert.inhibited_by.is_empty() && alert.intervals.is_empty());
    let mut receivers: Vec<String> = alert.groups.iter().map(|(_, receiver, _)| receiver.clone()).collect();
    // Two routes that lead to one receiver need not stand side by side.
    receivers.sort_unstable();
    receivers.dedup();
    GettableAlert {
        labels: alert.labels.clone(),
        annotations: alert.annotations.clone(),
        fingerprint: alert.fingerprint.clone(),
        receivers: receivers.into_iter().map(|name| ReceiverRef { name }).collect(),
        starts_at: alert.starts_at,
        updated_at: alert.updated_at,
        ends_at: alert.ends_at,
        generator_url: alert.generator_url.clone(),
        status: AlertStatusShape {
            state: if suppressed { "suppressed" } else { "active" },
            silenced_by: alert.muted_by.iter().map(|id| silence_id(*id)).collect(),
            inhibited_by: alert.inhibited_by.clone(),
            muted_by: alert.intervals.clone(),
        },
    }
}

/// The alerts that fire, in Alertmanager's shape.
#[utoipa::path(get, path = "/api/v2/alerts", responses((status = 200, body = Vec<GettableAlert>), (status = 400, body = String)))]
async fn alerts(State(app): State<App>, RawQuery(query): RawQuery) -> Answer<Vec<GettableAlert>> {
    let filter = Filter::read(query.as_deref())?;
    let mut seen = app.alerts_seen().await?;
    seen.retain(|a| filter.takes(a) && a.groups.iter().any(|(_, receiver, _)| filter.receives(receiver)));
    seen.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
    Ok(axum::Json(seen.iter().map(gettable).collect()))
}

/// Takes alerts as a Prometheus sends them to an Alertmanager.
#[utoipa::path(post, path = "/api/v2/alerts", request_body = Vec<PostedAlert>, responses((status = 200), (status = 400, body = String)))]
async fn alerts_post(
    State(app): State<App>,
    Who(who): Who,
    headers: HeaderMap,
    request: Request,
) -> Result<StatusCode, Refusal> {
    let from = headers.get(FORWARDED_BY).and_then(|from| from.to_str().ok());
    if let Some(from) = from
        && app.forward_is_own(from).await?
    {
        return Ok(StatusCode::LOOP_DETECTED);
    }
    let bytes = push::whole_within(request, ALERTS_BYTES_MAX, ALERTS_TIMEOUT).await?;
    let posted: Vec<PostedAlert> = body(&bytes)?;
    app.alerts_posted(&who, posted).await?;
    Ok(StatusCode::OK)
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct AlertGroupShape {
    #[schema(value_type = Object)]
    labels: Labels,
    /// Routes here have none.
    #[schema(value_type = Object)]
    route_labels: Labels,
    receiver: ReceiverRef,
    alerts: Vec<GettableAlert>,
}

/// The alerts that fire, by route and group.
#[utoipa::path(get, path = "/api/v2/alerts/groups", responses((status = 200, body = Vec<AlertGroupShape>), (status = 400, body = String)))]
async fn groups(State(app): State<App>, RawQuery(query): RawQuery) -> Answer<Vec<AlertGroupShape>> {
    let filter = Filter::read(query.as_deref())?;
    let mut groups: BTreeMap<(Labels, String, String), AlertGroupShape> = BTreeMap::new();
    for alert in app.alerts_seen().await?.iter().filter(|a| filter.takes(a)) {
        for (route, receiver, labels) in alert.groups.iter().filter(|(_, receiver, _)| filter.receives(receiver)) {
            let group =
                groups.entry((labels.clone(), receiver.clone(), route.clone())).or_insert_with(|| AlertGroupShape {
                    labels: labels.clone(),
                    route_labels: Labels::new(),
                    receiver: ReceiverRef { name: receiver.clone() },
                    alerts: Vec::new(),
                });
            group.alerts.push(gettable(alert));
        }
    }
    let mut groups: Vec<AlertGroupShape> = groups.into_values().collect();
    if !filter.wants("muted") {
        groups.retain(|g| g.alerts.iter().any(|a| a.status.state == "active"));
    }
    Ok(axum::Json(groups))
}

/// What tools ask for first.
#[utoipa::path(get, path = "/api/v2/status", responses((status = 200, body = Object)))]
async fn status(State(app): State<App>) -> Answer<Value> {
    let status = app.alerting_status()?;
    let address = app.settings.public_url.as_str();
    Ok(axum::Json(json!({
        // This node. Nodes do not talk to each other here, they share a database.
        "cluster": {"name": "tenfold", "status": "ready", "peers": [{"name": "tenfold", "address": address}]},
        "config": {"original": status.config},
        "uptime": status.started_at,
        "versionInfo": {
            "version": ALERTMANAGER_VERSION, "revision": env!("CARGO_PKG_VERSION"), "branch": "tenfold",
            "buildUser": "", "buildDate": "", "goVersion": "",
        },
    })))
}

/// The receivers of the routing.
#[utoipa::path(get, path = "/api/v2/receivers", responses((status = 200, body = Vec<ReceiverRef>), (status = 400, body = String)))]
async fn receivers(State(app): State<App>, RawQuery(query): RawQuery) -> Answer<Vec<ReceiverRef>> {
    let filter = Filter::read(query.as_deref())?;
    let names = app.alerting_status()?.receivers;
    Ok(axum::Json(names.into_iter().filter(|_| filter.any_receiver).map(|name| ReceiverRef { name }).collect()))
}

#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct MatcherShape {
    name: String,
    value: String,
    is_regex: bool,
    #[serde(default = "yes")]
    is_equal: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct PostableSilence {
    #[serde(default)]
    id: String,
    matchers: Vec<MatcherShape>,
    #[schema(value_type = String)]
    starts_at: Timestamp,
    #[schema(value_type = String)]
    ends_at: Timestamp,
    created_by: String,
    comment: String,
    #[serde(default)]
    #[schema(value_type = Object)]
    annotations: BTreeMap<String, String>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct GettableSilence {
    id: String,
    status: SilenceStatus,
    matchers: Vec<MatcherShape>,
    #[schema(value_type = String)]
    starts_at: Timestamp,
    #[schema(value_type = String)]
    ends_at: Timestamp,
    #[schema(value_type = String)]
    updated_at: Timestamp,
    created_by: String,
    comment: String,
    #[schema(value_type = Object)]
    annotations: BTreeMap<String, String>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct SilenceStatus {
    /// `active`, `pending` or `expired`.
    state: String,
}

#[derive(Serialize, utoipa::ToSchema)]
struct SilenceMade {
    #[serde(rename = "silenceID")]
    silence_id: String,
}

/// A mute's number as a UUID: that is what clients take for an id.
fn silence_id(mute: i64) -> String {
    format!("00000000-0000-8000-8000-{mute:012x}")
}

fn mute_of(id: &str) -> Result<i64, Fault> {
    let unknown = || Fault::not_found(format!("silence {id:.80} not found"));
    let digits = id.strip_prefix("00000000-0000-8000-8000-").filter(|d| d.len() == 12).ok_or_else(unknown)?;
    i64::from_str_radix(digits, 16).map_err(|_| unknown())
}

fn shape(mute: &MuteView) -> GettableSilence {
    let matcher = |m: &Matcher| MatcherShape {
        name: m.name.clone(),
        value: m.value.clone(),
        is_regex: matches!(m.op, MatcherOp::Regex | MatcherOp::NotRegex),
        is_equal: matches!(m.op, MatcherOp::Equal | MatcherOp::Regex),
    };
    // Between its turns a maintenance waits.
    let state = if mute.state == "active" && !mute.holds { "pending" } else { mute.state.as_str() };
    let mut annotations = mute.annotations.clone();
    if mute.kind != "silence" {
        annotations.insert(KIND.to_owned(), mute.kind.clone());
    }
    GettableSilence {
        id: silence_id(mute.id),
        status: SilenceStatus { state: state.to_owned() },
        matchers: mute.matchers.iter().map(matcher).collect(),
        starts_at: mute.starts_at,
        ends_at: mute.expires_at,
        updated_at: mute.updated_at,
        created_by: mute.created_by_name.clone(),
        comment: mute.reason.clone(),
        annotations,
    }
}

/// Mutes as silences.
#[utoipa::path(get, path = "/api/v2/silences", responses((status = 200, body = Vec<GettableSilence>), (status = 400, body = String)))]
async fn silences(State(app): State<App>, RawQuery(query): RawQuery) -> Answer<Vec<GettableSilence>> {
    let filter = Filter::read(query.as_deref())?;
    let mut list: Vec<GettableSilence> = app.mutes_all().await?.iter().map(shape).collect();
    list.retain(|s| {
        let labels = Labels::from_pairs(s.matchers.iter().map(|m| (m.name.clone(), m.value.clone())));
        filter.wants(&s.status.state) && filter.matchers.iter().all(|m| m.matches(&labels))
    });
    // Those that hold first, the next to end at the top; then what comes, then what is over.
    list.sort_by_key(|s| match s.status.state.as_str() {
        "active" => (0, s.ends_at.millis()),
        "pending" => (1, s.starts_at.millis()),
        _ => (2, -s.ends_at.millis()),
    });
    Ok(axum::Json(list))
}

/// What a silence cannot say stays as it was: a maintenance that is changed by a client goes on to hold at its times alone.
fn goes_on(new: &mut NewMute, was: MuteView) {
    new.kind = match was.kind.as_str() {
        "downtime" => MuteKind::Downtime,
        "maintenance" => MuteKind::Maintenance,
        // One of a deploy is changed by nobody, which is said where it is refused.
        _ => MuteKind::Silence,
    };
    new.recurs = was.recurs;
    if was.kind != "silence" {
        // What `shape` has put there.
        new.annotations.remove(KIND);
        new.annotations.extend(was.annotations.get_key_value(KIND).map(|(name, own)| (name.clone(), own.clone())));
    }
}

/// Makes a silence, or changes the one whose id is given.
#[utoipa::path(post, path = "/api/v2/silences", request_body = PostableSilence, responses((status = 200, body = SilenceMade), (status = 400, body = String), (status = 404, body = String)))]
async fn silences_post(State(app): State<App>, Who(who): Who, bytes: Bytes) -> Answer<SilenceMade> {
    let posted: PostableSilence = body(&bytes)?;
    let op = |m: &MatcherShape| match (m.is_equal, m.is_regex) {
        (true, false) => MatcherOp::Equal,
        (false, false) => MatcherOp::NotEqual,
        (true, true) => MatcherOp::Regex,
        (false, true) => MatcherOp::NotRegex,
    };
    let matchers = posted.matchers.iter().map(|m| Matcher::new(&m.name, op(m), &m.value)).collect();
    let mut new = NewMute::silence(Matchers::List(matchers), &posted.comment, posted.ends_at);
    if posted.created_by.trim().is_empty() {
        return Err(bad("a silence has a createdBy").into());
    }
    if posted.starts_at > posted.ends_at {
        return Err(bad("a silence ends after it starts").into());
    }
    new.starts_at = Some(posted.starts_at);
    (new.author, new.annotations) = (Some(posted.created_by), posted.annotations);
    let mute = if posted.id.is_empty() {
        app.mute_create(&who, new).await?
    } else {
        let id = mute_of(&posted.id)?;
        goes_on(&mut new, app.mute(id).await?);
        app.mute_change(&who, id, new).await?
    };
    Ok(axum::Json(SilenceMade { silence_id: silence_id(mute.id) }))
}

/// One silence.
#[utoipa::path(get, path = "/api/v2/silence/{silence}", params(("silence" = String, Path)), responses((status = 200, body = GettableSilence), (status = 404, body = String)))]
async fn silence(State(app): State<App>, Path(id): Path<String>) -> Answer<GettableSilence> {
    Ok(axum::Json(shape(&app.mute(mute_of(&id)?).await?)))
}

/// Ends a silence.
#[utoipa::path(delete, path = "/api/v2/silence/{silence}", params(("silence" = String, Path)), responses((status = 200), (status = 404, body = String)))]
async fn silence_delete(State(app): State<App>, Who(who): Who, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    app.mute_delete(&who, mute_of(&id)?).await?;
    Ok(StatusCode::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_only_so_many_patterns() {
        let read = |filters: usize, receivers: usize| {
            let (filter, receiver) = ("filter=a%3D~%22x.*%22&".repeat(filters), "receiver=x.*&".repeat(receivers));
            Filter::read(Some(&format!("{filter}{receiver}filter=b%3Dc"))).map(|read| read.matchers.len())
        };
        assert_eq!(read(PATTERNS_MAX - 1, 1).ok(), Some(PATTERNS_MAX));
        for (filters, receivers) in [(PATTERNS_MAX + 1, 0), (PATTERNS_MAX, 1), (0, PATTERNS_MAX + 1)] {
            let fault = read(filters, receivers).expect_err("there are too many");
            assert!(fault.message.contains("at most 50 regular expressions"), "{}", fault.message);
        }
    }
}
