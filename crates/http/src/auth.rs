//! Who asks: a session cookie, a bearer token, or nobody. Cookies count on writing requests only when the page itself sent them.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use base64::Engine;
use tenfold_app::agents::{HostCertificate, fingerprint};
use tenfold_app::people::{Person, Token};
use tenfold_app::{App, Caller};
use tenfold_httpkit::server::PeerCertificate;
use tenfold_types::{Actor, ErrorCode, Fault, Source};

use crate::ApiError;

/// What the request proves about its sender.
#[derive(Debug, Clone)]
pub enum Identity {
    Anonymous,
    Person(Box<Person>, Source),
    Token(Arc<Token>),
    /// An agent that showed its host's certificate.
    Host(Arc<HostCertificate>),
}

impl Identity {
    pub fn caller(&self) -> Option<Caller> {
        match self {
            Self::Anonymous => None,
            Self::Person(person, source) => Some(person.caller(*source)),
            Self::Token(token) => Some(token.caller()),
            Self::Host(certificate) => Some(Caller {
                actor: Actor::agent(&certificate.host),
                name: certificate.host.clone(),
                source: Source::Agent,
                grants: Vec::new(),
            }),
        }
    }
    pub fn name(&self) -> String {
        self.caller().map_or_else(|| "nobody".into(), |c| c.name)
    }
}

/// The signed-in caller of a handler.
pub struct Who(pub Caller);

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Identity>().and_then(Identity::caller);
        caller
            .map(Self)
            .ok_or_else(|| ApiError(Fault::new(ErrorCode::Unauthenticated, "sign in or send a token first")))
    }
}

/// The token a request came with, for routes that depend on its scope (flag clients, agents).
pub struct WithToken(pub Option<Arc<Token>>);

impl<S: Send + Sync> FromRequestParts<S> for WithToken {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(match parts.extensions.get::<Identity>() {
            Some(Identity::Token(token)) => Some(token.clone()),
            _ => None,
        }))
    }
}

/// Name of the session cookie where the address allows the strict one.
pub const COOKIE_STRICT: &str = "__Host-tenfold";
/// Name where people reach the server by plain HTTP on a network address.
pub const COOKIE_PLAIN: &str = "tenfold";

pub fn cookie_name(app: &App) -> &'static str {
    if strict_cookies(app) { COOKIE_STRICT } else { COOKIE_PLAIN }
}

pub fn strict_cookies(app: &App) -> bool {
    let url = &app.settings.public_url;
    url.starts_with("https://") || is_loopback_host(host_of_url(url))
}

fn host_of_url(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

/// Whether a `Host` value names this very machine.
pub fn is_loopback_host(host: &str) -> bool {
    let name = if host.starts_with('[') {
        host.split(']').next().map_or(host, |h| &h[1..])
    } else {
        host.rsplit_once(':').map_or(host, |(name, _)| name)
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

pub fn session_cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(n, _)| *n == name)
        .map(|(_, v)| v.to_owned())
}

/// The secret of `Authorization: Bearer X`, of InfluxDB's `Token X`, or of the bare `X` that Unleash SDKs send; of
/// `Basic` the password, whatever the name is.
fn token_secret(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    if let Some(pair) = value.strip_prefix("Basic ") {
        let pair = base64::engine::general_purpose::STANDARD.decode(pair.trim()).ok()?;
        let (_, password) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
        return Some(password.to_owned().into());
    }
    let value = value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("Token ")).unwrap_or(value);
    Some(value.trim().into())
}

/// Who holds this certificate. That our authority signed it and that it has not run out was seen in the handshake.
pub(crate) fn host_identity(app: &App, shown: &PeerCertificate) -> Result<Identity, Fault> {
    app.agent_certificate(&fingerprint(&shown.0)).map(Identity::Host).ok_or_else(|| {
        Fault::new(ErrorCode::Unauthenticated, "the certificate was revoked, or another server gave it")
            .advice("enrol the host again: tenfold host enrol NAME")
    })
}

/// Finds out who asks.
pub(crate) async fn identity(app: &App, method: &Method, headers: &HeaderMap) -> Result<Identity, Fault> {
    if let Some(secret) = token_secret(headers) {
        return match app.token_by_secret(&secret) {
            Some(token) => Ok(Identity::Token(token)),
            None => Err(Fault::new(ErrorCode::Unauthenticated, "the token is unknown, expired or revoked")
                .advice("an admin makes a new one on the Settings page under Tokens")),
        };
    }
    let Some(secret) = session_cookie(headers, cookie_name(app)) else { return Ok(Identity::Anonymous) };
    if !method.is_safe() && !same_origin(headers) {
        return Err(Fault::forbidden("this request did not come from the server's own page")
            .advice("programs use a token: Authorization: Bearer TOKEN"));
    }
    Ok(match app.session_person(&secret).await? {
        Some(person) => Identity::Person(Box::new(person), door(headers)),
        None => Identity::Anonymous,
    })
}

/// Through which door a person comes: the command line says so by its name. Only told, never a right.
fn door(headers: &HeaderMap) -> Source {
    let agent = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or("");
    if agent.starts_with("tenfold-cli/") { Source::Cli } else { Source::Web }
}

/// A writing request with a cookie counts only if the browser says that the page itself sent it.
fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    match (text("origin"), text("host")) {
        (Some(origin), Some(host)) => host_of_url(origin) == host,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_recognised_and_its_imitations_are_not() {
        for host in ["127.0.0.1", "127.0.0.1:7070", "localhost:7070", "[::1]:7070", "[::1]", "127.9.9.9"] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in ["example.org", "localhost.example.org", "10.0.0.1:7070", "127.0.0.1.example.org", ""] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }

    #[test]
    fn tokens_come_in_many_wrappings() {
        for (value, wanted) in [
            ("Bearer secret", Some("secret")),
            ("Token secret", Some("secret")),
            ("secret", Some("secret")),
            ("Basic YW55Ym9keTpzZTpjcmV0", Some("se:cret")),
            ("Basic ???", None),
            ("Basic YW55Ym9keQ==", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            assert_eq!(token_secret(&headers).as_deref(), wanted, "{value}");
        }
    }

    #[test]
    fn a_cookie_alone_does_not_write() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            let mut h = HeaderMap::new();
            for (n, v) in pairs {
                h.insert(*n, v.parse().unwrap());
            }
            h
        };
        assert!(same_origin(&headers(&[("sec-fetch-site", "same-origin")])));
        assert!(!same_origin(&headers(&[("sec-fetch-site", "cross-site"), ("origin", "http://a"), ("host", "a")])));
        assert!(same_origin(&headers(&[("origin", "http://a:1"), ("host", "a:1")])));
        assert!(!same_origin(&headers(&[("origin", "http://b:1"), ("host", "a:1")])));
        assert!(!same_origin(&headers(&[])));
    }
}
