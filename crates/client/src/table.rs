//! What an evaluation reads: the compiled flags with their counters. Immutable; a change makes a new one.

use std::sync::Arc;

use tenfold_flags::{ClientFeatures, Snapshot};

use crate::counts::{FlagCounts, Ledger};

#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) snapshot: Snapshot,
    /// By the position of the flag in the snapshot.
    pub(crate) counts: Vec<Arc<FlagCounts>>,
}

impl Table {
    pub(crate) fn new(document: &ClientFeatures, ledger: &mut Ledger) -> Self {
        let snapshot = Snapshot::compile(document);
        // Of a repeated name the last one counts, as in the snapshot.
        let features: std::collections::HashMap<&str, _> =
            document.features.iter().map(|f| (f.name.as_str(), f)).collect();
        let counts = snapshot.names().filter_map(|name| features.get(name)).map(|f| ledger.of(f)).collect();
        ledger.keep(|name| features.contains_key(name));
        Self { snapshot, counts }
    }
}
