//! How full a filesystem is.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use tenfold_alerting::checks::CheckStatus;
use tenfold_app::checks::Disk;

use super::{Said, word};

/// Paths whose filesystem has not answered yet.
static ASKED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

pub async fn look(disk: &Disk) -> Said {
    let path = disk.path.clone();
    // A dead network filesystem keeps the thread that asks it, for as long as it is dead: one thread and not more.
    if !ASKED.lock().insert(path.clone()) {
        return (
            CheckStatus::Critical,
            format!("DISK CRITICAL - {path}: its filesystem has not answered the look before"),
        );
    }
    let ask = move || {
        let stat = nix::sys::statvfs::statvfs(path.as_str());
        ASKED.lock().remove(&path);
        stat
    };
    let asked = tokio::task::spawn_blocking(ask).await;
    let stat = match asked {
        Ok(Ok(stat)) => stat,
        Ok(Err(e)) => return (CheckStatus::Unknown, format!("DISK UNKNOWN - {}: {e}", disk.path)),
        Err(_) => return (CheckStatus::Unknown, format!("DISK UNKNOWN - {} could not be asked", disk.path)),
    };
    let size = stat.fragment_size() as f64;
    let (total, free) = (stat.blocks() as f64 * size, stat.blocks_available() as f64 * size);
    // As `df` counts: what only root may use is neither used nor free.
    let used = (stat.blocks() as f64 - stat.blocks_free() as f64) * size;
    let percent = if used + free > 0.0 { used / (used + free) * 100.0 } else { 0.0 };
    let mut status = judged(percent, Some(disk.warning_percent), Some(disk.critical_percent));
    let inodes =
        inodes_percent(&stat).filter(|_| disk.inodes_warning_percent.or(disk.inodes_critical_percent).is_some());
    let (mut of_inodes, mut value) = (String::new(), String::new());
    if let Some(inodes) = inodes {
        let (warning, critical) = (disk.inodes_warning_percent, disk.inodes_critical_percent);
        let theirs = judged(inodes, warning, critical);
        if theirs.exit() > status.exit() {
            status = theirs;
        }
        let limit = |limit: Option<f64>| limit.map(|l| l.to_string()).unwrap_or_default();
        of_inodes = format!(", {inodes:.1}% of its inodes used");
        value = format!(" inodes_percent={inodes:.2}%;{};{}", limit(warning), limit(critical));
    }
    let gib = free / f64::from(1 << 30);
    let text = format!(
        "DISK {} - {} is {percent:.1}% full, {gib:.1} GiB free{of_inodes}|used={used:.0}B;;;0;{total:.0} used_percent={percent:.2}%;{};{}{value}",
        word(status),
        disk.path,
        disk.warning_percent,
        disk.critical_percent
    );
    (status, text)
}

fn judged(percent: f64, warning: Option<f64>, critical: Option<f64>) -> CheckStatus {
    let reached = |limit: Option<f64>| limit.is_some_and(|limit| percent >= limit);
    match (reached(critical), reached(warning)) {
        (true, _) => CheckStatus::Critical,
        (false, true) => CheckStatus::Warning,
        (false, false) => CheckStatus::Ok,
    }
}

/// As `df -i` counts. Nothing where a filesystem makes inodes as it needs them, as btrfs does.
fn inodes_percent(stat: &nix::sys::statvfs::Statvfs) -> Option<f64> {
    let (all, free) = (stat.files() as f64, stat.files_free() as f64);
    (all > 0.0).then(|| (all - free) / all * 100.0)
}
