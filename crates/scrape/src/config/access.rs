//! How requests are made to come through: who we say we are, what we trust, and which proxy stands in between.

use std::collections::BTreeMap;

use serde_saphyr::Spanned;

use super::raw::{Authorization, BasicAuth, RawHeader, RawOauth2, RawTls};
use super::read::wrong;
use super::{Auth, ConfigError, Header, Oauth2, Proxy, Secret, Tls, TlsVersion};

/// Headers that a request has of its own, in small letters. Prometheus refuses the same.
const RESERVED: [&str; 18] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "user-agent",
    "www-authenticate",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-prometheus-remote-read-version",
    "x-prometheus-remote-write-version",
    "x-prometheus-scrape-timeout-seconds",
];
/// Headers of one client, with all their values.
const HEADERS_MAX: usize = 100;

/// Checks what Prometheus checks.
pub(super) fn tls(given: Option<&Spanned<RawTls>>) -> Result<Tls, ConfigError> {
    let Some(at) = given else { return Ok(Tls::default()) };
    let filled = |text: Option<String>| text.filter(|t| !t.is_empty());
    let raw = at.value.clone();
    let tls = Tls {
        ca: filled(raw.ca),
        ca_file: filled(raw.ca_file),
        cert: filled(raw.cert),
        cert_file: filled(raw.cert_file),
        key: filled(raw.key).map(Secret::Text),
        key_file: filled(raw.key_file),
        version_min: oldest(at, raw.min_version.as_deref())?,
        version_max: newest(at, raw.max_version.as_deref())?,
        server_name: filled(raw.server_name),
        insecure_skip_verify: raw.insecure_skip_verify,
    };
    for (key, both) in [
        ("ca", tls.ca.is_some() && tls.ca_file.is_some()),
        ("cert", tls.cert.is_some() && tls.cert_file.is_some()),
        ("key", tls.key.is_some() && tls.key_file.is_some()),
    ] {
        if both {
            return Err(wrong(at, format!("`tls_config` has one of `{key}` and `{key}_file` at most")));
        }
    }
    let has_certificate = tls.cert.is_some() || tls.cert_file.is_some();
    let has_key = tls.key.is_some() || tls.key_file.is_some();
    if has_certificate != has_key {
        return Err(wrong(at, "`tls_config` has a certificate and its key, or neither"));
    }
    if tls.version_max == Some(TlsVersion::V1_2) && tls.version_min == Some(TlsVersion::V1_3) {
        return Err(wrong(at, "`max_version` is older than `min_version`"));
    }
    Ok(tls)
}

/// What is older than TLS 1.2 is never spoken, so that an older minimum says nothing.
fn oldest(at: &Spanned<RawTls>, version: Option<&str>) -> Result<Option<TlsVersion>, ConfigError> {
    match version {
        None | Some("" | "TLS10" | "TLS11") => Ok(None),
        Some("TLS12") => Ok(Some(TlsVersion::V1_2)),
        Some("TLS13") => Ok(Some(TlsVersion::V1_3)),
        Some(other) => Err(unknown_version(at, other)),
    }
}

fn newest(at: &Spanned<RawTls>, version: Option<&str>) -> Result<Option<TlsVersion>, ConfigError> {
    match version {
        None | Some("") => Ok(None),
        Some("TLS12") => Ok(Some(TlsVersion::V1_2)),
        Some("TLS13") => Ok(Some(TlsVersion::V1_3)),
        Some("TLS10" | "TLS11") => Err(wrong(at, "`max_version` is TLS12 or TLS13; older ones are not spoken")),
        Some(other) => Err(unknown_version(at, other)),
    }
}

fn unknown_version(at: &Spanned<RawTls>, version: &str) -> ConfigError {
    wrong(at, format!("`{version}` is no version of TLS; write TLS10, TLS11, TLS12 or TLS13"))
}

/// The headers that each request gets besides its own.
pub(super) fn headers(given: Option<&Spanned<BTreeMap<String, RawHeader>>>) -> Result<Vec<Header>, ConfigError> {
    let Some(at) = given else { return Ok(Vec::new()) };
    let mut out = Vec::new();
    for (name, raw) in &at.value {
        header_name(at, name)?;
        if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(wrong(at, format!("`http_headers` cannot set `{name}`")));
        }
        let texts = raw.values.iter().chain(&raw.secrets).cloned().map(Secret::Text);
        let files = raw.files.iter().cloned().map(Secret::File);
        out.extend(texts.chain(files).map(|value| Header { name: name.clone(), value }));
    }
    few(at, out)
}

/// The headers that a proxy gets when it is asked for a tunnel.
pub(super) fn connect_headers(
    given: Option<&Spanned<BTreeMap<String, Vec<String>>>>,
    proxy: &Proxy,
) -> Result<Vec<Header>, ConfigError> {
    let Some(at) = given.filter(|g| !g.value.is_empty()) else { return Ok(Vec::new()) };
    if !matches!(proxy, Proxy::Url { .. }) {
        return Err(wrong(at, "`proxy_connect_header` needs a `proxy_url`"));
    }
    let mut out = Vec::new();
    for (name, values) in &at.value {
        header_name(at, name)?;
        out.extend(values.iter().cloned().map(|value| Header { name: name.clone(), value: Secret::Text(value) }));
    }
    few(at, out)
}

fn few<T>(at: &Spanned<T>, headers: Vec<Header>) -> Result<Vec<Header>, ConfigError> {
    if headers.len() > HEADERS_MAX {
        return Err(wrong(at, format!("there are at most {HEADERS_MAX} headers of each kind")));
    }
    Ok(headers)
}

/// RFC 9110, section 5.6.2.
fn header_name<T>(at: &Spanned<T>, name: &str) -> Result<(), ConfigError> {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(wrong(at, format!("`{name}` is no name of a header")));
    }
    Ok(())
}

fn is_web(url: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme))
}

/// Checks what Prometheus checks. An empty address is none.
pub(super) fn proxy(
    url: Option<&Spanned<String>>,
    except: Option<&Spanned<String>>,
    from_environment: Option<&Spanned<bool>>,
) -> Result<Proxy, ConfigError> {
    let url = url.filter(|u| !u.value.is_empty());
    let except = except.filter(|e| !e.value.is_empty());
    if let Some(at) = from_environment.filter(|f| f.value) {
        if url.is_some() || except.is_some() {
            return Err(wrong(at, "with `proxy_from_environment` there is no `proxy_url` and no `no_proxy`"));
        }
        return Ok(Proxy::Environment);
    }
    match (url, except) {
        (None, None) => Ok(Proxy::None),
        (None, Some(at)) => Err(wrong(at, "`no_proxy` needs a `proxy_url`")),
        (Some(url), except) if is_web(&url.value) => {
            let except = except.map(|e| e.value.clone()).unwrap_or_default();
            Ok(Proxy::Url { url: url.value.clone(), except })
        }
        // The address may hold a password, and is not repeated.
        (Some(url), _) => Err(wrong(url, "`proxy_url` starts with http:// or https://")),
    }
}

/// Every way to say who we are.
#[derive(Default)]
pub(super) struct Credentials<'r> {
    pub basic: Option<&'r Spanned<BasicAuth>>,
    pub authorization: Option<&'r Spanned<Authorization>>,
    pub bearer: Option<&'r Spanned<String>>,
    pub bearer_file: Option<&'r Spanned<String>>,
    pub oauth2: Option<&'r Spanned<RawOauth2>>,
}

pub(super) fn auth(given: &Credentials<'_>) -> Result<Option<Auth>, ConfigError> {
    // As in Prometheus an empty text is none: a template may leave one behind.
    let given = &Credentials {
        bearer: given.bearer.filter(|token| !token.value.is_empty()),
        bearer_file: given.bearer_file.filter(|file| !file.value.is_empty()),
        ..*given
    };
    let lines: Vec<u64> = [
        given.basic.map(|b| b.referenced.line()),
        given.authorization.map(|a| a.referenced.line()),
        given.bearer.map(|b| b.referenced.line()),
        given.bearer_file.map(|b| b.referenced.line()),
        given.oauth2.map(|o| o.referenced.line()),
    ]
    .into_iter()
    .flatten()
    .collect();
    if lines.len() > 1 {
        let line = lines.iter().copied().max().unwrap_or(0);
        let message = "one of `basic_auth`, `authorization`, `bearer_token` and `oauth2` at most".to_owned();
        return Err(ConfigError { line, message });
    }
    let bearer_of = |credentials| Some(Auth::Credentials { kind: "Bearer".to_owned(), credentials });
    if let Some(token) = given.bearer {
        return Ok(bearer_of(Secret::Text(token.value.clone())));
    }
    if let Some(file) = given.bearer_file {
        return Ok(bearer_of(Secret::File(file.value.clone())));
    }
    if let Some(at) = given.oauth2 {
        return oauth2(at).map(|oauth| Some(Auth::Oauth2(Box::new(oauth))));
    }
    if let Some(at) = given.authorization {
        let raw = &at.value;
        let kind = raw.kind.as_deref().map(str::trim).filter(|kind| !kind.is_empty()).unwrap_or("Bearer").to_owned();
        if kind.eq_ignore_ascii_case("basic") {
            return Err(wrong(at, "`authorization` with the type Basic: use `basic_auth`"));
        }
        let credentials = secret(at, "credentials", raw.credentials.as_ref(), raw.credentials_file.as_ref())?;
        return Ok(Some(Auth::Credentials { kind, credentials }));
    }
    let Some(at) = given.basic else { return Ok(None) };
    let raw = &at.value;
    let none = Secret::Text(String::new());
    let optional = |key, text: Option<&String>, file: Option<&String>| match (text, file.filter(|f| !f.is_empty())) {
        (None, None) => Ok(none.clone()),
        (text, file) => secret(at, key, text, file),
    };
    let username = optional("username", raw.username.as_ref(), raw.username_file.as_ref())?;
    let password = optional("password", raw.password.as_ref(), raw.password_file.as_ref())?;
    Ok(Some(Auth::Basic { username, password }))
}

fn oauth2(at: &Spanned<RawOauth2>) -> Result<Oauth2, ConfigError> {
    let raw = &at.value;
    if raw.client_id.is_empty() {
        return Err(wrong(at, "`oauth2` needs a `client_id`"));
    }
    if !is_web(&raw.token_url) {
        return Err(wrong(at, "`oauth2` needs a `token_url`, which starts with http:// or https://"));
    }
    Ok(Oauth2 {
        client_id: raw.client_id.clone(),
        client_secret: secret(at, "client_secret", raw.client_secret.as_ref(), raw.client_secret_file.as_ref())?,
        scopes: raw.scopes.clone(),
        token_url: raw.token_url.clone(),
        parameters: raw.endpoint_params.clone(),
        tls: tls(raw.tls_config.as_ref())?,
        proxy: proxy(raw.proxy_url.as_ref(), raw.no_proxy.as_ref(), raw.proxy_from_environment.as_ref())?,
    })
}

fn secret<T>(at: &Spanned<T>, key: &str, text: Option<&String>, file: Option<&String>) -> Result<Secret, ConfigError> {
    match (text, file.filter(|file| !file.is_empty())) {
        (Some(text), None) => Ok(Secret::Text(text.clone())),
        (None, Some(file)) => Ok(Secret::File(file.clone())),
        (Some(text), Some(file)) if text.is_empty() => Ok(Secret::File(file.clone())),
        _ => Err(wrong(at, format!("one of `{key}` and `{key}_file` is needed, and not both"))),
    }
}
