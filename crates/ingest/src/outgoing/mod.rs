//! Remote write out: samples to other stores, each receiver with queues of its own on disk.
//!
//! Series are spread over shards by their labels, so that a series' samples stay in order: a shard has one request under way
//! at a time. A receiver that is away, slow (429 with `Retry-After`) or broken (5xx) is asked again, later and later; what it
//! refuses for good (other 4xx) is counted, told and left out, as the specification asks.

mod queue;
mod send;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tenfold_app::App;
use tenfold_app::metrics::{ForwardBatch, Forwarder, ReceiverStatus};
use tenfold_app::settings::Receiver as Settings;
use tenfold_protocols::remote_write::{Outgoing, put_series};
use tenfold_protocols::wire_out::Writer;
use tenfold_types::{ErrorCode, Fault, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use queue::Queue;
pub use send::headers;

/// What the queue of a shard may hold at least: a segment that is written beside one that is sent.
const QUEUE_BYTES_MIN: u64 = 2 * queue::SEGMENT_BYTES;
/// Shards of one receiver.
pub const SHARDS_MAX: usize = 64;

/// A receiver that cannot be used as it is set.
#[derive(Debug, thiserror::Error)]
pub enum OutgoingError {
    #[error("metrics.remote_write `{name}`: {message}")]
    Setting { name: String, message: String },
    #[error("the queue in {path} cannot be opened")]
    Queue {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

struct Shard {
    queue: Mutex<Queue>,
    more: Notify,
}

/// Counts of a receiver since the server started.
#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    refused: AtomicU64,
    dropped: AtomicU64,
    retries: AtomicU64,
}

struct Receiver {
    settings: Settings,
    shards: Vec<Arc<Shard>>,
    counts: Counts,
    last_error: Mutex<Option<(Timestamp, String)>>,
    last_sent: Mutex<Option<Timestamp>>,
    /// Whether what does not fit is refused instead of dropped: the receiver is the store.
    refuse: bool,
}

/// All receivers.
struct Receivers(Vec<Arc<Receiver>>);

impl Receiver {
    fn put(&self, batch: &ForwardBatch<'_>) -> Result<(), Fault> {
        // Each message is about as large as a request may be: receivers refuse larger ones.
        let mut parts: Vec<Vec<(Writer, u32)>> = self.shards.iter().map(|_| vec![(Writer::default(), 0)]).collect();
        for series in batch {
            let mut hasher = DefaultHasher::new();
            series.labels.hash(&mut hasher);
            let shard = hasher.finish() as usize % parts.len();
            let outgoing = Outgoing {
                labels: series.labels,
                points: series.points,
                histograms: series.histograms,
                exemplars: &[],
            };
            let part = &mut parts[shard];
            if part.last().is_some_and(|(writer, _)| writer.len() >= send::REQUEST_BYTES) {
                part.push((Writer::default(), 0));
            }
            let Some((writer, samples)) = part.last_mut() else { continue };
            put_series(writer, &outgoing);
            *samples += (series.points.len() + series.histograms.len()) as u32;
        }
        let bytes_max = self.settings.queue_bytes_max / self.shards.len() as u64;
        let messages =
            self.shards.iter().zip(parts).flat_map(|(shard, part)| part.into_iter().map(move |one| (shard, one)));
        for (shard, (writer, samples)) in messages {
            if samples == 0 {
                continue;
            }
            let payload = writer.into_bytes();
            let mut queue = shard.queue.lock();
            while queue.bytes() + payload.len() as u64 > bytes_max {
                if self.refuse {
                    return Err(Fault::new(
                        ErrorCode::Unavailable,
                        format!(
                            "the queue of `{}` is full: {} bytes wait to be sent",
                            self.settings.name,
                            queue.bytes()
                        ),
                    )
                    .advice("an operator looks at the receiver, or raises metrics.remote_write.queue_bytes_max"));
                }
                match queue.drop_oldest().map_err(|e| self.unwritable(&e))? {
                    Some(lost) => _ = self.counts.dropped.fetch_add(lost, Ordering::Relaxed),
                    // Only the newest segment is left, which is being written.
                    None => break,
                }
            }
            queue.append(&payload, samples).map_err(|e| self.unwritable(&e))?;
            drop(queue);
            shard.more.notify_one();
        }
        Ok(())
    }

    fn unwritable(&self, error: &std::io::Error) -> Fault {
        let full = matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
        let code = if full { ErrorCode::DiskFull } else { ErrorCode::Unavailable };
        Fault::new(code, format!("the queue of `{}` cannot be written: {error}", self.settings.name))
    }

    fn status(&self) -> ReceiverStatus {
        let count = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let error = self.last_error.lock().clone();
        ReceiverStatus {
            name: self.settings.name.clone(),
            url: self.settings.url.clone(),
            shards: self.shards.len(),
            queue_bytes: self.shards.iter().map(|s| s.queue.lock().bytes()).sum(),
            queue_bytes_max: self.settings.queue_bytes_max,
            waiting: self.shards.iter().any(|s| !s.queue.lock().is_empty()),
            sent: count(&self.counts.sent),
            refused: count(&self.counts.refused),
            dropped: count(&self.counts.dropped),
            damaged: self.shards.iter().map(|s| s.queue.lock().damaged()).sum(),
            retries: count(&self.counts.retries),
            last_sent_at: *self.last_sent.lock(),
            last_error_at: error.as_ref().map(|e| e.0),
            last_error: error.map(|e| e.1),
        }
    }
}

impl Forwarder for Receivers {
    fn forward(&self, batch: &ForwardBatch<'_>) -> Result<(), Fault> {
        // Each is asked, whatever the others say.
        let all: Vec<_> = self.0.iter().map(|receiver| receiver.put(batch)).collect();
        all.into_iter().collect()
    }

    fn sync(&self) -> Result<(), Fault> {
        for receiver in &self.0 {
            for shard in &receiver.shards {
                // Writing goes on while the disk works.
                let file = shard.queue.lock().file().map_err(|e| receiver.unwritable(&e))?;
                file.sync_data().map_err(|e| receiver.unwritable(&e))?;
            }
        }
        Ok(())
    }

    fn status(&self) -> Vec<ReceiverStatus> {
        self.0.iter().map(|receiver| receiver.status()).collect()
    }
}

fn check(settings: &Settings) -> Result<(), OutgoingError> {
    let wrong = |message: String| OutgoingError::Setting { name: settings.name.clone(), message };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if settings.name.is_empty() || settings.name.len() > 64 || !settings.name.chars().all(plain) {
        return Err(wrong("its name is made of letters, digits, - and _".into()));
    }
    if settings.shards == 0 || settings.shards > SHARDS_MAX {
        return Err(wrong(format!("shards is {}; it may be 1 to {SHARDS_MAX}", settings.shards)));
    }
    if settings.queue_bytes_max / (settings.shards as u64) < QUEUE_BYTES_MIN {
        return Err(wrong(format!(
            "queue_bytes_max is {} for {} shards; each needs {QUEUE_BYTES_MIN}",
            settings.queue_bytes_max, settings.shards
        )));
    }
    if !settings.url.starts_with("http://") && !settings.url.starts_with("https://") {
        return Err(wrong(format!(
            "`{}` is no address; write it like http://127.0.0.1:9090/api/v1/write",
            settings.url
        )));
    }
    Ok(())
}

/// Opens the queues and begins to send.
pub fn start(app: &App, stop: &CancellationToken, tasks: &TaskTracker) -> Result<(), OutgoingError> {
    let refuse = app.settings.metrics.is_remote();
    let mut receivers = Vec::new();
    for settings in &app.settings.metrics.remote_write {
        check(settings)?;
        if receivers.iter().any(|r: &Arc<Receiver>| r.settings.name == settings.name) {
            return Err(OutgoingError::Setting {
                name: settings.name.clone(),
                message: "two receivers have this name".into(),
            });
        }
        let home = app.settings.data_dir.join("remote-write").join(&settings.name);
        let open = |dir: PathBuf| {
            let queue = Queue::open(&dir).map_err(|source| OutgoingError::Queue { path: dir, source })?;
            Ok(Arc::new(Shard { queue: Mutex::new(queue), more: Notify::new() }))
        };
        let now = home.join(settings.shards.to_string());
        let shards = (0..settings.shards).map(|i| open(now.join(i.to_string()))).collect::<Result<Vec<_>, _>>()?;
        // Queues of another number of shards are sent first, so that no series overtakes itself.
        let mut earlier = Vec::new();
        for entry in std::fs::read_dir(&home).into_iter().flatten().flatten().filter(|e| e.path() != now) {
            for shard in std::fs::read_dir(entry.path()).into_iter().flatten().flatten() {
                earlier.push(open(shard.path())?);
            }
        }
        let receiver = Arc::new(Receiver {
            settings: settings.clone(),
            shards,
            counts: Counts::default(),
            last_error: Mutex::default(),
            last_sent: Mutex::default(),
            refuse,
        });
        let sender = send::Sender::new(app, receiver.clone())
            .map_err(|message| OutgoingError::Setting { name: settings.name.clone(), message })?;
        tasks.spawn(send::run(Arc::new(sender), earlier, stop.clone()));
        receivers.push(receiver);
    }
    if !receivers.is_empty() {
        app.metrics.set_forwarder(Arc::new(Receivers(receivers)));
    }
    Ok(())
}
