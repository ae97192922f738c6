//! The record: listing, the live stream, verification of the hash chain.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{KeepAlive, Sse};
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use tenfold_app::record::EventQuery;
use tenfold_app::{App, Caller, Role};
use tenfold_types::{Event, Fault, Timestamp, Visibility};
use tokio::sync::broadcast::error::RecvError;
use utoipa_axum::routes;

use crate::auth::Who;
use crate::standing::Standing;
use crate::{Api, ApiError, Policy, QueryOf};

pub fn api() -> Api {
    Api::new("record")
        .add(Policy::Viewer, routes!(list))
        .add(Policy::Viewer, routes!(verify))
        .add(Policy::Viewer, routes!(stream))
}

const PAGE_EVENTS: usize = 100;
const PAGE_EVENTS_MAX: usize = 1000;
/// A reconnecting page that missed more than this starts from the present instead of being flooded.
const CATCH_UP_EVENTS_MAX: usize = 1000;

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Prefixes of kinds, separated by commas: `deploy.,flag.switched`.
    kind: Option<String>,
    service: Option<String>,
    environment: Option<String>,
    actor: Option<String>,
    flag: Option<String>,
    /// Of this alert, by its fingerprint.
    alert: Option<String>,
    incident: Option<i64>,
    deploy: Option<i64>,
    correlation: Option<String>,
    /// Words to find.
    q: Option<String>,
    #[param(value_type = Option<String>)]
    from: Option<Timestamp>,
    #[param(value_type = Option<String>)]
    to: Option<Timestamp>,
    before: Option<i64>,
    after: Option<i64>,
    limit: Option<usize>,
    /// `desc` (newest first, the default) or `asc`.
    order: Option<String>,
    /// Exactly these rows, separated by commas.
    seq: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct EventList {
    #[schema(value_type = Vec<EventShape>)]
    items: Vec<Event>,
    /// `before` (or, ascending, `after`) of the next page; absent on the last.
    next: Option<i64>,
}

/// How an event looks in JSON.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventShape {
    seq: i64,
    id: String,
    occurred_at: String,
    recorded_at: String,
    actor: ActorShape,
    on_behalf_of: Option<ActorShape>,
    /// Dotted: `deploy.succeeded`.
    kind: String,
    subject: SubjectShape,
    /// `debug`, `info`, `good`, `warning` or `critical`.
    severity: String,
    text: String,
    data: serde_json::Value,
    correlation: Option<String>,
    causation: Option<String>,
    source: String,
    visibility: String,
    prev_hash: String,
    hash: String,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Actor)]
struct ActorShape {
    /// `person`, `robot` or `agent`.
    kind: String,
    id: String,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Subject)]
struct SubjectShape {
    service: Option<String>,
    environment: Option<String>,
    host: Option<String>,
    flag: Option<String>,
    alert: Option<String>,
    incident: Option<i64>,
    deploy: Option<i64>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Verified {
    ok: bool,
    checked: i64,
    /// The first row whose hash does not follow from the rows before it.
    first_broken: Option<i64>,
}

fn sees_all(who: &Caller) -> bool {
    who.may(Role::Admin, None, None)
}

/// Rows of the record.
#[utoipa::path(get, path = "/api/events", params(ListQuery), responses((status = 200, body = EventList)))]
async fn list(
    State(app): State<App>,
    Who(who): Who,
    QueryOf(q): QueryOf<ListQuery>,
) -> Result<Json<EventList>, ApiError> {
    let ascending = match q.order.as_deref() {
        None | Some("desc") => false,
        Some("asc") => true,
        Some(other) => return Err(Fault::invalid(format!("`{other}` is no order; use asc or desc")).into()),
    };
    let limit = q.limit.unwrap_or(PAGE_EVENTS).min(PAGE_EVENTS_MAX);
    let seqs = q
        .seq
        .as_deref()
        .map(|list| list.split(',').map(|s| s.trim().parse::<i64>()).collect::<Result<Vec<_>, _>>())
        .transpose()
        .map_err(|_| Fault::invalid("`seq` takes numbers separated by commas"))?;
    let query = EventQuery {
        kinds: q.kind.map(|k| k.split(',').map(|p| p.trim().to_owned()).collect()).unwrap_or_default(),
        service: q.service,
        environment: q.environment,
        actor: q.actor,
        flag: q.flag,
        alert: q.alert,
        incident: q.incident,
        deploy: q.deploy,
        correlation: q.correlation,
        q: q.q,
        from: q.from,
        to: q.to,
        before: q.before,
        after: q.after,
        seqs,
        limit,
        ascending,
        include_admin: sees_all(&who),
        ..EventQuery::default()
    };
    let items = app.events(query).await?;
    let next = if items.len() == limit { items.last().map(|e| e.seq) } else { None };
    Ok(Json(EventList { items, next }))
}

/// Recomputes the hash chain of the whole record.
#[utoipa::path(get, path = "/api/events/verify", responses((status = 200, body = Verified)))]
async fn verify(State(app): State<App>) -> Result<Json<Verified>, ApiError> {
    let report = app.record_verify().await?;
    Ok(Json(Verified { ok: report.ok, checked: report.checked, first_broken: report.first_broken }))
}

/// The record as it grows: server-sent events named `event`, with the row's number as id. Ends with the session or token
/// that opened it.
#[utoipa::path(get, path = "/api/stream", responses((status = 200, content_type = "text/event-stream")))]
async fn stream(
    State(app): State<App>,
    Who(who): Who,
    standing: Standing,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<axum::response::sse::Event, Infallible>>> {
    let from = headers.get("last-event-id").and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<i64>().ok());
    let keep_alive = KeepAlive::new()
        .interval(Duration::from_secs(15))
        .event(axum::response::sse::Event::default().event("ping").data("{}"));
    let ended = standing.ended(app.clone());
    Sse::new(live(app, sees_all(&who), from).take_until(Box::pin(ended))).keep_alive(keep_alive)
}

struct Live {
    app: App,
    all: bool,
    tail: tokio::sync::broadcast::Receiver<std::sync::Arc<Event>>,
    seen: i64,
    backlog: std::collections::VecDeque<Event>,
}

fn live(app: App, all: bool, from: Option<i64>) -> impl Stream<Item = Result<axum::response::sse::Event, Infallible>> {
    // Listening starts before the backlog is read, so nothing falls between the two.
    let tail = app.record.tail();
    let seen = from.unwrap_or_else(|| app.record.last_seq());
    let start = Live { app, all, tail, seen, backlog: std::collections::VecDeque::new() };
    let first = from.is_some();
    futures_util::stream::unfold((start, first), |(mut live, catch_up)| async move {
        if catch_up {
            live.fill().await;
        }
        let event = live.next().await?;
        Some((Ok(as_sse(&event)), (live, false)))
    })
}

impl Live {
    async fn fill(&mut self) {
        // An unreadable record shows as a gap that the next reconnect closes.
        if let Ok(events) = self.app.events_after(self.seen, CATCH_UP_EVENTS_MAX).await {
            self.backlog.extend(events);
        }
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            let event = match self.backlog.pop_front() {
                Some(event) => event,
                None => match self.tail.recv().await {
                    Ok(event) => (*event).clone(),
                    Err(RecvError::Lagged(_)) => {
                        self.fill().await;
                        continue;
                    }
                    Err(RecvError::Closed) => return None,
                },
            };
            if event.seq <= self.seen {
                continue;
            }
            self.seen = event.seq;
            if self.all || event.visibility == Visibility::Everyone {
                return Some(event);
            }
        }
    }
}

fn as_sse(event: &Event) -> axum::response::sse::Event {
    axum::response::sse::Event::default()
        .event("event")
        .id(event.seq.to_string())
        .data(serde_json::to_string(event).unwrap_or_else(|_| "{}".into()))
}
