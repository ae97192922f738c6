//! What the programs behind a webhook may rely on: they hear of what fires and of its end, also when the server is killed while
//! it tells them, or before it has stored what they took. Only what was muted since may be kept from them.

use super::model::Known;
use super::settle::BOUND_MS;
use super::words::LANES;

/// Between two looks at one of their groups, as the routing has it.
const LOOKED_AT_MS: i64 = 10_000;

/// What they know of an alert, and what they are owed of it.
#[derive(Debug, Clone, Copy, Default)]
struct Of {
    /// It fires, or is over, as they were told last.
    fires: Option<bool>,
    told_ms: i64,
    /// Since when it is known to fire.
    since_ms: Option<i64>,
    /// Its group was looked at in this life, since it is known to fire.
    looked_at: bool,
    told: bool,
    /// Its end was asked for, and it fired over a look without their being told: since when.
    ending_ms: Option<i64>,
    /// It is over, as was answered, and they have not heard of it at all.
    owed: bool,
}

#[derive(Debug, Default)]
pub struct Programs {
    of: [Of; LANES.len()],
    /// When a tick began beside which nobody has asked anything so far.
    undisturbed_ms: Option<i64>,
}

impl Programs {
    /// They have a message about these lanes, each with whether it fires.
    pub fn posted(&mut self, lanes: &[(usize, bool)], now_ms: i64) {
        for (lane, fires) in lanes {
            let of = &mut self.of[*lane];
            (of.fires, of.told_ms) = (Some(*fires), now_ms);
            (of.told, of.ending_ms, of.owed) = (true, None, false);
        }
    }

    /// Somebody asks for something.
    pub fn disturbed(&mut self) {
        self.undisturbed_ms = None;
    }

    /// It may be muted when it fires again, and then nobody hears of it.
    pub fn fire_asked(&mut self, lane: usize) {
        self.of[lane].owed = false;
    }

    pub fn fire_answered(&mut self, lane: usize, now_ms: i64) {
        let of = &mut self.of[lane];
        if of.since_ms.is_none() {
            (of.since_ms, of.looked_at, of.told) = (Some(now_ms), false, false);
        }
    }

    pub fn end_asked(&mut self, lane: usize) {
        let of = &mut self.of[lane];
        let since_ms = of.since_ms.take();
        of.ending_ms = since_ms.filter(|_| of.looked_at && !of.told);
        of.looked_at = false;
    }

    pub fn end_answered(&mut self, lane: usize, known: &Known) {
        let of = &mut self.of[lane];
        of.owed |= of.ending_ms.take().is_some_and(|since_ms| known.muted_ms < since_ms);
    }

    pub fn tick_begins(&mut self, now_ms: i64) {
        self.undisturbed_ms = Some(now_ms);
    }

    pub fn tick_ends(&mut self, well: bool) {
        let Some(began_ms) = self.undisturbed_ms.take().filter(|_| well) else { return };
        for of in &mut self.of {
            of.looked_at |= of.since_ms.is_some_and(|since_ms| began_ms - since_ms >= LOOKED_AT_MS);
        }
    }

    pub fn killed(&mut self) {
        self.undisturbed_ms = None;
        for of in &mut self.of {
            (of.looked_at, of.ending_ms) = (false, None);
        }
    }

    /// After a life that rested: what they were told last is what was promised.
    pub fn rested(&self, lanes: &[Known; LANES.len()], now_ms: i64) -> Result<(), String> {
        for ((lane, of), known) in LANES.iter().zip(&self.of).zip(lanes).filter(|((lane, _), _)| lane.to_programs()) {
            let fires = of.fires == Some(true);
            // What began to be told before a mute may have been put aside by it.
            let end_is_owed = known.muted_ms < of.told_ms;
            match known.promised {
                Some(true) if !fires && now_ms - known.muted_ms >= BOUND_MS => {
                    return Err(format!("{lane:?} fires, and the programs do not know it: {of:?}"));
                }
                Some(false) if fires && end_is_owed => {
                    return Err(format!("{lane:?} is over, as was answered, and the programs do not know it: {of:?}"));
                }
                Some(false) if of.owed => {
                    return Err(format!("{lane:?} fired and is over, and the programs never heard of it: {of:?}"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANE: usize = 3;

    fn promised(promised: Option<bool>, muted_ms: i64) -> [Known; LANES.len()] {
        [Known { promised, perhaps: false, muted_ms }; LANES.len()]
    }

    #[test]
    fn an_end_is_owed_to_those_who_know_that_it_fires() {
        let over = promised(Some(false), -1);
        let mut programs = Programs::default();
        programs.posted(&[(LANE, true)], 0);
        programs.rested(&over, 0).expect_err("they know that it fires");
        programs.rested(&promised(Some(false), 5), 9).expect("it was muted since");
        programs.killed();
        programs.rested(&over, 0).expect_err("a kill takes nothing back");
        programs.posted(&[(LANE, false)], 1);
        programs.rested(&over, 1).expect("they know it");
    }

    #[test]
    fn what_fired_over_a_look_is_heard_of_at_least_once() {
        let over = promised(Some(false), -1);
        let fired = |looked_at: bool, muted_ms: i64| {
            let mut programs = Programs::default();
            programs.fire_answered(LANE, 0);
            programs.tick_begins(LOOKED_AT_MS);
            if !looked_at {
                programs.disturbed();
            }
            programs.tick_ends(true);
            programs.end_asked(LANE);
            programs.end_answered(LANE, &promised(None, muted_ms)[LANE]);
            programs
        };
        fired(true, -1).rested(&over, 0).expect_err("nobody told them");
        fired(false, -1).rested(&over, 0).expect("its group was perhaps not looked at");
        fired(true, 5).rested(&over, 0).expect("it was muted");
        let mut told = fired(true, -1);
        told.killed();
        told.rested(&over, 0).expect_err("a kill takes nothing back");
        told.posted(&[(LANE, false)], 9);
        told.rested(&over, 9).expect("they were told");
    }

    #[test]
    fn what_fires_is_known_to_them() {
        let mut programs = Programs::default();
        programs.rested(&promised(Some(true), 0), BOUND_MS).expect_err("nobody told them");
        programs.rested(&promised(Some(true), 1), BOUND_MS).expect("it was muted not long ago");
        let lanes: Vec<_> = (0..LANES.len()).map(|lane| (lane, true)).collect();
        programs.posted(&lanes, 0);
        programs.rested(&promised(Some(true), 0), BOUND_MS).expect("they know it");
        programs.posted(&[(LANE, false)], 1);
        programs.rested(&promised(Some(true), 0), BOUND_MS).expect_err("they know that it is over");
        programs.killed();
        programs.rested(&promised(Some(true), 0), BOUND_MS).expect_err("a kill takes nothing back");
    }
}
