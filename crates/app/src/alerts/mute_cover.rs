//! Whether mutes cover all that an incident is about: then nobody more is asked for it while they hold.

use std::collections::{BTreeMap, HashMap, HashSet};

use parking_lot::Mutex;
use tenfold_alerting::Mute;
use tenfold_store::{Tx, alerts as store};
use tenfold_types::{Fault, Labels, Timestamp};

use super::{mutes, transitions::body};

/// Alerts of one incident that are looked through.
const ALERTS_MAX: i64 = 10_000;

/// Labels that are kept in memory; with more of them all are forgotten, and read again.
const LABELS_MAX: usize = 100_000;

/// The labels of alerts by incident, as they were read. An incident whose escalation stands still is looked at every few seconds,
/// and the labels of a fingerprint never change: only those of alerts that joined since are read.
#[derive(Debug, Default)]
pub(crate) struct LabelsRead(BTreeMap<i64, HashMap<String, Labels>>);

impl LabelsRead {
    /// Of these alerts of an incident, those whose labels are still to be read.
    fn unread<'a>(&self, number: i64, live: &'a [String]) -> Vec<&'a str> {
        let known = self.0.get(&number);
        let unread = |fingerprint: &&String| known.is_none_or(|known| !known.contains_key(*fingerprint));
        live.iter().filter(unread).map(String::as_str).collect()
    }

    /// Adds what was read, and forgets what is not live any more.
    fn keep(&mut self, number: i64, live: &[String], read: Vec<(String, Labels)>) -> &HashMap<String, Labels> {
        let kept: usize = self.0.values().map(HashMap::len).sum();
        if kept.saturating_add(read.len()) > LABELS_MAX {
            self.0.retain(|of, _| *of == number);
        }
        let known = self.0.entry(number).or_default();
        known.extend(read);
        if known.len() > live.len() {
            let live: HashSet<&str> = live.iter().map(String::as_str).collect();
            known.retain(|fingerprint, _| live.contains(fingerprint.as_str()));
        }
        known
    }

    fn forget(&mut self, number: i64) {
        self.0.remove(&number);
    }
}

/// The mutes that hold at an instant.
pub(crate) struct Cover(Vec<Mute>);

impl Cover {
    pub(crate) fn at(tx: &mut dyn Tx, now: Timestamp) -> Result<Self, Fault> {
        Ok(Self(mutes::holding(tx, now)?))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Why nobody is asked for an incident: each of its alerts that is not over is muted. Nothing when one is not, or when it has
    /// none, as one that a person opened.
    pub(crate) fn of_incident(
        &self,
        tx: &mut dyn Tx,
        read: &Mutex<LabelsRead>,
        number: i64,
    ) -> Result<Option<String>, Fault> {
        if self.is_empty() {
            return Ok(None);
        }
        let live = store::live_fingerprints(tx, number, ALERTS_MAX)?;
        // Of more nobody knows here: who is in doubt is asked.
        if live.is_empty() || live.len() as i64 >= ALERTS_MAX {
            read.lock().forget(number);
            return Ok(None);
        }
        let unread = read.lock().unread(number, &live);
        let rows = if unread.is_empty() { Vec::new() } else { store::by_fingerprints(tx, &unread)? };
        let labels = |row: &store::AlertRow| -> Result<(String, Labels), Fault> {
            Ok((row.fingerprint.clone(), body(row)?.alert.labels))
        };
        let new = rows.iter().map(labels).collect::<Result<Vec<_>, _>>()?;
        let mut read = read.lock();
        let known = read.keep(number, &live, new);
        let mut by: Vec<&Mute> = Vec::new();
        for fingerprint in &live {
            // Who is in doubt is asked here too: of one whose labels are not there nobody knows.
            let mute = known.get(fingerprint).and_then(|labels| self.0.iter().find(|mute| mute.matches(labels)));
            let Some(mute) = mute else { return Ok(None) };
            if by.iter().all(|known| known.id != mute.id) {
                by.push(mute);
            }
        }
        let named: Vec<String> = by.iter().map(|m| format!("{} (until {} at most)", m.id, m.spec.ends_at)).collect();
        Ok(Some(match named.as_slice() {
            [one] => format!("all its alerts are muted by mute {one}"),
            many => format!("all its alerts are muted by the mutes {}", many.join(", ")),
        }))
    }
}

/// Which mutes cover the alerts of an incident, now or later.
pub(crate) struct Ahead {
    mutes: Vec<Mute>,
    /// Of each alert those that match it; what several alerts have stands once.
    by_alert: Vec<Vec<usize>>,
}

impl Ahead {
    /// For the alerts of an incident that go on, and one more. Nothing where one of them is never muted, or where there are more
    /// than are looked through.
    pub(crate) fn of(
        tx: &mut dyn Tx,
        now: Timestamp,
        number: Option<i64>,
        one: &Labels,
    ) -> Result<Option<Self>, Fault> {
        let mutes = mutes::open(tx, now)?;
        let mut all = vec![one.clone()];
        if let Some(number) = number.filter(|_| !mutes.is_empty()) {
            let live = store::live_fingerprints(tx, number, ALERTS_MAX)?;
            if live.len() as i64 >= ALERTS_MAX {
                return Ok(None);
            }
            let live: Vec<&str> = live.iter().map(String::as_str).collect();
            let rows = if live.is_empty() { Vec::new() } else { store::by_fingerprints(tx, &live)? };
            for row in rows {
                all.push(body(&row)?.alert.labels);
            }
        }
        let matching = |labels: &Labels| -> Vec<usize> {
            mutes.iter().enumerate().filter(|(_, mute)| mute.matches(labels)).map(|(at, _)| at).collect()
        };
        let mut by_alert: Vec<Vec<usize>> = all.iter().map(matching).collect();
        by_alert.sort_unstable();
        by_alert.dedup();
        Ok(by_alert.iter().all(|by| !by.is_empty()).then_some(Self { mutes, by_alert }))
    }

    /// Whether all of them are muted at an instant.
    pub(crate) fn covers(&self, at: Timestamp) -> bool {
        self.by_alert.iter().all(|by| by.iter().any(|mute| self.mutes[*mute].holds(at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn only_what_joined_since_is_read_and_what_is_over_is_forgotten() {
        let labels = |name: &str| Labels::from_pairs([("alertname", name)]);
        let mut read = LabelsRead::default();
        let live = names(&["a", "b"]);
        assert_eq!(read.unread(7, &live), ["a", "b"]);
        let new = live.iter().map(|name| (name.clone(), labels(name))).collect();
        assert_eq!(read.keep(7, &live, new).len(), 2);
        assert!(read.unread(7, &live).is_empty(), "they are known");
        assert_eq!(read.unread(8, &live), ["a", "b"], "of another incident they are not");

        let live = names(&["b", "c"]);
        assert_eq!(read.unread(7, &live), ["c"]);
        let known = read.keep(7, &live, vec![("c".to_owned(), labels("c"))]);
        assert!(known.len() == 2 && !known.contains_key("a") && known.get("c") == Some(&labels("c")));
        read.forget(7);
        assert_eq!(read.unread(7, &live), ["b", "c"]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut read = LabelsRead::default();
        let many: Vec<String> = (0..LABELS_MAX).map(|n| n.to_string()).collect();
        let new = many.iter().map(|name| (name.clone(), Labels::default())).collect();
        read.keep(1, &many, new);
        let one = names(&["x"]);
        read.keep(2, &one, vec![("x".to_owned(), Labels::default())]);
        assert_eq!(read.unread(1, &many).len(), LABELS_MAX, "forgotten");
        assert!(read.unread(2, &one).is_empty());
    }
}
