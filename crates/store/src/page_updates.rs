//! What people who were told of an incident are owed afterwards: that it grew, that somebody has it, that it is over.
//!
//! Each message of a page has one row. News that comes before the last ones are told takes their place as the next
//! revision, so that nobody is told what is not so any more.

use tenfold_types::Timestamp;

use crate::{Row, StoreError, Tx, many, params};

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

/// Updates to be sent now: those that are due, and those in `sending` under this epoch or an earlier one. The caller knows
/// which of the latter it is sending itself.
pub fn due(tx: &mut dyn Tx, now: Timestamp, epoch: i64, limit: i64) -> Result<Vec<UpdateRow>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM page_updates
         WHERE (state = 'due' AND next_at <= $1) OR (state = 'sending' AND epoch <= $2)
         ORDER BY next_at, page, channel LIMIT $3"
    );
    tx.query(&sql, params![now, epoch, limit])?.iter().map(update).collect()
}
