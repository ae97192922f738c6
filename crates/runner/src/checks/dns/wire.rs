//! Messages of DNS (RFC 1035): a question about one name, and the records of its answer. No network here; any bytes are taken.

use std::net::{Ipv4Addr, Ipv6Addr};

use tenfold_app::checks::DnsRecord;

const HEADER_BYTES: usize = 12;
const NAME_BYTES_MAX: usize = 255;
const LABEL_BYTES_MAX: usize = 63;
/// Pointers that are followed in one name.
const JUMPS_MAX: usize = 16;
/// The class of the Internet.
const IN: u16 = 1;

const fn number(record: DnsRecord) -> u16 {
    match record {
        DnsRecord::A => 1,
        DnsRecord::Ns => 2,
        DnsRecord::Cname => 5,
        DnsRecord::Ptr => 12,
        DnsRecord::Mx => 15,
        DnsRecord::Txt => 16,
        DnsRecord::Aaaa => 28,
        DnsRecord::Srv => 33,
    }
}

/// What a server says.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// More than a datagram holds: to be asked again by TCP.
    Truncated,
    /// Of the kind that was asked for, as people write them.
    Records(Vec<String>),
}

/// The message that asks for the records of a name.
pub fn question(id: u16, name: &str, record: DnsRecord) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(HEADER_BYTES + name.len() + 6);
    out.extend(id.to_be_bytes());
    // One question, and the wish that the server asks others.
    out.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.trim_end_matches('.').split('.') {
        match u8::try_from(label.len()) {
            Ok(length) if (1..=LABEL_BYTES_MAX).contains(&label.len()) => out.push(length),
            _ => return Err(format!("`{name:.100}` is not a name")),
        }
        out.extend(label.bytes());
    }
    out.push(0);
    if out.len() > HEADER_BYTES + NAME_BYTES_MAX {
        return Err(format!("`{name:.100}` is too long for a name"));
    }
    out.extend(number(record).to_be_bytes());
    out.extend(IN.to_be_bytes());
    Ok(out)
}

/// The answer to a question. Nothing when the message is none to it.
pub fn answer(message: &[u8], asked: &[u8], record: DnsRecord) -> Option<Result<Answer, String>> {
    let (id, flags) = (message.get(..2)?, message.get(2..4)?);
    let is_answer = flags[0] & 0x80 != 0;
    // With the name as it was asked for, whatever its case.
    let same = message.get(HEADER_BYTES..asked.len())?.eq_ignore_ascii_case(asked.get(HEADER_BYTES..)?);
    if !is_answer || !same || id != asked.get(..2)? {
        return None;
    }
    let truncated = flags[0] & 0x02 != 0;
    Some(match flags[1] & 0x0f {
        0 if truncated => Ok(Answer::Truncated),
        0 => {
            let count = message.get(6..8).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]));
            let mut reader = Reader { message, at: asked.len() };
            let records = reader.records(count, record);
            records.map(Answer::Records).ok_or_else(|| "the answer cannot be read".to_owned())
        }
        2 => Err("the server fails (SERVFAIL)".to_owned()),
        3 => Err("there is no such name (NXDOMAIN)".to_owned()),
        5 => Err("the server refuses to answer (REFUSED)".to_owned()),
        code => Err(format!("the server answers with the code {code}")),
    })
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.message.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    fn name(&mut self) -> Option<String> {
        let mut out = String::new();
        let (mut at, mut behind, mut jumps) = (self.at, None, 0);
        loop {
            let length = usize::from(*self.message.get(at)?);
            match length {
                0 => break,
                1..=LABEL_BYTES_MAX => {
                    let label = self.message.get(at + 1..at + 1 + length)?;
                    if !out.is_empty() {
                        out.push('.');
                    }
                    out.push_str(&String::from_utf8_lossy(label));
                    at += 1 + length;
                }
                0xc0..=0xff => {
                    let low = usize::from(*self.message.get(at + 1)?);
                    behind = behind.or(Some(at + 2));
                    jumps += 1;
                    at = ((length & 0x3f) << 8) | low;
                }
                _ => return None,
            }
            if jumps > JUMPS_MAX || out.len() > 3 * NAME_BYTES_MAX {
                return None;
            }
        }
        self.at = behind.unwrap_or(at + 1);
        Some(out)
    }

    fn records(&mut self, count: u16, record: DnsRecord) -> Option<Vec<String>> {
        let mut out = Vec::new();
        for _ in 0..count {
            self.name()?;
            let (kind, class) = (self.number()?, self.number()?);
            // How long it may be kept.
            self.take(4)?;
            let end = usize::from(self.number()?) + self.at;
            // Others are on the way to it, as the names that an alias leads to.
            if kind == number(record) && class == IN {
                out.push(self.data(record, end)?);
            }
            self.at = end;
        }
        Some(out)
    }

    fn data(&mut self, record: DnsRecord, end: usize) -> Option<String> {
        Some(match record {
            DnsRecord::A => Ipv4Addr::from(<[u8; 4]>::try_from(self.take(4)?).ok()?).to_string(),
            DnsRecord::Aaaa => Ipv6Addr::from(<[u8; 16]>::try_from(self.take(16)?).ok()?).to_string(),
            DnsRecord::Cname | DnsRecord::Ns | DnsRecord::Ptr => self.name()?,
            DnsRecord::Mx => format!("{} {}", self.number()?, self.name()?),
            DnsRecord::Srv => {
                format!("{} {} {} {}", self.number()?, self.number()?, self.number()?, self.name()?)
            }
            DnsRecord::Txt => {
                let mut text = String::new();
                while self.at < end {
                    let length = usize::from(self.take(1)?[0]);
                    text.push_str(&String::from_utf8_lossy(self.take(length)?));
                }
                text
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with these records: kind and data each. A name in them is that of the question, by a pointer.
    fn said(asked: &[u8], flags: [u8; 2], records: &[(u16, &[u8])]) -> Vec<u8> {
        let mut out = asked.to_vec();
        out[2..4].copy_from_slice(&flags);
        out[7] = u8::try_from(records.len()).expect("a few");
        for (kind, data) in records {
            out.extend([0xc0, 12]);
            out.extend(kind.to_be_bytes());
            out.extend([0, 1, 0, 0, 0, 60]);
            out.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
            out.extend(*data);
        }
        out
    }

    const FINE: [u8; 2] = [0x81, 0x80];

    #[test]
    fn records_are_read_as_people_write_them() {
        let v6 = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let alias: &[u8] = &[0xc0, 12];
        let cases: [(DnsRecord, &[u8], &str); 6] = [
            (DnsRecord::A, &[192, 0, 2, 7], "192.0.2.7"),
            (DnsRecord::Aaaa, &v6, "2001:db8::1"),
            (DnsRecord::Cname, &[3, b'w', b'w', b'w', 0xc0, 12], "www.photos.example"),
            (DnsRecord::Mx, &[0, 10, 0xc0, 12], "10 photos.example"),
            (DnsRecord::Srv, &[0, 1, 0, 2, 0x13, 0xc4, 0xc0, 12], "1 2 5060 photos.example"),
            (DnsRecord::Txt, &[2, b'v', b'=', 1, b'1'], "v=1"),
        ];
        for (record, data, wanted) in cases {
            let asked = question(7, "photos.example.", record).expect("a name");
            // An alias stands before what it leads to.
            let other = if record == DnsRecord::Cname { 1 } else { 5 };
            let message = said(&asked, FINE, &[(other, alias), (number(record), data)]);
            let records = Answer::Records(vec![wanted.to_owned()]);
            assert_eq!(answer(&message, &asked, record), Some(Ok(records)), "{record:?}");
            for cut in 0..message.len() {
                let read = answer(&message[..cut], &asked, record);
                assert!(!matches!(read, Some(Ok(Answer::Records(ref r))) if !r.is_empty()), "{record:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_is_no_answer_is_waited_through_and_what_is_wrong_is_said() {
        let asked = question(7, "photos.example", DnsRecord::A).expect("a name");
        let other = question(8, "photos.example", DnsRecord::A).expect("a name");
        let fine = said(&asked, FINE, &[]);
        assert_eq!(answer(&fine, &asked, DnsRecord::A), Some(Ok(Answer::Records(Vec::new()))));
        assert_eq!(answer(&fine, &other, DnsRecord::A), None, "of another question");
        assert_eq!(answer(&asked, &asked, DnsRecord::A), None, "a question is no answer");
        assert_eq!(answer(&said(&asked, [0x83, 0x80], &[]), &asked, DnsRecord::A), Some(Ok(Answer::Truncated)));
        for (code, word) in [(2, "SERVFAIL"), (3, "NXDOMAIN"), (5, "REFUSED"), (9, "the code 9")] {
            let read = answer(&said(&asked, [0x81, 0x80 | code], &[]), &asked, DnsRecord::A);
            assert!(matches!(read, Some(Err(ref e)) if e.contains(word)), "{read:?}");
        }
        // A pointer that leads to itself ends.
        let at = u8::try_from(asked.len() + 12).expect("short");
        let round = said(&asked, FINE, &[(5, &[0xc0, at])]);
        assert!(matches!(answer(&round, &asked, DnsRecord::Cname), None | Some(Err(_))));
        let (long, many) = ("x".repeat(64), ["x"; 200].join("."));
        for wrong in ["", "a..b", long.as_str(), many.as_str()] {
            assert!(question(1, wrong, DnsRecord::A).is_err(), "{wrong}");
        }
    }
}
