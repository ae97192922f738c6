//! Which alerts have words in the inbox that wait to be tried again, or are tried just now: what is said of one of them later
//! waits behind these, so that nobody hears that an alert is over before it fires. Kept in memory by the node that takes alerts,
//! and only while something waits; what is stored is all that counts, and it is read again under another lease.
//!
//! Alerts are told apart by hashes, and by no more of them than a limit. A request whose alerts find no room holds back all that
//! comes after it, as if it were about every alert: then order costs time, never memory.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use tenfold_types::Timestamp;

/// By what alerts are told apart: hashes of fingerprints, and of keys with their senders. Where two have the same one, one waits
/// behind the other without need, which does no harm.
pub(super) type Names = BTreeSet<u64>;

/// Names of all requests that wait: about 15 MiB.
const NAMES_MAX: usize = 500_000;

pub(super) fn name(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[derive(Debug)]
pub(super) struct Waits {
    /// The epoch of the lease under which all of it was read; none where nothing waits that is known here.
    read: Option<i64>,
    /// One look did not come to an end: any alert may be among what waits.
    more: bool,
    /// Until when each request waits, by id. The time of one that is tried just now has come.
    until: BTreeMap<i64, Timestamp>,
    /// Each alert with the requests that name it.
    naming: BTreeSet<(u64, i64)>,
    /// Requests whose alerts found no room there: each may be about any alert.
    of_any: BTreeSet<i64>,
    names_max: usize,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            read: None,
            more: false,
            until: BTreeMap::new(),
            naming: BTreeSet::new(),
            of_any: BTreeSet::new(),
            names_max: NAMES_MAX,
        }
    }
}

impl Waits {
    /// All that waits was read under this lease.
    pub fn are_read(&self, epoch: i64) -> bool {
        self.read == Some(epoch)
    }

    /// Nothing is to be done now. `next` is when the first of what is stored may be tried.
    pub fn stand(&self, epoch: i64, next: Option<Timestamp>, now: Timestamp) -> bool {
        match next {
            None => self.read.is_none(),
            Some(at) => self.are_read(epoch) && !self.more && at > now,
        }
    }

    /// What is stored is known from now on.
    pub fn began(epoch: i64) -> Self {
        Self { read: Some(epoch), ..Self::default() }
    }

    /// It waits until then; it is tried now where that time has come.
    pub fn put_off(&mut self, id: i64, names: &Names, until: Timestamp) {
        self.until.insert(id, until);
        let new = names.iter().filter(|name| !self.naming.contains(&(**name, id))).count();
        if self.naming.len() + new > self.names_max {
            self.of_any.insert(id);
            return;
        }
        self.of_any.remove(&id);
        self.naming.extend(names.iter().map(|name| (*name, id)));
    }

    /// It was taken, or is kept aside: nothing waits behind it.
    pub fn done(&mut self, id: i64, names: &Names) {
        self.until.remove(&id);
        self.of_any.remove(&id);
        for name in names {
            self.naming.remove(&(*name, id));
        }
    }

    /// Until when a request waits since another one that came before it has not been taken. One whose time has come would have
    /// been taken before, in the same look.
    pub fn behind(&self, id: i64, names: &Names, now: Timestamp) -> Option<Timestamp> {
        let named = names.iter().flat_map(|name| self.naming.range((*name, i64::MIN)..(*name, id))).map(|(_, id)| id);
        let before = named.chain(self.of_any.range(..id));
        before.filter_map(|id| self.until.get(id)).find(|until| **until > now).copied()
    }

    /// Whether any words wait, or are tried just now.
    pub fn any(&self) -> bool {
        self.more || !self.until.is_empty()
    }

    /// Whether what is said now of one of these alerts has to wait.
    pub fn have(&self, names: &Names) -> bool {
        let waits = |name: &u64| {
            let mut naming = self.naming.range((*name, i64::MIN)..=(*name, i64::MAX));
            naming.any(|(_, id)| self.until.contains_key(id))
        };
        self.more || !self.of_any.is_empty() || names.iter().any(waits)
    }

    /// A look is over; `more` where it did not come to the end of what was due.
    pub fn looked(&mut self, now: Timestamp, more: bool) {
        let until = &mut self.until;
        until.retain(|_, until| *until > now);
        self.naming.retain(|(_, id)| until.contains_key(id));
        self.of_any.retain(|id| until.contains_key(id));
        self.more = more;
        if !self.any() {
            *self = Self { names_max: self.names_max, ..Self::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn names(of: &[&str]) -> Names {
        of.iter().map(|text| name(text)).collect()
    }

    #[test]
    fn what_comes_later_of_the_same_alert_waits_and_nothing_else() {
        let mut waits = Waits::began(3);
        assert!(!waits.any() && !waits.have(&names(&["a"])));
        let (later, latest) = (NOW.plus_ms(1_000), NOW.plus_ms(9_000));
        waits.put_off(5, &names(&["a", "b"]), later);
        waits.put_off(6, &names(&["c"]), latest);
        let cases: [(i64, &[&str], Option<Timestamp>); 6] = [
            (7, &["b", "d"], Some(later)),
            (7, &["c"], Some(latest)),
            (7, &["d"], None),
            (4, &["a", "c"], None),
            (5, &["a"], None),
            (6, &["c"], None),
        ];
        for (id, of, until) in cases {
            assert_eq!(waits.behind(id, &names(of), NOW), until, "{id} {of:?}");
        }
        assert!(waits.have(&names(&["b"])) && !waits.have(&names(&["d"])));
        assert_eq!(waits.behind(7, &names(&["a"]), later), None, "its time has come");
        waits.done(5, &names(&["a", "b"]));
        assert!(!waits.have(&names(&["a"])) && waits.have(&names(&["c"])));
        assert_eq!(waits.naming.len(), 1, "nothing is kept of what is done");
    }

    #[test]
    fn what_is_tried_just_now_is_waited_for_and_holds_no_other_request() {
        let mut waits = Waits::began(3);
        waits.put_off(5, &names(&["a"]), NOW);
        assert!(waits.any() && waits.have(&names(&["a"])) && !waits.have(&names(&["b"])));
        assert_eq!(waits.behind(6, &names(&["a"]), NOW), None);
        // It failed.
        waits.put_off(5, &names(&["a"]), NOW.plus_ms(1_000));
        assert!(waits.have(&names(&["a"])));
        assert_eq!(waits.behind(6, &names(&["a"]), NOW), Some(NOW.plus_ms(1_000)));
        // Or it was heard, or nobody tries it any more, as when the one who asked for the look has gone.
        waits.done(5, &names(&["a"]));
        assert!(!waits.any() && !waits.have(&names(&["a"])));
        waits.put_off(5, &names(&["a"]), NOW);
        waits.looked(NOW, false);
        assert!(!waits.any() && waits.stand(3, None, NOW));
    }

    #[test]
    fn what_names_more_alerts_than_are_kept_holds_back_all_that_comes_later() {
        let mut waits = Waits { names_max: 3, ..Waits::began(3) };
        let (later, latest) = (NOW.plus_ms(1_000), NOW.plus_ms(9_000));
        waits.put_off(5, &names(&["a", "b"]), later);
        waits.put_off(6, &names(&["c", "d"]), latest);
        assert!(waits.naming.len() <= 3);
        assert!(waits.have(&names(&["x"])), "nobody knows of what it is");
        assert_eq!(waits.behind(7, &names(&["x"]), NOW), Some(latest));
        assert_eq!(waits.behind(6, &names(&["x"]), NOW), None, "it came before");
        assert_eq!(waits.behind(7, &names(&["x"]), latest), None, "its time has come");
        // Said again of the same request, its names are not counted twice.
        waits.put_off(5, &names(&["a", "b"]), later);
        assert_eq!((waits.naming.len(), waits.of_any.len()), (2, 1));
        // Where there is room again it counts for what it names alone.
        waits.done(5, &names(&["a", "b"]));
        waits.put_off(6, &names(&["c", "d"]), latest);
        assert!(!waits.have(&names(&["x"])) && waits.have(&names(&["d"])));
        waits.looked(latest, false);
        assert!(!waits.any() && waits.naming.is_empty() && waits.names_max == 3);
    }

    #[test]
    fn nothing_is_looked_for_while_nothing_is_due_and_all_is_read_again_under_another_lease() {
        let mut waits = Waits::default();
        assert!(waits.stand(3, None, NOW), "nothing waits");
        assert!(!waits.stand(3, Some(NOW.plus_ms(1)), NOW), "nobody knows of what");
        waits = Waits::began(3);
        waits.put_off(5, &names(&["a"]), NOW.plus_ms(1_000));
        waits.looked(NOW, false);
        let next = Some(NOW.plus_ms(1_000));
        assert!(waits.stand(3, next, NOW) && !waits.stand(4, next, NOW) && !waits.stand(3, next, NOW.plus_ms(1_000)));
        assert!(!waits.stand(3, None, NOW), "what was known is forgotten");
        // One that is there no more, without a word, holds nobody for ever.
        waits.looked(NOW.plus_ms(1_000), false);
        assert!(!waits.any() && waits.stand(3, None, NOW));
    }

    #[test]
    fn behind_a_look_without_an_end_everything_waits() {
        let mut waits = Waits::began(3);
        waits.looked(NOW, true);
        assert!(waits.any() && waits.have(&names(&["a"])) && !waits.stand(3, None, NOW));
        waits.looked(NOW, false);
        assert!(!waits.any() && waits.stand(3, None, NOW));
    }
}
