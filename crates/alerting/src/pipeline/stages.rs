//! The stages between a route and its receiver: inhibition, time intervals, mutes. Each answers with a decision.

use std::collections::HashMap;
use std::sync::Arc;

use tenfold_types::{Labels, Timestamp};

use super::{Context, Decision, Known, SharedMap, Stage, Verdict};
use crate::{Fingerprint, inhibit::InhibitRule, routes::Route};

/// The alerts, and which of them may inhibit others.
pub(super) struct Sources<'a> {
    pub alerts: &'a SharedMap<Fingerprint, Arc<Known>>,
    /// By the place of the rule, then by the values of its `equal` labels.
    by_rule: Vec<HashMap<Vec<Option<&'a str>>, Vec<Source<'a>>>>,
}

type Source<'a> = (Fingerprint, &'a Labels);

impl<'a> Sources<'a> {
    pub(super) fn of(context: Context<'a>, alerts: &'a SharedMap<Fingerprint, Arc<Known>>) -> Self {
        let by_rule = |rule: &'a InhibitRule| {
            let mut by_equal: HashMap<_, Vec<Source<'a>>> = HashMap::new();
            // One whose sender is silent may be over, and keeps nobody from hearing of what fires.
            let firing = alerts.iter().filter(|(_, known)| known.over().is_none());
            for (fingerprint, known) in firing.filter(|(_, known)| rule.source.matches(&known.labels)) {
                by_equal.entry(rule.equal_of(&known.labels)).or_default().push((*fingerprint, &known.labels));
            }
            by_equal
        };
        Self { alerts, by_rule: context.routing.inhibit_rules.iter().map(by_rule).collect() }
    }

    /// The rule that keeps `target` quiet, and the alert it does so for.
    fn inhibit<'r>(&self, context: Context<'r>, target: &Labels) -> Option<(&'r InhibitRule, Source<'a>)> {
        let mut rules = context.routing.inhibit_rules.iter().zip(&self.by_rule);
        rules.find_map(|(rule, by_equal)| {
            if by_equal.is_empty() || !rule.target.matches(target) {
                return None;
            }
            let sources = by_equal.get(&rule.equal_of(target))?;
            rule.inhibits(target, sources).map(|source| (rule, source))
        })
    }
}

pub(super) fn routed(fingerprint: Fingerprint, route: &Route) -> Decision {
    Decision {
        fingerprint,
        route: Some(route.key.clone()),
        stage: Stage::Route,
        verdict: Verdict::Pass,
        because: format!("the route {} takes it to {}", route.key, route.receiver),
        by: None,
    }
}

/// Asks the stages about a firing alert at a route. Ends with the first that keeps it quiet.
pub(super) fn ask(
    context: Context<'_>,
    sources: &Sources<'_>,
    fingerprint: Fingerprint,
    labels: &Labels,
    route: &Route,
    at: Timestamp,
) -> Vec<Decision> {
    let mut decisions = Vec::new();
    for stage in [inhibited, outside_hours, muted] {
        let decision = stage(context, sources, labels, route, at);
        let (stage, verdict, because, by) = decision;
        let over = verdict == Verdict::Suppress;
        decisions.push(Decision { fingerprint, route: Some(route.key.clone()), stage, verdict, because, by });
        if over {
            break;
        }
    }
    decisions
}

type Answer = (Stage, Verdict, String, Option<String>);

fn inhibited(context: Context<'_>, sources: &Sources<'_>, labels: &Labels, _: &Route, _: Timestamp) -> Answer {
    if let Some((rule, (source, source_labels))) = sources.inhibit(context, labels) {
        let name = source_labels.get("alertname").unwrap_or("an alert");
        let because = format!("{name} ({source}) fires and inhibits it by {}", rule.name);
        return (Stage::Inhibit, Verdict::Suppress, because, Some(source.text()));
    }
    (Stage::Inhibit, Verdict::Pass, "no firing alert inhibits it".to_owned(), None)
}

fn outside_hours(context: Context<'_>, _: &Sources<'_>, _: &Labels, route: &Route, at: Timestamp) -> Answer {
    let stage = Stage::TimeInterval;
    if !route.active_time_intervals.is_empty() && context.routing.inside(&route.active_time_intervals, at).is_none() {
        let names = route.active_time_intervals.join(", ");
        return (stage, Verdict::Suppress, format!("the route is active only in {names}"), Some(names));
    }
    match context.routing.inside(&route.mute_time_intervals, at) {
        Some(name) => (stage, Verdict::Suppress, format!("the route is quiet during {name}"), Some(name.to_owned())),
        None => (stage, Verdict::Pass, "the route is active at this time".to_owned(), None),
    }
}

fn muted(context: Context<'_>, _: &Sources<'_>, labels: &Labels, _: &Route, at: Timestamp) -> Answer {
    match context.mutes.iter().find(|m| m.holds(at) && m.matches(labels)) {
        Some(mute) => {
            let spec = &mute.spec;
            let because = format!(
                "the {} {} of {} covers it until {}: {}",
                spec.kind.as_str(),
                mute.id,
                spec.author,
                spec.ends_at,
                spec.reason
            );
            (Stage::Mute, Verdict::Suppress, because, Some(mute.id.clone()))
        }
        None => (Stage::Mute, Verdict::Pass, "no mute covers it".to_owned(), None),
    }
}
