//! A hook of the pipeline file: a program in a clean checkout of the commit, in a process group of its own, with an end to
//! its time and to its silence. Nothing of it outlives it.

use std::{path::Path, process::Stdio, time::Duration};

use tenfold_app::deploys::ports::{HookOrder, LineSink, Stream};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::Command,
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use crate::{
    git::Mirror,
    process::{GroupGuard, ProcessId, inherited_env},
};

/// After SIGTERM it gets this long to clean up.
const END_WITHIN: Duration = Duration::from_secs(5);
/// Output that is still in the pipes after it ended is read for this long.
const DRAIN: Duration = Duration::from_secs(2);
/// Longest line handed on; a longer one is cut into several.
const LINE_BYTES_MAX: u64 = 8 * 1024;
/// Lines that may wait to be handed on.
const LINES_MAX: usize = 64;

/// Ends and removes what is left of hooks of other deploys than these.
pub(crate) async fn tidy(root: &Path, unfinished: &[i64]) {
    let Ok(entries) = std::fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let deploy = name.to_str().and_then(|n| n.split('-').next()).and_then(|n| n.parse::<i64>().ok());
        if deploy.is_some_and(|d| !unfinished.contains(&d)) {
            end_leftover(&entry.path()).await;
        }
    }
}

async fn end_leftover(dir: &Path) {
    if let Ok(text) = tokio::fs::read(dir.join("pid.json")).await
        && let Ok(id) = serde_json::from_slice::<ProcessId>(&text)
    {
        id.end(END_WITHIN).await;
    }
    let _ = tokio::fs::remove_dir_all(dir).await;
}

/// Runs a hook; `root` holds a folder for each hook of a deploy (`12-before_promote`), since one may begin while another still
/// ends. The error is for people.
pub(crate) async fn run(
    mirror: &Mirror,
    root: &Path,
    order: HookOrder,
    lines: LineSink,
    cancel: CancellationToken,
) -> Result<(), String> {
    let dir = root.join(format!("{}-{}", order.deploy, order.at));
    end_leftover(&dir).await;
    let ended = run_in(mirror, &dir, &order, &lines, &cancel).await;
    let _ = tokio::fs::remove_dir_all(&dir).await;
    ended
}

async fn run_in(
    mirror: &Mirror,
    dir: &Path,
    order: &HookOrder,
    lines: &LineSink,
    cancel: &CancellationToken,
) -> Result<(), String> {
    let unusable = |e: std::io::Error| format!("its folder {} cannot be used: {e}", dir.display());
    let source = dir.join("src");
    for folder in [&source, &dir.join("tmp")] {
        tokio::fs::create_dir_all(folder).await.map_err(unusable)?;
    }
    mirror.checkout(&order.sha, &source, &dir.join("index")).await.map_err(|f| f.message)?;
    let hook = &order.hook;
    lines(Stream::Tenfold, &format!("{}: $ {}", order.at, hook.command.join(" ")));
    let program = &hook.command[0];
    let mut child = Command::new(program)
        .args(&hook.command[1..])
        .current_dir(&source)
        .env_clear()
        .envs(inherited_env())
        .env("TMPDIR", dir.join("tmp"))
        .env("TENFOLD_HOOK", &order.at)
        .env("TENFOLD_SERVICE", &order.source.service)
        .env("TENFOLD_ENVIRONMENT", &order.environment)
        .env("TENFOLD_DEPLOY", order.deploy.to_string())
        .env("TENFOLD_SHA", &order.sha)
        .envs(&hook.env)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| {
            format!(
                "`{program}` could not be started: {e}; is it in the repository, executable, or in the server's PATH?"
            )
        })?;
    let id = child.id().and_then(ProcessId::of);
    let guard = GroupGuard(id);
    if let Some(id) = id {
        let text = serde_json::to_vec(&id).unwrap_or_default();
        tokio::fs::write(dir.join("pid.json"), text).await.map_err(unusable)?;
    }
    let (said, mut heard) = mpsc::channel(LINES_MAX);
    let out = child.stdout.take().map(|s| tokio::spawn(read(s, Stream::Out, said.clone())));
    let err = child.stderr.take().map(|s| tokio::spawn(read(s, Stream::Err, said)));
    let total = tokio::time::sleep(Duration::from_secs(hook.timeout_s.into()));
    tokio::pin!(total);
    let idle = Duration::from_secs(hook.idle_timeout_s.into());
    let mut silent = tokio::time::Instant::now() + idle;
    let ended = loop {
        tokio::select! {
            status = child.wait() => break match status {
                Ok(status) if status.success() => Ok(()),
                Ok(status) => Err(format!("it ended with {status}")),
                Err(e) => Err(format!("it could not be watched: {e}")),
            },
            Some((stream, line)) = heard.recv() => {
                lines(stream, &line);
                silent = tokio::time::Instant::now() + idle;
            }
            () = tokio::time::sleep_until(silent) => {
                break Err(format!("it printed nothing for {} s and was stopped (idle_timeout_s)", hook.idle_timeout_s));
            }
            () = &mut total => {
                break Err(format!("it took longer than {} s and was stopped (timeout_s)", hook.timeout_s));
            }
            () = cancel.cancelled() => break Err("it was stopped".to_owned()),
        }
    };
    if let Some(id) = id
        && ended.is_err()
    {
        id.end(END_WITHIN).await;
    }
    // Whatever it left in its group would hold the pipes open.
    drop(guard);
    let rest = async {
        while let Some((stream, line)) = heard.recv().await {
            lines(stream, &line);
        }
    };
    let _ = tokio::time::timeout(DRAIN, rest).await;
    for reader in [out, err].into_iter().flatten() {
        reader.abort();
    }
    ended
}

async fn read(from: impl AsyncRead + Unpin, stream: Stream, to: mpsc::Sender<(Stream, String)>) {
    let mut from = BufReader::new(from);
    loop {
        let mut line = Vec::new();
        match (&mut from).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if to.send((stream, text)).await.is_err() {
            return;
        }
    }
}
