//! The metrics edge: asks targets for their metrics pages, listens for StatsD and Graphite, and sends samples on.
//!
//! What it brings goes to `app.metrics`; nothing is decided here.

mod cluster;
mod datagrams;
mod graphite;
pub mod outgoing;
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

/// Why samples have nowhere to go.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Outgoing(#[from] outgoing::OutgoingError),
    #[error("{0}")]
    Cluster(String),
}

/// Opens where samples go, before anything comes in: the queues of remote write, and the cluster that answers.
pub fn connect(app: &App, stop: &CancellationToken) -> Result<TaskTracker, StartError> {
    let tasks = TaskTracker::new();
    outgoing::start(app, stop, &tasks)?;
    if app.settings.metrics.is_remote() {
        let cluster = cluster::HttpCluster::new(&app.settings.metrics.remote).map_err(StartError::Cluster)?;
        app.metrics.set_cluster(std::sync::Arc::new(cluster));
    }
    tasks.close();
    Ok(tasks)
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
