//! Who is on call: turns, overrides and the preview.

use jiff::civil::DateTime;
use proptest::prelude::*;
use tenfold_oncall::{Basis, Override, Plan, Rotation, Schedule, ShiftLength, Span};
use tenfold_types::Timestamp;

const HOUR: i64 = 3_600_000;

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect("an instant")
}

fn schedule(people: &[&str], length: &str, overrides: Vec<Override>) -> Schedule {
    Schedule::of_plan("photos-primary", plan(people, length), overrides).expect("a schedule")
}

fn plan(people: &[&str], length: &str) -> Plan {
    let rotation = Rotation {
        people: people.iter().map(|p| (*p).to_owned()).collect(),
        start: "2026-11-23T09:00:00".parse::<DateTime>().expect("a civil time"),
        shift_length: ShiftLength::parse(length).expect("a length"),
        basis: Basis::Wall,
    };
    Plan::of_rotation("Europe/Berlin", rotation)
}

fn person(span: &Span) -> &str {
    span.people.first().map_or("", String::as_str)
}

fn cover(id: i64, person: &str, start: &str, end: &str) -> Override {
    Override::cover(id, person, at(start), at(end), person)
}

#[test]
fn turns_alternate_and_the_other_stands_behind() {
    let s = schedule(&["ana", "raj"], "1w", vec![]);
    let first = s.span_at(at("2026-11-23T08:00:00Z"));
    assert_eq!((person(&first), first.secondary.as_deref()), ("ana", Some("raj")));
    assert_eq!((first.since, first.until), (at("2026-11-23T08:00:00Z"), at("2026-11-30T08:00:00Z")));
    let before = s.span_at(at("2026-11-23T07:59:59Z"));
    assert_eq!(before.people, ["raj"]);
    assert_eq!(schedule(&["ana"], "1w", vec![]).span_at(at("2026-11-23T08:00:00Z")).secondary, None);
}

#[test]
fn the_later_override_counts_and_cuts_the_shift() {
    let s = schedule(
        &["ana", "raj"],
        "1d",
        vec![
            cover(1, "raj", "2026-11-23T10:00:00Z", "2026-11-23T14:00:00Z"),
            cover(2, "mei", "2026-11-23T12:00:00Z", "2026-11-23T13:00:00Z"),
        ],
    );
    let preview = s.spans(at("2026-11-23T09:30:00Z"), at("2026-11-24T09:00:00Z"));
    let rows: Vec<_> = preview.iter().map(|p| (person(p), p.since.to_string(), p.overrides.first().copied())).collect();
    let row = |person, since: &str, id| (person, since.to_owned(), id);
    assert_eq!(
        rows,
        [
            row("ana", "2026-11-23T08:00:00.000Z", None),
            row("raj", "2026-11-23T10:00:00.000Z", Some(1)),
            row("mei", "2026-11-23T12:00:00.000Z", Some(2)),
            row("raj", "2026-11-23T13:00:00.000Z", Some(1)),
            row("ana", "2026-11-23T14:00:00.000Z", None),
            row("raj", "2026-11-24T08:00:00.000Z", None),
        ]
    );
    assert_eq!(preview[1].secondary.as_deref(), Some("ana"));
}

#[test]
fn a_rotation_from_the_31st_takes_the_last_day_of_short_months() {
    let mut rotation = plan(&["ana", "raj"], "1mo").layers[0].rotation.clone();
    rotation.start = "2027-01-31T09:00:00".parse().expect("a civil time");
    let days: Vec<_> = (0..5).map(|k| rotation.civil_handoff(k).expect("in range").date().to_string()).collect();
    assert_eq!(days, ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// The preview has no holes and no overlaps, and agrees with the question at any instant in it.
    #[test]
    fn the_preview_is_seamless(
        length in prop::sample::select(vec!["1h", "5h", "12h", "1d", "1w", "1mo"]),
        spans in prop::collection::vec((0_i64..400, 1_i64..60, 0_usize..3), 0..6),
        probe in 0_i64..(14 * 24 * 60),
        offset_days in 0_i64..400,
    ) {
        let from = at("2026-03-01T00:00:00Z").plus_ms(offset_days * 24 * HOUR);
        let overrides = spans
            .iter()
            .enumerate()
            .map(|(i, (start, hours, person))| {
                let person = ["ana", "raj", "mei"][*person];
                Override::cover(i as i64, person, from.plus_ms(start * HOUR), from.plus_ms((start + hours) * HOUR), "ana")
            })
            .collect();
        let s = schedule(&["ana", "raj"], length, overrides);
        let to = from.plus_ms(14 * 24 * HOUR);
        let preview = s.spans(from, to);
        prop_assert!(preview[0].since <= from && preview.last().expect("some").until >= to);
        for pair in preview.windows(2) {
            prop_assert_eq!(pair[0].until, pair[1].since);
        }
        let probe = from.plus_ms(probe * 60_000);
        let covering = preview.iter().find(|p| p.since <= probe && probe < p.until).expect("covered");
        prop_assert_eq!(&s.span_at(probe), covering);
    }
}
