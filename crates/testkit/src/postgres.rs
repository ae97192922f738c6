//! A PostgreSQL server of its own for a test, where PostgreSQL is installed.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::{sys::signal::Signal, unistd::User};
use tempfile::TempDir;

use crate::process::ProcessGuard;

/// Where Debian keeps the server's programs, one directory per version.
const INSTALLED: &str = "/usr/lib/postgresql";

/// A running server in a temporary directory, reached by a Unix socket; ended when dropped.
pub struct PgServer {
    // Dropped first, so that the directory is removed after the server's end.
    process: ProcessGuard,
    bin: PathBuf,
    durable: bool,
    dir: TempDir,
}

impl PgServer {
    /// Starts a server that does not wait for the disk. Without an installed PostgreSQL it says why
    /// the test is skipped and returns `None`.
    pub async fn start() -> Option<Self> {
        Self::start_with(false).await
    }

    /// As [`PgServer::start`], with every commit on disk before it is acknowledged.
    pub async fn start_durable() -> Option<Self> {
        Self::start_with(true).await
    }

    async fn start_with(durable: bool) -> Option<Self> {
        let Some(bin) = newest_bin() else {
            crate::peer_is_missing(format_args!("PostgreSQL is not installed under {INSTALLED}"));
            return None;
        };
        let server = tokio::task::spawn_blocking(move || {
            let dir = tempfile::tempdir().expect("a temporary directory can be made");
            if let Some(user) = server_user() {
                nix::unistd::chown(dir.path(), Some(user.uid), Some(user.gid))
                    .expect("root may give the directory away");
            }
            let mut initdb = command(&bin, "initdb", dir.path());
            initdb.args([
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
                "-D",
            ]);
            run(initdb.arg(dir.path().join("data")));
            let process = launch(&bin, dir.path(), durable);
            Self { process, bin, durable, dir }
        });
        Some(server.await.expect("the server starts"))
    }

    /// Makes an empty database and returns its connection string.
    pub async fn create_database(&self, name: &str) -> String {
        let mut psql = command(&self.bin, "psql", self.dir.path());
        psql.args(["-X", "-q", "-U", "postgres", "-h"]).arg(self.dir.path());
        psql.args(["-c", &format!("CREATE DATABASE \"{name}\"")]);
        tokio::task::spawn_blocking(move || run(&mut psql)).await.expect("the database is made");
        format!("host={} user=postgres dbname={name}", self.dir.path().display())
    }

    /// Ends the server as a crash would, without a checkpoint, and starts it again.
    pub async fn crash_and_restart(self) -> Self {
        let Self { process, bin, durable, dir } = self;
        tokio::task::spawn_blocking(move || {
            drop(process);
            let process = launch(&bin, dir.path(), durable);
            Self { process, bin, durable, dir }
        })
        .await
        .expect("the server starts again")
    }
}

fn newest_bin() -> Option<PathBuf> {
    let versions = std::fs::read_dir(INSTALLED).ok()?;
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.flatten().map(|entry| entry.path()).max_by_key(number)?;
    Some(newest.join("bin")).filter(|bin| bin.join("initdb").exists())
}

/// The server refuses to run as root, so root hands it to this user.
fn server_user() -> Option<User> {
    if nix::unistd::geteuid().is_root() { User::from_name("postgres").ok().flatten() } else { None }
}

fn command(bin: &Path, program: &str, dir: &Path) -> Command {
    let mut command = Command::new(bin.join(program));
    command.current_dir(dir).env("LC_ALL", "C").stdin(Stdio::null());
    if let Some(user) = server_user() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

fn run(command: &mut Command) {
    let output = command.output().expect("the program of PostgreSQL runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Starts the server and returns when its log says that it takes connections.
fn launch(bin: &Path, dir: &Path, durable: bool) -> ProcessGuard {
    let mut server = command(bin, "postgres", dir);
    server.arg("-D").arg(dir.join("data")).arg("-k").arg(dir);
    server.args(["-c", "listen_addresses=", "-c", "max_connections=60", "-c", "shared_buffers=32MB"]);
    server.args(["-c", "logging_collector=off", "-c", if durable { "fsync=on" } else { "fsync=off" }]);
    let mut child = server.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the server starts");
    let log = BufReader::new(child.stderr.take().expect("stderr is piped"));
    // SIGQUIT is the server's immediate shutdown: no checkpoint, all its children ended.
    let guard = ProcessGuard::ending_with(child, Signal::SIGQUIT);
    let (ready, is_ready) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut seen = String::new();
        for line in log.lines().map_while(Result::ok) {
            if line.contains("ready to accept connections") {
                let _ = ready.send(Ok(()));
            }
            seen.push_str(&line);
            seen.push('\n');
        }
        let _ = ready.send(Err(seen));
    });
    is_ready.recv().expect("the log's reader answers").expect("the server says that it is ready");
    guard
}
