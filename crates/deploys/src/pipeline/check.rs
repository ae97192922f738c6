//! Reading the file, and the checks a type cannot express. Each names the key and its line.

use super::expects::{LINE_CHARS_MAX, LINES_MAX};
use super::rollout::{APPROVALS_MAX, STEPS_MAX};
use super::{Approve, Canary, CanaryJudge, Check, Expects, FILE_BYTES_MAX, HookAt, Pipeline, PipelineError, handed};

/// Longest any time in the file may be: a day.
const SECONDS_MAX: u32 = 86_400;
const WORDS_MAX: usize = 256;
const COMMITS_MAX: u32 = 10_000;

pub(super) fn parse(text: &str) -> Result<Pipeline, PipelineError> {
    if text.len() > FILE_BYTES_MAX {
        return Err(PipelineError {
            line: 0,
            message: format!("the file has {} bytes, more than {FILE_BYTES_MAX}", text.len()),
        });
    }
    let pipeline: Pipeline = serde_saphyr::from_str(text).map_err(|e| from_yaml(text, &e))?;
    check(&pipeline).map_err(|(path, why)| PipelineError {
        line: locate(text, &path),
        message: format!("`{}` {why}", path.join(".")),
    })?;
    Ok(pipeline)
}

fn from_yaml(text: &str, error: &serde_saphyr::Error) -> PipelineError {
    let line = error.location().map_or(0, |l| usize::try_from(l.line()).unwrap_or(0));
    let plain = error.without_snippet().to_string();
    let said = plain.lines().next().unwrap_or("the file is not YAML");
    let said = match said.find(" at line ").or_else(|| said.find(", line ")) {
        Some(i) => &said[..i],
        None => said,
    };
    let source = line.checked_sub(1).and_then(|i| text.lines().nth(i)).unwrap_or("");
    let key = source.trim().trim_start_matches("- ").split(':').next().unwrap_or("").trim();
    let named = !key.is_empty() && source.contains(':') && !said.contains(&format!("`{key}`"));
    PipelineError { line, message: if named { format!("`{key}`: {said}") } else { said.to_owned() } }
}

type Checked = Result<(), (Vec<String>, String)>;

fn path(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|p| (*p).to_owned()).collect()
}

/// What serves a release on a host: a process of its own, or another program that reads the link.
fn started(p: &Pipeline) -> Checked {
    let on_hosts = p.targets.values().any(|t| t.handed_over().is_none());
    if !p.run.command.is_empty() || (on_hosts && p.run.reload.is_none()) {
        argv(&p.run.command, &["run", "command"])?;
    }
    let Some(reload) = &p.run.reload else { return Ok(()) };
    if !p.run.command.is_empty() {
        let why = "stands in the place of `run.command`; a command is started anew for each release";
        return Err((path(&["run", "reload"]), why.to_owned()));
    }
    if reload.is_empty() { Ok(()) } else { argv(reload, &["run", "reload"]) }
}

fn check(p: &Pipeline) -> Checked {
    name(&p.service, &["service"])?;
    if !p.build.command.is_empty() {
        argv(&p.build.command, &["build", "command"])?;
    }
    seconds(p.build.timeout_s, 1, &["build", "timeout_s"])?;
    seconds(p.build.idle_timeout_s, 1, &["build", "idle_timeout_s"])?;
    env(&p.build.env, &["build", "env"])?;
    for secret in &p.build.secrets {
        variable(secret, &["build", "secrets"])?;
    }
    globs(&p.artifact.paths, &["artifact", "paths"])?;
    if p.artifact.paths.is_empty() {
        return Err((path(&["artifact", "paths"]), "is empty; name what ships, such as [\"dist/**\"]".to_owned()));
    }
    globs(&p.artifact.exclude, &["artifact", "exclude"])?;
    started(p)?;
    seconds(p.run.keep_warm_s, 0, &["run", "keep_warm_s"])?;
    env(&p.run.env, &["run", "env"])?;
    variable(&p.run.port_env, &["run", "port_env"])?;
    seconds(p.run.drain_s, 0, &["run", "drain_s"])?;
    seconds(p.run.stop_within_s, 0, &["run", "stop_within_s"])?;
    http_path(&p.health.http, &["health", "http"])?;
    seconds(p.health.within_s, 1, &["health", "within_s"])?;
    if let Some(metrics) = &p.metrics {
        http_path(&metrics.path, &["metrics", "path"])?;
    }
    if p.max_commits == 0 || p.max_commits > COMMITS_MAX {
        return Err((path(&["max_commits"]), format!("must be between 1 and {COMMITS_MAX}")));
    }
    if p.targets.is_empty() {
        return Err((
            path(&["targets"]),
            "is empty; name an environment, such as `production: {hosts: all}`".to_owned(),
        ));
    }
    for (environment, target) in &p.targets {
        let at = |rest: &[&'static str]| [&["targets", environment.as_str()], rest].concat();
        name(environment, &at(&[]))?;
        seconds(target.canary.hold_s, 0, &at(&["canary", "hold_s"]))?;
        seconds(target.stage_within_s, 1, &at(&["stage_within_s"]))?;
        if target.batch.of(100) == 0 {
            return Err((path(&at(&["batch"])), "must be at least 1 host".to_owned()));
        }
        handed::check_target(target).map_err(|(keys, why)| (path(&at(&[])).into_iter().chain(keys).collect(), why))?;
        canary(&target.canary, &at(&["canary"]), target.handed_over().is_some())?;
        if let Some(approve) = &target.approve {
            approvals(approve, &at(&["approve"]))?;
        }
        for freeze in &target.freezes {
            freeze.span().map_err(|(key, why)| (path(&[&at(&["freezes"]), &[key][..]].concat()), why))?;
            line(&freeze.reason, &at(&["freezes", "reason"]))?;
            line(&freeze.owner, &at(&["freezes", "owner"]))?;
        }
    }
    hooks(p)?;
    if let Some(irreversible) = &p.irreversible {
        globs(&irreversible.paths, &["irreversible", "paths"])?;
        line(&irreversible.why, &["irreversible", "why"])?;
    }
    if let Some(expects) = &p.expects {
        expectations(expects)?;
    }
    Ok(())
}

fn canary(canary: &Canary, at: &[&str], steps_elsewhere: bool) -> Checked {
    let below = |rest: &[&'static str]| path(&[at, rest].concat());
    if canary.steps.len() > STEPS_MAX {
        return Err((below(&["steps"]), format!("has {} steps, more than {STEPS_MAX}", canary.steps.len())));
    }
    if !canary.steps.is_empty() && canary.hosts.of(100) > 0 {
        return Err((below(&["hosts"]), "says how many hosts, and so does `steps`; write one of both".to_owned()));
    }
    let nobody = !steps_elsewhere && canary.steps.is_empty() && canary.hosts.of(100) == 0;
    if let Some(judged) = &canary.judge {
        judge(judged, canary.hold_s, at)?;
        if nobody {
            return Err((below(&["hosts"]), "is 0, so there is nothing to judge".to_owned()));
        }
    }
    if let Some(asked) = &canary.check {
        check_of(asked, at)?;
    }
    let mut before = 0;
    for (index, step) in canary.steps.iter().enumerate() {
        let says = |key: &'static str, why: String| (below(&["steps", key]), format!("of step {} {why}", index + 1));
        let hosts = step.hosts.of(100);
        if hosts == 0 {
            return Err(says("hosts", "is 0; a step has at least one host".to_owned()));
        }
        // A number and a share cannot be held against each other before the hosts are known.
        if let Some(last) = index.checked_sub(1).and_then(|i| canary.steps.get(i))
            && std::mem::discriminant(&last.hosts) == std::mem::discriminant(&step.hosts)
            && hosts <= before
        {
            return Err(says("hosts", "is not more than that of the step before".to_owned()));
        }
        before = hosts;
        let hold_s = step.hold_s.unwrap_or(canary.hold_s);
        let in_step = [at, &["steps"]].concat();
        seconds(hold_s, 0, &[&in_step, &["hold_s"][..]].concat())?;
        if let Some(judged) = step.judge.as_ref().or(canary.judge.as_ref()) {
            judge(judged, hold_s, &in_step)?;
        }
        if let Some(asked) = &step.check {
            check_of(asked, &in_step)?;
        }
    }
    Ok(())
}

fn judge(judge: &CanaryJudge, hold_s: u32, at: &[&str]) -> Checked {
    judge.check(hold_s).map_err(|(rest, why)| (path(&[at, &["judge"], rest].concat()), why))
}

fn check_of(check: &Check, at: &[&str]) -> Checked {
    let below = |rest: &[&'static str]| path(&[at, &["check"], rest].concat());
    if check.query.trim().is_empty() {
        return Err((below(&["query"]), "is empty; write a PromQL query".to_owned()));
    }
    if check.max.is_none() && check.min.is_none() {
        return Err((below(&[]), "has no bound; give `max` or `min`".to_owned()));
    }
    if check.max.into_iter().chain(check.min).any(|v| !v.is_finite()) {
        return Err((below(&[]), "has a bound that is not a number".to_owned()));
    }
    Ok(())
}

fn approvals(approve: &Approve, at: &[&str]) -> Checked {
    let below = |key: &'static str| path(&[at, &[key]].concat());
    if !(1..=APPROVALS_MAX).contains(&approve.count) {
        return Err((below("count"), format!("must be between 1 and {APPROVALS_MAX}")));
    }
    if !approve.by.is_empty() && approve.by.len() < approve.count as usize {
        return Err((below("by"), format!("names {} people, and {} have to agree", approve.by.len(), approve.count)));
    }
    for person in &approve.by {
        line(person, &[at, &["by"]].concat())?;
    }
    seconds(approve.within_s, 1, &[at, &["within_s"]].concat())
}

fn hooks(p: &Pipeline) -> Checked {
    for which in HookAt::ALL {
        let Some(hook) = p.hooks.get(which) else { continue };
        let at = |key: &'static str| ["hooks", which.word(), key];
        argv(&hook.command, &at("command"))?;
        seconds(hook.timeout_s, 1, &at("timeout_s"))?;
        seconds(hook.idle_timeout_s, 1, &at("idle_timeout_s"))?;
        env(&hook.env, &at("env"))?;
    }
    Ok(())
}

fn expectations(expects: &Expects) -> Checked {
    let at = |key: &'static str| ["expects", key];
    for (key, lines) in [("risks", &expects.risks), ("signs", &expects.signs)] {
        if lines.len() > LINES_MAX {
            return Err((path(&at(key)), format!("has {} lines, more than {LINES_MAX}", lines.len())));
        }
        for text in lines {
            line(text, &at(key))?;
        }
    }
    if !expects.contingency.is_empty() {
        line(&expects.contingency, &at("contingency"))?;
    }
    if expects.metrics.len() > LINES_MAX {
        return Err((path(&at("metrics")), format!("has {} lines, more than {LINES_MAX}", expects.metrics.len())));
    }
    for (index, metric) in expects.metrics.iter().enumerate() {
        let says =
            |key: &'static str, why: &str| (path(&["expects", "metrics", key]), format!("of line {} {why}", index + 1));
        if metric.query.trim().is_empty() || metric.query.chars().count() > LINE_CHARS_MAX {
            return Err(says("query", "must have 1 to 500 characters; write a PromQL query with one value"));
        }
        if !(metric.by >= 0.0 && metric.by <= 1_000.0) {
            return Err(says("by", "must be between 0 and 1000; 0.1 is a tenth"));
        }
        if metric.why.chars().count() > LINE_CHARS_MAX {
            return Err(says("why", "must have at most 500 characters"));
        }
    }
    seconds(expects.after_s, 1, &at("after_s"))
}

fn line(text: &str, at: &[&str]) -> Checked {
    if !text.trim().is_empty() && text.chars().count() <= LINE_CHARS_MAX {
        return Ok(());
    }
    Err((path(at), format!("must have 1 to {LINE_CHARS_MAX} characters")))
}

/// Names become folders, labels and parts of commands.
fn name(text: &str, at: &[&str]) -> Checked {
    let ok = !text.is_empty()
        && text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
    if ok {
        return Ok(());
    }
    Err((
        path(at),
        "must be 1 to 63 lower-case letters, digits, `-` or `_`, and start with a letter or a digit".to_owned(),
    ))
}

fn argv(words: &[String], at: &[&str]) -> Checked {
    if words.is_empty() || words[0].is_empty() {
        return Err((
            path(at),
            "is empty; write the program and its arguments, such as [\"node\", \"server.mjs\"]".to_owned(),
        ));
    }
    if words.len() > WORDS_MAX || words.iter().any(|w| w.contains('\0')) {
        return Err((path(at), format!("has more than {WORDS_MAX} words or a zero byte")));
    }
    Ok(())
}

fn variable(text: &str, at: &[&str]) -> Checked {
    let ok = !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if ok { Ok(()) } else { Err((path(at), "is not the name of an environment variable".to_owned())) }
}

fn env(map: &std::collections::BTreeMap<String, String>, at: &[&str]) -> Checked {
    for (key, value) in map {
        let at = [at, &[key.as_str()]].concat();
        variable(key, &at)?;
        if value.contains('\0') {
            return Err((path(&at), "holds a zero byte".to_owned()));
        }
    }
    Ok(())
}

fn globs(patterns: &[String], at: &[&str]) -> Checked {
    for pattern in patterns {
        if pattern.is_empty() || pattern.starts_with('/') || pattern.split('/').any(|p| p == "..") {
            return Err((
                path(at),
                format!("has `{pattern}`; patterns start at the root of the checkout and stay in it"),
            ));
        }
    }
    Ok(())
}

fn http_path(text: &str, at: &[&str]) -> Checked {
    let ok = text.starts_with('/') && !text.starts_with("//") && text.chars().all(|c| c.is_ascii_graphic());
    if ok { Ok(()) } else { Err((path(at), "must be a path such as /healthz".to_owned())) }
}

fn seconds(value: u32, least: u32, at: &[&str]) -> Checked {
    if (least..=SECONDS_MAX).contains(&value) {
        return Ok(());
    }
    Err((path(at), format!("must be between {least} and {SECONDS_MAX} seconds")))
}

impl super::Pipeline {
    /// The line of a key in a pipeline file, for an error that is found by whoever knows more; 0 when there is none.
    pub fn line_of(text: &str, keys: &[&str]) -> usize {
        locate(text, &path(keys))
    }
}

/// The line a key stands on: follows the keys one below the other; a key that is not found leaves its parent's line.
fn locate(text: &str, keys: &[String]) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    let mut found = 0;
    for key in keys {
        let hit = lines.iter().enumerate().skip(at).find(|(_, line)| {
            let line = line.split(" #").next().unwrap_or(line);
            line.match_indices(key.as_str()).any(|(i, _)| {
                let before = line[..i].chars().next_back();
                let after = line[i + key.len()..].trim_start_matches(['"', '\'']);
                before.is_none_or(|c| " {,\"'".contains(c)) && after.starts_with(':')
            })
        });
        let Some((i, _)) = hit else { break };
        at = i;
        found = i + 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::*;

    const GOOD: &str = r#"
service: photos
build:
  command: ["node", "build.mjs"]
  timeout_s: 300
artifact:
  paths: ["dist/**", "server.mjs"]
run:
  command: ["node", "server.mjs"]
  env: {MODE: production}
health: {http: /healthz, within_s: 20}
targets:
  production:
    hosts: {role: web}
    canary:
      hosts: 1
      hold_s: 10
      check: {query: "sum(rate(errors[1m]))", max: 0.5}
    batch: "25%"
    max_unavailable: 1
  staging: {hosts: all}
metrics: {path: /metrics}
"#;

    #[test]
    fn reads_a_whole_file_and_fills_the_rest() {
        let p = Pipeline::parse(GOOD).unwrap();
        assert_eq!((p.max_commits, p.run.port_env.as_str(), p.run.drain_s), (8, "PORT", 2));
        let production = p.target("production").unwrap();
        assert_eq!((production.batch, production.max_unavailable), (Amount::Percent(25), Amount::Hosts(1)));
        let labels = BTreeMap::from([("role".to_owned(), "web".to_owned())]);
        assert!(production.hosts.selects("host-1", &labels));
        assert!(!production.hosts.selects("host-1", &BTreeMap::new()));
        assert!(p.target("staging").unwrap().hosts.selects("x", &BTreeMap::new()));
        assert!(p.target("moon").unwrap_err().to_string().contains("production, staging"));
        let json = serde_json::to_string(&p).unwrap();
        assert_eq!(serde_json::from_str::<Pipeline>(&json).unwrap(), p);
    }

    #[test]
    fn errors_name_the_line_and_the_key() {
        let cases: &[(&str, &str, usize, &str)] = &[
            ("  timeout_s: 300", "  timeout_s: 0", 5, "`build.timeout_s` must be between 1 and 86400 seconds"),
            ("  timeout_s: 300", "  timeout_s: soon", 5, "timeout_s"),
            ("  timeout_s: 300", "  time_out: 300", 5, "time_out"),
            ("service: photos", "service: ../x", 2, "`service`"),
            ("  paths: [\"dist/**\", \"server.mjs\"]", "  paths: [\"../**\"]", 7, "`artifact.paths`"),
            ("health: {http: /healthz,", "health: {http: healthz,", 11, "`health.http`"),
            ("    batch: \"25%\"", "    batch: \"250%\"", 19, "batch"),
            ("    batch: \"25%\"", "    batch: 0", 19, "`targets.production.batch`"),
            ("max: 0.5}", "}", 18, "`targets.production.canary.check` has no bound"),
            ("  command: [\"node\", \"server.mjs\"]", "  command: []", 9, "command"),
            ("  env: {MODE: production}", "  env: {\"A B\": x}", 10, "A B"),
        ];
        for (from, to, line, word) in cases {
            assert!(GOOD.contains(from), "{from}");
            let error = Pipeline::parse(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert_eq!(error.line, *line, "{to}: {error}");
            assert!(error.message.contains(word), "{to}: {error}");
        }
    }

    const JUDGED: &str = r#"
service: photos
run: {command: ["node"]}
targets:
  production:
    canary:
      hosts: 1
      hold_s: 30
      judge:
        errors:
          bad: 'http_requests_total{job="$service",code=~"5.."}'
          total: 'http_requests_total{job="$service"}'
        latency: 'http_request_duration_seconds_bucket{job="$service"}'
        tolerate: 1.25
        prove_below: 1.5
        alpha: 0.01
        beta: 0.05
        negligible: 0.001
        every_s: 5
        max_s: 600
        on_inconclusive: promote-needs-person
        after:
          for_s: 900
          factor: 2
          then: rollback
"#;

    #[test]
    fn a_judge_is_read_and_its_errors_name_the_line() {
        let pipeline = Pipeline::parse(JUDGED).unwrap();
        let judge = pipeline.targets["production"].canary.judge.clone().unwrap();
        assert_eq!((judge.host_label.as_str(), judge.on_inconclusive), ("host", Inconclusive::PromoteNeedsPerson));
        assert_eq!((judge.settings().wait_ms_max, judge.selectors().count()), (600_000, 3));
        let json = serde_json::to_string(&pipeline).unwrap();
        assert_eq!(serde_json::from_str::<Pipeline>(&json).unwrap(), pipeline);
        let cases: &[(&str, &str, usize, &str)] = &[
            ("        alpha: 0.01", "        alpha: 2", 16, "judge.alpha` `alpha` is 2 but must be"),
            ("        prove_below: 1.5", "        prove_below: 1.2", 15, "above `tolerate` (1.25)"),
            ("        tolerate: 1.25", "        tolerate: 0", 14, "judge.tolerate`"),
            ("        negligible: 0.001", "        negligible: 7", 18, "judge.negligible`"),
            ("        every_s: 5", "        every_s: 0", 19, "between 1 and 60 seconds"),
            ("        max_s: 600", "        max_s: 20", 20, "at least `hold_s` and `every_s` (30)"),
            ("        beta: 0.05", "        betta: 0.05", 17, "betta"),
            ("promote-needs-person", "pray", 21, "pray"),
            ("      hosts: 1", "      hosts: 0", 7, "nothing to judge"),
            ("          for_s: 900", "          for_s: 1", 23, "between `every_s` (5)"),
            ("          factor: 2", "          factor: 1", 24, "above 1"),
            ("then: rollback", "then: shrug", 25, "shrug"),
            (
                "          bad: 'http_requests_total{job=\"$service\",code=~\"5..\"}'",
                "          bad: ' '",
                11,
                "errors.bad`",
            ),
        ];
        for (from, to, line, words) in cases {
            assert!(JUDGED.contains(from), "{from}");
            let error = Pipeline::parse(&JUDGED.replacen(from, to, 1)).unwrap_err();
            assert_eq!(error.line, *line, "{to}: {error}");
            assert!(error.message.contains(words), "{to}: {error}");
        }
        assert_eq!(Pipeline::line_of(JUDGED, &["targets", "production", "canary", "judge", "latency"]), 13);
    }

    const WHOLE: &str = r#"
service: photos
run: {command: ["node"]}
targets:
  production:
    canary:
      hold_s: 30
      judge: {errors: {bad: b, total: t}, after: {for_s: 900}}
      steps:
        - {hosts: 1}
        - {hosts: "10%", hold_s: 60}
        - hosts: "50%"
          judge: {errors: {bad: c, total: t}, alpha: 0.001}
    approve:
      count: 2
      by: [mei, raj, ana]
      role: deployer
    windows: ["Mon-Thu 08:00-17:00 Europe/Berlin"]
    freezes:
      - {from: 2026-12-20, until: 2027-01-04, zone: Europe/Berlin, reason: stocktaking, owner: mei}
hooks:
  before_activate: {command: [./migrate], timeout_s: 600, idempotent: true}
irreversible:
  paths: ["migrations/**"]
  why: columns are dropped
expects:
  metrics:
    - {query: "sum(rate(errors[5m]))", should: stay, by: 0.1}
  risks: ["the cache is cold at first"]
  signs: ["latency above 1 s"]
  contingency: roll back
  after_s: 300
"#;

    #[test]
    fn steps_approvals_windows_hooks_and_expectations_are_read() {
        let p = Pipeline::parse(WHOLE).unwrap();
        let target = p.target("production").unwrap();
        let steps = target.canary.all_steps();
        let told: Vec<_> = steps.iter().map(|s| (s.hosts, s.hold_s, s.judge.as_ref().map(|j| j.alpha))).collect();
        assert_eq!(
            told,
            [
                (Amount::Hosts(1), Some(30), Some(0.01)),
                (Amount::Percent(10), Some(60), Some(0.01)),
                (Amount::Percent(50), Some(30), Some(0.001)),
            ]
        );
        assert_eq!(target.after_promotion().unwrap().1.for_s, 900);
        let approve = target.approve.as_ref().unwrap();
        assert_eq!((approve.count, approve.four_eyes, approve.within_s), (2, true, 86_400));
        assert!(p.hooks.get(HookAt::BeforeActivate).unwrap().idempotent);
        assert_eq!(p.expects.as_ref().unwrap().after_s, 300);
        let json = serde_json::to_string(&p).unwrap();
        assert_eq!(serde_json::from_str::<Pipeline>(&json).unwrap(), p);
        let plain = Pipeline::parse(GOOD).unwrap();
        assert_eq!(plain.target("production").unwrap().canary.all_steps().len(), 1);
        assert!(plain.target("staging").unwrap().canary.all_steps().is_empty());
    }

    #[test]
    fn their_errors_name_the_line() {
        let cases: &[(&str, &str, usize, &str)] = &[
            ("        - {hosts: 1}", "        - {hosts: 0}", 10, "of step 1 is 0"),
            ("{hosts: \"10%\", hold_s: 60}", "{hosts: \"60%\"}", 10, "of step 3 is not more"),
            ("      hold_s: 30", "      hosts: 1", 7, "says how many hosts, and so does `steps`"),
            ("      count: 2", "      count: 0", 15, "approve.count` must be"),
            ("      by: [mei, raj, ana]", "      by: [mei]", 16, "names 1 people, and 2"),
            ("      role: deployer", "      role: boss", 17, "boss"),
            ("[\"Mon-Thu 08:00-17:00 Europe/Berlin\"]", "[\"Mon-Thu 08:00\"]", 18, "three words"),
            ("until: 2027-01-04", "until: 2026-12-19", 20, "freezes.until` must be after"),
            ("reason: stocktaking", "reason: \"\"", 20, "freezes.reason"),
            ("command: [./migrate]", "command: []", 22, "before_activate.command"),
            ("timeout_s: 600", "timeout_s: 0", 22, "before_activate.timeout_s"),
            ("before_activate:", "before_lunch:", 22, "before_lunch"),
            ("[\"migrations/**\"]", "[\"/etc\"]", 24, "irreversible.paths"),
            ("  why: columns are dropped", "  why: \"\"", 25, "irreversible.why"),
            ("should: stay", "should: wobble", 28, "wobble"),
            ("by: 0.1", "by: -1", 28, "expects.metrics.by` of line 1"),
            ("  after_s: 300", "  after_s: 0", 32, "expects.after_s"),
        ];
        for (from, to, line, words) in cases {
            assert!(WHOLE.contains(from), "{from}");
            let error = Pipeline::parse(&WHOLE.replacen(from, to, 1)).unwrap_err();
            assert!(error.message.contains(words), "{to}: {error}");
            assert_eq!(error.line, *line, "{to}: {error}");
        }
    }

    #[test]
    fn the_examples_of_the_guide_are_read() {
        let guide = include_str!("../../../../docs/guide/deploys.md");
        let files: Vec<&str> = guide
            .split("```yaml\n")
            .skip(1)
            .filter_map(|rest| rest.split("```").next())
            .filter(|text| text.contains("service:"))
            .collect();
        assert!(files.len() >= 3, "{}", files.len());
        for file in files {
            Pipeline::parse(file).unwrap_or_else(|e| panic!("{e} in\n{file}"));
        }
    }

    #[test]
    fn a_release_may_be_a_link_where_that_is_said() {
        let file = |run: &str| format!("service: photos\nrun: {run}\ntargets: {{production: {{hosts: all}}}}\n");
        let p = Pipeline::parse(&file("{reload: [systemctl, reload, nginx], prepare: all, keep_warm_s: 0}")).unwrap();
        assert_eq!(p.run.reload.as_deref().map(<[String]>::len), Some(3));
        assert_eq!((p.run.prepare, p.run.keep_warm_s), (crate::Prepare::All, 0));
        assert!(Pipeline::parse(&file("{reload: []}")).unwrap().run.command.is_empty());
        for (run, words) in [
            ("{}", "`run.command`"),
            ("{command: [node], reload: [true]}", "stands in the place of `run.command`"),
            ("{reload: ['']}", "`run.reload`"),
            ("{command: [node], prepare: some}", "some"),
            ("{command: [node], keep_warm_s: 90000}", "`run.keep_warm_s`"),
        ] {
            let error = Pipeline::parse(&file(run)).unwrap_err();
            assert!(error.message.contains(words), "{run}: {error}");
        }
    }

    /// Editors check files by it, so it says what is read and nothing else.
    #[test]
    fn the_schema_in_the_guide_is_that_of_the_file() {
        let schema = serde_json::to_string_pretty(&Pipeline::schema()).unwrap() + "\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/deploy.schema.json");
        if std::env::var_os("TENFOLD_WRITE_SCHEMA").is_some() {
            std::fs::write(path, &schema).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(kept == schema, "docs/guide/deploy.schema.json is out of date; run with TENFOLD_WRITE_SCHEMA=1");
    }

    #[test]
    fn hostile_text_is_an_error_and_not_a_panic() {
        for text in ["", "[", "service: [1", "a: &a [*a]", "\u{0}", "- x", &"a: ".repeat(30_000)] {
            assert!(Pipeline::parse(text).is_err());
        }
    }
}
