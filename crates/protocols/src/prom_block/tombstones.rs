//! The file `tombstones` of a block: what was deleted and is still in its chunks.
//!
//! Source: `tsdb/tombstones/tombstones.go`: the magic number, a version, then for each span the reference of its series and both
//! ends in milliseconds, and the checksum of the spans.

use std::collections::HashMap;

use tenfold_types::{HistogramPoint, Point};

use super::{BlockError, Cursor};

const MAGIC: u32 = 0x0130_BA30;
const WHAT: &str = "file of tombstones";

/// Spans of time by the reference of a series.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tombstones(HashMap<u64, Vec<Span>>);

/// Both ends are within, in milliseconds.
type Span = (i64, i64);

impl Tombstones {
    /// # Errors
    /// What is wrong with the bytes.
    pub fn read(bytes: &[u8]) -> Result<Self, BlockError> {
        let mut head = Cursor { rest: bytes, what: WHAT };
        if head.u32()? != MAGIC {
            return Err(BlockError::Magic(WHAT));
        }
        match head.bytes(1)?[0] {
            1 => {}
            version => return Err(BlockError::Version { what: WHAT, version }),
        }
        let len = head.rest.len().checked_sub(4).ok_or(BlockError::Truncated(WHAT))?;
        let mut rows = Cursor { rest: head.checked(len)?, what: WHAT };
        let mut out = Self::default();
        while !rows.rest.is_empty() {
            let (reference, span) = (rows.uvarint()?, (rows.varint()?, rows.varint()?));
            out.0.entry(reference).or_default().push(span);
        }
        Ok(out)
    }

    /// Leaves out of a series' samples what was deleted of it.
    pub fn drop_from(&self, reference: u64, floats: &mut Vec<Point>, histograms: &mut Vec<HistogramPoint>) {
        let Some(spans) = self.0.get(&reference) else { return };
        let is_gone = |t_ms: i64| spans.iter().any(|(start, end)| (*start..=*end).contains(&t_ms));
        floats.retain(|p| !is_gone(p.t_ms));
        let mut follows_gap = false;
        histograms.retain_mut(|point| {
            if is_gone(point.t_ms) {
                follows_gap = true;
                return false;
            }
            // What it says of the histogram before it was said of one that is gone.
            if follows_gap {
                point.forget_hint();
            }
            follows_gap = false;
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use tenfold_types::{Histogram, ResetHint};

    use super::*;
    use crate::crc32c::crc32c;
    use crate::wire_out::Writer;

    /// A file of spans, by reference and both ends.
    fn file(spans: &[(u64, i64, i64)]) -> Vec<u8> {
        let mut rows = Writer::default();
        for (reference, start, end) in spans {
            rows.varint(*reference);
            for t_ms in [*start, *end] {
                rows.varint(((t_ms << 1) ^ (t_ms >> 63)) as u64);
            }
        }
        let rows = rows.into_bytes();
        [&MAGIC.to_be_bytes()[..], &[1], &rows, &crc32c(&rows).to_be_bytes()].concat()
    }

    #[test]
    fn what_was_deleted_is_left_out() {
        let read = Tombstones::read(&file(&[(7, -2_000, 1_000), (7, 3_000, 3_000), (9, 0, i64::MAX)])).expect("a file");
        let times = [-2_001, -2_000, 0, 1_000, 1_001, 3_000, 3_001];
        let left = |reference: u64| {
            let hint =
                |t_ms: i64| Histogram { reset_hint: ResetHint::NotReset, sum: t_ms as f64, ..Histogram::default() };
            let mut floats: Vec<_> = times.iter().map(|t| Point::new(*t, 1.0)).collect();
            let mut histograms: Vec<_> =
                times.iter().map(|t| HistogramPoint { t_ms: *t, histogram: hint(*t).into() }).collect();
            read.drop_from(reference, &mut floats, &mut histograms);
            let floats: Vec<i64> = floats.iter().map(|p| p.t_ms).collect();
            assert_eq!(floats, histograms.iter().map(|h| h.t_ms).collect::<Vec<_>>());
            let sure = histograms.iter().filter(|h| h.histogram.reset_hint == ResetHint::NotReset);
            (floats, sure.map(|h| h.t_ms).collect::<Vec<_>>())
        };
        assert_eq!(left(7), (vec![-2_001, 1_001, 3_001], vec![-2_001]));
        assert_eq!(left(9), (vec![-2_001, -2_000], vec![-2_001, -2_000]));
        assert_eq!(left(8), (times.to_vec(), times.to_vec()));
    }

    #[test]
    fn damage_is_told_and_never_a_panic() {
        assert_eq!(Tombstones::read(&file(&[])), Ok(Tombstones::default()));
        let whole = file(&[(1, 5, 6), (300, -7, 1_700_000_000_000)]);
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            assert!(Tombstones::read(&bytes).is_err(), "the flip at {at} went unseen");
            assert!(Tombstones::read(&whole[..at]).is_err(), "the cut at {at} went unseen");
        }
    }
}
