//! Where we differ from yggdrasil on purpose: each with its reason, with the rewriting after which yggdrasil has to agree,
//! and with a case in which it does differ when nothing is rewritten (so that the list does not outlive its causes).

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value, json};
use unleash_yggdrasil::strategy_parsing::normalized_hash;

type Fields = Map<String, Value>;

pub struct Difference {
    pub name: &'static str,
    pub reason: &'static str,
    pub document: fn(&mut Value),
    pub context: fn(&mut Fields),
    /// A feature called `f` (or a list of features with one of that name), a context, and what we answer.
    pub witness: fn() -> (Value, Value, bool),
}

/// In the order in which they are applied.
pub const DIFFERENCES: [Difference; 15] = [
    Difference {
        name: "a strategy that cannot be read",
        reason: "an unknown operator, an operand that is no number, date or version, a percentage over 100, a segment \
                 that does not exist: yggdrasil then turns the whole flag off; we, like the Node SDK, let that strategy \
                 match nobody and the others count. Validation refuses to store any of them.",
        document: unreadable,
        context: nothing,
        witness: || {
            let bad = json!({"contextName": "x", "operator": "ALMOST", "values": ["1"]});
            let strategies = json!([{"name": "default", "constraints": [bad]}, {"name": "default"}]);
            (json!({"name": "f", "enabled": true, "strategies": strategies}), json!({}), true)
        },
    },
    Difference {
        name: "an operand is a value, never a piece of a rule",
        reason: "yggdrasil pastes numbers and dates into the text of a rule, and so refuses `.5`, takes ` 5`, and takes \
                 `5 or true` for everybody; we read a number as a number and a date as RFC 3339.",
        document: operands,
        context: nothing,
        witness: || {
            let constraint = json!({"contextName": "age", "operator": "NUM_GT", "value": "5 or true"});
            (one(json!({"name": "default", "constraints": [constraint]})), json!({}), false)
        },
    },
    Difference {
        name: "an empty id is no id",
        reason: "yggdrasil puts everybody whose `userId` is empty into one bucket; the Node SDK goes on to the session, \
                 then to chance, and so do we. The same holds for a field of the context that a rollout sticks to.",
        document: sticky_fields,
        context: empty_ids,
        witness: || {
            let constraint = json!({"contextName": "userId", "operator": "IN", "values": [""]});
            (one(json!({"name": "default", "constraints": [constraint]})), json!({"userId": ""}), false)
        },
    },
    Difference {
        name: "an empty stickiness is the default one",
        reason: "as in the Node SDK; yggdrasil looks for a property without a name. A strategy that names none for its \
                 variants takes the one its variants name.",
        document: empty_stickiness,
        context: nothing,
        witness: || {
            let parameters = json!({"rollout": "100", "stickiness": ""});
            (one(json!({"name": "flexibleRollout", "parameters": parameters})), json!({"userId": "7"}), true)
        },
    },
    Difference {
        name: "quotes and backslashes are letters",
        reason: "yggdrasil quotes names of fields, groups and hosts without escaping them, so that a quote in one, or a \
                 backslash at its end, turns the flag off; we compare and hash them as they are. Validation refuses to \
                 store them, since SDKs differ.",
        document: odd_names,
        context: odd_properties,
        witness: || {
            let constraint = json!({"contextName": "a\"b", "operator": "IN", "values": ["1"]});
            (one(json!({"name": "default", "constraints": [constraint]})), json!({"a\"b": "1"}), true)
        },
    },
    Difference {
        name: "a value may end in a backslash",
        reason: "in yggdrasil it escapes the closing quote and the flag is off; we compare it as it is.",
        document: trailing_backslashes,
        context: nothing,
        witness: || {
            let constraint = json!({"contextName": "x", "operator": "IN", "values": ["dir\\"]});
            (one(json!({"name": "default", "constraints": [constraint]})), json!({"x": "dir\\"}), true)
        },
    },
    Difference {
        name: "an empty list contains nothing",
        reason: "yggdrasil turns the flag off; we, like the Node SDK, let the constraint not hold, so that the inverted \
                 one holds.",
        document: empty_lists,
        context: nothing,
        witness: || {
            let constraint = json!({"contextName": "x", "operator": "STR_CONTAINS", "values": [], "inverted": true});
            (one(json!({"name": "default", "constraints": [constraint]})), json!({}), true)
        },
    },
    Difference {
        name: "networks are an address and a number of bits",
        reason: "yggdrasil also reads `10.0.0.0/255.0.0.0`; no other SDK does. What cannot be read is passed over by both.",
        document: networks,
        context: nothing,
        witness: || {
            let constraint = json!({"contextName": "x", "operator": "IN_CIDR", "values": ["10.0.0.0/255.0.0.0"]});
            (one(json!({"name": "default", "constraints": [constraint]})), json!({"x": "10.1.1.1"}), false)
        },
    },
    Difference {
        name: "an expression that does not compile matches nothing",
        reason: "so it does in yggdrasil, unless it ends in a backslash (then the flag is off) or compiles to more than a \
                 megabyte, which we do not let happen.",
        document: expressions,
        context: nothing,
        witness: || {
            let constraint = json!({"contextName": "x", "operator": "REGEX", "value": "a\\", "inverted": true});
            (one(json!({"name": "default", "constraints": [constraint]})), json!({"x": "1"}), true)
        },
    },
    Difference {
        name: "a parent's variant",
        reason: "wanted of a parent that has none, it is satisfied in yggdrasil; in the Node SDK and here it is not. \
                 Wanted together with `enabled: false` it means nothing, as in the Node SDK.",
        document: parents_variants,
        context: nothing,
        witness: || {
            let parent = json!({"name": "p", "enabled": true, "strategies": []});
            let child = json!({"name": "f", "enabled": true, "strategies": [],
                               "dependencies": [{"feature": "p", "variants": ["a"]}]});
            (json!([parent, child]), json!({}), false)
        },
    },
    Difference {
        name: "a parent's group is its own name",
        reason: "a rollout without `groupId` is hashed with the flag's name; asked as a parent, yggdrasil takes the \
                 child's name instead. We always write `groupId` out.",
        document: own_groups,
        context: nothing,
        witness: || {
            let parent = json!({"name": "p", "enabled": true,
                                "strategies": [{"name": "flexibleRollout", "parameters": {"rollout": "50"}}]});
            let child = json!({"name": "f", "enabled": true, "strategies": [], "dependencies": [{"feature": "p"}]});
            let bucket = |group, id: &str| normalized_hash(group, id, 100, 0).unwrap_or_default();
            let ids = (0..1_000).map(|i: u32| i.to_string());
            let id = ids.into_iter().find(|id| bucket("p", id) > 50 && bucket("f", id) <= 50);
            (json!([parent, child]), json!({"userId": id.expect("a quarter of them is so")}), false)
        },
    },
    Difference {
        name: "weights that sum to 0",
        reason: "yggdrasil divides by zero and panics; the Node SDK and we answer no variant, and of a strategy the flag's \
                 own variants. Validation refuses to store them.",
        document: no_weights,
        context: nothing,
        // A panic is no answer: `tests/differential.rs` shows it on its own.
        witness: || (one(json!({"name": "default"})), json!({}), true),
    },
    Difference {
        name: "the time as text",
        reason: "`currentTime` that a client did not give is compared as an instant only; yggdrasil also writes it out and \
                 compares its letters.",
        document: time_as_text,
        context: time_text,
        witness: || {
            let constraint = json!({"contextName": "currentTime", "operator": "STR_CONTAINS", "values": ["T"]});
            (one(json!({"name": "default", "constraints": [constraint]})), json!({}), false)
        },
    },
    Difference {
        name: "dates of a context",
        reason: "read as RFC 3339 with what it leaves open (a space for the `T`, any number of digits of a second, the \
                 basic form); yggdrasil's reader leaves other things open.",
        document: nothing_of_document,
        context: dates,
        witness: || {
            let constraint = json!({"contextName": "born", "operator": "DATE_AFTER", "value": "1990-01-01T00:00:00Z"});
            (one(json!({"name": "default", "constraints": [constraint]})), json!({"born": "20260101T000000Z"}), true)
        },
    },
    Difference {
        name: "equal numbers are equal",
        reason: "yggdrasil takes numbers for equal that differ by less than 2.2e-16; SDKs in other languages compare them \
                 exactly, and so do we.",
        document: nothing_of_document,
        context: nothing,
        witness: || {
            let constraint = json!({"contextName": "x", "operator": "NUM_EQ", "value": "0"});
            (one(json!({"name": "default", "constraints": [constraint]})), json!({"x": "1e-17"}), false)
        },
    },
];

/// What yggdrasil is asked instead.
pub fn rewrite_document(document: &Value) -> Value {
    let mut document = document.clone();
    DIFFERENCES.iter().for_each(|d| (d.document)(&mut document));
    document
}

pub fn rewrite_context(context: &Fields) -> Fields {
    let mut context = context.clone();
    DIFFERENCES.iter().for_each(|d| (d.context)(&mut context));
    context
}

fn one(strategy: Value) -> Value {
    json!({"name": "f", "enabled": true, "strategies": [strategy]})
}

fn nothing(_: &mut Fields) {}
fn nothing_of_document(_: &mut Value) {}

fn list_mut<'v>(of: &'v mut Value, key: &str) -> &'v mut [Value] {
    of.get_mut(key).and_then(Value::as_array_mut).map_or(&mut [], Vec::as_mut_slice)
}

fn text<'v>(of: &'v Value, key: &str) -> Option<&'v str> {
    of[key].as_str()
}

fn texts(of: &Value, key: &str) -> Vec<String> {
    of[key].as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

fn each_strategy(document: &mut Value, mut f: impl FnMut(&mut Value)) {
    for feature in list_mut(document, "features") {
        list_mut(feature, "strategies").iter_mut().for_each(&mut f);
    }
}

fn each_constraint(document: &mut Value, mut f: impl FnMut(&mut Value)) {
    each_strategy(document, |s| list_mut(s, "constraints").iter_mut().for_each(&mut f));
    for segment in list_mut(document, "segments") {
        list_mut(segment, "constraints").iter_mut().for_each(&mut f);
    }
}

/// The stickiness of strategies and of variants.
fn each_stickiness(document: &mut Value, mut f: impl FnMut(&mut Value)) {
    for feature in list_mut(document, "features") {
        list_mut(feature, "variants").iter_mut().filter_map(|v| v.get_mut("stickiness")).for_each(&mut f);
        for strategy in list_mut(feature, "strategies") {
            list_mut(strategy, "variants").iter_mut().filter_map(|v| v.get_mut("stickiness")).for_each(&mut f);
            strategy["parameters"].get_mut("stickiness").into_iter().for_each(&mut f);
        }
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|n| n.is_finite())
}

fn date(text: &str) -> Option<jiff::Timestamp> {
    text.parse().ok()
}

fn is_readable(constraint: &Value) -> bool {
    let value = text(constraint, "value");
    match text(constraint, "operator").unwrap_or_default() {
        op if op.starts_with("NUM_") => value.and_then(number).is_some(),
        op if op.starts_with("DATE_") => value.and_then(date).is_some(),
        op if op.starts_with("SEMVER_") => value.is_some_and(|v| semver::Version::parse(v).is_ok()),
        op => tenfold_flags::OPERATORS.contains(&op),
    }
}

fn all_readable(of: &Value) -> bool {
    of["constraints"].as_array().into_iter().flatten().all(is_readable)
}

fn unreadable(document: &mut Value) {
    let segments: Vec<(Value, bool)> =
        document["segments"].as_array().into_iter().flatten().map(|s| (s["id"].clone(), all_readable(s))).collect();
    each_strategy(document, |strategy| {
        let percent = |key: &str| text(&strategy["parameters"], key).map(|p| p.parse::<u8>().is_ok_and(|p| p <= 100));
        let readable = all_readable(strategy)
            && strategy["segments"].as_array().into_iter().flatten().all(|id| segments.contains(&(id.clone(), true)))
            && percent("rollout") != Some(false)
            && percent("percentage") != Some(false);
        if !readable {
            *strategy = json!({"name": "unreadable", "parameters": {}});
        }
    });
    for segment in list_mut(document, "segments").iter_mut().filter(|s| !all_readable(s)) {
        segment["constraints"] = json!([]);
    }
}

fn operands(document: &mut Value) {
    each_constraint(document, |c| {
        let operator = text(c, "operator").unwrap_or_default();
        let rewritten = match text(c, "value") {
            Some(v) if operator.starts_with("NUM_") => number(v).map(|n| n.to_string()),
            Some(v) if operator.starts_with("DATE_") => date(v).map(|d| format!("{d:.3}")),
            _ => None,
        };
        if let Some(value) = rewritten {
            c["value"] = value.into();
        }
    });
}

const STICKY: &str = "sticky ";

fn sticky_fields(document: &mut Value) {
    each_stickiness(document, |s| {
        if !matches!(s.as_str(), Some("" | "default" | "random" | "userId" | "sessionId")) {
            *s = format!("{STICKY}{}", s.as_str().unwrap_or_default()).into();
        }
    });
}

fn empty_ids(context: &mut Fields) {
    for id in ["userId", "sessionId"] {
        if context.get(id).is_some_and(|v| v == "") {
            context.shift_remove(id);
        }
    }
    let sticky: Vec<(String, Value)> =
        context.iter().filter(|(_, v)| *v != "").map(|(k, v)| (format!("{STICKY}{k}"), v.clone())).collect();
    context.extend(sticky);
}

fn empty_stickiness(document: &mut Value) {
    each_stickiness(document, |s| {
        if *s == "" {
            *s = "default".into();
        }
    });
    each_strategy(document, |s| {
        let first = s["variants"].get(0).and_then(|v| v.get("stickiness")).cloned();
        if let (Some(first), None) = (first, s["parameters"].get("stickiness")) {
            s["parameters"]["stickiness"] = first;
        }
    });
}

fn is_odd(text: &str) -> bool {
    text.contains('"') || text.ends_with('\\')
}

fn plain_name(name: &str) -> String {
    format!("odd {}", name.replace('"', "'").replace('\\', "/"))
}

fn odd_names(document: &mut Value) {
    let rename = |name: &mut Value| {
        if let Some(odd) = name.as_str().filter(|n| is_odd(n)) {
            *name = plain_name(odd).into();
        }
    };
    each_stickiness(document, rename);
    each_constraint(document, |c| rename(&mut c["contextName"]));
    for feature in list_mut(document, "features") {
        for variant in list_mut(feature, "variants") {
            list_mut(variant, "overrides").iter_mut().for_each(|o| rename(&mut o["contextName"]));
        }
    }
    each_strategy(document, |s| {
        let has_variants = s["variants"].as_array().is_some_and(|v| !v.is_empty());
        if let Some(group) = s["parameters"].get_mut("groupId").filter(|_| !has_variants) {
            *group = group.as_str().unwrap_or_default().replace('"', "\\\"").into();
        }
        if let Some(hosts) = s["parameters"].get_mut("hostNames") {
            let all = hosts.as_str().unwrap_or_default().split(',');
            let plain: Vec<&str> = all.filter(|h| !is_odd(h.trim())).chain([NOWHERE]).collect();
            *hosts = plain.join(",").into();
        }
    });
}

fn odd_properties(context: &mut Fields) {
    let fields = std::mem::take(context);
    context.extend(fields.into_iter().map(|(k, v)| if is_odd(&k) { (plain_name(&k), v) } else { (k, v) }));
}

/// As an expression that matches the same texts.
fn trailing_backslashes(document: &mut Value) {
    let any = |values: &[String]| values.iter().map(|v| regex::escape(v)).collect::<Vec<_>>().join("|");
    each_constraint(document, |c| {
        let values = texts(c, "values");
        if !values.iter().any(|v| v.ends_with('\\')) {
            return;
        }
        let (start, end, turned) = match text(c, "operator").unwrap_or_default() {
            "IN" => ("\\A", "\\z", false),
            "NOT_IN" => ("\\A", "\\z", true),
            "STR_STARTS_WITH" => ("\\A", "", false),
            "STR_ENDS_WITH" => ("", "\\z", false),
            "STR_CONTAINS" => ("", "", false),
            _ => return,
        };
        let inverted = c["inverted"].as_bool().unwrap_or_default() != turned;
        *c = json!({"contextName": c["contextName"], "operator": "REGEX", "inverted": inverted,
                    "value": format!("{start}(?:{}){end}", any(&values))});
    });
    each_strategy(document, |s| {
        let ids: Vec<String> = text(&s["parameters"], "userIds")
            .map(|ids| ids.split(',').map(|id| id.trim().to_owned()).collect())
            .unwrap_or_default();
        if s["name"] == "userWithId" && ids.iter().any(|id| id.ends_with('\\')) {
            s["name"] = "default".into();
            let constraint =
                json!({"contextName": "userId", "operator": "REGEX", "value": format!("\\A(?:{})\\z", any(&ids))});
            if let Some(list) = s["constraints"].as_array_mut() {
                list.push(constraint);
            }
        }
    });
}

/// An expression that matches nothing, and a host and network that is none.
const NEVER: &str = "(";
const NOWHERE: &str = "nowhere";

fn empty_lists(document: &mut Value) {
    each_constraint(document, |c| {
        if text(c, "operator").is_some_and(|op| op.starts_with("STR_")) && texts(c, "values").is_empty() {
            c["operator"] = "REGEX".into();
            c["value"] = NEVER.into();
        }
    });
}

fn is_network(text: &str) -> bool {
    let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
    address
        .parse::<std::net::IpAddr>()
        .is_ok_and(|a| bits.is_none_or(|b| b.parse::<u8>().is_ok_and(|b| b <= if a.is_ipv4() { 32 } else { 128 })))
}

fn networks(document: &mut Value) {
    each_constraint(document, |c| {
        if c["operator"] == "IN_CIDR" {
            let mut kept: Vec<String> = texts(c, "values").into_iter().filter(|v| is_network(v)).collect();
            kept.push(NOWHERE.into());
            c["values"] = json!(kept);
        }
    });
    each_strategy(document, |s| {
        if let Some(addresses) = s["parameters"].get_mut("IPs") {
            let all = addresses.as_str().unwrap_or_default().split(',').map(str::trim);
            let kept: Vec<&str> = all.filter(|a| is_network(a)).chain([NOWHERE]).collect();
            *addresses = kept.join(",").into();
        } else if s["name"] == "remoteAddress" {
            s["name"] = "custom".into();
        }
    });
}

fn expressions(document: &mut Value) {
    let compile =
        |pattern: &str| -> Result<Regex, regex::Error> { RegexBuilder::new(pattern).size_limit(1 << 20).build() };
    each_constraint(document, |c| {
        if c["operator"] == "REGEX" && text(c, "value").is_some_and(|v| compile(v).is_err()) {
            c["value"] = NEVER.into();
        }
    });
}

fn disabled() -> Value {
    json!({"name": "disabled", "weight": 1})
}

fn parents_variants(document: &mut Value) {
    let mut wanted = Vec::new();
    for feature in list_mut(document, "features") {
        for dependency in list_mut(feature, "dependencies") {
            if dependency["enabled"] == false {
                dependency["variants"] = json!([]);
            } else if !texts(dependency, "variants").is_empty() {
                wanted.push(dependency["feature"].clone());
            }
        }
    }
    for parent in list_mut(document, "features").iter_mut().filter(|f| wanted.contains(&f["name"])) {
        if parent["variants"].as_array().is_none_or(Vec::is_empty) {
            parent["variants"] = json!([disabled()]);
        }
    }
}

fn own_groups(document: &mut Value) {
    for feature in list_mut(document, "features") {
        let name = feature["name"].clone();
        if name.as_str().is_some_and(is_odd) {
            continue;
        }
        for strategy in list_mut(feature, "strategies").iter_mut().filter(|s| s["name"] == "flexibleRollout") {
            if strategy["parameters"].get("groupId").is_none() {
                strategy["parameters"]["groupId"] = name.clone();
            }
        }
    }
}

fn no_weights(document: &mut Value) {
    let weightless =
        |v: &Value| v["variants"].as_array().is_some_and(|l| !l.is_empty() && l.iter().all(|v| v["weight"] == 0));
    for feature in list_mut(document, "features") {
        for strategy in list_mut(feature, "strategies").iter_mut().filter(|s| weightless(s)) {
            strategy["variants"] = json!([]);
        }
        if weightless(feature)
            && let Some(list) = feature["variants"].as_array_mut()
        {
            list.push(disabled());
        }
    }
}

const TIME_TEXT: &str = "text of currentTime";

fn time_as_text(document: &mut Value) {
    each_constraint(document, |c| {
        if c["contextName"] == "currentTime" && !text(c, "operator").is_some_and(|op| op.starts_with("DATE_")) {
            c["contextName"] = TIME_TEXT.into();
        }
    });
    for feature in list_mut(document, "features") {
        for variant in list_mut(feature, "variants") {
            let overrides = list_mut(variant, "overrides").iter_mut();
            overrides.filter(|o| o["contextName"] == "currentTime").for_each(|o| o["contextName"] = TIME_TEXT.into());
        }
    }
}

fn time_text(context: &mut Fields) {
    if let Some(time) = context.get("currentTime").cloned() {
        context.insert(TIME_TEXT.into(), time);
    }
}

fn dates(context: &mut Fields) {
    for field in ["currentTime", "born", "until"] {
        if let Some(value) = context.get_mut(field) {
            let read = value.as_str().and_then(date);
            *value = read.map_or_else(|| "never".into(), |d| d.to_string().into());
        }
    }
}
