//! Browsers that take pages by push, each with the keys that its messages are sealed with.

use tenfold_types::Timestamp;

use crate::{Row, StoreError, Tx, params};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserRow {
    pub id: String,
    pub person: String,
    pub label: String,
    pub endpoint: String,
    pub p256dh: String,
    pub auth: String,
    pub added_at: Timestamp,
}

fn browser(row: &Row) -> Result<BrowserRow, StoreError> {
    Ok(BrowserRow {
        id: row.string(0)?,
        person: row.string(1)?,
        label: row.string(2)?,
        endpoint: row.string(3)?,
        p256dh: row.string(4)?,
        auth: row.string(5)?,
        added_at: row.time(6)?,
    })
}

/// A person's, the oldest first.
pub fn of_person(tx: &mut dyn Tx, person: &str) -> Result<Vec<BrowserRow>, StoreError> {
    let sql = "SELECT id, person, label, endpoint, p256dh, auth, added_at FROM push_browsers WHERE person = $1
               ORDER BY added_at, id";
    tx.query(sql, params![person])?.iter().map(browser).collect()
}

pub fn get(tx: &mut dyn Tx, id: &str) -> Result<Option<BrowserRow>, StoreError> {
    let sql = "SELECT id, person, label, endpoint, p256dh, auth, added_at FROM push_browsers WHERE id = $1";
    tx.query_opt(sql, params![id])?.as_ref().map(browser).transpose()
}

pub fn count(tx: &mut dyn Tx, person: &str) -> Result<i64, StoreError> {
    let sql = "SELECT COUNT(*) FROM push_browsers WHERE person = $1";
    tx.query_opt(sql, params![person])?.map_or(Ok(0), |r| r.int(0))
}

/// Adds a browser, or takes over what it says now, and whose it is.
pub fn put(tx: &mut dyn Tx, row: &BrowserRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO push_browsers (id, person, label, endpoint, p256dh, auth, added_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (id) DO UPDATE SET person = excluded.person, label = excluded.label,
           endpoint = excluded.endpoint, p256dh = excluded.p256dh, auth = excluded.auth, added_at = excluded.added_at",
        params![
            row.id.as_str(),
            row.person.as_str(),
            row.label.as_str(),
            row.endpoint.as_str(),
            row.p256dh.as_str(),
            row.auth.as_str(),
            row.added_at
        ],
    )?;
    Ok(())
}

/// True when it was there.
pub fn delete(tx: &mut dyn Tx, id: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM push_browsers WHERE id = $1", params![id])? > 0)
}
