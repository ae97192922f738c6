//! One call to a cluster: its token, its limits, and what an answer that is no success means.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Method, Response, StatusCode, redirect};
use serde_json::Value;
use tenfold_app::settings::{ClusterKind, ClusterSettings};
use tenfold_deploys::cluster::kubernetes::status_message;
use tenfold_deploys::cluster::{Refusal, plain};
use tenfold_httpkit::body::{BodyError, beginning, whole};
use tenfold_httpkit::error::innermost;
use tenfold_httpkit::outgoing;
use tenfold_types::Clock;

const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(20);
/// Longest silence within an answer that goes on and on.
const SILENCE: Duration = Duration::from_mins(5);
/// Largest answer.
const ANSWER_BYTES_MAX: usize = 32 << 20;
const ERROR_BYTES_MAX: usize = 16 * 1024;
const TOKEN_BYTES_MAX: u64 = 16 * 1024;
/// Where a pod finds its service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A cluster's address and how to come in.
pub(super) struct Access {
    http: reqwest::Client,
    url: String,
    kind: ClusterKind,
    token_file: Option<PathBuf>,
    clock: Arc<dyn Clock>,
}

/// One call, and what it is for in the cluster's own words: who is refused is told what right is missing.
pub(super) struct Call<'a> {
    pub method: Method,
    /// From the root, with its query.
    pub path: String,
    pub body: Option<(&'static str, &'a Value)>,
    /// `patch deployments.apps in the namespace shop`
    pub right: String,
}

impl Access {
    pub fn new(settings: &ClusterSettings, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let (url, ca_file, token_file) = match settings.in_cluster {
            false => (settings.url.clone(), settings.ca_file.clone(), settings.token_file.clone()),
            true if settings.kind == ClusterKind::Nomad => return Err("in_cluster is for Kubernetes".to_owned()),
            true => {
                let variable =
                    |name: &str| std::env::var(name).map_err(|_| format!("in_cluster, but {name} is not set"));
                let (host, port) = (variable("KUBERNETES_SERVICE_HOST")?, variable("KUBERNETES_SERVICE_PORT")?);
                let host = if host.contains(':') { format!("[{host}]") } else { host };
                let account = Path::new(SERVICE_ACCOUNT);
                (format!("https://{host}:{port}"), Some(account.join("ca.crt")), Some(account.join("token")))
            }
        };
        let url = url.trim_end_matches('/').to_owned();
        let parsed = reqwest::Url::parse(&url)
            .map_err(|_| format!("`{url}` is no address; write it like https://10.0.0.1:6443"))?;
        let is_local = matches!(parsed.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        match parsed.scheme() {
            "https" => {}
            "http" if token_file.is_none() || is_local => {}
            "http" => return Err("a token goes over https, or to this machine alone".to_owned()),
            other => return Err(format!("`{other}` is no scheme of an address; write https")),
        }
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("tenfold/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &ca_file {
            let pem = std::fs::read(path).map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
            let bad = |_| format!("{} holds no certificates", path.display());
            for certificate in Certificate::from_pem_bundle(&pem).map_err(bad)? {
                http = http.add_root_certificate(certificate);
            }
        }
        let http = http.build().map_err(|e| format!("the HTTP client could not be made: {e}"))?;
        Ok(Self { http, url, kind: settings.kind, token_file, clock })
    }

    async fn headers(&self) -> Result<HeaderMap, Refusal> {
        let mut headers = HeaderMap::new();
        let Some(path) = &self.token_file else { return Ok(headers) };
        let failed = |why: String| Refusal::Final { error: format!("the token in {}: {why}", path.display()) };
        let size = tokio::fs::metadata(path).await.map_err(|e| failed(e.to_string()))?.len();
        if size > TOKEN_BYTES_MAX {
            return Err(failed(format!("the file has {size} bytes, more than {TOKEN_BYTES_MAX}")));
        }
        let token = tokio::fs::read_to_string(path).await.map_err(|e| failed(e.to_string()))?;
        let (name, value) = match self.kind {
            ClusterKind::Kubernetes => (AUTHORIZATION, format!("Bearer {}", token.trim())),
            ClusterKind::Nomad => (HeaderName::from_static("x-nomad-token"), token.trim().to_owned()),
        };
        let mut value = HeaderValue::from_str(&value).map_err(|_| failed("it is no token".to_owned()))?;
        value.set_sensitive(true);
        headers.insert(name, value);
        Ok(headers)
    }

    /// A call that was taken; what is no success is a refusal with what to do.
    async fn send(&self, call: Call<'_>, within: Option<Duration>) -> Result<Response, Refusal> {
        let mut request =
            self.http.request(call.method, format!("{}{}", self.url, call.path)).headers(self.headers().await?);
        if let Some(within) = within {
            request = request.timeout(within);
        }
        if let Some((content_type, body)) = call.body {
            request = request.header(CONTENT_TYPE, content_type).body(body.to_string());
        }
        let answer = request.send().await.map_err(|e| passing(&e))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let retry_after_ms = outgoing::retry_after_ms(answer.headers(), self.clock.now());
        let (body, _) = beginning(answer.bytes_stream(), ERROR_BYTES_MAX).await;
        let said = match self.kind {
            ClusterKind::Kubernetes => status_message(&body),
            ClusterKind::Nomad => plain(&String::from_utf8_lossy(&body)),
        };
        Err(refusal(status, retry_after_ms, &said, &call.right))
    }

    pub async fn bytes(&self, call: Call<'_>) -> Result<Vec<u8>, Refusal> {
        self.bytes_within(call, ANSWER).await.map(|(body, _)| body)
    }

    /// The body and the headers.
    pub async fn bytes_within(&self, call: Call<'_>, within: Duration) -> Result<(Vec<u8>, HeaderMap), Refusal> {
        let answer = self.send(call, Some(within)).await?;
        let headers = answer.headers().clone();
        let body = whole(answer.bytes_stream(), ANSWER_BYTES_MAX).await.map_err(|e| match e {
            BodyError::Broken(e) => passing(&e),
            BodyError::TooLarge => {
                Refusal::Final { error: format!("an answer is larger than {ANSWER_BYTES_MAX} bytes") }
            }
        })?;
        Ok((body, headers))
    }

    pub async fn json(&self, call: Call<'_>) -> Result<Value, Refusal> {
        let body = self.bytes(call).await?;
        serde_json::from_slice(&body).map_err(|_| Refusal::Final { error: "an answer is not JSON".to_owned() })
    }

    /// An answer that goes on, line by line.
    pub async fn lines(&self, call: Call<'_>) -> Result<Lines, Refusal> {
        let answer = tokio::time::timeout(ANSWER, self.send(call, None)).await;
        let answer =
            answer.map_err(|_| Refusal::Passing { error: "no answer in time".to_owned(), retry_after_ms: None })??;
        Ok(Lines { stream: Box::pin(answer.bytes_stream()), have: Vec::new() })
    }
}

type Bytes = std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>;

pub(super) struct Lines {
    stream: Bytes,
    have: Vec<u8>,
}

impl Lines {
    /// The next line; nothing at the end.
    pub async fn next(&mut self, bytes_max: usize) -> Result<Option<Vec<u8>>, String> {
        loop {
            if let Some(end) = self.have.iter().position(|b| *b == b'\n') {
                let mut line: Vec<u8> = self.have.drain(..=end).collect();
                line.pop();
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return Ok(Some(line));
            }
            if self.have.len() > bytes_max {
                return Err(format!("a line is longer than {bytes_max} bytes"));
            }
            match tokio::time::timeout(SILENCE, self.stream.next()).await {
                Err(_) => return Err("nothing came for five minutes".to_owned()),
                Ok(None) => return Ok(None),
                Ok(Some(Ok(chunk))) => self.have.extend_from_slice(&chunk),
                Ok(Some(Err(error))) => return Err(why(&error)),
            }
        }
    }
}

/// What a reqwest error is about, without the address it names.
fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    plain(&innermost(error))
}

fn passing(error: &reqwest::Error) -> Refusal {
    Refusal::Passing { error: why(error), retry_after_ms: None }
}

fn refusal(status: StatusCode, retry_after_ms: Option<i64>, said: &str, right: &str) -> Refusal {
    let colon = if said.is_empty() { "" } else { ": " };
    let error = format!("answered {status}{colon}{said}");
    match status.as_u16() {
        // how Nomad says that its check index does not fit any more
        _ if said.contains("Enforcing job modify index") || said.contains("job version conflict") => Refusal::Conflict,
        401 => Refusal::Final { error: format!("the token is refused (401){colon}{said}") },
        403 => Refusal::Final { error: format!("the token may not {right} (403){colon}{said}") },
        404 => Refusal::Final { error: format!("it does not exist (404){colon}{said}") },
        409 => Refusal::Conflict,
        408 | 429 | 500.. => Refusal::Passing { error, retry_after_ms },
        _ => Refusal::Final { error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_refused_is_told_which_right_is_missing() {
        let right = "patch rollouts.argoproj.io in the namespace shop";
        let told = |status: u16, said: &str| refusal(StatusCode::from_u16(status).unwrap(), Some(2_000), said, right);
        assert_eq!(told(403, "no"), Refusal::Final { error: format!("the token may not {right} (403): no") });
        assert_eq!(told(409, ""), Refusal::Conflict);
        assert_eq!(
            told(500, "Enforcing job modify index 4: job exists with conflicting job modify index: 5"),
            Refusal::Conflict
        );
        assert!(matches!(told(429, ""), Refusal::Passing { retry_after_ms: Some(2_000), .. }));
        assert!(matches!(told(503, ""), Refusal::Passing { .. }));
        assert!(matches!(told(422, "bad"), Refusal::Final { error } if error.contains("422") && error.contains("bad")));
    }

    fn settings(url: &str, token: bool) -> ClusterSettings {
        ClusterSettings {
            name: "main".into(),
            kind: ClusterKind::Kubernetes,
            url: url.into(),
            ca_file: None,
            token_file: token.then(|| "/token".into()),
            in_cluster: false,
            environments: Vec::new(),
            namespaces: Vec::new(),
            services: Vec::new(),
        }
    }

    fn access(settings: &ClusterSettings) -> Result<Access, String> {
        Access::new(settings, Arc::new(tenfold_testkit::TestClock::default()))
    }

    #[test]
    fn a_token_goes_nowhere_in_the_clear() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let wrong = |url: &str, token: bool| access(&settings(url, token)).err();
        assert_eq!(wrong("http://127.0.0.1:8001", true), None);
        assert_eq!(wrong("http://10.0.0.1", false), None);
        assert!(wrong("http://10.0.0.1", true).unwrap().contains("https"));
        assert!(wrong("10.0.0.1", false).unwrap().contains("no address"));
        assert!(wrong("ftp://x", false).unwrap().contains("no scheme"));
    }

    /// Answers every request with its own headers, over TLS with a certificate that nobody knows but its file.
    async fn secure(dir: &std::path::Path) -> (u16, PathBuf) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let ca_file = dir.join("ca.pem");
        std::fs::write(&ca_file, made.cert.pem()).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).await.unwrap_or(0);
                let asked = String::from_utf8_lossy(&request[..read]).into_owned();
                let answer =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{asked}", asked.len());
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        (port, ca_file)
    }

    #[tokio::test]
    async fn a_cluster_with_an_authority_of_its_own_is_known_by_its_file() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let (port, ca_file) = secure(dir.path()).await;
        let token_file = dir.path().join("token");
        std::fs::write(&token_file, "one\n").unwrap();
        let url = format!("https://127.0.0.1:{port}");
        let call = || Call { method: Method::GET, path: "/version".to_owned(), body: None, right: String::new() };
        let stranger = access(&settings(&url, false)).unwrap();
        let refused = stranger.bytes(call()).await.unwrap_err();
        assert!(matches!(&refused, Refusal::Passing { error, .. } if error.contains("certificate")), "{refused:?}");
        let known =
            ClusterSettings { ca_file: Some(ca_file), token_file: Some(token_file.clone()), ..settings(&url, false) };
        let known = access(&known).unwrap();
        for token in ["one", "two"] {
            std::fs::write(&token_file, token).unwrap();
            let asked = String::from_utf8(known.bytes(call()).await.unwrap()).unwrap();
            assert!(asked.contains(&format!("authorization: Bearer {token}\r\n")), "{asked}");
        }
        std::fs::remove_file(&token_file).unwrap();
        assert!(
            matches!(known.bytes(call()).await, Err(Refusal::Final { error }) if error.starts_with("the token in"))
        );
    }
}
