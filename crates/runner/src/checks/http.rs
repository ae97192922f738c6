//! A page that answers.

use std::time::Instant;

use tenfold_alerting::checks::CheckStatus;
use tenfold_app::checks::Http;
use tenfold_httpkit::body::beginning;

use super::{Said, seconds, slow, word};

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

async fn answer(client: &reqwest::Client, http: &Http) -> Result<(u16, usize), String> {
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
