//! InfluxDB's line protocol: `measurement,tag=value field=1.5,other=2i 1465839830100400200`.
//!
//! Source: "Line protocol reference" of InfluxDB 2's documentation. A field that is a text is no sample; it is left out and
//! counted. A line that cannot be read is left out and told, the others are kept.

use crate::batch::{Batch, TooMuch};
use crate::otlp::label_name;
use crate::statsd::metric_name;
use tenfold_types::{Labels, Point};

/// Largest body, plain, in bytes.
pub const BODY_BYTES_MAX: usize = 16 << 20;
/// Longest line, in bytes.
pub const LINE_BYTES_MAX: usize = 64 << 10;
/// Fields of one body.
pub const FIELDS_MAX: usize = 500_000;
/// Bytes of the names of all series: each field has that of its measurement in front.
const NAMES_BYTES_MAX: usize = 64 << 20;

/// The unit of timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    #[default]
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
    Minutes,
    Hours,
}

impl Precision {
    /// As the parameter `precision` of both versions of the API names it.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "" | "n" | "ns" => Self::Nanoseconds,
            "u" | "us" | "µ" => Self::Microseconds,
            "ms" => Self::Milliseconds,
            "s" => Self::Seconds,
            "m" => Self::Minutes,
            "h" => Self::Hours,
            _ => return None,
        })
    }

    fn millis(self, t: i64) -> Option<i64> {
        match self {
            Self::Nanoseconds => Some(t.div_euclid(1_000_000)),
            Self::Microseconds => Some(t.div_euclid(1_000)),
            Self::Milliseconds => Some(t),
            Self::Seconds => t.checked_mul(1_000),
            Self::Minutes => t.checked_mul(60_000),
            Self::Hours => t.checked_mul(3_600_000),
        }
    }
}

/// One field of one line.
#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    /// Which line's tags.
    line: usize,
    value: f64,
}

/// What the fields of a line share.
#[derive(Debug, Clone, PartialEq)]
struct Line {
    labels: Vec<(String, String)>,
    t_ms: Option<i64>,
}

/// What a body says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Written {
    samples: Vec<Sample>,
    lines: Vec<Line>,
    names_bytes: usize,
    /// Fields that are texts.
    pub texts: usize,
    pub bad_lines: usize,
    /// Where the first bad line is and why.
    pub bad_example: String,
}

impl Written {
    /// As series; what has no time of its own is of `now_ms`. `database` becomes a label where no tag has its name.
    pub fn batch<'w>(&'w self, database: &'w str, now_ms: i64) -> Result<Batch<'w>, TooMuch> {
        let mut out = Batch::default();
        out.refuse("bad_line", self.bad_lines, || self.bad_example.clone());
        for sample in &self.samples {
            let Line { labels, t_ms } = &self.lines[sample.line];
            out.label(Labels::NAME, &sample.name)?;
            for (name, value) in labels {
                out.label(name, value)?;
            }
            if labels.iter().all(|(name, _)| name != "db") {
                out.label("db", database)?;
            }
            out.point(Point::new(t_ms.unwrap_or(now_ms), sample.value))?;
            out.end()?;
        }
        Ok(out)
    }
}

/// Reads a whole body.
pub fn parse(body: &[u8], precision: Precision) -> Result<Written, TooMuch> {
    let mut out = Written::default();
    let (mut rest, mut next) = (body, 1);
    while !rest.is_empty() {
        let (text, after) = rest.split_at(line_end(rest));
        let number = next;
        next += text.split(|b| *b == b'\n').count();
        rest = after.get(1..).unwrap_or_default();
        let text = text.trim_ascii();
        if text.is_empty() || text[0] == b'#' {
            continue;
        }
        let (samples, lines) = (out.samples.len(), out.lines.len());
        if let Err(why) = line(text, precision, &mut out) {
            out.samples.truncate(samples);
            out.lines.truncate(lines);
            if out.bad_lines == 0 {
                out.bad_example = format!("line {number}: {why}");
            }
            out.bad_lines += 1;
        }
        if out.names_bytes > NAMES_BYTES_MAX {
            return Err(TooMuch { what: "bytes of names", max: NAMES_BYTES_MAX });
        }
        if out.samples.len() > FIELDS_MAX {
            return Err(TooMuch { what: "fields", max: FIELDS_MAX });
        }
    }
    Ok(out)
}

/// Where the first line ends. A newline within a text is part of the text; quotes in names and tags are letters.
fn line_end(body: &[u8]) -> usize {
    let mut at = body.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(body.len());
    if body.get(at) == Some(&b'#') {
        return body.iter().position(|b| *b == b'\n').unwrap_or(body.len());
    }
    let (mut in_fields, mut in_text, mut after_equals) = (false, false, false);
    while let Some(byte) = body.get(at) {
        let opens = std::mem::take(&mut after_equals);
        match byte {
            b'\n' if !in_text => return at,
            b'\\' if body.get(at + 1).is_some_and(|next| in_text || *next != b'\n') => at += 1,
            b'"' if in_text || opens => in_text = !in_text,
            b' ' if !in_text => in_fields = true,
            b'=' if in_fields && !in_text => after_equals = true,
            _ => {}
        }
        at += 1;
    }
    body.len()
}

fn line(text: &[u8], precision: Precision, out: &mut Written) -> Result<(), &'static str> {
    if text.len() > LINE_BYTES_MAX {
        return Err("it is longer than 65536 bytes");
    }
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8")?;
    let (measurement, mut rest) = word(text, &[',', ' ']);
    if measurement.is_empty() {
        return Err("it has no measurement");
    }
    let mut labels: Vec<(String, String)> = Vec::new();
    while let Some(tag) = rest.strip_prefix(',') {
        let (name, after) = word(tag, &['=', ',', ' ']);
        let after = after.strip_prefix('=').ok_or("a tag has no value")?;
        let (value, after) = word(after, &[',', ' ']);
        let name = label_name(&name);
        if name.is_empty() || value.is_empty() {
            return Err("a tag has no name or no value");
        }
        if name != Labels::NAME {
            labels.push((name, value));
        }
        rest = after;
    }
    // Tags of which the names differ in signs only (`a.b`, `a-b`) are one label with both values, as in OTLP: the line would be
    // refused for a label that stands twice. Values in their order, so that it is the same however the sender puts them.
    labels.sort_unstable();
    labels.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1.push(';');
            kept.1.push_str(&next.1);
        }
        same
    });
    let mut rest = rest.strip_prefix(' ').ok_or("it has no field")?.trim_start();
    let at = out.lines.len();
    loop {
        let (field, after) = word(rest, &['=', ',', ' ']);
        let after = after.strip_prefix('=').ok_or("a field has no value")?;
        if field.is_empty() {
            return Err("a field has no name");
        }
        let (value, after) = value(after)?;
        match value {
            Some(value) => {
                out.names_bytes += measurement.len() + field.len();
                if out.names_bytes > NAMES_BYTES_MAX {
                    return Err("its names are too long");
                }
                let name = if field == "value" { measurement.clone() } else { format!("{measurement}_{field}") };
                out.samples.push(Sample { name: metric_name(&name), line: at, value });
            }
            None => out.texts += 1,
        }
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => break rest = after,
        }
    }
    let time = rest.trim();
    let t_ms = if time.is_empty() {
        None
    } else {
        let time = time.parse().map_err(|_| "the timestamp is not a whole number")?;
        Some(precision.millis(time).ok_or("the timestamp is too large")?)
    };
    out.lines.push(Line { labels, t_ms });
    Ok(())
}

/// Up to one of the ends, which a backslash before them undoes.
fn word<'t>(text: &'t str, ends: &[char]) -> (String, &'t str) {
    let mut out = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((i, c)) = chars.next() {
        if c == '\\'
            && let Some((_, next)) = chars.next_if(|(_, n)| matches!(n, ',' | '=' | ' '))
        {
            out.push(next);
        } else if ends.contains(&c) {
            return (out, &text[i..]);
        } else {
            out.push(c);
        }
    }
    (out, "")
}

/// A field's value; `None` for a text.
fn value(text: &str) -> Result<(Option<f64>, &str), &'static str> {
    if let Some(inside) = text.strip_prefix('"') {
        let mut escaped = false;
        for (i, c) in inside.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => return Ok((None, &inside[i + 1..])),
                _ => {}
            }
        }
        return Err("a text has no closing quote");
    }
    let (word, rest) = text.split_at(text.find([',', ' ']).unwrap_or(text.len()));
    let number = match word {
        "t" | "T" | "true" | "True" | "TRUE" => 1.0,
        "f" | "F" | "false" | "False" | "FALSE" => 0.0,
        _ => {
            let whole = word.strip_suffix('i').map(|n| n.parse::<i64>().map(|n| n as f64).ok());
            let whole = whole.or_else(|| word.strip_suffix('u').map(|n| n.parse::<u64>().map(|n| n as f64).ok()));
            let plain = || word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
            let number = whole
                .unwrap_or_else(|| if plain() { word.parse::<f64>().ok().filter(|n| n.is_finite()) } else { None });
            number.ok_or("a field's value is neither a number nor a text nor a boolean")?
        }
    };
    Ok((Some(number), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str, precision: Precision) -> Vec<String> {
        let read = parse(text.as_bytes(), precision).unwrap();
        let batch = read.batch("", 7).unwrap();
        let mut out: Vec<String> = batch
            .series()
            .map(|s| format!("{} {} @{}", s.owned_labels(), s.points[0].value, s.points[0].t_ms))
            .collect();
        out.extend((read.bad_lines > 0).then(|| read.bad_example.clone()));
        out
    }

    #[test]
    fn lines_as_the_reference_has_them() {
        let ns = Precision::Nanoseconds;
        for (text, wanted) in [
            (
                "cpu,host=a usage=0.5,idle=3i 1465839830100400200",
                &["cpu_usage{host=\"a\"} 0.5 @1465839830100", "cpu_idle{host=\"a\"} 3 @1465839830100"][..],
            ),
            ("temp value=-1e3", &["temp -1000 @7"]),
            ("a.b,c-d=e f=18446744073709551615u", &["a_b_f{c_d=\"e\"} 18446744073709552000 @7"]),
            ("m a=t,b=FALSE 1", &["m_a 1 @0", "m_b 0 @0"]),
            ("m a=\"x, \\\"y\\\"=1\",b=2", &["m_b 2 @7"]),
            ("my\\ m\\,x,ta\\=g=v\\ 1\\,2 f\\ 1=1", &["my_m_x_f_1{ta_g=\"v 1,2\"} 1 @7"]),
            ("# a comment\n\n m v=1 \r\n", &["m_v 1 @7"]),
            ("m,z-b=x,a=y,z_b=w,z.b=v f=1", &["m_f{a=\"y\",z_b=\"v;w;x\"} 1 @7"]),
            ("m", &["line 1: it has no field"]),
            ("m v=1\nm,t v=1", &["m_v 1 @7", "line 2: a tag has no value"]),
            ("m v=x", &["line 1: a field's value is neither a number nor a text nor a boolean"]),
            ("m v=NaN", &["line 1: a field's value is neither a number nor a text nor a boolean"]),
            ("m a=1,v=\"x", &["line 1: a text has no closing quote"]),
            ("m v=1 soon", &["line 1: the timestamp is not a whole number"]),
            (",t=1 v=1", &["line 1: it has no measurement"]),
            // Newlines within texts, and quotes that begin none.
            (
                "m a=\"x\ny z=1\",b=2 1000000\nm v=x",
                &["m_b 2 @1", "line 3: a field's value is neither a number nor a text nor a boolean"],
            ),
            ("m a=\"x\\\\\",b=2\nm v=3", &["m_b 2 @7", "m_v 3 @7"]),
            ("m,t=\"a v=1\nm,t=\"b v=2", &["m_v{t=\"\\\"a\"} 1 @7", "m_v{t=\"\\\"b\"} 2 @7"]),
            (
                "# it's \"quoted\nm v=1\\\nm v=2",
                &["m_v 2 @7", "line 2: a field's value is neither a number nor a text nor a boolean"],
            ),
            ("m v=1e400", &["line 1: a field's value is neither a number nor a text nor a boolean"]),
        ] {
            assert_eq!(shown(text, ns), wanted, "{text}");
        }
        assert_eq!(parse(b"m a=\"x\",b=\"y\"", ns).unwrap().texts, 2);
    }

    #[test]
    fn precisions_and_the_database() {
        for (text, wanted) in [("us", 1), ("ms", 1_500), ("s", 1_500_000), ("m", 90_000_000), ("h", 5_400_000_000_i64)]
        {
            let precision = Precision::parse(text).unwrap();
            assert_eq!(shown("m v=1 1500", precision), [format!("m_v 1 @{wanted}")]);
        }
        assert_eq!(Precision::parse("week"), None);
        assert_eq!(shown("m v=1 9223372036854775807", Precision::Hours), ["line 1: the timestamp is too large"]);
        let read = parse(b"m v=1\nm,db=mine v=2", Precision::Seconds).unwrap();
        let labels: Vec<_> =
            read.batch("telegraf", 0).unwrap().series().map(|s| s.owned_labels().to_string()).collect();
        assert_eq!(labels, ["m_v{db=\"telegraf\"}", "m_v{db=\"mine\"}"]);
    }

    #[test]
    fn a_long_measurement_with_many_fields_is_not_many_times_its_size() {
        let line = format!("{} {}v=1\n", "m".repeat(LINE_BYTES_MAX / 2), "v=1,".repeat(8_000));
        let why = parse(line.as_bytes(), Precision::Seconds).unwrap_err();
        assert_eq!((why.what, why.max), ("bytes of names", NAMES_BYTES_MAX));
        let few = format!("{} {}v=1\n", "m".repeat(LINE_BYTES_MAX / 2), "v=1,".repeat(1_000));
        assert_eq!(parse(few.as_bytes(), Precision::Seconds).unwrap().samples.len(), 1_001);
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC*|[a-z,= \\\\\"0-9iut\n.-]*") {
            if let Ok(read) = parse(text.as_bytes(), Precision::Hours) {
                let _ = read.batch("db", 0);
            }
        }
    }
}
