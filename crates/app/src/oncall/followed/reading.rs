//! From the text of a calendar to shifts of people.

use jiff::tz::TimeZone;
use tenfold_oncall::{CALENDAR_AHEAD_MS, CALENDAR_SHIFTS_MAX, FixedShift, IcsEvent, read_events};
use tenfold_types::Timestamp;

use super::{CalendarAnswer, CalendarKnown, UNNAMED_MAX, Unnamed};
use crate::{
    oncall::calendars::{assigned, beside_on_call},
    people::Person,
};

const TITLE_CHARS_MAX: usize = 100;
/// Of why there is no good answer, which may repeat what stands in the calendar.
const FAILURE_CHARS_MAX: usize = 300;

/// Who has which hours by a calendar from an instant on.
#[derive(Debug, Clone)]
pub(in crate::oncall) struct Reading {
    pub shifts: Vec<FixedShift>,
    /// How far ahead it was read.
    pub until: Timestamp,
    pub(super) unnamed: Vec<Unnamed>,
}

impl Reading {
    /// Reads the events from `now` on. Clock times without a zone are in `zone`.
    ///
    /// # Errors
    /// The line that is wrong or not understood.
    pub fn of(ics: &str, people: &[Person], zone: &TimeZone, now: Timestamp) -> Result<Self, String> {
        let until = now.plus_ms(CALENDAR_AHEAD_MS);
        let mut found = read_events(ics, zone, now, until)?;
        if !is_whole(ics) {
            return Err("it breaks off: there is no END:VCALENDAR".to_owned());
        }
        found.retain(|event| !beside_on_call(&event.uid));
        let (found, nobody) = assigned(people, found);
        // Of more than are kept some would be missing, and nobody would know which.
        if found.len() > CALENDAR_SHIFTS_MAX {
            let days = CALENDAR_AHEAD_MS / 86_400_000;
            return Err(format!(
                "it has {} shifts of people in {days} days, and a schedule keeps {CALENDAR_SHIFTS_MAX}; follow a calendar with \
                 fewer events",
                found.len()
            ));
        }
        let mut unnamed: Vec<Unnamed> = Vec::new();
        for (event, why) in nobody {
            let one = Unnamed { title: one_line(&event.summary, TITLE_CHARS_MAX), why, from: event.start, count: 1 };
            if let Some(same) = unnamed.iter_mut().find(|known| known.is_same(&one)) {
                same.count += 1;
            } else if unnamed.len() < UNNAMED_MAX {
                unnamed.push(one);
            }
        }
        let shift = |(person, event): (String, IcsEvent)| FixedShift { person, start: event.start, end: event.end };
        let shifts = found.into_iter().map(shift).collect();
        Ok(Self { shifts, until, unnamed })
    }

    pub fn sentences(&self) -> Vec<String> {
        self.unnamed.iter().map(Unnamed::sentence).collect()
    }
}

/// In one line, for rooms.
fn one_line(text: &str, chars_max: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(chars_max).collect()
}

/// One that breaks off would take everybody behind the break off call.
fn is_whole(ics: &str) -> bool {
    let is = |line: &str, wanted: &str| line.eq_ignore_ascii_case(wanted);
    let mut lines = ics.lines().map(str::trim);
    let last = lines.rfind(|line| is(line, "BEGIN:VCALENDAR") || is(line, "END:VCALENDAR"));
    last.is_some_and(|line| is(line, "END:VCALENDAR"))
}

/// What came of asking for a calendar once.
#[derive(Debug, Clone, Default)]
pub(super) struct Look {
    /// Of a good answer, to be asked with the next time.
    pub known: Option<CalendarKnown>,
    /// A good answer that is not the one before.
    pub ics: Option<String>,
    /// Of this answer, or of the last good one when there is none. `None` when there never was one.
    pub reading: Option<Reading>,
    /// Why there is no good answer.
    pub failure: Option<String>,
}

impl Look {
    /// `kept` is the last good answer, empty before the first.
    pub fn of(
        answer: Result<CalendarAnswer, String>,
        kept: &str,
        people: &[Person],
        zone: &TimeZone,
        now: Timestamp,
    ) -> Self {
        let read = |ics: &str| Reading::of(ics, people, zone, now);
        // People and the time ahead may have changed where the calendar has not.
        let as_it_was = |failure: Option<String>| Self {
            reading: if kept.is_empty() { None } else { read(kept).ok() },
            failure: failure.map(|why| one_line(&why, FAILURE_CHARS_MAX)),
            ..Self::default()
        };
        match answer {
            Err(why) => as_it_was(Some(why)),
            Ok(CalendarAnswer::Unchanged) if kept.is_empty() => {
                as_it_was(Some("it says that nothing has changed, though it was never read".to_owned()))
            }
            Ok(CalendarAnswer::Unchanged) => match read(kept) {
                Ok(reading) => Self { reading: Some(reading), ..Self::default() },
                Err(why) => as_it_was(Some(why)),
            },
            Ok(CalendarAnswer::Text { ics, .. }) if ics.contains('\0') => {
                as_it_was(Some("it is no text: there are NUL characters in it".to_owned()))
            }
            Ok(CalendarAnswer::Text { ics, known }) => match read(&ics) {
                Ok(reading) => Self {
                    known: Some(known),
                    ics: (ics != kept).then_some(ics),
                    reading: Some(reading),
                    failure: None,
                },
                Err(why) => as_it_was(Some(why)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(ics: &str) -> Option<String> {
        let answer = CalendarAnswer::Text { ics: ics.to_owned(), known: CalendarKnown::default() };
        Look::of(Ok(answer), "", &[], &TimeZone::UTC, Timestamp(0)).failure
    }

    #[test]
    fn a_calendar_that_breaks_off_is_none() {
        let event = "BEGIN:VEVENT\r\nDTSTART:19700102T000000Z\r\nDURATION:P1D\r\nEND:VEVENT\r\n";
        let whole = format!("BEGIN:VCALENDAR\r\n{event}END:VCALENDAR\r\n");
        assert_eq!(failure(&whole), None);
        assert_eq!(failure(&format!("{whole}{whole}\r\n")), None);
        let broken = format!("{whole}BEGIN:VCALENDAR\r\n{event}BEGIN:VEVENT\r\n");
        for ics in [broken.as_str(), &whole[..whole.len() - 16]] {
            assert!(failure(ics).is_some_and(|why| why.contains("breaks off")), "{ics}");
        }
    }

    #[test]
    fn a_failure_is_one_short_line() {
        let long = format!("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:{}\r\nEND:VEVENT\r\n", "x".repeat(10_000));
        let why = failure(&long).expect("it is no time");
        assert!(why.starts_with("line 3: `xxx") && why.chars().count() == FAILURE_CHARS_MAX, "{why}");
    }
}
