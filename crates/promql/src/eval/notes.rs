//! The remarks a query's answer may carry, in Prometheus' words. One that is made again is kept once; some then tell how
//! often and over which values.

use std::{collections::HashMap, fmt::Write};

use tenfold_types::histogram::short_float;

use crate::error::{Annotation, Level, Span};

/// What was done to histograms when a remark on them was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Addition,
    Subtraction,
    Aggregation,
}

impl Operation {
    fn word(self) -> &'static str {
        match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        }
    }
}

/// A remark; `name` is a metric's name, empty when it has none.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Note<'n> {
    InvalidQuantile(f64),
    InvalidRatio { ratio: f64, capped: f64 },
    BadBucketLabel { le: &'n str, name: &'n str },
    MixedRange { name: &'n str },
    MixedAggregation,
    MixedClassicNative { name: &'n str },
    NotCounter { name: &'n str },
    NotGauge { name: &'n str },
    MixedSchemas { name: &'n str },
    BucketLayout { operator: &'n str },
    SortInRange,
    PossiblyNoCounter { name: &'n str },
    TypedNoCounter { name: &'n str, type_label: &'n str },
    ForcedMonotonic { name: &'n str, t_ms: i64, forced: Forced },
    IncompatibleTypes { left: &'n str, operator: &'n str, right: &'n str },
    IgnoredInAggregation { aggregation: &'n str },
    IgnoredInRange { name: &'n str },
    QuantileIsNan { name: &'n str },
    QuantileSkewed { name: &'n str },
    FractionWithoutNan { name: &'n str },
    ResetsConflict(Operation),
    BoundsReconciled(Operation),
    StartOverlaps { name: &'n str },
}

/// Where counts of a classic histogram fell and were lifted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Forced {
    pub lowest: f64,
    pub highest: f64,
    pub greatest: f64,
}

/// What is added to a remark when the answer is complete.
#[derive(Debug, Clone, Copy)]
enum Detail {
    None,
    Monotonic { forced: Forced, first_ms: i64, last_ms: i64, times: usize },
    Times(usize),
}

/// More remarks than this are not kept: nobody reads them.
const NOTES_MAX: usize = 1000;

/// The remarks of one query.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    all: Vec<(Annotation, Detail)>,
    by_message: HashMap<String, usize>,
}

fn for_name(text: &str, name: &str) -> String {
    if name.is_empty() { text.into() } else { format!("{text} for metric name {name:?}") }
}

impl Note<'_> {
    fn level(&self) -> Level {
        use Note::{
            BoundsReconciled, ForcedMonotonic, FractionWithoutNan, IgnoredInAggregation, IgnoredInRange,
            IncompatibleTypes, PossiblyNoCounter, QuantileIsNan, QuantileSkewed, TypedNoCounter,
        };
        match self {
            PossiblyNoCounter { .. }
            | TypedNoCounter { .. }
            | ForcedMonotonic { .. }
            | IncompatibleTypes { .. }
            | IgnoredInAggregation { .. }
            | IgnoredInRange { .. }
            | QuantileIsNan { .. }
            | QuantileSkewed { .. }
            | FractionWithoutNan { .. }
            | BoundsReconciled(_) => Level::Info,
            _ => Level::Warning,
        }
    }

    fn message(&self) -> String {
        match *self {
            Self::InvalidQuantile(q) => {
                format!("quantile value should be between 0 and 1, got {}", short_float(q))
            }
            Self::InvalidRatio { ratio, capped } => format!(
                "ratio value should be between -1 and 1, got {}, capping to {}",
                short_float(ratio),
                short_float(capped)
            ),
            Self::BadBucketLabel { le, name } => {
                for_name(&format!("bucket label \"le\" is missing or has a malformed value of {le:?}"), name)
            }
            Self::MixedRange { name } => {
                format!("encountered a mix of histograms and floats for metric name {name:?}")
            }
            Self::MixedAggregation => "encountered a mix of histograms and floats for aggregation".into(),
            Self::MixedClassicNative { name } => {
                for_name("vector contains a mix of classic and native histograms", name)
            }
            Self::NotCounter { name } => format!("this native histogram metric is not a counter: {name:?}"),
            Self::NotGauge { name } => format!("this native histogram metric is not a gauge: {name:?}"),
            Self::MixedSchemas { name } => format!(
                "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {name:?}"
            ),
            Self::BucketLayout { operator } => {
                format!("incompatible bucket layout encountered for binary operator {operator}")
            }
            Self::SortInRange => {
                "sort is ineffective for range queries since results are always ordered by labels".into()
            }
            Self::PossiblyNoCounter { name } => {
                format!("metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name:?}")
            }
            Self::TypedNoCounter { name, type_label } => format!(
                "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got {type_label:?}: {name:?}"
            ),
            Self::ForcedMonotonic { name, .. } => for_name(
                "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)",
                name,
            ),
            Self::IncompatibleTypes { left, operator, right } => format!(
                "incompatible sample types encountered for binary operator {operator:?}: {left} {operator} {right}"
            ),
            Self::IgnoredInAggregation { aggregation } => format!("ignored histogram in {aggregation} aggregation"),
            Self::IgnoredInRange { name } => {
                format!("ignored histograms in a range containing both floats and histograms for metric name {name:?}")
            }
            Self::QuantileIsNan { name } => {
                for_name("input to histogram_quantile has NaN observations, result is NaN", name)
            }
            Self::QuantileSkewed { name } => {
                for_name("input to histogram_quantile has NaN observations, result is skewed higher", name)
            }
            Self::FractionWithoutNan { name } => for_name(
                "input to histogram_fraction has NaN observations, which are excluded from all fractions",
                name,
            ),
            Self::ResetsConflict(operation) => {
                format!("conflicting counter resets during histogram {}", operation.word())
            }
            Self::BoundsReconciled(operation) => {
                format!("mismatched custom buckets were reconciled during {}", operation.word())
            }
            Self::StartOverlaps { name } => {
                format!("sample has start time that overlaps with previous sample timestamp for metric {name:?}")
            }
        }
    }

    fn detail(&self) -> Detail {
        match *self {
            Self::ForcedMonotonic { t_ms, forced, .. } => {
                Detail::Monotonic { forced, first_ms: t_ms, last_ms: t_ms, times: 1 }
            }
            Self::StartOverlaps { .. } => Detail::Times(1),
            _ => Detail::None,
        }
    }
}

impl Notes {
    pub fn add(&mut self, span: Span, note: &Note<'_>) {
        self.put(Annotation { level: note.level(), message: note.message(), span }, note.detail());
    }

    /// The remarks of another, as if they had been made here after those that are.
    pub fn append(&mut self, later: Self) {
        later.all.into_iter().for_each(|(annotation, detail)| self.put(annotation, detail));
    }

    fn put(&mut self, Annotation { level, message, span }: Annotation, detail: Detail) {
        let known = self.by_message.get(&message).map(|i| &mut self.all[*i]);
        let Some((annotation, before)) = known else {
            if self.all.len() < NOTES_MAX {
                self.by_message.insert(message.clone(), self.all.len());
                self.all.push((Annotation { level, message, span }, detail));
            }
            return;
        };
        match (before, detail) {
            (
                Detail::Monotonic { forced, first_ms, last_ms, times },
                Detail::Monotonic { forced: more, first_ms: first_more, last_ms: last_more, times: times_more },
            ) => {
                *first_ms = first_more.min(*first_ms);
                *last_ms = last_more.max(*last_ms);
                forced.lowest = more.lowest.min(forced.lowest);
                forced.highest = more.highest.max(forced.highest);
                forced.greatest = more.greatest.max(forced.greatest);
                *times += times_more;
            }
            (Detail::Times(times), Detail::Times(more)) => *times += more,
            // The last place is the one that is told.
            _ => annotation.span = span,
        }
    }

    pub fn finish(self) -> Vec<Annotation> {
        let complete = |(mut annotation, detail): (Annotation, Detail)| {
            match detail {
                Detail::Monotonic { forced, first_ms, last_ms, times } => {
                    let _ = write!(
                        annotation.message,
                        ", from buckets {} to {}, with a max diff of {}, over {times} samples from {} to {}",
                        short_float(forced.lowest),
                        short_float(forced.highest),
                        two_digits(forced.greatest),
                        instant(first_ms),
                        instant(last_ms),
                    );
                }
                Detail::Times(times) if times > 1 => {
                    let _ = write!(annotation.message, " ({times} occurrences)");
                }
                _ => {}
            }
            annotation
        };
        self.all.into_iter().map(complete).collect()
    }
}

/// Two significant digits, with an exponent where `%.2g` has one.
fn two_digits(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return short_float(value);
    }
    let text = format!("{value:.1e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = exponent.parse().unwrap_or(0);
    if (-4..2).contains(&power) {
        return text.parse::<f64>().unwrap_or(value).to_string();
    }
    let mantissa = mantissa.strip_suffix(".0").unwrap_or(mantissa);
    format!("{mantissa}e{}{:02}", if power < 0 { '-' } else { '+' }, power.abs())
}

/// Whole seconds in UTC, as RFC 3339 writes them.
fn instant(t_ms: i64) -> String {
    let seconds = t_ms.div_euclid(1000);
    let part = |name: &str| super::calendar::part(name, seconds as f64).unwrap_or_default();
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        part("year"),
        part("month"),
        part("day_of_month"),
        part("hour"),
        part("minute"),
        seconds.rem_euclid(60)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_remarks_are_kept_once_and_counted() {
        let mut notes = Notes::default();
        notes.add(Span::new(1, 2), &Note::MixedAggregation);
        notes.add(Span::new(7, 9), &Note::MixedAggregation);
        for (t_ms, lowest, greatest) in [(60_000, 2.0, 0.25), (0, 1.0, 1234.0)] {
            let forced = Forced { lowest, highest: 5.0, greatest };
            notes.add(Span::new(3, 4), &Note::ForcedMonotonic { name: "x", t_ms, forced });
        }
        let all = notes.finish();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].span, Span::new(7, 9));
        assert!(
            all[1].message.ends_with(
                "for metric name \"x\", from buckets 1 to 5, with a max diff of 1.2e+03, over 2 samples from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z"
            ),
            "{}",
            all[1].message
        );
    }
}
