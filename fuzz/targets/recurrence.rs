//! Text of a recurrence: it never panics, and what is shown of it reads the same again.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_alerting::{parse_recurrence, show_recurrence};

/// What is shown may be longer than what was typed, and reading has a limit.
const SHOWN_WHOLE_BYTES: usize = 250;

fuzz_target!(|text: &str| {
    let Ok(read) = parse_recurrence(text) else { return };
    let shown = show_recurrence(&read);
    if text.len() <= SHOWN_WHOLE_BYTES {
        let again = parse_recurrence(&shown).expect("what is shown is read");
        assert_eq!(show_recurrence(&again), shown);
    }
});
