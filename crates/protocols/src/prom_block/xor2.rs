//! The chunk of floats that `storage.tsdb.chunk_encoding.floats: xor2` of Prometheus chooses (`tsdb/chunkenc/xor2.go`): one
//! code says whether instant and value go on as before. It may say when what is counted began, which is passed over.

use tenfold_types::{Point, STALE_NAN_BITS};

use crate::bit_reader::BitReader;
use crate::wire::unzigzag;
use crate::xor_chunk::Xor;

/// Which samples of a chunk say when what they count began: the first, and all from another one on, which is 0 for none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Starts {
    is_first: bool,
    from: u16,
}

impl Starts {
    pub(super) fn of(header: u8) -> Self {
        Self { is_first: header & 0x80 != 0, from: u16::from(header & 0x7F) }
    }

    /// It stands behind the sample.
    pub(super) fn pass_over(self, r: &mut BitReader<'_>, nth: u16) -> Option<()> {
        if nth == 0 && self.is_first {
            r.varint()?;
        } else if nth > 0 && self.from > 0 && nth >= self.from {
            r.varbit_int()?;
        }
        Some(())
    }
}

/// Two's complement in so many bits.
fn signed(r: &mut BitReader<'_>, bits: u32) -> Option<i64> {
    let n = r.bits(bits)? as i64;
    Some(if (1..64).contains(&bits) && n >= 1 << (bits - 1) { n - (1 << bits) } else { n })
}

/// A value whose instant does not go on as before.
fn value(r: &mut BitReader<'_>, xor: &mut Xor, before: u64) -> Option<u64> {
    match r.ones(3)? {
        0 => Some(before),
        1 => xor.changed(r, before, false),
        2 => xor.changed(r, before, true),
        _ => Some(STALE_NAN_BITS),
    }
}

/// Reads a chunk; `None` when it is damaged.
pub(super) fn decode(bytes: &[u8], out: &mut Vec<Point>) -> Option<()> {
    let (head, rest) = bytes.split_at_checked(3)?;
    let (count, starts) = (u16::from_be_bytes([head[0], head[1]]), Starts::of(head[2]));
    let mut r = BitReader::new(rest);
    let (mut t, mut delta) = (0_i64, 0_i64);
    // Of the last sample that is no mark of an end: those are told apart, and change nothing for the next.
    let (mut before, mut xor) = (0_u64, Xor::default());
    for nth in 0..count {
        let bits = match nth {
            0 => {
                t = unzigzag(r.varint()?);
                r.bits(64)?
            }
            1 => {
                delta = r.varint()? as i64;
                value(&mut r, &mut xor, before)?
            }
            _ => {
                let code = r.ones(5)?;
                let width = match code {
                    2 => 13,
                    3 => 20,
                    4 => 64,
                    _ => 0,
                };
                delta = delta.wrapping_add(signed(&mut r, width)?);
                match code {
                    0 => before,
                    1 => {
                        let anew = r.bits(1)? == 1;
                        xor.changed(&mut r, before, anew)?
                    }
                    5 => STALE_NAN_BITS,
                    _ => value(&mut r, &mut xor, before)?,
                }
            }
        };
        t = t.wrapping_add(delta);
        if bits != STALE_NAN_BITS {
            before = bits;
        }
        out.push(Point::new(t, f64::from_bits(bits)));
        starts.pass_over(&mut r, nth)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::xor_chunk::Bits;

    /// As Prometheus writes it, with starts of the first sample and of those from `from` on.
    struct Written {
        w: Bits,
        before: u64,
        window: Option<(u32, u32)>,
    }

    impl Written {
        fn varint(&mut self, mut n: u64) {
            while n >= 0x80 {
                self.w.put(n & 0x7F | 0x80, 8);
                n >>= 7;
            }
            self.w.put(n, 8);
        }

        /// `anew` and how many bits of it say that the window is another one.
        fn changed(&mut self, bits: u64, (anew, width): (u64, u32)) {
            let xor = self.before ^ bits;
            let (l, t) = (xor.leading_zeros().min(31), xor.trailing_zeros());
            if let Some((leading, trailing)) = self.window.filter(|(leading, trailing)| l >= *leading && t >= *trailing)
            {
                self.w.put(0, 1);
                self.w.put(xor >> trailing, 64 - leading - trailing);
            } else {
                self.window = Some((l, t));
                self.w.put(anew, width);
                self.w.put(u64::from(l), 5);
                self.w.put(u64::from((64 - l - t) & 63), 6);
                self.w.put(xor >> t, 64 - l - t);
            }
            self.before = bits;
        }

        fn value(&mut self, bits: u64) {
            if bits == STALE_NAN_BITS {
                self.w.put(0b111, 3);
            } else if bits == self.before {
                self.w.put(0, 1);
            } else {
                // `10` for the same window, `110` for another.
                self.w.put(1, 1);
                self.changed(bits, (0b10, 2));
            }
        }

        fn next(&mut self, change: i64, bits: u64) {
            match change {
                0 if bits == STALE_NAN_BITS => return self.w.put(0b1_1111, 5),
                0 if bits == self.before => return self.w.put(0, 1),
                0 => {
                    self.w.put(0b10, 2);
                    return self.changed(bits, (1, 1));
                }
                -4_096..=4_095 => {
                    self.w.put(0b110, 3);
                    self.w.put(change as u64, 13);
                }
                -524_288..=524_287 => {
                    self.w.put(0b1110, 4);
                    self.w.put(change as u64, 20);
                }
                _ => {
                    self.w.put(0b1_1110, 5);
                    self.w.put(change as u64, 64);
                }
            }
            self.value(bits);
        }
    }

    fn encode(points: &[(i64, u64)], header: u8) -> Vec<u8> {
        let [high, low] = (points.len() as u16).to_be_bytes();
        let bytes = vec![high, low, header];
        let mut out = Written { w: Bits { bytes, free: 0 }, before: 0, window: None };
        let mut delta = 0;
        for (nth, (t, bits)) in points.iter().enumerate() {
            let step = if nth == 0 { 0 } else { t - points[nth - 1].0 };
            match nth {
                0 => {
                    out.varint((t << 1 ^ t >> 63) as u64);
                    out.w.put(*bits, 64);
                    if *bits != STALE_NAN_BITS {
                        out.before = *bits;
                    }
                    if header & 0x80 != 0 {
                        out.varint(300);
                    }
                }
                1 => {
                    out.varint(step as u64);
                    out.value(*bits);
                }
                _ => out.next(step - delta, *bits),
            }
            let from = usize::from(header & 0x7F);
            if nth > 0 && from > 0 && nth >= from {
                // `110` and six bits, as of a small change.
                out.w.put(0b110, 3);
                out.w.put(17, 6);
            }
            delta = step;
        }
        out.w.bytes
    }

    fn check(points: &[(i64, u64)], header: u8) {
        let mut back = Vec::new();
        decode(&encode(points, header), &mut back).expect("it is read");
        let back: Vec<(i64, u64)> = back.iter().map(|p| (p.t_ms, p.value.to_bits())).collect();
        assert_eq!(back, points, "{header:#x}");
    }

    #[test]
    fn bounds_of_the_codes_and_ends_are_read() {
        let mut points = vec![(-7_000_i64, 1.5_f64.to_bits()), (-6_000, 1.5_f64.to_bits())];
        let mut step = 1_000;
        let values = [1.5, 2.5, tenfold_types::STALE_NAN, 2.5, -0.0, f64::NAN];
        for (nth, change) in
            [0, -4_096, 4_095, 4_096, -4_097, -524_288, 524_287, 524_288, 1 << 40, 0, 0, 0, 0, -1, 1, 0]
                .iter()
                .enumerate()
        {
            step += change;
            points.push((points[points.len() - 1].0 + step, f64::to_bits(values[nth % values.len()])));
        }
        for header in [0, 0x80, 0x81, 0x05, 0xFF] {
            check(&points, header);
        }
        check(&[(5, STALE_NAN_BITS), (6, 3.0_f64.to_bits()), (7, STALE_NAN_BITS), (8, 3.0_f64.to_bits())], 0);
        check(&[(5, 1)], 0x80);
        check(&[], 0);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            start in -1i64 << 40..1 << 40,
            steps in prop::collection::vec((1i64..1_000_000, any::<u64>(), 0..4_u8), 0..200),
            header in any::<u8>(),
        ) {
            let (mut t, mut value) = (start, 0);
            let points: Vec<(i64, u64)> = steps.iter().map(|(step, bits, kind)| {
                t += if *kind == 0 { *step } else { 15_000 };
                value = if *kind == 1 { *bits } else { value };
                (t, if *kind == 2 { STALE_NAN_BITS } else { value })
            }).collect();
            check(&points, header);
        }

        #[test]
        fn anything_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes, &mut Vec::new());
        }
    }
}
