//! A snapshot that went through changes answers like one compiled from what the changes led to.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use tenfold_flags::{ClientFeatures, Context, Feature, Moment, Segment, Snapshot};
use tenfold_types::Timestamp;

const NAMES: [&str; 6] = ["a", "b", "c", "d~share", "e", "f"];

#[derive(Debug, Clone)]
enum Change {
    Set(Feature),
    Remove(&'static str),
    SetSegment(Segment),
    RemoveSegment(i64),
}

fn feature() -> impl Strategy<Value = Feature> {
    let name = prop::sample::select(NAMES.to_vec());
    let parents = prop::collection::vec(prop::sample::select(NAMES.to_vec()), 0..3);
    let fields = prop::collection::vec(prop::sample::select(vec!["plan", "age", "userId", "version"]), 0..3);
    (name, any::<(bool, bool)>(), parents, 0u8..=100, fields, prop::collection::vec(0i64..4, 0..3)).prop_map(
        |(name, (enabled, hidden), parents, percent, fields, segments)| {
            let constraints: Vec<_> = fields
                .iter()
                .map(|f| match *f {
                    "age" => json!({"contextName": "age", "operator": "NUM_GT", "value": "18"}),
                    "version" => json!({"contextName": "version", "operator": "SEMVER_LT", "value": "2.0.0"}),
                    f => json!({"contextName": f, "operator": "NOT_IN", "values": ["pro", "7"]}),
                })
                .collect();
            let parents: Vec<_> = parents.iter().map(|p| json!({"feature": p})).collect();
            serde_json::from_value(json!({
                "name": name, "enabled": enabled || percent > 50, "hidden": hidden, "dependencies": parents,
                "strategies": [{"name": "flexibleRollout", "parameters": {"rollout": percent, "groupId": name},
                                "constraints": constraints, "segments": segments}],
            }))
            .expect("a feature")
        },
    )
}

fn change() -> impl Strategy<Value = Change> {
    let values = prop::collection::vec("[0-9]", 0..4);
    prop_oneof![
        4 => feature().prop_map(Change::Set),
        2 => prop::sample::select(NAMES.to_vec()).prop_map(Change::Remove),
        1 => (0i64..4, values).prop_map(|(id, values)| {
            let constraints = json!([{"contextName": "userId", "operator": "IN", "values": values}]);
            Change::SetSegment(serde_json::from_value(json!({"id": id, "constraints": constraints})).expect("a segment"))
        }),
        1 => (0i64..4).prop_map(Change::RemoveSegment),
    ]
}

fn answers(snapshot: &Snapshot) -> Vec<(String, bool, bool)> {
    let moment = Moment { now: Timestamp(0), random: 7 };
    let mut out = Vec::new();
    for id in ["", "1", "7", "9"] {
        let context = Context::new().with("userId", id).with("plan", "free").with("age", "20").with("version", "1.2.3");
        for all in snapshot.evaluate_all(&context, moment) {
            let one = snapshot.evaluate(all.key(), &context, moment).expect("it is listed");
            assert_eq!(one.index(), all.index());
            assert_eq!(snapshot.index(all.key()), Some(all.index()));
            // Without an identity chance decides, and draws for each flag anew.
            out.push((all.key().to_owned(), !id.is_empty() && all.enabled, !id.is_empty() && one.enabled));
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn changes_lead_to_what_compiling_gives(changes in prop::collection::vec(change(), 1..40)) {
        let (mut features, mut segments) = (BTreeMap::new(), BTreeMap::new());
        let mut snapshot = Snapshot::default();
        for change in changes {
            let before = answers(&snapshot);
            let kept: BTreeMap<String, usize> = snapshot.indexed_names().map(|(i, n)| (n.to_owned(), i)).collect();
            let next = match change {
                Change::Set(feature) => {
                    let next = snapshot.with_feature(&feature);
                    features.insert(feature.name.clone(), feature);
                    next
                }
                Change::Remove(name) => {
                    features.remove(name);
                    snapshot.without_feature(name)
                }
                Change::SetSegment(segment) => {
                    let next = snapshot.with_segment(&segment);
                    segments.insert(segment.id, segment);
                    next
                }
                Change::RemoveSegment(id) => {
                    segments.remove(&id);
                    snapshot.without_segment(id)
                }
            };
            prop_assert_eq!(before, answers(&snapshot), "the snapshot that was changed stays as it was");
            let document = ClientFeatures {
                version: 2, features: features.values().cloned().collect(), segments: segments.values().cloned().collect(),
            };
            let fresh = Snapshot::compile(&document);
            prop_assert_eq!(answers(&next), answers(&fresh));
            prop_assert_eq!((next.len(), next.is_empty()), (fresh.len(), fresh.is_empty()));
            prop_assert!(next.names().eq(fresh.names()));
            // A slot is used again once nobody needs it.
            prop_assert!(next.indices() <= NAMES.len());
            for (index, name) in next.indexed_names() {
                prop_assert!(index < next.indices());
                prop_assert!(kept.get(name).is_none_or(|before| *before == index), "{} kept its index", name);
            }
            snapshot = next;
        }
    }
}
