//! All tests together: one state, one look after the other, one verdict.
//!
//! # Why two things may be looked at
//!
//! With latency declared the evidence for "worse" is `(E_errors + E_latency) / 2`, and `E_errors` without. Either is an
//! e-process: its expectation given the past never rises while the release is not worse. The weights are fixed before the
//! first look, so the expectation of the mean is the mean of both and rises no more than they do, whatever the two have to
//! do with each other; Ville's inequality then holds for it with the same alpha. Weights that followed the data (one half
//! if a histogram happens to come, one if none does) would be a choice by the outcome, and no e-process: that is why it is
//! declared when the judge is made, by [`Judge::with_latency`], and not read from the looks.
//!
//! # Why slow is not good
//!
//! What is promoted has refuted "fails `prove_below` times as often". That says nothing of latency, for which there is no
//! test of "as fast". So while the evidence for slower is more than three to one, it is waited; at the end that is no
//! answer.
//!
//! # What the past costs
//!
//! Where the hosts' own past is asked how unequal they are at most, its answer is wrong with a chance of a hundredth of alpha
//! for errors and of a twentieth for latency, and the looks have the rest: together alpha. Up to there each ratio that the
//! hosts may have is held against the past (see `hosts`), which costs the looks a tenth of a nat while they are equal.

use serde::{Deserialize, Serialize};

use crate::counts::{Bin, Count, Promote, RollBack, promote_nats_a_request};
use crate::dispersion::dispersion;
use crate::floor::Floor;
use crate::hosts::{self, pieces};
use crate::interval::RatioInterval;
use crate::latency::{HistogramBin, Slower};
use crate::report::{Evidence, Report, Series, Sides};
use crate::unequal::{errors_ratio_max, tails_ratio_max};

/// What the judge is asked to keep to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Chance of ever rolling back a release that is not worse. Above 0, below 1.
    pub alpha: f64,
    /// Chance of promoting a release that is `prove_below` times as bad or more. Above 0, below 1.
    pub beta: f64,
    /// How many times as often the canary may fail, or be slow where latency is judged. At least 1: hosts are never quite
    /// equal.
    pub tolerate: f64,
    /// A release is promoted when "this many times as bad or more" is refuted. Above `tolerate`.
    pub prove_below: f64,
    /// An error rate below which the canary is never bad, whatever it is a multiple of; it is promoted as well when "this
    /// often or more" is refuted. Above 0, below 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negligible: Option<f64>,
    /// When to give up waiting for either, in milliseconds from the first look.
    pub wait_ms_max: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { alpha: 0.01, beta: 0.05, tolerate: 1.25, prove_below: 1.5, negligible: None, wait_ms_max: 15 * 60_000 }
    }
}

/// The settings one by one, for files in which any of them may be left out.
pub mod default {
    use super::Settings;

    pub fn alpha() -> f64 {
        Settings::default().alpha
    }
    pub fn beta() -> f64 {
        Settings::default().beta
    }
    pub fn tolerate() -> f64 {
        Settings::default().tolerate
    }
    pub fn prove_below() -> f64 {
        Settings::default().prove_below
    }
}

/// A setting that makes no sense, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError(pub String);

impl std::fmt::Display for SettingsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SettingsError {}

impl Settings {
    /// Whether they make sense; which does not, and what it has to be.
    pub fn check(&self) -> Result<(), SettingsError> {
        let say = |text: String| Err(SettingsError(text));
        for (name, chance) in [("alpha", self.alpha), ("beta", self.beta)] {
            if !(chance > 0.0 && chance < 1.0) {
                return say(format!("`{name}` is {chance} but must be above 0 and below 1, for example 0.01"));
            }
        }
        if !(self.tolerate >= 1.0 && self.tolerate <= 100.0) {
            return say(format!("`tolerate` is {} but must be 1 to 100, for example 1.25", self.tolerate));
        }
        if !(self.prove_below > self.tolerate && self.prove_below <= 1_000.0) {
            return say(format!(
                "`prove_below` is {} but must be above `tolerate` ({}) and at most 1000",
                self.prove_below, self.tolerate
            ));
        }
        if let Some(rate) = self.negligible
            && !(rate > 0.0 && rate < 1.0)
        {
            return say(format!("`negligible` is {rate} but must be above 0 and below 1, for example 0.0005"));
        }
        if self.wait_ms_max <= 0 {
            return say(format!("`wait_ms_max` is {} but must be above 0", self.wait_ms_max));
        }
        Ok(())
    }
}

/// What is known from before the deploy, best of an hour.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Before {
    /// The control's errors look by look (of the same length as the looks that follow).
    pub control: Vec<Count>,
    /// Of the control's requests those beyond its 95th percentile or so, look by look: how slow ones come together.
    #[serde(default)]
    pub control_slow: Vec<Count>,
    /// The hosts that are the canary now, beside those that are the control now, look by look: whether they were equal
    /// while they ran the same release.
    pub hosts: Vec<Bin>,
    /// The same hosts' requests by duration.
    #[serde(default)]
    pub hosts_latency: Vec<HistogramBin>,
}

/// One look at both sides.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// Milliseconds since the epoch. Looks come in order.
    pub at_ms: i64,
    pub errors: Bin,
    /// Absent where no histogram is measured. Passed over by a judge that was made without latency.
    #[serde(default)]
    pub latency: Option<HistogramBin>,
}

/// What is known now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = JudgeVerdict))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Neither side is proven; go on.
    Watching,
    /// The canary is worse: roll back.
    Worse,
    /// "`prove_below` times as bad or more" is refuted, and less than three to one speaks for slower where latency is
    /// judged: promote.
    NotWorse,
    /// Time is over and the canary, or the control, had no requests at all.
    NoData,
    /// Time is over, and not even a canary as good as the old release could have been told with so few requests.
    NotEnoughData,
    /// Time is over, there was enough to see, and it points nowhere.
    Inconclusive,
}

impl Verdict {
    /// Whether the judge has said its last word.
    pub fn is_final(self) -> bool {
        self != Self::Watching
    }
}

/// The state. Serializable, so that a restarted server goes on where the last one was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judge {
    settings: Settings,
    dispersion: f64,
    /// The ratio that has to be refuted: the setting, raised with what is tolerated at most.
    prove_below: f64,
    /// What is left of alpha for the looks.
    alpha: f64,
    roll_back: RollBack,
    promote: Promote,
    /// Where latency was declared.
    slower: Option<Slower>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    floor: Option<Floor>,
    /// The watch goes on after the promotion, and has no end of its own.
    #[serde(default)]
    lasting: bool,
    /// Its points tell of both sides as well, which takes time.
    #[serde(default)]
    drawn: bool,
    interval: RatioInterval,
    seen: Bin,
    started_ms: Option<i64>,
    verdict: Verdict,
    series: Series,
}

impl Judge {
    /// All tests of a deploy, to be held against `1/alpha` and `1/beta` (Ville 1939). Settings are checked; what is `before`
    /// sharpens or blunts the tests and may be empty.
    pub fn new(settings: Settings, before: &Before) -> Result<Self, SettingsError> {
        settings.check()?;
        let dispersion = dispersion(&before.control).unwrap_or(1.0);
        let unequal = errors_ratio_max(&before.hosts, settings.alpha * ERRORS_PAST_SHARE, dispersion);
        let tolerated_max = settings.tolerate * unequal.map_or(1.0, |ratio| ratio.max(1.0));
        let prove_below = settings.prove_below.max(tolerated_max * 1.05);
        let spent = unequal.map_or(0.0, |_| ERRORS_PAST_SHARE);
        let alpha = settings.alpha * (1.0 - spent);
        let roll_back = match unequal {
            None => RollBack::new(settings.tolerate, dispersion),
            Some(ratio_max) => {
                let asked = hosts::Asked { ratio_max, tolerate: settings.tolerate, alpha, dispersion };
                RollBack::beside(pieces(&before.hosts, asked), dispersion)
            }
        };
        Ok(Self {
            dispersion,
            alpha,
            roll_back,
            prove_below,
            promote: Promote::new(prove_below, dispersion),
            slower: None,
            floor: settings.negligible.map(|rate| Floor::new(rate, dispersion)),
            lasting: false,
            drawn: false,
            interval: RatioInterval::default(),
            seen: Bin::default(),
            started_ms: None,
            verdict: Verdict::Watching,
            series: Series::default(),
            settings,
        })
    }

    /// A watch without an end of its own, by the same bounds (Ville 1939): it goes on after [`Verdict::NotWorse`],
    /// which stands until it is [`Verdict::Worse`], and finds what turns bad late as fast as what was bad at once.
    /// `wait_ms_max` is not asked; [`Judge::so_far`] says what an undecided one would have to say.
    pub fn lasting(settings: Settings, before: &Before) -> Result<Self, SettingsError> {
        let mut judge = Self::new(settings, before)?;
        judge.lasting = true;
        judge.roll_back = judge.roll_back.begun_anew();
        Ok(judge)
    }

    /// Judges latency as well, by the histograms of the looks (Turner, Ly and Grünwald 2024): the evidence for worse is
    /// `(E_errors + E_latency) / 2` then. Before the first look, and whether any comes or not.
    #[must_use]
    pub fn with_latency(mut self, before: &Before) -> Self {
        let dispersion = dispersion(&before.control_slow).unwrap_or(1.0);
        let past = tails_ratio_max(&before.hosts_latency, self.settings.alpha * LATENCY_PAST_SHARE, dispersion);
        if past.is_some() {
            self.alpha -= self.settings.alpha * LATENCY_PAST_SHARE;
        }
        let unequal = past.unwrap_or_else(|| vec![1.0]);
        let tolerated: Vec<f64> = unequal.iter().map(|ratio| ratio * self.settings.tolerate).collect();
        self.slower = Some(Slower::new(&tolerated, dispersion));
        self
    }

    /// Takes one look. Worse as soon as the evidence for it reaches `1/alpha`, not worse as soon as that against it reaches
    /// `1/beta` (Ville 1939). After a final verdict nothing changes it any more.
    pub fn step(&mut self, look: &Look) -> Verdict {
        if self.verdict.is_final() && !(self.lasting && self.verdict == Verdict::NotWorse) {
            return self.verdict;
        }
        let started = *self.started_ms.get_or_insert(look.at_ms);
        self.seen.add(look.errors);
        self.roll_back.observe(look.errors);
        self.promote.observe(look.errors);
        self.interval.observe(look.errors);
        if let Some(floor) = &mut self.floor {
            floor.observe(look.errors.canary);
        }
        if let (Some(slower), Some(latency)) = (&mut self.slower, &look.latency) {
            slower.observe(latency);
        }
        let mut evidence = self.evidence(look.at_ms);
        evidence.sides = (self.drawn && self.series.keeps_next()).then(|| self.sides());
        self.series.push(evidence);
        let is_over = !self.lasting && look.at_ms.saturating_sub(started) >= self.settings.wait_ms_max;
        let verdict = self.decide(&evidence, is_over);
        if !(self.verdict == Verdict::NotWorse && verdict == Verdict::Watching) {
            self.verdict = verdict;
        }
        self.verdict
    }

    /// The verdict by the same bounds (Ville 1939) if nothing more were ever seen: what an undecided watch has to say
    /// when somebody cannot wait.
    pub fn so_far(&self) -> Verdict {
        if self.verdict.is_final() { self.verdict } else { self.decide(&self.evidence(0), true) }
    }

    /// Bad is what is both: more often than the control, and often enough to matter. The smaller of two e-values is one.
    fn errors_evidence(&self) -> f64 {
        let more_often = self.roll_back.log_evidence();
        self.floor.as_ref().map_or(more_often, |f| more_often.min(f.common_evidence()))
    }

    fn evidence(&self, at_ms: i64) -> Evidence {
        Evidence {
            at_ms,
            errors: self.errors_evidence(),
            latency: self.slower.as_ref().map(Slower::log_evidence),
            promote: self.promote_evidence(),
            sides: None,
        }
    }

    fn sides(&self) -> Sides {
        let (ratio_low, ratio_high) = self.interval.at(self.settings.alpha, self.dispersion);
        Sides { seen: self.seen, ratio_low, ratio_high: Some(ratio_high).filter(|r| r.is_finite()) }
    }

    /// For a picture of both sides over time, with the interval of their ratio.
    #[must_use]
    pub fn drawn(mut self) -> Self {
        self.drawn = true;
        self
    }

    /// What is bad would have to survive both tests, so their mean is an e-value against it.
    fn promote_evidence(&self) -> f64 {
        let not_more_often = self.promote.log_evidence();
        let with = |f: &Floor| crate::math::log_mean_exp([not_more_often, f.rare_evidence()].into_iter());
        self.floor.as_ref().map_or(not_more_often, with)
    }

    fn decide(&self, evidence: &Evidence, is_over: bool) -> Verdict {
        if evidence.worse() >= (1.0 / self.alpha).ln() {
            return Verdict::Worse;
        }
        let as_good = evidence.promote >= (1.0 / self.settings.beta).ln();
        // waiting only makes a promotion rarer, so beta holds as before
        let maybe_slower = evidence.latency.is_some_and(|nats| nats > MAYBE_SLOWER_NATS);
        if as_good && !maybe_slower {
            return Verdict::NotWorse;
        }
        if !is_over {
            return Verdict::Watching;
        }
        if as_good {
            return Verdict::Inconclusive;
        }
        if self.seen.canary.total == 0 || self.seen.control.total == 0 {
            return Verdict::NoData;
        }
        match self.requests_needed() {
            Some(needed) if needed <= self.seen.canary.total => Verdict::Inconclusive,
            _ => Verdict::NotEnoughData,
        }
    }

    /// Canary requests that a release as good as the old one would have needed, on average, to be promoted. `None` while
    /// no error was seen on either side: then no number would be enough.
    fn requests_needed(&self) -> Option<u64> {
        let kappa = self.seen.control.total as f64 / (self.seen.canary.total as f64).max(1.0);
        let both = self.seen.canary.total as f64 + self.seen.control.total as f64;
        let rate = (self.seen.canary.events as f64 + self.seen.control.events as f64) / both.max(1.0);
        let nats = promote_nats_a_request(rate, kappa, self.prove_below) / self.dispersion;
        let wanted = (1.0 / self.settings.beta).ln();
        // The mixture of eight costs up to ln 8, and the mean with the other test ln 2.
        let by_ratio = (nats > 0.0).then(|| ((wanted + 8f64.ln()) / nats).ceil() as u64);
        let clean = self.seen.canary.events == 0;
        let by_rate = self.floor.as_ref().filter(|_| clean).map(|f| f.requests_needed(wanted + 2f64.ln()));
        by_ratio.into_iter().chain(by_rate).min()
    }

    /// What the last look came to: [`Verdict::Worse`] once `E >= 1/alpha` (Ville 1939), and then for good.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The numbers behind the verdict, with the confidence sequence of the ratio (Robbins 1970), and the evidence over time
    /// for a picture.
    pub fn report(&self) -> Report {
        let Sides { ratio_low, ratio_high, .. } = self.sides();
        let mut series = self.series.points();
        if let Some(newest) = series.last_mut().filter(|_| self.drawn) {
            newest.sides = Some(self.sides());
        }
        Report {
            verdict: self.verdict,
            seen: self.seen,
            ratio: self.seen.ratio(),
            ratio_low,
            ratio_high,
            tolerated: self.roll_back.tolerated(),
            prove_below: self.prove_below,
            negligible: self.settings.negligible,
            dispersion: self.dispersion,
            roll_back_at: (1.0 / self.alpha).ln(),
            promote_at: (1.0 / self.settings.beta).ln(),
            canary_requests_needed: self.requests_needed(),
            slow: None,
            latency_alone: false,
            series,
        }
    }
}

/// Evidence for "slower" with which nothing is promoted: three to one. It has to sink below before the end, or become
/// enough to roll back.
const MAYBE_SLOWER_NATS: f64 = 1.098_612_288_668_11;
/// Parts of alpha for how unequal the hosts' past says they are at most.
const ERRORS_PAST_SHARE: f64 = 0.01;
const LATENCY_PAST_SHARE: f64 = 0.05;
