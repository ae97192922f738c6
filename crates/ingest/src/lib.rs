//! The edge by which things come in: finds targets and asks them for their metrics pages, listens for StatsD, Graphite and
//! Ganglia, and for mails that are alerts; and sends samples on.
//!
//! What it brings goes to `app.metrics`; nothing is decided here.

mod client;
mod cluster;
mod datagrams;
mod discovery;
mod ganglia;
mod graphite;
mod oauth2;
pub mod outgoing;
mod scraper;
mod smtp;
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

/// Why the edge does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("metrics.scrape_config_files: {0}")]
    ScrapeConfig(String),
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

/// Starts scraping and listening. Fails at once when an address cannot be bound or a scrape configuration is wrong.
pub async fn start(app: &App, stop: &CancellationToken) -> Result<TaskTracker, StartError> {
    let tasks = TaskTracker::new();
    let loaded = discovery::load(&app.settings.metrics.scrape_config_files).map_err(StartError::ScrapeConfig)?;
    statsd::start(app, stop, &tasks).await?;
    graphite::start(app, stop, &tasks).await?;
    ganglia::start(app, stop, &tasks).await?;
    smtp::start(app, stop, &tasks).await?;
    tasks.spawn(discovery::run(app.clone(), loaded, stop.clone()));
    tasks.spawn(scraper::run(app.clone(), stop.clone()));
    tasks.close();
    Ok(tasks)
}
