//! A ramp raises a percentage in steps, each held for a while, and each watched by a guard if there is one.
//!
//! One step at a time: after a long pause (the server was down) the next step is taken once and held for its whole
//! time, so that nobody meets a jump of several steps at once. A guard without data lets nothing through.

mod guard;
mod judged;
mod machine;

use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

use crate::Share;

pub use guard::{Comparison, Condition, Evidence, Guard, NoData, Reading, Traffic, TripAction, WaitAction};
pub use judged::{BadOfTotal, ErrorCounters, JudgeCondition, LatencyCounters, Stance};
pub use machine::{RampEffect, RampInput, Refused};

pub const RAMP_STEPS_MAX: usize = 20;
/// A year.
pub const HOLD_MS_MAX: i64 = 366 * 24 * 3_600_000;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RampStep {
    /// From 0 to 100, with at most two decimals.
    pub percent: Share,
    /// How long the percentage is held before the next step. The last step is held only where a guard watches it.
    #[serde(default)]
    pub hold_ms: i64,
    /// Watches this step in place of the ramp's guard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
}

/// What is shared as a template and what a ramp is started from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RampPlan {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    pub steps: Vec<RampStep>,
    /// Watches every step that has no guard of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum RampState {
    Running,
    /// Held where it is by a person, or after its guard; the guard goes on watching.
    Paused,
    /// The last step has been taken, and its guard held.
    Done,
    /// A person stopped it, or changed the flag by hand.
    Stopped,
    /// Its guard switched the flag off.
    Tripped,
}

/// What a guard has seen of the step that holds now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Watch {
    /// Readings of this step in which the condition held.
    pub good: u32,
    /// Since when the condition has failed without a good reading in between.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub failing_since: Option<Timestamp>,
    /// Since when the next step has been due without data to take it on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub waiting_since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Reading>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub last_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ramp {
    /// The template it was started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    pub steps: Vec<RampStep>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
    /// Index of the step that holds now.
    pub position: usize,
    /// When the next step is due; absent when the ramp does not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub next_at: Option<Timestamp>,
    /// What is left of the hold, while paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining_ms: Option<i64>,
    /// When the step that holds now was taken.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub entered_at: Timestamp,
    pub state: RampState,
    /// Who started it.
    #[serde(default)]
    pub started_by: String,
    #[serde(default)]
    pub watch: Watch,
    /// Why the guard acted the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

impl RampPlan {
    pub fn of(steps: Vec<RampStep>) -> Self {
        Self { steps, ..Self::default() }
    }

    /// What is wrong with it, in one sentence.
    pub fn check(&self) -> Result<(), String> {
        let steps = &self.steps;
        if steps.is_empty() || steps.len() > RAMP_STEPS_MAX {
            return Err(format!("a ramp has 1 to {RAMP_STEPS_MAX} steps, not {}", steps.len()));
        }
        if steps.iter().any(|s| s.hold_ms < 0 || s.hold_ms > HOLD_MS_MAX) {
            return Err(format!("a step is held 0 to {HOLD_MS_MAX} milliseconds"));
        }
        if !steps.is_sorted_by(|a, b| a.percent < b.percent) {
            return Err("the steps must rise; a lower percentage is set by hand".into());
        }
        self.guards().try_for_each(Guard::check)
    }

    /// The guards it names, the ramp's first.
    pub fn guards(&self) -> impl Iterator<Item = &Guard> {
        self.guard.iter().chain(self.steps.iter().filter_map(|s| s.guard.as_ref()))
    }
}

impl Ramp {
    /// Starts with the first step: gives the ramp and the percentage to set now.
    pub fn start(plan: RampPlan, by: &str, now: Timestamp) -> Result<(Self, Share), String> {
        plan.check()?;
        let percent = plan.steps.first().map_or(Share::NOBODY, |s| s.percent);
        let mut ramp = Self {
            plan: None,
            steps: plan.steps,
            guard: plan.guard,
            position: 0,
            next_at: None,
            remaining_ms: None,
            entered_at: now,
            state: RampState::Running,
            started_by: by.to_owned(),
            watch: Watch::default(),
            evidence: None,
        };
        ramp.enter(0, now);
        Ok((ramp, percent))
    }

    /// Whether any of its steps is watched.
    pub fn is_guarded(&self) -> bool {
        self.guard.is_some() || self.steps.iter().any(|s| s.guard.is_some())
    }

    /// The guard of the step that holds now.
    pub fn guard_now(&self) -> Option<&Guard> {
        self.steps.get(self.position).and_then(|s| s.guard.as_ref()).or(self.guard.as_ref())
    }

    /// What its guard last saw of this step, in words; nothing where none has looked.
    pub fn guard_words(&self) -> Option<String> {
        let guard = self.guard_now().filter(|_| self.is_live())?;
        let said = match self.watch.last.as_ref()? {
            Reading::Good { value, .. } => format!("{value} is {}", guard.condition),
            Reading::Failing { value, .. } => format!("{value} is not {}", guard.condition),
            other => other.words()?,
        };
        Some(format!("its guard: {said}"))
    }

    /// Running or paused: it may still change the flag.
    pub fn is_live(&self) -> bool {
        matches!(self.state, RampState::Running | RampState::Paused)
    }

    pub fn is_running(&self) -> bool {
        self.state == RampState::Running
    }

    /// The percentage of the step that holds now.
    pub fn percent(&self) -> Share {
        self.steps.get(self.position).map_or(Share::NOBODY, |s| s.percent)
    }

    /// Ends it where it is; true when it was live.
    pub fn stop(&mut self) -> bool {
        let live = self.is_live();
        if live {
            self.end(RampState::Stopped);
        }
        live
    }

    fn end(&mut self, state: RampState) {
        self.state = state;
        self.next_at = None;
        self.remaining_ms = None;
    }

    /// Takes a step and begins its hold.
    fn enter(&mut self, position: usize, now: Timestamp) {
        self.position = position;
        self.entered_at = now;
        self.watch = Watch::default();
        self.remaining_ms = None;
        let hold_ms = self.steps.get(position).map_or(0, |s| s.hold_ms);
        let last = position + 1 >= self.steps.len();
        if last && (self.guard_now().is_none() || hold_ms == 0) {
            self.end(RampState::Done);
        } else {
            self.state = RampState::Running;
            self.next_at = Some(now.plus_ms(hold_ms));
        }
    }
}
