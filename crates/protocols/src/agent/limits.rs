//! Limits of a service on its host: what is asked for, and what the host says of it.

use serde::{Deserialize, Serialize};

use super::FrameError;

/// Most things a host says of the limits of one service, and the longest.
pub const LIMITS_MAX: usize = 16;
pub const LIMIT_BYTES_MAX: usize = 512;

/// What a service may use of its host; what is absent is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunLimits {
    /// Of all of its processes together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
    /// Files that one process holds open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<u32>,
    /// 100 is one processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<u32>,
}

impl RunLimits {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How a host holds a service to its limits, in words for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsReport {
    pub in_force: Vec<String>,
    /// What the host cannot do, and why.
    pub missing: Vec<String>,
}

pub(super) fn limits_ok(report: &LimitsReport) -> Result<(), FrameError> {
    let said = || report.in_force.iter().chain(&report.missing);
    if said().count() <= LIMITS_MAX && said().all(|words| words.len() <= LIMIT_BYTES_MAX) {
        return Ok(());
    }
    Err(FrameError::Field { field: "limits", why: "there are more than 16, or one is longer than 512 bytes" })
}

#[cfg(test)]
mod tests {
    use super::super::RunSpec;
    use super::*;

    #[test]
    fn what_knows_no_limits_is_read_as_without() {
        let run: RunSpec = serde_json::from_str(
            r#"{"command":["node"],"env":{},"port_env":"PORT","health_path":"/","health_within_ms":1,"drain_ms":0,"stop_within_ms":1,"sha":"4f2c91a"}"#,
        )
        .unwrap();
        assert!(run.limits.is_empty());
        assert!(!serde_json::to_string(&run).unwrap().contains("limits"));
    }

    #[test]
    fn what_a_host_says_has_a_limit() {
        let report = |missing: Vec<String>| LimitsReport { in_force: Vec::new(), missing };
        assert!(limits_ok(&report(vec!["x".repeat(LIMIT_BYTES_MAX); LIMITS_MAX])).is_ok());
        assert!(limits_ok(&report(vec![String::new(); LIMITS_MAX + 1])).is_err());
        assert!(limits_ok(&report(vec!["x".repeat(LIMIT_BYTES_MAX + 1)])).is_err());
    }
}
