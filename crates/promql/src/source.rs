//! Where series come from.

use std::sync::Arc;

use tenfold_types::{Labels, Matcher, Point};

use crate::error::QueryError;

/// Something that has series: the embedded store, a remote cluster, a test's table.
pub trait Queryable {
    /// The series that satisfy every matcher and have samples with `start_ms <= t <= end_ms`, in any order, each once.
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<SeriesData>, QueryError>;
}

/// One selected series.
pub struct SeriesData {
    pub labels: Arc<Labels>,
    pub samples: Samples,
}

/// Samples in ascending order of time, at hand or still encoded.
pub enum Samples {
    Points(Vec<Point>),
    /// Read one series at a time, so that a query over many need not hold them all.
    Lazy(Box<dyn ReadSamples>),
}

/// Samples that are decoded when wanted.
pub trait ReadSamples {
    /// Appends the samples, oldest first.
    fn read(&self, out: &mut Vec<Point>) -> Result<(), QueryError>;
}

impl SeriesData {
    pub fn new(labels: Arc<Labels>, points: Vec<Point>) -> Self {
        Self { labels, samples: Samples::Points(points) }
    }
    pub fn lazy(labels: Arc<Labels>, reader: impl ReadSamples + 'static) -> Self {
        Self { labels, samples: Samples::Lazy(Box::new(reader)) }
    }
}
