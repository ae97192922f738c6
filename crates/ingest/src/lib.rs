//! The edge by which things come in: finds targets and asks them for their metrics pages, listens for StatsD, Graphite,
//! Ganglia and collectd, and for mails that are alerts; asks for calendars that schedules follow; and sends samples on.
//!
//! What it brings goes to `app.metrics`; nothing is decided here.

mod calendars;
mod client;
mod cluster;
mod datagrams;
mod discovery;
mod ganglia;
mod graphite;
pub mod outgoing;
mod packets;
mod scraper;
mod smtp;
mod statsd;
mod streams;

pub use calendars::Calendars;

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
    #[error("calendars cannot be asked for")]
    Calendars(#[source] reqwest::Error),
}

/// Opens where samples go, before anything comes in: the queues of remote write, and the cluster that answers. And gives the
/// application its client for calendars.
pub fn connect(app: &App, stop: &CancellationToken) -> Result<TaskTracker, StartError> {
    let tasks = TaskTracker::new();
    outgoing::start(app, stop, &tasks)?;
    let calendars = Calendars::new(calendars::WITHIN).map_err(StartError::Calendars)?;
    app.oncall.set_calendar_client(std::sync::Arc::new(calendars));
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
    let (ganglia, collectd) = (&app.settings.ganglia, &app.settings.collectd);
    packets::start(app, packets::GANGLIA, (&ganglia.listen, ganglia.multicast_group), stop, &tasks).await?;
    packets::start(app, packets::COLLECTD, (&collectd.listen, collectd.multicast_group), stop, &tasks).await?;
    smtp::start(app, stop, &tasks).await?;
    tasks.spawn(discovery::run(app.clone(), loaded, stop.clone()));
    tasks.spawn(scraper::run(app.clone(), stop.clone()));
    tasks.close();
    Ok(tasks)
}
