//! `tenfold rules check|test`, judged by Prometheus' own `promtool`: the same files, the same verdict.
//! Without `promtool` (Debian: prometheus) the comparison says so in a line, and our own verdicts are still checked.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

use std::path::Path;
use std::process::{Command, Output};

const BINARY: &str = env!("CARGO_BIN_EXE_tenfold");

const RULES: &str = r#"
groups:
- name: second
  rules:
  - record: job:doubled
    expr: job:errors:sum * 2
- name: first
  interval: 30s
  rules:
  - record: job:errors:sum
    expr: sum by (job) (errors)
    labels: {origin: rules}
- name: alerts
  rules:
  - alert: Down
    expr: up == 0
    for: 3m
    keep_firing_for: 2m
    labels: {severity: critical, where: '{{ $labels.instance | stripPort }}'}
    annotations:
      summary: 'down {{ $labels.instance }} of {{ len (query "up") }}, {{ with query "job:doubled{job=''web''}" }}{{ . | first | value | humanize }}{{ else }}nothing{{ end }}'
      link: '{{ $externalURL }}/x?region={{ $externalLabels.region }}'
      list: '{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}'
  - alert: Absent
    expr: absent(up{job="gone"})
  - alert: Counted
    expr: count(up) by (job) > 1
    annotations: {n: '{{ printf "%.1f|%d|%v" $value 3 true }}'}
"#;

/// Name, whether it passes, and the file of tests. Instants are chosen so that windows do not end on a sample: there the
/// semantics of Prometheus 2 and 3 differ.
const CASES: &[(&str, bool, &str)] = &[
    (
        "everything",
        true,
        r#"
rule_files: [ru*.yaml]
evaluation_interval: 1m
group_eval_order: [first, second, alerts]
tests:
- name: a host goes down and comes back
  interval: 1m
  external_labels: {region: eu}
  external_url: https://prometheus.example.org
  input_series:
  - {series: 'up{job="web", instance="a:9100"}', values: '1 1 0x6 1x10'}
  - {series: 'up{job="web", instance="b:9100"}', values: '1x20'}
  - {series: 'errors{job="web", instance="a"}', values: '0+10x20'}
  - {series: 'errors{job="web", instance="b"}', values: '1 _ 3 stale 5-1x4 1e1x3'}
  alert_rule_test:
  - {eval_time: 4m, alertname: Down}
  - eval_time: 5m
    alertname: Down
    exp_alerts:
    - exp_labels: {job: web, instance: 'a:9100', severity: critical, where: a}
      exp_annotations:
        summary: 'down a:9100 of 2, 108'
        link: https://prometheus.example.org/x?region=eu
        list: __name__=up;instance=a:9100;job=web;
  - eval_time: 9m30s
    alertname: Down
    exp_alerts:
    - exp_labels: {job: web, instance: 'a:9100', severity: critical, where: a}
      exp_annotations:
        summary: 'down a:9100 of 2, 162'
        link: https://prometheus.example.org/x?region=eu
        list: __name__=up;instance=a:9100;job=web;
  - {eval_time: 11m, alertname: Down, exp_alerts: []}
  - eval_time: 2m
    alertname: Absent
    exp_alerts: [{exp_labels: {job: gone}}]
  - eval_time: 2m
    alertname: Counted
    exp_alerts: [{exp_labels: {job: web}, exp_annotations: {n: '2.0|3|true'}}]
  promql_expr_test:
  - expr: job:doubled
    eval_time: 2m
    exp_samples: [{labels: 'job:doubled{job="web", origin="rules"}', value: 46}]
  - expr: ALERTS{alertname="Down"}
    eval_time: 5m
    exp_samples:
    - labels: 'ALERTS{alertname="Down", alertstate="firing", instance="a:9100", job="web", severity="critical", where="a"}'
      value: 1
  - {expr: 'errors{instance="b"}', eval_time: 3m, exp_samples: []}
  - {expr: 1 + 1, eval_time: 0m, exp_samples: [{labels: '{}', value: 2}]}
  - {expr: 'rate(errors{instance="a"}[5m] offset 30s) * 60', eval_time: 10m, exp_samples: [{labels: '{instance="a", job="web"}', value: 10}]}
"#,
    ),
    (
        "annotation differs",
        false,
        r#"
rule_files: [rules.yaml]
tests:
- interval: 1m
  input_series: [{series: 'up{job="web"}', values: '1x5'}, {series: 'up{job="web", i="2"}', values: '1x5'}]
  alert_rule_test:
  - eval_time: 2m
    alertname: Counted
    exp_alerts: [{exp_labels: {job: web}, exp_annotations: {n: '2.0|3|false'}}]
"#,
    ),
    (
        "an alert is missing",
        false,
        r#"
rule_files: [rules.yaml]
tests:
- interval: 1m
  input_series: [{series: 'up{job="web"}', values: '1x5'}]
  alert_rule_test: [{eval_time: 2m, alertname: Absent}]
"#,
    ),
    (
        "not yet firing",
        true,
        r#"
rule_files: [rules.yaml]
evaluation_interval: 30s
tests:
- interval: 1m
  input_series: [{series: 'up{job="web", instance="x:1"}', values: '0x10'}]
  alert_rule_test: [{eval_time: 2m59s, alertname: Down}]
"#,
    ),
    (
        "the group that reads comes before the one that writes",
        false,
        r#"
rule_files: [rules.yaml]
group_eval_order: [second, first]
tests:
- interval: 1m
  input_series: [{series: 'errors{job="web"}', values: '1+1x5'}]
  promql_expr_test:
  - {expr: job:doubled, eval_time: 2m, exp_samples: [{labels: 'job:doubled{job="web", origin="rules"}', value: 6}]}
"#,
    ),
    (
        "sample differs",
        false,
        r"
tests:
- interval: 1m
  input_series: [{series: x, values: 1 2 3}]
  promql_expr_test: [{expr: x, eval_time: 1m, exp_samples: [{labels: x, value: 3}]}]
",
    ),
    (
        "last digit differs",
        false,
        r"
tests:
- interval: 1m
  input_series: [{series: x, values: '0.1'}]
  promql_expr_test: [{expr: x + 0.2, eval_time: 0m, exp_samples: [{labels: '{}', value: 0.3}]}]
",
    ),
    (
        "native histograms",
        true,
        r"
tests:
- interval: 1m
  input_series: [{series: x, values: '1x2'}]
  promql_expr_test: [{expr: 'count_over_time(x[90s])', eval_time: 2m, exp_samples: [{labels: '{}', value: 2}]}]
",
    ),
    (
        "two alerts become one",
        false,
        r#"
rule_files: [twice.yaml]
tests:
- interval: 1m
  input_series: [{series: 'up{i="1"}', values: '1x5'}, {series: 'up{i="2"}', values: '1x5'}]
  alert_rule_test: [{eval_time: 1m, alertname: Same, exp_alerts: [{exp_labels: {i: x}}]}]
"#,
    ),
    (
        "a series that ends is stale at once",
        true,
        r#"
rule_files: [ends.yaml]
tests:
- interval: 1m
  input_series: [{series: 'x{i="1"}', values: '5 5 1 1'}]
  promql_expr_test:
  - {expr: high, eval_time: 1m, exp_samples: [{labels: 'high{i="1"}', value: 5}]}
  - {expr: 'high', eval_time: 3m, exp_samples: []}
"#,
    ),
    ("no alertname", false, "tests: [{interval: 1m, alert_rule_test: [{eval_time: 1m}]}]\n"),
    ("unknown key", false, "tests: [{interval: 1m, colour: red}]\n"),
    ("group twice in the order", false, "group_eval_order: [a, a]\ntests: []\n"),
    (
        "series cannot be read",
        false,
        "tests: [{interval: 1m, input_series: [{series: 'x{', values: '1'}], promql_expr_test: [{expr: x, eval_time: 1m}]}]\n",
    ),
    ("query cannot be read", false, "tests: [{interval: 1m, promql_expr_test: [{expr: 'sum(', eval_time: 1m}]}]\n"),
    (
        "rule file is wrong",
        false,
        "rule_files: [wrong.yaml]\ntests: [{interval: 1m, promql_expr_test: [{expr: '1', eval_time: 1m, exp_samples: [{value: 1}]}]}]\n",
    ),
    ("no tests", true, "tests: []\n"),
];

fn ours(dir: &Path, args: &[&str]) -> Output {
    Command::new(BINARY).current_dir(dir).args(args).env("HOME", dir).env_remove("TENFOLD_RULES_LINT").output().unwrap()
}

fn theirs(dir: &Path, args: &[&str]) -> Option<Output> {
    let out = Command::new("promtool").current_dir(dir).args(args).output();
    out.map_err(|_| println!("not compared: promtool is not installed (Debian: prometheus)")).ok()
}

fn said(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

#[test]
fn the_same_tests_pass_and_fail() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("rules.yaml", RULES);
    write("twice.yaml", "groups: [{name: g, rules: [{alert: Same, expr: up, labels: {i: x}}]}]\n");
    write("ends.yaml", "groups: [{name: g, rules: [{record: high, expr: x > 3}]}]\n");
    write("wrong.yaml", "groups: [{name: g, rules: [{alert: A, expr: 'sum('}]}]\n");
    for (name, passes, tests) in CASES {
        write("tests.yaml", tests);
        let out = ours(dir.path(), &["rules", "test", "tests.yaml"]);
        assert_eq!(out.status.success(), *passes, "{name}: {}", said(&out));
        let Some(judge) = theirs(dir.path(), &["test", "rules", "tests.yaml"]) else { continue };
        assert_eq!(judge.status.success(), *passes, "promtool on {name}: {}", said(&judge));
    }
}

/// What the promtool of Debian does not know yet.
#[test]
fn newer_keys() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write(
        "tests.yaml",
        r"
fuzzy_compare: true
tests:
- name: near enough
  interval: 1m
  input_series: [{series: x, values: '0.1'}]
  promql_expr_test: [{expr: x + 0.2, eval_time: 0m, exp_samples: [{labels: '{}', value: 0.3}]}]
- name: starts later
  interval: 1m
  start_timestamp: 2026-03-01T12:00:00Z
  input_series: [{series: x, values: '1 2 3'}]
  promql_expr_test:
  - {expr: x, eval_time: 1m, exp_samples: [{labels: x, value: 2}]}
  - {expr: month(), eval_time: 1m, exp_samples: [{labels: '{}', value: 3}]}
- name: histograms
  interval: 1m
  input_series: [{series: h, values: '{{schema:0 sum:5 count:4 buckets:[1 2 1]}}x2'}]
  promql_expr_test:
  - expr: h
    eval_time: 1m
    exp_samples: [{labels: h, histogram: '{{schema:0 sum:5 count:4 buckets:[1 2 1]}}'}]
  - {expr: histogram_count(h), eval_time: 1m, exp_samples: [{labels: '{}', value: 4}]}
",
    );
    let out = ours(dir.path(), &["rules", "test", "tests.yaml", "--json"]);
    assert!(out.status.success(), "{}", said(&out));
    let answer: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(answer["files"][0]["tests"].as_array().unwrap().len(), 3);
    let out = ours(dir.path(), &["rules", "test", "tests.yaml", "--run", "near", "--json"]);
    let answer: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(answer["files"][0]["tests"].as_array().unwrap().len(), 1);
}

#[test]
fn the_same_files_are_good_and_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let rule = |body: &str| format!("groups:\n- name: g\n  rules:\n  - {body}\n");
    let cases = [
        (RULES.to_owned(), true),
        (rule("{alert: A, expr: up, labels: {x: '{{ nothing }}'}}"), false),
        (rule("{alert: A, expr: up, annotations: {x: '{{ range $labels }}'}}"), false),
        (rule("{alert: A, expr: up, annotations: {x: '{{ define \"a\" }}x{{ end }}{{ template \"a\" . }}'}}"), true),
        (rule("{record: a, expr: up, for: 5m}"), false),
        (rule("{record: 'a{b}', expr: up}"), false),
        (rule("{alert: A, expr: up}\n  - {alert: A, expr: down}"), true),
        (rule("{alert: A, expr: up, labels: {alertname: x}}"), true),
        (rule("{alert: A, expr: up, labels: {__name__: x}}"), false),
        ("groups:\n- {name: team/photos, rules: [{record: a, expr: up}]}\n".to_owned(), true),
        ("groups: []\n".to_owned(), true),
        (String::new(), true),
        ("# none yet\n".to_owned(), true),
        (rule("{alert: A, expr: 'up ='}"), false),
        (rule("{alert: A, expr: up, for: soon}"), false),
        ("groups:\n- {name: g, limit: 5, rules: [{record: a, expr: up}]}\n".to_owned(), true),
        ("groups:\n- {name: g, rules: [{record: a, expr: up}]}\n- {name: g, rules: []}\n".to_owned(), false),
    ];
    for (text, good) in &cases {
        std::fs::write(dir.path().join("r.yaml"), text).unwrap();
        let out = ours(dir.path(), &["rules", "check", "--lint", "off", "r.yaml"]);
        assert_eq!(out.status.success(), *good, "{text}: {}", said(&out));
        let Some(judge) = theirs(dir.path(), &["check", "rules", "--lint", "none", "r.yaml"]) else { continue };
        assert_eq!(judge.status.success(), *good, "promtool on {text}: {}", said(&judge));
    }
}

#[test]
fn an_alert_without_runbook_owner_and_severity_fails_or_warns() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("r.yaml"), "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up == 0\n")
        .unwrap();
    let out = ours(dir.path(), &["rules", "check", "r.yaml"]);
    assert_eq!(out.status.code(), Some(1));
    for word in ["r.yaml:5: the alert A has no runbook", "has no owner", "has no severity"] {
        assert!(said(&out).contains(word), "{}", said(&out));
    }
    let out = ours(dir.path(), &["rules", "check", "--lint", "warn", "r.yaml"]);
    assert!(out.status.success() && said(&out).contains("warning: the alert A has no owner"), "{}", said(&out));
    let configured = Command::new(BINARY)
        .current_dir(dir.path())
        .args(["rules", "check", "r.yaml"])
        .env("TENFOLD_RULES_LINT", "warn")
        .output()
        .unwrap();
    assert!(configured.status.success());
}

/// The example of the guide is good, and so is its test.
#[test]
fn the_example_of_the_guide_passes() {
    let guide =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/alerts.md")).unwrap();
    let blocks: Vec<&str> = guide.split("```yaml\n").skip(1).map(|b| b.split("```").next().unwrap()).collect();
    let rules = blocks.iter().find(|b| b.starts_with("groups:")).unwrap();
    let tests = blocks.iter().find(|b| b.starts_with("rule_files:")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("photos.yaml"), rules).unwrap();
    std::fs::write(dir.path().join("photos_test.yaml"), tests).unwrap();
    let checked = ours(dir.path(), &["rules", "check", "photos.yaml"]);
    assert!(checked.status.success(), "{}", said(&checked));
    let tested = ours(dir.path(), &["rules", "test", "photos_test.yaml"]);
    assert!(tested.status.success(), "{}", said(&tested));
    if let Some(judge) = theirs(dir.path(), &["test", "rules", "photos_test.yaml"]) {
        assert!(judge.status.success(), "{}", said(&judge));
    }
}
