//! Whether a node may still believe that it holds a deploy's lease. Others take it over by the database's word alone; a node
//! that cannot ask the database has to let go before they may.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::conductor::{Conductor, LEASE_MS, keep};
use crate::App;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// This many looks in a row must find it too old: a process that was stopped asks the database first when it wakes up.
const LOOKS: u32 = 2;
/// Between two tries to ask the database.
const AGAIN: Duration = Duration::from_millis(500);

/// A lease that was not seen for this long may be lost.
const OLD: Duration = Duration::from_millis(LEASE_MS.unsigned_abs() / 3);

/// When the database was last asked and said that the lease is held.
#[derive(Default)]
pub(super) struct Held {
    at: Mutex<Option<Instant>>,
}

impl Held {
    /// The lease is held from the moment it was `asked` for, at the earliest: the answer may have taken its time.
    pub(super) fn seen_at(&self, asked: Instant) {
        *self.at.lock() = Some(asked);
    }

    fn is_old(&self, now: Instant) -> bool {
        self.at.lock().is_some_and(|at| now.duration_since(at) > OLD)
    }

    /// Returns when the lease may be lost without anybody saying so: early enough that a program, which gets seconds to clean up,
    /// has ended when another node begins. Never where no other node can be, so that a full disk stops nothing.
    pub(super) async fn lapsed(&self, app: &App) {
        if app.settings.database_url.is_empty() {
            return std::future::pending().await;
        }
        let mut looks = 0;
        while looks < LOOKS {
            tokio::time::sleep(LOOK).await;
            looks = if self.is_old(Instant::now()) { looks + 1 } else { 0 };
        }
    }
}

impl Conductor {
    /// Asked by what no host can refuse, right before it is begun: the process may have been stopped since the step was
    /// written. False when the deploy goes on elsewhere.
    pub(super) fn still_held(&self) -> impl Future<Output = bool> + Send + use<> {
        still_held(self.app.clone(), self.lease(), self.holder(), self.epoch)
    }
}

pub(super) async fn still_held(app: App, lease: String, holder: String, epoch: i64) -> bool {
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

#[cfg(test)]
mod tests {
    use super::super::conductor::RENEW;
    use super::super::effects::STOPS;
    use super::*;

    #[test]
    fn a_program_has_ended_before_another_may_begin() {
        let lease = Duration::from_millis(LEASE_MS.unsigned_abs());
        let looks = LOOK * LOOKS;
        assert!(OLD + looks + STOPS < lease, "{OLD:?} {looks:?} {STOPS:?}");
        assert!(RENEW < OLD, "what is renewed in time is never old");
    }

    #[test]
    fn a_lease_is_as_old_as_the_question() {
        let (held, asked) = (Held::default(), Instant::now());
        assert!(!held.is_old(asked + 2 * OLD), "nobody holds it yet");
        held.seen_at(asked);
        assert!(!held.is_old(asked + OLD));
        assert!(held.is_old(asked + OLD + Duration::from_millis(1)), "however late the answer came");
    }
}
