//! Remote write out: samples to other stores, each receiver with queues of its own on disk.
//!
//! What waits is kept as `prometheus.WriteRequest`, whatever a receiver is sent: that message says all but when counters began,
//! for which it has a field of our own where version 2.0 is sent, and what is known of metrics, which is looked up when a
//! request of that version is made of it.
//!
//! Labels of the server are added, and series relabelled, before they wait: a change of either counts for what comes after it.
//!
//! Series are spread over shards by their labels, so that a series' samples stay in order: a shard has one request under way
//! at a time. A receiver that is away, slow (429 with `Retry-After`) or broken (5xx) is asked again, later and later; what it
//! refuses for good (other 4xx) is counted, told and left out, as the specification asks. Who refuses a request as a whole (400, 413)
//! is sent it in halves until what is bad is found: many receivers of version 1.0 write nothing of a request with one bad sample.

mod metadata;
mod queue;
mod receiver;
mod send;
mod split;

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tenfold_app::App;
use tenfold_app::metrics::{ForwardBatch, Forwarder, ReceiverStatus};
use tenfold_app::settings::Receiver as Settings;
use tenfold_scrape::{Rule, RuleSpec};
use tenfold_types::Fault;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use queue::Queue;
use receiver::Receiver;
pub use send::{client, headers, leads_to, shown};

/// What the queue of a shard may hold at least: a segment that is written beside one that is sent.
const QUEUE_BYTES_MIN: u64 = 2 * queue::SEGMENT_BYTES;
/// Shards of one receiver.
pub const SHARDS_MAX: usize = 64;
/// Rules of relabelling of one receiver: each series is put through all of them.
const RULES_MAX: usize = 200;

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

/// All receivers.
struct Receivers(Vec<Arc<Receiver>>);

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

/// The rules of relabelling, complete.
fn check(settings: &Settings) -> Result<Vec<Rule>, OutgoingError> {
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
            shown(&settings.url)
        )));
    }
    let rules = &settings.write_relabel_configs;
    if rules.len() > RULES_MAX {
        return Err(wrong(format!("write_relabel_configs has {} rules; it may have {RULES_MAX}", rules.len())));
    }
    let compiled = |(at, rule): (usize, &RuleSpec)| {
        rule.compile().map_err(|message| wrong(format!("rule {} of write_relabel_configs: {message}", at + 1)))
    };
    rules.iter().enumerate().map(compiled).collect()
}

/// Opens the queues and begins to send.
pub fn start(app: &App, stop: &CancellationToken, tasks: &TaskTracker) -> Result<(), OutgoingError> {
    let (refuse, external) = (app.settings.metrics.is_remote(), app.settings.alerts.external());
    let mut receivers = Vec::new();
    for settings in &app.settings.metrics.remote_write {
        let rules = check(settings)?;
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
        let receiver = Arc::new(Receiver::new(settings, rules, external.clone(), shards, earlier, refuse));
        let sender = send::Sender::new(app, receiver.clone())
            .map_err(|message| OutgoingError::Setting { name: settings.name.clone(), message })?;
        let sender = Arc::new(sender);
        tasks.spawn(metadata::run(sender.clone(), stop.clone()));
        tasks.spawn(send::run(sender, stop.clone()));
        receivers.push(receiver);
    }
    if !receivers.is_empty() {
        app.metrics.set_forwarder(Arc::new(Receivers(receivers)));
    }
    Ok(())
}
