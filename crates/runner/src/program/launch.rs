//! Starting a program: what it may have of the server's environment, its secrets, and the parent that fences it.

use std::{collections::BTreeMap, path::Path, process::Stdio};

use tenfold_app::{
    deploys::ports::Stream,
    settings::{BuildSecret, Sandbox},
};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, Command},
};

use super::Program;
use crate::{
    mask::{SECRET_BYTES_MIN, Secrets},
    process::inherited_env,
    runner::BuildParent,
    sandbox::{Spec, cgroup},
};

/// Largest file with a secret.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

pub(super) struct Started {
    pub child: Child,
    pub secrets: Secrets,
    /// The child is the program's parent and not the program.
    pub fenced: bool,
    spec: Option<Vec<u8>>,
    /// While it is open, the parent knows that the server lives.
    line: Option<ChildStdin>,
    _group: Option<cgroup::Owned>,
}

impl Started {
    /// Tells the parent what to start; the program does not run before.
    pub async fn tell(&mut self, what: &str) -> Result<(), String> {
        if let (Some(input), Some(spec)) = (&mut self.line, self.spec.take()) {
            input
                .write_all(&spec)
                .await
                .map_err(|e| format!("{what} was not started: its parent could not be told what to do: {e}"))?;
        }
        Ok(())
    }
}

pub(super) fn start(program: &Program<'_>) -> Result<Started, String> {
    let secrets = secrets(program)?;
    let env = env(program, &secrets);
    let masked = Secrets::new(secrets.values().map(String::as_str));
    match program.parent {
        None if program.settings.sandbox == Sandbox::Required => {
            Err("builds.sandbox is `required`, and this server has nothing to fence a program with".to_owned())
        }
        None => plain(program, &env, masked),
        Some(parent) => fenced(program, parent, env, masked),
    }
}

fn plain(program: &Program<'_>, env: &BTreeMap<String, String>, secrets: Secrets) -> Result<Started, String> {
    let said = format!("not in a sandbox: {} has the server's user, files and network", program.what);
    (program.lines)(Stream::Tenfold, &said);
    let (argv, dir) = (program.argv, program.folder.dir());
    let name = argv.first().ok_or("there is no command")?;
    let child = piped(Command::new(name).args(&argv[1..]).current_dir(program.folder.source()))
        .envs(env)
        .env("HOME", dir.join("home"))
        .env("TMPDIR", dir.join("tmp"))
        .envs(program.places.iter().map(|(variable, below)| (variable, dir.join(below))))
        .stdin(Stdio::null())
        .spawn()
        .map_err(|e| format!("`{name}` could not be started: {e}; is it installed on the server and in its PATH?"))?;
    Ok(Started { child, secrets, fenced: false, spec: None, line: None, _group: None })
}

fn fenced(
    program: &Program<'_>,
    parent: &BuildParent,
    env: BTreeMap<String, String>,
    secrets: Secrets,
) -> Result<Started, String> {
    let mut spec = Spec {
        command: program.argv.to_vec(),
        env,
        places: program.places.clone(),
        dir: program.folder.dir().to_path_buf(),
        hide: hidden(program, parent),
        readable: program.settings.readable.clone(),
        network: program.settings.network && program.network,
        uid: program.uid,
        required: program.settings.sandbox == Sandbox::Required,
        missing: Vec::new(),
        in_force: Vec::new(),
        inside: None,
        pid_namespace: false,
        user_namespace: None,
    };
    let mut child = piped(Command::new(&parent.program).arg("sandbox").current_dir("/"))
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|e| format!("the sandbox {} could not be started: {e}", parent.program.display()))?;
    let group = limit(program, child.id(), &mut spec);
    let line = child.stdin.take();
    let mut text = serde_json::to_vec(&spec).map_err(|e| e.to_string())?;
    text.push(b'\n');
    Ok(Started { child, secrets, fenced: true, spec: Some(text), line, _group: group })
}

fn piped(command: &mut Command) -> &mut Command {
    command.env_clear().stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true)
}

/// The data directory with its database and keys, the settings, and the files of secrets.
fn hidden(program: &Program<'_>, parent: &BuildParent) -> Vec<std::path::PathBuf> {
    let mut hide: Vec<_> = program.folder.dir().ancestors().nth(2).map(Path::to_path_buf).into_iter().collect();
    hide.extend(parent.hide.iter().cloned());
    hide.extend(program.settings.secrets.iter().map(|s| s.file.clone()));
    hide.into_iter().filter_map(|p| std::fs::canonicalize(p).ok()).collect()
}

/// Puts the parent into a control group, as far as that can be had.
fn limit(program: &Program<'_>, pid: Option<u32>, spec: &mut Spec) -> Option<cgroup::Owned> {
    let limits = cgroup::Limits {
        memory_bytes: Some(program.settings.memory_mb.saturating_mul(1 << 20)),
        processes: Some(program.settings.processes),
        cpu_percent: None,
    };
    // several servers may share a machine and its hierarchy
    let place = blake3::hash(program.folder.dir().as_os_str().as_encoded_bytes()).to_hex();
    let name = format!("{}{}-{}", cgroup::PREFIX, program.group, &place[..12]);
    match grouped(&name, limits, pid) {
        Ok((group, base, limited)) => {
            spec.in_force.push(base.words().to_owned());
            for cgroup::Limited { controller, limit, missing } in limited {
                let words = controller.words(limit);
                match missing {
                    None => spec.in_force.push(words),
                    Some(why) => spec.missing.push(format!("{words}: {why}")),
                }
            }
            Some(group)
        }
        Err(why) => {
            spec.missing.push(format!("limits on memory and processes: {why}"));
            None
        }
    }
}

type Grouped = (cgroup::Owned, &'static cgroup::Base, Vec<cgroup::Limited>);

/// Limits first, so that the program never has a group without.
fn grouped(name: &str, limits: cgroup::Limits, pid: Option<u32>) -> Result<Grouped, String> {
    let base = cgroup::base(cgroup::Role::Server)?;
    let pid = pid.ok_or("the program's parent ended at once")?;
    let told = |e: std::io::Error| format!("the control group {name} could not be made: {e}");
    let group = cgroup::Owned(cgroup::Group::make(base, name).map_err(told)?);
    let limited = group.0.limit(limits);
    group.0.join(pid).map_err(told)?;
    Ok((group, base, limited))
}

/// What it starts with: the few variables programs need, those the operator names, what tenfold and the pipeline file say,
/// and the secrets it asks for.
fn env(program: &Program<'_>, secrets: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> = inherited_env().into_iter().collect();
    env.extend(program.settings.env.iter().filter_map(|name| Some((name.clone(), std::env::var(name).ok()?))));
    env.extend(program.env.clone());
    env.extend(secrets.clone());
    env
}

fn secrets(program: &Program<'_>) -> Result<BTreeMap<String, String>, String> {
    let service = program.service;
    let mut found = BTreeMap::new();
    for name in program.secrets {
        let known =
            program.settings.secrets.iter().find(|s| s.name == *name && s.services.iter().any(|of| of == service));
        let secret = known.ok_or_else(|| {
            format!(
                "{}.secrets asks for {name}, which the server's settings do not have for {service} (builds.secrets)",
                program.key
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
