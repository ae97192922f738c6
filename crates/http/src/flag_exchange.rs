//! Flags from the files of other products, and back.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use serde::Deserialize;
use tenfold_app::flags::{FlagExport, FlagImport, FlagImportReport, IMPORT_BYTES_MAX};
use tenfold_app::{App, Role};
use tenfold_flags::exchange::{ENVIRONMENT_DEFAULT, Format};
use tenfold_types::{ErrorCode, Fault};
use utoipa_axum::routes;

use crate::auth::Who;
use crate::{Api, ApiError, Policy, QueryOf};

pub fn api() -> Api {
    Api::new("flags").add(Policy::Role(Role::Deployer), routes!(import)).add(Policy::Viewer, routes!(export))
}

/// Takes flags from a file of Unleash or flagd, and says line by line what is otherwise than in it.
#[utoipa::path(post, path = "/api/flags/import", request_body = FlagImport, responses((status = 200, body = FlagImportReport)))]
async fn import(State(app): State<App>, Who(who): Who, request: Request) -> Result<Json<FlagImportReport>, ApiError> {
    let body = to_bytes(request.into_body(), IMPORT_BYTES_MAX).await.map_err(|_| {
        Fault::new(ErrorCode::TooLarge, format!("the file is larger than {IMPORT_BYTES_MAX} bytes"))
            .advice("export it project by project")
    })?;
    let wanted: FlagImport =
        serde_json::from_slice(&body).map_err(|e| Fault::invalid(format!("the request body does not fit: {e}")))?;
    Ok(Json(app.flag_import(&who, wanted).await?))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ExportQuery {
    format: Format,
    /// Else `production`.
    environment: Option<String>,
    /// Write percentages as shares of a product whose hash differs.
    #[serde(default)]
    allow_rebucketing: bool,
}

/// One environment's flags as a file of Unleash or flagd.
#[utoipa::path(get, path = "/api/flags/export", params(ExportQuery), responses((status = 200, body = FlagExport)))]
async fn export(State(app): State<App>, QueryOf(q): QueryOf<ExportQuery>) -> Result<Json<FlagExport>, ApiError> {
    let environment = q.environment.as_deref().unwrap_or(ENVIRONMENT_DEFAULT);
    Ok(Json(app.flag_export(q.format, environment, q.allow_rebucketing).await?))
}
