//! The record: every event, in one dense order, each chained to the one before by BLAKE3.
//!
//! Rows are only ever inserted. `seq` is taken inside the transaction that also changes the state, and
//! writers run one after another, so a reader that tails by `seq` misses nothing.

use serde::{Serialize, de::DeserializeOwned};
use tenfold_types::{Actor, Event, EventData, EventDraft, EventId, Subject, Timestamp, chain_input};

use crate::{Row, StoreError, Tx, Value, counters, params, search};

/// The most events one listing returns.
pub const EVENTS_MAX: usize = 1_000;
/// How many events a listing returns when no limit is given.
pub const EVENTS_DEFAULT: usize = 100;
/// The longest sentence of an event, in bytes; longer ones are cut.
pub const TEXT_BYTES_MAX: usize = 8_192;
/// The largest data of an event, in bytes of JSON.
pub const DATA_BYTES_MAX: usize = 262_144;

const COUNTER: &str = "event";
/// Data that is nested deeper is read back after it was written; what reads JSON gives up at twice as much.
const PLAIN_DEPTH_MAX: usize = 64;
/// How data stands in what is hashed, and where there is none.
const DATA: &str = "\"data\":";
const NO_DATA: &str = "\"data\":null";
const COLUMNS: &str = "e.seq, e.id, e.occurred_at, e.recorded_at, e.actor_kind, e.actor_id, e.behalf_kind, \
     e.behalf_id, e.kind, e.service, e.environment, e.host, e.flag, e.alert, e.incident, e.deploy, e.severity, \
     e.text, e.data, e.correlation, e.causation, e.source, e.visibility, e.prev_hash, e.hash";

const ACTOR: &str = "e.actor_id";
/// The server's own id as an actor: most events of a busy day are its own.
const SERVER: &str = "tenfold";

/// What to list; an empty query lists the newest [`EVENTS_DEFAULT`] that everyone may see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Kinds: `deploy.` is all that start with it, `deploy.failed` only itself. Empty is all.
    pub kinds: Vec<String>,
    /// The subject's service.
    pub service: Option<String>,
    /// The subject's environment.
    pub environment: Option<String>,
    /// The subject's host.
    pub host: Option<String>,
    /// The actor's id.
    pub actor: Option<String>,
    /// The subject's incident.
    pub incident: Option<i64>,
    /// The subject's deploy.
    pub deploy: Option<i64>,
    /// The subject's flag.
    pub flag: Option<String>,
    /// The subject's alert, by fingerprint.
    pub alert: Option<String>,
    /// The run it belongs to (`deploy:12`).
    pub correlation: Option<String>,
    /// Words, all of which must be in the event; the last may be the start of a word.
    pub q: Option<String>,
    /// Occurred at or after.
    pub from: Option<Timestamp>,
    /// Occurred before.
    pub to: Option<Timestamp>,
    /// Exactly these rows; at most [`EVENTS_MAX`].
    pub seqs: Option<Vec<i64>>,
    /// `seq` below, for the next page of a descending list.
    pub before: Option<i64>,
    /// `seq` above, for the next page of an ascending list or for tailing.
    pub after: Option<i64>,
    /// At most so many; 0 means [`EVENTS_DEFAULT`], more than [`EVENTS_MAX`] is cut to it.
    pub limit: usize,
    /// Oldest first.
    pub ascending: bool,
    /// Also what only administrators may see.
    pub include_admin: bool,
}

/// What [`verify`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Whether every checked event is whole and in its place.
    pub ok: bool,
    /// How many events were read.
    pub checked: i64,
    /// The first `seq` that is missing, changed or not chained to the one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_broken: Option<i64>,
}

/// Writes an event with the next `seq`, chained to the last one. The search has it after [`index_words`].
pub fn append(tx: &mut dyn Tx, now: Timestamp, id: EventId, draft: &EventDraft) -> Result<Event, StoreError> {
    let mut end = End::take(tx, 1)?;
    end.append(tx, now, id, draft.clone())
}

/// Writes events one behind the other, as [`append`] does each of them. The end of the record is looked up once for all.
pub fn append_all(
    tx: &mut dyn Tx,
    now: Timestamp,
    drafts: Vec<(EventId, EventDraft)>,
) -> Result<Vec<Event>, StoreError> {
    if drafts.is_empty() {
        return Ok(Vec::new());
    }
    let mut end = End::take(tx, drafts.len())?;
    let mut written = Vec::with_capacity(drafts.len());
    for (id, draft) in drafts {
        written.push(end.append(tx, now, id, draft)?);
    }
    Ok(written)
}

/// The end of the record inside a transaction that has taken the numbers of what it will write.
struct End {
    /// The number of the next event.
    seq: i64,
    /// The hash of the event before it.
    hash: String,
}

impl End {
    fn take(tx: &mut dyn Tx, count: usize) -> Result<Self, StoreError> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let seq = counters::take(tx, COUNTER, count)?;
        let hash = if seq == 1 { genesis() } else { hash_of(tx, seq - 1)? };
        Ok(Self { seq, hash })
    }

    fn append(&mut self, tx: &mut dyn Tx, now: Timestamp, id: EventId, draft: EventDraft) -> Result<Event, StoreError> {
        let reads_back = draft.data.text().is_some() || is_plain(&draft.data, PLAIN_DEPTH_MAX);
        let data = match draft.data.text() {
            Some(text) => text.to_owned(),
            None => serde_json::to_string(&*draft.data).map_err(|e| StoreError::Corrupt(e.to_string()))?,
        };
        if data.len() > DATA_BYTES_MAX {
            return Err(StoreError::Limit { what: "the data of an event in bytes", limit: DATA_BYTES_MAX });
        }
        let mut event = Event {
            seq: self.seq,
            id,
            occurred_at: draft.occurred_at.unwrap_or(now),
            recorded_at: now,
            actor: draft.actor,
            on_behalf_of: draft.on_behalf_of,
            kind: draft.kind,
            subject: draft.subject,
            severity: draft.severity,
            text: sentence(&draft.text),
            data: EventData::default(),
            correlation: draft.correlation,
            causation: draft.causation,
            source: draft.source,
            visibility: draft.visibility,
            prev_hash: std::mem::take(&mut self.hash),
            hash: String::new(),
        };
        // What is stored is what the hash is over, so that it need not be written again.
        let around = if reads_back { digest_around(&event, &data) } else { None };
        event.data = if around.is_some() { draft.data } else { read_back(&data)? };
        event.hash = around.unwrap_or_else(|| digest(&event));
        insert(tx, &event, data)?;
        self.seq += 1;
        self.hash.clone_from(&event.hash);
        Ok(event)
    }
}

/// The data as a reader will see it, since the hash is over that. `text` is what is stored.
fn read_back(text: &str) -> Result<EventData, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::Corrupt(e.to_string()))
}

/// Whether data reads back as it is. A number with a fraction may come back as its neighbour, and what is nested too deep
/// does not come back at all.
fn is_plain(data: &serde_json::Value, depth_left: usize) -> bool {
    use serde_json::Value as Json;
    match data {
        Json::Null | Json::Bool(_) | Json::String(_) => true,
        Json::Number(number) => !number.is_f64(),
        Json::Array(_) | Json::Object(_) if depth_left == 0 => false,
        Json::Array(list) => list.iter().all(|one| is_plain(one, depth_left - 1)),
        Json::Object(map) => map.values().all(|one| is_plain(one, depth_left - 1)),
    }
}

/// Lists events by `query`.
pub fn list(tx: &mut dyn Tx, query: &EventQuery) -> Result<Vec<Event>, StoreError> {
    let mut filter = Filter::default();
    filter.kinds(&query.kinds);
    for (column, value) in [
        ("e.service", &query.service),
        ("e.environment", &query.environment),
        ("e.host", &query.host),
        (ACTOR, &query.actor),
        ("e.flag", &query.flag),
        ("e.alert", &query.alert),
        ("e.correlation", &query.correlation),
    ] {
        filter.compare(column, "=", value.as_deref());
    }
    if query.actor.as_deref().is_some_and(|actor| actor != SERVER) {
        // The words of the index that holds everybody but the server, which is found by walking.
        filter.conditions.push(format!("{ACTOR} <> '{SERVER}'"));
    }
    if let Some(seqs) = &query.seqs {
        filter.any_of("e.seq", seqs);
    }
    filter.compare("e.incident", "=", query.incident);
    filter.compare("e.deploy", "=", query.deploy);
    filter.compare("e.occurred_at", ">=", query.from);
    filter.compare("e.occurred_at", "<", query.to);
    filter.compare("e.seq", "<", query.before);
    filter.compare("e.seq", ">", query.after);
    if !query.include_admin {
        filter.compare("e.visibility", "=", Some("everyone"));
    }
    if let Some(q) = &query.q {
        match search::condition(tx.dialect(), q, filter.values.len() + 1) {
            Some((sql, value)) => filter.push(sql, value),
            None => return Ok(Vec::new()),
        }
    }
    let limit = if query.limit == 0 { EVENTS_DEFAULT } else { query.limit.min(EVENTS_MAX) };
    let order = if query.ascending { "ASC" } else { "DESC" };
    let sql = format!("SELECT {COLUMNS} FROM events e {} ORDER BY e.seq {order} LIMIT {limit}", filter.sql());
    tx.query(&sql, &filter.values)?.iter().map(event).collect()
}

/// One event by its number.
pub fn get(tx: &mut dyn Tx, seq: i64) -> Result<Option<Event>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM events e WHERE e.seq = $1");
    tx.query_opt(&sql, params![seq])?.as_ref().map(event).transpose()
}

/// The number of the last event; 0 before the first.
pub fn last_seq(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    counters::last(tx, COUNTER)
}

/// Whether the search is behind the record.
pub fn words_missing(tx: &mut dyn Tx) -> Result<bool, StoreError> {
    let last = last_seq(tx)?;
    search::is_behind(tx, last)
}

/// Puts the oldest events that the search does not have into it, some at a time. Answers whether more are missing.
pub fn index_words(tx: &mut dyn Tx) -> Result<bool, StoreError> {
    let last = last_seq(tx)?;
    search::catch_up(tx, last)
}

/// The number of the last event that was recorded before `at`; 0 when there is none. Where the clock was set back
/// meanwhile, one of those from which the clock says `at` again.
pub fn last_before(tx: &mut dyn Tx, at: Timestamp) -> Result<i64, StoreError> {
    let (mut before, mut from) = (0, last_seq(tx)? + 1);
    while from - before > 1 {
        let middle = before + (from - before) / 2;
        let row = tx.query_opt("SELECT recorded_at FROM events WHERE seq = $1", params![middle])?;
        let row = row.ok_or_else(|| StoreError::Corrupt(format!("event {middle} is missing from the record")))?;
        if row.time(0)? < at { before = middle } else { from = middle }
    }
    Ok(before)
}

/// Recomputes the chain from `from` (or the first) to `to` (or the last) and stops at the first break.
///
/// Finds changed, missing and inserted events, and events cut off at the end. It reads
/// [`EVENTS_MAX`] at a time, so memory stays bounded.
pub fn verify(tx: &mut dyn Tx, from: Option<i64>, to: Option<i64>) -> Result<Verification, StoreError> {
    let first = from.unwrap_or(1).max(1);
    let last = to.unwrap_or(i64::MAX).min(last_seq(tx)?);
    let mut checked = 0;
    let mut prev_hash = if first == 1 { genesis() } else { get(tx, first - 1)?.map_or_else(String::new, |e| e.hash) };
    let mut expected = first;
    let sql =
        format!("SELECT {COLUMNS} FROM events e WHERE e.seq >= $1 AND e.seq <= $2 ORDER BY e.seq LIMIT {EVENTS_MAX}");
    while expected <= last {
        let rows = tx.query(&sql, params![expected, last])?;
        if rows.is_empty() {
            return Ok(Verification { ok: false, checked, first_broken: Some(expected) });
        }
        for row in &rows {
            let whole =
                event(row).ok().filter(|e| e.seq == expected && e.prev_hash == prev_hash && e.hash == digest(e));
            let Some(whole) = whole else {
                return Ok(Verification { ok: false, checked, first_broken: Some(expected) });
            };
            prev_hash = whole.hash;
            expected += 1;
            checked += 1;
        }
    }
    let beyond = "SELECT min(seq) FROM events WHERE seq > $1";
    let extra = if to.is_none() { tx.query_one(beyond, params![last])?.opt_int(0)? } else { None };
    Ok(Verification { ok: extra.is_none(), checked, first_broken: extra })
}

/// Conditions joined by AND, with their parameters.
#[derive(Default)]
struct Filter {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Filter {
    fn push(&mut self, condition: String, value: Value) {
        self.conditions.push(condition);
        self.values.push(value);
    }

    fn compare(&mut self, column: &str, operator: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            let number = self.values.len() + 1;
            self.push(format!("{column} {operator} ${number}"), value.into());
        }
    }

    fn any_of(&mut self, column: &str, numbers: &[i64]) {
        let first = self.values.len() + 1;
        let numbers = &numbers[..numbers.len().min(EVENTS_MAX)];
        self.values.extend(numbers.iter().map(|n| Value::Int(*n)));
        let places: Vec<String> = (first..first + numbers.len()).map(|n| format!("${n}")).collect();
        // An empty list finds nothing; `IN ()` is not understood everywhere.
        let condition = if places.is_empty() { "1 = 0".into() } else { format!("{column} IN ({})", places.join(", ")) };
        self.conditions.push(condition);
    }

    fn kinds(&mut self, kinds: &[String]) {
        let mut any = Vec::new();
        for kind in kinds {
            let number = self.values.len() + 1;
            self.values.push(Value::from(kind));
            if let Some(stem) = kind.strip_suffix('.') {
                // `/` is the character after `.`, and text is ordered by bytes.
                self.values.push(Value::Text(format!("{stem}/")));
                any.push(format!("(e.kind >= ${number} AND e.kind < ${})", number + 1));
            } else {
                any.push(format!("e.kind = ${number}"));
            }
        }
        if !any.is_empty() {
            self.conditions.push(format!("({})", any.join(" OR ")));
        }
    }

    fn sql(&self) -> String {
        if self.conditions.is_empty() { String::new() } else { format!("WHERE {}", self.conditions.join(" AND ")) }
    }
}

fn genesis() -> String {
    "0".repeat(64)
}

fn digest(event: &Event) -> String {
    blake3::hash(&chain_input(event)).to_hex().to_string()
}

/// The digest of an event with data that was written already, in place of none. Within a text a quote has a backslash before
/// it, so that no other place reads like the one for the data.
fn digest_around(event: &Event, data: &str) -> Option<String> {
    let bare = String::from_utf8(chain_input(event)).ok()?;
    let (before, after) = bare.split_once(NO_DATA)?;
    let mut hasher = blake3::Hasher::new();
    for part in [before, DATA, data, after] {
        hasher.update(part.as_bytes());
    }
    Some(hasher.finalize().to_hex().to_string())
}

fn hash_of(tx: &mut dyn Tx, seq: i64) -> Result<String, StoreError> {
    let row = tx.query_opt("SELECT hash FROM events WHERE seq = $1", params![seq])?;
    row.ok_or_else(|| StoreError::Corrupt(format!("event {seq} is missing from the record")))?.string(0)
}

fn sentence(text: &str) -> String {
    let mut text = text.replace('\0', "");
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    text
}

fn insert(tx: &mut dyn Tx, event: &Event, data: String) -> Result<(), StoreError> {
    let behalf = event.on_behalf_of.as_ref();
    let s = &event.subject;
    tx.execute(
        "INSERT INTO events (seq, id, occurred_at, recorded_at, actor_kind, actor_id, behalf_kind, behalf_id, kind, \
         service, environment, host, flag, alert, incident, deploy, severity, text, data, correlation, causation, \
         source, visibility, prev_hash, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, \
         $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)",
        params![
            event.seq,
            event.id,
            event.occurred_at,
            event.recorded_at,
            word(&event.actor.kind)?,
            &event.actor.id,
            behalf.map(|a| word(&a.kind)).transpose()?,
            behalf.map(|a| a.id.as_str()),
            &event.kind,
            s.service.as_deref(),
            s.environment.as_deref(),
            s.host.as_deref(),
            s.flag.as_deref(),
            s.alert.as_deref(),
            s.incident,
            s.deploy,
            word(&event.severity)?,
            &event.text,
            data,
            event.correlation.as_deref(),
            event.causation,
            word(&event.source)?,
            word(&event.visibility)?,
            &event.prev_hash,
            &event.hash,
        ],
    )
    .map(|_| ())
}

fn event(row: &Row) -> Result<Event, StoreError> {
    let on_behalf_of = match (row.opt_text(6)?, row.opt_string(7)?) {
        (Some(kind), Some(id)) => Some(Actor { kind: from_word(kind)?, id }),
        _ => None,
    };
    Ok(Event {
        seq: row.int(0)?,
        id: event_id(row.text(1)?)?,
        occurred_at: row.time(2)?,
        recorded_at: row.time(3)?,
        actor: Actor { kind: from_word(row.text(4)?)?, id: row.string(5)? },
        on_behalf_of,
        kind: row.string(8)?,
        subject: Subject {
            service: row.opt_string(9)?,
            environment: row.opt_string(10)?,
            host: row.opt_string(11)?,
            flag: row.opt_string(12)?,
            alert: row.opt_string(13)?,
            incident: row.opt_int(14)?,
            deploy: row.opt_int(15)?,
        },
        severity: from_word(row.text(16)?)?,
        text: row.string(17)?,
        data: row.json(18)?,
        correlation: row.opt_string(19)?,
        causation: row.opt_text(20)?.map(event_id).transpose()?,
        source: from_word(row.text(21)?)?,
        visibility: from_word(row.text(22)?)?,
        prev_hash: row.string(23)?,
        hash: row.string(24)?,
    })
}

fn event_id(text: &str) -> Result<EventId, StoreError> {
    EventId::parse(text).ok_or_else(|| StoreError::Corrupt(format!("`{text}` is not the id of an event")))
}

/// The word an enumeration is written as in JSON, which is also how it is stored.
fn word<T: Serialize>(value: &T) -> Result<String, StoreError> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        other => Err(StoreError::Corrupt(format!("{other:?} is not written as one word"))),
    }
}

fn from_word<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_value(serde_json::Value::from(text)).map_err(|e| StoreError::Corrupt(e.to_string()))
}
