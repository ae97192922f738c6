//! Explanations say what decided, and never disagree with the answer clients get.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use tenfold_flags::explain::{Explainer, Explanation};
use tenfold_flags::validate::Surroundings;
use tenfold_flags::{ClientFeatures, Context, Flag, Moment, Segment, Snapshot};
use tenfold_types::Timestamp;

const NOW: Moment = Moment { now: Timestamp(1_800_000_000_000), random: 7 };

struct World {
    flags: BTreeMap<String, Arc<Flag>>,
    segments: BTreeMap<i64, Segment>,
}

impl World {
    fn new(others: &[Flag], segments: Value) -> Self {
        let segments: Vec<Segment> = serde_json::from_value(segments).expect("segments");
        Self {
            flags: others.iter().map(|f| (f.key.clone(), Arc::new(f.clone()))).collect(),
            segments: segments.into_iter().map(|s| (s.id, s)).collect(),
        }
    }

    fn around(&self) -> Surroundings<'_> {
        Surroundings { flags: &self.flags, segments: &self.segments }
    }

    fn explain(&self, flag: &Flag, context: &Context) -> Explanation {
        Explainer::new(flag, "production", self.around()).explain(context, NOW)
    }
}

fn flag(key: &str, state: Value) -> Flag {
    let mut flag = Flag::new(key);
    flag.environments.insert("production".into(), serde_json::from_value(state).expect("a state"));
    flag
}

fn alone() -> World {
    World::new(&[], json!([]))
}

#[test]
fn the_sentence_names_what_decided() {
    let germans = json!([{"contextName": "country", "operator": "IN", "values": ["DE", "AT"]}]);
    let rollout =
        |percent: &str| json!({"name": "flexibleRollout", "parameters": {"rollout": percent, "groupId": "g"}});
    for (state, context, enabled, because) in [
        (
            json!({"enabled": false}),
            Context::new(),
            false,
            "the flag is off in this environment; once on, everybody would get it",
        ),
        (
            json!({"enabled": false, "strategies": [{"name": "default", "constraints": germans}]}),
            Context::new().with("country", "FR"),
            false,
            "the flag is off in this environment; once on, its one strategy would not match: it asks that country is one of DE, AT, and it is `FR`",
        ),
        (
            json!({"enabled": false, "strategies": [{"name": "default"}]}),
            Context::new(),
            false,
            "the flag is off in this environment; once on, strategy 1 would match",
        ),
        (json!({"enabled": true}), Context::new(), true, "there are no strategies, so everybody gets it"),
        (
            json!({"enabled": true, "strategies": [{"name": "default", "constraints": germans}]}),
            Context::new().with("country", "FR"),
            false,
            "the one strategy does not match: it asks that country is one of DE, AT, and it is `FR`",
        ),
        (
            json!({"enabled": true, "strategies": [{"name": "default", "constraints": germans}]}),
            Context::new(),
            false,
            "the one strategy does not match: it asks that country is one of DE, AT, and the context does not say",
        ),
        (
            json!({"enabled": true, "strategies": [{"name": "default", "constraints": germans}, rollout("100")]}),
            Context::new().with("userId", "7"),
            true,
            // murmur3("g:7") % 100 + 1, as every SDK computes it.
            "strategy 2 matches: userId `7` is in bucket 81 of 100; 100 % are in",
        ),
        (
            json!({"enabled": true, "strategies": [{"name": "flexibleRollout", "parameters": {"rollout": "50", "stickiness": "companyId"}}]}),
            Context::new().with("userId", "7"),
            false,
            "the one strategy does not match: 50 % by companyId, which the context lacks, so nobody",
        ),
        (
            json!({"enabled": true, "strategies": [{"name": "userWithId", "parameters": {"userIds": "1, 2"}}]}),
            Context::new().with("userId", "2"),
            true,
            "strategy 1 matches: userId `2`, looked up in a list of 2",
        ),
        (
            json!({"enabled": true, "strategies": [{"name": "default"}, {"name": "default", "segments": [9]}], "variants": [{"name": "wide", "weight": 1}]}),
            Context::new(),
            true,
            "strategy 1 matches: everybody; the variant is wide",
        ),
    ] {
        let explanation = alone().explain(&flag("f", state.clone()), &context);
        assert_eq!((explanation.answer.enabled, explanation.because.as_str()), (enabled, because), "{state}");
    }
}

#[test]
fn each_condition_is_told_with_what_the_context_holds() {
    let world = World::new(
        &[],
        json!([{"id": 4, "name": "beta", "constraints": [{"contextName": "plan", "operator": "IN", "values": ["pro"]}]}]),
    );
    let flag = flag(
        "f",
        json!({"enabled": true, "strategies": [{
            "name": "flexibleRollout", "parameters": {"rollout": "100"}, "segments": [4, 5],
            "constraints": [
                {"contextName": "app", "operator": "SEMVER_GTE", "value": "2.0.0"},
                {"contextName": "app", "operator": "SEMVER_GTE", "value": "2.0.0", "inverted": true},
                {"contextName": "mail", "operator": "STR_ENDS_WITH", "values": ["@EXAMPLE.org"], "caseInsensitive": true},
                {"contextName": "n", "operator": "NUM_EQ", "value": "one", "inverted": true},
            ],
        }]}),
    );
    let context =
        Context::new().with("userId", "7").with("app", "2.1.0").with("mail", "a@example.org").with("plan", "pro");
    let told = world.explain(&flag, &context);
    let strategy = &told.strategies[0];
    let parts: Vec<_> = strategy.constraints.iter().map(|p| (p.text.as_str(), p.found.as_deref(), p.holds)).collect();
    assert_eq!(
        parts,
        [
            ("app is at least version 2.0.0", Some("2.1.0"), true),
            ("app is not at least version 2.0.0", Some("2.1.0"), false),
            ("mail ends with @EXAMPLE.org (in any case)", Some("a@example.org"), true),
            // An operand that cannot be read matches nobody, inverted or not.
            ("n does not equal one", None, false),
        ]
    );
    let segments: Vec<_> = strategy.segments.iter().map(|p| (p.text.as_str(), p.holds)).collect();
    assert_eq!(segments, [("in the segment beta", true), ("in the segment 5, which does not exist", false)]);
    assert!(strategy.rule.holds && !strategy.holds && told.matched.is_none());
}

#[test]
fn a_parent_that_does_not_hold_is_named() {
    let parent = flag("parent", json!({"enabled": true, "variants": [{"name": "blue", "weight": 1}]}));
    let world = World::new(&[parent], json!([]));
    let mut child = flag("child", json!({"enabled": true}));
    for (dependency, enabled, because) in [
        (json!({"feature": "parent"}), true, "there are no strategies, so everybody gets it"),
        (
            json!({"feature": "parent", "enabled": false}),
            false,
            "it needs that parent is off, but for this context that is: on, blue",
        ),
        (
            json!({"feature": "parent", "variants": ["red"]}),
            false,
            "it needs that parent is on with red, but for this context that is: on, blue",
        ),
        (json!({"feature": "gone"}), false, "it needs that gone is on, but for this context that is: no such flag"),
    ] {
        child.dependencies = vec![serde_json::from_value(dependency).unwrap()];
        let told = world.explain(&child, &Context::new());
        assert_eq!((told.answer.enabled, told.because.as_str()), (enabled, because));
    }
}

/// A share finer than a percent goes out as two flags; its explanation is of the one that people see.
#[test]
fn a_share_with_a_fraction_is_one_strategy() {
    let state = json!({"enabled": true, "strategies": [
        {"name": "flexibleRollout", "parameters": {"rollout": "2.5", "groupId": "g"}},
    ]});
    let flag = flag("f", state);
    let world = alone();
    let explainer = Explainer::new(&flag, "production", world.around());
    let mut second_draws = [0, 0];
    for id in 0..3_000 {
        let context = Context::new().with("userId", id.to_string());
        let told = explainer.explain(&context, NOW);
        assert!(told.parents.is_empty(), "the hidden parent is nobody's business");
        assert_eq!(
            (told.strategies[0].holds, told.strategies[0].rule.holds),
            (told.answer.enabled, told.answer.enabled)
        );
        if told.strategies[0].rule.text.ends_with("of this bucket 50 % by a second draw") {
            second_draws[usize::from(told.answer.enabled)] += 1;
        }
    }
    assert!(second_draws.iter().all(|n| *n > 3), "out and in by the second draw: {second_draws:?}");
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just("a".to_owned()), Just("1".to_owned()), Just("50".to_owned()), "[a-c0-9.]{0,4}"]
}

fn constraint() -> impl Strategy<Value = Value> {
    let operator = prop::sample::select(tenfold_flags::OPERATORS.to_vec());
    let field = prop::sample::select(vec!["userId", "plan", "currentTime", "remoteAddress"]);
    (field, operator, prop::collection::vec(text(), 0..3), text(), any::<bool>()).prop_map(
        |(field, operator, values, value, inverted)| {
            json!({"contextName": field, "operator": operator, "values": values, "value": value, "inverted": inverted})
        },
    )
}

fn strategy() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec![
        "default",
        "flexibleRollout",
        "userWithId",
        "gradualRolloutUserId",
        "gradualRolloutRandom",
        "unheard",
    ]);
    let sticky = prop::sample::select(vec!["default", "random", "plan", "userId"]);
    let percent = prop_oneof![Just("0"), Just("30"), Just("100"), Just("many")];
    let segments = prop::collection::vec(1i64..4, 0..2);
    (name, sticky, percent, text(), prop::collection::vec(constraint(), 0..3), segments).prop_map(
        |(name, sticky, percent, ids, constraints, segments)| {
            json!({"name": name, "constraints": constraints, "segments": segments,
                   "parameters": {"rollout": percent, "percentage": percent, "stickiness": sticky, "userIds": ids}})
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// The parts add up to the answer, and the answer is the one that clients get.
    #[test]
    fn an_explanation_agrees_with_the_answer(
        enabled in prop::bool::weighted(0.9), strategies in prop::collection::vec(strategy(), 0..4),
        rules in prop::collection::vec(constraint(), 0..2), parent_on in any::<bool>(), has_parent in any::<bool>(),
        user in prop::option::of(text()), plan in prop::option::of(text()), random in any::<u32>(),
    ) {
        let parent = flag("parent", json!({"enabled": parent_on}));
        let world = World::new(std::slice::from_ref(&parent), json!([
            {"id": 1, "name": "one", "constraints": rules}, {"id": 2, "name": "all", "constraints": []},
        ]));
        let mut child = flag("child", json!({"enabled": enabled, "strategies": strategies}));
        if has_parent {
            child.dependencies = serde_json::from_value(json!([{"feature": "parent"}])).unwrap();
        }
        let mut context = Context::new();
        if let Some(user) = user { context.set("userId", user); }
        if let Some(plan) = plan { context.set("plan", plan); }
        let moment = Moment { random, ..NOW };

        let told = Explainer::new(&child, "production", world.around()).explain(&context, moment);
        let document = ClientFeatures {
            version: 2,
            features: vec![child.feature("production"), parent.feature("production")],
            segments: world.segments.values().cloned().collect(),
        };
        let snapshot = Snapshot::compile(&document);
        let answer = snapshot.evaluate("child", &context, moment).unwrap();
        prop_assert_eq!(told.answer.enabled, answer.enabled);
        prop_assert_eq!(&told.answer.variant, answer.variant());

        let any = told.strategies.is_empty() || told.strategies.iter().any(|s| s.holds);
        let parents = told.parents.iter().all(|p| p.holds);
        prop_assert_eq!(told.switched_on && parents && any, told.answer.enabled);
        for s in &told.strategies {
            let all = s.rule.holds && s.constraints.iter().chain(&s.segments).all(|p| p.holds);
            prop_assert_eq!(all, s.holds, "{:?}", s);
        }
    }
}
