//! Reading the record: one task tails it by `seq` and tells everybody who listens, in order and without gaps.

use std::sync::Arc;
use std::time::Duration;

use tenfold_store::events;
pub use tenfold_store::events::{EventQuery, Verification};
use tenfold_types::{Event, Fault};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::App;

/// How many events a slow listener may lag behind before it has to read from the store.
const TAIL_EVENTS_MAX: usize = 4096;
/// How many events one read of the tail fetches.
const BATCH_EVENTS_MAX: usize = 500;
/// With several nodes on one database, another node's events are found by looking this often.
const POLL: Duration = Duration::from_millis(500);

pub struct RecordHub {
    wake: Notify,
    last: watch::Sender<i64>,
    tail: broadcast::Sender<Arc<Event>>,
}

impl Default for RecordHub {
    fn default() -> Self {
        Self { wake: Notify::new(), last: watch::Sender::new(0), tail: broadcast::Sender::new(TAIL_EVENTS_MAX) }
    }
}

impl RecordHub {
    pub(crate) fn committed(&self, _seq: i64) {
        self.wake.notify_one();
    }
    /// The last `seq` that was told to the listeners.
    pub fn subscribe(&self) -> watch::Receiver<i64> {
        self.last.subscribe()
    }
    pub fn last_seq(&self) -> i64 {
        *self.last.borrow()
    }
    /// Committed events in order from now on. A listener that lags gets `Lagged` and must go on with [`App::events_after`].
    pub fn tail(&self) -> broadcast::Receiver<Arc<Event>> {
        self.tail.subscribe()
    }
}

/// Between two looks for what ran out.
const EXPIRY_TICK: Duration = Duration::from_secs(1);

/// Keeps what is in memory as the store has it, until `stop`: `load` reads it again after each event that `concerns` it,
/// which may be another node's on the same database, and `expire` forgets what ran out.
pub(crate) async fn mirror<L>(
    app: &App,
    stop: &CancellationToken,
    what: &str,
    concerns: impl Fn(&str) -> bool,
    expire: impl Fn(),
    load: impl Fn() -> L,
) where
    L: Future<Output = Result<(), Fault>>,
{
    let mut tail = app.record.tail();
    let mut tick = tokio::time::interval(EXPIRY_TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // Set while the store has something that memory has not.
    let mut behind = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => expire(),
            event = tail.recv() => match event {
                Ok(event) => behind |= concerns(&event.kind),
                Err(RecvError::Lagged(_)) => behind = true,
                Err(RecvError::Closed) => return,
            },
        }
        if behind {
            match load().await {
                Ok(()) => behind = false,
                Err(fault) => tracing::warn!(%fault, what, "could not be read again; next try in a second"),
            }
        }
    }
}

pub async fn load(app: &App) -> Result<(), Fault> {
    let last = app.read(|tx| Ok(events::last_seq(tx)?)).await?;
    app.record.last.send_replace(last);
    Ok(())
}

pub async fn run(app: App, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = app.record.wake.notified() => {}
            () = tokio::time::sleep(POLL) => {}
        }
        loop {
            match app.events_after(app.record.last_seq(), BATCH_EVENTS_MAX).await {
                Ok(batch) if batch.is_empty() => break,
                Ok(batch) => {
                    for event in batch {
                        let seq = event.seq;
                        // An error only says that nobody listens.
                        let _ = app.record.tail.send(Arc::new(event));
                        app.record.last.send_replace(seq);
                    }
                }
                Err(fault) => {
                    tracing::warn!(%fault, "the record could not be read; trying again");
                    break;
                }
            }
        }
    }
}

impl App {
    /// Events after `seq`, oldest first, at most `limit`.
    pub async fn events_after(&self, seq: i64, limit: usize) -> Result<Vec<Event>, Fault> {
        let query =
            EventQuery { after: Some(seq), limit, ascending: true, include_admin: true, ..EventQuery::default() };
        self.read(move |tx| Ok(events::list(tx, &query)?)).await
    }

    /// Recomputes the hash chain of the whole record.
    pub async fn record_verify(&self) -> Result<Verification, Fault> {
        self.read(|tx| Ok(events::verify(tx, None, None)?)).await
    }

    pub async fn events(&self, query: EventQuery) -> Result<Vec<Event>, Fault> {
        self.read(move |tx| Ok(events::list(tx, &query)?)).await
    }
}
