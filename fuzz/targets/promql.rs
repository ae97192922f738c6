//! Queries that people type: a parse ends in an expression or an error that points into the text.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|query: &str| {
    if let Err(error) = tenfold_promql::parse(query) {
        let _ = error.pointing(query);
    }
});
