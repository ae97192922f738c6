//! How much is sent at a time: so much to each receiver, and so much in all. What hangs takes the places of its own
//! receiver, and keeps nobody from another.

use std::collections::{BTreeMap, BTreeSet};

use crate::{App, alerts::Channel};

/// Messages of one kind that are on their way to one receiver.
const OF_RECEIVER_MAX: usize = 32;
/// Messages of one kind that are on their way to all of them.
const ALL_MAX: usize = 256;
/// Messages that are looked at in one round.
pub(super) const BATCH: i64 = 1_024;

/// What is being sent of one kind: the key of each message with its receiver, and the receivers for which more waits.
#[derive(Debug, Default)]
pub(super) struct Room {
    under_way: BTreeMap<String, String>,
    waiting: BTreeSet<String>,
}

impl Room {
    fn enter(&mut self, key: &str, receiver: &str) -> bool {
        if self.under_way.contains_key(key) {
            return false;
        }
        let there = self.under_way.values().filter(|r| r.as_str() == receiver).count();
        if there >= OF_RECEIVER_MAX || self.under_way.len() >= ALL_MAX {
            self.waiting.insert(receiver.to_owned());
            return false;
        }
        self.under_way.insert(key.to_owned(), receiver.to_owned());
        true
    }

    /// Whether something may have waited for this place.
    fn leave(&mut self, key: &str) -> bool {
        let full = self.under_way.len() >= ALL_MAX;
        let Some(receiver) = self.under_way.remove(key) else { return false };
        if full {
            return !std::mem::take(&mut self.waiting).is_empty();
        }
        self.waiting.remove(&receiver)
    }
}

/// Pages come before news, so each has its own room.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Page,
    News,
}

/// Who has to answer: the server that a message goes to, as far as its address says. Where it does not, all of a channel go
/// to one, as with the relay for mail and a provider of calls. What stays in this program waits for nobody.
pub(super) fn receiver(channel: &str, target: &str, page: &str) -> String {
    let host = target.strip_prefix("https://").or_else(|| target.strip_prefix("http://"));
    match host {
        Some(rest) => format!("{channel} {}", rest.split(['/', '?', '#']).next().unwrap_or(rest)),
        None if channel == Channel::Web.as_str() || channel == Channel::Irc.as_str() => format!("{channel} {page}"),
        None => channel.to_owned(),
    }
}

/// A place in a room, which is given back however its task ends.
pub(super) struct UnderWay {
    app: App,
    kind: Kind,
    key: String,
}

impl UnderWay {
    /// Nothing when it is being sent, or there is no place for it.
    pub(super) fn enter(app: &App, kind: Kind, key: &str, receiver: &str) -> Option<Self> {
        let entered = app.incidents.room(kind).lock().enter(key, receiver);
        entered.then(|| Self { app: app.clone(), kind, key: key.to_owned() })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let waited = self.app.incidents.room(self.kind).lock().leave(&self.key);
        if waited {
            self.app.incidents.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_receiver_keeps_nobody_from_another() {
        let mut room = Room::default();
        for n in 0..OF_RECEIVER_MAX {
            assert!(room.enter(&format!("a{n}"), "slow"));
        }
        assert!(!room.enter("one more", "slow"));
        assert!(room.enter("b", "quick"));
        assert!(!room.enter("b", "quick"), "it is under way");
        assert!(!room.leave("b"), "nothing waits for it");
        assert!(room.leave("a0"), "one more waits");
        assert!(room.enter("one more", "slow"));
        assert!(!room.leave("one more"), "what waited has come in");
    }

    #[test]
    fn there_is_an_end_to_all_of_them() {
        let mut room = Room::default();
        for n in 0..ALL_MAX {
            assert!(room.enter(&n.to_string(), &format!("receiver {n}")));
        }
        assert!(!room.enter("one more", "another"));
        assert!(room.leave("7"), "whatever waits may come in");
        assert!(room.enter("one more", "another"));
    }

    #[test]
    fn the_receiver_is_the_server_that_answers() {
        let of = |channel: &str, target: &str| receiver(channel, target, "p1");
        assert_eq!(of("ntfy", "https://ntfy.example.org/a?x=1"), of("ntfy", "https://ntfy.example.org/b"));
        assert_ne!(of("ntfy", "https://ntfy.example.org/a"), of("ntfy", "https://ntfy.sh/a"));
        assert_ne!(of("webhook", "http://a:1/x"), of("slack", "http://a:1/x"));
        assert_eq!(of("mail", "ana@example.org"), of("mail", "raj@example.net"));
        assert_ne!(receiver("web", "", "p1"), receiver("web", "", "p2"));
    }
}
