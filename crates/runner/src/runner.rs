//! The app's port `Runner` over git and local builds.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use tenfold_app::{
    deploys::{
        Blobs,
        ports::{BuildOrder, Commit, CommitRange, HookOrder, LineSink, Runner, Source},
    },
    settings::{Builds, Sandbox},
};
use tenfold_deploys::Manifest;
use tenfold_types::Fault;
use tokio::{sync::Mutex, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{build, git::Mirror, hook};

/// The program that becomes the parent of a build; it is called as `PROGRAM sandbox`.
#[derive(Debug, Clone)]
pub struct BuildParent {
    pub program: PathBuf,
    /// Files and folders no build may see, beside the data directory.
    pub hide: Vec<PathBuf>,
}

/// Copies of repositories in `git/`, builds in `builds/`, artifacts in the blob store of the same data directory.
pub struct GitRunner {
    root: PathBuf,
    builds: Builds,
    parent: Option<BuildParent>,
    blobs: Blobs,
    /// One fetch at a time per repository, with the instant the last good one began.
    fetching: Mutex<HashMap<String, Arc<Mutex<Option<Instant>>>>>,
}

impl GitRunner {
    /// `parent` is absent where nothing can fence a build, as in programs that are not tenfold itself.
    pub fn new(data_dir: &Path, builds: Builds, parent: Option<BuildParent>) -> Self {
        // programs are started from other folders, so the paths must not depend on the current one
        let root = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_path_buf());
        Self { blobs: Blobs::new(&root), root, builds, parent, fetching: Mutex::default() }
    }

    fn mirror(&self, source: &Source) -> Mirror {
        Mirror::new(&self.root.join("git"), source)
    }

    /// Fetches a commit that is not here: the deploy may have begun on another server of the same database.
    async fn need(&self, source: &Source, sha: &str) -> Result<(), String> {
        if self.mirror(source).commit(sha).await.is_ok() {
            return Ok(());
        }
        self.fetch(source).await.map_err(|fault| fault.message)
    }
}

#[async_trait]
impl Runner for GitRunner {
    async fn fetch(&self, source: &Source) -> Result<(), Fault> {
        let key = format!("{} {}", source.service, source.repository);
        let asked = Instant::now();
        let turn = self.fetching.lock().await.entry(key).or_default().clone();
        let mut last = turn.lock().await;
        if last.is_some_and(|began| began > asked) {
            // whoever was before us in the queue began after we asked, and so fetched what we want
            return Ok(());
        }
        let began = Instant::now();
        self.mirror(source).fetch().await?;
        *last = Some(began);
        Ok(())
    }

    async fn resolve(&self, source: &Source, reference: &str) -> Result<Commit, Fault> {
        self.mirror(source).resolve(reference).await
    }

    async fn commits(&self, source: &Source, from: Option<&str>, to: &str) -> Result<CommitRange, Fault> {
        self.mirror(source).commits(from, to).await
    }

    async fn file(&self, source: &Source, sha: &str, path: &str) -> Result<Option<String>, Fault> {
        self.mirror(source).file(sha, path).await
    }

    async fn changed(&self, source: &Source, from: &str, to: &str, paths: &[String]) -> Result<Vec<String>, Fault> {
        self.mirror(source).changed(from, to, paths).await
    }

    async fn hook(&self, order: HookOrder, lines: LineSink, cancel: CancellationToken) -> Result<(), String> {
        if self.builds.sandbox == Sandbox::Required {
            return Err(
                "builds.sandbox is required, and hooks run outside of the sandbox: leave the hook out, or set \
                        builds.sandbox to auto"
                    .to_owned(),
            );
        }
        self.need(&order.source, &order.sha).await?;
        hook::run(&self.mirror(&order.source), &self.root.join("hooks"), order, lines, cancel).await
    }

    async fn tidy(&self, unfinished: &[i64]) {
        build::tidy(&self.root.join("builds"), unfinished).await;
        hook::tidy(&self.root.join("hooks"), unfinished).await;
    }

    async fn build(&self, order: BuildOrder, lines: LineSink, cancel: CancellationToken) -> Result<Manifest, String> {
        self.need(&order.source, &order.sha).await?;
        let workspace = build::Workspace::new(&self.root.join("builds"), order.deploy);
        build::build(build::Job {
            mirror: &self.mirror(&order.source),
            workspace: &workspace,
            blobs: self.blobs.clone(),
            settings: &self.builds,
            parent: self.parent.as_ref().filter(|_| self.builds.sandbox != Sandbox::Off),
            order: &order,
            lines,
            cancel,
        })
        .await
    }
}
