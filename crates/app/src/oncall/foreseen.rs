//! Whom a policy would page if an incident opened now and nobody acknowledged: the escalation itself, played forward.

use serde::Serialize;
use tenfold_oncall::Escalation;
use tenfold_types::Fault;

use super::{
    policies::{PolicyUpdate, check_targets},
    schedules::profiles,
    views::OnCallPerson,
};
use crate::{App, incidents};

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

impl App {
    /// Plays a policy that need not be saved. Changes nothing; the deployer who may come first is not known here.
    pub async fn policy_preview(&self, update: PolicyUpdate) -> Result<PolicyPreviewView, Fault> {
        let policy = update.clone().named("preview");
        policy.check().map_err(Fault::invalid)?;
        let now = self.now();
        self.read(move |tx| {
            check_targets(tx, &update)?;
            let (steps, ended_at) = incidents::played(tx, Escalation::new(policy.clone(), now), now)?;
            let people = profiles(tx)?;
            let steps = steps.into_iter().map(|step| {
                let who = |copy: bool| {
                    let pages = step.pages.iter().filter(|page| page.copy == copy);
                    pages.filter_map(|page| people.get(&page.person).cloned()).collect()
                };
                ForeseenStepView {
                    step: step.step,
                    round: step.round,
                    after_ms: step.at.since_ms(now),
                    people: who(false),
                    shadows: who(true),
                }
            });
            Ok(PolicyPreviewView { steps: steps.collect(), ends_after_ms: ended_at.unwrap_or(now).since_ms(now) })
        })
        .await
    }
}
