//! The fingerprint of an alert: FNV-1a over its labels, byte for byte as Prometheus and Alertmanager compute it, so that
//! links and silences made elsewhere name the same alert.

use std::fmt;

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};
use tenfold_types::Labels;

const OFFSET: u64 = 14_695_981_039_346_656_037;
const PRIME: u64 = 1_099_511_628_211;
const SEPARATOR: u8 = 0xff;
/// Hex digits of a fingerprint.
const DIGITS: usize = 16;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Written as 16 lower-case hex digits. The order is that of the texts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    pub fn of(labels: &Labels) -> Self {
        Self(with_labels(OFFSET, labels))
    }

    /// Nothing of what is not written exactly so.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != DIGITS {
            return None;
        }
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        text.bytes().try_fold(0_u64, |number, byte| Some((number << 4) | u64::from(digit(byte)?))).map(Self)
    }

    fn digits(self) -> [u8; DIGITS] {
        let mut digits = [0; DIGITS];
        for (place, digit) in digits.iter_mut().rev().enumerate() {
            *digit = HEX[(self.0 >> (4 * place)) as usize & 0xf];
        }
        digits
    }

    /// The same as `to_string`, and quicker.
    pub fn text(self) -> String {
        let mut text = String::with_capacity(DIGITS);
        text.extend(self.digits().map(char::from));
        text
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(str::from_utf8(&self.digits()).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(str::from_utf8(&self.digits()).map_err(ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Fingerprint;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{DIGITS} lower-case hex digits")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Fingerprint, E> {
                Fingerprint::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// The text of a fingerprint.
pub fn fingerprint(labels: &Labels) -> String {
    Fingerprint::of(labels).text()
}

/// Of labels that have a name in front; the same in every process.
pub(crate) fn hash_named(name: &str, labels: &Labels) -> u64 {
    with_labels(with_text(OFFSET, name), labels)
}

fn with_labels(hash: u64, labels: &Labels) -> u64 {
    labels.iter().fold(hash, |hash, (name, value)| with_text(with_text(hash, name), value))
}

fn with_text(hash: u64, text: &str) -> u64 {
    let with = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    with(text.bytes().fold(hash, with), SEPARATOR)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn empty_is_the_offset_and_order_does_not_matter() {
        assert_eq!(fingerprint(&Labels::new()), format!("{OFFSET:016x}"));
        assert_eq!(fingerprint(&Labels::new()), "cbf29ce484222325");
        let a = Labels::from_pairs([("alertname", "High"), ("service", "photos")]);
        let b = Labels::from_pairs([("service", "photos"), ("alertname", "High")]);
        assert_eq!(fingerprint(&a), fingerprint(&b));
        assert_ne!(fingerprint(&a), fingerprint(&a.clone().with("x", "y")));
    }

    #[test]
    fn it_is_the_hash_of_the_names_and_values_each_with_its_end() {
        let labels = Labels::from_pairs([("a", "bc"), ("d", "é")]);
        let bytes = [b"a\xffbc\xffd\xff".as_slice(), "é".as_bytes(), [SEPARATOR].as_slice()].concat();
        let wanted = bytes.iter().fold(OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME));
        assert_eq!(Fingerprint::of(&labels), Fingerprint(wanted));
        assert_eq!(fingerprint(&labels), format!("{wanted:016x}"));
    }

    #[test]
    fn it_is_written_read_and_sorted_as_its_text() {
        let all = [0, 1, 0xf, 0x10, 0x00ab_cdef_0123_4567, 1 << 63, u64::MAX].map(Fingerprint);
        let texts = all.map(|one| format!("{:016x}", one.0));
        assert!(all.is_sorted() && texts.is_sorted());
        for (one, text) in all.into_iter().zip(&texts) {
            assert_eq!((one.text(), one.to_string(), format!("{one:?}")), (text.clone(), text.clone(), text.clone()));
            assert_eq!(Fingerprint::parse(text), Some(one));
            assert_eq!(serde_json::to_string(&one).unwrap(), format!("\"{text}\""));
            let keyed: BTreeMap<Fingerprint, u8> = serde_json::from_str(&format!("{{\"{text}\": 1}}")).unwrap();
            assert_eq!(serde_json::to_string(&keyed).unwrap(), format!("{{\"{text}\":1}}"));
            let read: BTreeMap<Fingerprint, u8> =
                serde_json::from_value(serde_json::to_value(&keyed).unwrap()).unwrap();
            assert_eq!(read, BTreeMap::from([(one, 1)]));
        }
        for other in
            ["", "a", "cbf29ce48422232", "cbf29ce4842223250", "CBF29CE484222325", "+bf29ce484222325", "cbf29ce48422é25"]
        {
            assert_eq!(Fingerprint::parse(other), None, "{other}");
            assert!(serde_json::from_value::<Fingerprint>(other.into()).is_err(), "{other}");
        }
    }
}
