//! The state machine of a ramp: `step(state, input, now)` gives the next state and what is to be done.
//!
//! Every state has an exit: a running or paused ramp can be stopped at any time, a due step without data is given up
//! after the guard's wait (or waits because its author said so), and from the three ends a new ramp may be started.

use tenfold_types::Timestamp;

use super::{Evidence, HOLD_MS_MAX, Ramp, RampState, Reading, Stance, TripAction, WaitAction, Watch};
use crate::Share;

/// A reading older than this many intervals says nothing any more.
const STALE_INTERVALS: i64 = 3;

#[derive(Debug, Clone, PartialEq)]
pub enum RampInput {
    /// Time has passed.
    Tick,
    /// The guard looked.
    Reading(Reading),
    Pause,
    Resume,
    /// To the next step now, by hand.
    Skip,
    /// To the step before, by hand; it pauses there.
    Back,
    /// Holds the step for so much longer.
    Extend(i64),
    Stop,
}

#[derive(Debug, Clone, PartialEq)]
pub enum RampEffect {
    /// The percentage is to be this.
    Step {
        percent: Share,
    },
    /// The last step was held to its end.
    Finished,
    Paused,
    Resumed,
    Extended {
        by_ms: i64,
    },
    Stopped {
        percent: Share,
    },
    /// A step is due, and there are no data to take it on. Said once for each step.
    Waiting {
        why: String,
    },
    /// The guard failed: `percent` is the step to go back to, or nothing to switch off.
    Tripped {
        percent: Option<Share>,
        evidence: Evidence,
    },
    /// The wait for data is over.
    GaveUp {
        action: WaitAction,
        evidence: Evidence,
    },
}

/// Why a hand's input is not taken, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub String);

impl Ramp {
    /// The ramp after `input`, and what is to be done. Only what a person asks for is ever refused.
    pub fn step(&self, input: &RampInput, now: Timestamp) -> Result<(Self, Vec<RampEffect>), Refused> {
        let mut ramp = self.clone();
        let mut effects = Vec::new();
        match input {
            RampInput::Tick => {
                if !ramp.give_up(now, &mut effects) {
                    ramp.go_on(now, &mut effects);
                }
            }
            RampInput::Reading(reading) => ramp.read(reading, now, &mut effects),
            by_hand => ramp.hand(by_hand, now, &mut effects)?,
        }
        Ok((ramp, effects))
    }

    fn hand(&mut self, input: &RampInput, now: Timestamp, effects: &mut Vec<RampEffect>) -> Result<(), Refused> {
        if !self.is_live() {
            return Err(Refused("no ramp runs".into()));
        }
        match input {
            RampInput::Pause if self.state == RampState::Paused => Err(Refused("the ramp is paused already".into())),
            RampInput::Pause => {
                self.pause(now);
                effects.push(RampEffect::Paused);
                Ok(())
            }
            RampInput::Resume if self.state == RampState::Running => Err(Refused("the ramp runs already".into())),
            RampInput::Resume => {
                self.state = RampState::Running;
                self.next_at = Some(now.plus_ms(self.remaining_ms.take().unwrap_or(0)));
                // What was seen before the pause does not count for the step that follows it.
                self.watch = Watch::default();
                effects.push(RampEffect::Resumed);
                Ok(())
            }
            RampInput::Skip => {
                self.advance(now, effects);
                Ok(())
            }
            RampInput::Back => {
                let Some(before) = self.position.checked_sub(1) else {
                    return Err(Refused("this is the first step; switch the flag off to go further back".into()));
                };
                self.enter(before, now);
                self.pause(now);
                effects.push(RampEffect::Step { percent: self.percent() });
                effects.push(RampEffect::Paused);
                Ok(())
            }
            RampInput::Extend(by_ms) => {
                if !(1..=HOLD_MS_MAX).contains(by_ms) {
                    return Err(Refused(format!("a step is held 1 to {HOLD_MS_MAX} milliseconds longer")));
                }
                if let Some(at) = &mut self.next_at {
                    *at = (*at).max(now).plus_ms(*by_ms);
                }
                if let Some(left) = &mut self.remaining_ms {
                    *left = left.saturating_add(*by_ms).min(HOLD_MS_MAX);
                }
                self.watch.waiting_since = None;
                effects.push(RampEffect::Extended { by_ms: *by_ms });
                Ok(())
            }
            RampInput::Stop | RampInput::Tick | RampInput::Reading(_) => {
                let percent = self.percent();
                self.stop();
                effects.push(RampEffect::Stopped { percent });
                Ok(())
            }
        }
    }

    fn pause(&mut self, now: Timestamp) {
        let left = self.next_at.map_or(0, |at| at.since_ms(now).max(0));
        self.state = RampState::Paused;
        self.next_at = None;
        self.remaining_ms = Some(left);
    }

    fn read(&mut self, reading: &Reading, now: Timestamp, effects: &mut Vec<RampEffect>) {
        if !self.is_live() || self.guard_now().is_none() {
            return;
        }
        self.watch.last = Some(reading.clone());
        self.watch.last_at = Some(now);
        match reading.stance() {
            Stance::Good => {
                self.watch.good = self.watch.good.saturating_add(1);
                self.watch.failing_since = None;
            }
            Stance::Failing => {
                let since = *self.watch.failing_since.get_or_insert(now);
                if now.since_ms(since) >= self.guard_now().map_or(0, |g| g.for_ms) {
                    return self.trip(reading, since, now, effects);
                }
            }
            // Neither good nor failing: what failed before has not become good.
            Stance::Unknown => {}
        }
        if !self.give_up(now, effects) {
            self.go_on(now, effects);
        }
    }

    fn evidence(&self, reading: &Reading, since: Timestamp, now: Timestamp) -> Option<Evidence> {
        let guard = self.guard_now()?;
        Some(Evidence {
            expr: guard.expr.clone(),
            condition: guard.condition.clone(),
            reading: reading.clone(),
            good: self.watch.good,
            for_ms: guard.for_ms,
            since,
            at: now,
            percent: self.percent(),
        })
    }

    fn trip(&mut self, reading: &Reading, since: Timestamp, now: Timestamp, effects: &mut Vec<RampEffect>) {
        let Some(evidence) = self.evidence(reading, since, now) else { return };
        let action = self.guard_now().map_or(TripAction::Off, |g| g.on_fail);
        self.evidence = Some(evidence.clone());
        let percent = match (action, self.position.checked_sub(1)) {
            (TripAction::StepBack, Some(before)) => {
                self.enter(before, now);
                self.pause(now);
                Some(self.percent())
            }
            (TripAction::StepBack, None) | (TripAction::Off, _) => {
                self.end(RampState::Tripped);
                None
            }
        };
        effects.push(RampEffect::Tripped { percent, evidence });
    }

    /// Takes the step that is due, if its guard lets it.
    fn go_on(&mut self, now: Timestamp, effects: &mut Vec<RampEffect>) {
        if self.state != RampState::Running || self.next_at.is_none_or(|at| now < at) {
            return;
        }
        match self.lacks(now) {
            None => self.advance(now, effects),
            // It will fail for good or recover; both say so themselves.
            Some(_) if self.watch.failing_since.is_some() && self.is_fresh(now) => {}
            Some(why) => {
                if self.watch.waiting_since.is_none() {
                    self.watch.waiting_since = Some(now);
                    effects.push(RampEffect::Waiting { why });
                }
            }
        }
    }

    fn advance(&mut self, now: Timestamp, effects: &mut Vec<RampEffect>) {
        if self.position + 1 < self.steps.len() {
            self.enter(self.position + 1, now);
            effects.push(RampEffect::Step { percent: self.percent() });
        } else {
            self.end(RampState::Done);
        }
        if self.state == RampState::Done {
            effects.push(RampEffect::Finished);
        }
    }

    /// What the guard of this step still wants; nothing when the next step may be taken.
    fn lacks(&self, now: Timestamp) -> Option<String> {
        let guard = self.guard_now()?;
        match &self.watch.last {
            _ if !self.is_fresh(now) => Some("the guard has no fresh reading".into()),
            Some(Reading::Failing { value, .. }) => Some(format!("{value} is not {}", guard.condition)),
            Some(other) if other.stance() != Stance::Good => other.words(),
            _ if self.watch.good < guard.readings_wanted() => {
                Some(format!("the guard has {} of {} good readings", self.watch.good, guard.readings_wanted()))
            }
            _ => None,
        }
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        let held_ms = now.since_ms(self.entered_at);
        let age_ms_max = self.guard_now().map_or(0, |g| g.look_every_ms(held_ms) * STALE_INTERVALS);
        self.watch.last_at.is_some_and(|at| now.since_ms(at) <= age_ms_max)
    }

    /// Ends the wait of a due step when it has lasted long enough; true when it did.
    fn give_up(&mut self, now: Timestamp, effects: &mut Vec<RampEffect>) -> bool {
        let (Some(since), Some(guard)) = (self.watch.waiting_since, self.guard_now()) else { return false };
        let (wait, action) = (guard.no_data.wait_ms_max, guard.no_data.then);
        let over = self.state == RampState::Running && now.since_ms(since) >= wait;
        let Some(why) = self.lacks(now).filter(|_| over && action != WaitAction::Hold) else { return false };
        let reading = match &self.watch.last {
            Some(last) if self.is_fresh(now) => last.clone(),
            _ => Reading::NoData { why },
        };
        let Some(evidence) = self.evidence(&reading, since, now) else { return false };
        self.evidence = Some(evidence.clone());
        match action {
            WaitAction::Off => self.end(RampState::Tripped),
            WaitAction::Page | WaitAction::Hold => {
                self.pause(now);
                self.watch.waiting_since = None;
            }
        }
        effects.push(RampEffect::GaveUp { action, evidence });
        true
    }
}
