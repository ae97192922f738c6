//! Limits of a service on a real host: what is in force, what is told of it, and what becomes of a release that goes over.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::world::{World, ready};

const LIMITS: &str = "  drain_s: 0\n  limits: {memory_mb: 512, files: 256, cpu_percent: 50}\n";

/// As the agent starts a service: through the program that puts itself under the limits first.
fn started(spec: &serde_json::Value) -> (bool, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tenfold-sandbox"))
        .args(["sandbox", "service"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{spec}").unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_process_that_goes_over_its_memory_gets_none() {
    let hog = |data_bytes: Option<u64>| {
        let command = ["dd", "if=/dev/zero", "of=/dev/null", "bs=300M", "count=1"];
        started(&serde_json::json!({"command": command, "data_bytes": data_bytes}))
    };
    let (done, said) = hog(Some(64 << 20));
    assert!(!done && said.contains("memory exhausted"), "{said}");
    for enough in [None, Some(1 << 30)] {
        let (done, said) = hog(enough);
        assert!(done, "{enough:?}: {said}");
    }
}

#[test]
fn limits_hold_from_the_first_instruction_on() {
    let spec = serde_json::json!({"command": ["cat", "/proc/self/limits"], "files": 64, "data_bytes": 64 << 20});
    let (done, said) = started(&spec);
    let row = |name: &str| {
        let line = said.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line[name.len().min(line.len())..].split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    };
    assert!(done, "{said}");
    assert_eq!((row("Max open files"), row("Max data size")), ("64 64".into(), "67108864 67108864".into()));
    let (done, said) = started(&serde_json::json!({"command": ["no-such-program"]}));
    assert!(!done && said.contains("`no-such-program` could not be started"), "{said}");
    let away = serde_json::json!({"command": ["true"], "join": ["/no/such/group"]});
    let (done, said) = started(&away);
    assert!(!done && said.contains("could not join its control group"), "it does not run without: {said}");
}

/// Where control groups of version 2 are mounted.
fn groups() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let at = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"))?.split(' ').nth(1)?.to_owned();
    Some(at.into())
}

#[test]
fn a_service_is_in_its_control_group_before_it_is_itself() {
    let name = format!("tenfold-limits-{}", std::process::id());
    let Some(group) = groups().map(|root| root.join(&name)).filter(|group| std::fs::create_dir(group).is_ok()) else {
        println!("skipped: no control group of version 2 can be made here");
        return;
    };
    let (done, said) = started(&serde_json::json!({"command": ["cat", "/proc/self/cgroup"], "join": [group]}));
    let _ = std::fs::remove_dir(&group);
    assert!(done && said.lines().any(|line| line.starts_with("0::") && line.ends_with(&name)), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_says_which_limits_it_holds_a_service_to() {
    if !ready() {
        return;
    }
    let world = World::new(1).await;
    let pipeline = world.repository().join(".tenfold/deploy.yaml");
    let text = std::fs::read_to_string(&pipeline).unwrap().replace("  drain_s: 0\n", LIMITS);
    assert!(text.contains("limits"), "{text}");
    std::fs::write(&pipeline, text).unwrap();
    let server = std::fs::read_to_string(world.repository().join("server.mjs")).unwrap();
    let hungry = "if (version === 'hungry') Buffer.alloc(2 ** 30, 1);\nhttp.createServer";
    std::fs::write(world.repository().join("server.mjs"), server.replacen("http.createServer", hungry, 1)).unwrap();
    world.commit("two");
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    let limits = world.app().hosts()[0].releases[0].limits.clone().expect("the host told of limits");
    assert!(limits.in_force.iter().any(|said| said.contains("256 open files")), "{limits:?}");
    // whether control groups can be divided here is the machine's: whichever holds, it is said
    let grouped = limits.in_force.iter().any(|said| said == "up to 512 MB of memory");
    assert!(grouped || limits.in_force.iter().any(|said| said.contains("512 MB of data")), "{limits:?}");
    assert!(grouped || std::env::var_os("TENFOLD_REQUIRE_CGROUP2").is_none(), "`make cgroup2` has them: {limits:?}");
    let said = world.text(first.number, "host.limits_missing").await;
    if limits.missing.is_empty() {
        assert!(limits.in_force.iter().any(|said| said == "up to 50 % of a processor"), "{limits:?}");
        assert!(world.log_text(first.number).contains("up to 50 % of a processor"));
        assert_eq!(said, "", "nothing is missing");
    } else {
        assert!(limits.missing.iter().any(|said| said.contains("50 % of a processor")), "{limits:?}");
        assert!(world.log_text(first.number).contains("not held to: up to 50 %"));
        assert!(said.starts_with("host-1 runs photos without all of its limits: up to 50 %"), "{said}");
    }

    world.commit("three");
    let again = world.deploy().await;
    world.state(again.number, &["succeeded"]).await;
    assert_eq!(world.text(again.number, "host.limits_missing").await, "", "it is known already");

    world.commit("hungry");
    let bad = world.deploy().await;
    let bad = world.state(bad.number, &["rolled_back"]).await;
    assert!(bad.error.as_deref().unwrap_or_default().contains("before it was healthy"), "{:?}", bad.error);
    if grouped {
        assert!(bad.error.as_deref().unwrap_or_default().contains("signal 9"), "the kernel ends it: {:?}", bad.error);
    } else {
        assert!(world.log_text(bad.number).contains("allocation failed"), "{}", world.log_text(bad.number));
    }
    assert_eq!(world.versions().await, ["three"], "the one before goes on");
    world.end().await;
}
