//! Limits of a service: each within what a host can be asked for.

use super::super::RunLimits;
use super::words::{Checked, path};

const MEMORY_MB_MIN: u32 = 16;
const MEMORY_MB_MAX: u32 = 16 * 1024 * 1024;
const PROCESSES_MAX: u32 = 1_000_000;
const FILES_MIN: u32 = 16;
const FILES_MAX: u32 = 1_048_576;
const CPU_PERCENT_MAX: u32 = 102_400;

pub(super) fn limits(of: &RunLimits) -> Checked {
    let bounds = [
        ("memory_mb", of.memory_mb, MEMORY_MB_MIN, MEMORY_MB_MAX),
        ("processes", of.processes, 1, PROCESSES_MAX),
        ("files", of.files, FILES_MIN, FILES_MAX),
        ("cpu_percent", of.cpu_percent, 1, CPU_PERCENT_MAX),
    ];
    for (key, value, least, most) in bounds {
        if value.is_some_and(|value| !(least..=most).contains(&value)) {
            return Err((path(&["run", "limits", key]), format!("must be between {least} and {most}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::Pipeline;

    fn parsed(limits: &str) -> Result<Pipeline, String> {
        let text = format!(
            "service: photos\nrun:\n  command: [node]\n  limits: {limits}\ntargets: {{production: {{hosts: all}}}}\n"
        );
        Pipeline::parse(&text).map_err(|e| e.to_string())
    }

    #[test]
    fn limits_are_read_and_have_bounds() {
        let limits = parsed("{memory_mb: 512, processes: 64, files: 1024, cpu_percent: 150}").unwrap().run.limits;
        let read = (limits.memory_mb, limits.processes, limits.files, limits.cpu_percent);
        assert_eq!(read, (Some(512), Some(64), Some(1024), Some(150)));
        assert!(parsed("{}").unwrap().run.limits.is_empty());
        for (limits, words) in [
            ("{memory_mb: 1}", "line 4: `run.limits.memory_mb` must be between 16"),
            ("{processes: 0}", "`run.limits.processes` must be between 1"),
            ("{files: 2}", "`run.limits.files` must be between 16"),
            ("{cpu_percent: 0}", "`run.limits.cpu_percent` must be between 1"),
            ("{memory: 512}", "memory"),
        ] {
            let error = parsed(limits).unwrap_err();
            assert!(error.contains(words), "{limits}: {error}");
        }
    }

    #[test]
    fn a_file_without_limits_is_written_as_before() {
        let text = serde_json::to_string(&parsed("{}").unwrap().run).unwrap();
        assert!(!text.contains("limits"), "{text}");
    }
}
