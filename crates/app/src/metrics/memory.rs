//! How much memory this process may have, and what queries may hold of it.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use tenfold_promql::{Limits, Pool};

/// Of the memory that the process may have, queries may hold one part in so many. What they read and what the answers of
/// several are written with comes on top.
const PART: u64 = 6;
/// Where the process cannot find out.
const OTHERWISE_BYTES: u64 = 4 << 30;

static POOL: LazyLock<Arc<Pool>> = LazyLock::new(|| {
    let allowed = allowed_bytes(Path::new("/")).unwrap_or(OTHERWISE_BYTES);
    Arc::new(Pool::new(allowed / PART))
});

/// The bounds of a query, its own within them. Those that people and programs ask share a pool; rules are evaluated whatever
/// others ask.
pub(super) fn query_limits(own: Limits, shared: bool) -> Limits {
    Limits { bytes_max: own.bytes_max.min(POOL.bytes_max()), shared: shared.then(|| POOL.clone()), ..own }
}

/// The least of what the machine has and what the control groups above the process allow.
fn allowed_bytes(root: &Path) -> Option<u64> {
    let machine = read_to_string(root.join("proc/meminfo")).ok().and_then(|text| {
        let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
    });
    let groups = read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().flat_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        let hierarchies: &[(&str, &str)] = match controllers {
            "" => &[("sys/fs/cgroup", "memory.max"), ("sys/fs/cgroup/unified", "memory.max")],
            some if some.split(',').any(|c| c == "memory") => &[("sys/fs/cgroup/memory", "memory.limit_in_bytes")],
            _ => &[],
        };
        hierarchies.iter().flat_map(move |(mount, file)| above(root.join(mount), path, file)).collect::<Vec<_>>()
    });
    // Without a limit a group says `max`, or a number that no machine has.
    limits.filter_map(|file| read_to_string(file).ok()?.trim().parse().ok()).chain(machine).min()
}

/// The file in a group and in each one above it. In a namespace of its own the process is at the root of what it sees.
fn above(mount: PathBuf, path: &str, file: &str) -> Vec<PathBuf> {
    let group = mount.join(path.trim_start_matches('/'));
    group.ancestors().take_while(|at| at.starts_with(&mount)).map(|at| at.join(file)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().expect("a temporary directory");
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("below the root")).expect("a directory");
            std::fs::write(path, text).expect("a file");
        }
        allowed_bytes(root.path())
    }

    const MEMORY: (&str, &str) = ("proc/meminfo", "MemTotal:       2097152 kB\nMemFree: 1 kB\n");

    #[test]
    fn the_least_limit_counts() {
        assert_eq!(machine(&[]), None);
        assert_eq!(machine(&[MEMORY]), Some(2 << 30));
        let second = [
            MEMORY,
            ("proc/self/cgroup", "0::/a.slice/b.service\n"),
            ("sys/fs/cgroup/a.slice/memory.max", "536870912\n"),
            ("sys/fs/cgroup/a.slice/b.service/memory.max", "max\n"),
        ];
        assert_eq!(machine(&second), Some(512 << 20));
        let namespace = [MEMORY, ("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", "1073741824\n")];
        assert_eq!(machine(&namespace), Some(1 << 30));
        let first = [
            MEMORY,
            ("proc/self/cgroup", "8:pids:/x\n4:cpu,memory:/x\n0::/\n"),
            ("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "268435456\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ];
        assert_eq!(machine(&first), Some(256 << 20));
    }
}
