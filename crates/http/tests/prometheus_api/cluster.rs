//! What is answered where a cluster answers instead of the own store.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use tenfold_app::Role;
use tenfold_app::metrics::{AnswerMemory, Cluster, ClusterAnswer};
use tenfold_app::people::TokenKind;
use tenfold_app::settings::Engine;
use tenfold_protocols::exposition::Metadata;
use tenfold_types::Fault;

use super::{Asker, common, data};

/// Knows two families, and nothing else.
struct Families;

#[async_trait]
impl Cluster for Families {
    async fn ask(
        &self,
        path: &str,
        _parameters: &[(String, String)],
        memory: AnswerMemory,
    ) -> Result<ClusterAnswer, Fault> {
        if path != "/api/v1/metadata" {
            return Err(Fault::unavailable("it is not known here"));
        }
        let about = |help: &str| json!([{"type": "gauge", "help": help, "unit": ""}]);
        let families = json!({"depth": about("Of the cluster."), "width": about("Of the cluster.")});
        Ok(ClusterAnswer { json: json!({"status": "success", "data": families}), memory })
    }
}

/// The server tells of itself from its start on: that is not all there is.
#[tokio::test]
async fn families_are_those_of_the_cluster_and_of_here() {
    let world = common::world_with(|settings| settings.metrics.engine = Engine::Remote).await;
    world.app.metrics.set_cluster(Arc::new(Families));
    let about = |help: &str| Metadata { kind: "gauge".into(), help: help.into(), unit: String::new() };
    world.app.metrics.push_metadata([("depth", about("Of here.")), ("height", about("Of here."))]);
    let token = world.token(TokenKind::Robot, Some(Role::Viewer)).await;
    let asker = Asker { world, token };
    let row = |help: &str| json!([{"type": "gauge", "help": help, "unit": ""}]);
    let (theirs, ours) = (row("Of the cluster."), row("Of here."));
    let all = json!({"depth": theirs, "height": ours, "width": theirs});
    assert_eq!(asker.get("/api/v1/metadata", &[]).await, data(all));
    let first = json!({"depth": theirs});
    assert_eq!(asker.get("/api/v1/metadata", &[("limit", "1")]).await, data(first));
}
