//! What an `eval` expects, and whether an answer is it.

use std::collections::BTreeMap;

use tenfold_promql::series::{Item, description, items, number, quoted};
use tenfold_promql::{Annotation, Level, Output, QueryError, Sample, Series, Value, VectorSample};
use tenfold_types::{Histogram, HistogramPoint, Labels, Point, is_stale};

use super::{Result, duration};

/// A text or a pattern; without either, anything will do.
#[derive(Debug, Clone)]
pub enum Text {
    Any,
    Exactly(String),
    Pattern(regex::Regex),
}

impl Text {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(wanted) => wanted == text,
            Self::Pattern(pattern) => pattern.is_match(text),
        }
    }

    fn parse(detail: &str) -> Result<Self> {
        if detail.is_empty() {
            return Ok(Self::Any);
        }
        let (how, text) = detail.split_once(':').ok_or_else(|| format!("`{detail}` is neither msg: nor regex:"))?;
        match how {
            "msg" => Ok(Self::Exactly(text.trim().into())),
            "regex" => Self::pattern(text.trim()),
            other => Err(format!("invalid token {other} in an expectation")),
        }
    }

    fn pattern(text: &str) -> Result<Self> {
        regex::Regex::new(text).map(Self::Pattern).map_err(|e| e.to_string())
    }
}

/// The times of a range: first, last and step in milliseconds.
pub type Range = (i64, i64, i64);

#[derive(Debug, Default)]
pub struct Expectation {
    pub fail: Option<Text>,
    pub warn: Vec<Text>,
    pub info: Vec<Text>,
    pub no_warn: bool,
    pub no_info: bool,
    pub ordered: bool,
    pub string: Option<String>,
    pub range: Option<Range>,
    number: Option<f64>,
    series: Vec<(Labels, Vec<Item>)>,
    /// An `expect fail` was read, which `eval_fail` is not.
    names_failure: bool,
}

/// `1 to 2 step 3` after `from`.
pub fn range(text: &str) -> Result<Range> {
    let (from, rest) = text.split_once(" to ").ok_or_else(|| format!("`{text}` has no ` to `"))?;
    let (to, step) = rest.split_once(" step ").ok_or_else(|| format!("`{text}` has no ` step `"))?;
    let range = (duration(from.trim())?, duration(to.trim())?, duration(step.trim())?);
    if range.1 < range.0 { Err(format!("`{text}` ends before it begins")) } else { Ok(range) }
}

impl Expectation {
    /// Reads the lines below an `eval`, whose command may say something too (`eval_fail`).
    pub fn parse(modifier: &str, body: &[&str], instant: bool) -> Result<Self> {
        let mut e = Self::default();
        match modifier {
            "" => {}
            "fail" => e.fail = Some(Text::Any),
            "warn" => e.warn.push(Text::Any),
            "info" => e.info.push(Text::Any),
            "ordered" if instant => e.ordered = true,
            other => return Err(format!("unknown command `eval_{other}`")),
        }
        for line in body {
            if modifier == "fail" {
                if let Some(text) = line.strip_prefix("expected_fail_message") {
                    e.fail = Some(Text::Exactly(text.trim().into()));
                    break;
                }
                if let Some(text) = line.strip_prefix("expected_fail_regexp") {
                    e.fail = Some(Text::pattern(text.trim())?);
                    break;
                }
            }
            if let Some(times) = line.strip_prefix("expect range vector from ") {
                e.range = Some(range(times)?);
            } else if let Some(text) = line.strip_prefix("expect string ") {
                let (text, rest) = quoted(text)?;
                if !rest.is_empty() {
                    return Err(format!("there is more behind the expected string: `{rest}`"));
                }
                e.string = Some(text);
            } else if let Some(rest) = line.strip_prefix("expect ") {
                e.expect(rest.trim())?;
            } else if let Some(n) = number(line) {
                e.number = Some(n);
                break;
            } else {
                let (labels, rest) = description(line)?;
                let values = items(rest)?;
                if instant && e.range.is_none() && values.len() > 1 {
                    return Err("expecting multiple values in instant evaluation not allowed".into());
                }
                e.series.push((labels, values));
            }
        }
        let both = |some: &[Text], none: bool| !some.is_empty() && none;
        if both(&e.warn, e.no_warn) || both(&e.info, e.no_info) {
            return Err("remarks are expected and refused at once".into());
        }
        Ok(e)
    }

    fn expect(&mut self, rest: &str) -> Result<()> {
        let (kind, detail) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let text = Text::parse(detail.trim())?;
        match kind {
            "fail" => {
                if std::mem::replace(&mut self.names_failure, true) {
                    return Err("multiple expect fail lines are not allowed".into());
                }
                self.fail = Some(text);
            }
            "warn" => self.warn.push(text),
            "info" => self.info.push(text),
            "no_warn" => self.no_warn = true,
            "no_info" => self.no_info = true,
            "ordered" => self.ordered = true,
            other => return Err(format!("unknown expectation `{other}`")),
        }
        Ok(())
    }

    /// Whether the query failed as it should; `None` when it should not and did not.
    pub fn failure(&self, answer: &std::result::Result<Output, QueryError>, query: &str) -> Option<Result<()>> {
        match (answer, &self.fail) {
            (Err(error), Some(text)) if text.matches(&error.to_string()) => Some(Ok(())),
            (Err(error), Some(text)) => Some(Err(format!("failed with `{error}`, not with {text:?}"))),
            (Err(error), None) => Some(Err(format!("failed: {}", error.pointing(query)))),
            (Ok(_), Some(_)) => Some(Err("did not fail".into())),
            (Ok(_), None) => None,
        }
    }

    pub fn annotations(&self, all: &[Annotation], query: &str) -> Result<()> {
        let sides = [(Level::Warning, &self.warn, self.no_warn), (Level::Info, &self.info, self.no_info)];
        for (level, wanted, none) in sides {
            let got: Vec<String> = all.iter().filter(|a| a.level == level).map(|a| a.render(query)).collect();
            if none && !got.is_empty() {
                return Err(format!("unexpected {level:?}: {got:?}"));
            }
            if wanted.is_empty() {
                continue;
            }
            if let Some(text) = wanted.iter().find(|w| !got.iter().any(|g| w.matches(g))) {
                return Err(format!("no {level:?} like {text:?} among {got:?}"));
            }
            if let Some(extra) = got.iter().find(|g| !wanted.iter().any(|w| w.matches(g))) {
                return Err(format!("the {level:?} {extra:?} is not expected"));
            }
        }
        Ok(())
    }

    /// Whether the value is the one expected; `grid` are the times of a range query.
    pub fn value(&self, value: &Value, grid: Option<Range>) -> Result<()> {
        match value {
            Value::String { value, .. } if self.string.as_ref() == Some(value) => Ok(()),
            Value::String { value, .. } => Err(format!("got the string {value:?}, expected {:?}", self.string)),
            _ if self.string.is_some() => Err(format!("expected a string, got {value:?}")),
            Value::Scalar(p) => match self.number {
                Some(n) if close(n, p.value) => Ok(()),
                n => Err(format!("got the scalar {}, expected {n:?}", p.value)),
            },
            _ if self.number.is_some() => Err(format!("expected a scalar, got {value:?}")),
            Value::Vector(vector) => self.vector(vector),
            Value::Matrix(matrix) => self.matrix(matrix, grid.or(self.range)),
        }
    }

    fn wanted(&self) -> BTreeMap<&Labels, (usize, &Vec<Item>)> {
        self.series.iter().enumerate().map(|(i, (labels, items))| (labels, (i, items))).collect()
    }

    pub fn vector(&self, got: &[VectorSample]) -> Result<()> {
        let mut wanted = self.wanted();
        for (place, sample) in got.iter().enumerate() {
            let Some((wanted_place, items)) = wanted.remove(&*sample.labels) else {
                return Err(format!("unexpected series {} with {:?}", sample.labels, sample.value));
            };
            if self.ordered && wanted_place != place {
                return Err(format!("{} stands at {place}, expected at {wanted_place}", sample.labels));
            }
            let same = match (items.first(), &sample.value) {
                (Some(Item::Float(v)), Sample::Float(w)) => close(*v, *w),
                (Some(Item::Histogram(h, hinted)), Sample::Histogram(g)) => close_histograms(h, g, *hinted),
                _ => false,
            };
            if !same {
                return Err(format!("{}: got {:?}, expected {:?}", sample.labels, sample.value, items.first()));
            }
        }
        match wanted.keys().next() {
            Some(labels) => Err(format!("the series {labels} is missing")),
            None => Ok(()),
        }
    }

    fn matrix(&self, got: &[Series], times: Option<Range>) -> Result<()> {
        if self.ordered {
            return Err("expected ordered result, but query returned a matrix".into());
        }
        if !got.is_sorted_by(|a, b| a.labels <= b.labels) {
            return Err("the series of a matrix are not in order".into());
        }
        let (start, end, step) = times.ok_or("a matrix, and no times are expected")?;
        let mut wanted = self.wanted();
        for series in got {
            let Some((_, items)) = wanted.remove(&*series.labels) else {
                return Err(format!("unexpected series {series:?}"));
            };
            if items.len() as i64 - 1 > (end - start) / step.max(1) {
                return Err(format!("{} values are expected of {}: too many", items.len(), series.labels));
            }
            let at = |i: usize| start + i as i64 * step;
            let floats: Vec<Point> = items
                .iter()
                .enumerate()
                .filter_map(|(i, item)| match item {
                    Item::Float(v) => Some(Point::new(at(i), *v)),
                    _ => None,
                })
                .collect();
            let histograms: Vec<(HistogramPoint, bool)> = items
                .iter()
                .enumerate()
                .filter_map(|(i, item)| match item {
                    Item::Histogram(h, hinted) => Some((HistogramPoint { t_ms: at(i), histogram: h.clone() }, *hinted)),
                    _ => None,
                })
                .collect();
            let same_floats = floats.len() == series.points.len()
                && floats.iter().zip(&series.points).all(|(a, b)| a.t_ms == b.t_ms && close(a.value, b.value));
            let same_histograms = histograms.len() == series.histograms.len()
                && histograms
                    .iter()
                    .zip(&series.histograms)
                    .all(|((a, hinted), b)| a.t_ms == b.t_ms && close_histograms(&a.histogram, &b.histogram, *hinted));
            if !same_floats || !same_histograms {
                return Err(format!("got {series:?}, expected {items:?}"));
            }
        }
        match wanted.keys().next() {
            Some(labels) => Err(format!("the series {labels} is missing")),
            None => Ok(()),
        }
    }
}

/// Equal within a millionth, the tolerance the scripts are written for.
fn close(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    if a == b {
        return true;
    }
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < 1e-6 * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < 1e-6
}

fn close_histograms(wanted: &Histogram, got: &Histogram, hinted: bool) -> bool {
    let (mut a, mut b) = (wanted.clone(), got.clone());
    a.compact();
    b.compact();
    let sides = [(&a.positive, &b.positive), (&a.negative, &b.negative)];
    let same_buckets = sides.iter().all(|(x, y)| {
        x.counts.len() == y.counts.len() && x.indexed().zip(y.indexed()).all(|((i, v), (j, w))| i == j && close(v, w))
    });
    a.schema == b.schema
        && close(a.count, b.count)
        && close(a.sum, b.sum)
        && a.bounds == b.bounds
        && a.zero_threshold == b.zero_threshold
        && close(a.zero_count, b.zero_count)
        && same_buckets
        && (!hinted || a.reset_hint == b.reset_hint)
}
