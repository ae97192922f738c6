//! The watch after a promotion: all hosts run the new release, and its rate of failed requests and that of slow ones are
//! held against what they were before.

use serde::{Deserialize, Serialize};

use crate::counts::Count;
use crate::cusum::Cusum;
use crate::dispersion::dispersion;

/// Fewer requests before the deploy say nothing of the rate there was.
const REQUESTS_MIN: u64 = 100;

/// Which requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    #[default]
    Failed,
    /// Slower than nineteen of twenty were before the deploy.
    Slow,
}

/// What the watch saw so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct After {
    #[serde(default)]
    pub counted: Counted,
    /// Their rate before the deploy.
    pub reference: f64,
    /// How many times as often as before counts as worse.
    pub factor: f64,
    /// Page's sum at the newest look, or at the alarm, and where the alarm is raised; in nats.
    pub sum: f64,
    pub alarm_at: f64,
    /// Requests since the promotion.
    pub seen: Count,
    pub alarmed: bool,
}

impl After {
    /// Holds `counts`, look by look, against `before`. The chance of a false alarm in `looks_max` looks is about `alpha`
    /// at most: it comes on average no earlier than after `looks_max / alpha` looks (Lorden 1971). What comes in bursts
    /// raises the bar by how bursty it was. `None` when too little was counted before.
    pub fn watch(
        counted: Counted,
        (before, counts): (&[Count], &[Count]),
        factor: f64,
        alpha: f64,
        looks_max: u64,
    ) -> Option<Self> {
        let mut past = Count::default();
        for count in before {
            past.add(*count);
        }
        let reference = past.rate().filter(|_| past.total >= REQUESTS_MIN)?;
        // Nothing failed: at most the rate at which a failure would have been expected.
        let reference = reference.max(1.0 / past.total as f64);
        let bursts = dispersion(before).unwrap_or(1.0);
        let alarm_at = (looks_max.max(1) as f64 / alpha).ln() * bursts;
        let mut cusum = Cusum::new(reference, factor, alarm_at);
        let mut seen = Count::default();
        for count in counts {
            seen.add(*count);
            if cusum.observe(*count) {
                break;
            }
        }
        Some(Self { counted, reference, factor, sum: cusum.sum(), alarm_at, seen, alarmed: cusum.is_alarmed() })
    }

    /// Why there can be no watch, when `watch` says `None`.
    pub fn no_reference(before: &[Count]) -> String {
        let seen = before.iter().fold(0u64, |sum, count| sum.saturating_add(count.total));
        format!(
            "{seen} requests were counted in the hour before it, and at least {REQUESTS_MIN} are needed to know what is normal"
        )
    }

    /// As a person would say it.
    pub fn sentence(&self) -> String {
        let rate = self.seen.rate().unwrap_or(0.0) * 100.0;
        let (total, before) = (self.seen.total, self.reference * 100.0);
        match self.counted {
            Counted::Failed => {
                format!("{rate:.2} % of {total} requests failed since the promotion, {before:.2} % did before")
            }
            Counted::Slow => {
                format!("{rate:.2} % of {total} requests were slow since the promotion, {before:.2} % were before")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gets_worse_after_the_promotion_is_found() {
        let before = vec![Count::new(1, 100); 360];
        let watch = |count: Count| After::watch(Counted::Failed, (&before, &vec![count; 120]), 2.0, 0.01, 120);
        let same = watch(Count::new(1, 100)).unwrap();
        assert!(!same.alarmed && same.seen.total == 12_000, "{same:?}");
        let worse = watch(Count::new(4, 100)).unwrap();
        assert!(worse.alarmed && worse.seen.total < 1_200, "{worse:?}");
        assert!(worse.sentence().starts_with("4.00 % of "), "{}", worse.sentence());
        assert!(!watch(Count::default()).unwrap().alarmed, "no requests are no alarm");
    }

    #[test]
    fn without_a_past_there_is_no_watch() {
        let watch = |before: &[Count], counts: &[Count]| After::watch(Counted::Slow, (before, counts), 2.0, 0.01, 10);
        assert_eq!(watch(&[], &[Count::new(9, 9)]), None);
        assert_eq!(watch(&[Count::new(1, 99)], &[]), None);
        let said = After::no_reference(&[Count::new(1, 90), Count::new(0, 9)]);
        assert!(said.starts_with("99 requests were counted in the hour before it"), "{said}");
        let clean = watch(&[Count::new(0, 1_000)], &[Count::new(1, 10)]).unwrap();
        assert!((clean.reference - 0.001).abs() < 1e-12 && !clean.alarmed);
    }
}
