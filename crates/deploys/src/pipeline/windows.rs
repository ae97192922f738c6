//! When a target takes deploys: windows that are open, and freezes in which nothing ships. Civil time in a zone of its own,
//! so that "Friday after four" is what the people there mean, also when clocks change.

use std::borrow::Cow;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};
use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY_MIN: u16 = 24 * 60;
/// How far ahead the next opening is looked for: a window that is open at all is open within a week and a day.
const AHEAD_DAYS: i64 = 8;
const MINUTE_MS: usize = 60_000;

/// `Mon-Fri 08:00-17:00 Europe/Berlin`: days, hours and zone. `daily` is every day; hours that end before they begin go on
/// into the next day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    text: String,
    /// Monday first.
    days: [bool; 7],
    from_min: u16,
    until_min: u16,
    zone: String,
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        window.text
    }
}

impl TryFrom<String> for Window {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "`{text}` is not a window: {why}; write days, hours and zone, such as `Mon-Fri 08:00-17:00 Europe/Berlin`"
            )
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let [days, hours, zone] = words[..] else { return Err(wrong("it has not three words")) };
        let days = days_of(days).ok_or_else(|| wrong("its days are not known"))?;
        let (from, until) = hours.split_once('-').ok_or_else(|| wrong("its hours have no end"))?;
        let minutes = |text| minutes_of(text).ok_or_else(|| wrong("its hours are not like 08:00"));
        let (from_min, until_min) = (minutes(from)?, minutes(until)?);
        if from_min == until_min || from_min == DAY_MIN {
            return Err(wrong("it is never open"));
        }
        TimeZone::get(zone).map_err(|_| wrong("its zone is not known"))?;
        let zone = zone.to_owned();
        Ok(Self { text, days, from_min, until_min, zone })
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

fn days_of(text: &str) -> Option<[bool; 7]> {
    let lower = text.to_lowercase();
    if lower == "daily" {
        return Some([true; 7]);
    }
    let day = |word: &str| DAYS.iter().position(|d| *d == word);
    let mut days = [false; 7];
    for part in lower.split(',') {
        let (from, to) = match part.split_once('-') {
            Some((from, to)) => (day(from)?, day(to)?),
            None => (day(part)?, day(part)?),
        };
        let mut at = from;
        days[at] = true;
        while at != to {
            at = (at + 1) % 7;
            days[at] = true;
        }
    }
    Some(days)
}

fn minutes_of(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= DAY_MIN).then_some(all)
}

fn day_of(weekday: Weekday) -> usize {
    usize::try_from(weekday.to_monday_zero_offset()).unwrap_or(0) % 7
}

fn zoned(at: Timestamp, zone: &str) -> Option<Zoned> {
    let zone = TimeZone::get(zone).ok()?;
    Some(jiff::Timestamp::from_millisecond(at.millis()).ok()?.to_zoned(zone))
}

impl Window {
    /// Whether a deploy may begin. A zone that is not known any more opens nothing.
    pub fn is_open(&self, at: Timestamp) -> bool {
        let Some(here) = zoned(at, &self.zone) else { return false };
        let minute = u16::try_from(i32::from(here.hour()) * 60 + i32::from(here.minute())).unwrap_or(0);
        let today = day_of(here.weekday());
        if self.from_min < self.until_min {
            return self.days[today] && (self.from_min..self.until_min).contains(&minute);
        }
        (self.days[today] && minute >= self.from_min) || (self.days[(today + 6) % 7] && minute < self.until_min)
    }

    /// When it opens next after `at`, at which it is closed. Where its hour is left out as clocks change, that is where they went on,
    /// if it is open then; where its hour comes twice, it opens twice.
    pub fn opens_after(&self, at: Timestamp) -> Option<Timestamp> {
        let here = zoned(at, &self.zone)?;
        let time =
            Time::new(i8::try_from(self.from_min / 60).ok()?, i8::try_from(self.from_min % 60).ok()?, 0, 0).ok()?;
        (0..=AHEAD_DAYS).find_map(|ahead| {
            let date = here.date().checked_add(ahead.days()).ok()?;
            if !self.days[day_of(date.weekday())] {
                return None;
            }
            let opens = here.time_zone().to_ambiguous_zoned(date.to_datetime(time));
            let millis = |zoned: Zoned| zoned.timestamp().as_millisecond();
            // one instant, but for the night in which clocks change
            let (first, last) = (millis(opens.clone().earlier().ok()?), millis(opens.later().ok()?));
            let mut minutes = (first..=last).step_by(MINUTE_MS).map(Timestamp);
            minutes.find(|minute| *minute > at && self.is_open(*minute))
        })
    }
}

/// A time in which nothing ships, for a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// `2026-12-20` or `2026-12-20 18:00`.
    pub from: String,
    /// The first instant at which deploys go on.
    pub until: String,
    /// `Europe/Berlin`; UTC unless given.
    #[serde(default = "utc")]
    pub zone: String,
    pub reason: String,
    /// Who can tell more of it.
    pub owner: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn civil(text: &str) -> Option<DateTime> {
    let text = text.trim();
    text.parse::<DateTime>().ok().or_else(|| text.parse::<Date>().ok().map(|d| d.to_datetime(Time::midnight())))
}

impl Freeze {
    /// From when until when. An error names the key.
    pub fn span(&self) -> Result<(Timestamp, Timestamp), (&'static str, String)> {
        let zone = TimeZone::get(&self.zone)
            .map_err(|_| ("zone", "is not a time zone; write one such as Europe/Berlin".to_owned()))?;
        let instant = |key, text: &str| {
            let at = civil(text).and_then(|civil| civil.to_zoned(zone.clone()).ok());
            let at = at.map(|z| Timestamp(z.timestamp().as_millisecond()));
            at.ok_or_else(|| (key, "is not a day or an instant; write 2026-12-20 or \"2026-12-20 18:00\"".to_owned()))
        };
        let (from, until) = (instant("from", &self.from)?, instant("until", &self.until)?);
        if until <= from {
            return Err(("until", "must be after `from`".to_owned()));
        }
        Ok((from, until))
    }
}

/// Why a target takes no deploy now, in words, and when it does again as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    pub why: String,
    pub opens_at: Option<Timestamp>,
}

/// Whether a target that is open in any of `windows` (always, without any) and closed in all of `freezes` is closed.
pub fn closed(windows: &[Window], freezes: &[Freeze], at: Timestamp) -> Option<Closed> {
    let frozen = |freeze: &&Freeze| freeze.span().map_or(true, |(from, until)| (from..until).contains(&at));
    if let Some(freeze) = freezes.iter().find(frozen) {
        let why = format!("frozen until {} {} by {}: {}", freeze.until, freeze.zone, freeze.owner, freeze.reason);
        return Some(Closed { why, opens_at: open_from(windows, freezes, at) });
    }
    if windows.is_empty() || windows.iter().any(|w| w.is_open(at)) {
        return None;
    }
    let told = windows.iter().map(Window::to_string).collect::<Vec<_>>().join(" or ");
    Some(Closed { why: format!("outside its window {told}"), opens_at: open_from(windows, freezes, at) })
}

/// The first instant from `at` on that is in a window and in no freeze; the end of one freeze may lie in another, or at night.
fn open_from(windows: &[Window], freezes: &[Freeze], mut at: Timestamp) -> Option<Timestamp> {
    // one that cannot be read has no end
    let spans: Vec<_> = freezes.iter().map(Freeze::span).collect::<Result<_, _>>().ok()?;
    // each freeze ends once, and after each a window may have to open
    for _ in 0..=2 * spans.len() + 1 {
        if let Some((_, until)) = spans.iter().find(|(from, until)| (*from..*until).contains(&at)) {
            at = *until;
        } else if windows.is_empty() || windows.iter().any(|w| w.is_open(at)) {
            return Some(at);
        } else {
            at = windows.iter().filter_map(|w| w.opens_after(at)).min()?;
        }
    }
    None
}

impl schemars::JsonSchema for Window {
    fn schema_name() -> Cow<'static, str> {
        "Window".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "Days, hours and zone: `Mon-Fri 08:00-17:00 Europe/Berlin`. `daily` is every day; hours that end \
                            before they begin go on into the next day.",
            "pattern": r"^\S+ +\d\d:\d\d-\d\d:\d\d +\S+$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }
    fn window(text: &str) -> Window {
        Window::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_window_is_open_in_its_own_zone() {
        let cases = [
            // a Thursday in winter time: Berlin is an hour ahead
            ("Mon-Fri 08:00-17:00 Europe/Berlin", "2026-11-26T06:59:59Z", false),
            ("Mon-Fri 08:00-17:00 Europe/Berlin", "2026-11-26T07:00:00Z", true),
            ("Mon-Fri 08:00-17:00 Europe/Berlin", "2026-11-26T16:00:00Z", false),
            // and two in summer
            ("Mon-Fri 08:00-17:00 Europe/Berlin", "2026-07-02T06:00:00Z", true),
            ("Mon-Fri 08:00-17:00 Europe/Berlin", "2026-11-28T10:00:00Z", false),
            ("Sat,Sun 00:00-24:00 UTC", "2026-11-28T23:59:59Z", true),
            ("Fri-Mon 00:00-24:00 UTC", "2026-11-30T12:00:00Z", true),
            ("Fri-Mon 00:00-24:00 UTC", "2026-12-01T00:00:00Z", false),
            // the night of Friday ends on Saturday
            ("Fri 22:00-04:00 UTC", "2026-11-28T03:59:00Z", true),
            ("Fri 22:00-04:00 UTC", "2026-11-27T03:00:00Z", false),
            ("daily 22:00-04:00 UTC", "2026-11-27T03:00:00Z", true),
        ];
        for (text, when, open) in cases {
            assert_eq!(window(text).is_open(at(when)), open, "{text} at {when}");
        }
    }

    #[test]
    fn the_next_opening_is_told_also_when_clocks_change() {
        let cases = [
            ("Mon-Fri 08:00-17:00 Europe/Berlin", "2026-11-26T06:00:00Z", "2026-11-26T07:00:00Z"),
            ("Mon-Fri 08:00-17:00 Europe/Berlin", "2026-11-27T18:00:00Z", "2026-11-30T07:00:00Z"),
            ("Thu 08:00-17:00 UTC", "2026-11-26T08:00:00Z", "2026-12-03T08:00:00Z"),
            // 02:30 does not exist on that night, and 03:00 follows 01:59: the first instant after the gap
            ("daily 02:30-04:00 Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"),
            // nothing of it exists on that night
            ("daily 02:15-02:45 Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-30T00:15:00Z"),
            // 02:15 comes twice on that one, and it is open each time
            ("daily 02:15-02:45 Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T00:15:00Z"),
            ("daily 02:15-02:45 Europe/Berlin", "2026-10-25T00:50:00Z", "2026-10-25T01:15:00Z"),
            ("daily 02:15-02:45 Europe/Berlin", "2026-10-25T01:45:00Z", "2026-10-26T01:15:00Z"),
        ];
        for (text, from, expected) in cases {
            let opens = window(text).opens_after(at(from));
            assert_eq!(opens, Some(at(expected)), "{text} after {from}: {opens:?}");
            assert!(window(text).is_open(opens.unwrap()), "{text}");
        }
    }

    #[test]
    fn wrong_windows_say_what_is_wrong() {
        for (text, word) in [
            ("Mon-Fri 08:00-17:00", "three words"),
            ("Mon-Foo 08:00-17:00 UTC", "days"),
            ("Mon 8-17 UTC", "08:00"),
            ("Mon 08:00 UTC", "no end"),
            ("Mon 08:00-08:00 UTC", "never open"),
            ("Mon 08:60-09:00 UTC", "08:00"),
            ("Mon 24:00-01:00 UTC", "never open"),
            ("Mon 08:00-25:00 UTC", "08:00"),
            ("Mon 08:00-17:00 Mars/Olympus", "zone"),
        ] {
            let error = Window::try_from(text.to_owned()).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    fn freeze(from: &str, until: &str) -> Freeze {
        Freeze {
            from: from.into(),
            until: until.into(),
            zone: "Europe/Berlin".into(),
            reason: "stocktaking".into(),
            owner: "mei".into(),
        }
    }

    #[test]
    fn a_freeze_closes_with_its_reason_and_its_end() {
        let freezes = [freeze("2026-12-20", "2027-01-04 08:00")];
        assert_eq!(closed(&[], &freezes, at("2026-12-19T22:59:59Z")), None);
        let shut = closed(&[], &freezes, at("2026-12-19T23:00:00Z")).unwrap();
        assert_eq!(shut.why, "frozen until 2027-01-04 08:00 Europe/Berlin by mei: stocktaking");
        assert_eq!(shut.opens_at, Some(at("2027-01-04T07:00:00Z")));
        assert_eq!(closed(&[], &freezes, at("2027-01-04T07:00:00Z")), None);
        let open = [window("Mon-Fri 08:00-17:00 UTC"), window("Sat 10:00-12:00 UTC")];
        let shut = closed(&open, &[], at("2026-11-28T12:00:00Z")).unwrap();
        assert!(shut.why.contains("17:00 UTC or Sat 10:00-12:00 UTC"), "{}", shut.why);
        assert_eq!(shut.opens_at, Some(at("2026-11-30T08:00:00Z")));
        // where a freeze ends at night, in another one or on a day without a window, that is not when it opens
        let cases = [
            (vec![freeze("2026-11-27", "2026-12-01")], "2026-11-27T12:00:00Z", "2026-12-01T08:00:00Z"),
            (
                vec![freeze("2026-11-27", "2026-12-01"), freeze("2026-11-30", "2026-12-02 12:00")],
                "2026-11-27T12:00:00Z",
                "2026-12-02T11:00:00Z",
            ),
            (vec![freeze("2026-11-30", "2026-12-01")], "2026-11-28T13:00:00Z", "2026-12-01T08:00:00Z"),
        ];
        for (freezes, when, opens) in cases {
            let shut = closed(&open, &freezes, at(when)).unwrap();
            assert_eq!(shut.opens_at, Some(at(opens)), "{when}: {}", shut.why);
        }
        assert_eq!(freeze("2026-12-20", "2026-12-20").span().unwrap_err().0, "until");
        assert_eq!(freeze("soon", "2026-12-20").span().unwrap_err().0, "from");
        assert!(
            closed(&[], &[freeze("soon", "later")], at("2026-11-28T12:00:00Z")).is_some(),
            "unreadable is not open"
        );
    }
}
