//! What the judge saw, in numbers and as a line over time. It tests nothing: formulas and sources stand where the
//! numbers come from, in `counts`, `latency` and `interval`.

use serde::{Deserialize, Serialize};

use crate::counts::{Bin, Count};
use crate::judge::Verdict;
use crate::math::log_mean_exp;

/// Points of the picture; more looks are thinned, the newest always stays.
const POINTS_MAX: usize = 600;

/// Evidence at one look, in nats (`ln E`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = JudgeEvidence))]
pub struct Evidence {
    pub at_ms: i64,
    /// For "more errors than tolerated".
    pub errors: f64,
    /// For "slower"; absent where latency is not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<f64>,
    /// Against "as bad as `prove_below` or worse".
    pub promote: f64,
    /// What both sides had done by then; absent in what was kept before it was drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sides: Option<Sides>,
}

/// Both sides by one look, all looks until then together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = JudgeSides))]
pub struct Sides {
    pub seen: Bin,
    /// The believable ratios by then; `ratio_high` is absent where none could be ruled out.
    pub ratio_low: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio_high: Option<f64>,
}

impl Evidence {
    /// For "worse", `ln E`: the mean of both e-values where both are judged.
    pub fn worse(&self) -> f64 {
        self.latency.map_or(self.errors, |latency| log_mean_exp([self.errors, latency].into_iter()))
    }
}

/// Everything a person needs to believe or doubt the verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = JudgeReport))]
pub struct Report {
    pub verdict: Verdict,
    /// Requests and errors on both sides, all looks together.
    pub seen: Bin,
    /// Canary's error rate over the control's; absent without requests on a side.
    pub ratio: Option<f64>,
    /// The believable ratios; `ratio_high` is absent where none could be ruled out.
    pub ratio_low: f64,
    pub ratio_high: Option<f64>,
    /// Ratio up to which the canary is not called worse: the setting, raised where the hosts were unequal before.
    pub tolerated: f64,
    /// Ratio that has to be refuted before it is called not worse: the setting, raised with what is tolerated.
    pub prove_below: f64,
    /// Error rate below which the canary is never bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negligible: Option<f64>,
    /// Variance over mean of the control's errors before the deploy: 1 when they come one by one. Evidence is tempered by
    /// it.
    pub dispersion: f64,
    /// Nats at which it is rolled back and promoted.
    pub roll_back_at: f64,
    pub promote_at: f64,
    /// Canary requests after which a release as good as the old one is promoted, on average; absent while no error was
    /// seen anywhere, when no number would do.
    pub canary_requests_needed: Option<u64>,
    /// Requests slower than nearly all of the control's, where a histogram is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow: Option<Bin>,
    /// Nobody counts errors: what is compared are the slow requests.
    #[serde(default)]
    pub latency_alone: bool,
    pub series: Vec<Evidence>,
}

impl Report {
    /// Evidence for "worse" at the newest look, in nats.
    pub fn worse_evidence(&self) -> f64 {
        self.series.last().map_or(0.0, Evidence::worse)
    }

    /// Evidence for "not worse" at the newest look, in nats.
    pub fn promote_evidence(&self) -> f64 {
        self.series.last().map_or(0.0, |e| e.promote)
    }

    /// The verdict with its numbers as a person would say it; `canary` and `control` name the two sides in the plural, as
    /// in "the hosts of the canary" and "the others".
    pub fn sentence(&self, canary: &str, control: &str) -> String {
        let (seen, failing) = (self.seen, if self.latency_alone { "are slow" } else { "fail" });
        match self.verdict {
            Verdict::NoData | Verdict::Watching if seen.canary.total == 0 => {
                format!("no data: {canary} made no request")
            }
            Verdict::NoData => format!("no data: {control} made no request to compare with"),
            Verdict::Watching | Verdict::NotEnoughData => {
                let has = format!("not enough data: {canary} made {} requests", whole(seen.canary.total));
                match self.canary_requests_needed {
                    Some(needed) => format!("{has}, about {} are needed", whole(needed.max(seen.canary.total + 1))),
                    None => format!("{has}, and nothing failed on either side, so that there is nothing to compare"),
                }
            }
            Verdict::Inconclusive => {
                format!("inconclusive: {canary} {failing} {}, {}; it points nowhere", self.ratio_words(), self.counts())
            }
            Verdict::NotWorse if seen.canary.events == 0 && seen.control.events == 0 => format!(
                "not worse: nothing failed, {}; the evidence is {} to 1 where {} to 1 is wanted",
                self.counts(),
                odds(self.promote_evidence()),
                odds(self.promote_at)
            ),
            Verdict::NotWorse => format!(
                "not worse: {canary} {failing} {}, {}; the evidence is {} to 1 where {} to 1 is wanted",
                self.ratio_words(),
                self.counts(),
                odds(self.promote_evidence()),
                odds(self.promote_at)
            ),
            Verdict::Worse => format!(
                "{}; the evidence is {} to 1 where {} to 1 is wanted",
                self.worse_words(canary, control),
                odds(self.worse_evidence()),
                odds(self.roll_back_at)
            ),
        }
    }

    fn worse_words(&self, canary: &str, control: &str) -> String {
        let by_errors = self.series.last().is_none_or(|e| e.latency.is_none_or(|latency| e.errors >= latency));
        if by_errors {
            let failing = if self.latency_alone { "are slow" } else { "fail" };
            return format!("{canary} {failing} {} as {control}, {}", self.ratio_words(), self.counts());
        }
        let share = |c: Count| c.rate().map_or_else(|| "no".to_owned(), |r| format!("{:.1} %", r * 100.0));
        let slow = self.slow.map_or_else(String::new, |slow| {
            format!(
                ": {} of {} are slow beside {} of {}",
                share(slow.canary),
                whole(slow.canary.total),
                share(slow.control),
                whole(slow.control.total)
            )
        });
        format!("{canary} are slower than {control}{slow}")
    }

    fn ratio_words(&self) -> String {
        let ratio =
            self.ratio.map_or_else(|| "an unknown number of times".to_owned(), |r| format!("{} times", short(r)));
        let high = self.ratio_high.map_or_else(|| "any number".to_owned(), short);
        format!("{ratio} as often ({} to {high})", short(self.ratio_low))
    }

    fn counts(&self) -> String {
        let side = |c: Count| format!("{} of {}", whole(c.events), whole(c.total));
        format!("{} beside {}", side(self.seen.canary), side(self.seen.control))
    }

    /// With at most so many points, evenly taken; the newest stays.
    pub fn thinned(mut self, points_max: usize) -> Self {
        let every = self.series.len().div_ceil(points_max.max(1));
        let last = self.series.len().saturating_sub(1);
        let mut index = 0;
        self.series.retain(|_| {
            index += 1;
            (last + 1 - index).is_multiple_of(every.max(1))
        });
        self
    }
}

/// An e-value as odds, from its logarithm.
fn odds(nats: f64) -> String {
    match nats.exp() {
        e if e >= 1e6 => "over a million".to_owned(),
        e if e >= 10.0 => whole((e + 1e-6) as u64),
        e => short(e),
    }
}

/// Two digits are enough for a sentence.
fn short(value: f64) -> String {
    if value >= 10.0 {
        return format!("{value:.0}");
    }
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// With a comma at the thousands.
fn whole(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Keeps at most `POINTS_MAX` points by keeping every second, fourth, ... look.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    kept: Vec<Evidence>,
    newest: Option<Evidence>,
    stride_log2: u32,
    count: u64,
}

impl Series {
    /// The next point is kept, and not only while it is the newest.
    pub(crate) fn keeps_next(&self) -> bool {
        self.count.is_multiple_of(1 << self.stride_log2)
    }

    pub(crate) fn push(&mut self, point: Evidence) {
        if self.keeps_next() {
            self.kept.push(point);
        }
        self.count += 1;
        self.newest = Some(point);
        if self.kept.len() >= POINTS_MAX {
            let mut index = 0;
            self.kept.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride_log2 += 1;
        }
    }

    pub(crate) fn points(&self) -> Vec<Evidence> {
        let mut points = self.kept.clone();
        points.extend(self.newest.filter(|n| points.last() != Some(n)));
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Before, Judge, Look, Settings};

    #[test]
    fn a_verdict_is_said_with_its_numbers() {
        let said = |looks: i64, canary: Count, control: Count| {
            let mut judge = Judge::lasting(Settings::default(), &Before::default()).unwrap();
            for at_ms in 0..looks {
                judge.step(&Look { at_ms, errors: Bin { canary, control }, latency: None });
            }
            let report = Report { verdict: judge.so_far(), ..judge.report() };
            report.sentence("those who have it", "the others")
        };
        let none = Count::default();
        let cases = [
            (said(1, none, none), "no data: those who have it made no request"),
            (said(1, Count::new(1, 9), none), "no data: the others made no request to compare with"),
            (said(1, Count::new(0, 1_500), Count::new(0, 9)), "made 1,500 requests, and nothing failed on either side"),
            (
                said(1, Count::new(1, 100), Count::new(9, 900)),
                "not enough data: those who have it made 100 requests, about ",
            ),
            (
                said(20, Count::new(4, 100), Count::new(9, 900)),
                "those who have it fail 4.06 times as often (1.12 to 12)",
            ),
            (
                said(20, Count::new(4, 100), Count::new(9, 900)),
                ") as the others, 16 of 400 beside 36 of 3,600; the evidence is 115 to 1 where 100 to 1 is wanted",
            ),
            (said(200, Count::new(1, 100), Count::new(9, 900)), "not worse: those who have it fail 1"),
            (said(200, Count::new(1, 100), Count::new(9, 900)), " to 1 where 20 to 1 is wanted"),
        ];
        let bin = Bin { canary: Count::new(0, 9), control: Count::new(0, 42) };
        let judge = Judge::lasting(Settings { negligible: Some(0.4), ..Settings::default() }, &Before::default());
        let mut judge = judge.unwrap();
        judge.step(&Look { at_ms: 1, errors: bin, latency: None });
        let clean = judge.report().sentence("those", "these");
        assert!(clean.starts_with("not worse: nothing failed, 0 of 9 beside 0 of 42; "), "{clean}");
        for (said, words) in cases {
            assert!(said.contains(words), "{said} lacks {words}");
        }
    }

    #[test]
    fn what_is_drawn_has_both_sides_with_the_interval_and_old_points_are_still_read() {
        let plain = || Judge::lasting(Settings::default(), &Before::default()).unwrap();
        let bin = Bin { canary: Count::new(4, 100), control: Count::new(9, 900) };
        let looked = |mut judge: Judge| {
            for at_ms in 1..=20 {
                judge.step(&Look { at_ms, errors: bin, latency: None });
            }
            judge.report()
        };
        assert!(looked(plain()).series.iter().all(|point| point.sides.is_none()));
        let report = looked(plain().drawn());
        let sides: Vec<Sides> = report.series.iter().filter_map(|point| point.sides).collect();
        assert_eq!(sides.len(), report.series.len());
        let last = sides.last().unwrap();
        assert_eq!((last.seen, last.ratio_low, last.ratio_high), (report.seen, report.ratio_low, report.ratio_high));
        assert!(sides.is_sorted_by(|a, b| a.seen.canary.total < b.seen.canary.total && a.ratio_low <= b.ratio_low));
        let old: Evidence = serde_json::from_str(r#"{"at_ms": 5, "errors": 0.5, "promote": -1.0}"#).unwrap();
        assert_eq!((old.latency, old.sides), (None, None));
    }

    #[test]
    fn a_long_watch_is_thinned_and_ends_with_the_newest() {
        let mut series = Series::default();
        for at_ms in 0..100_000 {
            series.push(Evidence { at_ms, errors: 0.0, latency: None, promote: 0.0, sides: None });
        }
        let points = series.points();
        assert!(points.len() <= POINTS_MAX + 1 && points.len() > POINTS_MAX / 2 - 1, "{}", points.len());
        assert_eq!((points[0].at_ms, points.last().unwrap().at_ms), (0, 99_999));
        assert!(points.is_sorted_by(|a, b| a.at_ms < b.at_ms));
    }
}
