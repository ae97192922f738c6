//! How often the judge cries wolf, and how long it takes: simulated traffic, watched every second. Prints every table of
//! the section on the judge in `bench/README.md`.
//!
//! ```text
//! cargo run --release -p tenfold-judge --example error_rates            # 4,000 runs, seed 1
//! cargo run --release -p tenfold-judge --example error_rates -- 400 7   # runs, seed
//! cargo run --release -p tenfold-judge --example error_rates -- 40000 2 averaged steady
//! ```
//!
//! Words after the seed ask for single rows: those where every word stands in the head of the table or the name of the row.
//! Nothing else is run, so that a row can be held against its bound with more runs.
//!
//! Canary 100 requests a second, control 900, half a percent of them fail, unless the line says otherwise; where durations
//! are drawn, 10 and 90 of them a second. What is asked is the judge of a deploy: the hour before, and looks that are
//! a second apart for an hour and a minute after that (`Watched`), in a `Judge` without an end. A false roll back is one
//! at any look of the two hours.

mod alarms;
mod cusum;
mod detection;
mod dice;
mod durations;
mod runs;
#[cfg(test)]
mod tests;
mod world;

fn main() {
    let asked = match runs::Asked::read(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(wrong) => {
            eprintln!("{wrong}; usage: error_rates [RUNS [SEED [WORD...]]]");
            std::process::exit(2);
        }
    };
    println!("{} runs, seed {}", asked.runs, asked.seed);
    for tables in [detection::tables, alarms::judge, alarms::parts, detection::promotions, cusum::tables] {
        let began = std::time::Instant::now();
        tables(&asked);
        eprintln!("({} s)", began.elapsed().as_secs());
    }
    if asked.shown() == 0 {
        eprintln!("no row has all of these words");
        std::process::exit(1);
    }
}
