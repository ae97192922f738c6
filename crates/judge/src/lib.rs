//! Is the new release worse than the old one? Answers that may be asked for at any time, as often as one likes.
//!
//! The canary's requests are compared with those of the hosts that still run the old release, at the same moment, so that
//! what hits both (a slow database, a busy evening) speaks against neither. The tests are *e-processes*: evidence that is
//! multiplied look by look and whose expectation never rises above 1 while the new release is not worse. Ville's
//! inequality then bounds the chance that it *ever* reaches 1/alpha by alpha, however often somebody looks, for any
//! traffic split, and while the error rate that both share moves as it likes.
//!
//! - [`RollBack`] and [`Promote`]: counts of failed requests, against "at most r0 times as bad" and "at least r1 times".
//! - [`Slower`]: latency from histograms with the same buckets on both sides.
//! - [`dispersion`]: how bursty the old release's own errors are; evidence is tempered by it.
//! - [`RatioInterval`]: which ratios are still believable.
//! - [`Cusum`], [`After`]: after the promotion, when nothing is left to compare with.
//! - [`level_change`]: other metrics of the hosts, where there is no control.
//! - [`Increases`], [`Bounds`], [`Watched`]: from counters as a time-series store keeps them to looks.
//! - [`Judge`]: all of these as one state machine with one verdict, and a report of why.
//!
//! Pure: no IO, no clock, no randomness. "No data", "not enough data" and "inconclusive" are answers of their own and
//! never read as good.

mod after;
mod bursts;
mod counters;
mod counts;
mod cusum;
mod dispersion;
mod floor;
mod hosts;
mod interval;
mod judge;
mod latency;
mod level;
mod looks;
mod math;
mod report;
mod unequal;

pub use after::{After, Counted};
pub use counters::{Bucket, Counter, Increases};
pub use counts::{Bin, Count, Promote, RollBack};
pub use cusum::Cusum;
pub use dispersion::dispersion;
pub use interval::RatioInterval;
pub use judge::{Before, Judge, Look, Settings, SettingsError, Verdict, default};
pub use latency::{HistogramBin, Slower};
pub use level::{Direction, LEVEL_AFTER, LEVEL_BEFORE, LEVEL_CHANGED, Level, level_change};
pub use looks::{Bounds, Watched};
pub use report::{Evidence, Report, Sides};
