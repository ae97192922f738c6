//! The demo's outer process. It runs the demo proper as its child and ends whatever that leaves behind, however it ended:
//! by Ctrl-C, with its terminal, at a closed pipe, or killed. The inner one stops by itself when the outer one is gone.

use std::process::{ExitCode, Stdio};

use anyhow::Context;
use nix::sys::signal::Signal;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use super::processes;

/// Said to the inner process, so that it does not watch over one more.
pub const WATCHED: &str = "--watched";

/// Runs this program once more with the same arguments, and cleans up after it.
pub async fn watch() -> anyhow::Result<ExitCode> {
    processes::adopt_orphans();
    let program = std::env::current_exe().context("this program does not know its own path")?;
    let mut inner = Command::new(program)
        .args(std::env::args_os().skip(1))
        .arg(WATCHED)
        .stdin(Stdio::piped())
        // Ctrl-C reaches this process alone, which passes it on once.
        .process_group(0)
        .spawn()
        .context("the demo cannot be started")?;
    // Held until the end: when it closes, the inner process knows that nobody watches any more.
    let _lifeline = inner.stdin.take();
    let status = loop {
        tokio::select! {
            status = inner.wait() => break status?,
            () = asked_to_stop() => {
                if let Some(pid) = inner.id() {
                    processes::signal(pid, Signal::SIGTERM);
                }
            }
        }
    };
    processes::end_orphans().await;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Ends when the outer process is gone.
pub async fn abandoned() {
    let mut lifeline = tokio::io::stdin();
    let mut nothing = [0; 16];
    while matches!(lifeline.read(&mut nothing).await, Ok(1..)) {}
}

/// Ctrl-C, SIGTERM, or the terminal is closed.
pub async fn asked_to_stop() {
    let (Ok(mut terminate), Ok(mut hang_up)) = (signal(SignalKind::terminate()), signal(SignalKind::hangup())) else {
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
}
