//! The embedded time-series engine: float samples, native histograms and exemplars of the Prometheus data model, kept in
//! one directory.
//!
//! Samples enter through [`Tsdb::write`], which has handed them to the kernel (write-ahead log) before it returns, so
//! that a killed process loses nothing; [`Tsdb::sync`] makes them survive a power cut. Recent samples live in memory
//! (the head) as coded runs; [`Tsdb::maintain`] cuts the older ones into immutable block files, merges those into larger
//! ones, and drops what is past the retention. One index, in memory, leads from labels to series for head and blocks
//! alike; a checkpoint file keeps it, so that a start reads neither the log before it nor the blocks.
//!
//! This crate never asks for the time (instants come in as arguments), never evaluates a query and never talks to a
//! network. A damaged file is set aside in `quarantine/` and reported, and what can be read of it is kept; it is never a
//! panic and never silently skipped.

mod bits;
mod block;
mod cardinality;
mod checkpoint;
mod codec;
mod column;
mod compact;
mod db;
mod delete;
mod error;
mod fs;
mod gorilla;
mod head;
mod histograms;
mod index;
mod maintain;
mod matcher;
mod open;
mod options;
mod postings;
mod record;
mod select;
mod symbols;
mod wal;
mod write;

pub use cardinality::{Cardinality, SeriesCount, ValueCount};
pub use db::{OpenReport, Stats, Tsdb};
pub use error::TsdbError;
pub use fs::{Fs, FsFile, OsFs};
pub use maintain::MaintainReport;
pub use matcher::CompiledMatcher;
pub use options::{AppendReport, INSTANT_MS_MAX, Options, Reason, Rejected, Sample, SeriesWrite};
pub use select::{SelectedSeries, SeriesChunks, SeriesExemplars};
pub use tenfold_types::{Exemplar, HistogramPoint, Point, STALE_NAN, STALE_NAN_BITS, is_stale};
