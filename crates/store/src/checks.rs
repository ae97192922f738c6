//! Checks: what people wrote, where each stands, what came for one to a node that does not look, and alerts of those that are
//! gone; all opaque here.

use tenfold_types::Timestamp;

use crate::{Row, Sealer, StoreError, Tx, params, sealing::CHECK_BODY};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRow {
    pub name: String,
    pub body: String,
    /// Absent before the first change of its state.
    pub state: Option<String>,
}

fn check(sealer: &Sealer, row: &Row) -> Result<CheckRow, StoreError> {
    let name = row.string(0)?;
    let body = sealer.open(&CHECK_BODY, &[name.as_str()], row.text(1)?)?;
    Ok(CheckRow { name, body, state: row.opt_string(2)? })
}

/// All of them by name.
pub fn list(tx: &mut dyn Tx) -> Result<Vec<CheckRow>, StoreError> {
    let rows = tx.query("SELECT name, body, state FROM checks ORDER BY name", &[])?;
    let sealer = tx.sealer();
    rows.iter().map(|row| check(sealer, row)).collect()
}

pub fn get(tx: &mut dyn Tx, name: &str) -> Result<Option<CheckRow>, StoreError> {
    let row = tx.query_opt("SELECT name, body, state FROM checks WHERE name = $1", params![name])?;
    let sealer = tx.sealer();
    row.map(|row| check(sealer, &row)).transpose()
}

pub fn count(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    tx.query_opt("SELECT COUNT(*) FROM checks", &[])?.map_or(Ok(0), |r| r.int(0))
}

/// Writes a definition; where the check stands is kept.
pub fn put(tx: &mut dyn Tx, name: &str, body: &str, at: Timestamp) -> Result<(), StoreError> {
    let body = tx.sealer().seal(&CHECK_BODY, &[name], body)?;
    tx.execute(
        "INSERT INTO checks (name, body, changed_at) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET body = excluded.body, changed_at = excluded.changed_at",
        params![name, body, at],
    )?;
    Ok(())
}

/// True when it was there.
pub fn delete(tx: &mut dyn Tx, name: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM checks WHERE name = $1", params![name])? > 0)
}

/// Writes where a check stands; one that was deleted meanwhile stays so. True when it is there.
pub fn stand(tx: &mut dyn Tx, name: &str, state: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("UPDATE checks SET state = $1 WHERE name = $2", params![state, name])? > 0)
}

/// What came for a check to a node that does not look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRow {
    pub id: i64,
    /// The check's.
    pub name: String,
    pub body: String,
    /// When it came.
    pub at: Timestamp,
}

pub fn inbox_put(tx: &mut dyn Tx, row: &InboxRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO check_inbox (id, name, body, at) VALUES ($1, $2, $3, $4)",
        params![row.id, &row.name, &row.body, row.at],
    )?;
    Ok(())
}

/// What waits, in the order in which it came.
pub fn inbox(tx: &mut dyn Tx, limit: i64) -> Result<Vec<InboxRow>, StoreError> {
    tx.query("SELECT id, name, body, at FROM check_inbox ORDER BY id LIMIT $1", params![limit])?
        .iter()
        .map(|r| Ok(InboxRow { id: r.int(0)?, name: r.string(1)?, body: r.string(2)?, at: r.time(3)? }))
        .collect()
}

pub fn inbox_count(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    tx.query_opt("SELECT COUNT(*) FROM check_inbox", &[])?.map_or(Ok(0), |r| r.int(0))
}

pub fn inbox_forget(tx: &mut dyn Tx, id: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM check_inbox WHERE id = $1", params![id])?;
    Ok(())
}

/// An alert of a check that was deleted; JSON of its labels.
pub fn gone_put(tx: &mut dyn Tx, id: i64, labels: &str) -> Result<(), StoreError> {
    tx.execute("INSERT INTO check_gone (id, labels) VALUES ($1, $2)", params![id, labels])?;
    Ok(())
}

/// Alerts of checks that were deleted, the oldest first.
pub fn gone(tx: &mut dyn Tx, limit: i64) -> Result<Vec<(i64, String)>, StoreError> {
    let rows = tx.query("SELECT id, labels FROM check_gone ORDER BY id LIMIT $1", params![limit])?;
    rows.iter().map(|r| Ok((r.int(0)?, r.string(1)?))).collect()
}

/// They are over, and that was heard: all up to this one.
pub fn gone_forget(tx: &mut dyn Tx, last: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM check_gone WHERE id <= $1", params![last])?;
    Ok(())
}
