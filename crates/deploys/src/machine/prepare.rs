//! Starting a release ahead of its flip, on the hosts that flip next, so that the flip itself is only a turn. What was
//! started so serves nobody: it ends with the deploy wherever it was not flipped to, and so does an old process that was
//! kept warm for the way back.

use super::{
    Effect,
    host::{Host, HostState, Order},
    run::State,
    step::Machine,
};
use crate::{
    manifest::Digest,
    pipeline::{HookAt, Prepare},
};

impl Machine {
    /// Prepares the hosts that flip first; whether all of them that can be are. Nothing starts before a hook that has to
    /// come before it.
    pub(super) fn prepared_first(&mut self, digest: Digest) -> bool {
        let plan = &self.run.plan;
        if plan.prepare == Prepare::None || plan.hooks.get(HookAt::BeforeActivate).is_some() {
            return true;
        }
        let only_canaries = plan.canary_hosts > 0 && self.only_next();
        if plan.canary_hosts > 0 {
            self.choose_canaries();
        }
        self.order_prepare(digest, usize::MAX, |h| h.canary || !only_canaries);
        self.run.count(HostState::Preparing) == 0
    }

    /// While the canary is watched: those of the next step, or the rest after the last one.
    pub(super) fn prepare_next(&mut self, digest: Digest) {
        let plan = &self.run.plan;
        if plan.prepare == Prepare::None {
            return;
        }
        let next = plan.later.first().map(|step| step.hosts.saturating_sub(plan.canary_hosts));
        let at_most = match next {
            Some(hosts) if self.only_next() => hosts,
            None if plan.hooks.get(HookAt::BeforePromote).is_some() => return,
            _ => usize::MAX,
        };
        let under_way = self.run.hosts.iter().filter(|h| !h.canary && is_prepared(h)).count();
        self.order_prepare(digest, at_most.saturating_sub(under_way), |h| !h.canary);
    }

    /// The rest may need what the hook before the promotion does, and its turn is after the last step.
    fn only_next(&self) -> bool {
        self.run.plan.prepare == Prepare::Next || self.run.plan.hooks.get(HookAt::BeforePromote).is_some()
    }

    fn order_prepare(&mut self, digest: Digest, at_most: usize, wanted: impl Fn(&Host) -> bool) {
        let (now, deadline) = (self.now, self.now.plus_ms(self.run.plan.activate_ms));
        let due = |h: &&mut Host| h.state == HostState::Staged && h.lost_at.is_none() && wanted(h);
        for h in self.run.hosts.iter_mut().filter(due).take(at_most) {
            h.order = Some(Order::Prepare { digest });
            h.deadline = Some(deadline);
            h.beside = true;
            h.set(HostState::Preparing, None, now);
            self.effects.push(Effect::Prepare { host: h.name.clone(), digest });
        }
    }

    pub(super) fn prepared(&mut self, host: &str, digest: Digest) {
        self.with_host(host, |h, now| {
            if h.order == Some(Order::Prepare { digest }) {
                h.settle();
                h.failures = 0;
                h.set(HostState::Prepared, None, now);
            }
        });
    }

    /// A canary that cannot even be prepared tells what a canary is there to tell, and nothing has flipped yet.
    pub(super) fn canary_not_prepared(&mut self, host: &str) {
        let first = matches!(self.run.state, State::Staging | State::AwaitingApproval);
        let canary = self.run.hosts.iter().find(|h| h.name == host && h.canary && self.run.plan.canary_hosts > 0);
        if let Some(h) = canary.filter(|_| first) {
            let said = h.message.clone().unwrap_or_default();
            self.fail(format!("the canary {host} failed before its flip: {said}"));
        }
    }

    /// The deploy goes back: what was prepared and not flipped to ends. It is told once more when the deploy ends, since
    /// this order may be lost with the server.
    pub(super) fn discard_prepared(&mut self) {
        let names: Vec<String> =
            self.run.hosts.iter().filter(|h| h.beside && !h.touched).map(|h| h.name.clone()).collect();
        self.unprepare();
        self.effects.extend(names.into_iter().map(|host| Effect::Discard { host, after_ms: 0 }));
    }

    /// The deploy is over: nothing of it goes on beside what serves, but for an old process that is still kept a while.
    pub(super) fn discard_all(&mut self, over: State) {
        let after_ms = if over == State::Succeeded { self.run.plan.keep_warm_ms } else { 0 };
        let beside = self.run.hosts.iter().filter(|h| h.beside);
        self.effects.extend(beside.map(|h| {
            let after_ms = if h.state == HostState::Healthy { after_ms } else { 0 };
            Effect::Discard { host: h.name.clone(), after_ms }
        }));
        self.unprepare();
    }

    /// Hosts whose release does not stand ready any more still hold it.
    fn unprepare(&mut self) {
        for h in self.run.hosts.iter_mut().filter(|h| is_prepared(h)) {
            h.settle();
            h.set(HostState::Staged, None, self.now);
        }
    }
}

const fn is_prepared(h: &Host) -> bool {
    matches!(h.state, HostState::Preparing | HostState::Prepared)
}
