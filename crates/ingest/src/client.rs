//! HTTP for scraping and for lists of targets: authentication, TLS and redirects as a job says, bodies within a cap.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tenfold_app::metrics::NoPage;
use tenfold_httpkit::body::{BodyError, whole};
use tenfold_httpkit::outgoing::{self, Elsewhere, Redirects, plain};
use tenfold_protocols::exposition::Format;
use tenfold_protocols::inflate::{InflateError, gunzip};
use tenfold_scrape::{HttpClient, Protocol};

/// Largest metrics page unless the job says otherwise, in bytes.
const PAGE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// What a job may raise that to.
const PAGE_BYTES_MOST: u64 = 256 * 1024 * 1024;

/// Letters of a `Content-Type` that an error repeats.
const KIND_CHARS_MAX: usize = 100;

/// How a page is read: as its `Content-Type` says, else as its job says. The errors are Prometheus' (`extractMediaType` of its
/// `textparse`), with what to do. On an empty page there is nothing to read.
fn format_of(kind: &str, fallback: Option<Protocol>, is_empty: bool) -> Result<Format, String> {
    if let Some(format) = Format::from_content_type(kind) {
        return Ok(format);
    }
    match fallback {
        Some(Protocol::PrometheusProto) => Ok(Format::Protobuf),
        Some(Protocol::OpenMetrics1_0_0 | Protocol::OpenMetrics0_0_1) => Ok(Format::OpenMetrics),
        Some(Protocol::PrometheusText1_0_0 | Protocol::PrometheusText0_0_4) => Ok(Format::Prometheus),
        None if is_empty => Ok(Format::Prometheus),
        None => {
            let sent = if kind.trim().is_empty() {
                "non-compliant scrape target sending blank Content-Type".to_owned()
            } else {
                let shown: String = kind.chars().take(KIND_CHARS_MAX).collect();
                format!("received unsupported Content-Type \"{shown}\"")
            };
            Err(format!(
                "{sent} and no fallback_scrape_protocol specified for target; if it is a page of metrics, write \
                 `fallback_scrape_protocol: PrometheusText0.0.4` at its job"
            ))
        }
    }
}

/// A job's client.
pub(crate) struct Client(outgoing::Client);

/// How a page is asked for.
pub(crate) struct Asking<'a> {
    pub accept: &'a str,
    pub timeout_ms: u64,
    pub compressed: bool,
    /// 0 for the usual one.
    pub bytes_max: u64,
    pub fallback: Option<Protocol>,
}

impl Client {
    pub(crate) fn new(config: &HttpClient) -> Self {
        // Who writes the server's configuration files may have any file read.
        Self(outgoing::Client::new(config, Arc::default(), Redirects::All))
    }

    /// One that asks other machines alone: for what an agent elsewhere names.
    pub(crate) fn elsewhere(config: &HttpClient) -> Self {
        Self(outgoing::Client::new(config, Arc::default(), Redirects::All).elsewhere(Elsewhere::default()))
    }

    /// A target's metrics page.
    pub(crate) async fn page(&self, url: &str, asking: &Asking<'_>) -> Result<(Bytes, Format), NoPage> {
        let seconds = asking.timeout_ms as f64 / 1_000.0;
        let headers = vec![
            ("accept", asking.accept.to_owned()),
            ("x-prometheus-scrape-timeout-seconds", seconds.to_string()),
            ("accept-encoding", if asking.compressed { "gzip" } else { "identity" }.to_owned()),
        ];
        let bytes_max = match asking.bytes_max {
            0 => PAGE_BYTES_MAX,
            max => max.min(PAGE_BYTES_MOST),
        };
        let within = Duration::from_millis(asking.timeout_ms);
        let get = self.get(url, headers, bytes_max as usize, "page");
        let (kind, body) =
            tokio::time::timeout(within, get).await.map_err(|_| "the target did not answer in time".to_owned())??;
        match format_of(&kind, asking.fallback, body.is_empty()) {
            Ok(format) => Ok((body, format)),
            // As in Prometheus, which reads the page before it asks what it is.
            Err(reason) => Err(NoPage { reason, body_bytes: body.len() }),
        }
    }

    /// A list of targets in JSON.
    pub(crate) async fn list(&self, url: &str, refresh_ms: u64, bytes_max: usize) -> Result<Bytes, String> {
        const WITHIN: Duration = Duration::from_secs(30);
        let headers = vec![
            ("accept", "application/json".to_owned()),
            ("x-prometheus-refresh-interval-seconds", (refresh_ms as f64 / 1_000.0).to_string()),
        ];
        let get = self.get(url, headers, bytes_max, "list");
        let (kind, body) = tokio::time::timeout(WITHIN, get).await.map_err(|_| "it did not answer in time")??;
        let media = kind.split(';').next().unwrap_or_default().trim();
        if !media.eq_ignore_ascii_case("application/json") {
            return Err(format!("the answer is `{media}`, not application/json"));
        }
        Ok(body)
    }

    /// The content type and the body of an answer that is the page.
    async fn get(
        &self,
        url: &str,
        headers: Vec<(&'static str, String)>,
        bytes_max: usize,
        what: &str,
    ) -> Result<(String, Bytes), String> {
        let http = self.0.http().await?;
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let value = HeaderValue::from_str(&value).map_err(|_| format!("{name} cannot be sent as a header"))?;
            map.insert(HeaderName::from_static(name), value);
        }
        self.0.headers(&mut map).await?;
        let response = http.send(http.usual.get(url).headers(map)).await?;
        self.0.answered(response.status()).await;
        // As in Prometheus: no other answer promises a page, and one without content is no page without samples.
        if response.status() != reqwest::StatusCode::OK {
            return Err(format!("the target answered {}", response.status()));
        }
        let header =
            |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let (kind, encoding) = (header("content-type"), header("content-encoding"));
        let too_large = || format!("the {what} is larger than {bytes_max} bytes");
        let body = whole(response.bytes_stream(), bytes_max).await.map_err(|e| match e {
            BodyError::Broken(e) => plain(&e),
            BodyError::TooLarge => too_large(),
        })?;
        let body = match encoding.trim().to_ascii_lowercase().as_str() {
            // Megabytes of text: not on a thread that waits for the network.
            "gzip" | "x-gzip" => {
                let unpacked = tokio::task::spawn_blocking(move || gunzip(&body, bytes_max)).await;
                unpacked.map_err(|e| e.to_string())?.map_err(|e| match e {
                    InflateError::TooLarge { .. } => too_large(),
                    InflateError::Broken(_) | InflateError::BrokenZstd(_) | InflateError::TooManyFrames => {
                        e.to_string()
                    }
                })?
            }
            other @ ("br" | "compress" | "deflate" | "zstd") => {
                return Err(format!("the {what} came in `{other}`, which was not asked for"));
            }
            // Many a server names the letters of the page here; as in Prometheus it is read as it is.
            _ => body,
        };
        Ok((kind, body.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_what_it_is_or_its_job_does() {
        let text = Some(Protocol::PrometheusText0_0_4);
        for (kind, fallback, is_empty, wanted) in [
            ("text/plain", None, false, Some(Format::Prometheus)),
            ("application/openmetrics-text; version=1.0.0", text, false, Some(Format::OpenMetrics)),
            ("", None, false, None),
            (" ", None, false, None),
            ("text/html", None, false, None),
            ("application/octet-stream", None, false, None),
            ("", None, true, Some(Format::Prometheus)),
            ("text/html", None, true, Some(Format::Prometheus)),
            ("", text, false, Some(Format::Prometheus)),
            ("text/html", Some(Protocol::PrometheusText1_0_0), false, Some(Format::Prometheus)),
            ("text/html", Some(Protocol::OpenMetrics0_0_1), false, Some(Format::OpenMetrics)),
            ("", Some(Protocol::OpenMetrics1_0_0), false, Some(Format::OpenMetrics)),
            ("", Some(Protocol::PrometheusProto), false, Some(Format::Protobuf)),
        ] {
            assert_eq!(format_of(kind, fallback, is_empty).ok(), wanted, "{kind}, {fallback:?}, {is_empty}");
        }
        let error = format_of(&"x".repeat(KIND_CHARS_MAX * 2), None, false).expect_err("it is no page");
        assert!(error.contains(&format!("\"{}\"", "x".repeat(KIND_CHARS_MAX))), "{error}");
    }
}
