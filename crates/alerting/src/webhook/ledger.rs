//! What a webhook has taken of a group, and what it is owed.

use std::collections::HashSet;
use std::sync::Arc;

use tenfold_types::{FlatMap, FlatSet, Timestamp};

use crate::Fingerprint;
use crate::pipeline::{Flush, Known};

/// Alerts that are over and that their group has forgotten, which wait to be told: the last ones to end.
const LATE_MAX: usize = 1_000;

/// What it took last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heard {
    pub at: Timestamp,
    pub firing: FlatSet<Fingerprint>,
    /// Alerts that are over, with when they ended: one that stays in its group is not told of again. One that is among `firing`
    /// as well was perhaps heard to be over, since that was owed when it fired again, or was told before a restart.
    pub over: FlatMap<Fingerprint, Timestamp>,
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
    pub alerts: FlatMap<Fingerprint, OwedAlert>,
    pub repeat_interval_ms: i64,
    /// It does not hold all that fires: what it leaves out stays heard.
    pub partial: bool,
}

/// One webhook's view of one group.
///
/// The rules are Alertmanager's, with two more. What was owed and has ended before anybody took it is still told: there, a
/// receiver that is out of order for as long as an alert fires never hears of it. And what fires again while its end is owed is
/// told: its receiver may have taken that end, and the answer was lost.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ledger {
    pub heard: Option<Heard>,
    pub owed: Option<Arc<Owed>>,
    /// What it is being told, until there is an answer.
    under_way: Option<Arc<Owed>>,
    versions: u64,
}

impl Ledger {
    /// Its group was looked at. True when something is owed now.
    pub fn flush(&mut self, flush: &Flush, send_resolved: bool, now: Timestamp) -> bool {
        let before = self.owed.take();
        self.fires_again(flush, before.as_deref());
        let was_owed = |f: Fingerprint| before.as_ref().is_some_and(|o| o.alerts.contains_key(&f));
        let heard_firing = |f: Fingerprint| self.heard.as_ref().is_some_and(|h| h.firing.contains(&f));
        let (mut alerts, mut crosses) = (FlatMap::new(), false);
        for one in &flush.alerts {
            let (fingerprint, over) = (one.fingerprint, one.known.over());
            let told_now = over.is_some() && self.is_told(fingerprint);
            crosses |= told_now;
            // The end of what it was told, or was to be told, is told even while it is muted.
            let due = over.is_some() && (told_now || heard_firing(fingerprint) || was_owed(fingerprint));
            if !one.quiet || due {
                alerts.insert(fingerprint, OwedAlert { known: one.known.clone(), over });
            }
        }
        let (mut late, mut kept) = (false, Vec::new());
        for (&fingerprint, alert) in before.iter().flat_map(|o| &o.alerts) {
            match alerts.get(&fingerprint) {
                Some(now) => late |= now.over.is_some(),
                // It ended, and its group has forgotten it.
                None if alert.over.is_some() => {
                    late = true;
                    crosses |= self.is_told(fingerprint);
                    kept.push((alert.over, fingerprint, alert));
                }
                None => {}
            }
        }
        if kept.len() > LATE_MAX {
            kept.sort_unstable_by_key(|(over, fingerprint, _)| (*over, *fingerprint));
            let last = kept.split_off(kept.len() - LATE_MAX);
            self.unhear(&kept.iter().map(|(_, fingerprint, _)| *fingerprint).collect());
            kept = last;
        }
        alerts.extend(kept.into_iter().map(|(_, fingerprint, alert)| (fingerprint, alert.clone())));
        // Also for one that wants to know of no end: it would else count as told for ever.
        if crosses || self.wants(&alerts, late, send_resolved, flush.repeat_interval_ms, now) {
            self.versions += 1;
            let repeat_interval_ms = flush.repeat_interval_ms;
            self.owed = Some(Arc::new(Owed { version: self.versions, alerts, repeat_interval_ms, partial: false }));
        }
        self.owed.is_some()
    }

    /// Notes that it perhaps heard the end of what fires again, which was owed. While that is quiet the end stays owed.
    fn fires_again(&mut self, flush: &Flush, before: Option<&Owed>) {
        let (Some(heard), Some(before)) = (&mut self.heard, before) else { return };
        for one in flush.alerts.iter().filter(|one| !one.quiet && one.known.over().is_none()) {
            let over = before.alerts.get(&one.fingerprint).and_then(|alert| alert.over);
            if let Some(at) = over.filter(|_| heard.firing.contains(&one.fingerprint)) {
                heard.over.insert(one.fingerprint, at);
            }
        }
    }

    fn wants(
        &self,
        alerts: &FlatMap<Fingerprint, OwedAlert>,
        late: bool,
        send_resolved: bool,
        repeat_interval_ms: i64,
        now: Timestamp,
    ) -> bool {
        let mut firing = alerts.iter().filter(|(_, a)| a.over.is_none()).map(|(f, _)| f).peekable();
        let fires = firing.peek().is_some();
        let Some(heard) = &self.heard else { return fires || (late && send_resolved) };
        if firing.any(|f| !heard.firing.contains(f) || heard.over.contains_key(f)) {
            return true;
        }
        let untold = |(f, a): (&Fingerprint, &OwedAlert)| a.over.is_some_and(|at| heard.over.get(f) != Some(&at));
        if !fires {
            return !alerts.is_empty() && (!heard.firing.is_empty() || (late && alerts.iter().any(untold)));
        }
        (send_resolved && alerts.iter().any(untold)) || now.since_ms(heard.at) >= repeat_interval_ms
    }

    /// The alerts of a message that are said: all that fire, and what is over if it wants to know and does not yet.
    pub fn said<'a>(&self, owed: &'a Owed, send_resolved: bool) -> Vec<(Fingerprint, &'a OwedAlert)> {
        let untold = |f: Fingerprint, at: Timestamp| self.heard.as_ref().is_none_or(|h| h.over.get(&f) != Some(&at));
        let all = owed.alerts.iter().map(|(f, a)| (*f, a));
        all.filter(|&(f, a)| a.over.is_none_or(|at| send_resolved && untold(f, at))).collect()
    }

    /// It is told this now. What ends before there is an answer is owed, whatever was decided of it since.
    pub fn tell(&mut self, owed: Arc<Owed>) {
        self.under_way = Some(owed);
    }

    /// Whether it is told just now that an alert fires.
    fn is_told(&self, fingerprint: Fingerprint) -> bool {
        let alert = self.under_way.as_ref().and_then(|told| told.alerts.get(&fingerprint));
        alert.is_some_and(|alert| alert.over.is_none())
    }

    /// What it is told just now that fires, and is not owed any more since it was muted.
    fn muted_meanwhile(&self) -> impl Iterator<Item = (&Fingerprint, &OwedAlert)> {
        let owed = move |f: &Fingerprint| self.owed.as_ref().is_some_and(|o| o.alerts.contains_key(f));
        let told = self.under_way.iter().flat_map(|told| &told.alerts);
        told.filter(move |&(f, a)| a.over.is_none() && !owed(f))
    }

    /// It did not take what it was told. True when there is less now that a restart must not lose of `all`.
    pub fn refused(&mut self) -> bool {
        let less = self.muted_meanwhile().next().is_some();
        self.under_way = None;
        less
    }

    /// It took the message. True when it is owed another one already.
    pub fn took(&mut self, taken: &Owed, send_resolved: bool, now: Timestamp) -> bool {
        self.under_way = None;
        let firing: FlatSet<_> = taken.alerts.iter().filter(|(_, a)| a.over.is_none()).map(|(f, _)| *f).collect();
        let over: FlatMap<Fingerprint, Timestamp> =
            taken.alerts.iter().filter_map(|(f, a)| Some((*f, a.over?))).collect();
        // With nothing that fires there is nothing to remember: what fires next is news in any case.
        self.heard = match self.heard.take() {
            Some(mut heard) if taken.partial => {
                if !firing.is_empty() {
                    heard.at = now;
                }
                heard.firing.retain(|f| !over.contains_key(f));
                heard.over.retain(|f, _| !firing.contains(f));
                heard.firing.extend(firing);
                heard.over.extend(over);
                (!heard.firing.is_empty()).then_some(heard)
            }
            _ => (!firing.is_empty()).then_some(Heard { at: now, firing, over }),
        };
        let Some(owed) = self.owed.take() else { return false };
        if owed.version == taken.version {
            // It took a piece; the rest is owed as before.
            let mut rest = Owed::clone(&owed);
            rest.alerts.retain(|f, _| !taken.alerts.contains_key(f));
            if !rest.alerts.is_empty() {
                self.versions += 1;
                (rest.version, rest.partial) = (self.versions, true);
                self.owed = Some(Arc::new(rest));
            }
        } else if self.wants(&owed.alerts, false, send_resolved, owed.repeat_interval_ms, now) {
            self.owed = Some(owed);
        }
        self.owed.is_some()
    }

    /// So many alerts of a message, what it has not heard first: for a receiver that refuses larger ones.
    pub fn piece(&self, owed: &Arc<Owed>, most: usize) -> Arc<Owed> {
        if owed.alerts.len() <= most {
            return owed.clone();
        }
        let news = |fingerprint: &Fingerprint, alert: &OwedAlert| match (&self.heard, alert.over) {
            (None, _) => true,
            (Some(heard), None) => !heard.firing.contains(fingerprint),
            (Some(heard), Some(at)) => heard.over.get(fingerprint) != Some(&at),
        };
        let (first, then): (Vec<_>, Vec<_>) = owed.alerts.iter().partition(|&(f, a)| news(f, a));
        let some = first.into_iter().chain(then).take(most);
        let alerts = some.map(|(f, a)| (*f, a.clone())).collect();
        let repeat_interval_ms = owed.repeat_interval_ms;
        Arc::new(Owed { version: owed.version, alerts, repeat_interval_ms, partial: true })
    }

    /// What of it a restart must not lose: what is over, which nothing else tells of; and `all` once a try has failed, since it
    /// may end before another one, or has ended before one.
    pub fn kept(&self, all: bool) -> impl Iterator<Item = (&Fingerprint, &OwedAlert)> {
        let owed = self.owed.iter().flat_map(|o| &o.alerts).filter(move |(_, a)| all || a.over.is_some());
        owed.chain(all.then_some(self).into_iter().flat_map(Self::muted_meanwhile))
    }

    /// The same, each with when it was over.
    pub fn lasting(&self, all: bool) -> FlatMap<Fingerprint, Option<Timestamp>> {
        self.kept(all).map(|(f, a)| (*f, a.over)).collect()
    }

    /// Gives up telling of what was over before an instant. The answer is how many alerts that were.
    pub fn give_up(&mut self, before: Timestamp) -> usize {
        let Some(owed) = &self.owed else { return 0 };
        let old = |over: Option<Timestamp>| over.is_some_and(|at| at < before);
        let given_up: HashSet<Fingerprint> = owed.alerts.iter().filter(|(_, a)| old(a.over)).map(|(f, _)| *f).collect();
        if given_up.is_empty() {
            return 0;
        }
        let mut rest = Owed::clone(owed);
        rest.alerts.retain(|_, a| !old(a.over));
        self.versions += 1;
        rest.version = self.versions;
        self.owed = (!rest.alerts.is_empty()).then(|| Arc::new(rest));
        let count = given_up.len();
        self.unhear(&given_up);
        count
    }

    /// It will not hear that these are over; when one of them fires again, that is news.
    fn unhear(&mut self, unheard: &HashSet<Fingerprint>) {
        if let Some(heard) = &mut self.heard {
            heard.firing.retain(|fingerprint| !unheard.contains(fingerprint));
        }
        if self.heard.as_ref().is_some_and(|heard| heard.firing.is_empty()) {
            self.heard = None;
        }
    }

    /// Owed from before a restart: alerts that are over, and those that fired when it was out of order.
    pub fn owe_again(&mut self, alerts: FlatMap<Fingerprint, OwedAlert>) {
        self.versions += 1;
        // The group's next look says what it repeats by.
        let repeat_interval_ms = i64::MAX;
        self.owed = Some(Arc::new(Owed { version: self.versions, alerts, repeat_interval_ms, partial: true }));
    }

    /// Whether it heard last that an alert fires, or is owed or told something of it.
    pub fn knows_of(&self, fingerprint: Fingerprint) -> bool {
        let heard = self.heard.as_ref().is_some_and(|heard| heard.firing.contains(&fingerprint));
        let owed = self.owed.as_ref().is_some_and(|owed| owed.alerts.contains_key(&fingerprint));
        heard || owed || self.is_told(fingerprint)
    }

    /// Whether it is owed that an alert fires, or is told that now.
    pub fn owes_firing(&self, fingerprint: Fingerprint) -> bool {
        match self.owed.as_ref().and_then(|owed| owed.alerts.get(&fingerprint)) {
            Some(alert) => alert.over.is_none(),
            None => self.is_told(fingerprint),
        }
    }

    /// After a restart, of an alert that fires: where it `began` to after it was told that it fires, its end was perhaps told as
    /// well, and nobody has stored that.
    pub fn began_again(&mut self, began: impl Fn(Fingerprint) -> Option<Timestamp>) {
        let Some(Heard { at, firing, over }) = &mut self.heard else { return };
        let again = firing.iter().filter(|f| began(**f).is_some_and(|began| began > *at) && !over.contains_key(*f));
        let again: Vec<(Fingerprint, Timestamp)> = again.map(|f| (*f, *at)).collect();
        over.extend(again);
    }

    /// Nothing was heard and nothing is owed.
    pub fn is_blank(&self) -> bool {
        self.heard.is_none() && self.owed.is_none()
    }
}
