//! One service on this host: a task that takes orders one by one and owns everything of the service.
//!
//! The new release starts beside the old one, on a port of its own, and takes over only when it is healthy; until then,
//! and whenever something fails, the old one goes on untouched.

use std::{sync::Arc, time::Duration};

use tenfold_deploys::{Digest, Manifest};
use tenfold_protocols::agent::{BlobDigest, FromAgent, OrderRef, Release, ReleaseState, RunSpec, tail_of};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    disk::Place,
    farm,
    service::{self, Started},
    state::{Active, Kept, Note},
};
use crate::process::ProcessId;

/// Releases kept for the way back, besides the one that runs.
const KEEP_MAX: usize = 5;
/// Between two looks at the process.
const LOOK: Duration = Duration::from_millis(500);

pub(crate) enum Command {
    Stage { order: OrderRef, digest: Digest, manifest: Box<Manifest> },
    Activate { order: OrderRef, digest: Digest, run: Option<RunSpec> },
    Deactivate { order: OrderRef },
}

/// What tasks of the unit report back.
pub(super) enum Done {
    Started { generation: u64, result: Result<(), String> },
    Confirmed { generation: u64, order: OrderRef, result: Result<(), String> },
    Ended { process: ProcessId },
    Stopped { order: OrderRef, process: Option<ProcessId> },
    Probed { process: ProcessId, healthy: bool },
}

/// A release that is being started.
struct Attempt {
    generation: u64,
    order: OrderRef,
    digest: Digest,
    run: RunSpec,
    port: u16,
    process: ProcessId,
    log_from: u64,
    cancel: CancellationToken,
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
    attempt: Option<Attempt>,
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
    let place = Place::new(&shared.config.dir, name);
    let kept = Kept::load(&place);
    let mut unit = Unit {
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
        attempt: None,
        generation: 0,
        done,
    };
    unit.adopt().await;
    let stop = stop.clone();
    tokio::spawn(async move {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                order = rx.recv() => match order {
                    Some(order) => unit.take(order),
                    None => return,
                },
                Some(done) = finished.recv() => unit.finish(done),
                _ = look.tick() => unit.look(),
            }
        }
    });
    orders
}

impl Unit {
    fn take(&mut self, command: Command) {
        let order = match &command {
            Command::Stage { order, .. } | Command::Activate { order, .. } | Command::Deactivate { order } => {
                order.clone()
            }
        };
        if order.environment != self.shared.config.environment {
            let error =
                format!("this host belongs to {}, not to {}", self.shared.config.environment, order.environment);
            return self.fail(order, command_digest(&command), error, String::new());
        }
        if order.epoch < self.kept.epoch {
            return self.shared.say(FromAgent::Refused { order, highest_epoch: self.kept.epoch });
        }
        if order.epoch > self.kept.epoch {
            self.kept.epoch = order.epoch;
            if let Err(error) = self.place.make().and_then(|()| self.kept.save(&self.place)) {
                let error = format!("the order's epoch could not be kept: {error}");
                return self.fail(order, command_digest(&command), error, String::new());
            }
        }
        match command {
            Command::Stage { order, digest, manifest } => self.stage(order, digest, *manifest),
            Command::Activate { order, digest, run } => self.activate(order, digest, run),
            Command::Deactivate { order } => self.deactivate(order),
        }
    }

    fn stage(&self, order: OrderRef, digest: Digest, manifest: Manifest) {
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

    fn activate(&mut self, order: OrderRef, digest: Digest, run: Option<RunSpec>) {
        let Some(run) = run.or_else(|| Note::load(&self.place, digest).map(|n| n.run)) else {
            let error = format!("the release {} never ran on this host", digest.short());
            return self.fail(order, Some(digest), error, String::new());
        };
        if let Some(attempt) = self.attempt.as_mut().filter(|a| a.digest == digest && a.run == run) {
            // the same again, after a lost connection: the answer goes to the new order
            attempt.order = order;
            return;
        }
        self.give_up_attempt();
        let current = self.kept.current.as_ref().filter(|a| a.digest == digest && a.run == run);
        if let Some((port, process)) = current.and_then(|a| a.process.map(|p| (a.port, p)))
            && process.is_alive()
        {
            return self.confirm(order, port, &run);
        }
        if !self.place.release(digest).is_dir() {
            let error = format!("the release {} is not on this host", digest.short());
            return self.fail(order, Some(digest), error, String::new());
        }
        if let Err(error) = self.begin(order.clone(), digest, run) {
            self.fail(order, Some(digest), error, String::new());
        }
    }

    /// It runs already: only its health is asked again.
    fn confirm(&self, order: OrderRef, port: u16, run: &RunSpec) {
        let (shared, done, path, generation) =
            (self.shared.clone(), self.done.clone(), run.health_path.clone(), self.generation);
        tokio::spawn(async move {
            let result = service::probe(&shared.http, port, &path).await;
            let _ = done.send(Done::Confirmed { generation, order, result });
        });
    }

    fn begin(&mut self, order: OrderRef, digest: Digest, run: RunSpec) -> Result<(), String> {
        let port = service::free_port().map_err(|e| format!("there is no free port: {e}"))?;
        let Started { id, exit, log_from } =
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
        self.attempt = Some(Attempt { generation, order, digest, run, port, process: id, log_from, cancel });
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

    fn finish(&mut self, done: Done) {
        match done {
            Done::Started { generation, result } => {
                let Some(attempt) = self.attempt.take_if(|a| a.generation == generation) else { return };
                match result.and_then(|()| self.take_over(&attempt)) {
                    Ok(release) => {
                        self.shared.say(FromAgent::Activated { order: attempt.order, release });
                        self.prune();
                    }
                    Err(error) => {
                        let tail = service::tail(&self.place.log(attempt.digest), attempt.log_from);
                        self.end(attempt.process, Duration::ZERO, Duration::from_millis(attempt.run.stop_within_ms));
                        self.kept.starting = None;
                        self.save();
                        self.fail(attempt.order, Some(attempt.digest), error, tail);
                    }
                }
            }
            Done::Confirmed { generation, order, result } if generation == self.generation => {
                let digest = self.kept.current.as_ref().map(|a| a.digest);
                match result {
                    Ok(()) => {
                        self.healthy = true;
                        self.failures = 0;
                        if let Some(active) = &mut self.kept.current {
                            active.deploy = order.deploy;
                        }
                        self.save();
                        self.report();
                        if let Some(release) = self.release() {
                            self.shared.say(FromAgent::Activated { order, release });
                        }
                    }
                    Err(error) => self.fail(order, digest, format!("it runs, but {error}"), String::new()),
                }
            }
            Done::Confirmed { .. } => {}
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
        }
    }

    /// The flip: the link, the state on disk, then the old process is left to drain.
    fn take_over(&mut self, attempt: &Attempt) -> Result<Release, String> {
        let before = self.kept.clone();
        let old = self.kept.current.take();
        let now = self.shared.config.clock.now();
        self.kept.current = Some(Active {
            digest: attempt.digest,
            deploy: attempt.order.deploy,
            run: attempt.run.clone(),
            port: attempt.port,
            process: Some(attempt.process),
            since: now,
        });
        self.kept.starting = None;
        self.kept.ending.extend(old.as_ref().and_then(|a| a.process));
        self.kept.ran.retain(|d| *d != attempt.digest);
        self.kept.ran.push(attempt.digest);
        let surplus = self.kept.ran.len().saturating_sub(KEEP_MAX + 1);
        self.kept.ran.drain(..surplus);
        let note = Note { run: attempt.run.clone(), deploy: attempt.order.deploy };
        let kept = note
            .save(&self.place, attempt.digest)
            .and_then(|()| self.place.flip(Some(attempt.digest)))
            .and_then(|()| self.kept.save(&self.place));
        if let Err(error) = kept {
            self.kept = before;
            let _ = self.place.flip(self.kept.current.as_ref().map(|a| a.digest));
            return Err(format!("the flip could not be written: {error}"));
        }
        self.healthy = true;
        self.failures = 0;
        self.restarts = 0;
        self.restart_at = None;
        if let Some(old) = old
            && let Some(process) = old.process
        {
            // the new release says how long the old one drains
            let drain = Duration::from_millis(attempt.run.drain_ms);
            self.end(process, drain, Duration::from_millis(old.run.stop_within_ms));
        }
        self.report();
        self.release().ok_or_else(|| "the release is gone".to_owned())
    }

    /// A newer order takes the place of one that is under way: what it started is ended.
    fn give_up_attempt(&mut self) {
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

    fn prune(&self) {
        let (shared, place, keep) = (self.shared.clone(), self.place.clone(), self.kept.ran.clone());
        tokio::task::spawn_blocking(move || farm::prune(&shared, &place, &keep));
    }

    fn fail(&self, order: OrderRef, digest: Option<Digest>, error: String, log_tail: String) {
        let digest = digest.map(|d| BlobDigest(*d.bytes()));
        let running = self.release();
        self.shared.say(FromAgent::Failed { order, digest, error: tail_of(&error), log_tail, running });
    }

    pub(super) fn save(&self) {
        if let Err(error) = self.kept.save(&self.place) {
            tracing::warn!(%error, service = %self.service, "the state of a service could not be kept");
        }
    }

    pub(super) fn report(&self) {
        self.shared.report(&self.service, self.release());
    }

    pub(super) fn release(&self) -> Option<Release> {
        let active = self.kept.current.as_ref()?;
        let up = self.healthy && active.process.is_some();
        Some(Release {
            service: self.service.clone(),
            environment: self.shared.config.environment.clone(),
            digest: BlobDigest(*active.digest.bytes()),
            sha: active.run.sha.clone(),
            deploy: active.deploy,
            state: if up { ReleaseState::Running } else { ReleaseState::Unhealthy },
            address: Some(format!("{}:{}", self.shared.config.address, active.port)),
            metrics_path: active.run.metrics_path.clone(),
            limits: super::limits::noted(&self.place, active.digest),
            since: active.since,
        })
    }
}

fn command_digest(command: &Command) -> Option<Digest> {
    match command {
        Command::Stage { digest, .. } | Command::Activate { digest, .. } => Some(*digest),
        Command::Deactivate { .. } => None,
    }
}
