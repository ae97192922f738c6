//! What stands before all routes: headers that every answer carries, and what pages of other origins may ask.
//!
//! Plain functions around the routes and no layers of their own: those are boxed and cloned for each request.

use std::future::Future;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;

use crate::cors;

const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const CSP: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                   object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Answers through `routes`.
pub async fn answer<F: Future<Output = Response>>(request: Request, routes: impl FnOnce(Request) -> F) -> Response {
    let api = request.uri().path().starts_with("/api");
    let mut response = cors::flag_endpoints(request, routes).await;
    secure(response.headers_mut(), api);
    response
}

/// Headers against framing, sniffing and foreign scripts on every answer.
fn secure(headers: &mut HeaderMap, api: bool) {
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CSP));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(OPENER, HeaderValue::from_static("same-origin"));
    if api {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
}
