//! Chunks of native histograms: `tsdb/chunkenc/histogram.go` (whole numbers) and `float_histogram.go`. A chunk has one
//! layout of buckets for all its samples.

use std::sync::Arc;

use tenfold_types::histogram::{Buckets, CUSTOM_SCHEMA, Span};
use tenfold_types::{Histogram, HistogramPoint, ResetHint, is_stale};

use crate::bit_reader::BitReader;
use crate::xor_chunk::{Bits, Xor};

/// Buckets, spans and bounds of one histogram.
const BUCKETS_MAX: u64 = 4_096;
const GAUGE: u8 = 0b1100_0000;

#[derive(Default)]
struct Layout {
    schema: i32,
    zero_threshold: f64,
    positive: Vec<Span>,
    negative: Vec<Span>,
    bounds: Arc<[f64]>,
}

fn spans(r: &mut BitReader<'_>) -> Option<Vec<Span>> {
    let count = r.varbit_uint().filter(|n| *n <= BUCKETS_MAX)?;
    let mut out = Vec::new();
    let mut buckets = 0;
    for _ in 0..count {
        let length = r.varbit_uint()?;
        buckets = length.checked_add(buckets).filter(|n| *n <= BUCKETS_MAX)?;
        out.push(Span { length: length as u32, offset: i32::try_from(r.varbit_int()?).ok()? });
    }
    Some(out)
}

fn bounds(r: &mut BitReader<'_>) -> Option<Vec<f64>> {
    let count = r.varbit_uint().filter(|n| *n <= BUCKETS_MAX)?;
    let mut out = Vec::new();
    for _ in 0..count {
        out.push(match r.bits(1)? {
            0 => f64::from_bits(r.bits(64)?),
            // Thousandths, one more than they are.
            _ => r.varbit_uint()?.checked_sub(1)? as f64 / 1000.0,
        });
    }
    Some(out)
}

fn layout(r: &mut BitReader<'_>) -> Option<Layout> {
    let zero_threshold = match r.bits(8)? {
        0 => 0.0,
        255 => f64::from_bits(r.bits(64)?),
        exponent => (exponent as f64 - 243.0 - 1.0).exp2(),
    };
    let schema = i32::try_from(r.varbit_int()?).ok()?;
    let (positive, negative) = (spans(r)?, spans(r)?);
    let bounds = if schema == CUSTOM_SCHEMA { bounds(r)?.into() } else { Arc::default() };
    Some(Layout { schema, zero_threshold, positive, negative, bounds })
}

/// A whole number with its change, and the change of that.
#[derive(Default, Clone, Copy)]
struct Whole {
    value: i64,
    delta: i64,
}

impl Whole {
    fn next(&mut self, r: &mut BitReader<'_>, nth: u16) -> Option<()> {
        let n = r.varbit_int()?;
        match nth {
            0 => self.value = n,
            1 => self.delta = n,
            _ => self.delta = self.delta.wrapping_add(n),
        }
        if nth > 0 {
            self.value = self.value.wrapping_add(self.delta);
        }
        Some(())
    }
}

/// A float, whole at first and then by what differs.
#[derive(Default, Clone, Copy)]
struct Float {
    bits: u64,
    xor: Xor,
}

impl Float {
    fn next(&mut self, r: &mut BitReader<'_>, nth: u16) -> Option<()> {
        self.bits = if nth == 0 { r.bits(64)? } else { self.xor.next(r, self.bits)? };
        Some(())
    }
    fn value(self) -> f64 {
        f64::from_bits(self.bits)
    }
}

/// A count: of a chunk of floats, or of whole numbers, whose buckets are written as differences from bucket to bucket.
#[derive(Clone, Copy)]
enum Count {
    Whole(Whole),
    Float(Float),
}

impl Count {
    fn new(floats: bool) -> Self {
        if floats { Self::Float(Float::default()) } else { Self::Whole(Whole::default()) }
    }
    fn next(&mut self, r: &mut BitReader<'_>, nth: u16) -> Option<()> {
        match self {
            Self::Whole(n) => n.next(r, nth),
            Self::Float(n) => n.next(r, nth),
        }
    }
    /// The total counts, which begin as numbers without a sign.
    fn next_total(&mut self, r: &mut BitReader<'_>, nth: u16) -> Option<()> {
        match self {
            Self::Whole(n) if nth == 0 => {
                n.value = r.varbit_uint()? as i64;
                Some(())
            }
            other => other.next(r, nth),
        }
    }
    fn value(self) -> f64 {
        match self {
            Self::Whole(n) => n.value as f64,
            Self::Float(n) => n.value(),
        }
    }
}

fn buckets(spans: &[Span], counts: &[Count]) -> Buckets {
    let mut sum = 0_i64;
    let value = |count: &Count| match count {
        Count::Whole(n) => {
            sum = sum.wrapping_add(n.value);
            sum as f64
        }
        Count::Float(n) => n.value(),
    };
    Buckets { spans: spans.to_vec(), counts: counts.iter().map(value).collect() }
}

pub(super) fn decode(bytes: &[u8], floats: bool, out: &mut Vec<HistogramPoint>) -> Option<()> {
    let (head, rest) = bytes.split_at_checked(3)?;
    let samples = u16::from_be_bytes([head[0], head[1]]);
    if samples == 0 {
        return Some(());
    }
    let gauge = head[2] & GAUGE == GAUGE;
    let mut r = BitReader::new(rest);
    let layout = layout(&mut r)?;
    let sides = |spans: &[Span]| vec![Count::new(floats); spans.iter().map(|s| s.length as usize).sum()];
    let (mut positive, mut negative) = (sides(&layout.positive), sides(&layout.negative));
    let (mut t, mut sum) = (Whole::default(), Float::default());
    let (mut count, mut zeros) = (Count::new(floats), Count::new(floats));
    for nth in 0..samples {
        t.next(&mut r, nth)?;
        count.next_total(&mut r, nth)?;
        zeros.next_total(&mut r, nth)?;
        sum.next(&mut r, nth)?;
        if nth > 0 && is_stale(sum.value()) {
            let end = Histogram { sum: sum.value(), ..Histogram::default() };
            out.push(HistogramPoint { t_ms: t.value, histogram: Arc::new(end) });
            continue;
        }
        for bucket in positive.iter_mut().chain(&mut negative) {
            bucket.next(&mut r, nth)?;
        }
        let histogram = Histogram {
            reset_hint: if gauge { ResetHint::Gauge } else { ResetHint::Unknown },
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            zero_count: zeros.value(),
            count: count.value(),
            sum: sum.value(),
            positive: buckets(&layout.positive, &positive),
            negative: buckets(&layout.negative, &negative),
            bounds: layout.bounds.clone(),
        };
        out.push(HistogramPoint { t_ms: t.value, histogram: Arc::new(histogram) });
    }
    Some(())
}

/// Widths of `varbitInt` and `varbitUint`.
const WIDTHS: [u32; 8] = [3, 6, 9, 12, 18, 25, 56, 64];

fn put_varbit(w: &mut Bits, n: u64, fits: impl Fn(u32) -> bool) {
    if n == 0 {
        return w.put(0, 1);
    }
    let at = WIDTHS.iter().position(|width| *width == 64 || fits(*width)).unwrap_or(WIDTHS.len() - 1);
    // So many ones and a zero, which the longest does without.
    let (tag, bits) = if at == 7 { (0xFF, 8) } else { ((1 << (at + 2)) - 2, at as u32 + 2) };
    w.put(tag, bits);
    w.put(n, WIDTHS[at]);
}

fn put_varbit_uint(w: &mut Bits, n: u64) {
    put_varbit(w, n, |width| n < 1 << width);
}

fn put_varbit_int(w: &mut Bits, n: i64) {
    put_varbit(w, n as u64, |width| n >= -((1 << (width - 1)) - 1) && n <= 1 << (width - 1));
}

/// A chunk of floats (`float_histogram.go`) that holds one sample.
pub(crate) fn encode_one(point: &HistogramPoint) -> Vec<u8> {
    let h = &point.histogram;
    let gauge = if h.reset_hint == ResetHint::Gauge { GAUGE } else { 0 };
    let mut w = Bits { bytes: vec![0, 1, gauge], free: 0 };
    if h.zero_threshold == 0.0 {
        w.put(0, 8);
    } else {
        w.put(255, 8);
        w.put(h.zero_threshold.to_bits(), 64);
    }
    put_varbit_int(&mut w, i64::from(h.schema));
    for side in [&h.positive, &h.negative] {
        put_varbit_uint(&mut w, side.spans.len() as u64);
        for span in &side.spans {
            put_varbit_uint(&mut w, u64::from(span.length));
            put_varbit_int(&mut w, i64::from(span.offset));
        }
    }
    if h.schema == CUSTOM_SCHEMA {
        put_varbit_uint(&mut w, h.bounds.len() as u64);
        for bound in h.bounds.iter() {
            w.put(0, 1);
            w.put(bound.to_bits(), 64);
        }
    }
    put_varbit_int(&mut w, point.t_ms);
    for value in [h.count, h.zero_count, h.sum].iter().chain(&h.positive.counts).chain(&h.negative.counts) {
        w.put(value.to_bits(), 64);
    }
    w.bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spans_are_refused_whose_lengths_together_do_not_fit_a_number() {
        let mut w = Bits { bytes: vec![0, 1, 0], free: 0 };
        w.put(0, 8);
        put_varbit_int(&mut w, 3);
        put_varbit_uint(&mut w, 2);
        for length in [2, u64::MAX] {
            put_varbit_uint(&mut w, length);
            put_varbit_int(&mut w, 0);
        }
        w.put(0, 64);
        assert_eq!(decode(&w.bytes, false, &mut Vec::new()), None);
    }

    proptest! {
        #[test]
        fn one_histogram_is_read_as_it_was_written(
            schema in prop_oneof![-4i32..=8, Just(CUSTOM_SCHEMA)],
            t_ms in -1i64 << 45..1 << 45,
            counts in prop::collection::vec(0.0f64..1e9, 1..40),
            offset in -300i32..300,
            zero_threshold in prop_oneof![Just(0.0), Just(0.001), Just(2.938_735_877_055_719e-39)],
        ) {
            let custom = schema == CUSTOM_SCHEMA;
            let spans = vec![Span { offset: if custom { 0 } else { offset }, length: counts.len() as u32 }];
            let bounds: Vec<f64> = if custom { (1..=counts.len()).map(|i| i as f64 * 0.1).collect() } else { Vec::new() };
            let histogram = Histogram {
                schema, zero_threshold: if custom { 0.0 } else { zero_threshold }, zero_count: 0.0,
                count: counts.iter().sum(), sum: 5.5, positive: Buckets { spans, counts },
                bounds: bounds.into(), ..Histogram::default()
            };
            let point = HistogramPoint { t_ms, histogram: Arc::new(histogram) };
            let mut back = Vec::new();
            decode(&encode_one(&point), true, &mut back).unwrap();
            prop_assert_eq!(back, vec![point]);
        }

        #[test]
        fn anything_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), floats in any::<bool>()) {
            let _ = decode(&bytes, floats, &mut Vec::new());
        }
    }
}
