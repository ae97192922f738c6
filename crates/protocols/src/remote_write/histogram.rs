//! The message `Histogram`, the same in both versions but for custom buckets, which have the same number in both.

use std::sync::Arc;

use tenfold_types::histogram::{Buckets, EXPONENTIAL_SCHEMAS, HistogramError, Span};
use tenfold_types::{Histogram, HistogramPoint, ResetHint, is_stale};

use super::HISTOGRAM_BUCKETS_MAX;
use crate::wire::{Fields, Value, WireError, unzigzag};

/// The finest schema that a sender may have; those finer than can be kept are made coarser, as Prometheus does it.
const FINEST_SCHEMA: i32 = 52;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Wrong {
    #[error("a histogram has more than {HISTOGRAM_BUCKETS_MAX} buckets")]
    TooManyBuckets,
    #[error(transparent)]
    Histogram(#[from] HistogramError),
}

/// One side as it is written: counts of a float histogram, or differences of an integer one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Side {
    spans: Vec<Span>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

impl Side {
    pub(crate) fn size(&self) -> usize {
        self.spans.len().max(self.deltas.len()).max(self.counts.len())
    }

    pub(crate) fn buckets(self) -> Buckets {
        let mut counts = self.counts;
        if counts.is_empty() {
            let mut count = 0_i64;
            counts = self
                .deltas
                .iter()
                .map(|delta| {
                    count = count.wrapping_add(*delta);
                    count as f64
                })
                .collect();
        }
        Buckets { spans: self.spans, counts }
    }
}

/// The outer error is a body that cannot be read, the inner one a histogram that cannot be kept.
pub(super) fn decode(message: &[u8]) -> Result<Result<HistogramPoint, Wrong>, WireError> {
    let mut h = Histogram::default();
    let (mut negative, mut positive) = (Side::default(), Side::default());
    let (mut bounds, mut t_ms) = (Vec::new(), 0);
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.read()? {
        match field {
            1 => h.count = value.number(field)? as f64,
            2 => h.count = value.double(field)?,
            3 => h.sum = value.double(field)?,
            4 => h.schema = value.signed(field)? as i32,
            5 => h.zero_threshold = value.double(field)?,
            6 => h.zero_count = value.number(field)? as f64,
            7 => h.zero_count = value.double(field)?,
            8..=10 => side(&mut negative, field, field - 8, value)?,
            11..=13 => side(&mut positive, field, field - 11, value)?,
            14 => {
                h.reset_hint = match value.number(field)? {
                    1 => ResetHint::Reset,
                    2 => ResetHint::NotReset,
                    3 => ResetHint::Gauge,
                    _ => ResetHint::Unknown,
                }
            }
            15 => t_ms = value.number(field)? as i64,
            16 => value.each_double(field, |bound| {
                if bounds.len() <= HISTOGRAM_BUCKETS_MAX {
                    bounds.push(bound);
                }
            })?,
            _ => {}
        }
    }
    if [negative.size(), positive.size(), bounds.len()].iter().any(|size| *size > HISTOGRAM_BUCKETS_MAX) {
        return Ok(Err(Wrong::TooManyBuckets));
    }
    (h.negative, h.positive, h.bounds) = (negative.buckets(), positive.buckets(), bounds.into());
    let kept = *EXPONENTIAL_SCHEMAS.end();
    if h.schema > kept && h.schema <= FINEST_SCHEMA && h.positive.is_consistent() && h.negative.is_consistent() {
        h = Histogram { reset_hint: h.reset_hint, ..h.to_schema(kept) };
    }
    // The mark that a series has ended says nothing but that.
    if !is_stale(h.sum)
        && let Err(wrong) = h.validate()
    {
        return Ok(Err(wrong.into()));
    }
    Ok(Ok(HistogramPoint { t_ms, histogram: Arc::new(h) }))
}

/// The parts of a side in their order: spans, differences, counts. One more than the limit is kept, to be noticed.
pub(crate) fn side(side: &mut Side, field: u32, part: u32, value: Value<'_>) -> Result<(), WireError> {
    match part {
        0 => {
            let mut span = Span::default();
            let mut fields = Fields::new(value.bytes(field)?);
            while let Some((field, value)) = fields.read()? {
                match field {
                    1 => span.offset = value.signed(field)? as i32,
                    2 => span.length = value.number(field)? as u32,
                    _ => {}
                }
            }
            if side.spans.len() <= HISTOGRAM_BUCKETS_MAX {
                side.spans.push(span);
            }
            Ok(())
        }
        1 => value.each_number(field, |delta| {
            if side.deltas.len() <= HISTOGRAM_BUCKETS_MAX {
                side.deltas.push(unzigzag(delta));
            }
        }),
        _ => value.each_double(field, |count| {
            if side.counts.len() <= HISTOGRAM_BUCKETS_MAX {
                side.counts.push(count);
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire_out::Writer;

    fn read(schema: i64) -> Result<HistogramPoint, Wrong> {
        let mut out = Writer::default();
        out.number(1, 6);
        out.signed(4, schema);
        out.message(11, |span| {
            span.signed(1, 1);
            span.number(2, 3);
        });
        // 1, 2 and 3 as differences.
        out.bytes(12, &[2, 2, 2]);
        out.number(14, 3);
        decode(&out.into_bytes()).unwrap()
    }

    #[test]
    fn finer_schemas_are_made_coarser() {
        let h = read(9).unwrap().histogram;
        assert_eq!((h.schema, h.count, h.reset_hint), (8, 6.0, ResetHint::Gauge));
        assert_eq!(h.positive.indexed().collect::<Vec<_>>(), [(1, 3.0), (2, 3.0)]);
        let h = read(52).unwrap().histogram;
        assert_eq!((h.schema, h.positive.indexed().collect::<Vec<_>>()), (8, vec![(1, 6.0)]));
        for schema in [53, -5] {
            assert_eq!(read(schema), Err(Wrong::Histogram(HistogramError::Schema)), "{schema}");
        }
    }
}
