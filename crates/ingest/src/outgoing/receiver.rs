//! One receiver: what is put into its queues, and how sending to it goes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use tenfold_app::metrics::{ForwardBatch, ReceiverStatus};
use tenfold_app::settings::{Receiver as Settings, WriteVersion};
use tenfold_protocols::batch::Exemplar;
use tenfold_protocols::remote_write::{Outgoing, Version, put_series};
use tenfold_protocols::wire_out::Writer;
use tenfold_scrape::Rule;
use tenfold_types::{ErrorCode, Fault, Labels, Timestamp};

use super::{Shard, send};

/// Counts since the server started.
#[derive(Default)]
pub(super) struct Counts {
    pub sent: AtomicU64,
    pub refused: AtomicU64,
    pub left_out: AtomicU64,
    pub dropped: AtomicU64,
    pub retries: AtomicU64,
}

pub(super) struct Receiver {
    pub settings: Settings,
    pub shards: Vec<Arc<Shard>>,
    /// Those of another number of shards, which are sent first and then go.
    pub earlier: Vec<Arc<Shard>>,
    pub counts: Counts,
    pub last_error: Mutex<Option<(Timestamp, String)>>,
    pub last_sent: Mutex<Option<Timestamp>>,
    /// What series go through on their way.
    rules: Vec<Rule>,
    /// Labels of the server, which series have that bring no such label.
    external: Labels,
    /// Whether it said that it does not read version 2.0. It is asked again when the server starts.
    reads_old_only: AtomicBool,
    /// Whether what does not fit is refused instead of dropped: the receiver is the store.
    refuse: bool,
}

/// What goes into one shard: messages, each about as large as a request may be, since receivers refuse larger ones.
type Part = Vec<(Writer, u32)>;

impl Receiver {
    pub(super) fn new(
        settings: &Settings,
        rules: Vec<Rule>,
        external: Labels,
        shards: Vec<Arc<Shard>>,
        earlier: Vec<Arc<Shard>>,
        refuse: bool,
    ) -> Self {
        Self {
            settings: settings.clone(),
            shards,
            earlier,
            counts: Counts::default(),
            last_error: Mutex::default(),
            last_sent: Mutex::default(),
            rules,
            external,
            reads_old_only: AtomicBool::new(false),
            refuse,
        }
    }

    /// What it is sent at this moment.
    pub(super) fn version(&self) -> Version {
        match self.settings.version {
            WriteVersion::V2 if !self.reads_old_only.load(Ordering::Relaxed) => Version::V2,
            WriteVersion::V1 | WriteVersion::V2 => Version::V1,
        }
    }

    /// From now on it is sent version 1.0. Whether that is news.
    pub(super) fn falls_back(&self) -> bool {
        !self.reads_old_only.swap(true, Ordering::Relaxed)
    }

    /// The labels under which a series is sent; `None` when the rules drop it, or take its name. As in Prometheus, the rules see
    /// the labels of the server.
    fn relabelled(&self, labels: &[(&str, &str)]) -> Option<Labels> {
        let missing = self.external.iter().filter(|(name, _)| labels.iter().all(|(own, _)| own != name));
        let whole = Labels::from_pairs(labels.iter().copied().chain(missing));
        let made = tenfold_scrape::apply(&self.rules, whole)?;
        made.metric_name().is_some_and(|name| !name.is_empty()).then_some(made)
    }

    /// Spreads series over shards by the labels they are sent with, so that each stays in order.
    fn parts(&self, batch: &ForwardBatch<'_>) -> Vec<Part> {
        let mut parts: Vec<Part> = self.shards.iter().map(|_| vec![(Writer::default(), 0)]).collect();
        let tells_starts = self.version() == Version::V2;
        let as_it_is = self.rules.is_empty() && self.external.is_empty();
        for series in batch {
            let samples = series.points.len() + series.histograms.len();
            let made = if as_it_is { None } else { self.relabelled(series.labels) };
            if made.is_none() && !as_it_is {
                self.counts.left_out.fetch_add(samples as u64, Ordering::Relaxed);
                continue;
            }
            let made: Option<Vec<(&str, &str)>> = made.as_ref().map(|labels| labels.iter().collect());
            let labels = made.as_deref().unwrap_or(series.labels);
            let of: &[tenfold_types::Exemplar] = if self.settings.send_exemplars { series.exemplars } else { &[] };
            if samples == 0 && of.is_empty() {
                continue;
            }
            let exemplars: Vec<Exemplar<'_>> = of
                .iter()
                .map(|e| Exemplar { labels: e.labels.iter().collect(), value: e.value, t_ms: Some(e.t_ms) })
                .collect();
            let mut hasher = DefaultHasher::new();
            labels.hash(&mut hasher);
            let shard = hasher.finish() as usize % parts.len();
            let part = &mut parts[shard];
            if part.last().is_some_and(|(writer, _)| writer.len() >= send::REQUEST_BYTES) {
                part.push((Writer::default(), 0));
            }
            let Some((writer, count)) = part.last_mut() else { continue };
            let (points, histograms) = (series.points, series.histograms);
            let created_ms = series.created_ms.filter(|_| tells_starts);
            put_series(writer, &Outgoing { labels, points, histograms, exemplars: &exemplars, created_ms });
            *count += samples as u32;
        }
        parts
    }

    /// Puts series into the queues.
    pub(super) fn put(&self, batch: &ForwardBatch<'_>) -> Result<(), Fault> {
        let parts = self.parts(batch);
        let messages =
            self.shards.iter().zip(parts).flat_map(|(shard, part)| part.into_iter().map(move |one| (shard, one)));
        for (shard, (writer, samples)) in messages {
            if writer.is_empty() {
                continue;
            }
            let payload = writer.into_bytes();
            self.append(shard, &payload, samples)?;
            shard.more.notify_one();
        }
        Ok(())
    }

    fn append(&self, shard: &Shard, payload: &[u8], samples: u32) -> Result<(), Fault> {
        let bytes_max = self.settings.queue_bytes_max / self.shards.len() as u64;
        let mut queue = shard.queue.lock();
        while queue.bytes() + payload.len() as u64 > bytes_max {
            if self.refuse {
                return Err(Fault::new(
                    ErrorCode::Unavailable,
                    format!("the queue of `{}` is full: {} bytes wait to be sent", self.settings.name, queue.bytes()),
                )
                .advice("an operator looks at the receiver, or raises metrics.remote_write.queue_bytes_max"));
            }
            match queue.drop_oldest().map_err(|e| self.unwritable(&e))? {
                Some(lost) => _ = self.counts.dropped.fetch_add(lost, Ordering::Relaxed),
                // Only the newest segment is left, which is being written.
                None => break,
            }
        }
        queue.append(payload, samples).map_err(|e| self.unwritable(&e))
    }

    pub(super) fn unwritable(&self, error: &std::io::Error) -> Fault {
        let full = matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
        let code = if full { ErrorCode::DiskFull } else { ErrorCode::Unavailable };
        Fault::new(code, format!("the queue of `{}` cannot be written: {error}", self.settings.name))
    }

    pub(super) fn status(&self) -> ReceiverStatus {
        let count = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let queues = || self.shards.iter().chain(&self.earlier);
        let error = self.last_error.lock().clone();
        let version = match self.version() {
            Version::V1 => "1.0",
            Version::V2 => "2.0",
        };
        ReceiverStatus {
            name: self.settings.name.clone(),
            url: super::shown(&self.settings.url),
            version: version.to_owned(),
            shards: self.shards.len(),
            queue_bytes: queues().map(|s| s.queue.lock().bytes()).sum(),
            queue_bytes_max: self.settings.queue_bytes_max,
            waiting: queues().any(|s| !s.queue.lock().is_empty()),
            sent: count(&self.counts.sent),
            refused: count(&self.counts.refused),
            left_out: count(&self.counts.left_out),
            dropped: count(&self.counts.dropped),
            damaged: queues().map(|s| s.queue.lock().damaged()).sum(),
            retries: count(&self.counts.retries),
            last_sent_at: *self.last_sent.lock(),
            last_error_at: error.as_ref().map(|e| e.0),
            last_error: error.map(|e| e.1),
        }
    }
}
