//! Defence against a flood of commands: twelve a minute for each speaker, one warning, then silence. Pure.

use std::collections::BTreeMap;

use tenfold_types::Timestamp;

/// Commands a speaker may give in a minute.
pub const COMMANDS_PER_MINUTE_MAX: usize = 12;
/// Wrong link codes after which nobody may try for the rest of the minute.
pub const WRONG_CODES_PER_MINUTE_MAX: usize = 5;
const WINDOW_MS: i64 = 60_000;
const SPEAKERS_MAX: usize = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Heard,
    /// The first beyond the limit: worth a sentence.
    Warned,
    Ignored,
}

/// What each speaker did in the last minute.
#[derive(Debug, Default)]
pub struct Floods {
    speakers: BTreeMap<String, (Vec<Timestamp>, bool)>,
}

impl Floods {
    /// Counts one command of `speaker`.
    pub fn count(&mut self, speaker: &str, most: usize, now: Timestamp) -> Verdict {
        if self.speakers.len() >= SPEAKERS_MAX {
            self.speakers.retain(|_, (at, _)| at.last().is_some_and(|at| now.since_ms(*at) < WINDOW_MS));
        }
        let (times, warned) = self.speakers.entry(speaker.to_owned()).or_default();
        times.retain(|at| now.since_ms(*at) < WINDOW_MS);
        if times.len() < most {
            times.push(now);
            *warned = false;
            Verdict::Heard
        } else if *warned {
            Verdict::Ignored
        } else {
            *warned = true;
            Verdict::Warned
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_a_minute_one_warning_then_silence() {
        let mut floods = Floods::default();
        let mut ask = |s: i64| floods.count("ana", COMMANDS_PER_MINUTE_MAX, Timestamp(s * 1_000));
        for second in 0..12 {
            assert_eq!(ask(second), Verdict::Heard);
        }
        assert_eq!(ask(12), Verdict::Warned);
        assert_eq!(ask(13), Verdict::Ignored);
        assert_eq!(ask(60), Verdict::Heard, "the first is a minute old");
        assert_eq!(ask(60), Verdict::Warned);
        assert_eq!(floods.count("raj", COMMANDS_PER_MINUTE_MAX, Timestamp(60_000)), Verdict::Heard);
    }
}
