//! What the state machine needs of a pipeline, with shares turned into numbers for the hosts at hand.

use serde::{Deserialize, Serialize};

use crate::pipeline::{AfterAction, CanaryJudge, Check, Pipeline, Target};

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
    pub judge: Option<Box<CanaryJudge>>,
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
            judge: target.canary.judge.clone().map(Box::new),
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

/// One stage of a deploy, told before it is begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// The state it is: `building`, `staging`, `canary` or `promoting`.
    pub name: &'static str,
    /// Hosts that it concerns, those that flip together in one list.
    pub hosts: Vec<Vec<String>>,
    /// What happens, in words.
    pub says: String,
}

impl Plan {
    /// What a deploy to these hosts would do, if every host can take it.
    pub fn stages(&self, pipeline: &Pipeline, hosts: &[String]) -> Vec<Stage> {
        let mut hosts = hosts.to_vec();
        hosts.sort_by(|a, b| natural_cmp(a, b));
        let seconds = |ms: i64| format!("{} s", ms / 1000);
        let canaries = self.canary_hosts.min(hosts.len());
        let build = match pipeline.build.command.as_slice() {
            [] => "the checkout is the artifact".to_owned(),
            command => format!("{}, within {} s", command.join(" "), pipeline.build.timeout_s),
        };
        let staged = format!("{} on each, within {}", pipeline.artifact.paths.join(" "), seconds(self.stage_ms));
        let mut stages = vec![
            Stage { name: "building", hosts: Vec::new(), says: build },
            Stage { name: "staging", hosts: vec![hosts.clone()], says: staged },
        ];
        if canaries > 0 {
            let healthy = format!("{} answers within {} s", pipeline.health.http, pipeline.health.within_s);
            let watched = format!("{healthy}, watched for {}{}", seconds(self.hold_ms), self.watched_by());
            stages.push(Stage { name: "canary", hosts: vec![hosts[..canaries].to_vec()], says: watched });
        }
        let after = self.judge.as_ref().and_then(|j| j.after.as_ref()).map_or_else(String::new, |after| {
            let then = match after.then {
                AfterAction::Page => "pages",
                AfterAction::Rollback => "goes back",
            };
            format!("; then watched for {} s: {} times the errors of before {then}", after.for_s, after.factor)
        });
        let rest: Vec<Vec<String>> = hosts[canaries..].chunks(self.batch.max(1)).map(<[String]>::to_vec).collect();
        let says = format!("{} at a time, at most {} may fail or be away{after}", self.batch, self.max_unavailable);
        stages.push(Stage { name: "promoting", hosts: rest, says });
        stages
    }

    fn watched_by(&self) -> String {
        let query = self.check.as_ref().map_or_else(String::new, |c| {
            let bound = |word: &str, bound: Option<f64>| bound.map_or_else(String::new, |b| format!(" {word} {b}"));
            format!(", then {}{}{}", c.query.trim(), bound("at least", c.min), bound("at most", c.max))
        });
        let judge = self.judge.as_ref().map_or_else(String::new, |j| {
            let what = match (&j.errors, &j.latency) {
                (Some(_), Some(_)) => "errors and latency",
                (None, Some(_)) => "latency",
                (_, None) => "errors",
            };
            format!(
                ", judged by {what} beside the others (tolerates {} times as many, alpha {}, at most {} s, then {})",
                j.tolerate,
                j.alpha,
                j.max_s,
                j.on_inconclusive.words()
            )
        });
        format!("{judge}{query}")
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
    fn a_plan_is_told_stage_by_stage() {
        let file = "service: photos\nbuild: {command: [make, dist]}\nrun: {command: [x]}\ntargets: {production: {canary: {hosts: 1, \
                    hold_s: 30, judge: {latency: l, max_s: 60}}, batch: 2, max_unavailable: 1}}";
        let pipeline = Pipeline::parse(file).unwrap();
        let hosts: Vec<String> = ["host-10", "host-2", "host-1", "host-3"].map(str::to_owned).to_vec();
        let plan = Plan::deploy(&pipeline, pipeline.target("production").unwrap(), hosts.len());
        let told: Vec<String> = plan
            .stages(&pipeline, &hosts)
            .into_iter()
            .map(|s| {
                let hosts: Vec<String> = s.hosts.iter().map(|group| group.join("+")).collect();
                format!("{} [{}] {}", s.name, hosts.join(" "), s.says)
            })
            .collect();
        assert_eq!(
            told,
            [
                "building [] make dist, within 900 s",
                "staging [host-1+host-2+host-3+host-10] ** on each, within 300 s",
                "canary [host-1] /healthz answers within 30 s, watched for 30 s, judged by latency beside the others \
                 (tolerates 1.25 times as many, alpha 0.01, at most 60 s, then held for a person)",
                "promoting [host-2+host-3 host-10] 2 at a time, at most 1 may fail or be away",
            ]
        );
    }

    #[test]
    fn hosts_sort_as_people_count() {
        let mut names = vec!["host-10", "host-2", "host-1", "web", "host-02"];
        names.sort_by(|a, b| natural_cmp(a, b));
        assert_eq!(names, ["host-1", "host-02", "host-2", "host-10", "web"]);
    }
}
