//! Ramps: percentages that rise by themselves, step by step. The next instant is stored with the flag, so a restart goes
//! on where the ramp was.

use serde_json::json;
use tenfold_flags::{Ramp, RampStep};
use tenfold_types::Fault;

use super::manage::{check_percent, several, state_of, stop_ramp, touch};
use super::views::FlagView;
use super::{draft, told};
use crate::{App, Caller, Role};

impl App {
    /// Starts a ramp with its first step, in place of one that runs; a flag that is off is switched on by it.
    pub async fn flag_ramp_start(
        &self,
        who: &Caller,
        key: &str,
        environment: &str,
        steps: Vec<RampStep>,
    ) -> Result<FlagView, Fault> {
        who.require(Role::Deployer, None, Some(environment))?;
        for step in &steps {
            check_percent(step.percent)?;
        }
        self.flag_environment(environment).await?;
        let (by, name, place) = (who.clone(), key.to_owned(), environment.to_owned());
        self.flag_change(key, move |flag, now| {
            let state = state_of(flag, &place);
            let before = told(state);
            let (ramp, percent) = Ramp::start(steps.clone(), &by.actor.id, now).map_err(Fault::invalid)?;
            let mut events = stop_ramp(&by, &name, &place, state);
            state.set_rollout(&name, percent).map_err(|m| several(&name, &m))?;
            state.enabled = true;
            let last = ramp.steps.last().map_or(percent, |s| s.percent);
            let text = format!("{} started to ramp {name} in {place} from {percent} % to {last} %", by.actor);
            let data = json!({
                "environment": place, "before": before, "after": told(state), "steps": ramp.steps, "percent": percent,
            });
            state.ramp = Some(ramp);
            touch(state, &by.actor.id, now);
            events.push(draft(&by, "flag.ramp_started", &name, &place, text).data(data));
            Ok(events)
        })
        .await?;
        self.flag_release(key, environment).await;
        self.flag(key)
    }

    /// Stops a ramp; the percentage stays where it is.
    pub async fn flag_ramp_stop(&self, who: &Caller, key: &str, environment: &str) -> Result<FlagView, Fault> {
        who.require(Role::Responder, None, Some(environment))?;
        self.flag_environment(environment).await?;
        let (by, name, place) = (who.clone(), key.to_owned(), environment.to_owned());
        self.flag_change(key, move |flag, now| {
            let state = state_of(flag, &place);
            let events = stop_ramp(&by, &name, &place, state);
            if events.is_empty() {
                return Err(Fault::conflict(format!("no ramp of `{name}` runs in {place}")));
            }
            touch(state, &by.actor.id, now);
            Ok(events)
        })
        .await
    }

    /// Takes the steps that are due. Public so that a test with a movable clock can call it.
    pub async fn flag_ramps_step(&self) {
        let now = self.now();
        let due: Vec<(String, String)> = self.flags.look(|table| {
            let flags = table.flags.values().map(|e| &e.flag).filter(|f| !f.archived);
            let states = flags.flat_map(|f| f.environments.iter().map(move |(place, state)| (f, place, state)));
            states
                .filter(|(_, _, s)| {
                    s.ramp.as_ref().is_some_and(|r| r.is_running() && r.next_at.is_some_and(|at| at <= now))
                })
                .map(|(f, place, _)| (f.key.clone(), place.clone()))
                .filter(|place| !table.held_off.contains_key(place))
                .collect()
        });
        for (key, environment) in due {
            if let Err(fault) = self.flag_ramp_step(&key, &environment).await {
                tracing::warn!(%fault, flag = key, environment, "a ramp step was not taken; it stays due");
            }
        }
    }

    async fn flag_ramp_step(&self, key: &str, environment: &str) -> Result<(), Fault> {
        let (name, place) = (key.to_owned(), environment.to_owned());
        self.flag_change(key, move |flag, now| {
            let who = Caller::system();
            let state = state_of(flag, &place);
            let before = told(state);
            let Some(ramp) = state.ramp.as_mut() else { return Ok(Vec::new()) };
            let Some(percent) = ramp.step(now) else { return Ok(Vec::new()) };
            let (position, count) = (ramp.position + 1, ramp.steps.len());
            let next_at = ramp.next_at;
            if let Err(reason) = state.set_rollout(&name, percent) {
                // The strategies were replaced behind the ramp's back; it cannot go on.
                return Ok(stop_ramp(&who, &name, &place, state)
                    .into_iter()
                    .map(|e| e.data(json!({"reason": reason})))
                    .collect());
            }
            touch(state, &who.actor.id, now);
            let text = format!("{name} went to {percent} % in {place} (step {position} of {count})");
            let data = json!({
                "environment": place, "before": before, "after": told(state), "percent": percent, "next_at": next_at,
            });
            Ok(vec![draft(&who, "flag.ramp_step", &name, &place, text).data(data)])
        })
        .await?;
        Ok(())
    }
}
