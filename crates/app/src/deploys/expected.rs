//! What was expected of a release is held against what came of it, once, when the time that the pipeline file gives is over
//! and the release still runs.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;
use tenfold_deploys::machine::Kind;
use tenfold_deploys::pipeline::{Expectation, Outcome};
use tenfold_store::{Tx, deploys as store, events};
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

pub(super) async fn run(app: App, stop: CancellationToken) {
    let mut settled: HashSet<i64> = HashSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let since = app.now().plus_ms(-LATE_MS_MAX);
        let newest = app.read(move |tx| Ok(store::deploys_newest(tx, since)?)).await.unwrap_or_default();
        settled.retain(|number| newest.contains(number));
        for number in newest {
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
pub(super) fn scored(tx: &mut dyn Tx, number: i64) -> Result<Option<(Timestamp, Vec<ExpectedMetric>)>, Fault> {
    let Some(event) = events::list(tx, &said(number, &[SCORED]))?.pop() else { return Ok(None) };
    let metrics = serde_json::from_value(event.data["metrics"].clone());
    Ok(metrics.ok().map(|metrics| (event.occurred_at, metrics)))
}

impl App {
    /// Whether nothing more comes of it.
    async fn deploy_score(&self, number: i64) -> Result<bool, Fault> {
        let (stored, done) = self.read(move |tx| Ok((Stored::get(tx, number)?, scored(tx, number)?.is_some()))).await?;
        let Some(expects) = stored.asked.pipeline.expects.clone().filter(|e| !e.metrics.is_empty()) else {
            return Ok(true);
        };
        let Some(promoted_at) = stored.finished_at.filter(|_| stored.run.kind == Kind::Deploy && !done) else {
            return Ok(true);
        };
        let due = promoted_at.plus_ms(i64::from(expects.after_s) * 1000);
        if self.now() < due {
            return Ok(false);
        }
        let mut metrics = Vec::new();
        for expected in &expects.metrics {
            let before = self.one_value(&stored, expected, stored.started_at).await;
            let after = self.one_value(&stored, expected, due).await;
            metrics.push(ExpectedMetric {
                query: expected.query.clone(),
                says: expected.sentence(),
                outcome: Some(expected.score(before, after).word().to_owned()),
                before,
                after,
            });
        }
        self.deploy_say_scored(stored, metrics).await?;
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

    async fn deploy_say_scored(&self, stored: Stored, metrics: Vec<ExpectedMetric>) -> Result<(), Fault> {
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
            "{} of {} expectations came true{}{}",
            met.len(),
            metrics.len(),
            not("missed", &missed),
            not("no data", &unknown)
        );
        let severity = if met.len() == metrics.len() { Severity::Good } else { Severity::Warning };
        self.transact(move |t| {
            if scored(t.tx(), stored.number)?.is_none() {
                let data = json!({"number": stored.number, "metrics": metrics});
                t.record(told(&stored, SCORED, &what, data).severity(severity))?;
            }
            Ok(())
        })
        .await
    }
}
