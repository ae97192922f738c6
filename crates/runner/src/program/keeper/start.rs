//! Starting the program: in the sandbox, whose first process is told what to start, or as it is.

use std::process::Stdio;

use tenfold_app::deploys::ports::Stream;
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, Command},
};

use super::{Orders, Output};
use crate::sandbox::{Spec, cgroup};

pub(super) struct Started {
    pub child: Child,
    pub group: Option<cgroup::Owned>,
    /// For the sandbox's first process.
    spec: Option<Vec<u8>>,
    /// While it is open, that process knows that this one lives; else it ends, with all that it started.
    line: Option<ChildStdin>,
}

impl Started {
    /// Tells the sandbox what to start; the program does not run before.
    pub async fn tell(&mut self, what: &str) -> Result<(), String> {
        if let (Some(input), Some(spec)) = (&mut self.line, self.spec.take()) {
            input
                .write_all(&spec)
                .await
                .map_err(|e| format!("{what} was not started: its sandbox could not be told what to do: {e}"))?;
        }
        Ok(())
    }
}

pub(super) fn start(orders: &Orders, output: &Output) -> Result<Started, String> {
    if orders.fenced { fenced(orders) } else { plain(orders, output) }
}

fn plain(orders: &Orders, output: &Output) -> Result<Started, String> {
    let said = format!("not in a sandbox: {} has the server's user, files and network", orders.what);
    output.line(Stream::Tenfold, &said);
    let (argv, dir) = (&orders.spec.command, &orders.spec.dir);
    let name = argv.first().ok_or("there is no command")?;
    let child = piped(Command::new(name).args(&argv[1..]).current_dir(dir.join("src")))
        .envs(&orders.spec.env)
        .env("HOME", dir.join("home"))
        .env("TMPDIR", dir.join("tmp"))
        .envs(orders.spec.places.iter().map(|(variable, below)| (variable, dir.join(below))))
        .stdin(Stdio::null())
        .spawn()
        .map_err(|e| format!("`{name}` could not be started: {e}; is it installed on the server and in its PATH?"))?;
    Ok(Started { child, group: None, spec: None, line: None })
}

fn fenced(orders: &Orders) -> Result<Started, String> {
    let mut spec = orders.spec.clone();
    // the running program itself, also when its file was replaced since
    let mut child = piped(Command::new("/proc/self/exe").arg("sandbox").current_dir("/"))
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|e| format!("the sandbox could not be started: {e}"))?;
    let group = limit(orders, child.id(), &mut spec);
    let line = child.stdin.take();
    let mut text = serde_json::to_vec(&spec).map_err(|e| e.to_string())?;
    text.push(b'\n');
    Ok(Started { child, group, spec: Some(text), line })
}

fn piped(command: &mut Command) -> &mut Command {
    command.env_clear().stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true)
}

/// Puts the sandbox into a control group, as far as that can be had.
fn limit(orders: &Orders, pid: Option<u32>, spec: &mut Spec) -> Option<cgroup::Owned> {
    let limits = cgroup::Limits {
        memory_bytes: Some(orders.memory_mb.saturating_mul(1 << 20)),
        processes: Some(orders.processes),
        cpu_percent: None,
    };
    match grouped(&orders.group, limits, pid) {
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
    let pid = pid.ok_or("the sandbox ended at once")?;
    let told = |e: std::io::Error| format!("the control group {name} could not be made: {e}");
    let group = cgroup::Owned(cgroup::Group::make(base, name).map_err(told)?);
    let limited = group.0.limit(limits);
    group.0.join(pid).map_err(told)?;
    Ok((group, base, limited))
}
