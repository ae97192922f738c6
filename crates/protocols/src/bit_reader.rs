//! Bits of Prometheus' chunks, the highest first; `None` past the end.

pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }
    /// At most 64.
    pub fn bits(&mut self, count: u32) -> Option<u64> {
        if self.at + count as usize > self.bytes.len() * 8 {
            return None;
        }
        let mut out = 0_u64;
        let mut left = count;
        while left > 0 {
            let (byte, used) = (self.bytes[self.at / 8], (self.at % 8) as u32);
            let take = left.min(8 - used);
            let part = u64::from(byte) >> (8 - used - take) & ((1 << take) - 1);
            out = if take == 64 { part } else { out << take | part };
            self.at += take as usize;
            left -= take;
        }
        Some(out)
    }
    /// How many ones come before a zero, which is read too; at most `max`, after which none is read.
    pub fn ones(&mut self, max: u32) -> Option<u32> {
        let mut count = 0;
        while count < max && self.bits(1)? == 1 {
            count += 1;
        }
        Some(count)
    }
    /// A number of so many bits whose upper half stands for negative ones.
    pub fn signed(&mut self, bits: u32) -> Option<i64> {
        let n = self.bits(bits)?;
        if bits == 0 || bits == 64 {
            return Some(n as i64);
        }
        Some(if n > 1 << (bits - 1) { n as i64 - (1 << bits) } else { n as i64 })
    }
    /// Base 128, in bytes that need not begin at one.
    pub fn varint(&mut self) -> Option<u64> {
        let mut out = 0_u64;
        for i in 0..10 {
            let byte = self.bits(8)?;
            out |= (byte & 0x7F) << (7 * i);
            if byte < 0x80 {
                return Some(out);
            }
        }
        None
    }
    fn width(&mut self) -> Option<u32> {
        Some([0, 3, 6, 9, 12, 18, 25, 56, 64][self.ones(8)? as usize])
    }
    /// `varbitInt`.
    pub fn varbit_int(&mut self) -> Option<i64> {
        let width = self.width()?;
        self.signed(width)
    }
    /// `varbitUint`.
    pub fn varbit_uint(&mut self) -> Option<u64> {
        let width = self.width()?;
        self.bits(width)
    }
}
