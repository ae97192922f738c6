//! The embedded time-series engine: float samples of the Prometheus data model, kept in one directory.
//!
//! Samples enter through [`Tsdb::append`], which has handed them to the kernel (write-ahead log) before it returns, so
//! that a killed process loses nothing; [`Tsdb::sync`] makes them survive a power cut. Recent samples live in memory
//! (the head); [`Tsdb::maintain`] cuts the older ones into immutable block files and drops blocks past the retention.
//!
//! This crate never asks for the time (instants come in as arguments), never evaluates a query and never talks to a
//! network. A damaged file is set aside in `quarantine/` and reported; it is never a panic and never silently skipped.

mod bits;
mod block;
mod chunk;
mod codec;
mod db;
mod error;
mod fs;
mod head;
mod index;
mod maintain;
mod matcher;
mod options;
mod postings;
mod record;
mod select;
mod wal;

pub use chunk::Encoding;
pub use db::{OpenReport, Stats, Tsdb};
pub use error::TsdbError;
pub use fs::{Fs, FsFile, OsFs};
pub use maintain::MaintainReport;
pub use matcher::CompiledMatcher;
pub use options::{AppendReport, INSTANT_MS_MAX, Options, Reason, Rejected, Sample, SeriesWrite};
pub use select::{SelectedSeries, SeriesChunks};
pub use tenfold_types::{Exemplar, HistogramPoint, Point, STALE_NAN, STALE_NAN_BITS, is_stale};
