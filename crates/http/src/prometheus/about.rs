//! What newer versions of Prometheus say of themselves: the blocks of the store, what people should know, and what the server
//! can.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value as Json, json};
use tenfold_app::App;

use super::{Answer, success};

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

/// What is wrong now: samples that are not kept, and configuration files that are not obeyed. Since when is not kept; the
/// instant of the answer stands there.
#[utoipa::path(get, path = "/api/v1/notifications", responses((status = 200, content_type = "application/json")))]
pub(super) async fn notifications(State(app): State<App>) -> Response {
    let troubles = [app.metrics.trouble(), app.metrics.config_trouble()];
    let row = |text: String| json!({"text": text, "date": app.now(), "active": true});
    success(troubles.into_iter().flatten().map(row).collect::<Vec<_>>())
}

/// What of PromQL is always there.
const OPERATORS: [&str; 20] = [
    "!=", "!~", "%", "*", "+", "-", "/", "<", "<=", "=", "==", "=~", ">", ">=", "@", "^", "and", "atan2", "or",
    "unless",
];
const MODIFIERS: [&str; 12] = [
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
