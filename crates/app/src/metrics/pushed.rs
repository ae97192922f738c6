//! Targets that are not asked but say by themselves how they are doing: the hosts' agents.
//!
//! What they say is kept as if it had been scraped. One that falls silent is as one that does not answer: its series end
//! and its `up` is 0, until somebody removes the host.

use tenfold_types::{Fault, Timestamp};

use super::{Scraped, State, Target};

/// After this many intervals without a word.
const SILENT_INTERVALS: i64 = 3;

impl State {
    /// Keeps what a target said of itself.
    pub fn pushed(&self, target: Target, scraped: Scraped) -> Result<(), Fault> {
        self.registry().keep_pushed(&target, scraped.at);
        self.scraped(&target, scraped)
    }

    pub(super) fn has_pushed(&self) -> bool {
        !self.registry().pushed().is_empty()
    }

    /// A host that is gone for good; its series end with the next look at what is gone.
    pub fn forget_pushed(&self, host: &str) {
        self.registry().drop_pushed(host);
    }

    /// Marks those as down that have said nothing for a while.
    pub(super) fn mark_silent(&self, interval_ms: u64, now: Timestamp) -> Result<(), Fault> {
        let silent_ms = i64::try_from(interval_ms).unwrap_or(i64::MAX).saturating_mul(SILENT_INTERVALS);
        for (target, heard) in self.registry().pushed() {
            let silence_ms = now.since_ms(heard);
            if silence_ms >= silent_ms {
                let reason = format!("its agent has said nothing for {} s", silence_ms / 1_000);
                self.scraped(&target, Scraped { at: now, duration_ms: 0, page: Err(reason) })?;
            }
        }
        Ok(())
    }
}
