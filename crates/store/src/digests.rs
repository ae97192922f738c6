//! Digests that people are owed, and what became of each.

use tenfold_types::Timestamp;

use crate::{Row, StoreError, Tx, params};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestRow {
    /// Made of what it tells and whom: the same digest is owed once.
    pub id: String,
    pub person: String,
    pub state: String,
    pub tries: i64,
    pub next_at: Option<Timestamp>,
    pub epoch: i64,
    pub made_at: Timestamp,
    pub body: String,
}

const COLUMNS: &str = "id, person, state, tries, next_at, epoch, made_at, body";

fn digest(row: &Row) -> Result<DigestRow, StoreError> {
    Ok(DigestRow {
        id: row.string(0)?,
        person: row.string(1)?,
        state: row.string(2)?,
        tries: row.int(3)?,
        next_at: row.opt_time(4)?,
        epoch: row.int(5)?,
        made_at: row.time(6)?,
        body: row.string(7)?,
    })
}

/// False when it is owed or was told already.
pub fn insert(tx: &mut dyn Tx, row: &DigestRow) -> Result<bool, StoreError> {
    let written = tx.execute(
        "INSERT INTO digests (id, person, state, tries, next_at, epoch, made_at, body)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING",
        params![&row.id, &row.person, &row.state, row.tries, row.next_at, row.epoch, row.made_at, &row.body],
    )?;
    Ok(written > 0)
}

pub fn get(tx: &mut dyn Tx, id: &str) -> Result<Option<DigestRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM digests WHERE id = $1");
    tx.query_opt(&sql, params![id])?.as_ref().map(digest).transpose()
}

/// What became of it.
pub fn put(tx: &mut dyn Tx, row: &DigestRow) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE digests SET state = $2, tries = $3, next_at = $4, epoch = $5, body = $6 WHERE id = $1",
        params![&row.id, &row.state, row.tries, row.next_at, row.epoch, &row.body],
    )?;
    Ok(())
}

/// Digests to be told now: those that are due, and those in `sending` under this epoch or an earlier one.
pub fn due(tx: &mut dyn Tx, now: Timestamp, epoch: i64, limit: i64) -> Result<Vec<DigestRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM digests WHERE (state = 'due' AND next_at <= $1) OR (state = 'sending' AND epoch <= $2)
         ORDER BY next_at, id LIMIT $3"
    );
    tx.query(&sql, params![now, epoch, limit])?.iter().map(digest).collect()
}

/// Moves every digest that waits by so much.
pub fn move_due(tx: &mut dyn Tx, by_ms: i64) -> Result<u64, StoreError> {
    tx.execute("UPDATE digests SET next_at = next_at + $1 WHERE state = 'due'", params![by_ms])
}

/// Forgets those made before `before` that nobody is owed any more.
pub fn forget(tx: &mut dyn Tx, before: Timestamp) -> Result<u64, StoreError> {
    tx.execute("DELETE FROM digests WHERE made_at < $1 AND state <> 'due' AND state <> 'sending'", params![before])
}
