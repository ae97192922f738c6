//! A program that a repository names: a build, a hook, a command of a target. A keeper, which is a process of its own, runs it
//! in the sandbox, as far as the machine has one, with an end to its time and to its silence; the server starts the keeper and
//! follows. A server that comes after a restart or a kill goes on following; where none comes, the keeper ends the program.

use std::{collections::BTreeMap, time::Duration};

use tenfold_app::{
    deploys::ports::{LEFT_ALONE, LineSink, Stream},
    settings::{Builds, Sandbox},
};
use tokio_util::sync::CancellationToken;

use crate::{runner::BuildParent, sandbox::uid_of};

mod folder;
mod follow;
pub(crate) mod keeper;
mod launch;
mod step;

pub(crate) use folder::{Folder, set_aside, tidy};
use step::{About, End};

/// After SIGTERM a program gets this long to clean up: less than a lease lasts, after which another server may begin.
const END_WITHIN: Duration = Duration::from_millis(3_500);

/// What is to run.
pub(crate) struct Program<'a> {
    /// The subject of sentences about it: `the build`.
    pub what: String,
    /// Its key in the pipeline file, whose limits are named when they strike: `build`, `hooks.before_promote`.
    pub key: String,
    /// Tells it from others that ran in the same folder: `deploy 4f2c91a`.
    pub about: String,
    /// Begins the name of its control group: `build-12`.
    pub group: String,
    pub service: &'a str,
    pub argv: &'a [String],
    /// What tenfold says and what the file says.
    pub env: BTreeMap<String, String>,
    /// Variables that name folders below its own, by their path there.
    pub places: BTreeMap<String, String>,
    /// Names of secrets that it asks for.
    pub secrets: &'a [String],
    pub network: bool,
    pub timeout_s: u32,
    pub idle_timeout_s: u32,
    pub folder: &'a Folder,
    pub settings: &'a Builds,
    /// What becomes its keeper.
    pub parent: Option<&'a BuildParent>,
    /// The user it runs as, when it gets one of its own.
    pub uid: Option<u32>,
    pub lines: LineSink,
    pub cancel: &'a CancellationToken,
}

/// Why a program has not ended well. The texts are for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Bad {
    Failed(String),
    /// It did not come to its end, and nobody can say how far it came.
    Unknown(String),
}

impl Bad {
    pub fn into_text(self) -> String {
        match self {
            Self::Failed(text) | Self::Unknown(text) => text,
        }
    }
}

/// The user of a deploy's programs, when they get one of their own.
pub(crate) fn uid(settings: &Builds, deploy: i64) -> Option<u32> {
    (settings.sandbox != Sandbox::Off && nix::unistd::geteuid().is_root()).then(|| uid_of(deploy))
}

impl Program<'_> {
    /// An earlier server began it.
    pub fn is_begun(&self) -> bool {
        self.folder.step().about().is_some_and(|about| about.what == self.about)
    }

    /// Runs it to its end. When this is dropped, it runs on.
    pub async fn run(&self) -> Result<(), Bad> {
        // while its files were fetched and laid out
        if self.cancel.is_cancelled() {
            return Err(Bad::Failed(format!("{} was cancelled", self.what)));
        }
        let (keeper, about) = launch::start(self).await.map_err(Bad::Failed)?;
        let step = self.folder.step();
        let end = follow::follow(&step, about.run, &self.lines, self.cancel, Some(keeper)).await;
        judge(&self.what, end, self.cancel.is_cancelled())
    }
}

/// Goes on with a program that an earlier server began, whatever it is, to its end. `what` is the subject of sentences about it.
pub(crate) async fn take_up(
    folder: &Folder,
    what: &str,
    lines: &LineSink,
    cancel: &CancellationToken,
) -> Result<(), Bad> {
    let step = folder.step();
    let Some(About { run, .. }) = step.about() else {
        return judge(what, None, cancel.is_cancelled());
    };
    lines(Stream::Tenfold, &format!("{what} outlived the server and is followed again"), None);
    let end = follow::follow(&step, run, lines, cancel, None).await;
    judge(what, end, cancel.is_cancelled())
}

fn judge(what: &str, end: Option<End>, cancelled: bool) -> Result<(), Bad> {
    match end {
        Some(End::Done) => Ok(()),
        Some(End::Failed(error)) => Err(Bad::Failed(error)),
        _ if cancelled => Err(Bad::Failed(format!("{what} was cancelled"))),
        Some(End::LeftAlone) => Err(Bad::Unknown(format!(
            "{what} was ended in the middle: no server followed it for {} s, or the machine ended it",
            LEFT_ALONE.as_secs()
        ))),
        None => Err(Bad::Unknown(format!("{what} lost its keeper, so what came of it is not known"))),
    }
}

pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|_| "its files could not be read".to_owned())
}
