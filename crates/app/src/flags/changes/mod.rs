//! Changes as things of their own: what can be done now, at an instant ([`schedules`]), or only after a second person has
//! looked at it ([`requests`]). All three ways end in [`carry_out`], inside the transaction that records them.

mod part;
mod requests;
mod schedules;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenfold_flags::{Flag, FlagEnvironment, Share};
use tenfold_types::{EventDraft, Fault};
use utoipa::ToSchema;

use super::manage::{self, Known, several, state_of, stop_ramp, switch, touch};
use super::ramps::{self, RampStart};
use super::views::{FlagUpdate, FlagView};
use super::{draft, not_found, put, stored, told};
use crate::people::four_eyes;
use crate::{App, Caller, Role, Txn};

pub use requests::{REQUEST_MS, REQUESTS_MAX, RequestList, RequestReason, RequestView};
pub use schedules::{LATE_MS_DEFAULT, NewSchedule, SCHEDULES_MAX, ScheduleList, ScheduleView, Scheduled};

pub(super) use part::{changed_under_four_eyes, on_under_four_eyes, part};
pub(super) use requests::{Asked, ask};

/// One change of one flag in one environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FlagAction {
    Switch {
        enabled: bool,
        /// For the record.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Rollout {
        percent: Share,
    },
    Ramp(RampStart),
    /// The next step of the ramp that is live.
    RampSkip,
    /// Strategies, variants, values: whatever the update says.
    Edit {
        update: Box<FlagUpdate>,
    },
}

/// What became of a change.
pub(super) struct Done {
    events: Vec<EventDraft>,
    /// The number of the change request it became instead.
    requested: Option<i64>,
}

impl Done {
    pub(super) fn nothing() -> Self {
        Self::with(Vec::new())
    }
    pub(super) fn with(events: Vec<EventDraft>) -> Self {
        Self { events, requested: None }
    }
    pub(super) fn requested(number: i64) -> Self {
        Self { events: Vec::new(), requested: Some(number) }
    }
}

impl FlagAction {
    /// As what comes after "mei wants to".
    pub(super) fn words(&self, key: &str, place: &str) -> String {
        match self {
            Self::Switch { enabled, .. } => format!("switch {key} {} in {place}", if *enabled { "on" } else { "off" }),
            Self::Rollout { percent } => format!("set {key} to {percent} % in {place}"),
            Self::Ramp(RampStart { plan: Some(plan), .. }) => format!("ramp {key} in {place} by the plan {plan}"),
            Self::Ramp(start) => {
                let last = start.steps.last().map_or(Share::NOBODY, |s| s.percent);
                format!("ramp {key} in {place} to {last} %")
            }
            Self::RampSkip => format!("skip to the next step of the ramp of {key} in {place}"),
            Self::Edit { .. } => format!("change {key} in {place}"),
        }
    }

    /// Whether it only takes the flag away.
    pub(super) fn switches_off(&self) -> bool {
        matches!(self, Self::Switch { enabled: false, .. })
    }

    /// Whether it takes a second person where those are wanted. What only takes a flag away from people does not.
    fn wants_four_eyes(&self, before: &FlagEnvironment, after: &FlagEnvironment) -> bool {
        match self {
            Self::Switch { enabled, .. } => *enabled,
            Self::Rollout { .. } => after.share() > before.share(),
            Self::Ramp(_) => !restarts(before, after),
            Self::RampSkip | Self::Edit { .. } => true,
        }
    }
}

/// Whether a ramp that is live begins once more: it goes down to its first step, and rises along steps and under a guard
/// that a second person has seen.
fn restarts(before: &FlagEnvironment, after: &FlagEnvironment) -> bool {
    let (Some(old), Some(new)) = (&before.ramp, &after.ramp) else { return false };
    let same = old.steps == new.steps && old.guard == new.guard;
    before.enabled && old.is_live() && same && after.share() <= before.share()
}

/// Does it to `flag`, and gives the events; none when it is so already. Writes nothing itself.
pub(super) fn carry_out(
    t: &mut Txn<'_>,
    who: &Caller,
    flag: &mut Flag,
    place: &str,
    action: &FlagAction,
    known: &Known,
) -> Result<Vec<EventDraft>, Fault> {
    let (key, now) = (flag.key.clone(), t.now());
    match action {
        FlagAction::Switch { enabled, reason } => {
            let state = state_of(flag, place);
            if state.enabled == *enabled {
                return Ok(Vec::new());
            }
            let mut events = switch(who, &key, place, state, *enabled, now);
            manage::give_reason(&mut events, reason.as_deref());
            if *enabled {
                manage::check_switch(flag, known)?;
            }
            Ok(events)
        }
        FlagAction::Rollout { percent } => {
            let state = state_of(flag, place);
            let before = told(state);
            let was = state.set_share(&key, *percent).map_err(|m| several(&key, &m))?;
            if *percent == was {
                return Ok(Vec::new());
            }
            if *percent > was {
                who.require(Role::Deployer, None, Some(place))?;
            }
            let mut events = stop_ramp(who, &key, place, state);
            touch(state, &who.actor.id, now);
            let text = format!("{} set {key} to {percent} % in {place} (was {was} %)", who.actor);
            let data = json!({"environment": place, "before": before, "after": told(state)});
            events.push(draft(who, "flag.changed", &key, place, text).data(data));
            manage::check(flag, known)?;
            Ok(events)
        }
        FlagAction::Ramp(start) => {
            let events = ramps::start(t, who, flag, place, start)?;
            ramps::check_shares(flag, place, known)?;
            Ok(events)
        }
        FlagAction::RampSkip => ramps::skip(who, flag, place, now),
        FlagAction::Edit { update } => {
            let before = flag.clone();
            manage::apply(flag, update, &who.actor.id);
            flag.normalize();
            let events = manage::changes(who, Some(&before), flag, now)?;
            if !events.is_empty() {
                manage::check(flag, known)?;
            }
            Ok(events)
        }
    }
}

/// What a change is based on: it does not apply any more once this reads otherwise.
fn basis(flag: &Flag, place: &str, action: &FlagAction) -> Value {
    let unset = FlagEnvironment::default();
    let of = |place: &str| told(flag.environments.get(place).unwrap_or(&unset));
    match action {
        FlagAction::Edit { update } => {
            let states = update.environments.keys().map(|name| (name.clone(), of(name)));
            let states: serde_json::Map<String, Value> = states.collect();
            json!({"environments": states, "value_type": flag.value_type, "dependencies": flag.dependencies})
        }
        _ => of(place),
    }
}

/// Of an edit, what it replaces in an environment: the parts that it names, as they are.
fn edited(flag: &Flag, place: &str, action: &FlagAction) -> Option<Value> {
    let FlagAction::Edit { update } = action else { return None };
    let update = update.environments.get(place)?;
    let state = told(flag.environments.get(place).unwrap_or(&FlagEnvironment::default()));
    let named = [
        ("enabled", update.enabled.is_some()),
        ("off_value", update.off_value.is_some()),
        ("strategies", update.strategies.is_some() || update.rollout_percent.is_some()),
        ("variants", update.variants.is_some()),
    ];
    Some(
        named.into_iter().filter(|(_, named)| *named).map(|(part, _)| (part.to_owned(), state[part].clone())).collect(),
    )
}

impl App {
    /// Does a change now, or makes it a change request where a second person is wanted; `FlagView::requested` tells.
    pub(super) async fn flag_act(
        &self,
        who: &Caller,
        key: &str,
        environment: &str,
        action: FlagAction,
    ) -> Result<FlagView, Fault> {
        self.flag_environment(environment).await?;
        let known = self.flags.surroundings();
        let (who, place) = (who.clone(), environment.to_owned());
        let view = self
            .flag_change_in(key, move |t, flag| {
                let before = flag.clone();
                let events = carry_out(t, &who, flag, &place, &action, &known)?;
                if events.is_empty() {
                    return Ok(Done::nothing());
                }
                let unset = FlagEnvironment::default();
                let state = |f: &Flag| f.environments.get(&place).unwrap_or(&unset).clone();
                if action.wants_four_eyes(&state(&before), &state(flag)) && four_eyes(t.tx(), &place)? {
                    let asked = Asked { place: &place, action: &action, at: None, late_ms_max: 0 };
                    return Ok(Done::requested(ask(t, &who, &before, Some(flag), &asked)?));
                }
                Ok(Done::with(events))
            })
            .await?;
        self.flags.watches.forget(key, environment);
        Ok(view)
    }

    /// Changes one flag in one transaction: `f` edits it and says what happened. Without events nothing is written.
    pub(super) async fn flag_change_in<F>(&self, key: &str, mut f: F) -> Result<FlagView, Fault>
    where
        F: FnMut(&mut Txn<'_>, &mut Flag) -> Result<Done, Fault> + Send + 'static,
    {
        let wanted = key.to_owned();
        let (flag, version, requested) = self
            .transact(move |t| {
                let (before, version) = find(t, &wanted)?;
                let mut flag = before.clone();
                let done = f(t, &mut flag)?;
                if done.events.is_empty() {
                    return Ok((before, version, done.requested));
                }
                let by = done.events.last().map(|e| e.actor.id.clone()).unwrap_or_default();
                let version = put(t, &mut flag, &by)?;
                for event in done.events {
                    t.record(event)?;
                }
                Ok((flag, version, None))
            })
            .await?;
        self.flags.change(self.now(), |table| table.accept(flag, version));
        Ok(FlagView { requested, ..self.flag(key)? })
    }
}

/// A flag that is not archived, with its version.
fn find(t: &mut Txn<'_>, key: &str) -> Result<(Flag, i64), Fault> {
    let row = tenfold_store::flags::get(t.tx(), key)?;
    let (flag, version) = row.as_ref().map(stored).transpose()?.ok_or_else(|| not_found(key))?;
    if flag.archived { Err(not_found(key)) } else { Ok((flag, version)) }
}
