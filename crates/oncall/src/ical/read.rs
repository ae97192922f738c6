//! Events of a calendar that somebody else wrote, with their repetitions laid out. What is not understood is refused with
//! its line, never guessed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{
    Span, Timestamp as Instant,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};
use tenfold_types::Timestamp;

use super::{recur::Rule, zones::Zones};

pub const ICS_BYTES_MAX: usize = 1_000_000;
/// Events one calendar may give, repetitions counted.
pub const EVENTS_READ_MAX: usize = 10_000;
/// Text of all of them: a title that repeats is held once for each time.
const EVENTS_BYTES_MAX: usize = 16_000_000;
/// Days, weeks or months that are looked at for all repetitions of one calendar: a second or two at most.
const STEPS_ALL_MAX: i64 = 2_000_000;

/// What one calendar may still take.
struct Room {
    steps: i64,
    bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IcsEvent {
    pub uid: String,
    pub summary: String,
    /// Addresses of ATTENDEE lines, without `mailto:` and without whoever has declined.
    pub attendees: Vec<String>,
    pub start: Timestamp,
    pub end: Timestamp,
}

/// Names and values beside a property's name.
type Params = Vec<(String, String)>;

/// A clock time in its zone.
#[derive(Debug, Clone)]
struct Moment {
    civil: DateTime,
    zone: TimeZone,
    is_date: bool,
}

impl Moment {
    fn at(&self, civil: DateTime) -> Result<Timestamp, String> {
        // RFC 5545, 3.3.5: the earlier in a fold; in a gap the offset before it, which is what jiff calls compatible.
        let zoned = civil.to_zoned(self.zone.clone()).map_err(|_| format!("{civil} is out of range"))?;
        Ok(Timestamp(zoned.timestamp().as_millisecond()))
    }

    /// The same instant by the clock of another zone.
    fn by_clock_of(&self, zone: &TimeZone) -> Result<DateTime, String> {
        if self.zone == *zone {
            return Ok(self.civil);
        }
        let instant = Instant::from_millisecond(self.at(self.civil)?.millis()).map_err(|e| e.to_string())?;
        Ok(zone.to_datetime(instant))
    }
}

#[derive(Default)]
struct Draft {
    uid: String,
    summary: String,
    attendees: Vec<String>,
    start: Option<Moment>,
    end: Option<Moment>,
    duration: Option<Span>,
    rule: Option<Rule>,
    /// Occurrences besides those of the rule.
    more: Vec<Moment>,
    except: Instants,
    /// Which occurrence of the event with the same UID this one stands for.
    stands_for: Option<Moment>,
    cancelled: bool,
}

/// Occurrences by their instant, and by their day where only a date is said.
#[derive(Default)]
struct Instants {
    at: BTreeSet<Timestamp>,
    on: BTreeSet<Date>,
}

impl Instants {
    fn add(&mut self, moment: &Moment) -> Result<(), String> {
        if moment.is_date {
            self.on.insert(moment.civil.date());
        } else {
            self.at.insert(moment.at(moment.civil)?);
        }
        Ok(())
    }

    fn has(&self, at: Timestamp, civil: DateTime) -> bool {
        self.at.contains(&at) || self.on.contains(&civil.date())
    }
}

/// The events between `from` and `to`, in order. Clock times without a zone are in `floating`.
///
/// # Errors
/// One sentence with the line that is wrong or not understood.
pub fn read_events(text: &str, floating: &TimeZone, from: Timestamp, to: Timestamp) -> Result<Vec<IcsEvent>, String> {
    if text.len() > ICS_BYTES_MAX {
        return Err(format!("a calendar has at most {ICS_BYTES_MAX} bytes, this one has {}", text.len()));
    }
    // Some programs begin a file with a mark of its encoding.
    let text = text.trim_start_matches('\u{feff}');
    let mut drafts: Vec<(usize, Draft)> = Vec::new();
    let mut draft: Option<Draft> = None;
    // Inside an alarm or another part of an event.
    let mut inner: Vec<String> = Vec::new();
    let mut calendar = false;
    let lines = unfolded(text);
    let mut zones = Zones::of(&lines, floating.clone());
    for (number, line) in &lines {
        let said = |message: String| format!("line {number}: {message}");
        let Some((name, params, value)) = property(line) else { continue };
        match (name.as_str(), value) {
            ("BEGIN", "VCALENDAR") => calendar = true,
            ("BEGIN", "VEVENT") if draft.is_none() => draft = Some(Draft::default()),
            ("BEGIN", part) if draft.is_some() => inner.push(part.to_owned()),
            ("END", "VEVENT") if inner.is_empty() => {
                drafts.extend(draft.take().map(|done| (*number, done)));
            }
            ("END", _) => {
                inner.pop();
            }
            _ => {
                if let Some(event) = draft.as_mut().filter(|_| inner.is_empty()) {
                    event.take(&name, &params, value, &mut zones).map_err(said)?;
                }
            }
        }
    }
    if !calendar {
        return Err("this is not a calendar: there is no BEGIN:VCALENDAR".to_owned());
    }
    let mut out = Vec::new();
    // A changed occurrence may stand before the event it belongs to.
    let mut changed: BTreeMap<String, Instants> = BTreeMap::new();
    for (number, draft) in &drafts {
        if let Some(moment) = &draft.stands_for {
            changed.entry(draft.uid.clone()).or_default().add(moment).map_err(|m| format!("line {number}: {m}"))?;
        }
    }
    let mut room = Room { steps: STEPS_ALL_MAX, bytes: EVENTS_BYTES_MAX };
    for (number, draft) in drafts {
        let elsewhere = changed.get(&draft.uid).filter(|_| draft.stands_for.is_none());
        draft
            .lay_out((from, to), elsewhere, &mut room, &mut out)
            .map_err(|message| format!("line {number}: {message}"))?;
        if out.len() > EVENTS_READ_MAX {
            return Err(format!("there are more than {EVENTS_READ_MAX} events; import a shorter time"));
        }
    }
    out.sort_by(|a: &IcsEvent, b| (a.start, &a.uid).cmp(&(b.start, &b.uid)));
    Ok(out)
}

impl Draft {
    fn take(&mut self, name: &str, params: &[(String, String)], value: &str, zones: &mut Zones) -> Result<(), String> {
        match name {
            "UID" => self.uid = unescaped(value),
            "SUMMARY" => self.summary = unescaped(value),
            "ATTENDEE" if params.iter().any(|(k, v)| k == "PARTSTAT" && v.eq_ignore_ascii_case("DECLINED")) => {}
            "ATTENDEE" => {
                let address =
                    value.get(..7).filter(|p| p.eq_ignore_ascii_case("mailto:")).map_or(value, |_| &value[7..]);
                self.attendees.push(address.to_owned());
            }
            "DTSTART" => self.start = Some(moment(params, value, zones)?),
            "DTEND" => self.end = Some(moment(params, value, zones)?),
            "DURATION" => {
                let span: Span = value.parse().map_err(|_| format!("`{value}` is not a duration"))?;
                self.duration = Some(span);
            }
            "RRULE" if self.rule.is_some() => {
                return Err("an event has one RRULE here; make two events of it".to_owned());
            }
            "RRULE" => self.rule = Some(Rule::parse(value)?),
            "EXRULE" => return Err("EXRULE is not understood; name its days by EXDATE".to_owned()),
            "EXDATE" => {
                for one in value.split(',') {
                    self.except.add(&moment(params, one, zones)?)?;
                }
            }
            "RDATE" => {
                for one in value.split(',') {
                    self.more.push(moment(params, one, zones)?);
                }
            }
            "RECURRENCE-ID" => {
                if params.iter().any(|(key, _)| key == "RANGE") {
                    return Err(
                        "RECURRENCE-ID with RANGE is not understood; end the event and begin another".to_owned()
                    );
                }
                self.stands_for = Some(moment(params, value, zones)?);
            }
            "STATUS" => self.cancelled = value.eq_ignore_ascii_case("CANCELLED"),
            _ => {}
        }
        Ok(())
    }

    /// Appends the occurrences that touch `from..to`, but for those that stand `elsewhere`.
    fn lay_out(
        self,
        (from, to): (Timestamp, Timestamp),
        elsewhere: Option<&Instants>,
        room: &mut Room,
        out: &mut Vec<IcsEvent>,
    ) -> Result<(), String> {
        if self.cancelled {
            return Ok(());
        }
        let start = self.start.ok_or("the event has no DTSTART")?;
        let last = self.end.as_ref().map(|end| end.by_clock_of(&start.zone)).transpose()?;
        let end_of = |civil: DateTime| -> Result<Timestamp, String> {
            if let Some(last) = last {
                // The length in clock time is kept, so a night over a change of clocks ends at the same hour.
                let length = start.civil.until(last).map_err(|_| "DTEND is out of range")?;
                return start.at(civil.checked_add(length).map_err(|_| "DTEND is out of range")?);
            }
            let default = if start.is_date { Span::new().days(1) } else { Span::new() };
            let span = self.duration.unwrap_or(default);
            start.at(civil.checked_add(span).map_err(|_| "DURATION is out of range")?)
        };
        let mut civils = match &self.rule {
            _ if self.stands_for.is_some() => vec![start.civil],
            None => vec![start.civil],
            Some(rule) => {
                let until = rule.until(&start.zone)?;
                let to = Instant::from_millisecond(to.millis()).ok();
                rule.occurrences(start.civil, until, to, &start.zone, &mut room.steps)?
            }
        };
        for moment in self.more.iter().filter(|_| self.stands_for.is_none()) {
            // In the zone the event begins in, so that its length is kept by that clock.
            let day = moment.civil.date().to_datetime(start.civil.time());
            civils.push(if moment.is_date { day } else { moment.by_clock_of(&start.zone)? });
        }
        let text_bytes = self.uid.len() + self.summary.len() + self.attendees.iter().map(String::len).sum::<usize>();
        civils.sort_unstable();
        civils.dedup();
        for civil in civils {
            let begins = start.at(civil)?;
            let ends = end_of(civil)?;
            if ends < begins && civil == start.civil {
                return Err("the event ends before it begins".to_owned());
            }
            let moved = elsewhere.is_some_and(|e| e.has(begins, civil));
            // A reminder has no length (RFC 5545, 3.6.1), and a change of clocks may swallow an occurrence: nobody is on call by
            // either, and the rest of the calendar counts.
            if moved || ends <= begins || self.except.has(begins, civil) || ends <= from || begins >= to {
                continue;
            }
            room.bytes = room.bytes.checked_sub(text_bytes).ok_or_else(|| {
                format!("the titles and people of all events have more than {EVENTS_BYTES_MAX} bytes; shorten them")
            })?;
            out.push(IcsEvent {
                uid: self.uid.clone(),
                summary: self.summary.clone(),
                attendees: self.attendees.clone(),
                start: begins,
                end: ends,
            });
            if out.len() > EVENTS_READ_MAX {
                break;
            }
        }
        Ok(())
    }
}

/// Lines with their continuations joined, each with the number of its first line.
fn unfolded(text: &str) -> Vec<(usize, String)> {
    let mut out: Vec<(usize, String)> = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.trim_end_matches('\r');
        match (line.strip_prefix([' ', '\t']), out.last_mut()) {
            (Some(more), Some((_, last))) => last.push_str(more),
            _ => out.push((i + 1, line.to_owned())),
        }
    }
    out
}

/// Name, parameters and value of a line; a quoted parameter may hold `:` and `;`.
pub(super) fn property(line: &str) -> Option<(String, Params, &str)> {
    let mut quoted = false;
    let colon = line.char_indices().find_map(|(i, c)| {
        quoted ^= c == '"';
        (c == ':' && !quoted).then_some(i)
    })?;
    let (head, value) = (&line[..colon], &line[colon + 1..]);
    let mut quoted = false;
    let mut parts = head.split(|c| {
        quoted ^= c == '"';
        c == ';' && !quoted
    });
    let name = parts.next()?.to_ascii_uppercase();
    let params = parts
        .filter_map(|p| p.split_once('='))
        .map(|(k, v)| (k.to_ascii_uppercase(), v.trim_matches('"').to_owned()))
        .collect();
    Some((name, params, value))
}

fn moment(params: &[(String, String)], value: &str, zones: &mut Zones) -> Result<Moment, String> {
    let param = |name: &str| params.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str());
    let zone = match param("TZID") {
        _ if value.ends_with('Z') => TimeZone::UTC,
        None => zones.floating.clone(),
        Some(name) => zones.get(name)?,
    };
    let (civil, is_date) = civil(value)?;
    Ok(Moment { civil, zone, is_date })
}

/// `20261123T080000`, with or without `Z`, or `20261123`.
pub(super) fn civil(value: &str) -> Result<(DateTime, bool), String> {
    let wrong = || format!("`{value}` is not a time; it looks like 20261123T080000Z or 20261123");
    let bare = value.strip_suffix('Z').unwrap_or(value);
    let (date, time) = bare.split_once('T').map_or((bare, None), |(d, t)| (d, Some(t)));
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(date, 8) || time.is_some_and(|t| !digits(t, 6)) {
        return Err(wrong());
    }
    let part = |text: &str, range: std::ops::Range<usize>| text[range].parse::<i16>().unwrap_or(-1);
    let small = |n: i16| i8::try_from(n).unwrap_or(-1);
    let day = Date::new(part(date, 0..4), small(part(date, 4..6)), small(part(date, 6..8))).map_err(|_| wrong())?;
    let clock = match time {
        None => Time::midnight(),
        // A leap second is read as the last second, as RFC 5545, 3.3.12 wants.
        Some(t) => Time::new(small(part(t, 0..2)), small(part(t, 2..4)), small(part(t, 4..6)).min(59), 0)
            .map_err(|_| wrong())?,
    };
    Ok((day.to_datetime(clock), time.is_none()))
}

pub(super) fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, false) => out.push(c),
            _ => match chars.next() {
                Some('n' | 'N') => out.push('\n'),
                Some(other) => out.push(other),
                None => {}
            },
        }
    }
    out
}
