//! Conclusions: from what is known of the hosts to the next orders and the next state.

use super::{
    Effect, Fact,
    host::{HostState, Order, Running},
    run::{Kind, Run, State},
    step::{Machine, TRIES_MAX},
};
use crate::{manifest::Digest, plan::CHECK_MS};

/// States a step can pass through at once; more would be a loop.
const PASSES_MAX: usize = 16;

impl Machine {
    pub(super) fn advance(&mut self) {
        for _ in 0..PASSES_MAX {
            let before = self.run.state;
            self.expire();
            match self.run.state {
                State::Queued => self.queued(),
                State::Building => self.building(),
                State::Staging => self.staging(),
                State::Canary => self.canary(),
                State::Promoting => self.promoting(),
                State::RollingBack => self.rolling_back(),
                State::Held => self.held(),
                State::NeedsHuman
                | State::Succeeded
                | State::RolledBack
                | State::Failed
                | State::Cancelled
                | State::Interrupted => {}
            }
            if self.run.state == before {
                return;
            }
        }
    }

    /// Hosts away for too long are out of reach; orders not answered in time have failed.
    fn expire(&mut self) {
        let (now, reach_ms) = (self.now, self.run.plan.reach_ms);
        let rolling_back = self.run.state == State::RollingBack;
        for h in &mut self.run.hosts {
            if h.may_be_lost() && h.lost_at.is_some_and(|at| now >= at.plus_ms(reach_ms)) {
                h.settle();
                h.set(HostState::Unreachable, Some("its agent is not connected".to_owned()), now);
            }
            if h.deadline.is_some_and(|at| now >= at) {
                h.settle();
                h.failures += 1;
                let again = rolling_back && h.failures < TRIES_MAX;
                let state = if again { h.state } else { HostState::Failed };
                h.set(state, Some("its agent did not answer in time".to_owned()), now);
            }
        }
    }

    fn state_expired(&self) -> bool {
        self.run.state_deadline().is_some_and(|at| self.now >= at)
    }

    fn queued(&mut self) {
        if self.state_expired() {
            self.fail(
                "it did not get its turn in time; another server may be running a deploy of this service".to_owned(),
            );
        }
    }

    fn building(&mut self) {
        if self.state_expired() {
            self.effects.push(Effect::StopBuild);
            self.fail("the build did not end in time".to_owned());
        }
    }

    fn staging(&mut self) {
        let Some(digest) = self.run.digest else {
            return self.fail("the artifact is not known; start the deploy again".to_owned());
        };
        if self.state_expired() {
            let now = self.now;
            for h in self.run.hosts.iter_mut().filter(|h| matches!(h.state, HostState::Waiting | HostState::Staging)) {
                h.settle();
                h.set(HostState::Failed, Some("did not take the artifact in time".to_owned()), now);
            }
        }
        self.order_stage(digest);
        let pending = self.run.count(HostState::Waiting) + self.run.count(HostState::Staging);
        let ready = self.run.count(HostState::Staged);
        let bad = self.bad();
        if self.run.kind == Kind::Deploy && bad > self.run.plan.max_unavailable {
            // nothing has changed on any host yet, so there is nothing to take back
            return self.fail(self.told("cannot take the release"));
        }
        if pending > 0 {
            return;
        }
        if ready == 0 {
            return self.fail(self.told("cannot take the release"));
        }
        self.say(Fact::Staged { hosts: ready });
        self.choose_canaries();
        if self.run.plan.canary_hosts > 0 {
            let hosts = self.run.hosts.iter().filter(|h| h.canary).map(|h| h.name.clone()).collect();
            self.say(Fact::CanaryStarted { hosts });
            self.enter(State::Canary);
        } else {
            if self.run.kind == Kind::Deploy {
                self.say(Fact::Promoting { by: None });
            }
            self.enter(State::Promoting);
        }
    }

    /// The first hosts by name that can take it: an unreachable one is no canary.
    fn choose_canaries(&mut self) {
        let mut left = self.run.plan.canary_hosts;
        for h in &mut self.run.hosts {
            h.canary = left > 0 && h.state == HostState::Staged;
            left -= usize::from(h.canary);
        }
    }

    fn order_stage(&mut self, digest: Digest) {
        let deadline = self.now.plus_ms(self.run.plan.stage_ms);
        let now = self.now;
        for h in &mut self.run.hosts {
            if h.state == HostState::Waiting && h.lost_at.is_none() {
                h.order = Some(Order::Stage { digest });
                h.deadline = Some(deadline);
                let said = h.message.take();
                h.set(HostState::Staging, said, now);
                self.effects.push(Effect::Stage { host: h.name.clone(), digest });
            }
        }
    }

    fn order_activate(&mut self, digest: Digest, only_canaries: bool, at_most: usize) {
        let deadline = self.now.plus_ms(self.run.plan.activate_ms);
        let now = self.now;
        let staged =
            |h: &&mut super::Host| h.state == HostState::Staged && h.lost_at.is_none() && (h.canary || !only_canaries);
        for h in self.run.hosts.iter_mut().filter(staged).take(at_most) {
            h.order = Some(Order::Activate { digest });
            h.deadline = Some(deadline);
            h.touched = true;
            // what it was seen to run is out of date from here on
            h.observed = Running::Unknown;
            h.set(HostState::Activating, None, now);
            self.effects.push(Effect::Activate { host: h.name.clone(), digest });
        }
    }

    fn canary(&mut self) {
        let Some(digest) = self.run.digest else {
            return self.hold("the artifact is not known".to_owned());
        };
        let canaries = || self.run.hosts.iter().filter(|h| h.canary);
        if let Some(h) = canaries().find(|h| h.state == HostState::Failed) {
            let said = h.message.clone().unwrap_or_default();
            return self.roll_back(format!("the canary {} failed: {said}", h.name));
        }
        if let Some(h) = canaries().find(|h| h.state == HostState::Unreachable) {
            return self.hold(format!("the canary {} is out of reach, so its state is unknown", h.name));
        }
        let healthy = canaries().all(|h| h.state == HostState::Healthy && h.lost_at.is_none());
        self.order_stage(digest);
        self.order_activate(digest, true, usize::MAX);
        if !healthy {
            // a canary that left and came back is watched for the whole time again
            self.run.hold_until = None;
            self.run.check_until = None;
            return self.interrupt_watch();
        }
        let until = *self.run.hold_until.get_or_insert(self.now.plus_ms(self.run.plan.hold_ms));
        if let Some(judge) = self.run.plan.judge.clone()
            && self.run.check_until.is_none()
        {
            return self.watch(&judge);
        }
        if self.now < until {
            return;
        }
        if self.run.plan.check.is_none() {
            return self.canary_passed(format!("healthy for {} s", self.run.plan.hold_ms / 1000));
        }
        match self.run.check_until {
            None => self.ask_check(),
            Some(at) if self.now >= at => {
                self.hold("the canary's check is inconclusive: it gave no answer in time".to_owned());
            }
            Some(_) => {}
        }
    }

    pub(super) fn ask_check(&mut self) {
        self.run.check_until = Some(self.now.plus_ms(CHECK_MS));
        self.effects.push(Effect::RunCheck);
    }

    /// What the judge last said stays with the deploy.
    pub(super) fn end_watch(&mut self) {
        if let Some(watch) = self.run.watch.take() {
            self.run.judged = watch.last.map(Box::new).or(self.run.judged.take());
        }
    }

    pub(super) fn canary_passed(&mut self, said: String) {
        self.say(Fact::CanaryPassed { said });
        self.say(Fact::Promoting { by: None });
        self.enter(State::Promoting);
    }

    fn promoting(&mut self) {
        let Some(digest) = self.run.digest else {
            return self.hold("the artifact is not known".to_owned());
        };
        let over = self.bad() > self.run.plan.max_unavailable;
        if over && self.run.kind == Kind::Deploy {
            if self.run.count(HostState::Failed) > 0 {
                return self.roll_back(self.told("failed"));
            }
            return self.hold(format!("{}, so their state is unknown", self.told("are out of reach")));
        }
        self.order_stage(digest);
        let flying = self.run.count(HostState::Activating) + self.run.count(HostState::Checking);
        self.order_activate(digest, false, self.run.plan.batch.saturating_sub(flying));
        let settled = |h: &super::Host| h.is_bad() || (h.state == HostState::Healthy && h.lost_at.is_none());
        if !self.run.hosts.iter().all(settled) {
            return;
        }
        let (healthy, total) = (self.run.count(HostState::Healthy), self.run.hosts.len());
        if over || healthy == 0 {
            return self.need_human(self.told("did not flip"));
        }
        self.run.error = (healthy < total).then(|| self.told("did not flip"));
        self.say(Fact::Succeeded { healthy, total });
        self.end(State::Succeeded);
    }

    fn held(&mut self) {
        let failed = self.run.hosts.iter().any(|h| h.touched && h.state == HostState::Failed);
        if failed && self.run.kind == Kind::Deploy {
            return self.roll_back(self.told("failed"));
        }
        if let (Some(judge), true) = (self.run.plan.judge.clone(), self.run.watch.is_some()) {
            self.watch(&judge);
        }
    }

    pub(super) fn roll_back(&mut self, why: String) {
        self.run.error = Some(why.clone());
        self.say(Fact::RollingBack { why });
        self.enter(State::RollingBack);
        for h in &mut self.run.hosts {
            h.settle();
            h.failures = 0;
            h.restored = false;
            if h.touched && h.state != HostState::Unreachable {
                // the message says why it failed; it stays until the host is back
                h.state = HostState::Activating;
                h.updated_at = self.now;
            }
        }
    }

    fn rolling_back(&mut self) {
        let (now, activate_ms) = (self.now, self.run.plan.activate_ms);
        for h in self.run.hosts.iter_mut().filter(|h| h.touched) {
            if h.is_back() {
                h.settle();
                if h.state != HostState::RolledBack {
                    let said = h.message.take();
                    h.set(HostState::RolledBack, said, now);
                }
                continue;
            }
            if h.order.is_some() || h.lost_at.is_some() || h.is_bad() {
                continue;
            }
            h.deadline = Some(now.plus_ms(activate_ms));
            h.state = HostState::Activating;
            match h.before {
                Running::Release { digest, .. } => {
                    h.order = Some(Order::Restore { digest });
                    self.effects.push(Effect::Restore { host: h.name.clone(), digest });
                }
                Running::Nothing => {
                    h.order = Some(Order::Deactivate);
                    self.effects.push(Effect::Deactivate { host: h.name.clone() });
                }
                Running::Unknown => {
                    h.settle();
                    h.set(HostState::Failed, Some("it is not known what ran before".to_owned()), now);
                }
            }
        }
        let touched = || self.run.hosts.iter().filter(|h| h.touched);
        if !touched().all(|h| h.is_bad() || h.state == HostState::RolledBack) {
            return;
        }
        if touched().any(super::Host::is_bad) {
            let why = self.run.error.clone().unwrap_or_default();
            return self.need_human(format!("{}; it was rolling back because {why}", self.told("did not go back")));
        }
        let why = self.run.error.clone().unwrap_or_default();
        let hosts = touched().count();
        self.say(Fact::RolledBack { why, hosts });
        self.end(State::RolledBack);
    }

    pub(super) fn hold(&mut self, why: String) {
        self.run.error = Some(why.clone());
        self.say(Fact::Held { why });
        self.enter(State::Held);
    }

    fn need_human(&mut self, why: String) {
        self.run.error = Some(why.clone());
        self.say(Fact::NeedsHuman { why });
        self.enter(State::NeedsHuman);
    }

    fn bad(&self) -> usize {
        self.run.hosts.iter().filter(|h| h.is_bad()).count()
    }

    /// `host-2 (no space left), host-3 (its agent is not connected) VERB`
    fn told(&self, verb: &str) -> String {
        told(&self.run, verb)
    }
}

fn told(run: &Run, verb: &str) -> String {
    const NAMED_MAX: usize = 4;
    let bad: Vec<_> = run.hosts.iter().filter(|h| h.is_bad()).collect();
    let mut words: Vec<String> = bad
        .iter()
        .take(NAMED_MAX)
        .map(|h| match &h.message {
            Some(message) => format!("{} ({message})", h.name),
            None => h.name.clone(),
        })
        .collect();
    if bad.len() > NAMED_MAX {
        words.push(format!("{} more", bad.len() - NAMED_MAX));
    }
    let limit = run.plan.max_unavailable;
    format!("{} {verb}; at most {limit} of {} may", words.join(", "), run.hosts.len())
}
