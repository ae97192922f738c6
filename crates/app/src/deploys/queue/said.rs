//! A queue in words: what its first waits for, and the events of the record.

use parking_lot::Mutex;
use serde_json::json;
use tenfold_deploys::machine::{Kind, State};
use tenfold_deploys::queue::{Origin, Turn, place};
use tenfold_store::deploy_queue::QueuedRow;
use tenfold_store::deploys::LockRow;
use tenfold_types::{Actor, EventDraft, Fault, Severity, Source, Timestamp};

use super::super::gate::Wish;
use super::super::locks;
use super::super::stored::short;
use super::turns::Tries;
use super::{Queue, actor_of, entry, source_of};
use crate::Caller;

/// What the first waits for; nothing when its turn comes with the next look.
pub(super) fn waits_for(
    queue: &Queue,
    open: &[LockRow],
    tries: &Mutex<Tries>,
    now: Timestamp,
) -> Result<Option<String>, Fault> {
    Ok(match queue.turn {
        Turn::Nobody => queue.rows.first().and_then(|row| row.not_before).map(|at| format!("its time, {at}")),
        Turn::Busy { number } => Some(format!("deploy {number}, which is under way")),
        Turn::Held { number, state } => {
            Some(format!("deploy {number}, which is {} and waits for a person", state.word().replace('_', " ")))
        }
        Turn::Stands { number, kind, state } => Some(format!("somebody to say go: {}", how(number, kind, state))),
        Turn::Goes { id } => {
            let Some(row) = queue.rows.iter().find(|row| row.id == id) else { return Ok(None) };
            match in_the_way(row, open, now)? {
                Some(fault) => Some(fault.message),
                None => tries.lock().said(id),
            }
        }
    })
}

/// The lock, freeze or pin that keeps one that waits from its turn.
pub(super) fn in_the_way(row: &QueuedRow, open: &[LockRow], now: Timestamp) -> Result<Option<Fault>, Fault> {
    let actor = actor_of(row);
    let wish = Wish { service: &row.service, environment: &row.environment, sha: &row.sha, actor: &actor };
    Ok(locks::in_the_way(open, wish, now)?.map(|lock| locks::locked(&lock, now)))
}

fn how(number: i64, kind: Kind, state: State) -> String {
    match (kind, state) {
        (Kind::Rollback, State::Succeeded) => format!("deploy {number} took a release back"),
        (_, State::RolledBack) => format!("deploy {number} was taken back"),
        (_, State::Interrupted) => format!("deploy {number} was interrupted"),
        _ => format!("deploy {number} failed"),
    }
}

/// It joined, or waits with a newer commit.
pub(super) fn joined(row: &QueuedRow, position: usize) -> EventDraft {
    let (name, service, sha, environment) = (&row.name, &row.service, short(&row.sha), &row.environment);
    let text = match row.not_before {
        Some(at) => {
            format!("{service} {sha} goes on to {environment} at {at}: {}", row.reason.as_deref().unwrap_or(""))
        }
        None if row.origin == Origin::Stage.word() => {
            format!("{service} {sha} goes on to {environment}: {}", row.reason.as_deref().unwrap_or(""))
        }
        None => format!("{name} waits to deploy {service} {sha} to {environment}, {} in the queue", place(position)),
    };
    of(EventDraft::new(actor_of(row), source_of(row), "deploy.waiting", text), row, position)
}

pub(super) fn taken_out(who: &Caller, row: &QueuedRow, own: bool, why: Option<&str>) -> EventDraft {
    let (service, sha, environment) = (&row.service, short(&row.sha), &row.environment);
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    let text = if own {
        format!("{} left the queue of {service} to {environment} with {sha}{why}", who.name)
    } else {
        format!("{} took {}'s {service} {sha} out of the queue to {environment}{why}", who.name, row.name)
    };
    of(EventDraft::new(who.actor.clone(), who.source, "queue.left", text), row, 0)
}

pub(super) fn resumed(who: &Caller, service: &str, environment: &str, number: i64) -> EventDraft {
    let text = format!("{} lets the queue of {service} to {environment} go on after deploy {number}", who.name);
    EventDraft::new(who.actor.clone(), who.source, "queue.resumed", text)
        .service(service)
        .environment(environment)
        .data(json!({"after": number}))
}

/// What waits stands, if it does.
pub(super) fn stands(queue: &Queue, service: &str, environment: &str) -> Option<EventDraft> {
    let Turn::Stands { number, kind, state } = queue.turn else { return None };
    let n = queue.rows.len();
    let waits = if n == 1 { "1 deploy waits".to_owned() } else { format!("{n} deploys wait") };
    let text = format!(
        "The queue of {service} to {environment} stands, {waits}: {}. It goes on when the lock is lifted, or with `queue {service} go`",
        how(number, kind, state)
    );
    let event = EventDraft::new(Actor::system(), Source::System, "queue.stands", text)
        .service(service)
        .environment(environment)
        .severity(Severity::Warning);
    Some(event.data(json!({"after": number, "waiting": n})))
}

/// It will not be deployed. A push is told of as it always was.
pub(super) fn given_up(row: &QueuedRow, why: &str) -> EventDraft {
    let (service, sha, environment) = (&row.service, short(&row.sha), &row.environment);
    if row.origin == Origin::Push.word() {
        let text = format!("{sha} of {service} was pushed and not deployed to {environment}: {why}");
        let event = EventDraft::new(actor_of(row), Source::Api, "git.not_deployed", text);
        return event.service(service).environment(environment).severity(Severity::Warning);
    }
    let text = format!("{}'s {service} {sha} left the queue to {environment} and was not deployed: {why}", row.name);
    let mut event = EventDraft::new(Actor::system(), Source::System, "queue.dropped", text);
    event.on_behalf_of = Some(actor_of(row));
    of(event, row, 0).severity(Severity::Warning)
}

fn of(event: EventDraft, row: &QueuedRow, position: usize) -> EventDraft {
    event.service(&row.service).environment(&row.environment).data(json!({"entry": entry(row, position)}))
}
