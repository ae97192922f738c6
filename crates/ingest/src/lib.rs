//! The metrics edge: asks targets for their metrics pages, and listens for StatsD and Graphite.
//!
//! What it brings goes to `app.metrics`; nothing is decided here.

mod datagrams;
mod graphite;
mod scraper;
mod statsd;
mod streams;

use tenfold_app::App;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for {what} on {address}")]
pub struct ListenError {
    what: &'static str,
    address: String,
    #[source]
    source: std::io::Error,
}

impl ListenError {
    fn of(what: &'static str, address: &str) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let address = address.to_owned();
        move |source| Self { what, address, source }
    }
}

/// Starts scraping and listening. Fails at once when an address cannot be bound.
pub async fn start(app: &App, stop: &CancellationToken) -> Result<TaskTracker, ListenError> {
    let tasks = TaskTracker::new();
    statsd::start(app, stop, &tasks).await?;
    graphite::start(app, stop, &tasks).await?;
    tasks.spawn(scraper::run(app.clone(), stop.clone()));
    tasks.close();
    Ok(tasks)
}
