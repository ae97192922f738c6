//! Feature flags for people and programs that manage them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tenfold_app::flags::{
    Environment, FlagAnswer, FlagList, FlagPreview, FlagPreviewQuestion, FlagQuestion, FlagRamp, FlagRollout,
    FlagSummaryList, FlagSwitch, FlagUpdate, FlagView, RampStart, SegmentList,
};
use tenfold_app::people::Token;
use tenfold_app::{App, Role};
use tenfold_flags::{Constraint, Segment};
use tenfold_types::{ErrorCode, Fault};
use utoipa_axum::routes;

use crate::auth::Who;
use crate::flag_changes::Changed;
use crate::{Api, ApiError, Body, PathOf, Policy, QueryOf};

pub fn api() -> Api {
    Api::new("flags")
        .add(Policy::Viewer, routes!(list))
        .add(Policy::Viewer, routes!(summaries))
        .add(Policy::Viewer, routes!(get))
        .add(Policy::Role(Role::Deployer), routes!(put, archive))
        .add(Policy::Role(Role::Responder), routes!(switch))
        .add(Policy::Role(Role::Responder), routes!(rollout))
        .add(Policy::Role(Role::Deployer), routes!(ramp_start))
        .add(Policy::Role(Role::Responder), routes!(ramp_stop))
        .add(Policy::Viewer, routes!(evaluate))
        .add(Policy::Viewer, routes!(preview))
        .add(Policy::Viewer, routes!(segments))
        .add(Policy::Role(Role::Deployer), routes!(segment_put, segment_delete))
}

/// Meant where a caller names no environment.
const DEFAULT_ENVIRONMENT: &str = "production";

/// The environment a flag client asks for: its token's, else the one named in the query.
pub(crate) fn environment_of(token: Option<&Arc<Token>>, named: Option<&str>) -> Result<String, ApiError> {
    match (token.and_then(|t| t.environment.as_deref()), named) {
        (Some(own), Some(named)) if own != named => {
            Err(Fault::forbidden(format!("this token is for the environment `{own}`, not `{named}`")).into())
        }
        (Some(own), _) => Ok(own.to_owned()),
        (None, named) => Ok(named.unwrap_or(DEFAULT_ENVIRONMENT).to_owned()),
    }
}

/// What answers a flag client: its token's environment and projects, else the environment named in the query.
pub(crate) async fn book_of(
    app: &App,
    token: Option<&Arc<Token>>,
    named: Option<&str>,
) -> Result<Arc<Environment>, ApiError> {
    let projects = token.map(|t| t.projects()).unwrap_or_default();
    Ok(app.flag_book(&environment_of(token, named)?, &projects).await?)
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct InEnvironment {
    /// Only this environment.
    environment: Option<String>,
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Archived {
    /// Those taken out of use instead of those in use.
    #[serde(default)]
    archived: bool,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct SegmentUpdate {
    name: String,
    #[serde(default)]
    constraints: Vec<Constraint>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct SegmentDeleted {
    done: bool,
}

/// All flags with their state in every environment.
#[utoipa::path(get, path = "/api/flags", params(InEnvironment), responses((status = 200, body = FlagList)))]
async fn list(State(app): State<App>, QueryOf(q): QueryOf<InEnvironment>) -> Json<FlagList> {
    Json(app.flag_list(q.environment.as_deref()))
}

/// All flags as short rows, for lists: state, last change and owner, without the definitions.
#[utoipa::path(get, path = "/api/flag-summaries", params(Archived), responses((status = 200, body = FlagSummaryList)))]
async fn summaries(State(app): State<App>, QueryOf(q): QueryOf<Archived>) -> Json<FlagSummaryList> {
    Json(app.flag_summaries(q.archived))
}

/// One flag. The `ETag` is the definition's version.
#[utoipa::path(get, path = "/api/flags/{key}", params(("key" = String, Path)), responses((status = 200, body = FlagView)))]
async fn get(State(app): State<App>, PathOf(key): PathOf<String>) -> Result<Versioned, ApiError> {
    Ok(Versioned(app.flag(&key)?))
}

/// Creates or changes a flag; what is absent stays as it is. With `If-Match: "VERSION"` it is refused (412) when somebody
/// else changed the flag in between, with `If-None-Match: *` when there is one already.
#[utoipa::path(
    put, path = "/api/flags/{key}",
    params(("key" = String, Path), ("if-match" = Option<String>, Header), ("if-none-match" = Option<String>, Header)),
    request_body = FlagUpdate,
    responses((status = 200, body = FlagView), (status = 202, body = FlagView, description = "it waits for a second person")),
)]
async fn put(
    State(app): State<App>,
    Who(who): Who,
    PathOf(key): PathOf<String>,
    headers: HeaderMap,
    Body(update): Body<FlagUpdate>,
) -> Result<Versioned, ApiError> {
    let edited = edited_version(&headers)?;
    Ok(Versioned(app.flag_put_over(&who, &key, update, edited).await?))
}

/// The version an edit was made on; 0 for a flag that must not be there yet.
pub(crate) fn edited_version(headers: &HeaderMap) -> Result<Option<i64>, Fault> {
    if headers.get(header::IF_NONE_MATCH).is_some_and(|v| v == "*") {
        return Ok(Some(0));
    }
    let Some(given) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let version = given.to_str().ok().and_then(|v| v.trim().trim_matches('"').parse().ok());
    version.map(Some).ok_or_else(|| {
        Fault::new(ErrorCode::BadRequest, "the header If-Match is not a version of a flag")
            .advice("send the ETag that GET gave, like \"7\"")
    })
}

/// A flag, with its version as `ETag`.
struct Versioned(FlagView);

impl IntoResponse for Versioned {
    fn into_response(self) -> Response {
        ([(header::ETAG, format!("\"{}\"", self.0.version))], Changed(self.0)).into_response()
    }
}

/// Takes a flag out of use. Its history stays; putting it again brings it back.
#[utoipa::path(delete, path = "/api/flags/{key}", params(("key" = String, Path)), responses((status = 200, body = FlagView)))]
async fn archive(
    State(app): State<App>,
    Who(who): Who,
    PathOf(key): PathOf<String>,
) -> Result<Json<FlagView>, ApiError> {
    Ok(Json(app.flag_archive(&who, &key).await?))
}

/// Switches a flag on (deployer) or off (responder). Off works even without the database.
#[utoipa::path(post, path = "/api/flags/{key}/switch", params(("key" = String, Path)), request_body = FlagSwitch, responses((status = 200, body = FlagView), (status = 202, body = FlagView, description = "it waits for a second person")))]
async fn switch(
    State(app): State<App>,
    Who(who): Who,
    PathOf(key): PathOf<String>,
    Body(b): Body<FlagSwitch>,
) -> Result<Changed, ApiError> {
    let reason = b.reason.as_deref();
    Ok(Changed(app.flag_switch_because(&who, &key, &b.environment, b.enabled, reason).await?))
}

/// Sets the percentage of people a flag is on for.
#[utoipa::path(post, path = "/api/flags/{key}/rollout", params(("key" = String, Path)), request_body = FlagRollout, responses((status = 200, body = FlagView), (status = 202, body = FlagView, description = "it waits for a second person")))]
async fn rollout(
    State(app): State<App>,
    Who(who): Who,
    PathOf(key): PathOf<String>,
    Body(b): Body<FlagRollout>,
) -> Result<Changed, ApiError> {
    Ok(Changed(app.flag_rollout(&who, &key, &b.environment, b.percent).await?))
}

/// Starts a ramp: percentages that rise by themselves.
#[utoipa::path(post, path = "/api/flags/{key}/ramp", params(("key" = String, Path)), request_body = FlagRamp, responses((status = 200, body = FlagView), (status = 202, body = FlagView, description = "it waits for a second person")))]
async fn ramp_start(
    State(app): State<App>,
    Who(who): Who,
    PathOf(key): PathOf<String>,
    Body(b): Body<FlagRamp>,
) -> Result<Changed, ApiError> {
    Ok(Changed(
        app.flag_ramp_start(&who, &key, &b.environment, RampStart { plan: b.plan, steps: b.steps, guard: b.guard })
            .await?,
    ))
}

/// Stops a ramp where it is.
#[utoipa::path(delete, path = "/api/flags/{key}/ramp", params(("key" = String, Path), InEnvironment), responses((status = 200, body = FlagView)))]
async fn ramp_stop(
    State(app): State<App>,
    Who(who): Who,
    PathOf(key): PathOf<String>,
    QueryOf(q): QueryOf<InEnvironment>,
) -> Result<Json<FlagView>, ApiError> {
    let environment = q.environment.as_deref().unwrap_or(DEFAULT_ENVIRONMENT);
    Ok(Json(app.flag_ramp_stop(&who, &key, environment).await?))
}

/// What somebody with the given context gets, and why. Not counted as use.
#[utoipa::path(post, path = "/api/flags/{key}/evaluate", params(("key" = String, Path)), request_body = FlagQuestion, responses((status = 200, body = FlagAnswer)))]
async fn evaluate(
    State(app): State<App>,
    PathOf(key): PathOf<String>,
    Body(question): Body<FlagQuestion>,
) -> Result<Json<FlagAnswer>, ApiError> {
    Ok(Json(app.flag_evaluate(&key, question).await?))
}

/// What somebody gets and why, of the flag as stored and as edited, side by side; and how many of a list of ids.
#[utoipa::path(post, path = "/api/flags/{key}/preview", params(("key" = String, Path)), request_body = FlagPreviewQuestion, responses((status = 200, body = FlagPreview)))]
async fn preview(
    State(app): State<App>,
    PathOf(key): PathOf<String>,
    Body(question): Body<FlagPreviewQuestion>,
) -> Result<Json<FlagPreview>, ApiError> {
    Ok(Json(app.flag_preview(&key, question).await?))
}

/// Constraints that strategies share.
#[utoipa::path(get, path = "/api/segments", responses((status = 200, body = SegmentList)))]
async fn segments(State(app): State<App>) -> Json<SegmentList> {
    Json(app.flag_segments())
}

/// Creates or changes a segment.
#[utoipa::path(put, path = "/api/segments/{id}", params(("id" = i64, Path)), request_body = SegmentUpdate, responses((status = 200, body = Segment)))]
async fn segment_put(
    State(app): State<App>,
    Who(who): Who,
    PathOf(id): PathOf<i64>,
    Body(b): Body<SegmentUpdate>,
) -> Result<Json<Segment>, ApiError> {
    let segment = Segment { id, name: b.name, constraints: b.constraints };
    Ok(Json(app.flag_segment_put(&who, segment).await?))
}

/// Deletes a segment that no flag uses.
#[utoipa::path(delete, path = "/api/segments/{id}", params(("id" = i64, Path)), responses((status = 200, body = SegmentDeleted)))]
async fn segment_delete(
    State(app): State<App>,
    Who(who): Who,
    PathOf(id): PathOf<i64>,
) -> Result<Json<SegmentDeleted>, ApiError> {
    app.flag_segment_delete(&who, id).await?;
    Ok(Json(SegmentDeleted { done: true }))
}
