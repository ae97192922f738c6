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

/// True when it was there. What it delivered is forgotten with it; when a heartbeat was heard is known until its alert is over.
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

/// What is known of a heartbeat; there is no row before it was heard for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeatRow {
    pub source: String,
    pub last_at: Timestamp,
    pub beats: i64,
    /// When it was said to be late; `None` while it is not.
    pub late_at: Option<Timestamp>,
    /// How often it had been heard by then.
    pub late_beats: i64,
}

fn beat_row(row: &Row) -> Result<BeatRow, StoreError> {
    let late_at = Some(row.time(3)?).filter(|at| at.millis() > 0);
    Ok(BeatRow { source: row.string(0)?, last_at: row.time(1)?, beats: row.int(2)?, late_at, late_beats: row.int(4)? })
}

/// All heartbeats that were heard, by name.
pub fn beats(tx: &mut dyn Tx) -> Result<Vec<BeatRow>, StoreError> {
    let sql = "SELECT source, last_at, beats, late_at, late_beats FROM heartbeats ORDER BY source";
    tx.query(sql, &[])?.iter().map(beat_row).collect()
}

/// It was heard.
pub fn beat(tx: &mut dyn Tx, source: &str, at: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO heartbeats (source, last_at, beats, late_at) VALUES ($1, $2, 1, 0)
         ON CONFLICT (source) DO UPDATE SET last_at = excluded.last_at, beats = heartbeats.beats + 1",
        params![source, at],
    )?;
    Ok(())
}

/// It is late, or is no more. `beats` is how often it had been heard when that was seen; it may have been heard since.
pub fn beat_late(tx: &mut dyn Tx, source: &str, at: Option<Timestamp>, beats: i64) -> Result<(), StoreError> {
    let at = at.unwrap_or(Timestamp(0));
    let sql = "UPDATE heartbeats SET late_at = $1, late_beats = $2 WHERE source = $3";
    tx.execute(sql, params![at, beats, source])?;
    Ok(())
}

/// It was heard no later than this, whatever the clock said then.
pub fn beat_not_after(tx: &mut dyn Tx, source: &str, at: Timestamp) -> Result<(), StoreError> {
    tx.execute("UPDATE heartbeats SET last_at = $1 WHERE source = $2 AND last_at > $1", params![at, source])?;
    Ok(())
}

/// Forgets when it was heard: it is no heartbeat any more.
pub fn beat_forget(tx: &mut dyn Tx, source: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM heartbeats WHERE source = $1", params![source])?;
    Ok(())
}
