//! Packets of NRPE, the agent that runs plugins on other hosts: version 4 as NRPE 4 speaks it, and 2 for older ones.
//!
//! Version 4: version (16), type (16), crc32 (32), result (16), alignment (16), length (32), buffer, at least 1,036 bytes in
//! all.
//! Version 2: version, type, crc32, result, buffer of 1,024 bytes, two of padding. Numbers are big-endian; the checksum
//! is that of the whole packet with its own field zero.

/// Bytes of one packet.
pub const PACKET_BYTES_MAX: usize = 64 << 10;
const HEADER: usize = 16;
const BUFFER_2: usize = 1_024;
const SIZE_2: usize = 10 + BUFFER_2 + 2;
const QUERY: u16 = 1;
const RESPONSE: u16 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V2,
    V4,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NrpeError {
    #[error("the command and its arguments are longer than {0} bytes")]
    TooLong(usize),
    #[error("the answer is shorter than a packet")]
    Short,
    #[error("the answer has the version {0}")]
    Version(u16),
    #[error("the answer is a packet of type {0}")]
    Type(u16),
    #[error("the checksum of the answer is wrong")]
    Checksum,
    #[error("the answer says that it has {0} bytes, at most {PACKET_BYTES_MAX} are read")]
    TooLarge(usize),
}

/// The question for a command; arguments follow it, separated by `!`.
pub fn query(version: Version, command: &str, crc32: impl Fn(&[u8]) -> u32) -> Result<Vec<u8>, NrpeError> {
    let text = command.as_bytes();
    let mut packet = match version {
        Version::V2 => {
            if text.len() >= BUFFER_2 {
                return Err(NrpeError::TooLong(BUFFER_2 - 1));
            }
            let mut packet = vec![0; SIZE_2];
            packet[..2].copy_from_slice(&2_u16.to_be_bytes());
            packet[10..10 + text.len()].copy_from_slice(text);
            packet
        }
        Version::V4 => {
            if text.len() > PACKET_BYTES_MAX - HEADER - 8 {
                return Err(NrpeError::TooLong(PACKET_BYTES_MAX - HEADER - 8));
            }
            let buffer = (text.len() + 1).max(SIZE_2 - HEADER);
            let mut packet = vec![0; HEADER + buffer];
            packet[..2].copy_from_slice(&4_u16.to_be_bytes());
            packet[12..16].copy_from_slice(&(buffer as u32).to_be_bytes());
            packet[HEADER..HEADER + text.len()].copy_from_slice(text);
            packet
        }
    };
    packet[2..4].copy_from_slice(&QUERY.to_be_bytes());
    let sum = crc32(&packet);
    packet[4..8].copy_from_slice(&sum.to_be_bytes());
    Ok(packet)
}

/// How many bytes an answer has in all, out of its first 16.
pub fn answer_length(first: &[u8]) -> Result<usize, NrpeError> {
    let word = |at: usize| first.get(at..at + 2).map(|b| u16::from_be_bytes([b[0], b[1]])).ok_or(NrpeError::Short);
    match word(0)? {
        2 => Ok(SIZE_2),
        version @ (3 | 4) => {
            let bytes = first.get(12..16).ok_or(NrpeError::Short)?;
            let length = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
            // Version 3 counts one byte of the padding behind the buffer, and sends all of it.
            let whole = length.saturating_add(if version == 3 { HEADER + 3 } else { HEADER });
            if whole > PACKET_BYTES_MAX { Err(NrpeError::TooLarge(whole)) } else { Ok(whole) }
        }
        other => Err(NrpeError::Version(other)),
    }
}

/// The plugin's exit code and what it printed.
pub fn answer(packet: &[u8], crc32: impl Fn(&[u8]) -> u32) -> Result<(u16, Vec<u8>), NrpeError> {
    let length = answer_length(packet)?;
    if packet.len() < length {
        return Err(NrpeError::Short);
    }
    let mut whole = packet[..length].to_vec();
    let word = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    if word(2) != RESPONSE {
        return Err(NrpeError::Type(word(2)));
    }
    whole[4..8].fill(0);
    if crc32(&whole).to_be_bytes() != packet[4..8] {
        return Err(NrpeError::Checksum);
    }
    let buffer = if word(0) == 2 { &packet[10..10 + BUFFER_2] } else { &packet[HEADER..length] };
    let end = buffer.iter().position(|b| *b == 0).unwrap_or(buffer.len());
    Ok((word(8), buffer[..end].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any checksum will do here; the real one is judged by a real server.
    fn sum(bytes: &[u8]) -> u32 {
        bytes.iter().fold(7, |a: u32, b| a.wrapping_mul(31).wrapping_add(u32::from(*b)))
    }

    #[test]
    fn an_answer_is_read_and_a_damaged_one_is_not() {
        for version in [Version::V2, Version::V4] {
            let mut packet = query(version, "check_load", sum).unwrap();
            packet[2..4].copy_from_slice(&RESPONSE.to_be_bytes());
            packet[8..10].copy_from_slice(&2_u16.to_be_bytes());
            packet[4..8].fill(0);
            let right = sum(&packet).to_be_bytes();
            packet[4..8].copy_from_slice(&right);
            assert_eq!(answer_length(&packet), Ok(packet.len()));
            assert_eq!(answer(&packet, sum), Ok((2, b"check_load".to_vec())));
            packet[20] ^= 1;
            assert_eq!(answer(&packet, sum), Err(NrpeError::Checksum));
            assert_eq!(answer(&packet[..50], sum), Err(NrpeError::Short));
        }
        assert_eq!(answer(&[], sum), Err(NrpeError::Short));
        assert_eq!(answer_length(&[0, 9, 0, 0]), Err(NrpeError::Version(9)));
        assert!(matches!(
            answer_length(&[0, 4, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255]),
            Err(NrpeError::TooLarge(_))
        ));
        assert!(query(Version::V2, &"x".repeat(1024), sum).is_err());
    }
}
