//! Holding a service to its limits: by a control group where the agent was given one to divide, else by the resource limits
//! of its processes. What the host cannot do is said and never silently left out.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::unistd::Uid;
use tenfold_deploys::Digest;
use tenfold_protocols::agent::{LimitsReport, RunLimits};

use crate::sandbox::{
    ServiceSpec,
    cgroup::{self, Base, Controller, Group, Limited, Role, SERVICE_PREFIX as PREFIX},
};

const MB: u64 = 1 << 20;
/// How often, and how many times, it is tried to remove the group of a process that ended: whoever waits for its end is told
/// so much later at most.
const GOES_EVERY: Duration = Duration::from_millis(20);
const GOES_TRIES: u32 = 10;

/// How one start of a service is held.
pub(super) struct Held {
    pub spec: ServiceSpec,
    pub report: LimitsReport,
}

/// Decides how a process of a service is held to its limits and makes its control group, where there is one. Each process has
/// its own: a release that is prepared beside the one that serves may have the same files and other limits. `dir` is the
/// agent's folder.
pub(super) fn hold(dir: &Path, service: &str, digest: Digest, port: u16, limits: RunLimits) -> Held {
    let process = process_of(dir, digest, port);
    held(cgroup::base(Role::Agent), Uid::effective().is_root(), service, &process, limits)
}

/// The last part of the name of a process's group, without a dash: by the last dash it is told from the service. It ends
/// with a mark of the agent: where nobody gave one a group of its own, several on a host divide the same one.
fn process_of(dir: &Path, digest: Digest, port: u16) -> String {
    let agent = blake3::hash(dir.as_os_str().as_encoded_bytes()).to_hex();
    format!("{}.{port}.{}", digest.short(), &agent[..8])
}

fn held(base: Result<&Base, &str>, is_root: bool, service: &str, process: &str, limits: RunLimits) -> Held {
    let mut held = Held { spec: ServiceSpec::default(), report: LimitsReport::default() };
    let asked = cgroup::Limits {
        memory_bytes: limits.memory_bytes,
        processes: limits.processes,
        cpu_percent: limits.cpu_percent,
    };
    let group = base.map_err(str::to_owned).and_then(|base| {
        let name = format!("{PREFIX}{service}-{process}");
        tidy(base, service, process, &name);
        Group::make(base, &name).map_err(|e| format!("the service's control group could not be made: {e}"))
    });
    let limited = match group {
        Ok(group) => {
            held.spec.join = group.dirs();
            group.limit(asked)
        }
        Err(why) => asked.held_by_nothing(&why),
    };
    for Limited { controller, limit, missing } in limited {
        match missing {
            None => held.report.in_force.push(controller.words(limit)),
            Some(why) => by_process(controller, limit, &why, is_root, &mut held),
        }
    }
    if let Some(files) = limits.files {
        held.spec.files = Some(files.into());
        held.report.in_force.push(format!("each process up to {files} open files"));
    }
    held
}

/// Where no control group holds a limit, the kernel holds each process on its own, if it can.
fn by_process(controller: Controller, limit: u64, why: &str, is_root: bool, held: &mut Held) {
    let report = &mut held.report;
    match controller {
        Controller::Memory => {
            held.spec.data_bytes = Some(limit);
            let mb = limit / MB;
            report.in_force.push(format!("each process up to {mb} MB of data of its own, not all of them together"));
        }
        Controller::Processes if is_root => {
            report.missing.push(format!("up to {limit} processes: root is not held to it, and {why}"));
        }
        Controller::Processes => {
            held.spec.processes = Some(limit);
            report
                .in_force
                .push(format!("up to {limit} processes and threads, counted over all that the agent's user runs"));
        }
        Controller::Cpu => report.missing.push(format!("{}: {why}", controller.words(limit))),
    }
}

/// Removes the group of a process that ended. What ended with it may take a moment longer; the kernel keeps a group where
/// another of its processes goes on.
pub(super) async fn let_go(dirs: &[PathBuf]) {
    removed(dirs, |dir| fs::remove_dir(dir).is_err_and(|e| e.kind() == io::ErrorKind::ResourceBusy)).await;
}

/// How many of the folders stay because they are in use. `is_busy` tries to remove one.
async fn removed(dirs: &[PathBuf], is_busy: impl Fn(&Path) -> bool) -> usize {
    let mut busy: Vec<&PathBuf> = dirs.iter().collect();
    for tried in 0..GOES_TRIES {
        if tried > 0 {
            tokio::time::sleep(GOES_EVERY).await;
        }
        busy.retain(|dir| is_busy(dir));
        if busy.is_empty() {
            break;
        }
    }
    busy.len()
}

/// Removes groups of the service's other releases whose last process is gone; the kernel keeps those that have one. Other
/// services' groups, and other agents', are let be: their process may be about to join.
fn tidy(base: &Base, service: &str, process: &str, keep: &str) {
    let agent = |process: &str| process.rsplit_once('.').map(|(_, agent)| agent.to_owned());
    let own = agent(process);
    base.tidy(|name, _| {
        let of = name.strip_prefix(PREFIX).and_then(|name| name.rsplit_once('-'));
        name != keep && of.is_some_and(|(of, process)| of == service && agent(process) == own)
    });
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, process::Stdio};

    use super::*;

    fn held_in(base: &Path, process: &str, limits: RunLimits) -> Held {
        held(Ok(&Base::of_version_2(base)), false, "photos", process, limits)
    }

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
        let held = held_in(base.path(), "1", all());
        let read = |file: &str| fs::read_to_string(group.join(file)).unwrap();
        assert_eq!((read("memory.max").as_str(), read("pids.max").as_str()), ("536870912", "64"));
        assert_eq!(read("memory.swap.max"), "0");
        let in_force =
            ["up to 512 MB of memory", "up to 64 processes and threads", "each process up to 1024 open files"];
        assert_eq!(held.report.in_force, in_force);
        assert!(held.report.missing.len() == 1 && held.report.missing[0].starts_with("up to 150 % of a processor: "));
        let spec = ServiceSpec { join: vec![group.clone()], files: Some(1024), ..ServiceSpec::default() };
        assert_eq!(held.spec, spec, "the group counts, not each process");
        fs::write(group.join("cpu.max"), "max 100000").unwrap();
        assert!(held_in(base.path(), "1", all()).report.missing.is_empty());
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
        let mine = ["service-photos-1.80.a", "service-photos-2.80.a"];
        for name in mine.iter().chain(&["service-photos-2.80.b", "service-photos-x-1.80.a", "agent"]) {
            fs::create_dir(base.path().join(name)).unwrap();
        }
        held_in(base.path(), "2.80.a", RunLimits::default());
        let left: std::collections::BTreeSet<_> =
            fs::read_dir(base.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        let kept = ["agent", "service-photos-2.80.a", "service-photos-2.80.b", "service-photos-x-1.80.a"];
        assert_eq!(left.into_iter().collect::<Vec<_>>(), kept);
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
        held_in(base.path(), "1.8000", all());
        assert_eq!(read(), ["536870912", "0", "64", "150000 100000"]);
        let fewer = RunLimits { processes: Some(32), ..RunLimits::default() };
        let report = held_in(base.path(), "1.8000", fewer).report;
        assert_eq!(read(), ["max", "max", "32", "max 100000"]);
        assert_eq!((report.in_force, report.missing), (vec!["up to 32 processes and threads".to_owned()], vec![]));
    }

    #[test]
    fn two_processes_of_the_same_files_have_groups_of_their_own() {
        let base = tempfile::tempdir().unwrap();
        let join = |port: u16| {
            let process = process_of(Path::new("agent"), Digest::of(b"the same files"), port);
            let group = held_in(base.path(), &process, all()).spec.join.remove(0);
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

    #[test]
    fn two_agents_of_a_host_have_groups_of_their_own() {
        let of = |dir: &str| process_of(Path::new(dir), Digest::of(b"the same files"), 8000);
        assert_ne!(of("one"), of("two"));
        assert!(!of("one").contains('-'));
    }

    #[tokio::test]
    async fn a_group_whose_last_process_is_still_ending_is_tried_again() {
        let dirs = ["ending", "goes-on", "gone"].map(PathBuf::from);
        let tries = RefCell::new(Vec::new());
        let is_busy = |dir: &Path| {
            let mut tries = tries.borrow_mut();
            tries.push(dir.to_path_buf());
            let times = tries.iter().filter(|tried| tried.as_path() == dir).count();
            match dir.to_str() {
                Some("ending") => times < 4,
                Some("gone") => false,
                _ => true,
            }
        };
        assert_eq!(removed(&dirs, is_busy).await, 1, "one goes on");
        let times = |name: &str| tries.borrow().iter().filter(|tried| tried.to_str() == Some(name)).count();
        assert_eq!((times("ending"), times("goes-on"), times("gone")), (4, GOES_TRIES as usize, 1));
    }

    /// Real groups of this machine, of whichever version: what holds a service is what was said.
    #[tokio::test]
    async fn this_machine_holds_a_service_to_what_it_says() {
        let base = match cgroup::base(Role::Agent) {
            Ok(base) => base,
            Err(why) => return println!("skipped: {why}"),
        };
        let limits = RunLimits { memory_bytes: Some(64 * MB), processes: Some(20), files: None, cpu_percent: Some(50) };
        let process = process_of(Path::new("a test"), Digest::of(b"held"), std::process::id() as u16);
        let held = held(Ok(base), true, "held", &process, limits);
        let script = "read go; head -c 300000000 /dev/zero | tail -c 290000000 | wc -c; \
                      for i in $(seq 40); do sleep 30 > /dev/null & done; echo all of them";
        let mut child = std::process::Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        for dir in &held.spec.join {
            fs::write(dir.join("cgroup.procs"), child.id().to_string()).unwrap();
        }
        let shown = |dir: &Path, file: &str| fs::read_to_string(dir.join(file)).ok();
        let cpu: Vec<String> = held
            .spec
            .join
            .iter()
            .filter_map(|dir| shown(dir, "cpu.cfs_quota_us").or_else(|| shown(dir, "cpu.max")))
            .map(|text| text.split_whitespace().next().unwrap_or_default().to_owned())
            .collect();
        // its end of the pipe is closed: that is what it waits for
        drop(child.stdin.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let holds = |words: &str| held.report.in_force.iter().any(|said| said == words);
        assert_eq!(said.contains("290000000"), !holds("up to 64 MB of memory"), "{:?}: {said}", held.report);
        assert_eq!(said.contains("all of them"), !holds("up to 20 processes and threads"), "{:?}: {said}", held.report);
        assert_eq!(cpu.contains(&"50000".to_owned()), holds("up to 50 % of a processor"), "{cpu:?}");
        assert!(!held.spec.join.is_empty());
        let group = Group::make(base, &format!("{PREFIX}held-{process}")).unwrap();
        // ends what still sleeps, and the group with it
        drop(cgroup::Owned(group));
        let goes = async {
            while held.spec.join.iter().any(|dir| dir.exists()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(20), goes).await.is_ok(), "{:?} stay", held.spec.join);
    }
}
