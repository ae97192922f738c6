//! What a press of the button would do: from what the hosts run to the commit that would ship.

use tenfold_deploys::pipeline::{HandedOver, Target};
use tenfold_deploys::{Pipeline, Plan};
use tenfold_store::deploy_queue;
use tenfold_store::deploys::{self as store, DeployQuery};
use tenfold_types::{Actor, ActorKind, Fault};

use super::{
    gate,
    handed::{Looked, handed_of},
    locks, median,
    ports::{Commit, CommitRange, Source},
    stored::{Stored, approval, expects, short},
    took_ms,
    views::{Current, NextDeploy, NextStage, PlannedStage, ServiceUpdate},
};
use crate::{App, Caller, Role};

/// How many deploys the expected time is taken from.
const EXPECTED_FROM: u32 = 9;

/// A commit with its pipeline file and what it changes.
pub(super) struct Shipment {
    pub commit: Commit,
    /// Absent only when it cannot be read and nobody insists.
    pub pipeline: Option<Pipeline>,
    pub current: Option<Current>,
    pub range: CommitRange,
    pub hosts: Vec<(String, bool)>,
    /// What was seen of the cluster it goes to.
    pub looked: Option<Looked>,
    pub warnings: Vec<String>,
    /// Why nothing of it goes back by itself.
    pub irreversible: Option<String>,
}

impl Shipment {
    /// What runs is this commit, or has it and more.
    pub fn is_out(&self) -> bool {
        let only_back = self.range.added_count == 0 && self.range.removed_count > 0;
        self.current.as_ref().is_some_and(|current| current.sha == self.commit.sha || only_back)
    }
}

impl App {
    /// The commit and the hosts of the next deploy. `reference` is the service's branch unless given; where a
    /// stage is before, what that runs well.
    pub async fn deploy_next(
        &self,
        service: &str,
        environment: &str,
        reference: Option<&str>,
    ) -> Result<NextDeploy, Fault> {
        Box::pin(self.next_begun_by(None, service, environment, reference)).await
    }

    /// Without an `actor` it is what a person would begin.
    async fn next_begun_by(
        &self,
        actor: Option<&Actor>,
        service: &str,
        environment: &str,
        reference: Option<&str>,
    ) -> Result<NextDeploy, Fault> {
        let settings = self.service_settings(service).await?;
        let shipment = self.shipment(service, &settings, environment, reference, false).await?;
        let now = self.now();
        let (key, env) = (service.to_owned(), environment.to_owned());
        let (locked, running, expected_ms, waiting) = self
            .read(move |tx| {
                let locked = locks::first(&store::locks_open(tx, now)?, &key, &env, now)?;
                let running = match store::deploy_unfinished(tx, &key, &env)? {
                    Some(row) => Some(Stored::from_row(&row)?.view(None)),
                    None => None,
                };
                let query = DeployQuery {
                    service: Some(key.clone()),
                    environment: Some(env.clone()),
                    state: Some("succeeded".to_owned()),
                    limit: EXPECTED_FROM,
                    ..DeployQuery::default()
                };
                let took =
                    store::deploys(tx, &query)?.iter().filter_map(|r| took_ms(r.started_at, r.finished_at)).collect();
                let waiting = deploy_queue::of(tx, &key, &env)?.len();
                Ok((locked, running, median(took), waiting))
            })
            .await?;
        let mut warnings = shipment.warnings;
        if waiting > 0 {
            warnings.push(format!("In the queue: {}, which come first", plural(waiting as u64, "deploy")));
        }
        let hosts: Vec<String> = shipment.hosts.iter().map(|(name, _)| name.clone()).collect();
        let irreversible = shipment.irreversible.clone();
        let pipeline = shipment.pipeline.as_ref();
        let sha = shipment.commit.short.clone();
        let target = pipeline.and_then(|p| p.target(environment).ok());
        let by_program = actor.is_some_and(|actor| actor.kind != ActorKind::Person);
        let mut plan = match pipeline {
            Some(p) => planned(p, environment, &hosts, irreversible.as_ref(), &sha, by_program),
            None => Vec::new(),
        };
        if let Some(why) = refused(shipment.looked.as_ref(), target, environment, actor) {
            warnings.push(why);
            plan.clear();
        }
        warnings.extend(self.absent_approvers(target, actor).await?);
        let stage = match pipeline {
            Some(p) => self.next_stage(service, p, environment, &shipment.commit.sha).await?,
            None => None,
        };
        if let Some(gone) = self.stage_is_gone(service, pipeline, environment, &shipment.commit.sha).await {
            warnings.push(gone);
            plan.clear();
        }
        if let Some(number) = stage.as_ref().and_then(|stage| stage.passed) {
            for built in plan.iter_mut().filter(|planned| planned.name == "building") {
                built.says = format!("nothing is built: the artifact of deploy {number} goes on");
            }
        }
        // Where nothing would happen, nothing goes on either.
        let goes_on = stage.as_ref().and_then(NextStage::says).filter(|_| !plan.is_empty());
        plan.extend(goes_on.map(|says| PlannedStage { name: "next_stage".to_owned(), hosts: Vec::new(), says }));
        let counts = (shipment.range.added_count, shipment.range.removed_count);
        let diff_url =
            self.next_diff_url(&settings.repository, shipment.current.as_ref(), &shipment.commit.sha, counts);
        Ok(NextDeploy {
            diff_url,
            service: service.to_owned(),
            environment: environment.to_owned(),
            current: shipment.current,
            next: shipment.commit,
            added: shipment.range.added,
            added_count: shipment.range.added_count,
            removed: shipment.range.removed,
            removed_count: shipment.range.removed_count,
            warnings,
            locked,
            locked_out: None,
            train: None,
            running,
            expected_ms,
            hosts,
            handed_to: pipeline.and_then(|p| handed_of(p, environment)).map(|handed| handed.says()),
            plan,
            closed: target.and_then(|target| gate::closed(target, now)),
            approval: target.and_then(|target| target.approve.as_ref()).map(approval),
            irreversible,
            expects: pipeline.and_then(|p| p.expects.as_ref()).map(expects),
            stage,
        })
    }

    /// The same for somebody whom a lock or a train may keep from it.
    pub async fn deploy_next_for(
        &self,
        who: &Caller,
        service: &str,
        environment: &str,
        reference: Option<&str>,
    ) -> Result<NextDeploy, Fault> {
        // who only looks, such as a visitor of a chat room, asks what people would begin
        let may_deploy = who.require(Role::Deployer, Some(service), Some(environment)).is_ok();
        let actor = may_deploy.then_some(&who.actor);
        let mut next = Box::pin(self.next_begun_by(actor, service, environment, reference)).await?;
        next.train = self.train_in_the_way(service, environment, &who.actor.id).await?;
        if let Some(lock) = self.lock_in_the_way(who, service, environment, &next.next.sha).await? {
            next.locked_out = Some(locks::locked(&lock, self.now()).message);
            next.locked = Some(lock);
        }
        Ok(next)
    }

    /// Resolves what would ship. With `strict`, what makes a deploy impossible is an error, else a warning.
    pub(super) async fn shipment(
        &self,
        service: &str,
        settings: &ServiceUpdate,
        environment: &str,
        reference: Option<&str>,
        strict: bool,
    ) -> Result<Shipment, Fault> {
        if !settings.environments.iter().any(|e| e == environment) {
            return Err(Fault::not_found(format!("{service} is not deployed to `{environment}`"))
                .advice(format!("it is deployed to {}", settings.environments.join(", "))));
        }
        let runner = self.deploys.runner()?;
        let source = settings.source(service);
        let mut warnings = Vec::new();
        if let Err(fault) = runner.fetch(&source).await {
            // an older copy still answers, unless there is none: then resolving fails
            warnings
                .push(format!("The repository could not be fetched, so this may be out of date: {}", fault.message));
        }
        let named = reference.map(str::trim).filter(|r| !r.is_empty());
        let reference = named.unwrap_or(&settings.branch);
        let commit = runner.resolve(&source, reference).await.map_err(|fault| match warnings.first() {
            Some(warning) => Fault { message: format!("{} ({warning})", fault.message), ..fault },
            None => fault,
        })?;
        let pipeline = self.pipeline(&source, settings, &commit).await;
        let from_stage = match &pipeline {
            Ok(pipeline) if named.is_none() => self.stage_commit(service, pipeline, environment).await?,
            _ => None,
        };
        let (commit, pipeline) = match from_stage.filter(|sha| *sha != commit.sha) {
            Some(sha) => {
                let commit = runner.resolve(&source, &sha).await?;
                let pipeline = self.pipeline(&source, settings, &commit).await;
                (commit, pipeline)
            }
            None => (commit, pipeline),
        };
        let handed = pipeline.as_ref().ok().and_then(|pipeline| handed_of(pipeline, environment));
        let is_of_branch = reference == settings.branch;
        let looked = match &handed {
            // a look runs a program of that commit, with secrets: nobody has one run who may not deploy it
            Some(handed @ HandedOver::Command(_)) if !strict && !is_of_branch => {
                Some(Ok(Looked::not_asked(handed, &settings.branch)))
            }
            Some(handed) => Some(self.look_at(handed, environment, &source, &commit.sha, None).await),
            None => None,
        };
        let current = match &looked {
            Some(Ok(Looked { current: Some(current), .. })) => {
                Some(self.dated(service, environment, current.clone()).await?)
            }
            _ => self.current(service, environment).await?,
        };
        let range = self.range(&source, current.as_ref(), &commit, &mut warnings).await?;
        let pipeline = match pipeline {
            Ok(pipeline) => pipeline,
            Err(fault) if strict => return Err(fault),
            Err(fault) => {
                warnings.insert(0, fault.message);
                let (pipeline, hosts, looked, irreversible) = (None, Vec::new(), None, None);
                return Ok(Shipment { commit, pipeline, current, range, hosts, looked, warnings, irreversible });
            }
        };
        let (looked, selected) = match looked {
            Some(Ok(looked)) => {
                warnings.extend(looked.says.iter().cloned());
                let places = looked.running.iter().map(|(name, _)| (name.clone(), true)).collect();
                (Some(looked), Ok(places))
            }
            Some(Err(fault)) => (None, Err(fault)),
            None => {
                let selected = self.select_hosts(&pipeline, environment);
                (None, selected.and_then(|hosts| self.startable(&pipeline, hosts)))
            }
        };
        let hosts = match selected {
            Ok(hosts) => hosts,
            Err(fault) if strict => return Err(fault),
            Err(fault) => {
                warnings.push(fault.message);
                Vec::new()
            }
        };
        self.warn(service, environment, &pipeline, &range, &hosts, &mut warnings);
        let irreversible = self.irreversible(&source, &pipeline, current.as_ref(), &commit).await?;
        Ok(Shipment { commit, pipeline: Some(pipeline), current, range, hosts, looked, warnings, irreversible })
    }

    /// Why nothing of it goes back by itself. Where that cannot be told it is taken to be so.
    async fn irreversible(
        &self,
        source: &Source,
        pipeline: &Pipeline,
        current: Option<&Current>,
        next: &Commit,
    ) -> Result<Option<String>, Fault> {
        let Some(said) = &pipeline.irreversible else { return Ok(None) };
        let Some(current) = current.filter(|_| !said.paths.is_empty()) else { return Ok(Some(said.why.clone())) };
        let runner = self.deploys.runner()?;
        Ok(match runner.changed(source, &current.sha, &next.sha, &said.paths).await {
            Ok(files) => files.first().map(|first| match files.len() {
                1 => format!("{} ({first} changed)", said.why),
                n => format!("{} ({first} and {} more changed)", said.why, n - 1),
            }),
            Err(_) => Some(format!("{} (whether {} changed is not known)", said.why, said.paths.join(", "))),
        })
    }

    async fn pipeline(&self, source: &Source, settings: &ServiceUpdate, commit: &Commit) -> Result<Pipeline, Fault> {
        let path = &settings.pipeline_path;
        let at = format!("{path} at {}", commit.short);
        let text = self.deploys.runner()?.file(source, &commit.sha, path).await?.ok_or_else(|| {
            Fault::invalid(format!("{at} does not exist"))
                .advice("write one; docs/guide/deploys.md has a whole example")
        })?;
        let pipeline = super::read_pipeline(&text).map_err(|e| Fault::invalid(format!("{at}, {e}")))?;
        if pipeline.service != source.service {
            return Err(Fault::invalid(format!(
                "{at} is for the service {}, not {}",
                pipeline.service, source.service
            )));
        }
        Ok(pipeline)
    }

    /// What runs now: what the hosts report, else what was deployed last.
    pub(super) async fn current(&self, service: &str, environment: &str) -> Result<Option<Current>, Fault> {
        if let Some(current) = self.deploys.hub.current(service, environment) {
            return Ok(Some(current));
        }
        let (key, env) = (service.to_owned(), environment.to_owned());
        let last = self.read(move |tx| Ok(store::deploys_healthy(tx, &key, &env, i64::MAX, 1)?.pop())).await?;
        Ok(last.map(|row| Current {
            sha: row.sha.clone(),
            deploy: row.number,
            since: row.finished_at.unwrap_or(row.started_at),
        }))
    }

    /// Since when the release that a cluster says it runs has run, as far as it is a deploy of ours.
    async fn dated(&self, service: &str, environment: &str, seen: Current) -> Result<Current, Fault> {
        let last = self.current(service, environment).await?.filter(|last| last.sha == seen.sha);
        Ok(last.unwrap_or(seen))
    }

    async fn range(
        &self,
        source: &Source,
        current: Option<&Current>,
        next: &Commit,
        warnings: &mut Vec<String>,
    ) -> Result<CommitRange, Fault> {
        let runner = self.deploys.runner()?;
        let Some(current) = current else { return runner.commits(source, None, &next.sha).await };
        match runner.commits(source, Some(&current.sha), &next.sha).await {
            Ok(range) => Ok(range),
            Err(fault) => {
                warnings.push(format!(
                    "What runs now ({}) is not in the repository, so the commits in between are not known: {}",
                    short(&current.sha),
                    fault.message
                ));
                Ok(CommitRange::default())
            }
        }
    }

    /// The hosts a target selects, with whether each is connected.
    pub(super) fn select_hosts(&self, pipeline: &Pipeline, environment: &str) -> Result<Vec<(String, bool)>, Fault> {
        let target = pipeline.target(environment).map_err(|e| Fault::invalid(e.to_string()))?;
        let all = self.deploys.hub.of_environment(environment);
        let known = all.iter().map(|(name, ..)| name.as_str()).collect::<Vec<_>>().join(", ");
        let hosts: Vec<_> = all
            .iter()
            .filter(|(name, labels, _)| target.hosts.selects(name, labels))
            .map(|(name, _, connected)| (name.clone(), *connected))
            .collect();
        if hosts.is_empty() {
            let known = if known.is_empty() { "none".to_owned() } else { known };
            return Err(Fault::invalid(format!(
                "no host of {environment} fits the target's `hosts: {}`; known are {known}",
                target.hosts
            ))
            .advice("start an agent with `tenfold agent` and the labels the target asks for"));
        }
        Ok(hosts)
    }

    fn warn(
        &self,
        service: &str,
        environment: &str,
        pipeline: &Pipeline,
        range: &CommitRange,
        hosts: &[(String, bool)],
        warnings: &mut Vec<String>,
    ) {
        let releases = self.deploys.hub.releases(service, environment);
        if releases.len() > 1 {
            let words: Vec<_> = releases.iter().map(|(c, n)| format!("{} on {n}", short(&c.sha))).collect();
            warnings.push(format!("The hosts do not all run the same: {}", words.join(", ")));
        }
        let away: Vec<_> = hosts.iter().filter(|(_, connected)| !connected).map(|(name, _)| name.as_str()).collect();
        if !away.is_empty() {
            warnings.push(format!("Not connected: {}", away.join(", ")));
        }
        if let Ok(target) = pipeline.target(environment)
            && target.canary.all_steps().iter().any(|s| s.judge.is_some() && s.hosts.of(hosts.len()) >= hosts.len())
        {
            warnings.push("Every host is a canary, so the judge has nothing to compare with and will hold".to_owned());
        }
        if range.removed_count > 0 {
            warnings.push(format!("This takes out {} that runs now", plural(range.removed_count, "commit")));
        }
        let changes = range.added_count + range.removed_count;
        if changes > u64::from(pipeline.max_commits) {
            warnings.push(format!(
                "This changes by {}, more than the {} the pipeline file asks for; small deploys are easier to take back",
                plural(changes, "commit"),
                pipeline.max_commits
            ));
        }
    }
}

/// Why the deploy would be refused, as far as nothing else of the answer says it.
fn refused(
    looked: Option<&Looked>,
    target: Option<&Target>,
    environment: &str,
    actor: Option<&Actor>,
) -> Option<String> {
    if let Some(why) = looked.and_then(|looked| looked.half_way.as_ref()) {
        return Some(format!("{why}; finish or abort that first"));
    }
    let fault = gate::by_program(actor?, target?.approve.as_ref()?, environment).err()?;
    Some(format!("{}; {}", fault.message, fault.advice))
}

fn planned(
    pipeline: &Pipeline,
    environment: &str,
    hosts: &[String],
    irreversible: Option<&String>,
    sha: &str,
    by_program: bool,
) -> Vec<PlannedStage> {
    let Ok(target) = pipeline.target(environment) else { return Vec::new() };
    if hosts.is_empty() {
        return Vec::new();
    }
    let mut plan = Plan { irreversible: irreversible.cloned(), ..Plan::deploy(pipeline, target, hosts.len()) };
    if by_program {
        plan.begun_by_program();
    }
    let stages = plan.stages(pipeline, hosts, target.handed_over().as_ref(), sha);
    stages.into_iter().map(|s| PlannedStage { name: s.name.to_owned(), hosts: s.hosts, says: s.says }).collect()
}

fn plural(n: u64, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_told_of_the_people_its_deploy_takes() {
        let text = "service: photos\nrun: {command: [x]}\ntargets: {production: {approve: {by: [mei]}}}";
        let pipeline = Pipeline::parse(text).unwrap();
        let hosts = ["host-1".to_owned()];
        let people = |by_program| {
            let plan = planned(&pipeline, "production", &hosts, None, "4f2c91a", by_program);
            plan.into_iter().find(|stage| stage.name == "awaiting_approval").unwrap().says
        };
        assert!(people(false).starts_with("1 person other"), "{}", people(false));
        assert!(people(true).starts_with("2 people other"), "{}", people(true));
        let target = pipeline.target("production").ok();
        let why = |actor: &Actor| refused(None, target, "production", Some(actor));
        assert!(why(&Actor::robot("ci")).is_some_and(|why| why.contains("`approve.by` names one; a person starts it")));
        assert_eq!(why(&Actor::person("mei")), None);
        assert_eq!(refused(None, target, "production", None), None, "nobody in particular asks");
    }
}
