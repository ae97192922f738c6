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
    program::{self, Folder, Program},
    runner::BuildParent,
};

/// One build, with what it takes from the server.
pub(crate) struct Job<'a> {
    pub mirror: &'a Mirror,
    pub folder: &'a Folder,
    pub blobs: Blobs,
    pub settings: &'a Builds,
    /// How the build is started; directly where there is nothing to fence it with.
    pub parent: Option<&'a BuildParent>,
    pub order: &'a BuildOrder,
    pub lines: LineSink,
    pub cancel: CancellationToken,
}

pub(crate) async fn build(job: Job<'_>) -> Result<Manifest, String> {
    let result = job.run().await;
    job.folder.remove().await;
    result
}

impl Job<'_> {
    async fn run(&self) -> Result<Manifest, String> {
        let argv = &self.order.pipeline.build.command;
        let uid = if argv.is_empty() { None } else { program::uid(self.parent, self.order.deploy) };
        let seconds = self.folder.check_out(self.mirror, &self.order.sha, uid).await?;
        if !argv.is_empty() {
            (self.lines)(Stream::Tenfold, &format!("$ {}", argv.join(" ")));
            self.command(seconds, uid).await?;
        }
        if self.cancel.is_cancelled() {
            return Err("the build was cancelled".to_owned());
        }
        let (artifact, blobs) = (self.order.pipeline.artifact.clone(), self.blobs.clone());
        let owner = uid.unwrap_or_else(|| nix::unistd::geteuid().as_raw());
        let source = self.folder.source();
        program::blocking(move || files::collect(&source, &artifact.paths, &artifact.exclude, owner, &blobs)).await?
    }

    async fn command(&self, commit_seconds: i64, uid: Option<u32>) -> Result<(), String> {
        let recipe = &self.order.pipeline.build;
        let service = self.order.source.service.as_str();
        let usual = [("CI", "true".to_owned()), ("SOURCE_DATE_EPOCH", commit_seconds.to_string())];
        let own = [("TENFOLD_SERVICE", service.to_owned()), ("TENFOLD_SHA", self.order.sha.clone())];
        let mut env: BTreeMap<String, String> = usual.map(|(name, value)| (name.to_owned(), value)).into();
        env.extend(recipe.env.clone());
        // the file cannot make a build believe that it is of another commit
        env.extend(own.map(|(name, value)| (name.to_owned(), value)));
        let program = Program {
            what: "the build",
            key: "build",
            group: &format!("build-{}", self.order.deploy),
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
        };
        program.run().await
    }
}
