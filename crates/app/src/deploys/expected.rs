//! What was expected of a release is held against what came of it, once: when the time that the pipeline file gives is over,
//! or when another release takes its place. One whose place was taken within a minute is not scored, which is said.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;
use tenfold_deploys::machine::{Kind, State};
use tenfold_deploys::pipeline::{Expectation, Outcome};
use tenfold_store::deploys::{self as store, DeployQuery};
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
/// Deploys of a place among which the next one is looked for.
const NEXT_MAX: u32 = 100;
/// The outcome of what is not scored.
const REPLACED: &str = "replaced";

/// Another deploy that changed a host of the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Successor {
    number: i64,
    began_at: Timestamp,
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
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let since = app.now().plus_ms(-LATE_MS_MAX);
        let ended = app.read(move |tx| Ok(store::deploys_ended(tx, since)?)).await.unwrap_or_default();
        settled.retain(|number| ended.contains(number));
        for number in ended {
            if settled.contains(&number) {
                continue;
            }
            match Box::pin(app.deploy_score(number)).await {
                Ok(true) => _ = settled.insert(number),
                Ok(false) => {}
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
fn successor(tx: &mut dyn Tx, of: &Stored) -> Result<Option<Successor>, Fault> {
    let query = DeployQuery {
        service: Some(of.service.clone()),
        environment: Some(of.environment.clone()),
        since: Some(of.started_at),
        limit: NEXT_MAX,
        ..DeployQuery::default()
    };
    for row in store::deploys(tx, &query)?.iter().rev().filter(|row| row.number > of.number) {
        let next = Stored::from_row(row)?;
        if next.run.hosts.iter().any(|host| host.touched) {
            return Ok(Some(Successor { number: next.number, began_at: next.started_at }));
        }
    }
    Ok(None)
}

impl App {
    /// Whether nothing more comes of it.
    async fn deploy_score(&self, number: i64) -> Result<bool, Fault> {
        let (stored, done) = self.read(move |tx| Ok((Stored::get(tx, number)?, scored(tx, number)?.is_some()))).await?;
        let Some(expects) = stored.asked.pipeline.expects.clone().filter(|e| !e.metrics.is_empty()) else {
            return Ok(true);
        };
        let is_out = stored.run.kind == Kind::Deploy && stored.run.state == State::Succeeded;
        let Some(promoted_at) = stored.finished_at.filter(|_| is_out && !done) else {
            return Ok(true);
        };
        let due = promoted_at.plus_ms(i64::from(expects.after_s) * 1000);
        let of = stored.clone();
        let next = self.read(move |tx| successor(tx, &of)).await?;
        let (at, next) = match when(promoted_at, due, next, self.now()) {
            When::Later => return Ok(false),
            When::At(at, next) => (at, next),
            When::Never(next) => {
                self.deploy_say_replaced(stored, &expects.metrics, promoted_at, next).await?;
                return Ok(true);
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
        self.deploy_say_scored(stored, metrics, next).await?;
        Ok(true)
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
        self.deploy_say(stored, &what, metrics, Some(number), Severity::Info).await
    }

    async fn deploy_say_scored(
        &self,
        stored: Stored,
        metrics: Vec<ExpectedMetric>,
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
}
