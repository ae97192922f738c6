//! Acting on a written step: orders to hosts, builds, the canary's query. What fails comes back as an input.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tenfold_deploys::{
    Digest, Manifest,
    machine::{Effect, Input},
    pipeline::HookAt,
};
use tenfold_protocols::agent::{BlobDigest, OrderRef, RunLimits, RunSpec, ToAgent};
use tenfold_store::deploys as store;
use tenfold_types::{Fault, Timestamp};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    check,
    conductor::{Conductor, Signal},
    handed::PlaceOrder,
    judged,
    ports::{BuildOrder, HookOrder, LEFT_ALONE, LineSink, Mark, Source, Step, StepKind, Stream},
    stored::Stored,
};
use crate::App;

/// How long a program may take to end when the deploy goes on elsewhere: within the lease, which nobody renews any more.
pub(super) const STOPS: Duration = Duration::from_secs(4);

/// After a takeover nothing runs any more on another machine: what ran there was alone before this server could begin.
pub(super) const OTHERS_END: Duration = LEFT_ALONE.saturating_add(Duration::from_secs(10));

impl Conductor {
    pub(super) fn act(&mut self, effect: &Effect) {
        match effect {
            Effect::Build => self.build(),
            Effect::BuildAgain { digest } => self.make_again(*digest),
            Effect::StopBuild => {
                self.again.stop();
                if let Some(build) = self.build.take() {
                    build.cancel();
                }
            }
            Effect::Stage { host, digest } if self.order_place(host, PlaceOrder::Check(*digest)) => {}
            Effect::Activate { host, digest } if self.order_place(host, PlaceOrder::Reach(*digest)) => {}
            Effect::Restore { host, digest } if self.order_place(host, PlaceOrder::Restore(*digest)) => {}
            Effect::Deactivate { host } if self.order_place(host, PlaceOrder::Remove) => {}
            Effect::Stage { host, digest } => self.stage(host, *digest),
            Effect::Prepare { host, digest } => self.prepare(host, *digest),
            Effect::Flip { host, digest } if self.app.deploys.hub.prepares(host) => {
                let (order, keep_warm) = (self.order_ref(), self.keeps_warm());
                self.order(host, ToAgent::Flip { order, digest: blob(*digest), keep_warm });
            }
            Effect::Activate { host, digest } | Effect::Flip { host, digest } => {
                let (run, keep_warm) = (Some(run_spec(&self.stored)), self.keeps_warm());
                self.order(host, ToAgent::Activate { order: self.order_ref(), digest: blob(*digest), run, keep_warm });
            }
            Effect::Restore { host, digest } => {
                let (order, digest) = (self.order_ref(), blob(*digest));
                self.order(host, ToAgent::Activate { order, digest, run: None, keep_warm: false });
            }
            // One that is away is told when it comes back.
            Effect::Discard { host, after_ms } if self.app.deploys.hub.prepares(host) => {
                let after_ms = u64::try_from(*after_ms).unwrap_or(0);
                self.app.deploys.hub.send(host, ToAgent::Discard { order: self.order_ref(), after_ms });
            }
            Effect::Discard { .. } => {}
            Effect::Deactivate { host } => self.order(host, ToAgent::Deactivate { order: self.order_ref() }),
            Effect::Pause => self.pause_place(),
            Effect::RunCheck => self.check(),
            Effect::RunJudge { since } => self.judge(*since),
            Effect::RunHook { at } => self.hook(*at),
            Effect::StopHook => {
                if let Some(hook) = self.hook.take() {
                    hook.cancel();
                }
            }
            // Written with the step.
            Effect::Page { .. } | Effect::Lock { .. } | Effect::Say(_) | Effect::Refuse(_) => {}
        }
    }

    fn order_ref(&self) -> OrderRef {
        OrderRef {
            service: self.stored.service.clone(),
            environment: self.stored.environment.clone(),
            deploy: self.stored.number,
            epoch: self.epoch,
        }
    }

    fn order(&self, host: &str, message: ToAgent) {
        if !self.app.deploys.hub.send(host, message) {
            let _ = self.tx.send(Signal::Input(Input::Lost { host: host.to_owned() }));
        }
    }

    /// Where nothing can be started ahead (an older agent, a host reached by ssh), the flip starts it.
    fn prepare(&self, host: &str, digest: Digest) {
        if self.app.deploys.hub.prepares(host) {
            let (order, run) = (self.order_ref(), run_spec(&self.stored));
            return self.order(host, ToAgent::Prepare { order, digest: blob(digest), run });
        }
        let _ = self.tx.send(Signal::Input(Input::Prepared { host: host.to_owned(), digest }));
    }

    fn keeps_warm(&self) -> bool {
        self.stored.run.plan.keep_warm_ms > 0
    }

    fn stage(&mut self, host: &str, digest: Digest) {
        match self.manifest(digest) {
            Some(manifest) => {
                self.order(host, ToAgent::Stage { order: self.order_ref(), digest: blob(digest), manifest });
            }
            None => self.is_missing(host, digest),
        }
    }

    /// What the artifact is made of, where it is on this server.
    pub(super) fn manifest(&mut self, digest: Digest) -> Option<serde_json::Value> {
        if self.manifest.is_none() {
            let manifest = self.app.blobs().manifest(digest);
            self.manifest = manifest.and_then(|m| serde_json::to_value(m).ok());
        }
        self.manifest.clone()
    }

    fn build(&mut self) {
        let cancel = CancellationToken::new();
        self.build = Some(cancel.clone());
        let (app, stored, lines) = (self.app.clone(), self.stored.clone(), self.lines());
        let run = {
            let cancel = cancel.clone();
            async move { built(&app, &stored, lines, cancel).await }
        };
        self.begin(StepKind::Build, cancel, run, |built| match built {
            Ok(digest) => Input::Built { digest },
            Err(error) => Input::BuildFailed { error },
        });
    }

    fn hook(&mut self, at: HookAt) {
        let Some(hook) = self.stored.run.plan.hooks.get(at).cloned() else { return };
        let cancel = CancellationToken::new();
        self.hook = Some(cancel.clone());
        let (app, stored, lines) = (self.app.clone(), self.stored.clone(), self.lines());
        let order = HookOrder {
            deploy: stored.number,
            source: Source { service: stored.service, repository: stored.asked.repository },
            environment: stored.environment,
            sha: stored.sha,
            at: at.word().to_owned(),
            hook,
        };
        let run = {
            let cancel = cancel.clone();
            async move {
                match app.deploys.runner() {
                    Ok(runner) => runner.hook(order, lines, cancel).await,
                    Err(fault) => Err(fault.message),
                }
            }
        };
        let kind = StepKind::Hook(at.word().to_owned());
        self.begin(kind, cancel, run, move |ended: Result<(), String>| Input::HookEnded { at, error: ended.err() });
    }

    pub(super) fn lines(&self) -> LineSink {
        let log = self.log.clone();
        Arc::new(move |stream: Stream, text: &str, mark: Option<&Mark>| log.take(stream, text, mark))
    }

    /// Runs what no host can refuse, while the lease is held, and tells the machine how it ended. What is left of it is cleared
    /// away when that is written, and not before: a server that is killed in between would not know it any more. It ends too what an
    /// earlier server began and nobody followed, since there was an artifact already.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        kind: StepKind,
        cancel: CancellationToken,
        run: impl Future<Output = T> + Send + 'static,
        told: impl FnOnce(T) -> Input + Send + 'static,
    ) {
        let (tx, stop, server_stops) = (self.tx.clone(), self.work.clone(), self.app.deploys.stop.clone());
        let (others, still_held) = (self.others_end(), self.still_held());
        let (over, clear) = (self.over.clone(), self.clear(kind));
        self.app.deploys.conductors.clone().spawn(async move {
            let begins = async {
                others.await;
                still_held.await
            };
            let is_held = tokio::select! {
                is_held = begins => is_held,
                // nothing is begun then, and what an earlier server began is ended
                () = cancel.cancelled() => true,
                () = stop.cancelled() => return,
            };
            if !is_held {
                // the conductor learns it by itself
                return;
            }
            tokio::pin!(run);
            let ended = tokio::select! {
                ended = &mut run => ended,
                () = stop.cancelled() => {
                    // when the server stops it runs on, and the next one finds it
                    if !server_stops.is_cancelled() {
                        // it may clean up; how it ended counts for nothing: whoever goes on decides about it
                        cancel.cancel();
                        let _ = tokio::time::timeout(STOPS, async {
                            run.await;
                            clear.await;
                        })
                        .await;
                    }
                    return;
                }
            };
            let (written, is_written) = oneshot::channel();
            let _ = tx.send(Signal::Ended(told(ended), written));
            // where the deploy is over, it counts for nothing how this ended
            if is_written.await.is_ok() || over.is_cancelled() {
                clear.await;
            }
        });
    }

    /// Clears away what is left of a program.
    fn clear(&self, kind: StepKind) -> impl Future<Output = ()> + Send + use<> {
        let (runner, step) = (self.app.deploys.runner(), Step { deploy: self.stored.number, kind });
        async move {
            if let Ok(runner) = runner {
                runner.clear(&step).await;
            }
        }
    }

    /// Ends when nothing can run any more of what another server began and cannot be asked about.
    pub(super) fn others_end(&self) -> impl Future<Output = ()> + Send + use<> {
        let until = self.others_until;
        async move {
            if let Some(until) = until {
                tokio::time::sleep_until(until).await;
            }
        }
    }

    fn judge(&self, since: Timestamp) {
        let Some(asked) = self.stored.run.plan.judge.clone() else { return };
        let (app, stored, tx) = (self.app.clone(), self.stored.clone(), self.tx.clone());
        tokio::spawn(async move {
            let judgement = Box::new(judged::ask(&app, &asked, &stored, since).await);
            let _ = tx.send(Signal::Input(Input::Judged { since, judgement }));
        });
    }

    fn check(&self) {
        let Some(asked) = self.stored.run.plan.check.clone() else { return };
        let (app, stored, tx) = (self.app.clone(), self.stored.clone(), self.tx.clone());
        tracing::debug!(deploy = stored.number, state = self.state().word(), "asking the canary's query");
        tokio::spawn(async move {
            let text = check::fill(&asked.query, &stored, app.pod_names(&stored, true));
            let answer = app.query(&text, app.now()).await.map(|answer| check::values(&answer.value));
            let verdict = check::judge(&asked, &text, answer);
            let _ = tx.send(Signal::Input(Input::Checked(verdict)));
        });
    }
}

/// The artifact of the deploy: the one built from the same commit by the same recipe before, or a new one.
async fn built(app: &App, stored: &Stored, lines: LineSink, cancel: CancellationToken) -> Result<Digest, String> {
    let pipeline = stored.asked.pipeline.clone();
    let recipe = recipe(&pipeline).map_err(|f| f.message)?;
    let key = (stored.service.clone(), stored.sha.clone(), recipe.clone());
    let known = app.read(move |tx| Ok(store::artifact_get(tx, &key.0, &key.1, &key.2)?)).await.ok().flatten();
    if let Some(digest) = known.as_deref().and_then(Digest::parse) {
        let blobs = app.blobs();
        let kept = tokio::task::spawn_blocking(move || blobs.has_artifact(digest)).await.unwrap_or(false);
        if kept {
            lines(Stream::Tenfold, &format!("this commit was built before: using artifact {}", digest.short()), None);
            return Ok(digest);
        }
    }
    let runner = app.deploys.runner().map_err(|f| f.message)?;
    let manifest = runner.build(build_order(stored), lines.clone(), cancel).await?;
    let digest = keep_manifest(app, manifest.clone()).await?;
    lines(
        Stream::Tenfold,
        &format!("artifact {}: {} files, {} bytes", digest.short(), manifest.entries().len(), manifest.total_bytes()),
        None,
    );
    let (service, sha, now) = (stored.service.clone(), stored.sha.clone(), app.now());
    app.housekeeping(move |t| Ok(store::artifact_put(t.tx(), &service, &sha, &recipe, &digest.to_string(), now)?))
        .await
        .map_err(|f| f.message)?;
    Ok(digest)
}

pub(super) fn build_order(stored: &Stored) -> BuildOrder {
    BuildOrder {
        deploy: stored.number,
        source: Source { service: stored.service.clone(), repository: stored.asked.repository.clone() },
        sha: stored.sha.clone(),
        pipeline: (*stored.asked.pipeline).clone(),
    }
}

/// With it the artifact is whole: its files were kept before.
pub(super) async fn keep_manifest(app: &App, manifest: Manifest) -> Result<Digest, String> {
    let blobs = app.blobs();
    tokio::task::spawn_blocking(move || blobs.put_manifest(&manifest))
        .await
        .map_err(|_| "the artifact could not be kept".to_owned())?
        .map_err(|e| format!("the artifact could not be kept: {e}"))
}

/// What of the pipeline decides the artifact.
fn recipe(pipeline: &tenfold_deploys::Pipeline) -> Result<String, Fault> {
    let text =
        serde_json::to_vec(&(&pipeline.build, &pipeline.artifact)).map_err(|e| Fault::internal(e.to_string()))?;
    Ok(Digest::of(&text).to_string())
}

fn run_limits(asked: &tenfold_deploys::pipeline::RunLimits) -> RunLimits {
    RunLimits {
        memory_bytes: asked.memory_mb.map(|mb| u64::from(mb) << 20),
        processes: asked.processes,
        files: asked.files,
        cpu_percent: asked.cpu_percent,
    }
}

fn run_spec(stored: &Stored) -> RunSpec {
    let pipeline = &stored.asked.pipeline;
    let env: BTreeMap<String, String> = pipeline.run.env.clone();
    RunSpec {
        command: pipeline.run.command.clone(),
        env,
        port_env: pipeline.run.port_env.clone(),
        health_path: pipeline.health.http.clone(),
        health_within_ms: u64::from(pipeline.health.within_s) * 1000,
        drain_ms: u64::from(pipeline.run.drain_s) * 1000,
        stop_within_ms: u64::from(pipeline.run.stop_within_s) * 1000,
        limits: run_limits(&pipeline.run.limits),
        metrics_path: pipeline.metrics.as_ref().map(|m| m.path.clone()),
        sha: stored.sha.clone(),
        reload: pipeline.run.reload.clone().unwrap_or_default(),
    }
}

fn blob(digest: Digest) -> BlobDigest {
    BlobDigest(*digest.bytes())
}
