//! Queries as they are followed: one stream for all graphs of a page.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, StreamExt, stream};
use serde::Deserialize;
use serde_json::json;
use tenfold_app::App;
use tenfold_app::metrics::{LivePoints, LiveQuery, LiveReader, Waiting};
use utoipa_axum::routes;

use crate::prometheus::put_value;
use crate::standing::Standing;
use crate::{Api, ApiError, Body, Policy};

/// A reader that hears nothing for three of these is no longer connected.
const HEARTBEAT: Duration = Duration::from_secs(15);

pub fn api() -> Api {
    Api::new("prometheus").add(Policy::Viewer, routes!(metrics_live))
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct LiveQuestion {
    /// At most 128. Events name each by its place, from 0.
    queries: Vec<LiveQuery>,
}

/// Follows queries: server-sent events with the points of new steps as they become due.
///
/// `ready` comes first. `points` has `query`, `from` and `to` (seconds, both inclusive), and `result` as a range query answers
/// it; it tells the last two steps again, since samples come later than the instant they are of, and replaces what was
/// told of these steps. `fault` has `query`, `message` and `advice`; its steps are covered by the next answer. A reader that
/// does not take its events gets the newest alone, with `missed`: then it asks `query_range` for what was before `from`, as
/// it does when it comes back. `ping` comes when there is nothing else for 15 seconds. Ends with the session or token that
/// opened it.
#[utoipa::path(post, path = "/api/metrics/live", request_body = LiveQuestion, responses(
    (status = 200, content_type = "text/event-stream"), (status = 400), (status = 422), (status = 429), (status = 503)))]
async fn metrics_live(
    State(app): State<App>,
    standing: Standing,
    Body(question): Body<LiveQuestion>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let reader = app.follow_queries(standing.gate().unwrap_or_default(), &question.queries)?;
    let ready = json!({"queries": question.queries.len(), "heartbeat_ms": HEARTBEAT.as_secs() * 1_000});
    let ready = Event::default().event("ready").data(ready.to_string());
    let events = stream::iter([Ok(ready)]).chain(points(reader)).take_until(Box::pin(standing.ended(app)));
    let ping = Event::default().event("ping").data("{}");
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT).event(ping)))
}

fn points(reader: LiveReader) -> impl Stream<Item = Result<Event, Infallible>> {
    let taken = stream::unfold(reader, |reader| async move {
        let waiting = reader.next().await;
        Some((waiting, reader))
    });
    taken.flat_map(|waiting| stream::iter(waiting.into_iter().map(|one| Ok(event(&one)))))
}

fn event(waiting: &Waiting<LivePoints>) -> Event {
    let name = if waiting.news.answer.is_ok() { "points" } else { "fault" };
    // The beginning is each reader's own, the rest is written once for all.
    let (query, missed) = (waiting.query, waiting.missed);
    Event::default().event(name).data(format!("{{\"query\":{query},\"missed\":{missed},{}", waiting.news.text(rest)))
}

/// The rest of the object, with its end.
fn rest(points: &LivePoints) -> String {
    let (from, to) = (points.steps.from_ms as f64 / 1_000.0, points.steps.to_ms as f64 / 1_000.0);
    let mut text = format!("\"from\":{from},\"to\":{to},").into_bytes();
    match &points.answer {
        Ok(value) => {
            text.extend_from_slice(b"\"result\":");
            put_value(&mut text, value);
            text.push(b'}');
        }
        Err(fault) => {
            let told = json!({"code": fault.code.code(), "message": fault.message, "advice": fault.advice}).to_string();
            text.extend_from_slice(told.trim_start_matches('{').as_bytes());
        }
    }
    String::from_utf8(text).unwrap_or_default()
}
