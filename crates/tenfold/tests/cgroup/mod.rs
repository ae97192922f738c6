//! A control group with a limit on memory, for one server of a test: version 2 where the kernel's memory controller is
//! there, version 1 where it still is.

use std::fs;
use std::path::{Path, PathBuf};

pub struct Cgroup {
    path: PathBuf,
    version: u8,
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Its process has ended, or it stays and says so by its name.
        let _ = fs::remove_dir(&self.path);
    }
}

/// Where a hierarchy is mounted that has the memory controller, by version; 2 first.
fn mounts() -> Vec<(u8, PathBuf)> {
    let table = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut found = Vec::new();
    for line in table.lines() {
        let fields: Vec<_> = line.split(' ').collect();
        let [_, at, kind, options, ..] = fields[..] else { continue };
        let controllers = fs::read_to_string(Path::new(at).join("cgroup.controllers")).unwrap_or_default();
        match kind {
            "cgroup2" if controllers.split_whitespace().any(|c| c == "memory") => found.push((2, at.into())),
            "cgroup" if options.split(',').any(|o| o == "memory") => found.push((1, at.into())),
            _ => {}
        }
    }
    found.sort_by_key(|(version, _)| 3 - version);
    found
}

impl Cgroup {
    /// A new one without swap; what keeps it from being made is told.
    pub fn new(name: &str, memory_bytes: u64) -> Result<Self, String> {
        let Some((version, root)) = mounts().into_iter().next() else {
            return Err("no control groups with a memory controller are mounted".into());
        };
        let told = |what: &Path, e: std::io::Error| format!("{}: {e}", what.display());
        if version == 2 {
            // Mostly it is on already; where it cannot be turned on, the limit below cannot be written.
            let _ = fs::write(root.join("cgroup.subtree_control"), "+memory");
        }
        let group = Self { path: root.join(format!("{name}-{}", std::process::id())), version };
        fs::create_dir(&group.path).map_err(|e| told(&group.path, e))?;
        let (limit, swap) = match version {
            2 => ("memory.max", "memory.swap.max"),
            _ => ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
        };
        let write = |file: &str, value: u64| {
            let path = group.path.join(file);
            fs::write(&path, value.to_string()).map_err(|e| told(&path, e))
        };
        write(limit, memory_bytes)?;
        if group.path.join(swap).exists() {
            write(swap, if version == 2 { 0 } else { memory_bytes })?;
        }
        Ok(group)
    }

    /// A command that enters the group and becomes the one that follows it.
    pub fn entering(&self) -> Vec<String> {
        let enter = "echo $$ > \"$0\" && exec \"$@\"";
        let file = self.path.join("cgroup.procs").display().to_string();
        vec!["sh".into(), "-c".into(), enter.into(), file]
    }

    fn number(&self, file: &str) -> Option<u64> {
        fs::read_to_string(self.path.join(file)).ok()?.trim().parse().ok()
    }

    /// The most that was charged, the page cache among it.
    pub fn peak_bytes(&self) -> Option<u64> {
        self.number(if self.version == 2 { "memory.peak" } else { "memory.max_usage_in_bytes" })
    }

    /// How often the kernel killed a process here because the limit was reached.
    pub fn kills(&self) -> u64 {
        let file = if self.version == 2 { "memory.events" } else { "memory.oom_control" };
        let text = fs::read_to_string(self.path.join(file)).unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix("oom_kill "));
        line.and_then(|n| n.trim().parse().ok()).expect("the group tells its kills")
    }
}
