//! Which executor a deploy is for: a cluster of the settings, or commands of the repository.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tenfold_app::deploys::ports::{ClusterTarget, Executor, Tell};
use tenfold_app::settings::Builds;
use tenfold_deploys::cluster::{Handover, Input, Seen};
use tenfold_deploys::pipeline::HandedOver;
use tenfold_types::{Clock, Fault};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::command::{Commands, Place};
use super::{Clusters, conduct};
use crate::runner::BuildParent;

/// Everything that is not a host.
pub struct Executors {
    clusters: Option<Clusters>,
    commands: Arc<Commands>,
    clock: Arc<dyn Clock>,
}

impl Executors {
    /// Commands run as builds do: by the same settings and under the same parent.
    pub fn new(
        clusters: Option<Clusters>,
        data_dir: &Path,
        builds: Builds,
        parent: Option<BuildParent>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { clusters, commands: Arc::new(Commands::new(data_dir, builds, parent)), clock }
    }

    fn clusters(&self) -> Result<&Clusters, Fault> {
        self.clusters.as_ref().ok_or_else(|| {
            Fault::unavailable("this server reaches no clusters").advice("name them under [[clusters]] in its settings")
        })
    }
}

#[async_trait]
impl Executor for Executors {
    async fn look(&self, target: &ClusterTarget) -> Result<Seen, Fault> {
        match &target.handed {
            HandedOver::Command(command) => self.commands.look(target, command).await,
            HandedOver::Kubernetes(_) | HandedOver::Nomad(_) => self.clusters()?.look(target).await,
        }
    }

    async fn conduct(
        &self,
        target: ClusterTarget,
        handover: Handover,
        orders: mpsc::UnboundedReceiver<Input>,
        tell: Tell,
        stop: CancellationToken,
    ) {
        if let HandedOver::Command(command) = &target.handed {
            let command = command.clone();
            let place = Arc::new(Place::new(self.commands.clone(), target, command, Some(tell.clone())));
            conduct::conduct(place.clone(), &self.clock, handover, orders, &tell, stop).await;
            return place.leave().await;
        }
        match self.clusters() {
            Ok(clusters) => clusters.conduct(target, handover, orders, tell, stop).await,
            Err(fault) => conduct::refuse(&fault.message, handover, orders, &self.clock, &tell, stop).await,
        }
    }
}
