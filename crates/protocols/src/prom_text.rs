//! Metrics pages: the Prometheus text format 0.0.4 and OpenMetrics 1.0, text in and samples out.
//!
//! A line that cannot be read fails the whole page with its number, as Prometheus does: half a page would look like
//! series that vanished. Bounded by [`SAMPLES_MAX`] and [`LINE_BYTES_MAX`].

use tenfold_types::Labels;

/// Samples one page may hold.
pub const SAMPLES_MAX: usize = 200_000;
/// Longest line of a page, in bytes.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// Which of the two formats the `Content-Type` named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    #[default]
    Prometheus,
    /// Timestamps are seconds, the page ends with `# EOF`, exemplars may follow a value.
    OpenMetrics,
}

impl Format {
    pub fn from_content_type(value: &str) -> Self {
        if value.trim_start().starts_with("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }
}

/// One sample; the metric's name is the label `__name__`.
#[derive(Debug, Clone, PartialEq)]
pub struct TextSample {
    pub labels: Labels,
    pub value: f64,
    /// When the page says so; otherwise the instant of the scrape counts.
    pub t_ms: Option<i64>,
}

/// What a page says of a metric family.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// `counter`, `gauge`, `histogram`, `summary`, `unknown`, ...
    pub kind: String,
    pub help: String,
    pub unit: String,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    pub samples: Vec<TextSample>,
    pub metadata: std::collections::BTreeMap<String, Metadata>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct PageError {
    /// Counted from 1.
    pub line: usize,
    pub message: String,
}

/// Reads a whole page.
pub fn parse(text: &str, format: Format) -> Result<Page, PageError> {
    let mut page = Page::default();
    for (index, line) in text.split('\n').enumerate() {
        let at = |message: String| PageError { line: index + 1, message };
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.len() > LINE_BYTES_MAX {
            return Err(at(format!("longer than {LINE_BYTES_MAX} bytes")));
        }
        let trimmed = line.trim_matches([' ', '\t']);
        if trimmed.is_empty() {
            continue;
        }
        if let Some(comment) = trimmed.strip_prefix('#') {
            if format == Format::OpenMetrics && comment.trim() == "EOF" {
                return Ok(page);
            }
            describe(&mut page, comment);
            continue;
        }
        if page.samples.len() >= SAMPLES_MAX {
            return Err(at(format!("more than {SAMPLES_MAX} samples on one page")));
        }
        page.samples.push(sample(trimmed, format).map_err(at)?);
    }
    if format == Format::OpenMetrics {
        return Err(PageError { line: text.split('\n').count(), message: "the page ends without `# EOF`".into() });
    }
    Ok(page)
}

fn describe(page: &mut Page, comment: &str) {
    let mut words = comment.trim_start().splitn(3, [' ', '\t']);
    let (Some(word), Some(name)) = (words.next(), words.next()) else { return };
    let rest = words.next().unwrap_or("").trim();
    let name = name.trim_matches('"').to_owned();
    match word {
        "TYPE" => page.metadata.entry(name).or_default().kind = rest.to_ascii_lowercase(),
        "HELP" => page.metadata.entry(name).or_default().help = unescape(rest),
        "UNIT" => rest.clone_into(&mut page.metadata.entry(name).or_default().unit),
        _ => {}
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
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
        }
    }
    out
}

fn sample(line: &str, format: Format) -> Result<TextSample, String> {
    let name_end = line.find(['{', ' ', '\t']).unwrap_or(line.len());
    let (name, mut rest) = line.split_at(name_end);
    let mut pairs: Vec<(String, String)> = Vec::new();
    if !name.is_empty() {
        pairs.push((Labels::NAME.to_owned(), name.to_owned()));
    }
    if let Some(inside) = rest.strip_prefix('{') {
        rest = labels(inside, &mut pairs)?;
    }
    if !pairs.iter().any(|(n, _)| n == Labels::NAME) {
        return Err("a sample without a metric name".into());
    }
    // What follows ` # ` is an exemplar, which is not kept.
    let numbers = if format == Format::OpenMetrics { rest.split(" # ").next().unwrap_or(rest) } else { rest };
    let mut words = numbers.split_ascii_whitespace();
    let value = words.next().ok_or("a sample without a value")?;
    let value = number(value).ok_or_else(|| format!("`{value}` is not a number"))?;
    let t_ms = words.next().map(|t| timestamp(t, format)).transpose()?;
    if let Some(extra) = words.next() {
        return Err(format!("`{extra}` follows the timestamp"));
    }
    Ok(TextSample { labels: Labels::from_pairs(pairs), value, t_ms })
}

fn timestamp(text: &str, format: Format) -> Result<i64, String> {
    let wrong = || format!("`{text}` is not a timestamp");
    match format {
        Format::Prometheus => text.parse::<i64>().map_err(|_| wrong()),
        Format::OpenMetrics => {
            let seconds = number(text).filter(|s| s.is_finite()).ok_or_else(wrong)?;
            Ok((seconds * 1000.0).round() as i64)
        }
    }
}

/// Numbers as Go reads them, which is what exporters print.
fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" | "+inf" | "inf" => Some(f64::INFINITY),
        "-Inf" | "-inf" => Some(f64::NEG_INFINITY),
        "NaN" | "nan" => Some(f64::NAN),
        _ if text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E')) => {
            text.parse().ok()
        }
        _ => None,
    }
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
    fn reads_what_exporters_print() {
        let text = "# HELP http_requests_total The total \\n number.\n# TYPE http_requests_total counter\n\
                    http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n\
                    http_requests_total{method=\"post\",code=\"400\",}    3\r\n\n\
                    msdos_file_access_time_seconds{path=\"C:\\\\DIR\\\\FILE.TXT\",error=\"Cannot \\\"x\\\"\"} 1.458255915e9\n\
                    metric_without_labels 12.47\nsomething_weird{problem=\"division by zero\"} +Inf -3982045\n\
                    {\"a.dotted.name\", l=\"v\"} NaN";
        let page = parse(text, Format::Prometheus).unwrap();
        assert_eq!(page.metadata["http_requests_total"].kind, "counter");
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
    fn reads_openmetrics() {
        let text = "# TYPE foo counter\nfoo_total{a=\"b\"} 17.0 1520879607.789 # {trace=\"x\"} 0.1\n# EOF\nignored";
        assert_eq!(shown(text, Format::OpenMetrics), ["foo_total{a=\"b\"} 17 @1520879607789"]);
        assert_eq!(shown("foo 1\n", Format::OpenMetrics), ["line 2: the page ends without `# EOF`"]);
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
