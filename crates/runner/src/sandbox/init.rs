//! The second stage: the first process of the program's process namespace. It puts up the last fences, starts the command,
//! and reaps. When it ends, the kernel ends all others of the namespace.

use std::{
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

use nix::{
    sched::{CloneFlags, unshare},
    sys::{prctl, resource, signal::Signal},
    unistd::Pid,
};

use super::{Report, Said, Spec, fence, mounts, outer};

/// Most processes of a program that has a user of its own.
const PROCESSES_MAX: u64 = 4096;

pub(super) fn run(mut spec: Spec) -> Result<u8, String> {
    // whoever kills the first stage alone ends this one too
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    let _ = prctl::set_child_subreaper(true);
    if spec.pid_namespace
        && let Err(error) = mounts::proc()
    {
        spec.missing.push(format!("own /proc: {error}; it sees other processes"));
    }
    if !spec.network {
        mounts::loopback();
    }
    limits(&spec);
    if let Some((uid, gid)) = spec.user_namespace {
        // back to the server's own number, without the rights of the namespace's root
        unshare(CloneFlags::CLONE_NEWUSER)
            .map_err(|e| e.to_string())
            .and_then(|()| back_to(uid, gid))
            .map_err(|e| format!("its user could not be set: {e}"))?;
    }
    if prctl::set_no_new_privs().is_ok() {
        spec.in_force.push("no new privileges".to_owned());
    }
    let fenced = fence::restrict(&spec);
    if spec.required && (fenced.is_err() || spec.inside.is_none() || !spec.pid_namespace) {
        spec.missing.extend(fenced.err());
        return Err(format!("builds.sandbox is `required`, and this machine lacks: {}", spec.missing.join("; ")));
    }
    match fenced {
        Ok(what) => spec.in_force.push(what),
        Err(why) => spec.missing.push(why),
    }
    match spec.uid {
        Some(uid) => spec.in_force.push(format!("user {uid}")),
        None => spec
            .missing
            .push("a user of its own: it takes a server that runs as root; it has the server's user".to_owned()),
    }
    start(spec)
}

fn back_to(uid: u32, gid: u32) -> Result<(), String> {
    let write = |path: &str, text: String| std::fs::write(path, text).map_err(|e| format!("{path}: {e}"));
    write("/proc/self/uid_map", format!("{uid} 0 1"))?;
    write("/proc/self/gid_map", format!("{gid} 0 1"))
}

fn limits(spec: &Spec) {
    let _ = resource::setrlimit(resource::Resource::RLIMIT_CORE, 0, 0);
    if spec.uid.is_some() {
        let _ = resource::setrlimit(resource::Resource::RLIMIT_NPROC, PROCESSES_MAX, PROCESSES_MAX);
    }
}

fn start(spec: Spec) -> Result<u8, String> {
    let root = spec.root().to_path_buf();
    let report = Report { in_force: spec.in_force, missing: spec.missing };
    Said::Fenced(report).print();
    let program = spec.command.first().ok_or("there is no command")?;
    let signals = outer::watched();
    signals.thread_block().map_err(|e| e.to_string())?;
    let mut command = Command::new(program);
    command
        .args(&spec.command[1..])
        .current_dir(root.join("src"))
        .env_clear()
        .envs(&spec.env)
        .env("HOME", root.join("home"))
        .env("TMPDIR", root.join("tmp"))
        .envs(spec.places.iter().map(|(variable, below)| (variable, root.join(below))))
        .stdin(Stdio::null());
    if let Some(uid) = spec.uid {
        command.gid(uid).uid(uid);
    }
    let child = command.spawn().map_err(|e| {
        format!(
            "`{program}` could not be started: {e}; is it installed on the server and in its PATH, and readable there?"
        )
    })?;
    let main = Pid::from_raw(i32::try_from(child.id()).map_err(|e| e.to_string())?);
    Ok(outer::wait_for(main, &signals, None)?.unwrap_or(1))
}
