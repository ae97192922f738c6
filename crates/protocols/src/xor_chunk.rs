//! Prometheus' chunk of floats (`tsdb/chunkenc/xor.go`): the number of samples, the first one whole, then differences of
//! differences of the instants and the XOR of each value with the one before.

use tenfold_types::Point;

use crate::bit_reader::BitReader;

/// Writes a chunk of at most 65,535 samples.
pub fn encode(points: &[Point]) -> Vec<u8> {
    let mut w = Bits { bytes: (points.len() as u16).to_be_bytes().to_vec(), free: 0 };
    let (mut delta, mut differs) = (0_i64, XorOut::default());
    for (i, p) in points.iter().enumerate() {
        if i == 0 {
            w.varint(p.t_ms << 1 ^ p.t_ms >> 63);
            w.put(p.value.to_bits(), 64);
            continue;
        }
        let before = points[i - 1];
        let step = p.t_ms.wrapping_sub(before.t_ms);
        if i == 1 {
            w.varint(step);
        } else {
            let change = step.wrapping_sub(delta);
            let fits = |bits: u32| change >= -((1_i64 << (bits - 1)) - 1) && change <= 1_i64 << (bits - 1);
            match change {
                0 => w.put(0, 1),
                _ if fits(14) => w.tagged(0b10, 2, change, 14),
                _ if fits(17) => w.tagged(0b110, 3, change, 17),
                _ if fits(20) => w.tagged(0b1110, 4, change, 20),
                _ => w.tagged(0b1111, 4, change, 64),
            }
        }
        delta = step;
        differs.put(&mut w, before.value.to_bits(), p.value.to_bits());
    }
    w.bytes
}

/// Where the bits differ in a value that is written, as [`Xor`] reads them.
#[derive(Clone, Copy)]
pub(crate) struct XorOut {
    leading: u32,
    trailing: u32,
}

impl Default for XorOut {
    fn default() -> Self {
        Self { leading: u32::MAX, trailing: 0 }
    }
}

impl XorOut {
    pub(crate) fn put(&mut self, w: &mut Bits, before: u64, now: u64) {
        let xor = before ^ now;
        if xor == 0 {
            return w.put(0, 1);
        }
        let (l, t) = (xor.leading_zeros().min(31), xor.trailing_zeros());
        if self.leading != u32::MAX && l >= self.leading && t >= self.trailing {
            w.put(0b10, 2);
            w.put(xor >> self.trailing, 64 - self.leading - self.trailing);
        } else {
            (self.leading, self.trailing) = (l, t);
            w.put(0b11, 2);
            w.put(u64::from(l), 5);
            // 64 does not fit: it is written as 0.
            w.put(u64::from((64 - l - t) & 63), 6);
            w.put(xor >> t, 64 - l - t);
        }
    }
}

pub(crate) struct Bits {
    pub bytes: Vec<u8>,
    pub free: u32,
}

impl Bits {
    pub fn put(&mut self, value: u64, count: u32) {
        for i in (0..count).rev() {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            self.free -= 1;
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((value >> i & 1) as u8) << self.free;
            }
        }
    }
    fn tagged(&mut self, tag: u64, bits: u32, value: i64, count: u32) {
        self.put(tag, bits);
        self.put(value as u64, count);
    }
    fn varint(&mut self, n: i64) {
        let mut n = n as u64;
        while n >= 0x80 {
            self.put(n & 0x7F | 0x80, 8);
            n >>= 7;
        }
        self.put(n, 8);
    }
}

/// Reads a chunk; `None` when it is damaged.
pub fn decode(bytes: &[u8], out: &mut Vec<Point>) -> Option<()> {
    let (count, rest) = bytes.split_at_checked(2)?;
    let count = u16::from_be_bytes([count[0], count[1]]);
    let mut r = BitReader::new(rest);
    let (mut t, mut delta) = (0_i64, 0_i64);
    let (mut value, mut xor) = (0_u64, Xor::default());
    for i in 0..count {
        match i {
            0 => {
                let n = r.varint()?;
                t = (n >> 1) as i64 ^ -((n & 1) as i64);
                value = r.bits(64)?;
            }
            1 => {
                delta = r.varint()? as i64;
                t = t.wrapping_add(delta);
                value = xor.next(&mut r, value)?;
            }
            _ => {
                let bits = match r.ones(4)? {
                    0 => 0,
                    1 => 14,
                    2 => 17,
                    3 => 20,
                    _ => 64,
                };
                delta = delta.wrapping_add(r.signed(bits)?);
                t = t.wrapping_add(delta);
                value = xor.next(&mut r, value)?;
            }
        }
        out.push(Point::new(t, f64::from_bits(value)));
    }
    Some(())
}

/// Where the bits that differ lie in a value.
#[derive(Default, Clone, Copy)]
pub(crate) struct Xor {
    leading: u32,
    trailing: u32,
}

impl Xor {
    pub(crate) fn next(&mut self, r: &mut BitReader<'_>, before: u64) -> Option<u64> {
        if r.bits(1)? == 0 {
            return Some(before);
        }
        let anew = r.bits(1)? == 1;
        self.changed(r, before, anew)
    }

    /// A value that differs from the one before: where the last one differed from its own, or `anew`.
    pub(crate) fn changed(&mut self, r: &mut BitReader<'_>, before: u64, anew: bool) -> Option<u64> {
        if anew {
            self.leading = r.bits(5)? as u32;
            let significant = match r.bits(6)? as u32 {
                0 => 64,
                n => n,
            };
            self.trailing = 64_u32.checked_sub(self.leading)?.checked_sub(significant)?;
        }
        let bits = r.bits(64 - self.leading - self.trailing)?;
        Some(before ^ bits << self.trailing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            start in -1i64 << 40..1 << 40,
            steps in prop::collection::vec((1i64..100_000_000_000, any::<u64>(), any::<bool>()), 0..200),
        ) {
            let (mut t, mut before) = (start, 0);
            let points: Vec<Point> = steps.iter().map(|(d, bits, same)| {
                t += if *same { 15_000 } else { *d };
                before = if *same { before } else { *bits };
                Point::new(t, f64::from_bits(before))
            }).collect();
            let mut back = Vec::new();
            decode(&encode(&points), &mut back).unwrap();
            let bits = |all: &[Point]| all.iter().map(|p| (p.t_ms, p.value.to_bits())).collect::<Vec<_>>();
            prop_assert_eq!(bits(&back), bits(&points));
        }

        #[test]
        fn anything_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes, &mut Vec::new());
        }
    }
}
