//! Ramp plans, scheduled changes and change requests of flags.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use tenfold_app::flags::{
    FlagRampMove, FlagView, NewSchedule, RampPlanList, RampPlanView, RequestList, RequestReason, RequestView,
    ScheduleList, ScheduleView, Scheduled,
};
use tenfold_app::{App, Role};
use tenfold_flags::RampPlan;
use utoipa_axum::routes;

use crate::auth::Who;
use crate::flags::edited_version;
use crate::{Api, ApiError, Body, PathOf, Policy, QueryOf};

pub fn api() -> Api {
    Api::new("flags")
        .add(Policy::Role(Role::Responder), routes!(ramp_move))
        .add(Policy::Viewer, routes!(plans))
        .add(Policy::Role(Role::Deployer), routes!(plan_put, plan_delete))
        .add(Policy::Viewer, routes!(schedules))
        .add(Policy::Role(Role::Responder), routes!(schedule))
        .add(Policy::Role(Role::Responder), routes!(schedule_cancel))
        .add(Policy::Viewer, routes!(requests))
        .add(Policy::Role(Role::Deployer), routes!(approve))
        .add(Policy::Role(Role::Deployer), routes!(reject))
        .add(Policy::Role(Role::Responder), routes!(withdraw))
        .add(Policy::Role(Role::Admin), routes!(force))
}

/// A flag after a change, or 202 when the change waits for a second person.
pub(crate) struct Changed(pub FlagView);

impl axum::response::IntoResponse for Changed {
    fn into_response(self) -> axum::response::Response {
        let status = if self.0.requested.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK };
        (status, Json(self.0)).into_response()
    }
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only of this flag.
    flag: Option<String>,
    /// Only in this state, like `pending`.
    state: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct PlanDeleted {
    done: bool,
}

/// Pauses, resumes or stops a ramp, takes it a step on or back, or holds a step longer.
#[utoipa::path(post, path = "/api/flags/{key}/ramp/move", params(("key" = String, Path)), request_body = FlagRampMove,
    responses((status = 200, body = FlagView), (status = 202, body = FlagView, description = "it waits for a second person")))]
async fn ramp_move(
    State(app): State<App>,
    Who(who): Who,
    PathOf(key): PathOf<String>,
    Body(b): Body<FlagRampMove>,
) -> Result<Changed, ApiError> {
    Ok(Changed(app.flag_ramp_move(&who, &key, &b.environment, b.how, b.by_ms).await?))
}

/// Steps and guards that flags share.
#[utoipa::path(get, path = "/api/ramp-plans", operation_id = "ramp_plans", responses((status = 200, body = RampPlanList)))]
async fn plans(State(app): State<App>) -> Result<Json<RampPlanList>, ApiError> {
    Ok(Json(app.ramp_plans().await?))
}

/// Creates or changes a ramp plan. Ramps that run keep what they were started with.
#[utoipa::path(put, path = "/api/ramp-plans/{name}", params(("name" = String, Path)), request_body = RampPlan, responses((status = 200, body = RampPlanView)))]
async fn plan_put(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    Body(plan): Body<RampPlan>,
) -> Result<Json<RampPlanView>, ApiError> {
    Ok(Json(app.ramp_plan_put(&who, &name, plan).await?))
}

/// Deletes a ramp plan.
#[utoipa::path(delete, path = "/api/ramp-plans/{name}", params(("name" = String, Path)), responses((status = 200, body = PlanDeleted)))]
async fn plan_delete(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
) -> Result<Json<PlanDeleted>, ApiError> {
    app.ramp_plan_delete(&who, &name).await?;
    Ok(Json(PlanDeleted { done: true }))
}

/// Scheduled changes, the newest first, at most 200.
#[utoipa::path(get, path = "/api/flag-schedules", operation_id = "flag_schedules", params(Which), responses((status = 200, body = ScheduleList)))]
async fn schedules(State(app): State<App>, QueryOf(q): QueryOf<Which>) -> Result<Json<ScheduleList>, ApiError> {
    Ok(Json(app.flag_schedules(q.flag.as_deref(), q.state.as_deref()).await?))
}

/// Plans a change for an instant. It takes the role that doing it now takes. With `If-Match: "VERSION"` it is refused (412)
/// when somebody changed the flag since.
#[utoipa::path(post, path = "/api/flags/{key}/schedules", operation_id = "flag_schedule",
    params(("key" = String, Path), ("if-match" = Option<String>, Header)), request_body = NewSchedule,
    responses((status = 200, body = Scheduled), (status = 202, body = Scheduled, description = "it waits for a second person")))]
async fn schedule(
    State(app): State<App>,
    Who(who): Who,
    PathOf(key): PathOf<String>,
    headers: HeaderMap,
    Body(new): Body<NewSchedule>,
) -> Result<(StatusCode, Json<Scheduled>), ApiError> {
    let edited = edited_version(&headers)?;
    let scheduled = app.flag_schedule_over(&who, &key, new, edited).await?;
    let status = if scheduled.requested.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(scheduled)))
}

/// Takes a scheduled change back.
#[utoipa::path(delete, path = "/api/flag-schedules/{number}", params(("number" = i64, Path)), responses((status = 200, body = ScheduleView)))]
async fn schedule_cancel(
    State(app): State<App>,
    Who(who): Who,
    PathOf(number): PathOf<i64>,
) -> Result<Json<ScheduleView>, ApiError> {
    Ok(Json(app.flag_schedule_cancel(&who, number).await?))
}

/// Changes that wait for a second person, or did; the newest first, at most 200.
#[utoipa::path(get, path = "/api/flag-requests", operation_id = "flag_requests", params(Which), responses((status = 200, body = RequestList)))]
async fn requests(State(app): State<App>, QueryOf(q): QueryOf<Which>) -> Result<Json<RequestList>, ApiError> {
    Ok(Json(app.flag_requests(q.flag.as_deref(), q.state.as_deref()).await?))
}

/// Applies a change request of somebody else.
#[utoipa::path(post, path = "/api/flag-requests/{number}/approve", operation_id = "flag_request_approve", params(("number" = i64, Path)), responses((status = 200, body = RequestView)))]
async fn approve(
    State(app): State<App>,
    Who(who): Who,
    PathOf(number): PathOf<i64>,
) -> Result<Json<RequestView>, ApiError> {
    Ok(Json(app.flag_request_approve(&who, number).await?))
}

/// Ends a change request of somebody else without applying it.
#[utoipa::path(post, path = "/api/flag-requests/{number}/reject", operation_id = "flag_request_reject", params(("number" = i64, Path)), request_body = RequestReason, responses((status = 200, body = RequestView)))]
async fn reject(
    State(app): State<App>,
    Who(who): Who,
    PathOf(number): PathOf<i64>,
    Body(b): Body<RequestReason>,
) -> Result<Json<RequestView>, ApiError> {
    Ok(Json(app.flag_request_reject(&who, number, &b.reason).await?))
}

/// Ends one's own change request.
#[utoipa::path(post, path = "/api/flag-requests/{number}/withdraw", operation_id = "flag_request_withdraw", params(("number" = i64, Path)), responses((status = 200, body = RequestView)))]
async fn withdraw(
    State(app): State<App>,
    Who(who): Who,
    PathOf(number): PathOf<i64>,
) -> Result<Json<RequestView>, ApiError> {
    Ok(Json(app.flag_request_withdraw(&who, number).await?))
}

/// Breaks the glass: applies a change request without a second person, for a reason that everybody is told.
#[utoipa::path(post, path = "/api/flag-requests/{number}/force", operation_id = "flag_request_force", params(("number" = i64, Path)), request_body = RequestReason, responses((status = 200, body = RequestView)))]
async fn force(
    State(app): State<App>,
    Who(who): Who,
    PathOf(number): PathOf<i64>,
    Body(b): Body<RequestReason>,
) -> Result<Json<RequestView>, ApiError> {
    Ok(Json(app.flag_request_force(&who, number, &b.reason).await?))
}
