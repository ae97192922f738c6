//! incidents

use tenfold_types::Fault;
use tokio_util::sync::CancellationToken;

use crate::App;

/// What this part keeps in memory.
#[derive(Default)]
pub struct State {}

pub async fn load(_app: &App) -> Result<(), Fault> {
    Ok(())
}

pub async fn run(_app: App, _stop: CancellationToken) {}
