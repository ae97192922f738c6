//! Takes from the queues and sends, with patience.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use tenfold_app::App;
use tenfold_httpkit::body::beginning;
use tenfold_protocols::remote_write::compress;
use tokio_util::sync::CancellationToken;

use super::{Receiver, Shard, queue::Queue};

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
    app: App,
    receiver: Arc<Receiver>,
    http: reqwest::Client,
}

enum Outcome {
    Taken,
    /// For good, with the reason.
    Refused(String),
    Again(String, Option<Duration>),
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
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("tenfold/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| format!("the HTTP client could not be made: {e}"))?;
        Ok(Self { app: app.clone(), receiver, http })
    }

    /// Made anew each time: tokens are changed in their files.
    fn headers(&self) -> Result<HeaderMap, String> {
        let mut headers = headers(&self.receiver.settings.headers, &self.receiver.settings.token_file)?;
        for (name, value) in [
            ("content-type", "application/x-protobuf"),
            ("content-encoding", "snappy"),
            ("x-prometheus-remote-write-version", "0.1.0"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Ok(headers)
    }

    async fn post(&self, body: Vec<u8>) -> Outcome {
        let headers = match self.headers() {
            Ok(headers) => headers,
            Err(message) => return Outcome::Again(message, None),
        };
        let sent = self.http.post(&self.receiver.settings.url).headers(headers).body(body).send().await;
        let response = match sent {
            Ok(response) => response,
            Err(e) => return Outcome::Again(crate::client::plain(&e), None),
        };
        let status = response.status();
        if status.is_success() {
            return Outcome::Taken;
        }
        let after = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.trim().parse().ok());
        let after = after.map(|s: u64| Duration::from_secs(s).min(RETRY_AFTER_MAX));
        let (said, _) = beginning(response.bytes_stream(), TOLD_BYTES).await;
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        let message = format!("it answered {status}: {said}");
        // Whoever is not let in yet has a wrong token, and right samples.
        let not_now = matches!(status.as_u16(), 401 | 403 | 408 | 429);
        if status.is_server_error() || not_now { Outcome::Again(message, after) } else { Outcome::Refused(message) }
    }

    fn told(&self, message: &str) {
        *self.receiver.last_error.lock() = Some((self.app.now(), message.to_owned()));
    }

    fn count(&self, metric: &'static str, samples: u64) {
        self.app.metrics.own.add(metric, &[("receiver", &self.receiver.settings.name)], samples as f64);
    }

    /// Sends what there is in a shard until the end; with `drain` until it is empty.
    async fn shard(&self, shard: &Arc<Shard>, drain: bool, stop: &CancellationToken) {
        let mut wait = BACKOFF_FIRST;
        while !stop.is_cancelled() {
            let taken = on_disk(shard, |queue| queue.peek(REQUEST_BYTES)).await;
            let taken = match taken {
                Ok(Some(taken)) => taken,
                Ok(None) if drain => return,
                Ok(None) => {
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = shard.more.notified() => {}
                        () = tokio::time::sleep(LOOK) => {}
                    }
                    continue;
                }
                Err(e) => {
                    self.told(&format!("the queue cannot be read: {e}"));
                    pause(stop, BACKOFF_MAX).await;
                    continue;
                }
            };
            let body = match compress(&taken.body) {
                Ok(body) => body,
                Err(e) => {
                    self.told(&format!("a request cannot be compressed: {e}"));
                    pause(stop, BACKOFF_MAX).await;
                    continue;
                }
            };
            let outcome = tokio::select! {
                () = stop.cancelled() => return,
                outcome = self.post(body) => outcome,
            };
            match outcome {
                Outcome::Again(message, after) => {
                    self.receiver.counts.retries.fetch_add(1, Ordering::Relaxed);
                    self.count("tenfold_remote_write_retries_total", 1);
                    tracing::warn!(receiver = self.receiver.settings.name, "samples wait: {message}");
                    self.told(&message);
                    pause(stop, after.unwrap_or(wait)).await;
                    wait = (wait * 2).min(BACKOFF_MAX);
                    continue;
                }
                Outcome::Refused(message) => {
                    self.receiver.counts.refused.fetch_add(taken.samples, Ordering::Relaxed);
                    self.count("tenfold_remote_write_refused_samples_total", taken.samples);
                    tracing::error!(
                        receiver = self.receiver.settings.name,
                        samples = taken.samples,
                        "samples were refused: {message}"
                    );
                    self.told(&message);
                }
                Outcome::Taken => {
                    self.receiver.counts.sent.fetch_add(taken.samples, Ordering::Relaxed);
                    self.count("tenfold_remote_write_samples_total", taken.samples);
                    *self.receiver.last_sent.lock() = Some(self.app.now());
                }
            }
            wait = BACKOFF_FIRST;
            let kept = on_disk(shard, move |queue| queue.take(taken.next)).await;
            if let Err(e) = kept {
                self.told(&format!("the place in the queue cannot be kept: {e}"));
            }
        }
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
pub async fn run(sender: Arc<Sender>, earlier: Vec<Arc<Shard>>, stop: CancellationToken) {
    let join = |shards: Vec<Arc<Shard>>, drain: bool| {
        let one = |shard: Arc<Shard>| {
            let (sender, stop) = (sender.clone(), stop.clone());
            async move { sender.shard(&shard, drain, &stop).await }
        };
        futures_util::future::join_all(shards.into_iter().map(one))
    };
    join(earlier, true).await;
    join(sender.receiver.shards.clone(), false).await;
}
