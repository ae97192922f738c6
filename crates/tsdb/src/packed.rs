//! Whole numbers packed to their bits: 64 at a time, each in as many bits as the greatest of the 64 needs (frame of
//! reference: Goldstein, Ramakrishnan and Shaft, "Compressing Relations and Indexes", ICDE 1998). What they are counted
//! from stands before them: the least of all, or of their differences.
//!
//! pco tells the same in fewer bytes where small numbers are much more frequent than great ones, and takes three to eight
//! times as long to read. Where numbers are spread evenly, the two are as short as each other.

use crate::codec::{Reader, put_zigzag};

/// So many numbers have one width.
const BLOCK: usize = 64;
/// Bits of a number at most.
const WIDTH_MAX: usize = 32;

/// The numbers above their least; `None` when they lie further apart than 32 bits.
pub(crate) fn put_levels(out: &mut Vec<u8>, ints: &[i64]) -> Option<()> {
    let above = above_least(out, ints)?;
    put_blocks(out, &above);
    Some(())
}

/// The first number, and the differences above the least of them; `None` when those lie further apart than 32 bits.
pub(crate) fn put_differences(out: &mut Vec<u8>, ints: &[i64]) -> Option<()> {
    let differences: Vec<i64> = ints.windows(2).map(|w| w[1].wrapping_sub(w[0])).collect();
    put_zigzag(out, *ints.first()?);
    let above = above_least(out, &differences)?;
    put_blocks(out, &above);
    Some(())
}

/// Says the least, and tells what the others are more than it.
fn above_least(out: &mut Vec<u8>, ints: &[i64]) -> Option<Vec<u32>> {
    let least = *ints.iter().min()?;
    put_zigzag(out, least);
    ints.iter().map(|int| u32::try_from(int.abs_diff(least)).ok()).collect()
}

fn put_blocks(out: &mut Vec<u8>, numbers: &[u32]) {
    for block in numbers.chunks(BLOCK) {
        let width = 32 - block.iter().fold(0, |all, n| all | n).leading_zeros();
        out.push(width as u8);
        let (mut pending, mut bits) = (0u64, 0);
        for number in block {
            pending |= u64::from(*number) << bits;
            bits += width;
            if bits >= 32 {
                out.extend_from_slice(&(pending as u32).to_le_bytes());
                pending >>= 32;
                bits -= 32;
            }
        }
        let bytes = bits.div_ceil(8) as usize;
        out.extend_from_slice(&pending.to_le_bytes()[..bytes]);
    }
}

/// Appends `rows` numbers that [`put_levels`] wrote; `None` when the bytes are damaged.
pub(crate) fn take_levels(bytes: &[u8], rows: usize, out: &mut Vec<f64>) -> Option<()> {
    let mut r = Reader::new(bytes);
    let least = r.zigzag()?;
    take_blocks(r.rest(), rows, |above| out.extend(above.iter().map(|n| least.wrapping_add(i64::from(*n)) as f64)))
}

/// Appends `rows` numbers that [`put_differences`] wrote; `None` when the bytes are damaged.
pub(crate) fn take_differences(bytes: &[u8], rows: usize, out: &mut Vec<f64>) -> Option<()> {
    let mut r = Reader::new(bytes);
    let (mut int, least) = (r.zigzag()?, r.zigzag()?);
    let more = rows.checked_sub(1)?;
    out.push(int as f64);
    take_blocks(r.rest(), more, |above| {
        out.extend(above.iter().map(|n| {
            int = int.wrapping_add(least.wrapping_add(i64::from(*n)));
            int as f64
        }));
    })
}

/// Hands `count` numbers over, at most [`BLOCK`] at a time.
fn take_blocks(mut bytes: &[u8], count: usize, mut each: impl FnMut(&[u32])) -> Option<()> {
    let (mut words, mut numbers) = ([0u64; WIDTH_MAX], [0u32; BLOCK]);
    let mut left = count;
    while left > 0 {
        let here = left.min(BLOCK);
        let (width, rest) = bytes.split_first()?;
        let width = usize::from(*width);
        if width > WIDTH_MAX {
            return None;
        }
        let (packed, rest) = rest.split_at_checked((here * width).div_ceil(8))?;
        let whole = packed.chunks_exact(8);
        let tail = whole.remainder();
        for (word, eight) in words.iter_mut().zip(whole) {
            *word = u64::from_le_bytes(eight.try_into().ok()?);
        }
        if !tail.is_empty() {
            let mut padded = [0; 8];
            padded[..tail.len()].copy_from_slice(tail);
            words[packed.len() / 8] = u64::from_le_bytes(padded);
        }
        unpack(width, &words, &mut numbers);
        each(&numbers[..here]);
        (bytes, left) = (rest, left - here);
    }
    Some(())
}

/// One loop for each width: where each number lies is known when the program is built.
fn unpack(width: usize, words: &[u64; WIDTH_MAX], out: &mut [u32; BLOCK]) {
    macro_rules! by_width {
        ($($width:literal)*) => {
            match width {
                $($width => unpack_width::<$width>(words, out),)*
                // Nobody asks for more.
                _ => {}
            }
        };
    }
    by_width!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);
}

#[inline]
fn unpack_width<const WIDTH: usize>(words: &[u64; WIDTH_MAX], out: &mut [u32; BLOCK]) {
    let mask = (1u64 << WIDTH) - 1;
    for (i, number) in out.iter_mut().enumerate() {
        let (word, shift) = (i * WIDTH / 64, i * WIDTH % 64);
        // Of the width 0 nothing is read; the index stays within the words all the same.
        let mut bits = words[word] >> shift;
        if shift + WIDTH > 64 {
            bits |= words[word + 1] << (64 - shift);
        }
        *number = (bits & mask) as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn floats(ints: &[i64]) -> Vec<f64> {
        ints.iter().map(|int| *int as f64).collect()
    }

    proptest! {
        #[test]
        fn every_width_round_trips(first in -1i64 << 50..1i64 << 50, width in 0u32..=32, raw in prop::collection::vec(any::<u32>(), 2..300)) {
            let ints: Vec<i64> = raw.iter().map(|n| first + (i64::from(*n) & ((1i64 << width) - 1))).collect();
            let (mut bytes, mut out) = (Vec::new(), Vec::new());
            put_levels(&mut bytes, &ints).unwrap();
            take_levels(&bytes, ints.len(), &mut out).unwrap();
            prop_assert_eq!(&out, &floats(&ints));
            let mut int = first;
            let walk: Vec<i64> = raw.iter().map(|n| { int += (i64::from(*n) & ((1i64 << width) - 1)) - (1i64 << width) / 2; int }).collect();
            let (mut bytes, mut out) = (Vec::new(), Vec::new());
            put_differences(&mut bytes, &walk).unwrap();
            take_differences(&bytes, walk.len(), &mut out).unwrap();
            prop_assert_eq!(&out, &floats(&walk));
            let short = &bytes[..bytes.len() - 1];
            prop_assert!(take_differences(short, walk.len(), &mut Vec::new()).is_none());
        }
    }

    #[test]
    fn what_lies_too_far_apart_is_refused() {
        assert!(put_levels(&mut Vec::new(), &[0, 1 << 32]).is_none());
        assert!(put_levels(&mut Vec::new(), &[0, (1 << 32) - 1]).is_some());
        assert!(put_differences(&mut Vec::new(), &[0, 1 << 40, 0]).is_none());
    }

    #[test]
    fn even_numbers_take_their_bits() {
        // 240 steps of a counter below 256: eight bits each, a width for each 64, and two numbers before them.
        let ints: Vec<i64> = (0..240i64)
            .scan(0, |sum, i| {
                *sum += i * 97 % 256;
                Some(*sum)
            })
            .collect();
        let mut bytes = Vec::new();
        put_differences(&mut bytes, &ints).unwrap();
        assert!(bytes.len() <= 239 + 4 + 4, "{} bytes", bytes.len());
    }
}
