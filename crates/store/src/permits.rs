//! Adaptive permits: what people wrote, and where each stands, both opaque here.

use tenfold_types::Timestamp;

use crate::{Row, StoreError, Tx, params};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermitRow {
    pub job: String,
    pub body: String,
    /// Absent before the first look.
    pub state: Option<String>,
    pub evaluated_at: Option<Timestamp>,
}

fn permit(row: &Row) -> Result<PermitRow, StoreError> {
    Ok(PermitRow {
        job: row.string(0)?,
        body: row.string(1)?,
        state: row.opt_string(2)?,
        evaluated_at: row.opt_time(3)?,
    })
}

/// All of them by job.
pub fn list(tx: &mut dyn Tx) -> Result<Vec<PermitRow>, StoreError> {
    tx.query("SELECT job, body, state, evaluated_at FROM permits ORDER BY job", &[])?.iter().map(permit).collect()
}

pub fn get(tx: &mut dyn Tx, job: &str) -> Result<Option<PermitRow>, StoreError> {
    tx.query_opt("SELECT job, body, state, evaluated_at FROM permits WHERE job = $1", params![job])?
        .as_ref()
        .map(permit)
        .transpose()
}

/// Writes a definition; where the permit stands is kept.
pub fn put(tx: &mut dyn Tx, job: &str, body: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO permits (job, body) VALUES ($1, $2) ON CONFLICT (job) DO UPDATE SET body = excluded.body",
        params![job, body],
    )?;
    Ok(())
}

/// True when it was there.
pub fn delete(tx: &mut dyn Tx, job: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM permits WHERE job = $1", params![job])? > 0)
}

/// Writes where a permit stands; a permit that was deleted meanwhile stays so.
pub fn stand(tx: &mut dyn Tx, job: &str, state: &str, at: Timestamp) -> Result<(), StoreError> {
    tx.execute("UPDATE permits SET state = $1, evaluated_at = $2 WHERE job = $3", params![state, at, job])?;
    Ok(())
}
