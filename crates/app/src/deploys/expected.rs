//! What was expected of a release is held against what came of it, once: when the time that the pipeline file gives is over,
//! or when another release takes its place. One whose place was taken within a minute is not scored, which is said.
//!
//! A server that was away, or one of before this was scored, leaves many to be scored at once: a few at a time, the newest
//! first, and what is old news without a word to people.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::json;
use tenfold_deploys::machine::{Kind, State};
use tenfold_deploys::pipeline::{Expectation, Outcome};
use tenfold_store::deploys as store;
use tenfold_store::{Tx, events};
use tenfold_types::{Fault, Severity, Timestamp};
use tokio_util::sync::CancellationToken;

use super::after::{said, told};
use super::stored::Stored;
use super::views::ExpectedMetric;
use super::{check, judged};
use crate::App;

const LOOK: Duration = Duration::from_secs(2);
/// The longest that a pipeline file may ask to wait, and as long for a server that was away.
const LATE_MS_MAX: i64 = 2 * 86_400_000;
const SCORED: &str = "deploy.scored";
/// What took its place before this says nothing of what a release does.
const STOOD_MS_MIN: i64 = 60_000;
/// Deploys of a place that are read at once where the next one is looked for.
const READ_MAX: u32 = 100;
/// Most deploys that are scored at one look: each asks two queries for each of its metrics.
const SCORES_MAX: usize = 20;
/// What was due longer ago than this is written for whoever looks the deploy up, and not told.
const NEWS_MS: i64 = 3_600_000;
/// The outcome of what is not scored.
const REPLACED: &str = "replaced";

/// Another deploy that changed a host of the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Successor {
    number: i64,
    began_at: Timestamp,
}

/// A deploy of the same place that came after.
struct Came {
    number: i64,
    began_at: Timestamp,
    is_over: bool,
    /// It changed a host.
    touched: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    next: Option<Successor>,
    /// All up to this number are over and changed no host: they are not looked at again.
    passed: i64,
}

/// The first deploy that changed a host, among those that came after `passed` and began before `due`: a place has one deploy at
/// a time, so that bounds how many there are. `read` gives up to [`READ_MAX`] that come after a number, oldest first.
fn find(passed: i64, due: Timestamp, mut read: impl FnMut(i64) -> Result<Vec<Came>, Fault>) -> Result<Found, Fault> {
    let mut found = Found { next: None, passed };
    let (mut after, mut are_over) = (passed, true);
    loop {
        let came = read(after)?;
        for one in &came {
            if one.began_at >= due {
                return Ok(found);
            }
            if one.touched {
                found.next = Some(Successor { number: one.number, began_at: one.began_at });
                return Ok(found);
            }
            are_over &= one.is_over;
            if are_over {
                found.passed = one.number;
            }
            after = one.number;
        }
        if (came.len() as u64) < u64::from(READ_MAX) {
            return Ok(found);
        }
    }
}

/// What came of one look at a deploy.
enum Looked {
    /// Nothing more comes of it.
    Settled { scored: bool },
    /// Its time is not over.
    Later { passed: i64 },
}

/// When what was expected of a release that is out is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Later,
    At(Timestamp, Option<Successor>),
    /// It did not stand for long enough.
    Never(Successor),
}

fn when(out_at: Timestamp, due: Timestamp, next: Option<Successor>, now: Timestamp) -> When {
    match next.filter(|next| next.began_at < due) {
        Some(next) if next.began_at.since_ms(out_at) < STOOD_MS_MIN => When::Never(next),
        Some(next) => When::At(next.began_at, Some(next)),
        None if now < due => When::Later,
        None => When::At(due, None),
    }
}

/// How loudly something is said that was due then.
fn news(severity: Severity, due: Timestamp, now: Timestamp) -> Severity {
    if now.since_ms(due) > NEWS_MS { Severity::Debug } else { severity }
}

impl ExpectedMetric {
    /// `up should stay within 5 %: met (3 -> 3)`
    pub fn line(&self) -> String {
        let value = |v: Option<f64>| v.map_or_else(|| "no data".to_owned(), |v| format!("{v:.4}"));
        match self.outcome.as_deref() {
            None => format!("{}: not scored yet", self.says),
            Some(REPLACED) => format!("{}: not scored, another deploy took its place", self.says),
            Some(outcome) => format!("{}: {outcome} ({} -> {})", self.says, value(self.before), value(self.after)),
        }
    }
}

/// What came of a deploy's expectations.
pub(super) struct Scored {
    pub at: Timestamp,
    pub metrics: Vec<ExpectedMetric>,
    pub replaced_by: Option<i64>,
}

pub(super) async fn run(app: App, stop: CancellationToken) {
    let mut settled: HashSet<i64> = HashSet::new();
    let mut later: HashMap<i64, i64> = HashMap::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let since = app.now().plus_ms(-LATE_MS_MAX);
        let ended = app.read(move |tx| Ok(store::deploys_ended(tx, since)?)).await.unwrap_or_default();
        let is_kept: HashSet<i64> = ended.iter().copied().collect();
        settled.retain(|number| is_kept.contains(number));
        later.retain(|number, _| is_kept.contains(number));
        let mut scores = 0;
        for number in ended.into_iter().rev() {
            if settled.contains(&number) {
                continue;
            }
            if scores == SCORES_MAX {
                break;
            }
            let passed = later.get(&number).copied().unwrap_or(number);
            match Box::pin(app.deploy_score(number, passed)).await {
                Ok(Looked::Settled { scored }) => {
                    settled.insert(number);
                    scores += usize::from(scored);
                }
                Ok(Looked::Later { passed }) => _ = later.insert(number, passed),
                Err(fault) => {
                    tracing::warn!(%fault, deploy = number, "what was expected could not be scored; trying again");
                }
            }
        }
    }
}

/// What the record says came of a deploy's expectations.
pub(super) fn scored(tx: &mut dyn Tx, number: i64) -> Result<Option<Scored>, Fault> {
    let Some(event) = events::list(tx, &said(number, &[SCORED]))?.pop() else { return Ok(None) };
    let metrics = serde_json::from_value(event.data["metrics"].clone());
    let replaced_by = event.data["replaced_by"].as_i64();
    Ok(metrics.ok().map(|metrics| Scored { at: event.occurred_at, metrics, replaced_by }))
}

/// The first deploy or rollback after this one that changed a host.
fn successor(tx: &mut dyn Tx, of: &Stored, passed: i64, due: Timestamp) -> Result<Found, Fault> {
    find(passed, due, |after| {
        let rows = store::deploys_after(tx, &of.service, &of.environment, after, READ_MAX)?;
        let came = |row: &store::DeployRow| {
            let next = Stored::from_row(row)?;
            let touched = next.run.hosts.iter().any(|host| host.touched);
            Ok(Came { number: next.number, began_at: next.started_at, is_over: row.is_final, touched })
        };
        rows.iter().map(came).collect()
    })
}

impl App {
    /// `passed` is what an earlier look said.
    async fn deploy_score(&self, number: i64, passed: i64) -> Result<Looked, Fault> {
        let (stored, done) = self.read(move |tx| Ok((Stored::get(tx, number)?, scored(tx, number)?.is_some()))).await?;
        let Some(expects) = stored.asked.pipeline.expects.clone().filter(|e| !e.metrics.is_empty()) else {
            return Ok(Looked::Settled { scored: false });
        };
        let is_out = stored.run.kind == Kind::Deploy && stored.run.state == State::Succeeded;
        let Some(promoted_at) = stored.finished_at.filter(|_| is_out && !done) else {
            return Ok(Looked::Settled { scored: false });
        };
        let due = promoted_at.plus_ms(i64::from(expects.after_s) * 1000);
        let of = stored.clone();
        let found = self.read(move |tx| successor(tx, &of, passed, due)).await?;
        let (at, next) = match when(promoted_at, due, found.next, self.now()) {
            When::Later => return Ok(Looked::Later { passed: found.passed }),
            When::At(at, next) => (at, next),
            When::Never(next) => {
                self.deploy_say_replaced(stored, &expects.metrics, promoted_at, next).await?;
                return Ok(Looked::Settled { scored: true });
            }
        };
        let mut metrics = Vec::new();
        for expected in &expects.metrics {
            let before = self.one_value(&stored, expected, stored.started_at).await;
            let after = self.one_value(&stored, expected, at).await;
            metrics.push(ExpectedMetric {
                query: expected.query.clone(),
                says: expected.sentence(),
                outcome: Some(expected.score(before, after).word().to_owned()),
                before,
                after,
            });
        }
        self.deploy_say_scored(stored, metrics, at, next).await?;
        Ok(Looked::Settled { scored: true })
    }

    /// Nothing where the query cannot be asked or has not one value.
    async fn one_value(&self, stored: &Stored, expected: &Expectation, at: Timestamp) -> Option<f64> {
        let query = judged::fill(&expected.query, stored);
        let answer = self.query(&query, at).await.ok()?;
        match check::values(&answer.value)[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    async fn deploy_say_replaced(
        &self,
        stored: Stored,
        expected: &[Expectation],
        out_at: Timestamp,
        next: Successor,
    ) -> Result<(), Fault> {
        let metric = |m: &Expectation| ExpectedMetric {
            query: m.query.clone(),
            says: m.sentence(),
            outcome: Some(REPLACED.to_owned()),
            before: None,
            after: None,
        };
        let metrics: Vec<_> = expected.iter().map(metric).collect();
        let stood_s = next.began_at.since_ms(out_at).max(0) / 1000;
        let number = next.number;
        let what =
            format!("what was expected is not scored: deploy {number} took its place {stood_s} s after it was out");
        self.deploy_say(stored, &what, metrics, Some(number), news(Severity::Info, next.began_at, self.now())).await
    }

    async fn deploy_say_scored(
        &self,
        stored: Stored,
        metrics: Vec<ExpectedMetric>,
        at: Timestamp,
        next: Option<Successor>,
    ) -> Result<(), Fault> {
        let of = |outcome: Outcome| {
            let fits = |m: &&ExpectedMetric| m.outcome.as_deref() == Some(outcome.word());
            metrics.iter().filter(fits).map(|m| m.says.as_str()).collect::<Vec<_>>()
        };
        let (met, missed, unknown) = (of(Outcome::Met), of(Outcome::Missed), of(Outcome::Unknown));
        let not = |word: &str, which: &[&str]| match which {
            [] => String::new(),
            which => format!("; {word}: {}", which.join(", ")),
        };
        let what = format!(
            "{} of {} expectations came true{}{}{}",
            met.len(),
            metrics.len(),
            not("missed", &missed),
            not("no data", &unknown),
            next.map_or_else(String::new, |next| format!("; scored early, when deploy {} began", next.number))
        );
        let severity = if met.len() == metrics.len() { Severity::Good } else { Severity::Warning };
        let severity = news(severity, at, self.now());
        self.deploy_say(stored, &what, metrics, next.map(|next| next.number), severity).await
    }

    async fn deploy_say(
        &self,
        stored: Stored,
        what: &str,
        metrics: Vec<ExpectedMetric>,
        replaced_by: Option<i64>,
        severity: Severity,
    ) -> Result<(), Fault> {
        let what = what.to_owned();
        self.transact(move |t| {
            if scored(t.tx(), stored.number)?.is_none() {
                let data = json!({"number": stored.number, "metrics": metrics, "replaced_by": replaced_by});
                t.record(told(&stored, SCORED, &what, data).severity(severity))?;
            }
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_scored_when_its_time_is_over_or_its_place_is_taken() {
        let at = |s: i64| Timestamp(s * 1000);
        let next = |s: i64| Successor { number: 13, began_at: at(s) };
        let (out, due) = (at(1_000), at(1_600));
        let cases = [
            (None, 1_599, When::Later),
            (None, 1_600, When::At(due, None)),
            (Some(next(1_059)), 1_059, When::Never(next(1_059))),
            (Some(next(990)), 2_000, When::Never(next(990))),
            (Some(next(1_060)), 1_061, When::At(at(1_060), Some(next(1_060)))),
            (Some(next(1_060)), 9_000, When::At(at(1_060), Some(next(1_060)))),
            // what came afterwards changes nothing of what was due before
            (Some(next(1_600)), 9_000, When::At(due, None)),
        ];
        for (next, now, expected) in cases {
            assert_eq!(when(out, due, next, at(now)), expected, "{next:?} at {now}");
        }
    }

    /// Deploys 13, 14, …, each a second after the one before.
    fn find_among(came: &[(bool, bool)], passed: i64, due_s: i64) -> (Found, usize) {
        let mut reads = 0;
        let found = find(passed, Timestamp(due_s * 1000), |after| {
            reads += 1;
            let all = came.iter().zip(13_i64..).map(|(&(is_over, touched), number)| Came {
                number,
                began_at: Timestamp(number * 1000),
                is_over,
                touched,
            });
            Ok(all.filter(|one| one.number > after).take(READ_MAX as usize).collect())
        });
        (found.unwrap(), reads)
    }

    #[test]
    fn the_first_that_changed_a_host_is_found_behind_any_number_that_did_not() {
        let next = |number: i64| Some(Successor { number, began_at: Timestamp(number * 1000) });
        let (failed, runs, out) = ((true, false), (false, false), (true, true));
        let mut came = vec![failed; 250];
        came.extend([out; 300]);
        assert_eq!(find_among(&came, 12, 9_000), (Found { next: next(263), passed: 262 }, 3), "not one of the newest");
        assert_eq!(find_among(&came, 262, 9_000).1, 1, "the ones before it are not read again");
        // what begins when the time is over changes nothing, and nothing more is read
        assert_eq!(find_among(&came, 12, 113), (Found { next: None, passed: 112 }, 2));
        // one that is under way may still change a host
        let came = [failed, runs, failed];
        assert_eq!(find_among(&came, 12, 9_000), (Found { next: None, passed: 13 }, 1));
        assert_eq!(find_among(&[], 12, 9_000), (Found { next: None, passed: 12 }, 1));
    }

    #[test]
    fn what_is_old_news_is_not_told() {
        let due = Timestamp(0);
        assert_eq!(news(Severity::Warning, due, due.plus_ms(NEWS_MS)), Severity::Warning);
        assert_eq!(news(Severity::Warning, due, due.plus_ms(NEWS_MS + 1)), Severity::Debug);
    }
}
