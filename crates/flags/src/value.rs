//! Typed values: what a flag of each type may hold, and how it travels in an Unleash payload.

use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ValueType {
    #[default]
    Bool,
    String,
    Int,
    Float,
    Object,
}

impl ValueType {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::String => "string",
            Self::Int => "int",
            Self::Float => "float",
            Self::Object => "object",
        }
    }

    /// What an off flag answers when it names no off value of its own.
    pub fn zero(self) -> Value {
        match self {
            Self::Bool => Value::Bool(false),
            Self::String => Value::String(String::new()),
            Self::Int => Value::from(0),
            Self::Float => Value::from(0.0),
            Self::Object => Value::Object(serde_json::Map::new()),
        }
    }

    /// The value in this type's own form, or `None` when it is of another type. Whole floats stay floats (`1.0`), since
    /// some clients take a JSON `1` for an integer.
    pub fn conform(self, value: &Value) -> Option<Value> {
        match (self, value) {
            (Self::Bool, Value::Bool(_)) | (Self::String, Value::String(_)) | (Self::Object, Value::Object(_)) => {
                Some(value.clone())
            }
            (Self::Int, Value::Number(n)) => n.as_i64().map(Value::from),
            (Self::Float, Value::Number(n)) => n.as_f64().filter(|f| f.is_finite()).map(Value::from),
            _ => None,
        }
    }

    /// Reads the text of an Unleash payload.
    pub fn parse(self, text: &str) -> Option<Value> {
        match self {
            Self::Bool => text.parse().ok().map(Value::Bool),
            Self::String => Some(Value::String(text.into())),
            Self::Int => text.parse::<i64>().ok().map(Value::from),
            Self::Float => text.parse::<f64>().ok().filter(|f| f.is_finite()).map(Value::from),
            Self::Object => serde_json::from_str::<Value>(text).ok().filter(Value::is_object),
        }
    }

    /// As an Unleash payload, whose value is always text.
    pub fn payload(self, value: &Value) -> Payload {
        let (kind, text) = match (self, value) {
            (Self::Bool | Self::String, Value::String(text)) => ("string", text.clone()),
            (Self::Bool | Self::String, other) => ("string", other.to_string()),
            (Self::Int | Self::Float, other) => ("number", other.to_string()),
            (Self::Object, other) => ("json", other.to_string()),
        };
        Payload { kind: kind.into(), value: text }
    }
}

/// What a variant carries in the Unleash protocol: `string`, `json`, `csv` or `number`, and the value as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Payload {
    #[serde(rename = "type")]
    pub kind: String,
    pub value: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_conform_to_their_type_only() {
        for (kind, value, out) in [
            (ValueType::Bool, json!(true), Some(json!(true))),
            (ValueType::Bool, json!("true"), None),
            (ValueType::Int, json!(3), Some(json!(3))),
            (ValueType::Int, json!(3.5), None),
            (ValueType::Float, json!(3), Some(json!(3.0))),
            (ValueType::String, json!(3), None),
            (ValueType::Object, json!([1]), None),
            (ValueType::Object, json!({"a": 1}), Some(json!({"a": 1}))),
        ] {
            assert_eq!(kind.conform(&value), out, "{} {value}", kind.name());
        }
        assert_eq!(ValueType::Float.conform(&json!(1)).unwrap().to_string(), "1.0");
    }

    #[test]
    fn payloads_round_trip() {
        for (kind, value) in [
            (ValueType::Bool, json!(true)),
            (ValueType::String, json!("a \"b\"")),
            (ValueType::Int, json!(-7)),
            (ValueType::Float, json!(1.0)),
            (ValueType::Object, json!({"a": [1, 2]})),
        ] {
            assert_eq!(kind.parse(&kind.payload(&value).value), Some(value));
        }
    }
}
