//! Small marks by name: how far a reader of the record has come, when a chore last ran.

use crate::{StoreError, Tx, params};

/// The number kept under `name`.
pub fn get(tx: &mut dyn Tx, name: &str) -> Result<Option<i64>, StoreError> {
    let Some(text) = get_text(tx, name)? else { return Ok(None) };
    text.parse().map(Some).map_err(|_| StoreError::Corrupt(format!("cursor {name} holds `{text}`, not a number")))
}

/// Keeps a number under `name`.
pub fn set(tx: &mut dyn Tx, name: &str, value: i64) -> Result<(), StoreError> {
    set_text(tx, name, &value.to_string())
}

/// The text kept under `name`.
pub fn get_text(tx: &mut dyn Tx, name: &str) -> Result<Option<String>, StoreError> {
    tx.query_opt("SELECT value FROM cursors WHERE name = $1", params![name])?.map(|row| row.string(0)).transpose()
}

/// Keeps a text under `name`.
pub fn set_text(tx: &mut dyn Tx, name: &str, value: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO cursors (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        params![name, value],
    )
    .map(|_| ())
}
