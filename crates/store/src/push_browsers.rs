//! Browsers that take pages by push, each with the keys that its messages are encrypted with.

use tenfold_types::Timestamp;

use crate::{
    Row, Sealer, StoreError, Tx, params,
    sealing::{BROWSER_AUTH, BROWSER_ENDPOINT},
};

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

fn browser(sealer: &Sealer, row: &Row) -> Result<BrowserRow, StoreError> {
    let id = row.string(0)?;
    Ok(BrowserRow {
        person: row.string(1)?,
        label: row.string(2)?,
        endpoint: sealer.open(&BROWSER_ENDPOINT, &[id.as_str()], row.text(3)?)?,
        p256dh: row.string(4)?,
        auth: sealer.open(&BROWSER_AUTH, &[id.as_str()], row.text(5)?)?,
        added_at: row.time(6)?,
        id,
    })
}

/// A person's, the oldest first.
pub fn of_person(tx: &mut dyn Tx, person: &str) -> Result<Vec<BrowserRow>, StoreError> {
    let sql = "SELECT id, person, label, endpoint, p256dh, auth, added_at FROM push_browsers WHERE person = $1
               ORDER BY added_at, id";
    let rows = tx.query(sql, params![person])?;
    let sealer = tx.sealer();
    rows.iter().map(|row| browser(sealer, row)).collect()
}

pub fn get(tx: &mut dyn Tx, id: &str) -> Result<Option<BrowserRow>, StoreError> {
    let sql = "SELECT id, person, label, endpoint, p256dh, auth, added_at FROM push_browsers WHERE id = $1";
    let row = tx.query_opt(sql, params![id])?;
    let sealer = tx.sealer();
    row.map(|row| browser(sealer, &row)).transpose()
}

pub fn count(tx: &mut dyn Tx, person: &str) -> Result<i64, StoreError> {
    let sql = "SELECT COUNT(*) FROM push_browsers WHERE person = $1";
    tx.query_opt(sql, params![person])?.map_or(Ok(0), |r| r.int(0))
}

/// Adds a browser, or takes over what it says now, and whose it is.
pub fn put(tx: &mut dyn Tx, row: &BrowserRow) -> Result<(), StoreError> {
    let id = row.id.as_str();
    let endpoint = tx.sealer().seal(&BROWSER_ENDPOINT, &[id], &row.endpoint)?;
    let auth = tx.sealer().seal(&BROWSER_AUTH, &[id], &row.auth)?;
    tx.execute(
        "INSERT INTO push_browsers (id, person, label, endpoint, p256dh, auth, added_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (id) DO UPDATE SET person = excluded.person, label = excluded.label,
           endpoint = excluded.endpoint, p256dh = excluded.p256dh, auth = excluded.auth, added_at = excluded.added_at",
        params![id, row.person.as_str(), row.label.as_str(), endpoint, row.p256dh.as_str(), auth, row.added_at],
    )?;
    Ok(())
}

/// True when it was there.
pub fn delete(tx: &mut dyn Tx, id: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM push_browsers WHERE id = $1", params![id])? > 0)
}
