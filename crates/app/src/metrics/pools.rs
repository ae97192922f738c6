//! Jobs of Prometheus' configuration files and the targets that discovery found for them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use parking_lot::RwLock;
use tenfold_scrape::{Group, Job, TakenHistograms, resolve};
use tenfold_types::Labels;

use super::{Plan, State, Target};

/// Targets of one job; further ones are not asked, and the job says so.
const TARGETS_PER_JOB_MAX: usize = 10_000;
/// Dropped targets of one job that are kept to be shown.
const DROPPED_MAX: usize = 1_000;
/// Where a job's own list of targets comes from.
const STATIC: &str = "static";

/// A target that relabelling dropped, or that makes none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    pub pool: String,
    /// The labels before relabelling.
    pub discovered: Labels,
    /// Why it is none; `None` where relabelling dropped it.
    pub reason: Option<String>,
}

/// One job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolStatus {
    pub name: String,
    pub dropped: usize,
}

#[derive(Default)]
pub(super) struct Pools {
    by_job: RwLock<BTreeMap<String, Pool>>,
    /// Why the configuration files as they are now are not obeyed.
    trouble: RwLock<Option<String>>,
}

struct Pool {
    job: Arc<Job>,
    /// The job for targets whose labels say otherwise of histograms.
    variants: BTreeMap<TakenHistograms, Arc<Job>>,
    /// What was found, by where.
    found: BTreeMap<String, Vec<Group>>,
    active: Vec<Target>,
    dropped: Vec<Dropped>,
    dropped_count: usize,
    /// How many targets there are, where that is more than may be.
    over: Option<(usize, usize)>,
}

impl Pool {
    fn new(job: Arc<Job>, found: BTreeMap<String, Vec<Group>>) -> Self {
        let mut pool = Self {
            job,
            variants: BTreeMap::new(),
            found,
            active: Vec::new(),
            dropped: Vec::new(),
            dropped_count: 0,
            over: None,
        };
        pool.found.insert(STATIC.to_owned(), pool.job.static_groups.clone());
        pool.resolve();
        pool
    }

    fn resolve(&mut self) {
        self.active.clear();
        self.dropped.clear();
        self.dropped_count = 0;
        let mut known = HashSet::new();
        let shown_max = if self.job.keep_dropped_max == 0 { DROPPED_MAX } else { self.job.keep_dropped_max };
        for found in self.found.values().flatten().flat_map(|group| resolve(&self.job, group)) {
            let reason = match found.outcome {
                // Found twice it is one target, as in Prometheus.
                Some(Ok(place)) if !known.insert((place.url.clone(), place.labels.clone())) => continue,
                Some(Ok(place)) => {
                    let histograms = place.histograms;
                    let job = if histograms == self.job.histograms() {
                        self.job.clone()
                    } else {
                        let made = || Arc::new(self.job.with_histograms(histograms));
                        self.variants.entry(histograms).or_insert_with(made).clone()
                    };
                    let plan = Plan {
                        job,
                        interval_ms: place.interval_ms,
                        timeout_ms: place.timeout_ms,
                        discovered: found.discovered,
                    };
                    let (url, labels) = (place.url, place.labels);
                    self.active.push(Target { url, labels, host: None, elsewhere: false, plan: Some(plan) });
                    continue;
                }
                Some(Err(reason)) => Some(reason),
                None => None,
            };
            self.dropped_count += 1;
            if self.dropped.len() < shown_max.min(DROPPED_MAX) {
                self.dropped.push(Dropped { pool: self.job.name.clone(), discovered: found.discovered, reason });
            }
        }
        let wanted = usize::try_from(self.job.limits.targets_max).unwrap_or(usize::MAX);
        let max = if wanted == 0 { TARGETS_PER_JOB_MAX } else { wanted.min(TARGETS_PER_JOB_MAX) };
        self.over = (self.active.len() > max).then_some((self.active.len(), max));
        self.active.truncate(TARGETS_PER_JOB_MAX);
    }
}

impl State {
    /// Replaces the jobs. One that asks as before goes on as it is. What discovery found for a job of the same name stays
    /// until it is found anew, where its configuration still looks there.
    pub fn set_jobs(&self, jobs: Vec<Job>, looks: impl Fn(&Job, &str) -> bool) {
        let mut pools = self.pools.by_job.write();
        let mut before = std::mem::take(&mut *pools);
        for job in jobs {
            let pool = match before.remove(&job.name) {
                Some(pool) if pool.job.asks_like(&job) => pool,
                before => {
                    let mut found = before.map_or_else(BTreeMap::new, |pool| pool.found);
                    found.retain(|from, _| looks(&job, from));
                    Pool::new(Arc::new(job), found)
                }
            };
            pools.insert(pool.job.name.clone(), pool);
        }
    }

    /// Says what was found for a job in one place; replaces what was found there before.
    pub fn set_found(&self, job: &str, from: &str, groups: Vec<Group>) {
        let mut pools = self.pools.by_job.write();
        let Some(pool) = pools.get_mut(job) else { return };
        if pool.found.get(from) == Some(&groups) {
            return;
        }
        if groups.is_empty() {
            pool.found.remove(from);
        } else {
            pool.found.insert(from.to_owned(), groups);
        }
        pool.resolve();
    }

    /// Where something was found for a job.
    pub fn found_in(&self, job: &str) -> Vec<String> {
        self.pools.by_job.read().get(job).map(|pool| pool.found.keys().cloned().collect()).unwrap_or_default()
    }

    /// Why the configuration files as they are now are not obeyed; `None` when they are.
    pub fn set_config_trouble(&self, reason: Option<String>) {
        self.own.set("tenfold_scrape_config_obeyed", &[], f64::from(u8::from(reason.is_none())));
        *self.pools.trouble.write() = reason;
    }

    pub fn config_trouble(&self) -> Option<String> {
        self.pools.trouble.read().clone()
    }

    pub(super) fn pool_targets(&self) -> Vec<Target> {
        self.pools.by_job.read().values().flat_map(|pool| pool.active.iter().cloned()).collect()
    }

    /// Why a target is not asked at all.
    pub fn not_asked(&self, target: &Target) -> Option<String> {
        let job = &target.plan.as_ref()?.job;
        let (count, max) = self.pools.by_job.read().get(&job.name)?.over?;
        Some(format!("target_limit exceeded (number of targets: {count}, limit: {max})"))
    }

    /// What discovery found and relabelling dropped, as far as it is kept.
    pub fn dropped_targets(&self) -> Vec<Dropped> {
        self.pools.by_job.read().values().flat_map(|pool| pool.dropped.iter().cloned()).collect()
    }

    /// The jobs of the configuration files.
    pub fn pools(&self) -> Vec<PoolStatus> {
        let pools = self.pools.by_job.read();
        pools.values().map(|p| PoolStatus { name: p.job.name.clone(), dropped: p.dropped_count }).collect()
    }

    /// One job of the configuration files.
    pub fn job_named(&self, name: &str) -> Option<Arc<Job>> {
        self.pools.by_job.read().get(name).map(|pool| pool.job.clone())
    }

    /// How a target is asked.
    pub fn job_of(&self, target: &Target) -> Arc<Job> {
        target.plan.as_ref().map_or_else(|| self.usual_job.clone(), |plan| plan.job.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_is_found_twice_is_one() {
        let yaml =
            "scrape_configs:\n- job_name: web\n  target_limit: 2\n  static_configs: [{targets: ['h1:80', 'h1:80']}]\n";
        let job = tenfold_scrape::parse_config(yaml).unwrap().jobs.swap_remove(0);
        let found = BTreeMap::from([("file".to_owned(), vec![Group::of(["h1:80", "h2:80"], Labels::new())])]);
        let pool = Pool::new(Arc::new(job), found);
        let urls: Vec<&str> = pool.active.iter().map(|target| target.url.as_str()).collect();
        assert_eq!(urls, ["http://h1:80/metrics", "http://h2:80/metrics"]);
        assert_eq!((pool.over, pool.dropped_count), (None, 0), "it counts once against the limit");
    }
}
