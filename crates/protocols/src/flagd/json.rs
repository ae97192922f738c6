//! The messages as JSON, as Connect carries them.

use serde_json::{Map, Value, json};

use super::messages::AnswerKind;
use super::{Answer, Request, Status};

/// Reads a request. Names may be written in either of protobuf's two ways.
pub fn request_from_json(bytes: &[u8]) -> Result<Request, String> {
    let body: Value = match bytes {
        [] => json!({}),
        bytes => serde_json::from_slice(bytes).map_err(|e| format!("the message is not JSON: {e}"))?,
    };
    let Value::Object(mut body) = body else { return Err("the message is not a JSON object".into()) };
    let flag_key = match body.remove("flagKey").or_else(|| body.remove("flag_key")) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(key)) => key,
        Some(_) => return Err("`flagKey` is not a string".into()),
    };
    let context = match body.remove("context") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(context)) => context,
        Some(_) => return Err("`context` is not an object".into()),
    };
    Ok(Request { flag_key, context })
}

/// One answer. A whole number of 64 bits is text in protobuf's JSON.
pub fn answer_json(answer: &Answer, kind: Option<AnswerKind>) -> Value {
    let mut out = Map::new();
    if let Some(value) = &answer.value {
        let (name, value) = match (kind, value) {
            (Some(AnswerKind::Int), Value::Number(n)) => ("value", Value::String(n.to_string())),
            (Some(_), value) => ("value", value.clone()),
            (None, Value::Bool(_)) => ("boolValue", value.clone()),
            (None, Value::String(_)) => ("stringValue", value.clone()),
            (None, Value::Number(_)) => ("doubleValue", value.clone()),
            (None, value) => ("objectValue", value.clone()),
        };
        out.insert(name.into(), value);
    }
    out.insert("reason".into(), answer.reason.clone().into());
    if let Some(variant) = &answer.variant {
        out.insert("variant".into(), variant.clone().into());
    }
    out.insert("metadata".into(), Value::Object(answer.metadata.clone()));
    Value::Object(out)
}

/// An event of the stream.
pub fn event_json(kind: &str, data: &Map<String, Value>) -> Value {
    json!({"type": kind, "data": data})
}

/// An error.
pub fn error_json(status: Status, message: &str) -> Value {
    json!({"code": status.word(), "message": message})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read() {
        let read = request_from_json(br#"{"flagKey": "f", "context": {"a": 1}}"#).unwrap();
        assert_eq!((read.flag_key.as_str(), Value::Object(read.context)), ("f", json!({"a": 1})));
        assert_eq!(request_from_json(br#"{"flag_key": "f"}"#).unwrap().flag_key, "f");
        for wrong in [&b"{"[..], b"[]", br#"{"flagKey": 1}"#, br#"{"context": []}"#] {
            assert!(request_from_json(wrong).is_err());
        }
    }

    #[test]
    fn answers_are_written_as_protobuf_has_them() {
        let answer =
            Answer { value: Some(json!(7)), reason: "STATIC".into(), variant: Some("on".into()), metadata: Map::new() };
        let written = answer_json(&answer, Some(AnswerKind::Int));
        assert_eq!(written, json!({"value": "7", "reason": "STATIC", "variant": "on", "metadata": {}}));
        assert_eq!(answer_json(&answer, None)["doubleValue"], 7);
        let absent = answer_json(&Answer { value: None, variant: None, ..answer }, Some(AnswerKind::Int));
        assert_eq!(absent, json!({"reason": "STATIC", "metadata": {}}));
    }
}
