//! What holds for every definition and every context.

use proptest::prelude::*;
use serde_json::{Value, json};
use tenfold_flags::{ClientFeatures, Context, Flag, FlagEnvironment, Moment, OPERATORS, Snapshot};
use tenfold_types::Timestamp;

fn odd_text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("100".to_owned()),
        Just("-1".to_owned()),
        Just("4294967296".to_owned()),
        Just("NaN".to_owned()),
        Just("(((".to_owned()),
        Just("10.0.0.0/64".to_owned()),
        Just("::/0".to_owned()),
        Just("2026-13-45T99:99:99Z".to_owned()),
        Just("userId".to_owned()),
        "[a-z]{0,3}",
        ".{0,12}",
    ]
}

fn odd_constraint() -> impl Strategy<Value = Value> {
    let operator = prop_oneof![prop::sample::select(OPERATORS.to_vec()).prop_map(str::to_owned), odd_text()];
    (
        odd_text(),
        operator,
        prop::collection::vec(odd_text(), 0..12),
        prop::option::of(odd_text()),
        any::<(bool, bool)>(),
    )
        .prop_map(|(field, operator, values, value, (inverted, ignore_case))| {
            json!({"contextName": field, "operator": operator, "values": values, "value": value,
                   "inverted": inverted, "caseInsensitive": ignore_case})
        })
}

fn odd_variants() -> impl Strategy<Value = Value> {
    let weight = prop_oneof![Just(0u32), Just(1), Just(u32::MAX), any::<u32>()];
    let one =
        (odd_text(), weight, odd_text(), odd_text(), odd_text()).prop_map(|(name, weight, text, field, sticky)| {
            json!({"name": name, "weight": weight, "payload": {"type": "string", "value": text}, "stickiness": sticky,
               "overrides": [{"contextName": field, "values": [text]}]})
        });
    prop::collection::vec(one, 0..4).prop_map(Value::from)
}

fn odd_feature(name: &'static str) -> impl Strategy<Value = Value> {
    let strategy_name = prop::sample::select(vec![
        "default",
        "flexibleRollout",
        "userWithId",
        "gradualRolloutUserId",
        "gradualRolloutSessionId",
        "gradualRolloutRandom",
        "remoteAddress",
        "applicationHostname",
        "other",
    ]);
    let strategy = (
        strategy_name,
        prop::collection::vec(odd_text(), 5),
        prop::collection::vec(odd_constraint(), 0..3),
        odd_variants(),
    )
        .prop_map(|(name, p, constraints, variants)| {
            json!({"name": name, "constraints": constraints, "variants": variants, "segments": [p[4].len()],
                   "parameters": {"rollout": p[0], "percentage": p[0], "groupId": p[1], "stickiness": p[2],
                                  "userIds": p[3], "IPs": p[3], "hostNames": p[3]}})
        });
    let kind = prop::sample::select(vec!["bool", "string", "int", "float", "object"]);
    let parent = prop::sample::select(vec!["a", "b", "c", "none"]);
    (any::<bool>(), kind, prop::collection::vec(strategy, 0..3), odd_variants(), prop::option::of(parent), odd_text())
        .prop_map(move |(enabled, kind, strategies, variants, parent, off)| {
            let parents: Vec<Value> =
                parent.iter().map(|p| json!({"feature": p, "enabled": enabled, "variants": [off]})).collect();
            json!({"name": name, "enabled": enabled, "strategies": strategies, "variants": variants,
                   "dependencies": parents, "valueType": kind, "offValue": off})
        })
}

fn odd_context() -> impl Strategy<Value = Context> {
    let name = prop_oneof![
        prop::sample::select(vec!["userId", "sessionId", "remoteAddress", "currentTime", "environment", "hostname"])
            .prop_map(str::to_owned),
        odd_text(),
    ];
    prop::collection::vec((name, odd_text()), 0..8).prop_map(|pairs| {
        let mut context = Context::new();
        for (name, value) in pairs {
            context.set(&name, value);
        }
        context
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Odd definitions and odd contexts give an answer of the declared type, the same one by name and in bulk.
    #[test]
    fn an_answer_to_everything(
        a in odd_feature("a"), b in odd_feature("b"), c in odd_feature("c"), rules in prop::collection::vec(odd_constraint(), 0..3),
        context in odd_context(), random in any::<u32>(), now in any::<i64>(),
    ) {
        let document: ClientFeatures = serde_json::from_value(json!({
            "version": 2, "features": [a, b, c], "segments": [{"id": 1, "name": "s", "constraints": rules}],
        })).unwrap();
        let snapshot = Snapshot::compile(&document);
        let moment = Moment { now: Timestamp(now), random };
        let all: Vec<_> = snapshot.evaluate_all(&context, moment).collect();
        prop_assert_eq!(all.len(), 3);
        for answer in all {
            prop_assert!(answer.value_type().conform(answer.value()).is_some());
            prop_assert!(answer.enabled || answer.unleash_variant().is_none());
            prop_assert!(snapshot.evaluate(answer.key(), &context, moment).is_some());
        }
        prop_assert!(snapshot.evaluate("none", &context, moment).is_none());
    }

    /// Raising a percentage keeps everybody who was in, and a person's answer does not depend on chance.
    #[test]
    fn raising_a_percentage_keeps_everybody_in(id in "[a-z0-9]{1,12}", group in "[a-z]{1,8}", low in 0u8..=100, high in 0u8..=100, dice in any::<(u32, u32)>()) {
        let (low, high) = (low.min(high), low.max(high));
        let answer = |percent, random| {
            let mut flag = Flag::new(group.clone());
            flag.environments.insert("production".into(), FlagEnvironment::rollout(&group, percent));
            let document = ClientFeatures { version: 2, features: vec![flag.feature("production")], segments: vec![] };
            let context = Context::new().with("userId", id.as_str());
            Snapshot::compile(&document).evaluate(&group, &context, Moment { now: Timestamp(0), random }).unwrap().enabled
        };
        prop_assert_eq!(answer(low, dice.0), answer(low, dice.1));
        prop_assert!(!answer(low, dice.0) || answer(high, dice.0));
        prop_assert!(!answer(0, dice.0));
        prop_assert!(answer(100, dice.0));
    }

    /// While the weights sum to the same, moving the bound between two variants moves only the people in between.
    #[test]
    fn with_a_fixed_sum_only_the_moved_share_moves(id in "[a-z0-9]{1,12}", cut in 1u32..999, further in 1u32..999) {
        let (cut, further) = (cut.min(further), cut.max(further));
        let answer = |first: u32| {
            let document: ClientFeatures = serde_json::from_value(json!({"version": 2, "features": [{
                "name": "f", "enabled": true, "variants": [{"name": "a", "weight": first}, {"name": "b", "weight": 1000 - first}],
            }]})).unwrap();
            let snapshot = Snapshot::compile(&document);
            let context = Context::new().with("userId", id.as_str());
            snapshot.evaluate("f", &context, Moment { now: Timestamp(0), random: 0 }).unwrap().variant().to_owned()
        };
        prop_assert!(answer(cut) != "a" || answer(further) == "a");
    }
}

/// Without an identity chance decides, evenly.
#[test]
fn chance_follows_the_percentage() {
    let mut flag = Flag::new("f");
    flag.environments.insert("production".into(), FlagEnvironment::rollout("f", 30));
    let document = ClientFeatures { version: 2, features: vec![flag.feature("production")], segments: vec![] };
    let snapshot = Snapshot::compile(&document);
    let on = (0..10_000u32)
        .filter(|i| {
            let moment = Moment { now: Timestamp(0), random: i.wrapping_mul(2_654_435_761) };
            snapshot.evaluate("f", &Context::new(), moment).unwrap().enabled
        })
        .count();
    assert!((2_700..3_300).contains(&on), "{on} of 10,000 at 30 %");
}
