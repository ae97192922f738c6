//! What the state machine needs of a pipeline, with shares turned into numbers for the hosts at hand.

use serde::{Deserialize, Serialize};

use crate::pipeline::{CanaryJudge, Check, Pipeline, Target};

/// Time an agent may be away in the middle of a deploy before its host counts as out of reach.
pub const REACH_MS: i64 = 20_000;
/// Time beyond the health check's own that a host may take to answer an activation.
const ACTIVATE_GRACE_MS: i64 = 20_000;
/// Time beyond the build's own limit after which the build counts as lost.
const BUILD_GRACE_MS: i64 = 60_000;
/// Time the canary's query may take, all attempts together.
pub const CHECK_MS: i64 = 30_000;

/// The canary's query with its bounds.
pub type CanaryCheck = Check;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// How many hosts flip first; 0 for none.
    pub canary_hosts: usize,
    pub hold_ms: i64,
    pub check: Option<CanaryCheck>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<CanaryJudge>,
    /// How many hosts flip at once after the canary.
    pub batch: usize,
    /// How many may fail or be out of reach.
    pub max_unavailable: usize,
    pub build_ms: i64,
    pub stage_ms: i64,
    pub activate_ms: i64,
    pub reach_ms: i64,
}

impl Plan {
    /// For a deploy to `hosts` hosts.
    pub fn deploy(pipeline: &Pipeline, target: &Target, hosts: usize) -> Self {
        Self {
            canary_hosts: target.canary.hosts.of(hosts),
            hold_ms: i64::from(target.canary.hold_s) * 1000,
            check: target.canary.check.clone(),
            judge: target.canary.judge.clone(),
            batch: target.batch.of(hosts).max(1),
            max_unavailable: target.max_unavailable.of(hosts),
            build_ms: i64::from(pipeline.build.timeout_s) * 1000 + BUILD_GRACE_MS,
            stage_ms: i64::from(target.stage_within_s) * 1000,
            activate_ms: i64::from(pipeline.health.within_s) * 1000 + ACTIVATE_GRACE_MS,
            reach_ms: REACH_MS,
        }
    }
    /// For a rollback: no canary, no check, no judge, all hosts at once. The new process starts before the old one stops, so
    /// flipping all at once leaves no gap.
    pub fn rollback(pipeline: &Pipeline, target: &Target, hosts: usize) -> Self {
        let deploy = Self::deploy(pipeline, target, hosts);
        Self { canary_hosts: 0, hold_ms: 0, check: None, judge: None, batch: hosts.max(1), ..deploy }
    }
}

/// Orders names as people count: `host-2` before `host-10`.
pub fn natural_cmp(a: &str, b: &str) -> std::cmp::Ordering {
    let key = |s: &str| {
        let mut parts: Vec<(u8, u64, String)> = Vec::new();
        let mut rest = s;
        while let Some(c) = rest.chars().next() {
            let digits = c.is_ascii_digit();
            let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
            let (part, tail) = rest.split_at(end);
            match part.parse::<u64>() {
                Ok(n) if digits => parts.push((0, n, String::new())),
                _ => parts.push((1, 0, part.to_owned())),
            }
            rest = tail;
        }
        parts
    };
    key(a).cmp(&key(b)).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_sort_as_people_count() {
        let mut names = vec!["host-10", "host-2", "host-1", "web", "host-02"];
        names.sort_by(|a, b| natural_cmp(a, b));
        assert_eq!(names, ["host-1", "host-02", "host-2", "host-10", "web"]);
    }
}
