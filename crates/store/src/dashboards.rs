//! Dashboards: a name, the service they belong to, and their panels as JSON, opaque here.

use tenfold_types::Timestamp;

use crate::{Row, StoreError, Tx, params};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DashboardRow {
    pub name: String,
    pub service: Option<String>,
    pub body: String,
}

fn row(row: &Row) -> Result<DashboardRow, StoreError> {
    Ok(DashboardRow { name: row.string(0)?, service: row.opt_string(1)?, body: row.string(2)? })
}

/// All of them by name.
pub fn list(tx: &mut dyn Tx) -> Result<Vec<DashboardRow>, StoreError> {
    tx.query("SELECT name, service, body FROM dashboards ORDER BY name", &[])?.iter().map(row).collect()
}

pub fn get(tx: &mut dyn Tx, name: &str) -> Result<Option<DashboardRow>, StoreError> {
    tx.query_opt("SELECT name, service, body FROM dashboards WHERE name = $1", params![name])?
        .as_ref()
        .map(row)
        .transpose()
}

pub fn put(tx: &mut dyn Tx, dashboard: &DashboardRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO dashboards (name, service, body) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET service = excluded.service, body = excluded.body",
        params![dashboard.name.as_str(), dashboard.service.as_deref(), dashboard.body.as_str()],
    )?;
    Ok(())
}

/// True when it was there.
pub fn delete(tx: &mut dyn Tx, name: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM dashboards WHERE name = $1", params![name])? > 0)
}

/// A dashboard's version, with who made it and when; kept when the dashboard is deleted, which is a version too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaveRow {
    pub name: String,
    pub version: i64,
    pub by: String,
    pub at: Timestamp,
}

fn save(row: &Row) -> Result<SaveRow, StoreError> {
    Ok(SaveRow { name: row.string(0)?, version: row.int(1)?, by: row.string(2)?, at: row.time(3)? })
}

/// Of all dashboards, also of deleted ones, by name.
pub fn saves(tx: &mut dyn Tx) -> Result<Vec<SaveRow>, StoreError> {
    tx.query("SELECT name, version, saved_by, saved_at FROM dashboard_saves ORDER BY name", &[])?
        .iter()
        .map(save)
        .collect()
}

pub fn last_save(tx: &mut dyn Tx, name: &str) -> Result<Option<SaveRow>, StoreError> {
    tx.query_opt("SELECT name, version, saved_by, saved_at FROM dashboard_saves WHERE name = $1", params![name])?
        .as_ref()
        .map(save)
        .transpose()
}

pub fn put_save(tx: &mut dyn Tx, save: &SaveRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO dashboard_saves (name, version, saved_by, saved_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (name) DO UPDATE SET version = excluded.version, saved_by = excluded.saved_by,
         saved_at = excluded.saved_at",
        params![save.name.as_str(), save.version, save.by.as_str(), save.at],
    )?;
    Ok(())
}
