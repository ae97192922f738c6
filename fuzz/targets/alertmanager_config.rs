//! Alertmanager's configuration files: routes, matchers, time intervals; what is accepted routes every label set somewhere.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_types::{Labels, Timestamp};

fuzz_target!(|text: &str| {
    let Ok(imported) = tenfold_alerting::import_alertmanager(text) else { return };
    let labels = Labels::from_pairs([("alertname", "a"), ("severity", "critical")]);
    assert!(!imported.routing.tree.matching(&labels, &mut |_, _| {}).is_empty());
    for interval in imported.spec.time_intervals.iter().flat_map(|i| &i.time_intervals) {
        let _ = interval.contains(Timestamp::from_millis(i64::from(text.len() as u32) * 86_400_000));
    }
});
