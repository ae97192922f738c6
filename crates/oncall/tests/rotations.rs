//! GoAlert's expectations of rotations over changes of clocks. Read from the shared conformance files, or from the path
//! in `ROTATIONS`, which has to be there.

use std::{env, fs, path::PathBuf};

use jiff::{civil::DateTime, tz::TimeZone};
use tenfold_oncall::{Basis, Plan, Rotation, ShiftLength, Unit};
use tenfold_types::Timestamp;

fn rotation(unit: &str, count: &str, anchor: &str) -> Rotation {
    let unit = match unit {
        "Hourly" => Unit::Hour,
        "Daily" => Unit::Day,
        "Weekly" => Unit::Week,
        "Monthly" => Unit::Month,
        other => panic!("unknown unit {other}"),
    };
    Rotation {
        people: vec!["ana".to_owned(), "raj".to_owned()],
        start: anchor.parse::<DateTime>().expect("a civil time"),
        shift_length: ShiftLength { count: count.parse().expect("a number"), unit },
        basis: Basis::Wall,
    }
}

fn instant(zone: &TimeZone, civil: &str) -> Timestamp {
    let civil: DateTime = civil.parse().expect("a civil time");
    Timestamp(civil.to_zoned(zone.clone()).expect("a known time").timestamp().as_millisecond())
}

/// The hand-overs from the last one at or before `from` to the first one after `to`.
fn handoffs(rotation: &Rotation, zone: &TimeZone, from: Timestamp, to: Timestamp) -> Vec<String> {
    let mut k = rotation.shift_at(zone, from).expect("within the calendar");
    let mut out: Vec<(Timestamp, String)> = Vec::new();
    loop {
        let at = rotation.handoff(zone, k).expect("within the calendar");
        let zoned = jiff::Timestamp::from_millisecond(at.millis()).expect("in range").to_zoned(zone.clone());
        if out.last().is_none_or(|(last, _)| *last != at) {
            out.push((at, zoned.strftime("%Y-%m-%d %H:%M:%S %z").to_string()));
        }
        if at > to {
            return out.into_iter().map(|(_, text)| text).collect();
        }
        k += 1;
    }
}

fn holds(row: &str) -> bool {
    let fields: Vec<&str> = row.split('\t').collect();
    match fields.as_slice() {
        ["B", zone, unit, count, anchor, from, to, expected] => {
            let zone = TimeZone::get(zone).expect("a zone");
            let found = handoffs(&rotation(unit, count, anchor), &zone, instant(&zone, from), instant(&zone, to));
            let expected: Vec<&str> = expected.split('|').collect();
            if found != expected {
                println!("{row}\n  found {found:?}");
            }
            found == expected
        }
        ["T", edge, unit, count, anchor, expected] => {
            let (zone, rotation) = (TimeZone::UTC, rotation(unit, count, anchor));
            let (start, end) = (instant(&zone, anchor), instant(&zone, expected));
            if *edge == "End" {
                // The shift that begins at the anchor ends at `expected`.
                let k = rotation.shift_at(&zone, start).expect("within the calendar");
                rotation.handoff(&zone, k + 1) == Some(end)
            } else {
                // The shift that holds just before `expected` began at the anchor.
                let k = rotation.shift_at(&zone, end.plus_ms(-1)).expect("within the calendar");
                rotation.handoff(&zone, k) == Some(start)
            }
        }
        _ => panic!("not a row: {row}"),
    }
}

#[test]
fn rotations() {
    let default = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/rotations/goalert.tsv");
    let named = env::var_os("ROTATIONS").map(PathBuf::from);
    let path = named.as_ref().unwrap_or(&default);
    let Ok(text) = fs::read_to_string(path) else {
        assert!(named.is_none(), "ROTATIONS names {}, which cannot be read", path.display());
        println!("skipped: no rotation vectors at {}; name the file in ROTATIONS", path.display());
        return;
    };
    let rows: Vec<&str> = text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
    let good = rows.iter().filter(|row| holds(row)).count();
    println!("rotations: {good}/{}", rows.len());
    assert!(!rows.is_empty() && good == rows.len());
}

/// By the clock a shift over a change of clocks is longer or shorter; by elapsed hours all are alike.
#[test]
fn hours_are_counted_by_the_clock_or_as_they_pass() {
    let zone = TimeZone::get("Europe/Berlin").expect("a zone");
    let at = |text: &str| Timestamp::parse_rfc3339(text).expect("an instant");
    let wall = rotation("Hourly", "12", "2026-10-24T08:00:00");
    let elapsed = Rotation { basis: Basis::Elapsed, ..wall.clone() };
    let handoffs = |of: &Rotation| -> Vec<Timestamp> { (0..4).filter_map(|k| of.handoff(&zone, k)).collect() };
    let night = [at("2026-10-24T06:00:00Z"), at("2026-10-24T18:00:00Z")];
    assert_eq!(handoffs(&wall), [night[0], night[1], at("2026-10-25T07:00:00Z"), at("2026-10-25T19:00:00Z")]);
    assert_eq!(handoffs(&elapsed), [night[0], night[1], at("2026-10-25T06:00:00Z"), at("2026-10-25T18:00:00Z")]);
    let spring = Rotation { start: "2027-03-27T20:00:00".parse().expect("a civil time"), ..elapsed.clone() };
    assert_eq!(spring.handoff(&zone, 1), Some(at("2027-03-28T07:00:00Z")), "09:00 by the clock");
    // The shift at an instant is the one whose handoffs it lies between, before the anchor as well.
    for hour in -100..100 {
        let instant = at("2026-10-24T06:00:00Z").plus_ms(hour * 3_600_000 + 1);
        let k = elapsed.shift_at(&zone, instant).expect("a shift");
        let (from, to) = (elapsed.handoff(&zone, k).expect("from"), elapsed.handoff(&zone, k + 1).expect("to"));
        assert!(from <= instant && instant < to && to.since_ms(from) == 12 * 3_600_000, "{instant}");
    }
    let plan = |unit| {
        let shift_length = ShiftLength { count: 1, unit };
        Plan::of_rotation("Europe/Berlin", Rotation { shift_length, ..elapsed.clone() })
    };
    assert_eq!(plan(Unit::Hour).check(), Ok(()));
    assert_eq!(plan(Unit::Day).check().unwrap_err(), "`basis: elapsed` is for shifts of hours, like 12h, not 1d");
    let written = serde_json::to_value(plan(Unit::Hour)).expect("JSON");
    assert_eq!(written["rotation"]["basis"], "elapsed");
    let plain = serde_json::to_value(Plan::of_rotation("UTC", wall)).expect("JSON");
    assert!(plain["rotation"].get("basis").is_none(), "what follows the clock says nothing");
}
