//! Rules and their alerts in Prometheus' shape.

use axum::extract::{RawQuery, State};
use serde_json::{Value as Json, json};
use tenfold_alerting::MatcherSet;
use tenfold_app::App;
use tenfold_app::alerts::{ActiveAlertView, RuleGroupView, RuleView};
use tenfold_types::Labels;

use super::params::PrometheusRules;
use super::{Answer, Params, bad, is_set, success};

/// Prometheus knows three states; what we call unknown was firing, and tools must not read it as inactive.
fn state(state: &str) -> &str {
    if state == "unknown" { "firing" } else { state }
}

fn alert(alert: &ActiveAlertView) -> Json {
    json!({
        "labels": alert.labels,
        "annotations": alert.annotations,
        "state": state(&alert.state),
        "activeAt": alert.active_since,
        "value": alert.value,
    })
}

fn rule(rule: &RuleView, with_alerts: bool) -> Json {
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
    match (&rule.error, rule.health.as_str()) {
        (Some(error), _) => map.insert("lastError".to_owned(), json!(error)),
        (None, "unknown") => map.insert("lastError".to_owned(), json!("it has not been evaluated yet")),
        (None, _) => None,
    };
    if rule.kind == "alerting" {
        map.insert("duration".to_owned(), json!(rule.for_ms as f64 / 1000.0));
        map.insert("keepFiringFor".to_owned(), json!(rule.keep_firing_for_ms as f64 / 1000.0));
        map.insert("annotations".to_owned(), json!(rule.annotations));
        map.insert("state".to_owned(), json!(state(&rule.state)));
        let alerts: Vec<Json> = if with_alerts { rule.alerts.iter().map(alert).collect() } else { Vec::new() };
        map.insert("alerts".to_owned(), json!(alerts));
    }
    out
}

/// Which rules are told.
struct Filter {
    kind: &'static str,
    names: Vec<String>,
    groups: Vec<String>,
    files: Vec<String>,
    /// One of them has to hold.
    labels: Vec<MatcherSet>,
    with_alerts: bool,
}

impl Filter {
    fn read(params: &Params) -> Result<Self, tenfold_types::Fault> {
        let kind = match params.get("type") {
            None => "",
            Some("alert") => "alerting",
            Some("record") => "recording",
            Some(other) => return Err(bad(format!("`type`: `{other}` is none of alert and record"))),
        };
        let labels = params.all("match[]").into_iter().map(|text| {
            let matchers = tenfold_promql::parse_matchers(&text).map_err(|e| bad(format!("`match[]`: {e}")))?;
            MatcherSet::any(&matchers).map_err(|e| bad(format!("`match[]`: {e}")))
        });
        Ok(Self {
            kind,
            names: params.all("rule_name[]"),
            groups: params.all("rule_group[]"),
            files: params.all("file[]"),
            labels: labels.collect::<Result<_, _>>()?,
            with_alerts: !is_set(params, "exclude_alerts"),
        })
    }

    fn takes_group(&self, group: &RuleGroupView) -> bool {
        let among = |wanted: &[String], name: &String| wanted.is_empty() || wanted.contains(name);
        among(&self.groups, &group.name) && among(&self.files, &group.file)
    }

    fn takes(&self, rule: &RuleView) -> bool {
        // What a template makes of a label is not known before there is an alert.
        let labels = || {
            Labels::from_pairs(
                rule.labels.iter().filter(|(_, v)| !v.contains("{{")).map(|(n, v)| (n.clone(), v.clone())),
            )
        };
        (self.kind.is_empty() || rule.kind == self.kind)
            && (self.names.is_empty() || self.names.contains(&rule.name))
            && (self.labels.is_empty() || self.labels.iter().any(|set| set.matches(&labels())))
    }
}

/// Rule groups (`type`, `rule_name[]`, `rule_group[]`, `file[]`, `match[]`, `exclude_alerts`). Groups of which no rule is taken
/// are left out when rules are asked for by name, kind or label.
#[utoipa::path(get, path = "/api/v1/rules", params(PrometheusRules), responses((status = 200, body = Object)))]
pub(super) async fn prometheus_rules(State(app): State<App>, RawQuery(q): RawQuery) -> Answer {
    let filter = Filter::read(&Params::new(q.as_deref(), b""))?;
    let all = app.rules();
    let groups = all.iter().filter(|group| filter.takes_group(group)).filter_map(|group| {
        let rules: Vec<Json> =
            group.rules.iter().filter(|r| filter.takes(r)).map(|r| rule(r, filter.with_alerts)).collect();
        if rules.is_empty() && !group.rules.is_empty() {
            return None;
        }
        Some(json!({
            "name": group.name,
            "file": group.file,
            "interval": group.interval_ms as f64 / 1000.0,
            "lastEvaluation": group.last_evaluation,
            "evaluationTime": group.took_ms as f64 / 1000.0,
            "limit": group.limit,
            "rules": rules,
        }))
    });
    Ok(success(json!({"groups": groups.collect::<Vec<_>>()})))
}

/// The active alerts of all rules.
#[utoipa::path(get, path = "/api/v1/alerts", responses((status = 200, body = Object)))]
pub(super) async fn prometheus_alerts(State(app): State<App>) -> Answer {
    let groups = app.rules();
    let alerts: Vec<Json> = groups.iter().flat_map(|g| &g.rules).flat_map(|r| &r.alerts).map(alert).collect();
    Ok(success(json!({"alerts": alerts})))
}
