//! What a service may use of each host it runs on.

use serde::{Deserialize, Serialize};

/// What is left out is not limited. A host that cannot hold a service to one of them says so and runs it all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RunLimits {
    /// Memory of all of its processes together, in MB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<u32>,
    /// Processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
    /// Files and sockets that one process holds open.
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
