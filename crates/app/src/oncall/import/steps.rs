//! The steps of a policy, gathered as a source tells them.

use tenfold_oncall::{DELAY_MS_MAX, DELAY_MS_MIN, PolicyStep, STEPS_MAX, TARGETS_PER_STEP_MAX, Target};

/// How long the last step of a policy waits, where nothing says.
const LAST_STEP_MS: i64 = 300_000;

/// The steps of a policy as they come: who is paged, then how long nobody else is.
#[derive(Default)]
pub struct Steps {
    steps: Vec<PolicyStep>,
}

impl Steps {
    /// Pages these too, or next when somebody has been waited for.
    pub fn page(&mut self, targets: Vec<Target>, round_robin: bool) {
        if targets.is_empty() {
            return;
        }
        if let Some(last) = self.steps.last_mut().filter(|s| s.delay_ms == 0) {
            if !round_robin && !last.round_robin {
                for target in targets {
                    if !last.targets.contains(&target) {
                        last.targets.push(target);
                    }
                }
                return;
            }
            last.delay_ms = DELAY_MS_MIN;
        }
        self.steps.push(PolicyStep { delay_ms: 0, targets, round_robin });
    }

    pub fn wait(&mut self, ms: i64) {
        if let Some(last) = self.steps.last_mut() {
            last.delay_ms = last.delay_ms.saturating_add(ms.max(0));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub fn finished(mut self) -> (Vec<PolicyStep>, Vec<String>) {
        let mut lost = Vec::new();
        if self.steps.len() > STEPS_MAX {
            lost.push(format!("has {} steps, a policy at most {STEPS_MAX}; the rest is left out", self.steps.len()));
            self.steps.truncate(STEPS_MAX);
        }
        for step in &mut self.steps {
            if step.delay_ms == 0 {
                step.delay_ms = LAST_STEP_MS;
            }
            if step.delay_ms > DELAY_MS_MAX {
                lost.push("a step waits longer than 24 h; it waits 24 h".to_owned());
            }
            step.delay_ms = step.delay_ms.clamp(DELAY_MS_MIN, DELAY_MS_MAX);
            if step.targets.len() > TARGETS_PER_STEP_MAX {
                lost.push(format!("a step pages more than {TARGETS_PER_STEP_MAX} targets; the rest is left out"));
                step.targets.truncate(TARGETS_PER_STEP_MAX);
            }
        }
        (self.steps, lost)
    }
}
