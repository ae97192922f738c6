//! One service on this host: a task that takes orders one by one and owns everything of the service.
//!
//! The new release starts beside the old one, on a port of its own, and takes over only when it is healthy; until then,
//! and whenever something fails, the old one goes on untouched.

use std::{sync::Arc, time::Duration};

use tenfold_deploys::{Digest, Manifest};
use tenfold_protocols::agent::{
    BlobDigest, FromAgent, LimitsReport, OrderRef, Release, ReleaseState, RunSpec, tail_of,
};
use tenfold_types::Timestamp;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    disk::Place,
    farm,
    service::{self, Started},
    state::{Active, Beside, Kept, Note},
};
use crate::process::ProcessId;

/// Releases kept for the way back, besides the one that runs.
const KEEP_MAX: usize = 5;
/// Between two looks at the process.
const LOOK: Duration = Duration::from_millis(500);
/// After a flip, until releases that are not kept are removed.
const PRUNE_AFTER: Duration = Duration::from_secs(1);

pub(crate) enum Command {
    Stage { order: OrderRef, digest: Digest, manifest: Box<Manifest> },
    Activate { order: OrderRef, digest: Digest, run: Option<RunSpec>, keep_warm: bool },
    Prepare { order: OrderRef, digest: Digest, run: RunSpec },
    Flip { order: OrderRef, digest: Digest, keep_warm: bool },
    Discard { order: OrderRef, after_ms: u64 },
    Deactivate { order: OrderRef },
}

impl Command {
    pub fn order(&self) -> &OrderRef {
        match self {
            Self::Stage { order, .. }
            | Self::Activate { order, .. }
            | Self::Prepare { order, .. }
            | Self::Flip { order, .. }
            | Self::Discard { order, .. }
            | Self::Deactivate { order } => order,
        }
    }
    const fn digest(&self) -> Option<Digest> {
        match self {
            Self::Stage { digest, .. }
            | Self::Activate { digest, .. }
            | Self::Prepare { digest, .. }
            | Self::Flip { digest, .. } => Some(*digest),
            Self::Discard { .. } | Self::Deactivate { .. } => None,
        }
    }
}

/// What becomes of a release that was started and is healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// It stands beside the one that serves.
    Stand,
    /// It takes over; the one before it may be kept warm.
    Serve { keep_warm: bool },
}

/// What tasks of the unit report back.
pub(super) enum Done {
    Started { generation: u64, result: Result<(), String> },
    Confirmed { generation: u64, order: OrderRef, result: Result<(), String> },
    Ended { process: ProcessId },
    Stopped { order: OrderRef, process: Option<ProcessId> },
    Probed { process: ProcessId, healthy: bool },
    ProbedBeside { process: ProcessId, healthy: bool },
    Reloaded { since: Timestamp, result: Result<(), String> },
}

/// A release that is being started.
pub(super) struct Attempt {
    generation: u64,
    pub order: OrderRef,
    pub digest: Digest,
    pub run: RunSpec,
    pub then: Then,
    port: u16,
    process: ProcessId,
    limits: Option<LimitsReport>,
    log_from: u64,
    cancel: CancellationToken,
}

impl Attempt {
    fn active(&self, since: Timestamp) -> Active {
        let (digest, port, process) = (self.digest, self.port, Some(self.process));
        let (run, limits) = (self.run.clone(), self.limits.clone());
        Active { digest, deploy: self.order.deploy, run, port, process, since, limits }
    }
}

pub(super) struct Unit {
    pub shared: Arc<Shared>,
    pub place: Place,
    pub service: String,
    pub kept: Kept,
    pub healthy: bool,
    pub failures: u32,
    pub probing: bool,
    pub probe_at: Instant,
    pub restarts: u32,
    pub restart_at: Option<Instant>,
    /// How often what stands beside failed its health check in a row, and when it is asked next.
    pub beside_failures: u32,
    pub beside_probe_at: Instant,
    pub attempt: Option<Attempt>,
    /// When releases that are not kept are removed.
    prune_at: Option<Instant>,
    /// What was asked to be staged last: it is not to be removed before its turn comes.
    staged: Option<Digest>,
    generation: u64,
    pub done: mpsc::UnboundedSender<Done>,
}

/// Adopts what runs, then takes orders until `stop`.
pub(crate) async fn start(
    shared: &Arc<Shared>,
    name: &str,
    stop: &CancellationToken,
) -> mpsc::UnboundedSender<Command> {
    let (orders, mut rx) = mpsc::unbounded_channel();
    let (done, mut finished) = mpsc::unbounded_channel();
    let mut unit = Unit::new(shared, name, done);
    unit.adopt().await;
    let stop = stop.clone();
    tokio::spawn(async move {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                order = rx.recv() => match order {
                    Some(order) => unit.take(order).await,
                    None => return,
                },
                Some(done) = finished.recv() => unit.finish(done).await,
                _ = look.tick() => unit.look(),
            }
        }
    });
    orders
}

impl Unit {
    fn new(shared: &Arc<Shared>, name: &str, done: mpsc::UnboundedSender<Done>) -> Self {
        let place = Place::new(&shared.config.dir, name);
        let kept = Kept::load(&place);
        Self {
            shared: shared.clone(),
            place,
            service: name.to_owned(),
            kept,
            healthy: false,
            failures: 0,
            probing: false,
            probe_at: Instant::now(),
            restarts: 0,
            restart_at: None,
            beside_failures: 0,
            beside_probe_at: Instant::now(),
            attempt: None,
            prune_at: None,
            staged: None,
            generation: 0,
            done,
        }
    }

    async fn take(&mut self, command: Command) {
        let order = command.order().clone();
        if order.environment != self.shared.config.environment {
            let error =
                format!("this host belongs to {}, not to {}", self.shared.config.environment, order.environment);
            return self.fail(order, command.digest(), error, String::new());
        }
        if order.epoch < self.kept.epoch {
            return self.shared.say(FromAgent::Refused { order, highest_epoch: self.kept.epoch });
        }
        if order.epoch > self.kept.epoch {
            self.kept.epoch = order.epoch;
            // What turns at once writes the epoch with the rest, before it answers.
            if !self.turns_at_once(&command)
                && let Err(error) = self.place.make().and_then(|()| self.kept.save(&self.place))
            {
                let error = format!("the order's epoch could not be kept: {error}");
                return self.fail(order, command.digest(), error, String::new());
            }
        }
        match command {
            Command::Stage { order, digest, manifest } => self.stage(order, digest, *manifest),
            Command::Activate { order, digest, run, keep_warm } => self.activate(order, digest, run, keep_warm).await,
            Command::Prepare { order, digest, run } => self.prepare(order, digest, run),
            Command::Flip { order, digest, keep_warm } => self.flip(order, digest, keep_warm).await,
            Command::Discard { order, after_ms } => self.discard(&order, after_ms),
            Command::Deactivate { order } => self.deactivate(order),
        }
    }

    /// What it turns to stands there, and nothing has to be started or asked before.
    fn turns_at_once(&self, command: &Command) -> bool {
        match command {
            Command::Flip { order, digest, .. } => self.is_prepared(order, *digest),
            Command::Activate { order, digest, run, .. } => {
                let run = run.clone().or_else(|| self.run_before(order.deploy, *digest));
                let serves = |run: &RunSpec| self.kept.current.as_ref().is_some_and(|a| a.is(*digest, run));
                let linked = |run: &RunSpec| run.is_link_only() && self.place.release(*digest).is_dir();
                let stands = |run: &RunSpec| !serves(run) && (self.is_warm(*digest, run) || linked(run));
                self.attempt.is_none() && run.is_some_and(|run| stands(&run))
            }
            _ => false,
        }
    }

    /// It stands beside what serves, and answered when it was asked last.
    fn is_warm(&self, digest: Digest, run: &RunSpec) -> bool {
        let stands = |b: &Beside| b.active.is(digest, run) && b.active.stands();
        self.beside_failures == 0 && self.kept.beside.as_ref().is_some_and(stands)
    }

    fn stage(&mut self, order: OrderRef, digest: Digest, manifest: Manifest) {
        self.staged = Some(digest);
        let (shared, place) = (self.shared.clone(), self.place.clone());
        let running = self.release();
        tokio::spawn(async move {
            let digest = BlobDigest(*digest.bytes());
            let message = match farm::stage(&shared, &place, &order, manifest).await {
                Ok(()) => FromAgent::Staged { order, digest },
                Err(error) => {
                    FromAgent::Failed { order, digest: Some(digest), error, log_tail: String::new(), running }
                }
            };
            shared.say(message);
        });
    }

    async fn activate(&mut self, order: OrderRef, digest: Digest, run: Option<RunSpec>, keep_warm: bool) {
        let Some(run) = run.or_else(|| self.run_before(order.deploy, digest)) else {
            let error = format!("the release {} never ran on this host", digest.short());
            return self.fail(order, Some(digest), error, String::new());
        };
        if let Some(attempt) = self.attempt.as_mut().filter(|a| a.digest == digest && a.run == run) {
            // the same again, after a lost connection: the answer goes to the new order
            attempt.order = order;
            attempt.then = Then::Serve { keep_warm };
            return;
        }
        self.give_up_attempt();
        if self.kept.current.as_ref().is_some_and(|a| a.is(digest, &run) && a.stands()) {
            return self.confirm(order);
        }
        if self.is_warm(digest, &run) {
            return self.turn_to_beside(order, keep_warm).await;
        }
        if self.kept.beside.as_ref().is_some_and(|b| b.prepared) {
            self.let_go_beside();
        }
        if !self.place.release(digest).is_dir() {
            let error = format!("the release {} is not on this host", digest.short());
            return self.fail(order, Some(digest), error, String::new());
        }
        if run.is_link_only() {
            let active = self.linked(&order, digest, run);
            return self.turn_to(active, order, keep_warm).await;
        }
        if let Err(error) = self.begin(order.clone(), digest, run, Then::Serve { keep_warm }) {
            self.fail(order, Some(digest), error, String::new());
        }
    }

    /// How the release ran that a deploy goes back to. What the deploy itself started may have been the same files.
    fn run_before(&self, deploy: i64, digest: Digest) -> Option<RunSpec> {
        let before = self.kept.before(deploy).filter(|active| active.digest == digest);
        before.map(|active| active.run.clone()).or_else(|| Note::load(&self.place, digest).map(|note| note.run))
    }

    /// It runs already: only its health is asked again, or the program that serves its files told of it again.
    pub(super) fn confirm(&self, order: OrderRef) {
        let Some(active) = self.kept.current.clone() else { return };
        let (shared, done, generation) = (self.shared.clone(), self.done.clone(), self.generation);
        let (place, service) = (self.place.clone(), self.service.clone());
        tokio::spawn(async move {
            let result = match active.process {
                Some(_) => service::probe(&shared.http, active.port, &active.run.health_path).await,
                None => service::reload(&shared, &place, &service, &active.run.reload).await,
            };
            let _ = done.send(Done::Confirmed { generation, order, result });
        });
    }

    pub(super) fn begin(&mut self, order: OrderRef, digest: Digest, run: RunSpec, then: Then) -> Result<(), String> {
        let port = service::free_port().map_err(|e| format!("there is no free port: {e}"))?;
        let Started { id, exit, log_from, limits } =
            service::start(&self.shared, &self.place, &self.service, digest, order.deploy, &run, port)?;
        self.kept.starting = Some(id);
        if let Err(error) = self.kept.save(&self.place) {
            id.signal(nix::sys::signal::Signal::SIGKILL);
            self.kept.starting = None;
            return Err(format!("the state of the service could not be kept: {error}"));
        }
        self.generation += 1;
        let cancel = CancellationToken::new();
        let message = format!("started {} on port {port}; asking {}", run.command.join(" "), run.health_path);
        self.shared.say(FromAgent::Activating {
            order: order.clone(),
            digest: BlobDigest(*digest.bytes()),
            checking: true,
            message,
        });
        let (shared, done, asked, generation, cancelled) =
            (self.shared.clone(), self.done.clone(), run.clone(), self.generation, cancel.clone());
        self.attempt =
            Some(Attempt { generation, order, digest, run, then, port, process: id, limits, log_from, cancel });
        tokio::spawn(async move {
            tokio::select! {
                result = service::until_healthy(&shared.http, exit, port, &asked) => {
                    let _ = done.send(Done::Started { generation, result });
                }
                () = cancelled.cancelled() => {}
            }
        });
        Ok(())
    }

    fn deactivate(&mut self, order: OrderRef) {
        self.give_up_attempt();
        self.let_go_beside();
        let current = self.kept.current.take();
        self.restart_at = None;
        let process = current.as_ref().and_then(|a| a.process);
        self.kept.ending.extend(process);
        if let Err(error) = self.place.flip(None).and_then(|()| self.kept.save(&self.place)) {
            tracing::warn!(%error, service = %self.service, "the state of a service could not be kept");
        }
        self.shared.report(&self.service, None);
        let within = current.map_or(Duration::ZERO, |a| Duration::from_millis(a.run.stop_within_ms));
        let done = self.done.clone();
        tokio::spawn(async move {
            if let Some(process) = process {
                process.end(within).await;
            }
            let _ = done.send(Done::Stopped { order, process });
        });
    }

    async fn finish(&mut self, done: Done) {
        match done {
            Done::Started { generation, result } => {
                let Some(attempt) = self.attempt.take_if(|a| a.generation == generation) else { return };
                let taken = match result {
                    Ok(()) => self.take_in(&attempt).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = taken {
                    let tail = service::tail(&self.place.log(attempt.digest), attempt.log_from);
                    self.end(attempt.process, Duration::ZERO, Duration::from_millis(attempt.run.stop_within_ms));
                    self.kept.starting = None;
                    self.save();
                    self.fail(attempt.order, Some(attempt.digest), error, tail);
                }
            }
            Done::Confirmed { generation, order, result } if generation == self.generation => {
                let digest = self.kept.current.as_ref().map(|a| a.digest);
                match result {
                    Ok(()) => {
                        self.healthy = true;
                        self.failures = 0;
                        self.kept.belongs_to(order.deploy);
                        self.save();
                        self.report();
                        if let Some(release) = self.release() {
                            self.shared.say(FromAgent::Activated { order, release });
                        }
                    }
                    Err(error) => {
                        self.not_reloaded(&error);
                        self.fail(order, digest, format!("it runs, but {error}"), String::new());
                    }
                }
            }
            Done::Confirmed { .. } => {}
            Done::Reloaded { since, result } => self.reloaded(since, result),
            Done::Ended { process } => {
                self.kept.ending.retain(|p| *p != process);
                self.save();
            }
            Done::Stopped { order, process } => {
                self.kept.ending.retain(|p| Some(*p) != process);
                self.save();
                self.shared.say(FromAgent::Deactivated { order });
            }
            Done::Probed { process, healthy } => self.probed(process, healthy),
            Done::ProbedBeside { process, healthy } => self.probed_beside(process, healthy),
        }
    }

    /// A release that was started is healthy.
    async fn take_in(&mut self, attempt: &Attempt) -> Result<(), String> {
        self.kept.starting = None;
        let active = attempt.active(self.shared.config.clock.now());
        match attempt.then {
            Then::Serve { keep_warm } => {
                let release = self.switch(active, &attempt.order, keep_warm).await?;
                self.shared.say(FromAgent::Activated { order: attempt.order.clone(), release });
                self.prune_soon();
            }
            Then::Stand => {
                let order = attempt.order.clone();
                self.stand_beside(Beside { active, prepared: true, order, until: None });
            }
        }
        Ok(())
    }

    /// The flip: the link first, then what is kept on disk. The old process is kept warm, or left to drain.
    pub(super) async fn switch(&mut self, next: Active, order: &OrderRef, keep_warm: bool) -> Result<Release, String> {
        let before = self.kept.clone();
        let (digest, link_only, reload) = (next.digest, next.run.is_link_only(), next.run.reload.clone());
        // the new release says how long the old one drains
        let drain = Duration::from_millis(next.run.drain_ms);
        let left = self.kept.beside.take().map(|b| b.active).filter(|a| a.process != next.process);
        self.kept.back = before.before(order.deploy).cloned();
        let old = self.kept.current.replace(Active { deploy: order.deploy, ..next });
        let (warm, old) = if keep_warm { (old.filter(|a| a.process.is_some()), None) } else { (None, old) };
        self.kept.beside = warm.map(|active| Beside { active, prepared: false, order: order.clone(), until: None });
        self.kept.ending.extend(left.as_ref().and_then(|a| a.process));
        self.kept.ending.extend(old.as_ref().and_then(|a| a.process));
        self.kept.starting = None;
        self.kept.ran.retain(|d| *d != digest);
        self.kept.ran.push(digest);
        let surplus = self.kept.ran.len().saturating_sub(KEEP_MAX + 1);
        self.kept.ran.drain(..surplus);
        let mut kept = match self.place.turn(Some(digest)) {
            Ok(()) => self.write_kept().await.map_err(|e| format!("the flip could not be written: {e}")),
            Err(error) => Err(format!("the link could not be turned: {error}")),
        };
        if kept.is_ok() && link_only {
            kept = service::reload(&self.shared, &self.place, &self.service, &reload).await;
        }
        if let Err(error) = kept {
            self.kept = before;
            let _ = self.place.flip(self.kept.current.as_ref().map(|a| a.digest));
            self.save();
            self.way_back(link_only).await;
            return Err(error);
        }
        self.healthy = true;
        self.failures = 0;
        self.restarts = 0;
        self.restart_at = None;
        self.beside_failures = 0;
        for (ended, drain) in [(left, Duration::ZERO), (old, drain)] {
            if let Some(active) = ended
                && let Some(process) = active.process
            {
                self.end(process, drain, Duration::from_millis(active.run.stop_within_ms));
            }
        }
        self.report();
        self.release().ok_or_else(|| "the release is gone".to_owned())
    }

    /// After a flip that was not to be: what is on disk of the release before, and whoever serves its files, turn back to it.
    async fn way_back(&mut self, link_only: bool) {
        let Some(active) = self.kept.current.clone() else { return };
        if let Err(error) = Note::of(&active).save(&self.place, active.digest) {
            tracing::warn!(%error, service = %self.service, "how a release runs could not be written");
        }
        if link_only && active.run.is_link_only() {
            let result = service::reload(&self.shared, &self.place, &self.service, &active.run.reload).await;
            self.reloaded(active.since, result);
        }
    }

    /// Writes what is kept without holding up the thread: other services flip meanwhile.
    async fn write_kept(&self) -> std::io::Result<()> {
        self.tell_beside();
        // The links of others that were told to turn at the same time come before this.
        tokio::task::yield_now().await;
        let (kept, place) = (self.kept.clone(), self.place.clone());
        let write = move || {
            if let Some(active) = &kept.current {
                // the note of what was prepared lies there already, so that its flip writes one thing
                if Note::load(&place, active.digest).is_none_or(|note| note.run != active.run) {
                    Note::of(active).save(&place, active.digest)?;
                }
            }
            kept.save(&place)?;
            // for the way back: to what is kept warm, or, of files alone, to what served before
            let linked = kept.back.as_ref().filter(|back| back.run.is_link_only());
            if let Some(back) = kept.beside.as_ref().map(|warm| &warm.active).or(linked) {
                let _ = place.lay(back.digest);
            }
            Ok(())
        };
        tokio::task::spawn_blocking(write).await.unwrap_or_else(|e| Err(std::io::Error::other(e)))
    }

    /// A newer order takes the place of one that is under way: what it started is ended.
    pub(super) fn give_up_attempt(&mut self) {
        self.generation += 1;
        if let Some(attempt) = self.attempt.take() {
            attempt.cancel.cancel();
            self.kept.starting = None;
            self.kept.ending.push(attempt.process);
            self.save();
            self.end(attempt.process, Duration::ZERO, Duration::from_millis(attempt.run.stop_within_ms));
        }
    }

    pub(super) fn end(&self, process: ProcessId, drain: Duration, within: Duration) {
        let done = self.done.clone();
        tokio::spawn(async move {
            tokio::time::sleep(drain).await;
            process.end(within).await;
            let _ = done.send(Done::Ended { process });
        });
    }

    /// Not at once: right after a flip other services have theirs.
    pub(super) fn prune_soon(&mut self) {
        self.prune_at = Some(Instant::now() + PRUNE_AFTER);
    }

    /// Twice a second.
    pub(super) fn prune_when_due(&mut self) {
        if self.prune_at.is_none_or(|at| at > Instant::now()) {
            return;
        }
        self.prune_at = None;
        let (shared, place, mut keep) = (self.shared.clone(), self.place.clone(), self.kept.ran.clone());
        keep.extend(self.kept.beside.as_ref().map(|b| b.active.digest));
        keep.extend(self.staged);
        tokio::task::spawn_blocking(move || farm::prune(&shared, &place, &keep));
    }

    pub(super) fn fail(&self, order: OrderRef, digest: Option<Digest>, error: String, log_tail: String) {
        let digest = digest.map(|d| BlobDigest(*d.bytes()));
        let running = self.release();
        self.shared.say(FromAgent::Failed { order, digest, error: tail_of(&error), log_tail, running });
    }

    pub(super) fn save(&self) {
        self.tell_beside();
        if let Err(error) = self.kept.save(&self.place) {
            tracing::warn!(%error, service = %self.service, "the state of a service could not be kept");
        }
    }

    pub(super) fn report(&self) {
        self.shared.report(&self.service, self.release());
    }

    pub(super) fn release(&self) -> Option<Release> {
        let active = self.kept.current.as_ref()?;
        let linked = active.run.is_link_only();
        let up = self.healthy && (active.process.is_some() || linked);
        Some(Release {
            service: self.service.clone(),
            environment: self.shared.config.environment.clone(),
            digest: BlobDigest(*active.digest.bytes()),
            sha: active.run.sha.clone(),
            deploy: active.deploy,
            state: if up { ReleaseState::Running } else { ReleaseState::Unhealthy },
            address: (!linked).then(|| format!("{}:{}", self.shared.config.address, active.port)),
            metrics_path: active.run.metrics_path.clone(),
            limits: active.limits.clone(),
            since: active.since,
        })
    }
}

#[cfg(test)]
mod tests;
