//! Ganglia: gmond's datagrams, and the XML that gmond and gmetad answer with.
//!
//! Sources: `lib/gm_protocol.x` of Ganglia 3.1 and later (XDR, RFC 4506) and the DTD at the head of every answer. The XML is
//! read as those programs write it, which does not escape `&` and `<` in values; only quotes end one.

mod xml;

use tenfold_types::Labels;

use crate::exposition::Metadata;

pub use xml::{GangliaXmlError, parse as parse_xml};

/// Pairs of further data in one datagram that are read.
const EXTRAS_MAX: u32 = 64;
/// Longest name of a host or metric in a datagram: each is remembered.
const NAME_BYTES_MAX: usize = 512;

#[derive(Debug, Clone, PartialEq)]
pub enum Message<'a> {
    /// What a metric is; sent now and then. It is to be expected every `tmax_s` seconds and to be forgotten after `dmax_s`; 0
    /// is not said.
    About { host: &'a str, name: &'a str, is_text: bool, tmax_s: u32, dmax_s: u32, metadata: Metadata },
    /// A number.
    Value { host: &'a str, name: &'a str, value: f64 },
    /// A text, which may be a number: `gmetric` writes all its values so.
    Text { host: &'a str, name: &'a str, text: &'a str },
    /// A question of another gmond; it is not for us.
    Request,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GangliaError {
    #[error("the datagram ends in the middle of a value")]
    Short,
    #[error("the datagram is of an unknown kind ({0}); gmond 3.1 and later are understood")]
    Kind(u32),
    #[error("a text of the datagram is not UTF-8")]
    Text,
    #[error("a name in the datagram has more than {NAME_BYTES_MAX} bytes")]
    LongName,
}

/// A metric's name as a series has it.
pub fn metric_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    format!("ganglia_{}", name.chars().map(plain).collect::<String>())
}

/// Reads one datagram.
pub fn decode(packet: &[u8]) -> Result<Message<'_>, GangliaError> {
    let mut reader = Reader { rest: packet };
    let kind = reader.number()?;
    if kind == 136 {
        return Ok(Message::Request);
    }
    if !(128..=135).contains(&kind) {
        return Err(GangliaError::Kind(kind));
    }
    let (host, name) = (reader.text()?, reader.text()?);
    if host.len().max(name.len()) > NAME_BYTES_MAX {
        return Err(GangliaError::LongName);
    }
    let spoofed = reader.number()? != 0;
    // A host that another one speaks for is written as `ADDRESS:NAME`.
    let host = host.split_once(':').filter(|_| spoofed).map_or(host, |(_, name)| name);
    if kind == 128 {
        return reader.about(host, name);
    }
    // How gmond would print it.
    reader.text()?;
    let value = match kind {
        129 => f64::from(reader.number()? as u16),
        130 => f64::from(reader.number()? as i16),
        131 => f64::from(reader.number()?.cast_signed()),
        132 => f64::from(reader.number()?),
        134 => f64::from(f32::from_bits(reader.number()?)),
        135 => f64::from_bits(u64::from(reader.number()?) << 32 | u64::from(reader.number()?)),
        _ => return Ok(Message::Text { host, name, text: reader.text()? }),
    };
    Ok(Message::Value { host, name, value })
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn number(&mut self) -> Result<u32, GangliaError> {
        let (bytes, rest) = self.rest.split_first_chunk::<4>().ok_or(GangliaError::Short)?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*bytes))
    }

    /// Filled up to a multiple of four bytes.
    fn text(&mut self) -> Result<&'a str, GangliaError> {
        let length = self.number()? as usize;
        let whole = length.checked_next_multiple_of(4).ok_or(GangliaError::Short)?;
        let (padded, rest) = self.rest.split_at_checked(whole).ok_or(GangliaError::Short)?;
        self.rest = rest;
        std::str::from_utf8(&padded[..length]).map_err(|_| GangliaError::Text)
    }

    fn about(&mut self, host: &'a str, name: &'a str) -> Result<Message<'a>, GangliaError> {
        let kind = self.text()?;
        self.text()?;
        let units = self.text()?.trim();
        let slope = self.number()?;
        let (tmax_s, dmax_s) = (self.number()?, self.number()?);
        let mut help = "";
        for _ in 0..self.number()?.min(EXTRAS_MAX) {
            let (key, data) = (self.text()?, self.text()?);
            if key == "DESC" || (key == "TITLE" && help.is_empty()) {
                help = data;
            }
        }
        let slope = match slope {
            1 => "positive",
            5 => "derivative",
            _ => "",
        };
        let metadata = metadata(slope, help, units);
        Ok(Message::About { host, name, is_text: kind == "string", tmax_s, dmax_s, metadata })
    }
}

fn metadata(slope: &str, help: &str, unit: &str) -> Metadata {
    // Of both gmetad keeps how much they grow.
    let kind = if matches!(slope, "positive" | "derivative") { "counter" } else { "gauge" };
    Metadata { kind: kind.into(), help: help.into(), unit: unit.into() }
}

/// The labels of a host's metric.
pub fn labels(host: &str, name: &str) -> Labels {
    Labels::from_pairs([(Labels::NAME, metric_name(name).as_str()), ("host", host)])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn xdr(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }
    fn text(text: &str) -> Vec<u8> {
        let mut out = (text.len() as u32).to_be_bytes().to_vec();
        out.extend(text.bytes());
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }
    fn value(kind: u32, host: &str, spoofed: u32, data: &[u8]) -> Vec<u8> {
        let spoofed = spoofed.to_be_bytes();
        xdr(&[&kind.to_be_bytes(), &text(host), &text("load_one"), &spoofed, &text("%u"), data])
    }

    #[test]
    fn every_kind_of_value_is_read() {
        for (kind, data, wanted) in [
            (129, 65_535_u32.to_be_bytes().to_vec(), 65_535.0),
            (130, (-2_i32).to_be_bytes().to_vec(), -2.0),
            (131, i32::MIN.to_be_bytes().to_vec(), f64::from(i32::MIN)),
            (132, u32::MAX.to_be_bytes().to_vec(), f64::from(u32::MAX)),
            (134, 0.5_f32.to_be_bytes().to_vec(), 0.5),
            (135, 1e300_f64.to_be_bytes().to_vec(), 1e300),
        ] {
            let packet = value(kind, "h1", 0, &data);
            assert_eq!(decode(&packet), Ok(Message::Value { host: "h1", name: "load_one", value: wanted }));
        }
        let packet = value(133, "10.0.0.1:db1", 1, &text("3.5"));
        assert_eq!(decode(&packet), Ok(Message::Text { host: "db1", name: "load_one", text: "3.5" }));
        assert_eq!(decode(&136_u32.to_be_bytes()), Ok(Message::Request));
    }

    #[test]
    fn what_a_metric_is_is_read() {
        let number = u32::to_be_bytes;
        let packet = |slope: u32| {
            xdr(&[
                &number(128),
                &text("h1"),
                &text("hits"),
                &number(0),
                &text("double"),
                &text("hits"),
                &text("req/s"),
                &number(slope),
                &number(60),
                &number(0),
                &number(2),
                &text("TITLE"),
                &text("Hits"),
                &text("DESC"),
                &text("All hits"),
            ])
        };
        for (slope, kind) in [(1, "counter"), (3, "gauge"), (5, "counter")] {
            let metadata = Metadata { kind: kind.into(), help: "All hits".into(), unit: "req/s".into() };
            let about = Message::About { host: "h1", name: "hits", is_text: false, tmax_s: 60, dmax_s: 0, metadata };
            assert_eq!(decode(&packet(slope)), Ok(about));
        }
        assert_eq!(metric_name("my.metric <x>"), "ganglia_my_metric__x_");
    }

    #[test]
    fn what_is_broken_is_said() {
        assert_eq!(decode(b"abcd"), Err(GangliaError::Kind(0x6162_6364)));
        assert_eq!(decode(&value(132, "h1", 0, b"ab")), Err(GangliaError::Short));
        let of = |host: &str| decode(&value(132, host, 0, &[0, 0, 0, 7])).map(|_| ());
        let long = "h".repeat(NAME_BYTES_MAX + 1);
        assert_eq!((of(&long[1..]), of(&long)), (Ok(()), Err(GangliaError::LongName)));
        assert_eq!(decode(&xdr(&[&128_u32.to_be_bytes(), &u32::MAX.to_be_bytes()])), Err(GangliaError::Short));
    }

    proptest! {
        #[test]
        fn never_panics(kind in 126_u32..138, noise in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode(&noise);
            let _ = decode(&xdr(&[&kind.to_be_bytes(), &text("h"), &text("n"), &noise]));
        }
    }
}
