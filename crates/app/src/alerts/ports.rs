//! What the alerts part needs from outside: somewhere to send pages, and somebody who evaluates expressions.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tenfold_types::{Labels, Timestamp};

pub use tenfold_alerting::webhook::{WebhookSpec, check_url};

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
    /// Every browser in which the person turned pages on.
    Webpush,
    Pagerduty,
    Opsgenie,
    /// A text message, and a call.
    Sms,
    Voice,
}

impl Channel {
    pub const ALL: [Self; 18] = [
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
        Self::Webpush,
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
            Self::Webpush => "webpush",
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
            Self::Webpush => Some("the browser's own: turn it on in that browser, on the Settings page"),
            _ => None,
        }
    }
}

/// What those who were paged are told later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateKind {
    /// More alerts joined, or it is open again.
    Grown,
    Acknowledged,
    Over,
}

impl UpdateKind {
    pub const ALL: [Self; 3] = [Self::Grown, Self::Acknowledged, Self::Over];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grown => "grown",
            Self::Acknowledged => "acknowledged",
            Self::Over => "over",
        }
    }
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == text)
    }
}

impl Channel {
    /// Whether the message of a page itself is changed, so that nothing new comes in.
    pub const fn edits(self) -> bool {
        matches!(self, Self::Telegram | Self::Discord | Self::Matrix | Self::Pagerduty | Self::Opsgenie)
    }

    /// Whether a message comes in here without ringing, so that a digest may go this way.
    pub const fn tells_quietly(self) -> bool {
        matches!(
            self,
            Self::Mail
                | Self::Webhook
                | Self::Irc
                | Self::Slack
                | Self::Mattermost
                | Self::Discord
                | Self::Teams
                | Self::Telegram
                | Self::Matrix
                | Self::Ntfy
                | Self::Gotify
        )
    }

    /// Whether a page opens something there that is to be closed, and that pages again when it is opened anew.
    pub const fn closes(self) -> bool {
        matches!(self, Self::Pagerduty | Self::Opsgenie)
    }

    /// Whether a critical page rings on until it is told that it need not.
    pub const fn rings_on(self) -> bool {
        matches!(self, Self::Pushover)
    }

    /// Whether news is told here: never where it would ring, nor where the room hears it anyway.
    pub const fn hears(self, kind: UpdateKind) -> bool {
        match self {
            Self::Mail | Self::Webhook | Self::Slack | Self::Mattermost | Self::Teams | Self::Ntfy | Self::Gotify => {
                !matches!(kind, UpdateKind::Acknowledged)
            }
            // It takes the place of what is shown, which would ask for an acknowledgement still; what rings on is to stop.
            Self::Webpush | Self::Pushover => true,
            other => other.edits(),
        }
    }
}

/// News of an incident for somebody whose page was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    pub kind: UpdateKind,
    /// What the service calls the message of the page, when it said so.
    pub message: Option<String>,
    /// The key under which the page itself was sent.
    pub page_key: String,
    /// What is new, in one line.
    pub news: String,
    /// All of it as it stands now, under the subject of the page.
    pub notice: Notice,
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

impl NotifyError {
    /// It is tried again after the usual wait.
    pub(crate) fn later(message: impl Into<String>) -> Self {
        Self { too_large: false, permanent: false, retry_after_ms: None, message: message.into() }
    }
}

/// A browser that takes pushes, as its `PushSubscription` says (Push API).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushTo {
    /// Given by the browser's push service; who has it and the keys can push.
    pub endpoint: String,
    /// Its P-256 public key, base64url.
    pub p256dh: String,
    /// Its secret, base64url.
    pub auth: String,
    /// Whose browser it is; the page that it shows says so.
    pub login: String,
}

/// What is pushed to a browser.
#[derive(Debug, Clone, Copy)]
pub enum Push<'a> {
    Page(&'a Notice),
    News(&'a Update),
}

/// Why a browser was not pushed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushError {
    /// The push service knows it no more; it never will again.
    Gone,
    Failed(NotifyError),
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
    /// The same, with what the receiver calls the message, when it says so: by that it is changed later.
    async fn deliver(
        &self,
        channel: Channel,
        to: &str,
        message: &Notice,
        idempotency_key: &str,
    ) -> Result<Option<String>, NotifyError> {
        self.send(channel, to, message, idempotency_key).await.map(|()| None)
    }
    /// Tells what became of it to somebody whose page was taken, without waking them: by changing the message where the
    /// channel can, else by an answer to it or a short quiet message. The same key means the same news.
    async fn update(
        &self,
        channel: Channel,
        _to: &str,
        _update: &Update,
        _idempotency_key: &str,
    ) -> Result<(), NotifyError> {
        let message = format!("{} tells nothing after the page", channel.as_str());
        Err(NotifyError { too_large: false, permanent: true, retry_after_ms: None, message })
    }
    /// Whether the provider of text messages and calls signed this: the address it was told to ask, and the fields of the
    /// form it sent there.
    fn phone_signed(&self, _url: &str, _fields: &[(String, String)], _signature: &str) -> bool {
        false
    }
    /// The public key that browsers subscribe with, base64url.
    async fn push_key(&self) -> Result<String, NotifyError> {
        let message = "pushes to browsers are not set up".to_owned();
        Err(NotifyError { too_large: false, permanent: true, retry_after_ms: None, message })
    }
    /// Pushes to one browser, and returns when its push service has taken the message.
    async fn push(&self, _to: &PushTo, _what: Push<'_>, _idempotency_key: &str) -> Result<(), PushError> {
        let message = "pushes to browsers are not set up".to_owned();
        Err(PushError::Failed(NotifyError { too_large: false, permanent: true, retry_after_ms: None, message }))
    }
}

/// Posts to the webhooks of receivers; implemented by the crate `notify`.
#[async_trait]
pub trait WebhookPoster: Send + Sync {
    /// Posts a JSON body, and returns when the receiver has taken it. The same key means the same message.
    async fn post(&self, to: &WebhookSpec, body: String, key: &str) -> Result<(), NotifyError>;
    /// Whether the files that it names may be read and can be.
    ///
    /// # Errors
    /// Which cannot, and what to do.
    async fn check(&self, _to: &WebhookSpec) -> Result<(), String> {
        Ok(())
    }
}

/// Evaluates rule expressions. The server's own metrics do; tests bring their own.
#[async_trait]
pub trait RuleSource: Send + Sync {
    /// Series and values of an instant query.
    async fn evaluate(&self, expr: &str, at: Timestamp) -> Result<Vec<(Labels, f64)>, String>;
    /// Takes what recording rules and the states of alerts bring.
    fn record(&self, rows: Vec<(Labels, f64)>, at: Timestamp);
}
