//! What a scrape becomes: samples with the target's labels, `up`, and staleness marks for series that vanished.

use std::collections::HashSet;

use tenfold_protocols::prom_text::{self, Format};
use tenfold_tsdb::Sample;
use tenfold_types::{Fault, Labels, STALE_NAN, Timestamp};

use super::{AHEAD_MS_MAX, State, Target};

/// What came of asking a target.
pub struct Scraped {
    /// When it was asked.
    pub at: Timestamp,
    pub duration_ms: i64,
    /// The page and its format, or why there is none.
    pub page: Result<(String, Format), String>,
}

/// The labels of a scraped sample: the target's win, what they hide is kept as `exported_NAME`, as Prometheus does.
fn with_target_labels(sample: &Labels, target: &Labels) -> Labels {
    let mut out = target.clone();
    for (name, value) in sample.iter() {
        match target.get(name) {
            Some(_) => out.set(format!("exported_{name}"), value),
            None => out.set(name, value),
        }
    }
    out
}

/// The series that every scrape brings, whatever the page said.
fn scrape_series(target: &Labels) -> impl Iterator<Item = Labels> {
    let names = ["up", "scrape_duration_seconds", "scrape_samples_scraped"];
    names.into_iter().map(|name| target.clone().with(Labels::NAME, name))
}

impl State {
    /// Keeps what a scrape brought. A failed one marks the target's series as ended and `up` as 0.
    pub fn scraped(&self, target: &Target, scraped: Scraped) -> Result<(), Fault> {
        let at = scraped.at.millis();
        let mut samples = Vec::new();
        let mut series = HashSet::new();
        let mut ahead = 0usize;
        let read = scraped.page.and_then(|(text, format)| prom_text::parse(&text, format).map_err(|e| e.to_string()));
        let error = match read {
            Ok(page) => {
                for sample in page.samples {
                    if sample.t_ms.is_some_and(|t| t > at.saturating_add(AHEAD_MS_MAX)) {
                        ahead += 1;
                        continue;
                    }
                    let labels = with_target_labels(&sample.labels, &target.labels);
                    if sample.t_ms.is_none() {
                        series.insert(labels.clone());
                    }
                    samples.push(Sample::new(labels, sample.t_ms.unwrap_or(at), sample.value));
                }
                self.keep_metadata(page.metadata);
                None
            }
            Err(error) => Some(error),
        };
        if ahead > 0 {
            self.own.add("tenfold_samples_rejected_total", &[("reason", "too_far_ahead")], ahead as f64);
        }
        let count = samples.len();
        let before = self.registry().last(target, |last| std::mem::replace(&mut last.series, series.clone()));
        samples.extend(before.difference(&series).map(|l| Sample::new(l.clone(), at, STALE_NAN)));
        let own = [f64::from(u8::from(error.is_none())), scraped.duration_ms as f64 / 1000.0, count as f64];
        samples.extend(scrape_series(&target.labels).zip(own).map(|(labels, value)| Sample::new(labels, at, value)));
        self.registry().last(target, |last| {
            last.at = Some(scraped.at);
            last.duration_ms = scraped.duration_ms;
            last.samples = count;
            last.labels.clone_from(&target.labels);
            last.error = error;
        });
        self.append(&samples).map(|_| ())
    }

    /// Ends the series of targets that are no longer there, so that their last values do not linger.
    pub fn end_gone_targets(&self, now: Timestamp) -> Result<(), Fault> {
        let gone = self.registry().take_gone();
        let samples: Vec<Sample> = gone
            .into_iter()
            .flat_map(|last| scrape_series(&last.labels).chain(last.series).collect::<Vec<_>>())
            .map(|labels| Sample::new(labels, now.millis(), STALE_NAN))
            .collect();
        if samples.is_empty() { Ok(()) } else { self.append(&samples).map(|_| ()) }
    }

    pub(super) fn keep_metadata(&self, found: impl IntoIterator<Item = (String, prom_text::Metadata)>) {
        const FAMILIES_MAX: usize = 20_000;
        let mut known = self.metadata.lock();
        for (name, metadata) in found {
            if known.len() < FAMILIES_MAX || known.contains_key(&name) {
                known.insert(name, metadata);
            }
        }
    }

    /// Kind and help of every metric family that was scraped.
    pub fn metadata(&self) -> std::collections::BTreeMap<String, prom_text::Metadata> {
        self.metadata.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_targets_labels_win_and_hide_nothing() {
        let sample = Labels::from_pairs([("__name__", "x"), ("job", "mine"), ("code", "200")]);
        let target = Labels::from_pairs([("job", "photos"), ("instance", "h:1")]);
        assert_eq!(
            with_target_labels(&sample, &target).to_string(),
            "x{code=\"200\",exported_job=\"mine\",instance=\"h:1\",job=\"photos\"}"
        );
    }
}
