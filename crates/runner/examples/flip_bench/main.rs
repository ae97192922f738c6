//! How long a flip takes on many hosts, from the click to the last link turned on disk.
//!
//! ```text
//! cargo run --release -p tenfold-runner --example flip_bench            # 200 hosts, 5 flips of each kind
//! cargo run --release -p tenfold-runner --example flip_bench -- 50 3    # hosts, flips
//! ```
//!
//! One process holds a whole server and all agents: each agent is enrolled, holds its own TLS connection, has its own folder
//! and takes real orders of a real deploy that waits for an approval. The click is the call behind the approve button; from
//! there on everything counts: the step that is written to the database, the orders, the way over TLS, the turn of the link.
//! When a link was turned is what the file system says (its clock ticks every few milliseconds: the figures are no finer).
//! `processes` runs a small HTTP server for each release on each host; `links` are releases without a process.

use std::{os::unix::fs::MetadataExt, path::Path, time::Duration};

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

fn main() {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some("serve") {
        return serve::run();
    }
    let number = |text: Option<String>, default: usize| -> usize {
        text.map_or(default, |t| t.parse().expect("hosts, then flips"))
    };
    let (hosts, flips) = (number(first, 200), number(arguments.next(), 5));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(bench(hosts, flips));
}

async fn bench(hosts: usize, flips: usize) {
    let world = World::new(hosts).await;
    println!("{hosts} hosts, {flips} flips of each kind; milliseconds from the click\n");
    println!("| what | click | p50 | p99 | last host | deploy over |\n| --- | --- | ---: | ---: | ---: | ---: |");
    for kind in ["links", "processes"] {
        world.write_pipeline(kind);
        let mut version = 0;
        let mut next = || {
            version += 1;
            world.commit(&format!("{kind} {version}"));
        };
        next();
        flip(&world, hosts).await;
        let (mut there, mut back) = (Vec::new(), Vec::new());
        for _ in 0..flips {
            next();
            let (number, flipped) = flip(&world, hosts).await;
            there.push(flipped);
            back.push(roll_back(&world, number).await);
        }
        report(kind, "Approve", there);
        report(kind, "Roll back", back);
    }
    world.end().await;
}

/// A deploy of what was committed last, whose click is its approval.
async fn flip(world: &World, hosts: usize) -> (i64, Flip) {
    let number = world.deploy().await;
    world.prepared(number, hosts).await;
    tokio::time::sleep(REST).await;
    let click = world.now_ms();
    world.approve(number).await;
    (number, world.flipped(number, click).await)
}

async fn roll_back(world: &World, number: i64) -> Flip {
    tokio::time::sleep(REST).await;
    let click = world.now_ms();
    let back = world.roll_back(number).await;
    world.flipped(back, click).await
}

fn report(kind: &str, click: &str, flips: Vec<Flip>) {
    let mut links: Vec<f64> = flips.iter().flat_map(|f| f.links.iter().copied()).collect();
    links.sort_by(f64::total_cmp);
    let at = |percent: usize| links[(links.len() - 1) * percent / 100];
    let each = |of: &dyn Fn(&Flip) -> f64| {
        let mut all: Vec<f64> = flips.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all.iter().map(|ms| format!("{ms:.0}")).collect::<Vec<_>>().join(", ")
    };
    let last = each(&|f| f.links.last().copied().unwrap_or_default());
    let over = each(&|f| f.over);
    println!("| {kind} | {click} | {:.0} | {:.0} | {last} | {over} |", at(50), at(99));
}

/// When a link was turned, in milliseconds.
fn turned_ms(link: &Path) -> f64 {
    let meta = std::fs::symlink_metadata(link).expect("the link is there");
    meta.ctime() as f64 * 1e3 + meta.ctime_nsec() as f64 / 1e6
}
