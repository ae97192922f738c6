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
        ports::{BuildOrder, Commit, CommitRange, HookOrder, LineSink, Runner, Source, Step, StepKind},
    },
    settings::Builds,
};
use tenfold_deploys::Manifest;
use tenfold_types::Fault;
use tokio::{sync::Mutex, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    build,
    git::Mirror,
    hook,
    program::{self, Folder},
};

/// The program that becomes the keeper of a build, a hook or a command, and its sandbox; it is called as `PROGRAM sandbox`.
#[derive(Debug, Clone)]
pub struct BuildParent {
    pub program: PathBuf,
    /// Files and folders none of them may see, beside the data directory.
    pub hide: Vec<PathBuf>,
}

/// Copies of repositories in `git/`, builds in `builds/`, hooks in `hooks/`, commands of targets in `commands/`, artifacts in the
/// blob store of the same data directory. Beside the folder of a program lies that of its step, `12.step`.
pub struct GitRunner {
    root: PathBuf,
    builds: Builds,
    parent: Option<BuildParent>,
    blobs: Blobs,
    /// One fetch at a time per repository, with the instant the last good one began.
    fetching: Mutex<HashMap<String, Arc<Mutex<Option<Instant>>>>>,
}

impl GitRunner {
    /// Without a `parent` no program is run: a build has to be without a command then, as where this is not tenfold itself.
    pub fn new(data_dir: &Path, builds: Builds, parent: Option<BuildParent>) -> Self {
        // programs are started from other folders, so the paths must not depend on the current one
        let root = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_path_buf());
        Self { blobs: Blobs::new(&root), root, builds, parent, fetching: Mutex::default() }
    }

    fn folder(&self, step: &Step) -> Folder {
        let (root, name) = place(step);
        Folder::new(&self.root.join(root), &name)
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

const BUILDS: &str = "builds";
const HOOKS: &str = "hooks";
pub(crate) const COMMANDS: &str = "commands";
const ROOTS: [&str; 3] = [BUILDS, HOOKS, COMMANDS];

/// In which folder of the data directory a program's folder lies, and its name: one for each hook of a deploy, since one may
/// begin while another still ends.
fn place(step: &Step) -> (&'static str, String) {
    match &step.kind {
        StepKind::Build => (BUILDS, step.deploy.to_string()),
        StepKind::Hook(at) => (HOOKS, format!("{}-{at}", step.deploy)),
        StepKind::Command => (COMMANDS, step.deploy.to_string()),
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
        self.need(&order.source, &order.sha).await?;
        hook::run(hook::Job {
            mirror: &self.mirror(&order.source),
            folder: &self.folder(&Step { deploy: order.deploy, kind: StepKind::Hook(order.at.clone()) }),
            settings: &self.builds,
            parent: self.parent.as_ref(),
            order,
            lines,
            cancel,
        })
        .await
    }

    async fn kept(&self, step: &Step) -> bool {
        let folder = self.folder(step);
        let kept = folder.step().is_kept();
        if !kept {
            folder.remove().await;
        }
        kept
    }

    async fn clear(&self, step: &Step) {
        self.folder(step).remove().await;
    }

    async fn set_aside(&self, under_way: &[Step]) {
        let places: Vec<(&str, String)> = under_way.iter().map(place).collect();
        for root in ROOTS {
            let kept: Vec<String> = places.iter().filter(|(of, _)| *of == root).map(|(_, name)| name.clone()).collect();
            program::set_aside(&self.root.join(root), &kept);
        }
    }

    async fn tidy(&self) {
        for root in ROOTS {
            program::tidy(&self.root.join(root)).await;
        }
    }

    async fn build(&self, order: BuildOrder, lines: LineSink, cancel: CancellationToken) -> Result<Manifest, String> {
        self.need(&order.source, &order.sha).await?;
        let folder = self.folder(&Step { deploy: order.deploy, kind: StepKind::Build });
        build::build(build::Job {
            mirror: &self.mirror(&order.source),
            folder: &folder,
            blobs: self.blobs.clone(),
            settings: &self.builds,
            parent: self.parent.as_ref(),
            order: &order,
            lines,
            cancel,
        })
        .await
    }
}
