//! Overrides: covering, adding, removing, temporary schedules, taking a shift.

use serde::Deserialize;
use serde_json::json;
use tenfold_oncall::{FixedShift, OVERRIDES_MAX, Override, OverrideKind};
use tenfold_store::{counters, oncall as store};
use tenfold_types::{ActorKind, EventDraft, Fault, Severity, Timestamp};

use super::{
    no_schedule,
    rest::shortened,
    schedules::{check_known, check_people, minute, to_json},
    views::{OverrideView, override_view},
};
use crate::{App, Caller, Role, Txn};

/// How long `take` holds when nobody says.
pub const TAKE_MS_DEFAULT: i64 = 2 * 3_600_000;
/// The longest override.
pub(super) const OVERRIDE_MS_MAX: i64 = 90 * 86_400_000;

#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOverride {
    /// `replace` (the default), `add`, `remove` or `temporary`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub kind: OverrideKind,
    /// Who is on call, or is not; left out for a temporary schedule.
    #[serde(default)]
    pub person: String,
    /// With `replace`: whom they stand in for; everybody when absent.
    #[serde(default)]
    pub replaces: Option<String>,
    /// Of a temporary schedule: who has which hours, each with `person`, `start` and `end`.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub shifts: Vec<FixedShift>,
    #[schema(value_type = String)]
    pub start: Timestamp,
    #[schema(value_type = String)]
    pub end: Timestamp,
}

impl NewOverride {
    /// `person` instead of `replaces`, or of everybody.
    pub fn cover(person: &str, replaces: Option<&str>, start: Timestamp, end: Timestamp) -> Self {
        Self {
            kind: OverrideKind::Replace,
            person: person.to_owned(),
            replaces: replaces.map(str::to_owned),
            shifts: Vec::new(),
            start,
            end,
        }
    }
}

pub(super) fn stored(body: &str) -> Result<Override, Fault> {
    serde_json::from_str(body).map_err(|e| Fault::internal(format!("an override cannot be read: {e}")))
}

impl App {
    /// Changes who is on call for a time, whoever the layers say. What begins in the past begins now.
    pub async fn override_create(&self, who: &Caller, schedule: &str, new: NewOverride) -> Result<OverrideView, Fault> {
        who.require(Role::Responder, None, None)?;
        let (who, schedule) = (who.clone(), schedule.to_owned());
        self.transact(move |t| {
            let mut made = insert(t, &who, &schedule, &new)?;
            let now = t.now();
            made.short_rests = shortened(t.tx(), &schedule, std::slice::from_ref(&made), now)?;
            Ok(made)
        })
        .await
    }

    /// The caller takes over a schedule for a while, from now on or from `start` on.
    pub async fn take(
        &self,
        who: &Caller,
        schedule: &str,
        for_ms: Option<i64>,
        start: Option<Timestamp>,
    ) -> Result<OverrideView, Fault> {
        if who.actor.kind != ActorKind::Person {
            return Err(Fault::invalid(format!("{} is not a person and cannot be on call", who.name)));
        }
        let start = start.unwrap_or_else(|| self.now());
        let end = start.plus_ms(for_ms.unwrap_or(TAKE_MS_DEFAULT));
        self.override_create(who, schedule, NewOverride::cover(&who.actor.id, None, start, end)).await
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
            let taken_back = stored(&row.body)?;
            let of = if taken_back.person.is_empty() { "a temporary schedule" } else { &taken_back.person };
            let text = format!("{} took back the override of {schedule} by {of}", who.name);
            t.record(
                EventDraft::new(who.actor.clone(), who.source, "override.removed", text)
                    .data(json!({"schedule": schedule, "override": taken_back})),
            )?;
            Ok(())
        })
        .await
    }
}

/// Writes an override and records it.
pub(super) fn insert(t: &mut Txn<'_>, who: &Caller, schedule: &str, new: &NewOverride) -> Result<OverrideView, Fault> {
    let now = t.now();
    if store::schedule_get(t.tx(), schedule)?.is_none() {
        return Err(no_schedule(schedule));
    }
    let made = Override {
        id: 0,
        kind: new.kind,
        person: new.person.clone(),
        replaces: new.replaces.clone(),
        shifts: new.shifts.clone(),
        start: new.start.max(now),
        end: new.end,
        by: who.actor.id.clone(),
    };
    if new.end <= now || new.end.since_ms(new.start) > OVERRIDE_MS_MAX {
        return Err(Fault::invalid(format!(
            "an override ends in the future and at most {} days after its start",
            OVERRIDE_MS_MAX / 86_400_000
        )));
    }
    // A temporary schedule that began before now keeps its shifts as they were given; those before now do not matter.
    Override { start: new.start, ..made.clone() }.check().map_err(Fault::invalid)?;
    let gone = if made.kind == OverrideKind::Remove { Some(&made.person) } else { made.replaces.as_ref() };
    gone.map_or(Ok(()), |login| check_known(t.tx(), login))?;
    check_people(t.tx(), made.people().filter(|login| gone != Some(*login)))?;
    if store::overrides(t.tx(), now)?.iter().filter(|o| o.schedule == schedule).count() >= OVERRIDES_MAX {
        return Err(Fault::invalid(format!("a schedule has at most {OVERRIDES_MAX} overrides"))
            .advice("remove some that are still to come"));
    }
    let made = Override { id: counters::next(t.tx(), "override")?, ..made };
    let (id, body) = (made.id, to_json(&made)?);
    store::override_insert(t.tx(), &store::OverrideRow { id, schedule: schedule.to_owned(), end_at: made.end, body })?;
    t.record(
        EventDraft::new(who.actor.clone(), who.source, "override.created", sentence(who, schedule, &made))
            .severity(Severity::Info)
            .data(json!({"schedule": schedule, "override": made, "person": made.person})),
    )?;
    Ok(override_view(&made))
}

fn sentence(who: &Caller, schedule: &str, made: &Override) -> String {
    let (by, person) = (&who.name, &made.person);
    let when = format!("from {} to {}", minute(made.start), minute(made.end));
    match (made.kind, &made.replaces) {
        (OverrideKind::Replace, None) if who.actor.id == *person => format!("{by} takes {schedule} {when}"),
        (OverrideKind::Replace, None) => format!("{by} puts {person} on call in {schedule} {when}"),
        (OverrideKind::Replace, Some(other)) => {
            format!("{by} puts {person} on call instead of {other} in {schedule} {when}")
        }
        (OverrideKind::Add, _) => format!("{by} adds {person} to {schedule} {when}"),
        (OverrideKind::Remove, _) => format!("{by} takes {person} off {schedule} {when}"),
        (OverrideKind::Temporary, _) => format!("{by} gives {schedule} a temporary schedule {when}"),
    }
}
