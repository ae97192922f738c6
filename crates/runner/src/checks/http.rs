//! A page that answers.

use std::time::Instant;

use tenfold_alerting::checks::CheckStatus;
use tenfold_app::checks::Http;
use tenfold_httpkit::body::beginning;

use super::{Said, roots, seconds, slow, word};

/// Bytes of a page that are searched.
const BODY_BYTES_MAX: usize = 4 << 20;

pub async fn look(client: &reqwest::Client, http: &Http) -> Said {
    let began = Instant::now();
    match answer(client, http).await {
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
pub fn client(authorities: Vec<reqwest::Certificate>) -> Result<reqwest::Client, reqwest::Error> {
    let plain = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::limited(5))
        .user_agent(concat!("tenfold-check/", env!("CARGO_PKG_VERSION")))
        .pool_max_idle_per_host(0);
    authorities.into_iter().fold(plain, reqwest::ClientBuilder::add_root_certificate).build()
}

/// The file is read at every look: who renews it need not tell the server.
async fn trusting(file: &str) -> Result<reqwest::Client, String> {
    let text = roots::text(file).await?;
    let authorities = reqwest::Certificate::from_pem_bundle(&text).map_err(|e| format!("{file}: {}", reason(&e)))?;
    if authorities.is_empty() {
        return Err(format!("{file}: it holds no certificate"));
    }
    client(authorities).map_err(|e| format!("{file}: {}", reason(&e)))
}

async fn answer(client: &reqwest::Client, http: &Http) -> Result<(u16, usize), String> {
    let own = match &http.ca_file {
        Some(file) => Some(trusting(file).await?),
        None => None,
    };
    let client = own.as_ref().unwrap_or(client);
    let response = client.get(&http.url).send().await.map_err(|e| reason(&e))?;
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
