//! What the state machine needs of a pipeline, with shares turned into numbers for the hosts at hand.

use serde::{Deserialize, Serialize};

use crate::pipeline::{
    AfterAction, Amount, CanaryJudge, CanaryStep, Check, HandedOver, HookAt, Hooks, Pipeline, Prepare, Target,
};

/// Time an agent may be away in the middle of a deploy before its host counts as out of reach.
pub const REACH_MS: i64 = 20_000;
/// Time beyond the health check's own that a host may take to answer an activation.
const ACTIVATE_GRACE_MS: i64 = 20_000;
/// Time beyond the build's own limit after which the build counts as lost. It may have to wait for the end of one that another
/// server began.
const BUILD_GRACE_MS: i64 = 90_000;
/// Time the canary's query may take, all attempts together.
pub const CHECK_MS: i64 = 30_000;

/// The canary's query with its bounds.
pub type CanaryCheck = Check;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// How many hosts are canaries in the step under way; 0 for none.
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
    /// Canary steps after the one under way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub later: Vec<PlannedStep>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approve: Option<PlannedApproval>,
    #[serde(default, skip_serializing_if = "Hooks::is_empty")]
    pub hooks: Box<Hooks>,
    /// What cannot be undone: nothing goes back by itself then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub irreversible: Option<String>,
    /// The hosts are places of a cluster.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub handed: bool,
    /// Whoever it is handed to can be told to stop on the way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pauses: bool,
    /// Which hosts start the release ahead of their flip.
    #[serde(default = "Prepare::none")]
    pub prepare: Prepare,
    /// How long the old process is kept after the end of the deploy; 0 where it drains at once.
    #[serde(default)]
    pub keep_warm_ms: i64,
}

/// A canary step with its share turned into hosts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedStep {
    pub hosts: usize,
    pub hold_ms: i64,
    pub check: Option<CanaryCheck>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<Box<CanaryJudge>>,
}

impl PlannedStep {
    fn of(step: CanaryStep, hosts: usize) -> Self {
        Self {
            hosts: step.hosts.of(hosts),
            hold_ms: i64::from(step.hold_s.unwrap_or(0)) * 1000,
            check: step.check,
            judge: step.judge.map(Box::new),
        }
    }
}

/// People who have to agree before the first host flips.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedApproval {
    pub count: usize,
    pub four_eyes: bool,
    pub within_ms: i64,
}

impl Plan {
    /// For a deploy to `hosts` hosts.
    pub fn deploy(pipeline: &Pipeline, target: &Target, hosts: usize) -> Self {
        let handed = target.handed_over();
        let steps = match handed {
            // each place of a cluster but the last is a step
            Some(_) => {
                (1..hosts).map(|n| target.canary.step_of(Amount::Hosts(u32::try_from(n).unwrap_or(u32::MAX)))).collect()
            }
            None => target.canary.all_steps(),
        };
        let mut steps = steps.into_iter().map(|step| PlannedStep::of(step, hosts)).collect::<Vec<_>>();
        // A share of few hosts may come to no more of them than the step before.
        let mut most = 0;
        steps.retain(|step| {
            let more = step.hosts > most;
            most = most.max(step.hosts);
            more
        });
        let first = if steps.is_empty() { None } else { Some(steps.remove(0)) };
        let first = first.unwrap_or(PlannedStep { hosts: 0, hold_ms: 0, check: None, judge: None });
        Self {
            canary_hosts: first.hosts,
            hold_ms: first.hold_ms,
            check: first.check,
            judge: first.judge,
            later: steps,
            approve: target.approve.as_ref().map(|approve| PlannedApproval {
                count: approve.count as usize,
                four_eyes: approve.four_eyes,
                within_ms: i64::from(approve.within_s) * 1000,
            }),
            hooks: pipeline.hooks.clone(),
            irreversible: None,
            handed: handed.is_some(),
            pauses: handed.as_ref().is_some_and(HandedOver::pauses),
            prepare: if handed.is_some() { Prepare::None } else { pipeline.run.prepare },
            keep_warm_ms: if handed.is_some() { 0 } else { i64::from(pipeline.run.keep_warm_s) * 1000 },
            batch: if handed.is_some() { hosts.max(1) } else { target.batch.of(hosts).max(1) },
            max_unavailable: target.max_unavailable.of(hosts),
            build_ms: i64::from(pipeline.build.timeout_s) * 1000 + BUILD_GRACE_MS,
            stage_ms: i64::from(target.stage_within_s) * 1000,
            activate_ms: i64::from(handed.map_or(pipeline.health.within_s, |handed| handed.within_s())) * 1000
                + ACTIVATE_GRACE_MS,
            reach_ms: REACH_MS,
        }
    }
    /// A program starts it, and behind a program stands somebody who is not known, such as whoever pushed. Four eyes are then
    /// those of two people who approve.
    pub fn begun_by_program(&mut self) {
        if let Some(approve) = self.approve.as_mut().filter(|approve| approve.four_eyes) {
            approve.count = approve.count.max(2);
        }
    }
    /// For a rollback: no canary, no approval, no hook but the one of a way back, all hosts at once. A process that is still
    /// warm takes over at once; else the new one starts before the old one stops, so flipping all at once leaves no gap.
    pub fn rollback(pipeline: &Pipeline, target: &Target, hosts: usize) -> Self {
        let deploy = Self::deploy(pipeline, target, hosts);
        let hooks = Box::new(Hooks { on_rollback: deploy.hooks.on_rollback.clone(), ..Hooks::default() });
        let (check, judge, later, approve) = (None, None, Vec::new(), None);
        let (prepare, keep_warm_ms) = (Prepare::None, 0);
        let batch = hosts.max(1);
        Self {
            canary_hosts: 0,
            hold_ms: 0,
            check,
            judge,
            later,
            approve,
            hooks,
            batch,
            prepare,
            keep_warm_ms,
            ..deploy
        }
    }

    /// The canary's steps, the one under way first.
    pub fn steps(&self) -> Vec<PlannedStep> {
        let first = PlannedStep {
            hosts: self.canary_hosts,
            hold_ms: self.hold_ms,
            check: self.check.clone(),
            judge: self.judge.clone(),
        };
        let some = (first.hosts > 0).then_some(first);
        some.into_iter().chain(self.later.iter().cloned()).collect()
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
    /// What a deploy to these hosts would do, if every host can take it. A cluster's places stand for hosts there.
    pub fn stages(&self, pipeline: &Pipeline, hosts: &[String], handed: Option<&HandedOver>, sha: &str) -> Vec<Stage> {
        let mut hosts = hosts.to_vec();
        hosts.sort_by(|a, b| natural_cmp(a, b));
        let seconds = |ms: i64| format!("{} s", ms / 1000);
        let build = match pipeline.build.command.as_slice() {
            [] => "the checkout is the artifact".to_owned(),
            command => format!("{}, within {} s", command.join(" "), pipeline.build.timeout_s),
        };
        let build = format!("{}{build}{}", self.hook_before(HookAt::BeforeBuild), self.hook_after(HookAt::AfterBuild));
        let staged = match handed {
            None => format!("{} on each, within {}", pipeline.artifact.paths.join(" "), seconds(self.stage_ms)),
            Some(handed) => format!("{}; {}", handed.asks(), handed.writes(sha)),
        };
        let mut stages = vec![
            Stage { name: "building", hosts: Vec::new(), says: build },
            Stage { name: "staging", hosts: vec![hosts.clone()], says: staged },
        ];
        if let Some(approve) = &self.approve {
            let who = if approve.count == 1 { "1 person".to_owned() } else { format!("{} people", approve.count) };
            let other = if approve.four_eyes { " other than who started it" } else { "" };
            let says = format!("{who}{other} must approve within {}", seconds(approve.within_ms));
            stages.push(Stage { name: "awaiting_approval", hosts: Vec::new(), says });
        }
        let healthy = match handed {
            None => format!("{} answers within {} s", pipeline.health.http, pipeline.health.within_s),
            Some(handed) => format!("{} stands at its step within {} s", handed.says(), handed.within_s()),
        };
        let mut flipped = 0;
        for step in self.steps() {
            let canaries = step.hosts.min(hosts.len());
            let before = if flipped == 0 { self.hook_before(HookAt::BeforeActivate) } else { String::new() };
            let says = format!("{before}{healthy}, watched for {}{}", seconds(step.hold_ms), step.watched_by());
            stages.push(Stage { name: "canary", hosts: vec![hosts[flipped.min(canaries)..canaries].to_vec()], says });
            flipped = canaries;
        }
        let after = self.after_words(pipeline);
        let rest: Vec<Vec<String>> = hosts[flipped..].chunks(self.batch.max(1)).map(<[String]>::to_vec).collect();
        let before = self.before_words(flipped == 0);
        let says = match handed {
            None => {
                format!("{before}{} at a time, at most {} may fail or be away{after}", self.batch, self.max_unavailable)
            }
            Some(handed) => {
                format!("{before}{} {} within {} s{after}", handed.says(), handed.done(), handed.within_s())
            }
        };
        stages.push(Stage { name: "promoting", hosts: rest, says });
        stages
    }

    fn before_words(&self, no_canary: bool) -> String {
        let first = if no_canary { self.hook_before(HookAt::BeforeActivate) } else { String::new() };
        let then = if no_canary { String::new() } else { self.hook_before(HookAt::BeforePromote) };
        format!("{first}{then}")
    }

    fn after_words(&self, pipeline: &Pipeline) -> String {
        let steps = self.steps();
        let after = steps.iter().rev().find_map(|s| s.judge.as_ref().and_then(|j| j.after.as_ref()));
        let watched = after.map_or_else(String::new, |after| {
            let then = match after.then {
                AfterAction::Rollback if self.irreversible.is_none() => "goes back",
                _ => "pages",
            };
            format!("; then watched for {} s: {} times the errors of before {then}", after.for_s, after.factor)
        });
        let hook = self.hook_after(HookAt::AfterPromote);
        let scored = pipeline.expects.as_ref().filter(|e| !e.metrics.is_empty());
        let scored = scored.map_or_else(String::new, |e| format!("; what is expected is scored after {} s", e.after_s));
        let stays = self
            .irreversible
            .as_ref()
            .map_or_else(String::new, |why| format!("; nothing goes back by itself, people are called instead: {why}"));
        format!("{hook}{watched}{scored}{stays}")
    }

    fn hook_words(&self, at: HookAt) -> Option<String> {
        self.hooks.get(at).map(|hook| format!("{}, within {} s", hook.command.join(" "), hook.timeout_s))
    }

    fn hook_before(&self, at: HookAt) -> String {
        self.hook_words(at).map_or_else(String::new, |hook| format!("{hook}; then "))
    }

    fn hook_after(&self, at: HookAt) -> String {
        self.hook_words(at).map_or_else(String::new, |hook| format!("; then {hook}"))
    }
}

impl PlannedStep {
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

    /// Name, hosts and words of each stage.
    fn told(plan: &Plan, pipeline: &Pipeline, hosts: &[String]) -> Vec<String> {
        let line = |stage: Stage| {
            let hosts: Vec<String> = stage.hosts.iter().map(|group| group.join("+")).collect();
            format!("{} [{}] {}", stage.name, hosts.join(" "), stage.says)
        };
        plan.stages(pipeline, hosts, None, "").into_iter().map(line).collect()
    }

    #[test]
    fn a_plan_is_told_stage_by_stage() {
        let file = "service: photos\nbuild: {command: [make, dist]}\nrun: {command: [x]}\ntargets: {production: {canary: {hosts: 1, \
                    hold_s: 30, judge: {latency: l, max_s: 60}}, batch: 2, max_unavailable: 1}}";
        let pipeline = Pipeline::parse(file).unwrap();
        let hosts: Vec<String> = ["host-10", "host-2", "host-1", "host-3"].map(str::to_owned).to_vec();
        let plan = Plan::deploy(&pipeline, pipeline.target("production").unwrap(), hosts.len());
        assert_eq!(
            told(&plan, &pipeline, &hosts),
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
    fn steps_hooks_approvals_and_what_stays_are_told() {
        let file = "service: photos\nrun: {command: [x]}\nirreversible: {why: columns are dropped}\nhooks: {before_activate: {command: [./migrate]}, \
                    after_promote: {command: [./tell]}}\nexpects: {metrics: [{query: q, should: fall}]}\ntargets: {production: {approve: {count: 2}, \
                    canary: {hold_s: 30, steps: [{hosts: 1}, {hosts: \"20%\"}, {hosts: \"50%\", hold_s: 60}]}, batch: 2}}";
        let pipeline = Pipeline::parse(file).unwrap();
        let hosts: Vec<String> = (1..=6).map(|i| format!("host-{i}")).collect();
        let mut plan = Plan::deploy(&pipeline, pipeline.target("production").unwrap(), hosts.len());
        plan.irreversible = pipeline.irreversible.as_ref().map(|i| i.why.clone());
        assert_eq!(
            told(&plan, &pipeline, &hosts)[2..],
            [
                "awaiting_approval [] 2 people other than who started it must approve within 86400 s",
                "canary [host-1] ./migrate, within 300 s; then /healthz answers within 30 s, watched for 30 s",
                "canary [host-2+host-3] /healthz answers within 30 s, watched for 60 s",
                "promoting [host-4+host-5 host-6] 2 at a time, at most 0 may fail or be away; then ./tell, within 300 s; what is \
                 expected is scored after 600 s; nothing goes back by itself, people are called instead: columns are dropped",
            ],
            "a fifth of six hosts is the one of the step before"
        );
        let back = Plan::rollback(&pipeline, pipeline.target("production").unwrap(), 6);
        assert!(back.steps().is_empty() && back.approve.is_none() && back.hooks.is_empty());
    }

    #[test]
    fn four_eyes_are_those_of_two_people_where_a_program_begins() {
        let count = |approve: &str| {
            let file =
                format!("service: photos\nrun: {{command: [x]}}\ntargets: {{production: {{approve: {approve}}}}}");
            let pipeline = Pipeline::parse(&file).unwrap();
            let mut plan = Plan::deploy(&pipeline, pipeline.target("production").unwrap(), 1);
            plan.begun_by_program();
            plan.approve.map(|approve| approve.count)
        };
        assert_eq!(count("{count: 1}"), Some(2));
        assert_eq!(count("{count: 3}"), Some(3));
        assert_eq!(count("{count: 1, four_eyes: false}"), Some(1));
    }

    #[test]
    fn hosts_sort_as_people_count() {
        let mut names = vec!["host-10", "host-2", "host-1", "web", "host-02"];
        names.sort_by(|a, b| natural_cmp(a, b));
        assert_eq!(names, ["host-1", "host-02", "host-2", "host-10", "web"]);
    }

    #[test]
    fn amounts_round_down_but_not_to_nothing() {
        assert_eq!(Amount::Percent(25).of(6), 1);
        assert_eq!(Amount::Percent(25).of(3), 1);
        assert_eq!(Amount::Percent(50).of(6), 3);
        assert_eq!(Amount::Percent(0).of(6), 0);
        assert_eq!(Amount::Hosts(9).of(6), 6);
        assert_eq!(Amount::Percent(25).of(0), 0);
    }
}
