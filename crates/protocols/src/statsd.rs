//! StatsD datagrams: Etsy's lines (counters, gauges, timers, sets), DogStatsD's tags, types and packed values, and the
//! bare `category:value` that Flickr's first counter sent. Bytes in, metrics out; a line that cannot be read is counted.

/// Metrics one datagram may hold; more short lines do not fit into the largest.
pub const METRICS_MAX: usize = 16_384;
const NAME_BYTES_MAX: usize = 256;
const TAGS_MAX: usize = 32;

#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// To be added; the sample rate is already worked in.
    Count(f64),
    GaugeSet(f64),
    GaugeAdd(f64),
    /// Milliseconds; stands for `weight` observations.
    Timing {
        ms: f64,
        weight: f64,
    },
    /// A value without a unit (histogram, distribution, or a bare value); stands for `weight` observations.
    Value {
        value: f64,
        weight: f64,
    },
    /// A member of a set.
    Member(String),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    pub name: String,
    /// In the order in which they stood.
    pub tags: Vec<(String, String)>,
    pub observation: Observation,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Packet {
    pub metrics: Vec<Metric>,
    /// Lines that could not be read.
    pub bad_lines: usize,
    /// DogStatsD's events and service checks, which are no metrics.
    pub events: usize,
    pub service_checks: usize,
}

/// Reads a datagram.
pub fn parse(packet: &[u8]) -> Packet {
    let mut out = Packet::default();
    for line in packet.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        if line.starts_with(b"_e{") {
            out.events += 1;
            continue;
        }
        if line.starts_with(b"_sc|") {
            out.service_checks += 1;
            continue;
        }
        let read = std::str::from_utf8(line).ok().and_then(|line| metrics(line, &mut out.metrics));
        if read.is_none() || out.metrics.len() > METRICS_MAX {
            out.bad_lines += 1;
            out.metrics.truncate(METRICS_MAX);
        }
    }
    out
}

/// Reads one line into `out`; all of its values or none.
fn metrics(line: &str, out: &mut Vec<Metric>) -> Option<()> {
    let (head, tail) = line.split_once('|').map_or((line, None), |(h, t)| (h, Some(t)));
    // The last colon-separated part is the value; DogStatsD packs several: `name:1:2:3|d`.
    let (name, values) = head.split_once(':')?;
    let (name, inline_tags) = split_name_tags(name);
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return None;
    }
    let mut tags = inline_tags;
    let mut rate = 1.0;
    let mut sections = tail.map(|t| t.split('|')).into_iter().flatten();
    let kind = sections.next();
    for section in sections {
        if let Some(text) = section.strip_prefix('@') {
            rate = text.parse::<f64>().ok().filter(|r| *r > 0.0 && *r <= 1.0)?;
        } else if let Some(text) = section.strip_prefix('#') {
            tags.extend(tag_list(text));
        }
        // Other sections (container ids, timestamps) say nothing that is kept.
    }
    if tags.len() > TAGS_MAX {
        return None;
    }
    let weight = 1.0 / rate;
    let packed = kind != Some("s");
    let mut found = Vec::new();
    for text in values.split(|c| packed && c == ':') {
        found.push(Metric { name: name.to_owned(), tags: tags.clone(), observation: observation(kind, text, weight)? });
    }
    out.extend(found);
    Some(())
}

fn observation(kind: Option<&str>, text: &str, weight: f64) -> Option<Observation> {
    if kind == Some("s") {
        return Some(Observation::Member(text.to_owned()));
    }
    let value = text.parse::<f64>().ok().filter(|v| v.is_finite())?;
    Some(match kind {
        Some("c" | "m") => Observation::Count(value * weight),
        Some("g") if text.starts_with(['+', '-']) => Observation::GaugeAdd(value),
        Some("g") => Observation::GaugeSet(value),
        Some("ms") => Observation::Timing { ms: value, weight },
        Some("h" | "d") | None => Observation::Value { value, weight },
        Some(_) => return None,
    })
}

/// InfluxDB's `name,tag=value` form.
fn split_name_tags(name: &str) -> (&str, Vec<(String, String)>) {
    match name.split_once(',') {
        Some((name, tags)) => (name, tag_list(tags)),
        None => (name, Vec::new()),
    }
}

fn tag_list(text: &str) -> Vec<(String, String)> {
    text.split(',')
        .filter(|t| !t.is_empty())
        .map(|t| match t.split_once([':', '=']) {
            Some((n, v)) => (n.to_owned(), v.to_owned()),
            None => (t.to_owned(), "true".to_owned()),
        })
        .collect()
}

/// A StatsD name as a metric or label name: everything but letters, digits and `_` becomes `_`.
pub fn metric_name(name: &str) -> String {
    let mut out: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(line: &str) -> Option<Observation> {
        let packet = parse(line.as_bytes());
        packet.metrics.into_iter().next().map(|m| m.observation)
    }

    #[test]
    fn every_kind() {
        use Observation::{Count, GaugeAdd, GaugeSet, Member, Timing, Value};
        let cases = [
            ("gorets:1|c", Some(Count(1.0))),
            ("gorets:1|c|@0.1", Some(Count(10.0))),
            ("gorets:-2|c", Some(Count(-2.0))),
            ("glork:320|ms|@0.5", Some(Timing { ms: 320.0, weight: 2.0 })),
            ("gaugor:333|g", Some(GaugeSet(333.0))),
            ("gaugor:-10|g", Some(GaugeAdd(-10.0))),
            ("gaugor:+4|g", Some(GaugeAdd(4.0))),
            ("uniques:765|s", Some(Member("765".into()))),
            ("size:9|h", Some(Value { value: 9.0, weight: 1.0 })),
            ("upload_time:12", Some(Value { value: 12.0, weight: 1.0 })),
            ("gorets:1|x", None),
            ("gorets", None),
            (":1|c", None),
            ("gorets:one|c", None),
            ("gorets:NaN|c", None),
            ("gorets:1|c|@0", None),
            ("gorets:1|c|@2", None),
        ];
        for (line, expected) in cases {
            assert_eq!(one(line), expected, "{line}");
        }
    }

    #[test]
    fn many_lines_tags_and_packed_values() {
        let others = parse(b"_e{5,4}:title|text|#a:b\n_sc|redis|0|m:up\nx:1|c");
        assert_eq!((others.events, others.service_checks, others.bad_lines, others.metrics.len()), (1, 1, 0, 1));
        let packet = parse(b"a.b:1|c|#env:prod,canary\nbroken\nsize:1:2:3|d|@0.5|#x:y|c:123\nm,region=eu:4|g\n");
        assert_eq!(packet.bad_lines, 1);
        assert_eq!(packet.metrics.len(), 5);
        assert_eq!(packet.metrics[0].tags, [("env".into(), "prod".into()), ("canary".into(), "true".into())]);
        assert_eq!(packet.metrics[3].observation, Observation::Value { value: 3.0, weight: 2.0 });
        assert_eq!(packet.metrics[4].tags, [("region".into(), "eu".into())]);
        assert_eq!(metric_name("photos.up-loads/x"), "photos_up_loads_x");
        assert_eq!(metric_name("5xx"), "_5xx");
    }

    proptest! {
        #[test]
        fn never_panics_and_stays_bounded(packet in proptest::collection::vec(any::<u8>(), 0..2048)) {
            prop_assert!(parse(&packet).metrics.len() <= METRICS_MAX);
        }
        #[test]
        fn never_panics_on_near_misses(line in "[a-z:|@#,.+-]{0,20}[0-9:|cgms#@]{0,20}") {
            parse(line.as_bytes());
        }
    }
}
