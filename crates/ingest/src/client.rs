//! HTTP for scraping and for lists of targets: authentication, TLS and redirects as a job says, bodies within a cap.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tenfold_httpkit::body::{BodyError, whole};
use tenfold_protocols::exposition::Format;
use tenfold_protocols::inflate::{InflateError, gunzip};
use tenfold_scrape::{Auth, Header, HttpClient, Protocol, Proxy, Secret, Tls, TlsVersion};

use crate::discovery::{Stamp, stamp};
use crate::oauth2::Tokens;

/// Largest metrics page unless the job says otherwise, in bytes.
const PAGE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// What a job may raise that to.
const PAGE_BYTES_MOST: u64 = 256 * 1024 * 1024;
const REDIRECTS_MAX: usize = 10;
/// Bytes of a file that holds a secret.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// A job's client.
pub(crate) struct Client {
    config: HttpClient,
    built: Mutex<Built>,
    tokens: Option<Tokens>,
}

/// What was made of the configuration and its files, as far as it could be.
#[derive(Default)]
struct Built {
    http: Option<reqwest::Client>,
    /// Of the files it was made of.
    stamps: Vec<Stamp>,
    /// Why the files as they are now make no client; the one before goes on.
    trouble: Option<String>,
}

/// How a page is asked for.
pub(crate) struct Asking<'a> {
    pub accept: &'a str,
    pub timeout_ms: u64,
    pub compressed: bool,
    /// 0 for the usual one.
    pub bytes_max: u64,
    pub fallback: Protocol,
}

impl Client {
    pub(crate) fn new(config: &HttpClient) -> Self {
        let tokens = if let Some(Auth::Oauth2(oauth)) = &config.auth { Some(Tokens::new(oauth)) } else { None };
        Self { config: config.clone(), built: Mutex::default(), tokens }
    }

    /// A target's metrics page.
    pub(crate) async fn page(&self, url: &str, asking: &Asking<'_>) -> Result<(Bytes, Format), String> {
        let seconds = asking.timeout_ms as f64 / 1_000.0;
        let mut headers = vec![
            ("accept", asking.accept.to_owned()),
            ("x-prometheus-scrape-timeout-seconds", seconds.to_string()),
            ("accept-encoding", if asking.compressed { "gzip" } else { "identity" }.to_owned()),
        ];
        let bytes_max = match asking.bytes_max {
            0 => PAGE_BYTES_MAX,
            max => max.min(PAGE_BYTES_MOST),
        };
        let within = Duration::from_millis(asking.timeout_ms);
        let get = self.get(url, &mut headers, bytes_max as usize, "page");
        let (kind, body) =
            tokio::time::timeout(within, get).await.map_err(|_| "the target did not answer in time")??;
        let format = Format::from_content_type(&kind).unwrap_or(match asking.fallback {
            Protocol::PrometheusProto => Format::Protobuf,
            Protocol::OpenMetrics1_0_0 | Protocol::OpenMetrics0_0_1 => Format::OpenMetrics,
            Protocol::PrometheusText1_0_0 | Protocol::PrometheusText0_0_4 => Format::Prometheus,
        });
        Ok((body, format))
    }

    /// A list of targets in JSON.
    pub(crate) async fn list(&self, url: &str, refresh_ms: u64, bytes_max: usize) -> Result<Bytes, String> {
        const WITHIN: Duration = Duration::from_secs(30);
        let mut headers = vec![
            ("accept", "application/json".to_owned()),
            ("x-prometheus-refresh-interval-seconds", (refresh_ms as f64 / 1_000.0).to_string()),
        ];
        let get = self.get(url, &mut headers, bytes_max, "list");
        let (kind, body) = tokio::time::timeout(WITHIN, get).await.map_err(|_| "it did not answer in time")??;
        let media = kind.split(';').next().unwrap_or_default().trim();
        if !media.eq_ignore_ascii_case("application/json") {
            return Err(format!("the answer is `{media}`, not application/json"));
        }
        Ok(body)
    }

    /// The client of the TLS files as they are now: certificates are renewed while we run. Files that make none, as while
    /// they are being replaced, leave the one before in place, and say so.
    pub(crate) async fn http(&self) -> Result<reqwest::Client, String> {
        let tls = &self.config.tls;
        let files: Vec<String> = [&tls.ca_file, &tls.cert_file, &tls.key_file].into_iter().flatten().cloned().collect();
        {
            let built = self.built.lock();
            if let Some(http) = built.http.as_ref().filter(|_| files.is_empty()) {
                return Ok(http.clone());
            }
        }
        let (config, known) = (self.config.clone(), self.built.lock().stamps.clone());
        let made = tokio::task::spawn_blocking(move || {
            let stamps: Vec<Stamp> = files.iter().map(|file| stamp(Path::new(file))).collect();
            let http = (stamps.is_empty() || stamps != known).then(|| build(&config));
            (stamps, http)
        });
        let (stamps, made) = made.await.map_err(|e| e.to_string())?;
        let mut built = self.built.lock();
        match made {
            None => built.trouble = None,
            Some(Ok(http)) => *built = Built { http: Some(http), stamps, trouble: None },
            Some(Err(reason)) => {
                if built.http.is_some() && built.trouble.as_ref() != Some(&reason) {
                    tracing::warn!(reason, "changed TLS files are not used; those before go on");
                }
                built.trouble = Some(reason);
            }
        }
        let reason = || built.trouble.clone().unwrap_or_default();
        built.http.clone().ok_or_else(reason)
    }

    /// The content type and the body of a successful answer.
    async fn get(
        &self,
        url: &str,
        headers: &mut Vec<(&'static str, String)>,
        bytes_max: usize,
        what: &str,
    ) -> Result<(String, Bytes), String> {
        let http = self.http().await?;
        let mut map = HeaderMap::new();
        if let Some(tokens) = &self.tokens {
            headers.push(("authorization", tokens.header().await?));
        } else if let Some(header) = authorization(self.config.auth.as_ref()).await? {
            headers.push(("authorization", header));
        }
        for (name, value) in headers.iter() {
            let mut value = HeaderValue::from_str(value).map_err(|_| format!("{name} cannot be sent as a header"))?;
            value.set_sensitive(*name == "authorization");
            map.insert(HeaderName::from_static(name), value);
        }
        for header in &self.config.headers {
            let value = secret(&header.value).await?;
            let (name, value) = header_of(&header.name, &value)?;
            map.append(name, value);
        }
        let response = http.get(url).headers(map).send().await.map_err(|e| plain(&e))?;
        if let Some(tokens) = self.tokens.as_ref().filter(|_| response.status() == reqwest::StatusCode::UNAUTHORIZED) {
            tokens.forget().await;
        }
        if !response.status().is_success() {
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
        let body = match encoding.as_str() {
            "" | "identity" => body,
            // Megabytes of text: not on a thread that waits for the network.
            "gzip" => {
                let unpacked = tokio::task::spawn_blocking(move || gunzip(&body, bytes_max)).await;
                unpacked.map_err(|e| e.to_string())?.map_err(|e| match e {
                    InflateError::TooLarge { .. } => too_large(),
                    InflateError::Broken(_) => e.to_string(),
                })?
            }
            other => return Err(format!("the {what} came in `{other}`, which was not asked for")),
        };
        Ok((kind, body.into()))
    }
}

fn build(config: &HttpClient) -> Result<reqwest::Client, String> {
    let redirects = if config.follow_redirects {
        reqwest::redirect::Policy::limited(REDIRECTS_MAX)
    } else {
        reqwest::redirect::Policy::none()
    };
    let mut builder =
        reqwest::Client::builder().redirect(redirects).user_agent(concat!("tenfold/", env!("CARGO_PKG_VERSION")));
    builder = match &config.proxy {
        Proxy::None => builder.no_proxy(),
        Proxy::Url { url, except } => {
            let bad = |e: reqwest::Error| format!("proxy_url is no address: {}", plain(&e));
            let except = || reqwest::NoProxy::from_string(except);
            // Headers for a tunnel would come to the target where there is none.
            let plainly = reqwest::Proxy::http(url).map_err(bad)?.no_proxy(except());
            let tunnel = reqwest::Proxy::https(url).map_err(bad)?.headers(tunnel_headers(&config.proxy_headers)?);
            builder.proxy(plainly).proxy(tunnel.no_proxy(except()))
        }
        // What reqwest does by itself.
        Proxy::Environment => builder,
    };
    with_tls(builder, &config.tls)?.build().map_err(|e| plain(&e))
}

/// What is trusted, who we are and which versions are spoken.
fn with_tls(mut builder: reqwest::ClientBuilder, tls: &Tls) -> Result<reqwest::ClientBuilder, String> {
    let read = |path: &str| std::fs::read(path).map_err(|e| format!("{path} cannot be read: {e}"));
    let pem = |text: Option<&str>, path: Option<&str>| match (text, path) {
        (Some(text), _) => Ok(Some(text.as_bytes().to_vec())),
        (None, Some(path)) => read(path).map(Some),
        (None, None) => Ok(None),
    };
    if let Some(pem) = pem(tls.ca.as_deref(), tls.ca_file.as_deref())? {
        let named = tls.ca_file.as_deref().unwrap_or("`ca` of tls_config");
        let bad = |e: reqwest::Error| format!("{named} holds no certificates: {}", plain(&e));
        for certificate in reqwest::Certificate::from_pem_bundle(&pem).map_err(bad)? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    let key = match &tls.key {
        Some(Secret::Text(text)) => Some(text.as_bytes().to_vec()),
        Some(Secret::File(path)) => Some(read(path)?),
        None => tls.key_file.as_deref().map(read).transpose()?,
    };
    if let (Some(mut pem), Some(key)) = (pem(tls.cert.as_deref(), tls.cert_file.as_deref())?, key) {
        pem.push(b'\n');
        pem.extend(key);
        let certificate = tls.cert_file.as_deref().unwrap_or("`cert` of tls_config");
        let key = tls.key_file.as_deref().unwrap_or("its `key`");
        let identity = reqwest::Identity::from_pem(&pem)
            .map_err(|e| format!("{certificate} and {key} make no client certificate: {}", plain(&e)))?;
        builder = builder.identity(identity);
    }
    if let Some(version) = tls.version_min {
        builder = builder.tls_version_min(spoken(version));
    }
    if let Some(version) = tls.version_max {
        builder = builder.tls_version_max(spoken(version));
    }
    Ok(builder.danger_accept_invalid_certs(tls.insecure_skip_verify))
}

const fn spoken(version: TlsVersion) -> reqwest::tls::Version {
    match version {
        TlsVersion::V1_2 => reqwest::tls::Version::TLS_1_2,
        TlsVersion::V1_3 => reqwest::tls::Version::TLS_1_3,
    }
}

/// The value may be a secret, and is not repeated.
fn header_of(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let cannot = || format!("{name} cannot be sent as a header");
    let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| cannot())?;
    let mut value = HeaderValue::from_str(value).map_err(|_| cannot())?;
    value.set_sensitive(true);
    Ok((header, value))
}

/// Those for a proxy stand in the configuration itself.
fn tunnel_headers(headers: &[Header]) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::new();
    for header in headers {
        if let Secret::Text(value) = &header.value {
            let (name, value) = header_of(&header.name, value)?;
            map.append(name, value);
        }
    }
    Ok(map)
}

/// Files are read for each request: a new secret counts at once. Tokens of OAuth 2.0 are had elsewhere.
async fn authorization(auth: Option<&Auth>) -> Result<Option<String>, String> {
    Ok(match auth {
        Some(Auth::Basic { username, password }) => Some(basic(&secret(username).await?, &secret(password).await?)),
        Some(Auth::Credentials { kind, credentials }) => Some(format!("{kind} {}", secret(credentials).await?)),
        Some(Auth::Oauth2(_)) | None => None,
    })
}

/// The header of a name and a password.
pub(crate) fn basic(username: &str, password: &str) -> String {
    use base64::Engine;
    let pair = format!("{username}:{password}");
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

pub(crate) async fn secret(of: &Secret) -> Result<String, String> {
    match of {
        Secret::Text(text) => Ok(text.clone()),
        Secret::File(path) => {
            let cannot = |e: std::io::Error| format!("{path} cannot be read: {e}");
            if tokio::fs::metadata(path).await.map_err(cannot)?.len() > SECRET_BYTES_MAX {
                return Err(format!("{path} is larger than {SECRET_BYTES_MAX} bytes, which is no secret"));
            }
            Ok(tokio::fs::read_to_string(path).await.map_err(cannot)?.trim().to_owned())
        }
    }
}

/// The innermost reason, which is the one that helps.
pub(crate) fn plain(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "the target did not answer in time".into();
    }
    let mut at: &dyn std::error::Error = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// A self-signed certificate; `None` where openssl is not installed.
    fn certificate(name: &str) -> Option<Vec<u8>> {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
            .args(["-keyout", "/dev/null", "-subj", &format!("/CN={name}")])
            .output()
            .ok()?;
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Some(made.stdout)
    }

    #[tokio::test]
    async fn certificates_may_stand_in_the_configuration() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let Some(pem) = certificate("inline") else {
            tenfold_testkit::peer_is_missing("openssl is not installed");
            return;
        };
        let made = |ca: &str| {
            let (version_min, version_max) = (Some(TlsVersion::V1_3), Some(TlsVersion::V1_3));
            let tls = Tls { ca: Some(ca.to_owned()), version_min, version_max, ..Tls::default() };
            build(&HttpClient { tls, ..HttpClient::default() })
        };
        assert!(made(&String::from_utf8(pem).unwrap()).is_ok());
        assert!(made("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
    }

    #[test]
    fn secrets_that_are_no_headers_are_not_repeated() {
        let wrong = header_of("x-tenant", "very\nsecret").unwrap_err();
        assert_eq!(wrong, "x-tenant cannot be sent as a header");
        assert!(header_of("x-tenant", "fine").unwrap().1.is_sensitive());
    }

    #[tokio::test]
    async fn renewed_certificates_are_used_and_bad_ones_leave_the_old() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (Some(first), Some(second)) = (certificate("first"), certificate("the second one")) else {
            tenfold_testkit::peer_is_missing("openssl is not installed");
            return;
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let tls = Tls { ca_file: Some(path.display().to_string()), ..Tls::default() };
        let client = Client::new(&HttpClient { tls, ..HttpClient::default() });
        assert!(client.http().await.unwrap_err().contains("cannot be read"));
        std::fs::write(&path, &first).unwrap();
        client.http().await.unwrap();
        let made_of = || {
            let built = client.built.lock();
            (built.stamps.clone(), built.trouble.clone())
        };
        let (of_first, trouble) = made_of();
        assert_eq!(trouble, None);
        client.http().await.unwrap();
        assert_eq!(made_of().0, of_first, "not made anew each time");
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        client.http().await.unwrap();
        let (stamps, trouble) = made_of();
        assert_eq!(stamps, of_first, "the one before goes on");
        assert!(trouble.is_some());
        std::fs::write(&path, &second).unwrap();
        client.http().await.unwrap();
        let (stamps, trouble) = made_of();
        assert!(stamps != of_first && trouble.is_none(), "{trouble:?}");
    }
}
