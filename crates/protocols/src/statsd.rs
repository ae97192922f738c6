//! StatsD datagrams: Etsy's lines (counters, gauges, timers, sets, several values in one line), DogStatsD's protocol up to
//! its version 1.3 (tags, types, packed values, containers, times; events; service checks as gauges), and the bare
//! `category:value` that Flickr's first counter sent. Bytes in, metrics out; a line that cannot be read is counted.

use std::ops::Range;

/// Metrics one datagram may hold; more short lines do not fit into the largest.
pub const METRICS_MAX: usize = 16_384;
const NAME_BYTES_MAX: usize = 256;
/// How tags begin that Datadog's clients write for its agent, and the one that names the client's pod.
const AGENTS_TAGS: &str = "dd.internal.";
const POD_TAG: &str = "dd.internal.entity_id";
/// The gauge that service checks become; its label `check` is their name, its value their status: 0 is OK, 1 a warning,
/// 2 critical, 3 unknown.
pub const SERVICE_CHECK: &str = "statsd_service_check";
const TAGS_MAX: usize = 32;
/// Bytes of all tags of a line: each of its values has them.
const TAGS_BYTES_MAX: usize = 4_096;
/// Events of one datagram that are read; the others are counted.
const EVENTS_MAX: usize = 100;

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
    /// When it was observed, where the client says so: such a value was put together before, and stands for itself.
    pub t_ms: Option<i64>,
    /// The id of the container that it came from, or of the pod where only that is said.
    pub container: Option<String>,
}

impl Metric {
    fn new(name: &str, tags: &[(String, String)], observation: Observation) -> Self {
        Self { name: name.to_owned(), tags: tags.to_vec(), observation, t_ms: None, container: None }
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Packet {
    pub metrics: Vec<Metric>,
    /// Lines that could not be read.
    pub bad_lines: usize,
    /// DogStatsD's events, whole ones.
    pub events: Vec<Event>,
    /// Further events, which are only counted.
    pub events_left: usize,
    /// Service checks, which are among the metrics.
    pub service_checks: usize,
}

/// What happened, as DogStatsD tells it: `_e{TITLE_BYTES,TEXT_BYTES}:TITLE|TEXT|d:TIME|h:HOST|k:KEY|p:PRIORITY|s:SOURCE|t:TYPE|#TAGS`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    pub title: String,
    pub text: String,
    pub t_ms: Option<i64>,
    pub host: Option<String>,
    /// What it is put together with.
    pub key: Option<String>,
    pub priority: Option<String>,
    pub source: Option<String>,
    /// `error`, `warning`, `info` or `success`.
    pub alert_type: Option<String>,
    pub tags: Vec<(String, String)>,
}

/// Reads a datagram.
pub fn parse(packet: &[u8]) -> Packet {
    let mut out = Packet::default();
    let mut rest = packet;
    while !rest.is_empty() {
        // The text of an event may hold line ends, its lengths say how far it goes.
        let event = event_span(rest);
        let from = event.as_ref().map_or(0, |(_, text)| text.end);
        let end = rest[from..].iter().position(|b| *b == b'\n').map_or(rest.len(), |at| from + at);
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        rest = rest.get(end + 1..).unwrap_or_default();
        if let Some((title, text)) = event {
            if out.events.len() < EVENTS_MAX {
                out.events.push(read_event(line, title, text));
            } else {
                out.events_left += 1;
            }
        } else if line.starts_with(b"_e{") {
            out.bad_lines += 1;
        } else if line.starts_with(b"_sc|") {
            let check = service_check(line).filter(|_| out.metrics.len() < METRICS_MAX);
            let counter = if check.is_some() { &mut out.service_checks } else { &mut out.bad_lines };
            *counter += 1;
            out.metrics.extend(check);
        } else if !line.is_empty() {
            // Etsy's server passes over blanks behind a type as well.
            let read = std::str::from_utf8(line.trim_ascii_end()).ok().and_then(|line| metrics(line, &mut out.metrics));
            if read.is_none() || out.metrics.len() > METRICS_MAX {
                out.bad_lines += 1;
                out.metrics.truncate(METRICS_MAX);
            }
        }
    }
    out
}

/// Where title and text of an event stand behind their head, `_e{TITLE_BYTES,TEXT_BYTES}:`; `None` for what is none.
fn event_span(rest: &[u8]) -> Option<(Range<usize>, Range<usize>)> {
    let inside = rest.strip_prefix(b"_e{")?;
    let head = inside.iter().take(24).position(|b| *b == b'}')?;
    let (title, text) = std::str::from_utf8(&inside[..head]).ok()?.split_once(',')?;
    let (title, text): (usize, usize) = (title.parse().ok()?, text.parse().ok()?);
    // `_e{`, `}` and `:` besides.
    let from = head + 5;
    let between = from.checked_add(title)?;
    let end = between.checked_add(1)?.checked_add(text)?;
    let is_whole = rest.get(from - 1) == Some(&b':') && rest.get(between) == Some(&b'|') && end <= rest.len();
    (is_whole && title > 0).then_some((from..between, between + 1..end))
}

/// An event of a line that holds it. What later versions add says nothing of it; a time that is none is no time.
fn read_event(line: &[u8], title: Range<usize>, text: Range<usize>) -> Event {
    let words = |span: Range<usize>| String::from_utf8_lossy(line.get(span).unwrap_or_default()).into_owned();
    // A line end is written so by most clients.
    let with_ends = |span: Range<usize>| words(span).replace("\\n", "\n");
    let mut event = Event { text: with_ends(text.clone()), title: with_ends(title), ..Event::default() };
    let rest = words(text.end..line.len());
    for section in rest.split('|') {
        let kept = |text: &str| Some(text.chars().take(NAME_BYTES_MAX).collect::<String>()).filter(|t| !t.is_empty());
        if let Some(tags) = section.strip_prefix('#') {
            event.tags = tag_list(tags);
            take_agents_tags(&mut event.tags);
            if !are_few(&event.tags) {
                event.tags.clear();
            }
        } else if let Some((name, value)) = section.split_once(':') {
            match name {
                "d" => event.t_ms = value.parse::<i64>().ok().and_then(|s| s.checked_mul(1_000)).filter(|t| *t > 0),
                "h" => event.host = kept(value),
                "k" => event.key = kept(value),
                "p" => event.priority = kept(value),
                "s" => event.source = kept(value),
                "t" => event.alert_type = kept(value),
                _ => {}
            }
        }
    }
    event
}

/// Reads `_sc|NAME|STATUS|d:TIME|h:HOST|#TAGS|m:MESSAGE|c:CONTAINER`. A time that is none is no time. The message is left out:
/// as a label each text would be a series.
fn service_check(line: &[u8]) -> Option<Metric> {
    let line = String::from_utf8_lossy(line);
    let mut sections = line.split('|').skip(1);
    let name = sections.next().filter(|name| (1..=NAME_BYTES_MAX).contains(&name.len()))?;
    let status = match sections.next()? {
        "0" => 0.0,
        "1" => 1.0,
        "2" => 2.0,
        "3" => 3.0,
        _ => return None,
    };
    let mut check = Metric::new(SERVICE_CHECK, &[], Observation::GaugeSet(status));
    let (mut host, mut in_message) = (None, false);
    for section in sections {
        let kept = |text: &str| Some(text).filter(|t| (1..=NAME_BYTES_MAX).contains(&t.len())).map(str::to_owned);
        if let Some(id) = section.strip_prefix("c:") {
            check.container = kept(id);
        } else if in_message || section.starts_with("m:") {
            // It is the last but for what later versions add, and may hold what parts the others.
            in_message = true;
        } else if let Some(tags) = section.strip_prefix('#') {
            check.tags.extend(tag_list(tags));
        } else if let Some(text) = section.strip_prefix("h:") {
            host = kept(text);
        } else if let Some(time) = section.strip_prefix("d:") {
            check.t_ms = time.parse::<i64>().ok().and_then(|s| s.checked_mul(1_000)).filter(|t| *t > 0);
        }
    }
    let pod = take_agents_tags(&mut check.tags);
    check.container = check.container.or(pod);
    if !are_few(&check.tags) {
        return None;
    }
    for (tag, _) in &mut check.tags {
        if tag.as_str() == "check" || (tag.as_str() == "host" && host.is_some()) {
            tag.insert_str(0, "exported_");
        }
    }
    check.tags.push(("check".to_owned(), name.to_owned()));
    check.tags.extend(host.map(|host| ("host".to_owned(), host)));
    Some(check)
}

/// Reads one line into `out`; all of its values or none.
fn metrics(line: &str, out: &mut Vec<Metric>) -> Option<()> {
    let (head, tail) = line.split_once('|').map_or((line, None), |(h, t)| (h, Some(t)));
    // The last colon-separated part is the value; DogStatsD packs several: `name:1:2:3|d`.
    let (name, values) = head.split_once(':')?;
    let rest = line.get(name.len() + 1..)?;
    let (name, mut tags) = split_name_tags(name);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !are_few(&tags) {
        return None;
    }
    let mut sections = tail.map(|t| t.split('|')).into_iter().flatten();
    let kind = sections.next();
    let mut found = Vec::new();
    if is_several(kind, sections.clone()) {
        for bit in rest.split(':') {
            let mut parts = bit.split('|');
            let (value, kind) = (parts.next()?, parts.next()?);
            let rate = parts.next().map_or(Some(1.0), |part| sample_rate(part.strip_prefix('@')?))?;
            found.push(observation(Some(kind), value, 1.0 / rate)?);
        }
        if found.len() > METRICS_MAX {
            return None;
        }
        out.extend(found.into_iter().map(|observation| Metric::new(name, &tags, observation)));
        return Some(());
    }
    let (mut rate, mut t_ms, mut container, mut is_datadogs) = (1.0, None, None, false);
    for section in sections {
        is_datadogs |= ["c:", "e:", "card:", "T"].iter().any(|start| section.starts_with(*start));
        if let Some(text) = section.strip_prefix('@') {
            rate = sample_rate(text)?;
        } else if let Some(text) = section.strip_prefix('#') {
            tags.extend(tag_list(text));
        } else if let Some(text) = section.strip_prefix("c:") {
            container = Some(text).filter(|text| (1..=NAME_BYTES_MAX).contains(&text.len()));
        } else if let Some(text) = section.strip_prefix('T') {
            let seconds = text.parse::<i64>().ok().filter(|seconds| *seconds > 0)?;
            t_ms = Some(seconds.checked_mul(1_000)?);
        }
        // What later versions add (external data, the cardinality of tags) says nothing of the value.
    }
    let sent = tags.len();
    let pod = take_agents_tags(&mut tags);
    is_datadogs |= tags.len() < sent;
    if !are_few(&tags) {
        return None;
    }
    let packed = kind != Some("s");
    for text in values.split(|c| packed && c == ':') {
        let observation = observation(kind, text, 1.0 / rate)?;
        found.push(match observation {
            // To Datadog's clients a sign is part of the value: they know no changes of a gauge.
            Observation::GaugeAdd(value) if is_datadogs => Observation::GaugeSet(value),
            other => other,
        });
    }
    if found.len() > METRICS_MAX {
        return None;
    }
    out.extend(found.into_iter().map(|observation| Metric {
        t_ms,
        container: container.map(str::to_owned).or_else(|| pod.clone()),
        ..Metric::new(name, &tags, observation)
    }));
    Some(())
}

/// Whether a line is Etsy's `name:1|c:2|c`, each value with a type and a rate of its own.
fn is_several<'l>(kind: Option<&str>, mut sections: impl Iterator<Item = &'l str>) -> bool {
    kind.is_some_and(|kind| kind.contains(':'))
        || sections.next().is_some_and(|first| first.starts_with('@') && first.contains(':'))
}

fn are_few(tags: &[(String, String)]) -> bool {
    let bytes: usize = tags.iter().map(|(name, value)| name.len() + value.len()).sum();
    tags.len() <= TAGS_MAX && bytes <= TAGS_BYTES_MAX
}

fn sample_rate(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|rate| *rate > 0.0 && *rate <= 1.0)
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
        // Old clients for PHP write the sign before each tag.
        .map(|t| t.strip_prefix('#').unwrap_or(t))
        .filter(|t| !t.is_empty())
        .map(|t| match t.split_once([':', '=']) {
            Some((n, v)) => (n.to_owned(), v.to_owned()),
            None => (t.to_owned(), "true".to_owned()),
        })
        .filter(|(name, _)| !name.is_empty())
        .collect()
}

/// Takes out what is said to Datadog's agent, which makes other tags of it: as labels it would make a series of each pod.
/// Gives the id of the pod.
fn take_agents_tags(tags: &mut Vec<(String, String)>) -> Option<String> {
    let pod = tags.iter().find(|(name, _)| name == POD_TAG).map(|(_, id)| id.clone());
    tags.retain(|(name, _)| !name.starts_with(AGENTS_TAGS));
    pod.filter(|id| id != "none" && (1..=NAME_BYTES_MAX).contains(&id.len()))
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
            ("gaugor:-10|g|#a:b", Some(GaugeAdd(-10.0))),
            ("gaugor:-10|g|c:ci-1", Some(GaugeSet(-10.0))),
            ("gaugor:-10|g|e:it-false", Some(GaugeSet(-10.0))),
            ("gaugor:+4|g|card:low", Some(GaugeSet(4.0))),
            ("gaugor:-10|g|T1656581400", Some(GaugeSet(-10.0))),
            ("gaugor:-10|g|#dd.internal.card:low", Some(GaugeSet(-10.0))),
            ("gorets:1|c ", Some(Count(1.0))),
            ("gorets:1|c|@0.5\t\r", Some(Count(2.0))),
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
            ("gorets:1|c|T1656581400", Some(Count(1.0))),
            ("gorets:1|c|Tsoon", None),
            ("gorets:1|c|T0", None),
            ("gorets:1|c|T9223372036854775807", None),
            ("gorets:1|x:2|c", None),
            ("_e{5,4}:tit|text", None),
            ("_e{5}:1|c", None),
            ("_e{18446744073709551615,1}:a|b", None),
            ("_sc|redis|4", None),
            ("_sc||0", None),
        ];
        for (line, expected) in cases {
            assert_eq!(one(line), expected, "{line}");
        }
    }

    #[test]
    fn many_lines_tags_and_packed_values() {
        let others = parse(b"_e{5,4}:title|text|#a:b\n_sc|redis|0|m:up\nx:1|c");
        assert_eq!((others.events.len(), others.service_checks, others.bad_lines, others.metrics.len()), (1, 1, 0, 2));
        let wanted = Event {
            title: "title".to_owned(),
            text: "text".to_owned(),
            tags: vec![("a".to_owned(), "b".to_owned())],
            ..Event::default()
        };
        assert_eq!(others.events, [wanted]);
        let others = parse(b"_e{5,9}:a:1|c|b:2|c\nd:3|t:error\nx:1|c\n_e{1,1}:a|bc\n_sc|redis|up\n_e{a,1}:a|b");
        assert_eq!((others.events.len(), others.service_checks, others.bad_lines, others.metrics.len()), (2, 0, 2, 1));
        assert_eq!(others.events[0].alert_type.as_deref(), Some("error"));
        assert_eq!(parse(b"_e{4,1}:a\\nb|c").events[0].title, "a\nb");
        let text = "a\\nb\n\u{e9}";
        let full = format!(
            "_e{{2,{}}}:hi|{text}|d:1656581400|h:h1|k:x|p:low|s:ci|t:success|#env:prod|c:ab|zz\r\na:1|c",
            text.len()
        );
        let full = parse(full.as_bytes());
        let wanted = Event {
            title: "hi".to_owned(),
            text: "a\nb\n\u{e9}".to_owned(),
            t_ms: Some(1_656_581_400_000),
            host: Some("h1".to_owned()),
            key: Some("x".to_owned()),
            priority: Some("low".to_owned()),
            source: Some("ci".to_owned()),
            alert_type: Some("success".to_owned()),
            tags: vec![("env".to_owned(), "prod".to_owned())],
        };
        assert_eq!((full.events.as_slice(), full.metrics.len(), full.bad_lines), (&[wanted][..], 1, 0));
        let many = parse("_e{1,0}:a|\n".repeat(EVENTS_MAX + 3).as_bytes());
        assert_eq!((many.events.len(), many.events_left, many.bad_lines), (EVENTS_MAX, 3, 0));
        let packet = parse(b"a.b:1|c|#env:prod,canary\nbroken\nsize:1:2:3|d|@0.5|#x:y|c:123\nm,region=eu:4|g\n");
        assert_eq!(packet.bad_lines, 1);
        assert_eq!(packet.metrics.len(), 5);
        assert_eq!(packet.metrics[0].tags, [("env".into(), "prod".into()), ("canary".into(), "true".into())]);
        assert_eq!(packet.metrics[3].observation, Observation::Value { value: 3.0, weight: 2.0 });
        assert_eq!(packet.metrics[4].tags, [("region".into(), "eu".into())]);
        assert_eq!(metric_name("photos.up-loads/x"), "photos_up_loads_x");
        assert_eq!(metric_name("5xx"), "_5xx");
    }

    #[test]
    fn times_containers_and_what_later_versions_add() {
        assert!(parse(b"a:1|g|#:y,,,#").metrics[0].tags.is_empty(), "a tag has a name");
        let each = [("a".to_owned(), "b".to_owned()), ("c".to_owned(), "#d".to_owned())];
        assert_eq!(parse(b"a:1|g|#a:b,#c:#d").metrics[0].tags, each);
        for (long, lines) in [(TAGS_BYTES_MAX - 1, 1), (TAGS_BYTES_MAX, 0)] {
            let line = format!("a:1|g|#x:{}", "y".repeat(long));
            assert_eq!(parse(line.as_bytes()).metrics.len(), lines, "each value has all tags");
        }
        let packet = parse(b"a:1:2|g|#x:y|c:ci-83c0a99c|T1656581400|e:it-false|card:low|zz");
        let [one, two] = packet.metrics.as_slice() else { panic!("{packet:?}") };
        assert_eq!((one.t_ms, one.container.as_deref()), (Some(1_656_581_400_000), Some("ci-83c0a99c")));
        assert_eq!((two.t_ms, &two.observation), (one.t_ms, &Observation::GaugeSet(2.0)));
        assert_eq!(two.tags, [("x".into(), "y".into())]);
    }

    #[test]
    fn what_is_said_to_datadogs_agent_is_no_label() {
        let pod = "04652bb7-19b7-11e9-9cc6-42010a9c016d";
        let tags = format!("#dd.internal.entity_id:{pod},env:prod,dd.internal.card:low");
        let read = parse(format!("a:1|c|{tags}\na:1|c|{tags}|c:ci-1\n_sc|a|0|{tags}\n_e{{1,1}}:a|b|{tags}").as_bytes());
        let wanted = ("env".to_owned(), "prod".to_owned());
        let containers: Vec<_> = read.metrics.iter().map(|metric| metric.container.as_deref()).collect();
        assert_eq!(containers, [Some(pod), Some("ci-1"), Some(pod)]);
        let check = ("check".to_owned(), "a".to_owned());
        assert_eq!(read.metrics[0].tags, std::slice::from_ref(&wanted));
        assert_eq!(read.metrics[2].tags, [wanted.clone(), check]);
        assert_eq!(read.events[0].tags, [wanted]);
        assert_eq!(parse(b"a:1|c|#dd.internal.entity_id:none").metrics[0].container, None);
    }

    #[test]
    fn a_service_check_is_a_gauge() {
        let read = |line: &str| {
            let packet = parse(line.as_bytes());
            assert_eq!((packet.service_checks, packet.bad_lines), (packet.metrics.len(), 1 - packet.metrics.len()));
            packet.metrics.into_iter().next()
        };
        let tags = |metric: &Metric| {
            metric.tags.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        };
        let bare = read("_sc|Redis connection|2|").expect("it is whole");
        assert_eq!((bare.name.as_str(), tags(&bare).as_str()), (SERVICE_CHECK, "check=Redis connection"));
        assert_eq!((bare.observation, bare.t_ms, bare.container), (Observation::GaugeSet(2.0), None, None));
        let full = read("_sc|a|0|d:1656581400|h:h1|#env:dev,host:h2,check:b|m:up | h:h3|#x:y|c:ci-83c0a99c|card:low");
        let full = full.expect("it is whole");
        assert_eq!(tags(&full), "env=dev exported_host=h2 exported_check=b check=a host=h1");
        assert_eq!((full.t_ms, full.container.as_deref()), (Some(1_656_581_400_000), Some("ci-83c0a99c")));
        assert_eq!(full.observation, Observation::GaugeSet(0.0));
        let tagged = read("_sc|a|3|d:soon|h:|#host:h2").expect("it is whole");
        assert_eq!((tags(&tagged).as_str(), tagged.t_ms), ("host=h2 check=a", None));
        let long = format!("_sc|{}|0", "x".repeat(NAME_BYTES_MAX + 1));
        let many = format!("_sc|a|0|#{}", "x,".repeat(TAGS_MAX + 1));
        for bad in ["_sc|", "_sc|a", "_sc|a|", "_sc|a|4", "_sc|a|up", "_sc||0", long.as_str(), many.as_str()] {
            assert_eq!(read(bad), None, "{bad}");
        }
        let most = parse("_sc|a|0\n".repeat(METRICS_MAX + 2).as_bytes());
        assert_eq!((most.metrics.len(), most.service_checks, most.bad_lines), (METRICS_MAX, METRICS_MAX, 2));
    }

    #[test]
    fn several_values_as_etsy_writes_them() {
        use Observation::{Count, Timing};
        let read = |line: &str| parse(line.as_bytes()).metrics.into_iter().map(|m| m.observation).collect::<Vec<_>>();
        assert_eq!(read("a:1|c:2|c|@0.5:-1|c"), [Count(1.0), Count(4.0), Count(-1.0)]);
        assert_eq!(read("a:1|c|@0.5:3|ms"), [Count(2.0), Timing { ms: 3.0, weight: 1.0 }]);
        assert!(read("a:1|c:x|c").is_empty(), "all or none");
        assert!(read("a:1|c:2|c|#x:y").is_empty(), "tags do not go with it");
    }

    proptest! {
        #[test]
        fn never_panics_and_stays_bounded(packet in proptest::collection::vec(any::<u8>(), 0..2048)) {
            prop_assert!(parse(&packet).metrics.len() <= METRICS_MAX);
        }
        #[test]
        fn never_panics_on_near_misses(line in "[a-z:|@#,.+-]{0,20}[0-9:|cgms#@T]{0,20}|_e[{0-9,}:|a]{0,20}|_sc[|0-4a-m:#,]{0,20}") {
            parse(line.as_bytes());
        }
    }
}
