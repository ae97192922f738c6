//! Metrics pages: the Prometheus text format 0.0.4 and OpenMetrics 1.0, text in and samples out.
//!
//! A line that cannot be read fails the whole page with its number, as Prometheus does: half a page would look like
//! series that vanished. Bounded in samples ([`SAMPLES_MAX`] mostly) and by [`LINE_BYTES_MAX`].

use std::collections::BTreeMap;

use tenfold_types::Labels;

pub use crate::exposition::{Format, Metadata, Page, SAMPLES_MAX};
use crate::exposition::{PageExemplar, PageSample, canonical_float, too_many_samples};

/// Longest line of a page, in bytes.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// Labels of one sample, and of one exemplar: each is compared with those before it.
const LABELS_MAX: usize = 1_000;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct PageError {
    /// Counted from 1.
    pub line: usize,
    pub message: String,
    /// What stood before it.
    pub read: Box<Page>,
}

/// Reads a whole page in one of the two text formats.
pub fn parse(text: &str, format: Format) -> Result<Page, PageError> {
    parse_within(text, format, SAMPLES_MAX)
}

/// The same of a page that may have so many samples.
pub fn parse_within(text: &str, format: Format, samples_max: usize) -> Result<Page, PageError> {
    let mut reader = Reader::new(format, samples_max);
    for (index, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match reader.line(line) {
            Ok(false) => {}
            Ok(true) => return Ok(reader.end()),
            Err(message) => {
                return Err(PageError { line: index + 1, message, read: reader.page.into() });
            }
        }
    }
    if format == Format::OpenMetrics {
        let (line, read) = (text.split('\n').count(), reader.page.into());
        return Err(PageError { line, message: "the page ends without `# EOF`".into(), read });
    }
    Ok(reader.end())
}

/// Reads line by line what is too large to be held: samples as they come, and what is said of families besides. A line that
/// says when a counter began is a sample like others.
pub struct Lines(Reader);

/// Families of which [`Lines`] keeps what is said.
pub const FAMILIES_MAX: usize = 50_000;

impl Lines {
    pub fn new(format: Format) -> Self {
        Self(Reader::new(format, SAMPLES_MAX))
    }

    /// The sample of a line; nothing for a line without one. The error says what is wrong with it.
    pub fn read(&mut self, line: &str) -> Result<Option<PageSample>, String> {
        if line.len() > LINE_BYTES_MAX {
            return Err(format!("longer than {LINE_BYTES_MAX} bytes"));
        }
        let line = line.trim_matches([' ', '\t']);
        if line.is_empty() {
            return Ok(None);
        }
        if let Some(comment) = line.strip_prefix('#') {
            self.0.describe(comment);
            if self.0.page.metadata.len() > FAMILIES_MAX {
                return Err(format!("more than {FAMILIES_MAX} metric families are described; split the file"));
            }
            return Ok(None);
        }
        let mut sample = sample(line, self.0.format)?;
        self.0.canonical_bound(&mut sample.labels);
        Ok(Some(sample))
    }

    /// What was said of families since this was last asked.
    pub fn take_metadata(&mut self) -> BTreeMap<String, Metadata> {
        std::mem::take(&mut self.0.page.metadata)
    }
}

/// The family that was declared last: its samples mostly follow.
#[derive(Default)]
struct Family {
    name: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    Counter,
    Histogram,
    Summary,
    #[default]
    Other,
}

impl Kind {
    fn of(text: &str) -> Self {
        match text {
            "counter" => Self::Counter,
            "histogram" | "gaugehistogram" => Self::Histogram,
            "summary" => Self::Summary,
            _ => Self::Other,
        }
    }

    /// What follows the family's name in the samples that began when the family's `_created` says.
    const fn started(self) -> &'static [&'static str] {
        match self {
            Self::Counter => &["_total"],
            Self::Histogram => &["_bucket", "_count", "_sum"],
            Self::Summary => &["_count", "_sum"],
            Self::Other => &[],
        }
    }
}

struct Reader {
    page: Page,
    format: Format,
    samples_max: usize,
    /// When metrics began, by the labels of the family without bounds.
    starts: BTreeMap<Labels, i64>,
    family: Family,
}

impl Reader {
    fn new(format: Format, samples_max: usize) -> Self {
        Self { page: Page::default(), format, samples_max, starts: BTreeMap::new(), family: Family::default() }
    }

    /// Whether the page ends here.
    fn line(&mut self, line: &str) -> Result<bool, String> {
        if line.len() > LINE_BYTES_MAX {
            return Err(format!("longer than {LINE_BYTES_MAX} bytes"));
        }
        let trimmed = line.trim_matches([' ', '\t']);
        if trimmed.is_empty() {
            return Ok(false);
        }
        if let Some(comment) = trimmed.strip_prefix('#') {
            if self.format == Format::OpenMetrics && comment.trim() == "EOF" {
                return Ok(true);
            }
            self.describe(comment);
            return Ok(false);
        }
        if self.page.samples.len() >= self.samples_max {
            return Err(too_many_samples(self.samples_max));
        }
        let mut sample = sample(trimmed, self.format)?;
        if self.take_start(&sample) {
            return Ok(false);
        }
        self.canonical_bound(&mut sample.labels);
        self.page.samples.push(sample);
        Ok(false)
    }

    fn describe(&mut self, comment: &str) {
        let mut words = comment.trim_start().splitn(3, [' ', '\t']);
        let (Some(word), Some(name)) = (words.next(), words.next()) else { return };
        let rest = words.next().unwrap_or("").trim();
        let name = name.trim_matches('"').to_owned();
        let metadata = &mut self.page.metadata;
        match word {
            "TYPE" => {
                // What the older format calls so; the API knows the newer word.
                let kind =
                    if rest.eq_ignore_ascii_case("untyped") { "unknown".to_owned() } else { rest.to_ascii_lowercase() };
                self.family = Family { name: name.clone(), kind: Kind::of(&kind) };
                metadata.entry(name).or_default().kind = kind;
            }
            "HELP" => metadata.entry(name).or_default().help = unescape(rest),
            "UNIT" => rest.clone_into(&mut metadata.entry(name).or_default().unit),
            _ => {}
        }
    }

    /// What follows the family's name in a sample's; `None` for a sample of another family.
    fn suffix<'a>(&self, labels: &'a Labels) -> Option<&'a str> {
        labels.metric_name()?.strip_prefix(self.family.name.as_str())
    }

    /// OpenMetrics says in a line of its own when a counter, histogram or summary began.
    fn take_start(&mut self, sample: &PageSample) -> bool {
        let is_start = self.format == Format::OpenMetrics
            && self.family.kind != Kind::Other
            && self.suffix(&sample.labels) == Some("_created");
        if is_start {
            let mut labels = sample.labels.clone();
            labels.set(Labels::NAME, &self.family.name);
            let ms = sample.value * 1_000.0;
            if ms.is_finite() {
                self.starts.insert(labels, ms.round() as i64);
            }
        }
        is_start
    }

    fn canonical_bound(&self, labels: &mut Labels) {
        let name = match (self.family.kind, self.suffix(labels)) {
            (Kind::Histogram, Some("_bucket")) => "le",
            (Kind::Summary, Some("")) => "quantile",
            _ => return,
        };
        if let Some(bound) = labels.get(name).and_then(number) {
            labels.set(name, canonical_float(bound));
        }
    }

    fn end(mut self) -> Page {
        if self.starts.is_empty() {
            return self.page;
        }
        for sample in &mut self.page.samples {
            let Some(name) = sample.labels.metric_name() else { continue };
            let Some((base, suffix)) = name.rfind('_').map(|at| name.split_at(at)) else { continue };
            let kind = self.page.metadata.get(base).map_or(Kind::Other, |m| Kind::of(&m.kind));
            if kind.started().contains(&suffix) {
                let mut labels = sample.labels.clone();
                labels.set(Labels::NAME, base);
                labels.remove("le");
                sample.created_ms = self.starts.get(&labels).copied();
            }
        }
        self.page
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, false) => out.push(c),
            _ => match chars.next() {
                Some('n') => out.push('\n'),
                Some(other @ ('"' | '\\')) => out.push(other),
                // A backslash before anything else is one, as Prometheus reads it.
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
        }
    }
    out
}

/// Reads one line that holds a sample; the error says what is wrong with it.
pub fn sample(line: &str, format: Format) -> Result<PageSample, String> {
    let name_end = line.find(['{', ' ', '\t']).unwrap_or(line.len());
    let (name, mut rest) = line.split_at(name_end);
    let mut pairs: Vec<(String, String)> = Vec::new();
    if !name.is_empty() {
        pairs.push((Labels::NAME.to_owned(), name.to_owned()));
    }
    if let Some(inside) = rest.trim_start_matches([' ', '\t']).strip_prefix('{') {
        rest = labels(inside, &mut pairs)?;
    }
    if !pairs.iter().any(|(n, _)| n == Labels::NAME) {
        return Err("a sample without a metric name".into());
    }
    let (numbers, exemplar) = match rest.split_once(" # ") {
        Some((numbers, exemplar)) if format == Format::OpenMetrics => (numbers, Some(exemplar)),
        _ => (rest, None),
    };
    let mut words = numbers.split_ascii_whitespace();
    let value = words.next().ok_or("a sample without a value")?;
    let value = number(value).ok_or_else(|| format!("`{value}` is not a number"))?;
    let t_ms = words.next().map(|t| timestamp(t, format)).transpose()?;
    if let Some(extra) = words.next() {
        return Err(format!("`{extra}` follows the timestamp"));
    }
    let blank = pairs.iter().filter(|(_, value)| value.is_empty()).map(|(name, _)| name.clone()).collect();
    let mut sample = PageSample::new(Labels::from_pairs(pairs), value, t_ms);
    sample.blank = blank;
    sample.exemplars.extend(exemplar.map(read_exemplar).transpose().map_err(|e| format!("the exemplar: {e}"))?);
    Ok(sample)
}

/// `{trace_id="x"} 0.1 1520879607.789`, the time being optional.
fn read_exemplar(text: &str) -> Result<PageExemplar, String> {
    let mut pairs = Vec::new();
    let inside = text.trim_start().strip_prefix('{').ok_or("its labels stand in braces")?;
    let rest = labels(inside, &mut pairs)?;
    let mut words = rest.split_ascii_whitespace();
    let value = words.next().ok_or("it has no value")?;
    let value = number(value).ok_or_else(|| format!("`{value}` is not a number"))?;
    let t_ms = words.next().map(|t| timestamp(t, Format::OpenMetrics)).transpose()?;
    match words.next() {
        Some(extra) => Err(format!("`{extra}` follows the timestamp")),
        None => Ok(PageExemplar { labels: Labels::from_pairs(pairs), value, t_ms }),
    }
}

fn timestamp(text: &str, format: Format) -> Result<i64, String> {
    let wrong = || format!("`{text}` is not a timestamp");
    match format {
        Format::Prometheus | Format::Protobuf | Format::Ganglia => text.parse::<i64>().map_err(|_| wrong()),
        Format::OpenMetrics => {
            let seconds = number(text).filter(|s| s.is_finite()).ok_or_else(wrong)?;
            Ok((seconds * 1000.0).round() as i64)
        }
    }
}

/// Numbers as Go reads them, which is what exporters print.
fn number(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.eq_ignore_ascii_case("inf") || unsigned.eq_ignore_ascii_case("infinity") {
        return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    if text.eq_ignore_ascii_case("nan") {
        return Some(f64::NAN);
    }
    let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
    if text.bytes().all(plain) { text.parse().ok() } else { None }
}

/// Reads up to the closing brace; gives what follows it.
fn labels<'a>(mut rest: &'a str, pairs: &mut Vec<(String, String)>) -> Result<&'a str, String> {
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        if let Some(after) = rest.strip_prefix('}') {
            return Ok(after);
        }
        let name;
        if rest.starts_with('"') {
            // A quoted name: alone it is the metric's, with a value it is a label's.
            let (text, after) = quoted(rest)?;
            let after = after.trim_start_matches([' ', '\t']);
            if !after.starts_with('=') {
                if pairs.len() >= LABELS_MAX {
                    return Err(format!("more than {LABELS_MAX} labels"));
                }
                pairs.push((Labels::NAME.to_owned(), text));
                rest = next(after)?;
                continue;
            }
            (name, rest) = (text, after);
        } else {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
            if end == 0 {
                return Err("a label without a name".into());
            }
            name = rest[..end].to_owned();
            rest = rest[end..].trim_start_matches([' ', '\t']);
        }
        rest = rest.strip_prefix('=').ok_or_else(|| format!("the label `{name}` has no value"))?;
        let (value, after) = quoted(rest.trim_start_matches([' ', '\t']))?;
        if pairs.len() >= LABELS_MAX {
            return Err(format!("more than {LABELS_MAX} labels"));
        }
        if pairs.iter().any(|(n, _)| *n == name) {
            return Err(format!("the label `{name}` stands twice"));
        }
        pairs.push((name, value));
        rest = next(after.trim_start_matches([' ', '\t']))?;
    }
}

fn next(rest: &str) -> Result<&str, String> {
    match rest.strip_prefix(',') {
        Some(after) => Ok(after),
        None if rest.starts_with('}') => Ok(rest),
        None => Err("labels are separated by commas and end with `}`".into()),
    }
}

fn quoted(text: &str) -> Result<(String, &str), String> {
    let inside = text.strip_prefix('"').ok_or("a label's value stands in double quotes")?;
    let mut escaped = false;
    for (i, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Ok((unescape(&inside[..i]), &inside[i + 1..])),
            _ => {}
        }
    }
    Err("a label's value has no closing quote".into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str, format: Format) -> Vec<String> {
        match parse(text, format) {
            Ok(page) => page
                .samples
                .iter()
                .map(|s| format!("{} {}{}", s.labels, s.value, s.t_ms.map_or(String::new(), |t| format!(" @{t}"))))
                .collect(),
            Err(e) => vec![e.to_string()],
        }
    }

    #[test]
    fn a_sample_has_only_so_many_labels() {
        let line = |count: usize| {
            let labels: Vec<String> = (0..count).map(|n| format!("l{n}=\"\"")).collect();
            sample(&format!("a{{{}}} 1", labels.join(",")), Format::Prometheus)
        };
        // The name is one of them.
        assert!(line(LABELS_MAX - 1).is_ok());
        assert_eq!(line(LABELS_MAX).unwrap_err(), "more than 1000 labels");
    }

    #[test]
    fn reads_what_exporters_print() {
        let text = "# HELP http_requests_total The total \\n number.\n# TYPE http_requests_total counter\n\
                    http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n\
                    http_requests_total{method=\"post\",code=\"400\",}    3\r\n\n\
                    # TYPE msdos_file_access_time_seconds untyped\n\
                    msdos_file_access_time_seconds{path=\"C:\\\\DIR\\\\FILE.TXT\",error=\"Cannot \\\"x\\\"\"} 1.458255915e9\n\
                    metric_without_labels 12.47\nsomething_weird{problem=\"division by zero\"} +Inf -3982045\n\
                    {\"a.dotted.name\", l=\"v\"} NaN";
        let page = parse(text, Format::Prometheus).unwrap();
        assert_eq!(page.metadata["http_requests_total"].kind, "counter");
        assert_eq!(page.metadata["msdos_file_access_time_seconds"].kind, "unknown");
        assert_eq!(page.metadata["http_requests_total"].help, "The total \n number.");
        assert_eq!(
            shown(text, Format::Prometheus),
            [
                "http_requests_total{code=\"200\",method=\"post\"} 1027 @1395066363000",
                "http_requests_total{code=\"400\",method=\"post\"} 3",
                "msdos_file_access_time_seconds{error=\"Cannot \\\"x\\\"\",path=\"C:\\\\DIR\\\\FILE.TXT\"} 1458255915",
                "metric_without_labels 12.47",
                "something_weird{problem=\"division by zero\"} inf @-3982045",
                "{\"a.dotted.name\",l=\"v\"} NaN",
            ]
        );
    }

    #[test]
    fn a_backslash_that_escapes_nothing_is_kept() {
        let text = r#"a{path="C:\dir\q\\x\n\"",none=""} 1"#;
        let page = parse(text, Format::Prometheus).unwrap();
        assert_eq!(page.samples[0].labels.get("path"), Some("C:\\dir\\q\\x\n\""));
        assert_eq!((&*page.samples[0].blank, page.samples[0].labels.len()), (&["none".to_owned()][..], 2));
    }

    #[test]
    fn reads_openmetrics() {
        let text = "# TYPE foo counter\nfoo_total{a=\"b\"} 17.0 1520879607.789 # {trace=\"x\"} 0.1\n# EOF\nignored";
        assert_eq!(shown(text, Format::OpenMetrics), ["foo_total{a=\"b\"} 17 @1520879607789"]);
        let exemplar = PageExemplar { labels: Labels::from_pairs([("trace", "x")]), value: 0.1, t_ms: None };
        assert_eq!(parse(text, Format::OpenMetrics).unwrap().samples[0].exemplars, [exemplar]);
        assert_eq!(shown("foo 1\n", Format::OpenMetrics), ["line 2: the page ends without `# EOF`"]);
    }

    #[test]
    fn numbers_without_a_value_are_read_in_any_case() {
        let text = "a INF\nb -Infinity\nc +inf\nd NAN";
        assert_eq!(shown(text, Format::Prometheus), ["a inf", "b -inf", "c inf", "d NaN"]);
        assert_eq!(shown("a -nan", Format::Prometheus), ["line 1: `-nan` is not a number"]);
    }

    #[test]
    fn lines_are_read_one_by_one() {
        let text = "# TYPE h histogram\n# UNIT h seconds\n# HELP h How long.\n\n\
                    h_bucket{le=\"1\"} 1 5 # {t=\"y\"} 0.5\nh_created 8 9\nother 2 3";
        let mut lines = Lines::new(Format::OpenMetrics);
        let samples: Vec<_> = text.split('\n').filter_map(|line| lines.read(line).unwrap()).collect();
        let shown: Vec<_> = samples.iter().map(|s| format!("{} {} {:?}", s.labels, s.value, s.t_ms)).collect();
        assert_eq!(shown, ["h_bucket{le=\"1.0\"} 1 Some(5000)", "h_created 8 Some(9000)", "other 2 Some(3000)"]);
        assert_eq!(samples[0].exemplars.len(), 1);
        let about = Metadata { kind: "histogram".into(), help: "How long.".into(), unit: "seconds".into() };
        assert_eq!(lines.take_metadata(), BTreeMap::from([("h".to_owned(), about)]));
        assert!(lines.take_metadata().is_empty());
        assert_eq!(lines.read("a b").unwrap_err(), "`b` is not a number");
        assert!(lines.read(&"a".repeat(LINE_BYTES_MAX + 1)).unwrap_err().contains("longer than"));
        let many = (0..=FAMILIES_MAX).find_map(|n| lines.read(&format!("# TYPE f{n} gauge")).err());
        assert!(many.unwrap().contains("split the file"));
    }

    #[test]
    fn starts_go_to_the_samples_that_began() {
        let text = "# TYPE c counter\nc_total{a=\"1\"} 2\nc_created{a=\"1\"} 1520.5\nc_total{a=\"2\"} 3\n\
                    # TYPE h histogram\nh_bucket{le=\"1\"} 1 # {t=\"y\"} 0.5 7.5\nh_bucket{le=\"+Inf\"} 1\nh_count 1\nh_sum 1\n\
                    h_created 8\n# TYPE s summary\ns{quantile=\"1\"} 4\ns_sum 1\ns_count 2\ns_created 9\n\
                    # TYPE u_created gauge\nu_created 10\n# EOF\n";
        let page = parse(text, Format::OpenMetrics).unwrap();
        let all: Vec<_> = page.samples.iter().map(|s| (s.labels.to_string(), s.created_ms)).collect();
        let expected = [
            ("c_total{a=\"1\"}", Some(1_520_500)),
            ("c_total{a=\"2\"}", None),
            ("h_bucket{le=\"1.0\"}", Some(8_000)),
            ("h_bucket{le=\"+Inf\"}", Some(8_000)),
            ("h_count", Some(8_000)),
            ("h_sum", Some(8_000)),
            ("s{quantile=\"1.0\"}", None),
            ("s_sum", Some(9_000)),
            ("s_count", Some(9_000)),
            ("u_created", None),
        ];
        assert_eq!(all, expected.map(|(series, start)| (series.to_owned(), start)));
        assert_eq!(page.samples[2].exemplars[0].t_ms, Some(7_500));
        // In the older format they are series like others.
        assert_eq!(shown("# TYPE c counter\nc_created 5\n", Format::Prometheus), ["c_created 5"]);
        let wrong = parse("a 1\nb 2 # x\n# EOF", Format::OpenMetrics).unwrap_err();
        assert_eq!(
            (wrong.to_string().as_str(), wrong.read.samples.len()),
            ("line 2: the exemplar: its labels stand in braces", 1)
        );
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (text, message) in [
            ("a 1\nb", "line 2: a sample without a value"),
            ("a{b=\"c} 1", "line 1: a label's value has no closing quote"),
            ("a{b=c} 1", "line 1: a label's value stands in double quotes"),
            ("a{b=\"c\" d=\"e\"} 1", "line 1: labels are separated by commas and end with `}`"),
            ("a{b=\"c\",b=\"d\"} 1", "line 1: the label `b` stands twice"),
            ("a one", "line 1: `one` is not a number"),
            ("a 1 2 3", "line 1: `3` follows the timestamp"),
            ("{b=\"c\"} 1", "line 1: a sample without a metric name"),
        ] {
            assert_eq!(shown(text, Format::Prometheus), [message]);
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC*|[a-z{}=\", #\\\\\n0-9.]*") {
            let _ = parse(&text, Format::Prometheus);
            let _ = parse(&text, Format::OpenMetrics);
        }
    }
}
