//! What newer versions of Prometheus say of themselves: the blocks of the store, what people should know, and what the server
//! can.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde_json::{Value as Json, json};
use tenfold_app::App;
use tenfold_types::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Answer, success};
use crate::standing::Standing;

/// The blocks of samples on disk, the oldest first. Ours have numbers in place of Prometheus' names; one that was merged has
/// the level 2.
#[utoipa::path(get, path = "/api/v1/status/tsdb/blocks", responses((status = 200, content_type = "application/json")))]
pub(super) async fn blocks(State(app): State<App>) -> Answer {
    let name = |number: u64| format!("{number:08}");
    let blocks = app.store_blocks().await?;
    let rows = blocks.iter().map(|block| {
        let sources: Vec<String> = block.sources.iter().map(|n| name(*n)).collect();
        let level = if sources.is_empty() { 1 } else { 2 };
        let sources = if sources.is_empty() { vec![name(block.number)] } else { sources };
        json!({
            "ulid": name(block.number), "minTime": block.start_t_ms, "maxTime": block.end_t_ms,
            "stats": {"numSamples": block.samples, "numSeries": block.series, "numBytes": block.bytes},
            "compaction": {"level": level, "sources": sources}, "version": 1,
        })
    });
    Ok(success(json!({"blocks": rows.collect::<Vec<_>>()})))
}

fn troubles(app: &App) -> impl Iterator<Item = String> {
    [app.metrics.trouble(), app.metrics.config_trouble()].into_iter().flatten()
}

fn notification(text: &str, since: Timestamp, active: bool) -> Json {
    json!({"text": text, "date": since, "active": active})
}

/// What is wrong now: samples that are not kept, and configuration files that are not obeyed. Since when is not kept; the
/// instant of the answer stands there.
#[utoipa::path(get, path = "/api/v1/notifications", responses((status = 200, content_type = "application/json")))]
pub(super) async fn notifications(State(app): State<App>) -> Response {
    let now = app.now();
    success(troubles(&app).map(|text| notification(&text, now, true)).collect::<Vec<_>>())
}

/// Readers of notifications at one time.
const READERS_MAX: usize = 16;
/// How often it is looked for news.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What is wrong, as it comes and goes, for one reader.
struct Following {
    app: App,
    /// What was told to be wrong, and since when.
    told: Vec<(String, Timestamp)>,
    waiting: VecDeque<Json>,
    looks: tokio::time::Interval,
    _place: OwnedSemaphorePermit,
}

impl Following {
    fn look(&mut self) {
        let (now, current): (_, Vec<String>) = (self.app.now(), troubles(&self.app).collect());
        for (text, since) in self.told.extract_if(.., |(text, _)| !current.contains(text)) {
            self.waiting.push_back(notification(&text, since, false));
        }
        for text in current {
            if !self.told.iter().any(|(told, _)| *told == text) {
                self.waiting.push_back(notification(&text, now, true));
                self.told.push((text, now));
            }
        }
    }

    async fn next(&mut self) -> Json {
        loop {
            if let Some(one) = self.waiting.pop_front() {
                return one;
            }
            self.looks.tick().await;
            self.look();
        }
    }
}

/// The same as it comes and goes: server-sent events without a name, first for what is wrong already; `active` is false in the
/// one that tells that it is over. An empty 204 where 16 read already, as in Prometheus. Ends with the session or token that
/// opened it.
#[utoipa::path(get, path = "/api/v1/notifications/live", responses((status = 200, content_type = "text/event-stream"), (status = 204)))]
pub(super) async fn notifications_live(State(app): State<App>, standing: Standing) -> Response {
    static READERS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(READERS_MAX)));
    let Ok(place) = READERS.clone().try_acquire_owned() else { return StatusCode::NO_CONTENT.into_response() };
    let ended = standing.ended(app.clone());
    let looks = tokio::time::interval(LOOK_INTERVAL);
    let start = Following { app, told: Vec::new(), waiting: VecDeque::new(), looks, _place: place };
    let events = stream::unfold(start, |mut following| async move {
        let one = following.next().await;
        Some((Ok::<_, Infallible>(Event::default().data(one.to_string())), following))
    });
    Sse::new(events.take_until(Box::pin(ended))).keep_alive(KeepAlive::default()).into_response()
}

/// What of PromQL is always there.
const OPERATORS: [&str; 20] = [
    "!=", "!~", "%", "*", "+", "-", "/", "<", "<=", "=", "==", "=~", ">", ">=", "@", "^", "and", "atan2", "or",
    "unless",
];
const MODIFIERS: [&str; 13] = [
    "at_modifier",
    "bool",
    "by",
    "group_left",
    "group_right",
    "ignoring",
    "negative_offset",
    "offset",
    "on",
    "per_query_lookback_delta",
    "per_step_stats",
    "subqueries",
    "without",
];

fn all<'n>(names: impl IntoIterator<Item = &'n str>, is_there: bool) -> impl Iterator<Item = (&'n str, bool)> {
    names.into_iter().map(move |name| (name, is_there))
}

/// What the server can, by part of it and in Prometheus' names; what is not named is not said to be missing.
#[utoipa::path(get, path = "/api/v1/features", responses((status = 200, content_type = "application/json")))]
pub(super) async fn features(State(app): State<App>) -> Response {
    let experimental = app.settings.metrics.experimental_promql;
    let functions = tenfold_promql::function_names().map(|(name, is_new)| (name, experimental || !is_new));
    let promql = all(MODIFIERS, true).chain(all(["anchored", "duration_expr", "smoothed"], experimental));
    let map = |pairs: BTreeMap<&str, bool>| -> Json { json!(pairs) };
    success(json!({
        "api": {
            "admin": true, "exclude_alerts": true, "label_values_match": true, "lifecycle": false,
            "otlp_write_receiver": true, "query_stats": true, "query_warnings": true, "remote_write_receiver": true,
            "time_range_labels": true, "time_range_series": true,
        },
        "otlp_receiver": {"delta_conversion": true},
        "prometheus": {"agent_mode": false},
        "promql": map(promql.collect()),
        "promql_functions": map(functions.collect()),
        "promql_operators": map(all(OPERATORS, true).collect()),
        "service_discovery_providers": map(all(["dns", "file", "http", "static"], true).collect()),
        "tsdb": {"exemplar_storage": true, "native_histograms": true},
    }))
}
