//! Series of one look at the host, within a limit.

use std::collections::{BTreeMap, HashSet};

use tenfold_protocols::{agent::METRICS_DROPPED, prom_page};
use tenfold_types::Labels;

/// Series of one look. Of each processor there are about twenty-five.
const SERIES_MAX: usize = 20_000;
/// What a family's line has beside the name, at most.
const TYPE_LINE_BYTES: usize = "# TYPE  histogram\n".len();

/// What was read, each series once.
#[derive(Debug, Default)]
pub struct Page {
    /// With the place at which each came: what came first is missed most.
    series: BTreeMap<Labels, (usize, f64)>,
    dropped: u64,
}

/// A page as it is told.
#[derive(Debug)]
pub struct PageText {
    /// In the Prometheus text format.
    pub text: String,
    /// Series that are left out of it.
    pub dropped: u64,
}

impl Page {
    pub(super) fn put(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.put_series(Labels::from_pairs(labels.iter().copied().chain([(Labels::NAME, name)])), value);
    }

    /// With the name among the labels.
    pub(super) fn put_series(&mut self, labels: Labels, value: f64) {
        let place = self.series.len();
        if let Some((_, known)) = self.series.get_mut(&labels) {
            *known = value;
        } else if place < SERIES_MAX {
            self.series.insert(labels, (place, value));
        } else {
            self.dropped += 1;
        }
    }

    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = Labels::from_pairs(labels.iter().copied().chain([(Labels::NAME, name)]));
        self.series.get(&labels).map(|(_, value)| *value)
    }

    pub fn series(&self) -> impl Iterator<Item = (&Labels, f64)> {
        self.series.iter().map(|(labels, (_, value))| (labels, *value))
    }

    /// In at most so many bytes: of what has no room, the last to come is left out and counted.
    pub fn text(&self, bytes_max: usize) -> PageText {
        let count = Labels::from_pairs([(Labels::NAME, METRICS_DROPPED)]);
        let whole = prom_page::write(self.series().chain([(&count, self.dropped as f64)]));
        if whole.len() <= bytes_max {
            return PageText { text: whole, dropped: self.dropped };
        }
        let mut by_place: Vec<(usize, &Labels, f64)> =
            self.series.iter().map(|(labels, (place, value))| (*place, labels, *value)).collect();
        by_place.sort_unstable_by_key(|(place, ..)| *place);
        // The count itself, however long its number becomes.
        let mut used = prom_page::write([(&count, u64::MAX as f64)]).len();
        let mut families = HashSet::new();
        let mut kept = Vec::with_capacity(by_place.len() + 1);
        for (_, labels, value) in by_place {
            let name = labels.metric_name().unwrap_or_default();
            let family = if families.contains(name) { 0 } else { name.len() + TYPE_LINE_BYTES };
            let bytes = family + labels.to_string().len() + prom_page::number(value).len() + " \n".len();
            if used + bytes <= bytes_max {
                used += bytes;
                families.insert(name);
                kept.push((labels, value));
            }
        }
        let dropped = self.dropped + (self.series.len() - kept.len()) as u64;
        kept.push((&count, dropped as f64));
        PageText { text: prom_page::write(kept), dropped }
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
        let told = page.text(usize::MAX);
        assert!(told.text.contains("\ntenfold_agent_series_dropped 1\n"));
        assert_eq!(told.dropped, 1);
    }

    #[test]
    fn what_has_no_room_is_left_out_and_counted() {
        const BYTES: usize = 2_000;
        let mut page = Page::default();
        page.put("zz_first", &[], 1.0);
        page.put("huge", &[("text", &"x".repeat(BYTES))], 1.0);
        for n in 0..100 {
            page.put("later", &[("n", &format!("{n:02}")), ("quoted", "a\"b\n")], f64::from(n));
        }
        let whole = page.text(usize::MAX);
        assert_eq!(whole.dropped, 0);
        let told = page.text(BYTES);
        assert!(told.text.len() <= BYTES, "{} bytes", told.text.len());
        assert!(told.text.len() > BYTES - 100, "there was room for more: {} bytes", told.text.len());
        let has = |line: &str| told.text.lines().any(|one| one.starts_with(line));
        assert!(has("zz_first 1") && has("later{n=\"00\"") && !has("later{n=\"99\"") && !has("huge"));
        let lines = told.text.lines().filter(|line| line.starts_with("later{")).count() as u64;
        // All of `later` that is not there, and the one that is larger than the page.
        assert_eq!(told.dropped, 100 - lines + 1);
        assert!(has(&format!("tenfold_agent_series_dropped {}", told.dropped)), "{}", told.text);
        // Nothing fits: the count is told all the same.
        assert_eq!(page.text(0).dropped, 102);
    }
}
