//! The files of the time-series engine: every decoder of columns, runs and records.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    tenfold_tsdb::decode_anything(bytes);
});
