//! How much each person has on call, by their own clock: hours, nights, weekends, holidays. Figures for the people of a
//! schedule themselves; nothing here puts people in an order.

use std::collections::BTreeMap;

use jiff::{
    ToSpan,
    civil::{Date, Time, Weekday, time},
    tz::TimeZone,
};
use tenfold_types::Timestamp;

use crate::{
    layer::date_at,
    rotation::resolve,
    schedule::{Schedule, Span},
};

/// A night is from 22 to 7 by the person's own clock.
const NIGHT_FROM: Time = time(22, 0, 0, 0);
const NIGHT_TO: Time = time(7, 0, 0, 0);

/// What the figures need to know of a person.
#[derive(Debug, Clone)]
pub struct Profile {
    pub zone: TimeZone,
    /// When they were paged.
    pub pages: Vec<Timestamp>,
}

/// One person's share of a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    pub total_ms: i64,
    pub night_ms: i64,
    /// Saturday and Sunday.
    pub weekend_ms: i64,
    pub holiday_ms: i64,
    pub pages: u32,
    pub night_pages: u32,
}

impl Load {
    /// Hours that count: each once, and once more for each of night, weekend and holiday it is in.
    pub const fn weighed_ms(&self) -> i64 {
        self.total_ms + self.night_ms + self.weekend_ms + self.holiday_ms
    }
}

/// Everybody's load between `from` and `to`. Holidays are those of the plan that held at the time.
pub fn load(
    schedule: &Schedule,
    people: &BTreeMap<String, Profile>,
    from: Timestamp,
    to: Timestamp,
) -> BTreeMap<String, Load> {
    let mut out: BTreeMap<String, Load> = people.keys().map(|p| (p.clone(), Load::default())).collect();
    for span in schedule.spans(from, to) {
        let holidays = schedule.version_at(span.since.max(from)).map_or(&[][..], |v| v.plan.holidays.as_slice());
        let part = Span { since: span.since.max(from), until: span.until.min(to), ..span };
        for person in &part.people {
            if let (Some(profile), Some(load)) = (people.get(person), out.get_mut(person)) {
                add(load, &profile.zone, holidays, part.since, part.until);
            }
        }
    }
    for (person, profile) in people {
        let Some(load) = out.get_mut(person) else { continue };
        for at in profile.pages.iter().filter(|at| from <= **at && **at < to) {
            load.pages += 1;
            load.night_pages += u32::from(is_night(&profile.zone, *at));
        }
    }
    out
}

fn add(load: &mut Load, zone: &TimeZone, holidays: &[Date], since: Timestamp, until: Timestamp) {
    load.total_ms += until.since_ms(since).max(0);
    let (Some(mut date), Some(last)) = (date_at(zone, since), date_at(zone, until)) else { return };
    while date <= last {
        let Ok(next) = date.checked_add(1.day()) else { return };
        let at = |date: Date, t: Time| resolve(zone, date.to_datetime(t));
        let (Some(start), Some(morning), Some(evening), Some(end)) =
            (at(date, Time::midnight()), at(date, NIGHT_TO), at(date, NIGHT_FROM), at(next, Time::midnight()))
        else {
            return;
        };
        let inside = |a: Timestamp, b: Timestamp| b.min(until).since_ms(a.max(since)).max(0);
        load.night_ms += inside(start, morning) + inside(evening, end);
        if matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) {
            load.weekend_ms += inside(start, end);
        }
        if holidays.contains(&date) {
            load.holiday_ms += inside(start, end);
        }
        date = next;
    }
}

/// Whether an instant lies in the night of a zone.
pub fn is_night(zone: &TimeZone, at: Timestamp) -> bool {
    jiff::Timestamp::from_millisecond(at.millis()).is_ok_and(|t| {
        let clock = zone.to_datetime(t).time();
        clock >= NIGHT_FROM || clock < NIGHT_TO
    })
}
