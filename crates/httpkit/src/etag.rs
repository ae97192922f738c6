//! Conditional answers: an entity tag over the body, and 304 to whoever has it already; bodies that are kept go out
//! compressed to whoever takes that.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tenfold_protocols::body::Body;

/// Above this many bytes compressing is worth a thread of its own.
const COMPRESS_INLINE_BYTES_MAX: usize = 128 * 1024;

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

/// A kept body with its tag: 304 when the client has it, compressed when the client takes that.
///
/// `holder` keeps the body; it is compressed once, off the threads that serve when it is large. The tag of a compressed
/// body is weak, since its bytes are others than those of the plain one.
pub async fn kept<T: Send + Sync + 'static>(
    request: &HeaderMap,
    tag: &str,
    holder: Arc<T>,
    body: fn(&T) -> &Body,
) -> Response {
    if matches(request, tag) || !takes_gzip(request) {
        let plain = body(&holder).plain().clone();
        return with_vary(json(request, tag, plain));
    }
    let now = body(&holder);
    if !now.is_compressed() && now.plain().len() > COMPRESS_INLINE_BYTES_MAX {
        let holder = holder.clone();
        // What was not compressed there is compressed here below.
        let _ = tokio::task::spawn_blocking(move || body(&holder).gzip().is_some()).await;
    }
    let Some(compressed) = now.gzip() else { return with_vary(json(request, tag, now.plain().clone())) };
    let mut response = json(request, &format!("W/{tag}"), compressed.clone());
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    with_vary(response)
}

fn with_vary(mut response: Response) -> Response {
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

/// `gzip` or `*`, unless with a weight of zero.
pub(crate) fn takes_gzip(request: &HeaderMap) -> bool {
    let values = request.get_all(header::ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok());
    let mut offers = values.flat_map(|v| v.split(',')).map(|offer| {
        let mut parts = offer.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let refused = parts.filter_map(|p| p.strip_prefix("q=")).any(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0));
        (name, refused)
    });
    offers.any(|(name, refused)| !refused && (name.eq_ignore_ascii_case("gzip") || name == "*"))
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

    #[test]
    fn gzip_is_sent_to_whom_takes_it() {
        for (sent, takes) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("*", true),
            ("br", false),
            ("gzip;q=0, br", false),
            ("identity", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, sent.parse().unwrap());
            assert_eq!(takes_gzip(&headers), takes, "{sent}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
