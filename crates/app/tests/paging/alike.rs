//! Two rules of one name in one group, as a warning and a critical one often are: each has its own alerts, its own drafts and
//! its own lines in the file.

use tenfold_app::alerts::{RuleAsk, RuleGroupList};
use tenfold_app::noise::{DraftAsk, DraftPut};
use tenfold_app::{Caller, Role};

use crate::world::{World, caller};

/// The first has no label that the other lacks.
const ALIKE: &str = "\
groups:
- name: photos
  interval: 5s
  rules:
  - alert: Slow
    expr: errors > 5
    labels: {service: photos, environment: production}
  - alert: Slow
    expr: errors > 5
    labels: {severity: critical, service: photos, environment: production}
";

/// How many alerts each rule has, in the order of the file.
fn of_each(w: &World) -> Vec<(String, usize)> {
    let groups = w.app.rules();
    let rules = groups.iter().flat_map(|group| &group.rules);
    let severity =
        |alert: &tenfold_app::alerts::ActiveAlertView| alert.labels.get("severity").unwrap_or("none").to_owned();
    rules.map(|rule| (rule.alerts.iter().map(severity).collect::<Vec<_>>().join(" "), rule.alerts_total)).collect()
}

#[tokio::test]
async fn each_keeps_its_alert_over_a_restart_and_a_change_elsewhere() {
    let mut w = World::new(215).await;
    w.app.rules_put(&Caller::system(), "photos", ALIKE).await.expect("two rules of one name are no mistake");
    w.errors(9.0);
    w.pass(10).await;
    let each = [("none".to_owned(), 1), ("critical".to_owned(), 1)];
    assert_eq!(of_each(&w), each);
    let firing = w.app.alerts_list(Some("firing")).await.expect("alerts");
    assert_eq!(firing.iter().map(|a| a.severity.as_str()).collect::<Vec<_>>(), ["critical", "warning"]);
    w.restart().await;
    assert_eq!(of_each(&w), each, "what is stored goes back to its own rule");
    let other = "groups:\n- name: other\n  rules:\n  - record: five\n    expr: sum(errors)\n";
    w.app.rules_put(&Caller::system(), "other", other).await.expect("another file");
    w.pass(20).await;
    assert_eq!(
        (w.count("alert.fired").await, w.count("alert.resolved").await),
        (3, 0),
        "each began once, and the second was told of at its group's next look"
    );
    w.errors(0.0);
    w.pass(10).await;
    assert_eq!(w.count("alert.resolved").await, 2);
}

#[tokio::test]
async fn a_draft_is_of_the_one_that_is_meant() {
    let w = World::new(216).await;
    w.app.rules_put(&Caller::system(), "photos", ALIKE).await.expect("two rules of one name");
    let ana = caller("ana", Role::Deployer);
    let ask = |severity: Option<&str>| DraftAsk {
        rule: "Slow".into(),
        severity: severity.map(str::to_owned),
        days: Some(1),
        ..DraftAsk::default()
    };
    let refused = w.app.noise_drafts(&ana, ask(None)).await.expect_err("it is not said which");
    assert!(refused.message.contains("2 rules") && refused.advice.contains("severity"), "{refused:?}");
    for severity in ["warning", "critical"] {
        let drafts = w.app.noise_drafts(&ana, ask(Some(severity))).await.expect("drafts of one");
        assert_eq!((drafts.file.as_str(), drafts.now.for_.as_str()), ("photos", "0s"));
    }
    let elsewhere = DraftAsk { file: Some("search".into()), ..ask(None) };
    let gone = w.app.noise_drafts(&ana, elsewhere).await.expect_err("it is in another file");
    assert!(gone.message.contains("is in the file and group"), "{gone:?}");
    let put = |severity: &str| DraftPut {
        rule: "Slow".into(),
        severity: Some(severity.to_owned()),
        change: "for: 1m".into(),
        ..DraftPut::default()
    };
    w.app.noise_draft_put(&ana, put("critical"), None).await.expect("it is put");
    let after = w.app.rule_file("photos").await.expect("a rule file");
    let rules = w.app.rules();
    assert_eq!(rules[0].rules.iter().map(|r| r.for_ms).collect::<Vec<_>>(), [0, 60_000], "{after}");
    assert_eq!(w.app.rules_undo(&ana, "photos", None).await.expect("it is put back"), ALIKE);
}

#[tokio::test]
async fn a_list_has_a_part_of_the_groups_and_counts_all() {
    let w = World::new(217).await;
    w.app.rules_put(&Caller::system(), "photos", ALIKE).await.expect("two rules of one name");
    let other = "groups:\n- name: other\n  rules:\n  - record: five\n    expr: sum(errors)\n";
    w.app.rules_put(&Caller::system(), "other", other).await.expect("another file");
    w.errors(9.0);
    w.pass(10).await;
    let page = |ask: RuleAsk| w.app.rules_page(&ask).expect("a page");
    let files = |list: &RuleGroupList| list.items.iter().map(|g| g.file.clone()).collect::<Vec<_>>();
    let all: usize = w.app.rules().iter().map(|g| g.rules.len()).sum();
    let (mut listed, mut after) = (0, None);
    for _ in 0..all {
        let part = page(RuleAsk { limit: Some(1), after, ..RuleAsk::default() });
        assert_eq!(part.items.len(), 1);
        let counts = part.counts;
        assert_eq!(counts.firing + counts.unknown + counts.pending + counts.inactive + counts.error, all);
        listed += part.items[0].rules.len();
        after = part.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((listed, after), (all, None));
    let trouble = page(RuleAsk { state: Some("trouble".to_owned()), ..RuleAsk::default() });
    assert_eq!((files(&trouble), trouble.items[0].rules.len()), (vec!["photos".to_owned()], 2));
    let said = page(RuleAsk { q: Some("SUM(".to_owned()), ..RuleAsk::default() });
    assert_eq!((files(&said), said.counts.firing, said.counts.inactive), (vec!["other".to_owned()], 0, 1));
    let wrong = RuleAsk { state: Some("resolved".to_owned()), ..RuleAsk::default() };
    assert!(w.app.rules_page(&wrong).is_err());
}
