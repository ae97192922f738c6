//! Incidents, their pages and their story.

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tenfold_app::incidents::{
    DrillScoreView, HandOver, IncidentView, NewIncident, PageView, PageWhyView, Resolution, SeenPlace,
    TimelineEventView,
};
use tenfold_app::{App, Role};
use tenfold_incidents::{Finding, Reviewer};
use tenfold_types::{Fault, parse_duration_ms};
use utoipa_axum::routes;

use crate::auth::Who;
use crate::{Api, ApiError, Body, PathOf, Policy, QueryOf};

pub fn api() -> Api {
    Api::new("incidents")
        .add(Policy::Viewer, routes!(list))
        .add(Policy::Role(Role::Responder), routes!(open))
        .add(Policy::Viewer, routes!(get))
        .add(Policy::Role(Role::Responder), routes!(acknowledge))
        .add(Policy::Role(Role::Responder), routes!(escalate))
        .add(Policy::Role(Role::Responder), routes!(hand_over))
        .add(Policy::Role(Role::Responder), routes!(resolve))
        .add(Policy::Role(Role::Responder), routes!(note))
        .add(Policy::Viewer, routes!(timeline))
        .add(Policy::Viewer, routes!(postmortem))
        .add(Policy::Viewer, routes!(review))
        .add(Policy::Viewer, routes!(drill_score))
        .add(Policy::Viewer, routes!(pages))
        .add(Policy::Viewer, routes!(page_why))
        .add(Policy::Viewer, routes!(test_page))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct IncidentFilter {
    /// `open`, `acknowledged`, `resolved`, or `active` for all but the resolved.
    state: Option<String>,
    /// Only incidents with a lower number.
    before: Option<i64>,
    limit: Option<i64>,
}
#[derive(Serialize, utoipa::ToSchema)]
struct IncidentList {
    items: Vec<IncidentView>,
    /// Give it as `before` for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<i64>,
}
#[derive(Serialize, utoipa::ToSchema)]
struct AcknowledgedIncident {
    #[serde(flatten)]
    incident: IncidentView,
    /// Somebody had acknowledged before; `acknowledged_by_name` says who.
    already: bool,
}
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Note {
    text: String,
}
#[derive(Serialize, utoipa::ToSchema)]
struct Timeline {
    items: Vec<TimelineEventView>,
}
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PageFilter {
    /// Only the pages of this incident, in their order; otherwise the newest of all.
    incident: Option<i64>,
}
#[derive(Serialize, utoipa::ToSchema)]
struct PageList {
    items: Vec<PageView>,
}
#[derive(Serialize, utoipa::ToSchema)]
struct ReviewFindings {
    #[schema(value_type = Vec<Object>)]
    items: Vec<Finding>,
}

/// Incidents, the newest first.
#[utoipa::path(get, path = "/api/incidents", params(IncidentFilter), responses((status = 200, body = IncidentList)))]
async fn list(State(app): State<App>, QueryOf(q): QueryOf<IncidentFilter>) -> Result<Json<IncidentList>, ApiError> {
    let items = app.incidents_list(q.state.as_deref(), q.before, q.limit).await?;
    let next = items.last().map(|i| i.number).filter(|n| *n > 1 && q.state.as_deref() != Some("active"));
    Ok(Json(IncidentList { items, next }))
}

/// Opens an incident by hand; its policy is followed as if an alert had opened it.
#[utoipa::path(post, path = "/api/incidents", request_body = NewIncident, responses((status = 200, body = IncidentView)))]
async fn open(
    State(app): State<App>,
    Who(who): Who,
    Body(new): Body<NewIncident>,
) -> Result<Json<IncidentView>, ApiError> {
    Ok(Json(app.incident_open(&who, new).await?))
}

/// One incident with its alerts, suspects, escalation and pages.
#[utoipa::path(get, path = "/api/incidents/{n}", params(("n" = i64, Path)), responses((status = 200, body = IncidentView)))]
async fn get(State(app): State<App>, PathOf(n): PathOf<i64>) -> Result<Json<IncidentView>, ApiError> {
    Ok(Json(app.incident(n).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AcknowledgeQuery {
    #[serde(rename = "for")]
    held: Option<String>,
}

/// Stops the escalation: for good, or for as long as `for` or else the policy says. A second acknowledgement of somebody else
/// changes nothing and tells who was first; whoever has it may give it again.
#[utoipa::path(post, path = "/api/incidents/{n}/acknowledge", params(("n" = i64, Path), ("for" = Option<String>, Query, description = "How long it holds, such as 45m or 2h: 1m to 7d.")), responses((status = 200, body = AcknowledgedIncident)))]
async fn acknowledge(
    State(app): State<App>,
    Who(who): Who,
    PathOf(n): PathOf<i64>,
    QueryOf(query): QueryOf<AcknowledgeQuery>,
) -> Result<Json<AcknowledgedIncident>, ApiError> {
    let for_ms = query.held.as_deref().map(parse_duration_ms).transpose().map_err(Fault::invalid)?;
    let done = app.incident_acknowledge_for(&who, n, for_ms).await?;
    Ok(Json(AcknowledgedIncident { incident: done.incident, already: done.already }))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EscalateQuery {
    /// The step that `escalation` showed. When another one was paged since, nothing is done; without it the next one is asked,
    /// unless somebody asked for it in the last 5 seconds. `escalation.asked` of the answer says which one is.
    step: Option<i64>,
    /// The round that it showed.
    round: Option<i64>,
}

/// Asks the next step of the policy at once, instead of whoever was asked or has it. 409 where there is no policy, or all alerts
/// of the incident are muted.
#[utoipa::path(post, path = "/api/incidents/{n}/escalate", params(("n" = i64, Path), EscalateQuery), responses((status = 200, body = IncidentView)))]
async fn escalate(
    State(app): State<App>,
    Who(who): Who,
    PathOf(n): PathOf<i64>,
    QueryOf(query): QueryOf<EscalateQuery>,
) -> Result<Json<IncidentView>, ApiError> {
    let seen = match (query.step, query.round) {
        (Some(step), Some(round)) => Some(SeenPlace { step, round }),
        (None, None) => None,
        _ => return Err(Fault::invalid("`step` and `round` are given together, or neither").into()),
    };
    Ok(Json(app.incident_escalate(&who, n, seen).await?))
}

/// Hands the incident over to a person, who is paged at once; the policy follows when they do not acknowledge. 409 where they
/// cannot be reached, have it already, or all alerts of the incident are muted.
#[utoipa::path(post, path = "/api/incidents/{n}/hand-over", params(("n" = i64, Path)), request_body = HandOver, responses((status = 200, body = IncidentView)))]
async fn hand_over(
    State(app): State<App>,
    Who(who): Who,
    PathOf(n): PathOf<i64>,
    Body(to): Body<HandOver>,
) -> Result<Json<IncidentView>, ApiError> {
    Ok(Json(app.incident_hand_over(&who, n, to).await?))
}

/// Ends an incident by hand, or tells what a resolved one came from.
#[utoipa::path(post, path = "/api/incidents/{n}/resolve", params(("n" = i64, Path)), request_body = Resolution, responses((status = 200, body = IncidentView)))]
async fn resolve(
    State(app): State<App>,
    Who(who): Who,
    PathOf(n): PathOf<i64>,
    body: axum::body::Bytes,
) -> Result<Json<IncidentView>, ApiError> {
    // The body may be left out: nothing needs to be said to resolve.
    let resolution = if body.is_empty() {
        Resolution::default()
    } else {
        serde_json::from_slice(&body).map_err(|e| Fault::invalid(format!("the request body does not fit: {e}")))?
    };
    Ok(Json(app.incident_resolve(&who, n, resolution).await?))
}

/// Writes a sentence into the incident's timeline.
#[utoipa::path(post, path = "/api/incidents/{n}/note", params(("n" = i64, Path)), request_body = Note, responses((status = 200, body = IncidentView)))]
async fn note(
    State(app): State<App>,
    Who(who): Who,
    PathOf(n): PathOf<i64>,
    Body(note): Body<Note>,
) -> Result<Json<IncidentView>, ApiError> {
    Ok(Json(app.incident_note(&who, n, &note.text).await?))
}

/// What happened, in the order in which it happened.
#[utoipa::path(get, path = "/api/incidents/{n}/timeline", params(("n" = i64, Path)), responses((status = 200, body = Timeline)))]
async fn timeline(State(app): State<App>, PathOf(n): PathOf<i64>) -> Result<Json<Timeline>, ApiError> {
    Ok(Json(Timeline { items: app.incident_timeline(n).await? }))
}

/// The draft of a postmortem, with roles instead of names.
#[utoipa::path(get, path = "/api/incidents/{n}/postmortem", params(("n" = i64, Path)), responses((status = 200, body = String, content_type = "text/markdown")))]
async fn postmortem(State(app): State<App>, PathOf(n): PathOf<i64>) -> Result<Response, ApiError> {
    let text = app.incident_postmortem(n).await?;
    Ok(([(CONTENT_TYPE, "text/markdown; charset=utf-8")], text).into_response())
}

/// Marks sentences that blame, each with a better question. Nothing is kept and nothing is refused.
#[utoipa::path(post, path = "/api/incidents/review", request_body = Note, responses((status = 200, body = ReviewFindings)))]
async fn review(State(app): State<App>, Body(text): Body<Note>) -> Result<Json<ReviewFindings>, ApiError> {
    let people = app.people().await?;
    let named: Vec<_> = people
        .into_iter()
        .map(|p| tenfold_incidents::Person { login: p.login, name: p.name, kind: String::new() })
        .collect();
    Ok(Json(ReviewFindings { items: Reviewer::new(&named).review(&text.text) }))
}

/// How a drill went, or goes: times to delivery and acknowledgement, steps used, channels. It names nobody.
#[utoipa::path(get, path = "/api/incidents/{n}/score", params(("n" = i64, Path)), responses((status = 200, body = DrillScoreView)))]
async fn drill_score(State(app): State<App>, PathOf(n): PathOf<i64>) -> Result<Json<DrillScoreView>, ApiError> {
    Ok(Json(app.drill_score(n).await?))
}

/// Pages with every attempt to deliver them.
#[utoipa::path(get, path = "/api/pages", params(PageFilter), responses((status = 200, body = PageList)))]
async fn pages(State(app): State<App>, QueryOf(q): QueryOf<PageFilter>) -> Result<Json<PageList>, ApiError> {
    Ok(Json(PageList { items: app.pages(q.incident).await? }))
}

/// Why a page went to its person: the step, the schedule with its layer or override, quiet hours, the order of the ways.
#[utoipa::path(get, path = "/api/pages/{id}/why", params(("id" = String, Path)), responses((status = 200, body = PageWhyView)))]
async fn page_why(State(app): State<App>, PathOf(id): PathOf<String>) -> Result<Json<PageWhyView>, ApiError> {
    Ok(Json(app.page_why(&id).await?))
}

/// Sends a test page, the way a real one goes. Yourself, or as a responder anybody.
#[utoipa::path(post, path = "/api/people/{login}/test-page", params(("login" = String, Path)), responses((status = 200, body = PageView)))]
async fn test_page(
    State(app): State<App>,
    Who(who): Who,
    PathOf(login): PathOf<String>,
) -> Result<Json<PageView>, ApiError> {
    Ok(Json(app.page_test(&who, &login).await?))
}
