//! Answers that are made for one request alone, in gzip for whoever takes that. (What is kept and handed out often is in
//! [`crate::etag::kept`].)

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tenfold_protocols::inflate::gzip_quickly;

use crate::etag::takes_gzip;

/// A smaller answer goes out as it is: packing it would take longer than sending it.
const BYTES_MIN: u64 = 8 * 1024;
/// A larger one is packed off the threads that serve.
const INLINE_BYTES_MAX: usize = 64 * 1024;

/// Packs answers that lie in memory as a whole; streams stay as they are. A layer, by `axum::middleware::from_fn`.
pub async fn pack(request: Request, next: Next) -> Response {
    let takes = takes_gzip(request.headers());
    let mut response = next.run(request).await;
    let bytes = response.body().size_hint().exact().unwrap_or(0);
    if bytes < BYTES_MIN || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if takes { packed(response).await } else { response }
}

async fn packed(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(plain) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let small = if plain.len() <= INLINE_BYTES_MAX {
        gzip_quickly(&plain)
    } else {
        let plain = plain.clone();
        // What was not packed there goes out as it is.
        tokio::task::spawn_blocking(move || gzip_quickly(&plain)).await.unwrap_or_default()
    };
    if small.is_empty() {
        return Response::from_parts(parts, Body::from(plain));
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Response::from_parts(parts, Body::from(small))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tenfold_protocols::inflate::gunzip;
    use tower::ServiceExt;

    use super::*;

    /// What is sent of a text to somebody who takes that: the headers, and the bytes.
    async fn sent(text: &str, taken: &str, encoded: bool) -> (axum::http::HeaderMap, Vec<u8>) {
        let text = text.to_owned();
        let answer = move || async move {
            let mut response = text.into_response();
            if encoded {
                response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
            }
            response
        };
        let routes = Router::new().route("/", get(answer).layer(from_fn(pack)));
        let request = Request::get("/").header(header::ACCEPT_ENCODING, taken).body(Body::empty()).unwrap();
        let response = routes.oneshot(request).await.unwrap();
        let headers = response.headers().clone();
        (headers, to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec())
    }

    #[tokio::test]
    async fn large_answers_are_packed_for_whom_takes_that() {
        for bytes in [9_000, 64 * 1024, 300_000] {
            let text = "[1795424000,\"1\"],".repeat(bytes / 17 + 1);
            let (headers, body) = sent(&text, "gzip, br", false).await;
            assert_eq!(headers[header::CONTENT_ENCODING], "gzip");
            let length = body.len().to_string();
            assert!(headers.get(header::CONTENT_LENGTH).is_none_or(|told| *told == length.as_str()), "{headers:?}");
            assert!(body.len() * 5 < text.len(), "{} of {}", body.len(), text.len());
            assert_eq!(gunzip(&body, text.len()).unwrap(), text.as_bytes());
            let (headers, body) = sent(&text, "br", false).await;
            assert_eq!((headers.get(header::CONTENT_ENCODING), body.as_slice()), (None, text.as_bytes()));
            assert_eq!(headers[header::VARY], "Accept-Encoding", "caches are told in either case");
        }
    }

    #[tokio::test]
    async fn small_answers_and_packed_ones_stay_as_they_are() {
        let text = "x".repeat(BYTES_MIN as usize - 1);
        let (headers, body) = sent(&text, "gzip", false).await;
        assert_eq!((headers.get(header::CONTENT_ENCODING), body.as_slice()), (None, text.as_bytes()));
        assert!(!headers.contains_key(header::VARY));
        let text = text.repeat(2);
        let (headers, body) = sent(&text, "gzip", true).await;
        assert_eq!(
            (&headers[header::CONTENT_ENCODING], body.as_slice()),
            (&HeaderValue::from_static("br"), text.as_bytes())
        );
    }
}
