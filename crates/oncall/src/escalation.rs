//! The state machine of an escalation: page a step's targets at once, wait, page the next, begin again as often as the
//! policy says, stop when somebody acknowledges or the incident is over. An acknowledgement may be for a time: then all
//! begins again as another round.
//!
//! The caller writes the new state and the pages of an effect in one transaction; that makes a page decided once. The
//! time runs from the moment a step is paged, so a server that was down does not page all overdue steps in a burst.

use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

use crate::policy::{Policy, PolicyStep, Target};

/// One escalation: the policy as it was when the incident opened, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    pub policy: Policy,
    pub progress: Progress,
    /// Which incident of its policy it is, from 0: where a step in turns begins.
    #[serde(default)]
    pub turn: u64,
    /// Its first step asks whoever deployed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub led: bool,
}

/// Who stands behind a target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    pub people: Vec<String>,
    /// Those who learn: they get a copy, and nobody waits for them.
    pub shadows: Vec<String>,
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
    Acknowledged {
        /// Without it whoever acknowledged has it until it is over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires: Option<Expiry>,
    },
    Resolved,
    /// Every step of every round was paged and nobody acknowledged.
    Exhausted,
}

/// The end of an acknowledgement that is not given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expiry {
    pub at: Timestamp,
    /// The round (from 0) that is gone through then: one behind all that were paged.
    pub round: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// Somebody has it, for good or until then. Said again, the last word counts.
    Acknowledged(Option<Expiry>),
    Resolved,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Page these people, each once; `step` and `round` count from 0.
    Page {
        step: usize,
        round: u32,
        people: Vec<String>,
        /// In copy; none of `people`.
        shadows: Vec<String>,
    },
    /// The step's targets name nobody who is on call; it was passed over without waiting.
    Nobody {
        step: usize,
        round: u32,
    },
    Exhausted,
    /// The time of the acknowledgement is over: nobody has it any more. What it leads to follows.
    Unacknowledged,
}

impl Escalation {
    /// A fresh escalation; its first step is due now.
    pub fn new(policy: Policy, now: Timestamp) -> Self {
        Self { policy, progress: Progress::Waiting { step: 0, round: 0, next_at: now }, turn: 0, led: false }
    }
    #[must_use]
    pub fn in_turn(self, turn: u64) -> Self {
        Self { turn, ..self }
    }
    /// When the next tick has something to do.
    pub fn next_at(&self) -> Option<Timestamp> {
        match self.progress {
            Progress::Waiting { next_at, .. } => Some(next_at),
            Progress::Acknowledged { expires } => expires.map(|e| e.at),
            Progress::Resolved | Progress::Exhausted => None,
        }
    }
    /// The same, to be put off.
    pub fn next_at_mut(&mut self) -> Option<&mut Timestamp> {
        match &mut self.progress {
            Progress::Waiting { next_at, .. } => Some(next_at),
            Progress::Acknowledged { expires } => expires.as_mut().map(|e| &mut e.at),
            Progress::Resolved | Progress::Exhausted => None,
        }
    }
    /// When the acknowledgement is over, if somebody has it for a time.
    pub fn expires_at(&self) -> Option<Timestamp> {
        match self.progress {
            Progress::Acknowledged { expires } => expires.map(|e| e.at),
            Progress::Waiting { .. } | Progress::Resolved | Progress::Exhausted => None,
        }
    }
}

/// Takes one input. `on_call` tells who stands behind a target at `now`; an answer without people passes the step over.
pub fn step(
    mut escalation: Escalation,
    input: &Input,
    now: Timestamp,
    on_call: &mut dyn FnMut(&Target) -> Answer,
) -> (Escalation, Vec<Effect>) {
    let mut effects = Vec::new();
    match (input, &escalation.progress) {
        (Input::Resolved, _) => escalation.progress = Progress::Resolved,
        (
            Input::Acknowledged(expires),
            Progress::Waiting { .. } | Progress::Exhausted | Progress::Acknowledged { .. },
        ) => {
            escalation.progress = Progress::Acknowledged { expires: *expires };
        }
        (Input::Tick, &Progress::Waiting { step, round, next_at }) if next_at <= now => {
            escalation.progress = advance(&escalation.policy, escalation.turn, step, round, now, on_call, &mut effects);
        }
        (Input::Tick, &Progress::Acknowledged { expires: Some(Expiry { at, round }) }) if at <= now => {
            effects.push(Effect::Unacknowledged);
            escalation.progress = advance(&escalation.policy, escalation.turn, 0, round, now, on_call, &mut effects);
        }
        _ => {}
    }
    (escalation, effects)
}

fn advance(
    policy: &Policy,
    turn: u64,
    mut step: usize,
    mut round: u32,
    now: Timestamp,
    on_call: &mut dyn FnMut(&Target) -> Answer,
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
        let Answer { people, shadows } = answer(current, turn + u64::from(round), on_call);
        if people.is_empty() {
            effects.push(Effect::Nobody { step, round });
            step += 1;
            continue;
        }
        effects.push(Effect::Page { step, round, people, shadows });
        return Progress::Waiting { step: step + 1, round, next_at: now.plus_ms(current.delay_ms) };
    }
}

/// Everybody behind a step's targets, each once; of a step in turns only the target whose turn it is, or the next one
/// that has somebody.
fn answer(step: &PolicyStep, turn: u64, on_call: &mut dyn FnMut(&Target) -> Answer) -> Answer {
    let n = step.targets.len();
    let first = if step.round_robin { usize::try_from(turn % n.max(1) as u64).unwrap_or(0) } else { 0 };
    let mut all = Answer::default();
    for target in step.targets.iter().cycle().skip(first).take(n) {
        let one = on_call(target);
        let somebody = !one.people.is_empty();
        append(&mut all.people, one.people);
        append(&mut all.shadows, one.shadows);
        if somebody && step.round_robin {
            break;
        }
    }
    all.shadows.retain(|s| !all.people.contains(s));
    all
}

fn append(all: &mut Vec<String>, more: Vec<String>) {
    for person in more {
        if !all.contains(&person) {
            all.push(person);
        }
    }
}
