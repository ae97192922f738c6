//! The messages as protobuf.

use std::collections::BTreeMap;

use prost::Message;
use prost_types::Struct;
use serde_json::{Map, Value};

use super::structs::{from_struct, to_struct};
use super::{Answer, Request};

#[derive(Clone, PartialEq, Message)]
struct ResolveRequest {
    #[prost(string, tag = "1")]
    flag_key: String,
    #[prost(message, optional, tag = "2")]
    context: Option<Struct>,
}

#[derive(Clone, PartialEq, Message)]
struct ResolveAllRequest {
    #[prost(message, optional, tag = "1")]
    context: Option<Struct>,
}

/// The responses differ in the type of their value only.
macro_rules! response {
    ($name:ident, $kind:ident, $type:ty) => {
        #[derive(Clone, PartialEq, Message)]
        struct $name {
            #[prost($kind, optional, tag = "1")]
            value: Option<$type>,
            #[prost(string, tag = "2")]
            reason: String,
            #[prost(string, optional, tag = "3")]
            variant: Option<String>,
            #[prost(message, optional, tag = "4")]
            metadata: Option<Struct>,
        }
    };
}

response!(BooleanResponse, bool, bool);
response!(StringResponse, string, String);
response!(FloatResponse, double, f64);
response!(IntResponse, int64, i64);
response!(ObjectResponse, message, Struct);

#[derive(Clone, PartialEq, Message)]
struct ResolveAllResponse {
    #[prost(btree_map = "string, message", tag = "1")]
    flags: BTreeMap<String, AnyFlag>,
    #[prost(message, optional, tag = "2")]
    metadata: Option<Struct>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyFlag {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, optional, tag = "2")]
    variant: Option<String>,
    #[prost(oneof = "AnyValue", tags = "3, 4, 5, 6")]
    value: Option<AnyValue>,
    #[prost(message, optional, tag = "7")]
    metadata: Option<Struct>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum AnyValue {
    #[prost(bool, tag = "3")]
    Bool(bool),
    #[prost(string, tag = "4")]
    String(String),
    #[prost(double, tag = "5")]
    Double(f64),
    #[prost(message, tag = "6")]
    Object(Struct),
}

#[derive(Clone, PartialEq, Message)]
struct EventStreamResponse {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(message, optional, tag = "2")]
    data: Option<Struct>,
}

/// Which type a caller asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    Boolean,
    String,
    Int,
    Float,
    Object,
}

impl AnswerKind {
    /// By the name of the method.
    pub fn of_method(method: &str) -> Option<Self> {
        Some(match method {
            "ResolveBoolean" => Self::Boolean,
            "ResolveString" => Self::String,
            "ResolveInt" => Self::Int,
            "ResolveFloat" => Self::Float,
            "ResolveObject" => Self::Object,
            _ => return None,
        })
    }

    /// The value in this type; `None` when it is of another. Numbers may change between whole and floating while nothing
    /// is lost.
    pub fn conform(self, value: &Value) -> Option<Value> {
        match (self, value) {
            (Self::Boolean, Value::Bool(_)) | (Self::String, Value::String(_)) | (Self::Object, Value::Object(_)) => {
                Some(value.clone())
            }
            (Self::Float, Value::Number(n)) => n.as_f64().map(Value::from),
            (Self::Int, Value::Number(n)) => {
                let whole = |f: f64| (f.fract() == 0.0 && f.abs() < 9.2e18).then_some(f as i64);
                n.as_i64().or_else(|| n.as_f64().and_then(whole)).map(Value::from)
            }
            _ => None,
        }
    }
}

/// Reads a request; `all` for the one without a key.
pub fn request_from_proto(bytes: &[u8], all: bool) -> Result<Request, String> {
    let wrong = |e: prost::DecodeError| format!("the message cannot be read: {e}");
    let (flag_key, context) = if all {
        (String::new(), ResolveAllRequest::decode(bytes).map_err(wrong)?.context)
    } else {
        let request = ResolveRequest::decode(bytes).map_err(wrong)?;
        (request.flag_key, request.context)
    };
    Ok(Request { flag_key, context: context.map(from_struct).unwrap_or_default() })
}

fn metadata(answer: &Answer) -> Option<Struct> {
    (!answer.metadata.is_empty()).then(|| to_struct(&answer.metadata))
}

/// One answer. Its value is of `kind` already; one of another type is left out.
pub fn answer_proto(answer: &Answer, kind: AnswerKind) -> Vec<u8> {
    let value = answer.value.as_ref();
    let (reason, variant, metadata) = (answer.reason.clone(), answer.variant.clone(), metadata(answer));
    match kind {
        AnswerKind::Boolean => {
            BooleanResponse { value: value.and_then(Value::as_bool), reason, variant, metadata }.encode_to_vec()
        }
        AnswerKind::String => {
            let value = value.and_then(Value::as_str).map(str::to_owned);
            StringResponse { value, reason, variant, metadata }.encode_to_vec()
        }
        AnswerKind::Int => {
            IntResponse { value: value.and_then(Value::as_i64), reason, variant, metadata }.encode_to_vec()
        }
        AnswerKind::Float => {
            FloatResponse { value: value.and_then(Value::as_f64), reason, variant, metadata }.encode_to_vec()
        }
        AnswerKind::Object => {
            let value = value.and_then(Value::as_object).map(to_struct);
            ObjectResponse { value, reason, variant, metadata }.encode_to_vec()
        }
    }
}

/// Answers to all flags.
pub fn answers_proto(answers: &[(String, Answer)], set: &Map<String, Value>) -> Vec<u8> {
    let any = |answer: &Answer| AnyFlag {
        reason: answer.reason.clone(),
        variant: answer.variant.clone(),
        value: answer.value.as_ref().and_then(|value| match value {
            Value::Bool(b) => Some(AnyValue::Bool(*b)),
            Value::String(s) => Some(AnyValue::String(s.clone())),
            Value::Number(n) => n.as_f64().map(AnyValue::Double),
            Value::Object(map) => Some(AnyValue::Object(to_struct(map))),
            Value::Null | Value::Array(_) => None,
        }),
        metadata: metadata(answer),
    };
    let flags = answers.iter().map(|(key, answer)| (key.clone(), any(answer))).collect();
    ResolveAllResponse { flags, metadata: Some(to_struct(set)) }.encode_to_vec()
}

/// An event of the stream.
pub fn event_proto(kind: &str, data: &Map<String, Value>) -> Vec<u8> {
    let data = (!data.is_empty()).then(|| to_struct(data));
    EventStreamResponse { kind: kind.to_owned(), data }.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_change_their_type_only_without_loss() {
        for (kind, value, wanted) in [
            (AnswerKind::Int, json!(1.0), Some(json!(1))),
            (AnswerKind::Int, json!(0.5), None),
            (AnswerKind::Int, json!(1e300), None),
            (AnswerKind::Float, json!(1), Some(json!(1.0))),
            (AnswerKind::Boolean, json!(1), None),
            (AnswerKind::String, json!("a"), Some(json!("a"))),
            (AnswerKind::Object, json!([1]), None),
        ] {
            assert_eq!(kind.conform(&value), wanted, "{kind:?} {value}");
        }
    }

    /// Bytes written out by hand from the protobuf encoding's own rules.
    #[test]
    fn a_zero_is_said_and_an_absent_value_is_not() {
        let answer = |value| Answer { value, reason: "STATIC".into(), ..Answer::default() };
        let off = answer_proto(&answer(Some(json!(false))), AnswerKind::Boolean);
        assert_eq!(off, b"\x08\x00\x12\x06STATIC");
        assert_eq!(answer_proto(&answer(None), AnswerKind::Boolean), b"\x12\x06STATIC");
        assert_eq!(answer_proto(&answer(Some(json!(-1))), AnswerKind::Int)[..2], [0x08, 0xff]);
        let text = Answer { value: Some(json!("a")), variant: Some("v".into()), ..answer(None) };
        assert_eq!(answer_proto(&text, AnswerKind::String), b"\x0a\x01a\x12\x06STATIC\x1a\x01v");
    }

    #[test]
    fn requests_are_read() {
        // flag_key "f", context {"k": "v"}
        let bytes = b"\x0a\x01f\x12\x0a\x0a\x08\x0a\x01k\x12\x03\x1a\x01v";
        let read = request_from_proto(bytes, false).unwrap();
        assert_eq!((read.flag_key.as_str(), Value::Object(read.context)), ("f", json!({"k": "v"})));
        assert_eq!(request_from_proto(b"", false), Ok(Request::default()));
        assert!(request_from_proto(b"\x0a\xff", false).is_err());
        // A message nested without end is refused, not followed.
        let mut deep = Vec::new();
        for _ in 0..200 {
            let mut outer = vec![0x0a];
            prost::encoding::encode_varint(deep.len() as u64, &mut outer);
            outer.extend(deep);
            deep = outer;
        }
        let _ = request_from_proto(&deep, true);
    }
}
