//! `expects` of the pipeline file: what whoever ships says beforehand. It is shown before the click, and what can be
//! measured is scored after the deploy.

use serde::{Deserialize, Serialize};

/// Most metrics, risks or signs.
pub const LINES_MAX: usize = 20;
/// Longest line, in characters.
pub const LINE_CHARS_MAX: usize = 500;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Expects {
    pub metrics: Vec<Expectation>,
    /// What could go wrong.
    pub risks: Vec<String>,
    /// How one would notice.
    pub signs: Vec<String>,
    /// What to do then.
    pub contingency: String,
    /// How long after the last host the metrics are held against what they were before the first.
    pub after_s: u32,
}

impl Default for Expects {
    fn default() -> Self {
        Self { metrics: Vec::new(), risks: Vec::new(), signs: Vec::new(), contingency: String::new(), after_s: 600 }
    }
}

/// A query with one value that should move, or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// In PromQL; `$service` and `$environment` are filled in.
    pub query: String,
    pub should: Should,
    /// By how much of what it was: 0.1 is a tenth. To `stay` is to move by less.
    #[serde(default = "by_default")]
    pub by: f64,
    /// For people.
    #[serde(default)]
    pub why: String,
}

const fn by_default() -> f64 {
    0.05
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Should {
    Rise,
    Fall,
    Stay,
}

impl Should {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Rise => "rise",
            Self::Fall => "fall",
            Self::Stay => "stay",
        }
    }
}

/// What came of an expectation. Without both values it is not known, and not met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Met,
    Missed,
    Unknown,
}

impl Outcome {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::Unknown => "unknown",
        }
    }
}

impl Expectation {
    /// `sum(rate(errors[5m])) should fall by 10 %`
    pub fn sentence(&self) -> String {
        let by = match self.should {
            Should::Stay => format!("stay within {} %", percent(self.by)),
            other => format!("{} by {} %", other.word(), percent(self.by)),
        };
        let why = if self.why.is_empty() { String::new() } else { format!(" ({})", self.why) };
        format!("{} should {by}{why}", self.query.trim())
    }

    pub fn score(&self, before: Option<f64>, after: Option<f64>) -> Outcome {
        let finite = |v: Option<f64>| v.filter(|v| v.is_finite());
        let (Some(before), Some(after)) = (finite(before), finite(after)) else { return Outcome::Unknown };
        let (moved, enough) = (after - before, self.by * before.abs());
        let met = match self.should {
            Should::Rise => moved > 0.0 && moved >= enough,
            Should::Fall => moved < 0.0 && -moved >= enough,
            Should::Stay => moved.abs() <= enough,
        };
        if met { Outcome::Met } else { Outcome::Missed }
    }
}

fn percent(share: f64) -> f64 {
    (share * 1000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_expected_is_met_missed_or_unknown() {
        let one = |should, by| Expectation { query: "q".into(), should, by, why: String::new() };
        let cases = [
            (Should::Rise, 0.1, Some(10.0), Some(11.0), Outcome::Met),
            (Should::Rise, 0.1, Some(10.0), Some(10.9), Outcome::Missed),
            (Should::Rise, 0.1, Some(0.0), Some(0.0), Outcome::Missed),
            (Should::Rise, 0.1, Some(0.0), Some(0.1), Outcome::Met),
            (Should::Fall, 0.5, Some(10.0), Some(5.0), Outcome::Met),
            (Should::Fall, 0.5, Some(-10.0), Some(-14.0), Outcome::Missed),
            (Should::Stay, 0.05, Some(100.0), Some(95.0), Outcome::Met),
            (Should::Stay, 0.05, Some(100.0), Some(94.9), Outcome::Missed),
            (Should::Stay, 0.05, Some(0.0), Some(0.0), Outcome::Met),
            (Should::Stay, 0.05, None, Some(0.0), Outcome::Unknown),
            (Should::Rise, 0.05, Some(1.0), Some(f64::NAN), Outcome::Unknown),
        ];
        for (should, by, before, after, expected) in cases {
            assert_eq!(one(should, by).score(before, after), expected, "{should:?} {by} {before:?} {after:?}");
        }
        assert_eq!(one(Should::Fall, 0.125).sentence(), "q should fall by 12.5 %");
        let why = Expectation { why: "no retries".into(), ..one(Should::Stay, 0.05) };
        assert_eq!(why.sentence(), "q should stay within 5 % (no retries)");
    }
}
