//! The delivery figures.

use axum::Json;
use axum::extract::State;
use tenfold_app::App;
use tenfold_app::delivery::{DeliveryQuery, DeliveryView};
use utoipa_axum::routes;

use crate::{Api, ApiError, Policy, QueryOf};

pub fn api() -> Api {
    Api::new("delivery").add(Policy::Viewer, routes!(delivery))
}

/// The five figures of a window; each lists the events it comes from.
#[utoipa::path(get, path = "/api/delivery", params(DeliveryQuery), responses((status = 200, body = DeliveryView)))]
async fn delivery(State(app): State<App>, QueryOf(q): QueryOf<DeliveryQuery>) -> Result<Json<DeliveryView>, ApiError> {
    Ok(Json(app.delivery(&q).await?))
}
