//! The alert generator compliance description of Prometheus (version 1.0), case by case: what it says MUST be is looked at after
//! each evaluation. Where this server does something else on purpose, a test of its own says what.
//!
//! Its part on sending alerts to an Alertmanager is not tested: this server is one itself.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{World, open_with, world};
use tenfold_app::Caller;
use tenfold_app::alerts::{RuleGroupView, RuleView};
use tenfold_promql::Value;
use tenfold_testkit::{TestClock, temp_db};
use tenfold_tsdb::Sample;
use tenfold_types::{Labels, Timestamp};

/// Of the groups here.
const INTERVAL_MS: i64 = 30_000;

struct Case {
    world: World,
    /// The first evaluation.
    zero: Timestamp,
    evaluations: i64,
}

/// State, value and annotations of an alert, and when it began, in evaluations since the first.
type Seen = (String, String, BTreeMap<String, String>, i64);

impl Case {
    async fn new(rules: &str) -> Self {
        Self::of(world().await, rules).await
    }

    async fn of(world: World, rules: &str) -> Self {
        let yaml = format!("groups:\n- name: case\n  interval: 30s\n  rules:\n{rules}");
        world.app.rules_put(&Caller::system(), "case", &yaml).await.expect("the rules load");
        let zero = world.app.now();
        Self { world, zero, evaluations: 0 }
    }

    /// The samples that are there at the next evaluation, and the evaluation. Everything that is to be so after each is looked at.
    async fn evaluate(&mut self, samples: &[(&str, f64)]) {
        let at = self.zero.plus_ms(self.evaluations * INTERVAL_MS);
        self.world.clock.advance_ms(at.since_ms(self.world.app.now()));
        let samples: Vec<Sample> =
            samples.iter().map(|(series, value)| Sample::new(labels(series), at.millis(), *value)).collect();
        self.world.app.metrics.append(&samples).expect("samples are taken");
        self.world.app.alerts_tick().await.expect("the group is evaluated");
        self.evaluations += 1;
        self.holds(at).await;
    }

    /// `ALERTS` has the active alerts and no other series, the states of rules are those of their alerts.
    async fn holds(&self, at: Timestamp) {
        let group = self.group();
        assert_eq!(group.last_evaluation, Some(at), "every 30 s");
        let mut expected = BTreeMap::new();
        for rule in group.rules.iter().filter(|rule| rule.kind == "alerting") {
            assert_eq!(rule.last_evaluation, Some(at), "{}", rule.name);
            assert_eq!(rule.error.is_some(), rule.health != "ok", "{}: an error where it is not well", rule.name);
            let states: BTreeSet<&str> = rule.alerts.iter().map(|alert| alert.state.as_str()).collect();
            let worst = ["firing", "unknown", "pending"].into_iter().find(|state| states.contains(state));
            assert_eq!(rule.state, worst.unwrap_or("inactive"), "{}", rule.name);
            for alert in &rule.alerts {
                let state = if alert.state == "pending" { "pending" } else { "firing" };
                let series = alert.labels.clone().with(Labels::NAME, "ALERTS").with("alertstate", state);
                assert!(expected.insert(series.to_string(), 1.0).is_none(), "one series for each alert");
            }
        }
        assert_eq!(self.ask("ALERTS").await, expected, "evaluation {}", self.evaluations);
    }

    fn group(&self) -> RuleGroupView {
        let groups = self.world.app.rules();
        groups.into_iter().find(|group| group.name == "case").expect("it is loaded")
    }

    fn rule(&self, name: &str) -> RuleView {
        self.group().rules.into_iter().find(|rule| rule.name == name).expect("it is in the group")
    }

    /// The alerts of a rule by the label `variant`.
    fn alerts(&self, name: &str) -> BTreeMap<String, Seen> {
        let seen = self.rule(name).alerts.into_iter().map(|alert| {
            let since = alert.active_since.since_ms(self.zero) / INTERVAL_MS;
            let variant = alert.labels.get("variant").unwrap_or_default().to_owned();
            (variant, (alert.state, alert.value, alert.annotations, since))
        });
        seen.collect()
    }

    /// The states of the alerts of a rule, in the order of their labels.
    fn states(&self, name: &str) -> String {
        self.rule(name).alerts.into_iter().map(|alert| alert.state).collect::<Vec<_>>().join(" ")
    }

    async fn ask(&self, expr: &str) -> BTreeMap<String, f64> {
        let answer = self.world.app.query(expr, self.world.app.now()).await.expect("the query is answered");
        let Value::Vector(rows) = answer.value else { panic!("{expr} answers with a vector") };
        rows.into_iter().map(|row| (row.labels.to_string(), row.value.float().expect("a number"))).collect()
    }
}

/// `load variant=one`: a name and labels.
fn labels(series: &str) -> Labels {
    let mut words = series.split_whitespace();
    let name = words.next().expect("a name");
    let pairs = words.map(|word| word.split_once('=').expect("name=value"));
    Labels::from_pairs(std::iter::once((Labels::NAME, name)).chain(pairs))
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[tokio::test]
async fn rules_are_evaluated_in_their_order_and_see_what_those_before_them_brought() {
    let mut case = Case::new(
        r#"
  - alert: Load
    expr: load > 10
    for: 1m
    labels: {team: web}
  - alert: Both
    expr: (ALERTS{alertstate="firing", alertname="Load", variant="one"} + ignoring(variant) ALERTS{alertstate="firing", alertname="Load", variant="two"}) == 2
    labels: {team: all, severity: info}
    annotations: {was: 'over {{ $labels.alertname }} of {{ .Labels.team }}'}
"#,
    )
    .await;
    case.evaluate(&[("load variant=one", 11.0), ("load variant=two", 0.0)]).await;
    case.evaluate(&[("load variant=one", 11.0), ("load variant=two", 12.0)]).await;
    case.evaluate(&[("load variant=one", 11.0), ("load variant=two", 12.0)]).await;
    assert_eq!((case.states("Load").as_str(), case.states("Both").as_str()), ("firing pending", ""));
    case.evaluate(&[("load variant=one", 11.0), ("load variant=two", 12.0)]).await;
    let both = case.rule("Both");
    assert_eq!(both.alerts.len(), 1, "in the same evaluation in which the second one fires");
    let expected = [("alertname", "Both"), ("alertstate", "firing"), ("team", "all"), ("severity", "info")];
    assert_eq!(both.alerts[0].labels, Labels::from_pairs(expected), "its own labels over those of the series");
    assert_eq!(both.alerts[0].annotations, texts(&[("was", "over Load of web")]), "of the series as it was");
    case.evaluate(&[("load variant=one", 0.0), ("load variant=two", 12.0)]).await;
    assert_eq!((case.states("Load").as_str(), case.states("Both").as_str()), ("firing", ""), "over at once");
}

#[tokio::test]
async fn an_alert_is_pending_for_its_time_then_fires_then_is_over_and_begins_anew() {
    let mut case = Case::new(
        r"
  - alert: Load
    expr: load > 10
    for: 1m30s
    annotations: {fixed: It is, value: '{{ $value }} {{ .Value }}'}
",
    )
    .await;
    let mut seen = Vec::new();
    for value in [3.0, 11.0, 11.0, 15.0, 15.0, 15.0, 19.0, 9.0, 9.0, 12.0, 9.0, 13.0, 13.0, 13.0, 13.0, 9.0] {
        case.evaluate(&[("load variant=a", value)]).await;
        seen.push(case.alerts("Load").remove("a"));
    }
    let alert = |state: &str, value: &str, since: i64| {
        let annotations = texts(&[("fixed", "It is"), ("value", &format!("{value} {value}"))]);
        Some((state.to_owned(), value.to_owned(), annotations, since))
    };
    let expected = [
        None,
        alert("pending", "11", 1),
        alert("pending", "11", 1),
        alert("pending", "15", 1),
        alert("firing", "15", 1),
        alert("firing", "15", 1),
        alert("firing", "19", 1),
        None,
        None,
        alert("pending", "12", 9),
        None,
        alert("pending", "13", 11),
        alert("pending", "13", 11),
        alert("pending", "13", 11),
        alert("firing", "13", 11),
        None,
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_pending_alert_that_is_over_never_fires() {
    let mut case = Case::new(
        r"
  - {alert: Load, expr: load > 10, for: 1m}
  - {alert: More, expr: load > 99, for: 1m}
",
    )
    .await;
    let mut seen = Vec::new();
    for value in [5.0, 11.0, 11.0, 5.0, 5.0] {
        case.evaluate(&[("load variant=a", value)]).await;
        seen.push((case.rule("Load").state, case.rule("More").state));
    }
    let words: Vec<(&str, &str)> = seen.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(
        words,
        [
            ("inactive", "inactive"),
            ("pending", "inactive"),
            ("pending", "inactive"),
            ("inactive", "inactive"),
            ("inactive", "inactive")
        ]
    );
    let fired = case.world.app.events_after(0, 1_000).await.expect("the record is read");
    assert!(!fired.iter().any(|event| event.kind == "alert.fired"));
}

#[tokio::test]
async fn without_a_time_it_fires_at_once_and_with_a_short_one_at_the_next_evaluation() {
    let mut case = Case::new(
        r"
  - {alert: AtOnce, expr: load > 10}
  - {alert: Short, expr: load > 10, for: 15s}
",
    )
    .await;
    let mut seen = Vec::new();
    for value in [5.0, 11.0, 11.0, 5.0, 11.0] {
        case.evaluate(&[("load variant=a", value)]).await;
        seen.push((case.rule("AtOnce").state, case.rule("Short").state));
    }
    let words: Vec<(&str, &str)> = seen.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(
        words,
        [
            ("inactive", "inactive"),
            ("firing", "pending"),
            ("firing", "firing"),
            ("inactive", "inactive"),
            ("firing", "pending")
        ]
    );
}

#[tokio::test]
async fn every_function_and_variable_of_templates_is_known() {
    let settings = |settings: &mut tenfold_app::Settings| {
        settings.alerts.external_labels.insert("region".to_owned(), "eu".to_owned());
        settings.public_url = "https://tenfold.example.org/here".to_owned();
    };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let there = open_with(dir, temp_db().await, TestClock::default(), settings).await;
    let mut case = Case::of(
        there,
        r#"
  - alert: Load
    expr: load > 10
    annotations:
      queries: '{{ define "t" }}{{ .arg0 }} {{ .arg1 }}: {{ with query "disk" }}{{ . | sortByLabel "id" | first | label "id" }},{{ range $v := sortByLabel "id" . }}{{ $v | label "id" }}={{ $v | value }},{{ end }}{{ end }}{{ end }}{{ template "t" (args "of" 9) }}'
      numbers: '{{ humanize 2097152 }} {{ humanize1024 2097152 }} {{ humanizeDuration 75.5 }} {{ humanizePercentage 0.25 }} {{ humanizeTimestamp 1700000000 }} {{ parseDuration "1h1m" }}'
      texts: '{{ title "two words" }} {{ toUpper "up" }} {{ toLower "DOWN" }} {{ stripPort "[::1]:80" }} {{ stripPort "10.0.0.1:80" }} {{ stripDomain "a.b.c" }}'
      patterns: '{{ if match "[0-9]+" "12" }}{{ reReplaceAll "a.*c" "x" "abcd" }}{{ end }}{{ if match "[0-9]+$" "12a" }}WRONG{{ end }}'
      around: '{{ $externalLabels.region }} {{ .ExternalLabels.region }} {{ $externalURL }} {{ pathPrefix }}'
      optional: '[{{ tmpl "console" . }}{{ safeHtml "" }}{{ $externalLabels.nothing }}]'
"#,
    )
    .await;
    case.evaluate(&[("load variant=a", 11.0), ("disk id=2", 20.0), ("disk id=1", 10.0)]).await;
    let annotations = case.alerts("Load").remove("a").expect("it fires").2;
    let expected = texts(&[
        ("queries", "of 9: 1,1=10,2=20,"),
        ("numbers", "2.097M 2Mi 1m 15s 25% 2023-11-14 22:13:20 +0000 UTC 3660"),
        ("texts", "Two Words UP down ::1 10.0.0.1 a"),
        ("patterns", "xd"),
        ("around", "eu eu https://tenfold.example.org/here /here"),
        ("optional", "[]"),
    ]);
    assert_eq!(annotations, expected);
}

#[tokio::test]
async fn labels_of_the_rule_and_its_name_count_more_than_those_of_the_series() {
    let mut case = Case::new(
        r"
  - alert: Load
    expr: load > 10
    labels: {alertname: ignored, team: '{{ $labels.team }}-{{ $labels.alertname }}', variant: ''}
",
    )
    .await;
    case.evaluate(&[("load variant=a team=web alertname=Old alertstate=odd", 11.0)]).await;
    let alerts = case.rule("Load").alerts;
    let expected = [("alertname", "Load"), ("alertstate", "odd"), ("team", "web-Old")];
    assert_eq!(alerts.iter().map(|a| a.labels.clone()).collect::<Vec<_>>(), [Labels::from_pairs(expected)]);
    let series = case.ask("ALERTS").await;
    let expected = r#"ALERTS{alertname="Load",alertstate="firing",team="web-Old"}"#;
    assert_eq!(series.keys().collect::<Vec<_>>(), [expected], "its state over a label of that name");
}

#[tokio::test]
async fn two_alerts_with_the_same_labels_are_an_error_of_the_rule() {
    let mut case = Case::new("\n  - {alert: Load, expr: load > 10, labels: {variant: all}}\n").await;
    case.evaluate(&[("load variant=a", 11.0), ("load variant=b", 11.0)]).await;
    let rule = case.rule("Load");
    assert_eq!((rule.health.as_str(), rule.alerts.len()), ("error", 0));
    assert!(rule.error.is_some_and(|error| error.contains("the same labels")));
    assert!(case.ask("ALERTS").await.is_empty());
    case.evaluate(&[("load variant=a", 11.0), ("load variant=b", 1.0)]).await;
    let rule = case.rule("Load");
    assert_eq!((rule.health.as_str(), rule.error, rule.alerts.len()), ("ok", None, 1));
}

#[tokio::test]
async fn what_a_rule_brings_no_more_has_ended() {
    let mut case = Case::new(
        r"
  - {record: load:high, expr: load > 10, labels: {team: web}}
  - {alert: High, expr: 'load:high > 0'}
  - {alert: Counted, expr: 'count(load:high) > 1'}
",
    )
    .await;
    case.evaluate(&[("load variant=a", 11.0), ("load variant=b", 11.0)]).await;
    assert_eq!(case.ask("load:high").await.len(), 2);
    assert_eq!((case.states("High").as_str(), case.states("Counted").as_str()), ("firing firing", "firing"));
    case.evaluate(&[("load variant=a", 11.0), ("load variant=b", 5.0)]).await;
    assert_eq!((case.ask("load:high").await.len(), case.states("Counted").as_str()), (1, ""));
    assert_eq!(case.states("High"), "firing", "over, and not unknown: b is measured");
    case.world.clock.advance_ms(1_000);
    case.world.app.rules_delete(&Caller::system(), "case").await.expect("the rules are gone");
    assert!(case.ask("load:high").await.is_empty());
    assert!(case.ask("ALERTS").await.is_empty() && case.ask("ALERTS_FOR_STATE").await.is_empty());
}

#[tokio::test]
async fn a_rule_over_alerts_is_over_when_they_are() {
    let mut case = Case::new(
        r#"
  - {alert: Load, expr: load > 10}
  - {alert: Some, expr: "count(ALERTS{alertname='Load'}) > 0"}
"#,
    )
    .await;
    case.evaluate(&[("load variant=a", 11.0)]).await;
    assert_eq!(case.states("Some"), "firing");
    case.evaluate(&[("load variant=a", 1.0)]).await;
    assert!(case.states("Some").is_empty(), "over, and not unknown");
}

#[tokio::test]
async fn what_is_not_recorded_for_an_error_says_nothing() {
    let mut case = Case::new(
        r"
  - {record: load:high, expr: 'load > 10', labels: {variant: one}}
  - {alert: High, expr: 'load:high > 0'}
",
    )
    .await;
    case.evaluate(&[("load variant=a", 11.0)]).await;
    assert_eq!(case.states("High"), "firing");
    // Two series become one, which is an error; what was recorded counts for five minutes.
    for _ in 0..10 {
        case.evaluate(&[("load variant=a", 11.0), ("load variant=b", 11.0)]).await;
    }
    assert_eq!((case.rule("load:high").health.as_str(), case.states("High").as_str()), ("error", "unknown"));
}

/// The description has an alert end when its data ends.
#[tokio::test]
async fn other_than_described_no_data_is_no_end() {
    let mut case = Case::new(
        r"
  - {record: load:high, expr: load > 10}
  - {alert: Load, expr: load > 10}
  - {alert: High, expr: 'load:high > 0'}
",
    )
    .await;
    case.evaluate(&[("load variant=a", 11.0)]).await;
    // A sample counts for five minutes.
    for _ in 0..11 {
        case.evaluate(&[]).await;
    }
    for name in ["Load", "High"] {
        assert_eq!(case.states(name), "unknown", "{name}");
    }
    let states = case.ask("count by (alertstate) (ALERTS) == 2").await;
    assert_eq!(states.into_keys().collect::<Vec<_>>(), [r#"{alertstate="firing"}"#]);
    case.evaluate(&[("load variant=a", 1.0)]).await;
    for name in ["Load", "High"] {
        assert!(case.states(name).is_empty(), "{name}: the data says so");
    }
}

/// The description has a minute.
#[tokio::test]
async fn other_than_described_a_group_that_says_no_interval_has_that_of_the_settings() {
    let there = world().await;
    let yaml = "groups:\n- name: usual\n  rules: [{alert: Load, expr: load > 10}]\n";
    let groups = there.app.rules_put(&Caller::system(), "usual", yaml).await.expect("it loads");
    assert_eq!(groups[0].interval_ms, 5_000);
}

/// The description has the labels written anew at each evaluation, so that one made of the value is another alert each time.
#[tokio::test]
async fn other_than_described_labels_are_those_of_the_beginning() {
    let mut case = Case::new("\n  - {alert: Load, expr: load > 10, labels: {at: '{{ $value }}'}}\n").await;
    case.evaluate(&[("load variant=a", 11.0)]).await;
    case.evaluate(&[("load variant=a", 12.0)]).await;
    let alerts = case.rule("Load").alerts;
    let seen: Vec<_> = alerts.iter().map(|a| (a.labels.get("at"), a.value.as_str())).collect();
    assert_eq!(seen, [(Some("11"), "12")]);
}
