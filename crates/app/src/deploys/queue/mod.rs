//! The queue of a service and environment: people who asked while a deploy was under way, pushes that the settings deploy by
//! themselves, and releases that were good in the stage before. Whose turn it is decides `tenfold_deploys::queue`.
//!
//! What waits is the commit the reference was at when it was asked for: what was shown is what ships. Windows, freezes, locks
//! and trains are asked when it joins and again when its turn comes; pushes and stages join whatever is in the way.

mod asks;
mod moves;
mod said;
mod turns;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tenfold_deploys::machine::{Kind, State};
use tenfold_deploys::queue::{Last, Open, Turn, Waiting, turn};
use tenfold_store::deploy_queue::{self as store, QueuedRow};
use tenfold_store::{Tx, deploys};
use tenfold_types::{Actor, ActorKind, Fault, Source, Timestamp};

use super::views::{ActorView, Deploy};

pub(crate) use moves::push;
pub(super) use moves::{ended, stage, stage_left, unlocked};
pub use turns::look;
pub(super) use turns::{Tries, run};

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
    /// Who may go, in order, by id: each where those before it cannot begin.
    goes: Vec<i64>,
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
        let from = |i: usize| turn(&waiting[i..], open, last, passed, now);
        let due = waiting.iter().enumerate().filter(|(_, w)| w.not_before.is_none_or(|at| at <= now));
        let goes = due.map_while(|(i, w)| matches!(from(i), Turn::Goes { .. }).then_some(w.id)).collect();
        Ok(Self { turn: from(0), goes, rows })
    }

    /// Refuses a deploy that does not wait where others do. Where the queue does not go on by itself, whoever may deploy
    /// goes before it: what mends the trouble has to get out.
    pub fn check_free(
        &self,
        service: &str,
        environment: &str,
        open: &[deploys::LockRow],
        refused: &BTreeSet<i64>,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let stands =
            matches!(self.turn, Turn::Stands { .. } | Turn::Held { state: State::Held | State::NeedsHuman, .. });
        let n = self.before_others(open, refused, now)?;
        if n == 0 || stands {
            return Ok(());
        }
        let who = if n == 1 { "1 deploy waits".to_owned() } else { format!("{n} deploys wait") };
        Err(Fault::conflict(format!("{who} already for {service} on {environment}"))
            .advice("join the queue, and it begins by itself when its turn comes"))
    }

    /// How many go before whoever comes now. What has its turn and cannot begin keeps nobody who can: a lock is in its way,
    /// or it is one of those that were `refused` when they were tried.
    fn before_others(
        &self,
        open: &[deploys::LockRow],
        refused: &BTreeSet<i64>,
        now: Timestamp,
    ) -> Result<usize, Fault> {
        let mut n = 0;
        for row in self.rows.iter().filter(|row| row.not_before.is_none_or(|at| at <= now)) {
            let has_turn = matches!(self.turn, Turn::Goes { .. });
            let stuck = has_turn && (refused.contains(&row.id) || said::in_the_way(row, open, now)?.is_some());
            n += usize::from(!stuck);
        }
        Ok(n)
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

fn entry(row: &QueuedRow, position: usize) -> QueueEntry {
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
