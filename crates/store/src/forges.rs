//! What came from the places where repositories live, and what is yet to be told them.

use tenfold_types::Timestamp;

use crate::{Row, StoreError, Tx, params};

/// Notes a delivery; false when it was noted before, by its id or by its content.
pub fn delivery_take(
    tx: &mut dyn Tx,
    forge: &str,
    digest: &str,
    delivery: Option<&str>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if let Some(id) = delivery
        && !tx
            .query("SELECT 1 FROM forge_deliveries WHERE forge = $1 AND delivery = $2 LIMIT 1", params![forge, id])?
            .is_empty()
    {
        return Ok(false);
    }
    let written = tx.execute(
        "INSERT INTO forge_deliveries (forge, digest, delivery, received_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (forge, digest) DO NOTHING",
        params![forge, digest, delivery, now],
    )?;
    Ok(written > 0)
}

/// Forgets deliveries of before.
pub fn deliveries_prune(tx: &mut dyn Tx, before: Timestamp) -> Result<u64, StoreError> {
    tx.execute("DELETE FROM forge_deliveries WHERE received_at < $1", params![before])
}

/// Forgets, of each sender, what came before `before` and is not among its newest `newest`.
pub fn deliveries_surplus(tx: &mut dyn Tx, newest: u32, before: Timestamp) -> Result<u64, StoreError> {
    let senders = tx.query("SELECT DISTINCT forge FROM forge_deliveries ORDER BY forge", &[])?;
    let mut forgotten = 0;
    for sender in &senders {
        let sender = sender.string(0)?;
        let first_too_many = tx.query_opt(
            "SELECT received_at FROM forge_deliveries WHERE forge = $1 ORDER BY received_at DESC LIMIT 1 OFFSET $2",
            params![&sender, i64::from(newest)],
        )?;
        let Some(row) = first_too_many else { continue };
        forgotten += tx.execute(
            "DELETE FROM forge_deliveries WHERE forge = $1 AND received_at <= $2 AND received_at < $3",
            params![&sender, row.time(0)?, before],
        )?;
    }
    Ok(forgotten)
}

/// Something to tell a forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    pub forge: String,
    /// The event it tells of.
    pub seq: i64,
    /// Which word of that event, from 0.
    pub part: i64,
    pub deploy: i64,
    pub body: String,
    pub attempts: i64,
    pub created_at: Timestamp,
    pub next_at: Timestamp,
}

/// Adds what is to be told; an event is told once.
pub fn outbox_put(tx: &mut dyn Tx, row: &OutboxRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO forge_outbox (forge, seq, part, deploy, body, attempts, created_at, next_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (forge, seq, part) DO NOTHING",
        params![&row.forge, row.seq, row.part, row.deploy, &row.body, row.attempts, row.created_at, row.next_at],
    )
    .map(|_| ())
}

/// For whom something waits to be told.
pub fn outbox_receivers(tx: &mut dyn Tx) -> Result<Vec<String>, StoreError> {
    tx.query("SELECT DISTINCT forge FROM forge_outbox ORDER BY forge", &[])?.iter().map(|row| row.string(0)).collect()
}

/// The first untold row of each deploy for one receiver, the sooner due first, whether due or not: a later word never passes
/// an earlier one. The limit is each receiver's own, so that one that is down takes no place from the others.
pub fn outbox_heads(tx: &mut dyn Tx, forge: &str, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
    tx.query(
        "SELECT forge, seq, part, deploy, body, attempts, created_at, next_at FROM forge_outbox o WHERE forge = $1 \
         AND NOT EXISTS (SELECT 1 FROM forge_outbox i WHERE i.forge = o.forge AND i.deploy = o.deploy \
         AND (i.seq < o.seq OR (i.seq = o.seq AND i.part < o.part))) ORDER BY next_at, seq LIMIT $2",
        params![forge, i64::from(limit)],
    )?
    .iter()
    .map(outbox)
    .collect()
}

fn outbox(row: &Row) -> Result<OutboxRow, StoreError> {
    Ok(OutboxRow {
        forge: row.string(0)?,
        seq: row.int(1)?,
        part: row.int(2)?,
        deploy: row.int(3)?,
        body: row.string(4)?,
        attempts: row.int(5)?,
        created_at: row.time(6)?,
        next_at: row.time(7)?,
    })
}

pub fn outbox_delete(tx: &mut dyn Tx, forge: &str, seq: i64, part: i64) -> Result<u64, StoreError> {
    tx.execute("DELETE FROM forge_outbox WHERE forge = $1 AND seq = $2 AND part = $3", params![forge, seq, part])
}

/// Puts it off.
pub fn outbox_again(tx: &mut dyn Tx, forge: &str, seq: i64, part: i64, next_at: Timestamp) -> Result<u64, StoreError> {
    tx.execute(
        "UPDATE forge_outbox SET attempts = attempts + 1, next_at = $4 WHERE forge = $1 AND seq = $2 AND part = $3",
        params![forge, seq, part, next_at],
    )
}

/// The number the forge gave to the deploy.
pub fn remote(tx: &mut dyn Tx, forge: &str, deploy: i64) -> Result<Option<String>, StoreError> {
    tx.query_opt("SELECT remote FROM forge_deployments WHERE forge = $1 AND deploy = $2", params![forge, deploy])?
        .map(|row| row.string(0))
        .transpose()
}

pub fn remote_put(tx: &mut dyn Tx, forge: &str, deploy: i64, remote: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO forge_deployments (forge, deploy, remote) VALUES ($1, $2, $3) \
         ON CONFLICT (forge, deploy) DO UPDATE SET remote = excluded.remote",
        params![forge, deploy, remote],
    )
    .map(|_| ())
}

/// Forgets the number of a deploy whose release runs no more: the forge was told, and no word of it is left.
pub fn remote_delete(tx: &mut dyn Tx, forge: &str, deploy: i64) -> Result<u64, StoreError> {
    tx.execute("DELETE FROM forge_deployments WHERE forge = $1 AND deploy = $2", params![forge, deploy])
}

/// What stands beside a deploy among those that brought their release to the same service and environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beside {
    /// Those before it that the forge gave a number, each with that; the newest first.
    pub before: Vec<(i64, String)>,
    /// One after it is there already.
    pub replaced: bool,
}

/// Of those before it `newest` at most.
pub fn beside(tx: &mut dyn Tx, forge: &str, deploy: i64, newest: u32) -> Result<Beside, StoreError> {
    let before = tx
        .query(
            "SELECT o.number, f.remote FROM deploys d \
             JOIN deploys o ON o.service = d.service AND o.environment = d.environment AND o.number < d.number \
             JOIN forge_deployments f ON f.forge = $1 AND f.deploy = o.number \
             WHERE d.number = $2 AND o.state = 'succeeded' ORDER BY o.number DESC LIMIT $3",
            params![forge, deploy, i64::from(newest)],
        )?
        .iter()
        .map(|row| Ok((row.int(0)?, row.string(1)?)))
        .collect::<Result<_, StoreError>>()?;
    let after = tx.query(
        "SELECT 1 FROM deploys d \
         JOIN deploys o ON o.service = d.service AND o.environment = d.environment AND o.number > d.number \
         WHERE d.number = $1 AND o.state = 'succeeded' LIMIT 1",
        params![deploy],
    )?;
    Ok(Beside { before, replaced: !after.is_empty() })
}
