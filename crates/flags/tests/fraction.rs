//! Shares with a fraction: who is in, through the flag and its hidden parent as any SDK evaluates them.

use proptest::prelude::*;
use serde_json::{Value, json};
use tenfold_flags::{ClientFeatures, Context, Flag, FlagEnvironment, Moment, Share, Snapshot, fraction};

const PEOPLE: u32 = 200_000;

fn share(text: &str) -> Share {
    Share::parse(text).expect("a share")
}

fn snapshot(flag: &Flag) -> Snapshot {
    let features = flag.features("production").collect();
    Snapshot::compile(&ClientFeatures { version: 2, features, segments: vec![] })
}

fn with_state(key: &str, state: Value) -> Flag {
    let definition = json!({"key": key, "environments": {"production": state}});
    let mut flag: Flag = serde_json::from_value(definition).expect("a flag");
    flag.normalize();
    flag
}

fn at(key: &str, share: Share) -> Snapshot {
    let mut flag = Flag::new(key);
    flag.environments.insert("production".into(), FlagEnvironment::with_share(key, share));
    snapshot(&flag)
}

fn is_on(snapshot: &Snapshot, key: &str, context: &Context) -> bool {
    snapshot.evaluate(key, context, Moment::default()).is_some_and(|e| e.enabled)
}

fn user(id: &str) -> Context {
    Context::new().with("userId", id)
}

/// The share of many people is the share that was asked for.
#[test]
fn the_share_is_what_was_asked_for() {
    for text in ["0", "0.01", "0.1", "0.25", "0.99", "1", "2.5", "12.34", "99.5", "100"] {
        let wanted = share(text).as_percent() / 100.0;
        let snapshot = at("checkout", share(text));
        let on = (0..PEOPLE).filter(|i| is_on(&snapshot, "checkout", &user(&format!("person-{i}")))).count();
        let expected = wanted * f64::from(PEOPLE);
        // Five standard deviations of a fair draw.
        let slack = 5.0 * (expected * (1.0 - wanted)).sqrt();
        assert!((on as f64 - expected).abs() <= slack, "{text} %: {on} of {PEOPLE}, expected {expected} +- {slack:.0}");
    }
}

/// Chance, where nobody can be recognised, keeps to shares below a percent as well.
#[test]
fn chance_keeps_to_the_share() {
    let snapshot = at("checkout", share("0.5"));
    let on = (0..PEOPLE)
        .filter(|i| {
            let moment = Moment { random: i.wrapping_mul(2_654_435_761), ..Moment::default() };
            snapshot.evaluate("checkout", &Context::new(), moment).is_some_and(|e| e.enabled)
        })
        .count();
    assert!((800..1_200).contains(&on), "{on} of {PEOPLE} at 0.5 %");
}

#[test]
fn the_wire_has_whole_percentages_and_a_hidden_parent() {
    let mut flag = Flag::new("f");
    flag.environments.insert("production".into(), FlagEnvironment::with_share("f", share("2.5")));
    let wire = serde_json::to_value(flag.features("production").collect::<Vec<_>>()).unwrap();
    assert_eq!(wire[0]["strategies"][0]["parameters"]["rollout"], "3");
    assert_eq!(wire[0]["dependencies"], json!([{"feature": "f~share", "enabled": true}]));
    assert_eq!(
        (&wire[1]["name"], &wire[1]["enabled"], &wire[1]["hidden"]),
        (&json!("f~share"), &json!(true), &json!(true))
    );
    let parameters: Vec<&Value> = wire[1]["strategies"].as_array().unwrap().iter().map(|s| &s["parameters"]).collect();
    assert_eq!(
        json!(parameters),
        json!([
            {"rollout": "2", "groupId": "f", "stickiness": "default"},
            {"rollout": "50", "groupId": "f~share", "stickiness": "default"},
        ])
    );
    assert_eq!(wire[0]["name"], serde_json::to_value(flag.feature("production")).unwrap()["name"]);
    // A whole percentage needs none, and is written as before.
    flag.environments.insert("production".into(), FlagEnvironment::rollout("f", 25));
    let wire = serde_json::to_value(flag.features("production").collect::<Vec<_>>()).unwrap();
    assert_eq!(wire.as_array().unwrap().len(), 1);
    assert!(wire[0].get("hidden").is_none() && wire[0].get("dependencies").is_none());
}

#[test]
fn nobody_is_told_of_the_hidden_parent() {
    let snapshot = at("f", share("0.25"));
    assert_eq!(snapshot.names().collect::<Vec<_>>(), ["f"]);
    assert_eq!(snapshot.evaluate_all(&user("1"), Moment::default()).len(), 1);
    assert!(snapshot.evaluate(&fraction::hidden_parent("f"), &user("1"), Moment::default()).is_none());
}

/// Constraints bound the share, the other strategies keep what they give, and the variants are those of the strategy
/// that matched.
#[test]
fn other_strategies_stay_as_they_are() {
    let constraint = |plan: &str| json!([{"contextName": "plan", "operator": "IN", "values": [plan]}]);
    let with = |rollout: Value| {
        with_state(
            "f",
            json!({"enabled": true, "strategies": [
                {"name": "userWithId", "parameters": {"userIds": "7,8"}, "variants": [{"name": "named", "weight": 1}]},
                {"name": "flexibleRollout", "parameters": {"rollout": "40"}, "constraints": constraint("team")},
                {"name": "flexibleRollout", "parameters": {"rollout": rollout}, "constraints": constraint("pro"),
                 "variants": [{"name": "share", "weight": 1}]},
            ]}),
        )
    };
    let (split, nobody) = (snapshot(&with(json!("0.5"))), snapshot(&with(json!("0"))));
    let mut pro = 0;
    for i in 0..20_000 {
        let id = i.to_string();
        let context = |plan: &str| user(&id).with("plan", plan);
        for plan in ["team", "free"] {
            assert_eq!(is_on(&split, "f", &context(plan)), is_on(&nobody, "f", &context(plan)), "{id} {plan}");
        }
        let answer = split.evaluate("f", &context("pro"), Moment::default()).unwrap();
        let named = i == 7 || i == 8;
        assert!(!named || answer.variant() == "named", "{id}: {}", answer.variant());
        assert!(named || matches!(answer.variant(), "share" | "off"), "{id}: {}", answer.variant());
        pro += u32::from(answer.enabled && !named);
    }
    assert!((50..150).contains(&pro), "{pro} of 20,000 at 0.5 %");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whoever was in stays in while the share grows, through fractions, whole percentages and back to fractions.
    #[test]
    fn a_growing_share_keeps_everybody_in(
        id in "[a-z0-9-]{1,36}", key in "[a-z_]{1,20}", mut steps in prop::collection::vec(0u16..=10_000, 2..8),
    ) {
        steps.extend([10, 50, 100, 500]);
        steps.sort_unstable();
        let mut was_on = false;
        for hundredths in steps {
            let now_on = is_on(&at(&key, Share::hundredths(hundredths).expect("in range")), &key, &user(&id));
            prop_assert!(now_on || !was_on, "{} fell out at {} hundredths", id, hundredths);
            was_on = now_on;
        }
    }
}

/// The same for enough people that some are in at 0.1 % already.
#[test]
fn the_first_few_stay_in() {
    let steps = ["0.1", "0.5", "1", "1.25", "5", "100"].map(|s| at("f", share(s)));
    let mut first = 0;
    for i in 0..50_000 {
        let context = user(&format!("person-{i}"));
        let on: Vec<bool> = steps.iter().map(|s| is_on(s, "f", &context)).collect();
        assert!(on.is_sorted(), "person-{i}: {on:?}");
        first += u32::from(on[0]);
    }
    assert!((20..100).contains(&first), "{first} of 50,000 at 0.1 %");
}
