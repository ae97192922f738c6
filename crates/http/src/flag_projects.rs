//! The projects that flags belong to.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tenfold_app::flags::{FlagProject, FlagProjectList, FlagProjectUpdate};
use tenfold_app::{App, Role};
use utoipa_axum::routes;

use crate::auth::Who;
use crate::{Api, ApiError, Body, PathOf, Policy};

pub fn api() -> Api {
    Api::new("flags")
        .add(Policy::Viewer, routes!(projects))
        .add(Policy::Role(Role::Deployer), routes!(project_put, project_delete))
}

#[derive(Serialize, utoipa::ToSchema)]
struct ProjectDeleted {
    done: bool,
}

/// Projects that flags belong to.
#[utoipa::path(get, path = "/api/flag-projects", responses((status = 200, body = FlagProjectList)))]
async fn projects(State(app): State<App>) -> Json<FlagProjectList> {
    Json(app.flag_projects())
}

/// Creates or describes a project.
#[utoipa::path(put, path = "/api/flag-projects/{name}", params(("name" = String, Path)), request_body = FlagProjectUpdate, responses((status = 200, body = FlagProject)))]
async fn project_put(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    Body(update): Body<FlagProjectUpdate>,
) -> Result<Json<FlagProject>, ApiError> {
    Ok(Json(app.flag_project_put(&who, &name, update).await?))
}

/// Deletes a project without flags.
#[utoipa::path(delete, path = "/api/flag-projects/{name}", params(("name" = String, Path)), responses((status = 200, body = ProjectDeleted)))]
async fn project_delete(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
) -> Result<Json<ProjectDeleted>, ApiError> {
    app.flag_project_delete(&who, &name).await?;
    Ok(Json(ProjectDeleted { done: true }))
}
