//! Chunks of native histograms: `tsdb/chunkenc/histogram.go` (whole numbers) and `float_histogram.go`. A chunk has one
//! layout of buckets for all its samples.

use std::sync::Arc;

use tenfold_types::histogram::{Buckets, CUSTOM_SCHEMA, Span};
use tenfold_types::{Histogram, HistogramPoint, ResetHint, is_stale};

use super::xor2::Starts;
use crate::bit_reader::BitReader;
use crate::xor_chunk::{Bits, Xor, XorOut};

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
    Head { samples, flags: head[2], starts: Starts::default() }.read(rest, floats, out)
}

/// The same of a chunk that may say when what is counted began (`histogram_st.go`): its flags stand before the number of
/// samples, to make room.
pub(super) fn decode_with_starts(bytes: &[u8], floats: bool, out: &mut Vec<HistogramPoint>) -> Option<()> {
    let (head, rest) = bytes.split_at_checked(3)?;
    let samples = u16::from_be_bytes([head[0] & !GAUGE, head[1]]);
    Head { samples, flags: head[0], starts: Starts::of(head[2]) }.read(rest, floats, out)
}

/// What stands at the beginning of a chunk.
struct Head {
    samples: u16,
    flags: u8,
    starts: Starts,
}

impl Head {
    fn read(&self, bytes: &[u8], floats: bool, out: &mut Vec<HistogramPoint>) -> Option<()> {
        if self.samples == 0 {
            return Some(());
        }
        let gauge = self.flags & GAUGE == GAUGE;
        let mut r = BitReader::new(bytes);
        let layout = layout(&mut r)?;
        let sides = |spans: &[Span]| vec![Count::new(floats); spans.iter().map(|s| s.length as usize).sum()];
        let (mut positive, mut negative) = (sides(&layout.positive), sides(&layout.negative));
        let (mut t, mut sum) = (Whole::default(), Float::default());
        let (mut count, mut zeros) = (Count::new(floats), Count::new(floats));
        for nth in 0..self.samples {
            t.next(&mut r, nth)?;
            count.next_total(&mut r, nth)?;
            zeros.next_total(&mut r, nth)?;
            sum.next(&mut r, nth)?;
            let histogram = if nth > 0 && is_stale(sum.value()) {
                Histogram { sum: sum.value(), ..Histogram::default() }
            } else {
                for bucket in positive.iter_mut().chain(&mut negative) {
                    bucket.next(&mut r, nth)?;
                }
                Histogram {
                    reset_hint: if gauge { ResetHint::Gauge } else { ResetHint::Unknown },
                    schema: layout.schema,
                    zero_threshold: layout.zero_threshold,
                    zero_count: zeros.value(),
                    count: count.value(),
                    sum: sum.value(),
                    positive: buckets(&layout.positive, &positive),
                    negative: buckets(&layout.negative, &negative),
                    bounds: layout.bounds.clone(),
                }
            };
            out.push(HistogramPoint { t_ms: t.value, histogram: Arc::new(histogram) });
            self.starts.pass_over(&mut r, nth)?;
        }
        Some(())
    }
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

/// Whether one sample may stand behind another in a chunk. It has the same buckets, and is of no counter that began again:
/// within a chunk readers take for granted that none did.
pub(crate) fn follows(before: &HistogramPoint, after: &HistogramPoint) -> bool {
    let (a, b) = (&*before.histogram, &*after.histogram);
    let is_gauge = |h: &Histogram| h.reset_hint == ResetHint::Gauge;
    let is_laid_out_alike = a.schema == b.schema
        && a.zero_threshold.to_bits() == b.zero_threshold.to_bits()
        && a.positive.spans == b.positive.spans
        && a.negative.spans == b.negative.spans
        && a.bounds == b.bounds;
    let sides = [(&a.positive.counts, &b.positive.counts), (&a.negative.counts, &b.negative.counts)];
    let goes_on = a.count <= b.count
        && a.zero_count <= b.zero_count
        && sides.into_iter().all(|(a, b)| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a <= b));
    is_laid_out_alike
        && !a.is_stale()
        && !b.is_stale()
        && is_gauge(a) == is_gauge(b)
        && (is_gauge(a) || (goes_on && b.reset_hint != ResetHint::Reset))
}

/// What a chunk says of each sample, in its order.
fn values(h: &Histogram) -> impl Iterator<Item = u64> {
    let totals = [h.count, h.zero_count, h.sum];
    totals.into_iter().chain(h.positive.counts.iter().chain(&h.negative.counts).copied()).map(f64::to_bits)
}

/// A chunk of floats (`float_histogram.go`) of samples each of which [`follows`] the one before; at most 65,535.
pub(crate) fn encode(points: &[HistogramPoint]) -> Vec<u8> {
    let [high, low] = u16::try_from(points.len()).unwrap_or(u16::MAX).to_be_bytes();
    let Some((first, rest)) = points.split_first() else { return vec![high, low, 0] };
    let h = &first.histogram;
    let gauge = if h.reset_hint == ResetHint::Gauge { GAUGE } else { 0 };
    let mut w = Bits { bytes: vec![high, low, gauge], free: 0 };
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
    put_varbit_int(&mut w, first.t_ms);
    let mut known: Vec<(u64, XorOut)> = values(h).map(|value| (value, XorOut::default())).collect();
    for (value, _) in &known {
        w.put(*value, 64);
    }
    let (mut t_ms, mut step_ms) = (first.t_ms, 0);
    for point in rest {
        let next_ms = point.t_ms.wrapping_sub(t_ms);
        put_varbit_int(&mut w, next_ms.wrapping_sub(step_ms));
        (t_ms, step_ms) = (point.t_ms, next_ms);
        for ((before, differs), now) in known.iter_mut().zip(values(&point.histogram)) {
            differs.put(&mut w, *before, now);
            *before = now;
        }
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

    #[test]
    fn a_chunk_ends_where_a_counter_begins_again_or_is_laid_out_anew() {
        let point = |histogram: Histogram| HistogramPoint { t_ms: 0, histogram: Arc::new(histogram) };
        let of =
            |count: f64, reset_hint| point(Histogram { count, zero_count: count, reset_hint, ..Histogram::default() });
        let counted = |count| of(count, ResetHint::Unknown);
        assert!(follows(&counted(1.0), &counted(1.0)) && follows(&counted(1.0), &of(2.0, ResetHint::NotReset)));
        assert!(!follows(&counted(2.0), &counted(1.0)));
        assert!(!follows(&counted(1.0), &of(2.0, ResetHint::Reset)));
        assert!(!follows(&counted(1.0), &of(2.0, ResetHint::Gauge)));
        assert!(follows(&of(2.0, ResetHint::Gauge), &of(1.0, ResetHint::Gauge)));
        let bucket = |index| {
            point(Histogram { count: 1.0, positive: Buckets::from_indexed([(index, 1.0)]), ..Histogram::default() })
        };
        assert!(follows(&bucket(1), &bucket(1)) && !follows(&bucket(1), &bucket(2)));
        let ended = point(Histogram { sum: tenfold_types::STALE_NAN, ..Histogram::default() });
        assert!(!follows(&counted(0.0), &ended) && !follows(&ended, &counted(0.0)) && !follows(&ended, &ended));
    }

    #[test]
    fn starts_stand_behind_their_samples() {
        const T_MS: i64 = 1_795_424_000_000;
        let mut w = Bits { bytes: vec![GAUGE, 4, 0x81], free: 0 };
        // No zero threshold, the schema, no buckets.
        w.put(0, 8);
        put_varbit_int(&mut w, 3);
        w.put(0, 2);
        put_varbit_int(&mut w, T_MS);
        for value in [5.0_f64, 2.0, 7.5] {
            w.put(value.to_bits(), 64);
        }
        // Began two seconds before, so that 4,000 stands there: base 128, the lower part first.
        w.put(0xA0, 8);
        w.put(0x1F, 8);
        let mut sum = XorOut::default();
        let sums = [7.5, tenfold_types::STALE_NAN, 8.5];
        for (at, (before, now)) in [7.5].into_iter().chain(sums).zip(sums).enumerate() {
            // Every 15 seconds, and no more observations.
            put_varbit_int(&mut w, if at == 0 { 15_000 } else { 0 });
            w.put(0, 2);
            sum.put(&mut w, f64::to_bits(before), f64::to_bits(now));
            put_varbit_int(&mut w, 1_000 * at as i64 - 500);
        }
        let mut back = Vec::new();
        decode_with_starts(&w.bytes, true, &mut back).unwrap();
        let told: Vec<_> = back.iter().map(|p| (p.t_ms - T_MS, p.histogram.sum.to_bits())).collect();
        assert_eq!(
            told,
            [(0, 7.5), (15_000, 7.5), (30_000, sums[1]), (45_000, 8.5)].map(|(t, s)| (t, f64::to_bits(s)))
        );
        assert_eq!((back[3].histogram.count, back[3].histogram.zero_count), (5.0, 2.0));
        assert_eq!(back[0].histogram.reset_hint, ResetHint::Gauge);
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
            decode(&encode(std::slice::from_ref(&point)), true, &mut back).unwrap();
            prop_assert_eq!(back, vec![point]);
        }

        #[test]
        fn many_histograms_are_read_as_they_were_written(
            start_ms in -1i64 << 45..1 << 45,
            steps in prop::collection::vec((1i64..1 << 40, any::<bool>(), prop::array::uniform3(0.0f64..1e6)), 1..130),
            gauge in any::<bool>(),
        ) {
            let (mut t_ms, mut counts) = (start_ms, [0.0; 3]);
            let points: Vec<HistogramPoint> = steps.into_iter().map(|(step_ms, is_even, more)| {
                t_ms += if is_even { 15_000 } else { step_ms };
                if !is_even {
                    counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
                }
                let [below, first, second] = counts;
                let histogram = Histogram {
                    reset_hint: if gauge { ResetHint::Gauge } else { ResetHint::Unknown },
                    schema: 3, zero_threshold: 0.001, zero_count: first, count: below + first + second, sum: second - below,
                    positive: Buckets { spans: vec![Span { offset: -2, length: 2 }], counts: vec![first, second] },
                    negative: Buckets { spans: vec![Span { offset: 4, length: 1 }], counts: vec![below] },
                    ..Histogram::default()
                };
                HistogramPoint { t_ms, histogram: Arc::new(histogram) }
            }).collect();
            prop_assert!(points.windows(2).all(|pair| follows(&pair[0], &pair[1])));
            let mut back = Vec::new();
            decode(&encode(&points), true, &mut back).unwrap();
            prop_assert_eq!(back, points);
        }

        #[test]
        fn anything_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), floats in any::<bool>()) {
            let _ = decode(&bytes, floats, &mut Vec::new());
            let _ = decode_with_starts(&bytes, floats, &mut Vec::new());
        }
    }
}
