//! Thousands of queries made by chance, asked of a real Prometheus and of our server over both HTTP APIs, on the same
//! samples written to both by remote write: the answers must be the same, and what one refuses the other refuses.
//!
//! `DIFFERENTIAL_QUERIES` says how many, `DIFFERENTIAL_SEED` which; a difference prints both, and the smallest part of the
//! expression that differs. Skipped in one line where `prometheus` is not installed. Native histograms are not among the
//! samples: Prometheus 2.42 has an older form of them.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

#[path = "../bench/mod.rs"]
mod bench;
#[path = "../calls/mod.rs"]
mod calls;
mod compare;
mod data;
mod faults;
mod generate;
mod known;
mod random;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bench::{Bench, text};
use calls::{Caller, Prometheus, REMOTE_WRITE, Reply};
use compare::{Answer, difference};
use generate::{Exact, Generator};

const QUERIES: usize = 4_000;
const SEED: u64 = 42;
/// Connections to each server.
const WORKERS: usize = 3;
/// Differences that are told in full.
const TOLD_MAX: usize = 30;

fn of_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a whole number"))
}

/// A query and when it is asked for.
pub struct Case {
    pub text: String,
    /// Its parts, which are queries too.
    parts: Vec<String>,
    near: bool,
    when: Vec<(&'static str, String)>,
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

impl Case {
    fn new(seed: u64) -> Self {
        let mut made = Generator::new(seed);
        let (text, near) = if made.random.chance(0.08) {
            (faults::text(&mut made), true)
        } else if made.random.chance(0.04) {
            (made.scalar(3).text, true)
        } else {
            let depth = 1 + made.random.below(4);
            let node = made.vector(depth);
            (node.text, node.exact == Exact::Near)
        };
        let at = |made: &mut Generator, from: i64, to: i64| {
            let whole = (to - from) / 1000;
            // Never where a sample lies, which is in the second half of a second.
            seconds((from / 1000 + made.random.below(whole as usize) as i64) * 1000 + 123)
        };
        let (first, last) = (data::START_MS - 120_000, data::END_MS + 600_000);
        let when = if made.random.chance(0.5) {
            vec![("time", at(&mut made, first, last))]
        } else {
            let middle = i64::midpoint(first, last);
            let (start, end) = (at(&mut made, first, middle), at(&mut made, middle, last));
            let step = *made.random.pick(&["97", "4m13s", "301", "1000s", "250"]);
            vec![("start", start), ("end", end), ("step", step.to_owned())]
        };
        Self { text, parts: made.nodes, near, when }
    }

    fn path(&self) -> &'static str {
        if self.when.len() == 1 { "/api/v1/query" } else { "/api/v1/query_range" }
    }

    fn ask(&self, text: &str, of: &mut Caller) -> Reply {
        let mut pairs = vec![("query", text)];
        pairs.extend(self.when.iter().map(|(n, v)| (*n, v.as_str())));
        of.form(self.path(), &pairs).unwrap_or_else(|e| panic!("no answer to {pairs:?}: {e}"))
    }

    /// What differs when `text` is asked for at the case's time, and whether there was an answer that is not empty.
    fn compare(&self, text: &str, ours: &mut Caller, theirs: &mut Caller) -> (Verdict, bool) {
        let (a, b) = (self.ask(text, ours), self.ask(text, theirs));
        let verdict = match (Answer::of(&a), Answer::of(&b)) {
            (Some(x), Some(y)) => {
                let sorted = self.when.len() == 1 && text.starts_with("sort");
                let full = !x.is_empty();
                match difference(&x, &y, sorted, if self.near { 1.0 } else { 1e-3 }) {
                    None => return (Verdict::Same, full),
                    Some(told) => told,
                }
            }
            (None, None) if (a.status, &a.json()["errorType"]) == (b.status, &b.json()["errorType"]) => {
                return (Verdict::Same, false);
            }
            _ => format!("ours {} {:.300}\n    theirs {} {:.300}", a.status, a.text(), b.status, b.text()),
        };
        let known = known::difference(text, &a, &b);
        (known.map_or(Verdict::Differs(verdict), Verdict::Excepted), false)
    }
}

enum Verdict {
    Same,
    /// For the reason told.
    Excepted(&'static str),
    Differs(String),
}

#[derive(Default)]
struct Tally {
    same: usize,
    full: usize,
    excepted: std::collections::BTreeMap<&'static str, usize>,
    differences: Vec<(usize, String)>,
}

/// What became of a case: the smallest part that differs by itself says where to look, and whether that is known.
fn judge(i: usize, case: &Case, ours: &mut Caller, theirs: &mut Caller) -> (Verdict, bool) {
    let (verdict, full) = case.compare(&case.text, ours, theirs);
    let Verdict::Differs(what) = verdict else { return (verdict, full) };
    let mut parts = case.parts.clone();
    parts.sort_by_key(String::len);
    let mut told = format!("case {i} at {:?}: {}\n    {what}", case.when, case.text);
    for part in &parts {
        match case.compare(part, ours, theirs).0 {
            Verdict::Same => {}
            Verdict::Excepted(why) => return (Verdict::Excepted(why), full),
            Verdict::Differs(what) => {
                told.extend(["\n  part: ", part, "\n    ", &what]);
                break;
            }
        }
    }
    (Verdict::Differs(told), full)
}

fn work(next: &AtomicUsize, count: usize, seed: u64, tally: &Mutex<Tally>, ours: &mut Caller, theirs: &mut Caller) {
    loop {
        let i = next.fetch_add(1, Ordering::Relaxed);
        if i >= count {
            return;
        }
        let case = Case::new(seed.wrapping_mul(1_000_003).wrapping_add(i as u64));
        let (verdict, full) = judge(i, &case, ours, theirs);
        let mut tally = tally.lock().unwrap();
        tally.full += usize::from(full);
        match verdict {
            Verdict::Same => tally.same += 1,
            Verdict::Excepted(why) => *tally.excepted.entry(why).or_default() += 1,
            Verdict::Differs(told) => tally.differences.push((i, told)),
        }
    }
}

#[test]
fn prometheus_and_the_server_answer_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let Some(prometheus) = Prometheus::start(dir.path()) else {
        tenfold_testkit::peer_is_missing("prometheus is not installed");
        return;
    };
    let bench = Bench::start_with("[metrics]\nretention_days = 36500\n");
    bench.set_up();
    let token = |kind: &[&str]| text(&bench.run(&[&["token", "create"][..], kind].concat())).trim().to_owned();
    let (sender, reader) = (token(&["sender", "--kind", "metrics"]), token(&["reader", "--role", "viewer"]));
    let (count, seed) =
        (of_environment("DIFFERENTIAL_QUERIES", QUERIES as u64), of_environment("DIFFERENTIAL_SEED", SEED));
    for body in data::requests(&data::series(seed)) {
        for (url, token) in [(&bench.url, Some(sender.as_str())), (&prometheus.url, None)] {
            let answer = Caller::new(url, token).send("POST", "/api/v1/write", &REMOTE_WRITE, &body).unwrap();
            assert_eq!(answer.status, 204, "{url}: {}", answer.text());
        }
    }
    let count = usize::try_from(count).unwrap();
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let (mut ours, mut theirs) =
                    (Caller::new(&bench.url, Some(&reader)), Caller::new(&prometheus.url, None));
                work(&next, count, seed, &tally, &mut ours, &mut theirs);
            });
        }
    });
    let mut tally = tally.into_inner().unwrap();
    let excepted: usize = tally.excepted.values().sum();
    println!("differential: {count} queries, {} the same, {excepted} excepted", tally.same);
    println!("seed {seed}, {} of the answers are not empty; excepted: {:#?}", tally.full, tally.excepted);
    tally.differences.sort();
    let differ = tally.differences.len();
    let told: Vec<_> = tally.differences.iter().take(TOLD_MAX).map(|(_, told)| told.as_str()).collect();
    assert!(differ == 0, "{differ} differ:\n{}", told.join("\n"));
    assert!(tally.full * 2 > count, "most answers are empty: the queries ask for what is not there");
    assert!(excepted * 20 < count, "too much is excepted");
}
