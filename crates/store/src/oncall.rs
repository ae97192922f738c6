//! Schedules, their overrides, and escalation policies. Bodies are JSON, opaque here.

use tenfold_types::Timestamp;

use crate::{Row, StoreError, Tx, params};

/// An override of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverrideRow {
    pub id: i64,
    pub schedule: String,
    pub end_at: Timestamp,
    pub body: String,
}

fn named(rows: Vec<Row>) -> Result<Vec<(String, String)>, StoreError> {
    rows.iter().map(|r| Ok((r.string(0)?, r.string(1)?))).collect()
}

/// Name and body of every schedule.
pub fn schedules(tx: &mut dyn Tx) -> Result<Vec<(String, String)>, StoreError> {
    named(tx.query("SELECT name, body FROM schedules ORDER BY name", &[])?)
}

pub fn schedule_get(tx: &mut dyn Tx, name: &str) -> Result<Option<String>, StoreError> {
    tx.query_opt("SELECT body FROM schedules WHERE name = $1", params![name])?.map(|r| r.string(0)).transpose()
}

pub fn schedule_put(tx: &mut dyn Tx, name: &str, body: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO schedules (name, body) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET body = excluded.body",
        params![name, body],
    )?;
    Ok(())
}

/// True when it was there. Its overrides go with it.
pub fn schedule_delete(tx: &mut dyn Tx, name: &str) -> Result<bool, StoreError> {
    tx.execute("DELETE FROM schedule_overrides WHERE schedule = $1", params![name])?;
    Ok(tx.execute("DELETE FROM schedules WHERE name = $1", params![name])? > 0)
}

fn override_row(row: &Row) -> Result<OverrideRow, StoreError> {
    Ok(OverrideRow { id: row.int(0)?, schedule: row.string(1)?, end_at: row.time(2)?, body: row.string(3)? })
}

/// Overrides of all schedules that end after `since` and were not taken back, in the order they were made.
pub fn overrides(tx: &mut dyn Tx, since: Timestamp) -> Result<Vec<OverrideRow>, StoreError> {
    tx.query(
        "SELECT id, schedule, end_at, body FROM schedule_overrides WHERE end_at > $1 AND removed_at IS NULL ORDER BY id",
        params![since],
    )?
    .iter()
    .map(override_row)
    .collect()
}

/// The override, unless it was taken back.
pub fn override_get(tx: &mut dyn Tx, id: i64) -> Result<Option<OverrideRow>, StoreError> {
    tx.query_opt(
        "SELECT id, schedule, end_at, body FROM schedule_overrides WHERE id = $1 AND removed_at IS NULL",
        params![id],
    )?
    .as_ref()
    .map(override_row)
    .transpose()
}

pub fn override_insert(tx: &mut dyn Tx, row: &OverrideRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO schedule_overrides (id, schedule, end_at, body) VALUES ($1, $2, $3, $4)",
        params![row.id, &row.schedule, row.end_at, &row.body],
    )?;
    Ok(())
}

/// True when it was there until now.
pub fn override_remove(tx: &mut dyn Tx, id: i64, at: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE schedule_overrides SET removed_at = $2 WHERE id = $1 AND removed_at IS NULL";
    Ok(tx.execute(sql, params![id, at])? > 0)
}

/// Name and body of every policy.
pub fn policies(tx: &mut dyn Tx) -> Result<Vec<(String, String)>, StoreError> {
    named(tx.query("SELECT name, body FROM policies ORDER BY name", &[])?)
}

pub fn policy_get(tx: &mut dyn Tx, name: &str) -> Result<Option<String>, StoreError> {
    tx.query_opt("SELECT body FROM policies WHERE name = $1", params![name])?.map(|r| r.string(0)).transpose()
}

pub fn policy_put(tx: &mut dyn Tx, name: &str, body: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO policies (name, body) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET body = excluded.body",
        params![name, body],
    )?;
    Ok(())
}

/// True when it was there.
pub fn policy_delete(tx: &mut dyn Tx, name: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM policies WHERE name = $1", params![name])? > 0)
}
