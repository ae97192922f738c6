//! What was said of alerts to a node that does not take any. The node that takes them reads it in its order, and forgets each
//! when it has done what was said.

use tenfold_types::Timestamp;

use crate::{StoreError, Tx, counters, params};

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRow {
    pub id: i64,
    pub body: String,
    /// When it came.
    pub at: Timestamp,
}

/// What waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    pub requests: i64,
    pub bytes: i64,
}

/// Keeps one. Returns its id; a later one has a higher one.
pub fn put(tx: &mut dyn Tx, body: &str, at: Timestamp) -> Result<i64, StoreError> {
    let id = counters::next(tx, "alert_inbox")?;
    let size = i64::try_from(body.len()).unwrap_or(i64::MAX);
    tx.execute(
        "INSERT INTO alert_inbox (id, body, size_bytes, at) VALUES ($1, $2, $3, $4)",
        params![id, body, size, at],
    )?;
    Ok(id)
}

/// The oldest that wait, in the order in which they came.
pub fn oldest(tx: &mut dyn Tx, limit: i64) -> Result<Vec<InboxRow>, StoreError> {
    tx.query("SELECT id, body, at FROM alert_inbox ORDER BY id LIMIT $1", params![limit])?
        .iter()
        .map(|r| Ok(InboxRow { id: r.int(0)?, body: r.string(1)?, at: r.time(2)? }))
        .collect()
}

/// The id of the oldest that waits, if one does.
pub fn first(tx: &mut dyn Tx) -> Result<Option<i64>, StoreError> {
    let row = tx.query_opt("SELECT id FROM alert_inbox ORDER BY id LIMIT 1", &[])?;
    row.map(|row| row.int(0)).transpose()
}

/// The id of the newest that waits, if one does.
pub fn last(tx: &mut dyn Tx) -> Result<Option<i64>, StoreError> {
    let row = tx.query_opt("SELECT id FROM alert_inbox ORDER BY id DESC LIMIT 1", &[])?;
    row.map(|row| row.int(0)).transpose()
}

pub fn waiting(tx: &mut dyn Tx) -> Result<Waiting, StoreError> {
    let sql = "SELECT COUNT(*), CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) FROM alert_inbox";
    let row = tx.query_one(sql, &[])?;
    Ok(Waiting { requests: row.int(0)?, bytes: row.int(1)? })
}

pub fn forget(tx: &mut dyn Tx, id: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM alert_inbox WHERE id = $1", params![id])?;
    Ok(())
}
