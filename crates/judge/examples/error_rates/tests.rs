//! The same worlds for a few hundred runs: the bounds hold in each, and a judge that took them lightly would be seen.

use tenfold_judge::Settings;

use crate::alarms::{BOTH, CLASSIC, ERRORS, NATIVE, rolled_back};
use crate::runs::{Asked, Table, runs};
use crate::world::{Measured, SAME, Watch, World};

const RUNS: u64 = 400;
/// Of 400 runs, each false with a chance of 0.05, more are false once in 100,000 times.
const FALSE_MAX: usize = 41;
/// Ten minutes.
const WATCH: Watch = Watch { every_s: 5, seconds: 600, past: None };

fn false_of(world: World, measured: Measured, tolerate: f64) -> usize {
    let settings = |alpha| Settings { alpha, tolerate, prove_below: 50.0, ..Settings::default() };
    let outcomes = runs(RUNS, 11, |dice| rolled_back(&world.run(WATCH, measured, dice), settings)[0]);
    outcomes.into_iter().filter(|o| *o).count()
}

#[test]
fn errors_cry_wolf_less_often_than_alpha() {
    for (name, world) in SAME {
        let found = false_of(world, ERRORS, 1.0);
        assert!(found <= FALSE_MAX, "{name}: {found} of {RUNS}");
    }
}

#[test]
fn latency_cries_wolf_less_often_than_alpha() {
    for (measured, (name, world)) in [(CLASSIC, SAME[0]), (CLASSIC, SAME[2]), (NATIVE, SAME[4])] {
        let found = false_of(world, measured, 1.0);
        assert!(found <= FALSE_MAX, "{name}: {found} of {RUNS}");
    }
}

#[test]
fn both_together_cry_wolf_less_often_than_alpha() {
    let found = false_of(SAME[4].1, BOTH, 1.0);
    assert!(found <= FALSE_MAX, "{found} of {RUNS}");
}

#[test]
fn words_ask_for_single_rows() {
    let asked = |line: &str| Asked::read(line.split_whitespace().map(str::to_owned));
    let few = asked("40000 2 averaged Steady").expect("it is understood");
    assert_eq!((few.runs, few.seed, few.shown()), (40_000, 2, 0));
    let averaged = Table::new(&few, "| errors and latency averaged, tolerate 1 |");
    assert!(averaged.wants("steady") && !averaged.wants("all of that together"));
    assert!(!Table::new(&few, "| errors, tolerate 1 |").wants("steady"));
    let all = asked("").expect("nothing is asked");
    assert!((all.runs, all.seed) == (4_000, 1) && Table::new(&all, "| any |").wants("row"));
    for wrong in ["averaged", "0", "400 steady"] {
        assert!(asked(wrong).is_err(), "{wrong}");
    }
}

/// That the tests above can fail.
#[test]
fn a_canary_that_is_worse_than_tolerated_is_counted() {
    let worse = World { ratio: 2.0, ..SAME[0].1 };
    assert!(false_of(worse, ERRORS, 1.0) > FALSE_MAX);
}
