//! A control group of version 2 for one program: limits on memory and processes, and a way to end all of it at once.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// How often, and how many times, it is tried to remove a group whose processes were killed.
const GOES_EVERY: Duration = Duration::from_millis(100);
const GOES_TRIES: u32 = 100;

/// A program's group; removed when dropped.
pub(crate) struct Group {
    dir: PathBuf,
}

/// What a group may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub memory_bytes: u64,
    pub processes: u32,
}

impl Group {
    /// Makes the group below `parent`. What the hierarchy does not offer is in the second list, in words.
    pub fn make(parent: &Path, name: &str, limits: Limits) -> io::Result<(Self, Vec<String>, Vec<String>)> {
        let dir = parent.join(name);
        fs::create_dir_all(&dir)?;
        let group = Self { dir };
        let (mut done, mut missing) = (Vec::new(), Vec::new());
        // no effect where the parent holds processes itself or the controllers are already on
        let _ = fs::write(parent.join("cgroup.subtree_control"), "+memory +pids");
        let wanted = [
            ("memory.max", limits.memory_bytes.to_string(), format!("memory up to {} MB", limits.memory_bytes >> 20)),
            ("pids.max", limits.processes.to_string(), format!("up to {} processes", limits.processes)),
        ];
        for (file, value, words) in wanted {
            let path = group.dir.join(file);
            let written = if path.exists() { fs::write(path, value) } else { Err(io::ErrorKind::NotFound.into()) };
            match written {
                Ok(()) => done.push(words),
                Err(_) => missing.push(words),
            }
        }
        // a group that swaps instead would only be slow
        let _ = fs::write(group.dir.join("memory.swap.max"), "0");
        Ok((group, done, missing))
    }

    /// The file a process writes itself into.
    pub fn join(&self, pid: u32) -> io::Result<()> {
        fs::write(self.dir.join("cgroup.procs"), pid.to_string())
    }

    fn kill(&self) {
        let _ = fs::write(self.dir.join("cgroup.kill"), "1");
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        // the kernel lets the folder go when the last process is gone, which may be a moment after it was killed
        if !removed(&self.dir)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let dir = std::mem::take(&mut self.dir);
            runtime.spawn(async move {
                for _ in 0..GOES_TRIES {
                    tokio::time::sleep(GOES_EVERY).await;
                    if removed(&dir) {
                        return;
                    }
                }
                tracing::warn!(dir = %dir.display(), "a control group could not be removed; a process in it does not end");
            });
        }
    }
}

fn removed(dir: &Path) -> bool {
    match fs::remove_dir(dir) {
        Ok(()) => true,
        Err(e) => e.kind() == io::ErrorKind::NotFound,
    }
}

/// The group this process is in, where version 2 is mounted and may be written.
pub(crate) fn own() -> Result<PathBuf, String> {
    let mounts = fs::read_to_string("/proc/self/mounts").map_err(|e| e.to_string())?;
    let root = mounts
        .lines()
        .find_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let path = fields.next()?;
            (fields.next()? == "cgroup2").then(|| PathBuf::from(path))
        })
        .ok_or("control groups of version 2 are not mounted")?;
    let own = fs::read_to_string("/proc/self/cgroup").map_err(|e| e.to_string())?;
    let path = own.lines().find_map(|l| l.strip_prefix("0::/")).ok_or("this process is in no control group")?;
    let dir = root.join(path);
    match nix::unistd::access(&dir, nix::unistd::AccessFlags::W_OK) {
        Ok(()) => Ok(dir),
        Err(_) => Err(format!("{} may not be written; delegate it to the server (`Delegate=yes`)", dir.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_hierarchy_does_not_offer_is_said() {
        let parent = tempfile::tempdir().unwrap();
        fs::create_dir(parent.path().join("build-1")).unwrap();
        fs::write(parent.path().join("build-1/pids.max"), "max").unwrap();
        let limits = Limits { memory_bytes: 1 << 30, processes: 512 };
        let (group, done, missing) = Group::make(parent.path(), "build-1", limits).unwrap();
        assert_eq!((done, missing), (vec!["up to 512 processes".to_owned()], vec!["memory up to 1024 MB".to_owned()]));
        assert_eq!(fs::read_to_string(parent.path().join("build-1/pids.max")).unwrap(), "512");
        group.join(7).unwrap();
        assert_eq!(fs::read_to_string(parent.path().join("build-1/cgroup.procs")).unwrap(), "7");
    }

    /// A real one, where the kernel has version 2 and lets us make one.
    #[tokio::test]
    async fn a_group_takes_its_processes_along_and_goes() {
        let own = match own() {
            Ok(own) => own,
            Err(why) => return println!("skipped: {why}"),
        };
        let name = format!("tenfold-test-{}", std::process::id());
        let limits = Limits { memory_bytes: 1 << 30, processes: 512 };
        let (group, ..) = Group::make(&own, &name, limits).unwrap();
        // in a session of its own, where no signal to a process group reaches it
        let mut child =
            tokio::process::Command::new("setsid").args(["sleep", "600"]).kill_on_drop(true).spawn().unwrap();
        group.join(child.id().unwrap()).unwrap();
        let dir = group.dir.clone();
        assert!(dir.is_dir());
        drop(group);
        let status = child.wait().await.unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{status}");
        let goes = async {
            while dir.exists() {
                tokio::time::sleep(GOES_EVERY).await;
            }
        };
        assert!(tokio::time::timeout(GOES_EVERY * GOES_TRIES, goes).await.is_ok(), "{} stays", dir.display());
    }
}
