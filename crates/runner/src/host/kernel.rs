//! What the kernel says of itself: processors, load, interrupts, pressure, its name.

use std::io;

use super::{Host, Page, numbers, odd, optional};

/// Ticks a second in which `/proc/stat` counts; fixed at 100 for every program on Linux.
const TICKS: f64 = 100.0;
const CPU_MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
/// Of the hundreds in `/proc/vmstat`, those that node_exporter tells too.
const VMSTAT: [&str; 7] = ["oom_kill", "pgpgin", "pgpgout", "pswpin", "pswpout", "pgfault", "pgmajfault"];

pub(super) fn stat(host: &Host, page: &mut Page) -> io::Result<()> {
    for line in host.read("proc/stat")?.lines() {
        let mut fields = line.split_ascii_whitespace();
        let Some(name) = fields.next() else { continue };
        if let Some(cpu) = name.strip_prefix("cpu").filter(|n| !n.is_empty()) {
            processor(cpu, &numbers(fields), page);
            continue;
        }
        let Some(value) = fields.next().and_then(|v| v.parse::<f64>().ok()) else { continue };
        match name {
            "intr" => page.put("node_intr_total", &[], value),
            "ctxt" => page.put("node_context_switches_total", &[], value),
            "processes" => page.put("node_forks_total", &[], value),
            "btime" => page.put("node_boot_time_seconds", &[], value),
            "procs_running" => page.put("node_procs_running", &[], value),
            "procs_blocked" => page.put("node_procs_blocked", &[], value),
            _ => {}
        }
    }
    Ok(())
}

fn processor(cpu: &str, ticks: &[f64], page: &mut Page) {
    for (mode, ticks) in CPU_MODES.iter().zip(ticks) {
        page.put("node_cpu_seconds_total", &[("cpu", cpu), ("mode", mode)], ticks / TICKS);
    }
    // Guests are counted in user and nice as well.
    for (mode, ticks) in ["user", "nice"].iter().zip(ticks.iter().skip(CPU_MODES.len())) {
        page.put("node_cpu_guest_seconds_total", &[("cpu", cpu), ("mode", mode)], ticks / TICKS);
    }
}

pub(super) fn load(host: &Host, page: &mut Page) -> io::Result<()> {
    let text = host.read("proc/loadavg")?;
    for (name, value) in ["node_load1", "node_load5", "node_load15"].iter().zip(text.split_ascii_whitespace()) {
        page.put(name, &[], value.parse().map_err(|_| odd("an average of the load"))?);
    }
    Ok(())
}

pub(super) fn vmstat(host: &Host, page: &mut Page) -> io::Result<()> {
    for line in host.read("proc/vmstat")?.lines() {
        let Some((name, value)) = line.split_once(' ') else { continue };
        if VMSTAT.contains(&name)
            && let Ok(value) = value.trim().parse()
        {
            page.put(&format!("node_vmstat_{name}"), &[], value);
        }
    }
    Ok(())
}

/// How long something waited, in all. Kernels without it have no such folder.
pub(super) fn pressure(host: &Host, page: &mut Page) -> io::Result<()> {
    for (resource, full) in [("cpu", false), ("io", true), ("memory", true), ("irq", true)] {
        let Some(text) = optional(host.read(format!("proc/pressure/{resource}")))? else { return Ok(()) };
        for line in text.lines() {
            let Some(total) = line.rsplit_once("total=").and_then(|(_, t)| t.trim().parse::<f64>().ok()) else {
                continue;
            };
            match line.split(' ').next() {
                Some("some") => page.put(&format!("node_pressure_{resource}_waiting_seconds_total"), &[], total / 1e6),
                Some("full") if full => {
                    page.put(&format!("node_pressure_{resource}_stalled_seconds_total"), &[], total / 1e6);
                }
                _ => {}
            }
        }
    }
    Ok(())
}

pub(super) fn file_descriptors(host: &Host, page: &mut Page) -> io::Result<()> {
    let text = host.read("proc/sys/fs/file-nr")?;
    let fields = numbers(text.split_ascii_whitespace());
    let [allocated, _, maximum] = fields[..] else { return Err(odd("three numbers")) };
    page.put("node_filefd_allocated", &[], allocated);
    page.put("node_filefd_maximum", &[], maximum);
    Ok(())
}

pub(super) fn entropy(host: &Host, page: &mut Page) -> io::Result<()> {
    let at = "proc/sys/kernel/random";
    page.put("node_entropy_available_bits", &[], host.number(format!("{at}/entropy_avail"))?);
    page.put("node_entropy_pool_size_bits", &[], host.number(format!("{at}/poolsize"))?);
    Ok(())
}

pub(super) fn uname(_: &Host, page: &mut Page) -> io::Result<()> {
    let names = nix::sys::utsname::uname()?;
    let text = |part: &std::ffi::OsStr| part.to_string_lossy().into_owned();
    let parts = [names.sysname(), names.release(), names.version(), names.machine(), names.nodename()].map(text);
    let domain = text(names.domainname());
    let [system, release, version, machine, node] = &parts;
    let labels = [
        ("sysname", system.as_str()),
        ("release", release),
        ("version", version),
        ("machine", machine),
        ("nodename", node),
        ("domainname", &domain),
    ];
    page.put("node_uname_info", &labels, 1.0);
    Ok(())
}
