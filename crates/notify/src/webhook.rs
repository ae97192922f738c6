//! Webhooks, signed as Standard Webhooks (https://www.standardwebhooks.com) lay down: `webhook-id` is the idempotency key,
//! `webhook-signature` an HMAC-SHA256 over id, time and body. Redirects are not followed, but where an `http_config` of a
//! receiver's webhook follows them within one place.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, StatusCode, Url};
use sha2::Sha256;
use tenfold_app::alerts::{Notice, NotifyError, Update, WebhookPoster, WebhookSpec, check_url};
use tenfold_app::private_file;
use tenfold_httpkit::outgoing::{self, Client, Files, HttpClient, Place, Redirects, Straight};
use tenfold_types::Clock;

use crate::{SetupError, chain};

/// In the data directory; receivers check signatures with what stands in it.
pub const SECRET_FILE: &str = "webhook-secret";
const SECRET_BYTES: usize = 24;
const PREFIX: &str = "whsec_";
const TIMEOUT: Duration = Duration::from_secs(10);
/// Clients of webhooks with an `http_config` that are kept, with their connections.
const CLIENTS_MAX: usize = 256;
const LATE: &str = "the receiver did not answer in time";
/// That a message has, of its own and of HTTP's.
const HEADERS: usize = 9;
const NO_FOLDER: &str = "set `secrets_dir` in `[alerts]` of tenfold.toml";

/// Posts to the addresses of people and programs.
pub struct Webhook {
    client: reqwest::Client,
    secret: Vec<u8>,
    clock: Arc<dyn Clock>,
    /// The address that was posted to last, read: in a storm it is the next one as well.
    last: Mutex<Option<(String, Arc<Address>)>>,
    /// Posts to what is reached in the clear and without a proxy: most receivers, on the same machine or beside it.
    straight: Straight,
    /// Where the files lie that webhooks of receivers name.
    files: Arc<Files>,
    /// The oldest first.
    clients: Mutex<Vec<(Arc<HttpClient>, Arc<Client>)>>,
}

/// An address that was read.
struct Address {
    url: Url,
    straight: Option<Place>,
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
        let files = Arc::new(Files::Nowhere(NO_FOLDER));
        let (last, straight, clients) = (Mutex::default(), Straight::default(), Mutex::default());
        Ok(Self { client, secret, clock, last, straight, files, clients })
    }

    /// With the folder out of which files are read that webhooks of receivers name; without one none is.
    pub fn with_secrets(self, folder: Option<&Path>) -> Self {
        let files = folder.map_or(Files::Nowhere(NO_FOLDER), |folder| Files::Within(folder.to_owned()));
        Self { files: Arc::new(files), ..self }
    }

    fn address(&self, url: &str) -> Result<Arc<Address>, NotifyError> {
        let mut last = self.last.lock();
        if let Some((_, read)) = last.as_ref().filter(|(text, _)| text == url) {
            return Ok(read.clone());
        }
        let read = Url::parse(url).map_err(|e| failed(true, format!("the address cannot be read: {e}")))?;
        let read = Arc::new(Address { straight: Place::of(&read), url: read });
        *last = Some((url.to_owned(), read.clone()));
        Ok(read)
    }

    pub(crate) async fn send(&self, url: &str, notice: &Notice, key: &str) -> Result<(), NotifyError> {
        let body = serde_json::json!({"type": "page", "timestamp": notice.at, "data": notice}).to_string();
        self.plainly(url, body, key, TIMEOUT).await
    }

    /// `page.grown`, `page.acknowledged` or `page.over`, about the page whose `webhook-id` is in `page`.
    pub(crate) async fn update(&self, url: &str, update: &Update, key: &str) -> Result<(), NotifyError> {
        let kind = format!("page.{}", update.kind.as_str());
        let data = serde_json::json!({"page": update.page_key, "news": update.news, "notice": update.notice});
        let body = serde_json::json!({"type": kind, "timestamp": self.clock.now(), "data": data}).to_string();
        self.plainly(url, body, key, TIMEOUT).await
    }

    /// What a message says of itself.
    fn headers(&self, key: &str, body: &str) -> Result<HeaderMap, NotifyError> {
        let seconds = self.clock.now().millis() / 1_000;
        let text = |text: &str| {
            HeaderValue::from_str(text).map_err(|_| failed(true, "its key cannot be sent as a header".to_owned()))
        };
        let signed = signature(&self.secret, key, seconds, body);
        let mut headers = HeaderMap::with_capacity(HEADERS);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(HeaderName::from_static("webhook-id"), text(key)?);
        headers.insert(HeaderName::from_static("webhook-timestamp"), HeaderValue::from(seconds));
        headers.insert(HeaderName::from_static("webhook-signature"), text(&signed)?);
        headers.insert(HeaderName::from_static("idempotency-key"), text(key)?);
        Ok(headers)
    }

    async fn plainly(&self, url: &str, body: String, key: &str, timeout: Duration) -> Result<(), NotifyError> {
        const REDIRECTS: &str = "redirects are not followed";
        let address = self.address(url)?;
        let headers = self.headers(key, &body)?;
        if let Some(place) = &address.straight {
            let answer = tokio::time::timeout(timeout, self.straight.post(place, headers, body)).await;
            let answer = answer.map_err(|_| failed(false, LATE.to_owned()))?;
            let answer = answer.map_err(|e| failed(false, chain(&*e)))?;
            return self.taken(answer.status, &answer.headers, REDIRECTS);
        }
        let request = self.client.post(address.url.clone()).headers(headers).timeout(timeout).body(body);
        let request = request.build().map_err(|e| failed(true, chain(&e.without_url())))?;
        let answer = self.client.execute(request).await.map_err(|e| failed(false, chain(&e.without_url())))?;
        self.taken(answer.status(), answer.headers(), REDIRECTS)
    }

    /// As the webhook's `http_config` says.
    async fn configured(
        &self,
        http: &Arc<HttpClient>,
        url: &str,
        body: String,
        key: &str,
        timeout: Duration,
    ) -> Result<(), NotifyError> {
        let (address, client) = (self.address(url)?, self.client_of(http));
        let ours = self.headers(key, &body)?;
        let asked = async {
            let outgoing = client.http().await?;
            let mut headers = HeaderMap::new();
            client.headers(&mut headers).await?;
            let request = outgoing.usual.post(address.url.clone()).headers(ours).timeout(timeout).body(body);
            let request = request.headers(headers);
            let answer = outgoing.send(request).await?;
            client.answered(answer.status()).await;
            Ok::<Response, String>(answer)
        };
        // Files and tokens take of its time as well.
        let answer = tokio::time::timeout(timeout, asked).await;
        let answer = answer.map_err(|_| failed(false, LATE.to_owned()))?;
        let answer = answer.map_err(|said| failed(false, said))?;
        let redirects = if http.follow_redirects {
            "of redirects only 307 and 308 to the same host are followed"
        } else {
            "redirects are not followed"
        };
        self.taken(answer.status(), answer.headers(), redirects)
    }

    fn client_of(&self, http: &Arc<HttpClient>) -> Arc<Client> {
        let mut clients = self.clients.lock();
        if let Some((_, client)) = clients.iter().find(|(known, _)| known == http) {
            return client.clone();
        }
        let client = Arc::new(Client::new(http, self.files.clone(), Redirects::Same));
        if clients.len() >= CLIENTS_MAX {
            clients.remove(0);
        }
        clients.push((http.clone(), client.clone()));
        client
    }

    /// The address that a file of the folder holds.
    async fn url_in(&self, name: &str) -> Result<String, String> {
        let (files, name) = (self.files.clone(), name.to_owned());
        let read = tokio::task::spawn_blocking(move || {
            let url = files.secret(&name)?;
            check_url(&url).map_err(|said| format!("the address in {name} {said}"))?;
            Ok(url)
        });
        read.await.map_err(|e| e.to_string())?
    }

    fn taken(&self, status: StatusCode, headers: &HeaderMap, redirects: &str) -> Result<(), NotifyError> {
        if status.is_success() {
            return Ok(());
        }
        let retry_after_ms = outgoing::retry_after_ms(headers, self.clock.now());
        let put_off = status.is_server_error()
            || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY);
        let message = if status.is_redirection() {
            format!("the receiver answers {status}, and {redirects}; set its final address")
        } else {
            format!("the receiver answers {status}")
        };
        let too_large = status == StatusCode::PAYLOAD_TOO_LARGE;
        Err(NotifyError { too_large, permanent: !put_off, retry_after_ms, message })
    }
}

const fn failed(permanent: bool, message: String) -> NotifyError {
    NotifyError { too_large: false, permanent, retry_after_ms: None, message }
}

#[async_trait]
impl WebhookPoster for Webhook {
    async fn post(&self, to: &WebhookSpec, body: String, key: &str) -> Result<(), NotifyError> {
        let timeout = Duration::from_millis(u64::try_from(to.timeout_ms).unwrap_or(0));
        let from_file = match &to.url_file {
            Some(name) => Some(self.url_in(name).await.map_err(|said| failed(false, said))?),
            None => None,
        };
        let url = from_file.as_deref().unwrap_or(&to.url);
        match &to.http {
            Some(http) => self.configured(http, url, body, key, timeout).await,
            None => self.plainly(url, body, key, timeout).await,
        }
    }

    async fn check(&self, to: &WebhookSpec) -> Result<(), String> {
        if let Some(name) = &to.url_file {
            self.url_in(name).await?;
        }
        let (files, names) = (self.files.clone(), to.files());
        let looked = tokio::task::spawn_blocking(move || names.iter().try_for_each(|name| files.path(name).map(drop)));
        looked.await.map_err(|e| e.to_string())?
    }
}

/// The value of `webhook-signature`: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
pub fn signature(secret: &[u8], id: &str, seconds: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    for part in [id, ".", &seconds.to_string(), ".", body] {
        mac.update(part.as_bytes());
    }
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
