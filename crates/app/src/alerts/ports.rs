//! What the alerts part needs from outside: somewhere to send pages, and somebody who evaluates expressions.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tenfold_types::{Labels, Timestamp};

/// Ways to reach a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    Mail,
    Webhook,
    /// A direct message on the chat network.
    Irc,
    /// The page itself; shown, never proof that anybody saw it.
    Web,
}

impl Channel {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Webhook => "webhook",
            Self::Irc => "irc",
            Self::Web => "web",
        }
    }
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Mail, Self::Webhook, Self::Irc, Self::Web].into_iter().find(|c| c.as_str() == text)
    }
}

/// A page as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// One line.
    pub subject: String,
    /// Plain text, with links.
    pub text: String,
    /// Address of the incident's page.
    pub link: String,
    /// What belongs to one conversation (`incident-3`).
    pub thread: String,
    /// The incident's number; 0 for a test page.
    pub incident: i64,
    pub service: Option<String>,
    pub environment: Option<String>,
    pub severity: String,
    pub at: Timestamp,
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotifyError {
    /// Trying again will not help (unknown address, refused for good).
    pub permanent: bool,
    /// How long the receiver asks to be left alone.
    pub retry_after_ms: Option<i64>,
    pub message: String,
}

/// Sends messages; implemented by the crate `notify`.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Whether this channel is set up at all.
    fn serves(&self, channel: Channel) -> bool;
    /// Sends, and returns when the receiver has taken the message. The same key means the same message: a receiver that
    /// knows keys (or a mail reader that knows message ids) shows it once.
    async fn send(
        &self,
        channel: Channel,
        to: &str,
        message: &Notice,
        idempotency_key: &str,
    ) -> Result<(), NotifyError>;
}

/// Evaluates rule expressions. The server's own metrics do; tests bring their own.
#[async_trait]
pub trait RuleSource: Send + Sync {
    /// Series and values of an instant query.
    async fn evaluate(&self, expr: &str, at: Timestamp) -> Result<Vec<(Labels, f64)>, String>;
    /// Takes what recording rules and the states of alerts bring.
    fn record(&self, rows: Vec<(Labels, f64)>, at: Timestamp);
}
