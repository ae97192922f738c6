//! Processes and their groups: who a pid is, and how to end a whole group.

use std::{fs, path::Path, sync::OnceLock, time::Duration};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::{Pid, getpgid},
};
use serde::{Deserialize, Serialize};

/// Between two looks at a process that is not our child.
const LOOK: Duration = Duration::from_millis(100);

/// A process by pid and the instant it started, so that a pid given to somebody else is not mistaken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    pub pid: i32,
    /// In ticks since boot, from `/proc/PID/stat`.
    pub started: u64,
}

impl ProcessId {
    pub fn of(pid: u32) -> Option<Self> {
        let pid = i32::try_from(pid).ok()?;
        let (_, started) = stat(pid)?;
        Some(Self { pid, started })
    }

    /// Leaders of groups that were started with `with` and none of `without` in their environment, as `NAME=VALUE`.
    pub fn leaders(with: &str, without: &[String]) -> Vec<Self> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let started_so = |pid: &i32| {
            let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
            let has = |wanted: &str| environment.split(|b| *b == 0).any(|variable| variable == wanted.as_bytes());
            has(with) && !without.iter().any(|variable| has(variable.as_str()))
        };
        let leads = |pid: &i32| getpgid(Some(Pid::from_raw(*pid))).is_ok_and(|group| group.as_raw() == *pid);
        pids.filter(leads).filter(started_so).filter_map(|pid| Self::of(u32::try_from(pid).ok()?)).collect()
    }

    /// It still runs; a zombie does not.
    pub fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|(state, started)| started == self.started && state != 'Z' && state != 'X')
    }

    /// Sends a signal to its group, if it is still the one we know.
    pub fn signal(self, signal: Signal) {
        if self.is_alive() {
            let _ = killpg(Pid::from_raw(self.pid), signal);
        }
    }

    /// Asks the group to end and kills it when it does not.
    pub async fn end(self, within: Duration) {
        self.signal(Signal::SIGTERM);
        if tokio::time::timeout(within, self.gone()).await.is_err() {
            self.signal(Signal::SIGKILL);
            let _ = tokio::time::timeout(Duration::from_secs(5), self.gone()).await;
        }
    }

    /// Returns when it does not run any more.
    pub async fn gone(self) {
        while self.is_alive() {
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// State letter and start time of a process.
fn stat(pid: i32) -> Option<(char, u64)> {
    let text = stat_fields(pid)?;
    let mut fields = text.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let started = fields.nth(18)?.parse().ok()?;
    Some((state, started))
}

/// The process that a process was started by, or was handed to since.
pub(crate) fn parent_of(pid: i32) -> Option<i32> {
    stat_fields(pid)?.split_whitespace().nth(1)?.parse().ok()
}

/// `/proc/PID/stat` from the state on: the name before it, in parentheses, may hold spaces and parentheses.
fn stat_fields(pid: i32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text[text.rfind(')')? + 1..].to_owned())
}

/// Kills a group when dropped, unless it was let go: nothing of a build outlives its task.
pub(crate) struct GroupGuard(pub Option<ProcessId>);

impl Drop for GroupGuard {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            let _ = killpg(Pid::from_raw(id.pid), Signal::SIGKILL);
        }
    }
}

/// Variables that programs started by tenfold may inherit.
const INHERITED: [&str; 8] = ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Whose processes these are, once that is somebody else than who started this one.
static BELONGS_TO: OnceLock<[(&str, String); 2]> = OnceLock::new();

/// From now on programs are told that they are this user's.
pub(crate) fn belong_to(user: &str, home: &Path) {
    let _ = BELONGS_TO.set([("HOME", home.to_string_lossy().into_owned()), ("USER", user.to_owned())]);
}

/// The environment a program starts with: what may be inherited, and nothing else.
pub(crate) fn inherited_env() -> Vec<(String, String)> {
    let own = BELONGS_TO.get().map_or(&[][..], |own| own.as_slice());
    let value = |name: &str| {
        let told = own.iter().find(|(of, _)| *of == name).map(|(_, value)| value.clone());
        told.or_else(|| std::env::var(name).ok())
    };
    INHERITED.iter().filter_map(|&name| Some((name.to_owned(), value(name)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_is_known_by_pid_and_start() {
        let mut child = tokio::process::Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let id = ProcessId::of(child.id().unwrap()).unwrap();
        assert!(id.is_alive());
        assert!(!ProcessId { started: id.started + 1, ..id }.is_alive(), "another process of that pid");
        id.end(Duration::from_secs(5)).await;
        assert!(!id.is_alive(), "a zombie does not run");
        child.wait().await.unwrap();
    }

    #[tokio::test]
    async fn processes_are_found_by_what_they_were_started_with() {
        let dir = tempfile::tempdir().unwrap();
        let ours = format!("TENFOLD_SHARED_DIR={}", dir.path().display());
        let start = |port: &str| {
            let mut command = tokio::process::Command::new("sleep");
            command.arg("60").env("TENFOLD_SHARED_DIR", dir.path()).env("PORT", port).process_group(0);
            command.kill_on_drop(true).spawn().unwrap()
        };
        let (kept, lost, warm) = (start("1"), start("2"), start("3"));
        for child in [&kept, &lost, &warm] {
            // Linux lets the parent go on before it has laid out the new program's environment.
            let environ = format!("/proc/{}/environ", child.id().unwrap());
            let told = async {
                while std::fs::read(&environ).unwrap().is_empty() {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(10), told).await.expect("a started program has an environment");
        }
        let pids = |children: &[&tokio::process::Child]| {
            let mut pids: Vec<i32> = children.iter().map(|c| i32::try_from(c.id().unwrap()).unwrap()).collect();
            pids.sort_unstable();
            pids
        };
        let found = |without: &[String]| {
            let mut found: Vec<i32> = ProcessId::leaders(&ours, without).iter().map(|id| id.pid).collect();
            found.sort_unstable();
            found
        };
        assert_eq!(found(&["PORT=1".into()]), pids(&[&lost, &warm]));
        assert_eq!(found(&["PORT=1".into(), "PORT=3".into()]), pids(&[&lost]));
        assert_eq!(found(&[]), pids(&[&kept, &lost, &warm]));
    }
}
