//! The queue of a service and environment: people who asked while a deploy was under way, pushes that the settings deploy by
//! themselves, and releases that were good in the stage before. Whose turn it is decides `tenfold_deploys::queue`.
//!
//! What waits is the commit the reference was at when it was asked for: what was shown is what ships. Windows, freezes, locks
//! and trains are asked when it joins and again when its turn comes; pushes and stages join whatever is in the way.

mod said;
mod turns;

use serde::{Deserialize, Serialize};
use tenfold_deploys::machine::{Kind, State};
use tenfold_deploys::queue::{Last, Open, Origin, Turn, WAITING_MAX, Waiting, turn};
use tenfold_store::deploy_queue::{self as store, QueuedRow};
use tenfold_store::{Tx, counters, deploys};
use tenfold_types::{Actor, ActorKind, ErrorCode, Fault, Source, Timestamp};

use super::gate::{self, Wish};
use super::start::reason;
use super::stored::Stored;
use super::trains;
use super::views::{ActorView, Deploy, NewDeploy};
use crate::{App, Caller, Role, Txn};

pub use turns::look;
pub(super) use turns::{Tries, run};

/// The counter that numbers what waits.
const COUNTER: &str = "deploy_queue";

/// One that waits for its turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct QueueEntry {
    pub id: i64,
    /// From 1.
    pub position: usize,
    /// `ask`, `push`, or `stage`: it was good in the stage before.
    pub origin: String,
    pub actor: ActorView,
    pub actor_name: String,
    /// Branch, tag or commit that was asked for; absent for the service's branch.
    pub reference: Option<String>,
    /// The commit it was at then, and that ships.
    pub sha: String,
    pub reason: Option<String>,
    /// The deploy of the stage before.
    pub after_deploy: Option<i64>,
    /// It has no turn before this.
    #[schema(value_type = Option<String>)]
    pub not_before: Option<Timestamp>,
    #[schema(value_type = String)]
    pub asked_at: Timestamp,
}

/// What waits for a service and environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct QueueView {
    pub service: String,
    pub environment: String,
    /// The first one first.
    pub entries: Vec<QueueEntry>,
    /// What the first waits for, in words.
    pub waits_for: Option<String>,
    /// The deploy before did not end well; the queue goes on when somebody says so.
    pub stands: bool,
}

/// What came of asking for a deploy: it began, or it waits.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct QueueAsked {
    pub deploy: Option<Deploy>,
    pub waiting: Option<QueueEntry>,
}

/// What somebody says to a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum QueueWord {
    /// Takes the own deploy out.
    Leave,
    /// Takes somebody else's out.
    Drop,
    /// Lets a queue go on that stands.
    Go,
}

impl QueueWord {
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Leave, Self::Drop, Self::Go].into_iter().find(|w| w.word() == word.to_lowercase())
    }
    pub const fn word(self) -> &'static str {
        match self {
            Self::Leave => "leave",
            Self::Drop => "drop",
            Self::Go => "go",
        }
    }
}

/// A queue as it is kept, and whose turn it is.
pub(super) struct Queue {
    pub rows: Vec<QueuedRow>,
    pub turn: Turn,
}

impl Queue {
    pub fn read(tx: &mut dyn Tx, service: &str, environment: &str, now: Timestamp) -> Result<Self, Fault> {
        let rows = store::of(tx, service, environment)?;
        let waiting: Vec<Waiting> = rows.iter().map(waiting).collect();
        let unfinished = deploys::deploy_unfinished(tx, service, environment)?;
        let open = unfinished.and_then(|row| Some(Open { number: row.number, state: State::parse(&row.state)? }));
        let last = store::last_ended(tx, service, environment)?.and_then(|(number, kind, state, ended_at)| {
            let kind = if kind == Kind::Rollback.word() { Kind::Rollback } else { Kind::Deploy };
            Some(Last { number, kind, state: State::parse(&state)?, ended_at })
        });
        let passed = store::passed(tx, service, environment)?;
        let turn = turn(&waiting, open, last, passed, now);
        Ok(Self { rows, turn })
    }

    /// Refuses a deploy that does not wait where others do. Where the queue does not go on by itself, whoever may deploy
    /// goes before it: what mends the trouble has to get out.
    pub fn check_free(
        &self,
        service: &str,
        environment: &str,
        open: &[deploys::LockRow],
        now: Timestamp,
    ) -> Result<(), Fault> {
        let stuck = match self.turn {
            Turn::Stands { .. } | Turn::Held { state: State::Held | State::NeedsHuman, .. } => true,
            Turn::Goes { id } => match self.rows.iter().find(|row| row.id == id) {
                Some(row) => said::in_the_way(row, open, now)?.is_some(),
                None => false,
            },
            Turn::Nobody | Turn::Busy { .. } | Turn::Held { .. } => false,
        };
        let n = self.rows.iter().filter(|row| row.not_before.is_none_or(|at| at <= now)).count();
        if n == 0 || stuck {
            return Ok(());
        }
        let who = if n == 1 { "1 deploy waits".to_owned() } else { format!("{n} deploys wait") };
        Err(Fault::conflict(format!("{who} already for {service} on {environment}"))
            .advice("join the queue, and it begins by itself when its turn comes"))
    }
}

fn waiting(row: &QueuedRow) -> Waiting {
    Waiting { id: row.id, asked_at: row.asked_at, not_before: row.not_before }
}

fn is_of(row: &QueuedRow, actor: &Actor) -> bool {
    row.actor == actor.id && row.actor_kind == kind_word(actor.kind)
}

const fn kind_word(kind: ActorKind) -> &'static str {
    match kind {
        ActorKind::Person => "person",
        ActorKind::Robot => "robot",
        ActorKind::Agent => "agent",
    }
}

fn actor_of(row: &QueuedRow) -> Actor {
    if row.actor_kind == "person" { Actor::person(&row.actor) } else { Actor::robot(&row.actor) }
}

fn source_word(source: Source) -> &'static str {
    match source {
        Source::Web => "web",
        Source::Cli => "cli",
        Source::Chat => "chat",
        Source::Api => "api",
        Source::Agent => "agent",
        Source::System => "system",
    }
}

fn source_of(row: &QueuedRow) -> Source {
    let all = [Source::Web, Source::Cli, Source::Chat, Source::Agent, Source::System];
    all.into_iter().find(|source| source_word(*source) == row.source).unwrap_or(Source::Api)
}

pub(super) fn entry(row: &QueuedRow, position: usize) -> QueueEntry {
    QueueEntry {
        id: row.id,
        position,
        origin: row.origin.clone(),
        actor: ActorView::from(&actor_of(row)),
        actor_name: row.name.clone(),
        reference: row.reference.clone(),
        sha: row.sha.clone(),
        reason: row.reason.clone(),
        after_deploy: row.after_deploy,
        not_before: row.not_before,
        asked_at: row.asked_at,
    }
}

impl App {
    /// All queues in which something waits.
    pub async fn queues(&self) -> Result<Vec<QueueView>, Fault> {
        let rows = self.read(|tx| Ok(store::all(tx)?)).await?;
        let mut places: Vec<(String, String)> = rows.into_iter().map(|row| (row.service, row.environment)).collect();
        places.dedup();
        let mut views = Vec::new();
        for (service, environment) in places {
            views.push(self.queue_view(&service, &environment).await?);
        }
        Ok(views)
    }

    /// What waits for a service and environment, and for what.
    pub async fn queue(&self, service: &str, environment: &str) -> Result<QueueView, Fault> {
        let settings = self.service_settings(service).await?;
        if !settings.environments.iter().any(|e| e == environment) {
            return Err(Fault::not_found(format!("{service} is not deployed to `{environment}`"))
                .advice(format!("it is deployed to {}", settings.environments.join(", "))));
        }
        self.queue_view(service, environment).await
    }

    async fn queue_view(&self, service: &str, environment: &str) -> Result<QueueView, Fault> {
        let (now, key, env) = (self.now(), service.to_owned(), environment.to_owned());
        let (queue, locks) =
            self.read(move |tx| Ok((Queue::read(tx, &key, &env, now)?, deploys::locks_open(tx, now)?))).await?;
        let waits_for = said::waits_for(&queue, &locks, &self.deploys.tries, now)?;
        Ok(QueueView {
            service: service.to_owned(),
            environment: environment.to_owned(),
            entries: queue.rows.iter().enumerate().map(|(i, row)| entry(row, i + 1)).collect(),
            waits_for,
            stands: matches!(queue.turn, Turn::Stands { .. }),
        })
    }

    /// Deploys, or joins the queue where a deploy is under way or others wait. A deploy that is held is taken over from, and
    /// one that passes over locks does not wait, as in `deploy_start`.
    pub async fn deploy_ask(&self, who: &Caller, new: NewDeploy) -> Result<QueueAsked, Fault> {
        who.require(Role::Deployer, Some(&new.service), Some(&new.environment))?;
        if new.override_reason.is_some() || !self.has_to_wait(&new).await? {
            let begun = Box::pin(self.deploy_start(who, new.clone())).await;
            // Somebody else was faster.
            let late = matches!(&begun, Err(fault) if fault.code == ErrorCode::Conflict)
                && new.override_reason.is_none()
                && self.has_to_wait(&new).await?;
            if !late {
                return begun.map(|deploy| QueueAsked { deploy: Some(deploy), waiting: None });
            }
        }
        let waiting = Box::pin(self.queue_join(who, new)).await?;
        Ok(QueueAsked { deploy: None, waiting: Some(waiting) })
    }

    async fn has_to_wait(&self, new: &NewDeploy) -> Result<bool, Fault> {
        let (now, service, environment) = (self.now(), new.service.clone(), new.environment.clone());
        self.read(move |tx| {
            let queue = Queue::read(tx, &service, &environment, now)?;
            if queue.rows.iter().any(|row| row.not_before.is_none_or(|at| at <= now)) {
                return Ok(true);
            }
            let open = deploys::deploy_unfinished(tx, &service, &environment)?;
            let state = open.and_then(|row| State::parse(&row.state));
            Ok(state.is_some_and(|state| !matches!(state, State::Held | State::NeedsHuman)))
        })
        .await
    }

    async fn queue_join(&self, who: &Caller, new: NewDeploy) -> Result<QueueEntry, Fault> {
        let settings = self.service_settings(&new.service).await?;
        let why = reason(new.reason)?;
        let reference = new.reference.map(|r| r.trim().to_owned()).filter(|r| !r.is_empty());
        // What makes a deploy impossible is said now and not when its turn comes.
        let shipment = self.shipment(&new.service, &settings, &new.environment, reference.as_deref(), true).await?;
        let Some(pipeline) = shipment.pipeline else { return Err(Fault::internal("the pipeline file was not read")) };
        let target = pipeline.target(&new.environment).map_err(|e| Fault::invalid(e.to_string()))?.clone();
        self.check_stage(&new.service, &pipeline, &new.environment, &shipment.commit.sha).await?;
        let row = QueuedRow {
            id: 0,
            service: new.service,
            environment: new.environment,
            origin: Origin::Ask.word().to_owned(),
            actor_kind: kind_word(who.actor.kind).to_owned(),
            actor: who.actor.id.clone(),
            name: who.name.clone(),
            source: source_word(who.source).to_owned(),
            reference,
            sha: shipment.commit.sha,
            reason: why,
            after_deploy: None,
            not_before: None,
            asked_at: self.now(),
        };
        let who = who.clone();
        let (row, position) = self
            .transact(move |t| {
                let now = t.now();
                let wish =
                    Wish { service: &row.service, environment: &row.environment, sha: &row.sha, actor: &who.actor };
                gate::check(wish, &target, &deploys::locks_open(t.tx(), now)?, now)?;
                trains::check_free(t.tx(), &row.service, &row.environment, &who.actor, now)?;
                let (row, position) = join(t.tx(), QueuedRow { asked_at: now, ..row.clone() }, |other| {
                    other.origin == Origin::Ask.word() && is_of(other, &who.actor)
                })?;
                t.record(said::joined(&row, position))?;
                Ok((row, position))
            })
            .await?;
        Ok(entry(&row, position))
    }

    /// Says a word to the queue. `of` names whose deploy is dropped, by login or robot's name.
    pub async fn queue_say(
        &self,
        who: &Caller,
        service: &str,
        environment: &str,
        word: QueueWord,
        of: Option<String>,
        why: Option<String>,
    ) -> Result<QueueView, Fault> {
        who.require(Role::Deployer, Some(service), Some(environment))?;
        let why = reason(why)?;
        let (caller, key, env) = (who.clone(), service.to_owned(), environment.to_owned());
        self.transact(move |t| match word {
            QueueWord::Go => {
                if resume(t, &caller, &key, &env)? {
                    return Ok(());
                }
                let text = format!("the queue of {key} to {env} does not stand, so there is nothing to let go on");
                Err(Fault::conflict(text).advice(format!("say `queue {key}` to see what it waits for")))
            }
            QueueWord::Leave => {
                let own = store::of(t.tx(), &key, &env)?.into_iter().find(|row| is_of(row, &caller.actor));
                let row = own.ok_or_else(|| {
                    Fault::conflict(format!("{} does not wait for {key} on {env}", caller.name))
                        .advice("its turn may have come")
                })?;
                take_out(t, &caller, &row, why.as_deref())
            }
            QueueWord::Drop => {
                let of = of.clone().ok_or_else(|| Fault::invalid("whose deploy is dropped is not said"))?;
                let row = store::of(t.tx(), &key, &env)?.into_iter().find(|row| row.actor == of);
                let row = row.ok_or_else(|| {
                    Fault::conflict(format!("nothing of {of} waits for {key} on {env}"))
                        .advice("its turn may have come")
                })?;
                take_out(t, &caller, &row, why.as_deref())
            }
        })
        .await?;
        self.queue_view(service, environment).await
    }
}

/// Writes one that waits. One that `replaces` says it stands for keeps its place with the newer commit.
fn join(tx: &mut dyn Tx, row: QueuedRow, replaces: impl Fn(&QueuedRow) -> bool) -> Result<(QueuedRow, usize), Fault> {
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
pub(super) fn stage(t: &mut Txn<'_>, passed: &Stored, to: &str, hold_ms: i64) -> Result<(), Fault> {
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
pub(super) fn stage_left(t: &mut Txn<'_>, number: i64, why: &str) -> Result<(), Fault> {
    for row in store::all(t.tx())?.into_iter().filter(|row| row.after_deploy == Some(number)) {
        if store::take(t.tx(), row.id, &row.sha)? {
            t.record(said::given_up(&row, why))?;
        }
    }
    Ok(())
}

fn take_out(t: &mut Txn<'_>, who: &Caller, row: &QueuedRow, why: Option<&str>) -> Result<(), Fault> {
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
pub(super) fn unlocked(t: &mut Txn<'_>, who: &Caller, service: &str, environment: &str) -> Result<(), Fault> {
    let now = t.now();
    let locks = deploys::locks_open(t.tx(), now)?;
    if !locks.iter().any(|lock| lock.service == service && lock.environment == environment) {
        resume(t, who, service, environment)?;
    }
    Ok(())
}

/// A deploy is over: what waits behind one that did not end well stands, which is said once.
pub(super) fn ended(t: &mut Txn<'_>, over: &Stored) -> Result<(), Fault> {
    let now = t.now();
    let queue = Queue::read(t.tx(), &over.service, &over.environment, now)?;
    if let Some(draft) = said::stands(&queue, &over.service, &over.environment) {
        t.record(draft)?;
    }
    Ok(())
}
