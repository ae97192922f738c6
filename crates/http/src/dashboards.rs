//! Dashboards, the markers on every graph, and the targets being scraped.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tenfold_app::metrics::{
    Dashboard, DashboardImport, ImportedDashboard, Marker, MarkerQuery, ScrapeIntervals, TargetAsk, TargetList,
};
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
        .add(Policy::Viewer, routes!(get))
        .add(Policy::Role(Role::Deployer), routes!(put, delete))
        .add(Policy::Role(Role::Deployer), routes!(import))
        .add(Policy::Viewer, routes!(markers))
        .add(Policy::Viewer, routes!(targets))
        .add(Policy::Viewer, routes!(intervals))
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

/// A dashboard, with its version as `ETag`.
struct Versioned(Dashboard);

impl IntoResponse for Versioned {
    fn into_response(self) -> Response {
        match self.0.version {
            Some(version) => ([(header::ETAG, format!("\"{version}\""))], Json(self.0)).into_response(),
            None => Json(self.0).into_response(),
        }
    }
}

/// The version an edit was made on; 0 for a dashboard that must not be there yet.
fn edited_version(headers: &HeaderMap) -> Result<Option<i64>, Fault> {
    if headers.get(header::IF_NONE_MATCH).is_some_and(|v| v == "*") {
        return Ok(Some(0));
    }
    let Some(given) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let version = given.to_str().ok().and_then(|v| v.trim().trim_matches('"').parse::<i64>().ok()).filter(|v| *v > 0);
    version.map(Some).ok_or_else(|| {
        Fault::new(ErrorCode::BadRequest, "the header If-Match is not a version of a dashboard")
            .advice("send the ETag that GET gave, like \"7\"")
    })
}

/// One dashboard. The `ETag` is its version; one that draws itself has none.
#[utoipa::path(get, path = "/api/dashboards/{name}", operation_id = "dashboard", params(("name" = String, Path)), responses((status = 200, body = Dashboard), (status = 404)))]
async fn get(State(app): State<App>, PathOf(name): PathOf<String>) -> Result<Versioned, ApiError> {
    Ok(Versioned(app.dashboard(&name).await?))
}

/// Writes a dashboard. With `If-Match: "VERSION"` it is refused (412) when somebody else saved or deleted it in between, with
/// `If-None-Match: *` when there is one of the name (409).
#[utoipa::path(put, path = "/api/dashboards/{name}", params(("name" = String, Path), ("if-match" = Option<String>, Header), ("if-none-match" = Option<String>, Header)), request_body = Dashboard, responses((status = 200, body = Dashboard), (status = 409), (status = 412)))]
async fn put(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    headers: HeaderMap,
    Body(dashboard): Body<Dashboard>,
) -> Result<Versioned, ApiError> {
    if dashboard.name != name {
        return Err(Fault::invalid(format!("the address says `{name}` and the body `{}`", dashboard.name)).into());
    }
    let edited = edited_version(&headers)?;
    Ok(Versioned(app.dashboard_put_over(&who, dashboard, edited).await?))
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

/// Deletes a dashboard that somebody wrote; with `If-Match: "VERSION"` that version alone (412).
#[utoipa::path(delete, path = "/api/dashboards/{name}", params(("name" = String, Path), ("if-match" = Option<String>, Header)), responses((status = 200, body = Deleted), (status = 412)))]
async fn delete(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    headers: HeaderMap,
) -> Result<Json<Deleted>, ApiError> {
    let edited = edited_version(&headers)?.filter(|version| *version > 0);
    app.dashboard_delete_over(&who, &name, edited).await?;
    Ok(Json(Deleted { done: true }))
}

/// Deploys, rollbacks, canaries, flips, notes, alerts and incidents within a time, for drawing on graphs.
#[utoipa::path(get, path = "/api/markers", params(MarkersQuery), responses((status = 200, body = MarkerList)))]
async fn markers(State(app): State<App>, QueryOf(q): QueryOf<MarkersQuery>) -> Result<Json<MarkerList>, ApiError> {
    let query = MarkerQuery { from: q.from, to: q.to, service: q.service, environment: q.environment };
    Ok(Json(MarkerList { items: app.markers(query).await? }))
}

/// Who is scraped and how that went last, what is down first, and how many there are of each health and job.
#[utoipa::path(get, path = "/api/targets", params(TargetAsk), responses((status = 200, body = TargetList)))]
async fn targets(State(app): State<App>, QueryOf(ask): QueryOf<TargetAsk>) -> Result<Json<TargetList>, ApiError> {
    Ok(Json(app.metrics.targets_page(&ask)?))
}

/// How often each job is scraped, for queries whose windows have to hold some of its scrapes.
#[utoipa::path(get, path = "/api/metrics/intervals", responses((status = 200, body = ScrapeIntervals)))]
async fn intervals(State(app): State<App>) -> Json<ScrapeIntervals> {
    Json(app.metrics.scrape_intervals())
}
