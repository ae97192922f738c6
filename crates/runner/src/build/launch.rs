//! Starting a build's command: what it may have of the server's environment, its secrets, and the parent that fences it.

use std::{collections::BTreeMap, path::Path, process::Stdio};

use tenfold_app::{
    deploys::ports::Stream,
    settings::{BuildSecret, Sandbox},
};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, Command},
};

use super::Job;
use crate::{
    mask::{SECRET_BYTES_MIN, Secrets},
    process::inherited_env,
    sandbox::{Spec, cgroup, uid_of},
};

/// Largest file with a secret.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

pub(super) struct Started {
    pub child: Child,
    pub secrets: Secrets,
    /// The child is the build's parent and not the build.
    pub fenced: bool,
    spec: Option<Vec<u8>>,
    /// While it is open, the parent knows that the server lives.
    line: Option<ChildStdin>,
    _group: Option<cgroup::Group>,
}

impl Started {
    /// Tells the parent what to start; the build does not run before.
    pub async fn tell(&mut self) -> Result<(), String> {
        if let (Some(input), Some(spec)) = (&mut self.line, self.spec.take()) {
            input
                .write_all(&spec)
                .await
                .map_err(|e| format!("the build's parent could not be told what to do: {e}"))?;
        }
        Ok(())
    }
}

/// The user of the build, when it gets one of its own.
pub(super) fn uid(job: &Job<'_>) -> Option<u32> {
    let own = job.parent.is_some() && !job.order.pipeline.build.command.is_empty() && nix::unistd::geteuid().is_root();
    own.then(|| uid_of(job.order.deploy))
}

pub(super) fn start(job: &Job<'_>, commit_seconds: i64, uid: Option<u32>) -> Result<Started, String> {
    let secrets = secrets(job)?;
    let env = env(job, commit_seconds, &secrets);
    let masked = Secrets::new(secrets.values().map(String::as_str));
    match job.parent {
        None if job.settings.sandbox == Sandbox::Required => {
            Err("builds.sandbox is `required`, and this server has nothing to fence a build with".to_owned())
        }
        None => plain(job, &env, masked),
        Some(_) => fenced(job, env, masked, uid),
    }
}

fn plain(job: &Job<'_>, env: &BTreeMap<String, String>, secrets: Secrets) -> Result<Started, String> {
    (job.lines)(Stream::Tenfold, "not in a sandbox: the build has the server's user, files and network");
    let argv = &job.order.pipeline.build.command;
    let dir = &job.workspace.dir;
    let child = piped(Command::new(&argv[0]).args(&argv[1..]).current_dir(dir.join("src")))
        .envs(env)
        .env("HOME", dir.join("home"))
        .env("TMPDIR", dir.join("tmp"))
        .stdin(Stdio::null())
        .spawn()
        .map_err(|e| {
            format!("`{}` could not be started: {e}; is it installed on the server and in its PATH?", argv[0])
        })?;
    Ok(Started { child, secrets, fenced: false, spec: None, line: None, _group: None })
}

fn fenced(job: &Job<'_>, env: BTreeMap<String, String>, secrets: Secrets, uid: Option<u32>) -> Result<Started, String> {
    let parent = job.parent.ok_or("there is no parent for the build")?;
    let mut spec = Spec {
        command: job.order.pipeline.build.command.clone(),
        env,
        dir: job.workspace.dir.clone(),
        hide: hidden(job),
        readable: job.settings.readable.clone(),
        network: job.settings.network && job.order.pipeline.build.network,
        uid,
        required: job.settings.sandbox == Sandbox::Required,
        missing: Vec::new(),
        in_force: Vec::new(),
        inside: None,
        pid_namespace: false,
        user_namespace: None,
    };
    let mut child = piped(Command::new(&parent.program).arg("sandbox").current_dir("/"))
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|e| format!("the build's parent {} could not be started: {e}", parent.program.display()))?;
    let group = limit(job, child.id(), &mut spec);
    let line = child.stdin.take();
    let mut text = serde_json::to_vec(&spec).map_err(|e| e.to_string())?;
    text.push(b'\n');
    Ok(Started { child, secrets, fenced: true, spec: Some(text), line, _group: group })
}

fn piped(command: &mut Command) -> &mut Command {
    command.env_clear().stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true)
}

/// The data directory with its database and keys, the settings, and the files of secrets.
fn hidden(job: &Job<'_>) -> Vec<std::path::PathBuf> {
    let mut hide: Vec<_> = job.workspace.dir.ancestors().nth(2).map(Path::to_path_buf).into_iter().collect();
    hide.extend(job.parent.iter().flat_map(|p| p.hide.clone()));
    hide.extend(job.settings.secrets.iter().map(|s| s.file.clone()));
    hide.into_iter().filter_map(|p| std::fs::canonicalize(p).ok()).collect()
}

/// Puts the parent into a control group, as far as that can be had.
fn limit(job: &Job<'_>, pid: Option<u32>, spec: &mut Spec) -> Option<cgroup::Group> {
    let limits = cgroup::Limits {
        memory_bytes: job.settings.memory_mb.saturating_mul(1 << 20),
        processes: job.settings.processes,
    };
    // several servers may share a machine and its hierarchy
    let place = blake3::hash(job.workspace.dir.as_os_str().as_encoded_bytes()).to_hex();
    let name = format!("tenfold-build-{}-{}", job.order.deploy, &place[..12]);
    let made = cgroup::own().and_then(|own| cgroup::Group::make(&own, &name, limits).map_err(|e| e.to_string()));
    let joined = made.and_then(|(group, done, missing)| {
        let pid = pid.ok_or("the build's parent ended at once")?;
        group.join(pid).map_err(|e| e.to_string())?;
        Ok((group, done, missing))
    });
    match joined {
        Ok((group, done, missing)) => {
            spec.in_force.push("a control group".to_owned());
            spec.in_force.extend(done);
            if !missing.is_empty() {
                spec.missing.push(format!("{}: the control group has no such controllers", missing.join(", ")));
            }
            Some(group)
        }
        Err(why) => {
            spec.missing.push(format!("limits on memory and processes: {why}"));
            None
        }
    }
}

/// What the build starts with: the few variables programs need, those the operator names, what tenfold says, what the
/// pipeline file says, and the secrets it asks for.
fn env(job: &Job<'_>, commit_seconds: i64, secrets: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> = inherited_env().into_iter().collect();
    env.extend(job.settings.env.iter().filter_map(|name| Some((name.clone(), std::env::var(name).ok()?))));
    let own = [
        ("CI", "true".to_owned()),
        ("SOURCE_DATE_EPOCH", commit_seconds.to_string()),
        ("TENFOLD_SERVICE", job.order.source.service.clone()),
        ("TENFOLD_SHA", job.order.sha.clone()),
    ];
    env.extend(own.map(|(name, value)| (name.to_owned(), value)));
    env.extend(job.order.pipeline.build.env.clone());
    env.extend(secrets.clone());
    env
}

fn secrets(job: &Job<'_>) -> Result<BTreeMap<String, String>, String> {
    let service = &job.order.source.service;
    let mut found = BTreeMap::new();
    for name in &job.order.pipeline.build.secrets {
        let known = job.settings.secrets.iter().find(|s| s.name == *name && s.services.contains(service));
        let secret = known.ok_or_else(|| {
            format!(
                "build.secrets asks for {name}, which the server's settings do not have for {service} (builds.secrets)"
            )
        })?;
        found.insert(name.clone(), read_secret(secret)?);
    }
    Ok(found)
}

fn read_secret(secret: &BuildSecret) -> Result<String, String> {
    let (name, path) = (&secret.name, secret.file.display());
    let size = std::fs::metadata(&secret.file).map_err(|e| format!("the secret {name} in {path}: {e}"))?.len();
    if size > SECRET_BYTES_MAX {
        return Err(format!("the secret {name} in {path} has {size} bytes, more than {SECRET_BYTES_MAX}"));
    }
    let text = std::fs::read_to_string(&secret.file).map_err(|e| format!("the secret {name} in {path}: {e}"))?;
    let value = text.trim_end_matches(['\n', '\r']);
    if value.len() < SECRET_BYTES_MIN || value.contains('\0') {
        return Err(format!(
            "the secret {name} in {path} must have at least {SECRET_BYTES_MIN} bytes, or it cannot be masked"
        ));
    }
    Ok(value.to_owned())
}
