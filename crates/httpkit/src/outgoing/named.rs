//! Requests whose TLS goes by another name than the address has: `server_name` of `tls_config`.
//!
//! The name is what the other side is told (SNI, RFC 6066) and what its certificate is checked for. reqwest takes it from the
//! address, always, so that such connections are made here, through a proxy as well; everything about the request and its
//! answer stays reqwest's. HTTP/1.1 only.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::Client as Connections;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioIo};
use reqwest::header::{HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{Body, Request, Response};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion, version};
use tenfold_scrape::{HttpClient, Proxy, Tls, TlsVersion};
use tokio::net::TcpStream;
use tower::{Service, ServiceExt};

use super::{AGENT, Pems, innermost, tunnel_headers};

type BoxError = Box<dyn Error + Send + Sync>;
/// Plain up to the target, or in TLS up to a proxy.
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Connections that go by a name.
#[derive(Debug, Clone)]
pub(super) struct Named(Connections<HttpsConnector<Route>, Body>);

impl Named {
    /// Nothing where the configuration names no `server_name`.
    pub fn new(config: &HttpClient, pems: &Pems) -> Result<Option<Self>, String> {
        let Some(name) = &config.tls.server_name else { return Ok(None) };
        let name = ServerName::try_from(name.clone())
            .map_err(|_| format!("`server_name: {name}` of tls_config is neither a name nor an address"))?;
        let tls = Arc::new(tls(&config.tls, pems)?);
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        let proxies = match &config.proxy {
            Proxy::None => None,
            Proxy::Url { url, except } => Some(Matcher::builder().all(url.clone()).no(except.clone()).build()),
            Proxy::Environment => Some(Matcher::from_env()),
        };
        let route = Route {
            proxy: HttpsConnector::from((tcp.clone(), tls.clone())),
            tcp,
            proxies: proxies.map(Arc::new),
            headers: tunnel_headers(&config.proxy_headers)?,
        };
        let resolver = Arc::new(FixedServerNameResolver::new(name));
        let connector = HttpsConnector::new(route, tls, true, resolver);
        Ok(Some(Self(Connections::builder(TokioExecutor::new()).build(connector))))
    }

    /// One request, without following where its answer leads.
    pub async fn send(&self, mut request: Request) -> Result<Response, String> {
        request.headers_mut().entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
        let request = hyper::Request::<Body>::try_from(request).map_err(|e| innermost(&e))?;
        let response = self.0.request(request).await.map_err(|e| innermost(&e))?;
        Ok(Response::from(response.map(Body::wrap)))
    }
}

/// The way to a target, before TLS is spoken with it.
#[derive(Clone)]
struct Route {
    tcp: HttpConnector,
    /// To a proxy, which may speak TLS under its own name.
    proxy: HttpsConnector<HttpConnector>,
    proxies: Option<Arc<Matcher>>,
    headers: HeaderMap,
}

impl Service<Uri> for Route {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let Some(through) = self.proxies.as_ref().and_then(|proxies| proxies.intercept(&to)) else {
            let tcp = self.tcp.clone();
            return Box::pin(async move { Ok(MaybeHttpsStream::Http(tcp.oneshot(to).await?)) });
        };
        let mut tunnel = Tunnel::new(through.uri().clone(), self.proxy.clone()).with_headers(self.headers.clone());
        if let Some(authorization) = through.basic_auth() {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        Box::pin(async move { Ok(tunnel.oneshot(to).await?) })
    }
}

/// What is trusted, who we are and which versions are spoken, as for every other connection.
fn tls(tls: &Tls, pems: &Pems) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_protocol_versions(&versions(tls)).map_err(|e| e.to_string())?;
    let builder = if tls.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Unchecked(provider)))
    } else {
        builder.with_root_certificates(roots(tls, pems)?)
    };
    let (Some(certificate), Some(key)) = (&pems.certificate, &pems.key) else {
        return Ok(builder.with_no_client_auth());
    };
    let wrong = |e: &dyn Error| format!("the certificate and key of tls_config make no client certificate: {e}");
    let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<Vec<_>, _>>().map_err(|e| wrong(&e))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| wrong(&e))?;
    builder.with_client_auth_cert(chain, key).map_err(|e| wrong(&e))
}

fn versions(tls: &Tls) -> Vec<&'static SupportedProtocolVersion> {
    let mut out = Vec::new();
    if tls.version_max != Some(TlsVersion::V1_2) {
        out.push(&version::TLS13);
    }
    if tls.version_min != Some(TlsVersion::V1_3) {
        out.push(&version::TLS12);
    }
    out
}

/// Those that are named, or the machine's own authorities where none are.
fn roots(tls: &Tls, pems: &Pems) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(pem) = &pems.ca else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    let named = tls.ca_file.as_deref().unwrap_or("`ca` of tls_config");
    let wrong = |e: &dyn Error| format!("{named} holds no certificates: {e}");
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.map_err(|e| wrong(&e))?).map_err(|e| wrong(&e))?;
    }
    if roots.is_empty() {
        return Err(format!("{named} holds no certificates"));
    }
    Ok(roots)
}

/// Takes any certificate, as `insecure_skip_verify` says.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
