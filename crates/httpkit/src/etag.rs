//! Conditional answers: an entity tag over the body, and 304 to whoever has it already.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

/// The tag of a body.
pub fn of(body: &[u8]) -> String {
    format!("\"{}\"", &blake3::hash(body).to_hex()[..20])
}

/// JSON with its tag, or 304 when the client's `If-None-Match` names it.
pub fn json(request: &HeaderMap, tag: &str, body: Bytes) -> Response {
    let mut response = if matches(request, tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, "application/json")], body).into_response()
    };
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

/// Whether the client has it.
pub fn matches(request: &HeaderMap, tag: &str) -> bool {
    request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .map(|v| v.trim().trim_start_matches("W/"))
        .any(|v| v == "*" || v.trim_matches('"') == tag.trim_start_matches("W/").trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_tag_is_not_sent_again() {
        for (sent, status) in [
            ("\"a\"", StatusCode::NOT_MODIFIED),
            ("W/\"a\"", StatusCode::NOT_MODIFIED),
            ("\"x\", \"a\"", StatusCode::NOT_MODIFIED),
            ("*", StatusCode::NOT_MODIFIED),
            ("\"b\"", StatusCode::OK),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, sent.parse().unwrap());
            let response = json(&headers, "\"a\"", Bytes::from_static(b"{}"));
            assert_eq!(response.status(), status, "{sent}");
            assert_eq!(response.headers()[header::ETAG], "\"a\"");
        }
        assert_ne!(of(b"a"), of(b"b"));
    }
}
