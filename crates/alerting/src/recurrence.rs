//! Time intervals as a person types them: `sun 02:00-04:00 Europe/Berlin`, several with `;` between them.
//!
//! A word is a day or days of the week (`mon`, `mon-fri`, `sat,sun`), a time of day (`22:00-04:00` goes past midnight), days
//! of the month (`day:1`, `day:-3..-1`), months (`month:1..3`), years (`year:2027`), or a zone. Pure.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::{Range, TimeInterval};

const TEXT_BYTES_MAX: usize = 2_000;
const DAYS: [(&str, &str); 7] = [
    ("sun", "sunday"),
    ("mon", "monday"),
    ("tue", "tuesday"),
    ("wed", "wednesday"),
    ("thu", "thursday"),
    ("fri", "friday"),
    ("sat", "saturday"),
];

/// Reads time intervals from text.
///
/// # Errors
/// One sentence that names the word which is not understood.
pub fn parse_recurrence(text: &str) -> Result<Vec<TimeInterval>, String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!("a recurrence has at most {TEXT_BYTES_MAX} bytes"));
    }
    let mut all = Vec::new();
    for part in text.split([';', '\n']).map(str::trim).filter(|p| !p.is_empty()) {
        all.extend(one(part)?);
    }
    if all.is_empty() {
        return Err("a recurrence says when, like: sun 02:00-04:00 Europe/Berlin".to_owned());
    }
    Ok(all)
}

#[derive(Default)]
struct Read {
    /// First and last, counted from Sunday.
    weekdays: Vec<(usize, usize)>,
    times: Vec<(String, String)>,
    /// `days_of_month`, `months` and `years`, in the words of a time interval.
    others: Map<String, Value>,
    location: Option<String>,
}

fn one(text: &str) -> Result<Vec<TimeInterval>, String> {
    let mut read = Read::default();
    for word in text.split([' ', ',', '\t']).filter(|w| !w.is_empty()) {
        read.word(word)?;
    }
    let (past, within): (Vec<_>, Vec<_>) = std::mem::take(&mut read.times).into_iter().partition(|(a, b)| a > b);
    let mut all = Vec::new();
    if !within.is_empty() || past.is_empty() {
        all.push(read.interval(&within, 0)?);
    }
    if past.is_empty() {
        return Ok(all);
    }
    if !read.others.is_empty() {
        return Err(format!("`{text}`: a time past midnight goes with days of the week only; write its two halves"));
    }
    let cut = |start: &str, end: &str| (start.to_owned(), end.to_owned());
    let evening: Vec<_> = past.iter().map(|(start, _)| cut(start, "24:00")).collect();
    let morning: Vec<_> = past.iter().filter(|(_, end)| end != "00:00").map(|(_, end)| cut("00:00", end)).collect();
    all.push(read.interval(&evening, 0)?);
    if !morning.is_empty() {
        all.push(read.interval(&morning, 1)?);
    }
    Ok(all)
}

impl Read {
    fn word(&mut self, word: &str) -> Result<(), String> {
        let lower = word.to_lowercase();
        let day = |name: &str| DAYS.iter().position(|(short, long)| name == *short || name == *long);
        let (first, last) = lower.split_once('-').unwrap_or((&lower, &lower));
        if let (Some(first), Some(last)) = (day(first), day(last)) {
            self.weekdays.push((first, last));
        } else if let Some((key, value)) =
            lower.split_once(':').filter(|(key, _)| key.bytes().all(|b| b.is_ascii_alphabetic()))
        {
            let key = match key {
                "day" => "days_of_month",
                "month" => "months",
                "year" => "years",
                _ => return Err(unknown(word)),
            };
            let range = value.replace("..", ":");
            if let Some(list) = self.others.entry(key).or_insert_with(|| json!([])).as_array_mut() {
                list.push(Value::String(range));
            }
        } else if first.contains(':') {
            self.times.push((padded(first), padded(last)));
        } else if word.contains('/') || lower == "utc" {
            let before = self.location.replace(if lower == "utc" { "UTC".to_owned() } else { word.to_owned() });
            if before.is_some() {
                return Err(format!("`{word}` is a second zone; each time interval has one"));
            }
        } else {
            return Err(unknown(word));
        }
        Ok(())
    }

    /// As a time interval whose days of the week are `later` days later. Its own reader checks the rest.
    fn interval(&self, times: &[(String, String)], later: usize) -> Result<TimeInterval, String> {
        let mut value = self.others.clone();
        let times = times.iter().map(|(start, end)| json!({"start_time": start, "end_time": end}));
        value.insert("times".to_owned(), times.collect());
        let days = self.weekdays.iter().flat_map(|&(first, last)| {
            // Friday to Monday is four days, whatever a week begins with.
            let count = (last + 7 - first) % 7 + 1;
            (0..count).map(move |i| DAYS[(first + i + later) % 7].1)
        });
        value.insert("weekdays".to_owned(), days.collect());
        if let Some(location) = &self.location {
            value.insert("location".to_owned(), location.clone().into());
        }
        serde_json::from_value(Value::Object(value)).map_err(|e| e.to_string())
    }
}

fn unknown(word: &str) -> String {
    format!(
        "`{word}` says no time; write it like: mon-fri 22:00-04:00 Europe/Berlin, or day:1 for the first of each month"
    )
}

fn padded(clock: &str) -> String {
    format!("{clock:0>5}")
}

/// The text that `parse_recurrence` reads the same from.
pub fn show_recurrence(intervals: &[TimeInterval]) -> String {
    intervals.iter().map(shown).collect::<Vec<_>>().join("; ")
}

fn shown(interval: &TimeInterval) -> String {
    let mut words = Vec::new();
    for range in &interval.weekdays {
        let name = |day: i32| usize::try_from(day).ok().and_then(|i| DAYS.get(i)).map_or("", |(short, _)| *short);
        let (begin, end) = (name(range.begin), name(range.end));
        words.push(if begin == end { begin.to_owned() } else { format!("{begin}-{end}") });
    }
    for time in &interval.times {
        let clock = |m: u16| format!("{:02}:{:02}", m / 60, m % 60);
        words.push(format!("{}-{}", clock(time.start_minute), clock(time.end_minute)));
    }
    let numbers = [("day", &interval.days_of_month), ("month", &interval.months), ("year", &interval.years)];
    for (key, ranges) in numbers {
        words.extend(ranges.iter().map(|range| number(key, *range)));
    }
    words.extend(interval.location.clone());
    if words.is_empty() { "00:00-24:00".to_owned() } else { words.join(" ") }
}

fn number(key: &str, range: Range) -> String {
    let mut text = format!("{key}:{}", range.begin);
    if range.end != range.begin {
        // Writing to a String does not fail.
        let _ = write!(text, "..{}", range.end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_shows() {
        for (text, shown) in [
            ("sun 02:00-04:00 Europe/Berlin", "sun 02:00-04:00 Europe/Berlin"),
            ("Sunday, 2:00-4:00", "sun 02:00-04:00"),
            ("mon-fri 09:00-17:00 UTC", "mon tue wed thu fri 09:00-17:00 UTC"),
            ("fri-mon", "fri sat sun mon"),
            ("fri 22:00-04:00", "fri 22:00-24:00; sat 00:00-04:00"),
            ("sat 22:00-00:00", "sat 22:00-24:00"),
            ("12:00-13:00 22:00-04:00", "12:00-13:00; 22:00-24:00; 00:00-04:00"),
            ("day:1 day:-3..-1 month:1..3 year:2027", "day:1 day:-3..-1 month:1..3 year:2027"),
            ("sat; sun 01:00-02:00", "sat; sun 01:00-02:00"),
        ] {
            let read = parse_recurrence(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(show_recurrence(&read), shown, "{text}");
            let again = parse_recurrence(shown).unwrap_or_else(|e| panic!("{shown}: {e}"));
            assert_eq!(show_recurrence(&again), shown, "{text}");
        }
    }

    #[test]
    fn refuses() {
        for (text, word) in [
            ("", "like: sun"),
            ("sometimes", "sometimes"),
            ("sun 02:00", "02:00"),
            ("sun 25:00-26:00", "25:00"),
            ("sun Nowhere/Land", "Nowhere/Land"),
            ("Europe/Berlin Europe/Paris", "second zone"),
            ("day:40", "40"),
            ("day:1 22:00-04:00", "two halves"),
            ("hour:3", "hour:3"),
            ("month:1..", "month"),
        ] {
            let said = parse_recurrence(text).expect_err(text);
            assert!(said.contains(word), "{text}: {said}");
        }
        assert!(parse_recurrence(&"sun ".repeat(1_000)).is_err());
    }
}
