//! Acknowledged writes per second with 1, 8 and 32 writers, on SQLite and on PostgreSQL.
//!
//! One write is what a use case does: an event and the state it tells of, durable when acknowledged.
//! Run it optimised: `cargo run --release -p tenfold-store --example commit_bench [DIRECTORY]`; the
//! directory chooses the disk for SQLite.

use std::time::{Duration, Instant};

use tenfold_store::{Db, StoreError, cursors, events};
use tenfold_testkit::{PgServer, TestEntropy};
use tenfold_types::{Actor, EventDraft, EventId, Source, Timestamp};

const SECONDS: u64 = 5;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = match std::env::args_os().nth(1) {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    println!("{:<12}{:>8}{:>12}{:>12}{:>12}", "database", "writers", "writes/s", "p50 ms", "p99 ms");
    let sqlite = Db::open_sqlite(dir.path().join("state.db"), tenfold_testkit::sealer()).await?;
    measure("sqlite", &sqlite).await?;
    if let Some(server) = PgServer::start_durable().await {
        let postgres = Db::open_postgres(server.create_database("bench").await, tenfold_testkit::sealer()).await?;
        measure("postgresql", &postgres).await?;
    }
    Ok(())
}

async fn measure(name: &str, db: &Db) -> Result<(), StoreError> {
    for writers in [1, 8, 32] {
        let until = Instant::now() + Duration::from_secs(SECONDS);
        let mut tasks = tokio::task::JoinSet::new();
        for writer in 0..writers {
            tasks.spawn(write_until(db.clone(), writer, until));
        }
        let mut waits = Vec::new();
        while let Some(done) = tasks.join_next().await {
            waits.extend(done.map_err(|e| StoreError::Panicked(e.to_string()))??);
        }
        waits.sort_unstable();
        let at = |share: usize| waits[(waits.len() - 1) * share / 100].as_secs_f64() * 1000.0;
        let rate = waits.len() as f64 / SECONDS as f64;
        println!("{name:<12}{writers:>8}{rate:>12.0}{:>12.2}{:>12.2}", at(50), at(99));
    }
    Ok(())
}

/// Writes one after another and returns how long each took.
async fn write_until(db: Db, writer: u64, until: Instant) -> Result<Vec<Duration>, StoreError> {
    let seed = db.read(events::last_seq).await?.unsigned_abs() << 16 | writer;
    let entropy = TestEntropy::seeded(seed);
    let mut waits = Vec::new();
    while Instant::now() < until {
        let start = Instant::now();
        let entropy = entropy.clone();
        db.write(move |tx| {
            let draft =
                EventDraft::new(Actor::person("ana"), Source::Cli, "deploy.queued", "ana queued deploy 12 of photos")
                    .service("photos")
                    .environment("production")
                    .deploy(12);
            let event = events::append(tx, Timestamp(0), EventId::new(Timestamp(0), &entropy), &draft)?;
            cursors::set(tx, &format!("writer {writer}"), event.seq)
        })
        .await?;
        waits.push(start.elapsed());
    }
    Ok(waits)
}
