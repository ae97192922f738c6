//! When a mute holds: over clock changes, ends of months and midnights, and always as `holds` says of each instant.

use proptest::prelude::*;
use tenfold_alerting::{Mute, MuteKind, MuteSpec, parse_matchers, parse_recurrence};
use tenfold_types::Timestamp;

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect("an instant")
}

fn maintenance(recurs: &str, from: Timestamp, to: Timestamp) -> MuteSpec {
    MuteSpec {
        kind: MuteKind::Maintenance,
        matchers: parse_matchers("service=db").expect("matchers"),
        author: "ana".to_owned(),
        reason: "vacuum".to_owned(),
        starts_at: from,
        ends_at: to,
        recurs: parse_recurrence(recurs).expect("a recurrence"),
        deploy: None,
    }
}

fn check(recurs: &str, from: &str, to: &str, wanted: &[(&str, &str)]) {
    let spec = maintenance(recurs, at(from), at(to));
    let found = spec.occurrences(at(from), at(to));
    let shown: Vec<String> = found.iter().map(|o| format!("{} {}", o.from, o.to)).collect();
    let wanted: Vec<String> = wanted.iter().map(|(a, b)| format!("{} {}", at(a), at(b))).collect();
    assert_eq!(shown, wanted, "{recurs}");
}

#[test]
fn weeks_months_and_midnights() {
    check(
        "sun 02:00-04:00 Europe/Berlin",
        "2026-11-26T00:00:00Z",
        "2026-12-10T00:00:00Z",
        &[("2026-11-29T01:00:00Z", "2026-11-29T03:00:00Z"), ("2026-12-06T01:00:00Z", "2026-12-06T03:00:00Z")],
    );
    check(
        "fri 22:00-04:00",
        "2026-11-26T00:00:00Z",
        "2026-11-29T00:00:00Z",
        &[("2026-11-27T22:00:00Z", "2026-11-28T04:00:00Z")],
    );
    check(
        "sat sun",
        "2026-11-26T00:00:00Z",
        "2026-12-03T00:00:00Z",
        &[("2026-11-28T00:00:00Z", "2026-11-30T00:00:00Z")],
    );
    check(
        "day:-1 01:00-02:00",
        "2027-01-15T00:00:00Z",
        "2027-03-15T00:00:00Z",
        &[("2027-01-31T01:00:00Z", "2027-01-31T02:00:00Z"), ("2027-02-28T01:00:00Z", "2027-02-28T02:00:00Z")],
    );
    check("day:30 month:2", "2027-01-01T00:00:00Z", "2027-12-01T00:00:00Z", &[]);
    // What is asked for begins and ends inside an occurrence.
    check(
        "10:00-12:00",
        "2026-11-26T11:00:00Z",
        "2026-11-27T11:00:00Z",
        &[("2026-11-26T11:00:00Z", "2026-11-26T12:00:00Z"), ("2026-11-27T10:00:00Z", "2026-11-27T11:00:00Z")],
    );
}

#[test]
fn the_hour_that_does_not_come_and_the_one_that_comes_twice() {
    // On 2027-03-28 Berlin goes from 02:00 to 03:00.
    let (from, to) = ("2027-03-27T12:00:00Z", "2027-03-28T12:00:00Z");
    check("02:15-02:45 Europe/Berlin", from, to, &[]);
    check("01:30-03:30 Europe/Berlin", from, to, &[("2027-03-28T00:30:00Z", "2027-03-28T01:30:00Z")]);
    // On 2026-10-25 it goes from 03:00 back to 02:00.
    let (from, to) = ("2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z");
    check(
        "02:15-02:45 Europe/Berlin",
        from,
        to,
        &[("2026-10-25T00:15:00Z", "2026-10-25T00:45:00Z"), ("2026-10-25T01:15:00Z", "2026-10-25T01:45:00Z")],
    );
    check("01:30-03:30 Europe/Berlin", from, to, &[("2026-10-24T23:30:00Z", "2026-10-25T02:30:00Z")]);
    check(
        "sun Europe/Berlin",
        "2026-10-24T00:00:00Z",
        "2026-10-27T00:00:00Z",
        &[("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z")],
    );
}

#[test]
fn the_start_and_the_end_cut_it() {
    let spec = maintenance("sun", at("2026-11-29T06:00:00Z"), at("2026-12-06T06:00:00Z"));
    let found = spec.occurrences(at("2026-11-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].from, found[1].to), (spec.starts_at, spec.ends_at));
    let once = MuteSpec { recurs: vec![], kind: MuteKind::Downtime, ..spec };
    assert_eq!(once.occurrences(at("2026-11-01T00:00:00Z"), at("2027-01-01T00:00:00Z")).len(), 1);
    assert_eq!(once.occurrences(at("2027-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z")), []);
    assert_eq!(once.occurrences(Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX)).len(), 1);
}

fn recurrences() -> impl Strategy<Value = String> {
    let zones = prop_oneof![
        Just("UTC"),
        Just("Europe/Berlin"),
        Just("America/New_York"),
        Just("Australia/Lord_Howe"),
        Just("Africa/Casablanca"),
        Just("Pacific/Apia"),
    ];
    let days = prop_oneof![Just(""), Just("sun"), Just("mon-fri"), Just("sat"), Just("wed thu")];
    let one = (days, 0..24_u32, 0..60_u32, 0..24_u32, 0..60_u32, zones).prop_map(|(days, h1, m1, h2, m2, zone)| {
        let end = if (h1, m1) == (h2, m2) { "24:00".to_owned() } else { format!("{h2:02}:{m2:02}") };
        format!("{days} {h1:02}:{m1:02}-{end} {zone}")
    });
    prop::collection::vec(one, 1..4).prop_map(|all| all.join("; "))
}

proptest! {
    #[test]
    fn it_holds_inside_them_and_nowhere_else(recurs in recurrences(), day in 0..700_i64, minutes in prop::collection::vec(0..14_400_i64, 40)) {
        let from = at("2026-01-01T00:00:00Z").plus_ms(day * 86_400_000);
        let to = from.plus_ms(10 * 86_400_000);
        let mute = Mute::new("1", maintenance(&recurs, from, to)).expect("a whole mute");
        let found = mute.spec.occurrences(from, to);
        prop_assert!(found.windows(2).all(|pair| pair[0].to < pair[1].from));
        prop_assert!(found.iter().all(|o| o.from < o.to));
        let edges = found.iter().flat_map(|o| [o.from, o.from.plus_ms(-1), o.to, o.to.plus_ms(-1)]);
        let instants = minutes.iter().map(|minute| from.plus_ms(minute * 60_000));
        for instant in edges.chain(instants) {
            let inside = found.iter().any(|o| o.from <= instant && instant < o.to);
            prop_assert_eq!(mute.holds(instant), inside, "{} at {}", recurs, instant);
        }
    }
}
