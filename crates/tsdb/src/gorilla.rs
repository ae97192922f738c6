//! Runs of samples of one series in memory, written bit by bit as they come.
//!
//! Timestamps are coded as differences of differences, values as XOR with the one before, after Pelkonen et al.,
//! "Gorilla: A Fast, Scalable, In-Memory Time Series Database" (VLDB 2015), with the buckets of milliseconds widened.

use std::sync::Arc;

use tenfold_types::Point;

use crate::bits::{BitReader, BitWriter};

/// An immutable run of samples, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    pub min_t: i64,
    pub max_t: i64,
    pub count: u32,
    pub bytes: Arc<[u8]>,
}

impl Chunk {
    /// Encodes points in ascending order of time; `None` when there are none.
    pub fn encode(points: &[Point]) -> Option<Self> {
        let mut appender = Appender::default();
        for point in points {
            appender.push(*point);
        }
        appender.chunk()
    }
    /// Appends the points with `start <= t <= end`; `None` when the bytes are damaged.
    pub fn decode_range(&self, start: i64, end: i64, out: &mut Vec<Point>) -> Option<()> {
        decode(&self.bytes, self.count, start, end, out)
    }
}

/// A run that still grows.
pub(crate) struct Appender {
    bits: BitWriter,
    first_t: i64,
    t: i64,
    delta: i64,
    value: u64,
    pub count: u32,
    window: Window,
}

impl Default for Appender {
    fn default() -> Self {
        let window = Window { leading: 0, bits: 0 };
        Self { bits: BitWriter::default(), first_t: 0, t: 0, delta: 0, value: 0, count: 0, window }
    }
}

impl Appender {
    pub fn push(&mut self, point: Point) {
        let bits = point.value.to_bits();
        if self.count == 0 {
            self.bits.put(point.t_ms as u64, 64);
            self.bits.put(bits, 64);
            self.first_t = point.t_ms;
        } else {
            let delta = point.t_ms.wrapping_sub(self.t);
            put_time(&mut self.bits, delta.wrapping_sub(self.delta));
            self.delta = delta;
            put_value(&mut self.bits, &mut self.window, bits ^ self.value);
        }
        self.t = point.t_ms;
        self.value = bits;
        self.count += 1;
    }
    pub fn capacity_bytes(&self) -> usize {
        self.bits.capacity()
    }
    pub fn first_t(&self) -> Option<i64> {
        (self.count > 0).then_some(self.first_t)
    }
    pub fn last(&self) -> Option<Point> {
        (self.count > 0).then(|| Point::new(self.t, f64::from_bits(self.value)))
    }
    /// What it holds so far.
    pub fn chunk(&self) -> Option<Chunk> {
        let bytes = || self.bits.snapshot().into();
        (self.count > 0).then(|| Chunk { min_t: self.first_t, max_t: self.t, count: self.count, bytes: bytes() })
    }
}

/// Bits of a difference of differences and of the ones before it, by the number of leading ones.
const WIDTHS: [(u32, u32); 5] = [(0, 1), (7, 2), (13, 3), (20, 4), (64, 4)];

fn put_time(w: &mut BitWriter, dod: i64) {
    if dod == 0 {
        return w.put(0, 1);
    }
    for (ones, width) in [(1u32, 7u32), (2, 13), (3, 20)] {
        let half = 1i64 << (width - 1);
        if (-half..half).contains(&dod) {
            w.put(((1 << ones) - 1) << 1, ones + 1);
            return w.put(dod as u64 & ((1 << width) - 1), width);
        }
    }
    w.put(0b1111, 4);
    w.put(dod as u64, 64);
}

/// The difference of differences at the front of a window, and how many bits it took; `None` when it is a long one.
#[inline]
fn time_in(window: u64) -> Option<(i64, u32)> {
    let (width, flags) = WIDTHS[window.leading_ones().min(4) as usize];
    match width {
        0 => Some((0, 1)),
        64 => None,
        _ => Some((((window << flags) as i64) >> (64 - width), flags + width)),
    }
}

/// The shared XOR window: how many leading zeros and how many meaningful bits.
#[derive(Clone, Copy)]
struct Window {
    leading: u8,
    bits: u8,
}

fn put_value(w: &mut BitWriter, window: &mut Window, xor: u64) {
    if xor == 0 {
        return w.put(0, 1);
    }
    let leading = xor.leading_zeros().min(31);
    let trailing = xor.trailing_zeros();
    let (old_leading, old_bits) = (u32::from(window.leading), u32::from(window.bits));
    let old_trailing = 64 - old_leading - old_bits;
    // A new window costs 11 bits, so a wider old one is kept while it wastes fewer.
    if old_bits > 0 && leading >= old_leading && trailing >= old_trailing && old_bits < 64 - leading - trailing + 11 {
        w.put(0b10, 2);
        return w.put(xor >> old_trailing, old_bits);
    }
    let bits = 64 - leading - trailing;
    *window = Window { leading: leading as u8, bits: bits as u8 };
    w.put(0b11, 2);
    w.put(u64::from(leading), 5);
    w.put(u64::from(bits - 1), 6);
    w.put(xor >> trailing, bits);
}

/// Reads a value's XOR; `ahead` are its first 33 or more bits, `used` how far they lie ahead of the reader.
#[inline]
fn take_value(r: &mut BitReader<'_>, window: &mut Window, ahead: u64, used: u32) -> Option<u64> {
    if ahead >> 63 == 0 {
        r.advance(used + 1)?;
        return Some(0);
    }
    if ahead >> 62 == 0b10 {
        r.advance(used + 2)?;
        if window.bits == 0 {
            return None;
        }
    } else {
        r.advance(used + 13)?;
        let (leading, len) = ((ahead >> 57) as u8 & 31, (ahead >> 51) as u8 & 63);
        *window = Window { leading, bits: len + 1 };
        if leading + len + 1 > 64 {
            return None;
        }
    }
    let (leading, bits) = (u32::from(window.leading), u32::from(window.bits));
    Some(r.take(bits)? << (64 - leading - bits))
}

/// Decodes `count` points and appends those within `start..=end`; `None` when the bytes are damaged.
pub(crate) fn decode(bytes: &[u8], count: u32, start: i64, end: i64, out: &mut Vec<Point>) -> Option<()> {
    if count == 0 {
        return Some(());
    }
    let mut r = BitReader::new(bytes);
    let mut window = Window { leading: 0, bits: 0 };
    let (mut t, mut v, mut delta) = (r.take(64)? as i64, r.take(64)?, 0i64);
    // Two bits are the least a further sample takes: a damaged count must not reserve the memory.
    out.reserve((count as usize).min(bytes.len() * 4 + 1));
    for i in 0..count {
        if i > 0 {
            let mut ahead = r.window();
            let (dod, used) = if let Some(short) = time_in(ahead) {
                short
            } else {
                r.advance(4)?;
                let long = r.take(64)? as i64;
                ahead = r.window();
                (long, 0)
            };
            delta = delta.wrapping_add(dod);
            t = t.wrapping_add(delta);
            v ^= take_value(&mut r, &mut window, ahead << used, used)?;
        }
        if t > end {
            break;
        }
        if t >= start {
            out.push(Point { t_ms: t, value: f64::from_bits(v) });
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn points() -> impl Strategy<Value = Vec<Point>> {
        let value = prop_oneof![
            any::<f64>(),
            (0u32..1000).prop_map(f64::from),
            Just(1.0),
            any::<u64>().prop_map(f64::from_bits),
        ];
        (any::<i32>(), prop::collection::vec((prop_oneof![Just(15_000i64), 1i64..100_000_000], value), 1..300))
            .prop_map(|(t0, steps)| {
                let mut t = i64::from(t0);
                steps
                    .into_iter()
                    .map(|(d, v)| {
                        t += d;
                        Point::new(t, v)
                    })
                    .collect()
            })
    }

    fn bits(points: &[Point]) -> Vec<(i64, u64)> {
        points.iter().map(|p| (p.t_ms, p.value.to_bits())).collect()
    }

    proptest! {
        #[test]
        fn round_trip_to_the_bit(points in points()) {
            let chunk = Chunk::encode(&points).unwrap();
            let mut out = Vec::new();
            chunk.decode_range(i64::MIN, i64::MAX, &mut out).unwrap();
            prop_assert_eq!(bits(&out), bits(&points));
        }

        #[test]
        fn damaged_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), count in any::<u32>()) {
            let _ = decode(&bytes, count, i64::MIN, i64::MAX, &mut Vec::new());
        }
    }

    #[test]
    fn a_constant_series_takes_two_bits_a_sample() {
        let points: Vec<_> = (0..480).map(|i| Point::new(i * 15_000, 3.5)).collect();
        let chunk = Chunk::encode(&points).unwrap();
        assert!(chunk.bytes.len() < 16 + 480 / 4 + 8, "{} bytes", chunk.bytes.len());
    }
}
