//! Processes: how many there are, and what those of each service take, under the names process-exporter gave it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::{Host, Page, read_text};

/// A process group and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub service: String,
    /// The pid of its leader.
    pub id: i32,
}

/// Processes that are looked at.
const PROCESSES_MAX: usize = 100_000;
const TICKS: f64 = 100.0;

/// What `/proc/PID/stat` says.
struct Process {
    state: char,
    group: i32,
    user_ticks: f64,
    system_ticks: f64,
    threads: f64,
    started_ticks: f64,
    virtual_bytes: f64,
    resident_pages: f64,
}

/// Of the field that holds the name only the last parenthesis is sure.
fn process(text: &str) -> Option<Process> {
    let (head, rest) = text.rsplit_once(')')?;
    head.split(' ').next()?.parse::<i32>().ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // Numbered as in proc(5), where the state is the third.
    let field = |number: usize| fields.get(number - 3).copied();
    let value = |number: usize| field(number).and_then(|f| f.parse::<f64>().ok());
    Some(Process {
        state: field(3)?.chars().next()?,
        group: field(5)?.parse().ok()?,
        // With those of children that ended and were waited for.
        user_ticks: value(14)? + value(16)?,
        system_ticks: value(15)? + value(17)?,
        threads: value(20)?,
        started_ticks: value(22)?,
        virtual_bytes: value(23)?,
        resident_pages: value(24)?,
    })
}

#[derive(Default)]
struct Sum {
    processes: f64,
    threads: f64,
    user_ticks: f64,
    system_ticks: f64,
    virtual_bytes: f64,
    resident_bytes: f64,
    descriptors: f64,
    read_bytes: f64,
    written_bytes: f64,
    oldest_ticks: f64,
}

pub(super) fn collect(host: &Host, groups: &[Group], page: &mut Page) -> io::Result<()> {
    let wanted: BTreeMap<i32, &str> = groups.iter().map(|g| (g.id, g.service.as_str())).collect();
    let page_bytes = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)?.unwrap_or(4096) as f64;
    let (mut states, mut threads) = (BTreeMap::<char, f64>::new(), 0.0);
    let mut sums: BTreeMap<&str, Sum> = groups.iter().map(|g| (g.service.as_str(), Sum::default())).collect();
    let entries = std::fs::read_dir(host.path("proc"))?.flatten();
    let folders = entries.filter(|e| e.file_name().to_str().is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit())));
    for folder in folders.take(PROCESSES_MAX).map(|e| e.path()) {
        // A process may end while we look.
        let Some(found) = read_text(&folder.join("stat")).ok().and_then(|text| process(&text)) else { continue };
        *states.entry(found.state).or_default() += 1.0;
        threads += found.threads;
        if let Some(sum) = wanted.get(&found.group).and_then(|service| sums.get_mut(service)) {
            sum.add(&found, &folder, page_bytes);
        }
    }
    for (state, count) in &states {
        page.put("node_processes_state", &[("state", state.encode_utf8(&mut [0; 4]))], *count);
    }
    page.put("node_processes_pids", &[], states.values().sum());
    page.put("node_processes_threads", &[], threads);
    page.put("node_processes_max_processes", &[], host.number("proc/sys/kernel/pid_max")?);
    page.put("node_processes_max_threads", &[], host.number("proc/sys/kernel/threads-max")?);
    let booted = page.get("node_boot_time_seconds", &[]).unwrap_or(0.0);
    for (service, sum) in sums {
        sum.tell(service, booted, page);
    }
    Ok(())
}

impl Sum {
    fn add(&mut self, process: &Process, folder: &Path, page_bytes: f64) {
        let first = self.processes == 0.0;
        self.processes += 1.0;
        self.threads += process.threads;
        self.user_ticks += process.user_ticks;
        self.system_ticks += process.system_ticks;
        self.virtual_bytes += process.virtual_bytes;
        self.resident_bytes += process.resident_pages * page_bytes;
        self.oldest_ticks = if first { process.started_ticks } else { self.oldest_ticks.min(process.started_ticks) };
        // Another person's process does not show these.
        self.descriptors += std::fs::read_dir(folder.join("fd")).map_or(0.0, |entries| entries.count() as f64);
        let io = read_text(&folder.join("io")).unwrap_or_default();
        let counted = |name: &str| -> f64 {
            io.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0.0)
        };
        self.read_bytes += counted("read_bytes:");
        self.written_bytes += counted("write_bytes:");
    }

    fn tell(&self, service: &str, booted: f64, page: &mut Page) {
        let name = |what: &str| format!("namedprocess_namegroup_{what}");
        let labels = [("groupname", service), ("service", service)];
        for (what, value) in [
            ("num_procs", self.processes),
            ("num_threads", self.threads),
            ("open_filedesc", self.descriptors),
            ("read_bytes_total", self.read_bytes),
            ("write_bytes_total", self.written_bytes),
        ] {
            page.put(&name(what), &labels, value);
        }
        if self.processes > 0.0 {
            let oldest = booted + self.oldest_ticks / TICKS;
            page.put(&name("oldest_start_time_seconds"), &labels, oldest);
        }
        for (mode, ticks) in [("user", self.user_ticks), ("system", self.system_ticks)] {
            let labels = [labels[0], labels[1], ("mode", mode)];
            page.put(&name("cpu_seconds_total"), &labels, ticks / TICKS);
        }
        for (kind, bytes) in [("resident", self.resident_bytes), ("virtual", self.virtual_bytes)] {
            let labels = [labels[0], labels[1], ("memtype", kind)];
            page.put(&name("memory_bytes"), &labels, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let text = "42 (a) b (c)) S 1 40 40 0 -1 4194304 100 0 0 0 7 5 3 1 20 0 4 0 1234 8192 12 18446744073709551615";
        let found = process(text).expect("it is read");
        assert_eq!((found.state, found.group), ('S', 40));
        assert_eq!((found.user_ticks, found.system_ticks, found.threads), (10.0, 6.0, 4.0));
        assert_eq!((found.started_ticks, found.virtual_bytes, found.resident_pages), (1234.0, 8192.0, 12.0));
        for broken in ["", "1 (x", "1 (x) S", "x (y) S 1 2 3"] {
            assert!(process(broken).is_none(), "{broken}");
        }
    }
}
