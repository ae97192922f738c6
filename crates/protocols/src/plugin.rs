//! What Nagios plugins print: one line of text, performance data behind `|`, more lines of both.
//!
//! ```text
//! DISK OK - free space: / 3326 MB | /=2643MB;5948;5958;0;5968
//! / 15272 MB (77%)
//! /boot 68 MB | /boot=68MB;88;93;0;98
//! /home=69357MB;253404;253409;0;253414
//! ```
//! Source: the Monitoring Plugins development guidelines, "Performance data".

/// Bytes of output that are read; the rest is left away.
pub const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// Performance values of one result.
pub const PERFDATA_MAX: usize = 500;
const LABEL_BYTES_MAX: usize = 255;

/// One performance value.
#[derive(Debug, Clone, PartialEq)]
pub struct PerfValue {
    pub label: String,
    pub value: f64,
    /// As the plugin writes it: `s`, `%`, `MB`, `c` for a counter, or nothing.
    pub unit: String,
    /// Upper ends of the ranges (`10`, `0:10`, `~:10`); one without an upper end (`10:`) and one that is turned round
    /// (`@0:10`) have none.
    pub warning: Option<f64>,
    pub critical: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
}

/// What a plugin said.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PluginOutput {
    /// The first line.
    pub text: String,
    /// The lines after it.
    pub long: String,
    pub values: Vec<PerfValue>,
    /// Pieces of performance data that could not be read.
    pub unread: usize,
}

/// Reads the output of a plugin. Any bytes are taken; what is not UTF-8 is replaced.
pub fn read_output(bytes: &[u8]) -> PluginOutput {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(OUTPUT_BYTES_MAX)]);
    let mut out = PluginOutput::default();
    let mut perf = String::new();
    let mut long = Vec::new();
    let mut lines = text.trim_end().lines();
    let first = lines.next().unwrap_or_default();
    let (said, data) = first.split_once('|').unwrap_or((first, ""));
    said.trim().clone_into(&mut out.text);
    perf.push_str(data);
    let mut only_data = false;
    for line in lines {
        if only_data {
            perf.push(' ');
            perf.push_str(line);
            continue;
        }
        if let Some((said, data)) = line.split_once('|') {
            only_data = true;
            long.push(said.trim_end());
            perf.push(' ');
            perf.push_str(data);
        } else {
            long.push(line);
        }
    }
    out.long = long.join("\n");
    read_perfdata(&perf, &mut out);
    out
}

fn read_perfdata(text: &str, out: &mut PluginOutput) {
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (label, after) = label(rest);
        let end = after.find(char::is_whitespace).unwrap_or(after.len());
        let (value, next) = after.split_at(end);
        rest = next.trim_start();
        match label.and_then(|label| perf_value(label, value)) {
            Some(Perf::Value(value)) if out.values.len() < PERFDATA_MAX => out.values.push(value),
            Some(Perf::Unknown) => {}
            _ => out.unread += 1,
        }
    }
}

/// A label, in single quotes or without, up to its `=`. A doubled quote stands for one.
fn label(text: &str) -> (Option<String>, &str) {
    if let Some(quoted) = text.strip_prefix('\'') {
        let mut label = String::new();
        let mut chars = quoted.char_indices().peekable();
        while let Some((i, c)) = chars.next() {
            match c {
                '\'' if chars.peek().is_some_and(|(_, n)| *n == '\'') => {
                    chars.next();
                    label.push('\'');
                }
                '\'' => {
                    let after = &quoted[i + 1..];
                    return match after.strip_prefix('=') {
                        Some(value) => (Some(label), value),
                        None => (None, after),
                    };
                }
                c => label.push(c),
            }
        }
        return (None, "");
    }
    match text.find(|c: char| c == '=' || c.is_whitespace()) {
        Some(at) if text[at..].starts_with('=') => (Some(text[..at].to_owned()), &text[at + 1..]),
        Some(at) => (None, &text[at..]),
        None => (None, ""),
    }
}

enum Perf {
    Value(PerfValue),
    /// `U`: the plugin could not tell.
    Unknown,
}

fn perf_value(label: String, text: &str) -> Option<Perf> {
    if label.is_empty() || label.len() > LABEL_BYTES_MAX {
        return None;
    }
    let mut parts = text.split(';');
    let first = parts.next()?;
    if first == "U" {
        return Some(Perf::Unknown);
    }
    let (value, unit) = number(first)?;
    let mut limit = || {
        // Where a range is turned round (`@10:20`) its upper end is no limit.
        let range = parts.next().filter(|range| !range.starts_with('@'))?;
        let upper = range.rsplit_once(':').map_or(range, |(_, upper)| upper);
        number(upper).map(|(n, _)| n)
    };
    let (warning, critical, min, max) = (limit(), limit(), limit(), limit());
    Some(Perf::Value(PerfValue { label, value, unit: unit.to_owned(), warning, critical, min, max }))
}

/// The number a text starts with, and its unit. Some plugins follow the locale and write a comma.
fn number(text: &str) -> Option<(f64, &str)> {
    let mut end = 0;
    let bytes = text.as_bytes();
    while let Some(b) = bytes.get(end) {
        let exponent = matches!(b, b'e' | b'E')
            && bytes.get(end + 1).is_some_and(|n| n.is_ascii_digit() || matches!(n, b'-' | b'+'))
            && end > 0;
        let sign = matches!(b, b'-' | b'+') && (end == 0 || matches!(bytes[end - 1], b'e' | b'E'));
        if !(b.is_ascii_digit() || matches!(b, b'.' | b',') || exponent || sign) {
            break;
        }
        end += 1;
    }
    let value: f64 = text[..end].replace(',', ".").parse().ok()?;
    let unit = &text[end..];
    (value.is_finite() && unit.len() <= 16).then_some((value, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_values() {
        let said = "DISK OK - free: / 3326 MB | /=2643MB;5948;5958;0;5968\n/ 15272 MB (77%);\n/boot 68 MB | /boot=68MB;88;93;0;98\n/home=69357MB;253404;253409;0;253414\n";
        let out = read_output(said.as_bytes());
        assert_eq!(out.text, "DISK OK - free: / 3326 MB");
        assert_eq!(out.long, "/ 15272 MB (77%);\n/boot 68 MB");
        let names: Vec<_> = out.values.iter().map(|v| (v.label.as_str(), v.value, v.unit.as_str())).collect();
        assert_eq!(names, [("/", 2643.0, "MB"), ("/boot", 68.0, "MB"), ("/home", 69357.0, "MB")]);
        assert_eq!((out.values[0].warning, out.values[0].max), (Some(5948.0), Some(5968.0)));
    }

    #[test]
    fn one_value() {
        type Case<'a> = (&'a str, Option<(&'a str, f64, &'a str)>);
        let cases: &[Case<'_>] = &[
            ("time=0.06s;1;2", Some(("time", 0.06, "s"))),
            ("'free space'=5%", Some(("free space", 5.0, "%"))),
            ("'it''s'=1", Some(("it's", 1.0, ""))),
            ("a=1e3", Some(("a", 1000.0, ""))),
            ("a=-1.5e-3ms", Some(("a", -0.0015, "ms"))),
            ("a=1,5s", Some(("a", 1.5, "s"))),
            ("a=", None),
            ("=5", None),
            ("a", None),
            ("'a=5", None),
            ("a=1;~:5;@1:9", Some(("a", 1.0, ""))),
        ];
        for (text, expected) in cases {
            let out = read_output(format!("X|{text}").as_bytes());
            let got = out.values.first().map(|v| (v.label.as_str(), v.value, v.unit.as_str()));
            assert_eq!(got, *expected, "{text}");
            assert_eq!(out.unread, usize::from(expected.is_none()), "{text}");
        }
        let limits = read_output(b"X|a=1;~:5;@1:9;0;10");
        assert_eq!((limits.values[0].warning, limits.values[0].critical), (Some(5.0), None));
        let limits = read_output(b"X|a=1;5:;10:20;;");
        let of = &limits.values[0];
        assert_eq!((of.warning, of.critical, of.min, of.max), (None, Some(20.0), None, None));
        let unknown = read_output(b"X|'a b'=U;1;2 c=2KB free space=5%");
        let labels: Vec<_> = unknown.values.iter().map(|v| v.label.as_str()).collect();
        assert_eq!((labels, unknown.unread), (vec!["c", "space"], 1), "a label with a blank stands in quotes");
    }

    #[test]
    fn any_bytes_are_survived_and_capped() {
        assert_eq!(read_output(b""), PluginOutput::default());
        assert_eq!(read_output(b"\xff|\xff=1").values.len(), 1);
        let many = format!("X|{}", "a=1 ".repeat(1000));
        let out = read_output(many.as_bytes());
        assert_eq!((out.values.len(), out.unread), (PERFDATA_MAX, 500));
    }
}
