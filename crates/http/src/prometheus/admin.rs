//! Prometheus' admin API and `status/tsdb`, at its addresses. There a flag of the server opens it to everybody; here it takes
//! the role admin, and the record says who did it.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};
use tenfold_app::App;
use tenfold_app::metrics::{CountedLabel, CountedSeries};

use super::{Answer, Params, RawForm, bad, filter, success};
use crate::auth::Who;

/// Rows of each list, as in Prometheus.
const ROWS: usize = 10;

fn named(list: &[CountedSeries]) -> Json {
    list.iter().map(|c| json!({"name": c.name, "value": c.series})).collect()
}

fn labels(list: &[CountedLabel], value: impl Fn(&CountedLabel) -> Json) -> Json {
    list.iter().map(|c| json!({"name": c.label, "value": value(c)})).collect()
}

/// Where the series are (`limit`). Counted are all known series, not only those in memory.
#[utoipa::path(get, path = "/api/v1/status/tsdb", responses((status = 200, content_type = "application/json")))]
pub(super) async fn tsdb(State(app): State<App>, RawQuery(q): RawQuery) -> Answer {
    let params = Params::new(q.as_deref(), b"");
    let rows = params.get("limit").map_or(Ok(ROWS), str::parse);
    let rows = rows.map_err(|_| bad("`limit` is not a number".into()))?;
    let (c, stats) = (app.cardinality(rows).await?, app.store_stats().await?);
    Ok(success(json!({
        "headStats": {
            "numSeries": c.series, "numLabelPairs": c.label_pairs, "chunkCount": stats.head_chunks,
            "minTime": stats.min_t_ms.unwrap_or(i64::MAX), "maxTime": stats.max_t_ms.unwrap_or(i64::MIN),
        },
        "seriesCountByMetricName": named(&c.metrics),
        "labelValueCountByLabelName": labels(&c.labels_by_values, |l| json!(l.values)),
        "memoryInBytesByLabelName": labels(&c.labels_by_bytes, |l| json!(l.bytes)),
        "seriesCountByLabelValuePair": named(&c.pairs_by_series),
    })))
}

/// Deletes the samples of matching series (`match[]`, `start`, `end`) for good.
#[utoipa::path(post, path = "/api/v1/admin/tsdb/delete_series", responses((status = 204, description = "They are gone from every answer.")))]
pub(super) async fn delete_series(
    State(app): State<App>,
    Who(who): Who,
    RawQuery(q): RawQuery,
    RawForm(form): RawForm,
) -> Answer {
    let params = Params::new(q.as_deref(), &form);
    let selectors = params.all("match[]");
    if selectors.is_empty() {
        return Err(bad("at least one `match[]` is needed".into()).into());
    }
    app.delete_series(&who, &selectors, filter(&params)?, false).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The same by PUT.
#[utoipa::path(put, path = "/api/v1/admin/tsdb/delete_series", responses((status = 204, description = "They are gone from every answer.")))]
pub(super) async fn delete_series_put(state: State<App>, who: Who, query: RawQuery, form: RawForm) -> Answer {
    delete_series(state, who, query, form).await
}

/// Gives the space of deleted samples back.
#[utoipa::path(post, path = "/api/v1/admin/tsdb/clean_tombstones", responses((status = 204, description = "Done.")))]
pub(super) async fn clean_tombstones(State(app): State<App>, Who(who): Who) -> Answer {
    app.clean_tombstones(&who).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The same by PUT.
#[utoipa::path(put, path = "/api/v1/admin/tsdb/clean_tombstones", responses((status = 204, description = "Done.")))]
pub(super) async fn clean_tombstones_put(state: State<App>, who: Who) -> Answer {
    clean_tombstones(state, who).await
}

async fn take(app: &App, who: &tenfold_app::Caller) -> Result<Response, tenfold_types::Fault> {
    Ok(success(json!({"name": app.snapshot(who).await?.name})))
}

/// Takes a copy of the store; what is in memory is always part of it.
#[utoipa::path(post, path = "/api/v1/admin/tsdb/snapshot", responses((status = 200, content_type = "application/json")))]
pub(super) async fn snapshot(State(app): State<App>, Who(who): Who) -> Answer {
    Ok(take(&app, &who).await?)
}

/// The same by PUT.
#[utoipa::path(put, path = "/api/v1/admin/tsdb/snapshot", responses((status = 200, content_type = "application/json")))]
pub(super) async fn snapshot_put(State(app): State<App>, Who(who): Who) -> Answer {
    Ok(take(&app, &who).await?)
}
