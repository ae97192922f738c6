//! Deploys that are handed to a cluster or to commands: what a place is asked, which images a release has, and what is shown
//! of the pods.
//!
//! To the deploy's state machine their places are hosts; the conductor sends their orders here instead of to agents.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tenfold_deploys::cluster::command::Known;
use tenfold_deploys::cluster::{self, Handover, JobFile, PODS_MAX, PodState, Release, Seen, place_names};
use tenfold_deploys::machine::{Input, Kind, Order, Running, State};
use tenfold_deploys::manifest::Entry;
use tenfold_deploys::pipeline::{HandedOver, OBSERVE_S, pinned, with_sha};
use tenfold_deploys::{Digest, Pipeline};
use tenfold_store::deploys as store;
use tenfold_types::Fault;
use tokio::sync::mpsc;

use super::conductor::{Conductor, Signal};
use super::held::still_held;
use super::ports::{ClusterTarget, Ground, Source, Step, StepKind, Stream, Tell, Told};
use super::stored::{Stored, short};
use super::views::{Current, Deploy, DeployPod};
use crate::App;

/// How long the start of a deploy waits for a cluster's first answer.
const LOOK_S: u32 = 10;
/// How many releases a commit that is live is looked for among.
const KNOWN_MAX: u32 = 50;
/// Largest file of an artifact that names an image or is a job.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// Deploys whose pods are kept in memory after their end.
const KEPT_MAX: usize = 200;
/// Most pods of one side that the judge asks about.
const NAMES_MAX: usize = 1_000;

/// What is known of the pods of one deploy.
#[derive(Debug, Clone, Default)]
pub(super) struct Pods {
    list: Vec<DeployPod>,
    /// Every pod that was seen to run the new release, and the one before.
    canary: BTreeSet<String>,
    control: BTreeSet<String>,
}

/// A cluster's thing before a deploy begins.
pub(super) struct Looked {
    pub running: Vec<(String, Option<Running>)>,
    pub current: Option<Current>,
    /// For people.
    pub says: Vec<String>,
    /// Where its places run different releases: in words, since there is no one release to go back to.
    pub half_way: Option<String>,
}

impl Looked {
    /// Where nobody asked.
    pub(super) fn not_asked(handed: &HandedOver, branch: &str) -> Self {
        let running = place_names(handed.name(), 1).into_iter().map(|name| (name, None)).collect();
        let says = format!(
            "{} is asked what is live when a deploy begins, and for commits of {branch}; this is what was deployed last",
            handed.says()
        );
        Self { running, current: None, says: vec![says], half_way: None }
    }
}

impl App {
    /// What stands there, by the pipeline of this commit; an error names what is missing.
    pub(super) async fn look_at(
        &self,
        handed: &HandedOver,
        environment: &str,
        source: &Source,
        sha: &str,
        own: Option<Known>,
    ) -> Result<Looked, Fault> {
        let executor = self.deploys.executor()?;
        let (known, within_s) = match handed {
            HandedOver::Command(_) => {
                self.deploys.have(source, sha).await?;
                (self.releases(&source.service, environment, own).await?, LOOK_S + OBSERVE_S)
            }
            HandedOver::Kubernetes(_) | HandedOver::Nomad(_) => (Vec::new(), LOOK_S),
        };
        let target = ClusterTarget {
            service: source.service.clone(),
            environment: environment.to_owned(),
            epoch: 0,
            handed: handed.clone(),
            ground: Ground {
                deploy: 0,
                source: source.clone(),
                sha: sha.to_owned(),
                is_rollback: false,
                half_way: false,
                from_sha: None,
                known,
                stops: self.deploys.stop.clone(),
            },
        };
        let within = std::time::Duration::from_secs(within_s.into());
        let seen = tokio::time::timeout(within, executor.look(&target))
            .await
            .map_err(|_| Fault::unavailable(format!("{} did not answer within {within_s} s", handed.says())))??;
        let names = place_names(handed.name(), seen.places);
        let running: Vec<(String, Option<Running>)> =
            names.into_iter().enumerate().map(|(place, name)| (name, Some(Handover::running(&seen, place)))).collect();
        let digest = |place: &(String, Option<Running>)| place.1.and_then(|running| running.digest());
        let is_mixed = running.windows(2).any(|pair| digest(&pair[0]) != digest(&pair[1]));
        let half_way = is_mixed.then(|| format!("{} is half way through a rollout: {}", handed.says(), seen.said));
        let current = match &seen.release {
            Some(release) if !release.sha.is_empty() => {
                let since = self.now();
                Some(Current { sha: release.sha.clone(), deploy: release.deploy, since })
            }
            _ => None,
        };
        let mut says = Vec::new();
        match &seen.release {
            _ if matches!(handed, HandedOver::Command(_)) => says.push(format!("{}: {}", handed.says(), seen.said)),
            None => says.push(format!("{} does not exist yet", handed.says())),
            Some(release) if release.sha.is_empty() => {
                says.push(format!("{} runs what no deploy of here set: {}", handed.says(), release.says));
            }
            Some(release) => says.push(format!("{} runs {}: {}", handed.says(), short(&release.sha), release.says)),
        }
        if !matches!(seen.phase, cluster::Phase::Done) {
            says.push(format!("{} is not settled: {}", handed.says(), seen.said));
        }
        Ok(Looked { running, current, says, half_way })
    }

    /// Releases that were good, newest first, and before them a deploy's own.
    async fn releases(&self, service: &str, environment: &str, own: Option<Known>) -> Result<Vec<Known>, Fault> {
        let (service, environment) = (service.to_owned(), environment.to_owned());
        let rows =
            self.read(move |tx| Ok(store::deploys_healthy(tx, &service, &environment, i64::MAX, KNOWN_MAX)?)).await?;
        let known = |row: &store::DeployRow| {
            let digest = Digest::parse(row.digest.as_deref()?)?;
            Some(Known { sha: row.sha.clone(), digest, deploy: row.number })
        };
        Ok(own.into_iter().chain(rows.iter().filter_map(known)).collect())
    }

    pub(super) fn pods_put(&self, deploy: i64, seen: &Seen) {
        let mut all = self.deploys.pods.lock();
        let pods = all.entry(deploy).or_default();
        pods.list = seen
            .pods
            .iter()
            .take(PODS_MAX)
            .map(|p| DeployPod {
                name: p.name.clone(),
                state: p.state.word().to_owned(),
                is_new: p.is_new,
                message: p.said.clone(),
            })
            .collect();
        for pod in seen.pods.iter().filter(|p| p.state == PodState::Ready) {
            // Until the cluster has taken the release up, the pods of the one before are its newest.
            let (side, other) =
                if pod.is_new { (&mut pods.canary, &mut pods.control) } else { (&mut pods.control, &mut pods.canary) };
            other.remove(&pod.name);
            if side.len() < NAMES_MAX {
                side.insert(pod.name.clone());
            }
        }
        while all.len() > KEPT_MAX {
            all.pop_first();
        }
    }

    /// The names the judge knows the two sides by, where a deploy's hosts are not what serves.
    pub(super) fn pod_names(&self, stored: &Stored, canary: bool) -> Option<Vec<String>> {
        stored.handed()?;
        let all = self.deploys.pods.lock();
        let pods = all.get(&stored.number);
        Some(pods.map_or_else(Vec::new, |p| if canary { &p.canary } else { &p.control }.iter().cloned().collect()))
    }

    pub(super) fn with_pods(&self, view: &mut Deploy) {
        if view.handed_to.is_some()
            && let Some(pods) = self.deploys.pods.lock().get(&view.number)
        {
            view.pods.clone_from(&pods.list);
        }
    }
}

impl Stored {
    /// Where it goes, if not to hosts.
    pub(super) fn handed(&self) -> Option<HandedOver> {
        self.asked.pipeline.target(&self.environment).ok()?.handed_over()
    }

    pub(super) fn source(&self) -> Source {
        Source { service: self.service.clone(), repository: self.asked.repository.clone() }
    }

    /// Its own release, once it is built.
    fn release(&self) -> Option<Known> {
        self.run.digest.map(|digest| Known { sha: self.sha.clone(), digest, deploy: self.number })
    }

    /// A command was ordered and has not answered. After a stop of the server it says nothing of how far that came.
    fn half_way(&self) -> bool {
        let under_way = |order: Option<Order>| {
            matches!(order, Some(Order::Activate { .. } | Order::Restore { .. } | Order::Deactivate))
        };
        matches!(self.handed(), Some(HandedOver::Command(_))) && self.run.hosts.iter().any(|h| under_way(h.order))
    }

    /// The program that was begun and has not answered.
    pub(super) fn under_way(&self) -> Option<Step> {
        let kind = match self.run.hook {
            Some(running) => StepKind::Hook(running.at.word().to_owned()),
            None if self.run.state == State::Building && self.run.building => StepKind::Build,
            None if self.run.rebuild_until.is_some() => StepKind::Build,
            None if self.half_way() => StepKind::Command,
            None => return None,
        };
        Some(Step { deploy: self.number, kind })
    }
}

/// Orders to the cluster; dropping it ends whoever carries them out.
pub(super) struct Handed {
    orders: mpsc::UnboundedSender<cluster::Input>,
    to: HandedOver,
    release: Option<Box<Release>>,
    _stop: tokio_util::sync::DropGuard,
}

impl Conductor {
    /// Begins to follow the cluster or the command, where the deploy goes to one.
    pub(super) async fn hand_over(&mut self) {
        let Some(handed) = self.stored.handed() else { return };
        let Ok(executor) = self.app.deploys.executor() else { return };
        let known = match handed {
            // without the list, a commit that is live is taken for one of nobody's
            HandedOver::Command(_) => {
                let own = self.stored.release();
                self.app.releases(&self.stored.service, &self.stored.environment, own).await.unwrap_or_default()
            }
            HandedOver::Kubernetes(_) | HandedOver::Nomad(_) => Vec::new(),
        };
        let (mut orders, taken) = mpsc::unbounded_channel();
        if matches!(handed, HandedOver::Command(_)) {
            orders = self.held_first(orders);
        }
        let stop = self.app.deploys.stop.child_token();
        let target = ClusterTarget {
            service: self.stored.service.clone(),
            environment: self.stored.environment.clone(),
            epoch: self.epoch,
            handed: handed.clone(),
            ground: Ground {
                deploy: self.stored.number,
                source: self.stored.source(),
                sha: self.stored.sha.clone(),
                is_rollback: self.stored.run.kind == Kind::Rollback,
                half_way: self.stored.half_way(),
                from_sha: self.stored.asked.from_sha.clone(),
                known,
                stops: self.app.deploys.stop.clone(),
            },
        };
        let places = self.stored.run.hosts.iter().map(|h| h.name.clone()).collect();
        let (app, tx, log, number, epoch) =
            (self.app.clone(), self.tx.clone(), self.log.clone(), self.stored.number, self.epoch);
        let tell: Tell = Arc::new(move |told: Told| match told {
            Told::Input(input) => {
                let _ = tx.send(Signal::Input(input));
            }
            Told::Say(text) => log.say(Stream::Tenfold, None, &text),
            Told::Line(stream, text, mark) => log.take(stream, &text, mark.as_ref()),
            Told::Seen(seen) => {
                app.pods_put(number, &seen);
                let _ = app.deploys.changes.send(number);
            }
            Told::Stale { highest } => {
                let _ = tx.send(Signal::Refused { epoch, highest_epoch: highest });
            }
        });
        let handover = Handover::new(self.epoch, places).after_pause(self.stored.run.paused);
        let token = stop.clone();
        self.app.deploys.conductors.spawn(async move { executor.conduct(target, handover, taken, tell, token).await });
        self.handed = Some(Handed { orders, to: handed, release: None, _stop: stop.drop_guard() });
    }

    /// Gives orders on to commands, which nobody else can refuse: what changes something only while the lease is held.
    fn held_first(&self, orders: mpsc::UnboundedSender<cluster::Input>) -> mpsc::UnboundedSender<cluster::Input> {
        let (given, waiting) = mpsc::unbounded_channel();
        let (app, lease, holder, epoch) = (self.app.clone(), self.lease(), self.holder(), self.epoch);
        let stop = self.work.clone();
        let others_end = self.others_end();
        self.app.deploys.conductors.spawn(async move {
            if stop.run_until_cancelled(others_end).await.is_none() {
                return;
            }
            let ask = || still_held(app.clone(), lease.clone(), holder.clone(), epoch);
            stop.run_until_cancelled(give_on(waiting, orders, ask)).await;
        });
        given
    }

    /// The commit whose programs are run, where the deploy goes to commands: it may have begun on another server.
    pub(super) async fn have_commands(&self) {
        if !matches!(self.stored.handed(), Some(HandedOver::Command(_))) {
            return;
        }
        if let Err(fault) = self.app.deploys.have(&self.stored.source(), &self.stored.sha).await {
            self.log.say(Stream::Tenfold, None, &fault.message);
        }
    }

    /// What the cluster's places run; nothing is known of one that does not answer.
    pub(super) async fn look_at_places(&self) -> Option<Vec<(String, Option<Running>)>> {
        let handed = self.stored.handed()?;
        let unknown = || self.stored.run.hosts.iter().map(|h| (h.name.clone(), Some(Running::Unknown))).collect();
        if self.stored.half_way() {
            return Some(unknown());
        }
        let source = self.stored.source();
        let own = self.stored.release();
        let looked = self.app.look_at(&handed, &self.stored.environment, &source, &self.stored.sha, own).await;
        let running = match looked {
            Ok(looked) => looked.running,
            Err(fault) => {
                self.log.say(Stream::Tenfold, None, &format!("it cannot be asked: {}", fault.message));
                // Whoever follows it says whether it is away, and when it is back.
                return Some(unknown());
            }
        };
        let of = |name: &str| running.iter().find(|(known, _)| known == name).and_then(|(_, running)| *running);
        Some(self.stored.run.hosts.iter().map(|h| (h.name.clone(), of(&h.name))).collect())
    }

    /// Gives the order to the cluster; false where the deploy goes to hosts.
    pub(super) fn order_place(&mut self, host: &str, order: PlaceOrder) -> bool {
        if self.stored.handed().is_none() {
            return false;
        }
        let place = self.stored.run.hosts.iter().position(|h| h.name == host).unwrap_or(usize::MAX);
        let input = self.place_input(place, &order);
        let sent = match (input, &self.handed) {
            (Ok(input), Some(handed)) => handed.orders.send(input).map_err(|_| "nobody follows it".to_owned()),
            (Ok(_), None) => Err("this server carries out nothing but deploys to hosts".to_owned()),
            (Err(error), _) => Err(error),
        };
        if let Err(error) = sent {
            let digest = order.digest();
            let input = Input::HostFailed { host: host.to_owned(), digest, error, running: Running::Unknown };
            let _ = self.tx.send(Signal::Input(input));
        }
        true
    }

    /// Tells the cluster to stop on its way; the next order lets it go on.
    pub(super) fn pause_place(&self) {
        if let Some(handed) = &self.handed {
            // one that nobody follows any more does not answer the next order either, and that is told
            let _ = handed.orders.send(cluster::Input::Hold);
        }
    }

    fn place_input(&mut self, place: usize, order: &PlaceOrder) -> Result<cluster::Input, String> {
        let handed = self.stored.handed().ok_or("it goes to hosts")?;
        let within_ms = i64::from(handed.within_s()) * 1000;
        Ok(match order {
            PlaceOrder::Check(digest) => cluster::Input::Check { place, release: self.cluster_release(*digest)? },
            PlaceOrder::Reach(digest) => cluster::Input::Reach {
                place,
                release: self.cluster_release(*digest)?,
                full: self.stored.run.kind == Kind::Rollback,
                within_ms,
            },
            PlaceOrder::Restore(digest) => cluster::Input::Restore { place, digest: *digest, within_ms },
            PlaceOrder::Remove => cluster::Input::Remove { place, within_ms },
        })
    }

    /// The release with its images, which files of the artifact may name.
    fn cluster_release(&mut self, digest: Digest) -> Result<Box<Release>, String> {
        let known = self.handed.as_ref().and_then(|h| h.release.as_ref()).filter(|r| r.digest == digest);
        if let Some(known) = known {
            return Ok(known.clone());
        }
        let handed =
            self.handed.as_ref().map(|h| h.to.clone()).ok_or("this server carries out nothing but deploys to hosts")?;
        let made = Box::new(resolve(&self.app, &self.stored, &handed, digest)?);
        for (name, image) in &made.images {
            self.log.say(Stream::Tenfold, None, &format!("{name} gets {image}"));
        }
        if let Some(handed) = &mut self.handed {
            handed.release = Some(made.clone());
        }
        Ok(made)
    }
}

/// In the order they are given. It ends, and with it whoever carries them out, when the lease is lost: the conductor learns
/// that by itself.
async fn give_on<F: Future<Output = bool>>(
    mut given: mpsc::UnboundedReceiver<cluster::Input>,
    orders: mpsc::UnboundedSender<cluster::Input>,
    still_held: impl Fn() -> F,
) {
    use cluster::Input::{Reach, Remove, Restore};
    while let Some(order) = given.recv().await {
        let changes = matches!(order, Reach { .. } | Restore { .. } | Remove { .. });
        if (changes && !still_held().await) || orders.send(order).is_err() {
            return;
        }
    }
}

/// What is asked of one place.
pub(super) enum PlaceOrder {
    Check(Digest),
    Reach(Digest),
    Restore(Digest),
    Remove,
}

impl PlaceOrder {
    const fn digest(&self) -> Option<Digest> {
        match self {
            Self::Check(digest) | Self::Reach(digest) | Self::Restore(digest) => Some(*digest),
            Self::Remove => None,
        }
    }
}

fn resolve(app: &App, stored: &Stored, handed: &HandedOver, digest: Digest) -> Result<Release, String> {
    let sha = stored.sha.as_str();
    let blobs = app.blobs();
    let manifest = std::cell::OnceCell::new();
    let read = |path: &str| -> Result<String, String> {
        let gone = || "the artifact is no longer kept on the server; deploy its commit anew".to_owned();
        let manifest = manifest.get_or_init(|| blobs.manifest(digest)).as_ref().ok_or_else(gone)?;
        let found = manifest.entries().iter().find_map(|entry| match entry {
            Entry::File { path: name, blake3, size, .. } if name == path => Some((*blake3, *size)),
            _ => None,
        });
        let (blob, size) = found.ok_or_else(|| format!("the artifact has no file {path}; see `artifact.paths`"))?;
        if size > FILE_BYTES_MAX {
            return Err(format!("{path} has {size} bytes, more than {FILE_BYTES_MAX}"));
        }
        std::fs::read_to_string(blobs.path(blob)).map_err(|e| format!("{path} of the artifact cannot be read: {e}"))
    };
    let images = handed.images().iter().map(|(name, image)| Ok((name.clone(), image.resolve(sha, &read)?)));
    let images: BTreeMap<String, String> = images.collect::<Result<_, String>>()?;
    let with_sha_all = |pairs: &BTreeMap<String, String>| -> BTreeMap<String, String> {
        pairs.iter().map(|(n, v)| (n.clone(), with_sha(v, sha))).collect()
    };
    let (annotations, job) = match handed {
        HandedOver::Command(_) => (BTreeMap::new(), None),
        HandedOver::Kubernetes(k) => (with_sha_all(&k.annotations), None),
        HandedOver::Nomad(n) => {
            let file = n.file.as_deref();
            let job = file.map(|file| -> Result<JobFile, String> {
                let mut variables = with_sha_all(&n.variables);
                for value in variables.values_mut() {
                    if let Some(named) = value.strip_prefix("$(").and_then(|v| v.strip_suffix(')')) {
                        *value = pinned(named, &read(named)?)?;
                    }
                }
                let is_json = std::path::Path::new(file).extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
                Ok(JobFile { text: read(file)?, is_json, variables })
            });
            (BTreeMap::new(), job.transpose()?)
        }
    };
    Ok(Release { digest, sha: sha.to_owned(), deploy: stored.number, images, annotations, job })
}

/// Where a pipeline's target of an environment goes, if not to hosts.
pub(super) fn handed_of(pipeline: &Pipeline, environment: &str) -> Option<HandedOver> {
    pipeline.target(environment).ok()?.handed_over()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn commands_that_change_something_begin_only_while_the_lease_is_held() {
        let (given, waiting) = mpsc::unbounded_channel();
        let (orders, mut taken) = mpsc::unbounded_channel();
        let (held, asked) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let (is_held, asks) = (held.clone(), asked.clone());
        let giving = tokio::spawn(give_on(waiting, orders, move || {
            asks.fetch_add(1, Ordering::SeqCst);
            std::future::ready(is_held.load(Ordering::SeqCst))
        }));
        let digest = Digest::of(b"one");
        let release = Release {
            digest,
            sha: "4f2c91a".to_owned(),
            deploy: 7,
            images: BTreeMap::new(),
            annotations: BTreeMap::new(),
            job: None,
        };
        let place = 0;
        given.send(cluster::Input::Check { place, release: Box::new(release.clone()) }).unwrap();
        let reach = cluster::Input::Reach { place, release: Box::new(release), full: false, within_ms: 1 };
        given.send(reach).unwrap();
        assert!(matches!(taken.recv().await, Some(cluster::Input::Check { .. })));
        assert!(matches!(taken.recv().await, Some(cluster::Input::Reach { .. })));
        assert_eq!(asked.load(Ordering::SeqCst), 1, "a check changes nothing");

        held.store(false, Ordering::SeqCst);
        given.send(cluster::Input::Restore { place, digest, within_ms: 1 }).unwrap();
        given.send(cluster::Input::Remove { place, within_ms: 1 }).unwrap();
        assert!(taken.recv().await.is_none(), "another server has the deploy");
        giving.await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 2, "and nothing follows");
    }
}
