//! MurmurHash3 (x86, 32 bit) with the constant `group:` part hashed ahead of time.
//!
//! Buckets decide who sees a feature, so the bytes that go in must stay exactly `GROUP:ID`: every Unleash SDK hashes the
//! same text, and a person must land in the same bucket everywhere.

const C1: u32 = 0xcc9e_2d51;
const C2: u32 = 0x1b87_3593;

/// Seed of rollout buckets in every Unleash SDK.
pub(crate) const ROLLOUT_SEED: u32 = 0;
/// Seed of variant buckets, another one than for rollouts so that the two are independent.
pub(crate) const VARIANT_SEED: u32 = 86_028_157;

/// The hash state after `group:`, ready to be finished with an id.
#[derive(Debug, Clone)]
pub(crate) struct Prefix {
    state: u32,
    /// Up to three bytes that did not fill a block, in the low end, and how many bits they are.
    tail: u32,
    tail_bits: u32,
    total_bytes: u32,
}

impl Prefix {
    pub(crate) fn new(group: &str, seed: u32) -> Self {
        let mut text = Vec::with_capacity(group.len() + 1);
        text.extend_from_slice(group.as_bytes());
        text.push(b':');
        let mut state = seed;
        let mut blocks = text.chunks_exact(4);
        for block in &mut blocks {
            state = mix(state, word(block));
        }
        let rest = blocks.remainder();
        Self { state, tail: few(rest), tail_bits: rest.len() as u32 * 8, total_bytes: text.len() as u32 }
    }

    /// `hash(group:id) % buckets + 1`; 0 when there are no buckets.
    #[inline]
    pub(crate) fn bucket(&self, id: &str, buckets: u32) -> u32 {
        self.hash(id.as_bytes()).checked_rem(buckets).map_or(0, |r| r + 1)
    }

    /// Blocks of the whole text straddle those of the id: each takes what the one before left over.
    #[inline]
    fn hash(&self, id: &[u8]) -> u32 {
        let (mut state, bits) = (self.state, self.tail_bits);
        let mut carry = u64::from(self.tail);
        let mut blocks = id.chunks_exact(4);
        for block in &mut blocks {
            carry |= u64::from(word(block)) << bits;
            state = mix(state, carry as u32);
            carry >>= 32;
        }
        let rest_bits = (id.len() % 4) as u32 * 8;
        carry |= u64::from(rest(id, rest_bits)) << bits;
        let mut left_bits = bits + rest_bits;
        if left_bits >= 32 {
            state = mix(state, carry as u32);
            carry >>= 32;
            left_bits -= 32;
        }
        if left_bits > 0 {
            state ^= scramble(carry as u32);
        }
        finish(state ^ self.total_bytes.wrapping_add(id.len() as u32))
    }
}

/// What whole blocks leave over, read as part of the last four bytes where there are four.
#[inline]
fn rest(id: &[u8], bits: u32) -> u32 {
    match id.last_chunk() {
        Some(last) => (u64::from(u32::from_le_bytes(*last)) >> (32 - bits)) as u32,
        None => few(id),
    }
}

/// Up to three bytes as a number.
#[inline]
fn few(bytes: &[u8]) -> u32 {
    match *bytes {
        [] => 0,
        [a] => u32::from(a),
        [a, b] => u32::from_le_bytes([a, b, 0, 0]),
        [a, b, c, ..] => u32::from_le_bytes([a, b, c, 0]),
    }
}

#[inline]
fn word(block: &[u8]) -> u32 {
    u32::from_le_bytes([block[0], block[1], block[2], block[3]])
}

#[inline]
fn scramble(k: u32) -> u32 {
    k.wrapping_mul(C1).rotate_left(15).wrapping_mul(C2)
}

#[inline]
fn mix(state: u32, k: u32) -> u32 {
    (state ^ scramble(k)).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
}

/// Spreads every input bit over the whole word.
#[inline]
pub(crate) fn finish(mut h: u32) -> u32 {
    h ^= h >> 16;
    h = h.wrapping_mul(0x85eb_ca6b);
    h ^= h >> 13;
    h = h.wrapping_mul(0xc2b2_ae35);
    h ^ (h >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The textbook algorithm over one slice.
    fn plain(bytes: &[u8], seed: u32) -> u32 {
        let mut state = seed;
        let mut blocks = bytes.chunks_exact(4);
        for block in &mut blocks {
            state = mix(state, word(block));
        }
        let rest = blocks.remainder();
        if !rest.is_empty() {
            let mut last = [0; 4];
            last[..rest.len()].copy_from_slice(rest);
            state ^= scramble(u32::from_le_bytes(last));
        }
        finish(state ^ bytes.len() as u32)
    }

    #[test]
    fn published_vectors() {
        assert_eq!(plain(b"", 0), 0);
        assert_eq!(plain(b"", 1), 0x514e_28b7);
        assert_eq!(plain(b"test", 0), 0xba6b_d213);
        assert_eq!(plain(b"Hello, world!", 0), 0xc036_3e43);
    }

    /// The vectors every Unleash SDK carries in its own tests.
    #[test]
    fn buckets_of_the_sdks() {
        for (id, group, bucket) in [("123", "gr1", 73), ("999", "groupX", 25)] {
            assert_eq!(Prefix::new(group, ROLLOUT_SEED).bucket(id, 100), bucket);
        }
        for (id, group, bucket) in [("123", "gr1", 96), ("999", "groupX", 60)] {
            assert_eq!(Prefix::new(group, VARIANT_SEED).bucket(id, 100), bucket);
        }
    }

    #[test]
    fn prefix_and_id_hash_like_one_text() {
        let id = "0123456789abcdef";
        for group_bytes in 0..9 {
            for id_bytes in 0..=id.len() {
                let group = &"groupgroup"[..group_bytes];
                let text = format!("{group}:{}", &id[..id_bytes]);
                assert_eq!(Prefix::new(group, 7).hash(&id.as_bytes()[..id_bytes]), plain(text.as_bytes(), 7), "{text}");
            }
        }
    }

    #[test]
    fn no_buckets_is_bucket_zero() {
        assert_eq!(Prefix::new("g", 0).bucket("x", 0), 0);
    }
}
