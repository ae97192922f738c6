//! Targets of a service under a deploy are asked every second instead of every interval, so that what a release does shows
//! while it happens and the graph has points where people look.
//!
//! Follows the record: nobody has to ask for it.

use std::collections::BTreeMap;

use parking_lot::RwLock;
use tenfold_types::{Event, Timestamp};

use super::{State, Target};

/// The interval under a deploy.
pub const BURST_INTERVAL_MS: u64 = 1_000;
/// A deploy that never says that it ended keeps the burst for this long after its last sign.
const RUNNING_MS_MAX: i64 = 15 * 60_000;
/// How long the burst goes on after a deploy ended: errors often come late.
const AFTER_MS: i64 = 2 * 60_000;
const SERVICES_MAX: usize = 1_000;

/// Until when which service is looked at closely.
#[derive(Default)]
pub(super) struct Bursts(RwLock<BTreeMap<String, Timestamp>>);

impl Bursts {
    fn until(&self, service: &str, until: Timestamp, now: Timestamp) {
        let mut all = self.0.write();
        all.retain(|_, t| *t > now);
        if all.len() < SERVICES_MAX || all.contains_key(service) {
            all.insert(service.to_owned(), until);
        }
    }
    fn is_on(&self, service: &str, now: Timestamp) -> bool {
        self.0.read().get(service).is_some_and(|until| *until > now)
    }
}

impl State {
    /// Takes note of a deploy that begins, goes on or ends.
    pub fn follow_deploys(&self, event: &Event, now: Timestamp) {
        let Some(service) = &event.subject.service else { return };
        let ms = match event.kind.as_str() {
            "deploy.canary_started" | "deploy.canary_passed" | "deploy.promoting" | "deploy.rolling_back" => {
                RUNNING_MS_MAX
            }
            "deploy.succeeded" | "deploy.failed" | "deploy.rolled_back" | "deploy.held" | "deploy.interrupted"
            | "deploy.cancelled" => AFTER_MS,
            _ => return,
        };
        self.bursts.until(service, now.plus_ms(ms), now);
    }

    /// How often a target is to be asked at this moment.
    pub fn interval_ms(&self, target: &Target, usual_ms: u64, now: Timestamp) -> u64 {
        let service = target.labels.get("service").unwrap_or_else(|| target.job());
        if self.bursts.is_on(service, now) { usual_ms.min(BURST_INTERVAL_MS) } else { usual_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_ends_by_itself() {
        let bursts = Bursts::default();
        bursts.until("photos", Timestamp(1_000), Timestamp(0));
        assert!(bursts.is_on("photos", Timestamp(999)));
        assert!(!bursts.is_on("photos", Timestamp(1_000)));
        assert!(!bursts.is_on("other", Timestamp(1)));
        bursts.until("other", Timestamp(3_000), Timestamp(2_000));
        assert_eq!(bursts.0.read().len(), 1, "what is over is forgotten");
    }
}
