//! Schedules: making, changing, reading. A change is a new version from an instant on.

use std::collections::BTreeMap;

use jiff::civil::Time;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tenfold_oncall::{Basis, Layer, Plan, Restriction, Schedule, Span, Unit};
use tenfold_store::{Tx, oncall as store, people, schedule_calendars::CalendarRow};
use tenfold_types::{EventDraft, Fault, Timestamp};

use super::{
    followed::{self, Address},
    no_schedule, schedules,
    views::{LayerView, OnCallPerson, OnCallView, ScheduleView, VersionView, override_view},
};
use crate::{
    App, Caller, Role,
    people::{Person, check_name},
};

const PREVIEW_MS: i64 = 14 * 86_400_000;
const SCHEDULES_MAX: usize = 500;
const VERSIONS_MAX: usize = 1_000;
/// How far ahead a version may begin.
const AHEAD_MS_MAX: i64 = 366 * 86_400_000;

/// What is said when a schedule is made or changed: `timezone` with either `rotation` or `layers`, and if wanted
/// `fallback`, `shadows`, `min_rest_hours`, `enforce_rest`, `holidays`, `handoff`. A `calendar` with its `url` is followed; with it
/// there may be no layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct ScheduleUpdate(pub Plan);

pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|e| Fault::internal(e.to_string()))
}

/// Refuses names without an account, so that nobody is on call who cannot be paged.
pub(super) fn check_people<'a>(tx: &mut dyn Tx, logins: impl Iterator<Item = &'a String>) -> Result<(), Fault> {
    for login in logins {
        let known = people::person_get(tx, login)?.is_some_and(|p| p.disabled_at.is_none());
        if !known {
            return Err(no_person(login));
        }
    }
    Ok(())
}

/// Refuses a name that nobody ever had: whoever is gone may still be taken off.
pub(super) fn check_known(tx: &mut dyn Tx, login: &str) -> Result<(), Fault> {
    if people::person_get(tx, login)?.is_some() { Ok(()) } else { Err(no_person(login)) }
}

fn no_person(login: &str) -> Fault {
    Fault::not_found(format!("there is no person `{login}`"))
        .advice("people are made on the Settings page or in a file under people/")
}

pub(super) fn profiles(tx: &mut dyn Tx) -> Result<BTreeMap<String, OnCallPerson>, Fault> {
    let mut out = BTreeMap::new();
    for row in people::people(tx)? {
        let person: Person = serde_json::from_str(&row.body)
            .map_err(|e| Fault::internal(format!("the profile of `{}` cannot be read: {e}", row.login)))?;
        out.insert(row.login, OnCallPerson { login: person.login, name: person.name, kind: person.kind });
    }
    Ok(out)
}

pub(super) fn span_on_call(schedule: &str, span: &Span, people: &BTreeMap<String, OnCallPerson>) -> OnCallView {
    let known = |logins: &[String]| logins.iter().filter_map(|p| people.get(p).cloned()).collect::<Vec<_>>();
    let also = span.people.get(1..).unwrap_or_default();
    OnCallView {
        schedule: schedule.to_owned(),
        person: span.people.first().and_then(|p| people.get(p).cloned()),
        also: known(also),
        shadows: known(&span.shadows),
        since: span.since,
        until: span.until,
        layer: span.layer.clone().filter(|_| span.overrides.is_empty() && !span.fallback),
        override_id: span.overrides.last().copied(),
        fallback: span.fallback,
        secondary: span.secondary.as_ref().and_then(|p| people.get(p).cloned()),
    }
}

fn schedule_view(
    schedule: &Schedule,
    now: Timestamp,
    people: &BTreeMap<String, OnCallPerson>,
    calendar: Option<&CalendarRow>,
) -> Result<ScheduleView, Fault> {
    let newest = schedule.newest().ok_or_else(|| Fault::internal("a schedule without a version"))?;
    let plan = &newest.plan;
    let view = |span: &Span| span_on_call(&schedule.name, span, people);
    Ok(ScheduleView {
        name: schedule.name.clone(),
        timezone: plan.timezone.clone(),
        layers: plan.layers.iter().map(|l| layer_view(plan, l)).collect(),
        people: schedule.people_of(newest).into_iter().map(str::to_owned).collect(),
        version: newest.number,
        begins_at: Some(newest.from).filter(|from| *from > now),
        plan: plan.clone(),
        overrides: schedule.overrides.iter().filter(|o| o.end > now).map(override_view).collect(),
        on_call: Some(view(&schedule.span_at(now))),
        next: schedule.spans(now, now.plus_ms(PREVIEW_MS)).iter().map(view).collect(),
        calendar: followed::view(schedule, calendar, now)?,
    })
}

fn layer_view(plan: &Plan, layer: &Layer) -> LayerView {
    let timezone = layer.timezone.clone().unwrap_or_else(|| plan.timezone.clone());
    LayerView {
        name: layer.name.clone(),
        people: layer.rotation.people.clone(),
        start: layer.rotation.start.to_string(),
        shift_length: layer.rotation.shift_length.to_string(),
        handoff: handoff_words(layer, &timezone),
        restrictions: layer.restrictions.iter().map(restriction_words).collect(),
        timezone,
    }
}

/// "every week on Monday at 09:00 Europe/Berlin".
fn handoff_words(layer: &Layer, zone: &str) -> String {
    let (start, length) = (layer.rotation.start, layer.rotation.shift_length);
    let every = |unit: &str| match length.count {
        1 => format!("every {unit}"),
        n => format!("every {n} {unit}s"),
    };
    let clock = start.strftime("%H:%M");
    match length.unit {
        Unit::Hour if layer.rotation.basis == Basis::Elapsed => {
            format!("{} as they pass, from {clock} {zone}", every("hour"))
        }
        Unit::Hour => format!("{} from {clock} {zone}", every("hour")),
        Unit::Day => format!("{} at {clock} {zone}", every("day")),
        Unit::Week => format!("{} on {} at {clock} {zone}", every("week"), start.strftime("%A")),
        Unit::Month => format!("{} on day {} at {clock} {zone}", every("month"), start.day()),
    }
}

/// "mon, tue 09:00 to 17:00".
fn restriction_words(r: &Restriction) -> String {
    let clock = |t: Time| t.strftime("%H:%M").to_string();
    let days: Vec<String> = r.days.iter().map(|d| format!("{d:?}").to_lowercase()).collect();
    let days = if days.is_empty() { "every day".to_owned() } else { days.join(", ") };
    format!("{days} {} to {}", clock(r.from), clock(r.to))
}

impl App {
    pub async fn schedules(&self) -> Result<Vec<ScheduleView>, Fault> {
        let now = self.now();
        self.read(move |tx| {
            let (people, calendars) = (profiles(tx)?, followed::rows(tx)?);
            let all = schedules(tx, now)?;
            all.iter().map(|s| schedule_view(s, now, &people, calendars.get(&s.name))).collect()
        })
        .await
    }

    pub async fn schedule(&self, name: &str) -> Result<ScheduleView, Fault> {
        let (now, name) = (self.now(), name.to_owned());
        self.read(move |tx| {
            let (people, calendars) = (profiles(tx)?, followed::rows(tx)?);
            let found = super::schedule(tx, &name, now)?.ok_or_else(|| no_schedule(&name))?;
            schedule_view(&found, now, &people, calendars.get(&name))
        })
        .await
    }

    /// Who is on call in each schedule at this moment.
    pub async fn on_call_now(&self) -> Result<Vec<OnCallView>, Fault> {
        let now = self.now();
        self.read(move |tx| {
            let people = profiles(tx)?;
            Ok(schedules(tx, now)?.iter().map(|s| span_on_call(&s.name, &s.span_at(now), &people)).collect())
        })
        .await
    }

    /// What the schedule was, from when on, and who made it so; the newest last.
    pub async fn schedule_versions(&self, name: &str) -> Result<Vec<VersionView>, Fault> {
        let name = name.to_owned();
        self.read(move |tx| {
            if store::schedule_get(tx, &name)?.is_none() {
                return Err(no_schedule(&name));
            }
            store::versions(tx, Some(&name))?
                .into_iter()
                .map(|row| {
                    let plan = serde_json::from_str(&row.body)
                        .map_err(|e| Fault::internal(format!("a version of {name} cannot be read: {e}")))?;
                    // The version from before versions were kept always held.
                    let from = row.from_at.max(Timestamp(0));
                    Ok(VersionView { number: row.number, from, made_at: row.made_at, made_by: row.made_by, plan })
                })
                .collect()
        })
        .await
    }

    /// Makes a schedule, or changes it from now on. Writing what is there already changes nothing.
    pub async fn schedule_put(&self, who: &Caller, name: &str, update: ScheduleUpdate) -> Result<ScheduleView, Fault> {
        self.schedule_put_from(who, name, update, None).await
    }

    /// Makes or changes a schedule from an instant on that is not in the past; what was before stays.
    pub async fn schedule_put_from(
        &self,
        who: &Caller,
        name: &str,
        update: ScheduleUpdate,
        from: Option<Timestamp>,
    ) -> Result<ScheduleView, Fault> {
        who.require(Role::Deployer, None, None)?;
        check_name("schedule", name)?;
        update.0.check().map_err(Fault::invalid)?;
        let (who, key) = (who.clone(), name.to_owned());
        self.transact(move |t| {
            let now = t.now();
            let begins = from.unwrap_or(now);
            if begins < now || begins.since_ms(now) > AHEAD_MS_MAX {
                return Err(Fault::invalid(format!(
                    "a version begins between now and a year from now, not at {begins}"
                ))
                .advice("the past of a schedule does not change; leave `from` out for now"));
            }
            let mut logins: Vec<String> = update.0.people().into_iter().map(str::to_owned).collect();
            logins.extend(update.0.handoff.channel.clone());
            check_people(t.tx(), logins.iter())?;
            let address = Address::of(t.tx(), &key, &update.0)?;
            // Plans are read by everybody, and stay in the record.
            let kept = ScheduleUpdate(update.0.hidden());
            let body = to_json(&kept)?;
            let before = store::schedule_get(t.tx(), &key)?;
            let same = before.as_deref() == Some(&body) && address != Address::New;
            if same && from.is_none() && newest_has_begun(t.tx(), &key, now)? {
                return Ok(());
            }
            if before.is_none() && store::schedules(t.tx())?.len() >= SCHEDULES_MAX {
                return Err(Fault::invalid(format!("there are at most {SCHEDULES_MAX} schedules")));
            }
            let number = next_version(t.tx(), &key, before.as_deref(), now)?;
            let row = store::VersionRow {
                schedule: key.clone(),
                number,
                from_at: begins,
                made_at: now,
                made_by: who.actor.id.clone(),
                body: body.clone(),
            };
            store::version_insert(t.tx(), &row)?;
            store::schedule_put(t.tx(), &key, &body)?;
            followed::follow(t, &key, &update.0, address, begins)?;
            let verb = if before.is_some() { "changed" } else { "added" };
            let later = from.map_or_else(String::new, |from| format!(" from {} on", minute(from)));
            let text = format!("{} {verb} the schedule {key}{later}", who.name);
            let before = before.and_then(|b| serde_json::from_str::<serde_json::Value>(&b).ok());
            t.record(
                EventDraft::new(who.actor.clone(), who.source, "schedule.changed", text)
                    .data(json!({"schedule": key, "version": number, "from": begins, "before": before, "after": kept})),
            )?;
            Ok(())
        })
        .await?;
        self.wake_calendars();
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
            // Another schedule that gets the name later has an address of its own.
            store::feed_delete(t.tx(), &super::calendars::schedule_feed_key(&key))?;
            let text = format!("{} removed the schedule {key}", who.name);
            t.record(
                EventDraft::new(who.actor.clone(), who.source, "schedule.changed", text)
                    .data(json!({"schedule": key, "after": null})),
            )?;
            Ok(())
        })
        .await
    }
}

/// The number of the version to be made. A schedule from before versions were kept gets what it was as the first.
/// The plan made last may be one that is yet to begin; who puts it again without a time wants it now.
fn newest_has_begun(tx: &mut dyn Tx, name: &str, now: Timestamp) -> Result<bool, Fault> {
    Ok(store::versions(tx, Some(name))?.last().is_none_or(|newest| newest.from_at <= now))
}

fn next_version(tx: &mut dyn Tx, name: &str, before: Option<&str>, now: Timestamp) -> Result<i64, Fault> {
    let versions = store::versions(tx, Some(name))?;
    if versions.len() >= VERSIONS_MAX {
        return Err(Fault::invalid(format!("a schedule has at most {VERSIONS_MAX} versions"))
            .advice("make a new schedule and let the policies page that one"));
    }
    match (versions.last(), before) {
        (Some(last), _) => Ok(last.number + 1),
        (None, None) => Ok(1),
        (None, Some(body)) => {
            let row = store::VersionRow {
                schedule: name.to_owned(),
                number: 1,
                from_at: Timestamp(i64::MIN),
                made_at: now,
                made_by: "system".to_owned(),
                body: body.to_owned(),
            };
            store::version_insert(tx, &row)?;
            Ok(2)
        }
    }
}

/// `2026-11-23 09:00 UTC`.
pub(super) fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{} UTC", text.get(..16).unwrap_or(&text).replacen('T', " ", 1))
}
