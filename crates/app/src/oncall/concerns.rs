//! What concerns a schedule: alerts, incidents and mutes that reach its people. An incident does by the policy that it escalates
//! by, whatever else by the policy of its service. A policy reaches a schedule when one of its steps names it, or one of the
//! people who share it, or a team that one of them is in.

use std::collections::{BTreeMap, BTreeSet};

use tenfold_oncall::{Policy, Schedule, TargetKind, Teams};
use tenfold_store::Tx;
use tenfold_types::{Event, Fault, Timestamp};

use super::teams;
use crate::incidents::{policy_for, policy_of};

/// What was found out of services and incidents, for one schedule and a stretch of time.
pub(super) struct Concerns {
    schedule: String,
    /// Those who share the schedule, and those who stood in for somebody.
    pub people: BTreeSet<String>,
    /// Read when the first policy that is looked at names a team.
    teams: Option<Teams>,
    services: BTreeMap<Option<String>, bool>,
    incidents: BTreeMap<i64, bool>,
}

impl Concerns {
    pub fn of(of: &Schedule, from: Timestamp, to: Timestamp) -> Self {
        let mut people: BTreeSet<String> = of.spans(from, to).into_iter().flat_map(|span| span.people).collect();
        for version in [of.version_at(from), of.version_at(to)].into_iter().flatten() {
            people.extend(of.people_of(version).into_iter().map(str::to_owned));
        }
        Self { schedule: of.name.clone(), people, teams: None, services: BTreeMap::new(), incidents: BTreeMap::new() }
    }

    fn reaches(&mut self, tx: &mut dyn Tx, policy: &Policy) -> Result<bool, Fault> {
        if self.teams.is_none() && !teams::named_by(policy).is_empty() {
            self.teams = Some(teams::teams(tx)?);
        }
        let members = |team: &str| self.teams.as_ref().and_then(|all| all.get(team)).into_iter().flatten();
        Ok(policy.steps.iter().flat_map(|step| &step.targets).any(|target| match target.kind {
            TargetKind::Schedule => target.name == self.schedule,
            TargetKind::Person => self.people.contains(&target.name),
            TargetKind::Team => members(&target.name).any(|login| self.people.contains(login)),
        }))
    }

    /// Whether what is about a service, or about none, reaches the schedule.
    fn service(&mut self, tx: &mut dyn Tx, service: Option<&str>) -> Result<bool, Fault> {
        let key = service.map(str::to_owned);
        if let Some(known) = self.services.get(&key) {
            return Ok(*known);
        }
        let reaches = match policy_for(tx, None, service)? {
            Some(policy) => self.reaches(tx, &policy)?,
            None => false,
        };
        self.services.insert(key, reaches);
        Ok(reaches)
    }

    /// Of an event about an alert, a page or a mute. A mute that names no service may keep anything quiet.
    pub fn event(&mut self, tx: &mut dyn Tx, event: &Event) -> Result<bool, Fault> {
        let service = event.subject.service.as_deref();
        match event.subject.incident {
            Some(number) => self.incident(tx, number, service),
            None if event.kind == "mute.created" && service.is_none() => Ok(true),
            None => self.service(tx, service),
        }
    }

    pub fn incident(&mut self, tx: &mut dyn Tx, number: i64, service: Option<&str>) -> Result<bool, Fault> {
        if let Some(known) = self.incidents.get(&number) {
            return Ok(*known);
        }
        let reaches = match policy_of(tx, number)? {
            Some(policy) => self.reaches(tx, &policy)?,
            // Nobody is paged for it; whoever has the service should know all the same.
            None => self.service(tx, service)?,
        };
        self.incidents.insert(number, reaches);
        Ok(reaches)
    }
}
