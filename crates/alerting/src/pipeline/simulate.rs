//! What would happen: the pipeline itself, stepped on a copy of its state.
//!
//! Most looks at a group find what the one before found, and a group may be looked at each second. Those are left out: the next
//! look is the first at which something may be new.

use std::sync::Arc;

use tenfold_types::Timestamp;

use super::{Context, Effect, GroupId, Input, PipelineState, step};
use crate::{Mute, Route};

/// Effects one simulation may bring.
pub const EFFECTS_MAX: usize = 100_000;
/// Alerts that one simulation looks at, each as often as it does.
const LOOKED_AT_MAX: usize = 2_000_000;
/// Hours of time intervals begin and end with a minute, in all zones.
const MINUTE_MS: i64 = 60_000;

/// An effect and when it comes.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    pub at: Timestamp,
    pub effect: Effect,
}

/// Steps a copy of `state` through `inputs` (in the order of their times) and on to `until`. What is due at the instant of an
/// input comes before the input. Ends early, with what there is, after [`EFFECTS_MAX`] effects, or when it has looked at too much.
pub fn simulate(
    context: Context<'_>,
    state: &PipelineState,
    inputs: &[(Timestamp, Input)],
    until: Timestamp,
) -> Vec<Planned> {
    play(context, state, inputs, until).0
}

/// The same, with how many alerts it has looked at.
fn play(
    context: Context<'_>,
    state: &PipelineState,
    inputs: &[(Timestamp, Input)],
    until: Timestamp,
) -> (Vec<Planned>, usize) {
    let mut state = state.clone();
    let mut out = Vec::new();
    let mut looked_at: usize = 0;
    let mut inputs = inputs.iter().filter(|(at, _)| *at <= until).peekable();
    loop {
        let due = state.next_due().filter(|at| *at <= until);
        let (at, input) = match (inputs.peek(), due) {
            (Some((at, _)), Some(due)) if due <= *at => (due, Input::Tick),
            (Some(_), _) => match inputs.next() {
                Some((at, input)) => (*at, input.clone()),
                None => return (out, looked_at),
            },
            (None, Some(due)) => (due, Input::Tick),
            (None, None) => return (out, looked_at),
        };
        let looks = state.due(at);
        let alerts = |id: &Arc<GroupId>| state.groups.get(id).map_or(0, |group| group.alerts.len());
        looked_at = looked_at.saturating_add(looks.iter().map(alerts).sum());
        out.extend(step(context, &mut state, input, at).into_iter().map(|effect| Planned { at, effect }));
        if out.len() >= EFFECTS_MAX || looked_at >= LOOKED_AT_MAX {
            return (out, looked_at);
        }
        let by = inputs.peek().map_or(until, |(at, _)| *at);
        let by = state.calm_due().map_or(by, |calm| by.min(calm));
        for id in looks {
            let told = state.groups.get(&id).map(|group| group.told.as_ref().map(|told| told.at));
            let (Some(told_at), Some(route)) = (told, context.routing.tree.by_key(id.route())) else { continue };
            let repeat = told_at.map(|told_at| told_at.plus_ms(route.repeat_interval_ms)).filter(|repeat| *repeat > at);
            let by = repeat.map_or(by, |repeat| by.min(repeat));
            state.later(&id, route.group_interval_ms, changes(context, route, at, by));
        }
    }
}

/// When the hours of a route or a mute change next; `by` at the latest.
fn changes(context: Context<'_>, route: &Route, at: Timestamp, by: Timestamp) -> Timestamp {
    let ends = context.mutes.iter().flat_map(|mute| [mute.spec.starts_at, mute.spec.ends_at]);
    let by = ends.filter(|end| *end > at).fold(by, Timestamp::min);
    let recurs = move |mute: &&Mute| !mute.spec.recurs.is_empty() && mute.spec.ends_at > at;
    let recurring = move || context.mutes.iter().filter(recurs);
    let names = [&route.active_time_intervals, &route.mute_time_intervals];
    if names.iter().all(|names| names.is_empty()) && recurring().next().is_none() {
        return by;
    }
    let hold = |at: Timestamp| {
        let inside = names.map(|names| context.routing.inside(names, at));
        (inside, recurring().map(|mute| mute.holds(at)).collect::<Vec<bool>>())
    };
    let now = hold(at);
    let mut minute = Timestamp::from_millis((at.millis().div_euclid(MINUTE_MS) + 1) * MINUTE_MS);
    while minute < by && hold(minute) == now {
        minute = minute.plus_ms(MINUTE_MS);
    }
    minute.min(by)
}

#[cfg(test)]
mod tests {
    use tenfold_types::Labels;

    use super::*;
    use crate::pipeline::{FlapRules, Incoming};
    use crate::{Annotations, RouteDefaults, Routing, RoutingSpec, import_alertmanager};

    /// 2025-11-24T16:00:00Z
    const START: Timestamp = Timestamp(1_764_000_000_000);
    const HOUR_MS: i64 = 3_600_000;

    /// In how many hours people are told of an alert that fires from the start on, and how many looks at it that took.
    fn told(routing: &Routing, hours: i64) -> (Vec<i64>, usize) {
        let labels = Labels::from_pairs([("alertname", "Down")]);
        let fires = Incoming {
            labels: labels.clone(),
            annotations: Annotations::default(),
            starts_at: START,
            ended: None,
            lapsed: None,
            generator_url: None,
        };
        let context = Context { routing, mutes: &[], flapping: FlapRules::OFF };
        let state = PipelineState::default().about(routing, &labels);
        let inputs = [(START, Input::Alerts(vec![fires]))];
        let (planned, looked_at) = play(context, &state, &inputs, START.plus_ms(hours * HOUR_MS));
        let told = planned.iter().filter(|one| matches!(one.effect, Effect::Notify(_)));
        (told.map(|one| one.at.since_ms(START) / HOUR_MS).collect(), looked_at)
    }

    #[test]
    fn a_group_that_is_looked_at_each_second_is_foretold_in_few_looks() {
        let plain = Routing::compile(&RoutingSpec::plain(), RouteDefaults::ALERTMANAGER).unwrap();
        let (hours, looked_at) = told(&plain, 24);
        assert_eq!(hours, [0, 4, 8, 12, 16, 20, 24]);
        assert!(looked_at < 10, "{looked_at}");
    }

    #[test]
    fn and_is_looked_at_when_the_hours_of_its_route_change() {
        let file = "
route:
  {receiver: r, group_wait: 0s, group_interval: 1s, repeat_interval: 30d, routes: [{mute_time_intervals: [late]}]}
receivers: [{name: r}]
time_intervals: [{name: late, time_intervals: [{times: [{start_time: '16:00', end_time: '18:00'}]}]}]
";
        let (hours, looked_at) = told(&import_alertmanager(file).unwrap().routing, 100);
        assert_eq!(hours, [2]);
        assert!(looked_at < 20, "{looked_at}");
    }
}
