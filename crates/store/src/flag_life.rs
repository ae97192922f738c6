//! What is kept beside a flag's definition: when it was last asked for, where the source names it, and named lists of
//! people.

use tenfold_types::Timestamp;

use crate::{StoreError, Tx, params};

/// Flag, environment and when a client last asked.
pub fn seen(tx: &mut dyn Tx) -> Result<Vec<(String, String, Timestamp)>, StoreError> {
    tx.query("SELECT key, environment, seen_at FROM flag_seen ORDER BY key, environment", &[])?
        .iter()
        .map(|row| Ok((row.string(0)?, row.string(1)?, row.time(2)?)))
        .collect()
}

/// Never goes back: several nodes may write.
pub fn seen_put(tx: &mut dyn Tx, key: &str, environment: &str, at: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO flag_seen (key, environment, seen_at) VALUES ($1, $2, $3)
         ON CONFLICT (key, environment) DO UPDATE SET seen_at = excluded.seen_at
         WHERE flag_seen.seen_at < excluded.seen_at",
        params![key, environment, at],
    )?;
    Ok(())
}

/// Repository, when it was scanned, and what was found as JSON.
pub fn scans(tx: &mut dyn Tx) -> Result<Vec<(String, Timestamp, String)>, StoreError> {
    tx.query("SELECT repo, scanned_at, body FROM flag_scans ORDER BY repo", &[])?
        .iter()
        .map(|row| Ok((row.string(0)?, row.time(1)?, row.string(2)?)))
        .collect()
}

pub fn scan_put(tx: &mut dyn Tx, repo: &str, at: Timestamp, body: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO flag_scans (repo, scanned_at, body) VALUES ($1, $2, $3)
         ON CONFLICT (repo) DO UPDATE SET scanned_at = excluded.scanned_at, body = excluded.body",
        params![repo, at, body],
    )?;
    Ok(())
}

/// Name and body of every group.
pub fn groups(tx: &mut dyn Tx) -> Result<Vec<(String, String)>, StoreError> {
    tx.query("SELECT name, body FROM flag_groups ORDER BY name", &[])?
        .iter()
        .map(|row| Ok((row.string(0)?, row.string(1)?)))
        .collect()
}

pub fn group(tx: &mut dyn Tx, name: &str) -> Result<Option<String>, StoreError> {
    tx.query("SELECT body FROM flag_groups WHERE name = $1", params![name])?.first().map(|r| r.string(0)).transpose()
}

pub fn group_put(tx: &mut dyn Tx, name: &str, body: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO flag_groups (name, body) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET body = excluded.body",
        params![name, body],
    )?;
    Ok(())
}

/// True when there was such a group.
pub fn group_delete(tx: &mut dyn Tx, name: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM flag_groups WHERE name = $1", params![name])? > 0)
}
