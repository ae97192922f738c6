//! On-call: schedules with their overrides, escalation policies, and who is on call.
//!
//! A schedule always answers for an instant that is given; nothing here is computed ahead and kept, so an override counts
//! from the moment it is committed.

mod policies;
mod schedules;
mod views;

use tenfold_oncall::{Schedule, Shift};
use tenfold_store::{Tx, oncall as store};
use tenfold_types::{Fault, Timestamp};

use crate::App;

pub use policies::PolicyUpdate;
pub(crate) use policies::policy;
pub use schedules::{NewOverride, ScheduleUpdate, TAKE_MS_DEFAULT};
pub use views::{OnCallPerson, OnCallView, OverrideView, PolicyView, RotationView, ScheduleView};

/// Nothing is kept in memory: every answer is read from the store.
#[derive(Default)]
pub struct State {}

#[expect(clippy::unused_async, reason = "every part is loaded in the same way")]
pub async fn load(_app: &App) -> Result<(), Fault> {
    Ok(())
}

/// Every schedule with the overrides that end after `since`.
pub(crate) fn schedules(tx: &mut dyn Tx, since: Timestamp) -> Result<Vec<Schedule>, Fault> {
    let overrides = store::overrides(tx, since)?;
    store::schedules(tx)?
        .into_iter()
        .map(|(name, body)| {
            let mine = overrides.iter().filter(|o| o.schedule == name).map(|o| schedules::stored_override(&o.body));
            schedules::stored(&name, &body)?.with_overrides(&name, mine.collect::<Result<_, _>>()?)
        })
        .collect()
}

/// Who is on call in `schedule` at `at`; `None` when there is no such schedule.
pub(crate) fn on_call(tx: &mut dyn Tx, schedule: &str, at: Timestamp) -> Result<Option<Shift>, Fault> {
    let Some(body) = store::schedule_get(tx, schedule)? else { return Ok(None) };
    let overrides = store::overrides(tx, at)?
        .iter()
        .filter(|o| o.schedule == schedule)
        .map(|o| schedules::stored_override(&o.body))
        .collect::<Result<_, _>>()?;
    Ok(schedules::stored(schedule, &body)?.with_overrides(schedule, overrides)?.who_is_on_call(at))
}
