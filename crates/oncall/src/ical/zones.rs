//! The time zones that events of a calendar name: by IANA's names, by Windows' as Outlook writes them, or by what the calendar
//! says itself in a VTIMEZONE. Never guessed: a zone that cannot be told is refused.

use std::collections::BTreeMap;

use jiff::{
    civil::DateTime,
    tz::{Offset, TimeZone},
};

use super::{
    read::{civil, property, unescaped},
    recur::numbered,
    windows::iana_name,
};

/// Zones of one calendar.
pub(super) struct Zones {
    /// Of clock times without a zone.
    pub floating: TimeZone,
    /// What the calendar says of zones, by their names there.
    own: BTreeMap<String, Own>,
    found: BTreeMap<String, TimeZone>,
}

/// A VTIMEZONE.
#[derive(Default)]
struct Own {
    /// `X-LIC-LOCATION`: its IANA name, as some programs add it.
    location: Option<String>,
    standard: Option<Observance>,
    daylight: Option<Observance>,
}

/// A STANDARD or DAYLIGHT; of several the one that begins last, which is in force.
#[derive(Debug, Clone, Default)]
struct Observance {
    start: DateTime,
    offset_s: Option<i32>,
    rule: Option<String>,
    /// Its turns are listed one by one.
    listed: bool,
}

impl Zones {
    pub(super) fn of(lines: &[(usize, String)], floating: TimeZone) -> Self {
        let mut zones = Self { floating, own: BTreeMap::new(), found: BTreeMap::new() };
        let mut inside: Option<(String, Own)> = None;
        let mut part: Option<Observance> = None;
        for (_, line) in lines {
            let Some((name, _, value)) = property(line) else { continue };
            if inside.is_none() {
                if name == "BEGIN" && value == "VTIMEZONE" {
                    inside = Some((String::new(), Own::default()));
                }
                continue;
            }
            let Some((id, own)) = inside.as_mut() else { continue };
            match (name.as_str(), value) {
                ("BEGIN", "STANDARD" | "DAYLIGHT") => part = Some(Observance::default()),
                ("END", "STANDARD" | "DAYLIGHT") => {
                    let kept = if value == "STANDARD" { &mut own.standard } else { &mut own.daylight };
                    let done = part.take();
                    if kept.as_ref().is_none_or(|kept| done.as_ref().is_some_and(|done| done.start >= kept.start)) {
                        *kept = done;
                    }
                }
                ("END", "VTIMEZONE") => zones.own.extend(inside.take()),
                ("TZID", id_here) if part.is_none() => *id = unescaped(id_here),
                ("X-LIC-LOCATION", place) if part.is_none() => own.location = Some(place.to_owned()),
                (name, value) => {
                    if let Some(part) = part.as_mut() {
                        part.take(name, value);
                    }
                }
            }
        }
        zones
    }

    /// # Errors
    /// Why nobody can tell what the zone is.
    pub(super) fn get(&mut self, name: &str) -> Result<TimeZone, String> {
        if let Some(zone) = self.found.get(name) {
            return Ok(zone.clone());
        }
        let zone = if let Some(zone) = by_name(name) {
            zone
        } else {
            let said = self.own.get(name).map(Own::zone);
            said.unwrap_or_else(|| Err("the calendar has no VTIMEZONE of it".to_owned())).map_err(|why| {
                format!(
                    "TZID `{name}` is neither IANA's nor Windows' name of a time zone, and {why}; export the calendar with \
                     names like Europe/Berlin or in UTC"
                )
            })?
        };
        self.found.insert(name.to_owned(), zone.clone());
        Ok(zone)
    }
}

fn by_name(name: &str) -> Option<TimeZone> {
    // RFC 5545, 3.8.3.1: a leading solidus is for names of a registry, and programs put their own address before IANA's.
    if let Some(mut rest) = name.strip_prefix('/') {
        loop {
            if let Ok(zone) = TimeZone::get(rest) {
                return Some(zone);
            }
            rest = rest.split_once('/')?.1;
        }
    }
    let iana = iana_name(name).unwrap_or(name);
    TimeZone::get(iana).ok()
}

impl Observance {
    fn take(&mut self, name: &str, value: &str) {
        match name {
            "DTSTART" => self.start = civil(value).map(|(start, _)| start).unwrap_or_default(),
            "TZOFFSETTO" => self.offset_s = offset_s(value),
            // One that ended is in force no more.
            "RRULE" if !value.contains("UNTIL=") && !value.contains("COUNT=") => self.rule = Some(value.to_owned()),
            "RDATE" => self.listed = true,
            _ => {}
        }
    }

    fn offset(&self) -> Result<i32, String> {
        self.offset_s.ok_or_else(|| "its VTIMEZONE has no offset that can be read".to_owned())
    }

    fn fixed(&self) -> Result<TimeZone, String> {
        Offset::from_seconds(self.offset()?).map(TimeZone::fixed).map_err(|e| e.to_string())
    }

    /// When it begins each year, as POSIX writes it: `M10.5.0/03:00:00`.
    fn turn(&self) -> Result<String, String> {
        let rule = self.rule.as_deref().ok_or("its VTIMEZONE has a turn without a yearly rule")?;
        let not = || format!("`{rule}` of its VTIMEZONE is not understood: FREQ=YEARLY with one BYDAY and BYMONTH is");
        let (mut yearly, mut month, mut day) = (false, None, None);
        for part in rule.split(';').filter(|part| !part.is_empty()) {
            match part.split_once('=').ok_or_else(not)? {
                ("FREQ", "YEARLY") => yearly = true,
                ("INTERVAL", "1") | ("WKST", _) => {}
                ("BYMONTH", text) => month = text.parse::<u8>().ok().filter(|m| (1..=12).contains(m)),
                ("BYDAY", text) => day = numbered(text),
                _ => return Err(not()),
            }
        }
        let (true, Some(month), Some((number, weekday))) = (yearly, month, day) else { return Err(not()) };
        let week = match number {
            -1 => 5,
            1..=4 => number,
            _ => return Err(not()),
        };
        let at = self.start.time();
        let (hour, minute, second) = (at.hour(), at.minute(), at.second());
        let weekday = weekday.to_sunday_zero_offset();
        Ok(format!("M{month}.{week}.{weekday}/{hour:02}:{minute:02}:{second:02}"))
    }
}

impl Own {
    /// # Errors
    /// Why it cannot be told, to follow "and".
    fn zone(&self) -> Result<TimeZone, String> {
        if let Some(zone) = self.location.as_deref().and_then(by_name) {
            return Ok(zone);
        }
        let (standard, daylight) = match (&self.standard, &self.daylight) {
            (None, None) => return Err("its VTIMEZONE has neither STANDARD nor DAYLIGHT".to_owned()),
            (Some(one), None) | (None, Some(one)) => return one.fixed(),
            (Some(standard), Some(daylight)) => (standard, daylight),
        };
        // The clocks were turned once, and are no more.
        let turned = standard.rule.is_some() || daylight.rule.is_some() || standard.listed || daylight.listed;
        if !turned && standard.start >= daylight.start {
            return standard.fixed();
        }
        let (begins, ends) = (daylight.turn()?, standard.turn()?);
        let (winter, summer) = (posix_offset(standard.offset()?), posix_offset(daylight.offset()?));
        let posix = format!("STD{winter}DST{summer},{begins},{ends}");
        TimeZone::posix(&posix).map_err(|e| format!("its VTIMEZONE is out of range: {e}"))
    }
}

/// `+0100` or `+013000`, in seconds east of UTC.
fn offset_s(text: &str) -> Option<i32> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    if !matches!(digits.len(), 4 | 6) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part = |at: usize| digits.get(at..at + 2).map_or(Some(0), |two| two.parse::<i32>().ok());
    Some(sign * (part(0)? * 3_600 + part(2)? * 60 + part(4)?))
}

/// POSIX counts west of UTC.
fn posix_offset(east_s: i32) -> String {
    let (sign, s) = (if east_s > 0 { '-' } else { '+' }, east_s.abs());
    format!("{sign}{:02}:{:02}:{:02}", s / 3_600, s / 60 % 60, s % 60)
}
