//! Shifts as a calendar. All times are UTC, so no zone has to be described; the reader's program shows its own.

use std::fmt::Write;

use tenfold_types::Timestamp;

/// RFC 5545, 3.1: a line is at most 75 octets without its end.
const LINE_OCTETS_MAX: usize = 75;

/// One event of the calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IcsShift {
    /// The same for the same shift in every answer.
    pub uid: String,
    pub start: Timestamp,
    pub end: Timestamp,
    pub summary: String,
    pub description: String,
}

/// The whole calendar; `stamp` is the instant of the answer.
pub fn write_calendar(name: &str, shifts: &[IcsShift], stamp: Timestamp) -> String {
    let mut out = String::new();
    for text in
        ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//tenfold//on-call//EN", "CALSCALE:GREGORIAN", "METHOD:PUBLISH"]
    {
        line(&mut out, text);
    }
    line(&mut out, &format!("X-WR-CALNAME:{}", escaped(name)));
    line(&mut out, "REFRESH-INTERVAL;VALUE=DURATION:PT1H");
    for shift in shifts {
        line(&mut out, "BEGIN:VEVENT");
        line(&mut out, &format!("UID:{}", escaped(&shift.uid)));
        line(&mut out, &format!("DTSTAMP:{}", utc(stamp)));
        line(&mut out, &format!("DTSTART:{}", utc(shift.start)));
        line(&mut out, &format!("DTEND:{}", utc(shift.end)));
        line(&mut out, &format!("SUMMARY:{}", escaped(&shift.summary)));
        if !shift.description.is_empty() {
            line(&mut out, &format!("DESCRIPTION:{}", escaped(&shift.description)));
        }
        line(&mut out, "TRANSP:TRANSPARENT");
        line(&mut out, "END:VEVENT");
    }
    line(&mut out, "END:VCALENDAR");
    out
}

/// `20261123T080000Z`.
fn utc(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.millis())
        .map_or_else(|_| "19700101T000000Z".to_owned(), |t| t.strftime("%Y%m%dT%H%M%SZ").to_string())
}

/// RFC 5545, 3.3.11. Control characters have no place in a text and are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() && c != '\t' => {}
            c => out.push(c),
        }
    }
    out
}

/// A line, folded between characters where it is too long.
fn line(out: &mut String, text: &str) {
    let mut octets = 0;
    for c in text.chars() {
        if octets + c.len_utf8() > LINE_OCTETS_MAX {
            out.push_str("\r\n ");
            octets = 1;
        }
        let _ = out.write_char(c);
        octets += c.len_utf8();
    }
    out.push_str("\r\n");
}
