//! Starting a deploy or a rollback.

use std::sync::Arc;

use tenfold_deploys::{
    Digest, Plan,
    machine::{Host, HostState, Input, Kind, Run, Running, State},
};
use tenfold_store::deploy_queue::{self, QueuedRow};
use tenfold_store::{counters, deploys as store};
use tenfold_types::{Actor, ActorKind, ErrorCode, Fault, Timestamp};

use super::{
    asks::Answer,
    conductor, facts, faults,
    gate::{self, Wish},
    locks,
    queue::Queue,
    stored::{Asked, COMMITS_KEPT_MAX, Stored},
    trains,
    views::{Deploy, NewDeploy},
};
use crate::{App, Caller, Role};

const REASON_BYTES_MAX: usize = 1024;
/// An old process that ends that soon is not counted on.
const WARM_ENDS_MS: i64 = 2_000;
/// How far back a rollback looks for another release.
const HEALTHY_MAX: u32 = 50;

/// How a deploy stands to the queue of its place.
enum InQueue {
    /// Its turn has come.
    Turn(Box<QueuedRow>),
    /// It does not wait where nobody else does.
    Alone,
    /// It goes before those that wait: a rollback, or what takes over from a deploy that a person decides about.
    Before,
}

impl App {
    /// Starts a deploy. It is refused when another one is running, when somebody else locked the environment, and when the
    /// pipeline file or the hosts make it impossible.
    pub async fn deploy_start(&self, who: &Caller, new: NewDeploy) -> Result<Deploy, Fault> {
        Box::pin(self.deploy_begin(who, new, None, None)).await
    }

    /// Begins a deploy that somebody asks for now, or whose turn in the queue has come. The latter takes over from nothing.
    /// `forward_of` is the deploy over which it goes forward.
    pub(super) async fn deploy_begin(
        &self,
        who: &Caller,
        new: NewDeploy,
        turn: Option<QueuedRow>,
        forward_of: Option<i64>,
    ) -> Result<Deploy, Fault> {
        who.require(Role::Deployer, Some(&new.service), Some(&new.environment))?;
        let settings = self.service_settings(&new.service).await?;
        let reason = reason(new.reason)?;
        let open = self.unfinished(&new.service, &new.environment).await?;
        if let Some(running) = open.as_ref().filter(|d| turn.is_some() || !d.run.state.waits_for_person()) {
            return Err(busy(running));
        }
        let shipment = self.shipment(&new.service, &settings, &new.environment, new.reference.as_deref(), true).await?;
        if turn.as_ref().is_some_and(|turn| turn.reference.is_none()) && shipment.is_out() {
            let (sha, environment) = (&shipment.commit.short, &new.environment);
            return Err(Fault::invalid(format!("{environment} runs {sha} already, or something newer")));
        }
        let Some(pipeline) = shipment.pipeline.map(Arc::new) else {
            return Err(Fault::internal("the pipeline file was not read"));
        };
        let target = pipeline.target(&new.environment).map_err(|e| Fault::invalid(e.to_string()))?;
        let overridden = self::reason(new.override_reason)?;
        if overridden.is_some() {
            who.require(Role::Admin, Some(&new.service), Some(&new.environment))?;
        }
        if let Some(why) = shipment.looked.as_ref().and_then(|looked| looked.half_way.clone()) {
            return Err(Fault::conflict(why).advice("finish or abort that first"));
        }
        let sha = shipment.commit.sha.as_str();
        let passed = self.stage_of(&new.service, &pipeline, &new.environment, sha, overridden.is_some()).await?;
        let hosts = match shipment.looked {
            Some(looked) => looked.running,
            None => self.running_on(&new.service, &new.environment, &shipment.hosts),
        };
        let now = self.now();
        let mut plan = Plan { irreversible: shipment.irreversible, ..Plan::deploy(&pipeline, target, hosts.len()) };
        if who.actor.kind != ActorKind::Person {
            if let Some(approve) = &target.approve {
                gate::by_program(&who.actor, approve, &new.environment)?;
            }
            plan.begun_by_program();
        }
        let mut run = match &passed {
            Some(passed) => Run::deploy_built(plan, passed.digest, hosts, now),
            None => Run::deploy(plan, hosts, now),
        };
        self.date_absences(&mut run);
        let counts = (shipment.range.added_count, shipment.range.removed_count);
        let diff_url =
            self.next_diff_url(&settings.repository, shipment.current.as_ref(), &shipment.commit.sha, counts);
        let mut commits = shipment.range.added;
        commits.truncate(COMMITS_KEPT_MAX);
        let mut removed = shipment.range.removed;
        removed.truncate(COMMITS_KEPT_MAX);
        let stored = Stored {
            number: 0,
            service: new.service,
            environment: new.environment,
            sha: shipment.commit.sha,
            reverts: None,
            started_at: now,
            finished_at: None,
            asked: Asked {
                from_sha: shipment.current.as_ref().map(|c| c.sha.clone()),
                // what no deploy of here put there has no number
                from_deploy: shipment.current.as_ref().map(|c| c.deploy).filter(|number| *number > 0),
                commits,
                removed,
                commit_count: shipment.range.added_count,
                actor: who.actor.clone(),
                actor_name: who.name.clone(),
                source: who.source,
                reason,
                pipeline,
                repository: settings.repository,
                overridden,
                queued_as: turn.as_ref().map(|turn| turn.id),
                after_stage: passed.map(|passed| passed.after),
                forward_of,
                diff_url,
            },
            run,
        };
        self.check_gate(who, &stored, turn.is_some()).await?;
        let in_queue = match turn {
            Some(turn) => InQueue::Turn(Box::new(turn)),
            None if open.is_some() => InQueue::Before,
            None => InQueue::Alone,
        };
        self.supersede(who, open).await?;
        self.launch(who, stored, true, in_queue).await
    }

    /// Takes a finished deploy back: flips to the last other release that was healthy and was not itself taken back.
    /// Nothing is built, and no lock is in the way. A deploy that is still running is cancelled instead, which takes it
    /// back as well.
    pub async fn deploy_rollback(
        &self,
        who: &Caller,
        number: i64,
        reason_given: Option<String>,
    ) -> Result<Deploy, Fault> {
        let deploy = self.read(move |tx| Stored::get(tx, number)).await?;
        who.require(Role::Deployer, Some(&deploy.service), Some(&deploy.environment))?;
        if deploy.run.state.waits_for_person() {
            return self.deploy_answer(who, number, Answer::Abort, reason_given).await;
        }
        if !deploy.run.state.is_final() {
            return self.deploy_answer(who, number, Answer::Cancel, reason_given).await;
        }
        if !deploy.run.hosts.iter().any(|h| h.touched) {
            let state = deploy.run.state.word().replace('_', " ");
            return Err(Fault::conflict(format!(
                "deploy {number} is {state} and changed no host, so there is nothing to take back"
            )));
        }
        let reason = reason(reason_given)?;
        let open = self.unfinished(&deploy.service, &deploy.environment).await?;
        if let Some(running) = open.as_ref().filter(|d| !d.run.state.waits_for_person()) {
            return Err(busy(running));
        }
        let target = self.release_before(&deploy).await?;
        let digest = target.run.digest.ok_or_else(|| Fault::internal("a release without an artifact"))?;
        let blobs = self.blobs();
        let kept = tokio::task::spawn_blocking(move || blobs.manifest(digest).is_some()).await.unwrap_or(false);
        let pipeline = target.asked.pipeline.clone();
        let aim = pipeline.target(&deploy.environment).map_err(|e| Fault::invalid(e.to_string()))?;
        if !kept && !self.may_make_again(aim) {
            return Err(Fault::conflict(format!("the artifact of {} is no longer kept", target.short_sha()))
                .advice(format!("deploy the commit anew: tenfold deploy {} {}", deploy.service, target.short_sha())));
        }
        let looked = match aim.handed_over() {
            Some(handed) => {
                Some(self.look_at(&handed, &deploy.environment, &target.source(), &target.sha, None).await?)
            }
            None => None,
        };
        let seen = looked.as_ref().and_then(|looked| looked.current.clone());
        let hosts = if let Some(looked) = looked {
            looked.running
        } else {
            let selected = self.select_hosts(&pipeline, &deploy.environment)?;
            self.running_on(&deploy.service, &deploy.environment, &selected)
        };
        let now = self.now();
        let run = Run::rollback(Plan::rollback(&pipeline, aim, hosts.len()), digest, hosts, now);
        let mut run = run.with_warm(|host| self.keeps_warm(&deploy, &host.name, digest, now));
        self.date_absences(&mut run);
        let current = match seen {
            Some(seen) => Some(seen),
            None => self.current(&deploy.service, &deploy.environment).await?,
        };
        let from_sha = current.as_ref().map_or_else(|| deploy.sha.clone(), |c| c.sha.clone());
        // What it brought is what the way back takes out; the repository is asked only where more lies in between.
        let is_between = deploy.asked.from_sha.as_ref() == Some(&target.sha) && from_sha == deploy.sha;
        let removed = if is_between && deploy.run.kind == Kind::Deploy {
            deploy.asked.commits.clone()
        } else {
            self.commits_between(&target, &from_sha).await
        };
        let diff_url = self.diff_url(&target.asked.repository, Some(&from_sha), &target.sha, true);
        let stored = Stored {
            number: 0,
            service: deploy.service,
            environment: deploy.environment,
            sha: target.sha,
            reverts: Some(number),
            started_at: now,
            finished_at: None,
            asked: Asked {
                from_sha: Some(from_sha),
                from_deploy: Some(number),
                commits: Vec::new(),
                removed,
                commit_count: 0,
                actor: who.actor.clone(),
                actor_name: who.name.clone(),
                source: who.source,
                reason,
                pipeline,
                repository: target.asked.repository,
                overridden: None,
                queued_as: None,
                after_stage: None,
                forward_of: None,
                diff_url,
            },
            run,
        };
        self.supersede(who, open).await?;
        self.launch(who, stored, false, InQueue::Before).await
    }

    /// Takes back whatever was deployed last to the environment.
    pub async fn service_rollback(
        &self,
        who: &Caller,
        service: &str,
        environment: &str,
        reason: Option<String>,
    ) -> Result<Deploy, Fault> {
        self.service_settings(service).await?;
        if let Some(running) = self.unfinished(service, environment).await? {
            return Box::pin(self.deploy_rollback(who, running.number, reason)).await;
        }
        let (key, env) = (service.to_owned(), environment.to_owned());
        let last = self.read(move |tx| Ok(store::deploys_healthy(tx, &key, &env, i64::MAX, 1)?.pop())).await?;
        let number = last.map(|row| row.number).ok_or_else(|| {
            Fault::conflict(format!("nothing of {service} was deployed to {environment} that could be taken back"))
        })?;
        Box::pin(self.deploy_rollback(who, number, reason)).await
    }

    /// The same again: the same commit, or the same way back.
    pub async fn deploy_retry(&self, who: &Caller, number: i64) -> Result<Deploy, Fault> {
        let deploy = self.read(move |tx| Stored::get(tx, number)).await?;
        if !deploy.run.state.is_final() {
            return Err(busy(&deploy));
        }
        if let Some(reverts) = deploy.reverts {
            return Box::pin(self.deploy_rollback(who, reverts, deploy.asked.reason)).await;
        }
        let new = NewDeploy {
            service: deploy.service,
            environment: deploy.environment,
            reference: Some(deploy.sha),
            reason: deploy.asked.reason,
            override_reason: None,
        };
        Box::pin(self.deploy_start(who, new)).await
    }

    async fn release_before(&self, deploy: &Stored) -> Result<Stored, Fault> {
        let (service, environment, number) = (deploy.service.clone(), deploy.environment.clone(), deploy.number);
        let bad = deploy.run.digest;
        let rows =
            self.read(move |tx| Ok(store::deploys_healthy(tx, &service, &environment, number, HEALTHY_MAX)?)).await?;
        for row in rows {
            let release = Stored::from_row(&row)?;
            if release.run.digest.is_some() && release.run.digest != bad {
                return Ok(release);
            }
        }
        Err(Fault::conflict(format!(
            "there is no release of {} before deploy {} that was healthy on {}",
            deploy.service, deploy.number, deploy.environment
        ))
        .advice("deploy a commit that is known to be good"))
    }

    async fn commits_between(&self, target: &Stored, from_sha: &str) -> Vec<super::ports::Commit> {
        let Ok(runner) = self.deploys.runner() else { return Vec::new() };
        let source =
            super::ports::Source { service: target.service.clone(), repository: target.asked.repository.clone() };
        match runner.commits(&source, Some(from_sha), &target.sha).await {
            Ok(range) => range.removed.into_iter().take(COMMITS_KEPT_MAX).collect(),
            // a way back never waits for the repository
            Err(_) => Vec::new(),
        }
    }

    /// A deploy that waits for a person ends when a newer one takes over.
    async fn supersede(&self, who: &Caller, open: Option<Stored>) -> Result<(), Fault> {
        match open {
            Some(waiting) => self.ask(waiting.number, Input::Supersede { by: who.name.clone() }).await,
            None => Ok(()),
        }
    }

    /// Writes the deploy and starts its conductor.
    async fn launch(
        &self,
        who: &Caller,
        mut stored: Stored,
        locks_count: bool,
        in_queue: InQueue,
    ) -> Result<Deploy, Fault> {
        let (who, refused) = (who.clone(), self.deploys.tries.lock().refused());
        let holder = self.deploys.node().unwrap_or_default();
        let (stored, taken) = self
            .transact(move |t| {
                if let Some(row) = store::deploy_unfinished(t.tx(), &stored.service, &stored.environment)? {
                    return Err(busy(&Stored::from_row(&row)?));
                }
                if locks_count && stored.asked.overridden.is_none() {
                    let now = t.now();
                    let (left, open) = locks::left_by(store::locks_open(t.tx(), now)?, stored.asked.forward_of)?;
                    stored.check_gate(&who.actor, &open, now)?;
                    trains::check_free(t.tx(), &stored.service, &stored.environment, &who.actor, now)?;
                    if matches!(in_queue, InQueue::Alone) {
                        let (service, environment) = (&stored.service, &stored.environment);
                        let queue = Queue::read(t.tx(), service, environment, now)?;
                        queue.check_free(service, environment, &open, &refused, now)?;
                    }
                    locks::go_over(t, &who, &left)?;
                }
                if let InQueue::Turn(turn) = &in_queue
                    && !deploy_queue::take(t.tx(), turn.id, &turn.sha)?
                {
                    return Err(Fault::new(ErrorCode::Gone, "it does not wait in the queue any more"));
                }
                stored.run.paused = left_paused(t.tx(), &stored)?;
                stored.number = counters::next(t.tx(), "deploy")?;
                store::deploy_insert(t.tx(), &stored.to_row()?)?;
                if locks_count {
                    trains::began(t, &stored)?;
                }
                t.record(facts::queued(&stored))?;
                if let Some(why) = &stored.asked.overridden {
                    t.record(facts::overridden(&stored, why))?;
                }
                let taken = conductor::Taken::with_deploy(t, &stored, &holder)?;
                Ok((stored.clone(), taken))
            })
            .await?;
        faults::written();
        let view = stored.view(None);
        self.deploy_log(stored.number).say(super::ports::Stream::Tenfold, None, &facts::queued(&stored).text);
        conductor::spawn(self, stored, conductor::Beginning::Fresh(taken));
        let _ = self.deploys.changes.send(view.number);
        Ok(view)
    }

    fn running_on(&self, service: &str, environment: &str, hosts: &[(String, bool)]) -> Vec<(String, Option<Running>)> {
        hosts.iter().map(|(name, _)| (name.clone(), self.deploys.hub.running(name, service, environment))).collect()
    }

    /// Whether a host is taken to keep what it ran before a deploy warm: that deploy serves there, and its time is not over.
    fn keeps_warm(&self, deploy: &Stored, host: &str, wanted: Digest, now: Timestamp) -> bool {
        let until = deploy.finished_at.map(|at| at.plus_ms(deploy.run.plan.keep_warm_ms - WARM_ENDS_MS));
        let flipped = |h: &Host| h.state == HostState::Healthy && h.before.digest() == Some(wanted);
        let serves = self.deploys.hub.running(host, &deploy.service, &deploy.environment);
        deploy.run.state == State::Succeeded
            && until.is_some_and(|until| now < until)
            && self.deploys.hub.prepares(host)
            && deploy.run.host(host).is_some_and(flipped)
            && serves.is_some_and(|serves| serves.digest() == deploy.run.digest)
    }

    /// A host that has been away for long is not waited for again.
    fn date_absences(&self, run: &mut Run) {
        for host in run.hosts.iter_mut().filter(|h| h.lost_at.is_some()) {
            host.lost_at = self.deploys.hub.get(&host.name).map(|known| known.last_seen).or(host.lost_at);
        }
    }

    /// Before a deploy that waits is taken over by this one; asked again when it is written.
    async fn check_gate(&self, who: &Caller, stored: &Stored, is_turn: bool) -> Result<(), Fault> {
        if stored.asked.overridden.is_some() {
            return Ok(());
        }
        let (now, stored, actor) = (self.now(), stored.clone(), who.actor.clone());
        let refused = self.deploys.tries.lock().refused();
        let check = move |tx: &mut dyn tenfold_store::Tx| {
            let (_, open) = locks::left_by(store::locks_open(tx, now)?, stored.asked.forward_of)?;
            stored.check_gate(&actor, &open, now)?;
            trains::check_free(tx, &stored.service, &stored.environment, &actor, now)?;
            if is_turn {
                return Ok(());
            }
            let (service, environment) = (&stored.service, &stored.environment);
            Queue::read(tx, service, environment, now)?.check_free(service, environment, &open, &refused, now)
        };
        self.read(check).await
    }

    async fn unfinished(&self, service: &str, environment: &str) -> Result<Option<Stored>, Fault> {
        let (key, env) = (service.to_owned(), environment.to_owned());
        self.read(move |tx| store::deploy_unfinished(tx, &key, &env)?.map(|row| Stored::from_row(&row)).transpose())
            .await
    }
}

impl Stored {
    /// Whether windows, freezes, locks and pins let it begin (or, approved, go on).
    pub(super) fn check_gate(&self, actor: &Actor, open: &[store::LockRow], now: Timestamp) -> Result<(), Fault> {
        let target = self.asked.pipeline.target(&self.environment).map_err(|e| Fault::invalid(e.to_string()))?;
        let wish = Wish { service: &self.service, environment: &self.environment, sha: &self.sha, actor };
        gate::check(wish, target, open, now)
    }
}

/// Whether the deploy before left the cluster's thing paused, to which this one goes as well.
fn left_paused(tx: &mut dyn tenfold_store::Tx, next: &Stored) -> Result<bool, Fault> {
    let Some(to) = next.handed() else { return Ok(false) };
    let query = store::DeployQuery {
        service: Some(next.service.clone()),
        environment: Some(next.environment.clone()),
        limit: 1,
        ..store::DeployQuery::default()
    };
    let last = store::deploys(tx, &query)?.first().map(Stored::from_row).transpose()?;
    Ok(last.is_some_and(|last| last.run.paused && last.handed().is_some_and(|was| was.says() == to.says())))
}

fn busy(running: &Stored) -> Fault {
    Fault::conflict(format!(
        "deploy {} of {} to {} is {}",
        running.number,
        running.service,
        running.environment,
        running.run.state.word().replace('_', " ")
    ))
    .advice("wait for it, or cancel it")
}

pub(super) fn reason(text: Option<String>) -> Result<Option<String>, Fault> {
    match text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()) {
        Some(text) if text.len() > REASON_BYTES_MAX => {
            Err(Fault::invalid(format!("the reason is longer than {REASON_BYTES_MAX} bytes")))
        }
        other => Ok(other),
    }
}
