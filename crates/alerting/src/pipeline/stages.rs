//! The stages between a route and its receiver: inhibition, time intervals, mutes. Each answers with a decision.

use tenfold_types::{Labels, Timestamp};

use super::{Context, Decision, PipelineState, Stage, Verdict, firing};
use crate::routes::Route;

pub(super) fn routed(fingerprint: &str, route: &Route) -> Decision {
    Decision {
        fingerprint: fingerprint.to_owned(),
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
    state: &PipelineState,
    fingerprint: &str,
    labels: &Labels,
    route: &Route,
    at: Timestamp,
) -> Vec<Decision> {
    let mut decisions = Vec::new();
    for stage in [inhibited, outside_hours, muted] {
        let decision = stage(context, state, labels, route, at);
        let (stage, verdict, because, by) = decision;
        let over = verdict == Verdict::Suppress;
        decisions.push(Decision {
            fingerprint: fingerprint.to_owned(),
            route: Some(route.key.clone()),
            stage,
            verdict,
            because,
            by,
        });
        if over {
            break;
        }
    }
    decisions
}

type Answer = (Stage, Verdict, String, Option<String>);

fn inhibited(context: Context<'_>, state: &PipelineState, labels: &Labels, _: &Route, _: Timestamp) -> Answer {
    for rule in &context.routing.inhibit_rules {
        if let Some(source) = rule.inhibits(labels, firing(state)) {
            let name = state.alerts.get(source).and_then(|k| k.labels.get("alertname")).unwrap_or("an alert");
            let because = format!("{name} ({source}) fires and inhibits it by {}", rule.name);
            return (Stage::Inhibit, Verdict::Suppress, because, Some(source.to_owned()));
        }
    }
    (Stage::Inhibit, Verdict::Pass, "no firing alert inhibits it".to_owned(), None)
}

fn outside_hours(context: Context<'_>, _: &PipelineState, _: &Labels, route: &Route, at: Timestamp) -> Answer {
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

fn muted(context: Context<'_>, _: &PipelineState, labels: &Labels, _: &Route, at: Timestamp) -> Answer {
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
