//! The watch after a promotion: how often it cries wolf in its time, and how long it is quiet on average.

use tenfold_judge::{After, Count, Counted, Cusum};

use crate::alarms::{ALPHAS, ERRORS};
use crate::runs::{Asked, Share, Table, runs, spread};
use crate::world::{CANARY, PLAIN, RATE, Watch, World};

/// A quarter of an hour, a look a second, after an hour of past.
const WATCH: Watch = Watch { every_s: 1, seconds: 900, past: Some(false) };
const FACTOR: f64 = 2.0;
/// No run is followed further.
const LOOKS_MAX: usize = 2_000_000;

pub fn tables(asked: &Asked) {
    let mut table = Table::new(
        asked,
        "| watch of 15 minutes after a promotion, nothing is wrong | alarms at 0.05 | at 0.01 | at 0.001 |\n\
         | --- | ---: | ---: | ---: |",
    );
    for (name, world) in [("steady", PLAIN), ("bursts of three on average", World { burst: 3.0, ..PLAIN })] {
        if !table.wants(name) {
            continue;
        }
        let alarmed = runs(asked.runs, asked.seed ^ 0xaf7e, |dice| {
            let (before, since) = world.run(WATCH, ERRORS, dice).before_and_since();
            ALPHAS.map(|alpha| {
                let seen = After::watch(Counted::Failed, (&before, &since), FACTOR, alpha, since.len() as u64);
                seen.is_some_and(|seen| seen.alarmed)
            })
        });
        let share = |i: usize| Share::of(alarmed.iter().filter(|a| a[i]).count(), alarmed.len()).value;
        table.row(&format!("| {name} | {:.4} | {:.4} | {:.4} |", share(0), share(1), share(2)));
    }
    let mut table = Table::new(
        asked,
        format!(
            "| Page's sum, factor {FACTOR}, nothing is wrong | promised looks | mean looks to a false alarm | runs |\n\
             | --- | ---: | ---: | ---: |"
        ),
    );
    for (threshold, number) in [(100f64.ln(), asked.runs), (1_000f64.ln(), asked.runs.div_ceil(10))] {
        let name = format!("alarm at {threshold:.2} nats");
        if !table.wants(&name) {
            continue;
        }
        let mut looks = runs(number, asked.seed ^ 0xa71, |dice| {
            let mut sum = Cusum::new(RATE, FACTOR, threshold);
            let found = (1..LOOKS_MAX).find(|_| sum.observe(Count::new(dice.binomial(CANARY, RATE), CANARY)));
            found.unwrap_or(LOOKS_MAX) as f64
        });
        let (mean, _) = spread(&mut looks);
        table.row(&format!("| {name} | {:.0} | {mean:.0} | {number} |", threshold.exp()));
    }
}
