//! How many processes have a name.

use tenfold_alerting::checks::CheckStatus;
use tenfold_app::checks::Process;

use super::{Said, word};

/// The kernel keeps so much of a name.
const COMM_BYTES: usize = 15;

pub async fn look(process: &Process) -> Said {
    let name = process.name.clone();
    let counted = tokio::task::spawn_blocking(move || count(&name)).await;
    let Ok(Ok(count)) = counted else {
        return (CheckStatus::Unknown, "PROCESS UNKNOWN - /proc cannot be read".to_owned());
    };
    let good = count >= process.min && process.max.is_none_or(|max| count <= max);
    let status = if good { CheckStatus::Ok } else { CheckStatus::Critical };
    let wanted =
        process.max.map_or_else(|| format!("at least {}", process.min), |max| format!("{} to {max}", process.min));
    (status, format!("PROCESS {} - {count} named {}, wanted {wanted}|processes={count}", word(status), process.name))
}

fn count(name: &str) -> std::io::Result<u32> {
    let wanted = name.as_bytes();
    let wanted = &wanted[..wanted.len().min(COMM_BYTES)];
    let mut n = 0;
    for entry in std::fs::read_dir("/proc")? {
        let Ok(entry) = entry else { continue };
        if !entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        // A process that ended meanwhile has no name any more.
        let comm = std::fs::read(entry.path().join("comm")).unwrap_or_default();
        n += u32::from(comm.strip_suffix(b"\n") == Some(wanted));
    }
    Ok(n)
}
