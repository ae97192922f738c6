//! Schedules, their previews and versions, overrides, swaps, escalation policies.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;
use tenfold_app::oncall::{
    CalendarAddress, CalendarImport, CalendarImported, DigestView, Draft, FairnessAsk, FairnessView, NewOverride,
    NewSwap, OnCallView, OncallImport, OncallImported, OverrideView, PolicyPreviewView, PolicyUpdate, PolicyView,
    PreviewAsk, PreviewView, ReadinessView, ScheduleUpdate, ScheduleView, SuggestAsk, SuggestionView, SwapView,
    VersionView,
};
use tenfold_app::{App, Role};
use tenfold_types::Timestamp;
use utoipa_axum::routes;

use crate::auth::Who;
use crate::{Api, ApiError, Body, PathOf, Policy, QueryOf};

pub fn api() -> Api {
    Api::new("on-call")
        .add(Policy::Viewer, routes!(schedules))
        .add(Policy::Viewer, routes!(schedule))
        .add(Policy::Role(Role::Deployer), routes!(schedule_put, schedule_delete))
        .add(Policy::Viewer, routes!(versions))
        .add(Policy::Viewer, routes!(preview, preview_draft))
        .add(Policy::Person, routes!(fairness))
        .add(Policy::Person, routes!(suggestion))
        .add(Policy::Viewer, routes!(digest))
        .add(Policy::Viewer, routes!(schedule_calendar))
        .add(Policy::Role(Role::Responder), routes!(schedule_calendar_renew, schedule_calendar_end))
        .add(Policy::Public, routes!(calendar))
        .add(Policy::Person, routes!(calendar_renew, calendar_end))
        .add(Policy::Role(Role::Responder), routes!(import))
        .add(Policy::Role(Role::Deployer), routes!(import_export))
        .add(Policy::Viewer, routes!(swaps))
        .add(Policy::Role(Role::Responder), routes!(swap_ask))
        .add(Policy::Role(Role::Responder), routes!(swap_accept))
        .add(Policy::Role(Role::Responder), routes!(swap_decline))
        .add(Policy::Role(Role::Responder), routes!(override_create))
        .add(Policy::Role(Role::Responder), routes!(override_delete))
        .add(Policy::Role(Role::Responder), routes!(take))
        .add(Policy::Viewer, routes!(on_call))
        .add(Policy::Viewer, routes!(readiness))
        .add(Policy::Viewer, routes!(policies))
        .add(Policy::Viewer, routes!(policy_preview))
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
    /// Now when absent.
    #[schema(value_type = Option<String>)]
    start: Option<Timestamp>,
}
#[derive(Serialize, utoipa::ToSchema)]
struct VersionList {
    items: Vec<VersionView>,
}
#[derive(Serialize, utoipa::ToSchema)]
struct SwapList {
    items: Vec<SwapView>,
}
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct From {
    /// From when on the plan holds; not in the past, now when absent.
    #[param(value_type = Option<String>)]
    from: Option<Timestamp>,
}
#[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct PreviewDraft {
    plan: ScheduleUpdate,
    /// From when on the plan would hold; now when absent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    from: Option<Timestamp>,
}

/// Everybody who may be paged within two weeks, and what stands between them and a page; steps of policies without anybody.
#[utoipa::path(get, path = "/api/readiness", responses((status = 200, body = ReadinessView)))]
async fn readiness(State(app): State<App>) -> Result<Json<ReadinessView>, ApiError> {
    Ok(Json(app.readiness().await?))
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

/// What a schedule was, from when on, and who made it so.
#[utoipa::path(get, path = "/api/schedules/{name}/versions", params(("name" = String, Path)), responses((status = 200, body = VersionList)))]
async fn versions(State(app): State<App>, PathOf(name): PathOf<String>) -> Result<Json<VersionList>, ApiError> {
    Ok(Json(VersionList { items: app.schedule_versions(&name).await? }))
}

/// Who is on call over a time, layer by layer and as a result, with gaps, overlaps and too short rests.
#[utoipa::path(get, path = "/api/schedules/{name}/preview", params(("name" = String, Path), PreviewAsk), responses((status = 200, body = PreviewView)))]
async fn preview(
    State(app): State<App>,
    PathOf(name): PathOf<String>,
    QueryOf(ask): QueryOf<PreviewAsk>,
) -> Result<Json<PreviewView>, ApiError> {
    Ok(Json(app.schedule_preview(&name, ask, None).await?))
}

/// The same for a plan that is not saved; nothing is changed. A calendar at a new address is read for it, for deployers only.
#[utoipa::path(post, path = "/api/schedules/{name}/preview", params(("name" = String, Path), PreviewAsk), request_body = PreviewDraft, responses((status = 200, body = PreviewView)))]
async fn preview_draft(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    QueryOf(ask): QueryOf<PreviewAsk>,
    Body(draft): Body<PreviewDraft>,
) -> Result<Json<PreviewView>, ApiError> {
    let draft = Draft { plan: draft.plan, from: draft.from };
    Ok(Json(app.schedule_preview_draft(&who, &name, ask, draft).await?))
}

/// How much each of the schedule's people had, by their own clock; shown to them only and never ranked.
#[utoipa::path(get, path = "/api/schedules/{name}/fairness", params(("name" = String, Path), FairnessAsk), responses((status = 200, body = FairnessView)))]
async fn fairness(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    QueryOf(ask): QueryOf<FairnessAsk>,
) -> Result<Json<FairnessView>, ApiError> {
    Ok(Json(app.fairness(&who, &name, ask).await?))
}

/// Who of the schedule's people is free in a stretch and has had least of late.
#[utoipa::path(get, path = "/api/schedules/{name}/suggestion", params(("name" = String, Path), SuggestAsk), responses((status = 200, body = SuggestionView)))]
async fn suggestion(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    QueryOf(ask): QueryOf<SuggestAsk>,
) -> Result<Json<SuggestionView>, ApiError> {
    Ok(Json(app.suggest(&who, &name, ask).await?))
}

/// What happened in the shift that holds now: what fired, what was muted, what is open.
#[utoipa::path(get, path = "/api/schedules/{name}/digest", params(("name" = String, Path)), responses((status = 200, body = DigestView)))]
async fn digest(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
) -> Result<Json<DigestView>, ApiError> {
    Ok(Json(app.handoff_digest(&who, &name).await?))
}

#[derive(Serialize, utoipa::ToSchema)]
struct CalendarText {
    /// RFC 5545.
    ics: String,
}

/// The schedule's shifts as iCalendar: 14 days back, 90 ahead.
#[utoipa::path(get, path = "/api/schedules/{name}/calendar", params(("name" = String, Path)), responses((status = 200, body = CalendarText)))]
async fn schedule_calendar(
    State(app): State<App>,
    PathOf(name): PathOf<String>,
) -> Result<Json<CalendarText>, ApiError> {
    Ok(Json(CalendarText { ics: app.schedule_calendar(&name).await? }))
}

/// Makes a new address for a schedule's calendar; the one before ends for everybody. It is shown this once.
#[utoipa::path(post, path = "/api/schedules/{name}/calendar", params(("name" = String, Path)), responses((status = 200, body = CalendarAddress)))]
async fn schedule_calendar_renew(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
) -> Result<Json<CalendarAddress>, ApiError> {
    Ok(Json(app.schedule_calendar_renew(&who, &name).await?))
}

/// Ends the address of a schedule's calendar.
#[utoipa::path(delete, path = "/api/schedules/{name}/calendar", params(("name" = String, Path)), responses((status = 200, body = OnCallDone)))]
async fn schedule_calendar_end(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
) -> Result<Json<OnCallDone>, ApiError> {
    app.schedule_calendar_end(&who, &name).await?;
    Ok(Json(OnCallDone { done: true }))
}

/// The shifts of one person or one schedule as iCalendar, at an address with a secret in it; for programs that cannot sign in.
#[utoipa::path(get, path = "/calendar/{file}", params(("file" = String, Path)), responses((status = 200, content_type = "text/calendar", body = String)))]
async fn calendar(State(app): State<App>, PathOf(file): PathOf<String>) -> Result<impl IntoResponse, ApiError> {
    let ics = app.calendar(file.strip_suffix(".ics").unwrap_or(&file)).await?;
    let headers =
        [(header::CONTENT_TYPE, "text/calendar; charset=utf-8"), (header::CACHE_CONTROL, "private, no-store")];
    Ok((headers, ics))
}

/// Makes a new address for one's own calendar; the one before ends. It is shown this once.
#[utoipa::path(post, path = "/api/people/{login}/calendar", params(("login" = String, Path)), responses((status = 200, body = CalendarAddress)))]
async fn calendar_renew(
    State(app): State<App>,
    Who(who): Who,
    PathOf(login): PathOf<String>,
) -> Result<Json<CalendarAddress>, ApiError> {
    Ok(Json(app.calendar_renew(&who, &login).await?))
}

/// Ends the address of one's own calendar.
#[utoipa::path(delete, path = "/api/people/{login}/calendar", params(("login" = String, Path)), responses((status = 200, body = OnCallDone)))]
async fn calendar_end(
    State(app): State<App>,
    Who(who): Who,
    PathOf(login): PathOf<String>,
) -> Result<Json<OnCallDone>, ApiError> {
    app.calendar_end(&who, &login).await?;
    Ok(Json(OnCallDone { done: true }))
}

/// Makes overrides of the events of somebody else's calendar, or says what it would make.
#[utoipa::path(post, path = "/api/schedules/{name}/import", params(("name" = String, Path)), request_body = CalendarImport, responses((status = 200, body = CalendarImported)))]
async fn import(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    Body(import): Body<CalendarImport>,
) -> Result<Json<CalendarImported>, ApiError> {
    Ok(Json(app.calendar_import(&who, &name, import).await?))
}

/// Takes over what Grafana OnCall or Opsgenie exported: people, schedules, policies; or says what it would make.
#[utoipa::path(post, path = "/api/on-call/import", request_body = OncallImport, responses((status = 200, body = OncallImported)))]
async fn import_export(
    State(app): State<App>,
    Who(who): Who,
    Body(asked): Body<OncallImport>,
) -> Result<Json<OncallImported>, ApiError> {
    Ok(Json(app.oncall_import(&who, asked).await?))
}

/// The swaps that wait for an answer.
#[utoipa::path(get, path = "/api/swaps", responses((status = 200, body = SwapList)))]
async fn swaps(State(app): State<App>) -> Result<Json<SwapList>, ApiError> {
    Ok(Json(SwapList { items: app.swaps().await? }))
}

/// Asks somebody to change shifts; nothing changes before they accept.
#[utoipa::path(post, path = "/api/schedules/{name}/swaps", params(("name" = String, Path)), request_body = NewSwap, responses((status = 200, body = SwapView)))]
async fn swap_ask(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    Body(new): Body<NewSwap>,
) -> Result<Json<SwapView>, ApiError> {
    Ok(Json(app.swap_ask(&who, &name, new).await?))
}

/// The one who was asked accepts.
#[utoipa::path(post, path = "/api/swaps/{id}/accept", params(("id" = i64, Path)), responses((status = 200, body = SwapView)))]
async fn swap_accept(
    State(app): State<App>,
    Who(who): Who,
    PathOf(id): PathOf<i64>,
) -> Result<Json<SwapView>, ApiError> {
    Ok(Json(app.swap_accept(&who, id).await?))
}

/// The one who was asked says no, or the one who asked takes it back.
#[utoipa::path(post, path = "/api/swaps/{id}/decline", params(("id" = i64, Path)), responses((status = 200, body = SwapView)))]
async fn swap_decline(
    State(app): State<App>,
    Who(who): Who,
    PathOf(id): PathOf<i64>,
) -> Result<Json<SwapView>, ApiError> {
    Ok(Json(app.swap_decline(&who, id).await?))
}

/// Makes a schedule, or changes it from an instant on; what was before stays.
#[utoipa::path(put, path = "/api/schedules/{name}", params(("name" = String, Path), From), request_body = ScheduleUpdate, responses((status = 200, body = ScheduleView)))]
async fn schedule_put(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    QueryOf(From { from }): QueryOf<From>,
    Body(update): Body<ScheduleUpdate>,
) -> Result<Json<ScheduleView>, ApiError> {
    Ok(Json(app.schedule_put_from(&who, &name, update, from).await?))
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

/// Covers, adds or removes a person for a time, or lays a temporary schedule over the layers.
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

/// The caller takes a schedule over, from now on or from `start` on.
#[utoipa::path(post, path = "/api/schedules/{name}/take", params(("name" = String, Path)), request_body = Take, responses((status = 200, body = OverrideView)))]
async fn take(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    Body(take): Body<Take>,
) -> Result<Json<OverrideView>, ApiError> {
    Ok(Json(app.take(&who, &name, take.for_ms, take.start).await?))
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

/// Whom a policy, saved or not, would page if an incident opened now and nobody acknowledged; nothing is changed.
#[utoipa::path(post, path = "/api/policies/preview", request_body = PolicyUpdate, responses((status = 200, body = PolicyPreviewView)))]
async fn policy_preview(
    State(app): State<App>,
    Body(update): Body<PolicyUpdate>,
) -> Result<Json<PolicyPreviewView>, ApiError> {
    Ok(Json(app.policy_preview(update).await?))
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
