//! Schedules, overrides, escalation policies.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tenfold_app::oncall::{
    NewOverride, OnCallView, OverrideView, PolicyUpdate, PolicyView, ScheduleUpdate, ScheduleView,
};
use tenfold_app::{App, Role};
use utoipa_axum::routes;

use crate::auth::Who;
use crate::{Api, ApiError, Body, PathOf, Policy};

pub fn api() -> Api {
    Api::new("on-call")
        .add(Policy::Viewer, routes!(schedules))
        .add(Policy::Viewer, routes!(schedule))
        .add(Policy::Role(Role::Deployer), routes!(schedule_put, schedule_delete))
        .add(Policy::Role(Role::Responder), routes!(override_create))
        .add(Policy::Role(Role::Responder), routes!(override_delete))
        .add(Policy::Role(Role::Responder), routes!(take))
        .add(Policy::Viewer, routes!(on_call))
        .add(Policy::Viewer, routes!(policies))
        .add(Policy::Role(Role::Deployer), routes!(policy_put, policy_delete))
}

#[derive(Serialize, utoipa::ToSchema)]
struct ScheduleList {
    items: Vec<ScheduleView>,
}
#[derive(Serialize, utoipa::ToSchema)]
struct PolicyList {
    items: Vec<PolicyView>,
}
#[derive(Serialize, utoipa::ToSchema)]
struct OnCallList {
    items: Vec<OnCallView>,
}
#[derive(Serialize, utoipa::ToSchema)]
struct OnCallDone {
    done: bool,
}
#[derive(Debug, Default, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
struct Take {
    /// Two hours when absent.
    for_ms: Option<i64>,
}

/// All schedules, with who is on call and the shifts of the next 14 days.
#[utoipa::path(get, path = "/api/schedules", responses((status = 200, body = ScheduleList)))]
async fn schedules(State(app): State<App>) -> Result<Json<ScheduleList>, ApiError> {
    Ok(Json(ScheduleList { items: app.schedules().await? }))
}

/// One schedule.
#[utoipa::path(get, path = "/api/schedules/{name}", params(("name" = String, Path)), responses((status = 200, body = ScheduleView)))]
async fn schedule(State(app): State<App>, PathOf(name): PathOf<String>) -> Result<Json<ScheduleView>, ApiError> {
    Ok(Json(app.schedule(&name).await?))
}

/// Makes or changes a schedule.
#[utoipa::path(put, path = "/api/schedules/{name}", params(("name" = String, Path)), request_body = ScheduleUpdate, responses((status = 200, body = ScheduleView)))]
async fn schedule_put(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    Body(update): Body<ScheduleUpdate>,
) -> Result<Json<ScheduleView>, ApiError> {
    Ok(Json(app.schedule_put(&who, &name, update).await?))
}

/// Removes a schedule that no policy pages.
#[utoipa::path(delete, path = "/api/schedules/{name}", params(("name" = String, Path)), responses((status = 200, body = OnCallDone)))]
async fn schedule_delete(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
) -> Result<Json<OnCallDone>, ApiError> {
    app.schedule_delete(&who, &name).await?;
    Ok(Json(OnCallDone { done: true }))
}

/// Puts a person on call for a time, whoever the rotation says.
#[utoipa::path(post, path = "/api/schedules/{name}/overrides", params(("name" = String, Path)), request_body = NewOverride, responses((status = 200, body = OverrideView)))]
async fn override_create(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    Body(new): Body<NewOverride>,
) -> Result<Json<OverrideView>, ApiError> {
    Ok(Json(app.override_create(&who, &name, new).await?))
}

/// Takes an override back.
#[utoipa::path(delete, path = "/api/schedules/{name}/overrides/{id}", params(("name" = String, Path), ("id" = i64, Path)), responses((status = 200, body = OnCallDone)))]
async fn override_delete(
    State(app): State<App>,
    Who(who): Who,
    PathOf((name, id)): PathOf<(String, i64)>,
) -> Result<Json<OnCallDone>, ApiError> {
    app.override_delete(&who, &name, id).await?;
    Ok(Json(OnCallDone { done: true }))
}

/// The caller takes a schedule over from now on.
#[utoipa::path(post, path = "/api/schedules/{name}/take", params(("name" = String, Path)), request_body = Take, responses((status = 200, body = OverrideView)))]
async fn take(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    Body(take): Body<Take>,
) -> Result<Json<OverrideView>, ApiError> {
    Ok(Json(app.take(&who, &name, take.for_ms).await?))
}

/// Who is on call in each schedule at this moment.
#[utoipa::path(get, path = "/api/on-call", responses((status = 200, body = OnCallList)))]
async fn on_call(State(app): State<App>) -> Result<Json<OnCallList>, ApiError> {
    Ok(Json(OnCallList { items: app.on_call_now().await? }))
}

/// All escalation policies.
#[utoipa::path(get, path = "/api/policies", responses((status = 200, body = PolicyList)))]
async fn policies(State(app): State<App>) -> Result<Json<PolicyList>, ApiError> {
    Ok(Json(PolicyList { items: app.policies().await? }))
}

/// Makes or changes a policy; open incidents go on with the one they opened with.
#[utoipa::path(put, path = "/api/policies/{name}", params(("name" = String, Path)), request_body = PolicyUpdate, responses((status = 200, body = PolicyView)))]
async fn policy_put(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    Body(update): Body<PolicyUpdate>,
) -> Result<Json<PolicyView>, ApiError> {
    Ok(Json(app.policy_put(&who, &name, update).await?))
}

/// Removes a policy.
#[utoipa::path(delete, path = "/api/policies/{name}", params(("name" = String, Path)), responses((status = 200, body = OnCallDone)))]
async fn policy_delete(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
) -> Result<Json<OnCallDone>, ApiError> {
    app.policy_delete(&who, &name).await?;
    Ok(Json(OnCallDone { done: true }))
}
