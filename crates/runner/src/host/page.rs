//! Series of one look at the host, within a limit.

use std::collections::BTreeMap;

use tenfold_protocols::prom_page;
use tenfold_types::Labels;

/// Series of one look. Of each processor there are about twenty.
const SERIES_MAX: usize = 10_000;

/// What was read, each series once.
#[derive(Debug, Default)]
pub struct Page {
    series: BTreeMap<Labels, f64>,
    dropped: u64,
}

impl Page {
    pub(super) fn put(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.put_series(Labels::from_pairs(labels.iter().copied().chain([(Labels::NAME, name)])), value);
    }

    /// With the name among the labels.
    pub(super) fn put_series(&mut self, labels: Labels, value: f64) {
        if self.series.len() < SERIES_MAX || self.series.contains_key(&labels) {
            self.series.insert(labels, value);
        } else {
            self.dropped += 1;
        }
    }

    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = Labels::from_pairs(labels.iter().copied().chain([(Labels::NAME, name)]));
        self.series.get(&labels).copied()
    }

    pub fn series(&self) -> impl Iterator<Item = (&Labels, f64)> {
        self.series.iter().map(|(labels, value)| (labels, *value))
    }

    /// In the Prometheus text format.
    pub fn text(&self) -> String {
        let dropped = Labels::from_pairs([(Labels::NAME, "tenfold_agent_series_dropped")]);
        prom_page::write(self.series().chain([(&dropped, self.dropped as f64)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_series_are_counted() {
        let mut page = Page::default();
        for n in 0..=SERIES_MAX {
            page.put("x", &[("n", &n.to_string())], 1.0);
        }
        page.put("x", &[("n", "0")], 2.0);
        assert_eq!(page.get("x", &[("n", "0")]), Some(2.0));
        assert!(page.text().contains("\ntenfold_agent_series_dropped 1\n"));
    }
}
