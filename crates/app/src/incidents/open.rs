//! Opening an incident or joining the one that is open, and resolving it when its alerts are over. Called inside the
//! transaction that stores the alert's transition.

use serde_json::json;
use tenfold_oncall::{Answer, Escalation, Input, Policy, Progress, step};
use tenfold_store::{Tx, alerts::AlertRow, counters, events, events::EventQuery, incidents as store};
use tenfold_types::{Actor, ActorKind, EventDraft, Fault, Severity, Source, Timestamp};

use super::{
    drill,
    keys::{About, policy_for},
    owed::{owe, owe_grown},
    reopen::{cancelled, ended_lately, reopen},
    stored::{Body, CameBy, Incident, State, person, word},
};
use crate::{
    Txn,
    alerts::{SuspectView, UpdateKind},
};

/// The incident an alert goes to; one that is resolved is opened again.
pub(crate) struct Joining {
    pub number: i64,
    /// Of the route that leads there: people are not told of its growth more often.
    pub group_interval_ms: i64,
    /// How an incident that is opened for it says that it came.
    pub came_by: Option<CameBy>,
    key: String,
    existing: Option<Incident>,
}

/// Events of deploys looked through for the deployer.
const DEPLOY_EVENTS_MAX: usize = 500;

/// The open incident of what the alert is about, or one that ended less than `reopen_ms` ago, or the number of the one to be
/// opened.
pub(crate) fn number_for(t: &mut Txn<'_>, about: About<'_>, reopen_ms: i64) -> Result<Joining, Fault> {
    let (now, key) = (t.now(), about.key(t.tx())?);
    let existing = match store::open_by_key(t.tx(), &key)? {
        Some(open) => Some(Incident::read(&open)?),
        None => ended_lately(t.tx(), &key, now, reopen_ms)?,
    };
    let number = match &existing {
        Some(incident) => incident.number,
        None => counters::next(t.tx(), "incident")?,
    };
    Ok(Joining { number, group_interval_ms: 0, came_by: None, key, existing })
}

/// Adds the alert to its incident, opening it when it is new: then `policy` is asked, or that of the service.
pub(crate) fn join(
    t: &mut Txn<'_>,
    joining: &Joining,
    row: &AlertRow,
    title: &str,
    suspects: &[SuspectView],
    policy: Option<&str>,
) -> Result<(), Fault> {
    let now = t.now();
    if let Some(existing) = &joining.existing {
        let mut incident = existing.clone();
        let rises = row.severity == "critical" && incident.body.severity != "critical";
        if rises {
            "critical".clone_into(&mut incident.body.severity);
        }
        if incident.body.suspects.is_empty() {
            incident.body.suspects = suspects.to_vec();
        }
        let known = store::is_member(t.tx(), joining.number, &row.fingerprint)?;
        let again = incident.state == State::Resolved;
        if again {
            reopen(t, &mut incident, &joining.key, &row.fingerprint, title)?;
        }
        if rises {
            ring_anew(t.tx(), &mut incident, now)?;
        }
        if rises || !again {
            incident.write(t.tx())?;
        }
        // One that comes and goes within its incident is no news.
        if again || !known {
            owe_grown(t, &incident, joining.group_interval_ms)?;
        }
    } else {
        let new = New {
            number: joining.number,
            key: Some(joining.key.clone()),
            title: title.to_owned(),
            severity: row.severity.clone(),
            service: row.service.clone(),
            environment: row.environment.clone(),
            opened_by: Actor::system(),
            onset: row.active_since,
            suspects: suspects.to_vec(),
            policy: policy.map(str::to_owned),
            came_by: joining.came_by.clone(),
            drill: false,
        };
        open(t, new, Source::System, Some(&row.fingerprint))?;
    }
    store::join(t.tx(), joining.number, &row.fingerprint, now)?;
    Ok(())
}

/// What people may have been told of by quiet ways has become critical, and nobody has it: the escalation begins again, as
/// its next round. The rounds that `repeat` gives are not more by it.
pub(super) fn ring_anew(tx: &mut dyn Tx, incident: &mut Incident, now: Timestamp) -> Result<(), Fault> {
    if incident.state != State::Open {
        return Ok(());
    }
    let round = store::pages(tx, incident.number)?.iter().map(|p| p.round).max().unwrap_or(-1) + 1;
    if let Some(escalation) = &mut incident.body.escalation {
        let round = u32::try_from(round).unwrap_or(0);
        escalation.progress = Progress::Waiting { step: 0, round, next_at: now };
    }
    Ok(())
}

pub(super) struct New {
    pub number: i64,
    pub key: Option<String>,
    pub title: String,
    pub severity: String,
    pub service: Option<String>,
    pub environment: Option<String>,
    pub opened_by: Actor,
    pub onset: Timestamp,
    pub suspects: Vec<SuspectView>,
    /// The escalation policy that a route names.
    pub policy: Option<String>,
    pub came_by: Option<CameBy>,
    /// People practise; nothing is broken.
    pub drill: bool,
}

/// What stands before the title of everything that is sent about a drill.
const DRILL: &str = "DRILL";

/// Writes a new incident with a fresh escalation and records it.
pub(super) fn open(t: &mut Txn<'_>, new: New, source: Source, alert: Option<&str>) -> Result<Incident, Fault> {
    let now = t.now();
    let escalation = escalation_for(t, &new)?;
    let title = if new.drill { format!("{DRILL}: {}", new.title) } else { new.title };
    let incident = Incident {
        number: new.number,
        open_key: new.key,
        state: State::Open,
        opened_at: now,
        body: Body {
            title,
            severity: new.severity,
            drill: new.drill,
            service: new.service,
            environment: new.environment,
            opened_by: new.opened_by.id.clone(),
            acknowledged_at: None,
            acknowledged_by: None,
            acknowledged_by_name: None,
            resolved_at: None,
            resolved_by: None,
            caused_by: None,
            suspects: new.suspects,
            onset: new.onset,
            escalation,
            classified: None,
            reopened: 0,
            before_end: None,
            cancelled: None,
            paused: None,
            asked: None,
            handed: None,
            came_by: new.came_by,
        },
    };
    incident.write(t.tx())?;
    let body = &incident.body;
    let mut text = format!("Incident {}: {}", incident.number, body.title);
    if let Some(suspect) = body.suspects.first() {
        text.extend(["; suspect: ", &suspect.text, " by ", &suspect.actor_name]);
    }
    if body.escalation.is_none() {
        text.push_str("; nobody is paged, there is no escalation policy for it");
    }
    let mut draft = record(&incident, new.opened_by, source, "incident.opened", text, Severity::Critical).data(json!({
        "title": body.title,
        "severity": body.severity,
        "suspects": body.suspects,
        "policy": body.escalation.as_ref().map(|e| &e.policy.name),
        "onset": body.onset,
        "drill": body.drill,
    }));
    draft.subject.alert = alert.map(str::to_owned);
    t.record(draft)?;
    Ok(incident)
}

/// What a flag's guard, or a deploy, came to and wants people for.
#[derive(Debug, Clone)]
pub(crate) struct GuardIncident {
    pub title: String,
    pub critical: bool,
    pub service: Option<String>,
    pub environment: String,
    pub flag: String,
    pub onset: Timestamp,
    /// What it is about alone, where an incident that is open already must not swallow it: a deploy that needs a person
    /// calls one, though somebody has an incident of the same service.
    pub own: Option<String>,
}

/// Opens an incident for what a guard did, unless one is open for its service and environment already. Gives the number
/// of the one there is then, which is as critical as the guard says: who was told of less by quiet ways is asked anew.
pub(crate) fn open_by_guard(t: &mut Txn<'_>, of: GuardIncident) -> Result<Option<i64>, Fault> {
    let key = match (&of.own, &of.service) {
        (Some(own), _) => own.clone(),
        (None, Some(service)) => format!("{service}/{}", of.environment),
        (None, None) => format!("flag:{}/{}", of.flag, of.environment),
    };
    if let Some(open) = store::open_by_key(t.tx(), &key)? {
        let mut incident = Incident::read(&open)?;
        if of.critical && incident.body.severity != "critical" {
            let now = t.now();
            "critical".clone_into(&mut incident.body.severity);
            ring_anew(t.tx(), &mut incident, now)?;
            incident.write(t.tx())?;
        }
        return Ok(Some(open.number));
    }
    let number = counters::next(t.tx(), "incident")?;
    let new = New {
        number,
        key: Some(key),
        title: of.title,
        severity: if of.critical { "critical" } else { "warning" }.to_owned(),
        service: of.service,
        environment: Some(of.environment),
        opened_by: Actor::system(),
        onset: of.onset,
        suspects: Vec::new(),
        policy: None,
        came_by: None,
        drill: false,
    };
    open(t, new, Source::System, None)?;
    Ok(Some(number))
}

/// An event about an incident.
pub(super) fn record(
    incident: &Incident,
    actor: Actor,
    source: Source,
    kind: &str,
    text: String,
    severity: Severity,
) -> EventDraft {
    let mut draft = EventDraft::new(actor, source, kind, text)
        .incident(incident.number)
        .correlation(format!("incident:{}", incident.number))
        .severity(severity);
    draft.subject.service.clone_from(&incident.body.service);
    draft.subject.environment.clone_from(&incident.body.environment);
    draft
}

/// The escalation of a new incident: its policy, led by the deployer when it says so, in its turn.
fn escalation_for(t: &mut Txn<'_>, new: &New) -> Result<Option<Escalation>, Fault> {
    let now = t.now();
    let (service, environment) = (new.service.as_deref(), new.environment.as_deref());
    let Some(escalation) = fresh(t.tx(), new.policy.as_deref(), service, environment, now)? else { return Ok(None) };
    let name = turn_of(&escalation.policy);
    let turn = if in_turns(&escalation.policy) { counters::next(t.tx(), &name)? - 1 } else { 0 };
    Ok(Some(escalation.in_turn(u64::try_from(turn).unwrap_or(0))))
}

/// The escalation that an incident opening at `at` would have, in the turn that is next.
pub(super) fn escalation_next(
    tx: &mut dyn Tx,
    policy: Option<&str>,
    service: Option<&str>,
    environment: Option<&str>,
    at: Timestamp,
) -> Result<Option<Escalation>, Fault> {
    let Some(escalation) = fresh(tx, policy, service, environment, at)? else { return Ok(None) };
    let turn = if in_turns(&escalation.policy) { counters::last(tx, &turn_of(&escalation.policy))? } else { 0 };
    Ok(Some(escalation.in_turn(u64::try_from(turn).unwrap_or(0))))
}

fn fresh(
    tx: &mut dyn Tx,
    policy: Option<&str>,
    service: Option<&str>,
    environment: Option<&str>,
    at: Timestamp,
) -> Result<Option<Escalation>, Fault> {
    let Some(mut policy) = policy_for(tx, policy, service)? else { return Ok(None) };
    let mut led = false;
    if let (Some(first), Some(service)) = (&policy.deployer_first, service) {
        let since = at.plus_ms(-first.within_ms);
        if let Some(deployer) = last_deployer(tx, service, environment, since)? {
            policy = policy.led_by(&deployer);
            led = true;
        }
    }
    Ok(Some(Escalation { led, ..Escalation::new(policy, at) }))
}

/// The counter of a policy's incidents.
fn turn_of(policy: &Policy) -> String {
    format!("policy_turn.{}", policy.name)
}

fn in_turns(policy: &Policy) -> bool {
    policy.steps.iter().any(|s| s.round_robin)
}

/// Who asked for the last deploy of the service that reached hosts after `since`; nobody when that is not a person who
/// can be paged.
fn last_deployer(
    tx: &mut dyn Tx,
    service: &str,
    environment: Option<&str>,
    since: Timestamp,
) -> Result<Option<String>, Fault> {
    let query = EventQuery {
        kinds: vec!["deploy.".into()],
        service: Some(service.to_owned()),
        environment: environment.map(str::to_owned),
        from: Some(since),
        limit: DEPLOY_EVENTS_MAX,
        include_admin: true,
        ..EventQuery::default()
    };
    for event in events::list(tx, &query)? {
        let reached = matches!(
            event.kind.as_str(),
            "deploy.canary_started" | "deploy.promoting" | "deploy.succeeded" | "deploy.rolled_back"
        );
        let who = event.on_behalf_of.as_ref().unwrap_or(&event.actor);
        if reached && who.kind == ActorKind::Person {
            let known = person(tx, &who.id)?.is_some();
            return Ok(known.then(|| who.id.clone()));
        }
    }
    Ok(None)
}

/// Ends the incident, its escalation and every page that is still to be sent.
pub(super) fn resolve(
    t: &mut Txn<'_>,
    mut incident: Incident,
    actor: Actor,
    source: Source,
    text: String,
    data: serde_json::Value,
) -> Result<Incident, Fault> {
    let now = t.now();
    incident.state = State::Resolved;
    incident.open_key = None;
    incident.body.resolved_at = Some(now);
    incident.body.resolved_by = Some(actor.id.clone());
    incident.body.before_end = incident.body.escalation.as_ref().map(|e| e.progress.clone());
    incident.body.cancelled = cancelled(t.tx(), incident.number)?;
    stop_escalation(&mut incident, &Input::Resolved, now);
    incident.write(t.tx())?;
    supersede(t.tx(), incident.number, None)?;
    owe(t, &incident, UpdateKind::Over)?;
    t.record(record(&incident, actor, source, "incident.resolved", text, Severity::Good).data(data))?;
    drill::ended(t, &incident)?;
    Ok(incident)
}

pub(super) fn stop_escalation(incident: &mut Incident, input: &Input, now: Timestamp) {
    // What stood still for a mute goes on by another word now.
    incident.body.paused = None;
    if let Some(escalation) = incident.body.escalation.take() {
        let (escalation, _) = step(escalation, input, now, &mut |_| Answer::default());
        incident.body.escalation = Some(escalation);
    }
}

/// Nothing of this incident is sent any more. `acknowledged_by` marks that person's pages as acknowledged.
pub(super) fn supersede(tx: &mut dyn Tx, number: i64, acknowledged_by: Option<&str>) -> Result<(), Fault> {
    store::deliveries_supersede(tx, number)?;
    for page in store::pages(tx, number)? {
        let state = match page.state.as_str() {
            word::DUE | word::SENDING | word::DELIVERED | word::FAILED
                if acknowledged_by == Some(page.person.as_str()) =>
            {
                word::ACKNOWLEDGED
            }
            word::DUE | word::SENDING => word::SUPERSEDED,
            _ => continue,
        };
        store::page_state(tx, &page.id, state, None)?;
    }
    Ok(())
}
