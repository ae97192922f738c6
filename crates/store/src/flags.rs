//! Feature flags and segments. A flag with all its environments is one document, opaque here, with a version that
//! grows by one with every write; a reader that kept version `n` knows that anything lower is old.

use tenfold_types::Timestamp;

use crate::{Row, StoreError, Tx, params};

/// A flag as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagRow {
    pub key: String,
    pub version: i64,
    pub archived_at: Option<Timestamp>,
    /// The definition as JSON.
    pub body: String,
}

fn flag(row: &Row) -> Result<FlagRow, StoreError> {
    Ok(FlagRow { key: row.string(0)?, version: row.int(1)?, archived_at: row.opt_time(2)?, body: row.string(3)? })
}

/// Every flag, archived ones too, by key.
pub fn list(tx: &mut dyn Tx) -> Result<Vec<FlagRow>, StoreError> {
    tx.query("SELECT key, version, archived_at, body FROM flags ORDER BY key", &[])?.iter().map(flag).collect()
}

pub fn get(tx: &mut dyn Tx, key: &str) -> Result<Option<FlagRow>, StoreError> {
    let rows = tx.query("SELECT key, version, archived_at, body FROM flags WHERE key = $1", params![key])?;
    rows.first().map(flag).transpose()
}

pub fn count(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    tx.query_one("SELECT count(*) FROM flags WHERE archived_at IS NULL", &[])?.int(0)
}

/// Writes a flag and returns its new version.
pub fn put(tx: &mut dyn Tx, key: &str, archived_at: Option<Timestamp>, body: &str) -> Result<i64, StoreError> {
    tx.query_one(
        "INSERT INTO flags (key, version, archived_at, body) VALUES ($1, 1, $2, $3)
         ON CONFLICT (key) DO UPDATE SET version = flags.version + 1, archived_at = excluded.archived_at,
           body = excluded.body
         RETURNING version",
        params![key, archived_at, body],
    )?
    .int(0)
}

/// Id and body of every segment.
pub fn segments(tx: &mut dyn Tx) -> Result<Vec<(i64, String)>, StoreError> {
    tx.query("SELECT id, body FROM flag_segments ORDER BY id", &[])?
        .iter()
        .map(|row| Ok((row.int(0)?, row.string(1)?)))
        .collect()
}

pub fn segment_put(tx: &mut dyn Tx, id: i64, body: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO flag_segments (id, body) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
        params![id, body],
    )?;
    Ok(())
}

/// True when there was such a segment.
pub fn segment_delete(tx: &mut dyn Tx, id: i64) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM flag_segments WHERE id = $1", params![id])? > 0)
}

/// Name and body of every project that was written.
pub fn projects(tx: &mut dyn Tx) -> Result<Vec<(String, String)>, StoreError> {
    tx.query("SELECT name, body FROM flag_projects ORDER BY name", &[])?
        .iter()
        .map(|row| Ok((row.string(0)?, row.string(1)?)))
        .collect()
}

pub fn project_put(tx: &mut dyn Tx, name: &str, body: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO flag_projects (name, body) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET body = excluded.body",
        params![name, body],
    )?;
    Ok(())
}

/// True when there was such a project.
pub fn project_delete(tx: &mut dyn Tx, name: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM flag_projects WHERE name = $1", params![name])? > 0)
}
