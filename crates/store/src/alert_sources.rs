//! Senders of alerts with a secret of their own, what they delivered lately, and of which alert their mails are.

use tenfold_types::Timestamp;

use crate::{Row, StoreError, Tx, params};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertSourceRow {
    pub name: String,
    /// Changes with the secret.
    pub id: String,
    pub body: String,
}

fn source(row: &Row) -> Result<AlertSourceRow, StoreError> {
    Ok(AlertSourceRow { name: row.string(0)?, id: row.string(1)?, body: row.string(2)? })
}

/// All of them by name.
pub fn list(tx: &mut dyn Tx) -> Result<Vec<AlertSourceRow>, StoreError> {
    tx.query("SELECT name, id, body FROM alert_sources ORDER BY name", &[])?.iter().map(source).collect()
}

pub fn get(tx: &mut dyn Tx, name: &str) -> Result<Option<AlertSourceRow>, StoreError> {
    let row = tx.query_opt("SELECT name, id, body FROM alert_sources WHERE name = $1", params![name])?;
    row.as_ref().map(source).transpose()
}

pub fn count(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    tx.query_opt("SELECT COUNT(*) FROM alert_sources", &[])?.map_or(Ok(0), |r| r.int(0))
}

pub fn put(tx: &mut dyn Tx, row: &AlertSourceRow, at: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO alert_sources (name, id, body, changed_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (name) DO UPDATE SET id = excluded.id, body = excluded.body, changed_at = excluded.changed_at",
        params![row.name.as_str(), row.id.as_str(), row.body.as_str(), at],
    )?;
    Ok(())
}

/// True when it was there. What it delivered is forgotten with it.
pub fn delete(tx: &mut dyn Tx, name: &str) -> Result<bool, StoreError> {
    tx.execute("DELETE FROM alert_source_deliveries WHERE source = $1", params![name])?;
    tx.execute("DELETE FROM alert_source_mails WHERE source = $1", params![name])?;
    Ok(tx.execute("DELETE FROM alert_sources WHERE name = $1", params![name])? > 0)
}

/// Whether a delivery was taken before.
pub fn was_taken(tx: &mut dyn Tx, source: &str, digest: &str) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM alert_source_deliveries WHERE source = $1 AND digest = $2";
    Ok(tx.query_opt(sql, params![source, digest])?.is_some())
}

/// Remembers a delivery, and forgets those of all sources from before `forget`.
pub fn taken(tx: &mut dyn Tx, source: &str, digest: &str, at: Timestamp, forget: Timestamp) -> Result<(), StoreError> {
    tx.execute("DELETE FROM alert_source_deliveries WHERE received_at < $1", params![forget])?;
    tx.execute(
        "INSERT INTO alert_source_deliveries (source, digest, received_at) VALUES ($1, $2, $3)
         ON CONFLICT (source, digest) DO NOTHING",
        params![source, digest, at],
    )?;
    Ok(())
}

/// The alert that a mail is of.
pub fn mail_key(tx: &mut dyn Tx, source: &str, message_id: &str) -> Result<Option<String>, StoreError> {
    let sql = "SELECT dedup_key FROM alert_source_mails WHERE source = $1 AND message_id = $2";
    tx.query_opt(sql, params![source, message_id])?.map(|row| row.string(0)).transpose()
}

/// Remembers of which alert a mail is, and forgets those of all sources from before `forget`.
pub fn mail_put(
    tx: &mut dyn Tx,
    source: &str,
    message_id: &str,
    key: &str,
    at: Timestamp,
    forget: Timestamp,
) -> Result<(), StoreError> {
    tx.execute("DELETE FROM alert_source_mails WHERE received_at < $1", params![forget])?;
    tx.execute(
        "INSERT INTO alert_source_mails (source, message_id, dedup_key, received_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (source, message_id) DO NOTHING",
        params![source, message_id, key, at],
    )?;
    Ok(())
}
