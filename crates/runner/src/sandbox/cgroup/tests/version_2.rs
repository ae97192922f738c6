//! Version 2 with all its controllers, as systemd gives it to a unit. `make cgroup2` runs these on a machine that has it
//! (docs/adr/0050-version-2-in-a-machine-of-its-own.md).

use std::{
    os::unix::{fs::chown, process::CommandExt},
    process::Output,
};

use super::*;

/// With it a machine without is a failure.
const REQUIRED: &str = "TENFOLD_REQUIRE_CGROUP2";
/// Says to this program, started once more, what it is.
const PLACED: &str = "TENFOLD_TEST_PLACED";
const NOBODY: u32 = 65_534;
const ALL: Limits = Limits { memory_bytes: Some(64 << 20), processes: Some(20), cpu_percent: Some(50) };

fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// The group of version 2 below which these tests make theirs.
fn given() -> Option<PathBuf> {
    let why = match divide::base(Role::Server) {
        Ok(Base { dirs: Dirs { v2: Some(dir), v1 }, .. }) if v1.is_empty() => {
            let on = text(dir.join("cgroup.subtree_control"));
            if Controller::ALL.iter().all(|of| on.split_whitespace().any(|name| name == of.name())) {
                return Some(dir);
            }
            format!("children of {} have no limits on memory, processes and processor time", dir.display())
        }
        Ok(_) => "this machine has no control groups of version 2 alone".to_owned(),
        Err(why) => why,
    };
    assert!(std::env::var_os(REQUIRED).is_none(), "{why}; with {REQUIRED} that is a failure");
    println!("skipped: {why}");
    None
}

/// Makes a group as systemd does for a unit with `Delegate=`, which `uid` may divide.
fn unit(given: &Path, name: &str, uid: u32) -> PathBuf {
    let unit = given.join(named(name));
    fs::create_dir(&unit).unwrap();
    for path in [unit.clone(), unit.join("cgroup.procs"), unit.join("cgroup.subtree_control")] {
        chown(path, Some(uid), Some(uid)).unwrap();
    }
    unit
}

/// This program once more, in a group, as `what` and of the user `uid`.
fn placed(group: &Path, what: &str, uid: u32) -> Output {
    let module = module_path!().split_once("::").map_or("", |(_, module)| module);
    let mut child = Command::new("sh")
        .args(["-c", "read go; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::in_a_group_of_its_own"), "--nocapture"])
        .env(PLACED, what)
        .uid(uid)
        .gid(uid)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    fs::write(group.join("cgroup.procs"), child.id().to_string()).unwrap();
    drop(child.stdin.take());
    child.wait_with_output().unwrap()
}

/// Ends a unit with the groups in it.
async fn ended(unit: &Path) {
    let owned = |dir: &Path| {
        Owned(Group { dirs: Dirs { v2: Some(dir.to_path_buf()), v1: Vec::new() }, lacking: String::new() })
    };
    for entry in fs::read_dir(unit).unwrap().flatten() {
        if entry.path().is_dir() {
            owned(&entry.path()).end().await;
        }
    }
    owned(unit).end().await;
    assert!(!unit.exists(), "{} stays", unit.display());
}

fn assert_done(output: &Output) {
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// What [`placed`] starts; by itself it does nothing.
#[tokio::test]
async fn in_a_group_of_its_own() {
    let Ok(what) = std::env::var(PLACED) else { return };
    let role = if what.starts_with("agent") { Role::Agent } else { Role::Server };
    let base = divide::base(role).unwrap();
    if what == "agent in the unit" {
        assert!(base.lacking.contains("it holds the agent itself; "), "{base:?}");
        let group = Owned(Group::make(&base, "tenfold-held").unwrap());
        let limited = group.0.limit(ALL);
        assert!(limited.iter().all(|l| l.missing.as_ref() == Some(&base.lacking)), "{limited:?}");
        return group.end().await;
    }
    assert_eq!(base.lacking, "");
    let own = text("/proc/self/cgroup");
    assert!(own.ends_with(&format!("/{}", role.leaf())), "{own}");
    holds(&base).await;
}

async fn holds(base: &Base) {
    let group = Owned(Group::make(base, "tenfold-held").unwrap());
    let dir = group.0.dirs().remove(0);
    let file = |name: &str| text(dir.join(name));
    let values = || ["memory.max", "pids.max", "cpu.max"].map(file);
    assert_eq!(missing(&group.0.limit(ALL)), [("memory", None), ("pids", None), ("cpu", None)]);
    assert_eq!(values(), ["67108864", "20", "50000 100000"]);
    assert!(["0", ""].contains(&file("memory.swap.max").as_str()), "{}", file("memory.swap.max"));
    let count = |of: &str, name: &str| -> u64 {
        let events = file(of);
        let line = events.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|n| n.parse().ok()).expect("the kernel counts it")
    };
    let said = |script: &str| {
        let output = shell(&group.0, script).wait_with_output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let hungry = said("head -c 300000000 /dev/zero | tail -c 290000000 | wc -c; echo goes on");
    assert!(!hungry.contains("290000000"), "{hungry}");
    assert!(count("memory.events", "oom_kill") > 0, "{}", file("memory.events"));
    let many = said("for i in $(seq 40); do sleep 600 > /dev/null & done; echo all of them");
    assert!(!many.contains("all of them"), "{many}");
    assert!(count("pids.events", "max") > 0, "{}", file("pids.events"));
    assert!(!file("cgroup.procs").is_empty(), "some sleep on");
    assert_eq!(group.0.limit(Limits::default()), Vec::new());
    assert_eq!(values(), ["max", "max", "max 100000"], "lifted again");
    group.end().await;
    assert!(!dir.exists(), "{} stays", dir.display());
}

#[tokio::test]
async fn a_server_in_its_unit_moves_aside_and_holds_what_it_starts() {
    let Some(given) = given() else { return };
    let own = nix::unistd::getuid().as_raw();
    let unit = unit(&given, "server", own);
    let output = placed(&unit, "server", own);
    // which groups have limits for their children, told after the server has gone
    let on = text(unit.join("cgroup.subtree_control"));
    ended(&unit).await;
    assert_done(&output);
    assert_eq!(on, "cpu memory pids");
}

#[tokio::test]
async fn a_server_without_rights_divides_the_unit_it_was_given() {
    let Some(given) = given() else { return };
    if !nix::unistd::getuid().is_root() {
        return println!("skipped: another user's group takes root to be made");
    }
    let unit = unit(&given, "nobody", NOBODY);
    let is_readable = Command::new("test").arg("-r").arg(std::env::current_exe().unwrap()).uid(NOBODY).status();
    if !is_readable.is_ok_and(|status| status.success()) {
        ended(&unit).await;
        return println!("skipped: the user {NOBODY} cannot read this program");
    }
    let output = placed(&unit, "server", NOBODY);
    ended(&unit).await;
    assert_done(&output);
}

#[tokio::test]
async fn an_agent_divides_a_unit_only_from_a_group_below() {
    let Some(given) = given() else { return };
    let own = nix::unistd::getuid().as_raw();
    let unit = unit(&given, "agent", own);
    let inside = placed(&unit, "agent in the unit", own);
    let on = text(unit.join("cgroup.subtree_control"));
    // as `DelegateSubgroup=agent` has it
    let below = unit.join("agent");
    fs::create_dir(&below).unwrap();
    let output = placed(&below, "agent", own);
    ended(&unit).await;
    assert_done(&inside);
    assert_eq!(on, "", "nothing was divided");
    assert_done(&output);
}
