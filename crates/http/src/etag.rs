//! Conditional answers out of bodies that are kept, compressed for whoever takes that.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use tenfold_app::flags::Body;
pub(crate) use tenfold_httpkit::etag::{json, matches, of};

/// Above this many bytes compressing is worth a thread of its own.
const COMPRESS_INLINE_BYTES_MAX: usize = 128 * 1024;

/// A kept body with its tag: 304 when the client has it, compressed when the client takes that.
///
/// `holder` keeps the body; it is compressed once, off the threads that serve when it is large. The tag of a compressed
/// body is weak, since its bytes are others than those of the plain one.
pub(crate) async fn kept<T: Send + Sync + 'static>(
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
fn takes_gzip(request: &HeaderMap) -> bool {
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
