//! Whom a policy would page if an incident opened now and nobody acknowledged: the escalation itself, played forward.

use std::collections::BTreeMap;

use serde::Serialize;
use tenfold_oncall::{Answer, Effect, Escalation, Input, Schedule, Target, TargetKind, step};
use tenfold_store::{Tx, people as store};
use tenfold_types::{Fault, Timestamp};

use super::{
    policies::{PolicyUpdate, check_targets},
    schedules::profiles,
    views::OnCallPerson,
};
use crate::App;

/// One page of a policy that is played.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ForeseenStepView {
    /// From 1.
    pub step: usize,
    /// From 1.
    pub round: u32,
    /// After the incident opened.
    pub after_ms: i64,
    /// Nobody when it is empty: the step is passed over without waiting.
    pub people: Vec<OnCallPerson>,
    /// Those who learn; they get a copy.
    pub shadows: Vec<OnCallPerson>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PolicyPreviewView {
    pub steps: Vec<ForeseenStepView>,
    /// When it has run out, after the incident opened.
    pub ends_after_ms: i64,
}

/// People who can be paged: an account that is disabled is paged nothing, though a schedule names it still.
fn pageable(tx: &mut dyn Tx) -> Result<BTreeMap<String, OnCallPerson>, Fault> {
    let mut people = profiles(tx)?;
    for row in store::people(tx)?.iter().filter(|row| row.disabled_at.is_some()) {
        people.remove(&row.login);
    }
    Ok(people)
}

fn answer(
    schedules: &BTreeMap<String, Schedule>,
    people: &BTreeMap<String, OnCallPerson>,
    target: &Target,
    at: Timestamp,
) -> Answer {
    let mut answer = match (target.kind, schedules.get(&target.name)) {
        (TargetKind::Person, _) => Answer { people: vec![target.name.clone()], shadows: Vec::new() },
        (TargetKind::Schedule, Some(schedule)) => super::standing(schedule, target.offset, at).0,
        (TargetKind::Schedule, None) => Answer::default(),
    };
    answer.people.retain(|p| people.contains_key(p));
    answer.shadows.retain(|p| people.contains_key(p));
    answer
}

/// Its limits keep this short: at most ten steps in eleven rounds.
fn played(
    mut escalation: Escalation,
    now: Timestamp,
    schedules: &BTreeMap<String, Schedule>,
    people: &BTreeMap<String, OnCallPerson>,
) -> PolicyPreviewView {
    let known = |logins: &[String]| logins.iter().filter_map(|p| people.get(p).cloned()).collect::<Vec<_>>();
    let mut steps = Vec::new();
    let mut at = now;
    while let Some(due) = escalation.next_at() {
        at = due.max(at);
        let (next, effects) = step(escalation, &Input::Tick, at, &mut |target| answer(schedules, people, target, at));
        escalation = next;
        for effect in effects {
            let (step, round, people, shadows) = match effect {
                Effect::Page { step, round, people, shadows } => (step, round, known(&people), known(&shadows)),
                Effect::Nobody { step, round } => (step, round, Vec::new(), Vec::new()),
                Effect::Exhausted => continue,
            };
            steps.push(ForeseenStepView {
                step: step + 1,
                round: round + 1,
                after_ms: at.since_ms(now),
                people,
                shadows,
            });
        }
    }
    PolicyPreviewView { steps, ends_after_ms: at.since_ms(now) }
}

impl App {
    /// Plays a policy that need not be saved. Changes nothing; the deployer who may come first is not known here.
    pub async fn policy_preview(&self, update: PolicyUpdate) -> Result<PolicyPreviewView, Fault> {
        let policy = update.clone().named("preview");
        policy.check().map_err(Fault::invalid)?;
        let now = self.now();
        self.read(move |tx| {
            check_targets(tx, &update)?;
            let all = super::schedules(tx, now)?;
            let schedules = all.into_iter().map(|s| (s.name.clone(), s)).collect();
            Ok(played(Escalation::new(policy.clone(), now), now, &schedules, &pageable(tx)?))
        })
        .await
    }
}
