//! How often each job is scraped, in few words: for queries whose windows have to hold some of its scrapes.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use super::State;

/// Jobs that are told; those with the fewest targets are left out.
const JOBS_MAX: usize = 1_000;
/// Instances that are told, of all jobs together.
const INSTANCES_MAX: usize = 1_000;

/// How often each job is scraped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ScrapeIntervals {
    /// Those with the most targets first.
    pub items: Vec<JobInterval>,
    /// Jobs and instances that are not told since there are too many.
    pub left_out: usize,
}

/// How often the targets of one job are scraped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct JobInterval {
    pub job: String,
    /// What most of its targets have; of two that are as many the longer.
    pub interval_ms: u64,
    /// How many have that.
    pub targets: usize,
    /// Those that have another, by their names.
    pub others: Vec<InstanceInterval>,
}

/// How often a target is scraped that is not asked as most of its job are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct InstanceInterval {
    pub instance: String,
    pub interval_ms: u64,
}

impl JobInterval {
    /// Of a job's instances and their intervals.
    fn of(job: &str, mut targets: Vec<(&str, u64)>) -> Self {
        let mut counted: BTreeMap<u64, usize> = BTreeMap::new();
        for (_, interval_ms) in &targets {
            *counted.entry(*interval_ms).or_default() += 1;
        }
        // Of several that are as many it is the last, which is the longest.
        let (interval_ms, count) = counted.into_iter().max_by_key(|(_, count)| *count).unwrap_or_default();
        targets.retain(|(_, own_ms)| *own_ms != interval_ms);
        targets.sort_unstable();
        let other =
            |(instance, interval_ms): (&str, u64)| InstanceInterval { instance: instance.to_owned(), interval_ms };
        Self { job: job.to_owned(), interval_ms, targets: count, others: targets.into_iter().map(other).collect() }
    }
}

/// Of targets as job, instance and interval.
fn told<'a>(
    targets: impl Iterator<Item = (&'a str, &'a str, u64)>,
    jobs_max: usize,
    instances_max: usize,
) -> ScrapeIntervals {
    let mut by_job: BTreeMap<&str, Vec<(&str, u64)>> = BTreeMap::new();
    for (job, instance, interval_ms) in targets {
        by_job.entry(job).or_default().push((instance, interval_ms));
    }
    let mut items: Vec<_> = by_job.into_iter().map(|(job, targets)| JobInterval::of(job, targets)).collect();
    items.sort_by_key(|item| Reverse(item.targets + item.others.len()));
    let mut left_out = items.len().saturating_sub(jobs_max);
    items.truncate(jobs_max);
    let mut room = instances_max;
    for item in &mut items {
        let kept = item.others.len().min(room);
        left_out += item.others.len() - kept;
        room -= kept;
        item.others.truncate(kept);
    }
    ScrapeIntervals { items, left_out }
}

impl State {
    /// How often each job is scraped, while none of its services is deployed.
    pub fn scrape_intervals(&self) -> ScrapeIntervals {
        let targets = self.targets();
        let pushed = self.registry().pushed();
        let all = targets.iter().chain(pushed.iter().map(|(target, _)| target)).map(|target| {
            let interval_ms = target.plan.as_ref().map_or(self.usual_job.interval_ms, |plan| plan.interval_ms);
            (target.job(), target.instance(), interval_ms)
        });
        told(all, JOBS_MAX, INSTANCES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(job: &str, interval_ms: u64, targets: usize, others: &[(&str, u64)]) -> JobInterval {
        let other = |(instance, interval_ms): &(&str, u64)| InstanceInterval {
            instance: (*instance).to_owned(),
            interval_ms: *interval_ms,
        };
        JobInterval { job: job.to_owned(), interval_ms, targets, others: others.iter().map(other).collect() }
    }

    const TARGETS: [(&str, &str, u64); 7] = [
        ("node", "h1", 60_000),
        ("web", "h3", 5_000),
        ("web", "h1", 15_000),
        ("web", "h4", 1_000),
        ("web", "h2", 15_000),
        ("db", "h1", 10_000),
        ("db", "h2", 30_000),
    ];

    #[test]
    fn a_job_has_what_most_of_its_targets_have() {
        let web = job("web", 15_000, 2, &[("h3", 5_000), ("h4", 1_000)]);
        let items = vec![web, job("db", 30_000, 1, &[("h1", 10_000)]), job("node", 60_000, 1, &[])];
        assert_eq!(told(TARGETS.into_iter(), 9, 9), ScrapeIntervals { items, left_out: 0 });
        assert_eq!(told(std::iter::empty(), 9, 9), ScrapeIntervals { items: Vec::new(), left_out: 0 });
    }

    #[test]
    fn what_is_too_much_is_counted() {
        let items = vec![job("web", 15_000, 2, &[("h3", 5_000)]), job("db", 30_000, 1, &[])];
        assert_eq!(told(TARGETS.into_iter(), 2, 1), ScrapeIntervals { items, left_out: 3 });
    }
}
