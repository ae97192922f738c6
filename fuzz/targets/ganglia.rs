//! Datagrams of gmond; its XML is in `exposition`.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = tenfold_protocols::ganglia::decode(bytes);
});
