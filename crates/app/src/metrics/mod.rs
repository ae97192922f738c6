//! metrics

use tenfold_types::Fault;
use tokio_util::sync::CancellationToken;

use crate::App;

/// What this part keeps in memory.
pub struct State {}

impl State {
    /// Opens the time-series store in the data directory.
    pub fn open(_settings: &crate::Settings) -> Result<Self, Fault> {
        Ok(Self {})
    }
}

pub async fn load(_app: &App) -> Result<(), Fault> {
    Ok(())
}

pub async fn run(_app: App, _stop: CancellationToken) {}
