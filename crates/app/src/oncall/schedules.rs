//! Schedules and overrides: making, changing, taking a shift.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tenfold_oncall::{OVERRIDES_MAX, Override, Rotation, Schedule, Shift, Unit};
use tenfold_store::{Tx, counters, oncall as store, people};
use tenfold_types::{ActorKind, EventDraft, Fault, Severity, Timestamp};

use super::{
    schedules,
    views::{OnCallPerson, OnCallView, OverrideView, RotationView, ScheduleView},
};
use crate::{
    App, Caller, Role, Txn,
    people::{Person, check_name},
};

/// How long `take` holds when nobody says.
pub const TAKE_MS_DEFAULT: i64 = 2 * 3_600_000;
/// The longest override.
const OVERRIDE_MS_MAX: i64 = 90 * 86_400_000;
const PREVIEW_MS: i64 = 14 * 86_400_000;
const SCHEDULES_MAX: usize = 500;

/// What is said when a schedule is made or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleUpdate {
    /// IANA name; handoffs are at this zone's clock times.
    pub timezone: String,
    #[schema(value_type = Object)]
    pub rotation: Rotation,
}

#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOverride {
    pub person: String,
    #[schema(value_type = String)]
    pub start: Timestamp,
    #[schema(value_type = String)]
    pub end: Timestamp,
}

impl ScheduleUpdate {
    pub(super) fn with_overrides(self, name: &str, overrides: Vec<Override>) -> Result<Schedule, Fault> {
        Schedule::new(name, &self.timezone, self.rotation, overrides).map_err(Fault::invalid)
    }
}

pub(super) fn stored(name: &str, body: &str) -> Result<ScheduleUpdate, Fault> {
    serde_json::from_str(body).map_err(|e| Fault::internal(format!("the schedule {name} cannot be read: {e}")))
}

pub(super) fn stored_override(body: &str) -> Result<Override, Fault> {
    serde_json::from_str(body).map_err(|e| Fault::internal(format!("an override cannot be read: {e}")))
}

pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|e| Fault::internal(e.to_string()))
}

fn no_schedule(name: &str) -> Fault {
    Fault::not_found(format!("there is no schedule `{name}`")).advice("the On-call page lists the schedules")
}

/// Refuses names without an account, so that nobody is on call who cannot be paged.
pub(super) fn check_people<'a>(tx: &mut dyn Tx, logins: impl Iterator<Item = &'a String>) -> Result<(), Fault> {
    for login in logins {
        let known = people::person_get(tx, login)?.is_some_and(|p| p.disabled_at.is_none());
        if !known {
            return Err(Fault::not_found(format!("there is no person `{login}`"))
                .advice("people are made on the Settings page or in a file under people/"));
        }
    }
    Ok(())
}

fn profiles(tx: &mut dyn Tx) -> Result<BTreeMap<String, OnCallPerson>, Fault> {
    let mut out = BTreeMap::new();
    for row in people::people(tx)? {
        let person: Person = serde_json::from_str(&row.body)
            .map_err(|e| Fault::internal(format!("the profile of `{}` cannot be read: {e}", row.login)))?;
        out.insert(row.login, OnCallPerson { login: person.login, name: person.name, kind: person.kind });
    }
    Ok(out)
}

fn shift_view(schedule: &str, shift: Shift, people: &BTreeMap<String, OnCallPerson>) -> OnCallView {
    OnCallView {
        schedule: schedule.to_owned(),
        person: people.get(&shift.person).cloned(),
        since: shift.since,
        until: shift.until,
        override_id: shift.override_id,
        secondary: shift.secondary.and_then(|p| people.get(&p).cloned()),
    }
}

fn schedule_view(schedule: &Schedule, now: Timestamp, people: &BTreeMap<String, OnCallPerson>) -> ScheduleView {
    let rotation = &schedule.rotation;
    let view = |shift| shift_view(&schedule.name, shift, people);
    ScheduleView {
        name: schedule.name.clone(),
        timezone: zone_name(&schedule.zone),
        rotation: RotationView {
            people: rotation.people.clone(),
            start: rotation.start.to_string(),
            shift_length: rotation.shift_length.to_string(),
            handoff: handoff_words(schedule),
        },
        overrides: schedule.overrides.iter().map(override_view).collect(),
        on_call: schedule.who_is_on_call(now).map(view),
        next: schedule.preview(now, now.plus_ms(PREVIEW_MS)).into_iter().map(view).collect(),
    }
}

fn zone_name(zone: &TimeZone) -> String {
    zone.iana_name().unwrap_or("UTC").to_owned()
}

fn override_view(o: &Override) -> OverrideView {
    OverrideView { id: o.id, person: o.person.clone(), start: o.start, end: o.end, by: o.by.clone() }
}

/// "every week on Monday at 09:00 Europe/Berlin".
fn handoff_words(schedule: &Schedule) -> String {
    let (start, length) = (schedule.rotation.start, schedule.rotation.shift_length);
    let every = |unit: &str| match length.count {
        1 => format!("every {unit}"),
        n => format!("every {n} {unit}s"),
    };
    let (clock, zone) = (start.strftime("%H:%M"), zone_name(&schedule.zone));
    match length.unit {
        Unit::Hour => format!("{} from {clock} {zone}", every("hour")),
        Unit::Day => format!("{} at {clock} {zone}", every("day")),
        Unit::Week => format!("{} on {} at {clock} {zone}", every("week"), start.strftime("%A")),
        Unit::Month => format!("{} on day {} at {clock} {zone}", every("month"), start.day()),
    }
}

impl App {
    pub async fn schedules(&self) -> Result<Vec<ScheduleView>, Fault> {
        let now = self.now();
        self.read(move |tx| {
            let people = profiles(tx)?;
            Ok(schedules(tx, now)?.iter().map(|s| schedule_view(s, now, &people)).collect())
        })
        .await
    }

    pub async fn schedule(&self, name: &str) -> Result<ScheduleView, Fault> {
        self.schedules().await?.into_iter().find(|s| s.name == name).ok_or_else(|| no_schedule(name))
    }

    /// Who is on call in each schedule at this moment.
    pub async fn on_call_now(&self) -> Result<Vec<OnCallView>, Fault> {
        let now = self.now();
        self.read(move |tx| {
            let people = profiles(tx)?;
            let schedules = schedules(tx, now)?;
            let shifts = schedules.iter().filter_map(|s| s.who_is_on_call(now).map(|shift| (s, shift)));
            Ok(shifts.map(|(s, shift)| shift_view(&s.name, shift, &people)).collect())
        })
        .await
    }

    /// Makes or changes a schedule. Writing what is there already changes nothing.
    pub async fn schedule_put(&self, who: &Caller, name: &str, update: ScheduleUpdate) -> Result<ScheduleView, Fault> {
        who.require(Role::Deployer, None, None)?;
        check_name("schedule", name)?;
        update.clone().with_overrides(name, Vec::new())?;
        let (who, key) = (who.clone(), name.to_owned());
        self.transact(move |t| {
            check_people(t.tx(), update.rotation.people.iter())?;
            let body = to_json(&update)?;
            let before = store::schedule_get(t.tx(), &key)?;
            if before.as_deref() == Some(&body) {
                return Ok(());
            }
            if before.is_none() && store::schedules(t.tx())?.len() >= SCHEDULES_MAX {
                return Err(Fault::invalid(format!("there are at most {SCHEDULES_MAX} schedules")));
            }
            store::schedule_put(t.tx(), &key, &body)?;
            let verb = if before.is_some() { "changed" } else { "added" };
            let text = format!("{} {verb} the schedule {key}", who.name);
            let before = before.and_then(|b| serde_json::from_str::<serde_json::Value>(&b).ok());
            t.record(
                EventDraft::new(who.actor.clone(), who.source, "schedule.changed", text)
                    .data(json!({"schedule": key, "before": before, "after": update})),
            )?;
            Ok(())
        })
        .await?;
        self.schedule(name).await
    }

    pub async fn schedule_delete(&self, who: &Caller, name: &str) -> Result<(), Fault> {
        who.require(Role::Deployer, None, None)?;
        let (who, key) = (who.clone(), name.to_owned());
        self.transact(move |t| {
            for (policy, body) in store::policies(t.tx())? {
                if super::policies::names_schedule(&policy, &body, &key)? {
                    return Err(Fault::conflict(format!("the policy {policy} pages the schedule {key}"))
                        .advice("change the policy first"));
                }
            }
            if !store::schedule_delete(t.tx(), &key)? {
                return Err(no_schedule(&key));
            }
            let text = format!("{} removed the schedule {key}", who.name);
            t.record(
                EventDraft::new(who.actor.clone(), who.source, "schedule.changed", text)
                    .data(json!({"schedule": key, "after": null})),
            )?;
            Ok(())
        })
        .await
    }

    /// Puts a person on call for a time, whoever the rotation says.
    pub async fn override_create(&self, who: &Caller, schedule: &str, new: NewOverride) -> Result<OverrideView, Fault> {
        who.require(Role::Responder, None, None)?;
        let (who, schedule) = (who.clone(), schedule.to_owned());
        self.transact(move |t| {
            let verb = if who.actor.id == new.person { "takes" } else { "hands" };
            insert_override(t, &who, &schedule, &new, verb)
        })
        .await
    }

    /// The caller takes over a schedule from now on for a while.
    pub async fn take(&self, who: &Caller, schedule: &str, for_ms: Option<i64>) -> Result<OverrideView, Fault> {
        if who.actor.kind != ActorKind::Person {
            return Err(Fault::invalid(format!("{} is not a person and cannot be on call", who.name)));
        }
        let now = self.now();
        let end = now.plus_ms(for_ms.unwrap_or(TAKE_MS_DEFAULT));
        self.override_create(who, schedule, NewOverride { person: who.actor.id.clone(), start: now, end }).await
    }

    pub async fn override_delete(&self, who: &Caller, schedule: &str, id: i64) -> Result<(), Fault> {
        who.require(Role::Responder, None, None)?;
        let (who, schedule) = (who.clone(), schedule.to_owned());
        self.transact(move |t| {
            let row = store::override_get(t.tx(), id)?.filter(|o| o.schedule == schedule);
            let Some(row) = row else {
                return Err(Fault::not_found(format!("there is no override {id} of the schedule {schedule}")));
            };
            let now = t.now();
            store::override_remove(t.tx(), id, now)?;
            let taken_back = stored_override(&row.body)?;
            let text = format!("{} took back the override of {schedule} by {}", who.name, taken_back.person);
            t.record(
                EventDraft::new(who.actor.clone(), who.source, "override.removed", text)
                    .data(json!({"schedule": schedule, "override": taken_back})),
            )?;
            Ok(())
        })
        .await
    }
}

fn insert_override(
    t: &mut Txn<'_>,
    who: &Caller,
    schedule: &str,
    new: &NewOverride,
    verb: &str,
) -> Result<OverrideView, Fault> {
    let now = t.now();
    if store::schedule_get(t.tx(), schedule)?.is_none() {
        return Err(no_schedule(schedule));
    }
    check_people(t.tx(), std::iter::once(&new.person))?;
    let length = new.end.since_ms(new.start);
    if length <= 0 || length > OVERRIDE_MS_MAX || new.end <= now {
        return Err(Fault::invalid(format!(
            "an override ends in the future, after its start and at most {OVERRIDE_MS_MAX} ms after it"
        )));
    }
    if store::overrides(t.tx(), now)?.iter().filter(|o| o.schedule == schedule).count() >= OVERRIDES_MAX {
        return Err(Fault::invalid(format!("a schedule has at most {OVERRIDES_MAX} overrides")));
    }
    let id = counters::next(t.tx(), "override")?;
    let made = Override { id, person: new.person.clone(), start: new.start, end: new.end, by: who.actor.id.clone() };
    let body = to_json(&made)?;
    store::override_insert(t.tx(), &store::OverrideRow { id, schedule: schedule.to_owned(), end_at: made.end, body })?;
    let text = if verb == "takes" {
        format!("{} takes {schedule} from {} to {}", who.name, minute(made.start), minute(made.end))
    } else {
        let (person, start, end) = (&made.person, minute(made.start), minute(made.end));
        format!("{} puts {person} on call in {schedule} from {start} to {end}", who.name)
    };
    t.record(
        EventDraft::new(who.actor.clone(), who.source, "override.created", text)
            .severity(Severity::Info)
            .data(json!({"schedule": schedule, "override": made, "person": made.person})),
    )?;
    Ok(override_view(&made))
}

/// `2026-11-23 09:00 UTC`.
fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{} UTC", text.get(..16).unwrap_or(&text).replacen('T', " ", 1))
}
