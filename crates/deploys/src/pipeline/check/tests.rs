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
fn patterns_are_few() {
    let of = |count: usize| {
        let all = vec!["\"a\""; count].join(", ");
        Pipeline::parse(&GOOD.replacen("\"dist/**\", \"server.mjs\"", &all, 1))
    };
    assert!(of(256).is_ok());
    let error = of(257).unwrap_err();
    assert!(error.message.contains("`artifact.paths` has more than 256 patterns"), "{error}");
    assert_eq!(error.line, 7);
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
        ("      hosts: 1", "      hosts: 0", 18, "`targets.production.canary.check` is never asked"),
        ("max: 0.5}", "max: 0.5, min: 2}", 18, "canary.check.min` is 2, above `max`, which is 0.5"),
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
          levels:
            - {query: 'process_resident_memory_bytes{job="$service"}', unit: 1e6, relative_min: 0.05}
            - {query: 'sum(queue_length{job="$service"})', unit: 1, direction: both}
"#;

#[test]
fn a_judge_is_read_and_its_errors_name_the_line() {
    let pipeline = Pipeline::parse(JUDGED).unwrap();
    let judge = pipeline.targets["production"].canary.judge.clone().unwrap();
    assert_eq!((judge.host_label.as_str(), judge.on_inconclusive), ("host", Inconclusive::PromoteNeedsPerson));
    assert_eq!((judge.settings().wait_ms_max, judge.selectors().count()), (600_000, 3));
    let after = judge.after.unwrap();
    assert_eq!((after.level_step_s(), after.levels[1].relative_min, after.levels.len()), (60, 0.1, 2));
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
        ("unit: 1e6", "unit: 0", 27, "after.levels` has the query `process_resident_memory_bytes"),
        ("relative_min: 0.05", "relative_min: 0", 27, "`relative_min` must be above 0"),
        ("'sum(queue_length{job=\"$service\"})'", "' '", 28, "1 to 4096 characters"),
        ("unit: 1, direction", "direction", 28, "unit"),
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
fn teams_stand_beside_people_who_approve() {
    let approve = |said: &str| {
        let text = format!("service: photos\nrun: {{command: [x]}}\ntargets: {{production: {{approve: {said}}}}}");
        Pipeline::parse(&text).unwrap().target("production").unwrap().approve.clone().unwrap()
    };
    let photos = ["photos".to_owned()];
    let both = approve("{count: 2, by: [mei], teams: [photos, web]}");
    assert!(both.lets("mei", &[]) && both.lets("raj", &photos) && !both.lets("raj", &["pho".to_owned()]));
    let team = approve("{teams: [photos]}");
    assert!(team.lets("raj", &photos) && !team.lets("photos", &[]), "a team's name is no login");
    assert!(approve("{count: 2}").lets("raj", &[]));
}

#[test]
fn their_errors_name_the_line() {
    let cases: &[(&str, &str, usize, &str)] = &[
        ("        - {hosts: 1}", "        - {hosts: 0}", 10, "of step 1 is 0"),
        ("{hosts: \"10%\", hold_s: 60}", "{hosts: \"60%\"}", 12, "of step 3 is not more"),
        ("      hold_s: 30", "      hosts: 1", 7, "says how many hosts, and so does `steps`"),
        ("      count: 2", "      count: 0", 15, "approve.count` must be"),
        ("      by: [mei, raj, ana]", "      by: [mei]", 16, "names 1 people, and 2"),
        ("      by: [mei, raj, ana]", "      by: [mei, mei]", 16, "approve.by` names `mei` twice"),
        ("      role: deployer", "      role: boss", 17, "boss"),
        ("      role: deployer", "      teams: [photos, photos]", 17, "approve.teams` names `photos` twice"),
        ("      role: deployer", "      teams: ['']", 17, "approve.teams` must have 1 to"),
        ("[\"Mon-Thu 08:00-17:00 Europe/Berlin\"]", "[\"Mon-Thu 08:00\"]", 18, "three words"),
        ("until: 2027-01-04", "until: 2026-12-19", 20, "freezes.until` must be after"),
        ("reason: stocktaking", "reason: \"\"", 20, "freezes.reason"),
        ("command: [./migrate]", "command: []", 22, "before_activate.command"),
        ("timeout_s: 600", "timeout_s: 0", 22, "before_activate.timeout_s"),
        ("before_activate:", "before_lunch:", 22, "before_lunch"),
        ("[\"migrations/**\"]", "[\"/etc\"]", 24, "irreversible.paths"),
        ("  why: columns are dropped", "  why: \"\"", 25, "irreversible.why"),
        ("should: stay", "should: wobble", 28, "wobble"),
        ("by: 0.1", "by: -1", 28, "`expects.metrics.by` must be"),
        ("alpha: 0.001}", "alpha: 2}", 13, "canary.steps.judge.alpha`"),
        ("[\"latency above 1 s\"]", "\n    - good\n    - ''", 32, "expects.signs`"),
        ("  after_s: 300", "  after_s: 0", 32, "expects.after_s"),
    ];
    for (from, to, line, words) in cases {
        assert!(WHOLE.contains(from), "{from}");
        let error = Pipeline::parse(&WHOLE.replacen(from, to, 1)).unwrap_err();
        assert!(error.message.contains(words), "{to}: {error}");
        assert_eq!(error.line, *line, "{to}: {error}");
    }
}

const STAGED: &str = r#"
service: photos
run: {command: ["node"]}
targets:
  staging: {hosts: all}
  canary-site: {hosts: all}
  production: {hosts: {role: web}}
stages:
  - environment: staging
  # a day of crawlers
  - environment: canary-site
    auto: true
    hold_s: 600
  - {environment: production}
"#;

#[test]
fn stages_are_an_order_and_their_errors_name_the_line() {
    let p = Pipeline::parse(STAGED).unwrap();
    let before = |environment: &str| p.stage_before(environment).map(|stage| stage.environment.as_str());
    assert_eq!(
        (before("staging"), before("canary-site"), before("production")),
        (None, Some("staging"), Some("canary-site"))
    );
    let after = p.stage_after("staging").unwrap();
    assert_eq!((after.environment.as_str(), after.auto, after.hold_s), ("canary-site", true, 600));
    assert!(p.stage_after("production").is_none() && p.stage_before("moon").is_none());
    let json = serde_json::to_string(&p).unwrap();
    assert_eq!(serde_json::from_str::<Pipeline>(&json).unwrap(), p);
    assert!(Pipeline::parse(GOOD).unwrap().stages.is_empty());
    let cases: &[(&str, &str, usize, &str)] = &[
        (
            "- {environment: production}",
            "- {environment: moon}",
            14,
            "`stages.environment` is `moon`, which `targets` does not have; it has canary-site, production, staging",
        ),
        ("- {environment: production}", "- {environment: staging}", 14, "is `staging` again, which is stage 1 already"),
        ("- environment: canary-site", "- environment: staging", 11, "is `staging` again"),
        (
            "  - environment: staging\n",
            "  - environment: staging\n    auto: true\n",
            10,
            "`stages.auto` is true for the first stage",
        ),
        ("    auto: true\n", "", 12, "`stages.hold_s` only counts with `auto: true`"),
        ("hold_s: 600", "hold_s: 90000", 13, "`stages.hold_s` must be between 0 and 86400 seconds"),
        ("hold_s: 600", "holds: 600", 13, "holds"),
    ];
    for (from, to, line, words) in cases {
        assert!(STAGED.contains(from), "{from}");
        let error = Pipeline::parse(&STAGED.replacen(from, to, 1)).unwrap_err();
        assert!(error.message.contains(words), "{to}: {error}");
        assert_eq!(error.line, *line, "{to}: {error}");
    }
    let one = Pipeline::parse(&GOOD.replacen("targets:", "stages: [{environment: staging}]\ntargets:", 1)).unwrap_err();
    assert!(one.line == 12 && one.message.contains("an order takes two"), "{one}");
}

#[test]
fn the_examples_of_the_guide_are_read() {
    let guide = include_str!("../../../../../docs/guide/deploys.md");
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

/// What a few lines stand for is bounded before it is built.
#[test]
fn aliases_are_few() {
    let word = "x".repeat(20_000);
    let wide = |aliases: usize| {
        let list = vec!["*w"; aliases].join(", ");
        format!("service: photos\nrun: {{command: [&w {word}, {list}]}}\ntargets: {{production: {{}}}}\n")
    };
    assert!(Pipeline::parse(&wide(50)).is_ok(), "a few are what aliases are for");
    let error = Pipeline::parse(&wide(5_000)).unwrap_err();
    assert!(error.message.contains("more than 100 aliases"), "{error}");

    let targets = |first: &str, other: &str, count: usize| {
        let others = (0..count).map(|n| format!("  e{n}: {other}\n")).collect::<Vec<_>>().concat();
        format!("service: photos\nrun: {{command: [x]}}\ntargets:\n  first: {first}\n{others}")
    };
    let freezes = vec!["{from: 2026-01-01, until: 2026-01-02, reason: r, owner: o}"; 100].join(", ");
    let many = targets(&format!("{{freezes: &f [{freezes}]}}"), "{freezes: *f}", 90);
    let error = Pipeline::parse(&many).unwrap_err();
    assert!(error.message.contains("aliases stand for more than 1000 values"), "{error}");

    let judged = "{hosts: 1, hold_s: 30, judge: {errors: {bad: b, total: t}, after: {for_s: 900}}}";
    let good = targets(&format!("{{canary: &c {judged}}}"), "{canary: *c}", 9);
    assert_eq!(Pipeline::parse(&good).unwrap().targets.len(), 10);
}
