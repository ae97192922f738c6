//! Time periods of Nagios as time intervals. There a calendar day's line holds instead of its weekday's; intervals only add
//! up, so those days are cut out of the weekdays' months.

use std::collections::BTreeMap;

use jiff::civil::Date;
use tenfold_alerting::{MINUTES_OF_DAY, MONTHS, Range, TimeInterval, TimeRange, WEEKDAYS};
use tenfold_protocols::nagios::{Fields, PERIOD_KEYS};

/// Months that a line may lie in which says years.
const DATED_MONTHS_MAX: usize = 24;

/// Which days a line is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    Weekday(i32),
    /// Months (all when empty) and days of them, which may count from the end; a weekday as well for the n-th.
    Calendar {
        years: Vec<Range>,
        months: Vec<Range>,
        days: Range,
        weekday: Option<i32>,
    },
}

/// What a time period becomes, and the lines that have no equal.
pub(super) fn intervals(fields: &Fields, zone: &str) -> (Vec<TimeInterval>, Vec<String>) {
    let mut lost = Vec::new();
    let (mut weekdays, mut calendar) = (BTreeMap::<Vec<(u16, u16)>, Vec<i32>>::new(), Vec::new());
    for (key, value) in fields.iter().filter(|(key, _)| !PERIOD_KEYS.contains(&key.as_str())) {
        match (days(key), hours(value)) {
            (Some(days), Some(times)) => match days.as_slice() {
                [Days::Weekday(day)] => weekdays.entry(times).or_default().push(*day),
                _ => calendar.push((key, days, times)),
            },
            _ => lost.push(format!("`{key} {value}` has no equal and is left out")),
        }
    }
    if let Some(others) = fields.get("exclude") {
        lost.push(format!("it excludes {others}: name them in `mute_time_intervals` of the route"));
    }
    let mut cut: BTreeMap<i32, [bool; 32]> = BTreeMap::new();
    for (key, days, times) in &calendar {
        // Each is cut out, whatever becomes of those before it.
        let beside = days.iter().filter(|one| !cut_out(one, &mut cut)).count();
        if beside > 0 {
            let message = if times.is_empty() {
                format!("`{key}` is off on days that no interval can leave out: mute them")
            } else {
                format!("`{key}` holds beside the hours of its weekday, not instead of them")
            };
            lost.push(message);
        }
    }
    let location = Some(zone.to_owned()).filter(|z| z != "UTC");
    let mut out = Vec::new();
    for (times, days) in weekdays.iter().filter(|(times, _)| !times.is_empty()) {
        let plain = TimeInterval {
            times: ranges(times),
            weekdays: days.iter().map(|d| Range { begin: *d, end: *d }).collect(),
            location: location.clone(),
            ..TimeInterval::default()
        };
        out.extend(without(&plain, &cut));
    }
    for (_, all, times) in calendar.iter().filter(|(_, _, times)| !times.is_empty()) {
        for one in all {
            let Days::Calendar { years, months, days, weekday } = one else { continue };
            out.push(TimeInterval {
                times: ranges(times),
                weekdays: weekday.iter().map(|d| Range { begin: *d, end: *d }).collect(),
                days_of_month: vec![*days],
                months: months.clone(),
                years: years.clone(),
                location: location.clone(),
            });
        }
    }
    (out, lost)
}

/// Whether a time period has lines that are not understood, so that nobody knows when it holds.
pub(super) fn is_unread(fields: &Fields) -> bool {
    let mut lines = fields.iter().filter(|(key, _)| !PERIOD_KEYS.contains(&key.as_str()));
    lines.any(|(key, value)| days(key).is_none() || hours(value).is_none())
}

fn ranges(times: &[(u16, u16)]) -> Vec<TimeRange> {
    let whole = times == [(0, MINUTES_OF_DAY)];
    if whole {
        return Vec::new();
    }
    times
        .iter()
        .map(|(start_minute, end_minute)| TimeRange { start_minute: *start_minute, end_minute: *end_minute })
        .collect()
}

/// `09:00-17:00,18:00-24:00` in minutes; what begins where it ends is nothing.
fn hours(text: &str) -> Option<Vec<(u16, u16)>> {
    let clock = |text: &str| {
        let (hours, minutes) = text.trim().split_once(':')?;
        let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
        let total = hours.checked_mul(60)?.checked_add(minutes)?;
        (minutes < 60 && total <= MINUTES_OF_DAY).then_some(total)
    };
    let mut out = Vec::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-')?;
        let (from, to) = (clock(from)?, clock(to)?);
        if from > to {
            return None;
        }
        if from < to {
            out.push((from, to));
        }
    }
    out.sort_unstable();
    Some(out)
}

fn place(list: &[&str], name: &str) -> Option<i32> {
    list.iter().position(|n| *n == name).and_then(|at| i32::try_from(at).ok())
}

/// The days of a line; several where they lie in more than one month.
fn days(key: &str) -> Option<Vec<Days>> {
    let low = key.to_lowercase();
    let words: Vec<&str> = low.split_whitespace().collect();
    let weekday = |name: &str| place(&WEEKDAYS, name);
    let month = |name: &str| place(&MONTHS, name).map(|m| m + 1);
    let number = |text: &str| text.parse::<i32>().ok().filter(|n| *n != 0 && (-31..=31).contains(n));
    let between = |a: i32, b: i32| ((a > 0) == (b > 0) && a <= b).then_some(Range { begin: a, end: b });
    let on = |months: Vec<Range>, days: Range| Days::Calendar { years: Vec::new(), months, days, weekday: None };
    let only = match words.as_slice() {
        [day] if weekday(day).is_some() => Days::Weekday(weekday(day)?),
        [date] => return dates(date, date),
        [from, "-", to] => return dates(from, to),
        [of, a, "-", last, b] => return months(month(of)?, number(a)?, month(last)?, number(b)?),
        ["day", n] => on(Vec::new(), one(number(n)?)),
        ["day", a, "-", b] => on(Vec::new(), between(number(a)?, number(b)?)?),
        [day, n] if weekday(day).is_some() => nth(weekday(day)?, number(n)?, Vec::new())?,
        [day, n, of] if weekday(day).is_some() => nth(weekday(day)?, number(n)?, vec![one(month(of)?)])?,
        [of, n] => on(vec![one(month(of)?)], one(number(n)?)),
        [of, a, "-", b] => on(vec![one(month(of)?)], between(number(a)?, number(b)?)?),
        _ => return None,
    };
    Some(vec![only])
}

const fn one(n: i32) -> Range {
    Range { begin: n, end: n }
}

/// From a day of a month to one of another, or over the turn of the year to one of the same.
fn months(first: i32, from: i32, last: i32, to: i32) -> Option<Vec<Days>> {
    if from < 1 || to < 1 {
        return None;
    }
    let on =
        |month: i32, days: Range| Days::Calendar { years: Vec::new(), months: vec![one(month)], days, weekday: None };
    if first == last && from <= to {
        return Some(vec![on(first, Range { begin: from, end: to })]);
    }
    let mut out = vec![on(first, Range { begin: from, end: 31 })];
    let mut month = first % 12 + 1;
    while month != last {
        out.push(on(month, Range { begin: 1, end: 31 }));
        month = month % 12 + 1;
    }
    out.push(on(last, Range { begin: 1, end: to }));
    Some(out)
}

/// The n-th of a weekday lies in the n-th seven days, counted from either end.
fn nth(weekday: i32, n: i32, months: Vec<Range>) -> Option<Days> {
    let days = match n {
        1..=4 => Range { begin: 7 * n - 6, end: 7 * n },
        5 => Range { begin: 29, end: 31 },
        -4..=-1 => Range { begin: 7 * n, end: 7 * n + 6 },
        _ => return None,
    };
    Some(Days::Calendar { years: Vec::new(), months, days, weekday: Some(weekday) })
}

/// `2026-01-28`, or from one to another.
fn dates(from: &str, to: &str) -> Option<Vec<Days>> {
    let read = |text: &str| text.parse::<Date>().ok();
    let (from, to) = (read(from)?, read(to)?);
    let mut out = Vec::new();
    let mut begin = from;
    while begin <= to {
        if out.len() == DATED_MONTHS_MAX {
            return None;
        }
        let end = begin.last_of_month().min(to);
        out.push(Days::Calendar {
            years: vec![one(i32::from(begin.year()))],
            months: vec![one(i32::from(begin.month()))],
            days: Range { begin: i32::from(begin.day()), end: i32::from(end.day()) },
            weekday: None,
        });
        begin = end.tomorrow().ok()?;
    }
    (!out.is_empty()).then_some(out)
}

/// Marks the days; false when they cannot be told apart by month and day alone.
fn cut_out(of: &Days, cut: &mut BTreeMap<i32, [bool; 32]>) -> bool {
    let Days::Calendar { years, months, days, weekday: None } = of else { return false };
    if !years.is_empty() || days.begin < 1 {
        return false;
    }
    for month in 1..=12 {
        if months.is_empty() || months.iter().any(|m| (m.begin..=m.end).contains(&month)) {
            let marked = cut.entry(month).or_insert([false; 32]);
            for day in days.begin..=days.end.min(31) {
                if let Some(mark) = usize::try_from(day).ok().and_then(|at| marked.get_mut(at)) {
                    *mark = true;
                }
            }
        }
    }
    true
}

/// The interval without the marked days.
fn without(plain: &TimeInterval, cut: &BTreeMap<i32, [bool; 32]>) -> Vec<TimeInterval> {
    if cut.is_empty() {
        return vec![plain.clone()];
    }
    let mut out = Vec::new();
    let months = runs((1..=12).filter(|m| !cut.contains_key(m)));
    if !months.is_empty() {
        out.push(TimeInterval { months, ..plain.clone() });
    }
    for (month, marked) in cut {
        let left = (1..=31).filter(|d| usize::try_from(*d).is_ok_and(|at| !marked[at]));
        let days_of_month = runs(left);
        if !days_of_month.is_empty() {
            let months = vec![Range { begin: *month, end: *month }];
            out.push(TimeInterval { months, days_of_month, ..plain.clone() });
        }
    }
    out
}

fn runs(numbers: impl Iterator<Item = i32>) -> Vec<Range> {
    let mut out: Vec<Range> = Vec::new();
    for n in numbers {
        match out.last_mut().filter(|last| last.end + 1 == n) {
            Some(last) => last.end = n,
            None => out.push(Range { begin: n, end: n }),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use tenfold_types::Timestamp;

    use super::*;

    fn read(lines: &[(&str, &str)]) -> (Vec<TimeInterval>, Vec<String>) {
        let fields = lines.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        intervals(&fields, "Europe/Berlin")
    }

    fn inside(intervals: &[TimeInterval], at: &str) -> bool {
        let at = Timestamp::parse_rfc3339(at).unwrap();
        intervals.iter().any(|i| i.contains(at))
    }

    #[test]
    fn a_calendar_day_holds_instead_of_its_weekday() {
        let (found, lost) = read(&[
            ("timeperiod_name", "office"),
            ("monday", "09:00-12:00,13:00-17:00"),
            ("friday", "09:00-17:00"),
            ("december 25", "00:00-00:00"),
            ("december 28", "10:00-11:00"),
        ]);
        assert_eq!(lost, Vec::<String>::new());
        for (at, holds) in [
            ("2026-11-23T08:00:00Z", true),
            ("2026-11-23T11:30:00Z", false),
            ("2026-11-27T11:30:00Z", true),
            ("2026-12-25T09:00:00Z", false),
            ("2026-12-18T09:00:00Z", true),
            ("2026-12-28T08:30:00Z", false),
            ("2026-12-28T09:30:00Z", true),
            ("2026-11-24T09:30:00Z", false),
            // In summer the same clock is an hour earlier in UTC.
            ("2026-07-06T07:00:00Z", true),
            ("2026-07-06T15:00:00Z", false),
        ] {
            assert_eq!(inside(&found, at), holds, "{at}");
        }
    }

    #[test]
    fn the_nth_weekday_days_of_the_month_and_dates() {
        let (found, lost) = read(&[
            ("monday 3", "00:00-24:00"),
            ("friday -1 october", "00:00-24:00"),
            ("day -1", "20:00-24:00"),
            ("april 10 - 15", "00:00-24:00"),
            ("2026-02-03 - 2026-02-04", "00:00-24:00"),
        ]);
        for (at, holds) in [
            ("2026-11-16T11:00:00Z", true),
            ("2026-11-23T11:00:00Z", false),
            ("2026-10-30T11:00:00Z", true),
            ("2026-10-23T11:00:00Z", false),
            ("2026-11-30T20:00:00Z", true),
            ("2026-11-30T18:00:00Z", false),
            ("2027-04-12T11:00:00Z", true),
            ("2026-02-04T11:00:00Z", true),
            ("2027-02-04T11:00:00Z", false),
        ] {
            assert_eq!(inside(&found, at), holds, "{at}: {found:?}");
        }
        assert!(lost.iter().any(|l| l.contains("`day -1` holds beside")), "{lost:?}");
    }

    #[test]
    fn days_over_several_months() {
        let (found, lost) = read(&[
            ("thursday", "09:00-17:00"),
            ("friday", "09:00-17:00"),
            ("december 24 - january 2", "00:00-00:00"),
            ("april 10 - june 3", "20:00-24:00"),
            ("2027-09-29 - 2027-10-02", "00:00-24:00"),
        ]);
        for (at, holds) in [
            ("2026-12-18T09:00:00Z", true),
            ("2026-12-24T09:00:00Z", false),
            ("2027-01-01T09:00:00Z", false),
            ("2027-01-07T09:00:00Z", true),
            ("2027-04-15T09:00:00Z", false),
            ("2027-04-15T19:00:00Z", true),
            ("2027-05-31T19:00:00Z", true),
            ("2027-06-03T19:00:00Z", true),
            ("2027-06-04T09:00:00Z", true),
            ("2027-06-04T19:00:00Z", false),
            ("2027-09-28T19:00:00Z", false),
            ("2027-09-30T19:00:00Z", true),
            ("2027-10-02T19:00:00Z", true),
            ("2028-10-02T19:00:00Z", false),
        ] {
            assert_eq!(inside(&found, at), holds, "{at}: {found:?}");
        }
        let [beside] = lost.as_slice() else { panic!("{lost:?}") };
        assert!(beside.contains("`2027-09-29 - 2027-10-02` holds beside"), "{lost:?}");
    }

    #[test]
    fn what_has_no_equal_is_told() {
        for (key, value) in [
            ("monday", "22:00-06:00"),
            ("2026-01-01 / 2", "00:00-24:00"),
            ("april 10 - may 15 / 2", "00:00-24:00"),
            ("april -10 - may 15", "00:00-24:00"),
            ("2026-02-04 - 2026-02-03", "00:00-24:00"),
            ("2026-02-04 - 2036-02-03", "00:00-24:00"),
            ("someday", "00:00-24:00"),
            ("day 0", "00:00-24:00"),
            ("monday", "25:00-26:00"),
        ] {
            let (found, lost) = read(&[(key, value)]);
            assert!(found.is_empty() && lost[0].contains("no equal"), "{key} {value}: {found:?} {lost:?}");
        }
        let (found, lost) = read(&[("2026-01-28", "00:00-00:00"), ("exclude", "holidays")]);
        assert!(found.is_empty() && lost.len() == 2, "{lost:?}");
    }
}
