//! How requests are made to come through: who we say we are, what we trust, and which proxy stands in between.

use serde_saphyr::Spanned;

use super::raw::{Authorization, BasicAuth, RawOauth2, RawTls};
use super::read::wrong;
use super::{Auth, ConfigError, Oauth2, Proxy, Secret, Tls};

pub(super) fn tls(raw: Option<&RawTls>) -> Tls {
    let raw = raw.cloned().unwrap_or_default();
    Tls {
        ca_file: raw.ca_file,
        cert_file: raw.cert_file,
        key_file: raw.key_file,
        insecure_skip_verify: raw.insecure_skip_verify,
    }
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
        let kind = raw.kind.clone().map_or_else(|| "Bearer".to_owned(), |k| k.trim().to_owned());
        if kind.eq_ignore_ascii_case("basic") {
            return Err(wrong(at, "`authorization` with the type Basic: use `basic_auth`"));
        }
        let credentials = secret(at, "credentials", raw.credentials.as_ref(), raw.credentials_file.as_ref())?;
        return Ok(Some(Auth::Credentials { kind, credentials }));
    }
    let Some(at) = given.basic else { return Ok(None) };
    let raw = &at.value;
    let none = Secret::Text(String::new());
    let optional = |key, text: Option<&String>, file: Option<&String>| match (text, file) {
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
        tls: tls(raw.tls_config.as_ref()),
        proxy: proxy(raw.proxy_url.as_ref(), raw.no_proxy.as_ref(), raw.proxy_from_environment.as_ref())?,
    })
}

fn secret<T>(at: &Spanned<T>, key: &str, text: Option<&String>, file: Option<&String>) -> Result<Secret, ConfigError> {
    match (text, file) {
        (Some(text), None) => Ok(Secret::Text(text.clone())),
        (None, Some(file)) => Ok(Secret::File(file.clone())),
        _ => Err(wrong(at, format!("one of `{key}` and `{key}_file` is needed, and not both"))),
    }
}
