//! Who is scraped: what the settings name, and what the agents report to run.

use std::collections::{BTreeMap, HashSet};

use parking_lot::RwLock;
use serde::Serialize;
use tenfold_types::{Labels, Timestamp};

use crate::settings::StaticTarget;

/// Targets one host may report.
const TARGETS_PER_HOST_MAX: usize = 200;

/// A metrics page and the labels its samples get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub url: String,
    /// `job` and `instance` at least.
    pub labels: Labels,
    /// The host whose agent reported it.
    pub host: Option<String>,
}

impl Target {
    pub fn job(&self) -> &str {
        self.labels.get("job").unwrap_or_default()
    }
    pub fn instance(&self) -> &str {
        self.labels.get("instance").unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    Up,
    Down,
    /// Not scraped yet.
    Unknown,
}

/// A target as the pages show it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = Target)]
pub struct TargetStatus {
    pub job: String,
    pub instance: String,
    pub host: Option<String>,
    pub url: String,
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub labels: Labels,
    pub health: Health,
    #[schema(value_type = Option<String>)]
    pub last_scrape: Option<Timestamp>,
    pub duration_ms: Option<i64>,
    pub samples: usize,
    pub error: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Last {
    pub at: Option<Timestamp>,
    pub duration_ms: i64,
    pub samples: usize,
    pub error: Option<String>,
    /// The target's labels, for the series that every scrape brings.
    pub labels: Labels,
    /// Series of the last page, to mark those that vanish.
    pub series: HashSet<Labels>,
}

#[derive(Default)]
pub(super) struct Registry {
    fixed: RwLock<Vec<Target>>,
    by_host: RwLock<BTreeMap<String, Vec<Target>>>,
    /// Those that are not asked but tell by themselves, by host, and when they last did.
    pushed: RwLock<BTreeMap<String, (Target, Timestamp)>>,
    last: RwLock<BTreeMap<String, Last>>,
}

/// A target is the same as long as its labels are: a release that moved to another port goes on with its host's series.
fn identity(target: &Target) -> String {
    target.labels.to_string()
}

impl Registry {
    pub fn set_static(&self, targets: &[StaticTarget]) {
        let made = targets.iter().map(|t| {
            let instance = t.url.split("://").nth(1).and_then(|r| r.split('/').next()).unwrap_or(&t.url);
            let mut labels = Labels::from_pairs(t.labels.clone());
            labels.set("job", t.job.clone());
            labels.set("instance", instance);
            Target { url: t.url.clone(), labels, host: None }
        });
        *self.fixed.write() = made.collect();
    }

    pub fn all(&self) -> Vec<Target> {
        let mut all = self.fixed.read().clone();
        all.extend(self.by_host.read().values().flatten().cloned());
        all
    }

    /// Those that tell by themselves, and when they last did.
    pub fn pushed(&self) -> Vec<(Target, Timestamp)> {
        self.pushed.read().values().cloned().collect()
    }

    pub fn keep_pushed(&self, target: &Target, heard: Timestamp) {
        self.pushed.write().insert(target.host.clone().unwrap_or_default(), (target.clone(), heard));
    }

    pub fn drop_pushed(&self, host: &str) {
        self.pushed.write().remove(host);
    }

    pub fn last<T>(&self, target: &Target, f: impl FnOnce(&mut Last) -> T) -> T {
        f(self.last.write().entry(identity(target)).or_default())
    }

    /// Takes out what is known of targets that are gone, so that their series can be marked as ended.
    pub fn take_gone(&self) -> Vec<Last> {
        let pushed = self.pushed();
        let live: HashSet<String> = self.all().iter().chain(pushed.iter().map(|(t, _)| t)).map(identity).collect();
        let mut last = self.last.write();
        let gone: Vec<String> = last.keys().filter(|k| !live.contains(*k)).cloned().collect();
        gone.into_iter().filter_map(|key| last.remove(&key)).collect()
    }
}

impl super::State {
    /// Says what runs on a host and where its metrics are; replaces what was said before.
    pub fn set_host_targets(&self, host: &str, mut targets: Vec<Target>) {
        targets.truncate(TARGETS_PER_HOST_MAX);
        let mut by_host = self.targets.by_host.write();
        if targets.is_empty() {
            by_host.remove(host);
        } else {
            by_host.insert(host.to_owned(), targets);
        }
    }

    /// Everything to be scraped now.
    pub fn targets(&self) -> Vec<Target> {
        self.targets.all()
    }

    pub fn target_statuses(&self) -> Vec<TargetStatus> {
        let pushed = self.targets.pushed().into_iter().map(|(target, _)| target);
        let all = self.targets.all().into_iter().chain(pushed);
        all.map(|target| {
            let last = self.targets.last(&target, |last| Last { series: HashSet::default(), ..last.clone() });
            TargetStatus {
                job: target.job().to_owned(),
                instance: target.instance().to_owned(),
                host: target.host.clone(),
                url: target.url.clone(),
                labels: target.labels.clone(),
                health: match (&last.at, &last.error) {
                    (None, _) => Health::Unknown,
                    (Some(_), None) => Health::Up,
                    (Some(_), Some(_)) => Health::Down,
                },
                last_scrape: last.at,
                duration_ms: last.at.map(|_| last.duration_ms),
                samples: last.samples,
                error: last.error,
            }
        })
        .collect()
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.targets
    }
}
