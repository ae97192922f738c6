//! What the owner sets, what goes in, and the report of an append.

use serde::Serialize;
use tenfold_types::{Exemplar, HistogramPoint, Labels, Point};

/// Limits and times of a store. Every limit stands with its number in the rejection it causes.
#[derive(Debug, Clone)]
pub struct Options {
    /// Samples older than this are dropped with their block.
    pub retention_ms: i64,
    /// When set: what the files may take, blocks of samples, rows of old days and the log together. What goes beyond it
    /// makes the oldest blocks go. The newest block of samples and the log stay, also where they alone are larger.
    pub retention_bytes_max: Option<u64>,
    /// The time one block covers; blocks start at multiples of it.
    pub block_ms: i64,
    /// A write-ahead log segment is closed when it has grown to this size.
    pub segment_bytes_max: u64,
    /// What is in memory is written down when the log since the last time has grown to this size, or has so many samples: it
    /// bounds the time a start takes.
    pub replay_bytes_max: u64,
    pub replay_samples_max: u64,
    /// A sample older than the newest of its series is taken when it is older by at most this; 0 takes none.
    pub out_of_order_ms: i64,
    /// A sample of closed time that is newer than all its series has in memory is taken when it is of so much before the end
    /// of closed time at most, and never beyond the retention: its sender makes up for an outage.
    pub behind_ms: i64,
    /// Late samples of closed time that wait for their blocks, 16 bytes each: where there are so many, a batch with more of
    /// them is refused until blocks have them. A native histogram counts as several.
    pub behind_samples_max: usize,
    /// Time is not closed while samples in order come for it, as long as memory has no more samples than so many for each
    /// series that goes on, and no more than half of [`Self::series_max`].
    pub held_samples_per_series_max: usize,
    /// Blocks are merged up to this time, and never over more than an eighth of the retention.
    pub block_ms_max: i64,
    /// When set: how long rows of five minutes and of an hour are kept (module `coarse` says what they are).
    /// Samples are kept for two days at least then.
    pub coarse_retention_ms: Option<[i64; 2]>,
    /// A day gets its rows when it ended this long ago, or sooner where its samples would go before. Samples that come late
    /// after that are not in them.
    pub coarse_after_ms: i64,
    /// Exemplars in memory: where more come the oldest are dropped. Those that are there when a block is cut go into it.
    pub exemplars_max: usize,
    /// Active series (distinct label sets with something in memory: what came since the last block was cut). One more is
    /// refused, be it new or one that ended. Known, in memory and blocks together, are ten times as many at most.
    pub series_max: usize,
    pub labels_per_series_max: usize,
    pub label_name_bytes_max: usize,
    pub label_value_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retention_ms: 15 * 24 * 3_600_000,
            retention_bytes_max: None,
            block_ms: 2 * 3_600_000,
            segment_bytes_max: 64 << 20,
            replay_bytes_max: 64 << 20,
            replay_samples_max: 8_000_000,
            out_of_order_ms: 30 * 60_000,
            behind_ms: 24 * 3_600_000,
            behind_samples_max: 4_000_000,
            // Six hours of one each 15 s: twice what there is at most when nobody is late.
            held_samples_per_series_max: 1_440,
            block_ms_max: 3 * 24 * 3_600_000,
            coarse_retention_ms: None,
            coarse_after_ms: 2 * 24 * 3_600_000,
            exemplars_max: 100_000,
            series_max: 1_000_000,
            labels_per_series_max: 64,
            label_name_bytes_max: 256,
            label_value_bytes_max: 2048,
        }
    }
}

/// Series that may be known for each that may be active. Those that ended cost no more than their labels.
const KNOWN_PER_ACTIVE: usize = 10;

impl Options {
    pub(crate) fn known_series_max(&self) -> usize {
        self.series_max.saturating_mul(KNOWN_PER_ACTIVE)
    }
}

/// The owned form of one float sample, for callers that have no batch at hand: one value of one series at one instant. The metric name is the label `__name__`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub labels: Labels,
    /// Milliseconds since the epoch.
    pub t_ms: i64,
    pub value: f64,
}

impl Sample {
    pub fn new(labels: Labels, t_ms: i64, value: f64) -> Self {
        Self { labels, t_ms, value }
    }
}

/// What one batch has for one series. Nothing in it is owned, so that a decoder can hand over slices of its input.
#[derive(Debug, Clone, Copy, Default)]
pub struct SeriesWrite<'a> {
    /// Sorted by name, each name once, no empty value. The metric name is the label `__name__`.
    pub labels: &'a [(&'a str, &'a str)],
    pub points: &'a [Point],
    pub histograms: &'a [HistogramPoint],
    pub exemplars: &'a [Exemplar],
    /// When what is counted began to be counted, milliseconds since the epoch. The store does not keep it, since a sample of
    /// zero says the same there; whoever samples are sent on to is told it.
    pub created_ms: Option<i64>,
}

/// Instants farther from 1970 than this (some 140,000 years) are refused: arithmetic on times stays exact within it.
pub const INSTANT_MS_MAX: i64 = 1 << 52;

/// Names and values of an exemplar's labels together. Prometheus takes 128 characters.
pub(crate) const EXEMPLAR_BYTES_MAX: usize = 1024;

/// Whether its labels keep within [`EXEMPLAR_BYTES_MAX`].
pub(crate) fn exemplar_fits(exemplar: &Exemplar) -> bool {
    exemplar.labels.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= EXEMPLAR_BYTES_MAX
}

/// Why a sample was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Older than the newest sample of its series, and none such are taken.
    OutOfOrder,
    /// Same instant as the newest sample of its series, another value.
    Duplicate,
    /// Older than the newest sample of its series by more than the window, or in closed time farther back than is taken.
    TooOld,
    /// Farther from 1970 than [`INSTANT_MS_MAX`].
    OutOfRange,
    /// No labels at all, or an empty label name.
    NoLabels,
    TooManyLabels,
    LabelNameTooLong,
    LabelValueTooLong,
    /// Too many have samples in memory.
    TooManySeries,
    /// Too many are known, most of which ended.
    TooManyKnownSeries,
    /// Labels not sorted by name, a name twice, or an empty value.
    LabelOrder,
    /// The native histogram contradicts itself.
    BadHistogram,
    /// Of time that was deleted, and imported while that is in memory still, or sent when that was closed.
    Deleted,
    /// Its labels are longer than any trace needs.
    ExemplarTooLong,
}

impl Reason {
    /// The stable name used in metrics and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::OutOfOrder => "out_of_order",
            Self::Duplicate => "duplicate",
            Self::TooOld => "too_old",
            Self::OutOfRange => "out_of_range",
            Self::NoLabels => "no_labels",
            Self::TooManyLabels => "too_many_labels",
            Self::LabelNameTooLong => "label_name_too_long",
            Self::LabelValueTooLong => "label_value_too_long",
            Self::TooManySeries => "too_many_series",
            Self::TooManyKnownSeries => "too_many_known_series",
            Self::LabelOrder => "label_order",
            Self::BadHistogram => "bad_histogram",
            Self::Deleted => "deleted",
            Self::ExemplarTooLong => "exemplar_too_long",
        }
    }
}

/// All samples of one append that were refused for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejected {
    pub reason: Reason,
    pub count: usize,
    /// One sentence on the first of them, with the limit's number where there is one.
    pub example: String,
}

/// What became of the samples of one append.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct AppendReport {
    /// Samples and exemplars stored, counting exact repetitions of a series' newest one.
    pub appended: usize,
    /// Series seen for the first time.
    pub new_series: usize,
    pub rejected: Vec<Rejected>,
}

impl AppendReport {
    pub fn rejected_count(&self) -> usize {
        self.rejected.iter().map(|r| r.count).sum()
    }
    pub(crate) fn reject(&mut self, reason: Reason, count: usize, example: impl FnOnce() -> String) {
        match self.rejected.iter_mut().find(|r| r.reason == reason) {
            Some(r) => r.count += count,
            None => self.rejected.push(Rejected { reason, count, example: example() }),
        }
    }
}
