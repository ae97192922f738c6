//! After the promotion no host is left to compare with: for as long as the pipeline file says, all hosts' error rate is held
//! against what it was in the hour before the deploy. Nothing is kept in memory; the record tells whether it has acted.

use std::time::Duration;

use serde_json::json;
use tenfold_deploys::machine::Kind;
use tenfold_deploys::pipeline::{AfterAction, AfterPromotion, CanaryJudge};
use tenfold_judge::After;
use tenfold_store::deploys::{self as store, DeployQuery};
use tenfold_store::events;
use tenfold_types::{Actor, EventDraft, Fault, Severity, Source, Timestamp};
use tokio_util::sync::CancellationToken;

use super::judged::{fill, on_hosts};
use super::locks;
use super::stored::Stored;
use crate::incidents::{GuardIncident, open_by_guard};
use crate::judged::{Errors, Sides};
use crate::record::EventQuery;
use crate::{App, Caller};

/// Between two looks at what was deployed lately.
const LOOK: Duration = Duration::from_secs(2);
/// The longest watch: the pipeline file allows no more.
const WATCH_MS_MAX: i64 = 86_400_000;
/// Deploys that are looked through for those that are watched.
const DEPLOYS_MAX: u32 = 100;
const KIND: &str = "deploy.worse_after";

/// Watches what was promoted, until `stop`.
pub(super) async fn run(app: App, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        match app.deploys_after().await {
            Ok(watched) => {
                for one in watched {
                    Box::pin(app.deploy_after(one)).await;
                }
            }
            Err(fault) => tracing::warn!(%fault, "what was deployed lately could not be looked for"),
        }
    }
}

/// A deploy that is watched after its promotion.
struct Watched {
    stored: Stored,
    judge: CanaryJudge,
    after: AfterPromotion,
    promoted_at: Timestamp,
}

impl Watched {
    fn of(stored: Stored, now: Timestamp) -> Option<Self> {
        let judge = stored.asked.pipeline.target(&stored.environment).ok()?.canary.judge.clone()?;
        let after = judge.after.clone()?;
        let promoted_at = stored.finished_at?;
        let over = now.since_ms(promoted_at) > i64::from(after.for_s) * 1000;
        (stored.run.kind == Kind::Deploy && !over).then_some(Self { stored, judge, after, promoted_at })
    }
}

impl App {
    /// The newest release of each service and environment, where it is still watched and nothing has come of it.
    async fn deploys_after(&self) -> Result<Vec<Watched>, Fault> {
        let now = self.now();
        let since = Some(now.plus_ms(-2 * WATCH_MS_MAX));
        self.read(move |tx| {
            let query =
                DeployQuery { state: Some("succeeded".into()), since, limit: DEPLOYS_MAX, ..DeployQuery::default() };
            let mut seen = Vec::new();
            let mut watched = Vec::new();
            for row in store::deploys(tx, &query)? {
                let place = (row.service.clone(), row.environment.clone());
                if seen.contains(&place) {
                    continue;
                }
                let busy = store::deploy_unfinished(tx, &row.service, &row.environment)?.is_some();
                seen.push(place);
                if busy || store::deploy_reverted_by(tx, row.number)?.is_some() {
                    continue;
                }
                let Some(one) = Watched::of(Stored::from_row(&row)?, now) else { continue };
                if events::list(tx, &acted(one.stored.number))?.is_empty() {
                    watched.push(one);
                }
            }
            Ok(watched)
        })
        .await
    }

    async fn deploy_after(&self, watched: Watched) {
        let seen = match self.deploy_after_seen(&watched).await {
            Ok(Some(seen)) if seen.alarmed => seen,
            Ok(_) => return,
            Err(why) => {
                tracing::debug!(deploy = watched.stored.number, why, "what was promoted cannot be watched now");
                return;
            }
        };
        if let Err(fault) = Box::pin(self.deploy_after_act(&watched, seen)).await {
            tracing::warn!(%fault, deploy = watched.stored.number, "what got worse after the promotion was not acted on; trying again");
        }
    }

    /// Nothing when too little was counted before the deploy.
    async fn deploy_after_seen(&self, watched: &Watched) -> Result<Option<After>, String> {
        let Watched { stored, judge, after, promoted_at } = watched;
        let Some(errors) = &judge.errors else { return Ok(None) };
        let hosts: Vec<&str> = stored.run.hosts.iter().map(|h| h.name.as_str()).collect();
        let on = |selector: &str| on_hosts(&fill(selector, stored), &judge.host_label, &hosts);
        let all = (on(&errors.bad), on(&errors.total));
        let sides = Sides { errors: Some(Errors { canary: all.clone(), control: all }), ..Sides::default() };
        let counts = self.judge_counts(&sides, *promoted_at, i64::from(judge.every_s) * 1000).await?;
        let (before, since) = counts.before_and_since(stored.started_at.millis());
        let looks_max = u64::from(after.for_s / judge.every_s.max(1));
        Ok(After::watch(&before, &since, after.factor, judge.alpha, looks_max))
    }

    /// Says so once, then opens an incident or takes the deploy back and locks.
    async fn deploy_after_act(&self, watched: &Watched, seen: After) -> Result<(), Fault> {
        let (stored, then) = (watched.stored.clone(), watched.after.then);
        let why = format!("it got worse after the promotion: {}", seen.sentence());
        let lock = locks::by_judge(self, &stored, why.clone())?;
        let (said, now) = (why.clone(), self.now());
        let first = self
            .transact(move |t| {
                if !events::list(t.tx(), &acted(stored.number))?.is_empty() {
                    return Ok(false);
                }
                let mut event = told(&stored, &said, seen, then);
                match then {
                    AfterAction::Page => {
                        let incident = GuardIncident {
                            title: format!("{} {} got worse after its promotion", stored.service, stored.short_sha()),
                            critical: true,
                            service: Some(stored.service.clone()),
                            environment: stored.environment.clone(),
                            flag: String::new(),
                            onset: now,
                        };
                        event.subject.incident = open_by_guard(t, incident)?;
                    }
                    AfterAction::Rollback => locks::put(t, &lock.0, lock.1.clone())?,
                }
                t.record(event)?;
                Ok(true)
            })
            .await?;
        if first && then == AfterAction::Rollback {
            Box::pin(self.deploy_rollback(&Caller::system(), watched.stored.number, Some(why))).await?;
        }
        Ok(())
    }
}

/// Asks the record whether the watch of a deploy has acted.
fn acted(number: i64) -> EventQuery {
    let correlation = Some(format!("deploy:{number}"));
    EventQuery { correlation, kinds: vec![KIND.into()], limit: 1, include_admin: true, ..EventQuery::default() }
}

fn told(stored: &Stored, why: &str, seen: After, then: AfterAction) -> EventDraft {
    let did = match then {
        AfterAction::Page => "people are called",
        AfterAction::Rollback => "it goes back",
    };
    let (service, sha, environment) = (&stored.service, stored.short_sha(), &stored.environment);
    let text = format!("{service} {sha} on {environment}: {why}; {did}");
    EventDraft::new(Actor::system(), Source::System, KIND, text)
        .service(service)
        .environment(environment)
        .deploy(stored.number)
        .correlation(format!("deploy:{}", stored.number))
        .severity(Severity::Critical)
        .data(json!({"number": stored.number, "evidence": seen, "then": then}))
}
