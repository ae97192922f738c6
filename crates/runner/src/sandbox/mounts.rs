//! The program's own view of the files: an empty `/tmp` with its folder in it, and nothing of the server's data or of the
//! machine's sockets.

use std::{
    fs,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::mount::{MsFlags, mount};

use super::{INSIDE, Spec, TEMPORARY};

/// What `/tmp` and shared memory hold at most; large files belong into `TMPDIR`, which is on disk.
const TMP: &str = "mode=1777,size=2g";
/// What stands in the place of a hidden folder.
const HIDDEN: &str = "mode=000,size=4k,nr_inodes=1";
const NONE: Option<&str> = None;

pub(super) fn hide(spec: &Spec) -> Result<(), String> {
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).map_err(|e| format!("/: {e}"))?;
    // opened here, since /tmp may be where it lies
    let dir = fs::File::open(&spec.dir).map_err(|e| format!("{}: {e}", spec.dir.display()))?;
    let resolver = fs::read("/etc/resolv.conf").ok();
    let resolver_path = fs::canonicalize("/etc/resolv.conf").ok();
    let resolver_path = resolver_path.filter(|p| spec.network && (p.starts_with("/run") || p.starts_with(TEMPORARY)));
    tmpfs(Path::new(TEMPORARY), TMP)?;
    for (path, options) in [("/run", "mode=755,size=1m"), ("/dev/shm", TMP), ("/var/tmp", TMP)] {
        if is_folder(Path::new(path)) {
            tmpfs(Path::new(path), options)?;
        }
    }
    if let (Some(path), Some(text)) = (resolver_path, resolver) {
        let kept = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
        kept.map_err(|e| format!("{}: {e}", path.display()))?;
    }
    for readable in &spec.readable {
        if !readable.exists() {
            return Err(format!(
                "builds.readable has {}, which /tmp and /run of the sandbox do not have",
                readable.display()
            ));
        }
    }
    fs::create_dir(INSIDE).map_err(|e| format!("{INSIDE}: {e}"))?;
    let source = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(&source), INSIDE, NONE, flags, NONE).map_err(|e| format!("{INSIDE}: {e}"))?;
    for path in &spec.hide {
        if is_folder(path) {
            tmpfs(path, HIDDEN)?;
        } else if path.exists() {
            let bind = MsFlags::MS_BIND;
            mount(Some("/dev/null"), path, NONE, bind, NONE).map_err(|e| format!("{}: {e}", path.display()))?;
        }
    }
    Ok(())
}

/// A folder and not a link to one, which would lead the mount elsewhere.
fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|m| m.is_dir())
}

fn tmpfs(path: &Path, options: &str) -> Result<(), String> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), path, Some("tmpfs"), flags, Some(options)).map_err(|e| format!("{}: {e}", path.display()))
}

/// The process namespace's own /proc, seen from its first process.
pub(super) fn proc() -> Result<(), String> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, NONE).map_err(|e| e.to_string())
}

/// A network namespace starts with its loopback down; tests within a build often need it.
pub(super) fn loopback() {
    for program in ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip"] {
        let quiet = Command::new(program)
            .args(["link", "set", "lo", "up"])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if quiet.is_ok() {
            return;
        }
    }
}
