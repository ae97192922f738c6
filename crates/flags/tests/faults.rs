//! Definitions and contexts on which clients disagree, or crash. Each is refused when it is written, with words that say
//! why, and yet has a defined answer when it comes out of another server's document.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use tenfold_flags::{
    ClientFeatures, Context, Flag, Moment, Snapshot,
    validate::{Surroundings, validate},
};

struct Fault {
    what: &'static str,
    /// What writing it says; empty where it may be written, or cannot be written in the first place.
    refusal: &'static str,
    /// The state of an environment, as it would be written.
    state: Value,
    /// Who is asked, and the answer: `on`, `off` or a variant.
    answers: &'static [(&'static [(&'static str, &'static str)], &'static str)],
}

fn rollout(percent: Value) -> Value {
    json!({"enabled": true, "strategies": [{"name": "flexibleRollout", "parameters": {
        "rollout": percent, "groupId": "f", "stickiness": "default",
    }}]})
}

fn constraint(constraint: Value) -> Value {
    json!({"enabled": true, "strategies": [{"name": "default", "constraints": [constraint]}]})
}

fn variants(variants: Value) -> Value {
    json!({"enabled": true, "variants": variants})
}

#[expect(clippy::too_many_lines, reason = "one list of all of them")]
fn faults() -> Vec<Fault> {
    const SEVEN: &[(&str, &str)] = &[("userId", "7")];
    vec![
        Fault {
            what: "a share of half a percent: some SDKs switch off, some cut it down",
            refusal: "",
            state: rollout(json!("0.5")),
            // Out of a document it is nobody; written here it becomes a hidden parent (tests/fraction.rs).
            answers: &[(SEVEN, "off")],
        },
        Fault {
            what: "more than two decimals",
            refusal: "`rollout` is `0.125` but must be a percentage from 0 to 100 with at most two decimals",
            state: rollout(json!("0.125")),
            answers: &[(SEVEN, "off")],
        },
        Fault {
            what: "over 100: off in some SDKs, on in others",
            refusal: "`rollout` is `200`",
            state: rollout(json!("200")),
            answers: &[(SEVEN, "off")],
        },
        Fault {
            what: "a negative percentage",
            refusal: "`rollout` is `-5`",
            state: rollout(json!(-5)),
            answers: &[(SEVEN, "off")],
        },
        Fault {
            what: "a percentage of an older strategy with decimals",
            refusal: "`percentage` is `12.5` but must be a whole number",
            state: json!({"enabled": true, "strategies": [
                {"name": "gradualRolloutUserId", "parameters": {"percentage": "12.5", "groupId": "f"}},
            ]}),
            answers: &[(SEVEN, "off")],
        },
        Fault {
            what: "a quote in a group",
            refusal: "groupId holds a quote",
            state: json!({"enabled": true, "strategies": [
                {"name": "flexibleRollout", "parameters": {"rollout": "100", "groupId": "a\"b", "stickiness": "userId"}},
            ]}),
            answers: &[(SEVEN, "on"), (&[], "off")],
        },
        Fault {
            what: "letters in a group that SDKs hash differently",
            refusal: "groupId must be ASCII",
            state: json!({"enabled": true, "strategies": [
                {"name": "flexibleRollout", "parameters": {"rollout": "100", "groupId": "gruppe-ä", "stickiness": "userId"}},
            ]}),
            answers: &[(SEVEN, "on")],
        },
        Fault {
            what: "a quote in the name of a field",
            refusal: "the context field holds a quote",
            state: constraint(json!({"contextName": "a\"b", "operator": "IN", "values": ["1"]})),
            answers: &[(&[("a\"b", "1")], "on"), (&[("ab", "1")], "off")],
        },
        Fault {
            what: "a value that ends in a backslash",
            refusal: "a trailing backslash",
            state: constraint(json!({"contextName": "x", "operator": "IN", "values": ["dir\\"]})),
            answers: &[(&[("x", "dir\\")], "on"), (&[("x", "dir")], "off")],
        },
        Fault {
            what: "a backslash before a quote in an expression",
            refusal: "a backslash before a quote",
            state: constraint(json!({"contextName": "x", "operator": "REGEX", "value": "\\\"hi\\\""})),
            answers: &[(&[("x", "\"hi\"")], "on"), (&[("x", "hi")], "off")],
        },
        Fault {
            what: "an expression that does not compile",
            refusal: "does not compile",
            state: constraint(json!({"contextName": "x", "operator": "REGEX", "value": "("})),
            answers: &[(&[("x", "(")], "off")],
        },
        Fault {
            what: "a number that goes on as a rule, which yggdrasil takes for everybody",
            refusal: "`5 or true` is not a decimal number",
            state: constraint(json!({"contextName": "x", "operator": "NUM_GT", "value": "5 or true"})),
            answers: &[(SEVEN, "off"), (&[("x", "6")], "off")],
        },
        Fault {
            what: "an operator that no SDK knows",
            refusal: "no such operator",
            state: constraint(json!({"contextName": "x", "operator": "ALMOST", "values": ["1"], "inverted": true})),
            answers: &[(&[("x", "1")], "off"), (&[], "off")],
        },
        Fault {
            what: "an empty value",
            refusal: "is empty or has spaces",
            state: constraint(json!({"contextName": "x", "operator": "IN", "values": [""]})),
            answers: &[(&[("x", "")], "on"), (&[], "off")],
        },
        Fault {
            what: "weights that sum to 0, on which yggdrasil panics",
            refusal: "the weights of the variants sum to 0",
            state: variants(json!([{"name": "a", "weight": 0}, {"name": "b", "weight": 0}])),
            answers: &[(SEVEN, "on")],
        },
        Fault {
            what: "a weight over the limit",
            refusal: "the weight of variant `a` is over 1000",
            state: variants(json!([{"name": "a", "weight": u32::MAX}, {"name": "b", "weight": u32::MAX}])),
            answers: &[(SEVEN, "a")],
        },
        Fault {
            what: "a variant called as SDKs call none",
            refusal: "no variant may be called `disabled`",
            state: variants(json!([{"name": "disabled", "weight": 1}])),
            answers: &[(SEVEN, "disabled")],
        },
        Fault {
            what: "a quote in the name of a variant",
            refusal: "the variant `say \"hi\"` must be",
            state: variants(json!([{"name": "say \"hi\"", "weight": 1}])),
            answers: &[(SEVEN, "say \"hi\"")],
        },
        Fault {
            what: "a segment that does not exist",
            refusal: "the segment 9 does not exist",
            state: json!({"enabled": true, "strategies": [{"name": "default", "segments": [9]}]}),
            answers: &[(SEVEN, "off")],
        },
        Fault {
            what: "an empty id: one bucket for all of them in yggdrasil, the session in the Node SDK",
            refusal: "",
            state: json!({"enabled": true, "strategies": [
                {"name": "flexibleRollout", "parameters": {"rollout": "30", "groupId": "f", "stickiness": "default"}},
            ]}),
            answers: &[
                // Bucket 70 of the empty id, 21 and 47 of the two sessions.
                (&[("userId", ""), ("sessionId", "4")], "on"),
                (&[("sessionId", "4")], "on"),
                (&[("userId", ""), ("sessionId", "1")], "off"),
                (&[("sessionId", "1")], "off"),
            ],
        },
        Fault {
            what: "an empty id in a list",
            refusal: "",
            state: json!({"enabled": true, "strategies": [{"name": "userWithId", "parameters": {"userIds": ",7"}}]}),
            answers: &[(&[("userId", "")], "off"), (&[], "off"), (SEVEN, "on")],
        },
    ]
}

fn refusal(state: &Value) -> String {
    let definition = json!({"key": "f", "environments": {"production": state}});
    let mut flag: Flag = serde_json::from_value(definition).expect("a flag");
    flag.normalize();
    let flags: BTreeMap<String, Arc<Flag>> = BTreeMap::new();
    match validate(&flag, Surroundings { flags: &flags, segments: &BTreeMap::new() }) {
        Ok(()) => String::new(),
        Err(fault) => fault.message,
    }
}

#[test]
fn every_fault_is_refused_or_has_an_answer() {
    for Fault { what, refusal: words, state, answers } in faults() {
        let said = refusal(&state);
        assert!(
            said.contains(words) && said.is_empty() == words.is_empty(),
            "{what}\n  wanted {words:?}\n  got {said:?}"
        );
        assert!(!answers.is_empty(), "{what} has no answer");
        let mut feature = state.clone();
        feature["name"] = "f".into();
        let document: ClientFeatures =
            serde_json::from_value(json!({"version": 2, "features": [feature]})).expect("a document");
        let snapshot = Snapshot::compile(&document);
        for (fields, wanted) in answers {
            let mut context = Context::new();
            fields.iter().for_each(|(name, value)| context.set(name, *value));
            let answer = snapshot.evaluate("f", &context, Moment::default()).expect("the flag");
            assert_eq!(answer.variant(), *wanted, "{what}: {fields:?}");
            let bulk: Vec<&str> = snapshot.evaluate_all(&context, Moment::default()).map(|e| e.variant()).collect();
            assert_eq!(bulk, [*wanted], "{what} in bulk: {fields:?}");
        }
    }
}

/// Keys that would break an SDK, an address or a metric are refused; out of a document they are names like any other.
#[test]
fn names_are_checked() {
    for (key, words) in [
        ("", "must be 1 to 100 characters"),
        ("say \"cheese\"", "must be 1 to 100 characters"),
        ("tail\\", "must be 1 to 100 characters"),
        ("ä", "must be 1 to 100 characters"),
        ("..", "must be 1 to 100 characters"),
        ("f~share", "which hidden parents are called"),
    ] {
        let flag = Flag::new(key);
        let flags: BTreeMap<String, Arc<Flag>> = BTreeMap::new();
        let message = validate(&flag, Surroundings { flags: &flags, segments: &BTreeMap::new() }).unwrap_err().message;
        assert!(message.contains(words), "{key}: {message}");
        let document = json!({"version": 2, "features": [{"name": key, "enabled": true}]});
        let snapshot = Snapshot::compile(&serde_json::from_value(document).unwrap());
        assert!(snapshot.evaluate(key, &Context::new(), Moment::default()).unwrap().enabled, "{key}");
    }
}
