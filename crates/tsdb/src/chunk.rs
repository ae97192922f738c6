//! Runs of samples of one series as bytes. The first byte of a chunk's description says how it is encoded, so that new
//! encodings can be added without touching old files.
//!
//! Timestamps are coded as differences of differences, values as XOR with the one before, after Pelkonen et al.,
//! "Gorilla: A Fast, Scalable, In-Memory Time Series Database" (VLDB 2015), with the buckets of milliseconds widened.

use std::sync::Arc;

use tenfold_types::Point;

use crate::bits::{BitReader, BitWriter};

/// How a chunk's bytes are to be read. The number is part of the file formats and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// Gorilla: timestamps and XORed values interleaved.
    Xor = 1,
    /// One value for all samples, then only timestamps.
    Constant = 2,
}

impl Encoding {
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Xor),
            2 => Some(Self::Constant),
            _ => None,
        }
    }
}

/// An immutable run of samples, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    pub min_t: i64,
    pub max_t: i64,
    pub count: u32,
    pub encoding: Encoding,
    pub bytes: Arc<[u8]>,
}

impl Chunk {
    /// Encodes points in ascending order of time; `None` when there are none.
    pub fn encode(points: &[Point]) -> Option<Self> {
        let (first, last) = (points.first()?, points.last()?);
        let constant = points.iter().all(|p| p.value.to_bits() == first.value.to_bits());
        let encoding = if constant { Encoding::Constant } else { Encoding::Xor };
        let bytes = encode(points, encoding).into();
        Some(Self { min_t: first.t_ms, max_t: last.t_ms, count: points.len() as u32, encoding, bytes })
    }
    /// Appends the points with `start <= t <= end`; `None` when the bytes are damaged.
    pub fn decode_range(&self, start: i64, end: i64, out: &mut Vec<Point>) -> Option<()> {
        decode(&self.bytes, self.encoding, self.count, start, end, out)
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
    leading: u32,
    bits: u32,
}

fn put_value(w: &mut BitWriter, window: &mut Window, xor: u64) {
    if xor == 0 {
        return w.put(0, 1);
    }
    let leading = xor.leading_zeros().min(31);
    let trailing = xor.trailing_zeros();
    let old_trailing = 64 - window.leading - window.bits;
    // A new window costs 11 bits, so a wider old one is kept while it wastes fewer.
    if window.bits > 0
        && leading >= window.leading
        && trailing >= old_trailing
        && window.bits < 64 - leading - trailing + 11
    {
        w.put(0b10, 2);
        return w.put(xor >> old_trailing, window.bits);
    }
    *window = Window { leading, bits: 64 - leading - trailing };
    w.put(0b11, 2);
    w.put(u64::from(leading), 5);
    w.put(u64::from(window.bits - 1), 6);
    w.put(xor >> trailing, window.bits);
}

/// Reads a value's XOR; `bits` are its first 33 or more bits, `used` how far they lie ahead of the reader.
#[inline]
fn take_value(r: &mut BitReader<'_>, window: &mut Window, bits: u64, used: u32) -> Option<u64> {
    if bits >> 63 == 0 {
        r.advance(used + 1)?;
        return Some(0);
    }
    if bits >> 62 == 0b10 {
        r.advance(used + 2)?;
        if window.bits == 0 {
            return None;
        }
    } else {
        r.advance(used + 13)?;
        let (leading, len) = ((bits >> 57) as u32 & 31, (bits >> 51) as u32 & 63);
        *window = Window { leading, bits: len + 1 };
        if leading + len + 1 > 64 {
            return None;
        }
    }
    Some(r.take(window.bits)? << (64 - window.leading - window.bits))
}

fn encode(points: &[Point], encoding: Encoding) -> Vec<u8> {
    let mut w = BitWriter::with_capacity(16 + points.len() * 2);
    let mut window = Window { leading: 0, bits: 0 };
    let (mut t, mut delta, mut v) = (0i64, 0i64, 0u64);
    for (i, p) in points.iter().enumerate() {
        let bits = p.value.to_bits();
        if i == 0 {
            w.put(p.t_ms as u64, 64);
            w.put(bits, 64);
        } else {
            let new_delta = p.t_ms.wrapping_sub(t);
            put_time(&mut w, new_delta.wrapping_sub(delta));
            delta = new_delta;
            if encoding == Encoding::Xor {
                put_value(&mut w, &mut window, bits ^ v);
            }
        }
        t = p.t_ms;
        v = bits;
    }
    w.finish()
}

/// Decodes `count` points and appends those within `start..=end`; `None` when the bytes are damaged.
pub(crate) fn decode(
    bytes: &[u8],
    encoding: Encoding,
    count: u32,
    start: i64,
    end: i64,
    out: &mut Vec<Point>,
) -> Option<()> {
    if count == 0 {
        return Some(());
    }
    let mut r = BitReader::new(bytes);
    let mut window = Window { leading: 0, bits: 0 };
    let (mut t, mut v, mut delta) = (r.take(64)? as i64, r.take(64)?, 0i64);
    // Two bits are the least a further sample takes: a damaged count must not reserve the memory.
    out.reserve((count as usize).min(bytes.len() * 8 + 1));
    for i in 0..count {
        if i > 0 {
            let mut ahead = r.window();
            let (dod, mut used) = if let Some(short) = time_in(ahead) {
                short
            } else {
                r.advance(4)?;
                let long = r.take(64)? as i64;
                ahead = r.window();
                (long, 0)
            };
            delta = delta.wrapping_add(dod);
            t = t.wrapping_add(delta);
            if encoding == Encoding::Xor {
                v ^= take_value(&mut r, &mut window, ahead << used, used)?;
                used = 0;
            }
            r.advance(used)?;
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
            for encoding in [Encoding::Xor, Encoding::Constant] {
                let _ = decode(&bytes, encoding, count, i64::MIN, i64::MAX, &mut Vec::new());
            }
        }
    }

    #[test]
    fn a_constant_series_takes_a_bit_a_sample() {
        let points: Vec<_> = (0..480).map(|i| Point::new(i * 15_000, 3.5)).collect();
        let chunk = Chunk::encode(&points).unwrap();
        assert_eq!(chunk.encoding, Encoding::Constant);
        assert!(chunk.bytes.len() < 16 + 480 / 8 + 4, "{} bytes", chunk.bytes.len());
    }
}
