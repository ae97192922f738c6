//! Starting a program's keeper: what the program may have of the server's environment, its secrets, and its fences.

use std::{
    collections::BTreeMap,
    path::Path,
    process::Stdio,
    sync::atomic::{AtomicU64, Ordering},
};

use tenfold_app::{
    deploys::ports::LEFT_ALONE,
    settings::{BuildSecret, Sandbox},
};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
};

use super::{Program, keeper::Orders, step::About};
use crate::{
    mask::SECRET_BYTES_MIN,
    process::{ProcessId, inherited_env},
    runner::BuildParent,
    sandbox::{Spec, cgroup},
};

/// Largest file with a secret.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Starts the keeper and tells it what to run. It holds nothing of the server's: the three streams are its own, and what else
/// is open is closed when a program is started.
pub(super) async fn start(program: &Program<'_>) -> Result<(Child, About), String> {
    let parent = program.parent.ok_or("this server is not a program that could keep others")?;
    let step = program.folder.step();
    step.clear().await?;
    let mut text = serde_json::to_vec(&orders(program, parent)?).map_err(|e| e.to_string())?;
    text.push(b'\n');
    let about = About { what: program.about.clone(), run: new_run() };
    let output = step.begin(&about).map_err(|e| format!("the folder {} cannot be used: {e}", step.dir().display()))?;
    let mut keeper = Command::new(&parent.program)
        .args(["sandbox", "keep"])
        .env_clear()
        .current_dir(step.dir())
        .stdin(Stdio::piped())
        .stdout(output)
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("the keeper {} could not be started: {e}", parent.program.display()))?;
    // what is not told whole is not begun
    if let Some(mut input) = keeper.stdin.take() {
        let told = input.write_all(&text).await;
        told.map_err(|e| format!("{} was not started: its keeper could not be told what to do: {e}", program.what))?;
    }
    Ok((keeper, about))
}

fn orders(program: &Program<'_>, parent: &BuildParent) -> Result<Orders, String> {
    let secrets = secrets(program)?;
    let fenced = program.settings.sandbox != Sandbox::Off;
    if fenced {
        // the server's own group is divided by the server, which may be moved; keepers are born beside it
        let _ = cgroup::base(cgroup::Role::Server);
    }
    // several servers may share a machine and its hierarchy
    let place = blake3::hash(program.folder.dir().as_os_str().as_encoded_bytes()).to_hex();
    Ok(Orders {
        what: program.what.clone(),
        key: program.key.clone(),
        timeout_s: program.timeout_s,
        idle_timeout_s: program.idle_timeout_s,
        left_alone_ms: u64::try_from(LEFT_ALONE.as_millis()).unwrap_or(u64::MAX),
        fenced,
        group: format!("{}{}-{}", cgroup::PREFIX, program.group, &place[..12]),
        memory_mb: program.settings.memory_mb,
        processes: program.settings.processes,
        spec: Spec {
            command: program.argv.to_vec(),
            env: env(program, &secrets),
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
        },
        secrets: secrets.into_values().collect(),
    })
}

/// A name that no other run has.
fn new_run() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let own = std::process::id();
    let started = ProcessId::of(own).map_or(0, |id| id.started);
    format!("{own}-{started}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The data directory with its database and keys, the settings, and the files of secrets.
fn hidden(program: &Program<'_>, parent: &BuildParent) -> Vec<std::path::PathBuf> {
    let mut hide: Vec<_> = program.folder.dir().ancestors().nth(2).map(Path::to_path_buf).into_iter().collect();
    hide.extend(parent.hide.iter().cloned());
    hide.extend(program.settings.secrets.iter().map(|s| s.file.clone()));
    hide.into_iter().filter_map(|p| std::fs::canonicalize(p).ok()).collect()
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
