//! Answers: what was rejected, or why nothing could be taken.

use prost::Message;
use serde_json::{Value, json};

#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_data_points: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// Everything was taken, or all but `rejected`.
pub fn answer_proto(rejected: usize, message: &str) -> Vec<u8> {
    let partial = PartialSuccess { rejected_data_points: rejected as i64, error_message: message.to_owned() };
    Response { partial_success: (rejected > 0).then_some(partial) }.encode_to_vec()
}

pub fn answer_json(rejected: usize, message: &str) -> Value {
    if rejected == 0 {
        return json!({});
    }
    json!({"partialSuccess": {"rejectedDataPoints": rejected.to_string(), "errorMessage": message}})
}

/// The body of an answer that is an error; `code` is gRPC's.
pub fn status_proto(code: u8, message: &str) -> Vec<u8> {
    Status { code: code.into(), message: message.to_owned() }.encode_to_vec()
}

pub fn status_json(code: u8, message: &str) -> Value {
    json!({"code": code, "message": message})
}
