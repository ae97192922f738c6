//! Deploys that a cluster carries out: `step(state, input, now)` over one snapshot of the cluster, whatever kind it is.
//!
//! The deploy's own state machine knows hosts; a cluster's *places* stand for them: one for each step at which it waits for
//! us, and the last one for all of it. A step is level-triggered: it compares what is wanted with what stands in the
//! cluster, so orders that are given twice are carried out once, and after a restart the cluster itself says how far it is.
//! Every write carries the version it was decided on, and what is not known is never taken for done.

pub mod command;
mod handover;
pub mod kubernetes;
pub mod nomad;
#[cfg(test)]
mod tests;
pub mod watch;

pub use handover::{Handover, step};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

use crate::machine::Input as DeployInput;
use crate::manifest::Digest;

/// Most pods or allocations that are told one by one.
pub const PODS_MAX: usize = 500;
/// Longest sentence that is taken from a cluster.
pub const SAID_CHARS_MAX: usize = 300;

/// What of a release stands in the cluster's own thing, as JSON in one annotation or one key of metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Of the artifact.
    pub artifact: String,
    pub sha: String,
    pub deploy: i64,
    /// Digest of which container runs which image; another one means that somebody else changed them.
    pub images: String,
}

/// A release that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    pub digest: Digest,
    pub sha: String,
    pub deploy: i64,
    /// By container, or by `GROUP/TASK`.
    pub images: BTreeMap<String, String>,
    /// Of the pods, beside our own.
    pub annotations: BTreeMap<String, String>,
    /// A job file with its variables, instead of `images`.
    pub job: Option<JobFile>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFile {
    pub text: String,
    pub is_json: bool,
    pub variables: BTreeMap<String, String>,
}

/// The release the cluster is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub digest: Digest,
    /// Of ours; empty for one that somebody else made.
    pub sha: String,
    pub deploy: i64,
    /// The images, for people.
    pub says: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// On the way; also while the controller has not looked at the last write yet.
    Moving,
    /// Waits for us at one of its steps.
    Paused,
    /// Everything runs the release.
    Done,
    Failed {
        why: String,
    },
    /// It was told to stop and stands on the release before.
    Aborted,
}

/// Whether it was told to stop where it is, beside its own steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    None,
    /// By us, as it says itself.
    Ours,
    /// By somebody, and not by us.
    Theirs,
    /// It does not say by whom.
    Somebody,
}

/// One pod or allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    pub name: String,
    /// Runs the release the cluster is set to.
    pub is_new: bool,
    pub state: PodState,
    pub said: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodState {
    Waiting,
    Starting,
    Ready,
    Failed,
    Leaving,
}

impl PodState {
    /// In the words that a deploy's hosts have.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "activating",
            Self::Ready => "healthy",
            Self::Failed => "failed",
            Self::Leaving => "stopping",
        }
    }
}

/// What stands in the cluster at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Absent where the thing does not exist.
    pub release: Option<Standing>,
    /// What runs beside it while it is on the way.
    pub stable: Option<Digest>,
    /// The highest epoch that has written.
    pub epoch: i64,
    pub phase: Phase,
    pub pause: Pause,
    /// Steps at which it waits for us, and the end: at least one.
    pub places: usize,
    /// How many of them it has reached with the release.
    pub reached: usize,
    /// It is on the way and can be told to stop.
    pub can_abort: bool,
    /// What it is at, in words.
    pub said: String,
    pub pods: Vec<Pod>,
    /// Of two snapshots the one with the lower number is older; 0 where that cannot be told.
    pub order: u64,
    /// For the next write: it is refused when this is out of date.
    pub version: String,
}

impl Seen {
    /// Of the new release.
    pub fn ready(&self) -> usize {
        self.pods.iter().filter(|p| p.is_new && p.state == PodState::Ready).count()
    }
    /// Why pods do not get ready, as far as they say; one sentence.
    pub fn trouble(&self) -> Option<String> {
        let bad = self.pods.iter().find(|p| p.is_new && p.state == PodState::Failed)?;
        Some(format!("{}: {}", bad.name, bad.said))
    }
}

/// The names of a thing's places, in the order they are reached.
pub fn place_names(thing: &str, places: usize) -> Vec<String> {
    match places {
        0 | 1 => vec![thing.to_owned()],
        n => (1..n).map(|i| format!("{thing}-canary-{i}")).chain([format!("{thing}-rest")]).collect(),
    }
}

/// What the edge is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Set the thing to the release.
    Set(Box<Release>),
    /// Go on from the step it waits at.
    Promote,
    /// Go on to the end, passing over the steps that are left.
    Finish,
    /// Try again what was aborted.
    Retry,
    /// Stop where it is.
    Pause,
    /// Go on from there.
    Resume,
    /// Stop, and serve the release before.
    Abort,
    /// Set it to a release that it ran before.
    Undo { digest: Digest },
    /// Take it out; nothing ran before.
    Remove,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Ask the cluster whether it would take the release, for the place of this number.
    Check {
        place: usize,
        release: Box<Release>,
    },
    /// Reach this place. `full` passes over the steps in between.
    Reach {
        place: usize,
        release: Box<Release>,
        full: bool,
        within_ms: i64,
    },
    Restore {
        place: usize,
        digest: Digest,
        within_ms: i64,
    },
    Remove {
        place: usize,
        within_ms: i64,
    },
    /// Stop on the way to whatever was asked; the next order goes on.
    Hold,
    Seen(Box<Seen>),
    /// The cluster does not answer.
    Away {
        error: String,
    },
    /// The write was taken.
    /// `order` is that of the first snapshot that shows it; 0 where that cannot be told.
    Written {
        order: u64,
    },
    Failed(Refusal),
    /// The answer to a check.
    Checked(Result<String, Refusal>),
    Tick,
}

/// Why a call did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Somebody else changed it in between: look again.
    Conflict,
    /// It may go better later; with how long to wait where the cluster said so.
    Passing { error: String, retry_after_ms: Option<i64> },
    /// It never goes better by itself.
    Final { error: String },
}

#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Check(Box<Release>),
    /// Decided on the snapshot of this version.
    Write {
        change: Change,
        version: String,
    },
    /// Look at the cluster now.
    Look,
    Tell(DeployInput),
    /// For the deploy's log.
    Say(String),
    /// Another runner of a higher epoch has written.
    Stale {
        highest: i64,
    },
}

/// Text from a cluster as it may be shown: one line, without control characters, cut.
pub fn plain(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID_CHARS_MAX).collect();
    line.trim().to_owned()
}

/// Which container runs which image, as one digest.
pub fn images_digest<'a>(images: impl Iterator<Item = (&'a str, &'a str)>) -> Digest {
    let mut pairs: Vec<_> = images.collect();
    pairs.sort_unstable();
    let text: String = pairs.iter().map(|(name, image)| [name, "=", image, "\n"].concat()).collect();
    Digest::of(text.as_bytes())
}

/// The release that a thing with this mark and these images is set to. Where the mark is not ours, or somebody changed an
/// image since, the images themselves name it.
pub fn standing(mark: Option<&str>, images: &BTreeMap<String, String>) -> Standing {
    let own = images_digest(images.iter().map(|(n, i)| (n.as_str(), i.as_str())));
    let says = images.values().cloned().collect::<Vec<_>>().join(", ");
    let mark = mark.and_then(|text| serde_json::from_str::<Mark>(text).ok());
    let ours = mark.filter(|mark| mark.images == own.to_string());
    match ours.and_then(|mark| Digest::parse(&mark.artifact).map(|digest| (digest, mark))) {
        Some((digest, mark)) => Standing { digest, sha: mark.sha, deploy: mark.deploy, says },
        None => Standing { digest: own, sha: String::new(), deploy: 0, says },
    }
}

pub fn mark(release: &Release, images: &BTreeMap<String, String>) -> String {
    let mark = Mark {
        artifact: release.digest.to_string(),
        sha: release.sha.clone(),
        deploy: release.deploy,
        images: images_digest(images.iter().map(|(n, i)| (n.as_str(), i.as_str()))).to_string(),
    };
    serde_json::to_string(&mark).unwrap_or_default()
}

fn later(now: Timestamp, ms: i64) -> Timestamp {
    now.plus_ms(ms)
}
