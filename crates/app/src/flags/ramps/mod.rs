//! Ramps: percentages that rise by themselves, step by step, watched by a guard. The next instant is stored with the flag,
//! so a restart goes on where the ramp was.

mod guards;
mod plans;
mod ratio;
mod tell;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tenfold_flags::{Flag, Guard, Ramp, RampInput, RampPlan, RampStep};
use tenfold_types::{EventDraft, Fault, Timestamp};
use utoipa::ToSchema;

use super::changes::FlagAction;
use super::manage::{Known, check, several, state_of, stop_ramp, touch};
use super::views::FlagView;
use super::{draft, told};
use crate::{App, Caller, Role, Txn};

pub use guards::{GUARDED_RAMPS_MAX, Watches, run};
pub use plans::{PLANS_MAX, RampPlanList, RampPlanView, check as check_plan};

/// What a ramp is started with: a shared plan, or steps of its own, or both.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RampStart {
    /// The name of a shared plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// In place of the plan's steps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<RampStep>,
    /// In place of the plan's guard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
}

/// What a person does with a ramp that is live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RampMove {
    /// Holds it where it is; its guard goes on watching.
    Pause,
    Resume,
    /// To the next step now.
    Skip,
    /// To the step before, and holds it there.
    Back,
    /// Holds the step longer, by `by_ms`.
    Extend,
    /// Ends the ramp; the percentage stays.
    Stop,
}

impl RampMove {
    /// Who may only make a ramp slower may do it in an emergency.
    fn role(self) -> Role {
        match self {
            Self::Pause | Self::Back | Self::Extend | Self::Stop => Role::Responder,
            Self::Resume | Self::Skip => Role::Deployer,
        }
    }
}

impl RampStart {
    pub fn of(steps: Vec<RampStep>) -> Self {
        Self { steps, ..Self::default() }
    }

    /// The plan it means, checked.
    fn plan(&self, t: &mut Txn<'_>) -> Result<RampPlan, Fault> {
        let mut plan = match &self.plan {
            Some(name) => plans::find(t, name)?,
            None => RampPlan::default(),
        };
        if !self.steps.is_empty() {
            plan.steps.clone_from(&self.steps);
        }
        if self.guard.is_some() {
            plan.guard.clone_from(&self.guard);
        }
        plans::check(&plan)?;
        Ok(plan)
    }
}

/// Starts a ramp with its first step, in place of one that runs; a flag that is off is switched on by it.
pub(super) fn start(
    t: &mut Txn<'_>,
    by: &Caller,
    flag: &mut Flag,
    place: &str,
    start: &RampStart,
) -> Result<Vec<EventDraft>, Fault> {
    let (name, now) = (flag.key.clone(), t.now());
    let plan = start.plan(t)?;
    let state = state_of(flag, place);
    let before = told(state);
    let (mut ramp, percent) = Ramp::start(plan, &by.actor.id, now).map_err(Fault::invalid)?;
    ramp.plan.clone_from(&start.plan);
    let mut events = stop_ramp(by, &name, place, state);
    state.set_share(&name, percent).map_err(|m| several(&name, &m))?;
    state.enabled = true;
    let last = ramp.steps.last().map_or(percent, |s| s.percent);
    let guarded = if ramp.is_guarded() { ", guarded" } else { "" };
    let text = format!("{} started to ramp {name} in {place} from {percent} % to {last} %{guarded}", by.actor);
    let data = json!({
        "environment": place, "before": before, "after": told(state), "steps": ramp.steps, "percent": percent,
        "plan": ramp.plan, "guard": ramp.guard,
    });
    state.ramp = Some(ramp);
    touch(state, &by.actor.id, now);
    events.push(draft(by, "flag.ramp_started", &name, place, text).data(data));
    Ok(events)
}

/// Shares finer than a percent are not for every flag; what a later step needs is said when the ramp starts.
pub(super) fn check_shares(flag: &Flag, place: &str, known: &Known) -> Result<(), Fault> {
    let state = flag.environments.get(place);
    let ramp = state.and_then(|s| s.ramp.as_ref());
    let fraction = ramp.and_then(|r| r.steps.iter().find(|s| s.percent.has_fraction()));
    let mut flag = flag.clone();
    if let Some(step) = fraction {
        let key = flag.key.clone();
        state_of(&mut flag, place).set_share(&key, step.percent).map_err(|m| several(&key, &m))?;
    }
    check(&flag, known)
}

/// Takes the next step now.
pub(super) fn skip(by: &Caller, flag: &mut Flag, place: &str, now: Timestamp) -> Result<Vec<EventDraft>, Fault> {
    by_hand(by, flag, place, &RampInput::Skip, now)
}

fn by_hand(
    by: &Caller,
    flag: &mut Flag,
    place: &str,
    input: &RampInput,
    now: Timestamp,
) -> Result<Vec<EventDraft>, Fault> {
    let key = flag.key.clone();
    let state = state_of(flag, place);
    let Some(ramp) = &state.ramp else { return Err(none_runs(&key, place)) };
    let (next, effects) = ramp.step(input, now).map_err(|refused| {
        if ramp.is_live() {
            Fault::conflict(format!("the ramp of `{key}` in {place}: {}", refused.0))
        } else {
            none_runs(&key, place)
        }
    })?;
    tell::carry_out(by, &key, place, state, next, &effects, now)
}

fn none_runs(key: &str, place: &str) -> Fault {
    Fault::conflict(format!("no ramp of `{key}` runs in {place}")).advice("start one first")
}

impl App {
    pub async fn flag_ramp_start(
        &self,
        who: &Caller,
        key: &str,
        environment: &str,
        start: RampStart,
    ) -> Result<FlagView, Fault> {
        who.require(Role::Deployer, None, Some(environment))?;
        let guarded = self.flags.guarded_ramps(key, environment);
        if guarded >= GUARDED_RAMPS_MAX {
            return Err(Fault::conflict(format!("{GUARDED_RAMPS_MAX} guarded ramps are live, which is the limit"))
                .advice("stop one that nobody needs any more"));
        }
        let view = self.flag_act(who, key, environment, FlagAction::Ramp(start)).await?;
        if view.requested.is_some() {
            return Ok(view);
        }
        self.flag_release(key, environment).await;
        self.flag(key)
    }

    /// Stops a ramp; the percentage stays where it is.
    pub async fn flag_ramp_stop(&self, who: &Caller, key: &str, environment: &str) -> Result<FlagView, Fault> {
        self.flag_ramp_move(who, key, environment, RampMove::Stop, None).await
    }

    pub async fn flag_ramp_move(
        &self,
        who: &Caller,
        key: &str,
        environment: &str,
        how: RampMove,
        by_ms: Option<i64>,
    ) -> Result<FlagView, Fault> {
        who.require(how.role(), None, Some(environment))?;
        self.flag_environment(environment).await?;
        let input = match (how, by_ms) {
            (RampMove::Skip, None) => return self.flag_act(who, key, environment, FlagAction::RampSkip).await,
            (RampMove::Extend, Some(by_ms)) => RampInput::Extend(by_ms),
            (RampMove::Extend, None) => {
                return Err(Fault::invalid("`extend` lacks for how long").advice("give `by_ms`, in milliseconds"));
            }
            (_, Some(_)) => return Err(Fault::invalid("only `extend` takes `by_ms`")),
            (RampMove::Pause, None) => RampInput::Pause,
            (RampMove::Resume, None) => RampInput::Resume,
            (RampMove::Back, None) => RampInput::Back,
            (RampMove::Stop, None) => RampInput::Stop,
        };
        let (by, place) = (who.clone(), environment.to_owned());
        let view = self.flag_change(key, move |flag, now| by_hand(&by, flag, &place, &input, now)).await?;
        self.flags.watches.forget(key, environment);
        Ok(view)
    }
}
