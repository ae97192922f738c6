//! How a drill went: the time to the first delivery and to the acknowledgement, how far the policy had to go, and which
//! channels reached people. Of the team and its ways, never of a person: it names nobody and compares nobody.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

/// A page of the drill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillPage {
    /// From 1.
    pub step: i64,
    /// From 1.
    pub round: i64,
    pub tries: Vec<DrillTry>,
}

/// An attempt to deliver it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillTry {
    pub channel: String,
    /// When the receiver took it; none when it did not.
    pub taken_at: Option<Timestamp>,
    pub failed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillScore {
    pub pages: usize,
    /// Pages that some receiver took.
    pub delivered: usize,
    /// From the beginning until a receiver took the first page; none when none did.
    pub first_delivery_ms: Option<i64>,
    /// Until somebody had it; none when nobody acknowledged.
    pub acknowledged_ms: Option<i64>,
    /// The farthest step, in the last round; 0 when nobody was paged.
    pub steps_used: i64,
    pub steps: i64,
    pub rounds: i64,
    /// By channel, in its alphabet.
    pub channels: Vec<ChannelScore>,
}

/// How one channel did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelScore {
    pub channel: String,
    /// Pages that were to go by it and were tried.
    pub tried: usize,
    pub reached: usize,
    /// Pages on which a try failed, whether or not a later one went through.
    pub trouble: usize,
}

/// The score of a drill that began at `opened_at`, of a policy with so many steps.
pub fn score(opened_at: Timestamp, acknowledged_at: Option<Timestamp>, steps: i64, pages: &[DrillPage]) -> DrillScore {
    let taken = |page: &&DrillPage| page.tries.iter().any(|t| t.taken_at.is_some());
    let first = pages.iter().flat_map(|p| &p.tries).filter_map(|t| t.taken_at).min();
    let (rounds, steps_used) = pages.iter().map(|p| (p.round, p.step)).max().unwrap_or((0, 0));
    let mut channels: BTreeMap<&str, ChannelScore> = BTreeMap::new();
    for page in pages {
        let mut of_page: BTreeMap<&str, (bool, bool)> = BTreeMap::new();
        for attempt in &page.tries {
            let (reached, trouble) = of_page.entry(&attempt.channel).or_default();
            *reached |= attempt.taken_at.is_some();
            *trouble |= attempt.failed;
        }
        for (channel, (reached, trouble)) in of_page {
            let none = || ChannelScore { channel: channel.to_owned(), tried: 0, reached: 0, trouble: 0 };
            let sum = channels.entry(channel).or_insert_with(none);
            sum.tried += 1;
            sum.reached += usize::from(reached);
            sum.trouble += usize::from(trouble);
        }
    }
    DrillScore {
        pages: pages.len(),
        delivered: pages.iter().filter(taken).count(),
        first_delivery_ms: first.map(|at| at.since_ms(opened_at).max(0)),
        acknowledged_ms: acknowledged_at.map(|at| at.since_ms(opened_at).max(0)),
        steps_used,
        steps,
        rounds,
        channels: channels.into_values().collect(),
    }
}

impl DrillScore {
    /// In words, without a name.
    pub fn words(&self) -> String {
        let seconds = |ms: i64| format!("{}.{} s", ms / 1_000, ms % 1_000 / 100);
        let delivery = match self.first_delivery_ms {
            Some(ms) => {
                format!("{} of {} pages delivered, the first after {}", self.delivered, self.pages, seconds(ms))
            }
            None if self.pages == 0 => "nobody was paged".to_owned(),
            None => format!("none of {} pages was delivered", self.pages),
        };
        let acknowledged = match self.acknowledged_ms {
            Some(ms) => format!("acknowledged after {}", seconds(ms)),
            None => "nobody acknowledged".to_owned(),
        };
        let round = if self.rounds > 1 { format!(" in round {}", self.rounds) } else { String::new() };
        let mut parts = vec![delivery, acknowledged, format!("step {} of {}{round}", self.steps_used, self.steps)];
        parts.extend(self.channels.iter().map(|c| {
            let trouble = if c.trouble > 0 { format!(" ({} with trouble)", c.trouble) } else { String::new() };
            format!("{} {} of {}{trouble}", c.channel, c.reached, c.tried)
        }));
        parts.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(channel: &str, taken_at: Option<i64>, failed: bool) -> DrillTry {
        DrillTry { channel: channel.to_owned(), taken_at: taken_at.map(Timestamp), failed }
    }

    #[test]
    fn ways_are_counted_once_for_each_page() {
        let pages = [
            DrillPage {
                step: 1,
                round: 1,
                tries: vec![
                    attempt("mail", None, true),
                    attempt("mail", Some(9_500), false),
                    attempt("sms", None, true),
                ],
            },
            DrillPage { step: 2, round: 1, tries: vec![attempt("mail", Some(62_000), false)] },
            DrillPage { step: 2, round: 1, tries: vec![] },
        ];
        let said = score(Timestamp(1_000), Some(Timestamp(91_000)), 3, &pages);
        assert_eq!((said.pages, said.delivered, said.first_delivery_ms), (3, 2, Some(8_500)));
        assert_eq!((said.acknowledged_ms, said.steps_used, said.steps, said.rounds), (Some(90_000), 2, 3, 1));
        let of: Vec<_> = said.channels.iter().map(|c| (c.channel.as_str(), c.tried, c.reached, c.trouble)).collect();
        assert_eq!(of, [("mail", 2, 2, 1), ("sms", 1, 0, 1)]);
        assert_eq!(
            said.words(),
            "2 of 3 pages delivered, the first after 8.5 s; acknowledged after 90.0 s; step 2 of 3; \
             mail 2 of 2 (1 with trouble); sms 0 of 1 (1 with trouble)"
        );
    }

    #[test]
    fn a_drill_that_reached_nobody_says_so() {
        let nobody = score(Timestamp(0), None, 0, &[]);
        assert_eq!(nobody.words(), "nobody was paged; nobody acknowledged; step 0 of 0");
        let lost = [DrillPage { step: 1, round: 2, tries: vec![attempt("sms", None, true)] }];
        let lost = score(Timestamp(0), None, 1, &lost);
        assert_eq!(
            lost.words(),
            "none of 1 pages was delivered; nobody acknowledged; step 1 of 1 in round 2; sms 0 of 1 (1 with trouble)"
        );
    }
}
