//! The deploys and flips that may be behind an alert, read from the record.

use std::collections::BTreeMap;

use tenfold_alerting::{Change, ChangeKind, Suspect, rank_suspects};
use tenfold_store::{Tx, events, events::EventQuery, people};
use tenfold_types::{Event, Fault, Timestamp};

use super::views::SuspectView;

const EVENTS_MAX: usize = 1_000;
/// A deploy counts from the instant it first touched hosts.
const DEPLOY_KINDS: [&str; 5] =
    ["deploy.canary_started", "deploy.host_activated", "deploy.promoting", "deploy.succeeded", "deploy.rolled_back"];
const FLIP_KINDS: [&str; 8] = [
    "flag.switched",
    "flag.changed",
    "flag.reverted",
    "flag.drill_started",
    "flag.ramp_step",
    "flag.ramp_started",
    "flag.guard_tripped",
    "flag.guard_gave_up",
];
/// What another tool put into a place that we deploy to as well, and changes that were told.
const FOREIGN_KINDS: [&str; 4] =
    ["cdevents.service.deployed", "cdevents.service.upgraded", "cdevents.service.rolledback", "change.told"];
/// Of a commit's subject line.
const MESSAGE_CHARS_MAX: usize = 60;
/// A change may begin this long after the measured onset: rates and scrapes lag.
const AFTER_MS: i64 = 60_000;

/// Suspects of an onset on `service` in `environment`, the likeliest first.
pub(crate) fn suspects(
    tx: &mut dyn Tx,
    service: Option<&str>,
    environment: Option<&str>,
    onset: Timestamp,
    window_ms: i64,
) -> Result<Vec<SuspectView>, Fault> {
    Ok(Changes::read(tx, onset.plus_ms(-window_ms), onset.plus_ms(AFTER_MS))?.suspects(
        service,
        environment,
        onset,
        window_ms,
    ))
}

/// Alerts whose onsets lie closer together than this look at the changes that were read once for all of them.
const TOGETHER_MS: i64 = 600_000;

/// What changed in a span of time. Many alerts that begin together share it.
pub(super) struct Changes {
    /// The oldest first.
    events: Vec<Event>,
    names: BTreeMap<String, String>,
}

impl Changes {
    /// For alerts with these onsets; nothing when they lie too far apart to be looked at together.
    pub(super) fn for_all(
        tx: &mut dyn Tx,
        onsets: impl Iterator<Item = Timestamp> + Clone,
        window_ms: i64,
    ) -> Result<Option<Self>, Fault> {
        let (Some(first), Some(last)) = (onsets.clone().min(), onsets.max()) else { return Ok(None) };
        if last.since_ms(first) > TOGETHER_MS {
            return Ok(None);
        }
        Self::read(tx, first.plus_ms(-window_ms), last.plus_ms(AFTER_MS)).map(Some)
    }

    fn read(tx: &mut dyn Tx, from: Timestamp, to: Timestamp) -> Result<Self, Fault> {
        let query = EventQuery {
            kinds: DEPLOY_KINDS.iter().chain(&FLIP_KINDS).chain(&FOREIGN_KINDS).map(|k| (*k).to_owned()).collect(),
            // Nothing is recorded before it happens. With it each kind is a short walk from there, however many alerts
            // there are since; by time alone each of those is read.
            after: Some(events::last_before(tx, from)?),
            from: Some(from),
            to: Some(to),
            limit: EVENTS_MAX,
            include_admin: true,
            ..EventQuery::default()
        };
        let mut events = events::list(tx, &query)?;
        events.reverse();
        if events.is_empty() {
            return Ok(Self { events, names: BTreeMap::new() });
        }
        let names = people::people(tx)?
            .into_iter()
            .filter_map(|row| {
                let body: serde_json::Value = serde_json::from_str(&row.body).ok()?;
                Some((row.login, body["name"].as_str()?.to_owned()))
            })
            .collect();
        Ok(Self { events, names })
    }

    pub(super) fn suspects(
        &self,
        service: Option<&str>,
        environment: Option<&str>,
        onset: Timestamp,
        window_ms: i64,
    ) -> Vec<SuspectView> {
        let (from, to) = (onset.plus_ms(-window_ms), onset.plus_ms(AFTER_MS));
        let near = self.events.iter().filter(|e| e.occurred_at >= from && e.occurred_at < to);
        views(rank_suspects(&changes(near), service, environment, onset), &self.names)
    }
}

fn views(ranked: Vec<Suspect>, names: &BTreeMap<String, String>) -> Vec<SuspectView> {
    ranked
        .into_iter()
        .map(|s| {
            let change = s.change;
            SuspectView {
                kind: match change.kind {
                    ChangeKind::Deploy => "deploy".to_owned(),
                    ChangeKind::Flip => "flip".to_owned(),
                },
                number: change.number,
                flag: change.flag,
                text: change.text,
                at: change.at,
                seq: change.seq,
                actor_name: names.get(&change.actor).cloned().unwrap_or(change.actor),
                rollback: change.rollback,
            }
        })
        .collect()
}

/// One change per deploy, at the instant it first touched hosts; one per flip.
fn changes<'a>(events: impl Iterator<Item = &'a Event>) -> Vec<Change> {
    let mut deploys: BTreeMap<i64, Change> = BTreeMap::new();
    let mut out = Vec::new();
    for event in events {
        match event.kind.as_str() {
            kind if DEPLOY_KINDS.contains(&kind) => {
                let Some(number) = event.subject.deploy else { continue };
                deploys.entry(number).or_insert_with(|| deploy(event, number));
            }
            kind if FLIP_KINDS.contains(&kind) => out.push(flip(event)),
            kind if FOREIGN_KINDS.contains(&kind) && event.data["ours"] == true => out.push(foreign(event)),
            _ => {}
        }
    }
    out.extend(deploys.into_values());
    out
}

fn deploy(event: &Event, number: i64) -> Change {
    let sha = event.data["to_sha"].as_str().map(|s| s.get(..8).unwrap_or(s)).unwrap_or_default();
    let service = event.subject.service.clone().unwrap_or_default();
    let mut text = format!("deploy {number} of {service} {sha}").trim_end().to_owned();
    if let Some(message) = event.data["commits"][0]["message"].as_str() {
        let short: String = message.lines().next().unwrap_or("").chars().take(MESSAGE_CHARS_MAX).collect();
        text = match event.data["commit_count"].as_u64().unwrap_or(1) {
            0 | 1 => format!("{text} ({short})"),
            n => format!("{text} ({short}, and {} more)", n - 1),
        };
    }
    Change {
        kind: ChangeKind::Deploy,
        number: Some(number),
        flag: None,
        text,
        service: event.subject.service.clone(),
        environment: event.subject.environment.clone(),
        at: event.occurred_at,
        seq: event.seq,
        actor: event.on_behalf_of.as_ref().unwrap_or(&event.actor).id.clone(),
        rollback: event.data["deploy_kind"] == "rollback",
    }
}

/// It has no number of ours, so that it can only be looked at.
fn foreign(event: &Event) -> Change {
    Change {
        kind: ChangeKind::Deploy,
        number: None,
        flag: None,
        service: event.subject.service.clone(),
        environment: event.subject.environment.clone(),
        at: event.occurred_at,
        seq: event.seq,
        text: event.text.clone(),
        actor: event.actor.id.clone(),
        rollback: event.kind == "cdevents.service.rolledback",
    }
}

fn flip(event: &Event) -> Change {
    Change {
        kind: ChangeKind::Flip,
        number: None,
        flag: event.subject.flag.clone(),
        service: event.subject.service.clone(),
        environment: event.subject.environment.clone(),
        at: event.occurred_at,
        seq: event.seq,
        text: event.text.clone(),
        actor: event.actor.id.clone(),
        // A guard takes away; it is rarely the cause.
        rollback: event.kind.starts_with("flag.guard_"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::markers::tests::event;

    #[test]
    fn what_another_tool_deploys_may_be_behind_an_alert_where_the_service_is_ours() {
        let ours = |seq, kind, is: bool| {
            let mut event = event(seq, kind, None, serde_json::json!({"ours": is}));
            event.subject.service = Some("photos".into());
            event
        };
        let events = [
            ours(1, "cdevents.service.upgraded", true),
            ours(2, "cdevents.service.upgraded", false),
            ours(3, "cdevents.service.rolledback", true),
            ours(4, "change.told", true),
            ours(5, "change.told", false),
        ];
        let found: Vec<_> = changes(events.iter()).into_iter().map(|c| (c.seq, c.kind, c.number, c.rollback)).collect();
        let deploy = ChangeKind::Deploy;
        assert_eq!(found, [(1, deploy, None, false), (3, deploy, None, true), (4, deploy, None, false)]);
    }
}
