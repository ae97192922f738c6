//! The configuration as files: reading all of it, and applying files again.

use axum::Json;
use axum::extract::State;
use tenfold_app::config::{ConfigApply, ConfigChanges, ConfigExport};
use tenfold_app::{App, Role};
use utoipa_axum::routes;

use crate::auth::Who;
use crate::{Api, ApiError, Body, Policy};

pub fn api() -> Api {
    Api::new("config")
        .add(Policy::Role(Role::Deployer), routes!(apply))
        .add(Policy::Role(Role::Deployer), routes!(export))
}

/// Makes things as the files say; files that say what is so already change nothing. With `dry_run` it only tells.
#[utoipa::path(post, path = "/api/config/apply", request_body = ConfigApply, responses((status = 200, body = ConfigChanges)))]
async fn apply(
    State(app): State<App>,
    Who(who): Who,
    Body(wanted): Body<ConfigApply>,
) -> Result<Json<ConfigChanges>, ApiError> {
    Ok(Json(app.config_apply(&who, wanted).await?))
}

/// Everything that is configured, as files that can be applied again. Holds no secrets.
#[utoipa::path(get, path = "/api/config/export", responses((status = 200, body = ConfigExport)))]
async fn export(State(app): State<App>, Who(who): Who) -> Result<Json<ConfigExport>, ApiError> {
    Ok(Json(app.config_export(&who).await?))
}
