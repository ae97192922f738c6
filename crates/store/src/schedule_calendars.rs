//! Calendars that schedules follow. What they say is text and JSON, opaque here.

use tenfold_types::Timestamp;

use crate::{Row, Sealer, StoreError, Tx, params, sealing::CALENDAR_URL};

/// How it stands with a calendar, without what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarRow {
    pub schedule: String,
    /// Empty when it is not followed any more.
    pub url: String,
    pub refresh_ms: i64,
    /// When it is asked for again.
    pub due_at: Timestamp,
    /// Of the last good answer; empty where it had none.
    pub etag: String,
    pub last_modified: String,
    /// When it was read last, also when it said that nothing had changed.
    pub read_at: Option<Timestamp>,
    /// How far its shifts are laid out.
    pub until_at: Timestamp,
    pub failing_since: Option<Timestamp>,
    /// Why it cannot be read; empty when it can.
    pub failure: String,
    /// JSON: events that put nobody on call.
    pub unnamed: String,
}

const COLUMNS: &str = "schedule, url, refresh_ms, due_at, etag, last_modified, read_at, until_at, failing_since, failure, \
                       unnamed";

fn calendar_row(sealer: &Sealer, row: &Row) -> Result<CalendarRow, StoreError> {
    let schedule = row.string(0)?;
    Ok(CalendarRow {
        url: sealer.open(&CALENDAR_URL, &[schedule.as_str()], row.text(1)?)?,
        schedule,
        refresh_ms: row.int(2)?,
        due_at: row.time(3)?,
        etag: row.string(4)?,
        last_modified: row.string(5)?,
        read_at: row.opt_time(6)?,
        until_at: row.time(7)?,
        failing_since: row.opt_time(8)?,
        failure: row.string(9)?,
        unnamed: row.string(10)?,
    })
}

/// Those that are followed, by schedule.
pub fn followed(tx: &mut dyn Tx) -> Result<Vec<CalendarRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM schedule_calendars WHERE url <> '' ORDER BY schedule");
    let rows = tx.query(&sql, &[])?;
    let sealer = tx.sealer();
    rows.iter().map(|row| calendar_row(sealer, row)).collect()
}

pub fn get(tx: &mut dyn Tx, schedule: &str) -> Result<Option<CalendarRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM schedule_calendars WHERE schedule = $1");
    let row = tx.query_opt(&sql, params![schedule])?;
    let sealer = tx.sealer();
    row.map(|row| calendar_row(sealer, &row)).transpose()
}

/// Follows the calendar at an address, from now on. What was known of another one stays until this one is read.
pub fn follow(tx: &mut dyn Tx, schedule: &str, url: &str, refresh_ms: i64, now: Timestamp) -> Result<(), StoreError> {
    let url = tx.sealer().seal(&CALENDAR_URL, &[schedule], url)?;
    tx.execute(
        "INSERT INTO schedule_calendars (schedule, url, refresh_ms, due_at, etag, last_modified, read_at, until_at, \
         failing_since, failure, unnamed, shifts, body) \
         VALUES ($1, $2, $3, $4, '', '', NULL, $4, NULL, '', '[]', '[]', '') \
         ON CONFLICT (schedule) DO UPDATE SET url = excluded.url, refresh_ms = excluded.refresh_ms, \
         due_at = excluded.due_at, etag = '', last_modified = '', read_at = NULL, failing_since = NULL, failure = ''",
        params![schedule, url, refresh_ms, now],
    )?;
    Ok(())
}

/// Asks from now on so often; the next time as soon as that is earlier than it would have been.
pub fn set_refresh(tx: &mut dyn Tx, schedule: &str, refresh_ms: i64, next_at: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE schedule_calendars SET refresh_ms = $2, due_at = CASE WHEN due_at < $3 THEN due_at ELSE $3 END \
         WHERE schedule = $1",
        params![schedule, refresh_ms, next_at],
    )?;
    Ok(())
}

/// Forgets the address and what was said there. The shifts stay.
pub fn unfollow(tx: &mut dyn Tx, schedule: &str) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE schedule_calendars SET url = '', etag = '', last_modified = '', read_at = NULL, failing_since = NULL, \
         failure = '', unnamed = '[]', body = '' WHERE schedule = $1",
        params![schedule],
    )?;
    Ok(())
}

/// Writes how it stands.
pub fn update(tx: &mut dyn Tx, row: &CalendarRow) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE schedule_calendars SET refresh_ms = $2, due_at = $3, etag = $4, last_modified = $5, read_at = $6, \
         until_at = $7, failing_since = $8, failure = $9, unnamed = $10 WHERE schedule = $1",
        params![
            &row.schedule,
            row.refresh_ms,
            row.due_at,
            &row.etag,
            &row.last_modified,
            row.read_at,
            row.until_at,
            row.failing_since,
            &row.failure,
            &row.unnamed
        ],
    )?;
    Ok(())
}

/// The shifts of all schedules, or of one, as JSON.
pub fn shifts(tx: &mut dyn Tx, schedule: Option<&str>) -> Result<Vec<(String, String)>, StoreError> {
    let rows = match schedule {
        Some(name) => tx.query("SELECT schedule, shifts FROM schedule_calendars WHERE schedule = $1", params![name])?,
        None => tx.query("SELECT schedule, shifts FROM schedule_calendars", &[])?,
    };
    rows.iter().map(|r| Ok((r.string(0)?, r.string(1)?))).collect()
}

pub fn set_shifts(tx: &mut dyn Tx, schedule: &str, shifts: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE schedule_calendars SET shifts = $2 WHERE schedule = $1", params![schedule, shifts])?;
    Ok(())
}

/// The last good answer; empty before there is one.
pub fn body(tx: &mut dyn Tx, schedule: &str) -> Result<String, StoreError> {
    let row = tx.query_opt("SELECT body FROM schedule_calendars WHERE schedule = $1", params![schedule])?;
    row.map_or_else(|| Ok(String::new()), |r| r.string(0))
}

pub fn set_body(tx: &mut dyn Tx, schedule: &str, body: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE schedule_calendars SET body = $2 WHERE schedule = $1", params![schedule, body])?;
    Ok(())
}
