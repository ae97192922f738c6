//! Gates: what let a client in may end (a token is revoked or expires), and its streams end with it.
//!
//! One gate for all streams of a token, so that asking whether it is still good costs once, not once a stream.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// Open until it is closed for good.
#[derive(Debug, Default)]
pub struct Gate(CancellationToken);

impl Gate {
    pub(super) fn is_closed(&self) -> bool {
        self.0.is_cancelled()
    }
    pub(super) async fn closed(&self) {
        self.0.cancelled().await;
    }
}

#[derive(Default)]
pub(super) struct Gates(Mutex<HashMap<String, Weak<Gate>>>);

impl Gates {
    pub(super) fn of(&self, name: &str) -> Arc<Gate> {
        let mut gates = self.0.lock();
        if let Some(known) = gates.get(name).and_then(Weak::upgrade) {
            return known;
        }
        let fresh = Arc::new(Gate::default());
        gates.insert(name.to_owned(), Arc::downgrade(&fresh));
        fresh
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.lock().iter().filter(|(_, gate)| gate.strong_count() > 0).map(|(name, _)| name.clone()).collect()
    }

    /// Closes those that are no longer good; gives how many.
    pub(super) fn check(&self, mut is_good: impl FnMut(&str) -> bool) -> usize {
        let mut closed = 0;
        self.0.lock().retain(|name, gate| {
            let Some(gate) = gate.upgrade() else { return false };
            let good = is_good(name);
            if !good {
                gate.0.cancel();
                closed += 1;
            }
            good
        });
        closed
    }
}
