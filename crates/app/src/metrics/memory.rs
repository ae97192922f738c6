//! How much memory this process may have, and what queries and other long answers may hold of it.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use tenfold_promql::{Held, Limits, Pool};
use tenfold_types::{Fault, Labels};

/// Of the memory that the process may have, queries may hold one part in so many. What they read and what the answers of
/// several are written with comes on top.
const PART: u64 = 6;
/// Where the process cannot find out.
const OTHERWISE_BYTES: u64 = 4 << 30;

static POOL: LazyLock<Arc<Pool>> = LazyLock::new(|| {
    let allowed = allowed_bytes(Path::new("/")).unwrap_or(OTHERWISE_BYTES);
    Arc::new(Pool::new(allowed / PART))
});

/// Finds out how much memory there is, so that the first question need not wait for it.
pub(super) fn find_out() {
    LazyLock::force(&POOL);
}

/// The bounds of a query, its own within them. Those that people and programs ask share a pool; rules are evaluated whatever
/// others ask.
pub(super) fn query_limits(own: Limits, shared: bool) -> Limits {
    Limits { bytes_max: own.bytes_max.min(POOL.bytes_max()), shared: shared.then(|| POOL.clone()), ..own }
}

/// Labels in memory, in bytes, roughly.
pub(super) fn labels_bytes(labels: &Labels) -> u64 {
    labels.iter().map(|(name, value)| (name.len() + value.len() + 2 * size_of::<String>()) as u64).sum()
}

/// Memory of an answer that no evaluation makes: within what one query may hold, and out of what all queries share. It is given
/// back when this is dropped.
#[derive(Debug)]
pub struct AnswerMemory {
    held: Held,
    bytes: u64,
    bytes_max: u64,
}

impl AnswerMemory {
    pub(super) fn new(limits: &Limits) -> Self {
        Self::of(POOL.clone(), limits.bytes_max)
    }

    /// The same for what a rule asks: as much at most, and out of nobody's share.
    pub(super) fn of_rule(limits: &Limits) -> Self {
        Self { held: Held::of(None), bytes: 0, bytes_max: limits.bytes_max.min(POOL.bytes_max()) }
    }

    fn of(pool: Arc<Pool>, bytes_max: u64) -> Self {
        let bytes_max = bytes_max.min(pool.bytes_max());
        Self { held: Held::of(Some(pool)), bytes: 0, bytes_max }
    }

    /// So many bytes more; an error names the limit that they would break.
    pub fn take(&mut self, bytes: u64) -> Result<(), Fault> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.bytes_max {
            return Err(Fault::invalid(format!(
                "the answer takes more than {} bytes of memory, which is what one may take (metrics.query.bytes_max, and \
                 at most a part of the memory there is)",
                self.bytes_max
            ))
            .advice("set `limit`, add matchers or ask for less time; an operator sets metrics.query.bytes_max"));
        }
        self.held.take(bytes).map_err(|e| super::query::query_fault(&e, ""))
    }

    /// The same for labels that are made of others.
    pub fn take_labels(&mut self, labels: &Labels) -> Result<(), Fault> {
        self.take(labels_bytes(labels))
    }

    /// What was taken so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives back all but so many bytes, and leaves those to whoever keeps the answer.
    pub(super) fn keep(self, bytes: u64) -> Held {
        self.held.give(self.bytes.saturating_sub(bytes));
        self.held
    }
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

    #[test]
    fn what_answers_take_is_bounded_by_one_and_by_all_and_given_back() {
        let pool = Arc::new(Pool::new(100));
        let mut one = AnswerMemory::of(pool.clone(), 70);
        assert!(one.take(70).is_ok());
        let refused = one.take(1).expect_err("71 are too many for one").message;
        assert!(refused.contains("more than 70 bytes") && refused.contains("metrics.query.bytes_max"), "{refused}");
        drop(one);
        let (mut first, mut second) = (AnswerMemory::of(pool.clone(), 1_000), AnswerMemory::of(pool.clone(), 1_000));
        assert!(first.take(60).is_ok());
        let refused = second.take(41).expect_err("101 are too many for all").message;
        assert!(refused.contains("more than 100 bytes together"), "{refused}");
        drop(second);
        let kept = first.keep(10);
        let mut third = AnswerMemory::of(pool.clone(), 1_000);
        assert!(third.take(90).is_ok(), "50 of 60 were given back");
        drop((kept, third));
        assert!(AnswerMemory::of(pool, 1_000).take(100).is_ok());
    }

    #[test]
    fn a_rule_has_its_own_bound_and_shares_with_nobody() {
        let mut rule = AnswerMemory::of_rule(&Limits { bytes_max: 70, ..Limits::default() });
        assert!(rule.take(70).is_ok());
        assert!(rule.take(1).expect_err("71 are too many").message.contains("more than 70 bytes"));
        let mut large = AnswerMemory::of_rule(&Limits { bytes_max: u64::MAX, ..Limits::default() });
        let all = POOL.bytes_max();
        assert!(large.take(all).is_ok());
        let mut other = AnswerMemory::of_rule(&Limits { bytes_max: u64::MAX, ..Limits::default() });
        assert!(other.take(all).is_ok(), "what one holds is not missing to another");
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
