//! What people who were told of an incident are owed afterwards: that it grew, that somebody has it, that it is over.
//!
//! Each message of a page has one row. News that comes before the last ones are told takes their place as the next
//! revision, so that nobody is told what is not so any more.

use tenfold_types::Timestamp;

use crate::{Row, StoreError, Tx, incidents::DUE_OF_TARGET, many, params};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateRow {
    pub page: String,
    pub channel: String,
    pub kind: String,
    pub revision: i64,
    pub state: String,
    pub tries: i64,
    pub next_at: Option<Timestamp>,
    pub epoch: i64,
    /// When one was taken last, and its kind.
    pub told_at: Option<Timestamp>,
    pub told: Option<String>,
}

const COLUMNS: &str = "page, channel, kind, revision, state, tries, next_at, epoch, told_at, told";

fn update(row: &Row) -> Result<UpdateRow, StoreError> {
    Ok(UpdateRow {
        page: row.string(0)?,
        channel: row.string(1)?,
        kind: row.string(2)?,
        revision: row.int(3)?,
        state: row.string(4)?,
        tries: row.int(5)?,
        next_at: row.opt_time(6)?,
        epoch: row.int(7)?,
        told_at: row.opt_time(8)?,
        told: row.opt_string(9)?,
    })
}

pub fn get(tx: &mut dyn Tx, page: &str, channel: &str) -> Result<Option<UpdateRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM page_updates WHERE page = $1 AND channel = $2");
    tx.query_opt(&sql, params![page, channel])?.as_ref().map(update).transpose()
}

/// What is owed for these pages, and what was told; of one by channels.
pub fn of_pages(tx: &mut dyn Tx, pages: &[&str]) -> Result<Vec<UpdateRow>, StoreError> {
    let sql = |list: &str| format!("SELECT {COLUMNS} FROM page_updates WHERE page IN ({list}) ORDER BY channel");
    many::rows(tx, &many::texts(pages), sql)?.iter().map(update).collect()
}

pub fn put(tx: &mut dyn Tx, row: &UpdateRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO page_updates (page, channel, kind, revision, state, tries, next_at, epoch, told_at, told)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (page, channel) DO UPDATE SET kind = excluded.kind, revision = excluded.revision,
           state = excluded.state, tries = excluded.tries, next_at = excluded.next_at, epoch = excluded.epoch,
           told_at = excluded.told_at, told = excluded.told",
        params![
            &row.page,
            &row.channel,
            &row.kind,
            row.revision,
            &row.state,
            row.tries,
            row.next_at,
            row.epoch,
            row.told_at,
            row.told.as_deref()
        ],
    )?;
    Ok(())
}

/// Moves every update that waits by so much.
pub fn move_due(tx: &mut dyn Tx, by_ms: i64) -> Result<u64, StoreError> {
    tx.execute("UPDATE page_updates SET next_at = next_at + $1 WHERE state = 'due'", params![by_ms])
}

/// Updates to be sent now: those that are due, and those in `sending` under this epoch or an earlier one. The caller knows
/// which of the latter it is sending itself. The first of each address come first, as with
/// [`crate::incidents::deliveries_due`].
pub fn due(tx: &mut dyn Tx, now: Timestamp, epoch: i64, limit: i64) -> Result<Vec<UpdateRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM
           (SELECT u.*, row_number() OVER
              (PARTITION BY u.state, u.channel, d.address ORDER BY u.next_at, u.page) AS nth
            FROM page_updates u LEFT JOIN page_deliveries d ON d.page = u.page AND d.channel = u.channel
            WHERE (u.state = 'due' AND u.next_at <= $1) OR (u.state = 'sending' AND u.epoch <= $2)) AS ranked
         WHERE nth <= $4 ORDER BY nth, next_at, page, channel LIMIT $3"
    );
    tx.query(&sql, params![now, epoch, limit, DUE_OF_TARGET])?.iter().map(update).collect()
}
