//! A page that answers.

use std::time::Instant;

use tenfold_alerting::checks::CheckStatus;
use tenfold_app::checks::Http;
use tenfold_httpkit::body::beginning;

use super::{Said, roots, seconds, slow, word};

/// Bytes of a page that are searched.
const BODY_BYTES_MAX: usize = 4 << 20;

/// Whether a look goes where an answer points to is its client's matter.
pub struct Clients {
    follows: reqwest::Client,
    stays: reqwest::Client,
}

impl Clients {
    /// # Errors
    /// A client cannot be set up.
    pub fn new() -> Result<Self, reqwest::Error> {
        Ok(Self { follows: client(true, Vec::new())?, stays: client(false, Vec::new())? })
    }
}

pub async fn look(clients: &Clients, http: &Http) -> Said {
    let began = Instant::now();
    match answer(clients, http).await {
        Ok((code, size)) => {
            let took = seconds(began);
            let status = slow(took, http.warning_seconds);
            let text =
                format!("HTTP {} - {code}, {size} bytes in {took:.3} s|time={took:.6}s size={size}B", word(status));
            (status, text)
        }
        Err(message) => (CheckStatus::Critical, format!("HTTP CRITICAL - {}: {message}", http.url)),
    }
}

/// A client for checks; with a file it trusts the authorities in it beside those of this machine.
///
/// # Errors
/// The client cannot be set up.
fn client(follow: bool, authorities: Vec<reqwest::Certificate>) -> Result<reqwest::Client, reqwest::Error> {
    let redirects = if follow { reqwest::redirect::Policy::limited(5) } else { reqwest::redirect::Policy::none() };
    let plain = reqwest::Client::builder()
        .redirect(redirects)
        .user_agent(concat!("tenfold-check/", env!("CARGO_PKG_VERSION")))
        .pool_max_idle_per_host(0);
    authorities.into_iter().fold(plain, reqwest::ClientBuilder::add_root_certificate).build()
}

/// The file is read at every look: who renews it need not tell the server.
async fn trusting(follow: bool, file: &str) -> Result<reqwest::Client, String> {
    let text = roots::text(file).await?;
    let authorities = reqwest::Certificate::from_pem_bundle(&text).map_err(|e| format!("{file}: {}", reason(&e)))?;
    if authorities.is_empty() {
        return Err(format!("{file}: it holds no certificate"));
    }
    client(follow, authorities).map_err(|e| format!("{file}: {}", reason(&e)))
}

async fn answer(clients: &Clients, http: &Http) -> Result<(u16, usize), String> {
    let own = match &http.ca_file {
        Some(file) => Some(trusting(http.follow, file).await?),
        None => None,
    };
    let client = own.as_ref().unwrap_or(if http.follow { &clients.follows } else { &clients.stays });
    let method = reqwest::Method::from_bytes(http.method.as_bytes()).map_err(|e| e.to_string())?;
    let mut request = client.request(method, &http.url);
    for (name, value) in &http.headers {
        request = request.header(name, value);
    }
    if !http.body.is_empty() {
        request = request.body(http.body.clone());
    }
    let response = request.send().await.map_err(|e| reason(&e))?;
    let code = response.status().as_u16();
    let good = if http.status.is_empty() { (200..400).contains(&code) } else { http.status.contains(&code) };
    if !good {
        return Err(format!("it answers {code}"));
    }
    let (body, broken) = beginning(response.bytes_stream(), BODY_BYTES_MAX).await;
    if let Some(e) = broken {
        return Err(reason(&e));
    }
    let wanted = http.contains.as_bytes();
    if !wanted.is_empty() && !body.windows(wanted.len()).any(|w| w == wanted) {
        return Err(format!("the page does not hold `{:.100}`", http.contains));
    }
    Ok((code, body.len()))
}

/// The innermost reason, which says what a person wants to know.
fn reason(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
