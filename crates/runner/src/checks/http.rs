//! A page that answers.

use std::sync::Arc;
use std::time::Instant;

use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;
use tenfold_alerting::checks::CheckStatus;
use tenfold_app::checks::{HeaderSecret, Http};
use tenfold_httpkit::body::beginning;
use tenfold_httpkit::error::innermost;
use tenfold_httpkit::outgoing::Files;

use super::{Said, limits, roots, seconds, slow, word};

/// Bytes of a page that are searched.
const BODY_BYTES_MAX: usize = 4 << 20;
const REDIRECTS_MAX: usize = 5;

/// Whether a look goes where an answer points to is its client's matter.
pub struct Clients {
    follows: reqwest::Client,
    stays: reqwest::Client,
    /// Goes nowhere else: for requests that carry secrets.
    same: reqwest::Client,
    files: Arc<Files>,
}

/// Where a client goes that an answer points to.
#[derive(Debug, Clone, Copy)]
enum Follow {
    Anywhere,
    /// To the same scheme, host and port; pointed elsewhere, it fails.
    Same,
    No,
}

impl Follow {
    fn of(http: &Http) -> Self {
        match (http.follow, http.secret_headers.is_empty()) {
            (false, _) => Self::No,
            (true, true) => Self::Anywhere,
            (true, false) => Self::Same,
        }
    }

    fn policy(self) -> Policy {
        match self {
            Self::Anywhere => Policy::limited(REDIRECTS_MAX),
            Self::No => Policy::none(),
            Self::Same => Policy::custom(|attempt| {
                let same = attempt.previous().last().is_some_and(|from| from.origin() == attempt.url().origin());
                if !same {
                    return attempt.error("it points to another place, where `secret_headers` do not go");
                }
                if attempt.previous().len() > REDIRECTS_MAX {
                    return attempt.error("it points on and on");
                }
                attempt.follow()
            }),
        }
    }
}

impl Clients {
    /// # Errors
    /// A client cannot be set up.
    pub fn new(files: Arc<Files>) -> Result<Self, reqwest::Error> {
        Ok(Self {
            follows: client(Follow::Anywhere, Vec::new())?,
            stays: client(Follow::No, Vec::new())?,
            same: client(Follow::Same, Vec::new())?,
            files,
        })
    }

    /// With the folder that files of secrets are in.
    pub fn with_files(self, files: Arc<Files>) -> Self {
        Self { files, ..self }
    }

    fn of(&self, http: &Http) -> &reqwest::Client {
        match Follow::of(http) {
            Follow::Anywhere => &self.follows,
            Follow::Same => &self.same,
            Follow::No => &self.stays,
        }
    }

    /// Files are read at every look: a new secret counts at once.
    async fn secret(&self, secret: &HeaderSecret) -> Result<String, String> {
        match secret {
            HeaderSecret::Text(text) => Ok(text.clone()),
            HeaderSecret::File(named) => {
                let (files, file) = (self.files.clone(), named.file.clone());
                tokio::task::spawn_blocking(move || files.secret(&file)).await.map_err(|e| e.to_string())?
            }
        }
    }
}

pub async fn look(clients: &Clients, http: &Http) -> Said {
    let began = Instant::now();
    match answer(clients, http).await {
        Ok((code, size)) => {
            let took = seconds(began);
            let status = slow(took, http.warning_seconds, http.critical_seconds);
            let limits = limits(http.warning_seconds, http.critical_seconds);
            let said = format!("{code}, {size} bytes in {took:.3} s");
            let text = format!("HTTP {} - {said}|time={took:.6}s{limits} size={size}B", word(status));
            (status, text)
        }
        Err(message) => (CheckStatus::Critical, format!("HTTP CRITICAL - {}: {message}", http.url)),
    }
}

/// A client for checks; with a file it trusts the authorities in it beside those of this machine.
///
/// # Errors
/// The client cannot be set up.
fn client(follow: Follow, authorities: Vec<reqwest::Certificate>) -> Result<reqwest::Client, reqwest::Error> {
    let plain = reqwest::Client::builder()
        .redirect(follow.policy())
        .user_agent(concat!("tenfold-check/", env!("CARGO_PKG_VERSION")))
        .pool_max_idle_per_host(0);
    authorities.into_iter().fold(plain, reqwest::ClientBuilder::add_root_certificate).build()
}

/// The file is read at every look: who renews it need not tell the server.
async fn trusting(follow: Follow, file: &str) -> Result<reqwest::Client, String> {
    let text = roots::text(file).await?;
    let authorities = reqwest::Certificate::from_pem_bundle(&text).map_err(|e| format!("{file}: {}", innermost(&e)))?;
    if authorities.is_empty() {
        return Err(format!("{file}: it holds no certificate"));
    }
    client(follow, authorities).map_err(|e| format!("{file}: {}", innermost(&e)))
}

async fn answer(clients: &Clients, http: &Http) -> Result<(u16, usize), String> {
    let own = match &http.ca_file {
        Some(file) => Some(trusting(Follow::of(http), file).await?),
        None => None,
    };
    let client = own.as_ref().unwrap_or_else(|| clients.of(http));
    let method = reqwest::Method::from_bytes(http.method.as_bytes()).map_err(|e| e.to_string())?;
    let mut request = client.request(method, &http.url);
    for (name, value) in &http.headers {
        request = request.header(name, value);
    }
    for (name, secret) in &http.secret_headers {
        let value = clients.secret(secret).await?;
        // What is wrong with it is not repeated.
        let mut value = HeaderValue::from_str(&value).map_err(|_| format!("`{name}` cannot be sent as a header"))?;
        value.set_sensitive(true);
        request = request.header(name, value);
    }
    if !http.body.is_empty() {
        request = request.body(http.body.clone());
    }
    let response = request.send().await.map_err(|e| innermost(&e))?;
    let code = response.status().as_u16();
    let good = if http.status.is_empty() { (200..400).contains(&code) } else { http.status.contains(&code) };
    if !good {
        return Err(format!("it answers {code}"));
    }
    let (body, broken) = beginning(response.bytes_stream(), BODY_BYTES_MAX).await;
    if let Some(e) = broken {
        return Err(innermost(&e));
    }
    let holds = |text: &str| body.windows(text.len().max(1)).any(|part| part == text.as_bytes());
    if !http.contains.is_empty() && !holds(&http.contains) {
        return Err(format!("the page does not hold `{:.100}`", http.contains));
    }
    if !http.absent.is_empty() && holds(&http.absent) {
        return Err(format!("the page holds `{:.100}`", http.absent));
    }
    Ok((code, body.len()))
}
