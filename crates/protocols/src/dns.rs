//! Questions to a DNS server and its answers: A, AAAA, MX, NS and SRV, which is all that finding targets needs.
//!
//! Source: RFC 1035 (messages, compression, MX, NS), RFC 3596 (AAAA), RFC 2782 (SRV). Bounded by [`RECORDS_MAX`]; a name's pointers
//! only lead backwards, so that none goes in circles.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Records of one answer that are read.
pub const RECORDS_MAX: usize = 4_096;
const NAME_BYTES_MAX: usize = 253;
const HEADER_BYTES: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    A,
    Aaaa,
    Mx,
    Ns,
    Srv,
}

impl Kind {
    const fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
            Self::Mx => 15,
            Self::Ns => 2,
            Self::Srv => 33,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    /// A host that takes mail. Names have no dot at the end.
    Mx(String),
    /// A name server.
    Ns(String),
    Srv {
        target: String,
        port: u16,
    },
}

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Records(Vec<Record>),
    /// There is no such name.
    NoName,
    /// The answer did not fit a datagram; ask again over TCP.
    Truncated,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    #[error("`{0}` is not a name that can be asked for")]
    Name(String),
    #[error("the answer ends in the middle of a record")]
    Short,
    #[error("a name in the answer is broken")]
    BrokenName,
    #[error("the answer belongs to another question")]
    Other,
    #[error("the server refused with code {0}")]
    Refused(u8),
    #[error("the answer has more than {RECORDS_MAX} records")]
    TooMany,
}

/// The message that asks for a name's records; `id` is to be one that cannot be guessed.
pub fn question(id: u16, name: &str, kind: Kind) -> Result<Vec<u8>, DnsError> {
    let plain = name.strip_suffix('.').unwrap_or(name);
    let wrong = || DnsError::Name(name.to_owned());
    if plain.is_empty() || plain.len() > NAME_BYTES_MAX {
        return Err(wrong());
    }
    let mut out = Vec::with_capacity(HEADER_BYTES + plain.len() + 6);
    out.extend(id.to_be_bytes());
    // A standard query, recursion wanted, one question.
    out.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in plain.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|n| (1..64).contains(n)).ok_or_else(wrong)?;
        out.push(length);
        out.extend(label.bytes());
    }
    out.push(0);
    out.extend(kind.number().to_be_bytes());
    // The class of the internet.
    out.extend([0, 1]);
    Ok(out)
}

/// Reads the answer to a question that [`question`] made.
pub fn answer(asked: &[u8], message: &[u8], kind: Kind) -> Result<Answer, DnsError> {
    let mut reader = Reader { message, at: 0 };
    let id = reader.take(2)?;
    let flags = reader.number()?;
    let counts = [reader.number()?, reader.number()?];
    reader.at = HEADER_BYTES;
    let question = asked.get(HEADER_BYTES..).ok_or(DnsError::Short)?;
    let repeated = message.get(HEADER_BYTES..HEADER_BYTES + question.len()).ok_or(DnsError::Short)?;
    // The id, that it is an answer, and the question: otherwise anybody's datagram would do.
    if asked.get(..2) != Some(id) || flags & 0x8000 == 0 || counts[0] != 1 || !repeated.eq_ignore_ascii_case(question) {
        return Err(DnsError::Other);
    }
    match flags & 0xf {
        0 => {}
        3 => return Ok(Answer::NoName),
        code => return Err(DnsError::Refused(code as u8)),
    }
    if flags & 0x0200 != 0 {
        return Ok(Answer::Truncated);
    }
    reader.at += question.len();
    let count = usize::from(counts[1]);
    if count > RECORDS_MAX {
        return Err(DnsError::TooMany);
    }
    let mut records = Vec::new();
    for _ in 0..count {
        records.extend(reader.record(kind)?);
    }
    Ok(Answer::Records(records))
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], DnsError> {
        let end = self.at.checked_add(count).ok_or(DnsError::Short)?;
        let taken = self.message.get(self.at..end).ok_or(DnsError::Short)?;
        self.at = end;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u16, DnsError> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A record, if it is of the kind; aliases on the way to it are passed over, the server followed them.
    fn record(&mut self, kind: Kind) -> Result<Option<Record>, DnsError> {
        self.name()?;
        let found = self.number()?;
        let class = self.number()?;
        self.take(4)?;
        let length = usize::from(self.number()?);
        let start = self.at;
        let data = self.take(length)?;
        if found != kind.number() || class != 1 {
            return Ok(None);
        }
        Ok(Some(match kind {
            Kind::A => Record::A(<[u8; 4]>::try_from(data).map_err(|_| DnsError::Short)?.into()),
            Kind::Aaaa => Record::Aaaa(<[u8; 16]>::try_from(data).map_err(|_| DnsError::Short)?.into()),
            Kind::Mx => {
                let mut inside = Reader { message: self.message, at: start };
                // Preference.
                inside.take(2)?;
                Record::Mx(inside.name()?)
            }
            Kind::Ns => Record::Ns(Reader { message: self.message, at: start }.name()?),
            Kind::Srv => {
                let mut inside = Reader { message: self.message, at: start };
                // Priority and weight.
                inside.take(4)?;
                let port = inside.number()?;
                Record::Srv { target: inside.name()?, port }
            }
        }))
    }

    fn name(&mut self) -> Result<String, DnsError> {
        let mut out = String::new();
        let (mut at, mut after) = (self.at, None);
        loop {
            let length = *self.message.get(at).ok_or(DnsError::Short)?;
            match length {
                0 => {
                    self.at = after.unwrap_or(at + 1);
                    return Ok(out);
                }
                1..64 => {
                    let label = self.message.get(at + 1..at + 1 + usize::from(length)).ok_or(DnsError::Short)?;
                    let label = std::str::from_utf8(label).map_err(|_| DnsError::BrokenName)?;
                    if !out.is_empty() {
                        out.push('.');
                    }
                    out.push_str(label);
                    if out.len() > NAME_BYTES_MAX {
                        return Err(DnsError::BrokenName);
                    }
                    at += 1 + usize::from(length);
                }
                192.. => {
                    let low = *self.message.get(at + 1).ok_or(DnsError::Short)?;
                    let to = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                    after = after.or(Some(at + 2));
                    if to >= at {
                        return Err(DnsError::BrokenName);
                    }
                    at = to;
                }
                _ => return Err(DnsError::BrokenName),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An answer with the question repeated and records as they are given: name, kind, data.
    fn made(asked: &[u8], flags: [u8; 2], records: &[(&[u8], u16, &[u8])]) -> Vec<u8> {
        let mut out = [&asked[..2], &flags[..], &[0, 1, 0, records.len() as u8, 0, 0, 0, 0], &asked[12..]].concat();
        for (name, kind, data) in records {
            out.extend_from_slice(name);
            out.extend(kind.to_be_bytes());
            out.extend([0, 1, 0, 0, 0, 60]);
            out.extend((data.len() as u16).to_be_bytes());
            out.extend_from_slice(data);
        }
        out
    }

    /// A pointer to the question's name.
    const SAME: &[u8] = &[0xc0, 12];

    #[test]
    fn a_question_is_written_as_the_standard_says() {
        let asked = question(0x1234, "web.example.", Kind::A).unwrap();
        assert_eq!(asked, b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03web\x07example\x00\x00\x01\x00\x01");
        for name in ["", ".", "a..b", &"x".repeat(64), &"abc.".repeat(64)] {
            assert!(question(0, name, Kind::A).is_err(), "{name}");
        }
    }

    #[test]
    fn answers_are_read() {
        let asked = question(7, "web.example", Kind::A).unwrap();
        let alias = b"\x03two\xc0\x10";
        let records: &[(&[u8], u16, &[u8])] =
            &[(SAME, 5, alias), (alias, 1, &[10, 0, 0, 1]), (SAME, 1, &[10, 0, 0, 2])];
        let read = answer(&asked, &made(&asked, [0x81, 0x80], records), Kind::A).unwrap();
        let wanted = [[10, 0, 0, 1], [10, 0, 0, 2]].map(|ip| Record::A(ip.into()));
        assert_eq!(read, Answer::Records(wanted.to_vec()));
        let asked = question(7, "_web._tcp.example", Kind::Srv).unwrap();
        let data = b"\x00\x01\x00\x02\x1f\x90\x02h1\xc0\x16";
        let read = answer(&asked, &made(&asked, [0x81, 0x80], &[(SAME, 33, data)]), Kind::Srv).unwrap();
        assert_eq!(read, Answer::Records(vec![Record::Srv { target: "h1.example".into(), port: 8080 }]));
        let asked = question(7, "mail.example", Kind::Mx).unwrap();
        let read = answer(&asked, &made(&asked, [0x81, 0x80], &[(SAME, 15, b"\x00\x0a\x03mx1\xc0\x11")]), Kind::Mx);
        assert_eq!(read, Ok(Answer::Records(vec![Record::Mx("mx1.example".into())])));
        let asked = question(7, "zone.example", Kind::Ns).unwrap();
        let read = answer(&asked, &made(&asked, [0x81, 0x80], &[(SAME, 2, b"\x03ns1\xc0\x11")]), Kind::Ns);
        assert_eq!(read, Ok(Answer::Records(vec![Record::Ns("ns1.example".into())])));
        let asked = question(7, "v6", Kind::Aaaa).unwrap();
        let one = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let read = answer(&asked, &made(&asked, [0x81, 0x80], &[(SAME, 28, &one)]), Kind::Aaaa).unwrap();
        assert_eq!(read, Answer::Records(vec![Record::Aaaa(Ipv6Addr::LOCALHOST)]));
        for (flags, wanted) in [
            ([0x81, 0x83], Ok(Answer::NoName)),
            ([0x83, 0x80], Ok(Answer::Truncated)),
            ([0x81, 0x82], Err(DnsError::Refused(2))),
            ([0x01, 0x80], Err(DnsError::Other)),
        ] {
            assert_eq!(answer(&asked, &made(&asked, flags, &[]), Kind::Aaaa), wanted);
        }
        let other = question(8, "v6", Kind::Aaaa).unwrap();
        assert_eq!(answer(&asked, &made(&other, [0x81, 0x80], &[]), Kind::Aaaa), Err(DnsError::Other));
        let circle = made(&asked, [0x81, 0x80], &[(&[0xc0, 0xff], 28, &one)]);
        assert_eq!(answer(&asked, &circle, Kind::Aaaa), Err(DnsError::BrokenName));
    }

    proptest! {
        #[test]
        fn never_panics(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), noise in prop::collection::vec(any::<u8>(), 0..60)) {
            let asked = question(7, "_web._tcp.example", Kind::Srv).unwrap();
            let mut bytes = made(&asked, [0x81, 0x80], &[(SAME, 33, b"\x00\x01\x00\x02\x1f\x90\x02h1\xc0\x16")]);
            for (at, value) in flips {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            let _ = answer(&asked, &bytes, Kind::Srv);
            let _ = answer(&asked, &noise, Kind::Srv);
        }
    }
}
