//! The metrics edge: asks targets for their metrics pages and listens for StatsD datagrams.
//!
//! What it brings goes to `app.metrics`; nothing is decided here.

mod scraper;
mod statsd;

use tenfold_app::App;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use statsd::StatsdError;

/// Starts scraping and listening. Fails at once when the StatsD address cannot be bound.
pub async fn start(app: &App, stop: &CancellationToken) -> Result<TaskTracker, StatsdError> {
    let tasks = TaskTracker::new();
    if !app.settings.statsd.listen.is_empty() {
        let socket = statsd::bind(&app.settings.statsd.listen).await?;
        tasks.spawn(statsd::listen(app.clone(), socket, stop.clone()));
    }
    tasks.spawn(scraper::run(app.clone(), stop.clone()));
    tasks.close();
    Ok(tasks)
}
