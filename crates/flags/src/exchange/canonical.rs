//! One form for documents that say the same: members in the order of their names, what is `null` or says the format's
//! own default left out, flags by name and segments by number. Two documents that differ in no answer and in no text a
//! person wrote have the same canonical form, byte for byte.

use serde_json::{Map, Value, json};

/// Differences one comparison names.
const DIFFERENCES_MAX: usize = 8;
const DEPTH_MAX: u8 = 32;

/// The canonical form of a client-features document. Its `version` numbers the protocol, not the content.
pub fn client_features(document: &Value) -> Value {
    let mut features: Vec<Value> = list(document, "features").iter().map(feature).collect();
    features.sort_by_key(name);
    let mut segments: Vec<Value> = list(document, "segments").iter().map(segment).collect();
    segments.sort_by_key(|s| s["id"].as_i64());
    sorted(&json!({"features": features, "segments": segments}))
}

/// Members in the order of their names.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let by_name: std::collections::BTreeMap<_, _> = map.iter().map(|(k, v)| (k.clone(), sorted(v))).collect();
            Value::Object(by_name.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// Where two canonical forms differ, as paths; the first few.
pub fn differences(before: &Value, after: &Value) -> Vec<String> {
    let mut out = Vec::new();
    differ("", before, after, DEPTH_MAX, &mut out);
    out
}

pub(crate) fn feature(value: &Value) -> Value {
    let mut map = bare(
        value,
        &[
            ("description", json!("")),
            ("type", json!("release")),
            ("project", json!("default")),
            ("stale", json!(false)),
            ("impressionData", json!(false)),
            ("strategies", json!([])),
            ("variants", json!([])),
            ("dependencies", json!([])),
            ("valueType", json!("bool")),
        ],
    );
    each(&mut map, "strategies", strategy);
    each(&mut map, "variants", variant);
    each(&mut map, "dependencies", |d| Value::Object(bare(d, &[("enabled", json!(true)), ("variants", json!([]))])));
    Value::Object(map)
}

pub(crate) fn strategy(value: &Value) -> Value {
    let none = json!([]);
    let mut map = bare(
        value,
        &[
            ("parameters", json!({})),
            ("constraints", none.clone()),
            ("segments", none.clone()),
            ("variants", none),
            ("title", json!("")),
            ("disabled", json!(false)),
        ],
    );
    if let Some(Value::Object(parameters)) = map.get_mut("parameters") {
        parameters.retain(|_, v| !v.is_null());
        for value in parameters.values_mut().filter(|v| !v.is_string()) {
            *value = Value::String(value.to_string());
        }
    }
    each(&mut map, "constraints", constraint);
    each(&mut map, "variants", variant);
    Value::Object(map)
}

pub(crate) fn variant(value: &Value) -> Value {
    let none = json!([]);
    let mut map = bare(value, &[("overrides", none.clone()), ("stickiness", json!("default"))]);
    each(&mut map, "overrides", |o| Value::Object(bare(o, &[("values", none.clone())])));
    Value::Object(map)
}

fn segment(value: &Value) -> Value {
    let mut map = bare(value, &[("name", json!("")), ("constraints", json!([]))]);
    each(&mut map, "constraints", constraint);
    Value::Object(map)
}

fn constraint(value: &Value) -> Value {
    let defaults =
        [("values", json!([])), ("value", json!("")), ("inverted", json!(false)), ("caseInsensitive", json!(false))];
    Value::Object(bare(value, &defaults))
}

/// The members that say something.
fn bare(value: &Value, defaults: &[(&str, Value)]) -> Map<String, Value> {
    let mut map = value.as_object().cloned().unwrap_or_default();
    map.retain(|name, v| !v.is_null() && !defaults.iter().any(|(n, default)| name == n && v == default));
    map
}

fn each(map: &mut Map<String, Value>, name: &str, f: impl Fn(&Value) -> Value) {
    if let Some(Value::Array(items)) = map.get_mut(name) {
        for item in items {
            *item = f(item);
        }
    }
}

fn list<'a>(document: &'a Value, name: &str) -> &'a [Value] {
    document.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn name(value: &Value) -> String {
    value["name"].as_str().unwrap_or_default().to_owned()
}

fn differ(path: &str, before: &Value, after: &Value, depth: u8, out: &mut Vec<String>) {
    if before == after || out.len() >= DIFFERENCES_MAX {
        return;
    }
    match (before, after) {
        (Value::Object(a), Value::Object(b)) if depth > 0 => {
            for name in a.keys().chain(b.keys().filter(|n| !a.contains_key(*n))) {
                let (a, b) = (a.get(name).unwrap_or(&Value::Null), b.get(name).unwrap_or(&Value::Null));
                differ(&format!("{path}/{name}"), a, b, depth - 1, out);
            }
        }
        (Value::Array(a), Value::Array(b)) if depth > 0 && a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                differ(&format!("{path}/{i}"), a, b, depth - 1, out);
            }
        }
        _ => out.push(if path.is_empty() { "/".into() } else { path.to_owned() }),
    }
}
