//! A file as what it has in common with another: ranges to copy, and the bytes between them.
//!
//! The server has both files and the host has the older one, so nothing but the delta goes over the line. The base is
//! indexed by blocks and the new file is read with a rolling hash (Rabin and Karp); each match is compared byte by byte
//! and grown to both sides. Integers are LEB128. An operation is `length * 2 + kind`; kind 0 copies and is followed by
//! the place in the base, kind 1 is followed by that many bytes.

use std::collections::HashMap;

/// Files smaller than this go whole.
pub const FILE_BYTES_MIN: u64 = 4 * 1024;
/// Larger ones, too: both are held in memory while they are compared.
pub const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Largest delta that is sent or taken.
pub const DELTA_BYTES_MAX: u64 = 64 * 1024 * 1024;
const MAGIC: &[u8] = b"tfd1";
const BLOCK_MIN: usize = 256;
const BLOCK_MAX: usize = 8192;
const BASE: u64 = 0x9E37_79B9_7F4A_7C15;
/// Comparisons that come to nothing, after which the files count as unlike: a hash of 64 bits collides by malice only.
const MISSES_MAX: u32 = 100_000;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    #[error("the delta does not begin as one")]
    Magic,
    #[error("the delta ends in the middle")]
    Cut,
    #[error("the delta copies from beyond the base")]
    Beyond,
    #[error("the delta makes {made} bytes, not {wanted}")]
    Size { made: u64, wanted: u64 },
}

/// One step in making the new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op<'a> {
    Copy { from: u64, len: u64 },
    Bytes(&'a [u8]),
}

/// The delta from `base` to `new`; `None` when it would not be at most half of `new`.
pub fn make(base: &[u8], new: &[u8]) -> Option<Vec<u8>> {
    let block = (base.len().isqrt() / 2).next_power_of_two().clamp(BLOCK_MIN, BLOCK_MAX);
    if base.len() < block || new.len() < block {
        return None;
    }
    let mut index: HashMap<u64, usize> = HashMap::with_capacity(base.len() / block);
    for (i, chunk) in base.chunks_exact(block).enumerate() {
        index.entry(hash(chunk)).or_insert(i * block);
    }
    let mut out = MAGIC.to_vec();
    let out_max = new.len() / 2;
    // the factor of the byte that leaves the window
    let leaving = (1..block).fold(1u64, |f, _| f.wrapping_mul(BASE));
    let (mut at, mut told, mut misses) = (0, 0, 0);
    let mut rolling = hash(&new[..block]);
    loop {
        let found = index.get(&rolling).copied();
        if let Some(from) = found.filter(|from| base[*from..*from + block] == new[at..at + block]) {
            let back = common_end(&base[..from], &new[told..at]);
            let ahead = common_start(&base[from + block..], &new[at + block..]);
            bytes(&mut out, &new[told..at - back]);
            let len = back + block + ahead;
            number(&mut out, (len as u64) << 1);
            number(&mut out, (from - back) as u64);
            told = at + block + ahead;
            at = told;
            if at + block > new.len() {
                break;
            }
            rolling = hash(&new[at..at + block]);
        } else {
            misses += u32::from(found.is_some());
            if at + block >= new.len() {
                break;
            }
            let without = rolling.wrapping_sub(u64::from(new[at]).wrapping_add(1).wrapping_mul(leaving));
            rolling = without.wrapping_mul(BASE).wrapping_add(u64::from(new[at + block]) + 1);
            at += 1;
        }
        if out.len() + (at - told) > out_max || misses > MISSES_MAX {
            return None;
        }
    }
    bytes(&mut out, &new[told..]);
    (out.len() <= out_max).then_some(out)
}

fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0u64, |h, b| h.wrapping_mul(BASE).wrapping_add(u64::from(*b) + 1))
}

fn common_start(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

fn common_end(a: &[u8], b: &[u8]) -> usize {
    a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count()
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    if !bytes.is_empty() {
        number(out, ((bytes.len() as u64) << 1) | 1);
        out.extend_from_slice(bytes);
    }
}

fn number(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// The steps of a delta over a base of `base_len` bytes that makes `new_len` bytes; no step reaches beyond either.
pub fn read(delta: &[u8], base_len: u64, new_len: u64) -> Result<Vec<Op<'_>>, DeltaError> {
    let mut rest = delta.strip_prefix(MAGIC).ok_or(DeltaError::Magic)?;
    let mut ops = Vec::new();
    let mut made = 0u64;
    while !rest.is_empty() {
        let head = take_number(&mut rest)?;
        let len = head >> 1;
        made = made.saturating_add(len);
        if made > new_len {
            return Err(DeltaError::Size { made, wanted: new_len });
        }
        if head & 1 == 0 {
            let from = take_number(&mut rest)?;
            if from.checked_add(len).is_none_or(|end| end > base_len) {
                return Err(DeltaError::Beyond);
            }
            ops.push(Op::Copy { from, len });
        } else {
            let len = usize::try_from(len).map_err(|_| DeltaError::Cut)?;
            let (bytes, after) = rest.split_at_checked(len).ok_or(DeltaError::Cut)?;
            rest = after;
            ops.push(Op::Bytes(bytes));
        }
    }
    if made == new_len { Ok(ops) } else { Err(DeltaError::Size { made, wanted: new_len }) }
}

fn take_number(rest: &mut &[u8]) -> Result<u64, DeltaError> {
    let mut n = 0u64;
    for shift in (0..63).step_by(7) {
        let (first, after) = rest.split_first().ok_or(DeltaError::Cut)?;
        *rest = after;
        n |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(n);
        }
    }
    Err(DeltaError::Cut)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn apply(base: &[u8], delta: &[u8], len: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for op in read(delta, base.len() as u64, len as u64).unwrap() {
            match op {
                Op::Copy { from, len } => out.extend_from_slice(&base[from as usize..(from + len) as usize]),
                Op::Bytes(bytes) => out.extend_from_slice(bytes),
            }
        }
        out
    }

    /// Bytes without repetition.
    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut x = seed | 1;
        let mut step = || {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x as u8
        };
        (0..len).map(|_| step()).collect()
    }

    #[test]
    fn a_small_change_of_a_large_file_is_a_small_delta() {
        let base = noise(7, 8 << 20);
        let mut new = base.clone();
        // 64 bytes put in, some changed, some left out, and a part moved
        new.splice(3 << 20..3 << 20, noise(8, 64));
        new[100] ^= 1;
        new.drain(5_000_000..5_000_100);
        let moved: Vec<u8> = new.drain(1_000_000..1_200_000).collect();
        new.extend(moved);
        let delta = make(&base, &new).unwrap();
        assert!(delta.len() < 4_000, "{} bytes", delta.len());
        assert_eq!(apply(&base, &delta, new.len()), new);
    }

    #[test]
    fn unlike_files_have_no_delta() {
        assert_eq!(make(&noise(1, 1 << 18), &noise(2, 1 << 18)), None);
        assert_eq!(make(&[], &noise(2, 1 << 18)), None);
        assert_eq!(make(&noise(1, 1 << 18), &[]), None);
    }

    #[test]
    fn hostile_deltas_are_refused() {
        let copy = |len: u64, from: u64| {
            let mut delta = MAGIC.to_vec();
            number(&mut delta, len << 1);
            number(&mut delta, from);
            delta
        };
        assert_eq!(read(b"nope", 9, 9), Err(DeltaError::Magic));
        assert_eq!(read(&copy(5, 5), 9, 5), Err(DeltaError::Beyond));
        assert_eq!(read(&copy(1 << 50, 1), 9, 1 << 50), Err(DeltaError::Beyond));
        assert_eq!(read(&copy(9, 0), 9, 5), Err(DeltaError::Size { made: 9, wanted: 5 }));
        assert_eq!(read(&copy(3, 0), 9, 5), Err(DeltaError::Size { made: 3, wanted: 5 }));
        assert_eq!(read(b"tfd1\x0bab", 9, 5), Err(DeltaError::Cut));
        assert_eq!(read(b"tfd1\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9, 5), Err(DeltaError::Cut));
    }

    proptest! {
        #[test]
        fn what_was_taken_apart_is_put_together(
            seed in any::<u64>(), len in 0usize..60_000, edits in proptest::collection::vec((0usize..60_000, 0usize..300, 0usize..300), 0..8),
        ) {
            let base = noise(seed, len);
            let mut new = base.clone();
            for (at, out, put) in edits {
                let at = at.min(new.len());
                let end = (at + out).min(new.len());
                new.splice(at..end, noise(at as u64 + 9, put));
            }
            if let Some(delta) = make(&base, &new) {
                prop_assert!(delta.len() <= new.len() / 2);
                prop_assert_eq!(apply(&base, &delta, new.len()), new);
            }
        }
        #[test]
        fn repetition_is_no_trouble(a in 0usize..5_000, b in 0usize..5_000) {
            let (base, new) = (vec![7; a], vec![7; b]);
            if let Some(delta) = make(&base, &new) {
                prop_assert_eq!(apply(&base, &delta, new.len()), new);
            }
        }
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), base in any::<u64>(), new in any::<u64>()) {
            let mut delta = MAGIC.to_vec();
            delta.extend(bytes);
            let _ = read(&delta, base, new);
        }
    }
}
