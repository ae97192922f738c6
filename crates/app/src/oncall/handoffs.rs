//! At each handover of a schedule whoever comes on call is told what the shift before was like, and the schedule's channel.
//!
//! How far handovers were told of is one mark for each schedule, moved in the transaction that owes the digests and records
//! the event: each handover is told of once, however often the server starts and however many nodes look.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tenfold_oncall::{HandoffDigest, Schedule};
use tenfold_store::{Tx, cursors, oncall as store};
use tenfold_types::{Actor, EventDraft, Fault, Severity, Source, Timestamp};

use super::{
    DigestView, figures, schedule, schedules,
    schedules::{minute, profiles},
    views::OnCallPerson,
};
use crate::{
    App, Txn,
    digests::{Digest, NewDigest, owe},
    incidents::IncidentView,
};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// A handover that is older, after a standstill, is told of no more.
const LATE_MS_MAX: i64 = 12 * HOUR_MS;
/// What is said where not all of it is.
const MORE: &str = "There was more than is listed here.";
/// How far back a shift is summed up.
const BACK_MS_MAX: i64 = 35 * DAY_MS;
/// Changes of the reason for which the same people are on call, within [`LATE_MS_MAX`].
const SPANS_MAX: usize = 100;

/// People of a schedule have changed.
#[derive(Debug, Clone)]
struct Handover {
    schedule: String,
    at: Timestamp,
    /// How far handovers were told of.
    told: Option<i64>,
    /// What is told; nothing of a schedule that is seen for the first time, or that tells nobody.
    tells: Option<Tells>,
}

#[derive(Debug, Clone)]
struct Tells {
    coming: Vec<OnCallPerson>,
    leaving: Vec<OnCallPerson>,
    channel: Option<String>,
    digest: DigestView,
}

/// Who is on call at `now`, who was before, since when each; nothing when that is longer ago than is told of.
struct Change {
    at: Timestamp,
    before_since: Timestamp,
    coming: BTreeSet<String>,
    leaving: BTreeSet<String>,
}

fn change(of: &Schedule, now: Timestamp) -> Option<Change> {
    let set = |people: Vec<String>| people.into_iter().collect::<BTreeSet<_>>();
    let span = of.span_at(now);
    let (on, mut at) = (set(span.people), span.since);
    for _ in 0..SPANS_MAX {
        if now.since_ms(at) > LATE_MS_MAX {
            return None;
        }
        let before = of.span_at(at.plus_ms(-1));
        let were = set(before.people);
        if were != on {
            let (coming, leaving) = (&on - &were, &were - &on);
            return Some(Change { at, before_since: before.since, coming, leaving });
        }
        at = before.since;
    }
    None
}

fn cursor(schedule: &str) -> String {
    format!("handoff:{schedule}")
}

/// The handovers of which nobody was told yet, and what is wrong with schedules of which that cannot be said. These keep none of
/// the others from being told.
fn handovers(tx: &mut dyn Tx, now: Timestamp, open: &[IncidentView]) -> Result<(Vec<Handover>, Vec<Fault>), Fault> {
    let names = profiles(tx)?;
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for of in readable(tx, now, &mut wrong)? {
        match handover(tx, of, now, &names, open) {
            Ok(one) => found.extend(one),
            Err(fault) => wrong.push(fault),
        }
    }
    Ok((found, wrong))
}

/// All schedules; one by one where they cannot be read together.
fn readable(tx: &mut dyn Tx, now: Timestamp, wrong: &mut Vec<Fault>) -> Result<Vec<Schedule>, Fault> {
    if let Ok(all) = schedules(tx, now) {
        return Ok(all);
    }
    let mut out = Vec::new();
    for (name, _) in store::schedules(tx)? {
        match schedule(tx, &name, now) {
            Ok(of) => out.extend(of),
            Err(fault) => wrong.push(fault),
        }
    }
    Ok(out)
}

fn handover(
    tx: &mut dyn Tx,
    of: Schedule,
    now: Timestamp,
    names: &BTreeMap<String, OnCallPerson>,
    open: &[IncidentView],
) -> Result<Option<Handover>, Fault> {
    let told = cursors::get(tx, &cursor(&of.name))?;
    let Some(told_until) = told else {
        // Seen for the first time: what was before is nobody's news.
        return Ok(Some(Handover { schedule: of.name, at: now, told, tells: None }));
    };
    let Some(change) = change(&of, now).filter(|change| change.at.millis() > told_until) else { return Ok(None) };
    let HandoffDigest { digest, channel } =
        of.version_at(change.at).map(|version| version.plan.handoff.clone()).unwrap_or_default();
    let tells =
        if digest && !change.coming.is_empty() { Some(tells(tx, &of, &change, channel, names, open)?) } else { None };
    Ok(Some(Handover { schedule: of.name, at: change.at, told, tells }))
}

fn tells(
    tx: &mut dyn Tx,
    of: &Schedule,
    change: &Change,
    channel: Option<String>,
    names: &BTreeMap<String, OnCallPerson>,
    open: &[IncidentView],
) -> Result<Tells, Fault> {
    let known = |logins: &BTreeSet<String>| logins.iter().filter_map(|login| names.get(login).cloned()).collect();
    let from = change.before_since.max(change.at.plus_ms(-BACK_MS_MAX));
    let digest = figures::digest(tx, of, from, change.at, open)?;
    Ok(Tells { coming: known(&change.coming), leaving: known(&change.leaving), channel, digest })
}

fn listed(people: &[OnCallPerson]) -> String {
    people.iter().map(|person| person.name.as_str()).collect::<Vec<_>>().join(" and ")
}

impl Tells {
    /// "3 alerts fired, 2 pages, 1 incident open".
    fn sum(&self) -> String {
        let count = |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
        let DigestView { fired_count, pages, open_count, .. } = &self.digest;
        format!(
            "{} fired, {}, {} open",
            count(*fired_count, "alert", "alerts"),
            count(*pages, "page", "pages"),
            count(*open_count, "incident", "incidents")
        )
    }

    fn sentence(&self, schedule: &str) -> String {
        let verb = if self.coming.len() == 1 { "takes" } else { "take" };
        let from = if self.leaving.is_empty() { String::new() } else { format!(" from {}", listed(&self.leaving)) };
        format!("{} {verb} over {schedule}{from}: {}", listed(&self.coming), self.sum())
    }

    /// Whose rest was short is said to the schedule's people alone.
    fn text(&self, schedule: &str, to_people: bool) -> String {
        let DigestView { from, to, fired, muted, open, short_rests, .. } = &self.digest;
        let rests: &[String] = if to_people { short_rests } else { &[] };
        let mut lines =
            vec![format!("{}.", self.sentence(schedule)), format!("From {} to {}.", minute(*from), minute(*to))];
        for (head, list) in [("Open", &open[..]), ("Rest", rests), ("Fired", fired), ("Muted", muted)] {
            if !list.is_empty() {
                lines.push(String::new());
                lines.push(format!("{head}:"));
                lines.extend(list.iter().map(|line| format!("- {line}")));
            }
        }
        if self.digest.truncated {
            lines.extend([String::new(), MORE.to_owned()]);
        }
        lines.join("\n")
    }

    fn digests(&self, schedule: &str, at: Timestamp) -> Vec<NewDigest> {
        let (text, page) = (self.text(schedule, true), "/on-call".to_owned());
        let id = |login: &str| format!("handoff/{schedule}/{}/{login}", at.millis());
        let mut out: Vec<NewDigest> = Vec::new();
        for person in &self.coming {
            let subject = format!("[handoff] You are on call in {schedule} now");
            let digest = Digest { subject, text: text.clone(), page: page.clone() };
            out.push(NewDigest { id: id(&person.login), login: person.login.clone(), digest });
        }
        if let Some(room) = self.channel.as_ref().filter(|room| self.coming.iter().all(|p| p.login != **room)) {
            let verb = if self.coming.len() == 1 { "is" } else { "are" };
            let subject = format!("[handoff] {} {verb} on call in {schedule} now", listed(&self.coming));
            let text = self.text(schedule, false);
            out.push(NewDigest { id: id(room), login: room.clone(), digest: Digest { subject, text, page } });
        }
        out
    }
}

fn tell(t: &mut Txn<'_>, handover: &Handover) -> Result<(), Fault> {
    let Handover { schedule, at, told, tells } = handover;
    // Another node may have told of it meanwhile.
    if cursors::get(t.tx(), &cursor(schedule))? != *told {
        return Ok(());
    }
    cursors::set(t.tx(), &cursor(schedule), at.millis())?;
    let Some(tells) = tells else { return Ok(()) };
    let digests = tells.digests(schedule, *at);
    for digest in &digests {
        owe(t, digest)?;
    }
    let logins = |people: &[OnCallPerson]| people.iter().map(|p| p.login.clone()).collect::<Vec<_>>();
    let of = &tells.digest;
    let mut draft = EventDraft::new(Actor::system(), Source::System, "handoff.told", tells.sentence(schedule))
        .severity(Severity::Info)
        .data(json!({
            "schedule": schedule, "at": at, "from": of.from, "coming": logins(&tells.coming),
            "leaving": logins(&tells.leaving), "told": digests.iter().map(|d| &d.login).collect::<Vec<_>>(),
            "fired": of.fired_count, "muted": of.muted.len(), "pages": of.pages, "open": of.open_count,
        }));
    draft.occurred_at = Some(*at);
    t.record(draft)?;
    Ok(())
}

impl App {
    /// Tells of the handovers that were not told of yet. The loop calls it; tests do after moving the clock.
    pub async fn handoff_tick(&self) -> Result<(), Fault> {
        let Some(lease) = self.alerting_lease().await? else { return Ok(()) };
        let now = self.now();
        let open = self.incidents_open().await?;
        // Summing up reads the events of a shift, which nobody who writes shall wait for.
        let (found, mut wrong) = self.read(move |tx| handovers(tx, now, &open)).await?;
        for handover in found {
            let lease = lease.clone();
            let told = self
                .housekeeping(move |t| {
                    lease.check(t)?;
                    tell(t, &handover)
                })
                .await;
            match told {
                Ok(()) => self.digests.wake(),
                Err(fault) => wrong.push(fault),
            }
        }
        for fault in &wrong {
            tracing::warn!(%fault, "the handovers of a schedule could not be told of; trying again");
        }
        wrong.into_iter().next().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule() -> Schedule {
        let plan = serde_json::from_value(json!({
            "timezone": "UTC",
            "rotation": {"people": ["ana", "raj"], "start": "2026-11-23T08:00:00", "shift_length": "1d"},
        }));
        Schedule::of_plan("photos", plan.expect("a plan"), Vec::new()).expect("a schedule")
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).expect("an instant")
    }

    #[test]
    fn a_handover_is_a_change_of_people_and_not_long_ago() {
        let of = schedule();
        let found = change(&of, at("2026-11-25T09:00:00Z")).expect("an hour ago");
        assert_eq!((found.at, found.before_since), (at("2026-11-25T08:00:00Z"), at("2026-11-24T08:00:00Z")));
        let set = |login: &str| BTreeSet::from([login.to_owned()]);
        assert_eq!((found.coming, found.leaving), (set("ana"), set("raj")));
        assert!(change(&of, at("2026-11-25T20:00:01Z")).is_none());
    }
}
