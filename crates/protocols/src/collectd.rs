//! collectd: the datagrams of its plugin `network`, and the lists that `write_http` posts as JSON.
//!
//! A datagram is a row of parts, each with its kind and length; texts and times hold until they are said anew, and values are
//! of what was said before them. Who sent a datagram is asked before, of [`Access`].
//!
//! Source: "Binary protocol" of collectd's wiki, `network.h`, and "JSON" of its plugin `write_http`.

mod secure;
mod types;

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use tenfold_types::Labels;

use crate::statsd::metric_name;

pub use secure::{Access, PASSWORDS_BYTES_MAX, Security};
pub use types::{TYPES_BYTES_MAX, Types, TypesError};

/// Largest body in JSON, plain, in bytes.
pub const JSON_BYTES_MAX: usize = 8 << 20;
/// Values of one list, as collectd itself has it.
const VALUES_MAX: usize = 128;
const TEXT_BYTES_MAX: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CollectdError {
    #[error("the datagram ends in the middle of a part")]
    Short,
    #[error("a text of the datagram is not UTF-8, has no end, or has more than {TEXT_BYTES_MAX} bytes")]
    Text,
    #[error("a text of a list of values has more than {TEXT_BYTES_MAX} bytes")]
    LongText,
    #[error("a number of the datagram does not have 8 bytes")]
    Number,
    #[error("a list of values is not as long as it says, or has more than {VALUES_MAX} values")]
    Values,
    #[error("a value is of the unknown kind {0}")]
    Kind(u8),
    #[error("the datagram is encrypted, and there are no passwords; set `collectd.auth_file`")]
    Encrypted,
    #[error("the datagram is signed, where it has to be encrypted (`collectd.security_level`)")]
    NotEncrypted,
    #[error("the datagram is neither signed nor encrypted (`collectd.security_level`)")]
    Unsigned,
    #[error("the datagram is of a user who is not in `collectd.auth_file`")]
    User,
    #[error("the datagram was signed or encrypted with another password, or changed on its way")]
    Signature,
    #[error("values come without a host, plugin and type")]
    Nameless,
    #[error("`{0}` is no dstype")]
    Dstype(String),
    #[error("the body is not collectd's JSON: {0}")]
    Json(String),
}

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Derive,
    /// Counted since it was read last.
    Absolute,
}

impl Kind {
    fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "counter" => Self::Counter,
            "gauge" => Self::Gauge,
            "derive" => Self::Derive,
            "absolute" => Self::Absolute,
            _ => return None,
        })
    }

    /// As the metadata of a family has it.
    pub const fn family(self) -> &'static str {
        match self {
            Self::Counter | Self::Derive => "counter",
            Self::Gauge | Self::Absolute => "gauge",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct DataValue {
    /// Which of several this is; empty for the only one.
    pub name: String,
    pub kind: Kind,
    pub value: f64,
}

/// Values that were read together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ValueList {
    pub host: String,
    pub plugin: String,
    pub plugin_instance: String,
    pub kind: String,
    pub type_instance: String,
    /// Milliseconds since the epoch; `None` for now.
    pub t_ms: Option<i64>,
    /// Between two readings, where the sender says so.
    pub interval_ms: Option<i64>,
    pub values: Vec<DataValue>,
}

impl ValueList {
    /// The labels of one of its values: those that `write_graphite` sends with `UseTags` and the prefix `collectd.`.
    pub fn labels(&self, value: &DataValue) -> Labels {
        let parts = [self.plugin.as_str(), self.kind.as_str(), value.name.as_str()];
        let mut name = "collectd".to_owned();
        for part in parts.iter().filter(|part| !part.is_empty()) {
            name.push('_');
            name.push_str(part);
        }
        let name = metric_name(&name);
        let pairs = [
            (Labels::NAME, name.as_str()),
            ("ds_name", value.name.as_str()),
            ("host", self.host.as_str()),
            ("plugin", self.plugin.as_str()),
            ("plugin_instance", self.plugin_instance.as_str()),
            ("type", self.kind.as_str()),
            ("type_instance", self.type_instance.as_str()),
        ];
        Labels::from_pairs(pairs.into_iter().filter(|(_, value)| !value.is_empty()))
    }

    fn is_named(&self) -> bool {
        !self.host.is_empty() && !self.plugin.is_empty() && !self.kind.is_empty()
    }
}

const HOST: u16 = 0x0000;
const TIME: u16 = 0x0001;
const PLUGIN: u16 = 0x0002;
const PLUGIN_INSTANCE: u16 = 0x0003;
const TYPE: u16 = 0x0004;
const TYPE_INSTANCE: u16 = 0x0005;
const VALUES: u16 = 0x0006;
const INTERVAL: u16 = 0x0007;
const TIME_HIRES: u16 = 0x0008;
const INTERVAL_HIRES: u16 = 0x0009;
const MESSAGE: u16 = 0x0100;
const SIGNATURE: u16 = 0x0200;
const ENCRYPTED: u16 = 0x0210;

/// Reads a datagram into `out`; gives how many notifications were in it, which are no values. What stood before an error stays.
pub fn decode(packet: &[u8], types: &Types, out: &mut Vec<ValueList>) -> Result<usize, CollectdError> {
    let mut said = ValueList::default();
    let mut notifications = 0;
    let mut rest = packet;
    while !rest.is_empty() {
        let (kind, body) = part(&mut rest)?;
        match kind {
            HOST => said.host = text(body)?,
            PLUGIN => said.plugin = text(body)?,
            PLUGIN_INSTANCE => said.plugin_instance = text(body)?,
            TYPE => said.kind = text(body)?,
            TYPE_INSTANCE => said.type_instance = text(body)?,
            TIME => said.t_ms = seconds_ms(number(body)?),
            TIME_HIRES => said.t_ms = Some(hires_ms(number(body)?)),
            // Values are right without one.
            INTERVAL => said.interval_ms = number(body).ok().and_then(seconds_ms),
            INTERVAL_HIRES => said.interval_ms = number(body).ok().map(hires_ms),
            VALUES => {
                if !said.is_named() {
                    return Err(CollectdError::Nameless);
                }
                let values = values(body, types.names(&said.kind))?;
                let t_ms = said.t_ms.filter(|t| *t > 0);
                out.push(ValueList { t_ms, values, ..said.clone() });
            }
            MESSAGE => notifications += 1,
            ENCRYPTED => return Err(CollectdError::Encrypted),
            // Severities, signatures, and what later versions add.
            _ => {}
        }
    }
    Ok(notifications)
}

/// The next part: its kind and what is in it.
fn part<'p>(rest: &mut &'p [u8]) -> Result<(u16, &'p [u8]), CollectdError> {
    let (head, _) = rest.split_first_chunk::<4>().ok_or(CollectdError::Short)?;
    let kind = u16::from_be_bytes([head[0], head[1]]);
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let body = rest.get(4..length).ok_or(CollectdError::Short)?;
    *rest = &rest[length..];
    Ok((kind, body))
}

fn text(body: &[u8]) -> Result<String, CollectdError> {
    let inside = body.strip_suffix(b"\0").filter(|inside| inside.len() <= TEXT_BYTES_MAX).ok_or(CollectdError::Text)?;
    std::str::from_utf8(inside).map(str::to_owned).map_err(|_| CollectdError::Text)
}

fn number(body: &[u8]) -> Result<u64, CollectdError> {
    body.try_into().map(u64::from_be_bytes).map_err(|_| CollectdError::Number)
}

fn seconds_ms(s: u64) -> Option<i64> {
    i64::try_from(s).ok()?.checked_mul(1_000)
}

/// A time in parts of a second of which there are 2 to the 30th.
const fn hires_ms(t: u64) -> i64 {
    const PART_BITS: u32 = 30;
    let parts = t & ((1 << PART_BITS) - 1);
    ((t >> PART_BITS) * 1_000 + ((parts * 1_000) >> PART_BITS)) as i64
}

/// The number of values, the kind of each, and then they themselves.
fn values(body: &[u8], names: &[String]) -> Result<Vec<DataValue>, CollectdError> {
    let (count, rest) = body.split_first_chunk::<2>().ok_or(CollectdError::Values)?;
    let count = usize::from(u16::from_be_bytes(*count));
    if count > VALUES_MAX || rest.len() != count * 9 {
        return Err(CollectdError::Values);
    }
    let (kinds, numbers) = rest.split_at(count);
    let (numbers, _) = numbers.as_chunks::<8>();
    let mut out = Vec::with_capacity(count);
    for (at, (kind, bytes)) in kinds.iter().zip(numbers).enumerate() {
        let (kind, value) = match kind {
            0 => (Kind::Counter, u64::from_be_bytes(*bytes) as f64),
            // As x86 has it, whatever the machine is.
            1 => (Kind::Gauge, f64::from_le_bytes(*bytes)),
            2 => (Kind::Derive, i64::from_be_bytes(*bytes) as f64),
            3 => (Kind::Absolute, u64::from_be_bytes(*bytes) as f64),
            other => return Err(CollectdError::Kind(*other)),
        };
        let name = match names.get(at).filter(|_| names.len() == count) {
            _ if count == 1 => String::new(),
            Some(name) => name.clone(),
            None => at.to_string(),
        };
        out.push(DataValue { name, kind, value });
    }
    Ok(out)
}

/// One entry of the list that `write_http` posts.
#[derive(Deserialize)]
struct Posted {
    /// "Not a number" is null.
    values: Vec<Option<f64>>,
    dstypes: Vec<String>,
    dsnames: Vec<String>,
    /// Seconds since the epoch.
    time: f64,
    /// Seconds. Whatever else it is costs no values.
    #[serde(default)]
    interval: serde_json::Value,
    host: String,
    plugin: String,
    #[serde(default)]
    plugin_instance: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    type_instance: String,
}

/// What `write_http` posted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Posts {
    pub lists: Vec<ValueList>,
    /// Entries that are no list of values.
    pub refused: usize,
    /// Which one was the first, and why.
    pub first_refused: String,
}

/// Reads what `write_http` posts in its format JSON. A wrong entry costs no other.
pub fn from_json(body: &[u8]) -> Result<Posts, CollectdError> {
    let unread = |e: serde_json::Error| CollectdError::Json(e.to_string());
    let mut json = serde_json::Deserializer::from_slice(body);
    let posts = json.deserialize_seq(Entries).map_err(unread)?;
    json.end().map_err(unread)?;
    Ok(posts)
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Posts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Posts, A::Error> {
        let mut posts = Posts::default();
        // One after the other: what is anything else than values is never in memory as a whole.
        while let Some(entry) = entries.next_element::<serde_json::Value>()? {
            let read = Posted::deserialize(entry).map_err(|e| e.to_string());
            match read.and_then(|posted| posted.list().map_err(|e| e.to_string())) {
                Ok(list) => posts.lists.push(list),
                Err(error) => {
                    if posts.refused == 0 {
                        posts.first_refused = format!("entry {}: {error:.200}", posts.lists.len() + 1);
                    }
                    posts.refused += 1;
                }
            }
        }
        Ok(posts)
    }
}

impl Posted {
    fn list(self) -> Result<ValueList, CollectdError> {
        let count = self.values.len();
        if count > VALUES_MAX || self.dstypes.len() != count || self.dsnames.len() != count {
            return Err(CollectdError::Values);
        }
        // As in datagrams: each of the values has them.
        let texts = [&self.host, &self.plugin, &self.plugin_instance, &self.kind, &self.type_instance];
        if texts.into_iter().chain(&self.dsnames).any(|text| text.len() > TEXT_BYTES_MAX) {
            return Err(CollectdError::LongText);
        }
        let mut values = Vec::with_capacity(count);
        for ((value, kind), name) in self.values.into_iter().zip(self.dstypes).zip(self.dsnames) {
            let kind = Kind::by_name(&kind).ok_or_else(|| CollectdError::Dstype(kind.chars().take(40).collect()))?;
            let name = if count == 1 { String::new() } else { name };
            values.push(DataValue { name, kind, value: value.unwrap_or(f64::NAN) });
        }
        let ms = |s: f64| Some(s * 1_000.0).filter(|ms| *ms > 0.0 && *ms < 4e15).map(|ms| ms.round() as i64);
        let (t_ms, interval_ms) = (ms(self.time), self.interval.as_f64().and_then(ms));
        let list = ValueList {
            host: self.host,
            plugin: self.plugin,
            plugin_instance: self.plugin_instance,
            kind: self.kind,
            type_instance: self.type_instance,
            t_ms,
            interval_ms,
            values,
        };
        if list.is_named() { Ok(list) } else { Err(CollectdError::Nameless) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(kind: u16, body: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &(body.len() as u16 + 4).to_be_bytes(), body].concat()
    }
    fn text(kind: u16, text: &str) -> Vec<u8> {
        part(kind, format!("{text}\0").as_bytes())
    }
    fn values(all: &[(u8, [u8; 8])]) -> Vec<u8> {
        let mut body = (all.len() as u16).to_be_bytes().to_vec();
        body.extend(all.iter().map(|(kind, _)| kind));
        body.extend(all.iter().flat_map(|(_, bytes)| bytes));
        part(VALUES, &body)
    }
    fn head() -> Vec<u8> {
        [text(HOST, "db1.example"), text(PLUGIN, "interface"), text(PLUGIN_INSTANCE, "eth0"), text(TYPE, "if_octets")]
            .concat()
    }
    fn shown(packet: &[u8]) -> (Vec<String>, Result<usize, CollectdError>) {
        let mut out = Vec::new();
        let read = decode(packet, &Types::default(), &mut out);
        let one = |list: &ValueList| {
            let of = |v: &DataValue| format!("{} {} {:?} @{:?}", list.labels(v), v.value, v.kind, list.t_ms);
            list.values.iter().map(of).collect::<Vec<_>>()
        };
        (out.iter().flat_map(one).collect(), read)
    }

    #[test]
    fn parts_hold_until_they_are_said_anew() {
        let time = part(TIME_HIRES, &((1_400_000_000_u64 << 30) | (1 << 29)).to_be_bytes());
        let interval = part(0x0009, &(10_u64 << 30).to_be_bytes());
        let packet = [
            head(),
            time,
            interval,
            values(&[(2, 5_i64.to_be_bytes()), (2, (-1_i64).to_be_bytes())]),
            text(PLUGIN, "load"),
            text(PLUGIN_INSTANCE, ""),
            text(TYPE, "load"),
            part(TIME, &7_u64.to_be_bytes()),
            values(&[(1, 0.5_f64.to_le_bytes()), (1, 0.25_f64.to_le_bytes()), (1, f64::NAN.to_le_bytes())]),
            text(TYPE, "users"),
            text(TYPE_INSTANCE, "all"),
            values(&[(3, 4_u64.to_be_bytes())]),
            part(MESSAGE, b"all is well\0"),
        ]
        .concat();
        let net = "host=\"db1.example\",plugin=\"interface\",plugin_instance=\"eth0\",type=\"if_octets\"";
        let load = "host=\"db1.example\",plugin=\"load\",type=\"load\"";
        let wanted = vec![
            format!("collectd_interface_if_octets_rx{{ds_name=\"rx\",{net}}} 5 Derive @Some(1400000000500)"),
            format!("collectd_interface_if_octets_tx{{ds_name=\"tx\",{net}}} -1 Derive @Some(1400000000500)"),
            format!("collectd_load_load_shortterm{{ds_name=\"shortterm\",{load}}} 0.5 Gauge @Some(7000)"),
            format!("collectd_load_load_midterm{{ds_name=\"midterm\",{load}}} 0.25 Gauge @Some(7000)"),
            format!("collectd_load_load_longterm{{ds_name=\"longterm\",{load}}} NaN Gauge @Some(7000)"),
            "collectd_load_users{host=\"db1.example\",plugin=\"load\",type=\"users\",type_instance=\"all\"} 4 Absolute \
             @Some(7000)"
                .to_owned(),
        ];
        assert_eq!(shown(&packet), (wanted, Ok(1)));
    }

    #[test]
    fn intervals_are_told_and_cost_no_values() {
        let one = || values(&[(1, 1_f64.to_le_bytes())]);
        let packet = [
            head(),
            one(),
            part(INTERVAL, &600_u64.to_be_bytes()),
            one(),
            part(INTERVAL_HIRES, &((3_600_u64 << 30) | (1 << 29)).to_be_bytes()),
            one(),
            one(),
            part(INTERVAL, b"odd"),
            one(),
            part(INTERVAL, &u64::MAX.to_be_bytes()),
            one(),
        ];
        let mut out = Vec::new();
        assert_eq!(decode(&packet.concat(), &Types::default(), &mut out), Ok(0));
        let told: Vec<_> = out.iter().map(|list| list.interval_ms).collect();
        assert_eq!(told, [None, Some(600_000), Some(3_600_500), Some(3_600_500), None, None]);
        for (interval, wanted) in [("10.000", Some(10_000)), ("0", None), ("\"x\"", None), ("null", None), ("-1", None)]
        {
            let body = format!(
                "[{{\"values\":[1],\"dstypes\":[\"gauge\"],\"dsnames\":[\"value\"],\"time\":1,\"interval\":{interval},\
                 \"host\":\"h\",\"plugin\":\"a\",\"type\":\"b\"}}]"
            );
            let told: Vec<_> = from_json(body.as_bytes()).unwrap().lists.iter().map(|list| list.interval_ms).collect();
            assert_eq!(told, [wanted], "{interval}");
        }
    }

    #[test]
    fn unknown_types_have_numbered_values() {
        let packet = [head(), text(TYPE, "mine"), values(&[(0, 1_u64.to_be_bytes()), (0, u64::MAX.to_be_bytes())])];
        let (all, _) = shown(&packet.concat());
        assert!(all[1].starts_with("collectd_interface_mine_1{ds_name=\"1\"") && all[1].contains(" 184467440737"));
    }

    #[test]
    fn what_is_broken_is_said_and_what_stood_before_stays() {
        let one = values(&[(1, 1_f64.to_le_bytes())]);
        let good = [head(), one.clone()].concat();
        for (tail, wanted) in [
            (vec![0, 0, 0], CollectdError::Short),
            (vec![0, 0, 0, 3], CollectdError::Short),
            (vec![0, 0, 0, 9, b'a'], CollectdError::Short),
            (part(HOST, b"no end"), CollectdError::Text),
            (part(HOST, b"\xff\0"), CollectdError::Text),
            (part(TIME, b"1234"), CollectdError::Number),
            (part(VALUES, &[0, 2, 1, 1, 0]), CollectdError::Values),
            (part(VALUES, &[0]), CollectdError::Values),
            (values(&[(7, [0; 8])]), CollectdError::Kind(7)),
            (part(ENCRYPTED, &[0; 40]), CollectdError::Encrypted),
        ] {
            let (all, read) = shown(&[good.clone(), tail].concat());
            assert_eq!((all.len(), read), (1, Err(wanted)));
        }
        assert_eq!(shown(&one).1, Err(CollectdError::Nameless));
        // A signature is passed over.
        assert_eq!(shown(&[part(0x0200, &[1; 40]), good].concat()).1, Ok(0));
    }

    #[test]
    fn lists_are_posted_as_well() {
        let body = br#"[{"values":[5,null],"dstypes":["derive","gauge"],"dsnames":["rx","tx"],"time":1400000000.5,"interval":10,
            "host":"h","plugin":"interface","plugin_instance":"eth0","type":"if_octets","type_instance":"","meta":{"a":1}},
            {"values":[1],"dstypes":["counter"],"dsnames":["value"],"time":0,"host":"h","plugin":"a","type":"b"}]"#;
        let read = from_json(body).unwrap();
        assert_eq!((read.refused, read.first_refused.as_str()), (0, ""));
        let all = read.lists;
        assert_eq!((all[0].t_ms, all[1].t_ms), (Some(1_400_000_000_500), None));
        assert_eq!(all[0].labels(&all[0].values[0]).get("ds_name"), Some("rx"));
        assert!(all[0].values[1].value.is_nan());
        assert_eq!(all[1].labels(&all[1].values[0]).to_string(), "collectd_a_b{host=\"h\",plugin=\"a\",type=\"b\"}");
        for body in [&b"PUTVAL h/a/b N:1"[..], b"{}", b"[1", b"[]]"] {
            assert!(matches!(from_json(body), Err(CollectdError::Json(_))), "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn a_wrong_entry_costs_no_other() {
        let entry = |values: &str, kinds: &str, host: &str| {
            format!(
                "{{\"values\":{values},\"dstypes\":{kinds},\"dsnames\":[\"value\"],\"time\":1,\"host\":\"{host}\",\"plugin\":\"a\",\"type\":\"b\"}}"
            )
        };
        let good = |host: &str| entry("[1]", "[\"gauge\"]", host);
        for (wrong, why) in [
            (entry("[1,2]", "[\"gauge\"]", "h"), "not as long as it says"),
            (entry("[1]", "[\"text\"]", "h"), "`text` is no dstype"),
            (good(""), "without a host"),
            (good(&"h".repeat(TEXT_BYTES_MAX + 1)), "more than 256 bytes"),
            (entry("[\"1\"]", "[\"gauge\"]", "h"), "invalid type"),
            ("{\"host\":\"h\"}".to_owned(), "missing field"),
            ("7".to_owned(), "invalid type"),
        ] {
            let body = format!("[{},{wrong},{},{wrong}]", good("one"), good("two"));
            let read = from_json(body.as_bytes()).unwrap();
            let hosts: Vec<&str> = read.lists.iter().map(|list| list.host.as_str()).collect();
            assert_eq!((hosts, read.refused), (vec!["one", "two"], 2), "{wrong}");
            let first = &read.first_refused;
            assert!(first.starts_with("entry 2: ") && first.contains(why), "{first}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(noise in prop::collection::vec(any::<u8>(), 0..80), kind in 0_u16..12, length in 0_u16..90) {
            let mut out = Vec::new();
            let _ = decode(&noise, &Types::default(), &mut out);
            let near = [head(), kind.to_be_bytes().to_vec(), length.to_be_bytes().to_vec(), noise].concat();
            let _ = decode(&near, &Types::default(), &mut out);
        }
    }
}
