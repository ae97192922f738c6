//! Calls over OpenSSH: one connection for each host that all calls share (ControlMaster), known hosts only, nothing asked.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tenfold_app::settings::{Ssh, SshHost};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, Command};

use super::scripts;

/// A path to a Unix socket holds no more, and OpenSSH puts something behind it for a moment.
const SOCKET_BYTES_MAX: usize = 80;
const SAID_BYTES_MAX: usize = 4_096;

/// How to reach one host.
#[derive(Clone)]
pub struct Line {
    options: Vec<String>,
    destination: String,
}

/// Why a call came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// The host was not reached, or the line broke.
    Away(String),
    /// What ran there failed, or did not end in time. A line that is dead is told by OpenSSH itself, which is sooner.
    Failed(String),
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Away(text) | Self::Failed(text) => f.write_str(text),
        }
    }
}

/// The folder of the shared connections: its sockets let anybody in who may open them.
pub fn control_dir(data_dir: &Path) -> io::Result<Option<PathBuf>> {
    let dir = std::path::absolute(data_dir)?.join("ssh");
    if dir.as_os_str().len() + 48 > SOCKET_BYTES_MAX {
        tracing::warn!("the data directory's path is too long for ssh to share connections; each call makes its own");
        return Ok(None);
    }
    if !dir.is_dir() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
    }
    Ok(Some(dir))
}

impl Line {
    pub fn new(settings: &Ssh, host: &SshHost, control: Option<&Path>) -> Self {
        let mut options = vec!["-T".to_owned(), "-F".to_owned()];
        options.push(settings.config_file.as_ref().map_or_else(|| "none".to_owned(), |f| f.display().to_string()));
        let mut set = |key: &str, value: String| options.extend(["-o".to_owned(), format!("{key}={value}")]);
        for (key, value) in [
            ("BatchMode", "yes"),
            ("StrictHostKeyChecking", "yes"),
            ("UpdateHostKeys", "no"),
            ("CheckHostIP", "no"),
            ("ConnectTimeout", "10"),
            ("ServerAliveInterval", "5"),
            ("ServerAliveCountMax", "3"),
            ("ClearAllForwardings", "yes"),
            ("ForwardAgent", "no"),
            ("PermitLocalCommand", "no"),
            ("LogLevel", "ERROR"),
        ] {
            set(key, value.to_owned());
        }
        if let Some(file) = &settings.known_hosts_file {
            set("UserKnownHostsFile", file.display().to_string());
            set("GlobalKnownHostsFile", "none".to_owned());
        }
        if let Some(file) = &settings.identity_file {
            set("IdentityFile", file.display().to_string());
            set("IdentitiesOnly", "yes".to_owned());
        }
        if let Some(dir) = control {
            set("ControlMaster", "auto".to_owned());
            set("ControlPath", dir.join("%C").display().to_string());
            set("ControlPersist", "120".to_owned());
        }
        if host.port != 0 {
            set("Port", host.port.to_string());
        }
        if !host.user.is_empty() {
            set("User", host.user.clone());
        }
        Self { options, destination: host.address.clone() }
    }

    /// Runs a command there; `feed` writes what goes in. What comes out is returned, up to `out_max` bytes.
    pub async fn call<F>(
        &self,
        command: &str,
        within: Duration,
        out_max: usize,
        feed: impl FnOnce(ChildStdin) -> F,
    ) -> Result<Vec<u8>, CallError>
    where
        F: Future<Output = io::Result<()>>,
    {
        let away = |e: io::Error| CallError::Away(format!("ssh could not be started: {e}"));
        let mut child = Command::new("ssh")
            .args(&self.options)
            .args(["--", &self.destination, command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(away)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err(CallError::Away("ssh has no pipes".to_owned()));
        };
        let said = async {
            let mut said = Vec::new();
            let _ = stderr.take(SAID_BYTES_MAX as u64).read_to_end(&mut said).await;
            said
        };
        let out = async {
            let mut out = Vec::new();
            stdout.take(out_max as u64 + 1).read_to_end(&mut out).await.map(|_| out)
        };
        let all = async {
            let (fed, out, said) = tokio::join!(feed(stdin), out, said);
            (fed, out, said, child.wait().await)
        };
        let (fed, out, said, status) = tokio::time::timeout(within, all)
            .await
            .map_err(|_| CallError::Failed(format!("{} took longer than {} s", self.destination, within.as_secs())))?;
        let status = status.map_err(away)?;
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        match status.code() {
            Some(0) => {}
            // ssh's own: no script of ours ends with it
            Some(255) | None => return Err(CallError::Away(format!("{}: {said}", self.destination))),
            Some(scripts::CODE_255) => return Err(CallError::Failed(format!("exit code 254 or 255: {said}"))),
            Some(code) => return Err(CallError::Failed(format!("exit code {code}: {said}"))),
        }
        let out = out.map_err(away)?;
        // a script that refuses the order takes nothing of what is sent
        if let Err(error) = fed
            && !out.starts_with(b"refused ")
        {
            return Err(CallError::Failed(format!("what was sent was not taken: {error}")));
        }
        if out.len() > out_max {
            return Err(CallError::Failed(format!("the answer has more than {out_max} bytes")));
        }
        Ok(out)
    }

    /// With bytes to send, or none.
    pub async fn ask(
        &self,
        command: &str,
        within: Duration,
        send: &[u8],
        out_max: usize,
    ) -> Result<Vec<u8>, CallError> {
        self.call(command, within, out_max, |mut stdin| async move {
            stdin.write_all(send).await?;
            stdin.shutdown().await
        })
        .await
    }
}
