//! The list of many targets as the application makes it, without HTTP: milliseconds of one page with and without a search, and
//! with the writing of its JSON.
//!
//! `cargo run --release -p tenfold-app --example targets_bench -- [TARGETS] [JOBS] [ROUNDS]`

use std::time::{Duration, Instant};

use tenfold_app::Settings;
use tenfold_app::metrics::{Scraped, State, TargetAsk};
use tenfold_protocols::exposition::Format;
use tenfold_types::{Fault, Timestamp};

const AT: Timestamp = Timestamp(1_795_424_000_000);
/// As many as the page of the targets asks for.
const LISTED: usize = 200;
/// One of so many does not answer.
const DOWN_EACH: usize = 50;

/// `scrape_configs` of as many targets, spread over the jobs.
fn config(targets: usize, jobs: usize) -> String {
    let job = |job: usize| {
        let hosts: Vec<String> = (job..targets).step_by(jobs).map(|n| format!("'host-{n}.example:9100'")).collect();
        let (hosts, zone) = (hosts.join(", "), job % 3);
        let labels = format!("{{zone: zone-{zone}, environment: production}}");
        format!("- job_name: job-{job}\n  static_configs:\n  - targets: [{hosts}]\n    labels: {labels}\n")
    };
    let jobs: Vec<String> = (0..jobs).map(job).collect();
    format!("scrape_configs:\n{}", jobs.join(""))
}

/// Every target as it is after its first scrape.
fn scrape(state: &State) -> Result<(), Fault> {
    for (n, target) in state.targets().iter().enumerate() {
        let page = match n % DOWN_EACH {
            0 => Err("connection refused".to_owned().into()),
            _ => Ok(("x 1\n".into(), Format::default())),
        };
        state.scraped(target, Scraped { at: AT, duration_ms: 4, page })?;
    }
    Ok(())
}

/// Where the last page begins.
fn last_page(state: &State) -> Result<Option<String>, Fault> {
    let mut ask = TargetAsk { limit: Some(LISTED), ..TargetAsk::default() };
    while let Some(next) = state.targets_page(&ask)?.next {
        ask.after = Some(next);
    }
    Ok(ask.after)
}

fn median_ms(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let mut number = |or: usize| args.next().map_or(Ok(or), |text| text.parse::<usize>());
    let (targets, jobs, rounds) = (number(10_000)?, number(20)?.max(1), number(101)?);
    let dir = tempfile::tempdir()?;
    let state = State::open(&Settings { data_dir: dir.path().to_owned(), ..Settings::default() })?;
    state.set_jobs(tenfold_scrape::parse_config(&config(targets, jobs))?.jobs, |_, _| false);
    scrape(&state)?;
    let page = || TargetAsk { limit: Some(LISTED), ..TargetAsk::default() };
    let words = |words: &str| TargetAsk { q: Some(words.to_owned()), ..page() };
    println!("{targets} targets of {jobs} jobs, medians of {rounds}, ms");
    for (what, ask) in [
        ("the first page", page()),
        ("the last page", TargetAsk { after: last_page(&state)?, ..page() }),
        ("10,000 in one answer", TargetAsk { limit: Some(10_000), ..page() }),
        ("one job", TargetAsk { job: Some("job-1".to_owned()), ..page() }),
        ("what is down", TargetAsk { health: Some("down".to_owned()), ..page() }),
        ("a search that finds one", words("host-77.example")),
        ("a search that finds a third", words("zone=zone-1 production")),
        ("a search that finds nothing", words("zone=zone-1 nowhere")),
    ] {
        let (mut made, mut written) = (Vec::with_capacity(rounds), Vec::with_capacity(rounds));
        let (mut listed, mut bytes) = (0, 0);
        for _ in 0..rounds {
            let began = Instant::now();
            let list = state.targets_page(&ask)?;
            made.push(began.elapsed());
            bytes = serde_json::to_vec(&list)?.len();
            written.push(began.elapsed());
            listed = list.items.len();
        }
        let (made, written) = (median_ms(made), median_ms(written));
        println!("{what:<28} {made:>7.2}, with its JSON {written:>7.2} ({listed} targets, {bytes} bytes)");
    }
    Ok(())
}
