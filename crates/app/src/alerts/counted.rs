//! What is counted of each group of rules, under Prometheus' own names: alerts and dashboards of who comes from there ask whether
//! rules fail or are left out.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::groups::Running;
use crate::App;

/// Groups of which it is counted, the first of all.
const GROUPS_MAX: usize = 1_000;

const ITERATIONS: &str = "prometheus_rule_group_iterations_total";
const MISSED: &str = "prometheus_rule_group_iterations_missed_total";
const EVALUATIONS: &str = "prometheus_rule_evaluations_total";
const FAILURES: &str = "prometheus_rule_evaluation_failures_total";
const ALL: [&str; 4] = [ITERATIONS, MISSED, EVALUATIONS, FAILURES];

fn name(running: &Running) -> String {
    format!("{};{}", running.file, running.group.name)
}

fn add(app: &App, running: &Running, what: &str, by: f64) {
    if running.place < GROUPS_MAX {
        app.metrics.own.add(what, &[("rule_group", &name(running))], by);
    }
}

/// Counts begin with nothing, so that the first failure is an increase. Those of groups that are gone end.
pub(super) fn begin(app: &App, groups: &[Arc<Running>]) {
    let names: BTreeSet<String> = groups.iter().take(GROUPS_MAX).map(|running| name(running)).collect();
    app.metrics.own.keep(&ALL, |labels| labels.get("rule_group").is_some_and(|name| names.contains(name)));
    for running in groups {
        for what in ALL {
            add(app, running, what, 0.0);
        }
    }
}

/// A group is due by its interval, and was so many times before without being evaluated.
pub(super) fn due(app: &App, running: &Running, missed: i64) {
    add(app, running, ITERATIONS, (missed + 1) as f64);
    add(app, running, MISSED, missed as f64);
}

pub(super) fn evaluated(app: &App, running: &Running, rules: usize) {
    add(app, running, EVALUATIONS, rules as f64);
}

/// A rule of the group.
pub(super) fn failed(app: &App, running: &Running) {
    add(app, running, FAILURES, 1.0);
}
