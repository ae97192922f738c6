//! Who follows which expressions: which steps are due, what is evaluated once for all who wait for it, and what a slow
//! reader misses. Knows no clock and no store; the shell evaluates and comes back with [`Input::Done`].
//!
//! Keeps for each reader at most one answer an expression: whoever does not take it in time gets the newest instead, and is
//! told that something between was not sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tenfold_types::{ErrorCode, Fault, Timestamp};

/// Streams that may be open at a time; and of one session or token.
pub(super) const READERS_MAX: usize = 1_000;
pub(super) const READERS_OF_ONE_MAX: usize = 32;
/// Expressions that all streams together may follow.
pub(super) const FOLLOWED_MAX: usize = 5_000;
/// Evaluations at a time, so that what is asked by hand finds a place.
pub(super) const RUNNING_MAX: usize = 4;
/// Steps before the new one that are told again: samples come later than the instant they are of.
pub(super) const REVISED_STEPS: i64 = 2;
/// Steps that one evaluation covers at most, after a time in which none could be made.
pub(super) const STEPS_MAX: i64 = 60;

/// An expression at a step. `offset_ms` is how far after the multiples of the step its instants lie.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Followed {
    pub expr: Arc<str>,
    pub step_ms: i64,
    pub offset_ms: i64,
}

impl Followed {
    /// The newest step that is not after `now`.
    fn step_at(&self, now: Timestamp) -> i64 {
        (now.millis() - self.offset_ms).div_euclid(self.step_ms) * self.step_ms + self.offset_ms
    }
}

/// The steps of one evaluation, both ends inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    pub from_ms: i64,
    pub to_ms: i64,
    /// The first that was not told before.
    pub new_ms: i64,
}

pub(super) enum Input<N> {
    /// A reader that was admitted; its expressions by their place in its question.
    Join {
        reader: u64,
        of: String,
        wanted: Vec<Followed>,
    },
    Leave {
        reader: u64,
    },
    /// What an evaluation came to. A failed one is told too, and its steps are covered by the next.
    Done {
        evaluation: u64,
        news: Arc<N>,
        failed: bool,
    },
    Tick,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Evaluate { evaluation: u64, followed: Followed, steps: Steps },
    Wake { reader: u64 },
}

/// An answer that waits for its reader.
#[derive(Debug)]
pub struct Waiting<N> {
    /// The place of the expression in the reader's question.
    pub query: u32,
    pub news: Arc<N>,
    /// Steps before these were not sent.
    pub missed: bool,
}

struct Topic {
    readers: BTreeSet<(u64, u32)>,
    /// The newest step that was tried, and the newest that was told.
    tried_ms: i64,
    told_ms: i64,
    running: Option<u64>,
}

struct Held<N> {
    news: Arc<N>,
    /// The first step that the reader was not sent.
    needs_ms: i64,
    missed: bool,
}

struct Reader<N> {
    of: String,
    wanted: Vec<Followed>,
    held: BTreeMap<u32, Held<N>>,
}

pub(super) struct Following<N> {
    topics: BTreeMap<Followed, Topic>,
    readers: BTreeMap<u64, Reader<N>>,
    /// Evaluations under way, also those that nobody waits for any more.
    running: BTreeMap<u64, (Followed, Steps)>,
    evaluations: u64,
}

impl<N> Default for Following<N> {
    fn default() -> Self {
        Self { topics: BTreeMap::new(), readers: BTreeMap::new(), running: BTreeMap::new(), evaluations: 0 }
    }
}

impl<N> Following<N> {
    /// Whether one more stream finds room. `of` is the session or the token that it stands on.
    pub(super) fn admit(&self, of: &str, wanted: &[Followed]) -> Result<(), Fault> {
        let full = |what: String| Err(Fault::unavailable(what).advice("ask query_range from time to time instead"));
        if self.readers.len() >= READERS_MAX {
            return full(format!("{READERS_MAX} live streams are open, which is the most"));
        }
        if self.readers.values().filter(|reader| reader.of == of).count() >= READERS_OF_ONE_MAX {
            let text =
                format!("{READERS_OF_ONE_MAX} live streams of this session or token are open, which is the most");
            return Err(Fault::new(ErrorCode::TooMany, text).advice("close pages that nobody looks at"));
        }
        let new = wanted.iter().filter(|f| !self.topics.contains_key(*f)).collect::<BTreeSet<_>>().len();
        if self.topics.len() + new > FOLLOWED_MAX {
            return full(format!("live streams follow {FOLLOWED_MAX} expressions at most, and these would be more"));
        }
        Ok(())
    }

    pub(super) fn step(&mut self, input: Input<N>, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Join { reader, of, wanted } => self.join(reader, of, wanted, now),
            Input::Leave { reader } => self.leave(reader),
            Input::Done { evaluation, news, failed } => {
                self.done(evaluation, &news, failed, &mut effects);
                self.start_due(now, &mut effects);
            }
            Input::Tick => self.start_due(now, &mut effects),
        }
        effects
    }

    fn join(&mut self, id: u64, of: String, wanted: Vec<Followed>, now: Timestamp) {
        for (query, followed) in (0u32..).zip(&wanted) {
            let step = followed.step_at(now);
            let topic = self.topics.entry(followed.clone()).or_insert_with(|| Topic {
                readers: BTreeSet::new(),
                tried_ms: step,
                told_ms: step,
                running: None,
            });
            topic.readers.insert((id, query));
        }
        self.readers.insert(id, Reader { of, wanted, held: BTreeMap::new() });
    }

    fn leave(&mut self, id: u64) {
        let Some(reader) = self.readers.remove(&id) else { return };
        for (query, followed) in (0u32..).zip(&reader.wanted) {
            let Some(topic) = self.topics.get_mut(followed) else { continue };
            topic.readers.remove(&(id, query));
            if topic.readers.is_empty() {
                self.topics.remove(followed);
            }
        }
    }

    fn done(&mut self, evaluation: u64, news: &Arc<N>, failed: bool, effects: &mut Vec<Effect>) {
        let Some((followed, steps)) = self.running.remove(&evaluation) else { return };
        // Left by all, or left and taken up again, meanwhile.
        let Some(topic) = self.topics.get_mut(&followed).filter(|t| t.running == Some(evaluation)) else { return };
        topic.running = None;
        if !failed {
            topic.told_ms = steps.to_ms;
        }
        for (id, query) in &topic.readers {
            let Some(reader) = self.readers.get_mut(id) else { continue };
            if reader.held.is_empty() {
                effects.push(Effect::Wake { reader: *id });
            }
            let needs_ms = reader.held.get(query).map_or(steps.new_ms, |held| held.needs_ms);
            let missed = steps.from_ms > needs_ms;
            reader.held.insert(*query, Held { news: news.clone(), needs_ms, missed });
        }
    }

    /// Begins what is due, the longest overdue first.
    fn start_due(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let mut due: Vec<(i64, Followed)> = Vec::new();
        for (followed, topic) in &mut self.topics {
            let step = followed.step_at(now);
            if topic.tried_ms > step {
                // The clock was set back.
                (topic.tried_ms, topic.told_ms) = (step, step.min(topic.told_ms));
            }
            if topic.running.is_none() && step > topic.tried_ms {
                due.push((topic.tried_ms + followed.step_ms, followed.clone()));
            }
        }
        due.sort_unstable();
        due.truncate(RUNNING_MAX.saturating_sub(self.running.len()));
        for (_, followed) in due {
            let Some(topic) = self.topics.get_mut(&followed) else { continue };
            let step_ms = followed.step_ms;
            let to_ms = followed.step_at(now);
            let new_ms = topic.told_ms + step_ms;
            let from_ms = (to_ms - (STEPS_MAX - 1) * step_ms).max(new_ms - REVISED_STEPS * step_ms);
            let steps = Steps { from_ms, to_ms, new_ms };
            self.evaluations += 1;
            (topic.tried_ms, topic.running) = (to_ms, Some(self.evaluations));
            self.running.insert(self.evaluations, (followed.clone(), steps));
            effects.push(Effect::Evaluate { evaluation: self.evaluations, followed, steps });
        }
    }

    /// What waits for a reader, which then waits no longer.
    pub(super) fn take(&mut self, reader: u64) -> Vec<Waiting<N>> {
        let held = self.readers.get_mut(&reader).map(|reader| std::mem::take(&mut reader.held)).unwrap_or_default();
        held.into_iter().map(|(query, held)| Waiting { query, news: held.news, missed: held.missed }).collect()
    }

    /// When the next step is due of what is not being evaluated. `None` when nobody follows anything, and while no more may
    /// be begun: then the end of an evaluation begins the next.
    pub(super) fn next_due_ms(&self) -> Option<i64> {
        if self.running.len() >= RUNNING_MAX {
            return None;
        }
        let waiting = self.topics.iter().filter(|(_, topic)| topic.running.is_none());
        waiting.map(|(followed, topic)| topic.tried_ms + followed.step_ms).min()
    }

    /// Readers, and the different expressions they follow.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.readers.len(), self.topics.len())
    }
}
