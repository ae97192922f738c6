//! Locks: nobody but the owner deploys a service to an environment, for a reason and until an instant. A freeze stops its
//! owner as well, may begin later and may be for all services; a pin lets one commit through. A rollback is never locked
//! out. A deploy that went back by itself leaves a lock, which whoever goes forward over it ends.

use serde::{Deserialize, Serialize};
use tenfold_deploys::machine::Locker;
use tenfold_store::deploys::{self as store, LockRow};
use tenfold_types::{Actor, ErrorCode, EventDraft, Fault, Severity, Source, Timestamp};

use super::gate::Wish;
use super::queue;
use super::stored::{Stored, short};
use super::views::{Lock, LockKind, NewLock};
use crate::{App, Caller, Role, Txn};

const REASON_BYTES_MAX: usize = 1024;
/// Longest a lock may last: a month.
const LOCK_MS_MAX: i64 = 31 * 24 * 60 * 60 * 1000;
/// How far ahead a freeze may begin or end.
const FREEZE_MS_MAX: i64 = 366 * 24 * 60 * 60 * 1000;
/// In place of a service: all of them.
const ALL: &str = "*";
/// How long a lock lasts when nobody says.
const LOCK_MS_DEFAULT: i64 = 60 * 60 * 1000;
/// How long the lock of a way back lasts: until somebody had the day to look.
const WAY_BACK_LOCK_MS: i64 = 24 * 60 * 60 * 1000;
/// Most locks on one service and environment at a time.
const LOCKS_MAX: usize = 20;

#[derive(Serialize, Deserialize)]
struct Body {
    owner: Actor,
    owner_name: String,
    reason: String,
    #[serde(default)]
    kind: LockKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha: Option<String>,
    /// It went back by itself and left the lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deploy: Option<i64>,
}

impl App {
    /// Locks that hold now, the oldest first.
    pub async fn locks(&self) -> Result<Vec<Lock>, Fault> {
        let now = self.now();
        let rows = self.read(move |tx| Ok(store::locks_open(tx, now)?)).await?;
        rows.iter().map(|row| view(row).map(|(lock, _)| lock)).collect()
    }

    pub async fn lock_create(&self, who: &Caller, new: NewLock) -> Result<Lock, Fault> {
        let everywhere = new.service == ALL;
        if everywhere && new.kind != LockKind::Freeze {
            return Err(Fault::invalid("only a freeze is for all services").advice("name a service"));
        }
        if everywhere {
            who.require(Role::Admin, None, Some(&new.environment))?;
        } else {
            who.require(Role::Deployer, Some(&new.service), Some(&new.environment))?;
            let settings = self.service_settings(&new.service).await?;
            if !settings.environments.contains(&new.environment) {
                return Err(Fault::not_found(format!("{} is not deployed to `{}`", new.service, new.environment))
                    .advice(format!("it is deployed to {}", settings.environments.join(", "))));
            }
        }
        let sha = self.pinned(&new).await?;
        let reason = new.reason.trim().to_owned();
        if reason.is_empty() || reason.len() > REASON_BYTES_MAX {
            return Err(Fault::invalid(format!("a lock needs a reason of at most {REASON_BYTES_MAX} bytes"))
                .advice("say why, so that others know when it may go"));
        }
        let now = self.now();
        let expires_at = match (new.expires_at, new.minutes) {
            (Some(at), _) => at,
            (None, Some(minutes)) => now.plus_ms(minutes.saturating_mul(60_000)),
            (None, None) => now.plus_ms(LOCK_MS_DEFAULT),
        };
        let (most_ms, days) = if new.kind == LockKind::Freeze { (FREEZE_MS_MAX, 366) } else { (LOCK_MS_MAX, 31) };
        if expires_at <= now || expires_at.since_ms(now) > most_ms {
            return Err(Fault::invalid(format!("a {} ends in the future, within {days} days", new.kind.word())));
        }
        if new.from.is_some_and(|from| from >= expires_at) {
            return Err(Fault::invalid("a freeze ends after it begins"));
        }
        if new.from.is_some() && new.kind != LockKind::Freeze {
            return Err(Fault::invalid("only a freeze begins later").advice("leave `from` out"));
        }
        let (kind, from) = (new.kind, new.from);
        let (owner, owner_name) = (who.actor.clone(), who.name.clone());
        let body = Body { owner, owner_name, reason, kind, from, sha, deploy: None };
        let row = LockRow {
            id: self.random_text(9),
            service: new.service,
            environment: new.environment,
            created_at: now,
            expires_at,
            released_at: None,
            body: serde_json::to_string(&body).map_err(|e| Fault::internal(e.to_string()))?,
        };
        let (lock, _) = view(&row)?;
        let (who, made) = (who.clone(), lock.clone());
        self.transact(move |t| {
            let open = store::locks_open(t.tx(), now)?;
            if open.iter().filter(|l| l.service == row.service && l.environment == row.environment).count() >= LOCKS_MAX
            {
                return Err(Fault::conflict(format!("{} has {LOCKS_MAX} locks already", row.service)));
            }
            store::lock_insert(t.tx(), &row)?;
            let text = made_text(&who.name, &made);
            t.record(event((who.actor.clone(), who.source), "lock.created", text, &made))?;
            Ok(())
        })
        .await?;
        Ok(lock)
    }

    /// The whole commit a pin is for.
    async fn pinned(&self, new: &NewLock) -> Result<Option<String>, Fault> {
        match (new.kind, new.sha.as_deref()) {
            (LockKind::Pin, sha) => {
                let settings = self.service_settings(&new.service).await?;
                let reference = sha.unwrap_or(&settings.branch);
                let runner = self.deploys.runner()?;
                let source = settings.source(&new.service);
                runner.fetch(&source).await?;
                Ok(Some(runner.resolve(&source, reference).await?.sha))
            }
            (_, None) => Ok(None),
            (kind, Some(_)) => Err(Fault::invalid(format!("a {} has no commit", kind.word())).advice("make it a pin")),
        }
    }

    /// Ends a lock early. Its owner may, and whoever may deploy there: a lock is a notice, not a wall.
    pub async fn lock_release(&self, who: &Caller, id: &str) -> Result<(), Fault> {
        let (key, who, now) = (id.to_owned(), who.clone(), self.now());
        self.transact(move |t| {
            let missing = || Fault::not_found("there is no such lock; it may have ended");
            let row = store::lock_get(t.tx(), &key)?.ok_or_else(missing)?;
            match row.service.as_str() {
                ALL => who.require(Role::Admin, None, Some(&row.environment))?,
                service => who.require(Role::Deployer, Some(service), Some(&row.environment))?,
            }
            let (lock, _) = view(&row)?;
            if !store::lock_release(t.tx(), &key, now)? {
                return Err(missing());
            }
            let text = match lock.kind {
                LockKind::Lock => format!("{} unlocked {} on {}", who.name, row.service, row.environment),
                kind => {
                    format!("{} ended the {} of {} on {}", who.name, kind.word(), said(&row.service), row.environment)
                }
            };
            t.record(event((who.actor.clone(), who.source), "lock.released", text, &lock))?;
            queue::unlocked(t, &who, &row.service, &row.environment)
        })
        .await
    }

    /// What keeps somebody from deploying a commit, if anything does.
    pub(super) async fn lock_in_the_way(
        &self,
        who: &Caller,
        service: &str,
        environment: &str,
        sha: &str,
    ) -> Result<Option<Lock>, Fault> {
        let (now, actor) = (self.now(), who.actor.clone());
        let [service, environment, sha] = [service, environment, sha].map(str::to_owned);
        self.read(move |tx| {
            let wish = Wish { service: &service, environment: &environment, sha: &sha, actor: &actor };
            in_the_way(&store::locks_open(tx, now)?, wish, now)
        })
        .await
    }

    /// Ends all locks of a service and environment; how many there were.
    pub async fn unlock(&self, who: &Caller, service: &str, environment: &str) -> Result<usize, Fault> {
        who.require(Role::Deployer, Some(service), Some(environment))?;
        let open: Vec<Lock> =
            self.locks().await?.into_iter().filter(|l| l.service == service && l.environment == environment).collect();
        for lock in &open {
            self.lock_release(who, &lock.id).await?;
        }
        Ok(open.len())
    }
}

/// The lock of a deploy that goes back by itself, with the evidence as its reason and with its event: nobody ships over it
/// before somebody has looked.
pub(super) fn by_itself(app: &App, stored: &Stored, by: Locker, why: &str) -> Result<(LockRow, EventDraft), Fault> {
    let now = app.now();
    let (owner_name, subject) = match by {
        Locker::Judge => ("the judge", "The judge"),
        Locker::Server => ("tenfold", "tenfold"),
    };
    let reason = format!("deploy {}: {why}", stored.number);
    let reason: String = reason.chars().take(REASON_BYTES_MAX / 4).collect();
    let (kind, from, sha) = (LockKind::Lock, None, None);
    let (owner, owner_name, deploy) = (Actor::system(), owner_name.to_owned(), Some(stored.number));
    let body = Body { owner, owner_name, reason, kind, from, sha, deploy };
    let row = LockRow {
        id: app.random_text(9),
        service: stored.service.clone(),
        environment: stored.environment.clone(),
        created_at: now,
        expires_at: now.plus_ms(WAY_BACK_LOCK_MS),
        released_at: None,
        body: serde_json::to_string(&body).map_err(|e| Fault::internal(e.to_string()))?,
    };
    let (lock, owner) = view(&row)?;
    let text = format!("{subject} locked {} on {}: {}", row.service, row.environment, lock.reason);
    let draft = event((owner, Source::System), "lock.created", text, &lock);
    Ok((row, draft.deploy(stored.number).severity(Severity::Warning)))
}

/// What the record holds of a lock.
fn event((actor, source): (Actor, Source), kind: &str, text: String, lock: &Lock) -> EventDraft {
    EventDraft::new(actor, source, kind, text)
        .service(&lock.service)
        .environment(&lock.environment)
        .data(serde_json::json!({"lock": lock}))
}

/// Writes a lock with its event; one that is there already stays as it is, also another one of the same deploy.
pub(super) fn put(t: &mut Txn<'_>, row: &LockRow, draft: EventDraft) -> Result<(), Fault> {
    let (now, deploy) = (t.now(), view(row)?.0.deploy);
    let (left, _) = left_by(store::locks_open(t.tx(), now)?, deploy)?;
    if !left.is_empty() || store::lock_get(t.tx(), &row.id)?.is_some() {
        return Ok(());
    }
    store::lock_insert(t.tx(), row)?;
    t.record(draft)?;
    Ok(())
}

/// The locks that a deploy left when it went back by itself, and all others.
pub(super) fn left_by(open: Vec<LockRow>, deploy: Option<i64>) -> Result<(Vec<LockRow>, Vec<LockRow>), Fault> {
    let (mut left, mut others) = (Vec::new(), Vec::new());
    for row in open {
        let is_left = deploy.is_some() && view(&row)?.0.deploy == deploy;
        let side = if is_left { &mut left } else { &mut others };
        side.push(row);
    }
    Ok((left, others))
}

/// Ends the locks that a deploy left, for the one that goes forward over it.
pub(super) fn go_over(t: &mut Txn<'_>, who: &Caller, left: &[LockRow]) -> Result<(), Fault> {
    let now = t.now();
    for row in left {
        if !store::lock_release(t.tx(), &row.id, now)? {
            continue;
        }
        let (lock, _) = view(row)?;
        let over = lock.deploy.map_or_else(String::new, |number| format!(" over deploy {number}"));
        let text = format!("{} goes forward{over}, which unlocks {} on {}", who.name, row.service, row.environment);
        t.record(event((who.actor.clone(), who.source), "lock.released", text, &lock))?;
    }
    Ok(())
}

/// What keeps somebody from deploying, if anything does. An owner is not locked out by the own lock.
pub(super) fn in_the_way(rows: &[LockRow], wish: Wish<'_>, now: Timestamp) -> Result<Option<Lock>, Fault> {
    for row in rows.iter().filter(|r| is_for(r, wish.service, wish.environment)) {
        let (lock, owner) = view(row)?;
        let holds = match lock.kind {
            LockKind::Lock => owner != *wish.actor,
            LockKind::Freeze => lock.from.is_none_or(|from| from <= now),
            LockKind::Pin => lock.sha.as_deref() != Some(wish.sha),
        };
        if holds {
            return Ok(Some(lock));
        }
    }
    Ok(None)
}

fn is_for(row: &LockRow, service: &str, environment: &str) -> bool {
    (row.service == service || row.service == ALL) && row.environment == environment
}

/// The first lock, freeze or pin on a service and environment that has begun, whoever owns it.
pub(super) fn first(rows: &[LockRow], service: &str, environment: &str, now: Timestamp) -> Result<Option<Lock>, Fault> {
    let locks = rows.iter().filter(|r| is_for(r, service, environment)).map(|r| view(r).map(|(lock, _)| lock));
    let begun = |lock: &Result<Lock, Fault>| lock.as_ref().map_or(true, |l| l.from.is_none_or(|from| from <= now));
    locks.into_iter().find(begun).transpose()
}

pub(super) fn locked(lock: &Lock, until: Timestamp) -> Fault {
    let minutes = (lock.expires_at.since_ms(until) / 60_000).max(1);
    let (service, environment, owner) = (said(&lock.service), &lock.environment, &lock.owner_name);
    let what = match lock.kind {
        LockKind::Lock => format!("{service} is locked on {environment}"),
        LockKind::Freeze => format!("{service} is frozen on {environment}"),
        LockKind::Pin => {
            let sha = lock.sha.as_deref().map_or("nothing", short);
            format!("{service} is pinned to {sha} on {environment}")
        }
    };
    let advice = match (lock.kind, lock.deploy) {
        (_, Some(number)) => {
            format!("look at deploy {number} first; then go forward over it with the fix (`rollforward`), or unlock it")
        }
        (LockKind::Lock, None) => format!("ask {owner}, or unlock it if you know better"),
        _ => format!("ask {owner}; an admin may override it with a reason"),
    };
    Fault::new(ErrorCode::Locked, format!("{what} by {owner} for another {minutes} min: {}", lock.reason))
        .advice(advice)
}

fn said(service: &str) -> &str {
    if service == ALL { "everything" } else { service }
}

fn made_text(name: &str, lock: &Lock) -> String {
    let (service, environment) = (said(&lock.service), &lock.environment);
    match lock.kind {
        LockKind::Lock => format!("{name} locked {service} on {environment}: {}", lock.reason),
        LockKind::Freeze => {
            let from = lock.from.map_or_else(String::new, |from| format!(" from {from}"));
            format!("{name} froze {service} on {environment}{from} until {}: {}", lock.expires_at, lock.reason)
        }
        LockKind::Pin => {
            let sha = lock.sha.as_deref().map_or("nothing", short);
            format!("{name} pinned {service} to {sha} on {environment}: {}", lock.reason)
        }
    }
}

fn view(row: &LockRow) -> Result<(Lock, Actor), Fault> {
    let body: Body = serde_json::from_str(&row.body)
        .map_err(|e| Fault::internal(format!("the lock {} cannot be read: {e}", row.id)))?;
    let lock = Lock {
        id: row.id.clone(),
        service: row.service.clone(),
        environment: row.environment.clone(),
        owner: body.owner.id.clone(),
        owner_name: body.owner_name,
        reason: body.reason,
        kind: body.kind,
        from: body.from,
        sha: body.sha,
        deploy: body.deploy,
        created_at: row.created_at,
        expires_at: row.expires_at,
    };
    Ok((lock, body.owner))
}
