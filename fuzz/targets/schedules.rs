//! A schedule's plan: what is accepted is evaluated, and its spans partition the time.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_oncall::{Plan, Schedule};
use tenfold_types::Timestamp;

fuzz_target!(|text: &str| {
    let Ok(plan) = serde_json::from_str::<Plan>(text) else { return };
    let Ok(schedule) = Schedule::of_plan("s", plan, Vec::new()) else { return };
    let from = Timestamp(1_767_225_600_000);
    let spans = schedule.spans(from, from.plus_ms(2 * 86_400_000));
    assert!(spans.windows(2).all(|pair| pair[0].until == pair[1].since));
    for span in spans {
        assert_eq!(schedule.duty_at(span.since.max(from)).people, span.people);
    }
});
