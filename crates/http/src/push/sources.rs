//! Who pushes, how much, and what was refused.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tenfold_app::App;
use tenfold_app::metrics::{JobExceeded, SourceStatus};
use utoipa_axum::routes;

use crate::{Api, Policy};

pub(super) fn add(api: Api) -> Api {
    api.add(Policy::Viewer, routes!(list))
}

#[derive(Serialize, utoipa::ToSchema)]
struct SourceList {
    items: Vec<SourceStatus>,
    /// Scraped jobs that went over a limit within the last hour.
    jobs: Vec<JobExceeded>,
}

/// Sources that pushed metrics since the server started, with what was taken and what was refused; and scraped jobs that went
/// over a limit.
#[utoipa::path(get, path = "/api/metrics/sources", responses((status = 200, body = SourceList)))]
async fn list(State(app): State<App>) -> Json<SourceList> {
    let now = app.now();
    Json(SourceList { items: app.metrics.push_sources(now), jobs: app.metrics.jobs_exceeded(now) })
}
