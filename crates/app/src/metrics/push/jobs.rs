//! Scraped jobs as sources: the limits that the settings give one under `scrape/JOB`, over all targets of it. A page that goes
//! over one fails as a whole, as with the limits of a single scrape.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use tenfold_types::{Labels, Timestamp};

use super::{ACTIVE_MS, Seen, Sent, Source, TELL_MS};
use crate::metrics::State;
use crate::metrics::page::Write;
use crate::settings::{Push, SCRAPE};

fn key(labels: &Labels) -> u64 {
    let mut hasher = DefaultHasher::new();
    labels.hash(&mut hasher);
    hasher.finish()
}

impl Seen {
    /// Takes a page whole, or tells which limit it goes over.
    fn take_page(&mut self, keys: &HashSet<u64>, samples: usize, limits: &Push, now: Timestamp) -> Result<(), String> {
        let max = limits.series_per_source_max;
        let wanted = |seen: &Self| seen.series.len() + keys.iter().filter(|k| !seen.series.contains_key(*k)).count();
        if wanted(self) > max && now.since_ms(self.tidied) > TELL_MS {
            self.tidied = now;
            self.series.retain(|_, sent| now.millis() - sent.at_ms < ACTIVE_MS);
        }
        let count = wanted(self);
        if count > max {
            return Err(format!("series_max exceeded (number of series within the hour: {count}, limit: {max})"));
        }
        let rate = limits.samples_per_second_max;
        self.spend(samples, rate, now).map_err(|_| format!("samples_per_second_max exceeded (limit: {rate})"))?;
        for key in keys {
            self.series.insert(*key, Sent { at_ms: now.millis(), created_ms: None });
        }
        Ok(())
    }
}

impl State {
    /// Holds what a scrape brought against the limits of its job as a source, where the settings have any.
    pub(in crate::metrics) fn admit_job(&self, job: &str, writes: &[Write], now: Timestamp) -> Result<(), String> {
        let (limits, own_limits) = self.push_limits.of(SCRAPE, job);
        if !own_limits {
            return Ok(());
        }
        let keys: HashSet<u64> = writes.iter().map(|write| key(&write.labels)).collect();
        let histograms = writes.iter().filter(|write| write.histogram.is_some()).count();
        let (_, seen) = self.sources.of(&Source::new(SCRAPE, job), own_limits);
        let mut seen = seen.lock();
        seen.last_at = now;
        seen.take_page(&keys, writes.len(), &limits, now)?;
        seen.samples += (writes.len() - histograms) as u64;
        seen.histograms += histograms as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tenfold_protocols::exposition::Format;

    use super::*;
    use crate::Settings;
    use crate::metrics::{Scraped, Target};
    use crate::settings::SourceLimits;

    fn at(s: i64) -> Timestamp {
        Timestamp(1_795_424_000_000 + s * 1_000)
    }

    #[test]
    fn a_job_has_its_limits_as_a_source() {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
        let own = |series_max, samples_per_second_max| SourceLimits { series_max, samples_per_second_max };
        settings.metrics.sources = BTreeMap::from([
            ("scrape/web".to_owned(), own(Some(3), None)),
            ("scrape/fast".to_owned(), own(None, Some(1))),
            ("free".to_owned(), own(Some(1), None)),
        ]);
        let state = State::open(&settings).unwrap();
        let scrape = |job: &str, instance: &str, second: i64, page: &str| {
            let target = Target {
                url: format!("http://{instance}/metrics"),
                labels: Labels::from_pairs([("job", job), ("instance", instance)]),
                host: None,
                elsewhere: false,
                plan: None,
            };
            let page = Ok((page.to_owned().into(), Format::default()));
            state.scraped(&target, Scraped { at: at(second), duration_ms: 1, page }).unwrap();
        };
        let over = |second: i64| -> Vec<(String, String)> {
            let jobs = state.jobs_exceeded(at(second)).into_iter();
            jobs.flat_map(|job| job.exceeded.into_iter().map(move |one| (job.job.clone(), one.limit))).collect()
        };
        scrape("web", "h1", 0, "a 1\nb 1\n");
        scrape("web", "h2", 0, "a 1\n");
        scrape("web", "h1", 15, "a 1\nb 1\n");
        scrape("free", "h1", 15, "a 1\nb 1\n");
        assert_eq!(over(15), [], "three series in all, and a name alone is no job's");
        scrape("web", "h3", 20, "a 1\n");
        assert_eq!(over(20), [("web".to_owned(), "series_max".to_owned())], "the job has three already");
        scrape("web", "h3", 20 + 3_700, "a 1\n");
        let sources = state.push_sources(at(4_000));
        let web = sources.iter().find(|s| s.source == Source::new("scrape", "web")).unwrap();
        assert_eq!((web.series, web.series_max, web.own_limits), (1, 3, true), "what is gone for an hour gives way");
        // A burst of ten seconds' worth, and then one a second.
        scrape(
            "fast",
            "h1",
            4_000,
            &["a0 1", "a1 1", "a2 1", "a3 1", "a4 1", "a5 1", "a6 1", "a7 1", "a8 1", "a9 1", "a10 1", ""].join("\n"),
        );
        scrape("fast", "h1", 4_001, "a0 1\n");
        assert_eq!(over(4_001), [("fast".to_owned(), "samples_per_second_max".to_owned())]);
    }
}
