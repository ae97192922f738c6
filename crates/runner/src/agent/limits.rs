//! Holding a service to its limits: by a control group of version 2 where the agent was given one to divide, else by the
//! resource limits of its processes. What the host cannot do is said and never silently left out.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use nix::unistd::{AccessFlags, Uid, access};
use tenfold_deploys::Digest;
use tenfold_protocols::agent::{LimitsReport, RunLimits};

use crate::sandbox::{ServiceSpec, cgroup};

/// The name of the agent's own group below the one that was given to it (`DelegateSubgroup=` of its unit): a group that
/// holds processes cannot be divided.
const OWN_GROUP: &str = "agent";
const PREFIX: &str = "service-";
/// `cpu.max` counts in parts of this many microseconds; one percent of it is a thousandth.
const PERIOD_US: u64 = 100_000;
const MB: u64 = 1 << 20;

/// How one start of a service is held.
pub(super) struct Held {
    pub spec: ServiceSpec,
    pub report: LimitsReport,
}

/// Decides how a process of a service is held to its limits and makes its control group, where there is one. Each process has
/// its own: a release that is prepared beside the one that serves may have the same files and other limits.
pub(super) fn hold(service: &str, digest: Digest, port: u16, limits: RunLimits) -> Held {
    static BASE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let base = BASE.get_or_init(divided).as_deref().map_err(String::as_str);
    held(base, Uid::effective().is_root(), service, &process_of(digest, port), limits)
}

/// The last part of the name of a process's group, without a dash: by the last dash it is told from the service.
fn process_of(digest: Digest, port: u16) -> String {
    format!("{}.{port}", digest.short())
}

/// The group whose children the services become.
fn divided() -> Result<PathBuf, String> {
    let own = cgroup::own()?;
    let base = own.parent().filter(|_| own.ends_with(OWN_GROUP)).ok_or(
        "the agent has no control group to divide; run it by the unit that `tenfold agent --print-unit` prints, with systemd \
         254 or newer",
    )?;
    let denied = |e: String| format!("the control group {} cannot be divided: {e}", base.display());
    access(base, AccessFlags::W_OK).map_err(|e| denied(e.to_string()))?;
    // one by one: a controller that is not there must not keep the others away
    for controller in ["+memory", "+pids", "+cpu"] {
        if let Err(error) = fs::write(base.join("cgroup.subtree_control"), controller) {
            tracing::warn!(%error, controller, "services cannot be held by this controller");
        }
    }
    Ok(base.to_owned())
}

fn held(base: Result<&Path, &str>, is_root: bool, service: &str, process: &str, limits: RunLimits) -> Held {
    let mut held = Held { spec: ServiceSpec::default(), report: LimitsReport::default() };
    let group = base.map_err(str::to_owned).and_then(|base| {
        let group = base.join(format!("{PREFIX}{service}-{process}"));
        tidy(base, service, &group);
        fs::create_dir_all(&group)
            .map(|()| group)
            .map_err(|e| format!("the service's control group could not be made: {e}"))
    });
    match &group {
        Ok(group) => {
            by_group(group, limits, &mut held.report);
            held.spec.join = Some(group.clone());
        }
        Err(why) => by_process(why, is_root, limits, &mut held),
    }
    if let Some(files) = limits.files {
        held.spec.files = Some(files.into());
        held.report.in_force.push(format!("each process up to {files} open files"));
    }
    held
}

fn by_group(group: &Path, limits: RunLimits, report: &mut LimitsReport) {
    let wanted = [
        ("memory.max", limits.memory_bytes.map(|n| (n.to_string(), format!("up to {} MB of memory", n / MB)))),
        // a service that swaps instead would only be slow
        ("memory.swap.max", limits.memory_bytes.map(|_| ("0".to_owned(), String::new()))),
        ("pids.max", limits.processes.map(|n| (n.to_string(), format!("up to {n} processes and threads")))),
        (
            "cpu.max",
            limits.cpu_percent.map(|n| {
                let quota_us = u64::from(n) * (PERIOD_US / 100);
                (format!("{quota_us} {PERIOD_US}"), format!("up to {n} % of a processor"))
            }),
        ),
    ];
    for (file, limit) in wanted {
        // a group that was there before may hold what nobody asks for any more
        let (value, words) = limit.unwrap_or_else(|| (lifted(file), String::new()));
        match put(&group.join(file), &value) {
            Ok(()) if words.is_empty() => {}
            Ok(()) => report.in_force.push(words),
            Err(error) if words.is_empty() && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if words.is_empty() => tracing::warn!(%error, file, "a control group stays limited"),
            Err(error) => report.missing.push(format!("{words}: {file} of its control group: {error}")),
        }
    }
}

/// What a file holds while there is no limit.
fn lifted(file: &str) -> String {
    if file == "cpu.max" { format!("max {PERIOD_US}") } else { "max".to_owned() }
}

/// Writes into a file that the kernel made; one that is not there is a controller that is not on.
fn put(file: &Path, value: &str) -> io::Result<()> {
    if !file.exists() {
        return Err(io::ErrorKind::NotFound.into());
    }
    fs::write(file, value)
}

/// Without a control group the kernel holds each process on its own.
fn by_process(why: &str, is_root: bool, limits: RunLimits, held: &mut Held) {
    let report = &mut held.report;
    if let Some(bytes) = limits.memory_bytes {
        held.spec.data_bytes = Some(bytes);
        let mb = bytes / MB;
        report.in_force.push(format!("each process up to {mb} MB of data of its own, not all of them together"));
    }
    match limits.processes {
        Some(n) if is_root => report.missing.push(format!("up to {n} processes: root is not held to it, and {why}")),
        Some(n) => {
            held.spec.processes = Some(n.into());
            report
                .in_force
                .push(format!("up to {n} processes and threads, counted over all that the agent's user runs"));
        }
        None => {}
    }
    if let Some(n) = limits.cpu_percent {
        report.missing.push(format!("up to {n} % of a processor: {why}"));
    }
}

/// Removes groups of the service's other releases whose last process is gone; the kernel keeps those that have one. Other
/// services' groups are let be: their process may be about to join.
fn tidy(base: &Path, service: &str, keep: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let of = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.rsplit_once('-'));
        if of.is_some_and(|(of, _)| of == service) && entry.path() != keep {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> RunLimits {
        RunLimits { memory_bytes: Some(512 * MB), processes: Some(64), files: Some(1024), cpu_percent: Some(150) }
    }

    #[test]
    fn a_group_takes_what_its_controllers_offer_and_says_the_rest() {
        let base = tempfile::tempdir().unwrap();
        let group = base.path().join("service-photos-1");
        fs::create_dir(&group).unwrap();
        for file in ["memory.max", "pids.max", "memory.swap.max"] {
            fs::write(group.join(file), "max").unwrap();
        }
        let held = held(Ok(base.path()), false, "photos", "1", all());
        let read = |file: &str| fs::read_to_string(group.join(file)).unwrap();
        assert_eq!((read("memory.max").as_str(), read("pids.max").as_str()), ("536870912", "64"));
        assert_eq!(read("memory.swap.max"), "0");
        let in_force =
            ["up to 512 MB of memory", "up to 64 processes and threads", "each process up to 1024 open files"];
        assert_eq!(held.report.in_force, in_force);
        assert!(held.report.missing.len() == 1 && held.report.missing[0].starts_with("up to 150 % of a processor: "));
        let spec = ServiceSpec { join: Some(group.clone()), files: Some(1024), ..ServiceSpec::default() };
        assert_eq!(held.spec, spec, "the group counts, not each process");
        fs::write(group.join("cpu.max"), "max 100000").unwrap();
        assert!(super::held(Ok(base.path()), false, "photos", "1", all()).report.missing.is_empty());
        assert_eq!(read("cpu.max"), "150000 100000");
    }

    #[test]
    fn without_a_group_each_process_is_held_and_what_cannot_be_is_said() {
        let person = held(Err("nobody gave one"), false, "x", "1", all());
        assert_eq!((person.spec.data_bytes, person.spec.processes), (Some(512 * MB), Some(64)));
        assert_eq!(person.report.missing, ["up to 150 % of a processor: nobody gave one"]);
        assert_eq!(person.report.in_force.len(), 3);
        let root = held(Err("nobody gave one"), true, "x", "1", all());
        assert_eq!(root.spec.processes, None);
        assert!(root.report.missing[0].contains("root is not held to it"), "{:?}", root.report);
        let files = RunLimits { files: Some(64), ..RunLimits::default() };
        let only = held(Err("nobody gave one"), true, "x", "1", files);
        assert_eq!(
            only.report,
            LimitsReport { in_force: vec!["each process up to 64 open files".into()], missing: vec![] }
        );
    }

    #[test]
    fn empty_groups_of_the_same_service_go() {
        let base = tempfile::tempdir().unwrap();
        for name in ["service-photos-1", "service-photos-2", "service-photos-x-1", "agent"] {
            fs::create_dir(base.path().join(name)).unwrap();
        }
        held(Ok(base.path()), false, "photos", "2", RunLimits::default());
        let left: std::collections::BTreeSet<_> =
            fs::read_dir(base.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(left.into_iter().collect::<Vec<_>>(), ["agent", "service-photos-2", "service-photos-x-1"]);
    }

    #[test]
    fn a_limit_that_nobody_asks_for_any_more_is_lifted() {
        let base = tempfile::tempdir().unwrap();
        let group = base.path().join("service-photos-1.8000");
        fs::create_dir(&group).unwrap();
        let files = ["memory.max", "memory.swap.max", "pids.max", "cpu.max"];
        for file in files {
            fs::write(group.join(file), "max").unwrap();
        }
        let read = || files.map(|file| fs::read_to_string(group.join(file)).unwrap());
        held(Ok(base.path()), false, "photos", "1.8000", all());
        assert_eq!(read(), ["536870912", "0", "64", "150000 100000"]);
        let fewer = RunLimits { processes: Some(32), ..RunLimits::default() };
        let report = held(Ok(base.path()), false, "photos", "1.8000", fewer).report;
        assert_eq!(read(), ["max", "max", "32", "max 100000"]);
        assert_eq!((report.in_force, report.missing), (vec!["up to 32 processes and threads".to_owned()], vec![]));
    }

    #[test]
    fn two_processes_of_the_same_files_have_groups_of_their_own() {
        let base = tempfile::tempdir().unwrap();
        let join = |port: u16| {
            let process = process_of(Digest::of(b"the same files"), port);
            let group = held(Ok(base.path()), false, "photos", &process, all()).spec.join.unwrap();
            // as of one that joined: the kernel removes no group that has a process
            fs::write(group.join("cgroup.procs"), "1").unwrap();
            group
        };
        let (serves, prepared) = (join(8000), join(8001));
        assert_ne!(serves, prepared);
        assert!(serves.is_dir() && prepared.is_dir());
        fs::remove_file(serves.join("cgroup.procs")).unwrap();
        join(8001);
        assert!(!serves.exists() && prepared.is_dir(), "the empty one is known as the service's");
    }
}
