//! Repetition rules as calendars of shifts use them: every n days, or every n weeks on some weekdays.

use jiff::{
    Span, Timestamp as Instant,
    civil::{DateTime, Weekday},
    tz::TimeZone,
};

use super::read::civil;

const INTERVAL_MAX: i64 = 1_000;
/// Days or weeks looked at for one rule.
const STEPS_MAX: i64 = 40_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    weekly: bool,
    interval: i64,
    count: Option<usize>,
    until: Option<String>,
    by_day: Vec<Weekday>,
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

impl Rule {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let not = |what: &str| {
            format!("RRULE `{what}` is not understood: FREQ=DAILY or WEEKLY with INTERVAL, COUNT, UNTIL, BYDAY is")
        };
        let mut rule = Self {
            weekly: false,
            interval: 1,
            count: None,
            until: None,
            by_day: Vec::new(),
            week_start: Weekday::Monday,
        };
        let mut frequency = false;
        for part in text.to_ascii_uppercase().split(';').filter(|p| !p.is_empty()) {
            let (key, value) = part.split_once('=').ok_or_else(|| not(part))?;
            match key {
                "FREQ" => {
                    frequency = true;
                    rule.weekly = match value {
                        "DAILY" => false,
                        "WEEKLY" => true,
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
                    for day in value.split(',') {
                        rule.by_day.push(weekday(day).ok_or_else(|| not(part))?);
                    }
                }
                "WKST" => rule.week_start = weekday(value).ok_or_else(|| not(part))?,
                _ => return Err(not(part)),
            }
        }
        if frequency { Ok(rule) } else { Err(not(text)) }
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

    /// Clock times of the occurrences, the first included, up to `until` and `to`.
    pub(super) fn occurrences(
        &self,
        start: DateTime,
        until: Option<DateTime>,
        to: Option<Instant>,
        zone: &TimeZone,
    ) -> Result<Vec<DateTime>, String> {
        let end = to.map(|t| zone.to_datetime(t));
        if !self.by_day.is_empty() && !self.by_day.contains(&start.weekday()) {
            // RFC 5545, 3.8.5.3 leaves open what this means, and readers differ.
            return Err("DTSTART is not on a weekday of BYDAY; begin the event on one of them".to_owned());
        }
        let out_of_range = |_| "a repetition goes beyond the calendar".to_owned();
        let mut days = self.by_day.clone();
        if self.weekly && days.is_empty() {
            days.push(start.weekday());
        }
        // The first day of the week the start is in.
        let back = i64::from(start.weekday().since(self.week_start));
        let week = start.checked_sub(Span::new().days(back)).map_err(out_of_range)?;
        let mut out = Vec::new();
        for step in 0..STEPS_MAX {
            let mut candidates = Vec::new();
            if self.weekly {
                for n in 0..7 {
                    let at = week.checked_add(Span::new().days(step * self.interval * 7 + n)).map_err(out_of_range)?;
                    if days.contains(&at.weekday()) && at >= start {
                        candidates.push(at);
                    }
                }
            } else {
                let at = start.checked_add(Span::new().days(step * self.interval)).map_err(out_of_range)?;
                if days.is_empty() || days.contains(&at.weekday()) {
                    candidates.push(at);
                } else if end.is_some_and(|end| at > end) {
                    return Ok(out);
                }
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
}
