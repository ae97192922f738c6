//! What stands beside the release that serves: one that was started ahead of its flip, or the old one that is kept warm
//! for the way back. One at a time, so a service never has more than two processes that are not about to end.
//!
//! It is watched as the one that serves is, but never started again: a prepared release that ends is told as a failure, a
//! warm one is only missed on the way back, which then starts it anew.

use std::time::Duration;

use tenfold_deploys::Digest;
use tenfold_protocols::agent::{BlobDigest, FromAgent, OrderRef, RunSpec};
use tokio::time::Instant;

use super::{
    service,
    state::{Active, Beside, Note},
    supervise::{FAILURES_MAX, PROBE_EVERY},
    unit::{Done, Then, Unit},
};
use crate::process::ProcessId;

impl Unit {
    pub(super) fn prepare(&mut self, order: OrderRef, digest: Digest, run: RunSpec) {
        if let Some(attempt) = self.attempt.as_mut().filter(|a| a.digest == digest && a.run == run) {
            attempt.order = order;
            attempt.then = Then::Stand;
            return;
        }
        self.give_up_attempt();
        if self.kept.current.as_ref().is_some_and(|a| a.is(digest, &run) && a.stands()) {
            // its flip finds it serving by this
            self.kept.belongs_to(order.deploy);
            self.save();
            return self.say_prepared(order, digest);
        }
        if let Some(beside) = self.kept.beside.as_mut().filter(|b| b.active.is(digest, &run) && b.active.stands()) {
            (beside.prepared, beside.order, beside.until) = (true, order.clone(), None);
            self.save();
            return self.say_prepared(order, digest);
        }
        self.let_go_beside();
        if !self.place.release(digest).is_dir() {
            let error = format!("the release {} is not on this host", digest.short());
            return self.fail(order, Some(digest), error, String::new());
        }
        if run.is_link_only() {
            let active = self.linked(&order, digest, run);
            return self.stand_beside(Beside { active, prepared: true, order, until: None });
        }
        if let Err(error) = self.begin(order.clone(), digest, run, Then::Stand) {
            self.fail(order, Some(digest), error, String::new());
        }
    }

    /// A release without a process: nothing is started for it.
    pub(super) fn linked(&self, order: &OrderRef, digest: Digest, run: RunSpec) -> Active {
        let since = self.shared.config.clock.now();
        Active { digest, deploy: order.deploy, run, port: 0, process: None, since, limits: None }
    }

    pub(super) fn stand_beside(&mut self, beside: Beside) {
        let (order, digest) = (beside.order.clone(), beside.active.digest);
        self.note_ahead(&beside.active);
        self.kept.beside = Some(beside);
        self.lay(digest);
        self.beside_failures = 0;
        self.beside_probe_at = Instant::now() + PROBE_EVERY;
        self.save();
        self.say_prepared(order, digest);
    }

    /// How it will run, where it never did; what is known of how it ran before stays until its flip. The flip writes it itself
    /// where this fails.
    fn note_ahead(&self, active: &Active) {
        if Note::load(&self.place, active.digest).is_none()
            && let Err(error) = Note::of(active).save(&self.place, active.digest)
        {
            tracing::debug!(%error, service = %self.service, "how a release will run could not be written ahead");
        }
    }

    /// The flip lays the link itself where this fails.
    fn lay(&self, digest: Digest) {
        if let Err(error) = self.place.lay(digest) {
            tracing::debug!(%error, service = %self.service, "the link of a release could not be laid ready");
        }
    }

    fn say_prepared(&self, order: OrderRef, digest: Digest) {
        self.shared.say(FromAgent::Prepared { order, digest: BlobDigest(*digest.bytes()) });
    }

    /// Turns to what was prepared. The same order again, after a lost answer, finds it serving.
    pub(super) async fn flip(&mut self, order: OrderRef, digest: Digest, keep_warm: bool) {
        if self.is_prepared(&order, digest) {
            return self.turn_to_beside(order, keep_warm).await;
        }
        // by the deploy: another's may have the same files and be run otherwise
        let serves = |a: &Active| a.digest == digest && a.deploy == order.deploy && a.stands();
        if self.kept.current.as_ref().is_some_and(serves) {
            return self.confirm(order);
        }
        let error = format!("the release {} does not stand ready on this host", digest.short());
        self.fail(order, Some(digest), error, String::new());
    }

    pub(super) fn is_prepared(&self, order: &OrderRef, digest: Digest) -> bool {
        let ready = |b: &Beside| b.prepared && b.order.deploy == order.deploy && b.active.digest == digest;
        self.kept.beside.as_ref().is_some_and(|b| ready(b) && b.active.stands())
    }

    pub(super) async fn turn_to_beside(&mut self, order: OrderRef, keep_warm: bool) {
        if let Some(active) = self.kept.beside.as_ref().map(|b| b.active.clone()) {
            self.turn_to(active, order, keep_warm).await;
        }
    }

    pub(super) async fn turn_to(&mut self, active: Active, order: OrderRef, keep_warm: bool) {
        let digest = active.digest;
        match self.switch(Active { since: self.shared.config.clock.now(), ..active }, &order, keep_warm).await {
            Ok(release) => {
                self.shared.say(FromAgent::Activated { order, release });
                self.prune_soon();
            }
            Err(error) => self.fail(order, Some(digest), error, String::new()),
        }
    }

    /// Ends what a deploy left beside what serves, now or after a while. Another deploy's is none of its business.
    pub(super) fn discard(&mut self, order: &OrderRef, after_ms: u64) {
        if self.attempt.as_ref().is_some_and(|a| a.then == Then::Stand && a.order.deploy == order.deploy) {
            self.give_up_attempt();
        }
        let Some(beside) = self.kept.beside.as_mut().filter(|b| b.order.deploy == order.deploy) else { return };
        if after_ms == 0 || beside.prepared {
            return self.let_go_beside();
        }
        let after_ms = i64::try_from(after_ms).unwrap_or(i64::MAX);
        beside.until = Some(self.shared.config.clock.now().plus_ms(after_ms));
        self.save();
    }

    pub(super) fn let_go_beside(&mut self) {
        let Some(beside) = self.kept.beside.take() else { return };
        self.kept.ending.extend(beside.active.process);
        self.save();
        if let Some(process) = beside.active.process {
            self.end(process, Duration::ZERO, Duration::from_millis(beside.active.run.stop_within_ms));
        }
    }

    /// After a start of the agent: what still stands there goes on standing.
    pub(super) fn adopt_beside(&mut self) {
        if self.kept.beside.as_ref().is_some_and(|b| !b.active.stands()) {
            self.kept.beside = None;
            self.save();
        }
        self.tell_beside();
    }

    /// Twice a second.
    pub(super) fn look_beside(&mut self) {
        let Some(beside) = &self.kept.beside else { return };
        if beside.until.is_some_and(|until| self.shared.config.clock.now() >= until) {
            return self.let_go_beside();
        }
        let Some(process) = beside.active.process else { return };
        if !process.is_alive() {
            return self.lose_beside("it ended before its flip");
        }
        if let Err(error) = service::cap_log(&self.place.log(beside.active.digest)) {
            tracing::warn!(%error, service = %self.service, "the log of a service could not be cut");
        }
        if Instant::now() < self.beside_probe_at {
            return;
        }
        // the answer is given up before the next question
        self.beside_probe_at = Instant::now() + PROBE_EVERY + service::PROBE;
        let (http, done) = (self.shared.http.clone(), self.done.clone());
        let (port, path) = (beside.active.port, beside.active.run.health_path.clone());
        tokio::spawn(async move {
            let healthy = service::probe(&http, port, &path).await.is_ok();
            let _ = done.send(Done::ProbedBeside { process, healthy });
        });
    }

    pub(super) fn probed_beside(&mut self, process: ProcessId, healthy: bool) {
        if self.kept.beside.as_ref().and_then(|b| b.active.process) != Some(process) {
            return;
        }
        self.beside_probe_at = Instant::now() + PROBE_EVERY;
        self.beside_failures = if healthy { 0 } else { self.beside_failures + 1 };
        if self.beside_failures >= FAILURES_MAX {
            self.lose_beside("it stopped answering its health check before its flip");
        }
    }

    fn lose_beside(&mut self, why: &str) {
        let Some(beside) = self.kept.beside.clone() else { return };
        self.let_go_beside();
        if beside.prepared {
            let tail = service::tail(&self.place.log(beside.active.digest), 0);
            self.fail(beside.order, Some(beside.active.digest), why.to_owned(), tail);
        }
    }

    /// What is told of it when the agent connects; one whose end is known needs nobody's word.
    pub(super) fn tell_beside(&self) {
        let beside = self.kept.beside.as_ref().filter(|b| b.until.is_none());
        let told = beside.map(|b| OrderRef { epoch: self.kept.epoch, ..b.order.clone() });
        let mut all = self.shared.beside.lock();
        match told {
            Some(order) => all.insert(self.service.clone(), order),
            None => all.remove(&self.service),
        };
    }
}
