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
    let status = match percent {
        p if p >= disk.critical_percent => CheckStatus::Critical,
        p if p >= disk.warning_percent => CheckStatus::Warning,
        _ => CheckStatus::Ok,
    };
    let gib = free / f64::from(1 << 30);
    let text = format!(
        "DISK {} - {} is {percent:.1}% full, {gib:.1} GiB free|used={used:.0}B;;;0;{total:.0} used_percent={percent:.2}%;{};{}",
        word(status),
        disk.path,
        disk.warning_percent,
        disk.critical_percent
    );
    (status, text)
}
