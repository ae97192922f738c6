//! The Prometheus HTTP API as Grafana and promtool use it, and the server's own metrics page.
//!
//! Shapes, parameters and errors are those of Prometheus 3 (`docs/querying/api.md` there). Rules and alerts in that
//! shape stand with the alerts.

mod about;
mod admin;
mod exemplars;
mod families;
mod federate;
mod params;
mod probes;
mod read;
mod rules;
mod self_metrics;
mod status;
mod targets;
mod written;

use std::fmt::Write;

use axum::body::Bytes;
use axum::extract::{FromRequest, Path, RawQuery, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value as Json, json};
use tenfold_app::metrics::{ClusterAnswer, How, SeriesFilter, Told};
use tenfold_app::{App, Role};
use tenfold_promql::{Level, Limits, PlanNode, Value, duration_or_seconds_ms};
use tenfold_types::{ErrorCode, Fault, Timestamp};
use utoipa_axum::routes;

use crate::{Api, ApiError, Policy};
use params::{PrometheusInstant, PrometheusLabels, PrometheusRange, PrometheusSeries};
pub(crate) use written::put_value;

pub fn api() -> Api {
    Api::new("prometheus")
        .add_packed(Policy::Viewer, routes!(query, query_post))
        .add_packed(Policy::Viewer, routes!(query_range, query_range_post))
        .add_packed(Policy::Viewer, routes!(series, series_post))
        .add_packed(Policy::Viewer, routes!(labels, labels_post))
        .add_packed(Policy::Viewer, routes!(label_values))
        .add_packed(Policy::Viewer, routes!(families::metadata))
        .add_packed(Policy::Viewer, routes!(rules::prometheus_rules))
        .add_packed(Policy::Viewer, routes!(rules::prometheus_alerts))
        .add_packed(Policy::Viewer, routes!(targets::targets))
        .add(Policy::Viewer, routes!(targets::scrape_pools))
        .add_packed(Policy::Viewer, routes!(targets::targets_metadata))
        .add(Policy::Viewer, routes!(targets::relabel_steps))
        .add_packed(Policy::Viewer, routes!(exemplars::query_exemplars, exemplars::query_exemplars_post))
        .add(Policy::Viewer, routes!(status::buildinfo))
        .add(Policy::Viewer, routes!(status::runtimeinfo))
        .add(Policy::Viewer, routes!(status::flags))
        .add(Policy::Viewer, routes!(status::config))
        .add(Policy::Viewer, routes!(status::format_query, status::format_query_post))
        .add(Policy::Viewer, routes!(status::parse_query, status::parse_query_post))
        .add_packed(Policy::Viewer, routes!(admin::tsdb))
        .add(Policy::Viewer, routes!(about::blocks))
        .add(Policy::Viewer, routes!(about::notifications))
        .add(Policy::Viewer, routes!(about::notifications_live))
        .add_packed(Policy::Viewer, routes!(self_metrics::self_metrics))
        .add(Policy::Viewer, routes!(about::features))
        .add(Policy::Role(Role::Admin), routes!(admin::delete_series, admin::delete_series_put))
        .add(Policy::Role(Role::Admin), routes!(admin::clean_tombstones, admin::clean_tombstones_put))
        .add(Policy::Role(Role::Admin), routes!(admin::snapshot, admin::snapshot_put))
        .add(Policy::Viewer, routes!(read::read))
        .add_packed(Policy::Viewer, routes!(federate::federate))
        .add_packed(Policy::Viewer, routes!(own))
        .add(Policy::Public, routes!(probes::healthy))
        .add(Policy::Public, routes!(probes::ready))
        .add(Policy::Viewer, routes!(probes::walreplay))
        .add(Policy::Viewer, routes!(probes::alertmanagers))
}

type Answer = Result<Response, PrometheusError>;

/// A fault in the shape Prometheus' clients expect.
struct PrometheusError(Fault);

impl From<Fault> for PrometheusError {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

impl IntoResponse for PrometheusError {
    fn into_response(self) -> Response {
        let (status, kind) = match self.0.code {
            ErrorCode::BadRequest => (StatusCode::BAD_REQUEST, "bad_data"),
            ErrorCode::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
            ErrorCode::Timeout => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
            ErrorCode::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            ErrorCode::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
            ErrorCode::Conflict => (StatusCode::CONFLICT, "execution"),
            ErrorCode::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            ErrorCode::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "bad_data"),
            // Prometheus has no such error; this is Mimir's word.
            ErrorCode::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too_many_requests"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        let body = json!({"status": "error", "errorType": kind, "error": self.0.message});
        (status, axum::Json(body)).into_response()
    }
}

fn success(data: impl Serialize) -> Response {
    #[derive(Serialize)]
    struct Success<T> {
        status: &'static str,
        data: T,
    }
    axum::Json(Success { status: "success", data }).into_response()
}

/// The form of a request. What is no form is nothing: `curl -X POST` of an address alone sends none.
struct RawForm(Bytes);

impl FromRequest<App> for RawForm {
    type Rejection = PrometheusError;

    async fn from_request(request: Request, app: &App) -> Result<Self, Self::Rejection> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Ok(Self(Bytes::new()));
        }
        Bytes::from_request(request, app).await.map(Self).map_err(|refused| {
            let is_too_large = refused.status() == StatusCode::PAYLOAD_TOO_LARGE;
            let code = if is_too_large { ErrorCode::TooLarge } else { ErrorCode::BadRequest };
            Fault::new(code, refused.body_text()).into()
        })
    }
}

/// Parameters out of the address or a form; some may stand several times. Those of the form come first, as in Prometheus.
#[derive(Clone)]
struct Params(Vec<(String, String)>);

impl Params {
    fn new(query: Option<&str>, form: &[u8]) -> Self {
        let pairs = url::form_urlencoded::parse(form)
            .chain(url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()))
            .map(|(n, v)| (n.into_owned(), v.into_owned()));
        Self(pairs.collect())
    }
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }
    fn need(&self, name: &str) -> Result<&str, Fault> {
        self.get(name).ok_or_else(|| bad(format!("the parameter `{name}` is missing")))
    }
    fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(n, _)| n == name).map(|(_, v)| v.clone()).collect()
    }
    fn time(&self, name: &str) -> Result<Option<Timestamp>, Fault> {
        self.get(name)
            .map(|text| {
                instant(text).ok_or_else(|| {
                    bad(format!("`{name}`: `{text}` is not an instant; write seconds since 1970 or RFC 3339"))
                })
            })
            .transpose()
    }
}

fn bad(message: String) -> Fault {
    Fault::new(ErrorCode::BadRequest, message)
}

/// What Prometheus says of an instant that has not come: readers take nothing but an instant there.
const NEVER: &str = "0001-01-01T00:00:00Z";

fn instant_or_never(at: Option<Timestamp>) -> Json {
    at.map_or_else(|| json!(NEVER), |at| json!(at))
}

/// As far as the store's instants go.
const EVER: Timestamp = Timestamp(1 << 52);

fn instant(text: &str) -> Option<Timestamp> {
    // The first and the last instant of Go, which clients send for no bound at all.
    match text {
        "-292273086-05-16T16:47:06Z" => return Some(Timestamp(-EVER.millis())),
        "292277025-08-18T07:12:54.999999999Z" => return Some(EVER),
        _ => {}
    }
    if let Ok(seconds) = text.parse::<f64>() {
        // The same two as numbers, which Prometheus' own client sends.
        if (9.2e15..9.3e15).contains(&seconds.abs()) {
            return Some(if seconds < 0.0 { Timestamp(-EVER.millis()) } else { EVER });
        }
        let ms = seconds * 1000.0;
        return (ms.is_finite() && ms.abs() < 9e15).then_some(Timestamp(ms.round() as i64));
    }
    Timestamp::parse_rfc3339(text)
}

/// What a query cost in Prometheus' shape. `totalQueryableSamples` and `samplesRead` are the samples read; `peakSamples` is what
/// was held at one time at most, in samples of 16 bytes; by step (`stats=all`) a sample counts once for each window it lies in.
/// Preparing and sorting are not timed apart: they are within the evaluation.
fn stats(told: &Told) -> Json {
    let (queued, elapsed) = (told.queued_ms / 1000.0, told.elapsed_ms / 1000.0);
    let mut out = json!({
        "timings": {
            "evalTotalTime": elapsed, "resultSortTime": 0.0, "queryPreparationTime": 0.0, "innerEvalTime": elapsed,
            "execQueueTime": queued, "execTotalTime": queued + elapsed,
        },
        "samples": {
            "totalQueryableSamples": told.answer.samples_read, "samplesRead": told.answer.samples_read,
            "peakSamples": told.answer.bytes_held / 16,
        },
    });
    if !told.answer.per_step.is_empty() {
        let steps = told.answer.per_step.iter().map(|(t_ms, samples)| json!([written::seconds(*t_ms), samples]));
        out["samples"]["totalQueryableSamplesPerStep"] = steps.collect();
    }
    out
}

/// Where the time and the samples of a query went, by node of its expression.
fn explained(told: &Told, query: &str) -> Json {
    let output = &told.answer;
    let node = |n: &PlanNode| {
        json!({
            "depth": n.depth, "operation": n.operation, "expression": query.get(n.span.start..n.span.end),
            "start": n.span.start, "end": n.span.end, "series": n.series, "chunks": n.chunks, "samples": n.samples,
            "rows": n.rows, "ms": n.ms,
        })
    };
    json!({
        "elapsed_ms": told.elapsed_ms, "queued_ms": told.queued_ms, "threads": told.threads,
        "series": output.series_read, "chunks": output.chunks_read, "samples": output.samples_read,
        "held_bytes": output.bytes_held, "nodes": output.plan.iter().map(node).collect::<Vec<_>>(),
    })
}

fn is_set(params: &Params, name: &str) -> bool {
    params.get(name).is_some_and(|value| !matches!(value, "0" | "false"))
}

/// Points from which an answer is written off the runtime's threads: some milliseconds of work.
const LONG_POINTS: usize = 20_000;

/// Remarks of each kind that are told, as in Prometheus.
const REMARKS_MAX: usize = 10;

/// The remark that there was more than `limit` allows, in Prometheus' words.
const CUT_OFF: &str = "results truncated due to limit";

/// Leaves at most so many series; whether there were more.
fn cut_off(value: &mut Value, max: usize) -> bool {
    let count = match value {
        Value::Matrix(series) => series.len(),
        Value::Vector(samples) => samples.len(),
        Value::Scalar(_) | Value::String { .. } => 0,
    };
    match value {
        Value::Matrix(series) => series.truncate(max),
        Value::Vector(samples) => samples.truncate(max),
        Value::Scalar(_) | Value::String { .. } => {}
    }
    count > max
}

async fn answer(mut told: Told, params: &Params, query: &str) -> Result<Response, Fault> {
    let cut = limit(params)?.is_some_and(|max| cut_off(&mut told.answer.value, max));
    let points = match &told.answer.value {
        Value::Matrix(series) => series.iter().map(|s| s.points.len() + s.histograms.len()).sum(),
        Value::Vector(samples) => samples.len(),
        Value::Scalar(_) | Value::String { .. } => 1,
    };
    let body = if points < LONG_POINTS {
        body(&told, params, query, cut)
    } else {
        let (params, query) = (params.clone(), query.to_owned());
        let written = tokio::task::spawn_blocking(move || body(&told, &params, &query, cut)).await;
        written.map_err(|_| Fault::internal("writing the answer ended in a panic"))?
    };
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

fn body(told: &Told, params: &Params, query: &str, cut: bool) -> Vec<u8> {
    let output = &told.answer;
    let start =
        format!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"{}\",\"result\":", output.value.type_name());
    let mut body = start.into_bytes();
    put_value(&mut body, &output.value);
    let mut put = |name: &str, value: Json| body.extend_from_slice(format!(",\"{name}\":{value}").as_bytes());
    if params.get("stats").is_some() {
        put("stats", stats(told));
    }
    if is_set(params, "explain") {
        put("explain", explained(told, query));
    }
    body.push(b'}');
    for (level, word, key) in [(Level::Warning, "warning", "warnings"), (Level::Info, "info", "infos")] {
        let remarks: Vec<_> = output.annotations.iter().filter(|remark| remark.level == level).collect();
        let mut texts: Vec<String> = remarks.iter().take(REMARKS_MAX).map(|remark| remark.render(query)).collect();
        if remarks.len() > REMARKS_MAX {
            texts.push(format!("{} more {word} annotations omitted", remarks.len() - REMARKS_MAX));
        }
        if cut && level == Level::Warning {
            texts.push(CUT_OFF.into());
        }
        if !texts.is_empty() {
            body.extend_from_slice(format!(",\"{key}\":{}", json!(texts)).as_bytes());
        }
    }
    body.push(b'}');
    body
}

/// `explain`; and `max_source_resolution`, called as in Thanos: `auto`, or how coarse rows of old time may be (`0s` for samples
/// alone).
fn how(params: &Params) -> Result<How, Fault> {
    let rows_max_ms = match params.get("max_source_resolution") {
        None | Some("auto") => i64::MAX,
        Some(text) => duration_or_seconds_ms(text).filter(|ms| *ms >= 0).ok_or_else(|| {
            bad(format!("`max_source_resolution`: `{text}` is not a duration; write 0s, 5m, 1h or auto"))
        })?,
    };
    let timeout_ms = match params.get("timeout") {
        None => None,
        Some(text) => Some(
            duration_or_seconds_ms(text)
                .and_then(|ms| u64::try_from(ms).ok())
                .filter(|ms| *ms > 0)
                .ok_or_else(|| bad(format!("`timeout`: `{text}` is not a duration above zero; write 30s or 30")))?,
        ),
    };
    let lookback = |text| {
        let wrong = || bad(format!("`lookback_delta`: `{text}` is not a duration above zero; write 5m or 300"));
        duration_or_seconds_ms(text).filter(|ms| *ms > 0).ok_or_else(wrong)
    };
    let lookback_ms = params.get("lookback_delta").map(lookback).transpose()?;
    let per_step = params.get("stats") == Some("all");
    let explain = is_set(params, "explain");
    Ok(How { explain, rows_max_ms, timeout_ms, lookback_ms, per_step, ..How::default() })
}

/// The answer of the cluster to the same question, as it is, when one answers here.
async fn of_cluster(app: &App, path: &str, params: &Params) -> Result<Option<Response>, Fault> {
    let Some(answer) = app.ask_cluster(path, &params.0).await? else { return Ok(None) };
    // Megabytes of text: not on a thread that serves connections.
    let ClusterAnswer { json, memory } = answer;
    let written = tokio::task::spawn_blocking(move || axum::Json(json).into_response()).await;
    drop(memory);
    Ok(Some(written.map_err(|_| Fault::internal("writing the answer ended in a panic"))?))
}

async fn run_query(app: &App, params: &Params) -> Answer {
    let query = params.need("query")?;
    if !is_set(params, "explain")
        && let Some(answer) = of_cluster(app, "/api/v1/query", params).await?
    {
        return Ok(answer);
    }
    let at = params.time("time")?.unwrap_or_else(|| app.now());
    limit(params)?;
    let told = app.query_told(query, at, how(params)?).await?;
    Ok(answer(told, params, query).await?)
}

async fn run_range(app: &App, params: &Params) -> Answer {
    let query = params.need("query")?;
    let start = params.time("start")?.ok_or_else(|| bad("the parameter `start` is missing".into()))?;
    let end = params.time("end")?.ok_or_else(|| bad("the parameter `end` is missing".into()))?;
    let step = params.need("step")?;
    let step_ms = duration_or_seconds_ms(step)
        .filter(|s| *s > 0)
        .ok_or_else(|| bad(format!("`step`: `{step}` is not a duration above zero; write 15s or 15")))?;
    if end < start {
        return Err(bad("`end` is before `start`".into()).into());
    }
    let steps_max = Limits::default().steps_max;
    let steps = end.since_ms(start) / step_ms + 1;
    if usize::try_from(steps).is_ok_and(|s| s > steps_max) {
        return Err(bad(format!(
            "the query has {steps} steps; at most {steps_max} are allowed; use a larger `step` or less time"
        ))
        .into());
    }
    if !is_set(params, "explain")
        && let Some(answer) = of_cluster(app, "/api/v1/query_range", params).await?
    {
        return Ok(answer);
    }
    limit(params)?;
    let told = app.query_range(query, start, end, step_ms, how(params)?).await?;
    Ok(answer(told, params, query).await?)
}

fn filter(params: &Params) -> Result<SeriesFilter, Fault> {
    let (start, end) = (params.time("start")?, params.time("end")?);
    if let (Some(start), Some(end)) = (start, end)
        && end < start
    {
        return Err(bad("`end` is before `start`".into()));
    }
    SeriesFilter::parse(&params.all("match[]"), start, end)
}

/// A name of a label as it stands in an address: as it is, or escaped for older readers (`U__` before it, `__` for `_` and
/// `_HEX_` for what is no letter or digit there).
fn unescaped(name: &str) -> Option<String> {
    let Some(mut rest) = name.strip_prefix("U__") else { return Some(name.to_owned()) };
    let mut out = String::new();
    while let Some((plain, escaped)) = rest.split_once('_') {
        out.push_str(plain);
        rest = if let Some(after) = escaped.strip_prefix('_') {
            out.push('_');
            after
        } else {
            let (hex, after) = escaped.split_once('_')?;
            out.push(u32::from_str_radix(hex, 16).ok().and_then(char::from_u32)?);
            after
        };
    }
    Some(out + rest)
}

/// A name as a part of an address.
fn in_path(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':') {
            out.push(char::from(byte));
        } else {
            // Writing into a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// How many things are wanted at most; 0 is as many as there are.
fn limit(params: &Params) -> Result<Option<usize>, Fault> {
    let Some(text) = params.get("limit") else { return Ok(None) };
    let limit: usize = text.parse().map_err(|_| bad(format!("`limit`: `{text}` is not a number")))?;
    Ok(Some(limit).filter(|limit| *limit > 0))
}

/// An answer of as many things as are wanted.
fn listed<T: Serialize>(most: Option<usize>, mut items: Vec<T>) -> Response {
    #[derive(Serialize)]
    struct Listed<T> {
        status: &'static str,
        data: Vec<T>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<&'static str>,
    }
    let max = most.unwrap_or(usize::MAX);
    let warnings = if items.len() > max { vec![CUT_OFF] } else { Vec::new() };
    items.truncate(max);
    axum::Json(Listed { status: "success", data: items, warnings }).into_response()
}

/// How many are wanted where families are asked for: any number below 1 is all, as `-1` is in Prometheus.
fn limit_or_all(params: &Params) -> Result<Option<usize>, Fault> {
    if params.get("limit").is_some_and(|text| text.parse::<i64>().is_ok_and(|limit| limit < 0)) {
        return Ok(None);
    }
    limit(params)
}

/// Looks into the store, off the runtime's threads: a hundred thousand series take their time.
async fn in_store<T: Send + 'static>(
    app: &App,
    look: impl FnOnce(&tenfold_app::metrics::State) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let app = app.clone();
    let found = tokio::task::spawn_blocking(move || look(&app.metrics)).await;
    found.map_err(|e| Fault::internal(format!("looking into the store panicked: {e}")))?
}

async fn run_series(app: &App, params: &Params) -> Answer {
    if params.all("match[]").is_empty() {
        return Err(bad("at least one `match[]` is needed".into()).into());
    }
    if let Some(answer) = of_cluster(app, "/api/v1/series", params).await? {
        return Ok(answer);
    }
    let (filter, most) = (filter(params)?, limit(params)?);
    let answer = in_store(app, move |metrics| {
        let mut memory = metrics.answer_memory();
        Ok(listed(most, metrics.series_within(&filter, most, &mut memory)?))
    });
    Ok(answer.await?)
}

async fn run_labels(app: &App, params: &Params) -> Answer {
    if let Some(answer) = of_cluster(app, "/api/v1/labels", params).await? {
        return Ok(answer);
    }
    let (filter, most) = (filter(params)?, limit(params)?);
    let answer = in_store(app, move |metrics| {
        let mut memory = metrics.answer_memory();
        Ok(listed(most, metrics.label_names_within(&filter, most, &mut memory)?))
    });
    Ok(answer.await?)
}

/// Evaluates a PromQL query at one instant (`query`, `time`). `stats=all` adds what it cost in Prometheus' shape,
/// `explain=1` where time and samples went by node of the expression.
#[utoipa::path(get, path = "/api/v1/query", params(PrometheusInstant), responses((status = 200, content_type = "application/json")))]
async fn query(State(app): State<App>, RawQuery(q): RawQuery) -> Answer {
    run_query(&app, &Params::new(q.as_deref(), b"")).await
}

/// The same by form.
#[utoipa::path(post, path = "/api/v1/query", request_body(content = PrometheusInstant, content_type = "application/x-www-form-urlencoded"), responses((status = 200, content_type = "application/json")))]
async fn query_post(State(app): State<App>, RawQuery(q): RawQuery, RawForm(form): RawForm) -> Answer {
    run_query(&app, &Params::new(q.as_deref(), &form)).await
}

/// Evaluates at every step (`query`, `start`, `end`, `step`; `stats` and `explain` as for an instant).
#[utoipa::path(get, path = "/api/v1/query_range", params(PrometheusRange), responses((status = 200, content_type = "application/json")))]
async fn query_range(State(app): State<App>, RawQuery(q): RawQuery) -> Answer {
    run_range(&app, &Params::new(q.as_deref(), b"")).await
}

/// The same by form.
#[utoipa::path(post, path = "/api/v1/query_range", request_body(content = PrometheusRange, content_type = "application/x-www-form-urlencoded"), responses((status = 200, content_type = "application/json")))]
async fn query_range_post(State(app): State<App>, RawQuery(q): RawQuery, RawForm(form): RawForm) -> Answer {
    run_range(&app, &Params::new(q.as_deref(), &form)).await
}

/// Label sets of matching series (`match[]`, `start`, `end`, `limit`).
#[utoipa::path(get, path = "/api/v1/series", params(PrometheusSeries), responses((status = 200, content_type = "application/json")))]
async fn series(State(app): State<App>, RawQuery(q): RawQuery) -> Answer {
    run_series(&app, &Params::new(q.as_deref(), b"")).await
}

/// The same by form.
#[utoipa::path(post, path = "/api/v1/series", request_body(content = PrometheusSeries, content_type = "application/x-www-form-urlencoded"), responses((status = 200, content_type = "application/json")))]
async fn series_post(State(app): State<App>, RawQuery(q): RawQuery, RawForm(form): RawForm) -> Answer {
    run_series(&app, &Params::new(q.as_deref(), &form)).await
}

/// Names of labels (`match[]`, `start`, `end`, `limit`).
#[utoipa::path(get, path = "/api/v1/labels", params(PrometheusLabels), responses((status = 200, content_type = "application/json")))]
async fn labels(State(app): State<App>, RawQuery(q): RawQuery) -> Answer {
    run_labels(&app, &Params::new(q.as_deref(), b"")).await
}

/// The same by form.
#[utoipa::path(post, path = "/api/v1/labels", request_body(content = PrometheusLabels, content_type = "application/x-www-form-urlencoded"), responses((status = 200, content_type = "application/json")))]
async fn labels_post(State(app): State<App>, RawQuery(q): RawQuery, RawForm(form): RawForm) -> Answer {
    run_labels(&app, &Params::new(q.as_deref(), &form)).await
}

/// Values of one label (`match[]`, `start`, `end`, `limit`).
#[utoipa::path(get, path = "/api/v1/label/{name}/values", params(("name" = String, Path), PrometheusLabels), responses((status = 200, content_type = "application/json")))]
async fn label_values(State(app): State<App>, Path(name): Path<String>, RawQuery(q): RawQuery) -> Answer {
    let params = Params::new(q.as_deref(), b"");
    let path = format!("/api/v1/label/{}/values", in_path(&name));
    // Those two are steps within an address, however they are written.
    if !matches!(name.as_str(), "." | "..")
        && let Some(answer) = of_cluster(&app, &path, &params).await?
    {
        return Ok(answer);
    }
    let (filter, most) = (filter(&params)?, limit(&params)?);
    let name = unescaped(&name).ok_or_else(|| bad(format!("`{name}` is not the escaped name of a label")))?;
    let answer = in_store(&app, move |metrics| {
        let mut memory = metrics.answer_memory();
        Ok(listed(most, metrics.label_values_within(&name, &filter, most, &mut memory)?))
    });
    Ok(answer.await?)
}

/// The server's own metrics in the Prometheus text format.
#[utoipa::path(get, path = "/metrics", responses((status = 200, content_type = "text/plain")))]
async fn own(State(app): State<App>) -> Result<Response, ApiError> {
    // Counts of queues wait for their disks.
    let page = tokio::task::spawn_blocking(move || app.own_metrics_page()).await;
    let page = page.map_err(|_| Fault::internal("writing the metrics page ended in a panic"))?;
    Ok(([(header::CONTENT_TYPE, tenfold_protocols::prom_page::CONTENT_TYPE)], page).into_response())
}
