//! Asks for the calendars that are due, and writes what came of it.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use jiff::tz::TimeZone;
use serde_json::json;
use tenfold_oncall::{FixedShift, ShiftChange, merged_shifts, shift_changes};
use tenfold_store::{
    Tx,
    schedule_calendars::{self as store, CalendarRow},
};
use tenfold_types::{Actor, EventDraft, Fault, Severity, Source, Timestamp, format_duration_ms};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    CalendarClient, CalendarKnown, Unnamed, host, list,
    reading::{Look, Reading},
    shifts,
};
use crate::{
    App, Txn,
    oncall::{
        calendars::everybody,
        schedule,
        schedules::{minute, to_json},
    },
};

/// How often it is looked for what is due.
const LOOK: Duration = Duration::from_secs(5);
/// One that cannot be read is asked for again after so long, or sooner where it is asked for more often.
const AGAIN_MS: i64 = 300_000;
/// Calendars asked for at a time.
const AT_ONCE_MAX: usize = 8;
/// Changes that an event holds, and events without a person that its sentence names.
const CHANGES_KEPT_MAX: usize = 100;
const UNNAMED_TOLD_MAX: usize = 2;

/// Asks for calendars until `stop` is cancelled.
pub async fn run(app: App, stop: CancellationToken) {
    loop {
        let looked = tokio::select! {
            () = stop.cancelled() => return,
            looked = app.calendars_tick() => looked,
        };
        if let Err(fault) = looked {
            tracing::warn!(%fault, "calendars could not be looked at; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.oncall.following.wake.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

impl App {
    /// Looks for calendars at once, as after an address was set.
    pub(in crate::oncall) fn wake_calendars(&self) {
        self.oncall.following.wake.notify_one();
    }

    /// Asks for the calendars that are due, and waits for the answers. The loop calls it; tests do after moving the clock.
    pub async fn calendars_tick(&self) -> Result<(), Fault> {
        let following = &self.oncall.following;
        let Ok(_one) = following.working.try_lock() else { return Ok(()) };
        let Some(client) = following.client.get().cloned() else { return Ok(()) };
        if self.alerting_lease().await?.is_none() {
            return Ok(());
        }
        let (now, all) = (self.now(), !following.begun.load(Ordering::Relaxed));
        let due = self
            .read(move |tx| {
                let mut rows = store::followed(tx)?;
                rows.retain(|row| all || row.due_at <= now);
                Ok(rows)
            })
            .await?;
        following.begun.store(true, Ordering::Relaxed);
        let mut wrong = None;
        let mut asked: JoinSet<Result<(), Fault>> = JoinSet::new();
        for row in due {
            if asked.len() >= AT_ONCE_MAX {
                wrong = asked.join_next().await.and_then(failed).or(wrong);
            }
            let (app, client) = (self.clone(), client.clone());
            asked.spawn(async move { app.calendar_look(client, row).await });
        }
        while let Some(done) = asked.join_next().await {
            wrong = failed(done).or(wrong);
        }
        wrong.map_or(Ok(()), Err)
    }

    async fn calendar_look(&self, client: Arc<dyn CalendarClient>, row: CalendarRow) -> Result<(), Fault> {
        let (now, name) = (self.now(), row.schedule.clone());
        let read = self
            .read(move |tx| {
                let zone = zone_followed(tx, &name, now)?;
                Ok((zone, everybody(tx)?, store::body(tx, &name)?))
            })
            .await?;
        let (Some(zone), people, kept) = read else {
            // The last plan that followed it is over.
            let row = row.schedule;
            return self.housekeeping(move |t| Ok(store::unfollow(t.tx(), &row)?)).await;
        };
        let known = CalendarKnown { etag: row.etag.clone(), last_modified: row.last_modified.clone() };
        let answer = client.ask(&row.url, &known).await;
        let now = self.now();
        // A megabyte of events takes a moment; neither the loop nor whoever writes shall wait for it.
        let look = tokio::task::spawn_blocking(move || Look::of(answer, &kept, &people, &zone, now))
            .await
            .map_err(|e| Fault::internal(e.to_string()))?;
        // Asking may have taken longer than the lease lasts.
        let Some(lease) = self.alerting_lease().await? else { return Ok(()) };
        self.housekeeping(move |t| {
            lease.check(t)?;
            keep(t, &row, &look)
        })
        .await
    }

    /// What stands at an address, read once, for a plan that is not saved.
    pub(in crate::oncall) async fn calendar_once(&self, url: &str, zone: &str) -> Result<Reading, Fault> {
        let client = self.oncall.following.client.get().cloned();
        let client = client.ok_or_else(|| Fault::unavailable("this server does not ask for calendars"))?;
        let zone = zone_of(zone)?;
        let unread = |why: String| {
            Fault::invalid(format!("the calendar at {} cannot be read: {why}", host(url)))
                .advice("try the address in a browser that nobody has signed in with")
        };
        let look = client.ask(url, &CalendarKnown::default()).await;
        let (people, now) = (self.read(everybody).await?, self.now());
        let look = tokio::task::spawn_blocking(move || Look::of(look, "", &people, &zone, now))
            .await
            .map_err(|e| Fault::internal(e.to_string()))?;
        look.reading.ok_or_else(|| unread(look.failure.unwrap_or_default()))
    }
}

fn failed(done: Result<Result<(), Fault>, JoinError>) -> Option<Fault> {
    done.unwrap_or_else(|e| Err(Fault::internal(e.to_string()))).err()
}

fn zone_of(name: &str) -> Result<TimeZone, Fault> {
    TimeZone::get(name).map_err(|e| Fault::invalid(e.to_string()))
}

/// The zone of a schedule that follows a calendar now or will; `None` where it does not any more.
fn zone_followed(tx: &mut dyn Tx, name: &str, now: Timestamp) -> Result<Option<TimeZone>, Fault> {
    let Some(of) = schedule(tx, name, now)?.filter(|of| of.follows_from(now)) else { return Ok(None) };
    let plan = of.version_at(now).or_else(|| of.newest()).map_or("UTC", |version| version.plan.timezone.as_str());
    zone_of(plan).map(Some)
}

/// Writes what came of asking, and records what of it is news.
fn keep(t: &mut Txn<'_>, asked: &CalendarRow, look: &Look) -> Result<(), Fault> {
    let now = t.now();
    // It may be followed no more by now, or another one.
    let found = store::get(t.tx(), &asked.schedule)?.filter(|row| row.url == asked.url);
    let Some(mut row) = found else { return Ok(()) };
    let (name, host) = (row.schedule.clone(), host(&row.url));
    let changed = match &look.reading {
        Some(reading) => lay_out(t, &mut row, reading, look.failure.is_none(), now)?,
        None => None,
    };
    let draft = |kind: &str, severity: Severity, text: String| {
        EventDraft::new(Actor::system(), Source::System, kind, text).severity(severity)
    };
    let mut drafts = Vec::new();
    if let Some(why) = &look.failure {
        row.due_at = now.plus_ms(row.refresh_ms.min(AGAIN_MS));
        row.failure.clone_from(why);
        if row.failing_since.is_none() {
            row.failing_since = Some(now);
            let known = shifts(t.tx(), Some(&name), now)?;
            let holds = known.get(&name).is_some_and(|shifts| !shifts.is_empty());
            let holds = if holds { "what it said last holds" } else { "nobody is on call by it" };
            let text = format!("the calendar of {name} at {host} cannot be read: {why}; {holds}");
            let event = draft("schedule.calendar_failing", Severity::Warning, text);
            drafts.push(event.data(json!({"schedule": name, "host": host, "why": why})));
        }
    } else {
        row.due_at = now.plus_ms(row.refresh_ms);
        row.read_at = Some(now);
        row.failure.clear();
        if let Some(since) = row.failing_since.take() {
            let seconds = now.since_ms(since).max(0) / 1_000;
            let after = format_duration_ms(seconds * 1_000);
            let text = format!("the calendar of {name} at {host} is read again after {after}");
            let event = draft("schedule.calendar_recovered", Severity::Good, text);
            drafts.push(event.data(json!({"schedule": name, "host": host, "since": since})));
        }
    }
    if let Some(known) = &look.known {
        row.etag.clone_from(&known.etag);
        row.last_modified.clone_from(&known.last_modified);
    }
    if let Some(ics) = &look.ics {
        store::set_body(t.tx(), &name, ics)?;
    }
    store::update(t.tx(), &row)?;
    for event in drafts.into_iter().chain(changed) {
        t.record(event)?;
    }
    Ok(())
}

/// Lays the shifts out from now on. The event when others are on call than before, or somebody is named who is not known.
fn lay_out(
    t: &mut Txn<'_>,
    row: &mut CalendarRow,
    reading: &Reading,
    is_good: bool,
    now: Timestamp,
) -> Result<Option<EventDraft>, Fault> {
    let name = row.schedule.clone();
    let json: Option<String> = store::shifts(t.tx(), Some(&name))?.into_iter().next().map(|(_, json)| json);
    let before: Vec<FixedShift> = json.map_or_else(|| Ok(Vec::new()), |json| list(&name, &json))?;
    let after = merged_shifts(&before, &reading.shifts, now);
    let is_first = row.read_at.is_none() && is_good;
    // What comes into sight as time goes on is no news.
    let to = if is_first { reading.until } else { row.until_at.min(reading.until) };
    let changes = shift_changes(&before, &after, now, to);
    let known: Vec<Unnamed> = list(&name, &row.unnamed)?;
    let unknown: Vec<&Unnamed> =
        reading.unnamed.iter().filter(|new| !known.iter().any(|old| old.is_same(new))).collect();
    if after != before {
        store::set_shifts(t.tx(), &name, &to_json(&after)?)?;
    }
    row.unnamed = to_json(&reading.unnamed)?;
    row.until_at = reading.until;
    if changes.is_empty() && unknown.is_empty() && !is_first {
        return Ok(None);
    }
    let host = host(&row.url);
    let coming = after.iter().filter(|shift| shift.end > now).count();
    let mut text = if is_first {
        format!("{name} follows the calendar at {host}: {coming} shifts until {}", minute(reading.until))
    } else if let Some(first) = changes.first() {
        let more = match changes.len() - 1 {
            0 => String::new(),
            more => format!("; and {more} more changes"),
        };
        format!("the calendar of {name} changes who is on call: {}{more}", change_words(first))
    } else {
        format!("the calendar of {name} names somebody who is not known")
    };
    for event in unknown.iter().take(UNNAMED_TOLD_MAX) {
        text.push_str("; an event ");
        text.push_str(&event.sentence());
    }
    let nobody = if is_first { coming == 0 } else { changes.iter().any(|change| change.after.is_empty()) };
    let severity = if nobody || !unknown.is_empty() { Severity::Warning } else { Severity::Info };
    let kept: Vec<&ShiftChange> = changes.iter().take(CHANGES_KEPT_MAX).collect();
    let unnamed: Vec<String> = unknown.iter().map(|event| event.sentence()).collect();
    let data = json!({
        "schedule": name, "host": host, "until": reading.until, "shifts": coming, "changes": kept, "unnamed": unnamed,
    });
    let event = EventDraft::new(Actor::system(), Source::System, "schedule.calendar_changed", text);
    Ok(Some(event.severity(severity).data(data)))
}

/// "raj instead of ana from … to …".
fn change_words(change: &ShiftChange) -> String {
    let who = |people: &[String]| if people.is_empty() { "nobody".to_owned() } else { people.join(" and ") };
    let (after, before) = (who(&change.after), who(&change.before));
    format!("{after} instead of {before} from {} to {}", minute(change.since), minute(change.until))
}
