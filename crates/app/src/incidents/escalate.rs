//! Escalations: take the next step of every incident whose time has come. The pages, the escalation's state and the
//! events are one transaction, so a step is taken once however often the process dies.

use serde_json::json;
use tenfold_oncall::{Effect, Input, step};
use tenfold_store::incidents as store;
use tenfold_types::{Actor, EventDraft, Fault, PageId, Severity, Source, Timestamp};

use super::{
    message::TEST_INCIDENT,
    muted,
    open::record,
    reasons::{Known, PageReason, of_step},
    stored::{COPY, HANDED, Incident, State, person, word},
};
use crate::{
    App, Txn,
    alerts::{Channel, Lease},
    people::{Person, Planned, planned},
};

/// Escalations taken in one look; the rest come with the next.
const BATCH: i64 = 100;

pub(super) async fn due(app: &App, lease: &Lease) -> Result<(), Fault> {
    let (now, read) = (app.now(), app.incidents.labels_read.clone());
    let (numbers, muted) = app
        .read(move |tx| {
            let numbers: Vec<i64> = store::due(tx, now, BATCH)?.iter().map(|i| i.number).collect();
            let muted = muted::among(tx, &read, &numbers, now)?;
            Ok((numbers, muted))
        })
        .await?;
    let mut first_fault = None;
    for number in numbers {
        let result = if muted.contains(&number) {
            muted::hold(app, lease, number).await
        } else {
            let (lease, channels) = (lease.clone(), Channels::of(app));
            app.transact(move |t| {
                lease.check(t)?;
                one(t, number, &channels)
            })
            .await
        };
        if let Err(fault) = result {
            tracing::error!(%fault, incident = number, "the escalation could not take its step; trying again");
            first_fault.get_or_insert(fault);
        }
    }
    first_fault.map_or(Ok(()), Err)
}

/// Which channels are set up on this server.
#[derive(Debug, Clone)]
pub(super) struct Channels(Vec<Channel>);

impl Channels {
    pub(super) fn of(app: &App) -> Self {
        let notifier = app.alerts.notifier.read().clone();
        let serves = |channel: &Channel| match channel {
            Channel::Irc => !app.chat_status().is_empty(),
            channel => notifier.as_ref().is_some_and(|n| n.serves(*channel)),
        };
        Self(Channel::ALL.into_iter().filter(serves).collect())
    }

    /// How this person is reached: channels with addresses.
    pub(super) fn for_person(&self, person: &Person) -> Vec<(Channel, String)> {
        let ways = self.0.iter().map(|channel| (*channel, person.address(*channel).to_owned()));
        ways.filter(|(_, address)| !address.is_empty()).collect()
    }

    /// The ways of one page in the order in which they ring, by the person's own rules, and why these. In their quiet hours
    /// a page that can wait goes by quiet ways alone; who has none is told by all.
    pub(super) fn for_page(&self, person: &Person, critical: bool, now: Timestamp) -> (Vec<Planned>, Vec<PageReason>) {
        let mut ways = self.for_person(person);
        let mut reasons = Vec::new();
        if let Some(quiet) = person.contact.quiet.as_ref().filter(|q| q.covers(now, &person.timezone)) {
            let hours = format!("quiet hours from {} to {} hold", quiet.from, quiet.to);
            let because = if critical {
                format!("{hours}, but it is critical")
            } else if ways.iter().any(|(channel, _)| quiet.allows(channel.as_str())) {
                ways.retain(|(channel, _)| quiet.allows(channel.as_str()));
                format!("{hours}: only by ways that are quiet")
            } else {
                format!("{hours}, but there is no quiet way, so by all")
            };
            reasons.push(PageReason::new("quiet", because));
        }
        let rules = person.contact.rules.as_ref();
        let own = rules.is_some_and(|r| !(if critical { &r.critical } else { &r.other }).is_empty());
        let planned = planned(rules, critical, ways);
        let times: Vec<String> =
            planned.iter().map(|w| format!("{} after {} s", w.channel.as_str(), w.after_ms / 1_000)).collect();
        let because = match (planned.is_empty(), own) {
            (true, _) => "no channel that is set up has an address".to_owned(),
            (false, true) => format!("by the person's own rules: {}", times.join(", ")),
            (false, false) => format!("one way after another: {}", times.join(", ")),
        };
        reasons.push(PageReason::new("ways", because));
        (planned, reasons)
    }
}

fn one(t: &mut Txn<'_>, number: i64, channels: &Channels) -> Result<(), Fault> {
    let now = t.now();
    let mut incident = Incident::get(t.tx(), number)?;
    let Some(escalation) = incident.body.escalation.take().filter(|_| incident.state != State::Resolved) else {
        return Ok(());
    };
    if escalation.next_at().is_none_or(|at| at > now) {
        return Ok(());
    }
    let asked = incident.body.asked.as_ref().filter(|asked| asked.is_next(&escalation));
    let asked_by = asked.map(|asked| asked.by.clone());
    let behind = Known::default().behind(t.tx(), &escalation, now)?;
    let (escalation, effects) = step(escalation, &Input::Tick, now, &mut |target| {
        behind.get(target).map(|b| b.answer.clone()).unwrap_or_default()
    });
    let policy = escalation.policy.clone();
    incident.body.escalation = Some(escalation.clone());
    let unacknowledged = effects.contains(&Effect::Unacknowledged).then(|| let_go(&mut incident));
    let goes_on = muted::goes_on(&mut incident);
    incident.write(t.tx())?;
    for news in unacknowledged.into_iter().chain(goes_on) {
        t.record(news)?;
    }
    for effect in effects {
        match effect {
            Effect::Unacknowledged => {}
            Effect::Page { step, round, people, shadows } => {
                if (step > 0 || round > 0) && !escalation.is_handed(step) {
                    let because = match &asked_by {
                        Some(by) => format!("{by} asked for the next one for incident {number}"),
                        None => format!("Nobody acknowledged incident {number}"),
                    };
                    let text = format!("{because}; step {} of {} pages {}", step + 1, policy.name, people.join(", "));
                    let data = json!({
                        "policy": policy.name, "step": step, "round": round, "people": people, "asked_by": asked_by,
                    });
                    t.record(by_system(&incident, "page.escalated", text, Severity::Warning).data(data))?;
                }
                for (login, copy) in people.iter().map(|p| (p, false)).chain(shadows.iter().map(|p| (p, true))) {
                    let because = of_step(&escalation, (step, round), login, &behind, asked_by.as_deref());
                    let handed = escalation.is_handed(step);
                    let place = Place { step: step as i64, round: i64::from(round), copy, handed, because };
                    page(t, &incident, place, login, channels)?;
                }
                hurry(t, number)?;
            }
            Effect::Nobody { step, round } => {
                let text = if escalation.is_handed(step) {
                    format!("Incident {number} was handed over to somebody who has no account any more")
                } else {
                    format!("Step {} of {} has nobody to page for incident {number}", step + 1, policy.name)
                };
                let data = json!({"policy": policy.name, "step": step, "round": round});
                t.record(by_system(&incident, "page.failed", text, Severity::Critical).data(data))?;
            }
            Effect::Exhausted => {
                let text = format!("Nobody acknowledged incident {number} and {} has no more steps", policy.name);
                let data = json!({"policy": policy.name, "exhausted": true});
                t.record(by_system(&incident, "page.escalated", text, Severity::Critical).data(data))?;
            }
        }
    }
    Ok(())
}

/// Nobody has the incident any more: what is said of that.
fn let_go(incident: &mut Incident) -> EventDraft {
    let (login, name) = incident.let_go();
    let name = name.unwrap_or_else(|| "somebody".to_owned());
    let text = format!(
        "Incident {} is not over, and the time for which {name} had it is: who is on call is asked again",
        incident.number
    );
    by_system(incident, "incident.unacknowledged", text, Severity::Warning).data(json!({"acknowledged_by": login}))
}

pub(super) fn by_system(incident: &Incident, kind: &str, text: String, severity: Severity) -> EventDraft {
    record(incident, Actor::system(), Source::System, kind, text, severity)
}

/// Where in an escalation a page stands.
pub(super) struct Place {
    pub step: i64,
    pub round: i64,
    /// For somebody who learns: nobody waits for them.
    pub copy: bool,
    /// For whoever the incident was handed to, behind all steps.
    pub handed: bool,
    /// Why it is paged there.
    pub because: Vec<PageReason>,
}

/// Decides a page: its row, one delivery for each way at its time, one event.
pub(super) fn page(
    t: &mut Txn<'_>,
    incident: &Incident,
    place: Place,
    login: &str,
    channels: &Channels,
) -> Result<(), Fault> {
    let now = t.now();
    let Place { step, round, copy, handed, because: mut reasons } = place;
    let Some(person) = person(t.tx(), login)? else { return Ok(()) };
    let (ways, why) = channels.for_page(&person, incident.body.severity == "critical", now);
    reasons.extend(why);
    let id = PageId::new(now, t.entropy()).to_string();
    let state = if ways.is_empty() { word::FAILED } else { word::DUE };
    let row = store::PageRow {
        id: id.clone(),
        incident: incident.number,
        step,
        round,
        person: login.to_owned(),
        state: state.to_owned(),
        due_at: now,
        delivered_at: None,
        body: match (copy, handed) {
            (true, _) => COPY,
            (false, true) => HANDED,
            (false, false) => "{}",
        }
        .to_owned(),
    };
    if !store::page_insert(t.tx(), &row)? {
        return Ok(());
    }
    for way in &ways {
        store::delivery_insert(
            t.tx(),
            &store::DeliveryRow {
                page: id.clone(),
                channel: way.channel.as_str().to_owned(),
                target: way.address.clone(),
                idempotency_key: format!("{id}.{}", way.channel.as_str()),
                state: word::DUE.to_owned(),
                tries: 0,
                next_at: Some(now.plus_ms(way.after_ms)),
                epoch: 0,
                message: None,
            },
        )?;
    }
    let shown = store::AttemptRow {
        page: id.clone(),
        channel: Channel::Web.as_str().to_owned(),
        n: 1,
        started_at: now,
        finished_at: Some(now),
        state: word::SHOWN.to_owned(),
        error: None,
    };
    store::attempt_put(t.tx(), &shown)?;
    let names: Vec<&str> = ways.iter().map(|way| way.channel.as_str()).collect();
    let after_ms: Vec<i64> = ways.iter().map(|way| way.after_ms).collect();
    let data = json!({
        "page": id, "person": login, "person_name": person.name, "person_kind": person.kind,
        "step": step, "round": round, "channels": names, "after_ms": after_ms, "copy": copy,
        "because": reasons,
    });
    let event = if ways.is_empty() {
        let text = format!(
            "{} cannot be paged for incident {}: no channel that is set up has an address",
            person.name, incident.number
        );
        by_system(incident, "page.failed", text, Severity::Critical)
    } else {
        let what = if copy { "Telling" } else { "Paging" };
        let text = format!("{what} {} for incident {} by {}", person.name, incident.number, names.join(", "));
        by_system(incident, "page.queued", text, Severity::Debug)
    };
    t.record(event.data(data))?;
    Ok(())
}

/// When nobody of the current step can be reached, the next step does not wait.
pub(super) fn hurry(t: &mut Txn<'_>, number: i64) -> Result<(), Fault> {
    if number == TEST_INCIDENT {
        return Ok(());
    }
    let now = t.now();
    let pages: Vec<_> = store::pages(t.tx(), number)?.into_iter().filter(|p| p.body != COPY).collect();
    let Some((round, step)) = pages.iter().map(|p| (p.round, p.step)).max() else { return Ok(()) };
    let current = pages.iter().filter(|p| (p.round, p.step) == (round, step));
    if !current.clone().all(|p| p.state == word::FAILED) {
        return Ok(());
    }
    let mut incident = Incident::get(t.tx(), number)?;
    if let Some(escalation) = &mut incident.body.escalation
        && let tenfold_oncall::Progress::Waiting { next_at, .. } = &mut escalation.progress
        && *next_at > now
    {
        // A second is enough to keep an unreachable policy from running through in one look.
        *next_at = (*next_at).min(now.plus_ms(tenfold_oncall::DELAY_MS_MIN));
        incident.write(t.tx())?;
    }
    Ok(())
}
