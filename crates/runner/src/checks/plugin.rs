//! Programs: found in the plugin folders, started by argument vector in a group of their own, ended as a group.
//!
//! A thousand a second are started here, and most are done in some milliseconds. So those are waited for alone, and what they
//! said is taken from the pipes when they are gone: nothing wakes for their output. Who takes longer is listened to, since
//! a pipe holds little.

use std::io::{self, PipeReader, Read};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tenfold_alerting::checks::CheckStatus;
use tenfold_app::checks::Ran;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};

use super::{timed_out, unknown};
use crate::process::inherited_env;

/// Bytes of output that are kept; the rest is read and left away, so that the program does not hang on it.
const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// Who is not done by then is listened to.
const AT_ONCE: Duration = Duration::from_millis(50);

/// Kills the group when the look is dropped or done: nothing of a plugin outlives it.
struct Group(i32);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.0), Signal::SIGKILL);
    }
}

/// Starts plugins.
pub struct Plugins {
    dirs: Vec<PathBuf>,
    environment: Vec<(String, String)>,
}

impl Plugins {
    /// From these folders alone.
    pub fn new(dirs: Vec<PathBuf>) -> Self {
        Self { dirs, environment: inherited_env() }
    }

    /// Returns within `timeout`, and what was started has ended by then.
    pub async fn run(&self, argv: &[String], timeout: Duration) -> Ran {
        let Some((name, arguments)) = argv.split_first() else { return unknown("no program is named") };
        let program = match find(&self.dirs, name) {
            Ok(program) => program,
            Err(message) => return unknown(&message),
        };
        let (mut child, pipes) = match self.start(&program, arguments) {
            Ok(started) => started,
            Err(e) => return unknown(&format!("{} could not be started: {e}", program.display())),
        };
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Group);
        let Ok(end) = tokio::time::timeout(timeout, ended(&mut child, group, pipes)).await else {
            return timed_out("plugin", timeout);
        };
        let (status, said, complained) = match end {
            Ok(end) => end,
            Err(e) => return unknown(&format!("{} could not be waited for: {e}", program.display())),
        };
        let Some(code) = status.code() else {
            return unknown(&format!("{} was ended by a signal", program.display()));
        };
        let output = if is_blank(&said) { no_data(complained) } else { said };
        Ran { status: CheckStatus::of_exit(code), output }
    }

    /// With the pipes of its output and of its complaints.
    fn start(&self, program: &Path, arguments: &[String]) -> io::Result<(Child, (PipeReader, PipeReader))> {
        let (out, out_end) = io::pipe()?;
        let (err, err_end) = io::pipe()?;
        // It holds the ends that are written to, and they are closed with it.
        let mut command = Command::new(program);
        command.args(arguments).env_clear();
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        command.stdin(Stdio::null()).stdout(out_end).stderr(err_end).process_group(0).kill_on_drop(true);
        let child = command.spawn()?;
        Ok((child, (out, err)))
    }
}

/// Waits until the program ends, and ends with it what it has started. What it said, and what it complained of if it said
/// nothing.
async fn ended(
    child: &mut Child,
    group: Option<Group>,
    (out, err): (PipeReader, PipeReader),
) -> io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
    if let Ok(status) = tokio::time::timeout(AT_ONCE, child.wait()).await {
        drop(group);
        let said = drained(&out)?;
        let complained = if is_blank(&said) { drained(&err)? } else { Vec::new() };
        return Ok((status?, said, complained));
    }
    let (mut out, mut err) = (Receiver::from_owned_fd(out.into())?, Receiver::from_owned_fd(err.into())?);
    let status = async {
        let status = child.wait().await;
        drop(group);
        status
    };
    let (said, complained, status) = tokio::join!(read(&mut out), read(&mut err), status);
    Ok((status?, said, complained))
}

/// What is in a pipe when the program has ended. Who else has it open is not waited for.
fn drained(mut pipe: &PipeReader) -> io::Result<Vec<u8>> {
    fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let (mut kept, mut buffer) = (Vec::new(), [0; 4 << 10]);
    loop {
        match pipe.read(&mut buffer) {
            Ok(n) => {
                keep(&mut kept, &buffer[..n]);
                // What it left in the pipe is no more than that; who else writes there might never stop.
                if n < buffer.len() || kept.len() == OUTPUT_BYTES_MAX {
                    return Ok(kept);
                }
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(kept),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

fn keep(kept: &mut Vec<u8>, more: &[u8]) {
    let room = OUTPUT_BYTES_MAX - kept.len();
    kept.extend_from_slice(&more[..more.len().min(room)]);
}

fn is_blank(said: &[u8]) -> bool {
    said.iter().all(u8::is_ascii_whitespace)
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

async fn read(from: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut buffer = vec![0; 8 << 10];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return kept,
            Ok(n) => keep(&mut kept, &buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn who_never_stops_writing_is_not_read_to_an_end() {
        let (out, mut end) = io::pipe().unwrap();
        let writes = std::thread::spawn(move || while end.write_all(&[b'x'; 16 << 10]).is_ok() {});
        assert!(drained(&out).unwrap().len() <= OUTPUT_BYTES_MAX);
        drop(out);
        writes.join().unwrap();
    }
}
