//! What Prometheus says of itself, where it can be said of us: programs that look for it find their way.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde_json::json;
use tenfold_app::App;

use super::params::PrometheusExpression;
use super::{Answer, Params, RawForm, instant_or_never, success};

/// The Prometheus whose API and semantics these are. Grafana compares it with versions it knows: from 2.24 on it asks for
/// values of labels by selector, and without one it takes every series for them. The own version is the `revision`.
const LIKE_PROMETHEUS: &str = "3.5.0";

/// Which program answers; Grafana asks to know what it can use.
#[utoipa::path(get, path = "/api/v1/status/buildinfo", responses((status = 200, content_type = "application/json")))]
pub(super) async fn buildinfo() -> Response {
    success(json!({
        "application": "tenfold", "version": LIKE_PROMETHEUS, "revision": env!("CARGO_PKG_VERSION"), "branch": "",
        "buildUser": "", "buildDate": "", "goVersion": "",
    }))
}

/// As Prometheus writes both bounds.
fn retention(metrics: &tenfold_app::settings::Metrics) -> String {
    let time = format!("{}d", metrics.retention_days);
    if metrics.retention_bytes_max().is_none() { time } else { format!("{time} or {}", metrics.retention_size) }
}

/// How the store of samples is doing.
#[utoipa::path(get, path = "/api/v1/status/runtimeinfo", responses((status = 200, content_type = "application/json")))]
pub(super) async fn runtimeinfo(State(app): State<App>) -> Response {
    let trouble = app.metrics.trouble().or_else(|| app.metrics.config_trouble());
    let started = instant_or_never(app.alerting_status().ok().map(|status| status.started_at));
    success(json!({
        "startTime": started,
        // The settings are read then.
        "lastConfigTime": started,
        "GOMAXPROCS": std::thread::available_parallelism().map_or(1, usize::from),
        // Readers want all of them, and here is no Go.
        "goroutineCount": 0, "GOMEMLIMIT": 0, "GOGC": "", "GODEBUG": "", "CWD": "", "hostname": "",
        "reloadConfigSuccess": app.metrics.config_trouble().is_none(),
        "timeSeriesCount": app.metrics.series_count(),
        "storageRetention": retention(&app.settings.metrics),
        "corruptionCount": app.metrics.corruption_count(),
        "serverTime": app.now(),
        "trouble": trouble,
    }))
}

/// Settings that have a name in Prometheus.
#[utoipa::path(get, path = "/api/v1/status/flags", responses((status = 200, content_type = "application/json")))]
pub(super) async fn flags(State(app): State<App>) -> Response {
    let metrics = &app.settings.metrics;
    success(json!({
        "query.lookback-delta": "5m",
        "query.max-samples": metrics.query.samples_max.to_string(),
        "query.max-concurrency": metrics.query.concurrency_max.to_string(),
        "query.timeout": tenfold_types::format_duration_ms(metrics.query.timeout_ms.cast_signed()),
        "storage.tsdb.retention.time": format!("{}d", metrics.retention_days),
        "storage.tsdb.retention.size": metrics.retention_size.to_string(),
        "storage.tsdb.out-of-order-time-window": metrics.out_of_order_time_window.to_string(),
        "enable-feature": if metrics.experimental_promql { "promql-experimental-functions" } else { "" },
    }))
}

/// The configuration as Prometheus would write it; what is scraped stands in our own settings.
#[utoipa::path(get, path = "/api/v1/status/config", responses((status = 200, content_type = "application/json")))]
pub(super) async fn config(State(app): State<App>) -> Response {
    let (metrics, alerts) = (&app.settings.metrics, &app.settings.alerts);
    // JSON is YAML as well, whatever is in a value.
    let external = if alerts.external_labels.is_empty() {
        String::new()
    } else {
        format!("  external_labels: {}\n", json!(alerts.external_labels))
    };
    let yaml = format!(
        "global:\n  scrape_interval: {}ms\n  scrape_timeout: {}ms\n  evaluation_interval: {}ms\n{external}\
         storage:\n  tsdb:\n    out_of_order_time_window: {}\n",
        metrics.scrape_interval_ms,
        metrics.scrape_timeout_ms,
        alerts.evaluation_interval_ms,
        metrics.out_of_order_time_window
    );
    success(json!({"yaml": yaml}))
}

fn run_format(app: &App, params: &Params) -> Answer {
    Ok(success(json!(app.metrics.format_query(params.need("query")?)?)))
}

/// Writes a query the way Prometheus does, over several lines where it is long (`query`).
#[utoipa::path(get, path = "/api/v1/format_query", params(PrometheusExpression), responses((status = 200, content_type = "application/json")))]
pub(super) async fn format_query(State(app): State<App>, RawQuery(q): RawQuery) -> Answer {
    run_format(&app, &Params::new(q.as_deref(), b""))
}

/// The same by form.
#[utoipa::path(post, path = "/api/v1/format_query", request_body(content = PrometheusExpression, content_type = "application/x-www-form-urlencoded"), responses((status = 200, content_type = "application/json")))]
pub(super) async fn format_query_post(State(app): State<App>, RawQuery(q): RawQuery, RawForm(form): RawForm) -> Answer {
    run_format(&app, &Params::new(q.as_deref(), &form))
}

fn run_parse(app: &App, params: &Params) -> Answer {
    Ok(success(app.metrics.syntax_tree(params.need("query")?)?))
}

/// The syntax tree of a query (`query`), as Prometheus' pages draw it.
#[utoipa::path(get, path = "/api/v1/parse_query", params(PrometheusExpression), responses((status = 200, content_type = "application/json")))]
pub(super) async fn parse_query(State(app): State<App>, RawQuery(q): RawQuery) -> Answer {
    run_parse(&app, &Params::new(q.as_deref(), b""))
}

/// The same by form.
#[utoipa::path(post, path = "/api/v1/parse_query", request_body(content = PrometheusExpression, content_type = "application/x-www-form-urlencoded"), responses((status = 200, content_type = "application/json")))]
pub(super) async fn parse_query_post(State(app): State<App>, RawQuery(q): RawQuery, RawForm(form): RawForm) -> Answer {
    run_parse(&app, &Params::new(q.as_deref(), &form))
}
