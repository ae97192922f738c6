//! The judge as a guard's condition: those who have the flag beside those who do not, at the same moment.

use serde::{Deserialize, Serialize};
use tenfold_judge::{Report, Settings, Verdict};

use super::Reading;
use super::guard::EXPR_CHARS_MAX;

/// What is said of the two sides.
const THOSE: &str = "those who have it";
const OTHERS: &str = "the others";
/// Points of the evidence that are kept with a flag.
const POINTS_MAX: usize = 120;

/// Counters of both sides, and what the judge is to keep to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = GuardJudge))]
#[serde(deny_unknown_fields)]
pub struct JudgeCondition {
    /// Failed requests beside all requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<ErrorCounters>,
    /// How long requests took. Without `errors` the slow ones are compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyCounters>,
    /// How many times as often those who have the flag may fail. 1 to 100.
    #[serde(default = "tenfold_judge::default::tolerate")]
    pub tolerate: f64,
    /// The step is good when "this many times as often or more" is refuted. Above `tolerate`.
    #[serde(default = "tenfold_judge::default::prove_below")]
    pub prove_below: f64,
    /// Chance of ever acting on a flag that is not worse, however often it is looked.
    #[serde(default = "tenfold_judge::default::alpha")]
    pub alpha: f64,
    /// Chance of calling a flag good that fails `prove_below` times as often or more.
    #[serde(default = "tenfold_judge::default::beta")]
    pub beta: f64,
    /// An error rate (0 to 1) below which nothing is bad, whatever it is a multiple of. Without it a flag beside which
    /// nothing ever fails is never called good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negligible: Option<f64>,
}

/// Counters as selectors: the judge takes their differences itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = GuardErrorCounters))]
#[serde(deny_unknown_fields)]
pub struct ErrorCounters {
    /// Of those who have the flag.
    pub new: BadOfTotal,
    /// Of those who do not.
    pub old: BadOfTotal,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = GuardBadOfTotal))]
#[serde(deny_unknown_fields)]
pub struct BadOfTotal {
    /// Requests that failed. No series while there are requests means that none did.
    pub bad: String,
    /// All requests.
    pub total: String,
}

/// The `_bucket` counters of a histogram.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = GuardLatencyCounters))]
#[serde(deny_unknown_fields)]
pub struct LatencyCounters {
    /// Of those who have the flag.
    pub new: String,
    /// Of those who do not.
    pub old: String,
}

impl JudgeCondition {
    pub fn settings(&self) -> Settings {
        Settings {
            alpha: self.alpha,
            beta: self.beta,
            tolerate: self.tolerate,
            prove_below: self.prove_below,
            negligible: self.negligible,
            ..Settings::default()
        }
    }

    /// The selectors it names, each with the field it stands in.
    pub fn selectors(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let errors = self.errors.iter().flat_map(|e| {
            [
                ("errors.new.bad", e.new.bad.as_str()),
                ("errors.new.total", e.new.total.as_str()),
                ("errors.old.bad", e.old.bad.as_str()),
                ("errors.old.total", e.old.total.as_str()),
            ]
        });
        let latency = self.latency.iter();
        errors.chain(latency.flat_map(|l| [("latency.new", l.new.as_str()), ("latency.old", l.old.as_str())]))
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.errors.is_none() && self.latency.is_none() {
            return Err("a judge compares `errors`, `latency` or both, and has neither".into());
        }
        for (field, selector) in self.selectors() {
            if selector.trim().is_empty() || selector.chars().count() > EXPR_CHARS_MAX {
                return Err(format!("`{field}` of a judge has 1 to {EXPR_CHARS_MAX} characters"));
            }
        }
        let same = |new: &str, old: &str| new.trim() == old.trim();
        if self.errors.as_ref().is_some_and(|e| same(&e.new.total, &e.old.total))
            || self.latency.as_ref().is_some_and(|l| same(&l.new, &l.old))
        {
            return Err("`new` and `old` of a judge are the same counters; a label has to tell who has the flag".into());
        }
        self.settings().check().map_err(|e| format!("the judge's {e}"))
    }
}

impl std::fmt::Display for JudgeCondition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match (&self.errors, &self.latency) {
            (Some(_), Some(_)) => "errors and latency",
            (None, Some(_)) => "latency",
            (_, None) => "errors",
        };
        write!(f, "judged by {what}: at most {} times as often, alpha {}", self.tolerate, self.alpha)
    }
}

impl Reading {
    pub fn judged(report: Report) -> Self {
        Self::Judged { report: Box::new(report.thinned(POINTS_MAX)) }
    }

    /// What it means for the ramp.
    pub fn stance(&self) -> Stance {
        match self {
            Self::Good { .. } => Stance::Good,
            Self::Failing { .. } => Stance::Failing,
            Self::NoData { .. } => Stance::Unknown,
            Self::Judged { report } => match report.verdict {
                Verdict::NotWorse => Stance::Good,
                Verdict::Worse => Stance::Failing,
                Verdict::Watching | Verdict::NoData | Verdict::NotEnoughData | Verdict::Inconclusive => Stance::Unknown,
            },
        }
    }

    /// In words, where it says more than a value.
    pub fn words(&self) -> Option<String> {
        match self {
            Self::Good { .. } | Self::Failing { .. } => None,
            Self::NoData { why } => Some(why.clone()),
            Self::Judged { report } => Some(report.sentence(THOSE, OTHERS)),
        }
    }
}

/// Good, failing, or neither: what is not known is never good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stance {
    Good,
    Failing,
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ramp::Guard;

    fn guard(more: &str) -> Guard {
        let text = format!(
            r#"{{"condition": {{"judge": {{"errors": {{
                "new": {{"bad": "b{{on=\"1\"}}", "total": "t{{on=\"1\"}}"}},
                "old": {{"bad": "b{{on=\"\"}}", "total": "t{{on=\"\"}}"}}}}{more}}}}}}}"#
        );
        serde_json::from_str(&text).expect("a guard")
    }

    #[test]
    fn what_is_left_out_is_as_the_judge_has_it() {
        let guard = guard("");
        guard.check().unwrap();
        let super::super::Condition::Judge(judge) = &guard.condition else { panic!("{guard:?}") };
        assert_eq!(judge.settings(), Settings::default());
        assert_eq!(judge.selectors().count(), 4);
        let text = serde_json::to_string(&guard).unwrap();
        assert_eq!(serde_json::from_str::<Guard>(&text).unwrap(), guard, "{text}");
        assert!(!text.contains("\"expr\":"), "{text}");
    }

    #[test]
    fn a_judge_says_what_is_wrong_with_it() {
        let cases = [
            (guard(r#", "alpha": 0"#), "`alpha` is 0"),
            (guard(r#", "tolerate": 0.5"#), "`tolerate`"),
            (guard(r#", "prove_below": 1.1"#), "`prove_below` is 1.1 but must be above `tolerate` (1.25)"),
            (guard(r#", "negligible": 2"#), "`negligible`"),
            (guard(r#", "latency": {"new": "x", "old": "x"}"#), "the same counters"),
            (guard(r#", "latency": {"new": "x", "old": " "}"#), "`latency.old`"),
            (Guard { expr: "up".into(), ..guard("") }, "`expr`"),
            (Guard { for_ms: 5, ..guard("") }, "`for_ms`"),
            (Guard { readings_min: 9, ..guard("") }, "`readings_min`"),
        ];
        for (guard, words) in cases {
            let said = guard.check().unwrap_err();
            assert!(said.contains(words), "{said} lacks {words}");
        }
        let neither: Guard = serde_json::from_str(r#"{"condition": {"judge": {}}}"#).unwrap();
        assert!(neither.check().unwrap_err().contains("neither"));
        assert!(serde_json::from_str::<Guard>(r#"{"condition": {"judge": {"bad": 1}}}"#).is_err());
    }
}
