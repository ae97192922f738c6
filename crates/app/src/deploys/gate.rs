//! Whether a place takes a deploy now: windows and freezes of its pipeline file, and locks, freezes and pins that people
//! set. An admin may override them with a reason, which is recorded; a rollback passes them all.

use tenfold_deploys::pipeline::{self, Approve, Target};
use tenfold_store::deploys::LockRow;
use tenfold_types::{Actor, ActorKind, ErrorCode, Fault, Timestamp};

use super::locks;
use super::views::Closed;

/// Who wants to ship what where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    pub service: &'a str,
    pub environment: &'a str,
    pub sha: &'a str,
    pub actor: &'a Actor,
}

/// What the pipeline file says, in words.
pub(super) fn closed(target: &Target, now: Timestamp) -> Option<Closed> {
    let shut = pipeline::closed(&target.windows, &target.freezes, now)?;
    Some(Closed { why: shut.why, opens_at: shut.opens_at })
}

/// Refuses with the first thing that is in the way.
pub(super) fn check(wish: Wish<'_>, target: &Target, open: &[LockRow], now: Timestamp) -> Result<(), Fault> {
    if let Some(shut) = closed(target, now) {
        let opens = shut.opens_at.map_or_else(String::new, |at| format!("it opens again at {at}; "));
        return Err(Fault::new(
            ErrorCode::Locked,
            format!("{} takes no deploys to {} now: {}", wish.service, wish.environment, shut.why),
        )
        .advice(format!("{opens}an admin may override it with a reason")));
    }
    match locks::in_the_way(open, wish, now)? {
        Some(lock) => Err(locks::locked(&lock, now)),
        None => Ok(()),
    }
}

/// What a program begins takes two people where it takes four eyes, and a file that names one person has not two. Who is in
/// a team is known when they approve.
pub(super) fn by_program(actor: &Actor, approve: &Approve, environment: &str) -> Result<(), Fault> {
    let one = approve.by.len() == 1 && approve.teams.is_empty();
    if actor.kind == ActorKind::Person || !approve.four_eyes || !one {
        return Ok(());
    }
    Err(Fault::forbidden(format!(
        "a deploy to {environment} that a program starts needs two people who approve, and `approve.by` names one"
    ))
    .advice("a person starts it, or `approve.by` names more people, or `approve.teams` a team"))
}
