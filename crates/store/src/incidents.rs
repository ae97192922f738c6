//! Incidents, the alerts that belong to them, pages, and what became of each page's deliveries.
//!
//! A page is decided once because (incident, step, round, person) is unique; a delivery is claimed by moving it from
//! `due` to `sending` under an epoch before anything is sent.

use tenfold_types::Timestamp;

use crate::{Row, Sealer, StoreError, Tx, many, params, sealing::DELIVERY_TARGET};

/// An incident; `body` is JSON, opaque here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentRow {
    pub number: i64,
    /// Set while alerts may join it.
    pub open_key: Option<String>,
    pub state: String,
    pub opened_at: Timestamp,
    /// When its escalation has something to do.
    pub next_at: Option<Timestamp>,
    pub body: String,
}

/// Membership of an alert in an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRow {
    pub fingerprint: String,
    pub joined_at: Timestamp,
    /// How the alert ended; `None` while it has not.
    pub ended: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRow {
    pub id: String,
    pub incident: i64,
    pub step: i64,
    pub round: i64,
    pub person: String,
    pub state: String,
    pub due_at: Timestamp,
    pub delivered_at: Option<Timestamp>,
    pub body: String,
}

/// One channel of one page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    pub page: String,
    pub channel: String,
    pub target: String,
    pub idempotency_key: String,
    pub state: String,
    pub tries: i64,
    pub next_at: Option<Timestamp>,
    pub epoch: i64,
    /// What the service calls the message it took, when it said so.
    pub message: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    pub page: String,
    pub channel: String,
    pub n: i64,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub state: String,
    pub error: Option<String>,
}

const INCIDENT_COLUMNS: &str = "number, open_key, state, opened_at, next_at, body";
const PAGE_COLUMNS: &str = "id, incident, step, round, person, state, due_at, delivered_at, body";
const DELIVERY_COLUMNS: &str = "page, channel, target, idempotency_key, state, tries, next_at, epoch, message";

const ATTEMPT_COLUMNS: &str = "page, channel, n, started_at, finished_at, state, error";

fn incident(row: &Row) -> Result<IncidentRow, StoreError> {
    Ok(IncidentRow {
        number: row.int(0)?,
        open_key: row.opt_string(1)?,
        state: row.string(2)?,
        opened_at: row.time(3)?,
        next_at: row.opt_time(4)?,
        body: row.string(5)?,
    })
}

pub fn get(tx: &mut dyn Tx, number: i64) -> Result<Option<IncidentRow>, StoreError> {
    let sql = format!("SELECT {INCIDENT_COLUMNS} FROM incidents WHERE number = $1");
    tx.query_opt(&sql, params![number])?.as_ref().map(incident).transpose()
}

/// The incidents of these numbers, in no order.
pub fn by_numbers(tx: &mut dyn Tx, numbers: &[i64]) -> Result<Vec<IncidentRow>, StoreError> {
    let sql = |list: &str| format!("SELECT {INCIDENT_COLUMNS} FROM incidents WHERE number IN ({list})");
    many::rows(tx, &many::numbers(numbers), sql)?.iter().map(incident).collect()
}

/// The incident that an alert of this key joins.
pub fn open_by_key(tx: &mut dyn Tx, key: &str) -> Result<Option<IncidentRow>, StoreError> {
    let sql = format!("SELECT {INCIDENT_COLUMNS} FROM incidents WHERE open_key = $1");
    tx.query_opt(&sql, params![key])?.as_ref().map(incident).transpose()
}

/// How long it is known that an incident ended: what fires later than this is a new one, whatever was set.
pub const ENDED_KEEP_MS: i64 = 86_400_000;

/// Keeps that the incident of this key ended, in place of one that ended before, and forgets those of all keys that ended
/// too long ago.
pub fn ended_put(tx: &mut dyn Tx, key: &str, incident: i64, at: Timestamp) -> Result<(), StoreError> {
    tx.execute("DELETE FROM incident_endings WHERE ended_at < $1", params![at.plus_ms(-ENDED_KEEP_MS)])?;
    tx.execute(
        "INSERT INTO incident_endings (open_key, incident, ended_at) VALUES ($1, $2, $3)
         ON CONFLICT (open_key) DO UPDATE SET incident = excluded.incident, ended_at = excluded.ended_at",
        params![key, incident, at],
    )?;
    Ok(())
}

pub fn ended_forget(tx: &mut dyn Tx, key: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM incident_endings WHERE open_key = $1", params![key])?;
    Ok(())
}

/// The incident of a key that ended last, and when.
pub fn ended_by_key(tx: &mut dyn Tx, key: &str) -> Result<Option<(i64, Timestamp)>, StoreError> {
    let sql = "SELECT incident, ended_at FROM incident_endings WHERE open_key = $1";
    tx.query_opt(sql, params![key])?.map(|r| Ok((r.int(0)?, r.time(1)?))).transpose()
}

/// Incidents that are not resolved, the oldest first.
pub fn open(tx: &mut dyn Tx) -> Result<Vec<IncidentRow>, StoreError> {
    let sql = format!("SELECT {INCIDENT_COLUMNS} FROM incidents WHERE state <> 'resolved' ORDER BY number");
    tx.query(&sql, &[])?.iter().map(incident).collect()
}

/// Incidents before `before`, the newest first; of one state when it is given.
pub fn list(
    tx: &mut dyn Tx,
    state: Option<&str>,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<IncidentRow>, StoreError> {
    let before = before.unwrap_or(i64::MAX);
    let rows = match state {
        None => {
            let sql =
                format!("SELECT {INCIDENT_COLUMNS} FROM incidents WHERE number < $1 ORDER BY number DESC LIMIT $2");
            tx.query(&sql, params![before, limit])?
        }
        Some(state) => {
            let sql = format!(
                "SELECT {INCIDENT_COLUMNS} FROM incidents WHERE number < $1 AND state = $3
                 ORDER BY number DESC LIMIT $2"
            );
            tx.query(&sql, params![before, limit, state])?
        }
    };
    rows.iter().map(incident).collect()
}

/// Incidents whose escalation is due.
pub fn due(tx: &mut dyn Tx, now: Timestamp, limit: i64) -> Result<Vec<IncidentRow>, StoreError> {
    let sql = format!(
        "SELECT {INCIDENT_COLUMNS} FROM incidents WHERE next_at IS NOT NULL AND next_at <= $1
         ORDER BY next_at, number LIMIT $2"
    );
    tx.query(&sql, params![now, limit])?.iter().map(incident).collect()
}

pub fn put(tx: &mut dyn Tx, row: &IncidentRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO incidents (number, open_key, state, opened_at, next_at, body) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (number) DO UPDATE SET open_key = excluded.open_key, state = excluded.state,
           next_at = excluded.next_at, body = excluded.body",
        params![row.number, row.open_key.as_deref(), &row.state, row.opened_at, row.next_at, &row.body],
    )?;
    Ok(())
}

/// Adds an alert to an incident; one that had ended is active in it again.
pub fn join(tx: &mut dyn Tx, incident: i64, fingerprint: &str, at: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO incident_alerts (incident, fingerprint, joined_at) VALUES ($1, $2, $3)
         ON CONFLICT (incident, fingerprint) DO UPDATE SET ended = NULL",
        params![incident, fingerprint, at],
    )?;
    Ok(())
}

pub fn member_ended(tx: &mut dyn Tx, incident: i64, fingerprint: &str, how: &str) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE incident_alerts SET ended = $3 WHERE incident = $1 AND fingerprint = $2",
        params![incident, fingerprint, how],
    )?;
    Ok(())
}

/// Alerts of an incident, those that joined first.
pub fn members(tx: &mut dyn Tx, incident: i64, limit: i64) -> Result<Vec<MemberRow>, StoreError> {
    let sql = "SELECT fingerprint, joined_at, ended FROM incident_alerts WHERE incident = $1
               ORDER BY joined_at, fingerprint LIMIT $2";
    tx.query(sql, params![incident, limit])?
        .iter()
        .map(|r| Ok(MemberRow { fingerprint: r.string(0)?, joined_at: r.time(1)?, ended: r.opt_string(2)? }))
        .collect()
}

/// How many alerts of an incident have not ended.
pub fn live_count(tx: &mut dyn Tx, incident: i64) -> Result<i64, StoreError> {
    let sql = "SELECT count(*) FROM incident_alerts WHERE incident = $1 AND ended IS NULL";
    tx.query_one(sql, params![incident])?.int(0)
}

/// The alert of an incident, among how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedMember {
    pub incident: i64,
    pub fingerprint: String,
    /// Alerts of this incident.
    pub total: i64,
}

/// The first alerts of these incidents, at most so many of each, in the order in which they joined.
pub fn members_in(tx: &mut dyn Tx, numbers: &[i64], most: i64) -> Result<Vec<NamedMember>, StoreError> {
    let sql = |list: &str| {
        format!(
            "SELECT incident, fingerprint, total FROM
               (SELECT incident, fingerprint, joined_at, count(*) OVER (PARTITION BY incident) AS total,
                  row_number() OVER (PARTITION BY incident ORDER BY joined_at, fingerprint) AS place
                FROM incident_alerts WHERE incident IN ({list})) AS named
             WHERE place <= {most} ORDER BY joined_at, fingerprint"
        )
    };
    many::rows(tx, &many::numbers(numbers), sql)?
        .iter()
        .map(|r| Ok(NamedMember { incident: r.int(0)?, fingerprint: r.string(1)?, total: r.int(2)? }))
        .collect()
}

/// Whether an alert has joined an incident.
pub fn is_member(tx: &mut dyn Tx, incident: i64, fingerprint: &str) -> Result<bool, StoreError> {
    let sql = "SELECT fingerprint FROM incident_alerts WHERE incident = $1 AND fingerprint = $2";
    Ok(tx.query_opt(sql, params![incident, fingerprint])?.is_some())
}

/// Those of these incidents that are not resolved though the data says of every alert of theirs that it is over, by number.
pub fn all_resolved(tx: &mut dyn Tx, numbers: &[i64]) -> Result<Vec<i64>, StoreError> {
    // The words of the index that holds only members that go on.
    let sql = |list: &str| {
        format!(
            "SELECT number FROM incidents WHERE number IN ({list}) AND state <> 'resolved' AND NOT EXISTS
               (SELECT 1 FROM incident_alerts WHERE incident = number AND (ended IS NULL OR ended <> 'resolved'))"
        )
    };
    let rows = many::rows(tx, &many::numbers(numbers), sql)?;
    let mut over = rows.iter().map(|row| row.int(0)).collect::<Result<Vec<_>, _>>()?;
    over.sort_unstable();
    Ok(over)
}

fn page(row: &Row) -> Result<PageRow, StoreError> {
    Ok(PageRow {
        id: row.string(0)?,
        incident: row.int(1)?,
        step: row.int(2)?,
        round: row.int(3)?,
        person: row.string(4)?,
        state: row.string(5)?,
        due_at: row.time(6)?,
        delivered_at: row.opt_time(7)?,
        body: row.string(8)?,
    })
}

/// Writes a page unless this person has been paged for this step of this round already. True when it is new.
pub fn page_insert(tx: &mut dyn Tx, row: &PageRow) -> Result<bool, StoreError> {
    let changed = tx.execute(
        "INSERT INTO pages (id, incident, step, round, person, state, due_at, delivered_at, body)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (incident, step, round, person) DO NOTHING",
        params![
            &row.id,
            row.incident,
            row.step,
            row.round,
            &row.person,
            &row.state,
            row.due_at,
            row.delivered_at,
            &row.body
        ],
    )?;
    Ok(changed == 1)
}

pub fn page_get(tx: &mut dyn Tx, id: &str) -> Result<Option<PageRow>, StoreError> {
    let sql = format!("SELECT {PAGE_COLUMNS} FROM pages WHERE id = $1");
    tx.query_opt(&sql, params![id])?.as_ref().map(page).transpose()
}

/// Pages of an incident in the order in which they were decided.
pub fn pages(tx: &mut dyn Tx, incident: i64) -> Result<Vec<PageRow>, StoreError> {
    let sql = format!("SELECT {PAGE_COLUMNS} FROM pages WHERE incident = $1 ORDER BY round, step, due_at, person");
    tx.query(&sql, params![incident])?.iter().map(page).collect()
}

/// Pages of these incidents; those of one in the order in which they were decided.
pub fn pages_in(tx: &mut dyn Tx, numbers: &[i64]) -> Result<Vec<PageRow>, StoreError> {
    let sql = |list: &str| {
        format!("SELECT {PAGE_COLUMNS} FROM pages WHERE incident IN ({list}) ORDER BY round, step, due_at, person")
    };
    many::rows(tx, &many::numbers(numbers), sql)?.iter().map(page).collect()
}

/// The newest page of somebody that belongs to an incident, or to what stands for one.
pub fn page_last(tx: &mut dyn Tx, incident: i64, person: &str) -> Result<Option<PageRow>, StoreError> {
    let sql = format!(
        "SELECT {PAGE_COLUMNS} FROM pages WHERE incident = $1 AND person = $2 ORDER BY due_at DESC, id DESC LIMIT 1"
    );
    tx.query_opt(&sql, params![incident, person])?.as_ref().map(page).transpose()
}

/// The newest pages of all incidents.
pub fn pages_recent(tx: &mut dyn Tx, limit: i64) -> Result<Vec<PageRow>, StoreError> {
    let sql = format!("SELECT {PAGE_COLUMNS} FROM pages ORDER BY due_at DESC, id LIMIT $1");
    tx.query(&sql, params![limit])?.iter().map(page).collect()
}

/// Who was paged when, from an instant and before another, the newest first: those of incidents with a number, without the
/// pages of this body.
pub fn paged_between(
    tx: &mut dyn Tx,
    (from, to): (Timestamp, Timestamp),
    without_body: &str,
    limit: i64,
) -> Result<Vec<(String, Timestamp)>, StoreError> {
    let sql = "SELECT person, due_at FROM pages
               WHERE due_at >= $1 AND due_at < $2 AND incident > 0 AND body <> $3 ORDER BY due_at DESC, id LIMIT $4";
    let rows = tx.query(sql, params![from, to, without_body, limit])?;
    rows.iter().map(|row| Ok((row.string(0)?, row.time(1)?))).collect()
}

/// How often people were paged for an incident from an instant and before another, the newest incidents first: those with a
/// number, without the pages of this body.
pub fn paged_counts(
    tx: &mut dyn Tx,
    (from, to): (Timestamp, Timestamp),
    without_body: &str,
    limit: i64,
) -> Result<Vec<(i64, String, i64)>, StoreError> {
    let sql = "SELECT incident, person, count(*) FROM pages
               WHERE due_at >= $1 AND due_at < $2 AND incident > 0 AND body <> $3
               GROUP BY incident, person ORDER BY incident DESC, person LIMIT $4";
    let rows = tx.query(sql, params![from, to, without_body, limit])?;
    rows.iter().map(|row| Ok((row.int(0)?, row.string(1)?, row.int(2)?))).collect()
}

pub fn page_state(tx: &mut dyn Tx, id: &str, state: &str, delivered_at: Option<Timestamp>) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE pages SET state = $2, delivered_at = coalesce(delivered_at, $3) WHERE id = $1",
        params![id, state, delivered_at],
    )?;
    Ok(())
}

/// What was taken for a page was not delivered after all: it is in `state`, and was delivered by nothing yet.
pub fn page_not_delivered(tx: &mut dyn Tx, id: &str, state: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE pages SET state = $2, delivered_at = NULL WHERE id = $1", params![id, state])?;
    Ok(())
}

fn delivery(sealer: &Sealer, row: &Row) -> Result<DeliveryRow, StoreError> {
    let (page, channel) = (row.string(0)?, row.string(1)?);
    Ok(DeliveryRow {
        target: sealer.open(&DELIVERY_TARGET, &[page.as_str(), channel.as_str()], row.text(2)?)?,
        page,
        channel,
        idempotency_key: row.string(3)?,
        state: row.string(4)?,
        tries: row.int(5)?,
        next_at: row.opt_time(6)?,
        epoch: row.int(7)?,
        message: row.opt_string(8)?,
    })
}

fn deliveries_of(tx: &mut dyn Tx, rows: &[Row]) -> Result<Vec<DeliveryRow>, StoreError> {
    let sealer = tx.sealer();
    rows.iter().map(|row| delivery(sealer, row)).collect()
}

pub fn delivery_insert(tx: &mut dyn Tx, row: &DeliveryRow) -> Result<(), StoreError> {
    let sealer = tx.sealer();
    let address = sealer.digest(&row.target);
    let target = sealer.seal(&DELIVERY_TARGET, &[row.page.as_str(), row.channel.as_str()], &row.target)?;
    tx.execute(
        "INSERT INTO page_deliveries
           (page, channel, target, address, idempotency_key, state, tries, next_at, epoch, message)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        params![
            &row.page,
            &row.channel,
            target,
            address,
            &row.idempotency_key,
            &row.state,
            row.tries,
            row.next_at,
            row.epoch,
            row.message.as_deref()
        ],
    )?;
    Ok(())
}

pub fn deliveries(tx: &mut dyn Tx, page: &str) -> Result<Vec<DeliveryRow>, StoreError> {
    let sql = format!("SELECT {DELIVERY_COLUMNS} FROM page_deliveries WHERE page = $1 ORDER BY channel");
    let rows = tx.query(&sql, params![page])?;
    deliveries_of(tx, &rows)
}

/// Deliveries of these pages; those of one by their channels.
pub fn deliveries_in(tx: &mut dyn Tx, pages: &[&str]) -> Result<Vec<DeliveryRow>, StoreError> {
    let sql =
        |list: &str| format!("SELECT {DELIVERY_COLUMNS} FROM page_deliveries WHERE page IN ({list}) ORDER BY channel");
    let rows = many::rows(tx, &many::texts(pages), sql)?;
    deliveries_of(tx, &rows)
}

pub fn delivery_get(tx: &mut dyn Tx, page: &str, channel: &str) -> Result<Option<DeliveryRow>, StoreError> {
    let sql = format!("SELECT {DELIVERY_COLUMNS} FROM page_deliveries WHERE page = $1 AND channel = $2");
    let row = tx.query_opt(&sql, params![page, channel])?;
    let sealer = tx.sealer();
    row.map(|row| delivery(sealer, &row)).transpose()
}

/// Messages to one address that are looked at together.
pub(crate) const DUE_OF_TARGET: i64 = 128;

/// Deliveries to be sent now: those that are due, and those in `sending` under this epoch or an earlier one. The caller
/// knows which of the latter it is sending itself. The first of each address come first, so that many that wait for one of
/// them hide nobody else's.
pub fn deliveries_due(tx: &mut dyn Tx, now: Timestamp, epoch: i64, limit: i64) -> Result<Vec<DeliveryRow>, StoreError> {
    let sql = format!(
        "SELECT {DELIVERY_COLUMNS} FROM
           (SELECT {DELIVERY_COLUMNS},
              row_number() OVER (PARTITION BY state, channel, address ORDER BY next_at, page) AS nth
            FROM page_deliveries
            WHERE (state = 'due' AND next_at <= $1) OR (state = 'sending' AND epoch <= $2)) AS ranked
         WHERE nth <= $4 ORDER BY nth, next_at, page, channel LIMIT $3"
    );
    let rows = tx.query(&sql, params![now, epoch, limit, DUE_OF_TARGET])?;
    deliveries_of(tx, &rows)
}

/// Moves every delivery that waits by so much.
pub fn deliveries_move(tx: &mut dyn Tx, by_ms: i64) -> Result<u64, StoreError> {
    tx.execute("UPDATE page_deliveries SET next_at = next_at + $1 WHERE state = 'due'", params![by_ms])
}

pub fn delivery_put(tx: &mut dyn Tx, row: &DeliveryRow) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE page_deliveries SET state = $3, tries = $4, next_at = $5, epoch = $6, message = $7
         WHERE page = $1 AND channel = $2",
        params![&row.page, &row.channel, &row.state, row.tries, row.next_at, row.epoch, row.message.as_deref()],
    )?;
    Ok(())
}

/// Ends every delivery of an incident that is still to be sent, also one under way. How many there were. `next_at` stays,
/// for an incident that opens again.
pub fn deliveries_supersede(tx: &mut dyn Tx, incident: i64) -> Result<u64, StoreError> {
    tx.execute(
        "UPDATE page_deliveries SET state = 'superseded'
         WHERE state IN ('due', 'sending') AND page IN (SELECT id FROM pages WHERE incident = $1)",
        params![incident],
    )
}

fn attempt(row: &Row) -> Result<AttemptRow, StoreError> {
    Ok(AttemptRow {
        page: row.string(0)?,
        channel: row.string(1)?,
        n: row.int(2)?,
        started_at: row.time(3)?,
        finished_at: row.opt_time(4)?,
        state: row.string(5)?,
        error: row.opt_string(6)?,
    })
}

pub fn attempt_put(tx: &mut dyn Tx, row: &AttemptRow) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO page_attempts (page, channel, n, started_at, finished_at, state, error)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (page, channel, n) DO UPDATE SET finished_at = excluded.finished_at, state = excluded.state,
           error = excluded.error",
        params![&row.page, &row.channel, row.n, row.started_at, row.finished_at, &row.state, row.error.as_deref()],
    )?;
    Ok(())
}

/// One try.
pub fn attempt_get(tx: &mut dyn Tx, page: &str, channel: &str, n: i64) -> Result<Option<AttemptRow>, StoreError> {
    let sql = format!("SELECT {ATTEMPT_COLUMNS} FROM page_attempts WHERE page = $1 AND channel = $2 AND n = $3");
    tx.query_opt(&sql, params![page, channel, n])?.as_ref().map(attempt).transpose()
}

/// What was tried for a page, in order.
pub fn attempts(tx: &mut dyn Tx, page: &str) -> Result<Vec<AttemptRow>, StoreError> {
    tx.query(
        &format!("SELECT {ATTEMPT_COLUMNS} FROM page_attempts WHERE page = $1 ORDER BY started_at, channel, n"),
        params![page],
    )?
    .iter()
    .map(attempt)
    .collect()
}

/// What was tried for these pages; of one in order.
pub fn attempts_in(tx: &mut dyn Tx, pages: &[&str]) -> Result<Vec<AttemptRow>, StoreError> {
    let sql = |list: &str| {
        format!("SELECT {ATTEMPT_COLUMNS} FROM page_attempts WHERE page IN ({list}) ORDER BY started_at, channel, n")
    };
    many::rows(tx, &many::texts(pages), sql)?.iter().map(attempt).collect()
}
