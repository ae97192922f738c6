//! Ramp plans, and changes of flags that are not done yet: those due at an instant and those that wait for a second
//! person. A change ends once: [`end`] says whether this call was the one.

use tenfold_types::Timestamp;

use crate::{Row, StoreError, Tx, counters, params};

/// Done by itself at its instant.
pub const SCHEDULE: &str = "schedule";
/// Done when somebody else approves.
pub const REQUEST: &str = "request";
/// The state of a change that has not ended.
pub const PENDING: &str = "pending";

const COLUMNS: &str = "kind, number, flag, environment, state, created_at, due_at, ended_at, body";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    /// [`SCHEDULE`] or [`REQUEST`].
    pub kind: String,
    /// Dense within its kind.
    pub number: i64,
    pub flag: String,
    pub environment: String,
    pub state: String,
    pub created_at: Timestamp,
    /// When it is to be done, or when it expires.
    pub due_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub body: String,
}

/// Which changes are listed; what is absent does not restrict.
#[derive(Debug, Clone, Default)]
pub struct ChangeQuery<'a> {
    pub flag: Option<&'a str>,
    pub state: Option<&'a str>,
    pub limit: i64,
}

fn change(row: &Row) -> Result<ChangeRow, StoreError> {
    Ok(ChangeRow {
        kind: row.string(0)?,
        number: row.int(1)?,
        flag: row.string(2)?,
        environment: row.string(3)?,
        state: row.string(4)?,
        created_at: row.time(5)?,
        due_at: row.time(6)?,
        ended_at: row.opt_time(7)?,
        body: row.string(8)?,
    })
}

/// The next number of a kind.
pub fn next_number(tx: &mut dyn Tx, kind: &str) -> Result<i64, StoreError> {
    counters::next(tx, &format!("flag_{kind}"))
}

pub fn insert(tx: &mut dyn Tx, row: &ChangeRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO flag_changes (kind, number, flag, environment, state, created_at, due_at, ended_at, body) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        params![
            row.kind.as_str(),
            row.number,
            row.flag.as_str(),
            row.environment.as_str(),
            row.state.as_str(),
            row.created_at,
            row.due_at,
            row.ended_at,
            row.body.as_str()
        ],
    )?;
    Ok(())
}

pub fn get(tx: &mut dyn Tx, kind: &str, number: i64) -> Result<Option<ChangeRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM flag_changes WHERE kind = $1 AND number = $2");
    tx.query_opt(&sql, params![kind, number])?.as_ref().map(change).transpose()
}

/// Of a kind, the newest first.
pub fn list(tx: &mut dyn Tx, kind: &str, query: &ChangeQuery<'_>) -> Result<Vec<ChangeRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM flag_changes WHERE kind = $1 AND (flag = $2 OR $3 = 1) AND (state = $4 OR $5 = 1) \
         ORDER BY number DESC LIMIT $6"
    );
    let (any_flag, any_state) = (i64::from(query.flag.is_none()), i64::from(query.state.is_none()));
    let params = params![kind, query.flag.unwrap_or(""), any_flag, query.state.unwrap_or(""), any_state, query.limit];
    tx.query(&sql, params)?.iter().map(change).collect()
}

/// Pending changes of both kinds whose instant has come, the earliest first.
pub fn due(tx: &mut dyn Tx, now: Timestamp, limit: i64) -> Result<Vec<ChangeRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM flag_changes WHERE state = $1 AND due_at <= $2 ORDER BY due_at, kind, number LIMIT $3"
    );
    tx.query(&sql, params![PENDING, now, limit])?.iter().map(change).collect()
}

/// How many of a kind are pending.
pub fn pending(tx: &mut dyn Tx, kind: &str) -> Result<i64, StoreError> {
    tx.query_one("SELECT count(*) FROM flag_changes WHERE kind = $1 AND state = $2", params![kind, PENDING])?.int(0)
}

/// Ends a pending change; false when it had ended before.
pub fn end(
    tx: &mut dyn Tx,
    kind: &str,
    number: i64,
    state: &str,
    at: Timestamp,
    body: &str,
) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE flag_changes SET state = $1, ended_at = $2, body = $3 WHERE kind = $4 AND number = $5 AND state = $6",
        params![state, at, body, kind, number, PENDING],
    )?;
    Ok(changed == 1)
}

/// Puts another body and another end on a change that is pending; false when it is not.
pub fn renew(tx: &mut dyn Tx, kind: &str, number: i64, due_at: Timestamp, body: &str) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE flag_changes SET due_at = $1, body = $2 WHERE kind = $3 AND number = $4 AND state = $5",
        params![due_at, body, kind, number, PENDING],
    )?;
    Ok(changed == 1)
}

/// Name and body of every ramp plan.
pub fn plans(tx: &mut dyn Tx) -> Result<Vec<(String, String)>, StoreError> {
    tx.query("SELECT name, body FROM ramp_plans ORDER BY name", &[])?
        .iter()
        .map(|row| Ok((row.string(0)?, row.string(1)?)))
        .collect()
}

pub fn plan_get(tx: &mut dyn Tx, name: &str) -> Result<Option<String>, StoreError> {
    tx.query_opt("SELECT body FROM ramp_plans WHERE name = $1", params![name])?.map(|row| row.string(0)).transpose()
}

pub fn plan_put(tx: &mut dyn Tx, name: &str, body: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO ramp_plans (name, body) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET body = excluded.body",
        params![name, body],
    )?;
    Ok(())
}

/// True when it was there.
pub fn plan_delete(tx: &mut dyn Tx, name: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM ramp_plans WHERE name = $1", params![name])? > 0)
}
