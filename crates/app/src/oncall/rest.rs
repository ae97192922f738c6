//! What a change of who is on call leaves of people's rest: said in its answer. Where the plan enforces it the change is
//! refused, unless it begins now: somebody who takes over in need is never turned away.

use tenfold_oncall::ShortRest;
use tenfold_store::Tx;
use tenfold_types::{Fault, Timestamp};

use super::{
    schedule,
    schedules::minute,
    views::{OverrideView, RestView},
};

impl From<ShortRest> for RestView {
    fn from(rest: ShortRest) -> Self {
        Self { person: rest.person, from: rest.from, to: rest.to, min_rest_hours: rest.min_rest_hours }
    }
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
    let known = before.short_rests(&before.spans(from, to));
    let mut new = after.short_rests(&after.spans(from, to));
    new.retain(|rest| !known.contains(rest));
    if let Some(first) = new.first().filter(|_| enforced && start > now) {
        return Err(Fault::conflict(format!(
            "{} would rest from {} to {} only, and {name} wants {hours} h",
            first.person,
            minute(first.from),
            minute(first.to)
        ))
        .advice("choose somebody else or other hours; what begins now is not refused"));
    }
    Ok(new.into_iter().map(RestView::from).collect())
}
