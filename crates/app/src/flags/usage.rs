//! How often each flag was answered with what, counted in memory and read out as metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

/// Variants counted per flag; a client cannot make more up.
const VARIANTS_MAX: usize = 100;

/// No client answers more often than this between two reports.
const REPORT_MAX: u64 = 1_000_000_000;

/// Answers since the server started, of one flag in one environment.
#[derive(Debug, Default)]
pub struct Counts {
    yes: AtomicU64,
    no: AtomicU64,
    variants: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
}

impl Counts {
    pub(super) fn add(&self, enabled: bool) {
        let counter = if enabled { &self.yes } else { &self.no };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// The counter of a variant; `None` when there are as many as may be.
    pub(super) fn of_variant(&self, name: &str) -> Option<Arc<AtomicU64>> {
        let mut variants = self.variants.lock();
        if let Some(known) = variants.get(name) {
            return Some(known.clone());
        }
        (variants.len() < VARIANTS_MAX).then(|| variants.entry(name.to_owned()).or_default().clone())
    }

    fn read(&self) -> UsageView {
        UsageView {
            yes: self.yes.load(Ordering::Relaxed),
            no: self.no.load(Ordering::Relaxed),
            by_variant: self
                .variants
                .lock()
                .iter()
                .map(|(name, count)| (name.clone(), count.load(Ordering::Relaxed)))
                .filter(|(_, count)| *count > 0)
                .collect(),
        }
    }
}

/// Answers since the server started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = FlagUsage)]
pub struct UsageView {
    pub yes: u64,
    pub no: u64,
    #[serde(default)]
    pub by_variant: BTreeMap<String, u64>,
}

/// What an SDK reports of one flag.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Reported {
    #[serde(default)]
    pub yes: u64,
    #[serde(default)]
    pub no: u64,
    #[serde(default)]
    pub variants: BTreeMap<String, u64>,
}

/// Counts by environment and flag.
#[derive(Default)]
pub struct Usage(RwLock<BTreeMap<String, BTreeMap<String, Arc<Counts>>>>);

impl Usage {
    pub(super) fn of(&self, environment: &str, flag: &str) -> Arc<Counts> {
        if let Some(known) = self.0.read().get(environment).and_then(|flags| flags.get(flag)) {
            return known.clone();
        }
        self.0.write().entry(environment.to_owned()).or_default().entry(flag.to_owned()).or_default().clone()
    }

    pub(super) fn read(&self, environment: &str, flag: &str) -> UsageView {
        self.0.read().get(environment).and_then(|flags| flags.get(flag)).map(|c| c.read()).unwrap_or_default()
    }

    /// Adds what an SDK counted itself; flags that do not exist are passed over.
    pub(super) fn report(&self, environment: &str, flag: &str, report: &Reported) {
        let counts = self.0.read().get(environment).and_then(|flags| flags.get(flag)).cloned();
        if let Some(counts) = counts {
            counts.yes.fetch_add(report.yes.min(REPORT_MAX), Ordering::Relaxed);
            counts.no.fetch_add(report.no.min(REPORT_MAX), Ordering::Relaxed);
            for (name, count) in &report.variants {
                if let Some(counter) = counts.of_variant(name) {
                    counter.fetch_add((*count).min(REPORT_MAX), Ordering::Relaxed);
                }
            }
        }
    }

    /// Environment, flag and counts of everything that was ever asked.
    pub fn all(&self) -> Vec<(String, String, UsageView)> {
        let by_environment = self.0.read();
        let pairs = by_environment.iter().flat_map(|(e, flags)| flags.iter().map(move |(f, c)| (e, f, c.read())));
        pairs.filter(|(_, _, u)| u.yes + u.no > 0).map(|(e, f, u)| (e.clone(), f.clone(), u)).collect()
    }
}
