//! Why a page goes to this person, by these ways and now. Said by the very code that decides, when a page is queued and
//! when one is foretold.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use serde::{Deserialize, Serialize};
use tenfold_oncall::{Answer, Escalation, Schedule, Target, TargetKind, Teams, paged_members};
use tenfold_store::Tx;
use tenfold_types::{Fault, Timestamp};
use utoipa::ToSchema;

use super::stored::person;
use crate::{oncall, people::Person};

/// One reason for a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PageReason {
    /// `step`, `handed`, `deployer`, `turn`, `schedule`, `person`, `team`, `copy`, `quiet` or `ways`.
    pub stage: String,
    pub because: String,
}

impl PageReason {
    pub(super) fn new(stage: &str, because: impl Into<String>) -> Self {
        Self { stage: stage.to_owned(), because: because.into() }
    }
}

/// Who stands behind a target, as far as they can be paged, and why they do.
#[derive(Debug, Clone, Default)]
pub(super) struct Behind {
    pub answer: Answer,
    because: String,
}

/// What is read of schedules and people, each once.
#[derive(Default)]
pub(super) struct Known {
    schedules: BTreeMap<String, Option<Schedule>>,
    people: BTreeMap<String, Option<Person>>,
    teams: Option<Teams>,
}

impl Known {
    /// Somebody who can be paged.
    pub(super) fn person(&mut self, tx: &mut dyn Tx, login: &str) -> Result<Option<&Person>, Fault> {
        if let Entry::Vacant(unread) = self.people.entry(login.to_owned()) {
            unread.insert(person(tx, login)?);
        }
        Ok(self.people.get(login).and_then(Option::as_ref))
    }

    /// Who stands behind each target of an escalation's steps at an instant, and whoever it is handed to. Asked for instants that
    /// only grow: overrides that were over at the first of them are not read.
    pub(super) fn behind(
        &mut self,
        tx: &mut dyn Tx,
        escalation: &Escalation,
        at: Timestamp,
    ) -> Result<BTreeMap<Target, Behind>, Fault> {
        let mut out = BTreeMap::new();
        let handed = escalation.handed_to.as_deref().map(Target::person);
        for target in escalation.policy.steps.iter().flat_map(|s| &s.targets).chain(&handed) {
            let (found, because) = match target.kind {
                TargetKind::Person => {
                    (Answer { people: vec![target.name.clone()], shadows: Vec::new() }, String::new())
                }
                TargetKind::Schedule => self.standing(tx, target, at)?,
                TargetKind::Team => {
                    (Answer { people: self.members(tx, &target.name)?, shadows: Vec::new() }, String::new())
                }
            };
            let people = self.can_be_paged(tx, found.people)?;
            let shadows = self.can_be_paged(tx, found.shadows)?;
            out.insert(target.clone(), Behind { answer: Answer { people, shadows }, because });
        }
        Ok(out)
    }

    /// Who stands where a target says in its schedule, and why: of those who can be paged.
    fn standing(&mut self, tx: &mut dyn Tx, target: &Target, at: Timestamp) -> Result<(Answer, String), Fault> {
        if let Entry::Vacant(unread) = self.schedules.entry(target.name.clone()) {
            unread.insert(oncall::schedule(tx, &target.name, at)?);
        }
        let Some(schedule) = self.schedules.get(&target.name).and_then(Option::as_ref) else {
            return Ok((Answer::default(), String::new()));
        };
        let (duty, fallback) = (schedule.duty_at(at), schedule.fallback_at(at).to_vec());
        let named = duty.people.iter().chain(&duty.behind).chain(&duty.shadows).chain(&fallback);
        let named: Vec<String> = named.cloned().collect();
        let can: BTreeSet<String> = self.can_be_paged(tx, named)?.into_iter().collect();
        let duty = duty.among(&fallback, &|login| can.contains(login));
        let schedule = self.schedules.get(&target.name).and_then(Option::as_ref);
        Ok(schedule.map(|of| oncall::standing(of, duty, target.offset)).unwrap_or_default())
    }

    /// Who is in a team now: it is asked when the step comes, and not when the incident opens.
    fn members(&mut self, tx: &mut dyn Tx, team: &str) -> Result<Vec<String>, Fault> {
        if self.teams.is_none() {
            self.teams = Some(oncall::teams(tx)?);
        }
        Ok(self.teams.as_ref().map(|all| paged_members(all, team).to_vec()).unwrap_or_default())
    }

    fn can_be_paged(&mut self, tx: &mut dyn Tx, logins: Vec<String>) -> Result<Vec<String>, Fault> {
        let mut out = Vec::new();
        for login in logins {
            if self.person(tx, &login)?.is_some() {
                out.push(login);
            }
        }
        Ok(out)
    }
}

/// Why a step of an escalation pages somebody now. `step` and `round` count from 0; `asked_by` is who did not wait for it.
pub(super) fn of_step(
    escalation: &Escalation,
    (step, round): (usize, u32),
    login: &str,
    behind: &BTreeMap<Target, Behind>,
    asked_by: Option<&str>,
) -> Vec<PageReason> {
    let policy = &escalation.policy;
    if escalation.is_handed(step) {
        return vec![PageReason::new("handed", "somebody handed the incident over to this person")];
    }
    let place = format!("step {} of {} of {}", step + 1, policy.steps.len(), policy.name);
    let since = asked_by.map_or_else(|| "nobody acknowledged".to_owned(), |by| format!("{by} asked for the next one"));
    let because = match (step, round) {
        (0, 0) => format!("{place} comes first"),
        (_, 0) => format!("{since}, so {place} is next"),
        _ => format!("{since}, so {place} comes in round {}", round + 1),
    };
    let mut out = vec![PageReason::new("step", because)];
    let Some(current) = policy.steps.get(step) else { return out };
    if escalation.led && step == 0 {
        let because = format!("deployed the service shortly before, and {} asks the deployer first", policy.name);
        out.push(PageReason::new("deployer", because));
        return out;
    }
    let holds = |target: &&Target| behind.get(*target).is_some_and(|b| names(&b.answer, login));
    let mut found: Vec<&Target> = current.targets.iter().filter(holds).collect();
    if current.round_robin {
        found.truncate(1);
        let turn = escalation.turn + u64::from(round) + 1;
        let because = format!("turn {turn}: one of {} targets is paged at a time", current.targets.len());
        out.push(PageReason::new("turn", because));
    }
    for target in found {
        let Some(behind) = behind.get(target) else { continue };
        out.push(match target.kind {
            TargetKind::Person => PageReason::new("person", "the step names this person"),
            TargetKind::Team => {
                PageReason::new("team", format!("is in the team {}, and the step pages all of it", target.name))
            }
            TargetKind::Schedule if behind.answer.people.iter().any(|p| p == login) => {
                PageReason::new("schedule", behind.because.clone())
            }
            TargetKind::Schedule => {
                PageReason::new("copy", format!("learns in {}: a copy, nobody waits for it", target.name))
            }
        });
    }
    out
}

fn names(answer: &Answer, login: &str) -> bool {
    answer.people.iter().chain(&answer.shadows).any(|p| p == login)
}
