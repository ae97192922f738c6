//! Classic histograms of a page as native ones with custom buckets (`convert_classic_histograms_to_nhcb`).
//!
//! As Prometheus 3 does it (`model/textparse/nhcbparse.go`, `util/convertnhcb`): only families that the page calls
//! histograms, only those of which it has no native one, and the classic series stay beside it where they are wanted. What
//! makes no histogram (counts that fall, a count that is not that of the last bucket) stays as it came, so that nothing is
//! lost.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tenfold_types::histogram::{Buckets, CUSTOM_SCHEMA};
use tenfold_types::{Histogram, Labels};

use crate::exposition::{Metadata, Page, PageExemplar, PageSample};
use crate::remote_write::HISTOGRAM_BUCKETS_MAX;

/// What a series of a classic histogram says.
#[derive(Clone, Copy)]
enum Part {
    /// Observations up to a bound.
    Below(f64),
    Count,
    Sum,
}

/// Converts the classic histograms of a page; with `keep` their series stay as well.
pub fn convert(page: &mut Page, keep: bool) {
    let samples = std::mem::take(&mut page.samples);
    let native: HashSet<Labels> = samples.iter().filter(|s| s.histogram.is_some()).map(|s| s.labels.clone()).collect();
    let mut all: Vec<Collected> = Vec::new();
    let mut known: HashMap<(Labels, Option<i64>), usize> = HashMap::new();
    let mut of = Vec::with_capacity(samples.len());
    for sample in &samples {
        let part = part(sample, &page.metadata).filter(|(labels, _)| !native.contains(labels));
        let at = part.map(|(labels, part)| {
            let at = *known.entry((labels, sample.t_ms)).or_insert_with_key(|(labels, t_ms)| {
                all.push(Collected::new(labels.clone(), sample.blank.clone(), *t_ms));
                all.len() - 1
            });
            all[at].take(part, sample);
            at
        });
        of.push(at);
    }
    let mut made: Vec<Option<PageSample>> = all.into_iter().map(Collected::sample).collect();
    let is_made: Vec<bool> = made.iter().map(Option::is_some).collect();
    for (mut sample, at) in samples.into_iter().zip(of) {
        let converted = at.filter(|at| is_made[*at]);
        if let Some(at) = converted {
            page.samples.extend(made[at].take());
            // They are on the native one.
            sample.exemplars.clear();
        }
        if converted.is_none() || keep {
            page.samples.push(sample);
        }
    }
}

/// The labels of the histogram that a series is a part of, and which part.
fn part(sample: &PageSample, metadata: &BTreeMap<String, Metadata>) -> Option<(Labels, Part)> {
    let name = sample.labels.metric_name()?;
    let (family, suffix) = name.rsplit_once('_')?;
    if sample.histogram.is_some() || metadata.get(family)?.kind != "histogram" {
        return None;
    }
    let part = match suffix {
        "bucket" => Part::Below(sample.labels.get("le")?.parse().ok().filter(|bound: &f64| !bound.is_nan())?),
        "count" => Part::Count,
        "sum" => Part::Sum,
        _ => return None,
    };
    let mut labels = sample.labels.clone();
    labels.set(Labels::NAME, family);
    labels.remove("le");
    Some((labels, part))
}

/// All that was found of one histogram.
struct Collected {
    labels: Labels,
    blank: Box<[String]>,
    t_ms: Option<i64>,
    /// Bounds, and the observations up to them.
    below: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
    created_ms: Option<i64>,
    exemplars: Vec<PageExemplar>,
}

impl Collected {
    fn new(labels: Labels, blank: Box<[String]>, t_ms: Option<i64>) -> Self {
        let (below, exemplars) = (Vec::new(), Vec::new());
        Self { labels, blank, t_ms, below, count: None, sum: 0.0, created_ms: None, exemplars }
    }

    fn take(&mut self, part: Part, sample: &PageSample) {
        match part {
            Part::Below(bound) => self.below.push((bound, sample.value)),
            Part::Count => self.count = Some(sample.value),
            Part::Sum => self.sum = sample.value,
        }
        self.created_ms = self.created_ms.or(sample.created_ms);
        // Exemplars without a time cannot be told apart from those of the scrape before.
        self.exemplars.extend(sample.exemplars.iter().filter(|e| e.t_ms.is_some()).cloned());
    }

    fn sample(mut self) -> Option<PageSample> {
        self.below.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.below.dedup_by(|later, first| later.0 == first.0);
        let count = self.count.or(self.below.last().map(|(_, count)| *count))?;
        if self.below.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
            self.below.push((f64::INFINITY, count));
        }
        if self.below.len() > HISTOGRAM_BUCKETS_MAX {
            return None;
        }
        let mut before = 0.0;
        let mut counts = Vec::with_capacity(self.below.len());
        for (_, below) in &self.below {
            if below.is_nan() || *below < before {
                return None;
            }
            counts.push(below - before);
            before = *below;
        }
        if count != before {
            return None;
        }
        let bounds: Arc<[f64]> = self.below[..self.below.len() - 1].iter().map(|(bound, _)| *bound).collect();
        let filled = counts.iter().enumerate().filter(|(_, count)| **count != 0.0);
        let histogram = Histogram {
            schema: CUSTOM_SCHEMA,
            count,
            sum: self.sum,
            positive: Buckets::from_indexed(filled.map(|(i, count)| (i as i32, *count))),
            bounds,
            ..Histogram::default()
        };
        histogram.validate().ok()?;
        let mut out = PageSample::new(self.labels, self.sum, self.t_ms);
        out.blank = self.blank;
        out.histogram = Some(Arc::new(histogram));
        out.created_ms = self.created_ms;
        out.exemplars = self.exemplars;
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::{Format, Histograms, read};

    fn shown(text: &str, format: Format, classic_too: bool) -> Vec<String> {
        let histograms = Histograms { convert: true, classic_too, ..Histograms::default() };
        let page = read(text.as_bytes(), format, histograms, 0).unwrap();
        let value = |s: &PageSample| match &s.histogram {
            Some(h) => format!("count {} sum {} bounds {:?} {:?}", h.count, h.sum, h.bounds, {
                h.positive.indexed().collect::<Vec<_>>()
            }),
            None => s.value.to_string(),
        };
        page.samples.iter().map(|s| format!("{} {}", s.labels, value(s))).collect()
    }

    const PAGE: &str = "# TYPE h histogram\nh_bucket{a=\"1\",le=\"1\"} 2\nh_bucket{a=\"1\",le=\"5\"} 2\n\
                        h_bucket{a=\"1\",le=\"+Inf\"} 7\nh_sum{a=\"1\"} 30.5\nh_count{a=\"1\"} 7\nother 3\n";

    #[test]
    fn a_classic_histogram_becomes_one_series() {
        let native = "h{a=\"1\"} count 7 sum 30.5 bounds [1.0, 5.0] [(0, 2.0), (2, 5.0)]";
        assert_eq!(shown(PAGE, Format::Prometheus, false), [native, "other 3"]);
        let both = shown(PAGE, Format::Prometheus, true);
        assert_eq!((both.len(), both[0].as_str(), both[1].as_str()), (7, native, "h_bucket{a=\"1\",le=\"1.0\"} 2"));
    }

    #[test]
    fn what_openmetrics_says_besides_goes_with_it() {
        let text = "# TYPE h histogram\nh_bucket{le=\"1\"} 1 # {t=\"x\"} 0.5 7.5\nh_bucket{le=\"+Inf\"} 1 # {t=\"y\"} 9\n\
                    h_count 1\nh_sum 0.5\nh_created 8\n# EOF\n";
        let histograms = Histograms { convert: true, classic_too: false, native: false };
        let page = read(text.as_bytes(), Format::OpenMetrics, histograms, 0).unwrap();
        let [sample] = page.samples.as_slice() else { panic!("{:?}", page.samples) };
        assert_eq!((sample.created_ms, sample.exemplars.len()), (Some(8_000), 1));
        assert_eq!(sample.exemplars[0].t_ms, Some(7_500));
    }

    #[test]
    fn only_whole_histograms_are_converted() {
        // No `+Inf`: the count is that of the last bucket. No count: the last bucket is.
        let lacking = "# TYPE h histogram\nh_bucket{le=\"2\"} 3\nh_count 5\n";
        assert_eq!(shown(lacking, Format::Prometheus, false), ["h count 5 sum 0 bounds [2.0] [(0, 3.0), (1, 2.0)]"]);
        let uncounted = "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 4\nh_bucket{le=\"2\"} 3\nh_bucket{le=\"2\"} 9\n";
        assert_eq!(shown(uncounted, Format::Prometheus, false), ["h count 4 sum 0 bounds [2.0] [(0, 3.0), (1, 1.0)]"]);
        let only_count = "# TYPE h histogram\nh_count 2\nh_sum 1\n";
        assert_eq!(shown(only_count, Format::Prometheus, false), ["h count 2 sum 1 bounds [] [(0, 2.0)]"]);
        for kept in [
            "# TYPE h histogram\nh_bucket{le=\"1\"} 4\nh_bucket{le=\"2\"} 3\nh_bucket{le=\"+Inf\"} 4\nh_count 4\nh_sum 1\n",
            "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 4\nh_count 5\n",
            "# TYPE h histogram\nh_bucket{le=\"+Inf\"} -4\n",
            "# TYPE h histogram\nh_sum 1\n",
            "# TYPE h histogram\nh_bucket 1\n",
            "# TYPE h gauge\nh_bucket{le=\"+Inf\"} 4\nh_count 4\n",
            "h_bucket{le=\"+Inf\"} 4\nh_count 4\n",
        ] {
            let lines = kept.lines().filter(|line| !line.starts_with('#')).count();
            let shown = shown(kept, Format::Prometheus, false);
            assert_eq!(shown.len(), lines, "{kept}");
            assert!(shown.iter().all(|s| !s.contains("bounds")), "{shown:?}");
        }
    }
}
