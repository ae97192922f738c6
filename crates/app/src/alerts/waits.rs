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
    use tenfold_testkit::TestEntropy;

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

    /// A request as it is stored.
    struct Request {
        id: i64,
        of: Names,
        next_at: Timestamp,
    }

    /// A node that takes what is stored, as the one with the lease does.
    struct Taker {
        waits: Waits,
        epoch: i64,
        stored: Vec<Request>,
        /// Which requests were heard, with their names. One that died before it forgot a request hears it again.
        heard: Vec<(i64, Names)>,
        dice: TestEntropy,
        /// Everything can be taken, and nobody dies.
        calm: bool,
    }

    impl Taker {
        fn dies(&mut self) {
            self.waits = Waits { names_max: self.waits.names_max, ..Waits::default() };
            self.epoch += 1;
        }

        fn read(&mut self, now: Timestamp) {
            if self.waits.are_read(self.epoch) {
                return;
            }
            let mut waits = Waits { names_max: self.waits.names_max, ..Waits::began(self.epoch) };
            for later in self.stored.iter().filter(|one| one.next_at > now) {
                waits.put_off(later.id, &later.of, later.next_at);
            }
            self.waits = waits;
        }

        fn set(&mut self, id: i64, next_at: Timestamp) {
            if let Some(one) = self.stored.iter_mut().find(|one| one.id == id) {
                one.next_at = next_at;
            }
        }

        /// One look; false where it did not come to its end.
        fn look(&mut self, now: Timestamp) -> bool {
            let next = self.stored.iter().map(|one| one.next_at).min();
            if self.waits.stand(self.epoch, next, now) {
                assert!(next.is_none_or(|at| at > now), "something is due, and nobody looks");
                return true;
            }
            self.read(now);
            let due = self.stored.iter().filter(|one| one.next_at <= now);
            let due: Vec<(i64, Names)> = due.map(|one| (one.id, one.of.clone())).collect();
            for some in due.chunks(3) {
                let mut behind = Vec::new();
                for (id, of) in some {
                    if let Some(until) = self.waits.behind(*id, of, now) {
                        self.waits.put_off(*id, of, until);
                        behind.push((*id, until));
                        continue;
                    }
                    self.waits.put_off(*id, of, now);
                    let luck = if self.calm { u64::MAX } else { self.dice.below(12) };
                    match luck {
                        0 => {
                            self.dies();
                            return false;
                        }
                        1 => {
                            self.heard.push((*id, of.clone()));
                            self.dies();
                            return false;
                        }
                        // The store does not answer.
                        2 => return false,
                        3..=5 => {
                            let until = now.plus_ms(1_000_i64 << self.dice.below(4));
                            self.waits.put_off(*id, of, until);
                            self.set(*id, until);
                        }
                        _ => {
                            self.heard.push((*id, of.clone()));
                            self.stored.retain(|one| one.id != *id);
                            self.waits.done(*id, of);
                        }
                    }
                }
                for (id, until) in behind {
                    self.set(id, until);
                }
            }
            self.waits.looked(now, false);
            true
        }
    }

    #[test]
    fn whatever_fails_and_whoever_dies_words_on_an_alert_are_heard_in_their_order() {
        const ALERTS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
        for seed in 0..300 {
            let dice = TestEntropy::seeded(seed);
            let names_max = [2, 6, 500][dice.below(3) as usize];
            let waits = Waits { names_max, ..Waits::default() };
            let mut taker =
                Taker { waits, epoch: 1, stored: Vec::new(), heard: Vec::new(), dice: dice.clone(), calm: false };
            let (mut now, mut id) = (NOW, 0);
            for step in 0..160 {
                now = now.plus_ms(dice.below(2_500) as i64);
                taker.calm = step >= 80;
                if taker.calm {
                    now = now.plus_ms(1_000);
                } else {
                    for _ in 0..dice.below(4) {
                        id += 1;
                        let of = (0..=dice.below(3)).map(|_| name(ALERTS[dice.below(6) as usize])).collect();
                        taker.stored.push(Request { id, of, next_at: Timestamp(0) });
                    }
                    // Another node had the lease for a moment.
                    taker.epoch += i64::from(dice.below(9) == 0);
                }
                if taker.look(now) {
                    for text in ALERTS {
                        let stored = taker.stored.iter().any(|one| one.of.contains(&name(text)));
                        assert!(!stored || taker.waits.have(&names(&[text])), "seed {seed}: {text} waits unseen");
                    }
                }
                assert!(taker.waits.naming.len() <= names_max, "seed {seed}");
            }
            assert!(taker.stored.is_empty() && !taker.waits.any(), "seed {seed}: {} wait still", taker.stored.len());
            for text in ALERTS {
                let heard = taker.heard.iter().filter(|(_, of)| of.contains(&name(text))).map(|(id, _)| *id);
                assert!(heard.is_sorted(), "seed {seed}: words on {text} are out of order");
            }
            let all: BTreeSet<i64> = taker.heard.iter().map(|(id, _)| *id).collect();
            assert_eq!(all.len() as i64, id, "seed {seed}: each was heard");
        }
    }
}
