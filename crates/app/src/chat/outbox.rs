//! What a room has yet to be told: the record behind the room's cursor. Nothing is queued elsewhere, so nothing can be lost
//! or told twice by a restart.

use tenfold_store::chat as store;
use tenfold_store::events::{self, EventQuery};
use tenfold_store::leases;
use tenfold_types::{Event, Fault};

use super::announce::{Announcement, BACKLOG_MS_MAX, announce, plan};
use crate::App;

const PAGE_EVENTS: usize = 500;
/// One look goes through at most this many events; the rest comes with the next.
const LOOK_EVENTS_MAX: usize = 20_000;

/// What a room has yet to be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pending {
    pub lines: Vec<Announcement>,
    /// What people said in other rooms: event, who, text.
    pub relayed: Vec<(i64, String, String)>,
    /// Everything up to here is in this answer or is not told.
    pub upto: i64,
}

/// Pages for single persons.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PendingPages {
    /// Event, login, text.
    pub pages: Vec<(i64, String, String)>,
    pub upto: i64,
}

impl App {
    /// Where a room stands. A room that is new starts at the present.
    pub async fn chat_position(&self, room: &str) -> Result<i64, Fault> {
        let room = room.to_owned();
        self.housekeeping(move |t| {
            if let Some(seq) = store::position(t.tx(), &room)? {
                return Ok(seq);
            }
            let seq = events::last_seq(t.tx())?;
            store::position_advance(t.tx(), &room, seq)?;
            Ok(seq)
        })
        .await
    }

    /// What happened after `after` that the room is told, at most a day old.
    pub async fn chat_pending(&self, room: &str, after: i64) -> Result<Pending, Fault> {
        let now = self.now();
        let from = now.plus_ms(-BACKLOG_MS_MAX);
        let mut pending = Pending { upto: after, ..Pending::default() };
        let mut lines = Vec::new();
        for _ in 0..LOOK_EVENTS_MAX / PAGE_EVENTS {
            let page = self.events_after(pending.upto, PAGE_EVENTS).await?;
            for event in &page {
                pending.upto = event.seq;
                if event.recorded_at >= from {
                    lines.extend(announce(event, &self.settings.public_url));
                    pending.relayed.extend(relayed(event, room));
                }
            }
            if page.len() < PAGE_EVENTS {
                break;
            }
        }
        pending.lines = plan(lines, now);
        Ok(pending)
    }

    /// The pages after `after` and up to `last`, at most a day old, that did not go out through chat already.
    pub async fn chat_pending_pages(&self, after: i64, last: i64) -> Result<PendingPages, Fault> {
        let from = self.now().plus_ms(-BACKLOG_MS_MAX);
        let query = EventQuery {
            kinds: vec!["page.sent".into()],
            after: Some(after),
            limit: PAGE_EVENTS,
            ascending: true,
            include_admin: true,
            ..EventQuery::default()
        };
        let events = self.events(query).await?;
        let found = events.last().map_or(after, |e| e.seq);
        // A full answer may not be the end.
        let upto = if events.len() < PAGE_EVENTS { found.max(last) } else { found };
        Ok(PendingPages { pages: events.iter().filter(|e| e.recorded_at >= from).filter_map(page_for).collect(), upto })
    }

    /// The room has been told everything up to `seq`.
    pub async fn chat_delivered(&self, room: &str, seq: i64) -> Result<(), Fault> {
        let room = room.to_owned();
        self.housekeeping(move |t| Ok(store::position_advance(t.tx(), &room, seq)?)).await
    }

    /// Takes the right to speak for a room, where several nodes share a database. Gives the epoch.
    pub async fn chat_lease(&self, lease: &str, holder: &str, ttl_ms: i64) -> Result<Option<i64>, Fault> {
        let (lease, holder) = (lease.to_owned(), holder.to_owned());
        self.housekeeping(move |t| {
            let now = t.now();
            Ok(leases::acquire(t.tx(), &lease, &holder, now, ttl_ms)?)
        })
        .await
    }

    /// Keeps that right; false when it is lost.
    pub async fn chat_lease_renew(&self, lease: &str, holder: &str, epoch: i64, ttl_ms: i64) -> Result<bool, Fault> {
        let (lease, holder) = (lease.to_owned(), holder.to_owned());
        self.housekeeping(move |t| {
            let now = t.now();
            Ok(leases::renew(t.tx(), &lease, &holder, epoch, now, ttl_ms)?)
        })
        .await
    }

    /// Gives that right back.
    pub async fn chat_lease_release(&self, lease: &str, holder: &str, epoch: i64) -> Result<(), Fault> {
        let (lease, holder) = (lease.to_owned(), holder.to_owned());
        self.housekeeping(move |t| {
            leases::release(t.tx(), &lease, &holder, epoch)?;
            Ok(())
        })
        .await
    }
}

fn page_for(event: &Event) -> Option<(i64, String, String)> {
    if event.data.get("channel").is_some_and(|c| c == "irc") {
        return None;
    }
    let login = event.data.get("person")?.as_str()?;
    Some((event.seq, login.to_owned(), event.text.clone()))
}

/// What a person said in another room.
fn relayed(event: &Event, room: &str) -> Option<(i64, String, String)> {
    if event.kind != "chat.message" || event.data.get("room").is_some_and(|r| r == room) {
        return None;
    }
    Some((event.seq, event.actor.id.clone(), event.text.clone()))
}
