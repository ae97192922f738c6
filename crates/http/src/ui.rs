//! The pages, embedded at build time from `web/dist`. Without them one page tells how to build them.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use tenfold_types::{ErrorCode, Fault};

use crate::ApiError;

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>tenfold</title>\
<h1>The pages are not built</h1><p>This server was compiled without them. In the repository run</p>\
<pre>make web &amp;&amp; cargo build</pre><p>and start it again. The API works without the pages: \
<a href=\"/api/openapi.json\">/api/openapi.json</a>.</p></html>";

/// Everything that is not API: a file of the pages, or the shell that shows the page named by the address.
pub async fn serve(request: Request) -> Response {
    let path = request.uri().path();
    if let Some(single) = with_single_slashes(path) {
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        return Redirect::temporary(&format!("{single}{query}")).into_response();
    }
    if is_api(path) {
        return ApiError(Fault::not_found(format!("there is nothing at {path}")).advice("see /api/openapi.json"))
            .into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return ApiError(Fault::new(ErrorCode::MethodNotAllowed, "pages are only read")).into_response();
    }
    let name = path.trim_start_matches('/');
    match find(name) {
        Some(bytes) => asset(name, bytes, request.headers()),
        None if name.starts_with("assets/") => {
            ApiError(Fault::not_found("this file belongs to another version of the pages").advice("reload the page"))
                .into_response()
        }
        None => match find("index.html") {
            Some(bytes) => asset("index.html", bytes, request.headers()),
            None => Html(NOT_BUILT).into_response(),
        },
    }
}

fn is_api(path: &str) -> bool {
    // Grafana takes a server that answers below `/alertmanager/` for Mimir's.
    ["/api/", "/ofrep/", "/agent/", "/metrics", "/alertmanager/"].iter().any(|p| path.starts_with(p))
}

/// Clients that put `/api/v1/query` behind an address that ends with a slash are led to it, as Prometheus does; a page would be
/// an answer that they cannot read.
fn with_single_slashes(path: &str) -> Option<String> {
    if !path.contains("//") {
        return None;
    }
    let mut single = String::with_capacity(path.len());
    for part in path.split('/').filter(|part| !part.is_empty()) {
        single.push('/');
        single.push_str(part);
    }
    let leads = is_api(&single) || single == "/federate" || single.starts_with("/-/");
    leads.then_some(single)
}

fn find(name: &str) -> Option<&'static [u8]> {
    ASSETS.binary_search_by(|(n, _)| (*n).cmp(name)).ok().map(|i| ASSETS[i].1)
}

fn asset(name: &str, bytes: &'static [u8], headers: &HeaderMap) -> Response {
    let accepts_gzip =
        headers.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains("gzip"));
    let packed = if accepts_gzip { find(&format!("{name}.gz")) } else { None };
    let mut response = packed.unwrap_or(bytes).into_response();
    let mime = mime_guess::from_path(name).first_or_octet_stream();
    let out = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(mime.essence_str()) {
        let text = mime.type_() == "text" || mime.essence_str() == "application/javascript";
        let value = if text {
            HeaderValue::from_str(&format!("{}; charset=utf-8", mime.essence_str())).unwrap_or(value)
        } else {
            value
        };
        out.insert(header::CONTENT_TYPE, value);
    }
    if packed.is_some() {
        out.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    out.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    // Names under assets/ carry a hash of their content; everything else is asked for again.
    let caching = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    response
}
