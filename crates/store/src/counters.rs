//! Dense numbers. A number taken in a transaction that rolls back is given again.

use crate::{StoreError, Tx, params};

/// The next number of `name`, from 1.
pub fn next(tx: &mut dyn Tx, name: &str) -> Result<i64, StoreError> {
    take(tx, name, 1)
}

/// The next `count` numbers of `name`, from 1. The answer is the first of them.
pub fn take(tx: &mut dyn Tx, name: &str, count: i64) -> Result<i64, StoreError> {
    let last = tx
        .query_one(
            "INSERT INTO counters (name, value) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value RETURNING value",
            params![name, count],
        )?
        .int(0)?;
    Ok(last - count + 1)
}

/// The last number given for `name`; 0 before the first.
pub fn last(tx: &mut dyn Tx, name: &str) -> Result<i64, StoreError> {
    tx.query_opt("SELECT value FROM counters WHERE name = $1", params![name])?.map_or(Ok(0), |row| row.int(0))
}
