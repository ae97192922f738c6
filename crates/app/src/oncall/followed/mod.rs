//! Calendars that schedules follow: their addresses, how it stands with them, and who asks for them.
//!
//! The node that evaluates alerts asks, and the others read what it found in the store. What a calendar said last holds until it
//! says something else, however long it cannot be read. An address may hold a secret: it is kept apart from the plans, and never
//! shown again.

mod look;
mod reading;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock, atomic::AtomicBool},
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tenfold_oncall::{Calendar, FixedShift, Plan, Schedule};
use tenfold_store::{
    Tx,
    schedule_calendars::{self as store, CalendarRow},
};
use tenfold_types::{Fault, Timestamp};
use tokio::sync::{Mutex, Notify};

use super::{ScheduleUpdate, schedules::minute};
use crate::{App, Txn};

pub use look::run;
pub(super) use reading::Reading;

/// Titles that put nobody on call, kept and shown of one calendar.
const UNNAMED_MAX: usize = 50;

/// What the last good answer said of itself, to be asked for nothing but a newer one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CalendarKnown {
    pub etag: String,
    pub last_modified: String,
}

/// What stands at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CalendarAnswer {
    /// It is as it was.
    Unchanged,
    Text {
        ics: String,
        known: CalendarKnown,
    },
}

/// Who asks for calendars.
#[async_trait]
pub trait CalendarClient: Send + Sync {
    /// Asks once, within a time and a cap on bytes.
    ///
    /// # Errors
    /// One sentence to follow "the calendar cannot be read: ", without the address.
    async fn ask(&self, url: &str, known: &CalendarKnown) -> Result<CalendarAnswer, String>;
}

/// What is in memory.
#[derive(Default)]
pub(crate) struct Following {
    client: OnceLock<Arc<dyn CalendarClient>>,
    /// Every calendar is asked for once after a start, due or not.
    begun: AtomicBool,
    wake: Notify,
    working: Mutex<()>,
}

impl super::State {
    /// Who asks for calendars. Set once, before `start`.
    pub fn set_calendar_client(&self, client: Arc<dyn CalendarClient>) {
        let _ = self.following.client.set(client);
    }
}

/// How it stands with the calendar that a schedule follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FollowedView {
    /// All that is shown of its address.
    pub host: String,
    pub refresh_s: i64,
    /// When it was read last; null before the first time.
    #[schema(value_type = Option<String>)]
    pub read_at: Option<Timestamp>,
    /// How far ahead it was read: what comes behind is not known yet.
    #[schema(value_type = Option<String>)]
    pub until: Option<Timestamp>,
    /// It cannot be read since then, and what it said last holds.
    #[schema(value_type = Option<String>)]
    pub failing_since: Option<Timestamp>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Its shifts that are not over.
    pub shifts: usize,
    /// Events that put nobody on call, each in a sentence.
    pub unnamed: Vec<String>,
}

impl FollowedView {
    /// What is to be mended, each to follow the schedule's name: that it cannot be read, and who is not known.
    pub fn troubles(&self) -> Vec<String> {
        let failing = self.failing_since.map(|since| {
            let why = self.failure.as_deref().unwrap_or_default();
            let holds = if self.shifts == 0 { "nobody is on call by it" } else { "what it said last holds" };
            format!("cannot be read from {} since {}: {why}; {holds}", self.host, minute(since))
        });
        failing.into_iter().chain(self.unnamed.iter().map(|event| format!("has an event that {event}"))).collect()
    }
}

/// Events of one title that put nobody on call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unnamed {
    title: String,
    why: String,
    /// When the first of them begins.
    from: Timestamp,
    count: usize,
}

impl Unnamed {
    fn is_same(&self, other: &Self) -> bool {
        self.title == other.title && self.why == other.why
    }

    /// To follow "an event that ".
    fn sentence(&self) -> String {
        let more = match self.count.saturating_sub(1) {
            0 => String::new(),
            more => format!(", and {more} more like it"),
        };
        format!("{}: `{}` from {}{more}", self.why, self.title, minute(self.from))
    }
}

fn list<T: serde::de::DeserializeOwned>(schedule: &str, json: &str) -> Result<Vec<T>, Fault> {
    serde_json::from_str(json)
        .map_err(|e| Fault::internal(format!("what is known of the calendar of {schedule} cannot be read: {e}")))
}

/// The shifts of the calendars of all schedules, or of one, that end after `since`.
pub(super) fn shifts(
    tx: &mut dyn Tx,
    schedule: Option<&str>,
    since: Timestamp,
) -> Result<BTreeMap<String, Vec<FixedShift>>, Fault> {
    let mut all = BTreeMap::new();
    for (name, json) in store::shifts(tx, schedule)? {
        let mut shifts: Vec<FixedShift> = list(&name, &json)?;
        shifts.retain(|shift| shift.end > since);
        all.insert(name, shifts);
    }
    Ok(all)
}

/// How it stands with those that are followed, by schedule.
pub(super) fn rows(tx: &mut dyn Tx) -> Result<BTreeMap<String, CalendarRow>, Fault> {
    Ok(store::followed(tx)?.into_iter().map(|row| (row.schedule.clone(), row)).collect())
}

/// `None` when the schedule follows no calendar.
pub(super) fn view(of: &Schedule, row: Option<&CalendarRow>, now: Timestamp) -> Result<Option<FollowedView>, Fault> {
    let Some(row) = row.filter(|_| of.follows_from(now)) else { return Ok(None) };
    let unnamed: Vec<Unnamed> = list(&of.name, &row.unnamed)?;
    Ok(Some(FollowedView {
        host: host(&row.url),
        refresh_s: row.refresh_ms / 1_000,
        read_at: row.read_at,
        until: row.read_at.map(|_| row.until_at),
        failing_since: row.failing_since,
        failure: Some(row.failure.clone()).filter(|why| !why.is_empty()),
        shifts: of.calendar().iter().filter(|shift| shift.end > now).count(),
        unnamed: unnamed.iter().map(Unnamed::sentence).collect(),
    }))
}

fn host(url: &str) -> String {
    Calendar::at(url).host().to_owned()
}

/// What a plan says of the address that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    /// It follows no calendar.
    None,
    Kept,
    New,
}

impl Address {
    /// # Errors
    /// The address is hidden, and none is kept that it could stand for.
    pub(super) fn of(tx: &mut dyn Tx, schedule: &str, plan: &Plan) -> Result<Self, Fault> {
        let Some(wanted) = &plan.calendar else { return Ok(Self::None) };
        let kept = store::get(tx, schedule)?.map(|row| row.url).filter(|url| !url.is_empty());
        if kept.is_some_and(|url| url == wanted.url || Calendar::at(&url).hidden().url == wanted.url) {
            return Ok(Self::Kept);
        }
        if wanted.is_hidden() {
            return Err(Fault::invalid(format!("the address of the calendar at {} is hidden", wanted.host()))
                .advice("write the whole address; it is not shown again"));
        }
        Ok(Self::New)
    }
}

/// Keeps the address of a plan that is put and begins then. In the transaction of its version.
pub(super) fn follow(
    t: &mut Txn<'_>,
    schedule: &str,
    plan: &Plan,
    address: Address,
    begins: Timestamp,
) -> Result<(), Fault> {
    let now = t.now();
    match (address, &plan.calendar) {
        (Address::Kept, Some(calendar)) => {
            let ms = calendar.refresh_ms();
            store::set_refresh(t.tx(), schedule, ms, now.plus_ms(ms))?;
        }
        (Address::New, Some(calendar)) => {
            let kept = store::get(t.tx(), schedule)?.is_some_and(|row| !row.url.is_empty());
            if kept && begins > now {
                return Err(Fault::conflict(format!("{schedule} follows another calendar until this version begins"))
                    .advice("leave `from` out to follow the new address at once"));
            }
            store::follow(t.tx(), schedule, &calendar.url, calendar.refresh_ms(), now)?;
        }
        // No version that was made before holds any more, so nobody needs the address.
        (Address::None, _) | (_, None) if begins <= now => store::unfollow(t.tx(), schedule)?,
        (Address::None, _) | (_, None) => {}
    }
    Ok(())
}

impl ScheduleUpdate {
    /// An address that is hidden is the one of `there`, when it stands for that.
    pub(crate) fn keep_hidden(&mut self, there: &Self) {
        if let (Some(own), Some(kept)) = (&mut self.0.calendar, &there.0.calendar)
            && own.url == kept.hidden().url
        {
            own.url.clone_from(&kept.url);
        }
    }
}

impl App {
    /// The addresses that are followed, by schedule: to compare with them, and never to be shown.
    pub(crate) async fn calendar_addresses(&self) -> Result<BTreeMap<String, String>, Fault> {
        self.read(|tx| Ok(store::followed(tx)?.into_iter().map(|row| (row.schedule, row.url)).collect())).await
    }
}
