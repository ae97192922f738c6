//! The lease of the node that evaluates rules and pages people.

use tenfold_store::leases;
use tenfold_types::{ErrorCode, Fault, Timestamp};

use super::{groups, pipeline};
use crate::{App, Txn, checks};

const NAME: &str = "alerting";
/// A node that is gone is replaced after this long.
const TTL_MS: i64 = 10_000;
/// It is renewed when this much of it is gone.
const RENEW_MS: i64 = 3_000;

/// A node that was refused asks again after this long.
const ASK_AGAIN_MS: i64 = 1_000;
/// What is in memory is read again at most so often within so long, unless the lease was taken from another: each time reads
/// all alerts that go on, and steps that are refused one after the other would do nothing else.
const CATCH_UPS_MAX: u32 = 5;
const CATCH_UPS_MS: i64 = 5_000;
/// A clock that is set back by less is the work of whoever keeps it right.
pub(crate) const BACK_MS_MIN: i64 = 2_000;

/// What this process believes to hold.
#[derive(Debug, Default, Clone)]
pub struct Held {
    holder: String,
    epoch: Option<i64>,
    renewed_at: Timestamp,
    /// Another node had it then; it is not asked for again at once.
    refused_at: Option<Timestamp>,
    /// It was taken from another holder, or a step was refused, and memory may still be what this node knew before.
    behind: bool,
    /// It was taken from another holder, which may have gone on from what is stored, and that is not read again yet.
    taken_over: bool,
    /// How often a step was refused.
    refused: u64,
    caught_up: CatchUps,
}

/// How often what is in memory was read again of late.
#[derive(Debug, Default, Clone)]
struct CatchUps {
    since: Timestamp,
    count: u32,
}

impl CatchUps {
    /// Counts one more, where there is room for it.
    fn take(&mut self, now: Timestamp) -> bool {
        // A clock that was set back begins anew.
        if !(0..CATCH_UPS_MS).contains(&now.since_ms(self.since)) {
            *self = Self { since: now, count: 0 };
        }
        let room = self.count < CATCH_UPS_MAX;
        self.count += u32::from(room);
        room
    }
}

impl Held {
    /// This node has the lease, and has in memory what is stored.
    pub(super) fn in_step(&self) -> bool {
        self.epoch.is_some() && !self.behind
    }

    /// Nobody else can have gone on from what is stored: what this node has not stored yet still holds, also when a step of
    /// its own was refused.
    pub(super) fn goes_on(&self) -> bool {
        self.epoch.is_some() && !self.taken_over
    }
}

/// The right to act, as long as [`Lease::check`] says so inside the transaction.
#[derive(Debug, Clone)]
pub struct Lease {
    holder: String,
    pub epoch: i64,
    /// What is in memory has to be read again first: [`App::catch_up`].
    pub behind: bool,
}

/// Whose the lease was a short while ago, without asking.
enum Known {
    Ours(Lease),
    Another,
    /// It is time to ask.
    No,
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

/// What is in memory is not what is stored: it is read again before this node acts.
pub(super) fn fell_behind(app: &App) {
    let mut held = app.alerts.lease.lock();
    held.behind = true;
    held.refused += 1;
}

impl App {
    /// The lease, taken or renewed when needed; `None` while another node holds it.
    pub(crate) async fn alerting_lease(&self) -> Result<Option<Lease>, Fault> {
        match self.lease_known() {
            Known::Ours(lease) => return Ok(Some(lease)),
            Known::Another => return Ok(None),
            Known::No => {}
        }
        // Who asks beside another would take from that one what it has just got.
        let _turn = self.alerts.lease_turn.lock().await;
        match self.lease_known() {
            Known::Ours(lease) => return Ok(Some(lease)),
            Known::Another => return Ok(None),
            Known::No => {}
        }
        let now = self.now();
        let mut held = self.alerts.lease.lock().clone();
        if held.holder.is_empty() {
            // One process owns a SQLite file, so after a restart it need not wait for its own old lease to run out.
            held.holder = if self.settings.database_url.is_empty() { "local".to_owned() } else { self.random_text(12) };
        }
        // What memory waits for was reckoned by a clock that has been set back since.
        let set_back = held.renewed_at.since_ms(now) >= BACK_MS_MIN;
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
        let mut kept = self.alerts.lease.lock();
        held.epoch = taken.map(|(epoch, _)| epoch);
        held.renewed_at = now;
        held.refused_at = taken.is_none().then_some(now);
        // The very first holder has nobody to catch up with. Whoever asked meanwhile may have caught up already.
        held.behind = match taken {
            Some((epoch, true)) => epoch > 1,
            _ => kept.behind || set_back,
        };
        held.taken_over = match taken {
            Some((epoch, true)) => epoch > 1,
            _ => kept.taken_over,
        };
        (held.refused, held.caught_up) = (kept.refused, kept.caught_up.clone());
        *kept = held.clone();
        Ok(held.epoch.map(|epoch| Lease { holder: held.holder, epoch, behind: held.behind }))
    }

    fn lease_known(&self) -> Known {
        let now = self.now();
        let held = self.alerts.lease.lock();
        if let Some(epoch) = held.epoch
            && (0..RENEW_MS).contains(&now.since_ms(held.renewed_at))
        {
            return Known::Ours(Lease { holder: held.holder.clone(), epoch, behind: held.behind });
        }
        let refused = held.refused_at.is_some_and(|at| (0..ASK_AGAIN_MS).contains(&now.since_ms(at)));
        if refused { Known::Another } else { Known::No }
    }

    /// Another node, or this one before a restart, may have gone on from what is in memory: reads it again. Only while
    /// `evaluating` is held. False when that was done too often of late: memory is not what is stored then.
    pub(super) async fn catch_up(&self, lease: &Lease) -> Result<bool, Fault> {
        if lease.behind && self.alerts.lease.lock().behind {
            let now = self.now();
            let refused = {
                let mut held = self.alerts.lease.lock();
                if !held.caught_up.take(now) && !held.taken_over {
                    return Ok(false);
                }
                held.refused
            };
            // Who has looked at memory before it is read again must not bring back what it held.
            let hearing = self.alerts.hearing.lock().await;
            groups::reload(self).await?;
            drop(hearing);
            checks::caught_up(self).await;
            let hearing = self.alerts.hearing.lock().await;
            let taken_over = {
                let mut held = self.alerts.lease.lock();
                let taken_over = held.taken_over;
                // One that was refused meanwhile may have been made on what was read.
                if held.epoch == Some(lease.epoch) && held.refused == refused {
                    held.behind = false;
                }
                if held.epoch == Some(lease.epoch) {
                    held.taken_over = false;
                }
                taken_over
            };
            // Nothing is heard before groups were looked at: of an alert that fires a webhook may have taken what nobody has
            // stored, and it is told of the end of that alone which it was told of, or is owed.
            if taken_over
                && self.tells_webhooks()?
                && let Err(fault) = pipeline::advance(self, lease, Vec::new()).await
            {
                tracing::warn!(%fault, "groups of alerts could not be looked at after a start; trying again");
            }
            drop(hearing);
        }
        Ok(true)
    }

    /// Whether the routing has a receiver with webhooks.
    fn tells_webhooks(&self) -> Result<bool, Fault> {
        let held = self.alerts.routing()?;
        Ok(held.routing.receivers.values().any(|receiver| !receiver.webhook_configs.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_stored_yet_outlives_a_refused_step_and_no_takeover() {
        let ours = Held { epoch: Some(3), ..Held::default() };
        assert!(ours.in_step() && ours.goes_on());
        let refused = Held { behind: true, ..ours.clone() };
        assert!(!refused.in_step() && refused.goes_on());
        let taken = Held { behind: true, taken_over: true, ..ours };
        assert!(!taken.in_step() && !taken.goes_on());
        assert!(!Held::default().goes_on(), "another node has it");
    }

    #[test]
    fn memory_is_read_again_five_times_in_five_seconds_at_most() {
        let at = |ms: i64| Timestamp::from_millis(1_700_000_000_000 + ms);
        let mut caught_up = CatchUps::default();
        let read = (0..1_000).filter(|n| caught_up.take(at(n * 10))).count();
        assert_eq!(read, 2 * CATCH_UPS_MAX as usize, "in ten seconds");
        assert!(caught_up.take(at(-60_000)), "a clock that was set back");
    }
}
