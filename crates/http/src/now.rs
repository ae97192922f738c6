//! The front page's answer.

use axum::Json;
use axum::extract::State;
use tenfold_app::App;
use tenfold_app::now::NowView;
use utoipa_axum::routes;

use crate::{Api, ApiError, Policy};

pub fn api() -> Api {
    Api::new("now").add(Policy::Viewer, routes!(now))
}

/// What is going on: deploys, alerts, on call, figures, fleet.
#[utoipa::path(get, path = "/api/now", responses((status = 200, body = NowView)))]
async fn now(State(app): State<App>) -> Result<Json<NowView>, ApiError> {
    Ok(Json(app.now_view().await?))
}
