//! Native histograms as bytes: one by one in the log, and in runs of the same shape turned into columns (count, sum, zero
//! bucket and each bucket by itself), which the coders of columns then make small.

use std::sync::Arc;

use tenfold_types::{
    Histogram, HistogramPoint, ResetHint,
    histogram::{Buckets, Span},
};

use crate::{
    codec::{Reader, put_varint, put_zigzag},
    column::{put_times, put_values, take_times, take_values, whole},
};

/// Histograms in one run at most.
pub(crate) const RUN_HISTOGRAMS_MAX: usize = 240;

fn put_number(out: &mut Vec<u8>, value: f64) {
    if let Some(int) = whole(value).filter(|i| *i >= 0) {
        put_varint(out, (int as u64) << 1);
    } else {
        put_varint(out, 1);
        out.extend_from_slice(&value.to_bits().to_le_bytes());
    }
}

fn take_number(r: &mut Reader<'_>) -> Option<f64> {
    let v = r.varint()?;
    if v & 1 == 0 { Some((v >> 1) as f64) } else { Some(f64::from_bits(r.u64()?)) }
}

fn hint_byte(hint: ResetHint) -> u8 {
    match hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NotReset => 2,
        ResetHint::Gauge => 3,
    }
}

fn hint_of(byte: u8) -> Option<ResetHint> {
    Some(match byte {
        0 => ResetHint::Unknown,
        1 => ResetHint::Reset,
        2 => ResetHint::NotReset,
        3 => ResetHint::Gauge,
        _ => return None,
    })
}

fn put_spans(out: &mut Vec<u8>, spans: &[Span]) {
    put_varint(out, spans.len() as u64);
    for span in spans {
        put_zigzag(out, i64::from(span.offset));
        put_varint(out, u64::from(span.length));
    }
}

fn take_spans(r: &mut Reader<'_>) -> Option<Vec<Span>> {
    let mut spans = Vec::new();
    for _ in 0..r.usize()? {
        spans.push(Span { offset: i32::try_from(r.zigzag()?).ok()?, length: u32::try_from(r.varint()?).ok()? });
    }
    Some(spans)
}

/// What all histograms of a run share.
fn put_shape(out: &mut Vec<u8>, h: &Histogram) {
    put_zigzag(out, i64::from(h.schema));
    out.extend_from_slice(&h.zero_threshold.to_bits().to_le_bytes());
    put_spans(out, &h.positive.spans);
    put_varint(out, h.positive.counts.len() as u64);
    put_spans(out, &h.negative.spans);
    put_varint(out, h.negative.counts.len() as u64);
    put_varint(out, h.bounds.len() as u64);
    for bound in h.bounds.iter() {
        out.extend_from_slice(&bound.to_bits().to_le_bytes());
    }
}

/// A shape, with how many positive and negative buckets it has; the counts are still empty.
fn take_shape(r: &mut Reader<'_>) -> Option<(Histogram, usize, usize)> {
    let schema = i32::try_from(r.zigzag()?).ok()?;
    let zero_threshold = f64::from_bits(r.u64()?);
    let positive = Buckets { spans: take_spans(r)?, counts: Vec::new() };
    let positives = r.usize()?;
    let negative = Buckets { spans: take_spans(r)?, counts: Vec::new() };
    let negatives = r.usize()?;
    let mut bounds = Vec::new();
    for _ in 0..r.usize()? {
        bounds.push(f64::from_bits(r.u64()?));
    }
    // Every bucket takes a byte at least in what follows.
    if positives.checked_add(negatives)? > r.rest().len() {
        return None;
    }
    let shape = Histogram { schema, zero_threshold, positive, negative, bounds: bounds.into(), ..Histogram::default() };
    Some((shape, positives, negatives))
}

pub(crate) fn put_histogram(out: &mut Vec<u8>, h: &Histogram) {
    out.push(hint_byte(h.reset_hint));
    put_shape(out, h);
    out.extend_from_slice(&h.sum.to_bits().to_le_bytes());
    for number in [h.count, h.zero_count].iter().chain(&h.positive.counts).chain(&h.negative.counts) {
        put_number(out, *number);
    }
}

pub(crate) fn take_histogram(r: &mut Reader<'_>) -> Option<Histogram> {
    let reset_hint = hint_of(r.byte()?)?;
    let (mut h, positives, negatives) = take_shape(r)?;
    h.reset_hint = reset_hint;
    h.sum = f64::from_bits(r.u64()?);
    h.count = take_number(r)?;
    h.zero_count = take_number(r)?;
    for _ in 0..positives {
        h.positive.counts.push(take_number(r)?);
    }
    for _ in 0..negatives {
        h.negative.counts.push(take_number(r)?);
    }
    Some(h)
}

fn same_shape(a: &Histogram, b: &Histogram) -> bool {
    a.schema == b.schema
        && a.zero_threshold.to_bits() == b.zero_threshold.to_bits()
        && a.positive.spans == b.positive.spans
        && a.negative.spans == b.negative.spans
        && a.positive.counts.len() == b.positive.counts.len()
        && a.negative.counts.len() == b.negative.counts.len()
        && a.bounds == b.bounds
}

/// Runs of one shape and of a bounded length, in order.
pub(crate) fn runs(points: &[HistogramPoint], max: usize) -> impl Iterator<Item = &[HistogramPoint]> {
    points.chunk_by(|a, b| same_shape(&a.histogram, &b.histogram)).flat_map(move |run| run.chunks(max))
}

/// Encodes a run of one shape without its timestamps.
pub(crate) fn put_run(out: &mut Vec<u8>, run: &[HistogramPoint], level: usize) {
    let Some(first) = run.first() else { return };
    put_shape(out, &first.histogram);
    let (positives, negatives) = (first.histogram.positive.counts.len(), first.histogram.negative.counts.len());
    let mut column = Vec::with_capacity(run.len());
    let mut bytes = Vec::new();
    let mut put = |of: &dyn Fn(&Histogram) -> f64| {
        column.clear();
        column.extend(run.iter().map(|p| of(&p.histogram)));
        bytes.clear();
        put_values(&mut bytes, &column, level);
        put_varint(out, bytes.len() as u64);
        out.extend_from_slice(&bytes);
    };
    put(&|h| f64::from(hint_byte(h.reset_hint)));
    put(&|h| h.count);
    put(&|h| h.zero_count);
    put(&|h| h.sum);
    for i in 0..positives {
        put(&|h| h.positive.counts[i]);
    }
    for i in 0..negatives {
        put(&|h| h.negative.counts[i]);
    }
}

/// Decodes a run; `None` when the bytes are damaged.
pub(crate) fn take_run(bytes: &[u8], times: &[i64], out: &mut Vec<HistogramPoint>) -> Option<()> {
    let mut r = Reader::new(bytes);
    let (shape, positives, negatives) = take_shape(&mut r)?;
    let mut columns = Vec::new();
    for _ in 0..4 + positives + negatives {
        let len = r.usize()?;
        let mut column = Vec::new();
        take_values(r.bytes(len)?, times.len(), &mut column)?;
        columns.push(column);
    }
    for (i, t_ms) in times.iter().enumerate() {
        let at = |c: usize| columns[c][i];
        let mut h = shape.clone();
        h.reset_hint = hint_of(at(0) as u8)?;
        (h.count, h.zero_count, h.sum) = (at(1), at(2), at(3));
        h.positive.counts = (4..4 + positives).map(at).collect();
        h.negative.counts = (4 + positives..4 + positives + negatives).map(at).collect();
        out.push(HistogramPoint { t_ms: *t_ms, histogram: Arc::new(h) });
    }
    Some(())
}

/// A run in memory, with its timestamps.
#[derive(Debug, Clone)]
pub(crate) struct HistogramChunk {
    pub min_t: i64,
    pub max_t: i64,
    pub count: u32,
    pub bytes: Arc<[u8]>,
}

impl HistogramChunk {
    /// Encodes a run of one shape; `None` when it is empty.
    pub fn encode(run: &[HistogramPoint]) -> Option<Self> {
        let (first, last) = (run.first()?, run.last()?);
        let times: Vec<i64> = run.iter().map(|p| p.t_ms).collect();
        let (mut column, mut bytes) = (Vec::new(), Vec::new());
        put_times(&mut column, &times);
        put_varint(&mut bytes, column.len() as u64);
        bytes.extend_from_slice(&column);
        put_run(&mut bytes, run, 4);
        Some(Self { min_t: first.t_ms, max_t: last.t_ms, count: run.len() as u32, bytes: bytes.into() })
    }
    /// Appends the histograms within the time; `None` when the bytes are damaged.
    pub fn decode_range(&self, start: i64, end: i64, out: &mut Vec<HistogramPoint>) -> Option<()> {
        let mut r = Reader::new(&self.bytes);
        let len = r.usize()?;
        let times = take_times(r.bytes(len)?, self.count as usize)?;
        let mut all = Vec::new();
        take_run(r.rest(), &times, &mut all)?;
        out.extend(all.into_iter().filter(|p| (start..=end).contains(&p.t_ms)));
        Some(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn histogram() -> impl Strategy<Value = Histogram> {
        let counts = prop::collection::vec(prop_oneof![(0u32..100).prop_map(f64::from), 0.0f64..10.0], 0..6);
        let hint = prop::sample::select(vec![ResetHint::Unknown, ResetHint::Reset, ResetHint::Gauge]);
        (counts.clone(), counts, hint, any::<f64>(), prop::bool::ANY, 0i32..3).prop_map(
            |(p, n, hint, sum, custom, off)| {
                if custom {
                    let bounds: Vec<f64> = (0..=p.len()).map(|i| i as f64).collect();
                    Histogram {
                        reset_hint: hint,
                        schema: tenfold_types::histogram::CUSTOM_SCHEMA,
                        count: p.iter().sum(),
                        sum,
                        positive: Buckets::single(0, p),
                        bounds: bounds.into(),
                        ..Histogram::default()
                    }
                } else {
                    Histogram {
                        reset_hint: hint,
                        schema: 3,
                        zero_threshold: 1e-128,
                        zero_count: 1.0,
                        count: p.iter().chain(&n).sum::<f64>() + 1.0,
                        sum,
                        positive: Buckets::single(off, p),
                        negative: Buckets::single(-1, n),
                        ..Histogram::default()
                    }
                }
            },
        )
    }

    proptest! {
        #[test]
        fn one_by_one_and_in_runs(list in prop::collection::vec(histogram(), 1..40)) {
            for h in &list {
                let mut out = Vec::new();
                put_histogram(&mut out, h);
                let mut r = Reader::new(&out);
                let back = take_histogram(&mut r).unwrap();
                prop_assert!(r.is_empty() && back.same_as(h) && back.reset_hint == h.reset_hint);
            }
            let points: Vec<_> = list
                .iter()
                .enumerate()
                .map(|(i, h)| HistogramPoint { t_ms: i as i64 * 1000, histogram: Arc::new(h.clone()) })
                .collect();
            let mut back = Vec::new();
            for run in runs(&points, 7) {
                HistogramChunk::encode(run).unwrap().decode_range(i64::MIN, i64::MAX, &mut back).unwrap();
            }
            prop_assert_eq!(back.len(), points.len());
            for (a, b) in back.iter().zip(&points) {
                prop_assert!(a.t_ms == b.t_ms && a.histogram.same_as(&b.histogram));
                prop_assert_eq!(a.histogram.reset_hint, b.histogram.reset_hint);
            }
        }

        #[test]
        fn damaged_histograms_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = take_histogram(&mut Reader::new(&bytes));
            let _ = take_run(&bytes, &[1, 2, 3], &mut Vec::new());
        }
    }
}
