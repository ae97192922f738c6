//! The rule's state machine, case by case and as properties over random histories.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tenfold_alerting::{
    AlertRule, AlertState, Answer, Present, Rule, RuleState, RuleWorld, TransitionKind as K, arrive, close_all,
    parse_rules, step,
};
use tenfold_types::{Labels, Timestamp};

const KEEP_MS: i64 = 60_000;

fn rule(extra: &str) -> AlertRule {
    let yaml = format!(
        "groups:\n- name: g\n  rules:\n  - alert: High\n    expr: x > 1\n    labels: {{severity: critical}}\n    annotations: {{summary: 'is {{{{ $value }}}}'}}\n{extra}"
    );
    match parse_rules(&yaml).expect("the rule reads").groups.remove(0).rules.remove(0) {
        Rule::Alert(r) => r,
        Rule::Record(_) => unreachable!("it is an alert"),
    }
}

fn world(at_ms: i64) -> RuleWorld<'static> {
    static NONE: std::sync::LazyLock<Labels> = std::sync::LazyLock::new(Labels::new);
    RuleWorld { external_labels: &NONE, external_url: "", ask: None, at: Timestamp(at_ms) }
}

fn series() -> Labels {
    Labels::from_pairs([("host", "a")])
}

/// One letter per evaluation: `h`igh, `l`ow (data, healthy), `n`o data, `e`rror. Ten seconds apart.
fn answer(letter: char) -> Answer {
    let some = Present::Series(BTreeSet::from([series()]));
    match letter {
        'h' => Answer::Samples { samples: vec![(series().with("__name__", "x"), 5.0)], present: some },
        'l' => Answer::Samples { samples: vec![], present: some },
        'n' => Answer::Samples { samples: vec![], present: Present::Series(BTreeSet::new()) },
        'a' => Answer::Samples { samples: vec![], present: Present::All },
        _ => Answer::Failed("timeout".to_owned()),
    }
}

fn run(rule: &AlertRule, history: &str) -> Vec<(usize, K)> {
    let mut state = RuleState::default();
    let mut out = Vec::new();
    for (i, letter) in history.chars().enumerate() {
        // A restart between any two evaluations changes nothing.
        state = serde_json::from_str(&serde_json::to_string(&state).expect("plain data")).expect("plain data");
        let (transitions, error) = step(rule, &mut state, answer(letter), world(i as i64 * 10_000), KEEP_MS);
        assert_eq!(error, None);
        out.extend(transitions.into_iter().map(|t| (i, t.kind)));
    }
    out
}

/// Capitals are samples that come between evaluations on the interval, which see small letters.
fn run_with_arrivals(rule: &AlertRule, history: &str) -> Vec<(usize, K)> {
    let mut state = RuleState::default();
    let mut out = Vec::new();
    for (i, letter) in history.chars().enumerate() {
        let (answer, world) = (answer(letter.to_ascii_lowercase()), world(i as i64 * 10_000));
        let transitions = match answer {
            Answer::Samples { samples, .. } if letter.is_ascii_uppercase() => {
                arrive(rule, &mut state, samples, world).expect("the answer can be followed")
            }
            answer => step(rule, &mut state, answer, world, KEEP_MS).0,
        };
        out.extend(transitions.into_iter().map(|t| (i, t.kind)));
    }
    out
}

#[test]
fn samples_that_come_begin_alerts_and_end_none() {
    let plain = rule("");
    let held = rule("    for: 20s\n");
    let kept = rule("    keep_firing_for: 20s\n");
    type Case<'a> = (&'a AlertRule, &'a str, &'a [(usize, K)]);
    let cases: &[Case<'_>] = &[
        (&plain, "lHlL", &[(1, K::Firing), (2, K::Resolved)]),
        (&plain, "HLNLh", &[(0, K::Firing)]),
        (&plain, "HLNLl", &[(0, K::Firing), (4, K::Resolved)]),
        // `for` runs from the sample that came, and a dip between two evaluations is not seen, as on the interval alone.
        (&held, "HLH", &[(0, K::Pending), (2, K::Firing)]),
        (&held, "HlHHH", &[(0, K::Pending), (1, K::Cleared), (2, K::Pending), (4, K::Firing)]),
        (&plain, "hnH", &[(0, K::Firing), (1, K::Unknown), (2, K::FiringAgain)]),
        // What holds again begins `keep_firing_for` anew.
        (&kept, "hlHlll", &[(0, K::Firing), (5, K::Resolved)]),
    ];
    for (rule, history, expected) in cases {
        assert_eq!(run_with_arrivals(rule, history), *expected, "{history}");
    }
}

#[test]
fn histories() {
    let plain = rule("");
    let held = rule("    for: 20s\n");
    let kept = rule("    keep_firing_for: 20s\n");
    type Case<'a> = (&'a AlertRule, &'a str, &'a [(usize, K)]);
    let cases: &[Case<'_>] = &[
        (&plain, "lhhl", &[(1, K::Firing), (3, K::Resolved)]),
        (&plain, "ha", &[(0, K::Firing), (1, K::Resolved)]),
        (&held, "hhhl", &[(0, K::Pending), (2, K::Firing), (3, K::Resolved)]),
        (&held, "hhlhhh", &[(0, K::Pending), (2, K::Cleared), (3, K::Pending), (5, K::Firing)]),
        // No data and errors hold a pending alert where it is.
        (&held, "hneh", &[(0, K::Pending), (3, K::Firing)]),
        (&held, "hnnnnnnnn", &[(0, K::Pending), (7, K::Cleared)]),
        // Vanished data is unknown, and only data resolves.
        (&plain, "hnnl", &[(0, K::Firing), (1, K::Unknown), (3, K::Resolved)]),
        (&plain, "hnnh", &[(0, K::Firing), (1, K::Unknown), (3, K::FiringAgain)]),
        (&plain, "heel", &[(0, K::Firing), (1, K::Unknown), (3, K::Resolved)]),
        // A query that keeps failing never ends an alert; data that stays away does, marked as expired.
        (&plain, "heeeeeeeeeee", &[(0, K::Firing), (1, K::Unknown)]),
        (&plain, "hnnnnnnn", &[(0, K::Firing), (1, K::Unknown), (7, K::Expired)]),
        (&kept, "hllhlll", &[(0, K::Firing), (6, K::Resolved)]),
        (&kept, "hnlll", &[(0, K::Firing), (1, K::Unknown), (2, K::FiringAgain), (4, K::Resolved)]),
    ];
    for (rule, history, expected) in cases {
        assert_eq!(&run(rule, history), expected, "{history}");
    }
}

#[test]
fn alerts_carry_labels_and_text() {
    let rule = rule("");
    let mut state = RuleState::default();
    let (transitions, _) = step(&rule, &mut state, answer('h'), world(0), KEEP_MS);
    let alert = &transitions[0].alert;
    assert_eq!(alert.labels, Labels::from_pairs([("alertname", "High"), ("host", "a"), ("severity", "critical")]));
    assert_eq!(alert.annotations["summary"], "is 5");
    assert_eq!(alert.fingerprint.len(), 16);
    let closed = close_all(&mut state, Timestamp(1));
    assert_eq!((closed[0].kind, closed[0].alert.state), (K::RuleRemoved, AlertState::Resolved));
    assert!(state.active.is_empty());
}

#[test]
fn an_answer_that_cannot_be_followed_is_unknown_not_healthy() {
    let rule = rule("");
    let mut state = RuleState::default();
    step(&rule, &mut state, answer('h'), world(0), KEEP_MS);
    let twice = vec![(series().with("__name__", "x"), 5.0), (series().with("__name__", "y"), 5.0)];
    let twice = Answer::Samples { samples: twice, present: Present::All };
    let (transitions, error) = step(&rule, &mut state, twice, world(1), KEEP_MS);
    assert!(error.expect("refused").to_string().contains("same labels"));
    assert_eq!(transitions[0].kind, K::Unknown);
}

#[test]
fn of_too_many_series_as_many_as_there_is_room_for_are_followed() {
    let hosts = |from: i32, to: i32| Answer::Samples {
        samples: (from..to).map(|i| (Labels::from_pairs([("host", i.to_string())]), 1.0)).collect(),
        present: Present::All,
    };
    let rule = rule("");
    let mut state = RuleState::default();
    let mut at = |hosts, at_ms| {
        let (transitions, error) = step(&rule, &mut state, hosts, world(at_ms), KEEP_MS);
        let kinds: Vec<K> = transitions.into_iter().map(|t| t.kind).collect();
        let count = |kind| kinds.iter().filter(|k| **k == kind).count();
        (count(K::Firing), count(K::Resolved), kinds.len(), error.map(|e| e.to_string()))
    };
    assert_eq!(at(hosts(2_000, 2_010), 0), (10, 0, 10, None));
    let (begin, _, all, error) = at(hosts(0, 2_010), 1);
    assert_eq!((begin, all), (1_990, 1_990), "those that fired go on");
    assert!(error.expect("it says so").contains("2010"));
    let again = at(hosts(0, 2_010), 2);
    assert_eq!((again.0, again.2), (0, 0), "the same are followed");
    assert_eq!(at(hosts(0, 5), 3), (0, 1_995, 1_995, None));
}

fn named(rule: &str, hosts: &[&str]) -> (AlertRule, Answer) {
    let yaml = format!("groups:\n- name: g\n  rules:\n  - alert: High\n    expr: x > 1\n    labels: {rule}\n");
    let Rule::Alert(rule) = parse_rules(&yaml).expect("the rule reads").groups.remove(0).rules.remove(0) else {
        unreachable!("it is an alert")
    };
    let samples = hosts.iter().map(|host| (Labels::from_pairs([("__name__", "x"), ("host", *host)]), 5.0)).collect();
    (rule, Answer::Samples { samples, present: Present::All })
}

#[test]
fn two_alerts_with_the_same_labels_are_refused_before_anything_changes() {
    let (rule, both) = named("{host: all}", &["a", "b"]);
    let mut state = RuleState::default();
    let (transitions, error) = step(&rule, &mut state, both.clone(), world(0), KEEP_MS);
    assert_eq!((transitions, state.active.len()), (vec![], 0));
    assert!(error.expect("refused").to_string().contains("host=\"all\""));
    let Answer::Samples { samples, .. } = both.clone() else { unreachable!("they are samples") };
    arrive(&rule, &mut state, samples, world(0)).expect_err("no sample that comes begins one either");
    assert!(state.active.is_empty());
    let (_, one) = named("{host: all}", &["a"]);
    step(&rule, &mut state, one, world(0), KEEP_MS);
    let (transitions, error) = step(&rule, &mut state, both, world(1), KEEP_MS);
    assert!(error.is_some(), "also beside one that is active");
    assert_eq!(transitions.iter().map(|t| t.kind).collect::<Vec<_>>(), [K::Unknown]);
}

#[test]
fn an_alert_goes_on_where_another_series_has_its_labels_now() {
    let (rule, first) = named("{host: all}", &["a"]);
    let mut state = RuleState::default();
    let fired = step(&rule, &mut state, first, world(0), KEEP_MS).0;
    let (_, second) = named("{host: all}", &["b"]);
    assert_eq!(step(&rule, &mut state, second, world(10), KEEP_MS), (vec![], None), "nothing is news");
    let alert = state.active.values().next().expect("it is active");
    assert_eq!(alert.fingerprint, fired[0].alert.fingerprint);
    assert_eq!((alert.active_since, alert.series.get("host")), (Timestamp(0), Some("b")));
}

#[test]
fn the_name_of_the_rule_counts_more_than_a_label() {
    let (rule, one) = named("{alertname: Other, host: '{{ $labels.host }}!'}", &["a"]);
    let fired = step(&rule, &mut RuleState::default(), one, world(0), KEEP_MS).0;
    assert_eq!(fired[0].alert.labels, Labels::from_pairs([("alertname", "High"), ("host", "a!")]));
}

/// What happened as the series had these values, ten seconds apart; none where the expression does not hold.
fn by_value(extra: &str, values: &[Option<f64>]) -> Vec<(usize, K, String)> {
    let severity = "'{{ if gt $value 95.0 }}critical{{ else }}warning{{ end }}'";
    let yaml = format!(
        "groups:\n- name: g\n  rules:\n  - alert: High\n    expr: x > 80\n    labels: {{severity: {severity}}}\n{extra}"
    );
    let Rule::Alert(rule) = parse_rules(&yaml).expect("the rule reads").groups.remove(0).rules.remove(0) else {
        unreachable!("it is an alert")
    };
    let mut state = RuleState::default();
    let mut out = Vec::new();
    for (i, value) in values.iter().enumerate() {
        let samples = value.iter().map(|value| (series().with("__name__", "x"), *value)).collect();
        let present = Present::Series(BTreeSet::from([series()]));
        let answer = Answer::Samples { samples, present };
        let (transitions, error) = step(&rule, &mut state, answer, world(i as i64 * 10_000), KEEP_MS);
        assert_eq!(error, None);
        let severity = |t: &tenfold_alerting::Transition| t.alert.labels.get("severity").unwrap_or_default().to_owned();
        out.extend(transitions.iter().map(|t| (i, t.kind, severity(t))));
    }
    out
}

#[test]
fn a_severity_made_of_the_value_that_gets_worse_is_another_alert() {
    let of = |rows: &[(usize, K, &str)]| -> Vec<(usize, K, String)> {
        rows.iter().map(|(i, kind, severity)| (*i, *kind, (*severity).to_owned())).collect()
    };
    let at_once = by_value("", &[Some(85.0), Some(99.0), Some(85.0), None]);
    let wanted = [
        (0, K::Firing, "warning"),
        (1, K::Firing, "critical"),
        (1, K::Resolved, "warning"),
        // What gets better goes on as it is.
        (3, K::Resolved, "critical"),
    ];
    assert_eq!(at_once, of(&wanted));
    // A moment of it is none, as long as the rule waits.
    let values = [85.0, 85.0, 85.0, 99.0, 85.0, 99.0, 99.0, 99.0].map(Some);
    let wanted = [
        (0, K::Pending, "warning"),
        (2, K::Firing, "warning"),
        (7, K::Firing, "critical"),
        (7, K::Resolved, "warning"),
    ];
    assert_eq!(by_value("    for: 20s\n", &values), of(&wanted));
}

#[test]
fn a_clock_set_back_makes_no_alert_wait_longer() {
    let held = rule("    for: 20s\n    keep_firing_for: 20s\n");
    let mut state = RuleState::default();
    let mut at = |letter, at_ms| {
        let transitions = step(&held, &mut state, answer(letter), world(at_ms), KEEP_MS).0;
        transitions.into_iter().map(|t| t.kind).collect::<Vec<_>>()
    };
    assert_eq!(at('h', 3_600_000), [K::Pending]);
    assert!(at('h', 10_000).is_empty());
    assert_eq!(at('h', 30_000), [K::Firing], "its time begins with the clock that holds");
    assert!(at('l', 3_700_000).is_empty());
    assert!(at('l', 40_000).is_empty());
    assert_eq!(at('l', 60_000), [K::Resolved]);
    assert_eq!((at('h', 70_000), at('h', 90_000)), (vec![K::Pending], vec![K::Firing]));
    assert_eq!(at('n', 3_800_000), [K::Unknown]);
    assert!(at('n', 100_000).is_empty());
    assert_eq!(at('n', 160_000), [K::Expired]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Over any history: `Resolved` comes only at an evaluation whose data says so, every firing has had the expression
    /// hold for `for`, and the states follow each other as drawn in the module's documentation.
    #[test]
    fn no_data_never_resolves(history in "[hlnae]{0,40}", hold in 0_usize..4, keep in 0_usize..3) {
        let rule = rule(&format!("    for: {}s\n    keep_firing_for: {}s\n", hold * 10, keep * 10));
        let letters: Vec<char> = history.chars().collect();
        let mut last: Option<K> = None;
        for (i, kind) in run(&rule, &history) {
            let follows = match kind {
                K::Pending => matches!(last, None | Some(K::Cleared | K::Resolved | K::Expired)),
                K::Firing => matches!(last, None | Some(K::Pending | K::Cleared | K::Resolved | K::Expired)),
                K::Cleared => last == Some(K::Pending),
                K::Unknown | K::Resolved if matches!(last, Some(K::Firing | K::FiringAgain)) => true,
                K::FiringAgain | K::Expired | K::Resolved => last == Some(K::Unknown),
                _ => false,
            };
            prop_assert!(follows, "{last:?} -> {kind:?} at {i} of {history}");
            match kind {
                K::Resolved => prop_assert!(matches!(letters[i], 'l' | 'a')),
                K::Firing => {
                    prop_assert_eq!(letters[i], 'h');
                    // Nothing healthy was seen for as long as `for`.
                    let since = i.saturating_sub(hold);
                    prop_assert!(i >= hold && letters[since..=i].iter().all(|c| !matches!(c, 'l' | 'a')));
                }
                K::Expired => prop_assert!(letters[i] == 'n'),
                _ => {}
            }
            last = Some(kind);
        }
    }
}
