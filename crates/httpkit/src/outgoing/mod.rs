//! HTTP to others as an `http_config` of Prometheus' programs says: who we say we are, what we trust, which proxy stands in
//! between. For scraping, and for the webhooks of receivers.

mod elsewhere;
mod files;
mod named;
mod oauth2;
mod straight;

use std::sync::Arc;
use std::time::Duration;

use named::Named;
use parking_lot::Mutex;
use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use reqwest::redirect::Policy;
use reqwest::{Method, Request, Response, StatusCode, Url};
use tenfold_scrape::{Auth, Header, Proxy, Secret, Tls, TlsVersion};
use tenfold_types::Timestamp;

pub use elsewhere::{Elsewhere, LookUp, is_this_machine};
pub use files::{Files, Stamp, stamp};
pub use straight::{Answer, Place, Straight};
pub use tenfold_scrape::HttpClient;

use crate::error::innermost;
use oauth2::Tokens;

const REDIRECTS_MAX: usize = 10;
/// Nobody who is there takes longer to say so.
const CONNECT: Duration = Duration::from_secs(10);
const AGENT: &str = concat!("tenfold/", env!("CARGO_PKG_VERSION"));

/// Which redirects are followed where the configuration follows them at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirects {
    All,
    /// Those that keep method and body, to the same scheme, host and port: nobody else gets the message or a secret.
    Same,
}

/// A client as a configuration wants it.
pub struct Client {
    config: HttpClient,
    files: Arc<Files>,
    redirects: Redirects,
    /// Set where only other machines are asked.
    elsewhere: Option<Elsewhere>,
    built: Mutex<Built>,
    tokens: Option<Tokens>,
}

/// What was made of the configuration and its files, as far as it could be.
#[derive(Default)]
struct Built {
    http: Option<Http>,
    /// Of the files it was made of.
    stamps: Vec<Stamp>,
    /// Why the files as they are now make no client; the one before goes on.
    trouble: Option<String>,
}

impl Client {
    pub fn new(config: &HttpClient, files: Arc<Files>, redirects: Redirects) -> Self {
        let oauth = if let Some(Auth::Oauth2(oauth)) = &config.auth { Some(oauth) } else { None };
        let tokens = oauth.map(|oauth| Tokens::new(oauth, files.clone()));
        Self { config: config.clone(), files, redirects, elsewhere: None, built: Mutex::default(), tokens }
    }

    /// One that asks other machines alone, whatever a name leads to. It follows no redirect, and no proxy looks names up for it.
    #[must_use]
    pub fn elsewhere(mut self, names: Elsewhere) -> Self {
        self.elsewhere = Some(names);
        self
    }

    /// The client of the TLS files as they are now: certificates are renewed while we run. Files that make none, as while
    /// they are being replaced, leave the one before in place, and say so.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn http(&self) -> Result<Http, String> {
        let tls = &self.config.tls;
        let names: Vec<String> = [&tls.ca_file, &tls.cert_file, &tls.key_file].into_iter().flatten().cloned().collect();
        {
            let built = self.built.lock();
            if let Some(http) = built.http.as_ref().filter(|_| names.is_empty()) {
                return Ok(http.clone());
            }
        }
        let (config, files, redirects) = (self.config.clone(), self.files.clone(), self.redirects);
        let elsewhere = self.elsewhere.clone();
        let known = self.built.lock().stamps.clone();
        let made = tokio::task::spawn_blocking(move || {
            let stamps: Vec<Stamp> = names.iter().map(|name| files.stamp(name)).collect();
            let http = (stamps.is_empty() || stamps != known).then(|| build(&config, &files, redirects, elsewhere));
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

    /// Adds who we are and what else the configuration wants. Files are read for each request: a new secret counts at once.
    ///
    /// # Errors
    /// What cannot be had or sent; a secret is not repeated.
    pub async fn headers(&self, map: &mut HeaderMap) -> Result<(), String> {
        let authorization = match &self.tokens {
            Some(tokens) => Some(tokens.header().await?),
            None => self.authorization().await?,
        };
        if let Some(text) = authorization {
            let mut value =
                HeaderValue::from_str(&text).map_err(|_| "authorization cannot be sent as a header".to_owned())?;
            value.set_sensitive(true);
            map.insert(AUTHORIZATION, value);
        }
        for header in &self.config.headers {
            let value = secret(&header.value, &self.files).await?;
            let (name, value) = header_of(&header.name, &value)?;
            map.append(name, value);
        }
        Ok(())
    }

    /// Looks at an answer: a token that was not taken is not shown again.
    pub async fn answered(&self, status: StatusCode) {
        if let Some(tokens) = self.tokens.as_ref().filter(|_| status == StatusCode::UNAUTHORIZED) {
            tokens.forget().await;
        }
    }

    /// Tokens of OAuth 2.0 are had elsewhere.
    async fn authorization(&self) -> Result<Option<String>, String> {
        let files = &self.files;
        Ok(match &self.config.auth {
            Some(Auth::Basic { username, password }) => {
                Some(basic(&secret(username, files).await?, &secret(password, files).await?))
            }
            Some(Auth::Credentials { kind, credentials }) => {
                Some(format!("{kind} {}", secret(credentials, files).await?))
            }
            Some(Auth::Oauth2(_)) | None => None,
        })
    }
}

/// What requests go out by.
#[derive(Debug, Clone)]
pub struct Http {
    /// Makes all requests, and sends those whose TLS goes by the address's name.
    pub usual: reqwest::Client,
    named: Option<Named>,
    /// None where no redirect is followed.
    redirects: Option<Redirects>,
    /// Only other machines are asked.
    elsewhere: bool,
}

impl Http {
    /// Sends a request of `usual`.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response, String> {
        let mut request = request.build().map_err(|e| plain(&e))?;
        if self.elsewhere {
            Elsewhere::check(request.url())?;
        }
        if self.named.is_none() && self.redirects != Some(Redirects::All) {
            return self.usual.execute(request).await.map_err(|e| plain(&e));
        }
        for _ in 0..=REDIRECTS_MAX {
            let again = self.redirects.and_then(|redirects| Some((request.try_clone()?, redirects)));
            let response = match &self.named {
                Some(named) if request.url().scheme() == "https" => named.send(request).await?,
                _ => self.usual.execute(request).await.map_err(|e| plain(&e))?,
            };
            match again.and_then(|(again, redirects)| redirected(again, &response, redirects)) {
                Some(next) => request = next,
                None => return Ok(response),
            }
        }
        Err(format!("it redirects more than {REDIRECTS_MAX} times"))
    }
}

/// The request that an answer leads to. What says who we are goes to no other place (RFC 9110, section 15.4), nor do headers of
/// the configuration: they are marked as secrets.
fn redirected(mut request: Request, answer: &Response, redirects: Redirects) -> Option<Request> {
    let status = answer.status();
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let to = request.url().join(answer.headers().get(LOCATION)?.to_str().ok()?).ok()?;
    if !matches!(to.scheme(), "http" | "https") {
        return None;
    }
    if redirects == Redirects::Same && !same(status, request.url(), &to) {
        return None;
    }
    // Another scheme is another place: https must not lead a secret into the open.
    if to.origin() != request.url().origin() {
        let is_secret = |(name, value): (&HeaderName, &HeaderValue)| value.is_sensitive().then(|| name.clone());
        let secrets: Vec<HeaderName> = request.headers().iter().filter_map(is_secret).collect();
        for name in secrets.into_iter().chain([AUTHORIZATION, COOKIE]) {
            request.headers_mut().remove(name);
        }
    }
    if !matches!(status.as_u16(), 307 | 308) && *request.method() != Method::HEAD {
        *request.method_mut() = Method::GET;
        *request.body_mut() = None;
        request.headers_mut().remove(CONTENT_LENGTH);
        request.headers_mut().remove(CONTENT_TYPE);
    }
    *request.url_mut() = to;
    Some(request)
}

/// Whether a redirect keeps method and body, and its place.
fn same(status: StatusCode, from: &Url, to: &Url) -> bool {
    matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) && from.origin() == to.origin()
}

fn build(
    config: &HttpClient,
    files: &Files,
    redirects: Redirects,
    elsewhere: Option<Elsewhere>,
) -> Result<Http, String> {
    let only_elsewhere = elsewhere.is_some();
    let pems = Pems::read(&config.tls, files)?;
    let named = Named::new(config, &pems)?;
    // It looks names up by itself, as nothing that is asked for another machine may.
    if only_elsewhere && named.is_some() {
        return Err("a server_name is not taken where only other machines are asked".to_owned());
    }
    let redirects = (config.follow_redirects && !only_elsewhere).then_some(redirects);
    let policy = match redirects.filter(|_| named.is_none()) {
        // Those to everywhere are followed by us: reqwest takes headers of the configuration along, whoever is next.
        None | Some(Redirects::All) => Policy::none(),
        Some(Redirects::Same) => Policy::custom(|attempt| {
            let from = attempt.previous().last();
            let follow = attempt.previous().len() <= REDIRECTS_MAX
                && from.is_some_and(|from| same(attempt.status(), from, attempt.url()));
            if follow { attempt.follow() } else { attempt.stop() }
        }),
    };
    let mut builder = reqwest::Client::builder().redirect(policy).user_agent(AGENT).connect_timeout(CONNECT);
    builder = match &config.proxy {
        _ if only_elsewhere => builder.no_proxy(),
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
    if let Some(names) = elsewhere {
        builder = builder.dns_resolver(Arc::new(names));
    }
    let usual = with_tls(builder, &config.tls, &pems)?.build().map_err(|e| plain(&e))?;
    Ok(Http { usual, named, redirects, elsewhere: only_elsewhere })
}

/// What `tls_config` says in PEM, in itself or in files.
struct Pems {
    ca: Option<Vec<u8>>,
    certificate: Option<Vec<u8>>,
    key: Option<Vec<u8>>,
}

impl Pems {
    fn read(tls: &Tls, files: &Files) -> Result<Self, String> {
        let file = |name: &str| files.pem(name);
        let pem = |text: Option<&str>, path: Option<&str>| match (text, path) {
            (Some(text), _) => Ok(Some(text.as_bytes().to_vec())),
            (None, Some(path)) => file(path).map(Some),
            (None, None) => Ok::<_, String>(None),
        };
        let key = match &tls.key {
            Some(Secret::Text(text)) => Some(text.as_bytes().to_vec()),
            Some(Secret::File(path)) => Some(file(path)?),
            None => tls.key_file.as_deref().map(file).transpose()?,
        };
        let ca = pem(tls.ca.as_deref(), tls.ca_file.as_deref())?;
        Ok(Self { ca, certificate: pem(tls.cert.as_deref(), tls.cert_file.as_deref())?, key })
    }
}

/// What is trusted, who we are and which versions are spoken.
fn with_tls(mut builder: reqwest::ClientBuilder, tls: &Tls, pems: &Pems) -> Result<reqwest::ClientBuilder, String> {
    if let Some(pem) = &pems.ca {
        let named = tls.ca_file.as_deref().unwrap_or("`ca` of tls_config");
        let bad = |e: reqwest::Error| format!("{named} holds no certificates: {}", plain(&e));
        let roots = reqwest::Certificate::from_pem_bundle(pem).map_err(bad)?;
        if roots.is_empty() {
            return Err(format!("{named} holds no certificates"));
        }
        // As in Prometheus, the machine's own authorities count no longer.
        builder = builder.tls_certs_only(roots);
    }
    if let (Some(certificate), Some(key)) = (&pems.certificate, &pems.key) {
        let pem = [certificate.as_slice(), b"\n", key].concat();
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

/// The header of a name and a password.
fn basic(username: &str, password: &str) -> String {
    use base64::Engine;
    let pair = format!("{username}:{password}");
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

async fn secret(of: &Secret, files: &Arc<Files>) -> Result<String, String> {
    match of {
        Secret::Text(text) => Ok(text.clone()),
        Secret::File(name) => {
            let (files, name) = (files.clone(), name.clone());
            tokio::task::spawn_blocking(move || files.secret(&name)).await.map_err(|e| e.to_string())?
        }
    }
}

/// The innermost reason, which is the one that helps.
pub fn plain(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "the target did not answer in time".into();
    }
    innermost(error)
}

/// How long an answer asks to be left alone, in milliseconds: [`tenfold_types::retry_after_ms`].
pub fn retry_after_ms(headers: &HeaderMap, now: Timestamp) -> Option<i64> {
    tenfold_types::retry_after_ms(headers.get(RETRY_AFTER)?.to_str().ok()?, now)
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

    fn made_of(tls: Tls) -> Result<Http, String> {
        build(&HttpClient { tls, ..HttpClient::default() }, &Files::Anywhere, Redirects::All, None)
    }

    fn client(tls: Tls) -> Client {
        Client::new(&HttpClient { tls, ..HttpClient::default() }, Arc::default(), Redirects::All)
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
            made_of(Tls { ca: Some(ca.to_owned()), version_min, version_max, ..Tls::default() })
        };
        assert!(made(&String::from_utf8(pem).unwrap()).is_ok());
        assert!(made("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
    }

    /// A server of one connection with a certificate for `name` alone; tells which name it was asked for.
    async fn tls_server(name: &str) -> (u16, String, tokio::task::JoinHandle<Option<String>>) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serve = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.ok()?;
            let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
            let mut stream = acceptor.accept(stream).await.ok()?;
            let asked = stream.get_ref().1.server_name().map(str::to_owned);
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.ok()?);
            }
            let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nup 1\n";
            stream.write_all(answer.as_bytes()).await.ok()?;
            stream.flush().await.ok()?;
            asked
        });
        (port, made.cert.pem(), serve)
    }

    #[tokio::test]
    async fn tls_goes_by_the_name_that_is_configured() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for (name, works) in [("inside.example.org", true), ("other.example.org", false)] {
            let (port, ca, serve) = tls_server("inside.example.org").await;
            let tls = Tls { ca: Some(ca), server_name: Some(name.to_owned()), ..Tls::default() };
            let http = client(tls).http().await.unwrap();
            let answer = http.send(http.usual.get(format!("https://127.0.0.1:{port}/metrics"))).await;
            let page = match answer {
                Ok(response) => Some(response.text().await.unwrap()),
                Err(_) => None,
            };
            assert_eq!(page.as_deref(), works.then_some("up 1\n"));
            let asked = serve.await.unwrap();
            assert_eq!(asked.as_deref(), works.then_some(name), "a certificate of another name is not taken");
        }
        assert!(made_of(Tls { server_name: Some("no name".into()), ..Tls::default() }).is_err());
    }

    /// Runs itself again with the server's certificate as the machine's only authority.
    #[tokio::test]
    async fn nothing_but_the_ca_is_trusted_where_there_is_one() {
        const PORTS: &str = "TENFOLD_TEST_TLS_PORTS";
        let _ = rustls::crypto::ring::default_provider().install_default();
        if let Ok(ports) = std::env::var(PORTS) {
            let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap().cert.pem();
            for (port, ca) in ports.split(',').zip([None, Some(other)]) {
                let tls = Tls { ca: ca.clone(), ..Tls::default() };
                let http = client(tls).http().await.unwrap();
                let answer = http.send(http.usual.get(format!("https://127.0.0.1:{port}/"))).await;
                assert_eq!(answer.is_ok(), ca.is_none(), "{answer:?}");
            }
            return;
        }
        assert!(made_of(Tls { ca: Some("no certificate".into()), ..Tls::default() }).is_err());
        let dir = tempfile::tempdir().unwrap();
        let (path, mut ports, mut pems) = (dir.path().join("machine.pem"), Vec::new(), String::new());
        for _ in 0..2 {
            let (port, pem, _) = tls_server("127.0.0.1").await;
            ports.push(port.to_string());
            pems.push_str(&pem);
        }
        std::fs::write(&path, pems).unwrap();
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "outgoing::tests::nothing_but_the_ca_is_trusted_where_there_is_one"]);
        again.env(PORTS, ports.join(",")).env("SSL_CERT_FILE", &path).env_remove("SSL_CERT_DIR");
        let done = tokio::task::spawn_blocking(move || again.output()).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && said.contains("1 passed"), "{said}");
    }

    #[test]
    fn a_secret_goes_to_no_other_place() {
        let led = |to: &str| {
            let mut request = Request::new(Method::GET, Url::parse("http://one.example:9100/metrics").unwrap());
            for secret in ["one", "two"] {
                let (name, value) = header_of("x-key", secret).unwrap();
                request.headers_mut().append(name, value);
            }
            request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Bearer t"));
            request.headers_mut().insert("accept", HeaderValue::from_static("text/plain"));
            let answer = hyper::Response::builder().status(302).header("location", to).body("").unwrap();
            let next = redirected(request, &Response::from(answer), Redirects::All).unwrap();
            ["x-key", "authorization", "accept"].map(|name| next.headers().get_all(name).iter().count())
        };
        assert_eq!(led("/other"), [2, 1, 1]);
        assert_eq!(led("http://one.example:9100/other"), [2, 1, 1]);
        for to in [
            "http://two.example:9100/metrics",
            "http://one.example:9101/metrics",
            "https://one.example/metrics",
            "https://one.example:9100/metrics",
        ] {
            assert_eq!(led(to), [0, 0, 1], "{to}");
        }
    }

    #[test]
    fn an_answer_may_say_when_to_come_again() {
        let said = |value: &str| HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(value).unwrap())]);
        assert_eq!(retry_after_ms(&said("7"), Timestamp(0)), Some(7_000));
        assert_eq!(retry_after_ms(&said("Thu, 01 Jan 1970 00:00:09 GMT"), Timestamp(0)), Some(9_000));
        assert_eq!(retry_after_ms(&HeaderMap::new(), Timestamp(0)), None);
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
        let client = client(tls);
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
