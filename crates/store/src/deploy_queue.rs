//! What waits for its turn to be deployed.

use tenfold_types::Timestamp;

use crate::{Row, StoreError, Tx, params};

/// One that waits. The queue of a service and environment is in the order of the ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedRow {
    pub id: i64,
    pub service: String,
    pub environment: String,
    /// `ask`, `push` or `stage`.
    pub origin: String,
    /// `person` or `robot`.
    pub actor_kind: String,
    pub actor: String,
    pub name: String,
    pub source: String,
    /// What was asked for, where it was not the branch.
    pub reference: Option<String>,
    /// The commit it was at then.
    pub sha: String,
    pub reason: Option<String>,
    /// The deploy of the stage before.
    pub after_deploy: Option<i64>,
    pub not_before: Option<Timestamp>,
    pub asked_at: Timestamp,
}

const QUEUED: &str = "id, service, environment, origin, actor_kind, actor, name, source, reference, sha, reason, \
                      after_deploy, not_before, asked_at";

fn queued(row: &Row) -> Result<QueuedRow, StoreError> {
    Ok(QueuedRow {
        id: row.int(0)?,
        service: row.string(1)?,
        environment: row.string(2)?,
        origin: row.string(3)?,
        actor_kind: row.string(4)?,
        actor: row.string(5)?,
        name: row.string(6)?,
        source: row.string(7)?,
        reference: row.opt_string(8)?,
        sha: row.string(9)?,
        reason: row.opt_string(10)?,
        after_deploy: row.opt_int(11)?,
        not_before: row.opt_time(12)?,
        asked_at: row.time(13)?,
    })
}

/// Writes one that waits; one of the same id is replaced and keeps its place.
pub fn put(tx: &mut dyn Tx, row: &QueuedRow) -> Result<(), StoreError> {
    tx.execute("DELETE FROM deploy_queue WHERE id = $1", params![row.id])?;
    tx.execute(
        &format!(
            "INSERT INTO deploy_queue ({QUEUED}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
        ),
        params![
            row.id,
            row.service.as_str(),
            row.environment.as_str(),
            row.origin.as_str(),
            row.actor_kind.as_str(),
            row.actor.as_str(),
            row.name.as_str(),
            row.source.as_str(),
            row.reference.as_deref(),
            row.sha.as_str(),
            row.reason.as_deref(),
            row.after_deploy,
            row.not_before,
            row.asked_at,
        ],
    )?;
    Ok(())
}

/// All that wait, by service, environment and place.
pub fn all(tx: &mut dyn Tx) -> Result<Vec<QueuedRow>, StoreError> {
    let sql = format!("SELECT {QUEUED} FROM deploy_queue ORDER BY service, environment, id");
    tx.query(&sql, &[])?.iter().map(queued).collect()
}

/// Those that wait for a service and environment, the first one first.
pub fn of(tx: &mut dyn Tx, service: &str, environment: &str) -> Result<Vec<QueuedRow>, StoreError> {
    let sql = format!("SELECT {QUEUED} FROM deploy_queue WHERE service = $1 AND environment = $2 ORDER BY id");
    tx.query(&sql, params![service, environment])?.iter().map(queued).collect()
}

/// One by its id.
pub fn get(tx: &mut dyn Tx, id: i64) -> Result<Option<QueuedRow>, StoreError> {
    let sql = format!("SELECT {QUEUED} FROM deploy_queue WHERE id = $1");
    tx.query_opt(&sql, params![id])?.map(|row| queued(&row)).transpose()
}

/// Takes one out; false when it does not wait any more, or waits with another commit by now.
pub fn take(tx: &mut dyn Tx, id: i64, sha: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM deploy_queue WHERE id = $1 AND sha = $2", params![id, sha])? > 0)
}

/// The deploy up to which somebody let the queue go on; 0 before that was ever needed.
pub fn passed(tx: &mut dyn Tx, service: &str, environment: &str) -> Result<i64, StoreError> {
    let sql = "SELECT number FROM deploy_queue_passed WHERE service = $1 AND environment = $2";
    tx.query_opt(sql, params![service, environment])?.map_or(Ok(0), |row| row.int(0))
}

pub fn passed_put(tx: &mut dyn Tx, service: &str, environment: &str, number: i64) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO deploy_queue_passed (service, environment, number) VALUES ($1, $2, $3) \
         ON CONFLICT (service, environment) DO UPDATE SET number = excluded.number",
        params![service, environment, number],
    )?;
    Ok(())
}

/// The newest deploy or rollback of a service and environment that is over: number, kind, state and when it ended.
pub fn last_ended(
    tx: &mut dyn Tx,
    service: &str,
    environment: &str,
) -> Result<Option<(i64, String, String, Timestamp)>, StoreError> {
    let sql = "SELECT number, kind, state, finished_at FROM deploys \
               WHERE service = $1 AND environment = $2 AND final = 1 AND finished_at IS NOT NULL \
               ORDER BY number DESC LIMIT 1";
    tx.query_opt(sql, params![service, environment])?
        .map(|row| Ok((row.int(0)?, row.string(1)?, row.string(2)?, row.time(3)?)))
        .transpose()
}
