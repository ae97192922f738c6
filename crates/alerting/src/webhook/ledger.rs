//! What a webhook has taken of a group, and what it is owed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tenfold_types::Timestamp;

use crate::pipeline::{Flush, Known};

/// What it took last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heard {
    pub at: Timestamp,
    pub firing: BTreeSet<Arc<str>>,
    /// Alerts that are over, with when they ended: one that stays in its group is not told of again.
    pub over: BTreeMap<Arc<str>, Timestamp>,
}

/// An alert of a message, as it was when its group was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct OwedAlert {
    pub known: Arc<Known>,
    pub over: Option<Timestamp>,
}

/// A message that is to be taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Owed {
    /// Tells a message from the one that took its place while it was under way.
    pub version: u64,
    pub alerts: BTreeMap<Arc<str>, OwedAlert>,
    pub repeat_interval_ms: i64,
    /// It holds what was owed of alerts that are over, and says nothing of those that fire.
    pub partial: bool,
}

/// One webhook's view of one group.
///
/// The rules are Alertmanager's, with one more: what was owed and has ended before anybody took it is still told. There, a
/// receiver that is out of order for as long as an alert fires never hears of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ledger {
    pub heard: Option<Heard>,
    pub owed: Option<Arc<Owed>>,
    versions: u64,
}

impl Ledger {
    /// Its group was looked at. True when something is owed now.
    pub fn flush(&mut self, flush: &Flush, send_resolved: bool, now: Timestamp) -> bool {
        let before = self.owed.take();
        let was_owed = |f: &Arc<str>| before.as_ref().is_some_and(|o| o.alerts.contains_key(f));
        let heard_firing = |f: &Arc<str>| self.heard.as_ref().is_some_and(|h| h.firing.contains(f));
        let mut alerts = BTreeMap::new();
        for one in &flush.alerts {
            let over = one.known.over();
            // The end of what it was told, or was to be told, is told even while it is muted.
            let due = over.is_some() && (heard_firing(&one.fingerprint) || was_owed(&one.fingerprint));
            if !one.quiet || due {
                alerts.insert(one.fingerprint.clone(), OwedAlert { known: one.known.clone(), over });
            }
        }
        let mut late = false;
        for (fingerprint, alert) in before.iter().flat_map(|o| &o.alerts) {
            match alerts.get(fingerprint) {
                Some(now) => late |= now.over.is_some(),
                // It ended, and its group has forgotten it.
                None if alert.over.is_some() => {
                    late = true;
                    alerts.insert(fingerprint.clone(), alert.clone());
                }
                None => {}
            }
        }
        if self.wants(&alerts, late, send_resolved, flush.repeat_interval_ms, now) {
            self.versions += 1;
            let repeat_interval_ms = flush.repeat_interval_ms;
            self.owed = Some(Arc::new(Owed { version: self.versions, alerts, repeat_interval_ms, partial: false }));
        }
        self.owed.is_some()
    }

    fn wants(
        &self,
        alerts: &BTreeMap<Arc<str>, OwedAlert>,
        late: bool,
        send_resolved: bool,
        repeat_interval_ms: i64,
        now: Timestamp,
    ) -> bool {
        let mut firing = alerts.iter().filter(|(_, a)| a.over.is_none()).map(|(f, _)| f).peekable();
        let fires = firing.peek().is_some();
        let Some(heard) = &self.heard else { return fires || (late && send_resolved) };
        if firing.any(|f| !heard.firing.contains(f)) {
            return true;
        }
        let untold = |(f, a): (&Arc<str>, &OwedAlert)| a.over.is_some_and(|at| heard.over.get(f) != Some(&at));
        if !fires {
            return !alerts.is_empty() && (!heard.firing.is_empty() || (late && alerts.iter().any(untold)));
        }
        (send_resolved && alerts.iter().any(untold)) || now.since_ms(heard.at) >= repeat_interval_ms
    }

    /// The alerts of a message that are said: all that fire, and what is over if it wants to know and does not yet.
    pub fn said<'a>(&self, owed: &'a Owed, send_resolved: bool) -> Vec<(&'a str, &'a OwedAlert)> {
        let untold = |f: &str, at: Timestamp| self.heard.as_ref().is_none_or(|h| h.over.get(f) != Some(&at));
        let said = owed.alerts.iter().filter(|(f, a)| a.over.is_none_or(|at| send_resolved && untold(f, at)));
        said.map(|(f, a)| (f.as_ref(), a)).collect()
    }

    /// It took the message. True when it is owed another one already.
    pub fn took(&mut self, taken: &Owed, send_resolved: bool, now: Timestamp) -> bool {
        let firing: BTreeSet<_> =
            taken.alerts.iter().filter(|(_, a)| a.over.is_none()).map(|(f, _)| f.clone()).collect();
        let over = taken.alerts.iter().filter_map(|(f, a)| Some((f.clone(), a.over?)));
        self.heard = match self.heard.take() {
            Some(mut heard) if taken.partial => {
                heard.over.extend(over);
                Some(heard)
            }
            // With nothing that fires there is nothing to remember: what fires next is news in any case.
            _ => (!firing.is_empty()).then(|| Heard { at: now, firing, over: over.collect() }),
        };
        let Some(owed) = self.owed.take() else { return false };
        if owed.version != taken.version && self.wants(&owed.alerts, false, send_resolved, owed.repeat_interval_ms, now)
        {
            self.owed = Some(owed);
        }
        self.owed.is_some()
    }

    /// Owed from before a restart: alerts that are over.
    pub fn owe_again(&mut self, alerts: BTreeMap<Arc<str>, OwedAlert>) {
        self.versions += 1;
        // The group's next look says what it repeats by.
        let repeat_interval_ms = i64::MAX;
        self.owed = Some(Arc::new(Owed { version: self.versions, alerts, repeat_interval_ms, partial: true }));
    }

    /// Nothing was heard and nothing is owed.
    pub fn is_blank(&self) -> bool {
        self.heard.is_none() && self.owed.is_none()
    }
}
