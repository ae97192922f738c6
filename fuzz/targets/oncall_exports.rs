//! What other on-call products exported.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_protocols::{grafana_oncall, oncall_export::OBJECTS_MAX, opsgenie};

fuzz_target!(|data: &[u8]| {
    let Ok(export) = serde_json::from_slice::<serde_json::Value>(data) else { return };
    if let Ok(read) = grafana_oncall::read(&export) {
        assert!(read.users.len() + read.schedules.len() + read.shifts.len() <= OBJECTS_MAX);
        assert!(read.steps.is_sorted_by_key(|s| s.position));
    }
    if let Ok(read) = opsgenie::read(&export) {
        assert!(read.users.len() + read.schedules.len() <= OBJECTS_MAX);
    }
});
