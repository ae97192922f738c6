//! The rule groups in memory, with the state of each rule.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tenfold_alerting::{Alert, Finding, Group, Rule, RuleState, parse_rules_with};
use tenfold_store::alerts as store;
use tenfold_types::{Fault, Labels, STALE_NAN, Timestamp};

use super::transitions::body;
use super::{
    arrivals, asked::Asked, believed::Recorded, counted, linting, round::state_series, several::Brought, source,
};
use crate::App;

/// A group that is evaluated.
pub(super) struct Running {
    pub file: String,
    pub group: Group,
    /// Its place among all groups.
    pub place: usize,
    /// What each rule asks, in the rules' order.
    pub asked: Vec<Asked>,
    /// What its alerts lack.
    pub findings: Vec<Finding>,
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
    /// What it brought at its last evaluation on the interval: what it brings no more has ended.
    pub wrote: BTreeSet<Labels>,
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
    let mut by_rule: ByRule = BTreeMap::new();
    let mut stored: BTreeSet<String> = BTreeSet::new();
    for row in alerts {
        let of = body(&row)?;
        // One that is held as firing does not fire by its rule.
        if !of.held() {
            stored.insert(row.fingerprint);
            by_rule.entry((row.rule_file, row.rule_group, row.rule)).or_default().push(of.alert);
        }
    }
    let old = app.alerts.groups.read().clone();
    let mut before = Before::of(&old);
    // What is under way is cut with the groups as they were, and begins anew at once, on its grid.
    let cut = std::mem::take(&mut *app.alerts.late.lock());
    for running in cut.keys().filter_map(|place| old.get(*place)) {
        if let Some(Some(at)) = before.next_at.get_mut(&(running.file.clone(), running.group.name.clone())) {
            *at = at.plus_ms(-running.group.interval_ms);
        }
    }
    drop(cut);
    let interval_ms = i64::try_from(app.settings.alerts.evaluation_interval_ms).unwrap_or(i64::MAX);
    let mut groups = Vec::new();
    for file in files {
        // A file that was accepted once stays readable; if not, its alerts stay as they are and the fault is shown.
        let parsed = parse_rules_with(&file.yaml, interval_ms)
            .map_err(|e| Fault::internal(format!("the rule file {} cannot be read: {e}", file.name)))?;
        let mut found = linting::found(app.settings.alerts.lint, &parsed);
        for group in parsed.groups {
            let (of, rest): (Vec<_>, Vec<_>) = found.into_iter().partition(|f| f.group == group.name);
            found = rest;
            groups.push((file.name.clone(), group, of));
        }
    }
    let mut recorded = Recorded::new();
    for rule in groups.iter().flat_map(|(_, group, _)| &group.rules) {
        if let Rule::Record(rule) = rule {
            recorded.entry(rule.record.clone()).or_default().push(rule.expr.clone());
        }
    }
    let mut running = Vec::new();
    for (file, group, findings) in groups {
        let next_at = before.next_at.remove(&(file.clone(), group.name.clone())).flatten();
        let mut rules = Vec::with_capacity(group.rules.len());
        for rule in &group.rules {
            let place = (file.as_str(), group.name.as_str());
            let mut status = rule_status(place, rule, &mut by_rule);
            let old = before.rules.get_mut(&key(place, rule)).and_then(Vec::pop).unwrap_or_default();
            status.wrote = old.wrote;
            // What is recorded from a rule that fails stays without word until it is asked again.
            if old.expr == rule.expr() {
                status.error = old.error;
            }
            // What two rules bring is stored with the first of them; only memory knows of the other, which may have its name.
            let beside = |alert: &Alert| stored.contains(&alert.fingerprint);
            for (series, alert) in old.state.active.into_iter().filter(|(_, alert)| beside(alert)) {
                status.state.active.entry(series).or_insert(alert);
            }
            // After a start, and after another node, nothing is known but what is stored.
            status.wrote.extend(state_series(&status.state).into_iter().map(|(labels, _)| labels));
            rules.push(status);
        }
        running.push(Arc::new(Running {
            file,
            place: running.len(),
            asked: group.rules.iter().map(|rule| Asked::of(app, rule, &recorded)).collect(),
            group,
            findings,
            status: Mutex::new(Status { next_at, rules, ..Status::default() }),
        }));
    }
    end_series(app, before, &running);
    arrivals::watch(app, &running);
    counted::begin(app, &running);
    *app.alerts.brought.lock() = Brought::of(&running);
    *app.alerts.groups.write() = running;
    super::pipeline::reload(app, false).await
}

/// The file, the group and the name of a rule.
type Named = (String, String, String);
type ByRule = BTreeMap<Named, Vec<Alert>>;
/// File and group, whether the rule records, its name and its own labels.
type Key = (String, String, bool, String, Vec<(String, String)>);

fn key((file, group): (&str, &str), rule: &Rule) -> Key {
    let labels = match rule {
        Rule::Alert(r) => r.labels.iter().map(|(n, t)| (n.clone(), t.source().to_owned())).collect(),
        Rule::Record(r) => r.labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
    };
    (file.to_owned(), group.to_owned(), matches!(rule, Rule::Record(_)), rule.name().to_owned(), labels)
}

/// What is taken over from the groups that were in memory.
#[derive(Default)]
struct Before {
    next_at: BTreeMap<(String, String), Option<Timestamp>>,
    /// The last first, where a rule is there several times.
    rules: BTreeMap<Key, Vec<Old>>,
}

#[derive(Default)]
struct Old {
    expr: String,
    error: Option<String>,
    wrote: BTreeSet<Labels>,
    state: RuleState,
}

impl Before {
    fn of(groups: &[Arc<Running>]) -> Self {
        let mut before = Self::default();
        for running in groups {
            let status = running.status.lock();
            before.next_at.insert((running.file.clone(), running.group.name.clone()), status.next_at);
            for (rule, status) in running.group.rules.iter().zip(&status.rules).rev() {
                let of = key((running.file.as_str(), running.group.name.as_str()), rule);
                let old = Old {
                    expr: rule.expr().to_owned(),
                    error: status.error.clone(),
                    wrote: status.wrote.clone(),
                    state: status.state.clone(),
                };
                before.rules.entry(of).or_default().push(old);
            }
        }
        before
    }
}

/// The series of rules that are gone have ended, unless another rule brings them.
fn end_series(app: &App, before: Before, groups: &[Arc<Running>]) {
    let mut gone: BTreeSet<Labels> = before.rules.into_values().flatten().flat_map(|old| old.wrote).collect();
    if gone.is_empty() {
        return;
    }
    for running in groups {
        for labels in running.status.lock().rules.iter().flat_map(|status| &status.wrote) {
            gone.remove(labels);
        }
    }
    source::bring(app, gone.into_iter().map(|labels| (labels, STALE_NAN)).collect(), app.now());
}

/// The alerts of a rule are those of its name that have its labels and no others than their series; labels made from templates
/// are told apart by the label names alone.
fn rule_status((file, group): (&str, &str), rule: &Rule, by_rule: &mut ByRule) -> RuleStatus {
    let mut status = RuleStatus::default();
    let Rule::Alert(alerting) = rule else { return status };
    let of = (file.to_owned(), group.to_owned(), alerting.alert.clone());
    let Some(alerts) = by_rule.get_mut(&of) else { return status };
    let mine = |alert: &Alert| {
        let has_own = alerting.labels.iter().all(|(name, template)| {
            let fixed = name != "alertname" && !template.source().contains("{{");
            !fixed || alert.labels.get(name).unwrap_or("") == template.source()
        });
        // Else a rule without labels would have those of another that adds one.
        let of_series = |(name, value): (&str, &str)| {
            let own = name == "alertname" || alerting.labels.contains_key(name);
            own || alert.series.get(name).unwrap_or("") == value
        };
        has_own && alert.labels.iter().all(of_series)
    };
    let (taken, left): (Vec<_>, Vec<_>) = std::mem::take(alerts).into_iter().partition(mine);
    *alerts = left;
    status.state.active = taken.into_iter().map(|a| (a.series.clone(), a)).collect();
    status
}
