//! What an evaluation reads: the compiled flags with their counters. Immutable; a change makes a new one.

use std::sync::Arc;

use tenfold_flags::{ClientFeatures, Snapshot};

use crate::counts::{FlagCounts, Ledger};

#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) snapshot: Snapshot,
    /// By the flag's index in the snapshot; hidden flags have none.
    pub(crate) counts: Vec<Option<Arc<FlagCounts>>>,
}

impl Table {
    pub(crate) fn new(document: &ClientFeatures, ledger: &mut Ledger) -> Self {
        let snapshot = Snapshot::compile(document);
        // Of a repeated name the last one counts, as in the snapshot.
        let features: std::collections::HashMap<&str, _> =
            document.features.iter().map(|f| (f.name.as_str(), f)).collect();
        let mut counts = vec![None; snapshot.indices()];
        for (index, name) in snapshot.indexed_names() {
            if let (Some(slot), Some(feature)) = (counts.get_mut(index), features.get(name)) {
                *slot = Some(ledger.of(feature));
            }
        }
        ledger.keep(|name| features.contains_key(name));
        Self { snapshot, counts }
    }
}

#[cfg(test)]
mod tests {
    use tenfold_flags::{Context, Moment};
    use tenfold_types::Timestamp;

    use super::*;

    #[test]
    fn each_flag_has_its_own_counts_hidden_ones_none() {
        let names = ["b", "a", "a~share", "c", "b"];
        let features = names.map(|name| serde_json::json!({"name": name, "enabled": name != "c"}));
        let document = serde_json::from_value(serde_json::json!({"version": 2, "features": features})).unwrap();
        let mut ledger = Ledger::default();
        let table = Table::new(&document, &mut ledger);
        let moment = Moment { now: Timestamp(0), random: 0 };
        for name in ["a", "b", "b", "c"] {
            let answer = table.snapshot.evaluate(name, &Context::new(), moment).unwrap();
            table.counts[answer.index()].as_ref().unwrap().count(answer.enabled, "disabled");
        }
        let report = serde_json::to_value(ledger.take()).unwrap();
        let counted = |name: &str| [&report[name]["yes"], &report[name]["no"]].map(|n| n.as_u64().unwrap());
        assert_eq!([counted("a"), counted("b"), counted("c")], [[1, 0], [2, 0], [0, 1]]);
        assert_eq!(table.counts.iter().flatten().count(), table.snapshot.names().len());
    }
}
