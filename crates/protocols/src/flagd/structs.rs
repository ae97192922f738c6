//! JSON as protobuf's `Struct`, and back.

use prost_types::{ListValue, Struct, Value as Wire, value::Kind};
use serde_json::{Map, Number, Value};

/// Whole numbers up to here are exact in a double.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

pub(super) fn to_struct(map: &Map<String, Value>) -> Struct {
    Struct { fields: map.iter().map(|(name, value)| (name.clone(), to_wire(value))).collect() }
}

fn to_wire(value: &Value) -> Wire {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(b) => Kind::BoolValue(*b),
        Value::Number(n) => Kind::NumberValue(n.as_f64().unwrap_or_default()),
        Value::String(s) => Kind::StringValue(s.clone()),
        Value::Array(items) => Kind::ListValue(ListValue { values: items.iter().map(to_wire).collect() }),
        Value::Object(map) => Kind::StructValue(to_struct(map)),
    };
    Wire { kind: Some(kind) }
}

/// A number without a fraction becomes a whole one, as the caller meant it: `Struct` knows only doubles.
pub(super) fn from_struct(fields: Struct) -> Map<String, Value> {
    fields.fields.into_iter().map(|(name, value)| (name, from_wire(value))).collect()
}

fn from_wire(value: Wire) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(b)) => Value::Bool(b),
        Some(Kind::NumberValue(n)) if n.fract() == 0.0 && n.abs() <= EXACT_MAX => Value::from(n as i64),
        // Not a number and infinity have no JSON.
        Some(Kind::NumberValue(n)) => Number::from_f64(n).map_or(Value::Null, Value::Number),
        Some(Kind::StringValue(s)) => Value::String(s),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(from_wire).collect(),
        Some(Kind::StructValue(fields)) => Value::Object(from_struct(fields)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_survives() {
        let given = json!({"targetingKey": "7", "age": 7, "share": 0.5, "beta": true, "tags": ["a", null], "geo": {"country": "NO"}});
        let map = given.as_object().unwrap();
        assert_eq!(&from_struct(to_struct(map)), map);
        let odd = Wire { kind: Some(Kind::NumberValue(f64::NAN)) };
        assert_eq!(from_wire(odd), Value::Null);
    }
}
