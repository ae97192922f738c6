//! What this part needs from outside: someone who reads repositories and builds, and someone who speaks to clusters.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tenfold_deploys::cluster::{self, Handover, Seen, command::Known};
use tenfold_deploys::pipeline::HandedOver;
use tenfold_deploys::{Manifest, Pipeline, machine, pipeline::Hook};
use tenfold_types::{Fault, Timestamp};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Where a service's source lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub service: String,
    /// URL or path of the git repository.
    pub repository: String,
}

/// One commit, as people read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Commit {
    pub sha: String,
    pub short: String,
    pub author: String,
    /// The subject line.
    pub message: String,
    /// When it was committed.
    #[schema(value_type = String)]
    pub at: Timestamp,
}

/// What lies between two commits. The lists are cut at a limit; the counts are not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitRange {
    /// In the new release and not in the old one, newest first.
    pub added: Vec<Commit>,
    pub added_count: u64,
    /// In the old release and not in the new one.
    pub removed: Vec<Commit>,
    pub removed_count: u64,
}

/// One build.
#[derive(Debug, Clone)]
pub struct BuildOrder {
    /// The deploy's number: names the checkout's folder, so that what a crash left can be found and ended.
    pub deploy: i64,
    pub source: Source,
    pub sha: String,
    pub pipeline: Pipeline,
}

/// One run of a hook.
#[derive(Debug, Clone)]
pub struct HookOrder {
    pub deploy: i64,
    pub source: Source,
    pub environment: String,
    pub sha: String,
    /// `before_build`, `after_promote`, ...
    pub at: String,
    pub hook: Hook,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    Out,
    Err,
    /// What tenfold itself says.
    Tenfold,
}

/// Takes the lines a build prints.
pub type LineSink = Arc<dyn Fn(Stream, &str) + Send + Sync>;

/// Git and builds; implemented by the crate `runner`.
#[async_trait]
pub trait Runner: Send + Sync {
    /// Fetches what is new in the repository.
    async fn fetch(&self, source: &Source) -> Result<(), Fault>;
    /// The commit a branch, tag or (abbreviated) commit name stands for, after the last fetch.
    async fn resolve(&self, source: &Source, reference: &str) -> Result<Commit, Fault>;
    async fn commits(&self, source: &Source, from: Option<&str>, to: &str) -> Result<CommitRange, Fault>;
    /// Files that fit one of the patterns (`*` within a folder, `**` any depth) and differ between two commits; some of
    /// them when there are many.
    async fn changed(&self, source: &Source, from: &str, to: &str, paths: &[String]) -> Result<Vec<String>, Fault>;
    /// A file as it is at a commit; `None` when the commit has no such file.
    async fn file(&self, source: &Source, sha: &str, path: &str) -> Result<Option<String>, Fault>;
    /// Runs a hook in a checkout of the commit. The error is for people.
    async fn hook(&self, order: HookOrder, lines: LineSink, cancel: CancellationToken) -> Result<(), String>;
    /// Ends and removes what builds and hooks of other deploys than these left when the server was killed.
    async fn tidy(&self, unfinished: &[i64]);
    /// Builds and puts every file of the artifact into the blob store. The error is for people and ends the deploy.
    async fn build(&self, order: BuildOrder, lines: LineSink, cancel: CancellationToken) -> Result<Manifest, String>;
}

/// A thing of a cluster or of commands, and who acts on it.
#[derive(Debug, Clone)]
pub struct ClusterTarget {
    pub service: String,
    pub environment: String,
    /// Of the deploy's lease; 0 for a look.
    pub epoch: i64,
    pub handed: HandedOver,
    pub ground: Ground,
}

/// What commands stand on; clusters do not ask for it.
#[derive(Debug, Clone)]
pub struct Ground {
    /// 0 for a look.
    pub deploy: i64,
    pub source: Source,
    /// Whose checkout they run in.
    pub sha: String,
    /// It flips to a release that was there before.
    pub is_rollback: bool,
    /// A command was under way when the server stopped, so how far it came is not known.
    pub half_way: bool,
    /// What was live when the deploy began.
    pub from_sha: Option<String>,
    /// Releases of before, newest first.
    pub known: Vec<Known>,
}

/// What whoever follows a cluster says.
#[derive(Debug, Clone)]
pub enum Told {
    Input(machine::Input),
    /// For the deploy's log.
    Say(String),
    /// What a command printed.
    Line(Stream, String),
    Seen(Box<Seen>),
    Stale {
        highest: i64,
    },
}

pub type Tell = Arc<dyn Fn(Told) + Send + Sync>;

/// Clusters and commands; implemented by the crate `runner`.
#[async_trait]
pub trait Executor: Send + Sync {
    /// What stands there now.
    async fn look(&self, target: &ClusterTarget) -> Result<Seen, Fault>;
    /// Follows the thing and carries orders out until `stop`.
    async fn conduct(
        &self,
        target: ClusterTarget,
        handover: Handover,
        orders: mpsc::UnboundedReceiver<cluster::Input>,
        tell: Tell,
        stop: CancellationToken,
    );
}
