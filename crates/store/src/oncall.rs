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

/// True when it was there. Its overrides, versions, swaps and what is known of its calendar go with it.
pub fn schedule_delete(tx: &mut dyn Tx, name: &str) -> Result<bool, StoreError> {
    tx.execute("DELETE FROM schedule_versions WHERE schedule = $1", params![name])?;
    tx.execute("DELETE FROM schedule_swaps WHERE schedule = $1", params![name])?;
    tx.execute("DELETE FROM schedule_calendars WHERE schedule = $1", params![name])?;
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

/// An override as it was until now: with the instant at which it was taken back, if it was.
pub fn override_history(
    tx: &mut dyn Tx,
    since: Timestamp,
) -> Result<Vec<(OverrideRow, Option<Timestamp>)>, StoreError> {
    tx.query(
        "SELECT id, schedule, end_at, body, removed_at FROM schedule_overrides WHERE end_at > $1 ORDER BY id",
        params![since],
    )?
    .iter()
    .map(|row| Ok((override_row(row)?, row.opt_time(4)?)))
    .collect()
}

/// A version of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRow {
    pub schedule: String,
    pub number: i64,
    pub from_at: Timestamp,
    pub made_at: Timestamp,
    pub made_by: String,
    pub body: String,
}

/// Versions of all schedules, or of one, in the order they were made.
pub fn versions(tx: &mut dyn Tx, schedule: Option<&str>) -> Result<Vec<VersionRow>, StoreError> {
    const SQL: &str = "SELECT schedule, number, from_at, made_at, made_by, body FROM schedule_versions";
    let rows = match schedule {
        Some(name) => tx.query(&format!("{SQL} WHERE schedule = $1 ORDER BY number"), params![name])?,
        None => tx.query(&format!("{SQL} ORDER BY schedule, number"), &[])?,
    };
    rows.iter()
        .map(|r| {
            Ok(VersionRow {
                schedule: r.string(0)?,
                number: r.int(1)?,
                from_at: r.time(2)?,
                made_at: r.time(3)?,
                made_by: r.string(4)?,
                body: r.string(5)?,
            })
        })
        .collect()
}

pub fn version_insert(tx: &mut dyn Tx, row: &VersionRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO schedule_versions (schedule, number, from_at, made_at, made_by, body) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        params![&row.schedule, row.number, row.from_at, row.made_at, &row.made_by, &row.body],
    )?;
    Ok(())
}

/// A swap that somebody asks of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwapRow {
    pub id: i64,
    pub schedule: String,
    pub state: String,
    /// When the shift that is given away is over; an open swap has no sense after it.
    pub ends_at: Timestamp,
    pub body: String,
}

fn swap_row(row: &Row) -> Result<SwapRow, StoreError> {
    Ok(SwapRow {
        id: row.int(0)?,
        schedule: row.string(1)?,
        state: row.string(2)?,
        ends_at: row.time(3)?,
        body: row.string(4)?,
    })
}

/// Swaps that are open and not over at `now`.
pub fn swaps_open(tx: &mut dyn Tx, now: Timestamp) -> Result<Vec<SwapRow>, StoreError> {
    let sql = "SELECT id, schedule, state, ends_at, body FROM schedule_swaps \
               WHERE state = 'open' AND ends_at > $1 ORDER BY id";
    tx.query(sql, params![now])?.iter().map(swap_row).collect()
}

pub fn swap_get(tx: &mut dyn Tx, id: i64) -> Result<Option<SwapRow>, StoreError> {
    let sql = "SELECT id, schedule, state, ends_at, body FROM schedule_swaps WHERE id = $1";
    tx.query_opt(sql, params![id])?.as_ref().map(swap_row).transpose()
}

pub fn swap_insert(tx: &mut dyn Tx, row: &SwapRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO schedule_swaps (id, schedule, state, ends_at, body) VALUES ($1, $2, $3, $4, $5)",
        params![row.id, &row.schedule, &row.state, row.ends_at, &row.body],
    )?;
    Ok(())
}

/// True when it was open until now.
pub fn swap_close(tx: &mut dyn Tx, id: i64, state: &str) -> Result<bool, StoreError> {
    let sql = "UPDATE schedule_swaps SET state = $2 WHERE id = $1 AND state = 'open'";
    Ok(tx.execute(sql, params![id, state])? > 0)
}

/// Sets the address of a calendar, of a person by login or of a schedule by its key; the one before is of no use any more.
pub fn feed_put(tx: &mut dyn Tx, login: &str, digest: &str, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO calendar_feeds (login, digest, made_at) VALUES ($1, $2, $3) \
         ON CONFLICT (login) DO UPDATE SET digest = excluded.digest, made_at = excluded.made_at",
        params![login, digest, now],
    )?;
    Ok(())
}

/// True when there was one.
pub fn feed_delete(tx: &mut dyn Tx, login: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM calendar_feeds WHERE login = $1", params![login])? > 0)
}

/// Whose calendar has the secret with this digest.
pub fn feed_login(tx: &mut dyn Tx, digest: &str) -> Result<Option<String>, StoreError> {
    tx.query_opt("SELECT login FROM calendar_feeds WHERE digest = $1", params![digest])?
        .map(|r| r.string(0))
        .transpose()
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
