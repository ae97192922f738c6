//! Reading protobuf without copying: fields as they come, strings and messages borrowed from the bytes.
//!
//! For messages that come by the million; small ones are `prost`'s. Source: protobuf's "Encoding" document.

/// Why bytes are no protobuf message of the expected shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("the protobuf message ends in the middle of a field")]
    Truncated,
    #[error("a number of the protobuf message is longer than 10 bytes")]
    LongNumber,
    #[error("the protobuf message has a field of an unknown kind")]
    Kind,
    #[error("a text of the protobuf message is not UTF-8")]
    Text,
    #[error("field {0} of the protobuf message is of another kind than expected")]
    Mismatch(u32),
}

/// One field's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    Number(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// The fields of one message.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next field's number and value.
    #[inline]
    pub fn read(&mut self) -> Result<Option<(u32, Value<'a>)>, WireError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = number(&mut self.rest)?;
        let value = match tag & 7 {
            0 => Value::Number(number(&mut self.rest)?),
            1 => Value::Fixed64(u64::from_le_bytes(self.fixed()?)),
            2 => {
                let length = number(&mut self.rest)?;
                let length = usize::try_from(length).map_err(|_| WireError::Truncated)?;
                if length > self.rest.len() {
                    return Err(WireError::Truncated);
                }
                let (bytes, rest) = self.rest.split_at(length);
                self.rest = rest;
                Value::Bytes(bytes)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.fixed()?)),
            // Groups are not in proto3.
            _ => return Err(WireError::Kind),
        };
        Ok(Some(((tag >> 3) as u32, value)))
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }
}

/// A base-128 number.
#[inline]
pub fn number(rest: &mut &[u8]) -> Result<u64, WireError> {
    // Tags and lengths are mostly one byte.
    if let [first, tail @ ..] = *rest
        && *first < 0x80
    {
        *rest = tail;
        return Ok(u64::from(*first));
    }
    let mut value = 0_u64;
    for (i, byte) in rest.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if *byte < 0x80 {
            *rest = &rest[i + 1..];
            return Ok(value);
        }
    }
    Err(if rest.len() < 10 { WireError::Truncated } else { WireError::LongNumber })
}

impl<'a> Value<'a> {
    #[inline]
    pub fn bytes(self, field: u32) -> Result<&'a [u8], WireError> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(WireError::Mismatch(field)) }
    }
    #[inline]
    pub fn text(self, field: u32) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.bytes(field)?).map_err(|_| WireError::Text)
    }
    #[inline]
    pub fn number(self, field: u32) -> Result<u64, WireError> {
        if let Self::Number(n) = self { Ok(n) } else { Err(WireError::Mismatch(field)) }
    }
    #[inline]
    pub fn double(self, field: u32) -> Result<f64, WireError> {
        if let Self::Fixed64(bits) = self { Ok(f64::from_bits(bits)) } else { Err(WireError::Mismatch(field)) }
    }
    /// The zigzag form of `sint32` and `sint64`.
    pub fn signed(self, field: u32) -> Result<i64, WireError> {
        self.number(field).map(unzigzag)
    }

    /// Each number of a repeated field, packed or alone.
    pub fn each_number(self, field: u32, mut each: impl FnMut(u64)) -> Result<(), WireError> {
        match self {
            Self::Number(n) => each(n),
            Self::Bytes(mut packed) => {
                while !packed.is_empty() {
                    each(number(&mut packed)?);
                }
            }
            _ => return Err(WireError::Mismatch(field)),
        }
        Ok(())
    }

    /// Each number of a repeated `double`, packed or alone.
    pub fn each_double(self, field: u32, mut each: impl FnMut(f64)) -> Result<(), WireError> {
        match self {
            Self::Fixed64(bits) => each(f64::from_bits(bits)),
            Self::Bytes(packed) => {
                let (doubles, rest) = packed.as_chunks::<8>();
                if !rest.is_empty() {
                    return Err(WireError::Truncated);
                }
                for bytes in doubles {
                    each(f64::from_le_bytes(*bytes));
                }
            }
            _ => return Err(WireError::Mismatch(field)),
        }
        Ok(())
    }
}

pub fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<(u32, Value<'_>)>, WireError> {
        let mut fields = Fields::new(bytes);
        let mut out = Vec::new();
        while let Some(field) = fields.read()? {
            out.push(field);
        }
        Ok(out)
    }

    /// The examples of protobuf's document on the encoding.
    #[test]
    fn fields_as_the_encoding_says() {
        assert_eq!(all(&[0x08, 0x96, 0x01]), Ok(vec![(1, Value::Number(150))]));
        assert_eq!(all(b"\x12\x07testing"), Ok(vec![(2, Value::Bytes(b"testing"))]));
        assert_eq!(all(&[0x1a, 0x03, 0x08, 0x96, 0x01]), Ok(vec![(3, Value::Bytes(&[0x08, 0x96, 0x01]))]));
        let mut packed = Vec::new();
        let (field, value) = all(&[0x32, 0x06, 0x03, 0x8e, 0x02, 0x9e, 0xa7, 0x05]).unwrap()[0];
        value.each_number(field, |n| packed.push(n)).unwrap();
        assert_eq!(packed, [3, 270, 86_942]);
        for (coded, wanted) in [(0, 0), (1, -1), (2, 1), (4_294_967_294, 2_147_483_647), (u64::MAX, i64::MIN)] {
            assert_eq!(unzigzag(coded), wanted);
        }
    }

    #[test]
    fn what_is_broken_is_named() {
        assert_eq!(all(&[0x08]), Err(WireError::Truncated));
        assert_eq!(all(&[0x08, 0x80]), Err(WireError::Truncated));
        assert_eq!(all(&[0x12, 0x02, b'x']), Err(WireError::Truncated));
        assert_eq!(all(&[0x09, 1, 2, 3]), Err(WireError::Truncated));
        assert_eq!(all(&[0x0b]), Err(WireError::Kind));
        assert_eq!(all(&[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255]), Err(WireError::LongNumber));
        let (field, value) = all(&[0x08, 1]).unwrap()[0];
        assert_eq!(
            value.bytes(field).unwrap_err().to_string(),
            "field 1 of the protobuf message is of another kind than expected"
        );
    }
}
