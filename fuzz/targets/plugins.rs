//! What plugins print, what NRPE daemons answer, certificates, and object files of Nagios.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_protocols::{certificate, nagios, nrpe, plugin};

fuzz_target!(|data: &[u8]| {
    let output = plugin::read_output(data);
    assert!(output.values.len() <= plugin::PERFDATA_MAX && output.values.iter().all(|v| v.value.is_finite()));
    let _ = certificate::not_after(data);
    let sum = |_: &[u8]| 0;
    let _ = nrpe::answer(data, sum);
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(packet) = nrpe::query(nrpe::Version::V4, text, sum) {
            assert_eq!(nrpe::answer_length(&packet), Ok(packet.len()));
        }
        if let Ok(objects) = nagios::read_objects("f", text) {
            let _ = nagios::resolve(&objects);
            let _ = nagios::resolve_with(&objects, nagios::Matching::Marked);
        }
    }
});
