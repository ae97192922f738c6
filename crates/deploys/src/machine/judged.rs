//! The judge behind the canary: it is asked every few seconds while the canary is watched. Worse goes back at once, not
//! worse goes on after the least time, and what is neither when the time is over is held or goes back: never a pass.

use serde::{Deserialize, Serialize};
use tenfold_judge::{Report, Verdict};
use tenfold_types::Timestamp;

use super::{Effect, Fact, Locker, host::HostState, run::State, step::Machine};
use crate::{
    pipeline::{CanaryJudge, Inconclusive},
    plan::CHECK_MS,
};

/// Points of the evidence that are kept with a deploy.
const POINTS_MAX: usize = 120;

/// What the judge said at one look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// While it is undecided the verdict is what it would have to say if nothing more were seen.
    pub verdict: Verdict,
    /// In words, with the numbers.
    pub said: String,
    /// Absent when it could not be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
}

/// A canary that is watched by the judge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    /// When all canaries were healthy. Evidence counts from here, also after a restart of the server.
    pub since: Timestamp,
    /// When to ask next, or to ask again because no answer came.
    pub ask_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Judgement>,
}

impl Judgement {
    fn kept(mut self) -> Self {
        self.report = self.report.take().map(|report| report.thinned(POINTS_MAX));
        self
    }
}

impl Machine {
    /// Watches healthy canaries: asks the judge when it is time, and gives up when no answer came in all the time.
    pub(super) fn watch(&mut self, judge: &CanaryJudge) {
        let now = self.now;
        let watch = self
            .run
            .watch
            .get_or_insert_with(|| Box::new(Watch { since: now, ask_at: now.plus_ms(every_ms(judge)), last: None }));
        let since = watch.since;
        if now >= since.plus_ms(max_ms(judge) + CHECK_MS) && self.run.state == State::Canary {
            let said = watch.last.as_ref().map_or("it gave no answer in time", |last| last.said.as_str()).to_owned();
            return self.inconclusive(judge.on_inconclusive, &said);
        }
        if now >= watch.ask_at {
            watch.ask_at = now.plus_ms(CHECK_MS);
            self.effects.push(Effect::RunJudge { since });
        }
    }

    /// Canaries are not all known to be well. Where only an agent's connection is away (the server was, perhaps), the
    /// release goes on serving and what was counted stays; else the next watch begins at nothing.
    pub(super) fn interrupt_watch(&mut self) {
        let away_only = self.run.hosts.iter().filter(|h| h.canary).all(|h| h.state == HostState::Healthy);
        match (&mut self.run.watch, &self.run.plan.judge) {
            (Some(watch), Some(judge)) if away_only => watch.ask_at = self.now.plus_ms(every_ms(judge)),
            _ => self.end_watch(),
        }
    }

    /// An answer about another watch (the canary left and came back in between) says nothing of this one.
    pub(super) fn judged(&mut self, since: Timestamp, judgement: Judgement) {
        let Some(judge) = self.run.plan.judge.clone() else { return };
        let (now, state) = (self.now, self.run.state);
        if !matches!(state, State::Canary | State::Held) {
            return;
        }
        let Some(watch) = self.run.watch.as_mut().filter(|w| w.since == since) else { return };
        let verdict = judgement.verdict;
        let judgement = judgement.kept();
        watch.ask_at = now.plus_ms(every_ms(&judge));
        watch.last = Some(judgement.clone());
        let is_over = now >= since.plus_ms(max_ms(&judge));
        let held_long_enough = self.run.hold_until.is_some_and(|until| now >= until) && !self.run.canary_is_away();
        match verdict {
            Verdict::Worse => {
                let why = format!("the judge found the canary worse: {}", judgement.said);
                self.say(Fact::Judged { judgement: Box::new(judgement) });
                self.roll_back_for(Locker::Judge, why);
            }
            // A held deploy is a person's to promote, and one whose query is out waits for the answer.
            _ if state == State::Held || self.run.check_until.is_some() => {}
            Verdict::NotWorse if held_long_enough => {
                let said = judgement.said.clone();
                self.say(Fact::Judged { judgement: Box::new(judgement) });
                if self.run.plan.check.is_none() {
                    return self.canary_passed(said);
                }
                self.ask_check();
            }
            Verdict::NotWorse => {}
            _ if is_over => {
                let said = judgement.said.clone();
                self.say(Fact::Judged { judgement: Box::new(judgement) });
                self.inconclusive(judge.on_inconclusive, &said);
            }
            _ => {}
        }
    }

    fn inconclusive(&mut self, then: Inconclusive, said: &str) {
        let why = format!("the judge cannot tell whether the canary is good: {said}");
        match then {
            Inconclusive::Rollback => self.roll_back_for(Locker::Judge, why),
            Inconclusive::Hold => self.hold(why),
            Inconclusive::PromoteNeedsPerson => {
                let watch = self.run.watch.take();
                self.hold(why);
                self.run.watch = watch;
            }
        }
    }
}

fn every_ms(judge: &CanaryJudge) -> i64 {
    i64::from(judge.every_s) * 1000
}

fn max_ms(judge: &CanaryJudge) -> i64 {
    i64::from(judge.max_s) * 1000
}
