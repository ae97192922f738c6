//! iCalendar: what is written reads back, lines are folded and escaped, and foreign calendars are laid out or refused.

use jiff::tz::TimeZone;
use proptest::prelude::*;
use tenfold_oncall::{IcsEvent, IcsShift, read_events, write_calendar};
use tenfold_types::Timestamp;

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect("an instant")
}

fn read(body: &str) -> Result<Vec<IcsEvent>, String> {
    let text = format!("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\n{body}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n");
    let berlin = TimeZone::get("Europe/Berlin").expect("a zone");
    read_events(&text, &berlin, at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"))
}

fn starts(body: &str) -> Vec<String> {
    read(body).expect("understood").into_iter().map(|e| e.start.to_string()[..16].to_owned()).collect()
}

#[test]
fn a_shift_is_escaped_and_folded() {
    let shift = IcsShift {
        uid: "photos.1@tenfold".into(),
        start: at("2026-11-23T08:00:00Z"),
        end: at("2026-11-30T08:00:00Z"),
        summary: "Ana, Raj; back\\slash".into(),
        description: format!("one\ntwo {}", "ä".repeat(60)),
    };
    let text = write_calendar("On call", &[shift], at("2026-11-20T00:00:00Z"));
    assert!(text.contains("SUMMARY:Ana\\, Raj\\; back\\\\slash\r\n"), "{text}");
    assert!(text.contains("DTSTART:20261123T080000Z\r\n") && text.contains("DESCRIPTION:one\\ntwo "));
    assert!(text.split("\r\n").all(|line| line.len() <= 75) && text.contains("\r\n ä"));
}

#[test]
fn clock_times_are_in_their_zone() {
    let time = |start: &str, end: &str| format!("DTSTART{start}\r\nDTEND{end}");
    assert_eq!(starts(&time(":20260701T090000", ":20260701T100000")), ["2026-07-01T07:00"], "floating: the schedule's");
    assert_eq!(starts(&time(":20260701T090000Z", ":20260701T100000Z")), ["2026-07-01T09:00"]);
    let new_york = time(";TZID=America/New_York:20260701T090000", ";TZID=America/New_York:20260701T100000");
    assert_eq!(starts(&new_york), ["2026-07-01T13:00"]);
}

#[test]
fn days_durations_and_cancelled_events() {
    let whole = read("DTSTART;VALUE=DATE:20260701\r\nSUMMARY:raj\r\nATTENDEE;CN=\"Raj: P\":mailto:raj@example.org")
        .expect("read");
    assert_eq!((whole[0].start, whole[0].end), (at("2026-06-30T22:00:00Z"), at("2026-07-01T22:00:00Z")));
    assert_eq!((whole[0].summary.as_str(), whole[0].attendees[0].as_str()), ("raj", "raj@example.org"));
    let long = read("DTSTART:20260701T090000Z\r\nDURATION:PT8H").expect("read");
    assert_eq!(long[0].end, at("2026-07-01T17:00:00Z"));
    assert_eq!(read("DTSTART:20260701T090000Z\r\nDURATION:PT8H\r\nSTATUS:CANCELLED"), Ok(vec![]));
}

#[test]
fn repetitions_keep_the_clock_over_a_change() {
    let weekly = "DTSTART;TZID=Europe/Berlin:20261019T220000\r\nDTEND;TZID=Europe/Berlin:20261020T060000\r\n";
    assert_eq!(
        starts(&format!("{weekly}RRULE:FREQ=WEEKLY;BYDAY=MO,SA;COUNT=4")),
        ["2026-10-19T20:00", "2026-10-24T20:00", "2026-10-26T21:00", "2026-10-31T21:00"]
    );
    let night =
        read(&format!("{weekly}RRULE:FREQ=DAILY;UNTIL=20261025T220000Z\r\nEXDATE;TZID=Europe/Berlin:20261020T220000"))
            .expect("read");
    assert_eq!(night.len(), 6);
    assert_eq!((night[4].start, night[4].end), (at("2026-10-24T20:00:00Z"), at("2026-10-25T05:00:00Z")), "nine hours");
    assert_eq!(
        starts("DTSTART:20261123T090000Z\r\nDURATION:PT1H\r\nRRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=MO;COUNT=3"),
        ["2026-11-23T09:00", "2026-11-29T09:00", "2026-12-07T09:00"]
    );
}

#[test]
fn what_is_not_understood_is_refused_with_its_line() {
    let said = |body: &str| read(body).expect_err("refused");
    assert!(
        said("DTSTART:20260701T090000Z\r\nDURATION:PT8H\r\nRRULE:FREQ=MONTHLY")
            .contains("line 6: RRULE `FREQ=MONTHLY`")
    );
    assert!(said("DTSTART;TZID=W. Europe Standard Time:20260701T090000").contains("IANA"));
    assert!(said("DTSTART:2026-07-01").contains("20261123T080000Z"));
    assert!(
        said("DTSTART:20260701T090000Z\r\nDURATION:PT8H\r\nRRULE:FREQ=WEEKLY;BYDAY=MO").contains("weekday of BYDAY")
    );
    assert!(said("SUMMARY:x").contains("no DTSTART"));
    assert!(said("DTSTART:20260701T090000Z\r\nDTEND:20260701T080000Z").contains("before it begins"));
    assert!(said("DTSTART:20260701T090000Z\r\nRECURRENCE-ID:20260701T090000Z").contains("RECURRENCE-ID"));
    let zone = TimeZone::UTC;
    let all = |text: &str| read_events(text, &zone, at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
    assert!(all("hello").expect_err("refused").contains("BEGIN:VCALENDAR"));
    assert!(all(&"x".repeat(1_000_001)).expect_err("refused").contains("1000000 bytes"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_back(
        rows in prop::collection::vec(("[a-z]{1,9}", "[ -~äß€\n]{0,120}", 0_i64..8_000, 1_i64..200), 0..8),
    ) {
        let base = at("2026-01-02T00:00:00Z");
        let shifts: Vec<IcsShift> = rows.iter().map(|(uid, summary, start, hours)| {
            let start = base.plus_ms(start * 3_600_000);
            let (uid, summary) = (uid.clone(), summary.clone());
            IcsShift { uid, start, end: start.plus_ms(hours * 3_600_000), summary, description: String::new() }
        }).collect();
        let text = write_calendar("x", &shifts, base);
        prop_assert!(text.split("\r\n").all(|line| line.len() <= 75));
        let mut wanted: Vec<_> = shifts.iter().map(|s| (s.start, s.uid.clone(), s.end, s.summary.clone())).collect();
        let found = read_events(&text, &TimeZone::UTC, at("2026-01-01T00:00:00Z"), at("2028-01-01T00:00:00Z")).expect("read");
        let mut found: Vec<_> = found.into_iter().map(|e| (e.start, e.uid, e.end, e.summary)).collect();
        wanted.sort();
        found.sort();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn nothing_panics(text in "(BEGIN:VCALENDAR\r\n|BEGIN:VEVENT\r\n|END:VEVENT\r\n|DTSTART:[0-9TZ]{0,16}\r\n|DURATION:-?P[0-9]{1,9}[DW]\r\n|RRULE:FREQ=(DAILY|WEEKLY);INTERVAL=[0-9]{1,4}\r\n|.{0,20}\r\n){0,12}") {
        let _ = read_events(&text, &TimeZone::UTC, at("2026-01-01T00:00:00Z"), at("2028-01-01T00:00:00Z"));
    }
}
