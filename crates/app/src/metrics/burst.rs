//! Targets of a service under a deploy are asked every second instead of every interval, so that what a release does shows
//! while it happens and the graph has points where people look.
//!
//! Which places those are is told from the state of deploys, so a restart forgets none and nobody has to ask for it.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::RwLock;

use super::{State, Target};

/// The interval under a deploy.
pub const BURST_INTERVAL_MS: u64 = 1_000;
/// Most services and environments that are looked at closely at a time.
const PLACES_MAX: usize = 1_000;

/// Environments by service.
#[derive(Default)]
pub(super) struct Bursts(RwLock<BTreeMap<String, BTreeSet<String>>>);

impl Bursts {
    fn set(&self, places: impl IntoIterator<Item = (String, String)>) {
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (service, environment) in places.into_iter().take(PLACES_MAX) {
            all.entry(service).or_default().insert(environment);
        }
        *self.0.write() = all;
    }
    /// A target that does not say its environment may be of any.
    fn is_on(&self, service: &str, environment: Option<&str>) -> bool {
        let all = self.0.read();
        let Some(environments) = all.get(service) else { return false };
        environment.is_none_or(|environment| environments.contains(environment))
    }
}

impl State {
    /// From now on these services and environments are looked at closely, and no others.
    pub fn look_closely(&self, places: impl IntoIterator<Item = (String, String)>) {
        self.bursts.set(places);
    }

    /// How often a target is to be asked at this moment.
    pub fn interval_ms(&self, target: &Target, usual_ms: u64) -> u64 {
        let service = target.labels.get("service").unwrap_or_else(|| target.job());
        let on = self.bursts.is_on(service, target.labels.get("environment"));
        if on { usual_ms.min(BURST_INTERVAL_MS) } else { usual_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_of_a_service_in_an_environment() {
        let place = |service: &str, environment: &str| (service.to_owned(), environment.to_owned());
        let bursts = Bursts::default();
        assert!(!bursts.is_on("photos", None));
        bursts.set([place("photos", "staging"), place("mail", "production")]);
        assert!(bursts.is_on("photos", Some("staging")));
        assert!(!bursts.is_on("photos", Some("production")), "another environment goes on as usual");
        assert!(bursts.is_on("photos", None), "it may be there");
        assert!(!bursts.is_on("other", None));
        bursts.set([place("mail", "production")]);
        assert!(!bursts.is_on("photos", Some("staging")), "what is not named any more is over");
        bursts.set((0..2_000).map(|n| place(&format!("s{n}"), "production")));
        assert_eq!(bursts.0.read().len(), PLACES_MAX);
    }
}
