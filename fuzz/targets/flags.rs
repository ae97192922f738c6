//! Flag documents as Unleash writes them: compiling and evaluating never panics.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_flags::{ClientFeatures, Context, Moment, Snapshot};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(document) = serde_json::from_slice::<ClientFeatures>(bytes) {
        let snapshot = Snapshot::compile(&document);
        let context = Context::default();
        for name in document.features.iter().map(|f| f.name.as_str()) {
            let _ = snapshot.evaluate(name, &context, Moment::default());
        }
    }
});
