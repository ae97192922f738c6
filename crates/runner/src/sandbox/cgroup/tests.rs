//! Groups in folders that stand for a hierarchy, and real ones where this machine has them.

use std::process::{Command, Stdio};

use super::*;

mod version_2;

const LIMITS: Limits = Limits { memory_bytes: Some(1 << 30), processes: Some(512), cpu_percent: None };

fn missing(limited: &[Limited]) -> Vec<(&'static str, Option<&str>)> {
    limited.iter().map(|l| (l.controller.name(), l.missing.as_deref())).collect()
}

fn files(dir: &Path, names: &[&str]) {
    fs::create_dir_all(dir).unwrap();
    for name in names {
        fs::write(dir.join(name), "max").unwrap();
    }
}

#[test]
fn what_the_hierarchy_does_not_offer_is_said() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("build-1");
    files(&dir, &["pids.max"]);
    let mut base = Base::of_version_2(parent.path());
    let group = Group::make(&base, "build-1").unwrap();
    let none = Some("its control group has no controller memory (a unit of systemd gets it by `Delegate=memory`)");
    assert_eq!(missing(&group.limit(LIMITS)), [("memory", none), ("pids", None)]);
    assert_eq!(fs::read_to_string(dir.join("pids.max")).unwrap(), "512");
    group.join(7).unwrap();
    assert_eq!(fs::read_to_string(dir.join("cgroup.procs")).unwrap(), "7");
    base.lacking = "it may not be divided".to_owned();
    let group = Group::make(&base, "build-1").unwrap();
    assert_eq!(missing(&group.limit(LIMITS))[0], ("memory", Some("it may not be divided")));
}

#[test]
fn version_1_has_a_folder_for_each_hierarchy() {
    let root = tempfile::tempdir().unwrap();
    let (memory, both) = (root.path().join("memory"), root.path().join("cpu,pids"));
    let with_swap = "memory.memsw.limit_in_bytes";
    files(&memory.join("x"), &["memory.limit_in_bytes", with_swap]);
    files(&both.join("x"), &["pids.max", "cpu.cfs_period_us", "cpu.cfs_quota_us"]);
    let v1 = vec![
        (Controller::Memory, memory.clone()),
        (Controller::Processes, both.clone()),
        (Controller::Cpu, both.clone()),
    ];
    let base = Base { dirs: Dirs { v2: None, v1 }, lacking: String::new() };
    assert_eq!(base.words(), "control groups of version 1");
    let group = Group::make(&base, "x").unwrap();
    assert_eq!(group.dirs(), [memory.join("x"), both.join("x")], "each once");
    let all = Limits { cpu_percent: Some(150), ..LIMITS };
    assert_eq!(missing(&group.limit(all)), [("memory", None), ("pids", None), ("cpu", None)]);
    let read = |dir: &Path, file: &str| fs::read_to_string(dir.join("x").join(file)).unwrap();
    let values = || {
        [
            read(&memory, "memory.limit_in_bytes"),
            read(&memory, with_swap),
            read(&both, "pids.max"),
            read(&both, "cpu.cfs_period_us"),
            read(&both, "cpu.cfs_quota_us"),
        ]
    };
    assert_eq!(values(), ["1073741824", "1073741824", "512", "100000", "150000"]);
    assert_eq!(group.limit(Limits::default()), Vec::new());
    assert_eq!(values(), ["-1", "-1", "max", "100000", "-1"], "lifted again");
    group.join(7).unwrap();
    assert_eq!((read(&memory, "cgroup.procs"), read(&both, "cgroup.procs")), ("7".to_owned(), "7".to_owned()));
    fs::remove_file(memory.join("x/memory.limit_in_bytes")).unwrap();
    assert!(missing(&group.limit(all))[0].1.is_some_and(|why| why.contains("no controller memory")));
}

#[test]
fn a_group_is_made_everywhere_or_nowhere() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("file"), "").unwrap();
    let v1 = vec![(Controller::Processes, root.path().join("file"))];
    let base = Base { dirs: Dirs { v2: Some(root.path().to_path_buf()), v1 }, lacking: String::new() };
    assert!(Group::make(&base, "x").is_err());
    assert!(!root.path().join("x").exists());
}

#[test]
fn only_what_was_left_behind_long_ago_is_tidied() {
    let root = tempfile::tempdir().unwrap();
    let base = Base::of_version_2(root.path());
    for name in ["tenfold-old", "tenfold-used", "other"] {
        fs::create_dir(root.path().join(name)).unwrap();
    }
    fs::write(root.path().join("tenfold-used/cgroup.procs"), "1").unwrap();
    let made = fs::metadata(root.path()).and_then(|meta| meta.modified()).unwrap();
    let at = |later: Duration| {
        let now = made + later;
        base.tidy(|name, path| name.starts_with(PREFIX) && is_older(path, now));
        ["tenfold-old", "tenfold-used", "other"].map(|name| root.path().join(name).exists())
    };
    assert_eq!(at(Duration::ZERO), [true, true, true]);
    assert_eq!(at(LEFT * 2), [false, true, true]);
}

/// Real ones, of whichever version this machine has.
fn real() -> Option<&'static Base> {
    base(Role::Server).map_err(|why| println!("skipped: {why}")).ok()
}

/// A shell in the group, which begins when its input ends.
fn shell(group: &Group, script: &str) -> std::process::Child {
    let mut child = Command::new("setsid")
        .args(["sh", "-c", &format!("read go; {script}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    group.join(child.id()).unwrap();
    drop(child.stdin.take());
    child
}

async fn gone(dirs: Vec<PathBuf>) {
    let goes = async {
        while dirs.iter().any(|dir| dir.exists()) {
            tokio::time::sleep(GOES_EVERY).await;
        }
    };
    assert!(tokio::time::timeout(GOES_EVERY * GOES_TRIES, goes).await.is_ok(), "{dirs:?} stay");
}

fn named(what: &str) -> String {
    format!("{PREFIX}test-{what}-{}", std::process::id())
}

#[tokio::test]
async fn a_group_takes_its_processes_along_and_goes() {
    let Some(base) = real() else { return };
    let group = Owned(Group::make(base, &named("ends")).unwrap());
    // in a session of its own, where no signal to a process group reaches it
    let mut child = shell(&group.0, "sleep 600 & sleep 600; true");
    let dirs = group.0.dirs();
    assert!(!dirs.is_empty() && dirs.iter().all(|dir| dir.is_dir()), "{dirs:?}");
    drop(group);
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{status}");
    gone(dirs).await;
}

#[tokio::test]
async fn a_group_holds_memory_and_processes() {
    let Some(base) = real() else { return };
    let group = Owned(Group::make(base, &named("holds")).unwrap());
    let limits = Limits { memory_bytes: Some(64 << 20), processes: Some(20), cpu_percent: Some(50) };
    let limited = group.0.limit(limits);
    println!("{}: {limited:?}", base.words());
    let holds = |of: Controller| limited.iter().any(|l| l.controller == of && l.missing.is_none());
    let hungry = shell(&group.0, "head -c 300000000 /dev/zero | tail -c 290000000 | wc -c");
    let read = |child: std::process::Child| {
        let output = child.wait_with_output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = read(hungry);
    assert_eq!(said.contains("290000000"), !holds(Controller::Memory), "{said}");
    // what stays must not hold the pipe
    let said = read(shell(&group.0, "for i in $(seq 40); do sleep 30 > /dev/null & done; echo all of them"));
    assert_eq!(said.contains("all of them"), !holds(Controller::Processes), "{said}");
    let dirs = group.0.dirs();
    drop(group);
    gone(dirs).await;
}

/// Controllers that a group with processes may have for its children all the same.
const THREADED: [&str; 4] = ["cpu", "cpuset", "perf_event", "pids"];

/// The kernel's EBUSY, with any controller that this machine's version 2 has.
#[tokio::test]
async fn processes_of_a_divided_group_go_into_a_leaf() {
    let own = match divide::base(Role::Server) {
        Ok(base) => base.dirs.v2,
        Err(why) => return println!("skipped: {why}"),
    };
    let Some(own) = own else { return println!("skipped: there is no group of version 2 to be divided") };
    let on = fs::read_to_string(own.join("cgroup.subtree_control")).unwrap_or_default();
    let offered = fs::read_to_string(own.join("cgroup.controllers")).unwrap_or_default();
    let mut known = on.split_whitespace().chain(offered.split_whitespace());
    let Some(controller) = known.find(|c| !THREADED.contains(c)) else {
        return println!("skipped: version 2 has no controllers here");
    };
    let was_on = on.split_whitespace().any(|c| c == controller);
    let switch = |sign: &str| fs::write(own.join("cgroup.subtree_control"), format!("{sign}{controller}"));
    if !was_on && let Err(error) = switch("+") {
        return println!("skipped: {} cannot be divided: {error}", own.display());
    }
    let dir = own.join(named("divided"));
    if let Err(error) = fs::create_dir(&dir) {
        return println!("skipped: {}: {error}", dir.display());
    }
    let group = Group { dirs: Dirs { v2: Some(dir.clone()), v1: Vec::new() }, lacking: String::new() };
    let mut child = Command::new("sleep").arg("600").spawn().unwrap();
    group.join(child.id()).unwrap();
    let control = dir.join("cgroup.subtree_control");
    let busy = fs::write(&control, format!("+{controller}"));
    let divided = divide::divided(&dir, Role::Server, &[controller]);
    let (left, moved) =
        (fs::read_to_string(dir.join("cgroup.procs")), fs::read_to_string(dir.join("server/cgroup.procs")));
    let controls = fs::read_to_string(&control);
    child.kill().unwrap();
    child.wait().unwrap();
    let leaf = Group { dirs: Dirs { v2: Some(dir.join("server")), v1: Vec::new() }, lacking: String::new() };
    for group in [leaf, group] {
        let dirs = group.dirs();
        drop(Owned(group));
        gone(dirs).await;
    }
    if !was_on {
        switch("-").unwrap();
    }
    assert_eq!(busy.unwrap_err().kind(), io::ErrorKind::ResourceBusy);
    assert_eq!(divided, Ok((dir, None)));
    assert_eq!((left.unwrap().trim(), moved.unwrap().trim()), ("", child.id().to_string().as_str()));
    assert_eq!(controls.unwrap().trim(), controller);
}
