//! The demo's child processes: each with its log and its pid in a file, started again when it dies (so that killing one
//! shows what the product does), and ended by its own pid when the demo ends. Nothing is left running.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A process that does not end in this time after SIGTERM is killed.
const STOP_MS_MAX: u64 = 5_000;
/// A process that died is started again after this long.
const RESTART_MS: u64 = 1_000;

/// What to run. `env` is added to the demo's own environment.
#[derive(Clone)]
pub struct Spec {
    pub name: String,
    pub program: PathBuf,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// It makes a session of its own, which the leader of a process group may not.
    pub makes_session: bool,
}

impl Spec {
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>, args: &[&str]) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            args: args.iter().map(ToString::to_string).collect(),
            env: BTreeMap::new(),
            makes_session: false,
        }
    }

    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }
}

/// A supervised process. Dropping it does not end it; `stop` does.
pub struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Where logs and pids go.
#[derive(Clone)]
pub struct Supervisor {
    logs: PathBuf,
    pids: PathBuf,
}

impl Supervisor {
    pub fn new(data: &Path) -> anyhow::Result<Self> {
        let supervisor = Self { logs: data.join("logs"), pids: data.join("pids") };
        for folder in [&supervisor.logs, &supervisor.pids] {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        adopt_orphans();
        Ok(supervisor)
    }

    pub fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    pub fn start(&self, spec: Spec) -> anyhow::Result<Running> {
        let child = self.spawn(&spec)?;
        let stop = CancellationToken::new();
        let task = tokio::spawn(supervise(self.clone(), spec, child, stop.clone()));
        Ok(Running { stop, task })
    }

    fn spawn(&self, spec: &Spec) -> anyhow::Result<Child> {
        let path = self.log(&spec.name);
        let log = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot write the log {}", path.display()))?;
        let mut command = Command::new(&spec.program);
        if !spec.makes_session {
            // A group of its own, so that Ctrl-C reaches the demo alone and the demo ends the rest in order.
            command.process_group(0);
        }
        let child = command
            .args(&spec.args)
            .envs(&spec.env)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {} ({})", spec.name, spec.program.display()))?;
        if let Some(pid) = child.id() {
            std::fs::write(self.pids.join(&spec.name), pid.to_string())?;
        }
        Ok(child)
    }
}

async fn supervise(supervisor: Supervisor, spec: Spec, mut child: Child, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => {
                end(&mut child).await;
                let _ = std::fs::remove_file(supervisor.pids.join(&spec.name));
                return;
            }
            status = child.wait() => {
                let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                eprintln!("{} ended ({how}); starting it again", spec.name);
            }
        }
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(Duration::from_millis(RESTART_MS)) => {}
            }
            match supervisor.spawn(&spec) {
                Ok(started) => {
                    child = started;
                    break;
                }
                Err(error) => eprintln!("{error:#}"),
            }
        }
    }
}

async fn end(child: &mut Child) {
    let Some(pid) = child.id() else { return };
    signal(pid, Signal::SIGTERM);
    if tokio::time::timeout(Duration::from_millis(STOP_MS_MAX), child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

pub fn signal(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

impl Running {
    pub async fn stop(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}

/// Services outlive their agent, as they should. In the demo they then become children of this process.
#[cfg(target_os = "linux")]
pub fn adopt_orphans() {
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

#[cfg(not(target_os = "linux"))]
pub fn adopt_orphans() {}

/// Ends what was left behind by children that ended: services whose agent is gone, daemons of the mail server.
pub async fn end_orphans() {
    let deadline = tokio::time::Instant::now() + Duration::from_millis(STOP_MS_MAX);
    let mut asked = Vec::new();
    loop {
        let orphans = children();
        if orphans.is_empty() {
            return;
        }
        let late = tokio::time::Instant::now() > deadline;
        for pid in orphans {
            if late {
                signal(pid, Signal::SIGKILL);
            } else if !asked.contains(&pid) {
                signal(pid, Signal::SIGTERM);
                asked.push(pid);
            }
            reap(pid);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn reap(pid: u32) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = nix::sys::wait::waitpid(Pid::from_raw(pid), Some(nix::sys::wait::WaitPidFlag::WNOHANG));
    }
}

/// The pids of this process's own children, from the kernel.
fn children() -> Vec<u32> {
    let own = std::process::id();
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| parent(*pid) == Some(own))
        .collect()
}

/// Field 4 of `/proc/PID/stat`; the name in field 2 stands in parentheses and may hold anything.
fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_that_is_killed_comes_back_and_one_that_is_stopped_does_not() {
        let data = tempfile::tempdir().unwrap();
        let supervisor = Supervisor::new(data.path()).unwrap();
        let running = supervisor.start(Spec::new("sleeper", "sleep", &["600"])).unwrap();
        let pid =
            || std::fs::read_to_string(data.path().join("pids/sleeper")).ok().and_then(|text| text.parse::<u32>().ok());
        let first = pid().expect("it has a pid");
        signal(first, Signal::SIGKILL);
        let second = loop {
            match pid() {
                Some(pid) if pid != first => break pid,
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        running.stop().await;
        assert_eq!(parent(second), None, "the process is gone");
        assert_eq!(pid(), None, "and so is its pid file");
    }
}
