//! Many runs on as many threads as there are processors, and shares of them with what is known of the truth; and which rows
//! of which tables are asked for.

use std::cell::Cell;
use std::num::NonZero;
use std::thread;

use crate::dice::Dice;

/// `each` run once, in the order of runs, whatever the number of threads.
pub fn runs<T: Send>(runs: u64, seed: u64, each: impl Fn(&mut Dice) -> T + Sync) -> Vec<T> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get) as u64;
    let part = |thread: u64| (runs * thread / threads)..(runs * (thread + 1) / threads);
    let one = |run: u64| each(&mut Dice::new(seed, run));
    thread::scope(|scope| {
        let parts: Vec<_> =
            (0..threads).map(|thread| scope.spawn(move || part(thread).map(one).collect::<Vec<T>>())).collect();
        parts.into_iter().flat_map(|part| part.join().expect("a run does not panic")).collect()
    })
}

/// What is asked of the program.
pub struct Asked {
    pub runs: u64,
    pub seed: u64,
    /// All of them stand in the head of a table or the name of a row that is wanted.
    words: Vec<String>,
    shown: Cell<usize>,
}

impl Asked {
    /// `[RUNS [SEED [WORD...]]]`
    pub fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut number = |what: &str, usual: u64| match arguments.next() {
            None => Ok(usual),
            Some(text) => text.parse::<u64>().map_err(|_| format!("`{text}` is not the number of {what}")),
        };
        let (runs, seed) = (number("runs", 4_000)?, number("the seed", 1)?);
        if runs == 0 {
            return Err("at least one run is needed".to_owned());
        }
        Ok(Self { runs, seed, words: arguments.map(|word| word.to_lowercase()).collect(), shown: Cell::new(0) })
    }

    /// How many rows were printed.
    pub fn shown(&self) -> usize {
        self.shown.get()
    }
}

/// A table. Its head stands above the first row that is wanted, and nowhere when none is.
pub struct Table<'a> {
    asked: &'a Asked,
    head: String,
    begun: bool,
}

impl<'a> Table<'a> {
    pub fn new(asked: &'a Asked, head: impl Into<String>) -> Self {
        Self { asked, head: head.into(), begun: false }
    }

    /// Whether the row of this name is asked for: what is not is not run either.
    pub fn wants(&self, row: &str) -> bool {
        let text = format!("{} {row}", self.head).to_lowercase();
        self.asked.words.iter().all(|word| text.contains(word.as_str()))
    }

    pub fn row(&mut self, line: &str) {
        if !std::mem::replace(&mut self.begun, true) {
            println!("\n{}", self.head);
        }
        self.asked.shown.set(self.asked.shown.get() + 1);
        println!("{line}");
    }
}

/// A share with its 95 % interval (Wilson 1927).
pub struct Share {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

impl Share {
    pub fn of(count: usize, all: usize) -> Self {
        let (n, z) = (all.max(1) as f64, 1.959_964);
        let value = count as f64 / n;
        let middle = value + z * z / (2.0 * n);
        let away = z * (value * (1.0 - value) / n + z * z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + z * z / n;
        Self { value, low: ((middle - away) / scale).max(0.0), high: (middle + away) / scale }
    }
}

/// Mean, and what nineteen of twenty stay below.
pub fn spread(values: &mut [f64]) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    (mean, values.get(values.len() * 95 / 100).copied().unwrap_or(f64::NAN))
}
