//! What notification templates may call on their data: pairs of labels, and alerts by state.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    TemplateError, time,
    value::{Object, Value},
};

pub enum Methods {
    Answer(Value),
    NotOne,
}

pub fn call(value: &Value, name: &str, arguments: &[Value]) -> Result<Methods, TemplateError> {
    let answer = match (value, name, arguments) {
        (Value::Map(map), "SortedPairs", []) => pairs(map),
        (Value::Map(map), "Names", []) => Value::list(sorted(map).map(|(n, _)| Value::text(n)).collect()),
        (Value::Map(map), "Values", []) => Value::list(sorted(map).map(|(_, v)| v.clone()).collect()),
        (Value::Map(map), "Remove", [Value::List(names)]) => {
            let gone = |n: &str| names.iter().any(|v| matches!(v, Value::Text(t) if t == n));
            let kept = map.iter().filter(|(n, _)| !gone(n)).map(|(n, v)| (n.clone(), v.clone()));
            Value::Map(Arc::new(kept.collect::<BTreeMap<_, _>>()))
        }
        (Value::Map(_), "Remove", _) => return Err(TemplateError("`Remove` takes a list of names".to_owned())),
        (Value::List(list), "Names", []) => column(list, "Name"),
        (Value::List(list), "Values", []) => column(list, "Value"),
        (Value::List(list), "Firing", []) => in_state(list, "firing"),
        (Value::List(list), "Resolved", []) => in_state(list, "resolved"),
        _ => return Ok(Methods::NotOne),
    };
    Ok(Methods::Answer(answer))
}

/// By name, `alertname` first.
fn sorted(map: &BTreeMap<String, Value>) -> impl Iterator<Item = (&str, &Value)> {
    let first = map.get_key_value("alertname");
    let rest = map.iter().filter(|(n, _)| *n != "alertname");
    first.into_iter().chain(rest).map(|(n, v)| (n.as_str(), v))
}

fn pairs(map: &BTreeMap<String, Value>) -> Value {
    let pair = |(n, v): (&str, &Value)| Object::value("Pair", vec![("Name", Value::text(n)), ("Value", v.clone())]);
    Value::list(sorted(map).map(pair).collect())
}

/// Labels, or pairs of them, as a notification writes them where it writes them whole: `alertname=Slow, job=photos`.
pub fn shown(value: &Value) -> Option<String> {
    let joined = |pairs: Vec<String>| Some(pairs.join(", "));
    match value {
        Value::Map(map) => joined(sorted(map).map(|(n, v)| format!("{n}={}", v.print())).collect()),
        Value::List(list) if !list.is_empty() => {
            let pair = |v: &Value| match v {
                Value::Object(o) if o.name == "Pair" => {
                    Some(format!("{}={}", o.get("Name")?.print(), o.get("Value")?.print()))
                }
                _ => None,
            };
            list.iter().map(pair).collect::<Option<Vec<String>>>().and_then(joined)
        }
        _ => None,
    }
}

fn column(list: &[Value], field: &str) -> Value {
    let of = |v: &Value| match v {
        Value::Object(o) => o.get(field).cloned(),
        _ => None,
    };
    Value::list(list.iter().filter_map(of).collect())
}

fn in_state(list: &[Value], state: &str) -> Value {
    let is = |v: &&Value| matches!(v, Value::Object(o) if o.get("Status") == Some(&Value::text(state)));
    Value::list(list.iter().filter(is).cloned().collect())
}

pub fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Nil => serde_json::Value::Null,
        Value::Bool(b) => (*b).into(),
        Value::Int(n) => (*n).into(),
        Value::Float(n) => (*n).into(),
        Value::Text(t) => t.as_str().into(),
        Value::Time(at) => at.to_string().into(),
        Value::Zoned(clock) => time::rfc_3339(clock).into(),
        // Nanoseconds, as in Go.
        Value::Duration(ms) => ms.saturating_mul(1_000_000).into(),
        Value::List(list) => list.iter().map(json).collect(),
        Value::Map(map) => map.iter().map(|(n, v)| (n.clone(), json(v))).collect::<serde_json::Map<_, _>>().into(),
        Value::Object(o) => {
            o.fields.iter().map(|(n, v)| ((*n).to_owned(), json(v))).collect::<serde_json::Map<_, _>>().into()
        }
    }
}
