//! Services, hosts, deploys, their artifacts and locks. Bodies are JSON and opaque here.

use tenfold_types::Timestamp;

use crate::{Row, StoreError, Tx, Value, params};

/// The services, as `(name, body)`, by name.
pub fn services(tx: &mut dyn Tx) -> Result<Vec<(String, String)>, StoreError> {
    let rows = tx.query("SELECT name, body FROM services ORDER BY name", &[])?;
    rows.iter().map(|row| Ok((row.string(0)?, row.string(1)?))).collect()
}

/// The body of a service.
pub fn service_get(tx: &mut dyn Tx, name: &str) -> Result<Option<String>, StoreError> {
    tx.query_opt("SELECT body FROM services WHERE name = $1", params![name])?.map(|row| row.string(0)).transpose()
}

/// Creates or replaces a service.
pub fn service_put(tx: &mut dyn Tx, name: &str, body: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO services (name, body) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET body = excluded.body",
        params![name, body],
    )?;
    Ok(())
}

/// Removes a service; false when there was none. Its deploys stay.
pub fn service_delete(tx: &mut dyn Tx, name: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM services WHERE name = $1", params![name])? > 0)
}

/// One deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployRow {
    pub number: i64,
    pub service: String,
    pub environment: String,
    pub state: String,
    /// `deploy` or `rollback`.
    pub kind: String,
    /// Nothing more happens to it.
    pub is_final: bool,
    /// The commit that goes to the hosts.
    pub sha: String,
    /// The artifact, once built.
    pub digest: Option<String>,
    /// The deploy this one takes back.
    pub reverts: Option<i64>,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// What was asked for; never changed.
    pub body: String,
    /// The state machine.
    pub run: String,
}

const DEPLOY: &str =
    "number, service, environment, state, kind, final, sha, digest, reverts, started_at, finished_at, body, run";

fn deploy(row: &Row) -> Result<DeployRow, StoreError> {
    Ok(DeployRow {
        number: row.int(0)?,
        service: row.string(1)?,
        environment: row.string(2)?,
        state: row.string(3)?,
        kind: row.string(4)?,
        is_final: row.bool(5)?,
        sha: row.string(6)?,
        digest: row.opt_string(7)?,
        reverts: row.opt_int(8)?,
        started_at: row.time(9)?,
        finished_at: row.opt_time(10)?,
        body: row.string(11)?,
        run: row.string(12)?,
    })
}

/// Writes a new deploy.
pub fn deploy_insert(tx: &mut dyn Tx, row: &DeployRow) -> Result<(), StoreError> {
    tx.execute(
        &format!("INSERT INTO deploys ({DEPLOY}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"),
        params![
            row.number,
            row.service.as_str(),
            row.environment.as_str(),
            row.state.as_str(),
            row.kind.as_str(),
            row.is_final,
            row.sha.as_str(),
            row.digest.as_deref(),
            row.reverts,
            row.started_at,
            row.finished_at,
            row.body.as_str(),
            row.run.as_str(),
        ],
    )?;
    Ok(())
}

/// What a step of the state machine changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployStep {
    pub state: String,
    pub is_final: bool,
    pub digest: Option<String>,
    pub finished_at: Option<Timestamp>,
    pub run: String,
}

/// Writes a step. A final deploy is not changed any more: false.
pub fn deploy_step(tx: &mut dyn Tx, number: i64, step: &DeployStep) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE deploys SET state = $1, final = $2, digest = $3, finished_at = $4, run = $5 \
         WHERE number = $6 AND final = 0",
        params![
            step.state.as_str(),
            step.is_final,
            step.digest.as_deref(),
            step.finished_at,
            step.run.as_str(),
            number
        ],
    )?;
    Ok(changed == 1)
}

/// One deploy by its number.
pub fn deploy_get(tx: &mut dyn Tx, number: i64) -> Result<Option<DeployRow>, StoreError> {
    tx.query_opt(&format!("SELECT {DEPLOY} FROM deploys WHERE number = $1"), params![number])?
        .map(|row| deploy(&row))
        .transpose()
}

/// Which deploys to list; newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeployQuery {
    pub service: Option<String>,
    pub environment: Option<String>,
    pub state: Option<String>,
    /// `deploy` or `rollback`.
    pub kind: Option<String>,
    /// Only those below this number.
    pub before: Option<i64>,
    /// Only those that are not final.
    pub unfinished: bool,
    /// Only those asked for at or after this instant.
    pub since: Option<Timestamp>,
    /// Only those asked for before this instant.
    pub until: Option<Timestamp>,
    pub limit: u32,
}

/// Deploys that match, newest first.
pub fn deploys(tx: &mut dyn Tx, query: &DeployQuery) -> Result<Vec<DeployRow>, StoreError> {
    let mut sql = format!("SELECT {DEPLOY} FROM deploys WHERE 1 = 1");
    let mut params: Vec<Value> = Vec::new();
    let mut and = |condition: &str, value: Option<Value>| {
        if let Some(value) = value {
            params.push(value);
            let place = format!(" AND {condition} ${}", params.len());
            sql.push_str(&place);
        }
    };
    and("service =", query.service.as_ref().map(Value::from));
    and("environment =", query.environment.as_ref().map(Value::from));
    and("state =", query.state.as_ref().map(Value::from));
    and("kind =", query.kind.as_ref().map(Value::from));
    and("number <", query.before.map(Value::from));
    and("final =", query.unfinished.then(|| Value::from(false)));
    and("started_at >=", query.since.map(Value::from));
    and("started_at <", query.until.map(Value::from));
    params.push(Value::from(query.limit));
    let order = format!(" ORDER BY number DESC LIMIT ${}", params.len());
    sql.push_str(&order);
    tx.query(&sql, &params)?.iter().map(deploy).collect()
}

/// Deploys and rollbacks of a service and environment above this number, oldest first.
pub fn deploys_after(
    tx: &mut dyn Tx,
    service: &str,
    environment: &str,
    number: i64,
    limit: u32,
) -> Result<Vec<DeployRow>, StoreError> {
    let sql = format!(
        "SELECT {DEPLOY} FROM deploys WHERE service = $1 AND environment = $2 AND number > $3 ORDER BY number LIMIT $4"
    );
    tx.query(&sql, params![service, environment, number, limit])?.iter().map(deploy).collect()
}

/// The deploy that is not final on a service and environment, if any.
pub fn deploy_unfinished(tx: &mut dyn Tx, service: &str, environment: &str) -> Result<Option<DeployRow>, StoreError> {
    let query = DeployQuery {
        service: Some(service.to_owned()),
        environment: Some(environment.to_owned()),
        unfinished: true,
        limit: 1,
        ..DeployQuery::default()
    };
    Ok(deploys(tx, &query)?.pop())
}

/// The newest deploy or rollback that succeeded at or after `since` of each service and environment: what they run.
pub fn deploys_newest(tx: &mut dyn Tx, since: Timestamp) -> Result<Vec<i64>, StoreError> {
    let sql = "SELECT max(number) FROM deploys WHERE state = 'succeeded' AND finished_at >= $1 \
               GROUP BY service, environment ORDER BY max(number)";
    tx.query(sql, params![since])?.iter().map(|row| row.int(0)).collect()
}

/// The deploys and rollbacks that ended at or after `since`, however they ended.
pub fn deploys_ended(tx: &mut dyn Tx, since: Timestamp) -> Result<Vec<i64>, StoreError> {
    let sql = "SELECT number FROM deploys WHERE finished_at >= $1 ORDER BY number";
    tx.query(sql, params![since])?.iter().map(|row| row.int(0)).collect()
}

/// The rollbacks that were to take a deploy back, whatever came of them; newest first.
pub fn deploy_rollbacks(tx: &mut dyn Tx, number: i64) -> Result<Vec<DeployRow>, StoreError> {
    let sql = format!("SELECT {DEPLOY} FROM deploys WHERE reverts = $1 ORDER BY number DESC");
    tx.query(&sql, params![number])?.iter().map(deploy).collect()
}

/// The newest deploys of a service and environment that succeeded and were not taken back since, below `before`.
pub fn deploys_healthy(
    tx: &mut dyn Tx,
    service: &str,
    environment: &str,
    before: i64,
    limit: u32,
) -> Result<Vec<DeployRow>, StoreError> {
    let columns = DEPLOY.split(", ").map(|c| format!("d.{c}")).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT {columns} FROM deploys d WHERE d.service = $1 AND d.environment = $2 AND d.state = 'succeeded' \
         AND d.digest IS NOT NULL AND d.number < $3 AND NOT EXISTS \
         (SELECT 1 FROM deploys r WHERE r.reverts = d.number AND r.state = 'succeeded') \
         ORDER BY d.number DESC LIMIT $4"
    );
    tx.query(&sql, params![service, environment, before, limit])?.iter().map(deploy).collect()
}

/// The newest deploy of a commit that succeeded and was not taken back since.
pub fn deploy_healthy_of(
    tx: &mut dyn Tx,
    service: &str,
    environment: &str,
    sha: &str,
) -> Result<Option<DeployRow>, StoreError> {
    let columns = DEPLOY.split(", ").map(|c| format!("d.{c}")).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT {columns} FROM deploys d WHERE d.service = $1 AND d.environment = $2 AND d.sha = $3 \
         AND d.state = 'succeeded' AND d.digest IS NOT NULL AND NOT EXISTS \
         (SELECT 1 FROM deploys r WHERE r.reverts = d.number AND r.state = 'succeeded') \
         ORDER BY d.number DESC LIMIT 1"
    );
    tx.query_opt(&sql, params![service, environment, sha])?.map(|row| deploy(&row)).transpose()
}

/// The number of the rollback that took a deploy back, if one succeeded.
pub fn deploy_reverted_by(tx: &mut dyn Tx, number: i64) -> Result<Option<i64>, StoreError> {
    tx.query_opt("SELECT max(number) FROM deploys WHERE reverts = $1 AND state = 'succeeded'", params![number])?
        .map_or(Ok(None), |row| row.opt_int(0))
}

/// The artifact built from a commit by a recipe, if it was built before.
pub fn artifact_get(tx: &mut dyn Tx, service: &str, sha: &str, recipe: &str) -> Result<Option<String>, StoreError> {
    tx.query_opt(
        "SELECT digest FROM artifacts WHERE service = $1 AND sha = $2 AND recipe = $3",
        params![service, sha, recipe],
    )?
    .map(|row| row.string(0))
    .transpose()
}

/// Remembers what a commit was built to.
pub fn artifact_put(
    tx: &mut dyn Tx,
    service: &str,
    sha: &str,
    recipe: &str,
    digest: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO artifacts (service, sha, recipe, digest, created_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (service, sha, recipe) DO UPDATE SET digest = excluded.digest, created_at = excluded.created_at",
        params![service, sha, recipe, digest, now],
    )?;
    Ok(())
}

/// A host as last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRow {
    pub name: String,
    pub environment: String,
    /// No disconnection was recorded since it connected.
    pub connected: bool,
    pub last_seen: Timestamp,
    pub body: String,
}

fn host(row: &Row) -> Result<HostRow, StoreError> {
    Ok(HostRow {
        name: row.string(0)?,
        environment: row.string(1)?,
        connected: row.bool(2)?,
        last_seen: row.time(3)?,
        body: row.string(4)?,
    })
}

/// All hosts by name.
pub fn hosts(tx: &mut dyn Tx) -> Result<Vec<HostRow>, StoreError> {
    tx.query("SELECT name, environment, connected, last_seen, body FROM hosts ORDER BY name", &[])?
        .iter()
        .map(host)
        .collect()
}

/// Creates or replaces a host; returns whether it counted as connected before.
pub fn host_put(tx: &mut dyn Tx, row: &HostRow) -> Result<bool, StoreError> {
    let before = tx
        .query_opt("SELECT connected FROM hosts WHERE name = $1", params![row.name.as_str()])?
        .map_or(Ok(false), |r| r.bool(0))?;
    tx.execute(
        "INSERT INTO hosts (name, environment, connected, last_seen, body) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (name) DO UPDATE SET environment = excluded.environment, connected = excluded.connected, \
         last_seen = excluded.last_seen, body = excluded.body",
        params![row.name.as_str(), row.environment.as_str(), row.connected, row.last_seen, row.body.as_str()],
    )?;
    Ok(before)
}

/// Marks a host as gone; false when it was gone already.
pub fn host_gone(tx: &mut dyn Tx, name: &str, last_seen: Timestamp) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE hosts SET connected = 0, last_seen = $1 WHERE name = $2 AND connected = 1",
        params![last_seen, name],
    )?;
    Ok(changed == 1)
}

/// Forgets a host; false when there was none.
pub fn host_delete(tx: &mut dyn Tx, name: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM hosts WHERE name = $1", params![name])? > 0)
}

/// A lock on a service and environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockRow {
    pub id: String,
    pub service: String,
    pub environment: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub released_at: Option<Timestamp>,
    pub body: String,
}

const LOCK: &str = "id, service, environment, created_at, expires_at, released_at, body";

fn lock(row: &Row) -> Result<LockRow, StoreError> {
    Ok(LockRow {
        id: row.string(0)?,
        service: row.string(1)?,
        environment: row.string(2)?,
        created_at: row.time(3)?,
        expires_at: row.time(4)?,
        released_at: row.opt_time(5)?,
        body: row.string(6)?,
    })
}

/// Writes a new lock.
pub fn lock_insert(tx: &mut dyn Tx, row: &LockRow) -> Result<(), StoreError> {
    tx.execute(
        &format!("INSERT INTO locks ({LOCK}) VALUES ($1, $2, $3, $4, $5, $6, $7)"),
        params![
            row.id.as_str(),
            row.service.as_str(),
            row.environment.as_str(),
            row.created_at,
            row.expires_at,
            row.released_at,
            row.body.as_str(),
        ],
    )?;
    Ok(())
}

/// Locks that hold at `now`, the oldest first.
pub fn locks_open(tx: &mut dyn Tx, now: Timestamp) -> Result<Vec<LockRow>, StoreError> {
    let sql = format!("SELECT {LOCK} FROM locks WHERE released_at IS NULL AND expires_at > $1 ORDER BY created_at, id");
    tx.query(&sql, params![now])?.iter().map(lock).collect()
}

/// One lock by its id.
pub fn lock_get(tx: &mut dyn Tx, id: &str) -> Result<Option<LockRow>, StoreError> {
    tx.query_opt(&format!("SELECT {LOCK} FROM locks WHERE id = $1"), params![id])?.map(|row| lock(&row)).transpose()
}

/// Releases a lock that holds at `now`; false when it does not hold any more.
pub fn lock_release(tx: &mut dyn Tx, id: &str, now: Timestamp) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE locks SET released_at = $1 WHERE id = $2 AND released_at IS NULL AND expires_at > $1",
        params![now, id],
    )?;
    Ok(changed == 1)
}

/// The trains, as `(service, environment, body)`.
pub fn trains(tx: &mut dyn Tx) -> Result<Vec<(String, String, String)>, StoreError> {
    let rows = tx.query("SELECT service, environment, body FROM trains ORDER BY service, environment", &[])?;
    rows.iter().map(|row| Ok((row.string(0)?, row.string(1)?, row.string(2)?))).collect()
}

/// The body of a place's train.
pub fn train_get(tx: &mut dyn Tx, service: &str, environment: &str) -> Result<Option<String>, StoreError> {
    let sql = "SELECT body FROM trains WHERE service = $1 AND environment = $2";
    tx.query_opt(sql, params![service, environment])?.map(|row| row.string(0)).transpose()
}

/// Writes a place's train, or removes it.
pub fn train_put(tx: &mut dyn Tx, service: &str, environment: &str, body: Option<&str>) -> Result<(), StoreError> {
    match body {
        Some(body) => tx.execute(
            "INSERT INTO trains (service, environment, body) VALUES ($1, $2, $3) \
             ON CONFLICT (service, environment) DO UPDATE SET body = excluded.body",
            params![service, environment, body],
        )?,
        None => {
            tx.execute("DELETE FROM trains WHERE service = $1 AND environment = $2", params![service, environment])?
        }
    };
    Ok(())
}
