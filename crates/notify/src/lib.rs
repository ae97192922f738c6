//! Sends pages (mail over SMTP, signed webhooks, the services people have at hand), sends alerts on to other Alertmanagers,
//! and tells forges how deploys go. Implements the ports `Notifier` and `AlertSender` of the alerts part and `ForgeClient` of
//! the forges part.
//!
//! The edge decides nothing: whom to page, when to try again and when to stop is the application's. It only says whether
//! a receiver took a message, put it off or refused it for good. It never follows a redirect, never logs a message's text,
//! and takes its time from the clock it is given.

mod forge;
mod forward;
mod mail;
mod path;
pub mod services;
pub mod watch;
mod webhook;
mod webpush;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tenfold_app::alerts::{Channel, Notice, Notifier, NotifyError, Push, PushError, PushTo, Update};
use tenfold_app::{App, Settings};
use tenfold_types::Clock;

pub use forge::Forges;
pub use forward::Forward;
pub use mail::Mail;
pub use webhook::{SECRET_FILE, Webhook, signature};
pub use webpush::{KEY_FILE as PUSH_KEY_FILE, WebPush};

/// Why the channels could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(
        "[mail] from = `{0}` is not an address; write it like tenfold@example.org or Tenfold <tenfold@example.org>"
    )]
    From(String),
    #[error("[mail] host = `{host}` cannot be used")]
    Host { host: String, source: lettre::transport::smtp::Error },
    #[error("{path} cannot be read")]
    File { path: String, source: std::io::Error },
    #[error("{0} does not hold a webhook secret (whsec_ and base64); remove the file to have a new one made")]
    Secret(String),
    #[error(
        "{0} does not hold the key that pushes to browsers are signed with; name the file it is in, or remove this one to have a new one made, to which every browser has to subscribe anew"
    )]
    PushKey(String),
    #[error("the HTTP client cannot be made")]
    Client(#[from] reqwest::Error),
}

/// Asks receivers that people or the settings name. It follows no redirect.
fn client(timeout: Duration) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(timeout)
        .user_agent(concat!("tenfold/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// The channels that are set up.
pub struct Channels {
    mail: Option<Mail>,
    webhook: Arc<Webhook>,
    services: services::Services,
    webpush: WebPush,
}

impl Channels {
    /// Mail when `[mail] host` is set; webhooks always. `random` makes the webhook secret when there is none yet.
    pub fn open(settings: &Settings, clock: Arc<dyn Clock>, random: &dyn Fn(&mut [u8])) -> Result<Self, SetupError> {
        let mail = if settings.mail.host.is_empty() { None } else { Some(Mail::new(&settings.mail, clock.clone())?) };
        let services = services::Services::open(&settings.channels, &settings.public_url, clock.clone())?;
        let webpush = WebPush::open(settings, clock.clone())?;
        let webhook = Webhook::open(&settings.data_dir, clock, random)?;
        let webhook = Arc::new(webhook.with_secrets(settings.alerts.secrets_dir.as_deref()));
        Ok(Self { mail, webhook, services, webpush })
    }
}

/// Sets the channels up from the application's settings and gives them to it.
pub fn connect(app: &App) -> Result<(), SetupError> {
    let channels = Channels::open(&app.settings, app.clock.clone(), &|bytes| app.entropy.fill(bytes))?;
    app.set_webhook_poster(channels.webhook.clone());
    app.set_notifier(Arc::new(channels));
    app.set_alert_sender(Arc::new(Forward::new(app.clock.clone())?));
    app.forges.set_client(Arc::new(Forges::new(app.clock.clone())?));
    Ok(())
}

#[async_trait]
impl Notifier for Channels {
    fn serves(&self, channel: Channel) -> bool {
        match channel {
            Channel::Mail => self.mail.is_some(),
            Channel::Webhook | Channel::Webpush => true,
            Channel::Irc | Channel::Web => false,
            other => self.services.serves(other),
        }
    }

    async fn send(
        &self,
        channel: Channel,
        to: &str,
        message: &Notice,
        idempotency_key: &str,
    ) -> Result<(), NotifyError> {
        match (channel, &self.mail) {
            (Channel::Mail, Some(mail)) => mail.send(to, message, idempotency_key).await,
            (Channel::Webhook, _) => self.webhook.send(to, message, idempotency_key).await,
            (channel, _) if self.services.serves(channel) => {
                self.services.send(channel, to, message, idempotency_key).await
            }
            _ => Err(not_set_up(channel)),
        }
    }

    async fn deliver(
        &self,
        channel: Channel,
        to: &str,
        message: &Notice,
        idempotency_key: &str,
    ) -> Result<Option<String>, NotifyError> {
        if self.services.serves(channel) {
            return self.services.deliver(channel, to, message, idempotency_key).await;
        }
        self.send(channel, to, message, idempotency_key).await.map(|()| None)
    }

    async fn update(
        &self,
        channel: Channel,
        to: &str,
        update: &Update,
        idempotency_key: &str,
    ) -> Result<(), NotifyError> {
        match (channel, &self.mail) {
            (Channel::Mail, Some(mail)) => mail.answer(to, update, idempotency_key).await,
            (Channel::Webhook, _) => self.webhook.update(to, update, idempotency_key).await,
            (channel, _) if self.services.serves(channel) => {
                self.services.update(channel, to, update, idempotency_key).await
            }
            _ => Err(not_set_up(channel)),
        }
    }

    fn phone_signed(&self, url: &str, fields: &[(String, String)], signature: &str) -> bool {
        self.services.phone_signed(url, fields, signature)
    }

    async fn push_key(&self) -> Result<String, NotifyError> {
        self.webpush.key().await
    }

    async fn push(&self, to: &PushTo, what: Push<'_>, idempotency_key: &str) -> Result<(), PushError> {
        self.webpush.push(to, what, idempotency_key).await
    }
}

fn not_set_up(channel: Channel) -> NotifyError {
    let message = format!("the channel {} is not set up", channel.as_str());
    NotifyError { too_large: false, permanent: true, retry_after_ms: None, message }
}

/// An error with the causes behind it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(ERROR_CHARS_MAX).collect()
}

/// Of an error's text.
const ERROR_CHARS_MAX: usize = 500;
