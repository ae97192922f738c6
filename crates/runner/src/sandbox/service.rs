//! A service of an agent before it is itself: this process puts itself under the service's limits and then becomes the
//! service, so that not one of its processes is ever without them. Its process number stays the same.

use std::{
    convert::Infallible,
    fs,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, Stdio},
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::{NOT_STARTED, read_spec};

/// What it is told: one line of JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServiceSpec {
    pub command: Vec<String>,
    /// The folders of the control group to join, one in each hierarchy.
    #[serde(default)]
    pub join: Vec<PathBuf>,
    /// Bytes of data of its own that each process may have. Address space is not limited: what a program reserves and
    /// never touches would count, and Node, Go and Java reserve many times what they use.
    pub data_bytes: Option<u64>,
    /// Counted by the kernel over all that the user runs.
    pub processes: Option<u64>,
    pub files: Option<u64>,
}

pub(super) fn main() -> u8 {
    let Err(error) = read_spec::<ServiceSpec>().and_then(|spec| become_it(&spec));
    // standard error is the service's log
    eprintln!("{error}");
    u8::try_from(NOT_STARTED).unwrap_or(1)
}

fn become_it(spec: &ServiceSpec) -> Result<Infallible, String> {
    for group in &spec.join {
        fs::write(group.join("cgroup.procs"), std::process::id().to_string())
            .map_err(|e| format!("the service could not join its control group {}: {e}", group.display()))?;
    }
    let limits = [
        (Resource::RLIMIT_DATA, spec.data_bytes, "memory"),
        (Resource::RLIMIT_NPROC, spec.processes, "processes"),
        (Resource::RLIMIT_NOFILE, spec.files, "open files"),
    ];
    let (program, args) = spec.command.split_first().ok_or("the release has no command")?;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    for (resource, value, what) in limits {
        let Some(value) = value else { continue };
        // nobody raises what somebody else has limited already
        let value = getrlimit(resource).map_or(value, |(_, hard)| value.min(hard));
        setrlimit(resource, value, value).map_err(|e| format!("the limit on {what} could not be set: {e}"))?;
    }
    let error = command.exec();
    Err(format!("`{program}` could not be started: {error}; is it installed on the host and in its PATH?"))
}
