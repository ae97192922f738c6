//! Why somebody is told of an alert, or is not: the stages asked about labels at a time.

use serde::{Deserialize, Serialize};
use tenfold_types::{FlatSet, Labels, Timestamp};

use super::{
    Context, Decision, GroupId, PipelineState, Stage, Verdict, flap, flush,
    stages::{self, Sources},
};
use crate::{Fingerprint, routes::Route};

/// Refused routes that are named.
const REFUSED_MAX: usize = 200;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    pub fingerprint: Fingerprint,
    /// The routes it ends in; never empty.
    pub routes: Vec<RouteVerdict>,
    /// Routes that were asked and did not match: the route and the matcher that failed.
    pub refused: Vec<(String, String)>,
}

/// What becomes of it at one route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteVerdict {
    pub route: String,
    pub receiver: String,
    pub group: Labels,
    /// `Send` or `Wait`: somebody is told; `Suppress` or `Nothing`: nobody is.
    pub verdict: Verdict,
    /// In the order of the stages; the last one decides.
    pub decisions: Vec<Decision>,
    /// When its group is looked at next, or would be first.
    pub next_at: Timestamp,
}

/// Asks every stage about a firing alert with `labels` at `at`, as [`super::step`] does.
pub fn explain(context: Context<'_>, state: &PipelineState, labels: &Labels, at: Timestamp) -> Explanation {
    Explainer::new(context, state).explain(labels, at)
}

/// Explains many alerts: which of all alerts inhibit others is found out once, and not for each of them.
pub struct Explainer<'a> {
    context: Context<'a>,
    state: &'a PipelineState,
    sources: Sources<'a>,
}

impl<'a> Explainer<'a> {
    pub fn new(context: Context<'a>, state: &'a PipelineState) -> Self {
        Self { context, state, sources: Sources::of(context, &state.alerts) }
    }

    /// The same as [`explain`].
    pub fn explain(&self, labels: &Labels, at: Timestamp) -> Explanation {
        let fingerprint = Fingerprint::of(labels);
        let mut refused = Vec::new();
        let routes = self.context.routing.tree.matching(labels, &mut |route: &Route, matcher| {
            if refused.len() < REFUSED_MAX {
                refused.push((route.key.clone(), matcher.to_string()));
            }
        });
        let at_route = |route| at_route(self.context, self.state, &self.sources, fingerprint, labels, route, at);
        let routes = routes.into_iter().map(at_route).collect();
        Explanation { fingerprint, routes, refused }
    }
}

fn at_route(
    context: Context<'_>,
    state: &PipelineState,
    sources: &Sources<'_>,
    fingerprint: Fingerprint,
    labels: &Labels,
    route: &Route,
    at: Timestamp,
) -> RouteVerdict {
    let id = GroupId::new(route.key.clone(), route.group_labels(labels));
    let group = state.groups.get(&id);
    let next_at = group.map_or(at.plus_ms(route.group_wait_ms), |g| g.next_at.max(at));
    let mut decisions: Vec<Decision> = flap::seen(state, fingerprint, at).into_iter().collect();
    decisions.push(stages::routed(fingerprint, route));
    decisions.extend(stages::ask(context, sources, fingerprint, labels, route, at));
    let mut verdict = decisions.last().map_or(Verdict::Pass, |d| d.verdict);
    if verdict == Verdict::Pass {
        // One that has ended is told of anew, also while its group has not been looked at since.
        let anew = state.alerts.get(&fingerprint).is_some_and(|before| before.ended.is_some());
        let mut told = group.and_then(|g| g.told.clone());
        if let Some(told) = told.as_mut().filter(|_| anew) {
            told.firing.remove(&fingerprint);
        }
        let firing = FlatSet::from_iter([fingerprint]);
        let (stage, now_verdict, because) = match flush::news(told.as_ref(), &firing, &[], route, next_at) {
            None => (Stage::Notify, Verdict::Nothing, "it was told of, and it is not yet time to repeat it".to_owned()),
            Some((_, because)) if next_at <= at => (Stage::Notify, Verdict::Send, because),
            Some((_, because)) => (Stage::Group, Verdict::Wait, format!("{because}; its group is looked at {next_at}")),
        };
        verdict = now_verdict;
        decisions.push(Decision { fingerprint, route: Some(route.key.clone()), stage, verdict, because, by: None });
    }
    RouteVerdict {
        route: route.key.clone(),
        receiver: route.receiver.clone(),
        group: id.into_labels(),
        verdict,
        decisions,
        next_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import_alertmanager;
    use crate::pipeline::{FlapRules, Incoming, Input, step};

    #[test]
    fn of_many_alerts_each_is_explained_as_alone() {
        let file = "
route: {receiver: r}
receivers: [{name: r}]
inhibit_rules: [{source_matchers: [severity=critical], target_matchers: [severity=warning], equal: [host]}]
";
        let routing = import_alertmanager(file).unwrap().routing;
        let context = Context { routing: &routing, mutes: &[], flapping: FlapRules::OFF };
        let at = Timestamp(1_764_000_000_000);
        let labels = |host: &str, severity: &str| Labels::from_pairs([("host", host), ("severity", severity)]);
        let all = [labels("a", "critical"), labels("a", "warning"), labels("b", "warning")];
        let mut state = PipelineState::default();
        for labels in all.clone() {
            let annotations = crate::Annotations::default();
            let fires = Incoming { labels, annotations, starts_at: at, ended: None, lapsed: None, generator_url: None };
            step(context, &mut state, Input::Alerts(vec![fires]), at);
        }
        let explainer = Explainer::new(context, &state);
        let quiet = all.map(|labels| {
            let why = explainer.explain(&labels, at);
            assert_eq!(why, explain(context, &state, &labels, at));
            why.routes[0].verdict == Verdict::Suppress
        });
        assert_eq!(quiet, [false, true, false]);
    }
}
