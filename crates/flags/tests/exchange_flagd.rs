//! Files of flagd: the rules answer the same here, what cannot is refused, and what goes out comes in again.

use std::path::Path;

use serde_json::{Value, json};
use tenfold_flags::exchange::{self, Bundle, Format, Options, Outcome};
use tenfold_flags::{ClientFeatures, Context, Flag, Moment, Snapshot};
use tenfold_types::Timestamp;

const STRICT: Options<'static> = Options { environment: Some("production"), allow_rebucketing: false };
const LOOSE: Options<'static> = Options { environment: Some("production"), allow_rebucketing: true };

fn read(document: &Value, options: Options<'_>) -> Bundle {
    assert_eq!(Format::detect(document), Some(Format::Flagd));
    exchange::read(Format::Flagd, document, options).expect("a document of flagd")
}

/// One flag with two texts, and a rule.
fn with_rule(rule: &Value) -> Value {
    json!({"flags": {"f": {"state": "ENABLED", "variants": {"a": "A", "b": "B", "c": "C", "true": "T", "false": "F"},
        "defaultVariant": "c", "targeting": rule}},
        "$evaluators": {"staff": {"ends_with": [{"var": "email"}, "@us.org"]}}})
}

/// The same with truth values.
fn with_switch(rule: &Value, default: &str) -> Value {
    json!({"flags": {"f": {"state": "ENABLED", "variants": {"on": true, "off": false},
        "defaultVariant": default, "targeting": rule}}})
}

fn answer(flags: &[Flag], context: &[(&str, &str)]) -> Value {
    let features = flags.iter().map(|f| f.feature("production")).collect();
    let snapshot = Snapshot::compile(&ClientFeatures { version: 2, features, segments: Vec::new() });
    let mut asked = Context::new();
    for (name, value) in context {
        asked.set(name, *value);
    }
    let moment = Moment { now: Timestamp(1_767_225_600_000), random: 7 };
    snapshot.evaluate("f", &asked, moment).expect("the flag is there").value().clone()
}

#[test]
fn rules_answer_the_same() {
    let var = |name: &str| json!({"var": name});
    type Asked = (Vec<(&'static str, &'static str)>, &'static str);
    let cases: Vec<(Value, Vec<Asked>)> = vec![
        (json!(null), vec![(vec![], "C")]),
        (json!({}), vec![(vec![], "C")]),
        (
            json!({"if": [{"==": [var("plan"), "pro"]}, "a", "b"]}),
            vec![(vec![("plan", "pro")], "A"), (vec![("plan", "free")], "B"), (vec![], "B")],
        ),
        (
            json!({"if": [{"!=": [var("plan"), "pro"]}, "a", null]}),
            vec![(vec![("plan", "pro")], "C"), (vec![("plan", "free")], "A"), (vec![], "A")],
        ),
        (
            json!({"if": [{"in": ["@a.org", var("email")]}, "a", {"in": [var("targetingKey"), ["u1", "u2"]]}, "b"]}),
            vec![
                (vec![("email", "x@a.org.uk"), ("userId", "u1")], "A"),
                (vec![("email", "x@b.org"), ("userId", "u2")], "B"),
                (vec![("userId", "u3")], "C"),
            ],
        ),
        (
            json!({"if": [{"and": [{"starts_with": [var("id"), "abc"]}, {"!": [{"$ref": "staff"}]}]}, "a",
                          {"if": [{"ends_with": [var("id"), "xyz"]}, "b", null]}]}),
            vec![
                (vec![("id", "abc-xyz"), ("email", "a@b.org")], "A"),
                (vec![("id", "abc-xyz"), ("email", "a@us.org")], "B"),
                (vec![("id", "abc"), ("email", "a@us.org")], "C"),
                (vec![("id", "abc")], "A"),
            ],
        ),
        (
            json!({"if": [{"or": [{">": [var("age"), 30]}, {"<=": [5, var("size"), 7]}]}, "a", "b"]}),
            vec![
                (vec![("age", "31")], "A"),
                (vec![("age", "30"), ("size", "8")], "B"),
                (vec![("size", "5")], "A"),
                (vec![("size", "7")], "A"),
            ],
        ),
        (
            json!({"if": [{"sem_ver": [var("v"), "~", "3.2.0"]}, "a", {"sem_ver": [var("v"), "^", "3.0.0"]}, "b"]}),
            vec![
                (vec![("v", "3.2.9")], "A"),
                (vec![("v", "3.9.0")], "B"),
                (vec![("v", "4.0.0-rc.1")], "C"),
                (vec![("v", "2.9.9")], "C"),
            ],
        ),
        // Not (a and b) is more than one strategy.
        (
            json!({"if": [{"!": {"and": [{"==": [var("x"), "1"]}, {"==": [var("y"), "1"]}]}}, "a", "b"]}),
            vec![
                (vec![("x", "1"), ("y", "1")], "B"),
                (vec![("x", "1"), ("y", "2")], "A"),
                (vec![("x", "2"), ("y", "1")], "A"),
            ],
        ),
        (json!({"==": [var("beta"), true]}), vec![(vec![("beta", "true")], "T"), (vec![("beta", "false")], "F")]),
        (json!({"if": [{"$ref": "staff"}]}), vec![(vec![("email", "a@us.org")], "T"), (vec![], "F")]),
        (json!({"if": [{">": [{"var": "$flagd.timestamp"}, 1_767_225_599]}, "a", "b"]}), vec![(vec![], "A")]),
        (json!({"if": [{">": [{"var": "$flagd.timestamp"}, 1_767_225_600]}, "a", "b"]}), vec![(vec![], "B")]),
        (json!({"if": [{">=": [{"var": "$flagd.timestamp"}, 1_767_225_600]}, "a", "b"]}), vec![(vec![], "A")]),
        (json!({"fractional": [["a", 1]]}), vec![(vec![], "A")]),
    ];
    for (rule, asked) in cases {
        let bundle = read(&with_rule(&rule), STRICT);
        assert_eq!(bundle.notes, [], "{rule}");
        for (context, wanted) in asked {
            assert_eq!(answer(&bundle.flags, &context), json!(wanted), "{rule} for {context:?}");
        }
    }
}

#[test]
fn a_switch_is_on_for_whom_the_rule_says_true() {
    let country = |c: &str| json!({"==": [{"var": "country"}, c]});
    // NO: off, whatever comes later. SE and DK: on. The rest: the default.
    let rule = json!({"if": [country("NO"), "off", {"or": [country("SE"), country("DK"), country("NO")]}, "on"]});
    for (default, rest) in [("on", true), ("off", false)] {
        let bundle = read(&with_switch(&rule, default), STRICT);
        assert_eq!(bundle.notes, [], "{default}");
        for (asked, wanted) in [("NO", false), ("SE", true), ("DK", true), ("IS", rest)] {
            assert_eq!(answer(&bundle.flags, &[("country", asked)]), json!(wanted), "{asked}, else {default}");
        }
        assert_eq!(answer(&bundle.flags, &[]), json!(rest));
    }
    let never = read(&with_switch(&json!(null), "off"), STRICT);
    assert!(!never.flags[0].environments["production"].enabled, "without strategies it would be on for everybody");
    let always = read(&with_switch(&json!(null), "on"), STRICT);
    assert_eq!(always.flags[0].environments["production"].rollout_percent(), Some(100));
}

#[test]
fn shares_are_taken_only_where_it_was_allowed() {
    let shares = json!({"if": [{"==": [{"var": "plan"}, "pro"]},
        {"fractional": [{"cat": [{"var": "$flagd.flagKey"}, {"var": "email"}]}, ["a", 25], ["b", 75]]}]});
    let refused = read(&with_rule(&shares), STRICT);
    assert_eq!((refused.flags.len(), refused.notes.len()), (0, 1));
    assert_eq!(refused.notes[0].outcome, Outcome::Refused);
    assert!(refused.notes[0].text.contains("a: 25, b: 75") && refused.notes[0].text.contains("hash"));

    let taken = read(&with_rule(&shares), LOOSE);
    assert!(taken.notes[0].text.contains("other people"), "{:?}", taken.notes);
    let mut count = 0;
    for i in 0..1_000 {
        let email = format!("{i}@a.org");
        match answer(&taken.flags, &[("plan", "pro"), ("email", &email)]).as_str() {
            Some("A") => count += 1,
            other => assert_eq!(other, Some("B")),
        }
    }
    assert!((200..=300).contains(&count), "{count} of 1000 for a quarter");
    assert_eq!(answer(&taken.flags, &[("plan", "free"), ("email", "x")]), json!("C"));

    let half = json!({"fractional": [["on", 1], ["off", 1]]});
    let state = &read(&with_switch(&half, "off"), LOOSE).flags[0].environments["production"];
    assert_eq!((state.rollout_percent(), state.strategies[0].parameters["stickiness"].as_str()), (Some(50), "userId"));
    let third = read(&with_switch(&json!({"fractional": [["on", 1], ["off", 2]]}), "off"), LOOSE);
    assert!(third.notes[0].text.contains("no whole per cent"), "{:?}", third.notes);
}

#[test]
fn what_has_no_counterpart_is_refused_with_its_reason() {
    for (rule, wanted) in [
        (json!({"if": [{"var": "beta"}, "a", "b"]}), "compare it"),
        (json!({"if": [{"==": [{"%": [{"var": "n"}, 2]}, 0]}, "a"]}), "not a field"),
        (json!({"if": [{"$ref": "nobody"}, "a"]}), "`nobody`"),
        (json!({"fractional": [["a", {"-": [3, 1]}], ["b", 1]]}), "computed"),
        (json!({"fractional": [[{"fractional": [["a", 1], ["b", 1]]}, 1], ["b", 1]]}), "not a variant's name"),
        (json!("nothing"), "none of its variants"),
        (json!({"substr": [{"var": "a"}, 1]}), "`substr`"),
    ] {
        let bundle = read(&with_rule(&rule), STRICT);
        assert_eq!(bundle.flags, [], "{rule}");
        assert!(bundle.notes[0].text.contains(wanted), "{rule}: {:?}", bundle.notes);
    }
    let mut deep = json!("a");
    for _ in 0..40 {
        deep = json!({"if": [{"==": [{"var": "x"}, "1"]}, deep]});
    }
    assert!(read(&with_rule(&deep), STRICT).notes[0].text.contains("deeper than 24"));
    let wide: Vec<Value> = (0..8)
        .map(|i| json!({"or": [{"==": [{"var": "x"}, i.to_string()]}, {"==": [{"var": "y"}, i.to_string()]}]}))
        .collect();
    assert!(read(&with_rule(&json!({"if": [{"and": wide}, "a"]})), STRICT).notes[0].text.contains("more than 30"));
    let circle = json!({"flags": {"f": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on",
        "targeting": {"if": [{"$ref": "a"}, "on"]}}}, "$evaluators": {"a": {"$ref": "b"}, "b": {"$ref": "a"}}});
    assert!(read(&circle, STRICT).notes[0].text.contains("deeper"));
}

#[test]
fn what_goes_out_comes_in_again() {
    let rule = json!({"if": [{"and": [{"in": [{"var": "plan"}, ["pro", "team"]]}, {"sem_ver": [{"var": "v"}, ">=", "2.0.0"]}]}, "a",
        {"!": [{"starts_with": [{"var": "email"}, "x"]}]}, "b", {"<": [{"var": "$flagd.timestamp"}, 1_800_000_000]}, "a"]});
    let split = json!({"fractional": [["a", 25], ["b", 75]]});
    for document in
        [with_rule(&rule), with_rule(&split), with_switch(&json!({"if": [{"==": [{"var": "a"}, "b"]}, "on"]}), "off")]
    {
        let first = read(&document, LOOSE);
        let (out, notes) = exchange::write(Format::Flagd, &first.flags.iter().collect::<Vec<_>>(), &[], LOOSE);
        assert_eq!(notes, []);
        let again = read(&out, LOOSE);
        let strategies = |b: &Bundle| b.flags[0].environments["production"].strategies.clone();
        assert_eq!(strategies(&again), strategies(&first), "{out}");
    }
    let first = read(&with_rule(&split), LOOSE);
    let (out, notes) = exchange::write(Format::Flagd, &first.flags.iter().collect::<Vec<_>>(), &[], STRICT);
    assert!(out["flags"].as_object().unwrap().is_empty() && notes[0].text.contains("hash"), "{notes:?}");
}

/// Files that flagd's own tests use: each flag is taken or refused with a reason, and none is lost.
#[test]
fn files_of_others_are_taken_or_refused() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance");
    let folders = ["flagd-testbed/flags", "flagd-testbed/evaluator/flags", "flagd-schemas/json/test/flags/positive"];
    let (mut files, mut taken, mut refused) = (0, 0, Vec::new());
    for folder in folders {
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
            println!("skipped: {folder} is not on this machine");
            continue;
        };
        for path in
            entries.filter_map(Result::ok).map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "json"))
        {
            let document: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let count = document["flags"]
                .as_object()
                .map_or_else(|| document["flags"].as_array().unwrap().len(), serde_json::Map::len);
            let bundle = exchange::read(Format::Flagd, &document, LOOSE).unwrap();
            let no: Vec<_> = bundle.notes.iter().filter(|n| n.outcome == Outcome::Refused).collect();
            assert_eq!(bundle.flags.len() + no.len(), count, "{}", path.display());
            files += 1;
            taken += bundle.flags.len();
            refused.extend(no.iter().map(|n| format!("{}: {}", n.about, n.text)));
        }
    }
    println!("{files} files, {taken} flags taken, {} refused:\n{}", refused.len(), refused.join("\n"));
    assert!(files == 0 || taken > refused.len());
}
