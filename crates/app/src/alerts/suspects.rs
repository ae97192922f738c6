//! The deploys and flips that may be behind an alert, read from the record.

use std::collections::BTreeMap;

use tenfold_alerting::{Change, ChangeKind, rank_suspects};
use tenfold_store::{Tx, events, events::EventQuery, people};
use tenfold_types::{Event, Fault, Timestamp};

use super::views::SuspectView;

const EVENTS_MAX: usize = 1_000;
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
    let query = EventQuery {
        kinds: vec!["deploy.".into(), "flag.".into()],
        from: Some(onset.plus_ms(-window_ms)),
        to: Some(onset.plus_ms(AFTER_MS)),
        limit: EVENTS_MAX,
        include_admin: true,
        ..EventQuery::default()
    };
    let mut found = events::list(tx, &query)?;
    found.reverse();
    let names: BTreeMap<String, String> = people::people(tx)?
        .into_iter()
        .filter_map(|row| {
            let body: serde_json::Value = serde_json::from_str(&row.body).ok()?;
            Some((row.login, body["name"].as_str()?.to_owned()))
        })
        .collect();
    let ranked = rank_suspects(&changes(&found), service, environment, onset);
    Ok(ranked
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
        .collect())
}

/// One change per deploy, at the instant it first touched hosts; one per flip.
fn changes(events: &[Event]) -> Vec<Change> {
    let mut deploys: BTreeMap<i64, Change> = BTreeMap::new();
    let mut out = Vec::new();
    for event in events {
        match event.kind.as_str() {
            "deploy.canary_started"
            | "deploy.host_activated"
            | "deploy.promoting"
            | "deploy.succeeded"
            | "deploy.rolled_back" => {
                let Some(number) = event.subject.deploy else { continue };
                deploys.entry(number).or_insert_with(|| deploy(event, number));
            }
            "flag.switched" | "flag.changed" | "flag.reverted" | "flag.drill_started" | "flag.ramp_step"
            | "flag.ramp_started" | "flag.guard_tripped" | "flag.guard_gave_up" => out.push(flip(event)),
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
