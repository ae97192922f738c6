//! Whether a node may still believe that it holds a deploy's lease. Others take it over by the database's word alone; a node
//! that cannot ask the database has to let go before they may.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::conductor::{Conductor, LEASE_MS, keep};
use crate::App;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// This many looks in a row must find it too old: a process that was stopped asks the database first when it wakes up.
const LOOKS: u32 = 2;
/// Between two tries to ask the database.
const AGAIN: Duration = Duration::from_millis(500);

/// When the database last said that the lease is held.
#[derive(Default)]
pub(super) struct Held {
    at: Mutex<Option<Instant>>,
}

impl Held {
    pub(super) fn seen(&self) {
        *self.at.lock() = Some(Instant::now());
    }

    /// Returns when the lease may be lost without anybody saying so: early enough that a hook, which gets seconds to clean up,
    /// has ended when another node begins. Never where no other node can be, so that a full disk stops nothing.
    pub(super) async fn lapsed(&self, app: &App) {
        if app.settings.database_url.is_empty() {
            return std::future::pending().await;
        }
        let old = Duration::from_millis(LEASE_MS.unsigned_abs() / 2);
        let mut looks = 0;
        while looks < LOOKS {
            tokio::time::sleep(LOOK).await;
            let is_old = self.at.lock().is_some_and(|at| at.elapsed() > old);
            looks = if is_old { looks + 1 } else { 0 };
        }
    }
}

impl Conductor {
    /// Asked by what no host can refuse, right before it is begun: the process may have been stopped since the step was
    /// written. False when the deploy goes on elsewhere.
    pub(super) fn still_held(&self) -> impl Future<Output = bool> + Send + use<> {
        let (app, lease, holder, epoch) = (self.app.clone(), self.lease(), self.holder(), self.epoch);
        async move {
            loop {
                match keep(&app, lease.clone(), holder.clone(), epoch).await {
                    Ok(held) => return held,
                    Err(fault) => {
                        tracing::warn!(%fault, lease, "it is not known whether the lease is held; asking again");
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            }
        }
    }
}
