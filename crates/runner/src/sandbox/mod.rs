//! What a program of a repository (a build, a hook, a command of a target) runs in: namespaces, Landlock, limits and a user of its own, as far as the machine permits.
//!
//! The program starts itself once more ([`main`]) as a keeper (`program::keeper`), and that one starts it once more as a small
//! single-threaded parent of the program. Each is told what to do on its standard input and never by environment or arguments,
//! which other processes can read and loaders obey. The parent's input stays open: when the keeper ends, however it ends, the
//! parent sees its end and takes the program with it. The keeper outlives the server.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub(crate) mod cgroup;
mod fence;
mod init;
mod mounts;
mod outer;
mod service;

pub(crate) use outer::end_descendants;
pub(crate) use service::ServiceSpec;

/// Where the program's folder is seen from inside a mount namespace: the same path for every one, so that paths that end
/// up in the output do not differ.
pub(crate) const INSIDE: &str = concat!("/", "tmp/build");
/// The folder for anybody's files, which a program sees empty. It is the sandbox's own and no place of this machine.
pub(crate) const TEMPORARY: &str = concat!("/", "tmp");
/// Programs of a server that is root get a user number from here on, one each, outside every range that distributions hand out.
pub(crate) const UID_FIRST: u32 = 1_900_000_000;
const UID_COUNT: i64 = 65_536;
/// Starts a line of the parent's own among the program's output.
pub(crate) const MARK: char = '\u{1e}';
/// The exit code of the parent when the program could not be started.
pub(crate) const NOT_STARTED: i32 = 127;

/// What the parent is told: one line of JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub command: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// Variables that name folders below its own, by their path there.
    #[serde(default)]
    pub places: BTreeMap<String, String>,
    /// The program's folder, with `src`, `tmp` and `home` in it.
    pub dir: PathBuf,
    /// Folders it must not see, the server's data directory first of all.
    pub hide: Vec<PathBuf>,
    /// Folders it may read beside the system's own.
    pub readable: Vec<PathBuf>,
    pub network: bool,
    /// The user the command runs as; only when the server is root.
    pub uid: Option<u32>,
    /// Without its own files, processes and Landlock the command is not started.
    pub required: bool,
    /// What could not be had before the parent was started.
    pub missing: Vec<String>,
    /// What was had before it was started.
    pub in_force: Vec<String>,
    /// The folder as it is seen inside; set by the first stage.
    #[serde(default)]
    pub inside: Option<PathBuf>,
    /// It is in a process namespace of its own; set by the first stage.
    #[serde(default)]
    pub pid_namespace: bool,
    /// It is in a user namespace; set by the first stage, with the numbers outside.
    #[serde(default)]
    pub user_namespace: Option<(u32, u32)>,
}

/// What a program is fenced by, said before its first line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub in_force: Vec<String>,
    pub missing: Vec<String>,
}

/// What the parent says of itself, each on a line that starts with [`MARK`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Said {
    Fenced(Report),
    NotStarted(String),
}

impl Said {
    fn print(&self) {
        use std::io::Write;
        let line = serde_json::to_string(self).unwrap_or_default();
        let _ = writeln!(std::io::stdout(), "{MARK}{line}");
    }
}

/// The user number of a deploy's programs.
pub(crate) fn uid_of(deploy: i64) -> u32 {
    UID_FIRST + u32::try_from(deploy.rem_euclid(UID_COUNT)).unwrap_or(0)
}

/// Whatever stands between the server or an agent and a program. Tenfold calls it before it starts any thread, with the
/// arguments behind its name: `keep` for the keeper, none for the first stage of the sandbox, `init` for the second; `service`
/// is an agent's, which becomes the service; `starter` starts plugins of checks. Returns the exit code.
pub fn main(stage: Option<&str>) -> u8 {
    match stage {
        Some("keep") => return crate::program::keeper::main(),
        Some("service") => return service::main(),
        Some("starter") => return crate::checks::starter::main(),
        _ => {}
    }
    let spec: Spec = match read_spec() {
        Ok(spec) => spec,
        Err(error) => {
            eprintln!("this verb is started by the server for a build or a hook, not by hand: {error}");
            return 2;
        }
    };
    let ended = match stage {
        None => outer::run(spec),
        Some("init") => init::run(spec),
        Some(other) => Err(format!("there is no stage `{other}`")),
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            Said::NotStarted(error).print();
            u8::try_from(NOT_STARTED).unwrap_or(1)
        }
    }
}

/// One line from standard input, byte by byte: what follows belongs to whoever watches for its end.
pub(crate) fn read_spec<T: serde::de::DeserializeOwned>() -> Result<T, String> {
    use std::io::Read;
    const BYTES_MAX: usize = 4 * 1024 * 1024;
    let mut line = Vec::new();
    let mut input = unbuffered_stdin().map_err(|e| e.to_string())?;
    let mut byte = [0; 1];
    while line.len() < BYTES_MAX {
        match input.read(&mut byte) {
            Ok(1) if byte[0] != b'\n' => line.push(byte[0]),
            Ok(_) => break,
            Err(error) => return Err(error.to_string()),
        }
    }
    serde_json::from_slice(&line).map_err(|e| e.to_string())
}

/// Standard input as a file of its own.
fn unbuffered_stdin() -> std::io::Result<std::fs::File> {
    use std::os::fd::AsFd;
    Ok(std::fs::File::from(std::io::stdin().as_fd().try_clone_to_owned()?))
}

impl Spec {
    /// The program's folder as it sees it itself.
    fn root(&self) -> &Path {
        self.inside.as_deref().unwrap_or(&self.dir)
    }
}
