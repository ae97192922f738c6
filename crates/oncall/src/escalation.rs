//! The state machine of an escalation: page a step's targets at once, wait, page the next, begin again as often as the
//! policy says, stop when somebody acknowledges or the incident is over. An acknowledgement may be for a time: then all
//! begins again as another round. Somebody may ask the next step without waiting, or hand the incident to a person: who does not
//! acknowledge in time is followed by the whole policy.
//!
//! The caller writes the new state and the pages of an effect in one transaction; that makes a page decided once. The
//! time runs from the moment a step is paged, so a server that was down does not page all overdue steps in a burst.

use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

use crate::policy::{Policy, PolicyStep, Target};

/// How long whoever an incident is handed to has, where no policy says how long its first step waits.
const HANDED_DELAY_MS: i64 = 300_000;

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
    /// Login of whom the incident is handed to, until they are paged: in place of a step, by the next tick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_to: Option<String>,
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
    /// Somebody waits no longer: this step of this round, both from 0, is paged by the next tick. Nobody has it any more. The
    /// place is that of [`Escalation::place_after`].
    Asked {
        step: usize,
        round: u32,
    },
    /// The next tick pages this person in a round of its own, one behind all that were paged. Nobody has it any more.
    HandedTo {
        person: String,
        round: u32,
    },
    Resolved,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Page these people, each once; `step` and `round` count from 0. A `step` one past the last is whoever it was handed to.
    Page {
        step: usize,
        round: u32,
        people: Vec<String>,
        /// In copy; none of `people`.
        shadows: Vec<String>,
    },
    /// The step's targets name nobody who is on call, or the one it was handed to is there no more; it was passed over without
    /// waiting.
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
        let progress = Progress::Waiting { step: 0, round: 0, next_at: now };
        Self { policy, progress, turn: 0, led: false, handed_to: None }
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
    /// The place, step and round from 0, that comes next where nobody waits any longer: behind `paged`, the place that was paged
    /// last, or the first of another round where no step is left.
    pub fn place_after(&self, paged: Option<(usize, u32)>) -> (usize, u32) {
        let (step, round) = match (&self.progress, paged) {
            (Progress::Waiting { step, round, .. }, _) => (*step, *round),
            // The steps behind it, if any, had nobody.
            (Progress::Exhausted, Some((_, round))) => (self.policy.steps.len(), round),
            (_, Some((step, round))) => (step + 1, round),
            (_, None) => (0, 0),
        };
        if step < self.policy.steps.len() { (step, round) } else { (0, round + 1) }
    }
    /// Whether a page at this step, from 0, is one of somebody to whom the incident was handed.
    pub fn is_handed(&self, step: usize) -> bool {
        step >= self.policy.steps.len()
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
            escalation.handed_to = None;
        }
        (
            Input::Asked { step, round },
            Progress::Waiting { .. } | Progress::Exhausted | Progress::Acknowledged { .. },
        ) => {
            escalation.progress = Progress::Waiting { step: *step, round: *round, next_at: now };
            escalation.handed_to = None;
        }
        (
            Input::HandedTo { person, round },
            Progress::Waiting { .. } | Progress::Exhausted | Progress::Acknowledged { .. },
        ) => {
            let step = escalation.policy.steps.len();
            escalation.progress = Progress::Waiting { step, round: *round, next_at: now };
            escalation.handed_to = Some(person.clone());
        }
        (Input::Tick, &Progress::Waiting { step, round, next_at }) if next_at <= now => {
            escalation.progress = match escalation.handed_to.take() {
                Some(person) => handed(&escalation, &person, round, now, on_call, &mut effects),
                None => advance(&escalation.policy, escalation.turn, step, round, now, on_call, &mut effects),
            };
        }
        (Input::Tick, &Progress::Acknowledged { expires: Some(Expiry { at, round }) }) if at <= now => {
            effects.push(Effect::Unacknowledged);
            escalation.progress = advance(&escalation.policy, escalation.turn, 0, round, now, on_call, &mut effects);
        }
        _ => {}
    }
    (escalation, effects)
}

/// Pages the one it is handed to. Behind them the whole policy comes as another round, at once where they are there no more.
fn handed(
    escalation: &Escalation,
    person: &str,
    round: u32,
    now: Timestamp,
    on_call: &mut dyn FnMut(&Target) -> Answer,
    effects: &mut Vec<Effect>,
) -> Progress {
    let policy = &escalation.policy;
    let step = policy.steps.len();
    let Answer { people, shadows } = on_call(&Target::person(person));
    if people.is_empty() {
        effects.push(Effect::Nobody { step, round });
        return advance(policy, escalation.turn, 0, round + 1, now, on_call, effects);
    }
    effects.push(Effect::Page { step, round, people, shadows });
    let delay_ms = policy.steps.first().map_or(HANDED_DELAY_MS, |first| first.delay_ms);
    Progress::Waiting { step: 0, round: round + 1, next_at: now.plus_ms(delay_ms) }
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
