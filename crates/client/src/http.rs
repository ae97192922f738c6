//! Asking the server: definitions, the stream, sending counts. Each call ends within its limits, or when it is shut down.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tenfold_types::retry_after_ms;
use ureq::http::{HeaderMap, HeaderValue, StatusCode, header};
use ureq::{Agent, Body, RequestBuilder};

use crate::builder::{Options, StartError};
use crate::client::now;
use crate::pace::Failure;
use crate::state_file::BYTES_MAX;

const CONNECT_MAX: Duration = Duration::from_secs(5);
/// As the Unleash protocol has it: which version of the semantics this client follows.
const CLIENT_SPEC: &str = "5.2.0";

/// A call that did not work, and what to tell about it.
#[derive(Debug)]
pub(crate) struct Unanswered {
    pub(crate) failure: Failure,
    pub(crate) status: Option<u16>,
    pub(crate) reason: String,
}

pub(crate) enum Definitions {
    Unchanged,
    Body { etag: Option<String>, bytes: Vec<u8> },
}

#[derive(Clone)]
pub(crate) struct Server {
    agent: Agent,
    base: Arc<str>,
    headers: Arc<HeaderMap>,
    answer_max: Duration,
    idle_max: Duration,
}

impl Server {
    pub(crate) fn new(options: &Options, instance: &str) -> Result<Self, StartError> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_MAX))
            .timeout_resolve(Some(CONNECT_MAX))
            .user_agent(concat!("tenfold-client/", env!("CARGO_PKG_VERSION")));
        #[cfg(feature = "tls")]
        let config = if options.url.starts_with("https:") { config.tls_config(tls()?) } else { config };
        let mut headers = HeaderMap::new();
        let mut set = |name: &'static str, value: &str| {
            let value = HeaderValue::from_str(value).map_err(|_| StartError::Header(name))?;
            headers.insert(name, value);
            Ok(())
        };
        set("authorization", &options.token)?;
        set("unleash-appname", &options.app_name)?;
        set("unleash-instanceid", instance)?;
        set("unleash-sdk", concat!("tenfold-client:", env!("CARGO_PKG_VERSION")))?;
        set("unleash-client-spec", CLIENT_SPEC)?;
        Ok(Self {
            agent: config.build().new_agent(),
            base: options.url.trim_end_matches('/').into(),
            headers: Arc::new(headers),
            answer_max: options.answer_max,
            idle_max: options.idle_max,
        })
    }

    /// Ends every call that is under way, on whatever thread; later calls fail at once.
    pub(crate) fn shut_down(&self) {
        self.agent.clone().shutdown();
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn with_headers<B>(&self, mut request: RequestBuilder<B>) -> RequestBuilder<B> {
        for (name, value) in self.headers.iter() {
            request = request.header(name, value);
        }
        request
    }

    pub(crate) fn definitions(&self, etag: Option<&str>) -> Result<Definitions, Unanswered> {
        let request = self.with_headers(self.agent.get(self.url("/api/client/features")));
        let request = request.config().timeout_global(Some(self.answer_max)).build();
        let request = etag.iter().fold(request, |r, etag| r.header(header::IF_NONE_MATCH, *etag));
        let response = answered(request.call())?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(Definitions::Unchanged);
        }
        let mut response = successful(response)?;
        let etag = response.headers().get(header::ETAG).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let bytes = response.body_mut().with_config().limit(BYTES_MAX as u64).read_to_vec().map_err(failed)?;
        Ok(Definitions::Body { etag, bytes })
    }

    /// Opens the stream. A read from it fails when nothing came for the idle limit.
    pub(crate) fn stream(&self, last_event_id: &str) -> Result<impl Read + use<>, Unanswered> {
        let request = self.with_headers(self.agent.get(self.url("/api/client/streaming")));
        let request = request
            .config()
            .timeout_recv_response(Some(self.answer_max))
            .timeout_per_read(Some(self.idle_max))
            .build()
            .header(header::ACCEPT, "text/event-stream");
        let request = if last_event_id.is_empty() { request } else { request.header("last-event-id", last_event_id) };
        let response = successful(answered(request.call())?)?;
        if response.body().mime_type() != Some("text/event-stream") {
            let reason = "what answers at the stream's address is not a stream".into();
            return Err(Unanswered { failure: Failure::NoStream, status: None, reason });
        }
        Ok(response.into_body().into_with_config().limit(u64::MAX).reader())
    }

    /// Posts JSON; what is answered does not matter, only whether it was taken.
    pub(crate) fn post(&self, path: &str, document: &Value, within: Duration) -> Result<(), Unanswered> {
        let request = self.with_headers(self.agent.post(self.url(path)));
        let request = request.config().timeout_global(Some(within.min(self.answer_max))).build();
        let request = request.header(header::CONTENT_TYPE, "application/json");
        successful(answered(request.send(document.to_string()))?).map(drop)
    }
}

type Response = ureq::http::Response<Body>;

fn answered(result: Result<Response, ureq::Error>) -> Result<Response, Unanswered> {
    result.map_err(failed)
}

fn failed(error: ureq::Error) -> Unanswered {
    Unanswered { failure: Failure::Transient { retry_after: None }, status: None, reason: error.to_string() }
}

fn successful(response: Response) -> Result<Response, Unanswered> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok());
    let retry_after = retry_after.and_then(|text| retry_after_ms(text, now()));
    let retry_after = retry_after.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
    let failure = match status.as_u16() {
        401 | 403 => Failure::Refused,
        404 | 405 | 406 | 501 => Failure::NoStream,
        _ => Failure::Transient { retry_after },
    };
    Err(Unanswered { failure, status: Some(status.as_u16()), reason: format!("it answered {status}") })
}

/// The machine's own certificate authorities.
#[cfg(feature = "tls")]
fn tls() -> Result<ureq::tls::TlsConfig, StartError> {
    use ureq::tls::{Certificate, RootCerts, TlsConfig};

    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why = found.errors.first().map_or_else(|| "there are none".to_owned(), ToString::to_string);
        return Err(StartError::Authorities(why));
    }
    let roots: Vec<_> = found.certs.iter().map(|c| Certificate::from_der(c).to_owned()).collect();
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build())
}
