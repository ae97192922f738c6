//! Pipeline files out of anybody's repository.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = tenfold_deploys::Pipeline::parse(text);
});
