//! Webhooks, signed as Standard Webhooks (https://www.standardwebhooks.com) lay down: `webhook-id` is the idempotency key,
//! `webhook-signature` an HMAC-SHA256 over id, time and body. Redirects are not followed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use reqwest::header::CONTENT_TYPE;
use reqwest::{StatusCode, Url};
use sha2::Sha256;
use tenfold_app::alerts::{Notice, NotifyError, Update, WebhookPoster};
use tenfold_app::private_file;
use tenfold_types::Clock;

use crate::{SetupError, chain, retry_after};

/// In the data directory; receivers check signatures with what stands in it.
pub const SECRET_FILE: &str = "webhook-secret";
const SECRET_BYTES: usize = 24;
const PREFIX: &str = "whsec_";
const TIMEOUT: Duration = Duration::from_secs(10);

/// Posts to the addresses of people and programs.
pub struct Webhook {
    client: reqwest::Client,
    secret: Vec<u8>,
    clock: Arc<dyn Clock>,
    /// The address that was posted to last, read: in a storm it is the next one as well.
    last: Mutex<Option<(String, Url)>>,
}

impl Webhook {
    /// Reads the signing secret from `data_dir`, or makes one there that only the owner may read.
    pub fn open(data_dir: &Path, clock: Arc<dyn Clock>, random: &dyn Fn(&mut [u8])) -> Result<Self, SetupError> {
        let path = data_dir.join(SECRET_FILE);
        let failed = |source| SetupError::File { path: path.display().to_string(), source };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let mut raw = [0; SECRET_BYTES];
                random(&mut raw);
                let text = format!("{PREFIX}{}\n", STANDARD.encode(raw));
                private_file::write(&path, &text).map_err(failed)?;
                text
            }
            Err(e) => return Err(failed(e)),
        };
        let secret = text.trim().strip_prefix(PREFIX).and_then(|t| STANDARD.decode(t).ok());
        let secret = secret.filter(|s| s.len() >= 16).ok_or_else(|| SetupError::Secret(path.display().to_string()))?;
        let client = crate::client(TIMEOUT)?;
        Ok(Self { client, secret, clock, last: Mutex::default() })
    }

    fn address(&self, url: &str) -> Result<Url, NotifyError> {
        let mut last = self.last.lock();
        if let Some((_, read)) = last.as_ref().filter(|(text, _)| text == url) {
            return Ok(read.clone());
        }
        let read = Url::parse(url).map_err(|e| failed(true, format!("the address cannot be read: {e}")))?;
        *last = Some((url.to_owned(), read.clone()));
        Ok(read)
    }

    pub(crate) async fn send(&self, url: &str, notice: &Notice, key: &str) -> Result<(), NotifyError> {
        let body = serde_json::json!({"type": "page", "timestamp": notice.at, "data": notice}).to_string();
        self.post(url, body, key, TIMEOUT).await
    }

    /// `page.grown`, `page.acknowledged` or `page.over`, about the page whose `webhook-id` is in `page`.
    pub(crate) async fn update(&self, url: &str, update: &Update, key: &str) -> Result<(), NotifyError> {
        let kind = format!("page.{}", update.kind.as_str());
        let data = serde_json::json!({"page": update.page_key, "news": update.news, "notice": update.notice});
        let body = serde_json::json!({"type": kind, "timestamp": self.clock.now(), "data": data}).to_string();
        self.post(url, body, key, TIMEOUT).await
    }
}

const fn failed(permanent: bool, message: String) -> NotifyError {
    NotifyError { too_large: false, permanent, retry_after_ms: None, message }
}

#[async_trait]
impl WebhookPoster for Webhook {
    async fn post(&self, url: &str, body: String, key: &str, timeout: Duration) -> Result<(), NotifyError> {
        let seconds = self.clock.now().millis() / 1_000;
        let request = self
            .client
            .post(self.address(url)?)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", key)
            .header("webhook-timestamp", seconds.to_string())
            .header("webhook-signature", signature(&self.secret, key, seconds, &body))
            .header("idempotency-key", key)
            .timeout(timeout)
            .body(body)
            .build()
            .map_err(|e| failed(true, chain(&e.without_url())))?;
        let answer = self.client.execute(request).await.map_err(|e| failed(false, chain(&e.without_url())))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let retry_after_ms = retry_after::wait_ms(answer.headers(), self.clock.now());
        let put_off = status.is_server_error()
            || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY);
        let message = if status.is_redirection() {
            format!("the receiver answers {status}, and redirects are not followed; set its final address")
        } else {
            format!("the receiver answers {status}")
        };
        let too_large = status == StatusCode::PAYLOAD_TOO_LARGE;
        Err(NotifyError { too_large, permanent: !put_off, retry_after_ms, message })
    }
}

/// The value of `webhook-signature`: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
pub fn signature(secret: &[u8], id: &str, seconds: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks libraries' own tests.
    #[test]
    fn signs_as_the_specification_does() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
