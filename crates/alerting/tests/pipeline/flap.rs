//! What flaps is told of once, held as firing, and let go when it is calm.

use tenfold_alerting::pipeline::Turn;

use super::*;

/// A house in which an alert has begun to fire three times, at 0, 10 and 20, and flaps.
fn flapping() -> House {
    let mut house = House::plain();
    house.flapping = FLAPS;
    for second in [0, 10, 20] {
        house.give(second, fires(FLAPPER, second));
        house.ticks([second + 2]);
        if second < 20 {
            house.give(second + 4, ends(FLAPPER, second + 4));
        }
    }
    house
}

const FLAPPER: &str = "alertname=A service=web";

fn turns(house: &House) -> Vec<(i64, Turn)> {
    let turn = |planned: &Planned| match &planned.effect {
        Effect::Turned(turned) => Some((planned.at.since_ms(at(0)) / 1_000, turned.turn)),
        Effect::Flush(_) | Effect::Decided(_) | Effect::Notify(_) => None,
    };
    house.effects.iter().filter_map(turn).collect()
}

#[test]
fn what_flaps_is_told_of_once_and_held_until_it_is_calm() {
    let mut house = flapping();
    let before = house.told().len();
    for second in [24, 44] {
        house.give(second, ends(FLAPPER, second));
        house.ticks(second + 1..second + 10);
        house.give(second + 10, fires(FLAPPER, second + 10));
        house.ticks(second + 11..second + 20);
    }
    house.give(64, ends(FLAPPER, 64));
    house.give(70, ends(FLAPPER, 70));
    house.ticks(71..=83);
    assert_eq!(house.told().len(), before, "neither ends nor beginnings are told: {:?}", house.told());
    house.ticks(84..=120);
    assert_eq!(house.told()[before..].len(), 1, "and then its end is: {:?}", house.told());
    assert!(house.told()[before].ends_with("Over 0/1"));
    assert_eq!(
        turns(&house),
        [
            (20, Turn::Began),
            (24, Turn::Held),
            (34, Turn::Again),
            (44, Turn::Held),
            (54, Turn::Again),
            (64, Turn::Held),
            (84, Turn::Calm(Some(at(64)))),
        ]
    );
    // It starts anew: one more beginning is none too many.
    house.give(130, fires(FLAPPER, 130));
    assert_eq!(turns(&house).len(), 7);
}

#[test]
fn what_flaps_and_fires_on_is_calm_as_well() {
    let mut house = flapping();
    house.ticks(23..=50);
    assert_eq!(turns(&house), [(20, Turn::Began), (40, Turn::Calm(None))]);
    let told = house.told().len();
    house.give(51, ends(FLAPPER, 51));
    house.ticks(52..=90);
    assert_eq!(house.told().len(), told + 1, "its end is told as any other");
}

#[test]
fn only_the_word_of_its_source_is_held_back() {
    let mut house = flapping();
    let Input::Alerts(mut silent) = ends(FLAPPER, 25) else { panic!("these are alerts") };
    silent[0].ended = Some((at(25), HowEnded::Expired));
    house.give(25, Input::Alerts(silent));
    house.ticks(26..=60);
    assert_eq!(turns(&house), [(20, Turn::Began)]);
    assert!(house.told().last().expect("it was told").ends_with("Over 0/1"));
}

#[test]
fn beginnings_far_apart_are_no_flapping() {
    let mut house = House::plain();
    house.flapping = FLAPS;
    for second in [0, 31, 62, 93] {
        house.give(second, fires(FLAPPER, second));
        house.give(second + 4, ends(FLAPPER, second + 4));
        house.ticks([second + 30]);
    }
    assert!(turns(&house).is_empty());
}

#[test]
fn a_start_between_changes_nothing_of_it() {
    let mut house = flapping();
    house.give(24, ends(FLAPPER, 24));
    let fingerprint = *house.state.alerts.keys().next().expect("it is followed");
    let flap = house.state.flap(fingerprint).expect("it flaps");
    let text = serde_json::to_string(&flap).expect("it is JSON");
    let known: Vec<_> = house.state.alerts.values().map(|known| ((**known).clone(), true)).collect();
    let context = Context { routing: &house.routing, mutes: &[], flapping: house.flapping };
    house.state = tenfold_alerting::pipeline::restore(context, known, |told, _| *told, at(26));
    house.state.recall(fingerprint, serde_json::from_str(&text).expect("it is read again"));
    let why = explain(context, &house.state, &labels(FLAPPER), at(27));
    assert!(why.routes[0].decisions[0].because.contains("it flaps since"), "{why:?}");
    house.give(34, fires(FLAPPER, 34));
    assert_eq!(turns(&house).last(), Some(&(34, Turn::Again)));
}
