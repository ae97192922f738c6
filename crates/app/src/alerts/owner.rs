//! Which rule an alert is of, and who owns it.

use tenfold_alerting::{AlertRule, severity};
use tenfold_store::{Tx, alerts as store, deploys as service_store};
use tenfold_types::{Fault, Labels};

use super::{received::GROUP, transitions::body};

pub(crate) struct RuleOf {
    pub name: String,
    pub group: String,
    /// Empty for what others send.
    pub file: String,
    /// `critical`, `warning` or `info`, of the alert.
    pub severity: String,
    /// The label `owner` or `team`, else the team that owns the service; empty when nobody does.
    pub team: String,
}

/// The rule of an alert that is still known.
pub(crate) fn rule_of(tx: &mut dyn Tx, fingerprint: &str) -> Result<Option<RuleOf>, Fault> {
    let Some(row) = store::get(tx, fingerprint)? else { return Ok(None) };
    let labels = body(&row)?.alert.labels;
    let said = labels.get("owner").or_else(|| labels.get("team")).map(str::to_owned);
    let team = match (said, &row.service) {
        (Some(team), _) => team,
        (None, Some(service)) => service_team(tx, service)?.unwrap_or_default(),
        (None, None) => String::new(),
    };
    let sent = row.rule_group == GROUP;
    let file = if sent { String::new() } else { row.rule_file };
    Ok(Some(RuleOf { name: row.rule, group: row.rule_group, file, severity: row.severity, team }))
}

/// The severity that a rule says of all its alerts; none where a template says it of each, and where their series may.
pub(crate) fn severity_of(rule: &AlertRule) -> Option<&'static str> {
    let said = rule.labels.get("severity").map(tenfold_alerting::Template::source);
    let fixed = said.filter(|text| !text.contains("{{"))?;
    Some(severity(&Labels::from_pairs([("severity", fixed)])))
}

fn service_team(tx: &mut dyn Tx, service: &str) -> Result<Option<String>, Fault> {
    let Some(body) = service_store::service_get(tx, service)? else { return Ok(None) };
    let body: serde_json::Value = serde_json::from_str(&body).map_err(|e| Fault::internal(e.to_string()))?;
    Ok(body["owner_team"].as_str().filter(|t| !t.is_empty()).map(str::to_owned))
}
