//! What may not be written, with the words of each refusal.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use tenfold_flags::{
    Flag, Segment,
    validate::{Surroundings, validate, validate_segment},
};

fn flag(mut definition: Value) -> Flag {
    definition["key"] = definition.get("key").cloned().unwrap_or(json!("f"));
    let mut flag: Flag = serde_json::from_value(definition).expect("a flag");
    flag.normalize();
    flag
}

fn refusal(definition: Value) -> String {
    let parent = flag(json!({"key": "parent", "environments": {"production": {
        "enabled": true, "variants": [{"name": "a", "weight": 1}],
    }}}));
    let child = flag(json!({"key": "child", "dependencies": [{"feature": "parent"}]}));
    let flags = BTreeMap::from([("parent".to_owned(), Arc::new(parent)), ("child".to_owned(), Arc::new(child))]);
    let segments = BTreeMap::from([(1, Segment { id: 1, ..Segment::default() })]);
    match validate(&flag(definition), Surroundings { flags: &flags, segments: &segments }) {
        Ok(()) => String::new(),
        Err(fault) => fault.message,
    }
}

fn state(state: Value) -> Value {
    json!({"environments": {"production": state}})
}

fn strategy(strategy: Value) -> Value {
    state(json!({"enabled": true, "strategies": [strategy]}))
}

fn constraint(constraint: Value) -> Value {
    strategy(json!({"name": "default", "constraints": [constraint]}))
}

#[test]
fn good_definitions_pass() {
    for good in [
        state(json!({"enabled": true})),
        strategy(json!({"name": "flexibleRollout", "parameters": {"rollout": 0}, "segments": [1]})),
        constraint(json!({"contextName": "plan", "operator": "IN", "values": ["pro", "o'brien", "a\\b"]})),
        constraint(json!({"contextName": "age", "operator": "NUM_GTE", "value": "-12.50"})),
        constraint(
            json!({"contextName": "currentTime", "operator": "DATE_AFTER", "value": "2026-11-23T06:09:40.123+01:00"}),
        ),
        constraint(json!({"contextName": "v", "operator": "SEMVER_LT", "value": "2.0.0-rc.1"})),
        constraint(json!({"contextName": "mail", "operator": "REGEX", "value": "^[^@]+@example\\.com$"})),
        constraint(json!({"contextName": "remoteAddress", "operator": "IN_CIDR", "values": ["10.0.0.0/8", "::1"]})),
        json!({"dependencies": [{"feature": "parent", "variants": ["a"]}]}),
        json!({"value_type": "string", "environments": {"production": {"enabled": false}}}),
        json!({"value_type": "float", "environments": {"production": {
            "enabled": true, "off_value": 0, "variants": [{"name": "a", "weight": 1, "value": 2}],
        }}}),
    ] {
        assert_eq!(refusal(good.clone()), "", "{good}");
    }
}

#[test]
fn bad_definitions_are_named() {
    for (bad, words) in [
        (json!({"key": ""}), "1 to 100 characters"),
        (json!({"key": "with space"}), "letters, digits"),
        (json!({"key": "say\"cheese\""}), "letters, digits"),
        (json!({"description": "x".repeat(1_001)}), "1001 bytes, over the limit of 1000"),
        (json!({"dependencies": [{"feature": "f"}]}), "its own parent"),
        (json!({"dependencies": [{"feature": "ghost"}]}), "does not exist"),
        (json!({"dependencies": [{"feature": "child"}]}), "one level only"),
        (json!({"key": "parent", "dependencies": [{"feature": "other"}]}), "does not exist"),
        (json!({"dependencies": [{"feature": "parent", "variants": ["z"]}]}), "no variant `z`"),
        (strategy(json!({"name": "hunch"})), "no SDK knows"),
        (strategy(json!({"name": "flexibleRollout"})), "`rollout` is missing"),
        (strategy(json!({"name": "flexibleRollout", "parameters": {"rollout": "0.125"}})), "at most two decimals"),
        (strategy(json!({"name": "flexibleRollout", "parameters": {"rollout": 200}})), "from 0 to 100"),
        (strategy(json!({"name": "flexibleRollout", "parameters": {"rollout": "+5"}})), "from 0 to 100"),
        (
            strategy(json!({"name": "flexibleRollout", "parameters": {"rollout": 1, "groupId": "naïve"}})),
            "groupId must be ASCII",
        ),
        (strategy(json!({"name": "flexibleRollout", "parameters": {"rollout": 1, "groupId": "a\"b"}})), "quote"),
        (strategy(json!({"name": "default", "segments": [7]})), "segment 7 does not exist"),
        (constraint(json!({"contextName": "x", "operator": "ALMOST"})), "no such operator"),
        (constraint(json!({"contextName": "x\"", "operator": "IN"})), "quote"),
        (constraint(json!({"contextName": "x", "operator": "IN", "values": ["dir\\"]})), "backslash"),
        (constraint(json!({"contextName": "x", "operator": "IN", "values": [" a"]})), "spaces around"),
        (constraint(json!({"contextName": "x", "operator": "STR_CONTAINS", "values": [""]})), "empty"),
        (constraint(json!({"contextName": "x", "operator": "NUM_EQ", "value": "1e3"})), "not a decimal number"),
        (constraint(json!({"contextName": "x", "operator": "NUM_EQ"})), "not a decimal number"),
        (
            constraint(json!({"contextName": "currentTime", "operator": "DATE_AFTER", "value": "tomorrow"})),
            "not an instant",
        ),
        (
            constraint(json!({"contextName": "born", "operator": "DATE_AFTER", "value": "2026-11-23T06:09:40Z"})),
            "`currentTime` only",
        ),
        (constraint(json!({"contextName": "x", "operator": "SEMVER_EQ", "value": "v1.0.0"})), "not a version"),
        (constraint(json!({"contextName": "x", "operator": "REGEX", "value": "(?=a)b"})), "does not compile"),
        // Of these the crate `regex` would make something.
        (constraint(json!({"contextName": "x", "operator": "REGEX", "value": "(?x) a"})), "does not compile"),
        (
            constraint(json!({
                "contextName": "x", "operator": "REGEX", "caseInsensitive": true,
                "value": r"[\x00-\x{10FFFF}]".repeat(500),
            })),
            "does not compile",
        ),
        (constraint(json!({"contextName": "x", "operator": "IN_CIDR", "values": ["10.0.0.0/99"]})), "not an address"),
        (state(json!({"enabled": true, "variants": [{"name": "a", "weight": 0}]})), "sum to 0"),
        (state(json!({"enabled": true, "variants": [{"name": "disabled", "weight": 1}]})), "`disabled`"),
        (
            state(json!({"enabled": true, "variants": [{"name": "a", "weight": 1}, {"name": "a", "weight": 1}]})),
            "two variants",
        ),
        (
            state(json!({"enabled": true, "variants": [
                {"name": "a", "weight": 1, "stickiness": "userId"}, {"name": "b", "weight": 1},
            ]})),
            "differ in stickiness",
        ),
        (
            strategy(json!({"name": "default", "variants": [
                {"name": "a", "weight": 1, "overrides": [{"contextName": "userId", "values": ["1"]}]},
            ]})),
            "has overrides",
        ),
        (json!({"value_type": "int", "environments": {"production": {"enabled": true}}}), "needs variants"),
        (
            json!({"value_type": "int", "environments": {"production": {
                "enabled": true, "variants": [{"name": "a", "weight": 1, "value": "ten"}],
            }}}),
            "not of type int",
        ),
        (
            json!({"value_type": "int", "environments": {"production": {"enabled": false, "off_value": 1.5}}}),
            "off value",
        ),
    ] {
        let message = refusal(bad.clone());
        assert!(message.contains(words), "{bad}\n  wanted: {words}\n  got: {message:?}");
    }
}

#[test]
fn a_parent_cannot_become_a_child() {
    let message = refusal(json!({"key": "parent", "dependencies": [{"feature": "child"}]}));
    assert!(message.contains("one level only"), "{message}");
}

#[test]
fn segments_are_checked_too() {
    let bad = Segment { id: 0, name: "s".into(), ..Segment::default() };
    assert!(validate_segment(&bad).unwrap_err().message.contains("between 1 and"));
    let constraints = serde_json::from_value(json!([{"contextName": "x", "operator": "NOPE"}])).unwrap();
    let bad = Segment { id: 1, name: "s".into(), constraints };
    assert!(validate_segment(&bad).unwrap_err().message.contains("no such operator"));
}
