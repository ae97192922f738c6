//! An agent that is started as root gives it up, and the unit that systemd runs it with.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

fn agent(dir: &std::path::Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenfold"));
    // nobody listens there: the agent tries on
    command.args(["agent", "--server", "http://127.0.0.1:1", "--name", "web1", "--dir"]).arg(dir).args(args);
    command.env("TENFOLD_TOKEN", "x").env("TENFOLD_LOG", "info").env("NO_COLOR", "1").stderr(Stdio::piped());
    command.stdout(Stdio::piped());
    command
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|l| l.starts_with("Uid:") && l.split_whitespace().nth(2) == Some("0"))
}

#[test]
fn an_agent_started_as_root_becomes_the_user_and_cannot_go_back() {
    let dir = tempfile::tempdir().unwrap();
    // root of a temporary folder is root's alone, and the agent's folder is below it
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let home = dir.path().join("agent");
    if !is_root() {
        let refused = agent(&home, &["--user", "daemon"]).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains("only root becomes daemon"), "{said}");
        return;
    }
    let mut child = agent(&home, &["--user", "daemon"]).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let told = lines.map_while(Result::ok).find(|line| line.contains("run as this user"));
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(told.is_some_and(|line| line.contains("daemon")), "{status}");
    let row = |name: &str| {
        let line = status.lines().find(|l| l.starts_with(name)).unwrap_or_default();
        line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(row("Uid:").len() == 4 && row("Uid:").iter().all(|uid| uid != "0"), "{status}");
    assert!(row("Gid:").iter().all(|gid| gid != "0") && row("Groups:").iter().all(|gid| gid != "0"), "{status}");
    assert_eq!(row("CapEff:"), ["0000000000000000"], "{status}");
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&home).unwrap());
    assert_eq!(owner.to_string(), row("Uid:")[1]);
}

#[test]
fn a_user_that_cannot_be_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |user: &str| {
        let output = agent(dir.path(), &["--user", user]).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(refused("no-such-user").contains("useradd --system"));
    if is_root() {
        assert!(refused("root").contains("name a user without its rights"));
        let said = refused("daemon");
        assert!(said.contains("chown -R daemon"), "a folder of somebody else's is not taken: {said}");
    }
}

#[test]
fn the_unit_starts_what_was_typed() {
    let dir = tempfile::tempdir().unwrap();
    let printed = agent(dir.path(), &["--label", "role=web", "--print-unit", "--user", "deploy"]).output().unwrap();
    let unit = String::from_utf8(printed.stdout).unwrap();
    let start = unit.lines().find(|l| l.starts_with("ExecStart=")).unwrap();
    let words =
        format!("agent --server http://127.0.0.1:1 --name web1 --dir {} --label role=web", dir.path().display());
    assert!(start.ends_with(&words), "{unit}");
    assert!(unit.contains("\nUser=deploy\n") && !start.contains("--user") && !start.contains("--print-unit"), "{unit}");
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        println!("not checked by systemd: systemd-analyze is not installed");
        return;
    }
    let file = dir.path().join("tenfold-agent.service");
    std::fs::write(&file, &unit).unwrap();
    let verified = Command::new("systemd-analyze").arg("verify").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    // systemd before 254 passes over this one, and says so
    let wrong = |line: &&str| line.contains("tenfold-agent.service") && !line.contains("DelegateSubgroup");
    assert_eq!(said.lines().find(wrong), None, "{said}");
}
