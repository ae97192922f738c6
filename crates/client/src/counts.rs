//! Counting evaluations: one atomic addition per evaluation, drained now and then by the thread that sends.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use tenfold_flags::{DISABLED_VARIANT, Feature};

/// Counts of one flag. Kept while the flag stands, however often the definitions change.
#[derive(Debug)]
pub(crate) struct FlagCounts {
    yes: AtomicU64,
    no: AtomicU64,
    /// Sorted by name.
    variants: Vec<(Box<str>, AtomicU64)>,
}

impl FlagCounts {
    fn new(names: Vec<&str>) -> Self {
        let variants = names.into_iter().map(|name| (name.into(), AtomicU64::new(0))).collect();
        Self { yes: AtomicU64::new(0), no: AtomicU64::new(0), variants }
    }

    fn has(&self, names: &[&str]) -> bool {
        self.variants.iter().map(|(name, _)| &**name).eq(names.iter().copied())
    }

    pub(crate) fn count(&self, enabled: bool, variant: &str) {
        let side = if enabled { &self.yes } else { &self.no };
        side.fetch_add(1, Ordering::Relaxed);
        if let Ok(i) = self.variants.binary_search_by(|(name, _)| (**name).cmp(variant)) {
            self.variants[i].1.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn variant_names(feature: &Feature) -> Vec<&str> {
    let all = feature.variants.iter().chain(feature.strategies.iter().flat_map(|s| &s.variants));
    let mut names: Vec<&str> = all.map(|v| v.name.as_str()).chain([DISABLED_VARIANT]).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// What was counted of one flag since it was last taken, in the shape of the Unleash protocol.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Taken {
    yes: u64,
    no: u64,
    variants: BTreeMap<Box<str>, u64>,
}

pub(crate) type Report = BTreeMap<Box<str>, Taken>;

/// The counts of all flags, current ones and those that an evaluation may still be adding to.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    current: HashMap<Box<str>, Arc<FlagCounts>>,
    retired: Vec<(Box<str>, Arc<FlagCounts>)>,
}

impl Ledger {
    /// The counts for `feature`; the same as before unless its variants changed.
    pub(crate) fn of(&mut self, feature: &Feature) -> Arc<FlagCounts> {
        let names = variant_names(feature);
        match self.current.get(feature.name.as_str()) {
            Some(counts) if counts.has(&names) => counts.clone(),
            _ => {
                let name: Box<str> = feature.name.as_str().into();
                let counts = Arc::new(FlagCounts::new(names));
                if let Some(old) = self.current.insert(name.clone(), counts.clone()) {
                    self.retired.push((name, old));
                }
                counts
            }
        }
    }

    /// Retires the flags that `stands` no longer knows.
    pub(crate) fn keep(&mut self, stands: impl Fn(&str) -> bool) {
        let gone: Vec<Box<str>> = self.current.keys().filter(|name| !stands(name)).cloned().collect();
        for name in gone {
            if let Some(counts) = self.current.remove(&name) {
                self.retired.push((name, counts));
            }
        }
    }

    /// The flag of that name stands no longer.
    pub(crate) fn end(&mut self, name: &str) {
        if let Some((name, counts)) = self.current.remove_entry(name) {
            self.retired.push((name, counts));
        }
    }

    /// Takes what was counted. What nobody can add to any more is forgotten.
    pub(crate) fn take(&mut self) -> Report {
        let mut report = Report::new();
        // Who alone holds the counts sees every addition; asked before they are drained.
        let mut kept = Vec::new();
        for (name, counts) in self.retired.drain(..) {
            let shared = Arc::strong_count(&counts) > 1;
            drain(&counts, &name, &mut report);
            if shared {
                kept.push((name, counts));
            }
        }
        self.retired = kept;
        for (name, counts) in &self.current {
            drain(counts, name, &mut report);
        }
        report
    }

    /// Puts back what could not be sent: it is taken again together with what comes until then.
    pub(crate) fn give_back(&mut self, report: Report) {
        for (name, taken) in report {
            let variants = taken.variants.into_iter().map(|(name, number)| (name, AtomicU64::new(number)));
            let counts = FlagCounts { yes: taken.yes.into(), no: taken.no.into(), variants: variants.collect() };
            self.retired.push((name, Arc::new(counts)));
        }
    }
}

fn drain(counts: &FlagCounts, name: &str, report: &mut Report) {
    let (yes, no) = (counts.yes.swap(0, Ordering::AcqRel), counts.no.swap(0, Ordering::AcqRel));
    if yes + no == 0 {
        return;
    }
    let taken = report.entry(name.into()).or_default();
    taken.yes += yes;
    taken.no += no;
    for (variant, number) in &counts.variants {
        let number = number.swap(0, Ordering::AcqRel);
        if number > 0 {
            *taken.variants.entry(variant.clone()).or_default() += number;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature(name: &str, variants: &[&str]) -> Feature {
        let variants = variants.iter().map(|v| tenfold_flags::Variant { name: (*v).into(), ..Default::default() });
        Feature { name: name.into(), variants: variants.collect(), ..Feature::default() }
    }

    fn json(report: &Report) -> String {
        serde_json::to_string(report).unwrap()
    }

    #[test]
    fn nothing_is_lost_when_definitions_change() {
        let mut ledger = Ledger::default();
        let before = ledger.of(&feature("a", &["x"]));
        before.count(true, "x");
        let after = ledger.of(&feature("a", &["x", "y"]));
        after.count(true, "y");
        before.count(false, DISABLED_VARIANT);
        assert_eq!(json(&ledger.take()), r#"{"a":{"yes":2,"no":1,"variants":{"disabled":1,"x":1,"y":1}}}"#);
        before.count(true, "x"); // an evaluation that had read the old definitions
        ledger.keep(|_| false);
        assert_eq!(json(&ledger.take()), r#"{"a":{"yes":1,"no":0,"variants":{"x":1}}}"#);
        drop((before, after));
        assert_eq!(json(&ledger.take()), "{}");
        assert!(ledger.retired.is_empty() && ledger.current.is_empty());
    }

    #[test]
    fn what_could_not_be_sent_comes_again() {
        let mut ledger = Ledger::default();
        ledger.of(&feature("a", &["x"])).count(true, "x");
        ledger.of(&feature("b", &[])).count(false, DISABLED_VARIANT);
        let report = ledger.take();
        let first = json(&report);
        ledger.keep(|name| name == "a");
        ledger.give_back(report);
        assert_eq!(json(&ledger.take()), first);
        assert_eq!(json(&ledger.take()), "{}");
    }

    #[test]
    fn the_same_flag_keeps_its_counts() {
        let mut ledger = Ledger::default();
        let one = ledger.of(&feature("a", &["x", "y"]));
        assert!(Arc::ptr_eq(&one, &ledger.of(&feature("a", &["y", "x", "x"]))));
    }
}
