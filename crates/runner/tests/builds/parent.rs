//! The sandbox by itself: a keeper that is killed, and a server that is not root.

use std::{
    io::{Read, Write},
    os::unix::fs::{PermissionsExt, chown},
    process::{Child, Command, Stdio},
};

use crate::world::{gone, is_root, namespaces, runs};

fn spec(dir: &std::path::Path, command: &str, uid: Option<u32>) -> String {
    serde_json::json!({
        "command": ["sh", "-c", command], "env": {"PATH": "/usr/bin:/bin"}, "dir": dir, "hide": [], "readable": [],
        "network": false, "uid": uid, "required": true, "missing": [], "in_force": [],
    })
    .to_string()
        + "\n"
}

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["build", "build/src", "build/tmp", "build/home"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    dir
}

fn start(command: &mut Command, spec: &str) -> Child {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(spec.as_bytes()).unwrap();
    child
}

#[tokio::test]
async fn the_program_ends_with_its_keeper() {
    let dir = folder();
    if !namespaces(dir.path()) {
        return;
    }
    let word = format!("orphan-keeper-{}", std::process::id());
    let command = format!("setsid sh -c 'trap \"\" TERM HUP; echo up; sleep 600; true' {word} & sleep 600");
    let mut child = start(
        Command::new(env!("CARGO_BIN_EXE_tenfold-sandbox")).arg("sandbox"),
        &spec(&dir.path().join("build"), &command, None),
    );
    let mut out = child.stdout.take().unwrap();
    let mut seen = String::new();
    let mut byte = [0; 1];
    while !seen.ends_with("up\n") {
        out.read_exact(&mut byte).unwrap();
        seen.push(char::from(byte[0]));
    }
    assert!(runs(&word));
    // a killed keeper closes its end of the pipe, and does nothing else any more
    drop(child.stdin.take());
    gone(&word).await;
    child.wait().unwrap();
}

#[tokio::test]
async fn without_root_a_user_namespace_fences_as_well() {
    let dir = folder();
    if !namespaces(dir.path()) {
        return;
    }
    let program = dir.path().join("tenfold-sandbox");
    std::fs::copy(env!("CARGO_BIN_EXE_tenfold-sandbox"), &program).unwrap();
    let build = dir.path().join("build");
    let mut command = Command::new(&program);
    if is_root() {
        for path in [&build, &build.join("src"), &build.join("tmp"), &build.join("home")] {
            chown(path, Some(65_534), Some(65_534)).unwrap();
        }
        command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(&program);
    }
    let script = "id -u; pwd; echo x > out; ls /proc | grep -c '^[0-9]'; mount -t tmpfs x /mnt && echo LEAK; \
                  cat /etc/shadow && echo LEAK; touch /usr/x && echo LEAK; true";
    let mut child = start(command.arg("sandbox").stderr(Stdio::null()), &spec(&build, script, None));
    // the keeper's end stays open
    let _keeper = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(!text.contains("LEAK"), "{text}");
    assert!(
        text.contains("user, mount, process") && text.contains("Landlock") && text.contains("no network"),
        "{text}"
    );
    let lines: Vec<&str> = text.lines().collect();
    let own = if is_root() { 65_534 } else { nix::unistd::geteuid().as_raw() };
    assert_eq!(lines[1], own.to_string(), "{text}");
    assert_eq!(lines[2].trim_start_matches('/'), "tmp/build/src", "{text}");
    assert!(lines[3].parse::<u32>().unwrap() < 12, "{text}");
    assert!(build.join("src/out").exists());
}

/// Where the kernel refuses every namespace, files are still kept apart.
#[tokio::test]
async fn without_namespaces_landlock_alone_keeps_files_apart() {
    // root of a user namespace that has no rights left in it and may make no other
    let refused =
        "echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all -- \"$@\"";
    let confined = |words: &[&std::ffi::OsStr]| {
        let mut command = Command::new("unshare");
        command.args(["-Ur", "sh", "-c", refused, "sh"]).args(words);
        command
    };
    let mut probe = confined(&["sh".as_ref(), "-c".as_ref(), "! unshare -m true && ! unshare -Um true".as_ref()]);
    if !probe.stderr(Stdio::null()).status().is_ok_and(|s| s.success()) {
        return println!("skipped: this machine does not let a test take namespaces away from a program");
    }
    let dir = folder();
    std::fs::write(dir.path().join("secret"), "the database").unwrap();
    let secret = dir.path().join("secret");
    let build = dir.path().join("build");
    let script = format!(
        "cat {0} && echo LEAK-READ; echo x > {0} && echo LEAK-WRITE; echo x > /var/tmp/tenfold-was-here && echo LEAK-TMP; \
         ls /root && echo LEAK-HOME; echo mine > out && cat out; head -c 0 /etc/passwd && echo system",
        secret.display()
    );
    let spec = serde_json::json!({
        "command": ["sh", "-c", script], "env": {"PATH": "/usr/bin:/bin"}, "dir": build, "hide": [], "readable": [],
        "network": true, "uid": null, "required": false, "missing": [], "in_force": [],
    })
    .to_string()
        + "\n";
    let program: &std::ffi::OsStr = env!("CARGO_BIN_EXE_tenfold-sandbox").as_ref();
    let mut child = start(confined(&[program, "sandbox".as_ref()]).stderr(Stdio::null()), &spec);
    let _keeper = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("namespaces: the kernel refuses them") && text.contains("Landlock"), "{text}");
    assert!(text.lines().any(|l| l == "mine") && text.lines().any(|l| l == "system"), "{text}");
    assert!(!text.contains("LEAK"), "{text}");
    assert_eq!(std::fs::read_to_string(secret).unwrap(), "the database");
}
