//! How long a bad release is not found, beside what any test needs; and how long a good one waits.

use tenfold_judge::{Before, Judge, Look, RollBack, Settings, Verdict};

use crate::alarms::ERRORS;
use crate::dice::Dice;
use crate::runs::{Asked, Share, Table, runs, spread};
use crate::world::{CANARY, CONTROL, PLAIN, RATE, START_MS, Watch, World};

const ALPHA: f64 = 0.01;

/// Seconds that any test with this alpha needs on average: log(1/alpha) over the information of one second (Wald 1945).
fn bound_s(worse: f64) -> f64 {
    let (n_c, n_b) = (CANARY as f64, CONTROL as f64);
    let pooled = (n_c * worse + n_b * RATE) / (n_c + n_b);
    let kl = |p: f64, q: f64| p * (p / q).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln();
    (1.0 / ALPHA).ln() / (n_c * kl(worse, pooled) + n_b * kl(RATE, pooled))
}

/// The judge of a deploy, by how it is set.
struct Set {
    name: &'static str,
    watch: Watch,
    tolerate: f64,
}

const HOUR: Watch = Watch { every_s: 1, seconds: 3_600, past: Some(false) };

const SETS: [Set; 4] = [
    Set { name: "a deploy's judge, tolerate 1, a look a second", watch: HOUR, tolerate: 1.0 },
    Set { name: "the same with the hosts' hour before", watch: Watch { past: Some(true), ..HOUR }, tolerate: 1.0 },
    Set { name: "tolerate 1.25, with that hour", watch: Watch { past: Some(true), ..HOUR }, tolerate: 1.25 },
    Set {
        name: "defaults: tolerate 1.25, that hour, a look every 5 s",
        watch: Watch { past: Some(true), every_s: 5, ..HOUR },
        tolerate: 1.25,
    },
];

pub fn tables(asked: &Asked) {
    let mut table = Table::new(
        asked,
        format!(
            "| canary's errors, alpha {ALPHA} | judge | information bound s | mean s | p95 s | mean / bound | found in an hour |\n\
             | --- | --- | ---: | ---: | ---: | ---: | ---: |"
        ),
    );
    let seed = asked.seed ^ 0x5eed;
    for worse in [0.0075, 0.01, 0.02, 0.05] {
        let begins = |name: &str| format!("| 0.5 -> {} % | {name} |", worse * 100.0);
        let line = |name: &str, seconds: Vec<Option<f64>>| {
            let mut seconds: Vec<f64> = seconds.into_iter().flatten().collect();
            let (found, bound) = (seconds.len() as f64 / asked.runs as f64, bound_s(worse));
            let (mean, p95) = spread(&mut seconds);
            let figures = format!("{bound:.2} | {mean:.2} | {p95} | {:.2} | {found:.3} |", mean / bound);
            format!("{} {figures}", begins(name))
        };
        let world = World { ratio: worse / RATE, ..PLAIN };
        let alone = "the test alone, begun once";
        if table.wants(&begins(alone)) {
            table.row(&line(alone, runs(asked.runs, seed, |dice| test_alone(&world, dice))));
        }
        for set in SETS.iter().filter(|set| worse == 0.02 || set.tolerate == 1.0) {
            if table.wants(&begins(set.name)) {
                table.row(&line(set.name, runs(asked.runs, seed, |dice| found_s(&world, set, dice))));
            }
        }
    }
}

fn test_alone(world: &World, dice: &mut Dice) -> Option<f64> {
    let bins = world.run(HOUR, ERRORS, dice).errors?;
    let mut test = RollBack::new(1.0, 1.0);
    let found = bins[3_600..].iter().position(|bin| {
        test.observe(*bin);
        test.log_evidence() >= (1.0 / ALPHA).ln()
    });
    found.map(|looks| looks as f64 + 1.0)
}

fn found_s(world: &World, set: &Set, dice: &mut Dice) -> Option<f64> {
    let watched = world.run(set.watch, ERRORS, dice);
    // Never promoted: what is asked is when it is found. A judge takes no look after "worse", so the last one is that.
    let settings =
        Settings { alpha: ALPHA, tolerate: set.tolerate, prove_below: set.tolerate + 0.01, ..Settings::default() };
    let judge = watched.judge(settings).expect("settings are fine");
    let last = judge.report().series.last()?.at_ms;
    (judge.verdict() == Verdict::Worse).then(|| (last - START_MS) as f64 / 1_000.0)
}

/// How long until it is promoted, by a judge without a past to compare the hosts by.
fn promoted_s(world: &World, settings: Settings, dice: &mut Dice) -> Option<f64> {
    let watched = world.run(HOUR, ERRORS, dice);
    let (control, _) = watched.before_and_since();
    let mut judge = Judge::lasting(settings, &Before { control, ..Before::default() }).expect("settings are fine");
    let bins = watched.errors?;
    let looks = bins[3_600..].iter().zip(1i64..);
    let mut verdicts =
        looks.map(|(errors, at)| judge.step(&Look { at_ms: START_MS + at * 1_000, errors: *errors, latency: None }));
    verdicts.position(|verdict| verdict == Verdict::NotWorse).map(|looks| looks as f64 + 1.0)
}

pub fn promotions(asked: &Asked) {
    let mut table = Table::new(
        asked,
        "| promotion, beta 0.05, through the judge | promoted | 95 % interval | mean s | p95 s |\n\
         | --- | ---: | ---: | ---: | ---: |",
    );
    // Exactly at what is negligible, too: then both ways to be promoted are wrong at once.
    for (r1, negligible) in [(1.25, None), (1.5, None), (2.0, None), (1.5, Some(1.5 * RATE))] {
        for ratio in [r1, 1.0] {
            let words = negligible.map_or_else(String::new, |rate| format!(", {:.2} % negligible", rate * 100.0));
            let name = format!("true ratio {ratio}, {r1} to be refuted{words}");
            if !table.wants(&name) {
                continue;
            }
            // What is worse than tolerated might be found before it is promoted; here it is not looked for.
            let settings = Settings { alpha: 1e-9, tolerate: 1.0, prove_below: r1, negligible, ..Settings::default() };
            let world = World { ratio, ..PLAIN };
            let promoted = runs(asked.runs, asked.seed ^ 0x900d, |dice| promoted_s(&world, settings, dice));
            let mut seconds: Vec<f64> = promoted.into_iter().flatten().collect();
            let share = Share::of(seconds.len(), usize::try_from(asked.runs).expect("runs fit"));
            let (mean, p95) = spread(&mut seconds);
            let Share { value, low, high } = share;
            table.row(&format!("| {name} | {value:.4} | {low:.4} to {high:.4} | {mean:.0} | {p95} |"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With the same dice, so that only what the hour costs differs.
    #[test]
    fn the_hosts_hour_costs_little_while_they_are_equal() {
        let world = World { ratio: 4.0, ..PLAIN };
        let mean_s = |set: &Set| {
            let mut seconds: Vec<f64> = runs(400, 3, |dice| found_s(&world, set, dice)).into_iter().flatten().collect();
            assert_eq!(seconds.len(), 400, "{}", set.name);
            spread(&mut seconds).0
        };
        let (without, with) = (mean_s(&SETS[0]), mean_s(&SETS[1]));
        assert!(with > without && with < 1.06 * without, "{without} {with}");
    }
}
