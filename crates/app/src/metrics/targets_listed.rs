//! Targets as pages and the command line list them, those that are down first. One job may have 10,000: an answer has a part
//! of them, and the number of each health, of all and by job.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenfold_types::Fault;

use super::targets::{Health, Stand, Target, TargetStatus};
use crate::listed::{self, Listed};

const LISTED: Listed = Listed { what: "targets", default: 1_000, max: 10_000 };
/// Jobs that are told with their numbers; those in which the fewest are down are left out.
const JOBS_MAX: usize = 1_000;
const TEXT_BYTES_MAX: usize = 200;

/// Which targets are asked for.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TargetAsk {
    /// `down`, `unknown` for those that were not scraped yet, or `up`.
    pub health: Option<String>,
    /// Only targets of this job.
    pub job: Option<String>,
    /// Only those that have each of these words, whatever its case, in their job, address, host, error or in a label, which
    /// reads `zone=eu`.
    pub q: Option<String>,
    /// Targets in the answer, 1 to 10,000; 1,000 when absent.
    pub limit: Option<usize>,
    /// `next` of the answer before: goes on behind it.
    pub after: Option<String>,
}

/// How many targets there are, listed or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TargetCounts {
    pub up: usize,
    pub down: usize,
    /// They were not scraped yet.
    pub unknown: usize,
}

/// How many targets a job has, listed or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TargetJob {
    pub job: String,
    pub counts: TargetCounts,
}

/// A page of targets: those that are down, those that were not scraped yet, those that are up; each by job and instance.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct TargetList {
    pub items: Vec<TargetStatus>,
    /// Of those that were asked for, whatever their health.
    pub counts: TargetCounts,
    /// The same by job: those in which the most are down first, 1,000 at most.
    pub jobs: Vec<TargetJob>,
    /// Jobs that are not told since there are too many.
    pub jobs_left_out: usize,
    /// Why the configuration files of scraping as they are now are not obeyed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_trouble: Option<String>,
    /// There are more: send it as `after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl TargetCounts {
    fn add(&mut self, health: Health) {
        match health {
            Health::Up => self.up += 1,
            Health::Down => self.down += 1,
            Health::Unknown => self.unknown += 1,
        }
    }
}

/// The place of a target in the list: its health, its job, its instance, and a number for what tells it from others that
/// have these.
type Place<'a> = (u8, &'a str, &'a str, u64);

const fn rank(health: Health) -> u8 {
    match health {
        Health::Down => 0,
        Health::Unknown => 1,
        Health::Up => 2,
    }
}

/// A job may have any character in its name, so its length stands in front.
fn cursor((rank, job, instance, number): Place<'_>) -> String {
    format!("{rank}.{number:x}.{}.{job}{instance}", job.len())
}

fn read_cursor(text: &str) -> Option<Place<'_>> {
    let mut parts = text.splitn(4, '.');
    let rank = parts.next()?.parse().ok()?;
    let number = u64::from_str_radix(parts.next()?, 16).ok()?;
    let job_bytes = parts.next()?.parse().ok()?;
    let (job, instance) = parts.next()?.split_at_checked(job_bytes)?;
    Some((rank, job, instance, number))
}

/// A question that was checked.
struct Wanted<'a> {
    health: Option<Health>,
    job: Option<&'a str>,
    /// In small letters.
    words: Vec<String>,
    limit: usize,
    after: Option<Place<'a>>,
}

impl<'a> Wanted<'a> {
    fn of(ask: &'a TargetAsk) -> Result<Self, Fault> {
        let read_health = |word: &str| {
            Health::parse(word).ok_or_else(|| {
                Fault::invalid(format!("`{word}` is not a health of a target")).advice("down, unknown or up")
            })
        };
        let health = ask.health.as_deref().map(read_health).transpose()?;
        let text = ask.q.as_deref().unwrap_or_default();
        if text.len() > TEXT_BYTES_MAX {
            return Err(Fault::invalid(format!("the words to find are longer than {TEXT_BYTES_MAX} bytes"))
                .advice("a few words of the job, the address or a label are enough"));
        }
        Ok(Self {
            health,
            job: ask.job.as_deref(),
            words: text.split_whitespace().map(str::to_lowercase).collect(),
            limit: LISTED.limit(ask.limit)?,
            after: LISTED.place(ask.after.as_deref(), read_cursor)?,
        })
    }

    /// Whether a target is asked for, whatever its health.
    fn takes(&self, target: &Target, stand: &Stand) -> bool {
        if self.job.is_some_and(|job| job != target.job()) {
            return false;
        }
        if self.words.is_empty() {
            return true;
        }
        let said = said(target, stand);
        self.words.iter().all(|word| said.contains(word.as_str()))
    }
}

/// All that words are looked for in, in small letters. No word goes over the end of a line.
fn said(target: &Target, stand: &Stand) -> String {
    let (host, error) = (target.host.as_deref().unwrap_or_default(), stand.error.as_deref().unwrap_or_default());
    let mut said = [target.pool(), target.url.as_str(), host, error].join("\n");
    for (name, value) in target.labels.iter() {
        said.extend(["\n", name, "=", value]);
    }
    said.to_lowercase()
}

/// The jobs in which the most are down first, and how many are left out.
fn jobs_of(by_job: BTreeMap<&str, TargetCounts>, jobs_max: usize) -> (Vec<TargetJob>, usize) {
    let told = by_job.into_iter().map(|(job, counts)| TargetJob { job: job.to_owned(), counts });
    let mut jobs: Vec<TargetJob> = told.collect();
    // Those that are alike stay in the order of their names.
    jobs.sort_by_key(|job| (Reverse(job.counts.down), Reverse(job.counts.unknown)));
    let left_out = jobs.len().saturating_sub(jobs_max);
    jobs.truncate(jobs_max);
    (jobs, left_out)
}

impl super::State {
    /// A page of the targets.
    pub fn targets_page(&self, ask: &TargetAsk) -> Result<TargetList, Fault> {
        let wanted = Wanted::of(ask)?;
        let targets = self.listed_targets();
        let stands = self.registry().stands(&targets);
        let mut counts = TargetCounts::default();
        let mut by_job: BTreeMap<&str, TargetCounts> = BTreeMap::new();
        let mut places: Vec<(Place<'_>, usize)> = Vec::new();
        for (at, (target, stand)) in targets.iter().zip(&stands).enumerate() {
            if !wanted.takes(target, stand) {
                continue;
            }
            counts.add(stand.health);
            by_job.entry(target.job()).or_default().add(stand.health);
            if wanted.health.is_none_or(|health| health == stand.health) {
                places.push(((rank(stand.health), target.job(), target.instance(), stand.number), at));
            }
        }
        let seen = |(place, _): &(Place<'_>, usize)| wanted.after.is_some_and(|after| *place <= after);
        let next = listed::answer(&mut places, seen, wanted.limit).map(|(place, _)| cursor(*place));
        let items = places.iter().map(|(_, at)| self.status(&targets[*at])).collect();
        let (jobs, jobs_left_out) = jobs_of(by_job, JOBS_MAX);
        Ok(TargetList { items, counts, jobs, jobs_left_out, config_trouble: self.config_trouble(), next })
    }
}

#[cfg(test)]
mod tests {
    use tenfold_protocols::exposition::Format;
    use tenfold_scrape::parse_config;
    use tenfold_types::{Labels, Timestamp};

    use super::super::{Scraped, State};
    use super::*;
    use crate::Settings;

    const AT: Timestamp = Timestamp(1_795_424_000_000);

    fn world() -> (tempfile::TempDir, State) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
        let state = State::open(&settings).expect("an empty store opens");
        (dir, state)
    }

    /// A target that an agent reports, and how its scrape went: `None` for one that was not asked yet.
    fn report(state: &State, job: &str, instance: &str, zone: &str, went: Option<Result<(), &str>>) {
        let labels = Labels::from_pairs([("job", job), ("instance", instance), ("zone", zone)]);
        let host = format!("{job}-{instance}");
        let target = Target::reported(format!("http://{instance}:9100/metrics"), labels, &host);
        state.set_host_targets(&host, vec![target.clone()]);
        let page = match went {
            None => return,
            Some(Ok(())) => Ok(("x 1\n".into(), Format::Prometheus)),
            Some(Err(reason)) => Err(reason.to_owned().into()),
        };
        state.scraped(&target, Scraped { at: AT, duration_ms: 4, page }).expect("it is kept");
    }

    fn five() -> (tempfile::TempDir, State) {
        let (dir, state) = world();
        report(&state, "web", "h1", "eu", Some(Ok(())));
        report(&state, "web", "h2", "us", Some(Err("connection refused")));
        report(&state, "web", "h3", "eu", None);
        report(&state, "db", "h1", "eu", Some(Err("Timed OUT")));
        report(&state, "db", "h2", "us", Some(Ok(())));
        (dir, state)
    }

    fn names(list: &TargetList) -> String {
        let name = |one: &TargetStatus| format!("{}/{}", one.job, one.instance);
        list.items.iter().map(name).collect::<Vec<_>>().join(" ")
    }

    const ALL: &str = "db/h1 web/h2 web/h3 db/h2 web/h1";

    #[test]
    fn what_is_down_comes_first_and_all_are_counted() {
        let (_dir, state) = five();
        let list = state.targets_page(&TargetAsk::default()).expect("a page");
        assert_eq!((names(&list).as_str(), list.next), (ALL, None));
        assert_eq!(list.counts, TargetCounts { up: 2, down: 2, unknown: 1 });
        let job =
            |job: &str, unknown| TargetJob { job: job.to_owned(), counts: TargetCounts { up: 1, down: 1, unknown } };
        assert_eq!((list.jobs, list.jobs_left_out), (vec![job("web", 1), job("db", 0)], 0));
        let first = &list.items[0];
        assert_eq!((first.health, first.error.as_deref()), (Health::Down, Some("Timed OUT")));
        assert_eq!((first.last_scrape, first.duration_ms), (Some(AT), Some(4)));
        assert_eq!(list.config_trouble, None);
        state.set_config_trouble(Some("line 3 is wrong".to_owned()));
        let list = state.targets_page(&TargetAsk::default()).expect("a page");
        assert_eq!(list.config_trouble.as_deref(), Some("line 3 is wrong"));
    }

    #[test]
    fn pages_follow_each_other_without_a_gap() {
        let (_dir, state) = five();
        let mut ask = TargetAsk { limit: Some(2), ..TargetAsk::default() };
        let mut pages = Vec::new();
        loop {
            let list = state.targets_page(&ask).expect("a page");
            assert_eq!(list.counts, TargetCounts { up: 2, down: 2, unknown: 1 }, "each page counts all");
            pages.push(names(&list));
            ask.after = list.next;
            if ask.after.is_none() {
                break;
            }
        }
        assert_eq!(pages.len(), 3);
        assert_eq!(pages.join(" "), ALL);
    }

    #[test]
    fn words_job_and_health_say_which() {
        let (_dir, state) = five();
        for (q, job, health, says) in [
            ("H1", "", "", "db/h1 web/h1"),
            ("zone=eu web", "", "", "web/h3 web/h1"),
            ("out timed", "", "", "db/h1"),
            ("://h2:9100", "", "", "web/h2 db/h2"),
            ("web-h3", "", "", "web/h3"),
            ("", "web", "", "web/h2 web/h3 web/h1"),
            ("", "we", "", ""),
            ("", "", "down", "db/h1 web/h2"),
            ("", "", "unknown", "web/h3"),
            ("eu", "web", "up", "web/h1"),
            ("eu us", "", "", ""),
        ] {
            let given = |text: &str| Some(text.to_owned()).filter(|t| !t.is_empty());
            let ask = TargetAsk { q: given(q), job: given(job), health: given(health), ..TargetAsk::default() };
            assert_eq!(names(&state.targets_page(&ask).expect("a page")), says, "{ask:?}");
        }
        let ask = TargetAsk { q: Some("zone=eu".to_owned()), health: Some("up".to_owned()), ..TargetAsk::default() };
        let list = state.targets_page(&ask).expect("a page");
        assert_eq!(list.counts, TargetCounts { up: 1, down: 1, unknown: 1 }, "whatever their health");
    }

    #[test]
    fn a_target_is_not_known_by_being_listed() {
        let (_dir, state) = world();
        report(&state, "web", "h1", "eu", None);
        assert_eq!(names(&state.targets_page(&TargetAsk::default()).expect("a page")), "web/h1");
        state.set_host_targets("web-h1", Vec::new());
        assert!(state.take_gone().is_empty(), "it was never scraped, so that nothing ends");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let (_dir, state) = world();
        let none = TargetAsk::default;
        for (ask, says) in [
            (TargetAsk { health: Some("bad".into()), ..none() }, "`bad` is not a health"),
            (TargetAsk { limit: Some(0), ..none() }, "1 to 10000 targets, not 0"),
            (TargetAsk { limit: Some(LISTED.max + 1), ..none() }, "not 10001"),
            (TargetAsk { q: Some("x".repeat(TEXT_BYTES_MAX + 1)), ..none() }, "longer than 200 bytes"),
            (TargetAsk { after: Some("web".into()), ..none() }, "`web` is not a place"),
        ] {
            let fault = state.targets_page(&ask).expect_err("it is refused");
            assert!(fault.message.contains(says) && !fault.advice.is_empty(), "{fault:?}");
        }
    }

    #[test]
    fn places_survive_as_text() {
        for place in [(0, "web", "h1:80", 7), (2, "a.b 3.ü", "", u64::MAX), (1, "", "[::1]:9100", 0)] {
            assert_eq!(read_cursor(&cursor(place)), Some(place));
        }
        for wrong in ["", "0.7.3", "x.7.3.webh1", "0.z.3.webh1", "0.7.9.webh1", "0.7.1.üh1"] {
            assert_eq!(read_cursor(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn targets_of_one_name_are_told_apart_by_their_address() {
        let (_dir, state) = world();
        let yaml = "scrape_configs:\n- job_name: web\n  static_configs: [{targets: ['h1:80', 'h2:80'], labels: {instance: one}}]\n";
        state.set_jobs(parse_config(yaml).expect("it is right").jobs, |_, _| false);
        let mut ask = TargetAsk { limit: Some(1), ..TargetAsk::default() };
        let first = state.targets_page(&ask).expect("a page");
        ask.after = first.next;
        let second = state.targets_page(&ask).expect("a page");
        let mut urls: Vec<&str> = first.items.iter().chain(&second.items).map(|one| one.url.as_str()).collect();
        urls.sort_unstable();
        assert_eq!((urls, second.next), (vec!["http://h1:80/metrics", "http://h2:80/metrics"], None));
    }

    #[test]
    fn of_too_many_jobs_those_with_the_most_down_are_told() {
        let counts = |up, down, unknown| TargetCounts { up, down, unknown };
        let by_job = [("a", counts(9, 0, 0)), ("b", counts(0, 1, 0)), ("c", counts(0, 0, 1)), ("d", counts(5, 2, 0))];
        let (jobs, left_out) = jobs_of(by_job.into(), 3);
        let told: Vec<&str> = jobs.iter().map(|job| job.job.as_str()).collect();
        assert_eq!((told, left_out), (vec!["d", "b", "c"], 1));
    }
}
