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
fn a_mark_of_the_encoding_is_no_text() {
    let text = "\u{feff}BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:20260701T090000Z\r\nDURATION:PT8H\r\nEND:VEVENT\r\nEND:VCALENDAR";
    let read = read_events(text, &TimeZone::UTC, at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
    assert_eq!(read.expect("read").len(), 1);
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
fn what_has_no_length_keeps_no_calendar_from_being_read() {
    for reminder in ["DTSTART:20260701T090000Z", "DTSTART:20260701T090000Z\r\nDTEND:20260701T090000Z"] {
        assert_eq!(read(reminder), Ok(vec![]), "{reminder}");
    }
    // Clocks go from 02:00 to 03:00 on 29 March.
    let short = "DTSTART;TZID=Europe/Berlin:20260328T023000\r\nDTEND;TZID=Europe/Berlin:20260328T030000\r\nRRULE:FREQ=DAILY;COUNT=3";
    assert_eq!(starts(short), ["2026-03-28T01:30", "2026-03-30T00:30"]);
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

/// From nine to five in Berlin, the end said in UTC: the hours stay when the clocks change.
#[test]
fn an_end_in_another_zone_keeps_the_length() {
    let days =
        read("DTSTART;TZID=Europe/Berlin:20260326T090000\r\nDTEND:20260326T160000Z\r\nRRULE:FREQ=WEEKLY;COUNT=2")
            .expect("read");
    assert_eq!((days[0].start, days[0].end), (at("2026-03-26T08:00:00Z"), at("2026-03-26T16:00:00Z")));
    assert_eq!((days[1].start, days[1].end), (at("2026-04-02T07:00:00Z"), at("2026-04-02T15:00:00Z")));
    let flight = "DTSTART;TZID=America/New_York:20260701T200000\r\nDTEND;TZID=Europe/Berlin:20260702T100000";
    assert_eq!(read(flight).expect("read")[0].end, at("2026-07-02T08:00:00Z"));
}

#[test]
fn whoever_declined_does_not_attend_and_rules_are_not_passed_over() {
    let shift = "DTSTART:20260701T090000Z\r\nDURATION:PT8H\r\n";
    let attends =
        "ATTENDEE;PARTSTAT=DECLINED:mailto:raj@example.org\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:mei@example.org";
    assert_eq!(read(&format!("{shift}{attends}")).expect("read")[0].attendees, ["mei@example.org"]);
    for (more, why) in [
        ("RRULE:FREQ=DAILY\r\nEXRULE:FREQ=WEEKLY", "line 7: EXRULE is not understood"),
        ("RRULE:FREQ=DAILY\r\nRRULE:FREQ=WEEKLY", "line 7: an event has one RRULE here"),
    ] {
        let refused = read(&format!("{shift}{more}")).expect_err(more);
        assert!(refused.starts_with(why), "{refused}");
    }
}

#[test]
fn months_by_their_days_and_their_weekdays() {
    let monthly = |start: &str, rule: &str| {
        let all = starts(&format!("DTSTART:{start}\r\nDURATION:PT1H\r\nRRULE:FREQ=MONTHLY;{rule}"));
        all.into_iter().map(|at| at[5..10].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        monthly("20260131T090000Z", "COUNT=3"),
        ["01-31", "03-31", "05-31"],
        "months without a 31st are left out"
    );
    assert_eq!(monthly("20260115T090000Z", "INTERVAL=4;COUNT=3"), ["01-15", "05-15", "09-15"]);
    assert_eq!(monthly("20260120T090000Z", "BYDAY=3TU;COUNT=3"), ["01-20", "02-17", "03-17"]);
    assert_eq!(monthly("20260130T090000Z", "BYDAY=-1FR;COUNT=3"), ["01-30", "02-27", "03-27"]);
    assert_eq!(monthly("20260131T090000Z", "BYMONTHDAY=-1;COUNT=4"), ["01-31", "02-28", "03-31", "04-30"]);
    assert_eq!(monthly("20260213T090000Z", "BYDAY=FR;BYMONTHDAY=13;COUNT=3"), ["02-13", "03-13", "11-13"]);
    assert_eq!(monthly("20260130T090000Z", "BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=3"), ["01-30", "02-27", "03-31"]);
    assert_eq!(monthly("20260101T090000Z", "BYMONTH=1,7;BYMONTHDAY=1,2;COUNT=4"), ["01-01", "01-02", "07-01", "07-02"]);
    assert_eq!(monthly("20260115T090000Z", "UNTIL=20260401T000000Z").len(), 3);
    let berlin = "DTSTART;TZID=Europe/Berlin:20260301T090000\r\nDURATION:PT1H\r\nRRULE:FREQ=MONTHLY;COUNT=2";
    assert_eq!(starts(berlin), ["2026-03-01T08:00", "2026-04-01T07:00"], "the clock is kept");
}

/// A holiday or a birthday in a calendar of shifts.
#[test]
fn years_by_their_months() {
    let zone = TimeZone::UTC;
    let yearly = |start: &str, rule: &str| -> Result<Vec<String>, String> {
        let text = format!(
            "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART:{start}\r\nDURATION:PT1H\r\nRRULE:FREQ=YEARLY{rule}\r\n\
             END:VEVENT\r\nEND:VCALENDAR\r\n"
        );
        let all = read_events(&text, &zone, at("2026-01-01T00:00:00Z"), at("2034-01-01T00:00:00Z"))?;
        Ok(all.into_iter().map(|e| e.start.to_string()[..10].to_owned()).collect())
    };
    let days = |all: &[&str]| Ok::<_, String>(all.iter().map(|day| (*day).to_owned()).collect::<Vec<_>>());
    let cases: [(&str, &str, &[&str]); 7] = [
        ("19900101T000000Z", ";COUNT=38", &["2026-01-01", "2027-01-01"]),
        ("20251225T090000Z", ";INTERVAL=3", &["2028-12-25", "2031-12-25"]),
        ("20251225T090000Z", ";BYMONTHDAY=25;BYMONTH=12;UNTIL=20271231T000000Z", &["2026-12-25", "2027-12-25"]),
        ("20240229T090000Z", "", &["2028-02-29", "2032-02-29"]),
        ("20261126T090000Z", ";BYMONTH=11;BYDAY=4TH;COUNT=3", &["2026-11-26", "2027-11-25", "2028-11-23"]),
        ("20260301T090000Z", ";BYMONTH=3,9;COUNT=3", &["2026-03-01", "2026-09-01", "2027-03-01"]),
        ("20260331T090000Z", ";BYMONTH=3;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=2", &["2026-03-31", "2027-03-31"]),
    ];
    for (start, rule, wanted) in cases {
        assert_eq!(yearly(start, rule), days(wanted), "{start} {rule}");
    }
    // The first Monday of a year, the 25th of each month, every other year in two months, the year's last working day.
    for rule in [";BYDAY=1MO", ";BYMONTHDAY=25", ";INTERVAL=2;BYMONTH=3,9", ";BYMONTH=3,9;BYDAY=MO;BYSETPOS=-1"] {
        let why = yearly("20260105T090000Z", rule).expect_err(rule);
        assert!(why.contains("is not understood"), "{why}");
    }
    let why = yearly("20260105T090000Z", ";BYMONTH=12").expect_err("in January");
    assert!(why.contains("not on a day of its RRULE"), "{why}");
}

#[test]
fn changed_occurrences_stand_for_those_of_the_rule() {
    let zone = TimeZone::get("Europe/Berlin").expect("a zone");
    let event = |lines: &str| format!("BEGIN:VEVENT\r\nUID:a\r\n{lines}\r\nEND:VEVENT\r\n");
    let shifts = |events: &[String]| {
        let text = format!("BEGIN:VCALENDAR\r\n{}END:VCALENDAR\r\n", events.concat());
        let read =
            read_events(&text, &zone, at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z")).expect("understood");
        read.into_iter().map(|e| format!("{} {}", &e.start.to_string()[..16], e.summary)).collect::<Vec<_>>()
    };
    let weeks = event(
        "SUMMARY:ana\r\nDTSTART;TZID=Europe/Berlin:20261019T090000\r\nDURATION:PT1H\r\nRRULE:FREQ=WEEKLY;COUNT=3\r\n\
         EXDATE:20261102T080000Z",
    );
    let moved = event(
        "SUMMARY:raj\r\nRECURRENCE-ID;TZID=Europe/Berlin:20261026T090000\r\nDTSTART:20261027T100000Z\r\nDURATION:PT1H",
    );
    let wanted = ["2026-10-19T07:00 ana", "2026-10-27T10:00 raj"];
    assert_eq!(shifts(&[weeks.clone(), moved.clone()]), wanted);
    assert_eq!(shifts(&[moved, weeks.clone()]), wanted, "in either order");
    let utc = event("SUMMARY:raj\r\nRECURRENCE-ID:20261026T080000Z\r\nDTSTART:20261027T100000Z\r\nDURATION:PT1H");
    assert_eq!(shifts(&[weeks.clone(), utc]), wanted, "the same instant in another zone");
    let off = event("STATUS:CANCELLED\r\nRECURRENCE-ID:20261026T080000Z\r\nDTSTART:20261026T080000Z");
    assert_eq!(shifts(&[weeks.clone(), off.clone()]), ["2026-10-19T07:00 ana"]);
    let other = off.replace("UID:a", "UID:b");
    assert_eq!(shifts(&[weeks, other]).len(), 2, "of another event");
    let more = event(
        "SUMMARY:mei\r\nDTSTART;TZID=Europe/Berlin:20261019T090000\r\nDTEND;TZID=Europe/Berlin:20261019T100000\r\n\
         RDATE:20261101T080000Z,20261019T070000Z",
    );
    assert_eq!(shifts(&[more]), ["2026-10-19T07:00 mei", "2026-11-01T08:00 mei"], "each occurrence once");
}

/// As Outlook publishes a calendar: zones by Windows' names and by their words, each with a VTIMEZONE.
const OUTLOOK: &str = "\
BEGIN:VCALENDAR\r
METHOD:PUBLISH\r
PRODID:Microsoft Exchange Server 2010\r
VERSION:2.0\r
X-WR-CALNAME:On call\r
BEGIN:VTIMEZONE\r
TZID:W. Europe Standard Time\r
BEGIN:STANDARD\r
DTSTART:16010101T030000\r
TZOFFSETFROM:+0200\r
TZOFFSETTO:+0100\r
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10\r
END:STANDARD\r
BEGIN:DAYLIGHT\r
DTSTART:16010101T020000\r
TZOFFSETFROM:+0100\r
TZOFFSETTO:+0200\r
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3\r
END:DAYLIGHT\r
END:VTIMEZONE\r
BEGIN:VTIMEZONE\r
TZID:(UTC-05:00) Eastern Time (US & Canada)\\, New York\r
BEGIN:STANDARD\r
DTSTART:16010101T020000\r
TZOFFSETFROM:-0400\r
TZOFFSETTO:-0500\r
RRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=11\r
END:STANDARD\r
BEGIN:DAYLIGHT\r
DTSTART:16010101T020000\r
TZOFFSETFROM:-0500\r
TZOFFSETTO:-0400\r
RRULE:FREQ=YEARLY;BYDAY=2SU;BYMONTH=3\r
END:DAYLIGHT\r
END:VTIMEZONE\r
BEGIN:VTIMEZONE\r
TZID:Customized Time Zone\r
BEGIN:STANDARD\r
DTSTART:16010101T000000\r
TZOFFSETFROM:+0545\r
TZOFFSETTO:+0545\r
END:STANDARD\r
BEGIN:DAYLIGHT\r
DTSTART:16010101T000000\r
TZOFFSETFROM:+0545\r
TZOFFSETTO:+0545\r
END:DAYLIGHT\r
END:VTIMEZONE\r
BEGIN:VEVENT\r
RRULE:FREQ=WEEKLY;UNTIL=20261102T080000Z;INTERVAL=1;BYDAY=MO;WKST=MO\r
UID:040000008200E00074C5B7101A82E008\r
SUMMARY:ana\r
DTSTART;TZID=W. Europe Standard Time:20261019T090000\r
DTEND;TZID=W. Europe Standard Time:20261019T170000\r
CLASS:PUBLIC\r
X-MICROSOFT-CDO-BUSYSTATUS:BUSY\r
BEGIN:VALARM\r
TRIGGER:-PT15M\r
ACTION:DISPLAY\r
END:VALARM\r
END:VEVENT\r
BEGIN:VEVENT\r
UID:2\r
SUMMARY:raj\r
DTSTART;TZID=\"(UTC-05:00) Eastern Time (US & Canada), New York\":20260701T090000\r
DTEND;TZID=\"(UTC-05:00) Eastern Time (US & Canada), New York\":20261201T090000\r
END:VEVENT\r
BEGIN:VEVENT\r
UID:3\r
SUMMARY:mei\r
DTSTART;TZID=Customized Time Zone:20260701T090000\r
DURATION:PT1H\r
END:VEVENT\r
BEGIN:VEVENT\r
UID:4\r
SUMMARY:zoe\r
DTSTART;TZID=/freeassociation.sourceforge.net/Europe/Berlin:20260702T090000\r
DURATION:PT1H\r
END:VEVENT\r
END:VCALENDAR\r
";

#[test]
fn zones_as_outlook_names_them() {
    let all = |text: &str| read_events(text, &TimeZone::UTC, at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
    let shifts: Vec<String> = all(OUTLOOK)
        .expect("understood")
        .iter()
        .map(|e| format!("{} {} {}", e.summary, &e.start.to_string()[..16], &e.end.to_string()[..16]))
        .collect();
    let wanted = [
        "mei 2026-07-01T03:15 2026-07-01T04:15",
        "raj 2026-07-01T13:00 2026-12-01T14:00",
        "zoe 2026-07-02T07:00 2026-07-02T08:00",
        "ana 2026-10-19T07:00 2026-10-19T15:00",
        "ana 2026-10-26T08:00 2026-10-26T16:00",
        "ana 2026-11-02T08:00 2026-11-02T16:00",
    ];
    assert_eq!(shifts, wanted);
    // A zone that is told behind its events counts too, and one that cannot be told is refused.
    let (head, tail) = OUTLOOK.split_once("BEGIN:VTIMEZONE").expect("a zone");
    let (zones, events) = tail.split_once("BEGIN:VEVENT").expect("an event");
    let (events, end) = events.split_once("END:VCALENDAR").expect("an end");
    let behind = format!("{head}BEGIN:VEVENT{events}BEGIN:VTIMEZONE{zones}END:VCALENDAR{end}");
    assert_eq!(all(&behind), all(OUTLOOK));
    let odd = OUTLOOK.replace("BYDAY=1SU;BYMONTH=11", "BYYEARDAY=300");
    let why = all(&odd).expect_err("refused");
    assert!(why.contains("Eastern Time") && why.contains("BYYEARDAY=300"), "{why}");
    let listed = OUTLOOK.replace("RRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=11", "RDATE:20261101T020000");
    assert!(all(&listed).expect_err("refused").contains("yearly rule"));
}

#[test]
fn a_calendar_has_a_limit_and_says_so() {
    let event = |n: usize, more: &str| {
        format!("BEGIN:VEVENT\r\nUID:{n}\r\nDTSTART:20260102T000000Z\r\nDURATION:PT1H\r\n{more}END:VEVENT\r\n")
    };
    let read = |events: &str| {
        let text = format!("BEGIN:VCALENDAR\r\n{events}END:VCALENDAR\r\n");
        read_events(&text, &TimeZone::UTC, at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"))
    };
    let many: String = (0..9_000).map(|n| event(n, "")).collect();
    assert_eq!(read(&many).expect("they are read").len(), 9_000);
    let daily = |n: usize| event(n, "RRULE:FREQ=DAILY;COUNT=200\r\n");
    let repeated: String = (0..51).map(daily).collect();
    assert!(read(&repeated).expect_err("10,200").contains("10000 events"));
    // One long title, a hundred times over.
    let long = format!("SUMMARY:{}\r\nRRULE:FREQ=DAILY;COUNT=100\r\n", "x".repeat(300_000));
    assert!(read(&event(1, &long)).expect_err("30 MB").contains("bytes"));
    // They were over long ago, and each is looked through from its beginning.
    let old = "BEGIN:VEVENT\r\nUID:1\r\nDTSTART:19300101T000000Z\r\nDURATION:PT1H\r\n\
               RRULE:FREQ=DAILY;UNTIL=20251231T000000Z\r\nEND:VEVENT\r\n";
    assert!(read(&old.repeat(60)).expect_err("2,100,000 days").contains("repeat too long"));
}

#[test]
fn what_is_not_understood_is_refused_with_its_line() {
    let said = |body: &str| read(body).expect_err("refused");
    let rule = |rule: &str| said(&format!("DTSTART:20260701T090000Z\r\nDURATION:PT8H\r\nRRULE:{rule}"));
    assert!(rule("FREQ=HOURLY").contains("line 6: RRULE `FREQ=HOURLY`"));
    assert!(rule("FREQ=WEEKLY;BYDAY=1WE").contains("is not understood"));
    assert!(rule("FREQ=DAILY;BYMONTHDAY=1").contains("is not understood"));
    assert!(rule("FREQ=MONTHLY;BYMONTHDAY=2").contains("not on a day of its RRULE"));
    assert!(rule("FREQ=MONTHLY;BYMONTHDAY=0").contains("`BYMONTHDAY=0`"));
    assert!(rule("FREQ=MONTHLY;BYDAY=6MO").contains("`BYDAY=6MO`"));
    let zone = said("DTSTART;TZID=Middle Earth Standard Time:20260701T090000");
    assert!(zone.contains("IANA") && zone.contains("Windows") && zone.contains("no VTIMEZONE"), "{zone}");
    assert!(said("DTSTART:2026-07-01").contains("20261123T080000Z"));
    assert!(
        said("DTSTART:20260701T090000Z\r\nDURATION:PT8H\r\nRRULE:FREQ=WEEKLY;BYDAY=MO").contains("weekday of BYDAY")
    );
    assert!(said("SUMMARY:x").contains("no DTSTART"));
    assert!(said("DTSTART:20260701T090000Z\r\nDTEND:20260701T080000Z").contains("before it begins"));
    assert!(said("RECURRENCE-ID;RANGE=THISANDFUTURE:20260701T090000Z").contains("RANGE"));
    assert!(said("RDATE;VALUE=PERIOD:20260701T090000Z/PT1H").contains("is not a time"));
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
    fn nothing_panics(text in "(BEGIN:VCALENDAR\r\n|BEGIN:VEVENT\r\n|END:VEVENT\r\n|DTSTART:[0-9TZ]{0,16}\r\n|DURATION:-?P[0-9]{1,9}[DW]\r\n|RRULE:FREQ=(DAILY|WEEKLY|MONTHLY|YEARLY);INTERVAL=[0-9]{1,4}(;BYMONTHDAY=-?[0-9]{1,2}|;BYDAY=-?[0-9]?(MO|SU))?\r\n|RECURRENCE-ID:[0-9TZ]{0,16}\r\n|.{0,20}\r\n){0,12}") {
        let _ = read_events(&text, &TimeZone::UTC, at("2026-01-01T00:00:00Z"), at("2028-01-01T00:00:00Z"));
    }
}
