//! What the client and its background threads have in common.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tenfold_flags::ClientFeatures;

use crate::counts::Ledger;
use crate::event::{Event, Origin};
use crate::state_file::State;
use crate::table::{Table, Touched};

pub(crate) type Listener = Box<dyn Fn(&Event) + Send + Sync>;

pub(crate) struct Shared {
    /// Evaluations read this and nothing else.
    pub(crate) table: ArcSwap<Table>,
    pub(crate) ledger: Mutex<Ledger>,
    listener: Option<Listener>,
    signal: Mutex<Signal>,
    changed: Condvar,
}

#[derive(Default)]
struct Signal {
    stopping: bool,
    has_definitions: bool,
    unsaved: Option<Arc<State>>,
}

/// Locks, also when a thread panicked while it held the lock: what is behind is replaced as a whole, never half.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(listener: Option<Listener>) -> Self {
        Self {
            table: ArcSwap::default(),
            ledger: Mutex::default(),
            listener,
            signal: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// A listener that panics harms nobody but itself.
    pub(crate) fn tell(&self, event: &Event) {
        if let Some(listener) = &self.listener {
            let _ = catch_unwind(AssertUnwindSafe(|| listener(event)));
        }
    }

    pub(crate) fn swap_in(&self, document: &ClientFeatures, origin: Origin) {
        let table = Table::new(document, &mut lock(&self.ledger));
        self.put(table, origin);
    }

    /// After a change of the document that is served.
    pub(crate) fn change(&self, document: &ClientFeatures, touched: &Touched) {
        let table = self.table.load().changed(document, touched, &mut lock(&self.ledger));
        self.put(table, Origin::Server);
    }

    fn put(&self, table: Table, origin: Origin) {
        let flags = table.snapshot.names().len();
        self.table.store(Arc::new(table));
        lock(&self.signal).has_definitions = true;
        self.changed.notify_all();
        self.tell(&Event::Updated { origin, flags });
    }

    pub(crate) fn save_later(&self, state: Arc<State>) {
        lock(&self.signal).unsaved = Some(state);
        self.changed.notify_all();
    }

    pub(crate) fn take_unsaved(&self) -> Option<Arc<State>> {
        lock(&self.signal).unsaved.take()
    }

    pub(crate) fn stop(&self) {
        lock(&self.signal).stopping = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        lock(&self.signal).stopping
    }

    /// Waits for `time`, or until the client stops; true when it stops.
    pub(crate) fn rest(&self, time: Duration) -> bool {
        self.wait_until(time, |s| s.stopping);
        self.is_stopping()
    }

    pub(crate) fn wait_for_definitions(&self, time: Duration) -> bool {
        self.wait_until(time, |s| s.has_definitions || s.stopping);
        lock(&self.signal).has_definitions
    }

    /// Waits for something to save, for `time`, or until the client stops.
    pub(crate) fn wait_for_work(&self, time: Duration) {
        self.wait_until(time, |s| s.unsaved.is_some() || s.stopping);
    }

    fn wait_until(&self, time: Duration, done: impl Fn(&Signal) -> bool) {
        let started = Instant::now();
        let mut signal = lock(&self.signal);
        while !done(&signal) {
            let left = time.saturating_sub(started.elapsed());
            if left.is_zero() {
                return;
            }
            signal = self.changed.wait_timeout(signal, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
