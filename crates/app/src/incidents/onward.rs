//! Asking others for an incident by hand: the next step without waiting, or one person by name. Nobody has it from then on until
//! one of them acknowledges, and behind them the escalation goes on as ever. The node with the lease pages, at its next look.

use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use tenfold_oncall::{Escalation, Input, Policy, Progress};
use tenfold_store::{Tx, incidents as store};
use tenfold_types::{Fault, Severity};

use super::{
    escalate::Channels,
    manage::{NOTE_BYTES_MAX, may, trimmed},
    open::{record, stop_escalation, supersede},
    stored::{AskedNext, COPY, Incident, State, person},
    views::{IncidentView, incident_view},
};
use crate::{
    App, Caller, Txn,
    alerts::{Cover, LabelsRead},
};

/// What the escalation of an incident without a policy is called that was handed to somebody. No policy has a space in its name.
const BY_HAND: &str = "by hand";

/// How much of what they should know stands in their page; the timeline has all of it.
const PAGE_CHARS_MAX: usize = 500;

/// To whom an incident is handed over.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HandOver {
    /// Login.
    pub person: String,
    /// What they should know, for their page and the timeline.
    #[serde(default)]
    pub text: Option<String>,
}

/// So soon after somebody asked for the next one, a word that does not say which step was seen asks nobody more: two people who
/// type it at once ask one step and not two.
pub const ASKED_AGAIN_MS: i64 = 5_000;

/// The step and the round that somebody saw on an incident's escalation before they asked the next one; as `EscalationView` says
/// them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenPlace {
    pub step: i64,
    pub round: i64,
}

impl SeenPlace {
    fn of(paged: Option<(usize, u32)>, steps: usize) -> Self {
        let Some((step, round)) = paged else { return Self { step: 0, round: 1 } };
        Self { step: i64::try_from((step + 1).min(steps)).unwrap_or(i64::MAX), round: i64::from(round) + 1 }
    }
}

/// An incident for which others may be asked by hand.
fn askable(t: &mut Txn<'_>, who: &Caller, read: &Mutex<LabelsRead>, number: i64) -> Result<Incident, Fault> {
    let incident = Incident::get(t.tx(), number)?;
    may(who, &incident)?;
    if incident.state == State::Resolved {
        return Err(Fault::conflict(format!("incident {number} is resolved already"))
            .advice("open another one if it is not over"));
    }
    let now = t.now();
    if let Some(because) = Cover::at(t.tx(), now)?.of_incident(t.tx(), read, number)? {
        return Err(Fault::conflict(format!("nobody is asked for incident {number}: {because}"))
            .advice("end the mute first: `tenfold mutes` lists them, `tenfold unmute N` ends one"));
    }
    Ok(incident)
}

/// The place, step and round from 0, of the page that came last; copies are nobody's turn.
fn paged_last(tx: &mut dyn Tx, number: i64) -> Result<Option<(usize, u32)>, Fault> {
    let pages = store::pages(tx, number)?;
    let last = pages.iter().filter(|p| p.body != COPY).map(|p| (p.round, p.step)).max();
    Ok(last.map(|(round, step)| (usize::try_from(step).unwrap_or(0), u32::try_from(round).unwrap_or(0))))
}

impl App {
    /// Asks the next step of the policy now: who was asked before, or has it, is waited for no more. A policy that has no step
    /// left is gone through once more. Nothing is done where somebody is about to be paged, nor where another page came since
    /// what was `seen`: whoever presses twice, or as somebody else does, asks one step and not two. Where nobody says what they
    /// saw, nothing is done within [`ASKED_AGAIN_MS`] of another one who asked, unless somebody acknowledged since.
    pub async fn incident_escalate(
        &self,
        who: &Caller,
        number: i64,
        seen: Option<SeenPlace>,
    ) -> Result<IncidentView, Fault> {
        let (who, read) = (who.clone(), self.incidents.labels_read.clone());
        let view = self
            .transact(move |t| {
                let mut incident = askable(t, &who, &read, number)?;
                let paged = paged_last(t.tx(), number)?;
                let Some(escalation) = incident.body.escalation.as_ref().filter(|e| !e.policy.steps.is_empty()) else {
                    let text = format!("incident {number} has no escalation policy, so there is no next one to ask");
                    return Err(Fault::conflict(text).advice("hand it over to somebody by name"));
                };
                let about_to = matches!(&escalation.progress, Progress::Waiting { next_at, .. } if *next_at <= t.now());
                let stale = seen.is_some_and(|seen| seen != SeenPlace::of(paged, escalation.policy.steps.len()));
                let lately = |asked: &AskedNext| (0..ASKED_AGAIN_MS).contains(&t.now().since_ms(asked.at));
                let asked =
                    seen.is_none() && incident.state == State::Open && incident.body.asked.as_ref().is_some_and(lately);
                if stale || asked || (about_to && incident.body.paused.is_none()) {
                    return incident_view(t.tx(), &incident);
                }
                let (step, round) = escalation.place_after(paged);
                let (policy, steps) = (escalation.policy.name.clone(), escalation.policy.steps.len());
                let (had, had_name) = incident.let_go();
                stop_escalation(&mut incident, &Input::Asked { step, round }, t.now());
                incident.body.asked = Some(AskedNext { by: who.name.clone(), at: t.now(), step, round });
                incident.write(t.tx())?;
                let instead = had_name.map(|name| format!(" instead of {name}")).unwrap_or_default();
                let text = format!(
                    "{} asks the next one for incident {number}{instead}: step {} of {steps} of {policy}",
                    who.name,
                    step + 1
                );
                let data = json!({"policy": policy, "step": step, "round": round, "acknowledged_by": had});
                told(t, &incident, &who, ("incident.escalated", text, data))
            })
            .await?;
        self.incidents.wake();
        Ok(view)
    }

    /// Pages one person by name, who is waited for as long as for the policy's first step; then the whole policy follows. Who was
    /// asked before is told nothing more.
    pub async fn incident_hand_over(&self, who: &Caller, number: i64, to: HandOver) -> Result<IncidentView, Fault> {
        let note = match to.text.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
            Some(text) => Some(trimmed("a note", text, NOTE_BYTES_MAX)?),
            None => None,
        };
        let (who, login, channels) = (who.clone(), to.person, Channels::of(self));
        let read = self.incidents.labels_read.clone();
        let view = self
            .transact(move |t| {
                let now = t.now();
                let mut incident = askable(t, &who, &read, number)?;
                let Some(person) = person(t.tx(), &login)? else {
                    return Err(Fault::not_found(format!("there is no account `{login}` that could be paged"))
                        .advice("give a login, as `tenfold who` and the page Readiness show it"));
                };
                if incident.body.acknowledged_by.as_deref() == Some(login.as_str()) {
                    return Err(Fault::conflict(format!("{} has incident {number} already", person.name)));
                }
                if channels.for_person(&person).is_empty() {
                    let text = format!("{} cannot be paged: no channel that is set up has an address", person.name);
                    return Err(Fault::conflict(text).advice("hand it over to somebody else, or call them"));
                }
                let round = paged_last(t.tx(), number)?.map_or(0, |(_, round)| round + 1);
                let (had, had_name) = incident.let_go();
                if incident.body.escalation.is_none() {
                    incident.body.escalation = Some(Escalation::new(no_policy(), now));
                }
                stop_escalation(&mut incident, &Input::HandedTo { person: login.clone(), round }, now);
                // What somebody asked for before is no answer to who asks for the next one now.
                incident.body.asked = None;
                let said = note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
                let page = said.chars().take(PAGE_CHARS_MAX).collect::<String>();
                incident.body.handed = Some(format!("{} handed this over to you{page}", who.name));
                incident.write(t.tx())?;
                supersede(t.tx(), number, None)?;
                let from = had_name.filter(|name| *name != who.name);
                let from = from.map(|name| format!(", which {name} had,")).unwrap_or_default();
                let text = format!("{} handed incident {number}{from} over to {}{said}", who.name, person.name);
                let data = json!({
                    "to": login, "to_name": person.name, "acknowledged_by": had, "note": note, "round": round,
                });
                told(t, &incident, &who, ("incident.handed_over", text, data))
            })
            .await?;
        self.incidents.wake();
        Ok(view)
    }
}

/// Records what was done, as an event of this kind with its text and data; how the incident stands with it.
fn told(
    t: &mut Txn<'_>,
    incident: &Incident,
    who: &Caller,
    (kind, text, data): (&str, String, serde_json::Value),
) -> Result<IncidentView, Fault> {
    let draft = record(incident, who.actor.clone(), who.source, kind, text, Severity::Warning);
    t.record(draft.data(data))?;
    incident_view(t.tx(), incident)
}

/// Nobody comes behind whoever an incident without a policy is handed to.
fn no_policy() -> Policy {
    Policy { name: BY_HAND.to_owned(), steps: Vec::new(), repeat: 0, deployer_first: None, ack_timeout_ms: None }
}
