//! What moves a queue, each in the transaction of what it belongs to: joining, leaving, going on, and the end of a deploy.

use tenfold_deploys::queue::{Origin, Turn, WAITING_MAX};
use tenfold_store::deploy_queue::{self as store, QueuedRow};
use tenfold_store::{Tx, counters, deploys};
use tenfold_types::{Actor, ActorKind, Fault, Source, Timestamp};

use super::super::stored::Stored;
use super::{Queue, is_of, kind_word, said, source_word};
use crate::{Caller, Txn};

/// The counter that numbers what waits.
const COUNTER: &str = "deploy_queue";

/// Writes one that waits. One that `replaces` says it stands for keeps its place with the newer commit.
pub(super) fn join(
    tx: &mut dyn Tx,
    row: QueuedRow,
    replaces: impl Fn(&QueuedRow) -> bool,
) -> Result<(QueuedRow, usize), Fault> {
    let rows = store::of(tx, &row.service, &row.environment)?;
    let (id, position) = match rows.iter().position(replaces) {
        Some(i) => (rows[i].id, i + 1),
        // One of each forge and one of the stage before come on top.
        None if row.origin == Origin::Ask.word() && rows.len() >= WAITING_MAX => {
            return Err(Fault::conflict(format!(
                "{} deploys wait already for {} on {}, and no more than {WAITING_MAX} do",
                rows.len(),
                row.service,
                row.environment
            ))
            .advice("ship several commits at once, or ask again when some are out"));
        }
        None => (counters::next(tx, COUNTER)?, rows.len() + 1),
    };
    let row = QueuedRow { id, ..row };
    store::put(tx, &row)?;
    Ok((row, position))
}

/// A push that is deployed by itself; the newest commit of a forge wins and keeps the place.
pub(crate) fn push(
    tx: &mut dyn Tx,
    forge: &str,
    service: &str,
    environment: &str,
    sha: &str,
    pusher: &str,
    now: Timestamp,
) -> Result<(), Fault> {
    let row = QueuedRow {
        id: 0,
        service: service.to_owned(),
        environment: environment.to_owned(),
        origin: Origin::Push.word().to_owned(),
        actor_kind: kind_word(ActorKind::Robot).to_owned(),
        actor: forge.to_owned(),
        name: forge.to_owned(),
        source: source_word(Source::Api).to_owned(),
        reference: None,
        sha: sha.to_owned(),
        reason: Some(format!("{pusher} pushed it")),
        after_deploy: None,
        not_before: None,
        asked_at: now,
    };
    let of_forge = |other: &QueuedRow| other.origin == Origin::Push.word() && other.actor == forge;
    join(tx, row, of_forge).map(|_| ())
}

/// A release that was good in a stage goes on to the next by itself, after its hold.
pub(in super::super) fn stage(t: &mut Txn<'_>, passed: &Stored, to: &str, hold_ms: i64) -> Result<(), Fault> {
    let now = t.now();
    let row = QueuedRow {
        id: 0,
        service: passed.service.clone(),
        environment: to.to_owned(),
        origin: Origin::Stage.word().to_owned(),
        actor_kind: kind_word(ActorKind::Robot).to_owned(),
        actor: Actor::system().id,
        name: Caller::system().name,
        source: source_word(Source::System).to_owned(),
        reference: None,
        sha: passed.sha.clone(),
        reason: Some(format!("deploy {} succeeded on {}", passed.number, passed.environment)),
        after_deploy: Some(passed.number),
        not_before: (hold_ms > 0).then(|| now.plus_ms(hold_ms)),
        asked_at: now,
    };
    let (row, position) = join(t.tx(), row, |other| other.origin == Origin::Stage.word())?;
    t.record(said::joined(&row, position))?;
    Ok(())
}

/// What waits to go on from a deploy that was taken back goes on no more.
pub(in super::super) fn stage_left(t: &mut Txn<'_>, number: i64, why: &str) -> Result<(), Fault> {
    for row in store::all(t.tx())?.into_iter().filter(|row| row.after_deploy == Some(number)) {
        if store::take(t.tx(), row.id, &row.sha)? {
            t.record(said::given_up(&row, why))?;
        }
    }
    Ok(())
}

pub(super) fn take_out(t: &mut Txn<'_>, who: &Caller, row: &QueuedRow, why: Option<&str>) -> Result<(), Fault> {
    if !store::take(t.tx(), row.id, &row.sha)? {
        return Err(Fault::conflict("it does not wait any more; its turn has come"));
    }
    let draft = said::taken_out(who, row, is_of(row, &who.actor), why);
    t.record(draft)?;
    Ok(())
}

/// Lets a queue go on that stands; false when it does not.
pub(super) fn resume(t: &mut Txn<'_>, who: &Caller, service: &str, environment: &str) -> Result<bool, Fault> {
    let now = t.now();
    let queue = Queue::read(t.tx(), service, environment, now)?;
    let Turn::Stands { number, .. } = queue.turn else { return Ok(false) };
    store::passed_put(t.tx(), service, environment, number)?;
    t.record(said::resumed(who, service, environment, number))?;
    Ok(true)
}

/// A lock was lifted: where none is left, the queue goes on.
pub(in super::super) fn unlocked(t: &mut Txn<'_>, who: &Caller, service: &str, environment: &str) -> Result<(), Fault> {
    let now = t.now();
    let locks = deploys::locks_open(t.tx(), now)?;
    if !locks.iter().any(|lock| lock.service == service && lock.environment == environment) {
        resume(t, who, service, environment)?;
    }
    Ok(())
}

/// A deploy is over: what waits behind one that did not end well stands, which is said once.
pub(in super::super) fn ended(t: &mut Txn<'_>, over: &Stored) -> Result<(), Fault> {
    let now = t.now();
    let queue = Queue::read(t.tx(), &over.service, &over.environment, now)?;
    if let Some(draft) = said::stands(&queue, &over.service, &over.environment) {
        t.record(draft)?;
    }
    Ok(())
}
