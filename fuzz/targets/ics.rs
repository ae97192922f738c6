//! Somebody else's calendar.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_oncall::{EVENTS_READ_MAX, read_events};
use tenfold_types::Timestamp;

const YEAR_MS: i64 = 366 * 86_400_000;

fuzz_target!(|text: &str| {
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").expect("a zone");
    let from = Timestamp(1_767_225_600_000);
    if let Ok(events) = read_events(text, &zone, from, from.plus_ms(YEAR_MS)) {
        assert!(events.len() <= EVENTS_READ_MAX);
        assert!(events.iter().all(|e| e.start < e.end && e.end > from));
    }
});
