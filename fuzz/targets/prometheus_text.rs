//! Metrics pages of any program.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = tenfold_protocols::prom_text::parse(text, Default::default());
    }
});
