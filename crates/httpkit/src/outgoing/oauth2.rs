//! Tokens of OAuth 2.0 for a client that asks for itself (RFC 6749, section 4.4), kept until shortly before they end.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tenfold_scrape::Oauth2;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Client, Files, HttpClient, Redirects, basic, plain, secret};
use crate::body::{BodyError, whole};

/// Largest answer of a server that gives tokens, in bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// A token is no longer used so long before its end.
const EARLY: Duration = Duration::from_secs(10);
/// One that does not say when it ends is asked for anew after this long.
const USUAL: Duration = Duration::from_hours(1);

/// Tokens for one client.
pub(super) struct Tokens {
    config: Oauth2,
    files: Arc<Files>,
    client: Box<Client>,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    /// The header `Authorization`.
    header: String,
    /// What it was asked for with: another secret needs another token.
    secret: String,
    until: Instant,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    #[serde(default)]
    token_type: String,
    expires_in: Option<Seconds>,
}

/// Some servers write the number as a text, Azure's older address for tokens among them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
}

impl Answer {
    /// How long the token is used.
    fn lives(&self) -> Duration {
        let seconds = match &self.expires_in {
            Some(Seconds::Number(seconds)) => Some(*seconds),
            Some(Seconds::Text(text)) => text.trim().parse::<f64>().ok(),
            None => None,
        };
        let lives = seconds.filter(|s| *s > 0.0).and_then(|s| Duration::try_from_secs_f64(s).ok());
        lives.unwrap_or(USUAL).min(USUAL).saturating_sub(EARLY)
    }
}

impl Tokens {
    pub(super) fn new(config: &Oauth2, files: Arc<Files>) -> Self {
        let http = HttpClient { tls: config.tls.clone(), proxy: config.proxy.clone(), ..HttpClient::default() };
        // The form may hold the secret: it goes to no other place.
        let client = Box::new(Client::new(&http, files.clone(), Redirects::Same));
        Self { config: config.clone(), files, client, kept: Mutex::default() }
    }

    /// The header for a request now.
    pub(super) async fn header(&self) -> Result<String, String> {
        let secret = secret(&self.config.client_secret, &self.files).await?;
        // Held while asking, so that many targets do not ask at once.
        let mut kept = self.kept.lock().await;
        if let Some(kept) = kept.as_ref().filter(|k| k.secret == secret && Instant::now() < k.until) {
            return Ok(kept.header.clone());
        }
        let answer = self.ask(&secret).await.map_err(|reason| format!("no token from the token_url: {reason}"))?;
        let kind = if answer.token_type.is_empty() || answer.token_type.eq_ignore_ascii_case("bearer") {
            "Bearer"
        } else {
            answer.token_type.as_str()
        };
        let header = format!("{kind} {}", answer.access_token);
        *kept = Some(Kept { header: header.clone(), secret, until: Instant::now() + answer.lives() });
        Ok(header)
    }

    /// Forgets a token that a target did not take.
    pub(super) async fn forget(&self) {
        *self.kept.lock().await = None;
    }

    /// With the secret in the header, and where the server does not take that, in the form.
    async fn ask(&self, secret: &str) -> Result<Answer, String> {
        match self.post(secret, true).await {
            Err(Refused { is_of_client: true, .. }) => self.post(secret, false).await.map_err(|refused| refused.reason),
            other => other.map_err(|refused| refused.reason),
        }
    }

    async fn post(&self, secret: &str, in_header: bool) -> Result<Answer, Refused> {
        let config = &self.config;
        let http = self.client.http().await?;
        let request = http
            .usual
            .post(&config.token_url)
            .header("accept", "application/json")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form(config, (!in_header).then_some(secret)));
        let request = if in_header {
            request.header("authorization", basic(&encoded(&config.client_id), &encoded(secret)))
        } else {
            request
        };
        let response = http.send(request).await?;
        let status = response.status();
        if !status.is_success() {
            let is_of_client = matches!(status.as_u16(), 400 | 401);
            return Err(Refused { reason: format!("it answered {status}"), is_of_client });
        }
        let body = whole(response.bytes_stream(), ANSWER_BYTES_MAX).await.map_err(|e| match e {
            BodyError::Broken(e) => plain(&e),
            BodyError::TooLarge => format!("the answer is larger than {ANSWER_BYTES_MAX} bytes"),
        })?;
        let answer = serde_json::from_slice::<Answer>(&body);
        answer.map_err(|_| Refused::from("the answer is no JSON object with an access_token".to_owned()))
    }
}

fn form(config: &Oauth2, secret: Option<&str>) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if !config.scopes.is_empty() {
        form.append_pair("scope", &config.scopes.join(" "));
    }
    form.extend_pairs(&config.parameters);
    if let Some(secret) = secret {
        form.append_pair("client_id", &config.client_id).append_pair("client_secret", secret);
    }
    form.finish()
}

/// As section 2.3.1 of RFC 6749 has it for the header.
fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

struct Refused {
    reason: String,
    /// The way in which the client said who it is may be the reason.
    is_of_client: bool,
}

impl From<String> for Refused {
    fn from(reason: String) -> Self {
        Self { reason, is_of_client: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lives_as_long_as_its_server_says_in_any_form() {
        for (said, seconds) in [
            ("", 3_590),
            (r#", "expires_in": null"#, 3_590),
            (r#", "expires_in": 60"#, 50),
            (r#", "expires_in": 60.5"#, 50),
            (r#", "expires_in": "3599""#, 3_589),
            (r#", "expires_in": "soon""#, 3_590),
            (r#", "expires_in": 5"#, 0),
            (r#", "expires_in": 86400"#, 3_590),
        ] {
            let answer: Answer = serde_json::from_str(&format!("{{\"access_token\": \"t\"{said}}}")).expect("a token");
            assert_eq!(answer.lives().as_secs(), seconds, "{said}");
        }
    }
}
