//! How many processes have a name, and perhaps a text in their command line.

use tenfold_alerting::checks::CheckStatus;
use tenfold_app::checks::Process;

use super::{Said, word};

/// The kernel keeps so much of a name.
const COMM_BYTES: usize = 15;

pub async fn look(process: &Process) -> Said {
    let (name, arguments) = (process.name.clone(), process.arguments.clone());
    let counted = tokio::task::spawn_blocking(move || count(&name, &arguments)).await;
    let Ok(Ok(count)) = counted else {
        return (CheckStatus::Unknown, "PROCESS UNKNOWN - /proc cannot be read".to_owned());
    };
    let good = count >= process.min && process.max.is_none_or(|max| count <= max);
    let status = if good { CheckStatus::Ok } else { CheckStatus::Critical };
    let wanted =
        process.max.map_or_else(|| format!("at least {}", process.min), |max| format!("{} to {max}", process.min));
    // Behind a bar performance data begin.
    let arguments = process.arguments.replace('|', " ");
    let with = if arguments.is_empty() { String::new() } else { format!(" with `{arguments:.100}`") };
    let said = format!("{count} named {}{with}, wanted {wanted}", process.name);
    (status, format!("PROCESS {} - {said}|processes={count}", word(status)))
}

fn count(name: &str, arguments: &str) -> std::io::Result<u32> {
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
        let named = comm.strip_suffix(b"\n") == Some(wanted);
        n += u32::from(named && (arguments.is_empty() || has_arguments(&entry.path(), arguments)));
    }
    Ok(n)
}

/// Whether the command line, its words with a blank between them, holds a text.
fn has_arguments(process: &std::path::Path, text: &str) -> bool {
    let mut line = std::fs::read(process.join("cmdline")).unwrap_or_default();
    line.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b' ');
    line.windows(text.len()).any(|part| part == text.as_bytes())
}
