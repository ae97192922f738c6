//! Control groups: limits on memory, processes and processor time for one program or service, and a way to end all of it at
//! once. Of version 2, of version 1 with a hierarchy for each controller, and of both where a machine mounts both.
//!
//! A group is made below the one that this process is in and nowhere else, so no limit around it is ever left.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

mod divide;
mod places;
#[cfg(test)]
mod tests;

/// How often, and how many times, it is tried to remove a group whose processes were killed.
const GOES_EVERY: Duration = Duration::from_millis(20);
const GOES_TRIES: u32 = 500;
/// Groups of programs begin so, and those of services; one older than this and without a process is left from a server or
/// an agent that was killed.
pub(crate) const PREFIX: &str = "tenfold-";
pub(crate) const SERVICE_PREFIX: &str = "service-";
const LEFT: Duration = Duration::from_mins(1);
/// Processor time is counted in parts of this many microseconds; one percent of it is a thousandth.
const PERIOD_US: u64 = 100_000;
const MB: u64 = 1 << 20;

/// Who divides the group that was given to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    Agent,
}

impl Role {
    const ALL: [Self; 2] = [Self::Server, Self::Agent];

    /// The name of its own group below that one, which is what `DelegateSubgroup=` of its unit says.
    const fn leaf(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Agent => "agent",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Controller {
    Memory,
    Processes,
    Cpu,
}

impl Controller {
    const ALL: [Self; 3] = [Self::Memory, Self::Processes, Self::Cpu];

    /// The kernel's name for it.
    const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Processes => "pids",
            Self::Cpu => "cpu",
        }
    }

    /// A limit of it, for people.
    pub fn words(self, limit: u64) -> String {
        match self {
            Self::Memory => format!("up to {} MB of memory", limit / MB),
            Self::Processes => format!("up to {limit} processes and threads"),
            Self::Cpu => format!("up to {limit} % of a processor"),
        }
    }
}

/// What a group may use. What is absent is not limited.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    pub memory_bytes: Option<u64>,
    /// And threads.
    pub processes: Option<u32>,
    /// 100 is one processor.
    pub cpu_percent: Option<u32>,
}

impl Limits {
    fn of(self, controller: Controller) -> Option<u64> {
        match controller {
            Controller::Memory => self.memory_bytes,
            Controller::Processes => self.processes.map(u64::from),
            Controller::Cpu => self.cpu_percent.map(u64::from),
        }
    }

    /// What is asked for, where there is no group.
    pub fn held_by_nothing(self, why: &str) -> Vec<Limited> {
        let missing = |controller| {
            let limit = self.of(controller)?;
            Some(Limited { controller, limit, missing: Some(why.to_owned()) })
        };
        Controller::ALL.into_iter().filter_map(missing).collect()
    }
}

/// What became of a limit that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limited {
    pub controller: Controller,
    pub limit: u64,
    /// Why it does not hold.
    pub missing: Option<String>,
}

/// The folders of one group: one of version 2, and one for each controller that has a hierarchy of version 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Dirs {
    v2: Option<PathBuf>,
    v1: Vec<(Controller, PathBuf)>,
}

impl Dirs {
    /// Each folder once: a hierarchy of version 1 may have several controllers.
    fn all(&self) -> Vec<&Path> {
        let mut all: Vec<&Path> = self.v2.iter().map(PathBuf::as_path).collect();
        for (_, dir) in &self.v1 {
            if !all.contains(&dir.as_path()) {
                all.push(dir);
            }
        }
        all
    }

    fn below(&self, name: &str) -> Self {
        let v1 = self.v1.iter().map(|(controller, dir)| (*controller, dir.join(name))).collect();
        Self { v2: self.v2.as_ref().map(|dir| dir.join(name)), v1 }
    }
}

/// The group whose children programs and services become.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Base {
    dirs: Dirs,
    /// Why not all controllers are there, in words.
    lacking: String,
}

impl Base {
    /// What holds a program here.
    pub fn words(&self) -> &'static str {
        if self.dirs.v1.is_empty() { "a control group" } else { "control groups of version 1" }
    }

    /// A base in a folder that stands for a hierarchy of version 2.
    #[cfg(test)]
    pub fn of_version_2(dir: &Path) -> Self {
        Self { dirs: Dirs { v2: Some(dir.to_path_buf()), v1: Vec::new() }, lacking: String::new() }
    }

    /// Removes groups below it of which `is_left` says that nobody needs them; the kernel keeps those with a process.
    pub fn tidy(&self, is_left: impl Fn(&str, &Path) -> bool) {
        for dir in self.dirs.all() {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                let path = entry.path();
                if entry.file_name().to_str().is_some_and(|name| is_left(name, &path)) {
                    let _ = fs::remove_dir(path);
                }
            }
        }
    }
}

/// The base of this process, found and divided when it is first asked for. The error is for people.
pub(crate) fn base(role: Role) -> Result<&'static Base, &'static str> {
    static BASE: OnceLock<Result<Base, String>> = OnceLock::new();
    let found = || -> Result<Base, String> {
        let base = divide::base(role)?;
        #[expect(clippy::disallowed_methods, reason = "the ages of folders go by the kernel's clock")]
        let now = SystemTime::now();
        let ours = |name: &str| name.starts_with(PREFIX) || name.starts_with(SERVICE_PREFIX);
        base.tidy(|name, path| ours(name) && is_older(path, now));
        Ok(base)
    };
    BASE.get_or_init(found).as_ref().map_err(String::as_str)
}

fn is_older(path: &Path, now: SystemTime) -> bool {
    let made = fs::metadata(path).and_then(|meta| meta.modified()).ok();
    made.and_then(|made| now.duration_since(made).ok()).is_some_and(|age| age > LEFT)
}

/// A group below the base. It stays when this value is gone: a service outlives its agent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Group {
    dirs: Dirs,
    lacking: String,
}

impl Group {
    /// Makes the group, in all hierarchies or in none. One that is there already is taken.
    pub fn make(base: &Base, name: &str) -> io::Result<Self> {
        let group = Self { dirs: base.dirs.below(name), lacking: base.lacking.clone() };
        for dir in group.dirs.all() {
            if let Err(error) = fs::create_dir_all(dir) {
                group.remove();
                return Err(error);
            }
        }
        Ok(group)
    }

    /// The folders that a process has to join.
    pub fn dirs(&self) -> Vec<PathBuf> {
        self.dirs.all().into_iter().map(Path::to_path_buf).collect()
    }

    /// Sets what is asked for and lifts what is not: a group that was there before may hold what nobody asks for any more.
    pub fn limit(&self, limits: Limits) -> Vec<Limited> {
        let mut all = Vec::new();
        for controller in Controller::ALL {
            let (asked, set) = (limits.of(controller), self.set(controller, limits.of(controller)));
            let Some(limit) = asked else {
                if let Err(error) = set
                    && error.kind() != io::ErrorKind::NotFound
                {
                    tracing::warn!(%error, controller = controller.name(), "a control group stays limited");
                }
                continue;
            };
            let missing = set.err().map(|error| match error.kind() {
                io::ErrorKind::NotFound if self.lacking.is_empty() => {
                    let name = controller.name();
                    format!(
                        "its control group has no controller {name} (a unit of systemd gets it by `Delegate={name}`)"
                    )
                }
                io::ErrorKind::NotFound => self.lacking.clone(),
                _ => format!("the controller {} of its control group: {error}", controller.name()),
            });
            all.push(Limited { controller, limit, missing });
        }
        all
    }

    fn set(&self, controller: Controller, limit: Option<u64>) -> io::Result<()> {
        let v1 = self.dirs.v1.iter().find(|(of, _)| *of == controller);
        match (v1, &self.dirs.v2) {
            (Some((_, dir)), _) => set_v1(dir, controller, limit),
            (None, Some(dir)) => set_v2(dir, controller, limit),
            (None, None) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Puts a process, and what it will start, into the group.
    pub fn join(&self, pid: u32) -> io::Result<()> {
        self.dirs.all().into_iter().try_for_each(|dir| fs::write(dir.join("cgroup.procs"), pid.to_string()))
    }

    /// Kills every process of the group. Version 1 can only be asked who is in it, so nothing may be started meanwhile.
    fn kill(&self) {
        let _ = self.set(Controller::Processes, Some(0));
        if let Some(dir) = &self.dirs.v2 {
            let _ = put(dir, "cgroup.kill", "1");
        }
        for dir in self.dirs.all() {
            for pid in members(dir) {
                let _ = kill(pid, Signal::SIGKILL);
            }
        }
    }

    /// Whether its folders are gone. The kernel lets them go when the last process is, which may be a moment after it was
    /// killed.
    fn remove(&self) -> bool {
        let gone = |dir: &Path| match fs::remove_dir(dir) {
            Ok(()) => true,
            Err(e) => e.kind() == io::ErrorKind::NotFound,
        };
        // each is tried
        let left = self.dirs.all().into_iter().filter(|dir| !gone(dir)).count();
        left == 0
    }
}

fn set_v2(dir: &Path, controller: Controller, limit: Option<u64>) -> io::Result<()> {
    let value = limit.map_or("max".to_owned(), |n| n.to_string());
    match controller {
        Controller::Memory => {
            put(dir, "memory.max", &value)?;
            // what swaps instead would only be slow
            let _ = put(dir, "memory.swap.max", if limit.is_some() { "0" } else { "max" });
            Ok(())
        }
        Controller::Processes => put(dir, "pids.max", &value),
        Controller::Cpu => {
            let quota_us = limit.map_or(value, |percent| (percent * (PERIOD_US / 100)).to_string());
            put(dir, "cpu.max", &format!("{quota_us} {PERIOD_US}"))
        }
    }
}

fn set_v1(dir: &Path, controller: Controller, limit: Option<u64>) -> io::Result<()> {
    const NONE: &str = "-1";
    match controller {
        Controller::Memory => {
            // memory with swap is never below memory alone: lifted from above, set from below
            let with_swap = "memory.memsw.limit_in_bytes";
            let _ = put(dir, with_swap, NONE);
            put(dir, "memory.limit_in_bytes", NONE)?;
            let Some(bytes) = limit else { return Ok(()) };
            put(dir, "memory.limit_in_bytes", &bytes.to_string())?;
            let _ = put(dir, with_swap, &bytes.to_string());
            Ok(())
        }
        Controller::Processes => put(dir, "pids.max", &limit.map_or("max".to_owned(), |n| n.to_string())),
        Controller::Cpu => {
            let quota_us = limit.map_or(NONE.to_owned(), |percent| (percent * (PERIOD_US / 100)).to_string());
            put(dir, "cpu.cfs_period_us", &PERIOD_US.to_string())?;
            put(dir, "cpu.cfs_quota_us", &quota_us)
        }
    }
}

/// Writes into a file that the kernel made; one that is not there is a controller that is not on.
fn put(dir: &Path, file: &str, value: &str) -> io::Result<()> {
    let path = dir.join(file);
    if path.exists() { fs::write(path, value) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// The processes of a group. Each is asked itself as well: its number may be somebody else's by now.
fn members(dir: &Path) -> Vec<Pid> {
    let Some(name) = dir.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let within = format!("/{name}");
    let own = std::process::id();
    let is_member = |pid: &u32| {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        *pid > 1 && *pid != own && groups.lines().any(|line| line.ends_with(&within))
    };
    let listed = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    let pids = listed.lines().filter_map(|line| line.parse::<u32>().ok()).filter(is_member);
    pids.filter_map(|pid| i32::try_from(pid).ok()).map(Pid::from_raw).collect()
}

/// A group that ends, with all its processes, when this is dropped.
pub(crate) struct Owned(pub Group);

impl Owned {
    /// Ends it and waits until it is gone.
    pub async fn end(mut self) {
        let group = std::mem::take(&mut self.0);
        group.kill();
        if !group.remove() {
            group.go().await;
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let group = std::mem::take(&mut self.0);
        group.kill();
        if group.remove() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(group.go());
    }
}

impl Group {
    /// Tries again until its processes have ended.
    async fn go(self) {
        for _ in 0..GOES_TRIES {
            tokio::time::sleep(GOES_EVERY).await;
            self.kill();
            if self.remove() {
                return;
            }
        }
        tracing::warn!(dirs = ?self.dirs(), "a control group could not be removed; a process in it does not end");
    }
}
