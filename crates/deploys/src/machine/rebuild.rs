//! An artifact whose files are not on the server that conducts: it is built once more, and the hosts that are to take it wait
//! for that as long as a build may take. A build that ends the server with it is begun again only as often as the first one is.

use super::{
    Effect,
    host::{Host, HostState, Order},
    run::State,
    step::{BUILDS_MAX, Machine},
};
use crate::manifest::Digest;

/// What is said of hosts that waited for it in vain.
pub(super) const REBUILD_LATE: &str =
    "the artifact is not on this server, and building it again did not end in time; deploy its commit anew";
const WAITS: &str = "waits for the artifact, which is built again";

impl Machine {
    /// A host was ordered to take what is not here.
    pub(super) fn missing(&mut self, host: &str, digest: Digest) {
        let waits = |h: &Host| h.name == host && h.order == Some(Order::Stage { digest });
        if !self.run.hosts.iter().any(waits) {
            return;
        }
        if self.run.rebuild_until.is_none() {
            if self.run.rebuilds >= BUILDS_MAX {
                return self.with_host(host, |h, now| {
                    let why = format!(
                        "the artifact is not on this server, and the server stopped {BUILDS_MAX} times while it was built \
                         again; deploy its commit anew"
                    );
                    h.settle();
                    h.failures += 1;
                    h.set(HostState::Failed, Some(why), now);
                });
            }
            self.run.rebuilds += 1;
            self.run.rebuild_until = Some(self.now.plus_ms(self.run.plan.build_ms));
            self.effects.push(Effect::BuildAgain { digest });
        }
        let until = self.run.rebuild_until;
        self.with_host(host, |h, now| {
            h.deadline = until;
            h.set(h.state, Some(WAITS.to_owned()), now);
        });
    }

    /// The hosts that waited take it, or have failed: it is not tried a second time.
    pub(super) fn built_again(&mut self, error: Option<&str>) {
        if !self.end_rebuild() {
            return;
        }
        let (now, deadline) = (self.now, self.now.plus_ms(self.run.plan.stage_ms));
        for h in &mut self.run.hosts {
            let Some(Order::Stage { digest }) = h.order else { continue };
            if let Some(error) = error {
                h.settle();
                h.failures += 1;
                h.set(HostState::Failed, Some(error.to_owned()), now);
            } else {
                h.deadline = Some(deadline);
                h.set(h.state, None, now);
                self.effects.push(Effect::Stage { host: h.name.clone(), digest });
            }
        }
    }

    /// Whether its time is over in this step.
    pub(super) fn expire_rebuild(&mut self) -> bool {
        let is_late = self.run.rebuild_until.is_some_and(|at| self.now >= at) && self.end_rebuild();
        if is_late {
            self.effects.push(Effect::StopBuild);
        }
        is_late
    }

    /// Nothing waits for it any more.
    pub(super) fn stop_rebuild(&mut self) {
        if !self.end_rebuild() {
            return;
        }
        self.effects.push(Effect::StopBuild);
        let now = self.now;
        for h in self.run.hosts.iter_mut().filter(|h| matches!(h.order, Some(Order::Stage { .. }))) {
            h.set(h.state, None, now);
        }
    }

    /// The server stopped in the middle of it. One that was `kept` is gone on with when a host lacks the files again, and
    /// counts once. Where a hook was under way as well, `kept` is said of that.
    pub(super) fn resume_rebuild(&mut self, kept: bool) {
        if self.run.rebuild_until.take().is_some() && kept && self.run.hook.is_none() {
            self.run.rebuilds = self.run.rebuilds.saturating_sub(1);
        }
    }

    /// A host takes it, so it is here, or was never missing.
    pub(super) fn is_there(&mut self, host: &str, digest: Digest) {
        let takes = |h: &Host| h.name == host && h.order == Some(Order::Stage { digest });
        if self.run.rebuild_until.is_none() && self.run.hosts.iter().any(takes) {
            self.run.rebuilds = 0;
        }
    }

    /// A person lets it go on: what was counted before is theirs to know.
    pub(super) fn rebuild_anew(&mut self) {
        if self.run.rebuild_until.is_none() {
            self.run.rebuilds = 0;
        }
    }

    /// Whether it was under way. The server has outlived it, and what it took was not the hosts' time.
    fn end_rebuild(&mut self) -> bool {
        let was = self.run.rebuild_until.take().is_some();
        if was {
            self.run.rebuilds = 0;
            if self.run.state == State::Staging {
                self.run.entered_at = self.now;
            }
        }
        was
    }
}
