//! What a write-ahead log frame carries. The kind is one byte and never reused; a reader skips kinds it does not know.

use std::sync::Arc;

use tenfold_types::{Labels, Point};

use crate::codec::{Reader, put_str, put_varint, put_zigzag};

/// The number in the frame. 3 (histogram samples), 4 (exemplars) and 5 (metadata) are reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Which label set a number stands for, within this segment.
    Series = 1,
    /// Float samples of numbered series.
    Samples = 2,
}

impl Kind {
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Series),
            2 => Some(Self::Samples),
            _ => None,
        }
    }
}

pub(crate) fn put_series(out: &mut Vec<u8>, id: u32, labels: &Labels) {
    put_varint(out, u64::from(id));
    put_varint(out, labels.len() as u64);
    for (name, value) in labels.iter() {
        put_str(out, name);
        put_str(out, value);
    }
}

/// Writes samples as differences to the one before.
#[derive(Default)]
pub(crate) struct SampleCoder {
    id: i64,
    t_ms: i64,
}

impl SampleCoder {
    pub fn put(&mut self, out: &mut Vec<u8>, id: u32, point: Point) {
        put_zigzag(out, i64::from(id) - self.id);
        put_zigzag(out, point.t_ms.wrapping_sub(self.t_ms));
        out.extend_from_slice(&point.value.to_bits().to_le_bytes());
        self.id = i64::from(id);
        self.t_ms = point.t_ms;
    }
}

/// Calls `each` for every series of a payload; `None` when it is malformed.
pub(crate) fn read_series(payload: &[u8], mut each: impl FnMut(u32, Arc<Labels>)) -> Option<()> {
    let mut r = Reader::new(payload);
    while !r.is_empty() {
        let id = u32::try_from(r.varint()?).ok()?;
        let mut labels = Labels::new();
        for _ in 0..r.usize()? {
            let (name, value) = (r.str()?, r.str()?);
            labels.set(name, value);
        }
        each(id, Arc::new(labels));
    }
    Some(())
}

/// Calls `each` for every sample of a payload; `None` when it is malformed.
pub(crate) fn read_samples(payload: &[u8], mut each: impl FnMut(u32, Point)) -> Option<()> {
    let mut r = Reader::new(payload);
    let (mut id, mut t) = (0i64, 0i64);
    while !r.is_empty() {
        id = id.checked_add(r.zigzag()?)?;
        t = t.wrapping_add(r.zigzag()?);
        each(u32::try_from(id).ok()?, Point::new(t, f64::from_bits(r.u64()?)));
    }
    Some(())
}
