//! Chat services, push services, paging services and telephones: each a pure builder of one HTTP request and a reader of
//! its answer. One sender serves them all; when to try again is the application's.

pub(crate) mod answer;
mod chat;
mod paging;
mod phone;
mod plain;
mod push;
mod rooms;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tenfold_app::alerts::{Channel, Notice, NotifyError, Update, UpdateKind};
use tenfold_app::settings::Channels as Settings;
use tenfold_httpkit::body::beginning;
use tenfold_httpkit::outgoing;
use tenfold_types::Clock;

use crate::{SetupError, chain};

const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// One HTTP request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub verb: Verb,
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Post,
    Put,
    Patch,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    Json(Value),
    Form(Vec<(&'static str, String)>),
    Text(String),
}

impl Request {
    fn post(url: impl Into<String>, body: Value) -> Self {
        Self { verb: Verb::Post, url: url.into(), headers: Vec::new(), body: Body::Json(body) }
    }
    fn form(url: impl Into<String>, pairs: Vec<(&'static str, String)>) -> Self {
        Self { verb: Verb::Post, url: url.into(), headers: Vec::new(), body: Body::Form(pairs) }
    }
    fn with(mut self, verb: Verb) -> Self {
        self.verb = verb;
        self
    }
    fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// What the server has of its own with the services: addresses and tokens.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    pub telegram: Option<(String, String)>,
    pub matrix: Option<(String, String)>,
    pub gotify: Option<String>,
    pub pushover: Option<(String, String)>,
    pub pagerduty: String,
    pub opsgenie: String,
    pub twilio: Option<Twilio>,
}

#[derive(Debug, Clone)]
pub struct Twilio {
    pub url: String,
    pub account: String,
    pub token: String,
    pub from: String,
    /// Where it tells what became of a message or a call; none where it could not come.
    pub callback: Option<String>,
    /// What is answered to the number comes back to this server.
    pub answers: bool,
}

impl Accounts {
    /// Reads the tokens that the settings name files for. `public_url` is where this server is asked from outside.
    pub fn open(settings: &Settings, public_url: &str) -> Result<Self, SetupError> {
        let secret = |path: &Option<std::path::PathBuf>| -> Result<Option<String>, SetupError> {
            let Some(path) = path else { return Ok(None) };
            let text = std::fs::read_to_string(path)
                .map_err(|source| SetupError::File { path: path.display().to_string(), source })?;
            Ok(Some(text.trim().to_owned()))
        };
        let base = |url: &str| url.trim_end_matches('/').to_owned();
        let twilio = secret(&settings.twilio_token_file)?.map(|token| Twilio {
            url: base(&settings.twilio_url),
            account: settings.twilio_account.clone(),
            token,
            from: settings.twilio_from.clone(),
            callback: phone::callback(public_url, &settings.twilio_url),
            answers: settings.twilio_answers,
        });
        Ok(Self {
            telegram: secret(&settings.telegram_token_file)?.map(|token| (base(&settings.telegram_url), token)),
            matrix: secret(&settings.matrix_token_file)?.map(|token| (base(&settings.matrix_url), token)),
            gotify: Some(base(&settings.gotify_url)).filter(|url| !url.is_empty()),
            pushover: secret(&settings.pushover_token_file)?.map(|token| (base(&settings.pushover_url), token)),
            pagerduty: base(&settings.pagerduty_url),
            opsgenie: base(&settings.opsgenie_url),
            twilio,
        })
    }

    pub fn serves(&self, channel: Channel) -> bool {
        match channel {
            Channel::Slack | Channel::Mattermost | Channel::Discord | Channel::Teams | Channel::Ntfy => true,
            Channel::Pagerduty => !self.pagerduty.is_empty(),
            Channel::Opsgenie => !self.opsgenie.is_empty(),
            Channel::Telegram => self.telegram.is_some(),
            Channel::Matrix => self.matrix.is_some(),
            Channel::Gotify => self.gotify.is_some(),
            Channel::Pushover => self.pushover.is_some(),
            Channel::Sms | Channel::Voice => self.twilio.is_some(),
            Channel::Mail | Channel::Webhook | Channel::Irc | Channel::Web | Channel::Webpush => false,
        }
    }

    /// The request for a page; none when the channel is not set up.
    pub fn request(&self, channel: Channel, to: &str, notice: &Notice, key: &str) -> Option<Request> {
        Some(match channel {
            Channel::Slack => chat::slack(to, notice),
            Channel::Mattermost => chat::mattermost(to, notice),
            Channel::Discord => chat::discord(to, notice),
            Channel::Teams => chat::teams(to, notice),
            Channel::Telegram => rooms::telegram(self.telegram.as_ref()?, to, notice),
            Channel::Matrix => rooms::matrix(self.matrix.as_ref()?, to, notice, key),
            Channel::Ntfy => push::ntfy(to, notice),
            Channel::Gotify => push::gotify(self.gotify.as_ref()?, to, notice),
            Channel::Pushover => push::pushover(self.pushover.as_ref()?, to, notice),
            Channel::Pagerduty => paging::pagerduty(&self.pagerduty, to, notice),
            Channel::Opsgenie => paging::opsgenie(&self.opsgenie, to, notice),
            Channel::Sms => phone::sms(self.twilio.as_ref()?, to, notice, key),
            Channel::Voice => phone::voice(self.twilio.as_ref()?, to, notice, key),
            Channel::Mail | Channel::Webhook | Channel::Irc | Channel::Web | Channel::Webpush => return None,
        })
    }

    /// The request for what is told after a page: a change of its message where the service can and named it, else a
    /// short quiet one. None when the channel is not set up, or would ring.
    pub fn update(&self, channel: Channel, to: &str, update: &Update, key: &str) -> Option<Request> {
        Some(match channel {
            Channel::Slack => chat::slack_update(to, update),
            Channel::Mattermost => chat::mattermost_update(to, update),
            Channel::Discord => chat::discord_update(to, update),
            Channel::Teams => chat::teams_update(to, update),
            Channel::Telegram => rooms::telegram_update(self.telegram.as_ref()?, to, update),
            Channel::Matrix => rooms::matrix_update(self.matrix.as_ref()?, to, update, key),
            Channel::Ntfy => push::ntfy_update(to, update),
            Channel::Gotify => push::gotify_update(self.gotify.as_ref()?, to, update),
            Channel::Pushover => push::pushover_update(self.pushover.as_ref()?, to, update),
            Channel::Pagerduty => paging::pagerduty_update(&self.pagerduty, to, update),
            Channel::Opsgenie => paging::opsgenie_update(&self.opsgenie, to, update),
            _ => return None,
        })
    }

    /// What ends the ringing of a page whose incident is over, before that is told.
    fn silence(&self, channel: Channel, update: &Update) -> Option<Request> {
        let rings = channel == Channel::Pushover && update.notice.severity == "critical";
        if !rings || update.kind != UpdateKind::Over {
            return None;
        }
        Some(push::pushover_cancel(self.pushover.as_ref()?, update))
    }
}

/// Sends requests and reads what comes back.
pub struct Services {
    client: reqwest::Client,
    accounts: Accounts,
    clock: Arc<dyn Clock>,
}

impl Services {
    pub fn open(settings: &Settings, public_url: &str, clock: Arc<dyn Clock>) -> Result<Self, SetupError> {
        let client = crate::client(TIMEOUT)?;
        Ok(Self { client, accounts: Accounts::open(settings, public_url)?, clock })
    }

    pub fn serves(&self, channel: Channel) -> bool {
        self.accounts.serves(channel)
    }

    pub async fn send(&self, channel: Channel, to: &str, notice: &Notice, key: &str) -> Result<(), NotifyError> {
        self.deliver(channel, to, notice, key).await.map(|_| ())
    }

    /// Sends a page, and says what the service calls its message.
    pub async fn deliver(
        &self,
        channel: Channel,
        to: &str,
        notice: &Notice,
        key: &str,
    ) -> Result<Option<String>, NotifyError> {
        let body = self.call(channel, self.accounts.request(channel, to, notice, key), key).await?;
        Ok(answer::message(channel, &body))
    }

    /// Whether the provider of text messages and calls signed this.
    pub fn phone_signed(&self, url: &str, fields: &[(String, String)], signature: &str) -> bool {
        self.accounts.twilio.as_ref().is_some_and(|twilio| phone::signed(&twilio.token, url, fields, signature))
    }

    /// Tells what became of a page.
    pub async fn update(&self, channel: Channel, to: &str, update: &Update, key: &str) -> Result<(), NotifyError> {
        if let Some(silence) = self.accounts.silence(channel, update) {
            match self.call(channel, Some(silence), key).await {
                // Nothing rings there that could be ended, and they are to hear that it is over all the same.
                Err(error) if error.permanent => {
                    tracing::warn!(%error, channel = channel.as_str(), "ringing was not ended");
                }
                silenced => drop(silenced?),
            }
        }
        self.call(channel, self.accounts.update(channel, to, update, key), key).await.map(|_| ())
    }

    /// Makes a request, and gives what was answered when it was taken.
    async fn call(&self, channel: Channel, request: Option<Request>, key: &str) -> Result<Vec<u8>, NotifyError> {
        let failed = |permanent, message| NotifyError { too_large: false, permanent, retry_after_ms: None, message };
        let request = request.ok_or_else(|| crate::not_set_up(channel))?;
        let mut call = match request.verb {
            Verb::Post => self.client.post(&request.url),
            Verb::Put => self.client.put(&request.url),
            Verb::Patch => self.client.patch(&request.url),
        };
        call = call.header("idempotency-key", key);
        for (name, value) in request.headers {
            call = call.header(name, value);
        }
        let call = match request.body {
            Body::Json(value) => call.json(&value),
            Body::Text(text) => call.body(text),
            Body::Form(pairs) => call
                .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(phone::form(&pairs)),
        };
        let call = call.build().map_err(|e| failed(true, chain(&e.without_url())))?;
        let answer = self.client.execute(call).await.map_err(|e| failed(false, chain(&e.without_url())))?;
        let status = answer.status().as_u16();
        let asked = outgoing::retry_after_ms(answer.headers(), self.clock.now());
        // It was taken or refused by its status; when it breaks off, the rest of its words are not needed.
        let (body, _) = beginning(answer.bytes_stream(), ANSWER_BYTES_MAX).await;
        answer::read(channel, status, asked, &body).map(|()| body)
    }
}

/// News in a message of its own.
fn short(update: &Update) -> String {
    format!("{}: {}\n{}", update.notice.subject, update.news, update.notice.link)
}

/// A page as one text of at most so many bytes. What it says gives way: the link is what a person can act with.
fn whole(notice: &Notice, between: &str, bytes: usize) -> String {
    let subject = cut(&notice.subject, bytes / 4);
    let room = bytes.saturating_sub(subject.len() + between.len() + notice.link.len() + 1);
    format!("{subject}{between}{}\n{}", cut(&notice.text, room), notice.link)
}

/// A text of at most so many bytes, whole characters.
pub(crate) fn cut(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes.saturating_sub('…'.len_utf8()));
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests;
