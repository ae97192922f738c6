//! The state machine of an escalation: page a step's targets at once, wait, page the next, begin again as often as the
//! policy says, stop when somebody acknowledges or the incident is over.
//!
//! The caller writes the new state and the pages of an effect in one transaction; that makes a page decided once. The
//! time runs from the moment a step is paged, so a server that was down does not page all overdue steps in a burst.

use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

use crate::policy::{Policy, Target};

/// One escalation: the policy as it was when the incident opened, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    pub policy: Policy,
    pub progress: Progress,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Progress {
    /// `step` (from 0) of `round` (from 0) is the next to be paged, at `next_at`. When `step` is one past the last,
    /// the round ends then.
    Waiting {
        step: usize,
        round: u32,
        next_at: Timestamp,
    },
    Acknowledged,
    Resolved,
    /// Every step of every round was paged and nobody acknowledged.
    Exhausted,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Time has passed.
    Tick,
    Acknowledged,
    Resolved,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Page these people, each once; `step` and `round` count from 0.
    Page {
        step: usize,
        round: u32,
        people: Vec<String>,
    },
    /// The step's targets name nobody who is on call; it was passed over without waiting.
    Nobody {
        step: usize,
        round: u32,
    },
    Exhausted,
}

impl Escalation {
    /// A fresh escalation; its first step is due now.
    pub fn new(policy: Policy, now: Timestamp) -> Self {
        Self { policy, progress: Progress::Waiting { step: 0, round: 0, next_at: now } }
    }
    /// When the next tick has something to do.
    pub fn next_at(&self) -> Option<Timestamp> {
        match self.progress {
            Progress::Waiting { next_at, .. } => Some(next_at),
            Progress::Acknowledged | Progress::Resolved | Progress::Exhausted => None,
        }
    }
}

/// Takes one input. `on_call` tells who stands behind a target at `now`; an empty answer passes the step over.
pub fn step(
    mut escalation: Escalation,
    input: &Input,
    now: Timestamp,
    on_call: &mut dyn FnMut(&Target) -> Vec<String>,
) -> (Escalation, Vec<Effect>) {
    let mut effects = Vec::new();
    match (input, &escalation.progress) {
        (Input::Resolved, _) => escalation.progress = Progress::Resolved,
        (Input::Acknowledged, Progress::Waiting { .. } | Progress::Exhausted) => {
            escalation.progress = Progress::Acknowledged;
        }
        (Input::Tick, &Progress::Waiting { step, round, next_at }) if next_at <= now => {
            escalation.progress = advance(&escalation.policy, step, round, now, on_call, &mut effects);
        }
        _ => {}
    }
    (escalation, effects)
}

fn advance(
    policy: &Policy,
    mut step: usize,
    mut round: u32,
    now: Timestamp,
    on_call: &mut dyn FnMut(&Target) -> Vec<String>,
    effects: &mut Vec<Effect>,
) -> Progress {
    loop {
        let Some(current) = policy.steps.get(step) else {
            if round >= policy.repeat {
                effects.push(Effect::Exhausted);
                return Progress::Exhausted;
            }
            step = 0;
            round += 1;
            continue;
        };
        let mut people: Vec<String> = Vec::new();
        for person in current.targets.iter().flat_map(&mut *on_call) {
            if !people.contains(&person) {
                people.push(person);
            }
        }
        if people.is_empty() {
            effects.push(Effect::Nobody { step, round });
            step += 1;
            continue;
        }
        effects.push(Effect::Page { step, round, people });
        return Progress::Waiting { step: step + 1, round, next_at: now.plus_ms(current.delay_ms) };
    }
}
