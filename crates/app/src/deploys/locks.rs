//! Locks: nobody but the owner deploys a service to an environment, for a reason and until an instant. A rollback is never
//! locked out.

use serde::{Deserialize, Serialize};
use tenfold_store::deploys::{self as store, LockRow};
use tenfold_types::{Actor, ErrorCode, EventDraft, Fault, Severity, Source, Timestamp};

use super::stored::Stored;
use super::views::{Lock, NewLock};
use crate::{App, Caller, Role, Txn};

const REASON_BYTES_MAX: usize = 1024;
/// Longest a lock may last: a month.
const LOCK_MS_MAX: i64 = 31 * 24 * 60 * 60 * 1000;
/// How long a lock lasts when nobody says.
const LOCK_MS_DEFAULT: i64 = 60 * 60 * 1000;
/// How long the judge's lock lasts: until somebody had the day to look.
const JUDGE_LOCK_MS: i64 = 24 * 60 * 60 * 1000;
/// Most locks on one service and environment at a time.
const LOCKS_MAX: usize = 20;

#[derive(Serialize, Deserialize)]
struct Body {
    owner: Actor,
    owner_name: String,
    reason: String,
}

impl App {
    /// Locks that hold now, the oldest first.
    pub async fn locks(&self) -> Result<Vec<Lock>, Fault> {
        let now = self.now();
        let rows = self.read(move |tx| Ok(store::locks_open(tx, now)?)).await?;
        rows.iter().map(|row| view(row).map(|(lock, _)| lock)).collect()
    }

    pub async fn lock_create(&self, who: &Caller, new: NewLock) -> Result<Lock, Fault> {
        who.require(Role::Deployer, Some(&new.service), Some(&new.environment))?;
        let settings = self.service_settings(&new.service).await?;
        if !settings.environments.contains(&new.environment) {
            return Err(Fault::not_found(format!("{} is not deployed to `{}`", new.service, new.environment))
                .advice(format!("it is deployed to {}", settings.environments.join(", "))));
        }
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
        if expires_at <= now || expires_at.since_ms(now) > LOCK_MS_MAX {
            return Err(Fault::invalid("a lock ends in the future, within 31 days"));
        }
        let body = Body { owner: who.actor.clone(), owner_name: who.name.clone(), reason };
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
            let text = format!("{} locked {} on {}: {}", who.name, row.service, row.environment, made.reason);
            t.record(
                EventDraft::new(who.actor.clone(), who.source, "lock.created", text)
                    .service(&row.service)
                    .environment(&row.environment)
                    .data(serde_json::json!({"lock": made})),
            )?;
            Ok(())
        })
        .await?;
        Ok(lock)
    }

    /// Ends a lock early. Its owner may, and whoever may deploy there: a lock is a notice, not a wall.
    pub async fn lock_release(&self, who: &Caller, id: &str) -> Result<(), Fault> {
        let (key, who, now) = (id.to_owned(), who.clone(), self.now());
        self.transact(move |t| {
            let missing = || Fault::not_found("there is no such lock; it may have ended");
            let row = store::lock_get(t.tx(), &key)?.ok_or_else(missing)?;
            who.require(Role::Deployer, Some(&row.service), Some(&row.environment))?;
            let (lock, _) = view(&row)?;
            if !store::lock_release(t.tx(), &key, now)? {
                return Err(missing());
            }
            let text = format!("{} unlocked {} on {}", who.name, row.service, row.environment);
            t.record(
                EventDraft::new(who.actor.clone(), who.source, "lock.released", text)
                    .service(&row.service)
                    .environment(&row.environment)
                    .data(serde_json::json!({"lock": lock})),
            )?;
            Ok(())
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

/// The lock with which the judge keeps others from deploying what it found to be worse, with its event.
pub(super) fn by_judge(app: &App, stored: &Stored, why: String) -> Result<(LockRow, EventDraft), Fault> {
    let now = app.now();
    let reason = format!("deploy {}: {why}", stored.number);
    let reason: String = reason.chars().take(REASON_BYTES_MAX / 4).collect();
    let body = Body { owner: Actor::system(), owner_name: "the judge".to_owned(), reason };
    let row = LockRow {
        id: app.random_text(9),
        service: stored.service.clone(),
        environment: stored.environment.clone(),
        created_at: now,
        expires_at: now.plus_ms(JUDGE_LOCK_MS),
        released_at: None,
        body: serde_json::to_string(&body).map_err(|e| Fault::internal(e.to_string()))?,
    };
    let (lock, owner) = view(&row)?;
    let text = format!("The judge locked {} on {}: {}", row.service, row.environment, lock.reason);
    let draft = EventDraft::new(owner, Source::System, "lock.created", text)
        .service(&row.service)
        .environment(&row.environment)
        .deploy(stored.number)
        .severity(Severity::Warning)
        .data(serde_json::json!({"lock": lock}));
    Ok((row, draft))
}

/// Writes a lock with its event; one that is there already stays as it is.
pub(super) fn put(t: &mut Txn<'_>, row: &LockRow, draft: EventDraft) -> Result<(), Fault> {
    if store::lock_get(t.tx(), &row.id)?.is_some() {
        return Ok(());
    }
    store::lock_insert(t.tx(), row)?;
    t.record(draft)?;
    Ok(())
}

/// The lock that keeps `who` from deploying, if any. An owner is not locked out by the own lock.
pub(super) fn in_the_way(
    rows: &[LockRow],
    service: &str,
    environment: &str,
    who: &Actor,
) -> Result<Option<Lock>, Fault> {
    for row in rows.iter().filter(|r| r.service == service && r.environment == environment) {
        let (lock, owner) = view(row)?;
        if owner != *who {
            return Ok(Some(lock));
        }
    }
    Ok(None)
}

/// The first lock on a service and environment, whoever owns it.
pub(super) fn first(rows: &[LockRow], service: &str, environment: &str) -> Result<Option<Lock>, Fault> {
    rows.iter()
        .find(|r| r.service == service && r.environment == environment)
        .map(|r| view(r).map(|(lock, _)| lock))
        .transpose()
}

pub(super) fn locked(lock: &Lock, until: Timestamp) -> Fault {
    let minutes = (lock.expires_at.since_ms(until) / 60_000).max(1);
    Fault::new(
        ErrorCode::Locked,
        format!(
            "{} is locked on {} by {} for another {minutes} min: {}",
            lock.service, lock.environment, lock.owner_name, lock.reason
        ),
    )
    .advice(format!("ask {}, or unlock it if you know better", lock.owner_name))
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
        created_at: row.created_at,
        expires_at: row.expires_at,
    };
    Ok((lock, body.owner))
}
