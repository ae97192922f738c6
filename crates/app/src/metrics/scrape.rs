//! What a scrape becomes: samples with the target's labels, the series that every scrape brings, and staleness marks for
//! series that vanished.

use std::collections::BTreeMap;

use bytes::Bytes;
use tenfold_protocols::exposition::{self, ABOUT_BYTES_MAX, Format, Histograms, Metadata, Page};
use tenfold_tsdb::CompiledMatcher;
use tenfold_types::{Fault, Labels, Matcher, Timestamp};

use super::exceeded::is_too_large;
use super::page::{Taken, Write, with_series};
use super::query::{query_fault, store_fault};
use super::{State, Target};

/// What came of asking a target.
pub struct Scraped {
    /// When it was asked.
    pub at: Timestamp,
    pub duration_ms: i64,
    /// The page and its format, or why there is none to read.
    pub page: Result<(Bytes, Format), NoPage>,
}

/// Why there is no page to read.
#[derive(Debug)]
pub struct NoPage {
    pub reason: String,
    /// Of a page that came whole, in a form nobody asked for; 0 where none came.
    pub body_bytes: usize,
}

impl From<String> for NoPage {
    /// None came.
    fn from(reason: String) -> Self {
        Self { reason, body_bytes: 0 }
    }
}

/// The series that every scrape brings, whatever the page said, in this order.
const SCRAPE_SERIES: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];

/// Those that it brings besides where its job wants to be told of limits, in this order.
const LIMIT_SERIES: [&str; 3] = ["scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes"];

fn scrape_series(target: &Labels) -> impl Iterator<Item = Labels> {
    SCRAPE_SERIES.into_iter().map(|name| target.clone().with(Labels::NAME, name))
}

fn limit_series(target: &Labels) -> impl Iterator<Item = Labels> {
    LIMIT_SERIES.into_iter().map(|name| target.clone().with(Labels::NAME, name))
}

/// What one target tells of one family.
pub struct TargetFamily {
    /// The target's labels.
    pub target: Labels,
    pub family: String,
    pub metadata: Metadata,
}

/// The family a metric is of: the one of its name, or of its name without what families add.
fn family_of<'k>(known: &'k BTreeMap<String, Metadata>, name: &str) -> Option<(&'k String, &'k Metadata)> {
    const ADDED: [&str; 6] = ["_total", "_bucket", "_count", "_sum", "_created", "_info"];
    let family = |added: &str| known.get_key_value(name.strip_suffix(added)?);
    known.get_key_value(name).or_else(|| ADDED.into_iter().find_map(family))
}

impl State {
    /// Keeps what a scrape brought. A failed one marks the target's series as ended and `up` as 0.
    pub fn scraped(&self, target: &Target, scraped: Scraped) -> Result<(), Fault> {
        let at = scraped.at.millis();
        let job = self.job_of(target);
        let histograms = Histograms {
            native: job.native_histograms,
            classic_too: job.classic_histograms,
            convert: job.convert_histograms,
        };
        let timeout_ms = target.plan.as_ref().map_or(job.timeout_ms, |plan| plan.timeout_ms);
        let body_bytes = match &scraped.page {
            Ok((body, _)) => body.len() as f64,
            // As Prometheus has it.
            Err(none) if is_too_large(&none.reason) => -1.0,
            Err(none) => none.body_bytes as f64,
        };
        let mut taken = Taken::default();
        // Of a page that cannot be read, what stood before is only counted.
        let (mut page, mut error) = match scraped.page {
            Ok((body, format)) => match exposition::read(&body, format, histograms, job.limits.samples_max) {
                Ok(page) => (page, None),
                Err(error) => {
                    let reason = error.to_string();
                    (error.read(), Some(reason))
                }
            },
            Err(none) => (Page::default(), Some(none.reason)),
        };
        taken.is_part = error.is_some();
        let starts = page.samples.iter().any(|s| s.created_ms.is_some());
        let started_after = if starts { self.scraped_until(target, at)? } else { i64::MAX };
        // Taken out meanwhile, so that a large page keeps nobody waiting.
        let mut memory = self.registry().last(target, |last| std::mem::take(&mut last.memory));
        if error.is_none() {
            self.keep_metadata(std::mem::take(&mut page.metadata));
        }
        let done = memory.take(page, &target.labels, &job, at, started_after, &mut taken);
        error = error.or(done.err());
        if error.is_none() {
            error = self.admit_job(target.pool(), &taken.writes, scraped.at).err();
        }
        if let Some(reason) = &error {
            taken.fail();
            self.jobs_over.note(target, reason, scraped.at, &self.own);
        }
        let ended = memory.ended(&mut taken);
        let told_limits = self.registry().last(target, |last| {
            // What another target left to this one meanwhile.
            memory.inherit(&mut last.memory);
            last.memory = memory;
            last.at = Some(scraped.at);
            if error.is_none() {
                last.kept_at = Some(scraped.at);
            }
            last.duration_ms = scraped.duration_ms;
            last.samples = if error.is_none() { taken.kept } else { 0 };
            last.labels.clone_from(&target.labels);
            last.error.clone_from(&error);
            std::mem::replace(&mut last.limit_series, job.limit_series)
        });
        self.count_left_out(&taken);
        let mut writes = std::mem::take(&mut taken.writes);
        writes.extend(ended.into_iter().map(|(labels, is_histogram)| Write::end(labels, at, is_histogram)));
        let up = f64::from(u8::from(error.is_none()));
        let seconds = scraped.duration_ms as f64 / 1000.0;
        let own = [up, seconds, taken.scraped as f64, taken.kept as f64, taken.added as f64];
        writes.extend(scrape_series(&target.labels).zip(own).map(|(labels, value)| Write::float(labels, at, value)));
        if job.limit_series {
            let limits = [timeout_ms as f64 / 1000.0, job.limits.samples_max as f64, body_bytes];
            let told = limit_series(&target.labels).zip(limits);
            writes.extend(told.map(|(labels, value)| Write::float(labels, at, value)));
        } else if told_limits {
            writes.extend(limit_series(&target.labels).map(|labels| Write::end(labels.into(), at, false)));
        }
        self.write_all(&writes)
    }

    fn write_all(&self, writes: &[Write]) -> Result<(), Fault> {
        with_series(writes, |series| {
            self.counted(self.tsdb.write(series))?;
            self.arrived.note(super::arrived::names(series));
            self.forward(series);
            Ok(())
        })
    }

    fn count_left_out(&self, taken: &Taken) {
        for (name, reason, count) in [
            ("tenfold_samples_rejected_total", "too_far_ahead", taken.ahead),
            ("tenfold_exemplars_rejected_total", "exemplar_too_long", taken.long_exemplars),
        ] {
            if count > 0 {
                self.own.add(name, &[("reason", reason)], count as f64);
            }
        }
    }

    /// The instant up to which a target is known to have been scraped: what began before it was seen then. After a start of
    /// the server the store tells it.
    fn scraped_until(&self, target: &Target, at_ms: i64) -> Result<i64, Fault> {
        let (asked, kept) = self.registry().last(target, |last| (last.at, last.kept_at));
        if asked.is_some() {
            return Ok(kept.map_or(i64::MIN, Timestamp::millis));
        }
        let matchers: Vec<Matcher> =
            target.labels.iter().chain([(Labels::NAME, "up")]).map(|(n, v)| Matcher::equal(n, v)).collect();
        let newest = self.tsdb.last_samples(&matchers).map_err(|e| Fault::internal(e.to_string()))?;
        Ok(newest.iter().map(|(_, point)| point.t_ms).filter(|t| *t <= at_ms).max().unwrap_or(i64::MIN))
    }

    /// Ends the series of targets that are no longer there, so that their last values do not linger.
    pub fn end_gone_targets(&self, now: Timestamp) -> Result<(), Fault> {
        let at = now.millis();
        let mut writes = Vec::new();
        for mut last in self.take_gone() {
            writes.extend(scrape_series(&last.labels).map(|labels| Write::end(labels.into(), at, false)));
            if last.limit_series {
                writes.extend(limit_series(&last.labels).map(|labels| Write::end(labels.into(), at, false)));
            }
            writes.extend(last.memory.take_live().map(|(labels, is_histogram)| Write::end(labels, at, is_histogram)));
        }
        if writes.is_empty() { Ok(()) } else { self.write_all(&writes) }
    }

    pub(super) fn keep_metadata(&self, found: impl IntoIterator<Item = (String, Metadata)>) {
        const FAMILIES_MAX: usize = 20_000;
        let mut known = self.metadata.lock();
        for (name, metadata) in found {
            let is_kept = known.len() < FAMILIES_MAX || known.contains_key(&name);
            if is_kept && name.len() <= ABOUT_BYTES_MAX {
                known.insert(name, metadata.kept());
            }
        }
    }

    /// Of old samples: what is known by now counts more.
    pub(super) fn keep_old_metadata<'a>(&self, found: impl IntoIterator<Item = (&'a str, Metadata)>) {
        let known = self.metadata();
        let new = found.into_iter().filter(|(name, _)| !known.contains_key(*name));
        self.keep_metadata(new.map(|(name, about)| (name.to_owned(), about)));
    }

    /// What is known of the family a metric is of.
    pub fn metadata_of(&self, name: &str) -> Option<Metadata> {
        family_of(&self.metadata.lock(), name).map(|(_, about)| about.clone())
    }

    /// What is known of the families on each target's last page, at most so many rows of it. It is known of a family, whoever
    /// told it last.
    pub fn target_families(
        &self,
        selector: Option<&str>,
        family: Option<&str>,
        rows_max: usize,
    ) -> Result<Vec<TargetFamily>, Fault> {
        let matchers = match selector {
            Some(text) => tenfold_promql::parse_any_matchers(text).map_err(|e| query_fault(&e, text))?,
            None => Vec::new(),
        };
        let matchers = CompiledMatcher::all(&matchers).map_err(|e| store_fault(&e))?;
        let known = self.metadata();
        let mut found = Vec::new();
        for target in self.targets().iter().filter(|t| matchers.iter().all(|m| m.matches_labels(&t.labels))) {
            let names = self.registry().last(target, |last| last.memory.names());
            let families: BTreeMap<_, _> = names.iter().filter_map(|name| family_of(&known, name)).collect();
            for (name, about) in families {
                if family.is_some_and(|wanted| wanted != name.as_str()) {
                    continue;
                }
                if found.len() >= rows_max {
                    return Ok(found);
                }
                let (target, metadata) = (target.labels.clone(), about.clone());
                found.push(TargetFamily { target, family: name.clone(), metadata });
            }
        }
        Ok(found)
    }

    /// Kind and help of every metric family that was scraped.
    pub fn metadata(&self) -> BTreeMap<String, Metadata> {
        self.metadata.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    /// As where a job's path changes, or the address behind a name.
    #[test]
    fn series_go_on_where_a_job_asks_at_another_address() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
        let state = State::open(&settings).expect("an empty store opens");
        let at = |s: i64| Timestamp(1_795_424_000_000 + s * 1_000);
        let asked_at = |path: &str| {
            let job = format!("{{job_name: web, metrics_path: {path}, static_configs: [{{targets: ['h:1']}}]}}");
            let config = tenfold_scrape::parse_config(&format!("scrape_configs: [{job}]")).expect("a configuration");
            state.set_jobs(config.jobs, |_, _| true);
            state.targets().into_iter().find(|target| target.plan.is_some()).expect("its target")
        };
        let scraped = |target: &Target, s: i64, page: &'static str| {
            let page = Ok((page.into(), Format::default()));
            state.scraped(target, Scraped { at: at(s), duration_ms: 1, page }).expect("it is kept");
        };
        let end_gone = |s: i64| state.end_gone_targets(at(s)).expect("marks are kept");
        let found = |s: i64| {
            ["a", "b", "up"].map(|name| match state.query_instant(name, at(s)).expect("a query") {
                tenfold_promql::Value::Vector(series) => series.len(),
                other => panic!("{other:?}"),
            })
        };
        let old = asked_at("/old");
        scraped(&old, 0, "a 1\nb 2\n");
        let new = asked_at("/new");
        end_gone(1);
        assert_eq!(found(2), [1, 1, 1]);
        // One that was under way comes in late.
        scraped(&old, 3, "a 1\nb 2\n");
        scraped(&new, 4, "a 1\n");
        end_gone(5);
        assert_eq!(found(6), [1, 0, 1], "what the new page lacks has ended");
        state.set_jobs(Vec::new(), |_, _| true);
        end_gone(7);
        assert_eq!(found(8), [0, 0, 0]);
    }

    #[test]
    fn a_target_that_is_only_asked_about_leaves_no_series() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
        let state = State::open(&settings).expect("an empty store opens");
        let labels = Labels::from_pairs([("job", "web"), ("instance", "h:1")]);
        state.set_host_targets("h", vec![Target::reported("http://h:1/metrics".to_owned(), labels, "h")]);
        assert!(state.target_families(None, None, 10).expect("rows").is_empty());
        state.set_host_targets("h", Vec::new());
        assert!(state.take_gone().is_empty());
    }

    /// What is known of families stays until the server stops.
    #[test]
    fn of_long_texts_about_families_the_beginning_is_kept() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
        let state = State::open(&settings).expect("an empty store opens");
        let long = "x".repeat(1 << 20);
        let about = Metadata { kind: "gauge".to_owned(), help: long.clone(), unit: long.clone() };
        state.push_metadata([("a", about.clone()), (long.as_str(), about)]);
        let kept: Vec<_> = state.metadata().into_iter().map(|(name, m)| (name, m.help.len(), m.unit.len())).collect();
        assert_eq!(kept, [("a".to_owned(), ABOUT_BYTES_MAX, ABOUT_BYTES_MAX)]);
    }
}
