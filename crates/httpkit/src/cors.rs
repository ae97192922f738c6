//! Lets pages of other origins use the flag endpoints for browsers, and those of origins that are named the Prometheus API.
//! These take a token in a header and never a cookie, so no page can act for a person who is signed in here.

use std::future::Future;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Paths that pages of any origin may ask.
const OPEN: [&str; 2] = ["/ofrep/v1/", "/api/frontend"];

/// Answers the browser's question before a request, and marks the answer as readable.
pub(crate) async fn flag_endpoints<F: Future<Output = Response>>(
    mut request: Request,
    routes: impl FnOnce(Request) -> F,
) -> Response {
    let path = request.uri().path();
    let open = OPEN.iter().any(|prefix| path.starts_with(prefix));
    if !open || !request.headers().contains_key(header::ORIGIN) {
        return routes(request).await;
    }
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        request.headers_mut().remove(header::COOKIE);
        routes(request).await
    };
    allow(response.headers_mut());
    response
}

/// Paths that pages of origins that are named may ask.
const NAMED: &str = "/api/v1/";

/// The origin of a page that may ask, as it is told.
pub struct Named(HeaderValue);

impl Named {
    /// Nothing where the page's origin is not among `origins`, of which `*` is any, or where it asks for something else.
    pub fn of(origins: &[String], request: &Request) -> Option<Self> {
        if origins.is_empty() || !request.uri().path().starts_with(NAMED) {
            return None;
        }
        let origin = request.headers().get(header::ORIGIN)?;
        if origins.iter().any(|named| named == "*") {
            return Some(Self(HeaderValue::from_static("*")));
        }
        origins.iter().any(|named| named.as_bytes() == origin.as_bytes()).then(|| Self(origin.clone()))
    }

    /// Marks the answer as readable for the page. That cookies may be sent is not said: browsers leave them out.
    pub fn allow(self, headers: &mut HeaderMap) {
        allow(headers);
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.0);
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
}

fn allow(headers: &mut HeaderMap) {
    const VALUES: [(header::HeaderName, &str); 5] = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "*, Authorization"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "ETag, Retry-After"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    for (name, value) in VALUES {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
