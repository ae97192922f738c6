//! How often each flag was answered with what, counted in memory until it is sent upstream.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use serde::Deserialize;

/// Variants counted per flag; a client cannot make more up.
const VARIANTS_MAX: usize = 100;

/// No client answers more often than this between two reports.
const REPORT_MAX: u64 = 1_000_000_000;

/// Answers since the last report, of one flag in one environment.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    yes: AtomicU64,
    no: AtomicU64,
    variants: Mutex<BTreeMap<String, u64>>,
}

impl Counts {
    /// Counts one answer.
    pub(crate) fn add(&self, enabled: bool, variant: Option<&str>) {
        let counter = if enabled { &self.yes } else { &self.no };
        counter.fetch_add(1, Ordering::Relaxed);
        if let Some(name) = variant {
            self.add_variant(name, 1);
        }
    }

    fn add_variant(&self, name: &str, count: u64) {
        let mut variants = self.variants.lock();
        if let Some(known) = variants.get_mut(name) {
            *known = known.saturating_add(count);
        } else if variants.len() < VARIANTS_MAX {
            variants.insert(name.to_owned(), count);
        }
    }

    /// The counts, which start again from nothing.
    fn take(&self) -> UsageView {
        UsageView {
            yes: self.yes.swap(0, Ordering::Relaxed),
            no: self.no.swap(0, Ordering::Relaxed),
            by_variant: std::mem::take(&mut self.variants.lock()),
        }
    }
}

/// Answers since the last report.
#[derive(Debug, Clone, Default)]
pub(crate) struct UsageView {
    pub(crate) yes: u64,
    pub(crate) no: u64,
    pub(crate) by_variant: BTreeMap<String, u64>,
}

/// What an SDK reports of one flag.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Reported {
    #[serde(default)]
    pub(crate) yes: u64,
    #[serde(default)]
    pub(crate) no: u64,
    #[serde(default)]
    pub(crate) variants: BTreeMap<String, u64>,
}

/// Counts by environment and flag.
#[derive(Default)]
pub(crate) struct Usage(RwLock<BTreeMap<String, BTreeMap<String, Arc<Counts>>>>);

impl Usage {
    /// The counters of a flag.
    pub(crate) fn of(&self, environment: &str, flag: &str) -> Arc<Counts> {
        if let Some(known) = self.0.read().get(environment).and_then(|flags| flags.get(flag)) {
            return known.clone();
        }
        self.0.write().entry(environment.to_owned()).or_default().entry(flag.to_owned()).or_default().clone()
    }

    /// Adds what an SDK counted itself; flags that do not exist are passed over.
    pub(crate) fn report(&self, environment: &str, flag: &str, report: &Reported) {
        let counts = self.0.read().get(environment).and_then(|flags| flags.get(flag)).cloned();
        if let Some(counts) = counts {
            counts.yes.fetch_add(report.yes.min(REPORT_MAX), Ordering::Relaxed);
            counts.no.fetch_add(report.no.min(REPORT_MAX), Ordering::Relaxed);
            for (name, count) in &report.variants {
                counts.add_variant(name, (*count).min(REPORT_MAX));
            }
        }
    }

    /// Flags of one environment that were asked since this was last called, with their counts.
    pub(crate) fn take(&self, environment: &str) -> BTreeMap<String, UsageView> {
        let by_environment = self.0.read();
        let flags = by_environment.get(environment).into_iter().flatten();
        flags.map(|(flag, counts)| (flag.clone(), counts.take())).filter(|(_, u)| u.yes + u.no > 0).collect()
    }
}
