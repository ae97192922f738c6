//! Keeping a release running: adopting it after a restart of the agent, restarting it when it ends, asking its health.

use std::time::Duration;

use tenfold_types::Timestamp;
use tokio::time::Instant;

use super::{
    service,
    unit::{Done, Unit},
};
use crate::process::ProcessId;

/// Between two questions while all is well.
pub(super) const PROBE_EVERY: Duration = Duration::from_secs(2);
/// This many answers in a row must fail before a release counts as unhealthy.
pub(super) const FAILURES_MAX: u32 = 3;
/// The first restart comes after this long; each further one takes twice as long.
const RESTART_MS: u64 = 500;
const RESTART_MS_MAX: u64 = 30_000;

impl Unit {
    /// After a start of the agent: what was half done is ended, what runs is adopted, what should run is started.
    pub(super) async fn adopt(&mut self) {
        if let Some(process) = self.kept.starting.take() {
            self.kept.ending.push(process);
        }
        for process in self.lost() {
            tracing::warn!(service = %self.service, pid = process.pid, "ending a process that was started and never kept");
            self.kept.ending.push(process);
        }
        for process in self.kept.ending.clone() {
            self.end(process, Duration::ZERO, Duration::from_secs(5));
        }
        self.adopt_beside();
        let Some(active) = self.kept.current.clone() else { return };
        if let Err(error) = self.place.flip(Some(active.digest)) {
            tracing::warn!(%error, service = %self.service, "the link to the current release could not be set right");
        }
        match active.process.filter(|p| p.is_alive()) {
            None if active.run.is_link_only() => {
                // the agent may have ended between the flip and this
                let result = service::reload(&self.shared, &self.place, &self.service, &active.run.reload).await;
                self.reloaded(active.since, result);
            }
            Some(_) => {
                self.healthy = service::probe(&self.shared.http, active.port, &active.run.health_path).await.is_ok();
            }
            None => self.went_down(Duration::ZERO),
        }
        self.report();
    }

    /// Processes of the service that an agent started and was killed before it wrote them down. What the service itself started
    /// has the port of the one that serves or of the one beside it.
    pub(super) fn lost(&self) -> Vec<ProcessId> {
        let beside = self.kept.beside.as_ref().map(|beside| &beside.active);
        let kept = self.kept.current.iter().chain(beside);
        let alive = kept.filter(|active| active.process.is_some_and(ProcessId::is_alive));
        let ports: Vec<String> = alive.map(|active| format!("{}={}", active.run.port_env, active.port)).collect();
        let ours = format!("TENFOLD_SHARED_DIR={}", self.place.shared().display());
        let known = self.kept.processes();
        ProcessId::leaders(&ours, &ports).into_iter().filter(|found| !known.contains(found)).collect()
    }

    /// Twice a second.
    pub(super) fn look(&mut self) {
        self.look_beside();
        self.prune_when_due();
        let Some(active) = &self.kept.current else { return };
        if let Err(error) = service::cap_log(&self.place.log(active.digest)) {
            tracing::warn!(%error, service = %self.service, "the log of a service could not be cut");
        }
        match active.process {
            Some(process) if !process.is_alive() => {
                tracing::warn!(service = %self.service, pid = process.pid, "a service ended by itself");
                self.went_down(self.pause());
                self.save();
                self.report();
            }
            Some(process) => {
                let due = !self.healthy || Instant::now() >= self.probe_at;
                if due && !self.probing {
                    self.ask(process, active.port, active.run.health_path.clone());
                }
            }
            None if self.restart_at.is_some_and(|at| Instant::now() >= at) => {
                if active.run.is_link_only() {
                    self.reload_again();
                } else {
                    self.restart();
                }
            }
            None => {}
        }
    }

    /// Before the next try, the longer the more there were.
    fn pause(&self) -> Duration {
        Duration::from_millis(RESTART_MS.saturating_mul(1 << self.restarts.min(10)).min(RESTART_MS_MAX))
    }

    /// The program that serves the files did not take the release: it may be down itself, and is told again.
    fn reload_again(&mut self) {
        let Some(active) = self.kept.current.clone() else { return };
        self.restart_at = None;
        self.restarts += 1;
        let (shared, done) = (self.shared.clone(), self.done.clone());
        let (place, service) = (self.place.clone(), self.service.clone());
        tokio::spawn(async move {
            let result = service::reload(&shared, &place, &service, &active.run.reload).await;
            let _ = done.send(Done::Reloaded { since: active.since, result });
        });
    }

    /// How a reload has ended, of the release that serves since `since`.
    pub(super) fn reloaded(&mut self, since: Timestamp, result: Result<(), String>) {
        if self.kept.current.as_ref().is_none_or(|a| a.since != since) {
            return;
        }
        match result {
            Ok(()) => {
                self.healthy = true;
                self.restarts = 0;
                self.restart_at = None;
            }
            Err(error) => self.not_reloaded(&error),
        }
        self.report();
    }

    /// Files that nobody serves yet are not healthy. Those of a release with a process are asked for otherwise.
    pub(super) fn not_reloaded(&mut self, error: &str) {
        if self.kept.current.as_ref().is_none_or(|a| !a.run.is_link_only()) {
            return;
        }
        tracing::warn!(%error, service = %self.service, "the reload of a release failed");
        self.healthy = false;
        self.restart_at = Some(Instant::now() + self.pause());
        self.report();
    }

    fn went_down(&mut self, wait: Duration) {
        if let Some(active) = &mut self.kept.current {
            active.process = None;
        }
        self.healthy = false;
        self.restart_at = Some(Instant::now() + wait);
    }

    fn restart(&mut self) {
        let Some(active) = self.kept.current.clone() else { return };
        self.restart_at = None;
        self.restarts += 1;
        let started = service::start(
            &self.shared,
            &self.place,
            &self.service,
            active.digest,
            active.deploy,
            &active.run,
            active.port,
        );
        match started {
            Ok(started) => {
                if let Some(active) = &mut self.kept.current {
                    active.process = Some(started.id);
                    active.limits = started.limits;
                }
                self.save();
            }
            Err(error) => {
                tracing::warn!(%error, service = %self.service, "a service could not be started again");
                self.went_down(Duration::from_millis(RESTART_MS_MAX));
            }
        }
    }

    fn ask(&mut self, process: ProcessId, port: u16, path: String) {
        self.probing = true;
        self.probe_at = Instant::now() + PROBE_EVERY;
        let (http, done) = (self.shared.http.clone(), self.done.clone());
        tokio::spawn(async move {
            let healthy = service::probe(&http, port, &path).await.is_ok();
            let _ = done.send(Done::Probed { process, healthy });
        });
    }

    pub(super) fn probed(&mut self, process: ProcessId, healthy: bool) {
        self.probing = false;
        if self.kept.current.as_ref().and_then(|a| a.process) != Some(process) {
            return;
        }
        if healthy {
            self.failures = 0;
            self.healthy = true;
            self.restarts = 0;
        } else {
            self.failures += 1;
            self.healthy &= self.failures < FAILURES_MAX;
        }
        self.report();
    }
}
