//! What people ask of a deploy at another server than the one that conducts it. The one that conducts takes it, and answers in
//! the transaction of the step that follows from it.

use tenfold_types::Timestamp;

use crate::{StoreError, Tx, counters, params};

/// Writes one down and forgets those of before `kept_since`. Returns its id.
pub fn put(tx: &mut dyn Tx, deploy: i64, word: &str, now: Timestamp, kept_since: Timestamp) -> Result<i64, StoreError> {
    tx.execute("DELETE FROM deploy_asks WHERE asked_at < $1", params![kept_since])?;
    let id = counters::next(tx, "deploy_ask")?;
    tx.execute(
        "INSERT INTO deploy_asks (id, deploy, word, asked_at, taken) VALUES ($1, $2, $3, $4, 0)",
        params![id, deploy, word, now],
    )?;
    Ok(id)
}

/// Whether one that was asked since then has no answer.
pub fn waits(tx: &mut dyn Tx, deploy: i64, since: Timestamp) -> Result<bool, StoreError> {
    let sql = "SELECT id FROM deploy_asks WHERE deploy = $1 AND answer IS NULL AND asked_at >= $2 LIMIT 1";
    Ok(tx.query_opt(sql, params![deploy, since])?.is_some())
}

/// Takes those that were asked since then and have no answer, in their order: none of them can be withdrawn any more. What an
/// earlier holder of the lease took and did not answer is taken again, since its step was not written.
pub fn take(tx: &mut dyn Tx, deploy: i64, since: Timestamp) -> Result<Vec<(i64, String)>, StoreError> {
    let sql =
        "UPDATE deploy_asks SET taken = 1 WHERE deploy = $1 AND answer IS NULL AND asked_at >= $2 RETURNING id, word";
    let rows = tx.query(sql, params![deploy, since])?;
    let mut taken = rows.iter().map(|row| Ok((row.int(0)?, row.string(1)?))).collect::<Result<Vec<_>, StoreError>>()?;
    taken.sort_unstable();
    Ok(taken)
}

/// An empty answer says that it was done, any other why not.
pub fn answer(tx: &mut dyn Tx, id: i64, said: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE deploy_asks SET answer = $1 WHERE id = $2", params![said, id])?;
    Ok(())
}

pub fn answered(tx: &mut dyn Tx, id: i64) -> Result<Option<String>, StoreError> {
    let row = tx.query_opt("SELECT answer FROM deploy_asks WHERE id = $1", params![id])?;
    row.map_or(Ok(None), |row| row.opt_string(0))
}

/// False when it was taken meanwhile.
pub fn withdraw(tx: &mut dyn Tx, id: i64) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM deploy_asks WHERE id = $1 AND taken = 0", params![id])? > 0)
}
