//! The figures. Each says in its documentation exactly what is counted; `docs/guide/incidents.md` tells the same to users.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

use crate::{
    facts::{Cause, Deploy, Facts, Outcome},
    quantile::quantile,
};

/// Goes up when a definition changes; published figures carry it.
pub const DEFINITIONS_VERSION: u32 = 1;

/// What is asked. A deploy belongs to the window in which it finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub from: Timestamp,
    /// The first instant that no longer belongs to it.
    pub to: Timestamp,
    /// `None`: all services together.
    pub service: Option<String>,
    pub environment: String,
    /// Count deploys that were stopped at the canary as shipped and failed. They are told separately otherwise.
    pub canary_stopped: bool,
}

/// One figure. `value` is `None` when there is nothing to compute it from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    pub value: Option<f64>,
    /// How many observations stand behind it.
    pub n: usize,
    pub unit: String,
    /// `seq` of the events it comes from, sorted.
    pub events: Vec<i64>,
    /// The 90th percentile, of figures that are durations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90: Option<f64>,
    /// The upper end of the interval, when causes are not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upper: Option<f64>,
    /// Failures without a recovery yet; they are not in `value`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub open: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Deploys shipped. Rollbacks are not deploys.
    pub deploys: Figure,
    /// Failed deploys / deploys shipped, 0 to 1. Failed: reverted by a rollback, undone in production, or the recorded
    /// cause of an incident. `upper` adds the first suspects of incidents without a recorded cause.
    pub change_fail_rate: Figure,
    /// Median time from the end of a failed deploy (its first production traffic if it was undone on the way) to the
    /// first recovery: the end of the rollback, or of the incident.
    pub recovery_ms: Figure,
    /// Median time from commit to the end of the first deploy that shipped it, each commit once.
    pub lead_time_ms: Figure,
    /// Rollbacks and hotfixes / all that was put into production.
    pub rework_rate: Figure,
    /// Changes shipped: commits, each deploy's count.
    pub changes: usize,
    /// How many different authors these changes have.
    pub people: usize,
    /// Stopped at the canary; in the other figures only when asked for.
    pub canary_stopped: usize,
    pub definitions_version: u32,
}

impl Figures {
    /// "12 deploys of 31 changes by 5 people".
    pub fn sentence(&self) -> String {
        let count = |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
        format!(
            "{} of {} by {}",
            count(self.deploys.n, "deploy", "deploys"),
            count(self.changes, "change", "changes"),
            count(self.people, "person", "people")
        )
    }
}

fn figure(value: Option<f64>, n: usize, unit: &str, events: BTreeSet<i64>) -> Figure {
    let events = events.into_iter().collect();
    Figure { value, n, unit: unit.to_owned(), events, p90: None, upper: None, open: 0 }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Computes all figures of a window. `facts` should reach back before it, so that a commit shipped earlier is not
/// counted again.
pub fn figures(facts: &Facts, query: &Query) -> Figures {
    let mut scope: Vec<&Deploy> = facts
        .deploys
        .iter()
        .filter(|d| d.environment == query.environment && query.service.as_ref().is_none_or(|s| *s == d.service))
        .collect();
    scope.sort_by_key(|d| (d.finished_at, d.number));
    let in_window = |d: &Deploy| d.finished_at.is_some_and(|t| query.from <= t && t < query.to);
    let counts = |d: &Deploy| {
        !d.rollback
            && match d.outcome {
                Outcome::Succeeded | Outcome::RolledBack => true,
                Outcome::CanaryStopped => query.canary_stopped,
                Outcome::NotShipped => false,
            }
    };
    let shipped: Vec<&Deploy> = scope.iter().copied().filter(|d| in_window(d) && counts(d)).collect();
    let rollbacks: Vec<&Deploy> =
        scope.iter().copied().filter(|d| in_window(d) && d.rollback && d.outcome == Outcome::Succeeded).collect();
    let stopped = scope.iter().filter(|d| in_window(d) && !d.rollback && d.outcome == Outcome::CanaryStopped);
    let causes = Causes::new(facts);
    let failed: Vec<&Deploy> = shipped.iter().copied().filter(|d| causes.failed(d)).collect();
    let succeeded: Vec<&Deploy> =
        scope.iter().copied().filter(|d| !d.rollback && d.outcome == Outcome::Succeeded).collect();
    Figures {
        deploys: figure(Some(shipped.len() as f64), shipped.len(), "deploys", shipped.iter().map(|d| d.seq).collect()),
        change_fail_rate: change_fail_rate(&shipped, &failed, &causes),
        recovery_ms: recovery(&failed, &causes),
        lead_time_ms: lead_time(&succeeded, &in_window),
        rework_rate: rework_rate(&shipped, &rollbacks),
        changes: shipped.iter().map(|d| d.commit_count).sum(),
        people: shipped
            .iter()
            .flat_map(|d| &d.commits)
            .filter_map(|c| c.author.as_ref())
            .collect::<BTreeSet<_>>()
            .len(),
        canary_stopped: stopped.count(),
        definitions_version: DEFINITIONS_VERSION,
    }
}

/// What the record says about failures, by deploy.
struct Causes<'a> {
    /// Rollbacks that revert it.
    reverted_by: BTreeMap<i64, Vec<&'a Deploy>>,
    /// Incidents it caused: end (if any) and event.
    incidents: BTreeMap<i64, Vec<(Option<Timestamp>, i64)>>,
    /// First suspects of incidents whose cause nobody recorded.
    suspected: BTreeSet<i64>,
}

impl<'a> Causes<'a> {
    fn new(facts: &'a Facts) -> Self {
        let mut causes = Self { reverted_by: BTreeMap::new(), incidents: BTreeMap::new(), suspected: BTreeSet::new() };
        for deploy in &facts.deploys {
            if let Some(reverted) = deploy.reverts {
                causes.reverted_by.entry(reverted).or_default().push(deploy);
            }
        }
        for incident in &facts.incidents {
            match incident.cause {
                Cause::Deploy(number) => {
                    causes.incidents.entry(number).or_default().push((incident.resolved_at, incident.seq));
                }
                Cause::Unknown => causes.suspected.extend(incident.suspects.first()),
                Cause::Other => {}
            }
        }
        causes
    }

    fn failed(&self, deploy: &Deploy) -> bool {
        deploy.outcome != Outcome::Succeeded
            || self.reverted_by.contains_key(&deploy.number)
            || self.incidents.contains_key(&deploy.number)
    }

    /// Instant and event of the first recovery.
    fn recovery(&self, deploy: &Deploy) -> Option<(Timestamp, i64)> {
        let own = (deploy.outcome != Outcome::Succeeded).then(|| deploy.finished_at.map(|t| (t, deploy.seq))).flatten();
        let rollbacks = self.reverted_by.get(&deploy.number).into_iter().flatten();
        let rollbacks =
            rollbacks.filter(|r| r.outcome == Outcome::Succeeded).filter_map(|r| r.finished_at.map(|t| (t, r.seq)));
        let incidents = self.incidents.get(&deploy.number).into_iter().flatten();
        let incidents = incidents.filter_map(|(end, seq)| end.map(|t| (t, *seq)));
        own.into_iter().chain(rollbacks).chain(incidents).min()
    }
}

fn change_fail_rate(shipped: &[&Deploy], failed: &[&Deploy], causes: &Causes<'_>) -> Figure {
    let suspected = shipped.iter().filter(|d| !causes.failed(d) && causes.suspected.contains(&d.number)).count();
    let mut out =
        figure(ratio(failed.len(), shipped.len()), shipped.len(), "ratio", failed.iter().map(|d| d.seq).collect());
    if suspected > 0 {
        out.upper = ratio(failed.len() + suspected, shipped.len());
    }
    out
}

fn recovery(failed: &[&Deploy], causes: &Causes<'_>) -> Figure {
    let mut times = Vec::new();
    let mut events = BTreeSet::new();
    let mut open = 0;
    for deploy in failed {
        let start = if deploy.outcome == Outcome::Succeeded { deploy.finished_at } else { deploy.production_at };
        match (start, causes.recovery(deploy)) {
            (Some(start), Some((end, seq))) => {
                times.push(end.since_ms(start).max(0) as f64);
                events.extend([deploy.seq, seq]);
            }
            _ => open += 1,
        }
    }
    let mut out = figure(quantile(&times, 0.5), times.len(), "ms", events);
    out.p90 = quantile(&times, 0.9);
    out.open = open;
    out
}

fn lead_time(succeeded: &[&Deploy], in_window: &dyn Fn(&Deploy) -> bool) -> Figure {
    let mut seen: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut times = Vec::new();
    let mut events = BTreeSet::new();
    for deploy in succeeded {
        let Some(end) = deploy.finished_at else { continue };
        for commit in &deploy.commits {
            if seen.insert((&deploy.service, &commit.sha)) && in_window(deploy) {
                times.push(end.since_ms(commit.at).max(0) as f64);
                events.insert(deploy.seq);
            }
        }
    }
    let mut out = figure(quantile(&times, 0.5), times.len(), "ms", events);
    out.p90 = quantile(&times, 0.9);
    out
}

fn rework_rate(shipped: &[&Deploy], rollbacks: &[&Deploy]) -> Figure {
    let rework: Vec<&&Deploy> = shipped.iter().filter(|d| d.fixes.is_some()).chain(rollbacks).collect();
    let all = shipped.len() + rollbacks.len();
    figure(ratio(rework.len(), all), all, "ratio", rework.iter().map(|d| d.seq).collect())
}
