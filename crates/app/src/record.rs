//! Reading the record: one task tails it by `seq` and tells everybody who listens, in order and without gaps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tenfold_store::events;
pub use tenfold_store::events::{EventQuery, Verification};
use tenfold_types::{Event, Fault};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::App;

/// How many events a slow listener may lag behind before it has to read from the store.
const TAIL_EVENTS_MAX: usize = 2048;
/// How many events one read of the tail fetches.
const BATCH_EVENTS_MAX: usize = 500;
/// How many committed events wait in memory for the tail; what comes beyond them is read from the store.
const FRESH_EVENTS_MAX: usize = 4096;
/// So often the search is given what was recorded since; who searches does not wait for it.
const INDEX_EVERY: Duration = Duration::from_secs(5);
/// A search waits so long at most for what is not in it yet: the writer may hang, and a storm may not be over.
const INDEX_WITHIN: Duration = Duration::from_secs(3);
/// With several nodes on one database, another node's events are found by looking this often.
const POLL: Duration = Duration::from_millis(500);

pub struct RecordHub {
    wake: Notify,
    last: watch::Sender<i64>,
    tail: broadcast::Sender<Arc<Event>>,
    /// What this process has committed and the tail has not told, by `seq`. It is as a reader of the store sees it.
    fresh: Mutex<BTreeMap<i64, Arc<Event>>>,
}

impl Default for RecordHub {
    fn default() -> Self {
        Self {
            wake: Notify::new(),
            last: watch::Sender::new(0),
            tail: broadcast::Sender::new(TAIL_EVENTS_MAX),
            fresh: Mutex::default(),
        }
    }
}

impl RecordHub {
    /// These events are durable.
    pub(crate) fn committed(&self, events: Vec<Event>) {
        let mut fresh = self.fresh.lock();
        let places = FRESH_EVENTS_MAX.saturating_sub(fresh.len());
        fresh.extend(events.into_iter().take(places).map(|event| (event.seq, Arc::new(event))));
        drop(fresh);
        self.wake.notify_one();
    }
    /// The events that follow `last` without a gap, as far as they are in memory. Transactions end in another order than
    /// they are answered in, and between two of this process there may be one of another node.
    fn take_fresh(&self, last: i64) -> Vec<Arc<Event>> {
        let mut fresh = self.fresh.lock();
        *fresh = fresh.split_off(&(last + 1));
        let mut next = last + 1;
        let mut taken = Vec::new();
        while let Some(event) = fresh.remove(&next) {
            taken.push(event);
            next += 1;
        }
        taken
    }
    fn tell(&self, event: Arc<Event>) {
        let seq = event.seq;
        // An error only says that nobody listens.
        let _ = self.tail.send(event);
        self.last.send_replace(seq);
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
        // What is in memory need not be read again. When there is nothing of it, another node may have written, and when
        // it is full, there is more.
        let fresh = app.record.take_fresh(app.record.last_seq());
        let all = (1..FRESH_EVENTS_MAX).contains(&fresh.len());
        for event in fresh {
            app.record.tell(event);
        }
        if all {
            continue;
        }
        loop {
            match app.events_after(app.record.last_seq(), BATCH_EVENTS_MAX).await {
                Ok(batch) if batch.is_empty() => break,
                Ok(batch) => batch.into_iter().for_each(|event| app.record.tell(Arc::new(event))),
                Err(fault) => {
                    tracing::warn!(%fault, "the record could not be read; trying again");
                    break;
                }
            }
        }
    }
}

/// Has the search follow the record.
pub(crate) async fn run_index(app: App, stop: CancellationToken) {
    let mut indexed = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(INDEX_EVERY) => {}
        }
        let last = app.record.last_seq();
        if last == indexed {
            continue;
        }
        match app.index_words().await {
            Ok(()) => indexed = last,
            Err(fault) => tracing::warn!(%fault, "the search is behind the record; trying again"),
        }
    }
}

impl App {
    /// Puts what was recorded up to now into the search.
    async fn index_words(&self) -> Result<(), Fault> {
        if self.read(|tx| Ok(events::words_missing(tx)?)).await? {
            while self.housekeeping(|t| Ok(events::index_words(t.tx())?)).await? {}
        }
        Ok(())
    }

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
        // With a disk that is full, or a writer that hangs, what is in the search already is still found.
        if query.q.is_some() {
            match tokio::time::timeout(INDEX_WITHIN, self.index_words()).await {
                Ok(Ok(())) => {}
                Ok(Err(fault)) => tracing::warn!(%fault, "the newest events are not in the search"),
                Err(_) => tracing::warn!("the newest events are not in the search: they took too long"),
            }
        }
        self.read(move |tx| Ok(events::list(tx, &query)?)).await
    }
}
