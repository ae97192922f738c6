//! Large answers go out in gzip to whoever takes that, small ones as they are.

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use tenfold_tsdb::Sample;
use tenfold_types::Labels;
use tower::ServiceExt;

use super::{Asker, T, encoded};

/// The answer to somebody who takes an encoding: its headers, and its bytes as they were sent.
async fn sent(asker: &Asker, path: &str, pairs: &[(&str, &str)], taken: &str) -> (HeaderMap, Bytes) {
    let request = Request::get(format!("{path}?{}", encoded(pairs)))
        .header(header::AUTHORIZATION, &asker.token)
        .header(header::ACCEPT_ENCODING, taken)
        .body(Body::empty())
        .expect("a request");
    let response = asker.world.router.clone().oneshot(request).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    let headers = response.headers().clone();
    (headers, to_bytes(response.into_body(), 1 << 20).await.expect("a body that ends"))
}

#[tokio::test]
async fn large_answers_are_packed() {
    let asker = Asker::new().await;
    let sample = |n: i32, t_ms: i64| {
        let instance = format!("10.0.0.{n}:9100");
        Sample::new(Labels::from_pairs([("__name__", "wide"), ("instance", instance.as_str())]), t_ms, 1.0)
    };
    // What is federated is of now, by the clock of the test.
    for t_ms in [asker.world.app.now().millis() - 30_000, T] {
        let samples: Vec<Sample> = (0..300).map(|n| sample(n, t_ms)).collect();
        assert_eq!(asker.world.app.metrics.append(&samples).expect("samples are taken").appended, 300);
    }
    let query = [("query", "wide"), ("time", "1800000000")];
    let range = [("query", "wide"), ("start", "1800000000"), ("end", "1800000060"), ("step", "15")];
    let matching = [("match[]", "wide")];
    for (path, pairs) in [
        ("/api/v1/query", &query[..]),
        ("/api/v1/query_range", &range[..]),
        ("/api/v1/series", &matching[..]),
        ("/federate", &matching[..]),
    ] {
        let (plain_headers, plain) = sent(&asker, path, pairs, "identity").await;
        assert!(plain.len() > 8 * 1024 && !plain_headers.contains_key(header::CONTENT_ENCODING), "{path}");
        let (headers, packed) = sent(&asker, path, pairs, "gzip").await;
        assert_eq!(headers[header::CONTENT_ENCODING], "gzip", "{path}");
        assert_eq!(headers[header::CONTENT_TYPE], plain_headers[header::CONTENT_TYPE], "{path}");
        assert!(packed.len() * 3 < plain.len(), "{path}: {} of {}", packed.len(), plain.len());
        assert_eq!(tenfold_protocols::inflate::gunzip(&packed, 1 << 20).expect("gzip"), plain, "{path}");
    }
    let (headers, small) = sent(&asker, "/api/v1/query", &[("query", "1"), ("time", "1800000000")], "gzip").await;
    assert!(!headers.contains_key(header::CONTENT_ENCODING) && small.starts_with(b"{"), "{headers:?}");
}
