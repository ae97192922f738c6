//! What was said of alerts to a node that does not take any. The node that takes them reads it in its order, and forgets each
//! when it has done what was said. What cannot be done is tried again, and kept in the end for people to look at.

use tenfold_types::Timestamp;

use crate::{Row, StoreError, Tx, counters, params};

/// Requests that are kept although they were refused, and their bytes; of more the oldest go.
pub const REFUSED_KEPT_MAX: i64 = 1_000;
const REFUSED_BYTES_MAX: i64 = 64 << 20;

/// One request that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRow {
    pub id: i64,
    pub body: String,
    /// When it came.
    pub at: Timestamp,
    /// How often it could not be taken.
    pub tries: i64,
    /// Not tried before then.
    pub next_at: Timestamp,
}

/// One that is tried no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRow {
    pub id: i64,
    pub body: String,
    pub at: Timestamp,
    pub refused_at: Timestamp,
    pub tries: i64,
    pub why: String,
}

/// What waits, without what is tried no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    pub requests: i64,
    pub bytes: i64,
}

/// What does not go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stuck {
    /// When the oldest came that was never tried.
    pub untried_since: Option<Timestamp>,
    /// Tried in vain, and tried again.
    pub failing: i64,
    /// Tried no more.
    pub refused: i64,
}

/// Keeps one. Returns its id; a later one has a higher one.
pub fn put(tx: &mut dyn Tx, body: &str, at: Timestamp) -> Result<i64, StoreError> {
    let id = counters::next(tx, "alert_inbox")?;
    let size = i64::try_from(body.len()).unwrap_or(i64::MAX);
    tx.execute(
        "INSERT INTO alert_inbox (id, body, size_bytes, at) VALUES ($1, $2, $3, $4)",
        params![id, body, size, at],
    )?;
    Ok(id)
}

/// Those behind the id `after` that may be tried now, in the order in which they came.
pub fn due(tx: &mut dyn Tx, after: i64, now: Timestamp, limit: i64) -> Result<Vec<InboxRow>, StoreError> {
    rows(tx, "next_at <= $2", after, now, limit)
}

/// Those behind the id `after` whose time has not come, in the order in which they came.
pub fn later(tx: &mut dyn Tx, after: i64, now: Timestamp, limit: i64) -> Result<Vec<InboxRow>, StoreError> {
    rows(tx, "next_at > $2", after, now, limit)
}

fn rows(tx: &mut dyn Tx, when: &str, after: i64, now: Timestamp, limit: i64) -> Result<Vec<InboxRow>, StoreError> {
    let sql = format!(
        "SELECT id, body, at, tries, next_at FROM alert_inbox WHERE refused_at IS NULL AND id > $1 AND {when} \
         ORDER BY id LIMIT $3"
    );
    let read = |r: &Row| -> Result<InboxRow, StoreError> {
        Ok(InboxRow { id: r.int(0)?, body: r.string(1)?, at: r.time(2)?, tries: r.int(3)?, next_at: r.time(4)? })
    };
    tx.query(&sql, params![after, now, limit])?.iter().map(read).collect()
}

/// When the first of what waits may be tried, if anything waits. One that was never tried may be at any time.
pub fn next(tx: &mut dyn Tx) -> Result<Option<Timestamp>, StoreError> {
    tx.query_one("SELECT MIN(next_at) FROM alert_inbox WHERE refused_at IS NULL", &[])?.opt_time(0)
}

/// The id of the oldest that was never tried, if one waits.
pub fn first(tx: &mut dyn Tx) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT id FROM alert_inbox WHERE refused_at IS NULL AND tries = 0 ORDER BY id LIMIT 1";
    tx.query_opt(sql, &[])?.map(|row| row.int(0)).transpose()
}

/// The id of the newest that was never tried, if one waits.
pub fn last(tx: &mut dyn Tx) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT id FROM alert_inbox WHERE refused_at IS NULL AND tries = 0 ORDER BY id DESC LIMIT 1";
    tx.query_opt(sql, &[])?.map(|row| row.int(0)).transpose()
}

pub fn waiting(tx: &mut dyn Tx) -> Result<Waiting, StoreError> {
    let sql = "SELECT COUNT(*), CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) FROM alert_inbox WHERE refused_at IS NULL";
    let row = tx.query_one(sql, &[])?;
    Ok(Waiting { requests: row.int(0)?, bytes: row.int(1)? })
}

pub fn stuck(tx: &mut dyn Tx) -> Result<Stuck, StoreError> {
    let untried = tx.query_one("SELECT MIN(at) FROM alert_inbox WHERE refused_at IS NULL AND tries = 0", &[])?;
    let failing = tx.query_one("SELECT COUNT(*) FROM alert_inbox WHERE refused_at IS NULL AND tries > 0", &[])?;
    let refused = refused_count(tx)?;
    Ok(Stuck { untried_since: untried.opt_time(0)?, failing: failing.int(0)?, refused })
}

/// It could not be taken, and is tried again then.
pub fn put_off(tx: &mut dyn Tx, id: i64, next_at: Timestamp, why: &str) -> Result<(), StoreError> {
    let sql = "UPDATE alert_inbox SET tries = tries + 1, next_at = $2, why = $3 WHERE id = $1";
    tx.execute(sql, params![id, next_at, why])?;
    Ok(())
}

/// It waits behind another one, and is not looked at before then.
pub fn hold(tx: &mut dyn Tx, id: i64, next_at: Timestamp) -> Result<(), StoreError> {
    tx.execute("UPDATE alert_inbox SET next_at = $2 WHERE id = $1", params![id, next_at])?;
    Ok(())
}

/// It is tried no more.
pub fn refuse(tx: &mut dyn Tx, id: i64, now: Timestamp, why: &str) -> Result<(), StoreError> {
    let sql = "UPDATE alert_inbox SET tries = tries + 1, refused_at = $2, why = $3 WHERE id = $1";
    tx.execute(sql, params![id, now, why])?;
    let (mut kept, mut bytes, mut surplus) = (0, 0, None);
    for row in tx.query("SELECT id, size_bytes FROM alert_inbox WHERE refused_at IS NOT NULL ORDER BY id DESC", &[])? {
        kept += 1;
        bytes += row.int(1)?;
        // The one that was refused now stays, however large.
        let old = row.int(0)?;
        if old != id && (kept > REFUSED_KEPT_MAX || bytes > REFUSED_BYTES_MAX) {
            surplus = Some(old);
            break;
        }
    }
    if let Some(surplus) = surplus {
        let sql = "DELETE FROM alert_inbox WHERE refused_at IS NOT NULL AND id <= $1 AND id <> $2";
        tx.execute(sql, params![surplus, id])?;
    }
    Ok(())
}

/// When one was refused last.
pub fn refused_last(tx: &mut dyn Tx) -> Result<Option<Timestamp>, StoreError> {
    tx.query_one("SELECT MAX(refused_at) FROM alert_inbox", &[])?.opt_time(0)
}

/// How many are tried no more.
pub fn refused_count(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    tx.query_one("SELECT COUNT(*) FROM alert_inbox WHERE refused_at IS NOT NULL", &[])?.int(0)
}

/// Those that are tried no more, the newest first.
pub fn refused(tx: &mut dyn Tx, limit: i64) -> Result<Vec<RefusedRow>, StoreError> {
    let sql = "SELECT id, body, at, refused_at, tries, why FROM alert_inbox WHERE refused_at IS NOT NULL \
               ORDER BY id DESC LIMIT $1";
    let read = |r: &Row| -> Result<RefusedRow, StoreError> {
        let (at, refused_at) = (r.time(2)?, r.time(3)?);
        Ok(RefusedRow { id: r.int(0)?, body: r.string(1)?, at, refused_at, tries: r.int(4)?, why: r.string(5)? })
    };
    tx.query(sql, params![limit])?.iter().map(read).collect()
}

/// The ids of all that is tried no more, ascending.
pub fn refused_ids(tx: &mut dyn Tx) -> Result<Vec<i64>, StoreError> {
    let sql = "SELECT id FROM alert_inbox WHERE refused_at IS NOT NULL ORDER BY id";
    tx.query(sql, &[])?.iter().map(|row| row.int(0)).collect()
}

/// The body of one that is tried no more, and when it came.
pub fn refused_words(tx: &mut dyn Tx, id: i64) -> Result<Option<(String, Timestamp)>, StoreError> {
    let sql = "SELECT body, at FROM alert_inbox WHERE id = $1 AND refused_at IS NOT NULL";
    let Some(row) = tx.query_opt(sql, params![id])? else { return Ok(None) };
    Ok(Some((row.string(0)?, row.time(1)?)))
}

/// What is left of one that is tried no more; without anything it is forgotten. One that waits again by now stays as it is.
pub fn refused_rest(tx: &mut dyn Tx, id: i64, body: Option<&str>) -> Result<(), StoreError> {
    let Some(body) = body else {
        tx.execute("DELETE FROM alert_inbox WHERE id = $1 AND refused_at IS NOT NULL", params![id])?;
        return Ok(());
    };
    let size = i64::try_from(body.len()).unwrap_or(i64::MAX);
    let sql = "UPDATE alert_inbox SET body = $2, size_bytes = $3 WHERE id = $1 AND refused_at IS NOT NULL";
    tx.execute(sql, params![id, body, size])?;
    Ok(())
}

/// Everything that is tried no more waits again. Returns how many.
pub fn refused_again(tx: &mut dyn Tx) -> Result<u64, StoreError> {
    tx.execute(
        "UPDATE alert_inbox SET tries = 0, next_at = 0, why = '', refused_at = NULL WHERE refused_at IS NOT NULL",
        &[],
    )
}

/// Forgets what is tried no more since an instant or for longer. Returns how many.
pub fn refused_forget(tx: &mut dyn Tx, until: Timestamp) -> Result<u64, StoreError> {
    tx.execute("DELETE FROM alert_inbox WHERE refused_at <= $1", params![until])
}

pub fn forget(tx: &mut dyn Tx, id: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM alert_inbox WHERE id = $1", params![id])?;
    Ok(())
}
