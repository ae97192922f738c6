//! Programs: found in the plugin folders, started by argument vector in a group of their own, ended as a group. The process that
//! does the starting is the starter.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tenfold_alerting::checks::CheckStatus;
use tenfold_app::checks::Ran;

use super::starter::{End, Starter};
use super::timed_out;

/// Starts plugins.
pub struct Plugins {
    dirs: Vec<PathBuf>,
    starter: Starter,
}

impl Plugins {
    /// From these folders alone, by a program that becomes the starter.
    pub fn new(dirs: Vec<PathBuf>, program: PathBuf) -> Self {
        Self { dirs, starter: Starter::new(program) }
    }

    /// Returns when it has ended, or was killed with all it started after `timeout`.
    pub async fn run(&self, argv: &[String], timeout: Duration) -> Ran {
        let Some((name, arguments)) = argv.split_first() else { return Ran::unknown("no program is named") };
        let program = match find(&self.dirs, name) {
            Ok(program) => program,
            Err(message) => return Ran::unknown(&message),
        };
        let mut started = vec![program.as_os_str().as_bytes()];
        started.extend(arguments.iter().map(String::as_bytes));
        match self.starter.run(&started, timeout).await {
            Ok(End::Exited { code, output }) => Ran { status: CheckStatus::of_exit(i32::from(code)), output },
            Ok(End::Signal(_)) => Ran::unknown(&format!("{} was ended by a signal", program.display())),
            Ok(End::TimedOut) => timed_out("plugin", timeout),
            Ok(End::NotStarted(why)) => Ran::unknown(&format!("{} could not be started: {why}", program.display())),
            Err(why) => Ran::unknown(&format!("what became of {} is not known: {why}", program.display())),
        }
    }
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
