//! The lease of the node that evaluates rules and pages people.

use tenfold_store::leases;
use tenfold_types::{ErrorCode, Fault, Timestamp};

use crate::{App, Txn};

const NAME: &str = "alerting";
/// A node that is gone is replaced after this long.
const TTL_MS: i64 = 10_000;
/// It is renewed when this much of it is gone.
const RENEW_MS: i64 = 3_000;

/// What this process believes to hold.
#[derive(Debug, Default, Clone)]
pub struct Held {
    holder: String,
    epoch: Option<i64>,
    renewed_at: Timestamp,
}

/// The right to act, as long as [`Lease::check`] says so inside the transaction.
#[derive(Debug, Clone)]
pub struct Lease {
    holder: String,
    pub epoch: i64,
    /// It was taken just now.
    pub fresh: bool,
}

impl Lease {
    /// Fails when another node has taken over; asked in each transaction that acts.
    pub fn check(&self, t: &mut Txn<'_>) -> Result<(), Fault> {
        let now = t.now();
        if leases::holds(t.tx(), NAME, &self.holder, self.epoch, now)? {
            return Ok(());
        }
        Err(Fault::new(ErrorCode::Unavailable, "another node evaluates alerts now"))
    }
}

impl App {
    /// The lease, taken or renewed when needed; `None` while another node holds it.
    pub(crate) async fn alerting_lease(&self) -> Result<Option<Lease>, Fault> {
        let mut held = self.alerts.lease.lock().clone();
        if held.holder.is_empty() {
            // One process owns a SQLite file, so after a restart it need not wait for its own old lease to run out.
            held.holder = if self.settings.database_url.is_empty() { "local".to_owned() } else { self.random_text(12) };
        }
        let now = self.now();
        if let Some(epoch) = held.epoch
            && (0..RENEW_MS).contains(&now.since_ms(held.renewed_at))
        {
            return Ok(Some(Lease { holder: held.holder, epoch, fresh: false }));
        }
        let (holder, epoch) = (held.holder.clone(), held.epoch);
        let taken = self
            .housekeeping(move |t| {
                let now = t.now();
                if let Some(epoch) = epoch
                    && leases::renew(t.tx(), NAME, &holder, epoch, now, TTL_MS)?
                {
                    return Ok(Some((epoch, false)));
                }
                Ok(leases::acquire(t.tx(), NAME, &holder, now, TTL_MS)?.map(|epoch| (epoch, true)))
            })
            .await?;
        held.epoch = taken.map(|(epoch, _)| epoch);
        held.renewed_at = now;
        let holder = held.holder.clone();
        *self.alerts.lease.lock() = held;
        Ok(taken.map(|(epoch, fresh)| Lease { holder, epoch, fresh }))
    }
}
