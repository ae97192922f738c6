//! Flag documents as anybody writes them, a zero byte, and a context: compiling, changing, checking and evaluating never
//! panics, and whatever is answered is of the flag's type.
#![no_main]
use std::{collections::BTreeMap, sync::Arc};

use libfuzzer_sys::fuzz_target;
use tenfold_flags::{ClientFeatures, Context, Flag, Moment, Snapshot, validate};
use tenfold_types::Timestamp;

fuzz_target!(|bytes: &[u8]| {
    let (document, context) = bytes.split_at(bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len()));
    let fields: BTreeMap<String, String> =
        serde_json::from_slice(context.strip_prefix(&[0]).unwrap_or_default()).unwrap_or_default();
    let mut context = Context::new();
    fields.into_iter().for_each(|(name, value)| context.set(&name, value));
    let moment = Moment { now: Timestamp(1_767_225_600_000), random: bytes.len() as u32 };

    if let Ok(document) = serde_json::from_slice::<ClientFeatures>(document) {
        let mut snapshot = Snapshot::compile(&document);
        check(&snapshot, &context, moment);
        for feature in &document.features {
            snapshot = snapshot.without_feature(&feature.name);
            check(&snapshot, &context, moment);
            snapshot = snapshot.with_feature(feature);
        }
        for segment in &document.segments {
            snapshot = snapshot.without_segment(segment.id);
            let _ = validate::validate_segment(segment);
        }
        check(&snapshot, &context, moment);
    }
    // The same text as a flag that somebody writes.
    if let Ok(mut flag) = serde_json::from_slice::<Flag>(document) {
        flag.normalize();
        let flags = BTreeMap::from([(flag.key.clone(), Arc::new(flag.clone()))]);
        let _ = validate::validate(&flag, validate::Surroundings { flags: &flags, segments: &BTreeMap::new() });
        for environment in flag.environments.keys() {
            let features = flag.features(environment).collect();
            check(&Snapshot::compile(&ClientFeatures { version: 2, features, segments: vec![] }), &context, moment);
        }
    }
});

fn check(snapshot: &Snapshot, context: &Context, moment: Moment) {
    for answer in snapshot.evaluate_all(context, moment) {
        assert!(answer.value_type().conform(answer.value()).is_some());
        assert!(answer.enabled || answer.unleash_variant().is_none());
        assert!(answer.index() < snapshot.indices());
        let alone = snapshot.evaluate(answer.key(), context, moment).expect("what is listed is found");
        assert_eq!(alone.index(), answer.index());
    }
}
