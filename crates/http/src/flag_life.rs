//! The life of a flag: whether it has had its day, who opted in, contingency switches and drills, history and reverting.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tenfold_app::flags::{
    FlagChoose, FlagDrillStart, FlagGroup, FlagGroupUpdate, FlagGroups, FlagHistory, FlagList, FlagPlaces, FlagRevert,
    FlagScan, FlagView, MyFlags, StaleFlags,
};
use tenfold_app::{App, Role};
use utoipa_axum::routes;

use crate::auth::Who;
use crate::{Api, ApiError, Body, PathOf, Policy, QueryOf};

pub fn api() -> Api {
    Api::new("flags")
        .add(Policy::Viewer, routes!(stale))
        .add(Policy::Viewer, routes!(places))
        .add(Policy::Role(Role::Deployer), routes!(places_put))
        .add(Policy::Viewer, routes!(groups))
        .add(Policy::Role(Role::Deployer), routes!(group_put, group_delete))
        .add(Policy::Person, routes!(mine))
        .add(Policy::Person, routes!(choose))
        .add(Policy::Viewer, routes!(contingency))
        .add(Policy::Role(Role::Responder), routes!(drill, drill_cancel))
        .add(Policy::Viewer, routes!(history))
        .add(Policy::Role(Role::Deployer), routes!(revert))
}

#[derive(Serialize, utoipa::ToSchema)]
struct FlagLifeDone {
    done: bool,
}

const DONE: Json<FlagLifeDone> = Json(FlagLifeDone { done: true });

/// Flags that look finished and why, keys that code asks for in vain, flags that no code names, and flags that nobody owns.
#[utoipa::path(get, path = "/api/flags/stale", responses((status = 200, body = StaleFlags)))]
async fn stale(State(app): State<App>) -> Result<Json<StaleFlags>, ApiError> {
    Ok(Json(app.flag_stale_list().await?))
}

/// Where the source names a flag, as the last scans found it.
#[utoipa::path(get, path = "/api/flags/{key}/places", params(("key" = String, Path)), responses((status = 200, body = FlagPlaces)))]
async fn places(State(app): State<App>, PathOf(key): PathOf<String>) -> Json<FlagPlaces> {
    Json(app.flag_places(&key))
}

/// Takes over what a scan of a repository found, in place of its last scan.
#[utoipa::path(post, path = "/api/flags/places", request_body = FlagScan, responses((status = 200, body = FlagLifeDone)))]
async fn places_put(
    State(app): State<App>,
    Who(who): Who,
    Body(scan): Body<FlagScan>,
) -> Result<Json<FlagLifeDone>, ApiError> {
    app.flag_places_put(&who, scan).await?;
    Ok(DONE)
}

/// Named lists of people; each is a segment that strategies may use.
#[utoipa::path(get, path = "/api/flags/groups", responses((status = 200, body = FlagGroups)))]
async fn groups(State(app): State<App>) -> Result<Json<FlagGroups>, ApiError> {
    Ok(Json(app.flag_groups().await?))
}

/// Creates or changes a group; what is absent stays as it is.
#[utoipa::path(put, path = "/api/flags/groups/{name}", params(("name" = String, Path)), request_body = FlagGroupUpdate, responses((status = 200, body = FlagGroup)))]
async fn group_put(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
    Body(update): Body<FlagGroupUpdate>,
) -> Result<Json<FlagGroup>, ApiError> {
    Ok(Json(app.flag_group_put(&who, &name, update).await?))
}

/// Deletes a group that no flag uses.
#[utoipa::path(delete, path = "/api/flags/groups/{name}", params(("name" = String, Path)), responses((status = 200, body = FlagLifeDone)))]
async fn group_delete(
    State(app): State<App>,
    Who(who): Who,
    PathOf(name): PathOf<String>,
) -> Result<Json<FlagLifeDone>, ApiError> {
    app.flag_group_delete(&who, &name).await?;
    Ok(DONE)
}

/// The flags that whoever asks may switch for themselves.
#[utoipa::path(get, path = "/api/flags/mine", responses((status = 200, body = MyFlags)))]
async fn mine(State(app): State<App>, Who(who): Who) -> Result<Json<MyFlags>, ApiError> {
    Ok(Json(app.flag_mine(&who).await?))
}

/// Switches a flag in or out for whoever asks, from the next answer on.
#[utoipa::path(post, path = "/api/flags/{key}/mine", params(("key" = String, Path)), request_body = FlagChoose, responses((status = 200, body = FlagView)))]
async fn choose(
    State(app): State<App>,
    Who(who): Who,
    PathOf(key): PathOf<String>,
    Body(b): Body<FlagChoose>,
) -> Result<Json<FlagView>, ApiError> {
    Ok(Json(app.flag_choose(&who, &key, b.choice).await?))
}

/// Switches for bad days, the one to throw first in front.
#[utoipa::path(get, path = "/api/flags/contingency", responses((status = 200, body = FlagList)))]
async fn contingency(State(app): State<App>) -> Json<FlagList> {
    Json(app.flag_contingency())
}

/// Switches off for a set time, for practice; it comes back by itself, also after a restart.
#[utoipa::path(post, path = "/api/flags/{key}/drill", params(("key" = String, Path)), request_body = FlagDrillStart, responses((status = 200, body = FlagView)))]
async fn drill(
    State(app): State<App>,
    Who(who): Who,
    PathOf(key): PathOf<String>,
    Body(b): Body<FlagDrillStart>,
) -> Result<Json<FlagView>, ApiError> {
    Ok(Json(app.flag_drill(&who, &key, &b.environment, b.for_ms).await?))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DrillPlace {
    /// Else `production`.
    environment: Option<String>,
}

/// Ends a drill before its time.
#[utoipa::path(delete, path = "/api/flags/{key}/drill", params(("key" = String, Path), DrillPlace), responses((status = 200, body = FlagView)))]
async fn drill_cancel(
    State(app): State<App>,
    Who(who): Who,
    PathOf(key): PathOf<String>,
    QueryOf(q): QueryOf<DrillPlace>,
) -> Result<Json<FlagView>, ApiError> {
    Ok(Json(app.flag_drill_cancel(&who, &key, q.environment.as_deref().unwrap_or("production")).await?))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct HistoryPage {
    /// Events with a number below this.
    before: Option<i64>,
    /// At most 100.
    #[serde(default)]
    limit: usize,
}

/// What happened to a flag, newest first, with what differed each time.
#[utoipa::path(get, path = "/api/flags/{key}/history", params(("key" = String, Path), HistoryPage), responses((status = 200, body = FlagHistory)))]
async fn history(
    State(app): State<App>,
    PathOf(key): PathOf<String>,
    QueryOf(q): QueryOf<HistoryPage>,
) -> Result<Json<FlagHistory>, ApiError> {
    Ok(Json(app.flag_history(&key, q.before, q.limit).await?))
}

/// Puts what an event changed back to how it was before (or after) it.
#[utoipa::path(post, path = "/api/flags/{key}/revert", params(("key" = String, Path)), request_body = FlagRevert, responses((status = 200, body = FlagView)))]
async fn revert(
    State(app): State<App>,
    Who(who): Who,
    PathOf(key): PathOf<String>,
    Body(b): Body<FlagRevert>,
) -> Result<Json<FlagView>, ApiError> {
    Ok(Json(app.flag_revert(&who, &key, &b).await?))
}
