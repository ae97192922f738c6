//! When the loops that people depend on went round last: evaluating rules, and working on pages. Somebody outside asks, since a
//! process that answers may still have stopped working.

use parking_lot::Mutex;
use tenfold_types::Timestamp;

use crate::App;

#[derive(Default)]
pub struct State {
    rules: Mutex<Option<Timestamp>>,
    pages: Mutex<Option<Timestamp>>,
}

/// How long ago each went round; nothing before it did for the first time. On a node that has nothing to evaluate because
/// another does, going round is finding that out. Where a group of rules hangs, they went round when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    pub rules_ms_ago: Option<i64>,
    pub pages_ms_ago: Option<i64>,
}

impl App {
    pub(crate) fn rules_went_round(&self) {
        *self.pulse.rules.lock() = Some(self.now());
    }

    pub(crate) fn pages_went_round(&self) {
        *self.pulse.pages.lock() = Some(self.now());
    }

    pub fn pulse(&self) -> Pulse {
        let ago = |at: &Mutex<Option<Timestamp>>| (*at.lock()).map(|at| self.now().since_ms(at).max(0));
        let hangs = self.rules_hang_since().map(|at| self.now().since_ms(at));
        Pulse { rules_ms_ago: ago(&self.pulse.rules).max(hangs), pages_ms_ago: ago(&self.pulse.pages) }
    }
}
