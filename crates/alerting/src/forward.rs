//! Alerts on their way to another Alertmanager, as Prometheus sends them: what is due when, and what waits for a receiver.
//!
//! An alert that fires is said again every [`RESEND_MS`], each time with an end that is a few of these ahead, so that a
//! receiver which hears no more of it ends it by itself. One that is over is said again for [`RESOLVED_MS`]. What has no data
//! is not over: it is said as firing. No clock and no network here: the caller says what fires and when.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use tenfold_types::{Labels, Timestamp};

/// An alert is said again after this time (Prometheus' `--rules.alert.resend-delay`).
pub const RESEND_MS: i64 = 60_000;
/// One that is over is said for so long.
pub const RESOLVED_MS: i64 = 15 * 60_000;
/// An alert counts as going on for so many times its interval, or the time until it is said again.
pub const VALID_TIMES: i64 = 4;
/// Alerts in one request (Prometheus' `--alertmanager.notification-batch-size`).
pub const BATCH_MAX: usize = 256;
/// Alerts that wait for one receiver (Prometheus' `--alertmanager.notification-queue-capacity`).
pub const WAITING_MAX: usize = 10_000;

/// An alert as `POST /api/v2/alerts` of an Alertmanager takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outgoing {
    pub labels: Labels,
    pub annotations: BTreeMap<String, String>,
    pub starts_at: Timestamp,
    /// When it was over, or until when it counts as firing.
    pub ends_at: Timestamp,
    #[serde(rename = "generatorURL")]
    pub generator_url: String,
}

/// What has been said of alerts, by their fingerprints.
#[derive(Debug, Default)]
pub struct Ledger {
    told: HashMap<String, Told>,
    round: u64,
}

#[derive(Debug)]
struct Told {
    said: Outgoing,
    /// Nothing of one that ended before this process began to say anything.
    said_at: Option<Timestamp>,
    over: bool,
    /// The last round in which it fired.
    round: u64,
}

impl Told {
    fn again(&self, now: Timestamp) -> bool {
        // What was said later than now was said by a clock that has been set back since.
        self.said_at.is_none_or(|at| !(0..RESEND_MS).contains(&now.since_ms(at)))
    }
}

impl Ledger {
    /// An alert that was over before anything was said here: it is said with the next round, if that is soon enough.
    pub fn over(&mut self, fingerprint: &str, said: Outgoing) {
        let told = Told { said, said_at: None, over: true, round: 0 };
        self.told.entry(fingerprint.to_owned()).or_insert(told);
    }

    /// Forgets everything: another one says it now.
    pub fn clear(&mut self) {
        self.told.clear();
    }

    /// A look at everything that fires.
    pub fn look(&mut self, now: Timestamp) -> Look<'_> {
        self.round += 1;
        Look { ledger: self, now, due: Vec::new() }
    }
}

/// A look at everything that fires: first each alert by [`Look::fires`], then [`Look::end`].
#[derive(Debug)]
pub struct Look<'a> {
    ledger: &'a mut Ledger,
    now: Timestamp,
    due: Vec<Outgoing>,
}

impl Look<'_> {
    /// An alert fires since `starts_at`, and is evaluated every `interval_ms`. `said` makes what is sent of it, whose end is set
    /// here; it is asked only when it is due.
    pub fn fires(
        &mut self,
        fingerprint: &str,
        starts_at: Timestamp,
        interval_ms: i64,
        said: impl FnOnce() -> Outgoing,
    ) {
        let (now, round) = (self.now, self.ledger.round);
        if let Some(told) = self.ledger.told.get_mut(fingerprint)
            && !told.over
            && told.said.starts_at == starts_at
            && !told.again(now)
        {
            told.round = round;
            return;
        }
        let valid_ms = interval_ms.max(RESEND_MS).saturating_mul(VALID_TIMES);
        let said = Outgoing { starts_at, ends_at: now.plus_ms(valid_ms), ..said() };
        self.due.push(said.clone());
        let told = Told { said, said_at: Some(now), over: false, round };
        self.ledger.told.insert(fingerprint.to_owned(), told);
    }

    /// What is due. Alerts that were not named in this look are over.
    pub fn end(self) -> Vec<Outgoing> {
        let Self { ledger: Ledger { told, round }, now, mut due } = self;
        let mut over = Vec::new();
        told.retain(|_, told| {
            if told.round == *round {
                return true;
            }
            if !told.over {
                told.over = true;
                told.said.ends_at = now.max(told.said.starts_at);
                told.said_at = None;
            }
            if now.since_ms(told.said.ends_at) > RESOLVED_MS {
                return false;
            }
            if told.again(now) {
                told.said_at = Some(now);
                over.push(told.said.clone());
            }
            true
        });
        // The order of a map by hashes is nobody's.
        over.sort_by(|a, b| (a.ends_at, &a.labels).cmp(&(b.ends_at, &b.labels)));
        due.append(&mut over);
        due
    }
}

/// What waits for one receiver, the oldest first. Of an alert only the newest word waits, so that a receiver which was away for
/// an hour is not told of the hour.
#[derive(Debug, Default)]
pub struct Waiting {
    by_place: BTreeMap<u64, Outgoing>,
    places: BTreeMap<Labels, u64>,
    last: u64,
    /// Alerts in one request, since the receiver refused one with more as too large.
    most: Option<usize>,
}

impl Waiting {
    /// Adds what is due; gives how many of the oldest had to go for want of room.
    pub fn add(&mut self, due: &[Outgoing]) -> usize {
        let mut dropped = 0;
        for one in due {
            if let Some(place) = self.places.get(&one.labels) {
                self.by_place.insert(*place, one.clone());
                continue;
            }
            self.last += 1;
            self.places.insert(one.labels.clone(), self.last);
            self.by_place.insert(self.last, one.clone());
            if self.by_place.len() > WAITING_MAX
                && let Some((_, oldest)) = self.by_place.pop_first()
            {
                self.places.remove(&oldest.labels);
                dropped += 1;
            }
        }
        dropped
    }

    /// What the next request has. It waits until [`Waiting::done`].
    pub fn batch(&self) -> Vec<(u64, Outgoing)> {
        self.by_place.iter().take(self.most.unwrap_or(BATCH_MAX)).map(|(place, one)| (*place, one.clone())).collect()
    }

    /// The receiver has its answer to a batch. What has been said anew of an alert meanwhile still waits.
    pub fn done(&mut self, batch: &[(u64, Outgoing)]) {
        for (place, sent) in batch {
            if self.by_place.get(place) == Some(sent) {
                self.by_place.remove(place);
                self.places.remove(&sent.labels);
            }
        }
    }

    /// The receiver refused a request with so many as too large: the next has half of them. False when it was one alone.
    pub fn halve(&mut self, had: usize) -> bool {
        self.most = Some((had / 2).max(1));
        had > 1
    }

    /// The receiver took a request: the next may be a little larger, up to the usual size.
    pub fn grow(&mut self) {
        self.most = self.most.map(|most| most + most / 8 + 1).filter(|most| *most < BATCH_MAX);
    }

    pub fn len(&self) -> usize {
        self.by_place.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_place.is_empty()
    }

    pub fn clear(&mut self) {
        self.by_place.clear();
        self.places.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn said(name: &str) -> Outgoing {
        Outgoing {
            labels: Labels::from_pairs([("alertname", name)]),
            annotations: BTreeMap::new(),
            starts_at: T0,
            ends_at: T0,
            generator_url: String::new(),
        }
    }

    /// What is due at so many seconds when these fire: name and seconds to its end.
    fn look(ledger: &mut Ledger, second: i64, firing: &[(&str, i64)]) -> Vec<(String, i64)> {
        let now = T0.plus_ms(second * 1_000);
        let mut look = ledger.look(now);
        for (name, since) in firing {
            look.fires(name, T0.plus_ms(since * 1_000), 5_000, || said(name));
        }
        let name = |one: &Outgoing| one.labels.get("alertname").unwrap_or_default().to_owned();
        look.end().iter().map(|one| (name(one), one.ends_at.since_ms(now) / 1_000)).collect()
    }

    fn due(names: &[(&str, i64)]) -> Vec<(String, i64)> {
        names.iter().map(|(name, ends)| ((*name).to_owned(), *ends)).collect()
    }

    #[test]
    fn what_fires_is_said_at_once_and_each_minute_and_what_is_over_for_a_quarter_of_an_hour() {
        let mut ledger = Ledger::default();
        assert_eq!(look(&mut ledger, 0, &[("A", 0)]), due(&[("A", 240)]));
        assert_eq!(look(&mut ledger, 59, &[("A", 0)]), due(&[]));
        assert_eq!(look(&mut ledger, 60, &[("A", 0), ("B", 60)]), due(&[("A", 240), ("B", 240)]));
        assert_eq!(look(&mut ledger, 61, &[("B", 60)]), due(&[("A", 0)]), "it is over");
        assert_eq!(look(&mut ledger, 62, &[("B", 60)]), due(&[]));
        assert_eq!(look(&mut ledger, 121, &[("B", 60)]), due(&[("B", 240), ("A", -60)]));
        // It fires again, as another episode.
        assert_eq!(look(&mut ledger, 122, &[("A", 122), ("B", 60)]), due(&[("A", 240)]));
        assert_eq!(look(&mut ledger, 123, &[("A", 123), ("B", 60)]), due(&[("A", 240)]), "between two looks");
        assert_eq!(look(&mut ledger, 124, &[]), due(&[("A", 0), ("B", 0)]));
        assert_eq!(look(&mut ledger, 124 + 900, &[]), due(&[("A", -900), ("B", -900)]));
        assert_eq!(look(&mut ledger, 124 + 961, &[]), due(&[]), "for so long and no longer");
        assert!(ledger.told.is_empty());
    }

    #[test]
    fn a_long_interval_is_believed_for_longer() {
        let mut ledger = Ledger::default();
        let mut look = ledger.look(T0);
        look.fires("A", T0, 10 * 60_000, || said("A"));
        assert_eq!(look.end()[0].ends_at, T0.plus_ms(40 * 60_000));
    }

    #[test]
    fn what_ended_before_the_start_is_said_and_a_clock_set_back_keeps_nothing_waiting() {
        let mut ledger = Ledger::default();
        ledger.over("A", Outgoing { ends_at: T0.plus_ms(-5_000), ..said("A") });
        ledger.over("old", Outgoing { ends_at: T0.plus_ms(-RESOLVED_MS - 1), ..said("old") });
        assert_eq!(look(&mut ledger, 0, &[("B", 0)]), due(&[("B", 240), ("A", -5)]));
        assert_eq!(look(&mut ledger, -3_600, &[("B", 0)]).len(), 2);
    }

    #[test]
    fn the_newest_word_waits_and_the_oldest_alert_goes_when_there_is_no_room() {
        let mut waiting = Waiting::default();
        let many: Vec<Outgoing> = (0..WAITING_MAX).map(|n| said(&n.to_string())).collect();
        assert_eq!(waiting.add(&many), 0);
        let anew = Outgoing { ends_at: T0.plus_ms(1), ..said("0") };
        let batch = waiting.batch();
        assert_eq!((batch.len(), waiting.add(std::slice::from_ref(&anew))), (BATCH_MAX, 0));
        waiting.done(&batch);
        assert_eq!(waiting.len(), WAITING_MAX - BATCH_MAX + 1, "what was said anew meanwhile waits");
        assert_eq!(waiting.batch()[0].1, anew);
        let more: Vec<Outgoing> = (0..BATCH_MAX).map(|n| said(&format!("more {n}"))).collect();
        assert_eq!((waiting.add(&more), waiting.len()), (1, WAITING_MAX));
        assert!(waiting.batch().iter().all(|(_, one)| *one != anew), "the oldest went");
    }

    #[test]
    fn what_is_too_large_is_halved_down_to_one_and_grows_again() {
        let mut waiting = Waiting::default();
        let many: Vec<Outgoing> = (0..BATCH_MAX).map(|n| said(&n.to_string())).collect();
        waiting.add(&many);
        let mut sizes = Vec::new();
        while waiting.halve(waiting.batch().len()) {
            sizes.push(waiting.batch().len());
        }
        assert_eq!(sizes, [128, 64, 32, 16, 8, 4, 2, 1], "one alone cannot be halved");
        let mut taken = 0;
        while waiting.batch().len() < BATCH_MAX && taken < 100 {
            waiting.grow();
            taken += 1;
        }
        assert!((2..50).contains(&taken), "{taken}");
    }

    #[test]
    fn it_is_written_as_an_alertmanager_reads_it() {
        let text = serde_json::to_string(&Outgoing { ends_at: T0.plus_ms(1), ..said("A") }).expect("it is JSON");
        let wanted = r#"{"labels":{"alertname":"A"},"annotations":{},"startsAt":"2023-11-14T22:13:20.000Z","endsAt":"2023-11-14T22:13:20.001Z","generatorURL":""}"#;
        assert_eq!(text, wanted);
    }
}
