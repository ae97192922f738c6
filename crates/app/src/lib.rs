//! Use cases: what people, robots and the clock may make happen, each as one transaction that writes
//! the state and the event that tells of it.
//!
//! The crate knows no HTTP, no IRC and no SMTP: the edges call these use cases and implement the ports
//! (`deploys::Runner`, `alerts::Notifier`, `chat::ChatTransport`).

pub mod agents;
pub mod alerts;
pub mod chat;
pub mod checks;
pub mod config;
mod core;
#[cfg(test)]
mod counted;
pub mod delivery;
pub mod deploys;
pub mod digests;
pub mod flags;
pub mod forges;
pub mod incidents;
mod judged;
mod listed;
pub mod metrics;
pub mod noise;
pub mod now;
pub mod oncall;
pub mod people;
pub mod permits;
pub mod private_file;
pub mod pulse;
pub mod record;
pub mod rule_tests;
pub mod sealing;
pub mod settings;
pub mod sources;
mod weekly;

pub use crate::core::{App, Inner, Txn};
pub use people::{Caller, Grant, Role};
pub use settings::Settings;

use tenfold_types::Fault;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Loads every part's state from the store. Called once, before anything is served.
pub async fn load(app: &App) -> Result<(), Fault> {
    record::load(app).await?;
    people::load(app).await?;
    agents::load(app).await?;
    metrics::load(app).await?;
    flags::load(app).await?;
    permits::load(app).await?;
    deploys::load(app).await?;
    forges::load(app).await?;
    alerts::load(app).await?;
    oncall::load(app).await?;
    incidents::load(app).await?;
    digests::load(app).await?;
    checks::load(app).await?;
    sources::load(app)?;
    Ok(())
}

/// Starts every part's loops; they end when `stop` is cancelled.
pub fn start(app: &App, stop: &CancellationToken) -> TaskTracker {
    let tasks = TaskTracker::new();
    tasks.spawn(record::run(app.clone(), stop.clone()));
    tasks.spawn(record::run_index(app.clone(), stop.clone()));
    tasks.spawn(people::run(app.clone(), stop.clone()));
    tasks.spawn(agents::run(app.clone(), stop.clone()));
    tasks.spawn(metrics::run(app.clone(), stop.clone()));
    tasks.spawn(flags::run(app.clone(), stop.clone()));
    tasks.spawn(flags::run_guards(app.clone(), stop.clone()));
    tasks.spawn(permits::run(app.clone(), stop.clone()));
    tasks.spawn(deploys::run(app.clone(), stop.clone()));
    tasks.spawn(forges::run(app.clone(), stop.clone()));
    tasks.spawn(alerts::run(app.clone(), stop.clone()));
    tasks.spawn(incidents::run(app.clone(), stop.clone()));
    tasks.spawn(digests::run(app.clone(), stop.clone()));
    tasks.spawn(checks::run(app.clone(), stop.clone()));
    tasks.spawn(oncall::run(app.clone(), stop.clone()));
    tasks.spawn(weekly::run(app.clone(), stop.clone()));
    tasks.spawn(sources::run(app.clone(), stop.clone()));
    tasks.close();
    tasks
}
