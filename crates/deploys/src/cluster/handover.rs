//! The machine: what is wanted of the cluster, what was last seen of it, and the one write that is under way.

use std::collections::BTreeMap;

use tenfold_types::Timestamp;

use super::{Change, Effect, Input, Pause, Phase, Refusal, Release, Seen, later};
use crate::machine::{Input as DeployInput, Running};
use crate::manifest::Digest;

/// The first pause after a failure; doubled with each, up to the last.
const PAUSE_MS_MIN: i64 = 250;
const PAUSE_MS_MAX: i64 = 10_000;
/// Conflicts in a row before somebody else is taken to be at work all the time.
const CONFLICTS_MAX: u32 = 10;

#[derive(Debug, Clone, PartialEq)]
enum Goal {
    /// Nothing is wanted; whatever changes is told.
    Rest,
    Reach {
        release: Box<Release>,
        full: bool,
    },
    Back {
        digest: Digest,
    },
    Gone,
    /// It stands where it is.
    Hold,
}

/// One deploy's hold on one thing of a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Handover {
    epoch: i64,
    places: Vec<String>,
    goal: Goal,
    /// Places that wait for an answer, and until when.
    pending: BTreeMap<usize, Timestamp>,
    /// Places whose check is under way.
    checking: Vec<usize>,
    checked: Option<Digest>,
    /// What we have seen on its way or set: an abort of it is somebody's word.
    moved: Option<Digest>,
    /// We were told to pause it: counts where it does not say itself who did.
    paused: bool,
    seen: Option<Seen>,
    told: Vec<Option<Running>>,
    away: bool,
    writing: Option<Change>,
    pause_until: Option<Timestamp>,
    failures: u32,
    conflicts: u32,
    said: String,
    /// Of the newest snapshot or write.
    order: u64,
}

impl Handover {
    /// `places` are the deploy's hosts, in the order they are reached.
    pub fn new(epoch: i64, places: Vec<String>) -> Self {
        let told = vec![None; places.len()];
        Self {
            epoch,
            places,
            goal: Goal::Rest,
            pending: BTreeMap::new(),
            checking: Vec::new(),
            checked: None,
            moved: None,
            paused: false,
            seen: None,
            told,
            away: false,
            writing: None,
            pause_until: None,
            failures: 0,
            conflicts: 0,
            said: String::new(),
            order: 0,
        }
    }

    /// Where we paused the thing before: a hold of a deploy that this one takes over, or of before a restart.
    #[must_use]
    pub fn after_pause(self, paused: bool) -> Self {
        Self { paused, ..self }
    }

    /// When `Input::Tick` is due.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let pause = self.pause_until.filter(|_| self.goal != Goal::Rest);
        self.pending.values().copied().chain(pause).min()
    }

    pub fn seen(&self) -> Option<&Seen> {
        self.seen.as_ref()
    }

    /// What a place runs, by a snapshot.
    pub fn running(seen: &Seen, place: usize) -> Running {
        let Some(release) = &seen.release else { return Running::Nothing };
        if place < seen.reached {
            // a step that was reached stands as long as one pod of it does
            let stands = seen.ready() > 0 || !seen.pods.iter().any(|p| p.is_new);
            let healthy = seen.phase == Phase::Done || (stands && !matches!(seen.phase, Phase::Failed { .. }));
            return Running::Release { digest: release.digest, healthy };
        }
        match seen.stable.filter(|stable| *stable != release.digest) {
            Some(digest) => Running::Release { digest, healthy: true },
            None => Running::Release { digest: release.digest, healthy: false },
        }
    }
}

/// One step. Effects are carried out after it, in order.
pub fn step(state: &Handover, input: Input, now: Timestamp) -> (Handover, Vec<Effect>) {
    let mut m = Machine { s: state.clone(), effects: Vec::new(), observed: Vec::new(), now };
    m.take(input);
    m.expire();
    m.advance();
    // why an order failed comes before what it left behind
    m.effects.append(&mut m.observed);
    (m.s, m.effects)
}

const fn pause_ms(times: u32) -> i64 {
    let times = times.saturating_sub(1);
    let pause = PAUSE_MS_MIN << if times > 10 { 10 } else { times };
    if pause > PAUSE_MS_MAX { PAUSE_MS_MAX } else { pause }
}

struct Machine {
    s: Handover,
    effects: Vec<Effect>,
    observed: Vec<Effect>,
    now: Timestamp,
}

impl Machine {
    fn take(&mut self, input: Input) {
        match input {
            Input::Check { place, release } => {
                if self.s.checked == Some(release.digest) && self.s.checking.is_empty() {
                    return self.tell_staged(place, release.digest);
                }
                self.s.checking.push(place);
                if self.s.checking.len() == 1 {
                    self.s.checked = Some(release.digest);
                    self.effects.push(Effect::Check(release));
                }
            }
            Input::Checked(answer) => self.checked(answer),
            Input::Reach { place, release, full, within_ms } => {
                let goes_on = matches!(&self.s.goal, Goal::Reach { release: before, .. } if *before == release);
                if !goes_on {
                    self.aim(Goal::Reach { release, full });
                }
                self.s.pending.insert(place, later(self.now, within_ms));
            }
            Input::Restore { place, digest, within_ms } => {
                if self.s.goal != (Goal::Back { digest }) {
                    self.aim(Goal::Back { digest });
                }
                self.s.pending.insert(place, later(self.now, within_ms));
            }
            Input::Remove { place, within_ms } => {
                if self.s.goal != Goal::Gone {
                    self.aim(Goal::Gone);
                }
                self.s.pending.insert(place, later(self.now, within_ms));
            }
            Input::Hold => {
                self.aim(Goal::Hold);
                self.s.paused = true;
            }
            Input::Seen(seen) => self.look(*seen),
            Input::Away { error } => {
                if !self.s.away {
                    self.s.away = true;
                    self.effects.push(Effect::Say(format!("it cannot be asked: {error}")));
                    for host in self.s.places.clone() {
                        self.effects.push(Effect::Tell(DeployInput::Lost { host }));
                    }
                }
            }
            Input::Written { order } => {
                match self.s.writing.take() {
                    Some(Change::Resume) => self.s.paused = false,
                    // also where it was asked for before a resumption had been answered
                    Some(Change::Pause) => self.s.paused = true,
                    _ => {}
                }
                self.s.failures = 0;
                self.s.conflicts = 0;
                // what was seen is older than what was written, and what is still on its way here may be as well
                self.s.seen = None;
                self.s.order = self.s.order.max(order);
                self.effects.push(Effect::Look);
            }
            Input::Failed(refusal) => self.failed(refusal),
            Input::Tick => {}
        }
    }

    fn aim(&mut self, goal: Goal) {
        self.s.goal = goal;
        self.s.pending.clear();
        self.s.pause_until = None;
        (self.s.failures, self.s.conflicts) = (0, 0);
    }

    fn tell_staged(&mut self, place: usize, digest: Digest) {
        if let Some(host) = self.s.places.get(place).cloned() {
            self.effects.push(Effect::Tell(DeployInput::Staged { host, digest }));
        }
    }

    fn checked(&mut self, answer: Result<String, Refusal>) {
        let places = std::mem::take(&mut self.s.checking);
        let Some(digest) = self.s.checked else { return };
        let error = match answer {
            Ok(said) => {
                self.effects.push(Effect::Say(said));
                for place in places {
                    self.tell_staged(place, digest);
                }
                return;
            }
            Err(Refusal::Conflict) => "somebody else changes it at this moment".to_owned(),
            Err(Refusal::Passing { error, .. } | Refusal::Final { error }) => error,
        };
        self.s.checked = None;
        for place in places {
            self.tell_failed(place, Some(digest), error.clone());
        }
    }

    fn tell_failed(&mut self, place: usize, digest: Option<Digest>, error: String) {
        let Some(host) = self.s.places.get(place).cloned() else { return };
        let running = self.s.seen.as_ref().map_or(Running::Unknown, |seen| Handover::running(seen, place));
        self.effects.push(Effect::Tell(DeployInput::HostFailed { host, digest, error, running }));
    }

    fn look(&mut self, seen: Seen) {
        // two askers may overtake each other, and a write what was asked before it
        if seen.order != 0 && seen.order < self.s.order {
            return;
        }
        self.s.order = seen.order;
        let back = std::mem::replace(&mut self.s.away, false);
        if back {
            // the deploy gives its orders again
            self.s.pending.clear();
            if self.s.goal != Goal::Hold {
                self.s.goal = Goal::Rest;
            }
            self.s.told = vec![None; self.s.places.len()];
        }
        for (place, host) in self.s.places.clone().into_iter().enumerate() {
            let running = Handover::running(&seen, place);
            if self.s.told.get(place) == Some(&Some(running)) {
                continue;
            }
            self.s.told[place] = Some(running);
            if back {
                self.effects.push(Effect::Tell(DeployInput::Back { host, running }));
            } else {
                self.observed.push(Effect::Tell(DeployInput::Observed { host, running }));
            }
        }
        self.s.seen = Some(seen);
    }

    fn failed(&mut self, refusal: Refusal) {
        let change = self.s.writing.take();
        match refusal {
            Refusal::Conflict if self.s.conflicts < CONFLICTS_MAX => {
                self.s.conflicts += 1;
                self.s.seen = None;
                self.s.pause_until = Some(later(self.now, pause_ms(self.s.conflicts)));
                self.effects.push(Effect::Look);
            }
            Refusal::Conflict => {
                self.fail_all(format!("somebody else changed it {CONFLICTS_MAX} times while it was written"));
            }
            Refusal::Passing { error, retry_after_ms } => {
                self.s.failures += 1;
                let pause = pause_ms(self.s.failures).max(retry_after_ms.unwrap_or(0).clamp(0, 60_000));
                self.s.pause_until = Some(later(self.now, pause));
                self.s.said.clone_from(&error);
                self.effects.push(Effect::Say(format!("it is tried again: {error}")));
                self.s.seen = None;
                self.effects.push(Effect::Look);
            }
            // an undo without an abort still goes back
            Refusal::Final { error } if change == Some(Change::Abort) => {
                self.effects.push(Effect::Say(format!("it could not be aborted: {error}")));
                if let Some(seen) = &mut self.s.seen {
                    seen.can_abort = false;
                }
            }
            Refusal::Final { error } if change == Some(Change::Pause) => {
                self.effects.push(Effect::Say(format!("it could not be paused and goes on to its next step: {error}")));
                self.s.goal = Goal::Rest;
            }
            Refusal::Final { error } => {
                self.fail_all(error);
                // it may have come half way: what is decided next is decided on what that left
                self.s.seen = None;
                self.effects.push(Effect::Look);
            }
        }
    }

    fn fail_all(&mut self, error: String) {
        let digest = self.wanted();
        for place in std::mem::take(&mut self.s.pending).into_keys() {
            self.tell_failed(place, digest, error.clone());
        }
        self.s.goal = Goal::Rest;
    }

    fn wanted(&self) -> Option<Digest> {
        match &self.s.goal {
            Goal::Reach { release, .. } => Some(release.digest),
            Goal::Back { digest } => Some(*digest),
            Goal::Rest | Goal::Gone | Goal::Hold => None,
        }
    }

    fn expire(&mut self) {
        let now = self.now;
        let late: Vec<usize> = self.s.pending.iter().filter(|(_, until)| now >= **until).map(|(p, _)| *p).collect();
        if late.is_empty() {
            return;
        }
        let seen = self.s.seen.as_ref();
        let said = seen.and_then(Seen::trouble).unwrap_or_else(|| self.s.said.clone());
        let digest = self.wanted();
        for place in late {
            self.s.pending.remove(&place);
            self.tell_failed(place, digest, format!("it did not get there in time; last seen: {said}"));
        }
        if self.s.pending.is_empty() {
            self.s.goal = Goal::Rest;
        }
    }

    fn advance(&mut self) {
        if self.s.writing.is_some() || self.s.goal == Goal::Rest {
            return;
        }
        if self.s.pause_until.is_some_and(|until| self.now < until) {
            return;
        }
        self.s.pause_until = None;
        let Some(seen) = self.s.seen.clone() else { return };
        if seen.epoch > self.s.epoch {
            self.s.goal = Goal::Rest;
            self.s.pending.clear();
            self.effects.push(Effect::Stale { highest: seen.epoch });
            return;
        }
        match self.s.goal.clone() {
            Goal::Rest => {}
            Goal::Reach { release, full } => self.reach(release, full, &seen),
            Goal::Hold => self.hold(&seen),
            Goal::Back { digest } => self.back(digest, &seen),
            Goal::Gone if seen.release.is_none() => {
                for place in std::mem::take(&mut self.s.pending).into_keys() {
                    if let Some(host) = self.s.places.get(place).cloned() {
                        self.effects.push(Effect::Tell(DeployInput::Deactivated { host }));
                    }
                }
                self.s.goal = Goal::Rest;
            }
            Goal::Gone => self.write(Change::Remove, &seen),
        }
    }

    fn hold(&mut self, seen: &Seen) {
        let is_on_its_way = matches!(seen.phase, Phase::Moving | Phase::Paused);
        if is_on_its_way && seen.pause == Pause::None {
            return self.write(Change::Pause, seen);
        }
        self.s.goal = Goal::Rest;
    }

    fn is_held_by_us(&self, seen: &Seen) -> bool {
        seen.pause == Pause::Ours || (seen.pause == Pause::Somebody && self.s.paused)
    }

    fn reach(&mut self, release: Box<Release>, full: bool, seen: &Seen) {
        let is_set = seen.release.as_ref().is_some_and(|r| r.digest == release.digest && r.sha == release.sha);
        if !is_set {
            self.s.moved = Some(release.digest);
            return self.write(Change::Set(release), seen);
        }
        if self.is_held_by_us(seen) {
            return self.write(Change::Resume, seen);
        }
        self.s.paused &= seen.pause != Pause::None;
        self.answer_reached(release.digest, seen);
        let Some(last) = self.s.pending.keys().next_back().copied() else {
            self.s.goal = Goal::Rest;
            return;
        };
        let is_first_look = self.s.moved != Some(release.digest) && self.s.pending.contains_key(&0);
        self.s.moved = Some(release.digest);
        match &seen.phase {
            // an abort of before this deploy; one on the way is somebody's word, and it goes back
            Phase::Aborted if is_first_look => self.write(Change::Retry, seen),
            Phase::Aborted => self.fail_all(format!("it was aborted: {}", seen.said)),
            Phase::Failed { why } => {
                let why = seen.trouble().map_or_else(|| why.clone(), |trouble| format!("{why} ({trouble})"));
                self.fail_all(why);
            }
            Phase::Paused if full => self.write(Change::Finish, seen),
            Phase::Paused if last >= seen.reached => self.write(Change::Promote, seen),
            Phase::Paused | Phase::Moving | Phase::Done => self.progress(release.digest, seen),
        }
    }

    fn answer_reached(&mut self, digest: Digest, seen: &Seen) {
        let reached: Vec<usize> = self.s.pending.keys().copied().filter(|place| *place < seen.reached).collect();
        for place in reached {
            if !matches!(Handover::running(seen, place), Running::Release { healthy: true, .. }) {
                continue;
            }
            self.s.pending.remove(&place);
            if let Some(host) = self.s.places.get(place).cloned() {
                self.effects.push(Effect::Tell(DeployInput::Activated { host, digest }));
            }
        }
    }

    fn back(&mut self, digest: Digest, seen: &Seen) {
        let stands_on = seen.release.as_ref().map(|r| r.digest);
        if stands_on != Some(digest) {
            if seen.can_abort && seen.phase != Phase::Aborted {
                return self.write(Change::Abort, seen);
            }
            return self.write(Change::Undo { digest }, seen);
        }
        if self.is_held_by_us(seen) {
            return self.write(Change::Resume, seen);
        }
        self.s.paused &= seen.pause != Pause::None;
        match &seen.phase {
            Phase::Done => {
                for place in std::mem::take(&mut self.s.pending).into_keys() {
                    if let Some(host) = self.s.places.get(place).cloned() {
                        self.effects.push(Effect::Tell(DeployInput::Activated { host, digest }));
                    }
                }
                self.s.goal = Goal::Rest;
            }
            Phase::Paused => self.write(Change::Finish, seen),
            Phase::Aborted => self.write(Change::Retry, seen),
            Phase::Failed { why } => self.fail_all(why.clone()),
            Phase::Moving => self.progress(digest, seen),
        }
    }

    fn progress(&mut self, digest: Digest, seen: &Seen) {
        let message = match seen.trouble() {
            Some(trouble) => format!("{}; {trouble}", seen.said),
            None => seen.said.clone(),
        };
        if message == self.s.said {
            return;
        }
        self.s.said.clone_from(&message);
        for place in self.s.pending.keys().copied().collect::<Vec<_>>() {
            if let Some(host) = self.s.places.get(place).cloned() {
                let (checking, message) = (seen.ready() > 0, message.clone());
                self.effects.push(Effect::Tell(DeployInput::Progress { host, digest, checking, message }));
            }
        }
    }

    fn write(&mut self, change: Change, seen: &Seen) {
        self.s.writing = Some(change.clone());
        self.effects.push(Effect::Write { change, version: seen.version.clone() });
    }
}
