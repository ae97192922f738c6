//! What deploys are handed to instead of hosts: Kubernetes (Deployments, Argo Rollouts), Nomad, and programs of the
//! repository. The rules are in `tenfold_deploys::cluster`; here are the calls.
//!
//! Addresses and tokens are the operator's. A token is read for every call, is sent in a header alone and stands in no error.

mod call;
mod command;
mod conduct;
mod executors;
mod kubernetes;
mod nomad;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tenfold_app::deploys::ports::{ClusterTarget, Executor, Tell};
use tenfold_app::settings::{ClusterKind, ClusterSettings};
use tenfold_deploys::cluster::{Change, Handover, Input, Refusal, Release, Seen};
use tenfold_deploys::pipeline::HandedOver;
use tenfold_types::{Clock, Fault};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use call::Access;
pub use executors::Executors;
use kubernetes::Kubernetes;
use nomad::Nomad;

/// Most clusters of one server.
const CLUSTERS_MAX: usize = 50;

/// One thing of a cluster, whatever kind it is.
#[async_trait]
trait Cluster: Send + Sync {
    async fn look(&self) -> Result<Seen, Refusal>;
    /// Sends a snapshot, or why there is none, whenever something may have changed; never ends by itself.
    async fn follow(&self, out: mpsc::Sender<Result<Seen, String>>);
    /// Asks whether the release would be taken, without any change.
    async fn check(&self, release: &Release) -> Result<String, Refusal>;
    /// The order of the first snapshot that shows it; 0 where that cannot be told.
    async fn write(&self, change: &Change, version: &str) -> Result<u64, Refusal>;
}

/// Two servers that know nothing of each other would take turns for ever, so it is said before anything changes.
fn not_others(found: i64, own: i64, mark: &str) -> Result<(), Refusal> {
    if found <= own {
        return Ok(());
    }
    Err(Refusal::Final {
        error: format!(
            "a deploy of epoch {found} has written it, and this one is of epoch {own}: another server deploys it, or this \
             one's state is an older copy; where the other is gone for good, remove {mark}"
        ),
    })
}

#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error("clusters: at most {CLUSTERS_MAX} of them are reached")]
    TooMany,
    #[error("clusters: {name}: {why}")]
    Wrong { name: String, why: String },
}

/// The clusters of the settings.
pub struct Clusters {
    all: BTreeMap<String, (ClusterSettings, Arc<Access>)>,
    clock: Arc<dyn Clock>,
}

impl Clusters {
    /// Nothing where the settings name none.
    pub fn new(settings: &[ClusterSettings], clock: &Arc<dyn Clock>) -> Result<Option<Self>, ClusterError> {
        if settings.is_empty() {
            return Ok(None);
        }
        if settings.len() > CLUSTERS_MAX {
            return Err(ClusterError::TooMany);
        }
        let mut all = BTreeMap::new();
        for cluster in settings {
            let wrong = |why: String| ClusterError::Wrong { name: cluster.name.clone(), why };
            let access = Arc::new(Access::new(cluster, clock.clone()).map_err(wrong)?);
            if all.insert(cluster.name.clone(), (cluster.clone(), access)).is_some() {
                return Err(wrong("two clusters have this name".to_owned()));
            }
        }
        Ok(Some(Self { all, clock: clock.clone() }))
    }

    fn reach(&self, target: &ClusterTarget) -> Result<Arc<dyn Cluster>, Fault> {
        let name = target.handed.cluster();
        let (settings, access) = self.all.get(name).ok_or_else(|| {
            let known = self.all.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            Fault::invalid(format!("there is no cluster `{name}`; the server's settings know {known}"))
        })?;
        let lets = |list: &[String], word: &str| list.is_empty() || list.iter().any(|allowed| allowed == word);
        let limits = [
            ("the environment", &settings.environments, target.environment.as_str()),
            ("the namespace", &settings.namespaces, target.handed.namespace()),
            ("the service", &settings.services, target.service.as_str()),
        ];
        if let Some((what, _, word)) = limits.into_iter().find(|(_, list, word)| !lets(list, word)) {
            return Err(Fault::forbidden(format!("the cluster `{name}` takes no deploys of {what} `{word}`"))
                .advice("an operator lists it under [[clusters]] in the server's settings"));
        }
        let (access, epoch) = (access.clone(), target.epoch);
        match (&target.handed, settings.kind) {
            (HandedOver::Kubernetes(k), ClusterKind::Kubernetes) => {
                Ok(Arc::new(Kubernetes::new(access, k, epoch, self.clock.clone())))
            }
            (HandedOver::Nomad(n), ClusterKind::Nomad) => Ok(Arc::new(Nomad::new(access, n, epoch))),
            _ => Err(Fault::invalid(format!("the cluster `{name}` is of another kind than the target"))),
        }
    }
}

#[async_trait]
impl Executor for Clusters {
    async fn look(&self, target: &ClusterTarget) -> Result<Seen, Fault> {
        let name = target.handed.cluster();
        self.reach(target)?.look().await.map_err(|refusal| match refusal {
            Refusal::Conflict => Fault::conflict(format!("{name}: it changes at this moment")),
            Refusal::Passing { error, .. } => Fault::unavailable(format!("the cluster {name} is not reached: {error}")),
            Refusal::Final { error } => Fault::invalid(format!("{}: {error}", target.handed.says())),
        })
    }

    async fn conduct(
        &self,
        target: ClusterTarget,
        handover: Handover,
        orders: mpsc::UnboundedReceiver<Input>,
        tell: Tell,
        stop: CancellationToken,
    ) {
        match self.reach(&target) {
            Ok(cluster) => conduct::conduct(cluster, &self.clock, handover, orders, &tell, stop).await,
            Err(fault) => conduct::refuse(&fault.message, handover, orders, &self.clock, &tell, stop).await,
        }
    }
}
