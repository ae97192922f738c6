//! A ramp raises a percentage in steps, each held for a while.
//!
//! One step at a time: after a long pause (the server was down) the next step is taken once and held for its whole
//! time, so that nobody meets a jump of several steps at once.

use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;
use utoipa::ToSchema;

pub const RAMP_STEPS_MAX: usize = 20;
/// A year.
pub const HOLD_MS_MAX: i64 = 366 * 24 * 3_600_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RampStep {
    /// Whole percent, 0 to 100.
    pub percent: u8,
    /// How long the percentage is held before the next step. Of the last step it has no meaning.
    #[serde(default)]
    pub hold_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RampState {
    Running,
    /// The last step has been taken.
    Done,
    /// A person stopped it, or changed the flag by hand.
    Stopped,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ramp {
    pub steps: Vec<RampStep>,
    /// Index of the step that holds now.
    pub position: usize,
    /// When the next step is due; absent when the ramp is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_at: Option<Timestamp>,
    pub state: RampState,
    /// Who started it.
    #[serde(default)]
    pub started_by: String,
}

impl Ramp {
    /// Starts with the first step: gives the ramp and the percentage to set now.
    pub fn start(steps: Vec<RampStep>, by: &str, now: Timestamp) -> Result<(Self, u8), String> {
        check(&steps)?;
        let percent = steps[0].percent;
        let mut ramp = Self { steps, position: 0, next_at: None, state: RampState::Running, started_by: by.to_owned() };
        ramp.hold(now);
        Ok((ramp, percent))
    }

    /// The percentage that is due now, if any; the ramp then holds it from now on.
    pub fn step(&mut self, now: Timestamp) -> Option<u8> {
        if self.state != RampState::Running || self.next_at.is_none_or(|at| now < at) {
            return None;
        }
        let next = self.steps.get(self.position + 1)?;
        let percent = next.percent;
        self.position += 1;
        self.hold(now);
        Some(percent)
    }

    /// True when it was running.
    pub fn stop(&mut self) -> bool {
        let running = self.state == RampState::Running;
        if running {
            self.state = RampState::Stopped;
            self.next_at = None;
        }
        running
    }

    pub fn is_running(&self) -> bool {
        self.state == RampState::Running
    }

    fn hold(&mut self, now: Timestamp) {
        match self.steps.get(self.position) {
            Some(current) if self.position + 1 < self.steps.len() => self.next_at = Some(now.plus_ms(current.hold_ms)),
            _ => {
                self.state = RampState::Done;
                self.next_at = None;
            }
        }
    }
}

fn check(steps: &[RampStep]) -> Result<(), String> {
    if steps.is_empty() || steps.len() > RAMP_STEPS_MAX {
        return Err(format!("a ramp has 1 to {RAMP_STEPS_MAX} steps, not {}", steps.len()));
    }
    if let Some(step) = steps.iter().find(|s| s.percent > 100) {
        return Err(format!("a step is {} % but must be 0 to 100", step.percent));
    }
    if steps.iter().any(|s| s.hold_ms < 0 || s.hold_ms > HOLD_MS_MAX) {
        return Err(format!("a step is held 0 to {HOLD_MS_MAX} milliseconds"));
    }
    if !steps.is_sorted_by(|a, b| a.percent < b.percent) {
        return Err("the steps must rise; a lower percentage is set by hand".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn steps(percents: &[u8]) -> Vec<RampStep> {
        percents.iter().map(|percent| RampStep { percent: *percent, hold_ms: HOUR_MS }).collect()
    }

    #[test]
    fn steps_are_taken_when_due() {
        let (mut ramp, first) = Ramp::start(steps(&[1, 10, 100]), "mei", Timestamp(0)).unwrap();
        assert_eq!(first, 1);
        assert_eq!(ramp.step(Timestamp(HOUR_MS - 1)), None);
        assert_eq!(ramp.step(Timestamp(HOUR_MS)), Some(10));
        assert_eq!(ramp.step(Timestamp(HOUR_MS)), None, "the step is held");
        assert_eq!(ramp.step(Timestamp(2 * HOUR_MS)), Some(100));
        assert_eq!((ramp.state, ramp.next_at), (RampState::Done, None));
        assert_eq!(ramp.step(Timestamp(99 * HOUR_MS)), None);
        assert!(!ramp.stop(), "a ramp that is over cannot be stopped");
    }

    #[test]
    fn a_long_pause_does_not_skip_steps() {
        let (mut ramp, _) = Ramp::start(steps(&[1, 10, 50, 100]), "mei", Timestamp(0)).unwrap();
        let late = Timestamp(500 * HOUR_MS);
        assert_eq!(ramp.step(late), Some(10));
        assert_eq!(ramp.step(late), None);
        assert_eq!(ramp.next_at, Some(late.plus_ms(HOUR_MS)));
        let stored = serde_json::to_string(&ramp).unwrap();
        assert_eq!(serde_json::from_str::<Ramp>(&stored).unwrap(), ramp);
    }

    #[test]
    fn stopping_holds_the_percentage() {
        let (mut ramp, _) = Ramp::start(steps(&[1, 10]), "mei", Timestamp(0)).unwrap();
        assert!(ramp.stop());
        assert_eq!(ramp.step(Timestamp(99 * HOUR_MS)), None);
        assert_eq!(ramp.state, RampState::Stopped);
    }

    #[test]
    fn a_single_step_is_done_at_once() {
        let (ramp, first) = Ramp::start(steps(&[100]), "mei", Timestamp(0)).unwrap();
        assert_eq!((first, ramp.state), (100, RampState::Done));
    }

    #[test]
    fn bad_steps_are_refused() {
        for (percents, words) in [(&[][..], "1 to 20"), (&[101], "101 %"), (&[10, 10], "rise"), (&[50, 10], "rise")] {
            assert!(Ramp::start(steps(percents), "mei", Timestamp(0)).unwrap_err().contains(words), "{percents:?}");
        }
        let negative = vec![RampStep { percent: 1, hold_ms: -1 }];
        assert!(Ramp::start(negative, "mei", Timestamp(0)).unwrap_err().contains("held"));
    }
}
