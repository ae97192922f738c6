//! Conclusions: from what is known of the hosts to the next orders and the next state.

use super::{
    Effect, Fact, Locker,
    host::{HostState, Order, Running},
    rebuild::REBUILD_LATE,
    run::{Kind, Run, State},
    step::{Machine, TRIES_MAX},
};
use crate::{
    manifest::Digest,
    pipeline::{HookAt, Prepare},
    plan::CHECK_MS,
};

/// States a step can pass through at once; more would be a loop.
const PASSES_MAX: usize = 16;

impl Machine {
    pub(super) fn advance(&mut self) {
        for _ in 0..PASSES_MAX {
            let before = (self.run.state, self.run.steps_passed);
            self.expire();
            self.expire_hook();
            match self.run.state {
                State::Queued => self.queued(),
                State::Building => self.building(),
                State::Staging => self.staging(),
                State::AwaitingApproval => self.awaiting_approval(),
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
            if (self.run.state, self.run.steps_passed) == before {
                return;
            }
        }
    }

    /// Hosts away for too long are out of reach; orders not answered in time have failed.
    fn expire(&mut self) {
        let (now, reach_ms) = (self.now, self.run.plan.reach_ms);
        let rolling_back = self.run.state == State::RollingBack;
        let (away, late) = if self.run.plan.handed {
            ("it cannot be asked", "it did not answer in time")
        } else {
            ("its agent is not connected", "its agent did not answer in time")
        };
        let rebuild_late = self.expire_rebuild();
        let mut not_prepared = Vec::new();
        for h in &mut self.run.hosts {
            if h.may_be_lost() && h.lost_at.is_some_and(|at| now >= at.plus_ms(reach_ms)) {
                h.settle();
                h.set(HostState::Unreachable, Some(away.to_owned()), now);
            }
            if h.deadline.is_some_and(|at| now >= at) {
                if matches!(h.order, Some(Order::Prepare { .. })) {
                    not_prepared.push(h.name.clone());
                }
                let waits = rebuild_late && matches!(h.order, Some(Order::Stage { .. }));
                let late = if waits { REBUILD_LATE } else { late };
                h.settle();
                h.failures += 1;
                let again = rolling_back && h.failures < TRIES_MAX;
                let state = if again { h.state } else { HostState::Failed };
                h.set(state, Some(late.to_owned()), now);
            }
        }
        // The first of them ends the deploy.
        for host in &not_prepared {
            self.canary_not_prepared(host);
        }
    }

    pub(super) fn state_expired(&self) -> bool {
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
        if !self.hook_ended(HookAt::BeforeBuild) {
            return;
        }
        if self.run.digest.is_some() {
            if self.hook_ended(HookAt::AfterBuild) {
                self.enter(State::Staging);
            }
            return;
        }
        if !self.run.building {
            self.run.building = true;
            self.run.builds += 1;
            // a hook's time is not the build's
            self.run.entered_at = self.now;
            self.effects.push(Effect::Build);
        } else if self.state_expired() {
            self.effects.push(Effect::StopBuild);
            self.fail("the build did not end in time".to_owned());
        }
    }

    fn staging(&mut self) {
        let Some(digest) = self.run.digest else {
            return self.fail("the artifact is not known; start the deploy again".to_owned());
        };
        if self.run.hook.is_none() && self.state_expired() {
            let now = self.now;
            for h in self.run.hosts.iter_mut().filter(|h| matches!(h.state, HostState::Waiting | HostState::Staging)) {
                h.settle();
                h.set(HostState::Failed, Some("did not take the artifact in time".to_owned()), now);
            }
        }
        self.order_stage(digest);
        let pending = self.run.count(HostState::Waiting) + self.run.count(HostState::Staging);
        let ready = self.run.ready();
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
        if !self.run.all_staged {
            self.run.all_staged = true;
            self.say(Fact::Staged { hosts: ready });
        }
        if self.run.plan.prepare == Prepare::All && !self.prepared_first(digest) {
            return;
        }
        self.staged_all();
    }

    pub(super) fn order_stage(&mut self, digest: Digest) {
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
        let ready = |h: &&mut super::Host| {
            matches!(h.state, HostState::Staged | HostState::Prepared)
                && h.lost_at.is_none()
                && (h.canary || !only_canaries)
        };
        let keeps_warm = self.run.plan.keep_warm_ms > 0;
        for h in self.run.hosts.iter_mut().filter(ready).take(at_most) {
            // what is only taken to stand there is asked for so that the host may start it as well
            let prepared = h.state == HostState::Prepared && !h.warm;
            h.beside |= prepared || keeps_warm;
            h.order = Some(Order::Activate { digest });
            h.deadline = Some(deadline);
            h.touched = true;
            // what it was seen to run is out of date from here on
            h.observed = Running::Unknown;
            h.set(HostState::Activating, None, now);
            let host = h.name.clone();
            self.effects.push(if prepared { Effect::Flip { host, digest } } else { Effect::Activate { host, digest } });
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
        if self.run.count(HostState::Failed) > self.run.plan.max_unavailable {
            return self.roll_back(self.told("cannot take the release"));
        }
        let healthy = canaries().all(|h| h.state == HostState::Healthy && h.lost_at.is_none());
        self.order_stage(digest);
        self.order_activate(digest, true, usize::MAX);
        if !healthy {
            self.run.passed = false;
            // a canary that failed, or left for long, is watched for the whole time again
            let (now, mut canaries) = (self.now, self.run.hosts.iter().filter(|h| h.canary));
            if !canaries.all(|h| h.state == HostState::Healthy && !h.is_long_away(now)) {
                self.run.hold_until = None;
            }
            self.run.check_until = None;
            return self.interrupt_watch();
        }
        if self.run.passed {
            return self.promote_passed();
        }
        let until = *self.run.hold_until.get_or_insert(self.now.plus_ms(self.run.plan.hold_ms));
        if let Some(judge) = self.run.plan.judge.clone()
            && self.run.check_until.is_none()
        {
            self.prepare_next(digest);
            return self.watch(&judge);
        }
        if self.now < until {
            return self.prepare_next(digest);
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
        // A person may promote past the canary: what comes before the rest comes then as well.
        if self.run.kind == Kind::Deploy && self.run.steps_total > 0 && !self.hook_ended(HookAt::BeforePromote) {
            return;
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
        let last = if self.run.kind == Kind::Deploy { HookAt::AfterPromote } else { HookAt::OnRollback };
        if !self.hook_ended(last) {
            return;
        }
        self.run.error = (healthy < total).then(|| self.told("did not flip"));
        self.say(Fact::Succeeded { healthy, total });
        self.end(State::Succeeded);
    }

    fn held(&mut self) {
        let failed = self.run.hosts.iter().any(|h| h.touched && h.state == HostState::Failed);
        if failed && self.run.kind == Kind::Deploy && self.run.plan.irreversible.is_none() {
            return self.roll_back(self.told("failed"));
        }
        if let (Some(judge), true) = (self.run.plan.judge.clone(), self.run.watch.is_some()) {
            self.watch(&judge);
        }
    }

    /// Something failed: sends the deploy back without a person's word.
    pub(super) fn roll_back(&mut self, why: String) {
        self.roll_back_for(Locker::Server, why);
    }

    /// Locks with the evidence, and sends the deploy back, unless it cannot be undone: then people decide. Where no host was
    /// touched there is nothing to keep others from.
    pub(super) fn roll_back_for(&mut self, by: Locker, why: String) {
        if self.run.hosts.iter().any(|h| h.touched) {
            self.effects.push(Effect::Lock { by, why: why.clone() });
        }
        let Some(irreversible) = self.run.plan.irreversible.clone() else { return self.go_back(why) };
        let why = format!("{why}; it does not go back by itself: {irreversible}");
        self.effects.push(Effect::Page { why: why.clone() });
        self.hold(why);
    }

    pub(super) fn go_back(&mut self, why: String) {
        self.run.error = Some(why.clone());
        self.say(Fact::RollingBack { why });
        self.stop_rebuild();
        self.enter(State::RollingBack);
        self.discard_prepared();
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
        let hosts = touched().count();
        if !self.hook_ended(HookAt::OnRollback) {
            return;
        }
        let why = self.run.error.clone().unwrap_or_default();
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
        self.effects.push(Effect::Page { why: why.clone() });
        self.say(Fact::NeedsHuman { why });
        self.enter(State::NeedsHuman);
    }

    pub(super) fn bad(&self) -> usize {
        self.run.hosts.iter().filter(|h| h.is_bad()).count()
    }

    /// `host-2 (no space left), host-3 (its agent is not connected) VERB`
    pub(super) fn told(&self, verb: &str) -> String {
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
