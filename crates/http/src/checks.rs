//! Checks: listing, putting, deleting, results from outside.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tenfold_app::checks::{CheckAsk, CheckList, CheckSpec, CheckView, PassiveResult};
use tenfold_app::{App, Role};
use utoipa_axum::routes;

use crate::auth::Who;
use crate::{Api, ApiError, Body, PathOf, Policy, QueryOf};

pub fn api() -> Api {
    Api::new("checks")
        .add(Policy::Viewer, routes!(list))
        .add(Policy::Viewer, routes!(show))
        .add(Policy::Role(Role::Deployer), routes!(put, delete))
        .add(Policy::Role(Role::Responder), routes!(result))
        .add(Policy::Role(Role::Responder), routes!(now))
}

#[derive(Serialize, utoipa::ToSchema)]
struct CheckDeleted {
    done: bool,
}

/// Checks with where they stand, the worst first, and how many there are of each state.
#[utoipa::path(get, path = "/api/checks", operation_id = "checks", params(CheckAsk), responses((status = 200, body = CheckList)))]
async fn list(State(app): State<App>, QueryOf(ask): QueryOf<CheckAsk>) -> Result<Json<CheckList>, ApiError> {
    Ok(Json(app.checks_page(&ask)?))
}

/// One check, with the output and the values of its last result.
#[utoipa::path(get, path = "/api/checks/{name}", operation_id = "check", params(("name" = String, Path)), responses((status = 200, body = CheckView)))]
async fn show(State(app): State<App>, PathOf(name): PathOf<String>) -> Result<Json<CheckView>, ApiError> {
    Ok(Json(app.check(&name)?))
}

/// Makes or changes a check; it goes on from where it stands.
#[utoipa::path(put, path = "/api/checks/{name}", operation_id = "check_put", params(("name" = String, Path)), request_body = CheckSpec, responses((status = 200, body = CheckView)))]
async fn put(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    Body(spec): Body<CheckSpec>,
) -> Result<Json<CheckView>, ApiError> {
    Ok(Json(app.check_put(&who, &name, spec).await?))
}

/// Deletes a check; its alert ends.
#[utoipa::path(delete, path = "/api/checks/{name}", operation_id = "check_delete", params(("name" = String, Path)), responses((status = 200, body = CheckDeleted)))]
async fn delete(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
) -> Result<Json<CheckDeleted>, ApiError> {
    app.check_delete(&who, &name).await?;
    Ok(Json(CheckDeleted { done: true }))
}

/// Takes a result from outside.
#[utoipa::path(post, path = "/api/checks/{name}/result", operation_id = "check_result", params(("name" = String, Path)), request_body = PassiveResult, responses((status = 200, body = CheckView)))]
async fn result(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    Body(result): Body<PassiveResult>,
) -> Result<Json<CheckView>, ApiError> {
    Ok(Json(app.check_passive(&who, &name, result).await?))
}

/// Looks now instead of at its time.
#[utoipa::path(post, path = "/api/checks/{name}/now", operation_id = "check_now", params(("name" = String, Path)), responses((status = 200, body = CheckView)))]
async fn now(State(app): State<App>, Who(who): Who, PathOf(name): PathOf<String>) -> Result<Json<CheckView>, ApiError> {
    Ok(Json(app.check_now(&who, &name).await?))
}
