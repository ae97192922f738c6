//! Where series come from.

use std::sync::Arc;

use tenfold_types::{HistogramPoint, Labels, Matcher, Point};

use crate::error::QueryError;

/// Something that has series: the embedded store, a remote cluster, a test's table.
pub trait Queryable: Sync {
    /// The series that satisfy every matcher and have samples with `start_ms <= t <= end_ms`, in any order, each once.
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, QueryError>;

    /// What there is of old time besides samples. A source of samples alone need not implement it.
    fn reach(&self) -> Reach {
        Reach { resolutions: Vec::new(), samples_from_ms: i64::MIN }
    }

    /// The matching series with rows of this resolution and `start_ms <= t <= end_ms`, each once.
    fn select_rows(
        &self,
        _matchers: &[Matcher],
        _start_ms: i64,
        _end_ms: i64,
        _resolution_ms: i64,
    ) -> Result<Vec<RowsData>, QueryError> {
        Ok(Vec::new())
    }
}

/// How far rows of aggregates and samples go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The finest first.
    pub resolutions: Vec<Resolution>,
    /// Before this there are no samples any more.
    pub samples_from_ms: i64,
}

/// Rows that cover so many milliseconds each: there are such of `from_ms < t <= until_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolution {
    pub ms: i64,
    pub from_ms: i64,
    pub until_ms: i64,
}

/// The samples of one series within `(t_ms - resolution, t_ms]` in one row, staleness markers not counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AggregateRow {
    pub t_ms: i64,
    /// Without NaN, unless there is nothing else.
    pub min: f64,
    pub max: f64,
    pub sum: f64,
    pub count: f64,
    pub last: f64,
    /// How long before `t_ms` the last sample was, in milliseconds.
    pub before_ms: f64,
    /// What a counter grew by since the last sample before: a fall counts as a reset to zero.
    pub increase: f64,
    /// A staleness marker followed the last sample.
    pub ended: bool,
}

/// Rows that are decoded when wanted.
pub trait ReadRows: Send {
    /// Appends the rows, oldest first.
    fn read(&self, out: &mut Vec<AggregateRow>) -> Result<(), QueryError>;

    /// How many encoded chunks there are to read.
    fn chunks(&self) -> u64;
}

/// One series of rows.
pub struct RowsData {
    pub labels: Arc<Labels>,
    pub rows: Box<dyn ReadRows>,
}

/// One selected series.
pub struct SeriesData {
    pub labels: Arc<Labels>,
    pub samples: Samples,
}

/// The samples of one series in ascending order of time. At one instant there is a float or a histogram, not both.
#[derive(Debug, Clone, Default)]
pub struct Run {
    pub floats: Vec<Point>,
    pub histograms: Vec<HistogramPoint>,
    /// When what a counter counts began, in milliseconds since the epoch, one for each of `floats`; 0 where unknown.
    /// Empty when none is known.
    pub float_starts: Vec<i64>,
    /// The same for `histograms`.
    pub histogram_starts: Vec<i64>,
}

impl Run {
    pub fn clear(&mut self) {
        self.floats.clear();
        self.histograms.clear();
        self.float_starts.clear();
        self.histogram_starts.clear();
    }
    pub fn is_empty(&self) -> bool {
        self.floats.is_empty() && self.histograms.is_empty()
    }
}

/// Samples at hand or still encoded.
pub enum Samples {
    Points(Vec<Point>),
    Run(Box<Run>),
    /// Read one series at a time, so that a query over many need not hold them all.
    Lazy(Box<dyn ReadSamples>),
}

/// Samples that are decoded when wanted, by whichever thread comes to them.
pub trait ReadSamples: Send {
    /// Appends the float samples, oldest first.
    fn read(&self, out: &mut Vec<Point>) -> Result<(), QueryError>;

    /// Appends all samples, oldest first. A source of floats alone need not implement it.
    fn read_run(&self, out: &mut Run) -> Result<(), QueryError> {
        self.read(&mut out.floats)
    }

    /// How many encoded chunks there are to read; 0 where the source does not tell.
    fn chunks(&self) -> u64 {
        0
    }
}

impl SeriesData {
    pub fn new(labels: Arc<Labels>, points: Vec<Point>) -> Self {
        Self { labels, samples: Samples::Points(points) }
    }
    pub fn run(labels: Arc<Labels>, run: Run) -> Self {
        Self { labels, samples: Samples::Run(Box::new(run)) }
    }
    pub fn lazy(labels: Arc<Labels>, reader: impl ReadSamples + 'static) -> Self {
        Self { labels, samples: Samples::Lazy(Box::new(reader)) }
    }
}
