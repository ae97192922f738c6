//! What a changed rule would have done: the state machine of rules, run over evaluations of the past.

use std::collections::BTreeMap;

use tenfold_types::{Labels, Timestamp};

use crate::{
    rules::AlertRule,
    state::{Answer, Present, RuleState, StepError, TransitionKind, step},
    template::RuleWorld,
};

/// One evaluation of the past.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    pub at: Timestamp,
    pub samples: Vec<(Labels, f64)>,
    pub present: Present,
}

/// A stretch in which an alert would have fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fire {
    pub series: Labels,
    pub from: Timestamp,
    /// `None` while it goes on.
    pub to: Option<Timestamp>,
}

impl Fire {
    /// Whether it fires at some time within two instants.
    pub fn within(&self, from: Timestamp, to: Timestamp) -> bool {
        self.from <= to && self.to.is_none_or(|end| end >= from)
    }
}

/// The stretches in which a rule would have fired, by when they began. Its labels and annotations do not matter here and
/// are not written.
///
/// # Errors
/// An evaluation that the rule could not follow.
pub fn fires(
    rule: &AlertRule,
    evaluations: impl IntoIterator<Item = Evaluated>,
    unknown_keep_ms: i64,
) -> Result<Vec<Fire>, StepError> {
    let bare = AlertRule { labels: BTreeMap::new(), annotations: BTreeMap::new(), ..rule.clone() };
    let nowhere = Labels::new();
    let (mut state, mut open, mut done) = (RuleState::default(), BTreeMap::new(), Vec::new());
    for Evaluated { at, samples, present } in evaluations {
        let world = RuleWorld { external_labels: &nowhere, external_url: "", ask: None, at };
        let answer = Answer::Samples { samples, present };
        let (transitions, refused) = step(&bare, &mut state, answer, world, unknown_keep_ms);
        if let Some(refused) = refused {
            return Err(refused);
        }
        for transition in transitions {
            let series = transition.alert.series;
            match transition.kind {
                TransitionKind::Firing => {
                    open.insert(series, at);
                }
                TransitionKind::Resolved | TransitionKind::Expired | TransitionKind::RuleRemoved => {
                    if let Some(from) = open.remove(&series) {
                        done.push(Fire { series, from, to: Some(at) });
                    }
                }
                TransitionKind::Pending
                | TransitionKind::FiringAgain
                | TransitionKind::Cleared
                | TransitionKind::Unknown => {}
            }
        }
    }
    done.extend(open.into_iter().map(|(series, from)| Fire { series, from, to: None }));
    done.sort_by(|a, b| (a.from, &a.series).cmp(&(b.from, &b.series)));
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::rules::{Rule, parse_rules};

    fn rule(for_: &str) -> AlertRule {
        let yaml = format!(
            "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: x > 5\n    for: {for_}\n    annotations: {{summary: '{{{{ $value }}}}'}}\n"
        );
        match parse_rules(&yaml).unwrap().groups.remove(0).rules.remove(0) {
            Rule::Alert(rule) => rule,
            Rule::Record(_) => unreachable!("it is an alert"),
        }
    }

    /// One value a minute; none is no data.
    fn evaluations(values: &[Option<f64>]) -> Vec<Evaluated> {
        let series = Labels::from_pairs([("job", "a")]);
        let one = |(i, value): (usize, &Option<f64>)| Evaluated {
            at: Timestamp(i as i64 * 60_000),
            samples: value.filter(|v| *v > 5.0).map(|v| (series.clone(), v)).into_iter().collect(),
            present: Present::Series(value.iter().map(|_| series.clone()).collect::<BTreeSet<_>>()),
        };
        values.iter().enumerate().map(one).collect()
    }

    fn minutes(for_: &str, values: &[Option<f64>]) -> Vec<(i64, Option<i64>)> {
        let fires = fires(&rule(for_), evaluations(values), 3_600_000).unwrap();
        fires.iter().map(|f| (f.from.millis() / 60_000, f.to.map(|t| t.millis() / 60_000))).collect()
    }

    #[test]
    fn a_longer_wait_leaves_out_what_is_short() {
        let values: Vec<_> = [9, 1, 9, 9, 9, 9, 1, 9, 9].into_iter().map(|v| Some(f64::from(v))).collect();
        assert_eq!(minutes("0s", &values), [(0, Some(1)), (2, Some(6)), (7, None)]);
        assert_eq!(minutes("1m", &values), [(3, Some(6)), (8, None)]);
        assert_eq!(minutes("3m", &values), [(5, Some(6))]);
        assert_eq!(minutes("5m", &values), []);
    }

    /// A gap in the data is no end, so that it is no second fire either.
    #[test]
    fn no_data_ends_nothing() {
        let values = [Some(9.0), None, None, Some(9.0), Some(1.0)];
        assert_eq!(minutes("0s", &values), [(0, Some(4))]);
    }

    #[test]
    fn a_stretch_is_within_what_it_touches() {
        let at = |minute: i64| Timestamp(minute * 60_000);
        let fire = Fire { series: Labels::new(), from: at(5), to: Some(at(7)) };
        assert!(fire.within(at(0), at(5)) && fire.within(at(7), at(9)) && fire.within(at(6), at(6)));
        assert!(!fire.within(at(0), at(4)) && !fire.within(at(8), at(9)));
        assert!(Fire { to: None, ..fire }.within(at(100), at(101)));
    }
}
