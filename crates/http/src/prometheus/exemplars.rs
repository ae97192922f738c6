//! Exemplars in Prometheus' shape, which Grafana draws on its graphs.

use axum::extract::{RawQuery, State};
use serde_json::{Value as Json, json};
use tenfold_app::App;
use tenfold_promql::format_float;
use tenfold_types::{Exemplar, Timestamp};

use super::params::PrometheusExemplars;
use super::written::seconds;
use super::{Answer, EVER, Params, RawForm, bad, of_cluster, success};

async fn run(app: &App, params: &Params) -> Answer {
    let query = params.need("query")?;
    let start = params.time("start")?.unwrap_or(Timestamp(-EVER.millis()));
    let end = params.time("end")?.unwrap_or(EVER);
    if end < start {
        return Err(bad("`end` is before `start`".into()).into());
    }
    if let Some(answer) = of_cluster(app, "/api/v1/query_exemplars", params).await? {
        return Ok(answer);
    }
    let one = |e: &Exemplar| json!({"labels": e.labels, "value": format_float(e.value), "timestamp": seconds(e.t_ms)});
    let all: Vec<Json> = app
        .query_exemplars(query, start, end)
        .await?
        .iter()
        .map(|(labels, list)| json!({"seriesLabels": labels, "exemplars": list.iter().map(one).collect::<Vec<_>>()}))
        .collect();
    Ok(success(all))
}

/// Exemplars of the series that a query is about (`query`, `start`, `end`).
#[utoipa::path(get, path = "/api/v1/query_exemplars", params(PrometheusExemplars), responses((status = 200, content_type = "application/json")))]
pub(super) async fn query_exemplars(State(app): State<App>, RawQuery(q): RawQuery) -> Answer {
    run(&app, &Params::new(q.as_deref(), b"")).await
}

/// The same by form.
#[utoipa::path(post, path = "/api/v1/query_exemplars", request_body(content = PrometheusExemplars, content_type = "application/x-www-form-urlencoded"), responses((status = 200, content_type = "application/json")))]
pub(super) async fn query_exemplars_post(
    State(app): State<App>,
    RawQuery(q): RawQuery,
    RawForm(form): RawForm,
) -> Answer {
    run(&app, &Params::new(q.as_deref(), &form)).await
}
