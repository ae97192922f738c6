//! What a change of who is on call leaves of people's rest: said in its answer. Where the plan enforces it the change is
//! refused, unless it begins now: somebody who takes over in need is never turned away.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use tenfold_oncall::{Elsewhere, Schedule, ShortRest, is_night};
use tenfold_store::{Tx, people};
use tenfold_types::{Fault, Timestamp};

use super::{
    figures::SuggestAsk,
    schedule, schedules,
    schedules::minute,
    views::{OverrideView, RestView},
};
use crate::{incidents::paged_between, people::Person};

impl From<ShortRest> for RestView {
    fn from(rest: ShortRest) -> Self {
        Self {
            person: rest.person,
            from: rest.from,
            to: rest.to,
            min_rest_hours: rest.min_rest_hours,
            after: rest.after,
            after_page: rest.after_page,
            before: rest.before,
        }
    }
}

/// The longest rest that a version of the schedule asks for; 0 when none does.
pub(super) fn rest_ms_max(of: &Schedule) -> i64 {
    let hours = of.versions().iter().filter_map(|v| v.plan.min_rest_hours).max();
    i64::from(hours.unwrap_or(0)) * 3_600_000
}

/// Everybody who may be on call in a schedule: of its plans and of its overrides.
fn everybody(of: &Schedule) -> BTreeSet<&str> {
    let overrides = of.overrides.iter().flat_map(tenfold_oncall::Override::people).map(String::as_str);
    of.versions().iter().flat_map(|v| of.people_of(v)).chain(overrides).collect()
}

/// What the people of a schedule do beside it between two instants: shifts of other schedules, and pages in their night. Empty
/// when its plans ask for no rest.
pub(super) fn elsewhere(
    tx: &mut dyn Tx,
    of: &Schedule,
    from: Timestamp,
    to: Timestamp,
    now: Timestamp,
) -> Result<Elsewhere, Fault> {
    let rest_ms = rest_ms_max(of);
    if rest_ms == 0 {
        return Ok(Elsewhere::default());
    }
    let own = everybody(of);
    let mut others = schedules(tx, from)?;
    others.retain(|other| other.name != of.name && !everybody(other).is_disjoint(&own));
    let (since, until) = (from.plus_ms(-rest_ms), to.plus_ms(rest_ms));
    let schedules = others.into_iter().map(|other| {
        let spans = other.spans(since, until);
        (other.name, spans)
    });
    let mut night_pages = BTreeMap::new();
    for (login, pages) in paged_between(tx, since, until.min(now))? {
        if !own.contains(login.as_str()) {
            continue;
        }
        let Some(row) = people::person_get(tx, &login)? else { continue };
        let person: Person = serde_json::from_str(&row.body)
            .map_err(|e| Fault::internal(format!("the profile of `{login}` cannot be read: {e}")))?;
        let zone = TimeZone::get(&person.timezone).unwrap_or(TimeZone::UTC);
        let mut at_night = pages;
        at_night.retain(|at| is_night(&zone, *at));
        if !at_night.is_empty() {
            night_pages.insert(login, at_night);
        }
    }
    Ok(Elsewhere { schedules: schedules.collect(), night_pages })
}

/// Who is on call in a stretch, in this schedule or another, or would not rest before it and after it as the newest plan asks.
pub(super) fn busy(tx: &mut dyn Tx, of: &Schedule, ask: SuggestAsk, now: Timestamp) -> Result<BTreeSet<String>, Fault> {
    let hours = of.newest().and_then(|v| v.plan.min_rest_hours).unwrap_or(0);
    let rest_ms = i64::from(hours) * 3_600_000;
    let (from, to) = (ask.start.plus_ms(-rest_ms), ask.end.plus_ms(rest_ms));
    let mut busy: BTreeSet<String> = of.spans(from, to).into_iter().flat_map(|s| s.people).collect();
    for other in schedules(tx, from)?.iter().filter(|other| other.name != of.name) {
        // Who is on call elsewhere counts though this plan asks for no rest.
        busy.extend(other.spans(from, to).into_iter().flat_map(|s| s.people));
    }
    let woken = elsewhere(tx, of, ask.start, ask.end, now)?.night_pages;
    let tired = woken.into_iter().filter(|(_, pages)| pages.iter().any(|at| from < *at && *at < to));
    busy.extend(tired.map(|(login, _)| login));
    Ok(busy)
}

/// The rests that are too short because of these overrides, which are stored already.
pub(super) fn shortened(
    tx: &mut dyn Tx,
    name: &str,
    made: &[OverrideView],
    now: Timestamp,
) -> Result<Vec<RestView>, Fault> {
    let ends = made.iter().map(|o| o.start).min().zip(made.iter().map(|o| o.end).max());
    let Some((start, end)) = ends else { return Ok(Vec::new()) };
    let Some(after) = schedule(tx, name, start)? else { return Ok(Vec::new()) };
    let plan = after.version_at(start).or_else(|| after.newest()).map(|v| &v.plan);
    let Some((hours, enforced)) = plan.and_then(|p| Some((p.min_rest_hours?, p.enforce_rest))) else {
        return Ok(Vec::new());
    };
    let rest_ms = i64::from(hours) * 3_600_000;
    let (from, to) = (start.plus_ms(-rest_ms), end.plus_ms(rest_ms));
    let mut before = after.clone();
    before.overrides.retain(|o| !made.iter().any(|m| m.id == o.id));
    let beside = elsewhere(tx, &after, from, to, now)?;
    let known = before.short_rests_beside(&before.spans(from, to), &beside);
    let mut new = after.short_rests_beside(&after.spans(from, to), &beside);
    new.retain(|rest| !known.contains(rest));
    if let Some(first) = new.first().filter(|_| enforced && start > now) {
        return Err(Fault::conflict(format!(
            "{} would rest from {} to {} only{}, and {name} wants {hours} h",
            first.person,
            minute(first.from),
            minute(first.to),
            RestView::from(first.clone()).between()
        ))
        .advice("choose somebody else or other hours; what begins now is not refused"));
    }
    Ok(new.into_iter().map(RestView::from).collect())
}
