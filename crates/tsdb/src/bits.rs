//! A bit stream, most significant bit first.

/// Collects bits into bytes.
#[derive(Default)]
pub(crate) struct BitWriter {
    out: Vec<u8>,
    /// The bits not yet in `out`, left-aligned.
    pending: u64,
    pending_bits: u32,
}

impl BitWriter {
    /// Appends the lowest `bits` (at most 64) of `value`; higher bits must be zero.
    pub fn put(&mut self, value: u64, bits: u32) {
        let free = 64 - self.pending_bits;
        if bits <= free {
            if bits > 0 {
                self.pending |= value << (free - bits);
            }
            self.pending_bits += bits;
        } else {
            let over = bits - free;
            if free > 0 {
                self.pending |= value >> over;
            }
            if self.out.len() == self.out.capacity() {
                // Grows by a half: millions of these are open at a time.
                self.out.reserve_exact((self.out.len() / 2).max(24));
            }
            self.out.extend_from_slice(&self.pending.to_be_bytes());
            self.pending = value << (64 - over);
            self.pending_bits = over;
        }
    }
    /// The bytes so far, the last one filled up with zeros.
    pub fn snapshot(&self) -> Vec<u8> {
        let bytes = self.pending_bits.div_ceil(8) as usize;
        let mut out = Vec::with_capacity(self.out.len() + bytes);
        out.extend_from_slice(&self.out);
        out.extend_from_slice(&self.pending.to_be_bytes()[..bytes]);
        out
    }
    pub fn capacity(&self) -> usize {
        self.out.capacity()
    }
}

/// Reads bits back; `None` past the end.
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> BitReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }
    /// The next 57 or more bits, left-aligned, zeros past the end.
    #[inline]
    pub fn window(&self) -> u64 {
        let start = self.position >> 3;
        let word = if let Some(b) = self.bytes.get(start..start + 8) {
            u64::from_be_bytes(b.try_into().expect("eight bytes"))
        } else {
            let mut padded = [0u8; 8];
            let tail = self.bytes.get(start..).unwrap_or_default();
            padded[..tail.len()].copy_from_slice(tail);
            u64::from_be_bytes(padded)
        };
        word << (self.position & 7)
    }
    /// Moves on; `None` past the end.
    #[inline]
    pub fn advance(&mut self, bits: u32) -> Option<()> {
        self.position += bits as usize;
        (self.position <= self.bytes.len() * 8).then_some(())
    }
    /// The next `bits` (at most 64) as a number.
    #[inline]
    pub fn take(&mut self, bits: u32) -> Option<u64> {
        if bits == 0 {
            return Some(0);
        }
        if bits <= 56 {
            let value = self.window() >> (64 - bits);
            self.advance(bits)?;
            return Some(value);
        }
        let high = self.take(32)?;
        Some(high << (bits - 32) | self.take(bits - 32)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_round_trip(items in prop::collection::vec((any::<u64>(), 0u32..=64), 0..200)) {
            let mut w = BitWriter::default();
            for (v, n) in &items {
                w.put(if *n == 64 { *v } else { v & ((1 << n) - 1) }, *n);
            }
            let bytes = w.snapshot();
            let mut r = BitReader::new(&bytes);
            for (v, n) in &items {
                prop_assert_eq!(r.take(*n), Some(if *n == 64 { *v } else { v & ((1 << n) - 1) }));
            }
            prop_assert_eq!(r.take(8), None);
        }
    }
}
