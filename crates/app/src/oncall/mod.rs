//! On-call: schedules with their overrides, escalation policies, and who is on call.
//!
//! A schedule always answers for an instant that is given; nothing here is computed ahead and kept but the shifts that a
//! followed calendar said last, so an override counts from the moment it is committed. What was is not changed: a plan is a new version, and an override that is taken back
//! still counts until then.

mod calendars;
mod concerns;
mod figures;
mod followed;
mod foreseen;
mod handoffs;
mod import;
mod overrides;
mod policies;
mod preview;
mod readiness;
mod rest;
mod schedules;
mod swaps;
mod teams;
mod unreached;
mod views;

use std::collections::BTreeMap;

use tenfold_oncall::{Answer, Duty, FixedShift, Override, Plan, Schedule, Version};
use tenfold_store::{Tx, oncall as store};
use tenfold_types::{Fault, Timestamp};

use crate::App;

pub use calendars::{CalendarAddress, CalendarImport, CalendarImported};
pub use figures::{DigestView, FairnessAsk, FairnessView, LoadView, SuggestAsk, SuggestionView};
pub use followed::{CalendarAnswer, CalendarClient, CalendarKnown, FollowedView, run};
pub use foreseen::{ForeseenStepView, PolicyPreviewView};
pub use import::{
    ImportDraft, ImportSource, ImportedOverride, ImportedPerson, ImportedPolicy, ImportedSchedule, ImportedSource,
    KnownPerson, OncallImport, OncallImportNote, OncallImported, PersonFound, ScheduleDraft, import_draft,
};
pub use overrides::{NewOverride, TAKE_MS_DEFAULT};
pub use policies::PolicyUpdate;
pub(crate) use policies::policy;
pub use preview::{Draft, PreviewAsk};
pub use readiness::{
    CalendarTrouble, EmptyStep, ReadinessPerson, ReadinessView, ScheduleEnd, TeamTrouble, UnreadyView,
};
pub use schedules::ScheduleUpdate;
pub use swaps::NewSwap;
pub(crate) use teams::teams;
pub use tenfold_oncall::ICS_BYTES_MAX;
pub(crate) use unreached::Leads;
pub use unreached::Unreached;
pub use views::{
    LayerSpansView, LayerView, OnCallPerson, OnCallView, OverrideView, PolicyView, PreviewView, RestView, ScheduleView,
    SpanView, SwapView, VersionView,
};

/// Who is on call is never kept in memory: every answer is read from the store.
#[derive(Default)]
pub struct State {
    following: followed::Following,
}

#[expect(clippy::unused_async, reason = "every part is loaded in the same way")]
pub async fn load(_app: &App) -> Result<(), Fault> {
    Ok(())
}

/// How far back overrides are read when nobody asks about the past: the beginning of a shift is looked for there.
const LOOK_BACK_MS: i64 = 35 * 86_400_000;

/// Every schedule with its versions and the overrides that end after `since`.
pub(crate) fn schedules(tx: &mut dyn Tx, since: Timestamp) -> Result<Vec<Schedule>, Fault> {
    let (mut versions, mut overrides) = (BTreeMap::new(), BTreeMap::new());
    for row in store::versions(tx, None)? {
        versions.entry(row.schedule.clone()).or_insert_with(Vec::new).push(row);
    }
    for (row, removed_at) in store::override_history(tx, since.plus_ms(-LOOK_BACK_MS))? {
        if let Some(held) = held(&row, removed_at)? {
            overrides.entry(row.schedule).or_insert_with(Vec::new).push(held);
        }
    }
    let mut calendars = followed::shifts(tx, None, since.plus_ms(-LOOK_BACK_MS))?;
    let bodies = store::schedules(tx)?;
    bodies
        .into_iter()
        .map(|(name, body)| {
            let rows = versions.remove(&name).unwrap_or_default();
            let calendar = calendars.remove(&name).unwrap_or_default();
            built(&name, &body, &rows, overrides.remove(&name).unwrap_or_default(), calendar)
        })
        .collect()
}

/// The schedule of that name with the overrides that end after `since`.
pub(crate) fn schedule(tx: &mut dyn Tx, name: &str, since: Timestamp) -> Result<Option<Schedule>, Fault> {
    let Some(body) = store::schedule_get(tx, name)? else { return Ok(None) };
    let rows = store::versions(tx, Some(name))?;
    let mut overrides = Vec::new();
    for (row, removed_at) in store::override_history(tx, since.plus_ms(-LOOK_BACK_MS))? {
        if row.schedule == name {
            overrides.extend(held(&row, removed_at)?);
        }
    }
    let calendar = followed::shifts(tx, Some(name), since.plus_ms(-LOOK_BACK_MS))?.remove(name).unwrap_or_default();
    built(name, &body, &rows, overrides, calendar).map(Some)
}

fn built(
    name: &str,
    body: &str,
    rows: &[store::VersionRow],
    overrides: Vec<Override>,
    calendar: Vec<FixedShift>,
) -> Result<Schedule, Fault> {
    let unreadable = |e: String| Fault::internal(format!("the schedule {name} cannot be read: {e}"));
    let plan = |body: &str| serde_json::from_str::<Plan>(body).map_err(|e| unreadable(e.to_string()));
    if rows.is_empty() {
        return Ok(Schedule::of_plan(name, plan(body)?, overrides).map_err(unreadable)?.with_calendar(calendar));
    }
    let versions = rows
        .iter()
        .map(|row| Version::new(row.number, row.from_at, plan(&row.body)?).map_err(unreadable))
        .collect::<Result<_, _>>()?;
    Ok(Schedule::new(name, versions, overrides).map_err(unreadable)?.with_calendar(calendar))
}

/// The override as long as it held; `None` when it was taken back before it began.
fn held(row: &store::OverrideRow, removed_at: Option<Timestamp>) -> Result<Option<Override>, Fault> {
    let mut of = overrides::stored(&row.body)?;
    of.end = removed_at.map_or(of.end, |removed| of.end.min(removed));
    Ok((of.start < of.end).then_some(of))
}

/// Who stands at `offset` in a schedule by its duty, and why: 0 is on call, 1 the first behind, and so on.
pub(crate) fn standing(schedule: &Schedule, duty: Duty, offset: u32) -> (Answer, String) {
    let name = &schedule.name;
    if let Some(nth) = usize::try_from(offset).unwrap_or(usize::MAX).checked_sub(1) {
        let people = duty.behind.into_iter().skip(nth).take(1).collect();
        let because = format!("stands in place {offset} behind whoever is on call in {name}");
        return (Answer { people, shadows: Vec::new() }, because);
    }
    let because = if duty.fallback {
        format!("nobody else who can be paged is on call in {name}, so its fallback is")
    } else {
        let layer = duty.layer.as_ref().map(|(layer, _)| format!("layer {layer}"));
        let over = duty.overrides.iter().map(|id| match schedule.overrides.iter().find(|o| o.id == *id) {
            Some(o) => format!("override {id} by {}", o.by),
            None => format!("override {id}"),
        });
        let by: Vec<String> = layer.into_iter().chain(over).collect();
        format!("on call in {name} ({})", by.join(", "))
    };
    (Answer { people: duty.people, shadows: duty.shadows }, because)
}

pub(super) fn no_schedule(name: &str) -> Fault {
    Fault::not_found(format!("there is no schedule `{name}`")).advice("the On-call page lists the schedules")
}
