//! Random bytes that are the same in every run.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tenfold_types::Entropy;

/// SplitMix64 (Steele, Lea, Flood 2014) from a seed. Clones share the stream, so ids never repeat.
#[derive(Debug, Clone)]
pub struct TestEntropy(Arc<AtomicU64>);

impl TestEntropy {
    /// The stream of `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seed)))
    }

    /// The next number of the stream.
    pub fn next(&self) -> u64 {
        let step = 0x9E37_79B9_7F4A_7C15;
        let mut z = self.0.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound` (which is not 0).
    pub fn below(&self, bound: u64) -> u64 {
        self.next() % bound
    }
}

impl Default for TestEntropy {
    fn default() -> Self {
        Self::seeded(10)
    }
}

impl Entropy for TestEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let (mut a, mut b) = ([0; 20], [0; 20]);
        TestEntropy::seeded(1).fill(&mut a);
        TestEntropy::seeded(1).fill(&mut b);
        assert_eq!(a, b);
        TestEntropy::seeded(2).fill(&mut b);
        assert_ne!(a, b);
    }
}
