//! What the relay asks of its upstream, each with a limit on time and size.

use std::time::Duration;

use reqwest::{Client, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenfold_httpkit::error::innermost;
use tenfold_types::Timestamp;

use crate::RelayError;
use crate::tokens::{self, Kind, Known, Scope};

/// Tokens in one question.
pub const TOKENS_ASKED_MAX: usize = 200;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A client waits for this answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What the upstream says of tokens.
pub(crate) enum Answer {
    /// Those it knows.
    Known(Vec<Known>),
    /// It does not let the asking token ask.
    Refused,
    /// It says nothing, and why.
    Nothing(String),
}

/// One token as the question about it is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EdgeToken {
    pub(crate) token: String,
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    #[serde(default)]
    pub(crate) environment: Option<String>,
    #[serde(default)]
    pub(crate) projects: Vec<String>,
    #[serde(default)]
    pub(crate) expires_at: Option<Timestamp>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EdgeTokens {
    pub(crate) tokens: Vec<EdgeToken>,
}

pub(crate) struct Upstream {
    client: Client,
    pub(crate) base: String,
}

impl Upstream {
    pub(crate) fn new(address: &str) -> Result<Self, RelayError> {
        let base = address.trim_end_matches('/').to_owned();
        let rest = base.strip_prefix("http://").or_else(|| base.strip_prefix("https://"));
        if rest.is_none_or(|host| host.is_empty() || host.contains(['@', '?', '#'])) {
            return Err(RelayError::Upstream(address.to_owned()));
        }
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("tenfold-relay/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(RelayError::Http)?;
        Ok(Self { client, base })
    }

    /// Opens the stream of definitions.
    pub(crate) async fn stream(&self, secret: &str, since: Option<&str>) -> reqwest::Result<Response> {
        let mut request = self.client.get(format!("{}/api/client/streaming", self.base));
        if let Some(since) = since {
            request = request.header("last-event-id", since);
        }
        request.header("authorization", secret).header("accept", "text/event-stream").send().await
    }

    /// Asks about tokens, in the name of one of them or of another.
    pub(crate) async fn validate(&self, secret: &str, asked: &[String]) -> Answer {
        match tokio::time::timeout(ANSWER_TIMEOUT, self.ask(secret, asked)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Answer::Nothing(innermost(&error)),
            Err(_) => Answer::Nothing(format!("it did not answer within {} s", ANSWER_TIMEOUT.as_secs())),
        }
    }

    async fn ask(&self, secret: &str, asked: &[String]) -> reqwest::Result<Answer> {
        let request = self.client.post(format!("{}/edge/validate", self.base)).header("authorization", secret);
        let mut response = request.json(&json!({"tokens": asked})).send().await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Ok(Answer::Refused),
            other => return Ok(Answer::Nothing(format!("it answered {other}"))),
        }
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await? {
            body.extend_from_slice(&piece);
            if body.len() > ANSWER_BYTES_MAX {
                return Ok(Answer::Nothing(format!("its answer is larger than {ANSWER_BYTES_MAX} bytes")));
            }
        }
        let Ok(answer) = serde_json::from_slice::<EdgeTokens>(&body) else {
            return Ok(Answer::Nothing("its answer about a token cannot be read".into()));
        };
        Ok(Answer::Known(answer.tokens.into_iter().filter(|t| asked.contains(&t.token)).filter_map(known).collect()))
    }

    /// Sends a report of use; `Err` says why it did not arrive.
    pub(crate) async fn report(&self, secret: &str, report: &Value) -> Result<(), String> {
        let request = self.client.post(format!("{}/api/client/metrics", self.base)).header("authorization", secret);
        match request.json(report).timeout(ANSWER_TIMEOUT).send().await {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(format!("it answered {}", response.status())),
            Err(error) => Err(innermost(&error)),
        }
    }
}

fn known(token: EdgeToken) -> Option<Known> {
    Some(Known {
        digest: tokens::digest(&token.token),
        kind: token.kind,
        scope: Scope::new(token.environment?, token.projects),
        expires_at: token.expires_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        // A second installation in one process is refused and harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        for good in ["http://127.0.0.1:7070", "https://flags.example.org/", "http://[::1]:7070"] {
            assert!(Upstream::new(good).is_ok(), "{good}");
        }
        for bad in ["", "127.0.0.1:7070", "ftp://x", "http://", "http://user@x", "http://x?y"] {
            assert!(Upstream::new(bad).is_err(), "{bad}");
        }
    }
}
