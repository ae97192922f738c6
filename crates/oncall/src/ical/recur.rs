//! Repetition rules as calendars of shifts use them: every n days, every n weeks on some weekdays, every n months on days of
//! the month or on its n-th weekdays, every n years in some months.

use jiff::{
    Span, Timestamp as Instant,
    civil::{Date, DateTime, Weekday},
    tz::TimeZone,
};

use super::read::civil;

const INTERVAL_MAX: i64 = 1_000;
/// Days, weeks or months looked at for one rule.
const STEPS_MAX: i64 = 40_000;
/// Days, ordinals and months one rule may name.
const NAMED_MAX: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frequency {
    Daily,
    Weekly,
    /// Also what comes each year: every twelfth month, or those of BYMONTH.
    Monthly,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    frequency: Frequency,
    interval: i64,
    count: Option<usize>,
    until: Option<String>,
    /// With its number in the month, which counts from the end when it is negative; 0 is every one.
    by_day: Vec<(i8, Weekday)>,
    by_month_day: Vec<i8>,
    by_month: Vec<i8>,
    /// Which of a month's days count, from either end.
    positions: Vec<i16>,
    week_start: Weekday,
}

fn weekday(text: &str) -> Option<Weekday> {
    Some(match text {
        "MO" => Weekday::Monday,
        "TU" => Weekday::Tuesday,
        "WE" => Weekday::Wednesday,
        "TH" => Weekday::Thursday,
        "FR" => Weekday::Friday,
        "SA" => Weekday::Saturday,
        "SU" => Weekday::Sunday,
        _ => return None,
    })
}

/// `MO`, `3MO`, `-1FR`.
pub(super) fn numbered(text: &str) -> Option<(i8, Weekday)> {
    let at = text.len().checked_sub(2)?;
    let (number, day) = (text.get(..at)?, text.get(at..)?);
    let number =
        if number.is_empty() { 0 } else { number.parse::<i8>().ok().filter(|n| *n != 0 && (-5..=5).contains(n))? };
    Some((number, weekday(day)?))
}

/// Numbers other than 0, at most `max` from it.
fn numbers<T: std::str::FromStr + Into<i64> + Copy>(text: &str, max: i64) -> Option<Vec<T>> {
    let read = |n: &str| {
        let n: T = n.parse().ok()?;
        let value: i64 = n.into();
        (value != 0 && value.abs() <= max).then_some(n)
    };
    text.split(',').map(read).collect()
}

impl Rule {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let not = |what: &str| {
            format!(
                "RRULE `{what}` is not understood: FREQ=DAILY, WEEKLY or MONTHLY with INTERVAL, COUNT, UNTIL, BYDAY is, \
                 with MONTHLY also BYMONTHDAY, BYMONTH, BYSETPOS, and FREQ=YEARLY with these where BYMONTH names the month"
            )
        };
        let mut rule = Self {
            frequency: Frequency::Daily,
            interval: 1,
            count: None,
            until: None,
            by_day: Vec::new(),
            by_month_day: Vec::new(),
            by_month: Vec::new(),
            positions: Vec::new(),
            week_start: Weekday::Monday,
        };
        let (mut frequency, mut yearly) = (false, false);
        for part in text.to_ascii_uppercase().split(';').filter(|p| !p.is_empty()) {
            let (key, value) = part.split_once('=').ok_or_else(|| not(part))?;
            match key {
                "FREQ" => {
                    frequency = true;
                    rule.frequency = match value {
                        "DAILY" => Frequency::Daily,
                        "WEEKLY" => Frequency::Weekly,
                        "MONTHLY" => Frequency::Monthly,
                        "YEARLY" => {
                            yearly = true;
                            Frequency::Monthly
                        }
                        _ => return Err(not(part)),
                    };
                }
                "INTERVAL" => {
                    let n = value.parse().ok().filter(|n| (1..=INTERVAL_MAX).contains(n));
                    rule.interval = n.ok_or_else(|| not(part))?;
                }
                "COUNT" => rule.count = Some(value.parse().map_err(|_| not(part))?),
                "UNTIL" => rule.until = Some(value.to_owned()),
                "BYDAY" => {
                    rule.by_day = value.split(',').map(numbered).collect::<Option<_>>().ok_or_else(|| not(part))?;
                }
                "BYMONTHDAY" => rule.by_month_day = numbers(value, 31).ok_or_else(|| not(part))?,
                "BYMONTH" => {
                    let months = numbers::<i8>(value, 12).filter(|all| all.iter().all(|m| *m > 0));
                    rule.by_month = months.ok_or_else(|| not(part))?;
                }
                "BYSETPOS" => rule.positions = numbers(value, 366).ok_or_else(|| not(part))?,
                "WKST" => rule.week_start = weekday(value).ok_or_else(|| not(part))?,
                _ => return Err(not(part)),
            }
        }
        let monthly_only = !rule.by_month_day.is_empty() || !rule.by_month.is_empty() || !rule.positions.is_empty();
        let has_number = rule.by_day.iter().any(|(n, _)| *n != 0);
        let named = rule.by_day.len() + rule.by_month_day.len() + rule.positions.len();
        let foreign = rule.frequency != Frequency::Monthly && (monthly_only || has_number);
        if !frequency || foreign || named > NAMED_MAX || (yearly && !rule.as_months()) {
            return Err(not(text));
        }
        Ok(rule)
    }

    /// Counts years in months; false where that is another thing. Days without a month are days of the year, or of all its months,
    /// and of several months it is the year's days that BYSETPOS counts.
    fn as_months(&mut self) -> bool {
        match self.by_month.len() {
            0 if !self.by_day.is_empty() || !self.by_month_day.is_empty() || !self.positions.is_empty() => false,
            // The month of the first occurrence, which is on one of the rule's days.
            0 | 1 => {
                self.interval *= 12;
                true
            }
            _ => self.interval == 1 && self.positions.is_empty(),
        }
    }

    /// The last instant an occurrence may begin at, and whether it is said in clock time.
    pub(super) fn until(&self, zone: &TimeZone) -> Result<Option<DateTime>, String> {
        let Some(text) = &self.until else { return Ok(None) };
        let (at, is_date) = civil(text)?;
        if is_date {
            // The whole day counts.
            return Ok(Some(at.date().at(23, 59, 59, 0)));
        }
        if !text.ends_with('Z') {
            return Ok(Some(at));
        }
        let instant = at.to_zoned(TimeZone::UTC).map_err(|_| format!("`{text}` is out of range"))?;
        Ok(Some(instant.with_time_zone(zone.clone()).datetime()))
    }

    /// Clock times of the occurrences, the first included, up to `until` and `to`. `steps` are the days, weeks or months that may
    /// still be looked at, for all rules of a calendar.
    pub(super) fn occurrences(
        &self,
        start: DateTime,
        until: Option<DateTime>,
        to: Option<Instant>,
        zone: &TimeZone,
        steps: &mut i64,
    ) -> Result<Vec<DateTime>, String> {
        let end = to.map(|t| zone.to_datetime(t));
        self.begins_on(start)?;
        let mut out = Vec::new();
        for step in 0..STEPS_MAX {
            if *steps <= 0 {
                return Err("the events repeat too long to be laid out; end those that are over, or begin them later"
                    .to_owned());
            }
            *steps -= 1;
            let Some((first, candidates)) = self.candidates(start, step)? else { return Ok(out) };
            if end.is_some_and(|end| first > end) {
                return Ok(out);
            }
            for at in candidates {
                let over = self.count.is_some_and(|n| out.len() >= n)
                    || until.is_some_and(|until| at > until)
                    || end.is_some_and(|end| at > end);
                if over {
                    return Ok(out);
                }
                out.push(at);
            }
        }
        Ok(out)
    }

    /// RFC 5545, 3.8.5.3 leaves open what it means when the first occurrence does not fit its rule, and readers differ.
    fn begins_on(&self, start: DateTime) -> Result<(), String> {
        if self.frequency == Frequency::Monthly {
            return if self.month_days(start.date().first_of_month(), start.day()).contains(&start.day()) {
                Ok(())
            } else {
                Err("DTSTART is not on a day of its RRULE; begin the event on one of them".to_owned())
            };
        }
        if self.by_day.is_empty() || self.on_weekday(start.weekday()) {
            return Ok(());
        }
        Err("DTSTART is not on a weekday of BYDAY; begin the event on one of them".to_owned())
    }

    fn on_weekday(&self, day: Weekday) -> bool {
        self.by_day.iter().any(|(_, d)| *d == day)
    }

    /// The beginning of the step's day, week or month, and the occurrences in it; none beyond the calendar's end.
    fn candidates(&self, start: DateTime, step: i64) -> Result<Option<(DateTime, Vec<DateTime>)>, String> {
        let out_of_range = |_| "a repetition goes beyond the calendar".to_owned();
        let ahead = step * self.interval;
        match self.frequency {
            Frequency::Daily => {
                let at = start.checked_add(Span::new().days(ahead)).map_err(out_of_range)?;
                let fits = self.by_day.is_empty() || self.on_weekday(at.weekday());
                Ok(Some((at, if fits { vec![at] } else { Vec::new() })))
            }
            Frequency::Weekly => {
                let back = i64::from(start.weekday().since(self.week_start));
                let first = start.checked_add(Span::new().days(ahead * 7 - back)).map_err(out_of_range)?;
                let mut found = Vec::new();
                for n in 0..7 {
                    let at = first.checked_add(Span::new().days(n)).map_err(out_of_range)?;
                    let fits = if self.by_day.is_empty() {
                        at.weekday() == start.weekday()
                    } else {
                        self.on_weekday(at.weekday())
                    };
                    if fits && at >= start {
                        found.push(at);
                    }
                }
                Ok(Some((first, found)))
            }
            Frequency::Monthly => {
                let Ok(first) = start.date().first_of_month().checked_add(Span::new().months(ahead)) else {
                    return Ok(None);
                };
                let days = self.month_days(first, start.day());
                let on =
                    |day: &i8| Date::new(first.year(), first.month(), *day).ok().map(|d| d.to_datetime(start.time()));
                let found = days.iter().filter_map(on).filter(|at| *at >= start).collect();
                Ok(Some((first.to_datetime(start.time()), found)))
            }
        }
    }

    /// The days of a month that fit, in order. A day that the month has not is left out, as RFC 5545, 3.3.10 wants.
    fn month_days(&self, first: Date, own: i8) -> Vec<i8> {
        let length = first.days_in_month();
        if !self.by_month.is_empty() && !self.by_month.contains(&first.month()) {
            return Vec::new();
        }
        let fits = |day: &i8| {
            let of_month = self.by_month_day.iter().any(|d| if *d > 0 { d == day } else { length + d + 1 == *day });
            let Ok(date) = Date::new(first.year(), first.month(), *day) else { return false };
            let of_week = self.by_day.iter().any(|(n, weekday)| {
                let (from_start, from_end) = ((day - 1) / 7 + 1, -((length - day) / 7 + 1));
                *weekday == date.weekday() && (*n == 0 || *n == from_start || *n == from_end)
            });
            match (self.by_month_day.is_empty(), self.by_day.is_empty()) {
                (true, true) => *day == own,
                (false, true) => of_month,
                (true, false) => of_week,
                (false, false) => of_month && of_week,
            }
        };
        let all: Vec<i8> = (1..=length).filter(fits).collect();
        if self.positions.is_empty() {
            return all;
        }
        let count = i16::try_from(all.len()).unwrap_or(i16::MAX);
        let counts = |at: &usize| {
            let place = i16::try_from(*at).unwrap_or(i16::MAX);
            self.positions.iter().any(|p| if *p > 0 { *p == place + 1 } else { *p == place - count })
        };
        (0..all.len()).filter(counts).filter_map(|at| all.get(at).copied()).collect()
    }
}
