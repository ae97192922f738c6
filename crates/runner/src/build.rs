//! One build: a clean checkout, the command in a process group of its own, its output line by line, and the artifact into
//! the blob store.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tenfold_app::{
    deploys::{
        Blobs,
        ports::{BuildOrder, LineSink, Stream},
    },
    settings::Builds,
};
use tenfold_deploys::Manifest;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    files,
    git::Mirror,
    process::{GroupGuard, ProcessId},
    runner::BuildParent,
    sandbox::Said,
};

mod launch;
mod output;

/// After SIGTERM a build gets this long to clean up.
const END_WITHIN: Duration = Duration::from_secs(5);
/// Output that is still in the pipes after the build ended is read for this long.
const DRAIN: Duration = Duration::from_secs(2);

/// The folder of one deploy's build.
pub(crate) struct Workspace {
    dir: PathBuf,
}

impl Workspace {
    pub fn new(root: &Path, deploy: i64) -> Self {
        Self { dir: root.join(deploy.to_string()) }
    }

    /// Beside the folder, which belongs to the build: it must not say which process the server ends.
    fn pid_file(&self) -> PathBuf {
        self.dir.with_extension("pid")
    }

    /// Ends what an earlier process of the server left.
    async fn end_leftover(&self) {
        if let Ok(text) = tokio::fs::read(self.pid_file()).await
            && let Ok(id) = serde_json::from_slice::<ProcessId>(&text)
        {
            id.end(END_WITHIN).await;
        }
        self.remove().await;
    }

    /// An empty folder, whatever was there before.
    async fn clean(&self) -> Result<(), String> {
        self.end_leftover().await;
        for folder in ["src", "tmp", "home"] {
            tokio::fs::create_dir_all(self.dir.join(folder)).await.map_err(|e| self.io(&e))?;
        }
        Ok(())
    }

    async fn remove(&self) {
        let dir = self.dir.clone();
        let _ = tokio::task::spawn_blocking(move || files::remove(&dir)).await;
        let _ = tokio::fs::remove_file(self.pid_file()).await;
    }

    fn io(&self, error: &std::io::Error) -> String {
        format!("the build's folder {} cannot be used: {error}", self.dir.display())
    }
}

/// Ends and removes what is left of builds other than these.
pub(crate) async fn tidy(root: &Path, unfinished: &[i64]) {
    let Ok(entries) = std::fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let deploy = name.to_str().and_then(|n| n.strip_suffix(".pid").unwrap_or(n).parse::<i64>().ok());
        if let Some(deploy) = deploy.filter(|d| !unfinished.contains(d)) {
            Workspace::new(root, deploy).end_leftover().await;
        }
    }
}

/// One build, with what it takes from the server.
pub(crate) struct Job<'a> {
    pub mirror: &'a Mirror,
    pub workspace: &'a Workspace,
    pub blobs: Blobs,
    pub settings: &'a Builds,
    /// How the build is started; directly where there is nothing to fence it with.
    pub parent: Option<&'a BuildParent>,
    pub order: &'a BuildOrder,
    pub lines: LineSink,
    pub cancel: CancellationToken,
}

pub(crate) async fn build(job: Job<'_>) -> Result<Manifest, String> {
    job.workspace.clean().await?;
    let result = job.run().await;
    job.workspace.remove().await;
    result
}

impl Job<'_> {
    async fn run(&self) -> Result<Manifest, String> {
        let source = self.workspace.dir.join("src");
        let commit = self.mirror.commit(&self.order.sha).await.map_err(|f| f.message)?;
        let index = self.workspace.dir.join("index");
        self.mirror.checkout(&self.order.sha, &source, &index).await.map_err(|f| f.message)?;
        let seconds = commit.at.millis() / 1000;
        let uid = launch::uid(self);
        let dir = self.workspace.dir.clone();
        blocking(move || files::prepare(&dir, seconds, uid)).await?.map_err(|e| self.workspace.io(&e))?;
        let argv = &self.order.pipeline.build.command;
        if !argv.is_empty() {
            (self.lines)(Stream::Tenfold, &format!("$ {}", argv.join(" ")));
            self.command(seconds, uid).await?;
        }
        if self.cancel.is_cancelled() {
            return Err("the build was cancelled".to_owned());
        }
        let (artifact, blobs) = (self.order.pipeline.artifact.clone(), self.blobs.clone());
        let owner = uid.unwrap_or_else(|| nix::unistd::geteuid().as_raw());
        blocking(move || files::collect(&source, &artifact.paths, &artifact.exclude, owner, &blobs)).await?
    }

    async fn command(&self, commit_seconds: i64, uid: Option<u32>) -> Result<(), String> {
        let settings = &self.order.pipeline.build;
        let mut started = launch::start(self, commit_seconds, uid)?;
        let id = started.child.id().and_then(ProcessId::of);
        let mut guard = GroupGuard(id);
        if let Some(id) = id {
            let text = serde_json::to_vec(&id).unwrap_or_default();
            tokio::fs::write(self.workspace.pid_file(), text).await.map_err(|e| self.workspace.io(&e))?;
        }
        started.tell().await?;
        let noise = Arc::new(Notify::new());
        let hear = Arc::new(Mutex::new(None));
        let reader = |stream| output::Reader {
            stream,
            lines: self.lines.clone(),
            noise: noise.clone(),
            secrets: started.secrets.clone(),
            parent: (started.fenced && stream == Stream::Out).then(|| hear.clone()),
        };
        let out = started.child.stdout.take().map(|s| tokio::spawn(reader(Stream::Out).run(s)));
        let err = started.child.stderr.take().map(|s| tokio::spawn(reader(Stream::Err).run(s)));

        let total = tokio::time::sleep(Duration::from_secs(settings.timeout_s.into()));
        tokio::pin!(total);
        let idle = Duration::from_secs(settings.idle_timeout_s.into());
        let ended = loop {
            tokio::select! {
                status = started.child.wait() => break status.map_err(|e| format!("the build could not be watched: {e}"))
                    .and_then(|status| if status.success() { Ok(()) } else { Err(said(status)) }),
                () = noise.notified() => {}
                () = tokio::time::sleep(idle) => {
                    break Err(format!("the build printed nothing for {} s and was stopped (build.idle_timeout_s)", settings.idle_timeout_s));
                }
                () = &mut total => {
                    break Err(format!("the build took longer than {} s and was stopped (build.timeout_s)", settings.timeout_s));
                }
                () = self.cancel.cancelled() => break Err("the build was cancelled".to_owned()),
            }
        };
        if let Some(id) = id
            && ended.is_err()
        {
            id.end(END_WITHIN).await;
        }
        // whatever the build left in its group would hold the pipes open
        drop(guard.0.take().map(|id| GroupGuard(Some(id))));
        for reader in [out, err].into_iter().flatten() {
            let _ = tokio::time::timeout(DRAIN, reader).await;
        }
        let heard = hear.lock().take();
        match (ended, heard) {
            (Err(_), Some(Said::NotStarted(error))) => Err(error),
            (ended, _) => ended,
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|_| "the build's files could not be read".to_owned())
}

fn said(status: std::process::ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        // as shells tell that a signal ended it
        (Some(code @ 129..=159), _) => format!("the build exited with code {code} (signal {})", code - 128),
        (Some(code), _) => format!("the build exited with code {code}"),
        (None, Some(signal)) => format!("the build was killed by signal {signal}"),
        (None, None) => "the build failed".to_owned(),
    }
}
