//! Series on their way in: what every protocol that carries samples is decoded into.
//!
//! Label names and values are borrowed from the body they came in, and everything lies in a few flat lists, so that a
//! series costs no allocation of its own. A series that cannot be kept is left out and counted by reason.

use std::ops::Range;

use tenfold_types::{HistogramPoint, Labels, Point};

/// Series one request may carry.
pub const SERIES_MAX: usize = 200_000;
/// Float samples, native histograms and exemplars one request may carry, all together.
pub const SAMPLES_MAX: usize = 1_000_000;
/// Labels of all series of one request.
pub const LABELS_MAX: usize = 2_000_000;
/// Buckets of all native histograms of one request.
pub const BUCKETS_MAX: usize = 2_000_000;

/// A request that asks for more memory than one may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request carries more than {max} {what}; send smaller ones")]
pub struct TooMuch {
    pub what: &'static str,
    pub max: usize,
}

/// An example of what a counter or bucket counts, mostly the id of a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar<'a> {
    pub labels: Vec<(&'a str, &'a str)>,
    pub value: f64,
    /// Milliseconds since the epoch; `None` for that of the sample.
    pub t_ms: Option<i64>,
}

/// What was left out for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// A stable name, the value of the label `reason`.
    pub reason: &'static str,
    /// Samples and histograms.
    pub count: usize,
    /// One sentence about the first.
    pub example: String,
}

/// A sample's own timestamp may lie at most this far ahead of the clock: one from next year would make every sample of its series
/// until then one that comes too late.
pub const AHEAD_MS_MAX: i64 = 10 * 60_000;
/// Bytes of the sentence about the first that was left out: it is logged, shown and kept, and labels are as long as senders want.
const EXAMPLE_BYTES_MAX: usize = 2_000;

/// Adds to the entry of a reason; the first one is told in words.
pub fn refuse(all: &mut Vec<Refused>, reason: &'static str, count: usize, example: impl FnOnce() -> String) {
    match all.iter_mut().find(|r| r.reason == reason) {
        Some(found) => found.count += count,
        None if count > 0 => {
            let mut example = example();
            if example.len() > EXAMPLE_BYTES_MAX {
                example = format!("{}…", &example[..example.floor_char_boundary(EXAMPLE_BYTES_MAX)]);
            }
            all.push(Refused { reason, count, example });
        }
        None => {}
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    labels: Range<usize>,
    points: Range<usize>,
    histograms: Range<usize>,
    exemplars: Range<usize>,
    created_ms: Option<i64>,
}

/// Series with their samples, in the order in which they came.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch<'a> {
    labels: Vec<(&'a str, &'a str)>,
    points: Vec<Point>,
    histograms: Vec<HistogramPoint>,
    exemplars: Vec<Exemplar<'a>>,
    series: Vec<Entry>,
    buckets: usize,
    exemplar_labels: usize,
    refused: Vec<Refused>,
    open: Open,
}

/// Where the series that is being filled begins.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Open {
    labels: usize,
    points: usize,
    histograms: usize,
    exemplars: usize,
    created_ms: Option<i64>,
}

/// One series of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Series<'b, 'a> {
    /// Sorted by name, each name once, no empty value.
    pub labels: &'b [(&'a str, &'a str)],
    pub points: &'b [Point],
    pub histograms: &'b [HistogramPoint],
    pub exemplars: &'b [Exemplar<'a>],
    /// When what is counted began to be counted.
    pub created_ms: Option<i64>,
    /// Whether the zero of that start was written before: whoever knows says so.
    pub start_is_known: bool,
}

impl Series<'_, '_> {
    /// Owned, for messages and whoever keeps them.
    pub fn owned_labels(&self) -> Labels {
        Labels::from_pairs(self.labels.iter().copied())
    }
}

impl<'a> Batch<'a> {
    /// Adds a label to the series that is being filled. In any order; an empty value is no label.
    pub fn label(&mut self, name: &'a str, value: &'a str) -> Result<(), TooMuch> {
        if self.labels.len() >= LABELS_MAX {
            return Err(TooMuch { what: "labels", max: LABELS_MAX });
        }
        if !value.is_empty() {
            self.labels.push((name, value));
        }
        Ok(())
    }

    pub fn point(&mut self, point: Point) -> Result<(), TooMuch> {
        self.room()?;
        self.points.push(point);
        Ok(())
    }

    pub fn histogram(&mut self, point: HistogramPoint) -> Result<(), TooMuch> {
        self.room()?;
        self.buckets += point.histogram.positive.counts.len() + point.histogram.negative.counts.len();
        if self.buckets > BUCKETS_MAX {
            return Err(TooMuch { what: "buckets of histograms", max: BUCKETS_MAX });
        }
        self.histograms.push(point);
        Ok(())
    }

    pub fn exemplar(&mut self, exemplar: Exemplar<'a>) -> Result<(), TooMuch> {
        self.room()?;
        self.exemplar_labels += exemplar.labels.len();
        if self.exemplar_labels > LABELS_MAX {
            return Err(TooMuch { what: "labels of exemplars", max: LABELS_MAX });
        }
        self.exemplars.push(exemplar);
        Ok(())
    }

    /// When the counters of the series that is being filled began.
    pub fn created(&mut self, t_ms: i64) {
        self.open.created_ms = Some(t_ms);
    }

    fn room(&self) -> Result<(), TooMuch> {
        if self.points.len() + self.histograms.len() + self.exemplars.len() >= SAMPLES_MAX {
            return Err(TooMuch { what: "samples", max: SAMPLES_MAX });
        }
        Ok(())
    }

    /// Leaves out a sample of the series that is being filled, or of none.
    pub fn refuse(&mut self, reason: &'static str, count: usize, example: impl FnOnce() -> String) {
        refuse(&mut self.refused, reason, count, example);
    }

    /// Leaves out the series that is being filled, with all its samples.
    pub fn refuse_series(&mut self, reason: &'static str, message: &str) {
        let open = self.open;
        let count = self.points.len() - open.points + self.histograms.len() - open.histograms;
        let series = Labels::from_pairs(self.labels[open.labels..].iter().copied().take(20));
        refuse(&mut self.refused, reason, count, || format!("{series}: {message}"));
        self.forget();
    }

    /// Ends the series that is being filled. One with labels that no series may have is left out.
    pub fn end(&mut self) -> Result<(), TooMuch> {
        let open = self.open;
        let labels = &mut self.labels[open.labels..];
        if labels.windows(2).any(|w| w[0].0 >= w[1].0) {
            labels.sort_unstable_by(|a, b| a.0.cmp(b.0));
        }
        let wrong = wrong_labels(labels);
        if let Some((reason, message)) = wrong {
            self.refuse_series(reason, message);
            return Ok(());
        }
        if self.series.len() >= SERIES_MAX {
            return Err(TooMuch { what: "series", max: SERIES_MAX });
        }
        self.series.push(Entry {
            labels: open.labels..self.labels.len(),
            points: open.points..self.points.len(),
            histograms: open.histograms..self.histograms.len(),
            exemplars: open.exemplars..self.exemplars.len(),
            created_ms: open.created_ms,
        });
        self.next();
        Ok(())
    }

    /// Drops the series that is being filled.
    pub fn forget(&mut self) {
        self.labels.truncate(self.open.labels);
        self.points.truncate(self.open.points);
        self.histograms.truncate(self.open.histograms);
        self.exemplars.truncate(self.open.exemplars);
        self.open.created_ms = None;
    }

    fn next(&mut self) {
        self.open = Open {
            labels: self.labels.len(),
            points: self.points.len(),
            histograms: self.histograms.len(),
            exemplars: self.exemplars.len(),
            created_ms: None,
        };
    }

    pub fn series(&self) -> impl Iterator<Item = Series<'_, 'a>> {
        self.series.iter().map(|e| Series {
            labels: &self.labels[e.labels.clone()],
            points: &self.points[e.points.clone()],
            histograms: &self.histograms[e.histograms.clone()],
            exemplars: &self.exemplars[e.exemplars.clone()],
            created_ms: e.created_ms,
            start_is_known: false,
        })
    }

    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }
    pub fn series_count(&self) -> usize {
        self.series.len()
    }
    pub fn point_count(&self) -> usize {
        self.points.len()
    }
    pub fn histogram_count(&self) -> usize {
        self.histograms.len()
    }
    pub fn exemplar_count(&self) -> usize {
        self.exemplars.len()
    }
}

/// Why sorted labels are not those of a series.
fn wrong_labels(labels: &[(&str, &str)]) -> Option<(&'static str, &'static str)> {
    if labels.iter().any(|(name, _)| name.is_empty()) {
        return Some(("bad_labels", "a label has no name"));
    }
    if labels.windows(2).any(|w| w[0].0 == w[1].0) {
        return Some(("bad_labels", "a label stands twice"));
    }
    if labels.iter().all(|(name, _)| *name != Labels::NAME) {
        return Some(("no_metric_name", "the series has no metric name"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(labels: &[(&'static str, &'static str)]) -> Batch<'static> {
        let mut batch = Batch::default();
        for (name, value) in labels {
            batch.label(name, value).unwrap();
        }
        batch.point(Point::new(1, 2.0)).unwrap();
        batch.end().unwrap();
        batch
    }

    #[test]
    fn labels_are_put_in_order() {
        let batch = filled(&[("job", "web"), ("empty", ""), ("__name__", "up")]);
        let series: Vec<_> = batch.series().collect();
        assert_eq!(series[0].labels, [("__name__", "up"), ("job", "web")]);
        assert_eq!(series[0].points, [Point::new(1, 2.0)]);
        assert!(batch.refused().is_empty());
    }

    #[test]
    fn what_is_no_series_is_counted_and_told() {
        for (labels, reason, example) in [
            (&[("job", "web")][..], "no_metric_name", "{job=\"web\"}: the series has no metric name"),
            (&[("__name__", "up"), ("", "x")], "bad_labels", "up{\"\"=\"x\"}: a label has no name"),
            (&[("a", "1"), ("__name__", "up"), ("a", "2")], "bad_labels", "up{a=\"2\"}: a label stands twice"),
        ] {
            let mut batch = filled(labels);
            let refused = Refused { reason, count: 1, example: example.into() };
            assert_eq!((batch.refused(), batch.series_count(), batch.point_count()), (&[refused][..], 0, 0));
            batch.label("__name__", "next").unwrap();
            batch.end().unwrap();
            assert_eq!(batch.series().next().unwrap().labels, [("__name__", "next")], "nothing is left of it");
        }
    }

    #[test]
    fn what_is_told_of_a_refusal_is_short() {
        let mut all = Vec::new();
        refuse(&mut all, "bad_labels", 1, || "é".repeat(1 << 20));
        assert_eq!(all[0].example.chars().count(), EXAMPLE_BYTES_MAX / 2 + 1);
        assert!(all[0].example.ends_with("é…"));
    }

    #[test]
    fn a_request_may_not_carry_too_much() {
        let mut batch = filled(&[("__name__", "up")]);
        let full = (1..=SAMPLES_MAX).find_map(|t| batch.point(Point::new(t as i64, 0.0)).err());
        assert_eq!(full.unwrap().to_string(), "the request carries more than 1000000 samples; send smaller ones");
        let full = (0..=LABELS_MAX).find_map(|_| batch.label("a", "b").err());
        assert_eq!(full.unwrap().what, "labels");
        let mut batch = filled(&[("__name__", "up")]);
        let exemplar = || Exemplar { labels: vec![("a", "b"); 1_000], value: 1.0, t_ms: None };
        let full = (0..=LABELS_MAX / 1_000).find_map(|_| batch.exemplar(exemplar()).err());
        assert_eq!(full.unwrap().what, "labels of exemplars");
    }
}
