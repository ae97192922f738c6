//! Programs: found in the plugin folders, started by argument vector in a group of their own, ended as a group.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tenfold_alerting::checks::CheckStatus;
use tenfold_app::checks::Ran;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::{timed_out, unknown};
use crate::process::inherited_env;

/// Bytes of output that are kept; the rest is read and left away, so that the program does not hang on it.
const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// What a program gets to go away after it was killed.
pub const GRACE: Duration = Duration::from_secs(2);

/// Kills the group when the look is dropped or done: nothing of a plugin outlives it.
struct Group(i32);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.0), Signal::SIGKILL);
    }
}

pub async fn run(dirs: &[PathBuf], argv: &[String], timeout: Duration) -> Ran {
    let Some((name, arguments)) = argv.split_first() else { return unknown("no program is named") };
    let program = match find(dirs, name) {
        Ok(program) => program,
        Err(message) => return unknown(&message),
    };
    let mut command = Command::new(&program);
    command
        .args(arguments)
        .env_clear()
        .envs(inherited_env())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(e) => return unknown(&format!("{} could not be started: {e}", program.display())),
    };
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Group);
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let whole = async {
        let ((said, complained), status) =
            tokio::join!(async { tokio::join!(read(out.as_mut()), read(err.as_mut())) }, child.wait());
        (said, complained, status)
    };
    let ended = tokio::time::timeout(timeout, whole).await;
    drop(group);
    let Ok((said, complained, status)) = ended else { return timed_out("plugin", timeout) };
    let output = if said.iter().all(u8::is_ascii_whitespace) { no_data(complained) } else { said };
    match status.map(|s| s.code()) {
        Ok(Some(code)) => Ran { status: CheckStatus::of_exit(code), output },
        Ok(None) => unknown(&format!("{} was ended by a signal", program.display())),
        Err(e) => unknown(&format!("{} could not be waited for: {e}", program.display())),
    }
}

/// A complaint, of which nothing is performance data: a usage text is full of `|`.
fn no_data(mut complaint: Vec<u8>) -> Vec<u8> {
    complaint.iter_mut().filter(|b| **b == b'|').for_each(|b| *b = b'/');
    complaint
}

/// A bare name is looked up in the folders, a path must lie in one of them.
fn find(dirs: &[PathBuf], name: &str) -> Result<PathBuf, String> {
    let path = Path::new(name);
    if path.is_absolute() {
        let inside = dirs.iter().any(|dir| path.parent() == Some(dir));
        return if inside { Ok(path.to_owned()) } else { Err(format!("{name} is in none of the plugin folders")) };
    }
    if name.contains('/') {
        return Err(format!("{name} is neither a file name nor a whole path"));
    }
    let found = dirs.iter().map(|dir| dir.join(name)).find(|p| p.is_file());
    found.ok_or_else(|| format!("{name} is in none of the plugin folders"))
}

async fn read(from: Option<&mut (impl AsyncRead + Unpin)>) -> Vec<u8> {
    let Some(from) = from else { return Vec::new() };
    let mut kept = Vec::new();
    let mut buffer = vec![0; 8 << 10];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return kept,
            Ok(n) => {
                let room = OUTPUT_BYTES_MAX - kept.len();
                kept.extend_from_slice(&buffer[..n.min(room)]);
            }
        }
    }
}
