//! What a deploy waits for besides hosts: people who approve, and hooks. Both have an end of their own.

use super::{
    Effect, Fact,
    host::HostState,
    run::{Approval, HookRun, Kind, State},
    step::Machine,
};
use crate::pipeline::HookAt;

/// Time beyond a hook's own limit after which it counts as lost. It may have to wait for the end of one that another server began.
const HOOK_GRACE_MS: i64 = 90_000;

impl Machine {
    /// Whether the hook of this place has ended; there may be none. Starts it when it was not.
    pub(super) fn hook_ended(&mut self, at: HookAt) -> bool {
        let Some(hook) = self.run.plan.hooks.get(at) else { return true };
        if self.run.hooks_ended.contains(&at) {
            return true;
        }
        if self.run.hook.is_none_or(|running| running.at != at) {
            let until = self.now.plus_ms(i64::from(hook.timeout_s) * 1000 + HOOK_GRACE_MS);
            self.run.hook = Some(HookRun { at, until });
            self.say(Fact::HookStarted { at });
            self.effects.push(Effect::RunHook { at });
        }
        false
    }

    pub(super) fn take_hook(&mut self, at: HookAt, error: Option<String>) {
        if self.run.hook.is_none_or(|running| running.at != at) {
            return;
        }
        self.run.hook = None;
        match error {
            None => self.run.hooks_ended.push(at),
            Some(error) => self.hook_failed(at, error),
        }
    }

    fn hook_failed(&mut self, at: HookAt, error: String) {
        self.run.hooks_ended.push(at);
        let why = format!("the hook {} failed: {error}", at.word());
        match at {
            HookAt::BeforeBuild | HookAt::AfterBuild | HookAt::BeforeActivate => self.fail(why),
            HookAt::BeforePromote => self.roll_back(why),
            HookAt::AfterPromote | HookAt::OnRollback => self.say(Fact::HookFailed { at, error }),
        }
    }

    pub(super) fn expire_hook(&mut self) {
        if let Some(running) = self.run.hook.filter(|running| self.now >= running.until) {
            self.effects.push(Effect::StopHook);
            self.take_hook(running.at, Some("it did not end in time".to_owned()));
        }
    }

    /// The server stopped in the middle of a hook. Where it was not `kept`, what came of it is not known.
    pub(super) fn resume_hook(&mut self, kept: bool) {
        let Some(running) = self.run.hook.take() else { return };
        if kept {
            // it may have ended long ago, which is still to be heard
            let until = running.until.max(self.now.plus_ms(HOOK_GRACE_MS));
            self.run.hook = Some(HookRun { until, ..running });
            return self.effects.push(Effect::RunHook { at: running.at });
        }
        let again = self.run.plan.hooks.get(running.at).is_some_and(|hook| hook.idempotent);
        if again {
            return;
        }
        let why = "the server stopped while it ran, so what came of it is not known".to_owned();
        if running.at == HookAt::BeforePromote {
            self.run.hooks_ended.push(running.at);
            return self.hold(format!("the hook {}: {why}", running.at.word()));
        }
        self.hook_failed(running.at, why);
    }

    pub(super) fn approve(&mut self, by: String, name: String, starter: bool) {
        let Some(asked) = self.run.plan.approve.clone().filter(|_| self.run.state == State::AwaitingApproval) else {
            return self.refuse(format!("the deploy is {} and waits for no approval", self.run.state.word()));
        };
        if asked.four_eyes && starter {
            return self.refuse("whoever started a deploy cannot approve it here; ask somebody else".to_owned());
        }
        if self.run.approvals.iter().any(|a| a.by == by) {
            return self.refuse(format!("{name} has approved it already; it takes {} people", asked.count));
        }
        self.run.approvals.push(Approval { by, name: name.clone(), at: self.now });
        self.say(Fact::Approved { name, have: self.run.approvals.len(), want: asked.count });
    }

    fn is_approved(&self) -> bool {
        self.run.plan.approve.as_ref().is_none_or(|asked| self.run.approvals.len() >= asked.count)
    }

    /// Everything is on the hosts. What is wanted before the first one flips comes first.
    pub(super) fn staged_all(&mut self) {
        if self.is_approved() {
            return self.flip_first();
        }
        let count = self.run.plan.approve.as_ref().map_or(0, |asked| asked.count);
        self.say(Fact::AwaitingApproval { count });
        self.enter(State::AwaitingApproval);
    }

    pub(super) fn awaiting_approval(&mut self) {
        let Some(digest) = self.run.digest else {
            return self.fail("the artifact is not known; start the deploy again".to_owned());
        };
        if self.state_expired() {
            return self.fail("nobody approved it in time; start it again".to_owned());
        }
        // A host that was away may lack it.
        self.order_stage(digest);
        if self.run.count(HostState::Waiting) + self.run.count(HostState::Staging) > 0 {
            return;
        }
        if self.run.count(HostState::Failed) > self.run.plan.max_unavailable {
            return self.fail(self.told("cannot take the release"));
        }
        if !self.prepared_first(digest) || !self.is_approved() {
            return;
        }
        if self.bad() > self.run.plan.max_unavailable || self.run.ready() == 0 {
            return self.fail(self.told("cannot take the release"));
        }
        self.flip_first();
    }

    fn flip_first(&mut self) {
        if !self.hook_ended(HookAt::BeforeActivate) {
            return;
        }
        self.choose_canaries();
        if self.run.plan.canary_hosts > 0 {
            let hosts = self.canary_names();
            self.say(Fact::CanaryStarted { hosts });
            self.enter(State::Canary);
        } else {
            if self.run.kind == Kind::Deploy {
                self.say(Fact::Promoting { by: None });
            }
            self.enter(State::Promoting);
        }
    }

    pub(super) fn canary_names(&self) -> Vec<String> {
        self.run.hosts.iter().filter(|h| h.canary).map(|h| h.name.clone()).collect()
    }

    /// The first hosts by name that can take it, those of the steps before among them. One whose agent is away is a canary
    /// only where there is no other: the canary is never empty because a network was.
    pub(super) fn choose_canaries(&mut self) {
        let chosen = |h: &super::Host| h.canary && h.touched;
        let mut left = self.run.plan.canary_hosts.saturating_sub(self.run.hosts.iter().filter(|h| chosen(h)).count());
        for h in self.run.hosts.iter_mut().filter(|h| !chosen(h)) {
            h.canary = false;
        }
        for away in [false, true] {
            let fits = |h: &&mut super::Host| !h.canary && h.is_ready() && h.lost_at.is_some() == away;
            for h in self.run.hosts.iter_mut().filter(fits).take(left) {
                h.canary = true;
                left -= 1;
            }
        }
    }

    /// The canary of this step is good: on to the next step, or to the rest.
    pub(super) fn canary_passed(&mut self, said: String) {
        self.say(Fact::CanaryPassed { said });
        self.run.steps_passed += 1;
        self.end_watch();
        if self.run.plan.later.is_empty() {
            self.run.passed = true;
            return self.promote_passed();
        }
        let next = self.run.plan.later.remove(0);
        let plan = &mut self.run.plan;
        (plan.canary_hosts, plan.hold_ms, plan.check, plan.judge) = (next.hosts, next.hold_ms, next.check, next.judge);
        self.choose_canaries();
        let (number, hosts) = (self.run.steps_passed + 1, self.canary_names());
        self.say(Fact::CanaryStep { number, hosts });
        self.enter(State::Canary);
    }

    pub(super) fn promote_passed(&mut self) {
        if self.hook_ended(HookAt::BeforePromote) {
            self.say(Fact::Promoting { by: None });
            self.enter(State::Promoting);
        }
    }
}
