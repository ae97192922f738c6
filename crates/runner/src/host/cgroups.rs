//! Control groups: how many there are, and of version 2 what each takes, under the names cAdvisor gave it.

use std::io;
use std::path::Path;

use super::{Host, Page, optional, read_text};

/// Groups this deep are told one by one: slices, and the services and containers in them.
const DEPTH_MAX: usize = 3;
const GROUPS_MAX: usize = 200;

pub(super) fn collect(host: &Host, page: &mut Page) -> io::Result<()> {
    let Some(text) = optional(host.read("proc/cgroups"))? else { return Ok(()) };
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [name, _, groups, enabled] = fields[..] else { continue };
        let labels = [("subsys_name", name)];
        page.put("node_cgroups_cgroups", &labels, groups.parse().unwrap_or(0.0));
        page.put("node_cgroups_enabled", &labels, enabled.parse().unwrap_or(0.0));
    }
    let top = host.path("sys/fs/cgroup");
    // Of version 1, or of both side by side, there is nothing to be told that way.
    if top.join("cgroup.controllers").exists() {
        walk(&top, "", DEPTH_MAX, &mut 0, page)?;
    }
    Ok(())
}

fn walk(folder: &Path, id: &str, depth: usize, seen: &mut usize, page: &mut Page) -> io::Result<()> {
    *seen += 1;
    if *seen > GROUPS_MAX {
        return Ok(());
    }
    group(folder, if id.is_empty() { "/" } else { id }, page);
    if depth == 0 {
        return Ok(());
    }
    let mut below: Vec<_> = std::fs::read_dir(folder)?.flatten().filter(|e| e.path().is_dir()).collect();
    below.sort_by_key(std::fs::DirEntry::file_name);
    for entry in below {
        let name = entry.file_name();
        // A group may end while we look.
        let _ = walk(&entry.path(), &format!("{id}/{}", name.to_string_lossy()), depth - 1, seen, page);
    }
    Ok(())
}

/// What a group does not limit or count it has no file for.
fn group(folder: &Path, id: &str, page: &mut Page) {
    let labels = [("id", id)];
    let read = |file: &str| read_text(&folder.join(file)).unwrap_or_default();
    let number = |file: &str| read(file).trim().parse::<f64>().ok();
    let named = |text: &str, name: &str| -> Option<f64> {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
    };
    let cpu = read("cpu.stat");
    for (name, metric, factor) in [
        ("usage_usec", "container_cpu_usage_seconds_total", 1e6),
        ("user_usec", "container_cpu_user_seconds_total", 1e6),
        ("system_usec", "container_cpu_system_seconds_total", 1e6),
        ("throttled_usec", "container_cpu_cfs_throttled_seconds_total", 1e6),
        // How large a part of them was throttled is what rules ask for.
        ("nr_periods", "container_cpu_cfs_periods_total", 1.0),
        ("nr_throttled", "container_cpu_cfs_throttled_periods_total", 1.0),
    ] {
        if let Some(count) = named(&cpu, name) {
            page.put(metric, &labels, count / factor);
        }
    }
    if let Some(used) = number("memory.current") {
        let inactive = named(&read("memory.stat"), "inactive_file").unwrap_or(0.0);
        page.put("container_memory_usage_bytes", &labels, used);
        page.put("container_memory_working_set_bytes", &labels, (used - inactive).max(0.0));
        page.put("container_spec_memory_limit_bytes", &labels, number("memory.max").unwrap_or(0.0));
    }
    if let Some(killed) = named(&read("memory.events"), "oom_kill") {
        page.put("container_oom_events_total", &labels, killed);
    }
    if let Some(processes) = number("pids.current") {
        page.put("container_processes", &labels, processes);
    }
    let io = read("io.stat");
    let sum = |name: &str| -> f64 {
        let fields = io.split_ascii_whitespace();
        fields.filter_map(|f| f.strip_prefix(name)?.strip_prefix('=')?.parse::<f64>().ok()).sum()
    };
    if !io.is_empty() {
        page.put("container_fs_reads_bytes_total", &labels, sum("rbytes"));
        page.put("container_fs_writes_bytes_total", &labels, sum("wbytes"));
    }
}
