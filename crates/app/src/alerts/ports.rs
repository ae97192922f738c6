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
    /// An incoming webhook of the service, as with the three that follow.
    Slack,
    Mattermost,
    Discord,
    Teams,
    /// A bot of the server's writes into a chat.
    Telegram,
    Matrix,
    Ntfy,
    Gotify,
    Pushover,
    Pagerduty,
    Opsgenie,
    /// A text message, and a call.
    Sms,
    Voice,
}

impl Channel {
    pub const ALL: [Self; 17] = [
        Self::Mail,
        Self::Irc,
        Self::Webhook,
        Self::Web,
        Self::Slack,
        Self::Mattermost,
        Self::Discord,
        Self::Teams,
        Self::Telegram,
        Self::Matrix,
        Self::Ntfy,
        Self::Gotify,
        Self::Pushover,
        Self::Pagerduty,
        Self::Opsgenie,
        Self::Sms,
        Self::Voice,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Webhook => "webhook",
            Self::Irc => "irc",
            Self::Web => "web",
            Self::Slack => "slack",
            Self::Mattermost => "mattermost",
            Self::Discord => "discord",
            Self::Teams => "teams",
            Self::Telegram => "telegram",
            Self::Matrix => "matrix",
            Self::Ntfy => "ntfy",
            Self::Gotify => "gotify",
            Self::Pushover => "pushover",
            Self::Pagerduty => "pagerduty",
            Self::Opsgenie => "opsgenie",
            Self::Sms => "sms",
            Self::Voice => "voice",
        }
    }
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.as_str() == text)
    }

    /// What is wrong with an address of this channel, if anything is.
    pub fn wrong_target(self, to: &str) -> Option<&'static str> {
        let web = to.starts_with("https://") || to.starts_with("http://");
        let phone =
            to.strip_prefix('+').is_some_and(|d| (6..=15).contains(&d.len()) && d.bytes().all(|b| b.is_ascii_digit()));
        let room = to.starts_with(['!', '#']) && to.contains(':');
        let chat = to.starts_with('@') || to.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit());
        match self {
            Self::Slack | Self::Mattermost | Self::Discord | Self::Teams if !web => {
                Some("the address of an incoming webhook, which starts with https://")
            }
            Self::Ntfy if !web => Some("the address of a topic, such as https://ntfy.sh/my-topic"),
            Self::Matrix if !room => Some("a room, such as !abc:example.org"),
            Self::Telegram if !chat => Some("a chat's number, or @ and the name of a channel"),
            Self::Sms | Self::Voice if !phone => Some("a number with its country, such as +4930123456"),
            Self::Gotify | Self::Pushover | Self::Pagerduty | Self::Opsgenie if to.contains(char::is_whitespace) => {
                Some("a key without blanks")
            }
            Self::Mail | Self::Webhook | Self::Irc | Self::Web => Some("a field of its own, not one of `channels`"),
            _ => None,
        }
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
    /// It would take a smaller one.
    pub too_large: bool,
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

/// Posts to the webhooks of receivers; implemented by the crate `notify`.
#[async_trait]
pub trait WebhookPoster: Send + Sync {
    /// Posts a JSON body, and returns when the receiver has taken it. The same key means the same message.
    async fn post(&self, url: &str, body: String, key: &str, timeout: std::time::Duration) -> Result<(), NotifyError>;
}

/// Evaluates rule expressions. The server's own metrics do; tests bring their own.
#[async_trait]
pub trait RuleSource: Send + Sync {
    /// Series and values of an instant query.
    async fn evaluate(&self, expr: &str, at: Timestamp) -> Result<Vec<(Labels, f64)>, String>;
    /// Takes what recording rules and the states of alerts bring.
    fn record(&self, rows: Vec<(Labels, f64)>, at: Timestamp);
}
