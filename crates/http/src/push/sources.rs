//! Who pushes, how much, and what was refused.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tenfold_app::App;
use tenfold_app::metrics::SourceStatus;
use utoipa_axum::routes;

use crate::{Api, Policy};

pub(super) fn add(api: Api) -> Api {
    api.add(Policy::Viewer, routes!(list))
}

#[derive(Serialize, utoipa::ToSchema)]
struct SourceList {
    items: Vec<SourceStatus>,
}

/// Sources that pushed metrics since the server started, with what was taken and what was refused.
#[utoipa::path(get, path = "/api/metrics/sources", responses((status = 200, body = SourceList)))]
async fn list(State(app): State<App>) -> Json<SourceList> {
    Json(SourceList { items: app.metrics.push_sources(app.now()) })
}
