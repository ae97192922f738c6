//! The rule groups in memory, with the state of each rule.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tenfold_alerting::{Alert, Group, Presence, Rule, RuleState, parse_rules_with, presence};
use tenfold_store::alerts as store;
use tenfold_types::{Fault, Timestamp};

use crate::App;

/// A group that is evaluated.
pub(super) struct Running {
    pub file: String,
    pub group: Group,
    /// The presence expression of each alerting rule, in the rules' order.
    pub presence: Vec<Option<Presence>>,
    pub status: Mutex<Status>,
}

/// How a group and its rules are doing.
#[derive(Default)]
pub(super) struct Status {
    pub next_at: Option<Timestamp>,
    pub last_at: Option<Timestamp>,
    pub took_ms: i64,
    /// One for each rule.
    pub rules: Vec<RuleStatus>,
}

#[derive(Default, Clone)]
pub(super) struct RuleStatus {
    pub state: RuleState,
    pub error: Option<String>,
    pub evaluated_at: Option<Timestamp>,
    pub took_ms: i64,
    /// Series of the last answer.
    pub series: usize,
}

/// What makes a rule the same rule after its file was changed: its name and its own labels.
pub(super) fn identity(rule: &Rule) -> Option<(String, Vec<(String, String)>)> {
    match rule {
        Rule::Alert(r) => {
            Some((r.alert.clone(), r.labels.iter().map(|(n, t)| (n.clone(), t.source().to_owned())).collect()))
        }
        Rule::Record(_) => None,
    }
}

/// Reads rules and active alerts from the store and puts them in place of what is in memory.
pub(super) async fn reload(app: &App) -> Result<(), Fault> {
    let (files, alerts) = app.read(|tx| Ok((store::rule_files(tx)?, store::active(tx)?))).await?;
    let mut by_rule: BTreeMap<(String, String), Vec<Alert>> = BTreeMap::new();
    for row in alerts {
        let alert: Alert = serde_json::from_str(&row.body)
            .map_err(|e| Fault::internal(format!("the alert {} cannot be read: {e}", row.fingerprint)))?;
        by_rule.entry((row.rule_group, row.rule)).or_default().push(alert);
    }
    let old = app.alerts.groups.read().clone();
    let interval_ms = i64::try_from(app.settings.alerts.evaluation_interval_ms).unwrap_or(i64::MAX);
    let mut running = Vec::new();
    for file in files {
        // A file that was accepted once stays readable; if not, its alerts stay as they are and the fault is shown.
        let parsed = parse_rules_with(&file.yaml, interval_ms)
            .map_err(|e| Fault::internal(format!("the rule file {} cannot be read: {e}", file.name)))?;
        for group in parsed.groups {
            let rules = group.rules.iter().map(|rule| rule_status(&group.name, rule, &mut by_rule)).collect();
            let before = old.iter().find(|r| r.group.name == group.name);
            let next_at = before.and_then(|b| b.status.lock().next_at);
            running.push(Arc::new(Running {
                file: file.name.clone(),
                presence: group.rules.iter().map(rule_presence).collect(),
                group,
                status: Mutex::new(Status { next_at, rules, ..Status::default() }),
            }));
        }
    }
    *app.alerts.groups.write() = running;
    super::pipeline::reload(app).await
}

fn rule_presence(rule: &Rule) -> Option<Presence> {
    match rule {
        Rule::Alert(r) => Some(presence(&r.expr)),
        Rule::Record(_) => None,
    }
}

/// The alerts of a rule are those of its name whose own labels are the rule's; labels made from templates are told apart
/// by the label names alone.
fn rule_status(group: &str, rule: &Rule, by_rule: &mut BTreeMap<(String, String), Vec<Alert>>) -> RuleStatus {
    let mut status = RuleStatus::default();
    let Rule::Alert(alerting) = rule else { return status };
    let Some(alerts) = by_rule.get_mut(&(group.to_owned(), alerting.alert.clone())) else { return status };
    let mine = |alert: &Alert| {
        alerting.labels.iter().all(|(name, template)| {
            let fixed = !template.source().contains("{{");
            !fixed || alert.labels.get(name).unwrap_or("") == template.source()
        })
    };
    let (taken, left): (Vec<_>, Vec<_>) = std::mem::take(alerts).into_iter().partition(mine);
    *alerts = left;
    status.state.active = taken.into_iter().map(|a| (a.series.clone(), a)).collect();
    status
}
