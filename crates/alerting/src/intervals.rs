//! Time intervals as Alertmanager's `time_intervals` have them: times of day, weekdays, days of the month (negative ones
//! count from its end), months, years, in a zone of their own. Source: Alertmanager's `timeinterval` package.

use jiff::{Zoned, civil::Date, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use tenfold_types::Timestamp;

use crate::nothing::or_nothing;

/// Ranges in one field.
const RANGES_MAX: usize = 100;
pub const MINUTES_OF_DAY: u16 = 24 * 60;
/// The last of [`WEEKDAYS`].
const SATURDAY: i32 = 6;

/// From Sunday on, as Alertmanager and Nagios name them.
pub const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
pub const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// All the fields that are given must hold; within a field one of its ranges.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeInterval {
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "times")]
    pub times: Vec<TimeRange>,
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "weekdays",
        serialize_with = "day_names"
    )]
    pub weekdays: Vec<Range>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "days_of_month")]
    pub days_of_month: Vec<Range>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "months")]
    pub months: Vec<Range>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "years")]
    pub years: Vec<Range>,
    /// An IANA name; UTC when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "location")]
    pub location: Option<String>,
}

/// Minutes of a day, the end not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    pub start_minute: u16,
    pub end_minute: u16,
}

impl Serialize for TimeRange {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let clock = |m: u16| format!("{:02}:{:02}", m / 60, m % 60);
        RawTime { start_time: clock(self.start_minute), end_time: clock(self.end_minute) }.serialize(s)
    }
}

/// Both ends are included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub begin: i32,
    pub end: i32,
}

impl Serialize for Range {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{}:{}", self.begin, self.end))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTime {
    start_time: String,
    end_time: String,
}

impl TimeInterval {
    /// Whether `at` is inside. A zone that is no longer known makes it hold never.
    pub fn contains(&self, at: Timestamp) -> bool {
        let Some(zone) = self.zone() else { return false };
        let Ok(instant) = jiff::Timestamp::from_millisecond(at.millis()) else { return false };
        let local = instant.to_zoned(zone);
        self.time_holds(&local) && self.date_holds(local.date())
    }

    /// Its zone, if that is known.
    pub(crate) fn zone(&self) -> Option<TimeZone> {
        self.location.as_ref().map_or(Some(TimeZone::UTC), |name| TimeZone::get(name).ok())
    }

    /// Whether some time of this day may be inside.
    pub(crate) fn date_holds(&self, date: Date) -> bool {
        let within = |ranges: &[Range], value: i32| {
            ranges.is_empty() || ranges.iter().any(|r| (r.begin..=r.end).contains(&value))
        };
        self.day_holds(date)
            && within(&self.months, i32::from(date.month()))
            && within(&self.weekdays, i32::from(date.weekday().to_sunday_zero_offset()))
            && within(&self.years, i32::from(date.year()))
    }

    fn time_holds(&self, local: &Zoned) -> bool {
        let minute = u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        self.times.is_empty() || self.times.iter().any(|t| (t.start_minute..t.end_minute).contains(&minute))
    }

    fn day_holds(&self, date: Date) -> bool {
        let length = i32::from(date.days_in_month());
        self.days_of_month.is_empty()
            || self.days_of_month.iter().any(|range| {
                let of_month = |day: i32| if day < 0 { length + day + 1 } else { day };
                let (begin, end) = (of_month(range.begin), of_month(range.end));
                begin <= length
                    && (begin.clamp(-length, length)..=end.clamp(-length, length)).contains(&i32::from(date.day()))
            })
    }
}

fn times<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<TimeRange>, D::Error> {
    let raw: Vec<RawTime> = or_nothing(d)?;
    limited(raw)?
        .into_iter()
        .map(|raw| {
            let (start_minute, end_minute) = (clock(&raw.start_time)?, clock(&raw.end_time)?);
            if start_minute >= end_minute {
                return Err(format!("the time {} is not before {}", raw.start_time, raw.end_time));
            }
            Ok(TimeRange { start_minute, end_minute })
        })
        .collect::<Result<_, String>>()
        .map_err(D::Error::custom)
}

fn clock(text: &str) -> Result<u16, String> {
    let wrong = || format!("`{text}` is not a time of day; write it like 09:00, at most 24:00");
    let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
    let two_digits = |t: &str| t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit());
    if !two_digits(hours) || !two_digits(minutes) {
        return Err(wrong());
    }
    let (hours, minutes): (u16, u16) = (hours.parse().map_err(|_| wrong())?, minutes.parse().map_err(|_| wrong())?);
    let total = hours * 60 + minutes;
    if minutes > 59 || total > MINUTES_OF_DAY { Err(wrong()) } else { Ok(total) }
}

fn weekdays<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Range>, D::Error> {
    let day = |text: &str| {
        let found = WEEKDAYS.iter().position(|w| *w == text).and_then(|i| i32::try_from(i).ok());
        found.ok_or_else(|| format!("`{text}` is not a day of the week"))
    };
    let days = ranges(or_nothing(d)?, day, |_| Ok(())).map_err(D::Error::custom)?;
    // Sunday is the first day here, and the last of the week for many: `friday:sunday` is read as it is meant, in two parts.
    let parts = |Range { begin, end }: Range| {
        if end == 0 && begin > 0 {
            vec![Range { begin, end: SATURDAY }, Range { begin: 0, end }]
        } else {
            vec![Range { begin, end }]
        }
    };
    Ok(days.into_iter().flat_map(parts).collect())
}

fn day_names<S: serde::Serializer>(ranges: &[Range], s: S) -> Result<S::Ok, S::Error> {
    let name = |day: i32| usize::try_from(day).ok().and_then(|i| WEEKDAYS.get(i)).copied().unwrap_or("");
    s.collect_seq(ranges.iter().map(|r| format!("{}:{}", name(r.begin), name(r.end))))
}

fn months<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Range>, D::Error> {
    let month = |text: &str| match MONTHS.iter().position(|m| *m == text) {
        Some(i) => i32::try_from(i + 1).map_err(|e| e.to_string()),
        None => match text.parse() {
            Ok(n @ 1..=12) => Ok(n),
            _ => Err(format!("`{text}` is not a month")),
        },
    };
    ranges(or_nothing(d)?, month, |_| Ok(())).map_err(D::Error::custom)
}

fn years<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Range>, D::Error> {
    let year = |text: &str| text.parse().map_err(|_| format!("`{text}` is not a year"));
    ranges(or_nothing(d)?, year, |_| Ok(())).map_err(D::Error::custom)
}

fn days_of_month<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Range>, D::Error> {
    let day = |text: &str| match text.parse::<i32>() {
        Ok(n) if n != 0 && (-31..=31).contains(&n) => Ok(n),
        _ => Err(format!("`{text}` is not a day of a month: 1 to 31, or -31 to -1 from its end")),
    };
    let check = |range: &Range| {
        if range.begin < 0 && range.end > 0 {
            return Err("the end must be negative when the begin is".to_owned());
        }
        // In the longest month the begin must not come after the end.
        let of_month = |day: i32| if day < 0 { 31 + day + 1 } else { day };
        if of_month(range.begin) > of_month(range.end) {
            return Err(format!("the day {} comes after {}", range.begin, range.end));
        }
        Ok(())
    };
    ranges(or_nothing(d)?, day, check).map_err(D::Error::custom)
}

fn location<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    let Some(name) = Option::<String>::deserialize(d)? else { return Ok(None) };
    TimeZone::get(&name).map_err(|_| D::Error::custom(format!("`{name}` is not a time zone, like Europe/Berlin")))?;
    Ok(Some(name))
}

fn limited<T, E: Error>(list: Vec<T>) -> Result<Vec<T>, E> {
    if list.len() > RANGES_MAX {
        return Err(E::custom(format!("at most {RANGES_MAX} ranges")));
    }
    Ok(list)
}

fn ranges(
    list: Vec<String>,
    read: impl Fn(&str) -> Result<i32, String>,
    check: impl Fn(&Range) -> Result<(), String>,
) -> Result<Vec<Range>, String> {
    if list.len() > RANGES_MAX {
        return Err(format!("at most {RANGES_MAX} ranges"));
    }
    list.iter()
        .map(|text| {
            let lower = text.to_lowercase();
            let (begin, end) = lower.split_once(':').unwrap_or((&lower, &lower));
            let range = Range { begin: read(begin)?, end: read(end)? };
            check(&range)?;
            if range.begin > range.end && range.end > 0 {
                return Err(format!("`{text}`: the begin comes after the end"));
            }
            Ok(range)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str, inside: &[&str], outside: &[&str]) {
        let interval: TimeInterval = serde_saphyr::from_str(yaml).unwrap();
        for (times, expected) in [(inside, true), (outside, false)] {
            for time in times {
                assert_eq!(interval.contains(Timestamp::parse_rfc3339(time).unwrap()), expected, "{yaml} at {time}");
            }
        }
        let again: TimeInterval = serde_json::from_value(serde_json::to_value(&interval).unwrap())
            .unwrap_or_else(|e| panic!("{yaml} written and read: {e}"));
        assert_eq!(again, interval);
    }

    #[test]
    fn contains() {
        check("{}", &["2026-11-26T00:00:00Z"], &[]);
        check(
            "times: [{start_time: '09:00', end_time: '17:00'}]\nweekdays: ['monday:friday']",
            &["2020-07-08T09:00:00Z", "2020-07-10T16:59:59Z"],
            &["2020-07-08T08:59:59Z", "2020-07-08T17:00:00Z", "2020-07-11T12:00:00Z"],
        );
        check(
            "weekdays: ['friday:sunday']",
            &["2020-07-10T00:00:00Z", "2020-07-11T12:00:00Z", "2020-07-12T23:59:59Z"],
            &["2020-07-09T23:59:59Z", "2020-07-13T00:00:00Z"],
        );
        check(
            "{days_of_month: ['-3:-1'], months: ['february'], years: ['2020:2021']}",
            &["2020-02-27T12:00:00Z", "2020-02-29T23:59:59Z", "2021-02-26T00:00:00Z"],
            &["2020-02-26T12:00:00Z", "2022-02-28T00:00:00Z", "2020-01-31T00:00:00Z"],
        );
        check("{days_of_month: ['31']}", &["2020-01-31T00:00:00Z"], &["2020-04-30T00:00:00Z"]);
        check("{days_of_month: ['-31']}", &["2020-01-01T00:00:00Z"], &["2020-02-01T00:00:00Z"]);
        check("{days_of_month: ['-31:-1']}", &["2020-02-01T00:00:00Z"], &[]);
        check("{days_of_month: ['1:-5']}", &["2020-02-25T00:00:00Z"], &["2020-02-26T00:00:00Z"]);
        check(
            "{times: [{start_time: '23:00', end_time: '24:00'}]}",
            &["2020-02-01T23:59:59Z"],
            &["2020-02-02T00:00:00Z"],
        );
        check(
            "{times: [{start_time: '09:00', end_time: '17:00'}], location: Australia/Sydney}",
            &["2020-07-07T23:00:00Z"],
            &["2020-07-08T09:00:00Z"],
        );
    }

    #[test]
    fn clocks_that_change() {
        let night = "{times: [{start_time: '02:15', end_time: '02:45'}], location: Europe/Berlin}";
        // On 2026-10-25 Berlin goes from 03:00 back to 02:00: the half hour comes twice, and not in between.
        check(
            night,
            &["2026-10-25T00:15:00Z", "2026-10-25T00:44:59Z", "2026-10-25T01:15:00Z", "2026-10-25T01:44:59Z"],
            &["2026-10-25T00:14:59Z", "2026-10-25T00:45:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:45:00Z"],
        );
        // On 2027-03-28 it goes from 02:00 to 03:00: the half hour does not come.
        check(
            night,
            &["2027-03-27T01:15:00Z", "2027-03-29T00:15:00Z"],
            &["2027-03-28T00:30:00Z", "2027-03-28T01:30:00Z"],
        );
        // One that spans the change is an hour longer in autumn, and an hour shorter in spring.
        let over = "{times: [{start_time: '01:00', end_time: '04:00'}], location: Europe/Berlin}";
        check(
            over,
            &["2026-10-24T23:00:00Z", "2026-10-25T02:59:59Z"],
            &["2026-10-24T22:59:59Z", "2026-10-25T03:00:00Z"],
        );
        check(
            over,
            &["2027-03-28T00:00:00Z", "2027-03-28T01:59:59Z"],
            &["2027-03-27T23:59:59Z", "2027-03-28T02:00:00Z"],
        );
        // The day of a fold has 25 hours, in its own zone.
        check(
            "{weekdays: ['sunday'], location: Europe/Berlin}",
            &["2026-10-24T22:00:00Z", "2026-10-25T22:59:59Z"],
            &["2026-10-24T21:59:59Z", "2026-10-25T23:00:00Z"],
        );
        // By half an hour: Lord Howe goes back from 02:00 to 01:30 on 2026-04-05.
        check(
            "{times: [{start_time: '01:40', end_time: '01:50'}], location: Australia/Lord_Howe}",
            &["2026-04-04T14:40:00Z", "2026-04-04T15:10:00Z"],
            &["2026-04-04T14:50:00Z", "2026-04-04T15:00:00Z"],
        );
    }

    #[test]
    fn refuses() {
        for yaml in [
            "weekdays: ['friday:monday']",
            "weekdays: ['mon']",
            "days_of_month: ['0']",
            "days_of_month: ['32']",
            "days_of_month: ['-1:-5']",
            "days_of_month: ['-5:5']",
            "days_of_month: ['10:-30']",
            "months: ['5:1']",
            "months: ['13']",
            "years: ['2022:2020']",
            "times: [{start_time: '17:00', end_time: '09:00'}]",
            "times: [{start_time: '9:00', end_time: '24:01'}]",
            "location: Nowhere/Land",
            "hours: ['1']",
        ] {
            assert!(serde_saphyr::from_str::<TimeInterval>(yaml).is_err(), "{yaml}");
        }
    }
}
