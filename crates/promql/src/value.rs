//! What a query answers.

use std::sync::Arc;

use tenfold_types::{Histogram, HistogramPoint, Labels, Point};

use crate::{
    error::Annotation,
    eval::{Held, PlanNode},
};

/// The answer with the remarks made on the way.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    pub value: Value,
    pub annotations: Vec<Annotation>,
    /// Samples read from the source.
    pub samples_read: u64,
    /// Series read, over all selectors, and the encoded chunks they lay in where the source tells.
    pub series_read: u64,
    pub chunks_read: u64,
    /// Bytes of values and histograms that were held at one time, at most.
    pub bytes_held: u64,
    /// Its part of the memory that queries share, kept until the answer is dropped.
    pub held: Held,
    /// Where time and samples went, by node of the expression; empty when the query brought no clock.
    pub plan: Vec<PlanNode>,
    /// Samples that each step looked at, by its instant in milliseconds; empty when the query brought no counts.
    pub per_step: Vec<(i64, u64)>,
}

impl Output {
    /// A value that was not evaluated here, and of which nothing more is known.
    pub fn of(value: Value) -> Self {
        Self {
            value,
            annotations: Vec::new(),
            samples_read: 0,
            series_read: 0,
            chunks_read: 0,
            bytes_held: 0,
            held: Held::default(),
            plan: Vec::new(),
            per_step: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Scalar(Point),
    String {
        t_ms: i64,
        value: String,
    },
    /// No data is an empty vector: neither zero nor an error.
    Vector(Vec<VectorSample>),
    Matrix(Vec<Series>),
}

/// What a series is at one instant.
#[derive(Debug, Clone, PartialEq)]
pub enum Sample {
    Float(f64),
    Histogram(Arc<Histogram>),
}

impl Sample {
    /// The value, when it is a float.
    pub fn float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Histogram(_) => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct VectorSample {
    pub labels: Arc<Labels>,
    pub t_ms: i64,
    pub value: Sample,
}

/// A series over time. At one instant it is either a float or a histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub labels: Arc<Labels>,
    pub points: Vec<Point>,
    pub histograms: Vec<HistogramPoint>,
}

impl Value {
    /// The word Prometheus' API uses.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Scalar(_) => "scalar",
            Self::String { .. } => "string",
            Self::Vector(_) => "vector",
            Self::Matrix(_) => "matrix",
        }
    }
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Scalar(_) | Self::String { .. } => false,
            Self::Vector(v) => v.is_empty(),
            Self::Matrix(m) => m.is_empty(),
        }
    }
}

/// A float as Prometheus' API writes it: the shortest decimal that reads back the same, with an exponent when very large
/// or very small.
pub fn format_float(value: f64) -> String {
    let mut buffer = zmij::Buffer::new();
    plain(value, &mut buffer).map_or_else(|| long(value), Into::into)
}

/// The same at the end of a text: an answer holds tens of thousands, and few of them are long.
pub fn put_float(out: &mut Vec<u8>, value: f64) {
    let mut buffer = zmij::Buffer::new();
    match plain(value, &mut buffer) {
        Some(text) => out.extend_from_slice(text.as_bytes()),
        None => out.extend_from_slice(long(value).as_bytes()),
    }
}

/// What needs no exponent, which begins elsewhere than Prometheus' does.
fn plain(value: f64, buffer: &mut zmij::Buffer) -> Option<&str> {
    if value.is_nan() {
        return Some("NaN");
    }
    if value.is_infinite() {
        return Some(if value > 0.0 { "+Inf" } else { "-Inf" });
    }
    let text = buffer.format_finite(value);
    // Most values lie well within what is written without an exponent: theirs are not searched for one.
    let surely_plain = (1e-4..1e15).contains(&value.abs());
    if !surely_plain && text.contains('e') { None } else { Some(text.strip_suffix(".0").unwrap_or(text)) }
}

/// A finite value that [`plain`] leaves: with an exponent when very large or very small, and with every digit otherwise.
fn long(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        return without_exponent(value);
    }
    let (digits, point) = shortest(magnitude);
    let (first, rest) = digits.split_at(1);
    let dot = if rest.is_empty() { "" } else { "." };
    let minus = if value.is_sign_negative() { "-" } else { "" };
    let exponent = point - 1;
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{minus}{first}{dot}{rest}e{sign}{:02}", exponent.abs())
}

/// A value that never has an exponent, as it stands in labels and in trees of queries.
pub(crate) fn without_exponent(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let minus = if value.is_sign_negative() { "-" } else { "" };
    if value == 0.0 {
        return format!("{minus}0");
    }
    let (digits, point) = shortest(value.abs());
    match usize::try_from(point) {
        Ok(whole) if whole >= digits.len() => format!("{minus}{digits:0<whole$}"),
        Ok(whole) if whole > 0 => format!("{minus}{}.{}", &digits[..whole], &digits[whole..]),
        _ => format!("{minus}0.{:0>width$}", digits, width = digits.len() + point.unsigned_abs() as usize),
    }
}

/// The shortest digits that read back as a positive finite value, and how many of them stand before the decimal point.
/// Of two that are equally near the even one is meant, as Go and so Prometheus writes; the standard library rounds up.
fn shortest(magnitude: f64) -> (String, i32) {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(magnitude);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0');
    let zeros = all.len() - digits.len();
    let point = whole.len() as i32 - zeros as i32 + exponent.parse::<i32>().expect("an exponent is a number");
    (digits.trim_end_matches('0').to_owned(), point)
}

/// Reads a duration such as `1h30m`, `15s` or `500ms`, or plain seconds as requests may give them, as milliseconds.
pub fn duration_or_seconds_ms(text: &str) -> Option<i64> {
    match crate::syntax::read_duration(text) {
        Some((ms, len)) if len == text.len() => Some(ms),
        _ => {
            let seconds: f64 = text.parse().ok()?;
            let ms = seconds * 1000.0;
            (ms.is_finite() && ms.abs() < i64::MAX as f64).then_some(ms as i64)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_float_reads_back_the_same_and_is_the_same_text_in_either_way(
            value in prop_oneof![any::<f64>(), -1e9f64..1e9, (-1_000_000i32..1_000_000).prop_map(|n| f64::from(n) / 100.0)],
        ) {
            let text = format_float(value);
            let back: f64 = text.parse().unwrap();
            prop_assert!(back.to_bits() == value.to_bits() || (back.is_nan() && value.is_nan()), "{text}");
            if value.is_finite() {
                prop_assert_eq!(&text, &long(value));
                // The standard library finds as few digits; where two are equally near it may take the other.
                let std = value.to_string();
                prop_assert_eq!(without_exponent(value).len(), std.len());
                prop_assert_eq!(without_exponent(value).parse::<f64>().unwrap().to_bits(), value.to_bits());
            }
            let mut put = b"x".to_vec();
            put_float(&mut put, value);
            prop_assert_eq!(put, format!("x{text}").into_bytes());
        }
    }

    #[test]
    fn floats_and_durations() {
        let cases = [
            (1.0, "1"),
            (-0.5, "-0.5"),
            (1e21, "1e+21"),
            (1.5e-7, "1.5e-07"),
            (f64::INFINITY, "+Inf"),
            (f64::NAN, "NaN"),
            (1e20, "100000000000000000000"),
            (0.1 + 0.2, "0.30000000000000004"),
            (0.0, "0"),
            (-0.0, "-0"),
            (-7.0, "-7"),
            (0.000_01, "0.00001"),
            (1e-6, "0.000001"),
            (1e-4, "0.0001"),
            (999_999_999_999_999.9, "999999999999999.9"),
            (-9.5e-7, "-9.5e-07"),
            (1e16, "10000000000000000"),
            (123_456_789_012_345_680.0, "123456789012345680"),
            (-1_051_030_019_439_611.0 - 0.25, "-1051030019439611.2"),
            (1_969_060_942_052_612.0 + 0.75, "1969060942052612.8"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (5e-324, "5e-324"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (value, text) in cases {
            assert_eq!(format_float(value), text);
        }
        assert_eq!(without_exponent(1.5e-7), "0.00000015");
        assert_eq!(without_exponent(-3e22), "-30000000000000000000000");
        assert_eq!(without_exponent(1_969_060_942_052_612.0 + 0.25), "1969060942052612.2");
        assert_eq!(duration_or_seconds_ms("1h30m"), Some(5_400_000));
        assert_eq!(duration_or_seconds_ms("0.25"), Some(250));
        assert_eq!(duration_or_seconds_ms("5 minutes"), None);
    }
}
