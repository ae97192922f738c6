//! Shares of on-call by each person's own clock, beside a count of minutes.

use std::collections::BTreeMap;

use jiff::{civil::Weekday, tz::TimeZone};
use proptest::prelude::*;
use serde_json::json;
use tenfold_oncall::{Load, Profile, Schedule, load};
use tenfold_types::Timestamp;

const HOUR: i64 = 3_600_000;

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect("an instant")
}

fn schedule(length: &str) -> Schedule {
    let plan = json!({"timezone": "Europe/Berlin", "holidays": ["2026-12-25"],
        "rotation": {"people": ["ana", "raj"], "start": "2026-11-23T09:00:00", "shift_length": length}});
    Schedule::of_plan("s", serde_json::from_value(plan).expect("a plan"), vec![]).expect("a schedule")
}

fn people(ana: &str, raj: &str, pages: Vec<Timestamp>) -> BTreeMap<String, Profile> {
    let zone = |name: &str| TimeZone::get(name).expect("a zone");
    let ana = Profile { zone: zone(ana), pages };
    [("ana".to_owned(), ana), ("raj".to_owned(), Profile { zone: zone(raj), pages: vec![] })].into()
}

#[test]
fn a_night_in_berlin_is_a_day_in_sydney() {
    let pages = vec![at("2026-11-24T02:00:00Z"), at("2026-11-24T12:00:00Z"), at("2026-12-24T12:00:00Z")];
    let (from, to) = (at("2026-11-23T08:00:00Z"), at("2026-11-25T08:00:00Z"));
    let shares = |ana: &str| load(&schedule("1w"), &people(ana, "UTC", pages.clone()), from, to);
    let berlin = shares("Europe/Berlin")["ana"];
    assert_eq!((berlin.total_ms, berlin.night_ms, berlin.pages, berlin.night_pages), (48 * HOUR, 18 * HOUR, 2, 1));
    let sydney = shares("Australia/Sydney")["ana"];
    assert_eq!((sydney.night_pages, sydney.night_ms), (1, 18 * HOUR), "13:00 and 23:00 there");
    assert_eq!(shares("UTC")["raj"], Load::default());
    let christmas =
        load(&schedule("1w"), &people("UTC", "UTC", vec![]), at("2026-12-24T00:00:00Z"), at("2026-12-27T00:00:00Z"));
    assert_eq!((christmas["ana"].holiday_ms, christmas["ana"].weekend_ms), (24 * HOUR, 24 * HOUR));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn as_by_counting_quarters_of_an_hour(
        length in prop::sample::select(vec!["5h", "12h", "1d", "1w"]),
        zone in prop::sample::select(vec!["Europe/Berlin", "America/Chicago", "Australia/Lord_Howe", "Asia/Kathmandu"]),
        start in 0_i64..(365 * 96),
    ) {
        let s = schedule(length);
        let from = at("2026-01-01T00:00:00Z").plus_ms(start * HOUR / 4);
        let to = from.plus_ms(10 * 24 * HOUR);
        let found = load(&s, &people(zone, "UTC", vec![]), from, to)["ana"];
        let zone = TimeZone::get(zone).expect("a zone");
        let mut counted = Load::default();
        for n in 0..(10 * 96) {
            let at = from.plus_ms(n * HOUR / 4);
            if s.duty_at(at).people != ["ana"] {
                continue;
            }
            let civil = zone.to_datetime(jiff::Timestamp::from_millisecond(at.millis()).expect("in range"));
            let add = |sum: &mut i64, holds: bool| *sum += if holds { HOUR / 4 } else { 0 };
            add(&mut counted.total_ms, true);
            add(&mut counted.night_ms, civil.hour() >= 22 || civil.hour() < 7);
            add(&mut counted.weekend_ms, matches!(civil.weekday(), Weekday::Saturday | Weekday::Sunday));
            add(&mut counted.holiday_ms, civil.date() == "2026-12-25".parse().expect("a date"));
        }
        prop_assert_eq!(found, counted);
    }
}
