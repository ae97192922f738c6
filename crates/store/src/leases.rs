//! Leases: at most one holder acts on a thing, for a time, under an epoch that only grows.
//!
//! Every side effect carries the epoch, and whoever receives it refuses a lower one than it has
//! seen; so a holder that slept past its lease cannot do harm.

use tenfold_types::Timestamp;

use crate::{StoreError, Tx, params};

/// A lease as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What it is on.
    pub name: String,
    /// Who holds it, unique per process; empty when released.
    pub holder: String,
    /// Grows by one with each acquisition.
    pub epoch: i64,
    /// It is free from this instant on.
    pub expires_at: Timestamp,
}

/// Takes the lease if it is free, expired, or already `holder`'s own (under a new epoch). Returns the epoch.
pub fn acquire(
    tx: &mut dyn Tx,
    name: &str,
    holder: &str,
    now: Timestamp,
    ttl_ms: i64,
) -> Result<Option<i64>, StoreError> {
    tx.query_opt(
        "INSERT INTO leases (name, holder, epoch, expires_at) VALUES ($1, $2, 1, $3) \
         ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, epoch = leases.epoch + 1, \
         expires_at = excluded.expires_at \
         WHERE leases.expires_at <= $4 OR leases.holder = excluded.holder RETURNING epoch",
        params![name, holder, now.plus_ms(ttl_ms), now],
    )?
    .map(|row| row.int(0))
    .transpose()
}

/// Extends the lease; false when it ran out or another took it, and the holder must stop at once.
pub fn renew(
    tx: &mut dyn Tx,
    name: &str,
    holder: &str,
    epoch: i64,
    now: Timestamp,
    ttl_ms: i64,
) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE leases SET expires_at = $1 WHERE name = $2 AND holder = $3 AND epoch = $4 AND expires_at > $5",
        params![now.plus_ms(ttl_ms), name, holder, epoch, now],
    )?;
    Ok(changed == 1)
}

/// Extends the lease also when its time is over: false only when another took it meanwhile, which raised the epoch, or when it
/// was given back. For a holder that asks in the transaction of each write, so that no write is made under a lease that runs out.
pub fn keep(
    tx: &mut dyn Tx,
    name: &str,
    holder: &str,
    epoch: i64,
    now: Timestamp,
    ttl_ms: i64,
) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE leases SET expires_at = $1 WHERE name = $2 AND holder = $3 AND epoch = $4",
        params![now.plus_ms(ttl_ms), name, holder, epoch],
    )?;
    Ok(changed == 1)
}

/// Gives the lease back; false when it was no longer held. The epoch stays.
pub fn release(tx: &mut dyn Tx, name: &str, holder: &str, epoch: i64) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE leases SET holder = '', expires_at = 0 WHERE name = $1 AND holder = $2 AND epoch = $3",
        params![name, holder, epoch],
    )?;
    Ok(changed == 1)
}

/// Who holds a lease that was closed: no holder has this name.
pub const NOBODY: &str = "-";

/// Gives the lease up and keeps everybody from it until `free_at`, its holder of now as well; false when it was no longer held.
/// For a holder that ends while something that it cannot ask about may still act.
pub fn close(tx: &mut dyn Tx, name: &str, holder: &str, epoch: i64, free_at: Timestamp) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "UPDATE leases SET holder = $1, expires_at = $2 WHERE name = $3 AND holder = $4 AND epoch = $5",
        params![NOBODY, free_at, name, holder, epoch],
    )?;
    Ok(changed == 1)
}

/// Whether `holder` holds the lease under `epoch` now; asked in the transaction that acts on it.
pub fn holds(tx: &mut dyn Tx, name: &str, holder: &str, epoch: i64, now: Timestamp) -> Result<bool, StoreError> {
    let lease = get(tx, name)?;
    Ok(lease.is_some_and(|l| l.holder == holder && l.epoch == epoch && l.expires_at > now))
}

/// The lease as it stands, held or not.
pub fn get(tx: &mut dyn Tx, name: &str) -> Result<Option<Lease>, StoreError> {
    tx.query_opt("SELECT name, holder, epoch, expires_at FROM leases WHERE name = $1", params![name])?
        .map(|row| {
            Ok(Lease { name: row.string(0)?, holder: row.string(1)?, epoch: row.int(2)?, expires_at: row.time(3)? })
        })
        .transpose()
}
