//! Dense numbers. A number taken in a transaction that rolls back is given again.

use crate::{StoreError, Tx, params};

/// The next number of `name`, from 1.
pub fn next(tx: &mut dyn Tx, name: &str) -> Result<i64, StoreError> {
    tx.query_one(
        "INSERT INTO counters (name, value) VALUES ($1, 1) \
         ON CONFLICT (name) DO UPDATE SET value = counters.value + 1 RETURNING value",
        params![name],
    )?
    .int(0)
}

/// The last number given for `name`; 0 before the first.
pub fn last(tx: &mut dyn Tx, name: &str) -> Result<i64, StoreError> {
    tx.query_opt("SELECT value FROM counters WHERE name = $1", params![name])?.map_or(Ok(0), |row| row.int(0))
}
