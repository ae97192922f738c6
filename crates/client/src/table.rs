//! What an evaluation reads: the compiled flags with their counters. Immutable; a change makes a new one.

use std::collections::BTreeSet;
use std::sync::Arc;

use tenfold_flags::{ClientFeatures, DeltaEvent, Snapshot};

use crate::counts::{FlagCounts, Ledger};

/// More changes at once than this compile everything anew, which is then cheaper than one by one.
const SINGLY_MAX: usize = 50;

/// What differs between two documents.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    everything: bool,
    features: BTreeSet<String>,
    segments: BTreeSet<i64>,
}

impl Touched {
    pub(crate) fn note(&mut self, event: &DeltaEvent) {
        match event {
            DeltaEvent::Hydration { .. } => self.everything = true,
            DeltaEvent::FeatureUpdated { feature, .. } => drop(self.features.insert(feature.name.clone())),
            DeltaEvent::FeatureRemoved { feature_name, .. } => drop(self.features.insert(feature_name.clone())),
            DeltaEvent::SegmentUpdated { segment, .. } => drop(self.segments.insert(segment.id)),
            DeltaEvent::SegmentRemoved { segment_id, .. } => drop(self.segments.insert(*segment_id)),
        }
    }

    fn is_much(&self) -> bool {
        self.everything || self.features.len() + self.segments.len() > SINGLY_MAX
    }
}

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

    /// The table of `document`, which differs from this one's in what was touched: only that is compiled.
    pub(crate) fn changed(&self, document: &ClientFeatures, touched: &Touched, ledger: &mut Ledger) -> Self {
        if touched.is_much() {
            return Self::new(document, ledger);
        }
        let mut snapshot = self.snapshot.clone();
        for id in &touched.segments {
            snapshot = match document.segments.iter().rfind(|s| s.id == *id) {
                Some(segment) => snapshot.with_segment(segment),
                None => snapshot.without_segment(*id),
            };
        }
        let feature = |name: &str| document.features.iter().rfind(|f| f.name == name);
        for name in &touched.features {
            snapshot = match feature(name) {
                Some(feature) => snapshot.with_feature(feature),
                None => snapshot.without_feature(name),
            };
        }
        let mut counts = self.counts.clone();
        counts.resize(snapshot.indices().max(counts.len()), None);
        // First all that are left: an index that became free may be another's by now.
        for index in touched.features.iter().filter_map(|name| self.snapshot.index(name)) {
            counts[index] = None;
        }
        for name in &touched.features {
            match (snapshot.index(name), feature(name)) {
                (Some(index), Some(feature)) => counts[index] = Some(ledger.of(feature)),
                _ => ledger.end(name),
            }
        }
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

    #[test]
    fn a_change_leads_to_what_compiling_gives_and_keeps_the_counts_of_the_rest() {
        let flag = |name: &str, enabled: bool| serde_json::json!({"name": name, "enabled": enabled});
        let mut document: ClientFeatures = serde_json::from_value(
            serde_json::json!({"version": 2, "features": [flag("a", true), flag("b", true), flag("c", true)]}),
        )
        .unwrap();
        let mut ledger = Ledger::default();
        let mut table = Table::new(&document, &mut ledger);
        let steps = [
            serde_json::json!([{"type": "feature-updated", "eventId": 1, "feature": flag("b", false)}]),
            serde_json::json!([
                {"type": "feature-removed", "eventId": 2, "featureName": "a", "project": "default"},
                {"type": "feature-updated", "eventId": 2, "feature": flag("d", true)},
                {"type": "segment-updated", "eventId": 2, "segment": {"id": 1}},
            ]),
            serde_json::json!([{"type": "segment-removed", "eventId": 3, "segmentId": 1}]),
        ];
        let moment = Moment { now: Timestamp(0), random: 0 };
        for step in steps {
            let c = table.counts[table.snapshot.index("c").unwrap()].clone().unwrap();
            let mut touched = Touched::default();
            for event in serde_json::from_value::<Vec<DeltaEvent>>(step).unwrap() {
                touched.note(&event);
                document.apply(event);
            }
            table = table.changed(&document, &touched, &mut ledger);
            let fresh = Snapshot::compile(&document);
            assert!(table.snapshot.names().eq(fresh.names()));
            for name in fresh.names() {
                let on = |s: &Snapshot| s.evaluate(name, &Context::new(), moment).unwrap().enabled;
                assert_eq!(on(&table.snapshot), on(&fresh), "{name}");
                assert!(table.counts[table.snapshot.index(name).unwrap()].is_some(), "{name}");
            }
            assert!(Arc::ptr_eq(&c, table.counts[table.snapshot.index("c").unwrap()].as_ref().unwrap()));
            assert_eq!(table.counts.iter().flatten().count(), fresh.len());
        }
    }
}
