//! False roll backs: the same release on both sides.

use tenfold_judge::{Count, RollBack, Settings, Slower, Verdict, Watched, dispersion};

use crate::dice::Dice;
use crate::durations::Buckets;
use crate::runs::{Asked, Table, runs};
use crate::world::{Measured, PLAIN, SAME, Watch, World};

pub const ALPHAS: [f64; 3] = [0.05, 0.01, 0.001];
pub const ERRORS: Measured = Measured { errors: true, latency: None };
pub const CLASSIC: Measured = Measured { errors: false, latency: Some(Buckets::Classic) };
pub const NATIVE: Measured = Measured { errors: false, latency: Some(Buckets::Native) };
pub const BOTH: Measured = Measured { errors: true, latency: Some(Buckets::Classic) };

/// The strictest settings: nothing is tolerated but what the hosts' own past shows.
fn strict(alpha: f64) -> Settings {
    Settings { alpha, tolerate: 1.0, prove_below: 50.0, ..Settings::default() }
}

/// Whether a run is ever rolled back, for each alpha.
pub fn rolled_back(watched: &Watched, settings: impl Fn(f64) -> Settings) -> [bool; 3] {
    let worse = |alpha| watched.judge(settings(alpha)).expect("settings are fine").verdict() == Verdict::Worse;
    // "Worse" is the last word, so the end tells whether it was ever reached; and what does not reach 1/0.05 is not asked
    // for 1/0.01, which is five times as much of nearly the same evidence (only what a past says differs a little).
    let first = worse(ALPHAS[0]);
    [first, first && worse(ALPHAS[1]), first && worse(ALPHAS[2])]
}

fn row(table: &mut Table<'_>, name: &str, outcomes: &[[bool; 3]]) {
    let share = |i: usize| outcomes.iter().filter(|o| o[i]).count() as f64 / outcomes.len() as f64;
    table.row(&format!("| {name} | {:.4} | {:.4} | {:.4} |", share(0), share(1), share(2)));
}

fn table<'a>(asked: &'a Asked, what: &str) -> Table<'a> {
    Table::new(asked, format!("| {what} | false at 0.05 | at 0.01 | at 0.001 |\n| --- | ---: | ---: | ---: |"))
}

pub fn judge(asked: &Asked) {
    for (what, measured) in [
        ("errors, tolerate 1", ERRORS),
        ("latency, classic buckets, tolerate 1", CLASSIC),
        ("latency, native buckets, tolerate 1", NATIVE),
        ("errors and latency averaged, tolerate 1", BOTH),
    ] {
        let mut table = table(asked, what);
        for (name, world) in SAME {
            if table.wants(name) {
                let one = |dice: &mut Dice| rolled_back(&world.run(Watch::TWO_HOURS, measured, dice), strict);
                row(&mut table, name, &runs(asked.runs, asked.seed, one));
            }
        }
    }
    let what = "errors and latency averaged, a look every 5 s, with the hosts' hour before, defaults";
    let mut table = table(asked, what);
    let watch = Watch { every_s: 5, past: Some(true), ..Watch::TWO_HOURS };
    for (name, world) in [SAME[0], SAME[4]] {
        if table.wants(name) {
            let one = |dice: &mut Dice| {
                rolled_back(&world.run(watch, BOTH, dice), |alpha| Settings { alpha, ..Settings::default() })
            };
            row(&mut table, name, &runs(asked.runs, asked.seed, one));
        }
    }
}

/// The parts by themselves, and what is usually done about bursts.
pub fn parts(asked: &Asked) {
    let mut table = table(asked, "one part alone, every second for an hour");
    let reached = |best: f64| ALPHAS.map(|alpha| best >= (1.0 / alpha).ln());
    let hour = Watch { seconds: 3_600, ..Watch::TWO_HOURS };
    for (name, measured) in [("classic", CLASSIC), ("native", NATIVE)] {
        let names = ["exceedances", "joint"].map(|part| format!("latency, {name} buckets: {part}, steady"));
        if !names.iter().any(|name| table.wants(name)) {
            continue;
        }
        let outcomes = runs(asked.runs, asked.seed, |dice| {
            let watched = PLAIN.run(hour, measured, dice);
            let (mut test, mut best) = (Slower::default(), [0.0f64; 2]);
            for bin in &watched.latency.expect("it is measured")[3_600..] {
                test.observe(bin);
                best = [best[0].max(test.exceedances_evidence()), best[1].max(test.joint_evidence())];
            }
            best.map(reached)
        });
        print(&mut table, &names, &outcomes);
    }
    let names = ["as it is done here", "the logarithm divided by the dispersion, as is usual"]
        .map(|part| format!("errors in bursts of three: {part}"));
    if !names.iter().any(|name| table.wants(name)) {
        return;
    }
    let world = World { burst: 3.0, ..PLAIN };
    let outcomes = runs(asked.runs, asked.seed, |dice| {
        let watched = world.run(hour, ERRORS, dice);
        let bins = watched.errors.expect("it is measured");
        let before: Vec<Count> = bins[..3_600].iter().map(|b| b.control).collect();
        let phi = dispersion(&before).unwrap_or(1.0);
        let mut tests = [RollBack::new(1.0, phi), RollBack::new(1.0, 1.0)];
        let mut best = [0.0f64; 2];
        for bin in &bins[3_600..] {
            for test in &mut tests {
                test.observe(*bin);
            }
            best = [best[0].max(tests[0].log_evidence()), best[1].max(tests[1].log_evidence() / phi)];
        }
        best.map(reached)
    });
    print(&mut table, &names, &outcomes);
}

/// Two tests that saw the same runs.
fn print(table: &mut Table<'_>, names: &[String; 2], outcomes: &[[[bool; 3]; 2]]) {
    for (i, name) in names.iter().enumerate() {
        if table.wants(name) {
            row(table, name, &outcomes.iter().map(|o| o[i]).collect::<Vec<_>>());
        }
    }
}
