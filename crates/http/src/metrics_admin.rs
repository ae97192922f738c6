//! The store of samples for who runs it: where the series are, deleting, giving space back, snapshots. The same under
//! Prometheus' own addresses stands in `prometheus/admin.rs`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tenfold_app::metrics::{
    CardinalityView, Deletion, Imported, MetricNames, ReceiverStatus, SeriesFilter, SnapshotView, StoreView,
};
use tenfold_app::{App, Role};
use tenfold_protocols::remote_write::{BODY_BYTES_MAX, Version};
use tenfold_types::{ErrorCode, Fault, Timestamp};
use utoipa_axum::routes;

use crate::auth::Who;
use crate::{Api, ApiError, Body, Policy, QueryOf};

pub fn api() -> Api {
    Api::new("metrics")
        .add(Policy::Viewer, routes!(cardinality))
        .add(Policy::Viewer, routes!(metric_names))
        .add(Policy::Viewer, routes!(store))
        .add(Policy::Viewer, routes!(receivers))
        .add(Policy::Role(Role::Admin), routes!(delete))
        .add(Policy::Role(Role::Admin), routes!(clean))
        .add(Policy::Role(Role::Admin), routes!(snapshot))
        .add(Policy::Role(Role::Admin), routes!(import))
}

/// Rows of each list, when nobody says how many.
const ROWS: usize = 20;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CardinalityQuery {
    /// Rows of each list, 20 when nothing is said.
    limit: Option<usize>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct NamesQuery {
    /// Words that stand in the name, in any case; all metrics when nothing is said.
    words: Option<String>,
    /// Only metrics that no dashboard, rule, permit, ramp or plan of ramps here names; a query for nearly any name names
    /// none. What pipelines of services and other programs ask is not known.
    unnamed: Option<bool>,
    /// Rows, 20 when nothing is said.
    limit: Option<usize>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct DeleteBody {
    /// `http_requests_total{service="photos"}`
    selectors: Vec<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    start: Option<Timestamp>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    end: Option<Timestamp>,
    /// Only say what would be deleted.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ImportQuery {
    /// Where the samples come from, for the record.
    from: String,
    /// Which part of it this is, from 1 on.
    part: u32,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Cleaned {
    /// Blocks that were written anew.
    blocks: usize,
}

/// Which metrics, labels and label pairs have the most series, and what has ended.
#[utoipa::path(get, path = "/api/metrics/cardinality", params(CardinalityQuery), responses((status = 200, body = CardinalityView)))]
async fn cardinality(
    State(app): State<App>,
    QueryOf(q): QueryOf<CardinalityQuery>,
) -> Result<Json<CardinalityView>, ApiError> {
    Ok(Json(app.cardinality(q.limit.unwrap_or(ROWS)).await?))
}

/// Metrics by words of their names, and those that nothing here asks for; the ones with the most series first.
#[utoipa::path(get, path = "/api/metrics/names", params(NamesQuery), responses((status = 200, body = MetricNames)))]
async fn metric_names(State(app): State<App>, QueryOf(q): QueryOf<NamesQuery>) -> Result<Json<MetricNames>, ApiError> {
    let (words, unnamed) = (q.words.unwrap_or_default(), q.unnamed.unwrap_or(false));
    Ok(Json(app.metric_names(&words, unnamed, q.limit.unwrap_or(ROWS)).await?))
}

/// How the store of samples is doing: its size and what bounds it, and damaged files that were moved aside.
#[utoipa::path(get, path = "/api/metrics/store", responses((status = 200, body = StoreView)))]
async fn store(State(app): State<App>) -> Result<Json<StoreView>, ApiError> {
    Ok(Json(app.store_view().await?))
}

#[derive(Serialize, utoipa::ToSchema)]
struct ReceiverList {
    items: Vec<ReceiverStatus>,
}

/// Stores to which samples are sent on, and how that goes.
#[utoipa::path(get, path = "/api/metrics/receivers", responses((status = 200, body = ReceiverList)))]
async fn receivers(State(app): State<App>) -> Result<Json<ReceiverList>, ApiError> {
    let items = tokio::task::spawn_blocking(move || app.metrics.receivers()).await;
    let items = items.map_err(|_| Fault::internal("looking at the receivers ended in a panic"))?;
    Ok(Json(ReceiverList { items }))
}

/// Deletes the samples of matching series within a time, for good.
#[utoipa::path(post, path = "/api/metrics/delete", request_body = DeleteBody, responses((status = 200, body = Deletion)))]
async fn delete(State(app): State<App>, Who(who): Who, Body(b): Body<DeleteBody>) -> Result<Json<Deletion>, ApiError> {
    let filter = SeriesFilter::parse(&b.selectors, b.start, b.end)?;
    Ok(Json(app.delete_series(&who, &b.selectors, filter, b.dry_run).await?))
}

/// Gives the space of deleted samples back now; else it comes back little by little.
#[utoipa::path(post, path = "/api/metrics/clean", responses((status = 200, body = Cleaned)))]
async fn clean(State(app): State<App>, Who(who): Who) -> Result<Json<Cleaned>, ApiError> {
    Ok(Json(Cleaned { blocks: app.clean_tombstones(&who).await? }))
}

/// Takes a copy of the store of samples on the server.
#[utoipa::path(post, path = "/api/metrics/snapshot", responses((status = 200, body = SnapshotView)))]
async fn snapshot(State(app): State<App>, Who(who): Who) -> Result<Json<SnapshotView>, ApiError> {
    Ok(Json(app.snapshot(&who).await?))
}

/// Takes samples of old time in, in any order: a body of Prometheus remote write. What is too old for the retention is refused.
#[utoipa::path(post, path = "/api/metrics/import", params(ImportQuery), request_body(content = Vec<u8>, content_type = "application/x-protobuf"), responses((status = 200, body = Imported)))]
async fn import(
    State(app): State<App>,
    Who(who): Who,
    QueryOf(q): QueryOf<ImportQuery>,
    request: axum::extract::Request,
) -> Result<Json<Imported>, ApiError> {
    let kind = request.headers().get(axum::http::header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let version =
        Version::of(kind.unwrap_or_default()).map_err(|message| Fault::new(ErrorCode::UnsupportedMedia, message))?;
    let body = crate::push::body(&app, request, BODY_BYTES_MAX).await?;
    Ok(Json(app.import(&who, &q.from, q.part, body, version == Version::V2).await?))
}
