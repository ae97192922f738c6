//! Alerts, rules and mutes.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use tenfold_app::alerts::{
    AlertAsk, AlertPage, AlertView, CalendarAsk, Foretold, MuteCalendar, MutePreview, MuteView, NewMute, Question,
    RefusedList, RoutingView, RuleAsk, RuleChange, RuleGroupList, RuleGroupView, Settle, Settled, WhyNotAsk,
    WhyNotView, WhyView, rule_file_version,
};
use tenfold_app::{App, Role};
use tenfold_types::Timestamp;
use utoipa_axum::routes;

use crate::auth::Who;
use crate::noise::edited_rules;
use crate::{Api, ApiError, Body, PathOf, Policy, QueryOf};

pub fn api() -> Api {
    Api::new("alerts")
        .add(Policy::Viewer, routes!(alerts))
        .add(Policy::Viewer, routes!(alert))
        .add(Policy::Viewer, routes!(refused))
        .add(Policy::Role(Role::Deployer), routes!(refused_again, refused_forget))
        .add(Policy::Viewer, routes!(rules))
        .add(Policy::Viewer, routes!(rule_file))
        .add(Policy::Role(Role::Deployer), routes!(rules_put, rules_delete))
        .add(Policy::Role(Role::Deployer), routes!(rules_undo))
        .add(Policy::Viewer, routes!(mutes))
        .add(Policy::Viewer, routes!(mutes_calendar))
        .add(Policy::Role(Role::Responder), routes!(mute_create))
        .add(Policy::Role(Role::Responder), routes!(mute_preview))
        .add(Policy::Role(Role::Responder), routes!(mute_change, mute_delete))
        .add(Policy::Viewer, routes!(why))
        .add(Policy::Viewer, routes!(simulate))
        .add(Policy::Viewer, routes!(why_not))
        .add(Policy::Viewer, routes!(routing))
        .add(Policy::Role(Role::Deployer), routes!(routing_put, routing_delete))
}

/// The groups of a rule file.
#[derive(Serialize, utoipa::ToSchema)]
struct RuleFileGroups {
    items: Vec<RuleGroupView>,
}
#[derive(Serialize, utoipa::ToSchema)]
struct MuteList {
    items: Vec<MuteView>,
}
/// A rule file as text, in Prometheus' format.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct RuleFileText {
    yaml: String,
}
#[derive(Serialize, utoipa::ToSchema)]
struct AlertsDone {
    done: bool,
}

#[derive(Deserialize, utoipa::IntoParams)]
struct RefusedUntil {
    /// Only what was given up by then: the newest `refused_at` of a list that somebody has read. All, when it is absent.
    #[param(value_type = Option<String>)]
    until: Option<Timestamp>,
}
#[derive(Serialize, utoipa::ToSchema)]
struct RefusedSettled {
    requests: u64,
    /// Alerts in them that are not tried once more: they are over, or more was said of them since.
    over: u64,
}

impl From<Settled> for RefusedSettled {
    fn from(Settled { requests, over }: Settled) -> Self {
        Self { requests, over }
    }
}

/// What was sent of alerts to a node without the lease and could not be taken by the one with it: the newest 100, and how many there are.
#[utoipa::path(get, path = "/api/alerts/refused", responses((status = 200, body = RefusedList)))]
async fn refused(State(app): State<App>) -> Result<Json<RefusedList>, ApiError> {
    Ok(Json(app.alerts_refused().await?))
}

/// Tries all of that once more, each as of when it came, without what is over by now.
#[utoipa::path(post, path = "/api/alerts/refused", responses((status = 200, body = RefusedSettled)))]
async fn refused_again(State(app): State<App>, Who(who): Who) -> Result<Json<RefusedSettled>, ApiError> {
    Ok(Json(app.alerts_refused_settle(&who, Settle::Again).await?.into()))
}

/// Forgets that.
#[utoipa::path(delete, path = "/api/alerts/refused", params(RefusedUntil), responses((status = 200, body = RefusedSettled)))]
async fn refused_forget(
    State(app): State<App>,
    Who(who): Who,
    QueryOf(RefusedUntil { until }): QueryOf<RefusedUntil>,
) -> Result<Json<RefusedSettled>, ApiError> {
    Ok(Json(app.alerts_refused_settle(&who, Settle::Forget { until }).await?.into()))
}

/// Alerts: the active ones, the most urgent first, then those that ended lately; and how many each service has.
#[utoipa::path(get, path = "/api/alerts", params(AlertAsk), responses((status = 200, body = AlertPage)))]
async fn alerts(State(app): State<App>, QueryOf(ask): QueryOf<AlertAsk>) -> Result<Json<AlertPage>, ApiError> {
    Ok(Json(app.alerts_page(ask).await?))
}

/// One alert as it stands, or as it ended in the last 30 days.
#[utoipa::path(get, path = "/api/alerts/{fingerprint}", params(("fingerprint" = String, Path)), responses((status = 200, body = AlertView)))]
async fn alert(State(app): State<App>, PathOf(fingerprint): PathOf<String>) -> Result<Json<AlertView>, ApiError> {
    Ok(Json(app.alert_get(&fingerprint).await?))
}

/// Rule groups with the state of their rules, and the first alerts of each; and how many rules there are of each state.
#[utoipa::path(get, path = "/api/rules", params(RuleAsk), responses((status = 200, body = RuleGroupList)))]
async fn rules(State(app): State<App>, QueryOf(ask): QueryOf<RuleAsk>) -> Result<Json<RuleGroupList>, ApiError> {
    Ok(Json(app.rules_page(&ask)?))
}

/// A rule file as it is held.
#[derive(Serialize, utoipa::ToSchema)]
struct RuleFileHeld {
    yaml: String,
    /// For `If-Match`.
    version: String,
}

impl RuleFileHeld {
    fn of(yaml: String) -> Self {
        Self { version: rule_file_version(&yaml), yaml }
    }
}

/// The text of a rule file, with its version.
#[utoipa::path(get, path = "/api/rules/{group}", params(("group" = String, Path)), responses((status = 200, body = RuleFileHeld)))]
async fn rule_file(State(app): State<App>, PathOf(group): PathOf<String>) -> Result<Json<RuleFileHeld>, ApiError> {
    Ok(Json(RuleFileHeld::of(app.rule_file(&group).await?)))
}

/// Makes or replaces a rule file; errors name line and key. With `If-Match: "VERSION"` it is refused (412) when the file was
/// changed in between.
#[utoipa::path(put, path = "/api/rules/{group}", params(("group" = String, Path), ("if-match" = Option<String>, Header)), request_body = RuleFileText, responses((status = 200, body = RuleFileGroups), (status = 412)))]
async fn rules_put(
    State(app): State<App>,
    Who(who): Who,
    PathOf(group): PathOf<String>,
    headers: HeaderMap,
    Body(text): Body<RuleFileText>,
) -> Result<Json<RuleFileGroups>, ApiError> {
    let change = RuleChange { edited: edited_rules(&headers)?, ..RuleChange::default() };
    Ok(Json(RuleFileGroups { items: app.rules_put_over(&who, &group, &text.yaml, change).await? }))
}

/// Puts back what a rule file was before it was changed last, by whatever way. With `If-Match: "VERSION"` it is refused (412)
/// when the file was changed in between.
#[utoipa::path(post, path = "/api/rules/{group}/undo", params(("group" = String, Path), ("if-match" = Option<String>, Header)), responses((status = 200, body = RuleFileHeld), (status = 409), (status = 412)))]
async fn rules_undo(
    State(app): State<App>,
    Who(who): Who,
    PathOf(group): PathOf<String>,
    headers: HeaderMap,
) -> Result<Json<RuleFileHeld>, ApiError> {
    let edited = edited_rules(&headers)?;
    Ok(Json(RuleFileHeld::of(app.rules_undo(&who, &group, edited).await?)))
}

/// Removes a rule file; its alerts end.
#[utoipa::path(delete, path = "/api/rules/{group}", params(("group" = String, Path)), responses((status = 200, body = AlertsDone)))]
async fn rules_delete(
    State(app): State<App>,
    Who(who): Who,
    PathOf(group): PathOf<String>,
) -> Result<Json<AlertsDone>, ApiError> {
    app.rules_delete(&who, &group).await?;
    Ok(Json(AlertsDone { done: true }))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct MuteFilter {
    /// With those that are over, the last 500 of them.
    #[serde(default)]
    all: bool,
}

/// The mutes that hold or will hold.
#[utoipa::path(get, path = "/api/mutes", params(MuteFilter), responses((status = 200, body = MuteList)))]
async fn mutes(State(app): State<App>, QueryOf(q): QueryOf<MuteFilter>) -> Result<Json<MuteList>, ApiError> {
    let items = if q.all { app.mutes_all().await? } else { app.mutes().await? };
    Ok(Json(MuteList { items }))
}

/// When which mute holds, those that are over among them.
#[utoipa::path(get, path = "/api/mutes/calendar", params(CalendarAsk), responses((status = 200, body = MuteCalendar)))]
async fn mutes_calendar(
    State(app): State<App>,
    QueryOf(ask): QueryOf<CalendarAsk>,
) -> Result<Json<MuteCalendar>, ApiError> {
    Ok(Json(app.mutes_calendar(ask).await?))
}

/// What a mute would keep quiet and when; nothing is changed.
#[utoipa::path(post, path = "/api/mutes/preview", request_body = NewMute, responses((status = 200, body = MutePreview)))]
async fn mute_preview(
    State(app): State<App>,
    Who(who): Who,
    Body(new): Body<NewMute>,
) -> Result<Json<MutePreview>, ApiError> {
    Ok(Json(app.mute_preview(&who, new).await?))
}

/// Changes a mute. With another kind, other matchers or another start it is ended and made anew under a new number.
#[utoipa::path(put, path = "/api/mutes/{id}", params(("id" = i64, Path)), request_body = NewMute, responses((status = 200, body = MuteView)))]
async fn mute_change(
    State(app): State<App>,
    Who(who): Who,
    PathOf(id): PathOf<i64>,
    Body(new): Body<NewMute>,
) -> Result<Json<MuteView>, ApiError> {
    Ok(Json(app.mute_change(&who, id, new).await?))
}

/// Keeps matching alerts from paging until a time, for a reason.
#[utoipa::path(post, path = "/api/mutes", request_body = NewMute, responses((status = 200, body = MuteView)))]
async fn mute_create(
    State(app): State<App>,
    Who(who): Who,
    Body(new): Body<NewMute>,
) -> Result<Json<MuteView>, ApiError> {
    Ok(Json(app.mute_create(&who, new).await?))
}

/// Ends a mute before its time.
#[utoipa::path(delete, path = "/api/mutes/{id}", params(("id" = i64, Path)), responses((status = 200, body = AlertsDone)))]
async fn mute_delete(
    State(app): State<App>,
    Who(who): Who,
    PathOf(id): PathOf<i64>,
) -> Result<Json<AlertsDone>, ApiError> {
    app.mute_delete(&who, id).await?;
    Ok(Json(AlertsDone { done: true }))
}

/// What was decided of an alert and why, and what the stages say of it now.
#[utoipa::path(get, path = "/api/alerts/{fingerprint}/why", params(("fingerprint" = String, Path)), responses((status = 200, body = WhyView)))]
async fn why(State(app): State<App>, PathOf(fingerprint): PathOf<String>) -> Result<Json<WhyView>, ApiError> {
    Ok(Json(app.alert_why(&fingerprint).await?))
}

/// What would become of an alert with these labels: who is told, when, and what keeps it quiet. Changes nothing.
#[utoipa::path(post, path = "/api/alerts/simulate", request_body = Question, responses((status = 200, body = Foretold)))]
async fn simulate(State(app): State<App>, Body(question): Body<Question>) -> Result<Json<Foretold>, ApiError> {
    Ok(Json(app.alert_simulate(question).await?))
}

/// Whether an alert with these labels would page a person within a day, and if it would not, why not. Changes nothing.
#[utoipa::path(post, path = "/api/alerts/why-not", operation_id = "alert_why_not", request_body = WhyNotAsk, responses((status = 200, body = WhyNotView)))]
async fn why_not(State(app): State<App>, Body(ask): Body<WhyNotAsk>) -> Result<Json<WhyNotView>, ApiError> {
    Ok(Json(app.alert_why_not(ask).await?))
}

/// Where alerts go: a configuration file of Alertmanager, with `policy`, `quiet` and `pages` in its receivers.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct RoutingText {
    yaml: String,
    /// Only read it and say what has no equal here.
    #[serde(default)]
    dry_run: bool,
}

/// The routing that holds.
#[utoipa::path(get, path = "/api/routing", responses((status = 200, body = RoutingView)))]
async fn routing(State(app): State<App>) -> Result<Json<RoutingView>, ApiError> {
    Ok(Json(app.routing_view()?))
}

/// Puts the routing; errors name the place.
#[utoipa::path(put, path = "/api/routing", request_body = RoutingText, responses((status = 200, body = RoutingView)))]
async fn routing_put(
    State(app): State<App>,
    Who(who): Who,
    Body(text): Body<RoutingText>,
) -> Result<Json<RoutingView>, ApiError> {
    Ok(Json(app.routing_put(&who, &text.yaml, text.dry_run).await?))
}

/// Goes back to the plain routing: on call is told at once, of each service and environment together.
#[utoipa::path(delete, path = "/api/routing", responses((status = 200, body = AlertsDone)))]
async fn routing_delete(State(app): State<App>, Who(who): Who) -> Result<Json<AlertsDone>, ApiError> {
    app.routing_delete(&who).await?;
    Ok(Json(AlertsDone { done: true }))
}
