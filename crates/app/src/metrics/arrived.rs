//! Which of the metrics that rules select got samples: noted where samples are kept, taken by whoever evaluates.
//!
//! Costs a look at the name of each series that is written, and holds no more than the names that are watched.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tenfold_tsdb::SeriesWrite;
use tenfold_types::Labels;
use tokio::sync::Notify;

#[derive(Default)]
pub(crate) struct Arrived {
    watched: RwLock<Arc<HashSet<Arc<str>>>>,
    came: Mutex<BTreeSet<Arc<str>>>,
    bell: Notify,
}

impl Arrived {
    /// Names the metrics that are watched from now on; none turns it off.
    pub fn watch(&self, names: impl IntoIterator<Item = Arc<str>>) {
        *self.watched.write() = Arc::new(names.into_iter().collect());
    }

    /// Series of these metrics got samples, which a query sees by now.
    pub(super) fn note<'n>(&self, names: impl IntoIterator<Item = &'n str>) {
        let watched = self.watched.read().clone();
        if watched.is_empty() {
            return;
        }
        let mut found: HashSet<&Arc<str>> = HashSet::new();
        // Series of one metric mostly stand together.
        let mut before = "";
        for name in names {
            if name != before {
                found.extend(watched.get(name));
                before = name;
            }
        }
        if !found.is_empty() {
            self.came.lock().extend(found.into_iter().cloned());
            self.bell.notify_one();
        }
    }

    /// What came since this was asked last.
    pub fn take(&self) -> Vec<Arc<str>> {
        std::mem::take(&mut *self.came.lock()).into_iter().collect()
    }

    /// Waits until something came. Whoever takes it sees also what came before.
    pub async fn heard(&self) {
        self.bell.notified().await;
    }
}

pub(super) fn names<'w>(writes: &'w [SeriesWrite<'_>]) -> impl Iterator<Item = &'w str> {
    writes.iter().filter_map(|w| w.labels.iter().find(|(name, _)| *name == Labels::NAME).map(|(_, value)| *value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_watched_is_heard_of_and_once() {
        let arrived = Arrived::default();
        arrived.note(["errors"]);
        assert_eq!(arrived.take(), Vec::<Arc<str>>::new(), "nobody watches");
        arrived.watch(["errors", "requests"].map(Arc::<str>::from));
        arrived.note(["errors", "other", "errors", "errors"]);
        arrived.note(["other"]);
        assert_eq!(arrived.take(), [Arc::<str>::from("errors")]);
        assert_eq!(arrived.take(), Vec::<Arc<str>>::new());
        arrived.watch([]);
        arrived.note(["errors"]);
        assert_eq!(arrived.take(), Vec::<Arc<str>>::new());
    }

    #[tokio::test]
    async fn what_came_before_somebody_waits_is_heard() {
        let arrived = Arrived::default();
        arrived.watch([Arc::<str>::from("errors")]);
        arrived.note(["errors"]);
        arrived.heard().await;
        assert_eq!(arrived.take(), [Arc::<str>::from("errors")]);
    }
}
