//! Takes from the queues and sends, with patience.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::Response;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use tenfold_app::App;
use tenfold_app::settings::HttpConfig;
use tenfold_httpkit::body::beginning;
use tenfold_httpkit::outgoing::{Client, Redirects, retry_after_ms};
use tenfold_protocols::remote_write::{Version, compress, to_v2};
use tenfold_types::Timestamp;
use tokio_util::sync::CancellationToken;

use super::queue::{Queue, Taken};
use super::split::{HALVINGS_IN_VAIN_MAX, HALVINGS_MAX, Part};
use super::{Receiver, Shard};

/// Bytes of one request before compression, about.
pub(super) const REQUEST_BYTES: usize = 1 << 20;
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// A receiver that asks for more is asked again after this.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(5);
const TIMEOUT: Duration = Duration::from_secs(30);
/// An empty queue is looked at again after this, even if nobody says that there is something.
const LOOK: Duration = Duration::from_secs(5);
/// As much of an answer is told.
const TOLD_BYTES: usize = 300;

pub struct Sender {
    pub(super) app: App,
    pub(super) receiver: Arc<Receiver>,
    client: Client,
}

/// A request as it goes out.
pub(super) struct Packed {
    pub version: Version,
    pub body: Vec<u8>,
    /// Float samples and histograms.
    pub samples: u64,
    /// Exemplars for which version 2 has no place.
    pub exemplars_left_out: usize,
}

pub(super) enum Outcome {
    /// Answered for good: so many samples were written, and the rest never will be, with the reason.
    Done(u64, Option<String>),
    /// Nothing was written, as receivers of version 1.0 do that find one bad sample: the rest may be right, asked by itself.
    Refused(String),
    /// Version 2.0 is not read there.
    OldOnly(String),
    Again(String, Option<Duration>),
}

/// What a receiver of version 2 says it wrote, floats and histograms; nothing when it does not say.
fn written(headers: &HeaderMap) -> Option<u64> {
    let count = |what: &str| {
        let name = format!("x-prometheus-remote-write-{what}-written");
        headers.get(name.as_str())?.to_str().ok()?.trim().parse::<u64>().ok()
    };
    match (count("samples"), count("histograms")) {
        (None, None) => None,
        (samples, histograms) => Some(samples.unwrap_or(0).saturating_add(histograms.unwrap_or(0))),
    }
}

/// How long a receiver wants to be left alone; nothing where that is no time at all.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let wait = Duration::from_millis(u64::try_from(retry_after_ms(headers, now)?).ok()?);
    Some(wait.min(RETRY_AFTER_MAX)).filter(|wait| !wait.is_zero())
}

/// What was done of a body that was sent in parts.
#[derive(Default)]
struct Answered {
    written: u64,
    exemplars_left_out: usize,
    trouble: Option<String>,
}

/// The client of a receiver or a cluster. Redirects to another place are not followed: nobody else gets samples or a secret.
pub fn client(config: &HttpConfig, token_file: &std::path::Path) -> Result<Client, String> {
    let config = config.client()?;
    if config.auth.is_some() && !token_file.as_os_str().is_empty() {
        return Err("token_file and http_config both say who we are; set one of them".into());
    }
    Ok(Client::new(&config, Arc::default(), Redirects::Same))
}

/// An address as it is shown: without a user and a password.
pub fn shown(address: &str) -> String {
    const HIDDEN: &str = "an address with a password";
    let Ok(mut url) = url::Url::parse(address) else {
        return if address.contains('@') { HIDDEN } else { address }.to_owned();
    };
    if url.username().is_empty() && url.password().is_none() {
        return address.to_owned();
    }
    let hidden = url.set_username("").and_then(|()| url.set_password(None));
    if hidden.is_ok() { url.into() } else { HIDDEN.to_owned() }
}

/// Where an answer that was not followed leads to; nothing when it is no redirect.
pub fn leads_to(response: &Response) -> Option<String> {
    let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("nowhere");
    response.status().is_redirection().then(|| shown(to).chars().take(TOLD_BYTES).collect())
}

/// The headers of a receiver or a cluster: those that are set, and the token out of its file.
pub fn headers(
    set: &std::collections::BTreeMap<String, String>,
    token_file: &std::path::Path,
) -> Result<HeaderMap, String> {
    let mut out = HeaderMap::new();
    for (name, value) in set {
        let header = HeaderName::try_from(name.as_str()).map_err(|_| format!("`{name}` is no name of a header"))?;
        let value =
            HeaderValue::try_from(value.as_str()).map_err(|_| format!("the header {name} has no plain value"))?;
        out.insert(header, value);
    }
    if !token_file.as_os_str().is_empty() {
        let token = std::fs::read_to_string(token_file)
            .map_err(|e| format!("the token file {} cannot be read: {e}", token_file.display()))?;
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim()))
            .map_err(|_| format!("the token in {} is not plain text", token_file.display()))?;
        value.set_sensitive(true);
        out.insert(reqwest::header::AUTHORIZATION, value);
    }
    Ok(out)
}

impl Sender {
    pub fn new(app: &App, receiver: Arc<Receiver>) -> Result<Self, String> {
        // Said at the start rather than at the first sample.
        headers(&receiver.settings.headers, &receiver.settings.token_file)?;
        let client = client(&receiver.settings.http_config, &receiver.settings.token_file)?;
        Ok(Self { app: app.clone(), receiver, client })
    }

    /// Made anew each time: tokens are changed in their files.
    fn headers(&self, version: Version) -> Result<HeaderMap, String> {
        let mut headers = headers(&self.receiver.settings.headers, &self.receiver.settings.token_file)?;
        for (name, value) in [
            ("content-type", version.content_type()),
            ("content-encoding", "snappy"),
            ("x-prometheus-remote-write-version", version.header()),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Ok(headers)
    }

    /// What waited, as the receiver is sent it.
    fn pack(&self, part: &Part) -> Result<Packed, String> {
        let (waited, samples) = (&part.body[..], part.samples);
        let version = self.receiver.version();
        let packed = |version, plain: &[u8], samples, exemplars_left_out| -> Result<Packed, String> {
            let body = compress(plain).map_err(|e| format!("a request cannot be compressed: {e}"))?;
            Ok(Packed { version, body, samples, exemplars_left_out })
        };
        if version == Version::V1 {
            return packed(version, waited, samples, 0);
        }
        match to_v2(waited, |name| self.app.metrics.metadata_of(name)) {
            Ok(made) => packed(version, &made.body, made.samples as u64, made.left_out),
            // It says the same to whoever reads it.
            Err(e) => {
                tracing::error!(receiver = self.receiver.settings.name, "version 1.0 is sent for once: {e}");
                packed(Version::V1, waited, samples, 0)
            }
        }
    }

    pub(super) async fn post(&self, packed: Packed) -> Outcome {
        let (version, samples) = (packed.version, packed.samples);
        // Files and tokens take of its time as well.
        let response = match tokio::time::timeout(TIMEOUT, self.sent(version, packed.body)).await {
            Ok(Ok(response)) => response,
            Ok(Err(message)) => return Outcome::Again(message, None),
            Err(_) => return Outcome::Again(format!("it did not answer within {} s", TIMEOUT.as_secs()), None),
        };
        let status = response.status();
        let written = if version == Version::V2 { written(response.headers()) } else { None };
        if status.is_success() {
            return match written {
                // Receivers of before version 2 that do not look at the content type find nothing in its messages.
                None if version == Version::V2 => {
                    Outcome::OldOnly(format!("it answered {status} and did not say what it wrote"))
                }
                Some(written) if written < samples => Outcome::Done(
                    written,
                    Some(format!("it answered {status} and wrote {written} of {samples} samples")),
                ),
                _ => Outcome::Done(samples, None),
            };
        }
        // The samples are right, and the address is not.
        if let Some(to) = leads_to(&response) {
            let message = format!("it answered {status} and redirects to {to}; set that address as `url`");
            return Outcome::Again(message, None);
        }
        let after = retry_after(response.headers(), self.app.now());
        let (said, _) = beginning(response.bytes_stream(), TOLD_BYTES).await;
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        let message = format!("it answered {status}: {said}");
        // Whoever is not let in yet has a wrong token, and right samples.
        let not_now = matches!(status.as_u16(), 401 | 403 | 408 | 429);
        if status.is_server_error() || not_now {
            return Outcome::Again(message, after);
        }
        if version == Version::V2 && status.as_u16() == 415 {
            return Outcome::OldOnly(message);
        }
        match written {
            Some(written) => Outcome::Done(written.min(samples), Some(message)),
            None if matches!(status.as_u16(), 400 | 413) => Outcome::Refused(message),
            None => Outcome::Done(0, Some(message)),
        }
    }

    async fn sent(&self, version: Version, body: Vec<u8>) -> Result<Response, String> {
        let http = self.client.http().await?;
        let mut headers = self.headers(version)?;
        self.client.headers(&mut headers).await?;
        let request = http.usual.post(&self.receiver.settings.url).headers(headers).timeout(TIMEOUT).body(body);
        let response = http.send(request).await?;
        self.client.answered(response.status()).await;
        Ok(response)
    }

    fn told(&self, message: &str) {
        *self.receiver.last_error.lock() = Some((self.app.now(), message.to_owned()));
    }

    fn count(&self, metric: &'static str, samples: u64) {
        self.app.metrics.own.add(metric, &[("receiver", &self.receiver.settings.name)], samples as f64);
    }

    /// Counts what became of what waited, and tells what was refused.
    fn done(&self, samples: u64, answered: Answered) {
        let Answered { written, exemplars_left_out, trouble } = answered;
        let counts = &self.receiver.counts;
        if exemplars_left_out > 0 {
            self.count("tenfold_remote_write_left_out_exemplars_total", exemplars_left_out as u64);
        }
        if written > 0 || trouble.is_none() {
            counts.sent.fetch_add(written, Ordering::Relaxed);
            self.count("tenfold_remote_write_samples_total", written);
            *self.receiver.last_sent.lock() = Some(self.app.now());
        }
        let Some(message) = trouble else { return };
        let refused = samples.saturating_sub(written);
        counts.refused.fetch_add(refused, Ordering::Relaxed);
        self.count("tenfold_remote_write_refused_samples_total", refused);
        tracing::error!(receiver = self.receiver.settings.name, refused, "samples were refused: {message}");
        self.told(&message);
    }

    /// What is to be sent next; nothing at the end, with `drain` nor when the queue is empty.
    async fn next(&self, shard: &Arc<Shard>, drain: bool, stop: &CancellationToken) -> Option<Taken> {
        while !stop.is_cancelled() {
            match on_disk(shard, |queue| queue.peek(REQUEST_BYTES)).await {
                Ok(Some(taken)) => return Some(taken),
                Ok(None) if drain => return None,
                Ok(None) => tokio::select! {
                    () = stop.cancelled() => return None,
                    () = shard.more.notified() => {}
                    () = tokio::time::sleep(LOOK) => {}
                },
                Err(e) => {
                    self.told(&format!("the queue cannot be read: {e}"));
                    pause(stop, BACKOFF_MAX).await;
                }
            }
        }
        None
    }

    /// Sends what there is in a shard until the end; with `drain` until it is empty.
    async fn shard(self: &Arc<Self>, shard: &Arc<Shard>, drain: bool, stop: &CancellationToken) {
        while let Some(Taken { body, samples, next }) = self.next(shard, drain, stop).await {
            let Some(answered) = self.send(Part { body, samples }, stop).await else { return };
            self.done(samples, answered);
            let kept = on_disk(shard, move |queue| queue.take(next)).await;
            if let Err(e) = kept {
                self.told(&format!("the place in the queue cannot be kept: {e}"));
            }
        }
    }

    /// Sends a body until all of it is answered for good: what is refused as a whole in halves, the first before the second, so
    /// that series stay in order. Nothing at the end, before it is.
    async fn send(self: &Arc<Self>, whole: Part, stop: &CancellationToken) -> Option<Answered> {
        let (mut out, mut wait) = (Answered::default(), BACKOFF_FIRST);
        let (mut halvings, mut in_vain) = (0, 0);
        let mut parts = vec![Arc::new(whole)];
        while let Some(part) = parts.last().cloned() {
            let (packing, packed) = (self.clone(), part.clone());
            let packed = tokio::task::spawn_blocking(move || packing.pack(&packed)).await;
            let packed = match packed.map_err(|e| e.to_string()).and_then(|packed| packed) {
                Ok(packed) => packed,
                Err(message) => {
                    self.told(&message);
                    pause(stop, BACKOFF_MAX).await;
                    if stop.is_cancelled() {
                        return None;
                    }
                    continue;
                }
            };
            let left_out = packed.exemplars_left_out;
            // Exemplars alone, of which version 2 carries none.
            let is_nothing = part.samples == 0 && packed.version == Version::V2;
            let outcome = tokio::select! {
                () = stop.cancelled() => return None,
                () = std::future::ready(()), if is_nothing => Outcome::Done(0, None),
                outcome = self.post(packed), if !is_nothing => outcome,
            };
            let (written, trouble) = match outcome {
                Outcome::Again(message, after) => {
                    self.receiver.counts.retries.fetch_add(1, Ordering::Relaxed);
                    self.count("tenfold_remote_write_retries_total", 1);
                    tracing::warn!(receiver = self.receiver.settings.name, "samples wait: {message}");
                    self.told(&message);
                    pause(stop, after.unwrap_or(wait)).await;
                    wait = (wait * 2).min(BACKOFF_MAX);
                    continue;
                }
                Outcome::OldOnly(message) => {
                    if self.receiver.falls_back() {
                        let receiver = &self.receiver.settings.name;
                        tracing::warn!(receiver, "version 1.0 is sent from now on: {message}");
                        self.told(&format!("version 1.0 is sent from now on: {message}"));
                    }
                    continue;
                }
                Outcome::Refused(message) => {
                    let goes_on = halvings < HALVINGS_MAX && in_vain < HALVINGS_IN_VAIN_MAX;
                    if let Some((first, second)) = part.halves().filter(|_| goes_on) {
                        (halvings, in_vain) = (halvings + 1, in_vain + 1);
                        parts.pop();
                        parts.extend([Arc::new(second), Arc::new(first)]);
                        continue;
                    }
                    (0, Some(message))
                }
                Outcome::Done(written, trouble) => {
                    if written > 0 {
                        in_vain = 0;
                    }
                    (written, trouble)
                }
            };
            wait = BACKOFF_FIRST;
            out.written += written;
            out.exemplars_left_out += left_out;
            out.trouble = trouble.or(out.trouble);
            parts.pop();
        }
        Some(out)
    }
}

/// Works on a queue away from the threads that serve connections.
async fn on_disk<T: Send + 'static>(
    shard: &Arc<Shard>,
    work: impl FnOnce(&mut Queue) -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    let shard = shard.clone();
    tokio::task::spawn_blocking(move || work(&mut shard.queue.lock())).await?
}

async fn pause(stop: &CancellationToken, time: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(time) => {}
    }
}

/// What is left of an earlier number of shards first, then all shards at once.
pub async fn run(sender: Arc<Sender>, stop: CancellationToken) {
    let join = |shards: Vec<Arc<Shard>>, drain: bool| {
        let one = |shard: Arc<Shard>| {
            let (sender, stop) = (sender.clone(), stop.clone());
            async move { sender.shard(&shard, drain, &stop).await }
        };
        futures_util::future::join_all(shards.into_iter().map(one))
    };
    join(sender.receiver.earlier.clone(), true).await;
    for shard in &sender.receiver.earlier {
        if let Err(e) = on_disk(shard, Queue::remove).await {
            tracing::warn!(receiver = sender.receiver.settings.name, "a queue that was sent is not removed: {e}");
        }
    }
    join(sender.receiver.shards.clone(), false).await;
}

#[cfg(test)]
mod tests {
    use reqwest::header::RETRY_AFTER;

    use super::*;

    #[test]
    fn receivers_say_in_seconds_or_by_an_instant_when_to_come_again() {
        let now = Timestamp::parse_rfc3339("2026-11-28T05:00:00Z").expect("an instant");
        for (text, seconds) in [
            ("7", Some(7)),
            (" 7 ", Some(7)),
            ("86400", Some(300)),
            ("Sat, 28 Nov 2026 05:00:45 GMT", Some(45)),
            ("Sun, 29 Nov 2026 05:00:00 GMT", Some(300)),
            // Asked again at once it would be for ever.
            ("0", None),
            ("Sat, 28 Nov 2026 05:00:00 GMT", None),
            ("Sat, 28 Nov 2026 04:00:00 GMT", None),
            ("-1", None),
            ("soon", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
