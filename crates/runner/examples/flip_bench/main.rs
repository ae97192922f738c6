//! How long a flip takes on many hosts, from the click to the last link turned on disk.
//!
//! ```text
//! cargo run --release -p tenfold-runner --example flip_bench            # 200 hosts, 5 flips of each kind
//! cargo run --release -p tenfold-runner --example flip_bench -- 50 3    # hosts, flips
//! cargo run --release -p tenfold-runner --example flip_bench -- 200 5 --within-ms 100
//! ```
//!
//! With `--within-ms` it exits 1 when, from *Approve*, the last host is later than that in the median flip of either kind. It
//! does so, too, when a deploy or a host did not do what it was told, and says which and what is known of it.
//!
//! One process holds a whole server and all agents: each agent is enrolled, holds its own TLS connection, has its own folder
//! and takes real orders of a real deploy that waits for an approval. The click is the call behind the approve button; from
//! there on everything counts: the step that is written to the database, the orders, the way over TLS, the turn of the link.
//! When a link was turned is what the file system says (its clock ticks every few milliseconds: the figures are no finer).
//! `processes` runs a small HTTP server for each release on each host; `links` are releases without a process.

use std::{os::unix::fs::MetadataExt, path::Path, process::ExitCode, time::Duration};

mod serve;
mod world;

use world::World;

/// Between two flips, so that what the one before left to be written is written.
const REST: Duration = Duration::from_secs(3);

struct Flip {
    /// Milliseconds from the click to each host's link, in order.
    links: Vec<f64>,
    /// To the deploy's end, with every answer written.
    over: f64,
}

/// What is asked of the program: `[HOSTS [FLIPS]] [--within-ms MS]`.
#[derive(Debug, PartialEq)]
struct Asked {
    hosts: usize,
    flips: usize,
    within_ms: Option<f64>,
}

impl Asked {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut counts = Vec::new();
        let mut within_ms = None;
        while let Some(word) = arguments.next() {
            if word == "--within-ms" {
                let text = arguments.next().unwrap_or_default();
                let ms = text.parse::<f64>().ok().filter(|ms| *ms > 0.0);
                within_ms = Some(ms.ok_or_else(|| format!("`{text}` is no number of milliseconds"))?);
            } else {
                let count = word.parse::<usize>().ok().filter(|count| *count > 0);
                counts.push(count.ok_or_else(|| format!("`{word}` is no number of hosts or flips"))?);
            }
        }
        let count = |at: usize, usual: usize| counts.get(at).copied().unwrap_or(usual);
        if counts.len() > 2 {
            return Err("hosts, then flips, and nothing more".to_owned());
        }
        Ok(Self { hosts: count(0, 200), flips: count(1, 5), within_ms })
    }
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        serve::run();
        return ExitCode::SUCCESS;
    }
    let asked = match Asked::read(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(wrong) => {
            eprintln!("{wrong}; usage: flip_bench [HOSTS [FLIPS]] [--within-ms MS]");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let late = runtime.block_on(bench(&asked));
    for line in &late {
        eprintln!("{line}");
    }
    if late.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints the table; gives a line for each kind that was late, and for what went wrong.
async fn bench(asked: &Asked) -> Vec<String> {
    let world = World::new(asked.hosts).await;
    let late = table(&world, asked).await.unwrap_or_else(|wrong| vec![wrong]);
    world.end().await;
    late
}

async fn table(world: &World, asked: &Asked) -> Result<Vec<String>, String> {
    let Asked { hosts, flips, within_ms } = *asked;
    println!("{hosts} hosts, {flips} flips of each kind; milliseconds from the click\n");
    println!("| what | click | p50 | p99 | last host | deploy over |\n| --- | --- | ---: | ---: | ---: | ---: |");
    let mut late = Vec::new();
    for kind in ["links", "processes"] {
        world.write_pipeline(kind);
        let mut version = 0;
        let mut next = || {
            version += 1;
            world.commit(&format!("{kind} {version}"));
        };
        next();
        flip(world, hosts).await?;
        let (mut there, mut back) = (Vec::new(), Vec::new());
        for _ in 0..flips {
            next();
            let (number, flipped) = flip(world, hosts).await?;
            there.push(flipped);
            back.push(roll_back(world, number).await?);
        }
        let median = report(kind, "Approve", there);
        if let Some(within) = within_ms.filter(|within| median > *within) {
            late.push(format!("{kind}: the last of {hosts} hosts after {median:.0} ms, and {within} are allowed"));
        }
        report(kind, "Roll back", back);
    }
    Ok(late)
}

/// A deploy of what was committed last, whose click is its approval.
async fn flip(world: &World, hosts: usize) -> Result<(i64, Flip), String> {
    let number = world.deploy().await?;
    world.prepared(number, hosts).await?;
    tokio::time::sleep(REST).await;
    let click = world.now_ms();
    world.approve(number).await?;
    Ok((number, world.flipped(number, click).await?))
}

async fn roll_back(world: &World, number: i64) -> Result<Flip, String> {
    tokio::time::sleep(REST).await;
    let click = world.now_ms();
    let back = world.roll_back(number).await?;
    world.flipped(back, click).await
}

/// A row of the table; gives the last host's time of the median flip.
fn report(kind: &str, click: &str, flips: Vec<Flip>) -> f64 {
    let mut links: Vec<f64> = flips.iter().flat_map(|f| f.links.iter().copied()).collect();
    links.sort_by(f64::total_cmp);
    let at = |percent: usize| links[(links.len() - 1) * percent / 100];
    let each = |of: &dyn Fn(&Flip) -> f64| {
        let mut all: Vec<f64> = flips.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all
    };
    let told = |all: &[f64]| all.iter().map(|ms| format!("{ms:.0}")).collect::<Vec<_>>().join(", ");
    let last = each(&|f| f.links.last().copied().unwrap_or_default());
    let over = each(&|f| f.over);
    println!("| {kind} | {click} | {:.0} | {:.0} | {} | {} |", at(50), at(99), told(&last), told(&over));
    last.get(last.len() / 2).copied().unwrap_or_default()
}

/// When a link was turned, in milliseconds.
fn turned_ms(link: &Path) -> std::io::Result<f64> {
    let meta = std::fs::symlink_metadata(link)?;
    Ok(meta.ctime() as f64 * 1e3 + meta.ctime_nsec() as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::Asked;

    #[test]
    fn a_bound_stands_beside_hosts_and_flips() {
        let read = |line: &str| Asked::read(line.split_whitespace().map(str::to_owned));
        let all = |hosts, flips, within_ms| Ok(Asked { hosts, flips, within_ms });
        assert_eq!(read(""), all(200, 5, None));
        assert_eq!(read("50 3"), all(50, 3, None));
        assert_eq!(read("--within-ms 100"), all(200, 5, Some(100.0)));
        assert_eq!(read("200 --within-ms 99.5 7"), all(200, 7, Some(99.5)));
        for wrong in ["0", "many", "1 2 3", "--within-ms", "--within-ms 0", "--within-ms soon"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
