//! Dashboards, the markers on every graph, and the targets being scraped.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use tenfold_app::metrics::{Dashboard, DashboardImport, ImportedDashboard, Marker, MarkerQuery, TargetStatus};
use tenfold_app::{App, Role};
use tenfold_types::{ErrorCode, Fault, Timestamp};
use utoipa_axum::routes;

use crate::auth::Who;
use crate::{Api, ApiError, Body, PathOf, Policy, QueryOf};

/// Dashboards of Grafana in the wild stay below one.
const IMPORT_BYTES_MAX: usize = 4 << 20;

pub fn api() -> Api {
    Api::new("graphs")
        .add(Policy::Viewer, routes!(list))
        .add(Policy::Role(Role::Deployer), routes!(put, delete))
        .add(Policy::Role(Role::Deployer), routes!(import))
        .add(Policy::Viewer, routes!(markers))
        .add(Policy::Viewer, routes!(targets))
}

#[derive(Serialize, utoipa::ToSchema)]
struct DashboardList {
    items: Vec<Dashboard>,
}
#[derive(Serialize, utoipa::ToSchema)]
struct MarkerList {
    items: Vec<Marker>,
}
#[derive(Serialize, utoipa::ToSchema)]
struct TargetList {
    items: Vec<TargetStatus>,
}
#[derive(Serialize, utoipa::ToSchema)]
struct Deleted {
    done: bool,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct MarkersQuery {
    #[param(value_type = Option<String>)]
    from: Option<Timestamp>,
    #[param(value_type = Option<String>)]
    to: Option<Timestamp>,
    service: Option<String>,
    environment: Option<String>,
}

/// Dashboards; a service without one gets a generated one.
#[utoipa::path(get, path = "/api/dashboards", responses((status = 200, body = DashboardList)))]
async fn list(State(app): State<App>) -> Result<Json<DashboardList>, ApiError> {
    Ok(Json(DashboardList { items: app.dashboards().await? }))
}

/// Writes a dashboard; with `If-None-Match: *` only when there is none of the name.
#[utoipa::path(put, path = "/api/dashboards/{name}", params(("name" = String, Path), ("if-none-match" = Option<String>, Header)), request_body = Dashboard, responses((status = 200, body = Dashboard)))]
async fn put(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    headers: HeaderMap,
    Body(dashboard): Body<Dashboard>,
) -> Result<Json<Dashboard>, ApiError> {
    if dashboard.name != name {
        return Err(Fault::invalid(format!("the address says `{name}` and the body `{}`", dashboard.name)).into());
    }
    if headers.get(header::IF_NONE_MATCH).is_some_and(|v| v == "*") {
        return Ok(Json(app.dashboard_create(&who, dashboard).await?));
    }
    Ok(Json(app.dashboard_put(&who, dashboard).await?))
}

/// Takes in a dashboard that Grafana exported, and reports what has no equal here.
#[utoipa::path(post, path = "/api/dashboards/import", request_body = DashboardImport, responses((status = 200, body = ImportedDashboard), (status = 413), (status = 422)))]
async fn import(State(app): State<App>, Who(who): Who, request: Request) -> Result<Json<ImportedDashboard>, ApiError> {
    let body = to_bytes(request.into_body(), IMPORT_BYTES_MAX)
        .await
        .map_err(|_| Fault::new(ErrorCode::TooLarge, format!("the file is larger than {IMPORT_BYTES_MAX} bytes")))?;
    let import =
        serde_json::from_slice(&body).map_err(|e| Fault::invalid(format!("the request body does not fit: {e}")))?;
    Ok(Json(app.dashboard_import(&who, import).await?))
}

/// Deletes a dashboard that somebody wrote.
#[utoipa::path(delete, path = "/api/dashboards/{name}", params(("name" = String, Path)), responses((status = 200, body = Deleted)))]
async fn delete(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
) -> Result<Json<Deleted>, ApiError> {
    app.dashboard_delete(&who, &name).await?;
    Ok(Json(Deleted { done: true }))
}

/// Deploys, rollbacks, canaries, flips, notes, alerts and incidents within a time, for drawing on graphs.
#[utoipa::path(get, path = "/api/markers", params(MarkersQuery), responses((status = 200, body = MarkerList)))]
async fn markers(State(app): State<App>, QueryOf(q): QueryOf<MarkersQuery>) -> Result<Json<MarkerList>, ApiError> {
    let query = MarkerQuery { from: q.from, to: q.to, service: q.service, environment: q.environment };
    Ok(Json(MarkerList { items: app.markers(query).await? }))
}

/// Who is scraped, and how that went last.
#[utoipa::path(get, path = "/api/targets", responses((status = 200, body = TargetList)))]
async fn targets(State(app): State<App>) -> Json<TargetList> {
    Json(TargetList { items: app.metrics.target_statuses() })
}
