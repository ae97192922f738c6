//! Alerts, rules and mutes; also the rules and alerts of Prometheus' HTTP API, for tools that read those.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenfold_app::alerts::{
    AlertView, CalendarAsk, Foretold, MuteCalendar, MutePreview, MuteView, NewMute, Question, RoutingView,
    RuleGroupView, RuleView, WhyView,
};
use tenfold_app::{App, Role};
use utoipa_axum::routes;

use crate::auth::Who;
use crate::{Api, ApiError, Body, PathOf, Policy, QueryOf};

pub fn api() -> Api {
    Api::new("alerts")
        .add(Policy::Viewer, routes!(alerts))
        .add(Policy::Viewer, routes!(rules))
        .add(Policy::Viewer, routes!(rule_file))
        .add(Policy::Role(Role::Deployer), routes!(rules_put, rules_delete))
        .add(Policy::Viewer, routes!(mutes))
        .add(Policy::Viewer, routes!(mutes_calendar))
        .add(Policy::Role(Role::Responder), routes!(mute_create))
        .add(Policy::Role(Role::Responder), routes!(mute_preview))
        .add(Policy::Role(Role::Responder), routes!(mute_change, mute_delete))
        .add(Policy::Viewer, routes!(why))
        .add(Policy::Viewer, routes!(simulate))
        .add(Policy::Viewer, routes!(routing))
        .add(Policy::Role(Role::Deployer), routes!(routing_put, routing_delete))
        .add(Policy::Viewer, routes!(prometheus_rules))
        .add(Policy::Viewer, routes!(prometheus_alerts))
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AlertFilter {
    /// `pending`, `firing`, `unknown` or `resolved`.
    state: Option<String>,
    /// Only alerts of this service.
    service: Option<String>,
}
#[derive(Serialize, utoipa::ToSchema)]
struct AlertList {
    items: Vec<AlertView>,
}
#[derive(Serialize, utoipa::ToSchema)]
struct RuleGroupList {
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

/// Alerts: the active ones, the most urgent first, then those that ended lately.
#[utoipa::path(get, path = "/api/alerts", params(AlertFilter), responses((status = 200, body = AlertList)))]
async fn alerts(State(app): State<App>, QueryOf(q): QueryOf<AlertFilter>) -> Result<Json<AlertList>, ApiError> {
    let mut items = app.alerts_list(q.state.as_deref()).await?;
    items.retain(|a| q.service.is_none() || a.service == q.service);
    Ok(Json(AlertList { items }))
}

/// Rule groups with the state of their rules.
#[utoipa::path(get, path = "/api/rules", responses((status = 200, body = RuleGroupList)))]
async fn rules(State(app): State<App>) -> Json<RuleGroupList> {
    Json(RuleGroupList { items: app.rules() })
}

/// The text of a rule file.
#[utoipa::path(get, path = "/api/rules/{group}", params(("group" = String, Path)), responses((status = 200, body = RuleFileText)))]
async fn rule_file(State(app): State<App>, PathOf(group): PathOf<String>) -> Result<Json<RuleFileText>, ApiError> {
    Ok(Json(RuleFileText { yaml: app.rule_file(&group).await? }))
}

/// Makes or replaces a rule file; errors name line and key.
#[utoipa::path(put, path = "/api/rules/{group}", params(("group" = String, Path)), request_body = RuleFileText, responses((status = 200, body = RuleGroupList)))]
async fn rules_put(
    State(app): State<App>,
    Who(who): Who,
    PathOf(group): PathOf<String>,
    Body(text): Body<RuleFileText>,
) -> Result<Json<RuleGroupList>, ApiError> {
    Ok(Json(RuleGroupList { items: app.rules_put(&who, &group, &text.yaml).await? }))
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

/// Where alerts go: a configuration file of Alertmanager, with `policy` and `quiet` in its receivers.
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

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct PrometheusRuleFilter {
    /// `alert` or `record`.
    r#type: Option<String>,
}

fn answer(data: &Value) -> Json<Value> {
    Json(json!({"status": "success", "data": data}))
}

/// Prometheus knows three states; what we call unknown was firing, and tools must not read it as inactive.
fn prometheus_state(state: &str) -> &str {
    if state == "unknown" { "firing" } else { state }
}

fn prometheus_alert(alert: &tenfold_app::alerts::ActiveAlertView) -> Value {
    json!({
        "labels": alert.labels,
        "annotations": alert.annotations,
        "state": prometheus_state(&alert.state),
        "activeAt": alert.active_since,
        "value": alert.value,
    })
}

fn prometheus_rule(rule: &RuleView) -> Value {
    let mut out = json!({
        "name": rule.name,
        "query": rule.expr,
        "labels": rule.labels,
        "health": if rule.health == "error" { "err" } else { rule.health.as_str() },
        "lastEvaluation": rule.last_evaluation,
        "evaluationTime": rule.took_ms as f64 / 1000.0,
        "type": rule.kind,
    });
    let Some(map) = out.as_object_mut() else { return out };
    if let Some(error) = &rule.error {
        map.insert("lastError".to_owned(), json!(error));
    }
    if rule.kind == "alerting" {
        map.insert("duration".to_owned(), json!(rule.for_ms as f64 / 1000.0));
        map.insert("keepFiringFor".to_owned(), json!(rule.keep_firing_for_ms as f64 / 1000.0));
        map.insert("annotations".to_owned(), json!(rule.annotations));
        map.insert("state".to_owned(), json!(prometheus_state(&rule.state)));
        map.insert("alerts".to_owned(), json!(rule.alerts.iter().map(prometheus_alert).collect::<Vec<_>>()));
    }
    out
}

/// Rule groups in the shape of Prometheus' API.
#[utoipa::path(get, path = "/api/v1/rules", params(PrometheusRuleFilter), responses((status = 200, body = Object)))]
async fn prometheus_rules(State(app): State<App>, QueryOf(q): QueryOf<PrometheusRuleFilter>) -> Json<Value> {
    let wanted = match q.r#type.as_deref() {
        Some("alert") => "alerting",
        Some("record") => "recording",
        _ => "",
    };
    let groups: Vec<Value> = app
        .rules()
        .iter()
        .map(|group| {
            let rules = group.rules.iter().filter(|r| wanted.is_empty() || r.kind == wanted);
            json!({
                "name": group.name,
                "file": group.file,
                "interval": group.interval_ms as f64 / 1000.0,
                "lastEvaluation": group.last_evaluation,
                "evaluationTime": group.took_ms as f64 / 1000.0,
                "limit": 0,
                "rules": rules.map(prometheus_rule).collect::<Vec<_>>(),
            })
        })
        .collect();
    answer(&json!({"groups": groups}))
}

/// Active alerts in the shape of Prometheus' API.
#[utoipa::path(get, path = "/api/v1/alerts", responses((status = 200, body = Object)))]
async fn prometheus_alerts(State(app): State<App>) -> Json<Value> {
    let groups = app.rules();
    let alerts: Vec<Value> =
        groups.iter().flat_map(|g| &g.rules).flat_map(|r| &r.alerts).map(prometheus_alert).collect();
    answer(&json!({"alerts": alerts}))
}
