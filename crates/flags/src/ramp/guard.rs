//! A guard: a condition on the metrics that has to hold while a step of a ramp is held.

use serde::{Deserialize, Serialize};
use tenfold_judge::{Bounds, Report};
use tenfold_types::{Labels, Severity, Timestamp};

use super::judged::JudgeCondition;

pub(super) const EXPR_CHARS_MAX: usize = 4_096;
const INTERVAL_MS_MIN: i64 = 1_000;
const INTERVAL_MS_MAX: i64 = 600_000;
const FOR_MS_MAX: i64 = 24 * 3_600_000;
const WAIT_MS_MAX: i64 = 7 * 24 * 3_600_000;
const READINGS_MAX: u32 = 10_000;
/// Series that evidence names.
const SERIES_TOLD_MAX: usize = 5;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// PromQL. Every series it answers with has to meet the threshold. A judge has counters of its own in its place.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub expr: String,
    pub condition: Condition,
    /// The flag acts when the condition has failed for this long without a good reading in between; 0 acts at once.
    #[serde(default)]
    pub for_ms: i64,
    /// How often the expression is asked.
    #[serde(default = "default_interval")]
    pub interval_ms: i64,
    /// Good readings that a step needs before the next one is taken.
    #[serde(default = "default_readings")]
    pub readings_min: u32,
    /// With less traffic than this a reading counts as no data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
    /// What happens when the condition fails.
    #[serde(default)]
    pub on_fail: TripAction,
    /// What happens when a step is due and there are no data to take it on. No data is never good.
    #[serde(default)]
    pub no_data: NoData,
    /// Of the event when it acts: `warning` or `critical`.
    #[serde(default = "default_severity")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub severity: Severity,
    /// Also opens an incident when it acts.
    #[serde(default)]
    pub incident: bool,
    /// The service whose people an incident is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

/// What has to hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(feature = "openapi", schema(as = GuardCondition))]
pub enum Condition {
    /// Each value compared with a number.
    Threshold { op: Comparison, value: f64 },
    /// Those who have the flag compared with those who do not, over all that was counted since the step began.
    Judge(Box<JudgeCondition>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = GuardComparison))]
pub enum Comparison {
    #[serde(rename = "<")]
    Below,
    #[serde(rename = "<=")]
    AtMost,
    #[serde(rename = ">")]
    Above,
    #[serde(rename = ">=")]
    AtLeast,
}

/// How much has to be going on for a reading to say anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", schema(as = GuardTraffic))]
pub struct Traffic {
    /// PromQL; the sum of what it answers with is compared.
    pub expr: String,
    pub at_least: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", schema(as = GuardTripAction))]
pub enum TripAction {
    /// Switches the flag off.
    #[default]
    Off,
    /// Goes back to the step before and pauses there; from the first step it switches off.
    StepBack,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", schema(as = GuardNoData))]
pub struct NoData {
    /// How long a due step waits for data.
    #[serde(default = "default_wait")]
    pub wait_ms_max: i64,
    #[serde(default)]
    pub then: WaitAction,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", schema(as = GuardWaitAction))]
pub enum WaitAction {
    /// Pauses the ramp where it is and opens an incident, which pages.
    #[default]
    Page,
    /// Switches the flag off.
    Off,
    /// Waits on, without end.
    Hold,
}

/// What one look at the metrics said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", tag = "kind")]
#[cfg_attr(feature = "openapi", schema(as = GuardReading))]
pub enum Reading {
    /// The condition holds for every series; `value` is the one nearest to failing.
    Good {
        value: f64,
        series: usize,
    },
    /// It fails for at least one; the worst first.
    Failing {
        value: f64,
        series: usize,
        worst: Vec<FailingSeries>,
    },
    NoData {
        why: String,
    },
    /// What the judge makes of everything since the step began. Only `not_worse` lets the next step be taken, only
    /// `worse` acts; while it is undecided the verdict is what it would have to say if nothing more were seen.
    Judged {
        report: Box<Report>,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = GuardSeries))]
pub struct FailingSeries {
    pub labels: String,
    pub value: f64,
}

/// Why a guard acted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = GuardEvidence))]
pub struct Evidence {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub expr: String,
    pub condition: Condition,
    pub reading: Reading,
    /// Good readings of the step before.
    pub good: u32,
    pub for_ms: i64,
    /// Since when it failed, or since when there were no data.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub since: Timestamp,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// The percentage at which it happened.
    pub percent: crate::Share,
}

const fn default_interval() -> i64 {
    5_000
}
const fn default_readings() -> u32 {
    3
}
const fn default_wait() -> i64 {
    3_600_000
}
const fn default_severity() -> Severity {
    Severity::Critical
}

impl Default for NoData {
    fn default() -> Self {
        Self { wait_ms_max: default_wait(), then: WaitAction::default() }
    }
}

impl Comparison {
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
        }
    }
    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Below => value < bound,
            Self::AtMost => value <= bound,
            Self::Above => value > bound,
            Self::AtLeast => value >= bound,
        }
    }
    /// Larger is nearer to failing.
    fn badness(self, value: f64) -> f64 {
        match self {
            Self::Below | Self::AtMost => value,
            Self::Above | Self::AtLeast => -value,
        }
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Threshold { op, value } => write!(f, "{} {value}", op.sign()),
            Self::Judge(judge) => judge.fmt(f),
        }
    }
}

impl Guard {
    /// A guard that switches off as soon as one value of `expr` does not meet the threshold.
    pub fn threshold(expr: impl Into<String>, op: Comparison, value: f64) -> Self {
        Self {
            expr: expr.into(),
            condition: Condition::Threshold { op, value },
            for_ms: 0,
            interval_ms: default_interval(),
            readings_min: default_readings(),
            traffic: None,
            on_fail: TripAction::default(),
            no_data: NoData::default(),
            severity: default_severity(),
            incident: false,
            service: None,
        }
    }

    /// What is wrong with it, in one sentence. Whether the expressions are PromQL is asked elsewhere.
    pub fn check(&self) -> Result<(), String> {
        match &self.condition {
            Condition::Threshold { value, .. } => self.check_threshold(*value)?,
            Condition::Judge(judge) => {
                self.check_judged()?;
                judge.check()?;
            }
        }
        if !(INTERVAL_MS_MIN..=INTERVAL_MS_MAX).contains(&self.interval_ms) {
            return Err(format!("a guard looks every {INTERVAL_MS_MIN} to {INTERVAL_MS_MAX} milliseconds"));
        }
        if !(0..=FOR_MS_MAX).contains(&self.for_ms) {
            return Err(format!("`for_ms` of a guard is 0 to {FOR_MS_MAX} milliseconds"));
        }
        if !(1..=READINGS_MAX).contains(&self.readings_min) {
            return Err(format!("a guard wants 1 to {READINGS_MAX} good readings"));
        }
        if !(0..=WAIT_MS_MAX).contains(&self.no_data.wait_ms_max) {
            return Err(format!("a guard waits 0 to {WAIT_MS_MAX} milliseconds for data"));
        }
        if !matches!(self.severity, Severity::Warning | Severity::Critical) {
            return Err("the severity of a guard is warning or critical".into());
        }
        Ok(())
    }

    fn check_threshold(&self, value: f64) -> Result<(), String> {
        let exprs = std::iter::once(&self.expr).chain(self.traffic.as_ref().map(|t| &t.expr));
        for expr in exprs {
            if expr.trim().is_empty() || expr.chars().count() > EXPR_CHARS_MAX {
                return Err(format!("the expression of a guard has 1 to {EXPR_CHARS_MAX} characters"));
            }
        }
        let bounds = std::iter::once(value).chain(self.traffic.as_ref().map(|t| t.at_least));
        if bounds.into_iter().any(|bound| !bound.is_finite()) {
            return Err("a guard compares with a finite number".into());
        }
        Ok(())
    }

    /// The judge weighs every reading and all traffic itself.
    fn check_judged(&self) -> Result<(), String> {
        let needless = [
            ("expr", !self.expr.is_empty(), "the judge has counters of its own"),
            ("traffic", self.traffic.is_some(), "the judge says itself when there is too little"),
            ("for_ms", self.for_ms != 0, "the judge's evidence needs no second look"),
            ("readings_min", self.readings_min != default_readings(), "the judge's verdict is over all readings"),
        ];
        needless
            .into_iter()
            .find(|(_, given, _)| *given)
            .map_or(Ok(()), |(field, _, why)| Err(format!("`{field}` belongs to a threshold: {why}")))
    }

    /// How often it looks at a step that has been held for so long: a judge that counts over days looks less often.
    pub fn look_every_ms(&self, held_ms: i64) -> i64 {
        match &self.condition {
            Condition::Threshold { .. } => self.interval_ms,
            Condition::Judge(_) => Bounds::apart(held_ms, self.interval_ms),
        }
    }

    /// Good readings that a step needs: a judge's one verdict is over all of them.
    pub(super) fn readings_wanted(&self) -> u32 {
        match &self.condition {
            Condition::Threshold { .. } => self.readings_min,
            Condition::Judge(_) => 1,
        }
    }

    /// Reads an answer of a threshold's expression: `traffic` is the sum of the traffic expression, asked only where the guard has one. Values that
    /// are no numbers (0 / 0) are no data.
    pub fn read(&self, answer: &[(Labels, f64)], traffic: Option<f64>) -> Reading {
        if let Some(wanted) = &self.traffic {
            let has = traffic.filter(|t| t.is_finite()).unwrap_or(0.0);
            if has < wanted.at_least {
                return Reading::NoData { why: format!("traffic is {has}, and {} is wanted", wanted.at_least) };
            }
        }
        let Condition::Threshold { op, value: bound } = self.condition else {
            return Reading::no_data("a judge reads counters, not an expression");
        };
        let mut known: Vec<&(Labels, f64)> = answer.iter().filter(|(_, v)| !v.is_nan()).collect();
        known.sort_by(|(_, a), (_, b)| op.badness(*b).total_cmp(&op.badness(*a)));
        let Some((_, worst)) = known.first() else {
            let why = if answer.is_empty() { "the expression answers with nothing" } else { "no value is a number" };
            return Reading::NoData { why: why.into() };
        };
        let (value, series) = (*worst, known.len());
        if op.holds(value, bound) {
            return Reading::Good { value, series };
        }
        let failing = known.iter().filter(|(_, v)| !op.holds(*v, bound)).take(SERIES_TOLD_MAX);
        let worst = failing.map(|(labels, value)| FailingSeries { labels: labels.to_string(), value: *value });
        Reading::Failing { value, series, worst: worst.collect() }
    }
}

impl Reading {
    pub fn no_data(why: impl Into<String>) -> Self {
        Self::NoData { why: why.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(values: &[f64]) -> Vec<(Labels, f64)> {
        values.iter().enumerate().map(|(i, v)| (Labels::from_pairs([("host", format!("h{i}"))]), *v)).collect()
    }

    #[test]
    fn every_series_has_to_meet_the_condition() {
        let guard = Guard::threshold("errors", Comparison::Below, 0.05);
        assert_eq!(guard.read(&answer(&[0.01, 0.04]), None), Reading::Good { value: 0.04, series: 2 });
        let Reading::Failing { value, series, worst } = guard.read(&answer(&[0.01, 0.2, 0.06]), None) else {
            panic!("0.2 is not below 0.05")
        };
        assert_eq!((value, series), (0.2, 3));
        assert_eq!(worst.iter().map(|w| w.value).collect::<Vec<_>>(), [0.2, 0.06]);
        assert!(worst[0].labels.contains("h1"), "{}", worst[0].labels);
        let floor = Guard::threshold("rate", Comparison::AtLeast, 10.0);
        assert_eq!(floor.read(&answer(&[10.0, 12.0]), None), Reading::Good { value: 10.0, series: 2 });
        assert!(matches!(floor.read(&answer(&[9.9]), None), Reading::Failing { .. }));
    }

    #[test]
    fn no_data_is_never_good() {
        let guard = Guard::threshold("errors", Comparison::Below, 0.05);
        for values in [&[][..], &[f64::NAN], &[f64::NAN, f64::NAN]] {
            assert!(matches!(guard.read(&answer(values), None), Reading::NoData { .. }), "{values:?}");
        }
        assert!(matches!(guard.read(&answer(&[f64::INFINITY]), None), Reading::Failing { .. }));
        let traffic = Some(Traffic { expr: "requests".into(), at_least: 50.0 });
        let busy = Guard { traffic, ..guard };
        for (sum, good) in [(None, false), (Some(49.0), false), (Some(f64::NAN), false), (Some(50.0), true)] {
            let reading = busy.read(&answer(&[0.0]), sum);
            assert_eq!(matches!(reading, Reading::Good { .. }), good, "{sum:?}");
        }
    }

    #[test]
    fn a_guard_says_what_is_wrong_with_it() {
        let good = Guard::threshold("errors", Comparison::Below, 0.05);
        good.check().unwrap();
        let cases = [
            (Guard { expr: " ".into(), ..good.clone() }, "4096"),
            (Guard { interval_ms: 10, ..good.clone() }, "1000"),
            (Guard { for_ms: -1, ..good.clone() }, "for_ms"),
            (Guard { readings_min: 0, ..good.clone() }, "10000"),
            (Guard { severity: Severity::Good, ..good.clone() }, "warning"),
            (Guard { condition: Condition::Threshold { op: Comparison::Above, value: f64::NAN }, ..good }, "finite"),
        ];
        for (guard, words) in cases {
            let said = guard.check().unwrap_err();
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn what_is_left_out_has_a_careful_default() {
        let guard: Guard =
            serde_json::from_str(r#"{"expr": "e", "condition": {"threshold": {"op": "<", "value": 0.05}}}"#).unwrap();
        assert_eq!(guard, Guard::threshold("e", Comparison::Below, 0.05));
        assert_eq!((guard.on_fail, guard.no_data.then), (TripAction::Off, WaitAction::Page));
        assert_eq!(guard.condition.to_string(), "< 0.05");
    }
}
