//! One build: a clean checkout, its command, and the artifact into the blob store.

use std::collections::BTreeMap;

use tenfold_app::{
    deploys::{
        Blobs,
        ports::{BuildOrder, LineSink, Stream},
    },
    settings::Builds,
};
use tenfold_deploys::Manifest;
use tokio_util::sync::CancellationToken;

use crate::{
    files,
    git::Mirror,
    program::{self, Bad, Folder, Program},
    runner::BuildParent,
};

/// The subject of sentences about it.
const WHAT: &str = "the build";

/// One build, with what it takes from the server.
pub(crate) struct Job<'a> {
    pub mirror: &'a Mirror,
    pub folder: &'a Folder,
    pub blobs: Blobs,
    pub settings: &'a Builds,
    /// What becomes its keeper.
    pub parent: Option<&'a BuildParent>,
    pub order: &'a BuildOrder,
    pub lines: LineSink,
    pub cancel: CancellationToken,
}

/// Builds, or goes on with the build that an earlier server began. What is left of it stays, with how it ended, until whoever
/// ordered it has written that down.
pub(crate) async fn build(job: Job<'_>) -> Result<Manifest, String> {
    job.run().await
}

impl Job<'_> {
    async fn run(&self) -> Result<Manifest, String> {
        let uid = if self.argv().is_empty() { None } else { program::uid(self.settings, self.order.deploy) };
        let ended = if self.program(0, uid).is_begun() {
            program::take_up(self.folder, WHAT, &self.lines, &self.cancel).await
        } else {
            self.anew(uid).await
        };
        let ended = match ended {
            // a build may always be begun again
            Err(Bad::Unknown(why)) => {
                (self.lines)(Stream::Tenfold, &format!("{why}; it is begun again"), None);
                self.anew(uid).await
            }
            ended => ended,
        };
        if let Err(bad) = ended {
            self.folder.remove_files().await;
            return Err(bad.into_text());
        }
        if self.cancel.is_cancelled() {
            return Err(format!("{WHAT} was cancelled"));
        }
        let (artifact, blobs) = (self.order.pipeline.artifact.clone(), self.blobs.clone());
        let owner = uid.unwrap_or_else(|| nix::unistd::geteuid().as_raw());
        let source = self.folder.source();
        program::blocking(move || files::collect(&source, &artifact.paths, &artifact.exclude, owner, &blobs)).await?
    }

    fn argv(&self) -> &[String] {
        &self.order.pipeline.build.command
    }

    async fn anew(&self, uid: Option<u32>) -> Result<(), Bad> {
        let seconds = self.folder.check_out(self.mirror, &self.order.sha, uid).await.map_err(Bad::Failed)?;
        if self.argv().is_empty() {
            return Ok(());
        }
        (self.lines)(Stream::Tenfold, &format!("$ {}", self.argv().join(" ")), None);
        self.program(seconds, uid).run().await
    }

    fn program(&self, commit_seconds: i64, uid: Option<u32>) -> Program<'_> {
        let recipe = &self.order.pipeline.build;
        let service = self.order.source.service.as_str();
        let usual = [("CI", "true".to_owned()), ("SOURCE_DATE_EPOCH", commit_seconds.to_string())];
        let own = [("TENFOLD_SERVICE", service.to_owned()), ("TENFOLD_SHA", self.order.sha.clone())];
        let mut env: BTreeMap<String, String> = usual.map(|(name, value)| (name.to_owned(), value)).into();
        env.extend(recipe.env.clone());
        // the file cannot make a build believe that it is of another commit
        env.extend(own.map(|(name, value)| (name.to_owned(), value)));
        Program {
            what: WHAT.to_owned(),
            key: "build".to_owned(),
            about: format!("build {}", self.order.sha),
            group: format!("build-{}", self.order.deploy),
            service,
            argv: &recipe.command,
            env,
            places: BTreeMap::new(),
            secrets: &recipe.secrets,
            network: recipe.network,
            timeout_s: recipe.timeout_s,
            idle_timeout_s: recipe.idle_timeout_s,
            folder: self.folder,
            settings: self.settings,
            parent: self.parent,
            uid,
            lines: self.lines.clone(),
            cancel: &self.cancel,
        }
    }
}
