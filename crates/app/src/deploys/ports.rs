//! What this part needs from outside: someone who reads repositories and builds, and someone who speaks to clusters.

use std::{sync::Arc, time::Duration};

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
    /// The deploy's number: names the checkout's folder, so that a later server finds what it has to go on with.
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

/// How long a program runs on while no server follows it; then whoever keeps it ends it, and all that it started.
pub const LEFT_ALONE: Duration = Duration::from_mins(1);

/// Where a line ends in what a program's keeper has written, so that whoever goes on after a restart takes no line twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Names this one run of the program.
    pub run: String,
    /// In bytes.
    pub at: u64,
}

/// Takes the lines a program prints. After a restart it is told all of them again: a line with a mark may be one that is known.
pub type LineSink = Arc<dyn Fn(Stream, &str, Option<&Mark>) + Send + Sync>;

/// A program of a deploy that may outlive the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub deploy: i64,
    pub kind: StepKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepKind {
    Build,
    /// By its place: `before_promote`.
    Hook(String),
    /// Of a target.
    Command,
}

impl StepKind {
    /// In words.
    pub fn says(&self) -> String {
        match self {
            Self::Build => "build".to_owned(),
            Self::Hook(at) => format!("hook {at}"),
            Self::Command => "command".to_owned(),
        }
    }
}

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
    /// Runs a hook in a checkout of the commit, or goes on with the one that an earlier server began. The error is for people.
    /// When this is dropped, it runs on. How it ended stays to be found, as often as it is ordered again, until it is cleared.
    async fn hook(&self, order: HookOrder, lines: LineSink, cancel: CancellationToken) -> Result<(), String>;
    /// Whether the program still runs, or has left its end, so that it is gone on with when it is ordered again. What is left
    /// of one that is lost is cleared away.
    async fn kept(&self, _: &Step) -> bool {
        false
    }
    /// Ends the program, if it runs, and clears away what is left of it.
    async fn clear(&self, _: &Step) {}
    /// Puts aside what an earlier server left, but for programs that were under way: no program finds it any more. It is quick.
    async fn set_aside(&self, _under_way: &[Step]) {}
    /// Ends and removes what was put aside. It may take long.
    async fn tidy(&self) {}
    /// Builds, or goes on with the build that an earlier server began, and puts every file of the artifact into the blob store.
    /// The error is for people and ends the deploy. When this is dropped, it runs on. How it ended stays to be found, until it is
    /// cleared.
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
    /// Cancelled when the server stops: a program that runs then is left to the next one.
    pub stops: CancellationToken,
}

/// What whoever follows a cluster says.
#[derive(Debug, Clone)]
pub enum Told {
    Input(machine::Input),
    /// For the deploy's log.
    Say(String),
    /// What a command printed.
    Line(Stream, String, Option<Mark>),
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
