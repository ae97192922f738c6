//! One build: a clean checkout, the command in a process group of its own, its output line by line, and the artifact into
//! the blob store.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use tenfold_app::deploys::{
    Blobs,
    ports::{BuildOrder, LineSink, Stream},
};
use tenfold_deploys::{Manifest, manifest::Entry};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

use crate::{
    git::Mirror,
    glob,
    process::{GroupGuard, ProcessId, inherited_env},
};

/// After SIGTERM a build gets this long to clean up.
const END_WITHIN: Duration = Duration::from_secs(5);
/// Output that is still in the pipes after the build ended is read for this long.
const DRAIN: Duration = Duration::from_secs(2);
/// Longest line handed on; a longer one is cut into several.
const LINE_BYTES_MAX: usize = 8 * 1024;
/// Deepest folder of a checkout.
const DEPTH_MAX: usize = 64;

/// The folder of one deploy's build.
pub(crate) struct Workspace {
    dir: PathBuf,
}

impl Workspace {
    pub fn new(root: &Path, deploy: i64) -> Self {
        Self { dir: root.join(deploy.to_string()) }
    }

    fn pid_file(&self) -> PathBuf {
        self.dir.join("pid.json")
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
        tokio::fs::create_dir_all(self.dir.join("src")).await.map_err(|e| self.io(&e))?;
        tokio::fs::create_dir_all(self.dir.join("tmp")).await.map_err(|e| self.io(&e))
    }

    async fn remove(&self) {
        let _ = tokio::fs::remove_dir_all(&self.dir).await;
    }

    fn io(&self, error: &std::io::Error) -> String {
        format!("the build's folder {} cannot be used: {error}", self.dir.display())
    }
}

/// Ends and removes what is left of builds other than these.
pub(crate) async fn tidy(root: &Path, unfinished: &[i64]) {
    let Ok(entries) = std::fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        let deploy = entry.file_name().to_str().and_then(|n| n.parse::<i64>().ok());
        if let Some(deploy) = deploy.filter(|d| !unfinished.contains(d)) {
            Workspace::new(root, deploy).end_leftover().await;
        }
    }
}

pub(crate) async fn build(
    mirror: &Mirror,
    workspace: &Workspace,
    blobs: Blobs,
    order: BuildOrder,
    lines: LineSink,
    cancel: CancellationToken,
) -> Result<Manifest, String> {
    workspace.clean().await?;
    let result = build_in(mirror, workspace, blobs, &order, &lines, &cancel).await;
    workspace.remove().await;
    result
}

async fn build_in(
    mirror: &Mirror,
    workspace: &Workspace,
    blobs: Blobs,
    order: &BuildOrder,
    lines: &LineSink,
    cancel: &CancellationToken,
) -> Result<Manifest, String> {
    let source = workspace.dir.join("src");
    let commit = mirror.commit(&order.sha).await.map_err(|f| f.message)?;
    mirror.checkout(&order.sha, &source, &workspace.dir.join("index")).await.map_err(|f| f.message)?;
    let argv = &order.pipeline.build.command;
    if !argv.is_empty() {
        lines(Stream::Tenfold, &format!("$ {}", argv.join(" ")));
        command(workspace, order, commit.at.millis() / 1000, lines, cancel).await?;
    }
    if cancel.is_cancelled() {
        return Err("the build was cancelled".to_owned());
    }
    let artifact = order.pipeline.artifact.clone();
    tokio::task::spawn_blocking(move || collect(&source, &artifact.paths, &artifact.exclude, &blobs))
        .await
        .map_err(|_| "the artifact could not be read".to_owned())?
}

async fn command(
    workspace: &Workspace,
    order: &BuildOrder,
    commit_seconds: i64,
    lines: &LineSink,
    cancel: &CancellationToken,
) -> Result<(), String> {
    let settings = &order.pipeline.build;
    let program = &settings.command[0];
    let mut child = Command::new(program)
        .args(&settings.command[1..])
        .current_dir(workspace.dir.join("src"))
        .env_clear()
        .envs(inherited_env())
        .env("CI", "true")
        .env("TMPDIR", workspace.dir.join("tmp"))
        .env("SOURCE_DATE_EPOCH", commit_seconds.to_string())
        .env("TENFOLD_SERVICE", &order.source.service)
        .env("TENFOLD_DEPLOY", order.deploy.to_string())
        .env("TENFOLD_SHA", &order.sha)
        .envs(&settings.env)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| {
            format!("`{program}` could not be started: {e}; is it installed on the server and in its PATH?")
        })?;
    let id = child.id().and_then(ProcessId::of);
    let mut guard = GroupGuard(id);
    if let Some(id) = id {
        let text = serde_json::to_vec(&id).unwrap_or_default();
        tokio::fs::write(workspace.pid_file(), text).await.map_err(|e| workspace.io(&e))?;
    }
    let noise = Arc::new(Notify::new());
    let out = child.stdout.take().map(|s| tokio::spawn(read_lines(s, Stream::Out, lines.clone(), noise.clone())));
    let err = child.stderr.take().map(|s| tokio::spawn(read_lines(s, Stream::Err, lines.clone(), noise.clone())));

    let total = tokio::time::sleep(Duration::from_secs(settings.timeout_s.into()));
    tokio::pin!(total);
    let idle = Duration::from_secs(settings.idle_timeout_s.into());
    let ended = loop {
        tokio::select! {
            status = child.wait() => break status.map_err(|e| format!("the build could not be watched: {e}"))
                .and_then(|status| if status.success() { Ok(()) } else { Err(said(status)) }),
            () = noise.notified() => {}
            () = tokio::time::sleep(idle) => {
                break Err(format!("the build printed nothing for {} s and was stopped (build.idle_timeout_s)", settings.idle_timeout_s));
            }
            () = &mut total => {
                break Err(format!("the build took longer than {} s and was stopped (build.timeout_s)", settings.timeout_s));
            }
            () = cancel.cancelled() => break Err("the build was cancelled".to_owned()),
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
    ended
}

fn said(status: std::process::ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("the build exited with code {code}"),
        (None, Some(signal)) => format!("the build was killed by signal {signal}"),
        (None, None) => "the build failed".to_owned(),
    }
}

async fn read_lines(mut from: impl AsyncRead + Unpin, stream: Stream, lines: LineSink, noise: Arc<Notify>) {
    let mut buffer = Vec::new();
    let mut chunk = vec![0; LINE_BYTES_MAX];
    loop {
        let n = match from.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(n) => n,
        };
        noise.notify_one();
        buffer.extend_from_slice(&chunk[..n]);
        while let Some(end) = buffer.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            lines(stream, String::from_utf8_lossy(&line).trim_end());
        }
        if buffer.len() >= LINE_BYTES_MAX {
            lines(stream, &String::from_utf8_lossy(&buffer));
            buffer.clear();
        }
    }
    if !buffer.is_empty() {
        lines(stream, &String::from_utf8_lossy(&buffer));
    }
}

/// The artifact: files and links that fit a pattern, in the blob store.
fn collect(root: &Path, paths: &[String], exclude: &[String], blobs: &Blobs) -> Result<Manifest, String> {
    let mut entries = Vec::new();
    walk(root, "", 0, &mut |path, full| {
        let wanted = paths.iter().any(|p| glob::fits(p, path)) && !exclude.iter().any(|p| glob::fits(p, path));
        if !wanted {
            return Ok(());
        }
        let meta = full.symlink_metadata().map_err(|e| format!("{path} cannot be read: {e}"))?;
        if meta.is_symlink() {
            let target = full.read_link().map_err(|e| format!("{path} cannot be read: {e}"))?;
            let target = target.to_str().ok_or_else(|| format!("the link {path} has a target that is not UTF-8"))?;
            entries.push(Entry::Link { path: path.to_owned(), target: target.to_owned() });
        } else if meta.is_file() {
            use std::os::unix::fs::PermissionsExt;
            let executable = meta.permissions().mode() & 0o111 != 0;
            let (blake3, size) = blobs.put_file(full).map_err(|e| format!("{path} could not be kept: {e}"))?;
            entries.push(Entry::File { path: path.to_owned(), executable, blake3, size });
        } else {
            return Err(format!("{path} is neither a file nor a link; keep it out with artifact.exclude"));
        }
        Ok(())
    })?;
    if entries.is_empty() {
        return Err(format!("the build left no file that fits artifact.paths ({})", paths.join(", ")));
    }
    Manifest::new(entries).map_err(|e| e.to_string())
}

fn walk(
    dir: &Path,
    prefix: &str,
    depth: usize,
    visit: &mut impl FnMut(&str, &Path) -> Result<(), String>,
) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("{prefix} is deeper than {DEPTH_MAX} folders"));
    }
    let unreadable = |e: std::io::Error| format!("{} cannot be read: {e}", dir.display());
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| format!("a file below {prefix} has a name that is not UTF-8"))?;
        let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        // the kind of the entry itself: links are not followed
        if entry.file_type().map_err(unreadable)?.is_dir() {
            if path != ".git" {
                walk(&entry.path(), &path, depth + 1, visit)?;
            }
        } else {
            visit(&path, &entry.path())?;
        }
    }
    Ok(())
}
