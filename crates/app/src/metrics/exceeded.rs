//! Who went over which limit, and when: of sources that push, and of jobs that are scraped.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde::Serialize;
use tenfold_types::Timestamp;

use super::{Own, State, Target};

/// Jobs kept apart; further ones share the name `other`.
const JOBS_MAX: usize = 500;
const OTHER: &str = "other";
/// What lies farther back is no longer told.
const TOLD_MS: i64 = 3_600_000;
/// Limits of a scrape, as Prometheus calls them in its configuration and in its errors.
const SCRAPE_LIMITS: [&str; 8] = [
    "sample_limit",
    "label_limit",
    "label_name_length_limit",
    "label_value_length_limit",
    "native_histogram_bucket_limit",
    "target_limit",
    // Of the job as a source, in the settings' words.
    "series_max",
    "samples_per_second_max",
];
const BODY_LIMIT: &str = "body_size_limit";
/// What an agent may say of its host in one page.
const AGENT_LIMIT: &str = "agent_page";

/// A limit that was gone over within the last hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ExceededLimit {
    /// `series` or `samples_per_second`; of a scraped job Prometheus' name, such as `sample_limit`; of hosts `agent_page`.
    pub limit: String,
    #[schema(value_type = String)]
    pub last_at: Timestamp,
    /// Samples, requests or scrapes refused because of it since the server started.
    pub count: u64,
    /// The last one, in words.
    pub example: String,
}

/// A scraped job that went over a limit within the last hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct JobExceeded {
    pub job: String,
    pub exceeded: Vec<ExceededLimit>,
}

/// By job and limit.
#[derive(Default)]
pub(super) struct Jobs(Mutex<BTreeMap<String, BTreeMap<&'static str, ExceededLimit>>>);

/// The limit that a failed scrape was refused for, if it was one.
fn limit_of(reason: &str) -> Option<&'static str> {
    if reason.starts_with("the page is larger than ") {
        return Some(BODY_LIMIT);
    }
    let (name, _) = reason.split_once(" exceeded")?;
    SCRAPE_LIMITS.into_iter().find(|limit| *limit == name)
}

/// Whether a scrape failed because the page was too large.
pub(super) fn is_too_large(reason: &str) -> bool {
    limit_of(reason) == Some(BODY_LIMIT)
}

/// Whether it is still told.
pub(super) fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    now.since_ms(at) < TOLD_MS
}

impl Jobs {
    /// Takes note of a scrape that failed.
    pub fn note(&self, target: &Target, reason: &str, at: Timestamp, own: &Own) {
        if let Some(limit) = limit_of(reason) {
            self.note_limit(target, limit, reason, at, own);
        }
    }

    fn note_limit(&self, target: &Target, limit: &'static str, reason: &str, at: Timestamp, own: &Own) {
        let mut all = self.0.lock();
        let job = target.pool();
        let job = if all.contains_key(job) || all.len() < JOBS_MAX { job } else { OTHER };
        own.add("tenfold_scrape_limit_exceeded_total", &[("job", job), ("limit", limit)], 1.0);
        let limits = all.entry(job.to_owned()).or_default();
        let seen = limits.entry(limit).or_insert_with(|| ExceededLimit {
            limit: limit.to_owned(),
            last_at: at,
            count: 0,
            example: String::new(),
        });
        seen.last_at = at;
        seen.count += 1;
        seen.example = format!("{}: {reason}", target.instance());
    }
}

impl State {
    /// Takes note of a host whose agent had no room for all of its series: the rest is kept, so that no scrape failed.
    pub fn agent_left_out(&self, target: &Target, series: u64, at: Timestamp) {
        let reason = format!(
            "its agent left out {series} series, those that it reads last, for want of room in its page; have fewer or shorter \
             series written for the collector `textfile` there, or scrape a node_exporter of that host"
        );
        self.jobs_over.note_limit(target, AGENT_LIMIT, &reason, at, &self.own);
    }

    /// Scraped jobs that went over a limit within the last hour.
    pub fn jobs_exceeded(&self, now: Timestamp) -> Vec<JobExceeded> {
        let all = self.jobs_over.0.lock();
        let recent = |limits: &BTreeMap<&str, ExceededLimit>| -> Vec<ExceededLimit> {
            limits.values().filter(|one| is_recent(one.last_at, now)).cloned().collect()
        };
        let rows = all.iter().map(|(job, limits)| JobExceeded { job: job.clone(), exceeded: recent(limits) });
        rows.filter(|row| !row.exceeded.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use tenfold_protocols::exposition::Format;
    use tenfold_types::Labels;

    use super::*;
    use crate::Settings;
    use crate::metrics::{NoPage, Scraped};

    fn at(s: i64) -> Timestamp {
        Timestamp(1_795_424_000_000 + s * 1_000)
    }

    #[test]
    fn a_job_that_goes_over_a_limit_is_named_for_an_hour() {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
        settings.metrics.scrape.samples_max = 1;
        let state = State::open(&settings).unwrap();
        let target = |job: &str| Target {
            url: format!("http://{job}/metrics"),
            labels: Labels::from_pairs([("job", job), ("instance", "db1")]),
            host: None,
            elsewhere: false,
            plan: None,
        };
        let scrape = |job: &str, second: i64, page: Result<&str, &str>| {
            let page = page.map(|text| (text.to_owned().into(), Format::default()));
            let page = page.map_err(|reason| NoPage::from(reason.to_owned()));
            state.scraped(&target(job), Scraped { at: at(second), duration_ms: 1, page }).unwrap();
        };
        scrape("quiet", 0, Ok("a 1\n"));
        scrape("down", 0, Err("connection refused"));
        assert_eq!(state.jobs_exceeded(at(0)), []);
        scrape("loud", 0, Ok("a 1\nb 2\n"));
        scrape("loud", 15, Ok("a 1\nb 2\nc 3\n"));
        scrape("large", 20, Err("the page is larger than 10 bytes"));
        scrape("large", 30, Err("target_limit exceeded (number of targets: 2, limit: 1)"));
        let over = |job: &str, limits: &[(&str, i64, u64, &str)]| JobExceeded {
            job: job.to_owned(),
            exceeded: limits
                .iter()
                .map(|(limit, second, count, example)| ExceededLimit {
                    limit: (*limit).to_owned(),
                    last_at: at(*second),
                    count: *count,
                    example: format!("db1: {example}"),
                })
                .collect(),
        };
        let large = [
            ("body_size_limit", 20, 1, "the page is larger than 10 bytes"),
            ("target_limit", 30, 1, "target_limit exceeded (number of targets: 2, limit: 1)"),
        ];
        let loud = [("sample_limit", 15, 2, "sample_limit exceeded (number of samples: 3, limit: 1)")];
        assert_eq!(state.jobs_exceeded(at(60)), [over("large", &large), over("loud", &loud)]);
        assert_eq!(state.jobs_exceeded(at(15 + 3_600)), [over("large", &large)], "an hour later it is forgiven");
        let labels = [("job", "loud"), ("limit", "sample_limit")];
        assert_eq!(state.own.get("tenfold_scrape_limit_exceeded_total", &labels), 2.0);
    }

    #[test]
    fn a_host_that_could_not_say_all_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&Settings { data_dir: dir.path().to_owned(), ..Settings::default() }).unwrap();
        let labels = Labels::from_pairs([("job", "node"), ("instance", "web-1")]);
        let target = Target::reported("agent://web-1".to_owned(), labels, "web-1");
        state.agent_left_out(&target, 7, at(0));
        state.agent_left_out(&target, 9, at(15));
        let jobs = state.jobs_exceeded(at(60));
        let [JobExceeded { job, exceeded }] = jobs.as_slice() else { panic!("one job: {jobs:?}") };
        assert_eq!((job.as_str(), exceeded.len(), exceeded[0].limit.as_str()), ("node", 1, "agent_page"));
        assert_eq!((exceeded[0].count, exceeded[0].last_at), (2, at(15)));
        assert!(exceeded[0].example.starts_with("web-1: its agent left out 9 series"), "{exceeded:?}");
    }

    #[test]
    fn only_limits_count() {
        for (reason, limit) in [
            ("label_limit exceeded (metric: one, number of labels: 4, limit: 3)", Some("label_limit")),
            ("label_value_length_limit exceeded (metric: a)", Some("label_value_length_limit")),
            ("native_histogram_bucket_limit exceeded (metric: a)", Some("native_histogram_bucket_limit")),
            ("the deadline is exceeded", None),
            ("deadline exceeded", None),
        ] {
            assert_eq!(limit_of(reason), limit, "{reason}");
        }
    }
}
