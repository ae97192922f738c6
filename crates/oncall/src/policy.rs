//! An escalation policy: whom to page, in which order, and how long each step waits for an acknowledgement.

use serde::{Deserialize, Serialize};

pub const STEPS_MAX: usize = 10;
pub const TARGETS_PER_STEP_MAX: usize = 20;
pub const REPEAT_MAX: u32 = 10;
pub const DELAY_MS_MIN: i64 = 1_000;
pub const DELAY_MS_MAX: i64 = 24 * 3_600_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetKind {
    /// Whoever is on call in it at the moment of paging.
    Schedule,
    Person,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub kind: TargetKind,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyStep {
    /// How long this step, once paged, waits for an acknowledgement before the next one is paged.
    pub delay_ms: i64,
    pub targets: Vec<Target>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub name: String,
    pub steps: Vec<PolicyStep>,
    /// How many more times the whole is gone through when nobody acknowledged.
    #[serde(default)]
    pub repeat: u32,
}

impl Policy {
    /// # Errors
    /// One sentence naming the step that is wrong and the limit.
    pub fn check(&self) -> Result<(), String> {
        if self.steps.is_empty() || self.steps.len() > STEPS_MAX {
            return Err(format!("a policy has 1 to {STEPS_MAX} steps, this one has {}", self.steps.len()));
        }
        if self.repeat > REPEAT_MAX {
            return Err(format!("a policy repeats at most {REPEAT_MAX} times, not {}", self.repeat));
        }
        for (i, step) in self.steps.iter().enumerate() {
            let n = i + 1;
            if !(DELAY_MS_MIN..=DELAY_MS_MAX).contains(&step.delay_ms) {
                let given = step.delay_ms;
                return Err(format!("step {n} waits {DELAY_MS_MIN} to {DELAY_MS_MAX} ms, not {given}"));
            }
            if step.targets.is_empty() || step.targets.len() > TARGETS_PER_STEP_MAX {
                let given = step.targets.len();
                return Err(format!("step {n} has 1 to {TARGETS_PER_STEP_MAX} targets, not {given}"));
            }
        }
        Ok(())
    }
}
