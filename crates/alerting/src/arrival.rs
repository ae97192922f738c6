//! Evaluating rules when samples come, and not only on their interval: which rules are due after which metrics got samples,
//! what is looked at together, and how much of the time all of that may take.
//!
//! It comes on top of the interval and never takes its place: what is left out here for want of time waits for its interval,
//! and nothing is lost. Knows no store and no clock; the caller says what came, evaluates what is due, and says what it took.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tenfold_types::Timestamp;

/// What comes this soon after the first sample is looked at together with it: a scrape or a push is seldom one write.
pub const TOGETHER_MS: i64 = 50;
/// A group is evaluated for what came at most this often.
pub const APART_MS: i64 = 500;
/// A rule that takes longer, in microseconds, twice in a row waits for its interval.
pub const RULE_US_MAX: u64 = 50_000;
/// Where the rules that wait in a group take longer together, in microseconds, they wait for their interval.
pub const GROUP_US_MAX: u64 = 250_000;
/// After an evaluation a group rests for so many times as long as it took.
pub const REST_TIMES: i64 = 19;
/// Microseconds of evaluation that all groups together may take of a millisecond: a tenth of one processor.
pub const BUDGET_US_PER_MS: i64 = 100;
/// What is not used is kept up to this.
pub const BUDGET_US_KEPT: i64 = 250_000;
/// What was taken beyond the budget is held against it up to this: ten seconds of it.
pub const BUDGET_US_OWED: i64 = 1_000_000;
/// What is due later than this was reckoned by a clock that has been set back since.
const WAIT_MS_MAX: i64 = 60_000;

/// A rule that wants to know of samples of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The metric's name.
    pub name: Arc<str>,
    /// The group's place among all groups.
    pub group: usize,
    /// The rule's place in its group.
    pub rule: usize,
}

/// Rules of one group that are to be evaluated now, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub group: usize,
    pub rules: Vec<usize>,
}

/// Why a group was evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// Its interval was over.
    Interval,
    /// Samples came that its rules select.
    Arrival,
}

impl Occasion {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interval => "interval",
            Self::Arrival => "arrival",
        }
    }
}

#[derive(Debug, Default)]
struct Waiting {
    rules: BTreeSet<usize>,
    /// When the first of what waits came.
    since: Option<Timestamp>,
    not_before: Timestamp,
    /// Of rules over several metrics that have not all come yet, those that have.
    part: BTreeMap<usize, BTreeSet<Arc<str>>>,
    /// Microseconds that each rule took, the last time but one and the last.
    took_us: BTreeMap<usize, [u64; 2]>,
}

impl Waiting {
    fn due_at(&self, now: Timestamp) -> Option<Timestamp> {
        let at = self.since?.plus_ms(TOGETHER_MS).max(self.not_before);
        Some(if at.since_ms(now) > WAIT_MS_MAX { now } else { at })
    }

    /// Whether with this metric all have come that a rule selects.
    fn is_whole(&mut self, rule: usize, name: &Arc<str>, count: usize) -> bool {
        if count == 1 {
            return true;
        }
        let part = self.part.entry(rule).or_default();
        part.insert(name.clone());
        let whole = part.len() >= count;
        if whole {
            self.part.remove(&rule);
        }
        whole
    }

    fn forget(&mut self) {
        self.rules.clear();
        self.since = None;
    }

    /// What evaluating a rule is expected to take: the less of the last two times, since a busy machine makes anything slow once.
    fn expected_us(&self, rule: usize) -> u64 {
        self.took_us.get(&rule).map_or(0, |[before, last]| *before.min(last))
    }
}

/// What waits for its evaluation.
#[derive(Debug, Default)]
pub struct Arrivals {
    /// Group, rule, and how many metrics the rule selects.
    by_name: BTreeMap<Arc<str>, Vec<(usize, usize, usize)>>,
    groups: Vec<Waiting>,
    /// Microseconds that evaluations may still take; below zero they took more than they may.
    budget_us: i64,
    reckoned_at: Timestamp,
}

impl Arrivals {
    /// Nothing waits yet. `groups` is how many there are.
    pub fn new(groups: usize, watched: impl IntoIterator<Item = Watched>, now: Timestamp) -> Self {
        let mut by_rule: BTreeMap<(usize, usize), BTreeSet<Arc<str>>> = BTreeMap::new();
        for one in watched {
            if one.group < groups {
                by_rule.entry((one.group, one.rule)).or_default().insert(one.name);
            }
        }
        let mut by_name: BTreeMap<Arc<str>, Vec<(usize, usize, usize)>> = BTreeMap::new();
        for ((group, rule), names) in by_rule {
            let count = names.len();
            for name in names {
                by_name.entry(name).or_default().push((group, rule, count));
            }
        }
        let groups = std::iter::repeat_with(Waiting::default).take(groups).collect();
        Self { by_name, groups, budget_us: BUDGET_US_KEPT, reckoned_at: now }
    }

    /// The metrics that rules want to know of.
    pub fn names(&self) -> impl Iterator<Item = Arc<str>> + '_ {
        self.by_name.keys().cloned()
    }

    /// Metrics got samples. A rule over several waits until each has come since they were together last: between two requests
    /// that bring what belongs together it would compare what is new with what is old.
    pub fn came(&mut self, names: &[Arc<str>], now: Timestamp) {
        for name in names {
            for (group, rule, count) in self.by_name.get(name).into_iter().flatten() {
                let Some(waiting) = self.groups.get_mut(*group) else { continue };
                if waiting.expected_us(*rule) > RULE_US_MAX || !waiting.is_whole(*rule, name, *count) {
                    continue;
                }
                waiting.rules.insert(*rule);
                // One that lies ahead is of a clock that was set back.
                waiting.since = Some(waiting.since.map_or(now, |since| since.min(now)));
            }
        }
    }

    /// When there is something to evaluate, as far as is known by now; nothing where nothing waits.
    pub fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let first = self.groups.iter().filter_map(|waiting| waiting.due_at(now)).min()?;
        let owed = (1 - self.budget_at(now)).max(0);
        let pause_ms = (owed + BUDGET_US_PER_MS - 1) / BUDGET_US_PER_MS;
        Some(if pause_ms > 0 { first.max(now.plus_ms(pause_ms)) } else { first })
    }

    /// Takes what is due, the longest waiting first, as far as the budget goes.
    pub fn due(&mut self, now: Timestamp) -> Vec<Due> {
        self.budget_us = self.budget_at(now);
        self.reckoned_at = now;
        let ready = self.groups.iter().enumerate();
        let mut ready: Vec<(Option<Timestamp>, usize)> = ready
            .filter(|(_, waiting)| waiting.due_at(now).is_some_and(|at| at <= now))
            .map(|(group, waiting)| (waiting.since, group))
            .collect();
        ready.sort_unstable();
        let mut left_us = self.budget_us;
        let mut due = Vec::new();
        for (_, group) in ready {
            let Some(waiting) = self.groups.get_mut(group) else { continue };
            let expected_us: u64 = waiting.rules.iter().map(|rule| waiting.expected_us(*rule)).sum();
            if expected_us > GROUP_US_MAX {
                waiting.forget();
                continue;
            }
            if left_us <= 0 {
                break;
            }
            left_us -= i64::try_from(expected_us).unwrap_or(i64::MAX);
            due.push(Due { group, rules: waiting.rules.iter().copied().collect() });
            waiting.forget();
        }
        due
    }

    /// A group is about to be evaluated as a whole, which covers what waits in it.
    pub fn covered(&mut self, group: usize) {
        if let Some(waiting) = self.groups.get_mut(group) {
            waiting.forget();
        }
    }

    /// A group was evaluated: microseconds by rule. What is evaluated on its interval is not held against the budget.
    pub fn took(&mut self, group: usize, occasion: Occasion, took_us: &[(usize, u64)], now: Timestamp) {
        let Some(waiting) = self.groups.get_mut(group) else { return };
        for (rule, us) in took_us {
            let known = waiting.took_us.entry(*rule).or_default();
            *known = [known[1], *us];
        }
        if occasion == Occasion::Interval {
            return;
        }
        let sum_us = i64::try_from(took_us.iter().map(|(_, us)| us).sum::<u64>()).unwrap_or(i64::MAX);
        let rest_ms = (sum_us.saturating_mul(REST_TIMES) / 1_000).clamp(APART_MS, WAIT_MS_MAX);
        waiting.not_before = now.plus_ms(rest_ms);
        self.budget_us = self.budget_us.saturating_sub(sum_us).max(-BUDGET_US_OWED);
    }

    fn budget_at(&self, now: Timestamp) -> i64 {
        let passed_ms = now.since_ms(self.reckoned_at).clamp(0, WAIT_MS_MAX);
        (self.budget_us + passed_ms * BUDGET_US_PER_MS).min(BUDGET_US_KEPT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_795_424_000_000);

    fn at(ms: i64) -> Timestamp {
        START.plus_ms(ms)
    }

    fn name(text: &str) -> Arc<str> {
        Arc::from(text)
    }

    /// Group 0: rule 0 wants `errors`, rule 1 `requests`, rule 2 both. Group 1: rule 0 wants `errors`.
    fn arrivals() -> Arrivals {
        let rows = [("errors", 0, 0), ("requests", 0, 1), ("errors", 0, 2), ("requests", 0, 2), ("errors", 1, 0)];
        let watched = rows.map(|(text, group, rule)| Watched { name: name(text), group, rule });
        Arrivals::new(2, watched, START)
    }

    fn due(group: usize, rules: &[usize]) -> Due {
        Due { group, rules: rules.to_vec() }
    }

    #[test]
    fn only_rules_that_select_what_came_are_due() {
        let mut a = arrivals();
        assert_eq!(a.names().collect::<Vec<_>>(), [name("errors"), name("requests")]);
        a.came(&[name("nobody's"), name("requests")], at(0));
        assert_eq!(a.next_due(at(0)), Some(at(TOGETHER_MS)));
        assert_eq!(a.due(at(TOGETHER_MS - 1)), []);
        assert_eq!(a.due(at(TOGETHER_MS)), [due(0, &[1])]);
        assert_eq!((a.due(at(TOGETHER_MS)), a.next_due(at(TOGETHER_MS))), (vec![], None), "it is taken once");
    }

    #[test]
    fn a_rule_over_several_metrics_waits_for_the_last_of_them() {
        let mut a = arrivals();
        let mut seen = Vec::new();
        for (i, came) in ["requests", "requests", "errors", "errors", "requests"].into_iter().enumerate() {
            let ms = i64::try_from(i).unwrap() * 1_000;
            a.came(&[name(came)], at(ms));
            let found = a.due(at(ms + TOGETHER_MS));
            seen.push(found.iter().any(|due| due.group == 0 && due.rules.contains(&2)));
        }
        assert_eq!(seen, [false, false, true, false, true]);
    }

    #[test]
    fn what_comes_together_is_looked_at_once() {
        let mut a = arrivals();
        for ms in 0..TOGETHER_MS {
            a.came(&[name("requests"), name("errors")], at(ms));
        }
        assert_eq!(a.due(at(TOGETHER_MS)), [due(0, &[0, 1, 2]), due(1, &[0])]);
    }

    #[test]
    fn a_group_is_not_evaluated_more_often_than_it_may() {
        let mut a = arrivals();
        let mut count = 0;
        for ms in 0..10_000 {
            a.came(&[name("requests")], at(ms));
            for due in a.due(at(ms)) {
                count += 1;
                a.took(due.group, Occasion::Arrival, &[(1, 10)], at(ms));
            }
        }
        assert_eq!(count, 20, "every half second of ten");
    }

    #[test]
    fn a_group_rests_for_as_long_as_it_was_slow() {
        let mut a = arrivals();
        a.came(&[name("requests")], at(0));
        assert_eq!(a.due(at(100)).len(), 1);
        a.took(0, Occasion::Arrival, &[(1, 40_000)], at(140));
        a.came(&[name("requests")], at(150));
        assert_eq!(a.next_due(at(150)), Some(at(140 + 40 * REST_TIMES)));
        // The other one does not wait for it.
        a.came(&[name("errors")], at(200));
        assert_eq!(a.due(at(250)), [due(1, &[0])]);
    }

    #[test]
    fn what_is_slow_waits_for_its_interval() {
        let mut a = arrivals();
        let both = [name("errors"), name("requests")];
        a.took(0, Occasion::Interval, &[(0, RULE_US_MAX + 1), (1, 1)], at(-5_000));
        a.came(&both, at(-5_000));
        assert_eq!(a.due(at(-4_000)), [due(0, &[0, 1, 2]), due(1, &[0])], "once is none");
        a.took(0, Occasion::Interval, &[(0, RULE_US_MAX + 1), (1, 1)], at(0));
        a.came(&both, at(0));
        assert_eq!(a.due(at(60)), [due(0, &[1, 2]), due(1, &[0])], "the slow rule alone");
        let many = |rule| Watched { name: name("m"), group: 0, rule };
        let mut a = Arrivals::new(1, (0..6).map(many), START);
        let costs: Vec<(usize, u64)> = (0..6).map(|rule| (rule, RULE_US_MAX)).collect();
        a.took(0, Occasion::Interval, &costs, at(0));
        a.took(0, Occasion::Interval, &costs, at(0));
        a.came(&[name("m")], at(0));
        assert_eq!((a.due(at(60)), a.next_due(at(60))), (vec![], None), "all of them together");
        a.took(0, Occasion::Interval, &[(0, 5), (1, 5), (2, 5)], at(5_000));
        a.came(&[name("m")], at(5_000));
        assert_eq!(a.due(at(5_060)).len(), 1, "and not once they are quick again");
    }

    #[test]
    fn all_groups_together_keep_to_the_budget() {
        let watched = (0..100).map(|group| Watched { name: name("m"), group, rule: 0 });
        let mut a = Arrivals::new(100, watched, START);
        for group in (0..100).chain(0..100) {
            a.took(group, Occasion::Interval, &[(0, 20_000)], START);
        }
        let mut spent_us = 0_u32;
        for ms in 0..60_000 {
            a.came(&[name("m")], at(ms));
            for due in a.due(at(ms)) {
                spent_us += 20_000;
                a.took(due.group, Occasion::Arrival, &[(0, 20_000)], at(ms));
            }
        }
        let share = f64::from(spent_us) / 60_000_000.0;
        assert!((0.08..=0.11).contains(&share), "{share} of the time, a tenth is allowed");
    }

    #[test]
    fn what_the_budget_leaves_out_is_still_due_later() {
        let mut a = arrivals();
        a.came(&[name("requests")], at(0));
        assert_eq!(a.due(at(60)).len(), 1);
        a.took(0, Occasion::Arrival, &[(1, 5_000_000)], at(60));
        a.came(&[name("errors")], at(60));
        assert_eq!(a.due(at(200)), []);
        let next = a.next_due(at(200)).expect("group 1 waits");
        assert!(next > at(9_000) && next <= at(10_100), "ten seconds of the budget are owed, not fifty: {next:?}");
        assert_eq!(a.due(next), [due(1, &[0])]);
    }

    #[test]
    fn an_evaluation_of_the_whole_group_covers_what_waits() {
        let mut a = arrivals();
        a.came(&[name("errors")], at(0));
        a.covered(0);
        assert_eq!(a.due(at(60)), [due(1, &[0])]);
        assert_eq!(a.next_due(at(60)), None);
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nothing_waiting() {
        let mut a = arrivals();
        a.came(&[name("errors")], at(3_600_000));
        assert_eq!(a.due(at(3_600_060)).len(), 2);
        a.took(0, Occasion::Arrival, &[(0, 100)], at(3_600_060));
        a.came(&[name("errors")], at(0));
        assert_eq!(a.due(at(60)).len(), 2);
    }
}
