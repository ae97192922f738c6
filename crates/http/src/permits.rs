//! Adaptive permits: what jobs ask, and how people define them.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tenfold_app::permits::{PermitAnswer, PermitList, PermitView};
use tenfold_app::{App, Role};
use tenfold_flags::PermitLaw;
use utoipa_axum::routes;

use crate::auth::{Who, WithToken};
use crate::{Api, ApiError, Body, PathOf, Policy};

pub fn api() -> Api {
    Api::new("permits")
        .add(Policy::Viewer, routes!(list))
        .add(Policy::FlagClient, routes!(answer))
        .add(Policy::Role(Role::Deployer), routes!(put, delete))
}

#[derive(Serialize, utoipa::ToSchema)]
struct PermitDeleted {
    done: bool,
}

/// All permits with their definitions and where they stand.
#[utoipa::path(get, path = "/api/permits", operation_id = "permits", responses((status = 200, body = PermitList)))]
async fn list(State(app): State<App>) -> Json<PermitList> {
    Json(app.permits())
}

/// How much of its work a job may do now, and for how long that holds.
#[utoipa::path(get, path = "/api/permits/{job}", operation_id = "permit", params(("job" = String, Path)), responses((status = 200, body = PermitAnswer)))]
async fn answer(
    State(app): State<App>,
    WithToken(token): WithToken,
    PathOf(job): PathOf<String>,
) -> Result<Response, ApiError> {
    let environment = token.as_ref().and_then(|t| t.environment.as_deref());
    let answer = app.permit_answer(&job, environment)?;
    let mut response = Json(answer).into_response();
    // Whatever stands between must not hand an old permit to a job.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Creates or changes a permit; it goes on from where it stands.
#[utoipa::path(put, path = "/api/permits/{job}", operation_id = "permit_put", params(("job" = String, Path)), request_body = PermitLaw, responses((status = 200, body = PermitView)))]
async fn put(
    State(app): State<App>,
    Who(who): Who,
    PathOf(job): PathOf<String>,
    Body(law): Body<PermitLaw>,
) -> Result<Json<PermitView>, ApiError> {
    Ok(Json(app.permit_put(&who, &job, law).await?))
}

/// Deletes a permit; its job is then told that there is none.
#[utoipa::path(delete, path = "/api/permits/{job}", operation_id = "permit_delete", params(("job" = String, Path)), responses((status = 200, body = PermitDeleted)))]
async fn delete(
    State(app): State<App>,
    Who(who): Who,
    PathOf(job): PathOf<String>,
) -> Result<Json<PermitDeleted>, ApiError> {
    app.permit_delete(&who, &job).await?;
    Ok(Json(PermitDeleted { done: true }))
}
