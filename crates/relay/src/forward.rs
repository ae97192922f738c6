//! What clients counted, and what the relay counted when it answered, on its way upstream: added up, so that it stays
//! small however long the upstream is away. What does not fit is counted as lost.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};
use tenfold_types::{Fault, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::Relay;
use crate::set::Set;
use crate::tokens::Known;
use crate::usage::{Reported, UsageView};

/// How often reports go upstream.
const EVERY: Duration = Duration::from_secs(5);
/// Flags that one report may name.
const TOGGLES_MAX: usize = 10_000;
/// Impact metrics that wait for the upstream; older ones make room for newer ones.
const IMPACT_MAX: usize = 10_000;
/// Impact metrics in one report.
const IMPACT_BATCH: usize = 500;

/// What SDKs report.
#[derive(Deserialize)]
pub(crate) struct Report {
    #[serde(default)]
    bucket: Bucket,
    #[serde(default, rename = "impactMetrics")]
    impact_metrics: Vec<Value>,
}

#[derive(Default, Deserialize)]
struct Bucket {
    #[serde(default)]
    toggles: BTreeMap<String, Reported>,
}

/// Impact metrics that wait, each with the set it belongs to.
#[derive(Default)]
pub(crate) struct Impact {
    waiting: Mutex<VecDeque<(String, Value)>>,
    lost: AtomicU64,
    reports_failed: AtomicU64,
    /// Evaluations, in reports of clients, of flags that the definitions do not hold.
    unknown: AtomicU64,
}

impl Impact {
    fn push(&self, set: &str, metric: Value) {
        let mut waiting = self.waiting.lock();
        if waiting.len() >= IMPACT_MAX {
            waiting.pop_front();
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        waiting.push_back((set.to_owned(), metric));
    }

    /// Puts metrics back to where they were taken from, before those that came since; the oldest go where that is too many.
    fn put_back(&self, set: &str, metrics: Vec<Value>) {
        let mut waiting = self.waiting.lock();
        for metric in metrics.into_iter().rev() {
            if waiting.len() >= IMPACT_MAX {
                self.lost.fetch_add(1, Ordering::Relaxed);
            } else {
                waiting.push_front((set.to_owned(), metric));
            }
        }
    }

    fn take(&self, set: &str) -> Vec<Value> {
        let mut waiting = self.waiting.lock();
        let (mut taken, mut left) = (Vec::new(), VecDeque::with_capacity(waiting.len()));
        for (of, metric) in waiting.drain(..) {
            if of == set && taken.len() < IMPACT_BATCH {
                taken.push(metric);
            } else {
                left.push_back((of, metric));
            }
        }
        *waiting = left;
        taken
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.lock().len()
    }
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
    pub(crate) fn unknown(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }
    pub(crate) fn reports_failed(&self) -> u64 {
        self.reports_failed.load(Ordering::Relaxed)
    }
}

impl Relay {
    /// Takes a client's report.
    pub(crate) fn report(&self, known: &Known, report: Report) -> Result<(), Fault> {
        if report.bucket.toggles.len() > TOGGLES_MAX {
            return Err(Fault::invalid(format!("a report names at most {TOGGLES_MAX} flags")));
        }
        let set = self.set_of(known)?;
        let Some(whole) = set.whole() else { return Ok(()) };
        let scope = whole.scope.name();
        // Flags that do not exist are counted together, so that nobody can make names up; those that do are known by name.
        for (flag, counts) in &report.bucket.toggles {
            if whole.features.features.binary_search_by(|f| f.name.cmp(flag)).is_ok() {
                self.usage.of(&scope, flag);
                self.usage.report(&scope, flag, counts);
            } else {
                self.impact.unknown.fetch_add(counts.yes.saturating_add(counts.no), Ordering::Relaxed);
            }
        }
        for metric in report.impact_metrics {
            self.impact.push(&set.id, metric);
        }
        Ok(())
    }
}

/// Sends what came together, until the relay stops, and then once more.
pub(crate) async fn run(relay: Relay, stop: CancellationToken) {
    let mut since = relay.clock.now();
    loop {
        let stopping = tokio::select! {
            () = stop.cancelled() => true,
            () = tokio::time::sleep(EVERY) => false,
        };
        let now = relay.clock.now();
        for set in relay.sets.values() {
            send(&relay, set, since, now).await;
        }
        since = now;
        if stopping {
            return;
        }
    }
}

async fn send(relay: &Relay, set: &Arc<Set>, since: Timestamp, now: Timestamp) {
    let Some(whole) = set.whole() else { return };
    // Counts of narrower scopes belong to the same set.
    let scopes: Vec<String> = std::iter::once(whole.scope.name()).chain(set.scope_names()).collect();
    let mut toggles: BTreeMap<String, UsageView> = BTreeMap::new();
    for scope in scopes {
        for (flag, counts) in relay.usage.take(&scope) {
            let sum = toggles.entry(flag).or_default();
            sum.yes += counts.yes;
            sum.no += counts.no;
            for (name, n) in counts.by_variant {
                *sum.by_variant.entry(name).or_default() += n;
            }
        }
    }
    let impact = relay.impact.take(&set.id);
    if toggles.is_empty() && impact.is_empty() {
        return;
    }
    let counts = |u: &UsageView| json!({"yes": u.yes, "no": u.no, "variants": u.by_variant});
    let report = json!({
        "appName": "tenfold-relay",
        "instanceId": set.id,
        "bucket": {
            "start": since.to_string(),
            "stop": now.to_string(),
            "toggles": toggles.iter().map(|(flag, u)| (flag.clone(), counts(u))).collect::<BTreeMap<_, _>>(),
        },
        "impactMetrics": impact,
    });
    if let Err(reason) = relay.upstream.report(&set.secret, &report).await {
        tracing::debug!(reason, "a report of use did not arrive and waits for the next");
        relay.impact.reports_failed.fetch_add(1, Ordering::Relaxed);
        for (flag, u) in toggles {
            let back = Reported { yes: u.yes, no: u.no, variants: u.by_variant };
            relay.usage.of(&whole.scope.name(), &flag);
            relay.usage.report(&whole.scope.name(), &flag, &back);
        }
        relay.impact.put_back(&set.id, impact);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_arrive_keeps_its_place() {
        let impact = Impact::default();
        for n in 0..3 {
            impact.push("a", json!(n));
        }
        let taken = impact.take("a");
        impact.push("a", json!(3));
        impact.push("b", json!(4));
        impact.put_back("a", taken);
        assert_eq!(impact.take("a"), [json!(0), json!(1), json!(2), json!(3)]);
        assert_eq!((impact.take("b"), impact.lost()), (vec![json!(4)], 0));
    }

    #[test]
    fn the_oldest_make_room_and_are_counted() {
        let impact = Impact::default();
        for n in 0..IMPACT_MAX {
            impact.push("a", json!(n));
        }
        let taken = impact.take("a");
        assert_eq!(taken.len(), IMPACT_BATCH);
        for n in 0..IMPACT_BATCH - 1 {
            impact.push("b", json!(n));
        }
        impact.put_back("a", taken);
        assert_eq!((impact.waiting(), impact.lost()), (IMPACT_MAX, IMPACT_BATCH as u64 - 1));
        assert_eq!(impact.take("a")[0], json!(IMPACT_BATCH - 1), "the newest of them had room");
    }
}
