//! Pushes to browsers (RFC 8030): sealed for the browser (RFC 8291), signed by the server (RFC 8292), given to the push
//! service that the browser named. Nothing within the server's own networks is reached by such an address, no redirect is
//! followed, and an address, which is a secret, stands in no error.

mod message;
mod outside;
mod seal;
mod vapid;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use ring::rand::{SecureRandom, SystemRandom};
use tenfold_app::Settings;
use tenfold_app::alerts::{Channel, NotifyError, Push, PushError, PushTo};
use tenfold_httpkit::body::beginning;
use tenfold_httpkit::outgoing;
use tenfold_types::Clock;
use tokio::sync::OnceCell;
use url::Url;

use crate::services::answer;
use crate::{SetupError, chain};
use outside::{Inside, OutsideOnly, names_inside};
use seal::{Recipient, SALT_BYTES, seal};
use vapid::Vapid;

/// In the data directory, unless the settings name another file. With another key every browser subscribes anew.
pub const KEY_FILE: &str = "push-key";
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 4 << 10;

pub struct WebPush {
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    key_file: PathBuf,
    vapid: OnceCell<Vapid>,
    /// Whom a push service may turn to: `mailto:` or `https:`.
    subject: Option<String>,
    /// Addresses within are taken, and without TLS.
    loopback: bool,
}

impl WebPush {
    /// Reads the key pair when there is one. A file that the settings name has to be there.
    pub fn open(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self, SetupError> {
        let own = &settings.channels;
        let key_file = own.push_key_file.clone().unwrap_or_else(|| settings.data_dir.join(KEY_FILE));
        let vapid = Vapid::read(&key_file)?;
        if vapid.is_none() && own.push_key_file.is_some() {
            return Err(SetupError::PushKey(key_file.display().to_string()));
        }
        let mut client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // A proxy would look names up itself, and could reach what is within.
            .no_proxy()
            .timeout(TIMEOUT)
            .user_agent(concat!("tenfold/", env!("CARGO_PKG_VERSION")));
        if !own.push_loopback {
            client = client.dns_resolver(Arc::new(OutsideOnly));
        }
        Ok(Self {
            client: client.build()?,
            clock,
            key_file,
            vapid: OnceCell::new_with(vapid),
            subject: subject(settings),
            loopback: own.push_loopback,
        })
    }

    /// The public key, by which browsers subscribe; made when it is first asked for.
    pub async fn key(&self) -> Result<String, NotifyError> {
        Ok(self.vapid().await?.public().to_owned())
    }

    async fn vapid(&self) -> Result<&Vapid, NotifyError> {
        let made = self.vapid.get_or_try_init(|| async { Vapid::make(&self.key_file) }).await;
        made.map_err(|error| failed(false, chain(&error)))
    }

    pub async fn push(&self, to: &PushTo, what: Push<'_>, key: &str) -> Result<(), PushError> {
        let url = self.address(&to.endpoint).map_err(PushError::Failed)?;
        let vapid = self.vapid().await.map_err(PushError::Failed)?;
        let refused = |error: seal::SealError| PushError::Failed(failed(true, error.to_string()));
        let no_randomness = || PushError::Failed(failed(false, "the machine has no randomness to give".to_owned()));
        let recipient = Recipient::read(&to.p256dh, &to.auth).map_err(refused)?;
        let mut salt = [0; SALT_BYTES];
        SystemRandom::new().fill(&mut salt).map_err(|_| no_randomness())?;
        let message = message::message(what, &to.login);
        let body = seal(&recipient, salt, message.body.as_bytes()).map_err(refused)?;
        let origin = url.origin().ascii_serialization();
        let authorization =
            vapid.authorization(&origin, self.subject.as_deref(), self.clock.now()).ok_or_else(no_randomness)?;
        let call = self
            .client
            .post(url)
            .header(AUTHORIZATION, authorization)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_ENCODING, "aes128gcm")
            .header("ttl", message.ttl_s)
            .header("urgency", message.urgency)
            .header("topic", message.topic)
            .header("idempotency-key", key)
            .body(body)
            .build()
            .map_err(|e| PushError::Failed(failed(true, chain(&e.without_url()))))?;
        self.call(call).await
    }

    async fn call(&self, call: reqwest::Request) -> Result<(), PushError> {
        let answer = self.client.execute(call).await.map_err(|error| {
            let inside = leads_inside(&error);
            PushError::Failed(failed(inside, chain(&error.without_url())))
        })?;
        let status = answer.status().as_u16();
        if matches!(status, 404 | 410) {
            return Err(PushError::Gone);
        }
        let asked = outgoing::retry_after_ms(answer.headers(), self.clock.now());
        let (body, _) = beginning(answer.bytes_stream(), ANSWER_BYTES_MAX).await;
        answer::read(Channel::Webpush, status, asked, &body).map_err(PushError::Failed)
    }

    fn address(&self, endpoint: &str) -> Result<Url, NotifyError> {
        let url = Url::parse(endpoint).map_err(|_| failed(true, "the browser's address is no URL".to_owned()))?;
        if self.loopback {
            return Ok(url);
        }
        if url.scheme() != "https" {
            return Err(failed(true, "the browser's address does not start with https://".to_owned()));
        }
        if names_inside(&url) {
            return Err(failed(true, Inside.to_string()));
        }
        Ok(url)
    }
}

fn failed(permanent: bool, message: String) -> NotifyError {
    NotifyError { too_large: false, permanent, retry_after_ms: None, message }
}

/// Whether a call was not made because of where the name leads.
fn leads_inside(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.is::<Inside>() {
            return true;
        }
        source = cause.source();
    }
    false
}

/// What the settings say, else this server's address when it is public, else who its mails come from.
fn subject(settings: &Settings) -> Option<String> {
    let said = &settings.channels.push_contact;
    if !said.is_empty() {
        return Some(said.clone());
    }
    if settings.public_url.starts_with("https://") {
        return Some(settings.public_url.clone());
    }
    let from = settings.mail.from.rsplit('<').next()?.trim_end_matches('>').trim();
    (!settings.mail.host.is_empty() && from.contains('@')).then(|| format!("mailto:{from}"))
}
