//! The embedded time-series engine: float samples, native histograms and exemplars of the Prometheus data model, kept in
//! one directory.
//!
//! Samples enter through [`Tsdb::write`], which has handed them to the kernel (write-ahead log) before it returns, so
//! that a killed process loses nothing; [`Tsdb::sync`] makes them survive a power cut. Recent samples live in memory
//! (the head) as coded runs; [`Tsdb::maintain`] cuts the older ones into immutable block files, merges those into larger
//! ones, and drops what is past the retention. One index, in memory, leads from labels to series for head and blocks
//! alike; a checkpoint file keeps it, so that a start reads neither the log before it nor the blocks, and additions to the
//! checkpoint keep the log short in between ([`Tsdb::shorten_log`]).
//!
//! This crate never asks for the time (instants come in as arguments), never evaluates a query and never talks to a
//! network. A damaged file is set aside in `quarantine/` and reported, and what can be read of it is kept; it is never a
//! panic and never silently skipped.

mod bits;
mod block;
mod cardinality;
mod checkpoint;
mod coarse;
mod codec;
mod column;
mod compact;
mod created;
mod db;
mod delete;
mod entries;
mod error;
mod fs;
mod gorilla;
mod head;
mod histograms;
mod import;
mod index;
mod maintain;
mod matcher;
mod open;
mod options;
mod packed;
mod patterns;
mod postings;
mod record;
mod replay;
mod retention;
mod select;
mod symbols;
mod threads;
mod wal;
mod write;

pub use cardinality::{Cardinality, MetricsFound, SeriesCount, ValueCount};
pub use coarse::{Coarse, CoarseReach, CoarseSeries, Row};
pub use db::{BlockStatus, OpenReport, Stats, Tsdb};
pub use error::TsdbError;
pub use fs::{Fs, FsFile, OsFs};
pub use maintain::MaintainReport;
pub use matcher::CompiledMatcher;
pub use options::{AppendReport, INSTANT_MS_MAX, Options, Reason, Rejected, Sample, SeriesWrite};
pub use select::{SelectedSeries, SeriesChunks, SeriesExemplars};
pub use tenfold_types::{Exemplar, HistogramPoint, Point, STALE_NAN, STALE_NAN_BITS, is_stale};

/// Gives bytes to every decoder of the crate's files, for fuzzing: none may panic, nor reserve what they merely claim.
#[doc(hidden)]
pub fn decode_anything(bytes: &[u8]) {
    let Some((rows, rest)) = bytes.split_first() else { return };
    let rows = usize::from(*rows);
    let times: Vec<i64> = (0..rows as i64).collect();
    let _ = column::take_values(rest, rows, &mut Vec::new());
    let _ = column::take_times(rest, rows);
    let _ = gorilla::decode(rest, rows as u32, i64::MIN, i64::MAX, &mut Vec::new());
    let _ = histograms::take_run(rest, &times, &mut Vec::new());
    let _ = coarse::take_rows(rest, &times, &mut Vec::new());
    let _ = record::read_series(rest, |_, _| {});
    let _ = record::read_samples(rest, |_, _| {});
    let _ = record::read_histograms(rest, |_, _| {});
    let _ = record::read_exemplars(rest, |_, _| {});
    let _ = record::read_tombstones(rest, |_, _| {});
    let _ = record::read_symbol_series(rest, |_, _| Some(()));
    let _ = record::read_head(rest, |_| {});
    let _ = record::read_since(rest, |_, _| {});
    let _ = created::read_marks(rest, |_| {});
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tenfold_types::{Exemplar, HistogramPoint, Labels, Point};

    /// Whole records of every kind, to be damaged.
    fn whole() -> Vec<Vec<u8>> {
        let mut series = crate::head::HeadSeries::new(3);
        for i in 0..50 {
            series.push(Point::new(i * 1000, (i as f64).sqrt()));
        }
        series.push_late(Point::new(7, 1.0));
        let histogram = std::sync::Arc::new(tenfold_types::Histogram::default());
        series.push_histogram(HistogramPoint { t_ms: 60_000, histogram });
        let histogram = std::sync::Arc::new(tenfold_types::Histogram::default());
        series.push_late_histogram(HistogramPoint { t_ms: 9, histogram });
        let exemplar = Exemplar { labels: Labels::from_pairs([("a", "b")]), value: 1.0, t_ms: 5 };
        series.extra_mut().exemplars.push(exemplar.clone());
        let mut out = vec![Vec::new(); 6];
        crate::record::put_head(&mut out[0], &series);
        crate::record::put_exemplar(&mut out[1], 3, &exemplar);
        crate::record::put_series(&mut out[2], 3, [("a", "b")].into_iter());
        let rows = crate::coarse::rows(None, &[Point::new(1, 1.5), Point::new(2, 0.5)], 300_000);
        crate::coarse::put_rows(&mut out[3], &rows, 4);
        let values: Vec<f64> = (0..200).map(|i| f64::from(i).sin()).collect();
        crate::column::put_values(&mut out[4], &values, 4);
        crate::record::put_since(&mut out[5], &series, crate::record::Kept::default());
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn decoders_stand_anything(
            which in 0usize..6,
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            rows in any::<u8>(),
            noise in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut bytes = whole().swap_remove(which);
            for (at, value) in flips {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            super::decode_anything(&[&[rows], bytes.as_slice(), &noise].concat());
            super::decode_anything(&noise);
        }
    }
}
