//! From when to when an X.509 certificate is good, and nothing else of it: RFC 5280, section 4.1.

use tenfold_types::Timestamp;

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// `notAfter` of a certificate in DER; `None` when the bytes are not one.
pub fn not_after(der: &[u8]) -> Option<Timestamp> {
    Some(validity(der)?.1)
}

/// `notBefore` and `notAfter` of a certificate in DER; `None` when the bytes are not one.
pub fn validity(der: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let certificate = value(der, SEQUENCE)?.0;
    let (mut rest, _) = value(certificate, SEQUENCE)?;
    // The version in its wrapping is optional; serial, signature algorithm and issuer follow.
    if rest.first() == Some(&0xA0) {
        rest = value(rest, 0xA0)?.1;
    }
    for _ in 0..3 {
        let tag = *rest.first()?;
        rest = value(rest, tag)?.1;
    }
    let validity = value(rest, SEQUENCE)?.0;
    let tag = *validity.first()?;
    let (from, rest) = value(validity, tag)?;
    let from = time(tag, from)?;
    let tag = *rest.first()?;
    Some((from, time(tag, value(rest, tag)?.0)?))
}

/// The content of an element with this tag, and what follows it.
fn value(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    if *bytes.first()? != tag {
        return None;
    }
    let first = *bytes.get(1)?;
    let (length, start) = if first < 0x80 {
        (usize::from(first), 2)
    } else {
        let n = usize::from(first & 0x7F);
        if n == 0 || n > 4 {
            return None;
        }
        let length = bytes.get(2..2 + n)?.iter().fold(0_usize, |sum, b| sum << 8 | usize::from(*b));
        (length, 2 + n)
    };
    let end = start.checked_add(length)?;
    Some((bytes.get(start..end)?, &bytes[end..]))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn time(tag: u8, bytes: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix('Z')?;
    let year: i32 = match tag {
        UTC_TIME if text.len() == 12 => {
            let short: i32 = text.get(..2)?.parse().ok()?;
            if short < 50 { 2000 + short } else { 1900 + short }
        }
        GENERALIZED_TIME if text.len() == 14 => text.get(..4)?.parse().ok()?,
        _ => return None,
    };
    let rest = text.get(text.len() - 10..)?;
    let two = |at: usize| rest.get(at..at + 2);
    let written = format!("{year:04}-{}-{}T{}:{}:{}Z", two(0)?, two(2)?, two(4)?, two(6)?, two(8)?);
    Timestamp::parse_rfc3339(&written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![tag];
        if content.len() < 0x80 {
            out.push(content.len() as u8);
        } else {
            out.extend([0x82, (content.len() >> 8) as u8, content.len() as u8]);
        }
        out.extend(content);
        out
    }

    #[test]
    fn both_ways_to_write_a_time() {
        let certificate = |tag: u8, time: &[u8], version: bool| {
            let validity = [element(UTC_TIME, b"240101000000Z"), element(tag, time)].concat();
            let mut tbs = Vec::new();
            if version {
                tbs.extend(element(0xA0, &element(2, &[2])));
            }
            tbs.extend(element(2, &[1, 2, 3]));
            tbs.extend(element(SEQUENCE, &[5, 0]));
            tbs.extend(element(SEQUENCE, &[0; 200]));
            tbs.extend(element(SEQUENCE, &validity));
            element(SEQUENCE, &element(SEQUENCE, &tbs))
        };
        let end = Timestamp::parse_rfc3339("2031-02-03T04:05:06Z");
        assert_eq!(not_after(&certificate(UTC_TIME, b"310203040506Z", true)), end);
        let begin = Timestamp::parse_rfc3339("2024-01-01T00:00:00Z");
        assert_eq!(validity(&certificate(UTC_TIME, b"310203040506Z", true)), begin.zip(end));
        assert_eq!(not_after(&certificate(GENERALIZED_TIME, b"20310203040506Z", false)), end);
        // By this a certificate says that it never ends (RFC 5280, section 4.1.2.5).
        let never = not_after(&certificate(GENERALIZED_TIME, b"99991231235959Z", true));
        assert_eq!(never.map(|at| at.to_string()).as_deref(), Some("9999-12-31T23:59:59.000Z"));
        assert_eq!(not_after(&certificate(UTC_TIME, b"soon", true)), None);
        let whole = certificate(UTC_TIME, b"310203040506Z", true);
        for cut in 0..whole.len() {
            assert_eq!(not_after(&whole[..cut]), None);
        }
    }
}
