//! Who is scraped: what the settings name, and what the agents report to run.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use parking_lot::RwLock;
use serde::Serialize;
use tenfold_scrape::Job;
use tenfold_types::{Labels, Timestamp};

use super::page::Memory;
use crate::settings::{GangliaSource, StaticTarget};

/// How the address begins of a target that answers with Ganglia's XML.
pub const GANGLIA: &str = "ganglia://";
/// Targets one host may report.
const TARGETS_PER_HOST_MAX: usize = 200;

/// How a target of a configuration file is asked.
#[derive(Debug, Clone)]
pub struct Plan {
    pub job: Arc<Job>,
    pub interval_ms: u64,
    pub timeout_ms: u64,
    /// The labels before relabelling.
    pub discovered: Labels,
}

/// A metrics page and the labels its samples get.
#[derive(Debug, Clone)]
pub struct Target {
    pub url: String,
    /// `job` and `instance` at least.
    pub labels: Labels,
    /// The host whose agent reported it.
    pub host: Option<String>,
    /// That agent runs on another machine: what only this server's machine reaches is not asked for it.
    pub elsewhere: bool,
    /// `None` for those that the settings and the agents name: they are asked as the settings say.
    pub plan: Option<Plan>,
}

impl Target {
    /// One that the agent of a host named.
    pub fn reported(url: String, labels: Labels, host: &str) -> Self {
        Self { url, labels, host: Some(host.to_owned()), elsewhere: false, plan: None }
    }

    /// The job it is shown under.
    pub fn pool(&self) -> &str {
        self.plan.as_ref().map_or_else(|| self.job(), |plan| &plan.job.name)
    }
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

impl Health {
    const ALL: [Self; 3] = [Self::Up, Self::Down, Self::Unknown];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|health| health.as_str() == word)
    }
}

/// A target as the pages show it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = Target)]
pub struct TargetStatus {
    /// The job of the configuration file; for others the job.
    pub pool: String,
    pub job: String,
    pub instance: String,
    pub host: Option<String>,
    pub url: String,
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub labels: Labels,
    /// The labels before relabelling.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub discovered: Labels,
    pub interval_ms: u64,
    pub timeout_ms: u64,
    pub health: Health,
    #[schema(value_type = Option<String>)]
    pub last_scrape: Option<Timestamp>,
    pub duration_ms: Option<i64>,
    pub samples: usize,
    pub error: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Last {
    pub at: Option<Timestamp>,
    /// When a page was kept last.
    pub kept_at: Option<Timestamp>,
    pub duration_ms: i64,
    pub samples: usize,
    pub error: Option<String>,
    /// The target's labels, for the series that every scrape brings.
    pub labels: Labels,
    /// Whether its last scrape brought series of its limits.
    pub limit_series: bool,
    pub memory: Memory,
}

impl Last {
    /// Takes the place of one that is gone and had the same labels: what the next page lacks of its series ends then.
    fn inherit(&mut self, gone: &mut Self) {
        self.labels.clone_from(&gone.labels);
        self.limit_series |= gone.limit_series;
        self.memory.inherit(&mut gone.memory);
    }

    fn health(&self) -> Health {
        match (&self.at, &self.error) {
            (None, _) => Health::Unknown,
            (Some(_), None) => Health::Up,
            (Some(_), Some(_)) => Health::Down,
        }
    }
}

/// How a target stands, in few words.
pub(super) struct Stand {
    pub health: Health,
    pub error: Option<String>,
    /// Made of what tells it from all other targets; the same in every process of one build.
    pub number: u64,
}

#[derive(Default)]
pub(super) struct Registry {
    fixed: RwLock<Vec<Target>>,
    by_host: RwLock<BTreeMap<String, Vec<Target>>>,
    /// Those that are not asked but tell by themselves, by host, and when they last did.
    pushed: RwLock<BTreeMap<String, (Target, Timestamp)>>,
    last: RwLock<HashMap<Identity, Last>>,
}

/// What tells a target from all others. One of an agent is the same as long as its labels are: a release that moved to
/// another port goes on with its host's series. Of a configured job two may have the same labels and another address, as in
/// Prometheus.
#[derive(PartialEq, Eq, Hash)]
struct Identity {
    /// The address and the job's name, of a configured job.
    planned: Option<(String, String)>,
    labels: Labels,
}

impl Identity {
    fn of(target: &Target) -> Self {
        let planned = target.plan.as_ref().map(|plan| (target.url.clone(), plan.job.name.clone()));
        Self { planned, labels: target.labels.clone() }
    }
}

impl Registry {
    pub fn set_static(&self, targets: &[StaticTarget], ganglia: &[GangliaSource]) {
        let made = |url: String, job: &str, instance: &str, labels: &BTreeMap<String, String>| {
            let labels = Labels::from_pairs(labels.clone()).with("job", job).with("instance", instance);
            Target { url, labels, host: None, elsewhere: false, plan: None }
        };
        let pages = targets.iter().map(|t| {
            let instance = t.url.split("://").nth(1).and_then(|r| r.split('/').next()).unwrap_or(&t.url);
            made(t.url.clone(), &t.job, instance, &t.labels)
        });
        let answers = ganglia.iter().map(|s| made(format!("{GANGLIA}{}", s.address), &s.job, &s.address, &s.labels));
        *self.fixed.write() = pages.chain(answers).collect();
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
        let identity = Identity::of(target);
        f(self.last.write().entry(identity).or_default())
    }

    /// How each of them stands.
    pub fn stands(&self, targets: &[Target]) -> Vec<Stand> {
        // Made before, so that scrapes wait for no texts.
        let identities: Vec<Identity> = targets.iter().map(Identity::of).collect();
        let last = self.last.read();
        let stand = |identity: &Identity| {
            let mut hasher = DefaultHasher::new();
            identity.hash(&mut hasher);
            let last = last.get(identity);
            Stand {
                health: last.map_or(Health::Unknown, Last::health),
                error: last.and_then(|last| last.error.clone()),
                number: hasher.finish(),
            }
        };
        identities.iter().map(stand).collect()
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
        let mut all = self.targets.all();
        all.extend(self.pool_targets());
        all
    }

    /// Takes out what is known of targets that are gone, so that their series can be marked as ended. Where a job asks at
    /// another address now and the labels stay, the series go on.
    pub(super) fn take_gone(&self) -> Vec<Last> {
        let pushed = self.targets.pushed();
        let asked = self.targets();
        let live: HashSet<Identity> = asked.iter().chain(pushed.iter().map(|(t, _)| t)).map(Identity::of).collect();
        let mut last = self.targets.last.write();
        let mut gone: Vec<Last> =
            last.extract_if(|identity, _| !live.contains(identity)).map(|(_, gone)| gone).collect();
        if gone.is_empty() {
            return gone;
        }
        let heirs: HashMap<&Labels, &Target> = asked.iter().map(|target| (&target.labels, target)).collect();
        gone.retain_mut(|gone| {
            // It was asked about, and never scraped.
            if gone.labels.is_empty() {
                return false;
            }
            let Some(heir) = heirs.get(&gone.labels) else { return true };
            last.entry(Identity::of(heir)).or_default().inherit(gone);
            false
        });
        gone
    }

    /// Those that are asked and those that tell by themselves.
    pub(super) fn listed_targets(&self) -> Vec<Target> {
        let pushed = self.targets.pushed().into_iter().map(|(target, _)| target);
        self.targets().into_iter().chain(pushed).collect()
    }

    pub fn target_statuses(&self) -> Vec<TargetStatus> {
        self.listed_targets().iter().map(|target| self.status(target)).collect()
    }

    pub(super) fn status(&self, target: &Target) -> TargetStatus {
        let (interval_ms, timeout_ms, discovered) = match &target.plan {
            Some(plan) => (plan.interval_ms, plan.timeout_ms, plan.discovered.clone()),
            None => (self.usual_job.interval_ms, self.usual_job.timeout_ms, Labels::new()),
        };
        let (none, identity) = (Last::default(), Identity::of(target));
        let known = self.targets.last.read();
        let last = known.get(&identity).unwrap_or(&none);
        TargetStatus {
            pool: target.pool().to_owned(),
            job: target.job().to_owned(),
            instance: target.instance().to_owned(),
            host: target.host.clone(),
            url: target.url.clone(),
            labels: target.labels.clone(),
            discovered,
            interval_ms,
            timeout_ms,
            health: last.health(),
            last_scrape: last.at,
            duration_ms: last.at.map(|_| last.duration_ms),
            samples: last.samples,
            error: last.error.clone(),
        }
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.targets
    }
}
