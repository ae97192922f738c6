//! Writes a page in the Prometheus text format, version 0.0.4: series of one metric together, under one type.
//!
//! The type is told by the name: `_total` is a counter; where there is `_bucket`, it and the `_sum` and `_count` beside it
//! are one histogram; everything else is a gauge.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use tenfold_types::{Labels, is_legacy_name};

/// What a server of this format says its answer is.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const HISTOGRAM_PARTS: [&str; 3] = ["_bucket", "_sum", "_count"];

/// The series under names that this version of the format can tell: `_` for every character that it cannot.
pub fn legacy(labels: &Labels) -> Cow<'_, Labels> {
    let more = |name: &str, value: &str| match name {
        Labels::NAME => is_legacy_name(value, ":_"),
        _ => is_legacy_name(name, "_"),
    };
    if labels.iter().all(|(name, value)| more(name, value)) {
        return Cow::Borrowed(labels);
    }
    let pair = |(name, value): (&str, &str)| match name {
        Labels::NAME => (name.to_owned(), underscored(value, ":_")),
        _ => (underscored(name, "_"), value.to_owned()),
    };
    Cow::Owned(Labels::from_pairs(labels.iter().map(pair)))
}

fn underscored(name: &str, more: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || more.contains(c) { c } else { '_' };
    let first = if name.starts_with(|c: char| c.is_ascii_digit()) { "_" } else { "" };
    first.chars().chain(name.chars().map(kept)).collect()
}

/// The page. Of one series the last value is told.
pub fn write<'a>(series: impl IntoIterator<Item = (&'a Labels, f64)>) -> String {
    let series: BTreeMap<Cow<'_, Labels>, f64> =
        series.into_iter().map(|(labels, value)| (legacy(labels), value)).collect();
    let names = series.keys().filter_map(|labels| labels.metric_name());
    let histograms: BTreeSet<&str> = names.filter_map(|name| name.strip_suffix("_bucket")).collect();
    let mut families: BTreeMap<(&str, &str), Vec<(&Labels, f64)>> = BTreeMap::new();
    for (labels, value) in &series {
        let name = labels.metric_name().unwrap_or_default();
        let base = HISTOGRAM_PARTS.iter().find_map(|part| name.strip_suffix(part)).filter(|b| histograms.contains(b));
        let family = match base {
            Some(base) => (base, "histogram"),
            None if name.ends_with("_total") => (name, "counter"),
            None => (name, "gauge"),
        };
        families.entry(family).or_default().push((labels, *value));
    }
    let mut out = String::new();
    for ((name, kind), series) in families {
        out.extend(["# TYPE ", name, " ", kind, "\n"]);
        for (labels, value) in series {
            out.extend([&labels.to_string(), " ", &number(value), "\n"]);
        }
    }
    out
}

/// A value as the format writes it.
pub fn number(value: f64) -> String {
    if value.is_infinite() { if value > 0.0 { "+Inf".into() } else { "-Inf".into() } } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prom_text::{Format, parse};

    fn labels(name: &str, pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied().chain([(Labels::NAME, name)]))
    }

    #[test]
    fn what_is_written_is_read() {
        let series = [
            (labels("b_total", &[("x", "a\"b\\c\nd")]), 3.5),
            (labels("a", &[]), -1.0),
            (labels("limit", &[]), f64::INFINITY),
            (labels("small", &[]), 1e-9),
        ];
        let text = write(series.iter().map(|(l, v)| (l, *v)));
        let page = parse(&text, Format::default()).expect("it parses");
        assert_eq!(page.metadata["b_total"].kind, "counter");
        for (labels, value) in &series {
            let read = page.samples.iter().find(|s| s.labels == *labels).expect("it is there");
            assert_eq!(read.value, *value, "{labels}");
        }
    }

    #[test]
    fn foreign_names_make_no_lines_of_their_own() {
        let series = [labels("a 1\nb{c=\"d\"}", &[("e f", "g"), ("1", "h")]), labels("a", &[])];
        let text = write(series.iter().map(|l| (l, 1.0)));
        assert_eq!(text, "# TYPE a gauge\na 1\n# TYPE a_1_b_c__d__ gauge\na_1_b_c__d__{_1=\"h\",e_f=\"g\"} 1\n");
        parse(&text, Format::default()).expect("it parses");
    }

    #[test]
    fn a_histogram_is_one_family() {
        let series = [
            labels("flip_seconds_bucket", &[("le", "0.1")]),
            labels("flip_seconds_bucket", &[("le", "+Inf")]),
            labels("flip_seconds_sum", &[]),
            labels("flip_seconds_count", &[]),
            labels("open_count", &[]),
        ];
        let text = write(series.iter().map(|l| (l, 1.0)));
        let page = parse(&text, Format::default()).expect("it parses");
        assert_eq!(page.metadata["flip_seconds"].kind, "histogram");
        assert_eq!(page.metadata["open_count"].kind, "gauge", "a count of its own is no part of a histogram");
        assert_eq!(text.matches("# TYPE").count(), 2, "{text}");
    }
}
