//! Flag files of other products: reading never panics and stays within its limits, and what was read can be written.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_flags::exchange::{Format, Options, fit_segments, read, write};

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = serde_json::from_slice::<serde_json::Value>(bytes) else { return };
    let options = Options { environment: Some("production"), allow_rebucketing: true };
    for format in [Format::Unleash, Format::UnleashClient, Format::Flagd] {
        let Ok(mut bundle) = read(format, &document, options) else { continue };
        fit_segments(&mut bundle, &std::collections::BTreeMap::new());
        let flags: Vec<_> = bundle.flags.iter().collect();
        let segments: Vec<_> = bundle.segments.iter().collect();
        for other in [Format::Unleash, Format::UnleashClient, Format::Flagd] {
            let _ = write(other, &flags, &segments, options);
        }
    }
});
