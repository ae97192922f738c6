//! The first stage: makes the namespaces and their mounts, starts the second stage in them and waits for it. It keeps the
//! server's rights and never runs a line of the program. When its keeper ends, so does it.

use std::{
    fs,
    io::{Read, Write},
    os::fd::AsFd,
    process::{Child, Command, Stdio},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, unshare},
    sys::{
        prctl,
        signal::{SigSet, Signal, kill},
        signalfd::{SfdFlags, SignalFd},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, getgid, getuid},
};

use super::{Spec, mounts, unbuffered_stdin};

pub(super) fn run(mut spec: Spec) -> Result<u8, String> {
    // children whose parent ended come to this process, so that they can be ended too
    let _ = prctl::set_child_subreaper(true);
    let _ = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    namespaces(&mut spec);
    let signals = watched();
    signals.thread_block().map_err(|e| e.to_string())?;
    let child = second_stage(&spec)?;
    let inner = Pid::from_raw(i32::try_from(child.id()).map_err(|e| e.to_string())?);
    // no thread may be started any more: the kernel wants all of them in one process namespace
    let keeper = unbuffered_stdin().map_err(|e| e.to_string())?;
    let ended = wait_for(inner, &signals, Some(keeper))?;
    if ended.is_none() {
        let _ = kill(inner, Signal::SIGKILL);
    }
    end_descendants();
    Ok(ended.unwrap_or(1))
}

/// Enters what the kernel permits and notes what it does not.
fn namespaces(spec: &mut Spec) {
    let wanted =
        CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    let entered = if unshare(wanted).is_ok() {
        Ok("mount, process, IPC and host name namespaces")
    } else {
        unshare(wanted | CloneFlags::CLONE_NEWUSER)
            .map_err(|e| format!("namespaces: the kernel refuses them ({e}); permit unprivileged user namespaces"))
            .and_then(|()| map_user("0", uid, gid))
            .map(|()| {
                spec.user_namespace = Some((uid, gid));
                spec.uid = None;
                "user, mount, process, IPC and host name namespaces"
            })
    };
    match entered {
        Ok(what) => {
            spec.in_force.push(what.to_owned());
            spec.pid_namespace = true;
        }
        Err(why) => return spec.missing.push(why),
    }
    match mounts::hide(spec) {
        Ok(()) => spec.inside = Some(super::INSIDE.into()),
        Err(why) => spec.missing.push(format!("own view of the files: {why}")),
    }
    if !spec.network {
        match unshare(CloneFlags::CLONE_NEWNET) {
            Ok(()) => spec.in_force.push("no network".to_owned()),
            Err(error) => spec.missing.push(format!("network namespace: {error}; it can reach the network")),
        }
    }
}

/// Maps one user and group of the outer namespace into the one just entered.
pub(super) fn map_user(inside: &str, uid: u32, gid: u32) -> Result<(), String> {
    let write = |path: &str, text: String| fs::write(path, text).map_err(|e| format!("{path}: {e}"));
    write("/proc/self/setgroups", "deny".to_owned())?;
    write("/proc/self/uid_map", format!("{inside} {uid} 1"))?;
    write("/proc/self/gid_map", format!("{inside} {gid} 1"))
}

fn second_stage(spec: &Spec) -> Result<Child, String> {
    let told = |e: std::io::Error| format!("the sandbox could not be started: {e}");
    // /proc/self is the child itself before it becomes the program: the same one, even when its file was replaced
    let mut child = Command::new("/proc/self/exe")
        .args(["sandbox", "init"])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .spawn()
        .map_err(told)?;
    let mut line = serde_json::to_vec(spec).map_err(|e| e.to_string())?;
    line.push(b'\n');
    if let Some(mut input) = child.stdin.take() {
        input.write_all(&line).map_err(told)?;
    }
    Ok(child)
}

/// The signals both stages wait for; the program itself starts with none blocked.
pub(super) fn watched() -> SigSet {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        signals.add(signal);
    }
    signals
}

/// Reaps until `main` ended, and gives its exit code; nothing when the keeper's end of standard input was closed before.
/// Signals to the group reach the program without this process.
pub(super) fn wait_for(main: Pid, signals: &SigSet, keeper: Option<fs::File>) -> Result<Option<u8>, String> {
    let told = |e: nix::errno::Errno| e.to_string();
    let arrived = SignalFd::with_flags(signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map_err(told)?;
    let mut keeper = keeper;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == main => return Ok(Some(u8::try_from(code).unwrap_or(1))),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == main => {
                return Ok(Some(u8::try_from(128 + signal as i32).unwrap_or(1)));
            }
            Ok(WaitStatus::StillAlive) => {}
            Err(nix::errno::Errno::ECHILD) => return Ok(Some(1)),
            Ok(_) | Err(_) => continue,
        }
        let mut waiting = vec![PollFd::new(arrived.as_fd(), PollFlags::POLLIN)];
        waiting.extend(keeper.as_ref().map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN)));
        let _ = poll(&mut waiting, PollTimeout::NONE);
        let talks = waiting.get(1).and_then(PollFd::any).unwrap_or(false);
        while matches!(arrived.read_signal(), Ok(Some(_))) {}
        if talks && !keeper.as_mut().is_some_and(|s| matches!(s.read(&mut [0; 64]), Ok(1..))) {
            return Ok(None);
        }
    }
}

/// Kills what is left of the program: with a process namespace the kernel did it already; without one, whatever was handed
/// to this process when its parent ended, until nothing is left.
pub(crate) fn end_descendants() {
    loop {
        let children = children();
        if children.is_empty() {
            return;
        }
        for child in children {
            let _ = kill(child, Signal::SIGKILL);
            let _ = waitpid(child, None);
        }
    }
}

fn children() -> Vec<Pid> {
    let text = fs::read_to_string(format!("/proc/self/task/{}/children", std::process::id())).unwrap_or_default();
    text.split_whitespace().filter_map(|n| n.parse().ok()).map(Pid::from_raw).collect()
}
